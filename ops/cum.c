/* cum.c: running reductions along one axis, from either end, and the linear recurrence that their
 * derivatives need. Not for whole reductions (reduce.c). */
#include "ops/build.h"
#include "ops/elem.h"
#include "runtime/plan.h"

/* ---- kernels ---- */

/* x[outer, n, inner] along n; consecutive elements of a run stand `step` apart, from `first` on. */
typedef struct {
    size_t outer, n, inner;
    ptrdiff_t first, step;
} run_of;

static run_of runs(const lg_type *t, int axis, bool rev) {
    run_of r = {1, (size_t)t->shape[axis], 1, 0, 0};
    for (int d = 0; d < t->rank; d++)
        if (d != axis)
            *(d < axis ? &r.outer : &r.inner) *= (size_t)t->shape[d];
    r.step = (ptrdiff_t)r.inner * (rev ? -1 : 1);
    r.first = rev ? (ptrdiff_t)((r.n - 1) * r.inner) : 0;
    return r;
}

/* y of each place is its x joined to the y before it, for all inner places at once. */
#define RUN(name, suffix, T, C, join)                                  \
    static void name##_##suffix(run_of r, const void *in, void *out) { \
        for (size_t o = 0; o < r.outer; o++) {                         \
            const T *x = (const T *)in + o * r.n * r.inner + r.first;  \
            T *y = (T *)out + o * r.n * r.inner + r.first;             \
            if (r.n && y != x)                                         \
                memcpy(y, x, r.inner * sizeof *y);                     \
            for (size_t k = 1; k < r.n; k++) {                         \
                const T *before = y;                                   \
                x += r.step;                                           \
                y += r.step;                                           \
                LG_EACH(i, r.inner) {                                  \
                    C a = (C)before[i], b = (C)x[i];                   \
                    y[i] = (T)(join);                                  \
                }                                                      \
            }                                                          \
        }                                                              \
    }
#define WRAP(op) (int64_t)((uint64_t)a op(uint64_t) b)
typedef void (*run_fn)(run_of r, const void *in, void *out);
#define RUNS(name, join, ijoin)                                                  \
    RUN(name, f64, double, double, join)                                         \
    RUN(name, f32, float, float, join)                                           \
    RUN(name, i64, int64_t, int64_t, ijoin)                                      \
    RUN(name, i32, int32_t, int64_t, ijoin)                                      \
    RUN(name, i8, int8_t, int64_t, ijoin)                                        \
    RUN(name, u8, uint8_t, int64_t, ijoin)                                       \
    static bool name##_run(const lg_call *c) {                                   \
        static const run_fn by_dtype[LG_N_DTYPES] = {                            \
            [LG_F64] = name##_f64, [LG_F32] = name##_f32, [LG_I64] = name##_i64, \
            [LG_I32] = name##_i32, [LG_I8] = name##_i8,   [LG_U8] = name##_u8};  \
        return run_cum(c, by_dtype);                                             \
    }

static bool undefined(const lg_call *c) {
    return lg_fault_set(c->fault, c->node, "R0115", -1, "`%s` is not defined for %s",
                        c->node->op->name, lg_dtype_name(c->node->type[0].dtype));
}

/* 16-bit floats run in f32, in the scratch of the call. */
static bool run_cum(const lg_call *c, const run_fn *by_dtype) {
    const lg_type *t = &c->node->type[0];
    run_of r = runs(t, c->node->attr.axis, c->node->attr.rev);
    size_t n = lg_type_count(t);
    if (t->dtype == LG_BF16 || t->dtype == LG_F16) {
        lg_convert(LG_F32, c->scratch, t->dtype, c->in[0], n);
        by_dtype[LG_F32](r, c->scratch, c->scratch);
        lg_convert(t->dtype, c->out[0], LG_F32, c->scratch, n);
        return true;
    }
    if (!by_dtype[t->dtype])
        return undefined(c);
    by_dtype[t->dtype](r, c->in[0], c->out[0]);
    return true;
}

static size_t narrow_scratch(const lg_node *n) {
    const lg_type *t = &n->type[0];
    return t->dtype == LG_BF16 || t->dtype == LG_F16 ? lg_type_count(t) * sizeof(float) : 0;
}

RUNS(cumsum, a + b, WRAP(+))
RUNS(cumprod, a *b, WRAP(*))
RUNS(cummax, (a > b) | (a != a) ? a : b, a > b ? a : b)
RUNS(cummin, (a < b) | (a != a) ? a : b, a < b ? a : b)

/* ---- linear recurrence along the last axis ---- */

#define RECUR(suffix, T, fma)                                            \
    static void recur_##suffix(run_of r, const T *a, const T *b, T *y) { \
        for (size_t o = 0; o < r.outer; o++) {                           \
            ptrdiff_t at = (ptrdiff_t)(o * r.n) + r.first;               \
            T s = 0;                                                     \
            for (size_t k = 0; k < r.n; k++, at += r.step)               \
                y[at] = s = k ? fma(a[at], s, b[at]) : b[at];            \
        }                                                                \
    }
RECUR(f64, double, __builtin_fma)
RECUR(f32, float, __builtin_fmaf)

static bool recur_run(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    run_of r = runs(t, t->rank - 1, c->node->attr.p[0] != 0);
    if (t->dtype == LG_F64)
        recur_f64(r, c->in[0], c->in[1], c->out[0]);
    else if (t->dtype == LG_F32)
        recur_f32(r, c->in[0], c->in[1], c->out[0]);
    else
        return undefined(c);
    return true;
}

extern const lg_op lg_op_recur;

static lg_node *recur(const lg_rule_ctx *r, lg_node *a, lg_node *b, bool rev) {
    return lg_rule_kernel(r, &lg_op_recur, 2, (lg_node *[]){a, b}, &b->type[0], (int64_t[]){rev},
                          1);
}

/* Along the last axis: each place holds what stood one place nearer the end (`later`) or the
 * start, and `edge` where nothing did. The axis is not empty. */
static lg_node *shift(const lg_rule_ctx *r, lg_node *x, bool later, double edge) {
    lg_type one = x->type[0];
    int last = one.rank - 1;
    int64_t n = one.shape[last];
    one.shape[last] = 1;
    lg_node *part = lg_g_slice(r->g, x, last, later ? 1 : 0, n - 1, 1, r->at);
    lg_node *rim = lg_g_fill(r->g, one, edge, r->at);
    return lg_g_concat(r->g, 2, (lg_node *[]){later ? part : rim, later ? rim : part}, last, r->at);
}

/* The cotangents run the other way: s[t] = dy[t] + a[t+1] s[t+1]. */
static bool recur_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    bool rev = y->attr.p[0] != 0;
    if (!lg_type_count(&y->type[0])) {
        dx[0] = dx[1] = dy[0];
        return true;
    }
    dx[1] = recur(&r, shift(&r, y->in[0], !rev, 0), dy[0], !rev);
    dx[0] = lg_rule_op2(&r, "mul", dx[1], shift(&r, y, rev, 0));
    return true;
}

static int64_t recur_flops(const lg_node *n) {
    return 2 * (int64_t)lg_type_count(&n->type[0]);
}

const lg_op lg_op_recur = {
    .name = "recurrence",
    .sig = "(a: float[...S, T], b: float[...S, T]) -> float[...S, T]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = recur_vjp,
    .run = recur_run,
    .flops = recur_flops,
    .lo = -2,
    .hi = 2,
    .doc = "y[t] = a[t]*y[t-1] + b[t] along the last axis, from y[0] = b[0]. p[0]: from the end.",
    .example = "recurrence([0.0, 2.0], [1.0, 3.0])",
    .result = "[1.0, 5.0]"};

/* ---- derivatives ---- */

static bool cumsum_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    dx[0] = lg_g_cum(ctx, y->op, dy[0], y->attr.axis, !y->attr.rev, y->span);
    return true;
}

/* Swaps the axis with the last one; its own inverse. */
static lg_node *swapped(const lg_rule_ctx *r, lg_node *x, int axis) {
    int perm[LG_MAX_RANK], rank = x->type[0].rank;
    for (int d = 0; d < rank; d++)
        perm[d] = d == axis ? rank - 1 : d == rank - 1 ? axis : d;
    return lg_g_permute(r->g, x, perm, r->at);
}

/* dx[i] = (product before i) * s[i], where s[i] = dy[i] + x[i+1] s[i+1]: no division by x. */
static bool cumprod_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    bool rev = y->attr.rev;
    int axis = y->attr.axis;
    dx[0] = dy[0];
    if (!lg_type_count(&y->type[0]))
        return true;
    lg_node *x = swapped(&r, y->in[0], axis), *d = swapped(&r, dy[0], axis);
    lg_node *s = recur(&r, shift(&r, x, !rev, 0), d, !rev);
    lg_node *before = shift(&r, swapped(&r, y, axis), rev, 1);
    dx[0] = swapped(&r, lg_rule_op2(&r, "mul", before, s), axis);
    return true;
}

/* Each cotangent goes to the place that set the running best: the last one so far at which a new
 * best was met, which is a running best of places. */
static bool best_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx, const char *better) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    bool rev = y->attr.rev;
    int axis = y->attr.axis, last = y->type[0].rank - 1;
    dx[0] = dy[0];
    if (!lg_type_count(&y->type[0]))
        return true;
    lg_node *x = swapped(&r, y->in[0], axis), *best = swapped(&r, y, axis);
    lg_node *fresh = lg_rule_op2(&r, better, x, shift(&r, best, rev, 0));
    lg_node *i = lg_g_iota(r.g, x->type[0].rank, x->type[0].shape, last, r.at);
    double first = rev ? (double)(x->type[0].shape[last] - 1) : 0;
    /* the first place counts even if the edge of the shift beats it */
    lg_node *at = lg_g_cum(r.g, lg_op_find(rev ? "cummin" : "cummax"),
                           lg_rule_choose(&r, fresh, i, first), last, rev, r.at);
    lg_node *zero = lg_g_fill(r.g, x->type[0], 0, r.at);
    lg_node *d =
        lg_g_scatter(r.g, &lg_op_scatter_add, zero, last, 1, &at, swapped(&r, dy[0], axis), r.at);
    dx[0] = swapped(&r, d, axis);
    return true;
}

static bool cummax_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    return best_vjp(ctx, y, dy, dx, "gt");
}

static bool cummin_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    return best_vjp(ctx, y, dy, dx, "lt");
}

/* ---- descriptors ---- */

#define CUM(nm, tr, text, ex, res)                                        \
    static const lg_op op_##nm = {.name = #nm,                            \
                                  .sig = "(x: N[...S, T]) -> N[...S, T]", \
                                  .cls = LG_C_CUM,                        \
                                  .traits = (tr),                         \
                                  .arity = 1,                             \
                                  .out_dtype = LG_NO_DTYPE,               \
                                  .vjp_fn = nm##_vjp,                     \
                                  .run = nm##_run,                        \
                                  .scratch = narrow_scratch,              \
                                  .lo = -2,                               \
                                  .hi = 2,                                \
                                  .doc = text,                            \
                                  .example = ex,                          \
                                  .result = res};
CUM(cumsum, LG_T_LINEAR | LG_T_KEEPS_ZERO | LG_T_WIDENS,
    "Sums up to and with each element; of integers and bools an i64.", "cumsum([1.0, 2.0, 3.0])",
    "[1.0, 3.0, 6.0]")
CUM(cumprod, LG_T_WIDENS, "Products up to and with each element; of integers and bools an i64.",
    "cumprod([1.0, 2.0, 3.0])", "[1.0, 2.0, 6.0]")
CUM(cummax, 0, "Largest element up to and with each; the first of equals has the gradient.",
    "cummax([1.0, 3.0, 2.0])", "[1.0, 3.0, 3.0]")
CUM(cummin, 0, "Smallest element up to and with each; the first of equals has the gradient.",
    "cummin([3.0, 1.0, 2.0])", "[3.0, 1.0, 1.0]")

const lg_op *const lg_ops_cum[] = {&op_cumsum, &op_cumprod,  &op_cummax,
                                   &op_cummin, &lg_op_recur, NULL};
