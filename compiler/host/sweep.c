/* sweep.c: host values are constants of one graph. What a loop made in its rounds and nobody can
 * reach any more is let go, so that a long loop over large arrays does not grow. A value in flight
 * (an argument, a list being looped over) is older than the loop and left alone. */
#include "compiler/host/inside.h"
#include "compiler/mid/model_impl.h"
#include <string.h>

static const size_t WORTH_IT = (size_t)32 << 20; /* bytes made since the last time */
enum { MANY = 4096 };                            /* or constants */

typedef struct {
    lg_host *H;
    const void **slot; /* set of pointers: nodes of the graph, then frames and values seen */
    size_t cap, used;
    bool *live; /* by node id */
} sweeping;

static size_t place_of(const sweeping *s, const void *p) {
    size_t i = (size_t)lg_hash(&p, sizeof p, 7) & (s->cap - 1);
    while (s->slot[i] && s->slot[i] != p)
        i = (i + 1) & (s->cap - 1);
    return i;
}

static bool add(sweeping *s, const void *p) { /* false: it was there */
    if (2 * (s->used + 1) > s->cap) {
        sweeping big = {.cap = s->cap ? 2 * s->cap : 1024};
        big.slot = lg_alloc(sizeof *big.slot * big.cap);
        for (size_t i = 0; i < s->cap; i++)
            if (s->slot[i])
                big.slot[place_of(&big, s->slot[i])] = s->slot[i];
        lg_free(s->slot);
        s->slot = big.slot;
        s->cap = big.cap;
    }
    size_t i = place_of(s, p);
    if (s->slot[i])
        return false;
    s->slot[i] = p;
    s->used++;
    return true;
}

static void mark_value(sweeping *s, const lg_value *v);

static void mark_frame(sweeping *s, const lg_frame *f) {
    for (; f && add(s, f); f = f->up) {
        for (const lg_binding *b = f->names; b; b = b->next)
            mark_value(s, b->value);
        mark_value(s, f->result);
        mark_value(s, f->model);
        mark_value(s, f->guard);
        mark_value(s, f->draw_lane);
        mark_frame(s, f->self);
    }
}

static void mark_model(sweeping *s, const lg_model *m) {
    if (!m || !add(s, m))
        return;
    mark_frame(s, m->frame);
    for (size_t i = 0; i < m->member.n; i++) {
        mark_value(s, m->member.at[i].shape);
        for (int k = 0; m->member.at[i].part && k < m->member.at[i].n; k++)
            mark_model(s, m->member.at[i].part[k]);
    }
    for (size_t i = 0; i < m->leaf.n; i++)
        mark_value(s, m->leaf.at[i].type);
}

static void mark_data(sweeping *s, const lg_data *d) {
    for (; d && add(s, d); d = d->src->from) {
        mark_frame(s, d->src->frame);
        mark_value(s, d->src->fn);
    }
}

/* A node is only looked at once it is known to be of our graph: others may be gone. */
static void mark_node(sweeping *s, const lg_node *n) {
    const lg_graph *g = s->H->keep;
    if (n && s->slot[place_of(s, n)] == n && n->graph == g)
        s->live[n->id] = true;
}

static void mark_held(sweeping *s, const lg_held *h) {
    if (!h || !add(s, h))
        return;
    for (size_t i = 0; i < h->n; i++)
        mark_value(s, h->state[i].value);
    for (const lg_quantized *q = h->all; q; q = q->next)
        mark_value(s, q->quant);
}

static void mark_value(sweeping *s, const lg_value *v) {
    if (!v || !add(s, v))
        return;
    mark_value(s, v->weight);
    mark_value(s, v->rounds);
    switch (v->kind) {
    case LG_V_TENSOR:
        mark_node(s, v->t.node);
        break;
    case LG_V_RECORD:
        for (int i = 0; i < v->rec.n; i++)
            mark_value(s, v->rec.f[i].value);
        break;
    case LG_V_LIST:
        for (int i = 0; i < v->list.n; i++)
            mark_value(s, v->list.at[i]);
        break;
    case LG_V_RANGE:
        mark_value(s, v->range.lo);
        mark_value(s, v->range.hi);
        break;
    case LG_V_MODEL:
        mark_model(s, v->model.m);
        for (size_t i = 0; v->model.leaf && i < v->model.m->leaf.n; i++)
            mark_value(s, v->model.leaf[i]);
        mark_held(s, v->model.held);
        break;
    case LG_V_FN:
        mark_frame(s, v->fn.env);
        mark_frame(s, v->fn.type_env);
        mark_value(s, v->fn.bound);
        break;
    case LG_V_RULE:
        mark_frame(s, v->rule.env);
        break;
    case LG_V_QUANT:
        mark_frame(s, v->quant.env);
        break;
    case LG_V_DECL:
        mark_frame(s, v->decl.env);
        break;
    case LG_V_DATA:
        mark_data(s, v->ptr);
        break;
    case LG_V_ERROR:
    case LG_V_NUM:
    case LG_V_STR:
    case LG_V_BUILTIN:
    case LG_V_SELECTOR:
    case LG_V_DTYPE:
    case LG_V_MODULE:
    case LG_V_NONE:
    case LG_V_OPAQUE:
    case LG_V_HOST:
        break;
    }
}

static void drop_dead(sweeping *s, size_t from) {
    lg_graph *g = s->H->keep;
    for (size_t i = 0; i < g->node.n; i++) /* what is no constant yet will be evaluated */
        for (int k = 0; k < g->node.at[i]->n_in; k++)
            s->live[g->node.at[i]->in[k]->id] = true;
    for (size_t i = from; i < g->node.n; i++) {
        lg_node *n = g->node.at[i];
        if (n->op->cls != LG_C_CONST || s->live[i] || !n->attr.tensor)
            continue;
        for (size_t k = g->keep.n; k-- > 0;)
            if (g->keep.at[k] == n->attr.tensor) {
                g->keep.at[k] = g->keep.at[--g->keep.n];
                break;
            }
        lg_tensor_release(n->attr.tensor);
        n->attr.tensor = NULL;
        LG_PUSH(s->H->spare, n);
    }
}

lg_node *lg_host_keep(lg_host *H, lg_tensor *x, lg_span at) {
    H->made++;
    H->made_bytes += lg_tensor_bytes(x);
    if (!H->spare.n)
        return lg_g_const(H->keep, x, at);
    lg_node *n = H->spare.at[--H->spare.n];
    *n->type = lg_type_make(x->dtype, x->rank, x->shape);
    n->span = at;
    n->attr.tensor = lg_tensor_retain(x);
    LG_PUSH(H->keep->keep, x);
    return n;
}

void lg_data_drop_rows(lg_data *d) {
    for (int k = 0; k < d->src->n_cols; k++)
        lg_tensor_release(d->all[k]);
    d->all = NULL;
}

/* The rows of data that a pipeline made in a round; if somebody does come back to them, they are
 * made again. */
static void drop_rows(sweeping *s, size_t from) {
    lg_host *H = s->H;
    size_t n = from;
    for (size_t i = from; i < H->rows.n; i++) {
        lg_data *d = H->rows.at[i];
        if (s->slot[place_of(s, d)]) {
            H->rows.at[n++] = d;
            continue;
        }
        lg_data_drop_rows(d);
    }
    H->rows.n = n;
}

lg_loop_mark lg_host_mark(lg_elab *E) {
    lg_host *H = lg_host_of(E);
    size_t n = H->keep ? H->keep->node.n : 0;
    return (lg_loop_mark){n, H->made, H->made_bytes, H->rows.n, 0};
}

void lg_host_sweep(lg_elab *E, const lg_frame *f, lg_loop_mark *m, lg_value *const *also,
                   size_t n) {
    lg_host *H = lg_host_of(E);
    size_t many = m->kept > MANY ? m->kept : MANY; /* a sweep looks at all that is kept */
    if (!H->keep || (H->made_bytes - m->bytes < WORTH_IT && H->made - m->seen < many))
        return;
    sweeping s = {.H = H};
    s.live = lg_alloc(H->keep->node.n + 1);
    for (size_t i = 0; i < H->keep->node.n; i++)
        add(&s, H->keep->node.at[i]);
    for (const lg_module *k = E->modules; k; k = k->next)
        mark_frame(&s, k->frame);
    mark_frame(&s, f);
    for (size_t i = 0; i < H->data.n; i++)
        mark_data(&s, H->data.at[i]);
    for (size_t i = 0; i < n; i++)
        mark_value(&s, also[i]);
    drop_dead(&s, m->from);
    drop_rows(&s, m->rows);
    lg_free(s.slot);
    lg_free(s.live);
    m->bytes = H->made_bytes;
    m->seen = H->made;
    m->kept = s.used - H->keep->node.n;
}
