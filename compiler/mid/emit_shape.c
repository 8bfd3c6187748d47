/* emit_shape.c: moves between shapes, products of matrices and joins, with the dims of their
 * results in names. Called by the builtins. */
#include "compiler/mid/emit.h"
#include <stdlib.h>
#include <string.h>

/* ---- shapes ---- */

lg_value *lg_fill(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, double x, lg_span at) {
    lg_node *node = NULL;
    if (!LG_CHECKING(E))
        node = lg_g_fill(E->g, lg_emit_type(E, t, 0, NULL, rank, dim, at), x, at);
    return lg_v_tensor(E, t, rank, dim, node, at);
}

lg_value *lg_reshape(lg_elab *E, lg_value *v, int rank, lg_dim *const *dim, lg_span at) {
    lg_value *r = lg_v_open(E, v->t.dtype, v->t.n_open, v->t.open, rank, dim, NULL, at);
    if (LG_CHECKING(E))
        return r;
    lg_type ty = lg_emit_type(E, v->t.dtype, v->t.n_open, v->t.open, rank, dim, at);
    lg_node *x = lg_import(E, v->t.node);
    if (lg_type_count(&ty) != lg_type_count(x->type)) {
        lg_err(E, "E0215", at, "reshape keeps the number of elements: %zu do not become %zu",
               lg_type_count(x->type), lg_type_count(&ty));
        return lg_v_error(E, at);
    }
    r->t.node = lg_g_reshape(E->g, x, ty.rank, ty.shape, at);
    return r;
}

lg_value *lg_permute(lg_elab *E, lg_value *v, const int *perm, lg_span at) {
    lg_value *r = lg_v_copy(E, v);
    r->at = at;
    r->t.dim = LG_NEW_N(E->arena, lg_dim *, v->t.rank ? v->t.rank : 1);
    int full[LG_MAX_RANK];
    for (int i = 0; i < v->t.n_open; i++)
        full[i] = i;
    for (int i = 0; i < v->t.rank; i++) {
        r->t.dim[i] = v->t.dim[perm[i]];
        full[v->t.n_open + i] = v->t.n_open + perm[i];
    }
    if (!LG_CHECKING(E))
        r->t.node = lg_g_permute(E->g, lg_import(E, v->t.node), full, at);
    return r;
}

/* a[..., M, K] @ b[..., K, N]; vectors lose their dim; extra leading dims of one side are kept. */
lg_value *lg_matmul(lg_elab *E, lg_value *a, lg_value *b, lg_span at) {
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (a->kind != LG_V_TENSOR || b->kind != LG_V_TENSOR || !a->t.rank || !b->t.rank) {
        lg_err(E, "E0204", at, "`@` wants two arrays, got %s and %s", lg_v_type_text(E, a),
               lg_v_type_text(E, b));
        return lg_v_error(E, at);
    }
    lg_value *two[2] = {a, b};
    lg_dtype t = lg_emit_join_dtypes(E, 2, two, "`@`", at);
    if (t == LG_NO_DTYPE)
        return lg_v_error(E, at);
    int ra = a->t.rank, rb = b->t.rank;
    lg_dim *ka = a->t.dim[ra - 1], *kb = b->t.dim[rb > 1 ? rb - 2 : 0];
    if (!lg_dims_match(ka, kb)) {
        lg_diag *d = lg_err(E, "E0204", at, "`@` needs equal inner sizes, got %s and %s",
                            lg_dim_text(E->arena, ka), lg_dim_text(E->arena, kb));
        lg_diag_label(d, a->at, "%s", lg_v_type_text(E, a));
        lg_diag_label(d, b->at, "%s", lg_v_type_text(E, b));
        return lg_v_error(E, at);
    }
    int la = ra > 2 ? ra - 2 : 0, lb = rb > 2 ? rb - 2 : 0;
    bool lead_same = la == lb;
    for (int i = 0; lead_same && i < la; i++)
        lead_same = lg_dims_match(a->t.dim[i], b->t.dim[i]);
    if (!lead_same && la && lb) {
        lg_diag *d = lg_err(E, "E0204", at, "`@` needs equal leading dims, got %s and %s",
                            lg_v_type_text(E, a), lg_v_type_text(E, b));
        lg_diag_help(d, "write the product with indices: `sum[k](a[i, k]*b[k, j])`");
        return lg_v_error(E, at);
    }
    lg_index **open;
    int n_open = lg_open_union(E, 2, two, &open);
    int lead = la > lb ? la : lb;
    lg_dim *ld[LG_MAX_RANK], *od[LG_MAX_RANK];
    for (int i = 0; i < lead; i++)
        ld[i] = od[i] = la ? a->t.dim[i] : b->t.dim[i];
    int ro = lead;
    if (ra > 1)
        od[ro++] = a->t.dim[ra - 2];
    if (rb > 1)
        od[ro++] = b->t.dim[rb - 1];
    lg_value *r = lg_v_open(E, t, n_open, open, ro, od, NULL, at);
    if (LG_CHECKING(E))
        return r;
    /* bring both to [open, lead, M, K] and [open, lead, K, N] */
    lg_dim *one = lg_dim_num(E->dims, 1);
    lg_dim *da[LG_MAX_RANK], *db[LG_MAX_RANK];
    int ma[LG_MAX_RANK], mb[LG_MAX_RANK];
    for (int i = 0; i < lead; i++) {
        da[i] = db[i] = ld[i];
        ma[i] = la ? i : -1;
        mb[i] = lb ? i : -1;
    }
    da[lead] = ra > 1 ? a->t.dim[ra - 2] : one;
    ma[lead] = ra > 1 ? ra - 2 : -1;
    da[lead + 1] = ka;
    ma[lead + 1] = ra - 1;
    db[lead] = kb;
    mb[lead] = rb > 1 ? rb - 2 : 0;
    db[lead + 1] = rb > 1 ? b->t.dim[rb - 1] : one;
    mb[lead + 1] = rb > 1 ? rb - 1 : -1;
    lg_node *na, *nb, *y;
    bool flat = !lb && !b->t.n_open && ra > 1; /* rows of a in one product */
    if (flat) {
        na = lg_import(E, a->t.node);
        int64_t m = 1, k = na->type->shape[na->type->rank - 1];
        for (int i = 0; i + 1 < na->type->rank; i++)
            m *= na->type->shape[i];
        na = lg_g_reshape(E->g, na, 2, (int64_t[]){m, k}, at);
        nb = lg_emit_by_map(E, b, 0, NULL, 2, db + lead, mb + lead, at);
    } else {
        na = lg_emit_by_map(E, a, n_open, open, lead + 2, da, ma, at);
        nb = lg_emit_by_map(E, b, n_open, open, lead + 2, db, mb, at);
    }
    y = lg_g_dot(E->g, lg_g_cast(E->g, na, t, at), lg_g_cast(E->g, nb, t, at), at);
    lg_type ty = lg_emit_type(E, t, n_open, open, ro, od, at);
    r->t.node = lg_g_reshape(E->g, y, ty.rank, ty.shape, at);
    return r;
}

lg_value *lg_concat(lg_elab *E, int n, lg_value *const *v, int axis, lg_span at) {
    for (int k = 0; k < n; k++)
        if (v[k]->kind != LG_V_TENSOR) /* reported */
            return v[k];
    lg_index **open;
    int n_open = lg_open_union(E, n, v, &open);
    int rank = v[0]->t.rank;
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dim[i] = v[0]->t.dim[i];
    for (int k = 1; k < n; k++) {
        for (int i = 0; i < rank; i++)
            if (v[k]->t.rank != rank || (i != axis && !lg_dims_match(dim[i], v[k]->t.dim[i])) ||
                v[k]->t.dtype != v[0]->t.dtype) {
                lg_err(E, "E0216", at, "cannot join %s and %s along axis %d",
                       lg_v_type_text(E, v[0]), lg_v_type_text(E, v[k]), axis);
                return lg_v_error(E, at);
            }
        dim[axis] = lg_dim_add(E->dims, dim[axis], v[k]->t.dim[axis]);
    }
    lg_value *r = lg_v_open(E, v[0]->t.dtype, n_open, open, rank, dim, NULL, at);
    if (LG_CHECKING(E))
        return r;
    lg_node **node = LG_NEW_N(E->arena, lg_node *, n);
    for (int k = 0; k < n; k++)
        node[k] = lg_node_as(E, v[k], n_open, open, rank, v[k]->t.dim, at);
    r->t.node = lg_g_concat(E->g, n, node, n_open + axis, at);
    return r;
}
