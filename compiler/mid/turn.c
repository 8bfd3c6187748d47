/* turn.c: matrix products in the order that is wanted: one that is only ever seen transposed is
 * computed so. Not for which sums are products (contract.c). */
#include "compiler/mid/rewrite.h"

static lg_node *transposed(lg_rewrite *R, lg_node *x, lg_span at) {
    int rank = x->type[0].rank, perm[LG_MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return lg_s_permute(R, x, perm, at);
}

/* The view m of x as a view of x with its last two axes the other way round. */
static const lg_affine *turned_map(lg_rewrite *R, const lg_affine *m) {
    lg_affine *r = lg_affine_new(R->g, m->rank_in, m->rank_out);
    for (int a = 0; a < m->rank_in; a++) {
        int from = a < m->rank_in - 2 ? a : 2 * m->rank_in - 3 - a;
        r->off[a] = m->off[from];
        for (int o = 0; o < m->rank_out; o++)
            LG_COEF(r, a, o) = LG_COEF(m, from, o);
    }
    return r;
}

/* Does only n see the product below it, if there is one, straight or reshaped? */
static bool is_alone(const lg_rewrite *R, const lg_node *n) {
    const lg_node *x = n->in[0];
    if (x->op->cls == LG_C_RESHAPE && R->uses[x->id] == 1)
        x = x->in[0];
    return x->op->cls == LG_C_DOT && R->uses[x->id] == 1;
}

lg_node *lg_s_turned(lg_rewrite *R, const lg_node *n, lg_node *y) {
    if (y->op->cls != LG_C_VIEW || y->in[0]->op->cls != LG_C_DOT || !is_alone(R, n) ||
        !lg_type_count(&y->type[0]))
        return y;
    const lg_node *dot = y->in[0];
    const lg_type *t = &y->type[0];
    lg_type other = dot->type[0];
    int rank = other.rank;
    other.shape[rank - 1] = dot->type[0].shape[rank - 2];
    other.shape[rank - 2] = dot->type[0].shape[rank - 1];
    if (!lg_keeps_order(turned_map(R, y->attr.affine), &other, t->rank, t->shape))
        return y;
    lg_node *z = lg_s_dot(R, transposed(R, dot->in[1], n->span), transposed(R, dot->in[0], n->span),
                          dot->span);
    return lg_s_reshape(R, z, t->rank, t->shape, n->span);
}
