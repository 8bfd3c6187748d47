/* grad_rule.c: derivative rules written in the language: those of ops (text in their descriptors,
 * parsed when the project is built) and those of declarations (`with vjp`), and values that are
 * computed again in the backward pass. Not for the operators of programs (derive.c). */
#include "compiler/mid/adjoint.h"
#include "compiler/mid/embedded.h"
#include "compiler/mid/rule.h"
#include <ctype.h>
#include <string.h>

/* ---- rules of ops ---- */

typedef struct rule_row {
    const lg_op *op;
    const lg_embedded_rule *text;
    const lg_ast *tree;
    struct rule_row *next;
} rule_row;
static rule_row *rules[256];
static lg_arena *rule_trees; /* for the whole process: the rules never change */

static size_t slot_of(const char *op) {
    return (size_t)(lg_hash(op, strlen(op), 11) & 255);
}

static void index_rules(void) {
    lg_arena *made = lg_arena_new();
    memset(rules, 0, sizeof rules); /* of an attempt that memory ran out for */
    for (const lg_embedded_rule *e = lg_op_rules; e->op; e++) {
        rule_row *r = LG_NEW(made, rule_row);
        size_t s = slot_of(e->op);
        *r = (rule_row){lg_op_find(e->op), e, NULL, rules[s]};
        rules[s] = r;
    }
    rule_trees = made;
}

static const lg_ast *rule_of(const lg_op *op, int k) {
    if (!rule_trees)
        index_rules();
    for (rule_row *r = rules[slot_of(op->name)]; r; r = r->next)
        if (r->op == op && r->text->k == k) {
            if (!r->tree)
                r->tree = lg_ast_read(rule_trees, r->text->tree, r->text->n, 0);
            return r->tree;
        }
    return NULL;
}

/* The names of the inputs in "(x: F[...S], n: i64) -> F": true while there is another. */
static bool next_input(const char **at, lg_sym *name) {
    const char *p = *at;
    int depth = *p == '(' ? 0 : 1; /* behind an input we are inside the parentheses */
    for (; *p; p++) {
        depth += *p == '(' || *p == '[' || *p == '{';
        depth -= *p == ')' || *p == ']' || *p == '}';
        if (depth == 0 && *p == ')')
            return false;
        if (depth == 1 && (isalpha((unsigned char)*p) || *p == '_')) {
            size_t n = 0;
            while (isalnum((unsigned char)p[n]) || p[n] == '_')
                n++;
            if (p[n] == ':') {
                *name = lg_intern_n(p, n);
                p += n;
                while (*p && !(depth == 1 && *p == ',')) { /* to the next input */
                    depth += *p == '(' || *p == '[' || *p == '{';
                    depth -= *p == ')' || *p == ']' || *p == '}';
                    if (!depth)
                        break;
                    p++;
                }
                *at = p;
                return true;
            }
            p += n - 1;
        }
    }
    return false;
}

/* A node as a value whose dims are its sizes. */
static lg_value *value_of(lg_elab *E, lg_node *x) {
    lg_dim *dim[LG_MAX_RANK];
    const lg_type *t = &x->type[0];
    for (int d = 0; d < t->rank; d++)
        dim[d] = lg_dim_num(E->dims, t->shape[d]);
    return lg_v_tensor(E, t->dtype, t->rank, dim, x, x->span);
}

/* A value as a node of that type: numbers and scalars fill it. NULL when it is something else. */
static lg_node *node_of(lg_elab *E, lg_value *v, const lg_type *t, lg_span at) {
    if (v->kind == LG_V_NUM)
        return v->num.known ? lg_g_fill(E->g, *t, v->num.d, at) : NULL;
    if (v->kind != LG_V_TENSOR)
        return NULL;
    lg_node *x = lg_g_cast(E->g, lg_import(E, v->t.node), t->dtype, at);
    if (x->type[0].rank == 0 && t->rank) {
        int from[LG_MAX_RANK];
        for (int o = 0; o < t->rank; o++)
            from[o] = -1;
        x = lg_g_broadcast(E->g, x, t->rank, t->shape, from, at);
    }
    return lg_type_equal(&x->type[0], t) ? x : NULL;
}

/* A result of a reduction, shaped as what was reduced. */
static lg_node *over_axes(lg_graph *g, const lg_node *y, lg_node *d) {
    if (y->op->cls != LG_C_REDUCE)
        return d;
    const lg_type *x = &y->in[0]->type[0];
    int from[LG_MAX_RANK], k = 0;
    for (int o = 0; o < x->rank; o++)
        from[o] = y->attr.axes_mask >> o & 1 ? -1 : k++;
    return lg_g_broadcast(g, d, x->rank, x->shape, from, y->span);
}

bool lg_adjoint_text(lg_adjoint *a, lg_node *y, lg_node *dy) {
    lg_elab *E = a->E;
    lg_frame *f = lg_frame_new(E, LG_F_FN, NULL);
    f->float_dtype = y->type[0].dtype;
    f->call_at = y->span;
    lg_bind(E, f, lg_intern("dy"), value_of(E, over_axes(a->g, y, dy)), y->span);
    lg_bind(E, f, lg_intern("y"), value_of(E, over_axes(a->g, y, y)), y->span);
    const char *sig = y->op->sig;
    lg_sym name;
    for (int k = 0; k < y->n_in && next_input(&sig, &name); k++)
        lg_bind(E, f, name, value_of(E, y->in[k]), y->span);
    for (int k = 0; k < y->n_in && k < 4; k++) {
        if (!y->op->vjp[k] || !lg_adjoint_wants(a, y->in[k]))
            continue;
        const lg_ast *rule = rule_of(y->op, k);
        size_t made = E->g->node.n;
        lg_value *v = rule ? lg_expr_in(E, f, rule) : lg_v_error(E, y->span);
        lg_node *d = node_of(E, v, &y->in[k]->type[0], y->span);
        for (; made < E->g->node.n; made++) /* the text of the rule has no place of its own */
            if (!E->g->node.at[made]->span.file)
                E->g->node.at[made]->span = y->span;
        if (!d) {
            if (v->kind != LG_V_ERROR || !E->diags->errors)
                lg_err(E, "E0501", y->span.file ? y->span : a->at,
                       "the derivative rule of `%s` gives %s", y->op->name, lg_v_type_text(E, v));
            return false;
        }
        lg_adjoint_add(a, y->in[k], 0, d);
    }
    return true;
}

/* ---- rules of declarations ---- */

static bool same_call(const lg_node *a, const lg_node *b) {
    if (a->attr.rule != b->attr.rule || a->n_in != b->n_in)
        return false;
    for (int k = 1; k < a->n_in; k++)
        if (a->in[k] != b->in[k])
            return false;
    return true;
}

/* The results of one call stand next to each other; y is the last of them that has a cotangent. */
static void take_cotangents(lg_adjoint *a, lg_node *y, lg_node **dy) {
    for (size_t i = y->id + 1; i-- > 0;) {
        lg_node *n = a->g->node.at[i];
        if (n->op->cls != LG_C_MARK || !n->attr.rule || !same_call(n, y) || lg_adjoint_is_x(a, n))
            break;
        if (a->cot[i] && !dy[n->attr.axis])
            dy[n->attr.axis] = a->cot[i][0];
        if (i != y->id) {
            lg_free(a->cot[i]);
            a->cot[i] = NULL;
        }
    }
}

bool lg_adjoint_custom(lg_adjoint *a, lg_node *y) {
    const lg_rule *rule = y->attr.rule;
    const lg_graph *body = rule->body;
    lg_node **map = lg_alloc(sizeof *map * (body->node.n + 1));
    lg_node **dy = lg_alloc(sizeof *dy * (size_t)(rule->n_dy + 1));
    take_cotangents(a, y, dy);
    for (size_t k = 0; k < body->input.n; k++) {
        lg_node *in = body->input.at[k];
        if ((int)k >= rule->n_dy)
            map[in->id] = y->in[1 + (int)k - rule->n_dy];
        else
            map[in->id] = dy[k] ? dy[k] : lg_adjoint_zeros(a->g, in->type, y->span);
    }
    int n = (int)body->output.n;
    lg_node **out = lg_alloc(sizeof *out * (size_t)(n + 1));
    for (int k = 0; k < n; k++)
        if (lg_adjoint_wants(a, y->in[rule->target[k]]))
            out[k] = body->output.at[k].node;
    lg_graph_copy(a->g, body, map, n, out);
    for (int k = 0; k < n; k++)
        if (out[k])
            lg_adjoint_add(a, y->in[rule->target[k]], 0, map[out[k]->id]);
    lg_free(out);
    lg_free(dy);
    lg_free(map);
    return true;
}

/* ---- computed again ---- */

bool lg_adjoint_remat(lg_adjoint *a, lg_node *y, lg_node *dy) {
    int n = y->n_in - 1, n_x = 0;
    for (int k = 1; k <= n; k++)
        n_x += lg_adjoint_wants(a, y->in[k]);
    if (!n_x) { /* the pass ends inside what is computed again: its values are there anyway */
        lg_adjoint_add(a, y->in[0], 0, dy);
        return true;
    }
    lg_node **to = lg_alloc(sizeof *to * (size_t)(3 * n + 1)), **x = to + n, **dx = x + n;
    for (int k = 0; k < n; k++) {
        to[k] = lg_g_barrier(a->g, y->in[k + 1], dy, y->span);
        x[k] = lg_adjoint_wants(a, y->in[k + 1]) ? to[k] : NULL;
    }
    lg_node *again = y->in[0];
    lg_graph_replay(a->g, n, y->in + 1, to, 1, &again);
    bool ok = lg_grad_vjp(a->E, a->g, 1, &again, &dy, n, x, dx, a->at);
    for (int k = 0; ok && k < n; k++)
        lg_adjoint_add(a, y->in[k + 1], 0, dx[k]);
    lg_free(to);
    return ok;
}
