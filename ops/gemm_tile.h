/* gemm_tile.h: the inner loops of gemm.c for one element type and one vector unit. Included by
 * gemm.c once for each, with these defined:
 *   TILE(name)   the function's name here       REAL, VEC, LANES   element, vector, elements of it
 *   FMA(a, b, c) a*b + c on vectors             SPLAT(s)           s in every lane
 *   MR, NV       a tile is MR rows of NV vectors
 *   TARGET       the attribute that allows the vector unit
 *   LOAD_SOME(p, n), STORE_SOME(p, n, v)   less than a vector, if the unit has that
 *   CODED        with products of codes (f32)
 * Every element is summed in the order of k from 0, block of K by block of K, whatever the tile. */

typedef REAL TILE(vec_u)
    __attribute__((vector_size(sizeof(VEC)), aligned(sizeof(REAL)), may_alias));

enum { TILE(NR) = NV * LANES };

#include "ops/turn_tile.h"

#include "ops/block_tile.h"

/* Columns j .. j+w of a strip of mr rows. Of b all vectors are there that w reaches into. */
static TARGET void TILE(panel)(const REAL *a, int64_t a_m, int64_t a_k, const REAL *b, int64_t b_k,
                               int64_t k, REAL *out, int64_t out_m, bool more, int mr, int64_t w) {
    if (w == TILE(NR))
        TILE(rows)(a, a_m, a_k, b, b_k, k, out, out_m, more, mr, NV, 0);
    else if (w > LANES)
        TILE(rows)(a, a_m, a_k, b, b_k, k, out, out_m, more, mr, NV, w % LANES);
    else
        TILE(rows)(a, a_m, a_k, b, b_k, k, out, out_m, more, mr, 1, w % LANES);
}

/* `rows` rows of b, which lie side by side, as the columns of as many vectors of a panel as they
 * are long; vectors are filled up with zeros. */
static inline __attribute__((always_inline)) TARGET void
TILE(turned)(const REAL *b, int64_t b_n, const int rows, int64_t some, REAL *to) {
    VEC v[LANES];
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++)
        v[q] = q < rows || q < some ? (VEC) * (const TILE(vec_u) *)(b + q * b_n) : SPLAT(0);
    TILE(turn)(v);
#pragma GCC unroll 16
    for (int q = 0; q < LANES; q++)
        *(TILE(vec_u) *)(to + q * TILE(NR)) = (TILE(vec_u))v[q];
}

/* Columns of b that lie along memory, w of them, as a panel. */
static TARGET void TILE(pack_turned)(const REAL *b, int64_t b_n, int64_t k, int64_t w, REAL *to) {
    for (int64_t c = 0; c < w; c += LANES) {
        int64_t some = w - c < LANES ? w - c : LANES, i = 0;
        for (; i + LANES <= k; i += LANES)
            if (some == LANES)
                TILE(turned)(b + c * b_n + i, b_n, LANES, 0, to + i * TILE(NR) + c);
            else
                TILE(turned)(b + c * b_n + i, b_n, 0, some, to + i * TILE(NR) + c);
        for (; i < k; i++)
            for (int64_t q = 0; q < LANES; q++)
                to[i * TILE(NR) + c + q] = q < some ? b[(c + q) * b_n + i] : 0;
    }
}

/* Panels of NR columns, k-major; of the last one the vectors it reaches into are filled up with
 * zeros. */
static TARGET void TILE(pack_b)(const REAL *b, int64_t b_k, int64_t b_n, int64_t k, int64_t n,
                                REAL *to) {
    for (int64_t j = 0; j < n; j += TILE(NR), to += k * TILE(NR)) {
        int64_t w = n - j < TILE(NR) ? n - j : TILE(NR);
        const REAL *from = b + j * b_n;
        if (b_k == 1 && b_n != 1) {
            TILE(pack_turned)(from, b_n, k, w, to);
            continue;
        }
        if (w < TILE(NR))
            memset(to, 0, (size_t)(k * TILE(NR)) * sizeof *to);
        if (b_n == 1 && w == TILE(NR)) {
            for (int64_t i = 0; i < k; i++)
                memcpy(to + i * TILE(NR), from + i * b_k, TILE(NR) * sizeof *to);
            continue;
        }
        for (int64_t i = 0; i < k; i++)
            for (int64_t c = 0; c < w; c++)
                to[i * TILE(NR) + c] = from[i * b_k + c * b_n];
    }
}

/* Rows i .. i+n of a, whose columns do not lie side by side, as strips of MR rows, k-major. */
static TARGET void TILE(pack_a)(const REAL *a, int64_t a_m, int64_t a_k, int64_t k, int64_t n,
                                REAL *to) {
    if (a_m == 1 && n == STRIPS * MR) { /* lines of memory are used whole */
        for (int64_t q = 0; q < k; q++)
            for (int s = 0; s < STRIPS; s++)
                memcpy(to + s * MR * k + q * MR, a + q * a_k + s * MR, MR * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < n; i += MR, to += MR * k) {
        int64_t mr = n - i < MR ? n - i : MR;
        for (int64_t q = 0; q < k; q++)
            for (int64_t r = 0; r < mr; r++)
                to[q * MR + r] = a[(i + r) * a_m + q * a_k];
    }
}

/* Is a copied into strips for k of its columns and so many panels? Rows of a^T that lie side by
 * side can be read as they lie, which takes longer for each panel, but not for a few of them: those
 * cost less than the copy. Columns whole pages apart would share a few places of the cache. */
static inline bool TILE(copies)(const lg_product *p, int64_t k, int64_t panels) {
    bool lies = p->a_m == 1 && p->a_k * (int64_t)sizeof(REAL) % PAGE;
    return p->a_k != 1 && k > 1 && !(lies && panels <= FEW_PANELS);
}

/* n rows of a, k columns of each, as they lie in memory. */
static lg_ahead TILE(of_a)(const lg_product *p, const REAL *a, int64_t n, int64_t k) {
    const int64_t size = sizeof *a;
    const char *at = (const char *)a;
    if (p->a_k == 1)
        return (lg_ahead){at, p->a_m * size, k * size, n};
    return (lg_ahead){at, p->a_k * size, n * size, p->a_m == 1 ? k : 0};
}

/* k rows of b, n columns of each. */
static lg_ahead TILE(of_b)(const lg_product *p, const REAL *b, int64_t k, int64_t n) {
    const int64_t size = sizeof *b;
    if (p->b_n == 1)
        return (lg_ahead){(const char *)b, p->b_k * size, n * size, k};
    return (lg_ahead){(const char *)b, p->b_n * size, k * size, p->b_k == 1 ? n : 0};
}

/* What is read of b after columns [n0, n1) and the k rows from k0 on; nothing: `rows` is 0. */
static lg_ahead TILE(next_b)(const lg_product *p, const REAL *b, const int64_t n[2], int64_t end,
                             int64_t k0, int64_t k) {
    int64_t left = p->k - k0 - k, cols = n[1] - n[0], more = end - n[1];
    if (left > 0)
        return TILE(of_b)(p, b + (k0 + k) * p->b_k + n[0] * p->b_n, left < LG_KC ? left : LG_KC,
                          cols);
    return TILE(of_b)(p, b + n[1] * p->b_n, p->k < LG_KC ? p->k : LG_KC,
                      more < LG_NC ? more : LG_NC);
}

/* Asks for `rows` rows of y, as wide as a tile. */
static void TILE(ask_y)(const REAL *y, int64_t y_m, int64_t rows) {
    const int64_t size = sizeof *y;
    lg_ahead at = {(const char *)y, y_m * size, TILE(NR) * size, rows};
    lg_ask(&at, rows);
}

/* One block of K for rows [m0, m1) and columns [n0, n1); pa: room for strips, pb: for the columns.
 * Where operands are far away, the next rows of a and y and `next`, of b, are asked for with each
 * tile. */
static TARGET void TILE(step)(const lg_product *p, const REAL *a, const REAL *b, REAL *y, REAL *pa,
                              REAL *pb, const int64_t m[2], const int64_t n[2], int64_t k0,
                              int64_t k, bool pack, bool far, lg_ahead next) {
    const REAL *bk = b + k0 * p->b_k + n[0] * p->b_n;
    int64_t whole = (n[1] - n[0]) / TILE(NR) * TILE(NR);
    int64_t panels = (n[1] - n[0] + TILE(NR) - 1) / TILE(NR);
    bool across = p->a_k != 1 && k > 1, own = TILE(copies)(p, k, panels);
    int64_t all = across ? STRIPS * MR : MR;
    int64_t next_tile = next.rows / ((m[1] - m[0] + MR - 1) / MR * panels) + 1, strip_tile = 0;
    lg_ahead strips = {0};
    if (pack)
        TILE(pack_b)(bk, p->b_k, p->b_n, k, n[1] - n[0], pb);
    else if (whole < n[1] - n[0])
        TILE(pack_b)(bk + whole * p->b_n, p->b_k, p->b_n, k, n[1] - n[0] - whole, pb);
    for (int64_t i = m[0]; i < m[1]; i += MR) {
        int mr = m[1] - i < MR ? (int)(m[1] - i) : MR;
        int64_t nth = (i - m[0]) / MR % STRIPS, left = m[1] - i;
        const REAL *strip = a + i * p->a_m + k0 * p->a_k;
        if (own && nth == 0)
            TILE(pack_a)(strip, p->a_m, p->a_k, k, left < all ? left : all, pa);
        if (far && left > all && (!across || nth == 0)) {
            strips = TILE(of_a)(p, strip + all * p->a_m, left - all < all ? left - all : all, k);
            strip_tile = strips.rows / (all / MR * panels) + 1;
        }
        if (own)
            strip = pa + nth * MR * k;
        for (int64_t j = n[0]; j < n[1]; j += TILE(NR)) {
            int64_t w = n[1] - j < TILE(NR) ? n[1] - j : TILE(NR);
            bool packed = pack || w < TILE(NR);
            const REAL *panel = pack           ? pb + (j - n[0]) * k
                                : w < TILE(NR) ? pb
                                               : bk + (j - n[0]) * p->b_n;
            lg_ask(&strips, strip_tile);
            lg_ask(&next, next_tile);
            if (far && left > MR)
                TILE(ask_y)(y + (i + MR) * p->n + j, p->n, MR);
            TILE(panel)
            (strip, own ? 1 : p->a_m, own ? MR : p->a_k, panel, packed ? TILE(NR) : p->b_k, k,
             y + i * p->n + j, p->n, k0 > 0, mr, w);
        }
    }
}

#include "ops/row_tile.h"

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
        TILE(inner_rows)(a, b + n[0] * p->b_n, p->b_n, n[1] - n[0], p->k, y + n[0]);
        return;
    }
    int64_t rest[2] = {n[0], n[1]};
    if (p->m == 1 && p->b_n == 1) {
        rest[0] = n[0] + (n[1] - n[0]) / LANES * LANES;
        TILE(wide_row)(p, a, b, y, (int64_t[]){n[0], rest[0]});
        n = rest;
    }
    REAL *pa = scratch, *pb = pa + STRIPS * MR * LG_KC;
    bool pack = p->b_n != 1 || (p->m > 32 && p->k * p->n * (int64_t)sizeof(REAL) > 1 << 18);
    int64_t rows = m[1] - m[0], width = n[1] - n[0];
    bool far = (rows * p->k + width * p->k + rows * width) * (int64_t)sizeof(REAL) > LG_NEAR;
    for (int64_t j = n[0]; j < n[1]; j += LG_NC) {
        int64_t cols[2] = {j, j + LG_NC < n[1] ? j + LG_NC : n[1]};
        for (int64_t k = 0; k < p->k; k += LG_KC) {
            int64_t kc = p->k - k < LG_KC ? p->k - k : LG_KC;
            lg_ahead next = {0};
            if (far && kc * (cols[1] - j) * (int64_t)sizeof(REAL) <= LG_NEAR)
                next = TILE(next_b)(p, b, cols, n[1], k, kc);
            TILE(step)(p, a, b, y, pa, pb, m, cols, k, kc, pack, far, next);
        }
    }
}

#include "ops/panels_tile.h"

#ifdef CODED
#include "ops/coded_tile.h"
#endif

#undef CODED
#undef LOAD_SOME
#undef STORE_SOME
#undef TILE
#undef REAL
#undef VEC
#undef LANES
#undef FMA
#undef SPLAT
#undef MR
#undef NV
#undef TARGET
