/* crew.h: whether a plan's runs are done by all threads or by one. It decides by what runs took;
 * who measures and runs is exec.c. Takes no time itself, so that tests can give it any. */
#ifndef LG_CREW_H
#define LG_CREW_H
#include "runtime/base.h"

enum { LG_CREW_TRIES = 9 };

/* Of one plan; starts as zeros. Times are in ns. */
typedef struct {
    enum { LG_CREW_WORKS, LG_CREW_TRIES_ONE, LG_CREW_TRIES_ALL } stage;
    bool one;                   /* what it decided: one thread does it all */
    int n;                      /* runs of this stage of a trial */
    double time[LG_CREW_TRIES]; /* of them */
    double took[2];             /* a run by all, by one, at the last trial; 0: not tried */
    int64_t since, wait;        /* runs since the last trial; until the next one */
    int slow;                   /* looks at a run, of late, that took longer than expected */
    double worth;               /* long plans: what sharing saved of late, less what waiting cost */
    int64_t runs, alone;        /* in all; those that one thread did by decision */
    bool crowded;               /* waiting for each other is why */
} lg_crew;

/* How many of `most` threads do the next run of a plan that one thread would do in `cost`. */
int lg_crew_size(lg_crew *c, double cost, int most);
/* True: the time of this run is wanted. */
bool lg_crew_asks(const lg_crew *c, double cost);
/* A run by `threads` took `ns` (0 where it was not asked for); threads lost `lost` waiting longer
 * than work explains, each. */
void lg_crew_ran(lg_crew *c, double cost, int most, int threads, double ns, double lost);
/* The plan runs on other code from now on: what was measured no longer holds. */
void lg_crew_again(lg_crew *c);
#endif
