/* sort.c: ordering along the last axis: sort, argsort, topk, searchsorted, unique_counts and the
 * inverse of a permutation. Not for what follows from these in the language (median, quantiles,
 * ranks). Sorting is stable; NaN counts as larger than every number. */
#include "ops/build.h"
#include "runtime/plan.h"
#include <math.h>
#include <string.h>

/* Rows along the last axis. */
typedef struct {
    lg_dtype t;
    size_t rows, n;
} rows_of;

static rows_of rows(const lg_type *t) {
    assert(t->rank > 0);
    rows_of r = {t->dtype, 1, (size_t)t->shape[t->rank - 1]};
    for (int d = 0; d < t->rank - 1; d++)
        r.rows *= (size_t)t->shape[d];
    return r;
}

/* ---- order as unsigned integers ---- */

typedef struct {
    uint64_t key;
    uint32_t at;
} entry;

static uint64_t float_key(double x) {
    if (isnan(x))
        return UINT64_MAX;
    x += 0.0; /* -0 equals 0 */
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u >> 63 ? ~u : u | 1ull << 63;
}

/* Element i as a number that sorts as the element does. */
static uint64_t key_of(lg_dtype t, const void *p, size_t i, bool descending) {
    uint64_t k = lg_dtype_is_float(t) ? float_key(lg_get_f64(t, p, i))
                                      : (uint64_t)lg_get_i64(t, p, i) ^ 1ull << 63;
    return descending ? ~k : k;
}

static void keys_of(lg_dtype t, const void *p, size_t beg, size_t n, bool descending, entry *e) {
    for (size_t i = 0; i < n; i++)
        e[i] = (entry){key_of(t, p, beg + i, descending), (uint32_t)i};
}

static void insertion_sort(entry *e, size_t n) {
    for (size_t i = 1; i < n; i++) {
        entry x = e[i];
        size_t j = i;
        for (; j > 0 && e[j - 1].key > x.key; j--)
            e[j] = e[j - 1];
        e[j] = x;
    }
}

/* By bytes, least first; bytes that are the same everywhere cost nothing but their count. */
static void radix_sort(entry *e, entry *spare, size_t n) {
    size_t count[8][256] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (int b = 0; b < 8; b++)
            count[b][e[i].key >> 8 * b & 255]++;
    entry *from = e, *to = spare;
    for (int b = 0; b < 8; b++) {
        if (count[b][from[0].key >> 8 * b & 255] == n)
            continue;
        for (size_t v = 0, sum = 0; v < 256; v++) {
            size_t k = count[b][v];
            count[b][v] = sum;
            sum += k;
        }
        for (size_t i = 0; i < n; i++)
            to[count[b][from[i].key >> 8 * b & 255]++] = from[i];
        entry *x = from;
        from = to;
        to = x;
    }
    if (from != e)
        memcpy(e, from, n * sizeof *e);
}

static void sort_entries(entry *e, entry *spare, size_t n) {
    if (n <= 48)
        insertion_sort(e, n);
    else
        radix_sort(e, spare, n);
}

static size_t sort_scratch(const lg_node *y) {
    return 2 * rows(&y->in[0]->type[0]).n * sizeof(entry);
}

/* Entries of row b in order, in the scratch of the call. */
static entry *sorted_row(const lg_call *c, const rows_of *r, size_t b, bool descending) {
    entry *e = c->scratch;
    keys_of(r->t, c->in[0], b * r->n, r->n, descending, e);
    sort_entries(e, e + r->n, r->n);
    return e;
}

static void copy_element(lg_dtype t, void *out, size_t i, const void *in, size_t j) {
    size_t size = lg_dtype_size(t);
    memcpy((char *)out + i * size, (const char *)in + j * size, size);
}

/* ---- sort, argsort, topk ---- */

/* p = {descending}; in: x[.., N]; out: values[.., N], perm i32[.., N] */
static bool sort_run(const lg_call *c) {
    rows_of r = rows(&c->node->in[0]->type[0]);
    int32_t *perm = c->out[1];
    for (size_t b = 0; b < r.rows; b++) {
        const entry *e = sorted_row(c, &r, b, c->node->attr.p[0]);
        for (size_t i = 0; i < r.n; i++) {
            perm[b * r.n + i] = (int32_t)e[i].at;
            copy_element(r.t, c->out[0], b * r.n + i, c->in[0], b * r.n + e[i].at);
        }
    }
    return true;
}

/* p = {descending}; in: x[.., N]; out: perm i32[.., N] */
static bool argsort_run(const lg_call *c) {
    rows_of r = rows(&c->node->in[0]->type[0]);
    int32_t *perm = c->out[0];
    for (size_t b = 0; b < r.rows; b++) {
        const entry *e = sorted_row(c, &r, b, c->node->attr.p[0]);
        for (size_t i = 0; i < r.n; i++)
            perm[b * r.n + i] = (int32_t)e[i].at;
    }
    return true;
}

enum { FEW = 32 }; /* up to so many, insertion into a short list beats sorting the row */

/* The k least keys of a row in order, in e[0..k). */
static void least(const lg_call *c, const rows_of *r, size_t b, size_t k, bool descending,
                  entry *e) {
    size_t have = 0;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t key = key_of(r->t, c->in[0], b * r->n + i, descending);
        if (have == k && key >= e[k - 1].key)
            continue;
        size_t j = have < k ? have++ : k - 1;
        for (; j > 0 && e[j - 1].key > key; j--)
            e[j] = e[j - 1];
        e[j] = (entry){key, (uint32_t)i};
    }
}

/* p = {k, smallest}; in: x[.., N]; out: values[.., k], indices i32[.., k], best first */
static bool topk_run(const lg_call *c) {
    rows_of r = rows(&c->node->in[0]->type[0]);
    size_t k = (size_t)c->node->attr.p[0];
    bool descending = !c->node->attr.p[1];
    int32_t *index = c->out[1];
    assert(k <= r.n);
    for (size_t b = 0; b < r.rows && k > 0; b++) {
        entry *e = c->scratch;
        if (k <= FEW)
            least(c, &r, b, k, descending, e);
        else
            e = sorted_row(c, &r, b, descending);
        for (size_t i = 0; i < k; i++) {
            index[b * k + i] = (int32_t)e[i].at;
            copy_element(r.t, c->out[0], b * k + i, c->in[0], b * r.n + e[i].at);
        }
    }
    return true;
}

/* Values came from x at item 1: their cotangent goes back there. */
static bool chosen_vjp(void *ctx, lg_node *y, lg_node **dy, lg_node **dx) {
    const lg_type *t = &y->in[0]->type[0];
    lg_graph *g = ctx;
    if (!dy[0] || !lg_dtype_is_float(t->dtype))
        return true;
    lg_node *at = lg_g_item(g, y, 1), *zero = lg_g_fill(g, *t, 0, y->span);
    dx[0] = lg_g_scatter(g, &lg_op_scatter_add, zero, t->rank - 1, 1, &at, dy[0], y->span);
    return true;
}

static const lg_op op_sort = {
    .name = "sort",
    .sig = "(x: E[...S, N], descending = false) -> {values: E[...S, N], order: i32[...S, N]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = chosen_vjp,
    .n_out = 2,
    .run = sort_run,
    .scratch = sort_scratch,
    .doc =
        "Values in order along the last axis and where each came from. Stable; NaN is the largest.",
    .example = "sort([3, 1, 2]).values",
    .result = "[1, 2, 3]",
};

static const lg_op op_argsort = {
    .name = "argsort",
    .sig = "(x: E[...S, N], descending = false) -> i32[...S, N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW | LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_I32,
    .run = argsort_run,
    .scratch = sort_scratch,
    .doc = "Positions that put the last axis in order. Stable; NaN is the largest.",
    .example = "argsort([3, 1, 2])",
    .result = "[1, 2, 0]",
};

static const lg_op op_topk = {
    .name = "topk",
    .sig =
        "(x: E[...S, N], k <= N, smallest = false) -> {values: E[...S, k], indices: i32[...S, k]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .vjp_fn = chosen_vjp,
    .n_out = 2,
    .run = topk_run,
    .scratch = sort_scratch,
    .doc = "The k largest values of the last axis, largest first, and their positions; NaN is the "
           "largest, of equals the first comes first.",
    .example = "topk([3, 1, 2], 2).indices",
    .result = "[0, 2]",
};

/* ---- searchsorted: p = {right} ---- */

/* How many keys of a sorted row lie before `key` (or at it, when right). */
static size_t rank_in(lg_dtype t, const void *p, size_t beg, size_t n, uint64_t key, bool right) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        uint64_t k = key_of(t, p, beg + mid, false);
        if (k < key || (right && k == key))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* in: sorted[.., N], v[.., M]; out: i32[.., M] */
static bool search_run(const lg_call *c) {
    rows_of s = rows(&c->node->in[0]->type[0]), v = rows(&c->node->in[1]->type[0]);
    bool right = c->node->attr.p[0];
    int32_t *out = c->out[0];
    assert(s.rows == v.rows);
    for (size_t b = 0; b < v.rows; b++)
        for (size_t i = b * v.n; i < (b + 1) * v.n; i++)
            out[i] = (int32_t)rank_in(s.t, c->in[0], b * s.n, s.n, key_of(v.t, c->in[1], i, false),
                                      right);
    return true;
}

static const lg_op op_searchsorted = {
    .name = "searchsorted",
    .sig = "(sorted: E[...S, N], v: E[...S, M], right = false) -> i32[...S, M]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW | LG_T_NODIFF,
    .arity = 2,
    .out_dtype = LG_I32,
    .run = search_run,
    .doc =
        "Where each v would go in a sorted row: how many entries are below it (right: or equal).",
    .example = "searchsorted([1, 3, 5], [3, 4])",
    .result = "[1, 2]",
};

/* ---- unique_counts ---- */

/* in: x[.., N]; out: values[.., N] ascending, the last repeated; counts i32[.., N], then 0;
 * n i32[..] */
static bool unique_run(const lg_call *c) {
    rows_of r = rows(&c->node->in[0]->type[0]);
    int32_t *counts = c->out[1], *n = c->out[2];
    for (size_t b = 0; b < r.rows; b++) {
        const entry *e = sorted_row(c, &r, b, false);
        size_t have = 0, base = b * r.n;
        memset(counts + base, 0, r.n * sizeof *counts);
        for (size_t i = 0; i < r.n; i++) {
            if (i == 0 || e[i].key != e[i - 1].key)
                copy_element(r.t, c->out[0], base + have++, c->in[0], base + e[i].at);
            counts[base + have - 1]++;
        }
        for (size_t i = have; i < r.n; i++)
            copy_element(r.t, c->out[0], base + i, c->out[0], base + have - 1);
        n[b] = (int32_t)have;
    }
    return true;
}

static const lg_op op_unique_counts = {
    .name = "unique_counts",
    .sig = "(x: E[...S, N]) -> {values: E[...S, N], counts: i32[...S, N], n: i32[...S]}",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW | LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .n_out = 3,
    .run = unique_run,
    .scratch = sort_scratch,
    .doc =
        "Distinct values in order (the first n; the rest repeats the last) and how often each is.",
    .example = "unique_counts([2, 1, 2]).counts",
    .result = "[1, 2, 0]",
};

/* ---- inverse_permutation ---- */

/* in: perm i32[.., N] or i64; out: the same type, out[perm[i]] = i */
static bool inverse_run(const lg_call *c) {
    const lg_type *t = &c->node->in[0]->type[0];
    rows_of r = rows(t);
    for (size_t b = 0; b < r.rows; b++) {
        for (size_t i = 0; i < r.n; i++)
            lg_set_i64(r.t, c->out[0], b * r.n + i, -1);
        for (size_t i = 0; i < r.n; i++) {
            int64_t at = lg_get_i64(r.t, c->in[0], b * r.n + i);
            if (at < 0 || at >= (int64_t)r.n ||
                lg_get_i64(r.t, c->out[0], b * r.n + (size_t)at) >= 0)
                return lg_fault_set(c->fault, c->node, "R0114", t->rank > 1 ? (int64_t)b : -1,
                                    "%lld is twice or out of range in a permutation of %zu",
                                    (long long)at, r.n);
            lg_set_i64(r.t, c->out[0], b * r.n + (size_t)at, (int64_t)i);
        }
    }
    return true;
}

static const lg_op op_inverse_permutation = {
    .name = "inverse_permutation",
    .sig = "(order: i32[...S, N]) -> i32[...S, N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_PER_ROW | LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_NO_DTYPE,
    .run = inverse_run,
    .doc = "The permutation that undoes this one; argsort's inverse gives ranks.",
    .example = "inverse_permutation([2, 0, 1])",
    .result = "[1, 2, 0]",
};

const lg_op *const lg_ops_sort[] = {
    &op_sort, &op_argsort, &op_topk, &op_searchsorted, &op_unique_counts, &op_inverse_permutation,
    NULL};
