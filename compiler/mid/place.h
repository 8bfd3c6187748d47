/* place.h: buffers of a plan: lifetimes and offsets. Used by schedule.c alone. */
#ifndef LG_PLACE_H
#define LG_PLACE_H
#include "runtime/base.h"

/* A piece of workspace that is in use during steps [from, to]. */
typedef struct {
    size_t bytes, off;
    int from, to;
} lg_block;
/* First fit by decreasing size; where there is much, what is in use for a few steps goes first, and
 * more than 10000 go by their beginning, in less time. Returns the bytes needed in all. Offsets are
 * multiples of 64. */
size_t lg_blocks_place(lg_block *block, size_t n);
#endif
