/* update.c: what a step leaves behind: next values that statements give, and the shorthand of
 * `loss` and `optimizer` lines: gradients, clipping, rules by selector. */
#include "compiler/host/train.h"
#include <stdio.h>
#include <string.h>

static const char *leaf_path(lg_elab *E, const lg_group *g, int l) {
    return *g->leaf[l].path ? lg_txt(E, "%s.%s", g->name, g->leaf[l].path) : g->name;
}

static bool trains(const lg_group *g, int l) {
    return !g->leaf[l].is_state && g->leaf[l].alias < 0 && !g->frozen[l] &&
           g->value[l]->kind == LG_V_TENSOR && lg_dtype_is_float(g->value[l]->t.dtype);
}

/* ---- next values given by statements ---- */

static lg_binding *primed(lg_build *b, lg_sym name) {
    return lg_find_local(b->f, name, true);
}

static bool fits(lg_build *b, const lg_value *old, lg_value **next, const char *path, lg_span at) {
    lg_elab *E = b->E;
    lg_value *v = *next;
    if (v->kind == LG_V_ERROR)
        return false;
    bool fills = v->kind == LG_V_NUM || (v->kind == LG_V_TENSOR && v->t.weak);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, old->t.dtype, at);
    if (v->kind == LG_V_TENSOR && v->t.weak && v->t.dtype != old->t.dtype && v->t.dtype != LG_BOOL)
        v = lg_cast(E, v, old->t.dtype, at);
    bool same = v->kind == LG_V_TENSOR && v->t.dtype == old->t.dtype &&
                (v->t.rank == old->t.rank || (!v->t.rank && fills));
    for (int i = 0; same && v->t.rank && i < v->t.rank; i++)
        same = lg_dims_match(v->t.dim[i], old->t.dim[i]);
    if (!same) {
        lg_diag *d = lg_err(E, "E0427", at, "%s' is %s, but %s is %s", path,
                            lg_v_type_text(E, *next), path, lg_v_type_text(E, old));
        lg_diag_note(d, "what is kept from step to step keeps its type");
        return false;
    }
    if (b->g) {
        lg_value *r = lg_v_copy(E, old);
        r->t.node = lg_node_as(E, v, 0, NULL, old->t.rank, old->t.dim, at);
        *next = r;
    }
    return true;
}

static void prime_group(lg_build *b, lg_group *g, lg_binding *p) {
    lg_elab *E = b->E;
    lg_value *v = lg_force(E, b->f, p, p->at);
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE)
        return;
    if (g->is_param) {
        if (!g->frozen[0] && fits(b, g->value[0], &v, g->name, p->at))
            g->next[0] = v;
        return;
    }
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    if (v->kind != LG_V_RECORD && v->kind != LG_V_MODEL && v->kind != LG_V_LIST) {
        lg_err(E, "E0427", p->at, "%s' is a record of parameters, got %s", g->name,
               lg_v_type_text(E, v));
        return;
    }
    for (int k = 0; k < n; k++) {
        int l = 0;
        while (l < g->n && strcmp(g->leaf[l].path, leaf[k].path) != 0)
            l++;
        if (l == g->n) {
            lg_err(E, "E0312", p->at, "`%s` has no parameter `%s`", g->name, leaf[k].path);
            return;
        }
        if (g->leaf[l].alias >= 0)
            l = g->leaf[l].alias;
        if (g->frozen[l] || g->leaf[l].is_state)
            continue;
        lg_value *next = leaf[k].value;
        if (!fits(b, g->value[l], &next, leaf_path(E, g, l), p->at))
            return;
        g->next[l] = next;
    }
}

static void prime_states(lg_build *b) {
    lg_elab *E = b->E;
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        lg_binding *p = lg_is_word(s, "state") && s->name ? primed(b, s->name) : NULL;
        if (!p)
            continue;
        lg_value *v = lg_force(E, b->f, p, p->at);
        for (size_t k = 0; k < b->cell.n; k++) {
            lg_cell *c = &b->cell.at[k];
            if (strcmp(c->path, s->name) != 0 || v->kind == LG_V_ERROR)
                continue;
            lg_leaf *old, *new;
            int n = lg_v_leaves(E, c->now, &old), m = lg_v_leaves(E, v, &new);
            lg_value **next = LG_NEW_N(E->arena, lg_value *, n + 1);
            bool ok = n == m;
            for (int j = 0; ok && j < n; j++) {
                next[j] = new[j].value;
                ok = old[j].value->kind != LG_V_TENSOR ||
                     fits(b, old[j].value, &next[j], *old[j].path ? old[j].path : s->name, p->at);
            }
            if (n != m)
                lg_err(E, "E0427", p->at, "%s' is %s, but %s is %s", s->name, lg_v_type_text(E, v),
                       s->name, lg_v_type_text(E, c->now));
            else if (ok) {
                c->now = lg_v_rebuild(E, c->now, next);
                c->written = true;
            }
        }
    }
}

/* Primes of anything else have no meaning. */
static void stray_primes(lg_build *b) {
    for (lg_binding *p = b->f->names; p; p = p->next) {
        bool known = !p->prime;
        for (size_t i = 0; !known && i < b->group.n; i++)
            known = b->group.at[i].name == p->name;
        for (size_t i = 0; !known && i < b->body.n; i++)
            known = lg_is_word(b->body.at[i], "state") && b->body.at[i]->name == p->name;
        if (!known)
            lg_err(b->E, "E0421", p->at,
                   "%s' has no old value: only parts, params and states of a train are primed",
                   p->name);
    }
}

/* ---- the shorthand ---- */

typedef struct {
    int group, leaf;
    lg_value *grad;
    bool done;
} target;

typedef struct {
    LG_VEC(target) t;
} targets;

/* A record of leaves whose field names are whole paths below the group. */
static lg_value *flat(lg_build *b, const targets *all, int group, const bool *take, bool grads) {
    lg_elab *E = b->E;
    lg_value *r = lg_v_record(E, 0, b->at);
    for (size_t i = 0; i < all->t.n; i++)
        if (take[i]) {
            const lg_group *g = &b->group.at[all->t.at[i].group];
            if (group >= 0 && all->t.at[i].group != group)
                continue;
            lg_sym name =
                group < 0 ? leaf_path(E, g, all->t.at[i].leaf) : g->leaf[all->t.at[i].leaf].path;
            lg_v_set_field(E, r, lg_intern(*name ? name : "value"),
                           grads ? all->t.at[i].grad : g->value[all->t.at[i].leaf]);
        }
    return r;
}

/* Large variables are overwritten in place: their rules wait until the loss is known to be finite,
 * so that a step that fails can be looked at with the old values. */
static bool large(const lg_build *b) {
    size_t bytes = 0;
    for (size_t s = 0; s < b->slot.n; s++)
        if (b->slot.at[s].kind == LG_S_VAR) {
            const lg_type *t = b->slot.at[s].init->type;
            bytes += lg_type_count(t) * lg_dtype_size(t->dtype);
        }
    /* rules keep several times as much */
    return bytes > LG_IN_PLACE_BYTES / 4 || b->T->H->o.memory > 0;
}

static lg_node *finite(lg_build *b, lg_node *loss) {
    lg_node *yes = lg_g_elem(b->g, lg_op_find("isfinite"), 1, &loss, b->at);
    b->tested = lg_g_require(b->g, yes, LG_NOT_FINITE, b->at);
    return b->tested;
}

/* A loss that no trained parameter has a part in would train nothing, and say so nowhere. */
static bool trains_nothing(lg_build *b, const targets *all) {
    lg_elab *E = b->E;
    const lg_ast *s = b->loss.n ? b->loss.at[0] : NULL;
    const lg_ast *e = s && s->kid[LG_D_VALUE] ? s->kid[LG_D_VALUE] : s;
    const lg_group *g = &b->group.at[all->t.at[0].group];
    const char *first = leaf_path(E, g, all->t.at[0].leaf);
    size_t others = all->t.n - 1;
    lg_diag *d = lg_err(E, "E0447", e ? e->span : b->at,
                        "the loss has no derivative by any parameter that is trained");
    lg_diag_note(d, "trained %s `%s`%s", others ? "are" : "is", first,
                 !others       ? ""
                 : others == 1 ? " and one more"
                               : lg_txt(E, " and %zu more", others));
    lg_diag_help(d,
                 "compute it from them; nothing passes through `stop_grad`, comparisons, rounding "
                 "and integers");
    return false;
}

static bool gradients(lg_build *b, targets *all) {
    lg_elab *E = b->E;
    int n = (int)all->t.n;
    lg_node **x = LG_NEW_N(E->arena, lg_node *, n + 1), **dx = LG_NEW_N(E->arena, lg_node *, n + 1);
    for (int i = 0; i < n; i++) {
        lg_value *v = b->group.at[all->t.at[i].group].value[all->t.at[i].leaf];
        all->t.at[i].grad = lg_v_copy(E, v);
        x[i] = v->t.node;
    }
    if (b->g && n && b->total->kind == LG_V_NUM)
        return trains_nothing(b, all);
    if (!b->g || b->total->kind != LG_V_TENSOR)
        return true;
    lg_node *y = lg_import(E, b->total->t.node),
            *one = lg_g_scalar(b->g, b->total->t.dtype, 1.0, b->at);
    if (!lg_grad_vjp(E, b->g, 1, &y, &one, n, x, dx, b->at))
        return false;
    bool any = !n;
    for (int i = 0; i < n; i++)
        any = any || dx[i];
    if (!any)
        return trains_nothing(b, all);
    lg_node *tested = large(b) ? finite(b, y) : NULL;
    for (int i = 0; i < n; i++) {
        lg_node *d = dx[i] ? dx[i] : lg_g_fill(b->g, x[i]->type[0], 0.0, b->at);
        all->t.at[i].grad->t.node = tested ? lg_g_barrier(b->g, d, tested, b->at) : d;
    }
    return true;
}

/* Its value, and the expression that gives it. */
static lg_value *setting(lg_build *b, const char *name, const lg_ast **e) {
    lg_value *v = NULL;
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        if (s->kind == LG_A_SETTING && !strcmp(s->name, name))
            v = lg_schedule_now(b->E, lg_expr_in(b->E, b->f, *e = s->kid[0]));
    }
    return v;
}

static lg_value *norm_of(lg_build *b, const targets *all) {
    bool *take = LG_NEW_N(b->E->arena, bool, all->t.n + 1);
    for (size_t i = 0; i < all->t.n; i++)
        take[i] = true;
    lg_arg a = {NULL, flat(b, all, -1, take, true), NULL, b->at};
    return lg_reduce_axis(b->E, lg_intern("norm"), 1, &a, b->at);
}

/* Asked once a gradient was not finite: whose it was. */
static void each_finite(lg_build *b, const targets *all) {
    for (size_t i = 0; i < all->t.n; i++) {
        const target *t = &all->t.at[i];
        lg_value *grad = t->grad;
        lg_value *each = lg_elem_named(b->E, "isfinite", 1, &grad, b->at);
        lg_arg a = {NULL, each, NULL, b->at};
        lg_value *yes = lg_reduce_axis(b->E, lg_intern("all"), 1, &a, b->at);
        if (yes->kind == LG_V_TENSOR)
            lg_build_result(b, LG_R_FINITE, b->group.at[t->group].var[t->leaf], yes->t.node);
    }
}

/* One norm over all leaves of the shorthand. */
static void clip(lg_build *b, targets *all) {
    lg_elab *E = b->E;
    const lg_ast *e = NULL;
    lg_value *most = setting(b, "clip", &e);
    if (!most && !b->T->set.stop_nonfinite)
        return;
    lg_value *norm = norm_of(b, all);
    if (norm->kind != LG_V_TENSOR)
        return;
    if (b->g)
        lg_build_result(b, LG_R_NORM, 0, lg_g_cast(b->g, norm->t.node, LG_F64, b->at));
    if (b->g && b->T->asks_finite)
        each_finite(b, all);
    if (!most || most->kind == LG_V_ERROR)
        return;
    if (most->kind != LG_V_NUM && !(most->kind == LG_V_TENSOR && !most->t.rank)) {
        lg_err(E, "E0439", e->span, "`clip` is a number, got %s", lg_v_type_text(E, most));
        return;
    }
    double x;
    if (lg_v_static_real(E, most, &x) && !(x > 0)) {
        lg_err(E, "E0439", e->span, "`clip` is the largest norm of a gradient, above 0, got %g", x);
        return;
    }
    if (b->g && most->kind == LG_V_TENSOR) { /* known in the step alone */
        lg_value *fits = lg_binary(E, ">", most, lg_v_real(E, 0, e->span), e->span);
        if (fits->kind == LG_V_TENSOR)
            lg_g_require(b->g, lg_import(E, fits->t.node),
                         "`clip` is the largest norm of a gradient, above 0", e->span);
    }
    lg_value *in[2] = {lg_v_real(E, 1.0, b->at), NULL};
    lg_value *tiny = lg_v_real(E, 1e-30, b->at), *two[2] = {norm, tiny};
    in[1] = lg_binary(E, "/", most, lg_elem_named(E, "max", 2, two, b->at), b->at);
    lg_value *scale = lg_elem_named(E, "min", 2, in, b->at);
    for (size_t i = 0; i < all->t.n; i++) {
        lg_value *g = all->t.at[i].grad,
                 *r = lg_binary(E, "*", g, lg_cast(E, scale, g->t.dtype, b->at), b->at);
        if (r->kind == LG_V_TENSOR)
            all->t.at[i].grad = r;
    }
}

static lg_value *rule_of(lg_build *b, const lg_ast *s) {
    lg_elab *E = b->E;
    if (!s->kid[LG_D_VALUE]) {
        lg_diag *d = lg_err(E, "E0443", s->span, "an `optimizer` line of a train says which one");
        lg_diag_help(d, "write `optimizer = ...`; declare optimizers outside of the train");
        return lg_v_error(E, s->span);
    }
    lg_value *v = lg_expr_in(E, b->f, s->kid[LG_D_VALUE]);
    if (v->kind == LG_V_DECL && !strcmp(v->decl.decl->text, "optimizer"))
        v = lg_rule_make(E, v->decl.decl, v->decl.env, 0, NULL, s->span);
    if (v->kind != LG_V_RULE && v->kind != LG_V_ERROR) {
        lg_err(E, "E0208", s->kid[LG_D_VALUE]->span, "`optimizer` wants an optimizer, got %s",
               lg_v_type_text(E, v));
        return lg_v_error(E, s->span);
    }
    return v;
}

static void apply_rule(lg_build *b, targets *all, const lg_ast *s, lg_value *rule,
                       const bool *take) {
    lg_elab *E = b->E;
    for (size_t k = 0; k < b->group.n; k++) {
        lg_group *g = &b->group.at[k];
        lg_value *p = flat(b, all, (int)k, take, false), *d = flat(b, all, (int)k, take, true);
        if (!p->rec.n)
            continue;
        if (g->is_param) {
            p = p->rec.f[0].value;
            d = d->rec.f[0].value;
        }
        lg_sym was = E->target;
        E->target = g->name;
        lg_value *q = lg_rule_apply(E, rule, p, d, s->span);
        E->target = was;
        if (q->kind == LG_V_ERROR)
            return;
        lg_leaf *leaf;
        int n = lg_v_leaves(E, q, &leaf);
        for (int i = 0; i < n; i++)
            for (int l = 0; l < g->n; l++)
                if (!strcmp(g->is_param ? "" : g->leaf[l].path, leaf[i].path)) {
                    lg_value *next = leaf[i].value;
                    if (fits(b, g->value[l], &next, leaf_path(E, g, l), s->span))
                        g->next[l] = next;
                }
    }
}

static void uncovered(lg_build *b, const targets *all) {
    lg_elab *E = b->E;
    int missing = 0;
    const char *first = NULL;
    lg_span at = b->at;
    for (size_t i = 0; i < all->t.n; i++)
        if (!all->t.at[i].done) {
            const lg_group *g = &b->group.at[all->t.at[i].group];
            if (!missing++) {
                first = leaf_path(E, g, all->t.at[i].leaf);
                at = g->at;
            }
        }
    if (!missing || lg_diags_trouble(E->diags) != b->trouble)
        return;
    lg_diag *d = lg_err(
        E, "E0433", at, "no optimizer covers `%s`%s", first,
        missing > 1 ? lg_txt(E, " and %d more parameter%s", missing - 1, missing > 2 ? "s" : "")
                    : "");
    if (b->T->phase && b->T->phase->name)
        lg_diag_note(d, "in phase `%s`", b->T->phase->name);
    lg_diag_help(d, "add `optimizer = ...` for the rest, or `freeze` it");
}

/* Statements give all next values: an optimizer line would be ignored. */
static void nothing_left(lg_build *b) {
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        if (!lg_is_word(s, "optimizer") || s->kid[LG_D_BLOCK])
            continue;
        lg_diag *d = lg_err(b->E, "E0424", s->span, "this optimizer has nothing to update");
        for (size_t k = 0; k < b->group.n; k++) {
            lg_binding *p = primed(b, b->group.at[k].name);
            if (p)
                lg_diag_label(d, p->at, "the next value is given here");
        }
        lg_diag_help(d, "leave one of them out");
        return;
    }
}

static void selects_nothing(lg_build *b, const lg_ast *sel) {
    if (!lg_build_names(b, sel->text, false, sel->span))
        return;
    lg_diag *d = lg_err(b->E, "E0311", sel->span,
                        "selector `%s` matches no parameter that is trained", sel->text);
    lg_diag_note(d, "what it matches is frozen, or a statement gives its next value");
}

static void shorthand(lg_build *b) {
    lg_elab *E = b->E;
    targets all = {0};
    bool any_rule = false, any_primed = false;
    for (size_t i = 0; i < b->body.n; i++)
        any_rule =
            any_rule || (lg_is_word(b->body.at[i], "optimizer") && !b->body.at[i]->kid[LG_D_BLOCK]);
    for (size_t k = 0; k < b->group.n; k++) {
        any_primed = any_primed || b->group.at[k].primed;
        for (int l = 0; !b->group.at[k].primed && l < b->group.at[k].n; l++)
            if (trains(&b->group.at[k], l))
                LG_PUSH(all.t, ((target){.group = (int)k, .leaf = l}));
    }
    if (!any_rule) {
        if (b->loss.n && all.t.n && !any_primed)
            uncovered(b, &all);
        lg_free(all.t.at);
        return;
    }
    if (any_primed && !all.t.n) {
        nothing_left(b);
        lg_free(all.t.at);
        return;
    }
    if (!b->total) {
        lg_diag *d = lg_err(E, "E0434", b->at, "an `optimizer` line needs a `loss` line");
        lg_diag_help(d, "or write the update itself: `net' = rule(net, g)`");
        lg_free(all.t.at);
        return;
    }
    if (b->total->kind != LG_V_ERROR && gradients(b, &all)) {
        clip(b, &all);
        bool *take = LG_NEW_N(E->arena, bool, all.t.n + 1);
        for (size_t i = 0; i < b->body.n; i++) {
            const lg_ast *s = b->body.at[i];
            if (!lg_is_word(s, "optimizer") || s->kid[LG_D_BLOCK])
                continue;
            const lg_ast *sel = s->kid[LG_D_TARGET];
            bool matched = false;
            for (size_t t = 0; t < all.t.n; t++) {
                target *x = &all.t.at[t];
                bool hit = !sel || lg_path_matches(sel->text,
                                                   leaf_path(E, &b->group.at[x->group], x->leaf));
                matched = matched || hit;
                take[t] = hit && !x->done;
                x->done = x->done || hit;
            }
            if (sel && !matched)
                selects_nothing(b, sel);
            lg_value *rule = rule_of(b, s);
            if (rule->kind == LG_V_RULE)
                apply_rule(b, &all, s, rule, take);
        }
        uncovered(b, &all);
    }
    lg_free(all.t.at);
}

/* ---- all of it ---- */

static void var_result(lg_build *b, int var, const lg_value *next) {
    if (!b->g || var < 0 || !next || next->kind != LG_V_TENSOR || !next->t.node)
        return;
    lg_node *n = lg_import(b->E, next->t.node);
    for (size_t s = 0; s < b->slot.n; s++)
        if (b->slot.at[s].kind == LG_S_VAR && b->slot.at[s].index == var && b->g->input.at[s] == n)
            return; /* unchanged */
    lg_build_result(b, LG_R_VAR, var, n);
}

bool lg_build_update(lg_build *b) {
    lg_elab *E = b->E;
    size_t errors = E->diags->errors;
    lg_frame *was = E->frame;
    E->frame = b->f;
    for (size_t k = 0; k < b->group.n; k++) {
        lg_binding *p = primed(b, b->group.at[k].name);
        if (p) {
            b->group.at[k].primed = true;
            prime_group(b, &b->group.at[k], p);
        }
    }
    shorthand(b);
    prime_states(b);
    stray_primes(b);
    if (b->total && b->total->kind == LG_V_TENSOR && b->g)
        lg_build_result(b, LG_R_LOSS, 0,
                        lg_g_cast(b->g, lg_import(E, b->total->t.node), LG_F64, b->at));
    for (size_t k = 0; k < b->group.n && E->diags->errors == errors; k++)
        for (int l = 0; l < b->group.at[k].n; l++)
            var_result(b, b->group.at[k].var[l], b->group.at[k].next[l]);
    for (size_t k = 0; k < b->cell.n && E->diags->errors == errors; k++) {
        lg_cell *c = &b->cell.at[k];
        lg_leaf *leaf;
        int n = c->written ? lg_v_leaves(E, c->now, &leaf) : 0;
        for (int i = 0; i < n && i < c->n; i++)
            var_result(b, c->var[i], leaf[i].value);
    }
    E->frame = was;
    return E->diags->errors == errors;
}
