/* conv_tile.h: the inner loops of conv_kernel.c for one element type and one vector unit. Included
 * by it once for each, with these defined:
 *   TILE(name)  the function's name here      REAL, VEC, LANES  element, vector, elements of it
 *   FMA(a,b,c)  a*b + c on vectors             SPLAT(s)          s in every lane
 *   NV          vectors a row of a forward tile
 *   DR          rows of a tile of the kernel's derivative
 *   PR          pixels of a tile of conv_channel_tile.h
 * Every sum runs in one order, whatever the tile, so that tiles never show in the bits. */

typedef REAL TILE(vec_u) __attribute__((vector_size(sizeof(VEC)), aligned(sizeof(REAL)), may_alias));

static inline __attribute__((always_inline)) VEC TILE(load)(const REAL *p) {
    return (VEC)*(const TILE(vec_u) *)p;
}

static inline __attribute__((always_inline)) void TILE(store)(REAL *p, VEC v) {
    *(TILE(vec_u) *)p = (TILE(vec_u))v;
}

/* out[m][q] = sum over k of w[k][m] * src[off[k] + q], for mr rows and nv vectors of q. */
static inline __attribute__((always_inline)) void
TILE(block)(const REAL *src, const ptrdiff_t *off, size_t n_k, const REAL *w, REAL *out,
            const int mr, const int nv) {
    VEC acc[8][NV] = {{SPLAT(0)}};
    for (size_t k = 0; k < n_k; k++) {
        const REAL *s = src + off[k];
        VEC x[NV];
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            x[v] = TILE(load)(s + v * LANES);
#pragma GCC unroll 8
        for (int m = 0; m < mr; m++) {
            VEC wm = SPLAT(w[m]);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                acc[m][v] = FMA(wm, x[v], acc[m][v]);
        }
        w += mr;
    }
#pragma GCC unroll 8
    for (int m = 0; m < mr; m++)
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            TILE(store)(out + (m * NV + v) * LANES, acc[m][v]);
}

static void TILE(rows)(const REAL *src, const ptrdiff_t *off, size_t n_k, const REAL *w, REAL *out,
                       int mr, bool whole) {
    if (whole) {
        if (mr == 8)
            TILE(block)(src, off, n_k, w, out, 8, NV);
        else if (mr == 4)
            TILE(block)(src, off, n_k, w, out, 4, NV);
        else if (mr == 2)
            TILE(block)(src, off, n_k, w, out, 2, NV);
        else
            TILE(block)(src, off, n_k, w, out, 1, NV);
    } else {
        if (mr == 8)
            TILE(block)(src, off, n_k, w, out, 8, 1);
        else if (mr == 4)
            TILE(block)(src, off, n_k, w, out, 4, 1);
        else if (mr == 2)
            TILE(block)(src, off, n_k, w, out, 2, 1);
        else
            TILE(block)(src, off, n_k, w, out, 1, 1);
    }
}

/* n elements; the last vector may go over some that were copied already. */
static inline __attribute__((always_inline)) void TILE(copy)(const REAL *from, REAL *to, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        TILE(store)(to + i, TILE(load)(from + i));
    if (i < n && n >= LANES)
        TILE(store)(to + n - LANES, TILE(load)(from + n - LANES));
    else
        for (; i < n; i++)
            to[i] = from[i];
}

/* Cuts the elements q .. q+n of a tile's rows out of the grid and puts them in their places. */
static void TILE(place)(const lg_correlation *j, const REAL *tile, size_t step, size_t q, size_t n,
                        size_t m0, int mr, REAL *out) {
    for (size_t at = 0; at < n;) {
        size_t row = (q + at) / j->pitch, col = (q + at) % j->pitch, len = j->pitch - col;
        len = len < n - at ? len : n - at;
        size_t use = col >= j->cols ? 0 : len < j->cols - col ? len : j->cols - col;
        for (int m = 0; m < mr && use > 0; m++) {
            const REAL *from = tile + (size_t)m * step + at;
            REAL *to = out + (m0 + (size_t)m) * j->plane + row * j->row_step + col * j->col_step;
            if (j->col_step == 1)
                TILE(copy)(from, to, use);
            else
                for (size_t i = 0; i < use; i++)
                    to[i * j->col_step] = from[i];
        }
        at += len;
    }
}

static void TILE(correlate)(const lg_correlation *j, const void *source, void *out) {
    const REAL *src = source;
    size_t total = j->rows ? (j->rows - 1) * j->pitch + j->cols : 0;
    _Alignas(64) REAL tile[8 * NV * LANES];
    for (size_t q = 0; q < total;) {
        bool whole = total - q > LANES;
        size_t n = whole ? NV * LANES : LANES;
        n = n < total - q ? n : total - q;
        for (size_t m = 0; m < j->m;) {
            int mr = lg_conv_rows(j->m - m);
            TILE(rows)(src + q, j->off, j->n_k, (const REAL *)j->w + m * j->n_k, tile, mr, whole);
            TILE(place)(j, tile, NV * LANES, q, n, m, mr, out);
            m += (size_t)mr;
        }
        q += n;
    }
}

/* Sums of the lanes of n vectors, in one order: halves are added to each other. */
static inline __attribute__((always_inline)) void TILE(across)(REAL (*lane)[LANES], int n) {
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int r = 0; r < n; r++)
            for (int i = 0; i < half; i++)
                lane[r][i] += lane[r][i + half];
}

/* out[m][k] += sum over images and q of d[m][q] * x[off[k] + q], for mr rows and nt offsets. */
static inline __attribute__((always_inline)) void
TILE(dots)(const lg_conv_products *j, const REAL *x, const REAL *d, const ptrdiff_t *off, REAL *out,
           const int mr, const int nt) {
    VEC acc[DR][3] = {{SPLAT(0)}};
    for (size_t i = 0; i < j->images; i++, x += j->x_step, d += j->d_step)
        for (size_t q = 0; q < j->q; q += LANES) {
            VEC xs[3];
#pragma GCC unroll 3
            for (int k = 0; k < nt; k++)
                xs[k] = TILE(load)(x + off[k] + q);
#pragma GCC unroll 8
            for (int m = 0; m < mr; m++) {
                VEC dm = TILE(load)(d + (size_t)m * j->q + q);
#pragma GCC unroll 3
                for (int k = 0; k < nt; k++)
                    acc[m][k] = FMA(dm, xs[k], acc[m][k]);
            }
        }
    REAL lane[DR * 3][LANES];
#pragma GCC unroll 8
    for (int m = 0; m < mr; m++)
#pragma GCC unroll 3
        for (int k = 0; k < nt; k++)
            TILE(store)(lane[m * nt + k], acc[m][k]);
    TILE(across)(lane, mr * nt);
    for (int m = 0; m < mr; m++)
        for (int k = 0; k < nt; k++)
            out[(size_t)m * j->n_k + (size_t)k] += lane[m * nt + k][0];
}

static void TILE(multiply)(const lg_conv_products *j, const void *xs, const void *ds, void *result) {
    const REAL *x = xs, *d = ds;
    REAL *out = result;
    for (size_t m = 0, mr; m < j->m; m += mr) {
        mr = j->m - m >= DR ? DR : j->m - m >= 4 ? 4 : 1;
        for (size_t k = 0, nt; k < j->n_k; k += nt) {
            nt = j->n_k - k >= 3 ? 3 : 1;
            const REAL *dm = d + m * j->q;
            REAL *o = out + m * j->n_k + k;
            if (mr == DR && nt == 3)
                TILE(dots)(j, x, dm, j->off + k, o, DR, 3);
            else if (mr == DR)
                TILE(dots)(j, x, dm, j->off + k, o, DR, 1);
            else if (mr == 4 && nt == 3)
                TILE(dots)(j, x, dm, j->off + k, o, 4, 3);
            else if (mr == 4)
                TILE(dots)(j, x, dm, j->off + k, o, 4, 1);
            else if (nt == 3)
                TILE(dots)(j, x, dm, j->off + k, o, 1, 3);
            else
                TILE(dots)(j, x, dm, j->off + k, o, 1, 1);
        }
    }
}

#define TARGET /* the whole file may use the unit */
#include "ops/turn_tile.h"
#undef TARGET
#include "ops/conv_channel_tile.h"

static const lg_conv_kernels TILE(kernels) = {TILE(correlate),
                                      TILE(multiply),
                                      TILE(correlate_channels),
                                      TILE(multiply_channels),
                                      TILE(panels),
                                      TILE(tap_panels),
                                      TILE(gather_channels)};

#undef TILE
#undef REAL
#undef VEC
#undef LANES
#undef FMA
#undef SPLAT
#undef NV
#undef DR
#undef PR
