/* grad.c: the reverse pass from graph to graph, and the rules of the classes that move, join and
 * contract values. Loops and branches stand in grad_scan.c, rules given as text or by a
 * declaration in grad_rule.c. What is added is an ordinary graph: derivatives of any order come
 * from applying the pass to its own results. */
#include "compiler/mid/adjoint.h"
#include <string.h>

/* ---- what depends on what ---- */

bool lg_adjoint_is_tuple(const lg_node *n) {
    return n->op->cls == LG_C_SCAN || n->op->cls == LG_C_COND || n->n_out != 1;
}

lg_node *lg_adjoint_zeros(lg_graph *g, const lg_type *t, lg_span at) {
    return lg_g_fill(g, *t, 0, at);
}

static bool has_float(const lg_node *n) {
    for (int k = 0; k < n->n_out; k++)
        if (lg_dtype_is_float(n->type[k].dtype))
            return true;
    return false;
}

/* Can a derivative come back through input k of n? */
static bool carries(const lg_node *n, int k) {
    switch (n->op->cls) {
    case LG_C_INPUT:
    case LG_C_CONST:
    case LG_C_IOTA:
    case LG_C_RAND:
    case LG_C_REQUIRE:
        return false;
    case LG_C_GATHER:
        return k == 0;
    case LG_C_SCATTER:
        return k == 0 || k == n->n_in - 1;
    case LG_C_COND:
        return k > 0;
    case LG_C_MARK:
        return n->attr.rule ? k > 0 : k == 0;
    case LG_C_ELEM:
        return n->op->vjp_fn || n->op->vjp[k] ||
               !(n->op->vjp[0] || n->op->vjp[1] || n->op->vjp[2] || n->op->vjp[3]);
    case LG_C_CAST:
    case LG_C_VIEW:
    case LG_C_UNVIEW:
    case LG_C_RESHAPE:
    case LG_C_REDUCE:
    case LG_C_CUM:
    case LG_C_DOT:
    case LG_C_CONCAT:
    case LG_C_KERNEL:
    case LG_C_SCAN:
    case LG_C_ITEM:
        return true;
    }
    return false;
}

uint8_t *lg_adjoint_activity(const lg_graph *g, int n_x, lg_node *const *x) {
    uint8_t *active = lg_alloc(g->node.n + 1);
    for (int k = 0; k < n_x; k++)
        if (x[k] && has_float(x[k]))
            active[x[k]->id] = 1;
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (active[i] || n->op->traits & LG_T_NODIFF || !has_float(n))
            continue;
        for (int k = 0; k < n->n_in && !active[i]; k++)
            active[i] = active[n->in[k]->id] && carries(n, k);
    }
    return active;
}

/* ---- cotangents ---- */

static lg_node *sum(lg_graph *g, lg_node *a, lg_node *b, lg_span at) {
    return lg_g_elem(g, lg_op_find("add"), 2, (lg_node *[]){a, b}, at);
}

void lg_adjoint_add(lg_adjoint *a, lg_node *x, int k, lg_node *d) {
    if (!d || !lg_adjoint_wants(a, x) || !lg_dtype_is_float(x->type[k].dtype))
        return;
    assert(lg_type_equal(&d->type[0], &x->type[k]));
    lg_node ***slot = &a->cot[x->id];
    if (!*slot)
        *slot = lg_alloc(sizeof **slot * (size_t)(x->n_out + 1));
    (*slot)[k] = (*slot)[k] ? sum(a->g, (*slot)[k], d, a->at) : d;
}

/* ---- classes ---- */

static lg_node *transposed(lg_graph *g, lg_node *x, lg_span at) {
    int perm[LG_MAX_RANK], r = x->type[0].rank;
    for (int d = 0; d < r; d++)
        perm[d] = d;
    perm[r - 2] = r - 1;
    perm[r - 1] = r - 2;
    return lg_g_permute(g, x, perm, at);
}

static void dot(lg_adjoint *a, lg_node *y, lg_node *dy) {
    lg_node *p = y->in[0], *q = y->in[1];
    if (lg_adjoint_wants(a, p))
        lg_adjoint_add(a, p, 0, lg_g_dot(a->g, dy, transposed(a->g, q, y->span), y->span));
    if (lg_adjoint_wants(a, q))
        lg_adjoint_add(a, q, 0, lg_g_dot(a->g, transposed(a->g, p, y->span), dy, y->span));
}

static void gather(lg_adjoint *a, lg_node *y, lg_node *dy) {
    lg_node *zero = lg_adjoint_zeros(a->g, y->in[0]->type, y->span);
    lg_adjoint_add(a, y->in[0], 0,
                   lg_g_scatter(a->g, &lg_op_scatter_add, zero, y->attr.nb, y->attr.ni, y->in + 1,
                                dy, y->span));
}

/* Of the updates that a `put` wrote: which ones lasted. bool, shaped as a subscript. */
static lg_node *survivors(lg_graph *g, const lg_node *y) {
    const lg_type *idx = &y->in[1]->type[0];
    lg_type base = y->type[0];
    base.dtype = LG_I64;
    base.rank = y->attr.nb + y->attr.ni;
    int64_t n = (int64_t)lg_type_count(idx);
    lg_node *number =
        lg_g_reshape(g, lg_g_iota(g, 1, &n, 0, y->span), idx->rank, idx->shape, y->span);
    lg_node *last = lg_g_scatter(g, y->op, lg_g_fill(g, base, -1, y->span), y->attr.nb, y->attr.ni,
                                 y->in + 1, number, y->span);
    last = lg_g_gather(g, last, y->attr.nb, y->attr.ni, y->in + 1, y->span);
    return lg_g_elem(g, lg_op_find("eq"), 2, (lg_node *[]){last, number}, y->span);
}

static void scatter(lg_adjoint *a, lg_node *y, lg_node *dy) {
    lg_node *upd = y->in[y->n_in - 1];
    bool adds = y->op == &lg_op_scatter_add;
    int nb = y->attr.nb, ni = y->attr.ni;
    if (lg_adjoint_wants(a, y->in[0])) {
        lg_node *kept = dy;
        if (!adds) /* what was replaced had no influence */
            kept = lg_g_scatter(a->g, y->op, dy, nb, ni, y->in + 1,
                                lg_adjoint_zeros(a->g, upd->type, y->span), y->span);
        lg_adjoint_add(a, y->in[0], 0, kept);
    }
    if (!lg_adjoint_wants(a, upd))
        return;
    lg_node *d = lg_g_gather(a->g, dy, nb, ni, y->in + 1, y->span);
    if (!adds) {
        int from[LG_MAX_RANK];
        for (int o = 0; o < d->type[0].rank; o++)
            from[o] = o < y->in[1]->type[0].rank ? o : -1;
        lg_node *lasted = lg_g_broadcast(a->g, survivors(a->g, y), d->type[0].rank,
                                         d->type[0].shape, from, y->span);
        lg_node *pick[] = {lasted, d, lg_adjoint_zeros(a->g, d->type, y->span)};
        d = lg_g_elem(a->g, lg_op_find("where"), 3, pick, y->span);
    }
    lg_adjoint_add(a, upd, 0, d);
}

static void concat(lg_adjoint *a, lg_node *y, lg_node *dy) {
    int64_t beg = 0;
    for (int k = 0; k < y->n_in; k++) {
        int64_t n = y->in[k]->type[0].shape[y->attr.axis];
        if (lg_adjoint_wants(a, y->in[k]))
            lg_adjoint_add(a, y->in[k], 0, lg_g_slice(a->g, dy, y->attr.axis, beg, n, 1, y->span));
        beg += n;
    }
}

/* Rules built in C from nodes. */
static bool built(lg_adjoint *a, lg_node *y, lg_node **dy) {
    lg_node **dx = lg_alloc(sizeof *dx * (size_t)(y->n_in + 1));
    bool ok = y->op->vjp_fn(a->g, y, dy, dx);
    for (int k = 0; ok && k < y->n_in; k++)
        lg_adjoint_add(a, y->in[k], 0, dx[k]);
    lg_free(dx);
    return ok;
}

bool lg_no_derivative(lg_elab *E, const char *name, lg_span at, lg_span wanted) {
    bool apart = at.file && (at.beg != wanted.beg || at.end != wanted.end);
    lg_diag *d = lg_err(E, "E0501", at.file ? at : wanted, "`%s` has no derivative", name);
    if (apart)
        lg_diag_label(d, wanted, "wanted by this derivative");
    lg_diag_help(d, "take its value as a constant with `stop_grad(...)`, or declare a rule: "
                    "`with vjp(dy) = {...}`");
    return false;
}

static bool no_rule(lg_adjoint *a, const lg_node *y) {
    const char *name = y->op->name, *symbol = y->op->cls == LG_C_KERNEL ? y->attr.text : NULL;
    if (symbol) /* of a foreign function: the library may stand before it */
        name = strrchr(symbol, '\n') ? strrchr(symbol, '\n') + 1 : symbol;
    return lg_no_derivative(a->E, name, y->span, a->at);
}

static bool by_rule(lg_adjoint *a, lg_node *y, lg_node **dy) {
    if (y->op->vjp_fn)
        return built(a, y, dy) || no_rule(a, y);
    for (int k = 0; k < 4; k++)
        if (y->op->vjp[k])
            return lg_adjoint_text(a, y, dy[0]);
    return no_rule(a, y);
}

static bool mark(lg_adjoint *a, lg_node *y, lg_node *dy) {
    if (y->attr.rule)
        return lg_adjoint_custom(a, y);
    if (y->op == &lg_op_remat)
        return lg_adjoint_remat(a, y, dy);
    lg_adjoint_add(a, y->in[0], 0, dy);
    return true;
}

static bool step(lg_adjoint *a, lg_node *y, lg_node **dy) {
    lg_graph *g = a->g;
    lg_node *x = y->n_in ? y->in[0] : NULL;
    switch (y->op->cls) {
    case LG_C_ELEM:
    case LG_C_REDUCE:
    case LG_C_CUM:
    case LG_C_KERNEL:
        return by_rule(a, y, dy);
    case LG_C_CAST:
        lg_adjoint_add(a, x, 0, lg_g_cast(g, dy[0], x->type[0].dtype, y->span));
        break;
    case LG_C_VIEW:
        lg_adjoint_add(
            a, x, 0,
            lg_g_unview(g, dy[0], y->attr.affine, x->type[0].rank, x->type[0].shape, y->span));
        break;
    case LG_C_UNVIEW:
        lg_adjoint_add(
            a, x, 0,
            lg_g_view(g, dy[0], y->attr.affine, x->type[0].rank, x->type[0].shape, y->span));
        break;
    case LG_C_RESHAPE:
        lg_adjoint_add(a, x, 0, lg_g_reshape(g, dy[0], x->type[0].rank, x->type[0].shape, y->span));
        break;
    case LG_C_DOT:
        dot(a, y, dy[0]);
        break;
    case LG_C_GATHER:
        gather(a, y, dy[0]);
        break;
    case LG_C_SCATTER:
        scatter(a, y, dy[0]);
        break;
    case LG_C_CONCAT:
        concat(a, y, dy[0]);
        break;
    case LG_C_SCAN:
        return lg_adjoint_scan(a, y, dy);
    case LG_C_COND:
        return lg_adjoint_cond(a, y, dy);
    case LG_C_ITEM:
        lg_adjoint_add(a, x, y->attr.axis, dy[0]);
        break;
    case LG_C_MARK:
        return mark(a, y, dy[0]);
    case LG_C_INPUT:
    case LG_C_CONST:
    case LG_C_IOTA:
    case LG_C_RAND:
    case LG_C_REQUIRE:
        break;
    }
    return true;
}

/* ---- the pass ---- */

bool lg_adjoint_is_x(const lg_adjoint *a, const lg_node *n) {
    for (int k = 0; k < a->n_x; k++)
        if (a->x[k] == n)
            return true;
    return false;
}

static bool sweep(lg_adjoint *a) {
    for (size_t i = a->n; i-- > 0;) {
        lg_node *n = a->g->node.at[i], **dy = a->cot[i];
        if (!dy || !a->active[i] || lg_adjoint_is_x(a, n))
            continue;
        if (!step(a, n, dy))
            return false;
    }
    return true;
}

/* The parts of the elaborator's state that a rule must not see. */
typedef struct {
    lg_graph *g;
    lg_value *guard, *lazy, *want;
    lg_store *store, *states;
    struct lg_probe_list *probe;
    bool host;
} outside;

static outside enter(lg_elab *E, lg_graph *g) {
    outside o = {E->g, E->guard, E->lazy, E->want, E->store, E->states, E->probe, E->host};
    E->g = g;
    E->guard = E->lazy = E->want = NULL;
    E->store = E->states = NULL;
    E->probe = NULL;
    E->host = false;
    return o;
}

static void leave(lg_elab *E, outside o) {
    E->g = o.g;
    E->guard = o.guard;
    E->lazy = o.lazy;
    E->want = o.want;
    E->probe = o.probe;
    E->store = o.store;
    E->states = o.states;
    E->host = o.host;
}

bool lg_grad_vjp(lg_elab *E, lg_graph *g, int n_y, lg_node *const *y, lg_node *const *dy, int n_x,
                 lg_node *const *x, lg_node **dx, lg_span at) {
    outside o = enter(E, g);
    lg_adjoint a = {E, g, at, n_x, x, g->node.n, lg_adjoint_activity(g, n_x, x), NULL};
    a.cot = lg_alloc(sizeof *a.cot * (a.n + 1));
    for (int k = 0; k < n_y; k++)
        if (dy[k])
            lg_adjoint_add(&a, y[k], 0, dy[k]);
    bool ok = sweep(&a);
    for (int k = 0; k < n_x; k++)
        dx[k] = ok && x[k] && a.cot[x[k]->id] ? a.cot[x[k]->id][0] : NULL;
    for (size_t i = 0; i < a.n; i++)
        lg_free(a.cot[i]);
    lg_free(a.cot);
    lg_free(a.active);
    leave(E, o);
    return ok;
}

/* The reverse rule is linear in the cotangent: its own reverse is the forward rule. */
bool lg_grad_jvp(lg_elab *E, lg_graph *g, int n_x, lg_node *const *x, lg_node *const *tx, int n_y,
                 lg_node *const *y, lg_node **ty, lg_span at) {
    lg_node **u = LG_NEW_N(E->arena, lg_node *, n_y + 1),
            **dx = LG_NEW_N(E->arena, lg_node *, n_x + 1);
    for (int k = 0; k < n_y; k++) {
        ty[k] = NULL;
        if (y[k] && lg_dtype_is_float(y[k]->type[0].dtype))
            u[k] = lg_g_mark(g, &lg_op_alias, lg_adjoint_zeros(g, y[k]->type, at), NULL, at);
    }
    if (!lg_grad_vjp(E, g, n_y, y, u, n_x, x, dx, at))
        return false;
    int n = 0;
    lg_node **from = LG_NEW_N(E->arena, lg_node *, n_x + 1),
            **seed = LG_NEW_N(E->arena, lg_node *, n_x + 1);
    for (int k = 0; k < n_x; k++)
        if (dx[k] && tx[k]) {
            from[n] = dx[k];
            seed[n++] = tx[k];
        }
    return lg_grad_vjp(E, g, n, from, seed, n_y, u, ty, at);
}
