/* contract.c: sums of products become matrix products. A factor counts for the axes along which it
 * differs: axes of both sides are a batch, of one side rows or columns, and summed ones the inner
 * dim. What does not depend on the summed axes stands outside. Squared differences stay fused
 * reductions: expanding them would cancel. Not for other algebra (simplify.c). */
#include "compiler/mid/fuse.h"
#include "compiler/mid/rewrite.h"
#include <string.h>

enum { FACTORS = 16, AXES = LG_MAX_RANK + 1 };

/* `node` has the axes of the set, in order. */
typedef struct {
    lg_node *node;
    uint32_t axes;
} factor;

typedef struct {
    lg_rewrite *R;
    lg_span at;
    lg_dtype dtype;
    int rank;
    int64_t size[AXES];
    uint32_t sum; /* axes that are summed over */
    factor f[FACTORS], mask[FACTORS];
    int n, n_mask;
    bool minus;
    lg_node *prefix; /* number of terms of the sum, known to the run; NULL: all of them */
} product;

static int bits(uint32_t s) {
    return __builtin_popcount(s);
}

static uint32_t all_axes(const product *p) {
    return (1u << p->rank) - 1;
}

/* ---- taking a product apart ---- */

static bool push(factor *list, int *n, lg_node *x, uint32_t axes) {
    if (*n == FACTORS)
        return false;
    list[(*n)++] = (factor){x, axes};
    return true;
}

static bool leaf(product *p, lg_node *x) {
    uint32_t used = lg_axes_used(x);
    return push(p->f, &p->n, lg_s_narrow(p->R, x, used, p->at), used);
}

/* A matrix product with an inner dim of 1 is a column times a row. */
static bool is_outer(const lg_node *x) {
    return x->op->cls == LG_C_DOT && x->in[0]->type[0].shape[x->type[0].rank - 1] == 1;
}

static bool take_outer(product *p, lg_node *x) {
    const lg_type *t = &x->type[0];
    for (int i = 0; i < 2; i++) {
        int from[LG_MAX_RANK];
        for (int d = 0; d < t->rank; d++)
            from[d] = d == t->rank - 1 - i ? -1 : d;
        if (!leaf(p, lg_s_broadcast(p->R, x->in[i], t->rank, t->shape, from, p->at)))
            return false;
    }
    return true;
}

static bool take(product *p, lg_node *x) {
    const lg_known *k = p->R->op;
    if (is_outer(x))
        return take_outer(p, x);
    if (x->op == k->square && (x->in[0]->op == k->mul || is_outer(x->in[0])))
        return take(p, x->in[0]) && take(p, x->in[0]);
    if (x->op == k->neg) {
        p->minus = !p->minus;
        return take(p, x->in[0]);
    }
    if (x->op == k->mul)
        return take(p, x->in[0]) && take(p, x->in[1]);
    if (x->op == k->div) {
        uint32_t used = lg_axes_used(x->in[1]);
        lg_node *d = lg_s_narrow(p->R, x->in[1], used, p->at);
        d = lg_s_elem2(p->R, k->div, lg_s_number(p->R, &d->type[0], 1, p->at), d, p->at);
        return take(p, x->in[0]) && push(p->f, &p->n, d, used);
    }
    if (x->op == k->where && (lg_is_fill(x->in[2], 0) || lg_is_fill(x->in[1], 0))) {
        bool flip = lg_is_fill(x->in[1], 0);
        lg_node *c = flip ? lg_s_elem(p->R, k->not_, 1, &x->in[0], p->at) : x->in[0];
        uint32_t used = lg_axes_used(c);
        return push(p->mask, &p->n_mask, lg_s_narrow(p->R, c, used, p->at), used) &&
               take(p, x->in[flip ? 2 : 1]);
    }
    return leaf(p, x);
}

/* ---- nodes over sets of axes ---- */

static lg_type type_over(const product *p, lg_dtype t, uint32_t axes) {
    lg_type r = {.dtype = t};
    for (int o = 0; o < p->rank; o++)
        if (axes >> o & 1)
            r.shape[r.rank++] = p->size[o];
    return r;
}

/* x as a view over more axes. */
static lg_node *over(const product *p, factor f, uint32_t axes) {
    lg_type t = type_over(p, f.node->type[0].dtype, axes);
    uint32_t local = 0;
    for (int o = 0, k = 0; o < p->rank; o++)
        if (axes >> o & 1)
            local |= (f.axes >> o & 1) << k++;
    return lg_s_widen(p->R, f.node, local, &t, p->at);
}

static factor times(const product *p, factor a, factor b) {
    uint32_t axes = a.axes | b.axes;
    if (!a.node)
        return b;
    return (factor){lg_s_elem2(p->R, p->R->op->mul, over(p, a, axes), over(p, b, axes), p->at),
                    axes};
}

static factor masked(const product *p, factor x, factor mask) {
    uint32_t axes = x.axes | mask.axes;
    lg_type t = type_over(p, x.node->type[0].dtype, axes);
    lg_node *in[] = {over(p, mask, axes), over(p, x, axes), lg_s_number(p->R, &t, 0, p->at)};
    return (factor){lg_s_elem(p->R, p->R->op->where, 3, in, p->at), axes};
}

static factor summed(const product *p, factor x, uint32_t axes) {
    uint32_t mask = 0;
    for (int o = 0, k = 0; o < p->rank; o++)
        if (x.axes >> o & 1)
            mask |= (axes >> o & 1) << k++;
    if (!mask)
        return x;
    return (factor){lg_s_reduce(p->R, p->R->op->sum, x.node, mask, p->at), x.axes & ~axes};
}

/* Which part of a matrix an axis belongs to: its place in the batch, or rows, or columns. */
static int part_of(int o, uint32_t batch, uint32_t rows, uint32_t cols) {
    if (rows >> o & 1)
        return LG_MAX_RANK;
    return cols >> o & 1 ? LG_MAX_RANK + 1 : bits(batch & ((1u << o) - 1));
}

/* Axes of x that go together and stand together become one axis, before any change of order: that
 * costs nothing. False when some that go together stand apart. */
static bool gathered(const product *p, const factor *x, uint32_t batch, uint32_t rows,
                     uint32_t cols, lg_type *t, int *part) {
    uint32_t met = 0;
    *t = (lg_type){.dtype = x->node->type[0].dtype};
    for (int o = 0, last = -1; o < p->rank; o++) {
        if (!(x->axes >> o & 1))
            continue;
        int g = part_of(o, batch, rows, cols);
        if (g == last && g >= LG_MAX_RANK) {
            t->shape[t->rank - 1] *= p->size[o];
            continue;
        }
        if (met >> g & 1)
            return false;
        met |= 1u << g;
        part[t->rank] = last = g;
        t->shape[t->rank++] = p->size[o];
    }
    return true;
}

/* x as [batch.., rows, cols], the axes of rows joined to one, and those of cols. */
static lg_node *matrix(const product *p, factor x, uint32_t batch, uint32_t rows, uint32_t cols) {
    int part[AXES], perm[AXES], n = 0;
    lg_type t, goal = {.dtype = x.node->type[0].dtype};
    int64_t joined[2] = {1, 1};
    for (int o = 0; o < p->rank; o++)
        if (batch >> o & 1)
            goal.shape[goal.rank++] = p->size[o];
        else if ((rows | cols) >> o & 1)
            joined[cols >> o & 1] *= p->size[o];
    goal.shape[goal.rank++] = joined[0];
    goal.shape[goal.rank++] = joined[1];
    lg_node *y = NULL;
    if (gathered(p, &x, batch, rows, cols, &t, part)) {
        y = lg_s_reshape(p->R, x.node, t.rank, t.shape, p->at);
        for (int g = 0; g < LG_MAX_RANK + 2; g++)
            for (int d = 0; d < t.rank; d++)
                if (part[d] == g)
                    perm[n++] = d;
        y = lg_s_permute(p->R, y, perm, p->at);
        y = lg_s_reshape(p->R, y, goal.rank, goal.shape, p->at);
        if (x.node->op->cls != LG_C_VIEW || y->op->cls == LG_C_VIEW)
            return y;
    }
    n = 0; /* in the other order the steps of a view may fit together */
    const uint32_t group[] = {batch, rows, cols};
    for (int g = 0; g < 3; g++)
        for (int o = 0, k = 0; o < p->rank; o++) {
            if (group[g] >> o & 1)
                perm[n++] = k;
            k += (int)(x.axes >> o & 1);
        }
    y = lg_s_permute(p->R, x.node, perm, p->at);
    return lg_s_reshape(p->R, y, goal.rank, goal.shape, p->at);
}

/* A product [batch.., rows, cols] as a factor with its axes in order again. */
static factor unmatrix(const product *p, lg_node *y, uint32_t batch, uint32_t rows, uint32_t cols) {
    uint32_t axes = batch | rows | cols;
    const uint32_t group[] = {batch, rows, cols};
    int perm[AXES], n = 0, place[AXES], k = 0;
    lg_type t = {.dtype = p->dtype};
    for (int o = 0; o < p->rank; o++)
        place[o] = axes >> o & 1 ? k++ : -1;
    for (int g = 0; g < 3; g++)
        for (int o = 0; o < p->rank; o++)
            if (group[g] >> o & 1) {
                perm[place[o]] = n++;
                t.shape[t.rank++] = p->size[o];
            }
    y = lg_s_reshape(p->R, y, t.rank, t.shape, p->at);
    return (factor){lg_s_permute(p->R, y, perm, p->at), axes};
}

/* ---- two sides ---- */

/* Does x come from indices and constants alone? */
static bool is_fixed(const lg_node *x, int depth) {
    switch (x->op->cls) {
    case LG_C_IOTA:
    case LG_C_CONST:
        return true;
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_VIEW:
    case LG_C_RESHAPE:
        for (int i = 0; i < x->n_in; i++)
            if (depth == 0 || !is_fixed(x->in[i], depth - 1))
                return false;
        return true;
    default:
        return false;
    }
}

typedef struct {
    factor a, b, outer;
} sides;

/* The two factors that the sides grow from: the largest, and the one that adds most to it. */
static bool seeds(const product *p, int *first, int *second) {
    *first = *second = -1;
    for (int i = 0; i < p->n; i++)
        if (p->f[i].axes & p->sum && (*first < 0 || bits(p->f[i].axes) > bits(p->f[*first].axes)))
            *first = i;
    if (*first < 0)
        return false;
    uint32_t have = p->f[*first].axes;
    for (int i = 0; i < p->n; i++)
        if (p->f[i].axes & p->sum && p->f[i].axes & ~have &&
            (*second < 0 || bits(p->f[i].axes & ~have) > bits(p->f[*second].axes & ~have)))
            *second = i;
    for (int i = 0; i < p->n && *second < 0; i++) /* a vector, to a matrix of codes */
        if (i != *first && p->f[i].axes & p->sum)
            *second = i;
    return *second >= 0;
}

/* The side that a factor or mask with those axes joins: where it fits, else where it adds less. */
static factor *side_for(sides *s, uint32_t axes) {
    int a = bits(axes & ~s->a.axes), b = bits(axes & ~s->b.axes);
    if (a == b)
        return bits(s->a.axes) <= bits(s->b.axes) ? &s->a : &s->b;
    return a < b ? &s->a : &s->b;
}

static bool divide(const product *p, sides *s) {
    int first, second;
    if (!seeds(p, &first, &second))
        return false;
    s->a = p->f[first];
    s->b = p->f[second];
    s->outer = (factor){NULL, 0};
    for (int i = 0; i < p->n; i++) {
        if (i == first || i == second)
            continue;
        factor *to = p->f[i].axes & p->sum ? side_for(s, p->f[i].axes) : &s->outer;
        *to = times(p, *to, p->f[i]);
    }
    return true;
}

/* Masks go to the sides they fit. One that fits both goes to both, so that what it leaves out
 * never meets a product, even if it is infinite. One that fits a single side is moved there only
 * when it is a fixed pattern of indices (a triangle): that asks for finite values on the other
 * side, where a pattern leaves every row to some column; a mask made of data may exist just
 * because values are not finite where it is false, and then the reduction stays as it is. */
static bool place_masks(const product *p, sides *s) {
    for (int i = 0; i < p->n_mask; i++) {
        factor m = p->mask[i];
        if (!(m.axes & p->sum))
            continue; /* stands outside: see finish */
        bool a = !(m.axes & ~s->a.axes), b = !(m.axes & ~s->b.axes);
        if (!a && !b)
            return false;
        if (a != b && !is_fixed(m.node, 16))
            return false;
        if (a)
            s->a = masked(p, s->a, m);
        if (b)
            s->b = masked(p, s->b, m);
    }
    return true;
}

/* The array that x is a view of. */
static lg_node *viewed(lg_node *x) {
    lg_map m = lg_map_identity(&x->type[0]);
    return lg_storage_of(lg_map_source(x, &m));
}

/* Are both sides cast from bytes? Their product is exact; sums of other integers stay loops. */
static bool of_bytes(const sides *s) {
    lg_coded c;
    return lg_bytes_of(viewed(s->a.node), &c) && lg_bytes_of(viewed(s->b.node), &c);
}

/* Is x read by elementwise ops beyond the one product? Then a loop reads it for both. */
static bool is_read_along(const lg_rewrite *R, const lg_node *x) {
    uint32_t n = 0;
    for (size_t i = 0; i < R->n_old && n < 2; i++) {
        const lg_node *y = R->g->node.at[i];
        for (int k = 0; y->op->cls == LG_C_ELEM && k < y->n_in; k++)
            n += y->in[k] == x ? R->uses[i] : 0;
    }
    return n >= 2;
}

/* Does a matrix gain from being one side of a product although the other is a vector? One of small
 * floats, bytes or codes does: it is read as it stands, and summed in f32 or exactly; so does one
 * of an array that is held in memory and too large for caches. */
static bool gains(const product *p, factor x) {
    enum { LEAST = 4096, FAR = 1 << 18 };
    lg_decoded d;
    size_t n = lg_type_count(&x.node->type[0]);
    lg_node *from = viewed(x.node);
    if (p->dtype == LG_BF16 || p->dtype == LG_F16 || p->dtype == LG_I32)
        return n >= LEAST;
    if (from->op->cls == LG_C_INPUT || from->op->cls == LG_C_CONST)
        return n >= LEAST && lg_type_count(&from->type[0]) >= FAR && !is_read_along(p->R, from);
    return lg_decoded_of(from, &d);
}

/* Rows and columns of two or more each, or the reduction is as good by itself. */
static bool is_matrix_product(const product *p, const sides *s) {
    bool rows = s->a.axes & ~s->b.axes & ~p->sum, cols = s->b.axes & ~s->a.axes & ~p->sum;
    if (!(s->a.axes & s->b.axes & p->sum) || (p->dtype == LG_I32 && !of_bytes(s)))
        return false;
    return (rows && cols) || (rows && gains(p, s->a)) || (cols && gains(p, s->b));
}

/* A mask that leaves the first terms of the sum ends it, where that saves enough. */
static void end_sum(product *p, const sides *s) {
    enum { LEAST = 4096 };
    size_t a = lg_type_count(&s->a.node->type[0]), b = lg_type_count(&s->b.node->type[0]);
    bool beside = (s->a.axes ^ s->b.axes) & ~p->sum;
    if (bits(p->sum) != 1 || !(s->a.axes & s->b.axes & p->sum) || !beside ||
        (p->dtype != LG_F32 && p->dtype != LG_F64) || (a < b ? b : a) < LEAST)
        return;
    for (int i = 0; i < p->n_mask && !p->prefix; i++) {
        p->prefix = p->mask[i].axes == p->sum ? lg_prefix_of(p->R, p->mask[i].node, p->at) : NULL;
        if (p->prefix)
            p->mask[i] = p->mask[--p->n_mask];
    }
}

static lg_node *finish(const product *p, factor y, factor outer) {
    lg_rewrite *R = p->R;
    uint32_t left = all_axes(p) & ~p->sum;
    if (outer.node)
        y = times(p, y, outer);
    for (int i = 0; i < p->n_mask; i++)
        if (!(p->mask[i].axes & p->sum))
            y = masked(p, y, p->mask[i]);
    lg_node *x = over(p, y, left);
    return p->minus ? lg_s_elem(R, R->op->neg, 1, &x, p->at) : x;
}

static lg_node *multiply(const product *p, sides s) {
    uint32_t unseen = p->sum & ~s.a.axes & ~s.b.axes;
    uint32_t only_a = s.a.axes & ~s.b.axes & ~p->sum, only_b = s.b.axes & ~s.a.axes & ~p->sum;
    bool ordered = bits(only_a) != bits(only_b) || (only_a & -only_a) < (only_b & -only_b);
    if (bits(only_a) < bits(only_b) || !ordered) {
        factor t =
            s.a; /* the side of more axes (items, positions) gives the rows, else the first */
        s.a = s.b;
        s.b = t;
    }
    s.a = summed(p, s.a, p->sum & ~s.b.axes);
    s.b = summed(p, s.b, p->sum & ~s.a.axes);
    uint32_t inner = s.a.axes & s.b.axes & p->sum, batch = s.a.axes & s.b.axes & ~p->sum;
    uint32_t rows = s.a.axes & ~s.b.axes, cols = s.b.axes & ~s.a.axes;
    lg_node *a = matrix(p, s.a, batch, rows, inner), *b = matrix(p, s.b, batch, inner, cols);
    lg_node *dot =
        p->prefix ? lg_prefix_dot(p->R, a, b, p->prefix, p->at) : lg_s_dot(p->R, a, b, p->at);
    factor y = unmatrix(p, dot, batch, rows, cols);
    double n = 1;
    for (int o = 0; o < p->rank; o++)
        n *= unseen >> o & 1 ? (double)p->size[o] : 1;
    if (n > 1) {
        factor scale = {lg_s_number(p->R, &(lg_type){.dtype = p->dtype}, n, p->at), 0};
        y = times(p, y, scale);
    }
    return finish(p, y, s.outer);
}

/* ---- one reduction ---- */

static bool begin(product *p, lg_rewrite *R, const lg_node *x, uint32_t sum, lg_span at) {
    const lg_type *t = &x->type[0];
    *p = (product){.R = R, .at = at, .dtype = t->dtype, .rank = t->rank, .sum = sum};
    for (int o = 0; o < t->rank; o++)
        p->size[o] = t->shape[o];
    return (lg_dtype_is_float(t->dtype) || t->dtype == LG_I32) && lg_type_count(t) > 0;
}

/* A single factor times what does not depend on the sum: only that one is reduced. */
static lg_node *pull_out(const product *p) {
    int inner = -1;
    factor outer = {NULL, 0};
    for (int i = 0; i < p->n; i++) {
        bool in = p->f[i].axes & p->sum;
        if (in && inner >= 0)
            return NULL;
        if (in)
            inner = i;
        else
            outer = times(p, outer, p->f[i]);
    }
    for (int i = 0; i < p->n_mask; i++)
        if (p->mask[i].axes & p->sum)
            return NULL;
    if (inner < 0 || (!outer.node && !p->n_mask) || p->sum & ~p->f[inner].axes)
        return NULL;
    return finish(p, summed(p, p->f[inner], p->sum), outer);
}

/* Axes that only one side has are summed there first, so that the loop is over what both have. */
static lg_node *separate(const product *p, sides s) {
    uint32_t own_a = p->sum & s.a.axes & ~s.b.axes, own_b = p->sum & s.b.axes & ~s.a.axes;
    if (!own_a || !own_b || p->n_mask || p->sum & ~(s.a.axes | s.b.axes))
        return NULL;
    factor y = times(p, summed(p, s.a, own_a), summed(p, s.b, own_b));
    return finish(p, summed(p, y, p->sum), s.outer);
}

static lg_node *contract(lg_rewrite *R, lg_node *x, uint32_t sum, lg_span at);

/* The sum of a sum, when both parts are products. */
static lg_node *two_sums(lg_rewrite *R, lg_node *x, uint32_t sum, lg_span at) {
    lg_node *a = contract(R, x->in[0], sum, at);
    lg_node *b = a ? contract(R, x->in[1], sum, at) : NULL;
    return b ? lg_s_elem2(R, x->op, a, b, at) : NULL;
}

/* The axes of a matrix product and its inner one, which comes last. */
static bool take_dot(product *p, lg_node *dot) {
    const lg_type *a = &dot->in[0]->type[0];
    int r = p->rank, perm[AXES];
    if (r + 1 > LG_MAX_RANK)
        return false;
    p->size[r] = a->shape[r - 1];
    p->rank = r + 1;
    p->sum |= 1u << r;
    for (int d = 0; d < r; d++)
        perm[d] = d;
    perm[r - 2] = r - 1;
    perm[r - 1] = r - 2;
    lg_node *in[] = {dot->in[0], lg_s_permute(p->R, dot->in[1], perm, p->at)};
    for (int i = 0; i < 2; i++) {
        uint32_t used = lg_axes_used(in[i]), axes = used & ((1u << (r - 2)) - 1);
        if (used >> (r - 2) & 1)
            axes |= 1u << (i ? r - 1 : r - 2);
        if (used >> (r - 1) & 1)
            axes |= 1u << r;
        if (!push(p->f, &p->n, lg_s_narrow(p->R, in[i], used, p->at), axes))
            return false;
    }
    return true;
}

/* Products of two bytes in i32 that are summed in i64: so many have the same sum in i32. */
static bool fits_narrow(const product *p) {
    enum { MOST = 32768 };
    int64_t terms = 1;
    for (int o = 0; o < p->rank && terms <= MOST; o++)
        terms *= p->sum >> o & 1 ? p->size[o] : 1;
    return p->n == 2 && terms <= MOST;
}

static lg_node *contract(lg_rewrite *R, lg_node *x, uint32_t sum, lg_span at) {
    product p;
    sides s;
    bool widened =
        x->op->cls == LG_C_CAST && x->type[0].dtype == LG_I64 && x->in[0]->type[0].dtype == LG_I32;
    if (widened)
        x = x->in[0];
    else if (x->op == R->op->add || x->op == R->op->sub)
        return two_sums(R, x, sum, at);
    if (!begin(&p, R, x, sum, at))
        return NULL;
    if (x->op->cls == LG_C_DOT ? !take_dot(&p, x) : !take(&p, x))
        return NULL;
    if (widened && !fits_narrow(&p))
        return NULL;
    lg_node *y = x->op->cls == LG_C_DOT || p.dtype == LG_I32 ? NULL : pull_out(&p);
    if (y)
        return y;
    if (!divide(&p, &s))
        return NULL;
    end_sum(&p, &s);
    if (!p.prefix && !is_matrix_product(&p, &s))
        return x->op->cls == LG_C_DOT || p.dtype == LG_I32 ? NULL : separate(&p, s);
    y = place_masks(&p, &s) ? multiply(&p, s) : NULL;
    return y && widened ? lg_s_cast(R, y, LG_I64, at) : y;
}

/* A batched product of which one side is the same in the whole batch is a single larger one. */
static lg_node *flatten(lg_rewrite *R, lg_node *x, lg_node *const *in, lg_span at) {
    product p;
    sides s;
    lg_node *dot = lg_s_dot(R, in[0], in[1], at);
    uint32_t batch = (1u << (x->type[0].rank - 2)) - 1;
    for (int d = 0; d < x->type[0].rank - 2; d++)
        if (x->type[0].shape[d] < 2)
            batch &= ~(1u << d);
    if (!batch || !(batch & ~(lg_axes_used(in[0]) & lg_axes_used(in[1]))))
        return dot;
    if (!begin(&p, R, x, 0, at) || !take_dot(&p, dot) || !divide(&p, &s) ||
        !is_matrix_product(&p, &s))
        return dot;
    return multiply(&p, s);
}

/* ---- one place a row ---- */

/* Is the subscript range checked by a gather from the same dim? */
static bool is_checked(const lg_rewrite *R, const lg_node *idx, int nb, int64_t size) {
    for (size_t i = idx->id; i < R->g->node.n; i++) {
        const lg_node *x = R->g->node.at[i];
        if (x->op->cls == LG_C_GATHER && x->in[1] == idx && x->attr.nb == nb && x->attr.ni == 1 &&
            x->in[0]->type[0].shape[nb] == size)
            return true;
    }
    return false;
}

/* Zeros to which each row adds at one place of its own: chosen by comparing indices, which fuses
 * with what is around it, where a scatter would stand alone. */
static lg_node *one_hot(lg_rewrite *R, lg_node *n, lg_node *const *in, lg_span at) {
    const lg_type *t = &n->type[0], *i = &in[1]->type[0];
    int nb = n->attr.nb, from[LG_MAX_RANK];
    if (n->op != &lg_op_scatter_add || n->attr.ni != 1 || i->rank != nb || !lg_is_fill(in[0], 0) ||
        !lg_type_count(t) || !is_checked(R, in[1], nb, t->shape[nb]))
        return NULL;
    for (int o = 0; o < t->rank; o++)
        from[o] = o < nb ? o : -1;
    lg_node *idx = lg_s_cast(R, in[1], LG_I64, at);
    idx = lg_s_broadcast(R, idx, t->rank, t->shape, from, at);
    lg_node *here = lg_s_elem2(R, R->op->eq, lg_s_iota(R, t->rank, t->shape, nb, at), idx, at);
    for (int o = nb + 1; o < t->rank; o++)
        from[o] = o - 1;
    lg_node *upd = lg_s_broadcast(R, in[2], t->rank, t->shape, from, at);
    return lg_s_elem(R, R->op->where, 3, (lg_node *[]){here, upd, in[0]}, at);
}

static lg_node *make(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    lg_node *y = NULL;
    if (n->op == R->op->sum && n->attr.axes_mask && lg_type_count(&n->type[0])) {
        y = lg_sparse_sum(R, n, in[0]);
        y = y ? y : contract(R, in[0], n->attr.axes_mask, n->span);
    } else if (n->op->cls == LG_C_DOT) {
        y = lg_scale_outside(R, n, in);
        y = y ? y : flatten(R, n, in, n->span);
    } else if (n->op->cls == LG_C_SCATTER) {
        y = one_hot(R, n, in, n->span);
        y = y ? y : lg_sparse_rows(R, n, in);
    }
    return y ? y : lg_rewrite_default(R, n, in);
}

static void done(lg_graph *g) {
    (void)g; /* bodies have been through both passes */
}

void lg_pass_contract(lg_graph *g) {
    lg_rewrite_graph(g, make, lg_pass_contract);
    lg_rewrite_graph(g, lg_rewrite_default, done);
}
