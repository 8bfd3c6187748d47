/* graph.c: making graphs: their memory and one builder a class. Not for what makes a node sound
 * (graph_check.c) nor for printing (graph_print.c). Called by lowering, autodiff and the passes. */
#include "runtime/graph.h"
#include <string.h>

/* ---- types ---- */

size_t lg_type_count(const lg_type *t) {
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= (size_t)t->shape[d];
    return n;
}

lg_type lg_type_make(lg_dtype t, int rank, const int64_t *shape) {
    assert(rank >= 0 && rank <= LG_MAX_RANK);
    lg_type r = {.dtype = t, .rank = rank};
    if (rank)
        memcpy(r.shape, shape, (size_t)rank * sizeof *shape);
    return r;
}

bool lg_type_equal(const lg_type *a, const lg_type *b) {
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->shape[d] != b->shape[d])
            return false;
    return true;
}

/* ---- graphs ---- */

lg_graph *lg_graph_new(lg_graph *parent) {
    lg_graph *g = lg_alloc(sizeof *g);
    g->arena = lg_arena_new();
    g->parent = parent;
    if (parent) {
        g->sibling = parent->child;
        parent->child = g;
    }
    return g;
}

/* Frees g and what was made under it, without touching its parent's list. */
static void free_tree(lg_graph *g) {
    for (lg_graph *c = g->child, *next; c; c = next) {
        next = c->sibling;
        free_tree(c);
    }
    for (size_t i = 0; i < g->keep.n; i++)
        lg_tensor_release(g->keep.at[i]);
    lg_free(g->keep.at);
    lg_free(g->node.at);
    lg_free(g->input.at);
    lg_free(g->output.at);
    lg_free(g->effect.at);
    lg_arena_free(g->arena);
    lg_free(g);
}

void lg_graph_free(lg_graph *g) {
    if (!g)
        return;
    if (g->parent) {
        lg_graph **at = &g->parent->child;
        while (*at != g)
            at = &(*at)->sibling;
        *at = g->sibling;
    }
    free_tree(g);
}

/* ---- nodes ---- */

/* A node that is not in the graph yet: type[0] and attr are the caller's to fill before emit. */
static lg_node *make(lg_graph *g, const lg_op *op, int n, lg_node *const *in, int n_out, lg_span at) {
    lg_node *x = LG_NEW(g->arena, lg_node);
    x->op = op;
    x->graph = g;
    x->span = at;
    x->n_in = n;
    x->n_out = n_out;
    x->in = LG_NEW_N(g->arena, lg_node *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        assert(in[i] && in[i]->graph == g);
        x->in[i] = in[i];
    }
    x->type = LG_NEW_N(g->arena, lg_type, n_out ? n_out : 1);
    return x;
}

static lg_node *emit(lg_node *x) {
    lg_graph *g = x->graph;
    assert(g->node.n < UINT32_MAX);
    x->id = (uint32_t)g->node.n;
    assert(lg_node_check(x) == NULL);
    LG_PUSH(g->node, x);
    return x;
}

static lg_affine *copy_affine(lg_graph *g, const lg_affine *m) {
    lg_affine *c = LG_NEW(g->arena, lg_affine);
    size_t in = (size_t)m->rank_in, out = (size_t)m->rank_out;
    c->rank_in = m->rank_in;
    c->rank_out = m->rank_out;
    c->off = LG_NEW_N(g->arena, int64_t, in + in * out + 1);
    c->coef = c->off + in;
    if (in) {
        memcpy(c->off, m->off, in * sizeof *m->off);
        memcpy(c->coef, m->coef, in * out * sizeof *m->coef);
    }
    return c;
}

lg_node *lg_g_input(lg_graph *g, lg_type t, lg_span at) {
    lg_node *x = make(g, &lg_op_input, 0, NULL, 1, at);
    x->type[0] = t;
    x->attr.slot = (int)g->input.n;
    LG_PUSH(g->input, x);
    return emit(x);
}

lg_node *lg_g_const(lg_graph *g, lg_tensor *t, lg_span at) {
    lg_node *x = make(g, &lg_op_const, 0, NULL, 1, at);
    x->type[0] = lg_type_make(t->dtype, t->rank, t->shape);
    x->attr.tensor = lg_tensor_retain(t);
    LG_PUSH(g->keep, t);
    return emit(x);
}

static lg_node *own_const(lg_graph *g, lg_tensor *t, lg_span at) {
    lg_node *x = lg_g_const(g, t, at);
    lg_tensor_release(t);
    return x;
}

lg_node *lg_g_scalar(lg_graph *g, lg_dtype t, double v, lg_span at) {
    return own_const(g, lg_tensor_scalar_f64(t, v), at);
}

lg_node *lg_g_iota(lg_graph *g, int rank, const int64_t *shape, int axis, lg_span at) {
    lg_node *x = make(g, &lg_op_iota, 0, NULL, 1, at);
    x->type[0] = lg_type_make(LG_I64, rank, shape);
    x->attr.axis = axis;
    return emit(x);
}

lg_node *lg_g_elem(lg_graph *g, const lg_op *op, int n, lg_node *const *in, lg_span at) {
    assert(op->cls == LG_C_ELEM && n == op->arity);
    lg_node *x = make(g, op, n, in, 1, at);
    x->type[0] = in[op->key]->type[0];
    if (op->out_dtype != LG_NO_DTYPE)
        x->type[0].dtype = op->out_dtype;
    return emit(x);
}

lg_node *lg_g_cast(lg_graph *g, lg_node *x, lg_dtype t, lg_span at) {
    if (x->type[0].dtype == t)
        return x;
    lg_node *y = make(g, &lg_op_cast, 1, &x, 1, at);
    y->type[0] = x->type[0];
    y->type[0].dtype = t;
    return emit(y);
}

bool lg_affine_is_identity(const lg_affine *m, const int64_t *in_shape, const int64_t *out_shape) {
    if (m->rank_in != m->rank_out)
        return false;
    for (int a = 0; a < m->rank_in; a++) {
        if (in_shape[a] != out_shape[a] || m->off[a] != 0)
            return false;
        for (int o = 0; o < m->rank_out; o++)
            if (m->coef[a * m->rank_out + o] != (a == o) && out_shape[o] > 1)
                return false;
    }
    return true;
}

lg_node *lg_g_view(lg_graph *g, lg_node *x, const lg_affine *m, int rank, const int64_t *shape,
                   lg_span at) {
    assert(m->rank_in == x->type[0].rank && m->rank_out == rank);
    if (lg_affine_is_identity(m, x->type[0].shape, shape))
        return x;
    lg_node *y = make(g, &lg_op_view, 1, &x, 1, at);
    y->type[0] = lg_type_make(x->type[0].dtype, rank, shape);
    y->attr.affine = copy_affine(g, m);
    return emit(y);
}

lg_node *lg_g_unview(lg_graph *g, lg_node *dy, const lg_affine *m, int rank, const int64_t *shape,
                     lg_span at) {
    assert(m->rank_out == dy->type[0].rank && m->rank_in == rank);
    if (lg_affine_is_identity(m, shape, dy->type[0].shape))
        return dy;
    lg_node *x = make(g, &lg_op_unview, 1, &dy, 1, at);
    x->type[0] = lg_type_make(dy->type[0].dtype, rank, shape);
    x->attr.affine = copy_affine(g, m);
    return emit(x);
}

lg_node *lg_g_reshape(lg_graph *g, lg_node *x, int rank, const int64_t *shape, lg_span at) {
    lg_type t = lg_type_make(x->type[0].dtype, rank, shape);
    if (lg_type_equal(&t, &x->type[0]))
        return x;
    lg_node *y = make(g, &lg_op_reshape, 1, &x, 1, at);
    y->type[0] = t;
    return emit(y);
}

lg_node *lg_g_reduce(lg_graph *g, const lg_op *op, lg_node *x, uint32_t axes_mask, lg_span at) {
    assert(op->cls == LG_C_REDUCE);
    lg_node *y = make(g, op, 1, &x, 1, at);
    const lg_type *t = &x->type[0];
    y->type[0].dtype = op->out_dtype == LG_NO_DTYPE ? t->dtype : op->out_dtype;
    for (int d = 0; d < t->rank; d++)
        if (!(axes_mask >> d & 1))
            y->type[0].shape[y->type[0].rank++] = t->shape[d];
    y->attr.axes_mask = axes_mask;
    return emit(y);
}

lg_node *lg_g_cum(lg_graph *g, const lg_op *op, lg_node *x, int axis, bool rev, lg_span at) {
    assert(op->cls == LG_C_CUM);
    lg_node *y = make(g, op, 1, &x, 1, at);
    y->type[0] = x->type[0];
    y->attr.axis = axis;
    y->attr.rev = rev;
    return emit(y);
}

lg_node *lg_g_dot(lg_graph *g, lg_node *a, lg_node *b, lg_span at) {
    lg_node *in[] = {a, b};
    lg_node *y = make(g, &lg_op_dot, 2, in, 1, at);
    y->type[0] = a->type[0];
    assert(a->type[0].rank >= 2 && a->type[0].rank == b->type[0].rank);
    y->type[0].shape[y->type[0].rank - 1] = b->type[0].shape[b->type[0].rank - 1];
    return emit(y);
}

/* Type of x[b.., i1..ik, t..] subscripted by idx[b.., o..]: [b.., o.., t..]. */
static lg_type gathered(const lg_type *x, int nb, int ni, const lg_type *idx) {
    assert(ni > 0 && nb >= 0 && nb + ni <= x->rank && nb <= idx->rank);
    lg_type t = *idx;
    t.dtype = x->dtype;
    for (int d = nb + ni; d < x->rank; d++) {
        assert(t.rank < LG_MAX_RANK);
        t.shape[t.rank++] = x->shape[d];
    }
    return t;
}

lg_node *lg_g_gather(lg_graph *g, lg_node *x, int nb, int ni, lg_node *const *idx, lg_span at) {
    assert(ni <= LG_MAX_RANK);
    lg_node *in[LG_MAX_RANK + 1] = {x};
    for (int k = 0; k < ni; k++)
        in[1 + k] = idx[k];
    lg_node *y = make(g, &lg_op_gather, 1 + ni, in, 1, at);
    y->type[0] = gathered(&x->type[0], nb, ni, &idx[0]->type[0]);
    y->attr.nb = nb;
    y->attr.ni = ni;
    return emit(y);
}

lg_node *lg_g_scatter(lg_graph *g, const lg_op *op, lg_node *base, int nb, int ni,
                      lg_node *const *idx, lg_node *upd, lg_span at) {
    assert(op->cls == LG_C_SCATTER && ni <= LG_MAX_RANK);
    lg_node *in[LG_MAX_RANK + 2] = {base};
    for (int k = 0; k < ni; k++)
        in[1 + k] = idx[k];
    in[1 + ni] = upd;
    lg_node *y = make(g, op, 2 + ni, in, 1, at);
    y->type[0] = base->type[0];
    y->attr.nb = nb;
    y->attr.ni = ni;
    return emit(y);
}

lg_node *lg_g_concat(lg_graph *g, int n, lg_node *const *in, int axis, lg_span at) {
    assert(n > 0);
    if (n == 1)
        return in[0];
    lg_node *y = make(g, &lg_op_concat, n, in, 1, at);
    y->type[0] = in[0]->type[0];
    y->attr.axis = axis;
    for (int i = 1; i < n; i++)
        y->type[0].shape[axis] += in[i]->type[0].shape[axis];
    return emit(y);
}

lg_node *lg_g_rand(lg_graph *g, const lg_op *op, lg_node *addr, lg_node *first, lg_type t,
                   lg_span at) {
    assert(op->cls == LG_C_RAND);
    lg_node *in[] = {addr, first};
    lg_node *y = make(g, op, first ? 2 : 1, in, 1, at);
    y->type[0] = t;
    y->attr.nb = addr->type[0].rank;
    return emit(y);
}

lg_node *lg_g_kernel(lg_graph *g, const lg_op *op, int n, lg_node *const *in, int n_out,
                     const lg_type *out, const lg_attr *attr, lg_span at) {
    assert(op->cls == LG_C_KERNEL);
    lg_node *y = make(g, op, n, in, n_out, at);
    for (int k = 0; k < n_out; k++)
        y->type[k] = out[k];
    if (attr)
        y->attr = *attr;
    if (y->attr.text)
        y->attr.text = lg_arena_str(g->arena, y->attr.text);
    return emit(y);
}

lg_node *lg_g_scan(lg_graph *g, const lg_scan_attr *s, int n, lg_node *const *in, lg_span at) {
    lg_node *y = make(g, &lg_op_scan, n, in, s->n_carry + s->n_yield, at);
    y->attr.scan = lg_arena_dup(g->arena, s, sizeof *s);
    assert(s->body->output.n == (size_t)(s->n_carry + s->n_yield));
    for (int k = 0; k < s->n_carry; k++)
        y->type[k] = in[k]->type[0];
    for (int k = s->n_carry; k < y->n_out; k++) {
        const lg_type *one = &s->body->output.at[k].node->type[0];
        assert(one->rank < LG_MAX_RANK);
        y->type[k] = *one;
        y->type[k].rank++;
        y->type[k].shape[0] = s->trip;
        memcpy(y->type[k].shape + 1, one->shape, (size_t)one->rank * sizeof *one->shape);
    }
    return emit(y);
}

lg_node *lg_g_cond(lg_graph *g, const lg_cond_attr *c, int n, lg_node *const *in, lg_span at) {
    lg_node *y = make(g, &lg_op_cond, n, in, (int)c->then_->output.n, at);
    y->attr.cond = lg_arena_dup(g->arena, c, sizeof *c);
    for (int k = 0; k < y->n_out; k++)
        y->type[k] = c->then_->output.at[k].node->type[0];
    return emit(y);
}

/* Only scans, conds and kernels of several results are tuples, however many they have. */
static bool is_tuple(const lg_node *n) {
    return n->op->cls == LG_C_SCAN || n->op->cls == LG_C_COND || n->n_out != 1;
}

lg_node *lg_g_item(lg_graph *g, lg_node *tuple, int k) {
    assert(k >= 0 && k < tuple->n_out);
    if (!is_tuple(tuple))
        return tuple;
    lg_node *y = make(g, &lg_op_item, 1, &tuple, 1, tuple->span);
    y->type[0] = tuple->type[k];
    y->attr.axis = k;
    return emit(y);
}

lg_node *lg_g_mark(lg_graph *g, const lg_op *op, lg_node *x, void *rule, lg_span at) {
    assert(op->cls == LG_C_MARK);
    lg_node *y = make(g, op, 1, &x, 1, at);
    y->type[0] = x->type[0];
    y->attr.rule = rule;
    return emit(y);
}

lg_node *lg_g_custom(lg_graph *g, int n, lg_node *const *in, void *rule, int leaf, lg_span at) {
    lg_node *y = make(g, &lg_op_custom, n, in, 1, at);
    y->type[0] = in[0]->type[0];
    y->attr.rule = rule;
    y->attr.axis = leaf;
    return emit(y);
}

lg_node *lg_g_barrier(lg_graph *g, lg_node *x, lg_node *after, lg_span at) {
    lg_node *in[] = {x, after};
    lg_node *y = make(g, &lg_op_barrier, 2, in, 1, at);
    y->type[0] = x->type[0];
    return emit(y);
}

lg_node *lg_g_remat(lg_graph *g, int n, lg_node *const *in, lg_span at) {
    lg_node *y = make(g, &lg_op_remat, n, in, 1, at);
    y->type[0] = in[0]->type[0];
    return emit(y);
}

lg_node *lg_g_retyped(lg_graph *g, const lg_node *n, lg_node *const *in, const lg_type *type,
                      lg_graph *const body[2]) {
    assert(n->op->cls != LG_C_INPUT);
    lg_node *y = make(g, n->op, n->n_in, in, n->n_out, n->span);
    for (int k = 0; k < n->n_out; k++)
        y->type[k] = type[k];
    y->attr = n->attr;
    if (n->attr.affine)
        y->attr.affine = copy_affine(g, n->attr.affine);
    if (n->attr.scan) {
        y->attr.scan = lg_arena_dup(g->arena, n->attr.scan, sizeof *n->attr.scan);
        y->attr.scan->body = body ? body[0] : n->attr.scan->body;
    }
    if (n->attr.cond) {
        y->attr.cond = lg_arena_dup(g->arena, n->attr.cond, sizeof *n->attr.cond);
        y->attr.cond->then_ = body ? body[0] : n->attr.cond->then_;
        y->attr.cond->else_ = body ? body[1] : n->attr.cond->else_;
    }
    if (n->attr.text)
        y->attr.text = lg_arena_str(g->arena, n->attr.text);
    if (n->attr.tensor) {
        lg_tensor_retain(n->attr.tensor);
        LG_PUSH(g->keep, n->attr.tensor);
    }
    return emit(y);
}

lg_node *lg_g_like(lg_graph *g, const lg_node *n, lg_node *const *in) {
    return lg_g_retyped(g, n, in, n->type, NULL);
}

lg_node *lg_g_require(lg_graph *g, lg_node *cond, const char *text, lg_span at) {
    return lg_g_require_of(g, cond, 0, NULL, text, at);
}

lg_node *lg_g_require_of(lg_graph *g, lg_node *cond, int n, lg_node *const *value, const char *text,
                         lg_span at) {
    lg_node **in = lg_alloc(sizeof(lg_node *) * (size_t)(n + 1));
    in[0] = cond;
    for (int k = 0; k < n; k++)
        in[k + 1] = value[k];
    lg_node *y = make(g, &lg_op_require, n + 1, in, 1, at);
    lg_free(in);
    y->type[0] = lg_type_make(LG_BOOL, 0, NULL);
    y->attr.text = text ? lg_arena_str(g->arena, text) : NULL;
    emit(y);
    LG_PUSH(g->effect, y);
    return y;
}

void lg_g_output(lg_graph *g, lg_node *x, int donates, lg_sym name) {
    assert(x->graph == g && !is_tuple(x) && donates < (int)g->input.n);
    lg_output o = {.node = x, .donates = donates, .name = name};
    LG_PUSH(g->output, o);
}

/* ---- common views ---- */

/* An affine map in caller memory, all zero. */
typedef struct {
    lg_affine m;
    int64_t off[LG_MAX_RANK], coef[LG_MAX_RANK * LG_MAX_RANK];
} room;

static lg_affine *blank(room *r, int rank_in, int rank_out) {
    memset(r, 0, sizeof *r);
    r->m = (lg_affine){rank_in, rank_out, r->off, r->coef};
    return &r->m;
}

static void set_coef(lg_affine *m, int in, int out, int64_t c) {
    m->coef[in * m->rank_out + out] = c;
}

lg_node *lg_g_permute(lg_graph *g, lg_node *x, const int *perm, lg_span at) {
    const lg_type *t = &x->type[0];
    room r;
    lg_affine *m = blank(&r, t->rank, t->rank);
    int64_t shape[LG_MAX_RANK];
    for (int o = 0; o < t->rank; o++) {
        assert(perm[o] >= 0 && perm[o] < t->rank);
        set_coef(m, perm[o], o, 1);
        shape[o] = t->shape[perm[o]];
    }
    return lg_g_view(g, x, m, t->rank, shape, at);
}

lg_node *lg_g_broadcast(lg_graph *g, lg_node *x, int rank, const int64_t *shape, const int *from,
                        lg_span at) {
    const lg_type *t = &x->type[0];
    room r;
    lg_affine *m = blank(&r, t->rank, rank);
    for (int o = 0; o < rank; o++) {
        if (from[o] < 0)
            continue;
        assert(from[o] < t->rank && t->shape[from[o]] == shape[o]);
        set_coef(m, from[o], o, 1);
    }
    return lg_g_view(g, x, m, rank, shape, at);
}

lg_node *lg_g_slice(lg_graph *g, lg_node *x, int axis, int64_t beg, int64_t n, int64_t step,
                    lg_span at) {
    lg_type t = x->type[0];
    assert(axis >= 0 && axis < t.rank);
    room r;
    lg_affine *m = blank(&r, t.rank, t.rank);
    for (int d = 0; d < t.rank; d++)
        set_coef(m, d, d, 1);
    m->off[axis] = beg;
    set_coef(m, axis, axis, step);
    t.shape[axis] = n;
    return lg_g_view(g, x, m, t.rank, t.shape, at);
}

lg_node *lg_g_fill(lg_graph *g, lg_type t, double v, lg_span at) {
    int from[LG_MAX_RANK];
    for (int o = 0; o < t.rank; o++)
        from[o] = -1;
    return lg_g_broadcast(g, lg_g_scalar(g, t.dtype, v, at), t.rank, t.shape, from, at);
}
