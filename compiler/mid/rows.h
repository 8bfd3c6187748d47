/* rows.h: steps that keep rows apart: row r of what they write is made from row r of what others
 * make and from what is there before. Then a thread may do many of them for some rows and wait for
 * nobody: all rounds of a loop (schedule.c), or steps in a row (stretch.c). Not for running them
 * (runtime/exec.c). */
#ifndef LG_ROWS_H
#define LG_ROWS_H
#include "compiler/mid/fuse.h"

/* Element e of a value belongs to row e / inner % rows: with inner = elements / rows a row is a
 * piece of memory, with inner = 1 in a matrix of `rows` columns it is one of these. */
enum { LG_GIVEN = -1, LG_MIXED = 0 }; /* inner of what nobody writes; of what has no rows (yet) */

typedef struct lg_rowed {
    int64_t rows;
    int64_t most; /* rows that may go together; 0: any number */
    int64_t (*inner)(const struct lg_rowed *c, lg_node *x); /* how x is cut */
    const void *ctx;
    int64_t unit; /* rows that must go together so far, because kernels do them at once */
    bool late;    /* of the last step: its row results are there when all rows are done */
    struct {
        lg_node *node;
        int64_t inner;
    } made[8]; /* by the last step: how its results are cut that nobody wrote before */
    int n_made;
} lg_rowed;

/* Does the step keep rows apart? Then c knows its unit and what it made. */
bool lg_keeps_rows(lg_rowed *c, const lg_step *s, const lg_kernel *k);

/* The tile that lets at most `most` rows, of q positions each, go together; bits stay. 0: none. */
int64_t lg_rows_tile(const lg_loop *l, int64_t q, int64_t most);

/* In how many rows the body of a scan can be cut, given its steps, their kernels and the number of
 * carries; 0: it cannot. Every value that it makes or carries is as many rows, one after the other,
 * of which each is made from the same row of others and from what no round writes. *unit: rows that
 * must stay together. */
int64_t lg_rows_of(const lg_graph *g, const lg_step *step, const lg_kernel *kernel, size_t n,
                   int n_carry, int64_t *unit);
#endif
