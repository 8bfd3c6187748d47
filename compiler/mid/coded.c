/* coded.c: operands of products that are decoded from codes: an elementwise (code + zero)*scale of
 * small integers, small floats or numbers of a table, with scales that are the same for a tensor, a
 * row, a group or a column. Such a product reads the codes; the decoded array is never made. Not
 * for the arithmetic (ops/coded_tile.h), nor for choosing codes (quantizers do). */
#include "compiler/mid/fuse.h"
#include "compiler/mid/rewrite.h"
#include <string.h>

/* Below that the decoded array is as good: of codes that a program holds, and of computed ones. */
enum { LEAST_HELD = 256, LEAST_MADE = 1 << 16 };

/* A scale or zero: its storage and how it is walked along the dims of the decoded array, or one for
 * each `run` elements of it. */
typedef struct {
    lg_node *from;
    int64_t off, stride[2 * LG_MAX_RANK], run;
} leaf;

static bool walks_in_order(const lg_map *m, const lg_type *of, const lg_type *t, int64_t *off);

static lg_node *uncast(lg_node *x) {
    while (x->op->cls == LG_C_CAST && lg_dtype_is_int(x->in[0]->type[0].dtype))
        x = x->in[0];
    return x;
}

static bool is_pick(const lg_node *x) {
    return x->op->cls == LG_C_GATHER && x->attr.nb == 0 && x->attr.ni == 1 &&
           x->in[0]->type[0].rank == 1;
}

/* scale[e//run] for element e of t, which u is seen under. */
static bool run_of(lg_node *u, const lg_map *under, const lg_type *t, leaf *l) {
    lg_node *at = is_pick(u) ? uncast(u->in[1]) : NULL;
    double run;
    int64_t off;
    if (!at || at->op != lg_known_ops()->floordiv || !lg_fill_value(at->in[1], &run) || run < 1)
        return false;
    lg_node *count = uncast(at->in[0]);
    if (count->op->cls != LG_C_IOTA || count->type[0].rank != 1 || u->type[0].rank != 1 ||
        !walks_in_order(under, &u->type[0], t, &off) || off)
        return false;
    l->from = lg_storage_of(u->in[0]);
    l->run = (int64_t)run;
    l->off = 0;
    return l->from->type[0].dtype == LG_F32 && l->from->op->cls != LG_C_IOTA &&
           l->from->op->cls != LG_C_VIEW;
}

static bool leaf_of(lg_node *x, const lg_map *under, const lg_type *t, leaf *l) {
    lg_map m = *under;
    lg_node *u = lg_map_source(x, &m);
    l->run = 0;
    if (run_of(u, &m, t, l))
        return true;
    lg_map_flat(&m, &u->type[0], &l->off, l->stride);
    l->from = lg_storage_of(u);
    return u->type[0].dtype == LG_F32 && l->from->op->cls != LG_C_IOTA &&
           l->from->op->cls != LG_C_VIEW;
}

/* Steps of a leaf by row and by group: the last dims without a step are a group, those before them
 * that step as one number the groups, the rest the rows. */
static bool blocks(const lg_type *t, const leaf *l, int64_t b[4]) {
    const int64_t *stride = l->stride;
    if (l->run) {
        memcpy(b, (int64_t[]){(int64_t)lg_type_count(t), l->run, 0, 1}, 4 * sizeof *b);
        return true;
    }
    int64_t group = 1, n = 1, unit = 0, rows = 1, step = 0;
    int d = t->rank - 1;
    for (; d >= 0 && (t->shape[d] == 1 || stride[d] == 0); d--)
        group *= t->shape[d];
    for (; d >= 0 && (t->shape[d] == 1 || n == 1 || stride[d] == n * unit); d--) {
        if (t->shape[d] != 1 && n == 1)
            unit = stride[d];
        n *= t->shape[d];
    }
    for (; d >= 0; d--) {
        if (t->shape[d] == 1)
            continue;
        if (rows == 1)
            step = stride[d];
        else if (stride[d] != rows * step)
            return false;
        rows *= t->shape[d];
    }
    b[0] = group * n; /* the width of a row */
    b[1] = group;
    b[2] = step;
    b[3] = unit;
    return true;
}

/* The same leaf by other blocks, of which its own consist: false when it does not fit them. */
static bool same_blocks(const int64_t a[4], const int64_t b[4]) {
    return (b[2] == 0 && b[3] == 0) || (a[0] == b[0] && a[1] == b[1]);
}

/* Does *m walk the elements of an array of type `of` one by one, from *off on? */
static bool walks_in_order(const lg_map *m, const lg_type *of, const lg_type *t, int64_t *off) {
    int64_t stride[2 * LG_MAX_RANK], unit = 1;
    lg_map_flat(m, of, off, stride);
    for (int d = t->rank - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && stride[d] != unit)
            return false;
        unit *= t->shape[d];
    }
    return true;
}

/* Is x, seen under the dims of t, its storage in row-major order? Then from *off on. */
static bool in_order(lg_node *x, const lg_map *under, const lg_type *t, lg_node **from,
                     int64_t *off) {
    lg_map m = *under;
    lg_node *u = lg_map_source(x, &m);
    if (!walks_in_order(&m, &u->type[0], t, off))
        return false;
    *from = lg_storage_of(u);
    return (*from)->op->cls != LG_C_VIEW && (*from)->op->cls != LG_C_IOTA;
}

/* The same for x as it is. */
static bool is_dense(lg_node *x, lg_node **from, int64_t *off) {
    lg_map m = lg_map_identity(&x->type[0]);
    return in_order(x, &m, &x->type[0], from, off);
}

static bool is_code(lg_dtype t) {
    return t == LG_I8 || t == LG_U8 || t == LG_BF16 || t == LG_F16;
}

/* What x picks from by a signed code of 4 or 2 bits: constant numbers, `table[code + 8]` of 16 or
 * `table[code + 2]` of 4, or 16 that are held; else NULL. */
static lg_node *table_of(const lg_node *x, lg_node **code) {
    lg_node *table = is_pick(x) ? x->in[0] : NULL;
    if (!table || table->type[0].dtype != LG_F32)
        return NULL;
    int64_t n = table->type[0].shape[0];
    lg_node *at = uncast(lg_storage_of(x->in[1]));
    if ((n != 16 && (n != 4 || table->op->cls != LG_C_CONST)) || at->op != lg_known_ops()->add ||
        !lg_is_fill(at->in[1], (double)(n / 2)))
        return NULL;
    *code = at;
    return table;
}

/* Codes of few bits: the bytes that `x` takes apart. false: it does not. */
static bool packed_in(const lg_node *x, lg_decoded *d) {
    int64_t more;
    if ((x->op->unpacks != 4 && x->op->unpacks != 2) || !is_dense(x->in[0], &d->codes, &more))
        return false;
    d->c.code = d->codes->type[0].dtype;
    d->c.bits = x->op->unpacks;
    d->c.code_off += 8 / d->c.bits * more;
    return true;
}

/* The numbers by the bits of a code: table[code + n/2], or without a table the codes themselves. A
 * table of fewer than 16 is repeated. */
static void fill_table(lg_coded *c, const float *table) {
    const int n = 1 << c->bits, half = n / 2;
    c->by_table = table != NULL;
    for (int k = 0; k < 16; k++) {
        int at = k % n ^ half;
        c->table[k] = table ? table[at] : (float)(at - half);
    }
}

/* The codes of a table under x. */
static bool picked_of(lg_node *x, const lg_map *under, const lg_type *t, lg_decoded *d) {
    lg_node *at, *from;
    int64_t off;
    lg_node *table = table_of(x, &at);
    if (!table || !walks_in_order(under, &x->type[0], t, &d->c.code_off) ||
        !is_dense(uncast(at->in[0]), &from, &off) ||
        1 << from->op->unpacks != (int)x->in[0]->type[0].shape[0])
        return false;
    d->c.code_off += off;
    if (!packed_in(from, d))
        return false;
    bool held = table->op->cls != LG_C_CONST;
    fill_table(&d->c, held ? NULL : table->attr.tensor->data);
    d->c.by_table = true;
    return !held || is_dense(table, &d->book, &d->c.book_off);
}

/* The codes under the cast x. */
static bool codes_of(lg_node *x, const lg_map *under, const lg_type *t, lg_decoded *d) {
    lg_node *from;
    if (picked_of(x, under, t, d))
        return true;
    if (x->op->cls != LG_C_CAST || x->type[0].dtype != LG_F32 ||
        !is_code(x->in[0]->type[0].dtype) || !in_order(x->in[0], under, t, &from, &d->c.code_off))
        return false;
    if (from->op->unpacks) {
        if (!packed_in(from, d))
            return false;
        fill_table(&d->c, NULL);
        return true;
    }
    d->c.code = from->type[0].dtype;
    d->codes = from;
    return true;
}

lg_node *lg_bytes_of(lg_node *x, lg_coded *c) {
    lg_node *from;
    *c = (lg_coded){.code = LG_NO_DTYPE};
    x = lg_storage_of(x);
    lg_dtype t = x->op->cls == LG_C_CAST ? x->in[0]->type[0].dtype : LG_NO_DTYPE;
    if (x->type[0].dtype != LG_I32 || (t != LG_I8 && t != LG_U8) ||
        !is_dense(x->in[0], &from, &c->code_off))
        return NULL;
    c->code = t;
    return from;
}

static bool is_held(const lg_node *x) {
    return x->op->cls == LG_C_INPUT || x->op->cls == LG_C_CONST;
}

/* Is x the factor, or the term, with the codes in it? */
static bool has_codes(const lg_node *x) {
    const lg_known *k = lg_known_ops();
    lg_node *code;
    return x->op == k->sub || x->op == k->add || table_of(x, &code) ||
           (x->op->cls == LG_C_CAST && is_code(x->in[0]->type[0].dtype));
}

/* Of the two operands of *x the one with the codes becomes *x, with its map; the other is the leaf.
 */
static bool split(lg_node **x, lg_map *under, const lg_type *t, leaf *l, bool *second) {
    for (int k = 0; k < 2; k++) {
        lg_map m = *under;
        lg_node *u = lg_map_source((*x)->in[k], &m);
        if (!has_codes(u))
            continue;
        *second = k;
        bool ok = leaf_of((*x)->in[!k], under, t, l);
        *x = u;
        *under = m;
        return ok;
    }
    return false;
}

/* x, seen under the dims of t, as (code + zero)*scale. */
static bool take(lg_node *x, lg_map *under, const lg_type *t, lg_decoded *d, leaf *scale,
                 leaf *zero) {
    const lg_known *k = lg_known_ops();
    bool second = false;
    scale->from = zero->from = NULL;
    if (x->op == k->mul && !split(&x, under, t, scale, &second))
        return false;
    if (x->op == k->sub || x->op == k->add) {
        d->c.minus = x->op == k->sub;
        if (!split(&x, under, t, zero, &second) || (d->c.minus && second))
            return false;
    }
    return codes_of(x, under, t, d);
}

static bool fits(const lg_node *leaf_node, int64_t n) {
    return (int64_t)lg_type_count(&leaf_node->type[0]) <= n / 4;
}

bool lg_decoded_of(lg_node *x, lg_decoded *d) {
    leaf scale, zero;
    const lg_type *t = &x->type[0];
    int64_t n = (int64_t)lg_type_count(t), b[4] = {n, n, 0, 0}, z[4] = {n, n, 0, 0};
    lg_map under = lg_map_identity(t);
    x = lg_map_source(x, &under);
    *d = (lg_decoded){.c.code = LG_NO_DTYPE};
    if (t->dtype != LG_F32 || n < LEAST_HELD || !take(x, &under, t, d, &scale, &zero) ||
        n < (is_held(d->codes) ? LEAST_HELD : LEAST_MADE))
        return false;
    if (scale.from && (!fits(scale.from, n) || !blocks(t, &scale, b)))
        return false;
    if (zero.from && (!fits(zero.from, n) || !blocks(t, &zero, z)))
        return false;
    bool by_zero = !scale.from || (b[2] == 0 && b[3] == 0);
    if (!(by_zero ? same_blocks(z, b) : same_blocks(b, z)))
        return false;
    const int64_t *of = by_zero ? z : b;
    d->c.width = of[0];
    d->c.group = of[1];
    d->c.scale_row = b[2];
    d->c.scale_group = b[3];
    d->c.zero_row = z[2];
    d->c.zero_group = z[3];
    d->c.scale_off = scale.from ? scale.off : 0;
    d->c.zero_off = zero.from ? zero.off : 0;
    d->scale = scale.from;
    d->zero = zero.from;
    return true;
}
