/* take.c: a tensor with a subscript for each axis: one affine view and, where subscripts are data,
 * a gather behind it. Not for what subscripts mean (subscript.c). */
#include "compiler/mid/index.h"
#include <string.h>

typedef struct {
    lg_affine m;
    int64_t off[LG_MAX_RANK], coef[LG_MAX_RANK * LG_MAX_RANK];
} map_room;

static lg_affine *blank(map_room *r, int rank_in, int rank_out) {
    memset(r, 0, sizeof *r);
    r->m = (lg_affine){rank_in, rank_out, r->off, r->coef};
    return &r->m;
}

/* What a lazy subscript reads outside is never used where the condition holds: that is checked. */
static void require_inside(lg_elab *E, const lg_axis_sub *s, int64_t size) {
    lg_value *v = s->v;
    lg_span at = s->ast->span;
    if (!v)
        v = s->lin.n ? lg_index_value(E, s->lin.at[0]) : lg_v_int(E, s->lin.off, at);
    lg_value *lo = lg_binary(E, "<=", lg_v_int(E, 0, at), v, at);
    lg_value *in = lg_binary(E, "and", lo, lg_binary(E, "<", v, lg_v_int(E, size, at), at), at);
    lg_must_hold(
        E, in,
        lg_txt(E, "a subscript is outside 0..%lld where its condition holds", (long long)size), at);
}

/* Makes room for the affine subscripts of each axis: x, padded with zeros where lazy ones leave it.
 */
static lg_node *padded(lg_elab *E, lg_node *x, int n_open, int n, lg_axis_sub *sub, bool *ok) {
    lg_type t = x->type[0];
    map_room room;
    lg_affine *m = blank(&room, t.rank, t.rank);
    lg_value *lazy = lg_lazy(E);
    bool pad = false;
    for (int a = 0; a < t.rank; a++)
        m->coef[a * t.rank + a] = 1;
    for (int k = 0; k < n; k++) {
        lg_axis_sub *s = &sub[k];
        int64_t lo, hi, size = x->type[0].shape[n_open + k];
        bool empty;
        if (s->kind != LG_TO_LINEAR)
            continue;
        lg_linear_bounds(E, &s->lin, &lo, &hi, &empty);
        if (empty || (lo >= 0 && hi < size))
            continue;
        if (!lazy) {
            lg_diag *d = lg_err(
                E, "E0252", s->ast->span, "`%s` runs from %lld to %lld, but this dim has %lld rows",
                lg_ast_text(E->arena, s->ast), (long long)lo, (long long)hi, (long long)size);
            lg_diag_help(d, "shorten the range, or guard it: `if ... then ... else 0`; inside, "
                            "subscripts may leave "
                            "the array");
            *ok = false;
            return x;
        }
        require_inside(E, s, size);
        int64_t before = lo < 0 ? -lo : 0, after = hi >= size ? hi - size + 1 : 0;
        m->off[n_open + k] = before;
        t.shape[n_open + k] += before + after;
        s->lin.off += before;
        pad = true;
    }
    return pad ? lg_g_unview(E->g, x, m, t.rank, t.shape, x->span) : x;
}

static bool in_list(int n, lg_index *const *at, const lg_index *i) {
    for (int k = 0; k < n; k++)
        if (at[k] == i)
            return true;
    return false;
}

/* What a subscripted tensor is made of, in the layout of its nodes. */
typedef struct {
    lg_index *batch[LG_MAX_RANK], *rest[LG_MAX_RANK], *tail[LG_MAX_RANK];
    int n_batch, n_rest, n_tail;
    int n_pick, pick[LG_MAX_RANK]; /* axes */
    int array_rank;                /* dims of the integer arrays that pick */
    lg_dim *array[LG_MAX_RANK];
} layout;

static void add_open(lg_index **to, int *n, lg_index *i) {
    if (in_list(*n, to, i))
        return;
    int p = *n;
    for (; p > 0 && to[p - 1]->seq > i->seq; p--)
        to[p] = to[p - 1];
    to[p] = i;
    (*n)++;
}

static void lay_out(const lg_value *x, int n, const lg_axis_sub *sub, layout *l) {
    lg_index *affine[LG_MAX_RANK * 2], *picked[LG_MAX_RANK * 2];
    int na = 0, np = 0;
    for (int k = 0; k < x->t.n_open; k++)
        add_open(affine, &na, x->t.open[k]);
    for (int a = 0; a < n; a++) {
        for (int k = 0; sub[a].kind == LG_TO_LINEAR && k < sub[a].lin.n; k++)
            add_open(affine, &na, sub[a].lin.at[k]);
        if (sub[a].kind != LG_TO_PICK)
            continue;
        l->pick[l->n_pick++] = a;
        for (int k = 0; k < sub[a].v->t.n_open; k++)
            add_open(picked, &np, sub[a].v->t.open[k]);
    }
    for (int k = 0; k < na; k++)
        if (in_list(np, picked, affine[k]))
            add_open(l->batch, &l->n_batch, affine[k]);
        else
            add_open(l->tail, &l->n_tail, affine[k]);
    for (int k = 0; k < np; k++)
        if (!in_list(na, affine, picked[k]))
            add_open(l->rest, &l->n_rest, picked[k]);
}

static int place_of(const layout *l, const lg_index *i) {
    for (int k = 0; k < l->n_batch; k++)
        if (l->batch[k] == i)
            return k;
    for (int k = 0; k < l->n_tail; k++)
        if (l->tail[k] == i)
            return l->n_batch + l->n_pick + k;
    return -1;
}

/* x as [batch.., picked axes.., tail.., kept dims..] in one view. */
static lg_node *first_view(lg_elab *E, lg_value *x, int n, lg_axis_sub *sub, const layout *l,
                           lg_span at, bool *ok) {
    lg_node *node = padded(E, lg_import(E, x->t.node), x->t.n_open, n, sub, ok);
    int64_t shape[LG_MAX_RANK * 3];
    int rank = 0, axis_at[LG_MAX_RANK];
    if (!*ok)
        return node;
    for (int k = 0; k < l->n_batch; k++)
        shape[rank++] = lg_dim_size(E, l->batch[k]->dim, at);
    for (int k = 0; k < l->n_pick; k++) {
        axis_at[l->pick[k]] = rank;
        shape[rank++] = node->type[0].shape[x->t.n_open + l->pick[k]];
    }
    for (int k = 0; k < l->n_tail; k++)
        shape[rank++] = lg_dim_size(E, l->tail[k]->dim, at);
    for (int a = 0; a < n; a++)
        if (sub[a].kind == LG_TO_KEEP || sub[a].kind == LG_TO_SLICE) {
            axis_at[a] = rank;
            shape[rank++] = lg_dim_size(E, sub[a].size, at);
        }
    if (rank > LG_MAX_RANK) {
        lg_err(E, "E0213", at, "more than %d dims at once", LG_MAX_RANK);
        *ok = false;
        return node;
    }
    map_room room;
    lg_affine *m = blank(&room, node->type[0].rank, rank);
    for (int k = 0; k < x->t.n_open; k++)
        m->coef[k * rank + place_of(l, x->t.open[k])] = 1;
    for (int a = 0; a < n; a++) {
        int row = x->t.n_open + a;
        if (sub[a].kind == LG_TO_LINEAR) {
            m->off[row] = sub[a].lin.off;
            for (int k = 0; k < sub[a].lin.n; k++)
                m->coef[row * rank + place_of(l, sub[a].lin.at[k])] += sub[a].lin.coef[k];
        } else {
            m->off[row] = sub[a].kind == LG_TO_SLICE ? sub[a].off : 0;
            m->coef[row * rank + axis_at[a]] = sub[a].kind == LG_TO_SLICE ? sub[a].step : 1;
        }
    }
    return lg_g_view(E->g, node, m, rank, shape, at);
}

/* The picks in order as nodes [batch.., rest.., array dims..]. */
static lg_node *picked(lg_elab *E, lg_node *x, const lg_axis_sub *sub, const layout *l,
                       lg_span at) {
    lg_node *idx[LG_MAX_RANK];
    lg_index *open[LG_MAX_RANK * 2];
    int n_open = 0;
    bool narrow = true;
    for (int k = 0; k < l->n_pick; k++)
        narrow = narrow && sub[l->pick[k]].v->t.dtype == LG_I32;
    for (int k = 0; k < l->n_batch; k++)
        open[n_open++] = l->batch[k];
    for (int k = 0; k < l->n_rest; k++)
        open[n_open++] = l->rest[k];
    for (int k = 0; k < l->n_pick; k++) {
        lg_value *v = sub[l->pick[k]].v;
        if (v->kind != LG_V_TENSOR)
            return NULL;
        lg_node *i =
            lg_node_as(E, v, n_open, open, l->array_rank, l->array, sub[l->pick[k]].ast->span);
        idx[k] = lg_g_cast(E->g, i, narrow ? LG_I32 : LG_I64, at);
    }
    return lg_g_gather(E->g, x, l->n_batch, l->n_pick, idx, at);
}

/* Lanes outside the condition of a lazy subscript pick row 0; so the lanes of the condition become
 * lanes of the pick. */
static void lazy_lanes(lg_elab *E, const lg_value *x, int n, lg_axis_sub *sub, layout *l,
                       lg_span at) {
    lg_value *lazy = l->n_pick ? lg_lazy(E) : NULL;
    if (!lazy || lazy->kind != LG_V_TENSOR || lazy->t.rank)
        return;
    for (int a = 0; a < n; a++)
        if (sub[a].kind == LG_TO_PICK)
            sub[a].v = lg_select(E, lazy, sub[a].v, lg_v_int(E, 0, at), at);
    memset(l, 0, sizeof *l);
    lay_out(x, n, sub, l);
}

/* The dims of integer arrays that pick: one for all of them. */
static bool array_dims(lg_elab *E, int n, const lg_axis_sub *sub, int *rank, lg_dim **dim) {
    const lg_axis_sub *first = NULL;
    *rank = 0;
    for (int a = 0; a < n; a++) {
        if (sub[a].kind != LG_TO_PICK || !sub[a].v->t.rank)
            continue;
        const lg_value *v = sub[a].v;
        bool same = !first || v->t.rank == *rank;
        for (int d = 0; first && same && d < *rank; d++)
            same = lg_dims_match(v->t.dim[d], dim[d]);
        if (!same) {
            lg_diag *d = lg_err(E, "E0256", sub[a].ast->span,
                                "two integer arrays of different dims as subscripts");
            lg_diag_label(d, first->ast->span, "%s", lg_v_type_text(E, first->v));
            lg_diag_help(d, "write it with indices: `let y[i, j] = x[a[i], b[j]]`");
            return false;
        }
        first = &sub[a];
        *rank = v->t.rank;
        for (int d = 0; d < *rank; d++)
            dim[d] = v->t.dim[d];
    }
    return true;
}

/* x with a subscript for each axis. */
lg_value *lg_take(lg_elab *E, lg_value *x, int n, lg_axis_sub *sub, lg_span at) {
    lg_dim *dim[LG_MAX_RANK * 2];
    layout l = {0};
    int rank = 0, array_at = -1, n_array;
    lg_dim *array[LG_MAX_RANK];
    if (!array_dims(E, n, sub, &n_array, array))
        return lg_v_error(E, at);
    for (int a = 0; a < n; a++) {
        if (sub[a].kind == LG_TO_KEEP || sub[a].kind == LG_TO_SLICE)
            dim[rank++] = sub[a].size;
        if (sub[a].kind == LG_TO_PICK && sub[a].v->t.rank && array_at < 0) {
            array_at = rank;
            for (int d = 0; d < n_array; d++)
                dim[rank++] = array[d];
        }
        if (rank > LG_MAX_RANK) {
            lg_err(E, "E0213", at, "more than %d dims at once", LG_MAX_RANK);
            return lg_v_error(E, at);
        }
    }
    lay_out(x, n, sub, &l);
    if (!LG_CHECKING(E))
        lazy_lanes(E, x, n, sub, &l, at);
    l.array_rank = n_array;
    memcpy(l.array, array, sizeof *array * (size_t)n_array);
    lg_index *open[LG_MAX_RANK * 3];
    int n_open = 0;
    for (int k = 0; k < l.n_batch; k++)
        add_open(open, &n_open, l.batch[k]);
    for (int k = 0; k < l.n_rest; k++)
        add_open(open, &n_open, l.rest[k]);
    for (int k = 0; k < l.n_tail; k++)
        add_open(open, &n_open, l.tail[k]);
    if (n_open + rank > LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_value *r = lg_v_open(E, x->t.dtype, n_open, open, rank, dim, NULL, at);
    r->t.bound = x->t.bound;
    if (LG_CHECKING(E))
        return r;
    bool ok = true;
    lg_node *node = first_view(E, x, n, sub, &l, at, &ok);
    if (!ok)
        return lg_v_error(E, at);
    if (l.n_pick)
        node = picked(E, node, sub, &l, at);
    if (!node)
        return lg_v_error(E, at);
    /* now [batch, rest, array, tail, kept]: to [open sorted, dims in place] */
    int perm[LG_MAX_RANK], p = 0, kept = l.n_batch + l.n_rest + n_array + l.n_tail;
    for (int k = 0; k < n_open; k++, p++) {
        perm[p] = -1;
        for (int j = 0; j < l.n_batch; j++)
            if (l.batch[j] == open[k])
                perm[p] = j;
        for (int j = 0; j < l.n_rest; j++)
            if (l.rest[j] == open[k])
                perm[p] = l.n_batch + j;
        for (int j = 0; j < l.n_tail; j++)
            if (l.tail[j] == open[k])
                perm[p] = l.n_batch + l.n_rest + n_array + j;
    }
    for (int d = 0; d < rank; d++, p++)
        perm[p] = array_at >= 0 && d >= array_at && d < array_at + n_array
                      ? l.n_batch + l.n_rest + d - array_at
                      : kept++;
    r->t.node = lg_g_permute(E->g, node, perm, at);
    return r;
}
