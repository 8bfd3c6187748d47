/* scan_yield.c: what the rounds of a dynamic scan give besides their carries: its yields, and what
 * a probe noted in the body, each stacked over the rounds. Not for static loops (unroll.c). */
#include "compiler/mid/scanning.h"
#include <string.h>

/* The leaves of a value that each round yields, as tensors; 0 in lanes that are over. */
static lg_value *yielded(lg_scanning *s, lg_value *v) {
    lg_elab *E = s->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = leaf[i].value;
        if (out[i]->kind == LG_V_OPAQUE)
            continue;
        out[i] = lg_to_tensor(E, leaf[i].value, LG_NO_DTYPE, s->yields.at);
        if (out[i]->kind != LG_V_TENSOR) {
            if (leaf[i].value->kind != LG_V_ERROR)
                lg_err(E, "E0208", s->yields.at, "a loop yields numbers and arrays, got %s",
                       lg_v_type_text(E, leaf[i].value));
            s->failed = true;
            return NULL;
        }
        if (lg_scan_has_lanes(s))
            out[i] = lg_select(E, s->live_in, out[i], lg_v_int(E, 0, s->yields.at), s->yields.at);
    }
    return lg_v_rebuild(E, v, out);
}

lg_value *lg_scan_yields(lg_scanning *s) {
    lg_elab *E = s->E;
    lg_value *v = lg_yields_value(E, &s->yields, s->carry.n > 0);
    if (!v)
        return NULL;
    v = lg_schedule_now(E, v);
    return yielded(s, v->kind == LG_V_MODEL ? lg_model_record(E, v) : v);
}

/* What a probe noted in the body can be stacked: numbers and arrays. */
static bool can_be_stacked(lg_scanning *s, const lg_probed *x) {
    lg_leaf *leaf;
    bool structure = x->value->kind == LG_V_RECORD || lg_is_plain(x->value);
    int n = structure ? lg_v_leaves(s->E, x->value, &leaf) : 0;
    bool ok = structure && x->g == s->nest.g;
    for (int i = 0; ok && i < n; i++)
        ok = lg_is_plain(leaf[i].value);
    return ok;
}

lg_value *lg_scan_probed(lg_scanning *s, lg_value *yields) {
    lg_elab *E = s->E;
    int n = 1;
    for (lg_probed *x = E->probe ? *s->probed : NULL; x; x = x->next)
        n += can_be_stacked(s, x);
    lg_value *all = lg_v_list(E, n, s->e->span);
    all->list.at[0] = yields ? yields : lg_v_record(E, 0, s->e->span);
    n = 1;
    for (lg_probed *x = E->probe ? *s->probed : NULL; x && !s->failed; x = x->next)
        if (can_be_stacked(s, x))
            all->list.at[n++] = yielded(s, x->value);
    return all;
}

void lg_scan_give_probed(lg_scanning *s, const lg_value *all) {
    int n = 1;
    for (lg_probed *x = s->E->probe ? *s->probed : NULL; x; x = x->next)
        if (can_be_stacked(s, x)) {
            x->value = all->list.at[n++];
            x->g = s->E->g;
        }
}

lg_value *lg_scan_stacked(lg_scanning *s, lg_value *y, lg_node *item) {
    lg_elab *E = s->E;
    if (y->kind == LG_V_OPAQUE)
        return lg_v_stacked(E, y, 1, &s->trip, s->yields.at);
    if (y->kind != LG_V_TENSOR)
        return y;
    lg_dim *dim[LG_MAX_RANK + 1];
    int perm[LG_MAX_RANK + 1], n = y->t.n_open, rank = n + y->t.rank + 1;
    if (rank > LG_MAX_RANK) {
        lg_err(E, "E0213", s->yields.at, "more than %d dims at once", LG_MAX_RANK);
        return lg_v_error(E, s->yields.at);
    }
    dim[0] = s->trip;
    for (int i = 0; i < y->t.rank; i++)
        dim[i + 1] = y->t.dim[i];
    for (int i = 0; i < rank; i++)
        perm[i] = i < n ? i + 1 : i == n ? 0 : i;
    if (item && n)
        item = lg_g_permute(E->g, item, perm, s->e->span);
    lg_value *r = lg_v_open(E, y->t.dtype, n, y->t.open, y->t.rank + 1, dim, item, s->yields.at);
    r->t.bound = y->t.bound;
    return r;
}
