/* align.c: operands that meet by the names of their dims, elementwise ops over them, and the guards
 * of `if` and `where` around what stands in a branch. Nothing is broadcast by place. Not for the
 * meaning of operators (arith.c). */
#include "compiler/mid/emit.h"
#include <stdlib.h>
#include <string.h>

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

/* Is a written 1 the dim that small lacks? A column and a row are not the same: [N] against [N, 1].
 */
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
bool lg_emit_align(lg_elab *E, const lg_value *small, const lg_value *large, int *map,
                   const char **why) {
    if (align_named(E, small, large, map, why))
        return true;
    const lg_value *s = in_numbers(E, small), *l = in_numbers(E, large);
    return (s != small || l != large) && align_named(E, s, l, map, why);
}

static void report_align(lg_elab *E, const lg_value *a, const lg_value *b, const char *why,
                         lg_span at) {
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
        lg_diag_help(d,
                     "take the single column with `[..., 0]`, or write the formula with indices");
    else if (!why)
        lg_diag_help(d, "write it with indices: `let r[i, j] = a[i] ... b[j]`");
}

static lg_value *elem_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    return lg_elem(E, ctx, n, leaf, at);
}

bool lg_emit_all_host(int n, lg_value *const *v) {
    for (int i = 0; i < n; i++)
        if (v[i]->kind != LG_V_NUM && (v[i]->kind != LG_V_TENSOR || !v[i]->t.host))
            return false;
    return true;
}

/* Arithmetic on integers that are known, as host values are, is known too: they may be sizes. */
void lg_emit_fold_integers(lg_elab *E, lg_value *r, bool host, lg_span at) {
    r->t.host = host && r->kind == LG_V_TENSOR && !r->t.rank && !r->t.n_open;
    lg_node *x = LG_CHECKING(E) || r->kind != LG_V_TENSOR ? NULL : r->t.node;
    bool all = x && x->op->cls == LG_C_ELEM && !x->type[0].rank && x->n_in && x->n_in <= 4;
    const void *p[4];
    for (int i = 0; all && i < x->n_in; i++) {
        all = lg_emit_is_number(x->in[i]);
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
    lg_value *v[4] = {0};
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
        union {
            const lg_op *c;
            void *p;
        } u = {op};
        return lg_leafwise(E, elem_leaf, u.p, n, v, at);
    }
    for (int i = 0; i < n; i++)
        if (v[i]->kind != LG_V_NUM && v[i]->kind != LG_V_TENSOR) {
            lg_err(E, "E0208", v[i]->at.file ? v[i]->at : at, "`%s` wants numbers, got %s",
                   op->name, lg_v_type_text(E, v[i]));
            return lg_v_error(E, at);
        }
    bool host = lg_emit_all_host(n, v);
    /* an input that is always bool does not join the dtypes */
    int skip = op->flag_in ? __builtin_ctz(op->flag_in) : -1;
    lg_value *joined[4];
    int nj = 0;
    for (int i = 0; i < n; i++)
        if (i != skip)
            joined[nj++] = v[i];
    lg_dtype t = lg_emit_join_dtypes(E, nj, joined, op->name, at);
    if (t == LG_NO_DTYPE)
        return lg_v_error(E, at);
    bool weak = true;
    bool half = t == LG_BF16 || t == LG_F16 || t == LG_F8E4M3 || t == LG_F8E5M2;
    if (!op->elem[t] && !half) {
        bool want_float = op->elem[LG_F32] != NULL;
        if (want_float && nj && joined[0]->kind == LG_V_TENSOR && !joined[0]->t.weak) {
            lg_diag *d =
                lg_err(E, "E0206", at, "`%s` is not defined for %s", op->name, lg_dtype_name(t));
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
                    lg_err(E, "E0206", at, "the condition must be bool, got %s",
                           lg_v_type_text(E, v[i]));
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
        if (v[i]->t.rank && !lg_emit_align(E, v[i], large, map, &why)) {
            const lg_value *o = v[i] == v[0] ? large : v[0]->t.rank ? v[0] : large;
            report_align(E, i ? o : v[i], i ? v[i] : large, why, at);
            return lg_v_error(E, at);
        }
        for (int j = 0; !v[i]->t.rank && j < large->t.rank; j++)
            map[j] = -1;
        node[i] = lg_emit_by_map(E, v[i], n_open, open, large->t.rank, large->t.dim, map, at);
    }
    lg_value *r = lg_v_open(E, op->out_dtype == LG_NO_DTYPE ? t : op->out_dtype, n_open, open,
                            large->t.rank, large->t.dim, NULL, at);
    if (!LG_CHECKING(E))
        r->t.node = lg_g_elem(E->g, op, n, node, at);
    r->t.weak = weak && r->t.rank == 0;
    if (lg_dtype_is_int(t) && lg_dtype_is_int(r->t.dtype))
        lg_emit_fold_integers(E, r, host, at);
    return r;
}

lg_value *lg_elem_named(lg_elab *E, const char *op, int n, lg_value *const *in, lg_span at) {
    const lg_op *o = lg_op_find(op);
    assert(o && o->cls == LG_C_ELEM);
    return lg_elem(E, o, n, in, at);
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
        if (c->t.rank != v->t.rank || !lg_emit_align(E, c, v, map, &why))
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
