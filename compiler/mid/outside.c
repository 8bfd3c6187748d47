/* outside.c: scales of whole rows of codes stand outside of products with a single row or column,
 * as those of formulas do: `(codes[o, k]*scale[o]) @ x` is `(codes @ x)[o]*scale[o]`, one
 * multiplication a sum instead of one a term. Not for scales of groups, nor for products of several
 * rows, which decode each code once for all of them. Called by contract.c. */
#include "compiler/mid/fuse.h"
#include "compiler/mid/rewrite.h"

/* x, seen through *m by the dims of t. */
static lg_node *seen(lg_rewrite *R, lg_node *x, const lg_map *m, const lg_type *t, lg_span at) {
    lg_affine *v = lg_affine_new(R->g, m->to, m->from);
    for (int a = 0; a < m->to; a++) {
        v->off[a] = m->off[a];
        for (int o = 0; o < m->from; o++)
            LG_COEF(v, a, o) = m->c[a][o];
    }
    return lg_s_view(R, x, v, t->rank, t->shape, at);
}

/* Is x, seen through m, the same along dim d? */
static bool is_same_along(lg_node *x, lg_map m, int d) {
    lg_node *u = lg_map_source(x, &m);
    for (int a = 0; a < u->type[0].rank; a++)
        if (m.c[a][d])
            return false;
    return true;
}

/* Which operand of x, (codes)*(scale) or the other way round, is the scale that does not vary along
 * dim k: 0 or 1; -1: none. */
static int scale_of(lg_node *x, const lg_map *m, int k) {
    for (int i = 0; i < 2; i++) {
        lg_map other = *m;
        lg_node *code = lg_map_source(x->in[!i], &other);
        if (code->op->cls == LG_C_CAST && is_same_along(x->in[i], *m, k))
            return i;
    }
    return -1;
}

lg_node *lg_scale_outside(lg_rewrite *R, const lg_node *n, lg_node *const *in) {
    const lg_type *y = &n->type[0];
    int r = y->rank, side = y->shape[r - 2] == 1, k = side ? r - 2 : r - 1;
    lg_node *w = in[side];
    const lg_type *t = &w->type[0];
    lg_map m = lg_map_identity(t);
    lg_decoded d;
    if ((!side && y->shape[r - 1] != 1) || !lg_type_count(t))
        return NULL;
    lg_node *x = lg_map_source(w, &m);
    if (x->op != R->op->mul || !lg_decoded_of(x, &d) || d.c.bits || d.zero || !d.scale)
        return NULL;
    int s = scale_of(x, &m, k);
    if (s < 0)
        return NULL;
    lg_node *codes = seen(R, x->in[!s], &m, t, n->span);
    lg_node *dot = side ? lg_s_dot(R, in[0], codes, n->span) : lg_s_dot(R, codes, in[1], n->span);
    /* the result has one element where the operand has dim k */
    return lg_s_elem2(R, R->op->mul, dot, seen(R, x->in[s], &m, y, n->span), n->span);
}
