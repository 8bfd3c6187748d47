/* lapack.h: the functions of LAPACK and BLAS that linalg.c calls, by name. The libraries are large
 * and start threads of their own, so they are loaded when a kernel first needs them, and kept to
 * one thread. Static executables have them linked in (LG_STATIC). */
#ifndef LG_LAPACK_H
#define LG_LAPACK_H
#include "runtime/plan.h"
#include <cblas.h>
#include <lapacke.h>

/* Rows of float and double versions: F(prefix, float name, double name). */
#define LG_LAPACK_FUNCTIONS(F)            \
    F(LAPACKE_, spotrf_work, dpotrf_work) \
    F(LAPACKE_, sgetrf_work, dgetrf_work) \
    F(LAPACKE_, sgetrs_work, dgetrs_work) \
    F(LAPACKE_, sgetri_work, dgetri_work) \
    F(LAPACKE_, sgeqrf_work, dgeqrf_work) \
    F(LAPACKE_, sorgqr_work, dorgqr_work) \
    F(LAPACKE_, sgesdd_work, dgesdd_work) \
    F(LAPACKE_, ssyevd_work, dsyevd_work) \
    F(cblas_, strsm, dtrsm)

typedef struct {
#define F(prefix, s, d)       \
    __typeof__(&prefix##s) s; \
    __typeof__(&prefix##d) d;
    LG_LAPACK_FUNCTIONS(F)
#undef F
} lg_lapack;
extern lg_lapack lg_lapack_of; /* once lg_lapack_ready has said so */
/* Loads the libraries the first time. False after setting the fault R0603 (fault may
 * be NULL) at node n. */
bool lg_lapack_ready(lg_fault *fault, const lg_node *n);
#endif
