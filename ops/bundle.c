/* bundle.c: images laid side by side in bundles of 16, as the convolutions of conv_bundle.c read
 * them: y[a, n, s, i] = x[a, 16*n + i, s]. The way back is a view. */
#include "ops/conv_kernel.h"
#include "runtime/plan.h"

typedef struct {
    lg_dtype t;
    size_t bundles, inner; /* bundles of all images, elements of an image */
    const char *x;
    char *y;
} job;

static void part(void *ctx, int at, int parts) {
    const job *f = ctx;
    const lg_conv_kernels *k = lg_conv_kernels_for(f->t);
    size_t bytes = LG_BUNDLE * f->inner * lg_dtype_size(f->t);
    size_t begin = f->bundles * (size_t)at / (size_t)parts;
    for (size_t b = begin; b < f->bundles * ((size_t)at + 1) / (size_t)parts; b++)
        k->bundle(f->x + b * bytes, f->inner, f->y + b * bytes);
}

static bool run(const lg_call *c) {
    enum { ALONE = 4096, PARTS = 16 };
    const lg_type *t = &c->node->in[0]->type[0];
    size_t n = lg_type_count(t);
    job f = {.t = t->dtype, .inner = 1, .x = c->in[0], .y = c->out[0]};
    for (int d = (int)c->node->attr.p[0] + 1; d < t->rank; d++)
        f.inner *= (size_t)t->shape[d];
    f.bundles = f.inner ? n / f.inner / LG_BUNDLE : 0;
    lg_pool_run(part, &f, n < ALONE ? 1 : PARTS);
    return true;
}

const lg_op lg_op_bundle = {
    .name = "bundle",
    .sig = "(x: float[...A, N, ...S]) -> float[...A, N/16, ...S, 16]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .run = run,
    .doc = "16 images side by side, of which each element is a vector. The axis is p[0]."};
