/* simplify.c: random graphs mean the same after the algebraic passes, and chosen ones take the form
 * they should. */
#include "compiler/mid/passes.h"
#include "tests/mid/walk.h"
#include <math.h>
#include <stdio.h>

static int passed, failed;

static void check(const char *what, bool ok) {
    if (ok)
        passed++;
    else {
        failed++;
        printf("FAILED %s\n", what);
    }
}

static const lg_span at = {0, 0, 0};

/* ---- random graphs ---- */

static uint64_t seed;

static int below(int n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)n);
}

static double uniform(void) {
    return below(1 << 24) / (double)(1 << 24);
}

static lg_tensor *random_tensor(lg_type t) {
    lg_tensor *x = lg_tensor_new(t.dtype, t.rank, t.shape);
    for (size_t i = 0; i < x->n; i++)
        lg_set_f64(t.dtype, x->data, i, t.dtype == LG_BOOL ? below(2) : 0.3 + 1.2 * uniform());
    return x;
}

enum { AXES = 5 };
static const int64_t size_of[AXES] = {2, 3, 4, 1, 3};

/* A node over all axes, seen through a broadcast: the axes of `set`. */
static lg_node *spread(lg_graph *g, lg_node *x, unsigned set, int rank) {
    int from[AXES], k = 0;
    for (int o = 0; o < rank; o++)
        from[o] = set >> o & 1 ? k++ : -1;
    return lg_g_broadcast(g, x, rank, size_of, from, at);
}

static lg_type over(unsigned set, int rank, lg_dtype dt) {
    lg_type t = {.dtype = dt};
    for (int o = 0; o < rank; o++)
        if (set >> o & 1)
            t.shape[t.rank++] = size_of[o];
    return t;
}

static lg_node *leaf(lg_graph *g, int rank, lg_dtype dt) {
    unsigned set = (unsigned)below(1 << rank);
    if (below(5) == 0)
        return lg_g_fill(g, lg_type_make(dt, rank, size_of), below(3) - 1, at);
    if (below(6) == 0)
        return lg_g_cast(g, lg_g_iota(g, rank, size_of, below(rank), at), dt, at);
    return spread(g, lg_g_input(g, over(set, rank, dt), at), set, rank);
}

static lg_node *expression(lg_graph *g, int depth, int rank, lg_dtype dt) {
    static const char *const two[] = {"add", "sub", "mul", "mul", "mul", "max", "min"};
    static const char *const one[] = {"neg", "square", "abs", "sigmoid"};
    if (depth == 0 || below(8) == 0)
        return leaf(g, rank, dt);
    lg_node *a = expression(g, depth - 1, rank, dt);
    if (below(5) == 0)
        return lg_g_elem(g, lg_op_find(one[below(4)]), 1, &a, at);
    lg_node *b = below(9) == 0 ? a : expression(g, depth - 1, rank, dt);
    if (below(6) == 0) {
        lg_node *c = lg_g_elem(g, lg_op_find(below(2) ? "lt" : "ge"), 2,
                               (lg_node *[]){leaf(g, rank, dt), leaf(g, rank, dt)}, at);
        lg_node *in[] = {c, a, below(2) ? b : lg_g_fill(g, a->type[0], 0, at)};
        return lg_g_elem(g, lg_op_find("where"), 3, in, at);
    }
    lg_node *in[] = {a, b};
    return lg_g_elem(g, lg_op_find(two[below(7)]), 2, in, at);
}

/* Moves, adjoints of moves and casts on top. */
static lg_node *moved(lg_graph *g, lg_node *x) {
    int rank = x->type[0].rank, perm[LG_MAX_RANK];
    int64_t shape[LG_MAX_RANK], n = (int64_t)lg_type_count(&x->type[0]);
    switch (below(6)) {
    case 0:
        for (int d = 0; d < rank; d++)
            perm[d] = (d + 1) % rank;
        return rank ? lg_g_permute(g, x, perm, at) : x;
    case 1:
        return lg_g_reshape(g, x, 1, &n, at);
    case 2: {
        if (!rank)
            return x;
        int a = below(rank);
        return lg_g_slice(g, x, a, 0, (x->type[0].shape[a] + 1) / 2, 1, at);
    }
    case 3:
        if (n % 2 || n == 0)
            return x;
        shape[0] = 2;
        shape[1] = n / 2;
        return lg_g_reshape(g, x, 2, shape, at);
    case 4: {
        if (rank > 3)
            return x;
        int from[LG_MAX_RANK];
        for (int d = 0; d <= rank; d++) {
            from[d] = d - 1;
            shape[d] = d ? x->type[0].shape[d - 1] : 2;
        }
        return lg_g_broadcast(g, x, rank + 1, shape, from, at);
    }
    default: {
        if (!rank)
            return x;
        lg_node *s = lg_g_slice(g, x, rank - 1, 0, (x->type[0].shape[rank - 1] + 1) / 2, 1, at);
        if (s == x)
            return x;
        return lg_g_unview(g, s, s->attr.affine, rank, x->type[0].shape, at);
    }
    }
}

static lg_graph *random_graph(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_dtype dt = LG_F64;
    for (int k = 0; k < 2; k++) {
        int rank = 1 + below(AXES);
        lg_node *x = expression(g, 1 + below(4), rank, dt);
        for (int i = below(3); i > 0; i--)
            x = moved(g, x);
        if (below(5)) {
            static const char *const ops[] = {"sum", "sum", "sum", "reduce_max"};
            x = lg_g_reduce(g, lg_op_find(ops[below(4)]), x, (uint32_t)below(1 << x->type[0].rank),
                            at);
        }
        for (int i = below(3); i > 0; i--)
            x = moved(g, x);
        lg_g_output(g, x, -1, NULL);
    }
    return g;
}

static bool close_enough(const lg_tensor *a, const lg_tensor *b) {
    for (size_t i = 0; i < a->n; i++) {
        double x = lg_get_f64(a->dtype, a->data, i), y = lg_get_f64(b->dtype, b->data, i);
        if (!(fabs(x - y) <= 1e-9 * (1 + fabs(x) + fabs(y))) && !(isnan(x) && isnan(y)) &&
            !(isinf(x) && x == y))
            return false;
    }
    return a->n == b->n;
}

static void run(const lg_graph *g, lg_tensor *const *in, lg_tensor **out) {
    lg_fault fault = {0};
    check("the graph runs", walk(g, in, out, &fault));
}

static void random_graphs(void) {
    for (int k = 0; k < 3000; k++) {
        seed = (uint64_t)k * 77777 + 1;
        lg_graph *g = random_graph();
        lg_tensor *in[256], *want[2], *got[2];
        size_t n_in = g->input.n;
        assert(n_in <= 256);
        for (size_t i = 0; i < n_in; i++)
            in[i] = random_tensor(g->input.at[i]->type[0]);
        run(g, in, want);
        for (int pass = 0; pass < 2; pass++) {
            if (pass)
                lg_pass_contract(g);
            else
                lg_pass_simplify(g);
            char *bad = lg_graph_verify(g);
            char what[128];
            snprintf(what, sizeof what, "graph %d after pass %d: %s", k, pass,
                     bad ? bad : "values");
            run(g, in, got);
            check(what, !bad && close_enough(want[0], got[0]) && close_enough(want[1], got[1]));
            lg_free(bad);
            lg_tensor_release(got[0]);
            lg_tensor_release(got[1]);
        }
        lg_tensor_release(want[0]);
        lg_tensor_release(want[1]);
        for (size_t i = 0; i < n_in; i++)
            lg_tensor_release(in[i]);
        lg_graph_free(g);
    }
}

/* ---- forms ---- */

static int count(const lg_graph *g, lg_class c) {
    int n = 0;
    for (size_t i = 0; i < g->node.n; i++)
        n += g->node.at[i]->op->cls == c;
    return n;
}

static lg_node *input(lg_graph *g, int rank, int64_t a, int64_t b, int64_t c) {
    return lg_g_input(g, lg_type_make(LG_F32, rank, (int64_t[]){a, b, c}), at);
}

static lg_node *two(lg_graph *g, const char *op, lg_node *a, lg_node *b) {
    return lg_g_elem(g, lg_op_find(op), 2, (lg_node *[]){a, b}, at);
}

static lg_node *cast_over(lg_graph *g, lg_node *x, int rank, int64_t a, int64_t b, int64_t c,
                          int64_t d, int i, int j, int k, int l) {
    return lg_g_broadcast(g, x, rank, (int64_t[]){a, b, c, d}, (int[]){i, j, k, l}, at);
}

/* Both passes over g, whose values stay what they were. */
static void both_passes(const char *what, lg_graph *g) {
    lg_tensor *in[8], *want[2], *got[2];
    assert(g->input.n <= 8 && g->output.n <= 2);
    for (size_t i = 0; i < g->input.n; i++) {
        lg_type t = g->input.at[i]->type[0];
        in[i] = random_tensor(t);
        for (size_t k = 0; !lg_dtype_is_float(t.dtype) && k < in[i]->n; k++)
            lg_set_i64(t.dtype, in[i]->data, k, below(2));
    }
    run(g, in, want);
    lg_pass_simplify(g);
    lg_pass_contract(g);
    run(g, in, got);
    for (size_t k = 0; k < g->output.n; k++) {
        bool ok = want[k]->n == got[k]->n;
        for (size_t i = 0; ok && i < want[k]->n; i++) {
            double x = lg_get_f64(want[k]->dtype, want[k]->data, i);
            ok = fabs(x - lg_get_f64(got[k]->dtype, got[k]->data, i)) <= 1e-5 * (1 + fabs(x));
        }
        check(what, ok);
        lg_tensor_release(want[k]);
        lg_tensor_release(got[k]);
    }
    for (size_t i = 0; i < g->input.n; i++)
        lg_tensor_release(in[i]);
}

/* out = sum over k of a[i, k] b[j, k], as index notation makes it */
static void product(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *a = cast_over(g, input(g, 2, 5, 7, 0), 3, 5, 6, 7, 0, 0, -1, 1, 0);
    lg_node *b = cast_over(g, input(g, 2, 6, 7, 0), 3, 5, 6, 7, 0, -1, 0, 1, 0);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), two(g, "mul", a, b), 4, at), -1, NULL);
    both_passes("product", g);
    check("a product of matrices is one",
          count(g, LG_C_DOT) == 1 && count(g, LG_C_REDUCE) == 0 && count(g, LG_C_ELEM) == 0);
    lg_graph_free(g);
}

/* causal attention's second half: sum over j <= i of p[b, i, j] v[b, j, c] */
static void triangle(void) {
    lg_graph *g = lg_graph_new(NULL);
    const int64_t shape[] = {2, 8, 8, 4};
    lg_node *p = cast_over(g, input(g, 3, 2, 8, 8), 4, 2, 8, 8, 4, 0, 1, 2, -1);
    lg_node *v = cast_over(g, input(g, 3, 2, 8, 4), 4, 2, 8, 8, 4, 0, -1, 1, 2);
    lg_node *i = lg_g_iota(g, 4, shape, 1, at), *j = lg_g_iota(g, 4, shape, 2, at);
    lg_node *x = two(g, "mul", p, v);
    lg_node *in[] = {two(g, "le", j, i), x, lg_g_fill(g, x->type[0], 0, at)};
    x = lg_g_elem(g, lg_op_find("where"), 3, in, at);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), x, 4, at), -1, NULL);
    both_passes("triangle", g);
    check("a triangle is a mask of one side", count(g, LG_C_DOT) == 1);
    lg_graph_free(g);
}

/* The gradient of shared weights: sum over the batch of a[b, m, k]' dy[b, m, n] */
static void weights(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *a = lg_g_permute(g, input(g, 3, 4, 8, 5), (int[]){0, 2, 1}, at);
    lg_node *d = lg_g_dot(g, a, input(g, 3, 4, 8, 6), at);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), d, 1, at), -1, NULL);
    both_passes("weights", g);
    check("a sum of products over a batch is one product",
          count(g, LG_C_DOT) == 1 && count(g, LG_C_REDUCE) == 0 &&
              g->output.at[0].node->type[0].rank == 2);
    lg_graph_free(g);
}

static void squares(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *a = cast_over(g, input(g, 2, 5, 7, 0), 3, 5, 6, 7, 0, 0, -1, 1, 0);
    lg_node *b = cast_over(g, input(g, 2, 6, 7, 0), 3, 5, 6, 7, 0, -1, 0, 1, 0);
    lg_node *x = two(g, "sub", a, b);
    x = lg_g_elem(g, lg_op_find("square"), 1, &x, at);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), x, 4, at), -1, NULL);
    both_passes("squares", g);
    check("squared distances stay a reduction",
          count(g, LG_C_DOT) == 0 && count(g, LG_C_REDUCE) == 1);
    lg_graph_free(g);
}

/* A mask made of data may cover what is not finite, so it keeps its reduction. */
static void data_mask(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *w = cast_over(g, input(g, 2, 5, 7, 0), 3, 5, 6, 7, 0, 0, -1, 1, 0);
    lg_node *l = cast_over(g, input(g, 2, 7, 6, 0), 3, 5, 6, 7, 0, -1, 1, 0, 0);
    lg_node *c = cast_over(g, lg_g_input(g, lg_type_make(LG_BOOL, 2, (int64_t[]){5, 7}), at), 3, 5,
                           6, 7, 0, 0, -1, 1, 0);
    lg_node *x = two(g, "mul", w, l);
    lg_node *in[] = {c, x, lg_g_fill(g, x->type[0], 0, at)};
    x = lg_g_elem(g, lg_op_find("where"), 3, in, at);
    lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), x, 4, at), -1, NULL);
    both_passes("mask of data", g);
    check("a mask of data keeps its reduction", count(g, LG_C_DOT) == 0);
    lg_graph_free(g);
}

/* A product that is only seen transposed is computed transposed, with one use or behind others. */
static void turned(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *d = lg_g_dot(g, input(g, 2, 5, 7, 0), input(g, 2, 7, 6, 0), at);
    d = lg_g_permute(g, lg_g_reshape(g, d, 3, (int64_t[]){5, 2, 3}, at), (int[]){1, 2, 0}, at);
    lg_g_output(g, lg_g_elem(g, lg_op_find("exp"), 1, &d, at), -1, NULL);
    both_passes("turned product", g);
    bool dense = true;
    for (size_t i = 0; i < g->node.n; i++)
        dense = dense && (g->node.at[i]->op->cls != LG_C_VIEW ||
                          g->node.at[i]->in[0]->op->cls == LG_C_INPUT);
    check("a product seen transposed is turned", dense);
    lg_graph_free(g);
}

/* Ops on reordered arrays keep the arrays' own order. */
static void order(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x = lg_g_permute(g, input(g, 3, 2, 3, 4), (int[]){2, 0, 1}, at);
    lg_node *m = lg_g_reduce(g, lg_op_find("reduce_max"), x, 1, at);
    x = two(g, "sub", x, cast_over(g, m, 3, 4, 2, 3, 0, -1, 0, 1, 0));
    lg_g_output(g, lg_g_permute(g, x, (int[]){1, 2, 0}, at), -1, NULL);
    both_passes("own order", g);
    check("the order of the array itself is kept", count(g, LG_C_VIEW) == 1);
    lg_graph_free(g);
}

/* Gradients of three slices make one concatenation. */
static void pieces(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x = lg_g_fill(g, lg_type_make(LG_F32, 2, (int64_t[]){4, 6}), 0, at), *sum = NULL;
    for (int k = 2; k >= 0; k--) {
        lg_node *s = lg_g_slice(g, x, 1, 2 * k, 2, 1, at);
        lg_node *u = lg_g_unview(g, input(g, 2, 4, 2, 0), s->attr.affine, 2, x->type[0].shape, at);
        sum = sum ? two(g, "add", sum, u) : u;
    }
    lg_g_output(g, sum, -1, NULL);
    both_passes("pieces", g);
    check("pieces are joined",
          count(g, LG_C_CONCAT) == 1 && count(g, LG_C_UNVIEW) == 0 && count(g, LG_C_ELEM) == 0);
    lg_graph_free(g);
}

/* The gradient of picking one score a row. */
static void one_hot(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *z = input(g, 2, 5, 3, 0), *up = input(g, 1, 5, 0, 0);
    lg_node *y = lg_g_input(g, lg_type_make(LG_I32, 1, (int64_t[]){5}), at);
    lg_node *zero = lg_g_fill(g, z->type[0], 0, at);
    lg_g_output(g, lg_g_gather(g, z, 1, 1, &y, at), -1, NULL);
    lg_g_output(g, lg_g_scatter(g, &lg_op_scatter_add, zero, 1, 1, &y, up, at), -1, NULL);
    both_passes("one place a row", g);
    check("one place a row is a comparison", count(g, LG_C_SCATTER) == 0);
    lg_graph_free(g);
}

/* Axes that stand together in the array itself are joined before they are reordered. */
static void joined(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x = lg_g_permute(g, input(g, 3, 4, 3, 5), (int[]){2, 0, 1}, at);
    lg_node *y =
        lg_g_dot(g, lg_g_reshape(g, x, 2, (int64_t[]){5, 12}, at), input(g, 2, 12, 2, 0), at);
    lg_g_output(g, y, -1, NULL);
    both_passes("joined axes", g);
    bool dense = true;
    for (size_t i = 0; i < g->node.n; i++)
        dense = dense && (g->node.at[i]->op->cls != LG_C_RESHAPE ||
                          g->node.at[i]->in[0]->op->cls != LG_C_VIEW);
    check("no reshape of reordered axes is left", dense && count(g, LG_C_RESHAPE) == 1);
    lg_graph_free(g);
}

/* The gradient of windows that tile a picture: nothing meets, so nothing is added. */
static void tiles(void) {
    lg_graph *g = lg_graph_new(NULL);
    int64_t shape[] = {3, 6}, coef[] = {1, 0, 0, 0, 2, 1}, off[] = {0, 0};
    lg_affine m = {2, 3, off, coef}; /* x[i, 2*j + k] */
    lg_node *y = lg_g_unview(g, input(g, 3, 3, 3, 2), &m, 2, shape, at);
    lg_g_output(g, y, -1, NULL);
    both_passes("windows side by side", g);
    check("windows side by side are a reshape", count(g, LG_C_UNVIEW) == 0);
    lg_graph_free(g);
    g = lg_graph_new(NULL);
    int64_t apart[] = {1, 0, 0, 0, 3, 1}, wide[] = {3, 9};
    lg_affine gaps = {2, 3, off, apart}; /* x[i, 3*j + k] of 9 columns, k below 2 */
    y = lg_g_unview(g, input(g, 3, 3, 3, 2), &gaps, 2, wide, at);
    lg_g_output(g, y, -1, NULL);
    both_passes("windows apart", g);
    check("windows apart are not", count(g, LG_C_UNVIEW) == 1);
    lg_graph_free(g);
}

/* A reshape in a chain of elementwise ops moves to its end. */
static void unparted(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x = input(g, 2, 4, 6, 0), *up = input(g, 3, 4, 2, 3);
    x = lg_g_elem(g, lg_op_find("exp"), 1, &x, at);
    x = lg_g_reshape(g, x, 3, (int64_t[]){4, 2, 3}, at);
    lg_node *y = two(g, "mul", lg_g_elem(g, lg_op_find("neg"), 1, &x, at), up);
    lg_g_output(g, y, -1, NULL);
    lg_pass_layout(g);
    bool flat = true;
    for (size_t i = 0; i < g->node.n; i++)
        flat = flat && (g->node.at[i]->op->cls != LG_C_ELEM || g->node.at[i]->type[0].rank == 2);
    check("a chain keeps one shape", flat && g->output.at[0].node->type[0].rank == 3);
    lg_graph_free(g);
}

/* y[j, b] = the mean over r of exp(x[b, 2*j + r]): done in the order of x, turned at the end, where
 * what turns it back cancels. */
static void windows_in_order(void) {
    lg_graph *g = lg_graph_new(NULL);
    int64_t coef[] = {0, 1, 0, 2, 0, 1}, off[] = {0, 0};
    lg_affine m = {2, 3, off, coef}; /* of (j, b, r): x[b, 2*j + r] */
    lg_node *x = lg_g_view(g, input(g, 2, 4, 7, 0), &m, 3, (int64_t[]){3, 4, 2}, at);
    lg_node *y = lg_g_elem(g, lg_op_find("exp"), 1, &x, at);
    y = lg_g_reduce(g, lg_op_find("sum"), y, 4, at);
    lg_g_output(g, lg_g_permute(g, y, (int[]){1, 0}, at), -1, NULL);
    lg_tensor *in[] = {random_tensor(g->input.at[0]->type[0])}, *want[1], *got[1];
    run(g, in, want);
    lg_pass_layout(g);
    run(g, in, got);
    check("windows in another order",
          !memcmp(want[0]->data, got[0]->data, want[0]->n * sizeof(float)));
    lg_tensor_release(in[0]);
    lg_tensor_release(want[0]);
    lg_tensor_release(got[0]);
    const lg_node *out = g->output.at[0].node;
    check("windows are reduced in the order of memory",
          out->op->cls == LG_C_REDUCE && out->type[0].shape[0] == 4 && count(g, LG_C_VIEW) == 1);
    lg_graph_free(g);
}

/* sum over images and places of a channel: rows first; of all places of a channel: one. */
static void axes_apart(void) {
    for (int apart = 0; apart < 2; apart++) {
        lg_graph *g = lg_graph_new(NULL);
        lg_node *x = input(g, 3, 32, 16, 64);
        lg_g_output(g, lg_g_reduce(g, lg_op_find("sum"), x, apart ? 5 : 4, at), -1, NULL);
        lg_tensor *in[] = {random_tensor(g->input.at[0]->type[0])}, *want[1], *got[1];
        run(g, in, want);
        lg_pass_layout(g);
        run(g, in, got);
        bool same = want[0]->n == got[0]->n;
        for (size_t i = 0; same && i < want[0]->n; i++) {
            double a = lg_get_f64(LG_F32, want[0]->data, i);
            same = fabs(a - lg_get_f64(LG_F32, got[0]->data, i)) <= 1e-3;
        }
        check("a sum over axes apart", same && count(g, LG_C_REDUCE) == 1 + apart);
        lg_tensor_release(in[0]);
        lg_tensor_release(want[0]);
        lg_tensor_release(got[0]);
        lg_graph_free(g);
    }
}

/* h' = h @ transpose(w): the scan is given w turned, once. */
static void ahead(void) {
    lg_graph *g = lg_graph_new(NULL), *b = lg_graph_new(g);
    lg_node *h = input(b, 2, 3, 4, 0);
    lg_g_input(b, lg_type_make(LG_I64, 0, NULL), at);
    lg_node *w = lg_g_permute(b, input(b, 2, 4, 4, 0), (int[]){1, 0}, at);
    lg_g_output(b, lg_g_dot(b, h, w, at), -1, NULL);
    lg_scan_attr s = {.n_carry = 1, .n_const = 1, .trip = 5, .stop = -1, .body = b};
    lg_node *in[] = {input(g, 2, 3, 4, 0), input(g, 2, 4, 4, 0)};
    lg_g_output(g, lg_g_item(g, lg_g_scan(g, &s, 2, in, at), 0), -1, NULL);
    lg_pass_loops(g);
    for (size_t i = 0; i < g->node.n; i++)
        if (g->node.at[i]->op->cls == LG_C_SCAN)
            check("the loop finds its weights turned",
                  count(g->node.at[i]->attr.scan->body, LG_C_VIEW) == 0 &&
                      count(g, LG_C_VIEW) == 1);
    lg_graph_free(g);
}

static void neutral(void) {
    lg_graph *g = lg_graph_new(NULL);
    lg_node *x = input(g, 2, 4, 4, 0);
    lg_node *one = lg_g_fill(g, x->type[0], 1, at), *zero = lg_g_fill(g, x->type[0], 0, at);
    lg_node *y = two(g, "add", two(g, "mul", one, x), zero);
    y = lg_g_elem(g, lg_op_find("neg"), 1, &y, at);
    y = lg_g_elem(g, lg_op_find("neg"), 1, &y, at);
    lg_g_output(g, lg_g_mark(g, &lg_op_stop_grad, y, NULL, at), -1, NULL);
    lg_pass_simplify(g);
    check("neutral elements go", g->node.n == 1 && g->output.at[0].node == g->input.at[0]);
    lg_graph_free(g);
}

int main(void) {
    random_graphs();
    product();
    triangle();
    weights();
    squares();
    data_mask();
    turned();
    order();
    pieces();
    one_hot();
    joined();
    tiles();
    unparted();
    windows_in_order();
    axes_apart();
    ahead();
    neutral();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
