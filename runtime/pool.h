/* pool.h: where the threads of a job meet. Not for starting jobs: see plan.h. */
#ifndef LG_POOL_H
#define LG_POOL_H
#include "runtime/base.h"

/* A barrier that spins, for n threads. Once it is broken nobody waits at it any more, so that one
 * thread's fault ends the job of all. */
typedef struct {
    int n;
    _Atomic int here;
    _Atomic uint32_t turn;
    _Atomic bool broken;
    _Atomic int slow; /* waits that outlasted spinning */
} lg_barrier;
void lg_barrier_wait(lg_barrier *b);
void lg_barrier_break(lg_barrier *b);
bool lg_barrier_broken(lg_barrier *b);
void lg_pause(void);
/* For jobs whose parts wait for each other: true when the pool is ours and will run as many parts
 * at once as it has threads. */
bool lg_pool_enter(void);
void lg_pool_leave(void);
#endif
