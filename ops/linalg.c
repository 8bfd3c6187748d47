/* linalg.c: Cholesky factors and solvers of dense matrices, and the list of the family; inverses
 * and determinants are in linalg_det.c, other factorisations in linalg_factor.c. Not for matrix
 * products (a class of their own) nor for norms and the like, which are written in the language. */
#include "ops/linalg.h"
#include <math.h>
#include <string.h>

/* ---- cholesky ---- */

/* in: a[.., N, N], of which (a + a')/2 is taken; out: lower L with L L' = a. The lower triangle by
 * rows is the upper one by columns. */
static bool cholesky_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0; b++) {
        char *l = lg_linalg_out_at(c, 0, b, s.mn, s.size);
        lg_linalg_symmetric(s.t, lg_linalg_in_at(c, 0, b, s.mn, s.size), s.n, l);
        if (!lg_linalg_all_finite(s.t, l, s.mn))
            return lg_linalg_fail_finite(c, b);
        lapack_int pivot =
            lg_linalg_potrf(s.t, s.n, l); /* the first that is not positive, from 1; 0: none */
        if (pivot != 0)
            return lg_fault_set(c->fault, c->node, "R0111", lg_linalg_batch_row(c->node, b),
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
    lg_node *left = lg_linalg_triangular(&r, y, lg_rule_scale(&r, p, 0.5), true, true, false);
    lg_node *both = lg_linalg_triangular(&r, y, lg_rule_t(&r, left), true, true, false);
    dx[0] = lg_linalg_half_symmetric(&r, both);
    return true;
}

const lg_op lg_op_cholesky = {
    .name = "cholesky",
    .sig = "(a: float[...S, N, N]) -> float[...S, N, N]",
    .cls = LG_C_KERNEL,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = cholesky_vjp,
    .run = cholesky_run,
    .flops = lg_linalg_cube_flops,
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
    lg_mats s = lg_linalg_mats_of(y->in[0]), rhs = lg_linalg_mats_of(y->in[1]);
    lg_cutter k = {base, 0};
    o->pivot = lg_linalg_cut(&k, (size_t)s.n, sizeof(lapack_int));
    o->lu = lg_linalg_cut(&k, s.mn, s.size);
    o->b = lg_linalg_cut(&k, rhs.mn, s.size);
    return k.used;
}

static size_t solve_scratch(const lg_node *y) {
    solve_parts o;
    return solve_cut(y, NULL, &o);
}

/* in: a[.., N, N], b[.., N, M]; out: x[.., N, M] with a x = b. By columns a is a', so the
 * transposed system is solved; the right sides go through a copy by columns. */
static bool solve_run(const lg_call *c) {
    lg_mats s = lg_linalg_mats_of(c->node->in[0]), rhs = lg_linalg_mats_of(c->node->in[1]);
    solve_parts o;
    solve_cut(c->node, c->scratch, &o);
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && s.n > 0 && rhs.n > 0; b++) {
        const void *right = lg_linalg_in_at(c, 1, b, rhs.mn, s.size);
        memcpy(o.lu, lg_linalg_in_at(c, 0, b, s.mn, s.size), s.mn * s.size);
        if (!lg_linalg_all_finite(s.t, o.lu, s.mn) || !lg_linalg_all_finite(s.t, right, rhs.mn))
            return lg_linalg_fail_finite(c, b);
        if (lg_linalg_getrf(s.t, s.n, o.lu, o.pivot) != 0)
            return lg_linalg_fail_singular(c, b);
        lg_linalg_transpose(s.t, right, rhs.m, rhs.n, o.b);
        lg_linalg_getrs(s.t, s.n, rhs.n, o.lu, o.pivot, o.b);
        lg_linalg_transpose(s.t, o.b, rhs.n, rhs.m, lg_linalg_out_at(c, 0, b, rhs.mn, s.size));
    }
    return true;
}

/* db = a^-T dx, da = -db x' */
static bool solve_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    dx[1] = lg_linalg_solve_with(&r, lg_rule_t(&r, y->in[0]), dy[0]);
    dx[0] = lg_rule_op1(&r, "neg", lg_rule_dot(&r, dx[1], lg_rule_t(&r, y)));
    return true;
}

const lg_op lg_op_solve = {
    .name = "solve",
    .sig = "(a: float[...S, N, N], b: float[...S, N, M]) -> float[...S, N, M]",
    .cls = LG_C_KERNEL,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = solve_vjp,
    .run = solve_run,
    .scratch = solve_scratch,
    .flops = lg_linalg_cube_flops,
    .doc = "Solution x of a x = b.",
    .example = "solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]])",
    .result = "[[1], [0.5]]",
};

/* ---- triangular_solve: p = {lower, transposed, unit diagonal} ---- */

static bool has_zero_diagonal(lg_dtype t, const void *a, int n) {
    for (size_t i = 0; i < (size_t)n; i++)
        if (lg_linalg_get(t, a, i * (size_t)n + i) == 0)
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
    lg_mats s = lg_linalg_mats_of(c->node->in[0]), rhs = lg_linalg_mats_of(c->node->in[1]);
    const int64_t *p = c->node->attr.p;
    if (!lg_lapack_ready(c->fault, c->node))
        return false;
    for (size_t b = 0; b < s.batch && rhs.mn > 0; b++) {
        const void *a = lg_linalg_in_at(c, 0, b, s.mn, s.size);
        void *x = lg_linalg_out_at(c, 0, b, rhs.mn, s.size);
        if (!p[2] && has_zero_diagonal(s.t, a, s.n))
            return lg_linalg_fail_singular(c, b);
        memcpy(x, lg_linalg_in_at(c, 1, b, rhs.mn, s.size), rhs.mn * s.size);
        trsm(s.t, p, s.n, rhs.n, a, x);
    }
    return true;
}

static bool triangular_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    bool lower = y->attr.p[0], transposed = y->attr.p[1], unit = y->attr.p[2];
    lg_node *db = lg_linalg_triangular(&r, y->in[0], dy[0], lower, !transposed, unit);
    lg_node *da =
        transposed ? lg_rule_dot(&r, y, lg_rule_t(&r, db)) : lg_rule_dot(&r, db, lg_rule_t(&r, y));
    const char *part = lower ? (unit ? "gt" : "ge") : (unit ? "lt" : "le");
    dx[1] = db;
    dx[0] = lg_rule_part(&r, lg_rule_op1(&r, "neg", da), part);
    return true;
}

static int64_t triangular_flops(const lg_node *y) {
    lg_mats s = lg_linalg_mats_of(y->in[0]), rhs = lg_linalg_mats_of(y->in[1]);
    return (int64_t)(s.batch * s.mn) * rhs.n;
}

const lg_op lg_op_triangular_solve = {
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

const lg_op *const lg_ops_linalg[] = {&lg_op_cholesky,  &lg_op_solve, &lg_op_triangular_solve,
                                      &lg_op_inv,       &lg_op_det,   &lg_op_slogdet,
                                      &lg_op_qr,        &lg_op_svd,   &lg_op_eigh,
                                      &lg_op_cofactors, NULL};
