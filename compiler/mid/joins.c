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

/* Is x made by a kernel, which may write it here as well? */
static bool may_land(const lg_fusion *f, const lg_node *x, int room) {
    const lg_group *h = f->of[x->id];
    bool elements = x->op->cls == LG_C_ELEM || x->op->cls == LG_C_CAST || x->op->cls == LG_C_VIEW ||
                    x->op->cls == LG_C_REDUCE;
    return elements && h && !h->opaque && f->stored[x->id] && f->join[x->id].n < room;
}

/* An output that replaces an input is best written late, by the join. */
static bool replaces(const lg_graph *g, const lg_node *x) {
    for (size_t k = 0; k < g->output.n; k++)
        if (g->output.at[k].donates >= 0 && lg_storage_of(g->output.at[k].node) == x)
            return true;
    return false;
}

static bool all_land(const lg_fusion *f, const lg_node *x) {
    if (x->op->cls != LG_C_CONCAT || !f->of[x->id] || !lg_type_count(&x->type[0]) ||
        replaces(f->g, x))
        return false;
    for (int j = 0; j < x->n_in; j++) {
        for (int i = 0; i < j; i++)
            if (x->in[i] == x->in[j])
                return false;
        if (!may_land(f, x->in[j], LG_LANDINGS))
            return false;
    }
    return true;
}

void lg_fuse_joins(lg_fusion *f) {
    const lg_graph *g = f->g;
    int *reads = count_reads(g);
    for (size_t k = 0; k < g->node.n; k++) {
        lg_node *x = g->node.at[k];
        f->joined[k] = all_land(f, x);
        int64_t at = 0;
        for (int j = 0; j < x->n_in && f->joined[k]; j++) {
            lg_landing *l = &f->join[x->in[j]->id];
            l->whole[l->n] = x;
            l->at[l->n++] = at;
            l->only = l->n == reads[x->in[j]->id];
            at += x->in[j]->type[0].shape[x->attr.axis];
        }
    }
    lg_free(reads);
}
