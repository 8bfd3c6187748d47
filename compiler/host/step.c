/* step.c: elaborates one step of a train (or one of its eval blocks) into one graph: what is bound
 * before the statements run, and the statements that only a train has. Updates are in update.c. */
#include "compiler/host/train.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

bool lg_is_word(const lg_ast *s, const char *word) {
    return s->kind == LG_A_DECL && s->text && !strcmp(s->text, word);
}

int lg_train_var(lg_train *T, lg_sym path, lg_var_kind kind) {
    for (size_t i = 0; i < T->var.n; i++)
        if (T->var.at[i].path == path)
            return (int)i;
    LG_PUSH(T->var, ((lg_var){.path = path, .kind = kind}));
    return (int)T->var.n - 1;
}

int lg_train_series(lg_train *T, lg_sym name, bool eval) {
    for (size_t i = 0; i < T->series.n; i++)
        if (T->series.at[i].name == name)
            return (int)i;
    LG_PUSH(T->series, ((lg_series){.name = name, .eval = eval, .last = (double)NAN}));
    return (int)T->series.n - 1;
}

int lg_build_result(lg_build *b, lg_result_kind kind, int index, lg_node *node) {
    LG_PUSH(b->result, ((lg_result){kind, index, node}));
    return (int)b->result.n - 1;
}

/* ---- inputs ---- */

lg_node *lg_build_input(lg_build *b, lg_type t, lg_slot slot, lg_span at) {
    if (!b->g)
        return NULL;
    lg_node *n = lg_g_input(b->g, t, at);
    LG_PUSH(b->slot, slot);
    return n;
}

static lg_value *scalar_input(lg_build *b, lg_slot_kind kind, lg_dtype t, int index) {
    lg_node *n =
        lg_build_input(b, lg_type_make(t, 0, NULL), (lg_slot){.kind = kind, .index = index}, b->at);
    lg_value *v = lg_v_tensor(b->E, t, 0, NULL, n, b->at);
    v->t.weak = true;
    return v;
}

/* ---- losses ---- */

lg_value *lg_scalar_of_terms(lg_elab *E, lg_value *v, lg_span at) {
    bool weighted = v->weight && v->weight->kind != LG_V_NUM;
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, E->frame->float_dtype, at);
    if (v->kind != LG_V_TENSOR)
        return v;
    lg_arg terms = {NULL, v, NULL, at}; /* their mean is by their weights */
    if (v->t.rank || weighted)
        return lg_reduce_axis(E, lg_intern("mean"), 1, &terms, at);
    v = lg_v_copy(E, v);
    v->weight = NULL;
    return v;
}

/* The weights of a loss line, added up. */
static void total_weight(lg_build *b, const lg_ast *s, const lg_value *terms) {
    const lg_value *w = terms->weight;
    if (!b->g || b->eval || !w || w->kind != LG_V_TENSOR)
        return;
    size_t k = 0;
    while (k < b->loss.n && b->loss.at[k] != s)
        k++;
    lg_value *sum = lg_v_copy(b->E, w);
    sum->weight = NULL;
    lg_arg all = {NULL, sum, NULL, s->span};
    if (w->t.rank)
        sum = lg_reduce_axis(b->E, lg_intern("sum"), 1, &all, s->span);
    if (k < b->loss.n && sum->kind == LG_V_TENSOR)
        lg_build_result(b, LG_R_WEIGHT, (int)k,
                        lg_g_cast(b->g, lg_import(b->E, sum->t.node), LG_F64, s->span));
}

lg_value *lg_build_loss(lg_build *b, const lg_ast *s) {
    lg_elab *E = b->E;
    const lg_ast *e = s->kid[LG_D_VALUE];
    lg_value *v = lg_schedule_now(E, lg_expr_in(E, b->f, e));
    if (v->kind == LG_V_ERROR)
        return v;
    lg_frame *was = E->frame;
    E->frame = b->f;
    v = lg_loss_terms(E, v, e->span);
    bool terms = v->kind != LG_V_TENSOR || lg_dtype_is_float(v->t.dtype);
    lg_value *r = terms ? lg_scalar_of_terms(E, v, e->span) : v;
    if (r->kind == LG_V_TENSOR && v->kind == LG_V_TENSOR)
        total_weight(b, s, v);
    E->frame = was;
    if (r->kind != LG_V_ERROR &&
        (r->kind != LG_V_TENSOR || !lg_dtype_is_float(r->t.dtype) || r->t.rank)) {
        lg_err(E, "E0431", e->span, "a loss is a number or an array of terms, got %s",
               lg_v_type_text(E, v));
        return lg_v_error(E, e->span);
    }
    return r;
}

/* `loss` where the losses have names: their sum. */
static lg_value *total_loss(lg_build *b) {
    lg_value *sum = NULL;
    for (size_t i = 0; i < b->loss.n; i++) {
        const lg_ast *s = b->loss.at[i];
        lg_value *v = s->name ? lg_force(b->E, b->f, lg_find_local(b->f, s->name, false), s->span)
                              : lg_build_loss(b, s);
        lg_frame *was = b->E->frame;
        b->E->frame = b->f;
        sum = sum ? lg_binary(b->E, "+", sum, v, s->span) : v;
        b->E->frame = was;
    }
    return sum;
}

/* ---- the statements of a train, as they are met ---- */

static lg_build *build_of(lg_frame *f) {
    while (f && f->kind != LG_F_TRAIN)
        f = f->up;
    return f ? f->ext : NULL;
}

bool lg_only_effects(const lg_ast *when) {
    for (int k = 1; k < 3; k++) {
        const lg_ast *block = when->kid[k];
        if (!block)
            continue;
        if (block->kind == LG_A_WHEN) {
            if (!lg_only_effects(block))
                return false;
            continue;
        }
        for (uint32_t i = 0; i < block->n; i++) {
            const lg_ast *s = block->kid[i];
            if (s->kind != LG_A_EFFECT && !(s->kind == LG_A_WHEN && lg_only_effects(s)))
                return false;
        }
    }
    return true;
}

bool lg_train_statement(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_build *b = build_of(f);
    if (s->kind == LG_A_EFFECT)
        return true;
    if (f->kind != LG_F_TRAIN || !b)
        return false;
    switch ((lg_ast_kind)s->kind) {
    case LG_A_SETTING:
    case LG_A_FREEZE:
    case LG_A_QUANTIZE:
    case LG_A_STOP:
        return true;
    case LG_A_WHEN:
        return lg_only_effects(s);
    case LG_A_DECL:
        break;
    default:
        return false;
    }
    lg_binding *made = s->name ? lg_find_local(f, s->name, false) : NULL;
    if (made && made->stmt == s && made->state == LG_B_VALUE)
        return true; /* somebody asked for it earlier */
    lg_frame *was = E->frame;
    E->frame = f;
    bool mine = true;
    if (lg_is_word(s, "part") || lg_is_word(s, "param") || lg_is_word(s, "state")) {
        lg_build_keep(b, s);
    } else if (lg_is_word(s, "metric")) {
        lg_step_name(b, s->name, lg_expr_in(E, f, s->kid[LG_D_VALUE]), s->name_span);
    } else if (lg_is_word(s, "loss") && !s->kid[LG_D_PARAMS]) {
        if (!s->kid[LG_D_VALUE])
            lg_step_name(b, lg_intern("loss"), total_loss(b), s->span);
        else if (s->name)
            lg_step_name(b, s->name, lg_build_loss(b, s), s->name_span);
    } else {
        mine = lg_is_word(s, "data") || lg_is_word(s, "eval") || lg_is_word(s, "phase") ||
               (lg_is_word(s, "optimizer") && !s->kid[LG_D_BLOCK]);
    }
    E->frame = was;
    return mine;
}

/* ---- before the statements ---- */

static void bind_step(lg_build *b) {
    lg_elab *E = b->E;
    lg_train *T = b->T;
    b->step.step = scalar_input(b, LG_S_STEP, LG_I64, 0);
    b->step.epoch = scalar_input(b, LG_S_EPOCH, LG_I64, 0);
    b->step.steps = scalar_input(b, LG_S_STEPS, LG_I64, 0);
    b->step.run_step = scalar_input(b, LG_S_RUN_STEP, LG_I64, 0);
    b->step.seed = scalar_input(b, LG_S_SEED, LG_I64, 0);
    b->step.first_item =
        b->in_parts ? scalar_input(b, LG_S_FIRST, LG_I64, 0) : lg_v_int(E, 0, b->at);
    b->step.training = b->eval == NULL;
    E->step = &b->step;
    lg_bind(E, b->f, lg_intern("step"), b->step.step, b->at);
    lg_bind(E, b->f, lg_intern("epoch"), b->step.epoch, b->at);
    lg_bind(E, b->f, lg_intern("steps"), b->step.steps, b->at);
    lg_value *run = lg_v_record(E, 0, b->at);
    lg_v_set_field(E, run, lg_intern("step"), b->step.run_step);
    lg_bind(E, b->f, lg_intern("run"), run, b->at);
    lg_bind(E, b->f, lg_intern("training"), lg_v_bool(E, b->step.training, b->at), b->at);
    if (T->phase && T->phase->name)
        lg_bind(E, b->f, lg_intern("phase"), lg_v_str(E, T->phase->name, b->at), b->at);
}

static lg_value *field_values(lg_build *b, lg_data *d, int feed, lg_dim *rows, lg_span at) {
    lg_elab *E = b->E;
    lg_value *r = lg_v_record(E, 0, at);
    for (int i = 0; i < d->src->n_cols; i++) {
        const lg_value *t = d->src->col[i].type;
        lg_dim *dim[LG_MAX_RANK] = {rows};
        lg_type ty = {.dtype = t->t.dtype, .rank = t->t.rank + 1};
        for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++) {
            dim[k + 1] = t->t.dim[k];
            if (b->g)
                ty.shape[k + 1] = lg_dim_size(E, dim[k + 1], at);
        }
        if (b->g)
            ty.shape[0] = lg_dim_size(E, rows, at);
        lg_node *node =
            lg_build_input(b, ty, (lg_slot){.kind = LG_S_FIELD, .feed = feed, .index = i}, at);
        lg_value *v = lg_v_tensor(E, t->t.dtype, ty.rank, dim, node, at);
        v->t.bound = t->t.bound;
        lg_v_set_field(E, r, d->src->col[i].name, v);
    }
    return r;
}

static void bind_fields(lg_build *b, lg_data *d, int feed, lg_sym name, int64_t rows, lg_span at) {
    lg_elab *E = b->E;
    lg_sym dim_name = b->eval ? lg_intern("N")
                      : name  ? lg_intern(lg_txt(E, "B_%s", name))
                              : lg_intern("B");
    lg_dim *dim = lg_dim_var(E->dims, dim_name, at);
    if (b->g)
        lg_dim_set(dim, rows);
    lg_frame_add_dim(E, b->f, dim_name, dim);
    if (!b->step.batch || !name)
        b->step.batch = dim;
    lg_value *r = field_values(b, d, feed, dim, at);
    if (name) {
        lg_bind(E, b->f, name, d->src->unknown && !d->src->n_cols ? lg_v_error(E, at) : r, at);
        return;
    }
    for (int i = 0; i < r->rec.n; i++)
        lg_bind(E, b->f, r->rec.f[i].name, r->rec.f[i].value, at);
}

static void bind_data(lg_build *b) {
    if (b->eval) {
        if (b->eval_data)
            bind_fields(b, b->eval_data, 0, NULL, b->rows ? b->rows[0] : 0, b->eval->span);
        return;
    }
    for (size_t i = 0; i < b->T->feed.n; i++) {
        lg_feed *s = &b->T->feed.at[i];
        if (s->data)
            bind_fields(b, s->data, (int)i, s->name, b->rows ? b->rows[i] : 0, s->decl->span);
    }
}

static bool overridden(const lg_ast *phase, const lg_ast *s) {
    static const char *const words[] = {"loss", "optimizer", "data"};
    const lg_ast *block = phase ? phase->kid[LG_D_BLOCK] : NULL;
    for (size_t w = 0; block && w < LG_COUNT(words); w++)
        if (lg_is_word(s, words[w]) && !(lg_is_word(s, "loss") && s->kid[LG_D_PARAMS]))
            for (uint32_t i = 0; i < block->n; i++)
                if (lg_is_word(block->kid[i], words[w]) &&
                    (!lg_is_word(s, "data") || block->kid[i]->name == s->name))
                    return true;
    return false;
}

static void add_statements(lg_build *b, const lg_ast *block, const lg_ast *overriding) {
    for (uint32_t i = 0; block && i < block->n; i++)
        if (!overridden(overriding, block->kid[i]))
            LG_PUSH(b->body, block->kid[i]);
}

static void pending(lg_build *b, lg_sym name, const lg_ast *s) {
    if (lg_find_local(b->f, name, false))
        return;
    lg_bind(b->E, b->f, name, NULL, s->name_span.file ? s->name_span : s->span);
    b->f->names->state = LG_B_PENDING;
    b->f->names->stmt = s;
}

/* Values of eval blocks may steer the run: `stop when acc > 0.98`. NaN before the first evaluation.
 */
static void bind_series(lg_build *b, const lg_ast *eval) {
    const lg_ast *block = eval->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        lg_sym name = s->kind == LG_A_SETTING                               ? s->name
                      : s->kind == LG_A_LET && s->kid[0]->kind == LG_A_NAME ? s->kid[0]->name
                                                                            : NULL;
        if (name && !lg_find_local(b->f, name, false))
            lg_bind(
                b->E, b->f, name,
                scalar_input(b, LG_S_SERIES, LG_F64, b->g ? lg_train_series(b->T, name, true) : 0),
                s->span);
    }
}

static void declare(lg_build *b) {
    lg_elab *E = b->E;
    lg_ast *block = lg_ast_new(E->arena, LG_A_BLOCK, b->at, 0);
    bool unnamed = false;
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        union {
            const lg_ast *c;
            lg_ast *p;
        } u = {s};
        if (s->kind == LG_A_LET || s->kind == LG_A_ASSIGN ||
            (s->kind == LG_A_WHEN && !lg_only_effects(s)) || s->kind == LG_A_DECL)
            if (!lg_is_word(s, "data") && !lg_is_word(s, "phase") &&
                !(lg_is_word(s, "optimizer") && !s->kid[LG_D_BLOCK]))
                lg_ast_add(E->arena, block, u.p);
        bool keeps = lg_is_word(s, "part") || lg_is_word(s, "param") || lg_is_word(s, "state") ||
                     lg_is_word(s, "metric");
        if (s->name && keeps)
            pending(b, s->name, s);
        if (lg_is_word(s, "loss") && !s->kid[LG_D_PARAMS] && !b->eval) {
            LG_PUSH(b->loss, s);
            unnamed = unnamed || !s->name;
        }
        if (lg_is_word(s, "eval") && !b->eval)
            bind_series(b, s);
    }
    lg_block_declare(E, b->f, block);
    if (b->loss.n) {
        lg_ast *sum = lg_ast_new(E->arena, LG_A_DECL, b->loss.at[0]->span, LG_D_N);
        sum->text = lg_intern("loss");
        pending(b, lg_intern("loss"), sum);
    }
}

static void freeze(lg_build *b) {
    lg_elab *E = b->E;
    for (size_t k = 0; k < b->body.n; k++) {
        const lg_ast *s = b->body.at[k];
        for (uint32_t j = 0; s->kind == LG_A_FREEZE && j < s->n; j++) {
            const char *sel = lg_selector_text(E, s->kid[j], "freeze");
            for (size_t i = 0; sel && i < b->group.n; i++) {
                lg_group *g = &b->group.at[i];
                for (int l = 0; l < g->n; l++) {
                    const char *path =
                        *g->leaf[l].path ? lg_txt(E, "%s.%s", g->name, g->leaf[l].path) : g->name;
                    if (!lg_path_matches(sel, path))
                        continue;
                    g->frozen[l] = true;
                    if (b->g && g->value[l]->kind == LG_V_TENSOR)
                        LG_PUSH(b->frozen, g->value[l]->t.node);
                }
            }
            if (sel)
                lg_build_names(b, sel, false, s->kid[j]->span);
        }
    }
    E->frozen = b->frozen.at;
    E->n_frozen = (int)b->frozen.n;
}

static void quantize(lg_build *b) {
    lg_elab *E = b->E;
    lg_quantized *all = NULL, **end = &all;
    for (size_t k = 0; k < b->T->quantize.n; k++) {
        const lg_ast *s = b->T->quantize.at[k];
        lg_quantized *q = LG_NEW(E->arena, lg_quantized);
        q->selector = lg_selector_text(E, s->kid[0], "quantize");
        if (!q->selector || !lg_build_names(b, q->selector, true, s->kid[0]->span))
            continue;
        q->quant = lg_expr_in(E, b->f, s->kid[1]);
        if (q->quant->kind == LG_V_DECL &&
            !strcmp(q->quant->decl.decl->text,
                    "quantizer")) { /* `with int_sym` without arguments */
            q->quant = lg_quant_make(E, q->quant->decl.decl, q->quant->decl.env, 0, NULL, s->span);
        }
        if (q->quant->kind == LG_V_ERROR)
            continue;
        if (q->quant->kind != LG_V_QUANT) {
            lg_err(E, "E0208", s->kid[1]->span, "`quantize` wants a quantizer, got %s",
                   lg_v_type_text(E, q->quant));
            continue;
        }
        *end = q;
        end = &q->next;
    }
    E->quantized = b->quantized = all;
}

/* ---- the whole ---- */

static void statements(lg_build *b) {
    lg_elab *E = b->E;
    for (size_t i = 0; i < b->body.n; i++) { /* what others are made of comes first */
        const lg_ast *s = b->body.at[i];
        if (s->name && (lg_is_word(s, "part") || lg_is_word(s, "param") || lg_is_word(s, "state")))
            lg_force(E, b->f, lg_find_local(b->f, s->name, false), s->span);
    }
    freeze(b);
    quantize(b);
    for (size_t i = 0; !b->eval && i < b->body.n; i++)
        lg_statement(E, b->f, b->body.at[i]);
}

static void scalar_result(lg_build *b, lg_sym name, lg_value *v, lg_span at, bool eval) {
    lg_elab *E = b->E;
    if (v->kind == LG_V_ERROR)
        return;
    lg_frame *was = E->frame;
    E->frame = b->f;
    v = lg_scalar_of_terms(E, v, at);
    if (v->kind == LG_V_TENSOR && v->t.rank == 0) {
        if (b->g)
            lg_build_result(b, LG_R_SERIES, lg_train_series(b->T, name, eval),
                            lg_g_cast(E->g, lg_import(E, v->t.node), LG_F64, at));
    } else if (v->kind != LG_V_ERROR) {
        lg_err(E, "E0432", at, "`%s` is followed as one number, got %s", name,
               lg_v_type_text(E, v));
    }
    E->frame = was;
}

/* Rules that the step applies may be asked for their states in its evals. */
static void lend_rules(lg_build *b) {
    lg_elab *E = b->E;
    const lg_binding *x = b->T->step_frame ? b->T->step_frame->names : NULL;
    for (; x; x = x->next) {
        if (!x->value || x->value->kind != LG_V_RULE || !lg_rule_target(x->value))
            continue;
        lg_binding *mine = lg_find_local(b->f, x->name, false);
        lg_binding *fed = lg_find_local(b->f, lg_rule_target(x->value), false);
        lg_value *rule = mine && fed ? lg_force(E, b->f, mine, mine->at) : NULL;
        lg_value *p = rule ? lg_force(E, b->f, fed, fed->at) : NULL;
        if (p && rule->kind == LG_V_RULE)
            lg_rule_lend(E, rule, x->value, p->kind == LG_V_MODEL ? lg_model_record(E, p) : p,
                         &b->store);
    }
}

static void run_eval(lg_build *b) {
    lg_elab *E = b->E;
    lg_frame *outer = b->f;
    lend_rules(b);
    const lg_ast *block = b->eval->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (s->kind == LG_A_SETTING) {
            lg_value *v = lg_expr_in(E, outer, s->kid[0]);
            scalar_result(b, s->name, v, s->kid[0]->span, true);
            if (!lg_find_local(outer, s->name, false))
                lg_bind(E, outer, s->name, lg_v_copy(E, v), s->span);
        } else if (s->kind == LG_A_LET) {
            lg_block_declare(E, outer, block);
            lg_statement(E, outer, s);
            lg_binding *x =
                s->kid[0]->kind == LG_A_NAME ? lg_find_local(outer, s->kid[0]->name, false) : NULL;
            if (x && x->value &&
                (x->value->kind == LG_V_NUM ||
                 (x->value->kind == LG_V_TENSOR && lg_dtype_is_float(x->value->t.dtype) &&
                  x->value->t.rank <= 1)))
                scalar_result(b, x->name, x->value, s->span, true);
        } else if (s->kind == LG_A_EFFECT) {
            lg_build_show(b, s, NULL);
        } else if (s->kind == LG_A_WHEN) {
            lg_build_when(b, s, NULL);
        } else {
            lg_err(E, "E0443", s->span, "an `eval` has lines `name = value`, `let` and effects");
        }
    }
}

static void follow(lg_build *b) {
    lg_elab *E = b->E;
    for (size_t i = 0; i < b->body.n; i++) {
        const lg_ast *s = b->body.at[i];
        if (lg_is_word(s, "metric") && s->name) {
            scalar_result(b, s->name,
                          lg_force(E, b->f, lg_find_local(b->f, s->name, false), s->span),
                          s->kid[LG_D_VALUE]->span, false);
        } else if (lg_is_word(s, "loss") && s->name && !s->kid[LG_D_PARAMS]) {
            scalar_result(b, s->name, lg_find_local(b->f, s->name, false)->value, s->span, false);
        } else if (s->kind == LG_A_STOP) {
            lg_value *c = lg_expr_in(E, b->f, s->kid[0]);
            bool is_bool = c->kind == LG_V_NUM
                               ? c->num.is_bool
                               : c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL && !c->t.rank;
            if (c->kind != LG_V_ERROR && !is_bool)
                lg_err(E, "E0206", s->kid[0]->span, "`stop when` wants one bool, got %s",
                       lg_v_type_text(E, c));
            else if (b->g && c->kind != LG_V_ERROR)
                lg_build_result(b, LG_R_STOP, 0,
                                lg_import(E, lg_to_tensor(E, c, LG_BOOL, s->span)->t.node));
        }
    }
}

lg_build *lg_build_new(lg_train *T, const lg_ast *eval, lg_data *eval_data, const int64_t *rows,
                       bool with_effects, bool in_parts) {
    lg_build *b = lg_alloc(sizeof *b);
    b->T = T;
    b->E = T->E;
    b->eval = eval;
    b->eval_data = eval_data;
    b->rows = rows;
    b->effects = with_effects;
    b->in_parts = in_parts;
    b->at = T->decl->name_span.file ? T->decl->name_span : T->decl->span;
    b->g = T->H->keep ? lg_graph_new(NULL) : NULL;
    lg_build_stores(b);
    return b;
}

bool lg_build_run(lg_build *b) {
    lg_elab *E = b->E;
    lg_train *T = b->T;
    size_t errors = E->diags->errors;
    b->trouble = lg_diags_trouble(E->diags);
    lg_context c = lg_host_enter(E, b->g, false);
    E->frame = T->env;
    b->f = lg_frame_new(E, LG_F_TRAIN, T->env);
    b->f->decl = T->decl;
    b->f->ext = b;
    b->f->caller = NULL;
    b->f->path_hash = lg_hash(T->decl->name ? T->decl->name : "train",
                              T->decl->name ? strlen(T->decl->name) : 5, 17);
    E->frame = b->f;
    E->states = &b->states;
    bind_step(b);
    if (T->generic) {
        lg_bind_unknown(E, b->f, T->decl->kid[LG_D_PARAMS]);
        lg_options_bind(E, b->f, T->decl->kid[LG_D_PARAMS]);
    } else
        lg_bind_params(E, b->f, T->decl->kid[LG_D_PARAMS], T->n_arg, T->arg, T->at, T->decl->name);
    lg_params_vary(E, b->f, T->decl);
    E->frame = b->f;
    bind_data(b);
    add_statements(b, T->decl->kid[LG_D_BLOCK], T->phase);
    add_statements(b, T->phase ? T->phase->kid[LG_D_BLOCK] : NULL, NULL);
    declare(b);
    if (!b->eval)
        E->store = &b->store;
    statements(b);
    if (b->eval) {
        run_eval(b);
    } else {
        lg_binding *l = lg_find_local(b->f, lg_intern("loss"), false);
        if (b->loss.n)
            b->total = lg_force(E, b->f, l, b->at);
        if (lg_diags_trouble(E->diags) == b->trouble)
            lg_build_update(b);
        if (lg_diags_trouble(E->diags) == b->trouble)
            follow(b);
        lg_build_effects(b);
        T->step_frame = b->f;
    }
    lg_host_leave(E, &c);
    return E->diags->errors == errors;
}

void lg_build_free(lg_build *b) {
    lg_free(b->slot.at);
    lg_free(b->result.at);
    lg_free(b->group.at);
    lg_free(b->cell.at);
    lg_free(b->decoded.at);
    lg_free(b->loss.at);
    lg_free(b->body.at);
    lg_free(b->shown.at);
    lg_free(b->action.at);
    lg_free(b->frozen.at);
    if (b->g)
        lg_graph_free(b->g);
    lg_free(b);
}
