/* grad_cond.c: the reverse pass through branches.
 *
 * A branch is differentiated as a branch on the same condition. What its reverse needs of the
 * forward branch (residuals) becomes a further result of that, which is zero where the other branch
 * ran; moves and plain arithmetic are made again. So nothing dear is computed twice, however deep
 * branches are nested. What leaves a branch leaves all those around it too: many small residuals go
 * as one row, or their number would grow with the square of the depth. */
#include "compiler/mid/adjoint.h"
#include <string.h>

typedef LG_VEC(lg_node *) node_vec;

typedef struct {
    lg_kept kept;
    node_vec given; /* what is handed over: residuals, and rows of several */
    lg_node **dx;   /* by capture */
    lg_node **seed; /* by result: the input that holds its cotangent, or NULL */
} side;

typedef struct {
    lg_adjoint *a;
    lg_node *c;
    lg_node *const *dy;
    int n, n_out; /* captures; results before residuals were added */
    side at[2];
} branches;

static bool differentiate(branches *r, const lg_graph *branch, const uint8_t *varies, side *s) {
    lg_graph *w = lg_graph_clone(NULL, branch);
    s->kept = (lg_kept){.w = w, .n_fwd = w->node.n, .cheap = true};
    s->dx = lg_alloc(sizeof *s->dx * (size_t)(r->n + 1));
    s->seed = lg_alloc(sizeof *s->seed * (size_t)(r->n_out + 1));
    size_t effects = w->effect.n;
    lg_node **x = lg_alloc(sizeof *x * (size_t)(r->n + 1)),
            **y = lg_alloc(sizeof *y * (size_t)(r->n_out + 1));
    for (int k = 0; k < r->n; k++)
        x[k] = varies[k] ? w->input.at[k] : NULL;
    for (int k = 0; k < r->n_out; k++) {
        y[k] = w->output.at[k].node;
        if (r->dy[k])
            s->seed[k] = lg_g_input(w, y[k]->type[0], r->c->span);
    }
    bool ok = lg_grad_vjp(r->a->E, w, r->n_out, y, s->seed, r->n, x, s->dx, r->a->at);
    w->effect.n = effects; /* what the rules require was required in the forward branch */
    lg_free(x);
    lg_free(y);
    return ok;
}

/* ---- what is handed over ---- */

enum { FEW = 8, SMALL = 4096 }; /* residuals that go one by one; elements that are worth a copy */

static bool is_small(const lg_node *x, lg_dtype t) {
    return x->type[0].dtype == t && lg_type_count(&x->type[0]) <= SMALL;
}

static lg_node *as_row(lg_graph *g, lg_node *x) {
    int64_t n = (int64_t)lg_type_count(&x->type[0]);
    return lg_g_reshape(g, x, 1, &n, x->span);
}

/* One row of the small residuals of dtype t; NULL: there are but few. */
static lg_node *row_of(side *s, lg_dtype t) {
    node_vec in = {0};
    for (size_t k = 0; k < s->kept.residual.n; k++)
        if (is_small(s->kept.residual.at[k], t))
            LG_PUSH(in, s->kept.residual.at[k]);
    lg_node *row = NULL;
    for (size_t k = 0; in.n > FEW && k < in.n; k++)
        in.at[k] = as_row(s->kept.w, in.at[k]);
    if (in.n > FEW)
        row = lg_g_concat(s->kept.w, (int)in.n, in.at, 0, in.at[0]->span);
    lg_free(in.at);
    return row;
}

static void hand_over(side *s) {
    lg_node *row[LG_N_DTYPES];
    for (int t = 0; t < LG_N_DTYPES; t++) {
        row[t] = row_of(s, (lg_dtype)t);
        if (row[t])
            LG_PUSH(s->given, row[t]);
    }
    for (size_t k = 0; k < s->kept.residual.n; k++) {
        lg_node *x = s->kept.residual.at[k];
        if (!row[x->type[0].dtype] || !is_small(x, x->type[0].dtype))
            LG_PUSH(s->given, x);
    }
}

/* In the reverse branch b: the residuals that `in`, the row of dtype t, holds. */
static void take_apart(const side *s, lg_dtype t, lg_graph *b, lg_node *in, lg_node **map) {
    int64_t at = 0;
    for (size_t k = 0; k < s->kept.residual.n; k++) {
        const lg_node *x = s->kept.residual.at[k];
        int64_t n = (int64_t)lg_type_count(&x->type[0]);
        if (!is_small(x, t))
            continue;
        lg_node *part = lg_g_slice(b, in, 0, at, n, 1, x->span);
        map[x->id] = lg_g_reshape(b, part, x->type[0].rank, x->type[0].shape, x->span);
        at += n;
    }
}

static bool is_residual(const side *s, const lg_node *x) {
    for (size_t k = 0; k < s->kept.residual.n; k++)
        if (s->kept.residual.at[k] == x)
            return true;
    return false;
}

static int residuals(const branches *r) {
    return (int)(r->at[0].given.n + r->at[1].given.n);
}

/* A forward branch that also gives the residuals of both. */
static lg_graph *extended(branches *r, int which) {
    lg_graph *w = r->at[which].kept.w;
    int n = r->n_out + residuals(r), at = r->n_out;
    lg_node **out = lg_alloc(sizeof *out * (size_t)(n + 1));
    for (int k = 0; k < r->n_out; k++)
        out[k] = w->output.at[k].node;
    for (int b = 0; b < 2; b++)
        for (size_t k = 0; k < r->at[b].given.n; k++) {
            lg_node *x = r->at[b].given.at[k];
            out[at++] = b == which ? x : lg_adjoint_zeros(w, &x->type[0], x->span);
        }
    lg_graph *g = lg_graph_body(r->a->g, w, (size_t)r->n, n, out);
    lg_free(out);
    return g;
}

/* Nobody who reads the results of the branch sees a difference. */
static void extend(branches *r) {
    int n = r->n_out + residuals(r);
    if (n == r->n_out)
        return;
    lg_cond_attr both = {extended(r, 0), extended(r, 1)};
    lg_type *type = LG_NEW_N(r->a->g->arena, lg_type, n);
    for (int k = 0; k < n; k++)
        type[k] = both.then_->output.at[k].node->type[0];
    r->c->attr.cond = lg_arena_dup(r->a->g->arena, &both, sizeof both);
    r->c->type = type;
    r->c->n_out = n;
}

/* The reverse of one branch. Inputs: captures, cotangents of results, residuals of both. */
static lg_graph *reversed(branches *r, int which) {
    const side *own = &r->at[which], *other = &r->at[!which];
    lg_graph *b = lg_graph_new(r->a->g);
    lg_node **map = lg_alloc(sizeof *map * (own->kept.w->node.n + 1));
    lg_span at = r->c->span;
    for (int k = 0; k < r->n; k++) {
        lg_node *x = own->kept.w->input.at[k];
        map[x->id] = lg_g_input(b, x->type[0], at);
    }
    for (int k = 0; k < r->n_out; k++)
        if (own->seed[k])
            map[own->seed[k]->id] = lg_g_input(b, own->seed[k]->type[0], at);
    for (int s = 0; s < 2; s++)
        for (size_t k = 0; k < r->at[s].given.n; k++) {
            const lg_node *x = r->at[s].given.at[k];
            lg_node *in = lg_g_input(b, x->type[0], at);
            if (s == which && is_residual(own, x))
                map[x->id] = in;
            else if (s == which)
                take_apart(own, x->type[0].dtype, b, in, map);
        }
    lg_kept_fill(&own->kept, b, map);
    for (int k = 0; k < r->n; k++)
        if (own->dx[k] || other->dx[k])
            lg_g_output(
                b, own->dx[k] ? map[own->dx[k]->id] : lg_adjoint_zeros(b, other->dx[k]->type, at),
                -1, NULL);
    lg_free(map);
    return b;
}

static void emit(branches *r) {
    lg_graph *g = r->a->g;
    lg_node_vec in = {0};
    for (int b = 0; b < 2; b++) {
        lg_kept_find(&r->at[b].kept, r->n, r->at[b].dx);
        hand_over(&r->at[b]);
    }
    extend(r);
    for (int k = 0; k < r->c->n_in; k++)
        LG_PUSH(in, r->c->in[k]);
    for (int k = 0; k < r->n_out; k++)
        if (r->dy[k])
            LG_PUSH(in, r->dy[k]);
    for (int k = r->n_out; k < r->c->n_out; k++)
        LG_PUSH(in, lg_g_item(g, r->c, k));
    lg_cond_attr back = {reversed(r, 0), reversed(r, 1)};
    lg_node *y = lg_g_cond(g, &back, (int)in.n, in.at, r->c->span);
    for (int k = 0, i = 0; k < r->n; k++)
        if (r->at[0].dx[k] || r->at[1].dx[k])
            lg_adjoint_add(r->a, r->c->in[k + 1], 0, lg_g_item(g, y, i++));
    lg_free(in.at);
}

bool lg_adjoint_cond(lg_adjoint *a, lg_node *c, lg_node *const *dy) {
    const lg_cond_attr *f = c->attr.cond;
    branches r = {.a = a, .c = c, .dy = dy, .n = c->n_in - 1, .n_out = c->n_out};
    uint8_t *varies = lg_alloc((size_t)r.n + 1);
    for (int k = 0; k < r.n; k++)
        varies[k] = lg_adjoint_wants(a, c->in[k + 1]) &&
                    lg_dtype_is_float(f->then_->input.at[k]->type[0].dtype);
    bool ok = differentiate(&r, f->then_, varies, &r.at[0]);
    ok = differentiate(&r, f->else_, varies, &r.at[1]) && ok;
    bool any = false;
    for (int k = 0; ok && k < r.n; k++)
        any = any || r.at[0].dx[k] || r.at[1].dx[k];
    if (any)
        emit(&r);
    for (int b = 0; b < 2; b++) {
        lg_kept_fini(&r.at[b].kept);
        lg_free(r.at[b].given.at);
        lg_free(r.at[b].dx);
        lg_free(r.at[b].seed);
    }
    lg_free(varies);
    return ok;
}
