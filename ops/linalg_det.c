/* linalg_det.c: inverses and determinants of square matrices, with their cofactors. */
#include "ops/linalg.h"
#include <math.h>
#include <string.h>

/* ---- inverse and determinants ---- */

typedef struct {
    lapack_int *pivot;
    void *lu, *work;
    int work_n;
} lu_parts;

static size_t lu_cut(const lg_node *y, char *base, lu_parts *o) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    lg_cutter k = {base, 0};
    o->work_n = 64 * s.n;
    o->pivot = lg_linalg_cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->lu = lg_linalg_cut(&k, s.mn, s.size);
    o->work = lg_linalg_cut(&k, (size_t)o->work_n, s.size);
    return k.used;
}

static size_t lu_scratch(const lg_node *y) {
    lu_parts o;
    return lu_cut(y, NULL, &o);
}

/* in: a[.., N, N]; out: its inverse. The inverse of the transpose is the transpose's inverse, so
 * rows and columns need no exchange. */
static bool inv_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    lu_parts o;
    lu_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        void *x = lg_linalg_out_at(c, 0, b, s.mn, s.size);
        memcpy(x, lg_linalg_in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!lg_linalg_all_finite(s.t, x, s.mn))
            return lg_linalg_fail_finite(c, b);
        if (lg_linalg_getrf(s.t, s.n, x, o.pivot) != 0)
            return c->node->attr.p[0] ? lg_linalg_fail_derivative(c, b)
                                      : lg_linalg_fail_singular(c, b);
        lg_linalg_getri(s.t, s.n, x, o.pivot, o.work, o.work_n);
    }
    return true;
}

/* da = -y' dy y' */
static bool inv_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *t = lg_rule_t(&r, y);
    dx[0] = lg_rule_op1(&r, "neg", lg_rule_dot(&r, lg_rule_dot(&r, t, dy[0]), t));
    return true;
}

const lg_op lg_op_inv = {
    .name = "inv",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = inv_vjp,
    .run = inv_run,
    .scratch = lu_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Inverse of a square matrix; prefer solve where it serves.",
    .example = "inv([[2.0, 0.0], [0.0, 4.0]])",
    .result = "[[0.5, 0], [0, 0.25]]",
};

/* Sign and logarithm of the size of a determinant; a copy of a is factored in o->lu. */
static bool log_det(const lg_call *c, const lg_mats *s, size_t b, lu_parts *o, double *sign,
                    double *log_abs) {
    memcpy(o->lu, lg_linalg_in_at(c, 0, b, s->mn, s->size), s->mn * s->size);
    *sign = 1;
    *log_abs = 0;
    if (!lg_linalg_all_finite(s->t, o->lu, s->mn))
        return lg_linalg_fail_finite(c, b);
    if (s->n > 0)
        lg_linalg_getrf(s->t, s->n, o->lu, o->pivot);
    for (int i = 0; i < s->n; i++) {
        double d = lg_linalg_get(s->t, o->lu, (size_t)i * (size_t)s->n + (size_t)i);
        *sign *= (d > 0) - (d < 0);
        *sign *= o->pivot[i] == i + 1 ? 1 : -1;
        *log_abs += log(fabs(d));
    }
    return true;
}

static bool slogdet_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    lu_parts o;
    lu_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch; b++) {
        double sign, log_abs;
        if (!log_det(c, &s, b, &o, &sign, &log_abs))
            return false;
        lg_linalg_put(s.t, c->out[0], b, sign);
        lg_linalg_put(s.t, c->out[1], b, log_abs);
    }
    return true;
}

static bool det_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    lu_parts o;
    lu_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch; b++) {
        double sign, log_abs, det;
        if (!log_det(c, &s, b, &o, &sign, &log_abs))
            return false;
        det = 1;
        for (size_t i = 0, n = (size_t)s.n; i < n; i++)
            det *= fabs(lg_linalg_get(s.t, o.lu, i * n + i));
        lg_linalg_put(s.t, c->out[0], b, sign * det);
    }
    return true;
}

/* v[...] as [..., N, N] */
static lg_node *to_matrices(const lg_rule_ctx *r, lg_node *v, int64_t n) {
    return lg_rule_cols(r, lg_rule_cols(r, v, n), n);
}

/* The transposed inverse of a, for a rule. */
static lg_node *inverse_t(const lg_rule_ctx *r, lg_node *a) {
    return lg_rule_t(r, lg_rule_kernel(r, &lg_op_inv, 1, &a, a->type, (int64_t[]){true}, 1));
}

/* da = dd times the cofactors, which a singular matrix has too. */
static bool det_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *a = y->in[0], *c = lg_rule_kernel(&r, &lg_op_cofactors, 1, &a, a->type, NULL, 0);
    dx[0] = lg_rule_op2(&r, "mul", to_matrices(&r, dy[0], lg_linalg_last_axis(a, 1)), c);
    return true;
}

static bool slogdet_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *a = y->in[0];
    if (dy[1])
        dx[0] = lg_rule_op2(&r, "mul", to_matrices(&r, dy[1], lg_linalg_last_axis(a, 1)),
                            inverse_t(&r, a));
    return true;
}

const lg_op lg_op_det = {
    .name = "det",
    .sig = "(a: float[...S, N, N]) -> float[...S]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = det_vjp,
    .run = det_run,
    .scratch = lu_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Determinant. Its derivative is the matrix of cofactors, also where it is 0; a second "
           "derivative needs a matrix that is not singular.",
    .example = "det([[2.0, 1.0], [1.0, 2.0]])",
    .result = "3",
};

const lg_op lg_op_slogdet = {
    .name = "slogdet",
    .sig = "(a: float[...S, N, N]) -> {sign: float[...S], logdet: float[...S]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = slogdet_vjp,
    .n_out = 2,
    .run = slogdet_run,
    .scratch = lu_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Sign and logarithm of the absolute value of the determinant (0 and -inf when singular; "
           "there the derivative ends the run).",
    .example = "slogdet([[1.0, 0.0], [0.0, -1.0]]).sign",
    .result = "-1",
};

/* ---- cofactors ---- */

typedef struct {
    lg_svd_parts svd;
    lapack_int *pivot;
    void *u, *s, *vt, *lu;
} cofactor_parts;

static size_t cofactor_cut(const lg_node *y, char *base, cofactor_parts *o) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    lg_cutter k = {base, lg_linalg_svd_cut(y, base, &o->svd)};
    o->pivot = lg_linalg_cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->u = lg_linalg_cut(&k, s.mn, s.size);
    o->s = lg_linalg_cut(&k, (size_t)s.n, s.size);
    o->vt = lg_linalg_cut(&k, s.mn, s.size);
    o->lu = lg_linalg_cut(&k, s.mn, s.size);
    return k.used;
}

static size_t cofactor_scratch(const lg_node *y) {
    cofactor_parts o;
    return cofactor_cut(y, NULL, &o);
}

/* 1 or -1: the determinant of an orthogonal matrix, which is overwritten. */
static double turn_of(lg_dtype t, int n, void *q, lapack_int *pivot) {
    double sign = 1;
    lg_linalg_getrf(t, n, q, pivot);
    for (int i = 0; i < n; i++)
        sign *= (lg_linalg_get(t, q, (size_t)i * (size_t)n + (size_t)i) < 0) == (pivot[i] == i + 1)
                    ? -1
                    : 1;
    return sign;
}

/* w[k] = the product of all s but the k-th */
static void others(lg_dtype t, const void *s, size_t n, double sign, void *w) {
    for (size_t k = 0; k < n; k++) {
        double p = sign;
        for (size_t i = 0; i < n; i++)
            p *= i == k ? 1 : lg_linalg_get(t, s, i);
        lg_linalg_put(t, w, k, p);
    }
}

/* in: a[.., N, N]; out: its cofactors. With a = u diag(s) v' they are det(u v') u diag(w) v', w[k]
 * the product of the other singular values: without a division, so right for every rank. */
static bool cofactors_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    size_t n = (size_t)s.n;
    cofactor_parts o;
    cofactor_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && n > 0; b++) {
        const void *a = lg_linalg_in_at(c, 0, b, s.mn, s.size);
        void *y = lg_linalg_out_at(c, 0, b, s.mn, s.size);
        memcpy(o.svd.a, a, s.mn * s.size);
        if (!lg_linalg_all_finite(s.t, a, s.mn))
            return lg_linalg_fail_finite(c, b);
        if (lg_linalg_gesdd(s.t, s.n, s.n, o.svd.a, o.s, o.vt, o.u, o.svd.work, o.svd.work_n,
                            o.svd.iwork) != 0)
            return lg_linalg_fail_rounds(c, b);
        memcpy(o.lu, o.u, s.mn * s.size);
        double sign = turn_of(s.t, s.n, o.lu, o.pivot);
        memcpy(o.lu, o.vt, s.mn * s.size);
        sign *= turn_of(s.t, s.n, o.lu, o.pivot);
        others(s.t, o.s, n, sign, o.svd.work);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t k = 0; k < n; k++)
                    sum += lg_linalg_get(s.t, o.u, i * n + k) * lg_linalg_get(s.t, o.svd.work, k) *
                           lg_linalg_get(s.t, o.vt, k * n + j);
                lg_linalg_put(s.t, y, i * n + j, sum);
            }
    }
    return true;
}

/* With z = a^-T: da = sum(dy*y) z - y dy' z */
static bool cofactors_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    int rank = y->type[0].rank;
    lg_node *z = inverse_t(&r, y->in[0]);
    lg_node *sum = lg_g_reduce(r.g, lg_op_find("sum"), lg_rule_op2(&r, "mul", dy[0], y),
                               3u << (rank - 2), r.at);
    lg_node *all = lg_rule_op2(&r, "mul", to_matrices(&r, sum, lg_linalg_last_axis(y, 1)), z);
    lg_node *own = lg_rule_dot(&r, lg_rule_dot(&r, y, lg_rule_t(&r, dy[0])), z);
    dx[0] = lg_rule_op2(&r, "sub", all, own);
    return true;
}

const lg_op lg_op_cofactors = {
    .name = "cofactors",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = cofactors_vjp,
    .run = cofactors_run,
    .scratch = cofactor_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Matrix of cofactors, the derivative of det: det(a) times the transposed inverse, and "
           "its limit where a is singular. Its own derivative needs a matrix that is not singular.",
    .example = "cofactors([[1.0, 2.0], [2.0, 4.0]])",
    .result = "[[4, -2], [-2, 1]]",
};
