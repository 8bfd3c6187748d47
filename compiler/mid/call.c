/* call.c: what may be called, and the binding of arguments to parameters. A call elaborates the
 * body with its own names for dims; its result is seen with those of the caller. Calls form a DAG.
 * Not for types (types.c) and not for what models, rules and quantizers do when called. */
#include "compiler/mid/calling.h"
#include "compiler/mid/traced.h"
#include "compiler/mid/uncovered.h"
#include <string.h>

enum { MAX_DEPTH = 160 };

/* ---- calls of declarations ---- */

/* The chain of calls in which this one stands. Out of a lambda one looks at where it was made: what
 * runs it is not what its text is part of. */
static lg_frame *calling(lg_frame *f) {
    if (f->kind == LG_F_FN && !(f->decl && f->decl->kind == LG_A_LAMBDA) && f->caller)
        return f->caller;
    return f->up ? f->up : f->caller;
}

static bool recursion(lg_elab *E, const lg_ast *decl, const lg_frame *self, lg_span at) {
    lg_frame *hit = NULL;
    int steps = 0;
    for (lg_frame *f = E->frame; f && !hit && steps < 100000; f = calling(f), steps++)
        if (f->decl == decl && f->kind == LG_F_FN && (!self || f->self == self))
            hit = f;
    if (!hit)
        return false;
    lg_buf chain = {0};
    lg_frame *f = E->frame;
    LG_VEC(const char *) names = {0};
    for (; f; f = calling(f)) {
        if (f->kind == LG_F_FN && f->decl && f->decl->name)
            LG_PUSH(names, f->decl->name);
        if (f == hit)
            break;
    }
    for (size_t i = names.n; i-- > 0;)
        lg_buf_printf(&chain, "%s -> ", names.at[i]);
    lg_buf_printf(&chain, "%s", decl->name);
    lg_free(names.at);
    lg_diag *d = lg_err(E, "E0326", at, "`%s` calls itself", decl->name);
    lg_diag_note(d, "%s", chain.at);
    lg_diag_help(d, "repeat with `scan`, or with `static for` over a list");
    lg_buf_free(&chain);
    return true;
}

static lg_frame *call_frame(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self,
                            lg_span at) {
    lg_frame *f = lg_frame_new(E, LG_F_FN, env);
    f->decl = decl;
    f->self = self;
    f->call_at = at;
    if (env && (env->kind == LG_F_MODULE))
        f->float_dtype = E->frame ? E->frame->float_dtype : E->float_dtype;
    uint64_t place = E->frame ? lg_next_place(E->frame) : 0;
    if (self)
        place = lg_hash_mix(place, self->path_hash);
    f->path_hash = decl->name ? lg_hash(decl->name, strlen(decl->name), place) : place;
    return f;
}

/* Has the model, quantizer or loss of this frame a state of that name (perhaps guarded out)? */
static bool has_state(const lg_frame *self, lg_sym name) {
    const lg_instance *inst = self->ext;
    for (int i = 0; inst && i < inst->n; i++)
        if (inst->state[i].name == name)
            return true;
    const lg_ast *block = self->decl ? self->decl->kid[LG_D_BLOCK] : NULL;
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (s->kind == LG_A_DECL && s->name == name && !strcmp(s->text, "state"))
            return true;
    }
    return false;
}

static const char *nearest_state(lg_elab *E, const lg_frame *self, lg_sym name) {
    const lg_instance *inst = self ? self->ext : NULL;
    const char **names = LG_NEW_N(E->arena, const char *, inst ? inst->n + 1 : 1);
    for (int i = 0; inst && i < inst->n; i++)
        names[i] = inst->state[i].name;
    return lg_nearest(name, names, inst ? (size_t)inst->n : 0);
}

/* What the body primes must be states of the instance it belongs to; said before anything reads
 * them. */
static void only_states_are_primed(lg_elab *E, const lg_frame *f) {
    for (const lg_binding *b = f->names; b; b = b->next) {
        if (!b->prime || (f->self && f->self->kind == LG_F_MODEL && has_state(f->self, b->name)))
            continue;
        const char *near = nearest_state(E, f->self, b->name);
        const lg_ast *of = f->self && f->self->decl && f->self->decl->name ? f->self->decl : NULL;
        lg_diag *d = of ? lg_err(E, "E0422", b->at, "`%s` is not a state of %s `%s`", b->name,
                                 of->text, of->name)
                        : lg_err(E, "E0422", b->at,
                                 "`%s` is not a state: only states, parts and carries have a next "
                                 "value",
                                 b->name);
        if (near)
            lg_diag_help(d, "did you mean `%s'`?", near);
        else
            lg_diag_help(d, "for a value of its own write `let`");
    }
}

/* m' of the body are those of the instance it belongs to. */
static void hand_on_primes(lg_elab *E, lg_frame *f) {
    int n = 0;
    for (lg_binding *b = f->names; b; b = b->next) {
        if (!b->prime || !f->self)
            continue;
        lg_bind(E, f->self, b->name, lg_force(E, f, b, b->at), b->at);
        f->self->names->prime = true;
        n++;
    }
    if (n)
        lg_model_commit(E, f->self);
}

static lg_value *body_value(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    const lg_ast *index = decl->kid[LG_D_INDEX];
    const lg_ast *body = decl->kid[LG_D_VALUE] ? decl->kid[LG_D_VALUE] : decl->kid[LG_D_BLOCK];
    if (!body) {
        lg_err(E, "E0226", decl->span, "`%s` has no body", decl->name);
        return lg_v_error(E, decl->span);
    }
    if (!index || !index->n) {
        lg_block_declare(E, f, body);
        only_states_are_primed(E, f);
        return lg_block(E, f, body);
    }
    lg_ast *p = lg_ast_new(E->arena, LG_A_INDEXPAT, index->span, 0);
    p->name = decl->name;
    const lg_ast *where = NULL;
    for (uint32_t i = 0; i < index->n; i++)
        if (index->kid[i]->kind == LG_A_WHERE)
            where = index->kid[i];
        else if (index->kid[i] && !(index->kind == LG_A_INDEX && i == 0))
            lg_ast_add(E->arena, p, index->kid[i]);
    return lg_index_define(E, p, body, where);
}

/* Is the last statement a value that is not given back? */
static bool ends_in_a_value(const lg_ast *decl) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    const lg_ast *last = block && block->n ? block->kid[block->n - 1] : NULL;
    return last && (last->kind == LG_A_EXPR || last->kind == LG_A_YIELD);
}

/* The body, its result as the signature says it is. */
static lg_value *run_body(lg_elab *E, lg_frame *f, const lg_ast *decl, lg_span at) {
    lg_frame *was = E->frame;
    lg_value *guard = E->guard, *lazy = E->lazy, *want = E->want;
    E->guard = E->lazy = E->want = NULL;
    E->depth++;
    E->frame = f;
    lg_frame *body = strcmp(decl->text, "loss") ? f : lg_call_loss_states(E, decl, f);
    body->scoped = true;
    body->g = E->g;
    body->draw_lane = E->draw_lane;
    body->lanes = E->lanes;
    E->frame = body;
    const lg_ast *from = decl->kid[LG_D_FROM];
    lg_value *r = from ? lg_call_foreign(E, body, decl, at) : body_value(E, body, decl);
    if (E->probe)
        lg_probe_lets(E, f);
    const lg_ast *type = decl->kid[LG_D_TYPE];
    if (!from)
        hand_on_primes(E, body);
    if (r->kind == LG_V_NONE && type && ends_in_a_value(decl)) {
        r = lg_v_error(E, at); /* reported already */
    } else if (r->kind == LG_V_NONE && type) {
        lg_diag *d = lg_err(E, "E0226", decl->name_span.file ? decl->name_span : decl->span,
                            "`%s` ends without `return`", decl->name);
        lg_diag_note(d, "it is declared to give %s", lg_ast_text(E->arena, type));
        r = lg_v_error(E, at);
    }
    if (type && (r->kind != LG_V_ERROR || r->list.n)) {
        lg_value *v = lg_type_check(E, f, type, r, r->at.file ? r->at : at,
                                    lg_txt(E, "the result of `%s`", decl->name), false);
        r = v ? v : lg_v_error(E, at);
        if (r->kind == LG_V_TENSOR && r->t.weak) { /* its dtype is stated */
            r = lg_v_copy(E, r);
            r->t.weak = false;
        }
    }
    if (decl->kid[LG_D_WITH] && r->kind != LG_V_ERROR)
        r = lg_custom_call(E, body, decl, E->traced ? lg_traced_ruled(E, r) : r);
    E->frame = was;
    E->depth--;
    E->guard = guard;
    E->lazy = lazy;
    E->want = want;
    return r;
}

/* In check mode a signature says enough, unless everything given is static: then the result may be
 * a size or the like. */
static bool signature_says_all(lg_elab *E, const lg_ast *decl, int n, const lg_arg *arg) {
    if (!LG_CHECKING(E) || E->probe || E->traced || E->contracts || !decl->kid[LG_D_TYPE])
        return false;
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_TENSOR || arg[i].value->kind == LG_V_RECORD ||
            arg[i].value->kind == LG_V_OPAQUE || arg[i].value->kind == LG_V_MODEL)
            return true;
    return false;
}

/* Do all names of e stand for arguments that are known, or dims of the call? */
static bool known_names(const lg_frame *f, const lg_ast *e) {
    if (e->kind == LG_A_NAME) {
        const lg_binding *b = f->names;
        while (b && (b->name != e->name || b->prime))
            b = b->next;
        if (b)
            return b->state == LG_B_VALUE &&
                   (b->value->kind == LG_V_STR || b->value->kind == LG_V_NUM);
        for (size_t i = 0; i < f->dims.n; i++)
            if (f->dims.at[i].name == e->name)
                return true;
        return false;
    }
    for (uint32_t i = e->kind == LG_A_CALL; i < e->n; i++)
        if (e->kid[i] && !known_names(f, e->kid[i]))
            return false;
    return true;
}

/* Contracts that the arguments of this call already decide, where the body is not looked at: false
 * when one of them does not hold. */
static bool contracts_hold(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    lg_frame *was = E->frame;
    struct lg_late *late = E->late;
    E->frame = f;
    for (uint32_t i = 0; block && block->kind == LG_A_BLOCK && i < block->n && !f->result; i++)
        if (block->kid[i]->kind == LG_A_REQUIRE && known_names(f, block->kid[i]))
            lg_statement(E, f, block->kid[i]);
    E->frame = was;
    E->late = late;
    bool ok = !f->result;
    f->result = NULL;
    return ok;
}

static bool has_dims(const lg_ast *type) {
    if (type->kind == LG_A_TYPE && type->n)
        return true;
    for (uint32_t i = 0; i < type->n; i++)
        if (type->kid[i] && has_dims(type->kid[i]))
            return true;
    return false;
}

/* In check mode: of an argument that is not known, neither are the dims that the result has from
 * it. */
static bool loses_dims(lg_elab *E, const lg_ast *decl, int n, const lg_arg *arg) {
    bool all = !LG_CHECKING(E); /* in a run nothing is unknown: it was reported */
    if (!all && (!decl->kid[LG_D_TYPE] || !has_dims(decl->kid[LG_D_TYPE])))
        return false;
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_ERROR)
            return true;
    return false;
}

/* In a check of host code: the body of this call as a run would go through it, with what is known
 * of the arguments. Contracts that these break are told, however deep they stand; anything else
 * that is said meanwhile may come from what is not known. */
static void try_contracts(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self, int n,
                          const lg_arg *arg, lg_span at) {
    struct lg_late *late = E->late;
    struct lg_probe_list *probe = E->probe;
    lg_frame *f = call_frame(E, decl, env, self, at);
    E->probe = NULL;
    E->contracts = true;
    E->diags->muted++;
    if (lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at, decl->name))
        run_body(E, f, decl, at);
    E->diags->muted--;
    E->contracts = false;
    E->probe = probe;
    E->late = late;
}

static bool has_parameter(const lg_ast *decl, const char *name) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (!strcmp(params->kid[i]->name, name))
            return true;
    return false;
}

static int without_weight(lg_elab *E, const lg_ast *decl, int n, const lg_arg **arg,
                          lg_value **weight) {
    *weight = NULL;
    if (has_parameter(decl, "weight"))
        return n;
    lg_arg *rest = LG_NEW_N(E->arena, lg_arg, n + 1);
    int k = 0;
    for (int i = 0; i < n; i++)
        if ((*arg)[i].name && !strcmp((*arg)[i].name, "weight"))
            *weight = lg_arrayed(E, (*arg)[i].value, (*arg)[i].at);
        else
            rest[k++] = (*arg)[i];
    *arg = rest;
    return k;
}

/* Takes step=, epoch= and steps= out of the arguments of a schedule: they say where it stands. The
 * number of arguments that are left; -1 after reporting. */
static int without_step(lg_elab *E, const lg_ast *decl, int n, const lg_arg **arg, lg_step *step) {
    lg_arg *rest = LG_NEW_N(E->arena, lg_arg, n + 1);
    int k = 0;
    for (int i = 0; i < n; i++) {
        const char *name = (*arg)[i].name;
        lg_value **to = name && !has_parameter(decl, name) ? lg_call_place_in(step, name) : NULL;
        if (!to)
            rest[k++] = (*arg)[i];
        else if (!(*to = lg_call_step_number(E, &(*arg)[i])))
            return -1;
    }
    *arg = rest;
    return k;
}

/* A schedule as it is at a step that the call itself says. */
static lg_value *schedule_here(lg_elab *E, const lg_ast *decl, lg_frame *env, int n,
                               const lg_arg *arg, lg_step *step, lg_span at) {
    lg_step *was = E->step;
    E->step = step;
    lg_value *v = lg_call_decl(E, decl, env, NULL, n, arg, at);
    E->step = was;
    return v;
}

/* A call that stands in host code: what it computes may be wanted again for other numbers. */
static bool from_host(const lg_elab *E) {
    return E->host && E->frame && (E->frame->kind == LG_F_HOST || E->frame->kind == LG_F_MODULE);
}

/* What messages call it: the part, where `call` is what was called. */
static const char *known_as(const lg_ast *decl, const lg_frame *self) {
    bool part =
        self && self->model && self->model->kind == LG_V_MODEL && !strcmp(decl->name, "call");
    if (!part)
        return decl->name;
    const char *path = self->model->model.path;
    return *path ? path : lg_model_type_name(self->model);
}

lg_value *lg_call_decl(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self, int n,
                       const lg_arg *arg, lg_span at) {
    bool is_loss = !strcmp(decl->text, "loss"), is_schedule = !strcmp(decl->text, "schedule");
    if (recursion(E, decl, self, at))
        return lg_v_error(E, at);
    if (E->depth > MAX_DEPTH) {
        lg_err(E, "E0328", at, "calls are nested more than %d deep", MAX_DEPTH);
        return lg_v_error(E, at);
    }
    if (is_schedule) {
        lg_step step = E->step ? *E->step : (lg_step){0};
        int left = without_step(E, decl, n, &arg, &step);
        if (left != n)
            return left < 0 ? lg_v_error(E, at) : schedule_here(E, decl, env, left, arg, &step, at);
    }
    lg_value *weight = NULL;
    if (is_loss)
        n = without_weight(E, decl, n, &arg, &weight);
    lg_frame *f = call_frame(E, decl, env, self, at);
    if (!lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at, known_as(decl, self)))
        return lg_v_error(E, at);
    if (from_host(E))
        lg_params_vary(E, f, decl);
    if (is_schedule && !lg_call_has_step(E))
        return lg_call_postponed(E, decl, env, n, arg, at);
    if (is_schedule)
        lg_call_bind_step(E, f);
    lg_value *r;
    if (loses_dims(E, decl, n, arg)) {
        r = lg_v_error(E, at);
    } else if (!is_schedule && signature_says_all(E, decl, n, arg)) {
        r = contracts_hold(E, f, decl) ? lg_type_result(E, f, decl->kid[LG_D_TYPE], at)
                                       : lg_v_error(E, at);
        const lg_ast *in = decl->kid[LG_D_IN];
        if (in && r->kind == LG_V_TENSOR)
            r->t.bound = lg_dim_expr(E, f, in);
    } else {
        r = run_body(E, f, decl, at);
    }
    if (LG_CHECKING(E) && from_host(E) && r->kind != LG_V_ERROR)
        try_contracts(E, decl, env, self, n, arg, at);
    r = lg_value_seen_from(E, E->frame, r);
    if (is_loss)
        r = lg_loss_terms(E, r, at);
    if (is_schedule)
        r = lg_call_weakened(E, r);
    if (weight && r->kind != LG_V_ERROR)
        r = lg_call_times_weight(E, r, weight, at);
    if (r->at.file != at.file || r->at.beg != at.beg || r->at.end != at.end) {
        r = lg_v_copy(E, r);
        r->at = at;
    }
    return r;
}

/* ---- calls of values ---- */

static lg_value *lambda(lg_elab *E, lg_value *fn, int n, const lg_arg *arg, lg_span at) {
    const lg_ast *decl = fn->fn.decl;
    lg_arg *seen = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++) {
        seen[i] = arg[i];
        seen[i].value = lg_value_seen_from(E, fn->fn.env, arg[i].value);
    }
    if (E->depth > MAX_DEPTH) {
        lg_err(E, "E0328", at, "calls are nested more than %d deep", MAX_DEPTH);
        return lg_v_error(E, at);
    }
    lg_frame *f = call_frame(E, decl, fn->fn.env, fn->fn.env ? fn->fn.env->self : NULL, at);
    f->float_dtype = fn->fn.env ? fn->fn.env->float_dtype : f->float_dtype;
    f->scoped = true;
    f->g = E->g;
    f->guard = E->guard;
    f->draw_lane = E->draw_lane;
    f->lanes = E->lanes;
    if (!lg_bind_params(E, f, decl->kid[0], n, seen, at, "fn"))
        return lg_v_error(E, at);
    lg_frame *was = E->frame;
    E->frame = f;
    E->depth++;
    lg_value *r = lg_block(E, f, decl->kid[2]);
    if (r->kind == LG_V_NONE) {
        lg_err(E, "E0226", decl->span, "this function ends without `return`");
        r = lg_v_error(E, at);
    }
    if (decl->kid[1] && r->kind != LG_V_ERROR) {
        lg_value *v =
            lg_type_check(E, f, decl->kid[1], r, r->at, "the result of this function", false);
        r = v ? v : lg_v_error(E, at);
    }
    E->depth--;
    E->frame = was;
    return r;
}

/* A function parameter in check mode: only its type is known. */
static lg_value *typed_only(lg_elab *E, lg_value *fn, int n, const lg_arg *arg, lg_span at) {
    const lg_ast *type = fn->fn.decl;
    if (n != (int)type->n - 1) {
        lg_err(E, "E0321", at, "this function takes %d argument%s", (int)type->n - 1,
               type->n == 2 ? "" : "s");
        return lg_v_error(E, at);
    }
    lg_arg *seen = LG_NEW_N(E->arena, lg_arg, n ? n : 1);
    for (int i = 0; i < n; i++)
        seen[i] = (lg_arg){.value = lg_value_seen_from(E, fn->fn.env, arg[i].value)};
    size_t packs = lg_type_own_packs(E, fn->fn.env, type, n, seen);
    bool ok = true;
    for (int i = 0; i < n && ok; i++)
        ok = lg_type_check(E, fn->fn.env, type->kid[i], seen[i].value,
                           arg[i].at.file ? arg[i].at : at, "this function", false);
    lg_value *r = ok ? lg_type_placeholder(E, fn->fn.env, type->kid[n], at) : lg_v_error(E, at);
    fn->fn.env->packs.n = packs;
    return r;
}

static lg_value *call_fn(lg_elab *E, lg_value *fn, int n, const lg_arg *arg, lg_span at) {
    if (fn->fn.bound)
        return lg_call_schedule_at(E, fn, n, arg, at);
    if (fn->fn.decl->kind == LG_A_FNTYPE)
        return typed_only(E, fn, n, arg, at);
    lg_value *r = fn->fn.decl->kind == LG_A_LAMBDA
                      ? lambda(E, fn, n, arg, at)
                      : lg_call_decl(E, fn->fn.decl, fn->fn.env,
                                     fn->fn.env ? fn->fn.env->self : NULL, n, arg, at);
    if (!fn->fn.type || r->kind == LG_V_ERROR)
        return r;
    /* the names of dims that the receiver of the function uses */
    const lg_ast *result = fn->fn.type->kid[fn->fn.type->n - 1];
    size_t packs = lg_type_own_packs(E, fn->fn.type_env, fn->fn.type, n, arg);
    lg_value *v =
        lg_type_check(E, fn->fn.type_env, result, r, at, "the result of this function", false);
    fn->fn.type_env->packs.n = packs;
    return v ? v : lg_v_error(E, at);
}

static lg_value *call_rule(lg_elab *E, lg_value *rule, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[2] = {"p", "g"};
    lg_value *v[2];
    if (!lg_args(E, rule->rule.decl->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    return lg_rule_apply(E, rule, v[0], v[1], at);
}

static lg_value *call_declared(lg_elab *E, lg_value *v, int n, const lg_arg *arg, lg_span at) {
    const lg_ast *decl = v->decl.decl;
    if (!strcmp(decl->text, "model"))
        return lg_model_make(E, decl, v->decl.env, n, arg, at);
    if (!strcmp(decl->text, "optimizer"))
        return lg_rule_make(E, decl, v->decl.env, n, arg, at);
    if (!strcmp(decl->text, "quantizer"))
        return lg_quant_make(E, decl, v->decl.env, n, arg, at);
    if (E->host_apply)
        return E->host_apply(E, v, n, arg, at);
    lg_err(E, "E0440", at, "the %s `%s` can be used in host code only", decl->text, decl->name);
    return lg_v_error(E, at);
}

static lg_value *cast(lg_elab *E, lg_dtype t, int n, const lg_arg *arg, lg_span at) {
    if (n != 1 || arg[0].name) {
        lg_err(E, "E0321", at, "`%s` casts one value", lg_dtype_name(t));
        return lg_v_error(E, at);
    }
    lg_value *v = lg_schedule_now(E, arg[0].value);
    if (v->kind == LG_V_LIST && !v->list.n) {
        lg_dim *none = lg_dim_num(E->dims, 0);
        return lg_fill(E, t, 1, &none, 0, at);
    }
    if (v->kind == LG_V_LIST && lg_list_is_array(v))
        v = lg_list_tensor(E, v, lg_dtype_is_float(t) ? t : LG_NO_DTYPE, at); /* rounded once */
    return lg_cast(E, v, t, at);
}

static lg_value *not_callable(lg_elab *E, lg_value *v, lg_span at) {
    lg_diag *d = lg_err(E, "E0320", at, "%s cannot be called", lg_v_type_text(E, v));
    if (v->kind == LG_V_TENSOR || v->kind == LG_V_LIST || v->kind == LG_V_RECORD)
        lg_diag_help(d, "to take an element write x[i], to multiply write x*(...)");
    return lg_v_error(E, at);
}

/* ---- an optimizer and a function of one name ---- */

static bool takes_rule(const lg_ast *param) {
    const lg_ast *type = param->kid[0];
    return type && type->kind == LG_A_TYPE && !strcmp(type->name, "optimizer");
}

/* Has the declaration parameters for these arguments, with rules where it wants rules? */
static bool has_places_for(const lg_ast *decl, int n, const lg_arg *arg) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    uint32_t count = params ? params->n : 0, next = 0;
    for (int i = 0; i < n; i++) {
        uint32_t k;
        for (k = arg[i].name ? 0 : next++; k < count && arg[i].name; k++)
            if (params->kid[k]->name == arg[i].name)
                break;
        if (k >= count || takes_rule(params->kid[k]) != (arg[i].value->kind == LG_V_RULE))
            return false;
    }
    return true;
}

/* The declaration beside `callee` that these arguments are for: itself, or one of the same name. */
static lg_value *overload(lg_elab *E, lg_value *callee, int n, const lg_arg *arg) {
    bool fn = callee->kind == LG_V_FN && callee->fn.decl->kind == LG_A_DECL && !callee->fn.bound;
    const lg_ast *decl = fn                          ? callee->fn.decl
                         : callee->kind == LG_V_DECL ? callee->decl.decl
                                                     : NULL;
    lg_frame *env = fn ? callee->fn.env : decl ? callee->decl.env : NULL;
    if (!env || env->kind != LG_F_MODULE || !env->module->tree || has_places_for(decl, n, arg))
        return callee;
    const lg_ast *tree = env->module->tree;
    for (uint32_t i = 0; i < tree->n; i++) {
        const lg_ast *s = tree->kid[i];
        bool other =
            s->kind == LG_A_DECL && s->name == decl->name && strcmp(s->text, decl->text) != 0;
        if (!other || !has_places_for(s, n, arg))
            continue;
        bool to_fn = !strcmp(s->text, "fn");
        lg_value *v = lg_v_new(E, to_fn ? LG_V_FN : LG_V_DECL, callee->at);
        if (to_fn) {
            v->fn.decl = s;
            v->fn.env = env;
        } else {
            v->decl.decl = s;
            v->decl.env = env;
        }
        return v;
    }
    return callee;
}

lg_value *lg_call_value(lg_elab *E, lg_value *callee, int n, const lg_arg *arg, lg_span at) {
    callee = overload(E, callee, n, arg);
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_NONE) {
            lg_err(E, "E0219", arg[i].at, "this has no value");
            return lg_v_error(E, at);
        }
    switch (callee->kind) {
    case LG_V_ERROR:
        return lg_v_error(E, at);
    case LG_V_FN:
        return call_fn(E, callee, n, arg, at);
    case LG_V_BUILTIN:
        return callee->builtin->call(E, callee->builtin, n, arg, at);
    case LG_V_MODEL:
        return lg_model_call(E, callee, n, arg, at);
    case LG_V_RULE:
        return call_rule(E, callee, n, arg, at);
    case LG_V_QUANT:
        return lg_quant_call(E, callee, n, arg, at);
    case LG_V_DECL:
        return call_declared(E, callee, n, arg, at);
    case LG_V_DTYPE:
        return cast(E, callee->dtype, n, arg, at);
    case LG_V_DATA:
    case LG_V_HOST:
        return E->host_apply ? E->host_apply(E, callee, n, arg, at) : not_callable(E, callee, at);
    case LG_V_NUM:
    case LG_V_STR:
    case LG_V_TENSOR:
    case LG_V_RECORD:
    case LG_V_LIST:
    case LG_V_RANGE:
    case LG_V_SELECTOR:
    case LG_V_MODULE:
    case LG_V_NONE:
    case LG_V_OPAQUE:
        return not_callable(E, callee, at);
    }
    return lg_v_error(E, at);
}

/* ---- generic checks ---- */

void lg_fn_check(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self) {
    lg_graph *g = E->g;
    lg_frame *was = E->frame;
    lg_step *step = E->step, any = {0};
    E->g = NULL;
    E->frame = env;
    lg_frame *f = call_frame(E, decl, env, self, (lg_span){0});
    f->caller = NULL;
    f->path_hash = 0;
    lg_uncovered notes;
    lg_uncovered_begin(E, &notes);
    lg_bind_any(E, f, decl->kid[LG_D_PARAMS]);
    lg_check_defaults(E, f, decl->kid[LG_D_PARAMS]);
    if (!strcmp(decl->text, "schedule")) {
        any.step = lg_call_weakened(E, lg_v_tensor(E, LG_I64, 0, NULL, NULL, decl->span));
        any.epoch = any.steps = any.step;
        E->step = &any;
        lg_call_bind_step(E, f);
    }
    run_body(E, f, decl, decl->span);
    lg_uncovered_end(E, &notes, decl, false);
    E->step = step;
    E->frame = was;
    E->g = g;
}
