/* rewrite.c: the frame that passes rewrite graphs in: every node is made anew in order, equal nodes
 * once, and the old ones are dropped. Not for what the rules are (simplify.c, affine.c,
 * contract.c). */
#include "compiler/mid/rewrite.h"
#include <string.h>

const lg_known *lg_known_ops(void) {
    static lg_known k;
    static bool found; /* descriptors are constant, so finding them twice at once does no harm */
    if (found)
        return &k;
    const struct {
        const lg_op **to;
        const char *name;
    } list[] = {{&k.add, "add"},     {&k.sub, "sub"},         {&k.mul, "mul"},
                {&k.div, "div"},     {&k.neg, "neg"},         {&k.square, "square"},
                {&k.pow, "pow"},     {&k.sqrt, "sqrt"},       {&k.rsqrt, "rsqrt"},
                {&k.max, "max"},     {&k.min, "min"},         {&k.where, "where"},
                {&k.guard, "guard"}, {&k.and_, "and"},        {&k.or_, "or"},
                {&k.not_, "not"},    {&k.rmax, "reduce_max"}, {&k.rmin, "reduce_min"},
                {&k.sum, "sum"},     {&k.any, "any"},         {&k.all, "all"},
                {&k.eq, "eq"},       {&k.lt, "lt"},           {&k.le, "le"},
                {&k.gt, "gt"},       {&k.ge, "ge"},           {&k.floordiv, "floordiv"},
                {&k.ne, "ne"},       {&k.exp, "exp"},         {&k.isfinite, "isfinite"}};
    for (size_t i = 0; i < LG_COUNT(list); i++) {
        *list[i].to = lg_op_find(list[i].name);
        assert(*list[i].to);
    }
    found = true;
    return &k;
}

/* ---- equal nodes ---- */

static uint64_t hash_affine(const lg_affine *m, uint64_t h) {
    size_t in = (size_t)m->rank_in, out = (size_t)m->rank_out;
    h = lg_hash(m->off, in * sizeof *m->off, h);
    return lg_hash(m->coef, in * out * sizeof *m->coef, h);
}

static bool same_affine(const lg_affine *a, const lg_affine *b) {
    size_t in = (size_t)a->rank_in, out = (size_t)a->rank_out;
    return a->rank_in == b->rank_in && a->rank_out == b->rank_out &&
           !memcmp(a->off, b->off, in * sizeof *a->off) &&
           !memcmp(a->coef, b->coef, in * out * sizeof *a->coef);
}

enum { COMPARED = 64 }; /* bytes of a constant that are looked at */

static uint64_t hash_node(const lg_node *n) {
    const lg_attr *a = &n->attr;
    uint64_t h = lg_hash(&n->op, sizeof n->op, 1);
    for (int i = 0; i < n->n_in; i++)
        h = lg_hash_mix(h, n->in[i]->id);
    for (int k = 0; k < n->n_out; k++) {
        h = lg_hash_mix(h, (uint64_t)n->type[k].dtype + 16 * (uint64_t)n->type[k].rank);
        h = lg_hash(n->type[k].shape, (size_t)n->type[k].rank * sizeof(int64_t), h);
    }
    if (a->affine)
        h = hash_affine(a->affine, h);
    if (a->tensor && lg_tensor_bytes(a->tensor) <= COMPARED)
        h = lg_hash(a->tensor->data, lg_tensor_bytes(a->tensor), h);
    h = lg_hash(a->p, sizeof a->p, h);
    int64_t rest[] = {a->axes_mask, a->axis, a->nb, a->ni, a->rev};
    return lg_hash(rest, sizeof rest, h);
}

static bool same_tensor(const lg_tensor *a, const lg_tensor *b) {
    if (a == b || !a || !b)
        return a == b;
    size_t n = lg_tensor_bytes(a);
    return n <= COMPARED && n == lg_tensor_bytes(b) && !memcmp(a->data, b->data, n);
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && !strcmp(a, b));
}

static bool same_attr(const lg_attr *a, const lg_attr *b) {
    if (!a->affine != !b->affine || (a->affine && !same_affine(a->affine, b->affine)))
        return false;
    return same_tensor(a->tensor, b->tensor) && a->scan == b->scan && a->cond == b->cond &&
           a->rule == b->rule && same_text(a->text, b->text) && !memcmp(a->p, b->p, sizeof a->p) &&
           a->axes_mask == b->axes_mask && a->axis == b->axis && a->nb == b->nb && a->ni == b->ni &&
           a->slot == b->slot && a->rev == b->rev;
}

static bool same_node(const lg_node *a, const lg_node *b) {
    if (a->op != b->op || a->n_in != b->n_in || a->n_out != b->n_out)
        return false;
    for (int i = 0; i < a->n_in; i++)
        if (a->in[i] != b->in[i])
            return false;
    for (int k = 0; k < a->n_out; k++)
        if (!lg_type_equal(&a->type[k], &b->type[k]))
            return false;
    return same_attr(&a->attr, &b->attr);
}

static void grow(lg_rewrite *R) {
    size_t n = R->n_slot ? R->n_slot * 2 : 256;
    lg_node **slot = lg_alloc(n * sizeof *slot);
    for (size_t i = 0; i < R->n_slot; i++)
        if (R->slot[i]) {
            size_t at = hash_node(R->slot[i]) & (n - 1);
            while (slot[at])
                at = (at + 1) & (n - 1);
            slot[at] = R->slot[i];
        }
    lg_free(R->slot);
    R->slot = slot;
    R->n_slot = n;
}

lg_node *lg_rewrite_intern(lg_rewrite *R, size_t before, lg_node *x) {
    if (R->g->node.n == before)
        return x; /* the builder gave something that was there */
    assert(R->g->node.n == before + 1 && R->g->node.at[before] == x);
    if (R->used * 2 >= R->n_slot)
        grow(R);
    size_t at = hash_node(x) & (R->n_slot - 1);
    for (; R->slot[at]; at = (at + 1) & (R->n_slot - 1))
        if (same_node(R->slot[at], x)) {
            R->g->node.n--;
            return R->slot[at];
        }
    R->slot[at] = x;
    R->used++;
    return x;
}

/* ---- constants ---- */

/* A run of these has no loads, and rules see through it. */
const void *lg_fill_of(const lg_node *x) {
    if (x->op->cls == LG_C_VIEW && x->in[0]->op->cls == LG_C_CONST && x->in[0]->type[0].rank == 0)
        x = x->in[0];
    if (x->op->cls == LG_C_CONST && x->attr.tensor->n == 1)
        return x->attr.tensor->data;
    return NULL;
}

bool lg_fill_value(const lg_node *x, double *v) {
    const void *p = lg_fill_of(x);
    if (p)
        *v = lg_get_f64(x->type[0].dtype, p, 0);
    return p != NULL;
}

bool lg_is_fill(const lg_node *x, double v) {
    double have;
    return lg_fill_value(x, &have) && !(have < v) && !(have > v) && have == have;
}

lg_node *lg_s_const(lg_rewrite *R, lg_dtype t, const void *value, int rank, const int64_t *shape,
                    lg_span at) {
    lg_tensor *x = lg_tensor_new(t, rank, shape);
    memcpy(x->data, value, lg_tensor_bytes(x));
    size_t before = R->g->node.n;
    lg_node *n = lg_g_const(R->g, x, at);
    lg_tensor_release(x);
    return lg_rewrite_intern(R, before, n);
}

lg_node *lg_s_fill(lg_rewrite *R, const lg_type *t, const void *one, lg_span at) {
    int from[LG_MAX_RANK];
    for (int o = 0; o < t->rank; o++)
        from[o] = -1;
    lg_node *x = lg_s_const(R, t->dtype, one, 0, NULL, at);
    size_t before = R->g->node.n;
    return lg_rewrite_intern(R, before, lg_g_broadcast(R->g, x, t->rank, t->shape, from, at));
}

lg_node *lg_s_number(lg_rewrite *R, const lg_type *t, double v, lg_span at) {
    uint64_t one[2] = {0};
    lg_set_f64(t->dtype, one, 0, v);
    return lg_s_fill(R, t, one, at);
}

const void *lg_small_data(lg_rewrite *R, const lg_node *x) {
    const lg_type *t = &x->type[0];
    size_t n = lg_type_count(t), size = lg_dtype_size(t->dtype);
    if (n > LG_SMALL)
        return NULL;
    if (x->op->cls == LG_C_CONST)
        return x->attr.tensor->data;
    const void *in = NULL;
    if (x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE) {
        if (x->in[0]->op->cls != LG_C_CONST)
            return NULL;
        in = x->in[0]->attr.tensor->data;
    } else if (x->op->cls != LG_C_IOTA) {
        return NULL;
    }
    void *out = lg_arena_alloc(R->g->arena, n * size + 16);
    lg_call c = {.node = x, .in = &in, .out = &out};
    return x->op->run(&c) ? out : NULL;
}

/* ---- the frame ---- */

lg_node *lg_rewrite_copy(lg_rewrite *R, const lg_node *n, lg_node *const *in) {
    lg_graph *g = R->g;
    lg_node *x = lg_arena_dup(g->arena, n, sizeof *n);
    size_t before = g->node.n;
    x->in = lg_arena_dup(g->arena, in, sizeof *in * (size_t)(n->n_in ? n->n_in : 1));
    x->id = (uint32_t)before;
    LG_PUSH(g->node, x);
    assert(lg_node_check(x) == NULL);
    return lg_rewrite_intern(R, before, x);
}

static void bodies(const lg_node *n, void (*pass)(lg_graph *body)) {
    if (n->op->cls == LG_C_SCAN)
        pass(n->attr.scan->body);
    if (n->op->cls == LG_C_COND) {
        pass(n->attr.cond->then_);
        pass(n->attr.cond->else_);
    }
}

static uint32_t *count_uses(const lg_graph *g) {
    uint32_t *uses = lg_alloc((g->node.n + 1) * sizeof *uses);
    for (size_t i = 0; i < g->node.n; i++)
        for (int k = 0; k < g->node.at[i]->n_in; k++)
            uses[g->node.at[i]->in[k]->id]++;
    for (size_t k = 0; k < g->output.n; k++)
        uses[g->output.at[k].node->id]++;
    for (size_t k = 0; k < g->effect.n; k++)
        uses[g->effect.at[k]->id]++;
    return uses;
}

static void replace_effects(lg_rewrite *R) {
    lg_graph *g = R->g;
    size_t n = 0;
    for (size_t k = 0; k < g->effect.n; k++) {
        lg_node *x = R->map[g->effect.at[k]->id];
        bool again = !x;
        for (size_t j = 0; j < n && !again; j++)
            again = g->effect.at[j] == x;
        if (!again)
            g->effect.at[n++] = x;
    }
    g->effect.n = n;
}

static void rewrite(lg_graph *g, lg_rewrite_fn make, void (*pass)(lg_graph *body), void *ctx) {
    lg_rewrite R = {.g = g, .n_old = g->node.n, .op = lg_known_ops(), .ctx = ctx};
    R.uses = count_uses(g);
    R.map = lg_alloc(sizeof *R.map * (R.n_old + 1));
    LG_VEC(lg_node *) in = {0};
    for (size_t i = 0; i < R.n_old; i++) {
        lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_INPUT) {
            R.map[i] = n;
            continue;
        }
        if (pass)
            bodies(n, pass);
        in.n = 0;
        for (int k = 0; k < n->n_in; k++)
            LG_PUSH(in, R.map[n->in[k]->id]);
        if (!in.at)
            LG_PUSH(in, NULL);
        R.map[i] = make(&R, n, in.at);
    }
    for (size_t k = 0; k < g->output.n; k++)
        g->output.at[k].node = R.map[g->output.at[k].node->id];
    replace_effects(&R);
    lg_free(in.at);
    lg_free(R.map);
    lg_free(R.uses);
    lg_free(R.slot);
    lg_pass_dead(g);
}

void lg_rewrite_graph(lg_graph *g, lg_rewrite_fn make, void (*pass)(lg_graph *body)) {
    rewrite(g, make, pass, NULL);
}

void lg_rewrite_with(lg_graph *g, lg_rewrite_fn make, void *ctx) {
    rewrite(g, make, NULL, ctx);
}

/* ---- what nothing needs ---- */

void lg_pass_dead(lg_graph *g) {
    uint8_t *live = lg_alloc(g->node.n + 1);
    for (size_t k = 0; k < g->output.n; k++)
        live[g->output.at[k].node->id] = 1;
    for (size_t k = 0; k < g->effect.n; k++)
        live[g->effect.at[k]->id] = 1;
    for (size_t i = g->node.n; i-- > 0;) {
        lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_INPUT)
            live[i] = 1;
        for (int k = 0; live[i] && k < n->n_in; k++)
            live[n->in[k]->id] = 1;
    }
    size_t kept = 0;
    for (size_t i = 0; i < g->node.n; i++) {
        if (!live[i])
            continue;
        lg_node *n = g->node.at[i];
        n->id = (uint32_t)kept;
        g->node.at[kept++] = n;
        bodies(n, lg_pass_dead);
    }
    g->node.n = kept;
    lg_free(live);
}
