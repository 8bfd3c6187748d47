/* rng.c: Philox4x32-10 and the draws made from it. Not for tensors or graphs: the ops are in
 * ops/random.c. All arithmetic is plain + - * / and sqrt on doubles, so that the bits depend on no
 * library and no vector width. Positions 2b and 2b+1 of a stream share the counter block b. */
#include "runtime/rng.h"
#include <math.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE \
    __attribute__((optimize("O3"), target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

enum { BLOCKS = 128 }; /* blocks made at a time */

typedef struct {
    uint32_t w[4][BLOCKS];
} block_buf;

static inline void rounds(uint32_t x[4], uint32_t k0, uint32_t k1) {
#pragma GCC unroll 10
    for (int r = 0; r < 10; r++) {
        uint64_t p = (uint64_t)0xD2511F53u * x[0], q = (uint64_t)0xCD9E8D57u * x[2];
        uint32_t a = (uint32_t)(q >> 32) ^ x[1] ^ k0, b = (uint32_t)(p >> 32) ^ x[3] ^ k1;
        x[0] = a;
        x[1] = (uint32_t)q;
        x[2] = b;
        x[3] = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

void lg_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t x[4] = {counter[0], counter[1], counter[2], counter[3]};
    rounds(x, key[0], key[1]);
    memcpy(out, x, sizeof x);
}

/* Blocks b .. b+m-1 of stream `key`, words apart. */
WIDE static void make_blocks(uint64_t key, uint64_t b, size_t m, block_buf *o) {
    const uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (size_t i = 0; i < m; i++) {
        uint32_t x[4] = {(uint32_t)(b + i), (uint32_t)((b + i) >> 32), 0, 0};
        rounds(x, k0, k1);
        o->w[0][i] = x[0];
        o->w[1][i] = x[1];
        o->w[2][i] = x[2];
        o->w[3][i] = x[3];
    }
}

/* ---- numbers from words ---- */

/* An unsigned word as a double, by the signed conversion that vector units have. */
static inline double from_word(uint32_t w) {
    return (double)(int32_t)(w ^ 0x80000000u) + 2147483648.0;
}

/* The upper 53 of 64 bits as a multiple of 2^-53 in [0, 1). */
static inline double unit(uint32_t hi, uint32_t lo) {
    return (from_word(hi) * 0x1p21 + (double)(int32_t)(lo >> 11)) * 0x1p-53;
}

/* Natural logarithm of a positive normal number, about 1 ulp. */
static inline double log_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    /* x = 2^e * m with m in [sqrt(1/2), sqrt(2)) */
    uint64_t v = u + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
    double e = (double)(int32_t)(v >> 52) - 1023.0;
    uint64_t mb = (v & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu;
    double m;
    memcpy(&m, &mb, sizeof m);
    double s = (m - 1) / (m + 1), z = s * s;
    double p = 2.0 / 19;
    p = p * z + 2.0 / 17;
    p = p * z + 2.0 / 15;
    p = p * z + 2.0 / 13;
    p = p * z + 2.0 / 11;
    p = p * z + 2.0 / 9;
    p = p * z + 2.0 / 7;
    p = p * z + 2.0 / 5;
    p = p * z + 2.0 / 3;
    return e * 0.693147180559945309417 + (2 * s + s * z * p);
}

/* e^x for x <= 0; 0 below -700. */
static double exp_of(double x) {
    if (!(x > -700))
        return 0;
    double k = floor(x * 1.44269504088896340736 + 0.5);
    double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
    double p = 1;
    for (int i = 14; i > 0; i--)
        p = 1 + p * r / i;
    uint64_t u = (uint64_t)((int64_t)k + 1023) << 52;
    double scale;
    memcpy(&scale, &u, sizeof scale);
    return p * scale;
}

static inline double sin_poly(double r) {
    double z = r * r, p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return r + r * z * p;
}

static inline double cos_poly(double r) {
    double z = r * r, p = 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    p = p * z - 0.5;
    return 1 + z * p;
}

/* A block as two independent normal numbers (Box and Muller): radius from words 0 and 1, quarter
 * turn and angle within it from words 2 and 3. */
static inline void normal_pair(uint32_t a, uint32_t b, uint32_t c, uint32_t d, double out[2]) {
    double radius = sqrt(-2.0 * log_of(unit(a, b) + 0x1p-53));
    double part =
        (double)(int32_t)(c & 0x3fffffffu) * 0x1p-30 + (double)(int32_t)(d >> 11) * 0x1p-51;
    double r = (part - 0.5) * 1.57079632679489661923;
    double s = sin_poly(r), q = cos_poly(r);
    double x = c & 0x40000000u ? s : q, y = c & 0x40000000u ? q : s;
    double flip = c & 0x80000000u ? -1.0 : 1.0, turn = c & 0x40000000u ? -1.0 : 1.0;
    out[0] = radius * x * flip * turn;
    out[1] = radius * y * flip;
}

/* ---- whole blocks to elements ---- */

WIDE static void uniforms(const block_buf *w, size_t m, double *o) {
    for (size_t i = 0; i < m; i++) {
        o[2 * i] = unit(w->w[0][i], w->w[1][i]);
        o[2 * i + 1] = unit(w->w[2][i], w->w[3][i]);
    }
}

WIDE static void uniforms_f32(const block_buf *w, size_t m, float *o) {
    for (size_t i = 0; i < m; i++) {
        o[2 * i] = (float)(int32_t)(w->w[0][i] >> 8) * 0x1p-24f;
        o[2 * i + 1] = (float)(int32_t)(w->w[2][i] >> 8) * 0x1p-24f;
    }
}

WIDE static void normals(const block_buf *w, size_t m, double *o) {
    for (size_t i = 0; i < m; i++)
        normal_pair(w->w[0][i], w->w[1][i], w->w[2][i], w->w[3][i], o + 2 * i);
}

WIDE static void normals_f32(const block_buf *w, size_t m, float *o) {
    for (size_t i = 0; i < m; i++) {
        double z[2];
        normal_pair(w->w[0][i], w->w[1][i], w->w[2][i], w->w[3][i], z);
        o[2 * i] = (float)z[0];
        o[2 * i + 1] = (float)z[1];
    }
}

static void words(const block_buf *w, size_t m, int64_t *o) {
    for (size_t i = 0; i < m; i++) {
        o[2 * i] = (int64_t)((uint64_t)w->w[0][i] << 32 | w->w[1][i]);
        o[2 * i + 1] = (int64_t)((uint64_t)w->w[2][i] << 32 | w->w[3][i]);
    }
}

/* Fills n elements of type T with MAKE, which turns m blocks into 2m elements. */
#define FILL(name, T, MAKE)                                                             \
    void name(uint64_t key, int64_t first, size_t n, T *out) {                          \
        block_buf w;                                                                    \
        T part[2 * BLOCKS];                                                             \
        uint64_t at = (uint64_t)first;                                                  \
        while (n > 0) {                                                                 \
            size_t skip = at & 1, want = n + skip < 2 * BLOCKS ? n + skip : 2 * BLOCKS; \
            size_t m = (want + 1) / 2, take = want - skip;                              \
            make_blocks(key, at >> 1, m, &w);                                           \
            MAKE(&w, m, part);                                                          \
            memcpy(out, part + skip, take * sizeof *out);                               \
            out += take;                                                                \
            at += take;                                                                 \
            n -= take;                                                                  \
        }                                                                               \
    }

FILL(lg_rng_uniform_f64, double, uniforms)
FILL(lg_rng_uniform_f32, float, uniforms_f32)
FILL(lg_rng_normal_f64, double, normals)
FILL(lg_rng_normal_f32, float, normals_f32)
FILL(lg_rng_bits, int64_t, words)

/* Marsaglia and Tsang, A simple method for generating gamma variables (2000). Attempt number r at
 * a position is the counter (position, r, ...), so a rejection disturbs no other element. */
double lg_rng_gamma(uint64_t key, int64_t at, double alpha) {
    if (!(alpha > 0) || isinf(alpha))
        return NAN;
    const uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    uint32_t w[4], e[4];
    double d = (alpha < 1 ? alpha + 1 : alpha) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint32_t r = 1;; r++) {
        lg_philox((uint32_t[4]){(uint32_t)at, (uint32_t)((uint64_t)at >> 32), r, 0}, k, w);
        lg_philox((uint32_t[4]){(uint32_t)at, (uint32_t)((uint64_t)at >> 32), r, 1}, k, e);
        double z[2];
        normal_pair(w[0], w[1], w[2], w[3], z);
        double t = 1 + c * z[0], v = t * t * t, u = unit(e[0], e[1]) + 0x1p-53;
        if (t <= 0 || log_of(u) >= 0.5 * z[0] * z[0] + d - d * v + d * log_of(v))
            continue;
        double boost = unit(e[2], e[3]) + 0x1p-53;
        return alpha < 1 ? d * v * exp_of(log_of(boost) / alpha) : d * v;
    }
}

void lg_rand_fill(const lg_op *op, lg_dtype t, uint64_t key, int64_t first, size_t n, void *out) {
    assert(op->cls == LG_C_RAND && op->elem[t]);
    const lg_rng_at at = {key, first};
    op->elem[t](n, (const void *const[]){&at}, out);
}
