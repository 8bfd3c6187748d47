/* random.c: random graphs, interpreted and compiled: the same bits. random COUNT SEED; the graphs
 * are those of the engine's own test, whose program is taken in whole. */
#define main engine_main
#include "tests/engine/random.c"
#undef main
#include "compiler/back/jit.h"

static bool same_bits(const results *a, const results *b) {
    bool same = a->ok == b->ok;
    if (same && !a->ok)
        return !strcmp(a->fault.code, b->fault.code) && !strcmp(a->fault.text, b->fault.text) &&
               a->fault.row == b->fault.row;
    for (size_t k = 0; k < a->n && same; k++)
        same = !memcmp(a->x[k]->data, b->x[k]->data, lg_tensor_bytes(a->x[k]));
    return same;
}

static int compiled;
static void attach(lg_plan *p) {
    if (p)
        lg_jit_attach(p, LG_JIT_ON, 0, NULL);
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 12, passed = 0, failed = 0;
    uint64_t seed = argc > 2 ? (uint64_t)atoll(argv[2]) : 1;
    setenv("XDG_CACHE_HOME", "none", 1); /* compiled afresh, and nothing kept */
    setenv("HOME", "none", 1);
    lg_pool_init(2);
    for (int k = 0; k < n; k++, seed++) {
        bool big = seed % 5 == 0, in_place = seed & 1;
        lg_plan_opts o = {.threads = 1 + (int)(seed / 2 % 2)};
        results a = run(seed, big, o, in_place, true);
        planned = attach;
        results b = run(seed, big, o, in_place, true);
        planned = NULL;
        compiled += b.compiled;
        if (same_bits(&a, &b)) {
            passed++;
        } else {
            failed++;
            printf("FAILED seed %llu\n", (unsigned long long)seed);
        }
        drop(&a);
        drop(&b);
    }
    printf("%d loops compiled\n%d passed, %d failed\n", compiled, passed, failed);
    return failed != 0 || compiled == 0;
}
