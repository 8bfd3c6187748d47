/* print.h: text of a node on one line; what print.c and format.c share. */
#ifndef LG_PRINT_H
#define LG_PRINT_H
#include "compiler/front/ast.h"
#include "runtime/diag.h"

enum { LG_P_NONE = -1, LG_P_LOWEST = 0, LG_P_POSTFIX = 12 };
/* In parentheses when it binds less than `least` or stood in some. */
void lg_print_node(const lg_ast *t, int least, lg_buf *out);
void lg_print_head(const lg_ast *t, lg_buf *out); /* of a DECL: up to its value, source or block */
/* What follows the parameters in it: indices, the type after an arrow or a colon, ... */
void lg_print_result(const lg_ast *t, bool arrow, lg_buf *out);
void lg_print_escaped(const char *s, lg_buf *out);
int lg_print_level(const lg_ast *t); /* how tightly the node binds */
/* What the operand on the right of an operator needs: prefix forms need no parentheses there. */
int lg_print_right(const lg_ast *t, int least);
bool lg_print_tight(const lg_ast *t); /* is the operator written without spaces? */
#endif
