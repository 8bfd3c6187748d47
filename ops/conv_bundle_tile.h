/* conv_bundle_tile.h: the inner loops of convolutions of images in bundles of 16, of which a pixel
 * is a vector: no lane is lost at the end of a row, and zeros around an image are not multiplied.
 * Included by conv_tile.h for each element type and vector unit; NV pixels make a tile. */

static void TILE(bundle)(const void *x, size_t n, void *result) {
    const REAL *from = x;
    REAL *out = result;
    size_t s = 0;
    for (; s + LANES <= n; s += LANES)
        for (size_t i = 0; i < LG_BUNDLE; i += LANES)
            TILE(turn_block)(from + i * n + s, n, LANES, out + s * LG_BUNDLE + i, LG_BUNDLE);
    for (; s < n; s++)
        for (size_t i = 0; i < LG_BUNDLE; i++)
            out[s * LG_BUNDLE + i] = from[i * n + s];
}

/* out[m*plane + to[v]] = sum over channels and taps, for mr outputs and np pixels. */
static inline __attribute__((always_inline)) void
TILE(bundle_block)(const lg_bundle_sums *j, const REAL *src, const ptrdiff_t *at, const REAL *w,
                   REAL *out, const ptrdiff_t *to, const int mr, const int np) {
    VEC acc[8][WIDE] = {{SPLAT(0)}};
    const REAL *from[WIDE];
#pragma GCC unroll 8
    for (int v = 0; v < np; v++)
        from[v] = src + at[v];
#pragma GCC unroll 8
    for (int m = 0; m < mr; m++)
#pragma GCC unroll 8
        for (int v = 0; v < np; v++)
            __builtin_prefetch(out + (size_t)m * j->plane + to[v], 1);
    for (size_t c = 0, channel = 0; c < j->n_c;
         c++, channel += j->c_step, w += j->c_weights * (size_t)mr) {
        for (const lg_bundle_tap *t = j->tap, *end = t + j->n_tap; t < end; t++) {
            ptrdiff_t o = t->off + (ptrdiff_t)channel;
            const REAL *wt = w + t->w * (size_t)mr;
            VEC x[WIDE];
#pragma GCC unroll 8
            for (int v = 0; v < np; v++)
                x[v] = TILE(load)(from[v] + o);
#pragma GCC unroll 8
            for (int m = 0; m < mr; m++) {
                VEC wm = SPLAT(wt[m]);
#pragma GCC unroll 8
                for (int v = 0; v < np; v++)
                    acc[m][v] = FMA(wm, x[v], acc[m][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int m = 0; m < mr; m++)
#pragma GCC unroll 8
        for (int v = 0; v < np; v++)
            TILE(store)(out + (size_t)m * j->plane + to[v], acc[m][v]);
}

static void TILE(bundle_pixels)(const lg_bundle_sums *j, const REAL *src, size_t m, int mr,
                                size_t p, int np, REAL *out) {
    const REAL *w = (const REAL *)j->w + m * j->n_c * j->c_weights;
    out += m * j->plane;
#define CASE(mr, np)                                                        \
    case (mr)*16 + (np):                                                    \
        TILE(bundle_block)(j, src, j->from + p, w, out, j->to + p, mr, np); \
        return;
    switch (mr * 16 + np) {
        CASE(8, 1)
        CASE(6, 1)
        CASE(4, 1)
        CASE(2, 1)
        CASE(1, 1)
        CASE(1, WIDE)
#if NV > 1
        CASE(8, 2)
        CASE(6, 2)
        CASE(4, 2) CASE(2, 2) CASE(1, 2) CASE(8, NV) CASE(6, NV) CASE(4, NV) CASE(2, NV) CASE(1, NV)
#endif
    }
#undef CASE
}

static void TILE(bundle_sums)(const lg_bundle_sums *j, const void *source, void *result) {
    for (size_t m = 0, mr; m < j->m; m += mr) {
        mr = (size_t)lg_conv_rows(j->m - m);
        for (size_t p = 0, np; p < j->n_pix; p += np) {
            size_t left = j->n_pix - p;
            np = mr == 1 && left >= WIDE ? WIDE : left >= NV ? NV : left;
            for (size_t part = 0; part < LG_BUNDLE; part += LANES)
                TILE(bundle_pixels)
            (j, (const REAL *)source + part, m, (int)mr, p, (int)np, (REAL *)result + part);
        }
    }
}

/* Adds to sum[i][k] the products of mr channels of d and nc of x in a window. */
static inline __attribute__((always_inline)) void
TILE(bundle_pairs)(const lg_bundle_products *j, const lg_bundle_window *in, const REAL *x,
                   const REAL *d, REAL *sum, const int mr, const int nc) {
    VEC acc[4][4];
#pragma GCC unroll 4
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int k = 0; k < nc; k++)
            acc[i][k] = TILE(load)(sum + (i * 4 + k) * LG_BUNDLE);
    for (size_t r = 0; r < in->rows; r++) {
        const REAL *xp = x + in->x + r * j->x_row, *dp = d + in->d + r * j->d_row;
        for (size_t n = 0; n < in->cols; n++, xp += j->x_col, dp += LG_BUNDLE) {
            VEC xs[4];
#pragma GCC unroll 4
            for (int k = 0; k < nc; k++)
                xs[k] = TILE(load)(xp + (size_t)k * j->x_step);
#pragma GCC unroll 4
            for (int i = 0; i < mr; i++) {
                VEC dm = TILE(load)(dp + (size_t)i * j->d_step);
                HOLD(dm);
#pragma GCC unroll 4
                for (int k = 0; k < nc; k++)
                    acc[i][k] = FMA(dm, xs[k], acc[i][k]);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int k = 0; k < nc; k++)
            TILE(store)(sum + (i * 4 + k) * LG_BUNDLE, acc[i][k]);
}

static void TILE(bundle_products)(const lg_bundle_products *j, const void *xs, const void *ds,
                                  size_t m, size_t n, void *sums) {
    for (size_t part = 0; part < LG_BUNDLE; part += LANES) {
        const REAL *x = (const REAL *)xs + part, *d = (const REAL *)ds + part;
        REAL *sum = (REAL *)sums + part;
#define CASE(m, n)                                                                        \
    case (m)*8 + (n):                                                                     \
        for (size_t t = 0; t < j->n_tap; t++)                                             \
            TILE(bundle_pairs)(j, j->tap + t, x, d, sum + t * (4 * 4 * LG_BUNDLE), m, n); \
        break;
        switch (m * 8 + n) {
            CASE(4, 4)
            CASE(4, 2) CASE(4, 1) CASE(2, 4) CASE(2, 2) CASE(2, 1) CASE(1, 4) CASE(1, 2) CASE(1, 1)
        }
#undef CASE
    }
}

static void TILE(bundle_lanes)(const void *sums, size_t n, void *out) {
    const REAL *from = sums;
    for (size_t k = 0; k < n; k += LANES) {
        VEC v[LANES];
#pragma GCC unroll 16
        for (size_t i = 0; i < LANES; i++) {
            v[i] = TILE(load)(from + (k + i) * LG_BUNDLE);
            for (size_t part = LANES; part < LG_BUNDLE; part += LANES)
                v[i] += TILE(load)(from + (k + i) * LG_BUNDLE + part);
        }
        TILE(store)((REAL *)out + k, TILE(across)(v));
    }
}
