/* sparse.h: products of sparse matrices, as mid/sparse.c makes them from sums. */
#ifndef LG_SPARSE_H
#define LG_SPARSE_H
#include "runtime/graph.h"

/* rows: val[J], row[J], col[J], x[K, ...T] -> [M, ...T]; attr.p[0], p[1]: entries whose row, whose
 * column is outside do not count, where else they are faults.
 * spans: val[J], first[M], end[M], col[J], x -> [M, ...T]; row i has the entries first[i] ..
 * end[i], of those that there are. even: val[M, N], col[M, N], x -> [M, ...T]. Indices are i32. */
extern const lg_op lg_op_sparse_rows, lg_op_sparse_spans, lg_op_sparse_even;
#endif
