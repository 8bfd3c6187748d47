/* session.c: the C interface: arrays in and out, training, and that a fault loses nothing. */
#include "compiler/driver/lossgraph.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int passed, failed;

static void check(bool ok, const char *name, const lossgraph *s) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s: %s\n", name, lossgraph_error(s));
}

static double number(lossgraph *s, const char *expression) {
    lossgraph_array a;
    double v = (double)NAN;
    if (!lossgraph_get(s, expression, &a))
        return v;
    if (a.rank == 0 && !strcmp(a.dtype, "f32"))
        v = (double)*(const float *)a.data;
    else if (a.rank == 0 && !strcmp(a.dtype, "f64"))
        v = *(const double *)a.data;
    else if (a.rank == 0 && !strcmp(a.dtype, "i64"))
        v = (double)*(const int64_t *)a.data;
    lossgraph_release(&a);
    return v;
}

static void arrays(void) {
    lossgraph *s = lossgraph_new();
    const float x[] = {1, 2, 3, 4, 5, 6};
    check(lossgraph_set(s, "x", "f32", 2, (int64_t[]){2, 3}, x), "set", s);
    lossgraph_array y;
    if (lossgraph_get(s, "2*x", &y)) {
        check(y.rank == 2 && y.shape[0] == 2 && y.shape[1] == 3 && y.bytes == 24, "shape", s);
        check(((const float *)y.data)[5] >= 12 && ((const float *)y.data)[5] <= 12, "value", s);
        lossgraph_release(&y);
    } else {
        check(false, "get", s);
    }
    check(fabs(number(s, "sum(x)") - 21) < 1e-6, "number", s);
    check(lossgraph_do(s, "let w = sum(x^2)\nfn half(a: float[...S]) -> float[...S] = a/2"), "do", s);
    check(fabs(number(s, "half(w)") - 45.5) < 1e-6, "function", s);
    check(!lossgraph_do(s, "let q = x + nosuch"), "fault", s);
    check(strstr(lossgraph_error(s), "E0301") != NULL, "report", s);
    check(fabs(number(s, "half(w)") - 45.5) < 1e-6, "kept after a fault", s);
    check(lossgraph_error(s)[0] == 0, "quiet when well", s);
    check(!lossgraph_get(s, "half", &y), "a function is no array", s);
    check(!lossgraph_set(s, "z", "f99", 0, NULL, x), "unknown dtype", s);
    check(!lossgraph_do(s, "let ("), "syntax", s);
    lossgraph_free(s);
}

static const char program[] =
    "model Line { param w: float = 0.0; param b: float = 0.0\n"
    "  fn call(x: float[N]) -> float[N] = w*x + b }\n"
    "let xs = [0.0, 1.0, 2.0, 3.0]\nlet ys = [1.0, 3.0, 5.0, 7.0]\n"
    "train fit(lr = 0.1) {\n  part net = Line()\n  loss = mse(net(xs), ys)\n"
    "  optimizer = adam(lr=lr)\n  max_steps = 400\n}\n";

static void training(void) {
    char path[] = "/tmp/lossgraph-api-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f || fputs(program, f) < 0 || fclose(f))
        exit(1);
    lossgraph *s = lossgraph_new();
    check(lossgraph_load(s, path), "load", s);
    check(lossgraph_do(s, "let r = run fit()"), "train", s);
    check(fabs(number(s, "r.net.w") - 2) < 0.02, "slope", s);
    check(lossgraph_do(s, "part net = Line() from r"), "part", s);
    const float x[] = {10};
    check(lossgraph_set(s, "x", "f32", 1, (int64_t[]){1}, x), "input", s);
    check(fabs(number(s, "net(x)[0]") - 21) < 0.2, "predict", s);
    check(!lossgraph_load(s, path), "one program a session", s);
    lossgraph_free(s);
    s = lossgraph_new();
    check(!lossgraph_load(s, "/nonexistent.lg") && strstr(lossgraph_error(s), "E0601"), "no file", s);
    lossgraph_free(s);
    lossgraph_free(NULL);
    unlink(path);
}

int main(void) {
    arrays();
    training();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
