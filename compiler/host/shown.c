/* shown.c: effects in `when` and `eval`: which values of a step they show, and under which
 * condition. What an effect does with them is in effect.c; when it happens, in plan.c. */
#include "compiler/host/train.h"
#include <string.h>

static void show_expr(lg_build *b, const lg_ast *e) {
    lg_elab *E = b->E;
    lg_value *v = lg_expr_in(E, b->f, e);
    lg_shown s = {.e = e, .v = v, .first = (int)b->result.n};
    lg_leaf *leaf;
    int n = v->kind == LG_V_ERROR ? 0 : lg_v_leaves(E, v, &leaf);
    for (int i = 0; b->g && i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR && leaf[i].value->t.node)
            lg_build_result(b, LG_R_VALUE, 0, lg_import(E, leaf[i].value->t.node));
    LG_PUSH(b->shown, s);
}

void lg_build_show(lg_build *b, const lg_ast *s, lg_value *cond) {
    lg_action a = {.effect = s, .cond_result = -1};
    if (cond && cond->kind == LG_V_TENSOR && cond->t.node) {
        a.cond = lg_import(b->E, cond->t.node);
        a.cond_result = lg_build_result(b, LG_R_VALUE, 0, a.cond);
    }
    LG_PUSH(b->action, a);
    if (!b->effects && b->g)
        return;
    for (uint32_t i = 0; i < s->n; i++) {
        const lg_ast *e = s->kid[i];
        if (e->kind == LG_A_STR) {
            for (uint32_t k = 0; k < e->n; k++)
                if (e->kid[k]->kind == LG_A_INTERP)
                    show_expr(b, e->kid[k]->kid[0]);
        } else if (e->kind != LG_A_EVERY) {
            show_expr(b, e);
        }
    }
}

static lg_value *both(lg_build *b, lg_value *outer, lg_value *c, bool negate, lg_span at) {
    lg_elab *E = b->E;
    lg_frame *was = E->frame;
    E->frame = b->f;
    if (negate)
        c = lg_unary(E, "not", c, at);
    c = outer ? lg_binary(E, "and", outer, c, at) : c;
    E->frame = was;
    return c;
}

void lg_build_when(lg_build *b, const lg_ast *s, lg_value *outer) {
    lg_elab *E = b->E;
    bool any = false;
    for (int k = 1; k < 3; k++)
        for (uint32_t i = 0; s->kid[k] && i < (s->kid[k]->kind == LG_A_WHEN ? 1 : s->kid[k]->n);
             i++) {
            const lg_ast *x = s->kid[k]->kind == LG_A_WHEN ? s->kid[k] : s->kid[k]->kid[i];
            any = any || x->kind == LG_A_EFFECT || x->kind == LG_A_WHEN;
        }
    if (!any)
        return;
    lg_value *c = lg_expr_in(E, b->f, s->kid[0]);
    bool is_bool = c->kind == LG_V_NUM
                       ? c->num.is_bool
                       : c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL && !c->t.rank;
    if (!is_bool && c->kind != LG_V_ERROR) {
        lg_err(E, "E0206", s->kid[0]->span, "`when` wants one bool, got %s", lg_v_type_text(E, c));
        return;
    }
    bool yes;
    for (int k = 1; k < 3; k++) {
        const lg_ast *block = s->kid[k];
        if (!block || c->kind == LG_V_ERROR)
            continue;
        if (lg_v_static_bool(E, c, &yes) && yes == (k == 2))
            continue;
        lg_value *here = both(b, outer, c, k == 2, s->span);
        if (block->kind == LG_A_WHEN) {
            lg_build_when(b, block, here);
            continue;
        }
        for (uint32_t i = 0; i < block->n; i++)
            if (block->kid[i]->kind == LG_A_EFFECT)
                lg_build_show(b, block->kid[i], here);
            else if (block->kid[i]->kind == LG_A_WHEN)
                lg_build_when(b, block->kid[i], here);
    }
}

static bool is_save(const lg_ast *s) {
    return s->kind == LG_A_EFFECT && !strcmp(s->name, "save") && s->n &&
           s->kid[s->n - 1]->kind == LG_A_EVERY;
}

void lg_build_effects(lg_build *b) {
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        if (s->kind == LG_A_WHEN)
            lg_build_when(b, s, NULL);
        else if (s->kind == LG_A_EFFECT && !is_save(s) && !(s->n == 1 && !strcmp(s->name, "save")))
            lg_build_show(b, s, NULL);
    }
}
