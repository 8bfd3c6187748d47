/* tensor.c: dense tensors with counted storage. Not for the inside of a step, which has planned
 * buffers only. Used at the edges: data, parameters, host values, constants of graphs. */
#include "runtime/tensor.h"
#include <stdlib.h>
#include <string.h>

/* Elements of a shape; false when they, or their bytes, do not fit a size_t. */
static bool count(lg_dtype t, int rank, const int64_t *shape, size_t *n) {
    *n = 1;
    for (int d = 0; d < rank; d++) {
        assert(shape[d] >= 0);
        if (!lg_mul_ok(*n, (size_t)shape[d], n))
            return false;
    }
    size_t bytes;
    return lg_mul_ok(*n, lg_dtype_size(t), &bytes) && bytes <= PTRDIFF_MAX;
}

static lg_tensor *header(lg_dtype t, int rank, const int64_t *shape, size_t n) {
    lg_tensor *x = lg_alloc(sizeof *x);
    x->dtype = t;
    x->rank = rank;
    if (rank)
        memcpy(x->shape, shape, (size_t)rank * sizeof *shape);
    x->n = n;
    x->refs = 1;
    return x;
}

lg_tensor *lg_tensor_try(lg_dtype t, int rank, const int64_t *shape) {
    assert(rank >= 0 && rank <= LG_MAX_RANK);
    size_t n;
    if (!count(t, rank, shape, &n))
        return NULL;
    size_t bytes = n * lg_dtype_size(t);
    void *data = lg_alloc_data(bytes);
    if (!data)
        return NULL;
    memset(data, 0, bytes ? bytes : 1);
    lg_tensor *x = header(t, rank, shape, n);
    x->data = data;
    return x;
}

lg_tensor *lg_tensor_new(lg_dtype t, int rank, const int64_t *shape) {
    lg_tensor *x = lg_tensor_try(t, rank, shape);
    size_t n = 0;
    if (!x) {
        lg_out_of_memory(count(t, rank, shape, &n) ? n * lg_dtype_size(t) : SIZE_MAX);
        abort(); /* the handler does not return */
    }
    return x;
}

lg_tensor *lg_tensor_scalar_f64(lg_dtype t, double v) {
    lg_tensor *x = lg_tensor_new(t, 0, NULL);
    lg_set_f64(t, x->data, 0, v);
    return x;
}

lg_tensor *lg_tensor_scalar_i64(lg_dtype t, int64_t v) {
    lg_tensor *x = lg_tensor_new(t, 0, NULL);
    lg_set_i64(t, x->data, 0, v);
    return x;
}

lg_tensor *lg_tensor_rows(lg_tensor *x, int64_t beg, int64_t end) {
    assert(x->rank > 0 && 0 <= beg && beg <= end && end <= x->shape[0]);
    size_t row = x->shape[0] ? x->n / (size_t)x->shape[0] : 0;
    lg_tensor *v = header(x->dtype, x->rank, x->shape, row * (size_t)(end - beg));
    v->shape[0] = end - beg;
    v->data = (char *)x->data + row * (size_t)beg * lg_dtype_size(x->dtype);
    v->owner = lg_tensor_retain(x->owner ? x->owner : x);
    return v;
}

lg_tensor *lg_tensor_cast(lg_tensor *x, lg_dtype t) {
    lg_tensor *y = lg_tensor_new(t, x->rank, x->shape);
    lg_convert(t, y->data, x->dtype, x->data, x->n);
    return y;
}

lg_tensor *lg_tensor_retain(lg_tensor *x) {
    __atomic_add_fetch(&x->refs, 1, __ATOMIC_RELAXED);
    return x;
}

void lg_tensor_release(lg_tensor *x) {
    if (!x || __atomic_sub_fetch(&x->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (x->owner)
        lg_tensor_release(x->owner);
    else
        lg_free_aligned(x->data);
    lg_free(x);
}

size_t lg_tensor_bytes(const lg_tensor *x) {
    return x->n * lg_dtype_size(x->dtype);
}
