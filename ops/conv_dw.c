/* conv_dw.c: the kernels' derivative of conv2d. The images are cut into shares by their number
 * alone; each share has its own sum, and the sums are added in order, so the bits do not depend on
 * the number of threads. */
#include "ops/conv_shape.h"
#include "runtime/plan.h"
#include <string.h>

enum { SHARES = 8, CACHE_BYTES = 512 << 10, NEAR_BYTES = 16 << 10, SUM_BYTES = 64 << 20 };

typedef struct {
    lg_conv_shape g;
    lg_conv_planes s;
    lg_conv_kind kind;
    size_t n_k, q, shares, together; /* q: length of a row of y; images side by side */
    size_t rows;                     /* of all groups, in sums and copies of y */
    size_t d_step;                   /* elements of an image of y, as it is read */
    ptrdiff_t *off, *pix;
    size_t x_bytes;      /* of the images of x in a room, before those of y */
    lg_conv_rooms rooms; /* for images in planes and in panels */
    char *sum[SHARES];
    const char *x, *y;
    char *w;
} job;

static size_t whole_panels(const job *f) {
    return lg_conv_ceil(f->g.og, 16) * 16;
}

/* Rows of y are read as they lie, turned into panels, or at the pitch of x's planes. */
static lg_conv_kind kind_of(const lg_conv_shape *g) {
    bool rows = g->ow % 16 == 0 && g->sw == 1 && g->og % 32 != 0;
    return rows ? LG_CONV_ROWS : g->og >= 8 ? LG_CONV_CHANNELS : LG_CONV_GRID;
}

static size_t cut(const lg_node *n, char *base, job *f) {
    lg_conv_cutter k = {base, 0};
    f->g = lg_conv_shape_of(&n->in[0]->type[0], &n->type[0], &n->in[1]->type[0], n->attr.p);
    const lg_conv_shape *g = &f->g;
    if (lg_conv_is_empty(g))
        return 0;
    f->kind = kind_of(g);
    f->s = lg_conv_planes_of(g, f->kind != LG_CONV_CHANNELS);
    f->n_k = g->cg * g->taps;
    f->q = f->kind == LG_CONV_GRID ? lg_conv_ceil((g->oh - 1) * f->s.pitch + g->ow, 16) * 16
                                   : g->oh * g->ow;
    f->rows = g->groups * (f->kind == LG_CONV_CHANNELS ? whole_panels(f) : g->og);
    f->d_step = f->rows * f->q;
    size_t copied = f->kind == LG_CONV_ROWS ? 0 : f->d_step;
    size_t image = (f->s.image + f->d_step) * g->size, sum = f->rows * f->n_k * g->size;
    f->shares = lg_conv_max(1, lg_conv_min(lg_conv_min(g->images, SHARES), SUM_BYTES / sum));
    size_t most =
        f->kind == LG_CONV_CHANNELS ? CACHE_BYTES / image : NEAR_BYTES / (4 * f->q * g->size);
    f->together = lg_conv_max(1, lg_conv_min(lg_conv_ceil(g->images, f->shares), most));
    f->off = lg_conv_cut(&k, f->n_k, sizeof *f->off);
    f->pix = lg_conv_cut(&k, f->q + LG_CONV_PIXELS, sizeof *f->pix);
    f->x_bytes = lg_conv_ceil(f->together * f->s.image * g->size, 64) * 64;
    lg_conv_rooms_cut(&f->rooms, &k, f->shares, f->x_bytes + f->together * copied * g->size);
    for (size_t i = 0; i < f->shares; i++)
        f->sum[i] = lg_conv_cut(&k, f->rows * f->n_k, g->size);
    return k.used;
}

size_t lg_conv_dw_scratch(const lg_node *n) {
    job f;
    return cut(n, NULL, &f);
}

/* ---- images b .. b+n of a share ---- */

/* x in planes, one image after the other. */
static void fill(const job *f, char *room, size_t b, size_t n) {
    const lg_conv_shape *g = &f->g;
    for (size_t i = 0; i < n; i++)
        lg_conv_fill(g, &f->s, f->x + (b + i) * g->c * g->h * g->w * g->size,
                     room + i * f->s.image * g->size);
}

/* Rows of y as they lie, or at the pitch of x's planes with zeros between them. */
static void by_rows(const job *f, char *room, size_t b, size_t n, char *sum) {
    const lg_conv_shape *g = &f->g;
    const lg_conv_kernels *k = lg_conv_kernels_for(g->t);
    bool grid = f->kind == LG_CONV_GRID;
    size_t plane = g->oh * g->ow * g->size;
    const char *y = grid ? room + f->x_bytes : f->y + b * g->o * plane;
    lg_conv_products j = {.m = g->og,
                          .n_k = f->n_k,
                          .q = f->q,
                          .images = n,
                          .x_step = f->s.image,
                          .d_step = f->d_step,
                          .off = f->off,
                          .pix = f->pix};
    fill(f, room, b, n);
    for (size_t i = 0; i < n * g->o && grid; i++)
        k->pick_rows(f->y + (b * g->o + i) * plane, 1, g->ow, g->ow, g->oh,
                     room + f->x_bytes + i * f->q * g->size, f->s.pitch);
    for (size_t q = 0; q < g->groups; q++)
        k->multiply(&j, room + q * g->cg * f->s.sh * f->s.sw * f->s.plane * g->size,
                    y + q * g->og * f->q * g->size, sum + q * g->og * f->n_k * g->size);
}

/* Tiles along channels: y turned into panels, x as it lies if it has no padding. */
static void by_channels(const job *f, char *room, size_t b, size_t n, char *sum) {
    const lg_conv_shape *g = &f->g;
    const lg_conv_kernels *k = lg_conv_kernels_for(g->t);
    size_t x_image = g->c * g->h * g->w, rows = whole_panels(f);
    bool copied = lg_conv_is_padded(g) || f->s.pitch != g->w;
    lg_conv_products j = {.m = g->og,
                          .n_k = f->n_k,
                          .q = f->q,
                          .images = n,
                          .x_step = copied ? f->s.image : x_image,
                          .d_step = f->d_step,
                          .off = f->off,
                          .pix = f->pix};
    const char *x = copied ? room : f->x + b * x_image * g->size;
    if (copied)
        fill(f, room, b, n);
    for (size_t i = 0; i < n; i++)
        for (size_t q = 0; q < g->groups; q++)
            k->panels(f->y + ((b + i) * g->o + q * g->og) * f->q * g->size, g->og, f->q,
                      room + f->x_bytes + (i * f->d_step + q * rows * f->q) * g->size);
    for (size_t q = 0; q < g->groups; q++)
        k->multiply_channels(&j, x + q * g->cg * f->s.plane * g->size,
                             room + f->x_bytes + q * rows * f->q * g->size,
                             sum + q * rows * f->n_k * g->size);
}

static void share_of(void *ctx, int part, int parts) {
    job *f = ctx;
    size_t s = (size_t)part, end = f->g.images * (s + 1) / (size_t)parts;
    int room = lg_conv_room_take(&f->rooms);
    memset(f->sum[s], 0, f->rows * f->n_k * f->g.size);
    for (size_t b = f->g.images * s / (size_t)parts; b < end; b += f->together)
        (f->kind == LG_CONV_CHANNELS ? by_channels : by_rows)(
            f, f->rooms.at[room], b, lg_conv_min(f->together, end - b), f->sum[s]);
    lg_conv_room_give(&f->rooms, room);
}

/* ---- the sum of all ---- */

enum { SUM_PARTS = 16, SUM_ALONE = 4096 }; /* below so many elements a thread does it */

/* A part of the panels of all groups. */
static void gather_panels(const job *f, size_t part, size_t parts) {
    const lg_conv_shape *g = &f->g;
    enum { WIDTH = 32 }; /* whole panels on every machine */
    size_t each = lg_conv_ceil(g->og, WIDTH), n = g->groups * each;
    void *sum[SHARES];
    for (size_t i = n * part / parts; i < n * (part + 1) / parts; i++) {
        size_t m = i % each * WIDTH, group = i / each;
        size_t at = (group * whole_panels(f) + m) * f->n_k * g->size;
        for (size_t s = 0; s < f->shares; s++)
            sum[s] = f->sum[s] + at;
        lg_conv_kernels_for(g->t)->gather_channels(sum, f->shares, lg_conv_min(g->og - m, WIDTH),
                                                   f->n_k,
                                                   f->w + (group * g->og + m) * f->n_k * g->size);
    }
}

static void add_shares(const job *f, size_t part, size_t parts) {
    size_t all = f->g.o * f->n_k, beg = all * part / parts, end = all * (part + 1) / parts;
    memcpy(f->w + beg * f->g.size, f->sum[0] + beg * f->g.size, (end - beg) * f->g.size);
    for (size_t s = 1; s < f->shares; s++)
        for (size_t i = beg; i < end; i++)
            if (f->g.t == LG_F64)
                ((double *)f->w)[i] += ((const double *)f->sum[s])[i];
            else
                ((float *)f->w)[i] += ((const float *)f->sum[s])[i];
}

static void sum_part(void *ctx, int part, int parts) {
    const job *f = ctx;
    (f->kind == LG_CONV_CHANNELS ? gather_panels : add_shares)(f, (size_t)part, (size_t)parts);
}

static void list_places(const job *f) {
    const lg_conv_shape *g = &f->g;
    if (f->kind == LG_CONV_CHANNELS)
        lg_conv_list_pixels(g->oh, g->ow, g->sh * f->s.pitch, g->sw, f->pix);
    else if (f->kind == LG_CONV_ROWS)
        lg_conv_list_pixels(g->oh, g->ow / 16, f->s.pitch, 16, f->pix);
    else
        lg_conv_list_pixels(1, f->q / 16, 0, 16, f->pix);
}

bool lg_conv_dw(const lg_call *c) {
    job f;
    cut(c->node, c->scratch, &f);
    const lg_conv_shape *g = &f.g;
    if (lg_conv_is_empty(g)) {
        memset(c->out[0], 0, g->lanes * g->w_lane);
        return true;
    }
    lg_conv_offsets(g, &f.s, f.off);
    list_places(&f);
    for (size_t lane = 0; lane < g->lanes; lane++) {
        f.x = (const char *)c->in[0] + lane * g->x_lane;
        f.y = (const char *)c->in[1] + lane * g->y_lane;
        lg_pool_run(share_of, &f, (int)f.shares);
        f.w = (char *)c->out[0] + lane * g->w_lane;
        lg_pool_run(sum_part, &f, f.rows * f.n_k < SUM_ALONE ? 1 : SUM_PARTS);
    }
    return true;
}
