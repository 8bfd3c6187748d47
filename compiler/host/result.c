/* result.c: what a run gives back: its parts, states, metrics and history as a record; and the type
 * of that record before anything runs. */
#include "compiler/host/train.h"
#include "compiler/mid/model_impl.h"
#include <math.h>
#include <string.h>

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

/* The variable itself: the run is over, nothing writes to it any more. */
static lg_value *now_of(lg_train *T, const lg_value *like, int var) {
    lg_tensor *x = var >= 0 ? T->var.at[var].x : NULL;
    return x ? lg_host_const(T->E, like, x, like->at) : lg_v_copy(T->E, like);
}

/* What the quantizers have learnt, by whole path. */
static lg_held *held(lg_train *T, const lg_build *b) {
    LG_VEC(lg_leaf) all = {0};
    for (size_t k = 0; k < b->cell.n; k++) {
        const lg_cell *c = &b->cell.at[k];
        lg_leaf *leaf;
        int n = strstr(c->path, ".quantizer.") ? lg_v_leaves(T->E, c->now, &leaf) : 0;
        for (int i = 0; i < n && i < c->n; i++)
            LG_PUSH(all, ((lg_leaf){lg_joined_path(T->E, c->path, leaf[i].path),
                                    now_of(T, leaf[i].value, c->var[i])}));
    }
    lg_held *h = lg_held_new(T->E, b->quantized, all.n, all.at);
    lg_free(all.at);
    return h;
}

/* A cell with the variables' values. */
static lg_value *cell_now(lg_train *T, const lg_cell *c) {
    lg_leaf *leaf;
    int n = lg_v_leaves(T->E, c->now, &leaf);
    lg_value **now = LG_NEW_N(T->E->arena, lg_value *, n + 1);
    for (int i = 0; i < n; i++)
        now[i] = i < c->n ? now_of(T, leaf[i].value, c->var[i]) : leaf[i].value;
    return lg_v_rebuild(T->E, c->now, now);
}

/* A leaf that was held as codes. */
static lg_value *codes_now(lg_train *T, const lg_build *b, const char *path, lg_value *codes) {
    for (size_t k = 0; k < b->cell.n; k++)
        if (!strcmp(b->cell.at[k].path, path))
            return cell_now(T, &b->cell.at[k]);
    return codes;
}

static void add_parts(lg_train *T, const lg_build *b, lg_value *r) {
    lg_elab *E = T->E;
    lg_held *how = b->quantized ? held(T, b) : NULL;
    for (size_t k = 0; k < b->group.n; k++) {
        const lg_group *g = &b->group.at[k];
        lg_value **leaf = LG_NEW_N(E->arena, lg_value *, g->n + 1);
        for (int l = 0; l < g->n; l++)
            leaf[l] =
                g->leaf[l].alias >= 0 ? leaf[g->leaf[l].alias]
                : lg_is_codes(g->value[l])
                    ? codes_now(T, b, lg_txt(E, "%s.%s", g->name, g->leaf[l].path), g->value[l])
                    : now_of(T, g->value[l], g->var[l]);
        lg_value *v = g->is_param ? leaf[0] : lg_model_with(E, g->model, leaf);
        if (v->kind == LG_V_MODEL && how) {
            v->model.name = g->name;
            v->model.held = how;
        }
        lg_v_set_field(E, r, g->name, v);
    }
}

static void add_states(lg_train *T, const lg_build *b, lg_value *r) {
    lg_elab *E = T->E;
    lg_value *optimizer = lg_v_record(E, 0, T->at);
    for (size_t k = 0; k < b->cell.n; k++) {
        const lg_cell *c = &b->cell.at[k];
        lg_value *v = cell_now(T, c);
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

/* ---- what is followed ---- */

/* One that nothing was computed for: as many values as a run may have, none of them a number. */
static lg_value *no_numbers(lg_elab *E, int64_t n, lg_span at) {
    lg_tensor *x = lg_tensor_new(LG_F64, 1, &n);
    for (int64_t i = 0; i < n; i++)
        ((double *)x->data)[i] = (double)NAN;
    lg_value *v = lg_host_array(E, x, NULL, at);
    lg_tensor_release(x);
    return v;
}

/* steps: of a run whose steps are not made, which host code goes on with; -1: when it is checked.
 */
static void followed(lg_elab *E, lg_value *r, lg_value *history, lg_sym name, int64_t steps,
                     lg_span at) {
    bool check = steps < 0; /* how long it gets shows when it runs */
    lg_v_set_field(E, history, name, check ? lg_v_error(E, at) : no_numbers(E, steps, at));
    lg_v_set_field(E, r, name,
                   check ? lg_v_unknown(E, false, false, at) : lg_v_real(E, (double)NAN, at));
}

static void followed_by_eval(lg_elab *E, lg_value *r, lg_value *history, const lg_ast *eval,
                             int64_t steps) {
    const lg_ast *block = eval->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        lg_sym name = s->kind == LG_A_SETTING                               ? s->name
                      : s->kind == LG_A_LET && s->kid[0]->kind == LG_A_NAME ? s->kid[0]->name
                                                                            : NULL;
        if (name)
            followed(E, r, history, name, steps, s->span);
    }
}

static void add_series(lg_elab *E, const lg_ast *block, lg_value *r, lg_value *history,
                       int64_t steps) {
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        bool loss = lg_is_word(s, "loss") && !s->kid[LG_D_PARAMS];
        if (loss)
            followed(E, r, history, lg_intern("loss"), steps, s->span);
        if ((loss || lg_is_word(s, "metric")) && s->name)
            followed(E, r, history, s->name, steps, s->span);
        if (lg_is_word(s, "eval"))
            followed_by_eval(E, r, history, s, steps);
        if (lg_is_word(s, "phase"))
            add_series(E, s->kid[LG_D_BLOCK], r, history, steps);
    }
}

static int64_t foreseen_steps(const lg_train *T) {
    enum { MOST = 1 << 16 };
    return T->steps < 1 ? 1 : T->steps > MOST ? MOST : T->steps;
}

lg_value *lg_train_result(lg_train *T) {
    lg_elab *E = T->E;
    lg_value *r = lg_v_record(E, 0, T->at), *history = lg_v_record(E, 0, T->at);
    lg_step_plan *p = T->plans;
    while (p && p->eval)
        p = p->next;
    if (T->H->o
            .planned) /* no step was made, and what comes after the run is still to be foreseen */
        add_series(E, T->decl->kid[LG_D_BLOCK], r, history, foreseen_steps(T));
    for (size_t i = 0; i < T->series.n && !T->H->o.planned; i++) {
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
        bare = lg_build_new(T, NULL, NULL, rows, false, false);
        if (lg_build_run(bare) && lg_build_inits(bare))
            b = bare;
    }
    if (b) {
        add_parts(T, b, r);
        add_states(T, b, r);
    }
    if (bare)
        lg_build_free(bare);
    lg_v_set_field(E, r, lg_intern("history"), history);
    lg_v_set_field(E, r, lg_intern("steps"), lg_v_int(E, T->run_step, T->at));
    lg_v_set_field(E, r, lg_intern("gradients"), lg_v_int(E, T->gradients, T->at));
    lg_v_set_field(E, r, lg_intern("seconds"), lg_v_real(E, lg_now() - T->started, T->at));
    lg_train_end_report(T);
    return r;
}

/* ---- its type, for checking what is done with it ---- */

static const lg_ast *last_phase(const lg_ast *decl) {
    const lg_ast *block = decl->kid[LG_D_BLOCK], *phase = NULL;
    for (uint32_t i = 0; block && i < block->n; i++)
        if (lg_is_word(block->kid[i], "phase"))
            phase = block->kid[i];
    return phase;
}

static bool has_unknown_data(const lg_train *T) {
    for (size_t i = 0; i < T->feed.n; i++)
        if (T->feed.at[i].data->src->unknown)
            return true;
    return false;
}

/* The body is elaborated once more, silently: what is wrong in it is told where it is declared. */
lg_value *lg_train_result_type(lg_train *T) {
    lg_elab *E = T->E;
    lg_value *r = lg_v_record(E, 0, T->at), *history = lg_v_record(E, 0, T->at);
    add_series(E, T->decl->kid[LG_D_BLOCK], r, history, -1);
    size_t trouble = lg_diags_trouble(E->diags);
    E->diags->muted++;
    T->phase = last_phase(T->decl);
    lg_train_settings(T, T->phase, &T->set);
    bool known = lg_train_feeds(T) && !has_unknown_data(T);
    lg_build *b = known ? lg_build_new(T, NULL, NULL, NULL, false, false) : NULL;
    known = b && lg_build_run(b) && lg_diags_trouble(E->diags) == trouble;
    if (known) {
        add_parts(T, b, r);
        add_states(T, b, r);
    }
    if (b)
        lg_build_free(b);
    E->diags->muted--;
    if (!known)
        return lg_v_error(E, T->at);
    lg_v_set_field(E, r, lg_intern("history"), history);
    lg_v_set_field(E, r, lg_intern("steps"), lg_v_unknown(E, true, false, T->at));
    lg_v_set_field(E, r, lg_intern("gradients"), lg_v_unknown(E, true, false, T->at));
    lg_v_set_field(E, r, lg_intern("seconds"), lg_v_unknown(E, false, false, T->at));
    return r;
}
