/* interp.c: host code, statement by statement. Each expression is elaborated into a graph of its
 * own and evaluated at once; results are constants. In check mode the same walk runs with unknown
 * values. Not for effects (effect.c), data (data.c) and training (train.c). */
#include "compiler/host/inside.h"
#include "runtime/rng.h"
#include <stdio.h>
#include <string.h>

/* ---- expressions ---- */

static lg_value *loop(lg_elab *E, lg_frame *f, const lg_ast *s, bool collects);

typedef lg_value *(*host_fn)(lg_elab *E, lg_frame *f, const void *what);

/* The number of the round of the loops around f. */
static lg_value *host_lane(const lg_frame *f) {
    while (f && f->kind == LG_F_HOST && !f->draw_lane)
        f = f->up;
    return f && f->kind == LG_F_HOST ? f->draw_lane : NULL;
}

static lg_value *fresh(lg_elab *E, lg_frame *f, host_fn fn, const void *what) {
    lg_host *H = lg_host_of(E);
    if (!H->keep) { /* check mode */
        lg_context c = lg_host_enter(E, NULL, true);
        lg_value *v = lg_host_known(E, fn(E, f, what));
        lg_host_leave(E, &c);
        return v;
    }
    size_t errors = E->diags->errors;
    lg_graph *g = lg_graph_new(NULL);
    lg_context c = lg_host_enter(E, g, true);
    if (!E->step)
        E->step = &H->step;
    E->draw_lane = host_lane(f);
    lg_value *v = fn(E, f, what);
    bool stays = true;
    if (E->diags->errors == errors)
        v = lg_host_settle_now(E, v, true, &stays);
    else
        v = lg_v_error(E, v->at);
    lg_host_leave(E, &c);
    if (!stays)
        lg_graph_free(g);
    return v;
}

static lg_value *plain(lg_elab *E, lg_frame *f, const void *what) {
    return lg_expr_in(E, f, what);
}

lg_value *lg_host_expr(lg_elab *E, lg_frame *f, const lg_ast *e) {
    if (e->kind == LG_A_FOR)
        return loop(E, f, e, true);
    return fresh(E, f, plain, e);
}

static lg_value *indexed(lg_elab *E, lg_frame *f, const void *what) {
    const lg_ast *s = what;
    lg_frame *was = E->frame;
    E->frame = f;
    lg_value *v = lg_index_define(E, s->kid[0], s->kid[1], NULL);
    E->frame = was;
    return v;
}

static lg_value *part(lg_elab *E, lg_frame *f, const void *what) {
    return lg_host_part(E, f, what);
}

static lg_value *declared(lg_elab *E, lg_frame *f, const void *what) {
    const lg_ast *s = what;
    if (!s->kid[LG_D_VALUE]) {
        lg_err(E, "E0428", s->span, "%s `%s` has no first value", s->text, s->name);
        return lg_v_error(E, s->span);
    }
    return lg_initial_held(E, f, s);
}

/* ---- statements ---- */

static void define(lg_elab *E, lg_frame *f, lg_sym name, lg_value *v, lg_span at) {
    lg_binding *b = lg_find_local(f, name, false);
    if (b && b->state != LG_B_VALUE) {
        b->value = v;
        b->state = LG_B_VALUE;
    } else {
        lg_bind(E, f, name, v, at);
    }
}

static void let(lg_elab *E, lg_frame *f, const lg_ast *s) {
    const lg_ast *p = s->kid[0];
    if (p->kind == LG_A_INDEXPAT) {
        define(E, f, p->name, fresh(E, f, indexed, s), p->span);
        return;
    }
    lg_value *v = lg_host_expr(E, f, s->kid[1]);
    if (v->kind == LG_V_NONE) {
        lg_err(E, "E0219", s->kid[1]->span, "this has no value");
        v = lg_v_error(E, s->span);
    }
    if (p->kind == LG_A_NAME) {
        if (strcmp(p->name, "_") != 0)
            define(E, f, p->name, v, p->span);
        return;
    }
    if (v->kind == LG_V_DATA)
        v = lg_host_known(E, lg_data_whole(E, v->ptr, -1, v->at));
    lg_frame *was = E->frame;
    E->frame = f;
    lg_bind_pattern(E, f, p, v, false);
    E->frame = was;
}

static void when(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *c = lg_host_expr(E, f, s->kid[0]);
    bool yes;
    if (c->kind == LG_V_ERROR)
        return;
    if (lg_v_static_bool(E, c, &yes)) {
        const lg_ast *b = yes ? s->kid[1] : s->kid[2];
        if (b && b->kind == LG_A_WHEN)
            when(E, f, b);
        else if (b)
            lg_host_block(E, lg_frame_new(E, LG_F_HOST, f), b);
        return;
    }
    bool is_bool = c->kind == LG_V_NUM
                       ? c->num.is_bool
                       : c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL && !c->t.rank;
    if (!is_bool) {
        lg_err(E, "E0206", s->kid[0]->span, "`when` wants one bool, got %s", lg_v_type_text(E, c));
        return;
    }
    for (int k = 1; k < 3; k++) { /* unknown: check both */
        const lg_ast *b = s->kid[k];
        if (b && b->kind == LG_A_WHEN)
            when(E, f, b);
        else if (b)
            lg_host_block(E, lg_frame_new(E, LG_F_HOST, f), b);
    }
}

/* What a loop gave back round by round. */
typedef struct {
    LG_VEC(lg_value *) v;
    lg_value *over;
    const char **path; /* of a record: where the values belong */
} yields;

static lg_value *row_of(lg_elab *E, lg_value *xs, int64_t i, lg_span at) {
    lg_tensor *made, *x = lg_host_tensor(E, xs, &made);
    if (!x || !x->rank)
        return lg_v_error(E, at);
    lg_tensor *row = lg_tensor_rows(x, i, i + 1), one = *row;
    lg_tensor *copy = lg_tensor_new(x->dtype, x->rank - 1, x->shape + 1);
    if (one.n)
        memcpy(copy->data, one.data, lg_tensor_bytes(row));
    lg_value *like = lg_v_tensor(E, x->dtype, xs->kind == LG_V_TENSOR ? xs->t.rank - 1 : 0,
                                 xs->kind == LG_V_TENSOR ? xs->t.dim + 1 : NULL, NULL, at);
    lg_value *v = lg_host_const(E, like, copy, at);
    lg_tensor_release(row);
    lg_tensor_release(copy);
    return v;
}

/* What a `for` runs over. Items are made when their round comes, so a long range costs nothing. */
typedef struct {
    int64_t n; /* < 0 after reporting; 1 when only their type is known: one stands for all */
    lg_value *xs;
    lg_value **at;     /* all there already: of a list, a record; else NULL */
    const char **path; /* of a record */
    int64_t first, by; /* of a range that is known; by 0: one round stands for all */
} items;

enum { CHECKED_ROUNDS = 1000 }; /* a check walks through longer ranges once, with any number */

static void range_items(lg_elab *E, lg_value *xs, items *it) {
    int64_t lo, hi, n;
    bool run = lg_host_of(E)->keep != NULL;
    if (!lg_v_static_int(E, xs->range.lo, &lo) || !lg_v_static_int(E, xs->range.hi, &hi)) {
        it->n = run ? -1 : 1;
        return;
    }
    if (hi <= lo)
        n = 0;
    else if (__builtin_sub_overflow(hi, lo, &n))
        n = INT64_MAX;
    it->n = run || n <= CHECKED_ROUNDS ? n : 1;
    it->first = lo;
    it->by = it->n == n;
}

static items items_of(lg_elab *E, const lg_ast *pattern, lg_value *xs, lg_span at) {
    items it = {.n = -1, .xs = xs};
    switch (xs->kind) {
    case LG_V_ERROR:
        return it;
    case LG_V_LIST:
        it.at = xs->list.at;
        it.n = xs->list.n;
        return it;
    case LG_V_RANGE:
        range_items(E, xs, &it);
        return it;
    case LG_V_RECORD:
    case LG_V_MODEL:
    case LG_V_SELECTOR:
        it.n = lg_loop_items(E, xs, pattern, &it.at, &it.path, at);
        return it;
    case LG_V_TENSOR:
        if (!xs->t.rank)
            break;
        it.n = xs->t.node ? xs->t.node->type->shape[0] : 1;
        return it;
    default:
        break;
    }
    lg_err(E, "E0208", at, "`for` wants a list, a range, a record, a selector or an array, got %s",
           lg_v_type_text(E, xs));
    return it;
}

static lg_value *item_at(lg_elab *E, const items *it, int64_t i, lg_span at) {
    if (it->at)
        return it->at[i];
    if (it->xs->kind == LG_V_RANGE)
        return it->by ? lg_v_int(E, it->first + it->by * i, at) : lg_v_unknown(E, true, false, at);
    const lg_value *xs = it->xs;
    return xs->t.node ? row_of(E, it->xs, i, at)
                      : lg_host_known(E, lg_v_tensor(E, xs->t.dtype, xs->t.rank - 1, xs->t.dim + 1,
                                                     NULL, at));
}

static yields *yield_target(lg_frame *f) {
    for (; f && f->kind == LG_F_HOST; f = f->up)
        if (f->ext)
            return f->ext;
    return NULL;
}

/* Arrays of one type that are there already. */
static bool equal_arrays(const yields *y) {
    const lg_value *first = y->v.n ? y->v.at[0] : NULL;
    for (size_t i = 0; i < y->v.n; i++) {
        const lg_value *v = y->v.at[i];
        bool array = v->kind == LG_V_TENSOR && v->t.node && v->t.node->op == &lg_op_const &&
                     !v->t.weak && !v->t.n_open && !v->t.bound && !v->weight;
        if (!array || !lg_type_equal(v->t.node->type, first->t.node->type))
            return false;
        for (int d = 0; d < v->t.rank; d++)
            if (!lg_dim_equal(v->t.dim[d], first->t.dim[d]))
                return false;
    }
    return first && !y->path && first->t.rank < LG_MAX_RANK;
}

/* Of those, without a graph: there may be very many. */
static lg_value *rows_stacked(lg_elab *E, const yields *y, lg_span at) {
    const lg_value *first = y->v.at[0];
    const lg_type *t = first->t.node->type;
    int64_t shape[LG_MAX_RANK] = {(int64_t)y->v.n};
    lg_dim *dim[LG_MAX_RANK] = {lg_dim_num(E->dims, shape[0])};
    for (int d = 0; d < t->rank; d++) {
        shape[d + 1] = t->shape[d];
        dim[d + 1] = first->t.dim[d];
    }
    lg_tensor *x = lg_tensor_new(t->dtype, t->rank + 1, shape);
    if (!x)
        lg_out_of_memory(lg_type_count(t) * y->v.n);
    for (size_t i = 0; i < y->v.n; i++) {
        const lg_tensor *row = y->v.at[i]->t.node->attr.tensor;
        size_t bytes = lg_tensor_bytes(row);
        if (bytes)
            memcpy((char *)x->data + i * bytes, row->data, bytes);
    }
    lg_value *r = lg_v_tensor(E, t->dtype, t->rank + 1, dim, NULL, at);
    r = lg_host_const(E, r, x, at);
    lg_tensor_release(x);
    return r;
}

static lg_value *stacked(lg_elab *E, lg_frame *f, const void *what) {
    const yields *y = what;
    lg_span at = y->v.n ? y->v.at[0]->at : (lg_span){0};
    if (lg_host_of(E)->keep && equal_arrays(y))
        return rows_stacked(E, y, at);
    lg_frame *was = E->frame;
    E->frame = f;
    lg_value *r = lg_loop_collected(E, y->over, (int)y->v.n, y->v.at, y->path, at);
    E->frame = was;
    return r;
}

/* Check mode: is it known how often the loop runs? Else one round stands for all. */
static bool counted(const items *it) {
    return it->xs->kind == LG_V_RANGE ? it->by != 0 : it->xs->kind != LG_V_TENSOR;
}

static lg_value *loop(lg_elab *E, lg_frame *f, const lg_ast *s, bool collects) {
    lg_host *H = lg_host_of(E);
    lg_frame *was = E->frame;
    E->frame = f;
    const lg_ast *from_its_end = lg_rev_of(E, s->kid[1]);
    lg_value *xs = lg_host_expr(E, f, from_its_end ? from_its_end : s->kid[1]);
    items it = items_of(E, s->kid[0], xs, s->kid[1]->span);
    E->frame = was;
    yields y = {.over = xs};
    size_t errors = E->diags->errors;
    uint64_t place = lg_next_place(f);
    lg_loop_mark m = lg_host_mark(E);
    for (int64_t i = 0; i < it.n && E->diags->errors == errors; i++) {
        lg_round round;
        lg_round_begin(E, &round);
        lg_frame *body = lg_frame_new(E, LG_F_HOST, f);
        body->path_hash = place; /* each round draws its own: its number tells them apart */
        body->draw_lane = lg_draw_lane(E, host_lane(f), lg_v_int(E, i, s->span), s->span);
        if (collects)
            body->ext = &y;
        lg_value *item = item_at(E, &it, from_its_end ? it.n - 1 - i : i, s->kid[1]->span);
        bool number = item->kind == LG_V_NUM && item->num.known; /* another in each round */
        if (s->kid[0]->kind == LG_A_NAME)
            lg_bind(E, body, s->kid[0]->name,
                    number ? lg_num_varying(E, item, s->kid[0]->name) : item, s->kid[0]->span);
        else
            lg_bind_pattern(E, body, s->kid[0], item, false);
        yields *to = yield_target(body);
        size_t before = to ? to->v.n : 0;
        lg_host_block(E, body, s->kid[2]);
        lg_round_end(E, &round, to ? to->v.n - before : 0, to ? to->v.at + before : NULL);
        if ((H->session || H->trial) && lg_host_signal && E->diags->errors == errors)
            lg_err(E, "R0701", s->span, "stopped by a signal in round %lld of this loop",
                   (long long)i);
        lg_host_sweep(E, f, &m, y.v.at, y.v.n);
    }
    bool some = it.n >= 0 && E->diags->errors == errors && (H->keep || counted(&it));
    y.path = (int64_t)y.v.n == it.n ? it.path : NULL;
    for (size_t i = 0; from_its_end && i < y.v.n / 2; i++) { /* each at its own index */
        lg_value *last = y.v.at[y.v.n - 1 - i];
        y.v.at[y.v.n - 1 - i] = y.v.at[i];
        y.v.at[i] = last;
    }
    lg_value *r = !some      ? lg_v_error(E, s->span)
                  : collects ? fresh(E, f, stacked, &y)
                             : lg_v_new(E, LG_V_NONE, s->span);
    lg_free(y.v.at);
    return r;
}

static void yield(lg_elab *E, lg_frame *f, const lg_ast *s) {
    yields *y = yield_target(f);
    lg_value *v = lg_host_expr(E, f, s->kid[0]);
    if (y)
        LG_PUSH(y->v, v);
    else
        lg_err(E, "E0442", s->span,
               "`yield` stands in a `for` whose value is used: `let r = for ...`");
}

static void require(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *c = lg_host_expr(E, f, s->kid[0]);
    bool yes = false;
    if (!lg_v_static_bool(E, c, &yes) || yes) {
        if (c->kind != LG_V_ERROR && c->kind != LG_V_NUM &&
            !(c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL))
            lg_err(E, "E0206", s->kid[0]->span, "`require` wants a bool, got %s",
                   lg_v_type_text(E, c));
        else if (!yes)
            lg_late(E, s->span, "require %s", lg_ast_text(E->arena, s->kid[0]));
        return;
    }
    lg_value *m = s->kid[1] ? lg_host_expr(E, f, s->kid[1]) : NULL;
    bool known = m && m->kind == LG_V_STR && m->str;
    lg_err(E, "E0231", s->span, "%s", known ? m->str : lg_require_text(E, s));
}

static void expression(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_value *v = lg_host_expr(E, f, s->kid[0]);
    bool effect = s->kid[0]->kind == LG_A_RUN || v->kind == LG_V_NONE || v->kind == LG_V_ERROR;
    if (effect)
        return;
    lg_diag *d = lg_err(E, "E0219", s->span, "nobody uses this value");
    lg_diag_help(d, "write `print ...` to see it, %s`let name = ...` to keep it",
                 yield_target(f) ? "`yield ...` to collect it, or " : "or ");
}

static void declaration(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (s->name && !lg_declares_one(E, s)) {
        define(E, f, s->name, lg_v_error(E, s->name_span), s->name_span);
    } else if (s->name && lg_guarded_out(E, f, s)) {
        define(E, f, s->name, lg_v_new(E, LG_V_NONE, s->name_span), s->name_span);
    } else if (!strcmp(s->text, "part")) {
        define(E, f, s->name, fresh(E, f, part, s), s->name_span);
    } else if (!strcmp(s->text, "param") || !strcmp(s->text, "state")) {
        define(E, f, s->name, fresh(E, f, declared, s), s->name_span);
    } else {
        lg_frame *was = E->frame;
        E->frame = f;
        if (s->name && !lg_find_local(f, s->name, false)) {
            lg_bind(E, f, s->name, NULL, s->name_span);
            f->names->state = LG_B_PENDING;
            f->names->stmt = s;
        }
        if (s->name)
            lg_force(E, f, lg_find_local(f, s->name, false), s->span);
        else
            lg_err(E, "E0443", s->span, "`%s` stands in a train", s->text);
        E->frame = was;
    }
}

void lg_host_do(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (s->kind != LG_A_EFFECT || strcmp(s->name, "table") != 0)
        lg_host_flush(E);
    switch ((lg_ast_kind)s->kind) {
    case LG_A_LET:
        let(E, f, s);
        break;
    case LG_A_WHEN:
        when(E, f, s);
        break;
    case LG_A_FOR:
        loop(E, f, s, false);
        break;
    case LG_A_YIELD:
        yield(E, f, s);
        break;
    case LG_A_REQUIRE:
        require(E, f, s);
        break;
    case LG_A_EXPR:
        expression(E, f, s);
        break;
    case LG_A_DECL:
        declaration(E, f, s);
        break;
    case LG_A_EFFECT:
        lg_host_effect(E, f, s);
        break;
    case LG_A_RETURN:
        f->result = lg_host_expr(E, f, s->kid[0]);
        break;
    case LG_A_IMPORT:
        lg_err(E, "E0443", s->span, "`import` stands at the top of a file");
        break;
    case LG_A_ERROR:
        break;
    case LG_A_ASSIGN:
        lg_err(E, "E0421", s->span,
               "a primed definition stands in a model, an optimizer, a scan or a train");
        break;
    default:
        lg_err(E, "E0443", s->span, "this statement does not stand in host code");
        break;
    }
}

void lg_host_block(lg_elab *E, lg_frame *f, const lg_ast *block) {
    size_t errors = E->diags->errors;
    if (block->kind != LG_A_BLOCK) {
        lg_host_do(E, f, block);
        return;
    }
    bool run = lg_host_of(E)->keep != NULL;
    for (uint32_t i = 0; i < block->n && (!run || E->diags->errors == errors); i++) {
        if (block->kid[i]->kind == LG_A_RETURN && i + 1 < block->n)
            lg_err(E, "E0219", block->kid[i + 1]->span, "nothing runs after `return`");
        lg_host_do(E, f, block->kid[i]);
    }
}
