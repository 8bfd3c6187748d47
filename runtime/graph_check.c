/* graph_check.c: what makes a node and a graph sound: one check a class. Not for building or
 * repairing. Called by the builders' asserts and, after every pass, by debug builds. */
#include "runtime/graph.h"
#include <string.h>

#define WANT(cond, text)                                                                           \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return text;                                                                           \
    } while (0)

static bool same_shape(const lg_type *a, const lg_type *b) {
    lg_type c = *b;
    c.dtype = a->dtype;
    return lg_type_equal(a, &c);
}

static bool is_index(const lg_type *t) {
    return t->dtype == LG_I64 || t->dtype == LG_I32;
}

static const char *check_input(const lg_node *n) {
    WANT(n->attr.slot >= 0 && (size_t)n->attr.slot < n->graph->input.n &&
             n->graph->input.at[n->attr.slot] == n,
         "input is not at its slot");
    return NULL;
}

static const char *check_const(const lg_node *n) {
    const lg_tensor *t = n->attr.tensor;
    WANT(t, "constant without a tensor");
    lg_type want = lg_type_make(t->dtype, t->rank, t->shape);
    WANT(lg_type_equal(&want, &n->type[0]), "constant's tensor has another type");
    return NULL;
}

static const char *check_iota(const lg_node *n) {
    WANT(n->type[0].dtype == LG_I64, "iota is not i64");
    WANT(n->attr.axis >= 0 && n->attr.axis < n->type[0].rank, "axis out of range");
    return NULL;
}

static const char *check_elem(const lg_node *n) {
    const lg_op *op = n->op;
    WANT(op->arity == n->n_in, "wrong number of inputs");
    lg_dtype t = n->in[op->key]->type[0].dtype;
    WANT(op->elem[t], "op has no kernel for this dtype");
    for (int i = 0; i < n->n_in; i++) {
        WANT(same_shape(&n->in[i]->type[0], &n->type[0]), "shapes differ");
        lg_dtype want = op->flag_in >> i & 1 ? LG_BOOL : t;
        WANT(n->in[i]->type[0].dtype == want, "dtypes differ");
    }
    WANT(n->type[0].dtype == (op->out_dtype == LG_NO_DTYPE ? t : op->out_dtype),
         "wrong result dtype");
    return NULL;
}

static const char *check_cast(const lg_node *n) {
    WANT(same_shape(&n->in[0]->type[0], &n->type[0]), "shapes differ");
    return NULL;
}

/* Every element of `out` lies inside `in` under m. */
static bool in_bounds(const lg_affine *m, const lg_type *in, const lg_type *out) {
    if (lg_type_count(out) == 0)
        return true;
    for (int a = 0; a < m->rank_in; a++) {
        int64_t lo = m->off[a], hi = m->off[a];
        for (int o = 0; o < m->rank_out; o++) {
            int64_t far = m->coef[a * m->rank_out + o] * (out->shape[o] - 1);
            *(far < 0 ? &lo : &hi) += far;
        }
        if (lo < 0 || hi >= in->shape[a])
            return false;
    }
    return true;
}

static const char *check_affine(const lg_affine *m, const lg_type *in, const lg_type *out) {
    WANT(m && m->rank_in == in->rank && m->rank_out == out->rank, "affine map has other ranks");
    WANT(in->dtype == out->dtype, "dtypes differ");
    WANT(in_bounds(m, in, out), "affine map leaves its array");
    return NULL;
}

static const char *check_reshape(const lg_node *n) {
    WANT(lg_type_count(&n->in[0]->type[0]) == lg_type_count(&n->type[0]), "element counts differ");
    WANT(n->in[0]->type[0].dtype == n->type[0].dtype, "dtypes differ");
    return NULL;
}

static const char *check_reduce(const lg_node *n) {
    const lg_type *x = &n->in[0]->type[0], *y = &n->type[0];
    WANT(n->attr.axes_mask >> x->rank == 0, "axis out of range");
    WANT(y->dtype == (n->op->out_dtype == LG_NO_DTYPE ? x->dtype : n->op->out_dtype),
         "wrong result dtype");
    int k = 0;
    for (int d = 0; d < x->rank; d++)
        if (!(n->attr.axes_mask >> d & 1))
            WANT(k < y->rank && y->shape[k++] == x->shape[d], "wrong result shape");
    WANT(k == y->rank, "wrong result shape");
    return NULL;
}

static const char *check_cum(const lg_node *n) {
    WANT(lg_type_equal(&n->in[0]->type[0], &n->type[0]), "types differ");
    WANT(n->attr.axis >= 0 && n->attr.axis < n->type[0].rank, "axis out of range");
    return NULL;
}

static const char *check_dot(const lg_node *n) {
    const lg_type *a = &n->in[0]->type[0], *b = &n->in[1]->type[0], *y = &n->type[0];
    int r = y->rank;
    WANT(a->dtype == b->dtype && a->dtype == y->dtype, "dtypes differ");
    WANT(r >= 2 && a->rank == r && b->rank == r, "ranks differ");
    for (int d = 0; d < r - 2; d++)
        WANT(a->shape[d] == y->shape[d] && b->shape[d] == y->shape[d], "leading dims differ");
    WANT(a->shape[r - 1] == b->shape[r - 2], "inner sizes differ");
    WANT(a->shape[r - 2] == y->shape[r - 2] && b->shape[r - 1] == y->shape[r - 1],
         "wrong result shape");
    return NULL;
}

/* x[b.., i1..ik, t..] subscripted by idx1..k[b.., o..] reads or writes part[b.., o.., t..]. */
static const char *check_subscripts(const lg_node *n, const lg_type *x, const lg_type *part) {
    int nb = n->attr.nb, ni = n->attr.ni;
    WANT(ni > 0 && nb >= 0 && nb + ni <= x->rank, "bad subscript counts");
    const lg_type *idx = &n->in[1]->type[0];
    for (int k = 0; k < ni; k++) {
        const lg_type *t = &n->in[1 + k]->type[0];
        WANT(is_index(t), "subscript is not an integer");
        WANT(same_shape(t, idx), "subscripts have different shapes");
    }
    WANT(idx->rank >= nb, "subscript without the batch dims");
    for (int d = 0; d < nb; d++)
        WANT(idx->shape[d] == x->shape[d], "batch dims differ");
    WANT(part->dtype == x->dtype, "dtypes differ");
    WANT(part->rank == idx->rank + x->rank - nb - ni, "wrong rank");
    for (int d = 0; d < part->rank; d++) {
        int64_t want = d < idx->rank ? idx->shape[d] : x->shape[d - idx->rank + nb + ni];
        WANT(part->shape[d] == want, "wrong shape");
    }
    return NULL;
}

static const char *check_gather(const lg_node *n) {
    WANT(n->n_in == 1 + n->attr.ni, "wrong number of subscripts");
    return check_subscripts(n, &n->in[0]->type[0], &n->type[0]);
}

static const char *check_scatter(const lg_node *n) {
    WANT(n->n_in == 2 + n->attr.ni, "wrong number of subscripts");
    WANT(lg_type_equal(&n->in[0]->type[0], &n->type[0]), "result is not of the base's type");
    return check_subscripts(n, &n->in[0]->type[0], &n->in[1 + n->attr.ni]->type[0]);
}

static const char *check_concat(const lg_node *n) {
    int axis = n->attr.axis;
    WANT(n->n_in > 0 && axis >= 0 && axis < n->type[0].rank, "axis out of range");
    int64_t total = 0;
    for (int i = 0; i < n->n_in; i++) {
        lg_type t = n->in[i]->type[0];
        WANT(t.rank == n->type[0].rank, "ranks differ");
        total += t.shape[axis];
        t.shape[axis] = n->type[0].shape[axis];
        WANT(lg_type_equal(&t, &n->type[0]), "parts do not fit");
    }
    WANT(total == n->type[0].shape[axis], "wrong result shape");
    return NULL;
}

static const char *check_rand(const lg_node *n) {
    const lg_type *addr = &n->in[0]->type[0], *y = &n->type[0];
    WANT(n->n_in == 1 || n->n_in == 2, "wrong number of inputs");
    WANT(addr->dtype == LG_I64 && addr->rank == n->attr.nb && y->rank >= n->attr.nb,
         "bad address");
    for (int d = 0; d < n->attr.nb; d++)
        WANT(addr->shape[d] == y->shape[d], "batch dims differ");
    WANT(n->n_in == 1 || (n->in[1]->type[0].dtype == LG_I64 && n->in[1]->type[0].rank == 0),
         "first row is not an i64 scalar");
    return NULL;
}

/* `whole` is [trip, ...one]. */
static bool is_stack(const lg_type *whole, const lg_type *one, int64_t trip) {
    if (whole->dtype != one->dtype || whole->rank != one->rank + 1 || whole->shape[0] != trip)
        return false;
    return memcmp(whole->shape + 1, one->shape, (size_t)one->rank * sizeof *one->shape) == 0;
}

static const char *check_scan(const lg_node *n) {
    const lg_scan_attr *s = n->attr.scan;
    WANT(s && s->body && s->trip >= 0, "scan without a body");
    const lg_graph *b = s->body;
    int nc = s->n_carry, nx = s->n_xs;
    WANT(n->n_in == nc + nx + s->n_const, "wrong number of inputs");
    WANT(b->input.n == (size_t)(nc + nx + 1 + s->n_const), "body has other inputs");
    WANT(b->output.n == (size_t)(nc + s->n_yield) && n->n_out == nc + s->n_yield,
         "body has other outputs");
    for (int k = 0; k < nc; k++) {
        WANT(lg_type_equal(&n->in[k]->type[0], &b->input.at[k]->type[0]), "carry: other type");
        WANT(lg_type_equal(&n->in[k]->type[0], &b->output.at[k].node->type[0]),
             "next carry: other type");
        WANT(lg_type_equal(&n->in[k]->type[0], &n->type[k]), "last carry: other type");
    }
    for (int k = nc; k < nc + nx; k++)
        WANT(is_stack(&n->in[k]->type[0], &b->input.at[k]->type[0], s->trip), "xs: other type");
    const lg_type *t = &b->input.at[nc + nx]->type[0];
    WANT(t->dtype == LG_I64 && t->rank == 0, "index of the loop is not an i64 scalar");
    for (int k = nc + nx; k < n->n_in; k++)
        WANT(lg_type_equal(&n->in[k]->type[0], &b->input.at[k + 1]->type[0]),
             "constant: other type");
    for (int k = nc; k < n->n_out; k++)
        WANT(is_stack(&n->type[k], &b->output.at[k].node->type[0], s->trip), "yield: other type");
    WANT(s->stop < nc && (s->stop < 0 || n->in[s->stop]->type[0].dtype == LG_BOOL),
         "stop is not a bool carry");
    return NULL;
}

static const char *check_branch(const lg_node *n, const lg_graph *b) {
    WANT(b, "cond without a branch");
    WANT(b->input.n + 1 == (size_t)n->n_in, "branch has other inputs");
    for (int k = 1; k < n->n_in; k++)
        WANT(lg_type_equal(&n->in[k]->type[0], &b->input.at[k - 1]->type[0]),
             "capture: other type");
    WANT(b->output.n == (size_t)n->n_out, "branch has other outputs");
    for (int k = 0; k < n->n_out; k++)
        WANT(lg_type_equal(&n->type[k], &b->output.at[k].node->type[0]), "result: other type");
    return NULL;
}

static const char *check_cond(const lg_node *n) {
    const lg_cond_attr *c = n->attr.cond;
    WANT(c && n->n_in > 0, "cond without a predicate");
    WANT(n->in[0]->type[0].dtype == LG_BOOL && n->in[0]->type[0].rank == 0,
         "predicate is not a bool scalar");
    const char *bad = check_branch(n, c->then_);
    return bad ? bad : check_branch(n, c->else_);
}

static const char *check_item(const lg_node *n) {
    int k = n->attr.axis;
    WANT(k >= 0 && k < n->in[0]->n_out, "no such item");
    WANT(lg_type_equal(&n->in[0]->type[k], &n->type[0]), "types differ");
    return NULL;
}

static const char *check_mark(const lg_node *n) {
    WANT(n->n_in > 0, "mark of nothing");
    WANT(lg_type_equal(&n->in[0]->type[0], &n->type[0]), "types differ");
    return NULL;
}

static const char *check_require(const lg_node *n) {
    WANT(n->n_in > 0 && n->in[0]->type[0].dtype == LG_BOOL, "condition is not bool");
    WANT(n->type[0].dtype == LG_BOOL && n->type[0].rank == 0, "result is not a bool scalar");
    return NULL;
}

/* Inputs stand earlier in the same graph, and only ITEM takes a tuple. */
static const char *check_links(const lg_node *n) {
    for (int i = 0; i < n->n_in; i++) {
        const lg_node *x = n->in[i];
        WANT(x && x->graph == n->graph, "input of another graph");
        WANT(x->id < n->id, "input stands later");
        bool tuple = x->op->cls == LG_C_SCAN || x->op->cls == LG_C_COND || x->n_out != 1;
        WANT(tuple == (n->op->cls == LG_C_ITEM), "tuple where a value is wanted");
    }
    int a = n->op->arity;
    WANT(a < 0 || a == n->n_in, "wrong number of inputs");
    return NULL;
}

static const char *check_types(const lg_node *n) {
    for (int k = 0; k < n->n_out; k++) {
        WANT(n->type[k].dtype < LG_N_DTYPES, "no dtype");
        WANT(n->type[k].rank >= 0 && n->type[k].rank <= LG_MAX_RANK, "too many dims");
        for (int d = 0; d < n->type[k].rank; d++)
            WANT(n->type[k].shape[d] >= 0, "negative size");
    }
    return NULL;
}

static const char *check_class(const lg_node *n) {
    switch (n->op->cls) {
    case LG_C_INPUT:
        return check_input(n);
    case LG_C_CONST:
        return check_const(n);
    case LG_C_IOTA:
        return check_iota(n);
    case LG_C_ELEM:
        return check_elem(n);
    case LG_C_CAST:
        return check_cast(n);
    case LG_C_VIEW:
        return check_affine(n->attr.affine, &n->in[0]->type[0], &n->type[0]);
    case LG_C_UNVIEW:
        return check_affine(n->attr.affine, &n->type[0], &n->in[0]->type[0]);
    case LG_C_RESHAPE:
        return check_reshape(n);
    case LG_C_REDUCE:
        return check_reduce(n);
    case LG_C_CUM:
        return check_cum(n);
    case LG_C_DOT:
        return check_dot(n);
    case LG_C_GATHER:
        return check_gather(n);
    case LG_C_SCATTER:
        return check_scatter(n);
    case LG_C_CONCAT:
        return check_concat(n);
    case LG_C_RAND:
        return check_rand(n);
    case LG_C_KERNEL:
        return NULL;
    case LG_C_SCAN:
        return check_scan(n);
    case LG_C_COND:
        return check_cond(n);
    case LG_C_ITEM:
        return check_item(n);
    case LG_C_MARK:
        return check_mark(n);
    case LG_C_REQUIRE:
        return check_require(n);
    }
    return "unknown class";
}

const char *lg_node_check(const lg_node *n) {
    const char *bad = check_links(n);
    if (!bad)
        bad = check_types(n);
    return bad ? bad : check_class(n);
}

/* ---- graphs ---- */

static char *complain(const lg_node *n, const char *what) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%%%u %s: %s", (unsigned)n->id, n->op ? n->op->name : "?", what);
    return b.at;
}

static char *verify_node(const lg_graph *g, size_t i) {
    const lg_node *n = g->node.at[i];
    if (n->id != i || n->graph != g)
        return complain(n, "is not at its place");
    const char *bad = lg_node_check(n);
    if (bad)
        return complain(n, bad);
    if (n->op->cls == LG_C_SCAN)
        return lg_graph_verify(n->attr.scan->body);
    if (n->op->cls == LG_C_COND) {
        char *inner = lg_graph_verify(n->attr.cond->then_);
        return inner ? inner : lg_graph_verify(n->attr.cond->else_);
    }
    return NULL;
}

static bool contains(const lg_graph *g, const lg_node *n) {
    return n && n->graph == g && n->id < g->node.n && g->node.at[n->id] == n;
}

static char *verify_outputs(const lg_graph *g) {
    for (size_t k = 0; k < g->output.n; k++) {
        const lg_output *o = &g->output.at[k];
        if (!contains(g, o->node))
            return complain(o->node, "output of another graph");
        if (o->donates < 0)
            continue;
        if ((size_t)o->donates >= g->input.n)
            return complain(o->node, "output takes the buffer of no input");
        if (!lg_type_equal(&g->input.at[o->donates]->type[0], &o->node->type[0]))
            return complain(o->node, "output takes the buffer of an input of another type");
    }
    for (size_t k = 0; k < g->effect.n; k++)
        if (!contains(g, g->effect.at[k]))
            return complain(g->effect.at[k], "effect of another graph");
    return NULL;
}

char *lg_graph_verify(const lg_graph *g) {
    for (size_t i = 0; i < g->node.n; i++) {
        char *bad = verify_node(g, i);
        if (bad)
            return bad;
    }
    for (size_t k = 0; k < g->input.n; k++)
        if (!contains(g, g->input.at[k]))
            return complain(g->input.at[k], "input of another graph");
    return verify_outputs(g);
}
