/* report.c: what a run tells: the plan before it starts, progress, the log, a line at its end. */
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

/* What the limit of memory costs. */
static void again_line(const lg_plan_stats *st, FILE *out) {
    if (!st->n_again)
        return;
    char saved[32];
    scaled(saved, sizeof saved, (double)st->saved_bytes, "B");
    fprintf(out, "rematerialised %d value%s: %s saved, +%.0f %% FLOPs\n", st->n_again,
            st->n_again == 1 ? "" : "s", saved,
            100 * (double)st->more_flops / (double)(st->flops - st->more_flops));
}

/* ---- what is held as codes ---- */

typedef struct {
    const char *quantizer;
    size_t bytes;
} coded_kind;
typedef struct {
    LG_VEC(coded_kind) kind;
    LG_VEC(const char *) path;
    int64_t more; /* numbers that codes of parameters stand for, beyond their own count */
} coded_all;

static void add_coded(coded_all *all, const char *quantizer, size_t bytes) {
    for (size_t i = 0; i < all->kind.n; i++)
        if (!strcmp(all->kind.at[i].quantizer, quantizer)) {
            all->kind.at[i].bytes += bytes;
            return;
        }
    LG_PUSH(all->kind, ((coded_kind){quantizer, bytes}));
}

/* The parts of a cell that are codes: their variables follow each other. */
static void coded_of_cell(lg_train *T, const lg_cell *c, coded_all *all) {
    lg_leaf *place, *leaf;
    int n = lg_is_codes(c->now) ? 1 : lg_v_places(T->E, c->now, &place);
    for (int i = 0, k = 0; i < n; i++) {
        lg_value *v = lg_is_codes(c->now) ? c->now : place[i].value;
        int arrays = lg_v_leaves(T->E, v, &leaf);
        size_t bytes = 0;
        for (int a = 0; a < arrays; a++, k++) {
            lg_tensor *x = lg_is_codes(v) && c->var[k] >= 0 ? T->var.at[c->var[k]].x : NULL;
            bytes += x ? lg_tensor_bytes(x) : 0;
            all->more -= x && c->kind == LG_VAR_PARAM ? (int64_t)x->n : 0;
        }
        if (!lg_is_codes(v))
            continue;
        add_coded(all, v->rec.quant->quant.decl->name, bytes);
        LG_PUSH(all->path,
                lg_is_codes(c->now) ? c->path : lg_txt(T->E, "%s.%s", c->path, place[i].path));
    }
    all->more += c->kind == LG_VAR_PARAM ? c->decoded : 0;
}

static coded_all coded_of(lg_train *T, const lg_step_plan *p) {
    coded_all all = {0};
    for (size_t i = 0; i < p->b->cell.n; i++)
        if (p->b->cell.at[i].decoded)
            coded_of_cell(T, &p->b->cell.at[i], &all);
    return all;
}

static void coded_free(coded_all *all) {
    lg_free(all->kind.at);
    lg_free(all->path.at);
}

static void names(FILE *out, const char *before, size_t n, const char *const *path) {
    enum { SHOWN = 6 };
    for (size_t i = 0; i < n && i < SHOWN; i++)
        fprintf(out, "%s%s", i ? ", " : before, path[i]);
    if (n > SHOWN)
        fprintf(out, ", and %zu more", n - SHOWN);
    if (n)
        fprintf(out, "\n");
}

/* Which parameters stay codes, and which of those that came as codes are decoded. */
static void coded_line(lg_train *T, const lg_step_plan *p, FILE *out) {
    coded_all all = coded_of(T, p);
    names(out, "  held as codes: ", all.path.n, all.path.at);
    names(out, "  decoded, as they are trained: ", p->b->decoded.n, p->b->decoded.at);
    coded_free(&all);
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
    lg_plan_stats st = lg_step_plan_stats(p);
    char n[40], state[32], mem[32], peak[32], work[32];
    coded_all all_codes = coded_of(T, p);
    lg_buf codes = {0};
    for (size_t i = 0; i < all_codes.kind.n; i++) {
        scaled(work, sizeof work, (double)all_codes.kind.at[i].bytes, "B");
        lg_buf_printf(&codes, "%s%s codes %s", i ? ", " : " (", all_codes.kind.at[i].quantizer,
                      work);
    }
    if (codes.n)
        lg_buf_printf(&codes, ")");
    grouped(n, sizeof n, params + all_codes.more);
    scaled(state, sizeof state, (double)(kept[0] + kept[1] + kept[2]), "B");
    lg_train_memory all = lg_train_memory_of(T, NULL);
    all.graphs = all.data = 0; /* which depend on what ran before */
    scaled(mem, sizeof mem, (double)st.arena_bytes, "B");
    scaled(peak, sizeof peak, (double)lg_train_memory_all(&all), "B");
    scaled(work, sizeof work, (double)st.flops, "FLOP");
    fprintf(out,
            "%s%s%s: %s parameters, %s kept%s, %s workspace, %s in all, %s a step, "
            "%d kernels\n",
            T->decl->name ? T->decl->name : "train", T->phase && T->phase->name ? " " : "",
            T->phase && T->phase->name ? T->phase->name : "", n, state, codes.at ? codes.at : "",
            mem, peak, work, st.n_kernels);
    lg_buf_free(&codes);
    coded_free(&all_codes);
    again_line(&st, out);
}

/* Where the path of an optimizer's state ends and that of its leaf begins: "net.optimizer.m" of
 * "net.optimizer.m.l1.w" where net has an l1.w. */
static size_t state_name(const lg_train *T, const char *path) {
    const char *opt = strstr(path, ".optimizer");
    size_t n = strlen(path), target = opt ? (size_t)(opt - path) : 0;
    for (size_t i = 0; opt && i < T->var.n; i++) {
        const char *p = T->var.at[i].path;
        if (T->var.at[i].kind != LG_VAR_PARAM || strncmp(p, path, target) || p[target] != '.')
            continue;
        size_t leaf = strlen(p + target);
        if (n > target + leaf && !strcmp(path + n - leaf, p + target))
            return n - leaf;
    }
    return n;
}

/* The parameter that a state belongs to, with any place in a list as `[*]`: "net.blk[*].w" of
 * "net.optimizer.m.blk[3].w"; NULL: it belongs to all, as the count of updates does. */
static const char *state_owner(const lg_train *T, const char *path) {
    const char *opt = strstr(path, ".optimizer"), *leaf = path + state_name(T, path);
    if (!opt)
        return NULL;
    size_t target = (size_t)(opt - path);
    bool whole = false; /* the target is a parameter by itself */
    for (size_t i = 0; !*leaf && i < T->var.n; i++) {
        const char *p = T->var.at[i].path;
        whole = whole || (T->var.at[i].kind == LG_VAR_PARAM && strlen(p) == target &&
                          !strncmp(p, path, target));
    }
    size_t name = strlen(opt + 1) - strlen(leaf);
    bool counts = name > 2 && !strncmp(opt + 1 + name - 2, ".t", 2);
    if ((!*leaf && !whole) || counts)
        return NULL;
    lg_buf text = {0};
    lg_buf_printf(&text, "%.*s", (int)target, path);
    for (const char *c = leaf; *c; c++) {
        lg_buf_printf(&text, "%c", *c);
        if (*c == '[') {
            lg_buf_printf(&text, "*");
            c += strcspn(c, "]") - 1;
        }
    }
    const char *owner = lg_arena_printf(T->E->arena, "%s", text.at);
    lg_buf_free(&text);
    return owner;
}

/* The same bytes by what they are kept for. */
static void owner_line(lg_train *T, FILE *out) {
    const char **owner = LG_NEW_N(T->E->arena, const char *, T->var.n + 1);
    const char *before = "  for each parameter: ";
    for (size_t i = 0; i < T->var.n; i++)
        owner[i] = T->var.at[i].kind == LG_VAR_RULE && T->var.at[i].x
                       ? state_owner(T, T->var.at[i].path)
                       : NULL;
    for (size_t i = 0; i < T->var.n; i++) {
        size_t bytes = 0;
        const char *mine = owner[i];
        for (size_t k = i; mine && k < T->var.n; k++)
            if (owner[k] && !strcmp(owner[k], mine)) {
                bytes += lg_tensor_bytes(T->var.at[k].x);
                owner[k] = k == i ? mine : NULL;
            }
        if (!mine)
            continue;
        char size[32];
        scaled(size, sizeof size, (double)bytes, "B");
        fprintf(out, "%s%s %s", before, mine, size);
        before = ", ";
    }
    if (*before == ',')
        fprintf(out, "\n");
}

/* What optimizers keep from step to step, one size for each of their states. */
static void state_line(lg_train *T, FILE *out) {
    size_t *name = LG_NEW_N(T->E->arena, size_t, T->var.n + 1);
    const char *before = "  optimizer state: ";
    for (size_t i = 0; i < T->var.n; i++) {
        const char *path = T->var.at[i].path;
        name[i] = T->var.at[i].kind == LG_VAR_RULE && T->var.at[i].x ? state_name(T, path) : 0;
    }
    for (size_t i = 0; i < T->var.n; i++) {
        size_t bytes = 0, n = name[i];
        const char *path = T->var.at[i].path;
        for (size_t k = i; n && k < T->var.n; k++)
            if (name[k] == n && !strncmp(T->var.at[k].path, path, n)) {
                bytes += lg_tensor_bytes(T->var.at[k].x);
                name[k] = 0;
            }
        if (!n)
            continue;
        char size[32];
        scaled(size, sizeof size, (double)bytes, "B");
        fprintf(out, "%s%.*s %s", before, (int)n, path, size);
        before = ", ";
    }
    if (*before == ',')
        fprintf(out, "\n");
    owner_line(T, out);
}

void lg_train_begin_report(lg_train *T, lg_step_plan *p) {
    lg_host *H = T->H;
    bool told = false; /* of a train that runs again and again the plan is told once */
    const lg_ast *what = T->phase ? T->phase : T->decl;
    lg_logged_train(T, p);
    for (size_t i = 0; i < H->told.n; i++)
        told = told || H->told.at[i] == what;
    if (H->o.quiet || H->trial || told)
        return;
    LG_PUSH(H->told, what);
    plan_line(T, p, stderr);
    fprintf(stderr, "seed %llu, %lld steps\n", (unsigned long long)T->seed, (long long)T->steps);
}

void lg_train_newest(const void *train, lg_buf *text) {
    const lg_train *T = train;
    for (size_t i = 0; i < T->series.n; i++) {
        const lg_series *s = &T->series.at[i];
        bool shown = s->values.n && (s->eval || !strcmp(s->name, "loss"));
        if (shown && isfinite(s->values.at[s->values.n - 1]))
            lg_buf_printf(text, "%s%s %.4g", text->n ? "  " : "", s->name,
                          s->values.at[s->values.n - 1]);
    }
}

void lg_train_log_step(lg_train *T, double loss, bool is_eval) {
    if (!T->H->trial)
        lg_progress_step(is_eval ? T->step : T->step + 1);
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
    (is_eval ? lg_log_line : lg_log_line_soon)(&io, l);
}

/* The line that ends a program which is a train. */
void lg_train_end_report(lg_train *T) {
    bool is_program = T->at.beg == T->decl->name_span.beg && T->at.file == T->decl->name_span.file;
    if (T->H->trial || !is_program)
        return;
    printf("%s: %lld steps, %.1f s", T->decl->name ? T->decl->name : "train",
           (long long)T->run_step, lg_now() - T->started);
    for (size_t i = 0; i < T->series.n; i++)
        if (T->series.at[i].values.n)
            printf(", %s %.4g", T->series.at[i].name,
                   T->series.at[i].values.at[T->series.at[i].values.n - 1]);
    printf("\n");
    fflush(stdout);
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
    lg_train *T = lg_train_new(E, decl, env, 0, NULL, decl->name_span, false);
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
            lg_step_plan *p = lg_step_plan_for(T, NULL, NULL, rows, false, 0);
            if (p) {
                plan_line(T, p, out);
                coded_line(T, p, out);
                state_line(T, out);
            }
        }
        lg_train_free(T);
    }
    H->trial--;
    lg_host_leave(E, &c);
    return lg_host_ok(E);
}
