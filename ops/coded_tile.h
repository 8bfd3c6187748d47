/* coded_tile.h: products whose operands are read from codes: small integers or small floats, each
 * worth (code + zero)*scale. Included by gemm_tile.h for f32, under its macros, with SIGNED8(p),
 * UNSIGNED8(p) and UPPER16(p): LANES of i8, u8 and bf16 at p, which need not be aligned, as f32.
 * Codes become values on their way into the tile, so a product has the bits it has after decoding,
 * in less memory. */

/* LANES numbers of a table by the low 4 bits of the bytes at p. */
static inline __attribute__((always_inline)) TARGET VEC TILE(pick)(const int8_t *p,
                                                                   const float *table) {
#if LANES == 16
    return _mm512_permutexvar_ps(_mm512_cvtepi8_epi32(BYTES_16(p)), _mm512_loadu_ps(table));
#elif LANES == 8
    __m256i at = _mm256_cvtepi8_epi32(BYTES_8(p));
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), at);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), at);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(at, 28)));
#else
    return (VEC){table[p[0] & 15], table[p[1] & 15], table[p[2] & 15], table[p[3] & 15]};
#endif
}

/* Codes e .. e+n of a side as numbers of its table. */
static TARGET void TILE(looked_up)(const coded_side *s, int64_t e, int64_t n, float *restrict out) {
    const float *table = s->c->table;
    const uint8_t *p = (const uint8_t *)s->code + e / 2;
    int64_t i = 0;
    if (e % 2 && n > 0)
        out[i++] = table[*p++ >> 4];
    for (; i + 1 < n; i += 2, p++) {
        out[i] = table[*p & 15];
        out[i + 1] = table[*p >> 4];
    }
    if (i < n)
        out[i] = table[*p & 15];
}

/* Codes e .. e+n of a side as numbers. */
static TARGET void TILE(widen)(const coded_side *s, int64_t e, int64_t n, float *restrict out) {
    e += s->c->code_off;
    if (s->c->by_table) {
        TILE(looked_up)(s, e, n, out);
        return;
    }
    if (s->c->bits == 4) {
        const uint8_t *p = (const uint8_t *)s->code + e / 2;
        int64_t i = 0;
        if (e % 2 && n > 0)
            out[i++] = (float)((*p++ >> 4 ^ 8) - 8);
        for (; i + 1 < n; i += 2, p++) {
            out[i] = (float)(((*p & 15) ^ 8) - 8);
            out[i + 1] = (float)((*p >> 4 ^ 8) - 8);
        }
        if (i < n)
            out[i] = (float)(((*p & 15) ^ 8) - 8);
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

/* ---- one row, both operands along memory: the sums of TILE(inner) ---- */

enum { TILE(AT_ONCE) = 4 * LANES };

/* 4*LANES codes of four bits as bytes, in order. */
static inline __attribute__((always_inline)) TARGET void TILE(nibbles)(const uint8_t *p,
                                                                       int8_t *out) {
    typedef uint8_t v16 __attribute__((vector_size(16), aligned(1), may_alias));
    if (TILE(AT_ONCE) % 32 == 0) {
        for (int k = 0; k < TILE(AT_ONCE) / 32; k++) {
            v16 b = *(const v16 *)(p + 16 * k), lo = (b & 15), hi = b >> 4;
            lo = (lo ^ 8) - 8;
            hi = (hi ^ 8) - 8;
            *(v16 *)(out + 32 * k) = LG_PICK(lo, hi, v16, LG_LOW_16);
            *(v16 *)(out + 32 * k + 16) = LG_PICK(lo, hi, v16, LG_HIGH_16);
        }
        return;
    }
    for (int i = 0; i < TILE(AT_ONCE) / 2; i++) {
        out[2 * i] = (int8_t)(((p[i] & 15) ^ 8) - 8);
        out[2 * i + 1] = (int8_t)((p[i] >> 4 ^ 8) - 8);
    }
}

/* LANES numbers from codes at p. */
static inline __attribute__((always_inline)) TARGET VEC TILE(load)(const void *p,
                                                                   const lg_dtype t) {
    return t == LG_I8 ? SIGNED8(p) : t == LG_U8 ? UNSIGNED8(p) : UPPER16(p);
}

/* The whole vectors of row e; scales and zeros change between vectors only. Gives how far it went.
 */
static inline __attribute__((always_inline)) TARGET int64_t
TILE(vectors)(const coded_side *s, int64_t e, const float *a, int64_t n, VEC acc[4],
              const lg_dtype t, const bool four, const bool table, const bool scaled) {
    const lg_coded *c = s->c;
    int64_t row = scaled ? e / c->width : 0, g = scaled ? e % c->width / c->group : 0, i = 0,
            size = t == LG_BF16 ? 2 : 1, left = 0;
    const char *p =
        (const char *)s->code + (four ? (e + c->code_off) / 2 : (e + c->code_off) * size);
    const float *scale = s->scale ? s->scale + row * c->scale_row + g * c->scale_group : NULL;
    const float *zero = s->zero ? s->zero + row * c->zero_row + g * c->zero_group : NULL;
    VEC f = SPLAT(1), z = SPLAT(0);
    int8_t byte[TILE(AT_ONCE)];
    for (; i + TILE(AT_ONCE) <= n; i += TILE(AT_ONCE)) {
        if (four)
            TILE(nibbles)((const uint8_t *)p + i / 2, byte);
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            const void *from = four ? (const void *)(byte + v * LANES)
                                    : (const void *)(p + (i + v * LANES) * size);
            VEC x = table ? TILE(pick)(from, c->table) : TILE(load)(from, t);
            if (scaled) {
                if (left == 0) {
                    left = c->group;
                    if (scale)
                        f = SPLAT(*scale);
                    if (zero)
                        z = SPLAT(*zero * s->sign);
                    scale += scale ? c->scale_group : 0;
                    zero += zero ? c->zero_group : 0;
                }
                left -= LANES;
                if (s->zero)
                    x = x + z;
                x = x * f;
            }
            acc[v] = FMA(x, (VEC) * (const TILE(vec_u) *)(a + i + v * LANES), acc[v]);
        }
    }
    return i;
}

static TARGET float TILE(coded_inner)(const coded_side *s, int64_t e, const float *a, int64_t n) {
    const lg_coded *c = s->c;
    bool scaled = s->scale || s->zero, four = c->bits == 4;
    bool whole = !scaled || (c->group % LANES == 0 && e % c->width % c->group == 0 &&
                             e % c->width + n <= c->width);
    VEC acc[4] = {SPLAT(0), SPLAT(0), SPLAT(0), SPLAT(0)};
    int64_t i = 0;
    if (!whole || (four && (e + c->code_off) % 2))
        i = 0;
    else if (c->by_table)
        i = scaled ? TILE(vectors)(s, e, a, n, acc, LG_I8, true, true, true)
                   : TILE(vectors)(s, e, a, n, acc, LG_I8, true, true, false);
    else if (four)
        i = scaled ? TILE(vectors)(s, e, a, n, acc, LG_I8, true, false, true)
                   : TILE(vectors)(s, e, a, n, acc, LG_I8, true, false, false);
    else if (c->code == LG_I8)
        i = scaled ? TILE(vectors)(s, e, a, n, acc, LG_I8, false, false, true)
                   : TILE(vectors)(s, e, a, n, acc, LG_I8, false, false, false);
    else if (c->code == LG_U8)
        i = scaled ? TILE(vectors)(s, e, a, n, acc, LG_U8, false, false, true)
                   : TILE(vectors)(s, e, a, n, acc, LG_U8, false, false, false);
    else if (c->code == LG_BF16 && !scaled)
        i = TILE(vectors)(s, e, a, n, acc, LG_BF16, false, false, false);
    float value[TILE(AT_ONCE)], rest = 0;
    for (; i + TILE(AT_ONCE) <= n; i += TILE(AT_ONCE)) {
        TILE(values)(s, e + i, TILE(AT_ONCE), value);
        for (int v = 0; v < 4; v++)
            acc[v] = FMA((VEC) * (const TILE(vec_u) *)(value + v * LANES),
                         (VEC) * (const TILE(vec_u) *)(a + i + v * LANES), acc[v]);
    }
    TILE(values)(s, e + i, n - i, value);
    for (int64_t q = 0; i + q < n; q++)
        rest += value[q] * a[i + q];
    return TILE(across)(acc) + rest;
}

static TARGET void TILE(coded_row)(const lg_product *p, const coded_side s[2], float *y,
                                   float *room, const int64_t n[2]) {
    const float *a = (const float *)s[0].code + p->a_off;
    if (s[0].c) {
        TILE(values)(&s[0], p->a_off, p->k, room);
        a = room;
    }
    for (int64_t j = n[0]; j < n[1]; j++)
        y[j - n[0]] = s[1].c
                          ? TILE(coded_inner)(&s[1], p->b_off + j * p->b_n, a, p->k)
                          : TILE(inner)((const float *)s[1].code + p->b_off + j * p->b_n, a, p->k);
}

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
