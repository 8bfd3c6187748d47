/* gradcheck.c: `check gradcheck(f)` and `check order(f, n)`: derivatives of a function against
 * central differences in f64, at random inputs made from its signature. Not for the ops
 * (tests/ops). */
#include "compiler/host/inside.h"
#include "runtime/rng.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 32, TRIES = 3 };
static const double STEP = 1e-5, TOLERANCE = 1e-5;

typedef struct {
    lg_elab *E;
    lg_frame *dims; /* sizes of the names of dims in the signature */
    lg_graph *g;
    lg_span at;
    int n; /* arguments */
    lg_arg arg[MOST];
    int n_x; /* those that are differentiated by: inputs 0 .. n_x of the graph */
    lg_node *x[MOST];
    int64_t next_size;
    uint64_t seed;
} probe;

/* Every name of a dim gets a size of its own, so that a mix-up shows. */
static void size_names(probe *p, const lg_ast *e) {
    if (!e)
        return;
    if (e->kind == LG_A_NAME && !lg_lookup_dim(p->E, p->dims, e->name)) {
        lg_dim *d = lg_dim_var(p->E->dims, e->name, e->span);
        lg_dim_set(d, p->next_size++);
        lg_frame_add_dim(p->E, p->dims, e->name, d);
    }
    for (uint32_t i = 0; i < e->n; i++)
        size_names(p, e->kid[i]);
}

static lg_dim *size_of(probe *p, const lg_ast *e) {
    if (e->kind != LG_A_PACK && e->kind != LG_A_ELLIPSIS)
        return lg_dim_expr(p->E, p->dims, e);
    lg_sym name = e->name ? e->name : lg_intern("...");
    for (size_t i = 0; i < p->dims->dims.n; i++)
        if (p->dims->dims.at[i].name == name)
            return p->dims->dims.at[i].dim;
    lg_dim *d = lg_dim_var(p->E->dims, name, e->span);
    lg_dim_set(d, 2);
    lg_frame_add_dim(p->E, p->dims, name, d);
    return d;
}

static lg_tensor *random_tensor(probe *p, lg_dtype t, int rank, const int64_t *shape,
                                int64_t below) {
    lg_tensor *x = lg_tensor_new(t, rank, shape);
    double *u = lg_alloc(sizeof *u * (x->n ? x->n : 1));
    uint64_t key = lg_hash_mix(0x67726164u, p->seed++);
    if (lg_dtype_is_float(t))
        lg_rng_normal_f64(key, 0, x->n, u);
    else
        lg_rng_uniform_f64(key, 0, x->n, u);
    for (size_t i = 0; i < x->n; i++)
        if (lg_dtype_is_float(t))
            lg_set_f64(t, x->data, i, u[i]);
        else
            lg_set_i64(t, x->data, i, (int64_t)(u[i] * (double)below));
    lg_free(u);
    return x;
}

/* An argument of the declared type, as an input (floats) or a constant. False after reporting. */
static bool make_argument(probe *p, const lg_ast *param) {
    lg_elab *E = p->E;
    const lg_ast *type = param->kid[0];
    if (!type || type->kind != LG_A_TYPE || (!type->n && param->kid[2]) ||
        (lg_dtype_from_name(type->name) == LG_NO_DTYPE && strcmp(type->name, "float") != 0)) {
        if (param->kid[2])
            return true; /* its default will do */
        lg_err(E, "E0242", p->at,
               "no random value can be made for `%s`: give the function as `fn (x: ...) = ...`",
               param->name);
        return false;
    }
    lg_dtype t = strcmp(type->name, "float") ? lg_dtype_from_name(type->name) : LG_F64;
    if (lg_dtype_is_float(t))
        t = LG_F64;
    lg_dim *dim[LG_MAX_RANK],
        *bound = param->kid[1] ? lg_dim_expr(E, p->dims, param->kid[1]) : NULL;
    int64_t shape[LG_MAX_RANK], below = 2;
    int rank = 0;
    for (uint32_t i = 0; i < type->n && rank < LG_MAX_RANK; i++) {
        dim[rank] = size_of(p, type->kid[i]);
        if (!dim[rank] || !lg_dim_value(dim[rank], &shape[rank]))
            return false;
        rank++;
    }
    if (bound)
        lg_dim_value(bound, &below);
    lg_tensor *x = random_tensor(p, t, rank, shape, t == LG_BOOL ? 2 : below);
    bool diff = lg_dtype_is_float(t);
    lg_node *node =
        diff ? lg_g_input(p->g, lg_type_make(t, rank, shape), p->at) : lg_g_const(p->g, x, p->at);
    lg_value *v = lg_v_tensor(E, t, rank, dim, node, p->at);
    v->t.bound = lg_dtype_is_int(t) ? bound : NULL;
    p->arg[p->n++] = (lg_arg){param->name, v, NULL, p->at};
    if (diff)
        p->x[p->n_x++] = node;
    lg_tensor_release(x);
    return true;
}

/* A builtin has no signature of ours: it gets one array. */
static void one_vector(probe *p) {
    lg_dim *dim = lg_dim_num(p->E->dims, 3);
    lg_node *node = lg_g_input(p->g, lg_type_make(LG_F64, 1, (int64_t[]){3}), p->at);
    p->arg[p->n++] = (lg_arg){NULL, lg_v_tensor(p->E, LG_F64, 1, &dim, node, p->at), NULL, p->at};
    p->x[p->n_x++] = node;
}

/* Sum over all leaves, each element times a weight of its own. */
static lg_node *weighted_sum(probe *p, lg_node *const *x, int n) {
    const lg_op *mul = lg_op_find("mul"), *add = lg_op_find("add"), *sum = lg_op_find("sum");
    lg_node *all = NULL;
    for (int i = 0; i < n; i++) {
        if (!x[i] || !lg_dtype_is_float(x[i]->type->dtype))
            continue;
        lg_node *y = lg_g_cast(p->g, x[i], LG_F64, p->at);
        lg_tensor *w = random_tensor(p, LG_F64, y->type->rank, y->type->shape, 0);
        lg_node *in[2] = {y, lg_g_const(p->g, w, p->at)};
        lg_tensor_release(w);
        lg_node *s = lg_g_elem(p->g, mul, 2, in, p->at);
        if (s->type->rank)
            s = lg_g_reduce(p->g, sum, s, (1u << s->type->rank) - 1, p->at);
        lg_node *two[2] = {all, s};
        all = all ? lg_g_elem(p->g, add, 2, two, p->at) : s;
    }
    return all;
}

/* <ds/dx, v> for a direction v that is a constant; *dir: its tensors. */
static lg_node *along(probe *p, lg_node *s, lg_tensor **dir) {
    lg_node *dx[MOST] = {0}, *one = lg_g_scalar(p->g, LG_F64, 1.0, p->at), *all = NULL;
    if (!lg_grad_vjp(p->E, p->g, 1, &s, &one, p->n_x, p->x, dx, p->at))
        return NULL;
    const lg_op *mul = lg_op_find("mul"), *add = lg_op_find("add"), *sum = lg_op_find("sum");
    for (int i = 0; i < p->n_x; i++) {
        dir[i] = random_tensor(p, LG_F64, p->x[i]->type->rank, p->x[i]->type->shape, 0);
        if (!dx[i])
            continue;
        lg_node *in[2] = {dx[i], lg_g_const(p->g, dir[i], p->at)},
                *t = lg_g_elem(p->g, mul, 2, in, p->at);
        if (t->type->rank)
            t = lg_g_reduce(p->g, sum, t, (1u << t->type->rank) - 1, p->at);
        lg_node *two[2] = {all, t};
        all = all ? lg_g_elem(p->g, add, 2, two, p->at) : t;
    }
    return all ? all : lg_g_scalar(p->g, LG_F64, 0.0, p->at);
}

static bool value_at(probe *p, lg_plan *plan, lg_tensor *const *x, lg_tensor *const *dir, double h,
                     int n_out, double *out) {
    lg_tensor *moved[MOST];
    const void *in[MOST];
    void *res[MOST];
    for (int i = 0; i < p->n_x; i++) {
        moved[i] = lg_tensor_cast(x[i], LG_F64);
        for (size_t k = 0; h != 0.0 && k < moved[i]->n; k++)
            ((double *)moved[i]->data)[k] += h * ((const double *)dir[i]->data)[k];
        in[i] = moved[i]->data;
    }
    for (int i = 0; i < n_out; i++)
        res[i] = &out[i];
    lg_fault fault = {.row = -1};
    bool ok = lg_plan_run(plan, in, res, &fault);
    for (int i = 0; i < p->n_x; i++)
        lg_tensor_release(moved[i]);
    if (!ok)
        lg_host_fault(p->E, &fault, p->at);
    return ok;
}

/* Orders 1 .. n: each is the derivative of the one before along a direction. */
static bool compare(probe *p, lg_node *s, int n) {
    lg_tensor *dir[8][MOST] = {{0}}, *x[MOST];
    lg_node *level[9] = {s};
    for (int k = 0; k < n; k++) {
        level[k + 1] = along(p, level[k], dir[k]);
        if (!level[k + 1])
            return false;
    }
    for (int k = 0; k <= n; k++)
        lg_g_output(p->g, level[k], -1, NULL);
    lg_plan *plan = lg_plan_new(p->g, NULL);
    bool ok = true;
    for (int t = 0; ok && t < TRIES; t++) {
        for (int i = 0; i < p->n_x; i++)
            x[i] = random_tensor(p, LG_F64, p->x[i]->type->rank, p->x[i]->type->shape, 0);
        double at[9], up[9], down[9];
        for (int k = 0; ok && k < n; k++) {
            ok = value_at(p, plan, x, dir[k], 0, n + 1, at) &&
                 value_at(p, plan, x, dir[k], STEP, n + 1, up) &&
                 value_at(p, plan, x, dir[k], -STEP, n + 1, down);
            double want = (up[k] - down[k]) / (2 * STEP), scale = 1 + fabs(want) + fabs(at[k]);
            if (ok && !(fabs(at[k + 1] - want) <= TOLERANCE * scale)) {
                lg_diag *d =
                    lg_err(p->E, "E0520", p->at,
                           "the derivative of order %d is %.10g, by differences it is %.10g", k + 1,
                           at[k + 1], want);
                lg_diag_note(d, "at random inputs, along a random direction");
                ok = false;
            }
        }
        for (int i = 0; i < p->n_x; i++)
            lg_tensor_release(x[i]);
    }
    for (int k = 0; k < n; k++)
        for (int i = 0; i < p->n_x; i++)
            lg_tensor_release(dir[k][i]);
    lg_plan_free(plan);
    return ok;
}

lg_value *lg_gradcheck(lg_elab *E, lg_value *fn, int order, lg_span at) {
    lg_host *H = lg_host_of(E);
    if (!H->keep)
        return lg_v_unknown(E, false, true, at);
    bool plain = fn->kind == LG_V_BUILTIN;
    if (!plain && (fn->kind != LG_V_FN || fn->fn.decl->kind == LG_A_FNTYPE)) {
        if (fn->kind != LG_V_ERROR)
            lg_err(E, "E0205", at, "a function is wanted, got %s", lg_v_type_text(E, fn));
        return lg_v_error(E, at);
    }
    const lg_ast *decl = plain ? NULL : fn->fn.decl;
    const lg_ast *params = plain                       ? NULL
                           : decl->kind == LG_A_LAMBDA ? decl->kid[0]
                                                       : decl->kid[LG_D_PARAMS];
    lg_dtype was = E->float_dtype;
    lg_context c = lg_host_enter(E, lg_graph_new(NULL), false);
    E->step = &H->step;
    E->float_dtype = LG_F64;
    probe p = {.E = E, .g = E->g, .at = at, .next_size = 3};
    p.dims = lg_frame_new(E, LG_F_BLOCK, plain ? H->main->frame : fn->fn.env);
    p.dims->float_dtype = LG_F64;
    E->frame = p.dims;
    bool ok = true;
    for (uint32_t i = 0; params && i < params->n; i++)
        for (uint32_t k = 0; params->kid[i]->kid[0] && k < params->kid[i]->kid[0]->n; k++)
            size_names(&p, params->kid[i]->kid[0]->kid[k]);
    for (uint32_t i = 0; params && i < params->n && p.n < MOST; i++)
        ok = ok && make_argument(&p, params->kid[i]);
    if (plain)
        one_vector(&p);
    if (ok && !p.n_x) {
        lg_err(E, "E0242", at, "this function has no float argument to differentiate by");
        ok = false;
    }
    lg_value *y = ok ? lg_call_value(E, fn, p.n, p.arg, at) : lg_v_error(E, at);
    ok = ok && y->kind != LG_V_ERROR;
    if (ok) {
        lg_leaf *leaf;
        int n = lg_v_leaves(E, y, &leaf);
        lg_node **node = LG_NEW_N(E->arena, lg_node *, n + 1);
        for (int i = 0; i < n; i++)
            node[i] =
                leaf[i].value->kind == LG_V_TENSOR ? lg_import(E, leaf[i].value->t.node) : NULL;
        lg_node *s = weighted_sum(&p, node, n);
        if (!s)
            lg_err(E, "E0242", at, "this function has no float result");
        ok = s && compare(&p, s, order);
    }
    lg_graph_free(p.g);
    E->float_dtype = was;
    lg_host_leave(E, &c);
    return ok ? lg_v_bool(E, true, at) : lg_v_error(E, at);
}
