/* vmath.h: elementary functions as inlined arithmetic: no tables, no branches in the f32 half, so
 * that a compiler turns a loop around them into vector code without -ffast-math. NaN and infinities
 * are kept. Bits depend on nothing but the input: every fused multiply is written out, compile with
 * -ffp-contract=off. Generated C gets this very text, hence no includes and only builtins.
 *
 * One name a function and dtype: lg_exp_f32, lg_exp_f64. Errors of the f32 half are below 4 ulp
 * (tests/ops/vmath.c measures them); the f64 half calls the C library. Polynomials were fitted by
 * Remez exchange to the quotient that stands in the comment beside each. */
#ifndef LG_VMATH_H
#define LG_VMATH_H

#define LG_MATH static inline __attribute__((always_inline, unused))

double lgamma_r(double x, int *sign);

typedef union {
    float f;
    unsigned u;
    int i;
} lg_bits32;
typedef union {
    double f;
    unsigned long long u;
} lg_bits64;

LG_MATH float lg_from_bits(unsigned u) {
    lg_bits32 b = {.u = u};
    return b.f;
}

LG_MATH unsigned lg_to_bits(float x) {
    lg_bits32 b = {.f = x};
    return b.u;
}

LG_MATH double lg_from_bits64(unsigned long long u) {
    lg_bits64 b = {.u = u};
    return b.f;
}

LG_MATH unsigned long long lg_to_bits64(double x) {
    lg_bits64 b = {.f = x};
    return b.u;
}

#define LG_FMA(a, b, c) __builtin_fmaf((a), (b), (c))
#define LG_FMAD(a, b, c) __builtin_fma((a), (b), (c))
#define LG_ROUND_MAGIC 12582912.0f              /* 1.5 * 2^23: adding it rounds to an integer */
#define LG_ROUND_MAGIC_D 6755399441055744.0     /* 1.5 * 2^52 */
#define LG_LN2_HI 0x1.62e430p-1f                /* ln 2 in two parts */
#define LG_LN2_LO (-0x1.05c610p-29f)
#define LG_PIO2_HI 0x1.921fb6p+0f               /* pi/2 in two parts */
#define LG_PIO2_LO (-0x1.777a5cp-25f)

/* ---- exp and its kin, f32 ---- */

LG_MATH float lg_pow2_f32(int k) { /* 2^k, -126 <= k <= 128; 128 gives infinity */
    return lg_from_bits((unsigned)(k + 127) << 23);
}

/* e^x * 2^by. The scale goes on in two steps, so that the ends of the range are right. */
LG_MATH float lg_exp_scaled_f32(float x, int by) {
    float c = x < -104.0f ? -104.0f : x;
    c = c > 90.0f ? 90.0f : c;
    float m = LG_FMA(c, 0x1.715476p+0f, LG_ROUND_MAGIC);
    float k = m - LG_ROUND_MAGIC;
    int n = (int)(lg_to_bits(m) - 0x4b400000u) + by;
    float r = LG_FMA(k, -LG_LN2_HI, c);
    r = LG_FMA(k, -LG_LN2_LO, r);
    float q = 0x1.6a9872p-10f; /* (e^r - 1 - r) / r^2 */
    q = LG_FMA(q, r, 0x1.123c16p-7f);
    q = LG_FMA(q, r, 0x1.555872p-5f);
    q = LG_FMA(q, r, 0x1.55548ep-3f);
    q = LG_FMA(q, r, 0x1.fffffcp-2f);
    float p = LG_FMA(r * r, q, r) + 1.0f;
    int half = n >> 1;
    return p * lg_pow2_f32(half) * lg_pow2_f32(n - half);
}

LG_MATH float lg_exp_f32(float x) {
    return lg_exp_scaled_f32(x, 0);
}

LG_MATH float lg_expm1_f32(float x) {
    float c = x < -20.0f ? -20.0f : x;
    c = c > 89.0f ? 89.0f : c;
    float m = LG_FMA(c, 0x1.715476p+0f, LG_ROUND_MAGIC);
    float k = m - LG_ROUND_MAGIC;
    float s = lg_pow2_f32((int)(lg_to_bits(m) - 0x4b400000u) - 1);
    float r = LG_FMA(k, -LG_LN2_HI, c);
    r = LG_FMA(k, -LG_LN2_LO, r);
    float q = 0x1.6ce4f2p-10f; /* (e^r - 1 - r) / r^2 */
    q = LG_FMA(q, r, 0x1.122abep-7f);
    q = LG_FMA(q, r, 0x1.555534p-5f);
    q = LG_FMA(q, r, 0x1.5554acp-3f);
    q = LG_FMA(q, r, 0.5f);
    float p = LG_FMA(r * r, q, r);
    return __builtin_copysignf(2.0f * LG_FMA(s, p, s - 0.5f), x); /* of -0.0 too */
}

LG_MATH float lg_sinh_f32(float x) {
    float a = __builtin_fabsf(x), u = x * x;
    float h = lg_exp_scaled_f32(a, -1);
    float p = 0x1.75a81ap-19f; /* (sinh x - x) / x^3 in x^2 */
    p = LG_FMA(p, u, 0x1.a02152p-13f);
    p = LG_FMA(p, u, 0x1.1110e2p-7f);
    p = LG_FMA(p, u, 0x1.555556p-3f);
    float small = LG_FMA(a * u, p, a), big = h - 0.25f / h;
    return __builtin_copysignf(a < 1.0f ? small : big, x);
}

LG_MATH float lg_cosh_f32(float x) {
    float h = lg_exp_scaled_f32(__builtin_fabsf(x), -1);
    return h + 0.25f / h;
}

LG_MATH float lg_tanh_f32(float x) {
    float a = __builtin_fabsf(x), u = x * x;
    float e = lg_exp_f32(2.0f * a);
    float p = -0x1.75f90ep-8f; /* (tanh x - x) / x^3 in x^2 */
    p = LG_FMA(p, u, 0x1.52337cp-6f);
    p = LG_FMA(p, u, -0x1.b83fcap-5f);
    p = LG_FMA(p, u, 0x1.110750p-3f);
    p = LG_FMA(p, u, -0x1.555534p-2f);
    float small = LG_FMA(a * u, p, a), big = 1.0f - 2.0f / (e + 1.0f);
    return __builtin_copysignf(a < 0.625f ? small : big, x);
}

LG_MATH float lg_sigmoid_f32(float x) {
    float e = lg_exp_f32(-__builtin_fabsf(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

/* ---- log and its kin, f32 ---- */

/* log((1 + f) 2^k) + c for 1 + f in [sqrt 1/2, sqrt 2) and c small. */
LG_MATH float lg_log_core_f32(float f, float k, float c) {
    float z = f * f;
    float p = 0x1.7465c4p-5f; /* (log(1 + f) - f + f^2/2) / f^3 */
    p = LG_FMA(p, f, -0x1.b1b412p-4f);
    p = LG_FMA(p, f, 0x1.f5adf4p-4f);
    p = LG_FMA(p, f, -0x1.02484cp-3f);
    p = LG_FMA(p, f, 0x1.22d43ap-3f);
    p = LG_FMA(p, f, -0x1.551938p-3f);
    p = LG_FMA(p, f, 0x1.99a6a8p-3f);
    p = LG_FMA(p, f, -0x1.0000a4p-2f);
    p = LG_FMA(p, f, 0x1.555546p-2f);
    float y = LG_FMA(f * z, p, c);
    y = LG_FMA(k, LG_LN2_LO, y);
    y = LG_FMA(-0.5f, z, y);
    return LG_FMA(k, LG_LN2_HI, f + y);
}

LG_MATH float lg_log_f32(float x) {
    int tiny = x < 0x1p-126f;
    float s = tiny ? x * 0x1p23f : x;
    int k = (int)(lg_to_bits(s) - 0x3f3504f3u) >> 23; /* so that m >= sqrt 1/2 */
    float m = lg_from_bits(lg_to_bits(s) - ((unsigned)k << 23));
    float r = lg_log_core_f32(m - 1.0f, (float)(tiny ? k - 23 : k), 0.0f);
    r = x > 0.0f ? r : x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
    return x <= 0x1.fffffep127f ? r : x;
}

LG_MATH float lg_log1p_f32(float x) {
    float u = 1.0f + x;
    int k = (int)(lg_to_bits(u) - 0x3f3504f3u) >> 23;
    float m = lg_from_bits(lg_to_bits(u) - ((unsigned)k << 23));
    float lost = k > 0 ? 1.0f - (u - x) : x - (u - 1.0f); /* what rounding 1 + x dropped */
    float f = k == 0 ? x : m - 1.0f;
    float r = lg_log_core_f32(f, (float)k, k == 0 ? 0.0f : lost / u);
    r = u > 0.0f ? r : u == 0.0f ? -__builtin_inff() : __builtin_nanf("");
    r = x == 0.0f ? x : r; /* keeps the sign of -0.0 */
    return x <= 0x1.fffffep127f ? r : x;
}

LG_MATH float lg_softplus_f32(float x) {
    return (x > 0.0f ? x : 0.0f) + lg_log1p_f32(lg_exp_f32(-__builtin_fabsf(x)));
}

LG_MATH float lg_sqrt_f32(float x) {
    return __builtin_sqrtf(x);
}

LG_MATH float lg_rsqrt_f32(float x) {
    return 1.0f / __builtin_sqrtf(x);
}

/* By way of double: log2 of the base times the exponent needs more bits than a float has. */
LG_MATH float lg_pow_f32(float a, float b) {
    double x = (double)__builtin_fabsf(a);
    unsigned long long ix = lg_to_bits64(x);
    unsigned long long e = (ix - 0x3fe6a09e00000000ull + (1024ull << 52)) >> 52; /* k + 1024 */
    double k = lg_from_bits64(e | 0x4330000000000000ull) - (0x1p52 + 1024.0);
    double m = lg_from_bits64(ix - (e << 52) + (1024ull << 52));
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double l = 0x1.f1887d721d5c9p-3; /* log2((1 + s)/(1 - s)) / s in s^2 */
    l = LG_FMAD(l, z, 0x1.0bb7c71d2493dp-2);
    l = LG_FMAD(l, z, 0x1.484fa9bf8ab54p-2);
    l = LG_FMAD(l, z, 0x1.a617568b34c27p-2);
    l = LG_FMAD(l, z, 0x1.2776c51688d55p-1);
    l = LG_FMAD(l, z, 0x1.ec709dc39cc6cp-1);
    l = LG_FMAD(l, z, 0x1.71547652b82ffp+1);
    double t = (double)b * LG_FMAD(s, l, k);
    t = t < -160.0 ? -160.0 : t;
    t = t > 160.0 ? 160.0 : t;
    double n = t + LG_ROUND_MAGIC_D;
    double f = t - (n - LG_ROUND_MAGIC_D);
    double p = 1.3175890682353304e-06; /* 2^f */
    p = LG_FMAD(p, f, 1.5309851668764967e-05);
    p = LG_FMAD(p, f, 0.00015403852546156321);
    p = LG_FMAD(p, f, 0.001333345163732857);
    p = LG_FMAD(p, f, 0.0096181285400705249);
    p = LG_FMAD(p, f, 0.055504109397783663);
    p = LG_FMAD(p, f, 0.24022650698902107);
    p = LG_FMAD(p, f, 0.69314718054640878);
    p = LG_FMAD(p, f, 0.99999999999976041);
    float r = (float)(p * lg_from_bits64((lg_to_bits64(n) + 1023ull) << 52));
    /* the ends, then the sign, then what holds whatever the other input is */
    float over = b > 0.0f ? __builtin_inff() : 0.0f, under = b > 0.0f ? 0.0f : __builtin_inff();
    float abs_a = __builtin_fabsf(a), h = 0.5f * b;
    r = abs_a > 0x1.fffffep127f ? over : r;
    r = abs_a == 0.0f ? under : r;
    int whole = __builtin_floorf(b) == b, odd = whole & (__builtin_floorf(h) != h);
    int minus = (lg_to_bits(a) >> 31) != 0u;
    r = minus & odd ? -r : r;
    r = (a < 0.0f) & !whole & (a >= -0x1.fffffep127f) ? __builtin_nanf("") : r;
    r = (abs_a == 1.0f) & (__builtin_fabsf(b) > 0x1.fffffep127f) ? 1.0f : r;
    r = (a != a) | (b != b) ? __builtin_nanf("") : r;
    return (b == 0.0f) | (a == 1.0f) ? 1.0f : r;
}

/* ---- circular functions, f32 ---- */

/* x less the nearest multiple of pi/2, and that multiple mod 4. Good to 1e14; beyond 1e15
 * floats stand further apart than a turn, and the result is some angle. */
LG_MATH double lg_turn_f32(float x, unsigned *quadrant) {
    double d = (double)x, n = LG_FMAD(d, 0x1.45f306dc9c883p-1, LG_ROUND_MAGIC_D);
    double k = n - LG_ROUND_MAGIC_D;
    *quadrant = (unsigned)lg_to_bits64(n);
    double r = LG_FMAD(k, -0x1.921fb54442d18p+0, d);
    r = LG_FMAD(k, -0x1.1a62633145c07p-54, r);
    r = r > 0.8 ? 0.8 : r;
    return r < -0.8 ? -0.8 : r;
}

LG_MATH float lg_sin_near_f32(float r) {
    float u = r * r;
    float p = 0x1.7ccc9ap-19f; /* (sin r - r) / r^3 in r^2 */
    p = LG_FMA(p, u, -0x1.a05ba2p-13f);
    p = LG_FMA(p, u, 0x1.111176p-7f);
    p = LG_FMA(p, u, -0x1.555556p-3f);
    return __builtin_copysignf(LG_FMA(r * u, p, r), r); /* of -0.0 too */
}

LG_MATH float lg_cos_near_f32(float r) {
    float u = r * r;
    float p = 0x1.99def2p-16f; /* (cos r - 1 + r^2/2) / r^4 in r^2 */
    p = LG_FMA(p, u, -0x1.6c0c16p-10f);
    p = LG_FMA(p, u, 0x1.55554ap-5f);
    return LG_FMA(u * u, p, LG_FMA(-0.5f, u, 1.0f));
}

LG_MATH float lg_sin_f32(float x) {
    unsigned q;
    float r = (float)lg_turn_f32(x, &q);
    float y = q & 1u ? lg_cos_near_f32(r) : lg_sin_near_f32(r);
    return lg_from_bits(lg_to_bits(y) ^ (q & 2u) << 30);
}

LG_MATH float lg_cos_f32(float x) {
    unsigned q;
    float r = (float)lg_turn_f32(x, &q);
    float y = q & 1u ? lg_sin_near_f32(r) : lg_cos_near_f32(r);
    return lg_from_bits(lg_to_bits(y) ^ ((q + 1u) & 2u) << 30);
}

LG_MATH float lg_tan_f32(float x) {
    unsigned q;
    double r = lg_turn_f32(x, &q), u = r * r;
    double s = -0x1.a94df426cb7e0p-26; /* sin r / r in r^2 */
    s = LG_FMAD(s, u, 0x1.71d72a6f987bdp-19);
    s = LG_FMAD(s, u, -0x1.a019f8948abc4p-13);
    s = LG_FMAD(s, u, 0x1.1111110bd4030p-7);
    s = LG_FMAD(s, u, -0x1.5555555550e50p-3);
    s = r * LG_FMAD(s, u, 0x1.fffffffffffd9p-1);
    double c = -2.7172720778126528e-07; /* cos r in r^2 */
    c = LG_FMAD(c, u, 2.4798918987881933e-05);
    c = LG_FMAD(c, u, -0.0013888880347373252);
    c = LG_FMAD(c, u, 0.041666666543029286);
    c = LG_FMAD(c, u, -0.4999999999934544);
    c = LG_FMAD(c, u, 0.99999999999994382);
    double up = q & 1u ? -c : s, down = q & 1u ? s : c;
    return (float)(up / down);
}

LG_MATH float lg_atan_near_f32(float t) { /* 0 <= t <= 1 */
    float u = t * t;
    float p = -0x1.d80d16p-10f; /* (atan t - t) / t^3 in t^2 */
    p = LG_FMA(p, u, 0x1.67016cp-7f);
    p = LG_FMA(p, u, -0x1.003046p-5f);
    p = LG_FMA(p, u, 0x1.dbb8e0p-5f);
    p = LG_FMA(p, u, -0x1.5885cep-4f);
    p = LG_FMA(p, u, 0x1.c0b9bep-4f);
    p = LG_FMA(p, u, -0x1.24251ep-3f);
    p = LG_FMA(p, u, 0x1.999258p-3f);
    p = LG_FMA(p, u, -0x1.555540p-2f);
    return LG_FMA(t * u, p, t);
}

LG_MATH float lg_atan_f32(float x) {
    float a = __builtin_fabsf(x);
    float p = lg_atan_near_f32(a > 1.0f ? 1.0f / a : a);
    float r = a > 1.0f ? (LG_PIO2_HI - p) + LG_PIO2_LO : p;
    return __builtin_copysignf(r, x);
}

LG_MATH float lg_atan2_f32(float a, float b) {
    float up = __builtin_fabsf(a), along = __builtin_fabsf(b);
    float big = up > along ? up : along, small = up > along ? along : up;
    float t = small == big ? (big == 0.0f ? 0.0f : 1.0f) : small / big;
    float p = lg_atan_near_f32(t);
    float r = up > along ? (LG_PIO2_HI - p) + LG_PIO2_LO : p;
    r = lg_to_bits(b) >> 31 ? (2.0f * LG_PIO2_HI - r) + 2.0f * LG_PIO2_LO : r;
    return __builtin_copysignf(r, a);
}

LG_MATH float lg_asin_poly_f32(float z) { /* (asin s - s) / s^3 in z = s^2 */
    float p = 0x1.596236p-5f;
    p = LG_FMA(p, z, 0x1.8c4baep-6f);
    p = LG_FMA(p, z, 0x1.74778cp-5f);
    p = LG_FMA(p, z, 0x1.33025ap-4f);
    return LG_FMA(p, z, 0x1.5555c6p-3f);
}

LG_MATH float lg_asin_f32(float x) {
    float a = __builtin_fabsf(x);
    float z = a > 0.5f ? 0.5f * (1.0f - a) : a * a;
    float s = a > 0.5f ? __builtin_sqrtf(z) : a;
    float p = LG_FMA(s * z, lg_asin_poly_f32(z), s);
    float r = a > 0.5f ? LG_FMA(-2.0f, p, LG_PIO2_HI) + LG_PIO2_LO : p;
    return __builtin_copysignf(r, x);
}

LG_MATH float lg_acos_f32(float x) {
    float a = __builtin_fabsf(x);
    float z = a > 0.5f ? 0.5f * (1.0f - a) : a * a;
    float s = a > 0.5f ? __builtin_sqrtf(z) : a;
    float p = LG_FMA(s * z, lg_asin_poly_f32(z), s);
    float far = x > 0.0f ? 2.0f * p : LG_FMA(-2.0f, p, 2.0f * LG_PIO2_HI) + 2.0f * LG_PIO2_LO;
    float near = (LG_PIO2_HI - __builtin_copysignf(p, x)) + LG_PIO2_LO;
    return a > 0.5f ? far : near;
}

/* ---- error function, f32 ---- */

LG_MATH float lg_erf_f32(float x) {
    float a = __builtin_fabsf(x), u = x * x, t = a > 4.0f ? 4.0f : a;
    float p = -0x1.398a34p-11f; /* erf x / x - 1 in x^2 */
    p = LG_FMA(p, u, 0x1.472410p-8f);
    p = LG_FMA(p, u, -0x1.b689bap-6f);
    p = LG_FMA(p, u, 0x1.ce1a88p-4f);
    p = LG_FMA(p, u, -0x1.8126e8p-2f);
    p = LG_FMA(p, u, 0x1.06eba6p-3f);
    float q = 0x1.7fa10cp-17f; /* -log(1 - erf t) / t */
    q = LG_FMA(q, t, -0x1.546111p-12f);
    q = LG_FMA(q, t, 0x1.de4b0cp-9f);
    q = LG_FMA(q, t, -0x1.8586c0p-6f);
    q = LG_FMA(q, t, 0x1.b3339ep-4f);
    q = LG_FMA(q, t, 0x1.453192p-1f);
    q = LG_FMA(q, t, 0x1.20ef38p+0f);
    float small = LG_FMA(p, a, a), big = 1.0f - lg_exp_f32(-t * q);
    return __builtin_copysignf(a > 0.925f ? big : small, x);
}

LG_MATH float lg_erfc_f32(float x) {
    float a = __builtin_fabsf(x), t = a > 10.5f ? 10.5f : a;
    float q = (t - 2.0f) / (t + 2.0f);
    float p = 2.77480394e-05f; /* erfc t e^(t^2) (1 + 2t) in q */
    p = LG_FMA(p, q, -0.000362034218f);
    p = LG_FMA(p, q, -0.00125306565f);
    p = LG_FMA(p, q, 0.00127122435f);
    p = LG_FMA(p, q, 0.00863756239f);
    p = LG_FMA(p, q, -0.00804402027f);
    p = LG_FMA(p, q, -0.0542048626f);
    p = LG_FMA(p, q, 0.164053097f);
    p = LG_FMA(p, q, -0.16603139f);
    p = LG_FMA(p, q, -0.0927638933f);
    p = LG_FMA(p, q, 1.27697837f);
    float s = t * t, e = lg_exp_f32(-s);
    e = LG_FMA(e, -LG_FMA(t, t, -s), e); /* what rounding t^2 dropped */
    float r = e * (p / LG_FMA(2.0f, t, 1.0f));
    return x < 0.0f ? 2.0f - r : r;
}

/* ---- remainders, f32: exact by way of double while the quotient is below 2^53, and by fmod
 * beyond ---- */

static __attribute__((noinline, unused)) double lg_far_rest(double a, double b) {
    double r = __builtin_fmod(a, b);
    return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;
}

/* The quotient rounded down, in double, and what is left of a. Division may round up to the next
 * whole number, which is put right afterwards. */
LG_MATH double lg_quotient_f32(float a, float b, double *rest) {
    double x = (double)a, y = (double)b, q = __builtin_floor(x / y);
    double r = q == 0.0 ? x : LG_FMAD(-q, y, x);
    int over = b < 0.0f ? r > 0.0 : r < 0.0;
    q = over ? q - 1.0 : q;
    r = over ? r + y : r;
    *rest = __builtin_fabs(q) < 0x1p53 ? r : lg_far_rest(x, y);
    return q;
}

/* As a less its remainder, over b: no number where a is infinite, except over 0. */
LG_MATH float lg_floordiv_f32(float a, float b) {
    double r, q = lg_quotient_f32(a, b, &r);
    return a - a == 0.0f || b == 0.0f ? (float)q : a - a;
}

LG_MATH float lg_mod_f32(float a, float b) {
    double r;
    lg_quotient_f32(a, b, &r);
    return (float)r;
}

/* ---- f64 ---- */

LG_MATH double lg_exp_f64(double x) {
    return __builtin_exp(x);
}
LG_MATH double lg_expm1_f64(double x) {
    return __builtin_expm1(x);
}
LG_MATH double lg_log_f64(double x) {
    return __builtin_log(x);
}
LG_MATH double lg_log1p_f64(double x) {
    return __builtin_log1p(x);
}
LG_MATH double lg_sqrt_f64(double x) {
    return __builtin_sqrt(x);
}
LG_MATH double lg_rsqrt_f64(double x) {
    return 1.0 / __builtin_sqrt(x);
}
LG_MATH double lg_pow_f64(double a, double b) {
    return __builtin_pow(a, b);
}
LG_MATH double lg_sin_f64(double x) {
    return __builtin_sin(x);
}
LG_MATH double lg_cos_f64(double x) {
    return __builtin_cos(x);
}
LG_MATH double lg_tan_f64(double x) {
    return __builtin_tan(x);
}
LG_MATH double lg_asin_f64(double x) {
    return __builtin_asin(x);
}
LG_MATH double lg_acos_f64(double x) {
    return __builtin_acos(x);
}
LG_MATH double lg_atan_f64(double x) {
    return __builtin_atan(x);
}
LG_MATH double lg_atan2_f64(double a, double b) {
    return __builtin_atan2(a, b);
}
LG_MATH double lg_sinh_f64(double x) {
    return __builtin_sinh(x);
}
LG_MATH double lg_cosh_f64(double x) {
    return __builtin_cosh(x);
}
LG_MATH double lg_tanh_f64(double x) {
    return __builtin_tanh(x);
}
LG_MATH double lg_erf_f64(double x) {
    return __builtin_erf(x);
}
LG_MATH double lg_erfc_f64(double x) {
    return __builtin_erfc(x);
}

LG_MATH double lg_sigmoid_f64(double x) {
    double e = __builtin_exp(-__builtin_fabs(x));
    return (x >= 0.0 ? 1.0 : e) / (1.0 + e);
}

LG_MATH double lg_softplus_f64(double x) {
    return (x > 0.0 ? x : 0.0) + __builtin_log1p(__builtin_exp(-__builtin_fabs(x)));
}

LG_MATH double lg_mod_f64(double a, double b) {
    double r = __builtin_fmod(a, b);
    return r != 0.0 && (r < 0.0) != (b < 0.0) ? r + b : r;
}

LG_MATH double lg_floordiv_f64(double a, double b) {
    double near = __builtin_rint((a - lg_mod_f64(a, b)) / b); /* whole but for rounding */
    if (near == near)
        return near;
    if (a - a == 0.0 && b == b && b != 0.0) /* b is infinite */
        return a != 0.0 && (a < 0.0) != (b < 0.0) ? -1.0 : a / b;
    return b == 0.0 ? a / b : (a - a) + (b - b);
}

/* a times 2^b for a whole number b; beyond what a float spans it makes no difference. */
LG_MATH int lg_exponent_of(double b) {
    return b > 9999 ? 9999 : b > -9999 ? (int)b : -9999;
}

LG_MATH float lg_ldexp_f32(float a, float b) {
    return __builtin_ldexpf(a, lg_exponent_of((double)b));
}

LG_MATH double lg_ldexp_f64(double a, double b) {
    return __builtin_ldexp(a, lg_exponent_of(b));
}

/* Integers: floored, and 0 where the divisor is. */
LG_MATH long long lg_floordiv_i64(long long a, long long b) {
    if (b == 0)
        return 0;
    if (b == -1)
        return (long long)(0ull - (unsigned long long)a);
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

LG_MATH long long lg_mod_i64(long long a, long long b) {
    if (b == 0 || b == -1)
        return 0;
    long long r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

/* Wraps; a negative exponent gives what truncation of the true value gives (0 for base 0). */
LG_MATH long long lg_pow_i64(long long a, long long b) {
    if (b < 0)
        return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
    unsigned long long base = (unsigned long long)a, r = 1;
    for (unsigned long long e = (unsigned long long)b; e; e >>= 1, base *= base)
        r *= e & 1 ? base : 1;
    return (long long)r;
}

/* ---- loops, in double for both floats ---- */

/* Winitzki's closed form, then two cubic steps against erf, or erfc where erf is flat. */
LG_MATH double lg_erfinv_f64(double x) {
    double a = __builtin_fabs(x);
    if (!(a < 1.0))
        return a == 1.0 ? x * __builtin_inf() : __builtin_nan("");
    double l = __builtin_log1p(-a * a), t = 4.330746750799873 + 0.5 * l;
    double y = a < 1e-3 ? 0.886226925452758 * a
                        : __builtin_sqrt(__builtin_sqrt(t * t - l / 0.147) - t);
    for (int i = 0; i < 2; i++) {
        double miss = a < 0.5 ? __builtin_erf(y) - a : (1.0 - a) - __builtin_erfc(y);
        double u = miss / (1.1283791670955126 * __builtin_exp(-y * y));
        y -= u / (1.0 + y * u);
    }
    return __builtin_copysign(y, x);
}

LG_MATH double lg_lgamma_f64(double x) {
    int sign;
    return lgamma_r(x, &sign);
}

/* Reflected below 1/2; moved up to 10, where the asymptotic series is exact. */
LG_MATH double lg_digamma_f64(double x) {
    double r = 0.0;
    if (x == 0.0)
        return -1.0 / x;
    if (x <= 0.0 && __builtin_floor(x) == x)
        return __builtin_nan("");
    if (x < 0.5) {
        r = -3.141592653589793 / __builtin_tan(3.141592653589793 * (x - __builtin_floor(x)));
        x = 1.0 - x;
    }
    for (; x < 10.0; x += 1.0)
        r -= 1.0 / x;
    double u = 1.0 / (x * x);
    double s =
        1.0 / 12 -
        u * (1.0 / 120 -
             u * (1.0 / 252 - u * (1.0 / 240 - u * (1.0 / 132 - u * (691.0 / 32760 - u / 12)))));
    return r + __builtin_log(x) - 0.5 / x - u * s;
}

/* The n-th derivative of digamma: (-1)^(n+1) n! times the sum of (x + k)^-(n+1) over k >= 0, by
 * Euler and Maclaurin's formula past x + k = 12 + n. At 0, -1, -2 ... it is infinite. */
LG_MATH double lg_polygamma_f64(double n, double x) {
    if (n == 0.0)
        return lg_digamma_f64(x);
    if (!(n > 0.0) || n > 150.0 || __builtin_floor(n) != n || !(x > -4096.0))
        return __builtin_nan("");
    double sign = __builtin_fmod(n, 2.0) == 0.0 ? -1.0 : 1.0;
    if (x <= 0.0 && __builtin_floor(x) == x)
        return sign * __builtin_inf();
    if (x == __builtin_inf())
        return sign * 0.0;
    double s = n + 1.0, sum = 0.0;
    for (; x < 12.0 + n; x += 1.0)
        sum += __builtin_pow(x, -s);
    double u = 1.0 / (x * x), last = __builtin_pow(x, -s);
    double t = s * last / x; /* s (s+1) ... x^-(s + 2j - 1), times the Bernoulli numbers */
    sum += last * x / n + 0.5 * last + t / 12;
    t *= (s + 1) * (s + 2) * u;
    sum -= t / 720;
    t *= (s + 3) * (s + 4) * u;
    sum += t / 30240;
    t *= (s + 5) * (s + 6) * u;
    sum -= t / 1209600;
    t *= (s + 7) * (s + 8) * u;
    sum += t / 47900160;
    double f = sign;
    for (double k = 2.0; k <= n; k += 1.0)
        f *= k;
    return f * sum;
}

LG_MATH double lg_trigamma_f64(double x) {
    if (x < 0.5) { /* pi^2 / sin^2(pi x) less the other side */
        if (__builtin_floor(x) == x) /* -inf too has no value */
            return x - x == 0.0 ? __builtin_inf() : __builtin_nan("");
        double s = 3.141592653589793 / __builtin_sin(3.141592653589793 * (x - __builtin_floor(x)));
        return s * s - lg_polygamma_f64(1.0, 1.0 - x);
    }
    return lg_polygamma_f64(1.0, x);
}

LG_MATH float lg_erfinv_f32(float x) {
    return (float)lg_erfinv_f64((double)x);
}
LG_MATH float lg_lgamma_f32(float x) {
    return (float)lg_lgamma_f64((double)x);
}
LG_MATH float lg_digamma_f32(float x) {
    return (float)lg_digamma_f64((double)x);
}
LG_MATH float lg_trigamma_f32(float x) {
    return (float)lg_trigamma_f64((double)x);
}
LG_MATH float lg_polygamma_f32(float n, float x) {
    return (float)lg_polygamma_f64((double)n, (double)x);
}
#endif
