/* together.c: loops in a row that do not wait for each other are run together: threads share out
 * the tiles of all of them and meet once, not after each. So the updates of many small parameters,
 * the norms of their gradients and the like cost one meeting. Asks only what reads and writes what.
 * Not for the order of steps (schedule.c) nor for running them (runtime/exec.c). */
#include "compiler/mid/planner.h"

/* A longer loop gains nothing by company; what is alive meanwhile takes room. */
enum { MOST_NS = 1000000, LEAST_STEPS = 2 };

/* By value: the latest run of steps that reads it, writes it, or writes an output in its place. */
typedef struct {
    const planner *s;
    int *read, *written, *replaced;
    int *over; /* the input whose buffer it may be given; -1: none */
    int run;
} marks;

static int *table(int n) {
    int *t = lg_alloc(((size_t)n + 1) * sizeof *t);
    for (int v = 0; v < n; v++)
        t[v] = -1;
    return t;
}

static void begin(marks *m, const planner *s) {
    int n = s->n_val;
    *m = (marks){s, table(n), table(n), table(n), table(n), 0};
    for (size_t k = 0; k < s->g->output.n; k++) {
        const lg_output *o = &s->g->output.at[k];
        if (o->donates >= 0)
            m->over[lg_value_of(s, o->node)] = s->first[s->g->input.at[o->donates]->id];
    }
}

static void end(marks *m) {
    lg_free(m->read);
    lg_free(m->written);
    lg_free(m->replaced);
    lg_free(m->over);
}

/* Must step k wait for a step of the run, or one of them for it? */
static bool waits(const marks *m, int k) {
    const lg_kernel *l = &m->s->kernel.at[k];
    for (size_t j = 0; j < l->touch.n; j++) {
        int v = lg_value_of(m->s, l->touch.at[j].node), u = m->over[v];
        if (m->written[v] == m->run)
            return true;
        if (!l->touch.at[j].write && m->replaced[v] == m->run)
            return true;
        if (l->touch.at[j].write &&
            (m->read[v] == m->run || (u >= 0 && (m->read[u] == m->run || m->written[u] == m->run))))
            return true;
    }
    return false;
}

static void join(marks *m, planner *s, int k) {
    const lg_kernel *l = &s->kernel.at[k];
    for (size_t j = 0; j < l->touch.n; j++) {
        int v = lg_value_of(s, l->touch.at[j].node);
        if (!l->touch.at[j].write)
            s->val[v].shared = s->val[v].shared || m->read[v] == m->run;
    }
    for (size_t j = 0; j < l->touch.n; j++) {
        int v = lg_value_of(s, l->touch.at[j].node);
        *(l->touch.at[j].write ? &m->written[v] : &m->read[v]) = m->run;
        if (l->touch.at[j].write && m->over[v] >= 0)
            m->replaced[m->over[v]] = m->run;
    }
}

static bool may_join(const planner *s, int k) {
    const lg_step *x = &s->step.at[k];
    return x->kind == LG_S_LOOP && !x->within && x->cost < MOST_NS;
}

/* Worth it when the threads would meet in between, or one would do alone what all can share. */
static void settle(planner *s, int beg, int end) {
    double cost = 0;
    int64_t units = 0;
    for (int k = beg; k < end; k++) {
        cost += s->step.at[k].cost;
        units += lg_loop_units(s->step.at[k].loop);
    }
    if (end - beg < LEAST_STEPS || cost < SERIAL_NS || units < 2)
        return;
    s->step.at[beg].together = end - beg;
    for (int k = beg; k < end; k++)
        s->step.at[k].serial = false;
}

void lg_together_find(planner *s) {
    marks m;
    if (s->f.no_fuse) /* each step is looked at by itself */
        return;
    begin(&m, s);
    int n = (int)s->step.n;
    for (int k = 0; k < n; m.run++) {
        int beg = k;
        while (k < n && may_join(s, k) && !waits(&m, k))
            join(&m, s, k++);
        settle(s, beg, k);
        k += k == beg;
    }
    end(&m);
}

void lg_together_widen(planner *s) {
    int n = (int)s->step.n, *first = lg_alloc(((size_t)n + 1) * sizeof *first),
        *last = lg_alloc(((size_t)n + 1) * sizeof *last);
    for (int k = 0, m; k < n; k += m) {
        const lg_step *x = &s->step.at[k];
        m = x->together ? x->together : x->stretch ? x->stretch : 1;
        for (int j = k; j < k + m; j++) {
            first[j] = k;
            last[j] = k + m - 1;
        }
    }
    for (size_t k = 0; k < s->block.n; k++) {
        lg_block *b = &s->block.at[k];
        b->from = b->from < n ? first[b->from] : b->from;
        b->to = b->to < n ? last[b->to] : b->to;
    }
    lg_free(first);
    lg_free(last);
}
