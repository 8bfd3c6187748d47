/* products.c: what surrounds products in a plan: kernels that make outputs come right after the
 * product they read, unless what they would write over is still read; columns times rows that
 * are summed; what is kept of them. */
#include "runtime/exec.h"
#include "tests/engine/graphs.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static lg_node *dot(lg_node *a, lg_node *b) {
    return lg_g_dot(g, a, b, at);
}

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 4001 - 2000) / 2000;
    return x;
}

static void done(lg_plan *p) {
    lg_plan_free(p);
    lg_graph_free(g);
}

/* The place of the step that writes output k; -1: none does. */
static int writer_of(const lg_plan *p, int k) {
    for (int j = 0; j < p->n_step; j++) {
        const lg_loop *l = p->step[j].loop;
        for (int i = 0; l && i < l->n_instr; i++) {
            const lg_instr *x = &l->instr[i];
            if (x->acc && x->kind != LG_I_LOAD && x->acc->at.base == LG_AT_OUT &&
                x->acc->at.slot == k)
                return j;
        }
    }
    return -1;
}

static int count_steps(const lg_plan *p, lg_step_kind kind, int beg, int end) {
    int n = 0;
    for (int j = beg; j < end; j++)
        n += p->step[j].kind == kind;
    return n;
}

/* w' = w - x^T y for three weights; the first one is read again by the last product. */
static void test_order(void) {
    enum { B = 64, N = 96 };
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, SHAPE(N, B)), *w[3], *d[3];
    for (int k = 0; k < 3; k++)
        w[k] = input(LG_F32, SHAPE(N, N));
    lg_node *y =
        dot(dot(op1("tanh", lg_g_input(g, lg_type_make(LG_F32, SHAPE(B, N)), at)), w[1]), w[2]);
    for (int k = 0; k < 3; k++)
        d[k] = dot(x, op1(k == 0 ? "tanh" : k == 1 ? "exp" : "neg", y));
    lg_node *last = dot(d[2], w[0]);
    for (int k = 0; k < 3; k++)
        lg_g_output(g, op2("sub", w[k], d[k]), 1 + k, NULL);
    lg_g_output(g, op1("neg", last), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 1});
    int late = writer_of(p, 0), second = writer_of(p, 1), third = writer_of(p, 2);
    check(late >= 0 && count_steps(p, LG_S_DOT, late, p->n_step) == 0,
          "what a product still reads is written last");
    check(second >= 0 && count_steps(p, LG_S_DOT, second, p->n_step) == 2,
          "a result is made once its product is there");
    check(third > second && third < late, "and before what comes after");
    float *in[5] = {numbers(N * B), numbers(N * N), numbers(N * N), numbers(N * N), numbers(B * N)};
    float *out = numbers(N * N), *was = numbers(N * N);
    memcpy(was, in[1], N * N * sizeof *was);
    lg_fault f = {0};
    check(lg_plan_run(p, (const void *[]){in[0], in[1], in[2], in[3], in[4]},
                      (void *[]){in[1], in[2], in[3], out}, &f) &&
              memcmp(was, in[1], N * N * sizeof *was),
          "weights are replaced");
    for (int k = 0; k < 5; k++)
        lg_free(in[k]);
    lg_free(out);
    lg_free(was);
    done(p);
}

/* A subscript that may still be wrong is looked at before anything is written over. */
static void test_faults(void) {
    enum { N = 48 };
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, SHAPE(N, N)), *w = input(LG_F32, SHAPE(N, N)),
            *pick = input(LG_I32, SHAPE(N));
    lg_node *d = dot(x, w);
    lg_node *rows = lg_g_gather(g, dot(d, x), 0, 1, &pick, at);
    lg_g_output(g, op2("sub", w, d), 1, NULL);
    lg_g_output(g, op1("exp", rows), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 1});
    float *fx = numbers(N * N), *fw = numbers(N * N), *was = numbers(N * N), *out = numbers(N * N);
    memcpy(was, fw, N * N * sizeof *was);
    int32_t bad[N] = {0};
    bad[7] = N;
    lg_fault f = {0};
    check(!lg_plan_run(p, (const void *[]){fx, fw, bad}, (void *[]){fw, out}, &f) &&
              !memcmp(was, fw, N * N * sizeof *was),
          "a fault leaves what would have been replaced");
    lg_free(fx);
    lg_free(fw);
    lg_free(was);
    lg_free(out);
    done(p);
}

static lg_node *total(lg_node *x, uint32_t axes) {
    return lg_g_reduce(g, lg_op_find("sum"), x, axes, at);
}

/* The largest space that a loop of the plan goes over. */
static int64_t largest_space(const lg_plan *p) {
    int64_t most = 0;
    for (int j = 0; j < p->n_step; j++) {
        const lg_loop *l = p->step[j].loop;
        int64_t n = l ? l->n_o * l->n_i : 0;
        most = n > most ? n : most;
    }
    return most;
}

/* Columns times rows, item by item: their squares summed by item and over all, and their sum
 * weighted by item, which is a product over items. Nothing of the size of all of them is there. */
static void test_outer(void) {
    enum { N = 24, I = 40, J = 50 };
    g = lg_graph_new(NULL);
    lg_node *a = input(LG_F32, SHAPE(N, I, 1)), *b = input(LG_F32, SHAPE(N, 1, J)),
            *w = input(LG_F32, SHAPE(N));
    lg_node *y = dot(a, b);
    lg_node *by_item = lg_g_broadcast(g, w, SHAPE(N, I, J), (int[]){0, -1, -1}, at);
    lg_g_output(g, total(op1("square", y), 6), -1, NULL);
    lg_g_output(g, total(op1("square", y), 7), -1, NULL);
    lg_g_output(g, total(op2("mul", by_item, y), 1), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 1});
    float *fa = numbers(N * I), *fb = numbers(N * J), *fw = numbers(N), *item = numbers(N), all,
          *sum = numbers(I * J);
    lg_fault f = {0};
    bool ok = lg_plan_run(p, (const void *[]){fa, fb, fw}, (void *[]){item, &all, sum}, &f);
    double want_all = 0;
    for (int n = 0; n < N && ok; n++) {
        double want = 0;
        for (int i = 0; i < I; i++)
            for (int j = 0; j < J; j++)
                want += pow((double)fa[n * I + i] * (double)fb[n * J + j], 2);
        want_all += want;
        ok = fabs(want - (double)item[n]) < 1e-5 * want;
    }
    check(ok && fabs(want_all - (double)all) < 1e-5 * want_all, "squares of columns times rows");
    for (int k = 0; k < I * J && ok; k++) {
        double want = 0;
        for (int n = 0; n < N; n++)
            want += (double)fw[n] * (double)fa[n * I + k / J] * (double)fb[n * J + k % J];
        ok = fabs(want - (double)sum[k]) < 1e-5;
    }
    check(ok && count_steps(p, LG_S_DOT, 0, p->n_step) == 1, "their weighted sum is a product");
    check(largest_space(p) <= N * J, "columns times rows are summed apart");
    lg_free(fa);
    lg_free(fb);
    lg_free(fw);
    lg_free(item);
    lg_free(sum);
    done(p);
}

/* Of tanh and two easy functions of it, which a later kernel reads, tanh alone is stored. */
static void test_costly(void) {
    enum { N = 128 };
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, SHAPE(N, N)), *w = input(LG_F32, SHAPE(N, N));
    lg_node *t = op1("tanh", dot(x, w)), *one = lg_g_fill(g, t->type[0], 1, at);
    lg_node *up = op2("add", t, one), *slope = op2("sub", one, op1("square", t));
    lg_node *y = dot(op2("mul", up, x), w);
    lg_g_output(g, op2("add", op2("mul", y, up), op2("mul", y, slope)), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 1});
    const lg_loop *l = p->n_step > 1 ? p->step[1].loop : NULL;
    int stores = 0;
    for (int j = 0; l && j < l->n_instr; j++)
        stores += l->instr[j].acc && l->instr[j].kind != LG_I_LOAD;
    check(stores == 2, "a costly value is stored once, not what is made from it");
    float *fx = numbers(N * N), *fw = numbers(N * N), *out = numbers(N * N);
    lg_fault f = {0};
    bool ok = lg_plan_run(p, (const void *[]){fx, fw}, (void *[]){out}, &f);
    double *tanhs = lg_alloc(N * N * sizeof *tanhs);
    for (int i = 0; i < N * N; i++) {
        for (int k = 0; k < N; k++)
            tanhs[i] += (double)fx[i / N * N + k] * (double)fw[k * N + i % N];
        tanhs[i] = tanh(tanhs[i]);
    }
    for (int i = 0; i < N * N && ok; i++) {
        double v = 0;
        for (int k = 0, q = i / N * N; k < N; k++, q++)
            v += (tanhs[q] + 1) * (double)fx[q] * (double)fw[k * N + i % N];
        double want = v * (tanhs[i] + 1) + v * (1 - tanhs[i] * tanhs[i]);
        ok = fabs(want - (double)out[i]) < 1e-3 * (1 + fabs(want));
    }
    check(ok, "and the results are right");
    lg_free(fx);
    lg_free(fw);
    lg_free(out);
    lg_free(tanhs);
    done(p);
}

/* ---- the first rows ---- */

/* dot_rows of `batch` products [M, 24] @ [24, n], of which `rows` are asked for: the rows of the
 * whole product, and zeros. */
static bool first_rows_are_right(int64_t n, int64_t rows, int threads) {
    enum { BATCH = 3, M = 150, K = 24 };
    float *a = numbers(BATCH * M * K), *b = numbers((size_t)(BATCH * K * n));
    size_t ny = (size_t)(BATCH * M * n);
    float *all = numbers(ny), *some = numbers(ny);
    lg_fault f = {0};
    g = lg_graph_new(NULL);
    lg_node *in[] = {input(LG_F32, SHAPE(BATCH, M, K)), input(LG_F32, SHAPE(BATCH, K, n)),
                     input(LG_I64, 0, NULL)};
    lg_type y = lg_type_make(LG_F32, SHAPE(BATCH, M, n));
    lg_g_output(g, dot(in[0], in[1]), -1, NULL);
    lg_g_output(g, lg_g_kernel(g, lg_op_find("dot_rows"), 3, in, 1, &y, NULL, at), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = threads});
    bool ok = lg_plan_run(p, (const void *[]){a, b, &rows}, (void *[]){all, some}, &f);
    int64_t end = rows < 0 ? 0 : rows < M ? rows : M;
    for (int64_t i = 0; i < BATCH * M * n; i++)
        ok = ok && some[i] == (i / n % M < end ? all[i] : 0);
    done(p);
    float *const made[] = {a, b, all, some};
    for (size_t k = 0; k < LG_COUNT(made); k++)
        lg_free(made[k]);
    return ok;
}

static void test_first_rows(void) {
    static const int64_t rows[] = {-2, 0, 1, 2, 15, 16, 17, 33, 149, 150, 200};
    bool ok = true;
    for (int threads = 1; threads <= 4; threads *= 2)
        for (size_t k = 0; k < LG_COUNT(rows); k++)
            for (int64_t n = 1; n < 80; n += 39)
                ok = ok && first_rows_are_right(n, rows[k], threads);
    check(ok, "the first rows of products are theirs");
}

int main(void) {
    lg_pool_init(4);
    test_first_rows();
    test_order();
    test_faults();
    test_outer();
    test_costly();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
