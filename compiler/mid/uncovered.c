/* uncovered.c: a warning about values that are computed outside of the branch which guards them.
 *
 * The derivative of `if c then a else b` is exact zeros around what is written inside the branch. A
 * `let` in front of it is not inside: its cotangent is 0 where the branch is not taken, and 0 times
 * an infinite derivative is NaN. The check notes which names are floats of the run and which
 * choices are made there; the rest is read from the text: operations with a pole or an edge whose
 * operand is not plainly inside their domain, and conditions about that operand. What the text does
 * not show is let pass. */
#include "compiler/mid/uncovered.h"
#include <math.h>
#include <string.h>

enum { MOST_DEPTH = 16 }; /* of definitions that lead to each other */

typedef enum { ANY, NOT_NEGATIVE, POSITIVE } sign;

typedef struct {
    lg_elab *E;
    const lg_uncovered *u;
    const lg_ast *text;
    int depth;
} reading;

/* ---- notes ---- */

void lg_uncovered_begin(lg_elab *E, lg_uncovered *u) {
    *u = (lg_uncovered){.up = E->uncovered, .errors = lg_diags_trouble(E->diags)};
    E->uncovered = u;
}

static bool has_name(size_t n, const lg_sym *at, lg_sym name) {
    for (size_t i = 0; i < n; i++)
        if (at[i] == name)
            return true;
    return false;
}

void lg_uncovered_name(lg_elab *E, lg_sym name, const lg_value *v) {
    lg_uncovered *u = E->uncovered;
    if (!LG_CHECKING(E) || lg_in_library(E->frame))
        return;
    bool number = v->kind == LG_V_TENSOR && lg_dtype_is_float(v->t.dtype);
    bool flag = v->kind == LG_V_TENSOR && v->t.dtype == LG_BOOL, part = v->kind == LG_V_MODEL;
    if ((number || part || v->kind == LG_V_RECORD || v->kind == LG_V_OPAQUE) &&
        !has_name(u->floats.n, u->floats.at, name))
        LG_PUSH(u->floats, name);
    if (part && !has_name(u->models.n, u->models.at, name))
        LG_PUSH(u->models, name);
    if (flag && !has_name(u->flags.n, u->flags.at, name))
        LG_PUSH(u->flags, name);
}

void lg_uncovered_choice(lg_elab *E, const lg_ast *e) {
    if (E->uncovered && LG_CHECKING(E) && !lg_in_library(E->frame))
        LG_PUSH(E->uncovered->choices, e);
}

static bool is_choice(const reading *r, const lg_ast *e) {
    for (size_t i = 0; i < r->u->choices.n; i++)
        if (r->u->choices.at[i] == e)
            return true;
    return false;
}

/* ---- the text ---- */

static bool is_comparison(const lg_ast *e) {
    if (e->kind == LG_A_COMPARE)
        return true;
    return e->kind == LG_A_BINARY && (strchr("=!<>", e->name[0]) || !strcmp(e->name, "in") ||
                                      !strcmp(e->name, "and") || !strcmp(e->name, "or"));
}

/* The name that a call calls, `log` of log(x) and `sum` of sum[k](x); "" where it is none. */
static const char *called(const lg_ast *e) {
    const lg_ast *f = e->kind == LG_A_CALL ? e->kid[0] : NULL;
    f = f && f->kind == LG_A_INDEX ? f->kid[0] : f;
    return f && f->kind == LG_A_NAME ? f->name : "";
}

static const lg_ast *where_of(const lg_ast *call) {
    const lg_ast *f = call->kind == LG_A_CALL ? call->kid[0] : call;
    const lg_ast *last = f->kind == LG_A_INDEX && f->n ? f->kid[f->n - 1] : NULL;
    return last && last->kind == LG_A_WHERE ? last : NULL;
}

/* The definition `let name = e` anywhere in the text: e, or NULL. */
static const lg_ast *definition(const lg_ast *text, lg_sym name) {
    bool let = text->kind == LG_A_LET && text->kid[0]->kind != LG_A_RECPAT;
    if (let && text->kid[0]->name == name)
        return text->kid[1];
    const lg_ast *found = NULL;
    for (uint32_t i = 0; i < text->n && !found; i++)
        found = text->kid[i] ? definition(text->kid[i], name) : NULL;
    return found;
}

/* Does e read one of the names, itself or through lets? */
static bool reads(reading *r, const lg_ast *e, size_t n, const lg_sym *name) {
    if (e->kind == LG_A_RAND)
        return name == r->u->floats.at;
    if (e->kind == LG_A_NAMED && !strcmp(e->name, "like")) /* its shape alone */
        return false;
    if (e->kind == LG_A_NAME && has_name(n, name, e->name))
        return true;
    if (e->kind == LG_A_NAME && r->depth < MOST_DEPTH) {
        const lg_ast *d = definition(r->text, e->name);
        r->depth++;
        bool yes = d && reads(r, d, n, name);
        r->depth--;
        return yes;
    }
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && reads(r, e->kid[i], n, name))
            return true;
    return false;
}

static bool varies(reading *r, const lg_ast *e) {
    return reads(r, e, r->u->floats.n, r->u->floats.at);
}

/* ---- signs ---- */

static sign sign_of(reading *r, const lg_ast *e);

static sign least(sign a, sign b) {
    return a < b ? a : b;
}

static sign most(sign a, sign b) {
    return a > b ? a : b;
}

static bool alike(reading *r, const lg_ast *a, const lg_ast *b) {
    return !strcmp(lg_ast_text(r->E->arena, a), lg_ast_text(r->E->arena, b));
}

static bool is_even(const lg_ast *e) {
    return e->kind == LG_A_NUM && fpclassify(fmod(e->num, 2)) == FP_ZERO;
}

static sign sign_of_binary(reading *r, const lg_ast *e) {
    sign a = sign_of(r, e->kid[0]), b = sign_of(r, e->kid[1]);
    switch (e->name[0]) {
    case '+':
        return a && b ? most(a, b) : ANY;
    case '*':
        return a && b ? least(a, b) : alike(r, e->kid[0], e->kid[1]) ? NOT_NEGATIVE : ANY;
    case '/':
        return b == POSITIVE ? a : ANY;
    case '^':
        return is_even(e->kid[1]) ? most(a, NOT_NEGATIVE) : a;
    default:
        return ANY;
    }
}

static const struct {
    const char *name;
    sign is;
} results[] = {{"exp", POSITIVE},      {"exp2", POSITIVE},       {"softplus", POSITIVE},
               {"sigmoid", POSITIVE},  {"cosh", POSITIVE},       {"softmax", POSITIVE},
               {"abs", NOT_NEGATIVE},  {"square", NOT_NEGATIVE}, {"relu", NOT_NEGATIVE},
               {"norm", NOT_NEGATIVE}, {"var", NOT_NEGATIVE},    {"std", NOT_NEGATIVE},
               {"count", NOT_NEGATIVE}};

static sign sign_of_call(reading *r, const lg_ast *e) {
    const char *name = called(e);
    for (size_t i = 0; i < LG_COUNT(results); i++)
        if (!strcmp(name, results[i].name))
            return results[i].is;
    if (e->n < 2)
        return ANY;
    sign first = sign_of(r, e->kid[1]);
    bool two = e->kid[0]->kind == LG_A_NAME && e->n > 2 && e->kid[2]->kind != LG_A_NAMED;
    if (!strcmp(name, "clamp"))
        return two ? sign_of(r, e->kid[2]) : ANY;
    if (!strcmp(name, "max") || !strcmp(name, "min")) {
        for (uint32_t i = 2; two && i < e->n; i++)
            first = name[1] == 'a' ? most(first, sign_of(r, e->kid[i]))
                                   : least(first, sign_of(r, e->kid[i]));
        return first;
    }
    static const char *const keep[] = {"sqrt", "sum",  "mean", "prod",      "float", "f64",
                                       "f32",  "bf16", "f16",  "stop_grad", "cumsum"};
    for (size_t i = 0; i < LG_COUNT(keep); i++)
        if (!strcmp(name, keep[i]))
            return where_of(e) ? least(first, NOT_NEGATIVE) : first;
    return ANY;
}

/* What the text shows of e. Numbers that no run computes are taken to be chosen well. */
static sign sign_of(reading *r, const lg_ast *e) {
    if (e->kind == LG_A_NUM)
        return e->num > 0 ? POSITIVE : NOT_NEGATIVE;
    if (r->depth >= MOST_DEPTH || !varies(r, e))
        return e->kind == LG_A_UNARY ? ANY : POSITIVE;
    switch ((lg_ast_kind)e->kind) {
    case LG_A_NAME: {
        const lg_ast *d = definition(r->text, e->name);
        r->depth++;
        sign s = d ? sign_of(r, d) : ANY;
        r->depth--;
        return s;
    }
    case LG_A_INDEX:
        return sign_of(r, e->kid[0]);
    case LG_A_BINARY:
        return sign_of_binary(r, e);
    case LG_A_CALL:
        return sign_of_call(r, e);
    case LG_A_IF: /* chosen so that it suits */
        return POSITIVE;
    default:
        return ANY;
    }
}

/* ---- poles and edges ---- */

/* Functions with an infinite value or derivative for some argument, and what argument avoids it. */
static const struct {
    const char *name;
    sign wants; /* ANY: no sign helps */
} edged[] = {{"log", POSITIVE},       {"log2", POSITIVE},  {"log10", POSITIVE},
             {"sqrt", POSITIVE},      {"rsqrt", POSITIVE}, {"recip", POSITIVE},
             {"log1p", NOT_NEGATIVE}, {"acos", ANY},       {"asin", ANY},
             {"atanh", ANY},          {"acosh", ANY},      {"lgamma", POSITIVE},
             {"digamma", POSITIVE},   {"logit", ANY}};

static bool is_edge_call(reading *r, const lg_ast *e) {
    const lg_ast *f = e->kid[0];
    if (f->kind != LG_A_NAME || e->n < 2 || lg_lookup_user(r->E, r->E->frame, f->name))
        return false;
    for (size_t i = 0; i < LG_COUNT(edged); i++)
        if (!strcmp(f->name, edged[i].name))
            return varies(r, e->kid[1]) &&
                   (edged[i].wants == ANY || sign_of(r, e->kid[1]) < edged[i].wants);
    return false;
}

static bool is_edge_power(reading *r, const lg_ast *e) {
    const lg_ast *p = e->kid[1];
    bool negative = p->kind == LG_A_UNARY && p->kid[0]->kind == LG_A_NUM;
    bool broken = p->kind == LG_A_NUM && fpclassify(fmod(p->num, 1)) != FP_ZERO;
    if ((!negative && !broken) || !varies(r, e->kid[0]))
        return false;
    sign s = sign_of(r, e->kid[0]);
    return s != POSITIVE && !(broken && p->num > 1 && s == NOT_NEGATIVE);
}

/* The first operation in e, outside of its own choices, that may be infinite or have no derivative;
 * NULL: none that the text shows. */
static const lg_ast *edge(reading *r, const lg_ast *e) {
    if (e->kind == LG_A_LAMBDA || is_comparison(e) || !strcmp(called(e), "stop_grad") ||
        is_choice(r, e) || (where_of(e) && is_choice(r, where_of(e)->kid[0])))
        return NULL;
    const lg_ast *found = NULL;
    for (uint32_t i = 0; i < e->n && !found; i++)
        found = e->kid[i] ? edge(r, e->kid[i]) : NULL;
    if (found)
        return found;
    if (e->kind == LG_A_CALL && is_edge_call(r, e))
        return e;
    if (e->kind != LG_A_BINARY)
        return NULL;
    bool quotient =
        !strcmp(e->name, "/") && varies(r, e->kid[1]) && sign_of(r, e->kid[1]) != POSITIVE;
    return quotient || (!strcmp(e->name, "^") && is_edge_power(r, e)) ? e : NULL;
}

/* ---- uses ---- */

typedef struct {
    lg_sym name;
    const lg_ast *edge;   /* what has to be kept from its pole */
    const lg_ast *inside; /* the first choice about that which a use stands in */
    bool open;            /* a use stands in none */
    bool any;             /* there is a use at all that derivatives pass through */
} uses;

static void names_in(reading *r, const lg_ast *e, lg_syms *out) {
    if (e->kind == LG_A_NAME && has_name(r->u->floats.n, r->u->floats.at, e->name) &&
        !has_name(out->n, out->at, e->name)) {
        const lg_ast *d = definition(r->text, e->name);
        LG_PUSH(*out, e->name);
        if (d)
            names_in(r, d, out);
    }
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && !(e->kid[i]->kind == LG_A_NAMED && !strcmp(e->kid[i]->name, "like")))
            names_in(r, e->kid[i], out);
}

/* Is the condition about the operand of the edge? It reads a float that the operand is made of, or
 * it is a mask: a given array of bools. */
static bool is_about(reading *r, const lg_ast *c, const lg_ast *edge) {
    lg_syms names = {0};
    names_in(r, edge->kid[edge->kind == LG_A_CALL || edge->name[0] == '/'], &names);
    bool yes = reads(r, c, names.n, names.at);
    for (size_t i = 0; i < r->u->flags.n && !yes; i++)
        yes = !definition(r->text, r->u->flags.at[i]) && reads(r, c, 1, &r->u->flags.at[i]);
    lg_free(names.at);
    return yes;
}

static void look(reading *r, uses *u, const lg_ast *e, const lg_ast *inside);

/* A let made of the name is used as the name is where that let is used. */
static void look_on(reading *r, uses *u, const lg_ast *let) {
    uses here = {.name = u->name, .edge = u->edge},
         next = {.name = let->kid[0]->name, .edge = u->edge};
    look(r, &here, let->kid[1], NULL);
    if (!here.any)
        return;
    if (r->depth < MOST_DEPTH) {
        r->depth++;
        look(r, &next, r->text, NULL);
        r->depth--;
    } else {
        next.any = next.open = true;
    }
    if (!next.any)
        return;
    u->any = true;
    u->open = u->open || (here.open && next.open);
    u->inside = u->inside ? u->inside : here.inside ? here.inside : next.inside;
}

static void look(reading *r, uses *u, const lg_ast *e, const lg_ast *inside);

/* The branches of an `if`: a name that both of them use is left out by neither. */
static void look_both(reading *r, uses *u, const lg_ast *e) {
    uses yes = {.name = u->name, .edge = u->edge}, no = yes;
    look(r, &yes, e->kid[1], NULL);
    look(r, &no, e->kid[2], NULL);
    u->any = u->any || yes.any || no.any;
    u->open = u->open || (yes.open && no.open);
    if ((yes.any || no.any) && !u->inside)
        u->inside = e;
}

static void look(reading *r, uses *u, const lg_ast *e, const lg_ast *inside) {
    if (e->kind == LG_A_NAME && e->name == u->name) {
        u->any = true;
        u->open = u->open || !inside;
        u->inside = u->inside ? u->inside : inside;
        return;
    }
    if (is_comparison(e) || e->kind == LG_A_REQUIRE || e->kind == LG_A_EFFECT ||
        e->kind == LG_A_STOP || !strcmp(called(e), "stop_grad"))
        return; /* no derivative passes */
    if (e->kind == LG_A_LET && e->kid[0]->kind != LG_A_RECPAT) {
        if (e->kid[0]->name != u->name && !inside)
            look_on(r, u, e);
        else if (e->kid[0]->name != u->name)
            look(r, u, e->kid[1], inside);
        return;
    }
    bool branches = (e->kind == LG_A_IF || e->kind == LG_A_WHEN) && is_choice(r, e);
    const lg_ast *where = e->kind == LG_A_CALL ? where_of(e) : NULL;
    bool selects = where && is_choice(r, where->kid[0]);
    const lg_ast *c = branches ? e : selects ? where : NULL;
    if (!inside && c && is_about(r, c->kid[0], u->edge)) {
        if (e->kind == LG_A_IF && e->n == 3) {
            look_both(r, u, e);
            return;
        }
        inside = c;
    }
    for (uint32_t i = branches; i < e->n; i++)
        if (e->kid[i] && e->kid[i]->kind != LG_A_WHERE)
            look(r, u, e->kid[i], inside);
}

/* ---- the warning ---- */

static const char *what_is(const reading *r, const lg_ast *edge) {
    return edge->kind == LG_A_CALL ? lg_txt(r->E, "`%s`", called(edge))
           : edge->name[0] == '/'  ? "this quotient"
                                   : "this power";
}

static void warn(reading *r, const lg_ast *let, const lg_ast *edge, const lg_ast *inside) {
    const char *word = inside->kind == LG_A_WHERE  ? "where"
                       : inside->kind == LG_A_WHEN ? "when"
                                                   : "if";
    const lg_ast *c = inside->kid[0];
    lg_diag *d =
        lg_diag_add(r->E->diags, "W0501", edge->span,
                    "`%s` is computed outside of the `%s` that guards it", let->kid[0]->name, word);
    lg_diag_label(d, c->span, "only used under this condition");
    lg_diag_note(d,
                 "where the condition leaves it out its cotangent is 0, and the derivative of %s "
                 "may be infinite there: 0*inf is NaN",
                 what_is(r, edge));
    lg_diag_help(d, "write the formula inside the branch, or keep its operand inside the domain");
}

static void check_let(reading *r, const lg_ast *let, bool parts) {
    if (let->kid[0]->kind != LG_A_NAME && let->kid[0]->kind != LG_A_INDEXPAT)
        return;
    const lg_ast *e = edge(r, let->kid[1]);
    if (!e || (parts && !reads(r, let->kid[1], r->u->models.n, r->u->models.at)))
        return;
    uses u = {.name = let->kid[0]->name, .edge = e};
    look(r, &u, r->text, NULL);
    if (u.inside && !u.open)
        warn(r, let, e, u.inside);
}

static void check_lets(reading *r, const lg_ast *e, bool parts) {
    if (e->kind == LG_A_LET)
        check_let(r, e, parts);
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && !is_choice(r, e))
            check_lets(r, e->kid[i], parts);
}

/* Numbers with a default are settings: they are chosen so that the formulas make sense. */
static void drop_settings(lg_uncovered *u, const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i], *type = p->kid[0];
        bool number = !type || (type->kind == LG_A_TYPE && !type->n);
        for (size_t k = u->floats.n; p->kid[2] && number && k-- > 0;)
            if (u->floats.at[k] == p->name)
                u->floats.at[k] = u->floats.at[--u->floats.n];
    }
}

void lg_uncovered_end(lg_elab *E, lg_uncovered *u, const lg_ast *text, bool parts) {
    E->uncovered = u->up;
    drop_settings(u, text);
    if (u->choices.n && lg_diags_trouble(E->diags) == u->errors && text->span.file) {
        reading r = {.E = E, .u = u, .text = text};
        check_lets(&r, text, parts);
    }
    lg_free(u->floats.at);
    lg_free(u->models.at);
    lg_free(u->flags.at);
    lg_free(u->choices.at);
}
