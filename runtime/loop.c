/* loop.c: runs loop kernels: strided operands are gathered into chunks that stay in L1, micro
 * kernels run over dense chunks. Not for deciding what a kernel holds (mid/fuse.c) or how it is cut
 * (mid/kernel.c). Called by exec.c. */
#include "runtime/exec.h"
#include "runtime/rng.h"
#include <string.h>

/* A rectangle of O x I, and where the thread's registers are for it. */
typedef struct {
    const lg_loop *k;
    const lg_frame *f;
    char *scratch;
    char **ptr; /* by register */
    int64_t o0, no, i0, ni;
    bool first; /* the first chunk of I: reductions begin */
    lg_fault *fault;
} chunk;

/* ---- walking ---- */

static int64_t walk_at(const lg_walk *w, int64_t flat) {
    if (w->rank == 0)
        return 0;
    if (w->rank == 1)
        return flat * w->stride[0];
    int64_t at = 0;
    for (int d = w->rank - 1; d > 0; d--) {
        at += flat % w->n[d] * w->stride[d];
        flat /= w->n[d];
    }
    return at + flat * w->stride[0];
}

/* A position within a walk. */
typedef struct {
    const lg_walk *w;
    int64_t at, ix[LG_MAX_RANK];
} cursor;

static void seek(cursor *c, const lg_walk *w, int64_t flat) {
    c->w = w;
    c->at = 0;
    for (int d = w->rank - 1; d >= 0; d--) {
        c->ix[d] = d ? flat % w->n[d] : flat;
        flat = d ? flat / w->n[d] : 0;
        c->at += c->ix[d] * w->stride[d];
    }
}

/* Steps that are left along the last loop. */
static int64_t run_left(const cursor *c) {
    int d = c->w->rank - 1;
    return d < 0 ? INT64_MAX : c->w->n[d] - c->ix[d];
}

static void advance(cursor *c, int64_t by) {
    int d = c->w->rank - 1;
    if (d < 0)
        return;
    c->ix[d] += by;
    c->at += by * c->w->stride[d];
    for (; d > 0 && c->ix[d] == c->w->n[d]; d--) {
        c->at += c->w->stride[d - 1] - c->w->n[d] * c->w->stride[d];
        c->ix[d] = 0;
        c->ix[d - 1]++;
    }
}

/* What is done with n elements from address `at` on, `done` elements into the chunk. */
typedef bool (*run_fn)(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done);

static bool each_run(const chunk *c, const lg_access *a, bool row, run_fn fn, void *ctx) {
    static const lg_walk none = {0};
    bool fast_o = row || c->k->fast_o;
    const lg_walk *slow = row ? &none : fast_o ? &a->i : &a->o, *fast = fast_o ? &a->o : &a->i;
    int64_t s0 = fast_o ? c->i0 : c->o0, ns = row ? 1 : fast_o ? c->ni : c->no;
    int64_t f0 = fast_o ? c->o0 : c->i0, nf = fast_o ? c->no : c->ni;
    int64_t stride = fast->rank ? fast->stride[fast->rank - 1] : 0, done = 0;
    cursor s, q, start;
    if (ns <= 0 || nf <= 0)
        return true;
    seek(&s, slow, s0);
    seek(&start, fast, f0);
    for (int64_t j = 0; j < ns; j++, advance(&s, 1)) {
        if (fast->rank <= 1) {
            if (!fn(ctx, a->base + s.at + start.at, nf, stride, done))
                return false;
            done += nf;
            continue;
        }
        q = start;
        for (int64_t left = nf; left > 0;) {
            int64_t n = run_left(&q);
            n = n < left ? n : left;
            if (!fn(ctx, a->base + s.at + q.at, n, stride, done))
                return false;
            advance(&q, n);
            left -= n;
            done += n;
        }
    }
    return true;
}

/* ---- loads and stores ---- */

typedef struct {
    char *mem, *reg;
} transfer;

#define TRANSFER(bits)                                                                         \
    static bool load_##bits(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) {  \
        const transfer *t = ctx;                                                               \
        const uint##bits##_t *from = (const uint##bits##_t *)(void *)t->mem + at;              \
        uint##bits##_t *to = (uint##bits##_t *)(void *)t->reg + done;                          \
        if (stride == 1) {                                                                     \
            memcpy(to, from, (size_t)n * sizeof *to);                                          \
        } else if (stride == 0) {                                                              \
            uint##bits##_t x = *from;                                                          \
            for (int64_t i = 0; i < n; i++)                                                    \
                to[i] = x;                                                                     \
        } else {                                                                               \
            for (int64_t i = 0; i < n; i++)                                                    \
                to[i] = from[i * stride];                                                      \
        }                                                                                      \
        return true;                                                                           \
    }                                                                                          \
    static bool store_##bits(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) { \
        const transfer *t = ctx;                                                               \
        uint##bits##_t *to = (uint##bits##_t *)(void *)t->mem + at;                            \
        const uint##bits##_t *from = (const uint##bits##_t *)(void *)t->reg + done;            \
        if (stride == 1)                                                                       \
            memcpy(to, from, (size_t)n * sizeof *to);                                          \
        else                                                                                   \
            for (int64_t i = 0; i < n; i++)                                                    \
                to[i * stride] = from[i];                                                      \
        return true;                                                                           \
    }
TRANSFER(8)
TRANSFER(16)
TRANSFER(32)
TRANSFER(64)
#undef TRANSFER

static void load(const chunk *c, const lg_instr *x) {
    transfer t = {lg_place_at(c->f, &x->acc->at), c->ptr[x->out]};
    run_fn fn = x->acc->size == 8   ? load_64
                : x->acc->size == 4 ? load_32
                : x->acc->size == 2 ? load_16
                                    : load_8;
    each_run(c, x->acc, x->row, fn, &t);
}

/* Dense, in elements of `size` bytes. */
typedef struct {
    char *mem, *reg;
    size_t size;
} streaming;

static bool stream_run(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) {
    const streaming *t = ctx;
    (void)stride;
    lg_stream(t->mem + at * (int64_t)t->size, t->reg + done * (int64_t)t->size,
              (size_t)n * t->size);
    return true;
}

static void store(const chunk *c, const lg_instr *x) {
    if (x->stream) {
        streaming s = {lg_place_at(c->f, &x->acc->at), c->ptr[x->in[0]], x->acc->size};
        each_run(c, x->acc, x->row, stream_run, &s);
        return;
    }
    transfer t = {lg_place_at(c->f, &x->acc->at), c->ptr[x->in[0]]};
    run_fn fn = x->acc->size == 8   ? store_64
                : x->acc->size == 4 ? store_32
                : x->acc->size == 2 ? store_16
                                    : store_8;
    each_run(c, x->acc, x->row, fn, &t);
}

/* Where the chunk's first element stands. */
static char *direct_at(const chunk *c, const lg_access *a, bool row) {
    int64_t at = a->base + walk_at(&a->o, c->o0) + (row ? 0 : walk_at(&a->i, c->i0));
    return lg_place_at(c->f, &a->at) + at * (int64_t)a->size;
}

/* ---- addresses as values, draws, subscripts ---- */

static bool iota_run(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) {
    int64_t *out = (int64_t *)ctx + done;
    for (int64_t i = 0; i < n; i++)
        out[i] = at + i * stride;
    return true;
}

typedef struct {
    const lg_instr *x;
    const int64_t *addr;
    int64_t first;
    char *out;
    size_t size;
} draws;

static bool draw_run(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) {
    const draws *d = ctx;
    while (n > 0) {
        int64_t e = at % d->x->lane, m = stride == 1 ? d->x->lane - e : 1;
        m = m < n ? m : n;
        lg_rand_fill(d->x->node->op, d->x->to, (uint64_t)d->addr[at / d->x->lane], d->first + e,
                     (size_t)m, d->out + (size_t)done * d->size);
        at += m * (stride == 1 ? 1 : stride);
        done += m;
        n -= m;
    }
    return true;
}

static void draw(const chunk *c, const lg_instr *x, void *out) {
    const void *first = x->first ? lg_place_at(c->f, x->first) : NULL;
    draws d = {x, (const int64_t *)(const void *)lg_place_at(c->f, x->addr),
               first ? *(const int64_t *)first : 0, out, lg_dtype_size(x->to)};
    each_run(c, x->acc, x->row, draw_run, &d);
}

typedef struct {
    const chunk *c;
    const lg_instr *x;
    const char *mem;
} picks;

static int64_t subscript(const chunk *c, const lg_instr *x, int k, int64_t i) {
    const void *p = c->ptr[x->in[k]];
    return c->k->reg[x->in[k]].type == LG_I64 ? ((const int64_t *)p)[i] : ((const int32_t *)p)[i];
}

/* The step along the first axis that element number `at` of the chunk belongs to. */
static int64_t row_of(const chunk *c, int64_t at) {
    int64_t o = c->o0 + (c->k->fast_o ? at % c->no : at / c->ni);
    int64_t i = c->i0 + (c->k->fast_o ? at / c->no : at % c->ni);
    return c->k->row_o ? o / c->k->row_o : c->k->row_i ? i / c->k->row_i : -1;
}

static bool pick_run(void *ctx, int64_t at, int64_t n, int64_t stride, int64_t done) {
    const picks *p = ctx;
    const lg_instr *x = p->x;
    char *out = p->c->ptr[x->out];
    unsigned size = x->acc->size;
    for (int64_t i = 0; i < n; i++) {
        int64_t cell = at + i * stride;
        for (int k = 0; k < x->n_in; k++) {
            int64_t v = subscript(p->c, x, k, done + i);
            if (v < 0 || v >= x->size[k])
                return lg_fault_set(
                    p->c->fault, x->node, "R0101",
                    x->row ? (p->c->k->row_o ? (p->c->o0 + done + i) / p->c->k->row_o : -1)
                           : row_of(p->c, done + i),
                    "index %lld is outside 0..%lld", (long long)v, (long long)x->size[k]);
            cell += v * x->unit[k];
        }
        const char *from = p->mem + cell * (int64_t)size;
        char *to = out + (done + i) * (int64_t)size;
        if (size == 4)
            memcpy(to, from, 4);
        else
            memcpy(to, from, size);
    }
    return true;
}

static bool pick(const chunk *c, const lg_instr *x) {
    picks p = {c, x, lg_place_at(c->f, &x->acc->at)};
    return each_run(c, x->acc, x->row, pick_run, &p);
}

static void spread(const chunk *c, const lg_instr *x) {
    size_t size = lg_dtype_size(x->to);
    char *out = c->ptr[x->out], *in = c->ptr[x->in[0]];
    if (c->k->fast_o) {
        for (int64_t i = 0; i < c->ni; i++)
            memcpy(out + (size_t)(i * c->no) * size, in, (size_t)c->no * size);
        return;
    }
    transfer t = {in, out};
    run_fn fn = size == 8 ? load_64 : size == 4 ? load_32 : size == 2 ? load_16 : load_8;
    for (int64_t o = 0; o < c->no; o++)
        fn(&t, o, c->ni, 0, o * c->ni);
}

/* ---- reductions ---- */

/* An index of the best of the rows seen so far: the two best values are compared by the op itself,
 * which gives 0 or 1. */
static void join_index(const chunk *c, const lg_instr *x, const char *row, int64_t o) {
    int32_t *best = (int32_t *)(void *)c->ptr[x->out] + o, at = 0;
    size_t size = lg_dtype_size(x->from);
    char *value = c->ptr[x->aux] + (size_t)o * size;
    x->row_fn((size_t)c->ni, (const void *const[]){row}, &at);
    if (!c->first) {
        char two[16];
        int32_t which = 0;
        memcpy(two, value, size);
        memcpy(two + size, row + (size_t)at * size, size);
        x->row_fn(2, (const void *const[]){two}, &which);
        if (which == 0)
            return;
    }
    memcpy(value, row + (size_t)at * size, size);
    *best = at + (int32_t)c->i0;
}

/* A row's result, from parts of fixed length, so that it does not matter how rows are cut. */
static void join_row(const chunk *c, const lg_instr *x, const char *row, char *out) {
    size_t size = lg_dtype_size(x->from);
    for (int64_t i = 0; i < c->ni; i += LG_CHUNK) {
        int64_t n = c->ni - i < LG_CHUNK ? c->ni - i : LG_CHUNK, part[1];
        const void *in[] = {row + (size_t)i * size};
        if (i == 0 && c->first) {
            x->row_fn((size_t)n, in, out);
            continue;
        }
        x->row_fn((size_t)n, in, part);
        x->fn(1, (const void *const[]){out, part}, out);
    }
}

static void reduce_rows(const chunk *c, const lg_instr *x) {
    size_t in_size = lg_dtype_size(x->from), size = lg_dtype_size(x->to);
    const char *in = c->ptr[x->in[0]];
    for (int64_t o = 0; o < c->no; o++) {
        const char *row = in + (size_t)(o * c->ni) * in_size;
        char *out = c->ptr[x->out] + (size_t)o * size;
        if (x->fn)
            join_row(c, x, row, out);
        else
            join_index(c, x, row, o);
    }
}

/* Short columns: halves are added to each other, so that the loops stay long. */
static const char *fold(const chunk *c, const lg_instr *x) {
    size_t row = (size_t)c->no * lg_dtype_size(x->from);
    const char *in = c->ptr[x->in[0]];
    char *work = c->ptr[x->aux];
    int64_t n = c->ni;
    while (n > 1) {
        int64_t half = n / 2;
        const void *two[] = {in, in + (size_t)half * row};
        x->fn((size_t)(half * c->no), two, work);
        if (n & 1) {
            const void *odd[] = {work, in + (size_t)(n - 1) * row};
            x->fn((size_t)c->no, odd, work);
        }
        in = work;
        n = half;
    }
    return in;
}

static void reduce_columns(const chunk *c, const lg_instr *x) {
    size_t row = (size_t)c->no * lg_dtype_size(x->from);
    const char *in = c->ptr[x->in[0]];
    char *out = c->ptr[x->out];
    int64_t n = c->ni;
    if (n > 2 && c->no < 256) {
        in = fold(c, x);
        n = 1;
    }
    int64_t i = 0;
    if (c->first) {
        memcpy(out, in, row);
        i = 1;
    }
    for (; i < n; i++)
        x->fn((size_t)c->no, (const void *const[]){out, in + (size_t)i * row}, out);
}

static void reduce(const chunk *c, const lg_instr *x) {
    if (c->ni == 0)
        for (int64_t o = 0; o < c->no; o++)
            lg_set_f64(x->to, c->ptr[x->out], (size_t)o, x->node->op->identity);
    else if (c->k->fast_o)
        reduce_columns(c, x);
    else
        reduce_rows(c, x);
}

/* ---- instructions ---- */

static void elem(const chunk *c, const lg_instr *x, size_t n) {
    const void *in[8];
    for (int k = 0; k < x->n_in; k++)
        in[k] = c->ptr[x->in[k]];
    x->fn(n, in, c->ptr[x->out]);
}

static bool run_one(const chunk *c, const lg_instr *x) {
    size_t n = (size_t)(x->row ? c->no : c->no * c->ni);
    if (x->direct)
        c->ptr[x->out] = direct_at(c, x->acc, x->row || x->kind == LG_I_REDUCE);
    switch (x->kind) {
    case LG_I_LOAD:
        if (!x->direct && !x->uniform)
            load(c, x);
        return true;
    case LG_I_STORE:
        store(c, x);
        return true;
    case LG_I_ELEM:
        if (n)
            elem(c, x, n);
        return true;
    case LG_I_CAST:
        lg_convert(x->to, c->ptr[x->out], x->from, c->ptr[x->in[0]], n);
        return true;
    case LG_I_IOTA:
        each_run(c, x->acc, x->row, iota_run, c->ptr[x->out]);
        return true;
    case LG_I_RAND:
        draw(c, x, c->ptr[x->out]);
        return true;
    case LG_I_GATHER:
        return pick(c, x);
    case LG_I_REDUCE:
        reduce(c, x);
        return true;
    case LG_I_SPREAD:
        spread(c, x);
        return true;
    }
    return true;
}

static bool run_some(const chunk *c, int beg, int end) {
    for (int j = beg; j < end; j++)
        if (!run_one(c, &c->k->instr[j]))
            return false;
    return true;
}

/* Where the instructions of this pass and kind end, which begin at `beg`. */
static int part_end(const lg_loop *k, int beg, int pass, bool row) {
    while (beg < k->n_instr && k->instr[beg].pass == pass && k->instr[beg].row == row)
        beg++;
    return beg;
}

static void point_registers(chunk *c) {
    c->ptr = (char **)(void *)c->scratch;
    for (int r = 0; r < c->k->n_reg; r++)
        c->ptr[r] = c->scratch + c->k->reg[r].off;
}

/* Elements that are the same everywhere, once for all tiles. */
static void fill_uniform(chunk *c) {
    const lg_loop *k = c->k;
    c->o0 = c->i0 = 0;
    c->no = k->ob;
    c->ni = k->ib;
    for (int j = 0; j < k->n_instr; j++)
        if (k->instr[j].uniform)
            load(c, &k->instr[j]);
}

static bool chunks(chunk *c, int beg, int end, int64_t i_beg, int64_t i_end) {
    for (int64_t i = i_beg; i < i_end; i += c->k->ib) {
        c->i0 = i;
        c->ni = i_end - i < c->k->ib ? i_end - i : c->k->ib;
        c->first = i == i_beg;
        if (!run_some(c, beg, end))
            return false;
    }
    return true;
}

static void empty_reductions(chunk *c, int beg, int end) {
    c->ni = 0;
    for (int j = beg; j < end; j++)
        if (c->k->instr[j].kind == LG_I_REDUCE)
            run_one(c, &c->k->instr[j]);
}

/* Row values, then chunks, pass by pass; [i_beg, i_end) of I. */
static bool passes(chunk *c, int n, int64_t i_beg, int64_t i_end) {
    int j = 0;
    for (int p = 0; p < n; p++) {
        int row = part_end(c->k, j, p, true), full = part_end(c->k, row, p, false);
        c->i0 = 0;
        c->ni = 1;
        if (!run_some(c, j, row) || !chunks(c, row, full, i_beg, i_end))
            return false;
        if (i_beg == i_end)
            empty_reductions(c, row, full);
        j = full;
    }
    c->i0 = 0;
    c->ni = 1;
    return run_some(c, j, part_end(c->k, j, n, true));
}

static void set_tile(chunk *c, int64_t tile) {
    c->o0 = tile * c->k->ob;
    c->no = c->k->n_o - c->o0 < c->k->ob ? c->k->n_o - c->o0 : c->k->ob;
}

static bool run_tile(chunk *c, int64_t tile) {
    const lg_loop *k = c->k;
    set_tile(c, tile);
    if (!k->whole)
        return passes(c, k->n_passes, 0, k->n_i);
    c->i0 = 0;
    c->ni = k->n_i;
    c->first = true;
    return run_some(c, 0, k->n_instr);
}

/* ---- blocks of I ---- */

static int64_t blocks(const lg_loop *k) {
    return k->split ? (k->n_i + k->split - 1) / k->split : 1;
}

static char *partial_at(const chunk *c, int64_t unit, int nth, int of) {
    return lg_place_at(c->f, &c->k->partial) + (size_t)((unit * of + nth) * c->k->ob) * 8;
}

static int count_reductions(const lg_loop *k) {
    int n = 0;
    for (int j = 0; j < k->n_instr; j++)
        n += k->instr[j].kind == LG_I_REDUCE;
    return n;
}

static bool run_block(chunk *c, int64_t unit) {
    const lg_loop *k = c->k;
    int64_t b = unit % blocks(k);
    set_tile(c, unit / blocks(k));
    int row = part_end(k, 0, 0, true), full = part_end(k, row, 0, false);
    int64_t end = (b + 1) * k->split < k->n_i ? (b + 1) * k->split : k->n_i;
    c->i0 = 0;
    c->ni = 1;
    if (!run_some(c, 0, row) || !chunks(c, row, full, b * k->split, end))
        return false;
    int of = count_reductions(k), nth = 0;
    for (int j = row; j < full; j++)
        if (k->instr[j].kind == LG_I_REDUCE)
            memcpy(partial_at(c, unit, nth++, of), c->ptr[k->instr[j].out],
                   (size_t)c->no * lg_dtype_size(k->instr[j].to));
    return true;
}

static void join_blocks(chunk *c, int64_t tile, int beg, int end) {
    int of = count_reductions(c->k), nth = 0;
    for (int j = beg; j < end; j++) {
        const lg_instr *x = &c->k->instr[j];
        if (x->kind != LG_I_REDUCE)
            continue;
        if (x->direct)
            c->ptr[x->out] = direct_at(c, x->acc, true);
        char *out = c->ptr[x->out];
        int64_t n = blocks(c->k), unit = tile * n;
        memcpy(out, partial_at(c, unit, nth, of), (size_t)c->no * lg_dtype_size(x->to));
        for (int64_t b = 1; b < n; b++)
            x->fn((size_t)c->no, (const void *const[]){out, partial_at(c, unit + b, nth, of)}, out);
        nth++;
    }
}

/* ---- entry points ---- */

int64_t lg_loop_units(const lg_loop *k) {
    return (k->n_o + k->ob - 1) / k->ob * blocks(k);
}

static bool interpret(const lg_loop *k, const lg_frame *f, char *scratch, int64_t beg, int64_t end,
                      lg_fault *fault) {
    chunk c = {.k = k, .f = f, .scratch = scratch, .fault = fault};
    point_registers(&c);
    fill_uniform(&c);
    for (int64_t u = beg; u < end; u++)
        if (!(k->split ? run_block(&c, u) : run_tile(&c, u)))
            return false;
    return true;
}

static void draw_for_code(const lg_code_env *e, int number, int64_t o, int64_t no, int64_t i,
                          int64_t ni, void *out) {
    const lg_code_draw *d = &e->draws[number];
    lg_frame f = {e->arena, e->in, e->out};
    chunk c = {.k = d->k, .f = &f, .o0 = o, .no = no, .i0 = i, .ni = ni};
    draw(&c, d->x, out);
}

lg_code_env lg_loop_env(const lg_code_data *d, const lg_frame *f) {
    return (lg_code_env){f->arena, f->in,         f->out,   d->konst,
                         d->fn,    draw_for_code, d->draws, lg_stream, NULL};
}

bool lg_loop_fault(const lg_loop *k, const lg_frame *f, char *scratch, int64_t bad,
                   lg_fault *fault) {
    if (!interpret(k, f, scratch, bad - 1, bad, fault))
        return false;
    for (int j = 0; j < k->n_instr; j++)
        if (k->instr[j].kind == LG_I_GATHER)
            return lg_fault_set(fault, k->instr[j].node, "R0101", -1, "an index is out of range");
    return false;
}

static bool run_code(const lg_loop *k, const lg_frame *f, char *scratch, int64_t beg, int64_t end,
                     lg_fault *fault) {
    lg_code_env e = lg_loop_env(k->data, f);
    e.num = k->num;
    int64_t bad = k->code(&e, beg, end);
    return !bad || lg_loop_fault(k, f, scratch, bad, fault);
}

bool lg_loop_run(const lg_loop *k, const lg_frame *f, char *scratch, int64_t beg, int64_t end,
                 lg_fault *fault) {
    if (beg >= end)
        return true;
    bool ok = (k->code ? run_code : interpret)(k, f, scratch, beg, end, fault);
    if (k->streams)
        lg_stream_done();
    return ok;
}

bool lg_loop_finish(const lg_loop *k, const lg_frame *f, char *scratch, lg_fault *fault) {
    if (!k->split)
        return true;
    chunk c = {.k = k, .f = f, .scratch = scratch, .fault = fault};
    point_registers(&c);
    fill_uniform(&c);
    int row = part_end(k, 0, 0, true), full = part_end(k, row, 0, false);
    for (int64_t tile = 0; tile * k->ob < k->n_o; tile++) {
        set_tile(&c, tile);
        c.i0 = 0;
        c.ni = 1;
        if (!run_some(&c, 0, row))
            return false;
        join_blocks(&c, tile, row, full);
        c.ni = 1;
        if (!run_some(&c, full, part_end(k, full, 1, true)))
            return false;
    }
    return true;
}
