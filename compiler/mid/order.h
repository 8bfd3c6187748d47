/* order.h: the order of the steps of a plan. Used by schedule.c alone. */
#ifndef LG_ORDER_H
#define LG_ORDER_H
#include "compiler/mid/fuse.h"

/* order[k] = the step that is k-th; the first `fixed` ones (copies) stay where they are. */
void lg_order_steps(const lg_graph *g, int n, const lg_step *step, const lg_kernel *kernel,
                    int fixed, int *order);
/* What stands behind barriers waits for their other operand: calls fn for what those of n wait for. */
void lg_each_barrier(const lg_node *n, void (*fn)(void *ctx, lg_node *after), void *ctx);
#endif
