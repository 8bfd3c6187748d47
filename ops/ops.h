/* ops.h: the list of op families and lookup by name. */
#ifndef LG_OPS_H
#define LG_OPS_H
#include "runtime/graph.h"

/* NULL when there is none. `max` and `min` are elementwise; the reductions are `reduce_max` and
 * `reduce_min`. */
const lg_op *lg_op_find(const char *name);
size_t lg_op_count(void);
const lg_op *lg_op_at(size_t i); /* families in order, each in its own order */
#endif
