/* formula.h: a graph written back as statements of the language, in index notation. */
#ifndef LG_FORMULA_H
#define LG_FORMULA_H
#include "compiler/mid/elab.h"

/* What an input slot of the graph is called: a name, a path like net.l1.w, by slot. */
typedef struct {
    lg_elab *E;
    const lg_graph *g;
    int n_names;
    const char *const *name;
    const char *const *const *dim; /* of each input, the names of its dims; NULL: a number */
    bool (*taken)(void *ctx, lg_sym name); /* is it a name in view? */
    void *ctx;
} lg_formula_of;
/* Statements `let ... = ...`, the last of them for output k called result[k]. NULL when a node has
 * no formula: *why is then what it is. */
lg_ast *lg_formula(const lg_formula_of *of, int n_out, const char *const *result,
                   const lg_node **why);
/* tidy.c: the same expression, shorter. */
lg_ast *lg_formula_tidy(lg_arena *a, lg_ast *t);
#endif
