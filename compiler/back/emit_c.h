/* emit_c.h: the loops of a plan as C. The text needs no header and no library but libm; it does the
 * very arithmetic of the prebuilt kernels, so it gives their bits. Used by jit.c and by dumps; not
 * for compiling or loading (jit.c). */
#ifndef LG_EMIT_C_H
#define LG_EMIT_C_H
#include "runtime/exec.h"

/* The text of a plan and of what is nested in it, and what the text refers to by number. */
typedef struct {
    LG_VEC(lg_buf) part;        /* files, each complete by itself */
    LG_VEC(lg_loop *) loop;     /* function lgk_0, lgk_1 ... */
    LG_VEC(const void *) konst; /* addresses of constants */
    LG_VEC(lg_elem_fn) fn;      /* prebuilt kernels that are called */
    LG_VEC(lg_code_draw) draw;  /* random numbers that are asked for */
    LG_VEC(lg_step *) product;  /* function lgd_0, lgd_1 ..., all in the last part */
    int left_out;               /* loops that have no text */
} lg_emitted;

enum { LG_KERNELS_A_FILE = 12 };

void lg_emit_c(const lg_plan *p, lg_emitted *e);
void lg_emitted_free(lg_emitted *e);
#endif
