/* dtype.c: element types: names, sizes, one-element access and dense conversion. Not for tensors
 * or graphs. Used by everything that touches data of a type known only at run time. */
#include "runtime/dtype.h"
#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} info[LG_N_DTYPES] = {
    [LG_F64] = {"f64", 8},       [LG_F32] = {"f32", 4},       [LG_BF16] = {"bf16", 2},
    [LG_F16] = {"f16", 2},       [LG_I64] = {"i64", 8},       [LG_I32] = {"i32", 4},
    [LG_I8] = {"i8", 1},         [LG_U8] = {"u8", 1},         [LG_BOOL] = {"bool", 1},
    [LG_F8E4M3] = {"f8e4m3", 1}, [LG_F8E5M2] = {"f8e5m2", 1},
};

size_t lg_dtype_size(lg_dtype t) {
    assert(t < LG_N_DTYPES);
    return info[t].size;
}

const char *lg_dtype_name(lg_dtype t) {
    return t < LG_N_DTYPES ? info[t].name : "?";
}

lg_dtype lg_dtype_from_name(const char *s) {
    for (int t = 0; t < LG_N_DTYPES; t++)
        if (strcmp(info[t].name, s) == 0)
            return (lg_dtype)t;
    return LG_NO_DTYPE;
}

bool lg_dtype_is_float(lg_dtype t) {
    return t == LG_F64 || t == LG_F32 || t == LG_BF16 || t == LG_F16 || t == LG_F8E4M3 ||
           t == LG_F8E5M2;
}

bool lg_dtype_is_int(lg_dtype t) {
    return t == LG_I64 || t == LG_I32 || t == LG_I8 || t == LG_U8;
}

static uint32_t bits_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float of_bits(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* ---- small floats: sign, `ebits` of exponent with the usual bias, `mbits` of fraction ---- */

static int bias_of(int ebits) {
    return (1 << (ebits - 1)) - 1;
}

/* Magnitude of a finite x rounded half to even; an overflow runs on into larger exponents. */
static uint32_t narrow(float x, int ebits, int mbits) {
    int bias = bias_of(ebits), drop = 23 - mbits;
    uint32_t u = bits_of(x) & 0x7fffffffu;
    if (u >= (uint32_t)(128 - bias) << 23) { /* a normal number of the format */
        u -= (uint32_t)(127 - bias) << 23;
        u += (1u << (drop - 1)) - 1 + ((u >> drop) & 1);
        return u >> drop;
    }
    /* Adding a power of two whose last bit is the smallest step rounds for us. */
    uint32_t magic = (uint32_t)(127 + 1 - bias - mbits + 23) << 23;
    return bits_of(of_bits(u) + of_bits(magic)) - magic;
}

/* Value of a finite magnitude. */
static float widen(uint32_t u, int ebits, int mbits) {
    int bias = bias_of(ebits);
    uint32_t frac = u & ((1u << mbits) - 1), ex = u >> mbits;
    if (ex == 0)
        return (float)frac * of_bits((uint32_t)(127 + 1 - bias - mbits) << 23);
    return of_bits((ex + (uint32_t)(127 - bias)) << 23 | frac << (23 - mbits));
}

uint16_t lg_f32_to_bf16(float x) {
    uint32_t u = bits_of(x);
    uint32_t r = (u + 0x7fffu + ((u >> 16) & 1)) >> 16;
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16 | 0x40u) : r);
}

float lg_bf16_to_f32(uint16_t x) {
    return of_bits((uint32_t)x << 16);
}

uint16_t lg_f32_to_f16(float x) {
    uint32_t sign = bits_of(x) >> 16 & 0x8000u;
    if (isnan(x))
        return (uint16_t)(sign | 0x7e00u);
    uint32_t m = isinf(x) ? 0x7c00u : narrow(x, 5, 10);
    return (uint16_t)(sign | (m > 0x7c00u ? 0x7c00u : m));
}

float lg_f16_to_f32(uint16_t x) {
    uint32_t m = x & 0x7fffu;
    float v = m < 0x7c00u ? widen(m, 5, 10) : of_bits(0x7f800000u | (m & 0x3ffu) << 13);
    return x & 0x8000u ? -v : v;
}

uint8_t lg_f32_to_e4m3(float x) {
    uint32_t sign = bits_of(x) >> 24 & 0x80u;
    if (isnan(x))
        return (uint8_t)(sign | 0x7fu);
    uint32_t m = isinf(x) ? 0x7eu : narrow(x, 4, 3);
    return (uint8_t)(sign | (m > 0x7eu ? 0x7eu : m));
}

float lg_e4m3_to_f32(uint8_t x) {
    uint32_t m = x & 0x7fu;
    float v = m == 0x7fu ? of_bits(0x7fc00000u) : widen(m, 4, 3);
    return x & 0x80u ? -v : v;
}

uint8_t lg_f32_to_e5m2(float x) {
    uint32_t sign = bits_of(x) >> 24 & 0x80u;
    if (isnan(x))
        return (uint8_t)(sign | 0x7eu);
    uint32_t m = isinf(x) ? 0x7cu : narrow(x, 5, 2);
    return (uint8_t)(sign | (m > 0x7cu ? 0x7cu : m));
}

float lg_e5m2_to_f32(uint8_t x) {
    return lg_f16_to_f32((uint16_t)(x << 8));
}

/* A double as a float that rounds to the same narrower float: truncated, the last bit set when
 * anything was lost (round to odd), so that rounding twice does no harm. */
static float to_odd_f32(double v) {
    float f = (float)v;
    if (isnan(v) || (double)f == v)
        return f;
    uint32_t u = bits_of(f);
    if (fabs((double)f) > fabs(v))
        u--;
    return of_bits(u | 1u);
}

/* ---- one element ---- */

/* Truncated and saturated to [lo, hi]; NaN gives 0. lo and hi + 1 must be exact as doubles. */
static int64_t int_of(double v, int64_t lo, int64_t hi) {
    if (isnan(v))
        return 0;
    if (v <= (double)lo)
        return lo;
    return v >= (double)hi ? hi : (int64_t)v;
}

static int64_t clamp_i64(int64_t v, int64_t lo, int64_t hi) {
    return v < lo ? lo : v > hi ? hi : v;
}

static void int_range(lg_dtype t, int64_t *lo, int64_t *hi) {
    *lo = t == LG_I64 ? INT64_MIN : t == LG_I32 ? INT32_MIN : t == LG_I8 ? INT8_MIN : 0;
    *hi = t == LG_I64 ? INT64_MAX : t == LG_I32 ? INT32_MAX : t == LG_I8 ? INT8_MAX : UINT8_MAX;
}

double lg_get_f64(lg_dtype t, const void *p, size_t i) {
    switch (t) {
    case LG_F64:
        return ((const double *)p)[i];
    case LG_F32:
        return (double)((const float *)p)[i];
    case LG_BF16:
        return (double)lg_bf16_to_f32(((const uint16_t *)p)[i]);
    case LG_F16:
        return (double)lg_f16_to_f32(((const uint16_t *)p)[i]);
    case LG_F8E4M3:
        return (double)lg_e4m3_to_f32(((const uint8_t *)p)[i]);
    case LG_F8E5M2:
        return (double)lg_e5m2_to_f32(((const uint8_t *)p)[i]);
    case LG_I64:
    case LG_I32:
    case LG_I8:
    case LG_U8:
    case LG_BOOL:
        return (double)lg_get_i64(t, p, i);
    case LG_N_DTYPES:
        break;
    }
    assert(!"dtype");
    return 0;
}

int64_t lg_get_i64(lg_dtype t, const void *p, size_t i) {
    switch (t) {
    case LG_I64:
        return ((const int64_t *)p)[i];
    case LG_I32:
        return ((const int32_t *)p)[i];
    case LG_I8:
        return ((const int8_t *)p)[i];
    case LG_U8:
        return ((const uint8_t *)p)[i];
    case LG_BOOL:
        return ((const uint8_t *)p)[i] != 0;
    case LG_F64:
    case LG_F32:
    case LG_BF16:
    case LG_F16:
    case LG_F8E4M3:
    case LG_F8E5M2:
        return int_of(lg_get_f64(t, p, i), INT64_MIN, INT64_MAX);
    case LG_N_DTYPES:
        break;
    }
    assert(!"dtype");
    return 0;
}

void lg_set_f64(lg_dtype t, void *p, size_t i, double v) {
    switch (t) {
    case LG_F64:
        ((double *)p)[i] = v;
        return;
    case LG_F32:
        ((float *)p)[i] = (float)v;
        return;
    case LG_BF16:
        ((uint16_t *)p)[i] = lg_f32_to_bf16(to_odd_f32(v));
        return;
    case LG_F16:
        ((uint16_t *)p)[i] = lg_f32_to_f16(to_odd_f32(v));
        return;
    case LG_F8E4M3:
        ((uint8_t *)p)[i] = lg_f32_to_e4m3(to_odd_f32(v));
        return;
    case LG_F8E5M2:
        ((uint8_t *)p)[i] = lg_f32_to_e5m2(to_odd_f32(v));
        return;
    case LG_BOOL:
        ((uint8_t *)p)[i] = v != 0;
        return;
    case LG_I64:
    case LG_I32:
    case LG_I8:
    case LG_U8:
        lg_set_i64(t, p, i, int_of(rint(v), INT64_MIN, INT64_MAX));
        return;
    case LG_N_DTYPES:
        break;
    }
    assert(!"dtype");
}

void lg_set_i64(lg_dtype t, void *p, size_t i, int64_t v) {
    int64_t lo, hi;
    int_range(t, &lo, &hi);
    switch (t) {
    case LG_I64:
        ((int64_t *)p)[i] = v;
        return;
    case LG_I32:
        ((int32_t *)p)[i] = (int32_t)clamp_i64(v, lo, hi);
        return;
    case LG_I8:
        ((int8_t *)p)[i] = (int8_t)clamp_i64(v, lo, hi);
        return;
    case LG_U8:
        ((uint8_t *)p)[i] = (uint8_t)clamp_i64(v, lo, hi);
        return;
    case LG_BOOL:
        ((uint8_t *)p)[i] = v != 0;
        return;
    case LG_F32:
        ((float *)p)[i] = (float)v; /* not through double, which would round twice */
        return;
    case LG_F64:
    case LG_BF16:
    case LG_F16:
    case LG_F8E4M3:
    case LG_F8E5M2:
        lg_set_f64(t, p, i, (double)v);
        return;
    case LG_N_DTYPES:
        break;
    }
    assert(!"dtype");
}

/* ---- dense conversion ---- */

/* The pairs of inner loops, written so that the compiler can vectorise them. */
#define FAST(name, To, From, expr)                                                                 \
    static void name(void *out, const void *in, size_t n) {                                        \
        To *restrict o = out;                                                                      \
        const From *restrict p = in;                                                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            From x = p[i];                                                                         \
            o[i] = (To)(expr);                                                                     \
        }                                                                                          \
    }
FAST(f32_from_f64, float, double, x)
FAST(f64_from_f32, double, float, x)
FAST(f32_from_i64, float, int64_t, x)
FAST(f32_from_i32, float, int32_t, x)
FAST(f32_from_u8, float, uint8_t, x)
FAST(f32_from_bool, float, uint8_t, x != 0)
FAST(f64_from_i64, double, int64_t, x)
FAST(f64_from_i32, double, int32_t, x)
FAST(f64_from_bool, double, uint8_t, x != 0)
FAST(f32_from_bf16, float, uint16_t, lg_bf16_to_f32(x))
FAST(f32_from_f16, float, uint16_t, lg_f16_to_f32(x))
FAST(bf16_from_f32, uint16_t, float, lg_f32_to_bf16(x))
FAST(f16_from_f32, uint16_t, float, lg_f32_to_f16(x))
FAST(i64_from_i32, int64_t, int32_t, x)
FAST(i64_from_bool, int64_t, uint8_t, x != 0)
FAST(bool_from_f32, uint8_t, float, x != 0)
FAST(bool_from_i64, uint8_t, int64_t, x != 0)
#undef FAST

typedef void (*convert_fn)(void *out, const void *in, size_t n);
static const convert_fn fast[LG_N_DTYPES][LG_N_DTYPES] = {
    [LG_F32] = {[LG_F64] = f32_from_f64, [LG_I64] = f32_from_i64, [LG_I32] = f32_from_i32,
                [LG_U8] = f32_from_u8, [LG_BOOL] = f32_from_bool, [LG_BF16] = f32_from_bf16,
                [LG_F16] = f32_from_f16},
    [LG_F64] = {[LG_F32] = f64_from_f32, [LG_I64] = f64_from_i64, [LG_I32] = f64_from_i32,
                [LG_BOOL] = f64_from_bool},
    [LG_BF16] = {[LG_F32] = bf16_from_f32},
    [LG_F16] = {[LG_F32] = f16_from_f32},
    [LG_I64] = {[LG_I32] = i64_from_i32, [LG_BOOL] = i64_from_bool},
    [LG_BOOL] = {[LG_F32] = bool_from_f32, [LG_I64] = bool_from_i64},
};

/* Any pair, through i64 when the source is whole and through f64 otherwise. */
static void convert_any(lg_dtype to, void *out, lg_dtype from, const void *in, size_t n) {
    bool whole = !lg_dtype_is_float(from), to_int = lg_dtype_is_int(to);
    for (size_t i = 0; i < n; i++) {
        if (whole)
            lg_set_i64(to, out, i, lg_get_i64(from, in, i));
        else if (to_int)
            lg_set_i64(to, out, i, int_of(lg_get_f64(from, in, i), INT64_MIN, INT64_MAX));
        else
            lg_set_f64(to, out, i, lg_get_f64(from, in, i));
    }
}

void lg_convert(lg_dtype to, void *out, lg_dtype from, const void *in, size_t n) {
    if (to == from) {
        if (n)
            memmove(out, in, n * lg_dtype_size(to));
        return;
    }
    if (fast[to][from])
        fast[to][from](out, in, n);
    else
        convert_any(to, out, from, in, n);
}
