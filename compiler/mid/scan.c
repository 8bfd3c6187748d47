/* scan.c: loops in order. A dynamic one becomes one node with a body graph: carries, what it runs
 * over, the round number and what the body takes from outside. Under a map its lanes run together,
 * each until its own `while` ends it. Not for static loops (unroll.c), nor
 * for what rounds yield (scan_yield.c). */
#include "compiler/mid/scanning.h"
#include <string.h>

/* ---- inputs of the body ---- */

static lg_value *slot_value(lg_scanning *s, lg_slot *sl) {
    lg_elab *E = s->E;
    lg_value *x = sl->start;
    if (x->kind != LG_V_TENSOR)
        return x;
    lg_value *v =
        lg_v_open(E, x->t.dtype, sl->n_open, sl->open, x->t.rank, x->t.dim, sl->inner, x->at);
    v->t.weak = x->t.weak;
    v->t.bound = x->t.bound;
    return v;
}

/* In the graph outside: what the slot holds before the first round, with all of its lanes. */
static void place_slot(lg_scanning *s, lg_slot *sl, lg_span at) {
    lg_value *x = sl->start;
    if (s->nest.g && x->kind == LG_V_TENSOR)
        sl->outer = lg_node_as(s->E, x, sl->n_open, sl->open, x->t.rank, x->t.dim, at);
}

static void enter_slot(lg_scanning *s, lg_slot *sl) {
    if (!s->nest.g || !sl->outer)
        return;
    sl->inner = lg_g_input(s->nest.g, sl->outer->type[0], sl->outer->span);
    lg_node_pair p = {sl->outer, sl->inner};
    LG_PUSH(s->nest.first, p);
}

static lg_value *carried(lg_scanning *s, const lg_carry *c) {
    lg_value **leaf = LG_NEW_N(s->E->arena, lg_value *, c->n ? c->n : 1);
    for (int i = 0; i < c->n; i++)
        leaf[i] = slot_value(s, &s->slot.at[c->first + i]);
    return lg_v_rebuild(s->E, c->start, leaf);
}

/* The rounds come first in the arrays it runs over, before lanes. */
static void place_xs(lg_scanning *s) {
    lg_elab *E = s->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, s->xs, &leaf);
    s->xs_outer = LG_NEW_N(E->arena, lg_node *, n);
    s->xs_inner = LG_NEW_N(E->arena, lg_node *, n);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        lg_node *node = lg_import(E, x->t.node);
        int perm[LG_MAX_RANK], k = 1;
        perm[0] = x->t.n_open;
        for (int a = 0; a < node->type[0].rank; a++)
            if (a != x->t.n_open)
                perm[k++] = a;
        s->xs_outer[i] = x->t.n_open ? lg_g_permute(E->g, node, perm, x->at) : node;
    }
}

static lg_value *round_value(lg_scanning *s) {
    lg_elab *E = s->E;
    lg_span at = s->e->kid[2]->span;
    if (!s->xs) {
        lg_value *t = lg_v_tensor(E, LG_I64, 0, NULL, s->t, at);
        int64_t lo;
        if (!lg_v_static_int(E, s->lo, &lo) || lo)
            t = lg_binary(E, "+", t, s->lo, at);
        if (t->kind == LG_V_TENSOR)
            t->t.weak = true;
        return t;
    }
    lg_leaf *leaf;
    int n = lg_v_leaves(E, s->xs, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        if (s->nest.g) {
            lg_type t = s->xs_outer[i]->type[0];
            memmove(t.shape, t.shape + 1, sizeof *t.shape * (size_t)--t.rank);
            s->xs_inner[i] = lg_g_input(s->nest.g, t, x->at);
        }
        out[i] = lg_v_open(E, x->t.dtype, x->t.n_open, x->t.open, x->t.rank - 1, x->t.dim + 1,
                           s->nest.g ? s->xs_inner[i] : NULL, x->at);
        out[i]->t.bound = x->t.bound;
    }
    return lg_v_rebuild(E, s->xs, out);
}

/* For starts of hidden state that read the round's x: its first slice. */
static void first_slices(lg_scanning *s) {
    lg_graph *g = s->nest.g->parent;
    for (int i = 0; s->xs && i < s->n_xs; i++) {
        lg_type t = s->xs_inner[i]->type[0];
        int64_t at = s->rev ? s->xs_outer[i]->type[0].shape[0] - 1 : 0;
        lg_node *x = s->xs_outer[i]->type[0].shape[0]
                         ? lg_g_reshape(g, lg_g_slice(g, s->xs_outer[i], 0, at, 1, 1, s->e->span),
                                        t.rank, t.shape, s->e->span)
                         : lg_g_fill(g, t, 0, s->e->span);
        lg_node_pair p = {x, s->xs_inner[i]};
        LG_PUSH(s->nest.first, p);
    }
    lg_node_pair p = {lg_g_scalar(g, LG_I64, 0, s->e->span), s->t};
    LG_PUSH(s->nest.first, p);
}

/* ---- hidden state ---- */

static lg_hidden *hidden_of(lg_scanning *s, const char *path) {
    for (size_t i = 0; i < s->hidden.n; i++)
        if (!strcmp(s->hidden.at[i].path, path))
            return &s->hidden.at[i];
    return NULL;
}

static void recall_lanes(lg_scanning *s, const char *path, int leaf, lg_slot *sl) {
    for (size_t i = 0; i < s->lanes.n; i++)
        if (s->lanes.at[i].leaf == leaf && !strcmp(s->lanes.at[i].path, path)) {
            sl->n_open = s->lanes.at[i].n_open;
            sl->open = s->lanes.at[i].open;
        }
}

static lg_value *hidden_get(lg_store *st, lg_elab *E, const char *path, lg_value *init) {
    lg_scanning *s = st->ctx;
    lg_hidden *old = hidden_of(s, path);
    if (old)
        return old->now;
    if (!init)
        return NULL;
    lg_hidden h = {.path = path, .init = init, .now = init, .first = (int)s->slot.n};
    lg_leaf *leaf;
    h.n = lg_v_leaves(E, init, &leaf);
    if (s->nest.g) {
        if (!s->hidden.n)
            first_slices(s);
        lg_graph *g = E->g;
        lg_value **now = LG_NEW_N(E->arena, lg_value *, h.n ? h.n : 1);
        for (int i = 0; i < h.n; i++) {
            E->g = g;
            lg_value *x = lg_to_tensor(E, leaf[i].value, LG_NO_DTYPE, s->e->span);
            lg_slot sl = {.path = leaf[i].path, .n_open = x->t.n_open, .open = x->t.open};
            if (x->t.node->graph != s->nest.g) { /* of a branch, or from outside */
                lg_node *own =
                    x->t.node->op == &lg_op_const || x->t.node->graph == s->nest.g->parent
                        ? x->t.node
                        : NULL;
                E->g = s->nest.g->parent;
                sl.start = lg_v_copy(E, x);
                sl.start->t.node = own ? lg_import(E, own) : x->t.node;
            } else {
                sl.start = lg_nest_hoist(E, &s->nest, x);
                E->g = s->nest.g->parent;
            }
            recall_lanes(s, path, i, &sl);
            place_slot(s, &sl, s->e->span);
            enter_slot(s, &sl);
            sl.next = sl.inner;
            now[i] = slot_value(s, &sl);
            LG_PUSH(s->slot, sl);
        }
        E->g = g;
        h.now = lg_v_rebuild(E, init, now);
    }
    LG_PUSH(s->hidden, h);
    return h.now;
}

static void hidden_set(lg_store *st, lg_elab *E, const char *path, lg_value *next) {
    (void)E;
    lg_hidden *h = hidden_of(st->ctx, path);
    if (h)
        h->now = next;
}

/* ---- while ---- */

static bool mentions(const lg_ast *e, lg_sym name) {
    if (e->kind == LG_A_NAME && e->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && mentions(e->kid[i], name))
            return true;
    return false;
}

static bool mentions_pattern(const lg_ast *e, const lg_ast *p) {
    if (!p)
        return false;
    if (p->kind == LG_A_NAME)
        return mentions(e, p->name);
    for (uint32_t i = 0; p->kind == LG_A_RECPAT && i < p->n; i++)
        if (p->kid[i]->n && p->kid[i]->kid[0] ? mentions_pattern(e, p->kid[i]->kid[0])
                                              : mentions(e, p->kid[i]->name))
            return true;
    return false;
}

static lg_value *tested(lg_scanning *s, lg_frame *f) {
    lg_elab *E = s->E;
    lg_value *c = lg_expr_in(E, f, s->test);
    if (c->kind == LG_V_NUM && c->num.is_bool)
        c = lg_to_tensor(E, c, LG_BOOL, s->test->span);
    if (c->kind == LG_V_ERROR || c->kind == LG_V_OPAQUE)
        return NULL;
    if (c->kind != LG_V_TENSOR || c->t.dtype != LG_BOOL || c->t.rank) {
        lg_diag *d = lg_err(E, "E0206", s->test->span, "`while` wants one bool, got %s",
                            lg_v_type_text(E, c));
        if (c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL)
            lg_diag_help(d, "say `any(...)` or `all(...)`");
        return NULL;
    }
    return c;
}

static lg_frame *frame_with(lg_scanning *s, lg_value *const *value) {
    lg_frame *was = s->E->frame;
    s->E->frame = s->outside;
    lg_frame *f = lg_frame_new(s->E, LG_F_BLOCK, s->outside);
    s->E->frame = was;
    f->path_hash = lg_hash_mix(s->outside->path_hash, 0x7768696c65);
    for (size_t i = 0; i < s->carry.n; i++)
        lg_bind(s->E, f, s->carry.at[i].name, value[i], s->carry.at[i].at);
    return f;
}

static void widen(lg_scanning *s, lg_slot *sl, const lg_value *v) {
    lg_value *two[2] = {lg_v_open(s->E, LG_BOOL, sl->n_open, sl->open, 0, NULL, NULL, s->e->span),
                        NULL};
    lg_value copy = *v;
    two[1] = &copy;
    lg_index **open;
    int n = lg_open_union(s->E, 2, two, &open);
    s->grown = s->grown || n != sl->n_open;
    sl->n_open = n;
    sl->open = open;
}

/* Before the first round, in the graph outside. */
static bool begin_while(lg_scanning *s) {
    lg_elab *E = s->E;
    if (!s->test)
        return true;
    lg_value *c = lg_to_tensor(E, lg_v_bool(E, true, s->test->span), LG_BOOL, s->test->span);
    if (!s->test_inside) {
        lg_value **start = LG_NEW_N(E->arena, lg_value *, s->carry.n + 1);
        for (size_t i = 0; i < s->carry.n; i++)
            start[i] = s->carry.at[i].start;
        c = tested(s, frame_with(s, start));
        if (!c)
            return false;
        widen(s, &s->live, c);
    }
    s->live.start = c;
    s->rounds.start = lg_to_tensor(E, lg_v_int(E, 0, s->test->span), LG_I64, s->test->span);
    s->rounds.n_open = s->live.n_open;
    s->rounds.open = s->live.open;
    place_slot(s, &s->live, s->test->span);
    place_slot(s, &s->rounds, s->test->span);
    return true;
}

/* ---- the body ---- */

static lg_value *draw_lane(lg_scanning *s) {
    lg_elab *E = s->E;
    lg_value *t = lg_v_tensor(E, LG_I64, 0, NULL, s->t, s->e->span);
    return lg_draw_lane(E, E->draw_lane, t, s->e->span);
}

static void run_body(lg_scanning *s) {
    lg_elab *E = s->E;
    lg_span at = s->e->span;
    if (s->nest.g)
        s->t = lg_g_input(s->nest.g, lg_type_make(LG_I64, 0, NULL), at);
    E->draw_lane = draw_lane(s);
    s->body->names = NULL;
    s->body->rand_count = s->body->call_count = 0;
    s->body->scoped = false;
    E->frame = s->body;
    for (size_t i = 0; i < s->carry.n; i++)
        lg_bind(E, s->body, s->carry.at[i].name, carried(s, &s->carry.at[i]), s->carry.at[i].at);
    lg_value *x = round_value(s);
    if (s->e->kid[1])
        lg_bind_pattern(E, s->body, s->e->kid[1], x, false);
    if (s->test) {
        s->live_in = slot_value(s, &s->live);
        if (s->test_inside) {
            lg_value *c = tested(s, s->body);
            s->failed = s->failed || !c;
            if (c)
                s->live_in = lg_binary(E, "and", s->live_in, c, s->test->span);
            if (c && s->live_in->kind == LG_V_TENSOR)
                widen(s, &s->live, s->live_in);
        }
        if (lg_scan_has_lanes(s))
            E->guard = s->live_in;
    }
    s->yields = (lg_yields){0};
    s->body->ext = &s->yields;
    lg_block(E, s->body, s->e->kid[4]);
}

static void refuse_next(lg_scanning *s, const lg_carry *c, const lg_value *v) {
    lg_diag *d =
        lg_err(s->E, "E0427", v->at.file ? v->at : c->at, "`%s` starts as %s and would become %s",
               c->name, lg_v_type_text(s->E, c->start), lg_v_type_text(s->E, v));
    lg_diag_label(d, c->at, "a carry has the type of its start");
    if (c->start->kind == LG_V_NUM && c->start->num.is_int)
        lg_diag_help(d, "start it with a real number: `%s = %lld.0`", c->name,
                     (long long)c->start->num.i);
    else if (v->kind == LG_V_TENSOR && c->start->kind == LG_V_TENSOR && !c->start->t.rank)
        lg_diag_help(d, "start it with zeros of the type it will have, as in `zeros(like=...)`");
    s->failed = true;
}

/* The next value of one leaf, as the carry's type; in the body's graph. */
static lg_value *next_leaf(lg_scanning *s, const lg_carry *c, lg_slot *sl, lg_value *v) {
    lg_elab *E = s->E;
    lg_value *start = sl->start;
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE || start->kind == LG_V_OPAQUE)
        return NULL;
    lg_joined t;
    E->diags->muted++;
    bool ok = lg_is_plain(v) && lg_join(E, start, v, &t, c->at);
    E->diags->muted--;
    bool weak_real = ok && start->t.weak && lg_dtype_is_float(start->t.dtype);
    ok = ok && t.rank == start->t.rank && (v->kind == LG_V_NUM || v->t.rank == start->t.rank);
    if (ok &&
        t.dtype != start->t.dtype) /* the carry follows what it meets only where nothing is lost */
        ok = weak_real || (start->t.weak && !lg_dtype_is_float(t.dtype));
    if (!ok) {
        refuse_next(s, c, v);
        return NULL;
    }
    lg_value *x = lg_to_tensor(E, v, start->t.dtype, c->at);
    if (x->t.dtype != start->t.dtype)
        x = lg_cast(E, x, start->t.dtype, c->at);
    if (lg_scan_has_lanes(s) && s->live_in)
        x = lg_select(E, s->live_in, x, slot_value(s, sl), c->at);
    if (x->kind != LG_V_TENSOR) {
        s->failed = true;
        return NULL;
    }
    widen(s, sl, x);
    return x;
}

static void finish_slot(lg_scanning *s, lg_slot *sl, lg_value *x, lg_span at) {
    if (s->nest.g && x && !s->grown)
        sl->next =
            lg_node_as(s->E, x, sl->n_open, sl->open, sl->start->t.rank, sl->start->t.dim, at);
}

static lg_value *next_of(lg_scanning *s, const lg_carry *c) {
    lg_binding *b = lg_find_local(s->body, c->name, true);
    lg_value *v =
        b ? lg_force(s->E, s->body, b, b->at) : lg_find_local(s->body, c->name, false)->value;
    v = lg_schedule_now(s->E, lg_arrays_within(s->E, v, c->at));
    return v->kind == LG_V_MODEL ? lg_model_record(s->E, v) : v;
}

static void finish_carry(lg_scanning *s, const lg_carry *c) {
    lg_elab *E = s->E;
    lg_value *v = next_of(s, c);
    lg_leaf *leaf;
    if (v->kind == LG_V_ERROR) {
        s->failed = true;
        return;
    }
    int n = lg_v_leaves(E, v, &leaf);
    bool same = n == c->n;
    for (int i = 0; same && i < n; i++)
        same = !strcmp(leaf[i].path, s->slot.at[c->first + i].path);
    if (!same) {
        refuse_next(s, c, v);
        return;
    }
    for (int i = 0; i < n; i++) {
        lg_value *x = next_leaf(s, c, &s->slot.at[c->first + i], leaf[i].value);
        finish_slot(s, &s->slot.at[c->first + i], x, c->at);
    }
}

static void finish_hidden(lg_scanning *s) {
    lg_elab *E = s->E;
    for (size_t h = 0; s->nest.g && h < s->hidden.n; h++) {
        lg_leaf *leaf;
        int n = lg_v_leaves(E, s->hidden.at[h].now, &leaf);
        for (int i = 0; i < n && i < s->hidden.at[h].n; i++) {
            lg_slot *sl = &s->slot.at[s->hidden.at[h].first + i];
            lg_value *x = lg_to_tensor(E, leaf[i].value, sl->start->t.dtype, s->e->span);
            if (x->t.dtype != sl->start->t.dtype)
                x = lg_cast(E, x, sl->start->t.dtype, s->e->span);
            if (lg_scan_has_lanes(s))
                x = lg_select(E, s->live_in, x, slot_value(s, sl), s->e->span);
            int before = sl->n_open;
            if (x->kind == LG_V_TENSOR)
                widen(s, sl, x);
            if (sl->n_open != before) {
                lg_hidden_lanes known = {s->hidden.at[h].path, i, sl->n_open, sl->open};
                LG_PUSH(s->lanes, known);
            }
            finish_slot(s, sl, x, s->e->span);
        }
    }
}

static void finish_while(lg_scanning *s) {
    lg_elab *E = s->E;
    if (!s->test || s->failed)
        return;
    lg_span at = s->test->span;
    lg_value *one = lg_cast(E, s->live_in, LG_I64, at), *next = s->live_in;
    if (!s->test_inside) {
        lg_value **v = LG_NEW_N(E->arena, lg_value *, s->carry.n + 1);
        for (size_t i = 0; i < s->carry.n; i++) {
            const lg_carry *c = &s->carry.at[i];
            lg_value **leaf = LG_NEW_N(E->arena, lg_value *, c->n ? c->n : 1);
            for (int k = 0; k < c->n; k++) {
                lg_slot *sl = &s->slot.at[c->first + k];
                leaf[k] = slot_value(s, sl);
                if (leaf[k]->kind == LG_V_TENSOR)
                    leaf[k]->t.node = sl->next;
            }
            v[i] = lg_v_rebuild(E, c->start, leaf);
        }
        if (s->nest.g && s->grown)
            return;
        lg_value *c = tested(s, frame_with(s, v));
        if (!c) {
            s->failed = true;
            return;
        }
        next = lg_binary(E, "and", s->live_in, c, at);
    }
    widen(s, &s->live, next);
    if (s->nest.g && s->grown) /* the counter of this attempt has too few lanes */
        return;
    s->rounds.n_open = s->live.n_open;
    s->rounds.open = s->live.open;
    lg_value *count = lg_binary(E, "+", slot_value(s, &s->rounds), one, at);
    finish_slot(s, &s->live, next, at);
    finish_slot(s, &s->rounds, count, at);
}

/* ---- the node ---- */

typedef struct {
    LG_VEC(lg_node *) in, outer;
} ports;

static void port(ports *p, lg_node *outer, lg_node *inner) {
    LG_PUSH(p->in, inner);
    if (outer)
        LG_PUSH(p->outer, outer);
}

/* Slots of the body in the order that a scan has them. */
static void renumber(lg_graph *g, const ports *p) {
    assert(p->in.n == g->input.n);
    for (size_t i = 0; i < p->in.n; i++) {
        g->input.at[i] = p->in.at[i];
        p->in.at[i]->attr.slot = (int)i;
    }
}

static lg_node *make_node(lg_scanning *s, lg_value *all) {
    lg_elab *E = s->E;
    lg_graph *g = s->nest.g;
    ports p = {0};
    lg_scan_attr a = {.body = g, .rev = s->rev, .stop = -1, .n_xs = s->n_xs};
    for (size_t i = 0; i < s->slot.n; i++) {
        port(&p, s->slot.at[i].outer, s->slot.at[i].inner);
        lg_g_output(g, s->slot.at[i].next, -1, NULL);
        a.n_carry++;
    }
    if (s->test) {
        a.stop = a.n_carry;
        a.n_carry += 2;
        port(&p, s->live.outer, s->live.inner);
        port(&p, s->rounds.outer, s->rounds.inner);
        lg_g_output(g, s->live.next, -1, NULL);
        lg_g_output(g, s->rounds.next, -1, NULL);
    }
    for (int i = 0; s->xs && i < s->n_xs; i++)
        port(&p, s->xs_outer[i], s->xs_inner[i]);
    port(&p, NULL, s->t);
    lg_leaf *leaf;
    a.n_yield = lg_v_leaves(E, all, &leaf);
    lg_graph *was = E->g;
    E->g = g;
    for (int i = 0; i < a.n_yield; i++)
        lg_g_output(g, lg_import(E, leaf[i].value->t.node), -1, NULL);
    E->g = was;
    a.n_const = (int)s->nest.pair.n;
    for (size_t i = 0; i < s->nest.pair.n; i++)
        port(&p, s->nest.pair.at[i].outer, s->nest.pair.at[i].inner);
    renumber(g, &p);
    a.trip = lg_dim_size(E, s->trip, s->e->span);
    lg_node *node = lg_g_scan(E->g, &a, (int)p.outer.n, p.outer.at, s->e->span);
    lg_free(p.in.at);
    lg_free(p.outer.at);
    return node;
}

/* Carries at the end and yields, joined; the value itself where there is only one. */
static lg_value *result(lg_scanning *s, lg_node *node, lg_value *all) {
    lg_elab *E = s->E;
    lg_value *r = lg_v_record(E, 0, s->e->span);
    int k = 0;
    for (size_t i = 0; i < s->carry.n; i++) {
        const lg_carry *c = &s->carry.at[i];
        lg_value **leaf = LG_NEW_N(E->arena, lg_value *, c->n ? c->n : 1);
        for (int j = 0; j < c->n; j++, k++) {
            leaf[j] = slot_value(s, &s->slot.at[c->first + j]);
            if (leaf[j]->kind == LG_V_TENSOR)
                leaf[j]->t.node = node ? lg_g_item(E->g, node, k) : NULL;
        }
        lg_v_set_field(E, r, c->name, lg_v_rebuild(E, c->start, leaf));
    }
    int n_carry = (int)s->slot.n + (s->test ? 2 : 0);
    lg_value *rounds = lg_v_dim(E, s->trip, s->e->span);
    if (s->test) {
        rounds = slot_value(s, &s->rounds);
        rounds->t.node = node ? lg_g_item(E->g, node, (int)s->slot.n + 1) : NULL;
    }
    lg_leaf *leaf;
    int n = lg_v_leaves(E, all, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++)
        out[i] =
            lg_scan_stacked(s, leaf[i].value, node ? lg_g_item(E->g, node, n_carry + i) : NULL);
    all = lg_v_rebuild(E, all, out);
    lg_scan_give_probed(s, all);
    lg_value *yields = all->list.at[0];
    bool none = yields->kind == LG_V_RECORD && !yields->rec.n;
    lg_value *v = lg_loop_joined(E, r, none ? NULL : yields);
    v = lg_v_copy(E, v);
    v->at = s->e->span;
    v->rounds = rounds;
    return v;
}

/* ---- the whole ---- */

/* One elaboration of the body; again when lanes came to light that a carry did not have before. */
static lg_value *attempt(lg_scanning *s) {
    lg_elab *E = s->E;
    s->nest.pair.n = s->nest.first.n = s->hidden.n = 0;
    s->slot.n = s->n_user;
    s->grown = false;
    lg_graph *g = LG_CHECKING(E) ? NULL : lg_graph_new(E->g);
    lg_probe_forget(E, s->probed);
    s->nest.g = g;
    if (!begin_while(s)) {
        s->failed = true;
        return NULL;
    }
    s->grown = false;
    for (size_t i = 0; i < s->slot.n; i++)
        place_slot(s, &s->slot.at[i], s->carry.n ? s->carry.at[0].at : s->e->span);
    if (g && s->xs)
        place_xs(s);
    for (size_t i = 0; i < s->slot.n; i++)
        enter_slot(s, &s->slot.at[i]);
    if (s->test) {
        enter_slot(s, &s->live);
        enter_slot(s, &s->rounds);
    }
    lg_outside o = lg_nest_enter(E, &s->nest, g);
    s->store = (lg_store){.get = hidden_get, .set = hidden_set, .ctx = s};
    E->store = &s->store;
    E->states = NULL;
    run_body(s);
    for (size_t i = 0; !s->failed && i < s->carry.n; i++)
        finish_carry(s, &s->carry.at[i]);
    if (!s->failed)
        finish_hidden(s);
    finish_while(s);
    lg_value *yields = s->failed ? NULL : lg_scan_yields(s);
    for (lg_binding *b = s->body->names; b && !s->failed; b = b->next)
        if (b->prime && !lg_find_local(s->body, b->name, false)) {
            lg_diag *d = lg_err(E, "E0422", b->at, "`%s` is not carried by this scan", b->name);
            lg_diag_help(d, "add it to the carries: `scan (%s = ...)`", b->name);
            s->failed = true;
        }
    lg_value *all = s->failed ? NULL : lg_scan_probed(s, yields);
    lg_nest_leave(E, &o);
    return all;
}

static bool unset(lg_scanning *s) {
    for (size_t i = 0; s->nest.g && i < s->slot.n; i++)
        if (!s->slot.at[i].next || !s->slot.at[i].inner)
            return true;
    return s->nest.g && s->test && (!s->live.next || !s->rounds.next);
}

lg_value *lg_scan(lg_elab *E, const lg_ast *e) {
    if (e->flags & LG_AF_STATIC)
        return lg_scan_static(E, e);
    lg_scanning s = {.E = E, .e = e, .outside = E->frame, .probed = lg_probe_mark(E)};
    bool ok = lg_scan_over(&s);
    for (uint32_t i = 0; e->kid[0] && i < e->kid[0]->n; i++)
        ok = lg_scan_carry(&s, e->kid[0]->kid[i]) && ok;
    s.n_user = s.slot.n;
    s.test = e->kid[3];
    s.test_inside = s.test && mentions_pattern(s.test, e->kid[1]);
    s.body = lg_inner_frame(E, LG_F_SCAN, E->frame);
    lg_value *r = lg_v_error(E, e->span), *all = NULL;
    for (int round = 0; ok && round < LG_MAX_RANK && !s.failed; round++) {
        all = attempt(&s);
        if (!s.grown || s.failed)
            break;
    }
    if (ok && !s.failed && !s.grown && !unset(&s)) {
        bool typed = s.nest.g != NULL;
        lg_node *node = typed ? make_node(&s, all) : NULL;
        r = result(&s, node, all);
    }
    lg_free(s.nest.pair.at);
    lg_free(s.nest.first.at);
    lg_free(s.carry.at);
    lg_free(s.slot.at);
    lg_free(s.hidden.at);
    lg_free(s.lanes.at);
    return r;
}
