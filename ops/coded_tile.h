/* coded_tile.h: products whose operands are read from codes: small integers or small floats, each
 * worth (code + zero)*scale. Included by gemm_tile.h for f32, under its macros, with SIGNED8(p),
 * UNSIGNED8(p) and UPPER16(p): LANES of i8, u8 and bf16 at p, which need not be aligned, as f32,
 * and WORDS(p): LANES bytes at p as words. Codes become values on their way into the tile, so a
 * product has the bits it has after decoding, in less memory. */

typedef uint32_t TILE(words) __attribute__((vector_size(sizeof(VEC))));
enum { TILE(AT_ONCE) = 4 * LANES, TILE(TABLE) = 16 / LANES };

/* LANES numbers of a table by the low bits of words: by 4, or by 2, for which the table repeats. */
static inline __attribute__((always_inline)) TARGET VEC TILE(look_up)(TILE(words) at,
                                                                      const VEC *table,
                                                                      const int bits) {
#if LANES == 16
    (void)bits;
    return _mm512_permutexvar_ps((__m512i)at, table[0]);
#elif LANES == 8
    VEC low = _mm256_permutevar8x32_ps(table[0], (__m256i)at);
    if (bits < 4)
        return low;
    VEC high = _mm256_permutevar8x32_ps(table[1], (__m256i)at);
    return _mm256_blendv_ps(low, high, (__m256)(at << 28));
#else
    const float *t = (const float *)(const void *)table;
    (void)bits;
    return (VEC){t[at[0] & 15], t[at[1] & 15], t[at[2] & 15], t[at[3] & 15]};
#endif
}

/* The vectors a, b, c, d of the codes first, second ... in their bytes, of two codes a byte: (a, b)
 * and (c, d); of four: all. Each lane then goes where its code stands in memory. */
static inline __attribute__((always_inline)) TARGET void TILE(in_order)(VEC v[4], const int per) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
#define LG_MIX(a, b, low, high)                               \
    do {                                                      \
        VEC x = (a), y = (b);                                 \
        low = LG_PICK(x, y, places, LG_OF(LG_LOW_, LANES));   \
        high = LG_PICK(x, y, places, LG_OF(LG_HIGH_, LANES)); \
    } while (0)
    if (per == 4) {
        LG_MIX(v[0], v[2], v[0], v[2]);
        LG_MIX(v[1], v[3], v[1], v[3]);
    }
    LG_MIX(v[0], v[1], v[0], v[1]);
    LG_MIX(v[2], v[3], v[2], v[3]);
#undef LG_MIX
}

/* Small codes e .. e+n as the numbers of their table. */
static inline __attribute__((always_inline)) TARGET void
TILE(unpacked)(const coded_side *s, int64_t e, int64_t n, float *restrict out, const int bits) {
    const int per = 8 / bits, mask = (1 << bits) - 1;
    const uint8_t *p = (const uint8_t *)s->code + e / per;
    int64_t i = 0, at = e % per;
    VEC table[TILE(TABLE)];
    for (; at != 0 && i < n; i++, at = (at + 1) % per)
        out[i] = s->table[*p >> (at * bits) & mask];
    p += e % per && !at;
    if (n - i >= TILE(AT_ONCE))
        memcpy(table, s->table, sizeof table);
    for (; n - i >= TILE(AT_ONCE); i += TILE(AT_ONCE), p += TILE(AT_ONCE) / per) {
        VEC v[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++)
            v[q] = TILE(look_up)((TILE(words))WORDS(p + q / per * LANES) >> (q % per * bits), table,
                                 bits);
        TILE(in_order)(v, per);
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++)
            *(TILE(vec_u) *)(out + i + q * LANES) = (TILE(vec_u))v[q];
    }
    for (int64_t q = 0; i + q < n; q++)
        out[i + q] = s->table[p[q / per] >> (q % per * bits) & mask];
}

/* Codes e .. e+n of a side as numbers. */
static TARGET void TILE(widen)(const coded_side *s, int64_t e, int64_t n, float *restrict out) {
    e += s->c->code_off;
    if (s->c->bits == 4) {
        TILE(unpacked)(s, e, n, out, 4);
        return;
    }
    if (s->c->bits == 2) {
        TILE(unpacked)(s, e, n, out, 2);
        return;
    }
    if (s->c->code == LG_I8) {
        const int8_t *restrict p = (const int8_t *)s->code + e;
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)p[i];
    } else if (s->c->code == LG_U8) {
        const uint8_t *restrict p = (const uint8_t *)s->code + e;
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)p[i];
    } else if (s->c->code == LG_BF16) {
        const uint16_t *restrict p = (const uint16_t *)s->code + e;
        int64_t whole = n / LANES * LANES;
        for (int64_t i = 0; i < whole; i += LANES)
            *(TILE(vec_u) *)(out + i) = (TILE(vec_u))UPPER16(p + i);
        for (int64_t i = whole; i < n; i++)
            out[i] = lg_bf16_to_f32(p[i]);
    } else {
        lg_convert(LG_F32, out, s->c->code,
                   (const char *)s->code + (size_t)e * lg_dtype_size(s->c->code), (size_t)n);
    }
}

/* out[0..n) = (out + z)*f; the sum only if `plus`. */
static inline __attribute__((always_inline)) TARGET void TILE(scaled)(float *out, int64_t n,
                                                                      bool plus, float z, float f) {
    VEC vz = SPLAT(z), vf = SPLAT(f);
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        VEC x = (VEC) * (const TILE(vec_u) *)(out + i);
        x = plus ? (x + vz) * vf : x * vf;
        *(TILE(vec_u) *)(out + i) = (TILE(vec_u))x;
    }
    for (; i < n; i++)
        out[i] = plus ? (out[i] + z) * f : out[i] * f;
}

/* Codes `at` .. at+n of a row to values, when each column has a scale of its own. */
static TARGET void TILE(by_column)(const coded_side *s, const float *scale, const float *zero,
                                   int64_t at, int64_t n, float *restrict out) {
    const lg_coded *c = s->c;
    for (int64_t q = 0; zero && q < n; q++)
        out[q] += zero[(at + q) * c->zero_group] * s->sign;
    for (int64_t q = 0; scale && q < n; q++)
        out[q] *= scale[(at + q) * c->scale_group];
}

/* The same when runs of columns share one. */
static TARGET void TILE(by_group)(const coded_side *s, const float *scale, const float *zero,
                                  int64_t at, int64_t n, float *restrict out) {
    const lg_coded *c = s->c;
    int64_t g = at / c->group, left = (g + 1) * c->group - at;
    for (int64_t q = 0; q < n; q += left, left = c->group, g++) {
        float f = scale ? scale[g * c->scale_group] : 1;
        float z = zero ? zero[g * c->zero_group] * s->sign : 0;
        TILE(scaled)(out + q, left < n - q ? left : n - q, zero != NULL, z, f);
    }
}

/* Values of elements e .. e+n, which lie side by side. */
static TARGET void TILE(values)(const coded_side *s, int64_t e, int64_t n, float *restrict out) {
    const lg_coded *c = s->c;
    TILE(widen)(s, e, n, out);
    if (!s->scale && !s->zero)
        return;
    int64_t row = e / c->width, at = e % c->width;
    for (int64_t i = 0, m; i < n; i += m, row++, at = 0) {
        m = c->width - at < n - i ? c->width - at : n - i;
        const float *scale = s->scale ? s->scale + row * c->scale_row : NULL;
        const float *zero = s->zero ? s->zero + row * c->zero_row : NULL;
        if (c->group == 1)
            TILE(by_column)(s, scale, zero, at, m, out + i);
        else
            TILE(by_group)(s, scale, zero, at, m, out + i);
    }
}

/* Columns j .. j+w of a block of K, k-major in `to`; tmp: room for them column by column. */
static TARGET void TILE(panel_of)(const lg_product *p, const coded_side *s, int64_t e, int64_t k,
                                  int64_t w, float *tmp, float *to) {
    if (p->b_n == 1) {
        if (w < TILE(NR))
            memset(to, 0, (size_t)(k * TILE(NR)) * sizeof *to);
        for (int64_t i = 0; i < k; i++)
            TILE(values)(s, e + i * p->b_k, w, to + i * TILE(NR));
        return;
    }
    for (int64_t j = 0; j < w; j++)
        if (p->b_k == 1)
            TILE(values)(s, e + j * p->b_n, k, tmp + j * k);
        else
            for (int64_t i = 0; i < k; i++)
                TILE(values)(s, e + j * p->b_n + i * p->b_k, 1, tmp + j * k + i);
    TILE(pack_b)(tmp, 1, k, k, w, to);
}

/* mr rows of k values of A side by side in `to`, whose elements stand step[] apart. */
static TARGET void TILE(strip_of)(const lg_product *p, const coded_side *s, int64_t e, int64_t k,
                                  int mr, float *to, int64_t step[2]) {
    if (!s->c && p->a_k == 1)
        return; /* read where it lies */
    if (!s->c) {
        for (int64_t q = 0; q < k; q++)
            for (int r = 0; r < mr; r++)
                to[q * MR + r] = ((const float *)s->code)[e + r * p->a_m + q * p->a_k];
        step[0] = 1;
        step[1] = MR;
        return;
    }
    step[0] = p->a_m == 1 ? 1 : LG_KC;
    step[1] = p->a_m == 1 ? MR : 1;
    for (int64_t i = 0; i < k && p->a_m == 1; i++)
        TILE(values)(s, e + i * p->a_k, mr, to + i * MR);
    for (int r = 0; r < mr && p->a_m != 1; r++)
        if (p->a_k == 1)
            TILE(values)(s, e + r * p->a_m, k, to + r * LG_KC);
        else
            for (int64_t i = 0; i < k; i++)
                TILE(values)(s, e + r * p->a_m + i * p->a_k, 1, to + r * LG_KC + i);
}

/* A block of K, columns [n0, n1), all rows of m. y: where column n0 of row m0 belongs; rows are y_m
 * apart. */
static TARGET void TILE(coded_step)(const lg_product *p, const coded_side s[2], float *y,
                                    int64_t y_m, float *pa, float *tmp, float *pb,
                                    const int64_t m[2], const int64_t n[2], int64_t k0, int64_t k) {
    bool once = m[1] - m[0] <= MR; /* a single strip: panels need not be kept */
    int64_t eb = p->b_off + k0 * p->b_k + n[0] * p->b_n, last = -1;
    for (int64_t i = m[0]; i < m[1]; i += MR) {
        int mr = m[1] - i < MR ? (int)(m[1] - i) : MR;
        int64_t ea = p->a_off + i * p->a_m + k0 * p->a_k, step[2] = {p->a_m, p->a_k};
        const float *strip = pa;
        TILE(strip_of)(p, &s[0], ea, k, mr, pa, step);
        if (!s[0].c && p->a_k == 1)
            strip = (const float *)s[0].code + ea;
        for (int64_t j = 0; j < n[1] - n[0]; j += TILE(NR)) {
            int64_t w = n[1] - n[0] - j < TILE(NR) ? n[1] - n[0] - j : TILE(NR);
            float *panel = once ? pb : pb + j * k;
            if (j > last) {
                if (s[1].c)
                    TILE(panel_of)(p, &s[1], eb + j * p->b_n, k, w, tmp, panel);
                else
                    TILE(pack_b)
                ((const float *)s[1].code + eb + j * p->b_n, p->b_k, p->b_n, k, w, panel);
                last = j;
            }
            TILE(panel)
            (strip, step[0], step[1], panel, TILE(NR), k, y + (i - m[0]) * y_m + j, y_m, k0 > 0, mr,
             w);
        }
    }
}

#include "ops/coded_row_tile.h"

/* One row times columns whose codes lie side by side: the sums of TILE(wide_row). */
static TARGET void TILE(coded_wide)(const lg_product *p, const coded_side s[2], float *y,
                                    float *room, const int64_t n[2]) {
    float acc[LG_NC], *row = room, *a = room + 4 * LG_NC;
    int64_t w = n[1] - n[0], whole = (w + LANES - 1) / LANES * LANES;
    memset(row, 0, 4 * LG_NC * sizeof *row);
    for (int64_t k = 0; k < p->k; k++)
        if (s[0].c)
            TILE(values)(&s[0], p->a_off + k * p->a_k, 1, a + k);
        else
            a[k] = ((const float *)s[0].code)[p->a_off + k * p->a_k];
    for (int64_t k0 = 0; k0 < p->k; k0 += LG_KC) {
        int64_t end = k0 + LG_KC < p->k ? k0 + LG_KC : p->k;
        memset(acc, 0, sizeof acc);
        for (int64_t k = k0; k < end; k += 4) {
            int64_t few = end - k < 4 ? end - k : 4;
            for (int64_t q = 0; q < few; q++)
                TILE(values)(&s[1], p->b_off + (k + q) * p->b_k + n[0], w, row + q * LG_NC);
            TILE(sweep)(a + k, 1, row, LG_NC, few, acc, whole);
        }
        TILE(settle)(acc, w, k0 > 0, y);
    }
}

/* Rows m and columns n of the product, LG_NC columns at a time; narrow results are rounded once. */
static TARGET void TILE(coded)(const lg_product *p, const coded_side s[2], void *y, float *room,
                               const int64_t m[2], const int64_t n[2]) {
    float *pa = room, *tmp = pa + MAX_MR * LG_KC, *fy = tmp + PAD * LG_KC;
    bool row = p->m == 1 && p->b_k == 1 && p->a_k == 1;
    bool wide = p->m == 1 && p->b_n == 1 && s[1].c;
    for (int64_t j = n[0]; j < n[1]; j += LG_NC) {
        int64_t cols[2] = {j, j + LG_NC < n[1] ? j + LG_NC : n[1]}, w = cols[1] - cols[0];
        bool direct = p->type == LG_F32;
        float *to = direct ? (float *)y + m[0] * p->n + j : fy;
        int64_t to_m = direct ? p->n : w;
        float *pb = direct ? fy : fy + (m[1] - m[0]) * w;
        if (row)
            TILE(coded_row)(p, s, to, pb, cols);
        else if (wide)
            TILE(coded_wide)(p, s, to, pb, cols);
        for (int64_t k = 0; k < p->k && !row && !wide; k += LG_KC)
            TILE(coded_step)
        (p, s, to, to_m, pa, tmp, pb, m, cols, k, p->k - k < LG_KC ? p->k - k : LG_KC);
        for (int64_t i = m[0]; i < m[1] && !direct; i++)
            lg_convert(p->type, (char *)y + (size_t)(i * p->n + j) * lg_dtype_size(p->type), LG_F32,
                       to + (i - m[0]) * w, (size_t)w);
    }
}

#undef SIGNED8
#undef UNSIGNED8
#undef UPPER16
#undef WORDS
