/* classes.c: each class of node, run by plans, against what plain loops give; faults; results that
 * overwrite inputs; what must not be stored. Random mixtures are in random.c. */
#include "ops/gemm.h"
#include "ops/ops.h"
#include "runtime/exec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int n_passed, n_failed;
static lg_graph *g;
static const lg_span at = {0, 0, 0};

static bool check(bool ok, const char *what) {
    if (ok)
        n_passed++;
    else
        n_failed++;
    if (!ok)
        printf("FAILED %s\n", what);
    return ok;
}

#define SHAPE(...)                                           \
    (int)LG_COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[]) { \
        __VA_ARGS__                                          \
    }
#define F32(...) lg_type_make(LG_F32, SHAPE(__VA_ARGS__))

static lg_node *op1(const char *name, lg_node *x) {
    return lg_g_elem(g, lg_op_find(name), 1, &x, at);
}

static lg_node *op2(const char *name, lg_node *a, lg_node *b) {
    return lg_g_elem(g, lg_op_find(name), 2, (lg_node *[]){a, b}, at);
}

static lg_node *sum(lg_node *x, uint32_t mask) {
    return lg_g_reduce(g, lg_op_find("sum"), x, mask, at);
}

static lg_node *scalar_in(lg_dtype t) {
    return lg_g_input(g, lg_type_make(t, 0, NULL), at);
}

/* Runs the graph as it is and frees it; buffers are the caller's. */
static bool run_with(lg_plan_opts o, const void *const *in, void *const *out, lg_fault *f,
                     lg_plan_stats *stats) {
    lg_fault mine = {0};
    o.no_simplify = true;
    lg_plan *p = lg_plan_new(g, &o);
    if (getenv("LG_PRINT"))
        lg_plan_print(p, stdout);
    bool ok = lg_plan_run(p, in, out, f ? f : &mine);
    if (stats)
        *stats = lg_plan_get_stats(p);
    lg_plan_free(p);
    lg_graph_free(g);
    return ok;
}

static bool run(const void *const *in, void *const *out) {
    return run_with((lg_plan_opts){0}, in, out, NULL, NULL);
}

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) / 1000;
    return x;
}

static bool near(double a, double b) {
    return fabs(a - b) <= 1e-4 * (1 + fabs(b));
}

/* ---- reductions ---- */

/* Sum over every set of axes of a rank-4 array. */
static void test_masks(void) {
    int64_t n[4] = {3, 17, 5, 130};
    size_t all = 3 * 17 * 5 * 130;
    float *x = numbers(all), *y = numbers(all);
    for (uint32_t mask = 0; mask < 16; mask++) {
        double *want = lg_alloc(all * sizeof *want);
        size_t kept = 1;
        for (int d = 0; d < 4; d++)
            kept *= mask >> d & 1 ? 1 : (size_t)n[d];
        for (size_t i = 0; i < all; i++) {
            size_t ix[4], rest = i, to = 0;
            for (int d = 3; d >= 0; d--) {
                ix[d] = rest % (size_t)n[d];
                rest /= (size_t)n[d];
            }
            for (int d = 0; d < 4; d++)
                if (!(mask >> d & 1))
                    to = to * (size_t)n[d] + ix[d];
            want[to] += (double)x[i] * (double)x[i];
        }
        g = lg_graph_new(NULL);
        lg_node *a = lg_g_input(g, lg_type_make(LG_F32, 4, n), at);
        lg_g_output(g, sum(op2("mul", a, a), mask), -1, NULL);
        bool ok = run((const void *[]){x}, (void *[]){y});
        for (size_t i = 0; i < kept; i++)
            ok = ok && near((double)y[i], want[i]);
        check(ok, "sum over axes");
        lg_free(want);
    }
    lg_free(x);
    lg_free(y);
}

/* Long rows and columns, and the same bits on any number of threads. */
static void test_long(void) {
    enum { N = 700000 };
    float *x = numbers(N), y[3][4], z[8];
    double want = 0, best = -INFINITY;
    int32_t where = 0, got[3];
    for (int i = 0; i < N; i++) {
        want += exp((double)x[i]);
        if ((double)x[i] > best) {
            best = (double)x[i];
            where = i;
        }
    }
    for (int t = 0; t < 3; t++) {
        g = lg_graph_new(NULL);
        lg_node *a = lg_g_input(g, F32(N), at), *b = lg_g_reshape(g, a, SHAPE(N / 4, 4), at);
        lg_g_output(g, sum(op1("exp", a), 1), -1, NULL);
        lg_g_output(g, sum(op1("exp", b), 1), -1, NULL);
        lg_g_output(g, lg_g_reduce(g, lg_op_find("argmax"), a, 1, at), -1, NULL);
        run_with((lg_plan_opts){.threads = t == 2 ? 4 : t + 1}, (const void *[]){x},
                 (void *[]){&z[t], y[t], &got[t]}, NULL, NULL);
    }
    check(near((double)z[0], want) && near((double)(y[0][0] + y[0][1] + y[0][2] + y[0][3]), want),
          "long sums");
    check(got[0] == where && got[1] == where && got[2] == where, "argmax of a long row");
    check(z[0] == z[1] && z[0] == z[2] && memcmp(y[0], y[1], 16) == 0 &&
              memcmp(y[0], y[2], 16) == 0,
          "bits and threads");
    lg_free(x);
}

/* Pairs: sums over i and over j, and a log-sum-exp, of an index space far larger than its inputs.
 */
static void test_pairs(void) {
    enum { N = 3000 };
    float *x = numbers(N), *r = numbers(N), *c = numbers(N), *l = numbers(N);
    g = lg_graph_new(NULL);
    lg_node *a = lg_g_input(g, F32(N), at);
    lg_node *p = lg_g_broadcast(g, a, SHAPE(N, N), (int[]){0, -1}, at);
    lg_node *q = lg_g_broadcast(g, a, SHAPE(N, N), (int[]){-1, 0}, at);
    lg_node *e = op1("exp", op2("mul", op2("sub", p, q), p));
    lg_g_output(g, sum(e, 2), -1, NULL);
    lg_g_output(g, sum(e, 1), -1, NULL);
    lg_node *s = op1("tanh", op2("mul", p, q)),
            *m = lg_g_reduce(g, lg_op_find("reduce_max"), s, 2, at);
    lg_node *d = op2("sub", s, lg_g_broadcast(g, m, SHAPE(N, N), (int[]){0, -1}, at));
    lg_g_output(g, op2("add", op1("log", sum(op1("exp", d), 2)), m), -1, NULL);
    lg_plan_stats stats;
    bool ok = run_with((lg_plan_opts){0}, (const void *[]){x}, (void *[]){r, c, l}, NULL, &stats);
    for (int i = 0; i < N; i += 371) {
        double rows = 0, cols = 0, lse = 0;
        for (int j = 0; j < N; j++) {
            rows += exp((double)((x[i] - x[j]) * x[i]));
            cols += exp((double)((x[j] - x[i]) * x[j]));
            lse += exp(tanh((double)(x[i] * x[j])));
        }
        ok = ok && near((double)r[i], rows) && near((double)c[i], cols) &&
             near((double)l[i], log(lse));
    }
    check(ok, "sums over pairs");
    check(stats.arena_bytes < 1000000, "an index space is not stored");
    lg_free(x);
    lg_free(r);
    lg_free(c);
    lg_free(l);
}

static void test_empty(void) {
    float y[3] = {7, 7, 7}, z = 7, x = 0;
    g = lg_graph_new(NULL);
    lg_node *a = lg_g_input(g, F32(3, 0), at);
    lg_g_output(g, sum(op1("exp", a), 2), -1, NULL);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("reduce_max"), a, 3, at), -1, NULL);
    bool ok = run((const void *[]){&x}, (void *[]){y, &z});
    check(ok && y[0] == 0 && y[2] == 0 && isinf(z) && z < 0, "reductions of nothing");
}

/* A softmax of rows of many lengths: one kernel. */
static void test_softmax(void) {
    static const int64_t lengths[] = {1, 2, 10, 100, 1023, 1025, 5000, 40000};
    for (size_t k = 0; k < LG_COUNT(lengths); k++) {
        int64_t n = lengths[k], rows = 7;
        float *x = numbers((size_t)(n * rows)), *y = numbers((size_t)(n * rows));
        g = lg_graph_new(NULL);
        lg_node *a = lg_g_input(g, F32(7, n), at);
        lg_node *m = lg_g_reduce(g, lg_op_find("reduce_max"), a, 2, at);
        lg_node *e =
            op1("exp", op2("sub", a, lg_g_broadcast(g, m, SHAPE(7, n), (int[]){0, -1}, at)));
        lg_node *s = lg_g_broadcast(g, sum(e, 2), SHAPE(7, n), (int[]){0, -1}, at);
        lg_g_output(g, op2("div", e, s), -1, NULL);
        lg_plan_stats stats;
        bool ok = run_with((lg_plan_opts){0}, (const void *[]){x}, (void *[]){y}, NULL, &stats);
        for (int64_t r = 0; r < rows; r++) {
            double total = 0;
            for (int64_t i = 0; i < n; i++)
                total += exp((double)x[r * n + i]);
            for (int64_t i = 0; i < n; i++)
                ok = ok && near((double)y[r * n + i], exp((double)x[r * n + i]) / total);
        }
        check(ok, "softmax");
        check(n > 30000 || n == 1 || stats.n_kernels == 1, "softmax is one kernel");
        lg_free(x);
        lg_free(y);
    }
}

/* ---- products ---- */

static void one_product(lg_dtype t, int64_t m, int64_t n, int64_t k, bool ta, bool tb, int parts) {
    size_t size = lg_dtype_size(t);
    char *a = lg_alloc((size_t)(m * k + 1) * size), *b = lg_alloc((size_t)(k * n + 1) * size);
    char *y = lg_alloc((size_t)(m * n + 1) * size);
    for (int64_t i = 0; i < m * k; i++)
        lg_set_f64(t, a, (size_t)i, rand() % 5 - 2);
    for (int64_t i = 0; i < k * n; i++)
        lg_set_f64(t, b, (size_t)i, rand() % 5 - 2);
    lg_product p = {.type = t, .batch = 1, .m = m, .n = n, .k = k};
    p.a_m = ta ? 1 : k;
    p.a_k = ta ? m : 1;
    p.b_k = tb ? 1 : n;
    p.b_n = tb ? k : 1;
    void *room = lg_alloc(lg_gemm_scratch(&p) + 1);
    for (int q = 0; q < parts; q++)
        lg_gemm(&p, a, b, y, room, q, parts);
    bool ok = true;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double want = 0;
            for (int64_t l = 0; l < k; l++)
                want += lg_get_f64(t, a, (size_t)(i * p.a_m + l * p.a_k)) *
                        lg_get_f64(t, b, (size_t)(l * p.b_k + j * p.b_n));
            ok = ok && (t == LG_BF16 ? fabs(want - lg_get_f64(t, y, (size_t)(i * n + j))) <=
                                           0.01 * fabs(want)
                                     : want == lg_get_f64(t, y, (size_t)(i * n + j)));
        }
    check(ok, "product");
    lg_free(a);
    lg_free(b);
    lg_free(y);
    lg_free(room);
}

static void test_products(void) {
    static const int64_t sizes[][3] = {{1, 1, 1},     {8, 32, 16},   {9, 33, 17}, {64, 10, 128},
                                       {1, 200, 300}, {200, 1, 300}, {5, 7, 0},   {37, 65, 520},
                                       {3, 600, 40},  {70, 530, 300}};
    static const lg_dtype types[] = {LG_F32, LG_F64, LG_I32, LG_BF16};
    for (size_t k = 0; k < LG_COUNT(sizes); k++)
        for (int flip = 0; flip < 4; flip++)
            for (size_t t = 0; t < LG_COUNT(types); t++)
                one_product(types[t], sizes[k][0], sizes[k][1], sizes[k][2], flip & 1, flip >> 1,
                            1 + (int)k % 3);
}

/* y = a @ b for a that lies as a^T [k, m], once by blocks and once by packed panels, has the bits
 * of a that lies as it is: few columns and many, strips that are not full, rows of whole pages. */
static bool lies_alike(lg_dtype t, int64_t m, int64_t n, int64_t k) {
    size_t size = lg_dtype_size(t), ny = (size_t)(m * n) * size;
    char *a = lg_alloc((size_t)(m * k) * size), *b = lg_alloc((size_t)(k * n) * size);
    char *turned = lg_alloc((size_t)(m * k) * size), *y = lg_alloc(3 * ny);
    for (int64_t i = 0; i < m * k; i++) {
        lg_set_f64(t, a, (size_t)i, rand() / (double)RAND_MAX - 0.5);
        lg_set_f64(t, turned, (size_t)(i % k * m + i / k), lg_get_f64(t, a, (size_t)i));
    }
    for (int64_t i = 0; i < k * n; i++)
        lg_set_f64(t, b, (size_t)i, rand() / (double)RAND_MAX - 0.5);
    lg_product p = {.type = t, .batch = 1, .m = m, .n = n, .k = k, .b_k = n, .b_n = 1}, q;
    p.a_m = k;
    p.a_k = 1;
    q = p;
    q.a_m = 1;
    q.a_k = m;
    void *room = lg_alloc(lg_gemm_scratch(&p)), *panels = lg_alloc(lg_gemm_panels(&q));
    lg_gemm(&p, a, b, y, room, 0, 1);
    lg_gemm(&q, turned, b, y + ny, room, 0, 1);
    lg_gemm_pack(&q, b, panels, 0, 1);
    lg_gemm_by_panels(&q, turned, panels, y + 2 * ny, room, 0, m);
    bool ok = memcmp(y, y + ny, ny) == 0 && memcmp(y, y + 2 * ny, ny) == 0;
    void *made[] = {a, b, turned, y, room, panels};
    for (size_t i = 0; i < LG_COUNT(made); i++)
        lg_free(made[i]);
    return ok;
}

static void test_turned_bits(void) {
    static const int64_t sizes[][3] = {{30, 10, 32},   {64, 128, 40},   {67, 256, 300},
                                       {67, 257, 300}, {1024, 33, 260}, {96, 600, 520}};
    for (size_t k = 0; k < LG_COUNT(sizes); k++)
        for (int wide = 0; wide < 2; wide++)
            check(lies_alike(wide ? LG_F64 : LG_F32, sizes[k][0], sizes[k][1], sizes[k][2]),
                  "how a lies changes no bit");
}

static void test_batched_dot(void) {
    enum { B = 3, H = 2, T = 5, K = 4 };
    float *q = numbers(B * T * H * K), *y = numbers(B * H * T * T);
    g = lg_graph_new(NULL); /* heads of [B, T, H, K], never copied */
    lg_node *x = lg_g_input(g, F32(B, T, H, K), at);
    lg_node *a = lg_g_permute(g, x, (int[]){0, 2, 1, 3}, at),
            *b = lg_g_permute(g, x, (int[]){0, 2, 3, 1}, at);
    lg_g_output(g, lg_g_dot(g, a, b, at), -1, NULL);
    bool ok = run((const void *[]){q}, (void *[]){y});
    for (int i = 0; i < B; i++)
        for (int h = 0; h < H; h++)
            for (int s = 0; s < T; s++)
                for (int t = 0; t < T; t++) {
                    double want = 0;
                    for (int k = 0; k < K; k++)
                        want += (double)q[((i * T + s) * H + h) * K + k] *
                                (double)q[((i * T + t) * H + h) * K + k];
                    ok = ok && near((double)y[((i * H + h) * T + s) * T + t], want);
                }
    check(ok, "batched product of permuted operands");
    lg_free(q);
    lg_free(y);
}

/* ---- in place ---- */

static void test_donation(void) {
    enum { N = 5000 };
    float *p = numbers(N), *m = numbers(N), *d = numbers(N);
    double *wp = lg_alloc(N * sizeof *wp), *wm = lg_alloc(N * sizeof *wm);
    for (int i = 0; i < N; i++) {
        wm[i] = 0.5 * (double)m[i] + (double)d[i] * (double)p[i];
        wp[i] = (double)p[i] - wm[i];
    }
    g = lg_graph_new(NULL);
    lg_node *a = lg_g_input(g, F32(N), at), *b = lg_g_input(g, F32(N), at),
            *c = lg_g_input(g, F32(N), at);
    lg_node *m2 = op2("add", op2("mul", b, lg_g_fill(g, b->type[0], 0.5, at)), op2("mul", c, a));
    lg_g_output(g, op2("sub", a, m2), 0, NULL);
    lg_g_output(g, m2, 1, NULL);
    lg_plan_stats stats;
    bool ok =
        run_with((lg_plan_opts){0}, (const void *[]){p, m, d}, (void *[]){p, m}, NULL, &stats);
    for (int i = 0; i < N; i++)
        ok = ok && near((double)p[i], wp[i]) && near((double)m[i], wm[i]);
    check(ok, "an update in place");
    check(stats.n_kernels == 1 && stats.arena_bytes == 0,
          "an update is one kernel without workspace");
    lg_free(p);
    lg_free(m);
    lg_free(d);
    lg_free(wp);
    lg_free(wm);
}

static void test_swap(void) {
    float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8};
    g = lg_graph_new(NULL);
    lg_node *x = lg_g_input(g, F32(4), at), *y = lg_g_input(g, F32(4), at);
    lg_g_output(g, y, 0, NULL);
    lg_g_output(g, x, 1, NULL);
    bool ok = run((const void *[]){a, b}, (void *[]){a, b});
    check(ok && a[0] == 5 && a[3] == 8 && b[0] == 1 && b[3] == 4, "two values change places");
    g = lg_graph_new(NULL);
    x = lg_g_input(g, F32(4), at);
    lg_g_output(g, op2("add", x, lg_g_slice(g, x, 0, 3, 4, -1, at)), 0, NULL);
    ok = run((const void *[]){a}, (void *[]){a});
    check(ok && a[0] == 13 && a[1] == 13 && a[3] == 13, "an update that reads backwards");
}

/* ---- scans and conds ---- */

/* c' = c + x[t], yields c, over 6 rounds; `stop` after the sum passes a bound. */
static void test_scan(bool rev, bool stop) {
    float x[6] = {1, 2, 3, 4, 5, 6}, c = 0, y[6], start = 0;
    uint8_t go = 1, on;
    g = lg_graph_new(NULL);
    lg_graph *outer = g, *body = lg_graph_new(g);
    lg_node *c0 = scalar_in(LG_F32), *g0 = scalar_in(LG_BOOL), *xs = lg_g_input(g, F32(6), at);
    g = body;
    lg_node *b = scalar_in(LG_F32);
    scalar_in(LG_BOOL);
    lg_node *xt = scalar_in(LG_F32), *t = scalar_in(LG_I64);
    lg_node *next = op2("add", b, xt);
    lg_g_output(g, next, -1, NULL);
    lg_g_output(g, op2("lt", next, lg_g_scalar(g, LG_F32, 8, at)), -1, NULL);
    lg_g_output(
        g,
        op2("add", next, op2("mul", lg_g_cast(g, t, LG_F32, at), lg_g_scalar(g, LG_F32, 100, at))),
        -1, NULL);
    g = outer;
    lg_scan_attr a = {.body = body,
                      .n_carry = 2,
                      .n_xs = 1,
                      .n_yield = 1,
                      .trip = 6,
                      .rev = rev,
                      .stop = stop ? 1 : -1};
    lg_node *s = lg_g_scan(g, &a, 3, (lg_node *[]){c0, g0, xs}, at);
    for (int k = 0; k < 3; k++)
        lg_g_output(g, lg_g_item(g, s, k), -1, NULL);
    bool ok = run((const void *[]){&start, &go, x}, (void *[]){&c, &on, y});
    float want[6] = {0}, sum_ = 0;
    for (int k = 0; k < 6 && (!stop || k == 0 || sum_ < 8); k++) {
        int i = rev ? 5 - k : k;
        sum_ += x[i];
        want[i] = sum_ + 100 * (float)i;
    }
    ok = ok && c == sum_;
    for (int k = 0; k < 6; k++)
        ok = ok && y[k] == want[k];
    check(ok, "scan");
}

/* q' and last' = q: carries that trade places; large, so that threads share the work. */
static void test_trade(int threads, int64_t trip) {
    enum { N = 60000 };
    float *q = numbers(N), *l = numbers(N), *oq = numbers(N), *ol = numbers(N);
    g = lg_graph_new(NULL);
    lg_graph *outer = g, *body = lg_graph_new(g);
    lg_node *q0 = lg_g_input(g, F32(N), at), *l0 = lg_g_input(g, F32(N), at);
    g = body;
    lg_node *a = lg_g_input(g, F32(N), at), *b = lg_g_input(g, F32(N), at);
    scalar_in(LG_I64);
    lg_node *turned = lg_g_slice(g, a, 0, N - 1, N, -1, at);
    lg_g_output(g, op2("add", turned, op2("mul", b, lg_g_fill(g, b->type[0], 0.5, at))), -1, NULL);
    lg_g_output(g, a, -1, NULL);
    g = outer;
    lg_scan_attr s = {.body = body, .n_carry = 2, .trip = trip, .stop = -1};
    lg_node *x = lg_g_scan(g, &s, 2, (lg_node *[]){q0, l0}, at);
    lg_g_output(g, lg_g_item(g, x, 0), -1, NULL);
    lg_g_output(g, lg_g_item(g, x, 1), -1, NULL);
    bool ok = run_with((lg_plan_opts){.threads = threads}, (const void *[]){q, l},
                       (void *[]){oq, ol}, NULL, NULL);
    float *t = numbers(N);
    for (int64_t r = 0; r < trip; r++) {
        for (int i = 0; i < N; i++)
            t[i] = q[N - 1 - i] + l[i] * 0.5f;
        memcpy(l, q, N * sizeof *l);
        memcpy(q, t, N * sizeof *q);
    }
    check(ok && memcmp(q, oq, N * sizeof *q) == 0 && memcmp(l, ol, N * sizeof *l) == 0,
          "carries that trade places");
    lg_free(q);
    lg_free(l);
    lg_free(oq);
    lg_free(ol);
    lg_free(t);
}

static void test_cond(bool yes) {
    float x = 3, y = 0;
    uint8_t p = yes;
    g = lg_graph_new(NULL);
    lg_graph *outer = g;
    lg_node *c = scalar_in(LG_BOOL), *v = scalar_in(LG_F32);
    lg_cond_attr a = {lg_graph_new(g), lg_graph_new(g)};
    g = a.then_;
    lg_node *u = scalar_in(LG_F32);
    lg_g_output(g, op2("mul", u, u), -1, NULL);
    g = a.else_;
    u = scalar_in(LG_F32);
    lg_g_require(g, op2("gt", u, lg_g_scalar(g, LG_F32, 100, at)), "never asked", at);
    lg_g_output(g, u, -1, NULL);
    g = outer;
    lg_g_output(g, lg_g_item(g, lg_g_cond(g, &a, 2, (lg_node *[]){c, v}, at), 0), -1, NULL);
    lg_fault f = {0};
    bool ok = run_with((lg_plan_opts){0}, (const void *[]){&p, &x}, (void *[]){&y}, &f, NULL);
    check(yes ? ok && y == 9 : !ok && strcmp(f.code, "R0103") == 0, "only one branch runs");
}

/* ---- faults ---- */

static void test_faults(void) {
    float x[6] = {1, 2, 3, 4, 5, 6}, y[12];
    int32_t i[4] = {0, 1, 3, 2};
    lg_fault f = {0};
    g = lg_graph_new(NULL);
    lg_node *a = lg_g_input(g, F32(3, 2), at),
            *k = lg_g_input(g, lg_type_make(LG_I32, SHAPE(4)), at);
    lg_g_output(g, lg_g_gather(g, a, 0, 1, &k, at), -1, NULL);
    bool ok = run_with((lg_plan_opts){0}, (const void *[]){x, i}, (void *[]){y}, &f, NULL);
    check(!ok && strcmp(f.code, "R0101") == 0 && f.row == 2, "an index outside names its row");

    f = (lg_fault){0};
    g = lg_graph_new(NULL);
    a = lg_g_input(g, F32(6), at);
    lg_g_require(g, op2("lt", a, lg_g_fill(g, a->type[0], 5, at)), "small", at);
    lg_g_output(g, op2("add", a, a), 0, NULL);
    ok = run_with((lg_plan_opts){0}, (const void *[]){x}, (void *[]){x}, &f, NULL);
    check(!ok && strcmp(f.code, "R0103") == 0 && f.row == 4 && strcmp(f.text, "small") == 0,
          "require names its row");
    check(x[0] == 1 && x[5] == 6, "a failed requirement leaves inputs as they were");

    f = (lg_fault){0};
    x[3] = -1;
    g = lg_graph_new(NULL);
    a = lg_g_input(g, F32(6), at);
    lg_g_output(g, op2("add", op1("log", a), a), -1, NULL);
    ok = run_with((lg_plan_opts){.check_nan = true}, (const void *[]){x}, (void *[]){y}, &f, NULL);
    check(!ok && strcmp(f.code, "R0102") == 0 && f.row == 3 && strstr(f.text, "`log`"),
          "the op that made a NaN");
}

int main(void) {
    lg_pool_init(4);
    test_masks();
    test_long();
    test_pairs();
    test_empty();
    test_softmax();
    test_products();
    test_turned_bits();
    test_batched_dot();
    test_donation();
    test_swap();
    for (int k = 0; k < 4; k++)
        test_scan(k & 1, k >> 1);
    for (int k = 0; k < 6; k++)
        test_trade(k % 2 ? 2 : 1, k);
    test_cond(true);
    test_cond(false);
    test_faults();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
