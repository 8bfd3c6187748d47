/* remat.h: plans that fit a limit of workspace. Used by schedule.c alone. */
#ifndef LG_REMAT_H
#define LG_REMAT_H
#include "runtime/exec.h"

/* p, a plan of g that needs more than o->most, or another one of g rewritten so that some values
 * are computed again instead of being kept; then p is freed. The cheapest that fits, else the
 * smallest that was found. `plan` plans a graph as it is. Results have the same bits. */
lg_plan *lg_remat(lg_graph *g, lg_plan *p, const lg_plan_opts *o,
                  lg_plan *(*plan)(lg_graph *g, const lg_plan_opts *o));
/* Bytes of workspace and of what the threads of a run need besides. */
size_t lg_plan_room(const lg_plan *p);
#endif
