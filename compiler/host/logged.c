/* logged.c: what stands in the training log beside the lines of steps, so that a report can be made
 * of it: lines with an `event`. Each train that begins (arguments, seed, sizes), its graph and plan
 * once, and what effects show: lines, rows of tables, curves, claims, files that are written. The
 * lines of steps are in report.c. */
#include "compiler/host/train.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TEXT = 1 << 18, MOST_POINTS = 1 << 12 };

/* The log, when something may be written to it now; its line has begun. */
static lg_log *begin(lg_elab *E, const char *event) {
    lg_host *H = lg_host_of(E);
    if (!H->log || H->trial)
        return NULL;
    lg_log_text(H->log, "event", event);
    return H->log;
}

static void end(lg_elab *E, lg_log *l) {
    lg_io io = lg_host_io(E, (lg_span){0});
    if (l)
        lg_log_line(&io, l);
}

void lg_logged_text(lg_elab *E, const char *event, const char *text) {
    lg_log *l = begin(E, event);
    lg_log_text(l, "text", text);
    end(E, l);
}

void lg_logged_row(lg_elab *E, const lg_table_row *row) {
    lg_log *l = begin(E, "table");
    lg_log_texts(l, "columns", (size_t)row->n, (const char *const *)row->name);
    lg_log_texts(l, "cells", (size_t)row->n, (const char *const *)row->cell);
    end(E, l);
}

void lg_logged_claim(lg_elab *E, bool holds, const char *claim) {
    lg_log *l = begin(E, "accept");
    lg_log_bool(l, "ok", holds);
    lg_log_text(l, "text", claim);
    end(E, l);
}

/* Long curves are thinned out. */
void lg_logged_curves(lg_elab *E, size_t n, const lg_named *curve) {
    for (size_t k = 0; k < n; k++) {
        const lg_tensor *x = curve[k].x;
        lg_log *l = begin(E, "plot");
        if (!l)
            return;
        size_t every = x->n / MOST_POINTS + 1, m = (x->n + every - 1) / every;
        double *v = lg_alloc((m + 1) * sizeof *v);
        for (size_t i = 0; i < m; i++)
            v[i] = lg_get_f64(x->dtype, x->data, i * every);
        lg_log_int(l, "curve", (int64_t)k);
        lg_log_text(l, "name", curve[k].name ? curve[k].name : "");
        lg_log_int(l, "every", (int64_t)every);
        lg_log_reals(l, "values", m, v);
        lg_free(v);
        end(E, l);
    }
}

/* ---- trains ---- */

static void whose(lg_train *T, lg_log *l) {
    lg_log_text(l, "train", T->decl->name ? T->decl->name : "");
    if (T->phase && T->phase->name)
        lg_log_text(l, "phase", T->phase->name);
}

void lg_logged_train(lg_train *T, const lg_step_plan *p) {
    lg_log *l = begin(T->E, "train");
    if (!l)
        return;
    int64_t params = 0, kept = 0;
    for (size_t i = 0; i < T->var.n; i++) {
        if (!T->var.at[i].x)
            continue;
        kept += (int64_t)lg_tensor_bytes(T->var.at[i].x);
        if (T->var.at[i].kind == LG_VAR_PARAM)
            params += (int64_t)T->var.at[i].x->n;
    }
    char seed[32], *args = lg_train_arguments(T);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)T->seed);
    whose(T, l);
    lg_log_text(l, "program", lg_source_name(T->decl->span.file));
    lg_log_text(l, "seed", seed);
    lg_log_json(l, "args", args ? args : "{}");
    lg_log_int(l, "steps", T->steps);
    lg_log_int(l, "parameters", params);
    lg_log_int(l, "kept_bytes", kept);
    lg_log_int(l, "flops", lg_step_plan_stats(p).flops);
    free(args);
    end(T->E, l);
}

/* Is this the first time that the step of the train, or of its phase, is planned? */
static bool is_first(lg_train *T, const lg_step_plan *p, bool mark) {
    lg_host *H = T->H;
    const lg_ast *what = T->phase ? T->phase : T->decl;
    if (!H->log || H->trial || p->eval)
        return false;
    for (size_t i = 0; i < H->logged.n; i++)
        if (H->logged.at[i] == what)
            return false;
    if (mark)
        LG_PUSH(H->logged, what);
    return true;
}

static void put_text(lg_train *T, const char *event, char *text) {
    if (text && strlen(text) > MOST_TEXT)
        strcpy(text + MOST_TEXT, "\n...\n");
    lg_log *l = text ? begin(T->E, event) : NULL;
    if (l) {
        whose(T, l);
        lg_log_text(l, "text", text);
        end(T->E, l);
    }
    free(text);
}

void lg_logged_graph(lg_train *T, const lg_step_plan *p, const lg_graph *g) {
    char *text = NULL;
    size_t n;
    FILE *f = is_first(T, p, false) ? open_memstream(&text, &n) : NULL;
    if (!f)
        return;
    lg_graph_print(g, f);
    fclose(f);
    put_text(T, "graph", text);
}

void lg_logged_plan(lg_train *T, const lg_step_plan *p, const lg_plan *plan) {
    char *text = NULL;
    size_t n;
    FILE *f = is_first(T, p, true) ? open_memstream(&text, &n) : NULL;
    if (!f)
        return;
    lg_plan_print(plan, f);
    fclose(f);
    char *rest = text ? strstr(text, "; ") : NULL; /* how many threads there are is no result */
    if (rest && !strncmp(text, "threads ", 8))
        memmove(text, rest + 2, strlen(rest + 2) + 1);
    put_text(T, "plan", text);
}
