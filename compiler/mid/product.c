/* product.c: a dot node as strides of what its operands are views of, so that transposes, heads and
 * slices are never copied. Not for the arithmetic (ops/gemm.c). Used by fuse.c and schedule.c. */
#include "compiler/mid/fuse.h"
#include "ops/gemm.h"

typedef struct {
    lg_node *source;
    int64_t off, stride[2 * LG_MAX_RANK];
    bool ok;
} side;

static side side_of(lg_node *x) {
    side s = {0};
    lg_map m = lg_map_identity(&x->type[0]);
    s.source = lg_map_source(x, &m);
    lg_map_flat(&m, &s.source->type[0], &s.off, s.stride);
    s.ok = s.source->op->cls != LG_C_IOTA && lg_storage_of(s.source)->op->cls != LG_C_IOTA;
    for (int d = 0; d < x->type[0].rank; d++)
        s.ok = s.ok && s.stride[d] >= 0;
    return s;
}

static side dense(lg_node *x) {
    const lg_type *t = &x->type[0];
    side s = {.source = x, .ok = true};
    for (int64_t d = t->rank - 1, unit = 1; d >= 0; unit *= t->shape[d--])
        s.stride[d] = unit;
    return s;
}

/* Leading dims of both sides as at most two loops; the inner one first. */
static bool merge(const lg_type *t, const side *a, const side *b, int64_t size[2], int64_t sa[2],
                  int64_t sb[2]) {
    int n = 0;
    for (int d = t->rank - 3; d >= 0; d--) {
        int64_t len = t->shape[d];
        if (len == 1)
            continue;
        if (n && a->stride[d] == sa[n - 1] * size[n - 1] &&
            b->stride[d] == sb[n - 1] * size[n - 1]) {
            size[n - 1] *= len;
            continue;
        }
        if (n == 2)
            return false;
        size[n] = len;
        sa[n] = a->stride[d];
        sb[n++] = b->stride[d];
    }
    return true;
}

static lg_product product_of(const lg_node *n, lg_node *source[2]) {
    const lg_type *y = &n->type[0], *ta = &n->in[0]->type[0];
    int r = y->rank;
    side a = side_of(n->in[0]), b = side_of(n->in[1]);
    a = a.ok ? a : dense(n->in[0]);
    b = b.ok ? b : dense(n->in[1]);
    for (int pass = 0;; pass++) {
        int64_t size[2] = {1, 1}, sa[2] = {0, 0}, sb[2] = {0, 0};
        if (merge(y, &a, &b, size, sa, sb)) {
            source[0] = a.source;
            source[1] = b.source;
            return (lg_product){.type = y->dtype,
                                .batch = size[0] * size[1],
                                .heads = size[0],
                                .m = y->shape[r - 2],
                                .n = y->shape[r - 1],
                                .k = ta->shape[r - 1],
                                .a_batch = sa[1],
                                .a_head = sa[0],
                                .a_m = a.stride[r - 2],
                                .a_k = a.stride[r - 1],
                                .b_batch = sb[1],
                                .b_head = sb[0],
                                .b_k = b.stride[r - 2],
                                .b_n = b.stride[r - 1],
                                .a_off = a.off,
                                .b_off = b.off};
        }
        if (pass == 0)
            a = dense(n->in[0]);
        else
            b = dense(n->in[1]);
    }
}

static void add_input(lg_dot *d, lg_node *x, int *which) {
    if (!x)
        return;
    *which = d->n_in;
    d->in[d->n_in++] = x;
}

/* Side k from codes, when what it is read from is decoded from some. */
static void decode(lg_dot *d, int k) {
    lg_decoded c;
    d->coded[k] = (lg_coded){.code = LG_NO_DTYPE};
    if (!lg_decoded_of(lg_storage_of(d->in[k]), &c))
        return;
    d->is_coded = true;
    d->in[k] = c.codes;
    add_input(d, c.scale, &c.c.scale);
    add_input(d, c.zero, &c.c.zero);
    add_input(d, c.book, &c.c.book);
    d->coded[k] = c.c;
}

/* Both sides as bytes, for an exact product. */
static void as_bytes(lg_dot *d) {
    lg_coded c[2];
    lg_node *from[2] = {lg_bytes_of(d->in[0], &c[0]), lg_bytes_of(d->in[1], &c[1])};
    if (!from[0] || !from[1] || d->p.k > LG_BYTES_MOST)
        return;
    d->is_coded = true;
    for (int k = 0; k < 2; k++) {
        d->in[k] = from[k];
        d->coded[k] = c[k];
    }
}

lg_dot lg_dot_of(const lg_node *n) {
    lg_dot d = {.n_in = 2};
    d.p = product_of(n, d.in);
    if (d.p.type == LG_I32)
        as_bytes(&d);
    if (d.p.type != LG_F32)
        return d;
    for (int k = 0; k < 2; k++)
        decode(&d, k);
    return d;
}
