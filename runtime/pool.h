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
    _Atomic bool serial; /* one thread works, the others are right to wait */
    _Atomic int64_t lost; /* ns of waits after spinning, of all threads */
    /* A job of the thread that all wait for; those who wait take parts of it. */
    _Atomic uint64_t ticket; /* number of the job, parts, next part: 24, 20 and 20 bits */
    _Atomic int done;
    void (*fn)(void *ctx, int part, int parts);
    void *ctx;
} lg_barrier;
void lg_barrier_wait(lg_barrier *b);
void lg_barrier_break(lg_barrier *b);
bool lg_barrier_broken(lg_barrier *b);
void lg_pause(void);
/* Until it is given another, this thread has lg_pool_run share its jobs with those at barrier b. */
void lg_pool_share(lg_barrier *b);
/* For jobs whose parts wait for each other: true when the pool is ours and will run as many parts
 * at once as it has threads. */
bool lg_pool_enter(void);
void lg_pool_leave(void);
#endif
