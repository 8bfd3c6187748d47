/* pool.c: the threads of this process. Workers wait for a job spinning for some tens of
 * microseconds, then asleep. Not for what runs in them: see exec.c. */
#include "runtime/pool.h"
#include "runtime/plan.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SPINS = 1000 };

/* A line each for what the first thread writes and the others watch, for what only it uses, and for
 * what each of the others writes. */
static struct {
    _Alignas(LG_LINE) _Atomic uint32_t job; /* number of the current job */
    int parts;
    void (*fn)(void *ctx, int part, int parts);
    void *ctx;
    _Alignas(LG_LINE) int n; /* threads, this one included; 0: not started */
    pthread_t thread[LG_MOST_THREADS];
    _Atomic bool taken; /* by a plan that needs all its parts to run at once */
    _Alignas(LG_LINE) _Atomic int asleep;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct {
        _Alignas(LG_LINE) _Atomic uint32_t done; /* the last job that it finished */
    } worker[LG_MOST_THREADS];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local bool inside;        /* a job: jobs within jobs run in place */
static _Thread_local lg_barrier *shared; /* or among those who wait there */

void lg_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int machine_threads(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > LG_MOST_THREADS ? LG_MOST_THREADS : (int)n;
}

static void sleep_until(uint32_t seen) {
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.asleep, 1);
    while (atomic_load(&pool.job) == seen)
        pthread_cond_wait(&pool.wake, &pool.lock);
    atomic_fetch_sub(&pool.asleep, 1);
    pthread_mutex_unlock(&pool.lock);
}

static void *worker(void *arg) {
    int me = (int)(intptr_t)arg;
    uint32_t seen = 0;
    inside = true;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load_explicit(&pool.job, memory_order_acquire) == seen;
             i++)
            lg_pause();
        if (atomic_load(&pool.job) == seen)
            sleep_until(seen);
        seen = atomic_load(&pool.job);
        if (me < pool.parts)
            pool.fn(pool.ctx, me, pool.parts);
        atomic_store_explicit(&pool.worker[me].done, seen, memory_order_release);
    }
    return NULL;
}

bool lg_thread_start(pthread_t *t, void *(*fn)(void *), void *arg) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    sigset_t all, was;
    sigfillset(&all);
    for (size_t k = 0; k < LG_COUNT(own); k++)
        sigdelset(&all, own[k]);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    bool ok = pthread_create(t, NULL, fn, arg) == 0;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return ok;
}

void lg_pool_init(int threads) {
    if (pool.n)
        return;
    int n = threads > 0 ? threads : machine_threads();
    n = n > LG_MOST_THREADS ? LG_MOST_THREADS : n;
    pool.n = 1;
    for (int i = 1; i < n; i++) {
        if (!lg_thread_start(&pool.thread[i], worker, (void *)(intptr_t)i))
            break;
        pthread_detach(pool.thread[i]);
        pool.n++;
    }
}

int lg_pool_threads(void) {
    return pool.n ? pool.n : machine_threads();
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Parts that have no thread of their own are run after this thread's. */
static void run_alone(void (*fn)(void *ctx, int part, int parts), void *ctx, int parts) {
    for (int p = 0; p < parts; p++)
        fn(ctx, p, parts);
}

enum { PART_BITS = 20 };

static int ticket_parts(uint64_t t) {
    return (int)(t >> PART_BITS) & ((1 << PART_BITS) - 1);
}

static int ticket_next(uint64_t t) {
    return (int)t & ((1 << PART_BITS) - 1);
}

/* Takes a part of the job at the barrier, if one is left. A job cannot end, nor the next begin,
 * while somebody has a part of it. */
static bool help(lg_barrier *b) {
    uint64_t t = atomic_load_explicit(&b->ticket, memory_order_acquire);
    while (ticket_next(t) < ticket_parts(t))
        if (atomic_compare_exchange_weak(&b->ticket, &t, t + 1)) {
            b->fn(b->ctx, ticket_next(t), ticket_parts(t));
            atomic_fetch_add_explicit(&b->done, 1, memory_order_release);
            return true;
        }
    return false;
}

void lg_pool_share(lg_barrier *b) {
    shared = b;
}

static void run_shared(lg_barrier *b, void (*fn)(void *ctx, int part, int parts), void *ctx,
                       int parts) {
    uint64_t job = (atomic_load(&b->ticket) >> 2 * PART_BITS) + 1;
    shared = NULL; /* jobs within this one run in place */
    b->fn = fn;
    b->ctx = ctx;
    atomic_store(&b->done, 0);
    atomic_store(&b->ticket, job << 2 * PART_BITS | (uint64_t)parts << PART_BITS);
    while (help(b)) {
    }
    for (int i = 0; atomic_load_explicit(&b->done, memory_order_acquire) < parts; i++)
        if (i < SPINS)
            lg_pause();
        else
            sched_yield();
    shared = b;
}

static uint32_t post(void) {
    uint32_t job = atomic_fetch_add(&pool.job, 1) + 1;
    if (atomic_load(&pool.asleep) == 0)
        return job;
    pthread_mutex_lock(&pool.lock);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    return job;
}

/* Until every worker has finished the job, also those that had no part of it. */
static void wait_for_all(uint32_t job) {
    for (int w = 1, i = 0; w < pool.n;)
        if (atomic_load_explicit(&pool.worker[w].done, memory_order_acquire) == job)
            w++;
        else if (i++ < SPINS)
            lg_pause();
        else
            sched_yield();
}

void lg_pool_run(void (*fn)(void *ctx, int part, int parts), void *ctx, int parts) {
    lg_pool_init(0);
    if (shared && parts > 1 && parts < 1 << PART_BITS) {
        run_shared(shared, fn, ctx, parts);
        return;
    }
    if (inside || parts == 1 || parts > pool.n) {
        run_alone(fn, ctx, parts);
        return;
    }
    pool.fn = fn;
    pool.ctx = ctx;
    pool.parts = parts;
    uint32_t job = post();
    inside = true;
    fn(ctx, 0, parts);
    inside = false;
    wait_for_all(job);
}

bool lg_pool_enter(void) {
    bool free_now = false;
    return !inside && atomic_compare_exchange_strong(&pool.taken, &free_now, true);
}

void lg_pool_leave(void) {
    atomic_store(&pool.taken, false);
}

void lg_barrier_init(lg_barrier *b, int n) {
    memset(b, 0, offsetof(lg_barrier, stand) + (size_t)n * sizeof *b->stand);
    b->n = n;
}

/* Waits until this thread was told so in this turn. False: the barrier is broken. */
static bool told(lg_barrier *b, const _Atomic uint32_t *flag, uint32_t turn) {
    int64_t since = 0; /* when a wait that nothing explains began */
    for (int i = 0; (int32_t)(atomic_load_explicit(flag, memory_order_acquire) - turn) < 0; i++) {
        if (lg_barrier_broken(b))
            return false;
        if (help(b)) {
            i = 0;
            since = 0;
            continue;
        }
        if (i == SPINS && !atomic_load_explicit(&b->serial, memory_order_relaxed))
            since = now();
        if (i < SPINS)
            lg_pause();
        else
            sched_yield();
    }
    if (since)
        atomic_fetch_add_explicit(&b->lost, now() - since, memory_order_relaxed);
    return true;
}

/* In round r thread k tells k + 2^r what it knows and is told by k - 2^r: after the last one all
 * know of all. For two threads that is one way of one cache line in each direction, at once. */
void lg_barrier_wait(lg_barrier *b, int me) {
    uint32_t turn = ++b->stand[me].turn;
    for (int r = 0, step = 1; step < b->n; r++, step *= 2) {
        atomic_store_explicit(&b->stand[(me + step) % b->n].told[r], turn, memory_order_release);
        if (!told(b, &b->stand[me].told[r], turn))
            return;
    }
}

void lg_barrier_break(lg_barrier *b) {
    atomic_store(&b->broken, true);
}

bool lg_barrier_broken(lg_barrier *b) {
    return atomic_load_explicit(&b->broken, memory_order_relaxed);
}
