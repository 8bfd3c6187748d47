/* pool.h: where the threads of a job meet. Not for starting jobs: see plan.h. */
#ifndef LG_POOL_H
#define LG_POOL_H
#include "runtime/base.h"
#include <pthread.h>

enum { LG_MOST_THREADS = 64, LG_LINE = 64, LG_MEET_ROUNDS = 6 };

/* Where one thread stands: in round r somebody told it that 2^r others have come. On a cache line
 * of its own, as every line that two cores write costs a way between them. */
typedef struct {
    _Alignas(LG_LINE) _Atomic uint32_t told[LG_MEET_ROUNDS];
    uint32_t turn; /* its own count of meetings */
} lg_stand;

/* A barrier that spins, for n threads. Once it is broken nobody waits at it any more, so that one
 * thread's fault ends the job of all. */
typedef struct {
    int n;
    /* Seldom written, read by all who wait. A job of the thread that all wait for; those who wait
     * take parts of it. */
    _Alignas(
        LG_LINE) _Atomic uint64_t ticket; /* number of the job, parts, next part: 24, 20, 20 bits */
    _Atomic bool broken;
    _Atomic int done;
    void (*fn)(void *ctx, int part, int parts);
    void *ctx;
    /* Often written, seldom read. */
    _Alignas(LG_LINE) _Atomic bool serial; /* one thread works, the others are right to wait */
    _Atomic int64_t lost;                  /* ns of waits after spinning, of all threads */
    lg_stand stand[LG_MOST_THREADS];       /* those of threads from n on are not touched */
} lg_barrier;
void lg_barrier_init(lg_barrier *b, int n);
void lg_barrier_wait(lg_barrier *b, int me); /* me: 0 .. n-1 */
void lg_barrier_break(lg_barrier *b);
bool lg_barrier_broken(lg_barrier *b);
/* A thread that gets no signals but its own faults: the others are for the thread that runs the
 * program, which may be waiting. False: there are none to be had. */
bool lg_thread_start(pthread_t *t, void *(*fn)(void *), void *arg);
void lg_pause(void);
/* Until it is given another, this thread has lg_pool_run share its jobs with those at barrier b. */
void lg_pool_share(lg_barrier *b);
/* For jobs whose parts wait for each other: true when the pool is ours and will run as many parts
 * at once as it has threads. */
bool lg_pool_enter(void);
void lg_pool_leave(void);
#endif
