/* prefix.c: sums that go as far as a number of the run says (`sum[j where j < t](p[j]*v[j, c])`, t
 * a scan's index) as products of so many terms. Not for bounds that are known when the plan is
 * made. Called by contract.c. */
#include "ops/prefix.h"
#include "compiler/mid/rewrite.h"

static lg_node *uncast(lg_node *x) {
    while (x->op->cls == LG_C_CAST && lg_dtype_is_int(x->in[0]->type[0].dtype))
        x = x->in[0];
    return x;
}

lg_node *lg_prefix_of(lg_rewrite *R, lg_node *mask, lg_span at) {
    const lg_known *k = R->op;
    bool up = mask->op == k->lt || mask->op == k->le, down = mask->op == k->gt || mask->op == k->ge;
    if ((!up && !down) || mask->type[0].rank != 1)
        return NULL;
    lg_node *j = uncast(mask->in[down]), *end = mask->in[up];
    if (j->op->cls != LG_C_IOTA || lg_axes_used(end) || lg_fill_of(end) ||
        !lg_dtype_is_int(end->type[0].dtype) || end->op->cls != LG_C_VIEW)
        return NULL;
    lg_node *n = lg_s_cast(R, lg_s_narrow(R, end, 0, at), LG_I64, at);
    bool or_equal = mask->op == k->le || mask->op == k->ge;
    return or_equal ? lg_s_elem2(R, k->add, n, lg_s_number(R, &n->type[0], 1, at), at) : n;
}

lg_node *lg_prefix_dot(lg_rewrite *R, lg_node *a, lg_node *b, lg_node *n, lg_span at) {
    lg_type y = a->type[0];
    y.shape[y.rank - 1] = b->type[0].shape[y.rank - 1];
    size_t before = R->g->node.n;
    lg_node *in[] = {a, b, n};
    return lg_rewrite_intern(R, before,
                             lg_g_kernel(R->g, &lg_op_dot_prefix, 3, in, 1, &y, NULL, at));
}
