/* builtin_rows.c: rows by run-time subscripts in the form of calls: gather, put, scatter_add. The
 * same with subscripts is index.c; put into a record by path is select.c. */
#include "compiler/mid/builtin.h"
#include "compiler/mid/select.h"
#include <string.h>

/* Integer subscripts as a tensor; NULL after reporting. */
static lg_value *subscripts(lg_elab *E, const char *fn, lg_value *v, lg_span at) {
    lg_value *i = lg_as_tensor(E, fn, v, at);
    if (!i || (lg_dtype_is_int(i->t.dtype) && (i->t.dtype == LG_I64 || i->t.dtype == LG_I32)))
        return i;
    if (lg_dtype_is_int(i->t.dtype))
        return lg_cast(E, i, LG_I32, at);
    lg_err(E, "E0206", v->at.file ? v->at : at, "`%s` wants integers as subscripts, got %s", fn,
           lg_v_type_text(E, i));
    return NULL;
}

static lg_value *front(lg_elab *E, lg_value *x, int axis, lg_span at) {
    int perm[LG_MAX_RANK];
    for (int i = 0; i < x->t.rank; i++)
        perm[i] = i == 0 ? axis : i <= axis ? i - 1 : i;
    return axis ? lg_permute(E, x, perm, at) : x;
}

typedef struct {
    lg_value *index, *axis;
} picking;

/* x[.., idx, ..]: the dims of idx stand where the axis was. */
static lg_value *gather_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const picking *p = ctx;
    lg_value *x = lg_as_tensor(E, "gather", leaf[0], at), *i = p->index;
    int axis = !x ? -1 : p->axis ? lg_axis(E, x, p->axis, at) : 0;
    if (axis < 0 || !x->t.rank)
        return lg_v_error(E, at);
    if (x->t.rank - 1 + i->t.rank > LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_value *rows = front(E, x, axis, at), *two[2] = {rows, i};
    lg_index **open;
    int n_open = lg_open_union(E, 2, two, &open), rank = 0, perm[LG_MAX_RANK];
    lg_dim *dim[LG_MAX_RANK];
    for (int d = 0; d < i->t.rank; d++)
        dim[rank++] = i->t.dim[d];
    for (int d = 1; d < x->t.rank; d++)
        dim[rank++] = rows->t.dim[d];
    lg_value *r = lg_v_open(E, x->t.dtype, n_open, open, rank, dim, NULL, at);
    r->t.bound = x->t.bound;
    if (!LG_CHECKING(E)) {
        lg_node *nx = lg_node_as(E, rows, n_open, open, rows->t.rank, rows->t.dim, at);
        lg_node *ni = lg_node_as(E, i, n_open, open, i->t.rank, i->t.dim, at);
        r->t.node = lg_g_gather(E->g, nx, n_open, 1, &ni, at);
    }
    for (int d = 0; d < rank; d++) /* the axes that stood before `axis` go back in front */
        perm[d] = d < axis ? i->t.rank + d : d < axis + i->t.rank ? d - axis : d;
    return axis ? lg_permute(E, r, perm, at) : r;
}

static lg_value *gather(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "index", "axis"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 2, v))
        return lg_v_error(E, at);
    if (v[0]->kind == LG_V_OPAQUE)
        return v[0];
    picking p = {subscripts(E, b->name, v[1], at), v[2]};
    if (!p.index)
        return lg_v_error(E, at);
    return lg_v_is_vector(v[0]) ? lg_leafwise(E, gather_leaf, &p, 1, &v[0], at)
                                : gather_leaf(E, &p, 1, &v[0], at);
}

/* Rows i of x (first axis) replaced by v, or v added to them. */
static lg_value *scatter(lg_elab *E, const char *fn, const lg_op *op, lg_value *xv, lg_value *iv,
                         lg_value *vv, lg_span at) {
    lg_value *x = lg_as_tensor(E, fn, xv, at), *i = x ? subscripts(E, fn, iv, at) : NULL;
    if (!i)
        return lg_v_error(E, at);
    if (!x->t.rank) {
        lg_err(E, "E0222", at, "`%s` wants an axis, and a scalar has none", fn);
        return lg_v_error(E, at);
    }
    lg_dim *dim[LG_MAX_RANK * 2];
    int rank = 0;
    for (int d = 0; d < i->t.rank; d++)
        dim[rank++] = i->t.dim[d];
    for (int d = 1; d < x->t.rank; d++)
        dim[rank++] = x->t.dim[d];
    lg_value *v = lg_list_is_array(vv)   ? lg_list_tensor(E, vv, x->t.dtype, at)
                  : vv->kind == LG_V_NUM ? lg_to_tensor(E, vv, x->t.dtype, at)
                                         : lg_as_tensor(E, fn, vv, at);
    if (!v)
        return lg_v_error(E, at);
    if (v->kind == LG_V_TENSOR && v->t.weak && v->t.dtype != x->t.dtype)
        v = lg_cast(E, v, x->t.dtype, at);
    bool fits = v->kind == LG_V_TENSOR && (v->t.rank == rank || v->t.rank == 0);
    for (int d = 0; fits && d < v->t.rank; d++)
        fits = lg_dims_match(v->t.dim[d], dim[d]);
    if (!fits || v->t.dtype != x->t.dtype) {
        lg_value *want = lg_v_tensor(E, x->t.dtype, rank, dim, NULL, at);
        lg_err(E, "E0203", vv->at.file ? vv->at : at, "`%s` wants %s as rows here, got %s", fn,
               lg_v_type_text(E, want), lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    lg_value *three[3] = {x, i, v};
    lg_index **open;
    int n_open = lg_open_union(E, 3, three, &open);
    lg_value *r = lg_v_open(E, x->t.dtype, n_open, open, x->t.rank, x->t.dim, NULL, at);
    if (LG_CHECKING(E))
        return r;
    lg_node *nx = lg_node_as(E, x, n_open, open, x->t.rank, x->t.dim, at);
    lg_node *ni = lg_node_as(E, i, n_open, open, i->t.rank, i->t.dim, at);
    lg_node *nv = lg_node_as(E, v, n_open, open, rank, dim, at);
    r->t.node = lg_g_scatter(E->g, op, nx, n_open, 1, &ni, nv, at);
    return r;
}

typedef struct {
    const char *fn;
    const lg_op *op;
    lg_value *index;
} scattering;

static lg_value *scatter_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    const scattering *s = ctx;
    (void)n;
    return scatter(E, s->fn, s->op, leaf[0], s->index, leaf[1], at);
}

/* Leaf by leaf where x is a record. */
static lg_value *scatter_into(lg_elab *E, const char *fn, const lg_op *op, lg_value *const *v,
                              lg_span at) {
    if (v[0]->kind == LG_V_OPAQUE)
        return v[0];
    if (!lg_v_is_vector(v[0]))
        return scatter(E, fn, op, v[0], v[1], v[2], at);
    scattering s = {fn, op, v[1]};
    return lg_leafwise(E, scatter_leaf, &s, 2, (lg_value *[]){v[0], v[2]}, at);
}

static lg_value *scatter_add(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                             lg_span at) {
    static const char *const names[] = {"x", "index", "rows"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 3, v))
        return lg_v_error(E, at);
    return scatter_into(E, b->name, &lg_op_scatter_add, v, at);
}

static lg_value *put(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "where", "value"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 3, v))
        return lg_v_error(E, at);
    if (v[0]->kind == LG_V_OPAQUE)
        return v[0];
    if (v[1]->kind == LG_V_STR || v[1]->kind == LG_V_SELECTOR)
        return lg_put_path(E, v[0], v[1]->str, v[2], at);
    return scatter_into(E, b->name, &lg_op_scatter_put, v, at);
}

const lg_builtin lg_builtins_rows[] = {
    {.name = "gather",
     .sig = "(x: T[N, ...R], index: i32[...O], axis = 0) -> T[...O, ...R]",
     .doc = "Rows of x by number, as x[index]; a number outside the axis is a fault.",
     .call = gather},
    {.name = "put",
     .sig = "(x, where, value) -> R",
     .doc = "Rows of an array replaced (the last wins), or the leaves of a record that a path or "
            "selector names.",
     .call = put},
    {.name = "scatter_add",
     .sig = "(x: T[N, ...R], index: i32[...O], rows: T[...O, ...R]) -> T[N, ...R]",
     .doc = "Values added to the rows of x by number; equal numbers add up.",
     .call = scatter_add},
    {.name = NULL}};
