/* attention.c: softmax attention and its gradients become kernels that work on strips of scores, so
 * that nothing of the size of queries times keys is stored. They take the place of the products
 * with probabilities and with gradients of scores; what these were made from is dead then. Where
 * anything else needs it (weights that are shown, derivatives of derivatives, a learned bias),
 * everything stays as it is. Not for the formula (strip.c) nor the arithmetic (ops/attention.c). */
#include "ops/attention.h"
#include "compiler/mid/strip.h"
#include <math.h>
#include <string.h>

/* Scores of a head, and queries: below, products are as good, and what they store is small. */
enum { LEAST = 256, FEW = 8 };
enum { B, H, R, T, N_ROLES };

/* A strip and what stands for it; role[]: the dims of the strip, or -1. */
typedef struct {
    lg_strip s;
    int role[N_ROLES];
    const lg_side *v, *dy;
    lg_node *forward, *backward; /* nodes of the new graph */
    const lg_node *joins; /* the old node that joins dq, dk and dv, which nothing else reads */
    int at[3];            /* where each stands there */
} found;

typedef struct {
    LG_VEC(found *) list;
    found **of;    /* by id of an old product */
    found **joins; /* by id of an old concatenation */
} pass_ctx;

/* ---- what can be done ---- */

static int64_t size_of(const found *f, int dim) {
    return dim < 0 ? 1 : f->s.e->type[0].shape[dim];
}

static int64_t feature(const lg_side *a) {
    return a->x->type[0].shape[a->feature];
}

static bool give_roles(found *f) {
    const lg_strip *s = &f->s;
    for (int k = 0; k < N_ROLES; k++)
        f->role[k] = -1;
    if (s->batch.n > 2 || s->rows.n > 2)
        return false;
    for (int k = 0; k < s->batch.n; k++)
        f->role[k ? H : B] = s->batch.dim[k];
    for (int k = 0; k < s->rows.n; k++) {
        bool last = s->row < 0 ? k == s->rows.n - 1 : s->rows.dim[k] == s->row;
        f->role[last ? T : R] = s->rows.dim[k];
    }
    return true;
}

static bool is_first(const lg_node *a, const lg_node *b) {
    return !b || (a && a->id < b->id);
}

/* The first of the products that the kernel of gradients stands for. */
static lg_node *first_gradient(const lg_strip *s) {
    lg_node *n = s->dq.dot;
    n = is_first(s->dk.dot, n) && s->dk.dot ? s->dk.dot : n;
    return is_first(s->dv.dot, n) && s->dv.dot ? s->dv.dot : n;
}

/* Are all products with v, dy, q and k with the same ones, and there in time? */
static bool agrees(found *f) {
    lg_strip *s = &f->s;
    bool scores = s->dq.dot || s->dk.dot;
    lg_node *first = first_gradient(s);
    if (!s->y.dot && !first)
        return false;
    f->v = s->y.dot ? &s->y.other : &s->v;
    f->dy = s->dv.dot ? &s->dv.other : &s->dy;
    if (!first)
        return true;
    if (!f->v->x || (scores && !lg_side_same(s, f->v, &s->v)) ||
        (scores && !lg_side_same(s, f->dy, &s->dy)) ||
        (s->dq.dot && !lg_side_same(s, &s->dq.other, &s->k)) ||
        (s->dk.dot && !lg_side_same(s, &s->dk.other, &s->q)))
        return false;
    if (scores && is_first(s->v.x, f->v->x))
        f->v = &s->v;
    if (scores && is_first(s->dy.x, f->dy->x))
        f->dy = &s->dy;
    return f->v->x->id < first->id && f->dy->x->id < first->id;
}

/* ---- what is left of a strip ---- */

static void need(bool *needed, const lg_node *x) {
    if (x)
        needed[x->id] = true;
}

static void need_inputs(const found *f, bool *needed) {
    need(needed, f->s.q.x);
    need(needed, f->s.k.x);
    need(needed, f->v->x);
    need(needed, f->dy ? f->dy->x : NULL);
    need(needed, f->s.whole ? f->s.whole->at.x : NULL);
    for (int k = 0; k < f->s.n_bias; k++)
        need(needed, f->s.bias[k].x);
}

/* By id: what is still computed when kernels stand for all strips of ctx; on the heap. */
static bool *still_needed(const lg_graph *g, const pass_ctx *ctx) {
    bool *needed = lg_alloc(g->node.n + 1);
    for (size_t k = 0; k < g->output.n; k++)
        needed[g->output.at[k].node->id] = true;
    for (size_t k = 0; k < g->effect.n; k++)
        needed[g->effect.at[k]->id] = true;
    for (size_t i = g->node.n; i-- > 0;) {
        const lg_node *n = g->node.at[i];
        if (needed[i] && ctx->of[i])
            need_inputs(ctx->of[i], needed);
        else if (needed[i])
            for (int k = 0; k < n->n_in; k++)
                needed[n->in[k]->id] = true;
    }
    return needed;
}

static void mark(pass_ctx *ctx, found *f, found *as) {
    const lg_strip_dot *of[] = {&f->s.y, &f->s.dq, &f->s.dk, &f->s.dv};
    for (size_t k = 0; k < LG_COUNT(of); k++)
        if (of[k]->dot && (as || ctx->of[of[k]->dot->id] == f))
            ctx->of[of[k]->dot->id] = as;
}

/* Products by the exponentials that they are made from. */
typedef LG_VEC(lg_node *) nodes;
static nodes *products_by_exp(const lg_graph *g) {
    nodes *of = lg_alloc((g->node.n + 1) * sizeof *of);
    for (size_t i = 0; i < g->node.n; i++) {
        lg_node *n = g->node.at[i], *e = n->op->cls == LG_C_DOT ? lg_strip_exp(n) : NULL;
        if (e)
            LG_PUSH(of[e->id], n);
    }
    return of;
}

static void find(pass_ctx *ctx, const lg_graph *g) {
    const lg_op *sum = lg_known_ops()->sum;
    nodes *products = products_by_exp(g);
    found *f = NULL;
    for (size_t i = 0; i < g->node.n; i++) {
        if (g->node.at[i]->op != sum)
            continue;
        const nodes *of = &products[g->node.at[i]->in[0]->id];
        f = f ? f : lg_alloc(sizeof *f);
        if (!of->n || !lg_strip_find(&f->s, g->node.at[i], of->n, of->at) || !give_roles(f) ||
            !agrees(f) || size_of(f, f->role[T]) < FEW ||
            size_of(f, f->role[T]) * size_of(f, f->s.j) < LEAST)
            continue;
        LG_PUSH(ctx->list, f);
        mark(ctx, f, f);
        f = NULL;
    }
    lg_free(f);
    for (size_t i = 0; i < g->node.n; i++)
        lg_free(products[i].at);
    lg_free(products);
    bool *needed = ctx->list.n ? still_needed(g, ctx) : NULL;
    size_t kept = 0;
    for (size_t k = 0; k < ctx->list.n; k++) {
        f = ctx->list.at[k];
        if (!needed[f->s.e->id]) {
            ctx->list.at[kept++] = f;
            continue;
        }
        mark(ctx, f, NULL);
        lg_free(f);
    }
    ctx->list.n = kept;
    lg_free(needed);
}

/* ---- gradients that are joined ---- */

/* The product that x is, in other order or shape. */
static lg_node *behind_moves(lg_node *x) {
    while (x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE)
        x = x->in[0];
    return x;
}

/* Does the concatenation n join dq, dk and dv of a strip, and nothing else? */
static void note_join(pass_ctx *ctx, const lg_node *n) {
    found *f = n->n_in == 3 ? ctx->of[behind_moves(n->in[0])->id] : NULL;
    if (!f || f->joins)
        return;
    const lg_node *of[3] = {f->s.dq.dot, f->s.dk.dot, f->s.dv.dot};
    int hits = 0;
    for (int g = 0; g < 3; g++)
        for (int k = 0; k < 3; k++)
            if (of[g] && behind_moves(n->in[k]) == of[g]) {
                f->at[g] = k;
                hits++;
            }
    if (hits != 3 || size_of(f, f->role[R]) != 1 || size_of(f, f->role[T]) != size_of(f, f->s.j) ||
        feature(f->v) != feature(&f->s.q))
        return;
    f->joins = n;
    ctx->joins[n->id] = f;
}

/* Products whose results are read by others too cannot be joined. */
static void find_joins(pass_ctx *ctx, const lg_graph *g) {
    uint32_t *uses = lg_alloc((g->node.n + 1) * sizeof *uses);
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        for (int k = 0; k < n->n_in; k++)
            uses[n->in[k]->id]++;
        if (n->op->cls == LG_C_CONCAT)
            note_join(ctx, n);
    }
    for (size_t k = 0; k < g->output.n; k++)
        uses[g->output.at[k].node->id]++;
    for (size_t k = 0; k < ctx->list.n; k++) {
        found *f = ctx->list.at[k];
        for (int j = 0; f->joins && j < 3; j++)
            for (const lg_node *x = f->joins->in[j];; x = x->in[0]) {
                if (uses[x->id] != 1) {
                    ctx->joins[f->joins->id] = NULL;
                    f->joins = NULL;
                    break;
                }
                if (x->op->cls == LG_C_DOT)
                    break;
            }
    }
    lg_free(uses);
}

/* ---- operands and results in the order of the kernels ---- */

/* Dims of size above 1, and the feature, as they stand in one order and are wanted in another. */
typedef struct {
    int n;
    int64_t size[LG_MAX_RANK];
    int what[LG_MAX_RANK]; /* dim of the strip, or -1: the feature */
} axes;

static void add_axis(axes *a, int what, int64_t size) {
    a->what[a->n] = what;
    a->size[a->n++] = size;
}

static axes axes_of(const found *f, const lg_side *s) {
    axes a = {0};
    for (int d = 0; d < s->rank; d++) {
        if (d == s->feature)
            add_axis(&a, -1, s->x->type[0].shape[d]);
        for (int k = 0; d != s->feature && k < s->at[d].n; k++)
            add_axis(&a, s->at[d].dim[k], size_of(f, s->at[d].dim[k]));
    }
    return a;
}

/* The dims[n] that there are, and the feature; in the order of the kernel. */
static axes axes_for(const found *f, int n, const int *dims, int64_t last) {
    axes a = {0};
    for (int k = 0; k < n; k++)
        if (dims[k] >= 0)
            add_axis(&a, dims[k], size_of(f, dims[k]));
    add_axis(&a, -1, last);
    return a;
}

static lg_node *reordered(lg_rewrite *W, lg_node *x, const axes *from, const axes *to, lg_span at) {
    int perm[LG_MAX_RANK];
    assert(from->n == to->n);
    for (int o = 0; o < to->n; o++)
        for (int d = 0; d < from->n; d++)
            if (from->what[d] == to->what[o])
                perm[o] = d;
    return lg_s_permute(W, lg_s_reshape(W, x, from->n, from->size, at), perm, at);
}

/* The operand as the kernel wants it: [B, H, R, T, feature], or of keys [B, H, U, feature]. */
static lg_node *operand(lg_rewrite *W, const found *f, const lg_side *s, bool keys) {
    const int rows[] = {f->role[B], f->role[H], f->role[R], f->role[T]};
    const int cols[] = {f->role[B], f->role[H], f->s.j};
    int n = keys ? 3 : 4;
    axes from = axes_of(f, s), to = axes_for(f, n, keys ? cols : rows, feature(s));
    lg_span at = f->s.sum->span;
    int64_t shape[5];
    for (int k = 0; k < n; k++)
        shape[k] = size_of(f, keys ? cols[k] : rows[k]);
    shape[n] = feature(s);
    return lg_s_reshape(W, reordered(W, W->map[s->x->id], &from, &to, at), n + 1, shape, at);
}

/* The kernel's result as the product d gave it. */
static lg_node *result(lg_rewrite *W, const found *f, lg_node *y, const lg_strip_dot *d,
                       bool keys) {
    const int rows[] = {f->role[B], f->role[T], f->role[H], f->role[R]};
    const int cols[] = {f->role[B], f->s.j, f->role[H]};
    const lg_type *t = &d->dot->type[0];
    lg_span at = d->dot->span;
    axes from = axes_for(f, keys ? 3 : 4, keys ? cols : rows, feature(&d->out)),
         to = axes_of(f, &d->out);
    y = lg_s_reshape(W, reordered(W, y, &from, &to, at), t->rank, t->shape, at);
    if (d->by > 1 || d->by < 1)
        y = lg_s_elem2(W, W->op->mul, y, lg_s_number(W, t, d->by, at), at);
    return y;
}

/* x, a mask or bias seen as v, over [B, H, R, T, U]. */
static lg_node *over_scores(lg_rewrite *W, const found *f, const lg_seen *v, lg_node *x) {
    const int dim[] = {f->role[B], f->role[H], f->role[R], f->role[T], f->s.j};
    lg_affine *m = lg_affine_new(W->g, v->m.to, 5);
    int64_t shape[5];
    for (int o = 0; o < 5; o++) {
        shape[o] = size_of(f, dim[o]);
        for (int a = 0; a < v->m.to && dim[o] >= 0; a++)
            LG_COEF(m, a, o) = v->m.c[a][dim[o]];
    }
    for (int a = 0; a < v->m.to; a++)
        m->off[a] = v->m.off[a];
    return lg_s_view(W, x, m, 5, shape, f->s.sum->span);
}

/* True where a key is seen. */
static lg_node *mask_of(lg_rewrite *W, const found *f) {
    const lg_strip_mask *mask = f->s.whole;
    lg_node *x = W->map[mask->at.x->id];
    x = mask->denied ? lg_s_elem(W, W->op->not_, 1, &x, f->s.sum->span) : x;
    return over_scores(W, f, &mask->at, x);
}

static lg_node *bias_of(lg_rewrite *W, const found *f) {
    lg_node *sum = NULL;
    for (int k = 0; k < f->s.n_bias; k++) {
        lg_span at = f->s.sum->span;
        lg_node *b = over_scores(W, f, &f->s.bias[k], W->map[f->s.bias[k].x->id]);
        lg_node *by = lg_s_number(W, &b->type[0], f->s.bias_by[k], at);
        b = lg_s_elem2(W, W->op->mul, b, by, at);
        sum = sum ? lg_s_elem2(W, W->op->add, sum, b, at) : b;
    }
    return sum;
}

/* ---- kernels ---- */

static lg_attr attributes(const found *f) {
    lg_attr a = {0};
    memcpy(&a.p[LG_ATT_SCALE], &f->s.scale, sizeof f->s.scale);
    a.p[LG_ATT_UP] = f->s.up;
    a.p[LG_ATT_LOW] = f->s.low;
    a.p[LG_ATT_FLAGS] = (f->s.has_up ? LG_ATT_HAS_UP : 0) | (f->s.has_low ? LG_ATT_HAS_LOW : 0);
    return a;
}

/* Mask and bias behind the n inputs that there are; how many there are then. */
static int add_marks(lg_rewrite *W, const found *f, lg_node **in, int n, lg_attr *a) {
    if (f->s.whole) {
        in[n++] = mask_of(W, f);
        a->p[LG_ATT_FLAGS] |= LG_ATT_HAS_MASK;
    }
    if (f->s.n_bias) {
        in[n++] = bias_of(W, f);
        a->p[LG_ATT_FLAGS] |= LG_ATT_HAS_BIAS;
    }
    return n;
}

static lg_type type_of(const found *f, int n, const int64_t *shape) {
    return lg_type_make(f->s.e->type[0].dtype, n, shape);
}

static void make_forward(lg_rewrite *W, found *f) {
    if (f->forward)
        return;
    lg_attr a = attributes(f);
    lg_node *in[5] = {operand(W, f, &f->s.q, false), operand(W, f, &f->s.k, true),
                      operand(W, f, f->v, true)};
    int n = add_marks(W, f, in, 3, &a);
    int64_t b = size_of(f, f->role[B]), h = size_of(f, f->role[H]), r = size_of(f, f->role[R]),
            t = size_of(f, f->role[T]);
    lg_type out[2] = {type_of(f, 5, (int64_t[]){b, t, h, r, feature(f->v)}),
                      type_of(f, 4, (int64_t[]){b, h, r, t})};
    f->forward = lg_g_kernel(W->g, &lg_op_attend, n, in, 2, out, &a, f->s.sum->span);
}

static lg_node *item(lg_rewrite *W, lg_node *tuple, int k) {
    size_t before = W->g->node.n;
    return lg_rewrite_intern(W, before, lg_g_item(W->g, tuple, k));
}

/* The result of the forward kernel in the order of dy. */
static lg_node *y_again(lg_rewrite *W, const found *f) {
    const int perm[] = {0, 2, 3, 1, 4};
    return lg_s_permute(W, item(W, f->forward, 0), perm, f->s.sum->span);
}

static void make_backward(lg_rewrite *W, found *f) {
    if (f->backward)
        return;
    make_forward(W, f);
    const lg_strip *s = &f->s;
    lg_attr a = attributes(f);
    const lg_node *fwd = f->forward;
    lg_node *in[8] = {fwd->in[0],    fwd->in[1],
                      fwd->in[2],    operand(W, f, f->dy, false),
                      y_again(W, f), item(W, f->forward, 1)};
    int n = 6;
    for (int k = 3; k < fwd->n_in; k++)
        in[n++] = fwd->in[k];
    a.p[LG_ATT_FLAGS] = fwd->attr.p[LG_ATT_FLAGS];
    int64_t b = size_of(f, f->role[B]), h = size_of(f, f->role[H]), r = size_of(f, f->role[R]),
            t = size_of(f, f->role[T]), u = size_of(f, s->j), kk = feature(&s->q);
    lg_type out[3] = {type_of(f, 5, (int64_t[]){b, t, h, r, kk}),
                      type_of(f, 4, (int64_t[]){b, u, h, kk}),
                      type_of(f, 4, (int64_t[]){b, u, h, feature(f->v)})};
    const lg_strip_dot *of[] = {&s->dq, &s->dk, &s->dv};
    const int64_t wants[] = {LG_ATT_WANTS_DQ, LG_ATT_WANTS_DK, LG_ATT_WANTS_DV};
    for (int k = 0; k < 3; k++) {
        if (of[k]->dot)
            a.p[LG_ATT_FLAGS] |= wants[k];
        else
            out[k] = type_of(f, 1, (int64_t[]){0});
    }
    f->backward = lg_g_kernel(W->g, &lg_op_attend_grad, n, in, 3, out, &a, f->s.sum->span);
}

/* The three gradients as one result of a kernel, where n wants them in its order; else NULL. */
static lg_node *join(lg_rewrite *W, const found *f, const lg_node *n, lg_node *const *in) {
    const lg_node *b = f->backward;
    const int64_t *dk = b->type[1].shape; /* [B, T, H, K] */
    const int64_t whole[5] = {dk[0], dk[1], 3, dk[2], dk[3]};
    int64_t before = 1;
    for (int d = 0; d < n->attr.axis; d++)
        before *= n->type[0].shape[d];
    for (int k = 0; k < 3; k++) {
        const lg_node *x = lg_storage_of(in[k]);
        if (x->op->cls != LG_C_ITEM || x->in[0] != b)
            return NULL;
    }
    if (before != dk[0] * dk[1])
        return NULL;
    lg_attr a = b->attr;
    a.p[LG_ATT_FLAGS] |= LG_ATT_JOINED;
    for (int g = 0; g < 3; g++)
        a.p[LG_ATT_DQ_AT + g] = f->at[g];
    lg_type out[3] = {type_of(f, 5, whole), type_of(f, 1, (int64_t[]){0}),
                      type_of(f, 1, (int64_t[]){0})};
    lg_node *y = lg_g_kernel(W->g, b->op, b->n_in, b->in, 3, out, &a, b->span);
    return lg_s_reshape(W, item(W, y, 0), n->type[0].rank, n->type[0].shape, n->span);
}

static lg_node *make(lg_rewrite *W, lg_node *n, lg_node *const *in) {
    pass_ctx *ctx = W->ctx;
    found *f = ctx->joins[n->id];
    lg_node *joined = f ? join(W, f, n, in) : NULL;
    if (joined)
        return joined;
    f = ctx->of[n->id];
    if (!f)
        return lg_rewrite_default(W, n, in);
    if (n == f->s.y.dot) {
        make_forward(W, f);
        return result(W, f, item(W, f->forward, 0), &f->s.y, false);
    }
    make_backward(W, f);
    if (n == f->s.dq.dot)
        return result(W, f, item(W, f->backward, 0), &f->s.dq, false);
    bool keys = n == f->s.dk.dot;
    return result(W, f, item(W, f->backward, keys ? 1 : 2), keys ? &f->s.dk : &f->s.dv, true);
}

void lg_pass_attention(lg_graph *g) {
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->attr.scan)
            lg_pass_attention(n->attr.scan->body);
        if (n->attr.cond) {
            lg_pass_attention(n->attr.cond->then_);
            lg_pass_attention(n->attr.cond->else_);
        }
    }
    size_t n = g->node.n + 1;
    pass_ctx ctx = {.of = lg_alloc(n * sizeof *ctx.of), .joins = lg_alloc(n * sizeof *ctx.joins)};
    find(&ctx, g);
    if (ctx.list.n) {
        find_joins(&ctx, g);
        lg_rewrite_with(g, make, &ctx);
    }
    for (size_t k = 0; k < ctx.list.n; k++)
        lg_free(ctx.list.at[k]);
    lg_free(ctx.list.at);
    lg_free(ctx.of);
    lg_free(ctx.joins);
}
