/* join.c: sums of arrays that are zero where the other is not become one concatenation: the
 * gradients of slices come in this form. Not for other moves (affine.c). */
#include "compiler/mid/rewrite.h"
#include <string.h>

enum { PIECES = 64 };

/* Pieces along one axis, in order; node NULL: zeros. */
typedef struct {
    int axis, n;
    struct {
        lg_node *node;
        int64_t len;
    } p[PIECES];
} strip;

static void push(strip *s, lg_node *x, int64_t len) {
    if (len == 0)
        return;
    if (s->n && !x && !s->p[s->n - 1].node) {
        s->p[s->n - 1].len += len;
        return;
    }
    if (s->n < PIECES) {
        s->p[s->n].node = x;
        s->p[s->n].len = len;
    }
    s->n++;
}

/* The column of row a, if it is the only one and nothing else uses it; -1 when the row has none. */
static bool column_of(const lg_affine *m, int a, uint32_t *taken, int *col) {
    *col = -1;
    for (int o = 0; o < m->rank_out; o++) {
        if (!LG_COEF(m, a, o))
            continue;
        if (*col >= 0 || *taken >> o & 1 || LG_COEF(m, a, o) != 1)
            return false;
        *col = o;
        *taken |= 1u << o;
    }
    return true;
}

/* An adjoint view that fills a range of one axis and all of the others. */
static bool strip_of_unview(lg_rewrite *R, lg_node *x, strip *s, lg_span at) {
    const lg_affine *m = x->attr.affine;
    const lg_type *t = &x->type[0], *d = &x->in[0]->type[0];
    lg_type shape = *t;
    uint32_t taken = 0;
    lg_affine *back = lg_affine_new(R->g, d->rank, t->rank);
    s->axis = -1;
    for (int a = 0; a < t->rank; a++) {
        int col;
        if (!column_of(m, a, &taken, &col))
            return false;
        shape.shape[a] = col < 0 ? 1 : d->shape[col];
        if (col >= 0)
            LG_COEF(back, col, a) = 1;
        if (shape.shape[a] == t->shape[a])
            continue;
        if (s->axis >= 0)
            return false;
        s->axis = a;
    }
    for (int o = 0; o < d->rank; o++)
        if (!(taken >> o & 1) && d->shape[o] != 1)
            return false;
    if (s->axis < 0)
        return false;
    int64_t beg = m->off[s->axis], len = shape.shape[s->axis];
    push(s, NULL, beg);
    push(s, lg_s_view(R, x->in[0], back, shape.rank, shape.shape, at), len);
    push(s, NULL, t->shape[s->axis] - beg - len);
    return true;
}

static bool strip_of(lg_rewrite *R, lg_node *x, strip *s, lg_span at) {
    *s = (strip){.axis = x->attr.axis};
    if (x->op->cls == LG_C_UNVIEW)
        return strip_of_unview(R, x, s, at);
    if (x->op->cls != LG_C_CONCAT)
        return false;
    bool zeros = false;
    for (int k = 0; k < x->n_in; k++) {
        bool zero = lg_is_fill(x->in[k], 0);
        zeros = zeros || zero;
        push(s, zero ? NULL : x->in[k], x->in[k]->type[0].shape[s->axis]);
    }
    return zeros && s->n <= PIECES;
}

/* Both at once; false where pieces overlap. */
static bool merge(const strip *a, const strip *b, strip *out) {
    int64_t left_a = 0, left_b = 0;
    int i = -1, j = -1;
    *out = (strip){.axis = a->axis};
    for (;;) {
        if (left_a == 0 && ++i < a->n)
            left_a = a->p[i].len;
        if (left_b == 0 && ++j < b->n)
            left_b = b->p[j].len;
        if (i >= a->n || j >= b->n)
            return i >= a->n && j >= b->n && out->n <= PIECES;
        lg_node *x = a->p[i].node, *y = b->p[j].node;
        int64_t len = left_a < left_b ? left_a : left_b;
        /* a piece is taken whole, from its start, over zeros of the other */
        if ((x && y) || (x && (left_a != a->p[i].len || left_b < left_a)) ||
            (y && (left_b != b->p[j].len || left_a < left_b)))
            return false;
        push(out, x ? x : y, len);
        left_a -= len;
        left_b -= len;
    }
}

lg_node *lg_s_joined(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at) {
    strip x, y, both;
    if (!lg_type_count(&a->type[0]) || !strip_of(R, a, &x, at) || !strip_of(R, b, &y, at) ||
        x.axis != y.axis || !merge(&x, &y, &both))
        return NULL;
    lg_node *part[PIECES];
    lg_type t = a->type[0];
    for (int k = 0; k < both.n; k++) {
        t.shape[both.axis] = both.p[k].len;
        part[k] = both.p[k].node ? both.p[k].node : lg_s_number(R, &t, 0, at);
    }
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_concat(R->g, both.n, part, both.axis, at));
}
