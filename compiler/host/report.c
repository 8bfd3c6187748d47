/* report.c: what a run tells: the plan before it starts, progress, the log, its result as a value.
 */
#include "compiler/host/train.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void grouped(char *out, size_t room, int64_t v) {
    char digits[32];
    snprintf(digits, sizeof digits, "%lld", (long long)v);
    size_t n = strlen(digits), k = 0;
    for (size_t i = 0; i < n && k + 2 < room; i++) {
        out[k++] = digits[i];
        if ((n - 1 - i) % 3 == 0 && i + 1 < n)
            out[k++] = ' ';
    }
    out[k] = 0;
}

static void scaled(char *out, size_t room, double v, const char *unit) {
    static const char *const prefix[] = {"", "k", "M", "G", "T"};
    size_t i = 0;
    for (; v >= 1000 && i + 1 < LG_COUNT(prefix); i++)
        v /= 1000;
    snprintf(out, room, v >= 100 || i == 0 ? "%.0f %s%s" : "%.1f %s%s", v, prefix[i], unit);
}

static void plan_line(lg_train *T, lg_step_plan *p, FILE *out) {
    int64_t params = 0;
    size_t kept[3] = {0, 0, 0};
    for (size_t i = 0; i < T->var.n; i++)
        if (T->var.at[i].x) {
            kept[T->var.at[i].kind] += lg_tensor_bytes(T->var.at[i].x);
            if (T->var.at[i].kind == LG_VAR_PARAM)
                params += (int64_t)T->var.at[i].x->n;
        }
    lg_plan_stats st = lg_plan_get_stats(p->plan);
    char n[40], state[32], mem[32], work[32];
    grouped(n, sizeof n, params);
    scaled(state, sizeof state, (double)(kept[0] + kept[1] + kept[2]), "B");
    scaled(mem, sizeof mem, (double)st.arena_bytes, "B");
    scaled(work, sizeof work, (double)st.flops, "FLOP");
    fprintf(out, "%s%s%s: %s parameters, %s kept, %s workspace, %s a step, %d kernels\n",
            T->decl->name ? T->decl->name : "train", T->phase && T->phase->name ? " " : "",
            T->phase && T->phase->name ? T->phase->name : "", n, state, mem, work, st.n_kernels);
}

void lg_train_begin_report(lg_train *T, lg_step_plan *p) {
    if (T->H->o.quiet || T->H->trial)
        return;
    plan_line(T, p, stderr);
    fprintf(stderr, "seed %llu, %lld steps\n", (unsigned long long)T->seed, (long long)T->steps);
}

void lg_train_log_step(lg_train *T, double loss, bool is_eval) {
    lg_buf text = {0};
    if (isfinite(loss))
        lg_buf_printf(&text, "loss %.4g", loss);
    for (size_t i = 0; i < T->series.n; i++)
        if (T->series.at[i].eval && isfinite(T->series.at[i].last))
            lg_buf_printf(&text, "  %s %.4g", T->series.at[i].name, T->series.at[i].last);
    if (!T->H->trial && !is_eval)
        lg_progress_step(T->step + 1, text.at);
    lg_buf_free(&text);
    lg_log *l = T->H->log;
    if (!l)
        return;
    lg_io io = lg_host_io(T->E, T->at);
    lg_log_text(l, "train", T->decl->name ? T->decl->name : "");
    if (T->phase && T->phase->name)
        lg_log_text(l, "phase", T->phase->name);
    lg_log_int(l, "step", is_eval ? T->run_step : T->run_step + 1);
    lg_log_int(l, "epoch", T->epoch);
    if (!is_eval && loss - loss == 0)
        lg_log_real(l, "loss", loss, false);
    for (size_t i = 0; i < T->series.n; i++) {
        const lg_series *s = &T->series.at[i];
        if (s->eval == is_eval && s->values.n && strcmp(s->name, "loss") != 0)
            lg_log_real(l, s->name, s->values.at[s->values.n - 1], false);
    }
    lg_log_real(l, "seconds", lg_now() - T->started, true);
    lg_log_line(&io, l);
}

/* ---- the result ---- */

static lg_value *array_of(lg_elab *E, const lg_series *s, lg_span at) {
    lg_tensor *x = lg_tensor_new(LG_F64, 1, (int64_t[]){(int64_t)s->values.n});
    if (s->values.n)
        memcpy(x->data, s->values.at, sizeof(double) * s->values.n);
    lg_value *v = lg_host_array(E, x, NULL, at);
    lg_tensor_release(x);
    return v;
}

/* Puts v at a path of names: "m.l1.w" makes records on the way. */
static void put_path(lg_elab *E, lg_value *r, const char *path, lg_value *v, lg_span at) {
    size_t n = strcspn(path, ".");
    lg_sym name = lg_intern_n(path, n);
    if (!path[n]) {
        lg_v_set_field(E, r, name, v);
        return;
    }
    lg_value *inner = lg_v_field(r, name);
    if (!inner || inner->kind != LG_V_RECORD) {
        inner = lg_v_record(E, 0, at);
        lg_v_set_field(E, r, name, inner);
    }
    put_path(E, inner, path + n + 1, v, at);
}

static lg_value *now_of(lg_train *T, const lg_value *like, int var) {
    lg_tensor *x = var >= 0 ? T->var.at[var].x : NULL;
    return x ? lg_host_copy(T->E, like, x) : lg_v_copy(T->E, like);
}

static void add_parts(lg_train *T, const lg_build *b, lg_value *r) {
    lg_elab *E = T->E;
    for (size_t k = 0; k < b->group.n; k++) {
        const lg_group *g = &b->group.at[k];
        lg_value **leaf = LG_NEW_N(E->arena, lg_value *, g->n + 1);
        for (int l = 0; l < g->n; l++)
            leaf[l] =
                g->leaf[l].alias >= 0 ? leaf[g->leaf[l].alias] : now_of(T, g->value[l], g->var[l]);
        lg_v_set_field(E, r, g->name, g->is_param ? leaf[0] : lg_model_with(E, g->model, leaf));
    }
}

static void add_states(lg_train *T, const lg_build *b, lg_value *r) {
    lg_elab *E = T->E;
    lg_value *optimizer = lg_v_record(E, 0, T->at);
    for (size_t k = 0; k < b->cell.n; k++) {
        const lg_cell *c = &b->cell.at[k];
        lg_leaf *leaf;
        int n = lg_v_leaves(E, c->now, &leaf);
        lg_value **now = LG_NEW_N(E->arena, lg_value *, n + 1);
        for (int i = 0; i < n; i++)
            now[i] = i < c->n ? now_of(T, leaf[i].value, c->var[i]) : leaf[i].value;
        lg_value *v = lg_v_rebuild(E, c->now, now);
        const char *opt = c->kind == LG_VAR_RULE ? strstr(c->path, ".optimizer") : NULL;
        if (opt) {
            const char *rest = strchr(opt + 1, '.');
            if (rest)
                put_path(E, optimizer, rest + 1, v, T->at);
        } else if (!strchr(c->path, '.')) {
            lg_v_set_field(E, r, lg_intern(c->path), v);
        }
    }
    lg_v_set_field(E, r, lg_intern("optimizer"), optimizer);
}

lg_value *lg_train_result(lg_train *T) {
    lg_elab *E = T->E;
    lg_value *r = lg_v_record(E, 0, T->at), *history = lg_v_record(E, 0, T->at);
    lg_step_plan *p = T->plans;
    while (p && p->eval)
        p = p->next;
    for (size_t i = 0; i < T->series.n; i++) {
        const lg_series *s = &T->series.at[i];
        lg_v_set_field(E, history, s->name, array_of(E, s, T->at));
        if (s->values.n)
            lg_v_set_field(E, r, s->name, lg_v_real(E, s->values.at[s->values.n - 1], T->at));
    }
    lg_build *bare = NULL;
    const lg_build *b = p ? p->b : NULL;
    if (!b) { /* no step was made: the first values */
        int64_t rows[16];
        for (size_t i = 0; i < T->feed.n; i++)
            rows[i] = lg_data_batch(T->feed.at[i].data);
        bare = lg_build_new(T, NULL, NULL, rows, false);
        if (lg_build_run(bare) && lg_build_inits(bare))
            b = bare;
    }
    if (b) {
        add_parts(T, b, r);
        add_states(T, b, r);
    }
    if (bare)
        lg_build_free(bare);
    double seconds = lg_now() - T->started;
    lg_v_set_field(E, r, lg_intern("history"), history);
    lg_v_set_field(E, r, lg_intern("steps"), lg_v_int(E, T->run_step, T->at));
    lg_v_set_field(E, r, lg_intern("gradients"), lg_v_int(E, T->gradients, T->at));
    lg_v_set_field(E, r, lg_intern("seconds"), lg_v_real(E, seconds, T->at));
    if (!T->H->trial && T->at.beg == T->decl->name_span.beg &&
        T->at.file == T->decl->name_span.file) { /* it is the program */
        printf("%s: %lld steps, %.1f s", T->decl->name ? T->decl->name : "train",
               (long long)T->run_step, seconds);
        for (size_t i = 0; i < T->series.n; i++)
            if (T->series.at[i].values.n)
                printf(", %s %.4g", T->series.at[i].name,
                       T->series.at[i].values.at[T->series.at[i].values.n - 1]);
        printf("\n");
        fflush(stdout);
    }
    return r;
}

bool lg_train_predict(lg_elab *E, const lg_ast *decl, lg_frame *env, FILE *out) {
    lg_host *H = lg_host_of(E);
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (!params->kid[i]->kid[2])
            return true; /* nothing is known without its arguments */
    lg_context c = lg_host_enter(E, H->keep, true);
    E->step = &H->step;
    H->trial++;
    lg_train *T = lg_train_new(E, decl, env, 0, NULL, decl->name_span);
    if (T) {
        const lg_ast *block = decl->kid[LG_D_BLOCK];
        for (uint32_t i = 0; block && i < block->n && !T->phase; i++)
            if (lg_is_word(block->kid[i], "phase"))
                T->phase = block->kid[i];
        lg_train_settings(T, T->phase, &T->set);
        if (lg_train_feeds(T)) {
            int64_t rows[16];
            for (size_t i = 0; i < T->feed.n; i++)
                rows[i] = lg_data_batch(T->feed.at[i].data);
            lg_step_plan *p = lg_step_plan_for(T, NULL, NULL, rows, false);
            if (p)
                plan_line(T, p, out);
        }
        lg_train_free(T);
    }
    H->trial--;
    lg_host_leave(E, &c);
    return lg_host_ok(E);
}
