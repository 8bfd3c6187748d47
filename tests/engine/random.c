/* random.c: graphs made at random: fused on one and on more threads they must give what they give
 * op by op. Not for speed. Argument: number of graphs; then the seed to begin with. */
#include "ops/ops.h"
#include "runtime/exec.h"
#include "compiler/back/jit.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint32_t next(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static int below(int n) {
    return (int)(next() % (uint32_t)n);
}

static const lg_span nowhere = {0, 0, 0};

typedef struct {
    lg_graph *g;
    lg_node *pool[400];
    int n;
    int64_t dims[6];
    bool inner;
} gen;

static void put(gen *r, lg_node *x) {
    if (r->n < 400 && lg_type_count(&x->type[0]) < 1 << 21)
        r->pool[r->n++] = x;
}

static lg_type some_type(gen *r, lg_dtype t) {
    int64_t shape[4];
    int rank = below(4);
    for (int d = 0; d < rank; d++)
        shape[d] = r->dims[below(6)];
    return lg_type_make(t, rank, shape);
}

static lg_node *pick(gen *r, lg_dtype t) {
    for (int k = 0; k < 50; k++) {
        lg_node *x = r->pool[r->n - 1 - below(r->n < 12 || k > 20 ? r->n : 12)];
        if (x->type[0].dtype == t)
            return x;
    }
    return NULL;
}

/* x broadcast, permuted or sliced to a type like t; or just cut to fit when it cannot. */
static lg_node *fit(gen *r, lg_node *x, const lg_type *t) {
    int from[LG_MAX_RANK];
    int next_in = 0;
    const lg_type *u = &x->type[0];
    if (lg_type_equal(u, t))
        return x;
    for (int d = 0; d < t->rank; d++)
        from[d] = next_in < u->rank && u->shape[next_in] == t->shape[d] ? next_in++ : -1;
    if (next_in == u->rank)
        return lg_g_broadcast(r->g, x, t->rank, t->shape, from, nowhere);
    return lg_g_fill(r->g, *t, 0.25, nowhere);
}

static const char *const unary[] = {"exp", "tanh", "neg", "abs", "sqrt", "sigmoid"};
static const char *const binary[] = {"add", "sub", "mul", "max", "min"};

static lg_node *op1(gen *r, const char *name, lg_node *x) {
    return lg_g_elem(r->g, lg_op_find(name), 1, &x, nowhere);
}

static lg_node *op2(gen *r, const char *name, lg_node *a, lg_node *b) {
    return lg_g_elem(r->g, lg_op_find(name), 2, (lg_node *[]){a, b}, nowhere);
}

/* Values stay moderate, so that sums in another order stay comparable. */
static lg_node *tame(gen *r, lg_node *x) {
    return op1(r, "tanh", x);
}

static void add_elem(gen *r) {
    lg_node *x = pick(r, LG_F32);
    if (below(2)) {
        const char *name = unary[below(6)];
        if (strcmp(name, "sqrt") == 0)
            x = op1(r, "abs", x);
        if (strcmp(name, "exp") == 0)
            x = tame(r, x);
        put(r, op1(r, name, x));
        return;
    }
    lg_node *y = fit(r, pick(r, LG_F32), &x->type[0]);
    put(r, op2(r, binary[below(5)], x, y));
}

static void add_where(gen *r) {
    lg_node *x = pick(r, LG_F32);
    lg_node *y = fit(r, pick(r, LG_F32), &x->type[0]), *z = fit(r, pick(r, LG_F32), &x->type[0]);
    lg_node *c = op2(r, "lt", y, z);
    put(r, lg_g_elem(r->g, lg_op_find("where"), 3, (lg_node *[]){c, x, y}, nowhere));
    if (below(2))
        put(r, lg_g_cast(r->g, c, LG_F32, nowhere));
}

static void add_reduce(gen *r) {
    static const char *const ops[] = {"sum", "reduce_max", "reduce_min", "argmax"};
    lg_node *x = pick(r, LG_F32);
    int rank = x->type[0].rank, k = below(4);
    if (rank == 0)
        return;
    uint32_t mask = k == 3 ? 1u << below(rank) : (next() & ((1u << rank) - 1));
    if (!mask)
        mask = 1u << (rank - 1);
    for (int d = 0; d < rank; d++)
        if (k == 3 && (mask >> d & 1) && x->type[0].shape[d] == 0)
            return;
    const lg_op *op = lg_op_find(ops[k]);
    lg_node *y = lg_g_reduce(r->g, op, k == 0 ? x : op2(r, "mul", x, x), mask, nowhere);
    if (k == 3)
        y = lg_g_cast(r->g, y, LG_F32, nowhere);
    y = tame(r, y);
    put(r, y);
    if (below(2)) { /* broadcast back along the axes that were kept */
        int from[LG_MAX_RANK], kept = 0;
        for (int d = 0; d < rank; d++)
            from[d] = mask >> d & 1 ? -1 : kept++;
        lg_node *b = lg_g_broadcast(r->g, y, rank, x->type[0].shape, from, nowhere);
        put(r, op2(r, "sub", x, b));
    }
}

static void add_view(gen *r) {
    lg_node *x = pick(r, LG_F32);
    int rank = x->type[0].rank;
    if (rank == 0)
        return;
    if (below(2)) {
        int perm[LG_MAX_RANK];
        for (int d = 0; d < rank; d++)
            perm[d] = (d + 1) % rank;
        put(r, lg_g_permute(r->g, x, perm, nowhere));
        return;
    }
    int axis = below(rank);
    int64_t n = x->type[0].shape[axis];
    if (n >= 2)
        put(r, lg_g_slice(r->g, x, axis, n - 1, n / 2 + 1, -1, nowhere));
}

static void add_reshape(gen *r) {
    lg_node *x = pick(r, LG_F32);
    const lg_type *t = &x->type[0];
    int64_t shape[LG_MAX_RANK];
    int rank = t->rank;
    if (rank < 2)
        return;
    for (int d = 0; d < rank; d++)
        shape[d] = t->shape[rank - 1 - d];
    if (below(2)) {
        shape[0] = t->shape[0] * t->shape[1];
        for (int d = 2; d < rank; d++)
            shape[d - 1] = t->shape[d];
        rank--;
    }
    put(r, lg_g_reshape(r->g, x, rank, shape, nowhere));
}

static bool too_big(const lg_type *t) {
    return lg_type_count(t) > 300000;
}

static void add_dot(gen *r) {
    lg_node *x = pick(r, LG_F32);
    const lg_type *t = &x->type[0];
    if (t->rank < 2)
        return;
    lg_type w = *t, y = *t;
    w.shape[w.rank - 2] = t->shape[t->rank - 1];
    w.shape[w.rank - 1] = y.shape[y.rank - 1] = r->dims[below(6)];
    if (too_big(&w) || too_big(&y) || lg_type_count(&y) * (size_t)t->shape[t->rank - 1] > 30000000)
        return;
    lg_node *b = fit(r, pick(r, LG_F32), &w);
    put(r, tame(r, lg_g_dot(r->g, x, b, nowhere)));
}

static lg_node *index_of(gen *r, const lg_type *t, int64_t n) {
    lg_node *x = fit(r, pick(r, LG_F32), t);
    x = op2(r, "mul", op1(r, "sigmoid", x), lg_g_fill(r->g, *t, (double)n * 0.999, nowhere));
    return lg_g_cast(r->g, x, below(2) ? LG_I32 : LG_I64, nowhere);
}

static void add_gather(gen *r) {
    lg_node *x = pick(r, LG_F32);
    if (x->type[0].rank == 0 || x->type[0].shape[0] == 0)
        return;
    lg_type t = some_type(r, LG_F32);
    if (t.rank + x->type[0].rank > 5)
        return;
    lg_type u = t;
    for (int d = 1; d < x->type[0].rank; d++)
        u.shape[u.rank++] = x->type[0].shape[d];
    if (too_big(&u) || too_big(&t))
        return;
    lg_node *i = index_of(r, &t, x->type[0].shape[0]);
    if (below(2)) {
        put(r, lg_g_gather(r->g, x, 0, 1, &i, nowhere));
        return;
    }
    lg_node *upd = fit(r, pick(r, LG_F32), &u);
    put(r, lg_g_scatter(r->g, &lg_op_scatter_put, x, 0, 1, &i, upd, nowhere));
}

static void add_iota(gen *r) {
    lg_type t = some_type(r, LG_I64);
    if (t.rank && !too_big(&t))
        put(r, lg_g_cast(r->g, lg_g_iota(r->g, t.rank, t.shape, below(t.rank), nowhere), LG_F32,
                         nowhere));
}

static void add_rand(gen *r) {
    lg_type t = some_type(r, LG_F32);
    if (too_big(&t))
        return;
    int64_t lanes[LG_MAX_RANK];
    memcpy(lanes, t.shape, sizeof lanes);
    int nb = t.rank ? below(t.rank + 1) : 0;
    lg_type a = lg_type_make(LG_I64, nb, lanes);
    lg_node *addr = lg_g_fill(r->g, a, 77, nowhere);
    if (nb)
        addr = op2(r, "add", addr, lg_g_iota(r->g, nb, lanes, nb - 1, nowhere));
    put(r, lg_g_rand(r->g, lg_op_find("rand_uniform"), addr, NULL, t, nowhere));
}

static void add_concat(gen *r) {
    lg_node *x = pick(r, LG_F32);
    if (x->type[0].rank == 0 || lg_type_count(&x->type[0]) > 20000)
        return;
    lg_node *y = fit(r, pick(r, LG_F32), &x->type[0]);
    put(r, lg_g_concat(r->g, 2, (lg_node *[]){x, y}, below(x->type[0].rank), nowhere));
}

static void grow(gen *r, int n);

static void add_scan(gen *r) {
    if (r->inner)
        return;
    lg_node *x = pick(r, LG_F32), *xs = pick(r, LG_F32), *c = pick(r, LG_F32),
            *c2 = pick(r, LG_F32);
    if (xs->type[0].rank == 0)
        return;
    gen b = {.g = lg_graph_new(r->g), .inner = true};
    memcpy(b.dims, r->dims, sizeof b.dims);
    lg_type one = xs->type[0];
    int64_t trip = one.shape[0];
    one.rank--;
    memmove(one.shape, one.shape + 1, sizeof one.shape - sizeof one.shape[0]);
    put(&b, lg_g_input(b.g, x->type[0], nowhere));
    put(&b, lg_g_input(b.g, c2->type[0], nowhere));
    put(&b, lg_g_input(b.g, one, nowhere));
    lg_node *t = lg_g_input(b.g, lg_type_make(LG_I64, 0, NULL), nowhere);
    put(&b, lg_g_cast(b.g, t, LG_F32, nowhere));
    put(&b, lg_g_input(b.g, c->type[0], nowhere));
    grow(&b, 1 + below(8));
    lg_node *h = tame(&b, op2(&b, "add", b.g->input.at[0], fit(&b, pick(&b, LG_F32), &x->type[0])));
    int kind = below(3);
    lg_node *h2 = kind == 0   ? b.g->input.at[1]
                  : kind == 1 ? fit(&b, b.g->input.at[0], &c2->type[0])
                              : fit(&b, h, &c2->type[0]);
    lg_node *y = pick(&b, LG_F32);
    if (y->type[0].rank > 3)
        y = h;
    lg_g_output(b.g, h, -1, NULL);
    lg_g_output(b.g, h2, -1, NULL);
    lg_g_output(b.g, y, -1, NULL);
    lg_scan_attr a = {.body = b.g,
                      .n_carry = 2,
                      .n_xs = 1,
                      .n_const = 1,
                      .n_yield = 1,
                      .trip = trip,
                      .rev = below(2),
                      .stop = -1};
    lg_node *s = lg_g_scan(r->g, &a, 4, (lg_node *[]){x, c2, xs, c}, nowhere);
    for (int k = 0; k < 3; k++)
        put(r, lg_g_item(r->g, s, k));
}

static void add_cond(gen *r) {
    if (r->inner)
        return;
    lg_node *x = pick(r, LG_F32), *y = pick(r, LG_F32);
    uint32_t all = (1u << y->type[0].rank) - 1;
    lg_node *sum = lg_g_reduce(r->g, lg_op_find("sum"), y, all, nowhere);
    lg_node *pred = op2(r, "lt", sum, lg_g_scalar(r->g, LG_F32, 0, nowhere));
    lg_cond_attr a;
    lg_graph **to[2] = {&a.then_, &a.else_};
    for (int k = 0; k < 2; k++) {
        gen b = {.g = lg_graph_new(r->g), .inner = true};
        memcpy(b.dims, r->dims, sizeof b.dims);
        put(&b, lg_g_input(b.g, x->type[0], nowhere));
        put(&b, lg_g_input(b.g, y->type[0], nowhere));
        grow(&b, below(6));
        lg_g_output(b.g, fit(&b, pick(&b, LG_F32), &x->type[0]), -1, NULL);
        lg_g_output(b.g, k ? b.g->input.at[1] : op1(&b, "neg", b.g->input.at[1]), -1, NULL);
        *to[k] = b.g;
    }
    lg_node *c = lg_g_cond(r->g, &a, 3, (lg_node *[]){pred, x, y}, nowhere);
    put(r, lg_g_item(r->g, c, 0));
    put(r, lg_g_item(r->g, c, 1));
}

static void grow(gen *r, int n) {
    for (int k = 0; k < n; k++) {
        while (r->n > 1 && lg_type_count(&r->pool[r->n - 1]->type[0]) > 300000)
            r->n--;
        switch (below(22)) {
        case 0:
        case 1:
        case 2:
        case 3:
        case 4:
        case 5:
            add_elem(r);
            break;
        case 6:
        case 7:
        case 8:
        case 9:
            add_reduce(r);
            break;
        case 10:
            add_where(r);
            break;
        case 11:
        case 12:
            add_view(r);
            break;
        case 13:
            add_reshape(r);
            break;
        case 14:
        case 15:
            add_dot(r);
            break;
        case 16:
            add_gather(r);
            break;
        case 17:
            add_iota(r);
            break;
        case 18:
            add_rand(r);
            break;
        case 19:
            add_concat(r);
            break;
        case 20:
            add_scan(r);
            break;
        case 21:
            add_cond(r);
            break;
        }
    }
}

enum { INPUTS = 4 };

static lg_graph *make(uint64_t seed, bool big) {
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 16, 33, 64, 0, 130};
    state = seed * 2654435761u + 12345;
    for (int k = 0; k < 5; k++)
        next();
    gen r = {.g = lg_graph_new(NULL)};
    for (int d = 0; d < 6; d++)
        r.dims[d] = sizes[below(below(6) ? 8 : 10)];
    if (big)
        r.dims[0] = 1500 + below(1000);
    for (int k = 0; k < INPUTS; k++) {
        lg_type t = some_type(&r, LG_F32);
        put(&r, lg_g_input(r.g, too_big(&t) ? lg_type_make(LG_F32, 0, NULL) : t, nowhere));
    }
    grow(&r, 3 + below(40));
    bool taken[INPUTS] = {false};
    int n_out = 1 + below(5);
    for (int k = 0; k < n_out; k++) {
        lg_node *x = pick(&r, LG_F32);
        int donates = -1;
        for (int s = 0; s < INPUTS; s++)
            if (!taken[s] && lg_type_equal(&x->type[0], &r.g->input.at[s]->type[0]) && below(4)) {
                donates = s;
                taken[s] = true;
                break;
            }
        lg_g_output(r.g, x, donates, NULL);
    }
    return r.g;
}

/* Outputs of one way to run it. */
typedef struct {
    lg_tensor *x[16];
    size_t n;
    bool ok;
    int compiled; /* loops */
    lg_fault fault;
} results;

/* Sees every plan once it is made. */
static void (*planned)(lg_plan *p);

static results run(uint64_t seed, bool big, lg_plan_opts o, bool in_place, bool simplify) {
    lg_graph *g = make(seed, big);
    results r = {.n = g->output.n};
    lg_tensor *in[INPUTS];
    const void *from[INPUTS];
    void *to[16];
    state = seed + 99;
    for (int k = 0; k < INPUTS; k++) {
        const lg_type *t = &g->input.at[k]->type[0];
        in[k] = lg_tensor_new(t->dtype, t->rank, t->shape);
        for (size_t i = 0; i < in[k]->n; i++)
            ((float *)in[k]->data)[i] = (float)below(2000) / 1000 - 1;
        from[k] = in[k]->data;
    }
    o.no_simplify = !simplify;
    lg_plan *p = lg_plan_new(g, &o);
    if (planned)
        planned(p);
    if (getenv("LG_PRINT"))
        lg_graph_print(g, stdout), lg_plan_print(p, stdout);
    for (size_t k = 0; k < r.n; k++) {
        const lg_output *out = &g->output.at[k];
        const lg_type *t = &out->node->type[0];
        bool here = in_place && out->donates >= 0;
        r.x[k] =
            here ? lg_tensor_retain(in[out->donates]) : lg_tensor_new(t->dtype, t->rank, t->shape);
        to[k] = r.x[k]->data;
    }
    r.ok = lg_plan_run(p, from, to, &r.fault);
    for (size_t k = 0; k < r.n && !in_place; k++) { /* a second run gives the same */
        lg_tensor *was = lg_tensor_cast(r.x[k], r.x[k]->dtype);
        lg_tensor_release(r.x[k]);
        r.x[k] = was;
        to[k] = was->data;
    }
    if (!in_place && r.ok)
        r.ok = lg_plan_run(p, from, to, &r.fault);
    r.compiled = lg_jit_count(p);
    lg_plan_free(p);
    for (int k = 0; k < INPUTS; k++)
        lg_tensor_release(in[k]);
    lg_graph_free(g);
    return r;
}

static void drop(results *r) {
    for (size_t k = 0; k < r->n; k++)
        lg_tensor_release(r->x[k]);
}

/* The largest difference, relative to 1. */
static double differ(const results *a, const results *b) {
    double worst = 0;
    if (a->ok != b->ok)
        return 1e9;
    for (size_t k = 0; k < a->n && a->ok; k++)
        for (size_t i = 0; i < a->x[k]->n; i++) {
            double x = lg_get_f64(LG_F32, a->x[k]->data, i),
                   y = lg_get_f64(LG_F32, b->x[k]->data, i);
            if (isnan(x) != isnan(y))
                return 1e9;
            double d = x == y || isnan(x) ? 0 : fabs(x - y) / (1 + fabs(x));
            worst = d > worst ? d : worst;
        }
    return worst;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 300, passed = 0, failed = 0, equal = 0;
    uint64_t seed = argc > 2 ? (uint64_t)atoll(argv[2]) : 1;
    lg_pool_init(4);
    for (int k = 0; k < n; k++, seed++) {
        bool big = seed % 5 == 0;
        results plain = run(seed, big, (lg_plan_opts){.no_fuse = true, .threads = 1}, false, false);
        results fused = run(seed, big, (lg_plan_opts){.threads = 1}, false, false);
        results two = run(seed, big, (lg_plan_opts){.threads = 2}, true, false);
        results four = run(seed, big, (lg_plan_opts){.threads = 4}, false, false);
        results simple = run(seed, big, (lg_plan_opts){.threads = 1}, false, true);
        double d = differ(&plain, &fused), e = differ(&fused, &two), f = differ(&fused, &four);
        double h = differ(&fused, &simple);
        equal += d == 0;
        if (d < 1e-3 && e == 0 && f == 0 && h < 1e-3) {
            passed++;
        } else {
            failed++;
            printf("FAILED seed %llu: op by op %g, two threads in place %g, four %g, simplified %g "
                   "%s\n",
                   (unsigned long long)seed, d, e, f, h, plain.ok ? "" : plain.fault.text);
        }
        drop(&plain);
        drop(&fused);
        drop(&two);
        drop(&four);
        drop(&simple);
    }
    printf("%d of %d with the same bits op by op\n%d passed, %d failed\n", equal, n, passed,
           failed);
    return failed != 0;
}
