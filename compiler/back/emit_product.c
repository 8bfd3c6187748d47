/* emit_product.c: small matrix products of fixed sizes as C: register tiles without loops over rows
 * or columns, each element summed in the very order of ops/gemm.c, and fused where the machine's
 * own tiles are. Not for large products, which stay with ops/gemm.c, nor for other types than f32.
 */
#include "compiler/back/emitting.h"
#include "ops/gemm.h"
#include <inttypes.h>

enum { MOST_WORK = 1 << 19, ROWS_WIDE = 8, ROWS_NARROW = 6 };

typedef struct {
    lg_buf *out;
    lg_product p;
    lg_gemm_order order;
    bool packed; /* B is copied, row after row, first */
} writer;

/* Vectors side by side: pieces of columns. */
typedef struct {
    int n, width[2];
    int64_t at[2];
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
    lg_buf_printf(w->out, "\n");
}

/* ---- tiles ---- */

static int64_t b_row(const writer *w) {
    return w->packed ? w->p.n : w->p.b_k;
}

static void tile_sums(writer *w, const panel *c, int rows) {
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < c->n; v++)
            lg_buf_printf(w->out, "            lg_v%d c%d_%d = {0};\n", c->width[v], r, v);
    lg_buf_printf(w->out,
                  "            for (long k = 0; k < %" PRId64 "; k++) {\n"
                  "                const float *x = %s + k * %" PRId64 ";\n",
                  w->p.k, w->packed ? "t" : "b", b_row(w));
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
            lg_buf_printf(w->out,
                          "            *(lg_u%d *)(y + (m + %d) * %" PRId64 " + %" PRId64
                          ") = c%d_%d;\n",
                          c->width[v], r, w->p.n, c->at[v], r, v);
}

static void strip(writer *w, const panel *c) {
    int rows = w->order.lanes > 8 ? ROWS_WIDE : ROWS_NARROW;
    int64_t whole = w->p.m / rows * rows;
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

static void pack(writer *w) {
    lg_buf_printf(w->out,
                  "        for (long k = 0; k < %" PRId64 "; k++)\n"
                  "            for (long n = 0; n < %" PRId64 "; n++)\n"
                  "                t[k * %" PRId64 " + n] = b[k * %" PRId64 " + n * %" PRId64
                  "];\n",
                  w->p.k, w->p.n, w->p.n, w->p.b_k, w->p.b_n);
}

static void tiles(writer *w) {
    if (w->packed)
        pack(w);
    for (int64_t at = 0; at < w->p.n;) {
        panel c = {0};
        while (c.n < 2 && at < w->p.n) {
            int width = w->order.lanes;
            while (width > w->p.n - at)
                width = width > 4 ? width / 2 : 1;
            c.width[c.n] = width;
            c.at[c.n++] = at;
            at += width;
        }
        strip(w, &c);
    }
}

/* ---- one row with both operands dense: running sums side by side, then a tree ---- */

static void row_times(writer *w) {
    int lanes = w->order.lanes;
    int64_t whole = w->p.k / (4 * lanes) * (4 * lanes);
    lg_buf_printf(w->out, "        for (long n = 0; n < %" PRId64 "; n++) {\n", w->p.n);
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
    int64_t heads = p->heads ? p->heads : 1;
    w.packed = !inner && p->b_n != 1;
    if (!out->n)
        begin_file(&w);
    lg_buf_printf(
        out,
        "LGD_%d void lgd_%d(const void *p, const void *va, const void *vb, void *vy, void *scratch,"
        " int part, int parts) {\n",
        number, number);
    if (w.packed)
        lg_buf_printf(out, "    float t[%" PRId64 "] __attribute__((aligned(64)));\n", p->k * p->n);
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
