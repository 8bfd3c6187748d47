/* graph.h: the typed op graph. Nodes are immutable once emitted, live in the graph's arena, carry
 * concrete shapes and the span they came from, and are created in topological order. */
#ifndef LG_GRAPH_H
#define LG_GRAPH_H
#include "runtime/op.h"
#include "runtime/tensor.h"
#include <stdio.h>

typedef struct {
    lg_dtype dtype;
    int rank;
    int64_t shape[LG_MAX_RANK];
} lg_type;

/* in_index[a] = off[a] + sum over o of coef[a*rank_out + o] * out_index[o] */
typedef struct {
    int rank_in, rank_out;
    int64_t *off, *coef;
} lg_affine;

/* Body inputs, in this order: carries, one slice of each xs, the index t (i64), constants.
 * Body outputs: next carries, yields. Node inputs: first carries, xs ([trip, ...] each), constants.
 * Node results: last carries, yields ([trip, ...] each). With `rev`, t runs from trip-1 down to 0
 * and xs and yields stand at their own t. `stop` >= 0 names a bool[...] carry: when it is all
 * false before a round, the loop ends; remaining yields are zero. */
typedef struct {
    struct lg_graph *body;
    int n_carry, n_xs, n_const, n_yield;
    int64_t trip;
    bool rev;
    int stop;
} lg_scan_attr;
/* Node inputs: pred (bool[]), captures. Branch inputs: captures. Branch outputs: the results. */
typedef struct {
    struct lg_graph *then_, *else_;
} lg_cond_attr;

typedef struct {
    lg_affine *affine;    /* VIEW, UNVIEW */
    lg_tensor *tensor;    /* CONST (kept alive by the graph) */
    lg_scan_attr *scan;
    lg_cond_attr *cond;
    void *rule;           /* MARK: a custom derivative, see mid/grad.h; NULL otherwise */
    const char *text;     /* REQUIRE: message; KERNEL: foreign symbol and the like */
    int64_t p[10];        /* KERNEL: small parameters, as its op documents */
    uint32_t axes_mask;   /* REDUCE */
    int axis, nb, ni, slot;
    bool rev;
} lg_attr;

typedef struct lg_node {
    const lg_op *op;
    struct lg_graph *graph;
    uint32_t id; /* position in graph->node */
    lg_span span;
    int n_in, n_out;   /* n_out = 1 unless a tuple */
    struct lg_node **in;
    lg_type *type;     /* n_out types */
    lg_attr attr;
} lg_node;

typedef struct {
    lg_node *node;
    int donates;   /* input slot whose buffer this output replaces in place, or -1 */
    lg_sym name;
} lg_output;

typedef struct lg_graph {
    lg_arena *arena;
    struct lg_graph *parent; /* body of a scan or cond: the graph it stands in */
    struct lg_graph *child, *sibling; /* the graphs made with this one as parent, freed with it */
    LG_VEC(lg_node *) node;
    LG_VEC(lg_node *) input;  /* by slot */
    LG_VEC(lg_output) output;
    LG_VEC(lg_node *) effect; /* REQUIRE nodes and the like, kept though unused */
    LG_VEC(lg_tensor *) keep;
} lg_graph;

lg_graph *lg_graph_new(lg_graph *parent);
void lg_graph_free(lg_graph *g); /* and every graph made with it as parent */

/* All builders take inputs of this same graph and shapes that fit: violations are asserts. */
lg_node *lg_g_input(lg_graph *g, lg_type t, lg_span at);
lg_node *lg_g_const(lg_graph *g, lg_tensor *x, lg_span at); /* retains x */
lg_node *lg_g_scalar(lg_graph *g, lg_dtype t, double v, lg_span at);
lg_node *lg_g_iota(lg_graph *g, int rank, const int64_t *shape, int axis, lg_span at); /* i64 */
/* op over same-shape inputs; scalars and others are broadcast by a view first, by the caller */
lg_node *lg_g_elem(lg_graph *g, const lg_op *op, int n, lg_node *const *in, lg_span at);
lg_node *lg_g_cast(lg_graph *g, lg_node *x, lg_dtype t, lg_span at); /* x itself when equal */
lg_node *lg_g_view(lg_graph *g, lg_node *x, const lg_affine *m, int rank, const int64_t *shape, lg_span at);
lg_node *lg_g_unview(lg_graph *g, lg_node *dy, const lg_affine *m, int rank, const int64_t *shape, lg_span at);
lg_node *lg_g_reshape(lg_graph *g, lg_node *x, int rank, const int64_t *shape, lg_span at);
lg_node *lg_g_reduce(lg_graph *g, const lg_op *op, lg_node *x, uint32_t axes_mask, lg_span at);
lg_node *lg_g_cum(lg_graph *g, const lg_op *op, lg_node *x, int axis, bool rev, lg_span at);
lg_node *lg_g_dot(lg_graph *g, lg_node *a, lg_node *b, lg_span at);
lg_node *lg_g_gather(lg_graph *g, lg_node *x, int nb, int ni, lg_node *const *idx, lg_span at);
lg_node *lg_g_scatter(lg_graph *g, const lg_op *op, lg_node *base, int nb, int ni, lg_node *const *idx,
                      lg_node *upd, lg_span at);
lg_node *lg_g_concat(lg_graph *g, int n, lg_node *const *in, int axis, lg_span at);
lg_node *lg_g_rand(lg_graph *g, const lg_op *op, lg_node *addr, lg_node *first, lg_type t, lg_span at);
lg_node *lg_g_kernel(lg_graph *g, const lg_op *op, int n, lg_node *const *in, int n_out,
                     const lg_type *out, const lg_attr *attr, lg_span at);
lg_node *lg_g_scan(lg_graph *g, const lg_scan_attr *s, int n, lg_node *const *in, lg_span at);
lg_node *lg_g_cond(lg_graph *g, const lg_cond_attr *c, int n, lg_node *const *in, lg_span at);
lg_node *lg_g_item(lg_graph *g, lg_node *tuple, int k); /* the node itself when it is no tuple */
lg_node *lg_g_mark(lg_graph *g, const lg_op *op, lg_node *x, void *rule, lg_span at);
/* MARK: in[0], with the derivative that `rule` gives to in[1..n); `leaf`: which result of the rule. */
lg_node *lg_g_custom(lg_graph *g, int n, lg_node *const *in, void *rule, int leaf, lg_span at);
/* MARK with LG_T_BARRIER: x, but not before `after` was computed, and equal to nothing else. */
lg_node *lg_g_barrier(lg_graph *g, lg_node *x, lg_node *after, lg_span at);
/* remat: in[0], to be computed again from in[1..n) in the backward pass */
lg_node *lg_g_remat(lg_graph *g, int n, lg_node *const *in, lg_span at);
/* The same op, types and attributes over other inputs (of graph g, equal types). Bodies of scans
 * and conds are shared with n, not copied. */
lg_node *lg_g_like(lg_graph *g, const lg_node *n, lg_node *const *in);
/* The same with other types, and with other bodies (NULL: shared) of its scan or cond. */
lg_node *lg_g_retyped(lg_graph *g, const lg_node *n, lg_node *const *in, const lg_type *type,
                      lg_graph *const body[2]);
lg_node *lg_g_require(lg_graph *g, lg_node *cond, const char *text, lg_span at);
/* The same with values that its text shows where it fails, in order, each at "\1AXES:FORMAT\2": the
 * first axes of the value are those of cond that the letters name ('a' the first); FORMAT: show.h. */
lg_node *lg_g_require_of(lg_graph *g, lg_node *cond, int n, lg_node *const *value, const char *text,
                         lg_span at);
void lg_g_output(lg_graph *g, lg_node *x, int donates, lg_sym name);

/* Common views, each one VIEW node (or x itself when nothing changes). */
lg_node *lg_g_permute(lg_graph *g, lg_node *x, const int *perm, lg_span at); /* out axis o = in axis perm[o] */
lg_node *lg_g_broadcast(lg_graph *g, lg_node *x, int rank, const int64_t *shape, const int *from,
                        lg_span at); /* from[o] = in axis or -1 */
lg_node *lg_g_slice(lg_graph *g, lg_node *x, int axis, int64_t beg, int64_t n, int64_t step, lg_span at);
lg_node *lg_g_fill(lg_graph *g, lg_type t, double v, lg_span at); /* a scalar constant, broadcast */
size_t lg_type_count(const lg_type *t);
lg_type lg_type_make(lg_dtype t, int rank, const int64_t *shape);
bool lg_type_equal(const lg_type *a, const lg_type *b);
bool lg_affine_is_identity(const lg_affine *m, const int64_t *in_shape, const int64_t *out_shape);

/* The ops that builders and passes emit themselves, defined under ops/; others are found by name. */
extern const lg_op lg_op_input, lg_op_const, lg_op_iota, lg_op_cast, lg_op_view, lg_op_unview,
    lg_op_reshape, lg_op_dot, lg_op_gather, lg_op_scatter_add, lg_op_scatter_put, lg_op_concat,
    lg_op_scan, lg_op_cond, lg_op_item, lg_op_stop_grad, lg_op_custom, lg_op_remat, lg_op_alias,
    lg_op_barrier, lg_op_require;

void lg_graph_print(const lg_graph *g, FILE *out);
/* NULL when the node fits its inputs, types and attributes; else what is wrong (constant text). */
const char *lg_node_check(const lg_node *n);
/* NULL when sound; else what is wrong (heap text). Run after every pass in debug builds. */
char *lg_graph_verify(const lg_graph *g);
#endif
