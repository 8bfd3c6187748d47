/* emit.c: from values to nodes: sizes, import from outer graphs, numbers, dtypes. In check mode
 * every function computes the type only and leaves node = NULL; so do align.c, arith.c and
 * emit_shape.c. */
#include "compiler/mid/emit.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- graphs ---- */

/* Constants, positions and views of them, which cost nothing to have twice. */
static lg_node *again(lg_graph *g, const lg_node *x) {
    const lg_type *t = &x->type[0];
    if (x->op == &lg_op_const && !x->attr.tensor->varies)
        return lg_g_const(g, x->attr.tensor, x->span);
    if (x->op == &lg_op_iota)
        return lg_g_iota(g, t->rank, t->shape, x->attr.axis, x->span);
    lg_node *in = x->op == &lg_op_view ? again(g, x->in[0]) : NULL;
    return in ? lg_g_view(g, in, x->attr.affine, t->rank, t->shape, x->span) : NULL;
}

/* A node of an enclosing graph becomes an input of this one, unless it is made again. */
lg_node *lg_import(lg_elab *E, lg_node *x) {
    if (!x || !E->g || x->graph == E->g)
        return x;
    lg_node *own = again(E->g, x);
    return own ? own : lg_capture(E, E->g, x);
}

int64_t lg_dim_size(lg_elab *E, const lg_dim *d, lg_span at) {
    int64_t n;
    if (lg_dim_value(d, &n)) {
        if (n >= 0)
            return n;
        lg_err(E, "E0211", at, "the size %s is negative here: %lld", lg_dim_text(E->arena, d),
               (long long)n);
        return 0;
    }
    lg_err(E, "E0212", at, "the size of %s is not known when the plan is made",
           lg_dim_text(E->arena, d));
    return 1;
}

lg_type lg_emit_type(lg_elab *E, lg_dtype t, int n_open, lg_index *const *open, int rank,
                     lg_dim *const *dim, lg_span at) {
    lg_type ty = {.dtype = t, .rank = n_open + rank};
    if (ty.rank > LG_MAX_RANK) {
        lg_err(E, "E0213", at, "more than %d dims at once", LG_MAX_RANK);
        ty.rank = LG_MAX_RANK;
    }
    for (int i = 0; i < ty.rank; i++)
        ty.shape[i] = lg_dim_size(E, i < n_open ? open[i]->dim : dim[i - n_open], at);
    return ty;
}

int lg_open_union(lg_elab *E, int n, lg_value *const *v, lg_index ***out) {
    lg_index *all[LG_MAX_RANK * 2];
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (v[i]->kind != LG_V_TENSOR)
            continue;
        for (int j = 0; j < v[i]->t.n_open; j++) {
            lg_index *x = v[i]->t.open[j];
            int p = 0;
            while (p < k && all[p]->seq < x->seq)
                p++;
            if (p < k && all[p] == x)
                continue;
            if (k == (int)LG_COUNT(all))
                return k;
            memmove(all + p + 1, all + p, sizeof *all * (size_t)(k - p));
            all[p] = x;
            k++;
        }
    }
    *out = lg_arena_dup(E->arena, all, sizeof *all * (size_t)(k ? k : 1));
    return k;
}

static void set_open(lg_elab *E, lg_value *v, int n, lg_index *const *open) {
    v->t.n_open = n;
    v->t.open = lg_arena_dup(E->arena, n ? (const void *)open : (const void *)"        ",
                             sizeof *open * (size_t)(n ? n : 1));
}

lg_value *lg_v_open(lg_elab *E, lg_dtype t, int n_open, lg_index *const *open, int rank,
                    lg_dim *const *dim, lg_node *node, lg_span at) {
    lg_value *v = lg_v_tensor(E, t, rank, dim, node, at);
    if (v->kind == LG_V_TENSOR && n_open + rank > LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    if (v->kind == LG_V_TENSOR)
        set_open(E, v, n_open, open);
    return v;
}

lg_node *lg_node_as(lg_elab *E, lg_value *v, int n_open, lg_index *const *open, int rank,
                    lg_dim *const *dim, lg_span at) {
    if (LG_CHECKING(E))
        return NULL;
    lg_node *x = lg_import(E, v->t.node);
    lg_type ty = lg_emit_type(E, v->t.dtype, n_open, open, rank, dim, at);
    int from[LG_MAX_RANK];
    bool same = v->t.n_open == n_open && v->t.rank == rank;
    for (int i = 0; i < n_open; i++) {
        from[i] = -1;
        for (int j = 0; j < v->t.n_open; j++)
            if (v->t.open[j] == open[i])
                from[i] = j;
        same = same && from[i] == i;
    }
    int next = 0; /* dims in order; equal names, or the same count */
    for (int i = 0; i < rank; i++) {
        from[n_open + i] = -1;
        if (v->t.rank == rank)
            from[n_open + i] = v->t.n_open + i;
        else if (next < v->t.rank && lg_dims_match(v->t.dim[next], dim[i]))
            from[n_open + i] = v->t.n_open + next++;
        same = same && from[n_open + i] == n_open + i;
    }
    return same ? x : lg_g_broadcast(E->g, x, ty.rank, ty.shape, from, at);
}

/* As above, with an explicit map from target dims to the value's dims (-1: new). */
lg_node *lg_emit_by_map(lg_elab *E, lg_value *v, int n_open, lg_index *const *open, int rank,
                        lg_dim *const *dim, const int *map, lg_span at) {
    if (LG_CHECKING(E))
        return NULL;
    lg_node *x = lg_import(E, v->t.node);
    lg_type ty = lg_emit_type(E, v->t.dtype, n_open, open, rank, dim, at);
    int from[LG_MAX_RANK];
    bool same = v->t.n_open == n_open && v->t.rank == rank;
    for (int i = 0; i < n_open; i++) {
        from[i] = -1;
        for (int j = 0; j < v->t.n_open; j++)
            if (v->t.open[j] == open[i])
                from[i] = j;
        same = same && from[i] == i;
    }
    for (int i = 0; i < rank; i++) {
        from[n_open + i] = map[i] < 0 ? -1 : v->t.n_open + map[i];
        same = same && from[n_open + i] == n_open + i;
    }
    return same ? x : lg_g_broadcast(E->g, x, ty.rank, ty.shape, from, at);
}

/* ---- numbers become tensors; dtypes ---- */

/* A number as a constant; one that other runs may change stands in the outermost graph, so that it
 * can become an input there. */
static lg_node *number_node(lg_elab *E, const lg_value *v, lg_dtype t, lg_span at) {
    lg_tensor *x = v->num.is_int && lg_dtype_is_int(t) ? lg_tensor_scalar_i64(t, v->num.i)
                                                       : lg_tensor_scalar_f64(t, v->num.d);
    bool outward = v->num.varies && (!E->g->parent || E->nest);
    lg_graph *g = E->g;
    while (outward && g->parent)
        g = g->parent;
    x->varies = outward ? v->num.varies : 0;
    lg_node *node = lg_g_const(g, x, at);
    lg_tensor_release(x);
    return lg_import(E, node);
}

lg_value *lg_to_tensor(lg_elab *E, lg_value *v, lg_dtype t, lg_span at) {
    if (v->kind == LG_V_TENSOR)
        return v;
    if (v->kind != LG_V_NUM)
        return lg_v_error(E, at);
    if (t == LG_NO_DTYPE)
        t = v->num.is_bool  ? LG_BOOL
            : v->num.is_int ? LG_I64
            : v->num.as     ? (lg_dtype)(v->num.as - 1)
                            : E->frame->float_dtype;
    lg_node *node = NULL;
    if (!LG_CHECKING(E)) {
        if (!v->num.known) {
            lg_err(E, "E0212", at, "this number is not known when the plan is made");
            return lg_v_error(E, at);
        }
        node = number_node(E, v, t, at);
    }
    lg_value *r = lg_v_tensor(E, t, 0, NULL, node, at);
    r->t.weak = r->t.host = true;
    return r;
}

bool lg_emit_is_number(const lg_node *x) {
    return x->op == &lg_op_const && !x->type[0].rank && !x->attr.tensor->varies;
}

static lg_value *cast_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return lg_cast(E, leaf[0], *(lg_dtype *)ctx, at);
}

lg_value *lg_cast(lg_elab *E, lg_value *v, lg_dtype t, lg_span at) {
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE)
        return v;
    if (v->kind == LG_V_NUM) {
        if (v->num.known && lg_dtype_is_int(t) && !v->num.is_int && !v->num.is_bool) {
            int64_t room; /* as in a run: truncated, saturated, and 0 for NaN */
            lg_convert(t, &room, LG_F64, &v->num.d, 1);
            return lg_v_int(E, lg_get_i64(t, &room, 0), at);
        }
        lg_value *r = lg_to_tensor(E, v, t, at);
        if (r->kind == LG_V_TENSOR)
            r->t.weak = false;
        return r;
    }
    if (lg_v_is_vector(v))
        return lg_leafwise(E, cast_leaf, &t, 1, &v, at);
    if (v->kind != LG_V_TENSOR) {
        lg_err(E, "E0208", at, "%s cannot be cast to %s", lg_v_type_text(E, v), lg_dtype_name(t));
        return lg_v_error(E, at);
    }
    lg_value *r = lg_v_copy(E, v);
    r->at = at;
    r->t.weak = false;
    r->t.dtype = t;
    r->t.bound = lg_dtype_is_int(t) ? v->t.bound : NULL;
    r->t.host = v->t.host && (t == v->t.dtype || lg_dtype_is_int(v->t.dtype));
    if (LG_CHECKING(E))
        return r;
    lg_node *x = lg_import(E, v->t.node);
    r->t.node = lg_g_cast(E->g, x, t, at);
    if (r->t.node != x && lg_emit_is_number(x) && lg_dtype_is_int(x->type[0].dtype)) {
        lg_tensor *y = lg_tensor_cast(x->attr.tensor, t);
        r->t.node = lg_g_const(E->g, y, at);
        lg_tensor_release(y);
    }
    return r;
}

static int rank_of(lg_dtype t) { /* for joining two weak scalars */
    return t == LG_BOOL ? 0 : lg_dtype_is_int(t) ? 1 : t == LG_F64 ? 3 : 2;
}

/* The dtype that n operands agree on; LG_NO_DTYPE after reporting. Weak ones follow. */
lg_dtype lg_emit_join_dtypes(lg_elab *E, int n, lg_value *const *v, const char *what, lg_span at) {
    lg_dtype strong = LG_NO_DTYPE, weak = LG_NO_DTYPE;
    const lg_value *first = NULL;
    bool weak_float = false;
    for (int i = 0; i < n; i++) {
        if (v[i]->kind == LG_V_NUM) {
            /* a parameter without a type may be an integer as long as nothing is known of it */
            bool open = !v[i]->num.known && v[i]->num.dim;
            weak_float = weak_float || (!v[i]->num.is_int && !v[i]->num.is_bool && !open);
            lg_dtype t = v[i]->num.is_bool  ? LG_BOOL
                         : v[i]->num.is_int ? LG_I64
                                            : E->frame->float_dtype;
            if (weak == LG_NO_DTYPE || rank_of(t) > rank_of(weak))
                weak = t;
        } else if (v[i]->kind == LG_V_TENSOR && v[i]->t.weak) {
            weak_float = weak_float || lg_dtype_is_float(v[i]->t.dtype);
            if (weak == LG_NO_DTYPE || rank_of(v[i]->t.dtype) > rank_of(weak))
                weak = v[i]->t.dtype;
        } else if (v[i]->kind == LG_V_TENSOR) {
            if (strong != LG_NO_DTYPE && strong != v[i]->t.dtype) {
                lg_diag *d = lg_err(E, "E0206", at, "%s of %s and %s: dtypes do not mix", what,
                                    lg_v_type_text(E, first), lg_v_type_text(E, v[i]));
                lg_dtype to = lg_dtype_is_float(strong) ? strong : v[i]->t.dtype;
                lg_diag_help(d, "write the cast: `%s(...)` around the other",
                             lg_dtype_is_float(to)
                                 ? (to == E->float_dtype ? "float" : lg_dtype_name(to))
                                 : lg_dtype_name(to));
                return LG_NO_DTYPE;
            }
            strong = v[i]->t.dtype;
            first = v[i];
        }
    }
    if (strong == LG_NO_DTYPE)
        return weak == LG_NO_DTYPE ? E->frame->float_dtype : weak;
    if (weak_float && !lg_dtype_is_float(strong)) {
        lg_diag *d =
            lg_err(E, "E0206", at, "%s of %s and a real number", what, lg_v_type_text(E, first));
        lg_diag_help(d, "write `float(...)` around the %s value", lg_dtype_name(strong));
        return LG_NO_DTYPE;
    }
    if (weak != LG_NO_DTYPE && weak != LG_BOOL && strong == LG_BOOL) {
        lg_err(E, "E0206", at, "%s of a bool and a number", what);
        return LG_NO_DTYPE;
    }
    return strong;
}
