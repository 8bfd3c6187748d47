/* linalg.c: factorisations and solvers of dense matrices, by LAPACK on one thread. Not for matrix
 * products (a class of their own) nor for norms and the like, which are written in the language.
 *
 * All take the last two axes as a matrix and the leading ones as a batch. LAPACK counts by columns:
 * a row-major matrix handed to it is its transpose, and most kernels below are arranged so that
 * this is what they want; the others copy. Signs are those LAPACK gives. */
#include "ops/build.h"
#include "ops/lapack.h"
#include <math.h>
#include <string.h>

/* ---- LAPACK by dtype: t is LG_F32 or LG_F64, arrays are by columns ---- */

#define PICK(t, name, ...)                                               \
    ((t) == LG_F64 ? lg_lapack_of.d##name(LAPACK_COL_MAJOR, __VA_ARGS__) \
                   : lg_lapack_of.s##name(LAPACK_COL_MAJOR, __VA_ARGS__))

static lapack_int potrf(lg_dtype t, int n, void *a) {
    return PICK(t, potrf_work, 'U', n, a, n);
}

static lapack_int getrf(lg_dtype t, int n, void *a, lapack_int *pivot) {
    return PICK(t, getrf_work, n, n, a, n, pivot);
}

static void getrs(lg_dtype t, int n, int m, const void *lu, const lapack_int *pivot, void *b) {
    (void)PICK(t, getrs_work, 'T', n, m, lu, n, pivot, b, n);
}

static void getri(lg_dtype t, int n, void *lu, const lapack_int *pivot, void *work, int size) {
    (void)PICK(t, getri_work, n, lu, n, pivot, work, size);
}

static void geqrf(lg_dtype t, int m, int n, void *a, void *tau, void *work, int size) {
    (void)PICK(t, geqrf_work, m, n, a, m, tau, work, size);
}

static void orgqr(lg_dtype t, int m, int k, void *a, const void *tau, void *work, int size) {
    (void)PICK(t, orgqr_work, m, k, k, a, m, tau, work, size);
}

static lapack_int gesdd(lg_dtype t, int m, int n, void *a, void *s, void *u, void *vt, void *work,
                        int size, lapack_int *iwork) {
    int k = m < n ? m : n;
    return PICK(t, gesdd_work, 'S', m, n, a, m, s, u, m, vt, k, work, size, iwork);
}

static lapack_int syevd(lg_dtype t, int n, void *a, void *w, void *work, int size,
                        lapack_int *iwork, int isize) {
    return PICK(t, syevd_work, 'V', 'L', n, a, n, w, work, size, iwork, isize);
}

/* ---- matrices of either dtype ---- */

typedef struct {
    lg_dtype t;
    size_t size, batch; /* bytes of an element; matrices */
    int m, n;           /* rows and columns */
    size_t mn;
} mats;

static mats mats_of(const lg_node *x) {
    const lg_type *t = &x->type[0];
    assert(t->rank >= 2 && (t->dtype == LG_F32 || t->dtype == LG_F64));
    mats s = {.t = t->dtype, .size = lg_dtype_size(t->dtype), .batch = 1};
    for (int d = 0; d < t->rank - 2; d++)
        s.batch *= (size_t)t->shape[d];
    s.m = (int)t->shape[t->rank - 2];
    s.n = (int)t->shape[t->rank - 1];
    s.mn = (size_t)s.m * (size_t)s.n;
    return s;
}

static const void *in_at(const lg_call *c, int i, size_t b, size_t n, size_t size) {
    return (const char *)c->in[i] + b * n * size;
}

static void *out_at(const lg_call *c, int i, size_t b, size_t n, size_t size) {
    return (char *)c->out[i] + b * n * size;
}

static double get(lg_dtype t, const void *p, size_t i) {
    return t == LG_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(lg_dtype t, void *p, size_t i, double v) {
    if (t == LG_F64)
        ((double *)p)[i] = v;
    else
        ((float *)p)[i] = (float)v;
}

static bool all_finite(lg_dtype t, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(get(t, p, i)))
            return false;
    return true;
}

/* out[n][m] = transpose of in[m][n] */
static void transpose(lg_dtype t, const void *in, int m, int n, void *out) {
    for (size_t i = 0; i < (size_t)m; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            if (t == LG_F64)
                ((double *)out)[j * (size_t)m + i] = ((const double *)in)[i * (size_t)n + j];
            else
                ((float *)out)[j * (size_t)m + i] = ((const float *)in)[i * (size_t)n + j];
}

/* out = (a + transpose of a) / 2 */
static void symmetric(lg_dtype t, const void *a, int n, void *out) {
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            put(t, out, i * (size_t)n + j,
                0.5 * get(t, a, i * (size_t)n + j) + 0.5 * get(t, a, j * (size_t)n + i));
}

/* Cuts the scratch of a call into pieces; with base NULL it only counts. */
typedef struct {
    char *base;
    size_t used;
} cutter;

static void *cut(cutter *s, size_t n, size_t size) {
    void *p = s->base ? s->base + s->used : NULL;
    s->used += (n * size + 63) & ~(size_t)63;
    return p;
}

static int64_t batch_row(const lg_node *y, size_t b) {
    const lg_type *t = &y->in[0]->type[0];
    if (t->rank < 3)
        return -1;
    for (int d = 1; d < t->rank - 2; d++)
        b /= (size_t)t->shape[d];
    return (int64_t)b;
}

static bool fail_finite(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0113", batch_row(c->node, b),
                        "%s of a matrix with infinite or undefined entries", c->node->op->name);
}

static bool fail_singular(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0110", batch_row(c->node, b),
                        "%s of a singular matrix", c->node->op->name);
}

/* An inverse that only a derivative asked for. */
static bool fail_derivative(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0110", batch_row(c->node, b),
                        "this derivative of a determinant has no value at a singular matrix");
}

static bool fail_rounds(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0112", batch_row(c->node, b), "%s did not converge",
                        c->node->op->name);
}

/* ---- shared pieces of the rules ---- */

static const lg_op op_triangular_solve, op_solve, op_inv;

static lg_node *solve_with(const lg_rule_ctx *r, lg_node *a, lg_node *b) {
    return lg_rule_kernel(r, &op_solve, 2, (lg_node *[]){a, b}, b->type, NULL, 0);
}

static lg_node *triangular(const lg_rule_ctx *r, lg_node *a, lg_node *b, bool lower,
                           bool transposed, bool unit) {
    const int64_t p[3] = {lower, transposed, unit};
    return lg_rule_kernel(r, &op_triangular_solve, 2, (lg_node *[]){a, b}, b->type, p, 3);
}

static lg_node *half_symmetric(const lg_rule_ctx *r, lg_node *x) {
    return lg_rule_scale(r, lg_rule_op2(r, "add", x, lg_rule_t(r, x)), 0.5);
}

static lg_node *skew(const lg_rule_ctx *r, lg_node *x) {
    return lg_rule_op2(r, "sub", x, lg_rule_t(r, x));
}

static int64_t last_axis(const lg_node *x, int back) {
    return x->type[0].shape[x->type[0].rank - back];
}

/* f[j, k] = 1/(w[k] - w[j]); 0 where they agree to rounding, so also on the diagonal. */
static lg_node *one_over_gaps(const lg_rule_ctx *r, lg_node *w) {
    int64_t n = last_axis(w, 1);
    double tol = w->type[0].dtype == LG_F64 ? 0x1p-48 : 0x1p-20;
    lg_node *wk = lg_rule_rows(r, w, n), *wj = lg_rule_cols(r, w, n);
    lg_node *gap = lg_rule_op2(r, "sub", wk, wj);
    lg_node *scale = lg_rule_op2(r, "add", lg_rule_op1(r, "abs", wk), lg_rule_op1(r, "abs", wj));
    lg_node *apart = lg_rule_op2(r, "gt", lg_rule_op1(r, "abs", gap), lg_rule_scale(r, scale, tol));
    lg_node *one = lg_g_fill(r->g, gap->type[0], 1, r->at);
    lg_node *safe = lg_rule_choose(r, apart, gap, 1);
    return lg_rule_choose(r, apart, lg_rule_op2(r, "div", one, safe), 0);
}

static lg_node *diagonal(const lg_rule_ctx *r, lg_node *v) {
    return lg_rule_part(r, lg_rule_rows(r, v, last_axis(v, 1)), "eq");
}

/* ---- cholesky ---- */

/* in: a[.., N, N], of which (a + a')/2 is taken; out: lower L with L L' = a. The lower triangle by
 * rows is the upper one by columns. */
static bool cholesky_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        char *l = out_at(c, 0, b, s.mn, s.size);
        symmetric(s.t, in_at(c, 0, b, s.mn, s.size), s.n, l);
        if (!all_finite(s.t, l, s.mn))
            return fail_finite(c, b);
        lapack_int pivot = potrf(s.t, s.n, l); /* the first that is not positive, from 1; 0: none */
        if (pivot != 0)
            return lg_fault_set(c->fault, c->node, "R0111", batch_row(c->node, b),
                                "cholesky of a matrix that is not positive definite: pivot %d",
                                (int)pivot - 1);
        for (size_t i = 0, n = (size_t)s.n; i < n; i++)
            memset(l + (i * n + i + 1) * s.size, 0, (n - i - 1) * s.size);
    }
    return true;
}

/* da = sym(L^-T P(L' dL) L^-1), P: lower triangle with half its diagonal. */
static bool cholesky_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *x = lg_rule_dot(&r, lg_rule_t(&r, y), lg_rule_part(&r, dy[0], "ge"));
    lg_node *p = lg_rule_op2(&r, "add", lg_rule_part(&r, x, "ge"), lg_rule_part(&r, x, "gt"));
    lg_node *left = triangular(&r, y, lg_rule_scale(&r, p, 0.5), true, true, false);
    lg_node *both = triangular(&r, y, lg_rule_t(&r, left), true, true, false);
    dx[0] = half_symmetric(&r, both);
    return true;
}

static int64_t cube_flops(const lg_node *y) {
    mats s = mats_of(y->in[0]);
    int64_t k = s.m < s.n ? s.m : s.n;
    return (int64_t)s.batch * s.m * s.n * k;
}

static const lg_op op_cholesky = {
    .name = "cholesky",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = cholesky_vjp,
    .run = cholesky_run,
    .flops = cube_flops,
    .doc = "Lower triangular factor L of a positive definite matrix: L L' = a.",
    .example = "cholesky([[4.0, 2.0], [2.0, 10.0]])",
    .result = "[[2, 0], [1, 3]]",
};

/* ---- solve ---- */

typedef struct {
    lapack_int *pivot;
    void *lu, *b;
} solve_parts;

static size_t solve_cut(const lg_node *y, char *base, solve_parts *o) {
    mats s = mats_of(y->in[0]), rhs = mats_of(y->in[1]);
    cutter k = {base, 0};
    o->pivot = cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->lu = cut(&k, s.mn, s.size);
    o->b = cut(&k, rhs.mn, s.size);
    return k.used;
}

static size_t solve_scratch(const lg_node *y) {
    solve_parts o;
    return solve_cut(y, NULL, &o);
}

/* in: a[.., N, N], b[.., N, M]; out: x[.., N, M] with a x = b. By columns a is a', so the
 * transposed system is solved; the right sides go through a copy by columns. */
static bool solve_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]), rhs = mats_of(c->node->in[1]);
    solve_parts o;
    solve_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0 && rhs.n > 0; b++) {
        const void *right = in_at(c, 1, b, rhs.mn, s.size);
        memcpy(o.lu, in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!all_finite(s.t, o.lu, s.mn) || !all_finite(s.t, right, rhs.mn))
            return fail_finite(c, b);
        if (getrf(s.t, s.n, o.lu, o.pivot) != 0)
            return fail_singular(c, b);
        transpose(s.t, right, rhs.m, rhs.n, o.b);
        getrs(s.t, s.n, rhs.n, o.lu, o.pivot, o.b);
        transpose(s.t, o.b, rhs.n, rhs.m, out_at(c, 0, b, rhs.mn, s.size));
    }
    return true;
}

/* db = a^-T dx, da = -db x' */
static bool solve_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    dx[1] = solve_with(&r, lg_rule_t(&r, y->in[0]), dy[0]);
    dx[0] = lg_rule_op1(&r, "neg", lg_rule_dot(&r, dx[1], lg_rule_t(&r, y)));
    return true;
}

static const lg_op op_solve = {
    .name = "solve",
    .sig = "(a: float[...S, N, N], b: float[...S, N, M]) -> float[...S, N, M]",
    .cls = LG_C_KERNEL,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = solve_vjp,
    .run = solve_run,
    .scratch = solve_scratch,
    .flops = cube_flops,
    .doc = "Solution x of a x = b.",
    .example = "solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]])",
    .result = "[[1], [0.5]]",
};

/* ---- triangular_solve: p = {lower, transposed, unit diagonal} ---- */

static bool has_zero_diagonal(lg_dtype t, const void *a, int n) {
    for (size_t i = 0; i < (size_t)n; i++)
        if (get(t, a, i * (size_t)n + i) == 0)
            return true;
    return false;
}

static void trsm(lg_dtype t, const int64_t *p, int n, int m, const void *a, void *b) {
    CBLAS_UPLO part = p[0] ? CblasLower : CblasUpper;
    CBLAS_TRANSPOSE way = p[1] ? CblasTrans : CblasNoTrans;
    CBLAS_DIAG diag = p[2] ? CblasUnit : CblasNonUnit;
    if (t == LG_F64)
        lg_lapack_of.dtrsm(CblasRowMajor, CblasLeft, part, way, diag, n, m, 1.0, a, n, b, m);
    else
        lg_lapack_of.strsm(CblasRowMajor, CblasLeft, part, way, diag, n, m, 1.0f, a, n, b, m);
}

/* in: a[.., N, N] of which one triangle is read, b[.., N, M]; out: x[.., N, M] */
static bool triangular_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]), rhs = mats_of(c->node->in[1]);
    const int64_t *p = c->node->attr.p;
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && rhs.mn > 0; b++) {
        const void *a = in_at(c, 0, b, s.mn, s.size);
        void *x = out_at(c, 0, b, rhs.mn, s.size);
        if (!p[2] && has_zero_diagonal(s.t, a, s.n))
            return fail_singular(c, b);
        memcpy(x, in_at(c, 1, b, rhs.mn, s.size), rhs.mn * s.size);
        trsm(s.t, p, s.n, rhs.n, a, x);
    }
    return true;
}

static bool triangular_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    bool lower = y->attr.p[0], transposed = y->attr.p[1], unit = y->attr.p[2];
    lg_node *db = triangular(&r, y->in[0], dy[0], lower, !transposed, unit);
    lg_node *da =
        transposed ? lg_rule_dot(&r, y, lg_rule_t(&r, db)) : lg_rule_dot(&r, db, lg_rule_t(&r, y));
    const char *part = lower ? (unit ? "gt" : "ge") : (unit ? "lt" : "le");
    dx[1] = db;
    dx[0] = lg_rule_part(&r, lg_rule_op1(&r, "neg", da), part);
    return true;
}

static int64_t triangular_flops(const lg_node *y) {
    mats s = mats_of(y->in[0]), rhs = mats_of(y->in[1]);
    return (int64_t)(s.batch * s.mn) * rhs.n;
}

static const lg_op op_triangular_solve = {
    .name = "triangular_solve",
    .sig = "(a: float[...S, N, N], b: float[...S, N, M], lower = true, transposed = false, "
           "unit = false) -> float[...S, N, M]",
    .cls = LG_C_KERNEL,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = triangular_vjp,
    .run = triangular_run,
    .flops = triangular_flops,
    .doc = "Solution x of a x = b (or a' x = b), reading one triangle of a only.",
    .example = "triangular_solve([[2.0, 0.0], [1.0, 4.0]], [[2.0], [5.0]])",
    .result = "[[1], [1]]",
};

/* ---- inverse and determinants ---- */

typedef struct {
    lapack_int *pivot;
    void *lu, *work;
    int work_n;
} lu_parts;

static size_t lu_cut(const lg_node *y, char *base, lu_parts *o) {
    mats s = mats_of(y->in[0]);
    cutter k = {base, 0};
    o->work_n = 64 * s.n;
    o->pivot = cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->lu = cut(&k, s.mn, s.size);
    o->work = cut(&k, (size_t)o->work_n, s.size);
    return k.used;
}

static size_t lu_scratch(const lg_node *y) {
    lu_parts o;
    return lu_cut(y, NULL, &o);
}

/* in: a[.., N, N]; out: its inverse. The inverse of the transpose is the transpose's inverse, so
 * rows and columns need no exchange. */
static bool inv_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    lu_parts o;
    lu_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        void *x = out_at(c, 0, b, s.mn, s.size);
        memcpy(x, in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!all_finite(s.t, x, s.mn))
            return fail_finite(c, b);
        if (getrf(s.t, s.n, x, o.pivot) != 0)
            return c->node->attr.p[0] ? fail_derivative(c, b) : fail_singular(c, b);
        getri(s.t, s.n, x, o.pivot, o.work, o.work_n);
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

static const lg_op op_inv = {
    .name = "inv",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = inv_vjp,
    .run = inv_run,
    .scratch = lu_scratch,
    .flops = cube_flops,
    .doc = "Inverse of a square matrix; prefer solve where it serves.",
    .example = "inv([[2.0, 0.0], [0.0, 4.0]])",
    .result = "[[0.5, 0], [0, 0.25]]",
};

/* Sign and logarithm of the size of a determinant; a copy of a is factored in o->lu. */
static bool log_det(const lg_call *c, const mats *s, size_t b, lu_parts *o, double *sign,
                    double *log_abs) {
    memcpy(o->lu, in_at(c, 0, b, s->mn, s->size), s->mn * s->size);
    *sign = 1;
    *log_abs = 0;
    if (!all_finite(s->t, o->lu, s->mn))
        return fail_finite(c, b);
    if (s->n > 0)
        getrf(s->t, s->n, o->lu, o->pivot);
    for (int i = 0; i < s->n; i++) {
        double d = get(s->t, o->lu, (size_t)i * (size_t)s->n + (size_t)i);
        *sign *= (d > 0) - (d < 0);
        *sign *= o->pivot[i] == i + 1 ? 1 : -1;
        *log_abs += log(fabs(d));
    }
    return true;
}

static bool slogdet_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    lu_parts o;
    lu_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch; b++) {
        double sign, log_abs;
        if (!log_det(c, &s, b, &o, &sign, &log_abs))
            return false;
        put(s.t, c->out[0], b, sign);
        put(s.t, c->out[1], b, log_abs);
    }
    return true;
}

static bool det_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
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
            det *= fabs(get(s.t, o.lu, i * n + i));
        put(s.t, c->out[0], b, sign * det);
    }
    return true;
}

/* v[...] as [..., N, N] */
static lg_node *to_matrices(const lg_rule_ctx *r, lg_node *v, int64_t n) {
    return lg_rule_cols(r, lg_rule_cols(r, v, n), n);
}

/* The transposed inverse of a, for a rule. */
static lg_node *inverse_t(const lg_rule_ctx *r, lg_node *a) {
    return lg_rule_t(r, lg_rule_kernel(r, &op_inv, 1, &a, a->type, (int64_t[]){true}, 1));
}

static const lg_op op_cofactors;

/* da = dd times the cofactors, which a singular matrix has too. */
static bool det_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *a = y->in[0], *c = lg_rule_kernel(&r, &op_cofactors, 1, &a, a->type, NULL, 0);
    dx[0] = lg_rule_op2(&r, "mul", to_matrices(&r, dy[0], last_axis(a, 1)), c);
    return true;
}

static bool slogdet_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *a = y->in[0];
    if (dy[1])
        dx[0] = lg_rule_op2(&r, "mul", to_matrices(&r, dy[1], last_axis(a, 1)), inverse_t(&r, a));
    return true;
}

static const lg_op op_det = {
    .name = "det",
    .sig = "(a: float[...S, N, N]) -> float[...S]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = det_vjp,
    .run = det_run,
    .scratch = lu_scratch,
    .flops = cube_flops,
    .doc = "Determinant. Its derivative is the matrix of cofactors, also where it is 0; a second "
           "derivative needs a matrix that is not singular.",
    .example = "det([[2.0, 1.0], [1.0, 2.0]])",
    .result = "3",
};

static const lg_op op_slogdet = {
    .name = "slogdet",
    .sig = "(a: float[...S, N, N]) -> {sign: float[...S], logdet: float[...S]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = slogdet_vjp,
    .n_out = 2,
    .run = slogdet_run,
    .scratch = lu_scratch,
    .flops = cube_flops,
    .doc = "Sign and logarithm of the absolute value of the determinant (0 and -inf when singular; "
           "there the derivative ends the run).",
    .example = "slogdet([[1.0, 0.0], [0.0, -1.0]]).sign",
    .result = "-1",
};

/* ---- qr ---- */

typedef struct {
    void *a, *tau, *work;
    int work_n;
} qr_parts;

static size_t qr_cut(const lg_node *y, char *base, qr_parts *o) {
    mats s = mats_of(y->in[0]);
    cutter k = {base, 0};
    o->work_n = 64 * (s.m > s.n ? s.m : s.n);
    o->a = cut(&k, s.mn, s.size);
    o->tau = cut(&k, (size_t)(s.m < s.n ? s.m : s.n), s.size);
    o->work = cut(&k, (size_t)o->work_n, s.size);
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
            put(t, r, i * (size_t)n + j, j < i ? 0 : get(t, a, j * (size_t)m + i));
}

/* in: a[.., M, N]; out: q[.., M, K], r[.., K, N], K = min(M, N) */
static bool qr_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    int k = s.m < s.n ? s.m : s.n;
    qr_parts o;
    qr_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && k > 0; b++) {
        const void *a = in_at(c, 0, b, s.mn, s.size);
        if (!all_finite(s.t, a, s.mn))
            return fail_finite(c, b);
        transpose(s.t, a, s.m, s.n, o.a);
        geqrf(s.t, s.m, s.n, o.a, o.tau, o.work, o.work_n);
        upper_of(s.t, o.a, s.m, s.n, k, out_at(c, 1, b, (size_t)k * (size_t)s.n, s.size));
        orgqr(s.t, s.m, k, o.a, o.tau, o.work, o.work_n);
        transpose(s.t, o.a, k, s.m, out_at(c, 0, b, (size_t)k * (size_t)s.m, s.size));
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
    return lg_rule_t(r, triangular(r, up, lg_rule_t(r, w), false, false, false));
}

/* M < N: a = [x, z] with x square and r = [u, v]: q u = x, v = q' z. */
static lg_node *qr_wide(const lg_rule_ctx *r, lg_node *a, lg_node *q, lg_node *up, lg_node *dq,
                        lg_node *dr) {
    int axis = a->type[0].rank - 1;
    int64_t m = last_axis(a, 2), n = last_axis(a, 1);
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
    dx[0] = last_axis(a, 2) >= last_axis(a, 1) ? qr_tall(&r, q, up, dy[0], dy[1])
                                               : qr_wide(&r, a, q, up, dy[0], dy[1]);
    return true;
}

static const lg_op op_qr = {
    .name = "qr",
    .sig = "(a: float[...S, M, N]) -> {q: float[...S, M, min(M, N)], r: float[...S, min(M, N), N]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = qr_vjp,
    .n_out = 2,
    .run = qr_run,
    .scratch = qr_scratch,
    .flops = cube_flops,
    .doc = "Reduced QR factorisation a = q r: orthonormal columns times an upper triangle.",
    .example = "abs(qr([[3.0], [4.0]]).r)",
    .result = "[[5]]",
};

/* ---- svd ---- */

typedef struct {
    void *a, *work;
    lapack_int *iwork;
    int work_n;
} svd_parts;

static int svd_work(lg_dtype t, int m, int n) {
    double dummy[2] = {0};
    lapack_int i = 0;
    gesdd(t, m, n, dummy, dummy, dummy, dummy, dummy, -1, &i);
    return (int)get(t, dummy, 0) + 64;
}

static size_t svd_cut(const lg_node *y, char *base, svd_parts *o) {
    mats s = mats_of(y->in[0]);
    cutter k = {base, 0};
    o->work_n = s.mn && lg_lapack_ready(NULL, y) ? svd_work(s.t, s.n, s.m) : 0;
    o->a = cut(&k, s.mn, s.size);
    o->iwork = cut(&k, 8 * (size_t)(s.m < s.n ? s.m : s.n), sizeof(lapack_int));
    o->work = cut(&k, (size_t)o->work_n, s.size);
    return k.used;
}

static size_t svd_scratch(const lg_node *y) {
    svd_parts o;
    return svd_cut(y, NULL, &o);
}

/* in: a[.., M, N]; out: u[.., M, K], s[.., K] descending, vt[.., K, N]. By columns a is a' = v s
 * u', and v by columns is vt by rows: the two factors only change places. */
static bool svd_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    size_t k = (size_t)(s.m < s.n ? s.m : s.n);
    svd_parts o;
    svd_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && k > 0; b++) {
        memcpy(o.a, in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!all_finite(s.t, o.a, s.mn))
            return fail_finite(c, b);
        void *u = out_at(c, 0, b, (size_t)s.m * k, s.size), *w = out_at(c, 1, b, k, s.size);
        void *vt = out_at(c, 2, b, (size_t)s.n * k, s.size);
        if (gesdd(s.t, s.n, s.m, o.a, w, vt, u, o.work, o.work_n, o.iwork) != 0)
            return fail_rounds(c, b);
    }
    return true;
}

/* The part of the derivative inside the two spaces: [.., K, K]; NULL when nothing is asked. */
static lg_node *svd_core(const lg_rule_ctx *r, lg_node *u, lg_node *s, lg_node *v, lg_node *du,
                         lg_node *ds, lg_node *dv) {
    int64_t k = last_axis(s, 1);
    lg_node *core = ds ? diagonal(r, ds) : NULL;
    if (!du && !dv)
        return core;
    lg_node *f = one_over_gaps(r, lg_rule_op2(r, "mul", s, s));
    if (du) {
        lg_node *x = lg_rule_op2(r, "mul", skew(r, lg_rule_dot(r, lg_rule_t(r, u), du)), f);
        core = lg_rule_sum(r, core, lg_rule_op2(r, "mul", x, lg_rule_rows(r, s, k)));
    }
    if (dv) {
        lg_node *x = lg_rule_op2(r, "mul", skew(r, lg_rule_dot(r, lg_rule_t(r, v), dv)), f);
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
                       lg_rule_rows(r, over, last_axis(u, 2)));
}

static bool svd_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *u = lg_g_item(r.g, y, 0), *s = lg_g_item(r.g, y, 1), *vt = lg_g_item(r.g, y, 2);
    lg_node *v = lg_rule_t(&r, vt), *du = dy[0], *dv = dy[2] ? lg_rule_t(&r, dy[2]) : NULL;
    lg_node *core = svd_core(&r, u, s, v, du, dy[1], dv);
    if (!core)
        return true;
    int64_t k = last_axis(s, 1);
    lg_node *left = lg_rule_dot(&r, u, core);
    if (du && last_axis(u, 2) > k)
        left = lg_rule_sum(&r, left, svd_outside(&r, u, s, du));
    dx[0] = lg_rule_dot(&r, left, vt);
    if (dv && last_axis(v, 2) > k)
        dx[0] =
            lg_rule_sum(&r, dx[0], lg_rule_dot(&r, u, lg_rule_t(&r, svd_outside(&r, v, s, dv))));
    return true;
}

static const lg_op op_svd = {
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
    .flops = cube_flops,
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
    mats s = mats_of(y->in[0]);
    cutter k = {base, 0};
    o->work_n = 1 + 6 * s.n + 2 * s.n * s.n;
    o->iwork_n = 3 + 5 * s.n;
    o->a = cut(&k, s.mn, s.size);
    o->work = cut(&k, (size_t)o->work_n, s.size);
    o->iwork = cut(&k, (size_t)o->iwork_n, sizeof(lapack_int));
    return k.used;
}

static size_t eigh_scratch(const lg_node *y) {
    eigh_parts o;
    return eigh_cut(y, NULL, &o);
}

/* in: a[.., N, N], of which (a + a')/2 is taken; out: w[.., N] ascending, v[.., N, N] by columns */
static bool eigh_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    eigh_parts o;
    eigh_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        symmetric(s.t, in_at(c, 0, b, s.mn, s.size), s.n, o.a);
        if (!all_finite(s.t, o.a, s.mn))
            return fail_finite(c, b);
        void *w = out_at(c, 0, b, (size_t)s.n, s.size);
        if (syevd(s.t, s.n, o.a, w, o.work, o.work_n, o.iwork, o.iwork_n) != 0)
            return fail_rounds(c, b);
        transpose(s.t, o.a, s.n, s.n, out_at(c, 1, b, s.mn, s.size));
    }
    return true;
}

/* da = sym(v (diag(dw) + (v' dv) / gaps) v') */
static bool eigh_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *w = lg_g_item(r.g, y, 0), *v = lg_g_item(r.g, y, 1);
    lg_node *core = dy[0] ? diagonal(&r, dy[0]) : NULL;
    if (dy[1]) {
        lg_node *turn = lg_rule_dot(&r, lg_rule_t(&r, v), dy[1]);
        core = lg_rule_sum(&r, core, lg_rule_op2(&r, "mul", turn, one_over_gaps(&r, w)));
    }
    if (!core)
        return true;
    lg_node *da = lg_rule_dot(&r, lg_rule_dot(&r, v, core), lg_rule_t(&r, v));
    dx[0] = half_symmetric(&r, da);
    return true;
}

static const lg_op op_eigh = {
    .name = "eigh",
    .sig = "(a: float[...S, N, N]) -> {values: float[...S, N], vectors: float[...S, N, N]}",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = eigh_vjp,
    .n_out = 2,
    .run = eigh_run,
    .scratch = eigh_scratch,
    .flops = cube_flops,
    .doc = "Eigenvalues, ascending, and eigenvectors, as columns, of a symmetric matrix.",
    .example = "eigh([[2.0, 0.0], [0.0, 1.0]]).values",
    .result = "[1, 2]",
};

/* ---- cofactors ---- */

typedef struct {
    svd_parts svd;
    lapack_int *pivot;
    void *u, *s, *vt, *lu;
} cofactor_parts;

static size_t cofactor_cut(const lg_node *y, char *base, cofactor_parts *o) {
    mats s = mats_of(y->in[0]);
    cutter k = {base, svd_cut(y, base, &o->svd)};
    o->pivot = cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->u = cut(&k, s.mn, s.size);
    o->s = cut(&k, (size_t)s.n, s.size);
    o->vt = cut(&k, s.mn, s.size);
    o->lu = cut(&k, s.mn, s.size);
    return k.used;
}

static size_t cofactor_scratch(const lg_node *y) {
    cofactor_parts o;
    return cofactor_cut(y, NULL, &o);
}

/* 1 or -1: the determinant of an orthogonal matrix, which is overwritten. */
static double turn_of(lg_dtype t, int n, void *q, lapack_int *pivot) {
    double sign = 1;
    getrf(t, n, q, pivot);
    for (int i = 0; i < n; i++)
        sign *= (get(t, q, (size_t)i * (size_t)n + (size_t)i) < 0) == (pivot[i] == i + 1) ? -1 : 1;
    return sign;
}

/* w[k] = the product of all s but the k-th */
static void others(lg_dtype t, const void *s, size_t n, double sign, void *w) {
    for (size_t k = 0; k < n; k++) {
        double p = sign;
        for (size_t i = 0; i < n; i++)
            p *= i == k ? 1 : get(t, s, i);
        put(t, w, k, p);
    }
}

/* in: a[.., N, N]; out: its cofactors. With a = u diag(s) v' they are det(u v') u diag(w) v', w[k]
 * the product of the other singular values: without a division, so right for every rank. */
static bool cofactors_run(const lg_call *c) {
    mats s = mats_of(c->node->in[0]);
    size_t n = (size_t)s.n;
    cofactor_parts o;
    cofactor_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && n > 0; b++) {
        const void *a = in_at(c, 0, b, s.mn, s.size);
        void *y = out_at(c, 0, b, s.mn, s.size);
        memcpy(o.svd.a, a, s.mn * s.size);
        if (!all_finite(s.t, a, s.mn))
            return fail_finite(c, b);
        if (gesdd(s.t, s.n, s.n, o.svd.a, o.s, o.vt, o.u, o.svd.work, o.svd.work_n, o.svd.iwork) !=
            0)
            return fail_rounds(c, b);
        memcpy(o.lu, o.u, s.mn * s.size);
        double sign = turn_of(s.t, s.n, o.lu, o.pivot);
        memcpy(o.lu, o.vt, s.mn * s.size);
        sign *= turn_of(s.t, s.n, o.lu, o.pivot);
        others(s.t, o.s, n, sign, o.svd.work);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t k = 0; k < n; k++)
                    sum += get(s.t, o.u, i * n + k) * get(s.t, o.svd.work, k) *
                           get(s.t, o.vt, k * n + j);
                put(s.t, y, i * n + j, sum);
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
    lg_node *all = lg_rule_op2(&r, "mul", to_matrices(&r, sum, last_axis(y, 1)), z);
    lg_node *own = lg_rule_dot(&r, lg_rule_dot(&r, y, lg_rule_t(&r, dy[0])), z);
    dx[0] = lg_rule_op2(&r, "sub", all, own);
    return true;
}

static const lg_op op_cofactors = {
    .name = "cofactors",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = cofactors_vjp,
    .run = cofactors_run,
    .scratch = cofactor_scratch,
    .flops = cube_flops,
    .doc = "Matrix of cofactors, the derivative of det: det(a) times the transposed inverse, and "
           "its limit where a is singular. Its own derivative needs a matrix that is not singular.",
    .example = "cofactors([[1.0, 2.0], [2.0, 4.0]])",
    .result = "[[4, -2], [-2, 1]]",
};

const lg_op *const lg_ops_linalg[] = {
    &op_cholesky, &op_solve, &op_triangular_solve, &op_inv, &op_det, &op_slogdet, &op_qr,
    &op_svd,      &op_eigh,  &op_cofactors,        NULL};
