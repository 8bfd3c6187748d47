/* parts_graph.c: graphs for parts of a batch, made from the graph for the whole: the same nodes
 * with fewer items, sums that go on from part to part, and what comes when all sums are complete.
 * What may be cut is found out in parts.c. */
#include "compiler/mid/parting.h"
#include <string.h>

typedef struct {
    const lg_parts *p;
    const lg_cut_info *info;
    lg_graph *dst;
    int64_t rows;
    lg_node *first; /* position of the first item, in dst; NULL in bodies until it is needed */
    lg_node **map;
} making;

static lg_type resized(const making *m, const lg_type *t, const lg_cut *c) {
    lg_type r = *t;
    if (c->kind == LG_CUT_ITEMS && c->axis >= 0)
        r.shape[c->axis] = c->f * m->rows;
    return r;
}

static lg_graph *body(const making *m, const lg_graph *src, const lg_cut_info *info);

/* Positions count from the first item of the part. */
static lg_node *positions(const making *m, const lg_node *n, const lg_type *t) {
    lg_node *y = lg_g_iota(m->dst, t->rank, t->shape, n->attr.axis, n->span);
    int from[LG_MAX_RANK];
    for (int d = 0; d < LG_MAX_RANK; d++)
        from[d] = -1;
    lg_node *in[2] = {y, lg_g_broadcast(m->dst, m->first, t->rank, t->shape, from, n->span)};
    return lg_g_elem(m->dst, lg_op_find("add"), 2, in, n->span);
}

static lg_node *copy(const making *m, const lg_node *n) {
    const lg_cut *c = &m->info->cut[m->info->off[n->id]];
    lg_node **in = lg_alloc(sizeof *in * (size_t)(n->n_in + 1));
    lg_type *t = lg_alloc(sizeof *t * (size_t)(n->n_out + 1));
    for (int k = 0; k < n->n_in; k++)
        in[k] = m->map[n->in[k]->id];
    for (int k = 0; k < n->n_out; k++)
        t[k] = resized(m, &n->type[k], &c[k]);
    lg_node *y;
    if (n->op->cls == LG_C_IOTA && c->kind == LG_CUT_ITEMS && n->attr.axis == c->axis && m->first) {
        y = positions(m, n, t);
    } else {
        lg_graph *b[2] = {NULL, NULL};
        if (n->attr.scan)
            b[0] = body(m, n->attr.scan->body, m->info->body[n->id][0]);
        if (n->attr.cond) {
            b[0] = body(m, n->attr.cond->then_, m->info->body[n->id][0]);
            b[1] = body(m, n->attr.cond->else_, m->info->body[n->id][1]);
        }
        y = lg_g_retyped(m->dst, n, in, t, b[0] ? b : NULL);
    }
    lg_free(in);
    lg_free(t);
    return y;
}

static lg_graph *body(const making *m, const lg_graph *src, const lg_cut_info *info) {
    making x = {m->p, info, lg_graph_new(m->dst), m->rows, NULL, NULL};
    x.map = lg_alloc(sizeof *x.map * (src->node.n + 1));
    for (size_t k = 0; k < src->input.n; k++) {
        lg_node *n = src->input.at[k];
        x.map[n->id] = lg_g_input(x.dst, resized(&x, &n->type[0], lg_cut_of(info, n)), n->span);
    }
    for (size_t i = 0; i < src->node.n; i++)
        if (src->node.at[i]->op->cls != LG_C_INPUT)
            x.map[i] = copy(&x, src->node.at[i]);
    for (size_t k = 0; k < src->output.n; k++)
        lg_g_output(x.dst, x.map[src->output.at[k].node->id], -1, NULL);
    for (size_t k = 0; k < src->effect.n; k++)
        LG_PUSH(x.dst->effect, x.map[src->effect.at[k]->id]);
    lg_graph *g = x.dst;
    lg_free(x.map);
    return g;
}

/* ---- the step ---- */

/* All inputs of the step, then the sums. */
static making begin(const lg_parts *p, int64_t rows) {
    making m = {p, p->info, lg_graph_new(NULL), rows, NULL, NULL};
    m.map = lg_alloc(sizeof *m.map * (p->g->node.n + 1));
    for (size_t k = 0; k < p->g->input.n; k++) {
        lg_node *n = p->g->input.at[k];
        lg_type t = n->type[0];
        if (p->need[n->id])
            t = resized(&m, &t, lg_cut_of(p->info, n));
        m.map[n->id] = lg_g_input(m.dst, t, n->span);
    }
    m.first = m.dst->input.at[p->first_slot];
    return m;
}

static void sum_inputs(making *m, lg_node **sum) {
    for (size_t k = 0; k < m->p->sum.n; k++)
        sum[k] = lg_g_input(m->dst, m->p->shape.at[k].type, m->p->sum.at[k].node->span);
}

static lg_node *zeros_for(const making *m, const lg_node *n) {
    return lg_g_fill(m->dst, n->in[0]->type[0], 0.0, n->span);
}

/* A scatter adds to what was there: that counts once, after the parts. */
static bool has_base(const lg_node *n) {
    return n->op->cls == LG_C_SCATTER && !lg_cut_is_zero(n->in[0]);
}

static lg_node *complete(const making *m, const lg_node *n, lg_node *sum) {
    if (!has_base(n))
        return sum;
    lg_node *in[2] = {m->map[n->in[0]->id], sum};
    return lg_g_elem(m->dst, lg_op_find("add"), 2, in, n->span);
}

static bool part_effect(const lg_parts *p, const lg_node *n) {
    return lg_cut_of(p->info, n->in[0])->kind == LG_CUT_ITEMS;
}

static void wanted_by_pass(const lg_parts *p, int pass, bool *need) {
    for (size_t k = 0; k < p->sum.n; k++)
        if (p->sum.at[k].pass == pass)
            need[p->sum.at[k].node->id] = true;
    for (size_t k = 0; pass + 1 == p->n_pass && k < p->g->effect.n; k++)
        if (part_effect(p, p->g->effect.at[k]))
            need[p->g->effect.at[k]->id] = true;
    for (size_t i = p->g->node.n; i-- > 0;) {
        const lg_node *n = p->g->node.at[i];
        int s = p->sum_of[i];
        bool given = s >= 0 && p->sum.at[s].pass < pass;
        for (int k = 0; need[i] && k < n->n_in; k++)
            if (!given || (k == 0 && has_base(n)))
                need[n->in[k]->id] = true;
    }
}

static lg_node *joined(const making *m, const lg_sum *s, lg_node *so_far, const lg_node *n) {
    lg_node *y;
    if (has_base(n)) {
        lg_node *was = m->map[n->in[0]->id];
        m->map[n->in[0]->id] = zeros_for(m, n);
        y = copy(m, n);
        m->map[n->in[0]->id] = was;
    } else {
        y = copy(m, n);
    }
    lg_node *in[2] = {so_far, y};
    return lg_g_elem(m->dst, s->join, 2, in, n->span);
}

lg_graph *lg_parts_pass(const lg_parts *p, int pass, int64_t rows, int *which, int *n_which) {
    making m = begin(p, rows);
    lg_node **sum = lg_alloc(sizeof *sum * (p->sum.n + 1));
    bool *need = lg_alloc(p->g->node.n + 1);
    sum_inputs(&m, sum);
    wanted_by_pass(p, pass, need);
    *n_which = 0;
    for (size_t i = 0; i < p->g->node.n; i++) {
        const lg_node *n = p->g->node.at[i];
        int s = p->sum_of[i];
        if (!need[i] || m.map[i])
            continue;
        if (s >= 0 && p->sum.at[s].pass < pass) {
            m.map[i] = complete(&m, n, sum[s]);
        } else if (s >= 0) {
            lg_g_output(m.dst, joined(&m, &p->sum.at[s], sum[s], n), sum[s]->attr.slot, NULL);
            which[(*n_which)++] = s;
        } else {
            m.map[i] = copy(&m, n);
        }
    }
    for (size_t k = 0; pass + 1 == p->n_pass && k < p->g->effect.n; k++)
        if (part_effect(p, p->g->effect.at[k]))
            LG_PUSH(m.dst->effect, m.map[p->g->effect.at[k]->id]);
    lg_free(sum);
    lg_free(need);
    lg_free(m.map);
    return m.dst;
}

lg_graph *lg_parts_rest(const lg_parts *p) {
    making m = begin(p, p->rows);
    lg_node **sum = lg_alloc(sizeof *sum * (p->sum.n + 1));
    bool *need = lg_alloc(p->g->node.n + 1);
    sum_inputs(&m, sum);
    for (int k = 0; k < p->n_want; k++)
        need[p->want[k]->id] = true;
    for (size_t k = 0; k < p->g->effect.n; k++)
        if (!part_effect(p, p->g->effect.at[k]))
            need[p->g->effect.at[k]->id] = true;
    for (size_t i = p->g->node.n; i-- > 0;) {
        const lg_node *n = p->g->node.at[i];
        for (int k = 0; need[i] && k < n->n_in; k++)
            if (p->sum_of[i] < 0 || (k == 0 && has_base(n)))
                need[n->in[k]->id] = true;
    }
    for (size_t i = 0; i < p->g->node.n; i++) {
        const lg_node *n = p->g->node.at[i];
        if (need[i] && !m.map[i])
            m.map[i] = p->sum_of[i] >= 0 ? complete(&m, n, sum[p->sum_of[i]]) : copy(&m, n);
    }
    for (int k = 0; k < p->n_want; k++)
        lg_g_output(m.dst, m.map[p->want[k]->id], -1, NULL);
    for (size_t k = 0; k < p->g->effect.n; k++)
        if (!part_effect(p, p->g->effect.at[k]))
            LG_PUSH(m.dst->effect, m.map[p->g->effect.at[k]->id]);
    lg_free(sum);
    lg_free(need);
    lg_free(m.map);
    return m.dst;
}
