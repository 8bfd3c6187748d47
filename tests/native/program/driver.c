/* driver.c: a C program with a library that `lg build --lib` made of points.lg: two handles side by
 * side train on the same batches; one is saved, loaded into a third, and all predict the same.
 * Prints the losses and the sum of the predictions; 1 when something is not as it should be. */
#include "points.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BATCH = 16, STEPS = 12, ROWS = BATCH * STEPS };

static float x[ROWS * 3], out[3][ROWS * 2];
static int32_t y[ROWS];

static int fail(const char *what, const points *s) {
    fprintf(stderr, "%s: %s\n", what, s ? points_error(s) : "");
    return 1;
}

static int read_rows(const char *path) {
    char head[64];
    FILE *f = fopen(path, "r");
    if (!f || !fgets(head, sizeof head, f))
        return 0;
    int n = 0;
    while (n < ROWS && fscanf(f, "%f,%f,%f,%d", &x[3 * n], &x[3 * n + 1], &x[3 * n + 2], &y[n]) == 4)
        n++;
    fclose(f);
    return n;
}

int main(void) {
    if (read_rows("points.csv") < ROWS)
        return fail("points.csv", NULL);
    points *a = points_new(NULL), *b = points_new(NULL);
    for (int k = 0; k < STEPS; k++) {
        double one, two;
        if (points_train_step(a, BATCH, x + 3 * BATCH * k, y + BATCH * k, &one) != 0)
            return fail("train_step", a);
        if (points_train_step(b, BATCH, x + 3 * BATCH * k, y + BATCH * k, &two) != 0)
            return fail("train_step of another", b);
        if (one != two)
            return fail("two handles differ", NULL);
        printf("%.17g\n", one);
    }
    if (points_save(a, "saved") != 0)
        return fail("save", a);
    points *c = points_new(NULL);
    if (points_predict(c, ROWS, x, NULL, out[2]) != 0 || points_load(c, "saved") != 0)
        return fail("load", c);
    if (points_predict(a, ROWS, x, NULL, out[0]) != 0 ||
        points_predict(b, ROWS, x, NULL, out[1]) != 0)
        return fail("predict", a);
    if (!memcmp(out[0], out[2], sizeof out[0]))
        return fail("training changed nothing", NULL);
    if (points_predict(c, ROWS, x, NULL, out[2]) != 0)
        return fail("predict after load", c);
    if (memcmp(out[0], out[1], sizeof out[0]) != 0 || memcmp(out[0], out[2], sizeof out[0]) != 0)
        return fail("predictions differ", NULL);
    for (int k = 0; k < 8; k++)
        printf("%.9g\n", out[0][k]);

    /* what is wrong comes back */
    double loss;
    y[3] = 7;
    if (points_train_step(a, 0, x, y, &loss) == 0 || points_load(a, "nowhere") == 0 ||
        !*points_error(a))
        return fail("errors are told", NULL);
    if (points_train_step(a, BATCH, x, y, &loss) == 0)
        return fail("a label out of range is told", NULL);
    const char *wrong[] = {"hiden=3", NULL}, *wide[] = {"hidden=20", NULL};
    points *d = points_new(wrong), *e = points_new(wide);
    if (points_predict(d, 1, x, NULL, out[0]) == 0 || !strstr(points_error(d), "hidden"))
        return fail("a wrong setting is told", d);
    y[3] = 0;
    if (points_train_step(e, BATCH, x, y, &loss) != 0 || !isfinite(loss))
        return fail("another width", e);
    points_free(a);
    points_free(b);
    points_free(c);
    points_free(d);
    points_free(e);
    points_free(NULL);
    return 0;
}
