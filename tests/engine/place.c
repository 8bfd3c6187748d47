/* place.c: where buffers lie: those in use at one time apart, brief ones in the same few places,
 * and not much more memory for it. */
#include "compiler/mid/place.h"
#include <stdio.h>
#include <stdlib.h>

static int n_passed, n_failed;

static void check(bool ok, const char *what) {
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED %s\n", what);
}

static bool apart(const lg_block *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (b[i].from <= b[j].to && b[j].from <= b[i].to && b[i].off < b[j].off + b[j].bytes &&
                b[j].off < b[i].off + b[i].bytes)
                return false;
    return true;
}

/* Forward and back again: what is made in step k is kept until the way back has come there, and
 * every step needs something for itself. */
static void test_brief(void) {
    enum { N = 24, MB = 1 << 20 };
    lg_block b[3 * N];
    for (int k = 0; k < N; k++) {
        b[k] = (lg_block){.bytes = 4 * MB, .from = k, .to = 2 * N + 10 - k};
        b[N + k] = (lg_block){.bytes = MB, .from = k, .to = k + 1};
        b[2 * N + k] = (lg_block){.bytes = MB, .from = N + k, .to = N + k + 1};
    }
    size_t all = lg_blocks_place(b, 3 * N), top = 0;
    for (int k = N; k < 3 * N; k++)
        top = b[k].off + b[k].bytes > top ? b[k].off + b[k].bytes : top;
    check(apart(b, 3 * N), "what is in use at one time is apart");
    check(top <= 8 * MB, "brief buffers share few places");
    check(all <= (4 * N + 8) * (size_t)MB, "and take no more memory for it");
}

/* Buffers of any life and size. */
static void test_any(void) {
    enum { N = 200 };
    lg_block b[N];
    for (int round = 0; round < 20; round++) {
        size_t bytes = 0;
        for (int k = 0; k < N; k++) {
            int from = rand() % 100;
            b[k] = (lg_block){.bytes = (size_t)(rand() % 1000) << (round % 12),
                              .from = from,
                              .to = from + (rand() % 3 ? rand() % 4 : rand() % 60)};
            bytes += b[k].bytes + 64;
        }
        check(lg_blocks_place(b, N) <= bytes && apart(b, N), "any buffers are apart");
    }
}

int main(void) {
    test_brief();
    test_any();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
