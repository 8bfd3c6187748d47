/* unroll.c: loops that are unrolled: `static for` over lists, records, selectors, ranges and arrays
 * of known length, alone or with carries, which may change their type from round to round. Also
 * what all loops yield. Not for loops in the graph (scan.c). */
#include "compiler/mid/model.h"
#include "compiler/mid/scan.h"
#include <string.h>

/* ---- yields ---- */

void lg_scan_yield(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_yields *y = f->kind == LG_F_SCAN ? f->ext : NULL;
    lg_value *v = lg_expr(E, s->kid[0]);
    if (!y) {
        lg_diag *d = lg_err(E, "E0442", s->span, "`yield` stands in the body of a loop");
        if (f->kind == LG_F_BLOCK)
            lg_diag_help(d, "every round yields: choose the value with `if`, outside of `when`");
        return;
    }
    y->at = s->span;
    if (v->kind == LG_V_RECORD) {
        for (int i = 0; y->record && i < v->rec.n; i++)
            if (lg_v_field(y->record, v->rec.f[i].name))
                lg_err(E, "E0304", s->span, "`%s` is yielded twice", v->rec.f[i].name);
        y->record = y->record ? lg_merge(E, y->record, v) : v;
        return;
    }
    if (y->one) {
        lg_diag *d = lg_err(E, "E0442", s->span, "two yields without names");
        lg_diag_help(d, "yield a record: `yield {a, b}`");
        return;
    }
    y->one = v;
    y->name = s->kid[0]->kind == LG_A_NAME ? s->kid[0]->name : NULL;
}

lg_value *lg_yields_value(lg_elab *E, lg_yields *y, bool carries) {
    if (!y->one)
        return y->record;
    if (!carries && !y->record)
        return y->one;
    if (!y->name) {
        lg_diag *d = lg_err(E, "E0442", y->at, "this yield joins others and needs a name");
        lg_diag_help(d, "yield a record: `yield {name: ...}`");
        return NULL;
    }
    lg_value *r = lg_v_record(E, 0, y->at);
    lg_v_set_field(E, r, y->name, y->one);
    return y->record ? lg_merge(E, y->record, r) : r;
}

lg_value *lg_loop_joined(lg_elab *E, lg_value *carries, lg_value *yields) {
    if (!yields)
        return carries->rec.n == 1 ? carries->rec.f[0].value : carries;
    if (!carries->rec.n)
        return yields;
    for (int i = 0; i < yields->rec.n; i++)
        if (lg_v_field(carries, yields->rec.f[i].name)) {
            lg_diag *d = lg_err(E, "E0304", yields->at, "`%s` is both carried and yielded",
                                yields->rec.f[i].name);
            lg_diag_help(d, "yield it under another name: `yield {before: %s}`",
                         yields->rec.f[i].name);
            return lg_v_error(E, yields->at);
        }
    return lg_merge(E, carries, yields);
}

/* ---- items ---- */

static lg_value *described(lg_elab *E, const lg_ast *pattern, lg_value *path, lg_value *value,
                           int64_t i, lg_span at) {
    if (!pattern || pattern->kind != LG_A_RECPAT)
        return path;
    lg_value *r = lg_v_record(E, 0, at);
    lg_v_set_field(E, r, lg_intern("name"), path);
    lg_v_set_field(E, r, lg_intern("value"), value);
    lg_v_set_field(E, r, lg_intern("index"), lg_v_int(E, i, at));
    return r;
}

static int leaf_items(lg_elab *E, lg_value *v, const lg_ast *pattern, lg_value ***item,
                      const char ***path, lg_span at) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    *item = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    *path = LG_NEW_N(E->arena, const char *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        (*path)[i] = leaf[i].path;
        (*item)[i] = described(E, pattern, lg_v_str(E, leaf[i].path, at), leaf[i].value, i, at);
    }
    return n;
}

/* What a selector that begins with names in view stands for: a record by whole path. */
static lg_value *selected(lg_elab *E, const char *selector, lg_span at) {
    lg_value *roots = lg_v_record(E, 0, at);
    for (const char *p = selector; *p;) {
        p += strspn(p, " ,");
        size_t n = strcspn(p, ".[, ");
        lg_sym name = lg_intern_n(p, n);
        lg_value *v = n ? lg_lookup(E, E->frame, name, at) : NULL;
        if (!v) {
            lg_err(E, "E0301", at, "nothing here is called `%s`", name);
            return lg_v_error(E, at);
        }
        lg_v_set_field(E, roots, name, v->kind == LG_V_MODEL ? lg_model_record(E, v) : v);
        p += strcspn(p, ",");
    }
    return lg_select_paths(E, roots, selector, at);
}

/* A value of the graph: no plan will know it. */
static bool comes_too_late(const lg_value *v) {
    return v->kind == LG_V_TENSOR && !v->t.host;
}

static int range_items(lg_elab *E, lg_value *r, lg_value ***item, lg_span at) {
    int64_t lo, hi;
    if (!lg_v_static_int(E, r->range.lo, &lo) || !lg_v_static_int(E, r->range.hi, &hi)) {
        if (!LG_CHECKING(E) || comes_too_late(r->range.lo) || comes_too_late(r->range.hi)) {
            lg_err(E, "E0212", at,
                   "a static loop runs over bounds that are known when the plan is made");
            return -1;
        }
        (*item)[0] = lg_v_unknown(E, true, false, at); /* one round stands for all */
        return 1;
    }
    int64_t n = hi > lo ? hi - lo : 0;
    if (n > 1 << 20) {
        lg_err(E, "E0212", at, "a static loop of %lld rounds is too long: use `scan`",
               (long long)n);
        return -1;
    }
    *item = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int64_t i = 0; i < n; i++)
        (*item)[i] = lg_v_int(E, lo + i, at);
    return (int)n;
}

static int row_items(lg_elab *E, lg_value *x, lg_value ***item, lg_span at) {
    int64_t n;
    bool known = lg_dim_value(x->t.dim[0], &n);
    if (!known && !LG_CHECKING(E)) {
        lg_dim_size(E, x->t.dim[0], at);
        return -1;
    }
    if (!known)
        n = 1;
    *item = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int64_t i = 0; i < n; i++) {
        lg_node *node = NULL;
        if (!LG_CHECKING(E)) {
            node = lg_g_slice(E->g, lg_import(E, x->t.node), x->t.n_open, i, 1, 1, at);
            lg_type t = node->type[0];
            for (int a = x->t.n_open; a + 1 < t.rank; a++)
                t.shape[a] = t.shape[a + 1];
            node = lg_g_reshape(E->g, node, t.rank - 1, t.shape, at);
        }
        (*item)[i] =
            lg_v_open(E, x->t.dtype, x->t.n_open, x->t.open, x->t.rank - 1, x->t.dim + 1, node, at);
        (*item)[i]->t.bound = x->t.bound;
    }
    return (int)n;
}

int lg_loop_items(lg_elab *E, lg_value *over, const lg_ast *pattern, lg_value ***item,
                  const char ***path, lg_span at) {
    *path = NULL;
    *item = LG_NEW(E->arena, lg_value *);
    switch (over->kind) {
    case LG_V_ERROR:
        (*item)[0] = over;
        return LG_CHECKING(E) ? 1 : -1;
    case LG_V_OPAQUE:
        (*item)[0] = lg_v_error(E, at);
        return 1;
    case LG_V_LIST:
        *item = over->list.at;
        return over->list.n;
    case LG_V_RANGE:
        return range_items(E, over, item, at);
    case LG_V_RECORD:
    case LG_V_MODEL:
        return leaf_items(E, over, pattern, item, path, at);
    case LG_V_SELECTOR: {
        lg_value *r = selected(E, over->str, at);
        return r->kind == LG_V_ERROR ? -1 : leaf_items(E, r, pattern, item, path, at);
    }
    case LG_V_TENSOR:
        if (over->t.rank)
            return row_items(E, over, item, at);
        break;
    default:
        break;
    }
    lg_err(E, "E0208", at,
           "a static loop runs over a list, a range, a record, a selector or an array, got %s",
           lg_v_type_text(E, over));
    return -1;
}

/* ---- results ---- */

lg_value *lg_loop_collected(lg_elab *E, lg_value *over, int n, lg_value *const *v,
                            const char *const *path, lg_span at) {
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    if (path) {
        lg_value *like = over->kind == LG_V_SELECTOR ? selected(E, over->str, at) : over;
        return like->kind == LG_V_ERROR ? like : lg_v_rebuild(E, like, v);
    }
    return n ? lg_stack(E, n, v, at) : lg_v_list(E, 0, at);
}

/* Draws: all rounds stand at one place, and their number tells them apart. */
typedef struct {
    uint64_t place;
    lg_value *lane; /* of the loop itself */
} rounds_at;

static rounds_at before_rounds(lg_elab *E, lg_frame *f) {
    return (rounds_at){lg_next_place(f), E->draw_lane};
}

static lg_frame *round_frame(lg_elab *E, lg_frame *f, const rounds_at *at, int i,
                             const lg_ast *pattern, lg_value *item, lg_yields *y) {
    lg_frame *b = lg_frame_new(E, LG_F_SCAN, f);
    b->decl = f->decl;
    b->call_at = f->call_at;
    b->path_hash = at->place;
    E->draw_lane = lg_draw_lane(E, at->lane, lg_v_int(E, i, f->call_at), f->call_at);
    b->ext = y;
    *y = (lg_yields){0};
    if (pattern)
        lg_bind_pattern(E, b, pattern, item, false);
    return b;
}

/* What a static loop runs over, and its items in the order of the rounds. */
typedef struct {
    lg_value *over, **item;
    const char **path;
    int n;
    bool rev;
} static_rounds;

static static_rounds rounds_of(lg_elab *E, const lg_ast *e, const lg_ast *pattern) {
    const lg_ast *from_its_end = lg_rev_of(E, e);
    static_rounds r = {.rev = from_its_end != NULL};
    r.over = lg_expr(E, r.rev ? from_its_end : e);
    r.n = lg_loop_items(E, r.over, pattern, &r.item, &r.path, e->span);
    return r;
}

static lg_value *item_of(const static_rounds *r, int round) {
    return r->item[r->rev ? r->n - 1 - round : round];
}

/* Values of n rounds by their index. */
static void by_index(const static_rounds *r, size_t n, lg_value **v) {
    for (size_t i = 0; r->rev && i < n / 2; i++) {
        lg_value *t = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = t;
    }
}

lg_value *lg_for(lg_elab *E, const lg_ast *e) {
    if (!(e->flags & LG_AF_STATIC)) {
        lg_diag *d = lg_err(E, "E0442", e->span, "there is no plain `for` in graph code");
        lg_diag_help(d, "write `let y[i] = ...` for all at once, `scan` for one after the other, "
                        "`static for` over a list");
        return lg_v_error(E, e->span);
    }
    static_rounds r = rounds_of(E, e->kid[1], e->kid[0]);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, r.n > 0 ? r.n : 1);
    rounds_at at = before_rounds(E, E->frame);
    for (int i = 0; i < r.n; i++) {
        lg_yields y;
        lg_frame *f = round_frame(E, E->frame, &at, i, e->kid[0], item_of(&r, i), &y);
        lg_value *v = lg_block(E, f, e->kid[2]);
        lg_value *given = lg_yields_value(E, &y, false);
        E->draw_lane = at.lane;
        out[i] = given ? given : v;
        if (out[i]->kind == LG_V_NONE) {
            lg_err(E, "E0219", e->span, "this loop has no value: its body yields nothing");
            return lg_v_error(E, e->span);
        }
    }
    by_index(&r, (size_t)(r.n > 0 ? r.n : 0), out);
    return r.n < 0 ? lg_v_error(E, e->span)
                   : lg_loop_collected(E, r.over, r.n, out, r.path, e->span);
}

/* ---- static scans ---- */

typedef struct {
    LG_VEC(lg_field) now;
    LG_VEC(lg_value *) yield;
} unrolling;

/* False: `while` ends the loop here. */
static bool goes_on(lg_elab *E, lg_frame *f, const lg_ast *test, bool *ok) {
    bool yes;
    if (!test)
        return true;
    lg_value *c = lg_expr_in(E, f, test);
    if (lg_v_static_bool(E, c, &yes))
        return yes;
    if (c->kind != LG_V_ERROR && (!LG_CHECKING(E) || comes_too_late(c))) {
        lg_err(E, "E0212", test->span,
               "`while` of a static loop must be known when the plan is made");
        *ok = false;
    }
    return LG_CHECKING(E);
}

static bool one_round(lg_elab *E, const lg_ast *e, const rounds_at *at, int round, unrolling *u,
                      lg_value *item, bool *ok) {
    lg_yields y;
    lg_frame *f = round_frame(E, E->frame, at, round, e->kid[1], item, &y);
    for (size_t i = 0; i < u->now.n; i++)
        lg_bind(E, f, u->now.at[i].name, u->now.at[i].value, u->now.at[i].at);
    if (!goes_on(E, f, e->kid[3], ok))
        return false;
    lg_block(E, f, e->kid[4]);
    for (lg_binding *b = f->names; b; b = b->next) {
        bool is_carry = !b->prime;
        for (size_t i = 0; i < u->now.n; i++)
            is_carry = is_carry || u->now.at[i].name == b->name;
        if (!is_carry) {
            lg_err(E, "E0422", b->at, "`%s` is not carried by this scan", b->name);
            *ok = false;
        }
    }
    for (size_t i = 0; i < u->now.n; i++) {
        lg_binding *b = lg_find_local(f, u->now.at[i].name, true);
        if (b)
            u->now.at[i].value = lg_force(E, f, b, b->at);
        *ok = *ok && u->now.at[i].value->kind != LG_V_ERROR;
    }
    lg_value *v = lg_yields_value(E, &y, u->now.n > 0);
    if (v)
        LG_PUSH(u->yield, v);
    return true;
}

lg_value *lg_scan_static(lg_elab *E, const lg_ast *e) {
    unrolling u = {0};
    bool ok = true;
    for (uint32_t i = 0; e->kid[0] && i < e->kid[0]->n; i++) {
        const lg_ast *k = e->kid[0]->kid[i];
        lg_field c = {k->name, lg_expr(E, k->kid[0]), k->span};
        ok = ok && c.value->kind != LG_V_ERROR;
        LG_PUSH(u.now, c);
    }
    static_rounds of = rounds_of(E, e->kid[2], e->kid[1]);
    int n = of.n, rounds = 0;
    lg_store *was = E->store; /* optimizers begin with the loop, as in loops of the graph */
    E->store = lg_store_local(E);
    rounds_at at = before_rounds(E, E->frame);
    for (; ok && rounds < n; rounds++)
        if (!one_round(E, e, &at, rounds, &u, item_of(&of, rounds), &ok))
            break;
    E->draw_lane = at.lane;
    E->store = was;
    lg_value *r = lg_v_error(E, e->span);
    if (ok && n >= 0) {
        lg_value *carries = lg_v_record(E, 0, e->span), *all = NULL;
        for (size_t i = 0; i < u.now.n; i++)
            lg_v_set_field(E, carries, u.now.at[i].name, u.now.at[i].value);
        by_index(&of, u.yield.n, u.yield.at);
        if (u.yield.n)
            all = lg_loop_collected(E, of.over, (int)u.yield.n, u.yield.at,
                                    rounds == n ? of.path : NULL, e->span);
        r = all && all->kind == LG_V_ERROR ? all : lg_v_copy(E, lg_loop_joined(E, carries, all));
        r->at = e->span;
        r->rounds = lg_v_int(E, rounds, e->span);
    }
    lg_free(u.now.at);
    lg_free(u.yield.at);
    return r;
}
