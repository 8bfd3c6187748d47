/* foreign.c: the functions that foreign.lg calls. */
#include <stdint.h>
#include <string.h>

double half(double x) {
    return x / 2;
}

void scale(const double *x, double k, int64_t n, double *out) {
    for (int64_t i = 0; i < n; i++)
        out[i] = k * x[i];
}

float inner(const float *a, const float *b, int64_t n) {
    float s = 0;
    for (int64_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

int64_t length(const char *s) {
    return (int64_t)strlen(s);
}

void row_sums(const float *x, int64_t m, int64_t n, float *out) {
    for (int64_t i = 0; i < m; i++) {
        out[i] = 0;
        for (int64_t j = 0; j < n; j++)
            out[i] += x[i * n + j];
    }
}

int32_t add(int32_t a, int32_t b) {
    return a + b;
}
