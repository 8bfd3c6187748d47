/* conv_shape.c: sizes of convolutions, padded copies of images, places of taps and pixels, packed
 * weights. Not for what is computed from them (conv_forward.c, conv_dx.c, conv_dw.c). */
#include "ops/conv_shape.h"
#include "runtime/pool.h"
#include <sched.h>
#include <string.h>

/* ---- sizes ---- */

lg_conv_shape lg_conv_shape_of(const lg_type *x, const lg_type *w, const lg_type *y,
                               const int64_t *p) {
    int lanes = (int)p[9];
    assert(x->rank >= 3 + lanes && y->rank == x->rank && w->rank == 4 + lanes);
    assert(p[0] > 0 && p[1] > 0 && p[6] > 0 && p[7] > 0 && p[8] > 0);
    assert(p[2] >= 0 && p[3] >= 0 && p[4] >= 0 && p[5] >= 0);
    const int64_t *xs = x->shape + x->rank - 3, *ys = y->shape + y->rank - 3,
                  *ws = w->shape + lanes;
    lg_conv_shape g = {.t = x->dtype,
                       .size = lg_dtype_size(x->dtype),
                       .images = 1,
                       .lanes = 1,
                       .c = (size_t)xs[0],
                       .h = (size_t)xs[1],
                       .w = (size_t)xs[2],
                       .o = (size_t)ys[0],
                       .oh = (size_t)ys[1],
                       .ow = (size_t)ys[2],
                       .kh = (size_t)ws[2],
                       .kw = (size_t)ws[3],
                       .sh = (size_t)p[0],
                       .sw = (size_t)p[1],
                       .top = (size_t)p[2],
                       .bottom = (size_t)p[3],
                       .left = (size_t)p[4],
                       .right = (size_t)p[5],
                       .dh = (size_t)p[6],
                       .dw = (size_t)p[7],
                       .groups = (size_t)p[8]};
    for (int d = 0; d < x->rank - 3; d++)
        *(d < lanes ? &g.lanes : &g.images) *= (size_t)x->shape[d];
    g.cg = g.c / g.groups;
    g.og = g.o / g.groups;
    g.taps = g.kh * g.kw;
    g.x_lane = g.images * g.c * g.h * g.w * g.size;
    g.w_lane = g.o * g.cg * g.taps * g.size;
    g.y_lane = g.images * g.o * g.oh * g.ow * g.size;
    assert((int64_t)g.cg == ws[1] && (int64_t)g.o == ws[0]);
    return g;
}

bool lg_conv_is_empty(const lg_conv_shape *g) {
    return g->lanes * g->images * g->c * g->h * g->w * g->o * g->oh * g->ow * g->taps == 0;
}

bool lg_conv_is_padded(const lg_conv_shape *g) {
    return g->top + g->bottom + g->left + g->right > 0;
}

lg_conv_kind lg_conv_kind_of(size_t m, size_t cols) {
    return cols % 16 == 0 ? LG_CONV_ROWS : m % 16 == 0 ? LG_CONV_CHANNELS : LG_CONV_GRID;
}

void lg_conv_correlate(lg_dtype t, lg_conv_kind kind, const lg_correlation *j, const void *src,
                       void *out) {
    const lg_conv_kernels *k = lg_conv_kernels_for(t);
    switch (kind) {
    case LG_CONV_ROWS:
        k->correlate_rows(j, src, out);
        return;
    case LG_CONV_CHANNELS:
        k->correlate_channels(j, src, out);
        return;
    case LG_CONV_GRID:
        k->correlate(j, src, out);
        return;
    }
}

void *lg_conv_cut(lg_conv_cutter *s, size_t n, size_t size) {
    void *p = s->base ? s->base + s->used : NULL;
    s->used += (n * size + 63) & ~(size_t)63;
    return p;
}

/* ---- rooms ---- */

void lg_conv_rooms_cut(lg_conv_rooms *r, lg_conv_cutter *k, size_t n, size_t bytes) {
    *r = (lg_conv_rooms){.n = lg_conv_min(n, LG_CONV_ROOMS), .bytes = bytes};
    for (size_t i = 0; i < r->n; i++)
        r->at[i] = lg_conv_cut(k, bytes, 1);
}

/* With more threads than rooms some wait here for a whole part. */
static int room_free(lg_conv_rooms *r) {
    for (int tries = 1;; tries++) {
        uint32_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
        int room = 0;
        while (taken >> room & 1)
            room++;
        if (room < (int)r->n &&
            atomic_compare_exchange_weak_explicit(&r->taken, &taken, taken | 1u << room,
                                                  memory_order_acquire, memory_order_relaxed))
            return room;
        if (tries % 1024 == 0)
            sched_yield();
        lg_pause();
    }
}

int lg_conv_room_take(lg_conv_rooms *r) {
    int room = room_free(r);
    if (!r->begun[room])
        memset(r->at[room], 0, r->bytes);
    r->begun[room] = true;
    return room;
}

void lg_conv_room_give(lg_conv_rooms *r, int room) {
    atomic_fetch_and_explicit(&r->taken, ~(1u << room), memory_order_release);
}

/* ---- planes ---- */

/* With stride 1 the padding right of a row is also that left of the next. */
lg_conv_planes lg_conv_planes_of(const lg_conv_shape *g, bool sorted) {
    lg_conv_planes s = {.sh = sorted ? g->sh : 1, .sw = sorted ? g->sw : 1};
    s.pitch = s.sw == 1 ? lg_conv_max(g->ow, g->w + lg_conv_max(g->left, g->right))
                        : lg_conv_ceil(g->w + g->left + g->right, s.sw);
    s.ph = lg_conv_ceil(g->h + g->top + g->bottom, s.sh);
    s.plane = s.ph * s.pitch;
    s.image = g->c * s.sh * s.sw * s.plane + g->right + LG_CONV_SLACK;
    return s;
}

/* The rows with residue py and in them the columns with residue px, of one channel. */
static void fill_residue(const lg_conv_shape *g, const lg_conv_planes *s, size_t py, size_t px,
                         const char *x, char *out) {
    /* the first row i with (i + top) % sh == py, and the first column likewise */
    size_t i = (py + s->sh - g->top % s->sh) % s->sh, j = (px + s->sw - g->left % s->sw) % s->sw;
    if (i >= g->h || j >= g->w)
        return;
    char *to = out + ((py * s->sw + px) * s->plane + (i + g->top) / s->sh * s->pitch +
                      (j + g->left) / s->sw) *
                         g->size;
    lg_conv_kernels_for(g->t)->pick_rows(x + (i * g->w + j) * g->size, s->sw,
                                         lg_conv_ceil(g->w - j, s->sw), s->sh * g->w,
                                         lg_conv_ceil(g->h - i, s->sh), to, s->pitch);
}

void lg_conv_fill(const lg_conv_shape *g, const lg_conv_planes *s, const char *x, char *out) {
    size_t planes = s->sh * s->sw;
    for (size_t c = 0; c < g->c; c++)
        for (size_t r = 0; r < planes; r++)
            fill_residue(g, s, r / s->sw, r % s->sw, x + c * g->h * g->w * g->size,
                         out + c * planes * s->plane * g->size);
}

void lg_conv_offsets(const lg_conv_shape *g, const lg_conv_planes *s, ptrdiff_t *off) {
    for (size_t c = 0; c < g->cg; c++)
        for (size_t i = 0; i < g->kh; i++)
            for (size_t j = 0; j < g->kw; j++) {
                size_t y = i * g->dh, x = j * g->dw;
                size_t plane = (c * s->sh + y % s->sh) * s->sw + x % s->sw;
                *off++ = (ptrdiff_t)(plane * s->plane + y / s->sh * s->pitch + x / s->sw);
            }
}

void lg_conv_list_pixels(size_t rows, size_t cols, size_t row_step, size_t col_step,
                         ptrdiff_t *pix) {
    size_t n = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            pix[n++] = (ptrdiff_t)(r * row_step + c * col_step);
    while (n % LG_CONV_PIXELS)
        pix[n++] = 0;
}

/* ---- packed weights ---- */

/* Rows m0 .. m0+mr of all places, for elements of one size. */
#define PACK(name, real)                                                                          \
    static real *name(const lg_conv_weights *p, const real *w, size_t m0, size_t mr, real *out) { \
        for (size_t o = 0; o < p->o; o++)                                                         \
            for (size_t t = 0; t < p->n_tap; t++) {                                               \
                const real *from = w + m0 * p->step_m + o * p->step_o + (p->tap ? p->tap[t] : t); \
                for (size_t i = 0; i < mr; i++)                                                   \
                    *out++ = from[i * p->step_m];                                                 \
            }                                                                                     \
        return out;                                                                               \
    }
PACK(pack_f32, float)
PACK(pack_f64, double)
#undef PACK

void lg_conv_pack(lg_dtype t, const lg_conv_weights *p, const void *w, void *out) {
    for (size_t m = 0, mr; m < p->m; m += mr) {
        mr = (size_t)lg_conv_rows(p->m - m);
        out = t == LG_F64 ? (void *)pack_f64(p, w, m, mr, out) : (void *)pack_f32(p, w, m, mr, out);
    }
}
