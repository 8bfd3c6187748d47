/* rand.c: random draws. A draw is addressed: by seed, place (chain of calls and the n-th draw of
 * its declaration), step, loop and map indices, the item's position in the batch, and the element.
 * The address becomes the key of a stream; the numbers themselves are ops/random.c. */
#include "compiler/mid/elab.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { MOST_ARGS = 8 };

#define MOST_BELOW 2147483648.0 /* draws below it are i32 */

typedef struct {
    lg_elab *E;
    lg_span at;
    const char *name;
    uint64_t place;
    lg_value *key;  /* key=, or NULL */
    lg_value *like; /* a tensor whose dims and dtype count, or NULL */
    bool sized;     /* the call says a shape, or is like something */
    int rank;
    lg_dim *dim[LG_MAX_RANK];
    lg_dtype dtype; /* of floats */
    lg_value *arg[MOST_ARGS];
} draw;

/* ---- addresses ---- */

static uint64_t hash_text(const char *s, uint64_t seed) {
    return lg_hash(s, strlen(s), seed);
}

static lg_node *scalar_i64(lg_elab *E, int64_t x, lg_span at) {
    lg_tensor *t = lg_tensor_scalar_i64(LG_I64, x);
    lg_node *n = lg_g_const(E->g, t, at);
    lg_tensor_release(t);
    return n;
}

static lg_node *bits(const draw *d, lg_node *addr, lg_node *first, const lg_type *t) {
    return lg_g_rand(d->E->g, lg_op_find("rand_bits"), addr, first, *t, d->at);
}

/* The key of a stream mixed with a run-time integer. */
static lg_node *mixed(const draw *d, lg_node *key, lg_value *x) {
    if (!x || x->kind == LG_V_ERROR)
        return key;
    x = lg_to_tensor(d->E, x, LG_I64, d->at);
    if (x->kind != LG_V_TENSOR || x->t.rank || x->t.n_open)
        return key;
    lg_node *n = lg_g_cast(d->E->g, lg_import(d->E, x->t.node), LG_I64, d->at);
    lg_type t = {.dtype = LG_I64};
    return bits(d, key, n, &t);
}

/* Bodies of functions have names of their own for the dims of their arguments. */
static bool is_batch(const draw *d, lg_dim *dim) {
    const lg_step *s = d->E->step;
    return s && s->batch && s->first_item &&
           lg_dim_equal(s->batch, lg_dim_seen_from(d->E, NULL, dim));
}

static lg_node *first_item(const draw *d) {
    lg_value *v = lg_to_tensor(d->E, d->E->step->first_item, LG_I64, d->at);
    return lg_g_cast(d->E->g, lg_import(d->E, v->t.node), LG_I64, d->at);
}

/* Every run of an index has a key of its own. */
static lg_node *lane_keys(const draw *d, lg_node *key, const lg_index *i) {
    lg_type t = key->type[0];
    t.shape[t.rank++] = lg_dim_size(d->E, i->dim, d->at);
    lg_node *first = is_batch(d, i->dim)         ? first_item(d)
                     : i->lo_known && i->lo != 0 ? scalar_i64(d->E, i->lo, d->at)
                                                 : NULL;
    return bits(d, key, first, &t);
}

/* The indices whose runs draw by themselves, in the order of node dims. */
static int lanes_of(const draw *d, lg_index ***out) {
    lg_elab *E = d->E;
    if (d->key)
        return lg_open_union(E, 1, &d->key, out);
    int n = 0;
    for (const lg_lane *l = E->lanes; l; l = l->up)
        n++;
    lg_index **all = LG_NEW_N(E->arena, lg_index *, n ? n : 1);
    int k = 0;
    for (const lg_lane *l = E->lanes; l; l = l->up) {
        int p = 0;
        while (p < k && all[p]->seq < l->index->seq)
            p++;
        if (p < k && all[p] == l->index)
            continue;
        memmove(all + p + 1, all + p, sizeof *all * (size_t)(k - p));
        all[p] = l->index;
        k++;
    }
    *out = all;
    return k;
}

/* A key with open indices: each lane is the stream at the position that its key says. */
static lg_node *keyed(const draw *d, lg_node *base, int n_open, lg_index *const *open) {
    lg_elab *E = d->E;
    lg_node *k =
        lg_g_cast(E->g, lg_node_as(E, d->key, n_open, open, 0, NULL, d->at), LG_I64, d->at);
    lg_node *wide =
        lg_g_broadcast(E->g, base, k->type[0].rank, k->type[0].shape,
                       (int[LG_MAX_RANK]){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, d->at);
    const lg_op *add = lg_op_find("add"), *mul = lg_op_find("mul");
    lg_type t = k->type[0];
    lg_node *odd =
        lg_g_broadcast(E->g, scalar_i64(E, (int64_t)0x9e3779b97f4a7c15u, d->at), t.rank, t.shape,
                       (int[LG_MAX_RANK]){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, d->at);
    lg_node *in[2] = {k, odd};
    in[1] = lg_g_elem(E->g, mul, 2, in, d->at);
    in[0] = wide;
    return bits(d, lg_g_elem(E->g, add, 2, in, d->at), NULL, &t);
}

lg_value *lg_draw_lane(lg_elab *E, lg_value *outer, lg_value *i, lg_span at) {
    int64_t a, b;
    if (!outer || LG_CHECKING(E))
        return i;
    if (outer->kind == LG_V_NUM && lg_v_static_int(E, outer, &a) && lg_v_static_int(E, i, &b))
        return lg_v_int(E, (int64_t)(lg_hash_mix((uint64_t)a, (uint64_t)b) >> 1), at);
    /* an odd factor spreads the outer address over all bits; sums wrap */
    lg_value *k = lg_v_int(E, 0x5851F42D4C957F2D, at);
    outer = lg_to_tensor(E, outer, LG_I64, at);
    return lg_binary(E, "+", lg_binary(E, "*", outer, k, at), i, at);
}

lg_value *lg_call_at_home(lg_elab *E, lg_value *fn, const lg_arg *arg, lg_span at) {
    const lg_ast *decl = fn->kind == LG_V_FN ? fn->fn.decl : NULL;
    bool is_lambda = decl && decl->kind == LG_A_LAMBDA;
    if (!decl || !fn->fn.env || (!is_lambda && decl->kind != LG_A_DECL))
        return lg_call_value(E, fn, 1, arg, at);
    const lg_frame *env = fn->fn.env;
    lg_frame *was = E->frame, *home = lg_frame_new(E, LG_F_BLOCK, was);
    lg_value *lane = E->draw_lane;
    lg_lane *lanes = E->lanes;
    home->path_hash = is_lambda ? fn->fn.place : hash_text(decl->name, env->path_hash);
    E->draw_lane = is_lambda ? fn->fn.draw_lane : env->scoped ? env->draw_lane : NULL;
    E->lanes = is_lambda ? fn->fn.lanes : env->scoped ? env->lanes : NULL;
    E->frame = home;
    lg_value *y = lg_call_value(E, fn, 1, arg, at);
    E->frame = was;
    E->draw_lane = lane;
    E->lanes = lanes;
    return y;
}

static lg_node *address(const draw *d, uint64_t sub, int n_open, lg_index *const *open) {
    lg_elab *E = d->E;
    const lg_step *s = E->step;
    uint64_t place = lg_hash_mix(d->place, sub);
    int64_t seed = 0;
    bool fixed = !s || !s->seed || lg_v_static_int(E, s->seed, &seed);
    lg_node *key = scalar_i64(E, (int64_t)lg_hash_mix(place, (uint64_t)seed), d->at);
    if (!fixed)
        key = mixed(d, key, s->seed);
    if (s)
        key = mixed(d, key, s->run_step ? s->run_step : s->step);
    if (d->key)
        return keyed(d, key, n_open, open);
    key = mixed(d, key, E->draw_lane);
    for (int i = 0; i < n_open; i++)
        key = lane_keys(d, key, open[i]);
    return key;
}

/* ---- base draws ---- */

/* The axis of the result that is the batch of the step, or -1: elements count from the item's place
 * in the whole batch, so that parts of a batch draw what the whole would. */
static int batch_axis(const draw *d, int rank, lg_dim *const *dim) {
    for (int i = 0; i < rank; i++)
        if (is_batch(d, dim[i]))
            return i;
    return -1;
}

static lg_node *offset_of_first(const draw *d, int rank, lg_dim *const *dim) {
    int64_t rest = 1;
    for (int i = 1; i < rank; i++)
        rest *= lg_dim_size(d->E, dim[i], d->at);
    lg_node *in[2] = {first_item(d), scalar_i64(d->E, rest, d->at)};
    return lg_g_elem(d->E->g, lg_op_find("mul"), 2, in, d->at);
}

/* op's numbers in dims `dim`; `param`: the second input of a draw that has one. */
static lg_value *numbers(const draw *d, const char *op_name, lg_dtype t, uint64_t sub, int rank,
                         lg_dim *const *dim, lg_value *param) {
    lg_elab *E = d->E;
    const lg_op *op = lg_op_find(op_name);
    lg_index **open;
    int n_open = lanes_of(d, &open), axis = batch_axis(d, rank, dim);
    lg_value *r = lg_v_open(E, t, n_open, open, rank, dim, NULL, d->at);
    if (LG_CHECKING(E))
        return r;
    lg_node *key = address(d, sub, n_open, open), *first = NULL;
    lg_dtype made =
        op->out_dtype != LG_NO_DTYPE || op->elem[t] || !lg_dtype_is_float(t) ? t : LG_F32;
    lg_type ty = {.dtype = made, .rank = n_open + rank};
    int order[LG_MAX_RANK], perm[LG_MAX_RANK], k = 0;
    if (axis > 0 && !param) { /* the batch becomes a lane */
        lg_index lane = {.dim = dim[axis]};
        key = lane_keys(d, key, &lane);
        order[k++] = axis;
    } else if (axis == 0 && !param) {
        first = offset_of_first(d, rank, dim);
    }
    for (int i = 0; i < rank; i++)
        if (!(axis > 0 && !param) || i != axis)
            order[k++] = i;
    for (int i = 0; i < n_open; i++) {
        ty.shape[i] = lg_dim_size(E, open[i]->dim, d->at);
        perm[i] = i;
    }
    for (int i = 0; i < rank; i++) {
        ty.shape[n_open + i] = lg_dim_size(E, dim[order[i]], d->at);
        perm[n_open + order[i]] = n_open + i;
    }
    lg_node *y;
    if (param) {
        lg_node *in[2] = {key, lg_g_cast(E->g, lg_node_as(E, param, n_open, open, rank, dim, d->at),
                                         made, d->at)};
        lg_attr attr = {.nb = n_open};
        y = lg_g_kernel(E->g, op, 2, in, 1, &ty, &attr, d->at);
    } else {
        y = lg_g_rand(E->g, op, key, first, ty, d->at);
    }
    r->t.node = lg_g_cast(E->g, lg_g_permute(E->g, y, perm, d->at), t, d->at);
    return r;
}

/* Numbers above 0 and below 1: where a short float would round to 1, the one before it. */
static lg_value *uniforms(const draw *d, uint64_t sub, int rank, lg_dim *const *dim) {
    lg_elab *E = d->E;
    lg_value *u = numbers(d, "rand_uniform", d->dtype, sub, rank, dim, NULL);
    int bits = d->dtype == LG_F16 ? 11 : d->dtype == LG_BF16 ? 8 : 0;
    if (!bits)
        return u;
    lg_value *most = lg_to_tensor(E, lg_v_real(E, 1 - ldexp(1, -bits), d->at), d->dtype, d->at);
    return lg_elem_named(E, "min", 2, (lg_value *[]){u, most}, d->at);
}

static lg_value *uniform01(const draw *d, uint64_t sub) {
    return uniforms(d, sub, d->rank, d->dim);
}

/* ---- arithmetic on values ---- */

static lg_value *bin(const draw *d, const char *op, lg_value *a, lg_value *b) {
    return lg_binary(d->E, op, a, b, d->at);
}

static lg_value *fn(const draw *d, const char *op, lg_value *a) {
    return lg_elem_named(d->E, op, 1, &a, d->at);
}

static lg_value *real(const draw *d, double x) {
    return lg_v_real(d->E, x, d->at);
}

/* mean + std*z and the like, keeping z where nothing is said. */
static lg_value *scaled(const draw *d, lg_value *z, lg_value *by, lg_value *plus) {
    if (by)
        z = bin(d, "*", by, z);
    return plus ? bin(d, "+", plus, z) : z;
}

/* A draw without a shape of its own has that of its parameter. */
static bool shape_of_param(draw *d, lg_value **v) {
    lg_value *p = lg_arrayed(d->E, *v, d->at);
    if (p->kind == LG_V_NUM)
        p = lg_to_tensor(d->E, p, d->dtype, d->at);
    if (p->kind != LG_V_TENSOR) {
        if (p->kind != LG_V_ERROR)
            lg_err(d->E, "E0220", d->at, "`rand %s` wants numbers, got %s", d->name,
                   lg_v_type_text(d->E, p));
        return false;
    }
    if (lg_dtype_is_float(p->t.dtype) && !p->t.weak)
        d->dtype = p->t.dtype;
    if (!d->sized) {
        d->rank = p->t.rank;
        memcpy(d->dim, p->t.dim, sizeof *d->dim * (size_t)p->t.rank);
    }
    *v = p;
    return true;
}

/* ---- the draws ---- */

/* p in lo .. hi (hi < lo: no upper end), said now or by the run that finds otherwise. */
static void within(draw *d, lg_value *p, double lo, double hi, const char *text) {
    lg_elab *E = d->E;
    lg_value *ok = bin(d, ">=", p, real(d, lo));
    if (hi >= lo)
        ok = bin(d, "and", ok, bin(d, "<=", p, real(d, hi)));
    if (LG_CHECKING(E) || ok->kind == LG_V_ERROR) {
        lg_late(E, d->at, "%s", text);
        return;
    }
    if (E->guard)
        ok = bin(d, "or", lg_unary(E, "not", E->guard, d->at), ok);
    if (ok->kind == LG_V_TENSOR && ok->t.node)
        lg_g_require(E->g, lg_import(E, ok->t.node), text, d->at);
}

/* A known scale of a draw is not below 0, a rate (`positive`) not 0 either. */
static void scale_of(const draw *d, lg_value *v, const char *name, bool positive) {
    double x;
    if (v && lg_v_static_real(d->E, v, &x) && !(positive ? x > 0 : x >= 0))
        lg_err(d->E, "E0220", v->at.file ? v->at : d->at, "`rand %s` wants %s %s 0, got %g",
               d->name, name, positive ? "above" : "of at least", x);
}

static lg_value *draw_normal(draw *d) {
    scale_of(d, d->arg[2], "std", false);
    lg_value *z = numbers(d, "rand_normal", d->dtype, 0, d->rank, d->dim, NULL);
    return scaled(d, z, d->arg[2], d->arg[1]);
}

static lg_value *draw_uniform(draw *d) {
    lg_value *u = uniform01(d, 0), *lo = d->arg[1], *hi = d->arg[2];
    if (!lo && !hi)
        return u;
    if (!hi)
        hi = real(d, 1);
    return scaled(d, u, lo ? bin(d, "-", hi, lo) : hi, lo);
}

static lg_value *draw_exponential(draw *d) {
    scale_of(d, d->arg[1], "rate", true);
    lg_value *z =
        lg_unary(d->E, "-", fn(d, "log1p", lg_unary(d->E, "-", uniform01(d, 0), d->at)), d->at);
    return d->arg[1] ? bin(d, "/", z, d->arg[1]) : z;
}

static lg_value *draw_laplace(draw *d) {
    scale_of(d, d->arg[2], "scale", false);
    lg_value *u = bin(d, "-", uniform01(d, 0), real(d, 0.5));
    lg_value *tail = fn(d, "log1p", bin(d, "*", real(d, -2), fn(d, "abs", u)));
    lg_value *z = lg_unary(d->E, "-", bin(d, "*", fn(d, "sign", u), tail), d->at);
    return scaled(d, z, d->arg[2], d->arg[1]);
}

static lg_value *gumbel(const draw *d, int rank, lg_dim *const *dim) {
    lg_value *u = uniforms(d, 0, rank, dim);
    lg_value *e = lg_unary(d->E, "-", fn(d, "log", u), d->at);
    return lg_unary(d->E, "-", fn(d, "log", e), d->at);
}

static lg_value *draw_gumbel(draw *d) {
    return gumbel(d, d->rank, d->dim);
}

static lg_value *draw_rademacher(draw *d) {
    lg_value *c = bin(d, "<", uniform01(d, 0), real(d, 0.5));
    return lg_cast(d->E, lg_select(d->E, c, real(d, -1), real(d, 1), d->at), d->dtype, d->at);
}

static lg_value *draw_bits(draw *d) {
    return numbers(d, "rand_bits", LG_I64, 0, d->rank, d->dim, NULL);
}

/* What `below` counts to: an integer that leaves something to draw, and i32 that can hold it. */
static bool count_of(const draw *d, lg_value *n) {
    lg_elab *E = d->E;
    bool integer = n->kind == LG_V_TENSOR && lg_dtype_is_int(n->t.dtype);
    double x;
    bool known = lg_v_static_real(E, n, &x);
    if (n->kind != LG_V_ERROR && !integer && (n->kind != LG_V_NUM || (known && x != floor(x))))
        lg_err(E, "E0220", n->at, "`rand below` wants an integer, got %s",
               known ? lg_txt(E, "%g", x) : lg_v_type_text(E, n));
    else if (known && x < 1)
        lg_err(E, "E0220", n->at, "there is no integer from 0 below %.0f", x);
    else if (known && x > MOST_BELOW)
        lg_err(E, "E0220", n->at, "draws are i32, so there are none below %.0f", x);
    else
        return n->kind != LG_V_ERROR;
    return false;
}

/* floor(u*n) with u of 53 bits, never n itself. */
static lg_value *draw_below(draw *d) {
    lg_value *n = d->arg[0];
    int64_t most;
    if (!count_of(d, n))
        return lg_v_error(d->E, d->at);
    lg_dim *bound = n->kind == LG_V_NUM && n->num.dim ? n->num.dim : NULL;
    if (n->kind == LG_V_TENSOR && !d->sized && !shape_of_param(d, &n))
        return lg_v_error(d->E, d->at);
    lg_value *u = numbers(d, "rand_uniform", LG_F64, 0, d->rank, d->dim, NULL);
    lg_value *wide = n->kind == LG_V_TENSOR ? lg_cast(d->E, n, LG_F64, d->at) : n;
    if (n->kind == LG_V_TENSOR)
        within(d, wide, 1, MOST_BELOW, "`rand below` counts to 1 .. 2147483648");
    lg_value *r = lg_cast(d->E, fn(d, "floor", bin(d, "*", u, wide)), LG_I32, d->at);
    if (r->kind == LG_V_TENSOR && n->kind == LG_V_NUM) {
        if (!bound && lg_v_static_int(d->E, n, &most))
            bound = lg_dim_num(d->E->dims, most);
        r->t.bound = bound;
    }
    return r;
}

static lg_value *draw_bernoulli(draw *d) {
    if (!shape_of_param(d, &d->arg[0]))
        return lg_v_error(d->E, d->at);
    within(d, d->arg[0], 0, 1, "probabilities are within 0..1");
    return bin(d, "<", uniform01(d, 0), d->arg[0]);
}

/* The largest of the logits with Gumbel noise. */
static lg_value *draw_categorical(draw *d) {
    lg_elab *E = d->E;
    if (!d->arg[0] == !d->arg[1]) {
        lg_err(E, "E0220", d->at, "`rand categorical` wants logits= or p=");
        return lg_v_error(E, d->at);
    }
    lg_value *z = d->arg[0] ? d->arg[0] : d->arg[1];
    bool sized = d->sized;
    d->sized = false;
    if (!shape_of_param(d, &z))
        return lg_v_error(E, d->at);
    if (!z->t.rank || sized) {
        lg_err(E, "E0220", d->at,
               sized
                   ? "`rand categorical` draws once for each row of its logits: draw more in a map"
                   : "`rand categorical` wants one number for each class");
        return lg_v_error(E, d->at);
    }
    if (!d->arg[0]) {
        within(d, z, 0, -1, "weights of classes are not negative");
        z = fn(d, "log", z);
    }
    if (d->dtype != LG_F64) { /* noise in short floats would have too many equals */
        d->dtype = LG_F32;
        z = lg_cast(E, z, LG_F32, d->at);
    }
    lg_value *noisy = bin(d, "+", z, gumbel(d, z->t.rank, z->t.dim));
    lg_arg a[2] = {{NULL, noisy, NULL, d->at},
                   {lg_intern("axis"), lg_v_int(E, -1, d->at), NULL, d->at}};
    within(d, lg_reduce_axis(E, lg_intern("max"), 2, a, d->at), -FLT_MAX, -INFINITY,
           d->arg[0] ? "logits are not NaN, nor all -inf" : "weights of classes are not all 0");
    lg_value *r = lg_reduce_axis(E, lg_intern("argmax"), 2, a, d->at);
    if (r->kind == LG_V_TENSOR) {
        r = lg_v_copy(E, r);
        r->t.bound = z->t.dim[z->t.rank - 1];
    }
    return r;
}

static lg_value *draw_gamma_of(draw *d, lg_value *alpha, uint64_t sub) {
    return numbers(d, "rand_gamma", d->dtype, sub, d->rank, d->dim, alpha);
}

static lg_value *draw_gamma(draw *d) {
    if (!shape_of_param(d, &d->arg[0]))
        return lg_v_error(d->E, d->at);
    return scaled(d, draw_gamma_of(d, d->arg[0], 0), d->arg[2], NULL);
}

static lg_value *draw_beta(draw *d) {
    if (!shape_of_param(d, &d->arg[0]) || (d->sized = true, !shape_of_param(d, &d->arg[1])))
        return lg_v_error(d->E, d->at);
    lg_value *a = draw_gamma_of(d, d->arg[0], 1), *b = draw_gamma_of(d, d->arg[1], 2);
    return bin(d, "/", a, bin(d, "+", a, b));
}

/* Random 64-bit numbers put in order. */
static lg_value *permutation(draw *d, lg_value *n) {
    lg_elab *E = d->E;
    lg_dim *size = lg_v_to_dim(E, n, n->at);
    if (!size && n->kind == LG_V_NUM && !n->num.known)
        size = lg_dim_var(E->dims, lg_intern("n"), d->at);
    if (!size)
        return lg_v_error(E, d->at);
    lg_value *x = numbers(d, "rand_bits", LG_I64, 0, 1, &size, NULL);
    lg_value *r = lg_v_open(E, LG_I32, x->t.n_open, x->t.open, 1, &size, NULL, d->at);
    r->t.bound = size;
    if (!LG_CHECKING(E)) {
        lg_type t = x->t.node->type[0];
        t.dtype = LG_I32;
        lg_attr attr = {0};
        r->t.node = lg_g_kernel(E->g, lg_op_find("argsort"), 1, &x->t.node, 1, &t, &attr, d->at);
    }
    return r;
}

static lg_value *draw_permutation(draw *d) {
    return permutation(d, d->arg[0]);
}

static lg_value *draw_choice(draw *d) {
    lg_elab *E = d->E;
    lg_value *p = permutation(d, d->arg[0]), *k = d->arg[1];
    if (p->kind == LG_V_ERROR)
        return p;
    lg_dim *some = lg_v_to_dim(E, k, k->at);
    if (!some && k->kind == LG_V_NUM && !k->num.known)
        some = lg_dim_var(E->dims, lg_intern("k"), d->at);
    if (!some)
        return lg_v_error(E, d->at);
    if (lg_dim_at_most(some, p->t.dim[0]) == 0) {
        lg_err(E, "E0220", d->at, "%s different ones cannot be chosen from %s",
               lg_dim_text(E->arena, some), lg_dim_text(E->arena, p->t.dim[0]));
        return lg_v_error(E, d->at);
    }
    lg_value *r = lg_v_copy(E, p);
    r->t.dim = lg_arena_dup(E->arena, &some, sizeof(lg_dim *));
    if (!LG_CHECKING(E))
        r->t.node =
            lg_g_slice(E->g, p->t.node, p->t.n_open, 0, lg_dim_size(E, some, d->at), 1, d->at);
    return r;
}

/* Parameters of each in order; shape, like and key are the same for all. */
static const struct {
    const char *name;
    const char *names[MOST_ARGS];
    int n, required;
    lg_value *(*make)(draw *d);
} kinds[] = {
    {"normal", {"shape", "mean", "std", "like", "key"}, 5, 0, draw_normal},
    {"uniform", {"shape", "lo", "hi", "like", "key"}, 5, 0, draw_uniform},
    {"exponential", {"shape", "rate", "like", "key"}, 4, 0, draw_exponential},
    {"laplace", {"shape", "mean", "scale", "like", "key"}, 5, 0, draw_laplace},
    {"gumbel", {"shape", "like", "key"}, 3, 0, draw_gumbel},
    {"rademacher", {"shape", "like", "key"}, 3, 0, draw_rademacher},
    {"bits", {"shape", "like", "key"}, 3, 0, draw_bits},
    {"below", {"n", "shape", "like", "key"}, 4, 1, draw_below},
    {"bernoulli", {"p", "shape", "like", "key"}, 4, 1, draw_bernoulli},
    {"categorical", {"logits", "p", "shape", "key"}, 4, 0, draw_categorical},
    {"gamma", {"alpha", "shape", "scale", "like", "key"}, 5, 1, draw_gamma},
    {"beta", {"a", "b", "shape", "like", "key"}, 5, 2, draw_beta},
    {"permutation", {"n", "key"}, 2, 1, draw_permutation},
    {"choice", {"n", "k", "key"}, 3, 2, draw_choice},
};

/* ---- reading the call ---- */

static lg_value *named(int kind, lg_value *const *v, const char *name) {
    for (int i = 0; i < kinds[kind].n; i++)
        if (!strcmp(kinds[kind].names[i], name))
            return v[i];
    return NULL;
}

static bool read_shape(draw *d, lg_value *shape) {
    lg_elab *E = d->E;
    lg_value *one[1] = {shape}, **item = one;
    int n = 1;
    if (!shape)
        return true;
    d->sized = true;
    if (shape->kind == LG_V_LIST) {
        n = shape->list.n;
        item = shape->list.at;
    } else if (shape->kind == LG_V_TENSOR && shape->t.rank) {
        lg_diag *g = lg_err(E, "E0220", shape->at, "`rand %s` wants sizes, got %s", d->name,
                            lg_v_type_text(E, shape));
        lg_diag_help(g, "write `rand %s(like=...)` for as many as there are", d->name);
        return false;
    }
    if (n > LG_MAX_RANK) {
        lg_err(E, "E0213", d->at, "more than %d dims at once", LG_MAX_RANK);
        return false;
    }
    for (d->rank = 0; d->rank < n; d->rank++) {
        lg_value *v = item[d->rank];
        lg_dim *s = lg_v_to_dim(E, v, v->at.file ? v->at : d->at);
        if (!s && v->kind == LG_V_NUM && !v->num.known)
            s = lg_dim_var(E->dims, lg_intern("n"), d->at);
        if (!s)
            return false;
        d->dim[d->rank] = s;
    }
    return true;
}

static void shape_like(draw *d, const lg_value *like) {
    if (like->kind != LG_V_TENSOR)
        return;
    d->sized = true;
    d->rank = like->t.rank;
    memcpy(d->dim, like->t.dim, sizeof *d->dim * (size_t)like->t.rank);
    if (lg_dtype_is_float(like->t.dtype))
        d->dtype = like->t.dtype;
}

typedef struct {
    draw *d;
    int kind;
    uint64_t place;
    int leaf;
} like_record;

static lg_value *draw_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)E;
    (void)n;
    (void)at;
    like_record *l = ctx;
    draw d = *l->d;
    d.place = lg_hash_mix(l->place, (uint64_t)++l->leaf);
    shape_like(&d, leaf[0]);
    return kinds[l->kind].make(&d);
}

static lg_value *make(draw *d, int kind, lg_value *like) {
    if (!like)
        return kinds[kind].make(d);
    like = lg_arrayed(d->E, like, d->at);
    if (like->kind == LG_V_OPAQUE || like->kind == LG_V_ERROR)
        return like;
    if (lg_v_is_vector(like)) {
        like_record l = {d, kind, d->place, 0};
        return lg_leafwise(d->E, draw_leaf, &l, 1, &like, d->at);
    }
    shape_like(d, like);
    return kinds[kind].make(d);
}

static int kind_of(lg_elab *E, const lg_ast *call) {
    const char *names[LG_COUNT(kinds)];
    const lg_ast *c = call->kind == LG_A_CALL ? call->kid[0] : call;
    for (size_t i = 0; i < LG_COUNT(kinds); i++) {
        names[i] = kinds[i].name;
        if (c->kind == LG_A_NAME && !strcmp(c->name, kinds[i].name))
            return (int)i;
    }
    lg_diag *d = lg_err(E, "E0225", c->span, "there is no `rand %s`", lg_ast_text(E->arena, c));
    const char *near = c->kind == LG_A_NAME ? lg_nearest(c->name, names, LG_COUNT(kinds)) : NULL;
    lg_buf b = {0};
    for (size_t i = 0; i < LG_COUNT(kinds); i++)
        lg_buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    if (near)
        lg_diag_help(d, "did you mean `rand %s`?", near);
    else
        lg_diag_note(d, "there are %s", b.at);
    lg_buf_free(&b);
    return -1;
}

static int read_args(lg_elab *E, const lg_ast *call, lg_arg *arg) {
    int n = 0;
    for (uint32_t i = 1; call->kind == LG_A_CALL && i < call->n && n < MOST_ARGS; i++) {
        const lg_ast *k = call->kid[i];
        bool is_named = k->kind == LG_A_NAMED;
        if (k->kind == LG_A_SPREAD) {
            lg_err(E, "E0220", k->span, "arguments of `rand` are written out");
            return -1;
        }
        const lg_ast *e = is_named ? k->kid[0] : k;
        arg[n++] = (lg_arg){is_named ? k->name : NULL, lg_expr(E, e), k, e->span};
    }
    return n;
}

lg_value *lg_rand(lg_elab *E, const lg_ast *e) {
    const lg_ast *call = e->kid[0];
    int kind = kind_of(E, call);
    lg_arg arg[MOST_ARGS];
    int n = kind < 0 ? -1 : read_args(E, call, arg);
    if (n < 0)
        return lg_v_error(E, e->span);
    draw d = {.E = E, .at = e->span, .name = kinds[kind].name, .dtype = E->frame->float_dtype};
    if (!lg_args(E, lg_txt(E, "rand %s", d.name), n, arg, e->span, kinds[kind].n, kinds[kind].names,
                 kinds[kind].required, d.arg))
        return lg_v_error(E, e->span);
    lg_frame *f = lg_counting_frame(E->frame);
    d.place = hash_text(d.name, lg_hash_mix(f->path_hash, ++f->rand_count));
    d.key = named(kind, d.arg, "key");
    if (d.key)
        d.key = lg_to_tensor(E, d.key, LG_I64, e->span);
    if (d.key &&
        (d.key->kind != LG_V_TENSOR || d.key->t.rank || !lg_dtype_is_int(d.key->t.dtype))) {
        lg_err(E, "E0220", e->span, "key= is one integer for each draw");
        return lg_v_error(E, e->span);
    }
    if (!read_shape(&d, named(kind, d.arg, "shape")))
        return lg_v_error(E, e->span);
    return make(&d, kind, named(kind, d.arg, "like"));
}
