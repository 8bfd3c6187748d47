/* attention_place.h: where the operands of attention stand, which keys a query may see, and what a
 * thread has at hand while it works on a head. Included by attention.c alone, whose tiles use it.
 */
#ifndef LG_ATTENTION_PLACE_H
#define LG_ATTENTION_PLACE_H
#include "ops/ahead.h"
#include "ops/attention.h"
#include <stdatomic.h>

/* Steps by batch, head, repeat, row, column, in elements. */
typedef struct {
    int64_t off, b, h, r, i, j;
} place;

typedef struct {
    lg_dtype type;
    size_t size; /* of an element */
    int64_t B, H, R, T, U, K, V;
    int64_t flags, up, low;
    double scale;
    place q, k, v, dy, y, mask, bias, dq, dk, dv;
    int64_t k_wide, v_wide; /* rows of keys and values in whole tiles */
} geometry;

/* Rows that the next head reads or writes, which are asked for while this one is done: it has
 * another place in every row of the arrays, where no hardware looks for it. */
typedef struct {
    lg_ahead at[8];
    int n, now;           /* now: whose rows are being asked for */
    int64_t rows, a_tile; /* of all; how many for a tile of scores */
} ahead;

/* A head at work, in a part of the scratch. */
typedef struct {
    int64_t b, h, r;
    int64_t beg, end; /* its queries */
    ahead next;
    int64_t stat; /* where its `top` begins */
    void *strip, *other, *q_panels, *dy_panels, *part;
    void *k_room, *v_room, *q_room, *dy_room; /* for lines */
    const void *k_lines, *v_lines;
    int64_t k_step, v_step;
} head;

enum { BLOCK = 32 };

/* The queries i .. i+n of a head: the keys lo .. hi that some of them see, all_lo .. all_hi that
 * all of them do, first .. last that each does; their bias and mask. */
typedef struct {
    int64_t i, n, lo, hi, all_lo, all_hi;
    int32_t first[BLOCK], last[BLOCK];
    const void *bias;
    const uint8_t *mask;
} block;

typedef struct {
    geometry g;
    const void *q, *k, *v, *mask, *bias;
    void *y, *top;
    int64_t chunks; /* of the queries of a head */
    char *scratch;
    size_t room;           /* of a part */
    _Atomic int64_t taken; /* jobs */
} forward;

typedef struct {
    geometry g;
    const void *q, *k, *v, *dy, *y, *top, *mask, *bias;
    void *dq, *dk, *dv;
    char *scratch;
    size_t room;
    _Atomic int64_t taken;
} backward;

static int64_t within(int64_t x, int64_t n) {
    return x < 0 ? 0 : x > n ? n : x;
}

static int64_t first_key(const geometry *g, int64_t i) {
    return g->flags & LG_ATT_HAS_LOW ? within(i + g->low, g->U) : 0;
}

static int64_t last_key(const geometry *g, int64_t i) {
    return g->flags & LG_ATT_HAS_UP ? within(i + g->up + 1, g->U) : g->U;
}

static int64_t at_head(const place *p, const head *h) {
    return p->off + h->b * p->b + h->h * p->h;
}

static int64_t at_row(const place *p, const head *h, int64_t i) {
    return at_head(p, h) + h->r * p->r + i * p->i;
}

static bool wants_scores(const geometry *g) {
    return g->flags & (LG_ATT_WANTS_DQ | LG_ATT_WANTS_DK);
}

static block block_of(const geometry *g, const head *h, int64_t i, int64_t n, const void *mask,
                      const void *bias) {
    block b = {.i = i, .n = n, .lo = first_key(g, i), .hi = last_key(g, i + n - 1)};
    b.all_lo = first_key(g, i + n - 1);
    b.all_hi = last_key(g, i);
    for (int64_t q = 0; q < n; q++) {
        b.first[q] = (int32_t)first_key(g, i + q);
        b.last[q] = (int32_t)last_key(g, i + q);
    }
    if (mask)
        b.mask = (const uint8_t *)mask + at_row(&g->mask, h, i);
    if (bias)
        b.bias = (const char *)bias + at_row(&g->bias, h, i) * (int64_t)g->size;
    return b;
}

/* From *r0 to *r1: the queries of the block that may see a key of j0 .. j1. */
static void queries_of(const geometry *g, const block *b, int64_t j0, int64_t j1, int64_t *r0,
                       int64_t *r1) {
    *r0 = g->flags & LG_ATT_HAS_UP ? within(j0 - g->up - b->i, b->n) : 0;
    *r1 = g->flags & LG_ATT_HAS_LOW ? within(j1 - g->low - b->i + 1, b->n) : b->n;
}

/* Asks for some more rows. */
static inline void ask(ahead *a) {
    if (a->now == a->n)
        return;
    lg_ask(&a->at[a->now], a->a_tile);
    a->now += a->at[a->now].rows == 0;
}
#endif
