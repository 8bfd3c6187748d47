/* segments.c: see segments.h. A loop of S*L rounds becomes S rounds of a loop of L: [S*L, ...] is
 * seen as [S, L, ...], and round l of segment s has the index s*L + l. (A. Griewank, Achieving
 * logarithmic growth of temporal and spatial complexity in reverse automatic differentiation, 1992:
 * one level of it.) */
#include "compiler/mid/segments.h"
#include "compiler/mid/grad.h"
#include "compiler/mid/passes.h"
#include <string.h>

typedef LG_VEC(lg_node *) node_vec;

enum { LEAST_ROUNDS = 4 };

typedef struct {
    lg_graph *g;
    lg_node *fore, *back; /* the loop that keeps values, the one that reads them */
    bool *drop;           /* by result of `fore`: not kept */
    int n_drop;
    int64_t segments, len;
    lg_node **map;                    /* by node of g as it was */
    lg_node **fore_item, **back_item; /* what their results are now */
    lg_node *kept; /* the new `fore`; its last yields are carries at the start of segments */
    int first_kept;
} cut;

static const lg_scan_attr *attr(const lg_node *s) {
    return s->attr.scan;
}

static double bytes_of(const lg_type *t) {
    return (double)lg_type_count(t) * (double)lg_dtype_size(t->dtype);
}

/* ---- which loops ---- */

/* Results of `fore` that `back` alone reads, as slices. */
static void find_dropped(cut *c, const int *reads) {
    const lg_scan_attr *b = attr(c->back);
    c->n_drop = 0;
    for (int k = b->n_carry; k < b->n_carry + b->n_xs; k++) {
        const lg_node *x = c->back->in[k];
        bool item = x->op->cls == LG_C_ITEM && x->in[0] == c->fore;
        if (!item || x->attr.axis < attr(c->fore)->n_carry || reads[x->id] != 1)
            continue;
        c->drop[x->attr.axis] = true;
        c->n_drop++;
    }
}

/* Bytes saved by segments of `len` rounds. */
static double saved(const cut *c, int64_t len) {
    int64_t trip = attr(c->fore)->trip;
    double all = 0, carries = 0;
    for (int k = 0; k < c->fore->n_out; k++) {
        all += c->drop[k] ? bytes_of(&c->fore->type[k]) : 0;
        carries += k < attr(c->fore)->n_carry ? bytes_of(&c->fore->type[k]) : 0;
    }
    return all * (1 - (double)len / (double)trip) - carries * (double)(trip / len);
}

/* The length of segments that saves most; 0: none saves anything. */
static int64_t best_length(const cut *c, double *most) {
    int64_t trip = attr(c->fore)->trip, best = 0;
    *most = 0;
    for (int64_t len = 2; len <= trip / 2; len++)
        if (trip % len == 0 && saved(c, len) > *most) {
            *most = saved(c, len);
            best = len;
        }
    return best;
}

/* One more dim for what goes in and out. */
static bool has_room(const lg_node *s) {
    bool fits = true;
    for (int k = 0; k < s->n_in; k++)
        fits = fits && s->in[k]->type[0].rank < LG_MAX_RANK;
    for (int k = 0; k < s->n_out; k++)
        fits = fits && s->type[k].rank < LG_MAX_RANK;
    return fits && attr(s)->stop < 0 && attr(s)->trip >= LEAST_ROUNDS;
}

static bool fit(const lg_node *fore, const lg_node *back) {
    return fore->op->cls == LG_C_SCAN && has_room(fore) && has_room(back) && fore->id < back->id &&
           attr(fore)->trip == attr(back)->trip && attr(fore)->rev != attr(back)->rev;
}

/* Fills in the pair of loops that is worth most. */
static bool find(cut *c, const int *reads) {
    double most = 0, this;
    cut best = {0};
    for (size_t i = 0; i < c->g->node.n; i++) {
        c->back = c->g->node.at[i];
        for (int k = 0; c->back->op->cls == LG_C_SCAN && k < c->back->n_in; k++) {
            lg_node *x = c->back->in[k];
            if (x->op->cls != LG_C_ITEM || !fit(x->in[0], c->back) || x->in[0] == c->fore)
                continue;
            c->fore = x->in[0];
            lg_free(c->drop);
            c->drop = lg_alloc((size_t)c->fore->n_out + 1);
            find_dropped(c, reads);
            c->len = best_length(c, &this);
            if (c->len && this > most) {
                most = this;
                best = *c;
            }
        }
        c->fore = NULL;
    }
    c->fore = best.fore;
    c->back = best.back;
    c->len = best.len;
    if (!c->fore)
        return false;
    lg_free(c->drop);
    c->drop = lg_alloc((size_t)c->fore->n_out + 1);
    find_dropped(c, reads);
    c->segments = attr(c->fore)->trip / c->len;
    return true;
}

/* ---- stacks ---- */

static lg_node *split(lg_graph *g, const cut *c, lg_node *x) {
    int64_t shape[LG_MAX_RANK] = {c->segments, c->len};
    memcpy(shape + 2, x->type[0].shape + 1, sizeof *shape * (size_t)(x->type[0].rank - 1));
    return lg_g_reshape(g, x, x->type[0].rank + 1, shape, x->span);
}

static lg_node *join(lg_graph *g, const cut *c, lg_node *x) {
    int64_t shape[LG_MAX_RANK] = {c->segments * c->len};
    memcpy(shape + 1, x->type[0].shape + 2, sizeof *shape * (size_t)(x->type[0].rank - 2));
    return lg_g_reshape(g, x, x->type[0].rank - 1, shape, x->span);
}

/* A stack of the loop that a round of segments sees: its rows. */
static lg_type rows_of(const cut *c, const lg_type *t) {
    lg_type rows = *t;
    rows.shape[0] = c->len;
    return rows;
}

/* ---- the loop within a segment ---- */

/* L rounds of s in graph g, in which in[] stands for its inputs and `segment` is the number of the
 * segment: the results that `want` marks, after all carries. */
static lg_node *inner(lg_graph *g, const cut *c, const lg_node *s, lg_node *const *in,
                      lg_node *segment, const bool *want, bool effects) {
    const lg_scan_attr *a = attr(s);
    lg_graph *b = lg_graph_new(g);
    lg_node **map = lg_alloc(sizeof *map * (a->body->node.n + 1));
    node_vec all = {0}, out = {0};
    int at = a->n_carry + a->n_xs;
    lg_node *round = NULL;
    for (int k = 0; k < (int)a->body->input.n; k++) {
        lg_node *x = a->body->input.at[k];
        map[x->id] = lg_g_input(b, x->type[0], x->span);
        if (k == at)
            round = x;
        else
            LG_PUSH(all, in[k < at ? k : k - 1]);
    }
    LG_PUSH(all, segment);
    lg_node *nth = lg_g_input(b, lg_type_make(LG_I64, 0, NULL), s->span);
    lg_node *len = lg_g_scalar(b, LG_I64, (double)c->len, s->span);
    nth = lg_g_elem(b, lg_op_find("mul"), 2, (lg_node *[]){nth, len}, s->span);
    map[round->id] =
        lg_g_elem(b, lg_op_find("add"), 2, (lg_node *[]){nth, map[round->id]}, s->span);
    for (int k = 0; k < s->n_out; k++)
        if (k < a->n_carry || want[k])
            LG_PUSH(out, a->body->output.at[k].node);
    int n_out = (int)out.n;
    for (size_t k = 0; effects && k < a->body->effect.n; k++)
        LG_PUSH(out, a->body->effect.at[k]);
    lg_graph_copy(b, a->body, map, (int)out.n, out.at);
    for (int k = 0; k < (int)out.n; k++)
        if (k < n_out)
            lg_g_output(b, map[out.at[k]->id], -1, NULL);
        else
            LG_PUSH(b->effect, map[out.at[k]->id]);
    lg_scan_attr one = {.trip = c->len,
                        .rev = a->rev,
                        .stop = -1,
                        .n_carry = a->n_carry,
                        .n_xs = a->n_xs,
                        .n_const = a->n_const + 1,
                        .n_yield = n_out - a->n_carry,
                        .body = b};
    lg_node *y = lg_g_scan(g, &one, (int)all.n, all.at, s->span);
    lg_free(map);
    lg_free(all.at);
    lg_free(out.at);
    return y;
}

/* ---- loops over segments ---- */

/* The inputs that a round over segments has for those of s: carries, rows and constants, which are
 * added to in[] and to the graph of the round. */
typedef struct {
    lg_scan_attr attr;
    node_vec in; /* of the loop over segments, in g */
} outer;

static void add_input(outer *o, lg_node *x, lg_type t, node_vec *to) {
    LG_PUSH(o->in, x);
    LG_PUSH(*to, lg_g_input(o->attr.body, t, x->span));
}

static lg_type slice_of(const cut *c, const lg_node *x) {
    return rows_of(c, &x->type[0]);
}

static void keep_carries(cut *c) {
    const lg_scan_attr *a = attr(c->fore);
    outer o = {.attr = {.trip = c->segments, .rev = a->rev, .stop = -1}};
    o.attr.body = lg_graph_new(c->g);
    node_vec in = {0};
    bool *want = lg_alloc((size_t)c->fore->n_out + 1);
    lg_node *number = NULL;
    for (int k = 0; k <= c->fore->n_in; k++) {
        if (k == a->n_carry + a->n_xs)
            number = lg_g_input(o.attr.body, lg_type_make(LG_I64, 0, NULL), c->fore->span);
        if (k == c->fore->n_in)
            break;
        lg_node *x = c->map[c->fore->in[k]->id];
        bool stack = k >= a->n_carry && k < a->n_carry + a->n_xs;
        add_input(&o, stack ? split(c->g, c, x) : x, stack ? slice_of(c, x) : x->type[0], &in);
    }
    for (int k = a->n_carry; k < c->fore->n_out; k++)
        want[k] = !c->drop[k];
    lg_node *y = inner(o.attr.body, c, c->fore, in.at, number, want, true);
    int n = 0;
    for (int k = 0; k < c->fore->n_out; k++)
        if (k < a->n_carry || want[k])
            lg_g_output(o.attr.body, lg_g_item(o.attr.body, y, n++), -1, NULL);
    c->first_kept = n;
    for (int k = 0; k < a->n_carry; k++)
        lg_g_output(o.attr.body, in.at[k], -1, NULL);
    o.attr.n_carry = a->n_carry;
    o.attr.n_xs = a->n_xs;
    o.attr.n_const = a->n_const;
    o.attr.n_yield = n; /* those of the carries, less the carries */
    c->kept = lg_g_scan(c->g, &o.attr, (int)o.in.n, o.in.at, c->fore->span);
    n = 0;
    for (int k = 0; k < c->fore->n_out; k++) {
        bool carry = k < a->n_carry;
        if (carry || want[k])
            c->fore_item[k] = lg_g_item(c->g, c->kept, n++);
        if (want[k])
            c->fore_item[k] = join(c->g, c, c->fore_item[k]);
    }
    lg_free(want);
    lg_free(in.at);
    lg_free(o.in.at);
}

/* Is input k of `back` a dropped result? Which one, else -1. */
static int dropped(const cut *c, int k) {
    const lg_node *x = c->back->in[k];
    bool item = x->op->cls == LG_C_ITEM && x->in[0] == c->fore;
    return item && c->drop[x->attr.axis] ? x->attr.axis : -1;
}

static void run_again(cut *c) {
    const lg_scan_attr *f = attr(c->fore), *b = attr(c->back);
    outer o = {.attr = {.trip = c->segments, .rev = b->rev, .stop = -1}};
    lg_graph *body = o.attr.body = lg_graph_new(c->g);
    node_vec fore = {0}, back = {0}; /* inputs of both loops in the round */
    int nb = b->n_carry + b->n_xs, nf = f->n_carry + f->n_xs;
    for (int k = 0; k < nb; k++) {
        lg_node *x = c->map[c->back->in[k]->id];
        if (k < b->n_carry)
            add_input(&o, x, x->type[0], &back);
        else if (dropped(c, k) >= 0)
            LG_PUSH(back, NULL);
        else
            add_input(&o, split(c->g, c, x), slice_of(c, x), &back);
    }
    for (int k = 0; k < f->n_carry; k++) {
        lg_node *starts = lg_g_item(c->g, c->kept, c->first_kept + k);
        add_input(&o, starts, c->fore->type[k], &fore);
    }
    for (int k = f->n_carry; k < nf; k++) {
        lg_node *x = c->map[c->fore->in[k]->id];
        add_input(&o, split(c->g, c, x), slice_of(c, x), &fore);
    }
    o.attr.n_carry = b->n_carry;
    o.attr.n_xs = (int)o.in.n - b->n_carry;
    lg_node *number = lg_g_input(body, lg_type_make(LG_I64, 0, NULL), c->back->span);
    for (int k = nb; k < c->back->n_in; k++) {
        lg_node *x = c->map[c->back->in[k]->id];
        add_input(&o, x, x->type[0], &back);
    }
    for (int k = nf; k < c->fore->n_in; k++) {
        lg_node *x = c->map[c->fore->in[k]->id];
        add_input(&o, x, x->type[0], &fore);
    }
    o.attr.n_const = (int)o.in.n - o.attr.n_carry - o.attr.n_xs;
    lg_node *again = inner(body, c, c->fore, fore.at, number, c->drop, false);
    for (int k = b->n_carry; k < nb; k++) {
        int which = dropped(c, k), n = f->n_carry;
        for (int j = f->n_carry; j < which; j++)
            n += c->drop[j];
        if (which >= 0)
            back.at[k] = lg_g_item(body, again, n);
    }
    bool *all = lg_alloc((size_t)c->back->n_out + 1);
    memset(all, 1, (size_t)c->back->n_out);
    lg_node *y = inner(body, c, c->back, back.at, number, all, true);
    for (int k = 0; k < c->back->n_out; k++)
        lg_g_output(body, lg_g_item(body, y, k), -1, NULL);
    o.attr.n_yield = b->n_yield;
    lg_node *whole = lg_g_scan(c->g, &o.attr, (int)o.in.n, o.in.at, c->back->span);
    for (int k = 0; k < c->back->n_out; k++) {
        c->back_item[k] = lg_g_item(c->g, whole, k);
        if (k >= b->n_carry)
            c->back_item[k] = join(c->g, c, c->back_item[k]);
    }
    lg_free(all);
    lg_free(fore.at);
    lg_free(back.at);
    lg_free(o.in.at);
}

/* ---- the graph ---- */

static void rewrite(cut *c) {
    lg_graph *g = c->g;
    size_t n = g->node.n;
    lg_node **old = lg_alloc(sizeof *old * (n + 1));
    memcpy(old, g->node.at, n * sizeof *old);
    node_vec in = {0}, order = {0};
    for (size_t i = 0; i < n; i++) {
        lg_node *x = old[i];
        bool same = true;
        size_t made = g->node.n;
        c->map[i] = x;
        in.n = 0;
        for (int k = 0; k < x->n_in; k++) {
            LG_PUSH(in, c->map[x->in[k]->id]);
            same = same && in.at[k] == x->in[k];
        }
        if (x == c->fore)
            keep_carries(c);
        else if (x == c->back)
            run_again(c);
        else if (x->op->cls == LG_C_ITEM && x->in[0] == c->fore)
            c->map[i] = c->drop[x->attr.axis] ? NULL : c->fore_item[x->attr.axis];
        else if (x->op->cls == LG_C_ITEM && x->in[0] == c->back)
            c->map[i] = c->back_item[x->attr.axis];
        else if (!same)
            c->map[i] = lg_g_like(g, x, in.at);
        if (c->map[i] == x && x != c->fore && x != c->back)
            LG_PUSH(order, x);
        for (; made < g->node.n; made++) /* what was made on the way stands where it is needed */
            LG_PUSH(order, g->node.at[made]);
    }
    g->node.n = 0;
    for (size_t i = 0; i < order.n; i++) {
        LG_PUSH(g->node, order.at[i]);
    }
    for (size_t k = 0; k < g->output.n; k++)
        g->output.at[k].node = c->map[g->output.at[k].node->id];
    for (size_t k = 0; k < g->effect.n; k++)
        g->effect.at[k] = c->map[g->effect.at[k]->id];
    for (size_t i = 0; i < order.n; i++)
        order.at[i]->id = (uint32_t)i;
    lg_free(old);
    lg_free(in.at);
    lg_free(order.at);
}

static int *count_reads(const lg_graph *g) {
    int *n = lg_alloc(sizeof *n * (g->node.n + 1));
    for (size_t i = 0; i < g->node.n; i++)
        for (int k = 0; k < g->node.at[i]->n_in; k++)
            n[g->node.at[i]->in[k]->id]++;
    for (size_t k = 0; k < g->output.n; k++)
        n[g->output.at[k].node->id]++;
    return n;
}

int lg_segment(lg_graph *g) {
    cut c = {.g = g};
    int *reads = count_reads(g);
    bool any = find(&c, reads);
    if (any) {
        c.map = lg_alloc(sizeof *c.map * (g->node.n + 1));
        c.fore_item = lg_alloc(sizeof *c.fore_item * (size_t)(c.fore->n_out + 1));
        c.back_item = lg_alloc(sizeof *c.back_item * (size_t)(c.back->n_out + 1));
        rewrite(&c);
        lg_pass_dead(g);
    }
    lg_free(c.map);
    lg_free(c.fore_item);
    lg_free(c.back_item);
    lg_free(c.drop);
    lg_free(reads);
    return any ? c.n_drop : 0;
}
