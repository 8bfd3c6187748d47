/* row_tile.h: one row times rows that lie along memory, for one vector unit. Every sum is four
 * running vectors and a fixed tree over them; rows are read several at a time, so that sums of one
 * need not wait for the last. Included by gemm_tile.h under its macros. */

/* Rows that are read together. */
enum { TILE(ROWS) = LANES == 16 ? 4 : 2 };

/* The fixed tree over four running vectors: halves are added until one element is left. */
static inline __attribute__((always_inline)) TARGET REAL TILE(across)(const VEC acc[4]) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
    VEC s = (acc[0] + acc[2]) + (acc[1] + acc[3]);
#if LANES >= 16
    s += LG_PICK(s, s, places, LG_OF(LG_SWAP_8_, LANES));
#endif
#if LANES >= 8
    s += LG_PICK(s, s, places, LG_OF(LG_SWAP_4_, LANES));
#endif
#if LANES >= 4
    s += LG_PICK(s, s, places, LG_OF(LG_SWAP_2_, LANES));
#endif
    s += LG_PICK(s, s, places, LG_OF(LG_SWAP_1_, LANES));
    return s[0];
}

/* Sum of a[i] * b[i] in four running vectors. */
static TARGET REAL TILE(inner)(const REAL *a, const REAL *b, int64_t n) {
    VEC acc[4];
    for (int v = 0; v < 4; v++)
        acc[v] = SPLAT(0);
    int64_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++)
            acc[v] = FMA((VEC) * (const TILE(vec_u) *)(a + i + v * LANES),
                         (VEC) * (const TILE(vec_u) *)(b + i + v * LANES), acc[v]);
    REAL rest = 0;
    for (; i < n; i++)
        rest += a[i] * b[i];
    return TILE(across)(acc) + rest;
}

/* TILE(across) of several lines at once: in the end they lie side by side in one vector. */
static inline __attribute__((always_inline)) TARGET void TILE(across_lines)(VEC acc[TILE(ROWS)][4],
                                                                            REAL y[TILE(ROWS)]) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
    VEC s[TILE(ROWS)];
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
#if LANES >= 4
    s[0] += LG_PICK(s[0], s[0], places, LG_OF(LG_SWAP_1_, LANES));
#endif
    for (int r = 0; r < TILE(ROWS); r++)
        y[r] = s[0][r * LANES / TILE(ROWS)];
}

/* The sums of TILE(inner) of a and ROWS rows of b. */
static inline __attribute__((always_inline)) TARGET void
TILE(inner_lines)(const REAL *a, const REAL *b, int64_t b_n, int64_t k, REAL *y) {
    VEC acc[TILE(ROWS)][4];
#pragma GCC unroll 4
    for (int r = 0; r < TILE(ROWS); r++)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++)
            acc[r][v] = SPLAT(0);
    int64_t i = 0;
    for (; i + 4 * LANES <= k; i += 4 * LANES)
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            VEC x = (VEC) * (const TILE(vec_u) *)(a + i + v * LANES);
#pragma GCC unroll 4
            for (int r = 0; r < TILE(ROWS); r++)
                acc[r][v] =
                    FMA((VEC) * (const TILE(vec_u) *)(b + r * b_n + i + v * LANES), x, acc[r][v]);
        }
    TILE(across_lines)(acc, y);
    for (int r = 0; r < TILE(ROWS); r++) {
        REAL rest = 0;
        for (int64_t q = i; q < k; q++)
            rest += b[r * b_n + q] * a[q];
        y[r] += rest;
    }
}

/* y[j] = sum of a[i] * b[j*b_n + i] over k, for n rows. */
static TARGET void TILE(inner_rows)(const REAL *a, const REAL *b, int64_t b_n, int64_t n, int64_t k,
                                    REAL *y) {
    int64_t j = 0;
    for (; j + TILE(ROWS) <= n; j += TILE(ROWS))
        TILE(inner_lines)(a, b + j * b_n, b_n, k, y + j);
    for (; j < n; j++)
        y[j] = TILE(inner)(b + j * b_n, a, k);
}
