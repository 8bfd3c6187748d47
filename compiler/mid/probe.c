/* probe.c: looking into an evaluation and steering its derivative: probe, stop_grad, remat. Not for
 * the derivatives themselves. */
#include "compiler/mid/index.h"
#include "compiler/mid/model.h"
#include "compiler/mid/nest.h"
#include <string.h>

/* ---- probe ---- */

struct lg_probe_list {
    lg_probed *first, **end;
};

void lg_probe_note(lg_elab *E, const char *path, lg_sym name, lg_value *v) {
    if (!E->probe || !v)
        return;
    lg_probed *n = LG_NEW(E->arena, lg_probed);
    *n = (lg_probed){path, name, v, E->g, NULL};
    *E->probe->end = n;
    E->probe->end = &n->next;
}

lg_probed **lg_probe_mark(const lg_elab *E) {
    return E->probe ? E->probe->end : NULL;
}

void lg_probe_forget(lg_elab *E, lg_probed **mark) {
    if (!E->probe)
        return;
    *mark = NULL;
    E->probe->end = mark;
}

void lg_probe_close(lg_elab *E, lg_probed **mark, int n, lg_index *const *at, lg_span span) {
    for (lg_probed *x = E->probe ? *mark : NULL; n && x; x = x->next)
        if (x->g == E->g && (lg_is_plain(x->value) || x->value->kind == LG_V_RECORD))
            x->value = lg_close(E, x->value, n, at, n, span);
}

void lg_probe_lets(lg_elab *E, const lg_frame *f) {
    const lg_frame *self = f->self;
    if (!self || f->up != self || !self->model || self->model->kind != LG_V_MODEL || !f->decl ||
        f->decl->name != lg_intern("call"))
        return;
    for (const lg_binding *b = f->names; b; b = b->next)
        if (b->is_let && !b->prime && b->state == LG_B_VALUE && b->value)
            lg_probe_note(E, self->model->model.path, b->name,
                          lg_value_seen_from(E, f->caller, b->value));
}

/* The record at a path "a.blk[3].b" below rec, made where it is missing. Indices are fields of
 * their own, "[3]", until lists() turns them into lists. */
static lg_value *descend(lg_elab *E, lg_value *rec, const char *path) {
    while (*path) {
        size_t n = *path == '[' ? strcspn(path, "]") + 1 : strcspn(path, ".[");
        lg_sym name = lg_intern_n(path, n);
        lg_value *next = lg_v_field(rec, name);
        if (!next || next->kind != LG_V_RECORD) {
            next = lg_v_record(E, 0, rec->at);
            lg_v_set_field(E, rec, name, next);
        }
        rec = next;
        path += n;
        path += *path == '.';
    }
    return rec;
}

static bool all_indices(const lg_value *rec) {
    for (int i = 0; i < rec->rec.n; i++)
        if (rec->rec.f[i].name[0] != '[')
            return false;
    return rec->rec.n > 0;
}

static lg_value *lists(lg_elab *E, lg_value *v) {
    if (v->kind != LG_V_RECORD)
        return v;
    for (int i = 0; i < v->rec.n; i++)
        v->rec.f[i].value = lists(E, v->rec.f[i].value);
    if (!all_indices(v))
        return v;
    lg_value *l = lg_v_list(E, v->rec.n, v->at);
    for (int i = 0; i < v->rec.n; i++)
        l->list.at[i] = v->rec.f[i].value;
    return l;
}

/* How often the part at `path` was called: each call begins with its input. */
static int calls_of(const struct lg_probe_list *l, const char *path) {
    int n = 0;
    for (const lg_probed *x = l->first; x; x = x->next)
        n += !strcmp(x->path, path) && !strcmp(x->name, "input");
    return n;
}

static int call_before(const struct lg_probe_list *l, const lg_probed *until) {
    int n = -1;
    for (const lg_probed *x = l->first; x; x = x->next) {
        n += !strcmp(x->path, until->path) && !strcmp(x->name, "input");
        if (x == until)
            break;
    }
    return n < 0 ? 0 : n;
}

lg_value *lg_probe(lg_elab *E, const lg_ast *call) {
    if (call->n != 2 || call->kid[1]->kind == LG_A_NAMED || call->kid[1]->kind == LG_A_SPREAD) {
        lg_err(E, "E0508", call->span, "`probe` takes one value: probe(net(x))");
        return lg_v_error(E, call->span);
    }
    struct lg_probe_list list = {0}, *was = E->probe;
    list.end = &list.first;
    lg_store *states = E->states;
    E->probe = &list;
    E->states = NULL; /* looking changes nothing */
    lg_value *v = lg_expr(E, call->kid[1]);
    E->states = states;
    E->probe = was;
    if (v->kind == LG_V_ERROR)
        return v;
    lg_value *r = lg_v_record(E, 0, call->span);
    for (const lg_probed *x = list.first; x; x = x->next) {
        if (x->g != E->g) /* inside a branch: it may have no value */
            continue;
        lg_value *at = descend(E, r, x->path);
        if (calls_of(&list, x->path) > 1)
            at = descend(E, at, lg_txt(E, "[%d]", call_before(&list, x)));
        lg_v_set_field(E, at, x->name, x->value);
    }
    if (!list.first) {
        lg_diag *d = lg_err(E, "E0508", call->kid[1]->span, "no part is called here");
        lg_diag_help(d, "`probe(net(x))` gives what every part of net got and gave");
        return lg_v_error(E, call->span);
    }
    return lists(E, r);
}

/* ---- constants for derivatives ---- */

static lg_value *still_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)ctx;
    (void)n;
    lg_value *v = leaf[0];
    if (v->kind != LG_V_TENSOR || !E->g)
        return v;
    lg_value *r = lg_v_copy(E, v);
    lg_node *x = lg_import(E, v->t.node);
    r->t.node = lg_dtype_is_float(v->t.dtype) && x->op->cls != LG_C_CONST
                    ? lg_g_mark(E->g, &lg_op_stop_grad, x, NULL, at)
                    : x;
    return r;
}

lg_value *lg_stop_grad(lg_elab *E, lg_value *v) {
    if (v->kind == LG_V_TENSOR)
        return still_leaf(E, NULL, 1, &v, v->at);
    if (v->kind == LG_V_MODEL) {
        lg_model_leaf *leaf;
        int n = lg_model_leaves(E, v, &leaf);
        lg_value **now = LG_NEW_N(E->arena, lg_value *, n + 1);
        for (int k = 0; k < n; k++)
            now[k] = v->model.leaf[k] ? lg_stop_grad(E, v->model.leaf[k]) : NULL;
        return lg_model_with(E, v, now);
    }
    if (v->kind == LG_V_RECORD || (v->kind == LG_V_LIST && !lg_list_is_array(v)))
        return lg_leafwise(E, still_leaf, NULL, 1, &v, v->at);
    return v;
}

/* ---- computed again ---- */

size_t lg_remat_begin(lg_elab *E) {
    return E->g ? E->g->node.n : 0;
}

/* What the nodes from `mark` on that x needs read of the nodes before, or of the graph's inputs. */
static lg_node *again(lg_elab *E, size_t mark, lg_node *x, lg_span at) {
    lg_graph *g = E->g;
    uint8_t *need = lg_alloc(g->node.n + 1);
    LG_VEC(lg_node *) in = {0};
    LG_PUSH(in, x);
    need[x->id] = 1;
    for (size_t i = x->id + 1; i-- > 0;) {
        lg_node *n = g->node.at[i];
        bool item = n->op->cls == LG_C_ITEM && n->in[0]->id < mark;
        if (!need[i])
            continue;
        if (i < mark || item || n->op->cls == LG_C_INPUT)
            LG_PUSH(in, n);
        else
            for (int k = 0; k < n->n_in; k++)
                need[n->in[k]->id] = 1;
    }
    lg_node *r = in.n > 1 ? lg_g_remat(g, (int)in.n, in.at, at) : x;
    lg_free(in.at);
    lg_free(need);
    return r;
}

lg_value *lg_remat_end(lg_elab *E, size_t mark, lg_value *v) {
    if (!E->g || v->kind == LG_V_ERROR)
        return v;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int k = 0; k < n; k++) {
        out[k] = leaf[k].value;
        if (out[k]->kind != LG_V_TENSOR || !lg_dtype_is_float(out[k]->t.dtype) ||
            out[k]->t.node->graph != E->g || out[k]->t.node->id < mark)
            continue;
        out[k] = lg_v_copy(E, out[k]);
        out[k]->t.node = again(E, mark, out[k]->t.node, out[k]->at);
    }
    return v->kind == LG_V_MODEL ? v : lg_v_rebuild(E, v, out);
}
