/* doc.h: between the writers of reference pages, doc.c and man.c. */
#ifndef LG_DOC_H
#define LG_DOC_H
#include "compiler/driver/entries.h"
#include "runtime/io.h"

bool lg_doc_dir(const lg_io *io, const char *dir); /* makes it; false after reporting */
bool lg_doc_write(const lg_io *io, const char *dir, const char *name, const lg_buf *b);
/* A manual page of section 3lg for each name, to DIR/man3. */
bool lg_man_entries(const lg_io *io, const lg_entries *e, const char *dir);
#endif
