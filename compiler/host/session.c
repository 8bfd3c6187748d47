/* session.c: a program that is given piece by piece: statements, arrays that come in under a name,
 * expressions whose arrays go out. For the C interface and the prompt; files run in host.c. */
#include "compiler/host/inside.h"
#include <stdio.h>

/* Host code of module m from here to lg_host_leave. */
static lg_context enter(lg_elab *E, lg_module *m) {
    lg_host_attach(E, NULL);
    lg_host *H = lg_host_of(E);
    H->main = m;
    if (!H->keep) {
        lg_pool_init(H->o.threads);
        H->keep = lg_graph_new(NULL);
    }
    E->g = H->keep;
    lg_context c = lg_host_enter(E, H->keep, true);
    E->frame = m->frame;
    E->step = &H->step;
    return c;
}

void lg_host_start(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    lg_host_attach(E, o);
    lg_host_afresh(E);
    lg_host_foresee(E, m);
}

void lg_host_detach(lg_elab *E) {
    lg_host *H = E->host_ctx;
    if (!H)
        return;
    lg_host_flush(E);
    lg_graph_free(H->keep);
    H->keep = NULL;
}

bool lg_host_statement(lg_elab *E, lg_module *m, const lg_ast *s, bool show) {
    size_t errors = E->diags->errors;
    lg_context c = enter(E, m);
    if (show && s->kind == LG_A_EXPR) {
        lg_value *v = lg_host_expr(E, m->frame, s->kid[0]);
        lg_buf b = {0};
        if (v->kind != LG_V_NONE && v->kind != LG_V_ERROR)
            lg_format_array(E, &b, v);
        if (b.n)
            puts(b.at);
        lg_buf_free(&b);
    } else if (s->kind == LG_A_DECL && s->name) {
        lg_bind(E, m->frame, s->name, NULL, s->name_span);
        m->frame->names->state = LG_B_PENDING;
        m->frame->names->stmt = s;
        if (lg_host_runs_at_top(s))
            lg_force(E, m->frame, m->frame->names, s->span);
    } else {
        lg_host_do(E, m->frame, s);
    }
    lg_host_flush(E);
    lg_host_leave(E, &c);
    return E->diags->errors == errors;
}

void lg_host_bind(lg_elab *E, lg_module *m, lg_sym name, lg_tensor *x) {
    lg_context c = enter(E, m);
    lg_bind(E, m->frame, name, lg_host_array(E, x, NULL, (lg_span){0}), (lg_span){0});
    lg_host_leave(E, &c);
}

lg_tensor *lg_host_array_of(lg_elab *E, lg_module *m, const lg_ast *e) {
    lg_context c = enter(E, m);
    size_t errors = E->diags->errors;
    lg_value *v = lg_host_expr(E, m->frame, e);
    lg_tensor *made = NULL, *x = E->diags->errors == errors ? lg_host_tensor(E, v, &made) : NULL;
    if (!x && E->diags->errors == errors)
        lg_err(E, "E0208", e->span, "an array or a number is wanted here, got %s",
               lg_v_type_text(E, v));
    lg_host_leave(E, &c);
    return x && !made ? lg_tensor_retain(x) : x;
}
