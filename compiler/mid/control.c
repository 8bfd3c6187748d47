/* control.c: choices: `if` and `when`. A static condition keeps one branch; a run-time scalar runs
 * one of two graphs; an array selects, and derivatives outside of its branch are exact zeros. Not
 * for loops (scan.c). */
#include "compiler/mid/grad.h"
#include "compiler/mid/nest.h"
#include "compiler/mid/uncovered.h"
#include <string.h>

/* ---- structures of two branches ---- */

static lg_value *as_record(lg_elab *E, lg_value *v) {
    v = lg_schedule_now(E, v);
    if (v->kind == LG_V_MODEL)
        return lg_model_record(E, v);
    return lg_arrays_within(E, v, v->at);
}

static bool same_static(const lg_value *a, const lg_value *b) {
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case LG_V_STR:
        return a->str && b->str && !strcmp(a->str, b->str);
    case LG_V_FN:
        return a->fn.decl == b->fn.decl && a->fn.env == b->fn.env;
    case LG_V_BUILTIN:
        return a->builtin == b->builtin;
    case LG_V_DTYPE:
        return a->dtype == b->dtype;
    case LG_V_SELECTOR:
        return !strcmp(a->str, b->str);
    case LG_V_OPAQUE:
        return a->opaque.shape == b->opaque.shape;
    case LG_V_RULE:
        return a->rule.ident == b->rule.ident;
    case LG_V_NONE:
        return true;
    default:
        return false;
    }
}

/* Leaves of both sides in pairs; -1 after reporting. */
static int pairs(lg_elab *E, lg_value *a, lg_value *b, lg_leaf **la, lg_leaf **lb, lg_span at) {
    int n = lg_v_leaves(E, a, la), m = lg_v_leaves(E, b, lb);
    for (int i = 0; i < n || i < m; i++)
        if (i >= n || i >= m || strcmp((*la)[i].path, (*lb)[i].path)) {
            lg_diag *d = lg_err(E, "E0227", at, "one side gives %s, the other %s",
                                lg_v_type_text(E, a), lg_v_type_text(E, b));
            const char *path = i < n ? (*la)[i].path : (*lb)[i].path;
            if (*path)
                lg_diag_note(d, "`%s` stands in only one of them", path);
            return -1;
        }
    for (int i = 0; i < n; i++) {
        lg_value *x = (*la)[i].value, *y = (*lb)[i].value;
        bool plain = lg_is_plain(x) && lg_is_plain(y);
        if (plain || same_static(x, y) || x->kind == LG_V_ERROR || y->kind == LG_V_ERROR ||
            x->kind == LG_V_OPAQUE || y->kind == LG_V_OPAQUE)
            continue;
        lg_diag *d = lg_err(E, "E0228", at,
                            "a condition known only at run time cannot choose between %s and %s",
                            lg_v_type_text(E, x), lg_v_type_text(E, y));
        lg_diag_help(d, "both sides must be numbers, arrays or records of them");
        return -1;
    }
    return n;
}

static bool same_number(const lg_value *a, const lg_value *b) {
    return a->kind == LG_V_NUM && b->kind == LG_V_NUM && a->num.known && b->num.known &&
           a->num.is_bool == b->num.is_bool && a->num.is_int == b->num.is_int &&
           (a->num.is_int || a->num.is_bool ? a->num.i == b->num.i
                                            : !(a->num.d < b->num.d) && !(a->num.d > b->num.d));
}

/* What does not depend on the choice stays what it is. */
static bool settled(const lg_value *a, const lg_value *b) {
    return !lg_is_plain(a) || !lg_is_plain(b) || same_number(a, b) ||
           (a->kind == LG_V_TENSOR && b->kind == LG_V_TENSOR && a->t.node &&
            a->t.node == b->t.node);
}

/* The value that stands for both in check mode. */
static lg_value *joined_type(lg_elab *E, lg_value *a, lg_value *b, lg_span at) {
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    lg_leaf *la, *lb;
    int n = pairs(E, a, b, &la, &lb, at);
    if (n < 0)
        return lg_v_error(E, at);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        lg_value *x = la[i].value, *y = lb[i].value;
        lg_joined t;
        if (settled(x, y)) {
            out[i] = y->kind == LG_V_OPAQUE || y->kind == LG_V_ERROR ? y : x;
            continue;
        }
        if (!lg_join(E, x, y, &t, at))
            return lg_v_error(E, at);
        out[i] = lg_as_joined(E, x, &t, at);
    }
    lg_value *r = lg_v_copy(E, lg_v_rebuild(E, a, out));
    r->at = at;
    return r;
}

/* ---- one of two graphs ---- */

typedef struct {
    lg_graph *g;
    lg_nest nest;
    lg_layer store, states;
    lg_value *v;
} branch;

static void open_branch(lg_elab *E, branch *b, lg_outside *o) {
    *b = (branch){.g = lg_graph_new(E->g)};
    *o = lg_nest_enter(E, &b->nest, b->g);
    if (E->store) {
        lg_layer_init(&b->store, E->store, &b->nest);
        E->store = &b->store.base;
    }
    if (E->states) {
        lg_layer_init(&b->states, E->states, &b->nest);
        E->states = &b->states.base;
    }
}

static void close_branch(branch *b) {
    lg_free(b->nest.pair.at);
    lg_free(b->nest.first.at);
    lg_free(b->store.row.at);
    lg_free(b->states.row.at);
}

/* Paths that one of the branches wrote, each once. */
static int written(lg_elab *E, lg_layer *a, lg_layer *b, const char ***out) {
    *out = LG_NEW_N(E->arena, const char *, a->row.n + b->row.n + 1);
    int n = 0;
    for (int k = 0; k < 2; k++) {
        lg_layer *l = k ? b : a;
        for (size_t i = 0; i < l->row.n; i++) {
            bool old = l->row.at[i].now == l->row.at[i].first;
            for (int j = 0; j < n; j++)
                old = old || !strcmp((*out)[j], l->row.at[i].path);
            if (!old)
                (*out)[n++] = l->row.at[i].path;
        }
    }
    return n;
}

/* Both values as a record {value, the states written}, so that all leave together. */
static lg_value *bundle(lg_elab *E, lg_value *v, int n, const char *const *path, lg_layer *own,
                        const lg_layer *other, int m, const char *const *path2, lg_layer *own2,
                        const lg_layer *other2) {
    lg_value *r = lg_v_record(E, 1 + n + m, v->at);
    r->rec.f[0].value = v;
    for (int i = 0; i < n; i++)
        r->rec.f[1 + i].value = lg_layer_now(own, other, path[i]);
    for (int i = 0; i < m; i++)
        r->rec.f[1 + n + i].value = lg_layer_now(own2, other2, path2[i]);
    for (int i = 0; i < r->rec.n; i++) /* items, not a list: numbers of a list are one leaf */
        r->rec.f[i].name = lg_intern(lg_txt(E, "[%d]", i));
    return r;
}

/* A few operations on scalars: cheaper to do both than to branch. */
static bool is_small(const lg_graph *g) {
    size_t work = 0;
    if (g->effect.n)
        return false;
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_INPUT || n->op->cls == LG_C_CONST)
            continue;
        if ((n->op->cls != LG_C_ELEM && n->op->cls != LG_C_CAST) || n->type[0].rank || ++work > 24)
            return false;
    }
    for (size_t i = 0; i < g->output.n; i++)
        if (g->output.at[i].node->type[0].rank)
            return false;
    return true;
}

/* The outputs of a branch in the graph around it; what it reads is guarded by the condition. */
static lg_node **inlined(lg_elab *E, branch *b, lg_node *cond, lg_span at) {
    lg_node **map = lg_alloc((b->g->node.n + 1) * sizeof *map);
    const lg_op *guard = lg_op_find("guard");
    for (size_t i = 0; i < b->nest.pair.n; i++) {
        lg_node *x = b->nest.pair.at[i].outer;
        bool real = lg_dtype_is_float(x->type[0].dtype) && !x->type[0].rank;
        lg_node *two[2] = {x, cond};
        map[b->nest.pair.at[i].inner->id] = real ? lg_g_elem(E->g, guard, 2, two, at) : x;
    }
    size_t n = b->g->output.n;
    lg_node **out = LG_NEW_N(E->arena, lg_node *, n + 1);
    for (size_t i = 0; i < n; i++)
        out[i] = b->g->output.at[i].node;
    lg_graph_copy(E->g, b->g, map, (int)n, out);
    for (size_t i = 0; i < n; i++)
        out[i] = map[out[i]->id];
    lg_free(map);
    return out;
}

/* Both branches get the captures of both, in one order; in[1..] are these nodes outside. */
static size_t share_inputs(lg_elab *E, branch *b, lg_node ***in) {
    size_t n = 0;
    *in = LG_NEW_N(E->arena, lg_node *, b[0].nest.pair.n + b[1].nest.pair.n + 1);
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < b[k].nest.pair.n; i++) {
            size_t j = 0;
            while (j < n && (*in)[j + 1] != b[k].nest.pair.at[i].outer)
                j++;
            if (j == n)
                (*in)[++n] = b[k].nest.pair.at[i].outer;
        }
    for (int k = 0; k < 2; k++) {
        lg_node **slot = LG_NEW_N(E->arena, lg_node *, n + 1);
        for (size_t j = 0; j < n; j++) {
            lg_node *outer = (*in)[j + 1];
            for (size_t i = 0; i < b[k].nest.pair.n; i++)
                if (b[k].nest.pair.at[i].outer == outer)
                    slot[j] = b[k].nest.pair.at[i].inner;
            if (!slot[j])
                slot[j] = lg_g_input(b[k].g, outer->type[0], outer->span);
        }
        assert(b[k].g->input.n == n);
        for (size_t j = 0; j < n; j++) {
            b[k].g->input.at[j] = slot[j];
            slot[j]->attr.slot = (int)j;
        }
    }
    return n;
}

static lg_node **choose(lg_elab *E, branch *b, lg_node *cond, lg_span at) {
    size_t n = b[0].g->output.n;
    lg_node **out = LG_NEW_N(E->arena, lg_node *, n + 1);
    if (is_small(b[0].g) && is_small(b[1].g)) {
        lg_node *other = lg_g_elem(E->g, lg_op_find("not"), 1, &cond, at);
        lg_node **x = inlined(E, &b[0], cond, at), **y = inlined(E, &b[1], other, at);
        for (size_t i = 0; i < n; i++) {
            lg_node *in[3] = {cond, x[i], y[i]};
            out[i] = lg_g_elem(E->g, lg_op_find("where"), 3, in, at);
        }
        return out;
    }
    lg_node **in;
    size_t n_in = share_inputs(E, b, &in);
    in[0] = cond;
    lg_cond_attr attr = {b[0].g, b[1].g};
    lg_node *node = lg_g_cond(E->g, &attr, (int)n_in + 1, in, at);
    for (size_t i = 0; i < n; i++)
        out[i] = lg_g_item(E->g, node, (int)i);
    return out;
}

static lg_value *cond_run(lg_elab *E, lg_value *c, lg_branch_fn fn[2], void *ctx, lg_span at) {
    branch b[2];
    lg_outside o;
    for (int k = 0; k < 2; k++) {
        open_branch(E, &b[k], &o);
        lg_value *v = fn[k](E, ctx);
        b[k].v = v->kind == LG_V_LIST ? lg_arrayed(E, v, at) : as_record(E, v);
        lg_nest_leave(E, &o);
    }
    lg_value *r = lg_v_error(E, at);
    const char **path, **path2;
    int n = written(E, &b[0].store, &b[1].store, &path);
    int m = written(E, &b[0].states, &b[1].states, &path2);
    if (E->store) { /* exclusive applications count as one place */
        struct lg_place *first = b[0].store.base.places;
        E->store->places = first != E->store->places ? first : b[1].store.base.places;
    }
    lg_value *side[2];
    bool ok = b[0].v->kind != LG_V_ERROR && b[1].v->kind != LG_V_ERROR;
    for (int k = 0; ok && k < 2; k++)
        side[k] = bundle(E, b[k].v, n, path, &b[k].store, &b[!k].store, m, path2, &b[k].states,
                         &b[!k].states);
    lg_leaf *leaf[2];
    int count = ok ? pairs(E, side[0], side[1], &leaf[0], &leaf[1], at) : -1;
    lg_joined *type = LG_NEW_N(E->arena, lg_joined, count > 0 ? count : 1);
    for (int i = 0; i < count; i++)
        if (!settled(leaf[0][i].value, leaf[1][i].value) &&
            !lg_join(E, leaf[0][i].value, leaf[1][i].value, &type[i], at))
            count = -1;
    for (int k = 0; count >= 0 && k < 2; k++) {
        o = lg_nest_enter(E, &b[k].nest, b[k].g);
        for (int i = 0; i < count; i++)
            if (!settled(leaf[0][i].value, leaf[1][i].value)) {
                lg_value *x = lg_as_joined(E, leaf[k][i].value, &type[i], at);
                if (x->kind == LG_V_TENSOR)
                    lg_g_output(b[k].g, lg_import(E, x->t.node), -1, NULL);
                else
                    count = -1;
            }
        lg_nest_leave(E, &o);
    }
    if (count >= 0) {
        lg_node **out = choose(E, b, lg_import(E, c->t.node), at);
        lg_value **v = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
        size_t k = 0;
        for (int i = 0; i < count; i++) {
            v[i] = leaf[0][i].value;
            if (settled(v[i], leaf[1][i].value))
                continue;
            const lg_joined *t = &type[i];
            v[i] = lg_v_open(E, t->dtype, t->n_open, t->open, t->rank, t->dim, out[k++], at);
            v[i]->t.weak = t->weak;
            v[i]->t.bound = t->bound;
        }
        lg_value *all = lg_v_rebuild(E, side[0], v);
        r = lg_v_copy(E, all->rec.f[0].value);
        r->at = at;
        for (int i = 0; i < n; i++)
            E->store->set(E->store, E, path[i], all->rec.f[1 + i].value);
        for (int i = 0; i < m; i++)
            E->states->set(E->states, E, path2[i], all->rec.f[1 + n + i].value);
    }
    close_branch(&b[0]);
    close_branch(&b[1]);
    return r;
}

lg_value *lg_cond(lg_elab *E, lg_value *c, lg_branch_fn then_, lg_branch_fn else_, void *ctx,
                  lg_span at) {
    lg_branch_fn fn[2] = {then_, else_};
    if (!LG_CHECKING(E))
        return cond_run(E, c, fn, ctx, at);
    lg_value *a = as_record(E, then_(E, ctx));
    return joined_type(E, a, as_record(E, else_(E, ctx)), at);
}

/* ---- lanes ---- */

/* c and the condition outside of it, where both can be said in one. */
static lg_value *narrowed(lg_elab *E, lg_value *outer, lg_value *c) {
    if (!outer)
        return c;
    E->diags->muted++;
    lg_value *both = lg_binary(E, "and", outer, c, c->at);
    E->diags->muted--;
    return both->kind == LG_V_TENSOR ? both : c;
}

static lg_value *selected(lg_elab *E, lg_value *c, lg_value *a, lg_value *b, lg_span at) {
    a = as_record(E, a);
    b = as_record(E, b);
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (!lg_v_is_vector(a) && !lg_v_is_vector(b) && lg_is_plain(a) && lg_is_plain(b))
        return lg_select(E, c, a, b, at);
    lg_leaf *la, *lb;
    int n = pairs(E, a, b, &la, &lb, at);
    if (n < 0)
        return lg_v_error(E, at);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = settled(la[i].value, lb[i].value) ? la[i].value
                                                   : lg_select(E, c, la[i].value, lb[i].value, at);
        if (out[i]->kind == LG_V_ERROR)
            return out[i];
    }
    lg_value *r = lg_v_copy(E, lg_v_rebuild(E, a, out));
    r->at = at;
    return r;
}

static lg_value *select_lanes(lg_elab *E, lg_value *c, lg_branch_fn then_, lg_branch_fn else_,
                              void *ctx, lg_span at) {
    lg_value *guard = E->guard, *lazy = E->lazy;
    lg_store *store = E->store, *states = E->states;
    E->store = E->states = NULL; /* updates of single lanes are dropped */
    E->lazy = NULL;
    E->guard = narrowed(E, guard, c);
    lg_value *a = then_(E, ctx);
    lg_value *not = lg_unary(E, "not", c, c->at);
    E->guard = narrowed(E, guard, not );
    lg_value *b = else_(E, ctx);
    E->guard = guard;
    E->lazy = lazy;
    E->store = store;
    E->states = states;
    return selected(E, c, a, b, at);
}

/* ---- any condition ---- */

/* Can the condition be either, whatever the sizes are: is it the name of a bool? */
static bool is_free(const lg_ast *choice) {
    const lg_ast *c = choice->kid[0];
    return choice->kind == LG_A_IF &&
           (c->kind == LG_A_NAME || (c->kind == LG_A_UNARY && c->kid[0]->kind == LG_A_NAME));
}

/* One of both, of different types: what is declared about it must hold for each. */
static lg_value *either(lg_elab *E, lg_value *a, lg_value *b, lg_span at) {
    lg_value *r = lg_v_error(E, at);
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return r;
    r->list.n = 2;
    r->list.at = LG_NEW_N(E->arena, lg_value *, 2);
    r->list.at[0] = a;
    r->list.at[1] = b;
    return r;
}

/* In check mode a static condition may not be known yet: both sides are checked, and where they do
 * not make one type, nothing is known of the result. */
static lg_value *undecided(lg_elab *E, lg_branch_fn then_, lg_branch_fn else_, void *ctx,
                           const lg_ast *e) {
    lg_span at = e->span;
    bool contracts = E->contracts;
    E->contracts = false; /* a run goes through one side only */
    lg_value *a = as_record(E, then_(E, ctx)), *b = as_record(E, else_(E, ctx));
    E->contracts = contracts;
    E->diags->muted++;
    lg_value *r = joined_type(E, a, b, at);
    E->diags->muted--;
    if (r->kind == LG_V_NUM && r->num.known && !same_number(a, b))
        return lg_v_error(E, at);
    if (r->kind == LG_V_ERROR && is_free(e))
        return either(E, a, b, at);
    if (a->kind == LG_V_NUM && b->kind == LG_V_NUM && !same_number(a, b))
        return lg_v_unknown(E, a->num.is_int && b->num.is_int, a->num.is_bool && b->num.is_bool,
                            at);
    return r;
}

static lg_value *decide(lg_elab *E, lg_value *c, lg_branch_fn then_, lg_branch_fn else_, void *ctx,
                        const lg_ast *e, const char *word) {
    lg_span at = e->span;
    bool yes;
    c = lg_schedule_now(E, c);
    if (c->kind == LG_V_ERROR || c->kind == LG_V_OPAQUE) {
        then_(E, ctx);
        else_(E, ctx);
        return lg_v_error(E, at);
    }
    if (lg_v_static_bool(E, c, &yes))
        return yes ? then_(E, ctx) : else_(E, ctx);
    bool is_bool =
        c->kind == LG_V_NUM ? c->num.is_bool : c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL;
    if (!is_bool) {
        lg_diag *d = lg_err(E, "E0206", c->at.file ? c->at : at, "`%s` wants a bool, got %s", word,
                            lg_v_type_text(E, c));
        if (lg_is_plain(c))
            lg_diag_help(d, "compare it: `x != 0`");
        return lg_v_error(E, at);
    }
    bool lanes = c->kind == LG_V_TENSOR && (c->t.rank || c->t.n_open);
    if (c->kind == LG_V_TENSOR)
        lg_uncovered_choice(E, e);
    if (LG_CHECKING(E) && !lanes && (c->kind == LG_V_NUM || c->t.host))
        return undecided(E, then_, else_, ctx, e);
    if (c->kind == LG_V_NUM) {
        lg_err(E, "E0212", at, "this condition is not known when the plan is made");
        return lg_v_error(E, at);
    }
    return lanes ? select_lanes(E, c, then_, else_, ctx, at) : lg_cond(E, c, then_, else_, ctx, at);
}

static lg_value *if_then(lg_elab *E, void *ctx) {
    return lg_expr(E, ((const lg_ast *const *)ctx)[0]);
}

static lg_value *if_else(lg_elab *E, void *ctx) {
    return lg_expr(E, ((const lg_ast *const *)ctx)[1]);
}

lg_value *lg_if(lg_elab *E, const lg_ast *e) {
    const lg_ast *side[2] = {e->kid[1], e->kid[2]};
    return decide(E, lg_expr(E, e->kid[0]), if_then, if_else, side, e, "if");
}

/* ---- when: next values that are sometimes the old ones ---- */

typedef struct {
    lg_frame *f;
    const lg_ast *s;
    int n;
    lg_binding **b; /* the next values that the statement defines */
    bool fixed;     /* the condition is static: a state that is not kept then is no fault */
} update;

/* The old value, where the branch does not say a next one. */
static lg_value *old_value(lg_elab *E, update *u, int i) {
    lg_value *v = lg_lookup(E, u->f, u->b[i]->name, u->b[i]->at);
    if (v)
        return E->guard ? lg_guarded(E, v) : v;
    if (u->fixed)
        return lg_v_new(E, LG_V_NONE, u->b[i]->at);
    lg_err(E, "E0422", u->b[i]->at,
           "`%s` is not a state: only states, parts and carries have a next value", u->b[i]->name);
    return lg_v_error(E, u->b[i]->at);
}

static lg_value *update_side(lg_elab *E, update *u, const lg_ast *block) {
    lg_value *r = lg_v_record(E, 0, u->s->span);
    lg_frame *f = lg_inner_frame(E, LG_F_BLOCK, u->f);
    if (block && block->kind == LG_A_WHEN) { /* else when */
        lg_ast *inside = lg_ast_new(E->arena, LG_A_BLOCK, block->span, 0);
        lg_ast_add(E->arena, inside, lg_arena_dup(E->arena, block, sizeof *block));
        block = inside;
    }
    if (block)
        lg_block(E, f, block);
    for (int i = 0; i < u->n; i++) {
        lg_binding *b = lg_find_local(f, u->b[i]->name, true);
        lg_value *v = b ? lg_force(E, f, b, b->at) : old_value(E, u, i);
        lg_v_set_field(E, r, u->b[i]->name, as_record(E, v));
    }
    for (int i = 0; i < u->n; i++)
        if (r->rec.f[i].value->kind == LG_V_ERROR)
            return lg_v_error(E, u->s->span);
    return r;
}

static lg_value *when_then(lg_elab *E, void *ctx) {
    update *u = ctx;
    return update_side(E, u, u->s->kid[1]);
}

static lg_value *when_else(lg_elab *E, void *ctx) {
    update *u = ctx;
    return update_side(E, u, u->s->kid[2]);
}

void lg_when(lg_elab *E, lg_frame *f, const lg_ast *s) {
    update u = {.f = f, .s = s};
    for (lg_binding *b = f->names; b; b = b->next)
        u.n += b->prime && b->stmt == s;
    u.b = LG_NEW_N(E->arena, lg_binding *, u.n ? u.n : 1);
    int k = u.n;
    for (lg_binding *b = f->names; b; b = b->next)
        if (b->prime && b->stmt == s)
            u.b[--k] = b;
    lg_value *c = lg_expr(E, s->kid[0]);
    bool yes;
    u.fixed = lg_v_static_bool(E, c, &yes);
    lg_value *r = decide(E, c, when_then, when_else, &u, s, "when");
    for (int i = 0; i < u.n; i++) {
        lg_value *v = r->kind == LG_V_RECORD ? lg_v_field(r, u.b[i]->name) : NULL;
        u.b[i]->value = v ? v : lg_v_error(E, s->span);
        u.b[i]->state = LG_B_VALUE;
    }
}
