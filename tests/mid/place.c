/* place.c: buffers of a plan never share a byte while both are in use, however many there are, and
 * room that is free is used again. */
#include "compiler/mid/place.h"
#include <stdio.h>

static int passed, failed;

static void check(const char *what, bool ok) {
    *(ok ? &passed : &failed) += 1;
    if (!ok)
        printf("FAILED %s\n", what);
}

static bool share(const lg_block *a, const lg_block *b) {
    return a->bytes && b->bytes && a->from <= b->to && b->from <= a->to &&
           a->off < b->off + b->bytes && b->off < a->off + a->bytes;
}

static bool disjoint(const lg_block *b, size_t n, size_t all) {
    for (size_t i = 0; i < n; i++) {
        if (b[i].off % 64 || b[i].off + b[i].bytes > all)
            return false;
        for (size_t j = 0; j < i; j++)
            if (share(&b[i], &b[j]))
                return false;
    }
    return true;
}

/* The most that is in use at once: no placement takes less. */
static size_t needed(const lg_block *b, size_t n, int steps) {
    size_t most = 0;
    for (int t = 0; t < steps; t++) {
        size_t now = 0;
        for (size_t i = 0; i < n; i++)
            now += b[i].from <= t && t <= b[i].to ? (b[i].bytes + 63) / 64 * 64 : 0;
        most = now > most ? now : most;
    }
    return most;
}

static uint32_t next(uint32_t *s) {
    *s = *s * 1664525u + 1013904223u;
    return *s >> 8;
}

static void random_blocks(size_t n) {
    enum { STEPS = 300 };
    lg_block *b = lg_alloc(n * sizeof *b);
    uint32_t s = 7;
    for (size_t i = 0; i < n; i++) {
        b[i].from = (int)(next(&s) % STEPS);
        b[i].to = b[i].from + (int)(next(&s) % (next(&s) % 8 ? 4 : STEPS));
        b[i].to = b[i].to < STEPS ? b[i].to : STEPS - 1;
        b[i].bytes = next(&s) % 5 ? next(&s) % 1000 : 0;
    }
    size_t all = lg_blocks_place(b, n), least = needed(b, n, STEPS);
    char what[80];
    snprintf(what, sizeof what, "%zu blocks are apart", n);
    check(what, disjoint(b, n, all));
    snprintf(what, sizeof what, "%zu blocks take %zu bytes where %zu are needed", n, all, least);
    check(what, all >= least && all < least + least / 2);
    lg_free(b);
}

/* What a long loop makes: each value is kept to the end. */
static void many_kept(size_t n) {
    lg_block *b = lg_alloc(n * sizeof *b);
    for (size_t i = 0; i < n; i++)
        b[i] = (lg_block){.bytes = 4, .from = (int)i, .to = (int)n};
    check("kept values stand side by side", lg_blocks_place(b, n) == 64 * n);
    lg_free(b);
}

int main(void) {
    random_blocks(1);
    random_blocks(2000);
    random_blocks(12000);
    many_kept(1000);
    many_kept(300000);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
