/* static.h: which parameters of a declaration are static: a value of theirs is part of what is
 * planned. All other numbers and bools are run-time scalars. */
#ifndef LG_STATIC_H
#define LG_STATIC_H
#include "compiler/front/ast.h"

typedef struct lg_statics lg_statics;
/* find: the declaration that a top-level name means, or NULL. What it returns must live on. */
lg_statics *lg_statics_new(lg_arena *a, const lg_ast *(*find)(void *ctx, lg_sym name), void *ctx);
/* May the parameter be a number or a bool at all (no array, text, function, model ...)? */
bool lg_param_is_scalar(const lg_ast *param);
/* Bit i: the scalar parameter i of decl is static. Worked out once a declaration. */
uint64_t lg_static_params(lg_statics *s, const lg_ast *decl);
#endif
