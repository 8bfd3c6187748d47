/* arrays.h: the named arrays of a file or of a directory of saves, whatever its format. Called by
 * `lg info` and `lg diff`. */
#ifndef LG_ARRAYS_H
#define LG_ARRAYS_H
#include "runtime/io.h"

typedef struct {
    const char *kind; /* "checkpoint", "safetensors", "npy", "npz" */
    lg_checkpoint c;  /* its tensors, and what a save tells of itself; c.file: what was read */
} lg_arrays;
/* The format is told by the content, a directory is one of saves; an npy has one array, `array`.
 * False after reporting. */
bool lg_arrays_load(const lg_io *io, const char *path, lg_arrays *out);
void lg_arrays_fini(lg_arrays *a);
/* "[3, 4]" of a shape. */
void lg_shape_text(const lg_tensor *x, lg_buf *out);
/* Text of a file for a terminal: control characters are shown as `?`. */
void lg_shown_text(const char *text, lg_buf *out);
/* What the first bytes of a file are. */
typedef enum { LG_FILE_OTHER, LG_FILE_NPY, LG_FILE_ZIP, LG_FILE_EXECUTABLE } lg_file_kind;
lg_file_kind lg_file_kind_of(const char *path);
#endif
