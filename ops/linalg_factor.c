/* linalg_factor.c: QR, singular values and eigenvalues of symmetric matrices. Signs are those
 * LAPACK gives. */
#include "ops/linalg.h"
#include <math.h>
#include <string.h>

/* ---- qr ---- */

typedef struct {
    void *a, *tau, *work;
    int work_n;
} qr_parts;

static size_t qr_cut(const lg_node *y, char *base, qr_parts *o) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    lg_cutter k = {base, 0};
    o->work_n = 64 * (s.m > s.n ? s.m : s.n);
    o->a = lg_linalg_cut(&k, s.mn, s.size);
    o->tau = lg_linalg_cut(&k, (size_t)(s.m < s.n ? s.m : s.n), s.size);
    o->work = lg_linalg_cut(&k, (size_t)o->work_n, s.size);
    return k.used;
}

static size_t qr_scratch(const lg_node *y) {
    qr_parts o;
    return qr_cut(y, NULL, &o);
}

/* r[k][n] = the upper triangle of the columns a[n][m] */
static void upper_of(lg_dtype t, const void *a, int m, int n, int k, void *r) {
    for (size_t i = 0; i < (size_t)k; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            lg_linalg_put(t, r, i * (size_t)n + j,
                          j < i ? 0 : lg_linalg_get(t, a, j * (size_t)m + i));
}

/* in: a[.., M, N]; out: q[.., M, K], r[.., K, N], K = min(M, N) */
static bool qr_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    int k = s.m < s.n ? s.m : s.n;
    qr_parts o;
    qr_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && k > 0; b++) {
        const void *a = lg_linalg_in_at(c, 0, b, s.mn, s.size);
        if (!lg_linalg_all_finite(s.t, a, s.mn))
            return lg_linalg_fail_finite(c, b);
        lg_linalg_transpose(s.t, a, s.m, s.n, o.a);
        lg_linalg_geqrf(s.t, s.m, s.n, o.a, o.tau, o.work, o.work_n);
        upper_of(s.t, o.a, s.m, s.n, k, lg_linalg_out_at(c, 1, b, (size_t)k * (size_t)s.n, s.size));
        lg_linalg_orgqr(s.t, s.m, k, o.a, o.tau, o.work, o.work_n);
        lg_linalg_transpose(s.t, o.a, k, s.m,
                            lg_linalg_out_at(c, 0, b, (size_t)k * (size_t)s.m, s.size));
    }
    return true;
}

/* M >= N: da = (dq + q copyltu(r dr' - dq' q)) r^-T; dq or dr may be NULL, not both. */
static lg_node *qr_tall(const lg_rule_ctx *r, lg_node *q, lg_node *up, lg_node *dq, lg_node *dr) {
    lg_node *m = NULL;
    if (dr)
        m = lg_rule_dot(r, up, lg_rule_t(r, lg_rule_part(r, dr, "le")));
    if (dq)
        m = lg_rule_sum(r, m, lg_rule_op1(r, "neg", lg_rule_dot(r, lg_rule_t(r, dq), q)));
    lg_node *sym =
        lg_rule_op2(r, "add", lg_rule_part(r, m, "ge"), lg_rule_t(r, lg_rule_part(r, m, "gt")));
    lg_node *w = lg_rule_sum(r, lg_rule_dot(r, q, sym), dq);
    return lg_rule_t(r, lg_linalg_triangular(r, up, lg_rule_t(r, w), false, false, false));
}

/* M < N: a = [x, z] with x square and r = [u, v]: q u = x, v = q' z. */
static lg_node *qr_wide(const lg_rule_ctx *r, lg_node *a, lg_node *q, lg_node *up, lg_node *dq,
                        lg_node *dr) {
    int axis = a->type[0].rank - 1;
    int64_t m = lg_linalg_last_axis(a, 2), n = lg_linalg_last_axis(a, 1);
    lg_node *u = lg_g_slice(r->g, up, axis, 0, m, 1, r->at);
    if (!dr)
        return lg_g_concat(
            r->g, 2,
            (lg_node *[]){qr_tall(r, q, u, dq, NULL),
                          lg_g_fill(r->g, lg_rule_type(a, 1, 1, &(int64_t){n - m}), 0, r->at)},
            axis, r->at);
    lg_node *z = lg_g_slice(r->g, a, axis, m, n - m, 1, r->at);
    lg_node *du = lg_g_slice(r->g, dr, axis, 0, m, 1, r->at);
    lg_node *dv = lg_g_slice(r->g, dr, axis, m, n - m, 1, r->at);
    dq = lg_rule_sum(r, dq, lg_rule_dot(r, z, lg_rule_t(r, dv)));
    lg_node *parts[2] = {qr_tall(r, q, u, dq, du), lg_rule_dot(r, q, dv)};
    return lg_g_concat(r->g, 2, parts, axis, r->at);
}

static bool qr_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *a = y->in[0], *q = lg_g_item(r.g, y, 0), *up = lg_g_item(r.g, y, 1);
    if (!dy[0] && !dy[1])
        return true;
    dx[0] = lg_linalg_last_axis(a, 2) >= lg_linalg_last_axis(a, 1)
                ? qr_tall(&r, q, up, dy[0], dy[1])
                : qr_wide(&r, a, q, up, dy[0], dy[1]);
    return true;
}

const lg_op lg_op_qr = {
    .name = "qr",
    .sig = "(a: float[...S, M, N]) -> {q: float[...S, M, min(M, N)], r: float[...S, min(M, N), N]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = qr_vjp,
    .n_out = 2,
    .run = qr_run,
    .scratch = qr_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Reduced QR factorisation a = q r: orthonormal columns times an upper triangle.",
    .example = "abs(qr([[3.0], [4.0]]).r)",
    .result = "[[5]]",
};

/* ---- svd ---- */

static int svd_work(lg_dtype t, int m, int n) {
    double dummy[2] = {0};
    lapack_int i = 0;
    lg_linalg_gesdd(t, m, n, dummy, dummy, dummy, dummy, dummy, -1, &i);
    return (int)lg_linalg_get(t, dummy, 0) + 64;
}

size_t lg_linalg_svd_cut(const lg_node *y, char *base, lg_svd_parts *o) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    lg_cutter k = {base, 0};
    o->work_n = s.mn && lg_lapack_ready(NULL, y) ? svd_work(s.t, s.n, s.m) : 0;
    o->a = lg_linalg_cut(&k, s.mn, s.size);
    o->iwork = lg_linalg_cut(&k, 8 * (size_t)(s.m < s.n ? s.m : s.n), sizeof(lapack_int));
    o->work = lg_linalg_cut(&k, (size_t)o->work_n, s.size);
    return k.used;
}

static size_t svd_scratch(const lg_node *y) {
    lg_svd_parts o;
    return lg_linalg_svd_cut(y, NULL, &o);
}

/* in: a[.., M, N]; out: u[.., M, K], s[.., K] descending, vt[.., K, N]. By columns a is a' = v s
 * u', and v by columns is vt by rows: the two factors only change places. */
static bool svd_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    size_t k = (size_t)(s.m < s.n ? s.m : s.n);
    lg_svd_parts o;
    lg_linalg_svd_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && k > 0; b++) {
        memcpy(o.a, lg_linalg_in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!lg_linalg_all_finite(s.t, o.a, s.mn))
            return lg_linalg_fail_finite(c, b);
        void *u = lg_linalg_out_at(c, 0, b, (size_t)s.m * k, s.size),
             *w = lg_linalg_out_at(c, 1, b, k, s.size);
        void *vt = lg_linalg_out_at(c, 2, b, (size_t)s.n * k, s.size);
        if (lg_linalg_gesdd(s.t, s.n, s.m, o.a, w, vt, u, o.work, o.work_n, o.iwork) != 0)
            return lg_linalg_fail_rounds(c, b);
    }
    return true;
}

/* The part of the derivative inside the two spaces: [.., K, K]; NULL when nothing is asked. */
static lg_node *svd_core(const lg_rule_ctx *r, lg_node *u, lg_node *s, lg_node *v, lg_node *du,
                         lg_node *ds, lg_node *dv) {
    int64_t k = lg_linalg_last_axis(s, 1);
    lg_node *core = ds ? lg_linalg_diagonal(r, ds) : NULL;
    if (!du && !dv)
        return core;
    lg_node *f = lg_linalg_one_over_gaps(r, lg_rule_op2(r, "mul", s, s));
    if (du) {
        lg_node *x =
            lg_rule_op2(r, "mul", lg_linalg_skew(r, lg_rule_dot(r, lg_rule_t(r, u), du)), f);
        core = lg_rule_sum(r, core, lg_rule_op2(r, "mul", x, lg_rule_rows(r, s, k)));
    }
    if (dv) {
        lg_node *x =
            lg_rule_op2(r, "mul", lg_linalg_skew(r, lg_rule_dot(r, lg_rule_t(r, v), dv)), f);
        core = lg_rule_sum(r, core, lg_rule_op2(r, "mul", x, lg_rule_cols(r, s, k)));
    }
    return core;
}

/* (1 - u u') du / s, for the side whose columns do not span their space; 0 where s is 0 */
static lg_node *svd_outside(const lg_rule_ctx *r, lg_node *u, lg_node *s, lg_node *du) {
    lg_node *in = lg_rule_dot(r, u, lg_rule_dot(r, lg_rule_t(r, u), du));
    lg_node *zero = lg_g_fill(r->g, s->type[0], 0, r->at);
    lg_node *some = lg_rule_op2(r, "gt", s, zero);
    lg_node *one = lg_g_fill(r->g, s->type[0], 1, r->at);
    lg_node *over = lg_rule_op2(r, "div", one, lg_rule_choose(r, some, s, 1));
    over = lg_rule_choose(r, some, over, 0);
    return lg_rule_op2(r, "mul", lg_rule_op2(r, "sub", du, in),
                       lg_rule_rows(r, over, lg_linalg_last_axis(u, 2)));
}

static bool svd_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *u = lg_g_item(r.g, y, 0), *s = lg_g_item(r.g, y, 1), *vt = lg_g_item(r.g, y, 2);
    lg_node *v = lg_rule_t(&r, vt), *du = dy[0], *dv = dy[2] ? lg_rule_t(&r, dy[2]) : NULL;
    lg_node *core = svd_core(&r, u, s, v, du, dy[1], dv);
    if (!core)
        return true;
    int64_t k = lg_linalg_last_axis(s, 1);
    lg_node *left = lg_rule_dot(&r, u, core);
    if (du && lg_linalg_last_axis(u, 2) > k)
        left = lg_rule_sum(&r, left, svd_outside(&r, u, s, du));
    dx[0] = lg_rule_dot(&r, left, vt);
    if (dv && lg_linalg_last_axis(v, 2) > k)
        dx[0] =
            lg_rule_sum(&r, dx[0], lg_rule_dot(&r, u, lg_rule_t(&r, svd_outside(&r, v, s, dv))));
    return true;
}

const lg_op lg_op_svd = {
    .name = "svd",
    .sig = "(a: float[...S, M, N]) -> {u: float[...S, M, min(M, N)], s: float[...S, min(M, N)], "
           "vt: float[...S, min(M, N), N]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = svd_vjp,
    .n_out = 3,
    .run = svd_run,
    .scratch = svd_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Reduced singular value decomposition a = u diag(s) vt, s descending.",
    .example = "svd([[3.0, 0.0], [0.0, -4.0]]).s",
    .result = "[4, 3]",
};

/* ---- eigh ---- */

typedef struct {
    void *a, *work;
    lapack_int *iwork;
    int work_n, iwork_n;
} eigh_parts;

static size_t eigh_cut(const lg_node *y, char *base, eigh_parts *o) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    lg_cutter k = {base, 0};
    o->work_n = 1 + 6 * s.n + 2 * s.n * s.n;
    o->iwork_n = 3 + 5 * s.n;
    o->a = lg_linalg_cut(&k, s.mn, s.size);
    o->work = lg_linalg_cut(&k, (size_t)o->work_n, s.size);
    o->iwork = lg_linalg_cut(&k, (size_t)o->iwork_n, sizeof(lapack_int));
    return k.used;
}

static size_t eigh_scratch(const lg_node *y) {
    eigh_parts o;
    return eigh_cut(y, NULL, &o);
}

/* in: a[.., N, N], of which (a + a')/2 is taken; out: w[.., N] ascending, v[.., N, N] by columns */
static bool eigh_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    eigh_parts o;
    eigh_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        lg_linalg_symmetric(s.t, lg_linalg_in_at(c, 0, b, s.mn, s.size), s.n, o.a);
        if (!lg_linalg_all_finite(s.t, o.a, s.mn))
            return lg_linalg_fail_finite(c, b);
        void *w = lg_linalg_out_at(c, 0, b, (size_t)s.n, s.size);
        if (lg_linalg_syevd(s.t, s.n, o.a, w, o.work, o.work_n, o.iwork, o.iwork_n) != 0)
            return lg_linalg_fail_rounds(c, b);
        lg_linalg_transpose(s.t, o.a, s.n, s.n, lg_linalg_out_at(c, 1, b, s.mn, s.size));
    }
    return true;
}

/* da = sym(v (diag(dw) + (v' dv) / gaps) v') */
static bool eigh_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *w = lg_g_item(r.g, y, 0), *v = lg_g_item(r.g, y, 1);
    lg_node *core = dy[0] ? lg_linalg_diagonal(&r, dy[0]) : NULL;
    if (dy[1]) {
        lg_node *turn = lg_rule_dot(&r, lg_rule_t(&r, v), dy[1]);
        core = lg_rule_sum(&r, core, lg_rule_op2(&r, "mul", turn, lg_linalg_one_over_gaps(&r, w)));
    }
    if (!core)
        return true;
    lg_node *da = lg_rule_dot(&r, lg_rule_dot(&r, v, core), lg_rule_t(&r, v));
    dx[0] = lg_linalg_half_symmetric(&r, da);
    return true;
}

const lg_op lg_op_eigh = {
    .name = "eigh",
    .sig = "(a: float[...S, N, N]) -> {values: float[...S, N], vectors: float[...S, N, N]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = eigh_vjp,
    .n_out = 2,
    .run = eigh_run,
    .scratch = eigh_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Eigenvalues, ascending, and eigenvectors, as columns, of a symmetric matrix.",
    .example = "eigh([[2.0, 0.0], [0.0, 1.0]]).values",
    .result = "[1, 2]",
};
