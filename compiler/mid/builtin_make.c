/* builtin_make.c: arrays from nothing: zeros, ones, full. Their siblings eye, arange, linspace and
 * the like are written in the language. */
#include "compiler/mid/builtin.h"
#include <string.h>

int lg_shape_arg(lg_elab *E, lg_value *v, lg_dim **dim, int *minus, lg_span at) {
    lg_value *one[1] = {v}, **item = one;
    int n = 1;
    *minus = -1;
    if (v->kind == LG_V_LIST) {
        n = v->list.n;
        item = v->list.at;
    }
    if (n > LG_MAX_RANK) {
        lg_err(E, "E0213", at, "more than %d dims at once", LG_MAX_RANK);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        int64_t x;
        if (item[i]->kind == LG_V_NUM && item[i]->num.known && !item[i]->num.dim &&
            lg_v_static_int(E, item[i], &x) && x == -1 && *minus < 0) {
            *minus = i;
            dim[i] = NULL;
            continue;
        }
        dim[i] = lg_v_to_dim(E, item[i], item[i]->at.file ? item[i]->at : at);
        if (!dim[i] && item[i]->kind == LG_V_NUM && !item[i]->num.known) /* no name, no value yet */
            dim[i] = lg_dim_var(E->dims, lg_intern("_"), at);
        if (!dim[i])
            return -1;
    }
    return n;
}

typedef struct {
    double number;
    lg_value *value; /* or this scalar */
    lg_dtype dtype;  /* LG_NO_DTYPE: that of what it is like, or the float around */
} filling;

static lg_value *filled(lg_elab *E, const filling *f, lg_dtype t, int rank, lg_dim *const *dim,
                        lg_span at) {
    if (f->dtype != LG_NO_DTYPE)
        t = f->dtype;
    lg_value *r = lg_fill(E, t, rank, dim, f->value ? 0 : f->number, at);
    if (!f->value)
        return r;
    lg_value *x = f->value->t.dtype == t ? f->value : lg_cast(E, f->value, t, at);
    r = lg_v_open(E, t, x->t.n_open, x->t.open, rank, dim, NULL, at);
    r->t.node = lg_node_as(E, x, x->t.n_open, x->t.open, rank, dim, at);
    return r;
}

static lg_value *fill_like(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    const filling *f = ctx;
    const lg_value *x = leaf[0];
    if (x->kind == LG_V_NUM || x->kind == LG_V_OPAQUE) {
        lg_dtype t = x->kind == LG_V_NUM && x->num.is_int ? LG_I64 : E->frame->float_dtype;
        if (x->kind == LG_V_OPAQUE)
            return leaf[0];
        return filled(E, f, t, 0, NULL, at);
    }
    if (x->kind != LG_V_TENSOR) {
        if (x->kind != LG_V_ERROR)
            lg_err(E, "E0220", at, "%s has no size to copy", lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    return filled(E, f, x->t.dtype, x->t.rank, x->t.dim, at);
}

static lg_value *make(lg_elab *E, filling *f, const char *fn, lg_value *shape, lg_value *like,
                      lg_value *dtype, lg_span at) {
    f->dtype = LG_NO_DTYPE;
    if (dtype && dtype->kind == LG_V_DTYPE)
        f->dtype = dtype->dtype;
    else if (dtype) {
        lg_err(E, "E0220", dtype->at, "`%s` wants a dtype here, as in `%s([3], i32)`", fn, fn);
        return lg_v_error(E, at);
    }
    if (shape && shape->kind == LG_V_TENSOR && shape->t.rank && !like) {
        lg_diag *d =
            lg_err(E, "E0220", shape->at, "`%s` wants sizes, got %s", fn, lg_v_type_text(E, shape));
        lg_diag_help(d, "write `%s(like=...)` for an array of the same size", fn);
        return lg_v_error(E, at);
    }
    if (!shape && !like)
        like = E->want;
    if (like) {
        like = lg_arrayed(E, like, at);
        return lg_v_is_vector(like) && like->kind != LG_V_OPAQUE
                   ? lg_leafwise(E, fill_like, f, 1, &like, at)
                   : fill_like(E, f, 1, &like, at);
    }
    lg_dim *dim[LG_MAX_RANK];
    int minus, rank = shape ? lg_shape_arg(E, shape, dim, &minus, at) : 0;
    if (rank < 0)
        return lg_v_error(E, at);
    if (shape && minus >= 0) {
        lg_err(E, "E0210", at, "a dim cannot be negative, got -1");
        return lg_v_error(E, at);
    }
    return filled(E, f, E->frame->float_dtype, rank, dim, at);
}

static lg_value *constant(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at,
                          double number) {
    static const char *const names[] = {"shape", "dtype", "like"};
    lg_value *v[3];
    if (!lg_args(E, b->name, n, arg, at, 3, names, 0, v))
        return lg_v_error(E, at);
    filling f = {.number = number};
    return make(E, &f, b->name, v[0], v[2], v[1], at);
}

static lg_value *zeros(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return constant(E, b, n, arg, at, 0);
}

static lg_value *ones(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return constant(E, b, n, arg, at, 1);
}

static lg_value *full(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"shape", "value", "dtype", "like"};
    lg_value *v[4];
    if (!lg_args(E, b->name, n, arg, at, 4, names, 0, v))
        return lg_v_error(E, at);
    if (!v[1]) {
        lg_err(E, "E0220", at, "`full` needs value");
        return lg_v_error(E, at);
    }
    filling f = {0};
    if (v[1]->kind == LG_V_TENSOR && !v[1]->t.rank)
        f.value = v[1];
    else if (v[1]->kind == LG_V_NUM)
        f.number = v[1]->num.d;
    else {
        lg_err(E, "E0220", v[1]->at, "`full` wants one number, got %s", lg_v_type_text(E, v[1]));
        return lg_v_error(E, at);
    }
    if (v[1]->kind == LG_V_NUM && !v[1]->num.known && !LG_CHECKING(E)) {
        lg_err(E, "E0212", v[1]->at, "this number is not known when the plan is made");
        return lg_v_error(E, at);
    }
    return make(E, &f, b->name, v[0], v[3], v[2], at);
}

const lg_builtin lg_builtins_make[] = {
    {.name = "zeros",
     .sig = "(shape, dtype = float, like = none) -> float[...shape]",
     .doc = "An array of 0. `like=x` takes sizes and dtype of x, leaf by leaf when x is a record.",
     .call = zeros},
    {.name = "ones",
     .sig = "(shape, dtype = float, like = none) -> float[...shape]",
     .doc = "An array of 1; see zeros.",
     .call = ones},
    {.name = "full",
     .sig = "(shape, value, dtype = float, like = none) -> float[...shape]",
     .doc = "An array of one value; see zeros.",
     .call = full},
    {.name = NULL}};
