/* unary.c: kernels and descriptors of the rows of unary.def, and of `not`. Not for ops of several
 * inputs (binary.c). */
#include "ops/elem.h"

/* ---- kernels ---- */

#define V(name) lg_##name##_f32
#define B(name) __builtin_##name##f
#define FLOAT(name, expr, ...) LG_LOOP1(LG_CLONES, name##_f32, float, float, float, expr)
#define NUMBER(name, expr, ...) LG_LOOP1(LG_CLONES, name##_f32, float, float, float, expr)
#define TEST(name, expr, ...) LG_LOOP1(LG_CLONES, name##_f32, float, float, uint8_t, expr)
#include "ops/unary.def"
#undef V
#undef B
#undef FLOAT
#undef NUMBER
#undef TEST

#define V(name) lg_##name##_f64
#define B(name) __builtin_##name
#define FLOAT(name, expr, ...)                                                                     \
    LG_LOOP1(, name##_f64, double, double, double, expr) LG_NARROW(name, 1, 0, false)
#define NUMBER(name, expr, iexpr, ...)                                                             \
    LG_LOOP1(LG_CLONES, name##_f64, double, double, double, expr)                                  \
    LG_NARROW(name, 1, 0, false)                                                                   \
    LG_LOOP1(, name##_i64, int64_t, int64_t, int64_t, iexpr)                                       \
    LG_LOOP1(, name##_i32, int32_t, int64_t, int32_t, iexpr)                                       \
    LG_LOOP1(, name##_i8, int8_t, int64_t, int8_t, iexpr)                                          \
    LG_LOOP1(, name##_u8, uint8_t, int64_t, uint8_t, iexpr)
#define TEST(name, expr, ...)                                                                      \
    LG_LOOP1(LG_CLONES, name##_f64, double, double, uint8_t, expr) LG_NARROW(name, 1, 0, true)
#include "ops/unary.def"
#undef V
#undef B
#undef FLOAT
#undef NUMBER
#undef TEST

static void not_bool(size_t n, const void *const *in, void *out) {
    const uint8_t *x = in[0];
    uint8_t *y = out;
    LG_EACH(i, n) y[i] = !x[i];
}

/* ---- descriptors ---- */

#define FLOAT(nm, expr, tr, dx, l, h, text, ex, res)                                               \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(x: F[...S]) -> F[...S]", .cls = LG_C_ELEM, .traits = (tr),           \
        .arity = 1, .elem = {LG_FLOATS(nm)}, .out_dtype = LG_NO_DTYPE, .cexpr = #expr,             \
        .vjp = {dx}, .lo = l, .hi = h, .doc = text, .example = ex, .result = res};
#define NUMBER(nm, expr, iexpr, tr, dx, l, h, text, ex, res)                                       \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(x: N[...S]) -> N[...S]", .cls = LG_C_ELEM, .traits = (tr),           \
        .arity = 1, .elem = {LG_FLOATS(nm), LG_INTS(nm)}, .out_dtype = LG_NO_DTYPE,                \
        .cexpr = #expr, .cexpr_int = #iexpr, .vjp = {dx}, .lo = l, .hi = h, .doc = text,           \
        .example = ex, .result = res};
#define TEST(nm, expr, text, ex, res)                                                              \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(x: F[...S]) -> bool[...S]", .cls = LG_C_ELEM,                        \
        .traits = LG_T_NODIFF | LG_T_CHEAP, .arity = 1, .elem = {LG_FLOATS(nm)},                   \
        .out_dtype = LG_BOOL, .cexpr = #expr, .lo = -3, .hi = 3, .doc = text, .example = ex,       \
        .result = res};
#include "ops/unary.def"
#undef FLOAT
#undef NUMBER
#undef TEST

static const lg_op op_not = {
    .name = "not", .sig = "(x: bool[...S]) -> bool[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_NODIFF | LG_T_CHEAP, .arity = 1, .elem = {[LG_BOOL] = not_bool},
    .out_dtype = LG_BOOL, .cexpr_int = "!x", .lo = 0, .hi = 1, .doc = "True where x is false.",
    .example = "not true", .result = "false"};

#define FLOAT(nm, ...) &op_##nm,
#define NUMBER(nm, ...) &op_##nm,
#define TEST(nm, ...) &op_##nm,
const lg_op *const lg_ops_unary[] = {
#include "ops/unary.def"
    &op_not, NULL};
