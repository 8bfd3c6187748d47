/* ahead.h: rows of memory that are asked for before they are read. Hardware follows what lies side
 * by side, not what jumps from row to row, so kernels that walk through blocks of a matrix ask for
 * the next block, some rows at a time, while they work on one. Changes no result. */
#ifndef LG_AHEAD_H
#define LG_AHEAD_H
#include <stdint.h>

enum { LG_LINE = 64 };

typedef struct {
    const char *at; /* the next of `rows` rows of `bytes`, which stand `step` bytes apart */
    int64_t step, bytes, rows;
} lg_ahead;

/* Asks for n more rows, if so many are left. */
static inline void lg_ask(lg_ahead *x, int64_t n) {
    n = n < x->rows ? n : x->rows;
    const int64_t step = x->step, bytes = x->bytes;
    const char *p = x->at;
    for (int64_t i = 0; i < n; i++, p += step)
        for (int64_t k = 0; k < bytes; k += 2 * LG_LINE) {
            __builtin_prefetch(p + k, 0, 2);
            __builtin_prefetch(p + k + LG_LINE, 0, 2);
        }
    x->at = p;
    x->rows -= n;
}
#endif
