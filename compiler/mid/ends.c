/* ends.c: products of which only the first rows are looked at, so many as a number of the run says,
 * compute no others: the scores of a step of a loop with keys up to the scan's index, `if j <= t
 * then dot(q, k[j]) ...`. It asks what becomes of the product: every way from it leads, element by
 * element, to a choice that leaves out the rows beyond. Not for sums that end (prefix.c), nor for
 * bounds that are known when the plan is made. */
#include "compiler/mid/fuse.h"
#include "compiler/mid/passes.h"
#include "compiler/mid/rewrite.h"
#include "ops/prefix.h"
#include <string.h>

enum { LEAST = 4096, DEEP = 16 }; /* elements of a matrix worth the question; nodes on a way */

/* Who reads what: users of node i are user[first[i] .. first[i + 1]), once for every operand. */
typedef struct {
    uint32_t *first;
    const lg_node **user;
    uint8_t *shown; /* by an output or an effect */
} readers;

static readers readers_of(const lg_graph *g) {
    readers r = {.first = lg_alloc((g->node.n + 2) * sizeof *r.first),
                 .shown = lg_alloc(g->node.n + 1)};
    for (size_t i = 0; i < g->node.n; i++)
        for (int k = 0; k < g->node.at[i]->n_in; k++)
            r.first[g->node.at[i]->in[k]->id + 1]++;
    for (size_t i = 0; i < g->node.n; i++)
        r.first[i + 1] += r.first[i];
    r.user = lg_alloc((r.first[g->node.n] + 1) * sizeof(lg_node *));
    uint32_t *at = lg_alloc((g->node.n + 1) * sizeof *at);
    for (size_t i = 0; i < g->node.n; i++)
        for (int k = 0; k < g->node.at[i]->n_in; k++) {
            size_t x = g->node.at[i]->in[k]->id;
            r.user[r.first[x] + at[x]++] = g->node.at[i];
        }
    lg_free(at);
    for (size_t k = 0; k < g->output.n; k++)
        r.shown[g->output.at[k].node->id] = 1;
    for (size_t k = 0; k < g->effect.n; k++)
        r.shown[g->effect.at[k]->id] = 1;
    return r;
}

/* ---- where rows end ---- */

/* Rows 0 .. end, that one included if `with`. */
typedef struct {
    const lg_node *end; /* a whole number of the run; NULL: nothing is known yet */
    bool with;
} bound;

static const lg_node *uncast(const lg_node *x) {
    while (x->op->cls == LG_C_CAST && lg_dtype_is_int(x->in[0]->type[0].dtype))
        x = x->in[0];
    return x;
}

/* The number that x is everywhere; NULL: it is none that the run says. */
static const lg_node *number_in(const lg_node *x) {
    const lg_node *from = x->op->cls == LG_C_VIEW ? x->in[0] : NULL;
    bool one = from && from->type[0].rank == 0 && from->op->cls != LG_C_CONST;
    return one && lg_dtype_is_int(from->type[0].dtype) ? from : NULL;
}

/* Is c, a comparison of the index of one axis with a number, `index < end` or `index <= end`, or
 * where it does not hold, if `flip`? */
static bool ends(const lg_node *c, bool flip, bound *b) {
    const lg_known *k = lg_known_ops();
    bool less = c->op == k->lt || c->op == k->le, more = c->op == k->gt || c->op == k->ge;
    if ((!less && !more) || c->type[0].rank != 1)
        return false;
    bool second = uncast(c->in[1])->op->cls == LG_C_IOTA;
    if (uncast(c->in[second])->op->cls != LG_C_IOTA || (less == second) != flip)
        return false;
    b->end = number_in(c->in[!second]);
    b->with = (c->op == k->le || c->op == k->ge) != flip;
    return b->end != NULL;
}

/* Both bounds as one, the farther one. */
static bool join(bound *b, bound more) {
    if (b->end && b->end != more.end)
        return false;
    b->end = more.end;
    b->with |= more.with;
    return true;
}

/* Does the condition `mask` leave, along `axis`, the rows up to an end; where it does not hold, if
 * `flip`? */
static bool mask_ends(lg_node *mask, int axis, bool flip, bound *b) {
    lg_map m = lg_map_identity(&mask->type[0]);
    const lg_node *c = lg_map_source(mask, &m);
    bound its;
    if (c->type[0].rank != 1 || c->type[0].shape[0] != mask->type[0].shape[axis] || m.off[0])
        return false;
    for (int d = 0; d < mask->type[0].rank; d++)
        if (m.c[0][d] != (d == axis))
            return false;
    return ends(c, flip, &its) && join(b, its);
}

/* The axis of the view x along which it walks `axis` of its input, one by one; -1: none. */
static int axis_in_view(const lg_node *x, int axis) {
    const lg_affine *m = x->attr.affine;
    int at = -1;
    for (int o = 0; o < m->rank_out; o++) {
        if (!LG_COEF(m, axis, o))
            continue;
        if (at >= 0 || LG_COEF(m, axis, o) != 1)
            return -1;
        at = o;
    }
    bool whole = at >= 0 && x->type[0].shape[at] == x->in[0]->type[0].shape[axis];
    return whole && m->off[axis] == 0 ? at : -1;
}

/* The same for a reshape, through which only dims of size 1 come or go. */
static int axis_in_reshape(const lg_node *x, int axis) {
    const lg_type *from = &x->in[0]->type[0], *to = &x->type[0];
    int64_t before = 1, reached = 1;
    for (int d = 0; d < axis; d++)
        before *= from->shape[d];
    for (int o = 0; o < to->rank; reached *= to->shape[o++])
        if (reached == before && to->shape[o] == from->shape[axis])
            return o;
    return -1;
}

/* Is x, along `axis`, read up to an end alone? */
static bool is_read_to(const readers *r, const lg_node *x, int axis, int depth, bound *b) {
    if (depth == 0 || axis < 0 || r->shown[x->id])
        return false;
    for (uint32_t i = r->first[x->id]; i < r->first[x->id + 1]; i++) {
        const lg_node *u = r->user[i];
        lg_class cls = u->op->cls;
        if (u->op == lg_known_ops()->where && u->in[0] != x &&
            ((u->in[2] != x && mask_ends(u->in[0], axis, false, b)) ||
             (u->in[1] != x && mask_ends(u->in[0], axis, true, b))))
            continue;
        int to = cls == LG_C_ELEM || cls == LG_C_CAST ? axis
                 : cls == LG_C_VIEW                   ? axis_in_view(u, axis)
                 : cls == LG_C_RESHAPE                ? axis_in_reshape(u, axis)
                                                      : -1;
        if (!is_read_to(r, u, to, depth - 1, b))
            return false;
    }
    return b->end != NULL;
}

/* ---- the products ---- */

static bool is_large(const lg_node *n) {
    size_t a = lg_type_count(&n->in[0]->type[0]), b = lg_type_count(&n->in[1]->type[0]);
    return (a < b ? b : a) >= LEAST;
}

static bool is_from_codes(lg_node *x) {
    lg_map m = lg_map_identity(&x->type[0]);
    lg_decoded d;
    return lg_decoded_of(lg_storage_of(lg_map_source(x, &m)), &d);
}

static lg_node *transposed(lg_rewrite *R, lg_node *x, lg_span at) {
    int rank = x->type[0].rank, perm[LG_MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return lg_s_permute(R, x, perm, at);
}

/* The product a @ b of which row i is computed where i is before the end. */
static lg_node *ended(lg_rewrite *R, lg_node *a, lg_node *b, bound to, lg_span at) {
    lg_node *n = lg_s_cast(R, R->map[to.end->id], LG_I64, at);
    if (to.with)
        n = lg_s_elem2(R, R->op->add, n, lg_s_number(R, &n->type[0], 1, at), at);
    lg_type y = a->type[0];
    y.shape[y.rank - 1] = b->type[0].shape[y.rank - 1];
    size_t before = R->g->node.n;
    lg_node *in[] = {a, b, n};
    return lg_rewrite_intern(R, before, lg_g_kernel(R->g, &lg_op_dot_rows, 3, in, 1, &y, NULL, at));
}

/* a @ b of which column j is computed where j is before the end. Each of few rows is a product of
 * its own with the columns, so that results lie row by row; else they lie the other way round. */
static lg_node *ended_columns(lg_rewrite *R, lg_node *a, lg_node *b, bound to, lg_span at) {
    enum { FEW = 8 };
    const lg_type *ta = &a->type[0], *tb = &b->type[0];
    int r = ta->rank, from[LG_MAX_RANK];
    int64_t m = ta->shape[r - 2], n = tb->shape[r - 1], dims[LG_MAX_RANK];
    if (m > FEW || r == LG_MAX_RANK) {
        lg_node *y = ended(R, transposed(R, b, at), transposed(R, a, at), to, at);
        return transposed(R, y, at);
    }
    memcpy(dims, ta->shape, sizeof *dims * (size_t)(r - 1));
    lg_type y = {.dtype = ta->dtype, .rank = r};
    memcpy(y.shape, dims, sizeof *dims * (size_t)(r - 1));
    y.shape[r - 1] = n;
    for (int d = 0; d < r - 2; d++)
        from[d] = d;
    from[r - 2] = -1;
    from[r - 1] = r - 2;
    from[r] = r - 1;
    dims[r - 1] = n;
    dims[r] = ta->shape[r - 1];
    lg_node *columns = lg_s_broadcast(R, transposed(R, b, at), r + 1, dims, from, at);
    dims[r - 1] = ta->shape[r - 1];
    dims[r] = 1;
    lg_node *row = lg_s_reshape(R, a, r + 1, dims, at);
    return lg_s_reshape(R, ended(R, columns, row, to, at), r, y.shape, at);
}

static lg_node *make(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    lg_dtype t = n->type[0].dtype;
    int r = n->type[0].rank;
    if (n->op->cls != LG_C_DOT || (t != LG_F32 && t != LG_F64) || !is_large(n) ||
        is_from_codes(n->in[0]) || is_from_codes(n->in[1]))
        return lg_rewrite_copy(R, n, in);
    for (int k = 0; k < 2; k++) {
        bound b = {0};
        int axis = r - 2 + k;
        if (n->type[0].shape[axis] == 1 || !is_read_to(R->ctx, n, axis, DEEP, &b) ||
            b.end->id > n->id)
            continue;
        return k == 0 ? ended(R, in[0], in[1], b, n->span)
                      : ended_columns(R, in[0], in[1], b, n->span);
    }
    return lg_rewrite_copy(R, n, in);
}

/* Is there a comparison that may end a product? */
static bool may_end(const lg_graph *g) {
    bound b;
    for (size_t i = 0; i < g->node.n; i++)
        if (g->node.at[i]->type[0].dtype == LG_BOOL &&
            (ends(g->node.at[i], false, &b) || ends(g->node.at[i], true, &b)))
            return true;
    return false;
}

void lg_pass_ends(lg_graph *g) {
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->attr.scan)
            lg_pass_ends(n->attr.scan->body);
        if (n->attr.cond) {
            lg_pass_ends(n->attr.cond->then_);
            lg_pass_ends(n->attr.cond->else_);
        }
    }
    if (!may_end(g))
        return;
    readers r = readers_of(g);
    lg_rewrite_with(g, make, &r);
    lg_free(r.first);
    lg_free(r.user);
    lg_free(r.shown);
}
