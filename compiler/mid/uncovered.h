/* uncovered.h: values that are computed outside of the branch which guards them (uncovered.c). */
#ifndef LG_UNCOVERED_H
#define LG_UNCOVERED_H
#include "compiler/mid/elab.h"

/* What a check of one declaration notes about its text, until lg_uncovered_end reads it. */
typedef LG_VEC(lg_sym) lg_syms;
typedef struct lg_uncovered {
    lg_syms floats, models, flags;  /* names: of floats of the run, of parts, of arrays of bools */
    LG_VEC(const lg_ast *) choices; /* IF, WHEN and conditions after `where`, of the run */
    struct lg_uncovered *up;
    size_t errors; /* when it began */
} lg_uncovered;

/* From here on the check notes what it meets in *u. Nothing in a run or inside the library. */
void lg_uncovered_begin(lg_elab *E, lg_uncovered *u);
/* W0501 for every `let` of the text that may be infinite or NaN where a choice leaves it out, and
 * that only such choices use; frees *u. With `parts`: only of what is computed from parts. */
void lg_uncovered_end(lg_elab *E, lg_uncovered *u, const lg_ast *text, bool parts);
void lg_uncovered_name(lg_elab *E, lg_sym name, const lg_value *v);
void lg_uncovered_choice(lg_elab *E, const lg_ast *e);
#endif
