/* aot.h: compiled plans that travel with a program: made when it is built, once for each vector
 * unit, and found again by their text when it runs. Not for plans that are compiled while they run
 * (jit.c, which asks here first) nor for where the bytes lie in an executable (program/payload.c).
 */
#ifndef LG_AOT_H
#define LG_AOT_H
#include "runtime/plan.h"

/* One plan for one vector unit. */
typedef struct {
    uint64_t key[2]; /* of its text, whatever the compiler was */
    const uint8_t *bytes;
    size_t n;
} lg_carried;

/* ---- where it is built ---- */

typedef struct lg_aot lg_aot;
lg_aot *lg_aot_new(void);
/* Keeps its texts, not the plan. What does not run often is compiled for vector units alone. */
void lg_aot_add(lg_aot *a, const lg_plan *p, bool often);
/* Compiles what was added, all of the machine at a time. Plans whose compilation fails are left
 * out; *why then says what happened to the first, else NULL. False: there is no compiler. */
bool lg_aot_compile(lg_aot *a, const char **why);
/* What was made, in the order of the plans, then of the vector units. */
size_t lg_aot_made(const lg_aot *a, const lg_carried **out);
int lg_aot_plans(const lg_aot *a);   /* that have a text */
/* Plans that run seldom, when they are not compiled for every processor; else 0. */
int lg_aot_seldom(const lg_aot *a);
int lg_aot_kernels(const lg_aot *a); /* loops and products in them */
const char *lg_aot_units(void);      /* "x86-64, AVX2, AVX-512": what plans are compiled for */
/* Writes the C of every plan, as it is for this machine, into a directory that is made if need be:
 * plan1.c, or plan1-1.c, plan1-2.c ... where it is long. The number of files; -1: errno says why.
 */
int lg_aot_write(const lg_aot *a, const char *dir);
void lg_aot_free(lg_aot *a);

/* ---- where it runs ---- */

/* What the program brought; kept by the caller as long as plans run. */
void lg_aot_carry(const lg_carried *all, size_t n);
bool lg_aot_any(void);
#endif
