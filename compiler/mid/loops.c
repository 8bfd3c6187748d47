/* loops.c: scans with less in them. Carries, yields and inputs that nothing needs, and yields of
 * what is yielded already, are dropped. Matrix products that do not wait for a carry are taken out
 * and done for all rounds at once: those of slices and constants before the loop, those that are
 * only yielded behind it, and those that are only summed up (the gradient of a weight) as one
 * product whose inner dim holds the rounds too. Totals of what is kept for these (the gradient of a
 * bias) are taken over all rounds as well. Runs after contract.c, which is what finds the products.
 */
#include "compiler/mid/grad.h"
#include "compiler/mid/passes.h"
#include <string.h>

typedef LG_VEC(lg_node *) node_vec;

/* A product that is summed over the rounds, or yielded. */
typedef struct {
    int out;            /* of the old scan */
    lg_node *top, *dot; /* top: moves of the product (or total), down to it */
} taken;

typedef struct {
    lg_graph *g;
    const lg_node *s;   /* the scan as it was */
    lg_node *const *in; /* its inputs in the new graph */
    const lg_scan_attr *f;
    lg_graph *b;
    const uint8_t *used;   /* by result */
    uint8_t *live;         /* by output of the body */
    uint8_t *need, *fixed; /* by node of the body: is needed; depends on constants alone */
    int *uses;
    lg_node **rest; /* by output: what it is now, NULL: dropped */
    LG_VEC(taken) sum, late;
    node_vec early; /* products done before */
    node_vec extra; /* nodes of the body to be yielded besides */
    node_vec ahead; /* constant operands that are stored in another order before the loop */
    lg_node *now;   /* the new scan */
    int *place;     /* by output: its result in the new scan, or -1 */
    int n_new;      /* results before the extra ones */
} loop;

static int first_const(const loop *l) {
    return l->f->n_carry + l->f->n_xs + 1;
}

static bool is_move(const lg_node *x) {
    return x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE || x->op->cls == LG_C_CAST;
}

static bool is_slice(const loop *l, const lg_node *x) {
    return x->op->cls == LG_C_INPUT && x->attr.slot >= l->f->n_carry &&
           x->attr.slot < l->f->n_carry + l->f->n_xs;
}

/* ---- what is needed ---- */

static void reach(loop *l) {
    for (size_t i = l->b->node.n; i-- > 0;)
        for (int k = 0; l->need[i] && k < l->b->node.at[i]->n_in; k++)
            l->need[l->b->node.at[i]->in[k]->id] = 1;
}

static void find_live(loop *l) {
    int n = (int)l->b->output.n;
    for (int k = 0; k < n; k++)
        l->live[k] = l->used[k] || k == l->f->stop;
    for (size_t k = 0; k < l->b->effect.n; k++)
        l->need[l->b->effect.at[k]->id] = 1;
    for (bool again = true; again;) {
        again = false;
        for (int k = 0; k < n; k++)
            if (l->live[k])
                l->need[l->b->output.at[k].node->id] = 1;
        reach(l);
        for (int j = 0; j < l->f->n_carry; j++)
            if (!l->live[j] && l->need[l->b->input.at[j]->id])
                l->live[j] = again = true;
    }
}

static void count_uses(loop *l) {
    for (size_t i = 0; i < l->b->node.n; i++)
        for (int k = 0; l->need[i] && k < l->b->node.at[i]->n_in; k++)
            l->uses[l->b->node.at[i]->in[k]->id]++;
    for (size_t k = 0; k < l->b->output.n; k++)
        l->uses[l->b->output.at[k].node->id] += l->live[k];
    for (size_t i = 0; i < l->b->node.n; i++) {
        const lg_node *x = l->b->node.at[i];
        l->fixed[i] = x->op->cls == LG_C_CONST ||
                      (x->op->cls == LG_C_INPUT && x->attr.slot >= first_const(l)) ||
                      (is_move(x) && l->fixed[x->in[0]->id]);
    }
}

/* The output that yields x anyway, or -1. */
static int yielded(const loop *l, const lg_node *x) {
    for (int k = l->f->n_carry; k < (int)l->b->output.n; k++)
        if (l->rest[k] == x)
            return k;
    return -1;
}

/* ---- which products ---- */

static bool fits(const lg_node *x) { /* one more dim */
    for (; is_move(x); x = x->in[0])
        if (x->type[0].rank >= LG_MAX_RANK || x->in[0]->type[0].rank >= LG_MAX_RANK)
            return false;
    return x->type[0].rank < LG_MAX_RANK;
}

/* Below moves: a slice of an input, or the smallest thing to keep a stack of. */
static lg_node *source(const loop *l, lg_node *x) {
    lg_node *deep = x;
    while (is_move(deep))
        deep = deep->in[0];
    if (is_slice(l, deep))
        return deep;
    while (is_move(x) && lg_type_count(x->in[0]->type) <= lg_type_count(x->type))
        x = x->in[0];
    return x;
}

static lg_node *product_below(const loop *l, lg_node *x, bool alone) {
    while (is_move(x) && (!alone || l->uses[x->id] == 1))
        x = x->in[0];
    return x->op->cls == LG_C_DOT && x->type[0].rank < LG_MAX_RANK &&
                   (!alone || l->uses[x->id] == 1)
               ? x
               : NULL;
}

static void find_early(loop *l) {
    for (size_t i = 0; i < l->b->node.n; i++) {
        lg_node *x = l->b->node.at[i];
        if (!l->need[i] || x->op->cls != LG_C_DOT || x->type[0].rank >= LG_MAX_RANK)
            continue;
        bool fixed[2], slice[2];
        for (int k = 0; k < 2; k++) {
            fixed[k] = l->fixed[x->in[k]->id];
            slice[k] = !fixed[k] && is_slice(l, source(l, x->in[k]));
        }
        if ((fixed[0] && slice[1]) || (slice[0] && fixed[1]) || (slice[0] && slice[1]))
            LG_PUSH(l->early, x);
    }
}

/* Right operands that are constants seen through moves: a product packs its own again in every
 * round unless it finds rows side by side. */
static void find_ahead(loop *l) {
    for (size_t i = 0; i < l->b->node.n; i++) {
        const lg_node *x = l->b->node.at[i];
        lg_node *w = x->op->cls == LG_C_DOT ? x->in[1] : NULL;
        bool found = !w || !l->need[i] || w->op->cls != LG_C_VIEW || !l->fixed[w->id] ||
                     x->type[0].rank != 2 || x->type[0].shape[0] == 1;
        for (size_t k = 0; k < l->ahead.n && !found; k++)
            found = l->ahead.at[k] == w;
        if (!found)
            LG_PUSH(l->ahead, w);
    }
}

static bool is_early(const loop *l, const lg_node *x) {
    for (size_t k = 0; k < l->early.n; k++)
        if (l->early.at[k] == x)
            return true;
    return false;
}

static void find_late(loop *l) {
    for (int k = l->f->n_carry; k < (int)l->b->output.n; k++) {
        lg_node *top = l->b->output.at[k].node;
        lg_node *dot = l->live[k] ? product_below(l, top, true) : NULL;
        if (!dot || !fits(top) || is_early(l, dot) ||
            l->fixed[dot->in[0]->id] == l->fixed[dot->in[1]->id])
            continue;
        LG_PUSH(l->late, ((taken){k, top, dot}));
        l->rest[k] = NULL;
    }
}

static void addends(const loop *l, lg_node *x, node_vec *out) {
    if (x->op == lg_op_find("add") && l->uses[x->id] == 1) {
        addends(l, x->in[0], out);
        addends(l, x->in[1], out);
        return;
    }
    LG_PUSH(*out, x);
}

/* Is x kept for all rounds: given as a stack, yielded, or an operand of a product done behind? */
static bool is_kept(const loop *l, lg_node *x) {
    const lg_node *src = source(l, x);
    bool kept = is_slice(l, src) || yielded(l, src) >= 0;
    for (size_t k = 0; k < l->late.n && !kept; k++)
        kept = source(l, l->late.at[k].dot->in[0]) == src ||
               source(l, l->late.at[k].dot->in[1]) == src;
    for (size_t k = 0; k < l->sum.n && !kept; k++)
        for (int i = 0; i < l->sum.at[k].dot->n_in; i++)
            kept = kept || source(l, l->sum.at[k].dot->in[i]) == src;
    return kept;
}

/* A sum over some axes of what is kept anyway, below moves (the gradient of a bias). */
static lg_node *total_below(const loop *l, lg_node *x) {
    while (is_move(x))
        x = x->in[0];
    bool real = x->type[0].dtype == LG_F32 || x->type[0].dtype == LG_F64;
    return x->op == lg_op_find("sum") && real && fits(x->in[0]) && is_kept(l, x->in[0]) ? x : NULL;
}

static lg_node *outer_sum(const loop *l, lg_node *x, bool totals) {
    if (totals)
        return total_below(l, x);
    lg_node *dot = product_below(l, x, false);
    bool takes = dot && !is_early(l, dot) && !l->fixed[dot->in[0]->id] && !l->fixed[dot->in[1]->id];
    return takes ? dot : NULL;
}

/* A carry to which terms are only added: products among them, or totals, are summed behind the
 * loop. */
static void find_sum(loop *l, int j, bool totals) {
    lg_node *now = l->b->output.at[j].node, *was = l->b->input.at[j];
    if (!l->live[j] || j == l->f->stop || now->op != lg_op_find("add") || l->uses[was->id] != 1 ||
        l->rest[j] != now)
        return;
    node_vec term = {0};
    addends(l, now, &term);
    bool self = false, any = false;
    for (size_t k = 0; k < term.n; k++)
        self = self || term.at[k] == was;
    lg_node *rest = NULL;
    for (size_t k = 0; self && k < term.n; k++) {
        lg_node *sum = term.at[k] == was ? NULL : outer_sum(l, term.at[k], totals);
        if (sum) {
            LG_PUSH(l->sum, ((taken){j, term.at[k], sum}));
            any = true;
        } else if (term.at[k] != was) {
            rest = rest ? lg_g_elem(l->b, now->op, 2, (lg_node *[]){rest, term.at[k]}, now->span)
                        : term.at[k];
        }
    }
    if (any)
        l->rest[j] = rest ? lg_g_elem(l->b, now->op, 2, (lg_node *[]){was, rest}, now->span) : NULL;
    lg_free(term.at);
}

/* ---- for all rounds at once ---- */

/* A move x of one round, done on the stack of what it moves. */
static lg_node *move_stack(loop *l, const lg_node *x, lg_node *stack) {
    int64_t shape[LG_MAX_RANK] = {l->f->trip};
    int rank = x->type[0].rank + 1;
    memcpy(shape + 1, x->type[0].shape, sizeof *shape * (size_t)(rank - 1));
    if (x->op->cls == LG_C_CAST)
        return lg_g_cast(l->g, stack, x->type[0].dtype, x->span);
    if (x->op->cls == LG_C_RESHAPE)
        return lg_g_reshape(l->g, stack, rank, shape, x->span);
    const lg_affine *m = x->attr.affine;
    int64_t off[LG_MAX_RANK + 1] = {0}, coef[(LG_MAX_RANK + 1) * (LG_MAX_RANK + 1)] = {1};
    lg_affine wide = {m->rank_in + 1, m->rank_out + 1, off, coef};
    for (int a = 0; a < m->rank_in; a++) {
        off[a + 1] = m->off[a];
        for (int o = 0; o < m->rank_out; o++)
            coef[(a + 1) * wide.rank_out + o + 1] = m->coef[a * m->rank_out + o];
    }
    return lg_g_view(l->g, stack, &wide, rank, shape, x->span);
}

static lg_node *moved_from(loop *l, const lg_node *x, const lg_node *src, lg_node *stack) {
    return x == src ? stack : move_stack(l, x, moved_from(l, x->in[0], src, stack));
}

/* What depends on constants alone, outside of the loop. */
static lg_node *outside(loop *l, const lg_node *x) {
    if (x->op->cls == LG_C_CONST)
        return lg_g_const(l->g, x->attr.tensor, x->span);
    if (x->op->cls == LG_C_INPUT)
        return l->in[x->attr.slot - 1];
    lg_node *in = outside(l, x->in[0]);
    return lg_g_like(l->g, x, &in);
}

static lg_node *stack_of(loop *l, lg_node *x) {
    lg_node *src = source(l, x);
    if (is_slice(l, src))
        return moved_from(l, x, src, l->in[src->attr.slot]);
    int have = yielded(l, src);
    if (have >= 0)
        return moved_from(l, x, src, lg_g_item(l->g, l->now, l->place[have]));
    for (size_t k = 0; k < l->extra.n; k++)
        if (l->extra.at[k] == src)
            return moved_from(l, x, src, lg_g_item(l->g, l->now, l->n_new + (int)k));
    assert(!"a stack that was kept");
    return NULL;
}

/* An operand of rank r + 1: [trip, ...], constants spread over the rounds. */
static lg_node *operand(loop *l, lg_node *x) {
    if (!l->fixed[x->id])
        return stack_of(l, x);
    lg_node *one = outside(l, x);
    int64_t shape[LG_MAX_RANK] = {l->f->trip};
    int from[LG_MAX_RANK] = {-1}, rank = x->type[0].rank;
    for (int d = 0; d < rank; d++) {
        shape[d + 1] = x->type[0].shape[d];
        from[d + 1] = d;
    }
    return lg_g_broadcast(l->g, one, rank + 1, shape, from, x->span);
}

/* The product of every round. With a constant on the right the rounds are rows of one product. */
static lg_node *product(loop *l, const lg_node *dot) {
    const lg_type *t = &dot->type[0];
    if (!l->fixed[dot->in[1]->id] || t->rank != 2)
        return lg_g_dot(l->g, operand(l, dot->in[0]), operand(l, dot->in[1]), dot->span);
    int64_t trip = l->f->trip, k = dot->in[1]->type[0].shape[0];
    lg_node *a = lg_g_reshape(l->g, stack_of(l, dot->in[0]), 2, (int64_t[]){trip * t->shape[0], k},
                              dot->span);
    lg_node *y = lg_g_dot(l->g, a, outside(l, dot->in[1]), dot->span);
    return lg_g_reshape(l->g, y, 3, (int64_t[]){trip, t->shape[0], t->shape[1]}, dot->span);
}

/* The product whose inner dim runs over the rounds too. */
static lg_node *product_of_all(loop *l, const taken *x) {
    lg_node *side[2];
    for (int k = 0; k < 2; k++) {
        lg_node *s = stack_of(l, x->dot->in[k]);
        int r = s->type[0].rank, perm[LG_MAX_RANK], before = r - 2 + (k == 0 ? 0 : -1);
        int64_t shape[LG_MAX_RANK];
        for (int d = 0; d < r; d++) /* [S, M, trip, K] and [S, trip, K, N] */
            perm[d] = d < before ? d + 1 : d == before ? 0 : d;
        s = lg_g_permute(l->g, s, perm, x->dot->span);
        for (int d = 0, o = 0; d < r; d++)
            if (d == before) {
                shape[o++] = s->type[0].shape[d] * s->type[0].shape[d + 1];
                d++;
            } else {
                shape[o++] = s->type[0].shape[d];
            }
        side[k] = lg_g_reshape(l->g, s, r - 1, shape, x->dot->span);
    }
    return lg_g_dot(l->g, side[0], side[1], x->dot->span);
}

/* The sum of the products, or totals, of all rounds. */
static lg_node *summed(loop *l, const taken *x) {
    lg_node *y = x->dot->op->cls == LG_C_DOT
                     ? product_of_all(l, x)
                     : lg_g_reduce(l->g, x->dot->op, stack_of(l, x->dot->in[0]),
                                   x->dot->attr.axes_mask << 1 | 1, x->dot->span);
    node_vec up = {0};
    for (lg_node *m = x->top; m != x->dot; m = m->in[0])
        LG_PUSH(up, m);
    while (up.n)
        y = lg_g_like(l->g, up.at[--up.n], &y);
    lg_free(up.at);
    return y;
}

/* ---- the new scan ---- */

static void keep(loop *l, lg_node *x) {
    lg_node *src = source(l, x);
    bool have = l->fixed[x->id] || is_slice(l, src) || yielded(l, src) >= 0;
    for (size_t k = 0; k < l->extra.n && !have; k++)
        have = l->extra.at[k] == src;
    if (!have)
        LG_PUSH(l->extra, src);
}

static void emit(loop *l) {
    const lg_scan_attr *f = l->f;
    lg_scan_attr s = {.trip = f->trip, .rev = f->rev, .stop = -1, .body = lg_graph_new(l->g)};
    lg_node **map = lg_alloc(sizeof *map * (l->b->node.n + 1));
    node_vec in = {0}, out = {0};
    for (int k = 0; k < (int)l->b->output.n; k++)
        if (l->rest[k] && k >= f->n_carry && yielded(l, l->rest[k]) < k) {
            l->place[k] = l->place[yielded(l, l->rest[k])];
        } else if (l->rest[k]) {
            l->place[k] = (int)out.n;
            s.stop = k == f->stop ? (int)out.n : s.stop;
            LG_PUSH(out, l->rest[k]);
            s.n_carry += k < f->n_carry;
        }
    l->n_new = (int)out.n;
    for (size_t k = 0; k < l->extra.n; k++)
        LG_PUSH(out, l->extra.at[k]);
    s.n_yield = (int)out.n - s.n_carry;
    /* inputs that the new outputs need; products done before are inputs as well */
    for (size_t k = 0; k < l->early.n; k++)
        map[l->early.at[k]->id] = l->early.at[k];
    for (size_t k = 0; k < l->ahead.n; k++)
        map[l->ahead.at[k]->id] = l->ahead.at[k];
    uint8_t *need = lg_alloc(l->b->node.n + 1);
    for (size_t k = 0; k < out.n; k++)
        need[out.at[k]->id] = 1;
    for (size_t k = 0; k < l->b->effect.n; k++)
        need[l->b->effect.at[k]->id] = 1;
    for (size_t i = l->b->node.n; i-- > 0;)
        for (int k = 0; need[i] && !map[i] && k < l->b->node.at[i]->n_in; k++)
            need[l->b->node.at[i]->in[k]->id] = 1;
    for (int k = 0; k < (int)l->b->input.n; k++) {
        lg_node *x = l->b->input.at[k];
        bool t = k == first_const(l) - 1;
        if (t) /* stacks end here */
            for (size_t e = 0; e < l->early.n; e++)
                if (need[l->early.at[e]->id]) {
                    LG_PUSH(in, product(l, l->early.at[e]));
                    map[l->early.at[e]->id] = lg_g_input(s.body, l->early.at[e]->type[0], x->span);
                    s.n_xs++;
                }
        if (!t && !(k < f->n_carry ? l->rest[k] != NULL : need[x->id]))
            continue;
        map[x->id] = lg_g_input(s.body, x->type[0], x->span);
        if (t)
            continue;
        LG_PUSH(in, l->in[k < first_const(l) ? k : k - 1]);
        s.n_xs += k >= f->n_carry && k < first_const(l);
    }
    for (size_t k = 0; k < l->ahead.n; k++) {
        lg_node *w = l->ahead.at[k];
        if (need[w->id])
            LG_PUSH(in, outside(l, w));
        map[w->id] = need[w->id] ? lg_g_input(s.body, w->type[0], w->span) : NULL;
    }
    s.n_const = (int)in.n - s.n_carry - s.n_xs;
    lg_graph_copy(s.body, l->b, map, (int)out.n, out.at);
    lg_graph_copy(s.body, l->b, map, (int)l->b->effect.n, l->b->effect.at);
    for (size_t k = 0; k < out.n; k++)
        lg_g_output(s.body, map[out.at[k]->id], -1, NULL);
    for (size_t k = 0; k < l->b->effect.n; k++)
        LG_PUSH(s.body->effect, map[l->b->effect.at[k]->id]);
    if (out.n || l->b->effect.n)
        l->now = lg_g_scan(l->g, &s, (int)in.n, in.at, l->s->span);
    lg_free(need);
    lg_free(in.at);
    lg_free(out.at);
    lg_free(map);
}

/* What stands for result k of the old scan; NULL when nothing uses it. */
static lg_node *result(loop *l, int k) {
    if (!l->used[k])
        return NULL;
    lg_node *y = l->place[k] >= 0 ? lg_g_item(l->g, l->now, l->place[k]) : NULL;
    for (size_t i = 0; i < l->late.n; i++)
        if (l->late.at[i].out == k)
            y = moved_from(l, l->late.at[i].top, l->late.at[i].dot, product(l, l->late.at[i].dot));
    if (!y)
        y = l->in[k]; /* a sum of which nothing is left in the loop begins with its start */
    for (size_t i = 0; i < l->sum.n; i++)
        if (l->sum.at[i].out == k)
            y = lg_g_elem(l->g, lg_op_find("add"), 2, (lg_node *[]){y, summed(l, &l->sum.at[i])},
                          l->s->span);
    return y;
}

static bool all_fit(const loop *l) {
    for (size_t i = 0; i < l->b->node.n; i++)
        if (l->b->node.at[i]->op->cls == LG_C_DOT &&
            (!fits(l->b->node.at[i]->in[0]) || !fits(l->b->node.at[i]->in[1])))
            return false;
    return true;
}

/* Fills item[k] for every result. */
static void thin(lg_graph *g, const lg_node *s, lg_node *const *in, const uint8_t *used,
                 lg_node **item) {
    const lg_scan_attr *f = s->attr.scan;
    size_t n = f->body->node.n, n_out = f->body->output.n;
    loop l = {.g = g, .s = s, .in = in, .f = f, .b = f->body, .used = used};
    l.live = lg_alloc(n_out + 1);
    l.need = lg_alloc(n + 1);
    l.fixed = lg_alloc(n + 1);
    l.uses = lg_alloc(sizeof *l.uses * (n + 1));
    l.rest = lg_alloc(sizeof *l.rest * (n_out + 1));
    l.place = lg_alloc(sizeof *l.place * (n_out + 1));
    find_live(&l);
    count_uses(&l);
    for (size_t k = 0; k < n_out; k++) {
        l.rest[k] = l.live[k] ? l.b->output.at[k].node : NULL;
        l.place[k] = -1;
    }
    if (f->trip > 1 && all_fit(&l)) {
        if (f->stop < 0) /* rows that are not reached must not cost anything */
            find_early(&l);
        find_late(&l);
        for (int j = 0; j < 2 * f->n_carry; j++)
            find_sum(&l, j % f->n_carry, j >= f->n_carry);
        find_ahead(&l);
    }
    for (size_t k = 0; k < l.late.n; k++)
        for (int i = 0; i < 2; i++)
            keep(&l, l.late.at[k].dot->in[i]);
    for (size_t k = 0; k < l.sum.n; k++)
        for (int i = 0; i < l.sum.at[k].dot->n_in; i++)
            keep(&l, l.sum.at[k].dot->in[i]);
    emit(&l);
    for (size_t k = 0; k < n_out; k++)
        item[k] = result(&l, (int)k);
    lg_free(l.live);
    lg_free(l.need);
    lg_free(l.fixed);
    lg_free(l.uses);
    lg_free(l.rest);
    lg_free(l.place);
    lg_free(l.sum.at);
    lg_free(l.late.at);
    lg_free(l.early.at);
    lg_free(l.extra.at);
    lg_free(l.ahead.at);
}

/* ---- the pass ---- */

static bool has_scan(const lg_graph *g) {
    bool any = false;
    for (size_t i = 0; i < g->node.n; i++) {
        lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_COND) {
            lg_pass_loops(n->attr.cond->then_);
            lg_pass_loops(n->attr.cond->else_);
        }
        if (n->op->cls == LG_C_SCAN) {
            lg_pass_loops(n->attr.scan->body);
            any = true;
        }
    }
    return any;
}

/* Which results of the scans are read, by node. */
static uint8_t **results_used(const lg_graph *g) {
    uint8_t **used = lg_alloc(sizeof *used * (g->node.n + 1));
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_SCAN)
            used[i] = lg_alloc((size_t)n->n_out + 1);
        if (n->op->cls == LG_C_ITEM && used[n->in[0]->id])
            used[n->in[0]->id][n->attr.axis] = 1;
    }
    return used;
}

void lg_pass_loops(lg_graph *g) {
    if (!has_scan(g))
        return;
    lg_pass_dead(g);
    size_t n_old = g->node.n;
    uint8_t **used = results_used(g);
    lg_node **map = lg_alloc(sizeof *map * (n_old + 1)),
            ***item = lg_alloc(sizeof *item * (n_old + 1));
    node_vec in = {0};
    for (size_t i = 0; i < n_old; i++) {
        lg_node *n = g->node.at[i];
        map[i] = n;
        if (n->op->cls == LG_C_INPUT)
            continue;
        in.n = 0;
        for (int k = 0; k < n->n_in; k++)
            LG_PUSH(in, map[n->in[k]->id]);
        if (n->op->cls == LG_C_SCAN) {
            item[i] = lg_alloc(sizeof **item * (size_t)(n->n_out + 1));
            thin(g, n, in.at, used[i], item[i]);
        } else if (n->op->cls == LG_C_ITEM && item[n->in[0]->id]) {
            map[i] = item[n->in[0]->id][n->attr.axis];
        } else {
            map[i] = lg_g_like(g, n, in.at);
        }
    }
    for (size_t k = 0; k < g->output.n; k++)
        g->output.at[k].node = map[g->output.at[k].node->id];
    for (size_t k = 0; k < g->effect.n; k++)
        g->effect.at[k] = map[g->effect.at[k]->id];
    for (size_t i = 0; i < n_old; i++) {
        lg_free(used[i]);
        lg_free(item[i]);
    }
    lg_free(used);
    lg_free(item);
    lg_free(map);
    lg_free(in.at);
    lg_pass_simplify(g); /* the moves that were put together */
}
