/* conv_bundle.h: what the convolutions of images in bundles share (conv_bundle.c, its derivative
 * for the kernels in conv_bundle_dw.c): their sizes. Images are [.., bundles, C, H, W, 16]. */
#ifndef LG_CONV_BUNDLE_H
#define LG_CONV_BUNDLE_H
#include "ops/conv_shape.h"

/* The sizes of a convolution of bundles, of which each counts as one image; p: as in conv.c. */
lg_conv_shape lg_conv_bundle_shape(const lg_type *x, const lg_type *w, const lg_type *y,
                                   const int64_t *p);

bool lg_conv_bundle_forward(const lg_call *c);
size_t lg_conv_bundle_forward_scratch(const lg_node *n);
bool lg_conv_bundle_dx(const lg_call *c);
size_t lg_conv_bundle_dx_scratch(const lg_node *n);
bool lg_conv_bundle_dw(const lg_call *c);
size_t lg_conv_bundle_dw_scratch(const lg_node *n);
#endif
