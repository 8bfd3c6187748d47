/* call_loss.c: what a call of a loss has besides its body: weights of its terms, and states that
 * are hidden in it. Called by call.c. */
#include "compiler/mid/calling.h"
#include <string.h>

/* ---- losses ---- */

lg_value *lg_call_times_weight(lg_elab *E, lg_value *term, lg_value *weight, lg_span at) {
    if (weight->kind == LG_V_TENSOR && term->kind == LG_V_TENSOR &&
        weight->t.dtype != term->t.dtype && !weight->t.weak)
        weight = lg_cast(E, weight, term->t.dtype, at);
    lg_value *bare = lg_v_copy(E, term), *own = term->weight;
    bare->weight = NULL;
    lg_value *r = lg_binary(E, "*", bare, weight, at);
    if (r->kind == LG_V_ERROR)
        return r;
    if (r->kind == LG_V_TENSOR && term->kind == LG_V_TENSOR && r->t.rank != term->t.rank) {
        lg_diag *d = lg_err(E, "E0203", weight->at.file ? weight->at : at,
                            "`weight` is %s, and there is one term for each of %s",
                            lg_v_type_text(E, weight), lg_v_type_text(E, term));
        lg_diag_note(d, "a weight has the dims of the terms, or fewer of them");
        return lg_v_error(E, at);
    }
    r = lg_v_copy(E, r);
    r->weight = own ? lg_binary(E, "*", own, weight, at) : weight;
    return r;
}

/* The weights that a loss gives with its terms, in the dtype of these; their dims are those of the
 * terms, or fewer. Terms that are one number may have weights of any dims. */
static lg_value *own_weight(lg_elab *E, lg_value *term, lg_value *w, lg_span at) {
    w = lg_arrayed(E, w, at);
    if (w->kind == LG_V_ERROR || w->kind == LG_V_OPAQUE)
        return w;
    bool many = term->kind == LG_V_TENSOR && term->t.rank;
    if (w->kind != LG_V_TENSOR && (many || w->kind != LG_V_NUM)) {
        lg_diag *d = lg_err(E, "E0203", at, "`weight` of a loss is %s, and its `term` %s",
                            lg_v_type_text(E, w), lg_v_type_text(E, term));
        lg_diag_note(d, "a weight has the dims of the terms, or fewer of them");
        return lg_v_error(E, at);
    }
    if (term->kind == LG_V_TENSOR && w->kind == LG_V_TENSOR && w->t.dtype != term->t.dtype)
        w = lg_cast(E, w, term->t.dtype, at);
    if (!many || !w->t.rank)
        return w;
    lg_value *both = lg_binary(E, "*", term, w, at);
    if (both->kind == LG_V_TENSOR && both->t.rank != term->t.rank) {
        lg_err(E, "E0203", at, "`weight` of a loss is %s, and its `term` %s", lg_v_type_text(E, w),
               lg_v_type_text(E, term));
        return lg_v_error(E, at);
    }
    return both->kind == LG_V_ERROR ? both : w;
}

lg_value *lg_loss_terms(lg_elab *E, lg_value *v, lg_span at) {
    static lg_sym term, weight;
    if (!term) {
        term = lg_intern("term");
        weight = lg_intern("weight");
    }
    if (v->kind != LG_V_RECORD || v->rec.n != 2)
        return v;
    lg_value *t = lg_v_field(v, term), *w = lg_v_field(v, weight);
    if (!t || !w)
        return v;
    t = lg_arrayed(E, t, at);
    w = own_weight(E, t, w, at);
    if (w->kind == LG_V_ERROR)
        return w;
    lg_value *r = lg_v_copy(E, t);
    r->weight = w;
    return r;
}

/* States of a loss: the frame that binds them, around the body. */
lg_frame *lg_call_loss_states(lg_elab *E, const lg_ast *decl, lg_frame *f) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    LG_VEC(const lg_ast *) state = {0};
    for (uint32_t i = 0; block && block->kind == LG_A_BLOCK && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_DECL && !strcmp(block->kid[i]->text, "state"))
            LG_PUSH(state, block->kid[i]);
    if (!state.n)
        return f;
    lg_instance *inst = LG_NEW(E->arena, lg_instance);
    inst->n = (int)state.n;
    inst->state = LG_NEW_N(E->arena, lg_instance_state, state.n);
    lg_value **init = LG_NEW_N(E->arena, lg_value *, state.n);
    for (size_t i = 0; i < state.n; i++) {
        init[i] = lg_initial(E, f, state.at[i]);
        inst->state[i] = (lg_instance_state){
            state.at[i]->name, lg_txt(E, "loss.%s.%s", decl->name, state.at[i]->name), init[i]};
    }
    lg_free(state.at);
    lg_frame *s = lg_frame_new(E, LG_F_MODEL, f);
    s->caller = f->caller;
    lg_instance_bind(E, s, inst, init);
    lg_frame *body = lg_frame_new(E, LG_F_FN, s);
    body->self = s;
    body->decl = f->decl;
    body->caller = f->caller;
    body->call_at = f->call_at;
    body->path_hash = f->path_hash;
    body->float_dtype = f->float_dtype;
    return body;
}
