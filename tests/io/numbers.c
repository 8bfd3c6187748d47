/* numbers.c: the text of a number is what the C library finds digit by digit, for doubles and
 * floats of all sizes, whole and halved ones, and those between two texts. */
#define _XOPEN_SOURCE 700
#include "tests/io/check.h"
#include <float.h>
#include <math.h>

static const char *plain(char out[40], double v, bool single) {
    float s = (float)v;
    bool tiny = single ? fabsf(s) < 1.2e-38f : fabs(v) < 2.3e-308;
    for (int digits = tiny ? 1 : single ? 6 : 15; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, v);
        if (single ? strtof(out, NULL) == s : strtod(out, NULL) == v)
            break;
    }
    return out;
}

static long wrong[2], seen[2];

static void one(double v) {
    for (int single = 0; single < 2; single++) {
        char got[40], want[40];
        lg_number_text(got, v, single);
        plain(want, v, single);
        seen[single]++;
        if (strcmp(got, want) && wrong[single]++ < 5)
            printf("    %a, %s: %s, wanted %s\n", v, single ? "float" : "double", got, want);
    }
}

static uint64_t word(void) {
    static uint64_t x = 88172645463325252ull;
    x ^= x << 13;
    x ^= x >> 7;
    return x ^= x << 17;
}

static double of_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Mantissas with few bits set lie where distances change and where a digit is exactly half. */
static uint64_t mantissa(int kind) {
    uint64_t m = word() & ((1ull << 52) - 1);
    return kind == 0   ? m
           : kind == 1 ? m & ~((1ull << 29) - 1)
           : kind == 2 ? 0
           : kind == 3 ? (1ull << 52) - 1
                       : m & word() & word() & word();
}

int main(void) {
    const double given[] = {0,      -0.0,    1,       -1,           0.1,     0.3,     1e15, 1e14,
                            999999, 9999995, 1e-4,    9.9999995e-5, 1e-10,   0.5,     2,    1e22,
                            5e-324, DBL_MAX, FLT_MAX, FLT_MIN,      1.0 / 3, 123456.5};
    for (size_t i = 0; i < LG_COUNT(given); i++)
        one(given[i]);
    for (uint64_t exponent = 980; exponent < 1080; exponent++)
        for (int n = 0; n < 400; n++)
            one(of_bits(exponent << 52 | mantissa(n % 5)));
    for (int n = 0; n < 20000; n++)
        one((double)(word() % 2000000) / 1000 * (n & 1 ? 1 : 1e-3));
    for (int n = 0; n < 5000; n++) {
        double v = of_bits(word());
        if (isfinite(v))
            one(v);
    }
    for (int single = 0; single < 2; single++)
        check(!wrong[single], "%ld of %ld texts of %s", wrong[single], seen[single],
              single ? "floats" : "doubles");
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
