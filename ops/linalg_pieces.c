/* linalg_pieces.c: what the files of linear algebra share: LAPACK by dtype, batches of matrices and
 * their scratch, faults, and pieces of derivative rules. */
#include "ops/linalg.h"
#include <math.h>
#include <string.h>

/* ---- LAPACK by dtype: t is LG_F32 or LG_F64, arrays are by columns ---- */

#define PICK(t, name, ...)                                               \
    ((t) == LG_F64 ? lg_lapack_of.d##name(LAPACK_COL_MAJOR, __VA_ARGS__) \
                   : lg_lapack_of.s##name(LAPACK_COL_MAJOR, __VA_ARGS__))

lapack_int lg_linalg_potrf(lg_dtype t, int n, void *a) {
    return PICK(t, potrf_work, 'U', n, a, n);
}

lapack_int lg_linalg_getrf(lg_dtype t, int n, void *a, lapack_int *pivot) {
    return PICK(t, getrf_work, n, n, a, n, pivot);
}

void lg_linalg_getrs(lg_dtype t, int n, int m, const void *lu, const lapack_int *pivot, void *b) {
    (void)PICK(t, getrs_work, 'T', n, m, lu, n, pivot, b, n);
}

void lg_linalg_getri(lg_dtype t, int n, void *lu, const lapack_int *pivot, void *work, int size) {
    (void)PICK(t, getri_work, n, lu, n, pivot, work, size);
}

void lg_linalg_geqrf(lg_dtype t, int m, int n, void *a, void *tau, void *work, int size) {
    (void)PICK(t, geqrf_work, m, n, a, m, tau, work, size);
}

void lg_linalg_orgqr(lg_dtype t, int m, int k, void *a, const void *tau, void *work, int size) {
    (void)PICK(t, orgqr_work, m, k, k, a, m, tau, work, size);
}

lapack_int lg_linalg_gesdd(lg_dtype t, int m, int n, void *a, void *s, void *u, void *vt,
                           void *work, int size, lapack_int *iwork) {
    int k = m < n ? m : n;
    return PICK(t, gesdd_work, 'S', m, n, a, m, s, u, m, vt, k, work, size, iwork);
}

lapack_int lg_linalg_syevd(lg_dtype t, int n, void *a, void *w, void *work, int size,
                           lapack_int *iwork, int isize) {
    return PICK(t, syevd_work, 'V', 'L', n, a, n, w, work, size, iwork, isize);
}

/* ---- matrices of either dtype ---- */

lg_mats lg_linalg_mats_of(const lg_node *x) {
    const lg_type *t = &x->type[0];
    assert(t->rank >= 2 && (t->dtype == LG_F32 || t->dtype == LG_F64));
    lg_mats s = {.t = t->dtype, .size = lg_dtype_size(t->dtype), .batch = 1};
    for (int d = 0; d < t->rank - 2; d++)
        s.batch *= (size_t)t->shape[d];
    s.m = (int)t->shape[t->rank - 2];
    s.n = (int)t->shape[t->rank - 1];
    s.mn = (size_t)s.m * (size_t)s.n;
    return s;
}

const void *lg_linalg_in_at(const lg_call *c, int i, size_t b, size_t n, size_t size) {
    return (const char *)c->in[i] + b * n * size;
}

void *lg_linalg_out_at(const lg_call *c, int i, size_t b, size_t n, size_t size) {
    return (char *)c->out[i] + b * n * size;
}

bool lg_linalg_all_finite(lg_dtype t, const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(lg_linalg_get(t, p, i)))
            return false;
    return true;
}

/* out[n][m] = transpose of in[m][n] */
void lg_linalg_transpose(lg_dtype t, const void *in, int m, int n, void *out) {
    for (size_t i = 0; i < (size_t)m; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            if (t == LG_F64)
                ((double *)out)[j * (size_t)m + i] = ((const double *)in)[i * (size_t)n + j];
            else
                ((float *)out)[j * (size_t)m + i] = ((const float *)in)[i * (size_t)n + j];
}

/* out = (a + transpose of a) / 2 */
void lg_linalg_symmetric(lg_dtype t, const void *a, int n, void *out) {
    for (size_t i = 0; i < (size_t)n; i++)
        for (size_t j = 0; j < (size_t)n; j++)
            lg_linalg_put(t, out, i * (size_t)n + j,
                          0.5 * lg_linalg_get(t, a, i * (size_t)n + j) +
                              0.5 * lg_linalg_get(t, a, j * (size_t)n + i));
}

void *lg_linalg_cut(lg_cutter *s, size_t n, size_t size) {
    void *p = s->base ? s->base + s->used : NULL;
    s->used += (n * size + 63) & ~(size_t)63;
    return p;
}

int64_t lg_linalg_batch_row(const lg_node *y, size_t b) {
    const lg_type *t = &y->in[0]->type[0];
    if (t->rank < 3)
        return -1;
    for (int d = 1; d < t->rank - 2; d++)
        b /= (size_t)t->shape[d];
    return (int64_t)b;
}

bool lg_linalg_fail_finite(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0113", lg_linalg_batch_row(c->node, b),
                        "%s of a matrix with infinite or undefined entries", c->node->op->name);
}

bool lg_linalg_fail_singular(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0110", lg_linalg_batch_row(c->node, b),
                        "%s of a singular matrix", c->node->op->name);
}

/* An inverse that only a derivative asked for. */
bool lg_linalg_fail_derivative(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0110", lg_linalg_batch_row(c->node, b),
                        "this derivative of a determinant has no value at a singular matrix");
}

bool lg_linalg_fail_rounds(const lg_call *c, size_t b) {
    return lg_fault_set(c->fault, c->node, "R0112", lg_linalg_batch_row(c->node, b),
                        "%s did not converge", c->node->op->name);
}

int64_t lg_linalg_cube_flops(const lg_node *y) {
    lg_mats s = lg_linalg_mats_of(y->in[0]);
    int64_t k = s.m < s.n ? s.m : s.n;
    return (int64_t)s.batch * s.m * s.n * k;
}

/* ---- shared pieces of the rules ---- */

lg_node *lg_linalg_solve_with(const lg_rule_ctx *r, lg_node *a, lg_node *b) {
    return lg_rule_kernel(r, &lg_op_solve, 2, (lg_node *[]){a, b}, b->type, NULL, 0);
}

lg_node *lg_linalg_triangular(const lg_rule_ctx *r, lg_node *a, lg_node *b, bool lower,
                              bool transposed, bool unit) {
    const int64_t p[3] = {lower, transposed, unit};
    return lg_rule_kernel(r, &lg_op_triangular_solve, 2, (lg_node *[]){a, b}, b->type, p, 3);
}

lg_node *lg_linalg_half_symmetric(const lg_rule_ctx *r, lg_node *x) {
    return lg_rule_scale(r, lg_rule_op2(r, "add", x, lg_rule_t(r, x)), 0.5);
}

lg_node *lg_linalg_skew(const lg_rule_ctx *r, lg_node *x) {
    return lg_rule_op2(r, "sub", x, lg_rule_t(r, x));
}

int64_t lg_linalg_last_axis(const lg_node *x, int back) {
    return x->type[0].shape[x->type[0].rank - back];
}

/* f[j, k] = 1/(w[k] - w[j]); 0 where they agree to rounding, so also on the diagonal. */
lg_node *lg_linalg_one_over_gaps(const lg_rule_ctx *r, lg_node *w) {
    int64_t n = lg_linalg_last_axis(w, 1);
    double tol = w->type[0].dtype == LG_F64 ? 0x1p-48 : 0x1p-20;
    lg_node *wk = lg_rule_rows(r, w, n), *wj = lg_rule_cols(r, w, n);
    lg_node *gap = lg_rule_op2(r, "sub", wk, wj);
    lg_node *scale = lg_rule_op2(r, "add", lg_rule_op1(r, "abs", wk), lg_rule_op1(r, "abs", wj));
    lg_node *apart = lg_rule_op2(r, "gt", lg_rule_op1(r, "abs", gap), lg_rule_scale(r, scale, tol));
    lg_node *one = lg_g_fill(r->g, gap->type[0], 1, r->at);
    lg_node *safe = lg_rule_choose(r, apart, gap, 1);
    return lg_rule_choose(r, apart, lg_rule_op2(r, "div", one, safe), 0);
}

lg_node *lg_linalg_diagonal(const lg_rule_ctx *r, lg_node *v) {
    return lg_rule_part(r, lg_rule_rows(r, v, lg_linalg_last_axis(v, 1)), "eq");
}
