/* grad_scan.c: the reverse pass through loops. Not through branches (grad_cond.c), which keep what
 * they need of the forward pass in the same way.
 *
 * A scan is differentiated as a scan that runs the other way. Its body is the reverse pass over
 * the body; what it needs of the forward rounds is yielded by the forward scan (residuals) and
 * read back slice by slice, except for what is cheaper to make again. Carries become cotangents of
 * carries; cotangents of constants are carried as sums. */
#include "compiler/mid/adjoint.h"
#include <string.h>

typedef lg_node_vec node_vec;

typedef struct {
    lg_adjoint *a;
    lg_node *s;            /* the scan */
    const lg_scan_attr *f; /* as it is now */
    lg_node *const *dy;
    lg_graph *w;     /* its body, to which the reverse pass is added */
    lg_kept kept;    /* what that needs of the forward rounds */
    uint8_t *varies; /* by input of w: depends on an x of the pass */
    uint8_t *back;   /* by carry: its cotangent is carried */
    lg_node **seed;  /* by output of w: the input that holds its cotangent, or NULL */
    lg_node **dx;    /* by input of w */
    lg_node **map;   /* by node of w: its place in the reverse body */
} rev;

static bool is_float(const lg_node *n) {
    return lg_dtype_is_float(n->type[0].dtype);
}

/* ---- which carries take part ---- */

/* Carries that vary: from their start, or in some round from anything that varies. */
static void find_varying(rev *r) {
    int nc = r->f->n_carry, nx = r->f->n_xs, n = (int)r->w->input.n;
    for (int k = 0; k < n; k++) {
        int outer = k < nc + nx ? k : k - 1;
        bool index = k == nc + nx;
        r->varies[k] =
            !index && is_float(r->w->input.at[k]) && lg_adjoint_wants(r->a, r->s->in[outer]);
    }
    lg_node **x = lg_alloc(sizeof *x * (size_t)(n + 1));
    for (bool again = true; again;) {
        again = false;
        for (int k = 0; k < n; k++)
            x[k] = r->varies[k] ? r->w->input.at[k] : NULL;
        uint8_t *active = lg_adjoint_activity(r->w, n, x);
        for (int j = 0; j < nc; j++)
            if (!r->varies[j] && is_float(r->w->input.at[j]) && active[r->w->output.at[j].node->id])
                r->varies[j] = again = true;
        lg_free(active);
    }
    lg_free(x);
}

/* Of those, the ones that some cotangent reaches. */
static void find_back(rev *r) {
    int nc = r->f->n_carry, n = (int)r->w->input.n;
    lg_node **x = lg_alloc(sizeof *x * (size_t)(n + 1));
    for (int k = 0; k < n; k++)
        x[k] = r->varies[k] ? r->w->input.at[k] : NULL;
    uint8_t *active = lg_adjoint_activity(r->w, n, x), *hit = lg_alloc(r->w->node.n + 1);
    for (int j = 0; j < nc; j++)
        r->back[j] = r->varies[j] && r->dy[j];
    for (bool again = true; again;) {
        again = false;
        for (size_t k = 0; k < r->w->output.n; k++) {
            const lg_node *o = r->w->output.at[k].node;
            if ((int)k < nc ? r->back[k] : r->dy[k] != NULL)
                hit[o->id] = active[o->id];
        }
        for (size_t i = r->w->node.n; i-- > 0;)
            for (int k = 0; hit[i] && k < r->w->node.at[i]->n_in; k++) {
                size_t in = r->w->node.at[i]->in[k]->id;
                hit[in] = hit[in] || active[in];
            }
        for (int j = 0; j < nc; j++)
            if (r->varies[j] && !r->back[j] && hit[r->w->input.at[j]->id])
                r->back[j] = again = true;
    }
    lg_free(hit);
    lg_free(active);
    lg_free(x);
}

/* ---- the reverse pass over the body ---- */

static bool differentiate(rev *r) {
    int nc = r->f->n_carry, n_out = (int)r->w->output.n, n_in = (int)r->w->input.n;
    size_t effects = r->w->effect.n;
    lg_node **y = lg_alloc(sizeof *y * (size_t)(n_out + 1)),
            **x = lg_alloc(sizeof *x * (size_t)(n_in + 1));
    for (int k = 0; k < n_out; k++) {
        y[k] = r->w->output.at[k].node;
        if (is_float(y[k]) && (k < nc ? r->back[k] : r->dy[k] != NULL))
            r->seed[k] = lg_g_input(r->w, y[k]->type[0], y[k]->span);
    }
    for (int k = 0; k < n_in; k++)
        if (k < nc ? r->back[k] : r->varies[k])
            x[k] = r->w->input.at[k];
    bool ok = lg_grad_vjp(r->a->E, r->w, n_out, y, r->seed, n_in, x, r->dx, r->a->at);
    r->w->effect.n = effects; /* what the rules require was required in the forward rounds */
    lg_free(x);
    lg_free(y);
    return ok;
}

/* ---- what it needs of the forward rounds ---- */

/* Made again from its inputs rather than kept: moves, casts, constants. */
static bool is_remade(const lg_node *n, bool cheap) {
    switch (n->op->cls) {
    case LG_C_CONST:
    case LG_C_IOTA:
    case LG_C_VIEW:
    case LG_C_RESHAPE:
        return true;
    case LG_C_CAST:
        return cheap || lg_dtype_size(n->type[0].dtype) >= lg_dtype_size(n->in[0]->type[0].dtype);
    case LG_C_MARK:
        return n->attr.rule == NULL && n->n_in == 1;
    case LG_C_ELEM:
        return cheap && n->op->traits & LG_T_CHEAP;
    default:
        return false;
    }
}

static void use_forward(lg_kept *k, lg_node *n) {
    if (k->used[n->id])
        return;
    k->used[n->id] = 1;
    bool input = n->op->cls == LG_C_INPUT;
    if (input ? n->attr.slot < k->n_carry : !is_remade(n, k->cheap)) {
        LG_PUSH(k->residual, n);
        return;
    }
    for (int i = 0; i < n->n_in; i++)
        use_forward(k, n->in[i]);
}

void lg_kept_find(lg_kept *k, int n_in, lg_node *const *dx) {
    k->n_used = k->w->node.n;
    k->used = lg_alloc(k->n_used + 1);
    uint8_t *need = lg_alloc(k->w->node.n + 1);
    for (int i = 0; i < n_in; i++)
        if (dx[i])
            need[dx[i]->id] = 1;
    for (size_t i = k->w->node.n; i-- > 0;) {
        lg_node *n = k->w->node.at[i];
        if (!need[i])
            continue;
        if (n->id < k->n_fwd || (n->op->cls == LG_C_ITEM && n->in[0]->id < k->n_fwd)) {
            use_forward(k, n);
            continue;
        }
        k->used[i] = 1;
        for (int j = 0; j < n->n_in; j++)
            need[n->in[j]->id] = 1;
    }
    lg_free(need);
}

void lg_kept_fill(const lg_kept *k, lg_graph *to, lg_node **map) {
    for (size_t i = 0; i < k->n_used; i++) {
        lg_node *n = k->w->node.at[i];
        if (!k->used[i] || map[i])
            continue;
        assert(n->op->cls != LG_C_INPUT);
        lg_node **in = lg_alloc(sizeof *in * (size_t)(n->n_in + 1));
        for (int j = 0; j < n->n_in; j++)
            in[j] = map[n->in[j]->id];
        map[i] = lg_g_like(to, n, in); /* w is thrown away, and its bodies with it */
        if (n->attr.scan)
            map[i]->attr.scan->body = lg_graph_clone(to, n->attr.scan->body);
        if (n->attr.cond) {
            map[i]->attr.cond->then_ = lg_graph_clone(to, n->attr.cond->then_);
            map[i]->attr.cond->else_ = lg_graph_clone(to, n->attr.cond->else_);
        }
        lg_free(in);
    }
}

void lg_kept_fini(lg_kept *k) {
    lg_free(k->used);
    lg_free(k->residual.at);
    lg_graph_free(k->w);
}

/* A stack has one dim more than its rows; a row that has all dims there can be is stacked flat. */
static bool is_full(const lg_node *row) {
    return row->type[0].rank == LG_MAX_RANK;
}

static lg_node *stackable(lg_graph *w, lg_node *row) {
    int64_t n = (int64_t)lg_type_count(&row->type[0]);
    return is_full(row) ? lg_g_reshape(w, row, 1, &n, row->span) : row;
}

/* The forward scan yields its residuals too, after everything it gave before: nobody who reads it
 * sees a difference. With `stop`, also which rounds were run. Returns the first new result. */
static int extend(rev *r, bool alive) {
    const lg_scan_attr *f = r->f;
    int n_body = f->n_carry + f->n_xs + 1 + f->n_const, old = r->s->n_out;
    int n_out = old + (int)r->kept.residual.n + alive;
    if (n_out == old)
        return old;
    lg_node **out = lg_alloc(sizeof *out * (size_t)n_out);
    for (int k = 0; k < old; k++)
        out[k] = r->w->output.at[k].node;
    for (size_t k = 0; k < r->kept.residual.n; k++)
        out[old + (int)k] = stackable(r->w, r->kept.residual.at[k]);
    if (alive)
        out[n_out - 1] = lg_g_scalar(r->w, LG_BOOL, 1, r->s->span);
    lg_scan_attr *next = lg_arena_dup(r->a->g->arena, f, sizeof *f);
    next->body = lg_graph_body(r->a->g, r->w, (size_t)n_body, n_out, out);
    next->n_yield = n_out - f->n_carry;
    lg_type *type = LG_NEW_N(r->a->g->arena, lg_type, n_out);
    memcpy(type, r->s->type, sizeof *type * (size_t)old);
    for (int k = old; k < n_out; k++) {
        type[k] = out[k]->type[0];
        memmove(type[k].shape + 1, type[k].shape, sizeof *type[k].shape * (size_t)type[k].rank++);
        type[k].shape[0] = f->trip;
    }
    r->s->attr.scan = next;
    r->s->type = type;
    r->s->n_out = n_out;
    r->f = next;
    lg_free(out);
    return old;
}

/* ---- the reverse scan ---- */

/* Lists of one kind of input or output: the node of w, and what stands for it outside. */
typedef struct {
    lg_scan_attr attr;
    node_vec in;      /* inputs of the new scan, in g */
    node_vec body_in; /* the node of w that each body input stands for; NULL: none */
    node_vec out;     /* nodes of the reverse body */
    lg_graph *b;
} builder;

static lg_type slice_type(const lg_type *t) {
    lg_type s = *t;
    s.rank--;
    memmove(s.shape, s.shape + 1, sizeof *s.shape * (size_t)s.rank);
    return s;
}

static lg_node *body_input(rev *r, builder *b, lg_type t, lg_node *stands_for) {
    lg_node *x = lg_g_input(b->b, t, r->s->span);
    if (stands_for)
        r->map[stands_for->id] = x;
    return x;
}

static void add_carry(rev *r, builder *b, lg_node *start, lg_node *stands_for) {
    LG_PUSH(b->in, start);
    body_input(r, b, start->type[0], stands_for);
    b->attr.n_carry++;
}

static void add_stack(rev *r, builder *b, lg_node *stack, lg_node *stands_for) {
    LG_PUSH(b->in, stack);
    body_input(r, b, slice_type(&stack->type[0]), stands_for);
    b->attr.n_xs++;
}

static int first_const(const rev *r) {
    return r->f->n_carry + r->f->n_xs + 1;
}

/* Carries: cotangents of carries, then sums for constants. */
static void carries_in(rev *r, builder *b) {
    lg_graph *g = r->a->g;
    for (int j = 0; j < r->f->n_carry; j++)
        if (r->back[j])
            add_carry(r, b, r->dy[j] ? r->dy[j] : lg_adjoint_zeros(g, &r->s->type[j], r->s->span),
                      r->seed[j]);
    for (int k = first_const(r); k < first_const(r) + r->f->n_const; k++)
        if (r->dx[k])
            add_carry(r, b, lg_adjoint_zeros(g, r->dx[k]->type, r->s->span), NULL);
}

static void stacks_in(rev *r, builder *b, int n_old, int first_residual) {
    int nc = r->f->n_carry;
    for (int k = nc; k < n_old; k++)
        if (r->seed[k])
            add_stack(r, b, r->dy[k], r->seed[k]);
    for (int k = nc; k < nc + r->f->n_xs; k++)
        if (r->kept.used[r->w->input.at[k]->id])
            add_stack(r, b, r->s->in[k], r->w->input.at[k]);
    for (size_t k = 0; k < r->kept.residual.n; k++) {
        lg_node *n = r->kept.residual.at[k];
        const lg_type *t = &n->type[0];
        add_stack(r, b, lg_g_item(r->a->g, r->s, first_residual + (int)k), n);
        if (is_full(n))
            r->map[n->id] = lg_g_reshape(b->b, r->map[n->id], t->rank, t->shape, n->span);
    }
}

static void constants_in(rev *r, builder *b) {
    lg_node *t = r->w->input.at[first_const(r) - 1];
    body_input(r, b, t->type[0], t);
    for (int k = first_const(r); k < first_const(r) + r->f->n_const; k++)
        if (r->kept.used[r->w->input.at[k]->id]) {
            LG_PUSH(b->in, r->s->in[k - 1]);
            body_input(r, b, r->w->input.at[k]->type[0], r->w->input.at[k]);
            b->attr.n_const++;
        }
}

static void outputs(rev *r, builder *b) {
    int nc = r->f->n_carry, slot = 0;
    for (int j = 0; j < nc; j++)
        if (r->back[j]) {
            lg_node *d = r->dx[j] ? r->map[r->dx[j]->id]
                                  : lg_adjoint_zeros(b->b, r->w->input.at[j]->type, r->s->span);
            LG_PUSH(b->out, d);
            slot++;
        }
    for (int k = first_const(r); k < first_const(r) + r->f->n_const; k++)
        if (r->dx[k]) {
            lg_node *two[] = {b->b->input.at[slot++], r->map[r->dx[k]->id]};
            LG_PUSH(b->out, lg_g_elem(b->b, lg_op_find("add"), 2, two, r->s->span));
        }
    for (int k = nc; k < nc + r->f->n_xs; k++)
        if (r->dx[k]) {
            LG_PUSH(b->out, r->map[r->dx[k]->id]);
            b->attr.n_yield++;
        }
    for (size_t k = 0; k < b->out.n; k++)
        lg_g_output(b->b, b->out.at[k], -1, NULL);
}

/* The body when some rounds were not run: those hand the cotangents on and yield zeros. A branch,
 * so that nothing is computed from rows that were never written. */
static void skip_rounds(rev *r, builder *b, lg_node *alive) {
    lg_graph *g = r->a->g, *whole = lg_graph_new(g), *run = b->b, *skip = lg_graph_new(whole);
    size_t n = run->input.n, flag = (size_t)(b->attr.n_carry + b->attr.n_xs);
    lg_node **in = lg_alloc(sizeof *in * (n + 2));
    lg_node *on = NULL;
    for (size_t k = 0, c = 1; k <= n; k++) { /* the flag stands after the other stacks */
        if (k == flag)
            on = lg_g_input(whole, lg_type_make(LG_BOOL, 0, NULL), r->s->span);
        if (k < n)
            in[c++] = lg_g_input(whole, run->input.at[k]->type[0], r->s->span);
    }
    in[0] = on;
    for (size_t k = 0; k < n; k++)
        lg_g_input(skip, run->input.at[k]->type[0], r->s->span);
    for (size_t k = 0; k < run->output.n; k++)
        lg_g_output(skip,
                    (int)k < b->attr.n_carry
                        ? skip->input.at[k]
                        : lg_adjoint_zeros(skip, run->output.at[k].node->type, r->s->span),
                    -1, NULL);
    lg_cond_attr c = {lg_graph_clone(whole, run), skip};
    lg_node *both = lg_g_cond(whole, &c, (int)n + 1, in, r->s->span);
    for (size_t k = 0; k < run->output.n; k++)
        lg_g_output(whole, lg_g_item(whole, both, (int)k), -1, NULL);
    /* the stack of flags joins the inputs of the scan at the same place */
    LG_PUSH(b->in, NULL);
    memmove(b->in.at + flag + 1, b->in.at + flag, sizeof *b->in.at * (b->in.n - 1 - flag));
    b->in.at[flag] = alive;
    b->attr.n_xs++;
    b->b = whole;
    lg_free(in);
}

/* What comes out belongs to the inputs of the forward scan. */
static void hand_out(rev *r, lg_node *back) {
    int nc = r->f->n_carry, k = 0;
    lg_graph *g = r->a->g;
    for (int j = 0; j < nc; j++)
        if (r->back[j]) {
            if (lg_adjoint_wants(r->a, r->s->in[j]))
                lg_adjoint_add(r->a, r->s->in[j], 0, lg_g_item(g, back, k));
            k++;
        }
    for (int j = first_const(r); j < first_const(r) + r->f->n_const; j++)
        if (r->dx[j])
            lg_adjoint_add(r->a, r->s->in[j - 1], 0, lg_g_item(g, back, k++));
    for (int j = nc; j < nc + r->f->n_xs; j++)
        if (r->dx[j])
            lg_adjoint_add(r->a, r->s->in[j], 0, lg_g_item(g, back, k++));
}

static void emit(rev *r) {
    int n_old = r->s->n_out;
    bool alive = r->f->stop >= 0;
    lg_kept_find(&r->kept, first_const(r) + r->f->n_const, r->dx);
    int first = extend(r, alive);
    builder b = {.b = lg_graph_new(r->a->g)};
    b.attr = (lg_scan_attr){.trip = r->f->trip, .rev = !r->f->rev, .stop = -1};
    r->map = lg_alloc(sizeof *r->map * (r->w->node.n + 1));
    carries_in(r, &b);
    stacks_in(r, &b, n_old, first);
    constants_in(r, &b);
    lg_kept_fill(&r->kept, b.b, r->map);
    outputs(r, &b);
    if (b.out.n) {
        if (alive)
            skip_rounds(r, &b, lg_g_item(r->a->g, r->s, r->s->n_out - 1));
        b.attr.body = b.b;
        hand_out(r, lg_g_scan(r->a->g, &b.attr, (int)b.in.n, b.in.at, r->s->span));
    }
    lg_free(r->map);
    lg_free(b.in.at);
    lg_free(b.body_in.at);
    lg_free(b.out.at);
}

bool lg_adjoint_scan(lg_adjoint *a, lg_node *s, lg_node *const *dy) {
    const lg_scan_attr *f = s->attr.scan;
    rev r = {.a = a, .s = s, .f = f, .dy = dy, .w = lg_graph_clone(NULL, f->body)};
    r.kept = (lg_kept){.w = r.w, .n_fwd = r.w->node.n, .n_carry = f->n_carry};
    size_t n_in = r.w->input.n, n_out = r.w->output.n;
    r.varies = lg_alloc(n_in + 1);
    r.back = lg_alloc(n_in + 1);
    r.seed = lg_alloc(sizeof *r.seed * (n_out + 1));
    r.dx = lg_alloc(sizeof *r.dx * (n_in + n_out + 1));
    find_varying(&r);
    find_back(&r);
    bool ok = differentiate(&r);
    if (ok)
        emit(&r);
    lg_free(r.varies);
    lg_free(r.back);
    lg_free(r.seed);
    lg_free(r.dx);
    lg_kept_fini(&r.kept);
    return ok;
}
