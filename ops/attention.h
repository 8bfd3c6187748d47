/* attention.h: softmax attention by strips of scores, as mid/attention.c makes it from products and
 * a softmax. Scores and probabilities are never stored: memory is linear in queries and keys.
 *
 * The score of query i and key j is sum over c of q[i, c]*k[j, c], times `scale`, plus the bias; a
 * query sees the keys that bounds and mask leave it, and gets their values v[j], averaged by the
 * softmax of the scores; one that sees none gets 0. Types of inputs and results, with B batches, H
 * heads of keys and R of queries to each of them, T queries, U keys:
 *
 *   q[B, H, R, T, K]  k[B, H, U, K]  v[B, H, U, V]  mask: bool[B, H, R, T, U]  bias[B, H, R, T, U]
 *   attend:       q, k, v (, mask) (, bias)            -> y[B, T, H, R, V], top[B, H, R, T]
 *   attend_grad:  q, k, v, dy, y, top (, mask) (, bias)  -> dq[B, T, H, R, K], dk[B, U, H, K],
 *                 dv[B, U, H, V]; dy and y: [B, H, R, T, V]
 *
 *   attend_grad, joined: where T = U, K = V and R = 1, one result [B, T, 3, H, K] with dq, dk and dv
 *
 * `top` is the logarithm of the sum of exponentials of a query's scores, +inf where it sees no key.
 * Results that are not wanted have the shape [0]. */
#ifndef LG_ATTENTION_H
#define LG_ATTENTION_H
#include "runtime/graph.h"

/* attr.p: the bits of `scale` as a double; flags; `up` and `low`, with which query i sees the keys
 * from i + low to i + up where the flags say so; joined: where dq, dk and dv stand among the three. */
enum { LG_ATT_SCALE, LG_ATT_FLAGS, LG_ATT_UP, LG_ATT_LOW, LG_ATT_DQ_AT, LG_ATT_DK_AT, LG_ATT_DV_AT };
enum {
    LG_ATT_HAS_UP = 1,
    LG_ATT_HAS_LOW = 2,
    LG_ATT_HAS_MASK = 4,
    LG_ATT_HAS_BIAS = 8,
    LG_ATT_WANTS_DQ = 16,
    LG_ATT_WANTS_DK = 32,
    LG_ATT_WANTS_DV = 64,
    LG_ATT_JOINED = 128
};
extern const lg_op lg_op_attend, lg_op_attend_grad;
#endif
