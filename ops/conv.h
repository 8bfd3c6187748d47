/* conv.h: convolutions as the compiler sees them: their forms for images in bundles. Not for how
 * they are computed (conv_shape.h, conv_bundle.h). */
#ifndef LG_CONV_H
#define LG_CONV_H
#include "runtime/op.h"

enum { LG_BUNDLE = 16 }; /* images of a bundle: of each pixel an element after the other */

/* The form of a convolution whose images lie in bundles, [N/16, C, H, W, 16]. */
typedef struct {
    const lg_op *op;
    int images; /* so many of its inputs, the first ones, are images; the others are kernels */
    bool makes_images;
} lg_bundled;
/* x in bundles along the axis p[0]; of f32 or f64. */
extern const lg_op lg_op_bundle;
/* False when n is no convolution, or not of a whole number of bundles. */
bool lg_conv_bundled(const struct lg_node *n, lg_bundled *b);
#endif
