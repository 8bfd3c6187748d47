/* remat.c: values that are computed again rather than kept, for a plan that must fit a limit. Not
 * for the `remat` of a program, which is a matter of derivatives (grad_rule.c); both rely on
 * barriers, which keep what is computed again behind what comes before it. Loops keep less first
 * (segments.c).
 *
 * The border is the node that runs when most of the workspace is in use. What stands before it and
 * is read behind it has to be kept across it, unless it is dropped: then readers behind the border
 * get a copy, made just before the first of them. First those values are dropped that elements
 * alone make from what is there anyway, the cheapest for their size first. Then the nodes before
 * the border are cut in segments where little passes from one to the next; only that is kept, and
 * what a segment holds is computed again when the first of it is read. (T. Chen et al., Training
 * Deep Nets with Sublinear Memory Cost, 2016.) */
#include "compiler/mid/remat.h"
#include "compiler/mid/passes.h"
#include "compiler/mid/segments.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    lg_graph *g;
    size_t n, border;
    lg_node **node; /* of the graph as it was */
    lg_node **out, **effect;
    bool *saved;  /* before the border, read behind it */
    bool *drop;   /* not kept */
    lg_node **to; /* by id: what takes its place behind the border */
    lg_node *after;
    size_t *last; /* before the border: its last reader there */
    size_t *size; /* bytes of what needs a buffer; 0: nothing */
    LG_VEC(lg_node *) order;
} remat;

/* ---- what may be dropped ---- */

static bool is_free(const lg_node *x) {
    lg_class c = x->op->cls;
    return c == LG_C_VIEW || c == LG_C_RESHAPE || c == LG_C_IOTA || (c == LG_C_MARK && x->n_in > 0);
}

static bool is_given(const lg_node *x) {
    return x->op->cls == LG_C_INPUT || x->op->cls == LG_C_CONST;
}

static bool of_elements(const lg_node *x) {
    lg_class c = x->op->cls;
    return is_free(x) || c == LG_C_ELEM || c == LG_C_CAST || c == LG_C_RAND;
}

/* Not loops, branches, tests, foreign functions and what gives several values. */
static bool may_drop(const lg_node *x) {
    lg_class c = x->op->cls;
    bool whole = c == LG_C_SCAN || c == LG_C_COND || c == LG_C_ITEM || c == LG_C_REQUIRE;
    return !whole && !is_given(x) && x->n_out == 1 && !(c == LG_C_KERNEL && x->attr.text);
}

static lg_node *source_of(lg_node *x) {
    while (is_free(x) && x->op->cls != LG_C_IOTA)
        x = x->in[0];
    return x;
}

static size_t bytes_of(const lg_node *x) {
    size_t n = 0;
    for (int k = 0; k < x->n_out && !is_free(x) && !is_given(x); k++)
        n += lg_type_count(&x->type[k]) * lg_dtype_size(x->type[k].dtype);
    return n;
}

static void look(remat *r) {
    for (size_t i = 0; i < r->n; i++) {
        lg_node *x = r->node[i];
        r->size[i] = bytes_of(x);
        for (int k = 0; k < x->n_in; k++) {
            lg_node *u = source_of(x->in[k]);
            if (u->id >= r->border)
                continue;
            if (i < r->border)
                r->last[u->id] = i;
            else
                r->saved[u->id] = r->size[u->id] > 0;
        }
    }
}

/* ---- the graph without what is dropped ---- */

static lg_node *again(remat *r, lg_node *x) {
    if (x->id >= r->n || is_given(x) || !r->drop[x->id])
        return x;
    if (r->to[x->id])
        return r->to[x->id];
    lg_node **in = lg_alloc(sizeof *in * (size_t)(x->n_in + 1));
    for (int k = 0; k < x->n_in; k++) {
        in[k] = again(r, x->in[k]);
        bool plain = in[k]->op->cls == LG_C_CONST || in[k]->op->cls == LG_C_IOTA;
        if (in[k] == x->in[k] && r->after && !plain) {
            in[k] = lg_g_barrier(r->g, in[k], r->after, x->span);
            LG_PUSH(r->order, in[k]);
        }
    }
    lg_node *y = x->n_in ? lg_g_like(r->g, x, in) : x;
    if (y != x)
        LG_PUSH(r->order, y);
    lg_free(in);
    return r->to[x->id] = y;
}

/* What the copies for reader x must wait for: the last of what it reads from behind the border. */
static void wait_for(remat *r, const lg_node *x) {
    lg_node *last = NULL;
    for (int k = 0; k < x->n_in; k++) {
        lg_node *u = source_of(x->in[k]);
        if (u->id >= r->border && !is_given(u) && u->op->cls != LG_C_IOTA &&
            (!last || u->id > last->id))
            last = u;
    }
    if (last)
        r->after = r->to[last->id];
}

static void rewrite(remat *r) {
    r->order.n = 0;
    r->after = NULL;
    memset(r->to, 0, r->n * sizeof *r->to);
    for (size_t i = 0; i < r->n; i++) {
        lg_node *x = r->node[i], *y = x;
        if (i >= r->border && x->n_in) {
            lg_node **in = lg_alloc(sizeof *in * (size_t)x->n_in);
            bool same = true;
            wait_for(r, x);
            for (int k = 0; k < x->n_in; k++) {
                lg_node *u = x->in[k];
                in[k] = u->id >= r->border ? r->to[u->id] : again(r, u);
                same = same && in[k] == u;
            }
            y = same ? x : lg_g_like(r->g, x, in);
            lg_free(in);
        }
        if (i >= r->border) {
            r->to[i] = y;
            if (!is_free(y) && !is_given(y))
                r->after = y;
        }
        LG_PUSH(r->order, y);
    }
}

static void set_nodes(remat *r, lg_node **node, size_t n) {
    r->g->node.n = 0;
    for (size_t i = 0; i < n; i++) {
        node[i]->id = (uint32_t)i;
        LG_PUSH(r->g->node, node[i]);
    }
}

static void apply(remat *r) {
    lg_graph *g = r->g;
    rewrite(r);
    for (size_t k = 0; k < g->output.n; k++)
        if (r->out[k]->id >= r->border)
            g->output.at[k].node = r->to[r->out[k]->id];
    for (size_t k = 0; k < g->effect.n; k++)
        if (r->effect[k]->id >= r->border)
            g->effect.at[k] = r->to[r->effect[k]->id];
    set_nodes(r, r->order.at, r->order.n);
    lg_pass_dead(g);
}

static void undo(remat *r) {
    set_nodes(r, r->node, r->n);
    for (size_t k = 0; k < r->g->output.n; k++)
        r->g->output.at[k].node = r->out[k];
    for (size_t k = 0; k < r->g->effect.n; k++)
        r->g->effect.at[k] = r->effect[k];
}

/* ---- elements ---- */

enum { MOST_CONE = 64 };

/* What a saved value is made from by elements alone, down to what is there. */
typedef struct {
    size_t id, save;
    double work; /* elements computed for a byte saved */
    bool ok;
    int n, n_leaf;
    size_t node[MOST_CONE], leaf[MOST_CONE];
} cone;

static void grow(const remat *r, cone *c, const lg_node *x, bool top) {
    if (is_given(x) || !c->ok)
        return;
    bool there = !top && !is_free(x) && r->saved[x->id];
    if (there || !of_elements(x)) {
        for (int k = 0; k < c->n_leaf; k++)
            if (c->leaf[k] == x->id)
                return;
        c->ok = c->n_leaf < MOST_CONE && !top;
        if (c->ok)
            c->leaf[c->n_leaf++] = x->id;
        return;
    }
    for (int k = 0; k < c->n; k++)
        if (c->node[k] == x->id)
            return;
    c->ok = c->n < MOST_CONE;
    if (!c->ok)
        return;
    c->node[c->n++] = x->id;
    for (int k = 0; k < x->n_in; k++)
        grow(r, c, x->in[k], false);
}

static cone cone_of(const remat *r, size_t id) {
    cone c = {.id = id, .ok = true};
    grow(r, &c, r->node[id], true);
    size_t more = 0;
    double work = 0;
    for (int k = 0; k < c.n_leaf; k++)
        more += r->saved[c.leaf[k]] ? 0 : r->size[c.leaf[k]];
    for (int k = 0; k < c.n; k++)
        work += (double)r->size[c.node[k]];
    c.ok = c.ok && 2 * more < r->size[id];
    c.save = c.ok ? r->size[id] - more : 0;
    c.work = c.ok ? work / (double)c.save : 0;
    return c;
}

static int cheapest(const void *a, const void *b) {
    const cone *x = a, *y = b;
    return x->work != y->work ? (x->work < y->work ? -1 : 1) : x->id < y->id ? -1 : x->id > y->id;
}

/* Drops values until `need` bytes are saved. Gives how many bytes are. */
static size_t drop_elements(remat *r, size_t need) {
    LG_VEC(cone) all = {0};
    size_t saved = 0;
    for (size_t i = 0; i < r->border; i++) {
        if (!r->saved[i] || !of_elements(r->node[i]))
            continue;
        cone c = cone_of(r, i);
        if (c.ok)
            LG_PUSH(all, c);
    }
    if (all.n)
        qsort(all.at, all.n, sizeof *all.at, cheapest);
    for (size_t k = 0; k < all.n && saved < need; k++) {
        cone c = cone_of(r, all.at[k].id); /* others may have changed what is there */
        if (!c.ok)
            continue;
        for (int j = 0; j < c.n; j++)
            r->drop[c.node[j]] = true;
        for (int j = 0; j < c.n_leaf; j++)
            r->saved[c.leaf[j]] = true;
        r->saved[c.id] = false;
        saved += c.save;
    }
    lg_free(all.at);
    return saved;
}

/* ---- segments ---- */

/* across[q]: bytes that nodes from q on read of what is before q. */
static void crossing(const remat *r, int64_t *across) {
    memset(across, 0, (r->border + 2) * sizeof *across);
    for (size_t i = 0; i < r->border; i++)
        if (r->size[i] && r->last[i] > i) {
            across[i + 1] += (int64_t)r->size[i];
            across[r->last[i] + 1] -= (int64_t)r->size[i];
        }
    for (size_t q = 1; q <= r->border; q++)
        across[q] += across[q - 1];
}

/* Where segment j of k ends: near j/k of what is saved, where least passes. */
static size_t cut_at(const remat *r, const int64_t *across, int j, int k) {
    double all = 0, sum = 0;
    size_t best = 0;
    for (size_t i = 0; i < r->border; i++)
        all += r->saved[i] ? (double)r->size[i] : 0;
    for (size_t i = 0; i < r->border; i++) {
        double at = sum / all * k;
        if (at > j - 0.45 && at < j + 0.45 && (!best || across[i] < across[best]))
            best = i;
        sum += r->saved[i] ? (double)r->size[i] : 0;
    }
    return best;
}

/* Drops what the first m of k segments hold. */
static bool drop_segments(remat *r, int m, int k) {
    int64_t *across = lg_alloc((r->border + 2) * sizeof *across);
    bool *keep = lg_alloc(r->border + 1);
    size_t end = 0;
    crossing(r, across);
    for (int j = 1; j <= m; j++) {
        size_t q = j == k ? r->border : cut_at(r, across, j, k);
        for (size_t i = 0; i < q && q < r->border; i++)
            keep[i] = keep[i] || (r->size[i] && r->last[i] >= q);
        end = q > end ? q : end;
    }
    for (size_t i = 0; i < end; i++) {
        if (keep[i] || !may_drop(r->node[i]))
            continue;
        r->drop[i] = true;
        r->saved[i] = false;
    }
    lg_free(across);
    lg_free(keep);
    return end > 0;
}

/* ---- the search ---- */

typedef struct {
    size_t need; /* of elements, bytes */
    int m, k;    /* segments; k 0: none */
} choice;

typedef struct {
    remat r;
    const lg_plan_opts *o;
    lg_plan *(*plan)(lg_graph *g, const lg_plan_opts *o);
    size_t least;
    choice smallest;
    bool any;
} search;

size_t lg_plan_room(const lg_plan *p) {
    size_t tables = (size_t)p->n_pointer * sizeof(void *) + 128;
    return p->workspace + (size_t)(p->threads > 0 ? p->threads : 1) * (p->thread_bytes + tables);
}

static void drop(remat *r, choice c) {
    memset(r->drop, 0, r->n);
    memset(r->saved, 0, r->n);
    memset(r->last, 0, r->n * sizeof *r->last);
    look(r);
    if (c.k)
        drop_segments(r, c.m, c.k);
    if (c.need)
        drop_elements(r, c.need);
}

/* The plan with choice c. The graph is then rewritten; undo() makes it what it was. */
static lg_plan *made(search *s, choice c, int threads) {
    drop(&s->r, c);
    apply(&s->r);
    lg_plan *p = s->plan(s->r.g, s->o);
    p->threads = threads;
    size_t room = lg_plan_room(p);
    if (!s->any || room < s->least) {
        s->any = true;
        s->least = room;
        s->smallest = c;
    }
    return p;
}

static bool fits(search *s, choice c, int threads) {
    lg_arena *arena = s->r.g->arena;
    s->r.g->arena = lg_arena_new(); /* what is tried leaves nothing behind */
    lg_plan *p = made(s, c, threads);
    bool ok = lg_plan_room(p) <= s->o->most;
    lg_plan_free(p);
    undo(&s->r);
    lg_arena_free(s->r.g->arena);
    s->r.g->arena = arena;
    return ok;
}

/* The fewest segments that do. */
static choice fewer(search *s, choice c, int threads) {
    int lo = 0, hi = c.m; /* hi fits */
    while (hi - lo > 1) {
        choice x = {c.need, (lo + hi) / 2, c.k};
        if (fits(s, x, threads))
            hi = x.m;
        else
            lo = x.m;
    }
    return (choice){c.need, hi, c.k};
}

static choice find(search *s, size_t over, int threads) {
    static const double more[] = {1.1, 1.6, 2.5, 1e9};
    static const int parts[] = {2, 3, 4, 6, 8, 12, 16, 24, 32};
    for (size_t k = 0; k < LG_COUNT(more); k++) {
        choice c = {.need = (size_t)(more[k] * (double)over)};
        if (fits(s, c, threads))
            return c;
    }
    for (size_t k = 0; k < LG_COUNT(parts); k++) {
        choice c = {SIZE_MAX, parts[k], parts[k]};
        if (fits(s, c, threads))
            return fewer(s, c, threads);
    }
    return s->smallest;
}

/* How many values that would be kept are not. Forgets which. */
static int saved_values(remat *r) {
    int n = 0;
    for (size_t i = r->border; i < r->n; i++)
        for (int k = 0; k < r->node[i]->n_in; k++) {
            const lg_node *u = source_of(r->node[i]->in[k]);
            if (u->id < r->border && r->size[u->id] && r->drop[u->id]) {
                r->drop[u->id] = false;
                n++;
            }
        }
    return n;
}

static void begin(remat *r, lg_graph *g, size_t border) {
    r->g = g;
    r->n = g->node.n;
    r->border = border < r->n ? border : r->n;
    r->node = lg_alloc((r->n + 1) * sizeof *r->node);
    memcpy(r->node, g->node.at, r->n * sizeof *r->node);
    r->out = lg_alloc((g->output.n + 1) * sizeof *r->out);
    r->effect = lg_alloc((g->effect.n + 1) * sizeof *r->effect);
    for (size_t k = 0; k < g->output.n; k++)
        r->out[k] = g->output.at[k].node;
    for (size_t k = 0; k < g->effect.n; k++)
        r->effect[k] = g->effect.at[k];
    r->saved = lg_alloc(r->n + 1);
    r->drop = lg_alloc(r->n + 1);
    r->to = lg_alloc((r->n + 1) * sizeof *r->to);
    r->last = lg_alloc((r->n + 1) * sizeof *r->last);
    r->size = lg_alloc((r->n + 1) * sizeof *r->size);
}

static void end(remat *r) {
    void *all[] = {r->node, r->out,  r->effect, r->saved,   r->drop,
                   r->to,   r->last, r->size,   r->order.at};
    for (size_t k = 0; k < LG_COUNT(all); k++)
        lg_free(all[k]);
}

/* One border. Gives p itself when nothing smaller was found. */
static lg_plan *smaller(lg_graph *g, lg_plan *p, const lg_plan_opts *o,
                        lg_plan *(*plan)(lg_graph *g, const lg_plan_opts *o)) {
    const lg_node *at = p->n_step ? p->step[p->peak].node : NULL;
    if (!at || !at->id)
        return p;
    search s = {.o = o, .plan = plan};
    size_t before = lg_plan_room(p);
    begin(&s.r, g, at->id);
    choice c = find(&s, before - o->most, p->threads);
    if (s.least < before) {
        drop(&s.r, c);
        int n = saved_values(&s.r);
        lg_plan *q = made(&s, c, p->threads);
        q->stats.n_again = p->stats.n_again + n;
        q->stats.saved_bytes = p->stats.saved_bytes + before - lg_plan_room(q);
        q->stats.more_flops = p->stats.more_flops + q->stats.flops - p->stats.flops;
        lg_plan_free(p);
        p = q;
    }
    end(&s.r);
    return p;
}

/* Loops that keep less. Gives p itself when that takes no less. */
static lg_plan *segmented(lg_graph *g, lg_plan *p, const lg_plan_opts *o,
                          lg_plan *(*plan)(lg_graph *g, const lg_plan_opts *o)) {
    remat r = {0};
    begin(&r, g, 0);
    int n = lg_segment(g);
    if (n) {
        lg_plan *q = plan(g, o);
        q->threads = p->threads;
        size_t before = lg_plan_room(p), now = lg_plan_room(q);
        if (now < before) {
            q->stats.n_again = p->stats.n_again + n;
            q->stats.saved_bytes = p->stats.saved_bytes + before - now;
            q->stats.more_flops = p->stats.more_flops + q->stats.flops - p->stats.flops;
            lg_plan_free(p);
            p = q;
        } else {
            lg_plan_free(q);
            undo(&r);
        }
    }
    end(&r);
    return p;
}

lg_plan *lg_remat(lg_graph *g, lg_plan *p, const lg_plan_opts *o,
                  lg_plan *(*plan)(lg_graph *g, const lg_plan_opts *o)) {
    enum { BORDERS = 4, LOOPS = 64 }; /* what takes most is then elsewhere */
    for (int k = 0; k < LOOPS && lg_plan_room(p) > o->most; k++) {
        lg_plan *q = segmented(g, p, o, plan);
        if (q == p)
            break;
        p = q;
    }
    for (int k = 0; k < BORDERS && lg_plan_room(p) > o->most; k++) {
        lg_plan *q = smaller(g, p, o, plan);
        if (q == p)
            break;
        p = q;
    }
    lg_memory_back(); /* what was tried */
    return p;
}
