/* prefix.h: products that go as far as a number of the run says: along their inner dim, as
 * mid/prefix.c makes them from such sums, or along their rows, where mid/ends.c finds that no
 * others are looked at. */
#ifndef LG_PREFIX_H
#define LG_PREFIX_H
#include "runtime/graph.h"

/* a[..., M, K], b[..., K, N], n: i64[] -> [..., M, N], the sums of the first n terms; of none where
 * n is negative, of all where it is beyond K. What comes after is not read. */
extern const lg_op lg_op_dot_prefix;
/* a[..., M, K], b[..., K, N], n: i64[] -> [..., M, N]: the first n rows as those of the product;
 * the others are 0. */
extern const lg_op lg_op_dot_rows;
#endif
