/* affine.c: constructors of moves: views, reshapes, their adjoints. Chains of them become one, and
 * what only renames places becomes a reshape, which costs nothing. Not for arithmetic. */
#include "compiler/mid/rewrite.h"
#include <string.h>

lg_affine *lg_affine_new(lg_graph *g, int rank_in, int rank_out) {
    lg_affine *m = LG_NEW(g->arena, lg_affine);
    m->rank_in = rank_in;
    m->rank_out = rank_out;
    m->off = LG_NEW_N(g->arena, int64_t, rank_in + rank_in * rank_out + 1);
    m->coef = m->off + rank_in;
    return m;
}

/* m with zero in the columns of axes of size 1, where it does not matter. */
static lg_affine *tidy(lg_graph *g, const lg_affine *m, const int64_t *shape) {
    lg_affine *r = lg_affine_new(g, m->rank_in, m->rank_out);
    for (int a = 0; a < m->rank_in; a++) {
        r->off[a] = m->off[a];
        for (int o = 0; o < m->rank_out; o++)
            LG_COEF(r, a, o) = shape[o] > 1 ? LG_COEF(m, a, o) : 0;
    }
    return r;
}

/* First `second` (z to y), then `first` (y to x). */
static lg_affine *compose(lg_graph *g, const lg_affine *first, const lg_affine *second) {
    lg_affine *r = lg_affine_new(g, first->rank_in, second->rank_out);
    for (int a = 0; a < first->rank_in; a++) {
        r->off[a] = first->off[a];
        for (int y = 0; y < first->rank_out; y++) {
            int64_t c = LG_COEF(first, a, y);
            r->off[a] += c * second->off[y];
            for (int o = 0; o < second->rank_out; o++)
                LG_COEF(r, a, o) += c * LG_COEF(second, y, o);
        }
    }
    return r;
}

/* The reshape of `from` to `to` as a view of `from`, when it only splits axes and adds or drops
 * those of size 1. NULL when it joins some. */
static lg_affine *split_map(lg_graph *g, const lg_type *from, int rank, const int64_t *shape) {
    lg_affine *m = lg_affine_new(g, from->rank, rank);
    int o = 0;
    for (int a = 0; a < from->rank; a++) {
        int beg = o;
        int64_t n = 1;
        for (; o < rank && n < from->shape[a]; o++)
            n *= shape[o];
        if (n != from->shape[a])
            return NULL;
        int64_t unit = 1;
        for (int k = o - 1; k >= beg; k--) {
            LG_COEF(m, a, k) = shape[k] > 1 ? unit : 0;
            unit *= shape[k];
        }
    }
    for (; o < rank; o++)
        if (shape[o] != 1)
            return NULL;
    return m;
}

/* The view m of `out` axes seen through a reshape that joins some of them, when neighbours that
 * become one axis step as one. NULL when they do not. */
static lg_affine *join_map(lg_graph *g, const lg_affine *m, const lg_type *out, int rank,
                           const int64_t *shape) {
    lg_affine *r = lg_affine_new(g, m->rank_in, rank);
    memcpy(r->off, m->off, sizeof *m->off * (size_t)m->rank_in);
    int y = 0;
    for (int o = 0; o < rank; o++) {
        int64_t n = 1;
        int last = -1; /* the last axis of size above 1 that goes into o */
        for (; y < out->rank && n < shape[o]; y++) {
            n *= out->shape[y];
            if (out->shape[y] == 1)
                continue;
            for (int a = 0; last >= 0 && a < m->rank_in; a++)
                if (LG_COEF(m, a, last) != out->shape[y] * LG_COEF(m, a, y))
                    return NULL;
            last = y;
        }
        if (n != shape[o])
            return NULL;
        for (int a = 0; last >= 0 && a < m->rank_in; a++)
            LG_COEF(r, a, o) = LG_COEF(m, a, last);
    }
    for (; y < out->rank; y++)
        if (out->shape[y] != 1)
            return NULL;
    return r;
}

bool lg_keeps_order(const lg_affine *m, const lg_type *in, int rank, const int64_t *shape) {
    int64_t step[LG_MAX_RANK] = {0}, base = 0, unit = 1;
    for (int a = in->rank - 1; a >= 0; a--) {
        base += m->off[a] * unit;
        for (int o = 0; o < rank; o++)
            step[o] += LG_COEF(m, a, o) * unit;
        unit *= in->shape[a];
    }
    int64_t n = 1;
    for (int o = rank - 1; o >= 0; o--) {
        if (shape[o] != 1 && step[o] != n)
            return false;
        n *= shape[o];
    }
    return base == 0 && n == unit;
}

static bool injective(const lg_affine *m, const int64_t *shape) {
    uint32_t taken = 0;
    for (int o = 0; o < m->rank_out; o++) {
        int rows = 0;
        for (int a = 0; a < m->rank_in; a++)
            if (LG_COEF(m, a, o)) {
                if (taken >> a & 1)
                    return false;
                taken |= 1u << a;
                rows++;
            }
        if (!rows && shape[o] > 1)
            return false;
    }
    return true;
}

/* ---- views of particular nodes ---- */

/* Where axis a of the input of a view stays: from *lo to *hi. */
static void span_of(const lg_affine *m, int a, const int64_t *shape, int64_t *lo, int64_t *hi) {
    *lo = *hi = m->off[a];
    for (int o = 0; o < m->rank_out; o++) {
        int64_t far = LG_COEF(m, a, o) * (shape[o] - 1);
        *(far < 0 ? lo : hi) += far;
    }
}

/* A view that stays inside one part of a concatenation sees that part alone. */
static lg_node *view_of_concat(lg_rewrite *R, lg_node *x, const lg_affine *m, int rank,
                               const int64_t *shape, lg_span at) {
    int axis = x->attr.axis;
    int64_t lo, hi, beg = 0;
    span_of(m, axis, shape, &lo, &hi);
    for (int k = 0; k < x->n_in; k++) {
        int64_t n = x->in[k]->type[0].shape[axis];
        if (lo >= beg && hi < beg + n) {
            lg_affine *part = lg_affine_new(R->g, m->rank_in, m->rank_out);
            memcpy(part->off, m->off, sizeof *m->off * (size_t)m->rank_in);
            memcpy(part->coef, m->coef, sizeof *m->coef * (size_t)m->rank_in * (size_t)m->rank_out);
            part->off[axis] -= beg;
            return lg_s_view(R, x->in[k], part, rank, shape, at);
        }
        beg += n;
    }
    return NULL;
}

/* Indices along one axis, seen through a view: indices along another, or a constant. */
static lg_node *view_of_iota(lg_rewrite *R, lg_node *x, const lg_affine *m, int rank,
                             const int64_t *shape, lg_span at) {
    int a = x->attr.axis, along = -1;
    for (int o = 0; o < rank; o++)
        if (LG_COEF(m, a, o)) {
            if (along >= 0 || LG_COEF(m, a, o) != 1)
                return NULL;
            along = o;
        }
    if (along < 0) {
        lg_type t = lg_type_make(LG_I64, rank, shape);
        return lg_s_fill(R, &t, &m->off[a], at);
    }
    return m->off[a] ? NULL : lg_s_iota(R, rank, shape, along, at);
}

static bool empty(int rank, const int64_t *shape) {
    for (int o = 0; o < rank; o++)
        if (shape[o] == 0)
            return true;
    return false;
}

static lg_node *view_through(lg_rewrite *R, lg_node *x, const lg_affine *m, int rank,
                             const int64_t *shape, lg_span at) {
    lg_type t = lg_type_make(x->type[0].dtype, rank, shape);
    const void *one = lg_fill_of(x);
    if (one && x->type[0].rank)
        return lg_s_fill(R, &t, one, at);
    switch (x->op->cls) {
    case LG_C_VIEW: {
        lg_node *inner = x->in[0];
        return lg_s_view(R, inner, compose(R->g, x->attr.affine, m), rank, shape, at);
    }
    case LG_C_RESHAPE: {
        lg_affine *s = split_map(R->g, &x->in[0]->type[0], x->type[0].rank, x->type[0].shape);
        return s ? lg_s_view(R, x->in[0], compose(R->g, s, m), rank, shape, at) : NULL;
    }
    case LG_C_IOTA:
        return view_of_iota(R, x, m, rank, shape, at);
    case LG_C_CONCAT:
        return view_of_concat(R, x, m, rank, shape, at);
    default:
        return NULL;
    }
}

lg_node *lg_s_view(lg_rewrite *R, lg_node *x, const lg_affine *map, int rank, const int64_t *shape,
                   lg_span at) {
    const lg_type *t = &x->type[0];
    if (empty(rank, shape) || !lg_type_count(t)) {
        size_t before = R->g->node.n;
        return lg_rewrite_intern(R, before, lg_g_view(R->g, x, map, rank, shape, at));
    }
    lg_affine *m = tidy(R->g, map, shape);
    if (lg_affine_is_identity(m, t->shape, shape))
        return x;
    lg_node *y = view_through(R, x, m, rank, shape, at);
    if (y)
        return y;
    if (x->op->cls == LG_C_UNVIEW && x->attr.affine->rank_out == rank) {
        lg_type in = x->in[0]->type[0], out = lg_type_make(t->dtype, rank, shape);
        const lg_affine *u = x->attr.affine;
        if (lg_type_equal(&in, &out) && injective(u, shape) &&
            !memcmp(u->off, m->off, sizeof *m->off * (size_t)m->rank_in) &&
            !memcmp(u->coef, m->coef, sizeof *m->coef * (size_t)(m->rank_in * rank)))
            return x->in[0]; /* what was put there is taken back */
    }
    if (lg_keeps_order(m, t, rank, shape))
        return lg_s_reshape(R, x, rank, shape, at);
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_view(R->g, x, m, rank, shape, at));
}

bool lg_permutes(const lg_node *x, int *perm) {
    const lg_affine *m = x->attr.affine;
    if (x->op->cls != LG_C_VIEW || m->rank_in != m->rank_out || m->rank_out < 2)
        return false;
    uint32_t seen = 0;
    for (int a = 0; a < m->rank_in; a++) {
        int at = -1;
        for (int o = 0; o < m->rank_out; o++)
            if (LG_COEF(m, a, o) == 1 && at < 0)
                at = o;
            else if (LG_COEF(m, a, o) != 0)
                return false;
        if (at < 0 || m->off[a] != 0 || seen >> at & 1 ||
            x->type[0].shape[at] != x->in[0]->type[0].shape[a])
            return false;
        seen |= 1u << at;
        perm[at] = a;
    }
    return true;
}

/* A reshape of the permuted axes v that joins only axes which stood together before: these are
 * joined, which costs nothing, then permuted. NULL when it does anything else. */
static lg_node *joined_first(lg_rewrite *R, const lg_node *v, int rank, const int64_t *shape,
                             lg_span at) {
    int perm[LG_MAX_RANK], place[LG_MAX_RANK], begins[LG_MAX_RANK], y = 0, n_joined = 0;
    int64_t joined[LG_MAX_RANK];
    if (!lg_permutes(v, perm))
        return NULL;
    for (int a = 0; a < v->type[0].rank; a++)
        begins[a] = -1;
    for (int o = 0; o < rank; o++) {
        int first = y;
        int64_t n = 1;
        for (; y < v->type[0].rank && (y == first || n < shape[o]); y++) {
            if (y > first && perm[y] != perm[y - 1] + 1)
                return NULL;
            n *= v->type[0].shape[y];
        }
        if (y == first || n != shape[o])
            return NULL;
        begins[perm[first]] = o;
    }
    if (y != v->type[0].rank)
        return NULL;
    for (int a = 0; a < v->type[0].rank; a++)
        if (begins[a] >= 0) {
            place[begins[a]] = n_joined;
            joined[n_joined++] = shape[begins[a]];
        }
    return lg_s_permute(R, lg_s_reshape(R, v->in[0], n_joined, joined, at), place, at);
}

lg_node *lg_s_reshape(lg_rewrite *R, lg_node *x, int rank, const int64_t *shape, lg_span at) {
    lg_type t = lg_type_make(x->type[0].dtype, rank, shape);
    if (lg_type_equal(&t, &x->type[0]))
        return x;
    if (x->op->cls == LG_C_RESHAPE)
        return lg_s_reshape(R, x->in[0], rank, shape, at);
    const void *one = lg_fill_of(x);
    if (one && lg_type_count(&t))
        return lg_s_fill(R, &t, one, at);
    if (x->op->cls == LG_C_VIEW && lg_type_count(&t)) {
        const lg_affine *m = x->attr.affine;
        lg_affine *s = split_map(R->g, &x->type[0], rank, shape);
        s = s ? compose(R->g, m, s) : join_map(R->g, m, &x->type[0], rank, shape);
        if (s)
            return lg_s_view(R, x->in[0], s, rank, shape, at);
        /* what is elementwise is rather computed in the order that is wanted */
        lg_class c = x->in[0]->op->cls;
        lg_node *y = c == LG_C_ELEM || c == LG_C_CAST ? NULL : joined_first(R, x, rank, shape, at);
        if (y)
            return y;
    }
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_reshape(R->g, x, rank, shape, at));
}

lg_node *lg_s_iota(lg_rewrite *R, int rank, const int64_t *shape, int axis, lg_span at) {
    lg_type t = lg_type_make(LG_I64, rank, shape);
    int64_t zero = 0;
    if (shape[axis] == 1)
        return lg_s_fill(R, &t, &zero, at);
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_iota(R->g, rank, shape, axis, at));
}

lg_node *lg_s_permute(lg_rewrite *R, lg_node *x, const int *perm, lg_span at) {
    int rank = x->type[0].rank;
    int64_t shape[LG_MAX_RANK];
    lg_affine *m = lg_affine_new(R->g, rank, rank);
    for (int o = 0; o < rank; o++) {
        LG_COEF(m, perm[o], o) = 1;
        shape[o] = x->type[0].shape[perm[o]];
    }
    return lg_s_view(R, x, m, rank, shape, at);
}

lg_node *lg_s_broadcast(lg_rewrite *R, lg_node *x, int rank, const int64_t *shape, const int *from,
                        lg_span at) {
    lg_affine *m = lg_affine_new(R->g, x->type[0].rank, rank);
    for (int o = 0; o < rank; o++)
        if (from[o] >= 0)
            LG_COEF(m, from[o], o) = 1;
    return lg_s_view(R, x, m, rank, shape, at);
}

uint32_t lg_axes_used(const lg_node *x) {
    const lg_type *t = &x->type[0];
    uint32_t used = 0;
    for (int o = 0; o < t->rank; o++) {
        bool moves = x->op->cls == LG_C_IOTA ? x->attr.axis == o : x->op->cls != LG_C_VIEW;
        for (int a = 0; x->op->cls == LG_C_VIEW && a < x->attr.affine->rank_in; a++)
            moves = moves || LG_COEF(x->attr.affine, a, o);
        if (moves && t->shape[o] > 1)
            used |= 1u << o;
    }
    return lg_fill_of(x) ? 0 : used;
}

/* ---- adjoints ---- */

/* Axes of dy that the map does not look at were broadcast: their adjoint is a sum. */
static lg_node *sum_unseen(lg_rewrite *R, lg_node *dy, lg_affine **map, lg_span at) {
    const lg_affine *m = *map;
    uint32_t mask = 0;
    int n = 0;
    for (int o = 0; o < m->rank_out; o++) {
        bool seen = false;
        for (int a = 0; a < m->rank_in; a++)
            seen = seen || LG_COEF(m, a, o);
        if (!seen)
            mask |= 1u << o;
        n += seen;
    }
    if (!mask)
        return dy;
    lg_affine *r = lg_affine_new(R->g, m->rank_in, n);
    memcpy(r->off, m->off, sizeof *m->off * (size_t)m->rank_in);
    for (int o = 0, k = 0; o < m->rank_out; o++)
        if (!(mask >> o & 1)) {
            for (int a = 0; a < m->rank_in; a++)
                LG_COEF(r, a, k) = LG_COEF(m, a, o);
            k++;
        }
    *map = r;
    return lg_s_reduce(R, R->op->sum, dy, mask, at);
}

/* A map that meets every place of `shape` once, one axis from one axis, undone by a view. */
static lg_node *unpermute(lg_rewrite *R, lg_node *dy, const lg_affine *m, int rank,
                          const int64_t *shape, lg_span at) {
    const lg_type *t = &dy->type[0];
    lg_affine *back = lg_affine_new(R->g, t->rank, rank);
    uint32_t taken = 0;
    for (int a = 0; a < rank; a++) {
        int hit = -1;
        for (int o = 0; o < t->rank; o++)
            if (LG_COEF(m, a, o)) {
                if (hit >= 0 || taken >> o & 1)
                    return NULL;
                hit = o;
            }
        if (hit < 0) {
            if (shape[a] != 1)
                return NULL;
            continue;
        }
        int64_t c = LG_COEF(m, a, hit);
        bool whole = t->shape[hit] == shape[a] && (c == 1 || c == -1);
        if (!whole || m->off[a] != (c == 1 ? 0 : shape[a] - 1))
            return NULL;
        taken |= 1u << hit;
        LG_COEF(back, hit, a) = c;
        back->off[hit] = m->off[a];
    }
    return lg_s_view(R, dy, back, rank, shape, at);
}

/* The axes of dy that axis a of a map is made of, that with the longest steps first; their number,
 * or -1 unless they are its digits, so that every place is met once. */
static int digits(const lg_affine *m, int a, int64_t size, const lg_type *dy, int *axis) {
    int n = 0;
    int64_t unit = 1;
    for (bool more = true; more;) {
        more = false;
        for (int o = 0; o < dy->rank && !more; o++)
            if (dy->shape[o] > 1 && LG_COEF(m, a, o) == unit) {
                for (int k = n++; k > 0; k--)
                    axis[k] = axis[k - 1];
                axis[0] = o;
                unit *= dy->shape[o];
                more = true;
            }
    }
    return unit == size && m->off[a] == 0 ? n : -1;
}

/* A map whose axes are split into digits, like windows that tile a picture, undone by joining them
 * again: a permutation and a reshape. */
static lg_node *unsplit(lg_rewrite *R, lg_node *dy, const lg_affine *m, int rank,
                        const int64_t *shape, lg_span at) {
    const lg_type *t = &dy->type[0];
    int perm[LG_MAX_RANK], n = 0;
    uint32_t taken = 0;
    for (int a = 0; a < rank; a++) {
        int axis[LG_MAX_RANK], more = digits(m, a, shape[a], t, axis), used = 0;
        for (int o = 0; o < t->rank; o++)
            used += LG_COEF(m, a, o) != 0;
        if (more != used)
            return NULL;
        for (int k = 0; k < more; k++, n++) {
            if (taken >> axis[k] & 1)
                return NULL;
            taken |= 1u << axis[k];
            perm[n] = axis[k];
        }
    }
    for (int o = 0; o < t->rank; o++) /* what is left has one element */
        if (!(taken >> o & 1)) {
            if (t->shape[o] != 1)
                return NULL;
            perm[n++] = o;
        }
    return lg_s_reshape(R, lg_s_permute(R, dy, perm, at), rank, shape, at);
}

lg_node *lg_s_unview(lg_rewrite *R, lg_node *dy, const lg_affine *map, int rank,
                     const int64_t *shape, lg_span at) {
    lg_type out = lg_type_make(dy->type[0].dtype, rank, shape);
    if (!lg_type_count(&dy->type[0]))
        return lg_s_number(R, &out, 0, at);
    if (lg_is_fill(dy, 0))
        return lg_s_fill(R, &out, lg_fill_of(dy), at);
    lg_affine *m = tidy(R->g, map, dy->type[0].shape);
    if (lg_affine_is_identity(m, shape, dy->type[0].shape))
        return dy;
    if (dy->op->cls == LG_C_UNVIEW)
        return lg_s_unview(R, dy->in[0], compose(R->g, m, dy->attr.affine), rank, shape, at);
    dy = sum_unseen(R, dy, &m, at);
    lg_node *y = unpermute(R, dy, m, rank, shape, at);
    y = y ? y : unsplit(R, dy, m, rank, shape, at);
    if (y)
        return y;
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_unview(R->g, dy, m, rank, shape, at));
}
