/* crew.c: see crew.h.
 *
 * Short plans: what threads pay for a meeting depends on where they are, which no estimate knows:
 * two virtual processors may be neighbours or at the far ends of a machine, and may move. So some
 * runs are done by one thread, some by all, and what was faster goes on. That is tried again after
 * a while, the later the more often it came out the same, and soon when runs take longer than they
 * did.
 *
 * Long plans: meetings cost them nothing to speak of, but threads that share a core with other
 * programs wait for each other far too long. What waiting cost is held against what sharing saved.
 */
#include "runtime/crew.h"
#include <stdlib.h>
#include <string.h>

#define SHORT_NS 5e5
/* The first runs of a stage find caches cold and threads asleep. A trial waits at first and at most
 * so long, and LEAST_WAIT runs in any case. */
enum { COLD = 2, FIRST_RUN = 8, LEAST_WAIT = 500, LOOK_EVERY = 16, SLOW_LOOKS = 4 };
#define FIRST_WAIT_NS 5e7
#define LONGEST_WAIT_NS 8e8
#define BETTER 0.95 /* of the time of what is in use, for a change */
#define SLOWER 1.3  /* of what a run took when it was tried */
/* A run that takes so long, and so many times what one thread needs, waited for a core. */
#define CROWD_NS 1e6
#define CROWD 5.0

enum { ALONE = 100, ALONE_MOST = 3200, MANY_RUNS = 16 };

static bool is_short(double cost) {
    return cost < SHORT_NS;
}

/* ---- short plans ---- */

static void begin(lg_crew *c, int stage) {
    c->stage = stage;
    c->n = 0;
}

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What stands in the middle, so that a few runs that something else delayed do not count. */
static double usual(const lg_crew *c) {
    double t[LG_CREW_TRIES];
    memcpy(t, c->time, sizeof t);
    qsort(t, LG_CREW_TRIES, sizeof *t, by_time);
    return t[LG_CREW_TRIES / 2];
}

/* Goes on with one thread or all. Trials are the rarer the more often they came out the same. */
static void decide(lg_crew *c, bool one) {
    double now = c->took[one], first = FIRST_WAIT_NS / now, longest = LONGEST_WAIT_NS / now;
    double wait = c->wait == 0 || one != c->one ? first : 2 * (double)c->wait;
    wait = wait > longest ? longest : wait;
    c->wait = wait < LEAST_WAIT ? LEAST_WAIT : (int64_t)wait;
    c->one = one;
    c->since = 0;
    c->slow = 0;
    begin(c, LG_CREW_WORKS);
}

static void decide_by_time(lg_crew *c) {
    double all = c->took[0], one = c->took[1];
    decide(c, c->one ? all > one * BETTER : one < all * BETTER);
}

/* A thread waited for one that has no core: no more of that. */
static void leave_crowd(lg_crew *c, double ns) {
    c->took[0] = ns;
    c->crowded = true;
    decide(c, true);
}

/* A run of a trial. */
static void tried(lg_crew *c, double ns) {
    bool all = c->stage == LG_CREW_TRIES_ALL;
    int k = c->n++ - COLD;
    if (all && ns > CROWD_NS && ns > CROWD * c->took[1]) {
        leave_crowd(c, ns);
        return;
    }
    if (k < 0)
        return;
    c->time[k] = ns;
    if (k + 1 < LG_CREW_TRIES)
        return;
    c->took[!all] = usual(c);
    if (all) {
        c->crowded = false;
        decide_by_time(c);
    } else {
        begin(c, LG_CREW_TRIES_ALL);
    }
}

static bool tries_again(const lg_crew *c) {
    if (c->wait == 0)
        return c->since >= FIRST_RUN;
    bool soon = c->slow >= SLOW_LOOKS && c->since >= LEAST_WAIT && c->since >= c->wait / 8;
    return soon || c->since >= c->wait;
}

/* ns: what the run took, 0: not known. */
static void worked(lg_crew *c, double ns, double lost) {
    c->since++;
    if (c->wait && lost > CROWD_NS && lost > CROWD * c->took[1])
        leave_crowd(c, lost);
    else if (ns > 0)
        c->slow = ns > SLOWER * c->took[c->one] ? c->slow + 1 : c->slow / 2;
    if (tries_again(c) || (!c->wait && lost > CROWD_NS))
        begin(c, LG_CREW_TRIES_ONE);
}

/* ---- long plans ---- */

/* After a while on one thread it is tried again, the later the more often it did not pay. */
static void look_for_crowd(lg_crew *c, double cost, int most, double lost) {
    double saved = cost * (most - 1) / most;
    c->worth += saved - lost - c->worth / MANY_RUNS;
    if (c->worth > MANY_RUNS / 2 * saved)
        c->wait = 0;
    if (c->worth > -2 * cost)
        return;
    c->wait = c->wait ? 2 * c->wait : ALONE;
    c->wait = c->wait > ALONE_MOST ? ALONE_MOST : c->wait;
    c->since = 0;
    c->worth = 0;
    c->one = c->crowded = true;
}

/* ---- from outside ---- */

int lg_crew_size(lg_crew *c, double cost, int most) {
    if (most == 1)
        return 1;
    if (!is_short(cost)) {
        c->one = c->one && c->since < c->wait;
        return c->one ? 1 : most;
    }
    bool one = c->stage == LG_CREW_TRIES_ONE || (c->stage == LG_CREW_WORKS && c->one);
    return one ? 1 : most;
}

bool lg_crew_asks(const lg_crew *c, double cost) {
    return is_short(cost) && (c->stage != LG_CREW_WORKS || c->since % LOOK_EVERY == 0);
}

void lg_crew_ran(lg_crew *c, double cost, int most, int threads, double ns, double lost) {
    if (most == 1)
        return;
    c->runs++;
    c->alone += c->one && threads == 1;
    if (!is_short(cost)) {
        c->since++;
        if (threads > 1)
            look_for_crowd(c, cost, most, lost);
    } else if (c->stage == LG_CREW_WORKS) {
        worked(c, ns, lost);
    } else {
        tried(c, ns);
    }
}

void lg_crew_again(lg_crew *c) {
    int64_t runs = c->runs, alone = c->alone;
    *c = (lg_crew){.runs = runs, .alone = alone};
}
