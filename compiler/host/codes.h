/* codes.h: parameters held as codes, in files. Used by effect.c and save.c alone. */
#ifndef LG_CODES_H
#define LG_CODES_H
#include "compiler/host/host.h"
#include "runtime/io.h"

/* Notes in b's metadata by which quantizer the codes under `path` were made. False after reporting. */
bool lg_codes_note(lg_elab *E, const char *path, const lg_value *codes, lg_bundle *b, lg_span at);
/* The notes of a file that was read. add: array `name` of the file as field `path` of r, or as a part
 * of a record of codes there. False after reporting. */
typedef struct lg_notes lg_notes;
lg_notes *lg_notes_new(lg_elab *E, const lg_bundle *b, lg_span at);
void lg_notes_free(lg_notes *n);
bool lg_notes_add(lg_notes *n, lg_value *r, const char *name, const char *path, lg_value *array);
#endif
