/* index.c: subscripts that are data: gather, and scatter that adds or puts. An index outside its
 * dim is a fault that names the row. Not for affine subscripts (shape.c). */
#include "ops/family.h"
#include "ops/ops.h"
#include "runtime/plan.h"
#include <string.h>

/* x[b.., i1..ik, t..] and idx[b.., o..] as sizes: nb blocks of `cells` rows of `tail` elements,
 * subscripted `picks` times each. */
typedef struct {
    const lg_node *node;
    lg_fault *fault;
    int ni;
    size_t blocks, picks, cells, tail, per_row;
    int64_t size[LG_MAX_RANK], unit[LG_MAX_RANK];
    const void *idx[LG_MAX_RANK];
    lg_dtype dtype[LG_MAX_RANK];
} places;

static places places_of(const lg_call *c) {
    const lg_node *n = c->node;
    const lg_type *x = &n->in[0]->type[0], *idx = &n->in[1]->type[0];
    int nb = n->attr.nb, ni = n->attr.ni;
    places p = {.node = n, .fault = c->fault, .ni = ni, .blocks = 1, .picks = 1, .cells = 1,
                .tail = 1};
    for (int d = 0; d < nb; d++)
        p.blocks *= (size_t)x->shape[d];
    for (int k = ni - 1; k >= 0; k--) {
        p.size[k] = x->shape[nb + k];
        p.unit[k] = (int64_t)p.cells;
        p.cells *= (size_t)p.size[k];
        p.idx[k] = c->in[1 + k];
        p.dtype[k] = n->in[1 + k]->type[0].dtype;
    }
    for (int d = nb; d < idx->rank; d++)
        p.picks *= (size_t)idx->shape[d];
    for (int d = nb + ni; d < x->rank; d++)
        p.tail *= (size_t)x->shape[d];
    size_t all = p.blocks * p.picks;
    p.per_row = idx->rank && idx->shape[0] ? all / (size_t)idx->shape[0] : 1;
    return p;
}

/* The cell that pick number i (over all blocks) names, or -1 after a fault. */
static int64_t cell_of(const places *p, size_t i) {
    int64_t cell = 0;
    for (int k = 0; k < p->ni; k++) {
        int64_t v = p->dtype[k] == LG_I64 ? ((const int64_t *)p->idx[k])[i]
                                          : ((const int32_t *)p->idx[k])[i];
        if (v < 0 || v >= p->size[k]) {
            int64_t row = p->node->in[1]->type[0].rank ? (int64_t)(i / p->per_row) : -1;
            lg_fault_set(p->fault, p->node, "R0101", row, "index %lld is outside 0..%lld",
                         (long long)v, (long long)p->size[k]);
            return -1;
        }
        cell += v * p->unit[k];
    }
    return cell;
}

static void copy_cell(char *to, const char *from, size_t bytes) {
    if (bytes == 4)
        memcpy(to, from, 4);
    else if (bytes == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, bytes);
}

static bool run_gather(const lg_call *c) {
    places p = places_of(c);
    size_t bytes = p.tail * lg_dtype_size(c->node->type[0].dtype);
    const char *x = c->in[0];
    char *out = c->out[0];
    for (size_t b = 0; b < p.blocks; b++)
        for (size_t i = b * p.picks; i < (b + 1) * p.picks; i++) {
            int64_t cell = cell_of(&p, i);
            if (cell < 0)
                return false;
            copy_cell(out + i * bytes, x + (b * p.cells + (size_t)cell) * bytes, bytes);
        }
    return true;
}

const lg_op lg_op_gather = {
    .name = "gather", .sig = "(x: T[...B, I, ...R], idx: i64[...B, ...O]) -> T[...B, ...O, ...R]",
    .cls = LG_C_GATHER, .arity = -1, .traits = LG_T_LINEAR | LG_T_KEEPS_ZERO, .run = run_gather,
    .doc = "Rows named by integer subscripts."};

/* ---- scatter ---- */

static void add_f32(float *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void add_f64(double *to, const double *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void add_row(lg_dtype t, void *to, size_t at, const void *from, size_t beg, size_t n) {
    if (t == LG_F32)
        add_f32((float *)to + at, (const float *)from + beg, n);
    else if (t == LG_F64)
        add_f64((double *)to + at, (const double *)from + beg, n);
    else if (lg_dtype_is_float(t))
        for (size_t i = 0; i < n; i++)
            lg_set_f64(t, to, at + i, lg_get_f64(t, to, at + i) + lg_get_f64(t, from, beg + i));
    else
        for (size_t i = 0; i < n; i++)
            lg_set_i64(t, to, at + i,
                       (int64_t)((uint64_t)lg_get_i64(t, to, at + i) +
                                 (uint64_t)lg_get_i64(t, from, beg + i)));
}

static bool scatter(const lg_call *c, bool add) {
    places p = places_of(c);
    lg_dtype t = c->node->type[0].dtype;
    size_t size = lg_dtype_size(t);
    const void *upd = c->in[1 + p.ni];
    for (size_t i = 0; i < p.blocks * p.picks; i++) /* before anything is written */
        if (cell_of(&p, i) < 0)
            return false;
    if (c->out[0] != c->in[0])
        memcpy(c->out[0], c->in[0], p.blocks * p.cells * p.tail * size);
    for (size_t b = 0; b < p.blocks; b++)
        for (size_t i = b * p.picks; i < (b + 1) * p.picks; i++) {
            size_t at = (b * p.cells + (size_t)cell_of(&p, i)) * p.tail;
            if (add)
                add_row(t, c->out[0], at, upd, i * p.tail, p.tail);
            else
                copy_cell((char *)c->out[0] + at * size, (const char *)upd + i * p.tail * size,
                          p.tail * size);
        }
    return true;
}

static bool run_scatter_add(const lg_call *c) {
    return scatter(c, true);
}

static bool run_scatter_put(const lg_call *c) {
    return scatter(c, false);
}

#define SCATTER_SIG                                                                                \
    "(base: T[...B, I, ...R], idx: i64[...B, ...O], upd: T[...B, ...O, ...R]) -> T[...B, I, ...R]"

const lg_op lg_op_scatter_add = {
    .name = "scatter_add", .sig = SCATTER_SIG, .cls = LG_C_SCATTER, .arity = -1,
    .run = run_scatter_add, .doc = "The base with rows added at integer subscripts."};

const lg_op lg_op_scatter_put = {
    .name = "scatter_put", .sig = SCATTER_SIG, .cls = LG_C_SCATTER, .arity = -1,
    .run = run_scatter_put, .doc = "The base with rows replaced at integer subscripts; the last wins."};

const lg_op *const lg_ops_index[] = {&lg_op_gather, &lg_op_scatter_add, &lg_op_scatter_put, NULL};
