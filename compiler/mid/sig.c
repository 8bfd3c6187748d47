/* sig.c: dims of signatures: which names are bound, which are in view, and dim expressions. Not for
 * what fits a type (types.c). */
#include "compiler/mid/sig.h"
#include <string.h>

/* Top-level functions and optimizers bind every name their arguments can bind; members, lambdas and
 * local functions mean the dim in view. */
static bool sees_outward(const lg_frame *f) {
    bool callable = f->kind == LG_F_FN || f->kind == LG_F_RULE;
    return !callable || f->self || (f->up && f->up->kind != LG_F_MODULE);
}

lg_dim *lg_sig_own(lg_elab *E, lg_frame *f, lg_sym name) {
    for (size_t i = f->dims.n; i-- > 0;)
        if (f->dims.at[i].name == name)
            return f->dims.at[i].dim;
    lg_binding *b = lg_find_local(f, name, false);
    if (!b)
        return NULL;
    lg_value *v = lg_force(E, f, b, b->at);
    if (v->kind == LG_V_NUM && v->num.dim)
        return v->num.dim;
    int64_t n;
    return lg_v_static_int(E, v, &n) && n >= 0 ? lg_dim_num(E->dims, n) : NULL;
}

lg_dim *lg_sig_dim(lg_elab *E, lg_frame *f, lg_sym name, bool binding) {
    lg_dim *d = lg_sig_own(E, f, name);
    if (d || (binding && !sees_outward(f)))
        return d;
    d = f->up ? lg_lookup_dim(E, f->up, name) : NULL;
    return d || !f->self || f->self == f ? d : lg_lookup_dim(E, f->self, name);
}

void lg_sig_add(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *d) {
    lg_frame_add_dim(E, f, name, d);
}

int lg_sig_unknown(lg_checking *c, const lg_ast *e, lg_sym *out, int n, int max) {
    if (e->kind == LG_A_NAME) {
        for (int i = 0; i < n; i++)
            if (out[i] == e->name)
                return n;
        bool value = lg_find_local(c->f, e->name, false) ||
                     (sees_outward(c->f) && lg_lookup_user(c->E, c->f->up, e->name));
        if (n < max && !value && !lg_sig_dim(c->E, c->f, e->name, c->binding))
            out[n++] = e->name;
        return n;
    }
    bool letter = e->kind == LG_A_CALL && e->n == 2 && e->kid[1]->kind == LG_A_NAME &&
                  lg_sig_letter(c->E, c->f, e->kid[1]->name); /* count(R) */
    for (uint32_t i = e->kind == LG_A_CALL ? 1 : 0; i < e->n && !letter; i++)
        if (e->kid[i])
            n = lg_sig_unknown(c, e->kid[i], out, n, max);
    return n;
}

/* R, or R[S]: as many as the stack has. */
static lg_dim *count_opaque(lg_elab *E, const lg_value *v) {
    lg_dim *n = lg_dim_opaque(E->dims, lg_txt(E, "count(%s)", v->opaque.name), false, 0);
    if (v->opaque.rank < 0)
        return lg_dim_var(E->dims, lg_intern("n"), v->at);
    for (int i = 0; i < v->opaque.rank; i++)
        n = lg_dim_mul(E->dims, n, v->opaque.dim[i]);
    return n;
}

lg_dim *lg_sig_count(lg_elab *E, const lg_value *v) {
    if (v->kind == LG_V_OPAQUE)
        return count_opaque(E, v);
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    lg_dim *sum = lg_dim_num(E->dims, 0);
    for (int k = 0; k < n; k++) {
        lg_dim *one = lg_dim_num(E->dims, 1);
        for (int i = 0; leaf[k].value->kind == LG_V_TENSOR && i < leaf[k].value->t.rank; i++)
            one = lg_dim_mul(E->dims, one, leaf[k].value->t.dim[i]);
        if (leaf[k].value->kind == LG_V_OPAQUE)
            one = count_opaque(E, leaf[k].value);
        sum = lg_dim_add(E->dims, sum, one);
    }
    return sum;
}

lg_sym lg_sig_letter_key(lg_elab *E, lg_sym name) {
    return lg_txt(E, "type %s", name);
}

lg_value *lg_sig_letter(lg_elab *E, lg_frame *f, lg_sym name) {
    lg_sym key = lg_sig_letter_key(E, name);
    for (; f; f = f->up) {
        lg_binding *b = lg_find_local(f, key, false);
        if (b)
            return b->value;
    }
    return NULL;
}

static lg_dim *binary_dim(lg_elab *E, const lg_ast *e, lg_dim *a, lg_dim *b) {
    if (!strcmp(e->name, "+"))
        return lg_dim_add(E->dims, a, b);
    if (!strcmp(e->name, "-"))
        return lg_dim_sub(E->dims, a, b);
    if (!strcmp(e->name, "*"))
        return lg_dim_mul(E->dims, a, b);
    lg_dim *r =
        !strcmp(e->name, "/") ? lg_dim_div(E->dims, a, b) : lg_dim_fn(E->dims, e->name, a, b);
    if (r)
        return r;
    int64_t x, y;
    lg_diag *d = lg_err(E, "E0214", e->span, "%s does not divide %s", lg_dim_text(E->arena, b),
                        lg_dim_text(E->arena, a));
    if (lg_dim_value(a, &x) && lg_dim_value(b, &y))
        lg_diag_note(d, "here that is %lld / %lld", (long long)x, (long long)y);
    return NULL;
}

/* What a name of f stands for, as the caller of f would write it; the name itself otherwise. */
static lg_sym outer_name(lg_elab *E, lg_frame *f, lg_sym name) {
    double x;
    const lg_frame *call = f;
    while (call->up && (call->kind == LG_F_BLOCK || call->kind == LG_F_SCAN))
        call = call->up;
    lg_dim *d = lg_lookup_dim(E, f, name);
    lg_value *v = d || !lg_lookup_user(E, f, name) ? NULL : lg_lookup(E, f, name, (lg_span){0});
    if (v && v->kind == LG_V_NUM && v->num.dim)
        d = v->num.dim;
    if (d) {
        d = call->caller ? lg_dim_seen_from(E, call->caller, d) : d;
        const char *text = lg_dim_text(E->arena, d);
        return lg_intern(strpbrk(text, " *+-/%(") ? lg_txt(E, "(%s)", text) : text);
    }
    return v && v->kind == LG_V_NUM && lg_v_static_real(E, v, &x) ? lg_intern(lg_txt(E, "%.15g", x))
                                                                  : name;
}

static lg_ast *in_outer_names(lg_elab *E, lg_frame *f, const lg_ast *e) {
    lg_ast *r = lg_arena_dup(E->arena, e, sizeof *e);
    if (e->kind == LG_A_NAME)
        r->name = outer_name(E, f, e->name);
    r->kid = LG_NEW_N(E->arena, lg_ast *, e->n + 1);
    for (uint32_t i = 0; i < e->n; i++) {
        bool head = i == 0 && e->kind == LG_A_CALL;
        r->kid[i] = e->kid[i] && !head ? in_outer_names(E, f, e->kid[i]) : e->kid[i];
    }
    return r;
}

const char *lg_outer_text(lg_elab *E, lg_frame *f, const lg_ast *e) {
    lg_ast bare = *in_outer_names(E, f, e);
    bare.flags = (uint16_t)(bare.flags & ~LG_AF_PAREN);
    return lg_ast_text(E->arena, &bare);
}

lg_dim *lg_dim_written(lg_elab *E, lg_frame *f, const lg_ast *e) {
    return lg_dim_opaque(E->dims, lg_intern(lg_outer_text(E, f, e)), false, 0);
}

/* Anything else that gives an integer. */
static lg_dim *computed_dim(lg_elab *E, lg_frame *f, const lg_ast *e) {
    lg_value *v = lg_expr_in(E, f, e);
    if (v->kind == LG_V_NUM && !v->num.known && !v->num.dim && !v->num.is_bool)
        return lg_dim_written(E, f, e);
    return lg_v_to_dim(E, v, e->span);
}

lg_dim *lg_dim_expr(lg_elab *E, lg_frame *f, const lg_ast *e) {
    if (e->kind == LG_A_NAME) {
        lg_dim *d = lg_sig_dim(E, f, e->name, false);
        if (d)
            return d;
        lg_value *v = lg_lookup(E, f, e->name, e->span);
        if (v)
            return lg_v_to_dim(E, v, e->span);
        lg_diag *g = lg_err(E, "E0302", e->span, "no dim is called `%s` here", e->name);
        lg_diag_help(g,
                     "dims come from the arguments, from parameters of the model, or from a line "
                     "`dim %s = ...`",
                     e->name);
        return NULL;
    }
    if (e->kind == LG_A_BINARY && strchr("+-*/%", e->name[0])) {
        lg_dim *a = lg_dim_expr(E, f, e->kid[0]);
        lg_dim *b = lg_dim_expr(E, f, e->kid[1]);
        return a && b ? binary_dim(E, e, a, b) : NULL;
    }
    if (e->kind == LG_A_CALL && e->n == 2 && e->kid[0]->kind == LG_A_NAME &&
        e->kid[1]->kind == LG_A_NAME && !strcmp(e->kid[0]->name, "count")) {
        lg_value *v = lg_sig_letter(E, f, e->kid[1]->name);
        if (v)
            return lg_sig_count(E, v);
    }
    if (e->kind == LG_A_CALL && e->n == 3 && e->kid[0]->kind == LG_A_NAME &&
        (!strcmp(e->kid[0]->name, "min") || !strcmp(e->kid[0]->name, "max"))) {
        lg_dim *a = lg_dim_expr(E, f, e->kid[1]);
        lg_dim *b = lg_dim_expr(E, f, e->kid[2]);
        return a && b ? lg_dim_fn(E->dims, e->kid[0]->name, a, b) : NULL;
    }
    return computed_dim(E, f, e);
}
