/* conv_dx.c: the image's derivative of conv2d, which is also the transposed convolution:
 * x[Y - top] for Y = t*sh + r takes y[t - e] from the taps with i*dh = e*sh + r, one correlation of
 * stride 1 over y for each pair of residues r. */
#include "ops/conv_shape.h"
#include "runtime/plan.h"
#include <string.h>

typedef struct {
    size_t first, n; /* t runs from first, n values */
    size_t out;      /* where t = first lands in x */
} range;

/* The t of one residue that land inside an axis of x of the given size. */
static range range_of(size_t residue, size_t stride, size_t pad, size_t size) {
    range r = {residue >= pad ? 0 : lg_conv_ceil(pad - residue, stride), 0, 0};
    size_t begin = r.first * stride + residue;
    if (begin < pad + size) {
        r.n = lg_conv_ceil(pad + size - begin, stride);
        r.out = begin - pad;
    }
    return r;
}

/* Zeros before y along an axis, and its padded extent, so that all reads stay inside. */
typedef struct {
    size_t before, extent, most;
} border;

static border frame_of(size_t stride, size_t pad, size_t size, size_t out, size_t k,
                       size_t dilation) {
    border a = {0, 0, 0};
    size_t reach = (k - 1) * dilation / stride, after = 0;
    for (size_t r = 0; r < stride; r++) {
        range t = range_of(r, stride, pad, size);
        if (t.n == 0)
            continue;
        a.before = lg_conv_max(a.before, reach > t.first ? reach - t.first : 0);
        after = lg_conv_max(after, t.first + t.n > out ? t.first + t.n - out : 0);
        a.most = lg_conv_max(a.most, t.n);
    }
    a.extent = out + lg_conv_max(a.before, after);
    return a;
}

/* One pair of residues. */
typedef struct {
    range y, x;
    size_t n_tap; /* its taps, and where they and their offsets begin in the lists of all pairs */
    size_t *tap;
    ptrdiff_t *off, *pix;
    char *w; /* packed, group by group */
} pair;

typedef struct {
    lg_conv_shape g;
    border fy, fx;
    size_t pitch, plane, image; /* of y in its frame */
    size_t parts, pixels;
    lg_conv_kind kind;
    bool both; /* two column residues are done together, and make whole rows of x */
    pair *pair;
    size_t *tap;
    ptrdiff_t *off, *pix;
    char *w;
    lg_conv_rooms rooms; /* for a framed y */
    const char *y;
    char *x;
} job;

/* Columns of x in turn are of the two residues. */
static bool are_both(const lg_conv_shape *g) {
    range a = range_of(0, 2, g->left, g->w), b = range_of(1, 2, g->left, g->w);
    return g->sw == 2 && a.n == b.n && a.out + b.out == 1;
}

static size_t cut(const lg_node *n, char *base, job *f) {
    lg_conv_cutter k = {base, 0};
    lg_conv_shape *g = &f->g;
    *g = lg_conv_shape_of(&n->type[0], &n->in[1]->type[0], &n->in[0]->type[0], n->attr.p);
    if (lg_conv_is_empty(g))
        return 0;
    f->fy = frame_of(g->sh, g->top, g->h, g->oh, g->kh, g->dh);
    f->fx = frame_of(g->sw, g->left, g->w, g->ow, g->kw, g->dw);
    f->pitch = lg_conv_max(f->fx.extent, f->fx.most);
    f->plane = (f->fy.before + f->fy.extent) * f->pitch;
    f->image = g->o * f->plane + f->pitch + LG_CONV_SLACK;
    f->parts = lg_conv_min(g->images, LG_CONV_PARTS);
    f->both = are_both(g);
    f->kind = lg_conv_kind_of(g->cg, f->both || g->sw == 1 ? f->fx.most : 1);
    f->both = f->both && f->kind != LG_CONV_GRID;
    f->pixels = f->kind == LG_CONV_CHANNELS
                    ? lg_conv_ceil(f->fy.most * f->fx.most, LG_CONV_PIXELS) * LG_CONV_PIXELS
                    : 0;
    f->pair = lg_conv_cut(&k, g->sh * g->sw, sizeof *f->pair);
    f->tap = lg_conv_cut(&k, g->taps, sizeof *f->tap);
    f->off = lg_conv_cut(&k, g->og * g->taps, sizeof *f->off);
    f->pix = lg_conv_cut(&k, f->pixels * g->sh * g->sw, sizeof *f->pix);
    f->w = lg_conv_cut(&k, g->c * g->og * g->taps, g->size);
    lg_conv_rooms_cut(&f->rooms, &k, f->parts, f->image * g->size);
    return k.used;
}

size_t lg_conv_dx_scratch(const lg_node *n) {
    job f;
    return cut(n, NULL, &f);
}

/* ---- pairs of residues ---- */

/* Lists the taps of a pair of residues and their offsets for every output channel. */
static void list_taps(const job *f, size_t ry, size_t rx, pair *p) {
    const lg_conv_shape *g = &f->g;
    size_t n = 0;
    for (size_t i = 0; i < g->kh; i++)
        for (size_t j = 0; j < g->kw; j++) {
            if (i * g->dh % g->sh != ry || j * g->dw % g->sw != rx)
                continue;
            size_t y = f->fy.before + p->y.first - i * g->dh / g->sh;
            size_t x = f->fx.before + p->x.first - j * g->dw / g->sw;
            p->tap[n] = i * g->kw + j;
            p->off[n++] = (ptrdiff_t)(y * f->pitch + x);
        }
    for (size_t o = 1; o < g->og; o++)
        for (size_t k = 0; k < n; k++)
            p->off[o * n + k] = p->off[k] + (ptrdiff_t)(o * f->plane);
    p->n_tap = n;
}

static void list_pairs(const job *f) {
    const lg_conv_shape *g = &f->g;
    size_t done = 0;
    for (size_t r = 0; r < g->sh * g->sw; r++) {
        pair *p = &f->pair[r];
        *p = (pair){.y = range_of(r / g->sw, g->sh, g->top, g->h),
                    .x = range_of(r % g->sw, g->sw, g->left, g->w),
                    .tap = f->tap + done,
                    .off = f->off + done * g->og,
                    .pix = f->pix + r * f->pixels,
                    .w = f->w + done * g->c * g->og * g->size};
        list_taps(f, r / g->sw, r % g->sw, p);
        if (f->kind == LG_CONV_CHANNELS)
            lg_conv_list_pixels(p->y.n, p->x.n, f->pitch, 1, p->pix);
        done += p->n_tap;
    }
}

/* Rows are input channels, places output channels with the taps of the pair. */
static void pack(const job *f, const char *w) {
    const lg_conv_shape *g = &f->g;
    for (size_t r = 0; r < g->sh * g->sw; r++) {
        const pair *p = &f->pair[r];
        const lg_conv_weights at = {g->cg, g->taps, g->og, g->cg * g->taps, p->tap, p->n_tap};
        size_t n_k = p->n_tap * g->og;
        for (size_t q = 0; q < g->groups && n_k; q++) {
            const char *from = w + q * g->og * g->cg * g->taps * g->size;
            char *to = p->w + q * g->cg * n_k * g->size;
            if (f->kind == LG_CONV_CHANNELS)
                lg_conv_kernels_for(g->t)->tap_panels(from, g->og, g->cg, g->taps, p->tap, p->n_tap,
                                                      to);
            else
                lg_conv_pack(g->t, &at, from, to);
        }
    }
}

/* ---- images ---- */

static lg_correlation of_pair(const job *f, const pair *p, size_t group) {
    const lg_conv_shape *g = &f->g;
    size_t n_k = p->n_tap * g->og;
    return (lg_correlation){.m = g->cg,
                            .n_k = n_k,
                            .rows = p->y.n,
                            .cols = p->x.n,
                            .pitch = f->pitch,
                            .off = p->off,
                            .w = p->w + group * g->cg * n_k * g->size,
                            .plane = g->h * g->w,
                            .row_step = g->sh * g->w,
                            .col_step = g->sw,
                            .pix = p->pix};
}

/* One group of a framed y, all pairs. */
static void group_of(const job *f, size_t q, const char *y, char *x) {
    const lg_conv_shape *g = &f->g;
    for (size_t r = 0; r < g->sh * g->sw; r += f->both ? 2 : 1) {
        const pair *p = &f->pair[r], *odd = NULL;
        if (f->both) { /* the pair whose columns are even first */
            odd = p + 1 - p->x.out;
            p += p->x.out;
        }
        if (p->y.n == 0 || p->x.n == 0)
            continue;
        lg_correlation j = of_pair(f, p, q), between = of_pair(f, odd ? odd : p, q);
        j.odd = odd ? &between : NULL;
        lg_conv_correlate(g->t, f->kind, &j, y, x + (p->y.out * g->w + p->x.out) * g->size);
    }
}

static void part(void *ctx, int at, int parts) {
    job *f = ctx;
    const lg_conv_shape *g = &f->g;
    const lg_conv_kernels *k = lg_conv_kernels_for(g->t);
    size_t end = g->images * ((size_t)at + 1) / (size_t)parts, plane = g->oh * g->ow * g->size;
    int number = lg_conv_room_take(&f->rooms);
    char *room = f->rooms.at[number];
    char *frame = room + (f->fy.before * f->pitch + f->fx.before) * g->size;
    for (size_t b = g->images * (size_t)at / (size_t)parts; b < end; b++) {
        const char *y = f->y + b * g->o * plane;
        for (size_t o = 0; o < g->o; o++)
            k->pick_rows(y + o * plane, 1, g->ow, g->ow, g->oh, frame + o * f->plane * g->size,
                         f->pitch);
        for (size_t q = 0; q < g->groups; q++)
            group_of(f, q, room + q * g->og * f->plane * g->size,
                     f->x + (b * g->c + q * g->cg) * g->h * g->w * g->size);
    }
    lg_conv_room_give(&f->rooms, number);
}

bool lg_conv_dx(const lg_call *c) {
    job f;
    cut(c->node, c->scratch, &f);
    const lg_conv_shape *g = &f.g;
    if (lg_conv_is_empty(g)) {
        memset(c->out[0], 0, g->lanes * g->x_lane);
        return true;
    }
    list_pairs(&f);
    for (size_t lane = 0; lane < g->lanes; lane++) {
        f.y = (const char *)c->in[0] + lane * g->y_lane;
        f.x = (char *)c->out[0] + lane * g->x_lane;
        pack(&f, (const char *)c->in[1] + lane * g->w_lane);
        lg_pool_run(part, &f, (int)f.parts);
    }
    return true;
}
