/* layout.c: elementwise ops and reductions of transposed operands are done on the operands as they
 * lie, and the result is transposed instead; so chains that index notation wrote in another order
 * of dims run along memory, and transpositions meet and cancel. Elementwise ops of reshaped results
 * are done in the shape that these were made in, so that a reshape does not part a chain;
 * reductions over axes apart are done in two. Not for materialised copies. Runs last, before
 * fusion. */
#include "compiler/mid/rewrite.h"
#include <string.h>

static bool same_perm(const int *a, const int *b, int n) {
    for (int k = 0; k < n; k++)
        if (a[k] != b[k])
            return false;
    return true;
}

/* Costs nothing in any order: repeated along some axis, or computed from indices. */
static bool is_free(const lg_node *x) {
    if (x->op->cls == LG_C_IOTA || lg_fill_of(x))
        return true;
    if (x->op->cls != LG_C_VIEW)
        return false;
    uint32_t used = lg_axes_used(x);
    for (int d = 0; d < x->type[0].rank; d++)
        if (!(used >> d & 1) && x->type[0].shape[d] != 1)
            return true;
    return is_free(x->in[0]);
}

static int64_t magnitude(int64_t n) {
    return n < 0 ? -n : n;
}

/* Elements between neighbours along each axis of a view, whichever way; an axis of one element has
 * those of the next. */
static void steps_of(const lg_node *x, int64_t *step) {
    const lg_affine *m = x->attr.affine;
    const lg_type *in = &x->in[0]->type[0];
    for (int o = x->type[0].rank - 1; o >= 0; o--) {
        int64_t unit = 1;
        step[o] = 0;
        for (int a = m->rank_in - 1; a >= 0; unit *= in->shape[a--])
            step[o] += LG_COEF(m, a, o) * unit;
        step[o] = magnitude(step[o]);
        if (x->type[0].shape[o] == 1 && o + 1 < x->type[0].rank)
            step[o] = step[o + 1];
    }
}

/* Does the view x take each element of its operand once, so that in the order of perm it would be a
 * reshape? Then elementwise ops find their operands' own shape below it. */
static bool is_all(const lg_node *x, const int64_t *step, const int *perm) {
    int rank = x->type[0].rank;
    int64_t n = 1;
    for (int place = rank - 1; place >= 0; place--)
        for (int o = 0; o < rank; o++)
            if (perm[o] == place && x->type[0].shape[o] != 1) {
                if (step[o] != n)
                    return false;
                n *= x->type[0].shape[o];
            }
    return n == (int64_t)lg_type_count(&x->in[0]->type[0]);
}

/* Are the axes of x in another order than its elements in memory? Axis o is number perm[o] by that
 * order. Windows are views too: x[2*i + r, 2*j + c] has the order i, r, j, c. `all`: also where x
 * would then be all of its operand. */
static bool is_turned(const lg_node *x, int *perm, bool all) {
    int64_t step[LG_MAX_RANK];
    bool turned = false;
    if (lg_permutes(x, perm))
        return true;
    if (x->op->cls != LG_C_VIEW || is_free(x) || !lg_type_count(&x->type[0]))
        return false;
    steps_of(x, step);
    for (int o = 0; o < x->type[0].rank; o++) {
        perm[o] = 0;
        for (int b = 0; b < x->type[0].rank; b++)
            perm[o] += b < o ? step[b] >= step[o] : step[b] > step[o];
        turned = turned || perm[o] != o;
    }
    return turned && (all || !is_all(x, step, perm));
}

static void inverse(const int *perm, int rank, int *back) {
    for (int o = 0; o < rank; o++)
        back[perm[o]] = o;
}

/* The permutation that more operands have than lie straight. */
static bool elect(int n, lg_node *const *in, int *perm) {
    int rank = in[0]->type[0].rank, straight = 0, votes = 0;
    for (int k = 0; k < n; k++) {
        int mine[LG_MAX_RANK];
        if (is_free(in[k]))
            continue;
        if (!is_turned(in[k], mine, false)) {
            straight++;
        } else if (votes == 0 || same_perm(perm, mine, rank)) {
            for (int d = 0; d < rank; d++)
                perm[d] = mine[d];
            votes++;
        }
    }
    return votes > straight;
}

static lg_node *pointwise(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    int perm[LG_MAX_RANK], back[LG_MAX_RANK], rank = n->type[0].rank;
    lg_node *straight[8];
    if (n->n_in > (int)LG_COUNT(straight) || !elect(n->n_in, in, perm))
        return NULL;
    inverse(perm, rank, back);
    for (int k = 0; k < n->n_in; k++)
        straight[k] = lg_s_permute(R, in[k], back, n->span);
    lg_node *y = n->op->cls == LG_C_CAST ? lg_s_cast(R, straight[0], n->type[0].dtype, n->span)
                                         : lg_s_elem(R, n->op, n->n_in, straight, n->span);
    return lg_s_permute(R, y, perm, n->span);
}

static bool is_elementwise(const lg_node *x) {
    return x->op->cls == LG_C_ELEM || x->op->cls == LG_C_CAST;
}

/* The elementwise node whose shape the op takes: one that an operand reshapes, when no operand that
 * is elementwise too has the op's own shape or a third one. */
static const lg_node *shaped_like(int n, lg_node *const *in) {
    const lg_node *first = NULL;
    for (int k = 0; k < n; k++) {
        if (is_elementwise(in[k]))
            return NULL;
        if (in[k]->op->cls != LG_C_RESHAPE || !is_elementwise(in[k]->in[0]))
            continue;
        const lg_type *t = &in[k]->in[0]->type[0];
        if (first && (first->type[0].rank != t->rank ||
                      memcmp(first->type[0].shape, t->shape, sizeof *t->shape * (size_t)t->rank)))
            return NULL;
        first = in[k]->in[0];
    }
    return first;
}

static lg_node *reshaped(lg_rewrite *R, const lg_node *n, lg_node *const *in) {
    lg_node *part[8];
    const lg_node *like = n->n_in > (int)LG_COUNT(part) ? NULL : shaped_like(n->n_in, in);
    if (!like || !lg_type_count(&n->type[0]))
        return NULL;
    const lg_type *t = &like->type[0];
    for (int k = 0; k < n->n_in; k++) {
        part[k] = lg_s_reshape(R, in[k], t->rank, t->shape, n->span);
        const lg_node *of = part[k]->op->cls == LG_C_RESHAPE ? part[k]->in[0] : NULL;
        if (of && (of->op->cls == LG_C_VIEW || of->op->cls == LG_C_IOTA))
            return NULL; /* would be stored */
    }
    lg_node *y = n->op->cls == LG_C_CAST ? lg_s_cast(R, part[0], n->type[0].dtype, n->span)
                                         : lg_s_elem(R, n->op, n->n_in, part, n->span);
    return lg_s_reshape(R, y, n->type[0].rank, n->type[0].shape, n->span);
}

/* The last axes of those that are reduced, when others stand before axes that are kept: a channel
 * of all images. 0: there are none, or they are too short to be rows of their own. */
static uint32_t row_axes(const lg_type *t, uint32_t mask) {
    enum { ROW = 64, ALL = 1 << 15 };
    uint32_t inner = 0;
    int64_t row = 1;
    int d = t->rank - 1;
    for (; d >= 0 && (mask >> d & 1 || t->shape[d] == 1); d--) {
        inner |= mask & 1u << d;
        row *= t->shape[d];
    }
    bool kept = false;
    for (; d >= 0; d--) {
        kept = kept || (!(mask >> d & 1) && t->shape[d] > 1);
        if (kept && mask >> d & 1 && t->shape[d] > 1)
            return row >= ROW && lg_type_count(t) >= ALL ? inner : 0;
    }
    return 0;
}

/* Rows are reduced first, where they lie, then what they give: memory is read in its order. */
static lg_node *by_rows(lg_rewrite *R, const lg_node *n, lg_node *x) {
    uint32_t mask = n->attr.axes_mask, inner = row_axes(&x->type[0], mask), outer = 0;
    if (!inner || !n->op->elem[n->type[0].dtype]) /* or to an index */
        return NULL;
    int kept = 0;
    for (int d = 0; d < x->type[0].rank; d++) {
        if (inner >> d & 1)
            continue;
        outer |= (mask >> d & 1) << kept;
        kept++;
    }
    return lg_s_reduce(R, n->op, lg_s_reduce(R, n->op, x, inner, n->span), outer, n->span);
}

static lg_node *reduce(lg_rewrite *R, const lg_node *n, lg_node *x) {
    int perm[LG_MAX_RANK], rank = x->type[0].rank, place[LG_MAX_RANK], kept = 0, out[LG_MAX_RANK];
    int back[LG_MAX_RANK];
    if (!is_turned(x, perm, true))
        return NULL;
    inverse(perm, rank, back);
    uint32_t mask = 0;
    for (int o = 0; o < rank; o++)
        if (n->attr.axes_mask >> o & 1)
            mask |= 1u << perm[o];
    for (int a = 0; a < rank; a++) /* where the kept axes of the input stand in the result */
        place[a] = mask >> a & 1 ? -1 : kept++;
    kept = 0;
    lg_node *straight = lg_s_permute(R, x, back, n->span);
    for (int o = 0; o < rank; o++)
        if (!(n->attr.axes_mask >> o & 1))
            out[kept++] = place[perm[o]];
    return lg_s_permute(R, lg_s_reduce(R, n->op, straight, mask, n->span), out, n->span);
}

static lg_node *make(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    lg_node *y = NULL;
    if (is_elementwise(n)) {
        y = pointwise(R, n, in);
        y = y ? y : reshaped(R, n, in);
    } else if (n->op->cls == LG_C_REDUCE) {
        y = reduce(R, n, in[0]);
        y = y ? y : by_rows(R, n, in[0]);
    }
    return y ? y : lg_rewrite_default(R, n, in);
}

void lg_pass_layout(lg_graph *g) {
    lg_rewrite_graph(g, make, lg_pass_layout);
}
