/* emit_product.c: small matrix products of fixed sizes as C: register tiles without loops over rows
 * or columns, each element summed in the very order of ops/gemm.c, and fused where the machine's
 * own tiles are. Not for large products, which stay with ops/gemm.c, nor for other types than f32.
 */
#include "compiler/back/emitting.h"
#include "ops/gemm.h"
#include <inttypes.h>

enum { MOST_WORK = 1 << 19, ROWS_WIDE = 8, ROWS_NARROW = 6, ROWS_MORE = 4, ROWS_PADDED = 4 };

typedef struct {
    lg_buf *out;
    lg_product p;
    lg_gemm_order order;
    bool packed; /* B is copied, row after row, first */
    bool padded; /* to whole vectors */
    bool across; /* rows and columns are exchanged; the result is turned round at the end */
} writer;

/* Vectors side by side: pieces of columns, the last of which may go beyond them. */
typedef struct {
    int n, width[2], cols[2];
    int64_t at[2];
    bool running; /* counted from the column `n` of a loop */
} panel;

bool lg_c_has_product(const lg_step *s, lg_emit_how how) {
    if (s->kind != LG_S_DOT || !(s->serial || how.alone) || s->product_fn != lg_gemm)
        return false;
    const lg_product *p = s->product;
    int64_t work = p->m * p->n;
    lg_gemm_order o = lg_gemm_order_on(how.isa, p->type);
    return p->type == LG_F32 && p->batch > 0 && p->m > 0 && p->n > 0 && p->k > 0 &&
           p->k <= o.k_most && work <= MOST_WORK && work * p->k <= MOST_WORK;
}

static const int widths[] = {16, 8, 4, 1};

/* a*b + c in one rounding: a compiler that may fuse need not, so it is told to. */
static const char *fused_text(int width) {
    switch (width) {
    case 16:
        return "__builtin_ia32_vfmaddps512_mask(a, b, c, (unsigned short)-1, 4)";
    case 8:
        return "__builtin_ia32_vfmaddps256(a, b, c)";
    case 4:
        return "__builtin_ia32_vfmaddps(a, b, c)";
    default:
        return "__builtin_fmaf(a, b, c)";
    }
}

static void functions(writer *w, int width) {
    const char *head = "static inline __attribute__((always_inline))";
    lg_buf_printf(w->out, "%s lg_v%d lg_splat%d(float s) {\n    return (lg_v%d){", head, width,
                  width, width);
    for (int k = 0; k < width; k++)
        lg_buf_printf(w->out, "%ss", k ? ", " : "");
    lg_buf_printf(w->out, "};\n}\n%s lg_v%d lg_fma%d(lg_v%d a, lg_v%d b, lg_v%d c) {\n", head,
                  width, width, width, width, width);
    if (w->order.fused)
        lg_buf_printf(w->out,
                      "#ifdef __clang__\n#pragma clang fp contract(fast)\n    return a * b + c;\n"
                      "#else\n    return %s;\n#endif\n}\n",
                      fused_text(width));
    else
        lg_buf_printf(w->out, "    return a * b + c;\n}\n");
}

static void begin_file(writer *w) {
    for (size_t k = 0; k < LG_COUNT(widths); k++) {
        int n = widths[k];
        if (n > w->order.lanes)
            continue;
        if (n > 1)
            lg_buf_printf(w->out,
                          "typedef float lg_v%d __attribute__((vector_size(%d)));\n"
                          "typedef float lg_u%d __attribute__((vector_size(%d), aligned(4), "
                          "may_alias));\n",
                          n, 4 * n, n, 4 * n);
        else
            lg_buf_printf(w->out, "typedef float lg_v1;\ntypedef float lg_u1;\n");
        functions(w, n);
    }
    int lanes = w->order.lanes;
    lg_buf_printf(w->out,
                  "#define TILE(name) lg_tile_##name\n#define REAL float\n#define VEC lg_v%d\n"
                  "#define LANES %d\n#define TARGET\n%s",
                  lanes, lanes, lg_text_turn);
    lg_buf_printf(
        w->out,
        "static inline __attribute__((always_inline)) void lg_turned(const float *b, long "
        "b_n, const int some, float *t, long t_n) {\n"
        "    VEC v[LANES];\n"
        "    for (int q = 0; q < LANES; q++)\n"
        "        v[q] = q < some ? (VEC)*(const lg_u%d *)(b + q * b_n) : (VEC){0};\n"
        "    lg_tile_turn(v);\n"
        "    for (int q = 0; q < LANES; q++)\n"
        "        *(lg_u%d *)(t + q * t_n) = v[q];\n}\n\n",
        lanes, lanes);
}

void lg_c_product_head(lg_buf *out, lg_isa isa) {
    begin_file(&(writer){.out = out, .order = lg_gemm_order_on(isa, LG_F32)});
}

/* ---- tiles ---- */

/* The vector for what is left of a row: all of it and more where rows are padded. */
static int width_of(const writer *w, int64_t left) {
    int width = w->order.lanes;
    if (!w->padded)
        while (width > left)
            width = width > 4 ? width / 2 : 1;
    else
        while (width > 4 && width / 2 >= left)
            width /= 2;
    return width;
}

static int64_t padded_n(const writer *w) {
    int64_t rest = w->padded ? w->p.n % w->order.lanes : 0;
    return rest ? w->p.n - rest + width_of(w, rest) : w->p.n;
}

static int64_t b_row(const writer *w) {
    return w->packed ? padded_n(w) : w->p.b_k;
}

static void tile_store(writer *w, const panel *c, int r, int v) {
    char to[96];
    snprintf(to, sizeof to, "%s + (m + %d) * %" PRId64 " + %s%" PRId64, w->across ? "z" : "y", r,
             w->p.n, c->running ? "n + " : "", c->at[v]);
    if (c->cols[v] < c->width[v])
        lg_buf_printf(w->out, "            __builtin_memcpy(%s, &c%d_%d, %d);\n", to, r, v,
                      4 * c->cols[v]);
    else
        lg_buf_printf(w->out, "            *(lg_u%d *)(%s) = c%d_%d;\n", c->width[v], to, r, v);
}

static void tile_sums(writer *w, const panel *c, int rows) {
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < c->n; v++)
            lg_buf_printf(w->out, "            lg_v%d c%d_%d = {0};\n", c->width[v], r, v);
    lg_buf_printf(w->out,
                  "            for (long k = 0; k < %" PRId64 "; k++) {\n"
                  "                const float *x = %s + k * %" PRId64 "%s;\n",
                  w->p.k, w->packed ? "t" : "b", b_row(w), c->running ? " + n" : "");
    for (int v = 0; v < c->n; v++)
        lg_buf_printf(w->out, "                lg_v%d x%d = *(const lg_u%d *)(x + %" PRId64 ");\n",
                      c->width[v], v, c->width[v], c->at[v]);
    for (int r = 0; r < rows; r++) {
        lg_buf_printf(w->out,
                      "                float s%d = a[(m + %d) * %" PRId64 " + k * %" PRId64 "];\n",
                      r, r, w->p.a_m, w->p.a_k);
        for (int v = 0; v < c->n; v++)
            lg_buf_printf(w->out,
                          "                c%d_%d = lg_fma%d(lg_splat%d(s%d), x%d, c%d_%d);\n", r,
                          v, c->width[v], c->width[v], r, v, r, v);
    }
    lg_buf_printf(w->out, "            }\n");
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < c->n; v++)
            tile_store(w, c, r, v);
}

static void strip(writer *w, const panel *c) {
    int rows = w->order.lanes > 8 ? ROWS_WIDE : ROWS_NARROW;
    int64_t whole = w->p.m / rows * rows, left = w->p.m - whole;
    if (whole && left && left <= ROWS_MORE && w->order.lanes > 8)
        whole -= rows; /* a few rows alone would wait for their own sums */
    if (whole) {
        lg_buf_printf(w->out, "        for (long m = 0; m < %" PRId64 "; m += %d) {\n", whole,
                      rows);
        tile_sums(w, c, rows);
        lg_buf_printf(w->out, "        }\n");
    }
    if (whole < w->p.m) {
        lg_buf_printf(w->out, "        {\n            const long m = %" PRId64 ";\n", whole);
        tile_sums(w, c, (int)(w->p.m - whole));
        lg_buf_printf(w->out, "        }\n");
    }
}

/* t[k][n] = b[k][n] for k in [k0, k1) and n in [n0, n1). */
static void pack_each(writer *w, int64_t k0, int64_t k1, int64_t n0, int64_t n1, bool zero) {
    if (k0 >= k1 || n0 >= n1)
        return;
    lg_buf_printf(w->out,
                  "        for (long k = %" PRId64 "; k < %" PRId64 "; k++)\n"
                  "            for (long n = %" PRId64 "; n < %" PRId64 "; n++)\n"
                  "                t[k * %" PRId64 " + n] = ",
                  k0, k1, n0, n1, b_row(w));
    if (zero)
        lg_buf_printf(w->out, "0;\n");
    else
        lg_buf_printf(w->out, "b[k * %" PRId64 " + n * %" PRId64 "];\n", w->p.b_k, w->p.b_n);
}

/* A vector of columns from the one that is called `n` + more. */
static void turned(writer *w, int64_t tall, const char *n, int64_t more, int64_t some) {
    lg_buf_printf(w->out,
                  "        for (long k = 0; k < %" PRId64 "; k += %d)\n"
                  "            lg_turned(b + (%s + %" PRId64 ") * %" PRId64 " + k, %" PRId64
                  ", %" PRId64 ", t + k * %" PRId64 " + %s + %" PRId64 ", %" PRId64 ");\n",
                  tall, w->order.lanes, n, more, w->p.b_n, w->p.b_n, some, b_row(w), n, more,
                  b_row(w));
}

/* Squares of columns that lie along memory are turned in registers. */
static void pack(writer *w) {
    const lg_product *p = &w->p;
    int64_t lanes = w->order.lanes, wide = b_row(w) / lanes * lanes, tall = p->k / lanes * lanes;
    if (p->b_k != 1 || p->b_n == 1)
        wide = tall = 0;
    int64_t full = tall ? p->n / lanes * lanes : 0;
    if (full)
        lg_buf_printf(w->out, "        for (long n = 0; n < %" PRId64 "; n += %" PRId64 ")\n", full,
                      lanes);
    if (full)
        turned(w, tall, "n", 0, lanes);
    if (tall && full < wide)
        turned(w, tall, "0", full, p->n - full);
    int64_t done = tall ? wide : 0, from = done < p->n ? done : p->n;
    pack_each(w, 0, tall, from, p->n, false);
    pack_each(w, tall, p->k, 0, p->n, false);
    pack_each(w, 0, tall, done > p->n ? done : p->n, b_row(w), true);
    pack_each(w, tall, p->k, p->n, b_row(w), true);
}

/* What was computed with rows and columns exchanged, as it is wanted. */
static void turn(writer *w) {
    lg_buf_printf(w->out,
                  "        for (long n = 0; n < %" PRId64 "; n++)\n"
                  "            for (long m = 0; m < %" PRId64 "; m++)\n"
                  "                y[n * %" PRId64 " + m] = z[m * %" PRId64 " + n];\n",
                  w->p.n, w->p.m, w->p.m, w->p.n);
}

static void tiles(writer *w) {
    if (w->packed)
        pack(w);
    int lanes = w->order.lanes;
    int64_t at = w->p.n / (2 * lanes) > 1 ? w->p.n / (2 * lanes) * (2 * lanes) : 0;
    if (at) {
        lg_buf_printf(w->out, "        for (long n = 0; n < %" PRId64 "; n += %d) {\n", at,
                      2 * lanes);
        strip(w, &(panel){2, {lanes, lanes}, {lanes, lanes}, {0, lanes}, true});
        lg_buf_printf(w->out, "        }\n");
    }
    while (at < w->p.n) {
        panel c = {0};
        while (c.n < 2 && at < w->p.n) {
            int64_t left = w->p.n - at;
            int width = width_of(w, left);
            c.width[c.n] = width;
            c.cols[c.n] = left < width ? (int)left : width;
            c.at[c.n++] = at;
            at += width;
        }
        strip(w, &c);
    }
    if (w->across)
        turn(w);
}

/* A narrow product of which A has its columns side by side: lanes run along the rows of the result.
 * Each element is the same sum. */
static void look_across(writer *w, bool *swaps) {
    enum { MOST_TURNED = 4096 };
    const lg_product p = w->p;
    int64_t lanes = w->order.lanes, across = p.n * ((p.m + lanes - 1) / lanes);
    if (p.a_m != 1 || p.n >= lanes || p.m * p.n > MOST_TURNED || p.m <= across)
        return;
    w->across = true;
    *swaps = !*swaps;
    w->p.m = p.n, w->p.n = p.m;
    w->p.a_m = p.b_n, w->p.a_k = p.b_k, w->p.b_k = p.a_k, w->p.b_n = p.a_m;
    w->p.a_batch = p.b_batch, w->p.a_head = p.b_head, w->p.a_off = p.b_off;
    w->p.b_batch = p.a_batch, w->p.b_head = p.a_head, w->p.b_off = p.a_off;
}

/* ---- one row with both operands dense: running sums side by side, then a tree ---- */

/* Sums too short for that are one after the other: a vector of them is made side by side. How many
 * are done. */
static int64_t short_sums(writer *w) {
    int lanes = w->order.lanes;
    int64_t n = w->p.n / lanes * lanes, tall = w->p.k / lanes * lanes;
    if (w->p.k >= 4 * lanes || lanes == 1 || n == 0)
        return 0;
    lg_buf_printf(w->out,
                  "        for (long n = 0; n < %" PRId64 "; n += %d) {\n"
                  "            const float *x = b + n * %" PRId64 ";\n"
                  "            float t[%" PRId64 "] __attribute__((aligned(64)));\n"
                  "            lg_v%d sum = {0};\n",
                  n, lanes, w->p.b_n, w->p.k * lanes, lanes);
    if (tall)
        lg_buf_printf(w->out,
                      "            for (long k = 0; k < %" PRId64 "; k += %d)\n"
                      "                lg_turned(x + k, %" PRId64 ", %d, t + k * %d, %d);\n",
                      tall, lanes, w->p.b_n, lanes, lanes, lanes);
    if (tall < w->p.k)
        lg_buf_printf(w->out,
                      "            for (long k = %" PRId64 "; k < %" PRId64 "; k++)\n"
                      "                for (long q = 0; q < %d; q++)\n"
                      "                    t[k * %d + q] = x[q * %" PRId64 " + k];\n",
                      tall, w->p.k, lanes, lanes, w->p.b_n);
    lg_buf_printf(w->out,
                  "            for (long k = 0; k < %" PRId64 "; k++)\n"
                  "                sum += *(const lg_u%d *)(t + k * %d) * lg_splat%d(a[k]);\n"
                  "            *(lg_u%d *)(y + n) = sum;\n        }\n",
                  w->p.k, lanes, lanes, lanes, lanes);
    return n;
}

static void row_times(writer *w) {
    int lanes = w->order.lanes;
    int64_t whole = w->p.k / (4 * lanes) * (4 * lanes), done = short_sums(w);
    if (done == w->p.n)
        return;
    lg_buf_printf(w->out, "        for (long n = %" PRId64 "; n < %" PRId64 "; n++) {\n", done,
                  w->p.n);
    lg_buf_printf(w->out, "            const float *x = b + n * %" PRId64 ";\n", w->p.b_n);
    lg_buf_printf(w->out, "            float lane[%d] = {0}, rest = 0;\n", lanes);
    if (whole) {
        lg_buf_printf(w->out, "            lg_v%d c0 = {0}, c1 = {0}, c2 = {0}, c3 = {0};\n",
                      lanes);
        lg_buf_printf(w->out, "            for (long k = 0; k < %" PRId64 "; k += %d) {\n", whole,
                      4 * lanes);
        for (int v = 0; v < 4; v++)
            lg_buf_printf(w->out,
                          "                c%d = lg_fma%d(*(const lg_u%d *)(x + k + %d), "
                          "*(const lg_u%d *)(a + k + %d), c%d);\n",
                          v, lanes, lanes, v * lanes, lanes, v * lanes, v);
        lg_buf_printf(w->out,
                      "            }\n            *(lg_u%d *)lane = (c0 + c2) + (c1 + c3);\n"
                      "            for (int h = %d; h > 0; h /= 2)\n"
                      "                for (int v = 0; v < h; v++)\n"
                      "                    lane[v] += lane[v + h];\n",
                      lanes, lanes / 2);
    }
    /* what is left over is not fused */
    lg_buf_printf(w->out,
                  "            for (long k = %" PRId64 "; k < %" PRId64 "; k++)\n"
                  "                rest += x[k] * a[k];\n"
                  "            y[n] = lane[0] + rest;\n        }\n",
                  whole, w->p.k);
}

void lg_c_product(lg_buf *out, const lg_step *s, lg_isa isa, int number) {
    bool swaps;
    writer w = {.out = out, .order = lg_gemm_order_on(isa, LG_F32)};
    w.p = lg_gemm_turned(s->product, &swaps);
    const lg_product *p = &w.p;
    bool inner = p->m == 1 && p->b_k == 1 && p->a_k == 1;
    if (!inner)
        look_across(&w, &swaps);
    int64_t heads = p->heads ? p->heads : 1;
    w.padded = !inner && p->m >= ROWS_PADDED;
    w.packed = !inner && (p->b_n != 1 || padded_n(&w) > p->n);
    if (!out->n)
        begin_file(&w);
    lg_buf_printf(
        out,
        "LGD_%d void lgd_%d(const void *p, const void *va, const void *vb, void *vy, void *scratch,"
        " int part, int parts) {\n",
        number, number);
    if (w.packed)
        lg_buf_printf(out, "    float t[%" PRId64 "] __attribute__((aligned(64)));\n",
                      p->k * b_row(&w));
    if (w.across)
        lg_buf_printf(out, "    float z[%" PRId64 "] __attribute__((aligned(64)));\n", p->m * p->n);
    lg_buf_printf(out,
                  "    for (long i = 0; i < %" PRId64 "; i++) {\n"
                  "        const float *a = (const float *)%s + %" PRId64 " + i / %" PRId64
                  " * %" PRId64 " + i %% %" PRId64 " * %" PRId64 ";\n"
                  "        const float *b = (const float *)%s + %" PRId64 " + i / %" PRId64
                  " * %" PRId64 " + i %% %" PRId64 " * %" PRId64 ";\n"
                  "        float *y = (float *)vy + i * %" PRId64 ";\n",
                  p->batch, swaps ? "vb" : "va", p->a_off, heads, p->a_batch, heads, p->a_head,
                  swaps ? "va" : "vb", p->b_off, heads, p->b_batch, heads, p->b_head, p->m * p->n);
    if (inner)
        row_times(&w);
    else
        tiles(&w);
    lg_buf_printf(out, "    }\n}\n\n");
}
