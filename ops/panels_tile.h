/* panels_tile.h: products whose right operand was packed before, once for all threads and all
 * blocks of rows. Included by gemm_tile.h. The panels of a block of K follow each other, and the
 * blocks do; columns are filled up to whole panels. */

static inline int64_t TILE(padded)(int64_t n) {
    return (n + TILE(NR) - 1) / TILE(NR) * TILE(NR);
}

/* Columns [n0, n1), whole panels but for the last. */
static TARGET void TILE(to_panels)(const lg_product *p, const void *bv, void *to,
                                   const int64_t n[2]) {
    const REAL *b = (const REAL *)bv + p->b_off;
    int64_t wide = TILE(padded)(p->n);
    for (int64_t k = 0; k < p->k && n[0] < n[1]; k += LG_KC) {
        int64_t some = p->k - k < LG_KC ? p->k - k : LG_KC;
        TILE(pack_b)
        (b + k * p->b_k + n[0] * p->b_n, p->b_k, p->b_n, some, n[1] - n[0],
         (REAL *)to + k * wide + n[0] * some);
    }
}

/* A block of K for rows [m0, m1) and columns [n0, n1); `panels`: of column n0. */
static TARGET void TILE(panel_step)(const lg_product *p, const REAL *a, const REAL *panels, REAL *y,
                                    REAL *pa, const int64_t m[2], const int64_t n[2], int64_t k0,
                                    int64_t k) {
    bool own = TILE(copies)(p, k, (n[1] - n[0] + TILE(NR) - 1) / TILE(NR));
    for (int64_t i = m[0]; i < m[1]; i += MR) {
        int mr = m[1] - i < MR ? (int)(m[1] - i) : MR;
        int64_t nth = (i - m[0]) / MR % STRIPS, left = m[1] - i;
        const REAL *strip = a + i * p->a_m + k0 * p->a_k;
        if (own && nth == 0)
            TILE(pack_a)(strip, p->a_m, p->a_k, k, left < STRIPS * MR ? left : STRIPS * MR, pa);
        if (own)
            strip = pa + nth * MR * k;
        for (int64_t j = n[0]; j < n[1]; j += TILE(NR)) {
            int64_t w = n[1] - j < TILE(NR) ? n[1] - j : TILE(NR);
            TILE(panel)
            (strip, own ? 1 : p->a_m, own ? MR : p->a_k, panels + (j - n[0]) * k, TILE(NR), k,
             y + i * p->n + j, p->n, k0 > 0, mr, w);
        }
    }
}

/* Rows [m0, m1) of the product. */
static TARGET void TILE(by_panels)(const lg_product *p, const void *av, const void *panels, void *y,
                                   void *scratch, const int64_t m[2]) {
    int64_t wide = TILE(padded)(p->n);
    for (int64_t j = 0; j < p->n; j += LG_NC) {
        int64_t cols[2] = {j, j + LG_NC < p->n ? j + LG_NC : p->n};
        for (int64_t k = 0; k < p->k; k += LG_KC) {
            int64_t some = p->k - k < LG_KC ? p->k - k : LG_KC;
            TILE(panel_step)
            (p, (const REAL *)av + p->a_off, (const REAL *)panels + k * wide + j * some, y, scratch,
             m, cols, k, some);
        }
    }
}
