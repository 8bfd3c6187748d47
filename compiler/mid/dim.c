/* dim.c: arithmetic of dimensions. A dim is a sum of terms; a term is a rational factor times powers
 * of atoms, so "D/H" is D*H^-1 and H*(D/H) = D needs no rule of its own. Division by a sum makes an
 * atom 1/(sum), cancelled again by polynomial division. Not for the scope of names (frame.c). */
#include "compiler/mid/dim.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 4096, MAX_STEPS = 1000, MAX_DEPTH = 200 };

typedef enum {
    ATOM_VAR,    /* lg_dim_var */
    ATOM_FN,     /* name(a, b), evaluated from its arguments when the name is known here */
    ATOM_OPAQUE, /* text with a value or none */
    ATOM_INVERSE /* 1/a, a a primitive sum of two terms or more */
} atom_kind;

struct lg_atom {
    atom_kind kind;
    uint32_t id;
    lg_sym name;
    lg_span at;
    bool known, later;
    int64_t value;
    const lg_dim *a, *b;
    void *user;
    lg_dim *self;
};

typedef struct {
    int64_t num, den; /* den > 0, no common factor */
} ratio;

typedef struct {
    lg_atom *atom;
    int exp; /* never 0 */
} power;

typedef struct {
    ratio k; /* never 0 in a finished dim */
    uint32_t n;
    const power *p; /* by ascending atom id */
} term;

/* Terms in descending order of their monomials, each monomial once. */
typedef struct {
    size_t n;
    const term *t;
} poly;

struct lg_dim {
    poly p;
    uint64_t hash;
    lg_dims *ctx;
};

struct lg_dims {
    lg_arena *home;
    lg_arena *arena; /* of what is under way */
    lg_dims_level *level;
    lg_dim **table; /* open addressing, size a power of two */
    size_t n, size;
    lg_atom **atom;
    size_t n_atoms, cap_atoms;
};

/* A sum under construction. */
typedef struct {
    lg_dims *c;
    LG_VEC(term) t;
    bool overflow;
} sum;

/* ---- rationals ---- */

static int64_t gcd(int64_t a, int64_t b) {
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (y) {
        uint64_t r = x % y;
        x = y;
        y = r;
    }
    return x > INT64_MAX ? 1 : (int64_t)x;
}

static ratio ratio_make(int64_t num, int64_t den, bool *overflow) {
    if (den == 0 || num == INT64_MIN || den == INT64_MIN) {
        *overflow = true;
        return (ratio){0, 1};
    }
    int64_t g = gcd(num, den);
    if (den < 0)
        g = -g;
    return (ratio){num / g, den / g};
}

static ratio ratio_mul(ratio a, ratio b, bool *overflow) {
    int64_t g = gcd(a.num, b.den), h = gcd(b.num, a.den), num, den;
    if (g == 0 || h == 0)
        return (ratio){0, 1};
    if (__builtin_mul_overflow(a.num / g, b.num / h, &num) ||
        __builtin_mul_overflow(a.den / h, b.den / g, &den))
        *overflow = true;
    return *overflow ? (ratio){0, 1} : ratio_make(num, den, overflow);
}

static ratio ratio_add(ratio a, ratio b, bool *overflow) {
    int64_t x, y, num, den;
    if (__builtin_mul_overflow(a.num, b.den, &x) || __builtin_mul_overflow(b.num, a.den, &y) ||
        __builtin_add_overflow(x, y, &num) || __builtin_mul_overflow(a.den, b.den, &den))
        *overflow = true;
    return *overflow ? (ratio){0, 1} : ratio_make(num, den, overflow);
}

/* 1/a; a is not 0. */
static ratio ratio_inverse(ratio a) {
    return a.num < 0 ? (ratio){-a.den, -a.num} : (ratio){a.den, a.num};
}

static int64_t floor_div(int64_t a, int64_t b) {
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

/* ---- monomials and sums ---- */

/* Lexicographic in the exponents by atom id, the higher exponent first. */
static int mono_compare(const term *a, const term *b) {
    uint32_t i = 0, j = 0;
    while (i < a->n || j < b->n) {
        uint32_t x = i < a->n ? a->p[i].atom->id : UINT32_MAX;
        uint32_t y = j < b->n ? b->p[j].atom->id : UINT32_MAX;
        int e = x <= y ? a->p[i].exp : 0, f = y <= x ? b->p[j].exp : 0;
        if (e != f)
            return e > f ? -1 : 1;
        i += x <= y;
        j += y <= x;
    }
    return 0;
}

static int by_mono(const void *a, const void *b) {
    return mono_compare(a, b);
}

/* The monomial of a times that of b to the power sign (1 or -1). */
static term mono_mul(lg_dims *c, const term *a, const term *b, int sign) {
    power *p = LG_NEW_N(c->arena, power, a->n + b->n + 1);
    uint32_t n = 0, i = 0, j = 0;
    while (i < a->n || j < b->n) {
        uint32_t x = i < a->n ? a->p[i].atom->id : UINT32_MAX;
        uint32_t y = j < b->n ? b->p[j].atom->id : UINT32_MAX;
        power r = {x <= y ? a->p[i].atom : b->p[j].atom, 0};
        if (x <= y)
            r.exp += a->p[i++].exp;
        if (y <= x)
            r.exp += sign * b->p[j++].exp;
        if (r.exp)
            p[n++] = r;
    }
    return (term){{1, 1}, n, p};
}

static void sum_add(sum *s, term t) {
    if (t.k.num)
        LG_PUSH(s->t, t);
}

/* s += k * m * p, m a monomial */
static void sum_add_scaled(sum *s, poly p, ratio k, const term *m) {
    for (size_t i = 0; i < p.n; i++) {
        term t = mono_mul(s->c, &p.t[i], m, 1);
        t.k = ratio_mul(p.t[i].k, k, &s->overflow);
        sum_add(s, t);
    }
}

static const term one_term = {{1, 1}, 0, NULL};

static void sum_add_poly(sum *s, poly p, int64_t k) {
    sum_add_scaled(s, p, (ratio){k, 1}, &one_term);
}

/* Ends the sum: sorted, equal monomials joined, on the arena. */
static poly sum_finish(sum *s) {
    if (s->t.n > 1)
        qsort(s->t.at, s->t.n, sizeof *s->t.at, by_mono);
    size_t n = 0;
    for (size_t i = 0; i < s->t.n; i++) {
        if (n && mono_compare(&s->t.at[n - 1], &s->t.at[i]) == 0) {
            s->t.at[n - 1].k = ratio_add(s->t.at[n - 1].k, s->t.at[i].k, &s->overflow);
            continue;
        }
        if (n && s->t.at[n - 1].k.num == 0)
            n--;
        s->t.at[n++] = s->t.at[i];
    }
    if (n && s->t.at[n - 1].k.num == 0)
        n--;
    poly p = {n, n ? lg_arena_dup(s->c->arena, s->t.at, n * sizeof(term)) : NULL};
    lg_free(s->t.at);
    s->t.at = NULL;
    s->t.n = s->t.cap = 0;
    return p;
}

/* ---- cancelling inverses ---- */

static int exponent_of(const term *t, const lg_atom *a) {
    for (uint32_t i = 0; i < t->n; i++)
        if (t->p[i].atom == a)
            return t->p[i].exp;
    return 0;
}

static bool mono_divides(const term *d, const term *t) {
    for (uint32_t i = 0; i < d->n; i++)
        if (exponent_of(t, d->p[i].atom) < d->p[i].exp)
            return false;
    return true;
}

/* a = q*d + r by long division on leading terms. */
static void divide(lg_dims *c, poly a, poly d, poly *q, poly *r, bool *overflow) {
    sum quotient = {.c = c}, rest = {.c = c};
    for (int step = 0; a.n && step < MAX_STEPS && !*overflow; step++) {
        sum work = {.c = c};
        if (!mono_divides(&d.t[0], &a.t[0])) {
            sum_add(&rest, a.t[0]);
            a = (poly){a.n - 1, a.t + 1};
            continue;
        }
        term m = mono_mul(c, &a.t[0], &d.t[0], -1);
        m.k = ratio_mul(a.t[0].k, ratio_inverse(d.t[0].k), overflow);
        sum_add(&quotient, m);
        sum_add_poly(&work, a, 1);
        ratio minus = {-m.k.num, m.k.den};
        sum_add_scaled(&work, d, minus, &m);
        a = sum_finish(&work);
        *overflow |= work.overflow;
    }
    sum_add_poly(&rest, a, 1);
    *q = sum_finish(&quotient);
    *r = sum_finish(&rest);
    *overflow |= quotient.overflow | rest.overflow;
}

static lg_atom *some_inverse(poly p, size_t *skip) {
    size_t seen = 0;
    for (size_t i = 0; i < p.n; i++)
        for (uint32_t j = 0; j < p.t[i].n; j++)
            if (p.t[i].p[j].atom->kind == ATOM_INVERSE && seen++ == *skip)
                return p.t[i].p[j].atom;
    return NULL;
}

/* p = v*a + b with v = 1/d: a = q*d + r gives q + v*r + b. False when nothing cancels. */
static bool cancel(lg_dims *c, poly *p, lg_atom *v, bool *overflow) {
    term m = {{1, 1}, 1, &(power){v, 1}};
    sum a = {.c = c}, all = {.c = c};
    for (size_t i = 0; i < p->n; i++) {
        bool with = exponent_of(&p->t[i], v) > 0;
        term t = with ? mono_mul(c, &p->t[i], &m, -1) : p->t[i];
        t.k = p->t[i].k;
        sum_add(with ? &a : &all, t);
    }
    poly q, r;
    divide(c, sum_finish(&a), v->a->p, &q, &r, overflow);
    sum_add_poly(&all, q, 1);
    sum_add_scaled(&all, r, (ratio){1, 1}, &m);
    poly next = sum_finish(&all);
    *overflow |= a.overflow | all.overflow;
    if (q.n && !*overflow)
        *p = next;
    return q.n && !*overflow;
}

static poly cancel_all(lg_dims *c, poly p, bool *overflow) {
    size_t skip = 0;
    lg_atom *v;
    for (int step = 0; step < MAX_STEPS && (v = some_inverse(p, &skip)); step++)
        if (cancel(c, &p, v, overflow))
            skip = 0;
        else
            skip++;
    return p;
}

/* ---- interning ---- */

static uint64_t poly_hash(poly p) {
    uint64_t h = p.n;
    for (size_t i = 0; i < p.n; i++) {
        h = lg_hash_mix(h, (uint64_t)p.t[i].k.num);
        h = lg_hash_mix(h, (uint64_t)p.t[i].k.den);
        for (uint32_t j = 0; j < p.t[i].n; j++)
            h = lg_hash_mix(h, (uint64_t)p.t[i].p[j].atom->id << 32 | (uint32_t)p.t[i].p[j].exp);
    }
    return h;
}

static bool poly_equal(poly a, poly b) {
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.t[i].k.num != b.t[i].k.num || a.t[i].k.den != b.t[i].k.den ||
            mono_compare(&a.t[i], &b.t[i]) != 0)
            return false;
    return true;
}

static void grow(lg_dims *c) {
    lg_dim **old = c->table;
    size_t size = c->size;
    c->size = size ? size * 2 : 64;
    c->table = LG_NEW_N(c->home, lg_dim *, c->size);
    for (size_t i = 0; i < size; i++) {
        if (!old[i])
            continue;
        size_t at = old[i]->hash & (c->size - 1);
        while (c->table[at])
            at = (at + 1) & (c->size - 1);
        c->table[at] = old[i];
    }
}

static uint32_t newest_atom(poly p) { /* its id, or 0 */
    uint32_t id = 0;
    for (size_t i = 0; i < p.n; i++)
        for (uint32_t j = 0; j < p.t[i].n; j++)
            id = p.t[i].p[j].atom->id > id ? p.t[i].p[j].atom->id : id;
    return id;
}

static bool has_atoms(poly p) {
    return p.n > 1 || (p.n && p.t[0].n);
}

/* The level that p belongs to; NULL: none. */
static lg_dims_level *level_of(const lg_dims *c, poly p) {
    uint32_t id = newest_atom(p);
    lg_dims_level *l = has_atoms(p) ? c->level : NULL;
    while (l && id < l->mark)
        l = l->up;
    return l;
}

static poly copied(lg_arena *a, poly p) {
    term *t = lg_arena_dup(a, p.n ? (const void *)p.t : (const void *)"", sizeof *t * p.n);
    for (size_t i = 0; i < p.n; i++)
        if (t[i].n)
            t[i].p = lg_arena_dup(a, t[i].p, sizeof *t[i].p * t[i].n);
    return (poly){p.n, t};
}

static lg_dim *intern(lg_dims *c, poly p) {
    if (c->n * 2 >= c->size)
        grow(c);
    uint64_t h = poly_hash(p);
    size_t at = h & (c->size - 1);
    for (; c->table[at]; at = (at + 1) & (c->size - 1))
        if (c->table[at]->hash == h && poly_equal(c->table[at]->p, p))
            return c->table[at];
    lg_dims_level *l = level_of(c, p);
    lg_arena *a = l ? l->arena : c->home;
    lg_dim *d = LG_NEW(a, lg_dim);
    *d = (lg_dim){c->level ? copied(a, p) : p, h, c};
    if (l)
        LG_PUSH(l->made, d);
    c->n++;
    return c->table[at] = d;
}

static lg_atom *add_atom(lg_dims *c, lg_atom like) {
    if (c->n_atoms == c->cap_atoms) {
        size_t cap = c->cap_atoms ? c->cap_atoms * 2 : 32;
        lg_atom **to = LG_NEW_N(c->home, lg_atom *, cap);
        if (c->n_atoms)
            memcpy(to, c->atom, c->n_atoms * sizeof *to);
        c->atom = to;
        c->cap_atoms = cap;
    }
    lg_atom *a = lg_arena_dup(c->arena, &like, sizeof like);
    a->id = (uint32_t)c->n_atoms;
    power *p = LG_NEW(c->arena, power);
    *p = (power){a, 1};
    term *t = LG_NEW(c->arena, term);
    *t = (term){{1, 1}, 1, p};
    a->self = intern(c, (poly){1, t});
    return c->atom[c->n_atoms++] = a;
}

/* The atom of that content: found or made. */
static lg_dim *content_atom(lg_dims *c, lg_atom like) {
    for (size_t i = 0; i < c->n_atoms; i++) {
        lg_atom *a = c->atom[i];
        if (a->kind == like.kind && a->name == like.name && a->a == like.a && a->b == like.b &&
            (a->kind != ATOM_OPAQUE || (a->known == like.known && a->value == like.value)))
            return a->self;
    }
    return add_atom(c, like)->self;
}

/* Numbers too large for us: an atom of unknown size with the formula as its name. */
static lg_dim *too_large(lg_dims *c, const lg_dim *a, const char *op, const lg_dim *b) {
    const char *text = lg_arena_printf(c->arena, "(%s)%s(%s)", lg_dim_text(c->arena, a), op,
                                       lg_dim_text(c->arena, b));
    return lg_dim_opaque(c, lg_intern(text), false, 0);
}

/* ---- making dims ---- */

lg_dims *lg_dims_new(lg_arena *a) {
    lg_dims *c = LG_NEW(a, lg_dims);
    c->home = c->arena = a;
    return c;
}

void lg_dims_enter(lg_dims *c, lg_dims_level *l, lg_arena *a) {
    *l = (lg_dims_level){
        .mark = (uint32_t)c->n_atoms, .arena = a, .was = c->arena, .up = c->level};
    c->level = l;
    c->arena = a;
}

void lg_dims_recover(lg_dims *c) {
    c->level = NULL;
    c->arena = c->home;
}

bool lg_dim_made_in(const lg_dim *d, const lg_dims_level *l) {
    return d && has_atoms(d->p) && newest_atom(d->p) >= l->mark;
}

/* Out of the table; those behind it move up where they may. */
static void forget(lg_dims *c, const lg_dim *d) {
    size_t last = c->size - 1, at = d->hash & last;
    while (c->table[at] != d)
        at = (at + 1) & last;
    c->table[at] = NULL;
    c->n--;
    for (at = (at + 1) & last; c->table[at]; at = (at + 1) & last) {
        lg_dim *x = c->table[at];
        size_t to = x->hash & last;
        c->table[at] = NULL;
        while (c->table[to])
            to = (to + 1) & last;
        c->table[to] = x;
    }
}

void lg_dims_leave(lg_dims *c, lg_dims_level *l, bool keep) {
    assert(c->level == l);
    for (size_t i = 0; i < l->made.n; i++)
        if (!keep)
            forget(c, l->made.at[i]);
        else if (l->up)
            LG_PUSH(l->up->made, l->made.at[i]);
    if (!keep)
        c->n_atoms = l->mark;
    c->level = l->up;
    c->arena = l->was;
    lg_free(l->made.at);
}

lg_dim *lg_dim_var(lg_dims *c, lg_sym name, lg_span at) {
    return add_atom(c, (lg_atom){.kind = ATOM_VAR, .name = name, .at = at})->self;
}

lg_dim *lg_dim_opaque(lg_dims *c, lg_sym text, bool known, int64_t value) {
    return content_atom(c, (lg_atom){.kind = ATOM_OPAQUE, .name = text, .known = known,
                                     .value = known ? value : 0});
}

static lg_dim *from_ratio(lg_dims *c, ratio k) {
    sum s = {.c = c};
    sum_add(&s, (term){k, 0, NULL});
    return intern(c, sum_finish(&s));
}

lg_dim *lg_dim_num(lg_dims *c, int64_t v) {
    if (v == INT64_MIN)
        v++;
    return from_ratio(c, (ratio){v, 1});
}

static lg_dim *finish(sum *s, const lg_dim *a, const char *op, const lg_dim *b) {
    poly p = sum_finish(s);
    if (!s->overflow)
        p = cancel_all(s->c, p, &s->overflow);
    return s->overflow ? too_large(s->c, a, op, b) : intern(s->c, p);
}

static lg_dim *add(lg_dims *c, const lg_dim *a, const lg_dim *b, int64_t sign) {
    sum s = {.c = c};
    sum_add_poly(&s, a->p, 1);
    sum_add_poly(&s, b->p, sign);
    return finish(&s, a, sign < 0 ? " - " : " + ", b);
}

lg_dim *lg_dim_add(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    return add(c, a, b, 1);
}

lg_dim *lg_dim_sub(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    return add(c, a, b, -1);
}

lg_dim *lg_dim_mul(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    if (a->p.n * b->p.n > MAX_TERMS)
        return too_large(c, a, "*", b);
    sum s = {.c = c};
    for (size_t i = 0; i < b->p.n; i++)
        sum_add_scaled(&s, a->p, b->p.t[i].k, &b->p.t[i]);
    return finish(&s, a, "*", b);
}

/* ---- division ---- */

/* 1/t for one term; powers of inverse atoms turn into the sums they invert. */
static lg_dim *inverse_of_term(lg_dims *c, const term *t) {
    power *p = LG_NEW_N(c->arena, power, t->n + 1);
    term m = {ratio_inverse(t->k), 0, p};
    for (uint32_t i = 0; i < t->n; i++)
        if (t->p[i].atom->kind != ATOM_INVERSE)
            p[m.n++] = (power){t->p[i].atom, -t->p[i].exp};
    sum s = {.c = c};
    sum_add(&s, m);
    lg_dim *d = intern(c, sum_finish(&s));
    for (uint32_t i = 0; i < t->n; i++)
        if (t->p[i].atom->kind == ATOM_INVERSE)
            for (int e = 0; e < t->p[i].exp; e++)
                d = lg_dim_mul(c, d, t->p[i].atom->a);
    return d;
}

/* The term that divides all of p: p without it is primitive, with a positive leading factor. */
static term content_of(lg_dims *c, poly p, bool *overflow) {
    term m = mono_mul(c, &p.t[0], &one_term, 1);
    int64_t num = 0, den = 1;
    for (size_t i = 0; i < p.n; i++) {
        num = gcd(num, p.t[i].k.num);
        if (__builtin_mul_overflow(den, p.t[i].k.den / gcd(den, p.t[i].k.den), &den))
            *overflow = true;
    }
    power *low = LG_NEW_N(c->arena, power, m.n + 1);
    uint32_t n = 0;
    for (uint32_t j = 0; j < m.n; j++) {
        power least = m.p[j];
        for (size_t i = 1; i < p.n; i++) {
            int e = exponent_of(&p.t[i], least.atom);
            least.exp = e < least.exp ? e : least.exp;
        }
        if (least.exp)
            low[n++] = least;
    }
    m = (term){ratio_make(p.t[0].k.num < 0 ? -num : num, *overflow ? 1 : den, overflow), n, low};
    return m;
}

/* 1/b for a b that is not the number 0. */
static lg_dim *inverse(lg_dims *c, const lg_dim *b) {
    if (b->p.n == 1)
        return inverse_of_term(c, &b->p.t[0]);
    bool overflow = false;
    term m = content_of(c, b->p, &overflow);
    if (overflow)
        return too_large(c, lg_dim_num(c, 1), "/", b);
    lg_dim *factor = inverse_of_term(c, &m);
    lg_dim *primitive = lg_dim_mul(c, b, factor);
    if (primitive->p.n < 2)
        return lg_dim_mul(c, factor, inverse_of_term(c, &primitive->p.t[0]));
    return lg_dim_mul(c, factor, content_atom(c, (lg_atom){.kind = ATOM_INVERSE, .a = primitive}));
}

/* The quotient whether or not it is known to be an integer. */
static lg_dim *quotient(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    if (b->p.n == 0)
        return too_large(c, a, "/", b);
    return lg_dim_mul(c, a, inverse(c, b));
}

lg_dim *lg_dim_div(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    int64_t x, y;
    bool known = lg_dim_value(b, &y);
    if (b->p.n == 0 || (known && y == 0))
        return NULL;
    if (known && lg_dim_value(a, &x) && x % y != 0)
        return NULL;
    lg_dim *q = quotient(c, a, b);
    if (q->p.n == 1 && q->p.t[0].n == 0 && q->p.t[0].k.den != 1)
        return NULL;
    return q;
}

/* ---- functions ---- */

/* Value of name(a, b); false when the name is not one of ours or the arguments do not allow it. */
static bool apply(lg_sym name, int64_t a, int64_t b, int64_t *out) {
    if (strcmp(name, "//") == 0 && b != 0)
        *out = floor_div(a, b);
    else if (strcmp(name, "%") == 0 && b != 0)
        *out = a - b * floor_div(a, b);
    else if (strcmp(name, "min") == 0)
        *out = a < b ? a : b;
    else if (strcmp(name, "max") == 0)
        *out = a > b ? a : b;
    else
        return false;
    return true;
}

static bool is_one_of(lg_sym name, const char *x, const char *y) {
    return strcmp(name, x) == 0 || strcmp(name, y) == 0;
}

/* The part of a that is b times an integer polynomial, divided by b: a//b = whole + (a - b*whole)//b.
 * Factors of numbers are split by floor division, so that rests are between 0 and b. */
static lg_dim *whole_part(lg_dims *c, const lg_dim *a, const lg_dim *b) {
    sum s = {.c = c};
    const term *d = &b->p.t[0];
    for (size_t i = 0; b->p.n == 1 && d->k.den == 1 && i < a->p.n; i++) {
        term t = a->p.t[i];
        bool plain = t.k.den == 1 && mono_divides(d, &t);
        for (uint32_t j = 0; j < t.n; j++)
            plain = plain && t.p[j].exp > 0 && t.p[j].atom->kind != ATOM_INVERSE;
        if (!plain)
            continue;
        int64_t k = floor_div(t.k.num, d->k.num);
        t = mono_mul(c, &t, d, -1);
        t.k = (ratio){k, 1};
        sum_add(&s, t);
    }
    return intern(c, sum_finish(&s));
}

static bool is_zero(const lg_dim *d) {
    return d->p.n == 0;
}

/* Division with rest, by a positive b: -1 from its sign is left to the values. */
static lg_dim *floored(lg_dims *c, lg_sym name, const lg_dim *a, const lg_dim *b) {
    bool rest = strcmp(name, "%") == 0;
    int64_t n;
    if (is_zero(b) || (lg_dim_is_num(b, &n) && n < 0))
        return content_atom(c, (lg_atom){.kind = ATOM_FN, .name = name, .a = a, .b = b});
    lg_dim *whole = whole_part(c, a, b);
    lg_dim *left = lg_dim_sub(c, a, lg_dim_mul(c, b, whole));
    lg_dim *zero = lg_dim_num(c, 0);
    if (is_zero(left))
        return rest ? zero : whole;
    lg_dim *r = content_atom(c, (lg_atom){.kind = ATOM_FN, .name = name, .a = left, .b = b});
    int64_t x, y, v;
    if (lg_dim_is_num(left, &x) && lg_dim_is_num(b, &y) && apply(name, x, y, &v))
        r = lg_dim_num(c, v);
    return rest ? r : lg_dim_add(c, whole, r);
}

/* -1, 0, 1 as in lg_dim_compare, from names alone; 2 unknown. *loose: a <= b (-1) or a >= b (1)
 * holds though not strictly. */
static int compare_names(const lg_dim *a, const lg_dim *b, int *loose) {
    const lg_dim *d = lg_dim_sub(a->ctx, b, a);
    bool up = true, down = true;
    int64_t constant = 0;
    for (size_t i = 0; i < d->p.n; i++) {
        up = up && d->p.t[i].k.num > 0;
        down = down && d->p.t[i].k.num < 0;
        if (d->p.t[i].n == 0)
            constant = d->p.t[i].k.num;
    }
    *loose = is_zero(d) ? 0 : up ? -1 : down ? 1 : 2;
    if (is_zero(d))
        return 0;
    return up && constant > 0 ? -1 : down && constant < 0 ? 1 : 2;
}

static lg_dim *least_or_most(lg_dims *c, lg_sym name, lg_dim *a, lg_dim *b) {
    int loose;
    compare_names(a, b, &loose);
    bool least = strcmp(name, "min") == 0;
    if (loose != 2)
        return (loose <= 0) == least ? a : b;
    const term *x = a->p.n ? &a->p.t[0] : &one_term, *y = b->p.n ? &b->p.t[0] : &one_term;
    if (mono_compare(x, y) > 0) {
        lg_dim *t = a;
        a = b;
        b = t;
    }
    return content_atom(c, (lg_atom){.kind = ATOM_FN, .name = name, .a = a, .b = b});
}

lg_dim *lg_dim_fn(lg_dims *c, lg_sym name, const lg_dim *a, const lg_dim *b) {
    int64_t x, y, v;
    if (a && b && lg_dim_is_num(a, &x) && lg_dim_is_num(b, &y) && apply(name, x, y, &v))
        return lg_dim_num(c, v);
    if (a && b && is_one_of(name, "//", "%"))
        return floored(c, name, a, b);
    if (a && b && is_one_of(name, "min", "max"))
        return least_or_most(c, name, lg_dim_add(c, a, lg_dim_num(c, 0)),
                             lg_dim_add(c, b, lg_dim_num(c, 0)));
    return content_atom(c, (lg_atom){.kind = ATOM_FN, .name = name, .a = a, .b = b});
}

/* ---- values ---- */

static bool value_at(const lg_dim *d, int depth, ratio *out);

static bool atom_value(const lg_atom *a, int depth, ratio *out) {
    ratio x, y;
    int64_t v;
    switch (a->kind) {
    case ATOM_VAR:
    case ATOM_OPAQUE:
        *out = (ratio){a->value, 1};
        return a->known;
    case ATOM_FN:
        if (!a->a || !a->b || !value_at(a->a, depth, &x) || !value_at(a->b, depth, &y))
            return false;
        if (x.den != 1 || y.den != 1 || !apply(a->name, x.num, y.num, &v))
            return false;
        *out = (ratio){v, 1};
        return true;
    case ATOM_INVERSE:
        if (!value_at(a->a, depth, &x) || x.num == 0)
            return false;
        *out = ratio_inverse(x);
        return true;
    }
    return false;
}

static bool value_at(const lg_dim *d, int depth, ratio *out) {
    ratio total = {0, 1};
    bool overflow = false;
    if (depth > MAX_DEPTH)
        return false;
    for (size_t i = 0; i < d->p.n; i++) {
        ratio k = d->p.t[i].k, v;
        for (uint32_t j = 0; j < d->p.t[i].n; j++) {
            const power *p = &d->p.t[i].p[j];
            if (!atom_value(p->atom, depth + 1, &v) || (p->exp < 0 && v.num == 0))
                return false;
            for (int e = 0; e != p->exp; e += p->exp < 0 ? -1 : 1)
                k = ratio_mul(k, p->exp < 0 ? ratio_inverse(v) : v, &overflow);
        }
        total = ratio_add(total, k, &overflow);
    }
    *out = total;
    return !overflow;
}

bool lg_dim_value(const lg_dim *d, int64_t *out) {
    ratio v;
    if (!value_at(d, 0, &v) || v.den != 1)
        return false;
    *out = v.num;
    return true;
}

/* The only atom of d, with factor and exponent 1; else NULL. */
static lg_atom *single(const lg_dim *d) {
    if (d->p.n != 1 || d->p.t[0].n != 1)
        return NULL;
    const term *t = &d->p.t[0];
    return t->k.num == 1 && t->k.den == 1 && t->p[0].exp == 1 ? t->p[0].atom : NULL;
}

void lg_dim_set(lg_dim *var, int64_t value) {
    lg_atom *a = single(var);
    assert(a && a->kind == ATOM_VAR);
    a->known = true;
    a->value = value;
}

void lg_dim_set_later(lg_dim *var) {
    lg_atom *a = single(var);
    assert(a);
    a->later = true;
}

void lg_dim_set_user(lg_dim *var, void *user) {
    lg_atom *a = single(var);
    assert(a);
    a->user = user;
}

void *lg_dim_user(const lg_dim *var) {
    const lg_atom *a = single(var);
    return a ? a->user : NULL;
}

/* ---- questions ---- */

bool lg_dim_equal(const lg_dim *a, const lg_dim *b) {
    return a == b;
}

bool lg_dim_is_num(const lg_dim *d, int64_t *out) {
    if (d->p.n > 1 || (d->p.n == 1 && (d->p.t[0].n || d->p.t[0].k.den != 1)))
        return false;
    *out = d->p.n ? d->p.t[0].k.num : 0;
    return true;
}

bool lg_dim_is_var(const lg_dim *d) {
    const lg_atom *a = single(d);
    return a && a->kind == ATOM_VAR;
}

lg_sym lg_dim_name(const lg_dim *d) {
    return lg_dim_is_var(d) ? single(d)->name : NULL;
}

/* Calls visit for every atom in d, those in arguments of atoms too, until it returns true. */
static bool any_atom(const lg_dim *d, bool (*visit)(void *ctx, const lg_atom *a), void *ctx) {
    for (size_t i = 0; i < d->p.n; i++)
        for (uint32_t j = 0; j < d->p.t[i].n; j++) {
            const lg_atom *a = d->p.t[i].p[j].atom;
            if (visit(ctx, a) || (a->a && any_atom(a->a, visit, ctx)) ||
                (a->b && any_atom(a->b, visit, ctx)))
                return true;
        }
    return false;
}

static bool stays_unknown(void *ctx, const lg_atom *a) {
    (void)ctx;
    return a->kind == ATOM_VAR && !a->known && !a->later;
}

static bool comes_later(void *ctx, const lg_atom *a) {
    (void)ctx;
    return a->later && !a->known;
}

bool lg_dim_later(const lg_dim *d) {
    return any_atom(d, comes_later, NULL) && !any_atom(d, stays_unknown, NULL);
}

static bool take_place(void *ctx, const lg_atom *a) {
    lg_span *at = ctx;
    *at = a->at;
    return a->at.file != 0;
}

lg_span lg_dim_where(const lg_dim *d) {
    lg_span at = {0};
    any_atom(d, take_place, &at);
    return at;
}

static bool is_atom(void *ctx, const lg_atom *a) {
    return a == ctx;
}

bool lg_dim_mentions(const lg_dim *d, const lg_dim *var) {
    lg_atom *a = single(var);
    return a && any_atom(d, is_atom, a);
}

typedef struct {
    const lg_dim **out;
    size_t n, max;
} found_vars;

static bool take_var(void *ctx, const lg_atom *a) {
    found_vars *f = ctx;
    if (a->kind != ATOM_VAR)
        return false;
    for (size_t i = 0; i < f->n; i++)
        if (f->out[i] == a->self)
            return false;
    if (f->n < f->max)
        f->out[f->n++] = a->self;
    return f->n == f->max;
}

size_t lg_dim_vars(const lg_dim *d, const lg_dim **out, size_t max) {
    found_vars f = {out, 0, max};
    if (max)
        any_atom(d, take_var, &f);
    return f.n;
}

int lg_dim_compare(const lg_dim *a, const lg_dim *b) {
    int loose, r = compare_names(a, b, &loose);
    int64_t x, y;
    if (r == 2 && lg_dim_value(a, &x) && lg_dim_value(b, &y))
        return x < y ? -1 : x > y;
    return r;
}

int lg_dim_at_most(const lg_dim *a, const lg_dim *b) {
    int loose, r = compare_names(a, b, &loose);
    int64_t x, y;
    if (loose == -1 || loose == 0)
        return 1;
    if (r == 1)
        return 0;
    return lg_dim_value(a, &x) && lg_dim_value(b, &y) ? x <= y : 2;
}

/* ---- substitution and solving ---- */

typedef struct {
    lg_dims *c;
    size_t n;
    const lg_dim *const *var, *const *to;
} replacement;

static lg_dim *replace(const replacement *r, const lg_dim *d);

static lg_dim *replace_atom(const replacement *r, lg_atom *a) {
    for (size_t i = 0; i < r->n; i++)
        if (r->var[i] == a->self)
            return lg_dim_add(r->c, r->to[i], lg_dim_num(r->c, 0));
    const lg_dim *x = a->a ? replace(r, a->a) : NULL, *y = a->b ? replace(r, a->b) : NULL;
    if (x == a->a && y == a->b)
        return a->self;
    if (a->kind == ATOM_INVERSE)
        return quotient(r->c, lg_dim_num(r->c, 1), x);
    return lg_dim_fn(r->c, a->name, x, y);
}

static lg_dim *replace(const replacement *r, const lg_dim *d) {
    lg_dim *all = lg_dim_num(r->c, 0);
    for (size_t i = 0; i < d->p.n; i++) {
        lg_dim *t = from_ratio(r->c, d->p.t[i].k);
        for (uint32_t j = 0; j < d->p.t[i].n; j++) {
            const power *p = &d->p.t[i].p[j];
            lg_dim *v = replace_atom(r, p->atom);
            for (int e = 0; e != p->exp; e += p->exp < 0 ? -1 : 1)
                t = p->exp < 0 ? quotient(r->c, t, v) : lg_dim_mul(r->c, t, v);
        }
        all = lg_dim_add(r->c, all, t);
    }
    return all;
}

lg_dim *lg_dim_subst(lg_dims *c, const lg_dim *d, size_t n, const lg_dim *const *var,
                     const lg_dim *const *to) {
    replacement r = {c, n, var, to};
    return replace(&r, d);
}

lg_dim *lg_dim_solve(lg_dims *c, const lg_dim *pattern, const lg_dim *unknown,
                     const lg_dim *target) {
    lg_atom *u = single(unknown);
    if (!u)
        return NULL;
    term m = {{1, 1}, 1, &(power){u, 1}};
    sum with = {.c = c}, without = {.c = c};
    int exp = 0;
    bool mixed = false;
    for (size_t i = 0; i < pattern->p.n; i++) {
        const term *t = &pattern->p.t[i];
        int e = exponent_of(t, u);
        mixed |= (e != 0 && e != 1 && e != -1) || (e && exp && e != exp);
        exp = e ? e : exp;
        term rest = e ? mono_mul(c, t, &m, -e) : *t;
        rest.k = t->k;
        sum_add(e ? &with : &without, rest);
    }
    lg_dim *factor = intern(c, sum_finish(&with)), *offset = intern(c, sum_finish(&without));
    if (mixed || !exp || lg_dim_mentions(factor, unknown) || lg_dim_mentions(offset, unknown))
        return NULL;
    lg_dim *left = lg_dim_sub(c, target, offset);
    lg_dim *r = exp > 0 ? lg_dim_div(c, left, factor) : lg_dim_div(c, factor, left);
    int64_t v;
    return r && lg_dim_is_num(r, &v) && v < 0 ? NULL : r;
}

/* ---- text ---- */

static void put_dim(lg_buf *b, const lg_dim *d);

/* In parentheses when it is more than one atom or number. */
static void put_operand(lg_buf *b, const lg_dim *d) {
    int64_t v;
    bool bare = single(d) || (lg_dim_is_num(d, &v) && v >= 0);
    lg_buf_put(b, "(", bare ? 0 : 1);
    put_dim(b, d);
    lg_buf_put(b, ")", bare ? 0 : 1);
}

static void put_atom(lg_buf *b, const lg_atom *a, bool alone) {
    if (a->kind != ATOM_FN) {
        lg_buf_printf(b, "%s", a->name);
        return;
    }
    if (a->a && a->b && is_one_of(a->name, "//", "%")) {
        lg_buf_put(b, "(", alone ? 0 : 1);
        put_operand(b, a->a);
        lg_buf_printf(b, strcmp(a->name, "%") == 0 ? " %% " : "//");
        put_operand(b, a->b);
        lg_buf_put(b, ")", alone ? 0 : 1);
        return;
    }
    lg_buf_printf(b, "%s", a->name);
    if (!a->a)
        return;
    lg_buf_printf(b, "(");
    put_dim(b, a->a);
    if (a->b) {
        lg_buf_printf(b, ", ");
        put_dim(b, a->b);
    }
    lg_buf_printf(b, ")");
}

static bool below_the_line(const power *p) {
    return p->exp < 0 || p->atom->kind == ATOM_INVERSE;
}

static void put_power(lg_buf *b, const power *p, bool alone) {
    int e = p->exp < 0 ? -p->exp : p->exp;
    if (p->atom->kind == ATOM_INVERSE)
        put_operand(b, p->atom->a);
    else
        put_atom(b, p->atom, alone && e == 1);
    if (e > 1)
        lg_buf_printf(b, "^%d", e);
}

/* Without its sign: "3*D/H". */
static void put_term(lg_buf *b, const term *t) {
    int64_t k = t->k.num < 0 ? -t->k.num : t->k.num;
    uint32_t above = 0;
    for (uint32_t i = 0; i < t->n; i++)
        above += !below_the_line(&t->p[i]);
    bool first = above > 0 && k == 1;
    if (!first)
        lg_buf_printf(b, "%lld", (long long)k);
    for (uint32_t i = 0; i < t->n; i++) {
        if (below_the_line(&t->p[i]))
            continue;
        if (!first)
            lg_buf_printf(b, "*");
        first = false;
        put_power(b, &t->p[i], t->n == 1 && k == 1 && t->k.den == 1);
    }
    if (t->k.den != 1)
        lg_buf_printf(b, "/%lld", (long long)t->k.den);
    for (uint32_t i = 0; i < t->n; i++) {
        if (!below_the_line(&t->p[i]))
            continue;
        lg_buf_printf(b, "/");
        put_power(b, &t->p[i], false);
    }
}

/* Terms with a plus come first, so that no dim begins with a minus that need not. */
static void put_dim(lg_buf *b, const lg_dim *d) {
    bool first = true;
    for (int minus = 0; minus < 2; minus++)
        for (size_t i = 0; i < d->p.n; i++) {
            if ((d->p.t[i].k.num < 0) != minus)
                continue;
            lg_buf_printf(b, "%s", first ? (minus ? "-" : "") : (minus ? " - " : " + "));
            put_term(b, &d->p.t[i]);
            first = false;
        }
    if (first)
        lg_buf_printf(b, "0");
}

const char *lg_dim_text(lg_arena *a, const lg_dim *d) {
    lg_buf b = {0};
    put_dim(&b, d);
    const char *text = lg_arena_str(a, b.at);
    lg_buf_free(&b);
    return text;
}
