/* reduce.c: the two forms of a reduction, `sum[k where c](e)` and `sum(x, axis=C)`: reading them,
 * and what their terms are evaluated under. Not for their arithmetic (fold.c). */
#include "compiler/mid/index.h"
#include "compiler/mid/sig.h"
#include "compiler/mid/uncovered.h"
#include <string.h>

bool lg_is_reduction(lg_sym name) {
    return lg_reduction_find(name) != NULL;
}

/* ---- the index form ---- */

/* Arguments in the parentheses: the terms (NULL: none) and options. */
static bool read_call(lg_elab *E, const lg_ast *call, const lg_reduction *red, lg_fold *r,
                      const lg_ast **term) {
    bool ok = true;
    for (uint32_t i = 1; i < call->n; i++) {
        const lg_ast *a = call->kid[i];
        if (a->kind == LG_A_NAMED) {
            lg_value **to = !strcmp(a->name, "empty")  ? &r->empty
                            : !strcmp(a->name, "ddof") ? &r->ddof
                            : !strcmp(a->name, "p")    ? &r->p
                                                       : NULL;
            if (!to) {
                lg_diag *d = lg_err(E, "E0257", a->span, "`%s[...]` has no argument `%s`",
                                    red->name, a->name);
                lg_diag_help(d, "its options are empty=, ddof= (var, std) and p= (norm)");
                ok = false;
                continue;
            }
            *to = lg_expr(E, a->kid[0]);
            ok = ok && (*to)->kind != LG_V_ERROR;
        } else if (*term || a->kind == LG_A_SPREAD) {
            lg_err(E, "E0257", a->span, "`%s[...]` reduces one expression", red->name);
            ok = false;
        } else {
            *term = a;
        }
    }
    if (!*term && strcmp(red->name, "count")) {
        lg_err(E, "E0257", call->span, "`%s[...]` wants its terms in the parentheses", red->name);
        ok = false;
    }
    return ok;
}

enum { MAX_PARTS = 16 };

static int parts_of(const lg_ast *c) {
    bool is_and = c->kind == LG_A_BINARY && !strcmp(c->name, "and");
    return is_and ? parts_of(c->kid[0]) + parts_of(c->kid[1]) : 1;
}

/* The parts of a conjunction in order; one of very many parts stays whole. */
static int split_and(const lg_ast *c, const lg_ast **part, int n) {
    if (c->kind == LG_A_BINARY && !strcmp(c->name, "and") && n + parts_of(c) <= MAX_PARTS) {
        n = split_and(c->kid[0], part, n);
        return split_and(c->kid[1], part, n);
    }
    part[n++] = c;
    return n;
}

static lg_value *both(lg_elab *E, lg_value *a, lg_value *b, lg_span at) {
    if (!a || (a->kind == LG_V_TENSOR && a->t.rank))
        return b; /* what is selected by whole arrays is left out outside */
    return lg_binary(E, "and", a, b, at);
}

/* The condition, part by part: each is read under those before it. False after reporting. */
static bool condition(lg_elab *E, lg_fold *r, int n, const lg_ast *const *part, int skip) {
    lg_value *lazy = E->lazy;
    bool ok = true;
    for (int k = 0; k < n; k++) {
        bool all;
        if (k == skip)
            continue;
        if (r->cond)
            E->lazy = both(E, lazy, r->cond, part[k]->span);
        lg_value *c = lg_expr(E, part[k]);
        E->lazy = lazy;
        if (c->kind == LG_V_ERROR) {
            ok = false;
            continue;
        }
        if (c->kind == LG_V_NUM && c->num.is_bool && lg_v_static_bool(E, c, &all) && all)
            continue;
        if (c->kind == LG_V_NUM && c->num.is_bool)
            c = lg_to_tensor(E, c, LG_BOOL, part[k]->span);
        if (c->kind != LG_V_TENSOR || c->t.dtype != LG_BOOL || c->t.rank) {
            if (c->kind != LG_V_ERROR)
                lg_err(E, "E0260", part[k]->span, "`where` wants one bool for each index, got %s",
                       lg_v_type_text(E, c));
            ok = false;
            continue;
        }
        r->cond = both(E, r->cond, c, part[k]->span);
    }
    return ok;
}

/* Sums and differences of values: derivatives of terms that are left out are zero without a guard.
 */
static bool is_linear(const lg_ast *e) {
    switch ((lg_ast_kind)e->kind) {
    case LG_A_NUM:
    case LG_A_NAME:
    case LG_A_INDEX:
    case LG_A_BOOL:
        return true;
    case LG_A_FIELD:
        return is_linear(e->kid[0]);
    case LG_A_UNARY:
        return is_linear(e->kid[0]);
    case LG_A_BINARY:
        return (!strcmp(e->name, "+") || !strcmp(e->name, "-")) && is_linear(e->kid[0]) &&
               is_linear(e->kid[1]);
    default:
        return false;
    }
}

/* ---- products under a condition ----
 * In a contraction the condition belongs to the factors that have all its indices: then the rest
 * stays a sum of products, which becomes a matrix product. */

typedef struct {
    const lg_ast *ast;
    bool full; /* has every index of the condition */
} factor;
typedef struct {
    factor at[16];
    int n;
} factors;

static void split_product(const lg_ast *e, factors *f) {
    bool product = e->kind == LG_A_BINARY && (!strcmp(e->name, "*") || !strcmp(e->name, "/"));
    if (product) {
        split_product(e->kid[0], f);
        if (e->name[0] == '*')
            split_product(e->kid[1], f);
        else if (f->n < (int)LG_COUNT(f->at))
            f->at[f->n++].ast = e->kid[1];
    } else if (e->kind == LG_A_UNARY && e->name[0] == '-') {
        split_product(e->kid[0], f);
    } else if (f->n < (int)LG_COUNT(f->at)) {
        f->at[f->n++].ast = e; /* further ones are read without the condition */
    }
}

/* Is it a contraction: a factor with all indices of the condition, and one that lacks some index of
 * the product? */
static bool is_contraction(lg_elab *E, const lg_fold *r, factors *f) {
    lg_value *v[LG_COUNT(f->at)];
    bool any_full = false, any_less = false;
    for (int k = 0; k < f->n; k++)
        v[k] = lg_trial(E, f->at[k].ast);
    lg_index **all;
    int n = lg_open_union(E, f->n, v, &all);
    for (int k = 0; k < f->n; k++) {
        if (v[k]->kind == LG_V_NUM)
            continue;
        if (v[k]->kind != LG_V_TENSOR)
            return false;
        f->at[k].full = true;
        for (int j = 0; j < r->cond->t.n_open; j++)
            f->at[k].full = f->at[k].full && lg_has_open(v[k], r->cond->t.open[j]);
        any_full = any_full || f->at[k].full;
        any_less = any_less || (v[k]->t.n_open < n && !f->at[k].full);
    }
    return any_full && any_less;
}

typedef struct {
    const lg_fold *r;
    factors f;
    lg_value *guard, *lazy, *inner_guard, *inner_lazy;
} product;

static lg_value *one_factor(lg_elab *E, const product *p, const lg_ast *e, bool divides) {
    bool full = false;
    for (int k = 0; k < p->f.n; k++)
        if (p->f.at[k].ast == e)
            full = p->f.at[k].full;
    E->guard = full ? p->inner_guard : p->guard;
    E->lazy = full ? p->lazy : p->inner_lazy;
    lg_value *v = lg_expr(E, e);
    E->guard = p->guard;
    E->lazy = p->lazy;
    return full ? lg_select(E, p->r->cond, v, lg_v_int(E, divides, e->span), e->span) : v;
}

static lg_value *product_value(lg_elab *E, const product *p, const lg_ast *e, bool divides) {
    bool is_product =
        !divides && e->kind == LG_A_BINARY && (!strcmp(e->name, "*") || !strcmp(e->name, "/"));
    if (is_product) {
        lg_value *a = product_value(E, p, e->kid[0], false);
        return lg_binary(E, e->name, a, product_value(E, p, e->kid[1], e->name[0] == '/'), e->span);
    }
    if (!divides && e->kind == LG_A_UNARY && e->name[0] == '-')
        return lg_unary(E, "-", product_value(E, p, e->kid[0], false), e->span);
    return one_factor(E, p, e, divides);
}

/* The terms, under the condition. */
static lg_value *terms(lg_elab *E, lg_fold *r, const lg_reduction *red, const lg_ast *e) {
    if (!r->cond)
        return lg_expr(E, e);
    lg_value *guard = E->guard, *lazy = E->lazy, *v;
    lg_value *inner_lazy = both(E, lazy, r->cond, e->span),
             *inner_guard = both(E, guard, r->cond, e->span);
    if (red->plain || is_linear(e)) {
        E->lazy = inner_lazy;
        v = lg_expr(E, e);
        E->lazy = lazy;
        return v;
    }
    bool sums = !strcmp(red->name, "sum") || !strcmp(red->name, "mean");
    product p = {
        .r = r, .guard = guard, .lazy = lazy, .inner_guard = inner_guard, .inner_lazy = inner_lazy};
    if (sums && !LG_CHECKING(E)) {
        E->lazy = inner_lazy;
        split_product(e, &p.f);
        bool contraction = p.f.n > 1 && is_contraction(E, r, &p.f);
        E->lazy = lazy;
        if (contraction) {
            r->masked = true;
            return product_value(E, &p, e, false);
        }
    }
    E->guard = inner_guard;
    v = lg_expr(E, e);
    E->guard = guard;
    return v;
}

static lg_value *fold_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    (void)at;
    lg_fold r = *(lg_fold *)ctx;
    return lg_fold_value(E, &r, leaf[0]);
}

static bool may_scatter(const char *name) {
    static const char *const names[] = {"sum", "mean", "count", "any", "norm"};
    for (size_t i = 0; i < LG_COUNT(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* An outer condition on the free index itself is not one on the terms: the sums are guarded. */
static void drop_guards(lg_elab *E, const lg_fold *r) {
    if (r->scatter && E->guard && lg_has_open(E->guard, r->scatter->free))
        E->guard = NULL;
    if (r->scatter && E->lazy && lg_has_open(E->lazy, r->scatter->free))
        E->lazy = NULL;
}

static lg_value *reduced(lg_elab *E, lg_fold *r, const lg_reduction *red, const lg_ast *where,
                         const lg_ast *term) {
    const lg_ast *part[MAX_PARTS];
    lg_value *guard = E->guard, *lazy = E->lazy;
    int n = where ? split_and(where, part, 0) : 0, skip = -1;
    if (n && !LG_CHECKING(E) && may_scatter(red->name))
        lg_scatter_find(E, r, n, part, &skip, term);
    drop_guards(E, r);
    bool ok = condition(E, r, n, part, skip);
    if (r->cond)
        lg_uncovered_choice(E, where);
    lg_value *v = !ok    ? lg_v_error(E, r->at)
                  : term ? terms(E, r, red, term)
                         : lg_v_int(E, 1, r->at);
    bool guard_sums = E->guard != guard;
    E->guard = guard;
    E->lazy = lazy;
    if (v->kind == LG_V_ERROR)
        return v;
    v = lg_arrayed(E, v, r->at);
    v = lg_v_is_vector(v) && v->kind != LG_V_OPAQUE ? lg_leafwise(E, fold_leaf, r, 1, &v, r->at)
                                                    : lg_fold_value(E, r, v);
    return guard_sums ? lg_guarded(E, v) : v;
}

lg_value *lg_reduce_index(lg_elab *E, const lg_ast *call) {
    const lg_ast *ix = call->kid[0], *term = NULL;
    const lg_reduction *red = lg_reduction_find(ix->kid[0]->name);
    lg_fold r = {.name = red->name, .at = call->span};
    lg_opened o;
    if (!read_call(E, call, red, &r, &term))
        return lg_v_error(E, call->span);
    if (!lg_open(E, &o, ix, 1, 1, &term, red->keeps, NULL))
        return lg_v_error(E, call->span);
    r.n = o.n;
    memcpy(r.idx, o.at, sizeof *o.at * (size_t)o.n);
    lg_value *guard = E->guard, *lazy = E->lazy;
    lg_value *v = reduced(E, &r, red, o.where, term);
    E->guard = guard;
    E->lazy = lazy;
    lg_open_end(E, &o);
    if (!red->keeps)
        return v;
    lg_index *fresh[LG_MAX_RANK]; /* indices that only the reduction itself opened become dims */
    int n = 0;
    for (int k = 0; k < o.n; k++)
        if (!o.reused[k])
            fresh[n++] = o.at[k];
    return n ? lg_close(E, v, n, fresh, n, call->span) : v;
}

/* ---- the call form ---- */

static bool takes(const lg_frame *f, const lg_dim *d) {
    for (; f; f = f->up)
        for (const lg_binding *b = f->names; b; b = b->next)
            if (b->name == lg_dim_name(d) && b->stmt && b->stmt->kind == LG_A_PARAM && b->value &&
                b->value->kind == LG_V_NUM && b->value->num.dim == d)
                return true;
    return false;
}

/* Is d a number that a function or model in view takes, not known while its text is checked? */
static bool is_parameter(const lg_elab *E, const lg_dim *d) {
    for (const lg_frame *c = E->frame; c && lg_dim_name(d); c = c->caller)
        if (takes(c, d) || takes(c->self, d))
            return true;
    return false;
}

static bool types_mention(const lg_ast *e, lg_sym name, bool within) {
    within = within || e->kind == LG_A_TYPE;
    if (within && e->kind == LG_A_NAME && e->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && types_mention(e->kid[i], name, within))
            return true;
    return false;
}

/* Does that name of a number stand for a dim in the types of the function or model we are in? */
static bool is_size(const lg_elab *E, lg_sym name) {
    for (const lg_frame *f = E->frame; f; f = f->up) {
        const lg_ast *d = f->self && f->self->decl ? f->self->decl : f->decl;
        bool body = f->kind == LG_F_FN || f->kind == LG_F_MODEL;
        if (body && d && types_mention(d, name, false))
            return true;
    }
    return false;
}

/* The axis that is called by a parameter which is its size, as D of a model M(D). */
static int sized_axis(lg_elab *E, const lg_value *x, const lg_value *axis, lg_span at) {
    int hit = -1, hits = 0;
    int64_t n;
    lg_sym name = axis->num.dim ? lg_dim_name(axis->num.dim) : axis->num.called;
    for (int d = 0; d < x->t.rank; d++)
        if (lg_dim_is_num(x->t.dim[d], &n) && n == axis->num.i) {
            hit = d;
            hits++;
        }
    if (hits == 1)
        return hit;
    lg_diag *d = lg_err(E, "E0261", at,
                        hits ? "%s = %lld may be more than one axis of %s"
                             : "there is no axis %s = %lld in %s",
                        name, (long long)axis->num.i, lg_v_type_text(E, x));
    lg_diag_help(d, "axes can be numbered: axis=0 is the first, axis=-1 the last");
    return -1;
}

int lg_axis(lg_elab *E, const lg_value *x, const lg_value *axis, lg_span at) {
    int64_t k;
    lg_span where = axis->at.file ? axis->at : at;
    if (axis->kind == LG_V_ERROR || x->kind != LG_V_TENSOR)
        return -1;
    bool named = axis->kind == LG_V_NUM && axis->num.dim && !lg_dim_is_num(axis->num.dim, &k);
    if (axis->kind == LG_V_NUM && !named && axis->num.known && axis->num.is_int &&
        axis->num.called && is_size(E, axis->num.called))
        return sized_axis(E, x, axis, where);
    if (named) {
        int hit = -1, hits = 0;
        for (int d = 0; d < x->t.rank; d++)
            if (lg_dim_equal(x->t.dim[d], axis->num.dim)) {
                hit = d;
                hits++;
            }
        if (hits == 1)
            return hit;
        bool number = !hits && is_parameter(E, axis->num.dim);
        if (number && !axis->num.known && LG_CHECKING(E))
            return x->t.rank ? x->t.rank - 1 : -1; /* not known yet: any */
        if (number && axis->num.known && is_size(E, lg_dim_name(axis->num.dim)))
            return sized_axis(E, x, axis, where);
        if (!number && (hits || lg_dim_is_var(axis->num.dim))) {
            lg_diag *d = lg_err(E, "E0261", where,
                                hits ? "%s stands there twice: %s" : "there is no axis %s in %s",
                                lg_dim_text(E->arena, axis->num.dim), lg_v_type_text(E, x));
            lg_diag_help(d, "axes can be numbered: axis=0 is the first, axis=-1 the last");
            return -1;
        }
    }
    if (!lg_v_static_int(E, axis, &k)) {
        if (axis->kind != LG_V_NUM || axis->num.known)
            lg_err(E, "E0261", where, "an axis is a dim name or a static number, got %s",
                   lg_v_type_text(E, axis));
        else if (LG_CHECKING(E))
            return x->t.rank ? x->t.rank - 1 : -1; /* not known yet: any */
        else
            lg_err(E, "E0261", where, "this axis is not known when the plan is made");
        return -1;
    }
    if (k < -x->t.rank || k >= x->t.rank) {
        lg_err(E, "E0261", where, "there is no axis %lld in %s", (long long)k,
               lg_v_type_text(E, x));
        return -1;
    }
    return (int)(k < 0 ? k + x->t.rank : k);
}

/* A tensor reduced over the axes of the mask: its dims are opened, which moves nothing. */
static lg_value *over_axes(lg_elab *E, lg_fold r, lg_value *v, uint32_t mask) {
    const lg_reduction *red = lg_reduction_find(r.name);
    lg_index *open[LG_MAX_RANK * 2], *left[LG_MAX_RANK];
    int n = v->t.n_open, k = 0;
    if (n)
        memcpy(open, v->t.open, sizeof *open * (size_t)n);
    for (int d = 0; d < v->t.rank; d++) {
        lg_sym name = lg_dim_is_var(v->t.dim[d]) ? lg_dim_name(v->t.dim[d]) : lg_intern("axis");
        lg_index *i = lg_index_new(E, name, v->t.dim[d], r.at);
        open[n++] = i;
        if (mask >> d & 1)
            r.idx[r.n++] = i;
        if (red->keeps || !(mask >> d & 1))
            left[k++] = i;
    }
    lg_value *x = lg_v_open(E, v->t.dtype, n, open, 0, NULL, v->t.node, v->at);
    x->t.weak = v->t.weak;
    lg_value *y = lg_fold_value(E, &r, x);
    return y->kind == LG_V_TENSOR ? lg_close(E, y, k, left, k, r.at) : y;
}

typedef struct {
    lg_fold r;
    lg_value *axis;
} axis_call;

static bool axes_mask(lg_elab *E, const lg_value *x, const lg_value *axis, uint32_t *mask,
                      lg_span at) {
    int n = axis->kind == LG_V_LIST ? axis->list.n : 1;
    *mask = 0;
    for (int k = 0; k < n; k++) {
        int a = lg_axis(E, x, axis->kind == LG_V_LIST ? axis->list.at[k] : axis, at);
        if (a < 0)
            return false;
        *mask |= 1u << a;
    }
    return true;
}

static lg_value *axis_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    const axis_call *c = ctx;
    lg_value *v = lg_arrayed(E, leaf[0], at);
    (void)n;
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, LG_NO_DTYPE, at);
    if (v->kind == LG_V_ERROR || v->kind == LG_V_OPAQUE)
        return v;
    if (v->kind != LG_V_TENSOR) {
        lg_err(E, "E0208", at, "`%s` wants numbers, got %s", c->r.name, lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    uint32_t mask = v->t.rank ? (1u << v->t.rank) - 1 : 0;
    if (c->axis) {
        if (!axes_mask(E, v, c->axis, &mask, at))
            return lg_v_error(E, at);
    } else if (lg_reduction_find(c->r.name)->keeps && v->t.rank) {
        mask = 1u << (v->t.rank - 1);
    }
    bool place = !strncmp(c->r.name, "arg", 3);
    if (place && !c->axis && v->t.rank != 1) {
        lg_diag *d = lg_err(E, "E0257", at, "`%s` of %s: along which axis?", c->r.name,
                            lg_v_type_text(E, v));
        int64_t size;
        const lg_dim *last = v->t.rank ? v->t.dim[v->t.rank - 1] : NULL;
        if (last) /* an axis without a name goes by its place */
            lg_diag_help(d, "`%s(x, axis=%s)`, or axis=-1 for the last", c->r.name,
                         lg_dim_is_num(last, &size) ? "0" : lg_dim_text(E->arena, last));
        return lg_v_error(E, at);
    }
    return over_axes(E, c->r, v, mask);
}

/* ---- over all leaves of a record ---- */

static lg_value *join(lg_elab *E, const char *name, lg_value *a, lg_value *b, lg_span at) {
    if (!a || a->kind == LG_V_ERROR)
        return a ? a : b;
    if (!strcmp(name, "prod"))
        return lg_binary(E, "*", a, b, at);
    if (!strcmp(name, "any") || !strcmp(name, "all"))
        return lg_binary(E, name[1] == 'n' ? "or" : "and", a, b, at);
    if (!strcmp(name, "max") || !strcmp(name, "min"))
        return lg_elem_named(E, name, 2, (lg_value *[]){a, b}, at);
    return lg_binary(E, "+", a, b, at);
}

/* Reduces every leaf by `name` and joins the results. */
static lg_value *leaves_by(lg_elab *E, const char *name, const lg_fold *r, int n,
                           const lg_leaf *leaf) {
    axis_call c = {.r = *r};
    c.r.name = lg_intern(name);
    lg_value *all = NULL;
    for (int k = 0; k < n; k++) {
        lg_value *v = leaf[k].value;
        all = join(E, name, all, axis_leaf(E, &c, 1, &v, r->at), r->at);
    }
    return all ? all : lg_to_tensor(E, lg_v_int(E, 0, r->at), E->frame->float_dtype, r->at);
}

static lg_value *count_all(lg_elab *E, int n, const lg_leaf *leaf, lg_span at) {
    lg_dim *sum = lg_dim_num(E->dims, 0);
    for (int k = 0; k < n; k++) {
        lg_dim *d = lg_dim_num(E->dims, 1);
        const lg_value *v = lg_arrayed(E, leaf[k].value, at);
        if (v->kind == LG_V_OPAQUE) {
            sum = lg_dim_add(E->dims, sum, lg_sig_count(E, v));
            continue;
        }
        for (int a = 0; v->kind == LG_V_TENSOR && a < v->t.rank; a++)
            d = lg_dim_mul(E->dims, d, v->t.dim[a]);
        sum = lg_dim_add(E->dims, sum, d);
    }
    return lg_v_dim(E, sum, at);
}

static lg_value *square_leaf(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    lg_value *v = leaf[0];
    (void)n;
    if (ctx)
        v = lg_binary(E, "-", v, ctx, at);
    return lg_elem_named(E, "square", 1, &v, at);
}

/* The leaves joined to one long row: for what cannot be reduced leaf by leaf. */
static lg_value *joined(lg_elab *E, const lg_fold *r, int n, const lg_leaf *leaf) {
    lg_value **flat = LG_NEW_N(E->arena, lg_value *, n);
    for (int k = 0; k < n; k++) {
        lg_value *v = lg_arrayed(E, leaf[k].value, r->at);
        if (v->kind == LG_V_NUM)
            v = lg_to_tensor(E, v, LG_NO_DTYPE, r->at);
        if (v->kind != LG_V_TENSOR)
            return lg_v_error(E, r->at);
        lg_leaf one = {"", v};
        lg_value *size = count_all(E, 1, &one, r->at);
        lg_dim *d = size->num.dim;
        flat[k] = lg_reshape(E, v, 1, &d, r->at);
    }
    return lg_concat(E, n, flat, 0, r->at);
}

static lg_value *over_leaves(lg_elab *E, const lg_fold *r, lg_value *x) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, x, &leaf);
    const char *name = r->name;
    if (!n)
        return count_all(E, 0, leaf, r->at);
    static const char *const plain[] = {"sum", "prod", "max", "min", "any", "all"};
    for (size_t i = 0; i < LG_COUNT(plain); i++)
        if (!strcmp(plain[i], name))
            return leaves_by(E, name, r, n, leaf);
    lg_value *count = count_all(E, n, leaf, r->at);
    if (!strcmp(name, "count"))
        return count;
    if (!strcmp(name, "mean"))
        return lg_binary(E, "/", leaves_by(E, "sum", r, n, leaf), count, r->at);
    double p = 2;
    bool euclid = !strcmp(name, "norm") && (!r->p || (lg_v_static_real(E, r->p, &p) && p == 2.0));
    if (euclid) { /* the norm of the sum's single value is its root, with derivative 0 at 0 */
        lg_value *sq = lg_leafwise(E, square_leaf, NULL, 1, &x, r->at);
        lg_leaf *l2;
        int n2 = lg_v_leaves(E, sq, &l2);
        return lg_root(E, leaves_by(E, "sum", r, n2, l2), r->at);
    }
    axis_call c = {.r = *r};
    lg_value *row = joined(E, r, n, leaf);
    return axis_leaf(E, &c, 1, &row, r->at);
}

/* Static numbers stay static: max([2, 3]), sum(sizes). NULL: not a case for it. */
static lg_value *of_numbers(lg_elab *E, const char *name, const lg_value *x, lg_span at) {
    static const char *const plain[] = {"sum", "prod", "max", "min"};
    if (x->kind != LG_V_LIST || !x->list.n)
        return NULL;
    for (int k = 0; k < x->list.n; k++)
        if (x->list.at[k]->kind != LG_V_NUM || x->list.at[k]->num.is_bool)
            return NULL;
    if (!strcmp(name, "count"))
        return lg_v_int(E, x->list.n, at);
    for (size_t i = 0; i < LG_COUNT(plain); i++) {
        if (strcmp(plain[i], name))
            continue;
        lg_value *all = x->list.at[0];
        for (int k = 1; k < x->list.n; k++)
            all = i > 1
                      ? lg_elem_call(E, lg_op_find(name), 2, (lg_value *[]){all, x->list.at[k]}, at)
                      : lg_binary(E, i ? "*" : "+", all, x->list.at[k], at);
        return all;
    }
    return NULL;
}

/* max(a, b), of any number of values */
static lg_value *largest_of(lg_elab *E, lg_sym name, int n, const lg_arg *arg, lg_span at) {
    lg_value *all = arg[0].value;
    for (int k = 1; k < n; k++)
        all = lg_elem_call(E, lg_op_find(name), 2, (lg_value *[]){all, arg[k].value}, at);
    return all;
}

/* The mean of a loss's terms: their sum over the sum of their weights, and 0 where nothing weighs. */
static lg_value *weighted_mean(lg_elab *E, lg_value *terms, lg_span at) {
    lg_value *plain = lg_v_copy(E, terms), *w = terms->weight;
    plain->weight = NULL;
    axis_call c = {.r = {.name = lg_intern("sum"), .at = at}};
    lg_value *sum = axis_leaf(E, &c, 1, &plain, at);
    lg_value *total = w->kind == LG_V_TENSOR ? axis_leaf(E, &c, 1, &w, at) : w;
    if (sum->kind == LG_V_ERROR || total->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    if (sum->kind == LG_V_TENSOR)
        total = lg_to_tensor(E, total, sum->t.dtype, at);
    lg_value *none = lg_binary(E, "==", total, lg_v_int(E, 0, at), at);
    lg_value *by = lg_elem_named(E, "where", 3, (lg_value *[]){none, lg_v_int(E, 1, at), total}, at);
    lg_value *mean = lg_binary(E, "/", sum, by, at);
    return lg_elem_named(E, "where", 3, (lg_value *[]){none, lg_v_int(E, 0, at), mean}, at);
}

lg_value *lg_reduce_axis(lg_elab *E, lg_sym name, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"x", "axis", "empty", "ddof", "p"};
    lg_value *in[LG_COUNT(names)];
    int positional = 0;
    for (int k = 0; k < n; k++)
        positional += !arg[k].name;
    bool extreme = !strcmp(name, "max") || !strcmp(name, "min");
    if (extreme && positional >= 2 && positional == n)
        return largest_of(E, name, n, arg, at);
    if (!lg_args(E, name, n, arg, at, (int)LG_COUNT(names), names, 1, in))
        return lg_v_error(E, at);
    lg_value *x = in[0];
    axis_call c = {.r = {.name = name, .at = at, .empty = in[2], .ddof = in[3], .p = in[4]},
                   .axis = in[1]};
    if (x->weight && x->weight->kind != LG_V_NUM && !c.axis && !strcmp(name, "mean"))
        return weighted_mean(E, x, at);
    lg_value *is_static = c.axis ? NULL : of_numbers(E, name, x, at);
    if (is_static)
        return is_static;
    x = lg_arrayed(E, x, at);
    if (x->kind == LG_V_OPAQUE) {
        const lg_reduction *red = lg_reduction_find(name);
        if (red->keeps)
            return x;
        if (c.axis)
            return lg_v_stacked(E, x, -1, NULL, at);
        if (!strcmp(name, "count"))
            return lg_v_dim(E, lg_sig_count(E, x), at);
        bool flag = !strcmp(name, "any") || !strcmp(name, "all");
        return lg_v_tensor(E, flag ? LG_BOOL : E->frame->float_dtype, 0, NULL, NULL, at);
    }
    if (lg_v_is_vector(x))
        return c.axis || lg_reduction_find(name)->keeps ? lg_leafwise(E, axis_leaf, &c, 1, &x, at)
                                                        : over_leaves(E, &c.r, x);
    if (!strcmp(name, "count") && !c.axis && x->kind == LG_V_TENSOR && x->t.dtype != LG_BOOL) {
        lg_leaf one = {"", x};
        return count_all(E, 1, &one, at);
    }
    return axis_leaf(E, &c, 1, &x, at);
}
