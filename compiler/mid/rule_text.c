/* rule_text.c: is a derivative rule linear in its cotangent, as far as the text alone says? Rules
 * are checked for certain on the graph they make (custom.c), which is there only when they are
 * used; this finds what is wrong in functions that nobody calls. What it cannot tell it lets pass.
 */
#include "compiler/mid/elab.h"
#include <string.h>

typedef enum { NOTHING, FIXED, LINEAR, BENT, UNSURE } bend; /* NOTHING: zero, which is linear too */

typedef struct known {
    lg_sym name;
    bend is;
    lg_span where; /* BENT: of what bends */
    struct known *next;
} known;

typedef struct {
    lg_elab *E;
    known *names;
    int depth;     /* of functions that the rule calls */
    lg_span where; /* of the first thing that bends */
} reading;

enum { MOST_DEPTH = 8 };

static bend read(reading *r, const lg_ast *e);
static void remember(reading *r, lg_sym s, bend is);
static const lg_ast *given_back(reading *r, const lg_ast *body);

static bool depends(bend b) {
    return b == LINEAR || b == BENT || b == UNSURE;
}

static bend bends(reading *r, const lg_ast *at) {
    if (!r->where.file)
        r->where = at->span;
    return BENT;
}

/* The parts of something that is not linear in any of them. */
static bend opaque_to(reading *r, const lg_ast *e, uint32_t from) {
    bend b = FIXED;
    for (uint32_t i = from; i < e->n; i++) {
        bend k = e->kid[i] ? read(r, e->kid[i]) : FIXED;
        b = k == BENT || b == BENT ? BENT : depends(k) ? UNSURE : b;
    }
    return b;
}

static bend nonlinear(reading *r, const lg_ast *e, uint32_t from) {
    for (uint32_t i = from; i < e->n; i++) {
        bend k = e->kid[i] ? read(r, e->kid[i]) : FIXED;
        if (k == BENT || k == UNSURE)
            return k;
        if (k == LINEAR)
            return bends(r, e);
    }
    return FIXED;
}

static bend plus(reading *r, const lg_ast *e, bend a, bend b) {
    if (a == BENT || b == BENT)
        return BENT;
    if (a == UNSURE || b == UNSURE)
        return UNSURE;
    if (a == NOTHING || b == NOTHING)
        return a == NOTHING ? b : a;
    return a == b ? a : bends(r, e);
}

static bend times(reading *r, const lg_ast *e, bend a, bend b) {
    if (a == BENT || b == BENT)
        return BENT;
    if (a == NOTHING || b == NOTHING)
        return NOTHING;
    if (a == UNSURE || b == UNSURE)
        return UNSURE;
    if (a == LINEAR && b == LINEAR)
        return bends(r, e);
    return a == LINEAR ? a : b;
}

/* x |> f and x |> f(a) as the calls that they are. */
static const lg_ast *piped(const reading *r, const lg_ast *e) {
    const lg_ast *f = e->kid[1];
    bool called = f->kind == LG_A_CALL && !(f->flags & LG_AF_PAREN);
    lg_ast *c = lg_ast_new(r->E->arena, LG_A_CALL, e->span, 0);
    lg_ast_add(r->E->arena, c, called ? f->kid[0] : e->kid[1]);
    lg_ast_add(r->E->arena, c, e->kid[0]);
    for (uint32_t i = 1; called && i < f->n; i++)
        lg_ast_add(r->E->arena, c, f->kid[i]);
    return c;
}

static bend binary(reading *r, const lg_ast *e) {
    const char *op = e->name;
    if (!strcmp(op, "+") || !strcmp(op, "-"))
        return plus(r, e, read(r, e->kid[0]), read(r, e->kid[1]));
    if (!strcmp(op, "*") || !strcmp(op, "@"))
        return times(r, e, read(r, e->kid[0]), read(r, e->kid[1]));
    if (!strcmp(op, "/")) {
        bend a = read(r, e->kid[0]), b = read(r, e->kid[1]);
        return b == FIXED || b == NOTHING ? a : b == LINEAR ? bends(r, e) : b;
    }
    if (!strcmp(op, "|>"))
        return read(r, piped(r, e));
    return nonlinear(r, e, 0);
}

static bend choice(reading *r, const lg_ast *e) {
    bend c = read(r, e->kid[0]);
    if (c == LINEAR)
        return bends(r, e->kid[0]);
    if (c == BENT || c == UNSURE)
        return c;
    return plus(r, e, read(r, e->kid[1]), read(r, e->kid[2]));
}

/* ---- calls ---- */

static bool is_sum(const char *name) {
    const lg_op *op = lg_op_find(name);
    return (op && op == lg_op_find("sum")) || !strcmp(name, "mean");
}

/* sum[k where c](e) */
static bend reduction(reading *r, const lg_ast *head, const lg_ast *call) {
    bend within = opaque_to(r, head, 1), of = call->n > 1 ? read(r, call->kid[1]) : FIXED;
    if (within != FIXED)
        return within == UNSURE ? bends(r, head) : within;
    if (of != LINEAR || is_sum(head->kid[0]->name))
        return of;
    return strncmp(head->kid[0]->name, "cum", 3) ? bends(r, call) : UNSURE;
}

/* Elementwise and not linear, whichever argument it is. */
static bool curved(const lg_op *op) {
    static const char *const linear[] = {"add", "sub", "mul", "div", "where"};
    for (size_t i = 0; i < LG_COUNT(linear); i++)
        if (op == lg_op_find(linear[i]))
            return false;
    return op->cls == LG_C_ELEM && !(op->traits & LG_T_LINEAR);
}

/* The declaration of that name where no nearer name hides it. */
static const lg_ast *of_module(const reading *r, lg_sym name) {
    for (const known *k = r->names; k; k = k->next)
        if (k->name == name)
            return NULL;
    lg_frame *f = r->E->frame;
    for (; f && f->kind != LG_F_MODULE; f = f->up)
        if (lg_find_local(f, name, false))
            return NULL;
    return f && f->module ? lg_decl_named(r->E, f->module, name) : NULL;
}

/* A function of the file, by what its text says of the arguments. */
static bend of_function(reading *r, const lg_ast *e, const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    const lg_ast *body = decl->kid[LG_D_VALUE] ? decl->kid[LG_D_VALUE] : decl->kid[LG_D_BLOCK];
    bool plain = !strcmp(decl->text, "fn") && !decl->kid[LG_D_WITH] && params && body &&
                 e->n - 1 <= params->n && r->depth < MOST_DEPTH;
    for (uint32_t i = 1; plain && i < e->n; i++)
        plain = e->kid[i]->kind != LG_A_NAMED && e->kid[i]->kind != LG_A_SPREAD;
    if (!plain)
        return opaque_to(r, e, 1);
    bend *is = LG_NEW_N(r->E->arena, bend, e->n);
    for (uint32_t i = 1; i < e->n; i++)
        is[i] = read(r, e->kid[i]);
    known *outside = r->names;
    lg_span where = r->where;
    r->names = NULL;
    r->depth++;
    for (uint32_t i = 1; i < e->n; i++)
        remember(r, params->kid[i - 1]->name, is[i]);
    const lg_ast *given = given_back(r, body);
    bend b = given ? read(r, given) : UNSURE;
    r->depth--;
    r->names = outside;
    r->where = where;
    return b == BENT ? bends(r, e) : b;
}

/* norm(x), max(x), dot(x, y): the call forms without an index. */
static bend whole(reading *r, const lg_ast *e) {
    const char *name = e->kid[0]->name;
    if (!strcmp(name, "dot") && e->n == 3)
        return times(r, e, read(r, e->kid[1]), read(r, e->kid[2]));
    if (!strcmp(name, "count") && e->n == 2) { /* how many there are, whatever they are */
        bend of = read(r, e->kid[1]);
        return of == LINEAR || of == NOTHING ? FIXED : of;
    }
    bool keeps = !strncmp(name, "cum", 3) || is_sum(name);
    return lg_is_reduction(name) && !keeps ? nonlinear(r, e, 1) : opaque_to(r, e, 1);
}

static bend call(reading *r, const lg_ast *e) {
    const lg_ast *f = e->kid[0];
    if (f->kind == LG_A_INDEX && f->kid[0]->kind == LG_A_NAME && lg_is_reduction(f->kid[0]->name))
        return reduction(r, f, e);
    if (f->kind != LG_A_NAME)
        return opaque_to(r, e, 1);
    if (lg_lookup_user(r->E, r->E->frame, f->name)) {
        const lg_ast *decl = of_module(r, f->name);
        return decl ? of_function(r, e, decl) : opaque_to(r, e, 1);
    }
    bool cast = lg_dtype_from_name(f->name) != LG_NO_DTYPE || !strcmp(f->name, "float");
    const lg_op *op = lg_op_find(f->name);
    bool first = e->n > 1 && (cast || is_sum(f->name) || (op && op->traits & LG_T_LINEAR));
    if (op && curved(op) && !cast)
        return nonlinear(r, e, 1);
    bend rest = first && e->n > 2 ? opaque_to(r, e, 2) : FIXED;
    return first && rest == FIXED ? read(r, e->kid[1]) : whole(r, e);
}

/* ---- the rest ---- */

static bend name(reading *r, const lg_ast *e) {
    const known *k = r->names;
    while (k && k->name != e->name)
        k = k->next;
    if (k && k->is == BENT && !r->where.file)
        r->where = k->where;
    return k ? k->is : FIXED;
}

static bend read(reading *r, const lg_ast *e) {
    switch ((lg_ast_kind)e->kind) {
    case LG_A_NAME:
        return name(r, e);
    case LG_A_NUM:
        return e->num > 0 || e->num < 0 ? FIXED : NOTHING;
    case LG_A_UNARY:
        return !strcmp(e->name, "-") ? read(r, e->kid[0]) : nonlinear(r, e, 0);
    case LG_A_BINARY:
        return binary(r, e);
    case LG_A_COMPARE:
        return nonlinear(r, e, 0);
    case LG_A_IF:
        return choice(r, e);
    case LG_A_CALL:
        return call(r, e);
    case LG_A_FIELD:
    case LG_A_NAMED:
        return read(r, e->kid[0]);
    case LG_A_INDEX: {
        bend at = opaque_to(r, e, 1);
        return at == FIXED ? read(r, e->kid[0]) : at;
    }
    default:
        return opaque_to(r, e, 0);
    }
}

static void remember(reading *r, lg_sym s, bend is) {
    known *k = LG_NEW(r->E->arena, known);
    *k = (known){s, is, r->where, r->names};
    r->names = k;
}

static void remember_let(reading *r, const lg_ast *s) {
    const lg_ast *p = s->kid[0];
    r->where = (lg_span){0};
    bend is = read(r, s->kid[1]);
    if (p->kind == LG_A_NAME || p->kind == LG_A_INDEXPAT)
        remember(r, p->name, is);
    for (uint32_t i = 0; p->kind == LG_A_RECPAT && i < p->n; i++) {
        const lg_ast *k = p->kid[i];
        bool renamed = k->n && k->kid[0] && k->kid[0]->kind == LG_A_NAME;
        remember(r, renamed ? k->kid[0]->name : k->name, depends(is) ? UNSURE : is);
    }
}

static const lg_ast *given_back(reading *r, const lg_ast *body) {
    if (body->kind != LG_A_BLOCK)
        return body;
    for (uint32_t i = 0; i < body->n; i++) {
        if (body->kid[i]->kind == LG_A_LET)
            remember_let(r, body->kid[i]);
        else if (body->kid[i]->kind == LG_A_RETURN)
            return body->kid[i]->kid[0];
    }
    return NULL;
}

bool lg_rule_reads_linear(lg_elab *E, const lg_ast *with, const lg_ast *decl) {
    reading r = {.E = E};
    remember(&r, with->kid[0]->kid[0]->name, LINEAR);
    const lg_ast *record = given_back(&r, with->kid[1]);
    if (!record || record->kind != LG_A_RECORD)
        return true;
    for (uint32_t i = 0; i < record->n; i++) {
        const lg_ast *k = record->kid[i];
        if (k->kind != LG_A_FIELDV)
            continue;
        r.where = (lg_span){0};
        bend b = k->n && k->kid[0] ? read(&r, k->kid[0]) : UNSURE;
        if (b == LINEAR || b == NOTHING || b == UNSURE)
            continue;
        lg_diag *d = lg_err(E, "E0506", r.where.file ? r.where : k->span,
                            "the rule of `%s` is not linear in the cotangent", decl->name);
        lg_diag_note(d, b == BENT ? "here it enters in another way than as a factor or a term"
                                  : "with a zero cotangent it does not give zero");
        return false;
    }
    return true;
}
