/* builtin_conv.c: sliding windows as calls: conv1d, conv2d and their transposed forms, over one
 * kernel (ops/conv.c). Not for pooling, which is written in the language. */
#include "compiler/mid/builtin.h"
#include "compiler/mid/index.h"
#include <string.h>

enum { STRIDE, PADDING, DILATION, N_SETTINGS };

/* What a call says, one value a spatial dim. */
typedef struct {
    const char *fn;
    int dims; /* 1 or 2 */
    lg_value *x, *w;
    lg_dim *set[N_SETTINGS][2], *groups, *extra[2];
} conv;

static const char *const setting_names[] = {"stride", "padding", "dilation"};

/* A size that is not known yet keeps its name. */
static lg_dim *size_of(lg_elab *E, lg_value *v, const char *name, lg_span at) {
    lg_dim *d = lg_v_to_dim(E, v, v->at.file ? v->at : at);
    return !d && v->kind == LG_V_NUM && !v->num.known ? lg_dim_var(E->dims, lg_intern(name), at)
                                                      : d;
}

static bool setting(lg_elab *E, conv *c, lg_value *v, const char *name, int64_t otherwise,
                    lg_dim **out, lg_span at) {
    for (int i = 0; i < 2; i++)
        out[i] = lg_dim_num(E->dims, otherwise);
    if (!v)
        return true;
    bool list = v->kind == LG_V_LIST;
    if (list && v->list.n != c->dims) {
        lg_err(E, "E0220", v->at, "`%s` wants %d numbers for %s, got %d", c->fn, c->dims, name,
               v->list.n);
        return false;
    }
    for (int i = 0; i < c->dims; i++) {
        lg_dim *d = size_of(E, list ? v->list.at[i] : v, name, at);
        if (!d)
            return false;
        out[2 - c->dims + i] = d; /* one dim is the second of two */
    }
    return true;
}

static bool positive(lg_elab *E, const conv *c, const lg_dim *d, const char *name, lg_span at) {
    int64_t n;
    if (!lg_dim_value(d, &n) || n > 0)
        return true;
    lg_err(E, "E0221", at, "`%s` wants %s above 0", c->fn, name);
    return false;
}

/* x [..., C, T] as [..., C, 1, T], w [O, C, K] as [O, C, 1, K]. */
static lg_value *to_2d(lg_elab *E, lg_value *v, lg_span at) {
    lg_dim *dim[LG_MAX_RANK + 1];
    int r = v->t.rank;
    memcpy(dim, v->t.dim, sizeof *dim * (size_t)r);
    dim[r] = dim[r - 1];
    dim[r - 1] = lg_dim_num(E->dims, 1);
    return lg_reshape(E, v, r + 1, dim, at);
}

static lg_value *to_1d(lg_elab *E, lg_value *v, lg_span at) {
    lg_dim *dim[LG_MAX_RANK];
    int r = v->t.rank;
    memcpy(dim, v->t.dim, sizeof *dim * (size_t)r);
    dim[r - 2] = dim[r - 1];
    return lg_reshape(E, v, r - 1, dim, at);
}

static bool read_call(lg_elab *E, conv *c, const lg_builtin *b, int n, const lg_arg *arg,
                      bool transposed, lg_span at) {
    static const char *const names[] = {"x",        "w",      "stride",        "padding",
                                        "dilation", "groups", "output_padding"};
    lg_value *v[7];
    if (!lg_args(E, b->name, n, arg, at, transposed ? 7 : 6, names, 2, v))
        return false;
    if (!transposed)
        v[6] = NULL;
    c->fn = b->name;
    c->x = lg_as_tensor(E, b->name, v[0], at);
    c->w = c->x ? lg_as_tensor(E, b->name, v[1], at) : NULL;
    if (!c->w)
        return false;
    for (int k = 0; k < N_SETTINGS; k++)
        if (!setting(E, c, v[2 + k], setting_names[k], k != PADDING, c->set[k], at))
            return false;
    if (c->dims == 1) { /* the dim that was put in has no border */
        c->set[STRIDE][0] = c->set[DILATION][0] = lg_dim_num(E->dims, 1);
        c->set[PADDING][0] = lg_dim_num(E->dims, 0);
    }
    if (!setting(E, c, v[6], "output_padding", 0, c->extra, at))
        return false;
    c->groups = v[5] ? size_of(E, v[5], "groups", at) : lg_dim_num(E->dims, 1);
    if (!c->groups || !positive(E, c, c->groups, "groups", at))
        return false;
    for (int i = 0; i < 2; i++)
        if (!positive(E, c, c->set[STRIDE][i], "stride", at) ||
            !positive(E, c, c->set[DILATION][i], "dilation", at))
            return false;
    return true;
}

static bool fits(lg_elab *E, const conv *c, bool transposed, lg_span at) {
    const lg_value *x = c->x, *w = c->w;
    bool ranks = x->t.rank >= c->dims + 1 && w->t.rank == c->dims + 2;
    if (!ranks || x->t.dtype != w->t.dtype || !lg_dtype_is_float(x->t.dtype)) {
        const char *space = c->dims == 1 ? "T" : "H, W", *k = c->dims == 1 ? "K" : "kh, kw";
        lg_diag *d =
            lg_err(E, "E0221", at, "`%s` wants float[..., %s, %s] and float[%s, %s], got %s and %s",
                   c->fn, transposed ? "I" : "C", space, transposed ? "I, O/groups" : "O, C/groups",
                   k, lg_v_type_text(E, x), lg_v_type_text(E, w));
        if (ranks)
            lg_diag_help(d, "%s",
                         lg_dtype_is_float(x->t.dtype) || lg_dtype_is_float(w->t.dtype)
                             ? "cast one of them: the dtypes must be the same"
                             : "write `float(...)` around both");
        return false;
    }
    const lg_dim *channels = x->t.dim[x->t.rank - c->dims - 1];
    lg_dim *want = transposed ? w->t.dim[0] : lg_dim_mul(E->dims, w->t.dim[1], c->groups);
    if (lg_dims_match(channels, want))
        return true;
    lg_diag *d = lg_err(E, "E0221", at, "`%s` of %s channels with a kernel for %s", c->fn,
                        lg_dim_text(E->arena, channels), lg_dim_text(E->arena, want));
    lg_diag_label(d, x->at, "%s", lg_v_type_text(E, x));
    lg_diag_label(d, w->at, "%s", lg_v_type_text(E, w));
    return false;
}

static lg_dim *times(lg_elab *E, int64_t k, const lg_dim *d) {
    return lg_dim_mul(E->dims, lg_dim_num(E->dims, k), d);
}

/* (size + 2*padding - dilation*(k - 1) - 1)//stride + 1 */
static lg_dim *windows(lg_elab *E, const conv *c, int i, const lg_dim *size, const lg_dim *k) {
    lg_dims *D = E->dims;
    lg_dim *one = lg_dim_num(D, 1);
    lg_dim *span = lg_dim_mul(D, c->set[DILATION][i], lg_dim_sub(D, k, one));
    lg_dim *room = lg_dim_sub(D, lg_dim_add(D, size, times(E, 2, c->set[PADDING][i])), span);
    room = lg_dim_sub(D, room, one);
    return lg_dim_add(D, lg_dim_fn(D, lg_intern("//"), room, c->set[STRIDE][i]), one);
}

/* (size - 1)*stride - 2*padding + dilation*(k - 1) + 1 + extra */
static lg_dim *spread(lg_elab *E, const conv *c, int i, const lg_dim *size, const lg_dim *k) {
    lg_dims *D = E->dims;
    lg_dim *one = lg_dim_num(D, 1);
    lg_dim *d = lg_dim_mul(D, lg_dim_sub(D, size, one), c->set[STRIDE][i]);
    d = lg_dim_sub(D, d, times(E, 2, c->set[PADDING][i]));
    d = lg_dim_add(D, d, lg_dim_mul(D, c->set[DILATION][i], lg_dim_sub(D, k, one)));
    return lg_dim_add(D, lg_dim_add(D, d, one), c->extra[i]);
}

/* Open indices of the kernel are lanes that the kernel of the op goes over, so they come first.
 * 16-bit floats are computed in f32. */
static lg_node *node_of(lg_elab *E, const char *op, lg_value *x, lg_value *w, lg_attr *attr,
                        lg_value *y, lg_span at) {
    lg_index *open[2 * LG_MAX_RANK];
    int n = w->t.n_open, perm[LG_MAX_RANK];
    for (int k = 0; k < n; k++)
        open[k] = w->t.open[k];
    for (int k = 0; k < x->t.n_open; k++)
        if (!lg_has_open(w, x->t.open[k]))
            open[n++] = x->t.open[k];
    lg_dtype t = lg_dtype_size(x->t.dtype) < 4 ? LG_F32 : x->t.dtype;
    lg_type type = {.dtype = t, .rank = n + y->t.rank};
    for (int i = 0; i < type.rank; i++) {
        type.shape[i] = lg_dim_size(E, i < n ? open[i]->dim : y->t.dim[i - n], at);
        perm[i] = i;
    }
    for (int k = 0; k < n; k++) /* from where the open indices of y come */
        for (int i = 0; i < n; i++)
            if (y->t.open[k] == open[i])
                perm[k] = i;
    attr->p[9] = w->t.n_open;
    lg_node *in[2] = {
        lg_g_cast(E->g, lg_node_as(E, x, n, open, x->t.rank, x->t.dim, at), t, at),
        lg_g_cast(E->g, lg_node_as(E, w, w->t.n_open, open, w->t.rank, w->t.dim, at), t, at)};
    const char *name = w->t.n_open ? lg_txt(E, "%s_each", op) : op;
    lg_node *made = lg_g_kernel(E->g, lg_op_find(name), 2, in, 1, &type, attr, at);
    made = lg_g_cast(E->g, made, x->t.dtype, at);
    return w->t.n_open ? lg_g_permute(E->g, made, perm, at) : made;
}

static lg_value *convolve(lg_elab *E, const conv *c, const char *op, bool transposed, lg_span at) {
    lg_value *x = c->dims == 1 ? to_2d(E, c->x, at) : c->x;
    lg_value *w = c->dims == 1 ? to_2d(E, c->w, at) : c->w;
    if (x->kind != LG_V_TENSOR || w->kind != LG_V_TENSOR)
        return lg_v_error(E, at);
    int r = x->t.rank;
    lg_dim *dim[LG_MAX_RANK];
    memcpy(dim, x->t.dim, sizeof *dim * (size_t)r);
    dim[r - 3] = transposed ? lg_dim_mul(E->dims, w->t.dim[1], c->groups) : w->t.dim[0];
    for (int i = 0; i < 2; i++) {
        lg_dim *(*of)(lg_elab *, const conv *, int, const lg_dim *, const lg_dim *) =
            transposed ? spread : windows;
        int64_t n;
        dim[r - 2 + i] = of(E, c, i, x->t.dim[r - 2 + i], w->t.dim[2 + i]);
        int64_t size; /* a size rounded up to 0 has no window either */
        bool some = !lg_dim_value(x->t.dim[r - 2 + i], &size) || size;
        if (lg_dim_value(dim[r - 2 + i], &n) && (n < 0 || (!n && some))) {
            lg_err(E, "E0221", at, "the kernel is larger than %s with its border",
                   lg_v_type_text(E, c->x));
            return lg_v_error(E, at);
        }
    }
    lg_value *both[2] = {x, w};
    lg_index **open;
    int n_open = lg_open_union(E, 2, both, &open);
    if (n_open + r > LG_MAX_RANK)
        return lg_too_many_dims(E, at);
    lg_value *y = lg_v_open(E, x->t.dtype, n_open, open, r, dim, NULL, at);
    if (!LG_CHECKING(E)) {
        lg_attr attr = {0};
        for (int i = 0; i < 2; i++) {
            attr.p[i] = lg_dim_size(E, c->set[STRIDE][i], at);
            attr.p[2 + 2 * i] = attr.p[3 + 2 * i] = lg_dim_size(E, c->set[PADDING][i], at);
            attr.p[6 + i] = lg_dim_size(E, c->set[DILATION][i], at);
        }
        attr.p[8] = lg_dim_size(E, c->groups, at);
        int64_t maps = lg_dim_size(E, w->t.dim[0], at);
        if (attr.p[8] < 1 || maps % attr.p[8]) {
            lg_err(E, "E0221", at, "`%s`: %lld channels do not divide into %lld groups", c->fn,
                   (long long)maps, (long long)attr.p[8]);
            return lg_v_error(E, at);
        }
        y->t.node = node_of(E, op, x, w, &attr, y, at);
    }
    return c->dims == 1 ? to_1d(E, y, at) : y;
}

static lg_value *call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at,
                      int dims, bool transposed) {
    conv c = {.dims = dims};
    if (!read_call(E, &c, b, n, arg, transposed, at) || !fits(E, &c, transposed, at))
        return lg_v_error(E, at);
    return convolve(E, &c, transposed ? "conv2d_dx" : "conv2d", transposed, at);
}

static lg_value *conv1d(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return call(E, b, n, arg, at, 1, false);
}

static lg_value *conv2d(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return call(E, b, n, arg, at, 2, false);
}

static lg_value *conv1d_t(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return call(E, b, n, arg, at, 1, true);
}

static lg_value *conv2d_t(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    return call(E, b, n, arg, at, 2, true);
}

#define SETTINGS "stride = 1, padding = 0, dilation = 1, groups = 1"
const lg_builtin lg_builtins_conv[] = {
    {.name = "conv1d",
     .sig = "(x: float[...B, C, T], w: float[O, C/groups, K], " SETTINGS ") -> float[...B, O, U]",
     .doc = "Sliding dot products along the last dim (no kernel is flipped); in a map each item "
            "may have its "
            "own kernels. "
            "U = (T + 2*padding - dilation*(K - 1) - 1)//stride + 1.",
     .call = conv1d},
    {.name = "conv2d",
     .sig = "(x: float[...B, C, H, W], w: float[O, C/groups, kh, kw], " SETTINGS
            ") -> float[...B, O, U, V]",
     .doc =
         "Sliding dot products over the last two dims; settings are one number or [rows, columns].",
     .call = conv2d},
    {.name = "conv1d_transpose",
     .sig = "(x: float[...B, I, T], w: float[I, O/groups, K], " SETTINGS
            ", output_padding = 0) -> float[...B, O, U]",
     .doc = "The transposed map of conv1d, "
            "U = (T - 1)*stride - 2*padding + dilation*(K - 1) + 1 + output_padding.",
     .call = conv1d_t},
    {.name = "conv2d_transpose",
     .sig = "(x: float[...B, I, H, W], w: float[I, O/groups, kh, kw], " SETTINGS
            ", output_padding = 0) -> float[...B, O, U, V]",
     .doc = "The transposed map of conv2d.",
     .call = conv2d_t},
    {.name = NULL}};
