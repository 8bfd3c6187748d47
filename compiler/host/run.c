/* run.c: the loop of a train: phases, epochs, batches, evaluations, stops. What a step computes is
 * in step.c; what is kept on disk in save.c; what the user sees in report.c. */
#include "compiler/host/train.h"
#include "runtime/ending.h"
#include "runtime/profile.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

volatile sig_atomic_t lg_host_signal;

static void on_signal(int sig) {
    if (lg_host_signal) { /* the second one does not wait for the step */
        lg_ending();
        _Exit(128 + sig);
    }
    lg_host_signal = sig;
}

double lg_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- batches ---- */

enum { MOST_FEEDS = 16 };

int lg_train_lead(const lg_train *T) {
    for (size_t i = 0; i < T->feed.n; i++)
        if (!T->feed.at[i].name)
            return (int)i;
    return T->feed.n ? 0 : -1;
}

static int64_t steps_an_epoch(const lg_train *T) {
    const lg_feed *lead = T->feed.n ? &T->feed.at[lg_train_lead(T)] : NULL;
    if (!lead || lead->data->n < 0)
        return -1;
    int64_t batch = lg_data_batch(lead->data), n = lead->data->n;
    return lead->data->drop_last ? n / batch : (n + batch - 1) / batch;
}

static int64_t next_rows(const lg_feed *s) {
    int64_t batch = lg_data_batch(s->data);
    if (s->data->n < 0)
        return batch;
    int64_t left = s->data->n - s->at;
    if (left <= 0 || (s->data->drop_last && left < batch))
        return batch < s->data->n ? batch : s->data->n;
    return left < batch ? left : batch;
}

static bool fetch(lg_train *T, lg_feed *s, int64_t rows, lg_tensor **out) {
    lg_data *d = s->data;
    if (d->n < 0) {
        int64_t *pos = lg_alloc(sizeof *pos * (size_t)(rows ? rows : 1));
        for (int64_t i = 0; i < rows; i++)
            pos[i] = s->at + i;
        bool ok = lg_data_rows_again(T->E, d, pos, rows, out);
        lg_free(pos);
        s->at += rows;
        return ok;
    }
    if (s->at >= d->n || (d->drop_last && s->at + rows > d->n)) {
        s->at = 0;
        s->epoch++;
        if (d->shuffle) {
            lg_free(s->order);
            s->order = NULL;
        }
    }
    if (!s->order)
        s->order = lg_data_epoch(d, s->epoch);
    bool ok =
        lg_ahead_take(s, rows, out) || lg_data_rows_again(T->E, d, s->order + s->at, rows, out);
    s->at += rows;
    if (ok)
        lg_ahead_start(s, next_rows(s));
    return ok;
}

/* The rows of a step; their tensors serve the next one. */
typedef struct {
    lg_tensor **field[MOST_FEEDS];
} batch;

static bool next_batch(lg_train *T, batch *b, int64_t *rows) {
    for (size_t i = 0; i < T->feed.n; i++) {
        lg_feed *s = &T->feed.at[i];
        rows[i] = next_rows(s);
        if (!b->field[i])
            b->field[i] = lg_alloc(sizeof(lg_tensor *) * (size_t)(s->data->src->n_cols + 1));
        if (!fetch(T, s, rows[i], b->field[i]))
            return false;
    }
    return true;
}

static void drop_batch(lg_train *T, batch *b) {
    for (size_t i = 0; i < T->feed.n; i++) {
        for (int k = 0; b->field[i] && k < T->feed.at[i].data->src->n_cols; k++)
            lg_tensor_release(b->field[i][k]);
        lg_free(b->field[i]);
        b->field[i] = NULL;
    }
}

/* ---- evaluations ---- */

static bool due(const lg_ast *every, lg_train *T, bool epoch_ends) {
    if (!every)
        return false;
    int64_t n = 0;
    for (size_t i = 0; i < T->period.n && !n; i++)
        if (T->period.at[i].every == every)
            n = T->period.at[i].n;
    if (!n) {
        if (!lg_v_static_int(T->E, lg_host_expr(T->E, T->settings_frame, every->kid[0]), &n) ||
            n < 1) {
            lg_err(T->E, "E0439", every->span, "`every` wants a count from 1");
            n = 1;
        }
        LG_PUSH(T->period, ((lg_period){every, n}));
    }
    bool epochs = every->name && every->name[0] == 'e';
    return epochs ? epoch_ends && T->epoch % n == 0 : T->step % n == 0;
}

/* Rows of an evaluation that are in memory at once. */
static int64_t eval_part(const lg_train *T) {
    enum { LEAST = 64, ALONE = 1024 };
    int lead = lg_train_lead(T);
    int64_t n = lead < 0 ? ALONE : lg_data_batch(T->feed.at[lead].data);
    return n < LEAST ? LEAST : n > ALONE ? ALONE : n;
}

static bool fetch_all(lg_elab *E, lg_data *d, int64_t n, lg_tensor **out) {
    int64_t *pos = lg_alloc(sizeof *pos * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n; i++)
        pos[i] = i;
    bool ok = lg_data_rows(E, d, pos, n, out);
    lg_free(pos);
    return ok;
}

/* The plan of an evaluation, and its data, NULL without. */
static lg_step_plan *eval_plan(lg_train *T, const lg_ast *eval, lg_data **data, int64_t rows[1]) {
    lg_elab *E = T->E;
    const lg_ast *target = eval->kid[LG_D_TARGET] ? eval->kid[LG_D_TARGET] : eval->kid[LG_D_VALUE];
    lg_data *d = target ? lg_data_expr(E, T->settings_frame, target, NULL) : NULL;
    *data = d;
    if (target && !d)
        return NULL;
    if (d && d->n < 0 && !d->batch) {
        lg_err(E, "E0627", target->span, "%s is endless: say how many rows with `take(n)`",
               d->name);
        return NULL;
    }
    rows[0] = d ? (d->n < 0 ? d->batch : d->n) : 0;
    int64_t part = eval_part(T);
    return lg_step_plan_for(T, eval, d, rows, true, d && rows[0] > part ? part : 0);
}

/* What takes longer than a step finds the log complete. */
static void catch_up(lg_train *T) {
    lg_io io = lg_host_io(T->E, T->at);
    lg_log_flush(&io, T->H->log);
}

static bool evaluate(lg_train *T, const lg_ast *eval) {
    lg_elab *E = T->E;
    lg_data *d;
    int64_t rows[1];
    catch_up(T);
    lg_step_plan *p = eval_plan(T, eval, &d, rows);
    if (!p)
        return false;
    lg_tensor **field = lg_alloc(sizeof *field * (size_t)(d ? d->src->n_cols + 1 : 1));
    bool whole = d && p && !p->stream, ok = p && (!whole || fetch_all(E, d, rows[0], field));
    lg_tensor *const *fields[1] = {field};
    ok = ok && lg_step_plan_run(T, p, fields);
    for (int i = 0; whole && i < d->src->n_cols; i++)
        lg_tensor_release(field[i]);
    lg_free(field);
    if (ok) {
        lg_step_plan_effects(T, p);
        lg_train_log_step(T, (double)NAN, true);
    }
    return ok;
}

/* Statements of the train and of the phase that come between steps. */
typedef struct {
    LG_VEC(const lg_ast *) eval, save;
} pauses;

static bool is_save(const lg_ast *s) {
    if (s->kind != LG_A_EFFECT || strcmp(s->name, "save") != 0 || !s->n)
        return false;
    return s->n <= (s->kid[s->n - 1]->kind == LG_A_EVERY ? 2u : 1u);
}

static pauses pauses_of(const lg_train *T) {
    pauses all = {{0}, {0}};
    const lg_ast *block[2] = {T->decl->kid[LG_D_BLOCK],
                              T->phase ? T->phase->kid[LG_D_BLOCK] : NULL};
    for (int k = 0; k < 2; k++)
        for (uint32_t i = 0; block[k] && i < block[k]->n; i++) {
            const lg_ast *s = block[k]->kid[i];
            if (lg_is_word(s, "eval"))
                LG_PUSH(all.eval, s);
            else if (is_save(s) && !T->H->trial)
                LG_PUSH(all.save, s);
        }
    return all;
}

static void pauses_free(pauses *all) {
    lg_free(all->eval.at);
    lg_free(all->save.at);
}

static bool run_evals(lg_train *T, const pauses *all, bool epoch_ends, bool last) {
    for (size_t i = 0; i < all->eval.n; i++)
        if (due(all->eval.at[i]->kid[LG_D_EVERY], T, epoch_ends) || last)
            if (!evaluate(T, all->eval.at[i]))
                return false;
    return true;
}

static bool run_save(lg_train *T, const lg_ast *s) {
    lg_value *dir = lg_host_expr(T->E, T->settings_frame, s->kid[0]);
    if (dir->kind != LG_V_STR || !dir->str) {
        lg_err(T->E, "E0243", s->span,
               "`save` of a train wants a directory: `save \"runs/name\" every 10 epochs`");
        return false;
    }
    catch_up(T);
    return lg_train_save(T, dir->str);
}

/* A directory that cannot be written is told before the first step, if its name is there. */
static bool may_save(lg_train *T, const pauses *all) {
    for (size_t i = 0; i < all->save.n; i++) {
        const lg_ast *dir = all->save.at[i]->kid[0];
        bool known = dir->kind == LG_A_STR && dir->n == 1 && dir->kid[0]->kind != LG_A_INTERP;
        if (known && !lg_train_save_begin(T, dir->kid[0]->text))
            return false;
    }
    return true;
}

static bool run_saves(lg_train *T, const pauses *all, bool epoch_ends, bool last) {
    for (size_t i = 0; i < all->save.n; i++) {
        const lg_ast *s = all->save.at[i], *every = s->kid[s->n - 1];
        if (last || (every->kind == LG_A_EVERY && due(every, T, epoch_ends)))
            if (!run_save(T, s))
                return false;
    }
    return true;
}

static bool has_save(lg_train *T) {
    const lg_ast *block = T->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_EFFECT && !strcmp(block->kid[i]->name, "save"))
            return true;
    return false;
}

/* ---- steps ---- */

static double scalar_of(const lg_step_plan *p, int result) {
    return result < 0 ? (double)NAN
                      : lg_get_f64(p->extra[result]->dtype, p->extra[result]->data, 0);
}

/* Loss lines of which no item counted: a loss and a gradient of 0. Said once a run. */
static void warn_of_nothing(lg_train *T, const lg_step_plan *p) {
    for (size_t i = 0; i < p->b->result.n && !T->warned_of_nothing; i++) {
        const lg_result *r = &p->b->result.at[i];
        if (r->kind != LG_R_WEIGHT || lg_get_f64(LG_F64, p->extra[i]->data, 0) != 0)
            continue;
        lg_diag *d =
            lg_diag_add(T->E->diags, "W0604", p->b->loss.at[r->index]->span,
                        "at step %lld no item of this loss has weight", (long long)T->run_step);
        lg_diag_note(d, "its value and its gradient are 0 there");
        T->warned_of_nothing = true;
    }
}

static void keep_series(lg_train *T, const lg_step_plan *p) {
    for (size_t i = 0; i < p->b->result.n; i++) {
        const lg_result *r = &p->b->result.at[i];
        if (r->kind == LG_R_SERIES && !p->eval)
            LG_PUSH(T->series.at[r->index].values, lg_get_f64(LG_F64, p->extra[i]->data, 0));
    }
}

static bool take_step(lg_train *T, lg_tensor *const *const *fields, const int64_t *rows) {
    lg_step_plan *p = lg_step_plan_for(T, NULL, NULL, rows, false, 0);
    if (p && lg_step_plan_shows(T, p))
        p = lg_step_plan_for(T, NULL, NULL, rows, true, 0);
    if (!p || !lg_step_plan_run(T, p, fields))
        return false;
    double loss = scalar_of(p, p->loss), norm = scalar_of(p, p->norm);
    if ((p->loss >= 0 && !isfinite(loss)) ||
        (p->norm >= 0 && T->set.stop_nonfinite && !isfinite(norm))) {
        lg_train_nonfinite(T, p, fields, loss);
        return false;
    }
    lg_step_plan_commit(T, p);
    if (p->loss >= 0 && p->series < 0)
        p->series = lg_train_series(T, lg_intern("loss"), false);
    if (p->loss >= 0)
        LG_PUSH(T->series.at[p->series].values, loss);
    keep_series(T, p);
    warn_of_nothing(T, p);
    lg_step_plan_effects(T, p);
    T->gradients += T->gradients_a_step;
    lg_train_log_step(T, loss, false);
    T->stopped = T->stopped || scalar_of(p, p->stop) > 0.5;
    return lg_host_ok(T->E);
}

static void advance(lg_train *T, int64_t an_epoch) {
    T->step++;
    T->run_step++;
    T->epoch += an_epoch > 0 && T->step % an_epoch == 0;
}

static bool one_step(lg_train *T, const batch *b, const int64_t *rows) {
    lg_tensor *const *fields[MOST_FEEDS];
    for (size_t i = 0; i < T->feed.n; i++)
        fields[i] = b->field[i];
    return take_step(T, fields, rows);
}

static void stopped_early(const lg_train *T) {
    lg_progress_end();
    fflush(stdout);
    fprintf(stderr, "stopped at step %lld; what was reached is kept\n", (long long)T->run_step);
}

static bool rehearse_evals(lg_train *T) {
    pauses all = pauses_of(T);
    lg_data *d;
    int64_t rows[1];
    bool ok = true;
    for (size_t i = 0; ok && i < all.eval.n; i++)
        ok = eval_plan(T, all.eval.at[i], &d, rows) != NULL;
    pauses_free(&all);
    return ok;
}

/* ---- other lengths of the data, for kernels that a built program carries ---- */

/* Kernels are others for few items than for many, LONG of them, for so few that they are done at
 * once, and for more than a chunk of them; within those bounds their number changes nothing. */
enum { FEWEST = 3, FEW = 42, LONG = 64, MANY = 5000 };

static bool foresee_eval(lg_train *T, const lg_ast *s) {
    lg_data *d;
    int64_t rows[1], part = eval_part(T);
    if (!eval_plan(T, s, &d, rows))
        return false;
    const int64_t others[] = {FEW, part, 2 * part + FEW};
    for (size_t k = 0; k < LG_COUNT(others) && d && d->n >= 0; k++)
        if (!lg_step_plan_for(T, s, d, &others[k], true, others[k] > part ? part : 0))
            return false;
    return true;
}

static bool foresee_evals(lg_train *T) {
    pauses all = pauses_of(T);
    bool ok = true;
    for (size_t i = 0; ok && i < all.eval.n; i++)
        ok = foresee_eval(T, all.eval.at[i]);
    pauses_free(&all);
    return ok;
}

/* A whole batch where there are fewer rows than that, short ones at the end of an epoch, and more
 * rows where all are one batch. */
static bool foresee_batches(lg_train *T) {
    for (int k = 0; k < 5; k++) {
        int64_t rows[MOST_FEEDS];
        for (size_t i = 0; i < T->feed.n; i++) {
            const lg_data *d = T->feed.at[i].data;
            int64_t whole = lg_data_batch(d), few = whole < FEW ? (2 * whole + 2) / 3 : FEW,
                    fewest = few < FEWEST ? few : FEWEST;
            const int64_t others[] = {whole, whole > LONG ? whole - 1 : few, few, fewest,
                                      whole == d->n && whole < MANY ? MANY : whole};
            rows[i] = d->n < 0 || d->drop_last ? whole : others[k];
        }
        if (!lg_step_plan_for(T, NULL, NULL, rows, false, 0))
            return false;
    }
    return true;
}

/* The plans of this phase, and no step: of a whole batch, of the short one at the end of an epoch,
 * of evaluations. */
static bool rehearse(lg_train *T) {
    int64_t rows[MOST_FEEDS], last[MOST_FEEDS];
    bool shorter = false;
    for (size_t i = 0; i < T->feed.n; i++) {
        const lg_data *d = T->feed.at[i].data;
        int64_t rest = d->n <= 0 || d->drop_last ? 0 : d->n % lg_data_batch(d);
        rows[i] = last[i] = next_rows(&T->feed.at[i]);
        if (rest && rest != rows[i]) {
            last[i] = rest;
            shorter = true;
        }
    }
    lg_step_plan *p = lg_step_plan_for(T, NULL, NULL, rows, false, 0);
    bool ok = p && (!p->b->action.n || lg_step_plan_for(T, NULL, NULL, rows, true, 0)) &&
              (!shorter || lg_step_plan_for(T, NULL, NULL, last, false, 0));
    return ok && rehearse_evals(T);
}

/* A limit of memory is held against every plan before the first step. */
static bool all_plans_first(const lg_train *T) {
    return T->H->o.memory > 0 || lg_profile_on();
}

/* Sets the number of steps of this phase; false after reporting. */
static bool phase_length(lg_train *T) {
    lg_elab *E = T->E;
    int64_t an_epoch = steps_an_epoch(T);
    T->steps = T->set.max_steps;
    if (T->set.epochs >= 0) {
        if (an_epoch < 0) {
            lg_diag *d = lg_err(E, "E0435", T->at, "`epochs` needs data with an end");
            lg_diag_help(d, "say `max_steps = ...` instead");
            return false;
        }
        int64_t all = an_epoch * T->set.epochs;
        T->steps = T->steps < 0 || all < T->steps ? all : T->steps;
    }
    if (T->steps < 0)
        return lg_train_has_length(T) && false;
    return true;
}

/* Before the first step: the plans that a limit is held against, and what the user is told. */
static bool open_phase(lg_train *T, const int64_t *rows) {
    lg_progress_opts po = {
        .quiet = T->H->o.quiet || T->H->trial, .text = lg_train_newest, .ctx = T};
    lg_step_plan *p = lg_step_plan_for(T, NULL, NULL, rows, false, 0);
    bool ok = p && (!all_plans_first(T) || rehearse(T));
    if (ok)
        lg_train_begin_report(T, p);
    lg_progress_begin(T->decl->name, T->steps, &po);
    return ok;
}

/* A signal ends the run; at the prompt what it reached is its result. */
static bool end_by_signal(lg_train *T, bool ok) {
    lg_elab *E = T->E;
    T->by_signal = T->stopped = true;
    if (lg_host_of(E)->session && ok)
        stopped_early(T);
    if (lg_host_of(E)->session && ok)
        return true;
    lg_err(E, "R0701", T->at,
           has_save(T)
               ? "stopped by a signal at step %lld; the run is saved and goes on with --resume"
               : "stopped by a signal at step %lld; nothing was saved",
           (long long)T->run_step);
    return false;
}

static bool run_steps(lg_train *T, const pauses *between) {
    int64_t an_epoch = steps_an_epoch(T), rows[MOST_FEEDS];
    bool ok = true, told = false;
    batch b = {{0}};
    while (ok && T->step < T->steps && !T->stopped) {
        ok = next_batch(T, &b, rows);
        if (ok && !told)
            ok = told = open_phase(T, rows);
        ok = ok && one_step(T, &b, rows);
        if (!ok)
            break;
        int64_t epoch = T->epoch;
        advance(T, an_epoch);
        bool epoch_ends = T->epoch > epoch;
        bool last = T->step == T->steps || T->stopped || lg_host_signal,
             final = T->phase_no + 1 >= T->n_phases;
        ok = run_evals(T, between, epoch_ends, last && !lg_host_signal && final) &&
             run_saves(T, between, epoch_ends, last && (lg_host_signal || final));
        if (lg_host_signal)
            ok = end_by_signal(T, ok);
    }
    drop_batch(T, &b);
    return ok;
}

static bool run_phase(lg_train *T) {
    if (T->H->o.planned) {
        LG_PUSH(T->H->told, T->decl);
        return phase_length(T) && rehearse(T) && foresee_batches(T) && foresee_evals(T);
    }
    if (!phase_length(T))
        return false;
    pauses between = pauses_of(T);
    bool ok = may_save(T, &between) && run_steps(T, &between);
    pauses_free(&between);
    for (size_t i = 0; i < T->feed.n; i++)
        lg_ahead_stop(&T->feed.at[i]);
    lg_progress_end();
    catch_up(T);
    return ok;
}

static int64_t count_derivatives(const lg_ast *e) {
    if (!e)
        return 0;
    int64_t n = e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME &&
                strcmp(e->kid[0]->name, "remat") != 0 && lg_is_derivative(e->kid[0]->name);
    if (e->kind == LG_A_EFFECT)
        return 0;
    for (uint32_t i = 0; i < e->n; i++)
        n += count_derivatives(e->kid[i]);
    return n;
}

static void begin_phase(lg_train *T, const lg_ast *phase) {
    T->phase = phase;
    lg_step_plans_free(T);
    for (size_t i = 0; i < T->var.n; i++)
        if (T->var.at[i].kind == LG_VAR_RULE) { /* optimizer state starts afresh */
            lg_tensor_release(T->var.at[i].x);
            T->var.at[i].x = NULL;
        }
    const lg_ast *block[2] = {phase ? NULL : T->decl->kid[LG_D_BLOCK],
                              phase ? phase->kid[LG_D_BLOCK] : NULL};
    T->gradients_a_step = 0;
    bool shorthand = false;
    for (int k = 0; k < 2; k++) {
        const lg_ast *all = k ? block[1] : T->decl->kid[LG_D_BLOCK];
        for (uint32_t i = 0; all && i < all->n; i++) {
            if (!lg_is_word(all->kid[i], "phase") && !lg_is_word(all->kid[i], "eval"))
                T->gradients_a_step += count_derivatives(all->kid[i]);
            shorthand = shorthand || lg_is_word(all->kid[i], "optimizer");
        }
        for (uint32_t i = 0; block[k] && i < block[k]->n; i++)
            if (block[k]->kid[i]->kind == LG_A_QUANTIZE)
                LG_PUSH(T->quantize, block[k]->kid[i]);
    }
    T->gradients_a_step += shorthand;
    lg_train_settings(T, phase, &T->set);
}

bool lg_train_begin(lg_train *T) {
    begin_phase(T, NULL);
    T->n_phases = 1;
    return lg_host_ok(T->E) && lg_train_feeds(T) && phase_length(T);
}

bool lg_train_step_by_hand(lg_train *T, lg_tensor *const *const *fields, const int64_t *rows) {
    bool ok = take_step(T, fields, rows);
    if (ok)
        advance(T, steps_an_epoch(T));
    return ok;
}

/* A save of a finished run leaves no step to make: is it one of this train? */
static bool finished_fits(lg_train *T) {
    return !T->restored || !T->run_step || T->run_step != T->restored_step || rehearse(T);
}

static bool run_phases(lg_train *T) {
    const lg_ast *block = T->decl->kid[LG_D_BLOCK];
    const lg_ast *phase[64];
    T->n_phases = 0;
    for (uint32_t i = 0; block && i < block->n && T->n_phases < 64; i++) {
        if (lg_is_word(block->kid[i], "phase"))
            phase[T->n_phases++] = block->kid[i];
        else if (block->kid[i]->kind == LG_A_QUANTIZE && T->n_phases == 0)
            continue;
    }
    if (!T->n_phases) {
        begin_phase(T, NULL);
        T->n_phases = 1;
        if (!lg_host_ok(T->E) || !lg_train_feeds(T))
            return false;
        if (T->H->o.resume && !lg_train_restore(T, T->H->o.resume))
            return false;
        return run_phase(T) && finished_fits(T);
    }
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_QUANTIZE)
            LG_PUSH(T->quantize, block->kid[i]);
    bool resumed = T->H->o.resume == NULL;
    for (int k = 0; k < T->n_phases; k++) {
        T->phase_no = k;
        begin_phase(T, phase[k]);
        if (!lg_host_ok(T->E) || !lg_train_feeds(T))
            return false;
        if (!resumed) {
            if (!lg_train_restore(T, T->H->o.resume))
                return false;
            resumed = true;
            while (k < T->phase_no) { /* the phases before are over */
                begin_phase(T, phase[++k]);
                if (!lg_host_ok(T->E) || !lg_train_feeds(T))
                    return false;
            }
            if (!lg_train_restore(T, T->H->o.resume))
                return false;
        } else {
            T->step = T->epoch = 0;
        }
        if (!run_phase(T))
            return false;
        if (T->stopped && T->by_signal)
            return false;
        T->stopped = false;
    }
    return finished_fits(T);
}

/* Check mode: the type of the result. Of a place that runs often only that of the first rounds. */
static lg_value *checked(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                         lg_span at) {
    enum { OFTEN = 8 };
    lg_host *H = lg_host_of(E);
    int times = 0;
    for (size_t i = 0; i < H->checked_run.n; i++)
        times += H->checked_run.at[i].beg == at.beg && H->checked_run.at[i].file == at.file;
    if (times >= OFTEN)
        return lg_v_error(E, at);
    LG_PUSH(H->checked_run, at);
    lg_context c = lg_host_enter(E, NULL, true);
    E->step = &H->step;
    lg_train *T = lg_train_new(E, decl, env, n, arg, at, false);
    lg_value *r = T ? lg_train_result_type(T) : lg_v_error(E, at);
    if (T)
        lg_train_free(T);
    lg_host_leave(E, &c);
    return r;
}

lg_value *lg_train_run(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                       lg_span at) {
    lg_host *H = lg_host_of(E);
    if (!H->keep)
        return checked(E, decl, env, n, arg, at);
    lg_context c = lg_host_enter(E, H->keep, true);
    E->step = &H->step;
    lg_profile_memory_begin();
    lg_train *T = lg_train_new(E, decl, env, n, arg, at, false);
    lg_value *r = NULL;
    if (T) {
        struct sigaction now = {.sa_handler = on_signal}, was_int, was_term;
        sigemptyset(&now.sa_mask);
        if (!H->session) { /* a session has handlers of its own */
            lg_host_signal = 0;
            sigaction(SIGINT, &now, &was_int);
            sigaction(SIGTERM, &now, &was_term);
        }
        if ((run_phases(T) || (T->by_signal && H->session)) && lg_host_ok(E)) {
            lg_train_measure(T);
            r = lg_train_result(T);
        }
        if (!H->session) {
            sigaction(SIGINT, &was_int, NULL);
            sigaction(SIGTERM, &was_term, NULL);
        }
        lg_train_free(T);
    }
    lg_host_leave(E, &c);
    return r ? r : lg_v_error(E, at);
}
