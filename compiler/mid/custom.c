/* custom.c: `with vjp`: the derivative that a declaration gives itself. The rule is evaluated once,
 * where the function is called, checked to be linear in the cotangent, and cut out of the graph
 * into a graph of its own (rule.h), which the marks on the results carry. */
#include "compiler/mid/grad.h"
#include "compiler/mid/rule.h"
#include <string.h>

/* ---- linearity ---- */

/* How a node depends on the cotangent. */
typedef enum { ZERO, FIXED, LINEAR, BENT } bend;

static bool is_zero_const(const lg_node *n) {
    const lg_tensor *t = n->attr.tensor;
    for (size_t i = 0; i < t->n; i++)
        if (lg_get_f64(t->dtype, t->data, i) != 0.0)
            return false;
    return true;
}

static bend joined(bend a, bend b) { /* sums, selections, rows put together */
    if (a == b || b == ZERO)
        return a;
    return a == ZERO ? b : BENT;
}

static bend worst(const lg_node *n, const uint8_t *of, int from) {
    bend all = ZERO;
    for (int k = from; k < n->n_in; k++)
        all = of[n->in[k]->id] > all ? of[n->in[k]->id] : all;
    return all;
}

static bool is_fixed(bend b) {
    return b == ZERO || b == FIXED;
}

/* Ops that are linear in several inputs at once; the others say so by their traits. */
static bend of_elem(const lg_node *n, const uint8_t *of) {
    const lg_op *op = n->op;
    if (op == lg_op_find("add") || op == lg_op_find("sub"))
        return joined(of[n->in[0]->id], of[n->in[1]->id]);
    if (op == lg_op_find("where"))
        return is_fixed(of[n->in[0]->id]) ? joined(of[n->in[1]->id], of[n->in[2]->id]) : BENT;
    bend first = of[n->in[0]->id], others = worst(n, of, 1);
    if (op->traits & LG_T_LINEAR && is_fixed(others))
        return first == LINEAR && others == ZERO && op->traits & LG_T_COMMUTES ? ZERO : first;
    if (op->traits & LG_T_LINEAR && op->traits & LG_T_COMMUTES && is_fixed(first) &&
        others == LINEAR)
        return first == ZERO ? ZERO : LINEAR;
    return is_fixed(first) && is_fixed(others) ? FIXED : BENT;
}

static bool outputs_of(const lg_graph *g, uint8_t *in, bend *out, const lg_node **where);

/* A loop: until its carries do not change. */
static bend of_scan(const lg_node *n, const uint8_t *of, bend *out, const lg_node **where) {
    const lg_scan_attr *s = n->attr.scan;
    size_t n_in = s->body->input.n;
    uint8_t *in = lg_alloc(n_in + 1);
    for (size_t k = 0, o = 0; k < n_in; k++)
        in[k] = k == (size_t)(s->n_carry + s->n_xs) ? FIXED : of[n->in[o++]->id];
    for (bool again = true; again;) {
        again = false;
        outputs_of(s->body, in, out, where);
        for (int k = 0; k < s->n_carry; k++) {
            bend next = joined(in[k], out[k]);
            again = again || next != in[k];
            in[k] = (uint8_t)next;
        }
    }
    bend all = worst(n, of, 0);
    lg_free(in);
    return all;
}

static bend of_cond(const lg_node *n, const uint8_t *of, bend *out, const lg_node **where) {
    const lg_cond_attr *c = n->attr.cond;
    uint8_t *in = lg_alloc((size_t)n->n_in + 1);
    bend *other = lg_alloc(sizeof *other * (size_t)(n->n_out + 1));
    for (int k = 1; k < n->n_in; k++)
        in[k - 1] = of[n->in[k]->id];
    outputs_of(c->then_, in, out, where);
    outputs_of(c->else_, in, other, where);
    for (int k = 0; k < n->n_out; k++)
        out[k] = is_fixed(of[n->in[0]->id]) ? joined(out[k], other[k]) : BENT;
    lg_free(other);
    lg_free(in);
    return worst(n, of, 0);
}

static bend of_node(const lg_node *n, const uint8_t *of) {
    bend first = n->n_in ? of[n->in[0]->id] : FIXED, others = worst(n, of, 1);
    switch (n->op->cls) {
    case LG_C_INPUT:
    case LG_C_IOTA:
        return FIXED;
    case LG_C_CONST:
        return is_zero_const(n) ? ZERO : FIXED;
    case LG_C_ELEM:
        return of_elem(n, of);
    case LG_C_CAST:
        return lg_dtype_is_float(n->type[0].dtype) || is_fixed(first) ? first : BENT;
    case LG_C_VIEW:
    case LG_C_UNVIEW:
    case LG_C_RESHAPE:
    case LG_C_MARK:
        return first;
    case LG_C_REDUCE:
    case LG_C_CUM:
        return n->op->traits & LG_T_LINEAR || is_fixed(first) ? first : BENT;
    case LG_C_DOT:
        if (first == ZERO || others == ZERO)
            return ZERO;
        return is_fixed(first) ? others : is_fixed(others) ? first : BENT;
    case LG_C_GATHER:
        return is_fixed(others) ? first : BENT;
    case LG_C_SCATTER: {
        for (int k = 1; k + 1 < n->n_in; k++)
            if (!is_fixed(of[n->in[k]->id]))
                return BENT;
        return joined(first, of[n->in[n->n_in - 1]->id]);
    }
    case LG_C_CONCAT: {
        bend all = first;
        for (int k = 1; k < n->n_in; k++)
            all = joined(all, of[n->in[k]->id]);
        return all;
    }
    case LG_C_KERNEL:
        return is_fixed(first) && is_fixed(others)               ? FIXED
               : n->op->traits & LG_T_LINEAR && is_fixed(others) ? first
                                                                 : BENT;
    case LG_C_RAND:
    case LG_C_REQUIRE:
    case LG_C_SCAN:
    case LG_C_COND:
    case LG_C_ITEM:
        break;
    }
    return is_fixed(first) && is_fixed(others) ? FIXED : BENT;
}

/* Fills of[] for the nodes beg.. of g; *where: the first node that bends what is linear. */
static void walk(const lg_graph *g, size_t beg, uint8_t *of, const lg_node **where) {
    bend **items = lg_alloc(sizeof *items * (g->node.n + 1));
    for (size_t i = beg; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (of[i]) /* given */
            continue;
        if (n->op->cls == LG_C_SCAN || n->op->cls == LG_C_COND) {
            items[i] = lg_alloc(sizeof **items * (size_t)(n->n_out + 1));
            of[i] = (uint8_t)(n->op->cls == LG_C_SCAN ? of_scan(n, of, items[i], where)
                                                      : of_cond(n, of, items[i], where));
            continue;
        }
        if (n->op->cls == LG_C_ITEM)
            of[i] = (uint8_t)(items[n->in[0]->id] ? items[n->in[0]->id][n->attr.axis]
                                                  : (bend)of[n->in[0]->id]);
        else
            of[i] = (uint8_t)of_node(n, of);
        if (of[i] == BENT && !*where && worst(n, of, 0) != BENT)
            *where = n;
    }
    for (size_t i = beg; i < g->node.n; i++)
        lg_free(items[i]);
    lg_free(items);
}

static bool outputs_of(const lg_graph *g, uint8_t *in, bend *out, const lg_node **where) {
    uint8_t *of = lg_alloc(g->node.n + 1);
    for (size_t k = 0; k < g->input.n; k++)
        of[g->input.at[k]->id] = in[k];
    walk(g, 0, of, where);
    for (size_t k = 0; k < g->output.n; k++)
        out[k] = (bend)of[g->output.at[k].node->id];
    lg_free(of);
    return true;
}

/* ---- the rule's values ---- */

typedef struct {
    lg_elab *E;
    const lg_ast *with; /* the rule */
    const lg_ast *decl;
    lg_frame *f; /* of the call */
    size_t mark; /* nodes of the graph before the rule */
    int n_dy;
    lg_node **dy;               /* its cotangents, by float leaf of the result */
    LG_VEC(lg_node *) from, dx; /* argument leaf and its cotangent */
} custom;

static bool is_float_leaf(const lg_value *v) {
    return v->kind == LG_V_TENSOR && lg_dtype_is_float(v->t.dtype);
}

/* dy: the result's structure, each float leaf a value of its own. */
static lg_value *cotangent(custom *c, lg_value *result) {
    lg_elab *E = c->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, result, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n + 1);
    c->dy = LG_NEW_N(E->arena, lg_node *, n + 1);
    for (int k = 0; k < n; k++) {
        out[k] = leaf[k].value;
        if (!is_float_leaf(leaf[k].value))
            continue;
        out[k] = lg_v_copy(E, leaf[k].value);
        out[k]->t.weak = false;
        if (E->g) {
            const lg_type *t = &lg_import(E, leaf[k].value->t.node)->type[0];
            lg_node *zero = lg_g_fill(E->g, *t, 0, result->at);
            out[k]->t.node = c->dy[c->n_dy] = lg_g_mark(E->g, &lg_op_alias, zero, NULL, result->at);
        }
        c->n_dy++;
    }
    return lg_v_rebuild(E, result, out);
}

/* v with the open indices and dims of like: what like does not have is summed over. */
static lg_node *shaped_as(lg_elab *E, lg_value *v, const lg_value *like) {
    lg_node *x = lg_import(E, v->t.node);
    uint32_t extra = 0;
    int n_open = 0;
    lg_index *open[LG_MAX_RANK];
    for (int i = 0; i < v->t.n_open; i++) {
        bool has = false;
        for (int j = 0; j < like->t.n_open; j++)
            has = has || like->t.open[j] == v->t.open[i];
        if (has)
            open[n_open++] = v->t.open[i];
        else
            extra |= 1u << i;
    }
    if (extra)
        x = lg_g_reduce(E->g, lg_op_find("sum"), x, extra, v->at);
    lg_value *y = lg_v_open(E, v->t.dtype, n_open, open, v->t.rank, v->t.dim, x, v->at);
    return lg_node_as(E, y, like->t.n_open, like->t.open, like->t.rank, like->t.dim, v->at);
}

static bool wrong_leaf(custom *c, const lg_value *d, const lg_value *x, lg_sym name,
                       const char *path) {
    lg_diag *e = lg_err(c->E, "E0507", d->at.file ? d->at : c->with->span,
                        "the derivative of `%s%s%s` is %s, but `%s` is %s", name, *path ? "." : "",
                        path, lg_v_type_text(c->E, d), name, lg_v_type_text(c->E, x));
    lg_diag_help(e, "a cotangent has the type of its input");
    return false;
}

static bool one_leaf(custom *c, lg_value *d, lg_value *x, lg_sym name, const char *path) {
    lg_elab *E = c->E;
    if (d->kind == LG_V_ERROR || x->kind == LG_V_OPAQUE || d->kind == LG_V_OPAQUE)
        return d->kind != LG_V_ERROR;
    bool fills = d->kind == LG_V_NUM; /* no scalar that was computed: a sum too many */
    if (d->kind == LG_V_NUM)
        d = lg_to_tensor(E, d, is_float_leaf(x) ? x->t.dtype : LG_F64, d->at);
    if (!is_float_leaf(x)) /* a number, an integer: nothing is differentiated there */
        return x->kind == LG_V_NUM || x->kind == LG_V_TENSOR || wrong_leaf(c, d, x, name, path);
    if (d->kind != LG_V_TENSOR || (!fills && d->t.rank != x->t.rank))
        return wrong_leaf(c, d, x, name, path);
    for (int i = 0; i < d->t.rank; i++)
        if (!lg_dims_match(d->t.dim[i], x->t.dim[i]))
            return wrong_leaf(c, d, x, name, path);
    if (!E->g)
        return true;
    lg_value *y = d->t.dtype == x->t.dtype ? d : lg_cast(E, d, x->t.dtype, d->at);
    lg_node *dx = shaped_as(E, y, x);
    LG_PUSH(c->from, lg_import(E, x->t.node));
    LG_PUSH(c->dx, dx);
    return true;
}

static bool is_parameter(const lg_ast *decl, lg_sym name) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (params->kid[i]->name == name)
            return true;
    return false;
}

/* Where the rule names an input. */
static lg_span name_at(const custom *c, const lg_field *d) {
    const lg_ast *body = c->with->kid[1];
    for (uint32_t i = 0; body->kind == LG_A_RECORD && i < body->n; i++)
        if (body->kid[i]->name == d->name && body->kid[i]->name_span.file)
            return body->kid[i]->name_span;
    return d->at.file ? d->at : c->with->span;
}

static bool one_input(custom *c, const lg_field *d) {
    lg_elab *E = c->E;
    lg_binding *b = lg_find_local(c->f, d->name, false);
    if (!b && c->f->up && c->f->up->decl == c->decl) /* states stand in a frame of their own */
        b = lg_find_local(c->f->up, d->name, false);
    if (!b || b->is_let || !is_parameter(c->decl, d->name)) {
        lg_diag *e = lg_err(E, "E0507", name_at(c, d), "`%s` is not an input of `%s`", d->name,
                            c->decl->name);
        lg_diag_help(e,
                     "the rule gives a record {input: cotangent}; inputs left out are constants");
        return false;
    }
    lg_value *x = lg_force(E, c->f, b, d->at);
    lg_leaf *dl, *xl;
    int n = lg_v_leaves(E, d->value, &dl), nx = lg_v_leaves(E, x, &xl);
    if (n != nx)
        return wrong_leaf(c, d->value, x, d->name, "");
    for (int k = 0; k < n; k++)
        if (!one_leaf(c, dl[k].value, xl[k].value, d->name, xl[k].path))
            return false;
    return true;
}

/* ---- cutting the rule out ---- */

static bool check_linear(custom *c) {
    lg_graph *g = c->E->g;
    uint8_t *of = lg_alloc(g->node.n + 1);
    for (size_t i = 0; i < c->mark; i++)
        of[i] = FIXED;
    for (int k = 0; k < c->n_dy; k++)
        of[c->dy[k]->id] = LINEAR;
    const lg_node *where = NULL;
    walk(g, c->mark, of, &where);
    bool ok = true;
    for (size_t k = 0; k < c->dx.n && ok; k++) {
        bend b = (bend)of[c->dx.at[k]->id];
        ok = b == LINEAR || b == ZERO;
        if (ok)
            continue;
        lg_span at = b == BENT && where && where->span.file ? where->span : c->with->span;
        lg_diag *d = lg_err(c->E, "E0506", at, "the rule of `%s` is not linear in the cotangent",
                            c->decl->name);
        lg_diag_note(d, b == BENT ? "here it enters in another way than as a factor or a term"
                                  : "with a zero cotangent it does not give zero");
    }
    lg_free(of);
    return ok;
}

/* The nodes that the rule made become its graph; what it found becomes inputs of that graph. */
static lg_rule *cut_out(custom *c, lg_node ***uses, int *n_uses) {
    lg_graph *g = c->E->g;
    lg_rule *r = LG_NEW(g->arena, lg_rule);
    r->body = lg_graph_new(g);
    r->n_dy = c->n_dy;
    lg_node **map = lg_alloc(sizeof *map * (g->node.n + 1));
    uint8_t *need = lg_alloc(g->node.n + 1);
    for (int k = 0; k < c->n_dy; k++)
        map[c->dy[k]->id] = lg_g_input(r->body, c->dy[k]->type[0], c->dy[k]->span);
    for (size_t k = 0; k < c->dx.n; k++)
        need[c->dx.at[k]->id] = 1;
    LG_VEC(lg_node *) found = {0};
    for (size_t i = g->node.n; i-- > 0;) {
        lg_node *n = g->node.at[i];
        if (!need[i] || map[i])
            continue;
        bool item = n->op->cls == LG_C_ITEM && n->in[0]->id < c->mark;
        if (i < c->mark || item || n->op->cls == LG_C_INPUT) {
            map[i] = lg_g_input(r->body, n->type[0], n->span);
            LG_PUSH(found, n);
            continue;
        }
        for (int k = 0; k < n->n_in; k++)
            need[n->in[k]->id] = 1;
    }
    int n = (int)c->dx.n;
    lg_graph_copy(r->body, g, map, n, c->dx.at);
    r->target = LG_NEW_N(g->arena, int, n + 1);
    *n_uses = (int)found.n;
    *uses = LG_NEW_N(g->arena, lg_node *, found.n + (size_t)n + 1);
    for (size_t k = 0; k < found.n; k++)
        (*uses)[k] = found.at[k];
    for (int k = 0; k < n; k++) {
        lg_g_output(r->body, map[c->dx.at[k]->id], -1, NULL);
        (*uses)[*n_uses] = c->from.at[k];
        r->target[k] = 1 + (*n_uses)++;
    }
    lg_free(found.at);
    lg_free(need);
    lg_free(map);
    return r;
}

static lg_value *marked(custom *c, lg_value *result) {
    lg_elab *E = c->E;
    lg_node **in;
    int n_uses, leaf_no = 0;
    lg_rule *r = cut_out(c, &in, &n_uses);
    lg_node **all = LG_NEW_N(E->arena, lg_node *, n_uses + 1);
    memcpy(all + 1, in, sizeof *all * (size_t)n_uses);
    lg_leaf *leaf;
    int n = lg_v_leaves(E, result, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int k = 0; k < n; k++) /* imported first: the marks stand next to each other */
        if (is_float_leaf(leaf[k].value))
            lg_import(E, leaf[k].value->t.node);
    for (int k = 0; k < n; k++) {
        out[k] = leaf[k].value;
        if (!is_float_leaf(leaf[k].value))
            continue;
        out[k] = lg_v_copy(E, leaf[k].value);
        all[0] = lg_import(E, leaf[k].value->t.node);
        out[k]->t.node = lg_g_custom(E->g, n_uses + 1, all, r, leaf_no++, c->with->span);
    }
    return lg_v_rebuild(E, result, out);
}

/* ---- the call ---- */

static const lg_ast *find_rule(const lg_ast *decl) {
    const lg_ast *with = decl->n > LG_D_WITH ? decl->kid[LG_D_WITH] : NULL;
    for (uint32_t i = 0; with && i < with->n; i++)
        if (with->kid[i]->kind == LG_A_WITH && with->kid[i]->name == lg_intern("vjp"))
            return with->kid[i];
    return NULL;
}

static lg_value *evaluate(custom *c, lg_value *result) {
    lg_elab *E = c->E;
    const lg_ast *params = c->with->kid[0], *body = c->with->kid[1];
    lg_frame *f = lg_frame_new(E, LG_F_FN, c->f);
    f->decl = c->decl;
    f->scoped = true;
    f->g = E->g;
    f->draw_lane = E->draw_lane;
    f->lanes = E->lanes;
    if (!params || params->n != 1) {
        lg_err(E, "E0507", c->with->span,
               "the rule takes one cotangent: write `with vjp(dy) = ...`");
        return NULL;
    }
    lg_bind(E, f, params->kid[0]->name, cotangent(c, result), params->kid[0]->span);
    lg_bind(E, f, lg_intern("result"), result, result->at);
    lg_frame *was = E->frame;
    E->frame = f;
    lg_value *v = lg_block(E, f, body);
    E->frame = was;
    if (!v || v->kind == LG_V_ERROR)
        return NULL;
    if (v->kind != LG_V_RECORD) {
        lg_diag *d =
            lg_err(E, "E0507", body->span, "the rule gives %s, not a record", lg_v_type_text(E, v));
        lg_diag_help(d, "name the inputs: `with vjp(dy) = {x: ...}`");
        return NULL;
    }
    return v;
}

lg_value *lg_custom_call(lg_elab *E, lg_frame *f, const lg_ast *decl, lg_value *result) {
    custom c = {
        .E = E, .with = find_rule(decl), .decl = decl, .f = f, .mark = E->g ? E->g->node.n : 0};
    if (!c.with || result->kind == LG_V_ERROR)
        return result;
    lg_value *guard = E->guard;
    size_t effects = E->g ? E->g->effect.n : 0;
    E->guard = NULL;
    lg_value *rule = evaluate(&c, result), *marked_result = result;
    bool ok = rule != NULL;
    for (int k = 0; ok && k < rule->rec.n; k++)
        ok = one_input(&c, &rule->rec.f[k]);
    if (ok && !E->g)
        lg_rule_reads_linear(E, c.with, decl);
    else if (ok && check_linear(&c))
        marked_result = marked(&c, result);
    if (E->g)
        E->g->effect.n = effects;
    E->guard = guard;
    lg_free(c.from.at);
    lg_free(c.dx.at);
    return marked_result;
}
