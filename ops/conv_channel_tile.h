/* conv_channel_tile.h: the inner loops of convolutions whose vectors lie along the output channels:
 * pixels are broadcast from planes where they lie, so any stride, dilation and row length is read
 * without a copy and no tile is ragged. Included by conv_tile.h for each element type and vector
 * unit; PR pixels, or pairs of pixels, make a tile. Not for few channels (conv_tile.h).
 *
 * A panel is two vectors of channels, or one where fewer are left. Sums run in the order of k, as
 * in conv_tile.h, so results do not show which of the two made them. */

enum { TILE(BLOCK) = 2 * PR }; /* pixels that are turned round and stored together */

/* to[c][r] = from[r][c] for LANES rows and columns; rows from `rows` on are zeros. */
static inline __attribute__((always_inline)) void
TILE(turn_block)(const REAL *from, size_t from_step, size_t rows, REAL *to, size_t to_step) {
    VEC v[LANES];
    if (rows >= LANES) {
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++)
            v[i] = TILE(load)(from + i * from_step);
    } else {
        for (size_t i = 0; i < LANES; i++)
            v[i] = i < rows ? TILE(load)(from + i * from_step) : SPLAT(0);
    }
    TILE(turn)(v);
#pragma GCC unroll 16
    for (size_t i = 0; i < LANES; i++)
        TILE(store)(to + i * to_step, v[i]);
}

/* Vectors of the panel that begins at channel m0 of m. */
static inline int TILE(panel)(size_t m, size_t m0) {
    return m - m0 > LANES ? 2 : 1;
}

/* Panels [n][width] of the rows x[m][n]; channels past m are zeros. */
static void TILE(panels)(const void *from, size_t m, size_t n, void *to) {
    const REAL *x = from;
    REAL *out = to;
    for (size_t m0 = 0; m0 < m;) {
        size_t width = (size_t)TILE(panel)(m, m0) * LANES;
        for (size_t c = 0; c < width; c += LANES) {
            size_t rows = m0 + c < m ? m - m0 - c : 0, i = 0;
            const REAL *row = x + (m0 + c) * n;
            for (; i + LANES <= n; i += LANES)
                TILE(turn_block)(row + i, n, rows, out + i * width + c, width);
            for (; i < n; i++)
                for (size_t r = 0; r < LANES; r++)
                    out[i * width + c + r] = r < rows ? row[r * n + i] : 0;
        }
        out += n * width;
        m0 += width;
    }
}

/* Panels [o][tap][width] of the chosen taps of w[o][m][taps]. */
static void TILE(tap_panels)(const void *from, size_t o, size_t m, size_t taps, const size_t *tap,
                             size_t n, void *to) {
    const REAL *w = from;
    REAL *out = to;
    for (size_t m0 = 0; m0 < m;) {
        size_t width = (size_t)TILE(panel)(m, m0) * LANES;
        for (size_t k = 0; k < o; k++)
            for (size_t t = 0; t < n; t++, out += width)
                for (size_t i = 0; i < width; i++)
                    out[i] = m0 + i < m ? w[(k * m + m0 + i) * taps + tap[t]] : 0;
        m0 += width;
    }
}

/* out[q][..] = sum over k of w[k][..] * src[off[k] + pix[q]], for PR pixels and nv vectors. */
static inline __attribute__((always_inline)) void TILE(pixels)(const lg_correlation *j,
                                                               const REAL *src, size_t q,
                                                               const REAL *w, REAL *out,
                                                               const int nv) {
    VEC acc[PR][2] = {{SPLAT(0)}};
    const ptrdiff_t *off = j->off;
    const REAL *at[PR];
#pragma GCC unroll 8
    for (int r = 0; r < PR; r++)
        at[r] = src + j->pix[q + (size_t)r];
    for (size_t k = 0, n = j->n_k; k < n; k++, w += nv * LANES) {
        ptrdiff_t o = off[k];
        VEC wk[2];
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            wk[v] = TILE(load)(w + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < PR; r++) {
            VEC x = SPLAT(at[r][o]);
#pragma GCC unroll 2
            for (int v = 0; v < nv; v++)
                acc[r][v] = FMA(x, wk[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < PR; r++)
#pragma GCC unroll 2
        for (int v = 0; v < nv; v++)
            TILE(store)(out + (nv * r + v) * LANES, acc[r][v]);
}

/* out[c*step + q] for the channels of a panel and n pixels from q on, BLOCK at most; whole vectors
 * of them are written. */
static void TILE(panel_block)(const lg_correlation *j, const REAL *src, size_t q, size_t n,
                              const REAL *w, int nv, REAL *out, size_t step) {
    _Alignas(64) REAL sums[TILE(BLOCK) * 2 * LANES];
    size_t width = (size_t)nv * LANES;
    for (size_t p = 0; p < n; p += PR)
        if (nv == 2)
            TILE(pixels)(j, src, q + p, w, sums + p * width, 2);
        else
            TILE(pixels)(j, src, q + p, w, sums + p * width, 1);
    for (size_t p = 0; p < n; p += LANES)
        for (size_t c = 0; c < width; c += LANES)
            TILE(turn_block)(sums + p * width + c, width, LANES, out + c * step + p, step);
}

/* Pixels q .. q+n of a panel, put in their places. */
static void TILE(panel_pixels)(const lg_correlation *j, const REAL *src, size_t q, size_t n,
                               size_t m, int nv, REAL *out) {
    _Alignas(64) REAL even[TILE(BLOCK) * 2 * LANES], odd[TILE(BLOCK) * 2 * LANES],
        both[TILE(BLOCK) * 4 * LANES];
    bool flat = j->row_step == j->cols * j->col_step;
    const REAL *w = (const REAL *)j->w + m * j->n_k;
    int width = nv * LANES;
    lg_correlation grid = *j; /* of results without gaps */
    grid.pitch = grid.cols = flat ? j->rows * j->cols : j->cols;
    if (flat && j->col_step == 1 && n == TILE(BLOCK)) {
        TILE(panel_block)(j, src, q, n, w, nv, out + m * j->plane + q, j->plane);
        return;
    }
    TILE(panel_block)(j, src, q, n, w, nv, even, TILE(BLOCK));
    if (!j->odd) {
        TILE(place)(&grid, even, TILE(BLOCK), q, n, m, width, out);
        return;
    }
    w = (const REAL *)j->odd->w + m * j->odd->n_k;
    TILE(panel_block)(j->odd, src, q, n, w, nv, odd, TILE(BLOCK));
    for (size_t at = 0; at < (size_t)width * TILE(BLOCK); at += LANES)
        TILE(interleave)(even + at, odd + at, both + 2 * at);
    grid.pitch = grid.cols *= 2;
    grid.col_step = 1;
    TILE(place)(&grid, both, 2 * TILE(BLOCK), 2 * q, 2 * n, m, width, out);
}

/* m is a multiple of 16. */
static void TILE(correlate_channels)(const lg_correlation *j, const void *source, void *out) {
    size_t total = j->rows * j->cols;
    for (size_t m = 0, width; m < j->m; m += width) {
        int nv = TILE(panel)(j->m, m);
        width = (size_t)nv * LANES;
        for (size_t q = 0; q < total; q += TILE(BLOCK)) {
            size_t n = total - q < TILE(BLOCK) ? total - q : TILE(BLOCK);
            TILE(panel_pixels)(j, source, q, n, m, nv, out);
        }
    }
}

/* sum[k][..] += sum over images and q of d[q][..] * x[off[k] + pix[q]], for kr taps. */
static inline __attribute__((always_inline)) void TILE(taps)(const lg_conv_products *j,
                                                             const REAL *x, const ptrdiff_t *off,
                                                             const REAL *d, REAL *sum, const int kr,
                                                             const int nv) {
    VEC acc[PR][2] = {{SPLAT(0)}};
    ptrdiff_t at[PR];
#pragma GCC unroll 8
    for (int r = 0; r < kr; r++)
        at[r] = off[r];
    size_t step = nv == 2 ? 1 : 2, whole = j->q / step * step;
    for (size_t i = 0; i < j->images; i++, x += j->x_step, d += j->d_step) {
        const REAL *dq = d;
        for (size_t q = 0; q < whole; q += step, dq += 2 * LANES) {
            const REAL *s0 = x + j->pix[q], *s1 = nv == 2 ? s0 : x + j->pix[q + 1];
            VEC d0 = TILE(load)(dq), d1 = TILE(load)(dq + LANES);
#pragma GCC unroll 8
            for (int r = 0; r < kr; r++) {
                VEC x0 = SPLAT(s0[at[r]]), x1 = nv == 2 ? x0 : SPLAT(s1[at[r]]);
                acc[r][0] = FMA(x0, d0, acc[r][0]);
                acc[r][1] = FMA(x1, d1, acc[r][1]);
            }
        }
        if (whole < j->q)
            for (int r = 0; r < kr; r++)
                acc[r][0] = FMA(SPLAT(x[j->pix[whole] + at[r]]), TILE(load)(dq), acc[r][0]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kr; r++, sum += nv * LANES) {
        if (nv == 1) {
            TILE(store)(sum, TILE(load)(sum) + (acc[r][0] + acc[r][1]));
        } else {
            TILE(store)(sum, TILE(load)(sum) + acc[r][0]);
            TILE(store)(sum + LANES, TILE(load)(sum + LANES) + acc[r][1]);
        }
    }
}

/* Sums are panels [k][width], like d's [q][width]. */
static void TILE(multiply_channels)(const lg_conv_products *j, const void *xs, const void *ds,
                                    void *result) {
    const REAL *x = xs, *d = ds;
    REAL *sum = result;
    for (size_t m = 0; m < j->m;) {
        int nv = TILE(panel)(j->m, m);
        size_t width = (size_t)nv * LANES;
        for (size_t k = 0, kr; k < j->n_k; k += kr, sum += kr * width) {
            kr = j->n_k - k >= PR ? PR : j->n_k - k >= 4 ? 4 : j->n_k - k >= 2 ? 2 : 1;
            const ptrdiff_t *off = j->off + k;
            switch ((int)kr * 2 + nv - 1) {
            case PR * 2 + 1:
                TILE(taps)(j, x, off, d, sum, PR, 2);
                break;
            case PR * 2:
                TILE(taps)(j, x, off, d, sum, PR, 1);
                break;
#if PR > 4
            case 9:
                TILE(taps)(j, x, off, d, sum, 4, 2);
                break;
            case 8:
                TILE(taps)(j, x, off, d, sum, 4, 1);
                break;
#endif
            case 5:
                TILE(taps)(j, x, off, d, sum, 2, 2);
                break;
            case 4:
                TILE(taps)(j, x, off, d, sum, 2, 1);
                break;
            case 3:
                TILE(taps)(j, x, off, d, sum, 1, 2);
                break;
            default:
                TILE(taps)(j, x, off, d, sum, 1, 1);
                break;
            }
        }
        d += j->q * width;
        m += width;
    }
}

/* out[m][k] = the sum of n panels of sums, added in order. */
static void TILE(gather_channels)(void *const *sums, size_t n, size_t m, size_t n_k, void *result) {
    REAL *out = result, *first = sums[0];
    size_t padded = (m + LANES - 1) / LANES * LANES;
    for (size_t s = 1; s < n; s++) {
        const REAL *more = sums[s];
        for (size_t i = 0; i < padded * n_k; i += LANES)
            TILE(store)(first + i, TILE(load)(first + i) + TILE(load)(more + i));
    }
    for (size_t m0 = 0; m0 < m;) {
        size_t width = (size_t)TILE(panel)(m, m0) * LANES;
        for (size_t c = 0; c < width && m0 + c < m; c++)
            for (size_t k = 0; k < n_k; k++)
                out[(m0 + c) * n_k + k] = first[k * width + c];
        first += n_k * width;
        m0 += width;
    }
}
