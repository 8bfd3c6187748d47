/* binary.c: kernels and descriptors of the rows of binary.def, and of the ops with a condition or
 * three inputs: and, or, where, guard, clamp. Not for ops of one input (unary.c). */
#include "ops/elem.h"

/* ---- kernels of binary.def ---- */

#define V(name) lg_##name##_f32
#define FLOAT(name, expr, ...) LG_LOOP2(LG_CLONES, name##_f32, float, float, float, expr)
#define NUMBER(name, expr, ...) LG_LOOP2(LG_CLONES, name##_f32, float, float, float, expr)
#define COMPARE(name, expr, ...) LG_LOOP2(LG_CLONES, name##_f32, float, float, uint8_t, expr)
#define WHOLE(name, ...)
#include "ops/binary.def"
#undef V
#undef FLOAT
#undef NUMBER
#undef COMPARE
#undef WHOLE

#define INTS(name, iexpr)                                                                          \
    LG_LOOP2(, name##_i64, int64_t, int64_t, int64_t, iexpr)                                       \
    LG_LOOP2(, name##_i32, int32_t, int64_t, int32_t, iexpr)                                       \
    LG_LOOP2(, name##_i8, int8_t, int64_t, int8_t, iexpr)                                          \
    LG_LOOP2(, name##_u8, uint8_t, int64_t, uint8_t, iexpr)
#define V(name) lg_##name##_f64
#define FLOAT(name, expr, ...)                                                                     \
    LG_LOOP2(LG_CLONES, name##_f64, double, double, double, expr) LG_NARROW(name, 2, 0, false)
#define NUMBER(name, expr, iexpr, ...)                                                             \
    LG_LOOP2(LG_CLONES, name##_f64, double, double, double, expr)                                  \
    LG_NARROW(name, 2, 0, false)                                                                   \
    INTS(name, iexpr)
#define COMPARE(name, expr, ...)                                                                   \
    LG_LOOP2(LG_CLONES, name##_f64, double, double, uint8_t, expr)                                 \
    LG_NARROW(name, 2, 0, true)                                                                    \
    LG_LOOP2(LG_CLONES, name##_i64, int64_t, int64_t, uint8_t, expr)                               \
    LG_LOOP2(LG_CLONES, name##_i32, int32_t, int32_t, uint8_t, expr)                               \
    LG_LOOP2(, name##_i8, int8_t, int8_t, uint8_t, expr)                                           \
    LG_LOOP2(, name##_u8, uint8_t, uint8_t, uint8_t, expr)
#define WHOLE(name, iexpr, ...) INTS(name, iexpr)
#include "ops/binary.def"
#undef V
#undef FLOAT
#undef NUMBER
#undef COMPARE
#undef WHOLE

/* ---- kernels with conditions ---- */

LG_LOOP2(LG_CLONES, and_bool, uint8_t, uint8_t, uint8_t, a & b)
LG_LOOP2(LG_CLONES, or_bool, uint8_t, uint8_t, uint8_t, a | b)

/* Values are moved, not computed with, so their size is all that counts. */
#define MOVES(bits)                                                                                \
    LG_CLONES static void where_##bits(size_t n, const void *const *in, void *out) {               \
        const uint8_t *c = in[0];                                                                  \
        const uint##bits##_t *a = in[1], *b = in[2];                                               \
        uint##bits##_t *y = out;                                                                   \
        LG_EACH(i, n) y[i] = c[i] ? a[i] : b[i];                                                   \
    }                                                                                              \
    static void guard_##bits(size_t n, const void *const *in, void *out) {                         \
        if (n && out != in[0])                                                                     \
            memcpy(out, in[0], n * (bits / 8));                                                    \
    }
MOVES(8)
MOVES(16)
MOVES(32)
MOVES(64)
#define BY_SIZE(fn)                                                                                \
    [LG_F64] = fn##_64, [LG_F32] = fn##_32, [LG_BF16] = fn##_16, [LG_F16] = fn##_16,               \
    [LG_I64] = fn##_64, [LG_I32] = fn##_32, [LG_I8] = fn##_8, [LG_U8] = fn##_8,                    \
    [LG_BOOL] = fn##_8, [LG_F8E4M3] = fn##_8, [LG_F8E5M2] = fn##_8

#define CLAMP(suffix, T)                                                                           \
    LG_CLONES static void clamp_##suffix(size_t n, const void *const *in, void *out) {             \
        const T *px = in[0], *plo = in[1], *phi = in[2];                                           \
        T *y = out;                                                                                \
        LG_EACH(i, n) {                                                                            \
            T x = px[i], lo = plo[i], hi = phi[i];                                                 \
            T up = (x < lo) | (lo != lo) ? lo : x;                                                 \
            y[i] = (up > hi) | (hi != hi) ? hi : up;                                               \
        }                                                                                          \
    }
CLAMP(f64, double)
CLAMP(f32, float)
CLAMP(i64, int64_t)
CLAMP(i32, int32_t)
CLAMP(i8, int8_t)
CLAMP(u8, uint8_t)
LG_NARROW(clamp, 3, 0, false)

/* ---- descriptors ---- */

#define FLOAT(nm, expr, tr, da, db, l, h, text, ex, res)                                           \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(a: F[...S], b: F[...S]) -> F[...S]", .cls = LG_C_ELEM,               \
        .traits = (tr), .arity = 2, .elem = {LG_FLOATS(nm)}, .out_dtype = LG_NO_DTYPE,             \
        .cexpr = #expr, .vjp = {da, db}, .lo = l, .hi = h, .doc = text, .example = ex,             \
        .result = res};
#define NUMBER(nm, expr, iexpr, tr, da, db, l, h, text, ex, res)                                   \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(a: N[...S], b: N[...S]) -> N[...S]", .cls = LG_C_ELEM,               \
        .traits = (tr), .arity = 2, .elem = {LG_FLOATS(nm), LG_INTS(nm)},                          \
        .out_dtype = LG_NO_DTYPE, .cexpr = #expr, .cexpr_int = #iexpr, .vjp = {da, db}, .lo = l,   \
        .hi = h, .doc = text, .example = ex, .result = res};
#define COMPARE(nm, expr, tr, text, ex, res)                                                       \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(a: N[...S], b: N[...S]) -> bool[...S]", .cls = LG_C_ELEM,            \
        .traits = LG_T_NODIFF | LG_T_CHEAP | (tr), .arity = 2,                                     \
        .elem = {LG_FLOATS(nm), LG_INTS(nm), [LG_BOOL] = nm##_u8}, .out_dtype = LG_BOOL,           \
        .cexpr = #expr, .cexpr_int = #expr, .lo = -3, .hi = 3, .doc = text, .example = ex,         \
        .result = res};
#define WHOLE(nm, iexpr, tr, text, ex, res)                                                        \
    static const lg_op op_##nm = {                                                                 \
        .name = #nm, .sig = "(a: I[...S], b: I[...S]) -> I[...S]", .cls = LG_C_ELEM,               \
        .traits = LG_T_NODIFF | LG_T_CHEAP | (tr), .arity = 2, .elem = {LG_INTS(nm)},              \
        .out_dtype = LG_NO_DTYPE, .cexpr_int = #iexpr, .lo = -3, .hi = 3, .doc = text,             \
        .example = ex, .result = res};
#include "ops/binary.def"
#undef FLOAT
#undef NUMBER
#undef COMPARE
#undef WHOLE

static const lg_op op_and = {
    .name = "and", .sig = "(a: bool[...S], b: bool[...S]) -> bool[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_NODIFF | LG_T_CHEAP | LG_T_COMMUTES, .arity = 2, .elem = {[LG_BOOL] = and_bool},
    .out_dtype = LG_BOOL, .cexpr_int = "a & b", .lo = 0, .hi = 1, .doc = "Both.",
    .example = "true and false", .result = "false"};

static const lg_op op_or = {
    .name = "or", .sig = "(a: bool[...S], b: bool[...S]) -> bool[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_NODIFF | LG_T_CHEAP | LG_T_COMMUTES, .arity = 2, .elem = {[LG_BOOL] = or_bool},
    .out_dtype = LG_BOOL, .cexpr_int = "a | b", .lo = 0, .hi = 1, .doc = "Either, or both.",
    .example = "true or false", .result = "true"};

static const lg_op op_where = {
    .name = "where", .sig = "(c: bool[...S], a: T[...S], b: T[...S]) -> T[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_CHEAP, .arity = 3, .elem = {BY_SIZE(where)}, .out_dtype = LG_NO_DTYPE, .key = 1,
    .flag_in = 1, .cexpr = "c ? a : b", .cexpr_int = "c ? a : b",
    .vjp = {NULL, "where(c, dy, 0)", "where(c, 0, dy)"}, .lo = -3, .hi = 3,
    .doc = "a where c holds, else b.", .example = "if true then 1.0 else 2.0", .result = "1.0"};

static const lg_op op_guard = {
    .name = "guard", .sig = "(x: T[...S], c: bool[...S]) -> T[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_CHEAP | LG_T_LINEAR | LG_T_KEEPS_ZERO, .arity = 2, .elem = {BY_SIZE(guard)},
    .out_dtype = LG_NO_DTYPE, .flag_in = 2, .cexpr = "x", .cexpr_int = "x",
    .vjp = {"where(c, dy, 0)"}, .lo = -3, .hi = 3,
    .doc = "x, of which derivatives pass only where c holds; they are chosen, not multiplied.",
    .example = "guard(2.0, true)", .result = "2.0"};

static const lg_op op_clamp = {
    .name = "clamp", .sig = "(x: N[...S], lo: N[...S], hi: N[...S]) -> N[...S]", .cls = LG_C_ELEM,
    .traits = LG_T_CHEAP, .arity = 3, .elem = {LG_FLOATS(clamp), LG_INTS(clamp)},
    .out_dtype = LG_NO_DTYPE,
    .cexpr = "(((x < lo) | (lo != lo) ? lo : x) > hi) | (hi != hi) ? hi"
             " : (x < lo) | (lo != lo) ? lo : x",
    .cexpr_int = "(x < lo ? lo : x) > hi ? hi : x < lo ? lo : x",
    .vjp = {"where(x > lo and x < hi, dy, 0)", "where(x <= lo and lo < hi, dy, 0)",
            "where(x >= hi or lo >= hi, dy, 0)"},
    .lo = -3, .hi = 3,
    .doc = "min(max(x, lo), hi): hi where lo > hi; NaN if one of them is. At a bound the bound has "
           "the gradient.",
    .example = "clamp(5.0, 0.0, 1.0)", .result = "1.0"};

#define FLOAT(nm, ...) &op_##nm,
#define NUMBER(nm, ...) &op_##nm,
#define COMPARE(nm, ...) &op_##nm,
#define WHOLE(nm, ...) &op_##nm,
const lg_op *const lg_ops_binary[] = {
#include "ops/binary.def"
    &op_and, &op_or, &op_where, &op_guard, &op_clamp, NULL};
