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

/* Work that is worth sharing, and how many parts it is cut in. */
enum { SHARE_BYTES = 1 << 16, SHARES = 8 };

static bool all_inside(const places *p) {
    for (size_t i = 0; i < p->blocks * p->picks; i++)
        if (cell_of(p, i) < 0)
            return false;
    return true;
}

typedef struct {
    places p;
    const char *from;
    char *to;
    size_t bytes;
} gathering;

static void gather_part(void *ctx, int part, int parts) {
    const gathering *g = ctx;
    size_t n = g->p.blocks * g->p.picks, k = (size_t)part, of = (size_t)parts;
    for (size_t i = n * k / of; i < n * (k + 1) / of; i++) {
        size_t cell = i / g->p.picks * g->p.cells + (size_t)cell_of(&g->p, i);
        copy_cell(g->to + i * g->bytes, g->from + cell * g->bytes, g->bytes);
    }
}

static bool run_gather(const lg_call *c) {
    gathering g = {places_of(c), c->in[0], c->out[0], 0};
    g.bytes = g.p.tail * lg_dtype_size(c->node->type[0].dtype);
    if (!all_inside(&g.p))
        return false;
    bool large = g.p.blocks * g.p.picks * g.bytes >= SHARE_BYTES;
    if (large)
        lg_pool_run(gather_part, &g, SHARES);
    else
        gather_part(&g, 0, 1);
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

typedef struct {
    places p;
    lg_dtype t;
    bool add;
    const void *base, *upd;
    void *out;
} scattering;

/* Elements [beg, end) of each cell, in the order of the picks. */
static void scatter_part(void *ctx, int part, int parts) {
    const scattering *s = ctx;
    const places *p = &s->p;
    size_t size = lg_dtype_size(s->t), k = (size_t)part, of = (size_t)parts;
    size_t beg = p->tail * k / of, n = p->tail * (k + 1) / of - beg;
    for (size_t i = 0; i < p->blocks * p->cells && s->out != s->base && n; i++)
        memcpy((char *)s->out + (i * p->tail + beg) * size,
               (const char *)s->base + (i * p->tail + beg) * size, n * size);
    for (size_t i = 0; i < p->blocks * p->picks && n; i++) {
        size_t at = (i / p->picks * p->cells + (size_t)cell_of(p, i)) * p->tail + beg;
        if (s->add)
            add_row(s->t, s->out, at, s->upd, i * p->tail + beg, n);
        else
            copy_cell((char *)s->out + at * size,
                      (const char *)s->upd + (i * p->tail + beg) * size, n * size);
    }
}

static bool scatter(const lg_call *c, bool add) {
    enum { LEAST = 16 }; /* elements of a cell's part */
    scattering s = {places_of(c), c->node->type[0].dtype, add, c->in[0], NULL, c->out[0]};
    s.upd = c->in[1 + s.p.ni];
    if (!all_inside(&s.p)) /* before anything is written */
        return false;
    size_t bytes = s.p.blocks * s.p.picks * s.p.tail * lg_dtype_size(s.t);
    size_t parts = s.p.tail / LEAST < SHARES ? s.p.tail / LEAST : SHARES;
    if (bytes >= SHARE_BYTES && parts > 1)
        lg_pool_run(scatter_part, &s, (int)parts);
    else
        scatter_part(&s, 0, 1);
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
