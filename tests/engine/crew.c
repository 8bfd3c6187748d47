/* crew.c: whether one thread or all do the runs of a plan, on machines that are made up: what a run
 * takes is given, so nothing here depends on a clock. */
#include "runtime/crew.h"
#include <stdio.h>

static int passed, failed;

static void check(bool ok, const char *what) {
    passed += ok;
    failed += !ok;
    printf("%s %s\n", ok ? "ok" : "FAILED", what);
}

/* What a run takes, in ns; k: its number. */
typedef struct {
    double one, all;
    double far;       /* all, while threads are far apart; 0: never */
    int64_t from, to; /* when that is */
    int late;         /* every so manieth run takes 50 times as long; 0: none */
    double crowd;     /* all: what a run takes that waits for a thread without a core; 0: none */
    double lost;      /* of long plans, waiting, a run */
} machine;

typedef struct {
    double time;
    int64_t alone; /* runs that one thread did */
    bool last;     /* by one thread */
} outcome;

enum { THREADS = 2, RUNS = 20000 };

static double run_of(const machine *m, int64_t k, int threads) {
    double t = threads == 1 ? m->one : m->far > 0 && k >= m->from && k < m->to ? m->far : m->all;
    if (threads > 1 && m->crowd > 0 && k % 2)
        t = m->crowd;
    return m->late && k % m->late == 0 ? 50 * t : t;
}

static outcome runs(lg_crew *c, const machine *m, double cost, int64_t n) {
    outcome o = {0};
    for (int64_t k = 0; k < n; k++) {
        int threads = lg_crew_size(c, cost, THREADS);
        double t = run_of(m, k, threads);
        lg_crew_ran(c, cost, THREADS, threads, lg_crew_asks(c, cost) ? t : 0, m->lost);
        o.time += t;
        o.alone += threads == 1;
        o.last = threads == 1;
    }
    return o;
}

static void test_short(void) {
    lg_crew near = {0}, far = {0};
    outcome a = runs(&near, &(machine){.one = 15500, .all = 12500}, 40000, RUNS),
            b = runs(&far, &(machine){.one = 15500, .all = 28000}, 40000, RUNS);
    check(!a.last && a.alone < RUNS / 50, "threads that are near each other share a short step");
    check(a.time < 1.02 * 12500 * RUNS, "asking costs little");
    check(b.last && b.alone > RUNS * 49 / 50, "of threads that are far apart one does it");
    check(b.time < 1.02 * 15500 * RUNS, "asking costs little there too");
    check(far.took[1] == 15500 && far.took[0] == 28000, "what was measured is kept");
    check(far.runs == RUNS && far.alone > RUNS * 49 / 50 && !far.crowded, "and counted");
}

static void test_even(void) {
    lg_crew c = {0};
    outcome o = runs(&c, &(machine){.one = 12200, .all = 12500}, 40000, RUNS);
    check(!o.last, "what is hardly better is no reason to change");
}

static void test_moved(void) {
    lg_crew c = {0};
    machine m = {.one = 15500, .all = 12500, .far = 28000, .from = 5000, .to = 30000};
    outcome o = runs(&c, &m, 40000, 8000);
    check(o.last, "threads that are moved apart: one goes on, soon");
    check(o.alone > 2000 && o.alone < 3100, "once it showed");
    c = (lg_crew){0};
    o = runs(&c, &m, 40000, 200000);
    check(!o.last, "together again, they share again");
    double least = 12500.0 * 175000 + 15500.0 * 25000;
    check(o.time < 1.1 * least, "and little is lost meanwhile");
}

static void test_noise(void) {
    lg_crew c = {0};
    outcome o = runs(&c, &(machine){.one = 15500, .all = 12500, .late = 7}, 40000, RUNS);
    check(!o.last && o.alone < RUNS / 20, "a few runs that something delays decide nothing");
}

static void test_crowded(void) {
    lg_crew c = {0};
    machine m = {.one = 15500, .all = 12500, .crowd = 4e6};
    outcome o = runs(&c, &m, 40000, RUNS);
    check(o.last && c.crowded, "threads that wait for a core: one does it");
    check(o.time < 1.3 * 15500 * RUNS, "without waiting long to find out");
    lg_crew d = {0};
    runs(&d, &(machine){.one = 15500, .all = 12500}, 40000, 2000);
    lg_crew_ran(&d, 40000, THREADS, THREADS, 0, 4e6);
    check(d.crowded && lg_crew_size(&d, 40000, THREADS) == 1, "one long wait is enough");
    m.crowd = 0;
    o = runs(&c, &m, 40000, 200000);
    check(!o.last && !c.crowded, "until there are cores again");
}

static void test_long(void) {
    lg_crew c = {0};
    machine m = {.one = 4e6, .all = 2e6};
    outcome o = runs(&c, &m, 4e6, RUNS);
    check(o.alone == 0, "long steps are never tried on one thread");
    m.lost = 1e7;
    o = runs(&c, &m, 4e6, RUNS);
    check(o.alone > RUNS * 9 / 10 && c.crowded,
          "but left to one where waiting costs more than it saves");
    m.lost = 0;
    o = runs(&c, &m, 4e6, RUNS);
    check(!o.last && o.alone < RUNS / 2, "for a while");
}

static void test_again(void) {
    lg_crew c = {0};
    runs(&c, &(machine){.one = 15500, .all = 28000}, 40000, 1000);
    lg_crew_again(&c);
    check(lg_crew_size(&c, 40000, THREADS) == THREADS && c.took[0] == 0 && c.runs == 1000,
          "other code: nothing is known of it");
    check(lg_crew_size(&c, 40000, 1) == 1, "one thread is one");
}

int main(void) {
    test_short();
    test_even();
    test_moved();
    test_noise();
    test_crowded();
    test_long();
    test_again();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
