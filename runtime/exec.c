/* exec.c: the loop over the steps of a plan. Every thread walks the whole list; a step is either
 * shared out among them or done by the first, and they meet at barriers in between. Not for what
 * happens inside a loop kernel (loop.c) nor for making plans (mid/schedule.c). */
#include "runtime/exec.h"
#include "runtime/pool.h"
#include "runtime/profile.h"
#include "runtime/trace.h"
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

bool lg_fault_set(lg_fault *f, const lg_node *n, const char *code, int64_t row, const char *fmt,
                  ...) {
    if (!f || f->set)
        return false;
    f->set = true;
    f->code = code;
    f->row = row;
    f->at = n ? n->span : (lg_span){0, 0, 0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    return false;
}

/* A thread on its way through a plan. */
typedef struct {
    int id, n; /* n = 1: alone, whatever the number of threads */
    lg_barrier *barrier;
    char *scratch;
    const void **pointer;                         /* tables for nested plans, used like a stack */
    enum { CLEAN, FIRST_WROTE, ALL_WROTE } state; /* since the last barrier */
    lg_fault fault;
} thread;

static bool walk(thread *t, const lg_plan *p, const lg_frame *f);

/* Meets the others when they may have written what comes next. */
static bool meet(thread *t, bool serial) {
    if (t->n == 1)
        return true;
    if (t->state == ALL_WROTE || (t->state == FIRST_WROTE && !serial)) {
        lg_barrier_wait(t->barrier, t->id);
        t->state = CLEAN;
        return !lg_barrier_broken(t->barrier);
    }
    return true;
}

/* ---- single steps ---- */

static bool run_loop(thread *t, const lg_step *s, const lg_frame *f, bool shared) {
    int64_t n = lg_loop_units(s->loop);
    if (!shared)
        return lg_loop_run(s->loop, f, t->scratch, 0, n, &t->fault) &&
               lg_loop_finish(s->loop, f, t->scratch, &t->fault);
    if (!lg_loop_run(s->loop, f, t->scratch, n * t->id / t->n, n * (t->id + 1) / t->n, &t->fault))
        return false;
    if (!s->loop->split)
        return true;
    t->state = ALL_WROTE;
    if (!meet(t, true))
        return false;
    t->state = FIRST_WROTE;
    return t->id != 0 || lg_loop_finish(s->loop, f, t->scratch, &t->fault);
}

static bool run_coded(thread *t, const lg_step *s, const lg_frame *f, bool shared) {
    const void *in[8];
    assert(s->n_in <= (int)LG_COUNT(in));
    for (int k = 0; k < s->n_in; k++)
        in[k] = lg_place_at(f, &s->in[k]);
    s->coded_fn(s->product, s->coded, in, lg_place_at(f, &s->out[0]), t->scratch,
                shared ? t->id : 0, shared ? t->n : 1);
    return true;
}

static bool run_dot(thread *t, const lg_step *s, const lg_frame *f, bool shared) {
    if (s->coded)
        return run_coded(t, s, f, shared);
    s->product_fn(s->product, lg_place_at(f, &s->in[0]), lg_place_at(f, &s->in[1]),
                  lg_place_at(f, &s->out[0]), t->scratch, shared ? t->id : 0, shared ? t->n : 1);
    return true;
}

static bool run_op(thread *t, const lg_step *s, const lg_frame *f) {
    const void **in = t->pointer;
    for (int k = 0; k < s->n_in; k++)
        in[k] = lg_place_at(f, &s->in[k]);
    void **out = (void **)(uintptr_t)(in + s->n_in);
    for (int k = 0; k < s->n_out; k++)
        out[k] = lg_place_at(f, &s->out[k]);
    lg_call c = {s->node, in, out, lg_place_at(f, &s->scratch), &t->fault, s->at};
    return s->node->op->run(&c);
}

static void run_copy(const lg_step *s, const lg_frame *f) {
    const void *from = lg_place_at(f, &s->in[0]);
    void *to = lg_place_at(f, &s->out[0]);
    if (from != to && s->bytes)
        memmove(to, from, s->bytes);
}

/* ---- scans and conds ---- */

/* A step that began at `since` is done, or one more part of it. */
static void note_time(const thread *t, const lg_step *s, double since, bool first) {
    double end = lg_profile_now();
    if (t->id == 0 && lg_profile_on()) {
        lg_step *x = (lg_step *)(uintptr_t)s;
        x->ns += end - since;
        x->runs += first;
    }
    if (lg_trace_on() && (t->id == 0 || !s->serial) && !s->sub[0])
        lg_trace_add(t->id, s, since, end);
}

/* The same of a loop: rows are positions of O or, where blocks of I are summed apart, of I. */
static bool loop_rows(thread *t, const lg_loop *l, const lg_frame *f, int64_t beg, int64_t end,
                      int64_t of) {
    int64_t q = (l->split ? l->n_i : l->n_o) / of, by = l->split ? l->split : l->ob,
            from = beg * q / by, to = (end * q + by - 1) / by;
    if (!l->split)
        return lg_loop_run(l, f, t->scratch, from, to, &t->fault);
    int64_t blocks = (l->n_i + l->split - 1) / l->split;
    for (int64_t u = 0; u < lg_loop_units(l); u += blocks)
        if (!lg_loop_run(l, f, t->scratch, u + from, u + to, &t->fault))
            return false;
    return true;
}

/* Rows [beg, end) of `of` of a step whose rows are apart. */
static bool run_rows(thread *t, const lg_step *s, const lg_frame *f, int64_t beg, int64_t end,
                     int64_t of) {
    const void *in[8];
    if (s->kind == LG_S_LOOP)
        return loop_rows(t, s->loop, f, beg, end, of);
    for (int k = 0; k < s->n_in; k++)
        in[k] = lg_place_at(f, &s->in[k]);
    void *out = lg_place_at(f, &s->out[0]);
    if (s->kind == LG_S_COPY) {
        lg_copy_part(out, in[0], s->bytes, beg, end, of);
        return true;
    }
    int64_t row = (s->product->batch == 1 ? s->product->m : s->product->batch) / of;
    const void *panels = lg_place_at(f, &s->panels);
    if (panels)
        s->packed_fn(s->product, in[0], panels, out, t->scratch, beg * row, end * row);
    else
        s->rows_fn(s->product, s->coded, in, out, t->scratch, beg * row, end * row);
    return true;
}

static bool walk_rows(thread *t, const lg_plan *p, const lg_frame *f, int64_t beg, int64_t end,
                      int64_t of) {
    bool timed = (t->id == 0 && lg_profile_on()) || lg_trace_on();
    for (int k = 0; k < p->n_step; k++) {
        double since = timed ? lg_profile_now() : 0;
        if (!run_rows(t, &p->step[k], f, beg, end, of))
            return false;
        if (timed)
            note_time(t, &p->step[k], since, true);
    }
    return true;
}

/* Every thread runs all rounds of some rows, in a workspace of its own, and waits for nobody. */
static bool scan_rows(thread *t, const lg_step *s, lg_rounds *r) {
    const lg_plan *body = s->sub[0];
    int64_t units = (s->rows + s->unit - 1) / s->unit, beg = units * t->id / t->n * s->unit,
            end = units * (t->id + 1) / t->n * s->unit;
    end = end < s->rows ? end : s->rows;
    char *mine = t->scratch;
    lg_frame inner = {mine, r->in, r->out};
    t->scratch = mine + lg_plan_apart(body);
    bool ok = true;
    if (beg < end)
        lg_rounds_first(r, beg, end, s->rows);
    for (int64_t round = 0; round < s->node->attr.scan->trip && beg < end && ok; round++) {
        lg_rounds_set(r, round);
        if (t->id == 0 && body->opts.stop && *body->opts.stop)
            ok = lg_fault_set(&t->fault, s->node, "R0104", -1,
                              "interrupted before this was finished");
        ok = ok && !lg_barrier_broken(t->barrier) && walk_rows(t, body, &inner, beg, end, s->rows);
    }
    if (beg < end)
        lg_rounds_last(r, s->node->attr.scan->trip, beg, end, s->rows);
    t->scratch = mine;
    t->state = ALL_WROTE;
    return ok;
}

/* Rows suffice for all threads, and for what each reads anew in every round when that is more than
 * its cache holds; or there is nothing else to share out. */
static bool by_rows(const thread *t, const lg_step *s) {
    enum { CACHE = 1 << 20, LEAST_ROWS = 16 };
    int64_t units = s->rows ? (s->rows + s->unit - 1) / s->unit : 0;
    bool dense = s->weights <= CACHE || s->rows >= LEAST_ROWS * t->n;
    return units && t->n > 1 && (s->lone || (units >= t->n && dense));
}

static bool scan_steps(thread *t, const lg_step *s, const lg_frame *f, lg_rounds *r) {
    lg_frame inner = {lg_place_at(f, &s->sub_arena), r->in, r->out};
    int64_t round = 0, trip = s->node->attr.scan->trip;
    if (t->id == 0)
        lg_rounds_first(r, 0, 1, 1);
    t->state = ALL_WROTE;
    for (; round < trip; round++) {
        if (!meet(t, true))
            return false;
        if (lg_rounds_stop(r, round))
            break;
        lg_rounds_set(r, round);
        if (!walk(t, s->sub[0], &inner))
            return false;
        t->state =
            ALL_WROTE; /* the next round reads what this one wrote, and the other way round */
    }
    if (!meet(t, true))
        return false;
    if (t->id == 0) {
        lg_rounds_last(r, round, 0, 1, 1);
        lg_rounds_rest(r, round);
    }
    t->state = FIRST_WROTE;
    return true;
}

static bool run_scan(thread *t, const lg_step *s, const lg_frame *f) {
    const void **mark = t->pointer;
    lg_rounds r = lg_rounds_of(s, f, &t->pointer);
    bool ok = by_rows(t, s) ? scan_rows(t, s, &r) : scan_steps(t, s, f, &r);
    t->pointer = mark;
    return ok;
}

static bool run_cond(thread *t, const lg_step *s, const lg_frame *f) {
    bool yes = *(const uint8_t *)lg_place_at(f, &s->in[0]);
    const void **mark = t->pointer, **in = t->pointer;
    void **out = (void **)(uintptr_t)(in + s->n_in);
    t->pointer = in + s->n_in + s->n_out;
    for (int k = 1; k < s->n_in; k++)
        in[k - 1] = lg_place_at(f, &s->in[k]);
    for (int k = 0; k < s->n_out; k++)
        out[k] = lg_place_at(f, &s->out[k]);
    lg_frame inner = {lg_place_at(f, &s->sub_arena), in, out};
    bool ok = walk(t, s->sub[yes ? 0 : 1], &inner);
    t->pointer = mark;
    t->state = ALL_WROTE;
    return ok;
}

/* ---- looking for what is not finite ---- */

static bool bad_row(const lg_type *y, const void *p, size_t row, size_t per) {
    for (size_t i = row * per; i < (row + 1) * per; i++)
        if (!isfinite(lg_get_f64(y->dtype, p, i)))
            return true;
    return false;
}

static double least(const lg_type *x, const void *p) {
    double low = (double)INFINITY;
    for (size_t i = 0, n = lg_type_count(x); i < n; i++) {
        double v = lg_get_f64(x->dtype, p, i);
        low = v < low ? v : low;
    }
    return low;
}

static bool check_result(thread *t, const lg_step *s, const lg_frame *f, int k) {
    const lg_type *y = &s->node->type[k];
    const void *p = lg_place_at(f, &s->out[k]);
    if (!lg_dtype_is_float(y->dtype) || lg_type_count(y) == 0)
        return true;
    size_t rows = y->rank ? (size_t)y->shape[0] : 1, per = lg_type_count(y) / rows, n = 0;
    char list[64] = "";
    int64_t first = -1;
    for (size_t r = 0; r < rows; r++) {
        if (!bad_row(y, p, r, per))
            continue;
        size_t len = strlen(list);
        if (n++ < 4)
            snprintf(list + len, sizeof list - len, "%s%zu", len ? ", " : "", r);
        first = first < 0 ? (int64_t)r : first;
    }
    if (n == 0)
        return true;
    double low =
        s->n_in ? least(&s->node->in[0]->type[0], lg_place_at(f, &s->in[0])) : (double)INFINITY;
    char input[48] = "";
    if (isfinite(low))
        snprintf(input, sizeof input, ", input min = %.3g", low);
    if (!y->rank)
        return lg_fault_set(&t->fault, s->node, "R0102", -1, "`%s` is not finite%s",
                            s->node->op->name, input);
    return lg_fault_set(&t->fault, s->node, "R0102", first,
                        "`%s` is not finite%s, %zu of %zu items (rows %s%s)", s->node->op->name,
                        input, n, rows, list, n > 4 ? ", ..." : "");
}

/* ---- the walk ---- */

/* This step and those after it that were compiled with it. */
static bool run_compiled(thread *t, const lg_step *s, const lg_frame *f) {
    lg_code_env e = lg_loop_env(s->data, f);
    int64_t bad = s->code(&e, 0, 0);
    if (!bad)
        return true;
    const lg_step *at = s + (bad >> LG_RUN_SHIFT);
    return lg_loop_fault(at->loop, f, t->scratch, bad & (((int64_t)1 << LG_RUN_SHIFT) - 1),
                         &t->fault);
}

static bool run_serial(thread *t, const lg_step *s, const lg_frame *f) {
    if (s->code)
        return run_compiled(t, s, f);
    switch (s->kind) {
    case LG_S_LOOP:
        return run_loop(t, s, f, false);
    case LG_S_DOT:
        return run_dot(t, s, f, false);
    case LG_S_RUN:
        return run_op(t, s, f);
    case LG_S_COPY:
        run_copy(s, f);
        return true;
    case LG_S_SCAN:
        return run_scan(t, s, f);
    case LG_S_COND:
        return run_cond(t, s, f);
    }
    return true;
}

/* A step that only the first thread does, with whatever is nested in it. */
static bool run_first(thread *t, const lg_step *s, const lg_frame *f) {
    int n = t->n;
    unsigned state = t->state;
    t->n = 1;
    if (n > 1)
        atomic_store_explicit(&t->barrier->serial, true, memory_order_relaxed);
    bool ok = run_serial(t, s, f);
    if (n > 1)
        atomic_store_explicit(&t->barrier->serial, false, memory_order_relaxed);
    t->n = n;
    t->state = state;
    return ok;
}

static bool run_step(thread *t, const lg_plan *p, const lg_step *s, const lg_frame *f) {
    if (!meet(t, s->serial))
        return false;
    bool ok = true;
    if (t->id == 0 && p->opts.stop && *p->opts.stop)
        ok = lg_fault_set(&t->fault, s->node, "R0104", -1, "interrupted before this was finished");
    else if (s->serial || t->n == 1) {
        if (t->id == 0)
            ok = run_first(t, s, f);
        if (t->id == 0 && ok && p->opts.check_nan && s->kind != LG_S_COPY)
            for (int k = 0; k < s->n_out && ok; k++)
                ok = check_result(t, s, f, k);
        t->state = t->state == ALL_WROTE ? ALL_WROTE : FIRST_WROTE;
    } else if (s->kind == LG_S_SCAN || s->kind == LG_S_COND) {
        ok = run_serial(t, s, f);
    } else {
        t->state = ALL_WROTE;
        ok = s->kind == LG_S_LOOP ? run_loop(t, s, f, true) : run_dot(t, s, f, true);
    }
    if (!ok && t->fault.set && t->barrier)
        lg_barrier_break(t->barrier);
    return ok;
}

/* A step and what it took; the wait for the others is part of it. */
static bool time_step(thread *t, const lg_plan *p, const lg_step *s, const lg_frame *f) {
    double since = lg_profile_now();
    if (!run_step(t, p, s, f))
        return false;
    note_time(t, s, since, true);
    return true;
}

/* ---- loops together ---- */

/* Tiles of loop l that begin before `at`, a place within what all loops cost, of which those before
 * it cost `before`. */
static int64_t tiles_before(const lg_step *l, double before, double at) {
    int64_t n = lg_loop_units(l->loop);
    double k = (at - before) / l->cost * (double)n;
    return k <= 0 ? 0 : k >= (double)n ? n : (int64_t)k;
}

/* Threads take equal parts of the tiles of all loops, in order, and meet when all are done. */
static bool run_shared(thread *t, const lg_step *s, const lg_frame *f) {
    double all = 0, before = 0;
    bool split = false;
    for (int k = 0; k < s->together; k++) {
        all += s[k].cost;
        split = split || s[k].loop->split;
    }
    double beg = all * t->id / t->n, end = all * (t->id + 1) / t->n;
    for (int k = 0; k < s->together; before += s[k++].cost) {
        int64_t from = tiles_before(&s[k], before, beg),
                to =
                    t->id + 1 == t->n ? lg_loop_units(s[k].loop) : tiles_before(&s[k], before, end);
        if (!lg_loop_run(s[k].loop, f, t->scratch, from, to, &t->fault))
            return false;
    }
    t->state = ALL_WROTE;
    if (!split)
        return true;
    if (!meet(t, true))
        return false;
    t->state = FIRST_WROTE;
    for (int k = 0; t->id == 0 && k < s->together; k++)
        if (!lg_loop_finish(s[k].loop, f, t->scratch, &t->fault))
            return false;
    return true;
}

static bool run_together(thread *t, const lg_plan *p, const lg_step *s, const lg_frame *f) {
    if (!meet(t, false))
        return false;
    bool ok = true;
    if (t->id == 0 && p->opts.stop && *p->opts.stop)
        ok = lg_fault_set(&t->fault, s->node, "R0104", -1, "interrupted before this was finished");
    ok = ok && run_shared(t, s, f);
    if (!ok && t->fault.set && t->barrier)
        lg_barrier_break(t->barrier);
    return ok;
}

/* ---- stretches ---- */

/* Rows suffice for all threads. */
static bool is_stretch(const thread *t, const lg_step *s) {
    return s->stretch && t->n > 1 && (s->rows + s->unit - 1) / s->unit >= t->n;
}

/* Right operands that all blocks of rows read; false: the others gave up. */
static bool pack(thread *t, const lg_step *s, const lg_frame *f) {
    bool timed = t->id == 0 && lg_profile_on();
    for (int k = 0; k < s->stretch; k++) {
        double since = timed ? lg_profile_now() : 0;
        if (s[k].panels.base == LG_AT_NONE)
            continue;
        s[k].pack_fn(s[k].product, lg_place_at(f, &s[k].in[1]), lg_place_at(f, &s[k].panels), t->id,
                     t->n);
        if (timed)
            note_time(t, &s[k], since, false);
    }
    t->state = ALL_WROTE;
    return meet(t, false);
}

/* All steps for rows [beg, end), the time of each noted as that of one run. */
static bool run_block(thread *t, const lg_step *s, const lg_frame *f, int64_t beg, int64_t end,
                      bool first) {
    bool timed = (t->id == 0 && lg_profile_on()) || lg_trace_on();
    for (int k = 0; k < s->stretch; k++) {
        double since = timed ? lg_profile_now() : 0;
        if (!run_rows(t, &s[k], f, beg, end, s->rows))
            return false;
        if (timed)
            note_time(t, &s[k], since, first);
    }
    return true;
}

/* Sums over all rows, once these are done: one thread a loop. */
static bool finish(thread *t, const lg_step *s, const lg_frame *f) {
    int nth = 0;
    t->state = ALL_WROTE;
    if (s->sums && !meet(t, false))
        return false;
    for (int k = 0; s->sums && k < s->stretch; k++)
        if (s[k].loop && s[k].loop->split && nth++ % t->n == t->id &&
            !lg_loop_finish(s[k].loop, f, t->scratch, &t->fault))
            return false;
    t->state = ALL_WROTE;
    return true;
}

/* Threads take equal parts of the rows, and do all steps for a block of them, then for the next. */
static bool run_stretch(thread *t, const lg_plan *p, const lg_step *s, const lg_frame *f) {
    double since = lg_profile_on() ? lg_profile_now() : 0;
    if (!meet(t, false))
        return false;
    if (t->id == 0 && lg_profile_on())
        ((lg_step *)(uintptr_t)s)->ns += lg_profile_now() - since;
    bool ok = true;
    if (t->id == 0 && p->opts.stop && *p->opts.stop)
        ok = lg_fault_set(&t->fault, s->node, "R0104", -1, "interrupted before this was finished");
    if (ok && s->packs && !pack(t, s, f))
        return false;
    int64_t units = (s->rows + s->unit - 1) / s->unit, beg = units * t->id / t->n * s->unit,
            end = units * (t->id + 1) / t->n * s->unit;
    end = end < s->rows ? end : s->rows;
    for (int64_t r = beg; r < end && ok; r += s->block)
        ok = run_block(t, s, f, r, r + s->block < end ? r + s->block : end, r == beg);
    ok = ok && finish(t, s, f);
    if (!ok && t->fault.set && t->barrier)
        lg_barrier_break(t->barrier);
    return ok;
}

/* With a profile or a trace every step has a time of its own. */
static bool walk(thread *t, const lg_plan *p, const lg_frame *f) {
    bool each = lg_profile_on() || lg_trace_on(), timed = each && (t->id == 0 || lg_trace_on());
    for (int k = 0, n; k < p->n_step; k += n) {
        lg_step *s = &p->step[k];
        bool many = s->together && t->n > 1 && !each, rows = is_stretch(t, s);
        n = rows ? s->stretch : many ? s->together : s->code ? s->n_code : 1;
        if (!(rows    ? run_stretch(t, p, s, f)
              : many  ? run_together(t, p, s, f)
              : timed ? time_step(t, p, s, f)
                      : run_step(t, p, s, f)))
            return false;
    }
    return true;
}

/* ---- entry ---- */

typedef struct {
    lg_plan *plan;
    lg_frame frame;
    lg_barrier barrier;
    lg_fault fault[64];
} job;

static void run_part(void *ctx, int part, int parts) {
    job *j = ctx;
    const lg_plan *p = j->plan;
    thread t; /* its fault is large */
    t.id = part;
    t.n = parts;
    t.barrier = parts > 1 ? &j->barrier : NULL;
    t.state = CLEAN;
    t.fault.set = false;
    char *mine = p->room->base + p->workspace + (size_t)part * p->thread_bytes;
    t.pointer = (const void **)(void *)mine;
    t.scratch = mine + ((size_t)p->n_pointer * sizeof(void *) + 63) / 64 * 64;
    if (parts > 1 && part == 0)
        lg_pool_share(&j->barrier);
    walk(&t, p, &j->frame);
    if (parts > 1 && t.state == FIRST_WROTE)
        lg_barrier_wait(&j->barrier, part); /* and takes parts of what the first is still at */
    if (parts > 1 && part == 0)
        lg_pool_share(NULL);
    if (t.fault.set)
        j->fault[part] = t.fault;
}

bool lg_plan_run(lg_plan *p, const void *const *in, void *const *out, lg_fault *fault) {
    if (p->before)
        p->before(p);
    job j; /* most of it is room for the faults of more threads than there are */
    j.plan = p;
    j.frame = (lg_frame){p->room->base, in, out};
    int want = lg_crew_size(&p->crew, p->cost, p->threads);
    bool shared = want > 1 && lg_pool_enter(),
         asked = p->threads > 1 && lg_crew_asks(&p->crew, p->cost);
    int n = shared ? want : 1;
    double since = asked ? lg_profile_now() : 0;
    lg_barrier_init(&j.barrier, n);
    for (int k = 0; k < n; k++)
        j.fault[k].set = false;
    if (n == 1)
        run_part(&j, 0, 1);
    else
        lg_pool_run(run_part, &j, n);
    if (shared)
        lg_pool_leave();
    if (n == want)
        lg_crew_ran(&p->crew, p->cost, p->threads, n, asked ? lg_profile_now() - since : 0,
                    n > 1 ? (double)j.barrier.lost / (n - 1) : 0);
    for (int k = 0; k < n; k++)
        if (j.fault[k].set) {
            if (fault)
                *fault = j.fault[k];
            return false;
        }
    return true;
}

bool lg_plan_reserve(lg_plan *p) {
    size_t tables = ((size_t)p->n_pointer * sizeof(void *) + 63) / 64 * 64;
    p->thread_bytes = (p->thread_bytes + tables + 63) / 64 * 64;
    p->workspace = (p->workspace + 63) / 64 * 64;
    p->base_bytes = p->workspace + (size_t)p->threads * p->thread_bytes;
    p->stats.room_bytes = p->base_bytes;
    lg_room *r = p->opts.room ? p->opts.room : &p->own;
    if (!r->base || r->bytes < p->base_bytes) {
        lg_room_free(r);
        r->base = lg_alloc_data(p->base_bytes);
        if (!r->base)
            return false;
        r->bytes = p->base_bytes;
    }
    p->room = r;
    return true;
}

void lg_room_free(lg_room *r) {
    lg_free_aligned(r->base);
    *r = (lg_room){0};
}
