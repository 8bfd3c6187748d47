/* plan.h: a flat plan and the loop over it. mid/schedule.c makes plans; exec.c runs them. */
#ifndef LG_PLAN_H
#define LG_PLAN_H
#include "runtime/graph.h"
#include <signal.h>

/* What went wrong at run time, and where. Filled by kernels through lg_fault_set. */
typedef struct lg_fault {
    bool set;
    const char *code;  /* R0101 ... of diag.def */
    char text[256];
    lg_span at;
    int64_t row; /* first axis index, or -1 */
} lg_fault;
static inline void lg_fault_clear(lg_fault *f) {
    f->set = false;
    f->code = NULL;
    f->text[0] = 0;
    f->at = (lg_span){0, 0, 0};
    f->row = -1;
}
bool lg_fault_set(lg_fault *f, const lg_node *n, const char *code, int64_t row, const char *fmt, ...)
    LG_PRINTF(5, 6); /* always returns false */

typedef struct lg_plan lg_plan;
/* Workspace of plans that never run at the same time; starts as zeros, grows to the largest. */
typedef struct lg_room {
    char *base;
    size_t bytes;
} lg_room;
void lg_room_free(lg_room *r); /* after the plans */
typedef struct {
    int threads;      /* 0: all of the machine */
    bool no_fuse;     /* tests: run op by op */
    bool no_simplify; /* tests: the graph as it was built */
    bool check_nan;   /* fault R0102 at the first op with a non-finite result */
    bool may_fail;    /* give NULL where memory does not suffice; else the program ends */
    size_t most;      /* bytes of workspace: values are computed again where it needs more; 0: any */
    size_t *needed;   /* may_fail: the bytes of workspace that were not to be had, or NULL */
    lg_room *room;    /* workspace shared with others; NULL: the plan has its own */
    const volatile sig_atomic_t *stop; /* once not 0, the plan ends with a fault between two steps */
    const char *dump; /* "graph", "grad" (the graph once simplified), "plan" or "dot": print it */
} lg_plan_opts;

typedef struct {
    size_t arena_bytes; /* workspace */
    size_t room_bytes;  /* with what threads need besides */
    size_t plan_bytes;  /* the plan itself */
    size_t io_bytes;    /* inputs, constants and outputs that are not donated */
    int64_t flops;
    int64_t bytes;      /* traffic of the kernels */
    int n_kernels, n_nodes;
    int n_again; /* values computed again to fit opts.most; what that saves and costs */
    size_t saved_bytes;
    int64_t more_flops;
} lg_plan_stats;

/* Plans a graph. The graph must outlive the plan and is rewritten by the passes. Outputs are
 * written to the buffer given at run time; an output that donates slot s may be given the same
 * buffer as input s: the plan makes every read of it happen first. */
lg_plan *lg_plan_new(lg_graph *g, const lg_plan_opts *opts);
/* A node of more elements than any memory or patience has room for, bodies included; NULL: none. */
const lg_node *lg_plan_oversized(const lg_graph *g);
double lg_type_room(const lg_type *t); /* bytes of a value, however many */
/* Says that there is no memory: for the value n or, when it is NULL, for `bytes` in all. False. */
bool lg_plan_too_large(lg_fault *fault, const lg_node *n, double bytes);
void lg_plan_free(lg_plan *p);
lg_plan_stats lg_plan_get_stats(const lg_plan *p);
void lg_plan_print(const lg_plan *p, FILE *out);
void lg_plan_dot(const lg_plan *p, FILE *out); /* for Graphviz, coloured by time */
/* in[slot], out[k]: dense buffers. False: *fault says why, and donated buffers are unchanged when
 * the fault came from a REQUIRE or an index check before any donated output was written. */
bool lg_plan_run(lg_plan *p, const void *const *in, void *const *out, lg_fault *fault);
/* Plans, runs once, frees: for host expressions. Results are new tensors in out[]. */
bool lg_graph_eval(lg_graph *g, lg_tensor *const *in, lg_tensor **out, lg_fault *fault);

/* Threads of this process; one pool. fn(ctx, part, parts) runs for every part. */
void lg_pool_init(int threads);
int lg_pool_threads(void);
void lg_pool_run(void (*fn)(void *ctx, int part, int parts), void *ctx, int parts);
#endif
