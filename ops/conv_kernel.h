/* conv_kernel.h: the inner loops of convolutions, for the vector unit of this machine. Only conv.c
 * includes this, which lays out what they read. */
#ifndef LG_CONV_KERNEL_H
#define LG_CONV_KERNEL_H
#include "runtime/dtype.h"
#include <stddef.h>

/* out[m, r, c] = sum over k of w[k][m] * src[off[k] + r*pitch + c] */
typedef struct {
    size_t m, n_k, rows, cols, pitch;
    const ptrdiff_t *off;
    const void *w;                    /* packed by tiles of lg_conv_rows(): [k][mr] each */
    size_t plane, row_step, col_step; /* of the output, in elements */
    const ptrdiff_t *pix;             /* of the pixels, for tiles along channels */
} lg_correlation;

/* out[m, k] += sum over images and q of d[m][q] * x[off[k] + q] */
typedef struct {
    size_t m, n_k, q, images, x_step, d_step;
    const ptrdiff_t *off;
    const ptrdiff_t *pix; /* of the q, for tiles along channels; then d is panels [q][width] */
} lg_conv_products;

typedef struct {
    void (*correlate)(const lg_correlation *j, const void *src, void *out);
    void (*multiply)(const lg_conv_products *j, const void *x, const void *d, void *out);
    /* tiles along channels: conv_channel_tile.h */
    void (*correlate_channels)(const lg_correlation *j, const void *src, void *out);
    void (*multiply_channels)(const lg_conv_products *j, const void *x, const void *d, void *sums);
    void (*panels)(const void *x, size_t m, size_t n, void *out);
    void (*tap_panels)(const void *w, size_t o, size_t m, size_t taps, const size_t *tap, size_t n,
                       void *out);
    void (*gather_channels)(void *const *sums, size_t n, size_t m, size_t n_k, void *out);
} lg_conv_kernels;

enum { LG_CONV_SLACK = 64 }; /* elements that a tile may read past the last one it needs */

/* Rows of the next tile of a correlation, of `left` that are still to be done. */
static inline int lg_conv_rows(size_t left) {
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

const lg_conv_kernels *lg_conv_kernels_for(lg_dtype t);
#endif
