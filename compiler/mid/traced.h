/* traced.h: in a check, which values of a function depend on the point of a derivative, and which
 * do so through an operation that has none (traced.c). */
#ifndef LG_TRACED_H
#define LG_TRACED_H
#include "compiler/mid/elab.h"

/* lg_value.trace: 0 while nobody asks. */
enum { LG_TRACE_KNOWN = 1, LG_TRACE_DEPENDS = 2, LG_TRACE_STUCK = 4 };

typedef struct lg_traced {
    uint8_t seen;     /* of the operands of the expression under evaluation */
    const char *name; /* of what has no derivative, and where it is applied */
    lg_span at;
} lg_traced;

typedef lg_value *(*lg_expr_fn)(lg_elab *E, const lg_ast *e);
/* e by `plain`, and what it depends on. */
lg_value *lg_traced_expr(lg_elab *E, const lg_ast *e, lg_expr_fn plain);
/* r, which a foreign function gives for these arguments. */
void lg_traced_foreign(lg_elab *E, lg_value *r, const char *name, int n, lg_value *const *arg,
                       lg_span at);
/* r, which has a rule of its own: a derivative passes. */
lg_value *lg_traced_ruled(lg_elab *E, lg_value *r);
bool lg_traced_stuck(lg_elab *E, lg_value *v);
/* Is there anything in the files of the program that has no derivative? */
bool lg_traced_worth_it(const lg_elab *E);
#endif
