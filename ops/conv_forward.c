/* conv_forward.c: conv2d. An image is copied once into zero-padded planes, one for each residue
 * modulo the stride, so that every tap of the kernel is a constant offset into them and the output
 * is one long dot product of rows at offsets: a matrix product whose second factor is read where it
 * lies. Where vectors run along the outputs, single pixels are read at any stride, so planes are
 * the image with zeros around it, or the image itself. */
#include "ops/conv_shape.h"
#include "runtime/plan.h"
#include <string.h>

typedef struct {
    lg_conv_shape g;
    lg_conv_planes s;
    lg_conv_kind kind;
    size_t n_k, parts;
    ptrdiff_t *off, *pix;
    char *w;
    lg_conv_rooms rooms; /* for an image in planes */
    const char *x;
    char *y;
} job;

static size_t cut(const lg_node *n, char *base, job *f) {
    lg_conv_cutter k = {base, 0};
    f->g = lg_conv_shape_of(&n->in[0]->type[0], &n->in[1]->type[0], &n->type[0], n->attr.p);
    const lg_conv_shape *g = &f->g;
    f->kind = lg_conv_kind_of(g->og, g->sw == 1 ? g->ow : 1);
    f->s = lg_conv_planes_of(g, f->kind != LG_CONV_CHANNELS);
    f->n_k = g->cg * g->taps;
    f->parts = lg_conv_min(g->images, LG_CONV_PARTS);
    f->off = lg_conv_cut(&k, f->n_k, sizeof *f->off);
    f->pix = lg_conv_cut(&k, f->kind == LG_CONV_CHANNELS ? g->oh * g->ow + LG_CONV_PIXELS : 0,
                         sizeof *f->pix);
    f->w = lg_conv_cut(&k, g->o * f->n_k, g->size);
    lg_conv_rooms_cut(&f->rooms, &k, f->parts, f->s.image * g->size);
    return k.used;
}

size_t lg_conv_forward_scratch(const lg_node *n) {
    job f;
    return cut(n, NULL, &f);
}

/* The image may be read as it lies. */
static bool is_plain(const job *f) {
    const lg_conv_shape *g = &f->g;
    return !lg_conv_is_padded(g) && f->s.sh * f->s.sw == 1 && f->s.pitch == g->w &&
           f->kind == LG_CONV_CHANNELS;
}

static void part(void *ctx, int at, int parts) {
    job *f = ctx;
    const lg_conv_shape *g = &f->g;
    bool plain = is_plain(f);
    int room = plain ? 0 : lg_conv_room_take(&f->rooms);
    size_t plane = g->oh * g->ow, end = g->images * ((size_t)at + 1) / (size_t)parts;
    size_t group = g->cg * f->s.sh * f->s.sw * f->s.plane * g->size;
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
    for (size_t b = g->images * (size_t)at / (size_t)parts; b < end; b++) {
        const char *image = f->x + b * g->c * g->h * g->w * g->size;
        if (!plain) {
            lg_conv_fill(g, &f->s, image, f->rooms.at[room]);
            image = f->rooms.at[room];
        }
        for (size_t q = 0; q < g->groups; q++) {
            j.w = f->w + q * g->og * f->n_k * g->size;
            lg_conv_correlate(g->t, f->kind, &j, image + q * group,
                              f->y + (b * g->o + q * g->og) * plane * g->size);
        }
    }
    if (!plain)
        lg_conv_room_give(&f->rooms, room);
}

static void prepare(const job *f, const char *w) {
    const lg_conv_shape *g = &f->g;
    const lg_conv_weights p = {g->og, f->n_k, g->cg, g->taps, NULL, g->taps};
    for (size_t q = 0; q < g->groups; q++) {
        size_t at = q * g->og * f->n_k * g->size;
        if (f->kind == LG_CONV_CHANNELS)
            lg_conv_kernels_for(g->t)->panels(w + at, g->og, f->n_k, f->w + at);
        else
            lg_conv_pack(g->t, &p, w + at, f->w + at);
    }
}

bool lg_conv_forward(const lg_call *c) {
    job f;
    cut(c->node, c->scratch, &f);
    const lg_conv_shape *g = &f.g;
    if (lg_conv_is_empty(g)) {
        memset(c->out[0], 0, g->lanes * g->y_lane);
        return true;
    }
    lg_conv_offsets(g, &f.s, f.off);
    if (f.kind == LG_CONV_CHANNELS)
        lg_conv_list_pixels(g->oh, g->ow, g->sh * f.s.pitch, g->sw, f.pix);
    for (size_t lane = 0; lane < g->lanes; lane++) {
        f.x = (const char *)c->in[0] + lane * g->x_lane;
        f.y = (char *)c->out[0] + lane * g->y_lane;
        prepare(&f, (const char *)c->in[1] + lane * g->w_lane);
        lg_pool_run(part, &f, (int)f.parts);
    }
    return true;
}
