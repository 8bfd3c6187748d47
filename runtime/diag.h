/* diag.h: sources and diagnostics as data, and their printers. Every code stands in diag.def. */
#ifndef LG_DIAG_H
#define LG_DIAG_H
#include "runtime/base.h"
#include <stdio.h>

/* Source texts, numbered from 1 for the whole process. The text is copied. */
uint32_t lg_source_add(const char *name, const char *text, size_t n);
const char *lg_source_name(uint32_t file);
const char *lg_source_text(uint32_t file, size_t *n);
/* 1-based line and column (in code points) of a byte offset. */
void lg_source_where(uint32_t file, uint32_t offset, uint32_t *line, uint32_t *col);

typedef struct {
    lg_span at;
    char *text;
} lg_label;
typedef struct lg_diag {
    const char *code; /* "E0203", "W0601", "R0102" */
    lg_span at;
    char *message;
    LG_VEC(lg_label) labels; /* further places, underlined with - and their text */
    LG_VEC(char *) notes;    /* "= note" lines */
    LG_VEC(char *) helps;    /* "= help: ..." lines */
} lg_diag;

/* A list of diagnostics. Errors with the same code and place are kept once; after `limit` errors
 * (20) further ones are counted but not kept. `muted` > 0 drops everything (used for trial typing). */
typedef struct {
    LG_VEC(lg_diag *) list;
    size_t errors, warnings, dropped;
    size_t limit;
    size_t unheard; /* errors while muted, and those said before */
    int muted; /* > 0: errors are only counted; warnings are heard */
    lg_diag scratch;
} lg_diags;
void lg_diags_init(lg_diags *ds);
void lg_diags_fini(lg_diags *ds);
/* Adds a diagnostic and returns it so that labels, notes and help can be added (never NULL).
 * Codes beginning with W are warnings. */
lg_diag *lg_diag_add(lg_diags *ds, const char *code, lg_span at, const char *fmt, ...) LG_PRINTF(4, 5);
void lg_diag_label(lg_diag *d, lg_span at, const char *fmt, ...) LG_PRINTF(3, 4);
void lg_diag_note(lg_diag *d, const char *fmt, ...) LG_PRINTF(2, 3);
void lg_diag_help(lg_diag *d, const char *fmt, ...) LG_PRINTF(2, 3);
/* All errors met so far, also those that were not kept: for "did anything go wrong meanwhile?" */
size_t lg_diags_trouble(const lg_diags *ds);
/* Prints as in docs: code, message, place, source line, carets, labels, notes, helps. */
void lg_diags_print(const lg_diags *ds, FILE *out, bool colour);
/* The page behind `lg explain CODE`; NULL when there is no such code. */
const char *lg_diag_explain(const char *code);
const char *lg_diag_title(const char *code);
size_t lg_diag_codes(const char *const **codes);
#endif
