/* block_tile.h: the register tile of products, for one vector unit. Included once for each by the
 * tiles that are made of it; they say the macros (gemm_tile.h names them) and have TILE(vec_u). */

/* n < LANES elements at p, the others zero; and back. */
static inline __attribute__((always_inline)) TARGET VEC TILE(load_some)(const REAL *p, int64_t n) {
#ifdef LOAD_SOME
    return LOAD_SOME(p, n);
#else
    REAL lane[LANES] = {0};
    for (int64_t j = 0; j < n; j++)
        lane[j] = p[j];
    return (VEC) * (const TILE(vec_u) *)lane;
#endif
}

static inline __attribute__((always_inline)) TARGET void TILE(store_some)(REAL *p, VEC v,
                                                                          int64_t n) {
#ifdef STORE_SOME
    STORE_SOME(p, n, v);
#else
    REAL lane[LANES];
    *(TILE(vec_u) *)lane = (TILE(vec_u))v;
    for (int64_t j = 0; j < n; j++)
        p[j] = lane[j];
#endif
}

/* out[r][..] = sum over k of a[r*a_m + k*a_k] * b[k*b_k ..] for mr rows and nv vectors, added to
 * what is there if `more`. Of the last vector `some` elements are stored, all where it is 0. */
static inline __attribute__((always_inline)) TARGET void
TILE(block)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k, int64_t k,
            REAL *out, int64_t out_m, bool more, const int mr, const int nv, int64_t some) {
    VEC acc[MR][NV];
#pragma GCC unroll 8
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            acc[r][v] = SPLAT(0);
    for (int64_t i = 0; i < k; i++) {
        VEC x[NV];
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            x[v] = (VEC) * (const TILE(vec_u) *)(b + i * b_k + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < mr; r++) {
            VEC s = SPLAT(a[r * a_m + i * a_k]);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                acc[r][v] = FMA(s, x[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            REAL *to = out + r * out_m + v * LANES;
            if (v == nv - 1 && some) {
                if (more)
                    acc[r][v] += TILE(load_some)(to, some);
                TILE(store_some)(to, acc[r][v], some);
                continue;
            }
            if (more)
                acc[r][v] += (VEC) * (const TILE(vec_u) *)to;
            *(TILE(vec_u) *)to = (TILE(vec_u))acc[r][v];
        }
}

/* A strip of mr rows of nv vectors, in pieces of numbers of rows that are known. */
static inline __attribute__((always_inline)) TARGET void
TILE(rows)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k, int64_t k,
           REAL *out, int64_t out_m, bool more, int mr, const int nv, int64_t some) {
    if (mr == MR) {
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, MR, nv, some);
        return;
    }
    for (; mr >= 4; mr -= 4, a += 4 * a_m, out += 4 * out_m)
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, 4, nv, some);
    for (; mr >= 2; mr -= 2, a += 2 * a_m, out += 2 * out_m)
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, 2, nv, some);
    if (mr > 0)
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, 1, nv, some);
}
