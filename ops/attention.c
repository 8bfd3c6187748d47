/* attention.c: softmax attention and its gradients, a strip of scores at a time: the scores of some
 * queries with all keys they see stay in the cache, keys that none of them sees are passed over.
 * The backward pass makes the strips again from what `top` kept. A head is never shared among
 * threads where its keys are summed over, so results do not depend on their number. Not for what is
 * attention (mid/attention.c); the loops stand in attention_tile.h. */
#include "ops/attention.h"
#include "ops/family.h"
#include "ops/isa.h"
#include "ops/vmath.h"
#include "runtime/plan.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- where things stand ---- */

/* Steps by batch, head, repeat, row, column, in elements. */
typedef struct {
    int64_t off, b, h, r, i, j;
} place;

typedef struct {
    lg_dtype type;
    size_t size; /* of an element */
    int64_t B, H, R, T, U, K, V;
    int64_t flags, up, low;
    double scale;
    place q, k, v, dy, y, mask, bias, dq, dk, dv;
    int64_t k_wide, v_wide; /* rows of keys and values in whole tiles */
} geometry;

/* A head at work, in a part of the scratch. */
typedef struct {
    int64_t b, h, r;
    int64_t stat; /* where its `top` begins */
    void *strip, *other, *q_panels, *dy_panels, *part;
    void *k_room, *v_room, *q_room, *dy_room; /* for lines */
    const void *k_lines, *v_lines;
    int64_t k_step, v_step;
} head;

enum { BLOCK = 32 };

/* The queries i .. i+n of a head: the keys lo .. hi that some of them see, all_lo .. all_hi that
 * all of them do, first .. last that each does; their bias and mask. */
typedef struct {
    int64_t i, n, lo, hi, all_lo, all_hi;
    int32_t first[BLOCK], last[BLOCK];
    const void *bias;
    const uint8_t *mask;
} block;

typedef struct {
    geometry g;
    const void *q, *k, *v, *mask, *bias;
    void *y, *top;
    int64_t chunks; /* of the queries of a head */
    char *scratch;
    size_t room; /* of a part */
} forward;

typedef struct {
    geometry g;
    const void *q, *k, *v, *dy, *y, *top, *mask, *bias;
    void *dq, *dk, *dv;
    char *scratch;
    size_t room;
} backward;

static int64_t within(int64_t x, int64_t n) {
    return x < 0 ? 0 : x > n ? n : x;
}

static int64_t first_key(const geometry *g, int64_t i) {
    return g->flags & LG_ATT_HAS_LOW ? within(i + g->low, g->U) : 0;
}

static int64_t last_key(const geometry *g, int64_t i) {
    return g->flags & LG_ATT_HAS_UP ? within(i + g->up + 1, g->U) : g->U;
}

static int64_t at_head(const place *p, const head *h) {
    return p->off + h->b * p->b + h->h * p->h;
}

static int64_t at_row(const place *p, const head *h, int64_t i) {
    return at_head(p, h) + h->r * p->r + i * p->i;
}

static bool wants_scores(const geometry *g) {
    return g->flags & (LG_ATT_WANTS_DQ | LG_ATT_WANTS_DK);
}

static block block_of(const geometry *g, const head *h, int64_t i, int64_t n, const void *mask,
                      const void *bias) {
    block b = {.i = i, .n = n, .lo = first_key(g, i), .hi = last_key(g, i + n - 1)};
    b.all_lo = first_key(g, i + n - 1);
    b.all_hi = last_key(g, i);
    for (int64_t q = 0; q < n; q++) {
        b.first[q] = (int32_t)first_key(g, i + q);
        b.last[q] = (int32_t)last_key(g, i + q);
    }
    if (mask)
        b.mask = (const uint8_t *)mask + at_row(&g->mask, h, i);
    if (bias)
        b.bias = (const char *)bias + at_row(&g->bias, h, i) * (int64_t)g->size;
    return b;
}

/* From *r0 to *r1: the queries of the block that may see a key of j0 .. j1. */
static void queries_of(const geometry *g, const block *b, int64_t j0, int64_t j1, int64_t *r0,
                       int64_t *r1) {
    *r0 = g->flags & LG_ATT_HAS_UP ? within(j0 - g->up - b->i, b->n) : 0;
    *r1 = g->flags & LG_ATT_HAS_LOW ? within(j1 - g->low - b->i + 1, b->n) : b->n;
}

/* e^x for x that rounding has above 0 at most: 0 below e^-86. What lg_exp_f32 does for the ends of
 * the range is left out. */
LG_MATH float exp_f32(float x) {
    float c = x < -86.0f ? -86.0f : x;
    float m = LG_FMA(c, 0x1.715476p+0f, LG_ROUND_MAGIC);
    float k = m - LG_ROUND_MAGIC;
    float r = LG_FMA(k, -LG_LN2_HI, c);
    r = LG_FMA(k, -LG_LN2_LO, r);
    float q = 0x1.6a9872p-10f; /* as in lg_exp_scaled_f32 */
    q = LG_FMA(q, r, 0x1.123c16p-7f);
    q = LG_FMA(q, r, 0x1.555872p-5f);
    q = LG_FMA(q, r, 0x1.55548ep-3f);
    q = LG_FMA(q, r, 0x1.fffffcp-2f);
    float p = LG_FMA(r * r, q, r) + 1.0f;
    float y = p * lg_from_bits((lg_to_bits(m) - 0x4b400000u + 127u) << 23);
    return x < -86.0f ? 0.0f : y;
}

/* ---- tiles ---- */

#if defined(__x86_64__)
#define TILE(name) name##_f32_512
#define REAL float
#define VEC __m512
#define LANES 16
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define SPLAT(s) _mm512_set1_ps(s)
#define EXP exp_f32
#define LOG lg_log_f32
#define MR 8
#define NV 2
#define TARGET __attribute__((target("arch=x86-64-v4")))
#include "ops/attention_tile.h"
#define TILE(name) name##_f64_512
#define REAL double
#define VEC __m512d
#define LANES 8
#define FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define SPLAT(s) _mm512_set1_pd(s)
#define EXP lg_exp_f64
#define LOG lg_log_f64
#define MR 8
#define NV 2
#define TARGET __attribute__((target("arch=x86-64-v4")))
#include "ops/attention_tile.h"
#define TILE(name) name##_f32_256
#define REAL float
#define VEC __m256
#define LANES 8
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define SPLAT(s) _mm256_set1_ps(s)
#define EXP exp_f32
#define LOG lg_log_f32
#define MR 6
#define NV 2
#define TARGET __attribute__((target("arch=x86-64-v3")))
#include "ops/attention_tile.h"
#define TILE(name) name##_f64_256
#define REAL double
#define VEC __m256d
#define LANES 4
#define FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define SPLAT(s) _mm256_set1_pd(s)
#define EXP lg_exp_f64
#define LOG lg_log_f64
#define MR 6
#define NV 2
#define TARGET __attribute__((target("arch=x86-64-v3")))
#include "ops/attention_tile.h"
#endif

typedef float vec_f32 __attribute__((vector_size(16)));
typedef double vec_f64 __attribute__((vector_size(16)));
#define TILE(name) name##_f32_any
#define REAL float
#define VEC vec_f32
#define LANES 4
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((vec_f32){s, s, s, s})
#define EXP exp_f32
#define LOG lg_log_f32
#define MR 4
#define NV 2
#define TARGET
#include "ops/attention_tile.h"
#define TILE(name) name##_f64_any
#define REAL double
#define VEC vec_f64
#define LANES 2
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((vec_f64){s, s})
#define EXP lg_exp_f64
#define LOG lg_log_f64
#define MR 4
#define NV 2
#define TARGET
#include "ops/attention_tile.h"

typedef struct {
    void (*forward)(const forward *f, head *h, int64_t i0, int64_t i1);
    void (*backward)(const backward *b, head *h);
} tiles;

static tiles tiles_of(lg_dtype t) {
    bool wide = t == LG_F64;
#if defined(__x86_64__)
    if (lg_isa_of() == LG_ISA_AVX512)
        return wide ? (tiles){forward_head_f64_512, backward_head_f64_512}
                    : (tiles){forward_head_f32_512, backward_head_f32_512};
    if (lg_isa_of() == LG_ISA_AVX2)
        return wide ? (tiles){forward_head_f64_256, backward_head_f64_256}
                    : (tiles){forward_head_f32_256, backward_head_f32_256};
#endif
    return wide ? (tiles){forward_head_f64_any, backward_head_f64_any}
                : (tiles){forward_head_f32_any, backward_head_f32_any};
}

/* ---- shapes and scratch ---- */

/* The widest tile has 32 columns and 8 rows; scratch is the same on every machine. */
enum { WIDE = 32, TALL = 8, PARTS = 16, CHUNK = 64 };

/* Input k of the call, of rank 5, or of rank 4 without repeats. */
static place place_of(const lg_node *n, const lg_strides *at, int k) {
    const lg_type *t = &n->in[k]->type[0];
    int64_t s[LG_MAX_RANK] = {0}, unit = 1;
    for (int d = t->rank - 1; d >= 0; unit *= t->shape[d--])
        s[d] = at ? at[k].stride[d] : unit;
    place p = {.off = at ? at[k].off : 0, .b = s[0], .h = s[1]};
    p.r = t->rank == 5 ? s[2] : 0;
    p.i = s[t->rank - 2];
    p.j = s[t->rank - 1];
    return p;
}

/* A result [B, n, H, R, k], or of three of them that are joined, [B, n, 3, H, k], number `at`. */
static place result_of(int64_t n, int64_t h, int64_t r, int64_t k, int64_t three, int64_t at) {
    int64_t row = h * r * k;
    return (place){.off = three > 1 ? at * row : 0,
                   .b = n * three * row,
                   .h = r * k,
                   .r = k,
                   .i = three * row,
                   .j = 1};
}

static int64_t whole(int64_t n) {
    return (n + WIDE - 1) / WIDE * WIDE;
}

static geometry geometry_of(const lg_node *n, const lg_strides *at, bool back) {
    const int64_t *q = n->in[0]->type[0].shape, *v = n->in[2]->type[0].shape, *p = n->attr.p;
    geometry g = {.B = q[0], .H = q[1], .R = q[2], .T = q[3], .K = q[4], .U = v[2], .V = v[3]};
    g.type = n->in[0]->type[0].dtype;
    g.size = lg_dtype_size(g.type);
    memcpy(&g.scale, &p[LG_ATT_SCALE], sizeof g.scale);
    g.flags = p[LG_ATT_FLAGS];
    g.up = p[LG_ATT_UP];
    g.low = p[LG_ATT_LOW];
    g.q = place_of(n, at, 0);
    g.k = place_of(n, at, 1);
    g.v = place_of(n, at, 2);
    int next = back ? 6 : 3;
    g.y = back ? place_of(n, at, 4) : result_of(g.T, g.H, g.R, g.V, 1, 0);
    if (back) {
        int64_t three = g.flags & LG_ATT_JOINED ? 3 : 1;
        g.dy = place_of(n, at, 3);
        g.dq = result_of(g.T, g.H, g.R, g.K, three, p[LG_ATT_DQ_AT]);
        g.dk = result_of(g.U, g.H, 1, g.K, three, p[LG_ATT_DK_AT]);
        g.dv = result_of(g.U, g.H, 1, g.V, three, p[LG_ATT_DV_AT]);
    }
    if (g.flags & LG_ATT_HAS_MASK)
        g.mask = place_of(n, at, next++);
    if (g.flags & LG_ATT_HAS_BIAS)
        g.bias = place_of(n, at, next);
    g.k_wide = whole(g.K);
    g.v_wide = whole(g.V);
    return g;
}

/* Scratch is cut into aligned pieces; without a base the sizes are only counted. */
static void *cut(char *base, size_t *used, int64_t n, size_t size) {
    char *p = base ? base + *used : NULL;
    *used += ((size_t)n * size + 63) & ~(size_t)63;
    return p;
}

static size_t cut_forward(const geometry *g, char *base, head *h) {
    size_t used = 0;
    h->strip = cut(base, &used, g->U * BLOCK, g->size);
    h->q_panels = cut(base, &used, g->K * BLOCK, g->size);
    h->part = cut(base, &used, TALL * g->v_wide, g->size);
    h->v_room = cut(base, &used, g->U * g->v_wide, g->size);
    return used;
}

static size_t cut_backward(const geometry *g, char *base, head *h) {
    size_t used = 0;
    h->strip = cut(base, &used, g->U * BLOCK, g->size);
    h->other = cut(base, &used, g->U * BLOCK, g->size);
    h->q_panels = cut(base, &used, g->K * BLOCK, g->size);
    h->dy_panels = cut(base, &used, g->V * BLOCK, g->size);
    h->part = cut(base, &used, g->V * BLOCK, g->size);
    h->k_room = cut(base, &used, g->U * g->k_wide, g->size);
    h->q_room = cut(base, &used, BLOCK * g->k_wide, g->size);
    h->dy_room = cut(base, &used, BLOCK * g->v_wide, g->size);
    return used;
}

/* Heads are cut among threads; where there are few, their queries too. */
static int64_t chunks_of(const geometry *g) {
    int64_t most = (g->T + CHUNK - 1) / CHUNK;
    return g->B * g->H >= PARTS || most < 2 ? 1 : most < PARTS ? most : PARTS;
}

static int64_t parts_of(int64_t jobs) {
    return jobs < 1 ? 1 : jobs < PARTS ? jobs : PARTS;
}

/* ---- the ops ---- */

static void begin_head(const geometry *g, head *h, int64_t number) {
    h->b = number / g->H;
    h->h = number % g->H;
}

static void begin_repeat(const geometry *g, head *h, int64_t r) {
    h->r = r;
    h->stat = ((h->b * g->H + h->h) * g->R + r) * g->T;
}

static void forward_part(void *ctx, int part, int parts) {
    const forward *f = ctx;
    const geometry *g = &f->g;
    const tiles t = tiles_of(g->type);
    head h = {0};
    cut_forward(g, f->scratch + (size_t)part * f->room, &h);
    for (int64_t n = part; n < g->B * g->H * f->chunks; n += parts) {
        int64_t c = n % f->chunks;
        begin_head(g, &h, n / f->chunks);
        for (int64_t r = 0; r < g->R; r++) {
            begin_repeat(g, &h, r);
            t.forward(f, &h, g->T * c / f->chunks, g->T * (c + 1) / f->chunks);
        }
    }
}

static void backward_part(void *ctx, int part, int parts) {
    const backward *b = ctx;
    const geometry *g = &b->g;
    const tiles t = tiles_of(g->type);
    head h = {0};
    cut_backward(g, b->scratch + (size_t)part * b->room, &h);
    for (int64_t n = part; n < g->B * g->H; n += parts) {
        begin_head(g, &h, n);
        for (int64_t r = 0; r < g->R; r++) {
            begin_repeat(g, &h, r);
            t.backward(b, &h);
        }
    }
}

static size_t forward_scratch(const lg_node *n) {
    geometry g = geometry_of(n, NULL, false);
    head h;
    return cut_forward(&g, NULL, &h) * (size_t)parts_of(g.B * g.H * chunks_of(&g));
}

static size_t backward_scratch(const lg_node *n) {
    geometry g = geometry_of(n, NULL, true);
    head h;
    return cut_backward(&g, NULL, &h) * (size_t)parts_of(g.B * g.H);
}

static bool forward_run(const lg_call *c) {
    const lg_node *n = c->node;
    const int64_t flags = n->attr.p[LG_ATT_FLAGS];
    int next = 3;
    head h;
    forward f = {.g = geometry_of(n, c->at, false), .q = c->in[0], .k = c->in[1], .v = c->in[2]};
    f.mask = flags & LG_ATT_HAS_MASK ? c->in[next++] : NULL;
    f.bias = flags & LG_ATT_HAS_BIAS ? c->in[next] : NULL;
    f.y = c->out[0];
    f.top = c->out[1];
    f.chunks = chunks_of(&f.g);
    f.scratch = c->scratch;
    f.room = cut_forward(&f.g, NULL, &h);
    lg_pool_run(forward_part, &f, (int)parts_of(f.g.B * f.g.H * f.chunks));
    return true;
}

static bool backward_run(const lg_call *c) {
    const lg_node *n = c->node;
    const int64_t flags = n->attr.p[LG_ATT_FLAGS];
    int next = 6;
    head h;
    backward b = {.g = geometry_of(n, c->at, true),
                  .q = c->in[0],
                  .k = c->in[1],
                  .v = c->in[2],
                  .dy = c->in[3],
                  .y = c->in[4],
                  .top = c->in[5]};
    b.mask = flags & LG_ATT_HAS_MASK ? c->in[next++] : NULL;
    b.bias = flags & LG_ATT_HAS_BIAS ? c->in[next] : NULL;
    bool joined = flags & LG_ATT_JOINED;
    b.dq = c->out[0];
    b.dk = c->out[joined ? 0 : 1];
    b.dv = c->out[joined ? 0 : 2];
    b.scratch = c->scratch;
    b.room = cut_backward(&b.g, NULL, &h);
    lg_pool_run(backward_part, &b, (int)parts_of(b.g.B * b.g.H));
    return true;
}

/* Pairs of a query and a key that it may see by the bounds. */
static int64_t pairs(const geometry *g) {
    int64_t n = 0;
    for (int64_t i = 0; i < g->T; i++) {
        int64_t lo = first_key(g, i), hi = last_key(g, i);
        n += hi > lo ? hi - lo : 0;
    }
    return n * g->B * g->H * g->R;
}

static int64_t forward_flops(const lg_node *n) {
    geometry g = geometry_of(n, NULL, false);
    return pairs(&g) * 2 * (g.K + g.V + 8);
}

static int64_t backward_flops(const lg_node *n) {
    geometry g = geometry_of(n, NULL, true);
    int64_t each = g.K + 8; /* the scores once more */
    if (g.flags & LG_ATT_WANTS_DV)
        each += g.V;
    if (g.flags & (LG_ATT_WANTS_DQ | LG_ATT_WANTS_DK))
        each += g.V;
    if (g.flags & LG_ATT_WANTS_DQ)
        each += g.K;
    if (g.flags & LG_ATT_WANTS_DK)
        each += g.K;
    return pairs(&g) * 2 * each;
}

const lg_op lg_op_attend = {
    .name = "attend",
    .sig = "(q: float[B, H, R, T, K], k: float[B, H, U, K], v: float[B, H, U, V]) -> "
           "{y: float[B, T, H, R, V], top: float[B, H, R, T]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_STRIDED,
    .arity = -1,
    .n_out = 2,
    .run = forward_run,
    .scratch = forward_scratch,
    .flops = forward_flops,
    .doc = "Softmax attention by strips of scores."};

const lg_op lg_op_attend_grad = {
    .name = "attend_grad",
    .sig =
        "(q: float[B, H, R, T, K], k: float[B, H, U, K], v: float[B, H, U, V], dy: float[B, H, R, "
        "T, V], y: float[B, H, R, T, V], top: float[B, H, R, T]) -> {dq: float[B, T, H, R, K], dk: "
        "float[B, U, H, K], dv: float[B, U, H, V]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_STRIDED,
    .arity = -1,
    .n_out = 3,
    .run = backward_run,
    .scratch = backward_scratch,
    .flops = backward_flops,
    .doc = "Gradients of attend, whose scores are computed again."};

const lg_op *const lg_ops_attention[] = {&lg_op_attend, &lg_op_attend_grad, NULL};
