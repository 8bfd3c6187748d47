/* machine.c: see machine.h. Multiply-adds in registers, and y += 3x over arrays that fit into the
 * inner caches, into the outer one, and into none: what limits a kernel depends on where its values
 * are. The best of a few rounds each. */
#include "ops/machine.h"
#include "ops/elem.h"
#include "ops/isa.h"
#include "runtime/pool.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { CHAINS = 12, ROUNDS = 5, MEETINGS = 500 };
static const int64_t steps = 100000; /* of a chain */

typedef float wide __attribute__((vector_size(64)));

static volatile float sink;

/* ---- multiply-adds ---- */

#define MULTIPLY_ADDS(name, attributes, vec, splat, fma)                                      \
    static attributes double name(void) {                                                     \
        vec x[CHAINS], y = splat(0.999f), z = splat(0.001f);                                  \
        float first[sizeof(vec) / sizeof(float)];                                             \
        for (int i = 0; i < CHAINS; i++)                                                      \
            x[i] = splat((float)i);                                                           \
        for (int64_t k = 0; k < steps; k++)                                                   \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) x[i] = fma(x[i], y, z); \
        for (int i = 1; i < CHAINS; i++)                                                      \
            x[0] = fma(x[0], y, x[i]);                                                        \
        memcpy(first, &x[0], sizeof first);                                                   \
        sink = first[0];                                                                      \
        return 2.0 * CHAINS * (double)steps * (double)LG_COUNT(first);                        \
    }

#if defined(__x86_64__)
MULTIPLY_ADDS(adds_avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps,
              _mm512_fmadd_ps)
MULTIPLY_ADDS(adds_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps,
              _mm256_fmadd_ps)
#endif

typedef float four __attribute__((vector_size(16)));
static inline four splat4(float s) {
    return (four){s, s, s, s};
}
static inline four add4(four x, four y, four z) {
    return x * y + z;
}
MULTIPLY_ADDS(adds_baseline, , four, splat4, add4)

static double multiply_adds(void) {
#if defined(__x86_64__)
    if (lg_isa_of() == LG_ISA_AVX512)
        return adds_avx512();
    if (lg_isa_of() == LG_ISA_AVX2)
        return adds_avx2();
#endif
    return adds_baseline();
}

/* ---- memory ---- */

LG_CLONES static void triad(wide *y, const wide *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] += x[i] * 3.0f;
}

/* ---- by all threads ---- */

typedef struct {
    float *y, *x;
    size_t n; /* of all threads */
    int times;
    lg_barrier gate;
    double best[LG_MOST_THREADS]; /* ns of a thread's fastest round */
    double work;                  /* of a round and thread */
    double met;                   /* ns of a meeting */
} probe;

static void one_round(probe *p, int part, int parts) {
    size_t vectors = p->n / (sizeof(wide) / sizeof(float)),
           beg = vectors * (size_t)part / (size_t)parts,
           end = vectors * (size_t)(part + 1) / (size_t)parts;
    for (int k = 0; k < p->times; k++)
        triad((wide *)(void *)p->y + beg, (const wide *)(const void *)p->x + beg, end - beg);
}

static void run(void *ctx, int part, int parts) {
    probe *p = ctx;
    for (int r = 0; r < ROUNDS; r++) {
        lg_barrier_wait(&p->gate, part);
        double since = lg_profile_now();
        if (p->y)
            one_round(p, part, parts);
        else
            p->work = multiply_adds();
        double took = lg_profile_now() - since;
        p->best[part] = r == 0 || took < p->best[part] ? took : p->best[part];
    }
}

static void meet(void *ctx, int part, int parts) {
    probe *p = ctx;
    (void)parts;
    for (int r = 0; r < ROUNDS; r++) {
        lg_barrier_wait(&p->gate, part);
        double since = lg_profile_now();
        for (int k = 0; k < MEETINGS; k++)
            lg_barrier_wait(&p->gate, part);
        double took = (lg_profile_now() - since) / MEETINGS;
        if (part == 0)
            p->met = r == 0 || took < p->met ? took : p->met;
    }
}

static double sum_of_rates(const probe *p, int threads, double work) {
    double sum = 0;
    for (int k = 0; k < threads; k++)
        sum += work / p->best[k];
    return sum;
}

/* Memory that was never written is no memory. */
static void touch(void *ctx, int part, int parts) {
    const probe *p = ctx;
    size_t beg = p->n * (size_t)part / (size_t)parts,
           end = p->n * (size_t)(part + 1) / (size_t)parts;
    memset(p->y + beg, 1, (end - beg) * sizeof *p->y);
}

static double stream(probe *p, int threads, size_t bytes) {
    enum { LEAST = 4 << 20 }; /* bytes of a round, so that it takes long enough to be timed */
    size_t n = bytes / 2 / sizeof(float) / 64 * 64;
    p->times = bytes < LEAST ? (int)(LEAST / bytes) : 1;
    p->n = n;
    lg_barrier_init(&p->gate, threads);
    lg_pool_run(run, p, threads);
    return sum_of_rates(p, threads, 3.0 * sizeof(float) * (double)n / threads * p->times);
}

static void measure(lg_machine *m) {
    static const size_t most = (size_t)128 << 20;
    int n = lg_pool_threads();
    const size_t size[LG_MEMORIES] = {(size_t)n * (256 << 10), 8 << 20, most};
    probe p = {0};
    m->threads = n;
    lg_barrier_init(&p.gate, n);
    lg_pool_run(meet, &p, n);
    m->meeting = n > 1 ? p.met : 0;
    lg_barrier_init(&p.gate, n);
    lg_pool_run(run, &p, n);
    m->flops = sum_of_rates(&p, n, p.work);
    float *all = lg_alloc_data(most);
    p.y = all;
    p.n = most / sizeof *all;
    if (all)
        lg_pool_run(touch, &p, n);
    p.x = all ? all + most / 2 / sizeof(float) : NULL;
    for (int k = 0; all && k < LG_MEMORIES; k++) {
        m->size[k] = (double)size[k];
        m->bytes[k] = stream(&p, n, size[k] < most ? size[k] : most);
    }
    lg_free_aligned(all);
}

const lg_machine *lg_machine_here(void) {
    static lg_machine m;
    if (!m.threads && lg_pool_enter()) {
        measure(&m);
        lg_pool_leave();
    }
    return m.threads ? &m : NULL;
}
