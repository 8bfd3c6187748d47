/* settings.c: what a train says about itself besides its statements: epochs, steps, seed,
 * arithmetic, data; and the making of a run. */
#include "compiler/host/train.h"
#include "compiler/mid/uncovered.h"
#include <string.h>

static const char *const known[] = {"epochs",    "max_steps", "micro", "seed",
                                    "nonfinite", "compute",   "clip"};

static bool count(lg_train *T, const lg_ast *s, lg_value *v, int64_t least, int64_t *out) {
    if (v->kind == LG_V_ERROR || (v->kind == LG_V_NUM && !v->num.known))
        return false;
    if (!lg_v_static_int(T->E, v, out) || *out < least) {
        const char *from = least == INT64_MIN ? "" : lg_txt(T->E, " from %lld", (long long)least);
        lg_err(T->E, "E0439", s->kid[0]->span, "`%s` is an integer%s, got %s", s->name, from,
               lg_v_type_text(T->E, v));
        return false;
    }
    return true;
}

static void text_setting(lg_train *T, const lg_ast *s, lg_settings *out) {
    lg_elab *E = T->E;
    bool compute = s->name[0] == 'c';
    const lg_ast *e = s->kid[0];
    lg_dtype named = compute && e->kind == LG_A_NAME ? lg_dtype_from_name(e->name) : LG_NO_DTYPE;
    lg_value *v = named == LG_NO_DTYPE ? lg_host_expr(E, T->settings_frame, e) : NULL;
    if (v && v->kind == LG_V_ERROR)
        return;
    if (compute) {
        if (v && v->kind == LG_V_DTYPE)
            named = v->dtype;
        if (named == LG_BF16 || named == LG_F16)
            out->compute = named;
        else if (named != LG_F32 && named != LG_F64)
            lg_err(E, "E0439", e->span, "`compute` is bf16, f16 or f32");
        return;
    }
    if (v->kind == LG_V_STR && (!v->str || !strcmp(v->str, "stop")))
        out->stop_nonfinite = true;
    else
        lg_err(E, "E0439", e->span, "`nonfinite` is \"stop\"");
}

static void one_setting(lg_train *T, const lg_ast *s, lg_settings *out) {
    lg_elab *E = T->E;
    bool ok = false;
    for (size_t i = 0; i < LG_COUNT(known); i++)
        ok = ok || !strcmp(known[i], s->name);
    if (!ok) {
        lg_diag *d = lg_err(E, "E0439", s->span, "a train has no setting `%s`", s->name);
        const char *near = lg_nearest(s->name, known, LG_COUNT(known));
        if (near)
            lg_diag_help(d, "did you mean `%s`?", near);
        else
            lg_diag_help(d, "to name a value write `let %s = ...`", s->name);
        return;
    }
    if (!strcmp(s->name, "clip"))
        return; /* a value of the step: update.c */
    if (s->name[0] == 'n' || s->name[0] == 'c') {
        text_setting(T, s, out);
        return;
    }
    lg_value *v = lg_host_expr(E, T->settings_frame, s->kid[0]);
    int64_t x;
    if (!strcmp(s->name, "epochs") && count(T, s, v, 0, &x))
        out->epochs = x;
    else if (!strcmp(s->name, "max_steps") && count(T, s, v, 0, &x))
        out->max_steps = x;
    else if (!strcmp(s->name, "micro") && count(T, s, v, 1, &x)) {
        out->micro = x;
        out->micro_at = s->span;
    } else if (!strcmp(s->name, "seed") && count(T, s, v, INT64_MIN, &x)) {
        out->seed = x;
        out->has_seed = true;
    }
}

void lg_train_settings(lg_train *T, const lg_ast *phase, lg_settings *out) {
    *out = (lg_settings){.epochs = -1, .max_steps = -1, .micro = 1, .compute = LG_NO_DTYPE};
    const lg_ast *block[2] = {T->decl->kid[LG_D_BLOCK], phase ? phase->kid[LG_D_BLOCK] : NULL};
    for (int k = 0; k < 2; k++) {
        bool length = false; /* how long: the phase's word replaces the train's */
        for (uint32_t i = 0; k && block[k] && i < block[k]->n; i++)
            length = length || (block[k]->kid[i]->kind == LG_A_SETTING &&
                                (!strcmp(block[k]->kid[i]->name, "epochs") ||
                                 !strcmp(block[k]->kid[i]->name, "max_steps")));
        if (length)
            out->epochs = out->max_steps = -1;
        for (uint32_t i = 0; block[k] && i < block[k]->n; i++)
            if (block[k]->kid[i]->kind == LG_A_SETTING)
                one_setting(T, block[k]->kid[i], out);
    }
    if (out->has_seed && !T->seed_given && !T->H->o.seed_given)
        T->seed = (uint64_t)out->seed;
}

/* `data = e`, `data src = e`: of the phase where it has one, else of the train. */
bool lg_train_feeds(lg_train *T) {
    lg_elab *E = T->E;
    size_t errors = E->diags->errors;
    bool ok = true; /* what is wrong with the data may have been said already */
    const lg_ast *block[2] = {T->decl->kid[LG_D_BLOCK],
                              T->phase ? T->phase->kid[LG_D_BLOCK] : NULL};
    LG_VEC(lg_feed) old = {T->feed.at, T->feed.n, T->feed.cap};
    T->feed.at = NULL;
    T->feed.n = T->feed.cap = 0;
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; block[k] && i < block[k]->n; i++) {
            const lg_ast *s = block[k]->kid[i];
            if (!lg_is_word(s, "data"))
                continue;
            lg_feed new = {.decl = s, .name = s->name};
            for (size_t j = 0; j < old.n;
                 j++) /* the same line goes on where the phase before left it */
                if (old.at[j].decl == s) {
                    new = old.at[j];
                    new.order = NULL;
                    new.at = 0;
                    new.epoch += old.at[j].at > 0;
                }
            if (!new.data) {
                const lg_ast *e = s->kid[LG_D_FROM] ? s->kid[LG_D_FROM] : s->kid[LG_D_VALUE];
                new.data = e ? lg_data_expr(E, T->settings_frame, e, s) : NULL;
                ok = ok && new.data;
            }
            bool replaced = false;
            for (size_t j = 0; j < T->feed.n; j++)
                if (T->feed.at[j].name == new.name) {
                    if (k == 0)
                        lg_err(
                            E, "E0304", s->span,
                            "`data` stands here twice: give the second a name, `data other = ...`");
                    T->feed.at[j] = new;
                    replaced = true;
                }
            if (!new.data)
                continue;
            if (T->H->keep && new.data->n < 0 && !new.data->batch && !new.data->src->unknown)
                lg_diag_help(lg_err(E, "E0628", s->span, "%s is endless and has no batch size",
                                    new.data->name),
                             "add `|> batch(64)`");
            if (T->H->keep && new.data->n == 0)
                lg_err(E, "E0623", s->span, "%s has no rows", new.data->name);
            if (T->feed.n == 16)
                lg_err(E, "E0439", s->span, "a train has at most 16 sources of data");
            else if (!replaced)
                LG_PUSH(T->feed, new);
        }
    for (size_t j = 0; j < old.n; j++)
        lg_free(old.at[j].order);
    lg_free(old.at);
    return ok && E->diags->errors == errors;
}

static bool is_unknown_integer(const lg_value *v) { /* while checking */
    return v->kind == LG_V_NUM && !v->num.known && v->num.is_int && !v->num.is_bool;
}

lg_train *lg_train_new(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                       lg_span at, bool generic) {
    lg_host *H = lg_host_of(E);
    lg_train *T = lg_alloc(sizeof *T);
    T->generic = generic;
    T->E = E;
    T->H = H;
    T->decl = decl;
    T->env = env;
    T->at = at.file ? at : decl->name_span;
    T->seed = (uint64_t)H->o.seed;
    T->held_before = lg_host_held(H);
    T->room_before = H->room.bytes;
    T->arena_before = lg_arena_used(E->arena);
    T->started = lg_now();
    bool has_seed = false; /* every run takes seed=, its own parameter first */
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        has_seed = has_seed || !strcmp(params->kid[i]->name, "seed");
    lg_arg *rest = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++) {
        int64_t s;
        bool seed = arg[i].name && !strcmp(arg[i].name, "seed");
        if (seed && lg_v_static_int(E, arg[i].value, &s)) {
            T->seed = (uint64_t)s;
            T->seed_given = true;
        } else if (seed && !has_seed && arg[i].value->kind != LG_V_ERROR &&
                   !is_unknown_integer(arg[i].value)) {
            lg_err(E, "E0208", arg[i].at, "`seed` is an integer, got %s",
                   lg_v_type_text(E, arg[i].value));
        }
        if (!seed || has_seed)
            rest[T->n_arg++] = arg[i];
    }
    T->arg = rest;
    E->frame = env;
    lg_frame *f = T->settings_frame = lg_frame_new(E, LG_F_HOST, env);
    f->decl = decl;
    f->call_at = at;
    size_t errors = E->diags->errors;
    if (generic)
        lg_bind_unknown(E, f, params);
    else
        lg_bind_params(E, f, params, T->n_arg, rest, at, decl->name);
    if (E->diags->errors == errors)
        return T;
    lg_train_free(T);
    return NULL;
}

void lg_train_free(lg_train *T) {
    if (T->locked_dir)
        lg_checkpoint_unlock(T->lock);
    lg_step_plans_free(T);
    for (size_t i = 0; i < T->var.n; i++) {
        lg_tensor_release(T->var.at[i].x);
        lg_tensor_release(T->var.at[i].next);
    }
    for (size_t i = 0; i < T->feed.n; i++)
        lg_free(T->feed.at[i].order);
    for (size_t i = 0; i < T->series.n; i++)
        lg_free(T->series.at[i].values.at);
    lg_free(T->var.at);
    lg_free(T->feed.at);
    lg_free(T->series.at);
    lg_free(T->quantize.at);
    lg_free(T->period.at);
    lg_free(T);
}

/* ---- checking, and what a plan will take ---- */

static void check_evals(lg_train *T) {
    lg_elab *E = T->E;
    const lg_ast *block = T->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (!lg_is_word(s, "eval"))
            continue;
        const lg_ast *target = s->kid[LG_D_TARGET] ? s->kid[LG_D_TARGET] : s->kid[LG_D_VALUE];
        lg_data *d = target ? lg_data_expr(E, T->settings_frame, target, NULL) : NULL;
        if (target && (!d || (d->src->unknown && !d->src->n_cols)))
            continue;
        lg_build *b = lg_build_new(T, s, d, NULL, true, false);
        lg_build_run(b);
        lg_build_free(b);
    }
}

static bool is_known(const lg_train *T) {
    for (size_t i = 0; i < T->feed.n; i++)
        if (T->feed.at[i].data->src->unknown && !T->feed.at[i].data->src->n_cols)
            return false; /* its fields are known when the file is there */
    return true;
}

static bool says_length(const lg_ast *block) {
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_SETTING &&
            (!strcmp(block->kid[i]->name, "epochs") || !strcmp(block->kid[i]->name, "max_steps")))
            return true;
    return false;
}

bool lg_train_has_length(lg_train *T) {
    if (says_length(T->decl->kid[LG_D_BLOCK]) ||
        (T->phase && says_length(T->phase->kid[LG_D_BLOCK])))
        return true;
    const lg_ast *what = T->phase ? T->phase : T->decl;
    lg_diag *d = lg_err(T->E, "E0435", what->name ? what->name_span : what->span,
                        "the %s `%s` does not say how long it runs", T->phase ? "phase" : "train",
                        what->name ? what->name : "");
    lg_diag_help(d, "add `epochs = ...` or `max_steps = ...`");
    return false;
}

static void check_phase(lg_train *T, const lg_ast *phase) {
    T->phase = phase;
    lg_train_settings(T, phase, &T->set);
    lg_train_has_length(T);
    if (!lg_train_feeds(T) || !is_known(T))
        return;
    const lg_ast *block = phase ? phase->kid[LG_D_BLOCK] : NULL;
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_QUANTIZE)
            LG_PUSH(T->quantize, block->kid[i]);
    lg_build *b = lg_build_new(T, NULL, NULL, NULL, true, false);
    if (lg_build_run(b))
        check_evals(T);
    lg_build_free(b);
}

void lg_train_check(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    lg_context c = lg_host_enter(E, NULL, true);
    E->frame = env;
    E->step = &lg_host_of(E)->step;
    lg_uncovered notes;
    lg_uncovered_begin(E, &notes);
    lg_train *T = lg_train_new(E, decl, env, 0, NULL, decl->name_span, true);
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    size_t errors = E->diags->errors;
    bool phases = false;
    for (uint32_t i = 0; T && block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_QUANTIZE)
            LG_PUSH(T->quantize, block->kid[i]);
    for (uint32_t i = 0; T && block && i < block->n; i++)
        if (lg_is_word(block->kid[i], "phase")) {
            phases = true;
            check_phase(T, block->kid[i]);
        }
    if (T && !phases)
        check_phase(T, NULL);
    if (T) {
        lg_train_places(T, E->diags->errors != errors);
        lg_train_free(T);
    }
    E->frame = env;
    lg_uncovered_end(E, &notes, decl, true);
    lg_host_leave(E, &c);
}
