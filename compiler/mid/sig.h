/* sig.h: names in a signature: what dims and letters stand for in a call. Shared by sig.c and
 * types.c. */
#ifndef LG_SIG_H
#define LG_SIG_H
#include "compiler/mid/elab.h"

typedef struct {
    lg_elab *E;
    lg_frame *f;      /* whose names the type is written in */
    lg_span at;       /* of the value */
    const char *what; /* "`z` of `focal`" */
    bool binding;
} lg_checking;

lg_dim *lg_sig_own(lg_elab *E, lg_frame *f, lg_sym name); /* of this frame alone */
/* NULL: the name stands for nothing yet. */
lg_dim *lg_sig_dim(lg_elab *E, lg_frame *f, lg_sym name, bool binding);
void lg_sig_add(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *d);
/* Names in a dim expression that stand for nothing yet, each once, appended to out[0..n). */
int lg_sig_unknown(lg_checking *c, const lg_ast *e, lg_sym *out, int n, int max);
/* What a capital letter stands for, and the name it is kept under. */
lg_sym lg_sig_letter_key(lg_elab *E, lg_sym name);
lg_value *lg_sig_letter(lg_elab *E, lg_frame *f, lg_sym name);
lg_dim *lg_sig_count(lg_elab *E, const lg_value *v); /* the number of values in v: `count(R)` */
#endif
