/* sparse.c: sums of products with few terms a row become products of sparse matrices: terms that
 * say their row (`sum[j where row[j] == i](val[j]*x[col[j]])`, and the derivative of a gather),
 * terms of a span (`sum[j where ptr[i] <= j < ptr[i+1]](...)`), and matrices of values and columns
 * (`sum[k](val[i, k]*x[col[i, k]])`). Neither the picked rows of x nor their products are stored.
 * Not for the arithmetic (ops/sparse.c). Called by contract.c. */
#include "ops/sparse.h"
#include "compiler/mid/fuse.h"
#include "compiler/mid/rewrite.h"

/* What is worth it: entries times columns, and pairs of row and entry. */
enum { FACTORS = 8, LEAST = 256, LEAST_HELD = 4096 };

typedef struct {
    lg_node *node; /* without the axes along which it is the same */
    uint32_t axes;
} factor;

/* One term: x at some subscript, times factors that depend on the entry alone, where mask. */
typedef struct {
    lg_rewrite *R;
    lg_span at;
    uint32_t entry; /* axes of the subscript */
    lg_node *gather, *mask;
    factor f[FACTORS];
    int n;
} term;

static bool is_gather(const term *t, const lg_node *x) {
    return x->op->cls == LG_C_GATHER && x->attr.nb == 0 && x->attr.ni == 1 &&
           x->in[1]->type[0].rank == __builtin_popcount(t->entry);
}

static bool take(term *t, lg_node *x) {
    const lg_known *k = t->R->op;
    if (x->op == k->mul)
        return take(t, x->in[0]) && take(t, x->in[1]);
    if (x->op == k->where && lg_is_fill(x->in[2], 0)) {
        uint32_t used = lg_axes_used(x->in[0]);
        lg_node *mask = lg_s_narrow(t->R, x->in[0], used, t->at);
        if (used & ~t->entry || (t->mask && t->mask != mask))
            return false;
        t->mask = mask;
        return take(t, x->in[1]);
    }
    if (!t->gather && is_gather(t, x)) {
        t->gather = x;
        return true;
    }
    uint32_t used = lg_axes_used(x);
    if (used & ~t->entry || t->n == FACTORS)
        return false;
    t->f[t->n++] = (factor){lg_s_narrow(t->R, x, used, t->at), used};
    return true;
}

static bool term_of(term *t, lg_rewrite *R, lg_node *x, uint32_t entry, lg_span at) {
    *t = (term){.R = R, .at = at, .entry = entry};
    lg_dtype d = x->type[0].dtype;
    return (d == LG_F32 || d == LG_F64) && take(t, x) && t->gather && t->n;
}

/* The factors as one array over `axes` of x; NULL when they have others. */
static lg_node *value_of(const term *t, const lg_type *x, uint32_t axes) {
    lg_type all = {.dtype = x->dtype};
    lg_node *v = NULL;
    for (int d = 0; d < x->rank; d++)
        if (axes >> d & 1)
            all.shape[all.rank++] = x->shape[d];
    for (int i = 0; i < t->n; i++) {
        uint32_t local = 0;
        for (int d = 0, k = 0; d < x->rank; d++)
            if (axes >> d & 1)
                local |= (t->f[i].axes >> d & 1) << k++;
        if (t->f[i].axes & ~axes)
            return NULL;
        lg_node *f = lg_s_widen(t->R, t->f[i].node, local, &all, t->at);
        v = v ? lg_s_elem2(t->R, t->R->op->mul, v, f, t->at) : f;
    }
    return v;
}

static lg_node *uncast(lg_node *x) {
    while (x->op->cls == LG_C_CAST && lg_dtype_is_int(x->in[0]->type[0].dtype))
        x = x->in[0];
    return x;
}

/* An index that is 0 where the mask is false: the index there is anyway. */
static lg_node *unguarded(const term *t, lg_node *index) {
    bool guard = t->mask && index->op == t->R->op->where && lg_is_fill(index->in[2], 0) &&
                 lg_s_narrow(t->R, index->in[0], lg_axes_used(index->in[0]), t->at) == t->mask;
    return uncast(guard ? index->in[1] : index);
}

/* a <= b as a and b, or a < b; false: neither. */
static bool ordered(const term *t, lg_node *x, lg_node **a, lg_node **b, bool *or_equal) {
    const lg_known *k = t->R->op;
    bool up = x->op == k->lt || x->op == k->le, down = x->op == k->gt || x->op == k->ge;
    if (!up && !down)
        return false;
    *a = x->in[down];
    *b = x->in[up];
    *or_equal = x->op == k->le || x->op == k->ge;
    return true;
}

/* Is the mask 0 <= index < size? */
static bool is_inside(const term *t, lg_node *index, int64_t size) {
    lg_node *a, *b;
    bool low = false, high = false, or_equal;
    if (t->mask->op != t->R->op->and_)
        return false;
    for (int k = 0; k < 2; k++) {
        if (!ordered(t, t->mask->in[k], &a, &b, &or_equal))
            return false;
        low = low || (or_equal && lg_is_fill(a, 0) && uncast(b) == index);
        high = high || (!or_equal && lg_is_fill(b, (double)size) && uncast(a) == index);
    }
    return low && high;
}

lg_node *lg_sparse_rows(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    term t;
    const lg_type *y = &n->type[0];
    if (n->op != &lg_op_scatter_add || n->attr.nb || n->attr.ni != 1 || !lg_is_fill(in[0], 0) ||
        in[1]->type[0].rank != 1 || lg_type_count(&in[2]->type[0]) < LEAST ||
        !term_of(&t, R, in[2], 1, n->span))
        return NULL;
    const lg_type *x = &t.gather->in[0]->type[0];
    lg_node *row = unguarded(&t, in[1]), *col = unguarded(&t, t.gather->in[1]);
    lg_attr attr = {0};
    if (row->type[0].dtype != LG_I32 || col->type[0].dtype != LG_I32)
        return NULL;
    if (t.mask) {
        attr.p[0] = is_inside(&t, row, y->shape[0]);
        attr.p[1] = is_inside(&t, col, x->shape[0]);
        if (!attr.p[0] && !attr.p[1])
            return NULL;
    }
    lg_node *of[] = {value_of(&t, &in[2]->type[0], 1), row, col, t.gather->in[0]};
    return lg_g_kernel(R->g, &lg_op_sparse_rows, 4, of, 1, y, &attr, n->span);
}

/* x along axis d alone; NULL when it differs along others. */
static lg_node *along(const term *t, lg_node *x, int d) {
    return lg_axes_used(x) == 1u << d ? uncast(lg_s_narrow(t->R, x, 1u << d, t->at)) : NULL;
}

static bool counts_up(const lg_node *x) {
    return x && x->op->cls == LG_C_IOTA && x->type[0].rank == 1;
}

/* The mask as first[i] <= j < end[i]. */
static bool is_span(const term *t, lg_node **first, lg_node **end) {
    *first = *end = NULL;
    if (t->mask->op != t->R->op->and_)
        return false;
    for (int k = 0; k < 2; k++) {
        lg_node *a, *b;
        bool or_equal;
        if (!ordered(t, t->mask->in[k], &a, &b, &or_equal))
            return false;
        if (or_equal && counts_up(along(t, b, 1)))
            *first = along(t, a, 0);
        if (!or_equal && counts_up(along(t, a, 1)))
            *end = along(t, b, 0);
    }
    return *first && *end && (*first)->type[0].dtype == LG_I32 && (*end)->type[0].dtype == LG_I32;
}

static lg_node *spans(const term *t, lg_node *x, const lg_type *y) {
    lg_node *first, *end, *col = unguarded(t, t->gather->in[1]);
    if (!is_span(t, &first, &end))
        return NULL;
    col = along(t, col, 1);
    lg_node *val = value_of(t, &x->type[0], 2);
    if (!col || col->type[0].dtype != LG_I32 || !val)
        return NULL;
    lg_node *of[] = {val, first, end, col, t->gather->in[0]};
    return lg_g_kernel(t->R->g, &lg_op_sparse_spans, 5, of, 1, y, NULL, t->at);
}

static bool is_held(lg_node *x) {
    lg_map m = lg_map_identity(&x->type[0]);
    lg_node *from = lg_storage_of(lg_map_source(x, &m));
    return from->op->cls == LG_C_INPUT || from->op->cls == LG_C_CONST;
}

/* Values and columns that the program holds; computed ones stay in the loop that computes them. */
static lg_node *even(const term *t, lg_node *x, const lg_type *y) {
    lg_node *col = uncast(t->gather->in[1]), *val = value_of(t, &x->type[0], 3);
    if (!val || col->type[0].dtype != LG_I32 || !is_held(val) || !is_held(col) ||
        lg_type_count(&col->type[0]) < LEAST_HELD)
        return NULL;
    lg_node *of[] = {val, col, t->gather->in[0]};
    return lg_g_kernel(t->R->g, &lg_op_sparse_even, 3, of, 1, y, NULL, t->at);
}

lg_node *lg_sparse_sum(lg_rewrite *R, const lg_node *n, lg_node *x) {
    term t;
    if (n->attr.axes_mask != 2 || x->type[0].rank < 2 || lg_type_count(&x->type[0]) < LEAST ||
        !term_of(&t, R, x, 3, n->span))
        return NULL;
    return t.mask ? spans(&t, x, &n->type[0]) : even(&t, x, &n->type[0]);
}
