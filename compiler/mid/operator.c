/* operator.c: answers to derivatives: gradients, products with Jacobians and Hessians, and those
 * matrices themselves, from the two passes of grad.h. Where the point and the value come from is
 * said in derive.c. */
#include "compiler/mid/derive.h"
#include <string.h>

bool lg_leaf_counts(const lg_value *v) {
    return v->kind == LG_V_TENSOR && lg_dtype_is_float(v->t.dtype);
}

/* ---- results by path ---- */

/* The structure of `like` without the places whose leaf is NULL. */
static lg_value *pruned(lg_elab *E, lg_value *v) {
    if (!v)
        return NULL;
    if (v->kind == LG_V_RECORD) {
        lg_value *r = lg_v_record(E, 0, v->at);
        for (int i = 0; i < v->rec.n; i++) {
            lg_value *x = pruned(E, v->rec.f[i].value);
            if (x && !(x->kind == LG_V_RECORD && !x->rec.n && v->rec.f[i].value->rec.n))
                lg_v_set_field(E, r, v->rec.f[i].name, x);
        }
        return r;
    }
    if (v->kind == LG_V_LIST)
        for (int i = 0; i < v->list.n; i++) {
            lg_value *x = pruned(E, v->list.at[i]);
            v->list.at[i] = x ? x : lg_v_record(E, 0, v->at);
        }
    return v;
}

static lg_value *by_path(lg_elab *E, lg_value *like, lg_value *const *leaf, lg_span at) {
    lg_value *v = pruned(E, lg_v_rebuild(E, like, leaf));
    lg_value *r = v ? lg_v_copy(E, v) : lg_v_error(E, at);
    r->at = at;
    return r;
}

static lg_node *or_zeros(lg_problem *p, lg_node *d, const lg_type *t) {
    return d ? d : lg_g_fill(p->g, *t, 0, p->at);
}

/* A size known in names or not, as the type of a node of this leaf. */
static lg_type leaf_type(lg_problem *p, const lg_value *v) {
    if (v->t.node)
        return v->t.node->type[0];
    lg_type t = {.dtype = v->t.dtype, .rank = v->t.n_open + v->t.rank};
    for (int i = 0; i < t.rank; i++)
        t.shape[i] = lg_dim_size(
            p->E, i < v->t.n_open ? v->t.open[i]->dim : v->t.dim[i - v->t.n_open], p->at);
    return t;
}

lg_value *lg_problem_result(lg_problem *p, lg_node *const *d) {
    lg_value **out = LG_NEW_N(p->E->arena, lg_value *, p->n_x + 1);
    for (int k = 0; k < p->n_x; k++) {
        const lg_value *x = p->x[k].value;
        if (x->kind == LG_V_OPAQUE || x->kind == LG_V_ERROR) {
            out[k] = p->x[k].value;
            continue;
        }
        if (!lg_leaf_counts(x))
            continue;
        out[k] = lg_v_copy(p->E, x);
        out[k]->at = p->at;
        out[k]->t.weak = false;
        out[k]->t.node = NULL;
        if (p->g) {
            lg_type t = leaf_type(p, x);
            out[k]->t.node = or_zeros(p, d[k], &t);
        }
    }
    return by_path(p->E, p->like, out, p->at);
}

/* ---- directions ---- */

static bool other_structure(lg_problem *p, const char *what, const char *path, const lg_value *want,
                            const lg_value *got) {
    lg_diag *d;
    lg_span at = got && got->at.file ? got->at : p->at;
    if (!want || !got)
        d = lg_err(p->E, "E0505", at, "`%s` of `%s` %s `%s`", what, p->op,
                   want ? "lacks" : "has nothing to meet at", path);
    else
        d = lg_err(p->E, "E0505", at, "`%s` of `%s`%s%s is %s, wanted %s", what, p->op,
                   *path ? " at " : "", path, lg_v_type_text(p->E, got),
                   lg_v_type_text(p->E, want));
    lg_diag_note(d, "it needs the structure and the types of what it is a change of");
    return false;
}

/* One leaf of a direction as a node of the type of the leaf that it changes. */
static bool seed_leaf(lg_problem *p, const lg_value *x, lg_value *d, const char *what,
                      const char *path, lg_node **out) {
    lg_elab *E = p->E;
    if (d->kind == LG_V_ERROR || d->kind == LG_V_OPAQUE || x->kind == LG_V_OPAQUE)
        return d->kind != LG_V_ERROR;
    d = lg_arrayed(E, d, p->at);
    if (d->kind == LG_V_NUM)
        d = lg_to_tensor(E, d, x->t.dtype, p->at);
    if (d->kind != LG_V_TENSOR || (d->t.rank && d->t.rank != x->t.rank) ||
        (!d->t.rank && x->t.rank))
        return other_structure(p, what, path, x, d);
    for (int i = 0; i < d->t.rank; i++)
        if (!lg_dims_match(d->t.dim[i], x->t.dim[i]))
            return other_structure(p, what, path, x, d);
    if (d->t.dtype != x->t.dtype && !d->t.weak)
        return other_structure(p, what, path, x, d);
    if (!p->g)
        return true;
    if (d->t.dtype != x->t.dtype)
        d = lg_cast(E, d, x->t.dtype, p->at);
    *out = lg_node_as(E, d, x->t.n_open, x->t.open, x->t.rank, x->t.dim, p->at);
    return true;
}

bool lg_problem_seeds(lg_problem *p, int n, const lg_leaf *of, lg_value *dir, const char *what,
                      lg_node **out) {
    lg_leaf *d;
    int i = 0, nd = lg_v_leaves(p->E, dir, &d);
    if (dir->kind == LG_V_ERROR)
        return false;
    for (int k = 0; k < n; k++) {
        bool opaque = of[k].value->kind == LG_V_OPAQUE;
        if (!lg_leaf_counts(of[k].value) && !opaque) { /* may be left out of the direction */
            if (i < nd && !strcmp(d[i].path, of[k].path))
                i++;
            continue;
        }
        if (i == nd || strcmp(d[i].path, of[k].path))
            return other_structure(p, what, of[k].path, of[k].value, NULL);
        if (!seed_leaf(p, of[k].value, d[i++].value, what, of[k].path, &out[k]))
            return false;
    }
    return i == nd || other_structure(p, what, d[i].path, NULL, d[i].value);
}

/* ---- products ---- */

bool lg_problem_scalar(lg_problem *p) {
    const lg_value *y = p->y;
    if (y->kind == LG_V_ERROR)
        return false;
    if (y->kind == LG_V_OPAQUE || (lg_leaf_counts(y) && !y->t.rank) || y->kind == LG_V_NUM)
        return true;
    lg_diag *d = lg_err(p->E, "E0502", y->at.file ? y->at : p->at,
                        "`%s` wants one float number, got %s", p->op, lg_v_type_text(p->E, y));
    if (lg_leaf_counts(y))
        lg_diag_help(d, "take the `mean` or the `sum` first, or write `jacobian` for all of them");
    return false;
}

static bool has_node(const lg_value *y) {
    return y->kind == LG_V_TENSOR && y->t.node;
}

/* Cotangents of the point's leaves for y itself. */
static bool gradient(lg_problem *p, lg_node **d) {
    if (!p->g || !has_node(p->y))
        return true;
    lg_node *one = lg_g_fill(p->g, p->y->t.node->type[0], 1, p->at);
    return lg_grad_vjp(p->E, p->g, 1, &p->y->t.node, &one, p->n_x, p->node, d, p->at);
}

static lg_node **nodes(lg_problem *p) {
    return LG_NEW_N(p->E->arena, lg_node *, p->n_x + 1);
}

lg_value *lg_problem_grad(lg_problem *p) {
    lg_node **d = nodes(p);
    if (!lg_problem_scalar(p) || !gradient(p, d))
        return lg_v_error(p->E, p->at);
    return lg_problem_result(p, d);
}

lg_value *lg_problem_hvp(lg_problem *p, lg_value *dir) {
    lg_node **d = nodes(p), **v = nodes(p), **h = nodes(p);
    if (!lg_problem_scalar(p) || !lg_problem_seeds(p, p->n_x, p->x, dir, "dir", v) ||
        !gradient(p, d))
        return lg_v_error(p->E, p->at);
    /* the Hessian is symmetric: its product is the gradient of <gradient, dir> */
    for (int k = 0; k < p->n_x; k++)
        if (!d[k])
            v[k] = NULL;
    if (p->g && !lg_grad_vjp(p->E, p->g, p->n_x, d, v, p->n_x, p->node, h, p->at))
        return lg_v_error(p->E, p->at);
    return lg_problem_result(p, h);
}

/* The nodes of y's leaves, NULL for those that are not floats. */
static int value_nodes(lg_problem *p, lg_leaf **leaf, lg_node ***out) {
    int n = lg_v_leaves(p->E, p->y, leaf);
    *out = LG_NEW_N(p->E->arena, lg_node *, n + 1);
    for (int k = 0; k < n; k++)
        if (lg_leaf_counts((*leaf)[k].value))
            (*out)[k] = (*leaf)[k].value->t.node;
    return n;
}

lg_value *lg_problem_vjp(lg_problem *p, lg_value *dy) {
    lg_leaf *leaf;
    lg_node **y, **d = nodes(p);
    int n = value_nodes(p, &leaf, &y);
    lg_node **seed = LG_NEW_N(p->E->arena, lg_node *, n + 1);
    if (p->y->kind == LG_V_ERROR || !lg_problem_seeds(p, n, leaf, dy, "dy", seed))
        return lg_v_error(p->E, p->at);
    if (p->g && !lg_grad_vjp(p->E, p->g, n, y, seed, p->n_x, p->node, d, p->at))
        return lg_v_error(p->E, p->at);
    return lg_problem_result(p, d);
}

lg_value *lg_problem_jvp(lg_problem *p, lg_value *dir) {
    lg_leaf *leaf;
    lg_node **y, **v = nodes(p);
    int n = value_nodes(p, &leaf, &y);
    lg_node **t = LG_NEW_N(p->E->arena, lg_node *, n + 1);
    if (p->y->kind == LG_V_ERROR || !lg_problem_seeds(p, p->n_x, p->x, dir, "dir", v))
        return lg_v_error(p->E, p->at);
    if (p->g && !lg_grad_jvp(p->E, p->g, p->n_x, p->node, v, n, y, t, p->at))
        return lg_v_error(p->E, p->at);
    lg_problem q = *p; /* the tangent has the structure of y */
    q.like = p->y;
    q.n_x = n;
    q.x = leaf;
    return lg_problem_result(&q, t);
}

/* ---- matrices ---- */

/* 1 where the n basis indices equal the dims of v, else 0; of v's type (v has them open). */
static lg_node *unit(lg_problem *p, const lg_value *v, int n, const lg_type *t) {
    lg_node *all = NULL;
    int first = v->t.n_open - n;
    for (int k = 0; k < n; k++) {
        lg_node *two[] = {lg_g_iota(p->g, t->rank, t->shape, first + k, p->at),
                          lg_g_iota(p->g, t->rank, t->shape, v->t.n_open + k, p->at)};
        lg_node *eq = lg_g_elem(p->g, lg_op_find("eq"), 2, two, p->at);
        all = all ? lg_g_elem(p->g, lg_op_find("and"), 2, (lg_node *[]){all, eq}, p->at) : eq;
    }
    return all ? lg_g_cast(p->g, all, t->dtype, p->at) : lg_g_fill(p->g, *t, 1, p->at);
}

/* Results with the basis indices, which stand last among the open ones, as their first dims. */
static lg_value *rows_of(lg_problem *p, lg_node *const *d, int n) {
    lg_value **out = LG_NEW_N(p->E->arena, lg_value *, p->n_x + 1);
    for (int k = 0; k < p->n_x; k++) {
        const lg_value *x = p->x[k].value;
        if (!lg_leaf_counts(x)) {
            out[k] = x->kind == LG_V_OPAQUE ? lg_v_error(p->E, p->at) : NULL;
            continue;
        }
        lg_dim *dim[2 * LG_MAX_RANK];
        int n_open = x->t.n_open - n;
        for (int i = 0; i < n + x->t.rank; i++)
            dim[i] = i < n ? x->t.open[n_open + i]->dim : x->t.dim[i - n];
        lg_node *node = NULL;
        if (p->g) {
            lg_type t = leaf_type(p, x);
            node = or_zeros(p, d[k], &t);
        }
        out[k] = lg_v_open(p->E, x->t.dtype, n_open, x->t.open, n + x->t.rank, dim, node, p->at);
    }
    return by_path(p->E, p->like, out, p->at);
}

lg_value *lg_problem_jacobian(lg_problem *p, int n) {
    lg_node **d = nodes(p);
    lg_value *y = p->y;
    if (p->g && lg_leaf_counts(y)) {
        lg_value *all[] = {y, p->x[0].value};
        lg_index **open;
        int n_open = lg_open_union(p->E, 2, all, &open); /* y may not depend on the point at all */
        lg_node *node = lg_node_as(p->E, y, n_open, open, y->t.rank, y->t.dim, p->at);
        lg_value *whole =
            lg_v_open(p->E, y->t.dtype, n_open, open, y->t.rank, y->t.dim, node, p->at);
        lg_node *seed = unit(p, whole, n, &node->type[0]);
        if (!lg_grad_vjp(p->E, p->g, 1, &node, &seed, p->n_x, p->node, d, p->at))
            return lg_v_error(p->E, p->at);
    }
    return rows_of(p, d, n);
}

lg_value *lg_problem_hessian(lg_problem *p, int leaf, int n) {
    lg_node **d = nodes(p), **h = nodes(p);
    if (!lg_problem_scalar(p) || !gradient(p, d))
        return lg_v_error(p->E, p->at);
    if (p->g && d[leaf]) {
        lg_node *seed = unit(p, p->x[leaf].value, n, &d[leaf]->type[0]);
        if (!lg_grad_vjp(p->E, p->g, 1, &d[leaf], &seed, p->n_x, p->node, h, p->at))
            return lg_v_error(p->E, p->at);
    }
    return rows_of(p, h, n);
}
