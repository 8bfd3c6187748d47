/* gemm.c: matrix products: which tile, which part of the work, and types without a tile. Not for
 * what a plan knows (shapes, buffers, threads). */
#include "ops/gemm.h"
#include "ops/ahead.h"
#include "ops/isa.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    LG_KC = 256,
    LG_NC = 512,
    LG_NEAR = 1 << 18, /* bytes of operands that stay in a cache beside those that are packed */
    MAX_MR = 8,
    PAD = 32,
    STRIPS = 4,     /* of a transposed operand that are packed at once */
    FEW_PANELS = 8, /* for which it is not packed */
    PAGE = 4096
};

/* An operand of a product of codes. */
typedef struct {
    const lg_coded *c; /* NULL: f32 as it is, at `code` */
    const void *code;
    const float *scale, *zero; /* of row 0, group 0; or NULL */
    float sign;                /* what zero is added with */
    const float *table;        /* of codes of few bits */
    float book[16];            /* the same, when it is held */
} coded_side;
typedef void (*coded_fn)(const lg_product *p, const coded_side s[2], void *y, float *room,
                         const int64_t m[2], const int64_t n[2]);

typedef void (*tile_fn)(const lg_product *p, const void *a, const void *b, void *y, void *scratch,
                        const int64_t m[2], const int64_t n[2]);

#if defined(__x86_64__)
#define CODED
#define BYTES_16(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define SIGNED8(p) _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(BYTES_16(p)))
#define UNSIGNED8(p) _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(BYTES_16(p)))
#define UPPER16(p)                         \
    _mm512_castsi512_ps(_mm512_slli_epi32( \
        _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(p))), 16))
#define WORDS(p) _mm512_cvtepu8_epi32(BYTES_16(p))
#define TILE(name) name##_f32_512
#define REAL float
#define VEC __m512
#define LANES 16
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define SPLAT(s) _mm512_set1_ps(s)
#define LOAD_SOME(p, n) _mm512_maskz_loadu_ps((__mmask16)((1U << (n)) - 1), p)
#define STORE_SOME(p, n, v) _mm512_mask_storeu_ps(p, (__mmask16)((1U << (n)) - 1), v)
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
#define LOAD_SOME(p, n) _mm512_maskz_loadu_pd((__mmask8)((1U << (n)) - 1), p)
#define STORE_SOME(p, n, v) _mm512_mask_storeu_pd(p, (__mmask8)((1U << (n)) - 1), v)
#define MR 8
#define NV 2
#define TARGET __attribute__((target("avx512f,avx512vl,fma")))
#include "ops/gemm_tile.h"
#define CODED
#define BYTES_8(p) _mm_loadl_epi64((const __m128i *)(const void *)(p))
#define SIGNED8(p) _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(BYTES_8(p)))
#define UNSIGNED8(p) _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(BYTES_8(p)))
#define UPPER16(p) _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(BYTES_16(p)), 16))
#define WORDS(p) _mm256_cvtepu8_epi32(BYTES_8(p))
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
#define CODED
#define OF_4(T, f, p)                                                                  \
    ((vec_f32){f(((const T *)(p))[0]), f(((const T *)(p))[1]), f(((const T *)(p))[2]), \
               f(((const T *)(p))[3])})
#define SIGNED8(p) OF_4(int8_t, (float), p)
#define UNSIGNED8(p) OF_4(uint8_t, (float), p)
#define UPPER16(p) OF_4(uint16_t, lg_bf16_to_f32, p)
#define WORDS(p)                                                           \
    ((words_f32_any){((const uint8_t *)(p))[0], ((const uint8_t *)(p))[1], \
                     ((const uint8_t *)(p))[2], ((const uint8_t *)(p))[3]})
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
    if (lg_isa_of() == LG_ISA_AVX512)
        return t == LG_F64 ? product_f64_512 : product_f32_512;
    if (lg_isa_of() == LG_ISA_AVX2)
        return t == LG_F64 ? product_f64_256 : product_f32_256;
#endif
    return t == LG_F64 ? product_f64_any : product_f32_any;
}

static coded_fn coded_tile(void) {
#if defined(__x86_64__)
    if (lg_isa_of() == LG_ISA_AVX512)
        return coded_f32_512;
    if (lg_isa_of() == LG_ISA_AVX2)
        return coded_f32_256;
#endif
    return coded_f32_any;
}

lg_gemm_order lg_gemm_order_on(lg_isa isa, lg_dtype t) {
    lg_gemm_order o = {.lanes = 16, .k_most = LG_KC};
    bool wide = isa == LG_ISA_AVX512;
    o.fused = isa != LG_ISA_BASELINE;
    o.lanes = wide ? 64 : o.fused ? 32 : 16;
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

/* Small floats are widened, multiplied as f32 and rounded once. */
static void small_floats(const lg_product *p, const void *a, const void *b, void *y, float *room,
                         const int64_t m[2], const int64_t n[2]) {
    const lg_coded c = {.code = p->type};
    coded_side s[2] = {{.c = &c, .code = a, .table = c.table},
                       {.c = &c, .code = b, .table = c.table}};
    coded_tile()(p, s, y, room, m, n);
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

typedef struct {
    int64_t batch[2], m[2], n[2];
} cut;

/* Are rows shared out among the parts, rather than columns? What each part reads, and what it
 * packs, which takes longer, is the least then. */
static bool by_rows(const lg_product *p, int parts) {
    enum { READ = 1, COPIED = 2, TURNED = 3 };
    bool enough_rows = p->m >= 2 * MAX_MR * parts, enough_columns = p->n >= PAD * parts;
    if (enough_rows != enough_columns)
        return enough_rows;
    if (!enough_rows)
        return p->m >= MAX_MR * parts;
    int64_t a = p->a_k == 1 ? READ : COPIED, b = p->b_n == 1 ? COPIED : TURNED;
    int64_t rows = p->m * a / parts + p->n * b, columns = p->m * a + p->n * b / parts;
    return rows < columns;
}

/* What part `part` of `parts` computes. */
static cut cut_of(const lg_product *p, int part, int parts) {
    cut c = {{0, p->batch}, {0, p->m}, {0, p->n}};
    if (p->batch >= parts)
        share(p->batch, 1, part, parts, c.batch);
    else if (by_rows(p, parts))
        share(p->m, 2 * MAX_MR, part, parts, c.m);
    else
        share(p->n, PAD, part, parts, c.n);
    return c;
}

/* Where product i of a batch begins in both operands. */
static void begin_of(const lg_product *p, int64_t i, int64_t at[2]) {
    int64_t heads = p->heads ? p->heads : 1;
    at[0] = i / heads * p->a_batch + i % heads * p->a_head;
    at[1] = i / heads * p->b_batch + i % heads * p->b_head;
}

/* Rows [beg, end) of a product, before it is turned; of a batch, products. */
static cut rows_of(const lg_product *p, bool turns, int64_t beg, int64_t end) {
    cut c = {{0, p->batch}, {0, p->m}, {0, p->n}};
    int64_t *of = p->batch != 1 ? c.batch : turns ? c.n : c.m;
    of[0] = beg;
    of[1] = end;
    return c;
}

static void plain(const lg_product *p, const cut *c, const void *a, const void *b, void *y,
                  void *scratch) {
    int64_t size = (int64_t)lg_dtype_size(p->type), at[2];
    for (int64_t i = c->batch[0]; i < c->batch[1]; i++) {
        begin_of(p, i, at);
        run(p, (const char *)a + at[0] * size, (const char *)b + at[1] * size,
            (char *)y + i * p->m * p->n * size, scratch, c->m, c->n);
    }
}

void lg_gemm(const lg_product *given, const void *a, const void *b, void *y, void *scratch,
             int part, int parts) {
    lg_product p = turned(given);
    bool turns = p.n != given->n;
    cut c = cut_of(&p, part, parts);
    plain(&p, &c, turns ? b : a, turns ? a : b, y, scratch);
}

/* ---- codes ---- */

static coded_side side_of(const lg_coded *c, const void *at, const void *const *in) {
    coded_side s = {.code = at};
    if (c->code == LG_NO_DTYPE)
        return s;
    s.c = c;
    s.sign = c->minus ? -1.0F : 1.0F;
    s.scale = c->scale ? (const float *)in[c->scale] + c->scale_off : NULL;
    s.zero = c->zero ? (const float *)in[c->zero] + c->zero_off : NULL;
    for (int k = 0; k < 16 && c->book; k++)
        s.book[k] = ((const float *)in[c->book])[c->book_off + (k ^ 8)];
    return s;
}

static const float *table_of(const coded_side *s) {
    return s->c && s->c->book ? s->book : s->c ? s->c->table : NULL;
}

static void from_codes(lg_product p, const cut *c, int first, const lg_coded coded[2],
                       const void *const *in, void *y, void *scratch) {
    coded_side s[2] = {side_of(&coded[first], in[first], in),
                       side_of(&coded[!first], in[!first], in)};
    s[0].table = table_of(&s[0]);
    s[1].table = table_of(&s[1]);
    int64_t at[2], off[2] = {p.a_off, p.b_off};
    if (c->m[0] >= c->m[1] || c->n[0] >= c->n[1])
        return;
    for (int64_t i = c->batch[0]; i < c->batch[1]; i++) {
        begin_of(&p, i, at);
        p.a_off = off[0] + at[0];
        p.b_off = off[1] + at[1];
        void *to = (char *)y + (size_t)(i * p.m * p.n) * lg_dtype_size(p.type);
        if (p.k == 0)
            memset(to, 0, (size_t)(p.m * p.n) * lg_dtype_size(p.type));
        else
            coded_tile()(&p, s, to, scratch, c->m, c->n);
    }
}

void lg_gemm_coded(const lg_product *given, const lg_coded coded[2], const void *const *in, void *y,
                   void *scratch, int part, int parts) {
    lg_product p = turned(given);
    cut c = cut_of(&p, part, parts);
    from_codes(p, &c, p.n != given->n, coded, in, y, scratch);
}

void lg_gemm_rows(const lg_product *given, const lg_coded *coded, const void *const *in, void *y,
                  void *scratch, int64_t beg, int64_t end) {
    lg_product p = turned(given);
    bool turns = p.n != given->n;
    cut c = rows_of(&p, turns, beg, end);
    if (coded)
        from_codes(p, &c, turns, coded, in, y, scratch);
    else
        plain(&p, &c, in[turns], in[!turns], y, scratch);
}

size_t lg_gemm_coded_scratch(const lg_product *p) {
    int64_t rows = p->m < p->n ? p->n : p->m; /* of the product, or of it turned round */
    int64_t cols = rows < LG_NC ? (rows + PAD - 1) / PAD * PAD : LG_NC;
    int64_t k = p->k < LG_KC ? p->k : LG_KC;
    int64_t words = (MAX_MR + PAD) * LG_KC + cols * k + 2 * p->k + 4 * LG_NC;
    if (p->type != LG_F32)
        words += rows * cols;
    return (size_t)words * sizeof(float);
}

size_t lg_gemm_scratch(const lg_product *p) {
    int64_t n = p->n > p->m ? p->n : p->m;
    int64_t cols = n < LG_NC ? (n + PAD - 1) / PAD * PAD : LG_NC, k = p->k < LG_KC ? p->k : LG_KC;
    if (has_tile(p->type))
        return (size_t)(STRIPS * MAX_MR * LG_KC + cols * k) * lg_dtype_size(p->type);
    return lg_dtype_is_float(p->type) ? lg_gemm_coded_scratch(p) : 0;
}

/* ---- right operands packed before ---- */

typedef void (*to_panels_fn)(const lg_product *p, const void *b, void *to, const int64_t n[2]);
typedef void (*by_panels_fn)(const lg_product *p, const void *a, const void *panels, void *y,
                             void *scratch, const int64_t m[2]);

typedef struct {
    to_panels_fn pack;
    by_panels_fn rows;
} panel_fns;

static panel_fns panels_of(lg_dtype t) {
    bool wide = t == LG_F64;
#if defined(__x86_64__)
    if (lg_isa_of() == LG_ISA_AVX512)
        return wide ? (panel_fns){to_panels_f64_512, by_panels_f64_512}
                    : (panel_fns){to_panels_f32_512, by_panels_f32_512};
    if (lg_isa_of() == LG_ISA_AVX2)
        return wide ? (panel_fns){to_panels_f64_256, by_panels_f64_256}
                    : (panel_fns){to_panels_f32_256, by_panels_f32_256};
#endif
    return wide ? (panel_fns){to_panels_f64_any, by_panels_f64_any}
                : (panel_fns){to_panels_f32_any, by_panels_f32_any};
}

size_t lg_gemm_panels(const lg_product *p) {
    bool fits = has_tile(p->type) && p->batch == 1 && p->m > 1 && p->n > 1 && p->k > 0;
    size_t wide = (size_t)(p->n + PAD - 1) / PAD * PAD;
    return fits ? wide * (size_t)p->k * lg_dtype_size(p->type) : 0;
}

void lg_gemm_pack(const lg_product *p, const void *b, void *panels, int part, int parts) {
    int64_t n[2];
    share(p->n, PAD, part, parts, n);
    panels_of(p->type).pack(p, b, panels, n);
}

void lg_gemm_by_panels(const lg_product *p, const void *a, const void *panels, void *y,
                       void *scratch, int64_t beg, int64_t end) {
    panels_of(p->type).rows(p, a, panels, y, scratch, (int64_t[]){beg, end});
}
