/* entries.h: everything that `lg help` can tell of, as a list, for reference pages and completion:
 * from the same declarations, builtins, ops and words. Called by `lg doc`. */
#ifndef LG_ENTRIES_H
#define LG_ENTRIES_H
#include "compiler/driver/command.h"

typedef struct {
    const char *name;
    const char *kind;  /* "loss", "model", "builtin", "op", "word" ... */
    const char *group; /* "std.losses", "built in" ... */
    const char *head;  /* signature or form */
    const char *doc;   /* "" when there is none */
    const char *text;  /* of a declaration: its source, else NULL */
} lg_entry;
typedef struct {
    lg_arena *arena; /* borrowed: holds the texts */
    LG_VEC(lg_entry) list;
} lg_entries;
/* The library by module, then builtins, host functions, ops and words. Private names are left out,
 * and ops whose name is one of the others. */
void lg_entries_library(lg_entries *e);
/* The declarations of a file. */
void lg_entries_tree(lg_entries *e, const lg_ast *tree, uint32_t file, const char *group);
void lg_entries_fini(lg_entries *e);
#endif
