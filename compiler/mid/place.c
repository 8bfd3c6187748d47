/* place.c: offsets in the workspace from lifetimes. Not for what the buffers hold. */
#include "compiler/mid/place.h"
#include <stdlib.h>
#include <string.h>

enum {
    ALIGN = 64,
    BRIEF = 8,        /* steps */
    FAR = 8 << 20,    /* bytes that caches do not keep */
    MOST_TRIED = 4096 /* blocks */
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
