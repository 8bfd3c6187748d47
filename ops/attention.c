/* attention.c: softmax attention and its gradients, a strip of scores at a time: the scores of some
 * queries with all keys they see stay in the cache, keys that none of them sees are passed over.
 * The backward pass makes the strips again from what `top` kept. A head is never shared among
 * threads where its keys are summed over, so results do not depend on their number. Not for what is
 * attention (mid/attention.c); the loops stand in attention_tile.h. */
#include "ops/attention.h"
#include "ops/attention_place.h"
#include "ops/family.h"
#include "ops/isa.h"
#include "ops/vmath.h"
#include "runtime/plan.h"
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* 2^x for x that rounding has above 0 at most: 0 below 2^-126. */
LG_MATH float exp2_f32(float x) {
    const float magic = LG_ROUND_MAGIC + 127.0f; /* leaves the exponent's bits of 2^k */
    float c = x < -127.0f ? -127.0f : x;
    float m = c + magic, r = c - (m - magic);
    float p = 0x1.5bba14p-10f; /* (2^r - 1) / r */
    p = LG_FMA(p, r, 0x1.3cea88p-7f);
    p = LG_FMA(p, r, 0x1.c6b752p-5f);
    p = LG_FMA(p, r, 0x1.ebf9bcp-3f);
    p = LG_FMA(p, r, 0x1.62e42ap-1f);
    return LG_FMA(p, r, 1.0f) * lg_from_bits(lg_to_bits(m) << 23);
}

/* ---- tiles ---- */

#if defined(__x86_64__)
#define TILE(name) name##_f32_512
#define REAL float
#define VEC __m512
#define LANES 16
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define SPLAT(s) _mm512_set1_ps(s)
#define EXP(x, f, most) exp2_f32(LG_FMA(x, f, -(most)))
#define UNIT 1.44269504f
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
#define EXP(x, f, most) lg_exp_f64((x) * (f) - (most))
#define UNIT 1.0
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
#define EXP(x, f, most) exp2_f32(LG_FMA(x, f, -(most)))
#define UNIT 1.44269504f
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
#define EXP(x, f, most) lg_exp_f64((x) * (f) - (most))
#define UNIT 1.0
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
#define EXP(x, f, most) exp2_f32(LG_FMA(x, f, -(most)))
#define UNIT 1.44269504f
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
#define EXP(x, f, most) lg_exp_f64((x) * (f) - (most))
#define UNIT 1.0
#define LOG lg_log_f64
#define MR 4
#define NV 2
#define TARGET
#include "ops/attention_tile.h"

typedef struct {
    void (*forward)(const forward *f, head *h);
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

/* ---- heads in order ---- */

/* Whoever has time takes the next job, a head or a chunk of its queries; a thread takes its next
 * one before it does the last, to have its rows fetched meanwhile. Chunks that see the most keys
 * come first. */
static int64_t take(_Atomic int64_t *taken) {
    return atomic_fetch_add_explicit(taken, 1, memory_order_relaxed);
}

static int64_t heads_of(const geometry *g) {
    return g->B * g->H;
}

/* Repeat r of job n. */
static void begin(const geometry *g, head *h, int64_t chunks, int64_t n, int64_t r) {
    int64_t heads = heads_of(g), c = chunks - 1 - n / heads;
    h->b = n % heads / g->H;
    h->h = n % heads % g->H;
    h->r = r;
    h->stat = (n % heads * g->R + r) * g->T;
    h->beg = g->T * c / chunks;
    h->end = g->T * (c + 1) / chunks;
}

/* What comes after h, when the next of n jobs is `job`; false: nothing. */
static bool after(const geometry *g, const head *h, int64_t chunks, int64_t job, head *next) {
    if (h->r + 1 < g->R) {
        *next = *h;
        next->r++;
        return true;
    }
    if (job >= heads_of(g) * chunks)
        return false;
    begin(g, next, chunks, job, 0);
    return true;
}

static void expect(const geometry *g, ahead *a, const void *x, const place *p, int64_t at,
                   int64_t rows, int64_t wide) {
    int64_t size = (int64_t)g->size;
    if (x && p->j == 1 && rows > 0) {
        a->at[a->n] = (lg_ahead){(const char *)x + at * size, p->i * size, wide * size, rows};
        a->rows += rows;
        a->n++;
    }
}

/* The rows are asked for tile by tile of the scores of h, which `products` products make. */
static void spread(const geometry *g, ahead *a, const head *h, int64_t products) {
    int64_t n = 0;
    for (int64_t i = h->beg; i < h->end; i += BLOCK) {
        int64_t last = i + BLOCK < h->end ? i + BLOCK : h->end;
        n += (last_key(g, last - 1) - first_key(g, i)) / TALL * products;
    }
    n -= a->n; /* the last ones of each array */
    a->a_tile = n > 0 ? (a->rows + n - 1) / n : a->rows;
}

static void forward_next(const forward *f, head *h, int64_t job) {
    const geometry *g = &f->g;
    ahead *a = &h->next;
    head x;
    *a = (ahead){0};
    if (!after(g, h, f->chunks, job, &x))
        return;
    bool same = x.b == h->b && x.h == h->h;
    expect(g, a, f->q, &g->q, at_row(&g->q, &x, x.beg), x.end - x.beg, g->K);
    expect(g, a, same ? NULL : f->k, &g->k, at_head(&g->k, &x), g->U, g->K);
    expect(g, a, same ? NULL : f->v, &g->v, at_head(&g->v, &x), g->U, g->V);
    expect(g, a, f->y, &g->y, at_row(&g->y, &x, x.beg), x.end - x.beg, g->V);
    spread(g, a, h, 1);
}

static void backward_next(const backward *w, head *h, int64_t job) {
    const geometry *g = &w->g;
    ahead *a = &h->next;
    head x;
    *a = (ahead){0};
    if (!after(g, h, 1, job, &x))
        return;
    bool same = x.b == h->b && x.h == h->h, scores = wants_scores(g);
    expect(g, a, w->q, &g->q, at_row(&g->q, &x, 0), g->T, g->K);
    expect(g, a, same ? NULL : w->k, &g->k, at_head(&g->k, &x), g->U, g->K);
    expect(g, a, same || !scores ? NULL : w->v, &g->v, at_head(&g->v, &x), g->U, g->V);
    expect(g, a, w->dy, &g->dy, at_row(&g->dy, &x, 0), g->T, g->V);
    expect(g, a, scores ? w->y : NULL, &g->y, at_row(&g->y, &x, 0), g->T, g->V);
    if (g->flags & LG_ATT_WANTS_DQ)
        expect(g, a, w->dq, &g->dq, at_row(&g->dq, &x, 0), g->T, g->K);
    if (g->flags & LG_ATT_WANTS_DK)
        expect(g, a, same ? NULL : w->dk, &g->dk, at_head(&g->dk, &x), g->U, g->K);
    if (g->flags & LG_ATT_WANTS_DV)
        expect(g, a, same ? NULL : w->dv, &g->dv, at_head(&g->dv, &x), g->U, g->V);
    spread(g, a, h, scores ? 2 : 1);
}

/* ---- the ops ---- */

static void forward_part(void *ctx, int part, int parts) {
    forward *f = ctx;
    const geometry *g = &f->g;
    const tiles t = tiles_of(g->type);
    head h = {0};
    (void)parts;
    cut_forward(g, f->scratch + (size_t)part * f->room, &h);
    for (int64_t n = take(&f->taken), next; n < heads_of(g) * f->chunks; n = next) {
        next = take(&f->taken);
        for (int64_t r = 0; r < g->R; r++) {
            begin(g, &h, f->chunks, n, r);
            forward_next(f, &h, next);
            t.forward(f, &h);
        }
    }
}

static void backward_part(void *ctx, int part, int parts) {
    backward *w = ctx;
    const geometry *g = &w->g;
    const tiles t = tiles_of(g->type);
    head h = {0};
    (void)parts;
    cut_backward(g, w->scratch + (size_t)part * w->room, &h);
    for (int64_t n = take(&w->taken), next; n < heads_of(g); n = next) {
        next = take(&w->taken);
        for (int64_t r = 0; r < g->R; r++) {
            begin(g, &h, 1, n, r);
            backward_next(w, &h, next);
            t.backward(w, &h);
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
