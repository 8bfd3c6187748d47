/* planner.h: a plan while it is made: what schedule.c and together.c share. Not for others. */
#ifndef LG_PLANNER_H
#define LG_PLANNER_H
#include "compiler/mid/fuse.h"
#include "compiler/mid/place.h"

enum { SERIAL_NS = 6000 }; /* less is not worth sharing out */

/* A value that has a buffer. */
typedef struct {
    lg_place at;
    size_t bytes;
    int def, last; /* steps; def -1: there from the start */
    int block;     /* in the workspace; -1: elsewhere */
    bool shared;   /* several steps of a run or a stretch read it */
} value;

typedef struct {
    lg_graph *g;
    lg_plan *p;
    bool may_swap;         /* carries may ask for a second buffer */
    const bool *elsewhere; /* outputs that whoever runs the plan has made already; or NULL */
    lg_fusion f;
    int *first; /* by node id: number of its first value */
    value *val;
    int n_val;
    LG_VEC(lg_step) step;
    LG_VEC(lg_kernel) kernel; /* by step; empty for others */
    LG_VEC(lg_block) block;
    LG_VEC(int) own; /* triples: what, step, block: what a step has of its own */
    int n_begin;     /* copies before everything else */
} planner;

/* What a step has of its own in the workspace (planner.own). */
enum {
    OWN_SCRATCH,
    OWN_SUB,
    OWN_PARTIAL,
    OWN_COPY_OUT,
    OWN_COPY_IN,
    OWN_PANELS,
    OWN_SWAP /* + carry */
};
/* A block of `bytes` for step `step`. */
void lg_own(planner *s, int what, int step, size_t bytes);

int lg_value_of(const planner *s, lg_node *x); /* number of the value that x stands in */

/* What step x reads in place of its node's inputs; d: room. */
lg_node *const *lg_inputs_of(const lg_step *x, lg_dot *d);
/* Puts step order[k] in place k; blocks so far belong to single steps. */
void lg_reorder(planner *s, const int *order);

/* stretch.c: steps[k].stretch, in an order that makes them long; before it is known when values
 * are in use. */
void lg_stretches_find(planner *s);

/* together.c: steps[k].together, once it is known what reads and writes what; then the lifetimes of
 * buffers become those of whole runs of such steps, and of whole stretches. */
void lg_together_find(planner *s);
void lg_together_widen(planner *s);
#endif
