/* calling.h: what call.c asks of the files beside it: schedules, losses, foreign functions. Nobody
 * else includes this. */
#ifndef LG_CALLING_H
#define LG_CALLING_H
#include "compiler/mid/model.h"

lg_value **lg_call_place_in(lg_step *step, const char *name);
lg_value *lg_call_step_number(lg_elab *E, const lg_arg *a);
bool lg_call_has_step(const lg_elab *E);
lg_value *lg_call_postponed(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                           lg_span at);
void lg_call_bind_step(lg_elab *E, lg_frame *f);
lg_value *lg_call_weakened(lg_elab *E, lg_value *v);
lg_value *lg_call_schedule_at(lg_elab *E, lg_value *s, int n, const lg_arg *arg, lg_span at);
lg_frame *lg_call_loss_states(lg_elab *E, const lg_ast *decl, lg_frame *f);
lg_value *lg_call_times_weight(lg_elab *E, lg_value *term, lg_value *weight, lg_span at);
lg_value *lg_call_foreign(lg_elab *E, lg_frame *f, const lg_ast *decl, lg_span at);
#endif
