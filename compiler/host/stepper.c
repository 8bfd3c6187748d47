/* stepper.c: see stepper.h. A value is that of an evaluation whose block shows it. */
#include "compiler/host/stepper.h"
#include "compiler/host/train.h"
#include <math.h>
#include <string.h>

enum { MOST_FIELDS = 64 };

struct lg_stepper {
    lg_elab *E;
    lg_host *H;
    lg_train *T;
    const char *part;
    int n_field;
    lg_step_field field[MOST_FIELDS];
    const lg_ast *print; /* of the evaluation that was made last */
    lg_ast *eval;
};

static const lg_ast *only_train(lg_elab *E, lg_module *m) {
    const lg_ast *train = NULL;
    int n = 0;
    for (uint32_t i = 0; i < m->tree->n; i++)
        if (lg_is_word(m->tree->kid[i], "train")) {
            train = m->tree->kid[i];
            n++;
        }
    const lg_ast *block = train ? train->kid[LG_D_BLOCK] : NULL;
    for (uint32_t i = 0; n == 1 && block && i < block->n; i++)
        if (lg_is_word(block->kid[i], "phase")) {
            lg_err(E, "E0723", block->kid[i]->span, "a library cannot have a train with phases");
            return NULL;
        }
    if (n == 1)
        return train;
    lg_err(E, "E0723", (lg_span){0}, "a library wants a file with one train, and here are %d", n);
    return NULL;
}

static void find_part(lg_stepper *S, const lg_ast *train) {
    const lg_ast *block = train->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n && !S->part; i++)
        if (lg_is_word(block->kid[i], "part"))
            S->part = block->kid[i]->name;
}

/* Sizes that the data do not say are known from the arguments by now. */
static bool find_fields(lg_stepper *S) {
    lg_train *T = S->T;
    if (T->feed.n != 1) {
        lg_err(S->E, "E0723", T->at, "a library wants a train with one source of data");
        return false;
    }
    const lg_source *src = T->feed.at[0].data->src;
    for (int i = 0; i < src->n_cols && i < MOST_FIELDS; i++) {
        const lg_value *t = src->col[i].type;
        lg_step_field *f = &S->field[S->n_field++];
        f->name = src->col[i].name;
        f->type = (lg_type){.dtype = t->t.dtype, .rank = t->t.rank};
        for (int k = 0; k < t->t.rank; k++)
            f->type.shape[k] = lg_dim_size(S->E, t->t.dim[k], T->at);
    }
    return lg_host_ok(S->E);
}

lg_stepper *lg_stepper_new(lg_elab *E, lg_module *m, const lg_host_opts *o) {
    if (!lg_host_ready(E, m, o))
        return NULL;
    const lg_ast *train = only_train(E, m);
    if (!train || !lg_options_all_used(lg_host_of(E), train))
        return NULL;
    lg_stepper *S = lg_alloc(sizeof *S);
    *S = (lg_stepper){.E = E, .H = lg_host_of(E)};
    lg_context c = lg_host_enter(E, S->H->keep, true);
    E->step = &S->H->step;
    lg_arg *arg;
    int n = lg_param_options(E, m->frame, train->kid[LG_D_PARAMS], &arg);
    S->T = lg_host_ok(E) ? lg_train_new(E, train, m->frame, n, arg, train->name_span, false) : NULL;
    bool ok = S->T && lg_train_begin(S->T) && find_fields(S);
    find_part(S, train);
    lg_host_leave(E, &c);
    if (ok)
        return S;
    lg_stepper_free(S);
    return NULL;
}

void lg_stepper_free(lg_stepper *S) {
    if (!S)
        return;
    if (S->T)
        lg_train_free(S->T);
    lg_plans_forget(S->H);
    lg_free(S);
}

const char *lg_stepper_part(const lg_stepper *S) {
    return S->part;
}

int lg_stepper_fields(const lg_stepper *S, const lg_step_field **out) {
    *out = S->field;
    return S->n_field;
}

/* ---- batches ---- */

static bool wrong_count(lg_stepper *S, int64_t n) {
    enum { MOST = 1 << 30 };
    if (n > 0 && n <= MOST)
        return false;
    lg_err(S->E, "E0608", S->T->at, "a batch of %lld items is none", (long long)n);
    return true;
}

static bool batch(lg_stepper *S, int64_t n, const void *const *field, lg_tensor **out) {
    for (int i = 0; i < S->n_field; i++) {
        lg_type t = S->field[i].type;
        int64_t shape[LG_MAX_RANK] = {n};
        for (int k = 0; k < t.rank && k + 1 < LG_MAX_RANK; k++)
            shape[k + 1] = t.shape[k];
        out[i] = lg_tensor_try(t.dtype, t.rank + 1, shape);
        if (!out[i])
            lg_err(S->E, "E0437", S->T->at, "there is no memory for a batch of %lld items",
                   (long long)n);
        if (!out[i])
            return false;
        if (field[i])
            memcpy(out[i]->data, field[i], lg_tensor_bytes(out[i]));
        else
            memset(out[i]->data, 0, lg_tensor_bytes(out[i]));
    }
    return true;
}

static void release(lg_stepper *S, lg_tensor **x) {
    for (int i = 0; i < S->n_field; i++)
        lg_tensor_release(x[i]);
}

bool lg_stepper_step(lg_stepper *S, int64_t n, const void *const *field, double *loss) {
    lg_tensor *x[MOST_FIELDS] = {NULL};
    lg_tensor *const *fields[1] = {x};
    if (wrong_count(S, n))
        return false;
    lg_context c = lg_host_enter(S->E, S->H->keep, true);
    bool ok = batch(S, n, field, x) && lg_train_step_by_hand(S->T, fields, &n);
    lg_host_leave(S->E, &c);
    release(S, x);
    const lg_series *s =
        ok ? &S->T->series.at[lg_train_series(S->T, lg_intern("loss"), false)] : NULL;
    if (ok && loss)
        *loss = s->values.n ? s->values.at[s->values.n - 1] : (double)NAN;
    return ok;
}

/* ---- values ---- */

static const lg_ast *eval_of(lg_stepper *S, const lg_ast *print) {
    if (S->print == print)
        return S->eval;
    S->print = print;
    S->eval = lg_ast_new(S->E->arena, LG_A_DECL, S->T->at, LG_D_N);
    S->eval->text = lg_intern("eval");
    S->eval->kid[LG_D_BLOCK] = (lg_ast *)(uintptr_t)print;
    return S->eval;
}

bool lg_stepper_value(lg_stepper *S, const lg_ast *print, int64_t n, const void *const *field,
                      lg_type *type, const void **data) {
    lg_tensor *x[MOST_FIELDS] = {NULL};
    lg_tensor *const *fields[1] = {x};
    if (wrong_count(S, n))
        return false;
    lg_context c = lg_host_enter(S->E, S->H->keep, true);
    lg_step_plan *p = lg_step_plan_for(S->T, eval_of(S, print), S->T->feed.at[0].data, &n, true, 0);
    bool ok = p && batch(S, n, field, x) && lg_step_plan_run(S->T, p, fields), found = false;
    lg_host_leave(S->E, &c);
    release(S, x);
    for (size_t i = 0; ok && !found && i < p->b->result.n; i++)
        if (p->b->result.at[i].kind == LG_R_VALUE) {
            *type = p->b->result.at[i].node->type[0];
            *data = p->extra[i]->data;
            found = true;
        }
    if (ok && !found)
        lg_err(S->E, "E0723", print->span, "this is no array that depends on the batch");
    return ok && found;
}

/* ---- saves ---- */

bool lg_stepper_save(lg_stepper *S, const char *dir) {
    lg_context c = lg_host_enter(S->E, S->H->keep, true);
    bool ok = lg_train_save(S->T, dir) && lg_host_ok(S->E);
    lg_host_leave(S->E, &c);
    return ok;
}

bool lg_stepper_load(lg_stepper *S, const char *dir) {
    lg_context c = lg_host_enter(S->E, S->H->keep, true);
    bool ok = lg_train_restore(S->T, dir) && lg_host_ok(S->E);
    lg_host_leave(S->E, &c);
    return ok;
}
