/* select.h: values by path, as selectors name them. */
#ifndef LG_SELECT_H
#define LG_SELECT_H
#include "compiler/mid/elab.h"

/* The record (or list) r with the leaves that a path or selector names replaced by v: a scalar fills
 * each, a record replaces by path, anything else must fit the one place that is named. */
lg_value *lg_put_path(lg_elab *E, lg_value *r, const char *selector, lg_value *v, lg_span at);
/* The value at a path "l1.w", "blk[3].att.w"; NULL when there is none. */
lg_value *lg_at_path(lg_elab *E, lg_value *r, const char *path);
/* "did you mean" for a selector that matched none of n paths. */
void lg_selector_help(lg_elab *E, lg_diag *d, const char *selector, int n, const char *const *path);
#endif
