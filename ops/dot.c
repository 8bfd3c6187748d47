/* dot.c: the batched matrix product as an op: dense operands, one thread. Plans call the kernels of
 * gemm.c themselves, with strides and in parts; the bits are the same. */
#include "ops/family.h"
#include "ops/gemm.h"
#include "ops/ops.h"

static lg_product product_of(const lg_node *node) {
    const lg_type *a = &node->in[0]->type[0], *y = &node->type[0];
    int r = y->rank;
    int64_t m = y->shape[r - 2], n = y->shape[r - 1], k = a->shape[r - 1];
    lg_product p = {.type = y->dtype,
                    .batch = 1,
                    .m = m,
                    .n = n,
                    .k = k,
                    .a_batch = m * k,
                    .a_m = k,
                    .a_k = 1,
                    .b_batch = k * n,
                    .b_k = n,
                    .b_n = 1};
    for (int d = 0; d < r - 2; d++)
        p.batch *= y->shape[d];
    return p;
}

static size_t scratch_dot(const lg_node *node) {
    lg_product p = product_of(node);
    return lg_gemm_scratch(&p);
}

static bool run_dot(const lg_call *c) {
    lg_product p = product_of(c->node);
    lg_gemm(&p, c->in[0], c->in[1], c->out[0], c->scratch, 0, 1);
    return true;
}

static int64_t flops_dot(const lg_node *n) {
    const lg_type *a = &n->in[0]->type[0];
    return 2 * (int64_t)lg_type_count(&n->type[0]) * a->shape[a->rank - 1];
}

const lg_op lg_op_dot = {.name = "dot",
                         .sig = "(a: T[...S, M, K], b: T[...S, K, N]) -> T[...S, M, N]",
                         .cls = LG_C_DOT,
                         .arity = 2,
                         .traits = LG_T_LINEAR,
                         .run = run_dot,
                         .scratch = scratch_dot,
                         .flops = flops_dot,
                         .doc = "Matrix product over the last two axes."};

const lg_op *const lg_ops_dot[] = {&lg_op_dot, NULL};
