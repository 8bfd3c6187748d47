/* bundle.c: images of convolutions in bundles of 16, of which each pixel is a vector: [N, C, H, W]
 * is kept as [N/16, C, H, W, 16], and so is whatever is computed from them element by element, by
 * windows, or by sums over other axes, up to what needs another order. In the graph a value in
 * bundles is a node of its own shape, and the value that it stands for a reshape of a view of it,
 * which nobody reads when all readers take the bundles. Not for the convolutions themselves
 * (ops/conv_bundle.c). Runs after derivatives were taken, before layout. */
#include "compiler/mid/rewrite.h"
#include "ops/conv.h"
#include <string.h>

/* A value in bundles and the axis along which its images are counted; NULL: it has no such form. */
typedef struct {
    lg_node *twin;
    int axis;
} entry;

typedef struct {
    LG_VEC(entry) of; /* by id of the new node */
    bool *wanted;     /* by id of the old: some convolution is made from it, element by element */
} state;

static state *state_of(lg_rewrite *R) {
    return R->ctx;
}

static void put(lg_rewrite *R, const lg_node *x, lg_node *twin, int axis) {
    state *s = state_of(R);
    entry none = {0}, e = {twin, axis};
    while (s->of.n <= x->id)
        LG_PUSH(s->of, none);
    if (!s->of.at[x->id].twin)
        s->of.at[x->id] = e;
}

/* What x is in bundles. */
static entry entry_of(lg_rewrite *R, const lg_node *x) {
    const state *s = state_of(R);
    return x->id < s->of.n ? s->of.at[x->id] : (entry){0};
}

/* The images' axis of a value that there is in bundles, or -1. */
static int images_of(lg_rewrite *R, const lg_node *x) {
    entry e = entry_of(R, x);
    return e.twin ? e.axis : -1;
}

/* ---- which axis counts the images ---- */

/* The axis of the map's other side that is axis b of this one and of nothing else, or -1. */
static int axis_along(const lg_affine *m, int b) {
    int axis = -1;
    if (m->off[b] != 0)
        return -1;
    for (int o = 0; o < m->rank_out; o++) {
        if (LG_COEF(m, b, o) == 0)
            continue;
        if (axis >= 0 || LG_COEF(m, b, o) != 1)
            return -1;
        axis = o;
    }
    for (int a = 0; a < m->rank_in && axis >= 0; a++)
        if (a != b && LG_COEF(m, a, axis) != 0)
            return -1;
    return axis;
}

/* The same from the map's outer side: an unview has its operand there. */
static int axis_back(const lg_affine *m, int o) {
    for (int a = 0; a < m->rank_in; a++)
        if (LG_COEF(m, a, o) != 0)
            return axis_along(m, a) == o ? a : -1;
    return -1;
}

/* The axis of a reshaped value before which as many elements lie as before axis b of t. */
static int axis_reshaped(const lg_type *t, int b, const lg_type *to) {
    int64_t before = 1, n = 1;
    for (int d = 0; d < b; d++)
        before *= t->shape[d];
    for (int d = 0; d < to->rank; n *= to->shape[d++])
        if (n == before && to->shape[d] == t->shape[b])
            return d;
    return -1;
}

/* Axis of x that is axis b of its operand, which it moves or reshapes; or -1. */
static int axis_through(const lg_node *x, int b) {
    const lg_type *t = &x->type[0], *in = &x->in[0]->type[0];
    int axis = x->op->cls == LG_C_VIEW      ? axis_along(x->attr.affine, b)
               : x->op->cls == LG_C_UNVIEW  ? axis_back(x->attr.affine, b)
               : x->op->cls == LG_C_RESHAPE ? axis_reshaped(in, b, t)
                                            : -1;
    return axis >= 0 && t->shape[axis] == in->shape[b] ? axis : -1;
}

/* ---- from one form to the other ---- */

static lg_type type_in_bundles(const lg_type *t, int axis) {
    lg_type b = *t;
    b.shape[axis] /= LG_BUNDLE;
    b.shape[b.rank++] = LG_BUNDLE;
    return b;
}

/* A map between values whose images' axes are a and o, as one between their bundles. */
static lg_affine *map_in_bundles(lg_rewrite *R, const lg_affine *m) {
    lg_affine *b = lg_affine_new(R->g, m->rank_in + 1, m->rank_out + 1);
    for (int a = 0; a < m->rank_in; a++) {
        b->off[a] = m->off[a];
        for (int o = 0; o < m->rank_out; o++)
            LG_COEF(b, a, o) = LG_COEF(m, a, o);
    }
    LG_COEF(b, m->rank_in, m->rank_out) = 1;
    return b;
}

/* Any value, taken apart along an axis where it is read. */
static lg_node *apart(lg_rewrite *R, lg_node *x, int axis) {
    int rank = x->type[0].rank;
    lg_type t = type_in_bundles(&x->type[0], axis);
    lg_affine *m = lg_affine_new(R->g, rank, rank + 1);
    for (int a = 0; a < rank; a++)
        LG_COEF(m, a, a) = a == axis ? LG_BUNDLE : 1;
    LG_COEF(m, axis, rank) = 1;
    return lg_s_view(R, x, m, t.rank, t.shape, x->span);
}

/* The same as an array of its own, which is made once. */
static lg_node *laid_out(lg_rewrite *R, lg_node *x, int axis) {
    lg_type t = type_in_bundles(&x->type[0], axis);
    lg_attr a = {.p = {axis}};
    if (t.dtype != LG_F32 && t.dtype != LG_F64)
        return apart(R, x, axis);
    size_t before = R->g->node.n;
    lg_node *y = lg_g_kernel(R->g, &lg_op_bundle, 1, &x, 1, &t, &a, x->span);
    return lg_rewrite_intern(R, before, y);
}

/* x, which moves or reshapes `part`, whose images are counted by another axis, both in bundles. */
static lg_node *move_bundles(lg_rewrite *R, const lg_node *x, lg_node *part, int axis) {
    lg_type t = type_in_bundles(&x->type[0], axis);
    if (x->op->cls == LG_C_RESHAPE)
        return lg_s_reshape(R, part, t.rank, t.shape, x->span);
    lg_affine *m = map_in_bundles(R, x->attr.affine);
    return x->op->cls == LG_C_VIEW ? lg_s_view(R, part, m, t.rank, t.shape, x->span)
                                   : lg_s_unview(R, part, m, t.rank, t.shape, x->span);
}

/* The axis of what x moves or reshapes, no larger than itself, along which its images lie; or -1.
 */
static int axis_below(const lg_node *x, int axis) {
    if ((x->op->cls != LG_C_VIEW && x->op->cls != LG_C_RESHAPE) ||
        lg_type_count(&x->in[0]->type[0]) > lg_type_count(&x->type[0]))
        return -1;
    int b = x->op->cls == LG_C_VIEW ? axis_back(x->attr.affine, axis)
                                    : axis_reshaped(&x->type[0], axis, &x->in[0]->type[0]);
    return b >= 0 && axis_through(x, b) == axis ? b : -1;
}

/* x in bundles along an axis. What is the same for all images is read as it is. */
static lg_node *in_bundles(lg_rewrite *R, lg_node *x, int axis) {
    entry e = entry_of(R, x);
    if (e.twin && e.axis == axis)
        return e.twin;
    lg_type t = type_in_bundles(&x->type[0], axis);
    if (x->op->cls == LG_C_IOTA && x->attr.axis != axis)
        return lg_s_iota(R, t.rank, t.shape, x->attr.axis, x->span);
    int b = axis_below(x, axis);
    lg_node *y = b >= 0 ? move_bundles(R, x, in_bundles(R, x->in[0], b), axis)
                 : x->op->cls == LG_C_VIEW || lg_fill_of(x) ? apart(R, x, axis)
                                                            : laid_out(R, x, axis);
    put(R, x, y, axis);
    return y;
}

/* The value that twin stands for, whose images' axis is the given one. */
static lg_node *whole(lg_rewrite *R, lg_node *twin, int axis) {
    int rank = twin->type[0].rank - 1, perm[LG_MAX_RANK];
    int64_t shape[LG_MAX_RANK];
    for (int o = 0; o <= rank; o++)
        perm[o] = o <= axis ? o : o == axis + 1 ? rank : o - 1;
    for (int a = 0; a < rank; a++)
        shape[a] = twin->type[0].shape[a] * (a == axis ? LG_BUNDLE : 1);
    lg_node *x = lg_s_reshape(R, lg_s_permute(R, twin, perm, twin->span), rank, shape, twin->span);
    put(R, x, twin, axis);
    return x;
}

/* ---- nodes ---- */

static lg_node *convolution(lg_rewrite *R, const lg_node *n, lg_node *const *in,
                            const lg_bundled *b) {
    lg_node *part[2];
    for (int k = 0; k < 2; k++)
        part[k] = k < b->images ? in_bundles(R, in[k], 0) : in[k];
    lg_type t = b->makes_images ? type_in_bundles(&n->type[0], 0) : n->type[0];
    size_t before = R->g->node.n;
    lg_node *y =
        lg_rewrite_intern(R, before, lg_g_kernel(R->g, b->op, 2, part, 1, &t, &n->attr, n->span));
    return b->makes_images ? whole(R, y, 0) : y;
}

/* Is x the same along most of its axes, or made from little? */
static bool is_thin(const lg_node *x) {
    if (x->op->cls == LG_C_IOTA || lg_fill_of(x))
        return true;
    return x->op->cls == LG_C_VIEW &&
           lg_type_count(&x->in[0]->type[0]) * 4 <= lg_type_count(&x->type[0]);
}

/* The images' axis when an op of these operands is better done in bundles, or -1. Where as many
 * operands speak against it as for it, a convolution that needs the result decides; values of
 * fewer than four axes are no images any more. */
static int elected(lg_rewrite *R, const lg_node *n, lg_node *const *in) {
    int axis = -1, for_it = 0, against = 0;
    for (int k = 0; k < n->n_in; k++) {
        int mine = images_of(R, in[k]);
        if (mine >= 0 && axis < 0)
            axis = mine;
        if (mine >= 0 && mine == axis)
            for_it++;
        else if (!is_thin(in[k]))
            against++;
    }
    bool wanted = state_of(R)->wanted[n->id] && n->type[0].rank >= 4;
    return for_it > against || (for_it && wanted) ? axis : -1;
}

static lg_node *elementwise(lg_rewrite *R, const lg_node *n, lg_node *const *in) {
    lg_node *part[4];
    int axis = n->n_in > (int)LG_COUNT(part) ? -1 : elected(R, n, in);
    if (axis < 0)
        return NULL;
    for (int k = 0; k < n->n_in; k++)
        part[k] = in_bundles(R, in[k], axis);
    lg_node *y = n->op->cls == LG_C_CAST ? lg_s_cast(R, part[0], n->type[0].dtype, n->span)
                                         : lg_s_elem(R, n->op, n->n_in, part, n->span);
    return whole(R, y, axis);
}

static lg_node *reduction(lg_rewrite *R, const lg_node *n, lg_node *x) {
    int axis = images_of(R, x), kept = 0;
    uint32_t mask = n->attr.axes_mask;
    if (axis < 0 || !n->op->elem[n->type[0].dtype]) /* or to an index */
        return NULL;
    lg_node *part = in_bundles(R, x, axis);
    if (mask >> axis & 1)
        return lg_s_reduce(R, n->op, part, mask | 1u << x->type[0].rank, n->span);
    for (int d = 0; d < axis; d++)
        kept += !(mask >> d & 1);
    return whole(R, lg_s_reduce(R, n->op, part, mask, n->span), kept);
}

/* n moves or reshapes x: so is what x is in bundles, for readers that take them. */
static lg_node *moved(lg_rewrite *R, lg_node *n, lg_node *x) {
    int b = images_of(R, x), axis = b < 0 ? -1 : axis_through(n, b);
    if (axis < 0)
        return NULL;
    return whole(R, move_bundles(R, n, in_bundles(R, x, b), axis), axis);
}

static lg_node *make(lg_rewrite *R, lg_node *n, lg_node *const *in) {
    lg_bundled b;
    lg_node *y = NULL;
    if (n->op->cls == LG_C_ELEM || n->op->cls == LG_C_CAST)
        y = elementwise(R, n, in);
    else if (n->op->cls == LG_C_REDUCE)
        y = reduction(R, n, in[0]);
    else if (n->op->cls == LG_C_KERNEL && lg_conv_bundled(n, &b))
        y = convolution(R, n, in, &b);
    else if (n->op->cls == LG_C_VIEW || n->op->cls == LG_C_UNVIEW || n->op->cls == LG_C_RESHAPE)
        y = moved(R, n, in[0]);
    return y ? y : lg_rewrite_default(R, n, in);
}

/* ---- what convolutions are made from ---- */

static bool is_passed(const lg_node *n) {
    switch ((int)n->op->cls) {
    case LG_C_ELEM:
    case LG_C_CAST:
    case LG_C_REDUCE:
    case LG_C_VIEW:
    case LG_C_UNVIEW:
    case LG_C_RESHAPE:
        return true;
    default:
        return false;
    }
}

/* Marks the operands of convolutions of bundles and what they are made from; is there any? */
static bool mark_wanted(const lg_graph *g, bool *wanted) {
    bool any = false;
    for (size_t i = g->node.n; i-- > 0;) {
        const lg_node *n = g->node.at[i];
        lg_bundled b;
        bool conv = n->op->cls == LG_C_KERNEL && lg_conv_bundled(n, &b);
        any = any || conv;
        for (int k = 0; k < n->n_in; k++)
            if (conv ? k < b.images : wanted[i] && is_passed(n))
                wanted[n->in[k]->id] = true;
    }
    return any;
}

void lg_pass_bundle(lg_graph *g) {
    state s = {.wanted = lg_alloc(g->node.n + 1)};
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i];
        if (n->attr.scan)
            lg_pass_bundle(n->attr.scan->body);
        if (n->attr.cond) {
            lg_pass_bundle(n->attr.cond->then_);
            lg_pass_bundle(n->attr.cond->else_);
        }
    }
    if (mark_wanted(g, s.wanted))
        lg_rewrite_with(g, make, &s);
    lg_free(s.of.at);
    lg_free(s.wanted);
}
