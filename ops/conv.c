/* conv.c: two-dimensional convolution and its two derivatives, each of which is expressed by the
 * others, so any order of derivative is closed. One dimension is the case H = 1; pooling and
 * windows of one channel are written in the language. Not for how they are computed
 * (conv_forward.c, conv_dx.c, conv_dw.c).
 *
 *   conv2d    x[B.., C, H, W], w[O, C/groups, kh, kw]  ->  y[B.., O, OH, OW]
 *   conv2d_dx y, w -> x  (also the transposed convolution)     conv2d_dw  x, y -> w
 *
 * p = {sh, sw, top, bottom, left, right, dh, dw, groups, lanes}: strides, padding (not negative),
 * dilation. The first `lanes` dims of all three are lanes, each with kernels of its own: the ops
 * whose names end in `_each` have some, the others none. */
#include "ops/build.h"
#include "ops/conv_bundle.h"

/* ---- derivatives ---- */

enum { CONV, DX, DW };
static const lg_op *op_of(int which, bool each);

static lg_node *conv_node(const lg_rule_ctx *r, int which, lg_node *a, lg_node *b,
                          const lg_node *like, const lg_node *y) {
    return lg_rule_kernel(r, op_of(which, y->attr.p[9] > 0), 2, (lg_node *[]){a, b}, like->type,
                          y->attr.p, 10);
}

static bool forward_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *x = y->in[0], *w = y->in[1];
    dx[0] = conv_node(&r, DX, dy[0], w, x, y);
    dx[1] = conv_node(&r, DW, x, dy[0], w, y);
    return true;
}

static bool dx_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *d = y->in[0], *w = y->in[1];
    dx[0] = conv_node(&r, CONV, dy[0], w, d, y);
    dx[1] = conv_node(&r, DW, dy[0], d, w, y);
    return true;
}

static bool dw_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *x = y->in[0], *d = y->in[1];
    dx[0] = conv_node(&r, DX, d, dy[0], x, y);
    dx[1] = conv_node(&r, CONV, x, dy[0], d, y);
    return true;
}

static int64_t flops_of(const lg_type *x, const lg_type *w, const lg_type *y, const int64_t *p) {
    lg_conv_shape g = lg_conv_shape_of(x, w, y, p);
    return (int64_t)(2 * g.lanes * g.images * g.o * g.oh * g.ow * g.cg * g.taps);
}

static int64_t forward_flops(const lg_node *n) {
    return flops_of(&n->in[0]->type[0], &n->in[1]->type[0], &n->type[0], n->attr.p);
}

static int64_t dx_flops(const lg_node *n) {
    return flops_of(&n->type[0], &n->in[1]->type[0], &n->in[0]->type[0], n->attr.p);
}

static int64_t dw_flops(const lg_node *n) {
    return flops_of(&n->in[0]->type[0], &n->type[0], &n->in[1]->type[0], n->attr.p);
}

/* ---- the table: each of the three, with and without lanes ---- */

#define CONV_OP(NAME, WHICH, SIG, ...)                                    \
    static const lg_op op_##NAME = {.name = #NAME,                        \
                                    .sig = SIG,                           \
                                    .cls = LG_C_KERNEL,                   \
                                    .traits = LG_T_LINEAR | LG_T_PRODUCT, \
                                    .arity = 2,                           \
                                    .out_dtype = LG_NO_DTYPE,             \
                                    .vjp_fn = WHICH##_vjp,                \
                                    .run = lg_conv_##WHICH,               \
                                    .scratch = lg_conv_##WHICH##_scratch, \
                                    .flops = WHICH##_flops,               \
                                    __VA_ARGS__};
#define X(L) "float[" L "...B, C, H, W]"
#define W(L) "float[" L "O, C/groups, kh, kw]"
#define Y(L) "float[" L "...B, O, OH, OW]"
#define LANES "...L, "

CONV_OP(conv2d, forward, "(x: " X("") ", w: " W("") ") -> " Y(""),
        .doc = "Sliding dot products of an image with O kernels (no kernel is flipped).",
        .example = "conv2d([[[1.0, 2.0, 3.0]]], [[[[1.0, 1.0]]]])", .result = "[[[3, 5]]]")
CONV_OP(conv2d_dx, dx, "(y: " Y("") ", w: " W("") ") -> " X(""),
        .doc = "Transposed convolution: the derivative of conv2d for its image.")
CONV_OP(conv2d_dw, dw, "(x: " X("") ", y: " Y("") ") -> " W(""),
        .doc = "The derivative of conv2d for its kernels.")
CONV_OP(conv2d_each, forward, "(x: " X(LANES) ", w: " W(LANES) ") -> " Y(LANES),
        .doc = "conv2d with kernels of its own in each lane L.")
CONV_OP(conv2d_dx_each, dx, "(y: " Y(LANES) ", w: " W(LANES) ") -> " X(LANES),
        .doc = "conv2d_dx with kernels of its own in each lane L.")
CONV_OP(conv2d_dw_each, dw, "(x: " X(LANES) ", y: " Y(LANES) ") -> " W(LANES),
        .doc = "conv2d_dw for kernels of its own in each lane L.")

/* ---- images in bundles ---- */

static int64_t bundle_flops(const lg_type *x, const lg_type *w, const lg_type *y,
                            const int64_t *p) {
    lg_conv_shape g = lg_conv_bundle_shape(x, w, y, p);
    return (int64_t)(2 * LG_BUNDLE * g.images * g.o * g.oh * g.ow * g.cg * g.taps);
}

static int64_t bundle_forward_flops(const lg_node *n) {
    return bundle_flops(&n->in[0]->type[0], &n->in[1]->type[0], &n->type[0], n->attr.p);
}

static int64_t bundle_dx_flops(const lg_node *n) {
    return bundle_flops(&n->type[0], &n->in[1]->type[0], &n->in[0]->type[0], n->attr.p);
}

static int64_t bundle_dw_flops(const lg_node *n) {
    return bundle_flops(&n->in[0]->type[0], &n->type[0], &n->in[1]->type[0], n->attr.p);
}

#define BUNDLE_OP(NAME, WHICH, SIG, DOC)                                         \
    static const lg_op op_##NAME = {.name = #NAME,                               \
                                    .sig = SIG,                                  \
                                    .cls = LG_C_KERNEL,                          \
                                    .traits = LG_T_LINEAR | LG_T_PRODUCT,        \
                                    .arity = 2,                                  \
                                    .out_dtype = LG_NO_DTYPE,                    \
                                    .run = lg_conv_bundle_##WHICH,               \
                                    .scratch = lg_conv_bundle_##WHICH##_scratch, \
                                    .flops = bundle_##WHICH##_flops,             \
                                    .doc = DOC " of images in bundles of 16 (see bundle)."};
#define BX "float[N, C, H, W, 16]"
#define BY "float[N, O, OH, OW, 16]"
BUNDLE_OP(conv2d_bundled, forward, "(x: " BX ", w: " W("") ") -> " BY, "conv2d")
BUNDLE_OP(conv2d_dx_bundled, dx, "(y: " BY ", w: " W("") ") -> " BX, "conv2d_dx")
BUNDLE_OP(conv2d_dw_bundled, dw, "(x: " BX ", y: " BY ") -> " W(""), "conv2d_dw")

const lg_op *const lg_ops_conv[] = {&op_conv2d,
                                    &op_conv2d_dx,
                                    &op_conv2d_dw,
                                    &op_conv2d_each,
                                    &op_conv2d_dx_each,
                                    &op_conv2d_dw_each,
                                    &op_conv2d_bundled,
                                    &op_conv2d_dx_bundled,
                                    &op_conv2d_dw_bundled,
                                    &lg_op_bundle,
                                    NULL};

bool lg_conv_bundled(const lg_node *n, lg_bundled *b) {
    const lg_bundled all[] = {{&op_conv2d_bundled, 1, true},
                              {&op_conv2d_dx_bundled, 1, true},
                              {&op_conv2d_dw_bundled, 2, false}};
    const lg_type *t = &n->in[0]->type[0];
    for (int k = CONV; k <= DW; k++)
        if (n->op == op_of(k, false)) {
            *b = all[k];
            return t->rank == 4 && t->shape[0] > 0 && t->shape[0] % LG_BUNDLE == 0;
        }
    return false;
}

static const lg_op *op_of(int which, bool each) {
    return lg_ops_conv[which + (each ? 3 : 0)];
}
