/* rows.c: see rows.h. What matters is that every step writes row r of its results when it is given
 * the r-th part of its work, and reads of what others write row r alone: a property of strides. */
#include "compiler/mid/rows.h"

static int64_t elements(lg_node *x) {
    return (int64_t)lg_type_count(&lg_storage_of(x)->type[0]);
}

static int64_t gcd(int64_t a, int64_t b) {
    return b ? gcd(b, a % b) : a;
}

/* ---- walks ---- */

/* A walk as `rows` steps of q positions each. False: it does not divide so. */
static bool divide(const lg_walk *w, int64_t n_rows, int64_t q, lg_walk *rows, lg_walk *part) {
    int64_t left = q, got = 1;
    *rows = *part = (lg_walk){0};
    for (int d = w->rank - 1; d >= 0; d--) {
        int64_t n = w->n[d], mine = n < left ? n : left;
        if (n % mine || left % mine)
            return false;
        if (mine > 1) {
            part->n[part->rank] = mine;
            part->stride[part->rank++] = w->stride[d];
        }
        left /= mine;
        if (n / mine > 1) {
            rows->n[rows->rank] = n / mine;
            rows->stride[rows->rank++] = w->stride[d] * mine;
            got *= n / mine;
        }
    }
    return left == 1 && got == n_rows;
}

/* Widens [lo, hi] by what the loops of a walk add within a row; those that step over all rows lead
 * to the same one. */
static void reach(const lg_walk *w, int64_t period, int64_t *lo, int64_t *hi) {
    for (int d = 0; d < w->rank; d++)
        if (w->stride[d] % period)
            *(w->stride[d] < 0 ? lo : hi) += (w->n[d] - 1) * w->stride[d];
}

/* Do positions [r*q, (r + 1)*q) of the walk o, with all of the walk i, stay within row r of a value
 * that is cut by `inner`? */
static bool keeps(const lg_rowed *c, const lg_walk *o, const lg_walk *i, int64_t base, int64_t q,
                  int64_t inner) {
    int64_t period = c->rows * inner, w = 1, lo = 0, hi = 0;
    lg_walk rows, part;
    if (inner <= 0 || base < 0 || !divide(o, c->rows, q, &rows, &part))
        return false;
    for (int d = 0; d < rows.rank; w *= rows.n[d++]) /* the inner loop comes first */
        if ((rows.stride[d] - w * inner) % period)
            return false;
    reach(&part, period, &lo, &hi);
    reach(i, period, &lo, &hi);
    return base % period + lo >= 0 && base % period + hi < inner;
}

/* How a value that is written so is cut: in pieces of memory, or in columns. */
static int64_t cut_of(const lg_rowed *c, const lg_walk *o, const lg_walk *i, int64_t base,
                      int64_t q, int64_t count) {
    lg_walk rows, part;
    if (count % c->rows == 0 && keeps(c, o, i, base, q, count / c->rows))
        return count / c->rows;
    if (!divide(o, c->rows, q, &rows, &part) || !rows.rank)
        return LG_MIXED;
    int64_t inner = rows.stride[0];
    bool fits = inner > 0 && count % (inner * c->rows) == 0 && keeps(c, o, i, base, q, inner);
    return fits ? inner : LG_MIXED;
}

static bool reads(const lg_rowed *c, lg_node *x, const lg_walk *o, const lg_walk *i, int64_t base,
                  int64_t q) {
    int64_t inner = c->inner(c, x);
    return inner == LG_GIVEN || keeps(c, o, i, base, q, inner);
}

static bool makes(lg_rowed *c, lg_node *x, int64_t inner) {
    if (c->n_made == (int)LG_COUNT(c->made))
        return false;
    c->made[c->n_made].node = x;
    c->made[c->n_made++].inner = inner;
    return true;
}

static bool writes(lg_rowed *c, lg_node *x, const lg_walk *o, const lg_walk *i, int64_t base,
                   int64_t q) {
    int64_t inner = c->inner(c, x);
    for (int k = 0; k < c->n_made; k++)
        inner = lg_storage_of(c->made[k].node) == lg_storage_of(x) ? c->made[k].inner : inner;
    if (inner != LG_GIVEN)
        return keeps(c, o, i, base, q, inner);
    inner = cut_of(c, o, i, base, q, elements(x));
    return inner != LG_MIXED && makes(c, x, inner);
}

/* ---- loops ---- */

/* Sums of columns in fewer than 256 tiles are folded (runtime/loop.c): that must not change. */
static bool same_sums(const lg_loop *l, int64_t ob) {
    enum { FOLDED = 256 };
    if (!l->fast_o || l->ib <= 2 || l->ob < FOLDED)
        return true;
    return ob >= FOLDED && l->n_o % l->ob == 0 && l->n_o % ob == 0;
}

int64_t lg_rows_tile(const lg_loop *l, int64_t q, int64_t most) {
    int64_t ob = l->ob;
    if (q < ob) {
        int64_t rows = 1;
        while (2 * rows <= most && 2 * rows * q <= l->ob)
            rows *= 2;
        ob = rows * q;
    } else {
        while (q % ob && 4 * ob > l->ob)
            ob--;
    }
    return (ob > q || q % ob == 0) && same_sums(l, ob) ? ob : 0;
}

static void go_together(lg_rowed *c, int64_t rows) {
    c->unit = c->unit / gcd(c->unit, rows) * rows;
}

static bool has_gather(const lg_loop *l, const lg_access *a) {
    for (int x = 0; x < l->n_instr; x++)
        if (l->instr[x].kind == LG_I_GATHER && l->instr[x].acc == a)
            return true;
    return false;
}

static bool is_still(const lg_walk *w) {
    for (int d = 0; d < w->rank; d++)
        if (w->stride[d])
            return false;
    return true;
}

/* Sums over the rows, in blocks: what they come to is known when all rows are done. */
static bool sums_keep(lg_rowed *c, const lg_kernel *k) {
    const lg_loop *l = k->loop;
    int64_t q = l->n_i / c->rows;
    for (size_t j = 0; j < k->touch.n; j++) {
        const lg_touch *t = &k->touch.at[j];
        const lg_access *a = t->acc;
        if (!t->write && c->inner(c, t->node) == LG_GIVEN)
            continue;
        bool late = a && t->write && is_still(&a->i) && c->inner(c, t->node) == LG_GIVEN;
        if (!a || (!t->write && has_gather(l, a)) ||
            !(late       ? makes(c, t->node, LG_MIXED)
              : t->write ? writes(c, t->node, &a->i, &a->o, a->base, q)
                         : reads(c, t->node, &a->i, &a->o, a->base, q)))
            return false;
        c->late = c->late || late;
    }
    go_together(c, l->split / gcd(l->split, q));
    return true;
}

static bool loop_keeps(lg_rowed *c, const lg_kernel *k) {
    const lg_loop *l = k->loop;
    if (l->split && c->most)
        return l->n_i % c->rows == 0 && sums_keep(c, k);
    if (l->split || l->n_o % c->rows || !l->n_o)
        return false;
    int64_t q = l->n_o / c->rows, ob = c->most ? lg_rows_tile(l, q, c->most) : l->ob;
    if (!ob)
        return false;
    for (size_t j = 0; j < k->touch.n; j++) {
        const lg_touch *t = &k->touch.at[j];
        if (!t->write && c->inner(c, t->node) == LG_GIVEN)
            continue;
        const lg_access *a = t->acc;
        if (!a || (!t->write && has_gather(l, a)) ||
            !(t->write ? writes(c, t->node, &a->o, &a->i, a->base, q)
                       : reads(c, t->node, &a->o, &a->i, a->base, q)))
            return false;
    }
    go_together(c, ob / gcd(ob, q));
    return true;
}

/* ---- products ---- */

/* One side of a product: stride[]: of its batch, heads, rows or columns, and inner dim. */
static bool side_keeps(const lg_rowed *c, const lg_product *p, lg_node *x, int64_t off,
                       const int64_t stride[4], bool by_m) {
    int64_t heads = p->heads ? p->heads : 1, len = by_m ? p->m : p->n;
    lg_walk batch = {2, {p->batch / heads, heads}, {stride[0], stride[1]}};
    lg_walk rows = {1, {p->m}, {stride[2]}};
    lg_walk matrix = {2, {len, p->k}, {stride[2], stride[3]}}, line = {1, {p->k}, {stride[3]}};
    return by_m ? reads(c, x, &rows, &line, off, p->m / c->rows)
                : reads(c, x, &batch, &matrix, off, p->batch / c->rows);
}

static bool all_given(const lg_rowed *c, const lg_dot *d, int from) {
    for (int k = from; k < d->n_in; k++)
        if (c->inner(c, d->in[k]) != LG_GIVEN)
            return false;
    return true;
}

static bool product_keeps(lg_rowed *c, const lg_step *s) {
    lg_dot d = lg_dot_of(s->node);
    const lg_product *p = &d.p;
    bool by_m = p->batch == 1;
    int64_t n = by_m ? p->m : p->batch;
    if (p->type == LG_I32 || !n || n % c->rows || !all_given(c, &d, by_m ? 1 : 2))
        return false;
    for (int k = 0; k < 2; k++)
        if (d.coded[k].code != LG_NO_DTYPE && c->inner(c, d.in[k]) != LG_GIVEN)
            return false;
    const int64_t a[] = {p->a_batch, p->a_head, p->a_m, p->a_k};
    const int64_t b[] = {p->b_batch, p->b_head, p->b_n, p->b_k};
    lg_walk y = {1, {n}, {elements((lg_node *)(uintptr_t)s->node) / n}},
            row = {1, {y.stride[0]}, {1}};
    return side_keeps(c, p, d.in[0], p->a_off, a, by_m) &&
           (by_m || side_keeps(c, p, d.in[1], p->b_off, b, false)) &&
           writes(c, (lg_node *)(uintptr_t)s->node, &y, &row, 0, n / c->rows);
}

bool lg_keeps_rows(lg_rowed *c, const lg_step *s, const lg_kernel *k) {
    c->n_made = 0;
    c->late = false;
    switch (s->kind) {
    case LG_S_LOOP:
        return loop_keeps(c, k);
    case LG_S_DOT:
        return product_keeps(c, s);
    case LG_S_COPY:
        return s->bytes % (size_t)c->rows == 0;
    case LG_S_RUN:
    case LG_S_SCAN:
    case LG_S_COND:
        return false;
    }
    return false;
}

/* ---- bodies of scans ---- */

/* What the body writes or carries is as many rows, one after the other. */
static int64_t inner_in_body(const lg_rowed *c, lg_node *x) {
    x = lg_storage_of(x);
    bool given = x->op->cls == LG_C_CONST ||
                 (x->op->cls == LG_C_INPUT && x->attr.slot >= *(const int *)c->ctx);
    return given ? LG_GIVEN : elements(x) % c->rows ? LG_MIXED : elements(x) / c->rows;
}

int64_t lg_rows_of(const lg_graph *g, const lg_step *step, const lg_kernel *kernel, size_t n,
                   int n_carry, int64_t *unit) {
    const lg_type *first = n_carry ? &g->output.at[0].node->type[0] : NULL;
    if (!first || !first->rank || first->shape[0] < 2)
        return 0;
    lg_rowed c = {.rows = first->shape[0], .unit = 1, .inner = inner_in_body, .ctx = &n_carry};
    for (int k = 0; k < n_carry; k++)
        if (lg_type_count(&g->output.at[k].node->type[0]) % (size_t)c.rows)
            return 0;
    for (size_t k = 0; k < n; k++)
        if (!lg_keeps_rows(&c, &step[k], &kernel[k]))
            return 0;
    *unit = c.unit;
    return c.unit < c.rows ? c.rows : 0;
}
