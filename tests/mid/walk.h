/* walk.h: the plainest way to run a graph: node by node, nothing shared, nothing reordered. Tests
 * of passes compare with it. */
#ifndef TESTS_WALK_H
#define TESTS_WALK_H
#include "ops/ops.h"
#include "runtime/plan.h"
#include <string.h>

static size_t walk_bytes(const lg_type *t) {
    return lg_type_count(t) * lg_dtype_size(t->dtype);
}

/* Rows along the reduced axes are gathered, then reduced. */
static void walk_reduce(const lg_node *n, const void *in, void *out) {
    const lg_type *x = &n->in[0]->type[0], *y = &n->type[0];
    size_t sx = lg_dtype_size(x->dtype), sy = lg_dtype_size(y->dtype), count = lg_type_count(x);
    size_t rows = lg_type_count(y), len = 1;
    for (int d = 0; d < x->rank; d++)
        if (n->attr.axes_mask >> d & 1)
            len *= (size_t)x->shape[d];
    char *row = lg_alloc(rows * len * sx + 64);
    size_t *fill = lg_alloc((rows + 1) * sizeof *fill);
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, r = 0, unit = 1;
        for (int d = x->rank - 1; d >= 0; d--) {
            size_t at = rest % (size_t)x->shape[d];
            rest /= (size_t)x->shape[d];
            if (!(n->attr.axes_mask >> d & 1)) {
                r += at * unit;
                unit *= (size_t)x->shape[d];
            }
        }
        memcpy(row + (r * len + fill[r]++) * sx, (const char *)in + i * sx, sx);
    }
    for (size_t r = 0; r < rows; r++)
        n->op->row[x->dtype](len, (const void *[]){row + r * len * sx}, (char *)out + r * sy);
    lg_free(row);
    lg_free(fill);
}

static bool walk_node(const lg_node *n, void **val, void **more, lg_fault *fault) {
    const void *in[64];
    void *out[16] = {val[n->id]};
    for (int k = 0; k < n->n_in && k < 64; k++)
        in[k] = val[n->in[k]->id];
    for (int k = 1; k < n->n_out && k < 16; k++)
        out[k] = more[16 * n->id + (size_t)k];
    const lg_type *t = &n->type[0];
    switch (n->op->cls) {
    case LG_C_CONST: memcpy(out[0], n->attr.tensor->data, walk_bytes(t)); return true;
    case LG_C_ELEM:
        n->op->elem[n->in[n->op->key]->type[0].dtype](lg_type_count(t), in, out[0]);
        return true;
    case LG_C_REDUCE: walk_reduce(n, in[0], out[0]); return true;
    case LG_C_ITEM: {
        const lg_node *x = n->in[0];
        const void *from = n->attr.axis ? more[16 * x->id + (size_t)n->attr.axis] : val[x->id];
        memcpy(out[0], from, walk_bytes(t));
        return true;
    }
    default: break;
    }
    void *scratch = n->op->scratch ? lg_alloc_aligned(n->op->scratch(n) + 64, 64) : NULL;
    lg_call c = {.node = n, .in = in, .out = out, .scratch = scratch, .fault = fault};
    bool ok = n->op->run && n->op->run(&c);
    lg_free_aligned(scratch);
    return ok;
}

/* Results as new tensors. No scans, conds or draws. */
static bool walk(const lg_graph *g, lg_tensor *const *in, lg_tensor **out, lg_fault *fault) {
    void **val = lg_alloc((g->node.n + 1) * sizeof *val);
    void **more = lg_alloc((g->node.n + 1) * 16 * sizeof *more);
    bool ok = true;
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        val[i] = lg_alloc(walk_bytes(&n->type[0]) + 64);
        for (int k = 1; k < n->n_out && k < 16; k++)
            more[16 * i + (size_t)k] = lg_alloc(walk_bytes(&n->type[k]) + 64);
        if (n->op->cls == LG_C_INPUT)
            memcpy(val[i], in[n->attr.slot]->data, walk_bytes(&n->type[0]));
        else if (ok)
            ok = walk_node(n, val, more, fault);
    }
    for (size_t k = 0; k < g->output.n; k++) {
        const lg_type *t = &g->output.at[k].node->type[0];
        out[k] = lg_tensor_new(t->dtype, t->rank, t->shape);
        memcpy(out[k]->data, val[g->output.at[k].node->id], walk_bytes(t));
    }
    for (size_t i = 0; i < g->node.n * 16; i++) {
        lg_free(more[i]);
        if (i < g->node.n)
            lg_free(val[i]);
    }
    lg_free(val);
    lg_free(more);
    return ok;
}
#endif
