/* bytes.c: products of 8-bit integers, summed exactly in 32 bits, so that every vector unit gives
 * the same. Not for codes with scales inside the sum, which are floats there (gemm.c). Called by
 * the executor for dots of i32 whose operands are cast from bytes. */
#include "ops/gemm.h"
#include "ops/isa.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Rows of A that share the loads of a column of B, and columns that are gathered at once. */
enum { ROWS = 4, COLUMNS = 32 };

/* Bytes in the order of K; `sign`: i8, else u8. */
typedef struct {
    const uint8_t *at;
    bool sign;
} line;

/* out[r] = sum of a[r][k]*b[k] over n, for `rows` lines of one sign. */
typedef void (*lines_fn)(const line *a, int rows, line b, int64_t n, int32_t *out);

static int32_t one(line x, int64_t k) {
    return x.sign ? (int8_t)x.at[k] : x.at[k];
}

/* The products from k on. */
static int32_t rest_of(line a, line b, int64_t k, int64_t n) {
    int32_t sum = 0;
    for (; k < n; k++)
        sum += one(a, k) * one(b, k);
    return sum;
}

static inline __attribute__((always_inline)) int32_t
sum_of(const uint8_t *a, const uint8_t *b, int64_t n, const bool sa, const bool sb) {
    int32_t sum = 0;
    for (int64_t k = 0; k < n; k++)
        sum += (sa ? (int8_t)a[k] : (int32_t)a[k]) * (sb ? (int8_t)b[k] : (int32_t)b[k]);
    return sum;
}

static void lines_plain(const line *a, int rows, line b, int64_t n, int32_t *out) {
    for (int r = 0; r < rows; r++)
        out[r] = a->sign  ? b.sign ? sum_of(a[r].at, b.at, n, true, true)
                                   : sum_of(a[r].at, b.at, n, true, false)
                  : b.sign ? sum_of(a[r].at, b.at, n, false, true)
                          : sum_of(a[r].at, b.at, n, false, false);
}

#if defined(__x86_64__)
/* Both widened to 16 bits, multiplied and added in pairs: nothing saturates. */
static inline __attribute__((always_inline, target("avx2"))) __m256i wide(const uint8_t *p,
                                                                          const bool sign) {
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return sign ? _mm256_cvtepi8_epi16(x) : _mm256_cvtepu8_epi16(x);
}

static inline __attribute__((always_inline, target("avx2"))) int32_t
pairs(const uint8_t *a, const uint8_t *b, int64_t n, const bool sa, const bool sb) {
    __m256i s = _mm256_setzero_si256(), t = s;
    for (int64_t k = 0; k < n; k += 32) {
        s = _mm256_add_epi32(s, _mm256_madd_epi16(wide(a + k, sa), wide(b + k, sb)));
        t = _mm256_add_epi32(t, _mm256_madd_epi16(wide(a + k + 16, sa), wide(b + k + 16, sb)));
    }
    int32_t lane[8], sum = 0;
    _mm256_storeu_si256((__m256i *)(void *)lane, _mm256_add_epi32(s, t));
    for (int v = 0; v < 8; v++)
        sum += lane[v];
    return sum;
}

static __attribute__((target("avx2"))) void lines_avx2(const line *a, int rows, line b, int64_t n,
                                                       int32_t *out) {
    int64_t whole = n / 32 * 32;
    for (int r = 0; r < rows; r++) {
        out[r] = a->sign  ? b.sign ? pairs(a[r].at, b.at, whole, true, true)
                                   : pairs(a[r].at, b.at, whole, true, false)
                  : b.sign ? pairs(a[r].at, b.at, whole, false, true)
                          : pairs(a[r].at, b.at, whole, false, false);
        out[r] += rest_of(a[r], b, whole, n);
    }
}

/* vpdpbusd multiplies u8 by i8. Of operands of equal sign, a (both i8) or b (both u8) is moved by
 * 128, and 128 times the sum of the other is taken off or put on. */
static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512vnni"))) void
dots(const line *a, const int rows, line b, int64_t n, const bool sa, const bool sb, int32_t *out) {
    const __m512i flip = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi8(1);
    __m512i acc[ROWS], side[ROWS];
    for (int r = 0; r < rows; r++)
        acc[r] = side[r] = _mm512_setzero_si512();
    for (int64_t k = 0; k < n; k += 64) {
        __m512i y = _mm512_loadu_si512(b.at + k), moved = _mm512_xor_si512(y, flip);
        if (sa && sb)
            side[0] = _mm512_dpbusd_epi32(side[0], ones, y);
        for (int r = 0; r < rows; r++) {
            __m512i x = _mm512_loadu_si512(a[r].at + k);
            if (sa && sb)
                acc[r] = _mm512_dpbusd_epi32(acc[r], _mm512_xor_si512(x, flip), y);
            else if (sa)
                acc[r] = _mm512_dpbusd_epi32(acc[r], y, x);
            else if (sb)
                acc[r] = _mm512_dpbusd_epi32(acc[r], x, y);
            else {
                acc[r] = _mm512_dpbusd_epi32(acc[r], x, moved);
                side[r] = _mm512_dpbusd_epi32(side[r], x, ones);
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        int32_t off = sa && sb   ? -128 * _mm512_reduce_add_epi32(side[0])
                      : sa || sb ? 0
                                 : 128 * _mm512_reduce_add_epi32(side[r]);
        out[r] = _mm512_reduce_add_epi32(acc[r]) + off;
    }
}

static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512vnni"))) void
dots_of(const line *a, const int rows, line b, int64_t n, int32_t *out) {
    if (a->sign && b.sign)
        dots(a, rows, b, n, true, true, out);
    else if (a->sign)
        dots(a, rows, b, n, true, false, out);
    else if (b.sign)
        dots(a, rows, b, n, false, true, out);
    else
        dots(a, rows, b, n, false, false, out);
}

static __attribute__((target("avx512f,avx512bw,avx512vnni"))) void
lines_vnni(const line *a, int rows, line b, int64_t n, int32_t *out) {
    int64_t whole = n / 64 * 64;
    if (rows == ROWS)
        dots_of(a, ROWS, b, whole, out);
    else
        for (int r = 0; r < rows; r++)
            dots_of(a + r, 1, b, whole, out + r);
    for (int r = 0; r < rows; r++)
        out[r] += rest_of(a[r], b, whole, n);
}
#endif

static lines_fn lines_of(void) {
#if defined(__x86_64__)
    if (lg_isa_has_bytes())
        return lines_vnni;
    if (lg_isa_of() != LG_ISA_BASELINE)
        return lines_avx2;
#endif
    return lines_plain;
}

/* ---- the product ---- */

/* n bytes, `step` apart, side by side in `to`; where they lie so already, there. */
static const uint8_t *gathered(const uint8_t *from, int64_t step, int64_t n, uint8_t *to) {
    if (step == 1)
        return from;
    for (int64_t k = 0; k < n; k++)
        to[k] = from[k * step];
    return to;
}

/* Columns j .. j+w of B, each in the order of K. Rows of memory are read as they lie. */
static void columns(const lg_product *p, const uint8_t *b, int64_t j, int64_t w, uint8_t *room,
                    const uint8_t **out) {
    for (int64_t c = 0; c < w; c++)
        out[c] = p->b_k == 1 ? b + (j + c) * p->b_n : room + c * p->k;
    for (int64_t k = 0; k < p->k && p->b_k != 1; k++)
        for (int64_t c = 0; c < w; c++)
            room[c * p->k + k] = b[(j + c) * p->b_n + k * p->b_k];
}

static void strip(const lg_product *p, lines_fn lines, const line *a, int rows, int64_t i,
                  const uint8_t *const *b, bool sign, int64_t j, int64_t w, int32_t *y) {
    int32_t sum[ROWS];
    for (int64_t c = 0; c < w; c++) {
        lines(a, rows, (line){b[c], sign}, p->k, sum);
        for (int r = 0; r < rows; r++)
            y[(i + r) * p->n + j + c] = sum[r];
    }
}

/* Columns [n0, n1) of one product. */
static void part_of(const lg_product *p, line a, line b, int32_t *y, uint8_t *room, int64_t n0,
                    int64_t n1) {
    lines_fn lines = lines_of();
    const uint8_t *col[COLUMNS];
    for (int64_t j = n0; j < n1; j += COLUMNS) {
        int64_t w = n1 - j < COLUMNS ? n1 - j : COLUMNS;
        columns(p, b.at, j, w, room + ROWS * p->k, col);
        for (int64_t i = 0; i < p->m; i += ROWS) {
            line row[ROWS];
            int rows = p->m - i < ROWS ? (int)(p->m - i) : ROWS;
            for (int r = 0; r < rows; r++)
                row[r] = (line){gathered(a.at + (i + r) * p->a_m, p->a_k, p->k, room + r * p->k),
                                a.sign};
            strip(p, lines, row, rows, i, col, b.sign, j, w, y);
        }
    }
}

void lg_gemm_bytes(const lg_product *given, const lg_coded coded[2], const void *const *in, void *y,
                   void *scratch, int part, int parts) {
    bool swaps;
    lg_product p = lg_gemm_turned(given, &swaps);
    const lg_coded *ca = &coded[swaps], *cb = &coded[!swaps];
    const uint8_t *a = (const uint8_t *)in[swaps] + ca->code_off + p.a_off;
    const uint8_t *b = (const uint8_t *)in[!swaps] + cb->code_off + p.b_off;
    int64_t heads = p.heads ? p.heads : 1, cuts = (p.n + COLUMNS - 1) / COLUMNS;
    int64_t n0 = cuts * part / parts * COLUMNS, n1 = cuts * (part + 1) / parts * COLUMNS;
    for (int64_t i = 0; i < p.batch; i++)
        part_of(&p, (line){a + i / heads * p.a_batch + i % heads * p.a_head, ca->code == LG_I8},
                (line){b + i / heads * p.b_batch + i % heads * p.b_head, cb->code == LG_I8},
                (int32_t *)y + i * p.m * p.n, scratch, n0, n1 < p.n ? n1 : p.n);
}

size_t lg_gemm_bytes_scratch(const lg_product *p) {
    return (size_t)((ROWS + COLUMNS) * p->k);
}
