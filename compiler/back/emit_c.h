/* emit_c.h: the loops of a plan as C. The text needs no header and no library but libm; it does the
 * very arithmetic of the prebuilt kernels, so it gives their bits. Used by jit.c and by dumps; not
 * for compiling or loading (jit.c). */
#ifndef LG_EMIT_C_H
#define LG_EMIT_C_H
#include "ops/isa.h"
#include "runtime/exec.h"

/* Steps in a row that are one function. */
typedef struct {
    lg_step *first;
    int n;
} lg_emitted_run;

typedef LG_VEC(int64_t) lg_numbers;

/* A step whose function is named by its text alone (lgo_<key>): sizes of the data and places are
 * not in it, but numbers that it is given. */
typedef struct {
    lg_step *step; /* LOOP or DOT */
    uint64_t key[2];
    int64_t *num; /* of a loop */
} lg_opened;

/* The text of a plan and of what is nested in it, and what the text refers to by number. */
typedef struct {
    LG_VEC(lg_buf) part;        /* files, each complete by itself */
    LG_VEC(lg_loop *) loop;     /* function lgk_0, lgk_1 ... */
    LG_VEC(const void *) konst; /* addresses of constants */
    LG_VEC(lg_elem_fn) fn;      /* prebuilt kernels that are called */
    LG_VEC(lg_code_draw) draw;  /* random numbers that are asked for */
    LG_VEC(lg_step *) product;  /* function lgd_0, lgd_1 ..., all in the last part */
    LG_VEC(lg_emitted_run) run; /* function lgs_0, lgs_1 ..., all in the last part */
    LG_VEC(bool) within;        /* by loop: it is part of a run, and not a function outside of it */
    LG_VEC(bool) product_within;
    int left_out;           /* loops that have no text */
    LG_VEC(lg_opened) open; /* of lg_emit_open, which fills konst, fn and draw too */
} lg_emitted;

enum { LG_KERNELS_A_FILE = 12 };

/* What the text of a plan depends on besides the plan. */
typedef struct {
    lg_isa isa; /* whose order of summing products have */
    bool alone; /* one thread runs it, whatever there is */
    bool runs;  /* steps in a row become one function */
} lg_emit_how;

void lg_emit_c(const lg_plan *p, lg_emit_how how, lg_emitted *e);

/* ---- kernels for any plan ---- */

enum { LG_NAME_ROOM = 40 };
/* Files of kernels, each kernel once, however many plans want it. */
typedef struct lg_kernels lg_kernels;
/* those, or NULL: kernels that they have are not written again. */
lg_kernels *lg_kernels_new(const lg_kernels *those);
int lg_kernels_count(const lg_kernels *x);
size_t lg_kernels_files(lg_kernels *x, const lg_buf **out); /* complete; nothing is added later */
void lg_kernels_free(lg_kernels *x);
/* The steps of p as functions that serve other sizes too. Texts that `all` does not have go there, or
 * to `cold` where they take next to nothing of the plan's time; NULL: nowhere. Products, whose texts
 * are for one size, only where they are wanted. */
void lg_emit_open(const lg_plan *p, lg_emit_how how, bool products, lg_kernels *all,
                  lg_kernels *cold, lg_emitted *e);
void lg_open_name(const uint64_t key[2], char out[LG_NAME_ROOM]);
void lg_emitted_free(lg_emitted *e);
#endif
