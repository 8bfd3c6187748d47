/* emit.h: what emit.c, align.c, arith.c and emit_shape.c share. Nobody else includes this; what
 * they offer is in elab.h. */
#ifndef LG_EMIT_H
#define LG_EMIT_H
#include "compiler/mid/elab.h"

lg_node *lg_emit_by_map(lg_elab *E, lg_value *v, int n_open, lg_index *const *open, int rank,
                        lg_dim *const *dim, const int *map, lg_span at);
lg_type lg_emit_type(lg_elab *E, lg_dtype t, int n_open, lg_index *const *open, int rank,
                     lg_dim *const *dim, lg_span at);
bool lg_emit_is_number(const lg_node *x);
lg_dtype lg_emit_join_dtypes(lg_elab *E, int n, lg_value *const *v, const char *what, lg_span at);
bool lg_emit_all_host(int n, lg_value *const *v);
void lg_emit_fold_integers(lg_elab *E, lg_value *r, bool host, lg_span at);
bool lg_emit_align(lg_elab *E, const lg_value *small, const lg_value *large, int *map,
                   const char **why);
#endif
