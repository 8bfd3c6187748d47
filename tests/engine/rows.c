/* rows.c: rows in one kernel: softmax cross-entropy and layer norm, forward and backward, against
 * plain loops, with the same bits for any number of threads and nothing of their size stored in
 * between; gathers that moved still check their subscripts; large results that go past the caches;
 * tiles of equal size. */
#include "tests/engine/graphs.h"
#include "runtime/exec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static lg_node *total(lg_node *x, uint32_t axes) {
    return lg_g_reduce(g, lg_op_find("sum"), x, axes, at);
}

/* A value a row (axis 0) or a column (axis 1) as a matrix like x. */
static lg_node *over(lg_node *row, const lg_node *x, int axis) {
    int from[] = {axis == 0 ? 0 : -1, axis == 1 ? 0 : -1};
    return lg_g_broadcast(g, row, 2, x->type[0].shape, from, at);
}

static lg_node *number(const lg_node *like, double v) {
    return lg_g_fill(g, like->type[0], v, at);
}

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 4001 - 2000) / 500;
    return x;
}

static bool near(const float *a, const double *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs(a[i] - b[i]) <= 2e-5 * (1 + fabs(b[i]))))
            return false;
    return true;
}

static lg_plan *planned(int threads) {
    return lg_plan_new(g, &(lg_plan_opts){.threads = threads});
}

static void done(lg_plan *p) {
    lg_plan_free(p);
    lg_graph_free(g);
}

/* ---- softmax cross-entropy ---- */

enum { ROWS = 96, CLASSES = 1500 };

/* Log-probability of the class y of each row of z, and the gradient of the sum of them all. */
static void cross_entropy(void) {
    g = lg_graph_new(NULL);
    lg_node *z = input(LG_F32, SHAPE(ROWS, CLASSES)), *y = input(LG_I32, SHAPE(ROWS));
    lg_node *top = lg_g_reduce(g, lg_op_find("reduce_max"), z, 2, at);
    lg_node *d = op2("sub", z, over(top, z, 0)), *e = op1("exp", d), *s = total(e, 2);
    lg_node *l = op2("sub", d, over(op1("log", s), z, 0));
    lg_node *own = lg_g_gather(g, l, 1, 1, &y, at);
    lg_node *wide = lg_g_cast(g, y, LG_I64, at);
    lg_node *here = op2("eq", lg_g_iota(g, 2, z->type[0].shape, 1, at), over(wide, z, 0));
    lg_node *one =
        lg_g_elem(g, lg_op_find("where"), 3, (lg_node *[]){here, number(z, 1), number(z, 0)}, at);
    lg_node *share = op2("div", total(one, 2), s);
    lg_g_output(g, own, -1, NULL);
    lg_g_output(g, op2("sub", one, op2("mul", e, over(share, z, 0))), -1, NULL);
}

static void test_cross_entropy(void) {
    static double own[ROWS], dz[ROWS * CLASSES];
    float *z = numbers(ROWS * CLASSES), *first = NULL;
    int32_t y[ROWS];
    for (int r = 0; r < ROWS; r++) {
        const float *x = z + r * CLASSES;
        double s = 0;
        y[r] = rand() % CLASSES;
        for (int c = 0; c < CLASSES; c++)
            s += exp(x[c]);
        own[r] = x[y[r]] - log(s);
        for (int c = 0; c < CLASSES; c++)
            dz[r * CLASSES + c] = (c == y[r]) - exp(x[c]) / s;
    }
    for (int threads = 1; threads <= 4; threads *= 2) {
        float *out = lg_alloc((ROWS + ROWS * CLASSES) * sizeof *out);
        lg_fault f = {0};
        cross_entropy();
        lg_plan *p = planned(threads);
        bool ok = lg_plan_run(p, (const void *[]){z, y}, (void *[]){out, out + ROWS}, &f);
        check(ok && near(out, own, ROWS) && near(out + ROWS, dz, ROWS * CLASSES),
              "cross-entropy: values and gradient");
        check(lg_plan_get_stats(p).arena_bytes < sizeof(float) * ROWS * CLASSES / 2,
              "cross-entropy: nothing of the size of the logits is stored in between");
        check(p->n_step == 1, "cross-entropy: one kernel");
        if (first)
            check(!memcmp(first, out, (ROWS + ROWS * CLASSES) * sizeof *out),
                  "cross-entropy: the same bits for any number of threads");
        y[7] += CLASSES;
        f = (lg_fault){0};
        check(!lg_plan_run(p, (const void *[]){z, y}, (void *[]){out, out + ROWS}, &f) && f.set &&
                  !strcmp(f.code, "R0101"),
              "cross-entropy: a class that is not there is a fault");
        y[7] -= CLASSES;
        done(p);
        if (first)
            lg_free(out);
        else
            first = out;
    }
    lg_free(first);
    lg_free(z);
}

/* ---- layer norm ---- */

enum { ITEMS = 600, WIDTH = 256 };

/* y, and the gradients of sum(y*dy) by x (with the statistics held fixed) and by w. */
static void layer_norm(void) {
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, SHAPE(ITEMS, WIDTH)), *dy = input(LG_F32, SHAPE(ITEMS, WIDTH));
    lg_node *w = input(LG_F32, SHAPE(WIDTH));
    lg_node *s = total(x, 2), *m = op2("mul", s, number(s, 1.0 / WIDTH));
    lg_node *d = op2("sub", x, over(m, x, 0)), *v = total(op1("square", d), 2);
    lg_node *r = op1("rsqrt", op2("add", op2("mul", v, number(v, 1.0 / WIDTH)), number(v, 1e-5)));
    lg_node *h = op2("mul", d, over(r, x, 0));
    lg_g_output(g, op2("mul", h, over(w, x, 1)), -1, NULL);
    lg_g_output(g, op2("mul", op2("mul", dy, over(w, x, 1)), over(r, x, 0)), -1, NULL);
    lg_g_output(g, total(op2("mul", dy, h), 1), -1, NULL);
    lg_g_output(g, total(dy, 1), -1, NULL);
}

static void test_layer_norm(void) {
    enum { N = ITEMS * WIDTH };
    static double y[N], dx[N], dw[WIDTH], db[WIDTH];
    float *x = numbers(N), *dy = numbers(N), *w = numbers(WIDTH), *first = NULL;
    for (int i = 0; i < ITEMS; i++) {
        double m = 0, v = 0;
        for (int c = 0; c < WIDTH; c++)
            m += x[i * WIDTH + c] / (double)WIDTH;
        for (int c = 0; c < WIDTH; c++)
            v += (x[i * WIDTH + c] - m) * (x[i * WIDTH + c] - m) / WIDTH;
        for (int c = 0, k = i * WIDTH; c < WIDTH; c++, k++) {
            double r = 1 / sqrt(v + 1e-5), h = (x[k] - m) * r;
            y[k] = h * w[c];
            dx[k] = (double)dy[k] * w[c] * r;
            dw[c] += dy[k] * h;
            db[c] += dy[k];
        }
    }
    for (int threads = 1; threads <= 4; threads *= 2) {
        float *out = lg_alloc((2 * N + 2 * WIDTH) * sizeof *out);
        void *to[] = {out, out + N, out + 2 * N, out + 2 * N + WIDTH};
        lg_fault f = {0};
        layer_norm();
        lg_plan *p = planned(threads);
        bool ok = lg_plan_run(p, (const void *[]){x, dy, w}, to, &f);
        check(ok && near(to[0], y, N) && near(to[1], dx, N) && near(to[2], dw, WIDTH) &&
                  near(to[3], db, WIDTH),
              "layer norm: values and gradients");
        check(p->n_step == 2, "layer norm: one kernel of rows and one of columns");
        check(lg_plan_get_stats(p).arena_bytes < sizeof(float) * N,
              "layer norm: only statistics are stored in between");
        if (first)
            check(!memcmp(first, out, (2 * N + 2 * WIDTH) * sizeof *out),
                  "layer norm: the same bits for any number of threads");
        done(p);
        if (first)
            lg_free(out);
        else
            first = out;
    }
    lg_free(first);
    lg_free(x);
    lg_free(dy);
    lg_free(w);
}

/* ---- large results ---- */

static void test_stream(void) {
    enum { N = (7 << 20) + 5 };
    for (int donated = 0; donated < 2; donated++) {
        float *x = numbers(N), *out = donated ? x : lg_alloc((N + 1) * sizeof *out), was[3];
        lg_fault f = {0};
        g = lg_graph_new(NULL);
        lg_node *a = input(LG_F32, SHAPE(N));
        lg_g_output(g, op2("mul", a, number(a, 3)), donated ? 0 : -1, NULL);
        lg_plan *p = planned(2);
        was[0] = x[0], was[1] = x[N / 2], was[2] = x[N - 1];
        bool ok = p->n_step == 1 && lg_plan_run(p, (const void *[]){x}, (void *[]){out}, &f);
        check(p->step[0].loop->streams == !donated,
              donated ? "a result that replaces what it is made from stays in the caches"
                      : "a large result goes past the caches");
        for (int k = 0; k < 3 && ok; k++) {
            float want = 3 * was[k], have = out[k == 0 ? 0 : k == 1 ? N / 2 : N - 1];
            ok = !memcmp(&want, &have, sizeof want);
        }
        check(ok, "large results are right");
        done(p);
        if (!donated)
            lg_free(out);
        lg_free(x);
    }
}

static void test_lg_stream(void) {
    static char from[400], to[400];
    bool ok = true;
    for (int k = 0; k < 400; k++)
        from[k] = (char)(k * 7 + 1);
    for (size_t beg = 0; beg < 70; beg += 3)
        for (size_t n = 0; n < 300; n += 13) {
            memset(to, 0, sizeof to);
            lg_stream(to + beg, from + 1, n);
            lg_stream_done();
            ok = ok && !memcmp(to + beg, from + 1, n) && !to[beg + n] && (!beg || !to[beg - 1]);
        }
    check(ok, "copies past the caches, of any length and place");
}

static void test_even(void) {
    float *x = numbers(1536 * 300), *out = lg_alloc(1536 * sizeof *out);
    g = lg_graph_new(NULL);
    lg_g_output(g, total(input(LG_F32, SHAPE(300, 1536)), 1), -1, NULL);
    lg_plan *p = planned(2);
    lg_fault f = {0};
    bool ok = lg_plan_run(p, (const void *[]){x}, (void *[]){out}, &f);
    for (int c = 0; c < 1536 && ok; c++) {
        double s = 0;
        for (int i = 0; i < 300; i++)
            s += x[i * 1536 + c];
        ok = fabs(s - out[c]) < 1e-3;
    }
    check(ok && p->step[0].loop->ob == 768, "tiles of columns are of equal size");
    done(p);
    lg_free(x);
    lg_free(out);
}

int main(void) {
    lg_pool_init(4);
    test_cross_entropy();
    test_layer_norm();
    test_stream();
    test_lg_stream();
    test_even();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
