/* key.h: when one plan serves several graphs: constants that another run may change become inputs,
 * and what is left of a graph is named by a key. Used by the host, which keeps plans. */
#ifndef LG_KEY_H
#define LG_KEY_H
#include "runtime/graph.h"

/* Graphs of one key compute the same from their inputs. */
typedef struct {
    uint64_t h[2];
} lg_graph_key;
lg_graph_key lg_graph_key_of(const lg_graph *g);
/* Constants of g itself that vary (lg_tensor.varies), and with `arrays` all that are more than one
 * number, become inputs after those that g has, one for each expression. Gives how many, and in
 * *value, on the heap, what they were: these are the caller's. */
int lg_graph_open(lg_graph *g, bool arrays, lg_tensor ***value);
#endif
