/* conv_shape.h: what the three convolutions of conv.c share: sizes, padded copies of images, places
 * of taps and pixels, packed weights. Only they include this; inner loops are in conv_kernel.h. */
#ifndef LG_CONV_SHAPE_H
#define LG_CONV_SHAPE_H
#include "ops/conv_kernel.h"
#include "runtime/graph.h"
#include <stdatomic.h>

/* The sizes of conv2d, whichever of the three computes which of x, w and y. */
typedef struct {
    lg_dtype t;
    size_t size; /* of an element */
    size_t images, c, h, w, o, oh, ow, kh, kw;
    size_t sh, sw, top, bottom, left, right, dh, dw, groups;
    size_t lanes, x_lane, w_lane, y_lane; /* how many, and their bytes */
    size_t cg, og, taps;                  /* channels and outputs of a group, kh*kw */
} lg_conv_shape;

/* p: parameters as conv.c documents them. */
lg_conv_shape lg_conv_shape_of(const lg_type *x, const lg_type *w, const lg_type *y,
                               const int64_t *p);
bool lg_conv_is_empty(const lg_conv_shape *g);
bool lg_conv_is_padded(const lg_conv_shape *g);

/* How vectors lie in the result of a product of m outputs: along whole rows, along the outputs, or
 * along rows one after the other with what is between them. The same on every machine, since
 * scratch is laid out by it. */
typedef enum { LG_CONV_ROWS, LG_CONV_CHANNELS, LG_CONV_GRID } lg_conv_kind;
lg_conv_kind lg_conv_kind_of(size_t m, size_t cols);
/* One of the three kinds of lg_conv_kernels. */
void lg_conv_correlate(lg_dtype t, lg_conv_kind kind, const lg_correlation *j, const void *src,
                       void *out);

enum { LG_CONV_PARTS = 64, LG_CONV_ROOMS = 16, LG_CONV_PIXELS = 16 };

static inline size_t lg_conv_max(size_t a, size_t b) {
    return a > b ? a : b;
}

static inline size_t lg_conv_min(size_t a, size_t b) {
    return a < b ? a : b;
}

static inline size_t lg_conv_ceil(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Scratch is cut into aligned pieces; without a base the sizes are only counted. */
typedef struct {
    char *base;
    size_t used;
} lg_conv_cutter;
void *lg_conv_cut(lg_conv_cutter *s, size_t n, size_t size);

/* Scratch of the parts that run at once: what one leaves the next finds in the caches. */
typedef struct {
    size_t n, bytes;
    char *at[LG_CONV_ROOMS];
    bool begun[LG_CONV_ROOMS];
    _Atomic uint32_t taken; /* a bit each */
} lg_conv_rooms;
void lg_conv_rooms_cut(lg_conv_rooms *r, lg_conv_cutter *k, size_t n, size_t bytes);
/* The number of a room that nobody else has; it was zeros when it was first given out. */
int lg_conv_room_take(lg_conv_rooms *r);
void lg_conv_room_give(lg_conv_rooms *r, int room);

/* Padded planes of an image, in elements: [channel][row residue][column residue][ph][pitch], the
 * residues modulo the strides; or plainly [channel][ph][pitch]. */
typedef struct {
    size_t pitch, ph, plane, image;
    size_t sh, sw; /* residues: the strides, or 1 and 1 */
} lg_conv_planes;
lg_conv_planes lg_conv_planes_of(const lg_conv_shape *g, bool sorted);
/* Copies an image of x into planes whose padding is zero already. */
void lg_conv_fill(const lg_conv_shape *g, const lg_conv_planes *s, const char *x, char *out);
/* Offsets of the taps of one group in them, in the order of w's last three axes. */
void lg_conv_offsets(const lg_conv_shape *g, const lg_conv_planes *s, ptrdiff_t *off);
/* Where the pixels of rows x cols begin; room for LG_CONV_PIXELS more. */
void lg_conv_list_pixels(size_t rows, size_t cols, size_t row_step, size_t col_step,
                         ptrdiff_t *pix);

/* Weights in tiles of lg_conv_rows(): at row m and place (o, tap) the element m*step_m + o*step_o +
 * tap[..] of w; tap: n_tap of them, NULL: from 0 on. */
typedef struct {
    size_t m, step_m, o, step_o;
    const size_t *tap;
    size_t n_tap;
} lg_conv_weights;
void lg_conv_pack(lg_dtype t, const lg_conv_weights *p, const void *w, void *out);

/* ---- the three, by their nodes ---- */
bool lg_conv_forward(const lg_call *c);
size_t lg_conv_forward_scratch(const lg_node *n);
bool lg_conv_dx(const lg_call *c);
size_t lg_conv_dx_scratch(const lg_node *n);
bool lg_conv_dw(const lg_call *c);
size_t lg_conv_dw_scratch(const lg_node *n);
#endif
