/* coded.c: products that read codes instead of decoded operands: the bits of the product of the
 * decoded array, for every kind of code, every granularity of scales, both sides and layouts, for
 * 1, 2 and 4 threads, with every vector unit this machine has; and no decoded array is kept. */
#include "ops/isa.h"
#include "ops/ops.h"
#include "runtime/plan.h"
#include <stdlib.h>
#include <string.h>

static int n_passed, n_failed;
static lg_graph *g;
static const lg_span at = {0, 0, 0};

typedef enum { NONE, TENSOR, ROW, GROUP, COLUMN, N_SCALES } scales;
static const char *const scale_name[] = {"no", "tensor", "row", "group", "column"};

typedef struct {
    lg_dtype code;
    int bits; /* of codes packed in bytes; else 0 */
    scales scale;
    bool zero;
    bool turned; /* codes are [N, K], of which the product sees the transpose */
    bool left;   /* the codes are the left operand */
    int64_t m, n, k, group;
} shape;

static lg_node *input(lg_dtype t, int rank, const int64_t *dims) {
    return lg_g_input(g, lg_type_make(t, rank, dims), at);
}

static lg_node *op2(const char *name, lg_node *a, lg_node *b) {
    return lg_g_elem(g, lg_op_find(name), 2, (lg_node *[]){a, b}, at);
}

/* A scale or zero as [rows, groups, group]. */
static lg_node *spread(const shape *s, int64_t rows, int64_t cols, lg_node *x) {
    int64_t dims[] = {rows, cols / s->group, s->group};
    static const int from[][3] = {{-1, -1, -1}, {-1, -1, -1}, {0, -1, -1}, {0, 1, -1}, {-1, 0, 1}};
    return lg_g_broadcast(g, x, 3, dims, from[s->scale], at);
}

static lg_node *scale_input(const shape *s, int64_t rows, int64_t cols) {
    int64_t groups = cols / s->group, dims[] = {rows, groups}, by[] = {groups, s->group};
    switch (s->scale) {
    case ROW:
        return input(LG_F32, 1, dims);
    case GROUP:
        return input(LG_F32, 2, dims);
    case COLUMN:
        return input(LG_F32, 2, by);
    default:
        return input(LG_F32, 0, dims);
    }
}

/* The matrix [rows, cols] decoded from inputs 1, 2, 3. */
static lg_node *decoded(const shape *s, int64_t rows, int64_t cols) {
    int64_t flat[] = {rows, s->bits ? cols * s->bits / 8 : cols},
            split[] = {rows, cols / s->group, s->group};
    int64_t whole[] = {rows, cols};
    lg_node *c = input(s->code, 2, flat);
    lg_node *scale = scale_input(s, rows, cols), *zero = scale_input(s, rows, cols);
    if (s->bits) {
        lg_type t = lg_type_make(LG_I8, 2, whole);
        c = lg_g_kernel(g, lg_op_find(s->bits == 4 ? "unpack4" : "unpack2"), 1, &c, 1, &t, NULL,
                        at);
    }
    lg_node *x = lg_g_cast(g, lg_g_reshape(g, c, 3, split, at), LG_F32, at);
    if (s->zero)
        x = op2("sub", x, spread(s, rows, cols, zero));
    if (s->scale != NONE)
        x = op2("mul", x, spread(s, rows, cols, scale));
    return lg_g_reshape(g, x, 2, whole, at);
}

static lg_node *transposed(lg_node *x) {
    return lg_g_permute(g, x, (int[]){1, 0}, at);
}

/* The product of x and w, given or decoded; its plan. */
static lg_plan *make(const shape *s, bool codes, int threads) {
    g = lg_graph_new(NULL);
    int64_t wide = s->left ? s->m : s->n; /* of the coded operand, beside K */
    int64_t rows = s->turned != s->left ? wide : s->k, cols = s->turned != s->left ? s->k : wide;
    int64_t xd[] = {s->left ? s->k : s->m, s->left ? s->n : s->k}, wd[] = {rows, cols};
    lg_node *x = input(LG_F32, 2, xd);
    lg_node *w = codes ? decoded(s, rows, cols) : input(LG_F32, 2, wd);
    if (s->turned)
        w = transposed(w);
    lg_g_output(g, s->left ? lg_g_dot(g, w, x, at) : lg_g_dot(g, x, w, at), -1, NULL);
    return lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_simplify = true});
}

static void fill(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 20001 - 10000) / 10000;
}

/* Decodes by the definition. */
static void reference(const shape *s, const void *codes, const float *scale, const float *zero,
                      int64_t rows, int64_t cols, float *w) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) {
            int64_t e = r * cols + c, groups = cols / s->group;
            int64_t q = s->scale == ROW      ? r
                        : s->scale == GROUP  ? r * groups + c / s->group
                        : s->scale == COLUMN ? c
                                             : 0;
            int bits = s->bits ? s->bits : 8, per = 8 / bits, half = 1 << (bits - 1);
            int part = ((const uint8_t *)codes)[e / per] >> (e % per * bits) & (2 * half - 1);
            float v = s->bits ? (float)(part >= half ? part - 2 * half : part)
                              : (float)lg_get_f64(s->code, codes, (size_t)e);
            v = s->zero ? v - zero[q] : v;
            w[e] = s->scale == NONE ? v : v * scale[q];
        }
}

/* Few enough scales for reading codes to pay. */
static bool is_worth_it(const shape *s, int64_t rows, int64_t cols) {
    int64_t n = s->scale == ROW      ? rows
                : s->scale == GROUP  ? rows * cols / s->group
                : s->scale == COLUMN ? cols
                                     : 1;
    return rows * cols >= 256 && n <= rows * cols / 4;
}

static void try_shape(const shape *s, lg_isa isa) {
    int64_t wide = s->left ? s->m : s->n;
    int64_t rows = s->turned != s->left ? wide : s->k, cols = s->turned != s->left ? s->k : wide;
    size_t nw = (size_t)(rows * cols), nx = (size_t)((s->left ? s->n : s->m) * s->k);
    size_t ny = (size_t)(s->m * s->n);
    float *x = lg_alloc(nx * 4), *w = lg_alloc(nw * 4), *scale = lg_alloc(nw * 4);
    float *zero = lg_alloc(nw * 4), *want = lg_alloc(ny * 4), *got = lg_alloc(ny * 4);
    uint8_t *codes = lg_alloc(nw * 2);
    lg_fault f = {0};
    fill(x, nx);
    fill(scale, nw);
    for (size_t i = 0; i < nw; i++)
        zero[i] = (float)(rand() % 15);
    for (size_t i = 0; i < nw; i++)
        if (lg_dtype_is_float(s->code))
            lg_set_f64(s->code, codes, i, (double)(rand() % 2001 - 1000) / 500);
        else
            codes[i] = (uint8_t)(rand() >> 5);
    reference(s, codes, scale, zero, rows, cols, w);
    lg_plan *p = make(s, false, 1);
    bool ok = lg_plan_run(p, (const void *[]){x, w}, (void *[]){want}, &f);
    lg_plan_free(p);
    lg_graph_free(g);
    for (int threads = 1; threads <= 4; threads *= 2) {
        p = make(s, true, threads);
        memset(got, 0, ny * 4);
        ok = ok && lg_plan_run(p, (const void *[]){x, codes, scale, zero}, (void *[]){got}, &f);
        ok = ok && !memcmp(got, want, ny * 4);
        ok = ok && (lg_plan_get_stats(p).n_kernels == 1 || !is_worth_it(s, rows, cols));
        lg_plan_free(p);
        lg_graph_free(g);
    }
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED isa %d: %s%s, %s scale%s%s%s, %d x %d x %d\n", (int)isa,
               lg_dtype_name(s->code),
               s->bits == 4 ? " by 4 bits"
               : s->bits    ? " by 2 bits"
                            : "",
               scale_name[s->scale], s->zero ? ", zeros" : "", s->turned ? ", turned" : "",
               s->left ? ", left" : "", (int)s->m, (int)s->n, (int)s->k);
    void *all[] = {x, w, scale, zero, want, got, codes};
    for (size_t k = 0; k < LG_COUNT(all); k++)
        lg_free(all[k]);
}

static void try_kinds(shape s, lg_isa isa) {
    const int64_t group = s.group;
    static const lg_dtype code[] = {LG_I8, LG_U8, LG_BF16, LG_F16, LG_U8, LG_U8};
    for (int k = 0; k < (int)LG_COUNT(code); k++)
        for (int v = 0; v < N_SCALES * 8; v++) {
            s.code = code[k];
            s.bits = k == 4 ? 4 : k == 5 ? 2 : 0;
            s.scale = (scales)(v / 8);
            s.zero = v & 1 && s.scale != NONE;
            s.turned = v >> 1 & 1;
            s.left = v >> 2 & 1;
            int64_t cols = s.turned != s.left ? s.k : s.left ? s.m : s.n;
            s.group = cols % group ? 1 : group;
            if (!s.bits || cols % (8 / s.bits) == 0)
                try_shape(&s, isa);
        }
}

/* ---- scales of rows, behind a product of one row or column ---- */

static void try_outside(bool left, lg_isa isa) {
    const shape s = {.code = LG_I8,
                     .scale = ROW,
                     .left = left,
                     .turned = !left,
                     .m = left ? 70 : 1,
                     .n = left ? 1 : 70,
                     .k = 192,
                     .group = 192};
    float x[192], scale[70], sum[70], got[70];
    int8_t codes[70 * 192];
    lg_fault f = {0};
    fill(x, 192);
    fill(scale, 70);
    for (size_t i = 0; i < sizeof codes; i++)
        codes[i] = (int8_t)(rand() >> 5);
    g = lg_graph_new(NULL);
    lg_node *v = input(LG_F32, 2, left ? (int64_t[]){192, 1} : (int64_t[]){1, 192});
    lg_node *w = decoded(&s, 70, 192);
    lg_g_output(g, left ? lg_g_dot(g, w, v, at) : lg_g_dot(g, v, transposed(w), at), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 2});
    bool ok = lg_plan_run(p, (const void *[]){x, codes, scale, NULL}, (void *[]){got}, &f);
    lg_plan_free(p);
    lg_graph_free(g);
    shape bare = s;
    bare.scale = NONE;
    p = make(&bare, true, 1);
    ok = ok && lg_plan_run(p, (const void *[]){x, codes, NULL, NULL}, (void *[]){sum}, &f);
    lg_plan_free(p);
    lg_graph_free(g);
    for (int i = 0; i < 70; i++)
        ok = ok && got[i] == sum[i] * scale[i];
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED isa %d: a scale outside, %s\n", (int)isa, left ? "left" : "right");
}

/* ---- codes of a table that is held ---- */

/* [n, k] codes of 4 bits as numbers of an input, times a vector or several; `decoded`: as given. */
static lg_plan *make_book(bool decoded, int64_t m, int64_t n, int64_t k, int threads) {
    int64_t half[] = {n, k / 2}, whole[] = {n, k}, flat = n * k;
    g = lg_graph_new(NULL);
    lg_node *x = input(LG_F32, 2, (int64_t[]){m, k}), *w;
    if (decoded) {
        w = input(LG_F32, 2, whole);
    } else {
        lg_type t = lg_type_make(LG_I8, 2, whole);
        lg_node *c = input(LG_U8, 2, half), *book = input(LG_F32, 1, (int64_t[]){16});
        c = lg_g_kernel(g, lg_op_find("unpack4"), 1, &c, 1, &t, NULL, at);
        c = lg_g_cast(g, lg_g_reshape(g, c, 1, &flat, at), LG_I32, at);
        lg_node *eight = lg_g_fill(g, c->type[0], 8, at);
        c = op2("add", c, eight);
        w = lg_g_reshape(g, lg_g_gather(g, book, 0, 1, &c, at), 2, whole, at);
    }
    lg_g_output(g, lg_g_dot(g, x, transposed(w), at), -1, NULL);
    return lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_simplify = true});
}

static void try_book(int64_t m, int64_t n, int64_t k, lg_isa isa) {
    float *x = lg_alloc((size_t)(m * k) * 4), *w = lg_alloc((size_t)(n * k) * 4), book[16];
    float *want = lg_alloc((size_t)(m * n) * 4), *got = lg_alloc((size_t)(m * n) * 4);
    uint8_t *codes = lg_alloc((size_t)(n * k / 2));
    lg_fault f = {0};
    fill(x, (size_t)(m * k));
    fill(book, 16);
    for (int64_t i = 0; i < n * k / 2; i++) {
        codes[i] = (uint8_t)(rand() >> 5);
        w[2 * i] = book[(codes[i] & 15) ^ 8];
        w[2 * i + 1] = book[codes[i] >> 4 ^ 8];
    }
    lg_plan *p = make_book(true, m, n, k, 1);
    bool ok = lg_plan_run(p, (const void *[]){x, w}, (void *[]){want}, &f);
    lg_plan_free(p);
    lg_graph_free(g);
    for (int threads = 1; threads <= 4; threads *= 2) {
        p = make_book(false, m, n, k, threads);
        ok = ok && lg_plan_run(p, (const void *[]){x, codes, book}, (void *[]){got}, &f);
        ok = ok && !memcmp(got, want, (size_t)(m * n) * 4) && lg_plan_get_stats(p).n_kernels == 1;
        lg_plan_free(p);
        lg_graph_free(g);
    }
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED isa %d: a held table, %d x %d x %d\n", (int)isa, (int)m, (int)n, (int)k);
    void *all[] = {x, w, want, got, codes};
    for (size_t i = 0; i < LG_COUNT(all); i++)
        lg_free(all[i]);
}

/* ---- bytes times bytes, exact ---- */

static int64_t byte_at(lg_dtype t, const uint8_t *x, int64_t i) {
    return t == LG_I8 ? (int8_t)x[i] : x[i];
}

/* [m, k] times [n, k] transposed, or times [k, n]. */
static void try_bytes(lg_dtype ta, lg_dtype tb, bool turned, int64_t m, int64_t n, int64_t k,
                      lg_isa isa) {
    uint8_t *a = lg_alloc((size_t)(m * k)), *b = lg_alloc((size_t)(n * k));
    int32_t *y = lg_alloc((size_t)(m * n) * 4);
    lg_fault f = {0};
    bool ok = true;
    for (int64_t i = 0; i < m * k; i++)
        a[i] =
            i < 2 * k ? 0x80 : (uint8_t)(rand() >> 5); /* the least i8, where moving it matters */
    for (int64_t i = 0; i < n * k; i++)
        b[i] = i < 2 * k ? 0xff - (i & 0x7f) : (uint8_t)(rand() >> 5);
    for (int threads = 1; threads <= 4; threads *= 2) {
        g = lg_graph_new(NULL);
        lg_node *x = lg_g_cast(g, input(ta, 2, (int64_t[]){m, k}), LG_I32, at);
        lg_node *w = input(tb, 2, turned ? (int64_t[]){n, k} : (int64_t[]){k, n});
        w = lg_g_cast(g, w, LG_I32, at);
        lg_g_output(g, lg_g_dot(g, x, turned ? transposed(w) : w, at), -1, NULL);
        lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = threads, .no_simplify = true});
        memset(y, 0, (size_t)(m * n) * 4);
        ok = ok && lg_plan_run(p, (const void *[]){a, b}, (void *[]){y}, &f);
        ok = ok && lg_plan_get_stats(p).n_kernels == 1;
        lg_plan_free(p);
        lg_graph_free(g);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                int64_t sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum +=
                        byte_at(ta, a, i * k + l) * byte_at(tb, b, turned ? j * k + l : l * n + j);
                ok = ok && y[i * n + j] == sum;
            }
    }
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED isa %d: %s times %s%s, %d x %d x %d\n", (int)isa, lg_dtype_name(ta),
               lg_dtype_name(tb), turned ? ", turned" : "", (int)m, (int)n, (int)k);
    lg_free(a);
    lg_free(b);
    lg_free(y);
}

static void try_all_bytes(lg_isa isa) {
    static const int64_t size[][3] = {{1, 70, 192}, {6, 33, 100}, {33, 1, 77}, {9, 130, 31}};
    for (int v = 0; v < 8; v++)
        for (size_t k = 0; k < LG_COUNT(size); k++)
            try_bytes(v & 1 ? LG_I8 : LG_U8, v & 2 ? LG_I8 : LG_U8, v & 4, size[k][0], size[k][1],
                      size[k][2], isa);
}

int main(void) {
    static const int64_t size[][4] = {/* m, n, k, group */
                                      {1, 96, 192, 32}, {1, 560, 64, 16}, {1, 71, 200, 8},
                                      {67, 1, 384, 64}, {1, 35, 288, 48}, {3, 70, 300, 10},
                                      {96, 1, 128, 32}, {40, 36, 288, 4}};
    lg_pool_init(4);
    for (int isa = LG_ISA_BASELINE; isa <= LG_ISA_AVX512; isa++) {
        if (!lg_isa_set((lg_isa)isa))
            continue;
        try_all_bytes((lg_isa)isa);
        try_outside(false, (lg_isa)isa);
        try_outside(true, (lg_isa)isa);
        for (int64_t m = 1; m < 20; m += 6)
            try_book(m, 70, 192, (lg_isa)isa);
        for (size_t k = 0; k < LG_COUNT(size); k++)
            try_kinds(
                (shape){.m = size[k][0], .n = size[k][1], .k = size[k][2], .group = size[k][3]},
                (lg_isa)isa);
    }
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
