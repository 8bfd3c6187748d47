/* build.c: nodes for the derivative rules written in C. */
#include "ops/build.h"
#include <string.h>

lg_rule_ctx lg_rule_begin(void *ctx, const lg_node *y) {
    return (lg_rule_ctx){ctx, y->span};
}

static lg_node *elem(const lg_rule_ctx *r, const char *name, int n, lg_node *const *in) {
    const lg_op *op = lg_op_find(name);
    assert(op && op->cls == LG_C_ELEM);
    return lg_g_elem(r->g, op, n, in, r->at);
}

lg_node *lg_rule_op1(const lg_rule_ctx *r, const char *op, lg_node *a) {
    return elem(r, op, 1, &a);
}

lg_node *lg_rule_op2(const lg_rule_ctx *r, const char *op, lg_node *a, lg_node *b) {
    return elem(r, op, 2, (lg_node *[]){a, b});
}

lg_node *lg_rule_scale(const lg_rule_ctx *r, lg_node *x, double by) {
    return lg_rule_op2(r, "mul", x, lg_g_fill(r->g, x->type[0], by, r->at));
}

lg_node *lg_rule_sum(const lg_rule_ctx *r, lg_node *a, lg_node *b) {
    return a && b ? lg_rule_op2(r, "add", a, b) : a ? a : b;
}

lg_node *lg_rule_choose(const lg_rule_ctx *r, lg_node *cond, lg_node *x, double otherwise) {
    lg_node *z = lg_g_fill(r->g, x->type[0], otherwise, r->at);
    return elem(r, "where", 3, (lg_node *[]){cond, x, z});
}

lg_node *lg_rule_dot(const lg_rule_ctx *r, lg_node *a, lg_node *b) {
    return lg_g_dot(r->g, a, b, r->at);
}

lg_node *lg_rule_t(const lg_rule_ctx *r, lg_node *x) {
    int rank = x->type[0].rank, perm[LG_MAX_RANK];
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    return lg_g_permute(r->g, x, perm, r->at);
}

/* v[..., K] spread over a new axis of size n, which stands `back` axes from the end. */
static lg_node *spread(const lg_rule_ctx *r, lg_node *v, int64_t n, int back) {
    const lg_type *t = &v->type[0];
    int64_t shape[LG_MAX_RANK];
    int from[LG_MAX_RANK], rank = t->rank + 1;
    assert(rank <= LG_MAX_RANK);
    for (int d = 0, k = 0; d < rank; d++) {
        from[d] = d == rank - back ? -1 : k++;
        shape[d] = from[d] < 0 ? n : t->shape[from[d]];
    }
    return lg_g_broadcast(r->g, v, rank, shape, from, r->at);
}

lg_node *lg_rule_rows(const lg_rule_ctx *r, lg_node *v, int64_t n) {
    return spread(r, v, n, 2);
}

lg_node *lg_rule_cols(const lg_rule_ctx *r, lg_node *v, int64_t n) {
    return spread(r, v, n, 1);
}

lg_node *lg_rule_part(const lg_rule_ctx *r, lg_node *x, const char *cmp) {
    const lg_type *t = &x->type[0];
    lg_node *row = lg_g_iota(r->g, t->rank, t->shape, t->rank - 2, r->at);
    lg_node *col = lg_g_iota(r->g, t->rank, t->shape, t->rank - 1, r->at);
    return lg_rule_choose(r, lg_rule_op2(r, cmp, row, col), x, 0);
}

lg_type lg_rule_type(const lg_node *like, int drop, int n_last, const int64_t *last) {
    lg_type t = like->type[0];
    t.rank -= drop;
    assert(t.rank >= 0 && t.rank + n_last <= LG_MAX_RANK);
    for (int i = 0; i < n_last; i++)
        t.shape[t.rank++] = last[i];
    return t;
}

lg_node *lg_rule_kernel(const lg_rule_ctx *r, const lg_op *op, int n, lg_node *const *in,
                        const lg_type *out, const int64_t *p, int n_p) {
    lg_attr attr = {0};
    if (n_p > 0)
        memcpy(attr.p, p, (size_t)n_p * sizeof *p);
    return lg_g_kernel(r->g, op, n, in, 1, out, &attr, r->at);
}
