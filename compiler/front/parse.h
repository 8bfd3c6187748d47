/* parse.h: text to tree. The only interface to the scanner and the grammar. */
#ifndef LG_PARSE_H
#define LG_PARSE_H
#include "compiler/front/ast.h"
#include "runtime/diag.h"
#include <stdio.h>

/* Parses a source that lg_source_add knows. Always returns a tree (a BLOCK), with ERROR nodes where
 * text could not be understood; faults are in ds. */
lg_ast *lg_parse(lg_arena *a, uint32_t file, lg_diags *ds);
/* The one expression that a source consists of; NULL when it is something else (faults are in ds). */
lg_ast *lg_parse_expr(lg_arena *a, uint32_t file, lg_diags *ds);
/* For the prompt: true when the text so far ends inside an open bracket, block or string, or with
 * what cannot end a statement. */
bool lg_parse_incomplete(const char *text, size_t n);
/* Does a line that begins like this go on with the line above? */
bool lg_parse_continues(const char *text, size_t n);
void lg_tokens_dump(uint32_t file, FILE *out);
/* Tree to tidy text (comments of the source kept), for lg fmt and tests. */
void lg_print_tree(const lg_ast *t, lg_buf *out);
#endif
