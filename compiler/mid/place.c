/* place.c: offsets in the workspace from lifetimes. Not for what the buffers hold. */
#include "compiler/mid/place.h"
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 64,
    BRIEF = 8,         /* steps */
    FAR = 8 << 20,     /* bytes that caches do not keep */
    MOST_TRIED = 4096, /* blocks */
    MANY = 10000
};

static int larger_first(const void *a, const void *b) {
    const lg_block *x = *(lg_block *const *)a, *y = *(lg_block *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return x->from != y->from ? (x->from < y->from ? -1 : 1) : x < y ? -1 : x > y;
}

/* What is in use for a few steps first, at the bottom: so its memory is used again and again while
 * it is in the caches, and what is kept for long lies beside it rather than between. */
static int brief_first(const void *a, const void *b) {
    const lg_block *x = *(lg_block *const *)a, *y = *(lg_block *const *)b;
    bool p = x->to - x->from <= BRIEF, q = y->to - y->from <= BRIEF;
    return p != q ? (p ? -1 : 1) : larger_first(a, b);
}

/* Inserts b into the list of placed blocks, which is in order of offset, at the first gap. */
static size_t put(lg_block **placed, size_t n, lg_block *b) {
    size_t at = 0, top = 0;
    for (; at < n; at++) {
        const lg_block *p = placed[at];
        if (p->from > b->to || p->to < b->from)
            continue;
        if (p->off >= top + b->bytes)
            break;
        size_t end = (p->off + p->bytes + ALIGN - 1) / ALIGN * ALIGN;
        top = end > top ? end : top;
    }
    b->off = top;
    size_t k = n;
    for (; k > 0 && placed[k - 1]->off > top; k--)
        placed[k] = placed[k - 1];
    placed[k] = b;
    return top + b->bytes;
}

/* ---- very many ---- */

typedef struct {
    size_t off, bytes;
} hole;
typedef LG_VEC(hole) holes;

static size_t rounded(size_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The first hole that is large enough; *top grows when there is none. */
static size_t take(holes *h, size_t bytes, size_t *top) {
    size_t at = 0;
    for (; at < h->n; at++)
        if (h->at[at].bytes >= bytes)
            break;
    if (at < h->n) {
        size_t off = h->at[at].off;
        h->at[at].off += bytes;
        h->at[at].bytes -= bytes;
        if (!h->at[at].bytes)
            memmove(h->at + at, h->at + at + 1, sizeof *h->at * (--h->n - at));
        return off;
    }
    *top += bytes;
    return *top - bytes;
}

/* A block that ends becomes a hole, joined with its neighbours; holes are in order of offset. */
static void give(holes *h, size_t off, size_t bytes) {
    size_t lo = 0, hi = h->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (h->at[mid].off < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    bool before = lo > 0 && h->at[lo - 1].off + h->at[lo - 1].bytes == off;
    bool behind = lo < h->n && off + bytes == h->at[lo].off;
    if (before && behind) {
        h->at[lo - 1].bytes += bytes + h->at[lo].bytes;
        memmove(h->at + lo, h->at + lo + 1, sizeof *h->at * (--h->n - lo));
    } else if (before) {
        h->at[lo - 1].bytes += bytes;
    } else if (behind) {
        h->at[lo].off = off;
        h->at[lo].bytes += bytes;
    } else {
        LG_PUSH(*h, ((hole){0, 0}));
        memmove(h->at + lo + 1, h->at + lo, sizeof *h->at * (h->n - 1 - lo));
        h->at[lo] = (hole){off, bytes};
    }
}

static int by_beginning(const void *a, const void *b) {
    const lg_block *x = *(lg_block *const *)a, *y = *(lg_block *const *)b;
    return x->from != y->from ? (x->from < y->from ? -1 : 1) : x < y ? -1 : x > y;
}

static int by_end(const void *a, const void *b) {
    const lg_block *x = *(lg_block *const *)a, *y = *(lg_block *const *)b;
    return x->to != y->to ? (x->to < y->to ? -1 : 1) : x < y ? -1 : x > y;
}

/* In the order of the steps, with the room of what has ended: less dense than by size, but the time
 * does not grow with the square of their number. */
static size_t place_in_order(lg_block *block, size_t n) {
    lg_block **first = lg_alloc((n + 1) * sizeof *first), **last = lg_alloc((n + 1) * sizeof *last);
    holes free_ = {0};
    size_t top = 0, ended = 0;
    for (size_t k = 0; k < n; k++)
        first[k] = last[k] = &block[k];
    qsort(first, n, sizeof *first, by_beginning);
    qsort(last, n, sizeof *last, by_end);
    for (size_t k = 0; k < n; k++) {
        for (; ended < n && last[ended]->to < first[k]->from; ended++)
            if (last[ended]->bytes)
                give(&free_, last[ended]->off, rounded(last[ended]->bytes));
        if (first[k]->bytes)
            first[k]->off = take(&free_, rounded(first[k]->bytes), &top);
    }
    lg_free(free_.at);
    lg_free(first);
    lg_free(last);
    return top;
}

/* ---- by size ---- */

/* The bytes needed when blocks are placed in that order. */
static size_t place_by(int (*first)(const void *a, const void *b), lg_block **order,
                       lg_block **placed, size_t n) {
    size_t most = 0, m = 0;
    qsort(order, n, sizeof *order, first);
    for (size_t k = 0; k < n; k++) {
        if (order[k]->bytes == 0)
            continue;
        size_t end = put(placed, m++, order[k]);
        most = end > most ? end : most;
    }
    return most;
}

size_t lg_blocks_place(lg_block *block, size_t n) {
    if (n > MANY)
        return place_in_order(block, n);
    lg_block **order = lg_alloc((n + 1) * sizeof *order),
             **placed = lg_alloc((n + 1) * sizeof *placed);
    for (size_t k = 0; k < n; k++)
        order[k] = &block[k];
    size_t most = place_by(larger_first, order, placed, n);
    if (most > FAR && n <= MOST_TRIED) {
        lg_block *densest = lg_alloc((n + 1) * sizeof *densest);
        memcpy(densest, block, n * sizeof *densest);
        size_t other = place_by(brief_first, order, placed, n);
        if (other > most + most / 32)
            memcpy(block, densest, n * sizeof *densest);
        else
            most = other;
        lg_free(densest);
    }
    lg_free(order);
    lg_free(placed);
    return (most + ALIGN - 1) / ALIGN * ALIGN;
}
