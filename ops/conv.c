/* conv.c: two-dimensional convolution and its two derivatives, each of which is expressed by the
 * others, so any order of derivative is closed. One dimension is the case H = 1; pooling and
 * windows of one channel are written in the language.
 *
 *   conv2d    x[B.., C, H, W], w[O, C/groups, kh, kw]  ->  y[B.., O, OH, OW]
 *   conv2d_dx y, w -> x  (also the transposed convolution)     conv2d_dw  x, y -> w
 *
 * p = {sh, sw, top, bottom, left, right, dh, dw, groups, lanes}: strides, padding (not negative),
 * dilation. The first `lanes` dims of all three are lanes, each with kernels of its own: the ops
 * whose names end in `_each` have some, the others none. No image is unrolled: an image is copied
 * once into zero-padded planes, one for each residue modulo the stride, so that every tap of the
 * kernel is a constant offset into them and the output, row pitch included, is one long dot product
 * of rows at offsets: a matrix product whose second factor is read where it lies. The few elements
 * between rows are computed and dropped.
 *
 * With many outputs the vectors run along these instead (conv_channel_tile.h): single pixels are
 * read at any stride, so planes are the image with zeros around it, or the image itself. */
#include "ops/build.h"
#include "ops/conv_kernel.h"
#include "runtime/plan.h"
#include <string.h>

/* ---- geometry ---- */

typedef struct {
    lg_dtype t;
    size_t size; /* of an element */
    size_t images, c, h, w, o, oh, ow, kh, kw;
    size_t sh, sw, top, bottom, left, right, dh, dw, groups;
    size_t lanes, x_lane, w_lane, y_lane; /* how many, and their bytes */
    size_t cg, og, taps;                  /* channels and outputs of a group, kh*kw */
} geometry;

/* The three types of a convolution, whichever of its three ops it is. */
static geometry geometry_of(const lg_type *x, const lg_type *w, const lg_type *y,
                            const int64_t *p) {
    int lanes = (int)p[9];
    assert(x->rank >= 3 + lanes && y->rank == x->rank && w->rank == 4 + lanes);
    assert(p[0] > 0 && p[1] > 0 && p[6] > 0 && p[7] > 0 && p[8] > 0);
    assert(p[2] >= 0 && p[3] >= 0 && p[4] >= 0 && p[5] >= 0);
    const int64_t *xs = x->shape + x->rank - 3, *ys = y->shape + y->rank - 3,
                  *ws = w->shape + lanes;
    geometry g = {.t = x->dtype,
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

static geometry forward_geometry(const lg_node *n) {
    return geometry_of(&n->in[0]->type[0], &n->in[1]->type[0], &n->type[0], n->attr.p);
}

static geometry dx_geometry(const lg_node *n) {
    return geometry_of(&n->type[0], &n->in[1]->type[0], &n->in[0]->type[0], n->attr.p);
}

static geometry dw_geometry(const lg_node *n) {
    return geometry_of(&n->in[0]->type[0], &n->type[0], &n->in[1]->type[0], n->attr.p);
}

static bool is_empty(const geometry *g) {
    return g->lanes * g->images * g->c * g->h * g->w * g->o * g->oh * g->ow * g->taps == 0;
}

static size_t max_of(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t min_of(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* Scratch is cut into aligned pieces; without a base the sizes are only counted. */
typedef struct {
    char *base;
    size_t used;
} cutter;

static void *cut(cutter *s, size_t n, size_t size) {
    void *p = s->base ? s->base + s->used : NULL;
    s->used += (n * size + 63) & ~(size_t)63;
    return p;
}

enum { PARTS = 16 }; /* shares of the images that may run at once */

/* ---- padded planes of x: [channel][row residue][column residue][ph][pitch] ---- */

typedef struct {
    size_t pitch, ph, plane, image; /* elements of a plane, of an image */
} planes;

/* Do the vectors of a product of m outputs lie along them? The same on every machine, since scratch
 * is laid out by it. */
static bool by_channels(size_t m) {
    return m % 32 == 0;
}

static size_t whole_panels(size_t m) {
    return ceil_div(m, 16) * 16;
}

/* Planes that are not sorted by residues; none where the image can be read as it lies. */
static planes plain_planes(const geometry *g) {
    planes s;
    s.pitch = g->w + max_of(g->left, g->right);
    s.ph = g->h + g->top + g->bottom;
    s.plane = s.ph * s.pitch;
    s.image = g->c * s.plane + g->right + LG_CONV_SLACK;
    return s;
}

static bool is_padded(const geometry *g) {
    return g->top + g->bottom + g->left + g->right > 0;
}

/* Rows of n bytes; most are short. */
static inline void copy_row(char *to, const char *from, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        memcpy(to + i, from + i, 32);
    for (; i + 4 <= n; i += 4)
        memcpy(to + i, from + i, 4);
}

static void fill_plain(const geometry *g, const planes *s, const char *x, char *out) {
    size_t row = g->w * g->size;
    for (size_t c = 0; c < g->c; c++)
        for (size_t i = 0; i < g->h; i++, x += row)
            copy_row(out + (c * s->plane + (i + g->top) * s->pitch + g->left) * g->size, x, row);
}

static void plain_offsets(const geometry *g, const planes *s, ptrdiff_t *off) {
    for (size_t c = 0; c < g->cg; c++)
        for (size_t i = 0; i < g->kh; i++)
            for (size_t j = 0; j < g->kw; j++)
                *off++ = (ptrdiff_t)(c * s->plane + i * g->dh * s->pitch + j * g->dw);
}

enum { PIXELS = 16 }; /* tables of pixels are whole multiples of it */

/* Where the pixels of rows x cols begin, then the first one again. */
static void list_pixels(size_t rows, size_t cols, size_t row_step, size_t col_step,
                        ptrdiff_t *pix) {
    size_t n = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            pix[n++] = (ptrdiff_t)(r * row_step + c * col_step);
    while (n % PIXELS)
        pix[n++] = 0;
}

/* With stride 1 the padding right of a row is also that left of the next. */
static planes planes_of_x(const geometry *g) {
    planes s;
    s.pitch = g->sw == 1 ? max_of(g->ow, g->w + max_of(g->left, g->right))
                         : ceil_div(g->w + g->left + g->right, g->sw);
    s.ph = ceil_div(g->h + g->top + g->bottom, g->sh);
    s.plane = s.ph * s.pitch;
    s.image = g->c * g->sh * g->sw * s.plane + g->right + LG_CONV_SLACK;
    return s;
}

static void copy_strided(size_t size, const void *in, size_t in_step, size_t n, void *out) {
    if (size == 8)
        for (size_t i = 0; i < n; i++)
            ((double *)out)[i] = ((const double *)in)[i * in_step];
    else
        for (size_t i = 0; i < n; i++)
            ((float *)out)[i] = ((const float *)in)[i * in_step];
}

/* Copies one image into planes whose padding is zero already. */
static void fill_planes(const geometry *g, const planes *s, const char *x, char *out) {
    for (size_t c = 0; c < g->c; c++)
        for (size_t i = 0; i < g->h; i++) {
            const char *row = x + (c * g->h + i) * g->w * g->size;
            size_t at_y = i + g->top;
            for (size_t px = 0; px < g->sw; px++) {
                /* first column j with (j + left) % sw == px */
                size_t j = (px + g->sw - g->left % g->sw) % g->sw;
                if (j >= g->w)
                    continue;
                size_t plane = (c * g->sh + at_y % g->sh) * g->sw + px;
                char *to =
                    out +
                    (plane * s->plane + at_y / g->sh * s->pitch + (j + g->left) / g->sw) * g->size;
                if (g->sw == 1)
                    memcpy(to, row, g->w * g->size);
                else
                    copy_strided(g->size, row + j * g->size, g->sw, ceil_div(g->w - j, g->sw), to);
            }
        }
}

/* Offsets of the taps of one group, in the order of w's last three axes. */
static void offsets_of_x(const geometry *g, const planes *s, ptrdiff_t *off) {
    for (size_t c = 0; c < g->cg; c++)
        for (size_t i = 0; i < g->kh; i++)
            for (size_t j = 0; j < g->kw; j++) {
                size_t y = i * g->dh, x = j * g->dw;
                size_t plane = (c * g->sh + y % g->sh) * g->sw + x % g->sw;
                *off++ = (ptrdiff_t)(plane * s->plane + y / g->sh * s->pitch + x / g->sw);
            }
}

/* ---- packed weights ---- */

/* Element of w that stands at row m and place k of a product. */
typedef size_t (*weight_at)(const geometry *g, const void *ctx, size_t m, size_t k);

static void pack_weights(const geometry *g, const char *w, size_t m, size_t n_k, weight_at at,
                         const void *ctx, char *out) {
    for (size_t m0 = 0; m0 < m;) {
        size_t mr = (size_t)lg_conv_rows(m - m0);
        for (size_t k = 0; k < n_k; k++)
            for (size_t i = 0; i < mr; i++, out += g->size)
                memcpy(out, w + at(g, ctx, m0 + i, k) * g->size, g->size);
        m0 += mr;
    }
}

/* ---- conv2d ---- */

typedef struct {
    geometry g;
    planes s;
    size_t n_k, parts;
    bool channels; /* tiles along channels */
    ptrdiff_t *off, *pix;
    char *w, *image[PARTS];
    const char *x;
    char *y;
} forward_job;

static size_t forward_cut(const lg_node *n, char *base, forward_job *f) {
    cutter k = {base, 0};
    f->g = forward_geometry(n);
    f->channels = by_channels(f->g.og);
    f->s = f->channels ? plain_planes(&f->g) : planes_of_x(&f->g);
    f->n_k = f->g.cg * f->g.taps;
    f->parts = min_of(f->g.images, PARTS);
    f->off = cut(&k, f->n_k, sizeof *f->off);
    f->pix = cut(&k, f->channels ? f->g.oh * f->g.ow + PIXELS : 0, sizeof *f->pix);
    f->w = cut(&k, f->g.o * f->n_k, f->g.size);
    for (size_t i = 0; i < f->parts; i++)
        f->image[i] = cut(&k, f->s.image, f->g.size);
    return k.used;
}

static size_t forward_scratch(const lg_node *n) {
    forward_job f;
    return forward_cut(n, NULL, &f);
}

static size_t forward_weight(const geometry *g, const void *ctx, size_t m, size_t k) {
    (void)ctx;
    return m * g->cg * g->taps + k;
}

/* The image itself, or its copy with zeros around it. */
static const char *forward_planes(const forward_job *f, size_t b, char *room) {
    const geometry *g = &f->g;
    const char *x = f->x + b * g->c * g->h * g->w * g->size;
    if (!f->channels)
        fill_planes(g, &f->s, x, room);
    else if (is_padded(g))
        fill_plain(g, &f->s, x, room);
    else
        return x;
    return room;
}

static void forward_part(void *ctx, int part, int parts) {
    const forward_job *f = ctx;
    const geometry *g = &f->g;
    const lg_conv_kernels *kernel = lg_conv_kernels_for(g->t);
    char *room = f->image[part];
    size_t n = (size_t)parts, at = (size_t)part, plane = g->oh * g->ow;
    size_t group = g->cg * f->s.plane * (f->channels ? 1 : g->sh * g->sw) * g->size;
    lg_correlation j = {.m = g->og,
                        .n_k = f->n_k,
                        .rows = g->oh,
                        .cols = g->ow,
                        .pitch = f->s.pitch,
                        .off = f->off,
                        .plane = plane,
                        .row_step = g->ow,
                        .col_step = 1,
                        .pix = f->pix};
    if (!f->channels || is_padded(g))
        memset(room, 0, f->s.image * g->size);
    for (size_t b = g->images * at / n; b < g->images * (at + 1) / n; b++) {
        const char *image = forward_planes(f, b, room);
        for (size_t q = 0; q < g->groups; q++) {
            j.w = f->w + q * g->og * f->n_k * g->size;
            (f->channels ? kernel->correlate_channels : kernel->correlate)(
                &j, image + q * group, f->y + (b * g->o + q * g->og) * plane * g->size);
        }
    }
}

/* Offsets, pixels and weights as the tiles want them. */
static void forward_prepare(const forward_job *f, const char *w) {
    const geometry *g = &f->g;
    for (size_t q = 0; q < g->groups; q++) {
        size_t at = q * g->og * f->n_k * g->size;
        if (f->channels)
            lg_conv_kernels_for(g->t)->panels(w + at, g->og, f->n_k, f->w + at);
        else
            pack_weights(g, w + at, g->og, f->n_k, forward_weight, NULL, f->w + at);
    }
}

static void clear_out(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    memset(c->out[0], 0, lg_type_count(t) * lg_dtype_size(t->dtype));
}

static bool forward_run(const lg_call *c) {
    forward_job f;
    forward_cut(c->node, c->scratch, &f);
    if (is_empty(&f.g)) {
        clear_out(c);
        return true;
    }
    if (f.channels) {
        plain_offsets(&f.g, &f.s, f.off);
        list_pixels(f.g.oh, f.g.ow, f.g.sh * f.s.pitch, f.g.sw, f.pix);
    } else {
        offsets_of_x(&f.g, &f.s, f.off);
    }
    for (size_t lane = 0; lane < f.g.lanes; lane++) {
        f.x = (const char *)c->in[0] + lane * f.g.x_lane;
        f.y = (char *)c->out[0] + lane * f.g.y_lane;
        forward_prepare(&f, (const char *)c->in[1] + lane * f.g.w_lane);
        lg_pool_run(forward_part, &f, (int)f.parts);
    }
    return true;
}

/* ---- conv2d_dx ----
 *
 * x[Y - top] for Y = t*sh + r takes y[t - e] from the taps with i*dh = e*sh + r: one stride-1
 * correlation over y for each pair of residues. */

typedef struct {
    size_t residue, first, n; /* t runs from first, n values */
    size_t out;               /* where t = first lands in x */
} residue_range;

/* The t of one residue that land inside an axis of x of the given size. */
static residue_range range_of(size_t residue, size_t stride, size_t pad, size_t size) {
    residue_range r = {residue, residue >= pad ? 0 : ceil_div(pad - residue, stride), 0, 0};
    size_t begin = r.first * stride + residue;
    if (begin < pad + size) {
        r.n = ceil_div(pad + size - begin, stride);
        r.out = begin - pad;
    }
    return r;
}

/* Zeros before y along an axis, and its padded extent, so that all reads stay inside. */
typedef struct {
    size_t before, extent, most;
} axis_frame;

static axis_frame frame_of(size_t stride, size_t pad, size_t size, size_t out, size_t k,
                           size_t dilation) {
    axis_frame a = {0, 0, 0};
    size_t reach = (k - 1) * dilation / stride, after = 0;
    for (size_t r = 0; r < stride; r++) {
        residue_range t = range_of(r, stride, pad, size);
        if (t.n == 0)
            continue;
        a.before = max_of(a.before, reach > t.first ? reach - t.first : 0);
        after = max_of(after, t.first + t.n > out ? t.first + t.n - out : 0);
        a.most = max_of(a.most, t.n);
    }
    a.extent = out + max_of(a.before, after);
    return a;
}

typedef struct {
    geometry g;
    axis_frame fy, fx;
    planes s; /* of y */
    size_t parts;
    bool channels;  /* tiles along channels */
    ptrdiff_t *off; /* of each pair of residues in turn */
    ptrdiff_t *pix; /* likewise, with `pixels` for each */
    size_t pixels;
    size_t *tap;  /* likewise: which tap each place of a product is */
    size_t *taps; /* how many taps a pair has */
    char *w, *image[PARTS];
    const char *y;
    char *x;
} dx_job;

static size_t dx_cut(const lg_node *n, char *base, dx_job *f) {
    cutter k = {base, 0};
    geometry *g = &f->g;
    *g = dx_geometry(n);
    if (is_empty(g))
        return 0;
    f->fy = frame_of(g->sh, g->top, g->h, g->oh, g->kh, g->dh);
    f->fx = frame_of(g->sw, g->left, g->w, g->ow, g->kw, g->dw);
    f->s.pitch = max_of(f->fx.extent, f->fx.most);
    f->s.ph = f->fy.before + f->fy.extent;
    f->s.plane = f->s.ph * f->s.pitch;
    f->s.image = g->o * f->s.plane + f->s.pitch + LG_CONV_SLACK;
    f->parts = min_of(g->images, PARTS);
    f->channels = by_channels(g->cg);
    f->pixels = f->channels ? ceil_div(f->fy.most * f->fx.most, PIXELS) * PIXELS : 0;
    f->off = cut(&k, g->og * g->taps, sizeof *f->off);
    f->pix = cut(&k, f->pixels * g->sh * g->sw, sizeof *f->pix);
    f->tap = cut(&k, g->taps, sizeof *f->tap);
    f->taps = cut(&k, g->sh * g->sw, sizeof *f->taps);
    f->w = cut(&k, g->c * g->og * g->taps, g->size);
    for (size_t i = 0; i < f->parts; i++)
        f->image[i] = cut(&k, f->s.image, g->size);
    return k.used;
}

static size_t dx_scratch(const lg_node *n) {
    dx_job f;
    return dx_cut(n, NULL, &f);
}

/* Lists the taps of a pair of residues and their offsets for every output channel. */
static size_t list_taps(const dx_job *f, size_t ry, size_t rx, size_t *tap, ptrdiff_t *off) {
    const geometry *g = &f->g;
    residue_range ty = range_of(ry, g->sh, g->top, g->h), tx = range_of(rx, g->sw, g->left, g->w);
    size_t n = 0;
    for (size_t i = 0; i < g->kh; i++)
        for (size_t j = 0; j < g->kw; j++) {
            if (i * g->dh % g->sh != ry || j * g->dw % g->sw != rx)
                continue;
            size_t y = f->fy.before + ty.first - i * g->dh / g->sh;
            size_t x = f->fx.before + tx.first - j * g->dw / g->sw;
            tap[n] = i * g->kw + j;
            off[n++] = (ptrdiff_t)(y * f->s.pitch + x);
        }
    for (size_t o = 1; o < g->og; o++)
        for (size_t k = 0; k < n; k++)
            off[o * n + k] = off[k] + (ptrdiff_t)(o * f->s.plane);
    return n;
}

typedef struct {
    const size_t *tap;
    size_t n;
} tap_list;

/* Row: input channel; place: output channel, then tap. */
static size_t dx_weight(const geometry *g, const void *ctx, size_t m, size_t k) {
    const tap_list *l = ctx;
    return (k / l->n * g->cg + m) * g->taps + l->tap[k % l->n];
}

/* Packed weights: pairs of residues in turn, in each the groups. */
static void dx_prepare(dx_job *f, const char *w) {
    const geometry *g = &f->g;
    size_t done = 0;
    char *to = f->w;
    for (size_t r = 0; r < g->sh * g->sw; r++) {
        size_t *tap = f->tap + done;
        f->taps[r] = list_taps(f, r / g->sw, r % g->sw, tap, f->off + done * g->og);
        const tap_list l = {tap, f->taps[r]};
        if (f->channels)
            list_pixels(range_of(r / g->sw, g->sh, g->top, g->h).n,
                        range_of(r % g->sw, g->sw, g->left, g->w).n, f->s.pitch, 1,
                        f->pix + r * f->pixels);
        for (size_t q = 0; q < g->groups; q++) {
            const char *from = w + q * g->og * g->cg * g->taps * g->size;
            if (f->channels)
                lg_conv_kernels_for(g->t)->tap_panels(from, g->og, g->cg, g->taps, tap, l.n, to);
            else
                pack_weights(g, from, g->cg, l.n * g->og, dx_weight, &l, to);
            to += g->cg * l.n * g->og * g->size;
        }
        done += l.n;
    }
}

static void fill_frames(const dx_job *f, const char *y, char *out) {
    const geometry *g = &f->g;
    for (size_t o = 0; o < g->o; o++)
        for (size_t i = 0; i < g->oh; i++)
            copy_row(out + (o * f->s.plane + (f->fy.before + i) * f->s.pitch + f->fx.before) *
                               g->size,
                     y + (o * g->oh + i) * g->ow * g->size, g->ow * g->size);
}

/* All pairs of residues of one image. */
static void dx_image(const dx_job *f, const lg_conv_kernels *kernel, const char *frames, char *x) {
    const geometry *g = &f->g;
    const char *w = f->w;
    const ptrdiff_t *off = f->off;
    for (size_t r = 0; r < g->sh * g->sw; r++) {
        residue_range ty = range_of(r / g->sw, g->sh, g->top, g->h);
        residue_range tx = range_of(r % g->sw, g->sw, g->left, g->w);
        lg_correlation j = {.m = g->cg,
                            .n_k = g->og * f->taps[r],
                            .rows = ty.n,
                            .cols = tx.n,
                            .pitch = f->s.pitch,
                            .off = off,
                            .plane = g->h * g->w,
                            .row_step = g->sh * g->w,
                            .col_step = g->sw,
                            .pix = f->pix + r * f->pixels};
        for (size_t q = 0; q < g->groups; q++, w += g->cg * j.n_k * g->size) {
            j.w = w;
            if (ty.n == 0 || tx.n == 0)
                continue;
            (f->channels ? kernel->correlate_channels : kernel->correlate)(
                &j, frames + q * g->og * f->s.plane * g->size,
                x + (q * g->cg * j.plane + ty.out * g->w + tx.out) * g->size);
        }
        off += j.n_k;
    }
}

static void dx_part(void *ctx, int part, int parts) {
    const dx_job *f = ctx;
    const geometry *g = &f->g;
    const lg_conv_kernels *kernel = lg_conv_kernels_for(g->t);
    char *image = f->image[part];
    size_t n = (size_t)parts, at = (size_t)part;
    memset(image, 0, f->s.image * g->size);
    for (size_t b = g->images * at / n; b < g->images * (at + 1) / n; b++) {
        fill_frames(f, f->y + b * g->o * g->oh * g->ow * g->size, image);
        dx_image(f, kernel, image, f->x + b * g->c * g->h * g->w * g->size);
    }
}

static bool dx_run(const lg_call *c) {
    dx_job f;
    dx_cut(c->node, c->scratch, &f);
    if (is_empty(&f.g)) {
        clear_out(c);
        return true;
    }
    for (size_t lane = 0; lane < f.g.lanes; lane++) {
        f.y = (const char *)c->in[0] + lane * f.g.y_lane;
        f.x = (char *)c->out[0] + lane * f.g.x_lane;
        dx_prepare(&f, (const char *)c->in[1] + lane * f.g.w_lane);
        lg_pool_run(dx_part, &f, (int)f.parts);
    }
    return true;
}

/* ---- conv2d_dw ----
 *
 * The images are cut into shares by their number alone; each share has its own sum, and the sums
 * are added in order, so the bits do not depend on the number of threads. */

enum { SHARES = 8, CACHE_BYTES = 512 << 10, SUM_BYTES = 64 << 20 };

typedef struct {
    geometry g;
    planes s;
    size_t n_k, q, shares, together; /* q: length of a row of y; images side by side */
    bool channels;                   /* tiles along channels; else rows are padded */
    size_t d_step;                   /* elements of an image of y */
    ptrdiff_t *off, *pix;
    char *x_part[SHARES], *y_part[SHARES];
    void *sum[SHARES];
    const char *x, *y;
} dw_job;

static size_t dw_cut(const lg_node *n, char *base, dw_job *f) {
    cutter k = {base, 0};
    geometry *g = &f->g;
    *g = dw_geometry(n);
    if (is_empty(g))
        return 0;
    f->channels = g->og >= 8;
    f->s = f->channels ? plain_planes(g) : planes_of_x(g);
    f->n_k = g->cg * g->taps;
    f->q = f->channels ? g->oh * g->ow : ceil_div((g->oh - 1) * f->s.pitch + g->ow, 16) * 16;
    size_t rows = g->groups * (f->channels ? whole_panels(g->og) : g->og);
    f->d_step = rows * f->q;
    size_t image = (f->s.image + f->d_step) * g->size, sum = rows * f->n_k * g->size;
    f->shares = max_of(1, min_of(min_of(g->images, SHARES), SUM_BYTES / sum));
    f->together = max_of(1, min_of(ceil_div(g->images, f->shares), CACHE_BYTES / image));
    f->off = cut(&k, f->n_k, sizeof *f->off);
    f->pix = cut(&k, f->channels ? f->q + PIXELS : 0, sizeof *f->pix);
    for (size_t i = 0; i < f->shares; i++) {
        f->x_part[i] = cut(&k, f->together * f->s.image, g->size);
        f->y_part[i] = cut(&k, f->together * f->d_step, g->size);
        f->sum[i] = cut(&k, rows * f->n_k, g->size);
    }
    return k.used;
}

static size_t dw_scratch(const lg_node *n) {
    dw_job f;
    return dw_cut(n, NULL, &f);
}

/* Rows of y at the pitch of x's planes, with zeros between them. */
static void fill_rows(const dw_job *f, const char *y, char *out) {
    const geometry *g = &f->g;
    for (size_t o = 0; o < g->o; o++)
        for (size_t i = 0; i < g->oh; i++)
            memcpy(out + (o * f->q + i * f->s.pitch) * g->size,
                   y + (o * g->oh + i) * g->ow * g->size, g->ow * g->size);
}

/* Adds images b .. b+n to the sum of a share: x in planes, y in rows. */
static void dw_planes(const dw_job *f, size_t share, size_t b, size_t n, lg_conv_products *j) {
    const geometry *g = &f->g;
    for (size_t i = 0; i < n; i++) {
        fill_planes(g, &f->s, f->x + (b + i) * g->c * g->h * g->w * g->size,
                    f->x_part[share] + i * f->s.image * g->size);
        fill_rows(f, f->y + (b + i) * g->o * g->oh * g->ow * g->size,
                  f->y_part[share] + i * f->d_step * g->size);
    }
    for (size_t q = 0; q < g->groups; q++)
        lg_conv_kernels_for(g->t)->multiply(
            j, f->x_part[share] + q * g->cg * g->sh * g->sw * f->s.plane * g->size,
            f->y_part[share] + q * g->og * f->q * g->size,
            (char *)f->sum[share] + q * g->og * f->n_k * g->size);
}

/* The same with tiles along channels: y turned into panels, x as it lies if it has no padding. */
static void dw_channels(const dw_job *f, size_t share, size_t b, size_t n, lg_conv_products *j) {
    const geometry *g = &f->g;
    const lg_conv_kernels *kernel = lg_conv_kernels_for(g->t);
    size_t x_image = g->c * g->h * g->w, rows = whole_panels(g->og);
    bool padded = is_padded(g);
    const char *x = padded ? f->x_part[share] : f->x + b * x_image * g->size;
    j->x_step = padded ? f->s.image : x_image;
    for (size_t i = 0; i < n; i++) {
        if (padded)
            fill_plain(g, &f->s, f->x + (b + i) * x_image * g->size,
                       f->x_part[share] + i * f->s.image * g->size);
        for (size_t q = 0; q < g->groups; q++)
            kernel->panels(f->y + ((b + i) * g->o + q * g->og) * f->q * g->size, g->og, f->q,
                           f->y_part[share] + (i * f->d_step + q * rows * f->q) * g->size);
    }
    for (size_t q = 0; q < g->groups; q++)
        kernel->multiply_channels(j, x + q * g->cg * f->s.plane * g->size,
                                  f->y_part[share] + q * rows * f->q * g->size,
                                  (char *)f->sum[share] + q * rows * f->n_k * g->size);
}

static void dw_images(const dw_job *f, size_t share, size_t b, size_t n) {
    lg_conv_products j = {.m = f->g.og,
                          .n_k = f->n_k,
                          .q = f->q,
                          .images = n,
                          .x_step = f->s.image,
                          .d_step = f->d_step,
                          .off = f->off,
                          .pix = f->pix};
    (f->channels ? dw_channels : dw_planes)(f, share, b, n, &j);
}

static void dw_share(void *ctx, int part, int parts) {
    const dw_job *f = ctx;
    const geometry *g = &f->g;
    size_t s = (size_t)part, end = g->images * (s + 1) / (size_t)parts;
    memset(f->x_part[s], 0, f->together * f->s.image * g->size);
    if (!f->channels)
        memset(f->y_part[s], 0, f->together * f->d_step * g->size);
    memset(f->sum[s], 0, f->d_step / f->q * f->n_k * g->size);
    for (size_t b = g->images * s / (size_t)parts; b < end; b += f->together)
        dw_images(f, s, b, min_of(f->together, end - b));
}

static void gather_groups(const dw_job *f, void *out) {
    const geometry *g = &f->g;
    void *sum[SHARES];
    for (size_t q = 0; q < g->groups; q++) {
        for (size_t s = 0; s < f->shares; s++)
            sum[s] = (char *)f->sum[s] + q * whole_panels(g->og) * f->n_k * g->size;
        lg_conv_kernels_for(g->t)->gather_channels(sum, f->shares, g->og, f->n_k,
                                                   (char *)out + q * g->og * f->n_k * g->size);
    }
}

static void add_shares(const dw_job *f, void *out) {
    size_t n = f->g.o * f->n_k;
    memcpy(out, f->sum[0], n * f->g.size);
    for (size_t s = 1; s < f->shares; s++)
        for (size_t i = 0; i < n; i++)
            if (f->g.t == LG_F64)
                ((double *)out)[i] += ((const double *)f->sum[s])[i];
            else
                ((float *)out)[i] += ((const float *)f->sum[s])[i];
}

static bool dw_run(const lg_call *c) {
    dw_job f;
    dw_cut(c->node, c->scratch, &f);
    if (is_empty(&f.g)) {
        clear_out(c);
        return true;
    }
    if (f.channels) {
        plain_offsets(&f.g, &f.s, f.off);
        list_pixels(f.g.oh, f.g.ow, f.g.sh * f.s.pitch, f.g.sw, f.pix);
    } else {
        offsets_of_x(&f.g, &f.s, f.off);
    }
    for (size_t lane = 0; lane < f.g.lanes; lane++) {
        f.x = (const char *)c->in[0] + lane * f.g.x_lane;
        f.y = (const char *)c->in[1] + lane * f.g.y_lane;
        lg_pool_run(dw_share, &f, (int)f.shares);
        (f.channels ? gather_groups : add_shares)(&f, (char *)c->out[0] + lane * f.g.w_lane);
    }
    return true;
}

/* ---- derivatives ---- */

enum { CONV, DX, DW };
static const lg_op op_conv2d, op_conv2d_dx, op_conv2d_dw;
static const lg_op op_conv2d_each, op_conv2d_dx_each, op_conv2d_dw_each;

static lg_node *conv_node(const lg_rule_ctx *r, int which, lg_node *a, lg_node *b,
                          const lg_node *like, const lg_node *y) {
    static const lg_op *const ops[2][3] = {
        {&op_conv2d, &op_conv2d_dx, &op_conv2d_dw},
        {&op_conv2d_each, &op_conv2d_dx_each, &op_conv2d_dw_each}};
    const lg_op *op = ops[y->attr.p[9] > 0][which];
    return lg_rule_kernel(r, op, 2, (lg_node *[]){a, b}, like->type, y->attr.p, 10);
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

static int64_t flops_of(geometry g) {
    return (int64_t)(2 * g.lanes * g.images * g.o * g.oh * g.ow * g.cg * g.taps);
}

static int64_t forward_flops(const lg_node *n) {
    return flops_of(forward_geometry(n));
}

static int64_t dx_flops(const lg_node *n) {
    return flops_of(dx_geometry(n));
}

static int64_t dw_flops(const lg_node *n) {
    return flops_of(dw_geometry(n));
}

static const lg_op op_conv2d = {
    .name = "conv2d",
    .sig = "(x: float[...B, C, H, W], w: float[O, C/groups, kh, kw]) -> float[...B, O, OH, OW]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = forward_vjp,
    .run = forward_run,
    .scratch = forward_scratch,
    .flops = forward_flops,
    .doc = "Sliding dot products of an image with O kernels (no kernel is flipped).",
    .example = "conv2d([[[1.0, 2.0, 3.0]]], [[[[1.0, 1.0]]]])",
    .result = "[[[3, 5]]]",
};

static const lg_op op_conv2d_dx = {
    .name = "conv2d_dx",
    .sig = "(y: float[...B, O, OH, OW], w: float[O, C/groups, kh, kw]) -> float[...B, C, H, W]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = dx_vjp,
    .run = dx_run,
    .scratch = dx_scratch,
    .flops = dx_flops,
    .doc = "Transposed convolution: the derivative of conv2d for its image.",
};

static const lg_op op_conv2d_dw = {
    .name = "conv2d_dw",
    .sig = "(x: float[...B, C, H, W], y: float[...B, O, OH, OW]) -> float[O, C/groups, kh, kw]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = dw_vjp,
    .run = dw_run,
    .scratch = dw_scratch,
    .flops = dw_flops,
    .doc = "The derivative of conv2d for its kernels.",
};

static const lg_op op_conv2d_each = {
    .name = "conv2d_each",
    .sig = "(x: float[...L, ...B, C, H, W], w: float[...L, O, C/groups, kh, kw]) -> float[...L, "
           "...B, O, OH, OW]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = forward_vjp,
    .run = forward_run,
    .scratch = forward_scratch,
    .flops = forward_flops,
    .doc = "conv2d with kernels of its own in each lane L.",
};

static const lg_op op_conv2d_dx_each = {
    .name = "conv2d_dx_each",
    .sig = "(y: float[...L, ...B, O, OH, OW], w: float[...L, O, C/groups, kh, kw]) -> float[...L, "
           "...B, C, H, W]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = dx_vjp,
    .run = dx_run,
    .scratch = dx_scratch,
    .flops = dx_flops,
    .doc = "conv2d_dx with kernels of its own in each lane L.",
};

static const lg_op op_conv2d_dw_each = {
    .name = "conv2d_dw_each",
    .sig = "(x: float[...L, ...B, C, H, W], y: float[...L, ...B, O, OH, OW]) -> float[...L, O, "
           "C/groups, kh, kw]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_LINEAR | LG_T_PRODUCT,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = dw_vjp,
    .run = dw_run,
    .scratch = dw_scratch,
    .flops = dw_flops,
    .doc = "conv2d_dw for kernels of its own in each lane L.",
};

const lg_op *const lg_ops_conv[] = {
    &op_conv2d,         &op_conv2d_dx,      &op_conv2d_dw, &op_conv2d_each,
    &op_conv2d_dx_each, &op_conv2d_dw_each, NULL};
