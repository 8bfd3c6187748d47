/* joins.c: arrays that are joined from results of kernels, which write them where they belong: the
 * gates of a recurrent layer, gradients of slices. Other joins copy (ops/shape.c). Used by fuse.c
 * when all groups are known. */
#include "compiler/mid/fuse.h"

/* Readers of every node, outputs of the graph among them. */
static int *count_reads(const lg_graph *g) {
    int *n = lg_alloc(sizeof *n * (g->node.n + 1));
    for (size_t k = 0; k < g->node.n; k++)
        for (int j = 0; j < g->node.at[k]->n_in; j++)
            n[g->node.at[k]->in[j]->id]++;
    for (size_t k = 0; k < g->output.n; k++)
        n[g->output.at[k].node->id]++;
    for (size_t k = 0; k < g->effect.n; k++)
        n[g->effect.at[k]->id]++;
    return n;
}

/* Is x made by a kernel of elements, for the join alone? */
static bool may_land(const lg_fusion *f, const lg_node *x, const int *reads) {
    const lg_group *h = f->of[x->id];
    bool elements = x->op->cls == LG_C_ELEM || x->op->cls == LG_C_CAST || x->op->cls == LG_C_VIEW ||
                    x->op->cls == LG_C_REDUCE;
    return elements && h && !h->opaque && f->stored[x->id] && reads[x->id] == 1;
}

/* An output that replaces an input is best written late, by the join. */
static bool replaces(const lg_graph *g, const lg_node *x) {
    for (size_t k = 0; k < g->output.n; k++)
        if (g->output.at[k].donates >= 0 && lg_storage_of(g->output.at[k].node) == x)
            return true;
    return false;
}

void lg_fuse_joins(lg_fusion *f) {
    const lg_graph *g = f->g;
    int *reads = count_reads(g);
    for (size_t k = 0; k < g->node.n; k++) {
        lg_node *x = g->node.at[k];
        bool all = x->op->cls == LG_C_CONCAT && f->of[x->id] && lg_type_count(&x->type[0]) > 0 &&
                   !replaces(g, x);
        for (int j = 0; j < x->n_in && all; j++)
            all = may_land(f, x->in[j], reads);
        int64_t at = 0;
        for (int j = 0; j < x->n_in && all; j++) {
            f->join[x->in[j]->id] = (lg_landing){x, at};
            at += x->in[j]->type[0].shape[x->attr.axis];
        }
        if (all)
            f->join[x->id].whole = x;
    }
    lg_free(reads);
}
