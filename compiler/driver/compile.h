/* compile.h: from the text of a file to a checked program. Called by every command of main.c. */
#ifndef LG_COMPILE_H
#define LG_COMPILE_H
#include "compiler/mid/elab.h"

typedef struct {
    lg_module *module;
    char *path; /* with links resolved */
    uint32_t source; /* its text */
    bool loading;
    LG_VEC(lg_module *) imports; /* what its import statements name, in order; NULL: not found */
} lg_loaded;

typedef struct {
    lg_arena *arena;
    lg_diags ds;
    lg_elab *E;
    LG_VEC(lg_loaded *) files; /* in the order in which they were met */
} lg_session;
void lg_session_init(lg_session *s);
void lg_session_fini(lg_session *s);
/* Text of a file as a source, `-` being the standard input; 0 after reporting. */
uint32_t lg_session_source(lg_session *s, const char *path, lg_span at);
/* Parses a file and what it imports, and registers their declarations. NULL after reporting. */
lg_module *lg_session_load(lg_session *s, const char *path);
/* An import statement typed after the start: loads and checks what is not there yet and binds its
 * name in `into`. False after reporting. */
bool lg_session_import(lg_session *s, lg_module *into, const lg_ast *t);
/* Checks all that was loaded. */
bool lg_session_check(lg_session *s);
#endif
