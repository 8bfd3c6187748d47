/* payload.h: what a built program carries behind its machine code: the trees and texts of its files
 * and what was said when it was built. Written by `lg build`, read by main.c of this folder. Not
 * for what the program does: host/.
 *
 * A built program is the prebuilt executable, then the payload, then a tail of fixed size:
 *   magic (8 bytes), fingerprint of the builder, bytes of the payload, hash of the payload (8
 * each). Numbers are 8 bytes, least significant first; a text is its length and its bytes. The
 * payload: version, float ("" f32 f64), number of settings, each as "name=value", number of files,
 * then of each file: name, text, tree (lg_ast_write), number of imports, each the number of the
 * file it names, or of no file when it names a module of the library; number of compiled
 * plans, then of each: two numbers of its key, its shared object. The first file is the program. */
#ifndef LG_PAYLOAD_H
#define LG_PAYLOAD_H
#include "compiler/back/aot.h"
#include "compiler/mid/elab.h"
#include "runtime/io.h"

enum { LG_PAYLOAD_TAIL = 32 };
#define LG_NO_FILE UINT64_MAX

typedef struct {
    const char *name, *text;
    size_t n_text;
    const lg_ast *tree;   /* writing */
    const uint8_t *bytes; /* reading: the tree */
    size_t n_bytes;
    LG_VEC(uint64_t) imports;
} lg_payload_file;
typedef struct {
    const char *version, *float_name;
    LG_VEC(const char *) with; /* "name=value": arguments that have another default */
    LG_VEC(lg_payload_file) files;
    LG_VEC(lg_carried) carried; /* their bytes belong to who put them there */
} lg_payload;

/* With the version behind it, what tells the executable to fill from any other. */
#define LG_PAYLOAD_SEAL "executable for programs of lossgraph"
/* A builder and an executable fit when their fingerprints are equal: the version and the kinds of
 * tree nodes. The text also stands in the executable, so that it can be told from any other. */
const char *lg_payload_mark(void);
/* Payload and tail. */
void lg_payload_write(const lg_payload *p, lg_buf *out);
/* Does this executable carry a payload already? */
bool lg_payload_present(const uint8_t *exe, size_t n);
/* Reads what the executable `path` carries; `name` is how messages call it. Texts live in the
 * arena. False after reporting. */
bool lg_payload_read(const lg_io *io, lg_arena *a, const char *path, const char *name,
                     lg_payload *out);
/* The same from memory: payload and tail, which must stay. */
bool lg_payload_from(const lg_io *io, lg_arena *a, const uint8_t *at, size_t n, const char *name,
                     lg_payload *out);
/* Registers the files as the parser's session does. NULL after reporting. */
lg_module *lg_payload_load(const lg_io *io, lg_elab *E, const lg_payload *p, const char *name);
void lg_payload_fini(lg_payload *p);
#endif
