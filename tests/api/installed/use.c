/* use.c: a program against the installed library: loads a model, trains ten steps, predicts. Built
 * by run.sh of the folder above. */
#include <lossgraph.h>
#include <math.h>
#include <stdio.h>

static int fail(lossgraph *s, const char *what) {
    fprintf(stderr, "%s: %s\n", what, lossgraph_error(s));
    lossgraph_free(s);
    return 1;
}

int main(int argc, char **argv) {
    const float x[] = {1, 0, 0, 1};
    lossgraph *s = lossgraph_new();
    lossgraph_array y, steps;
    if (argc < 2 || !lossgraph_load(s, argv[1]))
        return fail(s, "load");
    if (!lossgraph_do(s, "let r = run fit()\npart line = Line() from r"))
        return fail(s, "train");
    if (!lossgraph_set(s, "x", "f32", 2, (int64_t[]){2, 2}, x))
        return fail(s, "set");
    if (!lossgraph_get(s, "len(r.history.loss)", &steps))
        return fail(s, "steps");
    if (!lossgraph_get(s, "line(x)", &y))
        return fail(s, "predict");
    const float *v = y.data;
    printf("%lld steps, %.1f %.1f\n", (long long)*(const int64_t *)steps.data, (double)v[0],
           (double)v[1]);
    lossgraph_release(&y);
    lossgraph_release(&steps);
    lossgraph_free(s);
    return 0;
}
