/* reduce.c: reductions: sum, prod, max, min, argmax, argmin, any, all. Not for running ones (cum.c)
 * nor for what follows from these in the language (means, norms, logsumexp, counts). */
#include "ops/build.h"
#include "ops/elem.h"
#include "ops/vrow.h"

/* ---- rows ---- */

#define FLOAT_ROW(name)                                                                            \
    LG_CLONES static void name##_row_f32(size_t n, const void *const *in, void *out) {             \
        *(float *)out = lg_row_##name##_f32(in[0], n);                                             \
    }                                                                                              \
    LG_CLONES static void name##_row_f64(size_t n, const void *const *in, void *out) {             \
        *(double *)out = lg_row_##name##_f64(in[0], n);                                            \
    }
FLOAT_ROW(sum)
FLOAT_ROW(prod)
FLOAT_ROW(max)
FLOAT_ROW(min)
#undef FLOAT_ROW

/* Integers come out the same in any order. */
#define INT_ROW(fn, T, start, join)                                                                \
    LG_CLONES static void fn(size_t n, const void *const *in, void *out) {                         \
        const T *x = in[0];                                                                        \
        int64_t a = (start);                                                                       \
        for (size_t i = 0; i < n; i++) {                                                           \
            int64_t b = x[i];                                                                      \
            a = (join);                                                                            \
        }                                                                                          \
        *(T *)out = (T)a;                                                                          \
    }
#define WRAP(op) (int64_t)((uint64_t)a op (uint64_t)b)
#define INT_ROWS(T, suffix, lo, hi)                                                                \
    INT_ROW(sum_row_##suffix, T, 0, WRAP(+))                                                       \
    INT_ROW(prod_row_##suffix, T, 1, WRAP(*))                                                      \
    INT_ROW(max_row_##suffix, T, lo, a > b ? a : b)                                                \
    INT_ROW(min_row_##suffix, T, hi, a < b ? a : b)
INT_ROWS(int64_t, i64, INT64_MIN, INT64_MAX)
INT_ROWS(int32_t, i32, INT32_MIN, INT32_MAX)
INT_ROWS(int8_t, i8, INT8_MIN, INT8_MAX)
INT_ROWS(uint8_t, u8, 0, UINT8_MAX)
INT_ROW(any_row, uint8_t, 0, a | b)
INT_ROW(all_row, uint8_t, 1, a & b)

/* 16-bit floats: widened a chunk at a time, joined in f32, rounded once. */
enum { CHUNK = 1024 };

static void narrow_row(lg_dtype t, lg_elem_fn row, float start, size_t n, const void *in,
                       void *out) {
    float wide[1 + CHUNK], a = start;
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t m = n - at < CHUNK ? n - at : CHUNK;
        wide[0] = a;
        lg_convert(LG_F32, wide + 1, t, (const char *)in + at * lg_dtype_size(t), m);
        row(m + 1, (const void *[]){wide}, &a);
    }
    lg_convert(t, out, LG_F32, &a, 1);
}
#define NARROW_ROW(name, start)                                                                    \
    static void name##_row_bf16(size_t n, const void *const *in, void *out) {                      \
        narrow_row(LG_BF16, name##_row_f32, start, n, in[0], out);                                 \
    }                                                                                              \
    static void name##_row_f16(size_t n, const void *const *in, void *out) {                       \
        narrow_row(LG_F16, name##_row_f32, start, n, in[0], out);                                  \
    }
NARROW_ROW(sum, 0)
NARROW_ROW(prod, 1)
NARROW_ROW(max, -INFINITY)
NARROW_ROW(min, INFINITY)

/* ---- places ---- */

#define ARG_FLOAT(name, suffix)                                                                    \
    LG_CLONES static void name##_row_##suffix(size_t n, const void *const *in, void *out) {        \
        *(int32_t *)out = lg_row_##name##_##suffix(in[0], n);                                      \
    }
#define ARG_INT(name, suffix, T, sign)                                                             \
    static void name##_row_##suffix(size_t n, const void *const *in, void *out) {                  \
        const T *x = in[0];                                                                        \
        size_t best = 0;                                                                           \
        for (size_t i = 1; i < n; i++)                                                             \
            best = x[i] sign x[best] ? i : best;                                                   \
        *(int32_t *)out = (int32_t)best;                                                           \
    }
#define ARG_NARROW(name, t, suffix, sign)                                                          \
    static void name##_row_##suffix(size_t n, const void *const *in, void *out) {                  \
        size_t best = 0;                                                                           \
        double top = n ? lg_get_f64(t, in[0], 0) : 0;                                              \
        for (size_t i = 1; i < n && top == top; i++) {                                             \
            double x = lg_get_f64(t, in[0], i);                                                    \
            if (x sign top || x != x) {                                                            \
                best = i;                                                                          \
                top = x;                                                                           \
            }                                                                                      \
        }                                                                                          \
        *(int32_t *)out = (int32_t)best;                                                           \
    }
#define ARG(name, sign)                                                                            \
    ARG_FLOAT(name, f32)                                                                           \
    ARG_FLOAT(name, f64)                                                                           \
    ARG_NARROW(name, LG_BF16, bf16, sign)                                                          \
    ARG_NARROW(name, LG_F16, f16, sign)                                                            \
    ARG_INT(name, i64, int64_t, sign)                                                              \
    ARG_INT(name, i32, int32_t, sign)                                                              \
    ARG_INT(name, i8, int8_t, sign)                                                                \
    ARG_INT(name, u8, uint8_t, sign)
ARG(argmax, >)
ARG(argmin, <)

/* ---- joins ---- */

#define JOIN(name, expr, iexpr)                                                                    \
    LG_LOOP2(LG_CLONES, name##_f32, float, float, float, expr)                                     \
    LG_LOOP2(LG_CLONES, name##_f64, double, double, double, expr)                                  \
    LG_NARROW(name, 2, 0, false)                                                                   \
    LG_LOOP2(, name##_i64, int64_t, int64_t, int64_t, iexpr)                                       \
    LG_LOOP2(, name##_i32, int32_t, int64_t, int32_t, iexpr)                                       \
    LG_LOOP2(, name##_i8, int8_t, int64_t, int8_t, iexpr)                                          \
    LG_LOOP2(, name##_u8, uint8_t, int64_t, uint8_t, iexpr)
JOIN(sum, a + b, WRAP(+))
JOIN(prod, a * b, WRAP(*))
JOIN(max, (a > b) | (a != a) ? a : b, a > b ? a : b)
JOIN(min, (a < b) | (a != a) ? a : b, a < b ? a : b)
LG_LOOP2(LG_CLONES, any_join, uint8_t, uint8_t, uint8_t, a | b)
LG_LOOP2(LG_CLONES, all_join, uint8_t, uint8_t, uint8_t, a & b)

/* ---- derivatives ---- */

/* The axes that were reduced as one last axis. */
typedef struct {
    lg_rule_ctx r;
    const lg_type *t; /* of what was reduced */
    int kept, perm[LG_MAX_RANK];
    lg_type moved, flat; /* with the reduced axes last; and joined to one */
} folded;

static folded fold(void *ctx, const lg_node *y) {
    folded f = {.r = lg_rule_begin(ctx, y), .t = &y->in[0]->type[0], .kept = y->type[0].rank};
    int k = 0;
    for (int side = 0; side < 2; side++)
        for (int d = 0; d < f.t->rank; d++)
            if ((int)(y->attr.axes_mask >> d & 1) == side)
                f.perm[k++] = d;
    f.moved = f.flat = *f.t;
    int64_t last = 1;
    for (int d = 0; d < k; d++) {
        f.moved.shape[d] = f.t->shape[f.perm[d]];
        if (d >= f.kept)
            last *= f.moved.shape[d];
    }
    f.flat = f.moved;
    f.flat.rank = f.kept + 1;
    f.flat.shape[f.kept] = last;
    return f;
}

static lg_node *to_flat(const folded *f, lg_node *x) {
    x = lg_g_permute(f->r.g, x, f->perm, f->r.at);
    return lg_g_reshape(f->r.g, x, f->flat.rank, f->flat.shape, f->r.at);
}

static lg_node *from_flat(const folded *f, lg_node *x) {
    int back[LG_MAX_RANK];
    for (int d = 0; d < f->t->rank; d++)
        back[f->perm[d]] = d;
    x = lg_g_reshape(f->r.g, x, f->moved.rank, f->moved.shape, f->r.at);
    return lg_g_permute(f->r.g, x, back, f->r.at);
}

/* The first of the best elements has the whole gradient. */
static bool best_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx, const char *place) {
    if (!y->attr.axes_mask) {
        dx[0] = dy[0];
        return true;
    }
    folded f = fold(ctx, y);
    lg_graph *g = f.r.g;
    int64_t n = f.flat.shape[f.kept];
    lg_node *x = to_flat(&f, y->in[0]);
    lg_node *at = lg_g_reduce(g, lg_op_find(place), x, 1u << f.kept, f.r.at);
    lg_node *i = lg_g_iota(g, f.flat.rank, f.flat.shape, f.kept, f.r.at);
    at = lg_rule_cols(&f.r, lg_g_cast(g, at, LG_I64, f.r.at), n);
    lg_node *here = lg_rule_op2(&f.r, "eq", i, at);
    dx[0] = from_flat(&f, lg_rule_choose(&f.r, here, lg_rule_cols(&f.r, dy[0], n), 0));
    return true;
}

static bool max_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    return best_vjp(ctx, y, dy, dx, "argmax");
}

static bool min_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    return best_vjp(ctx, y, dy, dx, "argmin");
}

/* The product of the elements before each one along the last axis (or after, with `rev`). */
static lg_node *others(const folded *f, lg_node *x, bool rev) {
    lg_graph *g = f->r.g;
    int last = f->kept;
    int64_t n = f->flat.shape[last];
    lg_type one = f->flat;
    one.shape[last] = 1;
    lg_node *all = lg_g_cum(g, lg_op_find("cumprod"), x, last, rev, f->r.at);
    lg_node *part = lg_g_slice(g, all, last, rev ? 1 : 0, n - 1, 1, f->r.at);
    lg_node *ones = lg_g_fill(g, one, 1, f->r.at);
    return lg_g_concat(g, 2, (lg_node *[]){rev ? part : ones, rev ? ones : part}, last, f->r.at);
}

/* Without dividing by the element, which may be 0. */
static bool prod_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    folded f = fold(ctx, y);
    int64_t n = f.flat.shape[f.kept];
    if (!y->attr.axes_mask || n == 0) {
        dx[0] = y->attr.axes_mask ? lg_g_fill(f.r.g, *f.t, 0, f.r.at) : dy[0];
        return true;
    }
    lg_node *x = to_flat(&f, y->in[0]);
    lg_node *d = lg_rule_op2(&f.r, "mul", others(&f, x, false), others(&f, x, true));
    dx[0] = from_flat(&f, lg_rule_op2(&f.r, "mul", d, lg_rule_cols(&f.r, dy[0], n)));
    return true;
}

/* ---- descriptors ---- */

#define ALL_ROWS(name) LG_FLOATS(name##_row), LG_INTS(name##_row)
#define SIG "(x: N[...S, K]) -> N[...S]"

static const lg_op op_sum = {
    .name = "sum", .sig = SIG, .cls = LG_C_REDUCE,
    .traits = LG_T_LINEAR | LG_T_KEEPS_ZERO | LG_T_WIDENS,
    .arity = 1, .elem = {LG_FLOATS(sum), LG_INTS(sum)}, .out_dtype = LG_NO_DTYPE, .cexpr = "a + b",
    .cexpr_int = "a + b", .row = {ALL_ROWS(sum)}, .vjp = {"dy"}, .identity = 0, .lo = -3, .hi = 3,
    .doc = "Sum of the elements; of integers and bools an i64.", .example = "sum([1.0, 2.0])", .result = "3.0"};

static const lg_op op_prod = {
    .name = "prod", .sig = SIG, .cls = LG_C_REDUCE, .traits = LG_T_WIDENS, .arity = 1,
    .elem = {LG_FLOATS(prod), LG_INTS(prod)}, .out_dtype = LG_NO_DTYPE, .cexpr = "a * b",
    .cexpr_int = "a * b", .row = {ALL_ROWS(prod)}, .vjp_fn = prod_vjp, .identity = 1, .lo = -2,
    .hi = 2, .doc = "Product of the elements; of integers and bools an i64.", .example = "prod([2.0, 3.0])", .result = "6.0"};

static const lg_op op_max = {
    .name = "reduce_max", .sig = SIG, .cls = LG_C_REDUCE, .arity = 1,
    .elem = {LG_FLOATS(max), LG_INTS(max)}, .out_dtype = LG_NO_DTYPE,
    .cexpr = "(a > b) | (a != a) ? a : b", .cexpr_int = "a > b ? a : b", .row = {ALL_ROWS(max)},
    .vjp_fn = max_vjp, .identity = -INFINITY, .lo = -3, .hi = 3,
    .doc = "Largest element; NaN if there is one. The first of equals has the gradient.",
    .example = "max([1.0, 3.0])", .result = "3.0"};

static const lg_op op_min = {
    .name = "reduce_min", .sig = SIG, .cls = LG_C_REDUCE, .arity = 1,
    .elem = {LG_FLOATS(min), LG_INTS(min)}, .out_dtype = LG_NO_DTYPE,
    .cexpr = "(a < b) | (a != a) ? a : b", .cexpr_int = "a < b ? a : b", .row = {ALL_ROWS(min)},
    .vjp_fn = min_vjp, .identity = INFINITY, .lo = -3, .hi = 3,
    .doc = "Smallest element; NaN if there is one. The first of equals has the gradient.",
    .example = "min([1.0, 3.0])", .result = "1.0"};

/* Places cannot be joined without the values, so these have rows alone. */
static const lg_op op_argmax = {
    .name = "argmax", .sig = "(x: N[...S, K]) -> i32[...S]", .cls = LG_C_REDUCE,
    .traits = LG_T_NODIFF, .arity = 1, .out_dtype = LG_I32, .row = {ALL_ROWS(argmax)}, .lo = -3,
    .hi = 3, .doc = "Place of the largest element, the first of equals; of the first NaN if any.",
    .example = "argmax([1.0, 3.0, 3.0])", .result = "1"};

static const lg_op op_argmin = {
    .name = "argmin", .sig = "(x: N[...S, K]) -> i32[...S]", .cls = LG_C_REDUCE,
    .traits = LG_T_NODIFF, .arity = 1, .out_dtype = LG_I32, .row = {ALL_ROWS(argmin)}, .lo = -3,
    .hi = 3, .doc = "Place of the smallest element, the first of equals; of the first NaN if any.",
    .example = "argmin([1.0, 0.0, 0.0])", .result = "1"};

static const lg_op op_any = {
    .name = "any", .sig = "(x: bool[...S, K]) -> bool[...S]", .cls = LG_C_REDUCE,
    .traits = LG_T_NODIFF, .arity = 1, .elem = {[LG_BOOL] = any_join}, .out_dtype = LG_BOOL,
    .cexpr_int = "a | b", .row = {[LG_BOOL] = any_row}, .identity = 0, .lo = 0, .hi = 1,
    .doc = "True where one element is.", .example = "any([false, true])", .result = "true"};

static const lg_op op_all = {
    .name = "all", .sig = "(x: bool[...S, K]) -> bool[...S]", .cls = LG_C_REDUCE,
    .traits = LG_T_NODIFF, .arity = 1, .elem = {[LG_BOOL] = all_join}, .out_dtype = LG_BOOL,
    .cexpr_int = "a & b", .row = {[LG_BOOL] = all_row}, .identity = 1, .lo = 0, .hi = 1,
    .doc = "True where every element is.", .example = "all([false, true])", .result = "false"};

const lg_op *const lg_ops_reduce[] = {&op_sum,    &op_prod, &op_max, &op_min, &op_argmax,
                                      &op_argmin, &op_any,  &op_all, NULL};
