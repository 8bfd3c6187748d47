/* copy.c: copying nodes: within a graph with some of them replaced (replay), or into another graph.
 * Not for what is done with the copies. Called by the derivatives, by scans and by the host. */
#include "compiler/mid/grad.h"

/* ---- which nodes ---- */

/* Flags by id, on the heap: everything that the outputs need, down to what `stop` says. */
static uint8_t *needed_by(const lg_graph *g, int n_out, lg_node *const *out, lg_node *const *map) {
    uint8_t *need = lg_alloc(g->node.n + 1);
    for (int k = 0; k < n_out; k++)
        if (out[k])
            need[out[k]->id] = 1;
    for (size_t i = g->node.n; i-- > 0;)
        for (int k = 0; need[i] && !(map && map[i]) && k < g->node.at[i]->n_in; k++)
            need[g->node.at[i]->in[k]->id] = 1;
    return need;
}

/* Everything that depends on one of from[], those included. */
static uint8_t *dependent_on(const lg_graph *g, int n, lg_node *const *from) {
    uint8_t *dep = lg_alloc(g->node.n + 1);
    for (int k = 0; k < n; k++)
        if (from[k])
            dep[from[k]->id] = 1;
    for (size_t i = 0; i < g->node.n; i++)
        for (int k = 0; !dep[i] && k < g->node.at[i]->n_in; k++)
            dep[i] = dep[g->node.at[i]->in[k]->id];
    return dep;
}

/* ---- one node ---- */

static lg_node *copy_over(lg_graph *dst, const lg_node *n, lg_node *const *in) {
    lg_node *y = lg_g_like(dst, n, in);
    if (y->attr.scan)
        y->attr.scan->body = lg_graph_clone(dst, n->attr.scan->body);
    if (y->attr.cond) {
        y->attr.cond->then_ = lg_graph_clone(dst, n->attr.cond->then_);
        y->attr.cond->else_ = lg_graph_clone(dst, n->attr.cond->else_);
    }
    return y;
}

static lg_node *copy_mapped(lg_graph *dst, const lg_node *n, lg_node *const *map) {
    if (n->op->cls == LG_C_INPUT)
        return lg_g_input(dst, n->type[0], n->span);
    lg_node **in = lg_alloc(sizeof *in * (size_t)(n->n_in + 1));
    for (int k = 0; k < n->n_in; k++)
        in[k] = map[n->in[k]->id];
    lg_node *y = copy_over(dst, n, in);
    lg_free(in);
    return y;
}

/* ---- into another graph ---- */

void lg_graph_copy(lg_graph *dst, const lg_graph *src, lg_node **map, int n_out,
                   lg_node *const *out) {
    uint8_t *need = needed_by(src, n_out, out, map);
    for (size_t i = 0; i < src->node.n; i++)
        if (need[i] && !map[i])
            map[i] = copy_mapped(dst, src->node.at[i], map);
    lg_free(need);
}

/* The first n_in inputs of src as inputs of dst, then the outputs, and the effects if asked for. */
static void copy_whole(lg_graph *dst, const lg_graph *src, size_t n_in, int n_out,
                       lg_node *const *out, bool effects) {
    lg_node **map = lg_alloc(sizeof *map * (src->node.n + 1));
    for (size_t k = 0; k < n_in; k++) {
        lg_node *x = src->input.at[k];
        map[x->id] = lg_g_input(dst, x->type[0], x->span);
    }
    LG_VEC(lg_node *) want = {0};
    for (int k = 0; k < n_out; k++)
        LG_PUSH(want, out[k]);
    for (size_t k = 0; effects && k < src->effect.n; k++)
        LG_PUSH(want, src->effect.at[k]);
    lg_graph_copy(dst, src, map, (int)want.n, want.at);
    for (int k = 0; k < n_out; k++)
        lg_g_output(dst, map[out[k]->id], -1, NULL);
    for (size_t k = 0; effects && k < src->effect.n; k++)
        LG_PUSH(dst->effect, map[src->effect.at[k]->id]);
    lg_free(want.at);
    lg_free(map);
}

lg_graph *lg_graph_body(lg_graph *parent, const lg_graph *src, size_t n_in, int n_out,
                        lg_node *const *out) {
    lg_graph *g = lg_graph_new(parent);
    copy_whole(g, src, n_in, n_out, out, true);
    return g;
}

lg_graph *lg_graph_clone(lg_graph *parent, const lg_graph *src) {
    size_t n = src->output.n;
    lg_node **out = lg_alloc(sizeof *out * (n + 1));
    for (size_t k = 0; k < n; k++)
        out[k] = src->output.at[k].node;
    lg_graph *g = lg_graph_body(parent, src, src->input.n, (int)n, out);
    for (size_t k = 0; k < n; k++) {
        g->output.at[k].name = src->output.at[k].name;
        g->output.at[k].donates = src->output.at[k].donates;
    }
    lg_free(out);
    return g;
}

lg_graph *lg_graph_extract(const lg_graph *g, int n_out, lg_node *const *out) {
    lg_graph *own = lg_graph_new(NULL);
    copy_whole(own, g, g->input.n, n_out, out, false);
    return own;
}

/* ---- replay ---- */

/* Copies into dst the nodes of src that out[] needs and that depend on a from[k]. What they share
 * with the original is taken as it is, or imported when dst is nested in src. */
static void replay(lg_elab *E, lg_graph *dst, lg_graph *src, int n, lg_node *const *from,
                   lg_node *const *to, int n_out, lg_node **out) {
    size_t count = src->node.n; /* copies may be appended to src itself */
    lg_node **map = lg_alloc(sizeof *map * (count + 1));
    uint8_t *dep = dependent_on(src, n, from);
    for (int k = 0; k < n; k++)
        if (from[k])
            map[from[k]->id] = to[k];
    uint8_t *need = needed_by(src, n_out, out, map);
    for (size_t i = 0; i < count; i++) {
        const lg_node *x = src->node.at[i];
        if (!need[i] || !dep[i] || map[i])
            continue;
        for (int k = 0; k < x->n_in; k++) {
            lg_node **m = &map[x->in[k]->id];
            if (!*m)
                *m = dst == src ? x->in[k] : lg_import(E, x->in[k]);
        }
        map[i] = copy_mapped(dst, x, map);
    }
    for (int k = 0; k < n_out; k++)
        if (out[k] && map[out[k]->id])
            out[k] = map[out[k]->id];
        else if (out[k] && dst != src)
            out[k] = lg_import(E, out[k]);
    lg_free(need);
    lg_free(dep);
    lg_free(map);
}

void lg_graph_replay(lg_graph *g, int n, lg_node *const *from, lg_node *const *to, int n_out,
                     lg_node **out) {
    replay(NULL, g, g, n, from, to, n_out, out);
}

void lg_graph_replay_in(lg_elab *E, lg_graph *src, int n, lg_node *const *from, lg_node *const *to,
                        int n_out, lg_node **out) {
    replay(E, E->g, src, n, from, to, n_out, out);
}
