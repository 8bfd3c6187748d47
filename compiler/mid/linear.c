/* linear.c: integers that are linear in open indices: recognising them in the graph, their bounds,
 * and the condition under which something is read here. Used for subscripts, scatters, divisors. */
#include "compiler/mid/index.h"
#include <string.h>

typedef struct {
    int64_t off, coef[LG_MAX_RANK];
} line;

static bool same_op(const lg_node *x, const char *name) {
    return x->op == lg_op_find(name);
}

static bool is_constant(const line *l, int rank) {
    for (int o = 0; o < rank; o++)
        if (l->coef[o])
            return false;
    return true;
}

static bool add_scaled(int64_t *to, int64_t a, int64_t b) {
    int64_t p;
    return !__builtin_mul_overflow(a, b, &p) && !__builtin_add_overflow(*to, p, to);
}

/* The value of an integer node as off + coef . (its position), when it has that form. */
static bool line_of(const lg_node *x, int depth, line *l) {
    const lg_type *t = &x->type[0];
    memset(l, 0, sizeof *l);
    if (depth > 32 || !lg_dtype_is_int(t->dtype))
        return false;
    switch (x->op->cls) {
    case LG_C_CONST:
        if (t->rank || x->attr.tensor->n != 1)
            return false;
        l->off = lg_get_i64(t->dtype, x->attr.tensor->data, 0);
        return true;
    case LG_C_IOTA:
        l->coef[x->attr.axis] = 1;
        return true;
    case LG_C_CAST:
        return (t->dtype == LG_I64 || t->dtype == LG_I32) && line_of(x->in[0], depth + 1, l);
    case LG_C_VIEW: {
        line in;
        const lg_affine *m = x->attr.affine;
        if (!line_of(x->in[0], depth + 1, &in))
            return false;
        l->off = in.off;
        for (int a = 0; a < m->rank_in; a++) {
            if (!add_scaled(&l->off, in.coef[a], m->off[a]))
                return false;
            for (int o = 0; o < m->rank_out; o++)
                if (!add_scaled(&l->coef[o], in.coef[a], m->coef[a * m->rank_out + o]))
                    return false;
        }
        return true;
    }
    case LG_C_ELEM: {
        line a, b = {0};
        if (x->n_in > 2 || !line_of(x->in[0], depth + 1, &a))
            return false;
        if (x->n_in == 2 && !line_of(x->in[1], depth + 1, &b))
            return false;
        int64_t ka = 1, kb = 1;
        if (same_op(x, "neg")) {
            ka = -1;
        } else if (same_op(x, "sub")) {
            kb = -1;
        } else if (same_op(x, "mul")) {
            bool left = is_constant(&a, t->rank);
            if (!left && !is_constant(&b, t->rank))
                return false;
            ka = left ? 0 : b.off;
            kb = left ? a.off : 0;
        } else if (!same_op(x, "add")) {
            return false;
        }
        bool ok = add_scaled(&l->off, a.off, ka) && add_scaled(&l->off, b.off, kb);
        for (int o = 0; ok && o < t->rank; o++)
            ok = add_scaled(&l->coef[o], a.coef[o], ka) && add_scaled(&l->coef[o], b.coef[o], kb);
        return ok;
    }
    default:
        return false;
    }
}

bool lg_linear_of(lg_elab *E, const lg_value *v, lg_linear *out) {
    memset(out, 0, sizeof *out);
    if (lg_v_static_int(E, v, &out->off))
        return true;
    line l;
    if (v->kind != LG_V_TENSOR || v->t.rank || !v->t.node || !line_of(v->t.node, 0, &l))
        return false;
    out->off = l.off;
    for (int k = 0; k < v->t.n_open; k++)
        if (l.coef[k]) {
            out->at[out->n] = v->t.open[k];
            out->coef[out->n++] = l.coef[k];
        }
    return true;
}

void lg_linear_bounds(lg_elab *E, const lg_linear *l, int64_t *lo, int64_t *hi, bool *empty) {
    *lo = *hi = l->off;
    *empty = false;
    for (int k = 0; k < l->n; k++) {
        int64_t n = lg_dim_size(E, l->at[k]->dim, l->at[k]->at), far;
        *empty = *empty || n == 0;
        if (__builtin_mul_overflow(l->coef[k], n - 1, &far))
            far = l->coef[k] < 0 ? -(INT64_MAX / 16) : INT64_MAX / 16;
        *(far < 0 ? lo : hi) += far;
    }
}

static bool name_bounds(lg_elab *E, const lg_ast *e, lg_dim **lo, lg_dim **hi) {
    int64_t n;
    lg_index *i = lg_index_of(E, E->frame, e->name);
    if (i && i->dim && i->lo_known) {
        *lo = lg_dim_num(E->dims, i->lo);
        *hi = lg_dim_add(E->dims, i->dim, lg_dim_num(E->dims, i->lo - 1));
        return true;
    }
    lg_value *v = i ? NULL : lg_expr(E, e);
    if (v && v->kind == LG_V_NUM && v->num.dim)
        *lo = *hi = v->num.dim;
    else if (v && lg_v_static_int(E, v, &n))
        *lo = *hi = lg_dim_num(E->dims, n);
    else
        return false;
    return true;
}

static bool binary_bounds(lg_elab *E, const lg_ast *e, lg_dim **lo, lg_dim **hi) {
    lg_dim *a, *b, *c, *d;
    int64_t k;
    if (!lg_text_bounds(E, e->kid[0], &a, &b) || !lg_text_bounds(E, e->kid[1], &c, &d))
        return false;
    if (!strcmp(e->name, "+")) {
        *lo = lg_dim_add(E->dims, a, c);
        *hi = lg_dim_add(E->dims, b, d);
    } else if (!strcmp(e->name, "-")) {
        *lo = lg_dim_sub(E->dims, a, d);
        *hi = lg_dim_sub(E->dims, b, c);
    } else if (!strcmp(e->name, "*") && c == d && lg_dim_value(c, &k) && k >= 0) {
        *lo = lg_dim_mul(E->dims, a, c);
        *hi = lg_dim_mul(E->dims, b, c);
    } else if (!strcmp(e->name, "*") && a == b && lg_dim_value(a, &k) && k >= 0) {
        *lo = lg_dim_mul(E->dims, c, a);
        *hi = lg_dim_mul(E->dims, d, a);
    } else {
        return false;
    }
    return true;
}

bool lg_text_bounds(lg_elab *E, const lg_ast *e, lg_dim **lo, lg_dim **hi) {
    if (e->kind == LG_A_NAME && !(e->flags & LG_AF_PRIME))
        return name_bounds(E, e, lo, hi);
    if (e->kind == LG_A_BINARY)
        return binary_bounds(E, e, lo, hi);
    bool whole = e->kind == LG_A_NUM && e->num >= 0 && e->num < 1e15 &&
                 (double)(int64_t)e->num - e->num >= 0;
    if (whole)
        *lo = *hi = lg_dim_num(E->dims, (int64_t)e->num);
    return whole;
}

lg_value *lg_lazy(lg_elab *E) {
    if (E->lazy && E->guard)
        return lg_binary(E, "and", E->guard, E->lazy, E->lazy->at);
    return E->lazy ? E->lazy : E->guard;
}

void lg_must_hold(lg_elab *E, lg_value *ok, const char *text, lg_span at) {
    lg_value *lazy = lg_lazy(E);
    if (lazy) {
        E->diags->muted++;
        lg_value *both = lg_binary(E, "or", lg_unary(E, "not", lazy, at), ok, at);
        E->diags->muted--;
        if (both->kind == LG_V_ERROR) { /* a condition on other dims: does it hold anywhere? */
            lg_arg a = {.value = lazy, .at = at};
            lazy = lg_reduce_axis(E, lg_intern("any"), 1, &a, at);
            both = lg_binary(E, "or", lg_unary(E, "not", lazy, at), ok, at);
        }
        ok = both;
    }
    if (ok->kind == LG_V_TENSOR && ok->t.node)
        lg_g_require(E->g, lg_import(E, ok->t.node), text, at);
}

/* Is every element of x a known one at which `op` has a value? */
static bool is_safe(const lg_node *x, const char *op) {
    while (x->op->cls == LG_C_VIEW || x->op->cls == LG_C_CAST || x->op->cls == LG_C_RESHAPE)
        x = x->in[0];
    if (x->op->cls == LG_C_IOTA)
        return op[0] == '^';
    const lg_tensor *c =
        x->op->cls == LG_C_CONST && !x->attr.tensor->varies ? x->attr.tensor : NULL;
    bool safe = c != NULL;
    for (size_t i = 0; safe && i < c->n; i++) {
        double v = lg_get_f64(c->dtype, c->data, i);
        safe = op[0] == '^' ? v >= 0 : v != 0.0;
    }
    return safe;
}

void lg_right_side(lg_elab *E, const char *op, lg_value *b, lg_span at) {
    if (b->kind == LG_V_NUM && b->num.varies) /* known here, but another run may have another */
        b = lg_to_tensor(E, b, LG_I64, at);
    if (b->kind != LG_V_TENSOR || !lg_dtype_is_int(b->t.dtype))
        return;
    bool power = op[0] == '^';
    if (LG_CHECKING(E) && !power)
        lg_late(E, at, "the divisor of `%s` is not 0", op);
    else if (!LG_CHECKING(E) && !is_safe(b->t.node, op))
        lg_must_hold(E, lg_binary(E, power ? ">=" : "!=", b, lg_v_int(E, 0, at), at),
                     power ? "an integer to a negative power (`^`)"
                           : lg_txt(E, "an integer is divided by 0 (`%s`)", op),
                     at);
}
