/* gemm.c: matrix products: which tile, which part of the work, and types without a tile. Not for
 * what a plan knows (shapes, buffers, threads). */
#include "ops/gemm.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { LG_KC = 256, LG_NC = 512, MAX_MR = 8, PAD = 32 };

typedef void (*tile_fn)(const lg_product *p, const void *a, const void *b, void *y, void *scratch,
                        const int64_t m[2], const int64_t n[2]);

#if defined(__x86_64__)
#define TILE(name) name##_f32_512
#define REAL float
#define VEC __m512
#define LANES 16
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define SPLAT(s) _mm512_set1_ps(s)
#define MR 8
#define NV 2
#define TARGET __attribute__((target("avx512f,avx512vl,fma")))
#include "ops/gemm_tile.h"
#define TILE(name) name##_f64_512
#define REAL double
#define VEC __m512d
#define LANES 8
#define FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define SPLAT(s) _mm512_set1_pd(s)
#define MR 8
#define NV 2
#define TARGET __attribute__((target("avx512f,avx512vl,fma")))
#include "ops/gemm_tile.h"
#define TILE(name) name##_f32_256
#define REAL float
#define VEC __m256
#define LANES 8
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define SPLAT(s) _mm256_set1_ps(s)
#define MR 6
#define NV 2
#define TARGET __attribute__((target("avx2,fma")))
#include "ops/gemm_tile.h"
#define TILE(name) name##_f64_256
#define REAL double
#define VEC __m256d
#define LANES 4
#define FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define SPLAT(s) _mm256_set1_pd(s)
#define MR 6
#define NV 2
#define TARGET __attribute__((target("avx2,fma")))
#include "ops/gemm_tile.h"
#endif

typedef float vec_f32 __attribute__((vector_size(16)));
typedef double vec_f64 __attribute__((vector_size(16)));
#define TILE(name) name##_f32_any
#define REAL float
#define VEC vec_f32
#define LANES 4
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((vec_f32){s, s, s, s})
#define MR 4
#define NV 2
#define TARGET
#include "ops/gemm_tile.h"
#define TILE(name) name##_f64_any
#define REAL double
#define VEC vec_f64
#define LANES 2
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((vec_f64){s, s})
#define MR 4
#define NV 2
#define TARGET
#include "ops/gemm_tile.h"

/* The tiles of this machine. */
static tile_fn tile_of(lg_dtype t) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
        return t == LG_F64 ? product_f64_512 : product_f32_512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return t == LG_F64 ? product_f64_256 : product_f32_256;
#endif
    return t == LG_F64 ? product_f64_any : product_f32_any;
}

lg_gemm_order lg_gemm_order_of(lg_dtype t) {
    lg_gemm_order o = {.lanes = 16, .k_most = LG_KC};
#if defined(__x86_64__)
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
    o.fused = wide || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    o.lanes = wide ? 64 : o.fused ? 32 : 16;
#endif
    o.lanes /= (int)lg_dtype_size(t);
    return o;
}

/* ---- types without a tile ---- */

static bool has_tile(lg_dtype t) {
    return t == LG_F32 || t == LG_F64;
}

/* Integers wrap. */
static void whole_numbers(const lg_product *p, const void *a, const void *b, void *y,
                          const int64_t m[2], const int64_t n[2]) {
    for (int64_t i = m[0]; i < m[1]; i++)
        for (int64_t j = n[0]; j < n[1]; j++) {
            uint64_t sum = 0;
            for (int64_t l = 0; l < p->k; l++)
                sum +=
                    (uint64_t)lg_get_i64(p->type, a, (size_t)(p->a_off + i * p->a_m + l * p->a_k)) *
                    (uint64_t)lg_get_i64(p->type, b, (size_t)(p->b_off + l * p->b_k + j * p->b_n));
            lg_set_i64(p->type, y, (size_t)(i * p->n + j), (int64_t)sum);
        }
}

static float read_f32(lg_dtype t, const void *p, int64_t at) {
    return t == LG_BF16 ? lg_bf16_to_f32(((const uint16_t *)p)[at])
                        : (float)lg_get_f64(t, p, (size_t)at);
}

/* Small floats are widened, multiplied as f32 and rounded once. */
static void small_floats(const lg_product *p, const void *a, const void *b, void *y, float *room,
                         const int64_t m[2], const int64_t n[2]) {
    int64_t mm = m[1] - m[0], nn = n[1] - n[0];
    float *fa = room, *fb = fa + mm * p->k, *fy = fb + p->k * nn, *rest = fy + mm * nn;
    for (int64_t i = 0; i < mm; i++)
        for (int64_t l = 0; l < p->k; l++)
            fa[i * p->k + l] = read_f32(p->type, a, p->a_off + (m[0] + i) * p->a_m + l * p->a_k);
    for (int64_t l = 0; l < p->k; l++)
        for (int64_t j = 0; j < nn; j++)
            fb[l * nn + j] = read_f32(p->type, b, p->b_off + l * p->b_k + (n[0] + j) * p->b_n);
    lg_product q = {.type = LG_F32,
                    .batch = 1,
                    .m = mm,
                    .n = nn,
                    .k = p->k,
                    .a_m = p->k,
                    .a_k = 1,
                    .b_k = nn,
                    .b_n = 1};
    tile_of(LG_F32)(&q, fa, fb, fy, rest, (int64_t[]){0, mm}, (int64_t[]){0, nn});
    for (int64_t i = 0; i < mm; i++)
        lg_convert(p->type, (char *)y + (size_t)((m[0] + i) * p->n + n[0]) * lg_dtype_size(p->type),
                   LG_F32, fy + i * nn, (size_t)nn);
}

/* ---- parts ---- */

static void run(const lg_product *p, const void *a, const void *b, void *y, void *scratch,
                const int64_t m[2], const int64_t n[2]) {
    if (m[0] >= m[1] || n[0] >= n[1])
        return;
    size_t size = lg_dtype_size(p->type);
    if (p->k == 0) {
        for (int64_t i = m[0]; i < m[1]; i++)
            memset((char *)y + (size_t)(i * p->n + n[0]) * size, 0, (size_t)(n[1] - n[0]) * size);
    } else if (has_tile(p->type)) {
        tile_of(p->type)(p, a, b, y, scratch, m, n);
    } else if (lg_dtype_is_float(p->type)) {
        small_floats(p, a, b, y, scratch, m, n);
    } else {
        whole_numbers(p, a, b, y, m, n);
    }
}

/* A single column is a single row of the transposed product. */
static lg_product turned(const lg_product *p) {
    if (p->n != 1 || p->m == 1)
        return *p;
    lg_product t = *p;
    t.m = 1;
    t.n = p->m;
    t.a_batch = p->b_batch;
    t.a_head = p->b_head;
    t.b_head = p->a_head;
    t.a_off = p->b_off;
    t.a_m = 0;
    t.a_k = p->b_k;
    t.b_batch = p->a_batch;
    t.b_off = p->a_off;
    t.b_k = p->a_k;
    t.b_n = p->a_m;
    return t;
}

lg_product lg_gemm_turned(const lg_product *p, bool *swaps) {
    lg_product t = turned(p);
    *swaps = t.n != p->n;
    return t;
}

/* The part of [0, n) in units of `unit`. */
static void share(int64_t n, int64_t unit, int part, int parts, int64_t out[2]) {
    int64_t units = (n + unit - 1) / unit;
    out[0] = units * part / parts * unit;
    out[1] = units * (part + 1) / parts * unit;
    out[0] = out[0] < n ? out[0] : n;
    out[1] = out[1] < n ? out[1] : n;
}

void lg_gemm(const lg_product *given, const void *a, const void *b, void *y, void *scratch,
             int part, int parts) {
    lg_product p = turned(given);
    const void *va = p.n != given->n ? b : a, *vb = p.n != given->n ? a : b;
    size_t size = lg_dtype_size(p.type);
    int64_t s[2] = {0, p.batch}, m[2] = {0, p.m}, n[2] = {0, p.n};
    if (p.batch >= parts)
        share(p.batch, 1, part, parts, s);
    else if (p.n >= 2 * PAD * parts || p.m < MAX_MR * parts)
        share(p.n, PAD, part, parts, n);
    else
        share(p.m, 2 * MAX_MR, part, parts, m);
    int64_t heads = p.heads ? p.heads : 1;
    for (int64_t i = s[0]; i < s[1]; i++) {
        int64_t at_a = i / heads * p.a_batch + i % heads * p.a_head;
        int64_t at_b = i / heads * p.b_batch + i % heads * p.b_head;
        run(&p, (const char *)va + at_a * (int64_t)size, (const char *)vb + at_b * (int64_t)size,
            (char *)y + (size_t)(i * p.m * p.n) * size, scratch, m, n);
    }
}

size_t lg_gemm_scratch(const lg_product *p) {
    int64_t n = p->n > p->m ? p->n : p->m;
    int64_t cols = n < LG_NC ? (n + PAD - 1) / PAD * PAD : LG_NC, k = p->k < LG_KC ? p->k : LG_KC;
    size_t words = (size_t)(MAX_MR * LG_KC + cols * k);
    if (has_tile(p->type))
        return words * lg_dtype_size(p->type);
    if (!lg_dtype_is_float(p->type))
        return 0;
    return (words + (size_t)(p->m * p->k + p->k * p->n + p->m * p->n)) * sizeof(float);
}
