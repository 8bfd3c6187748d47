/* conv_tile.h: the inner loops of conv_kernel.c for one element type and one vector unit. Included
 * by it once for each, with these defined:
 *   TILE(name)  the function's name here      REAL, VEC, LANES  element, vector, elements of it
 *   FMA(a,b,c)  a*b + c on vectors             SPLAT(s)          s in every lane
 *   NV          vectors a row of a tile of several rows; WIDE: of one of a single row
 *   DR, DT      rows and places of a tile of a kernel's derivative
 *   PR          pixels of a tile of conv_channel_tile.h
 * Every sum runs in one order, whatever the tile, so that tiles never show in the bits. */

#define TARGET /* the whole file may use the unit */
#include "ops/turn_tile.h"
#undef TARGET
#include "ops/conv_copy_tile.h"

/* ---- correlations ---- */

/* Vectors of results: where each reads its first source and where it is stored. */
typedef struct {
    size_t n, at[WIDE], to[WIDE];
} TILE(strip);

/* out[m*step + to[v]] = sum over k of w[k][m] * src[off[k] + at[v]], for mr rows and nv vectors. */
static inline __attribute__((always_inline)) void
TILE(block)(const lg_correlation *j, const REAL *src, const TILE(strip) * s, const REAL *w,
            REAL *out, size_t step, const int mr, const int nv) {
    VEC acc[8][WIDE] = {{SPLAT(0)}};
    const REAL *from[WIDE];
    const ptrdiff_t *off = j->off;
#pragma GCC unroll 8
    for (int v = 0; v < nv; v++)
        from[v] = src + s->at[v];
    for (size_t k = 0, n = j->n_k; k < n; k++, w += mr) {
        ptrdiff_t o = off[k];
        VEC x[WIDE];
#pragma GCC unroll 8
        for (int v = 0; v < nv; v++)
            x[v] = TILE(load)(from[v] + o);
#pragma GCC unroll 8
        for (int m = 0; m < mr; m++) {
            VEC wm = SPLAT(w[m]);
#pragma GCC unroll 8
            for (int v = 0; v < nv; v++)
                acc[m][v] = FMA(wm, x[v], acc[m][v]);
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < mr; m++)
#pragma GCC unroll 8
        for (int v = 0; v < nv; v++)
            TILE(store)(out + (size_t)m * step + s->to[v], acc[m][v]);
}

/* Rows m .. m+mr of j, for all vectors of the strip: 1, NV, or WIDE for a single row. */
static void TILE(rows)(const lg_correlation *j, const REAL *src, const TILE(strip) * s, size_t m,
                       int mr, REAL *out, size_t step) {
    const REAL *w = (const REAL *)j->w + m * j->n_k;
#define CASE(mr, nv)                                  \
    case (mr)*16 + (nv):                              \
        TILE(block)(j, src, s, w, out, step, mr, nv); \
        return;
    switch (mr * 16 + (int)s->n) {
        CASE(8, 1)
        CASE(6, 1)
        CASE(4, 1)
        CASE(2, 1)
        CASE(1, 1)
        CASE(1, WIDE)
#if NV > 1
        CASE(8, NV) CASE(6, NV) CASE(4, NV) CASE(2, NV) CASE(1, NV)
#endif
    }
#undef CASE
}

/* Vectors of the next strip, of `left` that are still to be done for m rows. */
static inline size_t TILE(strip_of)(size_t m, size_t left) {
    return m == 1 && left >= WIDE ? WIDE : left >= NV ? NV : 1;
}

/* Cuts the elements q .. q+n of a tile's rows out of the grid and puts them in their places. */
static void TILE(place)(const lg_correlation *j, const REAL *tile, size_t step, size_t q, size_t n,
                        size_t m0, int mr, REAL *out) {
    size_t row = q / j->pitch, col = q % j->pitch;
    for (size_t at = 0, len; at < n; at += len, row++, col = 0) {
        len = j->pitch - col < n - at ? j->pitch - col : n - at;
        size_t use = col >= j->cols ? 0 : len < j->cols - col ? len : j->cols - col;
        REAL *to = out + m0 * j->plane + row * j->row_step + col * j->col_step;
        for (int m = 0; m < mr && use > 0; m++, to += j->plane) {
            const REAL *from = tile + (size_t)m * step + at;
            if (j->col_step == 1)
                TILE(copy)(from, to, use);
            else
                for (size_t i = 0; i < use; i++)
                    to[i * j->col_step] = from[i];
        }
    }
}

static void TILE(correlate)(const lg_correlation *j, const void *source, void *out) {
    size_t total = j->rows ? (j->rows - 1) * j->pitch + j->cols : 0;
    _Alignas(64) REAL tile[8 * WIDE * LANES];
    TILE(strip) s;
    for (size_t q = 0, n; q < total; q += n) {
        s.n = TILE(strip_of)(j->m, (total - q + LANES - 1) / LANES);
        for (size_t v = 0; v < s.n; v++) {
            s.at[v] = q + v * LANES;
            s.to[v] = v * LANES;
        }
        n = s.n * LANES < total - q ? s.n * LANES : total - q;
        for (size_t m = 0, mr; m < j->m; m += mr) {
            mr = (size_t)lg_conv_rows(j->m - m);
            TILE(rows)(j, source, &s, m, (int)mr, tile, s.n * LANES);
            TILE(place)(j, tile, s.n * LANES, q, n, m, (int)mr, out);
        }
    }
}

/* Rows m .. m+mr of j and of what stands between its columns. */
static void TILE(both_rows)(const lg_correlation *j, const REAL *src, const TILE(strip) * s,
                            size_t m, int mr, REAL *out) {
    _Alignas(64) REAL even[8 * WIDE * LANES], odd[8 * WIDE * LANES];
    TILE(strip) local = *s;
    for (size_t v = 0; v < s->n; v++)
        local.to[v] = v * LANES;
    TILE(rows)(j, src, &local, m, mr, even, s->n * LANES);
    TILE(rows)(j->odd, src, &local, m, mr, odd, s->n * LANES);
    for (int i = 0; i < mr; i++)
        for (size_t v = 0; v < s->n; v++) {
            size_t at = ((size_t)i * s->n + v) * LANES;
            TILE(interleave)(even + at, odd + at, out + (size_t)i * j->plane + s->to[v]);
        }
}

static void TILE(correlate_rows)(const lg_correlation *j, const void *source, void *result) {
    size_t per = j->cols / LANES, total = j->rows * per, row = 0, c = 0;
    TILE(strip) s;
    for (size_t done = 0; done < total; done += s.n) {
        s.n = TILE(strip_of)(j->m, total - done);
        for (size_t v = 0; v < s.n; v++) {
            s.at[v] = row * j->pitch + c * LANES;
            s.to[v] = row * j->row_step + c * LANES * j->col_step;
            if (++c == per) {
                c = 0;
                row++;
            }
        }
        for (size_t m = 0, mr; m < j->m; m += mr) {
            mr = (size_t)lg_conv_rows(j->m - m);
            REAL *out = (REAL *)result + m * j->plane;
            if (j->odd)
                TILE(both_rows)(j, source, &s, m, (int)mr, out);
            else
                TILE(rows)(j, source, &s, m, (int)mr, out, j->plane);
        }
    }
}

/* ---- sums of products ---- */

enum { TILE(RUN) = 16 }; /* elements that follow each other in x as in d */

/* Lane r of the result is the sum of the lanes of v[r]; halves are added to each other. */
static inline __attribute__((always_inline)) VEC TILE(across)(VEC v[LANES]) {
    typedef LG_OF(LG_WHOLE_, REAL) places __attribute__((vector_size(sizeof(VEC)), unused));
#pragma GCC unroll 4
    for (int n = LANES / 2; n > 0; n /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; i++)
            v[i] = LG_PICK(v[i], v[i + n], places, LG_OF(LG_LOW_, LANES)) +
                   LG_PICK(v[i], v[i + n], places, LG_OF(LG_HIGH_, LANES));
    return v[0];
}

/* Adds what mr rows of d and nt places of x give to out. */
static inline __attribute__((always_inline)) void TILE(dots)(const lg_conv_products *j,
                                                             const REAL *x, const REAL *d,
                                                             const ptrdiff_t *off, REAL *out,
                                                             const int mr, const int nt) {
    VEC acc[DR][9] = {{SPLAT(0)}};
    for (size_t i = 0; i < j->images; i++) {
        const REAL *dq = d + i * j->d_step, *at[9];
#pragma GCC unroll 9
        for (int k = 0; k < nt; k++)
            at[k] = x + i * j->x_step + off[k];
        for (size_t v = 0, n = j->q / TILE(RUN); v < n; v++) {
            ptrdiff_t p = j->pix[v];
            for (ptrdiff_t end = p + TILE(RUN); p < end; p += LANES, dq += LANES) {
                VEC xs[9];
#pragma GCC unroll 9
                for (int k = 0; k < nt; k++)
                    xs[k] = TILE(load)(at[k] + p);
#pragma GCC unroll 8
                for (int m = 0; m < mr; m++) {
                    VEC dm = TILE(load)(dq + (size_t)m * j->q);
                    HOLD(dm);
#pragma GCC unroll 9
                    for (int k = 0; k < nt; k++)
                        acc[m][k] = FMA(dm, xs[k], acc[m][k]);
                }
            }
        }
    }
    _Alignas(64) REAL sum[(DR * DT + LANES) / LANES * LANES + LANES];
#pragma GCC unroll 12
    for (int r = 0; r < mr * nt; r += LANES) {
        VEC v[LANES];
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            v[i] = r + i < mr * nt ? acc[(r + i) / nt][(r + i) % nt] : SPLAT(0);
        TILE(store)(sum + r, TILE(across)(v));
    }
    for (int m = 0; m < mr; m++)
        for (int k = 0; k < nt; k++)
            out[(size_t)m * j->n_k + (size_t)k] += sum[m * nt + k];
}

static void TILE(multiply)(const lg_conv_products *j, const void *x, const void *ds, void *result) {
    for (size_t m = 0, mr; m < j->m; m += mr) {
        size_t rows = j->m - m;
        const REAL *d = (const REAL *)ds + m * j->q;
        mr = rows >= DR ? DR : rows >= 2 ? 2 : 1;
        for (size_t k = 0, nt; k < j->n_k; k += nt) {
            size_t left = j->n_k - k;
            REAL *out = (REAL *)result + m * j->n_k + k;
            nt = mr == 1 && left >= 9 ? 9 : left >= DT ? DT : left >= 3 ? 3 : 1;
#define CASE(mr, nt)                                  \
    case (mr)*16 + (nt):                              \
        TILE(dots)(j, x, d, j->off + k, out, mr, nt); \
        break;
            switch (mr * 16 + nt) {
#if DT > 3
                CASE(DR, DT)
                CASE(2, DT)
                CASE(1, DT)
#endif
                CASE(DR, 3) CASE(DR, 1) CASE(2, 3) CASE(2, 1) CASE(1, 9) CASE(1, 3) CASE(1, 1)
            }
#undef CASE
        }
    }
}

#include "ops/conv_channel_tile.h"

#include "ops/conv_bundle_tile.h"

static const lg_conv_kernels TILE(kernels) = {.correlate = TILE(correlate),
                                              .correlate_rows = TILE(correlate_rows),
                                              .correlate_channels = TILE(correlate_channels),
                                              .multiply = TILE(multiply),
                                              .multiply_channels = TILE(multiply_channels),
                                              .panels = TILE(panels),
                                              .tap_panels = TILE(tap_panels),
                                              .gather_channels = TILE(gather_channels),
                                              .pick_rows = TILE(pick_rows),
                                              .bundle = TILE(bundle),
                                              .bundle_sums = TILE(bundle_sums),
                                              .bundle_products = TILE(bundle_products),
                                              .bundle_lanes = TILE(bundle_lanes)};

#undef TILE
#undef REAL
#undef VEC
#undef LANES
#undef FMA
#undef SPLAT
#undef NV
#undef WIDE
#undef DR
#undef DT
#undef PR
