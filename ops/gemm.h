/* gemm.h: matrix products by register tiles. Bits depend on the shapes alone: K is cut in fixed
 * blocks and never split among threads. Called by the op `dot` and, through the plan, by the
 * executor. */
#ifndef LG_GEMM_H
#define LG_GEMM_H
#include "runtime/exec.h"

void lg_gemm(const lg_product *p, const void *a, const void *b, void *y, void *scratch, int part,
             int parts);
size_t lg_gemm_scratch(const lg_product *p); /* bytes a thread */
/* How the elements of a product are summed on this machine, for whoever computes the same bits. */
typedef struct {
    int lanes;      /* of a vector; a product of one row has 4 of them as running sums */
    bool fused;     /* multiply-add in one rounding */
    int64_t k_most; /* length of a block of K */
} lg_gemm_order;
lg_gemm_order lg_gemm_order_of(lg_dtype t);
/* The product that is computed for p, which may be p turned round: then *swaps a and b. */
lg_product lg_gemm_turned(const lg_product *p, bool *swaps);
#endif
