/* ops.c: every elementwise op, every reduction and every conversion, for every dtype it has,
 * interpreted and compiled: the same bits, whatever the values. */
#include "ops/ops.h"
#include "compiler/back/jit.h"
#include "runtime/exec.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };
static const lg_span at = {0, 0, 0};
static int passed, failed, compiled;

/* A graph whose inputs are filled by their bounds. */
typedef struct {
    lg_graph *g;
    double lo[MOST], hi[MOST];
} net;

static lg_node *input(net *n, lg_dtype t, int rank, const int64_t *shape, double lo, double hi) {
    lg_node *x = lg_g_input(n->g, lg_type_make(t, rank, shape), at);
    n->lo[x->attr.slot] = lo;
    n->hi[x->attr.slot] = hi;
    return x;
}

static uint64_t state;
static double uniform(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) * 0x1p-53;
}

static double special(size_t i) {
    static const double v[] = {0,
                               -0.0,
                               1,
                               -1,
                               (double)INFINITY,
                               -(double)INFINITY,
                               (double)NAN,
                               1e-40,
                               -1e30,
                               3e9,
                               127.5,
                               -129,
                               1e-310,
                               65504,
                               0.5,
                               2.5};
    return v[i % LG_COUNT(v)];
}

static void fill(const net *n, lg_tensor *x, int slot) {
    for (size_t i = 0; i < x->n; i++) {
        double v = n->lo[slot] + (n->hi[slot] - n->lo[slot]) * uniform();
        lg_set_f64(x->dtype, x->data, i, i % 7 == 3 ? special(i / 7 + (size_t)slot) : v);
    }
}

typedef struct {
    lg_tensor *x[MOST];
    size_t n;
    int compiled;
} results;

static results run(net (*make)(lg_dtype, int), lg_dtype t, int form, lg_jit_mode mode) {
    net n = make(t, form);
    results r = {.n = n.g->output.n};
    lg_tensor *in[MOST];
    const void *from[MOST];
    void *to[MOST];
    state = 5;
    for (size_t k = 0; k < n.g->input.n; k++) {
        const lg_type *y = &n.g->input.at[k]->type[0];
        in[k] = lg_tensor_new(y->dtype, y->rank, y->shape);
        fill(&n, in[k], (int)k);
        from[k] = in[k]->data;
    }
    for (size_t k = 0; k < r.n; k++) {
        const lg_type *y = &n.g->output.at[k].node->type[0];
        r.x[k] = lg_tensor_new(y->dtype, y->rank, y->shape);
        to[k] = r.x[k]->data;
    }
    lg_plan *p = lg_plan_new(n.g, &(lg_plan_opts){.threads = 1, .no_simplify = true});
    lg_jit_attach(p, mode, 0, NULL);
    lg_fault fault;
    lg_plan_run(p, from, to, &fault);
    r.compiled = lg_jit_count(p);
    lg_plan_free(p);
    for (size_t k = 0; k < n.g->input.n; k++)
        lg_tensor_release(in[k]);
    lg_graph_free(n.g);
    return r;
}

/* Any NaN is as good as another. */
static bool same(const lg_tensor *a, const lg_tensor *b, size_t *where) {
    size_t size = lg_dtype_size(a->dtype);
    for (size_t i = 0; i < a->n; i++) {
        if (!memcmp((const char *)a->data + i * size, (const char *)b->data + i * size, size))
            continue;
        if (isnan(lg_get_f64(a->dtype, a->data, i)) && isnan(lg_get_f64(b->dtype, b->data, i)))
            continue;
        *where = i;
        return false;
    }
    return true;
}

static void compare(net (*make)(lg_dtype, int), lg_dtype t, int form, const char *what) {
    results a = run(make, t, form, LG_JIT_OFF), b = run(make, t, form, LG_JIT_ON);
    net names = make(t, form);
    for (size_t k = 0; k < a.n; k++) {
        size_t i = 0;
        const lg_node *y = names.g->output.at[k].node;
        if (same(a.x[k], b.x[k], &i)) {
            passed++;
        } else {
            failed++;
            printf("FAILED %s: %s of %s to %s, element %zu: %.17g interpreted, %.17g compiled\n",
                   what, y->op->name, lg_dtype_name(y->in[0]->type[0].dtype),
                   lg_dtype_name(y->type[0].dtype), i, lg_get_f64(a.x[k]->dtype, a.x[k]->data, i),
                   lg_get_f64(b.x[k]->dtype, b.x[k]->data, i));
        }
        lg_tensor_release(a.x[k]);
        lg_tensor_release(b.x[k]);
    }
    compiled += b.compiled;
    if (a.n && !b.compiled)
        printf("%s, %s: left to the interpreter\n", what, lg_dtype_name(t));
    lg_graph_free(names.g);
}

/* ---- elements ---- */

static net elements(lg_dtype t, int form) {
    net n = {.g = lg_graph_new(NULL)};
    const int64_t shape[] = {form ? 3 : 1, 341};
    for (size_t k = 0; k < lg_op_count(); k++) {
        const lg_op *op = lg_op_at(k);
        if (op->cls != LG_C_ELEM || !op->elem[t])
            continue;
        lg_node *in[4];
        for (int i = 0; i < op->arity; i++)
            in[i] = input(&n, op->flag_in >> i & 1 ? LG_BOOL : t, 2, shape, op->lo, op->hi);
        lg_g_output(n.g, lg_g_elem(n.g, op, op->arity, in, at), -1, NULL);
    }
    return n;
}

/* ---- conversions ---- */

static net casts(lg_dtype t, int form) {
    net n = {.g = lg_graph_new(NULL)};
    const int64_t shape[] = {1000 + form};
    lg_node *x = input(&n, t, 1, shape, -300, 300);
    for (int to = 0; to < LG_N_DTYPES; to++)
        if (to != (int)t)
            lg_g_output(n.g, lg_g_cast(n.g, x, (lg_dtype)to, at), -1, NULL);
    return n;
}

/* ---- reductions: of what a loop makes, over each axis and over both ---- */

static const int64_t forms[][2] = {{64, 10}, {3, 3000}, {40000, 2}, {2, 40000}, {5, 257}, {1, 1}};

static net reductions(lg_dtype t, int form) {
    net n = {.g = lg_graph_new(NULL)};
    const lg_op *flip = lg_op_find(t == LG_BOOL ? "not" : "neg");
    for (size_t k = 0; k < lg_op_count(); k++) {
        const lg_op *op = lg_op_at(k);
        if (op->cls != LG_C_REDUCE || !op->row[t] || !flip->elem[t])
            continue;
        for (uint32_t mask = 1; mask < 4; mask++) {
            if (mask == 3 && op->out_dtype == LG_I32) /* places are along one axis */
                continue;
            lg_node *x = input(&n, t, 2, forms[form], op->lo, op->hi);
            lg_node *y = lg_g_elem(n.g, flip, 1, &x, at);
            lg_g_output(n.g, lg_g_reduce(n.g, op, y, mask, at), -1, NULL);
        }
    }
    return n;
}

int main(void) {
    setenv("XDG_CACHE_HOME", "none", 1); /* compiled afresh, and nothing kept */
    setenv("HOME", "none", 1);
    lg_pool_init(1);
    for (int t = 0; t < LG_N_DTYPES; t++) {
        for (int form = 0; form < (t == LG_F32 ? 2 : 1); form++)
            compare(elements, (lg_dtype)t, form, "elements");
        compare(casts, (lg_dtype)t, 0, "conversions");
        int forms_of = t == LG_F32 ? (int)LG_COUNT(forms) : 2;
        for (int form = 0; form < forms_of; form++)
            compare(reductions, (lg_dtype)t, form, "reductions");
    }
    printf("%d loops compiled\n%d passed, %d failed\n", compiled, passed, failed);
    return failed != 0 || compiled == 0;
}
