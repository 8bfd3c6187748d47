/* parts.h: a step over a batch, cut into parts of the batch: which values belong to single items,
 * which are sums over them, and the graphs that run part by part and then once. Asked by the host
 * for micro-batches and for evaluations in pieces. */
#ifndef LG_PARTS_H
#define LG_PARTS_H
#include "runtime/graph.h"

typedef struct lg_parts lg_parts;

/* g is the step for `rows` items, `probe` the same step elaborated for `probe_rows` of them: an
 * axis whose size differs counts items. first_slot: the i64 input that holds the position of the
 * first item. want[0..n): what the whole is to compute. Never NULL; see lg_parts_refused. */
lg_parts *lg_parts_new(const lg_graph *g, const lg_graph *probe, int64_t rows, int64_t probe_rows,
                       int first_slot, int n, lg_node *const *want);
void lg_parts_free(lg_parts *p);
/* Why the batch cannot be cut, and the place; NULL: it can. */
const char *lg_parts_refused(const lg_parts *p, lg_span *at);
/* The same for a value whose items must not know of each other (a loss): sums over the batch in
 * what it is made of. */
const char *lg_parts_coupled(const lg_parts *p, const lg_node *of, lg_span *at);

/* Sums over the batch. `identity`: what each begins with. */
typedef struct {
    lg_type type;
    double identity;
} lg_part_sum;
int lg_parts_sums(const lg_parts *p, const lg_part_sum **out);
int lg_parts_passes(const lg_parts *p); /* a later pass needs the sums of those before */
/* One pass over a part of `rows` items. Inputs: those of g by slot, then the sums so far; outputs:
 * the sums of this pass with the part added, in place; which[] gets their numbers, *n how many. */
lg_graph *lg_parts_pass(const lg_parts *p, int pass, int64_t rows, int *which, int *n);
/* What comes after: inputs as before, outputs want[]. */
lg_graph *lg_parts_rest(const lg_parts *p);
#endif
