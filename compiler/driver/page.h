/* page.h: the frame of the HTML pages that `lg` writes: one file that needs nothing beside it, in
 * the reader's light or dark scheme. */
#ifndef LG_PAGE_H
#define LG_PAGE_H
#include "runtime/base.h"

void lg_page_begin(lg_buf *b, const char *title); /* head, style, heading */
void lg_page_end(lg_buf *b);
void lg_page_section(lg_buf *b, const char *title); /* ends with lg_page_section_end */
void lg_page_section_end(lg_buf *b);
void lg_page_pre(lg_buf *b, const char *title, const char *text); /* folded up */
/* "data:TYPE;base64,..." */
void lg_page_data(lg_buf *b, const char *type, const void *bytes, size_t n);
#endif
