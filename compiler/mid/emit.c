/* emit.c: from values to nodes: sizes, import from outer graphs, alignment by dim name, dtypes.
 * In check mode every function computes the type only and leaves node = NULL. */
#include "compiler/mid/elab.h"
#include "ops/vmath.h"
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

static lg_type type_of(lg_elab *E, lg_dtype t, int n_open, lg_index *const *open, int rank,
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
    lg_type ty = type_of(E, v->t.dtype, n_open, open, rank, dim, at);
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
static lg_node *node_by_map(lg_elab *E, lg_value *v, int n_open, lg_index *const *open, int rank,
                            lg_dim *const *dim, const int *map, lg_span at) {
    if (LG_CHECKING(E))
        return NULL;
    lg_node *x = lg_import(E, v->t.node);
    lg_type ty = type_of(E, v->t.dtype, n_open, open, rank, dim, at);
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
        t = v->num.is_bool ? LG_BOOL
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

static bool is_scalar_const(const lg_node *x) {
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
    if (r->t.node != x && is_scalar_const(x) && lg_dtype_is_int(x->type[0].dtype)) {
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
static lg_dtype join_dtypes(lg_elab *E, int n, lg_value *const *v, const char *what, lg_span at) {
    lg_dtype strong = LG_NO_DTYPE, weak = LG_NO_DTYPE;
    const lg_value *first = NULL;
    bool weak_float = false;
    for (int i = 0; i < n; i++) {
        if (v[i]->kind == LG_V_NUM) {
            /* a parameter without a type may be an integer as long as nothing is known of it */
            bool open = !v[i]->num.known && v[i]->num.dim;
            weak_float = weak_float || (!v[i]->num.is_int && !v[i]->num.is_bool && !open);
            lg_dtype t = v[i]->num.is_bool ? LG_BOOL
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
                             lg_dtype_is_float(to) ? (to == E->float_dtype ? "float" : lg_dtype_name(to))
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
        lg_diag *d = lg_err(E, "E0206", at, "%s of %s and a real number", what,
                            lg_v_type_text(E, first));
        lg_diag_help(d, "write `float(...)` around the %s value", lg_dtype_name(strong));
        return LG_NO_DTYPE;
    }
    if (weak != LG_NO_DTYPE && weak != LG_BOOL && strong == LG_BOOL) {
        lg_err(E, "E0206", at, "%s of a bool and a number", what);
        return LG_NO_DTYPE;
    }
    return strong;
}

/* ---- alignment ---- */

static bool match_named(const lg_dim *a, const lg_dim *b) {
    int64_t x, y;
    if (lg_dim_equal(a, b))
        return true;
    if (!lg_dim_is_num(a, &x) && !lg_dim_is_num(b, &x))
        return false;
    if (lg_dim_value(a, &x) && lg_dim_value(b, &y))
        return x == y;
    return lg_dim_later(a) || lg_dim_later(b); /* compared when it runs */
}

bool lg_dims_match(const lg_dim *a, const lg_dim *b) {
    if (match_named(a, b))
        return true;
    const lg_dim *x = lg_dim_in_numbers(a), *y = lg_dim_in_numbers(b);
    return (x != a || y != b) && match_named(x, y);
}

static bool is_anonymous(const lg_dim *d) {
    int64_t n;
    return lg_dim_is_num(d, &n);
}

/* Is a written 1 the dim that small lacks? A column and a row are not the same: [N] against [N, 1]. */
static bool stretches_one(const lg_value *large, const int *map) {
    int64_t n;
    for (int i = 0; i < large->t.rank; i++)
        if (map[i] < 0 && lg_dim_is_num(large->t.dim[i], &n) && n == 1)
            return true;
    return false;
}

/* map[i] = dim of small that meets dim i of large, or -1. Rules of the language, section 2.3. */
static bool align_named(lg_elab *E, const lg_value *small, const lg_value *large, int *map,
                  const char **why) {
    for (int i = 0; i < large->t.rank; i++)
        map[i] = -1;
    int last = -1;
    bool anonymous = false;
    for (int i = 0; i < small->t.rank; i++)
        anonymous = anonymous || is_anonymous(small->t.dim[i]);
    if (anonymous || small->t.rank == large->t.rank) {
        int off = large->t.rank - small->t.rank; /* a suffix */
        bool ok = true;
        for (int i = 0; i < small->t.rank; i++)
            ok = ok && match_named(small->t.dim[i], large->t.dim[off + i]);
        for (int i = 0; ok && i < small->t.rank; i++)
            map[off + i] = i;
        if (ok || small->t.rank == large->t.rank)
            return ok;
        if (anonymous)
            return false;
    }
    for (int i = 0; i < small->t.rank; i++) {
        int hit = -1, hits = 0;
        for (int j = 0; j < large->t.rank; j++)
            if (match_named(small->t.dim[i], large->t.dim[j])) {
                hits++;
                hit = j;
            }
        for (int j = 0; j < i; j++)
            if (lg_dim_equal(small->t.dim[i], small->t.dim[j]))
                hits = 2;
        if (hits > 1) {
            *why = lg_txt(E, "%s stands there twice: say with indices which one is meant",
                          lg_dim_text(E->arena, small->t.dim[i]));
            return false;
        }
        if (!hits)
            return false;
        if (hit < last) {
            *why = "the dims stand in another order: use indices or `permute`";
            return false;
        }
        map[hit] = i;
        last = hit;
    }
    return !stretches_one(large, map);
}

/* A copy of v whose sizes are the numbers they were given as; v itself where none has a name. */
static const lg_value *in_numbers(lg_elab *E, const lg_value *v) {
    const lg_dim *dim[LG_MAX_RANK];
    bool same = true;
    for (int i = 0; i < v->t.rank; i++) {
        dim[i] = lg_dim_in_numbers(v->t.dim[i]);
        same = same && dim[i] == v->t.dim[i];
    }
    if (same)
        return v;
    lg_value *r = lg_v_copy(E, v);
    r->t.dim = lg_arena_dup(E->arena, dim, sizeof *dim * (size_t)v->t.rank);
    return r;
}

/* By name; where names do not say it, as after a static `if n == m`, by what they were given as. */
static bool align(lg_elab *E, const lg_value *small, const lg_value *large, int *map,
                  const char **why) {
    if (align_named(E, small, large, map, why))
        return true;
    const lg_value *s = in_numbers(E, small), *l = in_numbers(E, large);
    return (s != small || l != large) && align_named(E, s, l, map, why);
}

static void report_align(lg_elab *E, const lg_value *a, const lg_value *b, const char *why, lg_span at) {
    lg_diag *d = lg_err(E, "E0207", at, "%s and %s do not line up; nothing is broadcast here",
                        lg_v_type_text(E, a), lg_v_type_text(E, b));
    if (a->at.file && (a->at.beg != at.beg || a->at.end != at.end))
        lg_diag_label(d, a->at, "%s", lg_v_type_text(E, a));
    if (b->at.file && (b->at.beg != at.beg || b->at.end != at.end))
        lg_diag_label(d, b->at, "%s", lg_v_type_text(E, b));
    if (why)
        lg_diag_note(d, "%s", why);
    else if (!strcmp(lg_v_type_text(E, a), lg_v_type_text(E, b)))
        lg_diag_note(d, "dims of one name may be different dims: these come from different places");
    int64_t one;
    const lg_value *l = a->t.rank >= b->t.rank ? a : b;
    if (l->t.rank && lg_dim_is_num(l->t.dim[l->t.rank - 1], &one) && one == 1)
        lg_diag_help(d, "take the single column with `[..., 0]`, or write the formula with indices");
    else if (!why)
        lg_diag_help(d, "write it with indices: `let r[i, j] = a[i] ... b[j]`");
}

static lg_value *elem_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    return lg_elem(E, ctx, n, leaf, at);
}

static bool all_host(int n, lg_value *const *v) {
    for (int i = 0; i < n; i++)
        if (v[i]->kind != LG_V_NUM && (v[i]->kind != LG_V_TENSOR || !v[i]->t.host))
            return false;
    return true;
}

/* Arithmetic on integers that are known, as host values are, is known too: they may be sizes. */
static void fold_integers(lg_elab *E, lg_value *r, bool host, lg_span at) {
    r->t.host = host && r->kind == LG_V_TENSOR && !r->t.rank && !r->t.n_open;
    lg_node *x = LG_CHECKING(E) || r->kind != LG_V_TENSOR ? NULL : r->t.node;
    bool all = x && x->op->cls == LG_C_ELEM && !x->type[0].rank && x->n_in && x->n_in <= 4;
    const void *p[4];
    for (int i = 0; all && i < x->n_in; i++) {
        all = is_scalar_const(x->in[i]);
        p[i] = all ? x->in[i]->attr.tensor->data : NULL;
    }
    lg_dtype t = all ? x->in[x->n_in - 1]->type[0].dtype : LG_NO_DTYPE;
    if (!all || !x->op->elem[t])
        return;
    lg_tensor *y = lg_tensor_new(x->type[0].dtype, 0, NULL);
    x->op->elem[t](1, p, y->data);
    r->t.node = lg_g_const(E->g, y, at);
    lg_tensor_release(y);
}

lg_value *lg_elem(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at) {
    lg_value *v[4];
    bool vector = false;
    for (int i = 0; i < n; i++) {
        v[i] = lg_arrayed(E, lg_schedule_now(E, in[i]), at);
        if (v[i]->kind == LG_V_ERROR)
            return lg_v_error(E, at);
        if (v[i]->kind == LG_V_OPAQUE && !vector) {
            lg_value *r = lg_v_copy(E, v[i]);
            r->at = at;
            return r;
        }
        vector = vector || lg_v_is_vector(v[i]);
    }
    if (vector) {
        union { const lg_op *c; void *p; } u = {op};
        return lg_leafwise(E, elem_leaf, u.p, n, v, at);
    }
    for (int i = 0; i < n; i++)
        if (v[i]->kind != LG_V_NUM && v[i]->kind != LG_V_TENSOR) {
            lg_err(E, "E0208", v[i]->at.file ? v[i]->at : at, "`%s` wants numbers, got %s", op->name,
                   lg_v_type_text(E, v[i]));
            return lg_v_error(E, at);
        }
    bool host = all_host(n, v);
    /* an input that is always bool does not join the dtypes */
    int skip = op->flag_in ? __builtin_ctz(op->flag_in) : -1;
    lg_value *joined[4];
    int nj = 0;
    for (int i = 0; i < n; i++)
        if (i != skip)
            joined[nj++] = v[i];
    lg_dtype t = join_dtypes(E, nj, joined, op->name, at);
    if (t == LG_NO_DTYPE)
        return lg_v_error(E, at);
    bool weak = true;
    bool half = t == LG_BF16 || t == LG_F16 || t == LG_F8E4M3 || t == LG_F8E5M2;
    if (!op->elem[t] && !half) {
        bool want_float = op->elem[LG_F32] != NULL;
        if (want_float && nj && joined[0]->kind == LG_V_TENSOR && !joined[0]->t.weak) {
            lg_diag *d = lg_err(E, "E0206", at, "`%s` is not defined for %s", op->name, lg_dtype_name(t));
            lg_diag_help(d, op->elem[LG_BOOL] ? "it wants bool" : "write `float(...)` around it");
            return lg_v_error(E, at);
        }
        if (want_float) {
            t = E->frame->float_dtype;
        } else {
            lg_err(E, "E0206", at, "`%s` is not defined for %s", op->name, lg_dtype_name(t));
            return lg_v_error(E, at);
        }
    }
    const lg_value *large = NULL;
    for (int i = 0; i < n; i++) {
        lg_dtype want = i == skip ? LG_BOOL : t;
        if (v[i]->kind == LG_V_NUM) {
            weak = weak && true;
            v[i] = lg_to_tensor(E, v[i], want, at);
            if (v[i]->kind != LG_V_TENSOR)
                return lg_v_error(E, at);
        } else {
            if (i != skip)
                weak = weak && v[i]->t.weak;
            if (v[i]->t.dtype != want) {
                bool w = v[i]->t.weak;
                lg_span was = v[i]->at;
                if (i == skip) {
                    lg_err(E, "E0206", at, "the condition must be bool, got %s", lg_v_type_text(E, v[i]));
                    return lg_v_error(E, at);
                }
                v[i] = lg_cast(E, v[i], want, at);
                v[i]->t.weak = w;
                v[i]->at = was;
            }
        }
        if (!large || v[i]->t.rank > large->t.rank)
            large = v[i];
    }
    lg_index **open;
    int n_open = lg_open_union(E, n, v, &open);
    lg_node *node[4] = {0};
    for (int i = 0; i < n; i++) {
        int map[LG_MAX_RANK];
        const char *why = NULL;
        if (v[i]->t.rank && !align(E, v[i], large, map, &why)) {
            const lg_value *o = v[i] == v[0] ? large : v[0]->t.rank ? v[0] : large;
            report_align(E, i ? o : v[i], i ? v[i] : large, why, at);
            return lg_v_error(E, at);
        }
        for (int j = 0; !v[i]->t.rank && j < large->t.rank; j++)
            map[j] = -1;
        node[i] = node_by_map(E, v[i], n_open, open, large->t.rank, large->t.dim, map, at);
    }
    lg_value *r = lg_v_open(E, op->out_dtype == LG_NO_DTYPE ? t : op->out_dtype, n_open, open,
                            large->t.rank, large->t.dim, NULL, at);
    if (!LG_CHECKING(E))
        r->t.node = lg_g_elem(E->g, op, n, node, at);
    r->t.weak = weak && r->t.rank == 0;
    if (lg_dtype_is_int(t) && lg_dtype_is_int(r->t.dtype))
        fold_integers(E, r, host, at);
    return r;
}

lg_value *lg_elem_named(lg_elab *E, const char *op, int n, lg_value *const *in, lg_span at) {
    const lg_op *o = lg_op_find(op);
    assert(o && o->cls == LG_C_ELEM);
    return lg_elem(E, o, n, in, at);
}

/* ---- records ---- */

lg_value *lg_leafwise(lg_elab *E, lg_leaf_fn fn, void *ctx, int n, lg_value *const *v, lg_span at) {
    const lg_value *like = NULL;
    lg_leaf *leaf[8];
    int count = 0;
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_RECORD || v[i]->kind == LG_V_MODEL || v[i]->kind == LG_V_LIST) {
            int k = lg_v_leaves(E, v[i], &leaf[i]);
            if (v[i]->kind == LG_V_LIST && k == 1 && !*leaf[i][0].path) /* numbers, and no array */
                return lg_list_tensor(E, v[i], LG_NO_DTYPE, at);
            if (!like) {
                like = v[i];
                count = k;
                continue;
            }
            lg_leaf *first = NULL;
            int kf = lg_v_leaves(E, like, &first);
            for (int j = 0; j < (k > kf ? k : kf); j++)
                if (j >= k || j >= kf || strcmp(first[j].path, leaf[i][j].path)) {
                    const char *have = j < kf ? first[j].path : leaf[i][j].path;
                    lg_err(E, "E0312", at, "the records have different paths: `%s` stands in only one of them",
                           have);
                    return lg_v_error(E, at);
                }
        }
    lg_value **out = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
    for (int j = 0; j < count; j++) {
        lg_value *arg[8];
        for (int i = 0; i < n; i++) {
            bool vec = v[i]->kind == LG_V_RECORD || v[i]->kind == LG_V_MODEL || v[i]->kind == LG_V_LIST;
            if (!vec && v[i]->kind == LG_V_TENSOR && v[i]->t.rank) {
                lg_err(E, "E0312", at, "a record meets %s: only scalars meet every leaf",
                       lg_v_type_text(E, v[i]));
                return lg_v_error(E, at);
            }
            arg[i] = vec ? lg_arrayed(E, leaf[i][j].value, at) : v[i];
        }
        out[j] = fn(E, ctx, n, arg, at);
    }
    return lg_v_rebuild(E, like, out);
}

/* ---- operators ---- */

static lg_value *static_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at);

static bool is_weak_int(const lg_value *v) {
    return v->kind == LG_V_NUM ? v->num.is_int && !v->num.is_bool
                               : v->kind == LG_V_TENSOR && v->t.weak && lg_dtype_is_int(v->t.dtype);
}

/* Integers that were written take the dtype around them, chosen by an array too. */
lg_value *lg_select(lg_elab *E, lg_value *c, lg_value *a, lg_value *b, lg_span at) {
    lg_value *in[3] = {c, a, b};
    lg_value *r = lg_elem_named(E, "where", 3, in, at);
    if (r->kind == LG_V_TENSOR && is_weak_int(a) && is_weak_int(b))
        r->t.weak = true;
    return r;
}

static const struct {
    const char *sign, *op;
} operators[] = {{"+", "add"}, {"-", "sub"},       {"*", "mul"}, {"/", "div"}, {"//", "floordiv"},
                 {"%", "mod"}, {"^", "pow"},       {"==", "eq"}, {"!=", "ne"}, {"<", "lt"},
                 {"<=", "le"}, {">", "gt"},        {">=", "ge"}, {"and", "and"}, {"or", "or"}};

/* Of integers, exactly; NULL after reporting what i64 cannot hold. */
static lg_value *exact_integer(lg_elab *E, char op, int64_t a, int64_t b, lg_span at) {
    int64_t z = 1;
    bool over = op == '+'   ? __builtin_add_overflow(a, b, &z)
                : op == '-' ? __builtin_sub_overflow(a, b, &z)
                : op == '*' ? __builtin_mul_overflow(a, b, &z)
                            : false;
    for (bool more = op == '^' && b > 0; more && !over; more = b > 0) { /* squares, then products */
        over = (b & 1) && __builtin_mul_overflow(z, a, &z);
        b >>= 1;
        over = over || (b > 0 && __builtin_mul_overflow(a, a, &a));
    }
    if (!over)
        return lg_v_int(E, z, at);
    lg_diag *d = lg_err(E, "E0218", at, "this integer does not fit in 64 bits");
    lg_diag_help(d, "of real numbers, as in `2.0^64`, it is rounded instead");
    return NULL;
}

/* Exact arithmetic on static numbers. Sizes known only in names stay in names. */
static lg_value *static_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at) {
    bool ints = (a->num.is_int || a->num.is_bool) && (b->num.is_int || b->num.is_bool);
    char o = op[0];
    if (!strcmp(op, "and") || !strcmp(op, "or")) {
        if (!a->num.is_bool || !b->num.is_bool) {
            lg_err(E, "E0206", at, "`%s` wants bools", op);
            return lg_v_error(E, at);
        }
        bool is_and = o == 'a';
        if ((a->num.known && (a->num.i != 0) != is_and) || (b->num.known && (b->num.i != 0) != is_and))
            return lg_v_bool(E, !is_and, at);
        return a->num.known && b->num.known ? lg_v_bool(E, is_and, at) : lg_v_unknown(E, false, true, at);
    }
    bool compare = strchr("=!<>", o) != NULL;
    if (!a->num.known || !b->num.known) {
        if (compare && a->num.dim && b->num.dim && lg_dim_equal(a->num.dim, b->num.dim))
            return lg_v_bool(E, !strcmp(op, "==") || !strcmp(op, "<=") || !strcmp(op, ">="), at);
        if (compare)
            return lg_v_unknown(E, false, true, at);
    }
    if (compare) {
        double x = a->num.d, y = b->num.d;
        bool eq = ints ? a->num.i == b->num.i : x <= y && x >= y; /* NaN equals nothing */
        bool lt = ints ? a->num.i < b->num.i : x < y;
        bool gt = ints ? a->num.i > b->num.i : x > y;
        return lg_v_bool(E, o == '=' ? eq : o == '!' ? !eq : o == '<' ? lt || (op[1] && eq) : gt || (op[1] && eq), at);
    }
    /* in names */
    lg_dim *da = a->num.dim ? a->num.dim : a->num.known && a->num.is_int ? lg_dim_num(E->dims, a->num.i) : NULL;
    lg_dim *db = b->num.dim ? b->num.dim : b->num.known && b->num.is_int ? lg_dim_num(E->dims, b->num.i) : NULL;
    lg_dim *d = NULL;
    if (da && db && (a->num.dim || b->num.dim)) {
        if (o == '+') d = lg_dim_add(E->dims, da, db);
        else if (o == '-') d = lg_dim_sub(E->dims, da, db);
        else if (o == '*') d = lg_dim_mul(E->dims, da, db);
        else if (!strcmp(op, "//")) d = lg_dim_fn(E->dims, lg_intern("//"), da, db);
        else if (o == '%') d = lg_dim_fn(E->dims, lg_intern("%"), da, db);
        else if (o == '/') {
            int64_t x, y;
            bool exact = lg_dim_value(da, &x) && lg_dim_value(db, &y) ? y && x % y == 0 : true;
            d = exact ? lg_dim_div(E->dims, da, db) : NULL;
        }
    }
    if (!a->num.known || !b->num.known) {
        bool is_int = ints && o != '/' && o != '^' ;
        lg_value *r = lg_v_unknown(E, is_int || !strcmp(op, "//") || d, false, at);
        if (o == '/' && !strcmp(op, "/")) r->num.is_int = false;
        r->num.dim = d;
        return r;
    }
    lg_value *r = NULL;
    double x = a->num.d, y = b->num.d;
    if (o == '+' || o == '-' || (o == '*' && !op[1])) {
        if (ints && !(r = exact_integer(E, o, a->num.i, b->num.i, at)))
            return lg_v_error(E, at);
        if (!r)
            r = lg_v_real(E, o == '+' ? x + y : o == '-' ? x - y : x * y, at);
        /* keep exact ratios exact */
        if (!ints && a->num.den > 0 && b->num.den > 0 && llabs(a->num.num) < 1000000 &&
            llabs(b->num.num) < 1000000 && a->num.den < 1000000 && b->num.den < 1000000) {
            int64_t p = o == '*' ? a->num.num * b->num.num
                                 : a->num.num * b->num.den + (o == '+' ? 1 : -1) * b->num.num * a->num.den;
            int64_t q = a->num.den * b->num.den;
            bool whole = p % q == 0; /* may serve as a size, but an array of it is of reals */
            r->num.num = whole ? p / q : p;
            r->num.den = whole ? 1 : q;
            r->num.d = (double)p / (double)q;
        }
    } else if (!strcmp(op, "//") || o == '%') {
        if (ints && b->num.i == -1) { /* -2^63 has no opposite */
            r = o == '/' ? exact_integer(E, '-', 0, a->num.i, at) : lg_v_int(E, 0, at);
            if (!r)
                return lg_v_error(E, at);
        } else if (y < 0 || y > 0 || isnan(y)) {
            if (ints) {
                int64_t iq = a->num.i / b->num.i;
                if (a->num.i % b->num.i != 0 && (a->num.i < 0) != (b->num.i < 0))
                    iq--;
                r = lg_v_int(E, o == '/' ? iq : a->num.i - iq * b->num.i, at);
            } else {
                r = lg_v_real(E, o == '/' ? lg_floordiv_f64(x, y) : lg_mod_f64(x, y), at);
            }
        } else {
            lg_err(E, "E0214", at, "division by zero");
            return lg_v_error(E, at);
        }
    } else if (o == '/') {
        if (ints && b->num.i == 0) {
            lg_err(E, "E0214", at, "division by zero");
            return lg_v_error(E, at);
        }
        if (ints && b->num.i == -1) {
            r = exact_integer(E, '-', 0, a->num.i, at);
            if (!r)
                return lg_v_error(E, at);
        } else if (ints && a->num.i % b->num.i == 0) {
            r = lg_v_int(E, a->num.i / b->num.i, at);
        } else {
            r = lg_v_real(E, x / y, at);
            if (ints) {
                r->num.num = b->num.i < 0 ? -a->num.i : a->num.i;
                r->num.den = b->num.i < 0 ? -b->num.i : b->num.i;
            }
        }
    } else { /* ^ */
        bool whole = ints && b->num.i >= 0;
        r = whole ? exact_integer(E, o, a->num.i, b->num.i, at) : lg_v_real(E, pow(x, y), at);
        if (!r)
            return lg_v_error(E, at);
    }
    r->num.dim = d;
    return r;
}

/* `x in lo..hi`, `x in [a, b]` */
static lg_value *membership(lg_elab *E, lg_value *x, lg_value *set, lg_span at) {
    if (set->kind == LG_V_RANGE) {
        lg_value *lo = lg_binary(E, "<=", set->range.lo, x, at);
        bool whole = set->range.hi->kind == LG_V_NUM && set->range.hi->num.is_int;
        lg_value *hi = lg_binary(E, whole ? "<" : "<=", x, set->range.hi, at);
        return lg_binary(E, "and", lo, hi, at);
    }
    if (set->kind == LG_V_LIST) {
        lg_value *r = lg_v_bool(E, false, at);
        for (int i = 0; i < set->list.n; i++)
            r = lg_binary(E, "or", r, lg_binary(E, "==", x, set->list.at[i], at), at);
        return r;
    }
    if (set->kind == LG_V_RECORD && x->kind == LG_V_STR)
        return lg_v_bool(E, lg_v_field(set, lg_intern(x->str)) != NULL, at);
    if (set->kind != LG_V_ERROR && x->kind != LG_V_ERROR)
        lg_err(E, "E0208", at, "`in` wants a range or a list, got %s", lg_v_type_text(E, set));
    return lg_v_error(E, at);
}

static lg_value *binary_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return lg_binary(E, ctx, leaf[0], leaf[1], at);
}

/* A vector whose leaves are known. */
static bool is_structure(const lg_value *v) {
    return v->kind != LG_V_OPAQUE && lg_v_is_vector(v);
}

lg_value *lg_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at) {
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (lg_is_schedule(a) || lg_is_schedule(b)) {
        a = lg_schedule_now(E, a);
        b = lg_schedule_now(E, b);
        if (lg_is_schedule(a) || lg_is_schedule(b))
            return lg_schedule_binary(E, op, a, b, at);
    }
    if (a->weight || b->weight) {
        lg_value *w = a->weight ? a->weight : b->weight;
        const lg_value *other = a->weight ? b : a;
        bool scalar = other->kind == LG_V_NUM || (other->kind == LG_V_TENSOR && !other->t.rank);
        if (!scalar || (a->weight && b->weight) || (strcmp(op, "*") && (strcmp(op, "/") || !a->weight))) {
            lg_diag *d = lg_err(E, "E0431", at, "a weighted loss can only be scaled by a number here");
            lg_diag_help(d, "write several `loss` lines: each is divided by its own weights");
            return lg_v_error(E, at);
        }
        lg_value *pa = lg_v_copy(E, a), *pb = lg_v_copy(E, b);
        pa->weight = pb->weight = NULL;
        lg_value *r = lg_v_copy(E, lg_binary(E, op, pa, pb, at));
        r->weight = w;
        return r;
    }
    if (!strcmp(op, "@"))
        return lg_matmul(E, lg_arrayed(E, a, at), lg_arrayed(E, b, at), at);
    if (!strcmp(op, "in"))
        return membership(E, a, b, at);
    if (!strcmp(op, "..")) {
        lg_value *r = lg_v_new(E, LG_V_RANGE, at);
        r->range.lo = a;
        r->range.hi = b;
        return r;
    }
    if (a->kind == LG_V_STR && b->kind == LG_V_STR) {
        if (!strcmp(op, "==") || !strcmp(op, "!=")) {
            if (!a->str || !b->str)
                return lg_v_unknown(E, false, true, at);
            return lg_v_bool(E, !strcmp(a->str, b->str) == (op[0] == '='), at);
        }
        if (!strcmp(op, "+"))
            return lg_v_str(E, a->str && b->str ? lg_txt(E, "%s%s", a->str, b->str) : NULL, at);
    }
    if (a->kind == LG_V_NUM && b->kind == LG_V_NUM)
        return lg_num_made(static_binary(E, op, a, b, at), op, a, b);
    a = lg_arrayed(E, a, at);
    b = lg_arrayed(E, b, at);
    if (is_structure(a) || is_structure(b)) {
        lg_value *two[2] = {a, b};
        union {
            const char *c;
            void *p;
        } u = {op};
        return lg_leafwise(E, binary_leaf, u.p, 2, two, at);
    }
    bool whole = false; /* two integers are divided */
    if (!strcmp(op, "/")) { /* true division: integers give float */
        lg_value **side[2] = {&a, &b};
        bool all_int = true;
        for (int i = 0; i < 2; i++)
            if ((*side[i])->kind == LG_V_TENSOR ? lg_dtype_is_float((*side[i])->t.dtype)
                                                : (*side[i])->kind != LG_V_NUM || !(*side[i])->num.is_int)
                all_int = false;
        whole = all_int && (b->kind != LG_V_NUM || !b->num.known || b->num.i);
        for (int i = 0; all_int && i < 2; i++)
            if ((*side[i])->kind == LG_V_TENSOR) {
                bool weak = (*side[i])->t.weak;
                *side[i] = lg_cast(E, *side[i], weak ? LG_F64 : E->frame->float_dtype, at);
                (*side[i])->t.weak = weak;
            }
    }
    if (!strcmp(op, "/") && whole) {
        lg_value *two[2] = {a, b}, *r = lg_elem_named(E, "div", 2, two, at);
        fold_integers(E, r, all_host(2, two), at);
        return r;
    }
    bool divides = op[0] == '/' || op[0] == '%';
    if (divides && b->kind == LG_V_NUM && b->num.known && b->num.is_int && b->num.i == 0) {
        lg_err(E, "E0214", at, "division by zero");
        return lg_v_error(E, at);
    }
    if (!strcmp(op, "^") && b->kind == LG_V_NUM)
        b = lg_num_fixed(E, b); /* which power it is decides what is computed */
    if (!strcmp(op, "^") && b->kind == LG_V_NUM && b->num.known && b->num.is_int && a->kind != LG_V_NUM) {
        if (b->num.i < 0 && a->kind == LG_V_TENSOR && lg_dtype_is_int(a->t.dtype)) {
            lg_diag *d = lg_err(E, "E0214", at, "an integer to a negative power");
            lg_diag_help(d, "write `float(...)` around what is raised");
            return lg_v_error(E, at);
        }
        /* small integer powers are products: exact, and they have plain derivatives */
        if (b->num.i == 2)
            return lg_elem_named(E, "square", 1, &a, at);
        if (b->num.i == 1)
            return a;
    }
    for (size_t i = 0; i < LG_COUNT(operators); i++)
        if (!strcmp(op, operators[i].sign)) {
            lg_value *in[2] = {a, b}, *r = lg_elem_named(E, operators[i].op, 2, in, at);
            if ((divides || op[0] == '^') && r->kind == LG_V_TENSOR && lg_dtype_is_int(r->t.dtype))
                lg_right_side(E, op, b, at);
            return r;
        }
    lg_err(E, "E0208", at, "`%s` is not defined here", op);
    return lg_v_error(E, at);
}

lg_value *lg_unary(lg_elab *E, const char *op, lg_value *a, lg_span at) {
    if (a->kind == LG_V_ERROR)
        return a;
    if (lg_is_schedule(a) && op[0] == '-')
        return lg_binary(E, "-", lg_v_int(E, 0, at), a, at);
    if (a->kind == LG_V_NUM) {
        if (op[0] == 'n') {
            if (!a->num.is_bool) {
                lg_err(E, "E0206", at, "`not` wants a bool");
                return lg_v_error(E, at);
            }
            return a->num.known ? lg_v_bool(E, !a->num.i, at) : lg_v_unknown(E, false, true, at);
        }
        bool zero = a->num.known && !a->num.is_int && fpclassify(a->num.d) == FP_ZERO;
        lg_value *none = lg_v_int(E, 0, at);
        if (zero) /* -0.0: 0 - x would lose its sign */
            return lg_num_made(lg_v_real(E, -a->num.d, at), "-", none, a);
        return lg_num_made(static_binary(E, "-", none, a, at), "-", none, a);
    }
    return lg_elem_named(E, op[0] == 'n' ? "not" : "neg", 1, &a, at);
}

/* ---- shapes ---- */

lg_value *lg_fill(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, double x, lg_span at) {
    lg_node *node = NULL;
    if (!LG_CHECKING(E))
        node = lg_g_fill(E->g, type_of(E, t, 0, NULL, rank, dim, at), x, at);
    return lg_v_tensor(E, t, rank, dim, node, at);
}

lg_value *lg_reshape(lg_elab *E, lg_value *v, int rank, lg_dim *const *dim, lg_span at) {
    lg_value *r = lg_v_open(E, v->t.dtype, v->t.n_open, v->t.open, rank, dim, NULL, at);
    if (LG_CHECKING(E))
        return r;
    lg_type ty = type_of(E, v->t.dtype, v->t.n_open, v->t.open, rank, dim, at);
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
    lg_dtype t = join_dtypes(E, 2, two, "`@`", at);
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
        nb = node_by_map(E, b, 0, NULL, 2, db + lead, mb + lead, at);
    } else {
        na = node_by_map(E, a, n_open, open, lead + 2, da, ma, at);
        nb = node_by_map(E, b, n_open, open, lead + 2, db, mb, at);
    }
    y = lg_g_dot(E->g, lg_g_cast(E->g, na, t, at), lg_g_cast(E->g, nb, t, at), at);
    lg_type ty = type_of(E, t, n_open, open, ro, od, at);
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

/* ---- guards: strong zeros of `if` and `where` ---- */

static lg_value *guard_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    lg_value *c = ctx;
    lg_value *v = leaf[0];
    if (v->kind != LG_V_TENSOR || !lg_dtype_is_float(v->t.dtype))
        return v;
    /* The condition meets the value lane by lane; its own dims are those of the selection, and a
     * value inside the branch that is indexed has them open. A value with other dims is left. */
    lg_value *in[2] = {v, c};
    if (c->t.rank) {
        int map[LG_MAX_RANK];
        const char *why;
        if (c->t.rank != v->t.rank || !align(E, c, v, map, &why))
            return v;
    }
    lg_value *r = lg_elem_named(E, "guard", 2, in, at);
    if (r->kind == LG_V_TENSOR) {
        r->at = v->at;
        r->t.weak = v->t.weak;
    }
    return r;
}

lg_value *lg_guarded(lg_elab *E, lg_value *v) {
    if (!E->guard || LG_CHECKING(E))
        return v;
    if (v->kind == LG_V_TENSOR)
        return guard_leaf(E, E->guard, 1, &v, v->at);
    if (v->kind == LG_V_RECORD)
        return lg_leafwise(E, guard_leaf, E->guard, 1, &v, v->at);
    return v;
}
