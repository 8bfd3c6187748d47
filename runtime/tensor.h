/* tensor.h: dense row-major tensors with counted storage, for the edges: data, parameters, host
 * values. Inside a step there are no tensors, only planned buffers. */
#ifndef LG_TENSOR_H
#define LG_TENSOR_H
#include "runtime/dtype.h"

typedef struct lg_tensor {
    lg_dtype dtype;
    int rank;
    int64_t shape[LG_MAX_RANK];
    size_t n;    /* elements */
    void *data;  /* 64-byte aligned, dense, row-major; never NULL, even for n = 0 */
    int refs;
    uint64_t varies; /* of a constant: another run of the plan may have another value; what is equal
                        comes from the same expression. 0: it is what it is */
    struct lg_tensor *owner; /* a view of rows keeps its owner alive */
} lg_tensor;

/* Zeroed. Without memory lg_tensor_try gives NULL, and lg_tensor_new ends in lg_out_of_memory. */
lg_tensor *lg_tensor_new(lg_dtype t, int rank, const int64_t *shape);
lg_tensor *lg_tensor_try(lg_dtype t, int rank, const int64_t *shape);
lg_tensor *lg_tensor_scalar_f64(lg_dtype t, double v);
lg_tensor *lg_tensor_scalar_i64(lg_dtype t, int64_t v);
lg_tensor *lg_tensor_rows(lg_tensor *x, int64_t beg, int64_t end); /* view along the first axis */
lg_tensor *lg_tensor_cast(lg_tensor *x, lg_dtype t);               /* a copy */
lg_tensor *lg_tensor_retain(lg_tensor *x);
void lg_tensor_release(lg_tensor *x); /* NULL is fine */
size_t lg_tensor_bytes(const lg_tensor *x);
#endif
