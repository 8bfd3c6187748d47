/* limits.c: what this machine can do, measured by the loops that decide: fused multiply-adds in
 * registers, a large product by OpenBLAS, a stream of adds through memory, 64 MB that are read alone
 * (as the matrix of a product with a vector is), and how long a cache line takes from one core to
 * another and back. One line of JSON for each number of threads. Not part of the library. */
#define _GNU_SOURCE
#include <cblas.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef float vec __attribute__((vector_size(64), aligned(64)));
enum { MOST = 16, WORDS = 1 << 25, READ = 1 << 24, AGAIN = 6 };
extern void openblas_set_num_threads(int n);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *a, *b, *c;
static int n_threads;
static pthread_barrier_t gate;
static volatile float sink;

static void multiply_adds(void) {
    vec x[16], y = {0}, z = {0};
    for (int i = 0; i < 16; i++) {
        x[i] = y + (float)i;
        y[i] = 0.999f;
        z[i] = 0.001f;
    }
    for (int k = 0; k < 4000000; k++)
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++)
            x[i] = x[i] * y + z;
    float s = 0;
    for (int i = 0; i < 16; i++)
        s += x[i][i];
    sink = s;
}

static void triad(int me) {
    size_t beg = (size_t)WORDS / (size_t)n_threads * (size_t)me,
           end = beg + WORDS / (size_t)n_threads;
    for (size_t i = beg; i < end; i += 16)
        *(vec *)(a + i) = *(vec *)(b + i) + *(vec *)(c + i) * 3.0f;
}

/* 64 MB read again and again, of which the caches may keep a part. */
static void reads(int me) {
    size_t n = (size_t)READ / (size_t)n_threads, beg = n * (size_t)me;
    vec s[8] = {0};
    for (int r = 0; r < AGAIN; r++)
        for (const float *x = a + beg; x < a + beg + n; x += 128)
#pragma GCC unroll 8
            for (int v = 0; v < 8; v++)
                s[v] += *(const vec *)(x + 16 * v);
    for (int v = 1; v < 8; v++)
        s[0] += s[v];
    sink = s[0][me & 15];
}

enum { FMA, TRIAD, READS, LOOPS };
static double best[MOST][LOOPS]; /* seconds of a thread's fastest round */

static void alone(int me) {
    (void)me;
    multiply_adds();
}

static void pin(int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void *part(void *arg) {
    int me = (int)(long)arg;
    pin(me);
    static void (*const loop[])(int) = {[FMA] = alone, [TRIAD] = triad, [READS] = reads};
    triad(me); /* pages are touched */
    for (int k = 0; k < LOOPS; k++)
        best[me][k] = 1e9;
    for (int r = 0; r < 7; r++)
        for (int k = 0; k < LOOPS; k++) {
            pthread_barrier_wait(&gate);
            double t = now();
            loop[k](me);
            t = now() - t;
            best[me][k] = t < best[me][k] ? t : best[me][k];
        }
    return NULL;
}

static void loops(double *gflops, double *gbytes, double *gread) {
    pthread_t t[MOST];
    pthread_barrier_init(&gate, NULL, (unsigned)n_threads);
    for (int i = 0; i < n_threads; i++)
        pthread_create(&t[i], NULL, part, (void *)(long)i);
    for (int i = 0; i < n_threads; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < n_threads; i++) {
        *gflops += 4e6 * 16 * 32 / best[i][FMA] / 1e9;
        *gbytes += 16.0 * (WORDS / n_threads) / best[i][TRIAD] / 1e9;
        *gread += 4.0 * AGAIN * (READ / n_threads) / best[i][READS] / 1e9;
    }
}

/* ---- a cache line from one core to another and back ---- */

enum { TRIPS = 200000 };
static _Alignas(128) atomic_int ball;

static void *give_back(void *arg) {
    (void)arg;
    pin(1);
    for (int i = 0; i < TRIPS; i++) {
        while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * i + 1)
            continue;
        atomic_store_explicit(&ball, 2 * i + 2, memory_order_release);
    }
    return NULL;
}

/* ns; 0: there is one core */
static double round_trip(void) {
    pthread_t other;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || pthread_create(&other, NULL, give_back, NULL))
        return 0;
    cpu_set_t was;
    sched_getaffinity(0, sizeof was, &was);
    pin(0);
    double t = now();
    for (int i = 0; i < TRIPS; i++) {
        atomic_store_explicit(&ball, 2 * i + 1, memory_order_release);
        while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * i + 2)
            continue;
    }
    t = (now() - t) / TRIPS * 1e9;
    pthread_join(other, NULL);
    sched_setaffinity(0, sizeof was, &was);
    return t;
}

static double sgemm(void) {
    int n = 1024;
    double most = 0;
    openblas_set_num_threads(n_threads);
    for (int r = 0; r < 8; r++) {
        double t = now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
        t = 2.0 * n * n * n / (now() - t) / 1e9;
        most = t > most ? t : most;
    }
    return most;
}

int main(int argc, char **argv) {
    n_threads = argc > 1 ? atoi(argv[1]) : 1;
    if (n_threads < 1 || n_threads > MOST)
        return 2;
    a = aligned_alloc(1 << 21, sizeof *a * WORDS);
    b = aligned_alloc(1 << 21, sizeof *b * WORDS);
    c = aligned_alloc(1 << 21, sizeof *c * WORDS);
    for (size_t i = 0; i < WORDS; i++)
        b[i] = c[i] = 1e-3f;
    double flops = 0, bytes = 0, read = 0;
    loops(&flops, &bytes, &read);
    printf("{\"threads\": %d, \"fma\": %.1f, \"sgemm\": %.1f, \"triad\": %.1f, \"reads\": %.1f, "
           "\"round_trip_ns\": %.0f}\n",
           n_threads, flops, sgemm(), bytes, read, round_trip());
}
