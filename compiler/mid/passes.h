/* passes.h: graph to graph, and graph to plan. In order: simplify (fold, share, rewrite, drop the
 * dead), contract (sums of products become dots), attention (its scores
 * are not stored), loops (scans with less in them), ends (products of which the first rows matter),
 * bundle (images of convolutions side by side), layout (transpositions move to where they cancel),
 * then schedule.c
 * groups what fuses, places buffers and makes the plan. Every pass rewrites its graph in place:
 * afterwards g->node holds the live nodes in topological order with ids renumbered, g->input keeps
 * its slots (unused ones too), g->output and g->effect name the new nodes; bodies of scans and
 * conds are rewritten likewise. */
#ifndef LG_PASSES_H
#define LG_PASSES_H
#include "runtime/plan.h"

void lg_pass_simplify(lg_graph *g);
void lg_pass_contract(lg_graph *g);
/* Softmax attention becomes kernels that do not store its scores. */
void lg_pass_attention(lg_graph *g);
/* Scans lose what nothing needs, and products that need not wait for a round. */
void lg_pass_loops(lg_graph *g);
/* Products of which only the first rows are looked at, as far as the run says, end there. */
void lg_pass_ends(lg_graph *g);
/* Images of convolutions lie in bundles of 16, and so does what is made from them. */
void lg_pass_bundle(lg_graph *g);
/* Transpositions move past elementwise ops and reductions, which then run along memory. */
void lg_pass_layout(lg_graph *g);
/* Drops what no output or effect needs. */
void lg_pass_dead(lg_graph *g);
#endif
