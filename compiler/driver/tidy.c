/* tidy.c: formulas made shorter without another meaning: what a condition already says, ones and
 * zeros, sums of choices by the same condition. Not a general algebra: no factor is moved that
 * would round differently. Called by formula.c. */
#include "compiler/driver/formula.h"
#include <string.h>

/* What is known where we are: conditions of the choices around it. */
typedef struct fact {
    const lg_ast *c;
    bool holds;
    const struct fact *up;
} fact;

static bool same(const lg_ast *a, const lg_ast *b) {
    if (a == b || !a || !b)
        return a == b;
    if (a->kind != b->kind || a->name != b->name || a->n != b->n || a->num != b->num)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!same(a->kid[i], b->kid[i]))
            return false;
    return true;
}

static bool is_number(const lg_ast *t, double v) {
    return t->kind == LG_A_NUM && t->num == v && !(t->flags & LG_AF_INT);
}

static bool is_op(const lg_ast *t, const char *op) {
    return t->kind == LG_A_BINARY && !strcmp(t->name, op);
}

static lg_ast *made(lg_arena *a, lg_ast_kind k, const char *op, lg_ast *x, lg_ast *y, lg_ast *z) {
    lg_ast *t = lg_ast_new(a, k, (lg_span){0}, z ? 3 : y ? 2 : 1);
    t->name = op ? lg_intern(op) : NULL;
    t->kid[0] = x;
    if (y)
        t->kid[1] = y;
    if (z)
        t->kid[2] = z;
    return t;
}

static lg_ast *tidy(lg_arena *a, lg_ast *t, const fact *f);

static lg_ast *tidy_if(lg_arena *a, lg_ast *t, const fact *f) {
    lg_ast *c = tidy(a, t->kid[0], f);
    for (const fact *k = f; k; k = k->up)
        if (same(k->c, c))
            return tidy(a, t->kid[k->holds ? 1 : 2], f);
    fact yes = {c, true, f}, no = {c, false, f};
    lg_ast *then = tidy(a, t->kid[1], &yes), *other = tidy(a, t->kid[2], &no);
    return same(then, other) ? then : made(a, LG_A_IF, NULL, c, then, other);
}

/* (if c then 1 else 0)*x is x where c holds; the same with its branches exchanged. */
static lg_ast *chosen(lg_arena *a, lg_ast *choice, lg_ast *x, const fact *f) {
    if (choice->kind != LG_A_IF)
        return NULL;
    lg_ast *y = choice->kid[1], *n = choice->kid[2];
    bool one_zero = is_number(y, 1) && is_number(n, 0),
         zero_one = is_number(y, 0) && is_number(n, 1);
    if (!one_zero && !zero_one)
        return NULL;
    return tidy_if(a, made(a, LG_A_IF, NULL, choice->kid[0], one_zero ? x : y, one_zero ? n : x),
                   f);
}

static lg_ast *tidy_product(lg_arena *a, lg_ast *x, lg_ast *y, const fact *f) {
    if (is_number(x, 1))
        return y;
    if (is_number(y, 1))
        return x;
    if (is_number(x, 0) || is_number(y, 0))
        return is_number(x, 0) ? x : y;
    lg_ast *c = chosen(a, x, y, f);
    c = c ? c : chosen(a, y, x, f);
    if (c)
        return c;
    bool swap = y->kind == LG_A_NUM && x->kind != LG_A_NUM;
    return made(a, LG_A_BINARY, "*", swap ? y : x, swap ? x : y, NULL);
}

static lg_ast *tidy_sum(lg_arena *a, const char *op, lg_ast *x, lg_ast *y, const fact *f) {
    bool minus = *op == '-';
    if (is_number(y, 0))
        return x;
    if (is_number(x, 0))
        return minus ? made(a, LG_A_UNARY, "-", y, NULL, NULL) : y;
    if (x->kind == LG_A_IF && y->kind == LG_A_IF && same(x->kid[0], y->kid[0]))
        return tidy_if(a,
                       made(a, LG_A_IF, NULL, x->kid[0],
                            made(a, LG_A_BINARY, op, x->kid[1], y->kid[1], NULL),
                            made(a, LG_A_BINARY, op, x->kid[2], y->kid[2], NULL)),
                       f);
    bool negative = y->kind == LG_A_UNARY && !strcmp(y->name, "-");
    return negative ? made(a, LG_A_BINARY, minus ? "+" : "-", x, y->kid[0], NULL)
                    : made(a, LG_A_BINARY, op, x, y, NULL);
}

static lg_ast *tidy(lg_arena *a, lg_ast *t, const fact *f) {
    if (t->kind == LG_A_IF)
        return tidy_if(a, t, f);
    lg_ast *r = lg_arena_dup(a, t, sizeof *t);
    r->kid = LG_NEW_N(a, lg_ast *, t->n + 1);
    for (uint32_t i = 0; i < t->n; i++)
        r->kid[i] = t->kid[i] ? tidy(a, t->kid[i], f) : NULL;
    if (is_op(r, "*"))
        return tidy_product(a, r->kid[0], r->kid[1], f);
    if (is_op(r, "+") || is_op(r, "-"))
        return tidy_sum(a, r->name, r->kid[0], r->kid[1], f);
    if (is_op(r, "/") && is_number(r->kid[1], 1))
        return r->kid[0];
    if (is_op(r, "/") && is_number(r->kid[0], 0))
        return r->kid[0];
    bool twice = r->kind == LG_A_UNARY && !strcmp(r->name, "-") && r->kid[0]->kind == LG_A_UNARY &&
                 !strcmp(r->kid[0]->name, "-");
    return twice ? r->kid[0]->kid[0] : r;
}

/* A choice takes all that follows it for its last branch: as an operand it stands in parentheses.
 */
static void mark_operands(lg_ast *t) {
    bool operator= t->kind == LG_A_BINARY || t->kind == LG_A_UNARY;
    for (uint32_t i = 0; i < t->n; i++) {
        if (!t->kid[i])
            continue;
        if (operator&& t->kid[i]->kind == LG_A_IF)
            t->kid[i]->flags |= LG_AF_PAREN;
        mark_operands(t->kid[i]);
    }
}

lg_ast *lg_formula_tidy(lg_arena *a, lg_ast *t) {
    t = tidy(a, t, NULL);
    mark_operands(t);
    return t;
}
