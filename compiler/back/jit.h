/* jit.h: plans compiled while they run. A plan starts interpreted; its loops are written as C,
 * looked up in a cache on disk or given to the system's C compiler in the background, and taken
 * over between two runs. The bits stay the same. Whatever fails leaves the plan interpreted. */
#ifndef LG_JIT_H
#define LG_JIT_H
#include "runtime/plan.h"

typedef enum {
    LG_JIT_OFF,
    LG_JIT_AUTO, /* once the plan has shown that it runs long enough to pay */
    LG_JIT_ON    /* before the first run, which waits for it */
} lg_jit_mode;
bool lg_jit_mode_named(const char *text, lg_jit_mode *out);

/* From now on the plan looks after it by itself, between two runs, until it is freed. `runs`: how
 * often it will run, 0 when nobody knows; said again, so often more. `told`, or NULL: hears once
 * why it stays interpreted. */
void lg_jit_attach(lg_plan *p, lg_jit_mode mode, int64_t runs, void (*told)(const char *why));
int lg_jit_count(const lg_plan *p); /* loops and products that run compiled */
/* The C text of a plan, for reading. */
void lg_jit_print(const lg_plan *p, FILE *out);
#endif
