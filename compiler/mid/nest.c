/* nest.c: captures of nested graphs, states across their border, and joining of types. See nest.h.
 */
#include "compiler/mid/nest.h"
#include "compiler/mid/grad.h"
#include <string.h>

/* ---- captures ---- */

static lg_nest *nest_of(lg_elab *E, const lg_graph *g) {
    for (lg_nest *n = E->nest; n; n = n->up)
        if (n->g == g)
            return n;
    return NULL;
}

static bool encloses(const lg_graph *outer, const lg_graph *g) {
    while (g && g != outer)
        g = g->parent;
    return g == outer;
}

lg_node *lg_capture(lg_elab *E, lg_graph *g, lg_node *x) {
    if (x->graph == g)
        return x;
    if (x->op == &lg_op_const && !x->attr.tensor->varies)
        return lg_g_const(g, x->attr.tensor, x->span);
    lg_nest *n = nest_of(E, g);
    if (!n || !encloses(x->graph, g)) {
        lg_err(E, "E0419", x->span,
               "this value belongs to a loop or a branch and is used outside of it");
        return lg_g_fill(g, x->type[0], 0, x->span);
    }
    lg_node *outer = lg_capture(E, g->parent, x);
    for (size_t i = 0; i < n->pair.n; i++)
        if (n->pair.at[i].outer == outer)
            return n->pair.at[i].inner;
    lg_node_pair p = {outer, lg_g_input(g, x->type[0], x->span)};
    LG_PUSH(n->pair, p);
    return p.inner;
}

lg_outside lg_nest_enter(lg_elab *E, lg_nest *n, lg_graph *g) {
    lg_outside o = {E->g, E->nest, E->frame, E->store, E->states, E->guard, E->lazy, E->draw_lane};
    n->g = g;
    n->up = E->nest;
    E->g = g;
    if (g)
        E->nest = n;
    return o;
}

void lg_nest_leave(lg_elab *E, const lg_outside *o) {
    E->g = o->g;
    E->nest = o->nest;
    E->frame = o->frame;
    E->store = o->store;
    E->states = o->states;
    E->guard = o->guard;
    E->lazy = o->lazy;
    E->draw_lane = o->draw_lane;
}

lg_value *lg_nest_hoist(lg_elab *E, lg_nest *n, lg_value *v) {
    if (LG_CHECKING(E) || !n->g)
        return v;
    lg_leaf *leaf;
    int count = lg_v_leaves(E, v, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
    lg_graph *outer = n->g->parent;
    for (int k = 0; k < count; k++) {
        out[k] = leaf[k].value;
        if (out[k]->kind != LG_V_TENSOR || out[k]->t.node->graph != n->g)
            continue;
        lg_node **map = lg_alloc((n->g->node.n + 1) * sizeof *map);
        for (size_t i = 0; i < n->pair.n; i++)
            map[n->pair.at[i].inner->id] = n->pair.at[i].outer;
        for (size_t i = 0; i < n->first.n; i++)
            map[n->first.at[i].inner->id] = n->first.at[i].outer;
        lg_node *want = out[k]->t.node;
        lg_graph_copy(outer, n->g, map, 1, &want);
        out[k] = lg_v_copy(E, out[k]);
        out[k]->t.node = map[want->id];
        lg_free(map);
    }
    return lg_v_rebuild(E, v, out);
}

/* ---- states across a branch ---- */

static lg_layer_row *row_of(lg_layer *l, const char *path) {
    for (size_t i = 0; i < l->row.n; i++)
        if (!strcmp(l->row.at[i].path, path))
            return &l->row.at[i];
    return NULL;
}

static lg_value *layer_get(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    lg_layer *l = s->ctx;
    lg_layer_row *r = row_of(l, path);
    if (r)
        return r->now;
    lg_value *first = init ? lg_nest_hoist(E, l->nest, init) : NULL;
    lg_graph *g = E->g;
    if (g)
        E->g = l->nest->g->parent;
    first = l->outer->get(l->outer, E, path, first);
    E->g = g;
    lg_layer_row row = {path, first, first};
    LG_PUSH(l->row, row);
    return first;
}

static void layer_set(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    lg_layer *l = s->ctx;
    lg_layer_row *r = row_of(l, path);
    if (!r) {
        layer_get(s, E, path, NULL);
        r = row_of(l, path);
    }
    r->now = next;
}

void lg_layer_init(lg_layer *l, lg_store *outer, lg_nest *nest) {
    *l = (lg_layer){.base = {.get = layer_get, .set = layer_set, .ctx = l, .places = outer->places},
                    .outer = outer,
                    .nest = nest};
}

lg_value *lg_layer_now(lg_layer *l, const lg_layer *other, const char *path) {
    lg_layer_row *r = row_of(l, path);
    if (r)
        return r->now;
    for (size_t i = 0; i < other->row.n; i++)
        if (!strcmp(other->row.at[i].path, path))
            return other->row.at[i].first;
    return NULL;
}

/* ---- one type for two values ---- */

bool lg_is_plain(const lg_value *v) {
    return v->kind == LG_V_NUM || v->kind == LG_V_TENSOR;
}

static lg_dtype dtype_of(lg_elab *E, const lg_value *v) {
    if (v->kind == LG_V_TENSOR)
        return v->t.dtype;
    return v->num.is_bool                                   ? LG_BOOL
           : v->num.is_int || (!v->num.known && v->num.dim) ? LG_I64
                                                            : E->frame->float_dtype;
}

static bool is_weak(const lg_value *v) {
    return v->kind == LG_V_NUM || v->t.weak;
}

/* Weak ones follow; between weak ones reals win over integers. */
static bool join_dtype(lg_elab *E, const lg_value *a, const lg_value *b, lg_joined *out) {
    lg_dtype x = dtype_of(E, a), y = dtype_of(E, b);
    out->weak = is_weak(a) && is_weak(b);
    out->dtype = x;
    if (x == y)
        return true;
    if (x == LG_BOOL || y == LG_BOOL || (!is_weak(a) && !is_weak(b)))
        return false;
    bool fx = lg_dtype_is_float(x), fy = lg_dtype_is_float(y);
    if (is_weak(a) && is_weak(b)) {
        out->dtype = fx && fy ? (x == LG_F64 ? x : y) : fx ? x : fy ? y : x;
        return true;
    }
    out->dtype = is_weak(a) ? y : x;
    bool weak_float = is_weak(a) ? fx : fy;
    return !weak_float || lg_dtype_is_float(out->dtype);
}

bool lg_join(lg_elab *E, lg_value *a, lg_value *b, lg_joined *out, lg_span at) {
    *out = (lg_joined){.dtype = LG_NO_DTYPE};
    bool ok = join_dtype(E, a, b, out);
    int ra = a->kind == LG_V_TENSOR ? a->t.rank : 0, rb = b->kind == LG_V_TENSOR ? b->t.rank : 0;
    const lg_value *shape = ra >= rb ? a : b;
    ok = ok && (ra == rb || !ra || !rb);
    for (int i = 0; ok && ra == rb && i < ra; i++)
        ok = lg_dims_match(a->t.dim[i], b->t.dim[i]);
    if (!ok) {
        lg_diag *d = lg_err(E, "E0227", at, "one side gives %s, the other %s", lg_v_type_text(E, a),
                            lg_v_type_text(E, b));
        if (a->at.file && (a->at.beg != at.beg || a->at.end != at.end))
            lg_diag_label(d, a->at, "%s", lg_v_type_text(E, a));
        if (b->at.file && (b->at.beg != at.beg || b->at.end != at.end))
            lg_diag_label(d, b->at, "%s", lg_v_type_text(E, b));
        return false;
    }
    out->rank = ra > rb ? ra : rb;
    out->dim = shape->kind == LG_V_TENSOR ? shape->t.dim : NULL;
    lg_value *two[2] = {a, b};
    out->n_open = lg_open_union(E, 2, two, &out->open);
    bool labels = a->kind == LG_V_TENSOR && b->kind == LG_V_TENSOR && a->t.bound && b->t.bound &&
                  lg_dims_match(a->t.bound, b->t.bound);
    out->bound = labels ? a->t.bound : NULL;
    out->weak = out->weak && !out->rank;
    return true;
}

lg_value *lg_as_joined(lg_elab *E, lg_value *v, const lg_joined *t, lg_span at) {
    lg_value *x = lg_to_tensor(E, v, t->dtype, at);
    if (x->kind != LG_V_TENSOR)
        return x;
    if (x->t.dtype != t->dtype)
        x = lg_cast(E, x, t->dtype, at);
    lg_value *r = lg_v_open(E, t->dtype, t->n_open, t->open, t->rank, t->dim,
                            lg_node_as(E, x, t->n_open, t->open, t->rank, t->dim, at), v->at);
    r->t.weak = t->weak;
    r->t.bound = t->bound;
    return r;
}
