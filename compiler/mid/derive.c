/* derive.c: what a program means by grad, value_and_grad, vjp, jvp, hvp, jacobian and hessian: the
 * point, the value computed from it, and the graph that both stand in. The answers are in
 * operator.c. Two forms: of a function at a point (evaluated here, once for each item of a map),
 * and of a value in view with respect to a binding (found in the graph, or replayed elsewhere). */
#include "compiler/mid/derive.h"
#include "compiler/mid/index.h"
#include "compiler/mid/model.h"
#include "compiler/mid/traced.h"
#include <string.h>

typedef struct {
    lg_sym op;
    lg_value *of, *at, *wrt, *dir;
    const lg_ast *wrt_is; /* the text of wrt */
    lg_span span;
} request;

static const struct {
    const char *name;
    const char *needs; /* a second argument besides the point */
    bool scalar;       /* of one number */
} operators[] = {{"grad", NULL, true},   {"value_and_grad", NULL, true}, {"jvp", "dir", false},
                 {"vjp", "dy", false},   {"hvp", "dir", true},           {"jacobian", NULL, false},
                 {"hessian", NULL, true}};

static const char *needs(lg_sym op) {
    for (size_t i = 0; i < LG_COUNT(operators); i++)
        if (!strcmp(op, operators[i].name))
            return operators[i].needs;
    return NULL;
}

bool lg_is_derivative(lg_sym name) {
    for (size_t i = 0; i < LG_COUNT(operators); i++)
        if (!strcmp(name, operators[i].name))
            return true;
    return !strcmp(name, "remat");
}

/* ---- points ---- */

static lg_value *as_point(lg_elab *E, lg_value *x, lg_span at) {
    x = lg_arrays_within(E, x, at);
    if (x->kind == LG_V_NUM && !x->num.is_bool) {
        x = lg_to_tensor(E, x, E->frame->float_dtype, at);
        if (x->kind == LG_V_TENSOR)
            x->t.weak = false;
    }
    return x;
}

static bool open_has(const lg_value *v, const lg_index *i) {
    for (int k = 0; k < v->t.n_open; k++)
        if (v->t.open[k] == i)
            return true;
    return false;
}

/* A leaf of the point as a variable of its own, for each run of the indices open[]. */
static lg_value *variable(lg_elab *E, lg_value *x, int n_open, lg_index *const *open, lg_span at) {
    if (x->kind == LG_V_NUM && !x->num.is_bool)
        x = as_point(E, x, at);
    if (!lg_leaf_counts(x))
        return x;
    lg_value *outer = lg_v_open(E, x->t.dtype, n_open, open, 0, NULL, NULL, at);
    lg_value *two[] = {x, outer};
    lg_index **all;
    int n = lg_open_union(E, 2, two, &all);
    lg_value *r = lg_v_open(E, x->t.dtype, n, all, x->t.rank, x->t.dim, NULL, x->at);
    r->trace = E->traced ? LG_TRACE_KNOWN | LG_TRACE_DEPENDS : 0;
    if (E->g)
        r->t.node = lg_g_mark(E->g, &lg_op_alias, lg_node_as(E, x, n, all, x->t.rank, x->t.dim, at),
                              NULL, at);
    return r;
}

/* Finds the leaves of x and makes them variables; *arg: the point as the function sees it. */
static void place_point(lg_problem *p, lg_value *x, int n_open, lg_index *const *open,
                        lg_value **arg) {
    lg_elab *E = p->E;
    p->like = x;
    p->n_x = lg_v_leaves(E, x, &p->x);
    p->node = LG_NEW_N(E->arena, lg_node *, p->n_x + 1);
    lg_value **leaf = LG_NEW_N(E->arena, lg_value *, p->n_x + 1);
    for (int k = 0; k < p->n_x; k++) {
        p->x[k].value = leaf[k] = variable(E, p->x[k].value, n_open, open, p->at);
        if (lg_leaf_counts(leaf[k]))
            p->node[k] = leaf[k]->t.node;
    }
    lg_value *rec = lg_v_rebuild(E, x, leaf);
    *arg = x->kind == LG_V_MODEL ? lg_model_at(E, x, rec, p->at) : rec;
    if (x->kind != LG_V_MODEL)
        (*arg)->at = x->at;
}

/* ---- of a function ---- */

/* State is read and not written while a function is evaluated again. */
static lg_value *still_get(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    lg_store *under = s->ctx;
    return under->get(under, E, path, init);
}

static void still_set(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    (void)s;
    (void)E;
    (void)path;
    (void)next;
}

static lg_value *imported(lg_elab *E, lg_value *v) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int k = 0; k < n; k++) {
        out[k] = lg_v_copy(E, leaf[k].value);
        if (out[k]->kind == LG_V_TENSOR)
            out[k]->t.node = lg_import(E, out[k]->t.node);
    }
    return lg_v_rebuild(E, v, out);
}

static void evaluate(lg_problem *p, const request *q, lg_value *x, int n_open,
                     lg_index *const *open, bool again) {
    lg_elab *E = p->E;
    lg_value *arg;
    lg_store *states = E->states, still = {.get = still_get, .set = still_set, .ctx = states};
    place_point(p, x, n_open, open, &arg);
    if (again && states)
        E->states = &still;
    lg_arg a = {NULL, arg, NULL, x->at.file ? x->at : q->span};
    p->y = lg_call_at_home(E, q->of, &a, q->span);
    E->states = states;
    p->y = lg_v_copy(E, p->y);
    p->y->weight = NULL;
    if (E->g && p->y->kind != LG_V_ERROR)
        p->y = imported(E, p->y);
}

/* The indices that the leaves of v have open and that the leaves of the point lack, added to
 * open[]. */
static int missing(lg_problem *p, lg_value *v, int n, lg_index **open) {
    lg_leaf *leaf;
    int n_leaf = v ? lg_v_leaves(p->E, v, &leaf) : 0;
    for (int k = 0; k < n_leaf; k++) {
        const lg_value *x = leaf[k].value;
        for (int i = 0; x->kind == LG_V_TENSOR && i < x->t.n_open; i++) {
            bool have = false, lacks = false;
            for (int j = 0; j < n; j++)
                have = have || open[j] == x->t.open[i];
            for (int j = 0; j < p->n_x; j++)
                lacks = lacks ||
                        (lg_leaf_counts(p->x[j].value) && !open_has(p->x[j].value, x->t.open[i]));
            if (!have && lacks && n < LG_MAX_RANK)
                open[n++] = x->t.open[i];
        }
    }
    return n;
}

static int by_seq(lg_index **open, int n) {
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && open[j - 1]->seq > open[j]->seq; j--) {
            lg_index *t = open[j];
            open[j] = open[j - 1];
            open[j - 1] = t;
        }
    return n;
}

/* New indices over the dims of v, open in front of nothing else. */
static int basis_of(lg_problem *p, const lg_value *v, int n, lg_index **open) {
    for (int i = 0; i < v->t.rank && n < LG_MAX_RANK; i++)
        open[n++] = lg_index_new(p->E, lg_intern("entry"), v->t.dim[i], p->at);
    return n;
}

/* The dims of v from `from` on as one. */
static lg_value *flattened(lg_elab *E, lg_value *v, int from, lg_span at) {
    lg_dim *dim[LG_MAX_RANK + 1], *all = lg_dim_num(E->dims, 1);
    for (int i = 0; i < v->t.rank; i++)
        if (i < from)
            dim[i] = v->t.dim[i];
        else
            all = lg_dim_mul(E->dims, all, v->t.dim[i]);
    dim[from] = all;
    return lg_reshape(E, v, from + 1, dim, at);
}

/* Matrices by path as one: the entries of a record or model count as one dim, in the order of its
 * paths. `lead`: dims of the other side. A single tensor keeps its dims. */
static lg_value *one_matrix(lg_problem *p, lg_value *by_path, int lead) {
    lg_elab *E = p->E;
    lg_leaf *leaf;
    if (by_path->kind == LG_V_ERROR || !lg_v_is_vector(p->like))
        return by_path;
    int n = lg_v_leaves(E, by_path, &leaf);
    lg_value **part = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int k = 0; k < n; k++) {
        if (leaf[k].value->kind != LG_V_TENSOR)
            return lg_v_error(E, p->at);
        part[k] = flattened(E, leaf[k].value, lead, p->at);
        if (part[k]->kind == LG_V_ERROR)
            return part[k];
    }
    return n ? lg_concat(E, n, part, lead, p->at) : by_path;
}

static lg_value *jacobian(lg_problem *p, const request *q, lg_value *x, int n, lg_index **open) {
    if (p->y->kind == LG_V_NUM)
        p->y = lg_to_tensor(p->E, p->y, p->E->frame->float_dtype, p->at);
    if (p->y->kind != LG_V_TENSOR) {
        if (p->y->kind != LG_V_ERROR && p->y->kind != LG_V_OPAQUE)
            lg_err(p->E, "E0502", p->at,
                   "`jacobian` wants a function with one array as its value, got %s",
                   lg_v_type_text(p->E, p->y));
        return lg_v_error(p->E, p->at);
    }
    int all = basis_of(p, p->y, n, open);
    evaluate(p, q, x, all, open, true);
    return one_matrix(p, lg_problem_jacobian(p, all - n), all - n);
}

/* Rows of a Hessian that is made whole: 3.2 GB in f64, and minutes for its eigenvalues. */
enum { HESSIAN_ROWS = 20000 };

/* Is the matrix too large to be made? Sizes that are not known yet are met when it runs. */
static bool too_large(lg_problem *p) {
    double rows = 0, bytes = 0;
    for (int k = 0; k < p->n_x; k++) {
        const lg_value *x = p->x[k].value;
        double n = 1;
        for (int i = 0; lg_leaf_counts(x) && i < x->t.rank; i++) {
            int64_t size;
            n *= lg_dim_value(x->t.dim[i], &size) ? (double)size : 0;
        }
        if (!lg_leaf_counts(x))
            continue;
        rows += n;
        bytes = (double)lg_dtype_size(x->t.dtype);
    }
    if (rows <= HESSIAN_ROWS)
        return false;
    char room[LG_SIZE_TEXT];
    lg_diag *d = lg_err(p->E, "E0510", p->at, "a Hessian of %.0f rows and columns takes %s", rows,
                        lg_size_text(room, rows * rows * bytes));
    lg_diag_note(d, "`hessian` makes it whole up to %d parameters", HESSIAN_ROWS);
    lg_diag_help(d,
                 "`hvp` multiplies by it without making it: `lanczos(fn (v) = hvp(f, at=x, dir=v), "
                 "v0, 40)` finds its outer eigenvalues");
    return true;
}

static lg_value *hessian(lg_problem *p, const request *q, lg_value *x, int n, lg_index **open) {
    lg_elab *E = p->E;
    if (too_large(p))
        return lg_v_error(E, p->at);
    if (!lg_problem_scalar(p))
        return lg_v_error(E, p->at);
    const lg_leaf *leaf = p->x;
    int n_x = p->n_x, rows = 0;
    bool vector = lg_v_is_vector(x);
    lg_value **row = LG_NEW_N(E->arena, lg_value *, n_x + 1);
    for (int k = 0; k < n_x; k++) {
        if (!lg_leaf_counts(leaf[k].value)) {
            if (leaf[k].value->kind == LG_V_OPAQUE)
                return lg_v_error(E, p->at);
            continue;
        }
        lg_index *o[LG_MAX_RANK];
        memcpy(o, open, sizeof *o * (size_t)n);
        int all = basis_of(p, leaf[k].value, n, o);
        evaluate(p, q, x, all, o, true);
        lg_value *h = one_matrix(p, lg_problem_hessian(p, k, all - n), all - n);
        if (h->kind == LG_V_ERROR || !vector)
            return h;
        lg_dim *dim[2] = {lg_dim_num(E->dims, 1), h->t.dim[h->t.rank - 1]};
        for (int i = 0; i < all - n; i++)
            dim[0] = lg_dim_mul(E->dims, dim[0], h->t.dim[i]);
        row[rows++] = lg_reshape(E, h, 2, dim, p->at);
    }
    return lg_concat(E, rows, row, 0, p->at);
}

static lg_value *both(lg_problem *p, lg_value *grad) {
    if (grad->kind == LG_V_ERROR)
        return grad;
    lg_value *r = lg_v_record(p->E, 0, p->at);
    lg_v_set_field(p->E, r, lg_intern("value"), p->y);
    lg_v_set_field(p->E, r, lg_intern("grad"), grad);
    return r;
}

static lg_value *answer(lg_problem *p, const request *q) {
    if (!strcmp(q->op, "hvp"))
        return lg_problem_hvp(p, q->dir);
    if (!strcmp(q->op, "vjp"))
        return lg_problem_vjp(p, q->dir);
    if (!strcmp(q->op, "jvp"))
        return lg_problem_jvp(p, q->dir);
    lg_value *g = lg_problem_grad(p);
    return strcmp(q->op, "grad") ? both(p, g) : g;
}

/* In a check: does the value depend on the point through something without a derivative? */
static bool is_stuck(lg_elab *E, const request *q, lg_value *x) {
    if (!LG_CHECKING(E) || E->traced || !lg_traced_worth_it(E))
        return false;
    lg_problem p = {.E = E, .op = q->op, .at = q->span};
    lg_traced t = {0};
    struct lg_late *late = E->late;
    E->traced = &t;
    E->diags->muted++;
    evaluate(&p, q, x, 0, NULL, false);
    bool stuck = lg_traced_stuck(E, p.y);
    E->diags->muted--;
    E->traced = NULL;
    E->late = late;
    return stuck && !lg_no_derivative(E, t.name, t.at, q->span);
}

static lg_value *of_function(lg_elab *E, const request *q) {
    lg_problem p = {.E = E, .op = q->op, .at = q->span, .g = E->g};
    lg_value *x = as_point(E, q->at, q->span);
    if (x->kind == LG_V_ERROR)
        return x;
    bool vector = lg_v_is_vector(x);
    if (!vector && !lg_leaf_counts(x)) {
        lg_diag *d = lg_err(E, "E0504", q->at->at, "`%s` cannot differentiate by %s", q->op,
                            lg_v_type_text(E, x));
        lg_diag_help(d,
                     "derivatives are with respect to floats, and to records and models of them");
        return lg_v_error(E, q->span);
    }
    lg_index *open[LG_MAX_RANK];
    p.n_x = lg_v_leaves(E, x, &p.x);
    int n = missing(&p, q->dir, 0, open);
    evaluate(&p, q, x, by_seq(open, n), open, false);
    if (p.y->kind == LG_V_ERROR)
        return p.y;
    if (is_stuck(E, q, x))
        return lg_v_error(E, q->span);
    int more = missing(&p, p.y, n, open);
    if (more > n) /* one gradient an item: the point is a variable of each */
        evaluate(&p, q, x, by_seq(open, n = more), open, true);
    if (!strcmp(q->op, "jacobian"))
        return jacobian(&p, q, x, n, open);
    if (!strcmp(q->op, "hessian"))
        return hessian(&p, q, x, n, open);
    return answer(&p, q);
}

/* ---- of a value ---- */

static bool is_frozen(const lg_elab *E, const lg_node *x) {
    for (int k = 0; k < E->n_frozen; k++)
        if (E->frozen[k] == x)
            return true;
    return false;
}

static bool is_inside(const lg_graph *g, const lg_graph *outer) {
    for (; g; g = g->parent)
        if (g == outer)
            return true;
    return false;
}

/* x as a node of g, where y stands: x itself, or the input of g that stands for it. */
static lg_node *seen_from(lg_elab *E, lg_graph *g, lg_node *x) {
    if (x->graph == g || !is_inside(g, x->graph) || x->op == &lg_op_const)
        return x->graph == g ? x : NULL;
    lg_graph *was = E->g;
    E->g = g;
    lg_node *r = lg_import(E, x);
    E->g = was;
    return r;
}

static bool find_leaves(lg_problem *p, const request *q) {
    lg_elab *E = p->E;
    p->like = q->wrt;
    p->n_x = lg_v_leaves(E, q->wrt, &p->x);
    p->node = LG_NEW_N(E->arena, lg_node *, p->n_x + 1);
    bool any = false;
    for (int k = 0; k < p->n_x; k++) {
        lg_value *x = p->x[k].value;
        any = any || lg_leaf_counts(x) || x->kind == LG_V_OPAQUE || x->kind == LG_V_ERROR;
        if (p->g && lg_leaf_counts(x) && !is_frozen(E, x->t.node))
            p->node[k] = seen_from(E, p->g, x->t.node);
    }
    if (any)
        return true;
    lg_diag *d = lg_err(E, "E0504", q->wrt->at.file ? q->wrt->at : p->at,
                        "`%s` cannot differentiate by %s", p->op, lg_v_type_text(E, q->wrt));
    if (q->wrt->kind == LG_V_NUM || lg_list_is_array(q->wrt))
        lg_diag_help(
            d,
            "numbers that are known beforehand are no bindings: write `%s(fn (x) = ..., at=...)`",
            p->op);
    else
        lg_diag_help(d, "`wrt=` names a part, a let, an input or a carry that holds floats");
    return false;
}

/* In host code every value is a constant by the time that the next one is computed. */
static bool in_host(const lg_elab *E) {
    return E->host && (E->frame->kind == LG_F_HOST || E->frame->kind == LG_F_MODULE);
}

/* Is e the name of such a value, in a function that was written in host code? */
static bool is_finished(const lg_elab *E, const lg_ast *e) {
    const lg_frame *f = E->frame;
    while (f && (f->kind == LG_F_BLOCK ||
                 (f->kind == LG_F_FN && f->decl && f->decl->kind == LG_A_LAMBDA))) {
        for (const lg_binding *b = f->names; b; b = b->next)
            if (e->kind == LG_A_NAME && b->name == e->name)
                return false;
        f = f->up;
    }
    return f && E->host && e->kind == LG_A_NAME &&
           (f->kind == LG_F_HOST || f->kind == LG_F_MODULE);
}

static bool depends(lg_problem *p, const request *q) {
    if (p->y->kind != LG_V_TENSOR)
        return true;
    if (!p->g)
        return !in_host(p->E) && !is_finished(p->E, q->wrt_is);
    bool frozen = false, found = false;
    for (int k = 0; k < p->n_x; k++)
        frozen =
            frozen || (lg_leaf_counts(p->x[k].value) && is_frozen(p->E, p->x[k].value->t.node));
    uint8_t *seen = lg_alloc(p->g->node.n + 1);
    seen[p->y->t.node->id] = 1;
    for (size_t i = p->y->t.node->id + 1; i-- > 0;)
        for (int k = 0; seen[i] && k < p->g->node.at[i]->n_in; k++)
            seen[p->g->node.at[i]->in[k]->id] = 1;
    for (int k = 0; k < p->n_x; k++)
        found = found || (p->node[k] && seen[p->node[k]->id]);
    lg_free(seen);
    return found || frozen;
}

static bool no_dependence(lg_problem *p, const request *q) {
    lg_diag *d = lg_err(p->E, "E0503", p->at, "this value is not computed from what `wrt=` names");
    if (q->wrt->at.file)
        lg_diag_label(d, q->wrt->at, "%s", lg_v_type_text(p->E, q->wrt));
    lg_diag_help(d, in_host(p->E) || is_finished(p->E, q->wrt_is)
                        ? "values of host code are finished: write `grad(fn (w) = ..., at=x)`"
                        : "name the binding that the value was computed from; a copy or a part of "
                          "it is another value");
    return false;
}

static bool same_lanes(lg_problem *p, const lg_value *y) {
    for (int i = 0; y->kind == LG_V_TENSOR && i < y->t.n_open; i++)
        for (int k = 0; k < p->n_x; k++)
            if (lg_leaf_counts(p->x[k].value) && !open_has(p->x[k].value, y->t.open[i])) {
                lg_diag *d = lg_err(
                    p->E, "E0509", p->at,
                    "there is one value for each `%s` here, and `wrt=` names the same for all",
                    y->t.open[i]->name);
                lg_diag_help(d, "write a function of one item: `%s(fn (w) = ..., at=...)`", p->op);
                return false;
            }
    return true;
}

/* The nodes between the leaves and y again, with other leaves, in the graph under construction. */
static bool replay(lg_problem *p, lg_value *at) {
    lg_elab *E = p->E;
    lg_node **to = LG_NEW_N(E->arena, lg_node *, p->n_x + 1);
    lg_graph *from = p->g;
    p->g = E->g;
    if (at) {
        if (!lg_problem_seeds(p, p->n_x, p->x, at, "at", to))
            return false;
    } else {
        for (int k = 0; k < p->n_x; k++)
            if (p->node[k])
                to[k] = lg_import(E, p->x[k].value->t.node);
    }
    if (!E->g)
        return true;
    for (int k = 0; k < p->n_x; k++)
        if (p->node[k] && to[k])
            to[k] = lg_g_mark(E->g, &lg_op_alias, to[k], NULL, p->at);
        else
            p->node[k] = to[k] = NULL;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, p->y, &leaf);
    lg_node **out = LG_NEW_N(E->arena, lg_node *, n + 1);
    lg_value **v = LG_NEW_N(E->arena, lg_value *, n + 1);
    for (int k = 0; k < n; k++)
        out[k] = leaf[k].value->kind == LG_V_TENSOR ? leaf[k].value->t.node : NULL;
    lg_graph_replay_in(E, from, p->n_x, p->node, to, n, out);
    for (int k = 0; k < n; k++) {
        v[k] = lg_v_copy(E, leaf[k].value);
        if (out[k])
            v[k]->t.node = out[k];
    }
    p->y = lg_v_rebuild(E, p->y, v);
    p->node = to;
    return true;
}

/* Do all nodes of the value stand in g (or are there none)? */
static bool stands_in(lg_elab *E, lg_value *v, const lg_graph *g) {
    lg_leaf *leaf;
    int n = v ? lg_v_leaves(E, v, &leaf) : 0;
    for (int k = 0; k < n; k++)
        if (leaf[k].value->kind == LG_V_TENSOR && leaf[k].value->t.node &&
            leaf[k].value->t.node->graph != g)
            return false;
    return true;
}

static lg_graph *graph_of(lg_elab *E, lg_value *y) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, y, &leaf);
    for (int k = 0; k < n; k++)
        if (leaf[k].value->kind == LG_V_TENSOR && leaf[k].value->t.node)
            return leaf[k].value->t.node->graph;
    return E->g;
}

static lg_value *of_value(lg_elab *E, const request *q) {
    lg_problem p = {.E = E, .op = q->op, .at = q->span, .y = lg_v_copy(E, q->of)};
    p.y->weight = NULL;
    if (!strcmp(q->op, "jacobian") || !strcmp(q->op, "hessian")) {
        lg_diag *d = lg_err(E, "E0508", q->span, "`%s` wants a function", q->op);
        lg_diag_help(d, "write `%s(fn (w) = ..., at=x)`", q->op);
        return lg_v_error(E, q->span);
    }
    p.g = E->g ? graph_of(E, p.y) : NULL;
    if (!find_leaves(&p, q) || (needs(q->op) == NULL && !lg_problem_scalar(&p)) ||
        !same_lanes(&p, p.y))
        return lg_v_error(E, q->span);
    if (!depends(&p, q)) {
        no_dependence(&p, q);
        return lg_v_error(E, q->span);
    }
    bool elsewhere = p.g && p.g != E->g && !stands_in(E, q->dir, p.g);
    if ((q->at || elsewhere) && !replay(&p, q->at))
        return lg_v_error(E, q->span);
    lg_graph *was = E->g; /* directions and zeros are made where the value stands */
    E->g = p.g;
    lg_value *r = answer(&p, q);
    E->g = was;
    return r;
}

/* ---- the call ---- */

static bool is_function(const lg_value *v) {
    return v->kind == LG_V_FN || v->kind == LG_V_BUILTIN || v->kind == LG_V_MODEL ||
           v->kind == LG_V_QUANT;
}

static bool read_arguments(lg_elab *E, const lg_ast *call, request *q) {
    const char *second = needs(q->op);
    for (uint32_t i = 1; i < call->n; i++) {
        const lg_ast *k = call->kid[i];
        lg_value **slot = NULL;
        const lg_ast *e = k;
        if (k->kind == LG_A_NAMED) {
            e = k->kid[0];
            if (!strcmp(k->name, "at"))
                slot = &q->at;
            else if (!strcmp(k->name, "wrt"))
                slot = &q->wrt;
            else if (second && (!strcmp(k->name, second) || !strcmp(k->name, "dir")))
                slot = &q->dir;
        } else if (k->kind != LG_A_SPREAD) {
            slot = !q->of ? &q->of : !q->at ? &q->at : second && !q->dir ? &q->dir : NULL;
        }
        if (slot && *slot) {
            lg_err(E, "E0508", k->span, "`%s` gets this argument twice", q->op);
            return false;
        }
        if (!slot) {
            lg_diag *d = lg_err(E, "E0508", k->span, "`%s` has no such argument", q->op);
            lg_diag_note(d, "it is %s(f, at=x%s%s) of a function, %s(value, wrt=x%s%s) of a value",
                         q->op, second ? ", " : "", second ? second : "", q->op, second ? ", " : "",
                         second ? second : "");
            return false;
        }
        if (slot == &q->wrt)
            q->wrt_is = e;
        *slot = lg_expr(E, e);
        if ((*slot)->kind == LG_V_ERROR)
            return false;
    }
    return true;
}

lg_value *lg_derivative(lg_elab *E, const lg_ast *call) {
    request q = {.op = call->kid[0]->name, .span = call->span};
    if (!strcmp(q.op, "remat")) {
        size_t mark = lg_remat_begin(E);
        if (call->n == 2 && call->kid[1]->kind != LG_A_NAMED && call->kid[1]->kind != LG_A_SPREAD)
            return lg_remat_end(E, mark, lg_expr(E, call->kid[1]));
        lg_err(E, "E0508", call->span, "`remat` takes one value");
        return lg_v_error(E, call->span);
    }
    lg_value *guard = E->guard;
    E->guard = NULL; /* bindings, not their values under a condition */
    bool ok = read_arguments(E, call, &q);
    E->guard = guard;
    if (!ok)
        return lg_v_error(E, call->span);
    const char *second = needs(q.op);
    if (q.dir)
        q.dir = lg_arrays_within(E, q.dir, q.dir->at.file ? q.dir->at : call->span);
    if (q.at && q.wrt)
        q.at = lg_arrays_within(E, q.at, q.at->at.file ? q.at->at : call->span);
    if (!q.of || (second && !q.dir) || (!q.at && !q.wrt)) {
        const char *lacks = !q.of              ? "what to differentiate"
                            : second && !q.dir ? second
                                               : "the point, `at=`";
        if (q.of && !is_function(q.of) && !q.wrt)
            lacks = "`wrt=`, what to differentiate by";
        lg_err(E, "E0508", call->span, "`%s` lacks %s", q.op, lacks);
        return lg_v_error(E, call->span);
    }
    if (is_function(q.of) && !q.wrt)
        return of_function(E, &q);
    if (q.wrt && !is_function(q.of))
        return of_value(E, &q);
    lg_diag *d = lg_err(E, "E0508", call->span,
                        q.wrt ? "`wrt=` belongs to a value; a function takes its point as `at=`"
                              : "`at=` alone belongs to a function; a value needs `wrt=`");
    lg_diag_note(d, "%s is given", lg_v_type_text(E, q.of));
    return lg_v_error(E, call->span);
}
