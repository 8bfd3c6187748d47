/* traced.c: looks in a check for E0501, which a run finds when it differentiates: a derivative
 * through a foreign function without a rule. Each float remembers whether it depends on the point;
 * an expression depends on what was read for it, unless its value is no float or counts as
 * constant. */
#include "compiler/mid/traced.h"
#include <string.h>

static uint8_t traces(lg_elab *E, lg_value *v) {
    lg_leaf *leaf;
    uint8_t all = 0;
    if (v->kind != LG_V_TENSOR && v->kind != LG_V_RECORD && v->kind != LG_V_LIST &&
        v->kind != LG_V_MODEL)
        return 0;
    int n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < n; i++)
        all |= leaf[i].value->trace;
    return all & (LG_TRACE_DEPENDS | LG_TRACE_STUCK);
}

static bool is_constant(const lg_ast *e) {
    const lg_ast *f = e->kind == LG_A_CALL ? e->kid[0] : NULL;
    const lg_op *op = f && f->kind == LG_A_NAME ? lg_op_find(f->name) : NULL;
    return f && f->kind == LG_A_NAME &&
           (!strcmp(f->name, "stop_grad") || (op && op->traits & LG_T_NODIFF));
}

static lg_value *noted(lg_elab *E, lg_value *v, uint8_t seen) {
    if (v->kind != LG_V_TENSOR || v->trace & LG_TRACE_KNOWN)
        return v;
    lg_value *r = lg_v_copy(E, v);
    r->trace = LG_TRACE_KNOWN | (lg_dtype_is_float(v->t.dtype) ? seen : 0);
    return r;
}

/* Results of one operation: all of them depend on its operands. */
static lg_value *noted_fields(lg_elab *E, lg_value *v, uint8_t seen) {
    lg_value *r = lg_v_record(E, v->rec.n, v->at);
    r->rec.quant = v->rec.quant;
    for (int i = 0; i < v->rec.n; i++) {
        r->rec.f[i] = v->rec.f[i];
        r->rec.f[i].value = noted(E, v->rec.f[i].value, seen);
    }
    return r;
}

lg_value *lg_traced_expr(lg_elab *E, const lg_ast *e, lg_expr_fn plain) {
    lg_traced *t = E->traced;
    uint8_t before = t->seen;
    t->seen = 0;
    lg_value *v = plain(E, e);
    uint8_t seen = is_constant(e) ? 0 : t->seen;
    if (is_constant(e) && v->kind == LG_V_TENSOR) {
        v = lg_v_copy(E, v);
        v->trace = LG_TRACE_KNOWN;
    }
    v = v->kind == LG_V_RECORD && e->kind == LG_A_CALL && !v->rounds && !v->weight
            ? noted_fields(E, v, seen)
            : noted(E, v, seen);
    t->seen = before | traces(E, v);
    return v;
}

void lg_traced_foreign(lg_elab *E, lg_value *r, const char *name, int n, lg_value *const *arg,
                       lg_span at) {
    uint8_t all = 0;
    for (int i = 0; i < n; i++)
        all |= traces(E, arg[i]);
    r->trace = LG_TRACE_KNOWN;
    if (!all || !lg_dtype_is_float(r->t.dtype))
        return;
    r->trace |= LG_TRACE_STUCK;
    if (!E->traced->name) {
        E->traced->name = name;
        E->traced->at = at;
    }
}

lg_value *lg_traced_ruled(lg_elab *E, lg_value *r) {
    if (r->kind != LG_V_TENSOR || !(r->trace & LG_TRACE_STUCK))
        return r;
    r = lg_v_copy(E, r);
    r->trace = LG_TRACE_KNOWN | LG_TRACE_DEPENDS;
    E->traced->name = NULL;
    return r;
}

bool lg_traced_stuck(lg_elab *E, lg_value *v) {
    return E->traced->name && traces(E, v) & LG_TRACE_STUCK;
}

bool lg_traced_worth_it(const lg_elab *E) {
    for (const lg_module *m = E->modules; m; m = m->next)
        for (uint32_t i = 0; !m->library && m->tree && i < m->tree->n; i++) {
            const lg_ast *s = m->tree->kid[i];
            if (s->kind == LG_A_DECL && !strcmp(s->text, "fn") && s->kid[LG_D_FROM])
                return true;
        }
    return false;
}
