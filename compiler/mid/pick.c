/* pick.c: gathers that take few elements are done before the elementwise ops they read, so that
 * what those ops make of the other elements is never stored; and sums in which one element a row is
 * not zero. Not for gathers into which nothing moves (ops/index.c). */
#include "compiler/mid/rewrite.h"
#include <string.h>

enum { FEWER = 8 }; /* elements read for each one taken, at least */

/* A gather: where the dims of its result stand in what it reads. */
typedef struct {
    int nb, ni, lead; /* lead: dims of the subscripts */
    lg_node *const *idx;
    lg_type out; /* the dtype is that of what is gathered */
    lg_span at;
} pick;

static uint32_t picked_axes(const pick *p) {
    return ((1u << p->ni) - 1) << p->nb;
}

/* x does not differ along the axes that are picked: the same of every pick. */
static lg_node *unpicked(lg_rewrite *R, const pick *p, lg_node *x) {
    int rank = x->type[0].rank, from[LG_MAX_RANK];
    uint32_t rest = ((1u << rank) - 1) & ~picked_axes(p);
    lg_node *y = lg_s_narrow(R, x, rest, p->at);
    for (int o = 0; o < p->out.rank; o++)
        from[o] = o < p->nb ? o : o < p->lead ? -1 : o - p->lead + p->nb;
    return lg_s_broadcast(R, y, p->out.rank, p->out.shape, from, p->at);
}

static bool is_unpicked(const pick *p, const lg_node *x) {
    bool moves = x->op->cls == LG_C_VIEW || x->op->cls == LG_C_IOTA || lg_fill_of(x);
    return moves && !(lg_axes_used(x) & picked_axes(p));
}

static lg_node *taken(lg_rewrite *R, const pick *p, lg_node *x) {
    if (is_unpicked(p, x))
        return unpicked(R, p, x);
    return lg_s_gather(R, x, p->nb, p->ni, p->idx, p->at);
}

/* Some operand is still gathered, which checks the subscripts. */
static bool may_move(const pick *p, const lg_node *x) {
    bool any = false;
    for (int k = 0; k < x->n_in; k++)
        any = any || !is_unpicked(p, x->in[k]);
    return any && x->n_in <= 4;
}

static lg_node *moved(lg_rewrite *R, const pick *p, const lg_node *x) {
    lg_node *in[4];
    if ((x->op->cls != LG_C_ELEM && x->op->cls != LG_C_CAST) || !may_move(p, x) ||
        lg_type_count(&x->type[0]) < FEWER * lg_type_count(&p->out))
        return NULL;
    for (int k = 0; k < x->n_in; k++)
        in[k] = taken(R, p, x->in[k]);
    return x->op->cls == LG_C_CAST ? lg_s_cast(R, in[0], x->type[0].dtype, p->at)
                                   : lg_s_elem(R, x->op, x->n_in, in, p->at);
}

lg_node *lg_s_gather(lg_rewrite *R, lg_node *x, int nb, int ni, lg_node *const *idx, lg_span at) {
    const lg_type *i = &idx[0]->type[0];
    pick p = {.nb = nb, .ni = ni, .lead = i->rank, .idx = idx, .out = *i, .at = at};
    for (int d = nb + ni; d < x->type[0].rank; d++)
        p.out.shape[p.out.rank++] = x->type[0].shape[d];
    lg_node *y = moved(R, &p, x);
    if (y)
        return y;
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_gather(R->g, x, nb, ni, idx, at));
}

/* ---- one element a row ---- */

/* x is the number of its place along `axis`. */
static bool is_place(const lg_node *x, int axis) {
    return x->op->cls == LG_C_IOTA && x->attr.axis == axis;
}

lg_node *lg_s_sum_of_one(lg_rewrite *R, lg_node *x, uint32_t mask, lg_span at) {
    const lg_known *k = R->op;
    if (x->op != k->where || !lg_is_fill(x->in[2], 0) || x->in[0]->op != k->eq ||
        mask & (mask - 1) || !mask)
        return NULL;
    int axis = __builtin_ctz(mask), rank = x->type[0].rank;
    lg_node *c = x->in[0], *a = x->in[1];
    lg_node *w = is_place(c->in[0], axis) ? c->in[1] : is_place(c->in[1], axis) ? c->in[0] : NULL;
    if (!w || (lg_axes_used(w) | lg_axes_used(a)) & mask)
        return NULL;
    uint32_t rest = ((1u << rank) - 1) & ~mask;
    w = lg_s_narrow(R, w, rest, at);
    a = lg_s_narrow(R, a, rest, at);
    double n = (double)x->type[0].shape[axis];
    lg_node *above = lg_s_elem2(R, lg_op_find("ge"), w, lg_s_number(R, &w->type[0], 0, at), at);
    lg_node *below = lg_s_elem2(R, lg_op_find("lt"), w, lg_s_number(R, &w->type[0], n, at), at);
    lg_node *in[] = {lg_s_elem2(R, k->and_, above, below, at), a,
                     lg_s_number(R, &a->type[0], 0, at)};
    return lg_s_elem(R, k->where, 3, in, at);
}
