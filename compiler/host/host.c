/* host.c: the hooks that let the elaborator ask the host, and the run of a program: which part of
 * the file runs, with which arguments. */
#include "compiler/host/inside.h"
#include "runtime/profile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hooks ---- */

static void put(lg_elab *E, lg_frame *f, const lg_ast *s, lg_value *v) {
    lg_binding *b = lg_find_local(f, s->name, false);
    if (b && (b->state != LG_B_VALUE || b->stmt == s)) {
        b->value = v;
        b->state = LG_B_VALUE;
    } else {
        lg_bind(E, f, s->name, v, s->name_span);
    }
}

static bool is_decl(const lg_ast *s, const char *word) {
    return s->kind == LG_A_DECL && s->text && !strcmp(s->text, word);
}

static bool hook_statement(lg_elab *E, lg_frame *f, const lg_ast *s) {
    if (f->kind == LG_F_TRAIN)
        return lg_train_statement(E, f, s);
    if (s->kind == LG_A_EFFECT && f->kind == LG_F_BLOCK) { /* of a `when`: shown.c */
        const lg_frame *t = f;
        while (t && t->kind == LG_F_BLOCK)
            t = t->up;
        if (t && t->kind == LG_F_TRAIN)
            return true;
    }
    if (is_decl(s, "arg") && s->name) {
        put(E, f, s, lg_arg_value(E, f, s));
        return true;
    }
    if (s->name && (is_decl(s, "data") || is_decl(s, "train") || is_decl(s, "entry"))) {
        lg_value *v = lg_v_new(E, LG_V_DECL, s->name_span);
        v->decl.decl = s;
        v->decl.env = f;
        put(E, f, s, v);
        return true;
    }
    if (f->kind == LG_F_MODULE && !f->module->library &&
        (s->kind == LG_A_LET ||
         (s->name && (is_decl(s, "part") || is_decl(s, "param") || is_decl(s, "state"))))) {
        lg_step *was = E->step; /* a name of the top level that is needed before its turn, by a */
        E->step = E->g ? &lg_host_of(E)->step : was; /* step perhaps, whose position is not its own */
        lg_host_do(E, f, s);
        E->step = was;
        return true;
    }
    return false;
}

static lg_value *settled_args(lg_elab *E, int n, const lg_arg *arg, lg_arg **out) {
    *out = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++) {
        (*out)[i] = arg[i];
        (*out)[i].value = lg_host_settle(E, arg[i].value);
        if ((*out)[i].value->kind == LG_V_ERROR && arg[i].value->kind != LG_V_ERROR)
            return (*out)[i].value;
    }
    return NULL;
}

bool lg_host_within(const lg_elab *E, const lg_ast *decl) {
    for (const lg_frame *f = E->frame; f; f = f->caller)
        if (f->decl == decl && f->kind == LG_F_HOST)
            return true;
    return false;
}

static lg_value *run_entry(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                           lg_span at) {
    lg_host *H = lg_host_of(E);
    if (lg_host_within(E, decl)) {
        lg_err(E, "E0326", at, "the entry `%s` runs itself", decl->name);
        return lg_v_error(E, at);
    }
    lg_context c = lg_host_enter(E, H->keep, true);
    lg_frame *f = lg_frame_new(E, LG_F_HOST, env);
    f->decl = decl;
    f->call_at = at;
    f->path_hash = lg_hash(decl->name, strlen(decl->name), 11);
    lg_value *r = lg_v_new(E, LG_V_NONE, at);
    E->step = &H->step;
    if (lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at, decl->name)) {
        E->frame = f;
        lg_host_block(E, f, decl->kid[LG_D_BLOCK] ? decl->kid[LG_D_BLOCK] : decl->kid[LG_D_VALUE]);
        if (f->result)
            r = f->result;
    }
    lg_host_flush(E);
    lg_host_leave(E, &c);
    return r;
}

static lg_value *hook_apply(lg_elab *E, lg_value *callee, int n, const lg_arg *arg, lg_span at) {
    lg_host *H = lg_host_of(E);
    lg_arg *settled;
    if (callee->kind == LG_V_DATA) {
        lg_err(E, "E0208", at,
               "data are not called; `rows_of(d)` gives all rows, `take(d, n)` the first n");
        return lg_v_error(E, at);
    }
    if (callee->kind != LG_V_DECL) {
        lg_err(E, "E0208", at, "%s cannot be called", lg_v_type_text(E, callee));
        return lg_v_error(E, at);
    }
    const lg_ast *d = callee->decl.decl;
    bool running = H->in_run;
    H->in_run = false;
    lg_value *bad = settled_args(E, n, arg, &settled);
    if (bad)
        return bad;
    if (is_decl(d, "data")) {
        lg_data *x = lg_data_call(E, d, callee->decl.env, n, settled, at);
        return x ? lg_data_value(E, x, at) : lg_v_error(E, at);
    }
    if (!is_decl(d, "train") && !is_decl(d, "entry")) {
        lg_err(E, "E0208", at, "%s cannot be called", lg_v_type_text(E, callee));
        return lg_v_error(E, at);
    }
    if (!running) {
        lg_diag *x = lg_err(E, "E0440", at, "the %s `%s` is run, not called", d->text, d->name);
        lg_diag_help(x, "write `run %s(...)`", d->name);
        return lg_v_error(E, at);
    }
    return is_decl(d, "train") ? lg_train_run(E, d, callee->decl.env, n, settled, at)
                               : run_entry(E, d, callee->decl.env, n, settled, at);
}

static lg_value *hook_call(lg_elab *E, const char *what, const lg_ast *at, int n, lg_value **args) {
    lg_host *H = lg_host_of(E);
    if (!strcmp(what, "from")) {
        lg_value *r = lg_host_record_from(E, args[0], E->target, args[0]->at);
        return r->kind == LG_V_ERROR && n == 1 ? lg_v_error(E, args[0]->at) : r;
    }
    if (strcmp(what, "run") != 0) {
        lg_err(E, "E0208", at->span, "`%s` is not known here", what);
        return lg_v_error(E, at->span);
    }
    const lg_ast *e = at->kid[0];
    if (e->kind != LG_A_CALL) {
        lg_value *v = lg_expr(E, e);
        if (v->kind == LG_V_ERROR)
            return v;
        H->in_run = true;
        lg_value *r = hook_apply(E, v, 0, NULL, at->span);
        H->in_run = false;
        return r;
    }
    H->in_run = true;
    lg_value *r = lg_expr(E, e);
    if (H->in_run && r->kind != LG_V_ERROR)
        lg_err(E, "E0208", at->span, "`run` wants a train or an entry");
    H->in_run = false;
    return r;
}

static lg_value *hook_field(lg_elab *E, lg_value *v, lg_sym field, lg_span at) {
    if (v->kind == LG_V_DATA || (v->kind == LG_V_DECL && is_decl(v->decl.decl, "data"))) {
        lg_data *d = lg_data_of(E, v, at);
        return d ? lg_data_field(E, d, field, at) : lg_v_error(E, at);
    }
    lg_diag *d = lg_err(E, "E0313", at, "%s has no field `%s`", lg_v_type_text(E, v), field);
    if (v->kind == LG_V_DECL && is_decl(v->decl.decl, "train"))
        lg_diag_help(d, "run it first: `let r = run %s()`, then `r.%s`", v->decl.decl->name, field);
    return lg_v_error(E, at);
}

static lg_value *here(void *ctx, lg_elab *E, const lg_ast *e) {
    (void)ctx;
    return lg_host_settle(E, lg_expr(E, e));
}

/* Values are known here: not in a check, in a step, or in the body of a loop. */
static bool values_known(lg_elab *E) {
    return lg_host_of(E)->keep && E->g && !E->g->parent && !E->g->input.n;
}

static lg_value *hook_text(lg_elab *E, const lg_ast *str) {
    bool known = true;
    if (!values_known(E))
        for (uint32_t i = 0; i < str->n; i++)
            if (str->kid[i]->kind == LG_A_INTERP) {
                lg_value *v = lg_expr(E, str->kid[i]->kid[0]);
                known = known && (v->kind == LG_V_STR ? v->str != NULL
                                                      : v->kind == LG_V_NUM && v->num.known);
            }
    if (!known)
        return lg_v_str(E, NULL, str->span);
    char *text = lg_format_text(E, str, here, NULL);
    lg_value *v = lg_v_str(E, lg_intern(text), str->span);
    lg_free(text);
    return v;
}

void lg_host_attach(lg_elab *E, const lg_host_opts *o) {
    lg_host *H = E->host_ctx;
    if (!H) {
        H = LG_NEW(E->arena, lg_host);
        H->E = E;
        E->host_ctx = H;
        H->o.float_dtype = LG_NO_DTYPE;
        E->host_statement = hook_statement;
        E->host_apply = hook_apply;
        E->host_call = hook_call;
        E->host_field = hook_field;
        E->host_builtin = lg_host_builtin_find;
        E->host_text = hook_text;
    }
    if (o) {
        H->o = *o;
        if (o->float_dtype != LG_NO_DTYPE && o->float_dtype < LG_N_DTYPES) {
            E->float_dtype = o->float_dtype;
            for (lg_module *m = E->modules; m; m = m->next)
                m->frame->float_dtype = o->float_dtype;
        }
    }
    H->step = lg_host_step(E, H->o.seed);
}

/* ---- what runs ---- */

bool lg_host_runs_at_top(const lg_ast *s) {
    switch ((lg_ast_kind)s->kind) {
    case LG_A_LET:
    case LG_A_WHEN:
    case LG_A_FOR:
    case LG_A_EXPR:
    case LG_A_REQUIRE:
        return true;
    case LG_A_EFFECT:
        return strcmp(s->name, "check") != 0;
    case LG_A_DECL:
        return s->name &&
               (!strcmp(s->text, "part") || !strcmp(s->text, "param") || !strcmp(s->text, "state"));
    default:
        return false;
    }
}

static const lg_ast *find_entry(lg_module *m, const char *name) {
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *s = m->tree->kid[i];
        if (s->name && !strcmp(s->name, name) && (is_decl(s, "entry") || is_decl(s, "train")))
            return s;
    }
    return NULL;
}

static void no_entry(lg_elab *E, lg_module *m, const char *name) {
    const char *all[64];
    size_t n = 0;
    lg_buf list = {0};
    for (uint32_t i = 0; i < m->tree->n && n < LG_COUNT(all); i++) {
        const lg_ast *s = m->tree->kid[i];
        if (s->name && (is_decl(s, "entry") || is_decl(s, "train"))) {
            lg_buf_printf(&list, "%s%s", n ? ", " : "", s->name);
            all[n++] = s->name;
        }
    }
    lg_diag *d =
        name ? lg_err(E, "E0707", (lg_span){0}, "%s has no entry or train `%s`", m->name, name)
        : n  ? lg_err(E, "E0707", (lg_span){0}, "%s has several entries: say which one runs",
                      m->name)
             : lg_err(E, "E0707", (lg_span){0}, "%s has nothing to run", m->name);
    const char *near = name ? lg_nearest(name, all, n) : NULL;
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    else if (n)
        lg_diag_help(d, "there are: %s", list.at);
    else
        lg_diag_help(d, "write statements at the top level, a `train` or an `entry`");
    lg_buf_free(&list);
}

/* The declaration that runs; NULL with *top: the top level; NULL without: reported. */
static const lg_ast *choose(lg_elab *E, lg_module *m, const char *name, bool *top) {
    *top = false;
    if (name) {
        const lg_ast *d = find_entry(m, name);
        if (!d)
            no_entry(E, m, name);
        return d;
    }
    const lg_ast *train = NULL, *entry = NULL;
    int trains = 0, entries = 0;
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *s = m->tree->kid[i];
        *top = *top || lg_host_runs_at_top(s);
        if (is_decl(s, "train")) {
            train = s;
            trains++;
        } else if (is_decl(s, "entry")) {
            entry = s;
            entries++;
        }
    }
    if (*top)
        return NULL;
    const lg_ast *main_entry = find_entry(m, "main");
    if (main_entry)
        return main_entry;
    if (trains == 1)
        return train;
    if (!trains && entries == 1)
        return entry;
    no_entry(E, m, NULL);
    return NULL;
}

/* Names of top-level `let`s are known from the start; each is evaluated when its turn comes, or
 * when an earlier statement needs it. */
static void foresee_name(lg_elab *E, lg_frame *f, const lg_ast *s, lg_sym name, lg_span at) {
    if (!strcmp(name, "_") || lg_find_local(f, name, false))
        return;
    lg_bind(E, f, name, NULL, at);
    f->names->state = LG_B_PENDING;
    f->names->stmt = s;
}

static void foresee_pattern(lg_elab *E, lg_frame *f, const lg_ast *s, const lg_ast *p) {
    if (p->kind == LG_A_NAME || p->kind == LG_A_INDEXPAT)
        foresee_name(E, f, s, p->name, p->span);
    for (uint32_t i = 0; p->kind == LG_A_RECPAT && i < p->n; i++)
        if (p->kid[i]->n && p->kid[i]->kid[0])
            foresee_pattern(E, f, s, p->kid[i]->kid[0]);
        else
            foresee_name(E, f, s, p->kid[i]->name, p->kid[i]->span);
}

void lg_host_foresee(lg_elab *E, lg_module *m) {
    for (uint32_t i = 0; i < m->tree->n; i++)
        if (m->tree->kid[i]->kind == LG_A_LET)
            foresee_pattern(E, m->frame, m->tree->kid[i], m->tree->kid[i]->kid[0]);
}

/* A name that the top-level statement s is to define, or has defined. */
lg_binding *lg_host_defined_by(lg_frame *f, const lg_ast *s) {
    lg_binding *b = f->names;
    while (b && b->stmt != s)
        b = b->next;
    return b;
}

static void run_top(lg_elab *E, lg_module *m) {
    lg_host *H = lg_host_of(E);
    size_t errors = E->diags->errors;
    lg_context c = lg_host_enter(E, H->keep, true);
    E->frame = m->frame;
    E->step = &H->step;
    for (uint32_t i = 0; i < m->tree->n && (!H->keep || E->diags->errors == errors); i++) {
        const lg_ast *s = m->tree->kid[i];
        if (!lg_host_runs_at_top(s))
            continue;
        lg_binding *b = lg_host_defined_by(m->frame, s);
        if (b)
            lg_force(E, m->frame, b, s->span);
        else
            lg_host_do(E, m->frame, s);
    }
    lg_host_flush(E);
    lg_host_leave(E, &c);
}

/* What checking found out with unknown values is forgotten: names are pending again. */
void lg_host_forget(lg_module *m) {
    m->frame->dims.n = 0;
    m->frame->call_count = m->frame->rand_count = 0; /* places of draws are those of the run */
    lg_binding **at = &m->frame->names;
    while (*at) {
        lg_binding *b = *at;
        bool module = b->value && b->value->kind == LG_V_MODULE;
        if (b->stmt && !module) {
            b->state = LG_B_PENDING;
            b->value = NULL;
        } else if (!module) {
            *at = b->next;
            continue;
        }
        at = &b->next;
    }
}

void lg_host_afresh(lg_elab *E) {
    lg_host *H = lg_host_of(E);
    for (lg_module *m = E->modules; m; m = m->next)
        lg_host_forget(m);
    H->data.n = 0;
    H->rows.n = 0;
    H->table.n = 0;
    if (!H->keep)
        H->keep = lg_graph_new(NULL);
    E->g = H->keep;
}

/* Every argument is read and checked before anything runs. */
static bool arguments(lg_elab *E) {
    for (lg_module *m = E->modules; m; m = m->next)
        for (uint32_t i = 0; !m->library && i < m->tree->n; i++) {
            const lg_ast *s = m->tree->kid[i];
            lg_binding *b =
                is_decl(s, "arg") && s->name ? lg_find_local(m->frame, s->name, false) : NULL;
            if (b)
                lg_force(E, m->frame, b, s->span);
        }
    return lg_host_ok(E);
}

bool lg_host_options(lg_elab *E, const lg_host_opts *o) {
    lg_host_attach(E, o);
    return lg_options_read(lg_host_of(E));
}

bool lg_host_check_options(lg_elab *E, lg_module *m) {
    lg_host *H = lg_host_of(E);
    H->main = m;
    lg_host_afresh(E);
    lg_host_foresee(E, m);
    lg_context c = lg_host_enter(E, H->keep, true);
    E->frame = m->frame;
    E->step = &H->step;
    if (H->o.entry && !find_entry(m, H->o.entry))
        no_entry(E, m, H->o.entry);
    bool ok = lg_options_check(H, m);
    lg_host_leave(E, &c);
    return ok;
}

bool lg_host_check_with(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    return lg_host_options(E, o) && lg_host_check_options(E, m);
}

/* Only trains go on where they were. */
static bool may_resume(lg_elab *E, const lg_module *m, const lg_host_opts *o) {
    bool any = !o->resume;
    for (uint32_t i = 0; i < m->tree->n; i++)
        any = any || is_decl(m->tree->kid[i], "train") || m->tree->kid[i]->kind == LG_A_IMPORT;
    if (any)
        return true;
    lg_diag *d = lg_err(E, "E0629", (lg_span){0}, "%s has no train that could go on", m->name);
    lg_diag_help(d, "--resume goes on with a `train` from the newest of its saves");
    return false;
}

int lg_host_run(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    lg_host_attach(E, o);
    lg_host *H = lg_host_of(E);
    H->main = m;
    lg_pool_init(o->threads);
    bool top;
    const lg_ast *what = choose(E, m, o->entry, &top);
    if ((!what && !top) || !lg_options_read(H))
        return 2;
    for (size_t i = 0; i < H->option.n; i++)
        if (!strcmp(H->option.at[i].name, "help")) {
            lg_options_help(H, what);
            return 0;
        }
    if (!lg_options_all_used(H, what) || !may_resume(E, m, o))
        return 2;
    lg_io io = lg_host_io(E, (lg_span){0});
    if (o->log && lg_log_open(&io, o->log, o->resume != NULL, &H->log) != LG_OK)
        return 1;
    lg_host_afresh(E);
    E->allow_foreign = o->allow_foreign;
    lg_host_foresee(E, m);
    if (!arguments(E))
        return 2;
    if (top) {
        run_top(E, m);
    } else {
        lg_arg *arg;
        int n = lg_param_options(E, m->frame, what->kid[LG_D_PARAMS], &arg);
        if (!lg_host_ok(E))
            return 2;
        if (is_decl(what, "train"))
            lg_train_run(E, what, m->frame, n, arg, what->name_span);
        else
            run_entry(E, what, m->frame, n, arg, what->name_span);
    }
    lg_host_flush(E);
    if (lg_profile_on())
        fprintf(stderr, "elaboration: %zu kB, constants: %zu kB\n", lg_arena_used(E->home) >> 10,
                lg_arena_used(H->keep->arena) >> 10);
    lg_plans_forget(H);
    lg_log_close(H->log);
    H->log = NULL;
    return lg_host_ok(E) ? H->status : 1;
}

/* ---- plans without a run ---- */

static bool needs_arguments(const lg_ast *train) {
    const lg_ast *params = train->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (!params->kid[i]->kid[2])
            return true;
    return false;
}

static bool was_told(const lg_host *H, const lg_ast *d) {
    for (size_t i = 0; i < H->told.n; i++)
        if (H->told.at[i] == d)
            return true;
    return false;
}

bool lg_host_ready(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    lg_host_attach(E, o);
    lg_host *H = lg_host_of(E);
    H->main = m;
    H->told.n = H->option.n = 0;
    lg_pool_init(o->threads);
    if (!lg_options_read(H))
        return false;
    lg_host_afresh(E);
    lg_host_foresee(E, m);
    return arguments(E);
}

void lg_host_rehearse(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    if (!lg_host_ready(E, m, o))
        return;
    lg_host *H = lg_host_of(E);
    H->trial++;
    run_top(E, m);
    for (uint32_t i = 0; i < m->tree->n && lg_host_ok(E); i++) {
        const lg_ast *s = m->tree->kid[i];
        if (!is_decl(s, "train") || needs_arguments(s) || was_told(H, s))
            continue;
        lg_arg *arg;
        int n = lg_param_options(E, m->frame, s->kid[LG_D_PARAMS], &arg);
        if (lg_host_ok(E))
            lg_train_run(E, s, m->frame, n, arg, s->name_span);
    }
    H->trial--;
    lg_plans_forget(H);
}

/* ---- checking ---- */

static void check_entry(lg_elab *E, lg_frame *env, const lg_ast *d) {
    lg_context c = lg_host_enter(E, NULL, true);
    lg_frame *f = lg_frame_new(E, LG_F_HOST, env);
    f->decl = d;
    E->frame = f;
    E->step = &lg_host_of(E)->step;
    const lg_ast *params = d->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        lg_bind(E, f, params->kid[i]->name, lg_host_known(E, lg_param_any(E, f, params->kid[i])),
                params->kid[i]->span);
    lg_check_defaults(E, f, params);
    lg_options_bind(E, f, params);
    if (d->kid[LG_D_BLOCK])
        lg_host_block(E, f, d->kid[LG_D_BLOCK]);
    lg_host_leave(E, &c);
}

static void check_data(lg_elab *E, lg_frame *env, const lg_ast *d) {
    lg_context c = lg_host_enter(E, NULL, true);
    E->frame = env;
    const lg_ast *params = d->kid[LG_D_PARAMS];
    int n = params ? (int)params->n : 0;
    lg_arg *arg = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++)
        arg[i] = (lg_arg){params->kid[i]->name, lg_param_any(E, env, params->kid[i]), NULL,
                          params->kid[i]->span};
    lg_data_call(E, d, env, n, arg, d->name_span);
    lg_host_leave(E, &c);
}

/* Statements that the top of a file has no place for. */
static void check_top(lg_elab *E, lg_module *m) {
    static const char *const words[] = {"phase", "eval", "field"};
    static const char *const named[] = {"loss", "optimizer", "data", "fn"};
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *s = m->tree->kid[i];
        bool stray = s->kind == LG_A_RETURN || s->kind == LG_A_YIELD || s->kind == LG_A_STOP ||
                     s->kind == LG_A_FREEZE || s->kind == LG_A_QUANTIZE;
        for (size_t k = 0; k < LG_COUNT(words); k++)
            stray = stray || is_decl(s, words[k]);
        for (size_t k = 0; k < LG_COUNT(named); k++)
            stray = stray || (is_decl(s, named[k]) && !s->name);
        if (stray)
            lg_diag_help(lg_err(E, "E0443", s->span, "this does not stand at the top of a file"),
                         s->kind == LG_A_RETURN || s->kind == LG_A_YIELD
                             ? "it belongs to a function"
                         : is_decl(s, "field") ? "it belongs to `data`"
                                               : "it belongs to a `train`");
        else if (s->kind == LG_A_ASSIGN)
            lg_host_do(E, m->frame, s);
    }
}

static void check_declared(lg_elab *E, lg_module *m, const lg_ast *s) {
    if (is_decl(s, "arg"))
        lg_force(E, m->frame, lg_find_local(m->frame, s->name, false), s->span);
    else if (is_decl(s, "data"))
        check_data(E, m->frame, s);
    else if (is_decl(s, "train"))
        lg_train_check(E, s, m->frame);
    else
        check_entry(E, m->frame, s);
}

void lg_host_check_module(lg_elab *E, lg_module *m) {
    lg_host_attach(E, NULL);
    lg_host *H = lg_host_of(E);
    lg_graph *keep = H->keep, *g = E->g;
    H->keep = NULL;
    E->g = NULL;
    lg_host_foresee(E, m);
    check_top(E, m);
    static const char *const order[] = {"arg", "data", "train", NULL,
                                        "entry"}; /* causes before effects */
    for (size_t k = 0; k < LG_COUNT(order); k++) {
        if (!order[k])
            run_top(E, m);
        for (uint32_t i = 0; order[k] && i < m->tree->n; i++)
            if (m->tree->kid[i]->name && is_decl(m->tree->kid[i], order[k]))
                check_declared(E, m, m->tree->kid[i]);
    }
    H->keep = keep;
    E->g = g;
}

/* ---- predictions and `check` lines ---- */

bool lg_host_check_line(lg_elab *E, lg_module *m, const lg_ast *s, FILE *out) {
    bool ok = true;
    for (uint32_t i = 0; i < s->n; i++) {
        size_t errors = E->diags->errors;
        lg_value *v = lg_host_expr(E, m->frame, s->kid[i]);
        bool yes = false;
        lg_v_static_bool(E, v, &yes);
        if (E->diags->errors == errors && v->kind != LG_V_NONE && !lg_v_static_bool(E, v, &yes))
            lg_err(E, "E0206", s->kid[i]->span, "`check` wants a bool, got %s",
                   lg_v_type_text(E, v));
        yes = yes && E->diags->errors == errors;
        fprintf(out, "%-12s %s\n", yes ? "ok" : "FALLS SHORT", lg_ast_text(E->arena, s->kid[i]));
        ok = ok && yes;
    }
    return ok;
}

/* Checks that the text alone could not decide, in the order of the text. */
static int by_place(const void *a, const void *b) {
    const struct lg_late *const *x = a, *const *y = b;
    if ((*x)->at.file != (*y)->at.file)
        return (*x)->at.file < (*y)->at.file ? -1 : 1;
    return (*x)->at.beg < (*y)->at.beg ? -1 : (*x)->at.beg > (*y)->at.beg;
}

static void list_late(lg_elab *E, FILE *out) {
    LG_VEC(const struct lg_late *) all = {0};
    for (const struct lg_late *l = E->late; l; l = l->next)
        LG_PUSH(all, l);
    if (all.n) {
        qsort(all.at, all.n, sizeof *all.at, by_place);
        fprintf(out, "checked when it runs:\n");
    }
    for (size_t i = 0; i < all.n; i++) {
        uint32_t line, col;
        lg_source_where(all.at[i]->at.file, all.at[i]->at.beg, &line, &col);
        fprintf(out, "  %s:%u:%u  %s\n", lg_source_name(all.at[i]->at.file), line, col,
                all.at[i]->text);
    }
    lg_free(all.at);
}

bool lg_host_predict(lg_elab *E, lg_module *m, const lg_host_opts *o, FILE *out) {
    lg_host_attach(E, o);
    lg_host *H = lg_host_of(E);
    H->main = m;
    lg_pool_init(H->o.threads);
    lg_host_afresh(E);
    lg_host_foresee(E, m);
    bool ok = true;
    lg_context c = lg_host_enter(E, H->keep, true);
    E->frame = m->frame;
    E->step = &H->step;
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *s = m->tree->kid[i];
        if (is_decl(s, "train"))
            ok = lg_train_predict(E, s, m->frame, out) && ok;
        else if (s->kind == LG_A_EFFECT && !strcmp(s->name, "check"))
            ok = lg_host_check_line(E, m, s, out) && ok;
    }
    lg_host_leave(E, &c);
    lg_plans_forget(H);
    list_late(E, out);
    return ok && lg_host_ok(E);
}
