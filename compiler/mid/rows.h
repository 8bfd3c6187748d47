/* rows.h: loops whose bodies keep the rows of a batch apart, so that a thread may run all rounds of
 * some rows. Used by schedule.c alone. */
#ifndef LG_ROWS_H
#define LG_ROWS_H
#include "compiler/mid/fuse.h"

/* In how many rows the body of a scan can be cut, given its steps, their kernels and the number of
 * carries; 0: it cannot. Every value that it makes or carries is as many rows, one after the other,
 * of which each is made from the same row of others and from what no round writes. *unit: rows that
 * must stay together, because kernels do them at once. */
int64_t lg_rows_of(const lg_graph *g, const lg_step *step, const lg_kernel *kernel, size_t n,
                   int n_carry, int64_t *unit);
#endif
