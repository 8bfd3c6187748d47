/* settle.c: expressions of host code become constants: the graph of one is planned, run once, and its
 * results stand in the graph of what comes after. In a check nothing is run. Called wherever the host
 * has a value; the statements themselves are in interp.c. */
#include "compiler/host/inside.h"
#include "runtime/rng.h"
#include <stdio.h>
#include <string.h>

lg_host *lg_host_of(lg_elab *E) {
    return E->host_ctx;
}

lg_io lg_host_io(lg_elab *E, lg_span at) {
    return (lg_io){.ds = E->diags, .at = at};
}

char *lg_host_path(lg_elab *E, const char *path, lg_span at) {
    const char *beside = lg_host_of(E)->o.beside;
    return lg_io_find(path, beside ? beside : lg_source_name(at.file));
}

bool lg_host_ok(lg_elab *E) {
    return E->diags->errors == 0;
}

/* ---- the context of an expression ---- */

lg_context lg_host_enter(lg_elab *E, lg_graph *g, bool host) {
    lg_context c = {E->g,         E->frame,     E->step,   E->store,    E->states,
                    E->target,    E->guard,     E->nest,   E->depth,    E->draw_path,
                    E->draw_lane, E->quantized, E->want,   E->lazy,     E->lanes,
                    E->applying,  E->probe,     E->frozen, E->n_frozen, E->host};
    E->g = g;
    E->nest = NULL;
    E->guard = E->draw_lane = E->want = E->lazy = NULL;
    E->store = E->states = NULL;
    E->target = NULL;
    E->quantized = NULL;
    E->lanes = NULL;
    E->applying = NULL;
    E->probe = NULL;
    E->frozen = NULL;
    E->n_frozen = 0;
    E->host = host;
    return c;
}

void lg_host_leave(lg_elab *E, const lg_context *c) {
    E->g = c->g;
    E->frame = c->frame;
    E->step = c->step;
    E->store = c->store;
    E->states = c->states;
    E->target = c->target;
    E->guard = c->guard;
    E->nest = c->nest;
    E->depth = c->depth;
    E->draw_path = c->draw_path;
    E->draw_lane = c->draw_lane;
    E->quantized = c->quantized;
    E->want = c->want;
    E->lazy = c->lazy;
    E->lanes = c->lanes;
    E->applying = c->applying;
    E->probe = c->probe;
    E->frozen = c->frozen;
    E->n_frozen = c->n_frozen;
    E->host = c->host;
}

lg_step lg_host_step(lg_elab *E, int64_t seed) {
    return (lg_step){.seed = lg_v_int(E, seed, (lg_span){0})};
}

/* ---- results become constants ---- */

typedef struct {
    lg_elab *E;
    LG_VEC(lg_value *) open; /* tensor values whose nodes must be evaluated */
    LG_VEC(lg_frame *) seen;
    bool closures;
    bool taken; /* the graph is that of a plan now */
} settling;

static lg_value *collect(settling *s, lg_value *v);

/* A closure keeps the names of its frames: they too must outlive the graph. */
static void collect_frame(settling *s, lg_frame *f) {
    for (; f && f->kind != LG_F_MODULE; f = f->up) {
        for (size_t i = 0; i < s->seen.n; i++)
            if (s->seen.at[i] == f)
                return;
        LG_PUSH(s->seen, f);
        lg_arena *arena = s->E->arena;
        s->E->arena = f->arena;
        for (lg_binding *b = f->names; b; b = b->next)
            if (b->state == LG_B_VALUE && b->value)
                b->value = collect(s, b->value);
        s->E->arena = arena;
        if (f->self)
            collect_frame(s, f->self);
    }
}

static lg_value *collect_model(settling *s, lg_value *v) {
    lg_model_leaf *leaf;
    int n = lg_model_leaves(s->E, v, &leaf);
    lg_value **out = LG_NEW_N(s->E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++)
        out[i] = collect(s, v->model.leaf && v->model.leaf[i] ? v->model.leaf[i] : leaf[i].init);
    return n ? lg_model_with(s->E, v, out) : v;
}

static lg_value *collect_kind(settling *s, lg_value *v) {
    lg_elab *E = s->E;
    switch (v->kind) {
    case LG_V_TENSOR: {
        if (!v->t.node || v->t.node->graph == lg_host_of(E)->keep)
            return v;
        lg_value *r = lg_v_copy(E, v);
        LG_PUSH(s->open, r);
        return r;
    }
    case LG_V_RECORD: {
        lg_value *r = lg_v_record(E, v->rec.n, v->at);
        r->rec.quant = v->rec.quant;
        for (int i = 0; i < v->rec.n; i++) {
            r->rec.f[i] = v->rec.f[i];
            r->rec.f[i].value = collect(s, v->rec.f[i].value);
        }
        return r;
    }
    case LG_V_LIST: {
        lg_value *r = lg_v_list(E, v->list.n, v->at);
        for (int i = 0; i < v->list.n; i++)
            r->list.at[i] = collect(s, v->list.at[i]);
        return r;
    }
    case LG_V_RANGE: {
        lg_value *r = lg_v_copy(E, v);
        r->range.lo = collect(s, v->range.lo);
        r->range.hi = collect(s, v->range.hi);
        return r;
    }
    case LG_V_MODEL:
        return collect_model(s, v);
    case LG_V_FN:
        s->closures = true;
        collect_frame(s, v->fn.env);
        return v;
    case LG_V_RULE:
        s->closures = true;
        collect_frame(s, v->rule.env);
        return v;
    case LG_V_QUANT:
        s->closures = true;
        collect_frame(s, v->quant.env);
        return v;
    default:
        return v;
    }
}

/* What goes with a value: weights of loss terms, rounds of a scan. */
static lg_value *collect(settling *s, lg_value *v) {
    lg_value *r = collect_kind(s, v);
    if (!v->weight && !v->rounds)
        return r;
    r = r == v ? lg_v_copy(s->E, v) : r;
    r->weight = v->weight ? collect(s, v->weight) : NULL;
    r->rounds = v->rounds ? collect(s, v->rounds) : NULL;
    return r;
}

/* x as the value it has now: what is kept is no part of a plan that another run may share. */
static lg_tensor *settled(lg_tensor *x, lg_tensor **made) {
    if (!x->varies)
        return *made = NULL, x;
    *made = lg_tensor_new(x->dtype, x->rank, x->shape);
    memcpy((*made)->data, x->data, lg_tensor_bytes(x));
    return *made;
}

/* Evaluates the collected nodes of E->g: of the graph itself (with its checks) when this is the end
 * of its expression, else of a copy of what they need. */
static bool evaluate(settling *s, lg_span at, bool last) {
    lg_elab *E = s->E;
    lg_host *H = lg_host_of(E);
    lg_node **want = LG_NEW_N(E->arena, lg_node *, s->open.n + 1);
    size_t *where = LG_NEW_N(E->arena, size_t, s->open.n + 1), n = 0;
    for (size_t i = 0; i < s->open.n; i++) {
        lg_value *v = s->open.at[i];
        lg_tensor *own;
        if (v->t.node->op == &lg_op_const) {
            v->t.node = lg_host_keep(H, settled(v->t.node->attr.tensor, &own), v->at);
            lg_tensor_release(own);
        } else if (v->t.node->graph != E->g) {
            lg_err(E, "E0441", at, "this value belongs to a step and is not known here");
            return false;
        } else {
            where[n] = i;
            want[n++] = v->t.node;
        }
    }
    if (!n && !(last && E->g->effect.n))
        return true;
    lg_graph *g = last ? E->g : lg_graph_extract(E->g, (int)n, want);
    for (size_t i = 0; last && i < n; i++)
        lg_g_output(g, want[i], -1, NULL);
    lg_tensor **out = LG_NEW_N(E->arena, lg_tensor *, n + 1);
    lg_fault fault = {.row = -1};
    bool taken = false, again = !last || !s->closures; /* closures keep the graph */
    bool ok = again ? lg_plan_eval(H, g, out, &fault, &taken) : lg_graph_eval(g, NULL, out, &fault);
    for (size_t i = 0; ok && i < n; i++) {
        lg_value *v = s->open.at[where[i]];
        v->t.node = lg_host_keep(H, out[i], v->at);
        lg_tensor_release(out[i]);
    }
    s->taken = last && taken;
    if (!last && !taken)
        lg_graph_free(g);
    if (!ok)
        lg_host_fault(E, &fault, at);
    return ok;
}

lg_value *lg_host_known(lg_elab *E, lg_value *v) {
    if (!LG_CHECKING(E))
        return v;
    if (v->kind != LG_V_TENSOR && v->kind != LG_V_RECORD && v->kind != LG_V_LIST)
        return v;
    v = lg_v_copy(E, v);
    if (v->kind == LG_V_TENSOR) {
        v->t.host = true;
    } else if (v->kind == LG_V_RECORD) {
        v->rec.f = lg_arena_dup(E->arena, v->rec.f, sizeof *v->rec.f * (size_t)v->rec.n);
        for (int i = 0; i < v->rec.n; i++)
            v->rec.f[i].value = lg_host_known(E, v->rec.f[i].value);
    } else {
        lg_value **item = LG_NEW_N(E->arena, lg_value *, v->list.n + 1);
        for (int i = 0; i < v->list.n; i++)
            item[i] = lg_host_known(E, v->list.at[i]);
        v->list.at = item;
    }
    return v;
}

lg_value *lg_host_settle_now(lg_elab *E, lg_value *v, bool last, bool *stays) {
    if (LG_CHECKING(E))
        return lg_host_known(E, v);
    settling s = {.E = E};
    lg_value *r = collect(&s, v);
    if (!evaluate(&s, v->at, last))
        r = lg_v_error(E, v->at);
    if (stays)
        *stays = s.closures || s.taken;
    lg_free(s.open.at);
    lg_free(s.seen.at);
    return r;
}

lg_value *lg_host_settle(lg_elab *E, lg_value *v) {
    return lg_host_settle_now(E, v, false, NULL);
}

void lg_host_fault(lg_elab *E, const lg_fault *fault, lg_span at) {
    lg_diag *d =
        lg_diag_add(E->diags, fault->code ? fault->code : "R0101", fault->at.file ? fault->at : at,
                    "%s", fault->text[0] ? fault->text : "the run failed");
    if (fault->row >= 0)
        lg_diag_note(d, "first at row %lld", (long long)fault->row);
    if (fault->at.file && at.file &&
        (fault->at.file != at.file || fault->at.beg < at.beg || fault->at.end > at.end))
        lg_diag_label(d, at, "while this ran");
}

lg_value *lg_host_const(lg_elab *E, const lg_value *like, lg_tensor *x, lg_span at) {
    lg_value *r = lg_v_copy(E, like);
    r->at = at;
    r->t.dtype = x->dtype;
    r->t.n_open = 0;
    r->t.node = lg_host_keep(lg_host_of(E), x, at);
    return r;
}

lg_value *lg_host_copy(lg_elab *E, const lg_value *like, const lg_tensor *x) {
    lg_tensor *y = lg_tensor_new(x->dtype, x->rank, x->shape);
    memcpy(y->data, x->data, lg_tensor_bytes(x));
    lg_value *v = lg_host_const(E, like, y, like->at);
    lg_tensor_release(y);
    return v;
}

lg_value *lg_host_array(lg_elab *E, lg_tensor *x, const char *rows, lg_span at) {
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dim[i] = lg_dim_num(E->dims, x->shape[i]);
    if (rows && x->rank) {
        dim[0] = lg_dim_var(E->dims, lg_intern(rows), at);
        lg_dim_set(dim[0], x->shape[0]);
    }
    return lg_v_tensor(E, x->dtype, x->rank, dim, lg_host_keep(lg_host_of(E), x, at), at);
}

lg_tensor *lg_host_tensor(lg_elab *E, lg_value *v, lg_tensor **made) {
    *made = NULL;
    if (v->kind == LG_V_LIST && lg_list_is_array(v))
        v = lg_host_settle(E, lg_list_tensor(E, v, LG_NO_DTYPE, v->at));
    if (v->kind == LG_V_TENSOR && v->t.node && v->t.node->op == &lg_op_const)
        return v->t.node->attr.tensor;
    if (v->kind == LG_V_NUM && v->num.known)
        return *made = v->num.is_bool  ? lg_tensor_scalar_i64(LG_BOOL, v->num.i)
                       : v->num.is_int ? lg_tensor_scalar_i64(LG_I64, v->num.i)
                                       : lg_tensor_scalar_f64(LG_F64, v->num.d);
    return NULL;
}
