/* strided.h: an affine view of a dense array as nested loops over one flat offset. Not for bounds:
 * the graph's verifier has checked them. Used by the copies of shape.c. */
#ifndef LG_STRIDED_H
#define LG_STRIDED_H
#include "runtime/graph.h"

/* The dense side runs row-major over n[0..rank); its element o stands at
 * base + sum of stride[d]*o[d] on the strided side. rank >= 1; neighbours are merged. */
typedef struct {
    int rank;
    int64_t base, n[LG_MAX_RANK + 1], stride[LG_MAX_RANK + 1];
} lg_strided;

/* `in` is the type that m's rows subscript, `out` the one that gives the loops. */
lg_strided lg_strided_of(const lg_affine *m, const lg_type *in, const lg_type *out);

/* Calls fn for each run along the last loop: `at` is where the run starts on the strided side,
 * `done` how many dense elements came before. */
void lg_strided_each(const lg_strided *s, void (*fn)(void *ctx, int64_t at, int64_t done), void *ctx);
#endif
