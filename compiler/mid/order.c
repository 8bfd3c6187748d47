/* order.c: the order of a plan's steps. Kernels that write over an input, as updates of parameters
 * do, are made last by fuse.c; here they move to where their own operands are there and nothing
 * reads that input any more, so that a gradient is still in the cache and its memory is free
 * sooner. Kernels of few results, which such updates read, go ahead of them. Not for what is in a
 * kernel (fuse.c) nor for buffers (schedule.c). */
#include "compiler/mid/order.h"
#include <stdlib.h>
#include <string.h>

enum { FEW_BYTES = 1 << 10 };

typedef struct {
    int *made;   /* by node: place of the step that makes it; -1: there from the start */
    int *output; /* by node: 0: it is no output; -1: one of its own; else 1 + the input it replaces
                  */
    int *read;   /* by input slot: place of the last step that reads it */
    int64_t *checked; /* by node: subscripts that were found to be below this */
    int faults;       /* place of the last step that may fail the run */
} state;

/* Whose value x shares. */
static lg_node *source(lg_node *x) {
    x = lg_storage_of(x);
    return x->op->cls == LG_C_ITEM ? lg_storage_of(x->in[0]) : x;
}

/* ---- steps that may fail ---- */

static int64_t size_for(const lg_node *n, int k) {
    return n->in[0]->type[0].shape[n->attr.nb + k];
}

/* A gather or a scatter that has been done with these subscripts will not fail again. */
static bool subscripts_are_checked(const state *s, const lg_node *n) {
    for (int k = 0; k < n->attr.ni; k++) {
        int64_t below = s->checked[lg_storage_of(n->in[1 + k])->id];
        if (below == 0 || below > size_for(n, k))
            return false;
    }
    return true;
}

static void note_subscripts(state *s, const lg_step *x) {
    const lg_node *n = x->node;
    if (x->kind != LG_S_RUN || (n->op->cls != LG_C_GATHER && n->op->cls != LG_C_SCATTER))
        return;
    for (int k = 0; k < n->attr.ni; k++) {
        int64_t *below = &s->checked[lg_storage_of(n->in[1 + k])->id], size = size_for(n, k);
        *below = *below && *below < size ? *below : size;
    }
}

static bool node_may_fail(const state *s, const lg_node *n) {
    switch ((int)n->op->cls) {
    case LG_C_GATHER:
    case LG_C_SCATTER:
        return !subscripts_are_checked(s, n);
    case LG_C_KERNEL:
        return !(n->op->traits & LG_T_PRODUCT);
    case LG_C_REQUIRE:
    case LG_C_SCAN:
    case LG_C_COND:
        return true;
    default:
        return false;
    }
}

static bool may_fail(const state *s, const lg_step *x) {
    if (x->kind != LG_S_LOOP)
        return node_may_fail(s, x->node);
    for (int j = 0; j < x->loop->n_instr; j++)
        if (x->loop->instr[j].kind == LG_I_GATHER && node_may_fail(s, x->loop->instr[j].node))
            return true;
    return false;
}

/* ---- what a step waits for ---- */

static int later(int a, int b) {
    return a > b ? a : b;
}

/* Calls fn for every value that the step reads. */
static void each_read(const lg_step *x, const lg_kernel *l,
                      void (*fn)(state *s, lg_node *n, int *at), state *s, int *at) {
    lg_dot d;
    for (size_t j = 0; j < l->touch.n; j++)
        if (!l->touch.at[j].write)
            fn(s, source(l->touch.at[j].node), at);
    if (x->kind == LG_S_DOT)
        d = lg_dot_of(x->node);
    for (int j = 0; j < x->n_in && x->kind != LG_S_LOOP && x->kind != LG_S_COPY; j++)
        fn(s, source(x->kind == LG_S_DOT ? d.in[j] : x->node->in[j]), at);
}

static void after_maker(state *s, lg_node *n, int *at) {
    *at = later(*at, s->made[n->id]);
}

void lg_each_barrier(const lg_node *n, void (*fn)(void *ctx, lg_node *after), void *ctx) {
    for (int k = 0; k < n->n_in; k++)
        for (lg_node *x = n->in[k];
             x->op->cls == LG_C_MARK || x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE;
             x = x->in[0])
            if (x->op->cls == LG_C_MARK && x->op->traits & LG_T_BARRIER) {
                lg_map m = lg_map_identity(&x->in[1]->type[0]);
                fn(ctx, source(lg_map_source(x->in[1], &m)));
            }
}

typedef struct {
    state *s;
    int at;
} waiting;

static void wait_for(void *ctx, lg_node *after) {
    waiting *w = ctx;
    after_maker(w->s, after, &w->at);
}

static void note_read(state *s, lg_node *n, int *at) {
    if (n->op->cls == LG_C_INPUT)
        s->read[n->attr.slot] = later(s->read[n->attr.slot], *at);
}

static size_t bytes_of(const lg_node *n) {
    return lg_type_count(&n->type[0]) * lg_dtype_size(n->type[0].dtype);
}

/* May a loop move to another place, and not before which one? Results that replace an input wait
 * for those that read it, and for what may still fail the run. */
static bool moves(const state *s, const lg_kernel *l, int *at) {
    bool yes = true;
    for (size_t j = 0; j < l->touch.n; j++) {
        if (!l->touch.at[j].write)
            continue;
        lg_node *n = lg_storage_of(l->touch.at[j].node);
        int output = s->output[n->id];
        yes = yes && (output || bytes_of(n) <= FEW_BYTES);
        if (output > 0)
            *at = later(later(*at, s->faults), s->read[output - 1]);
    }
    return yes;
}

/* The place of step k: its own, or that of the last step it waits for. */
static int place_of(state *s, int k, const lg_step *x, const lg_kernel *l) {
    int at = -1;
    if (x->kind != LG_S_LOOP || may_fail(s, x))
        return k;
    each_read(x, l, after_maker, s, &at);
    waiting w = {s, at};
    for (int j = 0; j < x->loop->n_instr; j++)
        if (x->loop->instr[j].node)
            lg_each_barrier(x->loop->instr[j].node, wait_for, &w);
    at = w.at;
    return moves(s, l, &at) ? at : k;
}

static void note_made(state *s, const lg_node *n, int at) {
    s->made[n->id] = later(s->made[n->id], at);
}

static void done_at(state *s, int at, const lg_step *x, const lg_kernel *l) {
    each_read(x, l, note_read, s, &at);
    for (size_t j = 0; j < l->touch.n; j++) /* several steps may write parts of a joined value */
        if (l->touch.at[j].write)
            note_made(s, source(l->touch.at[j].node), at);
    if (x->kind != LG_S_LOOP && x->kind != LG_S_COPY)
        s->made[source((lg_node *)(uintptr_t)x->node)->id] = at;
    if (may_fail(s, x))
        s->faults = later(s->faults, at);
    note_subscripts(s, x);
}

typedef struct {
    int place, k;
} slot;

static int by_place(const void *a, const void *b) {
    const slot *x = a, *y = b;
    return x->place != y->place ? (x->place < y->place ? -1 : 1) : x->k < y->k ? -1 : x->k > y->k;
}

void lg_order_steps(const lg_graph *g, int n, const lg_step *step, const lg_kernel *kernel,
                    int fixed, int *order) {
    state s = {.faults = -1};
    size_t nodes = g->node.n + 1, inputs = g->input.n + 1;
    s.made = lg_alloc(nodes * sizeof *s.made);
    s.read = lg_alloc(inputs * sizeof *s.read);
    s.checked = lg_alloc(nodes * sizeof *s.checked);
    slot *at = lg_alloc(((size_t)n + 1) * sizeof *at);
    s.output = lg_alloc(nodes * sizeof *s.output);
    memset(s.output, 0, nodes * sizeof *s.output);
    for (size_t k = 0; k < g->output.n; k++) {
        int input = g->output.at[k].donates;
        s.output[lg_storage_of(g->output.at[k].node)->id] = input < 0 ? -1 : 1 + input;
    }
    memset(s.made, -1, nodes * sizeof *s.made);
    memset(s.read, -1, inputs * sizeof *s.read);
    for (int k = 0; k < n; k++) {
        int place = k < fixed ? -1 : place_of(&s, k, &step[k], &kernel[k]);
        at[k] = (slot){place, k};
        done_at(&s, place, &step[k], &kernel[k]);
    }
    qsort(at, (size_t)n, sizeof *at, by_place);
    for (int k = 0; k < n; k++)
        order[k] = at[k].k;
    lg_free(s.made);
    lg_free(s.read);
    lg_free(s.output);
    lg_free(s.checked);
    lg_free(at);
}
