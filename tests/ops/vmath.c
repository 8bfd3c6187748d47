/* vmath.c: the f32 functions against the C library in double, in units of the last place, on many
 * inputs of their whole range; and what they give for infinities and NaN. */
#include "ops/vmath.h"
#include "ops/ops.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static int passed, failed;

static void check(const char *what, bool ok) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAILED %s\n", what);
    }
}

enum { MANY = 400000, CHUNK = 1000 };

/* Distance in floats near the right result; none when both are the same special value. */
static double ulps(float got, double want) {
    if (isnan(want) || isnan(got))
        return isnan(want) && isnan(got) ? 0 : 1e30;
    if (isinf((float)want) || isinf(got))
        return (float)want == got || fabs(want) > 3.4028e38 ? 0 : 1e30;
    int e;
    frexp(want, &e);
    double unit = ldexp(1, e - 24 < -149 ? -149 : e - 24);
    return fabs((double)got - want) / unit;
}

static uint64_t seed = 1;

static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

/* Half of them even over lo..hi, half over the exponents up to its ends. */
static float draw(double lo, double hi) {
    if (uniform() < 0.5)
        return (float)(lo + (hi - lo) * uniform());
    double top = fabs(lo) > fabs(hi) ? fabs(lo) : fabs(hi);
    double x = top * exp(-100 * uniform() * uniform());
    x = lo < 0 && uniform() < 0.5 ? -x : x;
    return (float)(x < lo ? lo : x > hi ? hi : x);
}

typedef double (*fn1)(double x);

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double inverse_root(double x) {
    return 1 / sqrt(x);
}

static void measure(const char *name, fn1 f, double lo, double hi, double bound) {
    const lg_op *op = lg_op_find(name);
    float x[CHUNK], y[CHUNK];
    double worst = 0;
    float where = 0;
    for (int k = 0; k < MANY / CHUNK; k++) {
        for (int i = 0; i < CHUNK; i++)
            x[i] = draw(lo, hi);
        op->elem[LG_F32](CHUNK, (const void *[]){x}, y);
        for (int i = 0; i < CHUNK; i++) {
            double u = ulps(y[i], f((double)x[i]));
            if (u > worst) {
                worst = u;
                where = x[i];
            }
        }
    }
    char what[160];
    snprintf(what, sizeof what, "%s: %.2f ulp at %.9g, allowed %.1f", name, worst, (double)where,
             bound);
    check(what, worst <= bound);
    const float ends[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 1e-40f, -1e-40f, 1e-45f, -1e-45f};
    for (size_t i = 0; i < LG_COUNT(ends); i++) {
        op->elem[LG_F32](1, (const void *[]){&ends[i]}, y);
        double want = f((double)ends[i]);
        snprintf(what, sizeof what, "%s(%g) = %g", name, (double)ends[i], (double)y[0]);
        check(what, ulps(y[0], want) <= bound);
        if (want == 0) /* zeros have the sign they should have */
            check(what, !signbit(y[0]) == !signbit(want));
    }
}

static void measure2(const char *name, double (*f)(double a, double b), double lo, double hi,
                     double bound) {
    const lg_op *op = lg_op_find(name);
    double worst = 0;
    float at[2] = {0, 0};
    static const float ends[] = {0.0f, -0.0f, 1.0f,     -1.0f,     2.0f, -3.0f,
                                 0.5f, 1e30f, INFINITY, -INFINITY, NAN};
    const int n_ends = (int)LG_COUNT(ends), total = MANY / 2 + n_ends * n_ends;
    for (int k = 0; k < total; k++) {
        float a = k < n_ends * n_ends ? ends[k / n_ends] : draw(lo, hi), y;
        float b = k < n_ends * n_ends ? ends[k % n_ends] : draw(-20, 20);
        op->elem[LG_F32](1, (const void *[]){&a, &b}, &y);
        double u = ulps(y, f((double)a, (double)b));
        if (u > worst) {
            worst = u;
            at[0] = a;
            at[1] = b;
        }
    }
    char what[160];
    snprintf(what, sizeof what, "%s: %.2f ulp at %.9g, %.9g, allowed %.1f", name, worst,
             (double)at[0], (double)at[1], bound);
    check(what, worst <= bound);
}

/* A kernel over n elements gives what it gives one by one: no version differs at the rims. */
static void lengths(void) {
    for (size_t k = 0; k < lg_op_count(); k++) {
        const lg_op *op = lg_op_at(k);
        if (op->cls != LG_C_ELEM || op->arity != 1 || !op->elem[LG_F32])
            continue;
        size_t size = op->out_dtype == LG_BOOL ? 1 : 4;
        bool same = true;
        for (size_t n = 0; n < 70; n++) {
            float x[70], y[70], one[1];
            for (size_t i = 0; i < n; i++)
                x[i] = (float)(op->lo + (op->hi - op->lo) * uniform());
            op->elem[LG_F32](n, (const void *[]){x}, y);
            for (size_t i = 0; i < n; i++) {
                op->elem[LG_F32](1, (const void *[]){x + i}, one);
                same = same && !memcmp(one, (char *)y + i * size, size);
            }
        }
        check(op->name, same);
    }
}

static double euler_digamma(double x) { /* by differences of the library's lgamma */
    double h = 1e-4 * (1 + fabs(x));
    return (8 * (lgamma(x + h) - lgamma(x - h)) - (lgamma(x + 2 * h) - lgamma(x - 2 * h))) /
           (12 * h);
}

static void gammas(void) {
    double worst = 0, back = 0;
    for (int k = 0; k < 2000; k++) {
        double x = 0.5 + 9 * uniform(), e = 1.98 * uniform() - 0.99;
        worst = fmax(worst, fabs(lg_digamma_f64(x) - euler_digamma(x)));
        worst = fmax(worst, fabs(lg_digamma_f64(x + 1) - lg_digamma_f64(x) - 1 / x));
        worst = fmax(worst, fabs(lg_trigamma_f64(x) - lg_trigamma_f64(x + 1) - 1 / (x * x)));
        worst =
            fmax(worst, fabs(lg_polygamma_f64(3, x) - lg_polygamma_f64(3, x + 1) - 6 / pow(x, 4)));
        worst = fmax(worst, fabs(lg_trigamma_f64(-x) - lg_trigamma_f64(1 - x) - 1 / (x * x)) /
                                (1 + lg_trigamma_f64(-x)));
        back = fmax(back, fabs(erf(lg_erfinv_f64(e)) - e));
    }
    check("recurrences of digamma and its derivatives", worst < 1e-8);
    check("erfinv undoes erf", back < 1e-14);
    check("digamma(1)", fabs(lg_digamma_f64(1) + 0.57721566490153286) < 1e-15);
    check("trigamma(1)", fabs(lg_trigamma_f64(1) - 1.6449340668482264) < 1e-14);
    check("ends", isinf(lg_erfinv_f64(1)) && isnan(lg_erfinv_f64(2)) && isnan(lg_digamma_f64(-3)) &&
                      isnan(lg_polygamma_f64(2, -1e30)));
}

/* Quotients past 2^53 are not promised. */
static double floored_mod(double a, double b) {
    if (fabs(a / b) > 0x1p53 && isfinite(a))
        return (double)lg_mod_f32((float)a, (float)b);
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int main(void) {
    measure("exp", exp, -104, 89, 1.5);
    measure("expm1", expm1, -20, 88.7, 2.5);
    measure("log", log, 0, 3.4e38, 1.5);
    measure("log", log, 0, 4, 1.5);
    measure("log", log, 0, 1e-38, 1.5);
    measure("log1p", log1p, -1, 8, 2.5);
    measure("log1p", log1p, -1, 1e30, 2.5);
    measure("sqrt", sqrt, 0, 1e30, 0.6);
    measure("rsqrt", inverse_root, 0, 1e30, 1.6);
    measure("tanh", tanh, -12, 12, 2.5);
    measure("sigmoid", sigmoid, -100, 100, 3);
    measure("softplus", softplus, -100, 100, 3);
    measure("erf", erf, -5, 5, 2);
    measure("erfc", erfc, -5, 10.2, 4);
    measure("sin", sin, -30, 30, 2);
    measure("sin", sin, -1e6, 1e6, 2);
    measure("sin", sin, -1e14, 1e14, 2);
    measure("cos", cos, -30, 30, 2);
    measure("cos", cos, -1e14, 1e14, 2);
    measure("tan", tan, -30, 30, 1);
    measure("asin", asin, -1, 1, 3);
    measure("acos", acos, -1, 1, 3);
    measure("atan", atan, -1e3, 1e3, 3);
    measure("sinh", sinh, -90, 90, 3);
    measure("cosh", cosh, -90, 90, 3);
    measure("lgamma", lgamma, 0.01, 100, 1);
    measure2("pow", pow, 0, 30, 1);
    measure2("pow", pow, -4, 4, 1);
    measure2("atan2", atan2, -30, 30, 4);
    measure2("mod", floored_mod, -30, 30, 1);
    lengths();
    gammas();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
