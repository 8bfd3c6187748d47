/* plan.c: a step as a plan: first values of variables, buffers, one run, effects with its values.
 * Plans are kept by batch size, so a short last batch has its own. */
#include "compiler/host/train.h"
#include "compiler/mid/parts.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- first values ---- */

/* Marks the inputs that a node needs. */
static void needs(const lg_node *n, bool *seen, bool *slot) {
    if (seen[n->id])
        return;
    seen[n->id] = true;
    if (n->op == &lg_op_input)
        slot[n->attr.slot] = true;
    for (int i = 0; i < n->n_in; i++)
        needs(n->in[i], seen, slot);
}

static const void *step_number(const lg_train *T, lg_slot_kind kind) {
    switch (kind) {
    case LG_S_STEP:
        return &T->step;
    case LG_S_EPOCH:
        return &T->epoch;
    case LG_S_STEPS:
        return &T->steps;
    case LG_S_RUN_STEP:
        return &T->run_step;
    case LG_S_SEED:
        return &T->seed;
    case LG_S_FIRST:
        return &T->first_item;
    case LG_S_FIELD:
    case LG_S_VAR:
    case LG_S_SERIES:
        break;
    }
    return NULL;
}

/* What the slot holds before the first step; NULL when that is not known (yet). */
static lg_tensor *early(lg_build *b, size_t s) {
    const lg_slot *slot = &b->slot.at[s];
    if (slot->kind == LG_S_VAR) {
        lg_tensor *x = b->T->var.at[slot->index].x;
        return x ? lg_tensor_retain(x) : NULL;
    }
    if (slot->kind == LG_S_SERIES)
        return lg_tensor_scalar_f64(LG_F64, (double)NAN);
    const void *number = step_number(b->T, slot->kind);
    return number ? lg_tensor_scalar_i64(LG_I64, *(const int64_t *)number) : NULL;
}

static bool ready(lg_build *b, size_t s, bool *on_data) {
    bool *seen = lg_alloc(b->g->node.n), *slot = lg_alloc(b->slot.n + 1), ok = true;
    needs(b->slot.at[s].init, seen, slot);
    for (size_t k = 0; k < b->slot.n; k++) {
        const lg_slot *x = &b->slot.at[k];
        if (slot[k] && x->kind == LG_S_FIELD)
            *on_data = true;
        if (slot[k] &&
            (x->kind == LG_S_FIELD || (x->kind == LG_S_VAR && !b->T->var.at[x->index].x)))
            ok = false;
    }
    lg_free(seen);
    lg_free(slot);
    return ok;
}

static bool make_round(lg_build *b, bool *any) {
    lg_train *T = b->T;
    lg_node **init = LG_NEW_N(b->E->arena, lg_node *, b->slot.n + 1);
    int *var = LG_NEW_N(b->E->arena, int, b->slot.n + 1), n = 0;
    bool missing = false, on_data = false;
    lg_span at = b->at;
    for (size_t s = 0; s < b->slot.n; s++) {
        if (b->slot.at[s].kind != LG_S_VAR || T->var.at[b->slot.at[s].index].x)
            continue;
        missing = true;
        at = b->slot.at[s].init->span;
        if (ready(b, s, &on_data)) {
            init[n] = b->slot.at[s].init;
            var[n++] = b->slot.at[s].index;
        }
    }
    *any = n > 0;
    if (!n) {
        if (missing)
            lg_err(b->E, "E0436", at,
                   on_data
                       ? "a first value cannot depend on a batch: it is made before the first step"
                       : "first values depend on each other");
        return !missing;
    }
    lg_graph *g = lg_graph_extract(b->g, n, init);
    lg_tensor **in = LG_NEW_N(b->E->arena, lg_tensor *, b->slot.n + 1),
              **out = LG_NEW_N(b->E->arena, lg_tensor *, n + 1);
    for (size_t s = 0; s < b->slot.n; s++) {
        in[s] = early(b, s);
        if (!in[s]) /* not read: ready() said so */
            in[s] = lg_tensor_new(LG_U8, 1, (int64_t[]){0});
    }
    lg_fault fault = {.row = -1};
    bool ok = lg_graph_eval(g, in, out, &fault);
    if (!ok)
        lg_host_fault(b->E, &fault, b->at);
    for (int i = 0; ok && i < n; i++)
        T->var.at[var[i]].x = out[i];
    for (size_t s = 0; s < b->slot.n; s++)
        lg_tensor_release(in[s]);
    lg_graph_free(g);
    return ok;
}

bool lg_build_inits(lg_build *b) {
    bool any = true, ok = true;
    while (ok && any)
        ok = make_round(b, &any);
    return ok;
}

/* ---- products in a narrower type ---- */

/* compute = bf16: operands of products and convolutions are rounded; sums stay in f32. */
void lg_round_products(lg_graph *g, lg_dtype t) {
    size_t n = g->node.n;
    LG_VEC(lg_node *) order = {0};
    for (size_t i = 0; i < n; i++) {
        lg_node *x = g->node.at[i];
        bool product =
            x->op->cls == LG_C_DOT || (x->op->cls == LG_C_KERNEL && (x->op->traits & LG_T_PRODUCT));
        for (int k = 0; product && k < x->n_in; k++) {
            if (x->in[k]->type->dtype != LG_F32)
                continue;
            lg_node *low = lg_g_cast(g, x->in[k], t, x->span),
                    *back = lg_g_cast(g, low, LG_F32, x->span);
            LG_PUSH(order, low);
            LG_PUSH(order, back);
            x->in[k] = back;
        }
        LG_PUSH(order, x);
    }
    lg_free(g->node.at);
    g->node.at = order.at;
    g->node.n = order.n;
    g->node.cap = order.cap;
    for (size_t i = 0; i < g->node.n; i++)
        g->node.at[i]->id = (uint32_t)i;
}

/* ---- plans ---- */

static void conditions(lg_train *T, lg_step_plan *p) {
    lg_build *b = p->b;
    bool *seen = lg_alloc(b->g->node.n), *slot = lg_alloc(b->slot.n + 1);
    lg_node **c = LG_NEW_N(T->E->arena, lg_node *, b->action.n + 1);
    int n = 0;
    for (size_t i = 0; i < b->action.n; i++) {
        if (!b->action.at[i].cond)
            p->always = true;
        else
            needs(c[n++] = b->action.at[i].cond, seen, slot);
    }
    for (size_t s = 0; s < b->slot.n; s++)
        if (slot[s] && !step_number(T, b->slot.at[s].kind))
            p->always = true;
    lg_free(seen);
    lg_free(slot);
    if (!n || p->always)
        return;
    p->cond_g = lg_graph_extract(b->g, n, c);
    p->cond = lg_plan_new(p->cond_g, &(lg_plan_opts){.threads = 1});
}

bool lg_step_plan_shows(lg_train *T, lg_step_plan *p) {
    if (!p->b->action.n || p->always || !p->cond)
        return p->always;
    size_t n = p->cond_g->output.n;
    const void **in = LG_NEW_N(T->E->arena, const void *, p->b->slot.n + 1);
    static int64_t none;
    for (size_t s = 0; s < p->b->slot.n; s++) {
        in[s] = step_number(T, p->b->slot.at[s].kind);
        if (!in[s])
            in[s] = &none; /* not read */
    }
    bool yes[64], any = false;
    void *out[64];
    for (size_t i = 0; i < n && i < 64; i++)
        out[i] = &yes[i];
    lg_fault fault = {.row = -1};
    if (n > 64 || !lg_plan_run(p->cond, in, out, &fault))
        return true;
    for (size_t i = 0; i < n; i++)
        any = any || yes[i];
    return any;
}

static size_t variable_bytes(const lg_train *T) {
    size_t n = 0;
    for (size_t i = 0; i < T->var.n; i++)
        n += T->var.at[i].x ? lg_tensor_bytes(T->var.at[i].x) : 0;
    return n;
}

static int slot_of_var(const lg_build *b, int var) {
    for (size_t s = 0; s < b->slot.n; s++)
        if (b->slot.at[s].kind == LG_S_VAR && b->slot.at[s].index == var)
            return (int)s;
    return -1;
}

/* Where much is kept or memory is limited, next values take the place of the old ones; when the
 * loss is tested first, only those that wait for the test. */
static void choose_in_place(lg_train *T, lg_step_plan *p) {
    const lg_build *b = p->b;
    p->in_place = LG_NEW_N(T->E->arena, bool, b->result.n + 1);
    if (p->eval || T->set.stop_nonfinite || p->check_nan ||
        (variable_bytes(T) <= LG_IN_PLACE_BYTES && T->H->o.memory <= 0))
        return;
    bool *after = lg_alloc(b->g->node.n + 1);
    for (size_t i = 0; b->tested && i < b->g->node.n; i++) {
        const lg_node *n = b->g->node.at[i];
        after[i] = n == b->tested;
        for (int k = 0; !after[i] && k < n->n_in; k++)
            after[i] = after[n->in[k]->id];
    }
    for (size_t i = 0; i < b->result.n; i++) {
        const lg_result *r = &b->result.at[i];
        p->in_place[i] = r->kind == LG_R_VAR && (!b->tested || after[r->node->id]) &&
                         slot_of_var(b, r->index) >= 0;
        p->in_place_any = p->in_place_any || p->in_place[i];
    }
    lg_free(after);
}

static int result_of(const lg_build *b, lg_result_kind kind) {
    for (size_t i = 0; i < b->result.n; i++)
        if (b->result.at[i].kind == kind)
            return (int)i;
    return -1;
}

/* False after reporting: there is no memory for them. */
static bool buffers(lg_train *T, lg_step_plan *p) {
    lg_build *b = p->b;
    bool ok = true;
    size_t bytes = 0;
    const lg_part_sum *sum;
    size_t n_sum = p->parts ? (size_t)lg_parts_sums(p->parts, &sum) : 0;
    p->in = LG_NEW_N(T->E->arena, const void *, b->slot.n + n_sum + 1);
    p->out = LG_NEW_N(T->E->arena, void *, b->result.n + 1);
    p->extra = LG_NEW_N(T->E->arena, lg_tensor *, b->result.n + 1);
    p->loss = result_of(b, LG_R_LOSS);
    p->norm = result_of(b, LG_R_NORM);
    p->stop = result_of(b, LG_R_STOP);
    p->series = -1;
    for (size_t i = 0; i < b->result.n; i++) {
        const lg_result *r = &b->result.at[i];
        const lg_type *t = r->node->type;
        lg_tensor **x = r->kind != LG_R_VAR ? &p->extra[i] : &T->var.at[r->index].next;
        if (r->kind == LG_R_VAR && (p->in_place[i] || *x))
            continue;
        *x = lg_tensor_try(t->dtype, t->rank, t->shape);
        ok = ok && *x;
        bytes += (size_t)lg_type_room(t);
    }
    if (!ok)
        lg_train_no_room(T, NULL, bytes);
    return ok;
}

/* Once: what keeps one step from being compiled will mostly keep the others too. */
static void not_compiled(const char *why) {
    static bool said;
    if (said)
        return;
    said = true;
    lg_progress_hide();
    fprintf(stderr, "not compiled: %s\n", why);
}

static bool runs_often(const lg_train *T, const lg_step_plan *p) {
    for (size_t i = 0; i < T->feed.n && !p->eval; i++) {
        const lg_data *d = T->feed.at[i].data;
        if (p->rows[i] != lg_data_batch(d) && p->rows[i] != d->n)
            return false;
    }
    return !p->eval;
}

/* All rows at once are as many as there are. */
static bool sized_by_data(const lg_train *T) {
    for (size_t i = 0; i < T->feed.n; i++)
        if (!T->feed.at[i].data->batch)
            return true;
    return false;
}

/* Looking for what is not finite goes from op to op, which compiled code does not. */
static void compiled(lg_train *T, const lg_step_plan *p, lg_plan *plan, bool made) {
    const char *dump = T->H->o.dump;
    if (made && dump && !strcmp(dump, "c") && !p->eval)
        lg_jit_print(plan, stdout);
    if (made && !p->check_nan && T->H->o.planned)
        T->H->o.planned(T->H->o.planned_ctx, plan, runs_often(T, p) ? T->steps : 0,
                        !p->eval && sized_by_data(T));
    if (!p->check_nan)
        lg_jit_attach(plan, T->H->o.jit, p->eval ? 0 : T->steps - T->step,
                      T->H->o.jit == LG_JIT_ON ? not_compiled : NULL);
}

lg_plan_use *lg_step_planned(lg_train *T, lg_step_plan *p, lg_graph *g) {
    if (T->set.compute != LG_NO_DTYPE)
        lg_round_products(g, T->set.compute);
    const lg_node *big = lg_plan_oversized(g);
    size_t needed = 0;
    lg_plan_opts o = {.threads = T->H->o.threads,
                      .check_nan = p->check_nan,
                      .may_fail = true,
                      .needed = &needed,
                      .room = &T->H->room,
                      .most = lg_train_work_limit(T, p),
                      .no_fuse = T->H->o.no_fuse,
                      .no_simplify = T->H->o.no_simplify,
                      .dump = p->eval ? NULL : T->H->o.dump};
    bool made = false;
    T->H->plans_used++;
    lg_logged_graph(T, p, g);
    lg_plan_use *use = big ? NULL : lg_plan_use_new(T->H, g, &o, false, &made);
    if (!use)
        lg_train_no_room(T, big, needed);
    else
        compiled(T, p, lg_plan_used(use), made);
    T->H->plans_made += made;
    if (use)
        lg_logged_plan(T, p, lg_plan_used(use));
    return use;
}

lg_plan_stats lg_step_plan_stats(const lg_step_plan *p) {
    lg_plan_stats all = lg_plan_get_stats(lg_plan_used(p->use));
    for (const lg_piece *x = p->pieces; x; x = x->next) {
        lg_plan_stats st = lg_plan_get_stats(lg_plan_used(x->use));
        int64_t times = x->rows == p->part ? p->rows[p->lead] / p->part : 1;
        all.arena_bytes = st.arena_bytes > all.arena_bytes ? st.arena_bytes : all.arena_bytes;
        all.io_bytes = st.io_bytes > all.io_bytes ? st.io_bytes : all.io_bytes;
        all.flops += st.flops * times;
        all.bytes += st.bytes * times;
        all.n_again += st.n_again;
        all.saved_bytes = st.saved_bytes > all.saved_bytes ? st.saved_bytes : all.saved_bytes;
        all.more_flops += st.more_flops * times;
        all.n_kernels += st.n_kernels;
        all.n_nodes += st.n_nodes;
    }
    return all;
}

static int64_t part_of(const lg_train *T, const lg_ast *eval, const int64_t *rows) {
    int lead = eval ? 0 : lg_train_lead(T);
    int64_t k = eval ? 1 : T->set.micro;
    return k > 1 && lead >= 0 && rows[lead] > 1 ? (rows[lead] + k - 1) / k : 0;
}

static void drop(lg_step_plan *p) {
    for (size_t i = 0; p->extra && i < p->b->result.n; i++)
        lg_tensor_release(p->extra[i]);
    if (lg_plan_use_free(p->use, p->rest ? p->rest : p->b->g)) {
        p->rest_taken = p->rest != NULL;
        p->b->g = p->rest ? p->b->g : NULL;
    }
    if (p->cond) {
        lg_plan_free(p->cond);
        lg_graph_free(p->cond_g);
    }
    lg_pieces_free(p);
    lg_build_free(p->b);
}

/* part > 0: in parts of so many items, if that is possible. */
static lg_step_plan *make(lg_train *T, const lg_ast *eval, lg_data *d, const int64_t *rows,
                          bool effects, bool check_nan, int64_t part) {
    lg_step_plan *p = LG_NEW(T->E->arena, lg_step_plan);
    size_t n = eval ? 1 : T->feed.n;
    memcpy(p->rows, rows, sizeof *rows * n);
    p->eval = eval;
    p->phase = T->phase;
    p->effects = effects;
    p->check_nan = check_nan;
    bool maybe = part > 0; /* else it must */
    part = part ? part : part_of(T, eval, rows);
    p->b = lg_build_new(T, eval, d, p->rows, effects, part > 0);
    if (!lg_build_run(p->b) || (T->restored && !lg_train_fits_save(p->b)) ||
        !lg_build_inits(p->b)) {
        drop(p);
        return NULL;
    }
    if (!eval)
        conditions(T, p);
    choose_in_place(T, p);
    if (part && !lg_pieces_make(T, p, d, part, maybe)) {
        drop(p);
        return NULL;
    }
    for (size_t i = 0; i < p->b->result.n; i++) {
        const lg_result *r = &p->b->result.at[i];
        int slot = p->in_place[i] ? slot_of_var(p->b, r->index) : -1;
        if (p->rest)
            p->rest->output.at[i].donates = slot;
        else
            lg_g_output(p->b->g, r->node, slot, NULL);
    }
    if (!buffers(T, p)) {
        drop(p);
        return NULL;
    }
    p->use = lg_step_planned(T, p, p->rest ? p->rest : p->b->g);
    if (!p->use || !lg_train_fits(T, p)) {
        drop(p);
        return NULL;
    }
    return p;
}

lg_step_plan *lg_step_plan_for(lg_train *T, const lg_ast *eval, lg_data *d, const int64_t *rows,
                               bool effects, int64_t part) {
    size_t n = eval ? 1 : T->feed.n;
    for (lg_step_plan *p = T->plans; p; p = p->next)
        if (p->eval == eval && p->phase == T->phase && p->effects == effects &&
            !memcmp(p->rows, rows, sizeof *rows * n))
            return p;
    lg_step_plan *p = make(T, eval, d, rows, effects, false, part);
    if (!p && part && lg_host_ok(T->E))
        p = make(T, eval, d, rows, effects, false, 0);
    if (p) {
        p->next = T->plans;
        T->plans = p;
    }
    return p;
}

const void *lg_step_input(lg_train *T, const lg_slot *x, lg_tensor *const *const *fields) {
    switch (x->kind) {
    case LG_S_FIELD:
        return fields ? fields[x->feed][x->index]->data : NULL;
    case LG_S_VAR:
        return T->var.at[x->index].x->data;
    case LG_S_SERIES:
        return &T->series.at[x->index].last;
    case LG_S_STEP:
    case LG_S_EPOCH:
    case LG_S_STEPS:
    case LG_S_RUN_STEP:
    case LG_S_SEED:
    case LG_S_FIRST:
        break;
    }
    return step_number(T, x->kind);
}

static bool run(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields, lg_fault *fault) {
    lg_build *b = p->b;
    T->first_item = 0;
    for (size_t s = 0; s < b->slot.n; s++)
        p->in[s] = lg_step_input(T, &b->slot.at[s], p->stream ? NULL : fields);
    for (size_t i = 0; i < b->result.n; i++) {
        const lg_result *r = &b->result.at[i];
        p->out[i] = r->kind != LG_R_VAR ? p->extra[i]->data
                    : p->in_place[i]    ? T->var.at[r->index].x->data
                                        : T->var.at[r->index].next->data;
    }
    if (p->parts && !lg_pieces_run(T, p, fields, fault))
        return false;
    return lg_plan_use_run(p->use, p->in, p->out, fault);
}

bool lg_step_plan_run(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields) {
    lg_fault fault; /* it is large: its text stays as it is until there is one */
    lg_fault_clear(&fault);
    if (run(T, p, fields, &fault)) {
        for (size_t i = 0; p->eval && i < p->b->result.n; i++) {
            const lg_result *r = &p->b->result.at[i];
            if (r->kind == LG_R_SERIES) {
                double v = lg_get_f64(LG_F64, p->extra[i]->data, 0);
                LG_PUSH(T->series.at[r->index].values, v);
                T->series.at[r->index].last = v;
            }
        }
        return true;
    }
    lg_progress_hide();
    if (p->b->tested && !strcmp(fault.text, LG_NOT_FINITE))
        lg_train_nonfinite(T, p, fields, (double)NAN);
    else
        lg_host_fault(T->E, &fault, T->at);
    return false;
}

void lg_step_plan_commit(lg_train *T, lg_step_plan *p) {
    for (size_t i = 0; i < p->b->result.n; i++) {
        const lg_result *r = &p->b->result.at[i];
        if (r->kind != LG_R_VAR || p->in_place[i])
            continue;
        lg_var *v = &T->var.at[r->index];
        lg_tensor *x = v->x;
        v->x = v->next;
        v->next = x;
    }
}

/* Adds a path to a list of them; beyond four they are counted only. */
static void put_path(lg_buf *b, int *n, lg_sym path) {
    if (*n < 4)
        lg_buf_printf(b, "%s`%s`", *n ? ", " : "", path);
    ++*n;
}

static void note_paths(lg_diag *d, const char *what, lg_buf *b, int n) {
    if (n > 4)
        lg_buf_printf(b, " and %d more", n - 4);
    if (n)
        lg_diag_note(d, "%s: %s", what, b->at);
    lg_buf_free(b);
}

static bool all_finite(const lg_tensor *x) {
    size_t n = 1;
    for (int i = 0; i < x->rank; i++)
        n *= (size_t)x->shape[i];
    for (size_t i = 0; lg_dtype_is_float(x->dtype) && i < n; i++)
        if (!isfinite(lg_get_f64(x->dtype, x->data, i)))
            return false;
    return true;
}

/* Parameters that the step found not finite: an earlier step made them so. */
static void note_parameters(lg_train *T, lg_diag *d) {
    lg_buf b = {0};
    int n = 0;
    for (size_t i = 0; i < T->var.n; i++)
        if (T->var.at[i].kind == LG_VAR_PARAM && T->var.at[i].x && !all_finite(T->var.at[i].x))
            put_path(&b, &n, T->var.at[i].path);
    note_paths(d, "not finite before this step", &b, n);
    if (n && !T->set.stop_nonfinite)
        lg_diag_help(d, "`nonfinite = \"stop\"` ends a run where a gradient is not finite");
}

/* Parameters whose gradients this step made not finite: once more, with that question. */
static void note_gradients(lg_train *T, lg_diag *d, const int64_t *rows,
                           lg_tensor *const *const *fields) {
    lg_fault fault = {.row = -1};
    lg_buf b = {0};
    int n = 0;
    T->asks_finite = true;
    lg_step_plan *p = make(T, NULL, NULL, rows, false, false, 0);
    T->asks_finite = false;
    bool ran = p && run(T, p, fields, &fault);
    for (size_t i = 0; ran && i < p->b->result.n; i++)
        if (p->b->result.at[i].kind == LG_R_FINITE && !lg_get_i64(LG_BOOL, p->extra[i]->data, 0))
            put_path(&b, &n, T->var.at[p->b->result.at[i].index].path);
    note_paths(d, "the gradient is not finite for", &b, n);
}

/* A loss or gradient that is not finite: the same step again, op by op. The old values are still
 * there unless they were overwritten in place. */
void lg_train_nonfinite(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields,
                        double loss) {
    lg_elab *E = T->E;
    lg_progress_hide();
    lg_fault fault = {.row = -1};
    bool found = false, again = !p->in_place_any || p->b->tested;
    if (again) {
        lg_step_plan *slow = make(T, NULL, NULL, p->rows, false, true, 0);
        found = slow && !run(T, slow, fields, &fault);
    }
    if (!lg_host_ok(E))
        return;
    lg_span at = found && fault.at.file ? fault.at : T->at;
    lg_diag *d = found ? lg_diag_add(E->diags, "R0102", at, "at step %lld: %s",
                                     (long long)T->run_step, fault.text)
                       : lg_diag_add(E->diags, "R0102", at, "the loss is %g at step %lld", loss,
                                     (long long)T->run_step);
    if (found && fault.row >= 0)
        lg_diag_note(d, "first at row %lld of the batch", (long long)fault.row);
    if (found && isfinite(loss))
        lg_diag_note(d, "in the derivative: the loss is %g", loss);
    if (again)
        note_parameters(T, d);
    if (again && isfinite(loss))
        note_gradients(T, d, p->rows, fields);
}

/* ---- effects with the values of a step ---- */

typedef struct {
    lg_train *T;
    lg_step_plan *p;
} shown_values;

static lg_value *shown_value(void *ctx, lg_elab *E, const lg_ast *e) {
    const shown_values *s = ctx;
    const lg_build *b = s->p->b;
    for (size_t i = 0; i < b->shown.n; i++) {
        const lg_shown *x = &b->shown.at[i];
        if (x->e != e)
            continue;
        if (x->v->kind == LG_V_ERROR || x->v->kind == LG_V_STR || x->v->kind == LG_V_NUM)
            return x->v;
        lg_leaf *leaf;
        int n = lg_v_leaves(E, x->v, &leaf), k = x->first;
        lg_value **out = LG_NEW_N(E->arena, lg_value *, n + 1);
        for (int j = 0; j < n; j++) {
            bool open = leaf[j].value->kind == LG_V_TENSOR && leaf[j].value->t.node;
            out[j] = open ? lg_host_copy(E, leaf[j].value, s->p->extra[k++]) : leaf[j].value;
        }
        return lg_v_rebuild(E, x->v, out);
    }
    return lg_host_expr(E, s->T->settings_frame, e);
}

void lg_step_plan_effects(lg_train *T, lg_step_plan *p) {
    shown_values s = {T, p};
    if (!p->effects || T->H->trial)
        return;
    for (size_t i = 0; i < p->b->action.n && lg_host_ok(T->E); i++) {
        const lg_action *a = &p->b->action.at[i];
        if (a->cond_result >= 0 && !lg_get_i64(LG_BOOL, p->extra[a->cond_result]->data, 0))
            continue;
        lg_progress_hide();
        lg_host_effect_with(T->E, a->effect, shown_value, &s);
    }
}

void lg_step_plans_free(lg_train *T) {
    for (lg_step_plan *p = T->plans; p; p = p->next)
        drop(p);
    T->plans = NULL;
}
