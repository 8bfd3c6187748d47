/* emitting.h: what the files that write C share. emit_op.c: single ops as inline functions;
 * emit_loop.c: one loop; emit_run.c: steps in a row; emit_c.c: files and plans. */
#ifndef LG_EMITTING_H
#define LG_EMITTING_H
#include "compiler/back/emit_c.h"

/* A function that several loops share, by its text. */
typedef struct {
    lg_buf text;
    int number;
} lg_shared_text;

/* A file being written: functions first, so that every op is written once a file. Runs of steps
 * (emit_run.c) are gathered for the last one. */
typedef struct {
    lg_emitted *e;
    lg_emit_how how;
    lg_buf ops, body, runs;
    int in_file;                        /* loops */
    LG_VEC(bool) run_loop, run_product; /* by number: part of a run */
    LG_VEC(const void *) known;         /* pairs: op and a number of the form it was written in */
    LG_VEC(lg_shared_text) shared;      /* of this file */
} lg_unit;

const char *lg_c_type(lg_dtype t); /* NULL: this dtype is left to the prebuilt kernels */
/* Each writes the function if the file has none yet, and puts its name into `name`. False: it has
 * no text. */
bool lg_c_elem(lg_unit *u, const lg_op *op, lg_dtype from, lg_dtype to, int n_in, char name[64]);
bool lg_c_cast(lg_unit *u, lg_dtype to, lg_dtype from, char name[64]);
bool lg_c_row(lg_unit *u, const lg_op *op, lg_dtype t, char name[64]);    /* T (x, n) */
bool lg_c_column(lg_unit *u, const lg_op *op, lg_dtype t, char name[64]); /* (in, work, out, ...) */

void lg_c_forget_shared(lg_unit *u); /* the file is complete */
/* The body of a function of any name in which what other sizes of the data would change is c0, c1
 * ...: their values go to num. False: it has no text. */
bool lg_c_loop_open(lg_unit *u, const lg_plan *p, const lg_loop *k, lg_numbers *num, lg_buf *out);
/* Writes the function `lgk_<number>`; false, with nothing written, when it has no text. */
bool lg_c_loop(lg_unit *u, const lg_plan *p, const lg_loop *k, int number);
/* A small product. */
bool lg_c_has_product(const lg_step *s, lg_emit_how how);
void lg_c_product(lg_buf *out, const lg_step *s, lg_isa isa, int number);
void lg_c_product_head(lg_buf *out, lg_isa isa); /* what stands before the first of a file */
/* What every file begins with. */
void lg_c_head(lg_buf *out);
/* Steps in a row that have a text, `number` by step (-1: none), as functions lgs_<number>. */
void lg_c_runs(lg_unit *u, const lg_plan *p, const int *number);
int lg_c_konst(lg_emitted *e, const void *p);
int lg_c_fn(lg_emitted *e, lg_elem_fn fn);
/* "(e->arena + 128)" */
void lg_c_place(lg_emitted *e, lg_buf *out, const lg_place *p);

/* Texts for generated C, embedded at build time. */
extern const char lg_text_vmath[], lg_text_vrow[], lg_text_turn[], lg_text_prelude[];
#endif
