/* prefix.c: matrix products over the first terms of their inner dim, or of their first rows, so
 * many as a number of the run says: a step of a loop that has come so far reads no more. Operands
 * are read through strides; the arithmetic is that of ops/gemm.c. Not for what is known to end
 * (those are shorter arrays). */
#include "ops/prefix.h"
#include "ops/family.h"
#include "ops/gemm.h"
#include "runtime/plan.h"
#include <string.h>

enum { PARTS = 16, BLOCK = 16 };             /* BLOCK: rows of one item at a time */
static const int64_t least_shared = 1 << 18; /* multiplications worth sharing among threads */

typedef struct {
    const lg_call *c;
    lg_product p; /* of one item of the batch */
    int64_t batch;
    int64_t rows; /* that are asked for, if not all */
    size_t room;  /* scratch of a part */
} job;

/* Steps of an input along its dims: as they are, or dense. */
static lg_strides steps_of(const lg_call *c, int k) {
    const lg_type *t = &c->node->in[k]->type[0];
    if (c->at)
        return c->at[k];
    lg_strides s = {0};
    int64_t unit = 1;
    for (int d = t->rank - 1; d >= 0; unit *= t->shape[d--])
        s.stride[d] = unit;
    return s;
}

static lg_product product_of(const lg_node *n) {
    const lg_type *a = &n->in[0]->type[0], *y = &n->type[0];
    int r = y->rank;
    return (lg_product){.type = y->dtype,
                        .batch = 1,
                        .heads = 1,
                        .m = y->shape[r - 2],
                        .n = y->shape[r - 1],
                        .k = a->shape[r - 1]};
}

static int64_t batch_of(const lg_node *n) {
    int64_t batch = 1;
    for (int d = 0; d < n->type[0].rank - 2; d++)
        batch *= n->type[0].shape[d];
    return batch;
}

static int64_t parts_of(const lg_node *n) {
    lg_product p = product_of(n);
    int64_t batch = batch_of(n);
    if (batch * p.m * p.n * p.k < least_shared)
        return 1;
    return batch < 1 ? 1 : batch < PARTS ? batch : PARTS;
}

/* The product of item i of the batch. */
static lg_product item_of(const job *j, int64_t i) {
    const lg_type *y = &j->c->node->type[0];
    const lg_strides a = steps_of(j->c, 0), b = steps_of(j->c, 1);
    lg_product p = j->p;
    p.a_off = a.off;
    p.b_off = b.off;
    for (int d = y->rank - 3; d >= 0; i /= y->shape[d--]) {
        p.a_off += i % y->shape[d] * a.stride[d];
        p.b_off += i % y->shape[d] * b.stride[d];
    }
    return p;
}

static void multiply(const job *j, const lg_product *p, int64_t row, int part) {
    lg_gemm(p, j->c->in[0], j->c->in[1],
            (char *)j->c->out[0] + (size_t)(row * p->n) * lg_dtype_size(p->type),
            (char *)j->c->scratch + (size_t)part * j->room, 0, 1);
}

static void run_part(void *ctx, int part, int parts) {
    const job *j = ctx;
    for (int64_t i = part; i < j->batch; i += parts) {
        lg_product p = item_of(j, i);
        multiply(j, &p, i * p.m, part);
    }
}

static size_t room_of(const lg_node *n) {
    lg_product p = product_of(n);
    return (lg_gemm_scratch(&p) + 63) & ~(size_t)63;
}

static size_t scratch(const lg_node *n) {
    return room_of(n) * (size_t)parts_of(n);
}

static job job_of(const lg_call *c) {
    job j = {
        .c = c, .p = product_of(c->node), .batch = batch_of(c->node), .room = room_of(c->node)};
    const lg_strides a = steps_of(c, 0), b = steps_of(c, 1);
    int r = c->node->type[0].rank;
    j.p.a_m = a.stride[r - 2];
    j.p.a_k = a.stride[r - 1];
    j.p.b_k = b.stride[r - 2];
    j.p.b_n = b.stride[r - 1];
    return j;
}

/* The number of the run, within 0 .. most. */
static int64_t end_of(const lg_call *c, int64_t most) {
    int64_t n = *((const int64_t *)c->in[2] + steps_of(c, 2).off);
    return n < 0 ? 0 : n < most ? n : most;
}

static bool run(const lg_call *c) {
    job j = job_of(c);
    j.p.k = end_of(c, j.p.k);
    lg_pool_run(run_part, &j, (int)parts_of(c->node));
    return true;
}

/* ---- of the first rows ---- */

/* The last block takes the rows along that make no block. */
static int64_t blocks_of(int64_t rows) {
    return rows < BLOCK ? 1 : rows / BLOCK;
}

static int64_t row_parts_of(const lg_node *n) {
    lg_product p = product_of(n);
    int64_t batch = batch_of(n), units = blocks_of(p.m) * batch;
    if (batch * p.m * p.n * p.k < least_shared)
        return 1;
    return units < PARTS ? units : PARTS;
}

/* Blocks of rows, and within a block the items of the batch, whose rows may lie side by side. A
 * single row would be summed in another order than as one of several: it takes the next one along.
 */
static void run_rows(void *ctx, int part, int parts) {
    const job *j = ctx;
    int64_t blocks = blocks_of(j->rows), units = blocks * j->batch, all = j->p.m;
    for (int64_t u = units * part / parts; u < units * (part + 1) / parts; u++) {
        int64_t i = u % j->batch, m0 = u / j->batch * BLOCK;
        lg_product p = item_of(j, i);
        p.m = u / j->batch + 1 < blocks ? BLOCK : j->rows - m0;
        p.m += p.m == 1 && all > 1;
        p.a_off += m0 * p.a_m;
        multiply(j, &p, i * all + m0, part);
    }
}

static bool run_first_rows(const lg_call *c) {
    job j = job_of(c);
    size_t size = lg_dtype_size(j.p.type) * (size_t)j.p.n;
    j.rows = end_of(c, j.p.m);
    if (j.rows > 0)
        lg_pool_run(run_rows, &j, (int)row_parts_of(c->node));
    for (int64_t i = 0; i < j.batch; i++)
        memset((char *)c->out[0] + (size_t)(i * j.p.m + j.rows) * size, 0,
               (size_t)(j.p.m - j.rows) * size);
    return true;
}

static size_t rows_scratch(const lg_node *n) {
    return room_of(n) * (size_t)row_parts_of(n);
}

static int64_t flops(const lg_node *n) {
    const lg_type *a = &n->in[0]->type[0]; /* half of them, as a loop goes through all */
    return (int64_t)lg_type_count(&n->type[0]) * a->shape[a->rank - 1];
}

const lg_op lg_op_dot_prefix = {
    .name = "dot_prefix",
    .sig = "(a: float[...S, M, K], b: float[...S, K, N], n: i64) -> float[...S, M, N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_STRIDED,
    .arity = 3,
    .run = run,
    .scratch = scratch,
    .flops = flops,
    .doc = "Matrix product over the first n terms of the inner dim."};

const lg_op lg_op_dot_rows = {
    .name = "dot_rows",
    .sig = "(a: float[...S, M, K], b: float[...S, K, N], n: i64) -> float[...S, M, N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_STRIDED,
    .arity = 3,
    .run = run_first_rows,
    .scratch = rows_scratch,
    .flops = flops,
    .doc = "The first n rows of a matrix product; zeros behind them."};

const lg_op *const lg_ops_prefix[] = {&lg_op_dot_prefix, &lg_op_dot_rows, NULL};
