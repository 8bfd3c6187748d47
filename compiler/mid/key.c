/* key.c: names a graph by what it computes, so that a plan made for one graph can serve another:
 * everything that outputs and effects need, with the places that faults point at. Values of
 * constants belong to it, except those that were made inputs before. See key.h. */
#include "compiler/mid/key.h"
#include <string.h>

/* Contents of larger constants are not read: equal ones are the same tensor. */
enum { MOST_BYTES = 1 << 20 };

/* Flags by id, on the heap. */
static bool *needed(const lg_graph *g) {
    bool *need = lg_alloc(g->node.n + 1);
    for (size_t k = 0; k < g->output.n; k++)
        need[g->output.at[k].node->id] = true;
    for (size_t k = 0; k < g->effect.n; k++)
        need[g->effect.at[k]->id] = true;
    for (size_t i = g->node.n; i-- > 0;)
        for (int k = 0; need[i] && k < g->node.at[i]->n_in; k++)
            need[g->node.at[i]->in[k]->id] = true;
    return need;
}

/* ---- keys ---- */

static void put_number(lg_graph_key *k, uint64_t v) {
    k->h[0] = lg_hash_mix(k->h[0], v);
    k->h[1] = lg_hash_mix(k->h[1], ~v);
}

static void put(lg_graph_key *k, const void *p, size_t n) {
    const char *at = p;
    put_number(k, n);
    for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, at + i, n - i < sizeof word ? n - i : sizeof word);
        put_number(k, word);
    }
}

static void put_text(lg_graph_key *k, const char *text) {
    put_number(k, text != NULL);
    if (text)
        put(k, text, strlen(text));
}

static void put_type(lg_graph_key *k, const lg_type *t) {
    put_number(k, t->dtype);
    put(k, t->shape, sizeof *t->shape * (size_t)t->rank);
}

static void put_affine(lg_graph_key *k, const lg_affine *m) {
    put_number(k, (uint64_t)m->rank_in);
    put(k, m->off, sizeof *m->off * (size_t)m->rank_in);
    put(k, m->coef, sizeof *m->coef * (size_t)(m->rank_in * m->rank_out));
}

static void put_tensor(lg_graph_key *k, const lg_tensor *x) {
    size_t n = lg_tensor_bytes(x);
    if (n <= MOST_BYTES)
        put(k, x->data, n);
    else
        put(k, &x, sizeof x);
}

static void put_graph(lg_graph_key *k, const lg_graph *g);

static void put_attr(lg_graph_key *k, const lg_attr *a) {
    int64_t small[] = {a->axes_mask, a->axis, a->nb, a->ni, a->slot, a->rev};
    put(k, small, sizeof small);
    size_t n_p = LG_COUNT(a->p);
    while (n_p && !a->p[n_p - 1])
        n_p--;
    put(k, a->p, sizeof *a->p * n_p);
    put_text(k, a->text);
    if (a->affine)
        put_affine(k, a->affine);
    if (a->tensor)
        put_tensor(k, a->tensor);
    if (a->scan) {
        const lg_scan_attr *s = a->scan;
        int64_t all[] = {s->n_carry, s->n_xs, s->n_const, s->n_yield, s->trip, s->rev, s->stop};
        put(k, all, sizeof all);
        put_graph(k, s->body);
    }
    if (a->cond) {
        put_graph(k, a->cond->then_);
        put_graph(k, a->cond->else_);
    }
}

static void put_node(lg_graph_key *k, const lg_node *n, const uint32_t *number) {
    put(k, &n->op, sizeof n->op);
    put_number(k, (uint64_t)n->n_in);
    for (int i = 0; i < n->n_in; i++)
        put_number(k, number[n->in[i]->id]);
    put_number(k, (uint64_t)n->n_out);
    for (int i = 0; i < n->n_out; i++)
        put_type(k, &n->type[i]);
    put_attr(k, &n->attr);
    if (n->op->cls == LG_C_INPUT || n->op->cls == LG_C_CONST)
        return; /* these do not fail */
    int64_t at[] = {n->span.file, n->span.beg, n->span.end};
    put(k, at, sizeof at);
}

static void put_graph(lg_graph_key *k, const lg_graph *g) {
    bool *need = needed(g);
    uint32_t *number = lg_alloc(sizeof *number * (g->node.n + 1)), next = 0;
    put_number(k, g->input.n);
    for (size_t i = 0; i < g->input.n; i++)
        put_type(k, &g->input.at[i]->type[0]);
    for (size_t i = 0; i < g->node.n; i++)
        if (need[i]) {
            number[i] = next++;
            put_node(k, g->node.at[i], number);
        }
    put_number(k, g->output.n);
    for (size_t i = 0; i < g->output.n; i++) {
        put_number(k, number[g->output.at[i].node->id]);
        put_number(k, (uint64_t)g->output.at[i].donates);
    }
    put_number(k, g->effect.n);
    for (size_t i = 0; i < g->effect.n; i++)
        put_number(k, number[g->effect.at[i]->id]);
    lg_free(number);
    lg_free(need);
}

lg_graph_key lg_graph_key_of(const lg_graph *g) {
    lg_graph_key k = {{1, 2}};
    put_graph(&k, g);
    return k;
}

/* ---- constants that vary ---- */

static bool same_value(const lg_tensor *a, const lg_tensor *b) {
    if (a == b || !a->varies)
        return a == b;
    return a->varies == b->varies && a->dtype == b->dtype && a->n == b->n &&
           !memcmp(a->data, b->data, lg_tensor_bytes(a));
}

/* The tensor, which the graph no longer keeps. */
static lg_tensor *become_input(lg_graph *g, lg_node *n) {
    lg_tensor *x = n->attr.tensor;
    for (size_t k = 0; k < g->keep.n; k++)
        if (g->keep.at[k] == x) {
            g->keep.at[k] = g->keep.at[--g->keep.n];
            break;
        }
    n->op = &lg_op_input;
    n->attr.tensor = NULL;
    n->attr.slot = (int)g->input.n;
    LG_PUSH(g->input, n);
    return x;
}

int lg_graph_open(lg_graph *g, bool arrays, lg_tensor ***value) {
    LG_VEC(lg_tensor *) open = {0};
    LG_VEC(lg_node *) first = {0}; /* of each expression */
    bool *need = needed(g);
    lg_node **instead = lg_alloc(sizeof *instead * (g->node.n + 1));
    for (size_t i = 0; i < g->node.n; i++) {
        lg_node *n = g->node.at[i];
        for (int k = 0; k < n->n_in; k++)
            if (instead[n->in[k]->id])
                n->in[k] = instead[n->in[k]->id];
        const lg_tensor *t = n->op == &lg_op_const ? n->attr.tensor : NULL;
        if (!need[i] || !t || !(t->varies || (arrays && t->n > 1)))
            continue;
        size_t k = 0;
        while (k < open.n && !same_value(open.at[k], t))
            k++;
        if (k < open.n) {
            instead[i] = first.at[k];
            continue;
        }
        LG_PUSH(open, become_input(g, n));
        LG_PUSH(first, n);
    }
    for (size_t k = 0; k < g->output.n; k++)
        if (instead[g->output.at[k].node->id])
            g->output.at[k].node = instead[g->output.at[k].node->id];
    lg_free(first.at);
    lg_free(instead);
    lg_free(need);
    *value = open.at;
    return (int)open.n;
}
