/* joins.c: arrays that are joined from results of kernels: these are written in place, by whichever
 * step makes them and for every join they belong to, before anything reads the whole. */
#include "runtime/exec.h"
#include "tests/engine/graphs.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS = 3, WIDE = 4 };

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) / 1000;
    return x;
}

/* Three parts from three products, the first one last, two joins of them along `axis`, one of which
 * updates an input by its sums; `more`: a part is read in a place of its own, too. */
static lg_plan *make(int axis, bool more, bool plain) {
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, SHAPE(ROWS, ROWS)), *p = input(LG_F32, SHAPE(3 * WIDE)), *part[3];
    for (int k = 0; k < 3; k++) {
        lg_node *y = lg_g_dot(g, input(LG_F32, SHAPE(WIDE, ROWS)), x, at);
        part[2 - k] = lg_g_permute(g, y, (int[]){1, 0}, at);
        if (k == 1)
            part[1] = op1("tanh", part[1]);
    }
    lg_node *all = lg_g_concat(g, 3, part, axis, at);
    lg_node *two = lg_g_concat(g, 2, (lg_node *[]){part[2], part[0]}, axis, at);
    lg_node *wide = axis ? all : lg_g_reshape(g, all, SHAPE(ROWS, 3 * WIDE), at);
    lg_g_output(g, op2("add", p, lg_g_reduce(g, lg_op_find("sum"), wide, 1, at)), 1, NULL);
    lg_g_output(g, op1("exp", two), -1, NULL);
    lg_g_output(g, more ? op1("exp", part[1]) : all, -1, NULL);
    return lg_plan_new(g, &(lg_plan_opts){.threads = 1, .no_simplify = true, .no_fuse = plain});
}

static int count_runs(const lg_plan *p) {
    int n = 0;
    for (int k = 0; k < p->n_step; k++)
        n += p->step[k].kind == LG_S_RUN || p->step[k].kind == LG_S_COPY;
    return n;
}

static void test_join(int axis, bool more) {
    float *in[5], *out[2][3];
    lg_fault f = {0};
    for (int k = 0; k < 5; k++)
        in[k] = numbers(ROWS * 3 * WIDE);
    bool ok = true, still = true;
    for (int v = 0; v < 2; v++) {
        for (int k = 0; k < 3; k++)
            out[v][k] = numbers(ROWS * 3 * WIDE);
        memcpy(out[v][0], in[1], 3 * WIDE * sizeof(float));
        lg_plan *p = make(axis, more, v);
        const void *from[] = {in[0], out[v][0], in[2], in[3], in[4]};
        ok = ok && lg_plan_run(p, from, (void *[]){out[v][0], out[v][1], out[v][2]}, &f);
        still = still && (v || count_runs(p) == 0);
        lg_plan_free(p);
        lg_graph_free(g);
    }
    const size_t size[] = {3 * WIDE, 2 * ROWS * WIDE, (more ? 1 : 3) * ROWS * WIDE};
    for (int k = 0; k < 3; k++)
        ok = ok && !memcmp(out[0][k], out[1][k], size[k] * sizeof(float));
    check(ok, "joined parts are there before they are read");
    check(still, "no join is a step");
    for (int k = 0; k < 5; k++)
        lg_free(in[k]);
    for (int k = 0; k < 6; k++)
        lg_free(out[k / 3][k % 3]);
}

int main(void) {
    for (int v = 0; v < 4; v++)
        test_join(v & 1, v & 2);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
