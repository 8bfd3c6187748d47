/* sparse.c: sums of few entries a row: y[i] = sum of val[j]*x[col[j]] over the entries j of row i,
 * which are named by a row for each entry, by the span of each row, or lie in a matrix. Made by
 * mid/sparse.c from formulas, after derivatives; not callable by name. Rows are cut among threads
 * and never split, and no rounding depends on the vector unit, so bits depend on the data alone. */
#include "ops/sparse.h"
#include "ops/family.h"
#include "ops/isa.h"
#include "runtime/plan.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Running sums of a row with one column; columns at a time; parts; entries that are worth them. */
enum { SUMS = 8, BLOCK = 64, SHARES = 16, LEAST = 1 << 15 };

/* val[j], col[j] and row[j], or entries [first[i], end[i]) of row i, or `width` entries a row. */
typedef struct {
    const lg_call *call;
    int64_t entries, rows, size, tail; /* x is [size, tail], y [rows, tail] */
    const int32_t *row, *first, *end, *col;
    int64_t width;
    bool skip_row,
        skip_col; /* entries whose index is outside do not count; else they are a fault */
    const void *val, *x;
    void *y;
    int64_t bad;  /* the first entry with a bad index; -1: none */
    int disorder; /* rows do not ascend */
} job;

static void note(job *s, int64_t entry) {
    int64_t was = __atomic_load_n(&s->bad, __ATOMIC_RELAXED);
    while ((was < 0 || entry < was) &&
           !__atomic_compare_exchange_n(&s->bad, &was, entry, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

static inline bool inside(int32_t index, int64_t size) {
    return (uint32_t)index < (uint64_t)size;
}

/* Is entry j to be added? Notes a column that is outside. */
static inline bool counts(job *s, int64_t j) {
    if (inside(s->col[j], s->size))
        return true;
    if (!s->skip_col)
        note(s, j);
    return false;
}

/* One column: eight running sums, joined in a fixed tree. They stay in registers until a column is
 * outside. FAST(s, j, end, sum): from entry j on to the first of such, or of fewer than eight. */
#define ONE(T, unit, attribute, FAST)                                                \
    static attribute void one_##T##unit(job *s, int64_t j, int64_t end, int64_t i) { \
        const T *val = s->val, *x = s->x;                                            \
        const int32_t *col = s->col;                                                 \
        T sum[SUMS] = {0}, rest = 0;                                                 \
        j = FAST(s, j, end, sum);                                                    \
        for (; j + SUMS <= end; j += SUMS)                                           \
            for (int k = 0; k < SUMS; k++)                                           \
                if (counts(s, j + k))                                                \
                    sum[k] += val[j + k] * x[col[j + k]];                            \
        for (; j < end; j++)                                                         \
            if (counts(s, j))                                                        \
                rest += val[j] * x[col[j]];                                          \
        ((T *)s->y)[i] += ((sum[0] + sum[4]) + (sum[2] + sum[6])) +                  \
                          ((sum[1] + sum[5]) + (sum[3] + sum[7])) + rest;            \
    }

static uint32_t columns(const job *s) {
    return s->size > INT32_MAX ? INT32_MAX : (uint32_t)s->size;
}

#define FAST_ANY(T)                                                               \
    static inline int64_t fast_##T(job *s, int64_t j, int64_t end, T sum[SUMS]) { \
        const T *val = s->val, *x = s->x;                                         \
        const int32_t *col = s->col;                                              \
        const uint32_t size = columns(s);                                         \
        T fast[SUMS] = {0};                                                       \
        for (; j + SUMS <= end; j += SUMS) {                                      \
            bool ok = true;                                                       \
            for (int k = 0; k < SUMS; k++)                                        \
                ok &= (uint32_t)col[j + k] < size;                                \
            if (!ok)                                                              \
                break;                                                            \
            for (int k = 0; k < SUMS; k++)                                        \
                fast[k] += val[j + k] * x[col[j + k]];                            \
        }                                                                         \
        for (int k = 0; k < SUMS; k++)                                            \
            sum[k] = fast[k];                                                     \
        return j;                                                                 \
    }
FAST_ANY(float)
FAST_ANY(double)
ONE(float, , , fast_float)
ONE(double, , , fast_double)

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2")))

static inline AVX2 __m128 four_of(const float *x, const int32_t *col) {
    __m128 a = _mm_unpacklo_ps(_mm_load_ss(x + col[0]), _mm_load_ss(x + col[1]));
    return _mm_movelh_ps(a, _mm_unpacklo_ps(_mm_load_ss(x + col[2]), _mm_load_ss(x + col[3])));
}

/* Single loads take less time than a gather. */
static inline AVX2 int64_t fast_float_avx2(job *s, int64_t j, int64_t end, float sum[SUMS]) {
    const float *val = s->val, *x = s->x;
    const int32_t *col = s->col;
    const __m256i last = _mm256_set1_epi32((int)(columns(s) - 1));
    __m256 fast = _mm256_setzero_ps();
    for (; j + SUMS <= end && s->size > 0; j += SUMS) {
        __m256i at = _mm256_loadu_si256((const __m256i *)(const void *)(col + j));
        if (_mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(at, last), last)) != -1)
            break;
        __m256 y = _mm256_set_m128(four_of(x, col + j + 4), four_of(x, col + j));
        fast = _mm256_add_ps(fast, _mm256_mul_ps(_mm256_loadu_ps(val + j), y));
    }
    _mm256_storeu_ps(sum, fast);
    return j;
}
ONE(float, _avx2, AVX2, fast_float_avx2)
#endif

/* More columns: a block of them at a time, entry after entry. */
#define MANY(T, unit, attribute)                                                       \
    static attribute void many_##T##unit(job *s, int64_t j0, int64_t end, int64_t i) { \
        const T *val = s->val;                                                         \
        for (int64_t t = 0; t < s->tail; t += BLOCK) {                                 \
            int64_t n = s->tail - t < BLOCK ? s->tail - t : BLOCK;                     \
            T sum[BLOCK] = {0}, *y = (T *)s->y + i * s->tail + t;                      \
            for (int64_t j = j0; j < end; j++) {                                       \
                if (!counts(s, j))                                                     \
                    continue;                                                          \
                const T v = val[j], *x = (const T *)s->x + s->col[j] * s->tail + t;    \
                if (n == BLOCK)                                                        \
                    for (int k = 0; k < BLOCK; k++)                                    \
                        sum[k] += v * x[k];                                            \
                else                                                                   \
                    for (int64_t k = 0; k < n; k++)                                    \
                        sum[k] += v * x[k];                                            \
            }                                                                          \
            for (int64_t k = 0; k < n; k++)                                            \
                y[k] += sum[k];                                                        \
        }                                                                              \
    }
MANY(float, _any, )
MANY(double, _any, )
#if defined(__x86_64__)
MANY(float, _avx2, AVX2)
MANY(double, _avx2, AVX2)
#endif

static void add(job *s, int64_t j, int64_t end, int64_t i) {
    bool f32 = s->call->node->type[0].dtype == LG_F32;
#if defined(__x86_64__)
    if (s->tail == 1 && f32 && lg_isa_of() != LG_ISA_BASELINE) {
        one_float_avx2(s, j, end, i);
        return;
    }
#endif
    if (s->tail == 1) {
        (f32 ? one_float : one_double)(s, j, end, i);
        return;
    }
#if defined(__x86_64__)
    if (lg_isa_of() != LG_ISA_BASELINE) {
        (f32 ? many_float_avx2 : many_double_avx2)(s, j, end, i);
        return;
    }
#endif
    (f32 ? many_float_any : many_double_any)(s, j, end, i);
}

/* ---- a row for each entry ---- */

/* The first entry from j on that begins a row. */
static int64_t begins(const job *s, int64_t j) {
    while (j > 0 && j < s->entries && s->row[j] == s->row[j - 1])
        j++;
    return j;
}

static void order_part(void *ctx, int part, int parts) {
    job *s = ctx;
    int64_t end = s->entries * (part + 1) / parts, wrong = 0;
    for (int64_t j = s->entries * part / parts; j < end; j++)
        wrong += j > 0 && s->row[j] < s->row[j - 1];
    if (wrong)
        __atomic_store_n(&s->disorder, 1, __ATOMIC_RELAXED);
}

/* The end of the entries of one row that begin with entry j. */
static int64_t run_of(const job *s, int64_t j) {
    const int32_t *at = s->row, row = at[j];
    for (int32_t other = 0; j + SUMS <= s->entries; j += SUMS) {
        for (int k = 0; k < SUMS; k++)
            other |= at[j + k] ^ row;
        if (other)
            break;
    }
    while (j < s->entries && at[j] == row)
        j++;
    return j;
}

static void rows_part(void *ctx, int part, int parts) {
    job *s = ctx;
    int64_t end = begins(s, s->entries * (part + 1) / parts), next;
    for (int64_t j = begins(s, s->entries * part / parts); j < end; j = next) {
        int32_t row = s->row[j];
        next = run_of(s, j);
        if (inside(row, s->rows))
            add(s, j, next, row);
        else
            for (int64_t k = j; k < next && !s->skip_row; k++)
                if (counts(s, k))
                    note(s, k);
    }
}

/* ---- a span, or equally many entries, for each row ---- */

static void spans_part(void *ctx, int part, int parts) {
    job *s = ctx;
    for (int64_t i = s->rows * part / parts; i < s->rows * (part + 1) / parts; i++) {
        int64_t j = s->first ? s->first[i] : i * s->width,
                end = s->first ? s->end[i] : j + s->width;
        j = j < 0 ? 0 : j;
        end = end > s->entries ? s->entries : end;
        if (j < end)
            add(s, j, end, i);
    }
}

/* ---- the ops ---- */

static bool run(job *s, const lg_call *c, int n_val, int n_col, int n_x) {
    const lg_type *y = &c->node->type[0];
    s->call = c;
    s->entries = (int64_t)lg_type_count(&c->node->in[n_val]->type[0]);
    s->rows = y->shape[0];
    s->size = c->node->in[n_x]->type[0].shape[0];
    s->tail = s->rows ? (int64_t)lg_type_count(y) / s->rows : 0;
    s->val = c->in[n_val];
    s->col = c->in[n_col];
    s->x = c->in[n_x];
    s->y = c->out[0];
    s->bad = -1;
    memset(s->y, 0, lg_type_count(y) * lg_dtype_size(y->dtype));
    bool large = s->entries * s->tail >= LEAST && lg_pool_threads() > 1;
    if (s->row && large)
        lg_pool_run(order_part, s, SHARES);
    large = large && !s->disorder;
    void (*part)(void *, int, int) = s->row ? rows_part : spans_part;
    if (large)
        lg_pool_run(part, s, SHARES);
    else
        part(s, 0, 1);
    if (s->bad < 0)
        return true;
    bool row = s->row && !inside(s->row[s->bad], s->rows) && !s->skip_row;
    int64_t per = s->width ? s->width : 1;
    return lg_fault_set(c->fault, c->node, "R0101", s->bad / per, "index %lld is outside 0..%lld",
                        (long long)(row ? s->row : s->col)[s->bad],
                        (long long)(row ? s->rows : s->size));
}

static bool run_rows(const lg_call *c) {
    job s = {
        .row = c->in[1], .skip_row = c->node->attr.p[0] != 0, .skip_col = c->node->attr.p[1] != 0};
    return run(&s, c, 0, 2, 3);
}

static bool run_spans(const lg_call *c) {
    job s = {.first = c->in[1], .end = c->in[2]};
    return run(&s, c, 0, 3, 4);
}

static bool run_even(const lg_call *c) {
    job s = {.width = c->node->in[0]->type[0].shape[1]};
    return run(&s, c, 0, 1, 2);
}

static int64_t flops(const lg_node *n) {
    int64_t rows = n->type[0].shape[0], all = (int64_t)lg_type_count(&n->type[0]);
    return rows ? 2 * (int64_t)lg_type_count(&n->in[0]->type[0]) * (all / rows) : 0;
}

const lg_op lg_op_sparse_rows = {
    .name = "sparse_rows",
    .sig = "(val: float[J], row: i32[J], col: i32[J], x: float[K, ...T]) -> float[M, ...T]",
    .cls = LG_C_KERNEL,
    .arity = 4,
    .run = run_rows,
    .flops = flops,
    .doc = "Products of a sparse matrix whose entries name their row and column."};

const lg_op lg_op_sparse_spans = {
    .name = "sparse_spans",
    .sig = "(val: float[J], first: i32[M], end: i32[M], col: i32[J], x: float[K, ...T]) -> "
           "float[M, ...T]",
    .cls = LG_C_KERNEL,
    .arity = 5,
    .run = run_spans,
    .flops = flops,
    .doc = "Products of a sparse matrix whose rows are spans of entries."};

const lg_op lg_op_sparse_even = {
    .name = "sparse_even",
    .sig = "(val: float[M, N], col: i32[M, N], x: float[K, ...T]) -> float[M, ...T]",
    .cls = LG_C_KERNEL,
    .arity = 3,
    .run = run_even,
    .flops = flops,
    .doc = "Products of a sparse matrix with equally many entries in each row."};

const lg_op *const lg_ops_sparse[] = {&lg_op_sparse_rows, &lg_op_sparse_spans, &lg_op_sparse_even,
                                      NULL};
