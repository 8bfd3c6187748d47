/* runlog.h: what a run left behind: the lines of its log, or the newest save of a directory. Called
 * by `lg plot` and `lg report`. */
#ifndef LG_RUNLOG_H
#define LG_RUNLOG_H
#include "runtime/io.h"
#include <jansson.h>

/* One column of one run of a train. */
typedef struct {
    const char *name;
    LG_VEC(double) x; /* the step of the run */
    LG_VEC(double) y;
} lg_column_of;
typedef struct {
    const json_t *about; /* the line that began it, or NULL: arguments, seed, sizes */
    const char *train;
    LG_VEC(lg_column_of) columns;
} lg_run_of;
typedef struct {
    const char *path;
    json_t *lines; /* array of objects: the lines with an `event`, as they stand in the file */
    LG_VEC(lg_run_of) runs;
    lg_checkpoint save; /* of a directory; file NULL: there is none */
} lg_runlog;

/* `path`: a file of JSON lines, or a directory of saves, whose newest is read together with the
 * log.jsonl that it may hold. The last line of a log may be cut off, for a run may go on. False
 * after reporting. */
bool lg_runlog_load(const lg_io *io, const char *path, lg_runlog *out);
void lg_runlog_fini(lg_runlog *r);
/* Is it one of the comma-separated names? NULL: every name is. */
bool lg_column_chosen(const char *list, const char *name);
/* The names of all columns, each once, in the order in which they come: borrowed, n of them. */
size_t lg_runlog_columns(const lg_runlog *const *logs, size_t n_logs, const char *list,
                         const char ***out);
const lg_column_of *lg_run_column(const lg_run_of *r, const char *name); /* or NULL */
#endif
