/* grad.h: derivatives as a pass from graph to graph, and the copying of subgraphs that it and
 * others need. Works on nodes alone, of any order; what a program means by grad, vjp, hvp and the
 * rest stands in derive.c. */
#ifndef LG_GRAD_H
#define LG_GRAD_H
#include "compiler/mid/elab.h"

/* Adds to g nodes for the cotangents dx[0..n_x) of the nodes x, given the cotangents dy[0..n_y)
 * (same types as y; NULL: zero) of y. x may be any nodes of g; what lies before x is not entered.
 * dx[k] is NULL where no y depends on x[k]. False after reporting (an op without a derivative). */
bool lg_grad_vjp(lg_elab *E, lg_graph *g, int n_y, lg_node *const *y, lg_node *const *dy, int n_x,
                 lg_node *const *x, lg_node **dx, lg_span at);
/* Tangents ty of y for tangents tx of x (NULL: zero), by transposing the reverse rule. */
bool lg_grad_jvp(lg_elab *E, lg_graph *g, int n_x, lg_node *const *x, lg_node *const *tx, int n_y,
                 lg_node *const *y, lg_node **ty, lg_span at);

/* E0501: `name`, applied at `at`, has none, and the derivative at `wanted` wants it. False. */
bool lg_no_derivative(lg_elab *E, const char *name, lg_span at, lg_span wanted);

/* Copies of the nodes between from[] and out[] in which from[k] is replaced by to[k] (equal
 * types); what does not depend on a from[k] is shared. out[] is overwritten with the copies. */
void lg_graph_replay(lg_graph *g, int n, lg_node *const *from, lg_node *const *to, int n_out,
                     lg_node **out);
/* The same when to[k] stand in the graph under construction, E->g, which is src or nested in it:
 * copies are made there, what is shared is imported. */
void lg_graph_replay_in(lg_elab *E, lg_graph *src, int n, lg_node *const *from, lg_node *const *to,
                        int n_out, lg_node **out);
/* Copies the nodes that out[] needs from one graph into another. map: node id of src to node of
 * dst, src->node.n entries, those given beforehand are not entered; inputs that are not in it become inputs
 * of dst. Bodies of scans and conds are copied too. */
void lg_graph_copy(lg_graph *dst, const lg_graph *src, lg_node **map, int n_out,
                   lg_node *const *out);
/* A graph of its own with the same input slots as g (all of them) and the outputs out[]. */
lg_graph *lg_graph_extract(const lg_graph *g, int n_out, lg_node *const *out);
/* A graph under `parent` with the first n_in inputs of src, the outputs out[], and src's effects. */
lg_graph *lg_graph_body(lg_graph *parent, const lg_graph *src, size_t n_in, int n_out,
                        lg_node *const *out);
lg_graph *lg_graph_clone(lg_graph *parent, const lg_graph *src); /* with its own outputs */
#endif
