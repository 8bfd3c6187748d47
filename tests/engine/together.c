/* together.c: updates of many arrays in place, some of which read what others replace, and norms of
 * arrays long and short: what each step gives by itself on one thread is what loops that run
 * together give on 1, 2 and 4. */
#include "runtime/exec.h"
#include "tests/engine/graphs.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 24, LARGEST = 300000 };

/* Arrays p and g of size n; array k is made from p[k], g[k] and, where from[k] >= 0, from p of that
 * array as it was before. */
typedef struct {
    int n_array, n[MOST], from[MOST];
    float *p[MOST], *g[MOST];
} arrays;

static float *numbers(int n) {
    float *x = lg_alloc_data((size_t)n * sizeof *x);
    for (int i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) / 1000;
    return x;
}

static arrays some_arrays(void) {
    arrays a = {.n_array = 4 + rand() % (MOST - 4)};
    for (int k = 0; k < a.n_array; k++) {
        a.n[k] = rand() % 3 == 0   ? 1 + rand() % 40
                 : rand() % 6 == 0 ? 1 + rand() % LARGEST
                                   : 1000 + rand() % 9000;
        a.from[k] = -1;
        for (int j = 0; j < k && rand() % 3 == 0; j++)
            if (a.n[j] == a.n[k] || rand() % 4 == 0) {
                a.n[k] = a.n[j];
                a.from[k] = j;
            }
        a.p[k] = numbers(a.n[k]);
        a.g[k] = numbers(a.n[k]);
    }
    return a;
}

static void free_arrays(arrays *a) {
    for (int k = 0; k < a->n_array; k++) {
        lg_free_aligned(a->p[k]);
        lg_free_aligned(a->g[k]);
    }
}

static lg_node *spread(lg_node *scalar, int n) {
    return lg_g_broadcast(g, scalar, 1, (int64_t[]){n}, (int[]){-1}, at);
}

/* p' = p - s g + s |q|, s = 1/(1 + the sum of all squares of g); in place. */
static void build(const arrays *a) {
    lg_node *p[MOST], *dp[MOST], *sum = NULL;
    g = lg_graph_new(NULL);
    for (int k = 0; k < a->n_array; k++) {
        p[k] = input(LG_F32, SHAPE(a->n[k]));
        dp[k] = op1("tanh", input(LG_F32, SHAPE(a->n[k])));
        lg_node *mine = lg_g_reduce(g, lg_op_find("sum"), op1("square", dp[k]), 1, at);
        sum = sum ? op2("add", sum, mine) : mine;
    }
    lg_node *one = lg_g_scalar(g, LG_F32, 1.0, at), *s = op2("div", one, op2("add", one, sum));
    for (int k = 0; k < a->n_array; k++) {
        lg_node *next = op2("sub", p[k], op2("mul", dp[k], spread(s, a->n[k])));
        if (a->from[k] >= 0)
            next = op2("add", next, op2("mul", op1("abs", p[a->from[k]]), spread(s, a->n[k])));
        lg_g_output(g, next, 2 * k, NULL);
    }
    lg_g_output(g, s, -1, NULL);
}

/* Three runs after each other, on copies; true when loops ran together. */
static bool run(const arrays *a, int threads, bool no_fuse, float *const *out, float *scale) {
    const void *in[2 * MOST];
    void *to[MOST + 1];
    lg_fault f = {0};
    for (int k = 0; k < a->n_array; k++) {
        memcpy(out[k], a->p[k], (size_t)a->n[k] * sizeof(float));
        in[2 * k] = out[k];
        in[2 * k + 1] = a->g[k];
        to[k] = out[k];
    }
    to[a->n_array] = scale;
    build(a);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_fuse = no_fuse});
    bool together = false, ok = true;
    for (int k = 0; k < p->n_step; k++)
        together = together || p->step[k].together > 1;
    for (int k = 0; k < 3; k++)
        ok = ok && lg_plan_run(p, in, to, &f);
    lg_plan_free(p);
    lg_graph_free(g);
    check(ok, "runs");
    return together;
}

static bool once(void) {
    arrays a = some_arrays();
    float *want[MOST], *got[MOST], s, t;
    bool together = false;
    for (int k = 0; k < a.n_array; k++) {
        want[k] = numbers(a.n[k]);
        got[k] = numbers(a.n[k]);
    }
    run(&a, 1, true, want, &s);
    for (int threads = 1; threads <= 4; threads *= 2) {
        together = run(&a, threads, false, got, &t) || together;
        bool same = s == t;
        for (int k = 0; k < a.n_array; k++)
            same = same && !memcmp(want[k], got[k], (size_t)a.n[k] * sizeof(float));
        check(same, "the same bits together as one by one");
    }
    for (int k = 0; k < a.n_array; k++) {
        lg_free_aligned(want[k]);
        lg_free_aligned(got[k]);
    }
    free_arrays(&a);
    return together;
}

int main(void) {
    int together = 0;
    srand(5);
    lg_pool_init(4);
    for (int n = 0; n < 40; n++)
        together += once();
    check(together > 20, "loops run together");
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
