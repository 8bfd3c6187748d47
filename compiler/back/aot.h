/* aot.h: compiled plans that travel with a program: made when it is built, once for each vector
 * unit, and found again by their text when it runs. Not for plans that are compiled while they run
 * (jit.c, which asks here first) nor for where the bytes lie in an executable (program/payload.c).
 */
#ifndef LG_AOT_H
#define LG_AOT_H
#include "runtime/plan.h"

/* One plan for one vector unit, or kernels of many. */
typedef struct {
    uint64_t key[2]; /* of its text, whatever the compiler was; kernels: LG_AOT_KERNELS, the
                        unit or LG_AOT_RARE */
    const uint8_t *bytes;
    size_t n;
} lg_carried;

#define LG_AOT_KERNELS UINT64_C(0x6c676b65726e656c)
#define LG_AOT_RARE UINT64_C(0x72617265) /* those of one unit that serve newer ones too */

/* ---- where it is built ---- */

typedef struct lg_aot lg_aot;
lg_aot *lg_aot_new(void);
/* Keeps its texts, not the plan. runs: how often it will run, about; 0: seldom. sized: how many
 * items it has is up to the data. What takes little time in all is compiled for vector units alone.
 */
void lg_aot_add(lg_aot *a, const lg_plan *p, int64_t runs, bool sized);
/* Compiles what was added, all of the machine at a time. Plans whose compilation fails are left
 * out; *why then says what happened to the first, else NULL. False: there is no compiler. */
bool lg_aot_compile(lg_aot *a, const char **why);
/* What was made, in the order of the plans, then of the vector units. */
size_t lg_aot_made(const lg_aot *a, const lg_carried **out);
int lg_aot_plans(const lg_aot *a);         /* that have a text */
int lg_aot_kernels(const lg_aot *a);       /* different loops and products in them */
const char *lg_aot_units(const lg_aot *a); /* "AVX2, AVX-512": what they are compiled for */
/* Writes the C of small plans and of kernels, as it is for this machine, into a directory that is
 * made if need be: plan1.c, or plan1-1.c, plan1-2.c ... where it is long, and kernels1.c,
 * kernels2.c ... The number of files; -1: errno says why. */
int lg_aot_write(lg_aot *a, const char *dir);
void lg_aot_free(lg_aot *a);

/* ---- where it runs ---- */

/* What the program brought; kept by the caller as long as plans run. */
void lg_aot_carry(const lg_carried *all, size_t n);
bool lg_aot_any(void);
#endif
