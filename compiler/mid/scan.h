/* scan.h: what dynamic (scan.c) and static loops (unroll.c) share: yields and how results join. */
#ifndef LG_SCAN_H
#define LG_SCAN_H
#include "compiler/mid/elab.h"

/* What a body yielded in one round; the frame of the body (LG_F_SCAN) has it as `ext`. */
typedef struct {
    lg_value *record; /* fields of all record yields */
    lg_value *one;    /* a yield that is no record */
    lg_sym name;      /* the name it was yielded under, or NULL */
    lg_span at;
} lg_yields;
/* The yields as one value: a record, or the single value when nothing is carried; NULL: none. */
lg_value *lg_yields_value(lg_elab *E, lg_yields *y, bool carries);
/* Carries (a record) and yields (or NULL) in one: a single one is the value itself. */
lg_value *lg_loop_joined(lg_elab *E, lg_value *carries, lg_value *yields);
lg_value *lg_scan_static(lg_elab *E, const lg_ast *e);
#endif
