/* rule.h: a derivative that a declaration gives (`with vjp`), as a graph: what a custom MARK node
 * holds. Made by custom.c at the call, used by grad_rule.c. It points to no node of the graph it is
 * used in, so that the mark can be copied freely. */
#ifndef LG_RULE_H
#define LG_RULE_H
#include "runtime/graph.h"

typedef struct lg_rule {
    /* Inputs: the cotangents of the n_dy results, then what stands in in[1..] of the mark. Outputs:
     * cotangents, number k for in[target[k]]. */
    lg_graph *body;
    int n_dy;
    int *target;
} lg_rule;
#endif
