/* products.c: what surrounds products in a plan: kernels that make outputs come right after the
 * product they read, unless what they would write over is still read. */
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

int main(void) {
    lg_pool_init(4);
    test_order();
    test_faults();
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
