/* conv_kernel.h: the inner loops of convolutions, for the vector unit of this machine. Only
 * conv_shape.h and the files of the three convolutions include this, which lay out what they read.
 */
#ifndef LG_CONV_KERNEL_H
#define LG_CONV_KERNEL_H
#include "ops/conv.h"
#include "runtime/dtype.h"
#include <stddef.h>

/* out[m, r, c] = sum over k of w[k][m] * src[off[k] + r*pitch + c] */
typedef struct lg_correlation {
    size_t m, n_k, rows, cols, pitch;
    const ptrdiff_t *off;
    const void *w;                    /* packed by tiles of lg_conv_rows(): [k][mr] each */
    size_t plane, row_step, col_step; /* of the output, in elements */
    const ptrdiff_t *pix;             /* of the pixels, for tiles along channels */
    /* With a col_step of 2: what stands between these columns, done with them; or NULL. It differs
     * in n_k, off, w and pix alone. */
    const struct lg_correlation *odd;
} lg_correlation;

/* out[m, k] += sum over images and q of d[m][q] * x[off[k] + place of q]; pix lists the places: of
 * every q for tiles along channels, where d is panels [q][width], else of every 16th, from which on
 * 16 follow each other. */
typedef struct {
    size_t m, n_k, q, images, x_step, d_step;
    const ptrdiff_t *off, *pix;
} lg_conv_products;

/* ---- images in bundles ---- */

/* A tap of a kernel: its distance from a pixel of the result, in elements, and its weight's number
 * among those of a channel. */
typedef struct {
    ptrdiff_t off;
    size_t w;
} lg_bundle_tap;

/* out[m*plane + to[p]] = sum over c and taps of w[c][tap][m] * src[from[p] + c*c_step + off] */
typedef struct {
    size_t m, n_c, c_step, n_tap, c_weights, n_pix, plane; /* c_weights: weights of a channel */
    const lg_bundle_tap *tap;
    const ptrdiff_t *from, *to;
    const void *w; /* packed by tiles of lg_conv_rows(): [c][tap][mr] each */
} lg_bundle_sums;

/* sum[tap][i][k] += sum over the tap's rows and cols of d[i*d_step + ..] * x[k*x_step + ..], lane
 * by lane; offsets in elements, of the first channel. */
typedef struct {
    size_t rows, cols, d, x;
} lg_bundle_window;
typedef struct {
    size_t n_tap, d_row, d_step, x_row, x_col, x_step;
    const lg_bundle_window *tap;
} lg_bundle_products;

typedef struct {
    /* cols of any number; of whole vectors (a multiple of 16); tiles along channels */
    void (*correlate)(const lg_correlation *j, const void *src, void *out);
    void (*correlate_rows)(const lg_correlation *j, const void *src, void *out);
    void (*correlate_channels)(const lg_correlation *j, const void *src, void *out);
    /* cols of whole vectors; tiles along channels */
    void (*multiply)(const lg_conv_products *j, const void *x, const void *d, void *out);
    void (*multiply_channels)(const lg_conv_products *j, const void *x, const void *d, void *sums);
    void (*panels)(const void *x, size_t m, size_t n, void *out);
    void (*tap_panels)(const void *w, size_t o, size_t m, size_t taps, const size_t *tap, size_t n,
                       void *out);
    void (*gather_channels)(void *const *sums, size_t n, size_t m, size_t n_k, void *out);
    /* rows of n elements, each `step` from the next; rows begin from_row and to_row apart */
    void (*pick_rows)(const void *from, size_t step, size_t n, size_t from_row, size_t rows,
                      void *to, size_t to_row);
    /* out[16*s + i] = x[i*n + s], for 16 rows of n elements */
    void (*bundle)(const void *x, size_t n, void *out);
    void (*bundle_sums)(const lg_bundle_sums *j, const void *src, void *out);
    /* m and n channels of d and x, of 1, 2 or 4; sum: [n_tap][4][4] bundles */
    void (*bundle_products)(const lg_bundle_products *j, const void *x, const void *d, size_t m,
                            size_t n, void *sum);
    /* out[i] = the sum of bundle i, of n, a multiple of 16 */
    void (*bundle_lanes)(const void *sums, size_t n, void *out);
} lg_conv_kernels;

enum { LG_CONV_SLACK = 64 }; /* elements that a tile may read past the last one it needs */

/* Rows of the next tile of a correlation, of `left` that are still to be done. */
static inline int lg_conv_rows(size_t left) {
    return left >= 8 ? 8 : left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

const lg_conv_kernels *lg_conv_kernels_for(lg_dtype t);
#endif
