/* conv_bundle_dw.c: the kernels' derivative of conv2d for images in bundles of 16. A share is some
 * rows of a bundle; each has a sum of its own, made by four channels of y and four of x at a time,
 * tap by tap over the pixels at which that falls inside the image; the sums are added in order. How
 * it is cut depends on shapes alone, so the bits do not depend on the number of threads. */
#include "ops/conv_bundle.h"
#include "runtime/plan.h"
#include <string.h>

enum { TILE = 4, NEAR = 64, SHARE_BYTES = 256 << 10, SUM_BYTES = 384 << 10, SHARES = 32 };

typedef struct {
    lg_conv_shape g;
    size_t share_rows, shares, per_bundle; /* rows of y in a share; shares in all and of a bundle */
    size_t band_rows, bands;               /* rows of y that stay in L1; bands of a share */
    char *sum;                             /* [sums][o][cg][taps] */
    size_t sums;
    lg_conv_rooms rooms; /* for the sums of four by four channels, a bundle each */
    const char *x, *y;
    char *w;
} job;

static size_t cut(const lg_node *n, char *base, job *f) {
    lg_conv_cutter k = {base, 0};
    f->g = lg_conv_bundle_shape(&n->in[0]->type[0], &n->type[0], &n->in[1]->type[0], n->attr.p);
    const lg_conv_shape *g = &f->g;
    if (lg_conv_is_empty(g))
        return 0;
    size_t row = g->o * g->ow * LG_BUNDLE * g->size;
    f->share_rows = lg_conv_min(lg_conv_max(1, SHARE_BYTES / row), g->oh);
    f->per_bundle = lg_conv_ceil(g->oh, f->share_rows);
    f->share_rows = lg_conv_ceil(g->oh, f->per_bundle);
    f->per_bundle = lg_conv_ceil(g->oh, f->share_rows);
    f->shares = g->images * f->per_bundle;
    f->sums = lg_conv_min(f->shares, lg_conv_max(1, f->shares * f->share_rows * row / SUM_BYTES));
    f->sums = lg_conv_min(f->sums, SHARES);
    f->band_rows = lg_conv_min(lg_conv_max(1, NEAR / g->ow), f->share_rows);
    f->bands = lg_conv_ceil(f->share_rows, f->band_rows);
    f->sum = lg_conv_cut(&k, f->sums * g->o * g->cg * g->taps, g->size);
    lg_conv_rooms_cut(&f->rooms, &k, LG_CONV_ROOMS,
                      g->taps * (TILE * TILE * (LG_BUNDLE + 1) * g->size +
                                 f->per_bundle * f->bands * sizeof(lg_bundle_window)));
    return k.used;
}

size_t lg_conv_bundle_dw_scratch(const lg_node *n) {
    job f;
    return cut(n, NULL, &f);
}

/* ---- a share ---- */

/* The coordinates of y in begin .. end at which a tap falls inside x. */
typedef struct {
    size_t begin, end;
} span;

static span inside(size_t begin, size_t end, size_t stride, size_t pad, size_t reach, size_t size) {
    span s = {begin, end};
    if (pad > reach)
        s.begin = lg_conv_max(begin, lg_conv_ceil(pad - reach, stride));
    size_t last = size + pad > reach ? (size + pad - reach - 1) / stride + 1 : 0;
    s.end = lg_conv_min(end, last);
    return s;
}

/* Where each tap falls inside x for rows begin .. end of y. */
static void list_windows(const job *f, size_t begin, size_t end, lg_bundle_window *to) {
    const lg_conv_shape *g = &f->g;
    for (size_t t = 0; t < g->taps; t++) {
        size_t i = t / g->kw * g->dh, j = t % g->kw * g->dw;
        span r = inside(begin, end, g->sh, g->top, i, g->h);
        span c = inside(0, g->ow, g->sw, g->left, j, g->w);
        to[t] = (lg_bundle_window){0};
        if (r.begin >= r.end || c.begin >= c.end)
            continue;
        size_t row = r.begin * g->sh + i - g->top, col = c.begin * g->sw + j - g->left;
        to[t] = (lg_bundle_window){r.end - r.begin, c.end - c.begin,
                                   (r.begin * g->ow + c.begin) * LG_BUNDLE,
                                   (row * g->w + col) * LG_BUNDLE};
    }
}

static size_t tile_of(size_t left) {
    return left >= TILE ? TILE : left >= 2 ? 2 : 1;
}

/* What a tile works with: the windows of the bands of a share, sums, and what these are in all. */
typedef struct {
    lg_bundle_window *window; /* [bands][taps] */
    char *sum, *total;        /* [taps][4][4] */
} room;

static room room_of(const job *f, int number) {
    const lg_conv_shape *g = &f->g;
    size_t n = g->taps * TILE * TILE * g->size;
    char *at = f->rooms.at[number];
    return (room){(lg_bundle_window *)(at + n * (LG_BUNDLE + 1)), at, at + n * LG_BUNDLE};
}

/* Channels o .. o+m of y and c .. c+n of x within group q, over the rows of a share. */
static void add_tile(const job *f, size_t share, size_t q, size_t o, size_t m, size_t c, size_t n,
                     const room *at) {
    const lg_conv_shape *g = &f->g;
    const lg_conv_kernels *k = lg_conv_kernels_for(g->t);
    size_t bundle = share / f->per_bundle, plane = LG_BUNDLE * g->size;
    const char *d = f->y + (bundle * g->o + q * g->og + o) * g->oh * g->ow * plane;
    const char *x = f->x + (bundle * g->c + q * g->cg + c) * g->h * g->w * plane;
    lg_bundle_products p = {.n_tap = g->taps,
                            .d_row = g->ow * LG_BUNDLE,
                            .d_step = g->oh * g->ow * LG_BUNDLE,
                            .x_row = g->sh * g->w * LG_BUNDLE,
                            .x_col = g->sw * LG_BUNDLE,
                            .x_step = g->h * g->w * LG_BUNDLE};
    for (size_t b = 0; b < f->bands; b++) {
        p.tap = at->window + (share % f->per_bundle * f->bands + b) * g->taps;
        k->bundle_products(&p, x, d, m, n, at->sum);
    }
}

/* The same over shares begin .. end, put in their place. */
static void sum_of(const job *f, size_t begin, size_t end, size_t q, size_t o, size_t m, size_t c,
                   size_t n, const room *at, char *sum) {
    const lg_conv_shape *g = &f->g;
    size_t all = g->taps * TILE * TILE;
    memset(at->sum, 0, all * LG_BUNDLE * g->size);
    for (size_t s = begin; s < end; s++)
        add_tile(f, s, q, o, m, c, n, at);
    lg_conv_kernels_for(g->t)->bundle_lanes(at->sum, all, at->total);
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t t = 0; t < g->taps; t++)
                memcpy(sum + (((q * g->og + o + i) * g->cg + c + k) * g->taps + t) * g->size,
                       at->total + ((t * TILE + i) * TILE + k) * g->size, g->size);
}

/* Four channels of y and all of x, for one of the sums. */
static void part_of(void *ctx, int part, int parts) {
    job *f = ctx;
    const lg_conv_shape *g = &f->g;
    size_t per_group = lg_conv_ceil(g->og, TILE), tiles = g->groups * per_group;
    size_t s = (size_t)part / tiles, tile = (size_t)part % tiles, q = tile / per_group;
    size_t begin = f->shares * s / f->sums, end = f->shares * (s + 1) / f->sums;
    char *sum = f->sum + s * g->o * g->cg * g->taps * g->size;
    int number = lg_conv_room_take(&f->rooms);
    room at = room_of(f, number);
    (void)parts;
    for (size_t b = 0; b < f->per_bundle * f->bands; b++) {
        size_t first = b / f->bands * f->share_rows + b % f->bands * f->band_rows;
        size_t last = lg_conv_min(first + f->band_rows, (b / f->bands + 1) * f->share_rows);
        list_windows(f, first, lg_conv_min(last, g->oh), at.window + b * g->taps);
    }
    for (size_t c = 0, n; c < g->cg; c += n) {
        n = tile_of(g->cg - c);
        for (size_t o = tile % per_group * TILE, m, rest = lg_conv_min(g->og - o, TILE); rest > 0;
             o += m, rest -= m) {
            m = tile_of(rest);
            sum_of(f, begin, end, q, o, m, c, n, &at, sum);
        }
    }
    lg_conv_room_give(&f->rooms, number);
}

/* ---- the sum of all ---- */

static void add_sums(void *ctx, int part, int parts) {
    const job *f = ctx;
    size_t all = f->g.o * f->g.cg * f->g.taps, p = (size_t)part, n = (size_t)parts;
    size_t begin = all * p / n, end = all * (p + 1) / n;
    for (size_t i = begin; i < end; i++)
        if (f->g.t == LG_F64) {
            double a = 0;
            for (size_t s = 0; s < f->sums; s++)
                a += ((const double *)f->sum)[s * all + i];
            ((double *)f->w)[i] = a;
        } else {
            float a = 0;
            for (size_t s = 0; s < f->sums; s++)
                a += ((const float *)f->sum)[s * all + i];
            ((float *)f->w)[i] = a;
        }
}

bool lg_conv_bundle_dw(const lg_call *c) {
    enum { ALONE = 4096, PARTS = 16 };
    job f;
    cut(c->node, c->scratch, &f);
    const lg_conv_shape *g = &f.g;
    size_t all = lg_type_count(&c->node->type[0]);
    f.x = c->in[0];
    f.y = c->in[1];
    f.w = c->out[0];
    if (lg_conv_is_empty(g)) {
        memset(f.w, 0, all * g->size);
        return true;
    }
    lg_pool_run(part_of, &f, (int)(f.sums * g->groups * lg_conv_ceil(g->og, TILE)));
    lg_pool_run(add_sums, &f, all < ALONE ? 1 : PARTS);
    return true;
}
