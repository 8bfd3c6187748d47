/* simplify.c: algebra on elementwise ops, casts and reductions: constants are computed, neutral
 * elements and double negations go, work on broadcast values is done before they are broadcast.
 * Nothing here makes a NaN or an infinity vanish, and sums of floats are not reordered but by what
 * a whole reduction leaves open. Not for moves (affine.c) nor products (contract.c). */
#include "compiler/mid/rewrite.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- constants ---- */

/* Elements of x from one value: what a kernel wants to read. */
static const void *dense(lg_rewrite *R, const lg_node *x, size_t n) {
    const void *one = lg_fill_of(x);
    if (!one || n == 1)
        return one ? one : lg_small_data(R, x);
    size_t size = lg_dtype_size(x->type[0].dtype);
    char *p = lg_arena_alloc(R->g->arena, n * size + 16);
    for (size_t i = 0; i < n; i++)
        memcpy(p + i * size, one, size);
    return p;
}

static lg_node *fold_elem(lg_rewrite *R, const lg_op *op, int n, lg_node *const *in, lg_span at) {
    bool fills = true;
    size_t count = lg_type_count(&in[0]->type[0]);
    const void *p[4];
    assert(n <= 4);
    for (int k = 0; k < n; k++)
        fills = fills && lg_fill_of(in[k]);
    if (fills)
        count = 1;
    if (count > LG_SMALL || !count)
        return NULL;
    for (int k = 0; k < n; k++) {
        p[k] = dense(R, in[k], count);
        if (!p[k])
            return NULL;
    }
    lg_type t = in[op->key]->type[0];
    lg_elem_fn fn = op->elem[t.dtype];
    if (op->out_dtype != LG_NO_DTYPE)
        t.dtype = op->out_dtype;
    void *out = lg_arena_alloc(R->g->arena, count * sizeof(double) + 16);
    fn(count, p, out);
    return fills ? lg_s_fill(R, &t, out, at) : lg_s_const(R, t.dtype, out, t.rank, t.shape, at);
}

/* ---- one operand known ---- */

static bool is_float(const lg_node *x) {
    return lg_dtype_is_float(x->type[0].dtype);
}

static lg_node *number(lg_rewrite *R, const lg_node *like, double v, lg_span at) {
    return lg_s_number(R, &like->type[0], v, at);
}

static lg_node *elem1(lg_rewrite *R, const lg_op *op, lg_node *a, lg_span at) {
    return lg_s_elem(R, op, 1, &a, at);
}

lg_node *lg_s_elem2(lg_rewrite *R, const lg_op *op, lg_node *a, lg_node *b, lg_span at) {
    return lg_s_elem(R, op, 2, (lg_node *[]){a, b}, at);
}

/* x times c, where x is itself something times a constant. */
static lg_node *scale_again(lg_rewrite *R, lg_node *x, lg_node *c, lg_span at) {
    double v;
    if (x->op != R->op->mul || !is_float(x) || !lg_fill_of(x->in[1]))
        return NULL;
    lg_node *both = lg_s_elem2(R, R->op->mul, x->in[1], c, at);
    if (!lg_fill_value(both, &v) || !isfinite(v) || fabs(v) < 1e-30 || fabs(v) > 1e30)
        return NULL; /* near the ends of the range the order of products matters */
    return lg_s_elem2(R, R->op->mul, x->in[0], both, at);
}

static lg_node *mul_rule(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    if (lg_is_fill(b, 1))
        return a;
    if (lg_is_fill(b, -1))
        return elem1(R, k->neg, a, at);
    if (lg_is_fill(b, 0) && !is_float(a))
        return b;
    if (a->op == k->neg && b->op == k->neg)
        return lg_s_elem2(R, k->mul, a->in[0], b->in[0], at);
    if (lg_fill_of(b)) {
        if (a->op == k->neg)
            return lg_s_elem2(R, k->mul, a->in[0], elem1(R, k->neg, b, at), at);
        return scale_again(R, a, b, at);
    }
    if (a->op == k->neg)
        return elem1(R, k->neg, lg_s_elem2(R, k->mul, a->in[0], b, at), at);
    if (b->op == k->neg)
        return elem1(R, k->neg, lg_s_elem2(R, k->mul, a, b->in[0], at), at);
    return a == b ? elem1(R, k->square, a, at) : NULL;
}

static lg_node *add_rule(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    if (lg_is_fill(b, 0))
        return a;
    if (b->op == k->neg)
        return lg_s_elem2(R, k->sub, a, b->in[0], at);
    return a->op == k->neg ? lg_s_elem2(R, k->sub, b, a->in[0], at) : lg_s_joined(R, a, b, at);
}

static lg_node *sub_rule(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    if (lg_is_fill(b, 0))
        return a;
    if (lg_is_fill(a, 0))
        return elem1(R, k->neg, b, at);
    if (a == b && !is_float(a))
        return number(R, a, 0, at);
    return b->op == k->neg ? lg_s_elem2(R, k->add, a, b->in[0], at) : NULL;
}

static lg_node *div_rule(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    double v;
    int e;
    if (lg_is_fill(b, 1))
        return a;
    if (lg_fill_value(b, &v) && isfinite(v) && fabs(frexp(v, &e)) == 0.5 && abs(e) < 100)
        return lg_s_elem2(R, k->mul, a, number(R, b, 1 / v, at), at); /* a power of two: exact */
    if (a->op == k->neg)
        return elem1(R, k->neg, lg_s_elem2(R, k->div, a->in[0], b, at), at);
    return NULL;
}

/* Whole and half powers that have ops of their own, which are as exact and quicker. */
static lg_node *pow_rule(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    double v;
    if (!is_float(a) || !lg_fill_value(b, &v))
        return NULL;
    if (v == 0)
        return number(R, a, 1, at);
    if (v == 1)
        return a;
    if (v == 0.5)
        return elem1(R, k->sqrt, a, at);
    if (v == -0.5)
        return elem1(R, k->rsqrt, a, at);
    if (v < 0 && v >= -4 && v == floor(v))
        return lg_s_elem2(R, k->div, number(R, a, 1, at),
                          lg_s_elem2(R, k->pow, a, number(R, b, -v, at), at), at);
    if (v == 2 || v == 3 || v == 4) {
        lg_node *s = elem1(R, k->square, a, at);
        return v == 2 ? s : v == 3 ? lg_s_elem2(R, k->mul, a, s, at) : elem1(R, k->square, s, at);
    }
    return NULL;
}

static lg_node *neg_rule(lg_rewrite *R, lg_node *a, lg_span at) {
    const lg_known *k = R->op;
    if (a->op == k->neg)
        return a->in[0];
    if (a->op == k->sub && !is_float(a)) /* of floats, 0 would change its sign */
        return lg_s_elem2(R, k->sub, a->in[1], a->in[0], at);
    if (a->op == k->mul && lg_fill_of(a->in[1]))
        return lg_s_elem2(R, k->mul, a->in[0], elem1(R, k->neg, a->in[1], at), at);
    return NULL;
}

/* ---- conditions ---- */

static lg_node *where_rule(lg_rewrite *R, lg_node *c, lg_node *a, lg_node *b, lg_span at) {
    const lg_known *k = R->op;
    if (lg_fill_of(c))
        return lg_is_fill(c, 0) ? b : a;
    if (a == b)
        return a;
    if (c->op == k->not_)
        return lg_s_elem(R, k->where, 3, (lg_node *[]){c->in[0], b, a}, at);
    if (a->op == k->where && a->in[0] == c)
        return lg_s_elem(R, k->where, 3, (lg_node *[]){c, a->in[1], b}, at);
    if (b->op == k->where && b->in[0] == c)
        return lg_s_elem(R, k->where, 3, (lg_node *[]){c, a, b->in[2]}, at);
    return NULL;
}

/* and: `unit` is true; or: it is false. */
static lg_node *logic_rule(lg_node *a, lg_node *b, bool unit) {
    if (a == b || lg_is_fill(b, unit))
        return a;
    return lg_fill_of(b) ? b : NULL;
}

/* ---- work before broadcasting ---- */

lg_node *lg_s_narrow(lg_rewrite *R, lg_node *x, uint32_t used, lg_span at) {
    const lg_type *t = &x->type[0];
    lg_type s = {.dtype = t->dtype};
    int axis[LG_MAX_RANK];
    for (int o = 0; o < t->rank; o++)
        if (used >> o & 1) {
            axis[s.rank] = o;
            s.shape[s.rank++] = t->shape[o];
        }
    const void *one = lg_fill_of(x);
    if (one)
        return lg_s_fill(R, &s, one, at);
    if (x->op->cls == LG_C_IOTA)
        for (int o = 0; o < s.rank; o++)
            if (axis[o] == x->attr.axis)
                return lg_s_iota(R, s.rank, s.shape, o, at);
    if (x->op->cls != LG_C_VIEW)
        return lg_s_reshape(R, x, s.rank, s.shape, at);
    const lg_affine *m = x->attr.affine;
    lg_affine *r = lg_affine_new(R->g, m->rank_in, s.rank);
    memcpy(r->off, m->off, sizeof *m->off * (size_t)m->rank_in);
    for (int a = 0; a < m->rank_in; a++)
        for (int o = 0; o < s.rank; o++)
            LG_COEF(r, a, o) = LG_COEF(m, a, axis[o]);
    return lg_s_view(R, x->in[0], r, s.rank, s.shape, at);
}

lg_node *lg_s_widen(lg_rewrite *R, lg_node *x, uint32_t used, const lg_type *t, lg_span at) {
    int from[LG_MAX_RANK], k = 0;
    for (int o = 0; o < t->rank; o++)
        from[o] = used >> o & 1 ? k++ : -1;
    return lg_s_broadcast(R, x, t->rank, t->shape, from, at);
}

/* When no operand differs along some axis, the op is done without that axis. */
static lg_node *hoist(lg_rewrite *R, const lg_op *op, int n, lg_node *const *in, lg_span at) {
    const lg_type *t = &in[0]->type[0];
    uint32_t used = 0;
    lg_node *part[4];
    if (!lg_type_count(t))
        return NULL;
    for (int k = 0; k < n; k++) {
        if (in[k]->op->cls != LG_C_VIEW && in[k]->op->cls != LG_C_IOTA && !lg_fill_of(in[k]))
            return NULL;
        used |= lg_axes_used(in[k]);
    }
    size_t fewer = 1;
    for (int o = 0; o < t->rank; o++)
        fewer *= used >> o & 1 ? (size_t)t->shape[o] : 1;
    if (fewer == lg_type_count(t))
        return NULL;
    for (int k = 0; k < n; k++)
        part[k] = lg_s_narrow(R, in[k], used, at);
    return lg_s_widen(R, lg_s_elem(R, op, n, part, at), used, t, at);
}

/* ---- the order of axes ---- */

/* All of a dense array with its axes in another order. `back` is the way to undo it. */
static bool is_permuted(lg_rewrite *R, const lg_node *x, lg_affine **back) {
    if (x->op->cls != LG_C_VIEW || lg_fill_of(x))
        return false;
    const lg_affine *m = x->attr.affine;
    const lg_type *t = &x->type[0], *in = &x->in[0]->type[0];
    if (lg_type_count(t) != lg_type_count(in) || !lg_type_count(t))
        return false;
    uint32_t taken = 0;
    *back = lg_affine_new(R->g, t->rank, in->rank);
    for (int a = 0; a < in->rank; a++) {
        int hits = 0;
        for (int o = 0; o < t->rank; o++)
            if (LG_COEF(m, a, o)) {
                if (LG_COEF(m, a, o) != 1 || t->shape[o] != in->shape[a] || taken >> o & 1)
                    return false;
                taken |= 1u << o;
                LG_COEF(*back, o, a) = 1;
                hits++;
            }
        if (hits > 1 || m->off[a] || (!hits && in->shape[a] != 1))
            return false;
    }
    return true;
}

/* An op on reordered operands is done in the order of the first array among them, and its result
 * reordered: further ops see that order again, and it costs nothing until something must have the
 * other one. */
static lg_node *in_own_order(lg_rewrite *R, const lg_op *op, int n, lg_node *const *in,
                             lg_span at) {
    lg_affine *back = NULL, *b;
    lg_node *first = NULL, *part[4];
    for (int k = 0; k < n; k++) {
        if (in[k]->op->cls != LG_C_VIEW && in[k]->op->cls != LG_C_IOTA && !lg_fill_of(in[k]))
            return NULL;
        if (!first && is_permuted(R, in[k], &b)) {
            first = in[k];
            back = b;
        }
    }
    if (!first)
        return NULL;
    const lg_type *t = &first->in[0]->type[0];
    for (int k = 0; k < n; k++)
        part[k] = lg_s_view(R, in[k], back, t->rank, t->shape, at);
    lg_node *y = lg_s_elem(R, op, n, part, at);
    return lg_s_view(R, y, first->attr.affine, first->type[0].rank, first->type[0].shape, at);
}

/* ---- elementwise ---- */

static lg_node *algebra(lg_rewrite *R, const lg_op *op, lg_node *const *in, lg_span at) {
    const lg_known *k = R->op;
    if (op == k->mul)
        return mul_rule(R, in[0], in[1], at);
    if (op == k->add)
        return add_rule(R, in[0], in[1], at);
    if (op == k->sub)
        return sub_rule(R, in[0], in[1], at);
    if (op == k->div)
        return div_rule(R, in[0], in[1], at);
    if (op == k->pow)
        return pow_rule(R, in[0], in[1], at);
    if (op == k->neg)
        return neg_rule(R, in[0], at);
    if (op == k->where)
        return where_rule(R, in[0], in[1], in[2], at);
    if (op == k->and_)
        return logic_rule(in[0], in[1], true);
    if (op == k->or_)
        return logic_rule(in[0], in[1], false);
    if (op == k->not_ && in[0]->op == k->not_)
        return in[0]->in[0];
    if ((op == k->max || op == k->min) && in[0] == in[1])
        return in[0];
    if (op == k->square && in[0]->op == k->neg)
        return elem1(R, k->square, in[0]->in[0], at);
    if (op == k->guard) /* derivatives have been taken */
        return in[0];
    return NULL;
}

lg_node *lg_s_elem(lg_rewrite *R, const lg_op *op, int n, lg_node *const *given, lg_span at) {
    lg_node *in[4];
    assert(n <= 4);
    memcpy(in, given, sizeof *in * (size_t)n);
    if (op->traits & LG_T_COMMUTES) { /* constants second, else older first */
        bool first = lg_fill_of(in[0]) != NULL, second = lg_fill_of(in[1]) != NULL;
        if (first != second ? first : in[0]->id > in[1]->id) {
            in[0] = given[1];
            in[1] = given[0];
        }
    }
    lg_node *y = fold_elem(R, op, n, in, at);
    if (!y)
        y = algebra(R, op, in, at);
    if (!y)
        y = hoist(R, op, n, in, at);
    if (!y)
        y = in_own_order(R, op, n, in, at);
    if (y)
        return y;
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_elem(R->g, op, n, in, at));
}

/* ---- casts ---- */

/* Does every value of `from` exist in `to`? */
static bool holds(lg_dtype to, lg_dtype from) {
    if (to == from || from == LG_BOOL)
        return true;
    switch (from) {
    case LG_F32:
    case LG_I32:
        return to == LG_F64 || (from == LG_I32 && to == LG_I64);
    case LG_BF16:
    case LG_F16:
        return to == LG_F64 || to == LG_F32;
    case LG_I8:
    case LG_U8:
        return to == LG_F64 || to == LG_F32 || to == LG_I64 || to == LG_I32;
    default:
        return false;
    }
}

static bool same_kind(lg_dtype a, lg_dtype b) {
    return lg_dtype_is_float(a) == lg_dtype_is_float(b);
}

lg_node *lg_s_cast(lg_rewrite *R, lg_node *x, lg_dtype t, lg_span at) {
    lg_dtype mid = x->type[0].dtype;
    if (mid == t)
        return x;
    const void *one = lg_fill_of(x);
    if (one) {
        lg_type to = x->type[0];
        uint64_t v[2] = {0};
        to.dtype = t;
        lg_convert(t, v, mid, one, 1);
        return lg_s_fill(R, &to, v, at);
    }
    if (x->op->cls == LG_C_CAST) {
        lg_dtype from = x->in[0]->type[0].dtype;
        if (holds(mid, from) && (t == from || lg_dtype_is_float(t) || same_kind(mid, from)))
            return lg_s_cast(R, x->in[0], t, at);
    }
    if (x->op->cls == LG_C_VIEW && lg_type_count(&x->in[0]->type[0]) <= lg_type_count(&x->type[0]))
        return lg_s_view(R, lg_s_cast(R, x->in[0], t, at), x->attr.affine, x->type[0].rank,
                         x->type[0].shape, at);
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_cast(R->g, x, t, at));
}

/* ---- reductions ---- */

static size_t count_of(const lg_type *t, uint32_t mask) {
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        if (mask >> d & 1)
            n *= (size_t)t->shape[d];
    return n;
}

/* Ops for which reducing equal elements gives that element. */
static bool is_idempotent(const lg_rewrite *R, const lg_op *op) {
    const lg_known *k = R->op;
    return op == k->rmax || op == k->rmin || op == k->any || op == k->all;
}

static lg_type reduced_type(const lg_node *x, uint32_t mask) {
    lg_type t = {.dtype = x->type[0].dtype};
    for (int d = 0; d < x->type[0].rank; d++)
        if (!(mask >> d & 1))
            t.shape[t.rank++] = x->type[0].shape[d];
    return t;
}

/* x, which does not differ along the axes of mask, without them. */
static lg_node *without_axes(lg_rewrite *R, lg_node *x, uint32_t mask, lg_span at) {
    lg_type t = reduced_type(x, mask);
    const void *one = lg_fill_of(x);
    if (one)
        return lg_s_fill(R, &t, one, at);
    uint32_t keep = ~mask & ((1u << x->type[0].rank) - 1);
    return lg_s_narrow(R, x, keep, at);
}

/* A reduction over axes along which x is the same everywhere. */
static lg_node *reduce_flat(lg_rewrite *R, const lg_op *op, lg_node *x, uint32_t mask, lg_span at) {
    uint32_t flat = mask & ~lg_axes_used(x);
    if (!flat || !count_of(&x->type[0], mask) || (x->op->cls != LG_C_VIEW && !lg_fill_of(x)))
        return NULL;
    bool sum = op == R->op->sum;
    if (!sum && !is_idempotent(R, op))
        return NULL;
    double n = (double)count_of(&x->type[0], flat);
    lg_node *y = without_axes(R, x, flat, at);
    uint32_t rest = 0;
    for (int d = 0, k = 0; d < x->type[0].rank; d++)
        if (!(flat >> d & 1))
            rest |= (mask >> d & 1) << k++;
    y = lg_s_reduce(R, op, y, rest, at);
    return sum ? lg_s_elem2(R, R->op->mul, y, number(R, y, n, at), at) : y;
}

/* A reduction of a reordered array, over the axes where they stand. */
static lg_node *reduce_reordered(lg_rewrite *R, const lg_op *op, lg_node *x, uint32_t mask,
                                 lg_span at) {
    lg_affine *back;
    if (!op->elem[x->type[0].dtype] || !is_permuted(R, x, &back))
        return NULL; /* places (argmax) depend on the order */
    const lg_affine *m = x->attr.affine;
    const lg_type *in = &x->in[0]->type[0];
    uint32_t own = 0;
    int kept[LG_MAX_RANK], place[LG_MAX_RANK], n = 0, rank = 0;
    int64_t shape[LG_MAX_RANK];
    for (int a = 0; a < in->rank; a++) {
        int col = -1;
        for (int o = 0; o < x->type[0].rank; o++)
            if (LG_COEF(m, a, o))
                col = o;
        if (col < 0 || mask >> col & 1) /* axes of size 1 that the view dropped go too */
            own |= 1u << a;
        else
            kept[n++] = col;
    }
    for (int o = 0; o < x->type[0].rank; o++) {
        if (mask >> o & 1)
            continue;
        place[rank] = -1;
        for (int k = 0; k < n; k++)
            if (kept[k] == o)
                place[rank] = k;
        shape[rank++] = x->type[0].shape[o];
    }
    lg_node *y = lg_s_reduce(R, op, x->in[0], own, at);
    return lg_s_broadcast(R, y, rank, shape, place, at);
}

static lg_node *reduce_rule(lg_rewrite *R, const lg_op *op, lg_node *x, uint32_t mask, lg_span at) {
    const lg_known *k = R->op;
    bool same_dtype = op->out_dtype == LG_NO_DTYPE || op->out_dtype == x->type[0].dtype;
    size_t n = count_of(&x->type[0], mask);
    if (n == 1 && same_dtype && op->elem[x->type[0].dtype]) { /* one element is its own reduction */
        lg_type t = reduced_type(x, mask);
        return lg_s_reshape(R, x, t.rank, t.shape, at);
    }
    if (n == 0 || !lg_type_count(&x->type[0]))
        return NULL;
    lg_node *y = reduce_flat(R, op, x, mask, at);
    if (!y)
        y = reduce_reordered(R, op, x, mask, at);
    if (y)
        return y;
    y = op == k->sum ? lg_s_sum_of_one(R, x, mask, at) : NULL;
    if (y)
        return y;
    if (op == k->sum && x->op == k->neg)
        return elem1(R, k->neg, lg_s_reduce(R, op, x->in[0], mask, at), at);
    if (op == k->sum && x->op == k->mul && is_float(x) && lg_fill_of(x->in[1])) {
        y = lg_s_reduce(R, op, x->in[0], mask, at);
        return lg_s_elem2(R, k->mul, y, lg_s_fill(R, &y->type[0], lg_fill_of(x->in[1]), at), at);
    }
    return NULL;
}

lg_node *lg_s_reduce(lg_rewrite *R, const lg_op *op, lg_node *x, uint32_t mask, lg_span at) {
    lg_node *y = reduce_rule(R, op, x, mask, at);
    if (y)
        return y;
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_reduce(R->g, op, x, mask, at));
}

lg_node *lg_s_dot(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_dot(R->g, a, b, at));
}

/* ---- the pass ---- */

/* Marks mean nothing once derivatives are taken, but for barriers, which keep what is computed
 * again apart from what it is a copy of. */
static lg_node *mark(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    return n->op == &lg_op_barrier ? lg_rewrite_copy(R, n, in) : in[0];
}

lg_node *lg_rewrite_default(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    const lg_type *t = &n->type[0];
    lg_attr *a = &n->attr;
    switch (n->op->cls) {
    case LG_C_ELEM:
        return lg_s_elem(R, n->op, n->n_in, in, n->span);
    case LG_C_CAST:
        return lg_s_cast(R, in[0], t->dtype, n->span);
    case LG_C_VIEW:
        return lg_s_turned(R, n, lg_s_view(R, in[0], a->affine, t->rank, t->shape, n->span));
    case LG_C_UNVIEW:
        return lg_s_turned(R, n, lg_s_unview(R, in[0], a->affine, t->rank, t->shape, n->span));
    case LG_C_RESHAPE:
        return lg_s_reshape(R, in[0], t->rank, t->shape, n->span);
    case LG_C_REDUCE:
        return lg_s_reduce(R, n->op, in[0], a->axes_mask, n->span);
    case LG_C_GATHER:
        return lg_s_gather(R, in[0], a->nb, a->ni, in + 1, n->span);
    case LG_C_IOTA:
        return lg_s_iota(R, t->rank, t->shape, a->axis, n->span);
    case LG_C_MARK:
        return mark(R, n, in);
    case LG_C_REQUIRE:
        if (lg_fill_of(in[0]) && !lg_is_fill(in[0], 0))
            return NULL; /* kept for ever */
        return lg_rewrite_copy(R, n, in);
    case LG_C_CONST:
        if (a->tensor->n == 1 && t->rank)
            return lg_s_fill(R, t, a->tensor->data, n->span);
        return lg_rewrite_copy(R, n, in);
    case LG_C_INPUT:
    case LG_C_CUM:
    case LG_C_DOT:
    case LG_C_SCATTER:
    case LG_C_CONCAT:
    case LG_C_RAND:
    case LG_C_KERNEL:
    case LG_C_SCAN:
    case LG_C_COND:
    case LG_C_ITEM:
        return lg_rewrite_copy(R, n, in);
    }
    return NULL;
}

void lg_pass_simplify(lg_graph *g) {
    lg_rewrite_graph(g, lg_rewrite_default, lg_pass_simplify);
}
