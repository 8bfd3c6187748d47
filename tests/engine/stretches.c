/* stretches.c: layers forward and backward and the updates of their weights are done by rows, with
 * one meeting for many steps: the bits of one thread and of each step by itself; what mixes rows
 * ends a stretch, and what is read whole is not written over meanwhile. */
#include "runtime/exec.h"
#include "tests/engine/graphs.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };
typedef struct {
    int64_t batch, in, wide, out;
    bool norm;   /* rows are divided by their norm between the layers */
    bool mixed;  /* hidden values are moved by their mean over the batch */
    bool update; /* weights are replaced by better ones */
    bool sums;   /* the sums of the hidden derivatives over the batch are wanted, too */
    bool f64;
} net;

static size_t n_in, n_out, size_in[MOST], size_out[MOST]; /* in bytes */
static lg_dtype type;
static int donor[MOST];

static void *numbers(size_t bytes) {
    void *x = lg_alloc(bytes + 8);
    for (size_t i = 0; i < bytes / lg_dtype_size(type); i++)
        lg_set_f64(type, x, i, (float)(rand() % 2001 - 1000) / 1000);
    return x;
}

static lg_node *in(int64_t rows, int64_t cols) {
    size_in[n_in++] = (size_t)(rows * cols) * lg_dtype_size(type);
    return input(type, SHAPE(rows, cols));
}

static void out(lg_node *x, int donates) {
    size_out[n_out] = lg_type_count(&x->type[0]) * lg_dtype_size(type);
    donor[n_out++] = donates;
    lg_g_output(g, x, donates, NULL);
}

static lg_node *turned(lg_node *x) {
    return lg_g_permute(g, x, (int[]){1, 0}, at);
}

static lg_node *total(lg_node *x, uint32_t axes) {
    return lg_g_reduce(g, lg_op_find("sum"), x, axes, at);
}

/* A value a row (axis 0) or a column (axis 1) as a matrix like x. */
static lg_node *over(lg_node *row, const lg_node *x, int axis) {
    int from[] = {axis == 0 ? 0 : -1, axis == 1 ? 0 : -1};
    return lg_g_broadcast(g, row, 2, x->type[0].shape, from, at);
}

static lg_node *scaled(lg_node *x, double by) {
    return op2("mul", x, lg_g_fill(g, x->type[0], by, at));
}

/* p - 0.1 d (1 + |d|) */
static lg_node *better(lg_node *p, lg_node *d) {
    return op2("sub", p, scaled(op2("add", d, op2("mul", d, op1("abs", d))), 0.1));
}

/* h = tanh(x u^T), y = h v^T, and with dy = y - t the derivatives of u and v. */
static void build(const net *n) {
    g = lg_graph_new(NULL);
    n_in = n_out = 0;
    type = n->f64 ? LG_F64 : LG_F32;
    lg_node *x = in(n->batch, n->in), *t = in(n->batch, n->out);
    lg_node *u = in(n->wide, n->in), *v = in(n->out, n->wide);
    lg_node *h = op1("tanh", lg_g_dot(g, x, turned(u), at));
    if (n->norm)
        h = op2("div", h, over(op1("sqrt", total(op2("mul", h, h), 2)), h, 0));
    if (n->mixed)
        h = op2("add", h, over(total(h, 1), h, 1));
    lg_node *y = lg_g_dot(g, h, turned(v), at), *dy = op2("sub", y, t);
    lg_node *dh = op2("mul", lg_g_dot(g, dy, v, at),
                      op2("sub", lg_g_fill(g, h->type[0], 1, at), op2("mul", h, h)));
    lg_node *du = lg_g_dot(g, turned(dh), x, at), *dv = lg_g_dot(g, turned(dy), h, at);
    out(dy, -1);
    out(n->update ? better(u, du) : du, n->update ? 2 : -1);
    out(n->update ? better(v, dv) : dv, n->update ? 3 : -1);
    out(lg_g_dot(g, dh, u, at), -1);
    if (n->sums)
        out(total(dh, 1), -1);
}

typedef struct {
    int most, all;    /* steps of the longest stretch, and of all of them */
    int packed, sums; /* stretches that pack right operands, that end in sums over the rows */
} found;

static found look(const lg_plan *p) {
    found f = {0};
    for (int k = 0; k < p->n_step; k++) {
        f.most = p->step[k].stretch > f.most ? p->step[k].stretch : f.most;
        f.all += p->step[k].stretch;
        f.packed += p->step[k].packs;
        f.sums += p->step[k].sums;
    }
    return f;
}

/* Three runs, each on what the last one left. */
static bool run(const net *n, int threads, bool plain, void *const *start, void **result,
                found *what) {
    const void *from[MOST];
    void *own[MOST];
    lg_fault f = {0};
    bool ok = true;
    build(n);
    lg_plan *p =
        lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_simplify = true, .no_fuse = plain});
    for (size_t k = 0; k < n_in; k++) {
        own[k] = lg_alloc(size_in[k] + 8);
        memcpy(own[k], start[k], size_in[k]);
        from[k] = own[k];
    }
    for (size_t k = 0; k < n_out; k++)
        result[k] = donor[k] >= 0 ? own[donor[k]] : lg_alloc(size_out[k] + 8);
    for (int k = 0; k < 3; k++)
        ok = ok && lg_plan_run(p, from, result, &f);
    *what = look(p);
    for (size_t k = 0; k < n_in; k++) {
        bool kept = false;
        for (size_t j = 0; j < n_out; j++)
            kept = kept || result[j] == own[k];
        if (!kept)
            lg_free(own[k]);
    }
    lg_plan_free(p);
    lg_graph_free(g);
    return ok;
}

static found test(const net *n, int least, int at_most) {
    void *start[MOST], *want[MOST], *got[MOST];
    found what;
    build(n);
    for (size_t k = 0; k < n_in; k++)
        start[k] = numbers(size_in[k]);
    lg_graph_free(g);
    bool ok = run(n, 1, true, start, want, &what);
    check(ok && !what.all, "step by step there are no stretches");
    for (int threads = 1; threads <= 4; threads++) {
        bool same = run(n, threads, false, start, got, &what);
        for (size_t k = 0; k < n_out; k++) {
            same = same && !memcmp(want[k], got[k], size_out[k]);
            lg_free(got[k]);
        }
        check(same, "the same bits by rows as step by step");
        check(what.most >= least && what.most <= at_most, "stretches end where rows meet");
    }
    for (size_t k = 0; k < n_in; k++)
        lg_free(start[k]);
    for (size_t k = 0; k < n_out; k++)
        lg_free(want[k]);
    return what;
}

int main(void) {
    lg_pool_init(4);
    /* forward and the derivative of what comes in: product, tanh, product, loop, product, loop,
     * product */
    test(&(net){.batch = 64, .in = 64, .wide = 128, .out = 10}, 7, MOST);
    test(&(net){.batch = 64, .in = 64, .wide = 128, .out = 10, .norm = true}, 7, MOST);
    test(&(net){.batch = 64, .in = 64, .wide = 128, .out = 10, .mixed = true}, 2, 6);
    test(&(net){.batch = 64, .in = 64, .wide = 128, .out = 10, .update = true}, 6, MOST);
    test(&(net){.batch = 100, .in = 48, .wide = 72, .out = 24, .update = true}, 4, MOST);
    test(&(net){.batch = 96, .in = 33, .wide = 130, .out = 17, .norm = true, .update = true}, 4,
         MOST);
    test(&(net){.batch = 7, .in = 33, .wide = 130, .out = 17, .update = true}, 0, MOST);
    /* one thread has done all of it before others have come */
    test(&(net){.batch = 32, .in = 3, .wide = 16, .out = 2}, 0, 0);
    found f = test(&(net){.batch = 64, .in = 96, .wide = 128, .out = 10, .f64 = true}, 2, MOST);
    check(f.packed > 0, "a right operand is packed once for all blocks");
    f = test(&(net){.batch = 768, .in = 24, .wide = 512, .out = 12, .sums = true}, 2, MOST);
    check(f.sums > 0, "sums over the rows are joined when the rows are done");
    f = test(&(net){.batch = 640, .in = 24, .wide = 1200, .out = 12, .sums = true}, 2, MOST);
    check(f.sums > 0, "also where they are more than a tile");
    for (int k = 0; k < 12; k++)
        test(&(net){.batch = 2 + rand() % 200,
                    .in = 1 + rand() % 90,
                    .wide = 1 + rand() % 150,
                    .out = 1 + rand() % 40,
                    .norm = k % 3 == 1,
                    .mixed = k % 3 == 2,
                    .update = rand() % 2},
             0, MOST);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
