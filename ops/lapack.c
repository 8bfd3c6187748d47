/* lapack.c: loads OpenBLAS and LAPACKE. Not for what is computed with them: linalg.c. */
#include "ops/lapack.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

lg_lapack lg_lapack_of;
static const char *reason; /* why there is no library; NULL: it is there */
static pthread_once_t once = PTHREAD_ONCE_INIT;

#ifdef LG_STATIC

/* Before any constructor runs, so that OpenBLAS starts no threads beside those of the pool. */
static void one_thread(void) {
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_all)(void) = one_thread;

/* The one function of the Fortran library that the archives call: s1 s2, padded with blanks. */
void _gfortran_concat_string(size_t n, char *out, size_t n1, const char *s1, size_t n2,
                             const char *s2);
void _gfortran_concat_string(size_t n, char *out, size_t n1, const char *s1, size_t n2,
                             const char *s2) {
    for (size_t i = 0; i < n; i++)
        out[i] = i < n1 ? s1[i] : i - n1 < n2 ? s2[i - n1] : ' ';
}

static void load(void) {
#define F(prefix, s, d)         \
    lg_lapack_of.s = prefix##s; \
    lg_lapack_of.d = prefix##d;
    LG_LAPACK_FUNCTIONS(F)
#undef F
}

#else

/* The first library of the list that there is. Its functions are known to those loaded later. */
static void *open_first(const char *const *names) {
    void *lib = NULL;
    for (; *names && !lib; names++)
        lib = dlopen(*names, RTLD_LAZY | RTLD_GLOBAL);
    if (!lib)
        reason = "cannot be loaded";
    return lib;
}

static void find(void *const *libs, const char *name, void *to) {
    void **slot = to, *at = NULL;
    for (int i = 0; i < 2 && !at; i++)
        at = libs[i] ? dlsym(libs[i], name) : NULL;
    if (!at)
        reason = "lacks a function that is needed";
    *slot = at;
}

static void load(void) {
    static const char *const blas[] = {"libopenblas.so.0", "libopenblas.so", NULL};
    static const char *const lapacke[] = {"liblapacke.so.3", "liblapacke.so", NULL};
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* threads are those of the pool */
    void *libs[2] = {open_first(blas), NULL};
    if (libs[0] && !dlsym(libs[0], "LAPACKE_dpotrf_work"))
        libs[1] = open_first(lapacke);
    if (reason)
        return;
#define F(prefix, s, d)                      \
    find(libs, #prefix #s, &lg_lapack_of.s); \
    find(libs, #prefix #d, &lg_lapack_of.d);
    LG_LAPACK_FUNCTIONS(F)
#undef F
}

#endif

bool lg_lapack_ready(lg_fault *fault, const lg_node *n) {
    pthread_once(&once, load);
    return !reason ||
           lg_fault_set(fault, n, "R0603", -1, "`%s` needs OpenBLAS and LAPACKE, which %s",
                        n->op->name, reason);
}
