/* gemm_tile.h: the inner loops of gemm.c for one element type and one vector unit. Included by
 * gemm.c once for each, with these defined:
 *   TILE(name)   the function's name here       REAL, VEC, LANES   element, vector, elements of it
 *   FMA(a, b, c) a*b + c on vectors             SPLAT(s)           s in every lane
 *   MR, NV       a tile is MR rows of NV vectors
 *   TARGET       the attribute that allows the vector unit
 *   CODED        with products of codes (f32)
 * Every element is summed in the order of k from 0, block of K by block of K, whatever the tile. */

typedef REAL TILE(vec_u)
    __attribute__((vector_size(sizeof(VEC)), aligned(sizeof(REAL)), may_alias));

enum { TILE(NR) = NV * LANES };

#include "ops/turn_tile.h"

/* out[r][0..NR) = sum over k of a[r*a_m + k*a_k] * b[k*b_k ..], added to what is there if `more`.
 */
static inline __attribute__((always_inline)) TARGET void
TILE(block)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k, int64_t k,
            REAL *out, int64_t out_m, bool more, const int mr) {
    VEC acc[MR][NV];
#pragma GCC unroll 8
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            acc[r][v] = SPLAT(0);
    for (int64_t i = 0; i < k; i++) {
        VEC x[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++)
            x[v] = (VEC) * (const TILE(vec_u) *)(b + i * b_k + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < mr; r++) {
            VEC s = SPLAT(a[r * a_m + i * a_k]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++)
                acc[r][v] = FMA(s, x[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < mr; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            TILE(vec_u) *to = (TILE(vec_u) *)(out + r * out_m + v * LANES);
            if (more)
                acc[r][v] += (VEC)*to;
            *to = (TILE(vec_u))acc[r][v];
        }
}

static TARGET void TILE(rows)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k,
                              int64_t k, REAL *out, int64_t out_m, bool more, int mr) {
    if (mr == MR) {
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, MR);
        return;
    }
    for (; mr >= 4; mr -= 4, a += 4 * a_m, out += 4 * out_m)
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, 4);
    for (; mr > 0; mr--, a += a_m, out += out_m)
        TILE(block)(a, a_m, a_k, b, b_k, k, out, out_m, more, 1);
}

/* Columns j .. j+w of a strip of mr rows; fewer than NR go through a tile of our own. */
static TARGET void TILE(panel)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k,
                               int64_t k, REAL *out, int64_t out_m, bool more, int mr, int64_t w) {
    if (w == TILE(NR)) {
        TILE(rows)(a, a_m, a_k, b, b_k, k, out, out_m, more, mr);
        return;
    }
    REAL tile[MR * TILE(NR)];
    TILE(rows)(a, a_m, a_k, b, b_k, k, tile, TILE(NR), false, mr);
    for (int r = 0; r < mr; r++)
        for (int64_t j = 0; j < w; j++) {
            REAL *to = &out[r * out_m + j];
            *to = more ? tile[r * TILE(NR) + j] + *to : tile[r * TILE(NR) + j];
        }
}

/* LANES columns of as many rows, which lie side by side, as rows of a panel. */
static inline __attribute__((always_inline)) TARGET void TILE(turned)(const REAL *b, int64_t b_n,
                                                                      REAL *to) {
    VEC v[LANES];
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++)
        v[q] = (VEC) * (const TILE(vec_u) *)(b + q * b_n);
    TILE(turn)(v);
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++)
        *(TILE(vec_u) *)(to + q * TILE(NR)) = (TILE(vec_u))v[q];
}

/* Panels of NR columns, k-major; the last one is padded with zeros. */
static TARGET void TILE(pack_b)(const REAL *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n,
                                REAL *to) {
    for (int64_t j = 0; j < n; j += TILE(NR), to += k * TILE(NR)) {
        int64_t w = n - j < TILE(NR) ? n - j : TILE(NR);
        const REAL *from = b + j * b_n;
        if (w < TILE(NR))
            memset(to, 0, (size_t)(k * TILE(NR)) * sizeof *to);
        if (b_n == 1) {
            for (int64_t i = 0; i < k; i++)
                memcpy(to + i * TILE(NR), from + i * b_k, (size_t)w * sizeof *to);
            continue;
        }
        int64_t c = 0, i = 0;
        for (; b_k == 1 && c + LANES <= w; c += LANES)
            for (i = 0; i + LANES <= k; i += LANES)
                TILE(turned)(from + c * b_n + i, b_n, to + i * TILE(NR) + c);
        int64_t done = i, wide = c; /* rows of the first columns */
        for (i = done; i < k; i++)
            for (c = 0; c < wide; c++)
                to[i * TILE(NR) + c] = from[i * b_k + c * b_n];
        for (c = wide; c + 8 <= w; c += 8)
            for (i = 0; i < k; i++)
                for (int q = 0; q < 8; q++)
                    to[i * TILE(NR) + c + q] = from[i * b_k + (c + q) * b_n];
        for (; c < w; c++)
            for (i = 0; i < k; i++)
                to[i * TILE(NR) + c] = from[i * b_k + c * b_n];
    }
}

/* One block of K for rows [m0, m1) and columns [n0, n1); pa: room for a strip, pb: for the columns.
 */
static TARGET void TILE(step)(const lg_product *p, const REAL *a, const REAL *b, REAL *y, REAL *pa,
                              REAL *pb, const int64_t m[2], const int64_t n[2], int64_t k0,
                              int64_t k, bool pack) {
    const REAL *bk = b + k0 * p->b_k + n[0] * p->b_n;
    int64_t whole = (n[1] - n[0]) / TILE(NR) * TILE(NR);
    if (pack)
        TILE(pack_b)(bk, p->b_k, p->b_n, k, n[1] - n[0], pb);
    else if (whole < n[1] - n[0])
        TILE(pack_b)(bk + whole * p->b_n, p->b_k, p->b_n, k, n[1] - n[0] - whole, pb);
    for (int64_t i = m[0]; i < m[1]; i += MR) {
        int mr = m[1] - i < MR ? (int)(m[1] - i) : MR;
        const REAL *strip = a + i * p->a_m + k0 * p->a_k;
        int64_t a_m = p->a_m, a_k = p->a_k;
        if (a_k != 1 && k > 1) {
            if (mr == MR && a_m == 1)
                for (int64_t q = 0; q < k; q++)
                    memcpy(pa + q * MR, strip + q * a_k, MR * sizeof *pa);
            else
                for (int64_t q = 0; q < k; q++)
                    for (int r = 0; r < mr; r++)
                        pa[q * MR + r] = strip[r * a_m + q * a_k];
            strip = pa;
            a_m = 1;
            a_k = MR;
        }
        for (int64_t j = n[0]; j < n[1]; j += TILE(NR)) {
            int64_t w = n[1] - j < TILE(NR) ? n[1] - j : TILE(NR);
            bool own = pack || w < TILE(NR);
            const REAL *panel = pack           ? pb + (j - n[0]) * k
                                : w < TILE(NR) ? pb
                                               : bk + (j - n[0]) * p->b_n;
            TILE(panel)
            (strip, a_m, a_k, panel, own ? TILE(NR) : p->b_k, k, y + i * p->n + j, p->n, k0 > 0, mr,
             w);
        }
    }
}

/* The fixed tree over four running vectors. */
static inline __attribute__((always_inline)) TARGET REAL TILE(across)(const VEC acc[4]) {
    VEC s = (acc[0] + acc[2]) + (acc[1] + acc[3]);
    REAL lane[LANES];
    *(TILE(vec_u) *)lane = (TILE(vec_u))s;
    for (int h = LANES / 2; h > 0; h /= 2)
        for (int v = 0; v < h; v++)
            lane[v] += lane[v + h];
    return lane[0];
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

/* acc[0..w) += k rows of b, each times its a, in order; w: a multiple of LANES. Long pieces of rows
 * at a time, so that memory is read as it lies. */
static TARGET void TILE(sweep)(const REAL *a, int64_t a_k, const REAL *b, int64_t b_k, int64_t k,
                               REAL *acc, int64_t w) {
    int64_t i = 0;
    for (; i + 4 <= k; i += 4, b += 4 * b_k) {
        VEC s[4];
#pragma GCC unroll 4
        for (int q = 0; q < 4; q++)
            s[q] = SPLAT(a[(i + q) * a_k]);
        for (int64_t j = 0; j < w; j += LANES) {
            VEC x = (VEC) * (const TILE(vec_u) *)(acc + j);
#pragma GCC unroll 4
            for (int q = 0; q < 4; q++)
                x = FMA(s[q], (VEC) * (const TILE(vec_u) *)(b + q * b_k + j), x);
            *(TILE(vec_u) *)(acc + j) = (TILE(vec_u))x;
        }
    }
    for (; i < k; i++, b += b_k)
        for (int64_t j = 0; j < w; j += LANES)
            *(TILE(vec_u) *)(acc + j) =
                (TILE(vec_u))FMA(SPLAT(a[i * a_k]), (VEC) * (const TILE(vec_u) *)(b + j),
                                 (VEC) * (const TILE(vec_u) *)(acc + j));
}

/* The finished sums of a block of K to where they belong. */
static TARGET void TILE(settle)(const REAL *acc, int64_t w, bool more, REAL *y) {
    for (int64_t j = 0; j < w; j++)
        y[j] = more ? acc[j] + y[j] : acc[j];
}

/* One row times columns that lie side by side; n[1] - n[0]: a multiple of LANES. */
static TARGET void TILE(wide_row)(const lg_product *p, const REAL *a, const REAL *b, REAL *y,
                                  const int64_t n[2]) {
    REAL acc[LG_NC];
    for (int64_t j = n[0]; j < n[1]; j += LG_NC) {
        int64_t w = n[1] - j < LG_NC ? n[1] - j : LG_NC;
        for (int64_t k = 0; k < p->k; k += LG_KC) {
            memset(acc, 0, sizeof acc);
            TILE(sweep)
            (a + k * p->a_k, p->a_k, b + k * p->b_k + j, p->b_k,
             p->k - k < LG_KC ? p->k - k : LG_KC, acc, w);
            TILE(settle)(acc, w, k > 0, y + j);
        }
    }
}

static TARGET void TILE(product)(const lg_product *p, const void *av, const void *bv, void *yv,
                                 void *scratch, const int64_t m[2], const int64_t n[2]) {
    const REAL *a = (const REAL *)av + p->a_off, *b = (const REAL *)bv + p->b_off;
    REAL *y = yv;
    if (p->m == 1 && p->b_k == 1 && p->a_k == 1) {
        for (int64_t j = n[0]; j < n[1]; j++)
            y[j] = TILE(inner)(b + j * p->b_n, a, p->k);
        return;
    }
    int64_t rest[2] = {n[0], n[1]};
    if (p->m == 1 && p->b_n == 1) {
        rest[0] = n[0] + (n[1] - n[0]) / LANES * LANES;
        TILE(wide_row)(p, a, b, y, (int64_t[]){n[0], rest[0]});
        n = rest;
    }
    REAL *pa = scratch, *pb = pa + MR * LG_KC;
    bool pack = p->b_n != 1 || (p->m > 32 && p->k * p->n * (int64_t)sizeof(REAL) > 1 << 18);
    for (int64_t j = n[0]; j < n[1]; j += LG_NC) {
        int64_t cols[2] = {j, j + LG_NC < n[1] ? j + LG_NC : n[1]};
        for (int64_t k = 0; k < p->k; k += LG_KC)
            TILE(step)(p, a, b, y, pa, pb, m, cols, k, p->k - k < LG_KC ? p->k - k : LG_KC, pack);
    }
}

#ifdef CODED
#include "ops/coded_tile.h"
#endif

#undef CODED
#undef TILE
#undef REAL
#undef VEC
#undef LANES
#undef FMA
#undef SPLAT
#undef MR
#undef NV
#undef TARGET
