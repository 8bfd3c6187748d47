/* formula.c: from a graph to text: every node is a formula over the indices of its dims, an
 * elementwise op is what its own example shows, a reduction binds an index, a view moves
 * subscripts, what scatters is a sum with an equality in `where`. What is used twice gets a `let`.
 * Not for loops, draws and kernels without a formula. Called by repl_grad.c. */
#include "compiler/driver/formula.h"
#include "compiler/front/parse.h"
#include "runtime/io.h"
#include <math.h>
#include <string.h>

typedef struct {
    lg_ast *at[LG_MAX_RANK];
} subs;

/* An index that is bound where we are. */
typedef struct {
    lg_sym name;
    int64_t size;
    bool ranged; /* it subscripts something: its range need not be written */
} bound;

/* Inputs of a branch of a `cond` are nodes of the graph around it. */
typedef struct scope {
    const lg_graph *g;
    lg_node *const *in;
    const struct scope *up;
} scope;

typedef struct {
    const lg_formula_of *of;
    lg_arena *arena;
    lg_ast *block;
    lg_sym *let; /* by node: its name once it has a statement */
    int *uses;
    LG_VEC(bound) index; /* open now, outermost first */
    int n_lets;
    const lg_node *unknown;
} writer;

/* ---- pieces of tree ---- */

static lg_ast *node(writer *w, lg_ast_kind k, uint32_t n) {
    return lg_ast_new(w->arena, k, (lg_span){0}, n);
}

static lg_ast *name(writer *w, lg_sym s) {
    lg_ast *t = node(w, LG_A_NAME, 0);
    t->name = s;
    return t;
}

static lg_ast *real_or_integer(writer *w, double v, bool whole, bool single) {
    lg_ast *t = node(w, LG_A_NUM, 0);
    char text[40];
    lg_number_text(text, fabs(v), single);
    bool plain = !strpbrk(text, ".einf");
    t->num = fabs(v);
    t->flags = whole ? LG_AF_INT : 0;
    t->text = lg_arena_printf(w->arena, "%s%s", text, plain && !whole ? ".0" : "");
    if (!signbit(v) || (whole && v == 0))
        return t;
    lg_ast *minus = node(w, LG_A_UNARY, 1);
    minus->name = lg_intern("-");
    minus->kid[0] = t;
    return minus;
}

static lg_ast *number(writer *w, double v, bool whole) {
    return real_or_integer(w, v, whole, false);
}

static lg_ast *integer(writer *w, int64_t v) {
    return number(w, (double)v, true);
}

static lg_ast *binary(writer *w, lg_ast *a, const char *op, lg_ast *b) {
    lg_ast *t = node(w, LG_A_BINARY, 2);
    t->name = lg_intern(op);
    t->kid[0] = a;
    t->kid[1] = b;
    return t;
}

static lg_ast *choice(writer *w, lg_ast *c, lg_ast *a, lg_ast *b) {
    lg_ast *t = node(w, LG_A_IF, 3);
    t->kid[0] = c;
    t->kid[1] = a;
    t->kid[2] = b;
    return t;
}

static bool is_integer(const lg_ast *t, int64_t v) {
    return t->kind == LG_A_NUM && (t->flags & LG_AF_INT) && t->num == (double)v;
}

static lg_ast *plus(writer *w, lg_ast *a, lg_ast *b) {
    return is_integer(a, 0) ? b : is_integer(b, 0) ? a : binary(w, a, "+", b);
}

static lg_ast *times(writer *w, lg_ast *a, int64_t k) {
    return k == 1 ? a : is_integer(a, 0) ? a : binary(w, integer(w, k), "*", a);
}

/* a + k, with the sign where it belongs */
static lg_ast *offset(writer *w, lg_ast *a, int64_t k) {
    return k == 0             ? a
           : is_integer(a, 0) ? integer(w, k)
           : k < 0            ? binary(w, a, "-", integer(w, -k))
                              : binary(w, a, "+", integer(w, k));
}

/* ---- indices ---- */

static bool is_open(const writer *w, lg_sym s) {
    for (size_t i = 0; i < w->index.n; i++)
        if (w->index.at[i].name == s)
            return true;
    return false;
}

static lg_ast *open_index(writer *w, int64_t size) {
    static const char letters[] = "ijklmnqrsuvabcdgh";
    lg_sym s = NULL;
    for (size_t k = 0; !s || is_open(w, s) || w->of->taken(w->of->ctx, s); k++) {
        size_t n = sizeof letters - 1;
        s = lg_intern(k < n ? lg_arena_printf(w->arena, "%c", letters[k])
                            : lg_arena_printf(w->arena, "%c%zu", letters[k % n], k / n));
    }
    LG_PUSH(w->index, ((bound){s, size, false}));
    return name(w, s);
}

static void note_subscript(writer *w, const lg_ast *sub) {
    for (size_t i = 0; sub->kind == LG_A_NAME && i < w->index.n; i++)
        if (w->index.at[i].name == sub->name)
            w->index.at[i].ranged = true;
}

static lg_ast *path(writer *w, const char *text);

/* A size by the name of a dim of an input, where one has it. */
static lg_ast *size_of(writer *w, int64_t size) {
    const lg_graph *g = w->of->g;
    for (size_t k = 0; k < g->input.n && (int)k < w->of->n_names; k++)
        for (int i = 0; i < g->input.at[k]->type->rank; i++)
            if (g->input.at[k]->type->shape[i] == size && w->of->dim[k][i])
                return path(w, w->of->dim[k][i]);
    return NULL;
}

/* What binds index k: itself, or with the range that nothing in its body says. */
static lg_ast *binder(writer *w, const bound *b) {
    if (b->ranged)
        return name(w, b->name);
    lg_ast *dim = size_of(w, b->size);
    dim = dim ? dim : binary(w, integer(w, 0), "..", integer(w, b->size));
    return binary(w, name(w, b->name), "in", dim);
}

static lg_ast *subscripted(writer *w, lg_ast *x, int rank, const subs *s) {
    if (!rank)
        return x;
    lg_ast *t = node(w, LG_A_INDEX, (uint32_t)rank + 1);
    t->kid[0] = x;
    for (int i = 0; i < rank; i++) {
        t->kid[i + 1] = s->at[i];
        note_subscript(w, s->at[i]);
    }
    return t;
}

/* ---- nodes ---- */

static lg_ast *of(writer *w, const scope *sc, const lg_node *x, subs s);

static lg_ast *unknown(writer *w, const lg_node *x) {
    if (!w->unknown)
        w->unknown = x;
    return integer(w, 0);
}

/* "net.blk[0].w" as a tree. */
static lg_ast *path(writer *w, const char *text) {
    lg_diags none;
    lg_diags_init(&none);
    uint32_t file = lg_source_add("<path>", text, strlen(text));
    lg_ast *e = lg_parse_expr(w->arena, file, &none);
    lg_diags_fini(&none);
    return e ? e : name(w, lg_intern(text));
}

/* The op in its own example, over other arguments. */
static lg_ast *as_example(writer *w, const lg_node *x, int n, lg_ast *const *arg) {
    if (!x->op->example)
        return unknown(w, x);
    lg_ast *t = path(w, x->op->example);
    uint32_t first = t->kind == LG_A_CALL;
    if (t->kind == LG_A_NAME || t->n != (uint32_t)n + first)
        return unknown(w, x);
    for (int k = 0; k < n; k++)
        t->kid[(uint32_t)k + first] = arg[k];
    return t;
}

static lg_ast *zero(writer *w, lg_dtype t) {
    if (t != LG_BOOL)
        return number(w, 0, lg_dtype_is_int(t));
    lg_ast *b = node(w, LG_A_BOOL, 0);
    return b;
}

static lg_ast *elementwise(writer *w, const scope *sc, const lg_node *x, subs s) {
    lg_ast *arg[8];
    if (x->n_in > (int)LG_COUNT(arg))
        return unknown(w, x);
    for (int k = 0; k < x->n_in; k++)
        arg[k] = of(w, sc, x->in[k], s);
    if (x->n_in == 2 && x->op->flag_in == 2) /* a value where a condition holds */
        return choice(w, arg[1], arg[0], zero(w, x->type->dtype));
    if (x->n_in == 1 && x->op->vjp[0] && !strcmp(x->op->vjp[0], "-dy")) {
        lg_ast *minus = node(w, LG_A_UNARY, 1);
        minus->name = lg_intern("-");
        minus->kid[0] = arg[0];
        return minus;
    }
    return as_example(w, x, x->n_in, arg);
}

static lg_ast *element(writer *w, const lg_tensor *x, size_t i) {
    if (x->dtype != LG_BOOL)
        return real_or_integer(w, lg_get_f64(x->dtype, x->data, i), lg_dtype_is_int(x->dtype),
                               x->dtype == LG_F32);
    lg_ast *b = node(w, LG_A_BOOL, 0);
    b->num = lg_get_f64(x->dtype, x->data, i) != 0;
    return b;
}

static lg_ast *elements(writer *w, const lg_tensor *x, int axis, size_t at, size_t stride) {
    if (axis == x->rank)
        return element(w, x, at);
    int64_t n = x->shape[axis];
    lg_ast *list = node(w, LG_A_LIST, (uint32_t)n);
    stride /= n ? (size_t)n : 1;
    for (int64_t i = 0; i < n; i++)
        list->kid[i] = elements(w, x, axis + 1, at + (size_t)i * stride, stride);
    return list;
}

static lg_ast *constant(writer *w, const lg_node *x) {
    enum { MOST = 256 };
    const lg_tensor *c = x->attr.tensor;
    if (c->n > MOST || !c->n)
        return unknown(w, x);
    for (size_t i = 0; i < c->n; i++)
        if (c->dtype != LG_BOOL && !isfinite(lg_get_f64(c->dtype, c->data, i)))
            return unknown(w, x);
    return elements(w, c, 0, 0, c->n);
}

static lg_ast *view(writer *w, const scope *sc, const lg_node *x, subs s) {
    const lg_affine *m = x->attr.affine;
    subs in = {{0}};
    for (int a = 0; a < m->rank_in; a++) {
        lg_ast *e = integer(w, 0);
        for (int o = 0; o < m->rank_out; o++) {
            int64_t k = m->coef[a * m->rank_out + o];
            if (k < 0 && !is_integer(s.at[o], 0))
                e = is_integer(e, 0) && m->off[a]
                        ? binary(w, integer(w, m->off[a]), "-", times(w, s.at[o], -k))
                        : binary(w, e, "-", times(w, s.at[o], -k));
            else if (k)
                e = plus(w, e, times(w, s.at[o], k));
        }
        bool used = false;
        for (int o = 0; o < m->rank_out; o++)
            used = used || m->coef[a * m->rank_out + o] < 0;
        in.at[a] = used ? e : offset(w, e, m->off[a]);
    }
    return of(w, sc, x->in[0], in);
}

/* A sum over new indices of `body`, under conditions. */
typedef struct {
    int n;
    lg_ast *where;
    size_t first; /* in w->index */
} summing;

static void add_condition(writer *w, summing *m, lg_ast *c) {
    m->where = m->where ? binary(w, m->where, "and", c) : c;
}

static lg_ast *summed(writer *w, const summing *m, const lg_ast *callee, lg_ast *body) {
    if (m->n) {
        lg_ast *head = node(w, LG_A_INDEX, 1);
        head->kid[0] = (lg_ast *)(uintptr_t)callee;
        for (int i = 0; i < m->n; i++)
            lg_ast_add(w->arena, head, binder(w, &w->index.at[m->first + (size_t)i]));
        if (m->where) {
            lg_ast *where = node(w, LG_A_WHERE, 1);
            where->kid[0] = m->where;
            lg_ast_add(w->arena, head, where);
        }
        lg_ast *call = node(w, LG_A_CALL, 2);
        call->kid[0] = head;
        call->kid[1] = body;
        body = call;
    } else if (m->where) {
        body = choice(w, m->where, body, number(w, 0, false));
    }
    w->index.n = m->first;
    return body;
}

static lg_ast *sum_word(writer *w) {
    return name(w, lg_intern("sum"));
}

/* The adjoint of a view: what lands at these subscripts, added up. */
static lg_ast *unview(writer *w, const scope *sc, const lg_node *x, subs s) {
    const lg_affine *m = x->attr.affine;
    const lg_type *dy = x->in[0]->type;
    summing sum = {.first = w->index.n};
    subs out = {{0}};
    bool met[LG_MAX_RANK] = {false};
    for (int a = 0; a < m->rank_in; a++) { /* axes that are one index each */
        int only = -1, n = 0;
        for (int o = 0; o < m->rank_out; o++)
            if (m->coef[a * m->rank_out + o]) {
                only = o;
                n++;
            }
        int64_t k = n == 1 ? m->coef[a * m->rank_out + only] : 0;
        if ((k != 1 && k != -1) || out.at[only])
            continue;
        met[a] = true;
        out.at[only] = k == 1 ? offset(w, s.at[a], -m->off[a])
                              : binary(w, integer(w, m->off[a]), "-", s.at[a]);
        /* out.at runs from 0 to n: which s.at are those? */
        int64_t n_out = dy->shape[only], lo = k == 1 ? m->off[a] : m->off[a] - n_out + 1;
        if (lo > 0)
            add_condition(w, &sum, binary(w, s.at[a], ">=", integer(w, lo)));
        if (lo + n_out < x->type->shape[a])
            add_condition(w, &sum, binary(w, s.at[a], "<", integer(w, lo + n_out)));
    }
    for (int o = 0; o < m->rank_out; o++)
        if (!out.at[o]) {
            out.at[o] = open_index(w, dy->shape[o]);
            sum.n++;
        }
    for (int a = 0; a < m->rank_in; a++) {
        if (met[a])
            continue;
        lg_ast *e = integer(w, 0);
        for (int o = 0; o < m->rank_out; o++)
            if (m->coef[a * m->rank_out + o])
                e = plus(w, e, times(w, out.at[o], m->coef[a * m->rank_out + o]));
        e = offset(w, e, m->off[a]);
        if (x->type->shape[a] != 1)
            add_condition(w, &sum,
                          is_integer(e, 0) ? binary(w, s.at[a], "==", e)
                                           : binary(w, e, "==", s.at[a]));
    }
    return summed(w, &sum, sum_word(w), of(w, sc, x->in[0], out));
}

/* Row-major positions: groups of dims with equal products are dealt with one by one. */
static lg_ast *reshape(writer *w, const scope *sc, const lg_node *x, subs s) {
    const lg_type *to = x->type, *from = x->in[0]->type;
    subs in = {{0}};
    int o = 0, a = 0;
    while (a < from->rank) {
        int o0 = o, a0 = a;
        int64_t po = 1, pa = from->shape[a++];
        while (o < to->rank && po < pa)
            po *= to->shape[o++];
        while (po != pa) {
            if (po < pa && o < to->rank)
                po *= to->shape[o++];
            else if (a < from->rank)
                pa *= from->shape[a++];
            else
                return unknown(w, x);
        }
        lg_ast *line = integer(w, 0);
        for (int k = o0; k < o; k++)
            line = to->shape[k] == 1 ? line : plus(w, times(w, line, to->shape[k]), s.at[k]);
        int64_t stride = pa;
        for (int k = a0; k < a; k++) {
            stride /= from->shape[k] ? from->shape[k] : 1;
            lg_ast *e = stride == 1 ? line : binary(w, line, "//", integer(w, stride));
            bool first = k == a0, small = from->shape[k] == 1;
            in.at[k] = small   ? integer(w, 0)
                       : first ? e
                               : binary(w, e, "%", integer(w, from->shape[k]));
        }
    }
    return of(w, sc, x->in[0], in);
}

static lg_ast *reduce(writer *w, const scope *sc, const lg_node *x, subs s) {
    summing m = {.first = w->index.n};
    const lg_type *from = x->in[0]->type;
    subs in = {{0}};
    for (int a = 0, o = 0; a < from->rank; a++)
        if (x->attr.axes_mask >> a & 1) {
            in.at[a] = open_index(w, from->shape[a]);
            m.n++;
        } else {
            in.at[a] = s.at[o++];
        }
    lg_ast *like = x->op->example ? path(w, x->op->example) : NULL;
    if (!like || like->kind != LG_A_CALL)
        return unknown(w, x);
    return summed(w, &m, like->kid[0], of(w, sc, x->in[0], in));
}

static lg_ast *dot(writer *w, const scope *sc, const lg_node *x, subs s) {
    int rank = x->type->rank;
    summing m = {.n = 1, .first = w->index.n};
    subs a = s, b = s;
    lg_ast *k = open_index(w, x->in[0]->type->shape[rank - 1]);
    a.at[rank - 1] = b.at[rank - 2] = k;
    lg_ast *left = of(w, sc, x->in[0], a);
    return summed(w, &m, sum_word(w), binary(w, left, "*", of(w, sc, x->in[1], b)));
}

static lg_ast *cumulated(writer *w, const scope *sc, const lg_node *x, subs s) {
    if (!(x->op->traits & LG_T_LINEAR))
        return unknown(w, x);
    summing m = {.n = 1, .first = w->index.n};
    lg_ast *k = open_index(w, x->type->shape[x->attr.axis]);
    add_condition(w, &m, binary(w, k, x->attr.rev ? ">=" : "<=", s.at[x->attr.axis]));
    s.at[x->attr.axis] = k;
    return summed(w, &m, sum_word(w), of(w, sc, x->in[0], s));
}

/* x[b.., i1..ik, t..], idx[b.., o..] -> [b.., o.., t..] */
static lg_ast *gather(writer *w, const scope *sc, const lg_node *x, subs s) {
    int nb = x->attr.nb, ni = x->attr.ni, rest = x->in[0]->type->rank - nb - ni,
        no = x->type->rank - nb - rest;
    subs in = {{0}};
    for (int k = 0; k < nb; k++)
        in.at[k] = s.at[k];
    for (int k = 0; k < ni; k++)
        in.at[nb + k] = of(w, sc, x->in[1 + k], s);
    for (int k = 0; k < rest; k++)
        in.at[nb + ni + k] = s.at[nb + no + k];
    return of(w, sc, x->in[0], in);
}

/* base plus what the rows with these numbers bring */
static lg_ast *scatter(writer *w, const scope *sc, const lg_node *x, subs s) {
    if (!(x->op == &lg_op_scatter_add))
        return unknown(w, x);
    int nb = x->attr.nb, ni = x->attr.ni, rest = x->type->rank - nb - ni;
    const lg_node *upd = x->in[1 + ni];
    int no = upd->type->rank - nb - rest;
    lg_ast *base = of(w, sc, x->in[0], s);
    summing m = {.n = no, .first = w->index.n};
    subs u = {{0}};
    for (int k = 0; k < nb; k++)
        u.at[k] = s.at[k];
    for (int k = 0; k < no; k++)
        u.at[nb + k] = open_index(w, upd->type->shape[nb + k]);
    for (int k = 0; k < rest; k++)
        u.at[nb + no + k] = s.at[nb + ni + k];
    for (int k = 0; k < ni; k++)
        add_condition(w, &m, binary(w, of(w, sc, x->in[1 + k], u), "==", s.at[nb + k]));
    lg_ast *sum = summed(w, &m, sum_word(w), of(w, sc, upd, u));
    bool nothing = base->kind == LG_A_NUM && base->num == 0;
    return nothing ? sum : binary(w, base, "+", sum);
}

static lg_ast *concat(writer *w, const scope *sc, const lg_node *x, subs s) {
    int axis = x->attr.axis;
    lg_ast *i = s.at[axis], *e = NULL;
    int64_t end = x->type->shape[axis];
    for (int k = x->n_in; k-- > 0;) {
        int64_t beg = end - x->in[k]->type->shape[axis];
        s.at[axis] = offset(w, i, -beg);
        lg_ast *part = of(w, sc, x->in[k], s);
        e = e ? choice(w, binary(w, i, "<", integer(w, end)), part, e) : part;
        end = beg;
    }
    return e ? e : unknown(w, x);
}

static lg_ast *branch(writer *w, const scope *sc, const lg_node *c, int item, subs s) {
    const lg_graph *g[2] = {c->attr.cond->then_, c->attr.cond->else_};
    lg_ast *e[2];
    for (int k = 0; k < 2; k++) {
        scope inner = {g[k], c->in + 1, sc};
        e[k] = of(w, &inner, g[k]->output.at[item].node, s);
    }
    return choice(w, of(w, sc, c->in[0], (subs){{0}}), e[0], e[1]);
}

static lg_ast *input(writer *w, const scope *sc, const lg_node *x, subs s) {
    if (sc->up)
        return of(w, sc->up, sc->in[x->attr.slot], s);
    int k = x->attr.slot;
    return k < w->of->n_names ? subscripted(w, path(w, w->of->name[k]), x->type->rank, &s)
                              : unknown(w, x);
}

static lg_ast *cast(writer *w, const scope *sc, const lg_node *x, subs s) {
    lg_ast *t = node(w, LG_A_CALL, 2);
    t->kid[0] = name(w, lg_intern(lg_dtype_name(x->type->dtype)));
    t->kid[1] = of(w, sc, x->in[0], s);
    return t;
}

static lg_ast *formula(writer *w, const scope *sc, const lg_node *x, subs s) {
    switch (x->op->cls) {
    case LG_C_INPUT:
        return input(w, sc, x, s);
    case LG_C_CONST:
        return constant(w, x);
    case LG_C_IOTA:
        return s.at[x->attr.axis];
    case LG_C_ELEM:
        return elementwise(w, sc, x, s);
    case LG_C_CAST:
        return cast(w, sc, x, s);
    case LG_C_VIEW:
        return view(w, sc, x, s);
    case LG_C_UNVIEW:
        return unview(w, sc, x, s);
    case LG_C_RESHAPE:
        return reshape(w, sc, x, s);
    case LG_C_REDUCE:
        return reduce(w, sc, x, s);
    case LG_C_CUM:
        return cumulated(w, sc, x, s);
    case LG_C_DOT:
        return dot(w, sc, x, s);
    case LG_C_GATHER:
        return gather(w, sc, x, s);
    case LG_C_SCATTER:
        return scatter(w, sc, x, s);
    case LG_C_CONCAT:
        return concat(w, sc, x, s);
    case LG_C_COND:
        return branch(w, sc, x, 0, s);
    case LG_C_ITEM:
        return x->in[0]->op->cls == LG_C_COND ? branch(w, sc, x->in[0], x->attr.axis, s)
                                              : unknown(w, x);
    case LG_C_MARK:
        return of(w, sc, x->in[0], s);
    case LG_C_RAND:
    case LG_C_KERNEL:
    case LG_C_SCAN:
    case LG_C_REQUIRE:
        break;
    }
    return unknown(w, x);
}

/* ---- statements ---- */

static lg_sym next_name(writer *w) {
    lg_sym s = NULL;
    while (!s || w->of->taken(w->of->ctx, s))
        s = lg_intern(lg_arena_printf(w->arena, "t%d", ++w->n_lets));
    return s;
}

/* `let NAME[i, j] = ...` for a node of the whole graph; NULL: a name is found. Gives the name. */
static lg_sym statement(writer *w, const scope *root, const lg_node *x, lg_sym called) {
    size_t before = w->index.n;
    lg_ast *let = node(w, LG_A_LET, 2);
    subs s = {{0}};
    LG_VEC(bound) outside = {0}; /* indices of the place that asked are not seen here */
    for (size_t i = 0; i < before; i++)
        LG_PUSH(outside, w->index.at[i]);
    w->index.n = 0;
    for (int i = 0; i < x->type->rank; i++)
        s.at[i] = open_index(w, x->type->shape[i]);
    lg_ast *e = lg_formula_tidy(w->arena, formula(w, root, x, s));
    called = called ? called : next_name(w);
    lg_ast *p = node(w, x->type->rank ? LG_A_INDEXPAT : LG_A_NAME, (uint32_t)x->type->rank);
    p->name = called;
    for (int i = 0; i < x->type->rank; i++)
        p->kid[i] = binder(w, &w->index.at[i]);
    let->kid[0] = p;
    let->kid[1] = e;
    w->index.n = 0;
    for (size_t i = 0; i < outside.n; i++)
        LG_PUSH(w->index, outside.at[i]);
    lg_free(outside.at);
    lg_ast_add(w->arena, w->block, let);
    return called;
}

static bool moves_nothing(const lg_node *x) {
    lg_class c = x->op->cls;
    return c == LG_C_INPUT || c == LG_C_IOTA || c == LG_C_MARK || c == LG_C_CAST ||
           c == LG_C_VIEW || c == LG_C_RESHAPE || c == LG_C_GATHER || c == LG_C_CONST ||
           c == LG_C_ITEM;
}

/* Short enough to be written wherever it is used. */
static bool is_short(const writer *w, const lg_node *x) {
    if (x->op->cls != LG_C_ELEM || (x->type->dtype != LG_BOOL && x->n_in > 1))
        return false;
    for (int k = 0; k < x->n_in; k++) {
        const lg_node *in = x->in[k];
        while (in->op->cls == LG_C_VIEW || in->op->cls == LG_C_MARK)
            in = in->in[0];
        bool named = in->op->cls == LG_C_INPUT || in->op->cls == LG_C_IOTA ||
                     (in->op->cls == LG_C_CONST && !in->type->rank) || w->uses[in->id] > 1;
        if (!named)
            return false;
    }
    return x->type->dtype == LG_BOOL || (x->op->traits & LG_T_CHEAP);
}

static bool is_shared(const writer *w, const lg_node *x) {
    return !moves_nothing(x) && w->uses[x->id] > 1 && !is_short(w, x);
}

static lg_ast *of(writer *w, const scope *sc, const lg_node *x, subs s) {
    bool shared = !sc->up && is_shared(w, x);
    bool listed = !sc->up && x->op->cls == LG_C_CONST && x->type->rank;
    if (!shared && !listed)
        return formula(w, sc, x, s);
    if (!w->let[x->id]) {
        if (listed) {
            lg_sym called = w->let[x->id] = next_name(w);
            lg_ast *let = node(w, LG_A_LET, 2);
            let->kid[0] = name(w, called);
            let->kid[1] = constant(w, x);
            lg_ast_add(w->arena, w->block, let);
        } else {
            w->let[x->id] = statement(w, sc, x, NULL);
        }
    }
    return subscripted(w, name(w, w->let[x->id]), x->type->rank, &s);
}

lg_ast *lg_formula(const lg_formula_of *o, int n_out, const char *const *result,
                   const lg_node **why) {
    writer w = {.of = o, .arena = o->E->arena};
    size_t n = o->g->node.n;
    scope root = {.g = o->g};
    w.block = lg_ast_new(w.arena, LG_A_BLOCK, (lg_span){0}, 0);
    w.let = LG_NEW_N(w.arena, lg_sym, n + 1);
    w.uses = LG_NEW_N(w.arena, int, n + 1);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < o->g->node.at[i]->n_in; k++)
            w.uses[o->g->node.at[i]->in[k]->id]++;
    for (int k = 0; k < n_out && !w.unknown; k++)
        statement(&w, &root, o->g->output.at[k].node, lg_intern(result[k]));
    lg_free(w.index.at);
    *why = w.unknown;
    return w.unknown ? NULL : w.block;
}
