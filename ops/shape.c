/* shape.c: ops that move elements without computing: iota, affine views and their adjoint, reshape,
 * concat. Not for data-dependent subscripts (index.c). */
#include "ops/family.h"
#include "ops/ops.h"
#include "ops/strided.h"
#include "runtime/plan.h"
#include <string.h>

/* ---- affine maps as loops ---- */

static void push_loop(lg_strided *s, int64_t n, int64_t stride) {
    if (n == 1)
        return;
    if (s->rank && s->stride[s->rank - 1] == n * stride) {
        s->n[s->rank - 1] *= n;
        s->stride[s->rank - 1] = stride;
        return;
    }
    s->n[s->rank] = n;
    s->stride[s->rank++] = stride;
}

lg_strided lg_strided_of(const lg_affine *m, const lg_type *in, const lg_type *out) {
    lg_strided s = {0};
    int64_t step[LG_MAX_RANK] = {0};
    int64_t unit = 1;
    for (int a = in->rank - 1; a >= 0; a--) {
        s.base += m->off[a] * unit;
        for (int o = 0; o < out->rank; o++)
            step[o] += m->coef[a * m->rank_out + o] * unit;
        unit *= in->shape[a];
    }
    for (int o = 0; o < out->rank; o++)
        push_loop(&s, out->shape[o], step[o]);
    if (s.rank == 0)
        s.n[s.rank++] = 1;
    return s;
}

void lg_strided_each(const lg_strided *s, void (*fn)(void *ctx, int64_t at, int64_t done),
                     void *ctx) {
    int64_t pos[LG_MAX_RANK + 1] = {0}, at = s->base, done = 0;
    int last = s->rank - 1;
    for (int d = 0; d < s->rank; d++)
        if (s->n[d] == 0)
            return;
    for (;;) {
        fn(ctx, at, done);
        done += s->n[last];
        int d = last - 1;
        for (; d >= 0; d--) {
            at += s->stride[d];
            if (++pos[d] < s->n[d])
                break;
            at -= s->stride[d] * s->n[d];
            pos[d] = 0;
        }
        if (d < 0)
            return;
    }
}

/* ---- view ---- */

typedef struct {
    const void *in;
    void *out;
    int64_t n, stride;
} copy;

#define COPY(bits)                                                                                 \
    static void copy_##bits(void *ctx, int64_t at, int64_t done) {                                 \
        const copy *c = ctx;                                                                       \
        const uint##bits##_t *in = (const uint##bits##_t *)c->in + at;                             \
        uint##bits##_t *out = (uint##bits##_t *)c->out + done;                                     \
        if (c->stride == 1)                                                                        \
            memcpy(out, in, (size_t)c->n * sizeof *out);                                           \
        else if (c->stride == 0)                                                                   \
            for (int64_t i = 0; i < c->n; i++)                                                     \
                out[i] = *in;                                                                      \
        else                                                                                       \
            for (int64_t i = 0; i < c->n; i++)                                                     \
                out[i] = in[i * c->stride];                                                        \
    }
COPY(8)
COPY(16)
COPY(32)
COPY(64)
#undef COPY

static bool run_view(const lg_call *c) {
    const lg_node *n = c->node;
    lg_strided s = lg_strided_of(n->attr.affine, &n->in[0]->type[0], &n->type[0]);
    copy k = {c->in[0], c->out[0], s.n[s.rank - 1], s.stride[s.rank - 1]};
    size_t size = lg_dtype_size(n->type[0].dtype);
    lg_strided_each(&s, size == 8 ? copy_64 : size == 4 ? copy_32 : size == 2 ? copy_16 : copy_8,
                    &k);
    return true;
}

const lg_op lg_op_view = {
    .name = "view", .sig = "(x: T[...S]) -> T[...R]", .cls = LG_C_VIEW, .arity = 1,
    .traits = LG_T_CHEAP | LG_T_KEEPS_ZERO | LG_T_LINEAR, .run = run_view,
    .doc = "Elements picked by affine subscripts: slices, transposes, broadcasts, windows, diagonals."};

/* ---- unview ---- */

typedef struct {
    lg_dtype dtype;
    const void *dy;
    void *dx;
    int64_t n, stride;
} spread;

#define SPREAD(name, T, U)                                                                         \
    static void name(void *ctx, int64_t at, int64_t done) {                                        \
        const spread *s = ctx;                                                                     \
        const T *dy = (const T *)s->dy + done;                                                     \
        T *dx = (T *)s->dx + at;                                                                   \
        for (int64_t i = 0; i < s->n; i++)                                                         \
            dx[i * s->stride] = (T)((U)dx[i * s->stride] + (U)dy[i]);                              \
    }
SPREAD(spread_f64, double, double)
SPREAD(spread_f32, float, float)
SPREAD(spread_i64, int64_t, uint64_t)
SPREAD(spread_i32, int32_t, uint32_t)
#undef SPREAD

/* The other dtypes, one element at a time. */
static void spread_any(void *ctx, int64_t at, int64_t done) {
    const spread *s = ctx;
    for (int64_t i = 0; i < s->n; i++) {
        size_t k = (size_t)(at + i * s->stride);
        double v = lg_get_f64(s->dtype, s->dx, k) + lg_get_f64(s->dtype, s->dy, (size_t)(done + i));
        lg_set_f64(s->dtype, s->dx, k, v);
    }
}

/* Work that is worth sharing, and how many parts it is cut in. */
enum { SHARE_BYTES = 1 << 16, SHARES = 8 };

typedef struct {
    lg_strided s;
    spread k;
    void (*fn)(void *ctx, int64_t at, int64_t done);
    size_t size;
} unviewing;

/* Steps of the outermost loop. */
static void unview_part(void *ctx, int part, int parts) {
    const unviewing *u = ctx;
    lg_strided s = u->s;
    spread k = u->k;
    int64_t beg = s.n[0] * part / parts, end = s.n[0] * (part + 1) / parts, inner = 1;
    for (int d = 1; d < s.rank; d++)
        inner *= s.n[d];
    s.base += beg * s.stride[0];
    s.n[0] = end - beg;
    k.n = s.n[s.rank - 1];
    k.dy = (const char *)k.dy + (size_t)(beg * inner) * u->size;
    if (end > beg)
        lg_strided_each(&s, u->fn, &k);
}

/* Steps of the outermost loop touch elements that no other step does. */
static bool steps_are_apart(const lg_strided *s) {
    int64_t reach = 0;
    for (int d = 1; d < s->rank; d++)
        reach += (s->n[d] - 1) * (s->stride[d] < 0 ? -s->stride[d] : s->stride[d]);
    return reach < (s->stride[0] < 0 ? -s->stride[0] : s->stride[0]);
}

static bool run_unview(const lg_call *c) {
    const lg_node *n = c->node;
    const lg_type *t = &n->type[0];
    unviewing u = {.s = lg_strided_of(n->attr.affine, t, &n->in[0]->type[0]),
                   .fn = t->dtype == LG_F32   ? spread_f32
                         : t->dtype == LG_F64 ? spread_f64
                         : t->dtype == LG_I64 ? spread_i64
                         : t->dtype == LG_I32 ? spread_i32
                                              : spread_any,
                   .size = lg_dtype_size(t->dtype)};
    size_t bytes = lg_type_count(t) * u.size;
    u.k = (spread){t->dtype, c->in[0], c->out[0], 0, u.s.stride[u.s.rank - 1]};
    memset(c->out[0], 0, bytes);
    if (bytes >= SHARE_BYTES && u.s.n[0] > 1 && steps_are_apart(&u.s))
        lg_pool_run(unview_part, &u, SHARES);
    else
        unview_part(&u, 0, 1);
    return true;
}

const lg_op lg_op_unview = {
    .name = "unview", .sig = "(dy: T[...R]) -> T[...S]", .cls = LG_C_UNVIEW, .arity = 1,
    .traits = LG_T_KEEPS_ZERO | LG_T_LINEAR, .run = run_unview,
    .doc = "The adjoint of a view: zeros to which each element is added at its affine place."};

/* ---- reshape, concat, iota ---- */

static bool run_reshape(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    if (c->out[0] != c->in[0])
        memcpy(c->out[0], c->in[0], lg_type_count(t) * lg_dtype_size(t->dtype));
    return true;
}

const lg_op lg_op_reshape = {
    .name = "reshape", .sig = "(x: T[...S]) -> T[...R]", .cls = LG_C_RESHAPE, .arity = 1,
    .traits = LG_T_CHEAP | LG_T_KEEPS_ZERO | LG_T_LINEAR, .run = run_reshape,
    .doc = "The same elements in row-major order under another shape."};

/* Bytes of the dims from `axis` on. */
static size_t block_bytes(const lg_type *t, int axis) {
    size_t n = lg_dtype_size(t->dtype);
    for (int d = axis; d < t->rank; d++)
        n *= (size_t)t->shape[d];
    return n;
}

static void concat_part(void *ctx, int part, int parts) {
    const lg_call *c = ctx;
    const lg_node *n = c->node;
    int axis = n->attr.axis;
    size_t outer = 1, whole = block_bytes(&n->type[0], axis), at = 0;
    for (int d = 0; d < axis; d++)
        outer *= (size_t)n->type[0].shape[d];
    size_t beg = outer * (size_t)part / (size_t)parts,
           end = outer * (size_t)(part + 1) / (size_t)parts;
    for (int k = 0; k < n->n_in; k++) {
        size_t bytes = block_bytes(&n->in[k]->type[0], axis);
        for (size_t o = beg; o < end && bytes; o++)
            memcpy((char *)c->out[0] + o * whole + at, (const char *)c->in[k] + o * bytes, bytes);
        at += bytes;
    }
}

static bool run_concat(const lg_call *c) {
    bool large = block_bytes(&c->node->type[0], 0) >= SHARE_BYTES && c->node->attr.axis > 0;
    lg_call job = *c;
    if (large)
        lg_pool_run(concat_part, &job, SHARES);
    else
        concat_part(&job, 0, 1);
    return true;
}

const lg_op lg_op_concat = {
    .name = "concat", .sig = "(x1: T[...], x2: T[...], ...) -> T[...]", .cls = LG_C_CONCAT,
    .arity = -1, .traits = LG_T_LINEAR | LG_T_KEEPS_ZERO, .run = run_concat,
    .doc = "Arrays joined along one axis."};

static bool run_iota(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    int64_t *out = c->out[0];
    size_t n = lg_type_count(t), inner = 1;
    for (int d = c->node->attr.axis + 1; d < t->rank; d++)
        inner *= (size_t)t->shape[d];
    size_t len = (size_t)t->shape[c->node->attr.axis];
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)(i / inner % len);
    return true;
}

const lg_op lg_op_iota = {
    .name = "iota", .sig = "() -> i64[...S]", .cls = LG_C_IOTA, .arity = 0,
    .traits = LG_T_NODIFF | LG_T_CHEAP, .run = run_iota,
    .doc = "Each element's index along one axis."};

const lg_op *const lg_ops_shape[] = {&lg_op_iota,    &lg_op_view,   &lg_op_unview,
                                     &lg_op_reshape, &lg_op_concat, NULL};
