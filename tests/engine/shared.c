/* shared.c: work that one step shares with threads that wait: gathers, scatters, joins, adjoints of
 * views, convolutions, against plain loops and with the same bits for 1, 2 and 4 threads; short
 * rows; barriers that keep a second computation out of the first one's kernel. */
#include "tests/engine/graphs.h"
#include "runtime/exec.h"
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) / 1000;
    return x;
}

/* Runs the graph as it is; the plan would be serial throughout if it were small. */
static bool run(int threads, const void *const *in, void *const *out, lg_plan_stats *stats) {
    lg_fault f = {0};
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_simplify = true});
    bool ok = true;
    for (int k = 0; k < 3; k++)
        ok = ok && lg_plan_run(p, in, out, &f);
    if (stats)
        *stats = lg_plan_get_stats(p);
    lg_plan_free(p);
    lg_graph_free(g);
    return ok;
}

/* A large loop before and one after a step, so that other threads wait for it. */
static lg_node *worked(lg_node *x) {
    return op1("exp", op1("tanh", x));
}

static const int counts[] = {1, 2, 4};

enum { ROWS = 3000, WIDTH = 48, PICKS = 5000 };

static void test_gather_scatter(void) {
    float *x = numbers(ROWS * WIDTH), *y[3], *s[3];
    int32_t *pick = lg_alloc(PICKS * sizeof *pick);
    for (int i = 0; i < PICKS; i++)
        pick[i] = rand() % ROWS;
    bool ok = true;
    for (int t = 0; t < 3; t++) {
        y[t] = numbers(PICKS * WIDTH);
        s[t] = numbers(ROWS * WIDTH);
        g = lg_graph_new(NULL);
        lg_node *a = input(LG_F32, SHAPE(ROWS, WIDTH)), *i = input(LG_I32, SHAPE(PICKS));
        lg_node *got = lg_g_gather(g, worked(a), 0, 1, &i, at);
        lg_node *sum = lg_g_scatter(g, &lg_op_scatter_add, a, 0, 1, &i, worked(got), at);
        lg_g_output(g, op1("neg", got), -1, NULL);
        lg_g_output(g, op1("neg", sum), -1, NULL);
        ok = ok && run(counts[t], (const void *[]){x, pick}, (void *[]){y[t], s[t]}, NULL);
    }
    check(ok && !memcmp(y[0], y[1], PICKS * WIDTH * 4) && !memcmp(y[0], y[2], PICKS * WIDTH * 4) &&
              !memcmp(s[0], s[1], ROWS * WIDTH * 4) && !memcmp(s[0], s[2], ROWS * WIDTH * 4),
          "gather and scatter have the same bits for 1, 2 and 4 threads");
    for (int i = 0; i < PICKS && ok; i++)
        for (int j = 0; j < WIDTH; j++)
            ok = ok && fabs((double)y[2][i * WIDTH + j] +
                            exp(tanh((double)x[pick[i] * WIDTH + j]))) < 1e-5;
    check(ok, "rows picked");
    for (int i = 0; i < ROWS * WIDTH; i++) /* s is minus the sum, without the parts it must have */
        s[2][i] += x[i];
    for (int i = 0; i < PICKS; i++)
        for (int j = 0; j < WIDTH; j++)
            s[2][pick[i] * WIDTH + j] += expf(tanhf(-y[2][i * WIDTH + j]));
    for (int i = 0; i < ROWS * WIDTH; i++)
        ok = ok && fabsf(s[2][i]) < 1e-4f;
    check(ok, "rows added");
    for (int t = 0; t < 3; t++) {
        lg_free(y[t]);
        lg_free(s[t]);
    }
    lg_free(x);
    lg_free(pick);
}

/* Windows of 3 with step 2 overlap: their adjoint adds; then two arrays side by side. */
static void test_unview_concat(void) {
    enum { N = 400, W = 101, K = 50 };
    float *dy = numbers(N * K * 3), *y[3];
    lg_affine m = {2, 3, (int64_t[]){0, 0}, (int64_t[]){1, 0, 0, 0, 2, 1}};
    bool ok = true;
    for (int t = 0; t < 3; t++) {
        y[t] = numbers(N * (W + W));
        g = lg_graph_new(NULL);
        lg_node *d = input(LG_F32, SHAPE(N, K, 3));
        lg_node *x = lg_g_unview(g, worked(d), &m, SHAPE(N, W), at);
        lg_node *two = lg_g_concat(g, 2, (lg_node *[]){x, worked(x)}, 1, at);
        lg_g_output(g, op1("neg", two), -1, NULL);
        ok = ok && run(counts[t], (const void *[]){dy}, (void *[]){y[t]}, NULL);
    }
    check(ok && !memcmp(y[0], y[1], N * 2 * W * 4) && !memcmp(y[0], y[2], N * 2 * W * 4),
          "adjoint of a view and concat have the same bits for 1, 2 and 4 threads");
    for (int i = 0; i < N && ok; i++) {
        double want[W] = {0};
        for (int k = 0; k < K; k++)
            for (int j = 0; j < 3; j++)
                want[2 * k + j] += exp(tanh((double)dy[(i * K + k) * 3 + j]));
        for (int j = 0; j < W; j++)
            ok = ok && fabs((double)y[2][i * 2 * W + j] + want[j]) < 1e-4 &&
                 fabs((double)y[2][i * 2 * W + W + j] + exp(tanh(want[j]))) < 1e-4;
    }
    check(ok, "windows added, arrays joined");
    for (int t = 0; t < 3; t++)
        lg_free(y[t]);
    lg_free(dy);
}

/* Sums of `k` neighbours, also where the last tile is not a whole one, and a softmax of them. */
static void test_short_rows(int64_t n, int64_t k) {
    size_t all = (size_t)(n * k);
    float *x = numbers(all), *sum[3], *soft[3];
    bool ok = true;
    for (int t = 0; t < 3; t++) {
        sum[t] = numbers((size_t)n);
        soft[t] = numbers(all);
        g = lg_graph_new(NULL);
        lg_node *a = input(LG_F32, 2, (int64_t[]){n, k}), *e = op1("exp", a);
        lg_node *s = lg_g_reduce(g, lg_op_find("sum"), e, 2, at);
        lg_node *wide = lg_g_broadcast(g, s, 2, (int64_t[]){n, k}, (int[]){0, -1}, at);
        lg_g_output(g, s, -1, NULL);
        lg_g_output(g, op2("div", e, wide), -1, NULL);
        ok = ok && run(counts[t], (const void *[]){x}, (void *[]){sum[t], soft[t]}, NULL);
    }
    ok = ok && !memcmp(soft[0], soft[1], all * 4) && !memcmp(soft[0], soft[2], all * 4);
    for (int64_t i = 0; i < n; i++) {
        double want = 0;
        for (int64_t j = 0; j < k; j++)
            want += exp((double)x[i * k + j]);
        ok = ok && fabs((double)sum[2][i] - want) < 1e-4 * want;
        for (int64_t j = 0; j < k; j++)
            ok = ok && fabs((double)soft[2][i * k + j] - exp((double)x[i * k + j]) / want) < 1e-5;
    }
    check(ok, "short rows");
    for (int t = 0; t < 3; t++) {
        lg_free(sum[t]);
        lg_free(soft[t]);
    }
    lg_free(x);
}

/* A product of as many numbers with a small matrix: a reader that wants a buffer. */
static lg_node *total(lg_node *x, int64_t n, lg_node *c) {
    lg_node *flat = lg_g_reshape(g, x, SHAPE(n / 2, 2), at);
    lg_node *col = lg_g_reshape(g, c, SHAPE(2, 1), at);
    return lg_g_reduce(g, lg_op_find("sum"), lg_g_dot(g, flat, col, at), 3, at);
}

/* Once e^t was summed, t^2, 1/e^t and |t| are made from t. Without the barrier all are made in one
 * kernel and stand at the same time. */
static size_t room(bool barrier) {
    enum { N = 1 << 18 };
    lg_plan_stats st = {0};
    float *x = numbers(N), y[4], w[2] = {0.5f, 0.25f};
    double want = 0;
    g = lg_graph_new(NULL);
    lg_node *a = input(LG_F32, SHAPE(N)), *c = input(LG_F32, SHAPE(2));
    lg_node *t = op1("tanh", a), *s = total(op1("exp", t), N, c);
    lg_node *from = barrier ? lg_g_barrier(g, t, s, at) : t;
    lg_g_output(g, s, -1, NULL);
    lg_g_output(g, total(op1("sin", from), N, c), -1, NULL);
    lg_g_output(g, total(op1("exp", op1("neg", from)), N, c), -1, NULL);
    lg_g_output(g, total(op1("cos", from), N, c), -1, NULL);
    bool ok = run(2, (const void *[]){x, w}, (void *[]){&y[0], &y[1], &y[2], &y[3]}, &st);
    for (int i = 0; i < N; i++)
        want += exp(-tanh((double)x[i])) * (double)w[i & 1];
    check(ok && fabs((double)y[2] - want) < 1e-3 * want, "computed after a barrier");
    lg_free(x);
    return st.arena_bytes;
}

/* Jobs within a job reach every part once, whoever runs it. */
static _Atomic int hits[64];

static void hit(void *ctx, int part, int parts) {
    (void)ctx;
    for (volatile int i = 0; i < 2000; i++) {
    }
    atomic_fetch_add(&hits[part], parts == 64);
}

static void test_convolution(void) {
    enum { B = 9, C = 5, H = 21, O = 6 };
    float *x = numbers(B * C * H * H), *w = numbers(O * C * 9), *y[3], *d[3];
    lg_attr a = {.p = {1, 1, 1, 1, 1, 1, 1, 1, 1}};
    bool ok = true;
    for (int t = 0; t < 3; t++) {
        y[t] = numbers(B * O * H * H);
        d[t] = numbers(O * C * 9);
        g = lg_graph_new(NULL);
        lg_node *in = input(LG_F32, SHAPE(B, C, H, H)), *k = input(LG_F32, SHAPE(O, C, 3, 3));
        lg_type ty = lg_type_make(LG_F32, SHAPE(B, O, H, H));
        lg_node *z = lg_g_kernel(g, lg_op_find("conv2d"), 2, (lg_node *[]){worked(in), k}, 1, &ty,
                                 &a, at);
        lg_node *dw = lg_g_kernel(g, lg_op_find("conv2d_dw"), 2, (lg_node *[]){in, worked(z)}, 1,
                                  &k->type[0], &a, at);
        lg_g_output(g, op1("neg", z), -1, NULL);
        lg_g_output(g, dw, -1, NULL);
        ok = ok && run(counts[t], (const void *[]){x, w}, (void *[]){y[t], d[t]}, NULL);
    }
    check(ok && !memcmp(y[0], y[1], B * O * H * H * 4) && !memcmp(y[0], y[2], B * O * H * H * 4) &&
              !memcmp(d[0], d[1], O * C * 9 * 4) && !memcmp(d[0], d[2], O * C * 9 * 4),
          "convolutions have the same bits for 1, 2 and 4 threads");
    for (int t = 0; t < 3; t++) {
        lg_free(y[t]);
        lg_free(d[t]);
    }
    lg_free(x);
    lg_free(w);
}

int main(void) {
    lg_pool_init(4);
    test_gather_scatter();
    test_unview_concat();
    for (int64_t k = 2; k <= 17; k += 3)
        test_short_rows(1021, k);
    test_short_rows(3, 4);
    size_t with = room(true), without = room(false);
    check(with < without, "a barrier lets the first values go");
    lg_pool_run(hit, NULL, 64);
    bool once = true;
    for (int i = 0; i < 64; i++)
        once = once && atomic_load(&hits[i]) == 1;
    check(once, "every part of a job runs once");
    test_convolution();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
