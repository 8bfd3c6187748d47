/* call_schedule.c: schedules: functions that also see the position of the step. One built outside a
 * train is postponed until a step asks. Called by call.c. */
#include "compiler/mid/calling.h"
#include <string.h>

/* ---- schedules ---- */

bool lg_is_schedule(const lg_value *v) {
    return v->kind == LG_V_FN && v->fn.bound;
}

bool lg_call_has_step(const lg_elab *E) {
    return E->step && E->step->step;
}

static void bind_given(lg_elab *E, lg_frame *f, const char *name, lg_value *v) {
    if (v)
        lg_bind(E, f, lg_intern(name), v, v->at);
}

/* What a schedule sees besides its parameters. */
void lg_call_bind_step(lg_elab *E, lg_frame *f) {
    bind_given(E, f, "step", E->step->step);
    bind_given(E, f, "epoch", E->step->epoch);
    bind_given(E, f, "steps", E->step->steps);
}

lg_value *lg_call_weakened(lg_elab *E, lg_value *v) {
    if (v->kind != LG_V_TENSOR || v->t.rank)
        return v;
    v = lg_v_copy(E, v);
    v->t.weak = true;
    return v;
}

lg_value *lg_schedule_now(lg_elab *E, lg_value *v) {
    if (!lg_is_schedule(v) || !lg_call_has_step(E))
        return v;
    if (v->fn.decl->kind == LG_A_LAMBDA)
        return lg_call_weakened(E, lg_expr_in(E, v->fn.env, v->fn.decl->kid[2]));
    int n = v->fn.bound->rec.n;
    lg_arg *arg = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++)
        arg[i] = (lg_arg){v->fn.bound->rec.f[i].name, v->fn.bound->rec.f[i].value, NULL,
                          v->fn.bound->rec.f[i].at};
    return lg_call_decl(E, v->fn.decl, v->fn.env, NULL, n, arg, v->at);
}

/* a op b where one of them waits for its step: so does the result. */
lg_value *lg_schedule_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at) {
    lg_frame *env = lg_frame_new(E, LG_F_FN, E->frame);
    lg_ast *body = lg_ast_new(E->arena, LG_A_BINARY, at, 2);
    body->name = lg_intern(op);
    static const char *const names[2] = {"left", "right"};
    for (int i = 0; i < 2; i++) {
        body->kid[i] = lg_ast_new(E->arena, LG_A_NAME, (i ? b : a)->at, 0);
        body->kid[i]->name = lg_intern(names[i]);
        lg_bind(E, env, body->kid[i]->name, i ? b : a, at);
    }
    lg_ast *fn = lg_ast_new(E->arena, LG_A_LAMBDA, at, 3);
    fn->kid[0] = lg_ast_new(E->arena, LG_A_PARAMS, at, 0);
    fn->kid[2] = body;
    lg_value *v = lg_v_new(E, LG_V_FN, at);
    v->fn.decl = fn;
    v->fn.env = env;
    v->fn.bound = lg_v_record(E, 0, at);
    return v;
}

/* Outside a train a call of a schedule keeps its arguments, checked, for later. */
lg_value *lg_call_postponed(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                            lg_span at) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    lg_value *v = lg_v_new(E, LG_V_FN, at);
    v->fn.decl = decl;
    v->fn.env = env;
    v->fn.bound = lg_v_record(E, 0, at);
    uint32_t next = 0;
    for (int i = 0; i < n; i++) {
        lg_sym name = arg[i].name ? arg[i].name : params->kid[next++]->name;
        lg_v_set_field(E, v->fn.bound, name, arg[i].value);
    }
    return v;
}

/* Where a schedule stands, said by an argument: step=, epoch= or steps=. NULL: another name. */
lg_value **lg_call_place_in(lg_step *step, const char *name) {
    return !strcmp(name, "step")    ? &step->step
           : !strcmp(name, "epoch") ? &step->epoch
           : !strcmp(name, "steps") ? &step->steps
                                    : NULL;
}

/* A number of a step: an integer that takes the dtype around it. NULL after reporting. */
lg_value *lg_call_step_number(lg_elab *E, const lg_arg *a) {
    lg_value *v = a->value;
    bool fits = v->kind == LG_V_NUM
                    ? v->num.is_int || !v->num.known
                    : v->kind == LG_V_TENSOR && !v->t.rank && lg_dtype_is_int(v->t.dtype);
    if (fits)
        return v->kind == LG_V_TENSOR ? lg_call_weakened(E, lg_cast(E, v, LG_I64, a->at)) : v;
    if (v->kind != LG_V_ERROR) {
        lg_diag *d = lg_err(E, "E0205", a->at, "`%s` of a schedule is an integer, got %s",
                            a->name ? a->name : "step", lg_v_type_text(E, v));
        if (v->kind == LG_V_TENSOR && v->t.rank)
            lg_diag_help(d, "for a value of each write `let lr[i] = schedule(step=s[i])`");
    }
    return NULL;
}

/* `s(step=10)`: a schedule at a step that is said. */
lg_value *lg_call_schedule_at(lg_elab *E, lg_value *s, int n, const lg_arg *arg, lg_span at) {
    lg_step step = E->step ? *E->step : (lg_step){0};
    for (int i = 0; i < n; i++) {
        lg_value **to = lg_call_place_in(&step, arg[i].name ? arg[i].name : i ? "" : "step");
        if (to) {
            *to = lg_call_step_number(E, &arg[i]);
            if (!*to)
                return lg_v_error(E, at);
        } else {
            lg_err(E, "E0322", lg_arg_at(&arg[i]),
                   "a schedule takes `step`, `epoch` and `steps` here");
            return lg_v_error(E, at);
        }
    }
    lg_step *was = E->step;
    E->step = &step;
    lg_value *v = lg_schedule_now(E, s);
    E->step = was;
    return v;
}
