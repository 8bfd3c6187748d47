/* builtin_shape.c: moves between shapes: reshape, squeeze, unsqueeze, permute, transpose, concat,
 * stack, repeat, tile, flip, roll, pad. All but reshape act leaf by leaf on records. Not for
 * subscripts (index.c). */
#include "compiler/mid/builtin.h"
#include <string.h>

/* ---- reshape ---- */

static lg_dim *product(lg_elab *E, int n, lg_dim *const *dim, int but) {
    lg_dim *p = lg_dim_num(E->dims, 1);
    for (int i = 0; i < n; i++)
        if (i != but)
            p = lg_dim_mul(E->dims, p, dim[i]);
    return p;
}

/* d with another prime for each name: two counts that then differ are different in names too. False
 * when something in it is no polynomial of names, or a size that has no name (`_`). */
static bool sampled(lg_elab *E, const lg_dim *const *var, size_t n, const lg_dim *d, int64_t *out) {
    static const int64_t primes[] = {101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157};
    const lg_dim *to[LG_COUNT(primes)];
    if (n > LG_COUNT(primes))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(lg_dim_text(E->arena, var[i]), "_"))
            return false;
        to[i] = lg_dim_num(E->dims, primes[i]);
    }
    const lg_dim *s = lg_dim_subst(E->dims, d, n, var, to);
    return s && lg_dim_is_num(s, out);
}

/* In a body, whose names are rigid: can the two numbers of elements never be proved equal? */
static bool differ_in_names(lg_elab *E, const lg_dim *a, const lg_dim *b) {
    enum { MOST = 24 };
    const lg_dim *var[MOST];
    size_t n = lg_dim_vars(a, var, MOST / 2);
    const lg_dim *more[MOST];
    size_t k = lg_dim_vars(b, more, MOST / 2);
    for (size_t i = 0; i < k; i++) {
        bool seen = false;
        for (size_t j = 0; j < n; j++)
            seen = seen || var[j] == more[i];
        if (!seen && n < MOST)
            var[n++] = more[i];
    }
    int64_t x, y;
    return !E->host && sampled(E, var, n, a, &x) && sampled(E, var, n, b, &y) && x != y;
}

static lg_value *reshape(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "shape"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    lg_value *x = lg_as_tensor(E, b->name, v[0], at);
    lg_dim *dim[LG_MAX_RANK];
    int minus, rank = x ? lg_shape_arg(E, v[1], dim, &minus, at) : -1;
    if (rank < 0)
        return lg_v_error(E, at);
    lg_dim *have = product(E, x->t.rank, x->t.dim, -1), *want = product(E, rank, dim, minus);
    int64_t h, w;
    bool known = lg_dim_value(have, &h) && lg_dim_value(want, &w);
    if (minus >= 0) {
        dim[minus] = known && w == 0 ? NULL : lg_dim_div(E->dims, have, want);
        if (!dim[minus]) {
            lg_err(E, "E0215", at, "%s elements do not divide into rows of %s",
                   lg_dim_text(E->arena, have), lg_dim_text(E->arena, want));
            return lg_v_error(E, at);
        }
    } else if (known ? h != w : differ_in_names(E, have, want)) {
        lg_diag *d = lg_err(E, "E0215", at, "reshape keeps the number of elements: %s is not %s",
                            lg_dim_text(E->arena, have), lg_dim_text(E->arena, want));
        lg_diag_note(d, "the array is %s", lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    lg_value *r = lg_reshape(E, x, rank, dim, at);
    if (r->kind == LG_V_TENSOR)
        r->t.bound = x->t.bound;
    return r;
}

/* ---- permute, transpose ---- */

static bool is_permutation(const int *perm, int n) {
    unsigned seen = 0;
    for (int i = 0; i < n; i++)
        if (perm[i] < 0 || perm[i] >= n || seen >> perm[i] & 1)
            return false;
        else
            seen |= 1u << perm[i];
    return true;
}

static lg_value *permute_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const lg_value *order = ctx;
    lg_value *x = lg_as_tensor(E, "permute", leaf[0], at);
    if (!x)
        return lg_v_error(E, at);
    int perm[LG_MAX_RANK];
    bool ok = order->list.n == x->t.rank;
    for (int i = 0; ok && i < x->t.rank; i++)
        perm[i] = lg_axis(E, x, order->list.at[i], at);
    if (!ok || !is_permutation(perm, x->t.rank)) {
        lg_err(E, "E0222", at, "the order must name each of the %d axes of %s once", x->t.rank,
               lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    return lg_permute(E, x, perm, at);
}

static lg_value *each_leaf(lg_elab *E, lg_leaf_fn fn, void *ctx, lg_value *x, lg_span at) {
    if (x->kind == LG_V_ERROR || x->kind == LG_V_OPAQUE)
        return x;
    return lg_v_is_vector(x) ? lg_leafwise(E, fn, ctx, 1, &x, at) : fn(E, ctx, 1, &x, at);
}

static lg_value *permute(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "order"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    if (v[1]->kind != LG_V_LIST) {
        lg_err(E, "E0220", v[1]->at, "`permute` wants a list of axes, as in permute(x, [0, 2, 1])");
        return lg_v_error(E, at);
    }
    return each_leaf(E, permute_leaf, v[1], v[0], at);
}

typedef struct {
    lg_value *a, *b;
} pair_of_axes;

static lg_value *transpose_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const pair_of_axes *p = ctx;
    lg_value *x = lg_as_tensor(E, "transpose", leaf[0], at);
    if (!x)
        return lg_v_error(E, at);
    if (x->t.rank < 2) {
        lg_err(E, "E0222", at, "transpose wants at least two axes, got %s", lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    int i = p->a ? lg_axis(E, x, p->a, at) : x->t.rank - 2;
    int j = p->b ? lg_axis(E, x, p->b, at) : x->t.rank - 1;
    if (i < 0 || j < 0)
        return lg_v_error(E, at);
    int perm[LG_MAX_RANK];
    for (int k = 0; k < x->t.rank; k++)
        perm[k] = k == i ? j : k == j ? i : k;
    return lg_permute(E, x, perm, at);
}

static lg_value *transpose(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "i", "j"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 1, v))
        return lg_v_error(E, at);
    if (!v[1] != !v[2]) {
        lg_err(E, "E0220", at, "`transpose` takes two axes or none");
        return lg_v_error(E, at);
    }
    pair_of_axes p = {v[1], v[2]};
    return each_leaf(E, transpose_leaf, &p, v[0], at);
}

/* ---- concat, stack ---- */

typedef struct {
    const char *fn;
    lg_value *axis; /* NULL: 0 */
} joining;

/* All with the dtype of the first that is not weak. */
static bool same_dtype(lg_elab *E, int n, lg_value **v, const char *fn, lg_span at) {
    lg_dtype t = LG_NO_DTYPE;
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_TENSOR && !v[i]->t.weak && t == LG_NO_DTYPE)
            t = v[i]->t.dtype;
    for (int i = 0; i < n; i++) {
        bool weak = v[i]->kind != LG_V_TENSOR || v[i]->t.weak;
        if (lg_list_is_array(v[i]))
            v[i] = lg_list_tensor(E, v[i], t, at);
        else if (v[i]->kind == LG_V_NUM)
            v[i] = lg_to_tensor(E, v[i], t, at);
        if (v[i]->kind == LG_V_TENSOR && weak && t != LG_NO_DTYPE && v[i]->t.dtype != t)
            v[i] = lg_cast(E, v[i], t, at);
        v[i] = lg_as_tensor(E, fn, v[i], at);
        if (!v[i])
            return false;
    }
    return true;
}

static lg_value *concat_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    const joining *j = ctx;
    lg_value **v = LG_NEW_N(E->arena, lg_value *, n);
    memcpy(v, leaf, sizeof *v * (size_t)n);
    if (!same_dtype(E, n, v, j->fn, at))
        return lg_v_error(E, at);
    if (!v[0]->t.rank) {
        lg_diag *d = lg_err(E, "E0216", at, "scalars have no axis to join along");
        lg_diag_help(d, "`stack` gives them one");
        return lg_v_error(E, at);
    }
    int axis = j->axis ? lg_axis(E, v[0], j->axis, at) : 0;
    return axis < 0 ? lg_v_error(E, at) : lg_concat(E, n, v, axis, at);
}

static lg_value *stack_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    const joining *j = ctx;
    lg_value **v = LG_NEW_N(E->arena, lg_value *, n);
    memcpy(v, leaf, sizeof *v * (size_t)n);
    if (!same_dtype(E, n, v, j->fn, at))
        return lg_v_error(E, at);
    int rank = v[0]->t.rank;
    int64_t axis = j->axis ? lg_int_arg(E, j->axis, 0, j->fn, "axis") : 0;
    axis += axis < 0 ? rank + 1 : 0;
    if (rank == LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    if (axis < 0 || axis > rank) {
        lg_err(E, "E0222", at, "a new axis among %d cannot stand at %lld", rank, (long long)axis);
        return lg_v_error(E, at);
    }
    for (int i = 0; i < n; i++) {
        lg_dim *dim[LG_MAX_RANK];
        if (v[i]->t.rank != rank) {
            lg_err(E, "E0216", at, "cannot stack %s and %s", lg_v_type_text(E, v[0]),
                   lg_v_type_text(E, v[i]));
            return lg_v_error(E, at);
        }
        for (int d = 0; d <= rank; d++)
            dim[d] = d == axis ? lg_dim_num(E->dims, 1) : v[i]->t.dim[d - (d > axis)];
        v[i] = lg_reshape(E, v[i], rank + 1, dim, at);
    }
    return lg_concat(E, n, v, (int)axis, at);
}

/* Leaf by leaf over any number of parts (lg_leafwise takes few). */
static lg_value *join(lg_elab *E, lg_leaf_fn fn, joining *j, int n, lg_value *const *v,
                      lg_span at) {
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_ERROR)
            return v[i];
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_OPAQUE)
            return lg_v_stacked(E, v[i], -1, NULL, at);
    if (!lg_v_is_vector(v[0]))
        return fn(E, j, n, v, at);
    lg_leaf **leaf = LG_NEW_N(E->arena, lg_leaf *, n);
    int count = lg_v_leaves(E, v[0], &leaf[0]);
    for (int i = 1; i < n; i++) {
        bool same = lg_v_is_vector(v[i]) && lg_v_leaves(E, v[i], &leaf[i]) == count;
        for (int k = 0; same && k < count; k++)
            same = !strcmp(leaf[0][k].path, leaf[i][k].path);
        if (!same) {
            lg_err(E, "E0312", at, "`%s` joins records of equal paths, got %s and %s", j->fn,
                   lg_v_type_text(E, v[0]), lg_v_type_text(E, v[i]));
            return lg_v_error(E, at);
        }
    }
    lg_value **out = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
    lg_value **row = LG_NEW_N(E->arena, lg_value *, n);
    for (int k = 0; k < count; k++) {
        for (int i = 0; i < n; i++)
            row[i] = leaf[i][k].value;
        out[k] = fn(E, j, n, row, at);
    }
    return lg_v_rebuild(E, v[0], out);
}

static lg_value *join_call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at,
                           lg_leaf_fn fn) {
    static const char *const names[] = {"parts", "axis"};
    lg_value *v[2];
    if (!lg_args(E, b->name, n, arg, at, 2, names, 1, v))
        return lg_v_error(E, at);
    if (v[0]->kind == LG_V_OPAQUE)
        return v[0];
    joining j = {b->name, v[1]};
    if (v[0]->kind == LG_V_LIST && v[0]->list.n)
        return join(E, fn, &j, v[0]->list.n, v[0]->list.at, at);
    lg_diag *d = lg_err(E, "E0220", v[0]->at, "`%s` wants a list of arrays, got %s", b->name,
                        lg_v_type_text(E, v[0]));
    lg_diag_help(d, "write `%s([a, b], axis=0)`", b->name);
    return lg_v_error(E, at);
}

static lg_value *concat(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return join_call(E, b, n, arg, at, concat_leaf);
}

static lg_value *stack(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return join_call(E, b, n, arg, at, stack_leaf);
}

/* ---- along one axis ---- */

lg_value *lg_slice_axis(lg_elab *E, lg_value *x, int axis, int64_t beg, lg_dim *n, int64_t step,
                        lg_span at) {
    lg_value *r = lg_v_copy(E, x);
    r->at = at;
    r->t.dim = lg_arena_dup(E->arena, x->t.dim, sizeof *x->t.dim * (size_t)x->t.rank);
    r->t.dim[axis] = n;
    if (!LG_CHECKING(E))
        r->t.node = lg_g_slice(E->g, lg_import(E, x->t.node), x->t.n_open + axis, beg,
                               lg_dim_size(E, n, at), step, at);
    return r;
}

typedef struct {
    const char *fn;
    lg_value *a, *b, *axis, *value;
} along;

static lg_value *axis_of(lg_elab *E, const along *c, lg_value *v, int *axis, lg_span at) {
    lg_value *x = lg_as_tensor(E, c->fn, v, at);
    if (x && !x->t.rank) {
        lg_err(E, "E0222", at, "`%s` wants an axis, and a scalar has none", c->fn);
        return NULL;
    }
    *axis = !x ? -1 : c->axis ? lg_axis(E, x, c->axis, at) : 0;
    return *axis < 0 ? NULL : x;
}

/* A new axis of size n before or after `axis`, merged with it. */
static lg_value *spread(lg_elab *E, const along *c, lg_value *v, bool after, lg_span at) {
    int axis;
    lg_value *x = axis_of(E, c, v, &axis, at);
    lg_dim *n = x ? lg_v_to_dim(E, c->a, c->a->at) : NULL;
    if (x && !n && c->a->kind == LG_V_NUM && !c->a->num.known)
        n = lg_dim_var(E->dims, lg_intern("n"), at);
    if (!n)
        return lg_v_error(E, at);
    if (x->t.n_open + x->t.rank >= LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_dim *dim[LG_MAX_RANK], *merged[LG_MAX_RANK];
    int from[LG_MAX_RANK], at_new = axis + after, open = x->t.n_open;
    int64_t shape[LG_MAX_RANK];
    for (int i = 0; i < open; i++)
        from[i] = i;
    for (int i = 0; i <= x->t.rank; i++) {
        dim[i] = i == at_new ? n : x->t.dim[i - (i > at_new)];
        from[open + i] = i == at_new ? -1 : open + i - (i > at_new);
    }
    for (int i = 0; i < x->t.rank; i++)
        merged[i] = i == axis ? lg_dim_mul(E->dims, x->t.dim[i], n) : x->t.dim[i];
    lg_value *wide = lg_v_open(E, x->t.dtype, open, x->t.open, x->t.rank + 1, dim, NULL, at);
    if (!LG_CHECKING(E)) {
        for (int i = 0; i <= open + x->t.rank; i++)
            shape[i] = lg_dim_size(E, i < open ? x->t.open[i]->dim : dim[i - open], at);
        wide->t.node =
            lg_g_broadcast(E->g, lg_import(E, x->t.node), open + x->t.rank + 1, shape, from, at);
    }
    return lg_reshape(E, wide, x->t.rank, merged, at);
}

static lg_value *repeat_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return spread(E, ctx, leaf[0], true, at);
}

static lg_value *tile_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return spread(E, ctx, leaf[0], false, at);
}

static lg_value *flip_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    int axis;
    lg_value *x = axis_of(E, ctx, leaf[0], &axis, at);
    if (!x)
        return lg_v_error(E, at);
    int64_t size = LG_CHECKING(E) ? 1 : lg_dim_size(E, x->t.dim[axis], at);
    return lg_slice_axis(E, x, axis, size ? size - 1 : 0, x->t.dim[axis], -1, at);
}

static lg_value *roll_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const along *c = ctx;
    int axis;
    lg_value *x = axis_of(E, c, leaf[0], &axis, at);
    if (!x)
        return lg_v_error(E, at);
    int64_t shift = lg_int_arg(E, c->a, 0, c->fn, "shift");
    int64_t size = LG_CHECKING(E) ? 0 : lg_dim_size(E, x->t.dim[axis], at);
    if (size == 0)
        return x;
    shift = ((shift % size) + size) % size;
    lg_value *part[2] = {lg_slice_axis(E, x, axis, size - shift, lg_dim_num(E->dims, shift), 1, at),
                         lg_slice_axis(E, x, axis, 0, lg_dim_num(E->dims, size - shift), 1, at)};
    lg_value *r = lg_v_copy(E, x);
    r->at = at;
    lg_value *joined = lg_concat(E, 2, part, axis, at);
    r->t.node = joined->kind == LG_V_TENSOR ? joined->t.node : x->t.node;
    return r;
}

static lg_value *pad_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const along *c = ctx;
    int axis;
    lg_value *x = axis_of(E, c, leaf[0], &axis, at);
    double value = 0;
    if (!x)
        return lg_v_error(E, at);
    if (c->value && !lg_v_static_real(E, c->value, &value) && c->value->kind != LG_V_NUM) {
        lg_err(E, "E0220", c->value->at, "`pad` wants a static number for value, got %s",
               lg_v_type_text(E, c->value));
        return lg_v_error(E, at);
    }
    lg_value *part[3];
    const lg_value *width[2] = {c->a, c->b ? c->b : c->a};
    for (int side = 0; side < 2; side++) {
        lg_dim *dim[LG_MAX_RANK];
        memcpy(dim, x->t.dim, sizeof *dim * (size_t)x->t.rank);
        dim[axis] = lg_v_to_dim(E, width[side], width[side]->at);
        if (!dim[axis] && width[side]->kind == LG_V_NUM && !width[side]->num.known)
            dim[axis] = lg_dim_var(E->dims, lg_intern("width"), at);
        if (!dim[axis])
            return lg_v_error(E, at);
        part[2 * side] = lg_fill(E, x->t.dtype, x->t.rank, dim, value, at);
    }
    part[1] = x;
    return lg_concat(E, 3, part, axis, at);
}

static lg_value *squeeze_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const along *c = ctx;
    int axis;
    lg_value *x = axis_of(E, c, leaf[0], &axis, at);
    if (!x)
        return lg_v_error(E, at);
    if (!lg_dims_match(x->t.dim[axis], lg_dim_num(E->dims, 1))) {
        lg_diag *d = lg_err(E, "E0222", at, "`squeeze` drops a dim of 1, and axis %d of %s is %s",
                            axis, lg_v_type_text(E, x), lg_dim_text(E->arena, x->t.dim[axis]));
        lg_diag_help(d, "a subscript takes one row: `x[0]`; `sum` and `mean` take `axis=`");
        return lg_v_error(E, at);
    }
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 0, k = 0; i < x->t.rank; i++)
        if (i != axis)
            dim[k++] = x->t.dim[i];
    return lg_reshape(E, x, x->t.rank - 1, dim, at);
}

static lg_value *unsqueeze_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const along *c = ctx;
    lg_value *x = lg_as_tensor(E, c->fn, leaf[0], at);
    if (!x)
        return lg_v_error(E, at);
    int rank = x->t.rank;
    int64_t axis = lg_int_arg(E, c->axis, 0, c->fn, "axis");
    axis += axis < 0 ? rank + 1 : 0;
    if (axis < 0 || axis > rank) {
        lg_err(E, "E0222", at, "a new axis among %d cannot stand at %lld", rank, (long long)axis);
        return lg_v_error(E, at);
    }
    if (rank == LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 0; i <= rank; i++)
        dim[i] = i == axis ? lg_dim_num(E->dims, 1) : x->t.dim[i - (i > axis)];
    return lg_reshape(E, x, rank + 1, dim, at);
}

static lg_value *call_along(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const struct {
        const char *fn;
        const char *names[5];
        int n, required, a, b, axis, value;
        lg_leaf_fn leaf;
    } rows[] = {{"squeeze", {"x", "axis"}, 2, 2, -1, -1, 1, -1, squeeze_leaf},
                {"unsqueeze", {"x", "axis"}, 2, 2, -1, -1, 1, -1, unsqueeze_leaf},
                {"repeat", {"x", "times", "axis"}, 3, 2, 1, -1, 2, -1, repeat_leaf},
                {"tile", {"x", "times", "axis"}, 3, 2, 1, -1, 2, -1, tile_leaf},
                {"flip", {"x", "axis"}, 2, 1, -1, -1, 1, -1, flip_leaf},
                {"roll", {"x", "shift", "axis"}, 3, 2, 1, -1, 2, -1, roll_leaf},
                {"pad", {"x", "before", "after", "axis", "value"}, 5, 2, 1, 2, 3, 4, pad_leaf}};
    for (size_t k = 0; k < LG_COUNT(rows); k++) {
        if (strcmp(rows[k].fn, b->name) != 0)
            continue;
        lg_value *v[5];
        if (!lg_args(E, b->name, n, arg, at, rows[k].n, rows[k].names, rows[k].required, v))
            return lg_v_error(E, at);
        along c = {b->name, rows[k].a < 0 ? NULL : v[rows[k].a],
                   rows[k].b < 0 ? NULL : v[rows[k].b], v[rows[k].axis],
                   rows[k].value < 0 ? NULL : v[rows[k].value]};
        return each_leaf(E, rows[k].leaf, &c, v[0], at);
    }
    return lg_v_error(E, at);
}

const lg_builtin lg_builtins_shape[] = {
    {.name = "reshape",
     .sig = "(x: T[...S], shape) -> T[...shape]",
     .doc = "The same elements, row by row, under another shape; one -1 is what remains.",
     .call = reshape},
    {.name = "squeeze",
     .sig = "(x: T[...S], axis) -> T[...R]",
     .doc = "x without the axis, whose size must be 1.",
     .call = call_along},
    {.name = "unsqueeze",
     .sig = "(x: T[...S], axis) -> T[...R]",
     .doc = "x with a further axis of size 1 at that place of the result, -1 being the last.",
     .call = call_along},
    {.name = "permute",
     .sig = "(x: T[...S], order) -> T[...R]",
     .doc = "Axis k of the result is axis order[k] of x.",
     .call = permute},
    {.name = "transpose",
     .sig = "(x: T[...S, M, N], i = -2, j = -1) -> T[...S, N, M]",
     .doc = "Two axes exchanged, the last two when none are named.",
     .call = transpose},
    {.name = "concat",
     .sig = "(parts, axis = 0) -> T[...R]",
     .doc = "Arrays joined along one axis, records leaf by leaf.",
     .call = concat},
    {.name = "stack",
     .sig = "(parts, axis = 0) -> T[...R]",
     .doc = "Arrays of one shape joined along a new axis, records leaf by leaf.",
     .call = stack},
    {.name = "repeat",
     .sig = "(x: T[N, ...S], times, axis = 0) -> T[N*times, ...S]",
     .doc = "Each entry `times` times in a row along the axis.",
     .call = call_along},
    {.name = "tile",
     .sig = "(x: T[N, ...S], times, axis = 0) -> T[N*times, ...S]",
     .doc = "The whole `times` times in a row along the axis.",
     .call = call_along},
    {.name = "flip",
     .sig = "(x: T[N, ...S], axis = 0) -> T[N, ...S]",
     .doc = "The axis in reverse order.",
     .call = call_along},
    {.name = "roll",
     .sig = "(x: T[N, ...S], shift, axis = 0) -> T[N, ...S]",
     .doc = "Entries moved up by `shift`; what leaves at the end comes in at the beginning.",
     .call = call_along},
    {.name = "pad",
     .sig = "(x: T[N, ...S], before, after = before, axis = 0, value = 0) -> T[N + before + after, "
            "...S]",
     .doc = "The axis made longer on both sides by a value.",
     .call = call_along},
    {.name = NULL}};
