/* builtin.h: the tables of builtin functions, one a file builtin_*.c, each ending with a row
 * without a name, and the few helpers that these files share. Only builtin.c joins the tables. */
#ifndef LG_BUILTIN_H
#define LG_BUILTIN_H
#include "compiler/mid/elab.h"

extern const lg_builtin lg_builtins_make[], lg_builtins_shape[], lg_builtins_rows[],
    lg_builtins_conv[], lg_builtins_misc[], lg_builtins_reduce[];

/* Kernels (op classes KERNEL and CUM) called by the signature of their op. */
lg_value *lg_kernel_call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at);
lg_value *lg_cum_call(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at);
/* The results of a kernel as a record by the names in its signature, or its only result. */
lg_value *lg_kernel_apply(lg_elab *E, const lg_op *op, int n, const lg_arg *arg, lg_span at);

/* A list of sizes ([M, N], 3) as dims; the number of them, or -1 after reporting (or silently when
 * something in it was reported already). At most LG_MAX_RANK. `minus`: where -1 stood, else -1. */
int lg_shape_arg(lg_elab *E, lg_value *v, lg_dim **dim, int *minus, lg_span at);
/* v as a tensor: arrays of numbers and numbers become one. NULL after reporting. */
lg_value *lg_as_tensor(lg_elab *E, const char *fn, lg_value *v, lg_span at);
bool lg_bool_arg(lg_elab *E, lg_value *v, bool otherwise, const char *fn, const char *name);
int64_t lg_int_arg(lg_elab *E, lg_value *v, int64_t otherwise, const char *fn, const char *name);
/* Elements [beg, beg + n) of one axis; step may be negative. dim: the new size. */
lg_value *lg_slice_axis(lg_elab *E, lg_value *x, int axis, int64_t beg, lg_dim *n, int64_t step,
                        lg_span at);
#endif
