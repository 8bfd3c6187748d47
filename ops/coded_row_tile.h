/* coded_row_tile.h: one row times rows of codes that lie along memory, as a matrix of codes and a
 * vector: the sums of TILE(inner), so the bits of the product of the decoded rows. Included by
 * coded_tile.h. Codes of 4 or 2 bits are taken from their bytes all first ones, all second ones and
 * so on and looked up in a table that holds the scale already; the row lies in that order, too, and
 * the running sums are put in order at the end. */

/* Rows whose codes are read together, so that sums of one need not wait for the last. */
enum { TILE(ROWS) = LANES == 16 ? 4 : 2 };

/* Where a row of codes is read, and its scales from the group at hand on, of which `left` elements
 * are left (or more than there are). */
typedef struct {
    const char *at;
    const float *scale, *zero;
    int64_t left;
} TILE(line);

/* Where element e stands among scales: its row, its place in that, its group. The next line is
 * often the next row. */
typedef struct {
    int64_t e, row, in, group;
} TILE(spot);

static inline __attribute__((always_inline)) TARGET void TILE(go_to)(const lg_coded *c,
                                                                     TILE(spot) * at, int64_t e) {
    if (at->e >= 0 && e - at->e == c->width) {
        at->row++;
    } else {
        at->row = e / c->width;
        at->in = e - at->row * c->width;
        at->group = at->in / c->group;
    }
    at->e = e;
}

/* How the groups of a line fit its vectors: not at all, each covers some, or some share each one.
 */
typedef enum { TILE(NEVER), TILE(WHOLE), TILE(MIXED) } TILE(fit);

/* The line of row e. What has no scale has a one. */
static inline __attribute__((always_inline)) TARGET TILE(fit)
    TILE(line_of)(const coded_side *s, int64_t e, int64_t n, TILE(spot) * at, TILE(line) * l) {
    static const float one = 1;
    const lg_coded *c = s->c;
    int wide = c->code == LG_BF16 || c->code == LG_F16, few = c->bits == 4   ? 1
                                                              : c->bits == 2 ? 2
                                                                             : 0;
    int64_t first = e + c->code_off, step = LANES << few;
    *l = (TILE(line)){(const char *)s->code + (first >> few << wide), &one, NULL, INT64_MAX};
    if (first & ((1 << few) - 1))
        return TILE(NEVER);
    if (!s->scale && !s->zero)
        return TILE(WHOLE);
    TILE(go_to)(c, at, e);
    if (s->scale)
        l->scale = s->scale + at->row * c->scale_row + at->group * c->scale_group;
    if (s->zero)
        l->zero = s->zero + at->row * c->zero_row + at->group * c->zero_group;
    int64_t left = (at->group + 1) * c->group - at->in;
    if (left < n)
        l->left = left;
    if (at->in + n > c->width)
        return TILE(NEVER);
    if (left >= n || ((left | c->group) & (step - 1)) == 0)
        return TILE(WHOLE);
    bool dense = (!s->scale || c->scale_group == 1) && (!s->zero || c->zero_group == 1);
    bool even = left == c->group && step % c->group == 0 && (c->group & ((1 << few) - 1)) == 0;
    return few && dense && even ? TILE(MIXED) : TILE(NEVER);
}

/* What a line is scaled with now: of small codes the table, scaled. */
typedef struct {
    VEC f, z, table[TILE(TABLE)];
} TILE(factors);

/* p[0] in the first `span` lanes, p[1] in the next and so on; nothing else is read. */
static inline __attribute__((always_inline)) TARGET VEC TILE(spread)(const float *p, int span) {
#if LANES == 16
    const __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i at = _mm512_srl_epi32(lane, _mm_cvtsi32_si128(__builtin_ctz((unsigned)span)));
    __mmask16 there = (__mmask16)((1U << (LANES / span)) - 1);
    return _mm512_permutexvar_ps(at, _mm512_maskz_loadu_ps(there, p));
#elif LANES == 8
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    __m256i at = _mm256_srl_epi32(lane, _mm_cvtsi32_si128(__builtin_ctz((unsigned)span)));
    __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(LANES / span), lane);
    return _mm256_permutevar8x32_ps(_mm256_maskload_ps(p, there), at);
#else
    return (VEC){p[0], p[1 / span], p[2 / span], p[3 / span]};
#endif
}

static inline __attribute__((always_inline)) TARGET void
TILE(next_group)(const coded_side *s, TILE(line) * l, const VEC *base, TILE(factors) * t,
                 const int bits, const bool plus, const bool mixed) {
    if (mixed) {
        int span = (int)s->c->group * bits / 8, n = LANES / span;
        t->f = s->scale ? TILE(spread)(l->scale, span) : SPLAT(1);
        l->scale += s->scale ? n : 0;
        if (plus) {
            t->z = TILE(spread)(l->zero, span) * SPLAT(s->sign);
            l->zero += n;
        }
        return;
    }
    t->f = SPLAT(*l->scale);
    l->scale += s->scale ? s->c->scale_group : 0;
    if (plus) {
        t->z = SPLAT(*l->zero * s->sign);
        l->zero += s->c->zero_group;
    }
    if (!bits)
        return;
#pragma GCC unroll 4
    for (int q = 0; q < TILE(TABLE); q++) {
        VEC x = base[q];
        if (plus)
            x = x + t->z;
        t->table[q] = x * t->f;
    }
}

/* The whole vectors of `rows` lines; scales and zeros change between vectors only. `bits`: of small
 * codes, else 0 and they are of type t. Gives how far it went. */
static inline __attribute__((always_inline)) TARGET int64_t
TILE(vectors)(const coded_side *s, TILE(line) l[TILE(ROWS)], const int rows, const float *a,
              int64_t n, VEC acc[TILE(ROWS)][4], const int bits, const lg_dtype t,
              const bool scaled, const bool plus, const bool mixed) {
    const int per = bits ? 8 / bits : 1;
    const int64_t size = t == LG_BF16 ? 2 : 1;
    const int64_t group = mixed ? per * LANES : s->c->group;
    int64_t i = 0, left = 0, next = mixed ? group : l[0].left;
    VEC base[TILE(TABLE)];
    TILE(factors) now[TILE(ROWS)];
    memcpy(base, s->table, sizeof base);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        memcpy(now[r].table, base, sizeof base);
    for (; i + TILE(AT_ONCE) <= n; i += TILE(AT_ONCE)) {
        TILE(words) w[TILE(ROWS)];
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            if (scaled && v % per == 0) {
                if (left == 0) {
                    left = next;
                    next = group;
#pragma GCC unroll 4
                    for (int r = 0; r < rows; r++)
                        TILE(next_group)(s, &l[r], base, &now[r], bits, plus, mixed);
                }
                left -= per * LANES;
            }
            VEC y = (VEC) * (const TILE(vec_u) *)(a + i + v * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const char *p = l[r].at + (i + v * LANES) / per * size;
                VEC x;
                if (bits) {
                    if (v % per == 0)
                        w[r] = (TILE(words))WORDS(p);
                    x = TILE(look_up)(w[r] >> (v % per * bits), now[r].table, bits);
                } else {
                    x = t == LG_I8 ? SIGNED8(p) : t == LG_U8 ? UNSIGNED8(p) : UPPER16(p);
                }
                if (plus && (mixed || !bits))
                    x = x + now[r].z;
                if (scaled && (mixed || !bits))
                    x = x * now[r].f;
                acc[r][v] = FMA(x, y, acc[r][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        if (per > 1)
            TILE(in_order)(acc[r], per);
    return i;
}

/* The same for codes of every kind; 0 when there is no such. */
static inline __attribute__((always_inline)) TARGET int64_t TILE(kinds)(
    const coded_side *s, TILE(line) l[TILE(ROWS)], const int rows, const float *a, int64_t n,
    VEC acc[TILE(ROWS)][4], const bool scaled, const bool plus, const bool mixed) {
    const lg_coded *c = s->c;
    if (c->bits == 4)
        return TILE(vectors)(s, l, rows, a, n, acc, 4, LG_U8, scaled, plus, mixed);
    if (c->bits == 2)
        return TILE(vectors)(s, l, rows, a, n, acc, 2, LG_U8, scaled, plus, mixed);
    if (mixed)
        return 0;
    if (c->code == LG_I8)
        return TILE(vectors)(s, l, rows, a, n, acc, 0, LG_I8, scaled, plus, false);
    if (c->code == LG_U8)
        return TILE(vectors)(s, l, rows, a, n, acc, 0, LG_U8, scaled, plus, false);
    if (c->code == LG_BF16 && !scaled)
        return TILE(vectors)(s, l, rows, a, n, acc, 0, LG_BF16, false, false, false);
    return 0;
}

/* TILE(across) of several lines at once: in the end they lie side by side in one vector. */
static inline __attribute__((always_inline)) TARGET void
TILE(across_lines)(VEC acc[TILE(ROWS)][4], const int rows, float y[TILE(ROWS)]) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
    VEC s[TILE(ROWS)];
    if (rows < TILE(ROWS)) {
        for (int r = 0; r < rows; r++)
            y[r] = TILE(across)(acc[r]);
        return;
    }
#pragma GCC unroll 4
    for (int r = 0; r < TILE(ROWS); r++)
        s[r] = (acc[r][0] + acc[r][2]) + (acc[r][1] + acc[r][3]);
#pragma GCC unroll 2
    for (int r = 0; r < TILE(ROWS); r += 2)
        s[r / 2] = LG_PICK(s[r], s[r + 1], places, LG_OF(LG_HALF_LOW_, LANES)) +
                   LG_PICK(s[r], s[r + 1], places, LG_OF(LG_HALF_HIGH_, LANES));
#if LANES == 16
    s[0] = LG_PICK(s[0], s[1], places, LG_QUARTER_LOW_16) +
           LG_PICK(s[0], s[1], places, LG_QUARTER_HIGH_16);
#endif
#if LANES >= 8
    s[0] += LG_PICK(s[0], s[0], places, LG_OF(LG_SWAP_2_, LANES));
#endif
    s[0] += LG_PICK(s[0], s[0], places, LG_OF(LG_SWAP_1_, LANES));
    for (int r = 0; r < TILE(ROWS); r++)
        y[r] = s[0][r * LANES / TILE(ROWS)];
}

/* Rows e, e + step ... of the codes times a: `rows` elements of y. `turned`: a in the order of the
 * codes in their bytes; n: its length. */
static inline __attribute__((always_inline)) TARGET void
TILE(coded_inner)(const coded_side *s, int64_t e, int64_t step, const int rows, const float *a,
                  const float *turned, int64_t n, float *y) {
    TILE(fit) fit = TILE(WHOLE);
    TILE(spot) spot = {.e = -1};
    TILE(line) l[TILE(ROWS)];
    VEC acc[TILE(ROWS)][4];
    for (int r = 0; r < rows; r++) {
        TILE(fit) its = TILE(line_of)(s, e + r * step, n, &spot, &l[r]);
        fit = (r == 0 || its == fit) && l[r].left == l[0].left ? its : TILE(NEVER);
        for (int v = 0; v < 4; v++)
            acc[r][v] = SPLAT(0);
    }
    int64_t done = 0;
    if (fit == TILE(MIXED) && s->zero)
        done = TILE(kinds)(s, l, rows, turned, n, acc, true, true, true);
    else if (fit == TILE(MIXED))
        done = TILE(kinds)(s, l, rows, turned, n, acc, true, false, true);
    else if (fit == TILE(WHOLE) && s->zero)
        done = TILE(kinds)(s, l, rows, turned, n, acc, true, true, false);
    else if (fit == TILE(WHOLE) && s->scale)
        done = TILE(kinds)(s, l, rows, turned, n, acc, true, false, false);
    else if (fit == TILE(WHOLE))
        done = TILE(kinds)(s, l, rows, turned, n, acc, false, false, false);
    float rest[TILE(ROWS)] = {0};
    for (int r = 0; r < rows && done < n; r++) {
        float value[TILE(AT_ONCE)];
        int64_t i = done, at = e + r * step;
        for (; i + TILE(AT_ONCE) <= n; i += TILE(AT_ONCE)) {
            TILE(values)(s, at + i, TILE(AT_ONCE), value);
            for (int v = 0; v < 4; v++)
                acc[r][v] = FMA((VEC) * (const TILE(vec_u) *)(value + v * LANES),
                                (VEC) * (const TILE(vec_u) *)(a + i + v * LANES), acc[r][v]);
        }
        if (i < n)
            TILE(values)(s, at + i, n - i, value);
        for (int64_t q = 0; i + q < n; q++)
            rest[r] += value[q] * a[i + q];
    }
    TILE(across_lines)(acc, rows, y);
    for (int r = 0; r < rows; r++)
        y[r] += rest[r];
}

/* Whole vectors of the row in the order of codes in their bytes. */
static TARGET const float *TILE(turned_row)(const coded_side *s, const float *a, int64_t n,
                                            float *to) {
    const int64_t per = s->c->bits ? 8 / s->c->bits : 1;
    if (per == 1)
        return a;
    for (int64_t i = 0; i < n / TILE(AT_ONCE) * TILE(AT_ONCE); i += per * LANES)
        for (int64_t l = 0; l < LANES; l++)
            for (int64_t q = 0; q < per; q++)
                to[i + q * LANES + l] = a[i + l * per + q];
    return to;
}

static TARGET void TILE(coded_row)(const lg_product *p, const coded_side s[2], float *y,
                                   float *room, const int64_t n[2]) {
    const float *a = (const float *)s[0].code + p->a_off, *b = s[1].code;
    if (s[0].c) {
        TILE(values)(&s[0], p->a_off, p->k, room);
        a = room;
    }
    int64_t j = n[0];
    if (!s[1].c) {
        for (; j < n[1]; j++)
            y[j - n[0]] = TILE(inner)(b + p->b_off + j * p->b_n, a, p->k);
        return;
    }
    const float *turned = TILE(turned_row)(&s[1], a, p->k, room + p->k);
    for (; j + TILE(ROWS) <= n[1]; j += TILE(ROWS))
        TILE(coded_inner)
    (&s[1], p->b_off + j * p->b_n, p->b_n, TILE(ROWS), a, turned, p->k, y + j - n[0]);
    for (; j < n[1]; j++)
        TILE(coded_inner)
    (&s[1], p->b_off + j * p->b_n, p->b_n, 1, a, turned, p->k, y + j - n[0]);
}
