/* fft.c: discrete Fourier transforms along the last axis, of any size. Not for convolution in
 * general nor for windows and spectrograms, which are written in the language.
 *
 * A complex array is a pair of real ones. All arithmetic is in double whatever the dtype. Sizes
 * whose primes are at most 13 go by mixed radix (Stockham's order, no digit reversal), others by
 * Bluestein's convolution. */
#include "ops/build.h"
#include "runtime/plan.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

typedef struct {
    double re, im;
} cplx;

static inline cplx cadd(cplx a, cplx b) {
    return (cplx){a.re + b.re, a.im + b.im};
}

static inline cplx csub(cplx a, cplx b) {
    return (cplx){a.re - b.re, a.im - b.im};
}

static inline cplx cmul(cplx a, cplx b) {
    return (cplx){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

static inline cplx conj_of(cplx a) {
    return (cplx){a.re, -a.im};
}

static inline cplx cscale(double s, cplx a) {
    return (cplx){s * a.re, s * a.im};
}

/* ---- plans, one a size, kept for the process ---- */

enum { MAX_FACTORS = 64, MAX_RADIX = 13 };

typedef struct plan {
    size_t n;
    cplx *root; /* exp(-2 pi i k/n) */
    int n_factors, factor[MAX_FACTORS];
    /* Bluestein's: the plan of the convolution, exp(-pi i k^2/n), transform of its conjugate */
    const struct plan *conv;
    cplx *chirp, *kernel;
    struct plan *next;
} plan;

/* exp(-2 pi i k/n), k < n, by angles up to an eighth of a turn, so that symmetries hold exactly. */
static cplx root_of(size_t k, size_t n) {
    const double quarter = 1.5707963267948966192;
    size_t q = 4 * k / n, r = 4 * k % n;
    double c, s;
    if (2 * r <= n) {
        c = cos(quarter * (double)r / (double)n);
        s = sin(quarter * (double)r / (double)n);
    } else {
        c = sin(quarter * (double)(n - r) / (double)n);
        s = cos(quarter * (double)(n - r) / (double)n);
    }
    switch (q) {
    case 0:
        return (cplx){c, -s};
    case 1:
        return (cplx){-s, -c};
    case 2:
        return (cplx){-c, s};
    default:
        return (cplx){s, c};
    }
}

/* Factors of n, fours first; false when a prime is too large. */
static bool factorise(plan *p) {
    size_t n = p->n;
    p->n_factors = 0;
    for (; n % 4 == 0; n /= 4)
        p->factor[p->n_factors++] = 4;
    for (int f = 2; f <= MAX_RADIX; f++)
        for (; n % (size_t)f == 0; n /= (size_t)f)
            p->factor[p->n_factors++] = f;
    return n == 1;
}

/* ---- one stage: n = radix * m, data in s interleaved columns ---- */

typedef struct {
    const plan *p;
    size_t m, s;
    const cplx *x;
    cplx *y;
} stage;

static void radix2(const stage *t) {
    const size_t m = t->m, s = t->s;
    for (size_t j = 0; j < m; j++) {
        cplx w = t->p->root[j * s];
        const cplx *a = t->x + s * j, *b = a + s * m;
        cplx *y = t->y + s * 2 * j;
        for (size_t q = 0; q < s; q++) {
            y[q] = cadd(a[q], b[q]);
            y[q + s] = cmul(w, csub(a[q], b[q]));
        }
    }
}

static void radix3(const stage *t) {
    const size_t m = t->m, s = t->s;
    const double h = 0.86602540378443864676;
    for (size_t j = 0; j < m; j++) {
        cplx w1 = t->p->root[j * s], w2 = t->p->root[2 * j * s];
        const cplx *x = t->x + s * j;
        cplx *y = t->y + s * 3 * j;
        for (size_t q = 0; q < s; q++) {
            cplx a = x[q], b = x[q + s * m], c = x[q + 2 * s * m];
            cplx sum = cadd(b, c), dif = cscale(h, csub(b, c));
            cplx mid = csub(a, cscale(0.5, sum));
            y[q] = cadd(a, sum);
            y[q + s] = cmul(w1, (cplx){mid.re + dif.im, mid.im - dif.re});
            y[q + 2 * s] = cmul(w2, (cplx){mid.re - dif.im, mid.im + dif.re});
        }
    }
}

static void radix4(const stage *t) {
    const size_t m = t->m, s = t->s;
    for (size_t j = 0; j < m; j++) {
        cplx w1 = t->p->root[j * s], w2 = t->p->root[2 * j * s], w3 = t->p->root[3 * j * s];
        const cplx *x = t->x + s * j;
        cplx *y = t->y + s * 4 * j;
        for (size_t q = 0; q < s; q++) {
            cplx a = x[q], b = x[q + s * m], c = x[q + 2 * s * m], d = x[q + 3 * s * m];
            cplx ac = cadd(a, c), a_c = csub(a, c), bd = cadd(b, d), b_d = csub(b, d);
            y[q] = cadd(ac, bd);
            y[q + s] = cmul(w1, (cplx){a_c.re + b_d.im, a_c.im - b_d.re});
            y[q + 2 * s] = cmul(w2, csub(ac, bd));
            y[q + 3 * s] = cmul(w3, (cplx){a_c.re - b_d.im, a_c.im + b_d.re});
        }
    }
}

/* Any radix, by its definition. */
static void radix_any(const stage *t, size_t radix) {
    const size_t m = t->m, s = t->s, n = t->p->n, step = n / radix;
    for (size_t j = 0; j < m; j++)
        for (size_t q = 0; q < s; q++)
            for (size_t r = 0; r < radix; r++) {
                cplx sum = t->x[q + s * j];
                for (size_t k = 1; k < radix; k++)
                    sum = cadd(sum, cmul(t->x[q + s * (j + m * k)],
                                         t->p->root[r * k % radix * step]));
                t->y[q + s * (radix * j + r)] = cmul(t->p->root[j * r * s], sum);
            }
}

static void run_stage(const stage *t, int radix) {
    if (radix == 2)
        radix2(t);
    else if (radix == 3)
        radix3(t);
    else if (radix == 4)
        radix4(t);
    else
        radix_any(t, (size_t)radix);
}

/* ---- whole transforms: n numbers at x, work space behind them ---- */

static size_t work_of(const plan *p) {
    return p->conv ? p->n + 2 * p->conv->n : 2 * p->n;
}

static void mixed_radix(const plan *p, cplx *x) {
    cplx *from = x, *to = x + p->n;
    size_t m = p->n, s = 1;
    for (int f = 0; f < p->n_factors; f++) {
        m /= (size_t)p->factor[f];
        run_stage(&(stage){p, m, s, from, to}, p->factor[f]);
        s *= (size_t)p->factor[f];
        cplx *other = from;
        from = to;
        to = other;
    }
    if (from != x)
        memcpy(x, from, p->n * sizeof *x);
}

/* j k = (j^2 + k^2 - (k - j)^2)/2 makes the transform a convolution with a chirp. */
static void bluestein(const plan *p, cplx *x) {
    const size_t n = p->n, big = p->conv->n;
    cplx *a = x + n;
    memset(a, 0, big * sizeof *a);
    for (size_t k = 0; k < n; k++)
        a[k] = cmul(x[k], p->chirp[k]);
    mixed_radix(p->conv, a);
    for (size_t k = 0; k < big; k++)
        a[k] = conj_of(cmul(a[k], p->kernel[k]));
    mixed_radix(p->conv, a);
    for (size_t k = 0; k < n; k++)
        x[k] = cscale(1 / (double)big, cmul(conj_of(a[k]), p->chirp[k]));
}

/* x[k] = sum over j of x[j] exp(-2 pi i j k/n) */
static void transform(const plan *p, cplx *x) {
    if (p->conv)
        bluestein(p, x);
    else
        mixed_radix(p, x);
}

static pthread_mutex_t plans_lock = PTHREAD_MUTEX_INITIALIZER;
static plan *plans;

static const plan *find_plan(size_t n);

static void make_chirp(plan *p) {
    size_t n = p->n, big = 1;
    while (big < 2 * n - 1)
        big *= 2;
    p->conv = find_plan(big);
    p->chirp = lg_alloc(n * sizeof *p->chirp);
    p->kernel = lg_alloc(2 * big * sizeof *p->kernel);
    for (size_t k = 0, square = 0; k < n; k++) {
        p->chirp[k] = root_of(square, 2 * n);
        p->kernel[k] = p->kernel[(big - k) % big] = conj_of(p->chirp[k]);
        square = (square + 2 * k + 1) % (2 * n);
    }
    mixed_radix(p->conv, p->kernel);
}

/* The plan of size n > 0; the lock is held. */
static const plan *find_plan(size_t n) {
    for (plan *p = plans; p; p = p->next)
        if (p->n == n)
            return p;
    plan *p = lg_alloc(sizeof *p);
    p->n = n;
    p->root = lg_alloc(n * sizeof *p->root);
    for (size_t k = 0; k < n; k++)
        p->root[k] = root_of(k, n);
    if (!factorise(p))
        make_chirp(p);
    p->next = plans;
    plans = p;
    return p;
}

static const plan *plan_for(int64_t n) {
    pthread_mutex_lock(&plans_lock);
    const plan *p = find_plan((size_t)n);
    pthread_mutex_unlock(&plans_lock);
    return p;
}

/* ---- rows of either dtype ---- */

static double get(lg_dtype t, const void *p, size_t i) {
    return t == LG_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i];
}

static void put(lg_dtype t, void *p, size_t i, double v) {
    if (t == LG_F64)
        ((double *)p)[i] = v;
    else
        ((float *)p)[i] = (float)v;
}

static int64_t last_axis(const lg_type *t) {
    return t->shape[t->rank - 1];
}

static size_t rows_of(const lg_type *t) {
    size_t rows = 1;
    for (int d = 0; d < t->rank - 1; d++)
        rows *= (size_t)t->shape[d];
    return rows;
}

/* A real transform of even size runs on half as many complex numbers. */
static int64_t complex_size(int64_t n) {
    return n % 2 == 0 && n > 0 ? n / 2 : n;
}

static size_t scratch_for(int64_t n) {
    return n > 0 ? (work_of(plan_for(n)) + 1) * sizeof(cplx) : 0;
}

static size_t complex_scratch(const lg_node *y) {
    return scratch_for(last_axis(&y->type[0]));
}

static size_t rfft_scratch(const lg_node *y) {
    return scratch_for(complex_size(last_axis(&y->in[0]->type[0])));
}

static size_t irfft_scratch(const lg_node *y) {
    return scratch_for(complex_size(last_axis(&y->type[0])));
}

/* ---- complex: in re, im [.., N]; out re, im [.., N] ---- */

static bool complex_run(const lg_call *c, bool inverse) {
    const lg_type *t = &c->node->type[0];
    size_t n = (size_t)last_axis(t), rows = rows_of(t);
    cplx *x = c->scratch;
    if (n == 0)
        return true;
    const plan *p = plan_for((int64_t)n);
    const double turn = inverse ? -1 : 1, scale = inverse ? 1 / (double)n : 1;
    for (size_t b = 0; b < rows; b++) {
        for (size_t i = 0; i < n; i++)
            x[i] = (cplx){get(t->dtype, c->in[0], b * n + i),
                          turn * get(t->dtype, c->in[1], b * n + i)};
        transform(p, x);
        for (size_t i = 0; i < n; i++) {
            put(t->dtype, c->out[0], b * n + i, scale * x[i].re);
            put(t->dtype, c->out[1], b * n + i, scale * turn * x[i].im);
        }
    }
    return true;
}

static bool fft_run(const lg_call *c) {
    return complex_run(c, false);
}

static bool ifft_run(const lg_call *c) {
    return complex_run(c, true);
}

/* ---- real: x[.., N] to re, im [.., N/2+1] and back ---- */

/* Bins 0..N/2 of a real row of even size from z, the transform of its even entries plus i times
 * its odd ones; z[h] repeats z[0]. */
static void untangle(lg_dtype t, const cplx *z, const cplx *root, size_t h, size_t base,
                     void *re, void *im) {
    for (size_t k = 0; k <= h; k++) {
        cplx a = z[k], b = conj_of(z[h - k]);
        cplx even = cscale(0.5, cadd(a, b)), odd = cscale(0.5, csub(a, b));
        cplx w = k < h ? root[k] : (cplx){-1, 0};
        cplx turned = cmul(w, (cplx){odd.im, -odd.re});
        put(t, re, base + k, even.re + turned.re);
        put(t, im, base + k, k == 0 || k == h ? 0 : even.im + turned.im);
    }
}

static bool rfft_run(const lg_call *c) {
    const lg_type *t = &c->node->in[0]->type[0];
    size_t n = (size_t)last_axis(t), rows = rows_of(t), bins = n / 2 + 1, h = n / 2;
    cplx *z = c->scratch;
    if (n == 0) {
        memset(c->out[0], 0, rows * lg_dtype_size(t->dtype));
        memset(c->out[1], 0, rows * lg_dtype_size(t->dtype));
        return true;
    }
    const plan *p = plan_for(complex_size((int64_t)n)), *full = plan_for((int64_t)n);
    for (size_t b = 0; b < rows; b++) {
        bool even = n % 2 == 0;
        for (size_t i = 0; i < p->n; i++)
            z[i] = even ? (cplx){get(t->dtype, c->in[0], b * n + 2 * i),
                                 get(t->dtype, c->in[0], b * n + 2 * i + 1)}
                        : (cplx){get(t->dtype, c->in[0], b * n + i), 0};
        transform(p, z);
        if (even) {
            z[h] = z[0];
            untangle(t->dtype, z, full->root, h, b * bins, c->out[0], c->out[1]);
            continue;
        }
        for (size_t k = 0; k < bins; k++) {
            put(t->dtype, c->out[0], b * bins + k, z[k].re);
            put(t->dtype, c->out[1], b * bins + k, k == 0 ? 0 : z[k].im);
        }
    }
    return true;
}

/* Bin k of a row; the imaginary parts of bins 0 and N/2 count as zero. */
static cplx bin(const lg_call *c, lg_dtype t, size_t base, size_t n, size_t k) {
    double im = k == 0 || 2 * k == n ? 0 : get(t, c->in[1], base + k);
    return (cplx){get(t, c->in[0], base + k), im};
}

/* The conjugate of even + i odd, whose forward transform is the conjugate of the inverse one. */
static cplx tangle(cplx a, cplx b, cplx root) {
    cplx even = cscale(0.5, cadd(a, conj_of(b)));
    cplx odd = cmul(cscale(0.5, csub(a, conj_of(b))), conj_of(root));
    return (cplx){even.re - odd.im, -(even.im + odd.re)};
}

static bool irfft_run(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    size_t n = (size_t)last_axis(t), rows = rows_of(t), bins = n / 2 + 1, h = n / 2;
    cplx *z = c->scratch;
    if (n == 0)
        return true;
    const plan *p = plan_for(complex_size((int64_t)n)), *full = plan_for((int64_t)n);
    const double scale = 1 / (double)p->n;
    for (size_t b = 0; b < rows; b++) {
        size_t base = b * bins;
        if (n % 2 == 0) {
            for (size_t k = 0; k < h; k++)
                z[k] = tangle(bin(c, t->dtype, base, n, k), bin(c, t->dtype, base, n, h - k),
                              full->root[k]);
        } else {
            z[0] = bin(c, t->dtype, base, n, 0);
            for (size_t k = 1; k < bins; k++) {
                z[n - k] = bin(c, t->dtype, base, n, k);
                z[k] = conj_of(z[n - k]);
            }
        }
        transform(p, z);
        for (size_t i = 0; i < p->n; i++) {
            if (n % 2 == 0) {
                put(t->dtype, c->out[0], b * n + 2 * i, scale * z[i].re);
                put(t->dtype, c->out[0], b * n + 2 * i + 1, -scale * z[i].im);
            } else {
                put(t->dtype, c->out[0], b * n + i, scale * z[i].re);
            }
        }
    }
    return true;
}

/* ---- derivatives: each by the others ---- */

static const lg_op op_fft, op_ifft, op_rfft, op_irfft;

/* A pair of cotangents, zeros standing in for a missing one; false when both are missing. */
static bool both(const lg_rule_ctx *r, const lg_node *y, lg_node **dy, lg_node **out) {
    if (!dy[0] && !dy[1])
        return false;
    for (int k = 0; k < 2; k++)
        out[k] = dy[k] ? dy[k] : lg_g_fill(r->g, y->type[k], 0, r->at);
    return true;
}

/* The adjoint of F is N times its inverse. */
static bool adjoint(void *ctx, lg_node *y, lg_node **dy, lg_node **dx, const lg_op *op,
                    double scale) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    lg_node *d[2];
    if (!both(&r, y, dy, d))
        return true;
    lg_node *back = lg_g_kernel(r.g, op, 2, d, 2, y->type, NULL, r.at);
    for (int k = 0; k < 2; k++)
        dx[k] = lg_rule_scale(&r, lg_g_item(r.g, back, k), scale);
    return true;
}

static bool fft_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    return adjoint(ctx, y, dy, dx, &op_ifft, (double)last_axis(&y->type[0]));
}

static bool ifft_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    int64_t n = last_axis(&y->type[0]);
    return adjoint(ctx, y, dy, dx, &op_fft, n ? 1 / (double)n : 1);
}

/* x times `ends` at bins 0 and N/2, `inside` elsewhere */
static lg_node *weigh_bins(const lg_rule_ctx *r, lg_node *x, int64_t n, double ends,
                           double inside) {
    const lg_type *t = &x->type[0];
    int64_t bins = last_axis(t);
    int from[LG_MAX_RANK];
    lg_tensor *w = lg_tensor_new(t->dtype, 1, &bins);
    for (int64_t k = 0; k < bins; k++)
        lg_set_f64(t->dtype, w->data, (size_t)k, k == 0 || 2 * k == n ? ends : inside);
    for (int d = 0; d < t->rank; d++)
        from[d] = d == t->rank - 1 ? 0 : -1;
    lg_node *row = lg_g_const(r->g, w, r->at);
    lg_tensor_release(w);
    return lg_rule_op2(r, "mul", x, lg_g_broadcast(r->g, row, t->rank, t->shape, from, r->at));
}

/* irfft counts the bins between 0 and N/2 twice and divides by N. */
static bool rfft_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    const lg_type *t = &y->in[0]->type[0];
    int64_t n = last_axis(t);
    lg_node *d[2];
    if (!both(&r, y, dy, d))
        return true;
    for (int k = 0; k < 2; k++)
        d[k] = weigh_bins(&r, d[k], n, (double)n, (double)n / 2);
    dx[0] = lg_rule_kernel(&r, &op_irfft, 2, d, t, &n, 1);
    return true;
}

static bool irfft_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    lg_rule_ctx r = lg_rule_begin(ctx, y);
    int64_t n = last_axis(&y->type[0]);
    const lg_type out[2] = {y->in[0]->type[0], y->in[1]->type[0]};
    if (n == 0)
        return true;
    lg_node *bins = lg_g_kernel(r.g, &op_rfft, 1, dy, 2, out, NULL, r.at);
    for (int k = 0; k < 2; k++)
        dx[k] = weigh_bins(&r, lg_g_item(r.g, bins, k), n, 1 / (double)n, 2 / (double)n);
    return true;
}

static int64_t fft_flops(const lg_node *y) {
    const lg_type *t = &y->in[0]->type[0];
    double n = (double)last_axis(t);
    return (int64_t)(5 * n * log2(n + 1)) * (int64_t)rows_of(t);
}

static const lg_op op_fft = {
    .name = "fft",
    .sig = "(re: float[...S, N], im: float[...S, N]) -> {re: float[...S, N], im: float[...S, N]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = fft_vjp,
    .n_out = 2,
    .run = fft_run,
    .scratch = complex_scratch,
    .flops = fft_flops,
    .doc = "Discrete Fourier transform of complex rows given as two arrays.",
    .example = "fft([1.0, 1.0], [0.0, 0.0]).re",
    .result = "[2, 0]",
};

static const lg_op op_ifft = {
    .name = "ifft",
    .sig = "(re: float[...S, N], im: float[...S, N]) -> {re: float[...S, N], im: float[...S, N]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = ifft_vjp,
    .n_out = 2,
    .run = ifft_run,
    .scratch = complex_scratch,
    .flops = fft_flops,
    .doc = "Inverse of fft, divided by N.",
    .example = "ifft([2.0, 0.0], [0.0, 0.0]).re",
    .result = "[1, 1]",
};

static const lg_op op_rfft = {
    .name = "rfft",
    .sig = "(x: float[...S, N]) -> {re: float[...S, N//2 + 1], im: float[...S, N//2 + 1]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = rfft_vjp,
    .n_out = 2,
    .run = rfft_run,
    .scratch = rfft_scratch,
    .flops = fft_flops,
    .doc = "Bins 0 to N/2 of the discrete Fourier transform of real rows.",
    .example = "rfft([1.0, 0.0, 1.0, 0.0]).re",
    .result = "[2, 0, 2]",
};

static const lg_op op_irfft = {
    .name = "irfft",
    .sig = "(re: float[...S, n//2 + 1], im: float[...S, n//2 + 1], n) -> float[...S, n]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 2,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = irfft_vjp,
    .run = irfft_run,
    .scratch = irfft_scratch,
    .flops = fft_flops,
    .doc = "Real rows of size n from bins 0 to n/2; the inverse of rfft.",
    .example = "irfft([2.0, 0.0, 2.0], [0.0, 0.0, 0.0], 4)",
    .result = "[1, 0, 1, 0]",
};

const lg_op *const lg_ops_fft[] = {&op_fft, &op_ifft, &op_rfft, &op_irfft, NULL};
