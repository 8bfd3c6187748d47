/* conv_bundle_dw.c: the kernels' derivative of conv2d for images in bundles of 16. A share is some
 * rows of a bundle; each has a sum of its own, made by four channels of y and four of x at a time,
 * tap by tap over the pixels at which that falls inside the image; the sums are added in order. How
 * it is cut depends on shapes alone, so the bits do not depend on the number of threads. */
#include "ops/conv_bundle.h"
#include "runtime/plan.h"
#include <string.h>

enum {
    TILE = 4,               /* channels */
    NEAR = 64,              /* pixels of y that, with those of x, stay in L1 for a tile */
    GROUP = 4,              /* tiles of y that meet them there */
    GROUP_MOST = GROUP + 1, /* the last four channels may be two tiles */
    SHARE_BYTES = 256 << 10,
    SUM_BYTES = 384 << 10,
    SHARES = 32
};

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
                      g->taps * (TILE * TILE * (GROUP_MOST * LG_BUNDLE + 1) * g->size +
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

/* What a part works with: the windows of the bands of a share, sums of its tiles, and what these
 * are in all. */
typedef struct {
    lg_bundle_window *window; /* [bands][taps] */
    char *sum;                /* [tiles][taps][4][4] */
    char *total;              /* [taps][4][4] */
} room;

static size_t sums_of_tile(const job *f) {
    return f->g.taps * TILE * TILE;
}

static room room_of(const job *f, int number) {
    size_t n = sums_of_tile(f) * f->g.size;
    char *at = f->rooms.at[number], *total = at + n * LG_BUNDLE * GROUP_MOST;
    return (room){(lg_bundle_window *)(total + n), at, total};
}

/* m channels of y from o on, within a group of the convolution. */
typedef struct {
    size_t o, m;
} tile;

/* The tiles of part `at` of a group. */
static size_t list_tiles(const job *f, size_t at, tile *to) {
    size_t n = 0, o = at * GROUP * TILE, end = lg_conv_min(o + GROUP * TILE, f->g.og);
    for (; o < end; o += to[n++].m)
        to[n] = (tile){o, tile_of(end - o)};
    return n;
}

/* Adds what n channels of x from c on give with all tiles, over the rows of a share: a band of x
 * stays in L1 meanwhile. */
static void add_share(const job *f, size_t share, size_t q, const tile *t, size_t n_tile, size_t c,
                      size_t n, const room *at) {
    const lg_conv_shape *g = &f->g;
    const lg_conv_kernels *k = lg_conv_kernels_for(g->t);
    size_t bundle = share / f->per_bundle, bytes = LG_BUNDLE * g->size;
    const char *y = f->y + (bundle * g->o + q * g->og) * g->oh * g->ow * bytes;
    const char *x = f->x + (bundle * g->c + q * g->cg + c) * g->h * g->w * bytes;
    lg_bundle_products p = {.n_tap = g->taps,
                            .d_row = g->ow * LG_BUNDLE,
                            .d_step = g->oh * g->ow * LG_BUNDLE,
                            .x_row = g->sh * g->w * LG_BUNDLE,
                            .x_col = g->sw * LG_BUNDLE,
                            .x_step = g->h * g->w * LG_BUNDLE};
    for (size_t b = 0; b < f->bands; b++) {
        p.tap = at->window + (share % f->per_bundle * f->bands + b) * g->taps;
        for (size_t i = 0; i < n_tile; i++)
            k->bundle_products(&p, x, y + t[i].o * g->oh * g->ow * bytes, t[i].m, n,
                               at->sum + i * sums_of_tile(f) * bytes);
    }
}

/* The sums of a tile, put in their places. */
static void put(const job *f, size_t q, const tile *t, size_t c, size_t n, const char *from,
                char *sum) {
    const lg_conv_shape *g = &f->g;
    for (size_t i = 0; i < t->m; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t tap = 0; tap < g->taps; tap++)
                memcpy(sum + (((q * g->og + t->o + i) * g->cg + c + k) * g->taps + tap) * g->size,
                       from + ((tap * TILE + i) * TILE + k) * g->size, g->size);
}

static void list_all_windows(const job *f, lg_bundle_window *to) {
    for (size_t b = 0; b < f->per_bundle * f->bands; b++) {
        size_t share = b / f->bands, first = share * f->share_rows + b % f->bands * f->band_rows;
        size_t last = lg_conv_min(first + f->band_rows, (share + 1) * f->share_rows);
        list_windows(f, first, lg_conv_min(last, f->g.oh), to + b * f->g.taps);
    }
}

static size_t parts_of_group(const job *f) {
    return lg_conv_ceil(f->g.og, GROUP * TILE);
}

/* Some tiles of y and all of x, for one of the sums. */
static void part_of(void *ctx, int part, int parts) {
    job *f = ctx;
    const lg_conv_shape *g = &f->g;
    size_t each = parts_of_group(f), s = (size_t)part / (g->groups * each),
           q = (size_t)part / each % g->groups, all = sums_of_tile(f);
    char *sum = f->sum + s * g->o * g->cg * g->taps * g->size;
    int number = lg_conv_room_take(&f->rooms);
    room at = room_of(f, number);
    tile t[GROUP_MOST];
    size_t n_tile = list_tiles(f, (size_t)part % each, t);
    (void)parts;
    list_all_windows(f, at.window);
    for (size_t c = 0, n; c < g->cg; c += n) {
        n = tile_of(g->cg - c);
        memset(at.sum, 0, n_tile * all * LG_BUNDLE * g->size);
        for (size_t i = f->shares * s / f->sums; i < f->shares * (s + 1) / f->sums; i++)
            add_share(f, i, q, t, n_tile, c, n, &at);
        for (size_t i = 0; i < n_tile; i++) {
            lg_conv_kernels_for(g->t)->bundle_lanes(at.sum + i * all * LG_BUNDLE * g->size, all,
                                                    at.total);
            put(f, q, &t[i], c, n, at.total, sum);
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
    lg_pool_run(part_of, &f, (int)(f.sums * g->groups * parts_of_group(&f)));
    lg_pool_run(add_sums, &f, all < ALONE ? 1 : PARTS);
    return true;
}
