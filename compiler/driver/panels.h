/* panels.h: the curves of runs, a panel a column. Called by `lg plot` and `lg report`. */
#ifndef LG_PANELS_H
#define LG_PANELS_H
#include "compiler/driver/runlog.h"

typedef struct {
    const lg_runlog *const *logs;
    size_t n;
    const char *columns; /* the names to draw, comma-separated; NULL: all */
} lg_panels;
/* The number of panels; 0: nothing to draw. */
size_t lg_panels_count(const lg_panels *p);
/* Panels below each other, or (for a page) each a picture of its own. */
void lg_panels_svg(const lg_panels *p, lg_buf *out);
void lg_panels_html(const lg_panels *p, lg_buf *out);
void lg_panels_terminal(const lg_panels *p, bool colour, lg_buf *out);
/* "fit", or "fit #2" where a log has several runs, after the log's name where there are several. */
void lg_run_label(const lg_panels *p, size_t log, size_t run, lg_buf *out);
#endif
