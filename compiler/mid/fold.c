/* fold.c: the arithmetic of reductions over open indices: sums, means, extremes, softmax and the
 * rest, with a condition on their terms. Not for how they are written (reduce.c). */
#include "compiler/mid/index.h"
#include <math.h>
#include <string.h>

/* ---- pieces ---- */

static lg_value *num(lg_elab *E, double v, lg_span at) {
    return v > -1e15 && v < 1e15 && v == floor(v) ? lg_v_int(E, (int64_t)v, at)
                                                  : lg_v_real(E, v, at);
}

static lg_value *op1(lg_elab *E, const char *op, lg_value *a, lg_span at) {
    return lg_elem_named(E, op, 1, &a, at);
}

/* Terms that the condition leaves out count as `otherwise`. */
static lg_value *masked(lg_elab *E, const lg_fold *r, lg_value *v, double otherwise) {
    return r->cond && !r->masked ? lg_select(E, r->cond, v, num(E, otherwise, r->at), r->at) : v;
}

static bool is_reduced(const lg_fold *r, const lg_index *i) {
    for (int k = 0; k < r->n; k++)
        if (r->idx[k] == i)
            return true;
    return false;
}

/* The union of v's open indices and the reduction's, sorted. */
static int all_open(lg_elab *E, const lg_fold *r, lg_value *v, lg_index ***out) {
    lg_index *own[LG_MAX_RANK];
    for (int k = 0; k < r->n; k++) {
        int p = k;
        for (; p > 0 && own[p - 1]->seq > r->idx[k]->seq; p--)
            own[p] = own[p - 1];
        own[p] = r->idx[k];
    }
    lg_value *both[2] = {v, lg_v_open(E, LG_I64, r->n, own, 0, NULL, NULL, r->at)};
    return lg_open_union(E, 2, both, out);
}

/* Reduces v over the indices by one op. */
static lg_value *fold(lg_elab *E, const lg_fold *r, const char *name, lg_value *v) {
    const lg_op *op = lg_op_find(name);
    assert(op && op->cls == LG_C_REDUCE);
    if (v->kind != LG_V_TENSOR)
        return lg_v_error(E, r->at);
    lg_index **open, *left[LG_MAX_RANK * 2];
    int n = all_open(E, r, v, &open), k = 0;
    uint32_t mask = 0;
    for (int i = 0; i < n; i++)
        if (is_reduced(r, open[i]))
            mask |= 1u << i;
        else
            left[k++] = open[i];
    if (!r->n) /* a single value */
        return v;
    if (n + v->t.rank > LG_MAX_RANK)
        return lg_too_many_dims(E, r->at);
    lg_dtype t = op->out_dtype == LG_NO_DTYPE ? v->t.dtype : op->out_dtype;
    lg_value *y = lg_v_open(E, t, k, left, v->t.rank, v->t.dim, NULL, r->at);
    if (LG_CHECKING(E))
        return y;
    lg_node *x = lg_node_as(E, v, n, open, v->t.rank, v->t.dim, r->at);
    y->t.node = lg_g_reduce(E->g, op, x, mask, r->at);
    return y;
}

/* Many integers are joined in i64, whatever they are themselves. */
lg_value *lg_widened(lg_elab *E, lg_value *v, lg_span at) {
    bool narrow = v->kind == LG_V_TENSOR && !lg_dtype_is_float(v->t.dtype) && v->t.dtype != LG_I64;
    return narrow ? lg_cast(E, v, LG_I64, at) : v;
}

lg_value *lg_sum_over(lg_elab *E, const lg_fold *r, lg_value *v) {
    v = lg_widened(E, v, r->at);
    return r->scatter ? lg_scatter_sum(E, r, v) : fold(E, r, "sum", v);
}

/* The number of terms when there is no condition. */
static lg_value *whole_count(lg_elab *E, const lg_fold *r) {
    lg_dim *d = lg_dim_num(E->dims, 1);
    for (int k = 0; k < r->n; k++)
        d = lg_dim_mul(E->dims, d, r->idx[k]->dim);
    return lg_v_dim(E, d, r->at);
}

static lg_value *count_terms(lg_elab *E, const lg_fold *r) {
    if (!r->cond && !r->scatter)
        return whole_count(E, r);
    lg_value *c = r->cond ? r->cond : lg_to_tensor(E, lg_v_bool(E, true, r->at), LG_BOOL, r->at);
    return lg_sum_over(E, r, lg_cast(E, c, LG_I64, r->at));
}

/* Something must be left to reduce, unless `empty` says what happens else. `least`: terms needed.
 */
static bool require_terms(lg_elab *E, const lg_fold *r, lg_value *count, int64_t least) {
    int64_t n;
    if (r->empty)
        return true;
    if (lg_v_static_int(E, count, &n)) {
        if (n >= least)
            return true;
        lg_diag *d =
            lg_err(E, "E0259", r->at, "`%s` of %s", r->name, n ? "too few values" : "nothing");
        lg_diag_help(d, "give the value for that case: `empty=0`");
        return false;
    }
    if (count->kind == LG_V_TENSOR)
        lg_late(E, r->at, "`%s` has %s in each row", r->name,
                least > 1 ? "enough values" : "a value");
    if (LG_CHECKING(E) || count->kind != LG_V_TENSOR)
        return true;
    lg_value *ok = lg_binary(E, ">=", count, lg_v_int(E, least, r->at), r->at);
    if (E->guard)
        ok = lg_binary(E, "or", lg_unary(E, "not", E->guard, r->at), ok, r->at);
    if (ok->kind == LG_V_TENSOR && ok->t.node)
        lg_g_require(E->g, lg_import(E, ok->t.node),
                     lg_txt(E, "`%s` of %s", r->name, least > 1 ? "too few values" : "nothing"),
                     r->at);
    return true;
}

/* v where the count is enough, the value for an empty row else. */
static lg_value *or_empty(lg_elab *E, const lg_fold *r, lg_value *count, int64_t least,
                          lg_value *v) {
    int64_t n;
    if (!r->empty || v->kind != LG_V_TENSOR)
        return v;
    lg_value *e = r->empty;
    if (lg_v_static_int(E, count, &n)) {
        if (n >= least)
            return v;
        return lg_select(E, lg_to_tensor(E, lg_v_bool(E, false, r->at), LG_BOOL, r->at), v, e,
                         r->at);
    }
    if (count->kind != LG_V_TENSOR)
        return v;
    return lg_select(E, lg_binary(E, ">=", count, lg_v_int(E, least, r->at), r->at), v, e, r->at);
}

static lg_value *as_float(lg_elab *E, lg_value *v, lg_span at) {
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, E->frame->float_dtype, at);
    return v->kind == LG_V_TENSOR && !lg_dtype_is_float(v->t.dtype)
               ? lg_cast(E, v, E->frame->float_dtype, at)
               : v;
}

/* sum / count, where the count may be 0 or a number. */
static lg_value *divided(lg_elab *E, const lg_fold *r, lg_value *sum, lg_value *count) {
    int64_t n;
    if (count->kind == LG_V_ERROR || sum->kind != LG_V_TENSOR)
        return lg_v_error(E, r->at);
    if (lg_v_static_int(E, count, &n))
        return lg_binary(E, "/", sum, lg_v_int(E, n < 1 ? 1 : n, r->at), r->at);
    if (count->kind == LG_V_NUM)
        return lg_v_copy(E, sum); /* checking */
    lg_value *two[2] = {count, lg_v_int(E, 1, r->at)};
    count = lg_elem_named(E, "max", 2, two, r->at);
    return lg_binary(E, "/", sum, lg_cast(E, count, sum->t.dtype, r->at), r->at);
}

/* ---- the reductions ---- */

/* Truth values as 0 and 1. */
static lg_value *numbers(lg_elab *E, const lg_fold *r, lg_value *v) {
    return v->t.dtype == LG_BOOL ? lg_cast(E, v, LG_I64, r->at) : v;
}

static lg_value *red_sum(lg_elab *E, lg_fold *r, lg_value *v) {
    return lg_sum_over(E, r, masked(E, r, numbers(E, r, v), 0));
}

static lg_value *red_prod(lg_elab *E, lg_fold *r, lg_value *v) {
    return fold(E, r, "prod", lg_widened(E, masked(E, r, numbers(E, r, v), 1), r->at));
}

static lg_value *extreme(lg_elab *E, lg_fold *r, lg_value *v, bool most) {
    v = numbers(E, r, v);
    double worst = most ? (double)-INFINITY : (double)INFINITY;
    if (r->cond && v->kind == LG_V_TENSOR && !lg_dtype_is_float(v->t.dtype)) {
        int64_t edge = v->t.dtype == LG_I64   ? INT64_MAX
                       : v->t.dtype == LG_I32 ? INT32_MAX
                       : v->t.dtype == LG_I8  ? INT8_MAX
                                              : 0;
        if (v->t.dtype == LG_U8)
            edge = most ? 0 : UINT8_MAX;
        else
            edge = most ? -edge - 1 : edge;
        v = lg_select(E, r->cond, v, lg_v_int(E, edge, r->at), r->at);
    } else {
        v = masked(E, r, v, worst);
    }
    return fold(E, r, most ? "reduce_max" : "reduce_min", v);
}

static lg_value *red_max(lg_elab *E, lg_fold *r, lg_value *v) {
    lg_value *y = extreme(E, r, v, true);
    return r->empty ? or_empty(E, r, count_terms(E, r), 1, y) : y;
}

static lg_value *red_min(lg_elab *E, lg_fold *r, lg_value *v) {
    lg_value *y = extreme(E, r, v, false);
    return r->empty ? or_empty(E, r, count_terms(E, r), 1, y) : y;
}

static lg_value *place_of_extreme(lg_elab *E, lg_fold *r, lg_value *v, bool most) {
    if (r->n != 1) {
        lg_diag *d = lg_err(E, "E0257", r->at, "`%s` wants one index, got %d", r->name, r->n);
        lg_diag_help(d,
                     "a place is one number: reduce one index after the other, or reshape first");
        return lg_v_error(E, r->at);
    }
    v = numbers(E, r, v);
    lg_value *count = count_terms(E, r);
    if (!require_terms(E, r, count, 1))
        return lg_v_error(E, r->at);
    if (r->cond) {
        double worst = most ? (double)-INFINITY : (double)INFINITY;
        if (!lg_dtype_is_float(v->t.dtype))
            v = lg_cast(E, v, LG_F64, r->at);
        v = lg_select(E, r->cond, v, lg_v_real(E, worst, r->at), r->at);
    }
    int64_t n;
    lg_value *y;
    if (lg_v_static_int(E, count, &n) && n == 0) { /* `empty` is there */
        y = lg_cast(E, fold(E, r, "sum", v), LG_I32, r->at);
    } else {
        y = fold(E, r, most ? "argmax" : "argmin", v);
    }
    const lg_index *i = r->idx[0];
    if (y->kind == LG_V_TENSOR && i->lo_known && i->lo == 0 && !r->empty)
        y->t.bound = i->dim;
    else if (i->lo)
        y = lg_binary(E, "+", y, lg_v_int(E, i->lo, r->at), r->at);
    return or_empty(E, r, count, 1, y);
}

static lg_value *red_argmax(lg_elab *E, lg_fold *r, lg_value *v) {
    return place_of_extreme(E, r, v, true);
}

static lg_value *red_argmin(lg_elab *E, lg_fold *r, lg_value *v) {
    return place_of_extreme(E, r, v, false);
}

static lg_value *red_mean(lg_elab *E, lg_fold *r, lg_value *v) {
    v = as_float(E, v, r->at);
    lg_value *count = count_terms(E, r);
    if (!require_terms(E, r, count, 1))
        return lg_v_error(E, r->at);
    lg_value *sum = lg_sum_over(E, r, masked(E, r, v, 0));
    return or_empty(E, r, count, 1, divided(E, r, sum, count));
}

static lg_value *red_count(lg_elab *E, lg_fold *r, lg_value *v) {
    if (v->t.dtype != LG_BOOL) { /* whatever the terms are, they are counted */
        lg_value *c = count_terms(E, r);
        return c->kind == LG_V_NUM ? lg_cast(E, c, LG_I64, r->at) : c;
    }
    return lg_sum_over(
        E, r, lg_cast(E, r->cond ? lg_binary(E, "and", r->cond, v, r->at) : v, LG_I64, r->at));
}

static bool want_bool(lg_elab *E, const lg_fold *r, const lg_value *v) {
    if (v->t.dtype == LG_BOOL)
        return true;
    lg_diag *d =
        lg_err(E, "E0206", r->at, "`%s` wants bools, got %s", r->name, lg_v_type_text(E, v));
    lg_diag_help(d, "compare first: `%s(x > 0)`", r->name);
    return false;
}

static lg_value *red_any(lg_elab *E, lg_fold *r, lg_value *v) {
    if (!want_bool(E, r, v))
        return lg_v_error(E, r->at);
    if (r->cond)
        v = lg_binary(E, "and", r->cond, v, r->at);
    if (r->scatter)
        return lg_binary(E, ">", lg_sum_over(E, r, lg_cast(E, v, LG_I64, r->at)),
                         lg_v_int(E, 0, r->at), r->at);
    return fold(E, r, "any", v);
}

static lg_value *red_all(lg_elab *E, lg_fold *r, lg_value *v) {
    if (!want_bool(E, r, v))
        return lg_v_error(E, r->at);
    if (r->cond)
        v = lg_binary(E, "or", lg_unary(E, "not", r->cond, r->at), v, r->at);
    return fold(E, r, "all", v);
}

/* sqrt with derivative 0 at 0, so that the norm of nothing and the deviation of equals have one. */
lg_value *lg_root(lg_elab *E, lg_value *s, lg_span at) {
    if (s->kind != LG_V_TENSOR)
        return s;
    lg_value *zero = lg_v_int(E, 0, at), *pos = lg_binary(E, ">", s, zero, at);
    lg_value *safe = lg_select(E, pos, s, lg_v_int(E, 1, at), at);
    /* NaN is not above 0: keep it */
    return lg_select(E, pos, op1(E, "sqrt", safe, at),
                     lg_elem_named(E, "mul", 2, (lg_value *[]){s, zero}, at), at);
}

static lg_value *red_norm(lg_elab *E, lg_fold *r, lg_value *v) {
    double p = 2;
    v = as_float(E, v, r->at);
    if (r->p && !lg_v_static_real(E, r->p, &p) && r->p->kind != LG_V_NUM) {
        lg_err(E, "E0257", r->p->at, "the order of `norm` must be known before the graph runs");
        return lg_v_error(E, r->at);
    }
    if (p == 2.0)
        return lg_root(E, lg_sum_over(E, r, masked(E, r, op1(E, "square", v, r->at), 0)), r->at);
    lg_value *a = op1(E, "abs", v, r->at);
    if (p == 1.0)
        return lg_sum_over(E, r, masked(E, r, a, 0));
    if (isinf(p) && p > 0)
        return fold(E, r, "reduce_max", masked(E, r, a, 0));
    if (!(p > 0)) {
        lg_err(E, "E0257", r->p->at, "the order of `norm` must be above 0, got %g", p);
        return lg_v_error(E, r->at);
    }
    lg_value *pw = lg_binary(E, "^", a, lg_v_real(E, p, r->at), r->at);
    lg_value *s = lg_sum_over(E, r, masked(E, r, pw, 0)), *zero = lg_v_int(E, 0, r->at);
    lg_value *pos = lg_binary(E, ">", s, zero, r->at);
    lg_value *safe = lg_select(E, pos, s, lg_v_int(E, 1, r->at), r->at);
    return lg_select(E, pos, lg_binary(E, "^", safe, lg_v_real(E, 1 / p, r->at), r->at),
                     lg_elem_named(E, "mul", 2, (lg_value *[]){s, zero}, r->at), r->at);
}

/* Two passes: the mean first, then the squares about it. Population, less `ddof` in the divisor. */
static lg_value *red_var(lg_elab *E, lg_fold *r, lg_value *v) {
    int64_t ddof = 0;
    v = as_float(E, v, r->at);
    if (r->ddof && !lg_v_static_int(E, r->ddof, &ddof) && r->ddof->kind != LG_V_NUM) {
        lg_err(E, "E0257", r->ddof->at, "`ddof` must be known before the graph runs");
        return lg_v_error(E, r->at);
    }
    lg_value *count = count_terms(E, r);
    if (!require_terms(E, r, count, ddof + 1))
        return lg_v_error(E, r->at);
    lg_value *mean = divided(E, r, lg_sum_over(E, r, masked(E, r, v, 0)), count);
    lg_value *off = lg_binary(E, "-", v, mean, r->at);
    if (off->kind != LG_V_TENSOR)
        return lg_v_error(E, r->at);
    lg_value *sum = lg_sum_over(E, r, masked(E, r, op1(E, "square", off, r->at), 0));
    lg_value *by = ddof ? lg_binary(E, "-", count, lg_v_int(E, ddof, r->at), r->at) : count;
    return or_empty(E, r, count, ddof + 1, divided(E, r, sum, by));
}

static lg_value *red_std(lg_elab *E, lg_fold *r, lg_value *v) {
    return lg_root(E, red_var(E, r, v), r->at);
}

/* e^(v - m) with m the largest term (a constant to derivatives: it cancels), their sum, and m. */
typedef struct {
    lg_value *terms, *sum, *top;
} exps;

static bool exponentials(lg_elab *E, lg_fold *r, lg_value *v, exps *x) {
    lg_value *m = lg_stop_grad(E, extreme(E, r, v, true));
    if (m->kind != LG_V_TENSOR)
        return false;
    lg_value *finite = op1(E, "isfinite", m, r->at);
    x->top = lg_select(E, finite, m, lg_v_int(E, 0, r->at), r->at);
    lg_value *d = lg_binary(E, "-", v, x->top, r->at);
    if (d->kind != LG_V_TENSOR)
        return false;
    /* left out before the exponential: what it would be there may be infinite */
    x->terms = op1(E, "exp", masked(E, r, d, (double)-INFINITY), r->at);
    x->sum = lg_sum_over(E, r, x->terms);
    return x->sum->kind == LG_V_TENSOR;
}

/* The sum where there is one, 1 else: to divide by and to take logarithms of. */
static lg_value *some_sum(lg_elab *E, const exps *x, lg_value **pos, lg_span at) {
    *pos = lg_binary(E, "!=", x->sum, lg_v_int(E, 0, at), at); /* NaN counts as some */
    return lg_select(E, *pos, x->sum, lg_v_int(E, 1, at), at);
}

static lg_value *red_logsumexp(lg_elab *E, lg_fold *r, lg_value *v) {
    exps x;
    lg_value *pos;
    if (!exponentials(E, r, as_float(E, v, r->at), &x))
        return lg_v_error(E, r->at);
    lg_value *l = op1(E, "log", some_sum(E, &x, &pos, r->at), r->at);
    lg_value *none = r->empty ? r->empty : lg_v_real(E, (double)-INFINITY, r->at);
    return lg_select(E, pos, lg_binary(E, "+", l, x.top, r->at), none, r->at);
}

static lg_value *red_softmax(lg_elab *E, lg_fold *r, lg_value *v) {
    exps x;
    lg_value *pos;
    if (!exponentials(E, r, as_float(E, v, r->at), &x))
        return lg_v_error(E, r->at);
    return lg_binary(E, "/", x.terms, some_sum(E, &x, &pos, r->at), r->at);
}

static lg_value *red_log_softmax(lg_elab *E, lg_fold *r, lg_value *v) {
    exps x;
    lg_value *pos;
    v = as_float(E, v, r->at);
    if (!exponentials(E, r, v, &x))
        return lg_v_error(E, r->at);
    lg_value *l = op1(E, "log", some_sum(E, &x, &pos, r->at), r->at);
    lg_value *y = lg_binary(E, "-", lg_binary(E, "-", v, x.top, r->at), l, r->at);
    return masked(E, r, y, (double)-INFINITY);
}

static lg_value *red_cumsum(lg_elab *E, lg_fold *r, lg_value *v) {
    if (r->n != 1) {
        lg_err(E, "E0257", r->at, "`%s` wants one index, got %d", r->name, r->n);
        return lg_v_error(E, r->at);
    }
    v = lg_widened(E, masked(E, r, numbers(E, r, v), 0), r->at);
    lg_index **open;
    int n = all_open(E, r, v, &open), axis = 0;
    lg_value *y = lg_v_open(E, v->t.dtype, n, open, v->t.rank, v->t.dim, NULL, r->at);
    if (LG_CHECKING(E) || v->kind != LG_V_TENSOR)
        return y;
    while (open[axis] != r->idx[0])
        axis++;
    lg_node *x = lg_node_as(E, v, n, open, v->t.rank, v->t.dim, r->at);
    y->t.node = lg_g_cum(E->g, lg_op_find("cumsum"), x, axis, false, r->at);
    return y;
}

/* clang-format off */
static const lg_reduction reductions[] = {
    {"sum",          false, false, red_sum,          false},
    {"prod",         false, false, red_prod,         false},
    {"mean",         false, false, red_mean,         true},
    {"max",          false, false, red_max,          false},
    {"min",          false, false, red_min,          false},
    {"argmax",       false, true,  red_argmax,       false},
    {"argmin",       false, true,  red_argmin,       false},
    {"logsumexp",    false, false, red_logsumexp,    true},
    {"any",          false, true,  red_any,          false},
    {"all",          false, true,  red_all,          false},
    {"count",        false, true,  red_count,        false},
    {"norm",         false, false, red_norm,         true},
    {"var",          false, false, red_var,          true},
    {"std",          false, false, red_std,          true},
    {"softmax",      true,  false, red_softmax,      true},
    {"log_softmax",  true,  false, red_log_softmax,  true},
    {"cumsum",       true,  false, red_cumsum,       false},
};
/* clang-format on */

const lg_reduction *lg_reduction_find(const char *name) {
    for (size_t i = 0; i < LG_COUNT(reductions); i++)
        if (!strcmp(reductions[i].name, name))
            return &reductions[i];
    return NULL;
}

/* One tensor of terms. */
lg_value *lg_fold_value(lg_elab *E, lg_fold *r, lg_value *v) {
    v = lg_arrayed(E, v, r->at);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, LG_NO_DTYPE, r->at);
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE)
        return v;
    if (v->kind != LG_V_TENSOR) {
        lg_err(E, "E0208", r->at, "`%s` wants numbers, got %s", r->name, lg_v_type_text(E, v));
        return lg_v_error(E, r->at);
    }
    if (v->t.weak && v->t.dtype == LG_F64)
        v = lg_cast(E, v, E->frame->float_dtype, r->at);
    const lg_reduction *red = lg_reduction_find(r->name);
    lg_dtype t = v->t.dtype;
    bool wide = red->wide && lg_dtype_is_float(t) && lg_dtype_size(t) < 4;
    if (wide && r->empty && r->empty->kind == LG_V_TENSOR)
        r->empty = lg_cast(E, r->empty, LG_F32, r->at);
    lg_value *y = lg_v_copy(E, red->fn(E, r, wide ? lg_cast(E, v, LG_F32, r->at) : v));
    if (wide && y->kind == LG_V_TENSOR)
        y = lg_cast(E, y, t, r->at);
    y->at = r->at;
    if (y->kind == LG_V_TENSOR)
        y->t.weak = false;
    return y;
}
