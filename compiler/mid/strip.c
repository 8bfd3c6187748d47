/* strip.c: recognises softmax attention by its formula: exponentials of scaled, biased and masked
 * products, their sums over keys, and the products that probabilities and their gradients go into.
 * What is multiplied there is read as a polynomial in exponentials, their sums and the products of
 * dy and v, so the order in which a derivative was put together does not matter. Not for what is
 * made of it (attention.c). */
#include "compiler/mid/strip.h"
#include <math.h>
#include <string.h>

/* ---- values under the dims of the strip ---- */

static lg_seen look(lg_node *x, const lg_map *under) {
    lg_seen s = {.m = *under};
    s.x = lg_map_source(x, &s.m);
    return s;
}

static lg_seen input_of(const lg_seen *s, int k) {
    return look(s->x->in[k], &s->m);
}

static const lg_type *space(const lg_strip *s) {
    return &s->e->type[0];
}

static bool same_map(const lg_strip *s, const lg_map *a, const lg_map *b) {
    for (int d = 0; d < a->to; d++) {
        if (a->off[d] != b->off[d])
            return false;
        for (int o = 0; o < space(s)->rank; o++)
            if (space(s)->shape[o] != 1 && a->c[d][o] != b->c[d][o])
                return false;
    }
    return a->to == b->to;
}

static bool same(const lg_strip *s, const lg_seen *a, const lg_seen *b) {
    return a->x == b->x && same_map(s, &a->m, &b->m);
}

/* Is it the same for all keys? */
static bool is_row(const lg_strip *s, const lg_seen *v) {
    for (int d = 0; d < v->m.to; d++)
        if (v->m.c[d][s->j])
            return false;
    return true;
}

static bool constant(const lg_seen *v, double *c) {
    return lg_fill_value(v->x, c);
}

static bool is_constant(const lg_seen *v, double c) {
    double have;
    return constant(v, &have) && !(have < c) && !(have > c) && have == have;
}

/* ---- dims of products ---- */

/* The dims of the strip with steps from `unit` on that make up a dim of size n. Of the strip's dim
 * d, step[d] is the step; dims of size 1 do not count. */
static bool dims_of(const lg_strip *s, const int64_t *step, int64_t unit, int64_t n, lg_dims *out) {
    const lg_type *t = space(s);
    out->n = 0;
    while (n > 1) {
        int hit = -1;
        for (int d = 0; d < t->rank && hit < 0; d++)
            if (t->shape[d] != 1 && step[d] == unit)
                hit = d;
        if (hit < 0 || n % t->shape[hit])
            return false;
        memmove(out->dim + 1, out->dim, sizeof *out->dim * (size_t)out->n);
        out->dim[0] = hit;
        out->n++;
        unit *= t->shape[hit];
        n /= t->shape[hit];
    }
    return true;
}

/* The dims of array t, dense, in which dim d of the strip has step[d]. */
static bool sides_of(const lg_strip *s, const lg_type *t, const int64_t *step, lg_side *out) {
    int64_t unit = 1;
    out->rank = t->rank;
    out->feature = -1;
    for (int d = t->rank - 1; d >= 0; unit *= t->shape[d--])
        if (!dims_of(s, step, unit, t->shape[d], &out->at[d]))
            return false;
    return true;
}

/* The product that v is, seen under the strip: with what its dims are. */
static lg_node *product_of(const lg_strip *s, const lg_seen *v, lg_side *out) {
    lg_node *dot = lg_storage_of(v->x);
    int64_t off, step[2 * LG_MAX_RANK];
    if (dot->op->cls != LG_C_DOT)
        return NULL;
    lg_map_flat(&v->m, &v->x->type[0], &off, step);
    out->x = dot;
    return off == 0 && sides_of(s, &dot->type[0], step, out) ? dot : NULL;
}

static bool is_alone(const lg_dims *d, int j) {
    return d->n == 1 && d->dim[0] == j;
}

static bool has(const lg_dims *d, int j) {
    for (int k = 0; k < d->n; k++)
        if (d->dim[k] == j)
            return true;
    return false;
}

/* The two operands of a product that makes a value of the strip: that of the queries, that of the
 * keys. */
static bool operands(const lg_strip *s, lg_node *dot, const lg_side *y, lg_side *rows,
                     lg_side *keys) {
    int r = y->rank;
    bool cols = is_alone(&y->at[r - 1], s->j);
    if (!cols && !is_alone(&y->at[r - 2], s->j))
        return false;
    *rows = *keys = *y;
    lg_side *a = cols ? rows : keys, *b = cols ? keys : rows;
    a->x = dot->in[0];
    a->feature = r - 1;
    b->x = dot->in[1];
    b->feature = r - 2;
    return true;
}

/* Dims of leading axes in order. */
static void lead(const lg_side *a, lg_dims *out) {
    out->n = 0;
    for (int d = 0; d < a->rank - 2; d++)
        for (int k = 0; k < a->at[d].n; k++)
            out->dim[out->n++] = a->at[d].dim[k];
}

/* ---- scores ---- */

static bool is_mask_value(const lg_seen *v) {
    double c;
    return constant(v, &c) && c < 0 && isinf(c);
}

/* c, or what it denies; *denied then turns round. */
static lg_seen condition(const lg_strip *s, lg_seen c, bool *denied) {
    while (c.x->op == s->op->not_) {
        c = input_of(&c, 0);
        *denied = !*denied;
    }
    return c;
}

/* Constants that deny each other, element by element? */
static bool are_opposite(const lg_node *a, const lg_node *b) {
    if (a->op->cls != LG_C_CONST || b->op->cls != LG_C_CONST)
        return false;
    const lg_tensor *x = a->attr.tensor, *y = b->attr.tensor;
    if (x->dtype != LG_BOOL || !lg_type_equal(&a->type[0], &b->type[0]))
        return false;
    for (size_t i = 0; i < x->n; i++)
        if (lg_get_i64(LG_BOOL, x->data, i) == lg_get_i64(LG_BOOL, y->data, i))
            return false;
    return true;
}

/* Does c, denied or not, say what one of the masks says? */
static bool is_mask(const lg_strip *s, const lg_seen *c, bool denied) {
    for (int k = 0; k < s->n_mask; k++) {
        const lg_seen *m = &s->mask[k].at;
        if (same_map(s, &m->m, &c->m) &&
            (s->mask[k].denied == denied ? m->x == c->x : are_opposite(m->x, c->x)))
            return true;
    }
    return false;
}

static bool take_mask(lg_strip *s, lg_seen c, bool denied) {
    c = condition(s, c, &denied);
    if (is_mask(s, &c, denied))
        return true;
    if (s->n_mask == LG_STRIP_MASKS)
        return false;
    s->mask[s->n_mask++] = (lg_strip_mask){c, denied};
    return true;
}

/* A choice between *v and -inf, whichever comes first: takes its condition; *v is what is left. */
static bool masked(lg_strip *s, lg_seen *v) {
    for (int k = 1; k <= 2; k++) {
        lg_seen other = input_of(v, 3 - k);
        if (!is_mask_value(&other))
            continue;
        if (!take_mask(s, input_of(v, 0), k == 2))
            return false;
        *v = input_of(v, k);
        return true;
    }
    return false;
}

static bool scores(lg_strip *s, lg_seen v, double by, int depth);

/* One part of a sum is the products, the other a bias. */
static bool biased(lg_strip *s, const lg_seen *v, double by, int depth) {
    lg_strip was = *s;
    for (int k = 0; k < 2; k++) {
        double sign = k && v->x->op == s->op->sub ? -1 : 1;
        if (scores(s, input_of(v, k), by * sign, depth - 1) && s->n_bias < LG_STRIP_BIASES) {
            double other = !k && v->x->op == s->op->sub ? -1 : 1;
            s->bias_by[s->n_bias] = by * other;
            s->bias[s->n_bias++] = input_of(v, !k);
            return true;
        }
        *s = was;
    }
    return false;
}

static bool scores(lg_strip *s, lg_seen v, double by, int depth) {
    const lg_known *op = s->op;
    double c;
    lg_side y;
    if (depth == 0)
        return false;
    if (v.x->op == op->neg)
        return scores(s, input_of(&v, 0), -by, depth - 1);
    if (v.x->op == op->mul || v.x->op == op->div) {
        lg_seen f = input_of(&v, 1);
        return constant(&f, &c) &&
               scores(s, input_of(&v, 0), v.x->op == op->mul ? by * c : by / c, depth - 1);
    }
    if (v.x->op == op->add || v.x->op == op->sub)
        return biased(s, &v, by, depth);
    if (v.x->op == op->where)
        return by > 0 && masked(s, &v) && scores(s, v, by, depth - 1);
    s->dot = product_of(s, &v, &y);
    if (!s->dot || !operands(s, s->dot, &y, &s->q, &s->k))
        return false;
    lead(&y, &s->batch);
    s->rows = s->q.at[y.rank - (s->q.feature == y.rank - 1 ? 2 : 1)];
    s->scale = by;
    return true;
}

/* Is it a finite number even of a row without keys, all of whose scores are -inf? */
static bool is_finite(const lg_strip *s, const lg_seen *less) {
    if (less->x->op != s->op->where)
        return false;
    lg_seen c = input_of(less, 0), a = input_of(less, 1), b = input_of(less, 2), x;
    x = c.x->op == s->op->isfinite ? input_of(&c, 0) : c;
    return x.x != c.x && same(s, &x, &a) && is_constant(&b, 0);
}

/* What stands under the exponential: scores, less one value a row, masked before or after. */
static bool exponent(lg_strip *s) {
    lg_map m = lg_map_identity(space(s));
    lg_seen v = look(s->e->in[0], &m);
    if (v.x->op == s->op->where && !masked(s, &v))
        return false;
    int outer = s->n_mask;
    lg_seen less = v.x->op == s->op->sub ? input_of(&v, 1) : v;
    bool shifted = v.x->op == s->op->sub && is_row(s, &less);
    if (!scores(s, shifted ? input_of(&v, 0) : v, 1, 12))
        return false;
    s->bare = shifted && s->n_mask > outer && !is_finite(s, &less);
    return true;
}

/* ---- bounds ---- */

/* An integer as a sum of the strip's indices. */
typedef struct {
    int64_t c, of[LG_MAX_RANK];
} affine;

/* A few integers that step evenly along each dim. */
static bool even_steps(const lg_strip *s, const lg_seen *v, affine *a) {
    const lg_tensor *x = v->x->attr.tensor;
    int64_t step[LG_MAX_RANK], first = x->n ? lg_get_i64(x->dtype, x->data, 0) : 0, unit = 1;
    if (!x->n || x->n > LG_SMALL)
        return false;
    a->c = first;
    for (int d = x->rank - 1; d >= 0; unit *= x->shape[d--]) {
        step[d] = x->shape[d] > 1 ? lg_get_i64(x->dtype, x->data, (size_t)unit) - first : 0;
        a->c += step[d] * v->m.off[d];
        for (int o = 0; o < space(s)->rank; o++)
            a->of[o] += space(s)->shape[o] == 1 ? 0 : step[d] * v->m.c[d][o];
    }
    for (size_t i = 0; i < x->n; i++) {
        int64_t want = first;
        size_t rest = i;
        for (int d = x->rank - 1; d >= 0; rest /= (size_t)x->shape[d--])
            want += step[d] * (int64_t)(rest % (size_t)x->shape[d]);
        if (lg_get_i64(x->dtype, x->data, i) != want)
            return false;
    }
    return true;
}

static bool affine_of(const lg_strip *s, lg_seen v, affine *a, int depth) {
    const lg_known *op = s->op;
    int rank = space(s)->rank;
    double c;
    memset(a, 0, sizeof *a);
    if (depth == 0 || !lg_dtype_is_int(v.x->type[0].dtype))
        return false;
    if (constant(&v, &c)) {
        a->c = (int64_t)c;
        return fabs(c) < 1e12;
    }
    if (v.x->op->cls == LG_C_CONST)
        return even_steps(s, &v, a);
    if (v.x->op->cls == LG_C_IOTA) {
        a->c = v.m.off[v.x->attr.axis];
        for (int d = 0; d < rank; d++)
            a->of[d] = space(s)->shape[d] == 1 ? 0 : v.m.c[v.x->attr.axis][d];
        return true;
    }
    if (v.x->op->cls == LG_C_CAST)
        return affine_of(s, input_of(&v, 0), a, depth - 1);
    if (v.x->op != op->add && v.x->op != op->sub)
        return false;
    affine b;
    if (!affine_of(s, input_of(&v, 0), a, depth - 1) ||
        !affine_of(s, input_of(&v, 1), &b, depth - 1))
        return false;
    int64_t sign = v.x->op == op->add ? 1 : -1;
    a->c += sign * b.c;
    for (int d = 0; d < rank; d++)
        a->of[d] += sign * b.of[d];
    return true;
}

/* c + of <= 0 as a bound of keys by queries. */
static bool bound(lg_strip *s, const affine *a) {
    int row = -1;
    for (int d = 0; d < space(s)->rank; d++) {
        if (!a->of[d] || d == s->j)
            continue;
        if (row >= 0)
            return false;
        row = d;
    }
    if (row < 0 || !has(&s->rows, row) || (s->row >= 0 && s->row != row) ||
        a->of[s->j] != -a->of[row] || (a->of[row] != 1 && a->of[row] != -1))
        return false;
    s->row = row;
    if (a->of[s->j] == 1) {
        s->up = s->has_up && s->up < -a->c ? s->up : -a->c;
        s->has_up = true;
    } else {
        s->low = s->has_low && s->low > a->c ? s->low : a->c;
        s->has_low = true;
    }
    return true;
}

/* The comparison that holds where the one of whole numbers does not. */
static const lg_op *opposite(const lg_known *op, const lg_op *o) {
    return o == op->lt ? op->ge : o == op->le ? op->gt : o == op->gt ? op->le : op->lt;
}

/* Takes bounds from the condition, or from its denial; false when it says more than they do. */
static bool bounds(lg_strip *s, lg_seen c, bool denied, int depth) {
    const lg_known *op = s->op;
    c = condition(s, c, &denied);
    if (c.x->op == (denied ? op->or_ : op->and_) && depth > 0) {
        bool a = bounds(s, input_of(&c, 0), denied, depth - 1);
        return bounds(s, input_of(&c, 1), denied, depth - 1) && a;
    }
    const lg_op *o = c.x->op;
    if (o != op->lt && o != op->le && o != op->gt && o != op->ge)
        return false;
    o = denied ? opposite(op, o) : o;
    bool more = o == op->gt || o == op->ge;
    affine a, b;
    if (!affine_of(s, input_of(&c, more), &a, 8) || !affine_of(s, input_of(&c, !more), &b, 8))
        return false;
    a.c -= b.c;
    a.c += o == op->lt || o == op->gt;
    for (int d = 0; d < space(s)->rank; d++)
        a.of[d] -= b.of[d];
    return bound(s, &a);
}

/* Bounds from the masks; false where more than one says more than they do. */
static bool all_bounds(lg_strip *s) {
    for (int k = 0; k < s->n_mask; k++) {
        if (bounds(s, s->mask[k].at, s->mask[k].denied, 8))
            continue;
        if (s->whole)
            return false;
        s->whole = &s->mask[k];
    }
    return true;
}

/* Can the masks leave a query no key? */
static bool may_see_nothing(const lg_strip *s) {
    if (!s->n_mask || s->whole)
        return s->n_mask > 0;
    int64_t queries = space(s)->shape[s->row], keys = space(s)->shape[s->j];
    return (s->has_up && s->up < 0) || (s->has_low && queries - 1 + s->low > keys - 1) ||
           (s->has_up && s->has_low && s->low > s->up);
}

/* ---- polynomials ---- */

/* by * e^.. * sum^.. * products of dy and v^.. * (their mean over the probabilities)^.. */
typedef struct {
    double by;
    int e, sum, d, mean;
} term;
typedef struct {
    int n;
    term at[8];
} poly;

static bool push(poly *p, term t) {
    for (int k = 0; k < p->n; k++) {
        term *u = &p->at[k];
        if (u->e == t.e && u->sum == t.sum && u->d == t.d && u->mean == t.mean) {
            u->by += t.by;
            return true;
        }
    }
    if (p->n == (int)LG_COUNT(p->at))
        return false;
    p->at[p->n++] = t;
    return true;
}

static bool times(const poly *a, const poly *b, int sign, poly *out) {
    out->n = 0;
    if (sign < 0 && (b->n != 1 || b->at[0].e || b->at[0].d || b->at[0].mean))
        return false;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < b->n; k++) {
            term t = a->at[i], u = b->at[k];
            t.by = sign > 0 ? t.by * u.by : t.by / u.by;
            t.sum += sign * u.sum;
            t.e += u.e;
            t.d += u.d;
            t.mean += u.mean;
            if (!push(out, t))
                return false;
        }
    return true;
}

static bool plus(const poly *a, const poly *b, double sign, poly *out) {
    *out = *a;
    for (int k = 0; k < b->n; k++) {
        term t = b->at[k];
        t.by *= sign;
        if (!push(out, t))
            return false;
    }
    return true;
}

/* The one axis, of those above size 1, that is reduced; -1: none or several. */
static int summed_axis(const lg_node *x) {
    int hit = -1, hits = 0;
    for (int d = 0; x->op->cls == LG_C_REDUCE && d < x->in[0]->type[0].rank; d++)
        if (x->attr.axes_mask >> d & 1 && x->in[0]->type[0].shape[d] != 1) {
            hit = d;
            hits++;
        }
    return hits == 1 ? hit : -1;
}

static bool is_sum_itself(const lg_strip *s, const lg_seen *v) {
    if (v->x != s->sum)
        return false;
    for (int d = 0, k = 0; d < space(s)->rank; d++) { /* dim k of the sums is dim d of the strip */
        if (s->sum->attr.axes_mask >> d & 1)
            continue;
        for (int o = 0; o < space(s)->rank; o++)
            if (space(s)->shape[o] != 1 && space(s)->shape[d] != 1 && v->m.c[k][o] != (o == d))
                return false;
        if (v->m.off[k++])
            return false;
    }
    return true;
}

/* Does the condition (or its denial) leave every query the keys that it has by its bounds? */
static bool is_wider(const lg_strip *s, const lg_seen *c, bool denied) {
    lg_strip *by = lg_alloc(sizeof *by);
    *by = *s;
    by->has_up = by->has_low = false;
    bool wider = bounds(by, *c, denied, 8) && (!by->has_up || (s->has_up && by->up >= s->up)) &&
                 (!by->has_low || (s->has_low && by->low <= s->low));
    lg_free(by);
    return wider;
}

/* Does the condition hold wherever there is a probability? */
static bool holds(const lg_strip *s, lg_seen c, bool denied, int depth) {
    c = condition(s, c, &denied);
    if (is_mask(s, &c, denied) || (s->n_mask && is_wider(s, &c, denied)))
        return true;
    return depth > 0 && c.x->op == (denied ? s->op->or_ : s->op->and_) &&
           holds(s, input_of(&c, 0), denied, depth - 1) &&
           holds(s, input_of(&c, 1), denied, depth - 1);
}

/* Is it that the sum is not 0 (`denied`: that it is)? */
static bool is_sum_there(const lg_strip *s, const lg_seen *c, bool denied) {
    if (c->x->op != (denied ? s->op->eq : s->op->ne))
        return false;
    lg_seen a = input_of(c, 0), b = input_of(c, 1);
    return is_sum_itself(s, &a) && is_constant(&b, 0);
}

static bool read(lg_strip *s, lg_seen v, poly *out, int depth);

/* A sum over keys of what has one exponential and one product of dy and v: the mean of those. */
static bool read_mean(lg_strip *s, const lg_seen *v, poly *out, int depth) {
    lg_node *x = v->x;
    const lg_type *t = &x->in[0]->type[0];
    int axis = summed_axis(x);
    if (x->op != s->op->sum || axis < 0 || t->shape[axis] != space(s)->shape[s->j])
        return false;
    lg_map under = {.from = v->m.from, .to = t->rank};
    for (int d = 0, k = 0; d < t->rank; d++) {
        if (x->attr.axes_mask >> d & 1) {
            under.c[d][s->j] = d == axis;
            continue;
        }
        under.off[d] = v->m.off[k];
        memcpy(under.c[d], v->m.c[k++], sizeof under.c[d]);
    }
    poly p;
    if (!read(s, look(x->in[0], &under), &p, depth - 1))
        return false;
    out->n = 0;
    for (int k = 0; k < p.n; k++) {
        term u = p.at[k];
        if (u.e != 1 || u.d != 1 || u.mean)
            return false;
        if (!push(out, (term){.by = u.by, .sum = u.sum + 1, .mean = 1}))
            return false;
    }
    return true;
}

/* The products of dy and v. */
static bool read_grad(lg_strip *s, const lg_seen *v, poly *out) {
    lg_side y, dy, val;
    lg_node *dot = product_of(s, v, &y);
    if (!dot || dot == s->dot || (s->grad_dot && s->grad_dot != dot) ||
        !operands(s, dot, &y, &dy, &val))
        return false;
    s->grad_dot = dot;
    s->dy = dy;
    s->v = val;
    *out = (poly){1, {{.by = 1, .d = 1}}};
    return true;
}

static bool read_two(lg_strip *s, const lg_seen *v, poly *out, int depth) {
    const lg_op *op = v->x->op;
    poly a, b;
    if (!read(s, input_of(v, 0), &a, depth - 1) || !read(s, input_of(v, 1), &b, depth - 1))
        return false;
    if (op == s->op->mul || op == s->op->div)
        return times(&a, &b, op == s->op->mul ? 1 : -1, out);
    return plus(&a, &b, op == s->op->add ? 1 : -1, out);
}

/* A choice whose condition holds wherever there is a probability. */
static bool read_where(lg_strip *s, const lg_seen *v, poly *out, int depth) {
    for (int k = 1; k <= 2; k++) {
        bool denied = k == 2, bare = s->bare;
        lg_seen c = condition(s, input_of(v, 0), &denied), a = input_of(v, k);
        lg_seen b = input_of(v, 3 - k);
        bool there = is_sum_there(s, &c, denied);
        if (!is_constant(&b, 0) && !(there && is_sum_itself(s, &a) && is_constant(&b, 1)))
            continue;
        if (!there && !holds(s, c, denied, 4))
            continue;
        bool done = read(s, a, out, depth - 1);
        s->bare = there ? bare : s->bare;
        return done;
    }
    return false;
}

static bool is_itself(const lg_strip *s, const lg_seen *v) {
    lg_map id = lg_map_identity(space(s));
    return v->x == s->e && same_map(s, &v->m, &id);
}

/* v as a polynomial, right wherever it is multiplied by an exponential. */
static bool read(lg_strip *s, lg_seen v, poly *out, int depth) {
    const lg_known *op = s->op;
    double c;
    if (depth == 0)
        return false;
    *out = (poly){1, {{.by = 1}}};
    if (is_itself(s, &v)) {
        out->at[0].e = 1;
        return true;
    }
    if (is_sum_itself(s, &v)) {
        s->bare = true;
        out->at[0].sum = 1;
        return true;
    }
    if (constant(&v, &c)) {
        out->at[0].by = c;
        return isfinite(c);
    }
    if (v.x->op == op->neg) {
        poly p;
        const poly minus = {1, {{.by = -1}}};
        return read(s, input_of(&v, 0), &p, depth - 1) && times(&p, &minus, 1, out);
    }
    if (v.x->op == op->mul || v.x->op == op->div || v.x->op == op->add || v.x->op == op->sub)
        return read_two(s, &v, out, depth);
    if (v.x->op == op->where)
        return read_where(s, &v, out, depth);
    if (v.x->op->cls == LG_C_REDUCE)
        return read_mean(s, &v, out, depth);
    return read_grad(s, &v, out);
}

/* ---- products that a kernel computes ---- */

static bool find_e(const lg_strip *s, lg_seen v, lg_map *m, int depth) {
    if (v.x == s->e) {
        *m = v.m;
        return true;
    }
    if (depth == 0 || v.x->op->cls != LG_C_ELEM)
        return false;
    for (int k = 0; k < v.x->n_in; k++)
        if (find_e(s, input_of(&v, k), m, depth - 1))
            return true;
    return false;
}

/* The dims of x under those of the strip, where m is the other way round. */
static bool inverted(const lg_map *m, const lg_type *x, const lg_type *strip, lg_map *out) {
    *out = (lg_map){.from = strip->rank, .to = x->rank};
    for (int e = 0; e < strip->rank; e++) {
        int hits = 0;
        if (strip->shape[e] == 1)
            continue;
        for (int d = 0; d < x->rank; d++) {
            if (x->shape[d] == 1 || !m->c[e][d])
                continue;
            if (m->c[e][d] != 1 || x->shape[d] != strip->shape[e])
                return false;
            out->c[d][e] = 1;
            hits++;
        }
        if (hits != 1 || m->off[e])
            return false;
    }
    return true;
}

/* Operand x of a product as a value made from exponentials of the strip, and its dims. */
static bool value_of(const lg_strip *s, lg_node *x, lg_seen *v, lg_side *side) {
    lg_map own = lg_map_identity(&x->type[0]), to_e, under;
    lg_node *u = lg_map_source(x, &own), *val = lg_storage_of(u);
    const lg_type *t = &val->type[0];
    if (val->op->cls != LG_C_ELEM || lg_type_count(t) != lg_type_count(space(s)) ||
        lg_type_count(&x->type[0]) != lg_type_count(t))
        return false;
    lg_map m = lg_map_identity(t);
    if (!find_e(s, (lg_seen){val, m}, &to_e, 10) || !inverted(&to_e, t, space(s), &under))
        return false;
    int64_t off, step[2 * LG_MAX_RANK], place[2 * LG_MAX_RANK];
    lg_map_flat(&under, t, &off, place); /* of the strip's dims, in the value */
    lg_map_flat(&own, &u->type[0], &off, step);
    side->x = x;
    side->rank = x->type[0].rank;
    side->feature = -1;
    for (int d = 0; d < side->rank; d++)
        if (!dims_of(s, place, step[d], x->type[0].shape[d], &side->at[d]))
            return false;
    *v = (lg_seen){val, under};
    return off == 0;
}

static bool same_dims(const lg_dims *a, const lg_dims *b) {
    return a->n == b->n && !memcmp(a->dim, b->dim, sizeof *a->dim * (size_t)a->n);
}

/* All dims of queries, in any order. */
static bool is_rows(const lg_strip *s, const lg_dims *d) {
    for (int k = 0; k < d->n; k++)
        if (!has(&s->rows, d->dim[k]))
            return false;
    return d->n == s->rows.n;
}

/* by * probabilities? */
static bool is_probability(const poly *p, double *by) {
    *by = p->at[0].by;
    return p->n == 1 && p->at[0].e == 1 && p->at[0].sum == -1 && !p->at[0].d && !p->at[0].mean;
}

/* by * probabilities * (products of dy and v, less their mean)? */
static bool is_gradient(const poly *p, double *by) {
    if (p->n != 2)
        return false;
    const term *a = &p->at[0], *b = &p->at[1];
    if (!a->d) {
        a = &p->at[1];
        b = &p->at[0];
    }
    *by = a->by;
    return a->e == 1 && a->sum == -1 && a->d == 1 && !a->mean && b->e == 1 && b->sum == -1 &&
           !b->d && b->mean == 1 && fabs(a->by + b->by) <= 1e-6 * fabs(a->by);
}

/* The result and the other operand of product `dot`, whose operand number `mine` is `side`. */
static void around(lg_strip_dot *d, lg_node *dot, int mine, const lg_side *side) {
    int r = side->rank, inner = mine ? r - 2 : r - 1, outer = mine ? r - 1 : r - 2;
    d->dot = dot;
    d->out = d->other = *side;
    d->other.x = dot->in[!mine];
    d->other.feature = mine ? r - 2 : r - 1;
    d->other.at[mine ? r - 1 : r - 2] = side->at[inner];
    d->out.x = dot;
    d->out.feature = mine ? r - 2 : r - 1;
    d->out.at[outer] = side->at[outer];
}

/* What the product of a value p of the strip is, by the dims of that operand; NULL: nothing. */
static lg_strip_dot *kind_of(lg_strip *s, const poly *p, int mine, const lg_side *side,
                             double *by) {
    const lg_dims *inner = &side->at[mine ? side->rank - 2 : side->rank - 1];
    const lg_dims *outer = &side->at[mine ? side->rank - 1 : side->rank - 2];
    lg_dims batch;
    lead(side, &batch);
    bool keys = is_alone(inner, s->j) && is_rows(s, outer);
    bool rows = is_rows(s, inner) && is_alone(outer, s->j);
    if (!same_dims(&batch, &s->batch) || (!keys && !rows))
        return NULL;
    if (is_probability(p, by))
        return keys ? &s->y : &s->dv;
    if (!is_gradient(p, by))
        return NULL;
    *by /= s->scale;
    return keys ? &s->dq : &s->dk;
}

/* Notes what `dot` is, when an operand of it is a value of the strip. */
static void note(lg_strip *s, lg_node *dot) {
    for (int mine = 0; mine < 2; mine++) {
        lg_seen v;
        lg_side side, dy = s->dy, val = s->v;
        lg_node *grad_dot = s->grad_dot;
        bool bare = s->bare;
        poly p;
        double by;
        if (!value_of(s, dot->in[mine], &v, &side))
            continue;
        lg_strip_dot *to = read(s, v, &p, 24) ? kind_of(s, &p, mine, &side, &by) : NULL;
        if (to && !to->dot) {
            around(to, dot, mine, &side);
            to->by = by;
            return;
        }
        s->grad_dot = grad_dot;
        s->bare = bare;
        s->dy = dy;
        s->v = val;
    }
}

/* ---- where operands stand ---- */

bool lg_side_same(const lg_strip *s, const lg_side *a, const lg_side *b) {
    const lg_side *of[2] = {a, b};
    const lg_node *from[2];
    int64_t off[2], step[2][LG_MAX_RANK + 1] = {{0}}, features[2] = {1, 1};
    for (int k = 0; k < 2; k++) {
        lg_map m = lg_map_identity(&of[k]->x->type[0]);
        lg_node *u = lg_map_source(of[k]->x, &m);
        int64_t each[2 * LG_MAX_RANK];
        lg_map_flat(&m, &u->type[0], &off[k], each);
        from[k] = lg_storage_of(u);
        for (int d = 0; d < of[k]->rank; d++) {
            int64_t unit = each[d];
            if (d == of[k]->feature) {
                features[k] = of[k]->x->type[0].shape[d];
                step[k][LG_MAX_RANK] = features[k] == 1 ? 0 : unit;
                continue;
            }
            for (int i = of[k]->at[d].n - 1; i >= 0; i--) {
                step[k][of[k]->at[d].dim[i]] = unit;
                unit *= space(s)->shape[of[k]->at[d].dim[i]];
            }
        }
    }
    return from[0] == from[1] && off[0] == off[1] && features[0] == features[1] &&
           !memcmp(step[0], step[1], sizeof step[0]);
}

static lg_node *exp_under(lg_node *x, int depth) {
    while (x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE || x->op->cls == LG_C_MARK)
        x = x->in[0];
    if (x->op == lg_known_ops()->exp)
        return x;
    lg_node *e = NULL;
    for (int k = 0; k < x->n_in && !e && depth && x->op->cls == LG_C_ELEM; k++)
        e = exp_under(x->in[k], depth - 1);
    return e;
}

lg_node *lg_strip_exp(const lg_node *dot) {
    enum { DEPTH = 8 };
    lg_node *e = exp_under(dot->in[0], DEPTH);
    return e ? e : exp_under(dot->in[1], DEPTH);
}

bool lg_strip_find(lg_strip *s, lg_node *sum, size_t n, lg_node *const *dot) {
    const lg_type *t = sum->n_in ? &sum->in[0]->type[0] : NULL;
    *s = (lg_strip){.op = lg_known_ops(), .sum = sum, .row = -1};
    if (sum->op != s->op->sum || sum->in[0]->op != s->op->exp || summed_axis(sum) < 0 ||
        (t->dtype != LG_F32 && t->dtype != LG_F64) || !lg_type_count(t))
        return false;
    s->e = sum->in[0];
    s->j = summed_axis(sum);
    if (!exponent(s) || !(s->scale > 0 || s->scale < 0) || !isfinite(s->scale))
        return false;
    if (!all_bounds(s))
        return false;
    for (size_t i = 0; i < n; i++)
        note(s, dot[i]);
    return !s->bare || !may_see_nothing(s);
}
