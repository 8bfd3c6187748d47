/* ops.h: the list of op families and lookup by name. */
#ifndef LG_OPS_H
#define LG_OPS_H
#include "runtime/graph.h"

const lg_op *lg_op_find(const char *name); /* NULL when there is none */
size_t lg_op_count(void);
const lg_op *lg_op_at(size_t i); /* families in order, each in its own order */

/* Ops that the passes themselves emit; all others are found by name. */
extern const lg_op lg_op_input, lg_op_const, lg_op_iota, lg_op_cast, lg_op_view, lg_op_unview,
    lg_op_reshape, lg_op_dot, lg_op_gather, lg_op_scatter_add, lg_op_scatter_put, lg_op_concat,
    lg_op_scan, lg_op_cond, lg_op_item, lg_op_stop_grad, lg_op_custom, lg_op_remat, lg_op_require;
#endif
