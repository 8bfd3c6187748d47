/* linalg.h: linear algebra by LAPACK, on one thread: what its files share. Nobody else includes
 * this.
 *
 * All take the last two axes as a matrix and the leading ones as a batch. LAPACK counts by columns:
 * a row-major matrix handed to it is its transpose, and most kernels are arranged so that this is
 * what they want; the others copy. */
#ifndef LG_LINALG_H
#define LG_LINALG_H
#include "ops/build.h"
#include "ops/lapack.h"

/* Matrices of either dtype. */
typedef struct {
    lg_dtype t;
    size_t size, batch; /* bytes of an element; matrices */
    int m, n;           /* rows and columns */
    size_t mn;
} lg_mats;

/* Cuts the scratch of a call into pieces; with base NULL it only counts. */
typedef struct {
    char *base;
    size_t used;
} lg_cutter;

/* Scratch of a singular value decomposition. */
typedef struct {
    void *a, *work;
    lapack_int *iwork;
    int work_n;
} lg_svd_parts;

static inline double lg_linalg_get(lg_dtype t, const void *p, size_t i) {
    return t == LG_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static inline void lg_linalg_put(lg_dtype t, void *p, size_t i, double v) {
    if (t == LG_F64)
        ((double *)p)[i] = v;
    else
        ((float *)p)[i] = (float)v;
}

lapack_int lg_linalg_potrf(lg_dtype t, int n, void *a);
lapack_int lg_linalg_getrf(lg_dtype t, int n, void *a, lapack_int *pivot);
void lg_linalg_getrs(lg_dtype t, int n, int m, const void *lu, const lapack_int *pivot, void *b);
void lg_linalg_getri(lg_dtype t, int n, void *lu, const lapack_int *pivot, void *work, int size);
void lg_linalg_geqrf(lg_dtype t, int m, int n, void *a, void *tau, void *work, int size);
void lg_linalg_orgqr(lg_dtype t, int m, int k, void *a, const void *tau, void *work, int size);
lapack_int lg_linalg_gesdd(lg_dtype t, int m, int n, void *a, void *s, void *u, void *vt,
                           void *work, int size, lapack_int *iwork);
lapack_int lg_linalg_syevd(lg_dtype t, int n, void *a, void *w, void *work, int size,
                           lapack_int *iwork, int isize);
lg_mats lg_linalg_mats_of(const lg_node *x);
const void *lg_linalg_in_at(const lg_call *c, int i, size_t b, size_t n, size_t size);
void *lg_linalg_out_at(const lg_call *c, int i, size_t b, size_t n, size_t size);
bool lg_linalg_all_finite(lg_dtype t, const void *p, size_t n);
void lg_linalg_transpose(lg_dtype t, const void *in, int m, int n, void *out);
void lg_linalg_symmetric(lg_dtype t, const void *a, int n, void *out);
void *lg_linalg_cut(lg_cutter *s, size_t n, size_t size);
int64_t lg_linalg_batch_row(const lg_node *y, size_t b);
bool lg_linalg_fail_finite(const lg_call *c, size_t b);
bool lg_linalg_fail_singular(const lg_call *c, size_t b);
bool lg_linalg_fail_derivative(const lg_call *c, size_t b);
bool lg_linalg_fail_rounds(const lg_call *c, size_t b);
lg_node *lg_linalg_solve_with(const lg_rule_ctx *r, lg_node *a, lg_node *b);
lg_node *lg_linalg_triangular(const lg_rule_ctx *r, lg_node *a, lg_node *b, bool lower,
                              bool transposed, bool unit);
lg_node *lg_linalg_half_symmetric(const lg_rule_ctx *r, lg_node *x);
lg_node *lg_linalg_skew(const lg_rule_ctx *r, lg_node *x);
int64_t lg_linalg_last_axis(const lg_node *x, int back);
lg_node *lg_linalg_one_over_gaps(const lg_rule_ctx *r, lg_node *w);
lg_node *lg_linalg_diagonal(const lg_rule_ctx *r, lg_node *v);
int64_t lg_linalg_cube_flops(const lg_node *y);
size_t lg_linalg_svd_cut(const lg_node *y, char *base, lg_svd_parts *o);

extern const lg_op lg_op_cholesky, lg_op_solve, lg_op_triangular_solve, lg_op_inv, lg_op_det,
    lg_op_slogdet, lg_op_qr, lg_op_svd, lg_op_eigh, lg_op_cofactors;
#endif
