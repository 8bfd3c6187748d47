/* kept.c: what lives from step to step, as a step sees it: parts, params and states of the train,
 * hidden state of models and optimizers. Each is an input of the step; next values are given in
 * update.c. */
#include "compiler/host/train.h"
#include <string.h>

lg_value *lg_build_leaf(lg_build *b, const char *path, lg_value *init, lg_var_kind kind, int *var) {
    lg_elab *E = b->E;
    lg_span at = init->at;
    *var = -1;
    init = lg_arrayed(E, init, at);
    if (init->kind == LG_V_NUM)
        init = lg_to_tensor(E, init, LG_NO_DTYPE, at);
    if (init->kind != LG_V_TENSOR) {
        if (init->kind != LG_V_ERROR && init->kind != LG_V_OPAQUE)
            lg_err(E, "E0426", at, "`%s` cannot be kept from step to step: it is %s", path,
                   lg_v_type_text(E, init));
        return init;
    }
    lg_value *v = lg_v_copy(E, init);
    v->t.weak = false;
    v->weight = NULL;
    if (!b->g)
        return v;
    lg_node *first = lg_node_as(E, init, 0, NULL, init->t.rank, init->t.dim, at);
    *var = lg_train_var(b->T, lg_intern(path), kind);
    b->T->var.at[*var].kind = kind; /* one that was read from a save did not say */
    v->t.node = lg_build_input(b, first->type[0],
                               (lg_slot){.kind = LG_S_VAR, .index = *var, .init = first}, at);
    return v;
}

/* ---- hidden state ---- */

static lg_cell *find_cell(lg_build *b, const char *path) {
    for (size_t i = 0; i < b->cell.n; i++)
        if (!strcmp(b->cell.at[i].path, path))
            return &b->cell.at[i];
    return NULL;
}

static lg_value *cell_get(lg_build *b, const char *path, lg_value *init, lg_var_kind kind) {
    lg_cell *c = find_cell(b, path);
    if (c)
        return c->now;
    lg_elab *E = b->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, init, &leaf);
    lg_cell new = {.path = path, .n = n, .kind = kind};
    new.var = LG_NEW_N(E->arena, int, n + 1);
    lg_value **now = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int i = 0; i < n; i++)
        now[i] = lg_build_leaf(b, *leaf[i].path ? lg_txt(E, "%s.%s", path, leaf[i].path) : path,
                               leaf[i].value, kind, &new.var[i]);
    new.now = lg_v_rebuild(E, init, now);
    LG_PUSH(b->cell, new);
    return new.now;
}

static void cell_set(lg_build *b, const char *path, lg_value *next) {
    lg_cell *c = find_cell(b, path);
    if (c && !b->eval) {
        c->now = next;
        c->written = true;
    }
}

static lg_value *rule_get(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    (void)E;
    return cell_get(s->ctx, path, init, LG_VAR_RULE);
}

static lg_value *state_get(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    (void)E;
    return cell_get(s->ctx, path, init, LG_VAR_STATE);
}

static void store_set(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    (void)E;
    cell_set(s->ctx, path, next);
}

/* ---- parts, params, states ---- */

void lg_step_name(lg_build *b, lg_sym name, lg_value *v, lg_span at) {
    lg_binding *x = lg_find_local(b->f, name, false);
    if (x && x->state != LG_B_VALUE) {
        x->value = v;
        x->state = LG_B_VALUE;
    } else if (!x) {
        lg_bind(b->E, b->f, name, v, at);
    }
}

static void known_state(lg_build *b, const char *path, lg_value *now, int var) {
    lg_cell c = {.path = path, .now = now, .n = 1, .kind = LG_VAR_STATE};
    c.var = LG_NEW(b->E->arena, int);
    c.var[0] = var;
    LG_PUSH(b->cell, c);
}

/* How many numbers the codes of v stand for. */
static int64_t decoded(lg_elab *E, lg_value *v) {
    lg_leaf *place;
    int64_t all = 0, size;
    int n = lg_is_codes(v) ? 1 : lg_v_places(E, v, &place);
    for (int i = 0; i < n; i++) {
        lg_value *codes = lg_is_codes(v) ? v : place[i].value;
        lg_value *x = lg_is_codes(codes) ? lg_quant_decoded(E, codes, codes->at) : codes;
        int64_t one = lg_is_codes(codes) && x->kind == LG_V_TENSOR;
        for (int d = 0; one && d < x->t.rank; d++)
            one *= lg_dim_value(x->t.dim[d], &size) ? size : 0;
        all += one;
    }
    return all;
}

/* A state or parameter that stays as it is, with codes where there are codes. */
static lg_value *held(lg_build *b, const char *path, lg_value *codes, lg_var_kind kind) {
    lg_value *now = cell_get(b, path, codes, kind);
    find_cell(b, path)->decoded = b->g ? decoded(b->E, codes) : 0;
    return now;
}

/* Does the train itself, and not some phase, freeze that path? */
static bool is_frozen(lg_build *b, const char *path) {
    const lg_ast *block = b->T->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++)
        for (uint32_t j = 0; block->kid[i]->kind == LG_A_FREEZE && j < block->kid[i]->n; j++) {
            const char *sel = lg_selector_text(b->E, block->kid[i]->kid[j], "freeze");
            if (sel && lg_path_matches(sel, path))
                return true;
        }
    return false;
}

static void add_part(lg_build *b, const lg_ast *s) {
    lg_elab *E = b->E;
    lg_value *m = lg_host_part(E, b->f, s);
    if (m->kind != LG_V_MODEL) {
        if (m->kind != LG_V_ERROR)
            lg_err(E, "E0331", s->span, "a part is a model, got %s", lg_v_type_text(E, m));
        lg_step_name(b, s->name, lg_v_error(E, s->span), s->name_span);
        return;
    }
    lg_model_set_name(E, m, s->name);
    lg_group g = {.name = s->name, .at = s->name_span};
    g.n = lg_model_leaves(E, m, &g.leaf);
    g.value = LG_NEW_N(E->arena, lg_value *, g.n + 1);
    g.next = LG_NEW_N(E->arena, lg_value *, g.n + 1);
    g.var = LG_NEW_N(E->arena, int, g.n + 1);
    g.frozen = LG_NEW_N(E->arena, bool, g.n + 1);
    for (int i = 0; i < g.n; i++) {
        const lg_model_leaf *l = &g.leaf[i];
        if (l->alias >= 0) {
            g.value[i] = g.value[l->alias];
            g.var[i] = -1;
            continue;
        }
        const char *path = lg_txt(E, "%s.%s", s->name, l->path);
        lg_value *first = m->model.leaf && m->model.leaf[i] ? m->model.leaf[i] : l->init;
        if (lg_is_codes(first) && is_frozen(b, path)) {
            g.value[i] = held(b, path, first, LG_VAR_PARAM);
            g.var[i] = -1;
            continue;
        }
        if (lg_is_codes(first)) { /* what is trained starts where the codes are */
            first = lg_quant_decoded(E, first, l->at);
            LG_PUSH(b->decoded, path);
        }
        g.value[i] =
            lg_build_leaf(b, path, first, l->is_state ? LG_VAR_STATE : LG_VAR_PARAM, &g.var[i]);
        if (l->is_state)
            known_state(b, path, g.value[i], g.var[i]);
    }
    g.model = lg_model_with(E, m, g.value);
    LG_PUSH(b->group, g);
    lg_step_name(b, s->name, g.model, s->name_span);
}

static void add_param(lg_build *b, const lg_ast *s) {
    lg_elab *E = b->E;
    lg_value *init = lg_initial(E, b->f, s);
    lg_group g = {.name = s->name, .at = s->name_span, .is_param = true, .n = 1};
    g.leaf = LG_NEW(E->arena, lg_model_leaf);
    g.leaf[0] = (lg_model_leaf){.path = "", .alias = -1, .at = s->name_span, .init = init};
    g.value = LG_NEW(E->arena, lg_value *);
    g.next = LG_NEW(E->arena, lg_value *);
    g.var = LG_NEW(E->arena, int);
    g.frozen = LG_NEW(E->arena, bool);
    g.value[0] = lg_build_leaf(b, s->name, init, LG_VAR_PARAM, &g.var[0]);
    g.model = g.value[0];
    LG_PUSH(b->group, g);
    lg_step_name(b, s->name, g.value[0], s->name_span);
}

static void add_state(lg_build *b, const lg_ast *s) {
    lg_elab *E = b->E;
    bool stays = !lg_find_local(b->f, s->name, true); /* nothing primes it */
    lg_value *init = stays ? lg_initial_held(E, b->f, s) : lg_initial(E, b->f, s);
    if (init->kind == LG_V_ERROR) {
        lg_step_name(b, s->name, init, s->name_span);
    } else if (init->kind == LG_V_MODEL) { /* in codes */
        lg_value *rec = held(b, s->name, lg_model_held(E, init), LG_VAR_STATE);
        lg_step_name(b, s->name, lg_model_at(E, init, rec, s->span), s->name_span);
    } else {
        lg_step_name(b, s->name, cell_get(b, s->name, init, LG_VAR_STATE), s->name_span);
    }
}

void lg_build_stores(lg_build *b) {
    b->store = (lg_store){.get = rule_get, .set = store_set, .ctx = b};
    b->states = (lg_store){.get = state_get, .set = store_set, .ctx = b};
}

void lg_build_keep(lg_build *b, const lg_ast *s) {
    if (!lg_declares_one(b->E, s))
        lg_step_name(b, s->name, lg_v_error(b->E, s->name_span), s->name_span);
    else if (lg_guarded_out(b->E, b->f, s))
        lg_step_name(b, s->name, lg_v_new(b->E, LG_V_NONE, s->name_span), s->name_span);
    else if (lg_is_word(s, "part"))
        add_part(b, s);
    else if (lg_is_word(s, "param"))
        add_param(b, s);
    else
        add_state(b, s);
}
