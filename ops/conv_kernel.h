/* conv_kernel.h: the inner loops of convolutions, for the vector unit of this machine. Only
 * conv_shape.h and the files of the three convolutions include this, which lay out what they read.
 */
#ifndef LG_CONV_KERNEL_H
#define LG_CONV_KERNEL_H
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
} lg_conv_kernels;

enum { LG_CONV_SLACK = 64 }; /* elements that a tile may read past the last one it needs */

/* Rows of the next tile of a correlation, of `left` that are still to be done. */
static inline int lg_conv_rows(size_t left) {
    return left >= 8 ? 8 : left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

const lg_conv_kernels *lg_conv_kernels_for(lg_dtype t);
#endif
