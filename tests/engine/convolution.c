/* convolution.c: convolutions and their two derivatives against plain loops in f64: few and many
 * channels, strides, padding, dilation and groups, with every vector unit of this machine; and the
 * same bits for 1, 2 and 4 threads; and that images stay in bundles between them. */
#include "compiler/mid/passes.h"
#include "ops/isa.h"
#include "ops/ops.h"
#include "runtime/exec.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int n_passed, n_failed;
static const lg_span at = {0, 0, 0};

/* b images of c channels, h by h; o kernels of k by k; stride, padding, groups, dilation. */
typedef struct {
    int64_t b, c, h, o, k, stride, pad, groups, dilation;
} shape;

typedef struct {
    shape s;
    lg_dtype t;
    int64_t oh;
    lg_type type[3]; /* of x, of the kernels, of y */
} geometry;

enum { X, W, Y };

static geometry geometry_of(shape s, lg_dtype t) {
    geometry g = {.s = s, .t = t};
    g.oh = (s.h + 2 * s.pad - (s.k - 1) * s.dilation - 1) / s.stride + 1;
    g.type[X] = lg_type_make(t, 4, (int64_t[]){s.b, s.c, s.h, s.h});
    g.type[W] = lg_type_make(t, 4, (int64_t[]){s.o, s.c / s.groups, s.k, s.k});
    g.type[Y] = lg_type_make(t, 4, (int64_t[]){s.b, s.o, g.oh, g.oh});
    return g;
}

static void *numbers(const lg_type *t) {
    size_t n = lg_type_count(t);
    void *p = lg_alloc(n * lg_dtype_size(t->dtype));
    for (size_t i = 0; i < n; i++)
        lg_set_f64(t->dtype, p, i, (rand() % 2001 - 1000) / 1000.0);
    return p;
}

/* What each of the three is as the sum of products of the other two, and of their sizes. */
typedef struct {
    double *sum, *size;
} expected;

static void add_product(const geometry *g, int which, const int64_t i[3], void *const *v,
                        expected *e) {
    int one = which == X ? Y : X, other = which == W ? Y : W;
    double p =
        lg_get_f64(g->t, v[one], (size_t)i[one]) * lg_get_f64(g->t, v[other], (size_t)i[other]);
    e->sum[i[which]] += p;
    e->size[i[which]] += fabs(p);
}

/* All (image, kernel, place, channel, tap) that meet. */
static void plain_loops(const geometry *g, int which, void *const *v, expected *e) {
    const shape *s = &g->s;
    int64_t cg = s->c / s->groups, og = s->o / s->groups, oh = g->oh, k = s->k;
    for (int64_t y = 0; y < s->b * s->o * oh * oh; y++)
        for (int64_t tap = 0; tap < cg * k * k; tap++) {
            int64_t o = y / (oh * oh) % s->o, b = y / (oh * oh * s->o), c = tap / (k * k);
            int64_t row = y / oh % oh * s->stride + tap / k % k * s->dilation - s->pad;
            int64_t col = y % oh * s->stride + tap % k * s->dilation - s->pad;
            if (row < 0 || col < 0 || row >= s->h || col >= s->h)
                continue;
            int64_t x = ((b * s->c + o / og * cg + c) * s->h + row) * s->h + col;
            add_product(g, which, (int64_t[]){x, o * cg * k * k + tap, y}, v, e);
        }
}

/* The op `which` of random operands, run by a plan in out. */
static bool run(const geometry *g, int which, int threads, void *const *v, void *out) {
    static const char *const name[] = {"conv2d_dx", "conv2d_dw", "conv2d"};
    const shape *s = &g->s;
    int a = which == X ? Y : X, b = which == W ? Y : W;
    lg_attr p = {.p = {s->stride, s->stride, s->pad, s->pad, s->pad, s->pad, s->dilation,
                       s->dilation, s->groups, 0}};
    lg_graph *graph = lg_graph_new(NULL);
    lg_node *in[2] = {lg_g_input(graph, g->type[a], at), lg_g_input(graph, g->type[b], at)};
    lg_node *y = lg_g_kernel(graph, lg_op_find(name[which]), 2, in, 1, &g->type[which], &p, at);
    lg_g_output(graph, y, -1, NULL);
    lg_plan *plan = lg_plan_new(graph, &(lg_plan_opts){.threads = threads});
    lg_fault f = {0};
    bool ok = lg_plan_run(plan, (const void *[]){v[a], v[b]}, &out, &f);
    lg_plan_free(plan);
    lg_graph_free(graph);
    return ok;
}

static bool is_right(const geometry *g, int which, const expected *e, const void *out) {
    double most = g->t == LG_F32 ? 2e-6 : 1e-14;
    for (size_t i = 0; i < lg_type_count(&g->type[which]); i++)
        if (!(fabs(lg_get_f64(g->t, out, i) - e->sum[i]) <= most * (e->size[i] + 1e-30)))
            return false;
    return true;
}

static void test(shape s, lg_dtype t) {
    geometry g = geometry_of(s, t);
    void *v[3] = {numbers(&g.type[X]), numbers(&g.type[W]), numbers(&g.type[Y])};
    for (int which = X; which <= Y; which++) {
        size_t n = lg_type_count(&g.type[which]), bytes = n * lg_dtype_size(t);
        expected e = {lg_alloc(n * sizeof(double)), lg_alloc(n * sizeof(double))};
        memset(e.sum, 0, n * sizeof(double));
        memset(e.size, 0, n * sizeof(double));
        plain_loops(&g, which, v, &e);
        for (lg_isa isa = LG_ISA_BASELINE; isa <= LG_ISA_AVX512; isa++) {
            if (!lg_isa_set(isa))
                continue;
            void *first = lg_alloc(bytes), *more = lg_alloc(bytes);
            bool ok = run(&g, which, 1, v, first) && is_right(&g, which, &e, first);
            for (int threads = 2; threads <= 4; threads += 2)
                ok = ok && run(&g, which, threads, v, more) && !memcmp(first, more, bytes);
            n_passed += ok;
            n_failed += !ok;
            if (!ok)
                printf("FAILED %d of b%d c%d h%d o%d k%d stride %d pad %d groups %d dilation %d, "
                       "%s, unit %d\n",
                       which, (int)s.b, (int)s.c, (int)s.h, (int)s.o, (int)s.k, (int)s.stride,
                       (int)s.pad, (int)s.groups, (int)s.dilation, lg_dtype_name(t), (int)isa);
            lg_free(first);
            lg_free(more);
        }
        lg_free(e.sum);
        lg_free(e.size);
    }
    for (int k = 0; k < 3; k++)
        lg_free(v[k]);
}

static int count_of(const lg_graph *g, const char *name) {
    int n = 0;
    for (size_t i = 0; i < g->node.n; i++)
        n += !strcmp(g->node.at[i]->op->name, name);
    return n;
}

/* Between convolutions images stay in bundles: the sums and windows of b images that stand there
 * are done on these, and only what comes in is laid out anew. */
static void test_chain(int64_t b, bool bundled) {
    lg_attr p = {.p = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0}};
    lg_type x = lg_type_make(LG_F32, 4, (int64_t[]){b, 3, 8, 8}), y = x, z = x;
    lg_type w = lg_type_make(LG_F32, 4, (int64_t[]){4, 3, 3, 3}), v = w;
    y.shape[1] = z.shape[1] = v.shape[1] = 4;
    z.shape[2] = z.shape[3] = 4;
    lg_graph *g = lg_graph_new(NULL);
    lg_node *in = lg_g_input(g, x, at), *first = lg_g_input(g, w, at),
            *second = lg_g_input(g, v, at),
            *bias = lg_g_input(g, lg_type_make(LG_F32, 1, y.shape + 1), at);
    const lg_op *conv = lg_op_find("conv2d");
    lg_node *c = lg_g_kernel(g, conv, 2, (lg_node *[]){in, first}, 1, &y, &p, at);
    lg_node *flat = lg_g_reshape(g, c, 3, (int64_t[]){b, 4, 64}, at);
    lg_node *wide = lg_g_broadcast(g, bias, 3, flat->type[0].shape, (int[]){-1, 0, -1}, at);
    lg_node *sum = lg_g_elem(g, lg_op_find("add"), 2, (lg_node *[]){flat, wide}, at);
    lg_node *cut = lg_g_reshape(g, sum, 6, (int64_t[]){b, 4, 4, 2, 4, 2}, at);
    lg_node *pool = lg_g_reduce(g, lg_op_find("reduce_max"), cut, 1u << 3 | 1u << 5, at);
    lg_g_output(g, lg_g_kernel(g, conv, 2, (lg_node *[]){pool, second}, 1, &z, &p, at), -1, NULL);
    lg_pass_bundle(g);
    bool ok = count_of(g, "bundle") == bundled && count_of(g, "conv2d_bundled") == 2 * bundled &&
              count_of(g, "conv2d") == 2 * !bundled;
    n_passed += ok;
    n_failed += !ok;
    if (!ok) {
        printf("FAILED a chain of convolutions of %d images\n", (int)b);
        lg_graph_print(g, stdout);
    }
    lg_graph_free(g);
}

int main(void) {
    static const shape shapes[] = {
        {2, 3, 12, 16, 3, 1, 1, 1, 1},
        {2, 16, 16, 32, 3, 2, 1, 1, 1},
        {5, 32, 9, 32, 3, 1, 1, 1, 1},
        {2, 32, 8, 64, 1, 2, 0, 1, 1},
        {2, 64, 8, 64, 3, 1, 1, 1, 1},
        {2, 1, 14, 6, 5, 1, 2, 1, 1},
        {2, 32, 10, 48, 3, 1, 0, 1, 1},
        {9, 48, 10, 20, 3, 2, 2, 1, 1},
        {2, 32, 9, 64, 3, 1, 1, 2, 1},
        {2, 8, 9, 8, 3, 1, 1, 8, 1},
        {2, 32, 11, 32, 3, 2, 3, 1, 2},
        {1, 5, 7, 7, 3, 3, 1, 1, 1},
        {2, 16, 9, 33, 2, 1, 0, 1, 1},
        {17, 32, 6, 96, 3, 2, 1, 2, 1},
        {1, 16, 5, 16, 1, 1, 0, 1, 1},
        {2, 32, 7, 64, 3, 3, 1, 1, 1},
        /* rows of whole vectors, with and without a stride; a border on one side */
        {2, 6, 16, 15, 3, 1, 1, 1, 1},
        {3, 16, 32, 16, 3, 2, 1, 1, 1},
        {2, 5, 32, 8, 3, 2, 1, 1, 1},
        {2, 16, 32, 32, 1, 2, 0, 1, 1},
        {2, 9, 33, 6, 2, 2, 0, 1, 1},
        {2, 32, 31, 16, 3, 2, 1, 1, 1},
        {2, 3, 48, 4, 5, 1, 4, 1, 2},
        {2, 16, 16, 64, 3, 2, 1, 1, 1},
        /* a channel a group, some channels a group */
        {2, 4, 32, 4, 3, 1, 1, 4, 1},
        {2, 4, 32, 8, 5, 2, 2, 4, 1},
        {9, 3, 13, 3, 5, 1, 2, 3, 1},
        {2, 8, 16, 8, 3, 1, 2, 8, 2},
        {2, 12, 16, 18, 3, 1, 1, 6, 1},
        {2, 32, 20, 32, 3, 1, 1, 2, 1},
        /* images in bundles of 16 */
        {16, 1, 12, 6, 5, 1, 2, 1, 1},
        {32, 6, 9, 16, 5, 1, 0, 1, 1},
        {16, 5, 8, 11, 3, 2, 1, 1, 1},
        {16, 9, 7, 3, 3, 3, 2, 1, 2},
        {48, 3, 5, 2, 2, 2, 0, 1, 1},
        {16, 8, 6, 8, 3, 1, 1, 8, 1},
        {16, 4, 6, 12, 1, 2, 0, 2, 1},
        {16, 2, 33, 3, 3, 1, 4, 1, 1},
    };
    lg_pool_init(4);
    for (size_t k = 0; k < LG_COUNT(shapes); k++) {
        test(shapes[k], LG_F32);
        test(shapes[k], LG_F64);
    }
    test_chain(32, true);
    test_chain(20, false);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
