/* registry.c: every op of the registry keeps its word: it is described, its dtypes agree, and its
 * derivative is that of its value, at second order too, forwards as backwards. An op that says
 * nothing about where to sample it fails, so that none slips by. */
#include "compiler/mid/grad.h"
#include "tests/mid/walk.h"
#include <math.h>
#include <stdio.h>

enum { N = 6, MOST = 3 };
static int passed, failed;
static const lg_span at = {0, 0, 0};
static lg_elab *E;

static void check(const lg_op *op, const char *what, bool ok) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAILED %s: %s\n", op->name, what);
    }
}

static uint64_t seed = 7;

static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static bool samples(const lg_op *op) {
    return op->lo < op->hi;
}

static bool is_flag(const lg_op *op, int k) {
    return op->flag_in >> k & 1;
}

static bool has_rule(const lg_op *op) {
    for (int k = 0; k < 4; k++)
        if (op->vjp[k])
            return true;
    return op->vjp_fn != NULL;
}

/* Is a whole number wanted there? Inputs without a derivative beside some that have one are. */
static bool is_whole(const lg_op *op, int k) {
    return has_rule(op) && !op->vjp_fn && !op->vjp[k] && !is_flag(op, k);
}

/* Does a condition change the value? One that does not only lets derivatives pass. */
static bool decides(const lg_op *op) {
    double x[2] = {1, 2}, y[2] = {0};
    const uint8_t flag[2] = {1, 0};
    for (int f = 0; f < 2; f++) {
        const void *in[MOST] = {&x[0], &x[0], &x[0]};
        in[op->key == 1 ? 2 : op->key] = &x[1];
        for (int k = 0; k < op->arity; k++)
            if (is_flag(op, k))
                in[k] = &flag[f];
        op->elem[LG_F64](1, in, &y[f]);
    }
    return memcmp(&y[0], &y[1], sizeof y[0]) != 0;
}

/* Values of input k, apart from each other so that maxima are not ties. */
static lg_tensor *sample(const lg_op *op, int k, int rank, const int64_t *shape) {
    lg_dtype t = is_flag(op, k)                        ? LG_BOOL
                 : op->elem[LG_F64] || op->row[LG_F64] ? LG_F64
                                                       : LG_NO_DTYPE;
    if (t == LG_NO_DTYPE)
        t = op->cls == LG_C_CUM || op->cls == LG_C_KERNEL ? LG_F64
            : op->elem[LG_I64]                            ? LG_I64
                                                          : LG_BOOL;
    lg_tensor *x = lg_tensor_new(t, rank, shape);
    bool open = is_flag(op, k) && !decides(op);
    for (size_t i = 0; i < x->n; i++) {
        double v = op->lo + (op->hi - op->lo) * (0.05 + 0.9 * uniform());
        lg_set_f64(t, x->data, i,
                   t == LG_BOOL      ? (double)(open || i & 1)
                   : is_whole(op, k) ? floor(v + 0.5)
                                     : v);
    }
    return x;
}

/* ---- words ---- */

static void words(const lg_op *op) {
    check(op, "has a name, a signature and a line of help", op->name && op->sig && op->doc);
    check(op, "says whether it has a derivative",
          (has_rule(op) || op->traits & LG_T_NODIFF) ||
              (op->cls != LG_C_ELEM && op->cls != LG_C_REDUCE && op->cls != LG_C_CUM));
    if (op->cls != LG_C_ELEM && op->cls != LG_C_REDUCE && op->cls != LG_C_CUM)
        return;
    check(op, "has an example with its result", op->example && op->result);
    check(op, "says where to sample it", samples(op));
    bool whole = op->cls != LG_C_ELEM || op->cexpr || op->cexpr_int;
    check(op, "has its text in C", whole);
}

/* ---- values ---- */

static void values(const lg_op *op) {
    if (op->cls != LG_C_ELEM || !op->elem[LG_F64])
        return;
    float y[N], x[MOST][N];
    double want[N], wide[MOST][N];
    uint8_t flag[N];
    const void *in[MOST], *in64[MOST];
    for (int k = 0; k < op->arity; k++) {
        lg_tensor *s = sample(op, k, 1, (int64_t[]){N});
        for (int i = 0; i < N; i++) {
            x[k][i] = (float)lg_get_f64(s->dtype, s->data, (size_t)i);
            wide[k][i] = (double)x[k][i];
            if (is_flag(op, k))
                flag[i] = (uint8_t)(i & 1);
        }
        in[k] = is_flag(op, k) ? (const void *)flag : x[k];
        in64[k] = is_flag(op, k) ? (const void *)flag : wide[k];
        lg_tensor_release(s);
    }
    op->elem[LG_F32](N, in, y);
    op->elem[LG_F64](N, in64, want);
    bool close = true, same = true;
    if (op->out_dtype == LG_BOOL)
        close = !memcmp(y, want, N);
    else
        for (int i = 0; i < N; i++)
            close = close && fabs((double)y[i] - want[i]) <= 1e-5 * (1 + fabs(want[i]));
    check(op, "f32 agrees with f64", close);
    float in_place[N];
    memcpy(in_place, x[op->key], sizeof in_place);
    in[op->key] = in_place;
    op->elem[LG_F32](N, in, in_place);
    same = !memcmp(in_place, y, op->out_dtype == LG_BOOL ? N : sizeof y);
    check(op, "gives the same in place", same);
    op->elem[LG_F32](0, in, y);
    check(op, "takes nothing", true);
}

/* Rows of every length against joining one element at a time. */
static void rows(const lg_op *op) {
    if (op->cls != LG_C_REDUCE)
        return;
    for (int t = 0; t < LG_N_DTYPES; t++) {
        if (!op->row[t] || !op->elem[t])
            continue;
        bool good = true;
        for (size_t n = 0; n < 200; n += n < 70 ? 1 : 43) {
            double in[200] = {0}, out[1] = {0}, acc[1] = {0}, one[1] = {0}, next[1] = {0};
            for (size_t i = 0; i < n; i++)
                lg_set_f64((lg_dtype)t, in, i,
                           t == LG_BOOL ? (double)(i == 99) : 0.7 + 0.6 * uniform());
            op->row[t](n, (const void *[]){in}, out);
            lg_set_f64((lg_dtype)t, acc, 0, op->identity);
            for (size_t i = 0; i < n; i++) {
                size_t size = lg_dtype_size((lg_dtype)t);
                memcpy(one, (char *)in + i * size, size);
                op->elem[t](1, (const void *[]){acc, one}, next);
                memcpy(acc, next, size);
            }
            double a = lg_get_f64((lg_dtype)t, acc, 0), b = lg_get_f64((lg_dtype)t, out, 0);
            double tol = t == LG_BF16 || t == LG_F16 ? 0.2 : t == LG_F32 ? 1e-5 : 1e-12;
            good = good && (fabs(a - b) <= tol * (1 + fabs(a)) || (isinf(a) && isinf(b)));
        }
        check(op, lg_dtype_name((lg_dtype)t), good);
    }
}

/* ---- derivatives ---- */

typedef struct {
    const lg_op *op;
    int n, rank, form; /* form: axis, mask or direction, as the class wants it */
    int64_t shape[2];
    lg_tensor *in[MOST];
} kase;

static lg_node *apply(lg_graph *g, const kase *k, lg_node *const *x) {
    switch (k->op->cls) {
    case LG_C_ELEM:
        return lg_g_elem(g, k->op, k->n, x, at);
    case LG_C_REDUCE:
        return lg_g_reduce(g, k->op, x[0], (uint32_t)k->form, at);
    case LG_C_CUM:
        return lg_g_cum(g, k->op, x[0], k->form & 1, k->form >> 1, at);
    default: {
        lg_attr a = {.p = {k->form & 1}};
        return lg_g_kernel(g, k->op, k->n, x, 1, &x[0]->type[0], &a, at);
    }
    }
}

static lg_node *mul(lg_graph *g, lg_node *a, lg_node *b) {
    return lg_g_elem(g, lg_op_find("mul"), 2, (lg_node *[]){a, b}, at);
}

static lg_node *total(lg_graph *g, lg_node *x) {
    return lg_g_reduce(g, lg_op_find("sum"), x, (1u << x->type[0].rank) - 1, at);
}

/* Fixed weights of either sign, so that no two elements count alike. */
static lg_node *weights(lg_graph *g, const lg_type *t) {
    lg_tensor *w = lg_tensor_new(t->dtype, t->rank, t->shape);
    for (size_t i = 0; i < w->n; i++)
        lg_set_f64(t->dtype, w->data, i, 0.5 + 0.37 * (double)i - (i % 3 ? 1.3 : 0));
    lg_node *n = lg_g_const(g, w, at);
    lg_tensor_release(w);
    return n;
}

/* The weighted sum of the op's results; at order 1 that of its gradients. */
static lg_node *scalar(lg_graph *g, const kase *k, lg_node *const *x, int order) {
    lg_node *y = apply(g, k, x), *s = total(g, mul(g, weights(g, &y->type[0]), y));
    if (!order)
        return s;
    lg_node *one = lg_g_fill(g, s->type[0], 1, at), *dx[MOST] = {0}, *sum = NULL;
    if (!lg_grad_vjp(E, g, 1, &s, &one, k->n, x, dx, at))
        return NULL;
    for (int i = 0; i < k->n; i++)
        if (dx[i]) {
            lg_node *p = total(g, mul(g, weights(g, &dx[i]->type[0]), dx[i]));
            sum = sum ? lg_g_elem(g, lg_op_find("add"), 2, (lg_node *[]){sum, p}, at) : p;
        }
    return sum ? sum : lg_g_fill(g, s->type[0], 0, at);
}

static void inputs(lg_graph *g, const kase *k, lg_node **x) {
    for (int i = 0; i < k->n; i++)
        x[i] = lg_g_input(g, lg_type_make(k->in[i]->dtype, k->rank, k->shape), at);
}

static double value(const kase *k, int order) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x[MOST], *s;
    lg_tensor *out[1];
    lg_fault fault = {0};
    inputs(g, k, x);
    s = scalar(g, k, x, order);
    double v = NAN;
    if (s) {
        lg_g_output(g, s, -1, NULL);
        if (walk(g, k->in, out, &fault))
            v = lg_get_f64(out[0]->dtype, out[0]->data, 0);
        lg_tensor_release(out[0]);
    }
    lg_graph_free(g);
    return v;
}

static bool near(double a, double b, double tol) {
    return fabs(a - b) <= tol * (1 + fabs(a) + fabs(b));
}

static void gradient(const kase *k, int order) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x[MOST], *dx[MOST] = {0};
    lg_tensor *out[MOST];
    lg_fault fault = {0};
    inputs(g, k, x);
    lg_node *s = scalar(g, k, x, order), *one = s ? lg_g_fill(g, s->type[0], 1, at) : NULL;
    bool ok = s && lg_grad_vjp(E, g, 1, &s, &one, k->n, x, dx, at);
    for (int i = 0; ok && i < k->n; i++) {
        if (!dx[i])
            dx[i] = lg_g_fill(g, x[i]->type[0], 0, at);
        lg_g_output(g, dx[i], -1, NULL);
    }
    check(k->op, "its rule can be read", ok);
    if (ok && walk(g, k->in, out, &fault)) {
        bool good = true;
        for (int i = 0; i < k->n; i++) {
            bool moves = k->in[i]->dtype == LG_F64 && !is_whole(k->op, i);
            for (size_t j = 0; moves && j < k->in[i]->n; j++) {
                double *p = (double *)k->in[i]->data + j, was = *p, h = 1e-5;
                *p = was + h;
                double up = value(k, order);
                *p = was - h;
                double want = (up - value(k, order)) / (2 * h);
                *p = was;
                good = good && near(((double *)out[i]->data)[j], want, 1e-6);
            }
            lg_tensor_release(out[i]);
        }
        check(k->op,
              order ? "second derivative against differences" : "gradient against differences",
              good);
    }
    lg_graph_free(g);
}

/* <w, J v> forwards is <J' w, v> backwards. */
static void forwards(const kase *k) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x[MOST], *v[MOST], *dx[MOST] = {0}, *ty = NULL, *back = NULL;
    lg_tensor *out[2];
    lg_fault fault = {0};
    inputs(g, k, x);
    lg_node *y = apply(g, k, x), *w = weights(g, &y->type[0]);
    for (int i = 0; i < k->n; i++)
        v[i] = k->in[i]->dtype == LG_F64 ? weights(g, &x[i]->type[0]) : NULL;
    bool ok = lg_grad_vjp(E, g, 1, &y, &w, k->n, x, dx, at) &&
              lg_grad_jvp(E, g, k->n, x, v, 1, &y, &ty, at);
    for (int i = 0; ok && i < k->n; i++)
        if (dx[i] && v[i]) {
            lg_node *p = total(g, mul(g, dx[i], v[i]));
            back = back ? lg_g_elem(g, lg_op_find("add"), 2, (lg_node *[]){back, p}, at) : p;
        }
    if (ok && !ty) /* where nothing was reduced */
        ty = lg_g_fill(g, y->type[0], 0, at);
    ok = ok && back;
    if (ok) {
        lg_g_output(g, total(g, mul(g, ty, w)), -1, NULL);
        lg_g_output(g, back, -1, NULL);
        ok = walk(g, k->in, out, &fault) &&
             near(*(double *)out[0]->data, *(double *)out[1]->data, 1e-9);
        lg_tensor_release(out[0]);
        lg_tensor_release(out[1]);
    }
    check(k->op, "forwards as backwards", ok);
    lg_graph_free(g);
}

static void differentiate(kase k) {
    for (int i = 0; i < k.n; i++)
        k.in[i] = sample(k.op, i, k.rank, k.shape);
    if (k.in[k.op->key]->dtype == LG_F64) {
        gradient(&k, 0);
        gradient(&k, 1);
        forwards(&k);
    }
    for (int i = 0; i < k.n; i++)
        lg_tensor_release(k.in[i]);
}

static void derivatives(const lg_op *op) {
    if (!samples(op) || !has_rule(op))
        return;
    kase k = {.op = op, .n = op->arity, .rank = 2, .shape = {3, 4}};
    int forms = op->cls == LG_C_ELEM ? 1 : op->cls == LG_C_KERNEL ? 2 : 4;
    for (k.form = 0; k.form < forms; k.form++)
        differentiate(k);
    if (op->cls == LG_C_ELEM) { /* a scalar */
        k.form = k.rank = 0;
        differentiate(k);
    }
    k.form = 1; /* and nothing at all */
    k.rank = 2;
    k.shape[0] = 0;
    differentiate(k);
}

/* Products whose factors are 0 have the gradient of a polynomial. */
static void zeros(const char *name, int form) {
    kase k = {.op = lg_op_find(name), .n = 1, .rank = 2, .form = form, .shape = {2, 3}};
    k.in[0] = lg_tensor_new(LG_F64, 2, k.shape);
    for (size_t i = 0; i < k.in[0]->n; i++)
        ((double *)k.in[0]->data)[i] = i % 2 ? 0 : 0.5 + 0.2 * (double)i;
    gradient(&k, 0);
    gradient(&k, 1);
    lg_tensor_release(k.in[0]);
}

int main(void) {
    lg_arena *a = lg_arena_new();
    lg_diags ds;
    lg_diags_init(&ds);
    E = lg_elab_new(a, &ds);
    for (size_t i = 0; i < lg_op_count(); i++) {
        const lg_op *op = lg_op_at(i);
        words(op);
        values(op);
        rows(op);
        derivatives(op);
    }
    for (int form = 1; form < 4; form++)
        zeros("prod", form);
    for (int form = 0; form < 4; form++)
        zeros("cumprod", form);
    lg_diags_print(&ds, stdout, false);
    lg_diags_fini(&ds);
    lg_arena_free(a);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
