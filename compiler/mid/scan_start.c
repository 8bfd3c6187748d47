/* scan_start.c: how a dynamic scan begins: what it runs over, and what its carries start as. */
#include "compiler/mid/scanning.h"
#include <string.h>

/* ---- what it runs over ---- */

const lg_ast *lg_rev_of(lg_elab *E, const lg_ast *e) {
    bool rev = e->kind == LG_A_CALL && e->n == 2 && e->kid[0]->kind == LG_A_NAME &&
               !strcmp(e->kid[0]->name, "rev") && !lg_lookup_user(E, E->frame, e->kid[0]->name);
    return rev ? e->kid[1] : NULL;
}

static bool over_range(lg_scanning *s, lg_value *r, lg_span at) {
    lg_elab *E = s->E;
    s->lo = r->range.lo;
    lg_value *n = lg_binary(E, "-", r->range.hi, r->range.lo, at);
    if (n->kind == LG_V_ERROR)
        return false;
    int64_t k;
    if (lg_v_static_int(E, n, &k) && k < 0)
        n = lg_v_int(E, 0, at);
    s->trip = lg_v_to_dim(E, n, at);
    if (!s->trip && n->kind == LG_V_NUM && !n->num.known)
        s->trip = lg_dim_var(E->dims, lg_intern("rounds"), at);
    return s->trip != NULL;
}

static bool over_array(lg_scanning *s, lg_value *xs, lg_span at) {
    lg_elab *E = s->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, xs, &leaf);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        if (x->kind == LG_V_ERROR)
            return false;
        bool fits =
            x->kind == LG_V_TENSOR && x->t.rank && (!i || lg_dims_match(x->t.dim[0], s->trip));
        if (!fits) {
            lg_diag *d = lg_err(E, "E0208", at,
                                "a loop runs over a range, an array or a record of arrays, got %s",
                                lg_v_type_text(E, xs));
            if (i && x->kind == LG_V_TENSOR && x->t.rank)
                lg_diag_note(d, "`%s` has %s rows, `%s` has %s", leaf[0].path,
                             lg_dim_text(E->arena, s->trip), leaf[i].path,
                             lg_dim_text(E->arena, x->t.dim[0]));
            return false;
        }
        if (!i)
            s->trip = x->t.dim[0];
    }
    s->xs = xs;
    s->n_xs = n;
    return n > 0;
}

bool lg_scan_over(lg_scanning *s) {
    lg_elab *E = s->E;
    const lg_ast *e = s->e->kid[2];
    if (!e) {
        lg_err(E, "E0208", s->e->span, "a scan states what it runs over: `for t in 0..N`");
        return false;
    }
    const lg_ast *from_its_end = lg_rev_of(E, e);
    s->rev = from_its_end != NULL;
    e = s->rev ? from_its_end : e;
    lg_value *v = lg_expr(E, e);
    if (v->kind == LG_V_LIST)
        v = lg_list_is_array(v) ? lg_arrayed(E, v, e->span)
            : v->list.n         ? lg_stack(E, v->list.n, v->list.at, e->span)
                                : v;
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    if (v->kind == LG_V_RECORD)
        v = lg_arrays_within(E, v, e->span);
    if (v->kind == LG_V_ERROR)
        return false;
    if (v->kind == LG_V_RANGE)
        return over_range(s, v, e->span);
    if (v->kind == LG_V_LIST) {
        lg_diag *d = lg_err(E, "E0208", e->span, "the items of this list differ in type");
        lg_diag_help(d, "unroll it: `scan (...) static for ...`");
        return false;
    }
    if (v->kind == LG_V_OPAQUE || (v->kind == LG_V_NUM && !v->num.known))
        return false;
    return over_array(s, v, e->span);
}

/* ---- starts ---- */

bool lg_scan_carry(lg_scanning *s, const lg_ast *named) {
    lg_elab *E = s->E;
    lg_value *v = lg_schedule_now(E, lg_arrays_within(E, lg_expr(E, named->kid[0]), named->span));
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    for (size_t i = 0; i < s->carry.n; i++)
        if (s->carry.at[i].name == named->name) {
            lg_err(E, "E0304", named->span, "`%s` is carried twice", named->name);
            return false;
        }
    lg_carry c = {.name = named->name, .at = named->span, .start = v, .first = (int)s->slot.n};
    if (v->kind == LG_V_ERROR)
        return false;
    lg_leaf *leaf;
    c.n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < c.n; i++) {
        lg_value *x = leaf[i].value;
        if (!lg_is_plain(x) && x->kind != LG_V_OPAQUE) {
            if (x->kind != LG_V_ERROR)
                lg_err(E, "E0208", named->span,
                       "a carry is a number, an array or a record of them, got %s",
                       lg_v_type_text(E, x));
            return false;
        }
        if (x->kind == LG_V_NUM)
            x = lg_to_tensor(E, x, LG_NO_DTYPE, named->kid[0]->span);
        lg_slot sl = {.path = leaf[i].path, .start = x};
        if (x->kind == LG_V_TENSOR) {
            sl.n_open = x->t.n_open;
            sl.open = x->t.open;
        }
        LG_PUSH(s->slot, sl);
    }
    LG_PUSH(s->carry, c);
    return true;
}
