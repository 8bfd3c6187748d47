/* parts.c: which values of a step belong to single items of the batch, which are the same for all,
 * and which are sums over the items. Found on the graph itself: the step is there twice, for two
 * sizes of the batch, and an axis whose size differs counts items. Each op is then asked whether it
 * carries that axis through item by item. The graphs made from this are in parts_graph.c. */
#include "compiler/mid/parting.h"
#include <string.h>

bool lg_cut_refuse(lg_parts *p, const lg_node *n, const char *why) {
    if (!p->why) {
        p->why = why;
        p->at = n->span;
    }
    return false;
}

/* ---- the axis of the items ---- */

static bool axis_of(lg_parts *p, const lg_node *n, const lg_type *a, const lg_type *b,
                    lg_cut *out) {
    *out = (lg_cut){LG_CUT_ALL, -1, 1, 1, NULL};
    if (a->rank != b->rank || a->dtype != b->dtype)
        return lg_cut_refuse(p, n, "its shape depends on how many items there are");
    for (int d = 0; d < a->rank; d++) {
        if (a->shape[d] == b->shape[d])
            continue;
        if (out->axis >= 0)
            return lg_cut_refuse(p, n, "here every item meets every other");
        out->axis = d;
        out->f = p->rows ? a->shape[d] / p->rows : 0;
        if (out->f < 1 || out->f * p->rows != a->shape[d] || out->f * p->probe_rows != b->shape[d])
            return lg_cut_refuse(p, n, "here the items are not side by side in one dim");
        out->kind = LG_CUT_ITEMS;
    }
    return true;
}

/* ---- ops that carry the items through ---- */

/* in index = off + coef * out index: item i of x (in) and of the result (out) are the same item. */
static bool same_item(const lg_affine *m, const lg_type *ot, const lg_cut *in, const lg_cut *out) {
    int a = in->axis, o = out->axis, r = m->rank_out;
    for (int k = 0; k < m->rank_in; k++)
        if (k != a && m->coef[k * r + o])
            return false;
    int64_t c = m->coef[a * r + o], lo = m->off[a], hi = m->off[a];
    for (int k = 0; k < r; k++) {
        if (k == o)
            continue;
        int64_t reach = m->coef[a * r + k] * (ot->shape[k] - 1);
        lo += reach < 0 ? reach : 0;
        hi += reach > 0 ? reach : 0;
    }
    if (out->f == 1)
        return c == in->f && lo >= 0 && hi < in->f && in->runs == 1;
    return c == 1 && in->f == out->f && in->runs == out->runs && !lo && !hi;
}

static bool view(lg_parts *p, const lg_node *n, const lg_cut *in, const lg_cut *out) {
    bool back = n->op->cls == LG_C_UNVIEW; /* its map goes from its result to its input */
    const lg_cut *x = back ? out : in, *y = back ? in : out;
    const lg_affine *m = n->attr.affine;
    const lg_type *ot = back ? &n->in[0]->type[0] : &n->type[0];
    if (x->axis >= 0 && y->axis >= 0)
        return same_item(m, ot, x, y) ||
               lg_cut_refuse(p, n, "here items change their places or meet their neighbours");
    if (y->axis < 0)
        return lg_cut_refuse(p, n, "this reads one item by its place in the batch");
    for (int k = 0; k < m->rank_in; k++) /* the same for every item */
        if (m->coef[k * m->rank_out + y->axis])
            return lg_cut_refuse(p, n, "this depends on the place of an item in the batch");
    return true;
}

static int64_t before(const lg_type *t, int axis) {
    int64_t n = 1;
    for (int d = 0; d < axis; d++)
        n *= t->shape[d];
    return n;
}

static const char MIXED[] = "here items are mixed with other dims";

/* A reshape gathers dims before the items into theirs, or takes them out again. */
static bool reshaped(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out) {
    int64_t outer = before(&n->in[0]->type[0], in->axis) * in->runs,
            out_outer = before(&n->type[0], out->axis);
    out->runs = out_outer ? outer / out_outer : 1;
    bool ok = out->runs > 0 && out->runs * out_outer == outer && out->f % out->runs == 0;
    return ok || lg_cut_refuse(p, n, MIXED);
}

/* In what order items stand along the axis of the result: as in the operands, which agree. */
static bool follow(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out) {
    const lg_cut *first = NULL;
    for (int k = 0; k < n->n_in; k++) {
        if (in[k].axis < 0)
            continue;
        if (first && in[k].runs != first->runs)
            return lg_cut_refuse(p, n, MIXED);
        first = &in[k];
    }
    if (!first || (first->runs == 1 && n->op->cls != LG_C_RESHAPE))
        return true;
    switch (n->op->cls) {
    case LG_C_RESHAPE:
        return out->axis < 0 || reshaped(p, n, in, out);
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_MARK:
    case LG_C_VIEW:
    case LG_C_UNVIEW:
    case LG_C_DOT:
    case LG_C_REDUCE:
        out->runs = out->axis < 0 ? 1 : first->runs;
        return true;
    default:
        return lg_cut_refuse(p, n, MIXED);
    }
}

static bool gather(lg_parts *p, const lg_node *n, const lg_cut *in, const lg_cut *out) {
    int nb = n->attr.nb, ni = n->attr.ni, no = n->in[1]->type[0].rank - nb, x = in[0].axis;
    bool of_items = x >= nb && x < nb + ni;
    if (of_items)
        return lg_cut_refuse(p, n, "this picks items of the batch by their place");
    bool idx = in[1].axis >= 0;
    if (out->axis < nb ? x != out->axis : out->axis < nb + no ? x >= 0 || !idx : idx)
        return lg_cut_refuse(p, n, "here the items of two arrays are not side by side");
    return true;
}

static bool scatter(lg_parts *p, const lg_node *n, const lg_cut *in, const lg_cut *out) {
    int nb = n->attr.nb, ni = n->attr.ni, upd = n->n_in - 1;
    if (out->axis >= nb && out->axis < nb + ni)
        return lg_cut_refuse(p, n, "this writes items of the batch by their place");
    if (out->axis < nb ? in[upd].axis != out->axis : in[1].axis >= 0)
        return lg_cut_refuse(p, n, "here the items of two arrays are not side by side");
    return true;
}

/* How many dims of parameter k of a signature are named after its `...pack`; -1: it has no pack. */
static int fixed_dims(const char *sig, int k, bool result) {
    const char *s = sig, *end = strstr(sig, ") ->");
    if (result)
        s = end ? end : sig;
    for (int open = 0; !result && *s && k > 0; s++) {
        open += *s == '[' || *s == '(' ? 1 : *s == ']' || *s == ')' ? -1 : 0;
        if (*s == ',' && open == 1)
            k--;
    }
    const char *box = strchr(s, '[');
    const char *close = box ? strchr(box, ']') : NULL;
    if (!close || strncmp(box + 1, "...", 3) != 0)
        return -1;
    int dims = 0;
    for (const char *c = box; c < close; c++)
        dims += *c == ',';
    return dims;
}

static bool kernel(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out) {
    const char *sig = n->op->sig ? n->op->sig : "";
    int lead = n->n_in ? n->in[0]->type[0].rank : 0;
    int axis = -1;
    for (int k = 0; k < n->n_in; k++) {
        if (in[k].axis < 0)
            continue;
        int fixed = fixed_dims(sig, k, false), rank = n->in[k]->type[0].rank;
        bool within = fixed >= 0 && in[k].axis < rank - fixed;
        if (strstr(sig, "..., ...") || strstr(sig, "...B, ...S"))
            within = in[k].axis < lead; /* draws count elements behind their lanes */
        if (!within || (axis >= 0 && axis != in[k].axis) || in[k].f != 1)
            return lg_cut_refuse(p, n, "this op works on several items at once");
        axis = in[k].axis;
    }
    if (out->axis >= 0)
        return out->axis == axis || lg_cut_refuse(p, n, "this op works on several items at once");
    if (fixed_dims(sig, 0, true) >= 0 || !(n->op->traits & LG_T_LINEAR) || n->n_out != 1)
        return lg_cut_refuse(p, n, "this op works on several items at once");
    out->kind = LG_CUT_SUM;
    out->join = lg_op_find("add");
    return true;
}

static bool draw(lg_parts *p, const lg_node *n, const lg_cut *in, const lg_cut *out) {
    int nb = n->in[0]->type[0].rank;
    if (out->axis < nb ? in[0].axis == out->axis : out->axis == nb && n->n_in > 1)
        return true;
    return lg_cut_refuse(p, n, "these draws are not addressed by item");
}

static bool carries(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out) {
    switch (n->op->cls) {
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_MARK:
    case LG_C_DOT:
        for (int k = 0; k < n->n_in && n->op->cls == LG_C_ELEM; k++)
            if (in[k].axis != out->axis || in[k].f != out->f)
                return lg_cut_refuse(p, n, "here the items of two arrays are not side by side");
        return true;
    case LG_C_IOTA:
        return n->attr.axis != out->axis || out->f == 1 ||
               lg_cut_refuse(p, n, "this counts over the items of the batch");
    case LG_C_VIEW:
    case LG_C_UNVIEW:
        return view(p, n, in, out);
    case LG_C_RESHAPE: /* follow() has looked at it */
        return true;
    case LG_C_REDUCE:
        return !(n->attr.axes_mask >> in->axis & 1) ||
               lg_cut_refuse(p, n, "this reduces over the items");
    case LG_C_CUM:
        return n->attr.axis != out->axis ||
               lg_cut_refuse(p, n, "this runs along the items of the batch");
    case LG_C_GATHER:
        return gather(p, n, in, out);
    case LG_C_SCATTER:
        return scatter(p, n, in, out);
    case LG_C_CONCAT:
        return n->attr.axis != out->axis || lg_cut_refuse(p, n, "this joins several batches");
    case LG_C_RAND:
        return draw(p, n, in, out);
    case LG_C_KERNEL:
        return kernel(p, n, in, out);
    case LG_C_CONST:
        return lg_cut_refuse(p, n, "this array has as many items as the batch");
    case LG_C_INPUT:
        return (out->axis == 0 && out->f == 1) ||
               lg_cut_refuse(p, n, "this has the batch in its shape");
    case LG_C_SCAN:
    case LG_C_COND:
    case LG_C_ITEM:
    case LG_C_REQUIRE:
        break;
    }
    return true;
}

/* ---- ops that end in a sum over the items ---- */

static const lg_op *joined_by(const lg_op *reduction) {
    static const char *const pairs[][2] = {{"sum", "add"},        {"prod", "mul"},
                                           {"reduce_max", "max"}, {"reduce_min", "min"},
                                           {"any", "or"},         {"all", "and"}};
    for (size_t i = 0; i < LG_COUNT(pairs); i++)
        if (lg_op_find(pairs[i][0]) == reduction)
            return lg_op_find(pairs[i][1]);
    return NULL;
}

static bool sums(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out, bool inside) {
    const lg_op *add = lg_op_find("add");
    out->kind = LG_CUT_SUM;
    out->join = add;
    switch (n->op->cls) {
    case LG_C_REDUCE:
        out->join = n->attr.axes_mask >> in->axis & 1 ? joined_by(n->op) : NULL;
        if (inside && out->join != add)
            out->join = NULL;
        return out->join || lg_cut_refuse(p, n, "this is no sum or mean over the items");
    case LG_C_DOT:
        return true;
    case LG_C_UNVIEW:
        for (int k = 0; k < n->attr.affine->rank_in; k++)
            if (n->attr.affine->coef[k * n->attr.affine->rank_out + in->axis])
                return lg_cut_refuse(p, n, "this depends on the place of an item in the batch");
        return true;
    case LG_C_SCATTER:
        if (n->op != &lg_op_scatter_add || in[0].axis >= 0)
            return lg_cut_refuse(p, n,
                                 "items write to the same places: only sums are cut in parts");
        return !inside || lg_cut_is_zero(n->in[0]) ||
               lg_cut_refuse(p, n, "a sum over the items begins here with something else");
    case LG_C_KERNEL:
        return kernel(p, n, in, out);
    case LG_C_VIEW:
        return lg_cut_refuse(p, n, "this reads one item by its place in the batch");
    case LG_C_GATHER:
        return lg_cut_refuse(p, n, "this picks items of the batch by their place");
    case LG_C_INPUT:
    case LG_C_CONST:
    case LG_C_IOTA:
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_RESHAPE:
    case LG_C_CUM:
    case LG_C_CONCAT:
    case LG_C_RAND:
    case LG_C_SCAN:
    case LG_C_COND:
    case LG_C_ITEM:
    case LG_C_MARK:
    case LG_C_REQUIRE:
        break;
    }
    return lg_cut_refuse(p, n, "this is no sum or mean over the items");
}

/* ---- sums over the items within the body of a loop: only what is linear in them ---- */

bool lg_cut_is_zero(const lg_node *x) {
    while (x->op->cls == LG_C_VIEW || x->op->cls == LG_C_MARK || x->op->cls == LG_C_CAST ||
           x->op->cls == LG_C_RESHAPE)
        x = x->in[0];
    if (x->op->cls != LG_C_CONST)
        return false;
    for (size_t i = 0; i < x->attr.tensor->n; i++) {
        double v = lg_get_f64(x->type[0].dtype, x->attr.tensor->data, i);
        if (v < 0 || v > 0 || v != v)
            return false;
    }
    return true;
}

static bool summand(const lg_node *n, const lg_cut *in, int k) {
    return in[k].kind == LG_CUT_SUM || lg_cut_is_zero(n->in[k]);
}

static bool linear(const lg_node *n, const lg_cut *in) {
    const lg_op *o = n->op;
    int first = o->cls == LG_C_ELEM && o->key ? o->key : 0;
    bool sum_like = o == lg_op_find("add") || o == lg_op_find("sub") || o->cls == LG_C_CONCAT;
    if (sum_like || o == lg_op_find("where")) {
        for (int k = first; k < n->n_in; k++)
            if (!summand(n, in, k))
                return false;
        return sum_like || in[0].kind == LG_CUT_ALL;
    }
    if (o->cls == LG_C_SCATTER)
        return o == &lg_op_scatter_add && summand(n, in, 0) && summand(n, in, n->n_in - 1);
    if (o->cls == LG_C_DOT || o == lg_op_find("mul"))
        return (in[0].kind == LG_CUT_SUM) != (in[1].kind == LG_CUT_SUM);
    if (o->cls == LG_C_CAST && !lg_dtype_is_float(n->type[0].dtype))
        return false;
    for (int k = 0; k < n->n_in; k++)
        if ((in[k].kind == LG_CUT_SUM) != (k == first))
            return false;
    return (o->traits & LG_T_LINEAR) != 0;
}

static bool keeps_sum(lg_parts *p, const lg_node *n, const lg_cut *in, lg_cut *out) {
    bool items = false;
    for (int k = 0; k < n->n_in; k++)
        items = items || in[k].kind == LG_CUT_ITEMS;
    if (items || out->axis >= 0 || !linear(n, in))
        return lg_cut_refuse(p, n, "a loop uses a sum over the items before it is complete");
    out->kind = LG_CUT_SUM;
    out->join = lg_op_find("add");
    return true;
}

/* ---- loops and branches ---- */

static bool scan_start(lg_parts *p, const lg_node *n, const lg_scan_attr *s, const lg_cut *in,
                       lg_cut *start) {
    int n_in = s->n_carry + s->n_xs + s->n_const;
    for (int k = 0; k < n_in; k++) {
        bool xs = k >= s->n_carry && k < s->n_carry + s->n_xs;
        lg_cut *to = &start[k + (k >= s->n_carry + s->n_xs)]; /* the index comes before constants */
        *to = in[k];
        if (xs && in[k].axis == 0)
            return lg_cut_refuse(p, n, "this loop runs over the items of the batch");
        if (xs && in[k].axis > 0)
            to->axis--;
    }
    start[s->n_carry + s->n_xs] = (lg_cut){LG_CUT_ALL, -1, 1, 1, NULL};
    return true;
}

static bool varies(const lg_node *a, const lg_node *b) {
    for (int k = 0; k < a->n_out; k++)
        if (!lg_type_equal(&a->type[k], &b->type[k]))
            return true;
    return false;
}

/* Carries that are the same for all items in shape but are made from items can only be sums. */
static void sum_carries(const lg_scan_attr *s, const lg_scan_attr *probe, lg_cut *start) {
    const lg_graph *g = s->body, *h = probe->body;
    bool *from_items = lg_alloc(g->node.n + 1), again = g->node.n == h->node.n;
    while (again) {
        again = false;
        for (size_t i = 0; i < g->node.n; i++) {
            const lg_node *n = g->node.at[i];
            from_items[i] = varies(n, h->node.at[i]) ||
                            (n->op->cls == LG_C_INPUT && start[n->attr.slot].kind == LG_CUT_SUM);
            for (int k = 0; k < n->n_in; k++)
                from_items[i] = from_items[i] || from_items[n->in[k]->id];
        }
        for (int k = 0; k < s->n_carry; k++)
            if (start[k].kind == LG_CUT_ALL && from_items[g->output.at[k].node->id]) {
                start[k] = (lg_cut){LG_CUT_SUM, -1, 1, 1, lg_op_find("add")};
                again = true;
            }
    }
    lg_free(from_items);
}

static bool scan(lg_parts *p, const lg_node *n, const lg_node *other, const lg_cut *in, lg_cut *out,
                 lg_cut_info *info) {
    const lg_scan_attr *s = n->attr.scan;
    if (s->trip != other->attr.scan->trip)
        return lg_cut_refuse(p, n, "this loop runs over the items of the batch");
    lg_cut *start = LG_NEW_N(p->mem, lg_cut, n->n_in + 2);
    if (!scan_start(p, n, s, in, start))
        return false;
    sum_carries(s, other->attr.scan, start);
    lg_cut_info *body = lg_cut_body(p, s->body, other->attr.scan->body, start);
    if (!body)
        return false;
    for (int k = 0; k < s->n_carry; k++) {
        const lg_node *next = s->body->output.at[k].node;
        bool sum = start[k].kind == LG_CUT_SUM;
        if (sum ? (in[k].kind != LG_CUT_SUM && !lg_cut_is_zero(n->in[k])) ||
                      (lg_cut_of(body, next)->kind != LG_CUT_SUM && !lg_cut_is_zero(next))
                : lg_cut_of(body, next)->kind == LG_CUT_SUM)
            return lg_cut_refuse(p, n, "a loop mixes sums over the items with other values");
        if (start[k].axis >= 0 && lg_cut_of(body, next)->runs != start[k].runs)
            return lg_cut_refuse(p, n, MIXED);
    }
    info->body[n->id][0] = body;
    for (int k = 0; k < s->n_carry + s->n_yield; k++) {
        const lg_cut *r = k < s->n_carry ? &start[k] : lg_cut_of(body, s->body->output.at[k].node);
        int axis = out[k].axis;
        out[k] = *r;
        out[k].axis = axis;
    }
    return true;
}

static bool cond(lg_parts *p, const lg_node *n, const lg_node *other, const lg_cut *in, lg_cut *out,
                 lg_cut_info *info) {
    if (in[0].kind != LG_CUT_ALL)
        return lg_cut_refuse(p, n, "a branch depends on a sum over the items");
    const lg_graph *g[2] = {n->attr.cond->then_, n->attr.cond->else_};
    const lg_graph *h[2] = {other->attr.cond->then_, other->attr.cond->else_};
    for (int b = 0; b < 2; b++) {
        info->body[n->id][b] = lg_cut_body(p, g[b], h[b], in + 1);
        if (!info->body[n->id][b])
            return false;
    }
    for (int k = 0; k < n->n_out; k++) {
        const lg_node *x[2] = {g[0]->output.at[k].node, g[1]->output.at[k].node};
        const lg_cut *c[2] = {lg_cut_of(info->body[n->id][0], x[0]),
                              lg_cut_of(info->body[n->id][1], x[1])};
        for (int b = 0; b < 2; b++)
            if (c[b]->kind == LG_CUT_SUM && c[!b]->kind != LG_CUT_SUM && !lg_cut_is_zero(x[!b]))
                return lg_cut_refuse(p, n, "only one branch is a sum over the items");
        if (c[0]->axis >= 0 && c[1]->axis >= 0 && c[0]->runs != c[1]->runs)
            return lg_cut_refuse(p, n, MIXED);
        int axis = out[k].axis;
        out[k] = c[0]->kind == LG_CUT_SUM ? *c[0] : *c[1];
        out[k].axis = axis;
        out[k].kind = axis >= 0 ? LG_CUT_ITEMS : out[k].kind;
    }
    return true;
}

/* ---- one graph ---- */

static bool one(lg_parts *p, const lg_node *n, const lg_node *other, lg_cut_info *info,
                bool inside) {
    lg_cut *out = &info->cut[info->off[n->id]];
    lg_cut in[64], *ins = n->n_in <= 64 ? in : LG_NEW_N(p->mem, lg_cut, n->n_in);
    bool items = false, part = false;
    for (int k = 0; k < n->n_in; k++) {
        ins[k] = info->cut[info->off[n->in[k]->id]];
        items = items || ins[k].kind == LG_CUT_ITEMS;
        part = part || ins[k].kind == LG_CUT_SUM;
    }
    for (int k = 0; k < n->n_out; k++)
        if (!axis_of(p, n, &n->type[k], &other->type[k], &out[k]))
            return false;
    if (n->op->cls == LG_C_ITEM) {
        *out = info->cut[info->off[n->in[0]->id] + (size_t)n->attr.axis];
        return true;
    }
    if (!follow(p, n, ins, out))
        return false;
    if (n->op->cls == LG_C_SCAN)
        return scan(p, n, other, ins, out, info);
    if (n->op->cls == LG_C_COND)
        return cond(p, n, other, ins, out, info);
    if (n->op->cls == LG_C_REQUIRE)
        return !part || lg_cut_refuse(p, n, "a loop tests a sum over the items");
    if (n->op->cls == LG_C_MARK && (n->op->traits & LG_T_BARRIER || n->n_in > 1)) {
        *out = ins[0];
        return true;
    }
    if (part)
        return keeps_sum(p, n, ins, out);
    if (out->axis >= 0)
        return carries(p, n, ins, out);
    return !items || sums(p, n, ins, out, inside);
}

lg_cut_info *lg_cut_new(lg_parts *p, const lg_graph *g) {
    lg_cut_info *info = LG_NEW(p->mem, lg_cut_info);
    size_t n = 0;
    info->g = g;
    info->off = LG_NEW_N(p->mem, size_t, g->node.n + 1);
    for (size_t i = 0; i < g->node.n; i++) {
        info->off[i] = n;
        n += (size_t)(g->node.at[i]->n_out ? g->node.at[i]->n_out : 1);
    }
    info->cut = LG_NEW_N(p->mem, lg_cut, n + 1);
    info->body = lg_arena_alloc(p->mem, sizeof *info->body * (g->node.n + 1));
    return info;
}

bool lg_cut_alike(const lg_graph *a, const lg_graph *b) {
    if (a->node.n != b->node.n || a->input.n != b->input.n)
        return false;
    for (size_t i = 0; i < a->node.n; i++) {
        const lg_node *x = a->node.at[i], *y = b->node.at[i];
        if (x->op != y->op || x->n_in != y->n_in || x->n_out != y->n_out)
            return false;
        for (int k = 0; k < x->n_in; k++)
            if (x->in[k]->id != y->in[k]->id)
                return false;
    }
    return true;
}

lg_cut_info *lg_cut_body(lg_parts *p, const lg_graph *g, const lg_graph *probe,
                         const lg_cut *input) {
    if (!lg_cut_alike(g, probe)) {
        if (g->node.n)
            lg_cut_refuse(p, g->node.at[0],
                          "what is done here depends on how many items there are");
        return NULL;
    }
    lg_cut_info *info = lg_cut_new(p, g);
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->op->cls == LG_C_INPUT)
            info->cut[info->off[i]] = input[n->attr.slot];
        else if (!one(p, n, probe->node.at[i], info, true))
            return NULL;
    }
    return info;
}

/* ---- the step ---- */

static void mark_needed(lg_parts *p, int n, lg_node *const *want) {
    p->need = LG_NEW_N(p->mem, bool, p->g->node.n + 1);
    for (int k = 0; k < n; k++)
        p->need[want[k]->id] = true;
    for (size_t k = 0; k < p->g->effect.n; k++)
        p->need[p->g->effect.at[k]->id] = true;
    for (size_t i = p->g->node.n; i-- > 0;)
        for (int k = 0; p->need[i] && k < p->g->node.at[i]->n_in; k++)
            p->need[p->g->node.at[i]->in[k]->id] = true;
}

/* The value of a scalar constant differs with the batch: it counts items. */
static bool counts(const lg_node *a, const lg_node *b) {
    return a->op->cls == LG_C_CONST && a->attr.tensor->n == b->attr.tensor->n &&
           memcmp(a->attr.tensor->data, b->attr.tensor->data, lg_tensor_bytes(a->attr.tensor)) != 0;
}

static void found_sum(lg_parts *p, const lg_node *n, int level) {
    const lg_cut *c = lg_cut_of(p->info, n);
    lg_sum s = {.node = n, .join = c->join, .level = level, .pass = -1};
    double identity = n->op->cls == LG_C_REDUCE ? n->op->identity : 0.0;
    LG_PUSH(p->sum, s);
    LG_PUSH(p->shape, ((lg_part_sum){n->type[0], identity}));
    p->sum_of[n->id] = (int)p->sum.n - 1;
    p->info->cut[p->info->off[n->id]] = (lg_cut){LG_CUT_ALL, -1, 1, 1, NULL};
}

/* Sums that items wait for belong to the first pass that can make them, the others to the last. */
static void choose_passes(lg_parts *p) {
    bool *early = lg_alloc(p->g->node.n + 1);
    int last = 0;
    for (size_t i = p->g->node.n; i-- > 0;) {
        const lg_node *n = p->g->node.at[i];
        bool per_part = p->need[i] && (lg_cut_of(p->info, n)->kind == LG_CUT_ITEMS ||
                                       p->sum_of[i] >= 0 || n->op->cls == LG_C_REQUIRE);
        for (int k = 0; k < n->n_in; k++)
            if (per_part || (early[i] && p->sum_of[i] < 0))
                early[n->in[k]->id] = true;
    }
    for (size_t k = 0; k < p->sum.n; k++)
        last = p->sum.at[k].level > last ? p->sum.at[k].level : last;
    for (size_t k = 0; k < p->g->effect.n; k++) { /* a test of items may need all of them */
        int level = p->level[p->g->effect.at[k]->id];
        last = level > last ? level : last;
    }
    for (size_t k = 0; k < p->sum.n; k++)
        p->sum.at[k].pass = early[p->sum.at[k].node->id] ? p->sum.at[k].level : last;
    p->n_pass = last + 1;
    lg_free(early);
}

static bool analyse(lg_parts *p, const lg_graph *probe, int n, lg_node *const *want) {
    const lg_graph *g = p->g;
    if (!lg_cut_alike(g, probe))
        return lg_cut_refuse(p, n ? want[0] : g->node.at[0],
                             "what a step does depends on how many items there are");
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *x = g->node.at[i];
        if (!p->need[i])
            continue;
        if (!one(p, x, probe->node.at[i], p->info, false))
            return false;
        p->counted[i] = counts(x, probe->node.at[i]);
        for (int k = 0; k < x->n_in; k++) {
            p->level[i] =
                p->level[x->in[k]->id] > p->level[i] ? p->level[x->in[k]->id] : p->level[i];
            p->counted[i] = p->counted[i] || p->counted[x->in[k]->id];
        }
        if (x->n_out == 1 && lg_cut_of(p->info, x)->kind == LG_CUT_SUM)
            found_sum(p, x, p->level[i]++);
    }
    for (int k = 0; k < n; k++)
        if (lg_cut_of(p->info, want[k])->kind == LG_CUT_ITEMS)
            return lg_cut_refuse(p, want[k], "this is kept or shown item by item");
    choose_passes(p);
    return true;
}

lg_parts *lg_parts_new(const lg_graph *g, const lg_graph *probe, int64_t rows, int64_t probe_rows,
                       int first_slot, int n, lg_node *const *want) {
    lg_parts *p = lg_alloc(sizeof *p);
    p->mem = lg_arena_new();
    p->g = g;
    p->rows = rows;
    p->probe_rows = probe_rows;
    p->first_slot = first_slot;
    p->n_want = n;
    p->want = lg_arena_dup(p->mem, want, sizeof *want * (size_t)(n + 1));
    p->info = lg_cut_new(p, g);
    p->level = LG_NEW_N(p->mem, int, g->node.n + 1);
    p->counted = LG_NEW_N(p->mem, bool, g->node.n + 1);
    p->sum_of = LG_NEW_N(p->mem, int, g->node.n + 1);
    for (size_t i = 0; i < g->node.n; i++)
        p->sum_of[i] = -1;
    mark_needed(p, n, want);
    if (!analyse(p, probe, n, want) && !p->why)
        lg_cut_refuse(p, g->node.at[0], "the batch cannot be cut");
    return p;
}

void lg_parts_free(lg_parts *p) {
    if (!p)
        return;
    lg_free(p->sum.at);
    lg_free(p->shape.at);
    lg_arena_free(p->mem);
    lg_free(p);
}

const char *lg_parts_refused(const lg_parts *p, lg_span *at) {
    *at = p->at;
    return p->why;
}

const char *lg_parts_coupled(const lg_parts *p, const lg_node *of, lg_span *at) {
    bool *need = lg_alloc(p->g->node.n + 1);
    const char *why = NULL;
    need[of->id] = true;
    for (size_t i = of->id + 1; i-- > 0;)
        for (int k = 0; need[i] && k < p->g->node.at[i]->n_in; k++)
            need[p->g->node.at[i]->in[k]->id] = true;
    for (size_t i = 0; i <= of->id && !why; i++) {
        const lg_node *n = p->g->node.at[i];
        if (!need[i] || lg_cut_of(p->info, n)->kind != LG_CUT_ITEMS)
            continue;
        if (p->level[i])
            why = "here an item depends on a sum over all of them";
        else if (p->counted[i])
            why = "here an item depends on how many there are";
        *at = n->span;
    }
    lg_free(need);
    return why;
}

int lg_parts_sums(const lg_parts *p, const lg_part_sum **out) {
    *out = p->shape.at;
    return (int)p->sum.n;
}

int lg_parts_passes(const lg_parts *p) {
    return p->n_pass;
}
