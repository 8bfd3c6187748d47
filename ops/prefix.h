/* prefix.h: products whose inner dim ends where a number of the run says, as mid/prefix.c makes them
 * from sums that go so far. */
#ifndef LG_PREFIX_H
#define LG_PREFIX_H
#include "runtime/graph.h"

/* a[..., M, K], b[..., K, N], n: i64[] -> [..., M, N], the sums of the first n terms; of none where n
 * is negative, of all where it is beyond K. What comes after is not read. */
extern const lg_op lg_op_dot_prefix;
#endif
