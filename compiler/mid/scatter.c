/* scatter.c: reductions whose condition says which row a term belongs to: `where y[i] == c`. The
 * terms are added at their rows, so that nothing of the size rows x terms is computed. Not for
 * other conditions. Called by reduce.c and fold.c. */
#include "compiler/mid/index.h"
#include <string.h>

static bool is_own(const lg_fold *r, const lg_index *i) {
    for (int k = 0; k < r->n; k++)
        if (r->idx[k] == i)
            return true;
    return false;
}

static bool depends_on_own(const lg_fold *r, const lg_value *v) {
    for (int k = 0; k < r->n; k++)
        if (lg_has_open(v, r->idx[k]))
            return true;
    return false;
}

/* A free index as a bare name on one side of an equality: that index and the other side. */
static lg_index *free_side(lg_elab *E, const lg_fold *r, const lg_ast *eq, int side,
                           const lg_ast **other) {
    const lg_ast *name = eq->kid[side];
    if (name->kind != LG_A_NAME || (name->flags & LG_AF_PRIME))
        return NULL;
    lg_index *f = lg_index_of(E, E->frame, name->name);
    *other = eq->kid[1 - side];
    return f && f->dim && f->lo_known && !is_own(r, f) ? f : NULL;
}

static lg_value *as_index_value(lg_elab *E, lg_value *v, lg_span at) {
    lg_value *r = lg_v_copy(E, lg_cast(E, v, LG_I64, at));
    r->t.weak = true;
    r->t.bound = NULL;
    return r;
}

/* Do the terms and the other conditions no longer depend on f once it is replaced? */
static bool is_free_of(lg_elab *E, const lg_index *f, lg_value *stub, int n,
                       const lg_ast *const *part, int which, const lg_ast *term) {
    lg_frame *was = E->frame;
    E->frame = lg_frame_new(E, LG_F_BLOCK, was);
    lg_bind(E, E->frame, f->name, stub, stub->at);
    bool ok = true;
    for (int k = 0; ok && k < n; k++)
        ok = k == which || !lg_has_open(lg_trial(E, part[k]), f);
    if (ok && term) {
        lg_value *t = lg_trial(E, term);
        lg_leaf *leaf;
        int leaves = lg_v_leaves(E, t, &leaf);
        for (int k = 0; k < leaves; k++)
            ok = ok && !lg_has_open(leaf[k].value, f) && leaf[k].value->kind != LG_V_ERROR;
    }
    E->frame = was;
    return ok;
}

/* The row of each term; terms whose row is outside are left out. */
static void set_target(lg_elab *E, lg_fold *r, lg_index *f, lg_value *v, lg_span at) {
    lg_linear lin;
    int64_t lo, hi, n = lg_dim_size(E, f->dim, at);
    bool empty, inside = v->t.bound && f->lo == 0 && lg_dims_match(v->t.bound, f->dim);
    lg_value *row = as_index_value(E, v, at);
    if (!inside && lg_linear_of(E, row, &lin)) {
        lg_linear_bounds(E, &lin, &lo, &hi, &empty);
        inside = empty || (lo >= f->lo && hi < f->lo + n);
    }
    lg_value *first = lg_v_int(E, f->lo, at);
    if (!inside) {
        r->cond = lg_binary(E, "and", lg_binary(E, "<=", first, row, at),
                            lg_binary(E, "<", row, lg_v_int(E, f->lo + n, at), at), at);
        row = as_index_value(E, lg_select(E, r->cond, row, first, at), at);
    }
    r->scatter = LG_NEW(E->arena, lg_scatter);
    r->scatter->free = f;
    r->scatter->target = f->lo ? lg_binary(E, "-", row, first, at) : row;
    E->frame = lg_frame_new(E, LG_F_BLOCK, E->frame);
    lg_bind(E, E->frame, f->name, row, at);
}

bool lg_scatter_find(lg_elab *E, lg_fold *r, int n, const lg_ast *const *part, int *which,
                     const lg_ast *term) {
    for (int k = 0; k < n; k++) {
        if (part[k]->kind != LG_A_BINARY || strcmp(part[k]->name, "=="))
            continue;
        for (int side = 0; side < 2; side++) {
            const lg_ast *other;
            lg_index *f = free_side(E, r, part[k], side, &other);
            int64_t rows;
            if (!f || !lg_dim_value(f->dim, &rows) || rows == 0)
                continue;
            lg_value *v = lg_trial(E, other);
            if (v->kind != LG_V_TENSOR || v->t.rank || !lg_dtype_is_int(v->t.dtype) ||
                lg_has_open(v, f) || !depends_on_own(r, v))
                continue;
            lg_value *stub = lg_v_copy(E, v);
            stub->t.dtype = LG_I64;
            stub->t.weak = true;
            if (!is_free_of(E, f, stub, n, part, k, term))
                continue;
            lg_value *row = lg_expr(E, other);
            if (row->kind != LG_V_TENSOR || lg_has_open(row, f))
                continue;
            set_target(E, r, f, row, part[k]->span);
            *which = k;
            return true;
        }
    }
    return false;
}

/* ---- adding up ---- */

static void add_sorted(lg_index **to, int *n, lg_index *i) {
    int p = *n;
    for (int k = 0; k < *n; k++)
        if (to[k] == i)
            return;
    for (; p > 0 && to[p - 1]->seq > i->seq; p--)
        to[p] = to[p - 1];
    to[p] = i;
    (*n)++;
}

/* An affine row: the adjoint of the view that reads it. */
static lg_node *unviewed(lg_elab *E, const lg_value *v, lg_node *upd, int n_upd,
                         lg_index *const *of, int n_out, lg_index *const *out, const lg_fold *r,
                         const lg_linear *lin) {
    int64_t off[LG_MAX_RANK] = {0}, coef[LG_MAX_RANK * LG_MAX_RANK] = {0}, shape[LG_MAX_RANK];
    int rank_in = n_out + v->t.rank, rank_out = upd->type[0].rank;
    for (int a = 0; a < rank_in; a++) {
        if (a >= n_out) {
            shape[a] = upd->type[0].shape[n_upd + a - n_out];
            coef[a * rank_out + n_upd + a - n_out] = 1;
            continue;
        }
        shape[a] = lg_dim_size(E, out[a]->dim, r->at);
        bool is_row = out[a] == r->scatter->free;
        if (is_row)
            off[a] = lin->off;
        for (int o = 0; o < n_upd; o++) {
            if (!is_row && of[o] == out[a])
                coef[a * rank_out + o] = 1;
            for (int k = 0; is_row && k < lin->n; k++)
                if (lin->at[k] == of[o])
                    coef[a * rank_out + o] = lin->coef[k];
        }
    }
    lg_affine m = {rank_in, rank_out, off, coef};
    return lg_g_unview(E->g, upd, &m, rank_in, shape, r->at);
}

/* Rows that are data: [batch, own, tail, dims] added to zeros [batch, row, tail, dims]. */
static lg_node *scattered(lg_elab *E, lg_value *v, int n_out, lg_index *const *out,
                          const lg_fold *r) {
    lg_value *target = r->scatter->target;
    lg_index *order[LG_MAX_RANK * 2], *to[LG_MAX_RANK * 2];
    int nb = 0, n = 0, n_to = 0;
    for (int k = 0; k < target->t.n_open; k++)
        if (!is_own(r, target->t.open[k]))
            to[n_to++] = order[n++] = target->t.open[k];
    nb = n;
    for (int k = 0; k < target->t.n_open; k++)
        if (is_own(r, target->t.open[k]))
            order[n++] = target->t.open[k];
    int n_idx = n;
    to[n_to++] = r->scatter->free;
    for (int k = 0; k < v->t.n_open; k++)
        if (!lg_has_open(target, v->t.open[k]))
            to[n_to++] = order[n++] = v->t.open[k];
    lg_node *idx = lg_node_as(E, target, n_idx, order, 0, NULL, r->at);
    lg_node *upd = lg_node_as(E, v, n, order, v->t.rank, v->t.dim, r->at);
    lg_type t = {.dtype = v->t.dtype, .rank = n_to + v->t.rank};
    for (int k = 0; k < n_to; k++)
        t.shape[k] = lg_dim_size(E, to[k]->dim, r->at);
    for (int d = 0; d < v->t.rank; d++)
        t.shape[n_to + d] = upd->type[0].shape[n + d];
    lg_node *y = lg_g_scatter(E->g, &lg_op_scatter_add, lg_g_fill(E->g, t, 0, r->at), nb, 1, &idx,
                              upd, r->at);
    int perm[LG_MAX_RANK];
    for (int a = 0; a < n_out + v->t.rank; a++) {
        perm[a] = a;
        for (int k = 0; a < n_out && k < n_to; k++)
            if (to[k] == out[a])
                perm[a] = k;
    }
    return lg_g_permute(E->g, y, perm, r->at);
}

lg_value *lg_scatter_sum(lg_elab *E, const lg_fold *r, lg_value *v) {
    lg_value *target = r->scatter->target;
    if (v->kind != LG_V_TENSOR || target->kind != LG_V_TENSOR)
        return lg_v_error(E, r->at);
    lg_fold inner = *r; /* what the row does not depend on is summed first */
    inner.n = 0;
    inner.scatter = NULL;
    for (int k = 0; k < r->n; k++)
        if (!lg_has_open(target, r->idx[k]))
            inner.idx[inner.n++] = r->idx[k];
    if (inner.n)
        v = lg_sum_over(E, &inner, v);
    if (v->kind != LG_V_TENSOR)
        return v;
    lg_index *upd[LG_MAX_RANK * 2], *out[LG_MAX_RANK * 2];
    int n_upd = 0, n_out = 0;
    for (int k = 0; k < v->t.n_open; k++)
        add_sorted(upd, &n_upd, v->t.open[k]);
    for (int k = 0; k < target->t.n_open; k++)
        add_sorted(upd, &n_upd, target->t.open[k]);
    for (int k = 0; k < n_upd; k++)
        if (!is_own(r, upd[k]))
            add_sorted(out, &n_out, upd[k]);
    add_sorted(out, &n_out, r->scatter->free);
    if (n_upd + v->t.rank > LG_MAX_RANK || n_out + v->t.rank > LG_MAX_RANK)
        return lg_too_many_dims(E, r->at);
    lg_value *y = lg_v_open(E, v->t.dtype, n_out, out, v->t.rank, v->t.dim, NULL, r->at);
    if (LG_CHECKING(E))
        return y;
    lg_linear lin;
    if (lg_linear_of(E, target, &lin)) {
        lg_node *x = lg_node_as(E, v, n_upd, upd, v->t.rank, v->t.dim, r->at);
        y->t.node = unviewed(E, v, x, n_upd, upd, n_out, out, r, &lin);
    } else {
        y->t.node = scattered(E, v, n_out, out, r);
    }
    return y;
}
