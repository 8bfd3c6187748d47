/* grad.c: the derivative passes on graphs made by hand: for every class of op the gradient against
 * central differences, the second derivative against differences of the gradient, and the forward
 * pass against the reverse one. Everything in double precision. */
#include "compiler/mid/grad.h"
#include "runtime/plan.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_IN = 4 };
static int passed, failed;
static const lg_span nowhere;

static void report(bool ok, const char *name, const char *what, double got, double want) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAIL %s: %s: got %.12g, wanted %.12g\n", name, what, got, want);
}

/* ---- short spellings ---- */

typedef lg_graph G;
typedef lg_node N;

static N *op1(G *g, const char *op, N *a) {
    return lg_g_elem(g, lg_op_find(op), 1, &a, nowhere);
}
static N *op2(G *g, const char *op, N *a, N *b) {
    return lg_g_elem(g, lg_op_find(op), 2, (N *[]){a, b}, nowhere);
}
static N *all(G *g, const char *op, N *a) {
    return lg_g_reduce(g, lg_op_find(op), a, (1u << a->type[0].rank) - 1, nowhere);
}
static N *zeros(G *g, N *like) {
    return lg_g_fill(g, like->type[0], 0, nowhere);
}
static N *ints(G *g, lg_dtype t, int rank, const int64_t *shape, const int64_t *v) {
    lg_tensor *x = lg_tensor_new(t, rank, shape);
    for (size_t i = 0; i < x->n; i++)
        lg_set_i64(t, x->data, i, v[i]);
    N *n = lg_g_const(g, x, nowhere);
    lg_tensor_release(x);
    return n;
}
static lg_type f64(int rank, int64_t a, int64_t b, int64_t c) {
    return lg_type_make(LG_F64, rank, (int64_t[]){a, b, c});
}

/* ---- cases ---- */

typedef N *(*build_fn)(G *g, N *const *x);
typedef struct {
    const char *name;
    build_fn build;
    int n_in;
    lg_type in[MAX_IN];
    bool first_only; /* piecewise linear: the second derivative is zero by differences too */
} kase;

static N *elem(G *g, N *const *x) {
    N *a = op1(g, "tanh", op2(g, "mul", x[0], x[1]));
    return op2(g, "div", op1(g, "exp", a),
               op2(g, "add", op1(g, "square", x[1]), op1(g, "exp", x[0])));
}
static N *cast(G *g, N *const *x) {
    N *a = lg_g_cast(g, op1(g, "sin", x[0]), LG_F32, nowhere);
    return lg_g_cast(g, a, LG_F64, nowhere);
}
static N *views(G *g,
                N *const *x) { /* overlapping windows of a transposed slice, and a broadcast */
    N *t = lg_g_permute(g, x[0], (int[]){1, 0}, nowhere);
    N *s = lg_g_slice(g, t, 0, 1, 2, 2, nowhere);
    lg_affine m = {2, 3, (int64_t[]){0, 0}, (int64_t[]){1, 0, 0, 0, 1, 1}};
    N *w = lg_g_view(g, s, &m, 3, (int64_t[]){2, 2, 2}, nowhere);
    N *b = lg_g_broadcast(g, x[1], 3, (int64_t[]){2, 2, 2}, (int[]){-1, 0, -1}, nowhere);
    return op2(g, "mul", op1(g, "square", w), b);
}
static N *unview(G *g, N *const *x) {
    lg_affine m = {1, 2, (int64_t[]){0}, (int64_t[]){1, 1}};
    N *u = lg_g_unview(g, op1(g, "square", x[0]), &m, 1, (int64_t[]){4}, nowhere);
    return op1(g, "sin", lg_g_reshape(g, u, 2, (int64_t[]){2, 2}, nowhere));
}
static N *reduce(G *g, N *const *x) {
    N *s = lg_g_reduce(g, lg_op_find("sum"), op1(g, "exp", x[0]), 2, nowhere);
    N *p = lg_g_reduce(g, lg_op_find("prod"), x[0], 1, nowhere);
    N *m = lg_g_reduce(g, lg_op_find("reduce_max"), op1(g, "square", x[0]), 3, nowhere);
    return op2(g, "add", op2(g, "mul", all(g, "sum", op1(g, "log", s)), m),
               all(g, "sum", op1(g, "square", p)));
}
static N *cum(G *g, N *const *x) {
    N *a = lg_g_cum(g, lg_op_find("cumsum"), op1(g, "square", x[0]), 1, false, nowhere);
    return lg_g_cum(g, lg_op_find("cumprod"), op1(g, "sin", a), 0, true, nowhere);
}
static N *dot(G *g, N *const *x) {
    return op1(g, "tanh", lg_g_dot(g, op1(g, "sin", x[0]), x[1], nowhere));
}
static N *gather(G *g, N *const *x) {
    N *i = ints(g, LG_I32, 2, (int64_t[]){2, 2}, (int64_t[]){2, 0, 2, 1});
    return op1(g, "square", lg_g_gather(g, op1(g, "exp", x[0]), 0, 1, &i, nowhere));
}
static N *batch_gather(G *g, N *const *x) { /* x[b, i, j], both subscripts per b */
    N *idx[] = {ints(g, LG_I64, 2, (int64_t[]){2, 2}, (int64_t[]){1, 0, 1, 1}),
                ints(g, LG_I64, 2, (int64_t[]){2, 2}, (int64_t[]){0, 2, 1, 1})};
    return op1(g, "square", lg_g_gather(g, op1(g, "sin", x[0]), 1, 2, idx, nowhere));
}
static N *scatter_add(G *g, N *const *x) {
    N *i = ints(g, LG_I64, 1, (int64_t[]){3}, (int64_t[]){1, 1, 0});
    return op1(g, "square",
               lg_g_scatter(g, &lg_op_scatter_add, op1(g, "sin", x[0]), 0, 1, &i, x[1], nowhere));
}
static N *scatter_put(G *g, N *const *x) { /* row 1 is written twice: the last wins */
    N *i = ints(g, LG_I64, 1, (int64_t[]){3}, (int64_t[]){1, 1, 0});
    return op1(g, "square",
               lg_g_scatter(g, &lg_op_scatter_put, op1(g, "sin", x[0]), 0, 1, &i,
                            op1(g, "exp", x[1]), nowhere));
}
static N *concat(G *g, N *const *x) {
    N *part[] = {op1(g, "sin", x[0]), x[1], x[0]};
    return op1(g, "square", lg_g_concat(g, 3, part, 1, nowhere));
}
static N *solve(G *g, N *const *x) {
    N *two = lg_g_cast(g, ints(g, LG_I64, 2, (int64_t[]){2, 2}, (int64_t[]){2, 0, 0, 2}), LG_F64,
                       nowhere);
    N *a = op2(g, "add", two, op1(g, "sin", x[0]));
    lg_type t = x[1]->type[0];
    return lg_g_kernel(g, lg_op_find("solve"), 2, (N *[]){a, x[1]}, 1, &t, NULL, nowhere);
}
static N *fourier(G *g, N *const *x) {
    lg_type t[] = {x[0]->type[0], x[0]->type[0]};
    N *y = lg_g_kernel(g, lg_op_find("fft"), 2, (N *[]){x[0], op1(g, "sin", x[0])}, 2, t, NULL,
                       nowhere);
    return op2(g, "add", op1(g, "square", lg_g_item(g, y, 0)), op1(g, "exp", lg_g_item(g, y, 1)));
}

/* h' = tanh(h@w + x_t), yields h'*x_t and h; w a constant, x slices, h a carry. */
static N *loop(G *g, N *const *x, bool rev, bool stop) {
    G *b = lg_graph_new(g);
    int64_t trip = x[1]->type[0].shape[0];
    lg_type slice = f64(2, x[1]->type[0].shape[1], x[1]->type[0].shape[2], 0);
    N *h = lg_g_input(b, x[0]->type[0], nowhere), *go = NULL;
    if (stop)
        go = lg_g_input(b, lg_type_make(LG_BOOL, 0, NULL), nowhere);
    N *xt = lg_g_input(b, slice, nowhere),
      *t = lg_g_input(b, lg_type_make(LG_I64, 0, NULL), nowhere);
    N *w = lg_g_input(b, x[2]->type[0], nowhere);
    N *tf = lg_g_broadcast(b, lg_g_cast(b, t, LG_F64, nowhere), 2, slice.shape, (int[]){-1, -1},
                           nowhere);
    N *next = op1(b, "tanh", op2(b, "add", lg_g_dot(b, h, w, nowhere), xt));
    next = op2(b, "add", next, op2(b, "mul", op1(b, "sin", tf), lg_g_fill(b, slice, 0.1, nowhere)));
    lg_g_output(b, next, -1, NULL);
    if (stop) { /* two rounds are run, three begun with `go` false */
        N *two = lg_g_scalar(b, LG_I64, 1, nowhere);
        lg_g_output(b, op2(b, "lt", t, two), -1, NULL);
    }
    lg_g_output(b, op2(b, "mul", next, xt), -1, NULL);
    lg_g_output(b, op1(b, "log", op1(b, "square", h)), -1, NULL);
    lg_scan_attr s = {b, stop ? 2 : 1, 1, 1, 2, trip, rev, stop ? 1 : -1};
    N *in[] = {x[0], x[1], x[2], NULL}, *in_stop[] = {x[0], NULL, x[1], x[2]};
    if (stop)
        in_stop[1] = lg_g_scalar(g, LG_BOOL, 1, nowhere);
    N *r = lg_g_scan(g, &s, stop ? 4 : 3, stop ? in_stop : in, nowhere);
    N *last = all(g, "sum", op1(g, "square", lg_g_item(g, r, 0)));
    N *y1 = all(g, "sum", op1(g, "sin", lg_g_item(g, r, stop + 1)));
    N *y2 = all(g, "sum", op1(g, "tanh", lg_g_item(g, r, stop + 2)));
    return op2(g, "add", op2(g, "mul", last, y1), y2);
}
static N *scan(G *g, N *const *x) {
    return loop(g, x, false, false);
}
static N *scan_rev(G *g, N *const *x) {
    return loop(g, x, true, false);
}
static N *scan_stop(G *g, N *const *x) {
    return loop(g, x, false, true);
}

/* A loop in a loop: outer carry c, inner scan of c over the slices of x_t, with c yielded. */
static N *nested(G *g, N *const *x) {
    lg_type cell = f64(1, 2, 0, 0);
    G *b = lg_graph_new(g), *i = lg_graph_new(b);
    N *c = lg_g_input(b, cell, nowhere), *xt = lg_g_input(b, f64(2, 3, 2, 0), nowhere);
    lg_g_input(b, lg_type_make(LG_I64, 0, NULL), nowhere);
    N *ic = lg_g_input(i, cell, nowhere), *ix = lg_g_input(i, cell, nowhere);
    lg_g_input(i, lg_type_make(LG_I64, 0, NULL), nowhere);
    N *n = op1(i, "sin", op2(i, "add", op2(i, "mul", ic, ix), ix));
    lg_g_output(i, n, -1, NULL);
    lg_g_output(i, op1(i, "square", n), -1, NULL);
    lg_scan_attr si = {i, 1, 1, 0, 1, 3, false, -1};
    N *r = lg_g_scan(b, &si, 2, (N *[]){c, xt}, nowhere);
    lg_g_output(b, op2(b, "mul", lg_g_item(b, r, 0), op1(b, "exp", c)), -1, NULL);
    lg_g_output(b, all(b, "sum", lg_g_item(b, r, 1)), -1, NULL);
    lg_scan_attr so = {b, 1, 1, 0, 1, 2, false, -1};
    N *o = lg_g_scan(g, &so, 2, (N *[]){x[0], x[1]}, nowhere);
    return op2(g, "add", all(g, "sum", lg_g_item(g, o, 0)), all(g, "prod", lg_g_item(g, o, 1)));
}

static G *branch(G *g, bool first, const lg_type *t) {
    G *b = lg_graph_new(g);
    N *p = lg_g_input(b, *t, nowhere), *q = lg_g_input(b, *t, nowhere);
    lg_g_output(b, first ? op2(b, "mul", op1(b, "sin", p), q) : op1(b, "exp", p), -1, NULL);
    lg_g_output(b, first ? p : op1(b, "square", p), -1, NULL);
    return b;
}
static N *choose(G *g, N *const *x, bool first) {
    lg_cond_attr c = {branch(g, true, x[0]->type), branch(g, false, x[0]->type)};
    N *in[] = {lg_g_scalar(g, LG_BOOL, first, nowhere), op1(g, "tanh", x[0]), x[1]};
    N *y = lg_g_cond(g, &c, 3, in, nowhere);
    return op2(g, "mul", lg_g_item(g, y, 0), op1(g, "exp", lg_g_item(g, y, 1)));
}
static N *cond_then(G *g, N *const *x) {
    return choose(g, x, true);
}
static N *cond_else(G *g, N *const *x) {
    return choose(g, x, false);
}
static N *remat(G *g, N *const *x) {
    N *y = op1(g, "sin", op2(g, "mul", op1(g, "exp", x[0]), x[1]));
    y = lg_g_remat(g, 3, (N *[]){y, x[0], x[1]}, nowhere);
    return op2(g, "mul", y, x[0]);
}
static N *shared(G *g, N *const *x) { /* one value, many uses */
    N *a = op2(g, "mul", x[0], x[0]);
    return op2(g, "add", op2(g, "mul", a, a), op2(g, "sub", a, x[0]));
}

static const kase kases[] = {
    {"elementwise", elem, 2, {{LG_F64, 2, {2, 3}}, {LG_F64, 2, {2, 3}}}, false},
    {"shared", shared, 1, {{LG_F64, 1, {3}}}, false},
    {"views", views, 2, {{LG_F64, 2, {3, 4}}, {LG_F64, 1, {2}}}, false},
    {"unview and reshape", unview, 1, {{LG_F64, 2, {2, 3}}}, false},
    {"reductions", reduce, 1, {{LG_F64, 2, {2, 3}}}, false},
    {"running", cum, 1, {{LG_F64, 2, {2, 3}}}, false},
    {"dot", dot, 2, {{LG_F64, 3, {2, 2, 3}}, {LG_F64, 3, {2, 3, 2}}}, false},
    {"gather", gather, 1, {{LG_F64, 2, {3, 2}}}, false},
    {"gather in a batch", batch_gather, 1, {{LG_F64, 3, {2, 2, 3}}}, false},
    {"scatter add", scatter_add, 2, {{LG_F64, 2, {2, 2}}, {LG_F64, 2, {3, 2}}}, false},
    {"scatter put", scatter_put, 2, {{LG_F64, 2, {2, 2}}, {LG_F64, 2, {3, 2}}}, false},
    {"concat", concat, 2, {{LG_F64, 2, {2, 2}}, {LG_F64, 2, {2, 1}}}, false},
    {"solve", solve, 2, {{LG_F64, 2, {2, 2}}, {LG_F64, 2, {2, 1}}}, false},
    {"fft", fourier, 1, {{LG_F64, 1, {4}}}, false},
    {"scan", scan, 3, {{LG_F64, 2, {2, 2}}, {LG_F64, 3, {3, 2, 2}}, {LG_F64, 2, {2, 2}}}, false},
    {"scan backwards",
     scan_rev,
     3,
     {{LG_F64, 2, {2, 2}}, {LG_F64, 3, {3, 2, 2}}, {LG_F64, 2, {2, 2}}},
     false},
    {"scan that stops",
     scan_stop,
     3,
     {{LG_F64, 2, {2, 2}}, {LG_F64, 3, {4, 2, 2}}, {LG_F64, 2, {2, 2}}},
     false},
    {"scan in a scan", nested, 2, {{LG_F64, 1, {2}}, {LG_F64, 3, {2, 3, 2}}}, false},
    {"cond, first branch", cond_then, 2, {{LG_F64, 1, {3}}, {LG_F64, 1, {3}}}, false},
    {"cond, second branch", cond_else, 2, {{LG_F64, 1, {3}}, {LG_F64, 1, {3}}}, false},
    {"remat", remat, 2, {{LG_F64, 1, {3}}, {LG_F64, 1, {3}}}, false},
    {"cast", cast, 1, {{LG_F64, 1, {3}}}, true},
};

/* ---- harness ---- */

typedef struct {
    lg_arena *arena;
    lg_diags ds;
    lg_elab *E;
    const kase *k;
} fixture;

static double noise(size_t i) { /* in 0.3 .. 1.2 */
    double s = sin((double)i * 12.9898 + 4.1) * 43758.5453;
    return 0.3 + 0.9 * (s - floor(s));
}

static lg_tensor *tensor_of(const lg_type *t, size_t seed) {
    lg_tensor *x = lg_tensor_new(t->dtype, t->rank, t->shape);
    for (size_t i = 0; i < x->n; i++)
        lg_set_f64(t->dtype, x->data, i, noise(seed * 100 + i));
    return x;
}

static N *const_of(G *g, const lg_type *t, size_t seed) {
    lg_tensor *x = tensor_of(t, seed);
    N *n = lg_g_const(g, x, nowhere);
    lg_tensor_release(x);
    return n;
}

static N *weighted(G *g, N *y, size_t seed) {
    return all(g, "sum", op2(g, "mul", y, const_of(g, y->type, seed)));
}

/* The scalar <f(x), fixed weights> in a fresh graph; x: the inputs. */
static N *start(fixture *f, G *g, N **x, N **y) {
    for (int k = 0; k < f->k->n_in; k++)
        x[k] = lg_g_input(g, f->k->in[k], nowhere);
    *y = f->k->build(g, x);
    return weighted(g, *y, 7);
}

static bool run(G *g, lg_tensor *const *in, int n_out, N *const *out, lg_tensor **result,
                const char *name) {
    for (int k = 0; k < n_out; k++)
        lg_g_output(g, out[k], -1, NULL);
    char *bad = lg_graph_verify(g);
    if (bad) {
        printf("FAIL %s: %s\n", name, bad);
        failed++;
        lg_free(bad);
        return false;
    }
    lg_fault fault = {0};
    if (lg_graph_eval(g, in, result, &fault))
        return true;
    printf("FAIL %s: fault %s\n", name, fault.text);
    failed++;
    return false;
}

/* order 0: the scalar; 1: <gradient, fixed directions>. */
static double value_at(fixture *f, lg_tensor *const *in, int order) {
    G *g = lg_graph_new(NULL);
    N *x[MAX_IN], *y, *dx[MAX_IN], *s = start(f, g, x, &y);
    if (order) {
        N *one = lg_g_fill(g, s->type[0], 1, nowhere), *total = NULL;
        lg_grad_vjp(f->E, g, 1, &s, &one, f->k->n_in, x, dx, nowhere);
        for (int k = 0; k < f->k->n_in; k++)
            if (dx[k]) {
                N *p = weighted(g, dx[k], 20 + (size_t)k);
                total = total ? op2(g, "add", total, p) : p;
            }
        s = total ? total : zeros(g, s);
    }
    lg_tensor *r = NULL;
    double v = run(g, in, 1, &s, &r, f->k->name) ? lg_get_f64(LG_F64, r->data, 0) : NAN;
    lg_tensor_release(r);
    lg_graph_free(g);
    return v;
}

/* The derivative of value_at(order) by the pass, against central differences of it. */
static void check_order(fixture *f, lg_tensor **in, int order) {
    G *g = lg_graph_new(NULL);
    N *x[MAX_IN], *y, *dx[MAX_IN], *s = start(f, g, x, &y);
    for (int o = 0; o <= order; o++) {
        N *one = lg_g_fill(g, s->type[0], 1, nowhere), *total = NULL;
        if (!lg_grad_vjp(f->E, g, 1, &s, &one, f->k->n_in, x, dx, nowhere)) {
            report(false, f->k->name, "derivative refused", o, 0);
            lg_diags_print(f->E->diags, stdout, false);
            lg_graph_free(g);
            return;
        }
        for (int k = 0; k < f->k->n_in; k++) {
            if (!dx[k])
                dx[k] = zeros(g, x[k]);
            N *p = weighted(g, dx[k], 20 + (size_t)k);
            total = total ? op2(g, "add", total, p) : p;
        }
        s = total;
    }
    lg_tensor *d[MAX_IN] = {0};
    bool ok = run(g, in, f->k->n_in, dx, d, f->k->name);
    for (int k = 0; ok && k < f->k->n_in; k++)
        for (size_t i = 0; i < in[k]->n; i++) {
            double *p = (double *)in[k]->data + i, was = *p, h = f->k->first_only ? 1e-3 : 1e-5;
            *p = was + h;
            double up = value_at(f, in, order);
            *p = was - h;
            double want = (up - value_at(f, in, order)) / (2 * h),
                   got = lg_get_f64(LG_F64, d[k]->data, i);
            *p = was;
            double tol = (f->k->first_only ? 1e-3 : 2e-7) * (1 + fabs(want));
            report(fabs(got - want) <= tol, f->k->name, order ? "second derivative" : "gradient",
                   got, want);
        }
    for (int k = 0; k < f->k->n_in; k++)
        lg_tensor_release(d[k]);
    lg_graph_free(g);
}

/* <w, J v> by the forward pass, <J' w, v> by the reverse one. */
static void check_forward(fixture *f, lg_tensor **in) {
    G *g = lg_graph_new(NULL);
    N *x[MAX_IN], *y, *dx[MAX_IN], *v[MAX_IN], *ty;
    start(f, g, x, &y);
    for (int k = 0; k < f->k->n_in; k++)
        v[k] = const_of(g, x[k]->type, 40 + (size_t)k);
    N *w = const_of(g, y->type, 50), *rev = NULL;
    bool ok = lg_grad_vjp(f->E, g, 1, &y, &w, f->k->n_in, x, dx, nowhere) &&
              lg_grad_jvp(f->E, g, f->k->n_in, x, v, 1, &y, &ty, nowhere);
    report(ok && ty, f->k->name, "forward derivative", ok, 1);
    for (int k = 0; k < f->k->n_in && ok; k++)
        if (dx[k]) {
            N *p = all(g, "sum", op2(g, "mul", dx[k], v[k]));
            rev = rev ? op2(g, "add", rev, p) : p;
        }
    if (ok && ty) {
        N *out[] = {all(g, "sum", op2(g, "mul", ty, w)), rev};
        lg_tensor *r[2] = {0};
        if (run(g, in, 2, out, r, f->k->name)) {
            double a = lg_get_f64(LG_F64, r[0]->data, 0), b = lg_get_f64(LG_F64, r[1]->data, 0);
            report(fabs(a - b) <= 1e-6 * (1 + fabs(b)), f->k->name, "forward against reverse", a,
                   b);
        }
        lg_tensor_release(r[0]);
        lg_tensor_release(r[1]);
    }
    lg_graph_free(g);
}

static void check(const kase *k) {
    fixture f = {.arena = lg_arena_new(), .k = k};
    lg_diags_init(&f.ds);
    f.E = lg_elab_new(f.arena, &f.ds);
    lg_tensor *in[MAX_IN];
    for (int i = 0; i < k->n_in; i++)
        in[i] = tensor_of(&k->in[i], (size_t)i + 1);
    check_order(&f, in, 0);
    if (!k->first_only)
        check_order(&f, in, 1);
    check_forward(&f, in);
    for (int i = 0; i < k->n_in; i++)
        lg_tensor_release(in[i]);
    lg_diags_fini(&f.ds);
    lg_arena_free(f.arena);
}

/* What is not reached has no cotangent, and constants stay constants. */
static void check_zeros(void) {
    lg_arena *a = lg_arena_new();
    lg_diags ds;
    lg_diags_init(&ds);
    lg_elab *E = lg_elab_new(a, &ds);
    G *g = lg_graph_new(NULL);
    N *x[] = {lg_g_input(g, f64(1, 3, 0, 0), nowhere), lg_g_input(g, f64(1, 3, 0, 0), nowhere),
              lg_g_input(g, f64(1, 3, 0, 0), nowhere)};
    N *still = lg_g_mark(g, &lg_op_stop_grad, op1(g, "exp", x[1]), NULL, nowhere);
    N *y = all(g, "sum", op2(g, "mul", x[0], still)), *one = lg_g_fill(g, y->type[0], 1, nowhere),
      *dx[3];
    bool ok = lg_grad_vjp(E, g, 1, &y, &one, 3, x, dx, nowhere);
    report(ok && dx[0] && !dx[1] && !dx[2], "zeros", "stay symbolic", ok, 1);
    N *s = op1(g, "floor", x[0]);
    y = all(g, "sum", s);
    ok = lg_grad_vjp(E, g, 1, &y, &one, 1, x, dx, nowhere);
    report(ok && !dx[0], "zeros", "floor has none", ok, 1);
    /* with respect to a value on the way: what lies before it is not entered */
    N *h = op1(g, "sin", x[0]), *at[] = {h, x[0]};
    y = all(g, "sum", op1(g, "square", h));
    ok = lg_grad_vjp(E, g, 1, &y, &one, 2, at, dx, nowhere);
    report(ok && dx[0] && !dx[1], "zeros", "not before x", ok, 1);
    lg_graph_free(g);
    lg_diags_fini(&ds);
    lg_arena_free(a);
}

int main(void) {
    for (size_t i = 0; i < LG_COUNT(kases); i++)
        check(&kases[i]);
    check_zeros();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
