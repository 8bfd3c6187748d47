/* nest.h: graphs inside graphs: what the bodies of loops and branches take from outside, how hidden
 * state leaves them, and how two values become one type. Shared by nest.c, control.c and scan.c. */
#ifndef LG_NEST_H
#define LG_NEST_H
#include "compiler/mid/elab.h"

typedef struct {
    lg_node *outer, *inner;
} lg_node_pair;

/* A graph under construction inside another one. */
typedef struct lg_nest {
    lg_graph *g;
    struct lg_nest *up;
    LG_VEC(lg_node_pair) pair;  /* captures: outer node, input of g, in the order of the slots */
    LG_VEC(lg_node_pair) first; /* other inputs of g, with what they are at the start (scans) */
} lg_nest;

/* What an elaboration inside a nested graph changes of E, to be put back. */
typedef struct {
    lg_graph *g;
    lg_nest *nest;
    lg_frame *frame;
    lg_store *store, *states;
    lg_value *guard, *lazy, *draw_lane;
} lg_outside;
lg_outside lg_nest_enter(lg_elab *E, lg_nest *n, lg_graph *g);
void lg_nest_leave(lg_elab *E, const lg_outside *o);
/* The nodes of v, which stand in n->g, again outside of it, as they are at the start. */
lg_value *lg_nest_hoist(lg_elab *E, lg_nest *n, lg_value *v);

/* States met inside a branch: read from outside, written to by both branches together. */
typedef struct {
    const char *path;
    lg_value *first, *now;
} lg_layer_row;
typedef struct {
    lg_store base;
    lg_store *outer;
    lg_nest *nest;
    LG_VEC(lg_layer_row) row;
} lg_layer;
void lg_layer_init(lg_layer *l, lg_store *outer, lg_nest *nest);
lg_value *lg_layer_now(lg_layer *l, const lg_layer *other, const char *path);

/* The type that two numbers or tensors become when a condition chooses between them. */
typedef struct {
    lg_dtype dtype;
    bool weak;
    int n_open, rank;
    lg_index **open;
    lg_dim **dim, *bound;
} lg_joined;
bool lg_join(lg_elab *E, lg_value *a, lg_value *b, lg_joined *out, lg_span at);
/* v as that type, in the graph E->g. */
lg_value *lg_as_joined(lg_elab *E, lg_value *v, const lg_joined *t, lg_span at);
/* Types that are no type of a graph's result: functions, text and the like. */
bool lg_is_plain(const lg_value *v); /* number or tensor */
#endif
