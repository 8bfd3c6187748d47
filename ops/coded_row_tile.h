/* coded_row_tile.h: one row times rows of codes that lie along memory, as a matrix of codes and a
 * vector: the sums of row_tile.h, so the bits of the product of the decoded rows. Included by
 * coded_tile.h. Codes of 4 or 2 bits are taken from their bytes all first ones, all second ones and
 * so on and looked up in a table that holds the scale already; the row lies in that order, too, and
 * the running sums are put in order at the end. */

/* Where a row of codes is read, and its scales from the group at hand on. */
typedef struct {
    const char *at;
    const float *scale, *zero;
} TILE(line);

/* How scales go with the vectors of a line: in no way that is known here, there are none, one holds
 * for AT_ONCE codes at least, for half of them, for a multiple of a vector's, or several share a
 * vector. */
typedef enum {
    TILE(NEVER),
    TILE(BARE),
    TILE(SELDOM),
    TILE(HALVES),
    TILE(STEPS),
    TILE(MIXED)
} TILE(fit);

/* One row times rows e, e + step ... of codes: n sums of k terms. */
typedef struct {
    const coded_side *s;
    const float *a, *turned; /* the row; the same in the order of the codes in their bytes */
    int64_t e, step, n, k;
    float *y;
    TILE(line) first;              /* of row 0 */
    int64_t d_at, d_scale, d_zero; /* from a line to the next */
    int64_t left;                  /* of a line's first group, or more than there are */
} TILE(task);

/* Do all lines go with their scales as the first one does, `in` elements into a row of scales? Sets
 * how far they are apart. */
static TARGET bool TILE(is_regular)(TILE(task) * x, int64_t in) {
    const lg_coded *c = x->s->c;
    int64_t rows = x->step / c->width, groups = x->step / c->group;
    bool within = in + (x->n - 1) * x->step + x->k <= c->width;
    if (x->step % c->width == 0)
        groups = 0;
    else if (!within || (x->step % c->group && c->group != c->width))
        return false;
    else
        rows = 0;
    x->d_scale = rows * c->scale_row + groups * c->scale_group;
    x->d_zero = rows * c->zero_row + groups * c->zero_group;
    return true;
}

/* The first line and what is between lines. What has no scale has a one. */
static TARGET TILE(fit) TILE(lines_of)(TILE(task) * x) {
    static const float one = 1;
    const coded_side *s = x->s;
    const lg_coded *c = s->c;
    int wide = c->code == LG_BF16 || c->code == LG_F16, few = c->bits == 4   ? 1
                                                              : c->bits == 2 ? 2
                                                                             : 0;
    int64_t first = x->e + c->code_off, step = LANES << few;
    x->first = (TILE(line)){(const char *)s->code + (first >> few << wide), &one, NULL};
    x->d_at = x->step >> few << wide;
    x->left = INT64_MAX;
    if ((first | x->step) & ((1 << few) - 1))
        return TILE(NEVER);
    if (!s->scale && !s->zero)
        return TILE(BARE);
    int64_t row = x->e / c->width, in = x->e % c->width, group = in / c->group;
    if (in + x->k > c->width || !TILE(is_regular)(x, in))
        return TILE(NEVER);
    if (s->scale)
        x->first.scale = s->scale + row * c->scale_row + group * c->scale_group;
    if (s->zero)
        x->first.zero = s->zero + row * c->zero_row + group * c->zero_group;
    int64_t left = (group + 1) * c->group - in;
    if (left >= x->k)
        return TILE(SELDOM);
    x->left = left;
    if (((left | c->group) & (TILE(AT_ONCE) - 1)) == 0)
        return TILE(SELDOM);
    if (((left | c->group) & (step - 1)) == 0)
        return left == c->group && 2 * left == TILE(AT_ONCE) ? TILE(HALVES) : TILE(STEPS);
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

/* The numbers of a vector's scales and zeros from those of lines that are `mixed`, else of one
 * group; of small codes their table, scaled. The line goes on to what follows. */
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
    l->scale += s->c->scale_group; /* 0 where it is the one of all */
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

/* The whole vectors of ROWS lines that fit in one way. `bits`: of small codes, else 0 and they are
 * of type t; plus: with zeros. Gives how far it went. */
static inline __attribute__((always_inline)) TARGET int64_t
TILE(vectors)(const TILE(task) * x, TILE(line) l[TILE(ROWS)], VEC acc[TILE(ROWS)][4],
              const int bits, const lg_dtype t, const TILE(fit) fit, const bool plus) {
    const coded_side *s = x->s;
    const float *a = bits ? x->turned : x->a;
    const int64_t n = x->k, more = s->c->group;
    const int per = bits ? 8 / bits : 1;
    const int64_t size = t == LG_BF16 ? 2 : 1;
    const bool mixed = fit == TILE(MIXED), counts = fit == TILE(SELDOM) || fit == TILE(STEPS);
    const int64_t each = fit == TILE(SELDOM) ? TILE(AT_ONCE) : per * LANES;
    int64_t i = 0, left = 0, next = x->left;
    VEC base[TILE(TABLE)];
    TILE(factors) now[TILE(ROWS)];
    memcpy(base, s->table, sizeof base);
#pragma GCC unroll 4
    for (int r = 0; r < TILE(ROWS); r++)
        memcpy(now[r].table, base, sizeof base);
    for (; i + TILE(AT_ONCE) <= n; i += TILE(AT_ONCE)) {
        TILE(words) word[TILE(ROWS)];
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            bool fresh = fit == TILE(HALVES) ? v % 2 == 0 : mixed && v % per == 0;
            if (counts && v * LANES % each == 0) {
                fresh = left == 0;
                left = (fresh ? next : left) - each;
                next = more;
            }
            if (fresh) {
#pragma GCC unroll 4
                for (int r = 0; r < TILE(ROWS); r++)
                    TILE(next_group)(s, &l[r], base, &now[r], bits, plus, mixed);
            }
            VEC y = (VEC) * (const TILE(vec_u) *)(a + i + v * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < TILE(ROWS); r++) {
                const char *p = l[r].at + (i + v * LANES) / per * size;
                VEC w;
                if (bits) {
                    if (v % per == 0)
                        word[r] = (TILE(words))WORDS(p);
                    w = TILE(look_up)(word[r] >> (v % per * bits), now[r].table, bits);
                } else {
                    w = t == LG_I8 ? SIGNED8(p) : t == LG_U8 ? UNSIGNED8(p) : UPPER16(p);
                }
                if (plus && (mixed || !bits))
                    w = w + now[r].z;
                if (fit != TILE(BARE) && (mixed || !bits))
                    w = w * now[r].f;
                acc[r][v] = FMA(w, y, acc[r][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < TILE(ROWS); r++)
        if (per > 1)
            TILE(in_order)(acc[r], per);
    return i;
}

/* Sums of rows j, j+1 ... that have come to term i. */
static __attribute__((noinline)) TARGET void TILE(terms_from)(const TILE(task) * x, int64_t j,
                                                              int64_t i, VEC acc[TILE(ROWS)][4],
                                                              float rest[TILE(ROWS)]) {
    const float *a = x->a;
    for (int r = 0; r < TILE(ROWS) && j + r < x->n; r++) {
        float value[TILE(AT_ONCE)];
        int64_t k = i, at = x->e + (j + r) * x->step;
        for (; k + TILE(AT_ONCE) <= x->k; k += TILE(AT_ONCE)) {
            TILE(values)(x->s, at + k, TILE(AT_ONCE), value);
            for (int v = 0; v < 4; v++)
                acc[r][v] = FMA((VEC) * (const TILE(vec_u) *)(value + v * LANES),
                                (VEC) * (const TILE(vec_u) *)(a + k + v * LANES), acc[r][v]);
        }
        rest[r] = 0;
        if (k < x->k)
            TILE(values)(x->s, at + k, x->k - k, value);
        for (int64_t q = 0; k + q < x->k; q++)
            rest[r] += value[q] * a[k + q];
    }
}

/* All rows, ROWS at a time; where there are fewer left, the last one stands for those that lack. */
static inline __attribute__((always_inline)) TARGET void
TILE(rows_of)(const TILE(task) * x, const int bits, const lg_dtype t, const TILE(fit) fit,
              const bool plus) {
    for (int64_t j = 0; j < x->n; j += TILE(ROWS)) {
        TILE(line) l[TILE(ROWS)];
        VEC acc[TILE(ROWS)][4];
        float sum[TILE(ROWS)];
#pragma GCC unroll 4
        for (int r = 0; r < TILE(ROWS); r++) {
            int64_t row = j + r < x->n ? j + r : x->n - 1;
            l[r].at = x->first.at + row * x->d_at;
            l[r].scale = x->first.scale + row * x->d_scale;
            l[r].zero = plus ? x->first.zero + row * x->d_zero : NULL;
#pragma GCC unroll 4
            for (int v = 0; v < 4; v++)
                acc[r][v] = SPLAT(0);
        }
        int64_t i = 0;
        if (fit != TILE(NEVER))
            i = TILE(vectors)(x, l, acc, bits, t, fit, plus);
        if (i < x->k) {
            VEC some[TILE(ROWS)][4];
            float rest[TILE(ROWS)] = {0};
            memcpy(some, acc, sizeof some);
            TILE(terms_from)(x, j, i, some, rest);
            TILE(across_lines)(some, sum);
            for (int r = 0; r < TILE(ROWS); r++)
                sum[r] += rest[r];
        } else {
            TILE(across_lines)(acc, sum);
        }
        for (int r = 0; r < TILE(ROWS) && j + r < x->n; r++)
            x->y[j + r] = sum[r];
    }
}

typedef void (*TILE(rows_fn))(const TILE(task) * x);

/* A function for each kind of codes and way of scales; that of NEVER does any. */
#define ROWS_OF(name, bits, t, fit, plus)                           \
    static TARGET void TILE(rows_of_##name)(const TILE(task) * x) { \
        TILE(rows_of)(x, bits, t, fit, plus);                       \
    }
#define WHOLE_ROWS(name, bits, t)                        \
    ROWS_OF(name##_bare, bits, t, TILE(BARE), false)     \
    ROWS_OF(name##_seldom, bits, t, TILE(SELDOM), false) \
    ROWS_OF(name##_seldom_plus, bits, t, TILE(SELDOM), true)
#define GROUPED_ROWS(name, bits, t)                          \
    WHOLE_ROWS(name, bits, t)                                \
    ROWS_OF(name##_halves, bits, t, TILE(HALVES), false)     \
    ROWS_OF(name##_halves_plus, bits, t, TILE(HALVES), true) \
    ROWS_OF(name##_steps, bits, t, TILE(STEPS), false)       \
    ROWS_OF(name##_steps_plus, bits, t, TILE(STEPS), true)
#define MIXED_ROWS(name, bits)                             \
    ROWS_OF(name##_mixed, bits, LG_U8, TILE(MIXED), false) \
    ROWS_OF(name##_mixed_plus, bits, LG_U8, TILE(MIXED), true)
GROUPED_ROWS(i8, 0, LG_I8)
GROUPED_ROWS(u8, 0, LG_U8)
GROUPED_ROWS(four, 4, LG_U8)
WHOLE_ROWS(two, 2, LG_U8)
MIXED_ROWS(four, 4)
MIXED_ROWS(two, 2)
ROWS_OF(bf16_bare, 0, LG_BF16, TILE(BARE), false)
ROWS_OF(any, 0, LG_I8, TILE(NEVER), false)
#undef ROWS_OF
#undef WHOLE_ROWS
#undef GROUPED_ROWS
#undef MIXED_ROWS

/* The function for codes of side s that fit so; NULL: none but that of any. */
static TILE(rows_fn) TILE(rows_for)(const coded_side *s, TILE(fit) fit) {
#define TWO(name) \
    { TILE(rows_of_##name), TILE(rows_of_##name##_plus) }
#define WHOLE_ROWS(name) \
    [TILE(BARE)] = {TILE(rows_of_##name##_bare)}, [TILE(SELDOM)] = TWO(name##_seldom)
#define GROUPED_ROWS(name) \
    WHOLE_ROWS(name), [TILE(HALVES)] = TWO(name##_halves), [TILE(STEPS)] = TWO(name##_steps)
    static const TILE(rows_fn)
        all[4][TILE(MIXED) + 1][2] = {{GROUPED_ROWS(i8)},
                                      {GROUPED_ROWS(u8)},
                                      {GROUPED_ROWS(four), [TILE(MIXED)] = TWO(four_mixed)},
                                      {WHOLE_ROWS(two), [TILE(MIXED)] = TWO(two_mixed)}};
#undef TWO
#undef WHOLE_ROWS
#undef GROUPED_ROWS
    const lg_coded *c = s->c;
    if (c->bits)
        return all[c->bits == 4 ? 2 : 3][fit][s->zero != NULL];
    if (c->code == LG_I8 || c->code == LG_U8)
        return all[c->code == LG_U8][fit][s->zero != NULL];
    return c->code == LG_BF16 && fit == TILE(BARE) ? TILE(rows_of_bf16_bare) : NULL;
}

/* Whole vectors of the row in the order of codes in their bytes. */
static inline __attribute__((always_inline)) TARGET void
TILE(turn_row)(const float *a, int64_t n, float *restrict to, const int64_t per) {
    for (int64_t i = 0; i < n / TILE(AT_ONCE) * TILE(AT_ONCE); i += per * LANES)
        for (int64_t q = 0; q < per; q++)
            for (int64_t l = 0; l < LANES; l++)
                to[i + q * LANES + l] = a[i + l * per + q];
}

static TARGET const float *TILE(turned_row)(const coded_side *s, const float *a, int64_t n,
                                            float *to) {
    if (s->c->bits == 4)
        TILE(turn_row)(a, n, to, 2);
    else if (s->c->bits == 2)
        TILE(turn_row)(a, n, to, 4);
    return s->c->bits ? to : a;
}

static TARGET void TILE(coded_row)(const lg_product *p, const coded_side s[2], float *y,
                                   float *room, const int64_t n[2]) {
    const float *a = (const float *)s[0].code + p->a_off, *b = s[1].code;
    if (s[0].c) {
        TILE(values)(&s[0], p->a_off, p->k, room);
        a = room;
    }
    if (!s[1].c) {
        TILE(inner_rows)(a, b + p->b_off + n[0] * p->b_n, p->b_n, n[1] - n[0], p->k, y);
        return;
    }
    TILE(task)
    x = {.s = &s[1],
         .a = a,
         .turned = TILE(turned_row)(&s[1], a, p->k, room + p->k),
         .e = p->b_off + n[0] * p->b_n,
         .step = p->b_n,
         .n = n[1] - n[0],
         .k = p->k,
         .y = y};
    TILE(rows_fn) rows = TILE(rows_for)(x.s, TILE(lines_of)(&x));
    (rows ? rows : TILE(rows_of_any))(&x);
}
