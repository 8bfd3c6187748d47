/* conv_bundle.c: conv2d and its image's derivative for images in bundles of 16. Each pixel is a
 * vector of 16 images, so rows of any length fill vectors. Rows and columns of the result are
 * sorted by the taps that fall inside the image: pixels of one kind sum those taps alone, so there
 * are no frames of zeros, and strides need nothing of their own. Sums run in the order of the plain
 * ops (conv_forward.c, conv_dx.c). Not for the kernels' derivative (conv_bundle_dw.c). */
#include "ops/conv_bundle.h"
#include "runtime/plan.h"
#include <string.h>

enum { BAND = 8, PIXELS = 48 }; /* rows of a part at most; pixels of a list */

/* The coordinates of the result along an axis, sorted by the taps that they see. */
typedef struct {
    size_t n, n_kind;
    size_t *at;      /* coordinates, kind after kind */
    size_t *end;     /* of each kind among them */
    ptrdiff_t *base; /* of each coordinate: where its source lies, to which offsets are added */
    size_t *n_tap;   /* of each kind */
    lg_bundle_tap *tap;
} axis;

typedef struct {
    size_t kind, first, n;
} band;

typedef struct {
    lg_conv_shape g;
    bool back; /* dx: from y to x */
    axis row, col;
    size_t m, n_c; /* outputs and source channels of a group */
    size_t from_h, from_w, to_h, to_w;
    band *band;
    size_t n_band;
    char *w;
    lg_conv_rooms rooms; /* for lists of taps and pixels */
    const char *src;
    const char *weight;
    char *out;
} job;

lg_conv_shape lg_conv_bundle_shape(const lg_type *x, const lg_type *w, const lg_type *y,
                                   const int64_t *p) {
    lg_type xs = *x, ys = *y;
    assert(x->rank > 3 && x->shape[x->rank - 1] == LG_BUNDLE);
    xs.rank--;
    ys.rank--;
    return lg_conv_shape_of(&xs, w, &ys, p);
}

/* ---- coordinates and their taps ---- */

/* Sizes along one axis; of the source and the result of the job. */
typedef struct {
    bool back;
    size_t stride, pad, dilation, k, from, to;
} along;

static void cut_axis(lg_conv_cutter *s, axis *a, const along *l) {
    a->n = l->to;
    a->at = lg_conv_cut(s, l->to, sizeof *a->at);
    a->end = lg_conv_cut(s, l->to, sizeof *a->end);
    a->base = lg_conv_cut(s, l->to, sizeof *a->base);
    a->n_tap = lg_conv_cut(s, l->to, sizeof *a->n_tap);
    a->tap = lg_conv_cut(s, (l->to + 1) * l->k, sizeof *a->tap);
}

/* The taps that coordinate r of the result sees, as offsets from its base. */
static size_t taps_at(const along *l, size_t r, ptrdiff_t *base, lg_bundle_tap *tap) {
    size_t n = 0;
    *base = l->back ? (ptrdiff_t)((r + l->pad) / l->stride)
                    : (ptrdiff_t)(r * l->stride) - (ptrdiff_t)l->pad;
    for (size_t i = 0; i < l->k; i++) {
        size_t reach = i * l->dilation;
        ptrdiff_t at = *base + (ptrdiff_t)reach;
        if (l->back) {
            if (r + l->pad < reach || (r + l->pad - reach) % l->stride != 0)
                continue;
            at = (ptrdiff_t)((r + l->pad - reach) / l->stride);
        }
        if (at >= 0 && at < (ptrdiff_t)l->from)
            tap[n++] = (lg_bundle_tap){at - *base, i};
    }
    return n;
}

static bool same_taps(const lg_bundle_tap *a, const lg_bundle_tap *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (a[i].off != b[i].off || a[i].w != b[i].w)
            return false;
    return true;
}

/* The kind of a coordinate with these taps, which stand behind those of all kinds. */
static size_t kind_of(axis *a, size_t n_tap, size_t k) {
    const lg_bundle_tap *fresh = a->tap + a->n_kind * k;
    for (size_t i = 0; i < a->n_kind; i++)
        if (a->n_tap[i] == n_tap && same_taps(a->tap + i * k, fresh, n_tap))
            return i;
    a->n_tap[a->n_kind] = n_tap;
    a->end[a->n_kind] = 0;
    return a->n_kind++;
}

/* Counts the coordinates of each kind, then puts them in order. */
static void sort_axis(axis *a, const along *l) {
    ptrdiff_t unused;
    a->n_kind = 0;
    for (size_t r = 0; r < a->n; r++) {
        size_t n = taps_at(l, r, &a->base[r], a->tap + a->n_kind * l->k);
        a->end[kind_of(a, n, l->k)]++;
    }
    for (size_t i = 0, begin = 0; i < a->n_kind; i++) {
        size_t n = a->end[i];
        a->end[i] = begin;
        begin += n;
    }
    for (size_t r = 0; r < a->n; r++) {
        size_t n = taps_at(l, r, &unused, a->tap + a->n_kind * l->k);
        a->at[a->end[kind_of(a, n, l->k)]++] = r;
    }
}

static along rows_of(const job *f) {
    const lg_conv_shape *g = &f->g;
    return (along){f->back, g->sh, g->top, g->dh, g->kh, f->from_h, f->to_h};
}

static along cols_of(const job *f) {
    const lg_conv_shape *g = &f->g;
    return (along){f->back, g->sw, g->left, g->dw, g->kw, f->from_w, f->to_w};
}

/* Rows of one kind, BAND of them at most, are a part of each bundle. */
static void list_bands(job *f) {
    f->n_band = 0;
    for (size_t i = 0, r = 0; i < f->row.n_kind; i++)
        for (; r < f->row.end[i]; r += f->band[f->n_band++].n)
            f->band[f->n_band] = (band){i, r, lg_conv_min(f->row.end[i] - r, BAND)};
}

/* ---- scratch ---- */

typedef struct {
    lg_bundle_tap *tap;
    ptrdiff_t from[PIXELS], to[PIXELS];
} lists;

static size_t cut(const lg_node *n, bool back, char *base, job *f) {
    lg_conv_cutter k = {base, 0};
    const lg_type *in = &n->in[0]->type[0], *out = &n->type[0];
    f->g = lg_conv_bundle_shape(back ? out : in, &n->in[1]->type[0], back ? in : out, n->attr.p);
    const lg_conv_shape *g = &f->g;
    if (lg_conv_is_empty(g))
        return 0;
    f->back = back;
    f->m = back ? g->cg : g->og;
    f->n_c = back ? g->og : g->cg;
    f->from_h = back ? g->oh : g->h;
    f->from_w = back ? g->ow : g->w;
    f->to_h = back ? g->h : g->oh;
    f->to_w = back ? g->w : g->ow;
    along row = rows_of(f), col = cols_of(f);
    cut_axis(&k, &f->row, &row);
    cut_axis(&k, &f->col, &col);
    f->band = lg_conv_cut(&k, f->to_h, sizeof *f->band);
    f->w = lg_conv_cut(&k, g->o * g->cg * g->taps, g->size);
    lg_conv_rooms_cut(&f->rooms, &k, LG_CONV_ROOMS,
                      sizeof(lists) + g->taps * sizeof(lg_bundle_tap));
    return k.used;
}

size_t lg_conv_bundle_forward_scratch(const lg_node *n) {
    job f;
    return cut(n, false, NULL, &f);
}

size_t lg_conv_bundle_dx_scratch(const lg_node *n) {
    job f;
    return cut(n, true, NULL, &f);
}

/* ---- weights ---- */

enum { PACK_ROWS = 8 }; /* of a tile */

/* Rows of the result are outputs (dx: input channels), places the others with all taps. */
static void pack_part(void *ctx, int part, int parts) {
    const job *f = ctx;
    const lg_conv_shape *g = &f->g;
    size_t tiles = lg_conv_ceil(f->m, PACK_ROWS), n_k = f->n_c * g->taps, all = g->og * g->cg;
    for (size_t i = g->groups * tiles * (size_t)part / (size_t)parts,
                end = g->groups * tiles * ((size_t)part + 1) / (size_t)parts;
         i < end; i++) {
        size_t q = i / tiles, m = i % tiles * PACK_ROWS, step = (f->back ? 1 : g->cg) * g->taps;
        lg_conv_weights p = {lg_conv_min(f->m - m, PACK_ROWS), step, f->n_c,
                             (f->back ? g->cg : 1) * g->taps,  NULL, g->taps};
        const char *from = f->weight + (q * all * g->taps + m * step) * g->size;
        lg_conv_pack(g->t, &p, from, f->w + (q * f->m + m) * n_k * g->size);
    }
}

static void pack(job *f) {
    enum { ALONE = 4096, PARTS = 16 };
    size_t n = f->g.o * f->g.cg * f->g.taps;
    lg_pool_run(pack_part, f, n < ALONE ? 1 : PARTS);
}

/* ---- images ---- */

/* The taps of rows and columns of two kinds, in the order of the weights. */
static size_t join_taps(const job *f, size_t row_kind, size_t col_kind, lg_bundle_tap *to) {
    const lg_conv_shape *g = &f->g;
    const lg_bundle_tap *row = f->row.tap + row_kind * g->kh, *col = f->col.tap + col_kind * g->kw;
    size_t n = 0;
    for (size_t i = 0; i < f->row.n_tap[row_kind]; i++)
        for (size_t j = 0; j < f->col.n_tap[col_kind]; j++)
            to[n++] = (lg_bundle_tap){(row[i].off * (ptrdiff_t)f->from_w + col[j].off) * LG_BUNDLE,
                                      row[i].w * g->kw + col[j].w};
    return n;
}

/* Pixels of the rows of a band and the columns of a kind, of all groups of a bundle. */
static void pixels_of(const job *f, const band *b, size_t col_kind, lists *l, size_t bundle) {
    const lg_conv_shape *g = &f->g;
    size_t begin = col_kind ? f->col.end[col_kind - 1] : 0, n = f->col.end[col_kind] - begin;
    size_t from_plane = f->from_h * f->from_w * LG_BUNDLE, to_plane = f->to_h * f->to_w * LG_BUNDLE;
    lg_bundle_sums j = {.m = f->m,
                        .n_c = f->n_c,
                        .c_step = from_plane,
                        .n_tap = join_taps(f, b->kind, col_kind, l->tap),
                        .c_weights = g->taps,
                        .plane = to_plane,
                        .tap = l->tap,
                        .from = l->from,
                        .to = l->to};
    for (size_t p = 0, all = b->n * n; p < all; p += j.n_pix) {
        j.n_pix = lg_conv_min(all - p, PIXELS);
        for (size_t i = 0; i < j.n_pix; i++) {
            size_t r = f->row.at[b->first + (p + i) / n], c = f->col.at[begin + (p + i) % n];
            l->from[i] = (f->row.base[r] * (ptrdiff_t)f->from_w + f->col.base[c]) * LG_BUNDLE;
            l->to[i] = (ptrdiff_t)((r * f->to_w + c) * LG_BUNDLE);
        }
        for (size_t q = 0; q < g->groups; q++) {
            size_t group = bundle * g->groups + q;
            j.w = f->w + q * f->m * f->n_c * g->taps * g->size;
            lg_conv_kernels_for(g->t)->bundle_sums(&j,
                                                   f->src + group * f->n_c * from_plane * g->size,
                                                   f->out + group * f->m * to_plane * g->size);
        }
    }
}

static void part(void *ctx, int at, int parts) {
    job *f = ctx;
    (void)parts;
    const band *b = &f->band[(size_t)at % f->n_band];
    int room = lg_conv_room_take(&f->rooms);
    lists *l = (lists *)f->rooms.at[room];
    l->tap = (lg_bundle_tap *)(l + 1);
    for (size_t k = 0; k < f->col.n_kind; k++)
        pixels_of(f, b, k, l, (size_t)at / f->n_band);
    lg_conv_room_give(&f->rooms, room);
}

static bool run(const lg_call *c, bool back) {
    job f;
    cut(c->node, back, c->scratch, &f);
    const lg_conv_shape *g = &f.g;
    if (lg_conv_is_empty(g)) {
        memset(c->out[0], 0, lg_type_count(&c->node->type[0]) * g->size);
        return true;
    }
    along row = rows_of(&f), col = cols_of(&f);
    sort_axis(&f.row, &row);
    sort_axis(&f.col, &col);
    list_bands(&f);
    f.src = c->in[0];
    f.weight = c->in[1];
    f.out = c->out[0];
    pack(&f);
    lg_pool_run(part, &f, (int)(g->images * f.n_band));
    return true;
}

bool lg_conv_bundle_forward(const lg_call *c) {
    return run(c, false);
}

bool lg_conv_bundle_dx(const lg_call *c) {
    return run(c, true);
}
