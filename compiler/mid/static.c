/* static.c: finds, from bodies alone, which parameters reach a dim, an axis, a range bound, a
 * `static for`, an exponent (a square is another computation than a power), as bools a condition,
 * or a static parameter of what the body calls. Names that are defined by arithmetic on a parameter
 * count as it. Not for values: what they are decides in a run alone. See static.h. */
#include "compiler/mid/static.h"
#include "ops/ops.h"
#include <ctype.h>
#include <string.h>

enum { MOST_PARAMS = 64, MOST_NAMES = 64 };

typedef struct known {
    const lg_ast *decl;
    uint64_t mask;
    struct known *next;
} known;

struct lg_statics {
    lg_arena *arena;
    const lg_ast *(*find)(void *ctx, lg_sym name);
    void *ctx;
    known *all;
};

/* One parameter on its way through one body. */
typedef struct {
    lg_statics *s;
    const lg_ast *decl;
    lg_sym is[MOST_NAMES]; /* the parameter and names made from it */
    size_t n;
    lg_sym other[MOST_NAMES]; /* the other scalars */
    size_t n_other;
    bool is_bool; /* it is one: a condition on it decides what is planned */
    bool hit;
} search;

lg_statics *lg_statics_new(lg_arena *a, const lg_ast *(*find)(void *ctx, lg_sym name), void *ctx) {
    lg_statics *s = LG_NEW(a, lg_statics);
    *s = (lg_statics){a, find, ctx, NULL};
    return s;
}

/* ---- scalars ---- */

static bool is_dtype(const char *name) {
    return !strcmp(name, "float") || lg_dtype_from_name(name) != LG_NO_DTYPE;
}

static bool is_number_type(const lg_ast *type) {
    return type->kind == LG_A_TYPE && !type->n && !(type->flags & LG_AF_SQUARE) &&
           is_dtype(type->name);
}

bool lg_param_is_scalar(const lg_ast *p) {
    const lg_ast *dflt = p->kid[2];
    if (p->kid[0])
        return is_number_type(p->kid[0]);
    return !dflt || (dflt->kind != LG_A_LIST && dflt->kind != LG_A_RECORD &&
                     dflt->kind != LG_A_STR && dflt->kind != LG_A_LAMBDA);
}

static bool among(const lg_sym *names, size_t n, lg_sym name) {
    for (size_t i = 0; i < n; i++)
        if (names[i] == name)
            return true;
    return false;
}

/* Does the parameter stand in e? */
static bool mentions(const search *x, const lg_ast *e) {
    if (e->kind == LG_A_NAME)
        return among(x->is, x->n, e->name);
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && mentions(x, e->kid[i]))
            return true;
    return false;
}

static bool elementwise(const lg_ast *callee) {
    const lg_op *op = callee->kind == LG_A_NAME ? lg_op_find(callee->name) : NULL;
    return (op && op->cls == LG_C_ELEM) || (callee->kind == LG_A_NAME && is_dtype(callee->name));
}

/* Arithmetic on parameters, numbers and dims alone. */
static bool scalar(const search *x, const lg_ast *e) {
    uint32_t from = 0;
    switch ((lg_ast_kind)e->kind) {
    case LG_A_NUM:
    case LG_A_BOOL:
        return true;
    case LG_A_NAME:
        return among(x->is, x->n, e->name) || among(x->other, x->n_other, e->name) ||
               isupper((unsigned char)e->name[0]);
    case LG_A_CALL:
        if (!elementwise(e->kid[0]))
            return false;
        from = 1;
        break;
    case LG_A_UNARY:
    case LG_A_BINARY:
    case LG_A_IF:
        break;
    default:
        return false;
    }
    for (uint32_t i = from; i < e->n; i++)
        if (!scalar(x, e->kid[i]))
            return false;
    return true;
}

static bool carries(const search *x, const lg_ast *e) {
    return e && scalar(x, e) && mentions(x, e);
}

/* ---- places that are static ---- */

static void walk(search *x, const lg_ast *e);

static void walk_kids(search *x, const lg_ast *e) {
    for (uint32_t i = 0; i < e->n && !x->hit; i++)
        if (e->kid[i])
            walk(x, e->kid[i]);
}

/* A range, or a list of sizes. */
static void bounds(search *x, const lg_ast *e) {
    if (!e)
        return;
    bool range = e->kind == LG_A_BINARY && !strcmp(e->name, "..");
    bool list = e->kind == LG_A_LIST || e->kind == LG_A_SLICE;
    bool turned =
        e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME && !strcmp(e->kid[0]->name, "rev");
    for (uint32_t i = turned; (range || list || turned) && i < e->n; i++) {
        if (turned)
            bounds(x, e->kid[i]);
        else
            x->hit = x->hit || carries(x, e->kid[i]);
    }
}

static void subscripts(search *x, const lg_ast *e, uint32_t from) {
    for (uint32_t i = from; i < e->n; i++) {
        const lg_ast *s = e->kid[i];
        if (s && s->kind == LG_A_SLICE)
            bounds(x, s);
        else if (s && s->kind == LG_A_BINARY && !strcmp(s->name, "in"))
            bounds(x, s->kid[1]);
    }
}

/* The parameter of decl that argument i of a call goes to; `before`: arguments in front of it. */
static int place_of(const lg_ast *decl, const lg_ast *call, uint32_t i, uint32_t before) {
    const lg_ast *params = decl->kid[LG_D_PARAMS], *a = call->kid[i];
    uint32_t at = before;
    for (uint32_t k = 1; k < i; k++)
        at += call->kid[k]->kind != LG_A_NAMED;
    for (uint32_t k = 0; params && k < params->n; k++)
        if (a->kind == LG_A_NAMED ? params->kid[k]->name == a->name : k == at)
            return (int)k;
    return -1;
}

static void call(search *x, const lg_ast *e, uint32_t before) {
    const lg_ast *callee = e->kid[0];
    const lg_ast *decl = callee->kind == LG_A_NAME ? x->s->find(x->s->ctx, callee->name) : NULL;
    uint64_t mask = decl ? lg_static_params(x->s, decl) : 0;
    bool plain = elementwise(callee);
    for (uint32_t i = 1; i < e->n && !x->hit; i++) {
        const lg_ast *a = e->kid[i], *v = a->kind == LG_A_NAMED ? a->kid[0] : a;
        int k = decl ? place_of(decl, e, i, before) : -1;
        if (decl)
            x->hit = k >= 0 && k < MOST_PARAMS && mask >> k & 1 && mentions(x, v);
        else if (!plain)
            x->hit = carries(x, v); /* nobody knows what becomes of it */
        if (!plain)
            bounds(x, v);
    }
}

/* Of draws only the sizes are static. */
static void draw(search *x, const lg_ast *e) {
    for (uint32_t i = 1; i < e->n; i++)
        if (e->kid[i])
            bounds(x, e->kid[i]);
    for (uint32_t i = 1; i < e->n && !x->hit; i++)
        if (e->kid[i])
            walk_kids(x, e->kid[i]);
}

static void rename_by(search *x, const lg_ast *s) {
    if (s->kid[0]->kind != LG_A_NAME || !scalar(x, s->kid[1]))
        return;
    if (mentions(x, s->kid[1]) && x->n < MOST_NAMES && !among(x->is, x->n, s->kid[0]->name))
        x->is[x->n++] = s->kid[0]->name;
    else if (!mentions(x, s->kid[1]) && x->n_other < MOST_NAMES)
        x->other[x->n_other++] = s->kid[0]->name;
}

/* Statements about the run, not about what it computes. */
static bool of_the_run(const lg_ast *s) {
    return s->kind == LG_A_SETTING || s->kind == LG_A_EVERY ||
           (s->kind == LG_A_DECL && (!strcmp(s->text, "data") || !strcmp(s->text, "phase")));
}

static void declaration(search *x, const lg_ast *e) {
    const lg_ast *index = e->kid[LG_D_INDEX], *value = e->kid[LG_D_VALUE];
    if (!strcmp(e->text, "dim") && value)
        x->hit = x->hit || carries(x, value);
    for (uint32_t i = 0; index && i < index->n; i++)
        x->hit = x->hit || (!strcmp(e->text, "part") && carries(x, index->kid[i]));
    if (index)
        subscripts(x, index, 0);
    if (e->kid[LG_D_GUARD])
        x->hit = x->hit || carries(x, e->kid[LG_D_GUARD]); /* is it there at all? */
    walk_kids(x, e);
}

static void walk(search *x, const lg_ast *e) {
    if (x->hit || of_the_run(e))
        return;
    switch ((lg_ast_kind)e->kind) {
    case LG_A_TYPE:
        x->hit = mentions(x, e);
        return;
    case LG_A_BINARY:
        if (!strcmp(e->name, "^"))
            x->hit = carries(x, e->kid[1]);
        if (!strcmp(e->name, "|>") && e->kid[1]->kind == LG_A_CALL) {
            walk(x, e->kid[0]);
            call(x, e->kid[1], 1);
            walk_kids(x, e->kid[1]);
            return;
        }
        break;
    case LG_A_INDEX:
    case LG_A_INDEXPAT:
        subscripts(x, e, e->kind == LG_A_INDEX);
        break;
    case LG_A_SCAN:
        bounds(x, e->kid[2]);
        break;
    case LG_A_FOR:
        bounds(x, e->kid[1]);
        x->hit = x->hit || carries(x, e->kid[1]) || mentions(x, e->kid[1]);
        break;
    case LG_A_RAND:
        if (e->kid[0]->kind == LG_A_CALL) {
            draw(x, e->kid[0]);
            return;
        }
        break;
    case LG_A_CALL:
        call(x, e, 0);
        break;
    case LG_A_IF:
    case LG_A_WHEN:
        x->hit = x->is_bool && mentions(x, e->kid[0]);
        break;
    case LG_A_LET:
        rename_by(x, e);
        break;
    case LG_A_DECL:
        declaration(x, e);
        return;
    default:
        break;
    }
    walk_kids(x, e);
}

/* ---- declarations ---- */

static bool is_bool(const lg_ast *p) {
    return p->kid[0] ? p->kid[0]->kind == LG_A_TYPE && !strcmp(p->kid[0]->name, "bool")
                     : p->kid[2] && p->kid[2]->kind == LG_A_BOOL;
}

static bool is_static(lg_statics *s, const lg_ast *decl, uint32_t i) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    search x = {.s = s, .decl = decl, .n = 1};
    x.is[0] = params->kid[i]->name;
    x.is_bool = is_bool(params->kid[i]);
    for (uint32_t k = 0; k < params->n && x.n_other < MOST_NAMES; k++)
        if (k != i && lg_param_is_scalar(params->kid[k]))
            x.other[x.n_other++] = params->kid[k]->name;
    for (uint32_t k = 0; k < params->n; k++) {
        const lg_ast *dflt = params->kid[k]->kid[2];
        if (params->kid[k]->kid[0])
            walk(&x, params->kid[k]->kid[0]);
        if (k > i && dflt && carries(&x, dflt) && x.n < MOST_NAMES)
            x.is[x.n++] = params->kid[k]->name; /* a default made from it */
    }
    for (int k = LG_D_TYPE; k < LG_D_N && !x.hit; k++)
        if (decl->kid[k])
            walk(&x, decl->kid[k]);
    return x.hit;
}

uint64_t lg_static_params(lg_statics *s, const lg_ast *decl) {
    for (known *k = s->all; k; k = k->next)
        if (k->decl == decl)
            return k->mask;
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    known *k = LG_NEW(s->arena, known);
    *k = (known){decl, 0, s->all}; /* calls form a DAG; an error in that is told elsewhere */
    s->all = k;
    uint64_t mask = 0;
    for (uint32_t i = 0; params && i < params->n && i < MOST_PARAMS; i++)
        if (lg_param_is_scalar(params->kid[i]) && is_static(s, decl, i))
            mask |= UINT64_C(1) << i;
    return k->mask = mask;
}
