/* plot.h: curves as text on a terminal and as SVG. Called by the effects of a program and by
 * `lg plot` and `lg report`. */
#ifndef LG_CURVES_H
#define LG_CURVES_H
#include "runtime/base.h"

typedef struct {
    const char *name; /* "": not named below the picture */
    size_t n;
    const double *x; /* rising; NULL: the index */
    const double *y; /* what is not finite is a gap */
} lg_curve;
void lg_draw_terminal(lg_buf *b, size_t n, const lg_curve *curve);
void lg_draw_coloured(lg_buf *b, size_t n, const lg_curve *curve); /* a colour a curve */

/* A picture of its own, which follows the reader's light or dark scheme. */
void lg_draw_svg(lg_buf *b, size_t n, const lg_curve *curve);
/* The same as one of several below each other in a picture or in a page: `title` (may be "") above
 * it, `top` its upper edge. The colours of texts and lines are those of lg_draw_style. */
enum { LG_PLOT_WIDTH = 600, LG_PLOT_HEIGHT = 270 };
void lg_draw_panel(lg_buf *b, size_t n, const lg_curve *curve, const char *title, int top);
void lg_draw_open(lg_buf *b, int height); /* <svg ...> with the style; ends with </svg> */
extern const char lg_draw_style[];
void lg_xml_text(lg_buf *b, const char *text); /* escaped for XML and HTML */
#endif
