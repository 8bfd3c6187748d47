/* subscript.c: x[...]: reading subscripts and what they mean for tensors, records and lists. Not
 * for opening indices (index.c) nor for the nodes (take.c). Called for every INDEX node. */
#include "compiler/mid/index.h"
#include <stdlib.h>
#include <string.h>

/* A subscript as written. */
typedef enum { AT_DOTS, AT_SLICE, AT_INDEX, AT_VALUE, AT_TEXT } at_kind;
typedef struct {
    at_kind kind;
    const lg_ast *ast;
    lg_index *index;          /* AT_INDEX: a name that is an index */
    lg_value *v;              /* AT_VALUE, AT_TEXT */
    lg_value *lo, *hi, *step; /* AT_SLICE, each may be NULL */
} written;

/* ---- reading subscripts ---- */

static bool is_negative_text(const lg_ast *e) {
    return e->kind == LG_A_UNARY && e->name[0] == '-';
}

/* What `...` stands for: a list of indices, an error value while it is not known, or NULL. */
static lg_value *pack_of(lg_frame *f) {
    for (; f; f = f->up) {
        lg_binding *b = lg_find_local(f, lg_intern("..."), false);
        if (b)
            return b->value;
    }
    return NULL;
}

static bool read_one(lg_elab *E, const lg_ast *s, written *w) {
    *w = (written){.ast = s};
    if (s->kind == LG_A_ELLIPSIS || s->kind == LG_A_PACK) {
        w->kind = AT_DOTS;
        return true;
    }
    if (s->kind == LG_A_SLICE) {
        w->kind = AT_SLICE;
        w->lo = s->kid[0] ? lg_expr(E, s->kid[0]) : NULL;
        w->hi = s->kid[1] ? lg_expr(E, s->kid[1]) : NULL;
        w->step = s->kid[2] ? lg_expr(E, s->kid[2]) : NULL;
        return true;
    }
    if (s->kind == LG_A_NAME && !(s->flags & LG_AF_PRIME)) {
        w->index = lg_index_of(E, E->frame, s->name);
        if (w->index && w->index->dim) {
            w->kind = AT_INDEX;
            return true;
        }
    }
    if (s->kind == LG_A_BINARY && !strcmp(s->name, "in")) {
        lg_diag *d =
            lg_err(E, "E0256", s->span, "a range of an index is given where the index is opened");
        lg_diag_help(d, "`let y[i in K] = ...` or `sum[i in K](...)`");
        return false;
    }
    if (s->kind == LG_A_WHERE) {
        lg_err(E, "E0256", s->span, "`where` belongs to reductions: `sum[k where c](e)`");
        return false;
    }
    w->kind = AT_VALUE;
    w->v = lg_arrayed(E, lg_expr(E, s), s->span);
    if (w->v->kind == LG_V_STR || w->v->kind == LG_V_SELECTOR)
        w->kind = AT_TEXT;
    if (w->v->kind == LG_V_RANGE) {
        w->kind = AT_SLICE;
        w->lo = w->v->range.lo;
        w->hi = w->v->range.hi;
    }
    return w->v->kind != LG_V_ERROR;
}

/* ---- one axis ---- */

static lg_dim *bound_dim(lg_elab *E, lg_value *v, const lg_ast *text, lg_dim *size, bool *ok) {
    int64_t x;
    if (v->kind == LG_V_ERROR) {
        *ok = false;
        return size;
    }
    bool unknown = v->kind == LG_V_NUM && !v->num.known && !v->num.is_bool;
    bool host = LG_CHECKING(E) && v->kind == LG_V_TENSOR && v->t.host && !v->t.rank;
    if (!lg_v_static_int(E, v, &x) && !unknown && !host) {
        lg_span at = text ? text->span : v->at;
        *ok = false;
        if (v->kind == LG_V_NUM && !v->num.is_bool) {
            lg_err(E, "E0256", at, "an end of a slice is an integer, got %s", lg_v_type_text(E, v));
            return size;
        }
        lg_diag *d = lg_err(E, "E0256", at,
                            "the ends of a slice must be known before the graph runs, got %s",
                            lg_v_type_text(E, v));
        lg_diag_help(d,
                     "a moving window is written with indices: `let w[k in 0..n] = x[first + k]`");
        return size;
    }
    lg_dim *d = lg_num_dim(E, v, text);
    return text && is_negative_text(text) ? lg_dim_add(E->dims, size, d) : d;
}

/* A slice of the rows lo..hi lies within the dim, as far as that is known. */
static bool within(lg_elab *E, const written *w, lg_dim *lo, lg_dim *hi, lg_dim *size, bool back) {
    int some = lg_dim_at_most(lo, hi), below = lg_dim_at_most(hi, size);
    int64_t n;
    if (!some && back) {
        lg_diag *d = lg_err(E, "E0252", w->ast->span,
                            "a slice that runs backwards begins behind its end, this one at %s",
                            lg_dim_text(E->arena, lg_dim_sub(E->dims, hi, lg_dim_num(E->dims, 1))));
        lg_diag_help(d, "`x[4:1:-1]` is rows 4, 3, 2; `x[1:5][::-1]` reverses a part");
        return false;
    }
    if (!some || !below || !lg_dim_at_most(lg_dim_num(E->dims, 0), lo)) {
        lg_diag *d = lg_err(E, "E0252", w->ast->span, "the slice %s..%s leaves the dim %s",
                            lg_dim_text(E->arena, lo), lg_dim_text(E->arena, hi),
                            lg_dim_text(E->arena, size));
        if (lg_dim_value(size, &n) && !lg_dim_is_num(size, &n))
            lg_diag_note(d, "%s = %lld here", lg_dim_text(E->arena, size), (long long)n);
        return false;
    }
    if (some == 2 || below == 2)
        lg_late(E, w->ast->span, "the slice %s is within %s", lg_ast_text(E->arena, w->ast),
                lg_dim_text(E->arena, size));
    return true;
}

static bool slice_axis(lg_elab *E, const written *w, lg_dim *size, lg_axis_sub *s) {
    bool ok = true, is_slice = w->ast->kind == LG_A_SLICE;
    const lg_ast *at_lo = is_slice ? w->ast->kid[0] : NULL,
                 *at_hi = is_slice ? w->ast->kid[1] : NULL;
    s->kind = LG_TO_SLICE;
    s->step = 1;
    if (w->step && !lg_v_static_int(E, w->step, &s->step)) {
        if (!LG_CHECKING(E) || w->step->kind != LG_V_NUM) {
            if (w->step->kind != LG_V_ERROR)
                lg_err(E, "E0256", w->ast->span, "the step of a slice must be a known integer");
            return false;
        }
        s->size = lg_dim_opaque(E->dims, lg_intern(lg_ast_text(E->arena, w->ast)), false, 0);
        return true;
    }
    if (s->step == 0) {
        lg_diag *d = lg_err(E, "E0256", w->ast->span, "the step of a slice cannot be 0");
        lg_diag_help(d, "`x[::2]` takes every second, `x[::-1]` reverses");
        return false;
    }
    /* rows lie in lo..hi and are walked from `first`: backwards, x[a:b:-1] ends before b */
    bool back = s->step < 0;
    lg_dim *one = lg_dim_num(E->dims, 1);
    lg_dim *from = w->lo  ? bound_dim(E, w->lo, at_lo, size, &ok)
                   : back ? lg_dim_sub(E->dims, size, one)
                          : lg_dim_num(E->dims, 0);
    lg_dim *to = w->hi  ? bound_dim(E, w->hi, at_hi, size, &ok)
                 : back ? lg_dim_num(E->dims, -1)
                        : size;
    if (!ok)
        return false;
    lg_dim *lo = back ? lg_dim_add(E->dims, to, one) : from;
    lg_dim *hi = back ? lg_dim_add(E->dims, from, one) : to;
    if (!within(E, w, lo, hi, size, back))
        return false;
    s->size = lg_dim_sub(E->dims, hi, lo);
    int64_t by = back ? -s->step : s->step;
    if (by > 1)
        s->size = lg_dim_fn(E->dims, lg_intern("//"),
                            lg_dim_add(E->dims, s->size, lg_dim_num(E->dims, by - 1)),
                            lg_dim_num(E->dims, by));
    if (LG_CHECKING(E))
        lg_dim_value(from, &s->off); /* may be unknown */
    else
        s->off = back ? lg_dim_size(E, hi, w->ast->span) - 1 : lg_dim_size(E, lo, w->ast->span);
    return true;
}

static void other_dim(lg_elab *E, const lg_index *i, lg_dim *size, const lg_ast *at,
                      const lg_value *x) {
    lg_diag *d = lg_err(E, "E0253", at->span, "`%s` runs over %s, but here it subscripts %s",
                        i->name, lg_dim_text(E->arena, i->dim), lg_dim_text(E->arena, size));
    lg_diag_label(d, i->from.file ? i->from : i->at, "%s runs over %s", i->name,
                  lg_dim_text(E->arena, i->dim));
    if (x->at.file && (x->at.beg != at->span.beg || x->at.file != at->span.file))
        lg_diag_label(d, x->at, "%s", lg_v_type_text(E, x));
    lg_diag_help(d, "use another index, or give the range of this one: `%s in 0..n`", i->name);
}

static bool index_axis(lg_elab *E, const written *w, lg_dim *size, const lg_value *x,
                       lg_axis_sub *s) {
    const lg_index *i = w->index;
    s->kind = LG_TO_LINEAR;
    s->lin = (lg_linear){.off = i->lo, .n = 1, .at = {w->index}, .coef = {1}};
    if (i->ranged) {
        lg_dim *end = lg_dim_add(E->dims, i->dim, lg_dim_num(E->dims, i->lo));
        if (LG_CHECKING(E) && !lg_lazy(E) && i->lo_known && !lg_dim_at_most(end, size) &&
            !lg_dims_match(i->dim, lg_dim_num(E->dims, 0))) {
            lg_diag *d = lg_err(E, "E0252", w->ast->span, "`%s` runs to %s - 1, but this dim is %s",
                                i->name, lg_dim_text(E->arena, end), lg_dim_text(E->arena, size));
            lg_diag_label(d, i->at, "the range of `%s`", i->name);
            return false;
        }
        if (!lg_lazy(E) && lg_dim_at_most(end, size) == 2)
            lg_late(E, w->ast->span, "`%s` ends within %s", i->name, lg_dim_text(E->arena, size));
        return true;
    }
    if (lg_dims_match(i->dim, size))
        return true;
    other_dim(E, i, size, w->ast, x);
    return false;
}

/* A check's look at a subscript such as t*hop + k: 1 when its text says that it stays in the dim,
 * 0 (reported) that it leaves it; 2: unknown. */
static int text_within(lg_elab *E, const written *w, lg_dim *size) {
    lg_dim *lo, *hi;
    int64_t n;
    if (!LG_CHECKING(E) || E->diags->muted || lg_lazy(E) || !lg_text_bounds(E, w->ast, &lo, &hi))
        return 2;
    lg_dim *end = lg_dim_add(E->dims, hi, lg_dim_num(E->dims, 1));
    int above = lg_dim_at_most(lg_dim_num(E->dims, 0), lo), below = lg_dim_at_most(end, size);
    if (above == 1 && below == 1)
        return 1;
    if ((above && below) || lg_dim_compare(hi, lo) == -1) /* the latter: nothing is read */
        return 2;
    lg_diag *d = lg_err(E, "E0252", w->ast->span, "`%s` runs from %s to %s, but this dim %s %s%s",
                        lg_ast_text(E->arena, w->ast), lg_dim_text(E->arena, lo),
                        lg_dim_text(E->arena, hi), lg_dim_is_num(size, &n) ? "has" : "is",
                        lg_dim_text(E->arena, size), lg_dim_is_num(size, &n) ? " rows" : "");
    lg_diag_help(d, "shorten the range, or guard it: `if ... then ... else 0`; inside, subscripts "
                    "may leave the array");
    return 0;
}

static bool value_axis(lg_elab *E, const written *w, lg_dim *size, const lg_value *x,
                       lg_axis_sub *s) {
    lg_value *v = w->v;
    int64_t k;
    (void)x;
    bool number = v->kind == LG_V_NUM && !v->num.is_bool &&
                  (v->num.is_int || !v->num.known || lg_v_static_int(E, v, &k));
    if (number || (v->kind == LG_V_TENSOR && !v->t.n_open && lg_v_static_int(E, v, &k) &&
                   v->t.dtype != LG_BOOL)) {
        s->kind = LG_TO_LINEAR;
        lg_dim *at = lg_num_dim(E, v, w->ast);
        if (is_negative_text(w->ast))
            at = lg_dim_add(E->dims, size, at);
        lg_dim *end = lg_dim_add(E->dims, at, lg_dim_num(E->dims, 1));
        bool outside = !lg_dim_at_most(end, size) || !lg_dim_at_most(lg_dim_num(E->dims, 0), at);
        if (outside && !lg_lazy(E)) {
            int64_t n;
            lg_diag *d = lg_err(E, "E0252", w->ast->span, "subscript %s is outside the dim %s",
                                lg_dim_text(E->arena, at), lg_dim_text(E->arena, size));
            if (lg_dim_value(size, &n) && !lg_dim_is_num(size, &n))
                lg_diag_note(d, "%s = %lld here", lg_dim_text(E->arena, size), (long long)n);
            return false;
        }
        if (!lg_lazy(E) && lg_dim_at_most(end, size) == 2)
            lg_late(E, w->ast->span, "the subscript %s is within %s", lg_ast_text(E->arena, w->ast),
                    lg_dim_text(E->arena, size));
        if (LG_CHECKING(E))
            return true;
        if (!lg_dim_value(at, &s->lin.off)) {
            lg_err(E, "E0212", w->ast->span, "this subscript is not known when the plan is made");
            return false;
        }
        return true;
    }
    if (v->kind != LG_V_TENSOR || !lg_dtype_is_int(v->t.dtype)) {
        lg_diag *d = lg_err(E, "E0256", w->ast->span, "a subscript is an integer, got %s",
                            lg_v_type_text(E, v));
        if (v->kind == LG_V_TENSOR && v->t.dtype == LG_BOOL)
            lg_diag_help(d, "what holds is kept with `where`: `sum[i where c[i]](x[i])`, or `if c "
                            "then x else 0`");
        else if (v->kind == LG_V_TENSOR)
            lg_diag_help(d, "round it first: `i32(floor(v))`");
        return false;
    }
    int within_text = text_within(E, w, size);
    if (!within_text)
        return false;
    if (within_text != 1 && !lg_lazy(E) && !(v->t.bound && lg_dim_at_most(v->t.bound, size) == 1))
        lg_late(E, w->ast->span, "the subscript %s is within %s", lg_ast_text(E->arena, w->ast),
                lg_dim_text(E->arena, size));
    s->v = v;
    s->kind = LG_TO_PICK;
    if (!LG_CHECKING(E) && lg_linear_of(E, v, &s->lin))
        s->kind = LG_TO_LINEAR;
    return true;
}

/* ---- tensors, records, lists ---- */

typedef struct {
    int n;
    written *w;
    lg_span at;
} subscripts;

static bool dots_axes(lg_elab *E, const lg_value *x, const written *w, int axis, int n,
                      lg_axis_sub *sub) {
    lg_value *pack = pack_of(E->frame);
    if (!pack || pack->kind != LG_V_LIST) { /* no `...` on the left: the dims are kept */
        for (int k = 0; k < n; k++)
            sub[axis + k] =
                (lg_axis_sub){.kind = LG_TO_KEEP, .size = x->t.dim[axis + k], .ast = w->ast};
        return true;
    }
    bool same = pack->list.n == n;
    for (int k = 0; same && k < n; k++)
        same = lg_dims_match(pack->list.at[k]->t.open[0]->dim, x->t.dim[axis + k]);
    if (!same) {
        lg_value *is = lg_v_tensor(E, x->t.dtype, n, x->t.dim + axis, NULL, x->at);
        lg_buf b = {0};
        for (int k = 0; k < pack->list.n; k++)
            lg_buf_printf(&b, "%s%s", k ? ", " : "",
                          lg_dim_text(E->arena, pack->list.at[k]->t.open[0]->dim));
        lg_diag *d =
            lg_err(E, "E0258", w->ast->span, "`...` stands for [%s] here, but for %s in this array",
                   b.at ? b.at : "", n ? strchr(lg_v_type_text(E, is), '[') : "no dims");
        if (pack->at.file)
            lg_diag_label(d, pack->at, "the first use says so");
        lg_diag_label(d, x->at, "%s", lg_v_type_text(E, x));
        lg_buf_free(&b);
        return false;
    }
    for (int k = 0; k < n; k++)
        sub[axis + k] =
            (lg_axis_sub){.kind = LG_TO_LINEAR,
                          .ast = w->ast,
                          .lin = {.n = 1, .at = {pack->list.at[k]->t.open[0]}, .coef = {1}}};
    return true;
}

static lg_value *tensor_leaf(lg_elab *E, void *ctx, int n_leaf, lg_value *const *leaf, lg_span at) {
    (void)n_leaf;
    const subscripts *s = ctx;
    lg_value *x = lg_arrayed(E, leaf[0], at);
    if (x->kind == LG_V_ERROR || x->kind == LG_V_OPAQUE)
        return x;
    int dots = -1, used = 0;
    for (int k = 0; k < s->n; k++) {
        if (s->w[k].kind == AT_DOTS && dots >= 0) {
            lg_err(E, "E0256", s->w[k].ast->span, "`...` stands there twice");
            return lg_v_error(E, at);
        }
        if (s->w[k].kind == AT_DOTS)
            dots = k;
        else
            used++;
    }
    int rank = x->kind == LG_V_TENSOR ? x->t.rank : 0;
    if (used > rank) {
        lg_diag *d = lg_err(E, "E0251", at, "%d subscripts for %s", used, lg_v_type_text(E, x));
        if (x->at.file && (x->at.beg != at.beg || x->at.end != at.end))
            lg_diag_label(d, x->at, "%s", lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    if (x->kind != LG_V_TENSOR)
        return x; /* a number under `...` alone */
    lg_axis_sub sub[LG_MAX_RANK];
    int axis = 0;
    bool ok = true;
    for (int k = 0; k < s->n; k++) {
        const written *w = &s->w[k];
        if (w->kind == AT_DOTS) {
            ok = dots_axes(E, x, w, axis, rank - used, sub) && ok;
            axis += rank - used;
            continue;
        }
        lg_axis_sub *a = &sub[axis];
        *a = (lg_axis_sub){.ast = w->ast};
        ok = (w->kind == AT_SLICE   ? slice_axis(E, w, x->t.dim[axis], a)
              : w->kind == AT_INDEX ? index_axis(E, w, x->t.dim[axis], x, a)
                                    : value_axis(E, w, x->t.dim[axis], x, a)) &&
             ok;
        axis++;
    }
    for (; axis < rank; axis++)
        sub[axis] = (lg_axis_sub){.kind = LG_TO_KEEP, .size = x->t.dim[axis]};
    return ok ? lg_take(E, x, rank, sub, at) : lg_v_error(E, at);
}

static lg_value *subscripted(lg_elab *E, lg_value *x, const subscripts *s, int from, lg_span at);

static lg_value *list_item(lg_elab *E, lg_value *x, const subscripts *s, int from, lg_span at) {
    const written *w = &s->w[from];
    int64_t k, n = x->list.n;
    if (w->kind == AT_SLICE) {
        lg_axis_sub a = {0};
        int64_t count;
        if (!slice_axis(E, w, lg_dim_num(E->dims, n), &a) || !lg_dim_value(a.size, &count))
            return lg_v_error(E, at);
        lg_value *r = lg_v_list(E, (int)count, at);
        for (int i = 0; i < (int)count; i++)
            r->list.at[i] = x->list.at[a.off + i * a.step];
        return r;
    }
    bool truth = w->kind == AT_VALUE && w->v->kind == LG_V_NUM && w->v->num.is_bool;
    if (truth) {
        lg_err(E, "E0256", w->ast->span, "a subscript is an integer, got %s",
               lg_v_type_text(E, w->v));
        return lg_v_error(E, at);
    }
    if (w->kind == AT_VALUE && lg_v_static_int(E, w->v, &k)) {
        if (is_negative_text(w->ast))
            k += n;
        if (k < 0 || k >= n) {
            lg_err(E, "E0252", w->ast->span, "subscript %lld is outside a list of %lld",
                   (long long)k, (long long)n);
            return lg_v_error(E, at);
        }
        return subscripted(E, x->list.at[k], s, from + 1, at);
    }
    if (w->kind == AT_VALUE && w->v->kind == LG_V_NUM && !w->v->num.known && n) { /* checking */
        lg_value *any = x->list.at[0];
        if (any->kind == LG_V_NUM)
            return lg_v_unknown(E, any->num.is_int, any->num.is_bool, at);
        if (any->kind == LG_V_STR)
            return lg_v_str(E, NULL, at);
        return subscripted(E, any, s, from + 1, at);
    }
    lg_value *stack = n ? lg_stack(E, (int)n, x->list.at, at) : x;
    if (stack->kind == LG_V_LIST) {
        if (stack != x || n)
            lg_err(E, "E0256", w->ast->span,
                   "the items of this list differ in type: the subscript must be known "
                   "before the graph runs");
        else
            lg_err(E, "E0252", w->ast->span, "the list is empty");
        return lg_v_error(E, at);
    }
    return subscripted(E, stack, s, from, at);
}

/* r["l1.w"] */
static lg_value *by_path(lg_elab *E, lg_value *x, const written *w, lg_span at) {
    if (w->v->kind == LG_V_SELECTOR)
        return lg_select_paths(E, x, w->v->str, w->ast->span);
    if (!w->v->str) { /* checking: some leaf */
        lg_leaf *leaf;
        int n = lg_v_leaves(E, x, &leaf);
        return n ? leaf[0].value : lg_v_error(E, at);
    }
    char *path = lg_arena_str(E->arena, w->v->str);
    while (path) {
        char *dot = strchr(path, '.');
        if (dot)
            *dot++ = 0;
        char *bracket = strchr(path, '[');
        if (bracket)
            *bracket++ = 0;
        x = lg_field_of(E, x, lg_intern(path), w->ast->span);
        if (bracket && x->kind == LG_V_LIST) {
            long k = strtol(bracket, NULL, 10);
            if (k < 0 || k >= x->list.n) {
                lg_err(E, "E0252", w->ast->span, "subscript %ld is outside a list of %d", k,
                       x->list.n);
                return lg_v_error(E, at);
            }
            x = x->list.at[k];
        }
        if (x->kind == LG_V_ERROR)
            return x;
        path = dot;
    }
    lg_value *r = lg_v_copy(E, x);
    r->at = at;
    return r;
}

/* One of a stack R[S], or a part of it: only its leading dims are known. */
static lg_value *of_stack(lg_elab *E, const lg_value *x, const subscripts *s, lg_span at) {
    int n = x->opaque.rank;
    lg_value *like = lg_v_tensor(E, LG_F32, n > 0 ? n : 0, x->opaque.dim, NULL, x->at);
    lg_value *r = lg_v_copy(E, x);
    r->at = at;
    if (n < 1) {
        r->opaque.rank = -1;
        return r;
    }
    like = tensor_leaf(E, (void *)(uintptr_t)s, 1, &like, at);
    if (like->kind != LG_V_TENSOR)
        return like;
    r->opaque.rank = like->t.rank;
    r->opaque.dim = like->t.dim;
    return r;
}

static lg_value *subscripted(lg_elab *E, lg_value *x, const subscripts *s, int from, lg_span at) {
    if (from < s->n && x->kind == LG_V_OPAQUE) {
        subscripts rest = {s->n - from, s->w + from, at};
        return of_stack(E, x, &rest, at);
    }
    if (from == s->n || x->kind == LG_V_ERROR) {
        lg_value *r = lg_v_copy(E, x);
        r->at = at;
        return r;
    }
    bool is_static = s->w[from].kind == AT_VALUE || s->w[from].kind == AT_SLICE;
    if (x->kind == LG_V_LIST &&
        (!lg_list_is_array(x) ||
         (is_static && s->n - from == 1 && x->list.n && x->list.at[0]->kind == LG_V_NUM &&
          (s->w[from].kind == AT_SLICE || s->w[from].v->kind == LG_V_NUM))))
        return list_item(E, x, s, from, at);
    x = lg_arrayed(E, x, at);
    if (s->w[from].kind == AT_TEXT) {
        if (x->kind == LG_V_RECORD || x->kind == LG_V_MODEL) {
            lg_value *r = by_path(E, x, &s->w[from], at);
            return from + 1 == s->n ? r : subscripted(E, r, s, from + 1, at);
        }
        lg_err(E, "E0256", s->w[from].ast->span, "a path subscripts a record, this is %s",
               lg_v_type_text(E, x));
        return lg_v_error(E, at);
    }
    for (int k = from; k < s->n; k++)
        if (s->w[k].kind == AT_TEXT) {
            lg_err(E, "E0256", s->w[k].ast->span, "a path is the first subscript of a record");
            return lg_v_error(E, at);
        }
    subscripts rest = {s->n - from, s->w + from, at};
    if (lg_v_is_vector(x))
        return lg_leafwise(E, tensor_leaf, &rest, 1, &x, at);
    if (x->kind == LG_V_TENSOR || x->kind == LG_V_NUM)
        return tensor_leaf(E, &rest, 1, &x, at);
    lg_err(E, "E0256", at, "%s has no subscripts", lg_v_type_text(E, x));
    return lg_v_error(E, at);
}

/* A whole array under a condition would be guarded whole, lane by lane: guard what is read of it.
 */
static lg_value *base_of(lg_elab *E, const lg_ast *e) {
    const lg_ast *root = e;
    while (root->kind == LG_A_FIELD || root->kind == LG_A_INDEX)
        root = root->kid[0];
    lg_value *guard = E->guard, *lazy = E->lazy;
    if (root->kind == LG_A_NAME && guard) {
        E->lazy = lg_lazy(E);
        E->guard = NULL;
    }
    lg_value *x = lg_expr(E, e);
    E->guard = guard;
    E->lazy = lazy;
    return x;
}

lg_value *lg_index_expr(lg_elab *E, const lg_ast *e) {
    const lg_ast *b = e->kid[0];
    if (b->kind == LG_A_NAME && lg_is_reduction(b->name) && !lg_lookup_user(E, E->frame, b->name)) {
        lg_diag *d =
            lg_err(E, "E0257", e->span, "`%s[...]` wants its terms in parentheses", b->name);
        lg_diag_help(d, "`%s[k](x[k])`", b->name);
        return lg_v_error(E, e->span);
    }
    lg_value *x = base_of(E, b);
    subscripts s = {(int)e->n - 1, LG_NEW_N(E->arena, written, e->n), e->span};
    bool ok = x->kind != LG_V_ERROR;
    for (int k = 0; k < s.n; k++)
        ok = read_one(E, e->kid[k + 1], &s.w[k]) && ok;
    if (!ok)
        return lg_v_error(E, e->span);
    lg_value *r = subscripted(E, x, &s, 0, e->span);
    return E->guard ? lg_guarded(E, r) : r;
}
