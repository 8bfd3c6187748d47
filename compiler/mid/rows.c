/* rows.c: see rows.h. A value of `rows` rows is cut evenly, whatever its dims are called: row r of
 * it is its r-th part in memory. What matters is that every step writes row r of its results when
 * it is given the r-th part of its work, and reads of what the body writes row r alone. Not for
 * running it so (runtime/exec.c). */
#include "compiler/mid/rows.h"

typedef struct {
    int64_t rows, unit;
    int n_carry;
} cut;

/* Nothing in the body writes it. */
static bool is_given(const cut *c, lg_node *x) {
    x = lg_storage_of(x);
    return x->op->cls == LG_C_CONST || (x->op->cls == LG_C_INPUT && x->attr.slot >= c->n_carry);
}

static int64_t elements(lg_node *x) {
    return (int64_t)lg_type_count(&lg_storage_of(x)->type[0]);
}

static int64_t walk_at(const lg_walk *w, int64_t flat) {
    int64_t at = 0;
    for (int d = w->rank - 1; d >= 0; d--) {
        at += (d ? flat % w->n[d] : flat) * w->stride[d];
        flat = d ? flat / w->n[d] : 0;
    }
    return at;
}

/* Widens [lo, hi] by what n steps of a loop add. */
static void reach(int64_t n, int64_t stride, int64_t *lo, int64_t *hi) {
    *(stride < 0 ? lo : hi) += (n - 1) * stride;
}

/* The first q positions of a walk as loops of their own: false when they end amid one. */
static bool reach_of(const lg_walk *w, int64_t q, int64_t *lo, int64_t *hi) {
    for (int d = w->rank - 1; d >= 0 && q > 1; d--) {
        if (d > 0 && q > w->n[d] && q % w->n[d])
            return false;
        int64_t n = d > 0 && q > w->n[d] ? w->n[d] : q;
        if (d > 0 && w->n[d] % n)
            return false;
        reach(n, w->stride[d], lo, hi);
        q /= n;
    }
    return true;
}

/* Are positions [r*q, (r + 1)*q) of the walk o, with all of the walk i, within row r of a value of
 * `count` elements? */
static bool keeps_rows(const cut *c, const lg_walk *o, const lg_walk *i, int64_t base, int64_t q,
                       int64_t count) {
    int64_t row = count / c->rows, lo = base, hi = base;
    if (count % c->rows || !reach_of(o, q, &lo, &hi))
        return false;
    for (int d = 0; d < i->rank; d++)
        reach(i->n[d], i->stride[d], &lo, &hi);
    for (int64_t r = 0; r < c->rows; r++)
        if (walk_at(o, r * q) != r * row)
            return false;
    return lo >= 0 && hi < row;
}

static int64_t gcd(int64_t a, int64_t b) {
    return b ? gcd(b, a % b) : a;
}

static bool loop_keeps(cut *c, const lg_kernel *k) {
    const lg_loop *l = k->loop;
    if (l->split || l->n_o % c->rows)
        return false;
    int64_t q = l->n_o / c->rows;
    for (size_t j = 0; j < k->touch.n; j++) {
        const lg_touch *t = &k->touch.at[j];
        if (!t->write && is_given(c, t->node))
            continue;
        if (!t->acc || !keeps_rows(c, &t->acc->o, &t->acc->i, t->acc->base, q, elements(t->node)))
            return false;
        for (int x = 0; x < l->n_instr; x++)
            if (l->instr[x].kind == LG_I_GATHER && l->instr[x].acc == t->acc)
                return false;
    }
    int64_t together = l->ob / gcd(l->ob, q);
    c->unit = c->unit / gcd(c->unit, together) * together;
    return true;
}

/* One side of a product: stride[]: of its batch, heads, rows or columns, and inner dim. */
static bool side_keeps(const cut *c, const lg_product *p, lg_node *x, int64_t off,
                       const int64_t stride[4], bool by_m) {
    if (is_given(c, x))
        return true;
    int64_t heads = p->heads ? p->heads : 1, len = by_m ? p->m : p->n;
    lg_walk batch = {2, {p->batch / heads, heads}, {stride[0], stride[1]}};
    lg_walk rows = {1, {p->m}, {stride[2]}};
    lg_walk matrix = {2, {len, p->k}, {stride[2], stride[3]}}, line = {1, {p->k}, {stride[3]}};
    return by_m ? keeps_rows(c, &rows, &line, off, p->m / c->rows, elements(x))
                : keeps_rows(c, &batch, &matrix, off, p->batch / c->rows, elements(x));
}

static bool product_keeps(const cut *c, const lg_step *s) {
    lg_dot d = lg_dot_of(s->node);
    const lg_product *p = &d.p;
    bool by_m = p->batch == 1;
    if (p->type == LG_I32 || (by_m ? p->m : p->batch) % c->rows)
        return false;
    for (int k = 2; k < d.n_in; k++)
        if (!is_given(c, d.in[k]))
            return false;
    for (int k = 0; k < 2; k++)
        if (d.coded[k].code != LG_NO_DTYPE && !is_given(c, d.in[k]))
            return false;
    if (by_m && !is_given(c, d.in[1]))
        return false;
    const int64_t a[] = {p->a_batch, p->a_head, p->a_m, p->a_k};
    const int64_t b[] = {p->b_batch, p->b_head, p->b_n, p->b_k};
    return side_keeps(c, p, d.in[0], p->a_off, a, by_m) &&
           (by_m ||
            (p->heads <= 1 || p->batch / p->heads % c->rows == 0 || p->heads == p->batch)) &&
           (by_m || side_keeps(c, p, d.in[1], p->b_off, b, false));
}

static bool step_keeps(cut *c, const lg_step *s, const lg_kernel *k) {
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

int64_t lg_rows_of(const lg_graph *g, const lg_step *step, const lg_kernel *kernel, size_t n,
                   int n_carry, int64_t *unit) {
    const lg_type *first = n_carry ? &g->output.at[0].node->type[0] : NULL;
    if (!first || !first->rank || first->shape[0] < 2)
        return 0;
    cut c = {first->shape[0], 1, n_carry};
    for (int k = 0; k < n_carry; k++)
        if (lg_type_count(&g->output.at[k].node->type[0]) % (size_t)c.rows)
            return 0;
    for (size_t k = 0; k < n; k++)
        if (!step_keeps(&c, &step[k], &kernel[k]))
            return 0;
    *unit = c.unit;
    return c.unit < c.rows ? c.rows : 0;
}
