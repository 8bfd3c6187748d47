/* expr.c: expressions: one case a kind of node. */
#include "compiler/mid/also.h"
#include "compiler/mid/elab.h"
#include "compiler/mid/model.h"
#include "compiler/mid/sig.h"
#include "compiler/mid/traced.h"
#include "compiler/mid/uncovered.h"
#include <math.h>
#include <string.h>

/* Names in view, for "did you mean". */
static const char *nearest_name(lg_elab *E, lg_frame *f, lg_sym name) {
    LG_VEC(const char *) all = {0};
    for (lg_frame *u = f; u; u = u->up) {
        for (lg_binding *b = u->names; b; b = b->next)
            LG_PUSH(all, b->name);
        for (size_t i = 0; i < u->dims.n; i++)
            LG_PUSH(all, u->dims.at[i].name);
    }
    for (size_t i = 0; i < lg_builtin_count(); i++)
        LG_PUSH(all, lg_builtin_at(i)->name);
    lg_library_names(E, &all.at, &all.n, &all.cap);
    const char *near = lg_nearest(name, all.at, all.n);
    lg_free(all.at);
    return near;
}

static lg_value *unknown_name(lg_elab *E, const lg_ast *e) {
    lg_diag *d = lg_err(E, "E0301", e->span, "nothing here is called `%s`", e->name);
    const lg_also *also = lg_also_find(e->name);
    const char *near = also ? NULL : nearest_name(E, E->frame, e->name);
    if (also)
        lg_diag_help(d, "here that is written `%s`", also->form);
    else if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    return lg_v_error(E, e->span);
}

/* Derivatives in a train take next values as constants; the next value of a part is that part. */
static lg_value *next_in_train(lg_elab *E, lg_frame *f, lg_sym name, lg_value *v, lg_span at) {
    const lg_binding *old = lg_find_local(f, name, false);
    v = lg_stop_grad(E, v);
    if (v->kind == LG_V_RECORD && old && old->value && old->value->kind == LG_V_MODEL)
        return lg_model_at(E, old->value, v, at);
    return v;
}

/* A primed name is the next value of a state: its definition stands somewhere in the block. */
static lg_value *primed(lg_elab *E, const lg_ast *e) {
    for (lg_frame *f = E->frame; f; f = f->up) {
        lg_binding *b = lg_find_local(f, e->name, true);
        if (b) {
            lg_value *v = lg_force(E, f, b, e->span);
            return f->kind == LG_F_TRAIN ? next_in_train(E, f, e->name, v, e->span) : v;
        }
        if (lg_find_local(f, e->name, false) && (f->kind != LG_F_BLOCK && f->kind != LG_F_FN))
            break;
    }
    lg_value *old = lg_lookup(E, E->frame, e->name, e->span);
    if (!old)
        return unknown_name(E, e);
    lg_diag *d = lg_err(E, "E0421", e->span, "%s' is not defined here", e->name);
    lg_diag_help(d, "a next value is defined by a line `%s' = ...`", e->name);
    return lg_v_error(E, e->span);
}

static lg_value *name(lg_elab *E, const lg_ast *e) {
    if (e->flags & LG_AF_PRIME)
        return primed(E, e);
    lg_value *v = lg_lookup(E, E->frame, e->name, e->span);
    if (!v) {
        lg_dtype t = lg_dtype_from_name(e->name);
        if (!strcmp(e->name, "float"))
            t = E->frame->float_dtype;
        if (t != LG_NO_DTYPE) {
            v = lg_v_new(E, LG_V_DTYPE, e->span);
            v->dtype = t;
            return v;
        }
        if (!strcmp(e->name, "training"))
            return E->step || !LG_CHECKING(E) ? lg_v_bool(E, E->step && E->step->training, e->span)
                                              : lg_v_unknown(E, false, true, e->span);
        if (!strcmp(e->name, "pi"))
            return lg_v_real(E, 3.14159265358979323846, e->span);
        if (!strcmp(e->name, "inf"))
            return lg_v_real(E, (double)INFINITY, e->span);
        if (!strcmp(e->name, "nan"))
            return lg_v_real(E, (double)NAN, e->span);
        return unknown_name(E, e);
    }
    if (E->guard)
        v = lg_guarded(E, v);
    if (E->uncovered)
        lg_uncovered_name(E, e->name, v);
    if (v->at.file == e->span.file && v->at.beg == e->span.beg)
        return v;
    lg_value *r = lg_v_copy(E, v);
    r->at = e->span;
    if (r->kind == LG_V_NUM)
        r->num.called = e->name;
    return r;
}

static lg_value *string(lg_elab *E, const lg_ast *e) {
    if (E->host && E->host_text)
        return E->host_text(E, e);
    lg_buf b = {0};
    bool known = true;
    for (uint32_t i = 0; i < e->n; i++) {
        const lg_ast *k = e->kid[i];
        if (k->kind == LG_A_TEXT) {
            lg_buf_printf(&b, "%s", k->text);
            continue;
        }
        lg_value *v = lg_expr(E, k->kid[0]);
        int64_t n;
        double d;
        if (v->kind == LG_V_STR && v->str)
            lg_buf_printf(&b, "%s", v->str);
        else if (v->kind == LG_V_NUM && v->num.known && v->num.is_bool)
            lg_buf_printf(&b, "%s", v->num.i ? "true" : "false");
        else if (lg_v_static_int(E, v, &n))
            lg_buf_printf(&b, "%lld", (long long)n);
        else if (lg_v_static_real(E, v, &d))
            lg_buf_printf(&b, "%g", d);
        else
            known = false;
    }
    lg_value *r = lg_v_str(E, known ? lg_intern(b.at ? b.at : "") : NULL, e->span);
    lg_buf_free(&b);
    return r;
}

static lg_value *record(lg_elab *E, const lg_ast *e) {
    lg_value *r = lg_v_record(E, 0, e->span);
    for (uint32_t i = 0; i < e->n; i++) {
        const lg_ast *k = e->kid[i];
        lg_value *v = lg_expr(E, k->kid[0]);
        if (k->kind == LG_A_FIELDV) {
            for (uint32_t j = 0; j < i; j++)
                if (e->kid[j]->kind == LG_A_FIELDV && e->kid[j]->name == k->name)
                    lg_err(E, "E0304", k->span, "`%s` stands in this record twice", k->name);
            lg_v_set_field(E, r, k->name, v);
            continue;
        }
        if (v->kind == LG_V_MODEL)
            v = lg_model_record(E, v);
        if (v->kind == LG_V_ERROR)
            return v;
        if (v->kind != LG_V_RECORD) {
            lg_err(E, "E0208", k->span, "`...` wants a record here, got %s", lg_v_type_text(E, v));
            return lg_v_error(E, e->span);
        }
        r = lg_merge(E, r, v);
    }
    return r;
}

/* By path: b's leaves replace a's, below the same names too. */
lg_value *lg_merge(lg_elab *E, lg_value *a, lg_value *b) {
    lg_value *r = lg_v_record(E, 0, b->at);
    for (int i = 0; i < a->rec.n; i++)
        lg_v_set_field(E, r, a->rec.f[i].name, a->rec.f[i].value);
    for (int i = 0; i < b->rec.n; i++) {
        lg_value *was = lg_v_field(r, b->rec.f[i].name), *now = b->rec.f[i].value;
        if (was && was->kind == LG_V_RECORD && now->kind == LG_V_RECORD)
            now = lg_merge(E, was, now);
        else if (was && was->kind == LG_V_LIST)
            now = lg_merge_items(E, was, now);
        lg_v_set_field(E, r, b->rec.f[i].name, now);
    }
    return r;
}

static lg_value *list(lg_elab *E, const lg_ast *e) {
    LG_VEC(lg_value *) all = {0};
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->kid[i]->kind != LG_A_SPREAD) {
            LG_PUSH(all, lg_expr(E, e->kid[i]));
            continue;
        }
        lg_value *v = lg_expr(E, e->kid[i]->kid[0]);
        if (v->kind == LG_V_LIST)
            for (int k = 0; k < v->list.n; k++)
                LG_PUSH(all, v->list.at[k]);
        else if (v->kind != LG_V_ERROR)
            lg_err(E, "E0208", e->kid[i]->span, "`...` wants a list here, got %s", lg_v_type_text(E, v));
    }
    lg_value *r = lg_v_list(E, (int)all.n, e->span);
    for (size_t i = 0; i < all.n; i++)
        r->list.at[i] = all.at[i];
    lg_free(all.at);
    return r;
}

static lg_value *compare_chain(lg_elab *E, const lg_ast *e) {
    lg_value *left = lg_expr(E, e->kid[0]), *all = NULL;
    for (uint32_t i = 1; i + 1 < e->n; i += 2) { /* in one direction: the parser saw to that */
        const char *op = e->kid[i]->name;
        lg_value *right = lg_expr(E, e->kid[i + 1]);
        lg_value *c = lg_binary(E, op, left, right, e->span);
        all = all ? lg_binary(E, "and", all, c, e->span) : c;
        left = right;
    }
    return all;
}

lg_value *lg_field_of(lg_elab *E, lg_value *v, lg_sym f, lg_span at) {
    if (v->rounds && !strcmp(f, "rounds"))
        return v->rounds;
    switch (v->kind) {
    case LG_V_ERROR: return v;
    case LG_V_RECORD: {
        lg_value *x = lg_v_field(v, f);
        if (x) {
            lg_value *r = lg_v_copy(E, x);
            r->at = at;
            return r;
        }
        lg_diag *d = lg_err(E, "E0313", at, "this record has no field `%s`", f);
        const char **names = LG_NEW_N(E->arena, const char *, v->rec.n + 1);
        for (int i = 0; i < v->rec.n; i++)
            names[i] = v->rec.f[i].name;
        const char *near = lg_nearest(f, names, (size_t)v->rec.n);
        if (near)
            lg_diag_help(d, "did you mean `%s`?", near);
        else
            lg_diag_note(d, "it is %s", lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    case LG_V_MODEL: return lg_model_member(E, v, f, at);
    case LG_V_RULE: return lg_rule_member(E, v, f, at);
    case LG_V_QUANT: return lg_quant_member(E, v, f, at);
    case LG_V_LIST: { /* the stack of a field of equal items */
        if (!v->list.n)
            return lg_v_error(E, at);
        lg_value **x = LG_NEW_N(E->arena, lg_value *, v->list.n);
        for (int i = 0; i < v->list.n; i++)
            x[i] = lg_field_of(E, v->list.at[i], f, at);
        return lg_stack(E, v->list.n, x, at);
    }
    case LG_V_MODULE: {
        lg_binding *b = lg_find_local(v->module->frame, f, false);
        if (b)
            return lg_force(E, v->module->frame, b, at);
        lg_err(E, "E0301", at, "%s declares no `%s`", v->module->name, f);
        return lg_v_error(E, at);
    }
    case LG_V_DECL:
    case LG_V_DATA:
    case LG_V_HOST:
        if (E->host_field)
            return E->host_field(E, v, f, at);
        break;
    default: break;
    }
    lg_err(E, "E0313", at, "%s has no field `%s`", lg_v_type_text(E, v), f);
    return lg_v_error(E, at);
}

/* Equal records become a record of stacks, tensors one tensor with a new first dim. */
lg_value *lg_stack(lg_elab *E, int n, lg_value *const *v, lg_span at) {
    for (int i = 0; i < n; i++)
        if (v[i]->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    if (v[0]->kind == LG_V_RECORD || v[0]->kind == LG_V_MODEL) {
        lg_leaf **leaf = LG_NEW_N(E->arena, lg_leaf *, n);
        int count = lg_v_leaves(E, v[0], &leaf[0]);
        for (int i = 1; i < n; i++)
            if (lg_v_leaves(E, v[i], &leaf[i]) != count)
                goto list;
        lg_value **out = LG_NEW_N(E->arena, lg_value *, count ? count : 1);
        lg_value **row = LG_NEW_N(E->arena, lg_value *, n);
        for (int k = 0; k < count; k++) {
            for (int i = 0; i < n; i++)
                row[i] = leaf[i][k].value;
            out[k] = lg_stack(E, n, row, at);
        }
        return lg_v_rebuild(E, v[0], out);
    }
    bool tensors = true, nums = true;
    for (int i = 0; i < n; i++) {
        tensors = tensors && (v[i]->kind == LG_V_TENSOR || v[i]->kind == LG_V_NUM);
        nums = nums && v[i]->kind == LG_V_NUM;
        if (v[i]->kind == LG_V_TENSOR && v[0]->kind == LG_V_TENSOR && v[i]->t.rank != v[0]->t.rank)
            goto list;
        for (int d = 0; v[i]->kind == LG_V_TENSOR && v[0]->kind == LG_V_TENSOR && d < v[i]->t.rank; d++)
            if (!lg_dims_match(v[i]->t.dim[d], v[0]->t.dim[d]))
                goto list;
    }
    if (tensors && !nums && v[0]->kind == LG_V_TENSOR && v[0]->t.rank) {
        lg_value **x = LG_NEW_N(E->arena, lg_value *, n);
        lg_dim *dim[LG_MAX_RANK + 1];
        dim[0] = lg_dim_num(E->dims, 1);
        for (int d = 0; d < v[0]->t.rank; d++)
            dim[d + 1] = v[0]->t.dim[d];
        for (int i = 0; i < n; i++)
            x[i] = lg_reshape(E, v[i], v[0]->t.rank + 1, dim, at);
        lg_value *r = lg_concat(E, n, x, 0, at);
        return r;
    }
list:;
    lg_value *l = lg_v_list(E, n, at);
    for (int i = 0; i < n; i++)
        l->list.at[i] = v[i];
    return lg_list_is_array(l) ? lg_list_tensor(E, l, LG_NO_DTYPE, at) : l;
}

/* ---- calls ---- */

lg_span lg_arg_at(const lg_arg *a) {
    return a->ast && a->ast->kind == LG_A_NAMED && a->ast->name_span.file ? a->ast->name_span : a->at;
}

static int arguments(lg_elab *E, const lg_ast *e, uint32_t from, lg_arg **out, lg_value *first) {
    LG_VEC(lg_arg) v = {0};
    if (first)
        LG_PUSH(v, ((lg_arg){NULL, first, NULL, first->at}));
    for (uint32_t i = from; i < e->n; i++) {
        const lg_ast *k = e->kid[i];
        if (k->kind == LG_A_NAMED) {
            LG_PUSH(v, ((lg_arg){k->name, lg_expr(E, k->kid[0]), k, k->kid[0]->span}));
        } else if (k->kind == LG_A_SPREAD) {
            lg_value *r = lg_expr(E, k->kid[0]);
            if (r->kind == LG_V_RECORD)
                for (int j = 0; j < r->rec.n; j++)
                    LG_PUSH(v, ((lg_arg){r->rec.f[j].name, r->rec.f[j].value, NULL, k->span}));
            else if (r->kind == LG_V_LIST)
                for (int j = 0; j < r->list.n; j++)
                    LG_PUSH(v, ((lg_arg){NULL, r->list.at[j], NULL, k->span}));
            else if (r->kind != LG_V_ERROR)
                lg_err(E, "E0208", k->span, "`...` wants a record or a list here");
        } else {
            LG_PUSH(v, ((lg_arg){NULL, lg_expr(E, k), k, k->span}));
        }
    }
    int n = (int)v.n;
    *out = lg_arena_dup(E->arena, n ? (const void *)v.at : (const void *)"", sizeof(lg_arg) * v.n);
    lg_free(v.at);
    return n;
}

static bool is_special(const lg_ast *callee, const char *what, lg_elab *E) {
    return callee->kind == LG_A_NAME && !strcmp(callee->name, what) &&
           !lg_lookup_user(E, E->frame, callee->name);
}

/* A name that is called means the reduction, unless the program calls something of its own so: a
 * state or a let `mean` holds numbers and cannot be called. */
static bool means_reduction(lg_elab *E, lg_sym name) {
    if (!lg_is_reduction(name))
        return false;
    for (lg_frame *f = E->frame; f; f = f->up) {
        lg_binding *b = lg_find_local(f, name, false);
        if (!b)
            continue;
        if (b->stmt && b->state != LG_B_VALUE)
            return b->stmt->kind != LG_A_DECL;
        return !b->value || b->value->kind == LG_V_TENSOR || b->value->kind == LG_V_NUM ||
               b->value->kind == LG_V_RECORD || b->value->kind == LG_V_ERROR;
    }
    return true;
}

/* `count(R)`: how many values the letter of a signature stands for. */
static bool counts_letter(lg_elab *E, const lg_ast *e) {
    const lg_ast *of = e->n == 2 ? e->kid[1] : NULL;
    return of && of->kind == LG_A_NAME && is_special(e->kid[0], "count", E) &&
           lg_sig_letter(E, E->frame, of->name) && !lg_lookup(E, E->frame, of->name, of->span);
}

static lg_value *call(lg_elab *E, const lg_ast *e, lg_value *piped) {
    const lg_ast *c = e->kid[0];
    if (counts_letter(E, e))
        return lg_v_dim(E, lg_sig_count(E, lg_sig_letter(E, E->frame, e->kid[1]->name)), e->span);
    if (c->kind == LG_A_INDEX && c->kid[0]->kind == LG_A_NAME && means_reduction(E, c->kid[0]->name))
        return lg_reduce_index(E, e);
    if (c->kind == LG_A_NAME && lg_is_derivative(c->name) && !lg_lookup_user(E, E->frame, c->name))
        return lg_derivative(E, e);
    if (is_special(c, "probe", E))
        return lg_probe(E, e);
    lg_arg *arg;
    lg_value *callee = NULL;
    if (c->kind == LG_A_NAME && means_reduction(E, c->name)) {
        int n = arguments(E, e, 1, &arg, piped);
        return lg_reduce_axis(E, c->name, n, arg, e->span);
    }
    callee = lg_expr(E, c);
    int n = arguments(E, e, 1, &arg, piped);
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_NONE) {
            lg_err(E, "E0219", arg[i].at, "this has no value");
            return lg_v_error(E, e->span);
        }
    return lg_call_value(E, callee, n, arg, e->span);
}

/* x |> f, x |> f(a): x becomes the first argument. */
static lg_value *pipe(lg_elab *E, const lg_ast *e, lg_value *x) {
    const lg_ast *f = e->kid[1];
    if (f->kind == LG_A_CALL && !(f->flags & LG_AF_PAREN))
        return call(E, f, x);
    lg_arg a = {NULL, x, e->kid[0], e->kid[0]->span};
    if (f->kind == LG_A_NAME && means_reduction(E, f->name))
        return lg_reduce_axis(E, f->name, 1, &a, e->span);
    return lg_call_value(E, lg_expr(E, f), 1, &a, e->span);
}

static lg_value *and_or(lg_elab *E, const lg_ast *e, lg_value *a) {
    /* a static left side may decide alone: the right side may not even make sense then */
    bool left, is_and = e->name[0] == 'a';
    if (a->kind == LG_V_NUM && lg_v_static_bool(E, a, &left) && left != is_and)
        return lg_v_bool(E, left, e->span);
    /* at run time the right side is read only where the left leaves it open */
    lg_value *lazy = E->lazy;
    if (a->kind == LG_V_TENSOR && a->t.dtype == LG_BOOL && !a->t.rank) {
        lg_value *c = is_and ? a : lg_unary(E, "not", a, e->span);
        E->lazy = lazy ? lg_binary(E, "and", lazy, c, e->span) : c;
    }
    lg_value *b = lg_expr(E, e->kid[1]);
    E->lazy = lazy;
    return lg_binary(E, e->name, a, b, e->span);
}

static lg_value *from(lg_elab *E, const lg_ast *e, lg_value *a) {
    lg_value *b = lg_expr(E, e->kid[1]);
    if (a->kind == LG_V_ERROR || b->kind == LG_V_ERROR)
        return lg_v_error(E, e->span);
    if (a->kind == LG_V_MODEL)
        return lg_model_from(E, a, b, e->span);
    lg_err(E, "E0208", e->span, "`from` wants a model on its left, got %s", lg_v_type_text(E, a));
    return lg_v_error(E, e->span);
}

/* An operator whose left operand is `a`. */
static lg_value *operate(lg_elab *E, const lg_ast *e, lg_value *a) {
    if (!strcmp(e->name, "|>"))
        return pipe(E, e, a);
    if (!strcmp(e->name, "from"))
        return from(E, e, a);
    if (!strcmp(e->name, "and") || !strcmp(e->name, "or"))
        return and_or(E, e, a);
    return lg_binary(E, e->name, a, lg_expr(E, e->kid[1]), e->span);
}

/* a + b + c ...: from the left, without a call for each link, so that chains may be long. */
static lg_value *chain(lg_elab *E, const lg_ast *e) {
    size_t n = 0;
    const lg_ast *first = e;
    for (; first->kind == LG_A_BINARY; first = first->kid[0])
        n++;
    const lg_ast **link = LG_NEW_N(E->arena, const lg_ast *, n);
    for (size_t k = n; k-- > 0; e = e->kid[0])
        link[k] = e;
    lg_value *v = lg_expr(E, first);
    for (size_t k = 0; k < n; k++)
        v = operate(E, link[k], v);
    return v;
}

static lg_value *plain_expr(lg_elab *E, const lg_ast *e) {
    switch ((lg_ast_kind)e->kind) {
    case LG_A_NUM: {
        if (!(e->flags & LG_AF_INT)) {
            lg_value *r = lg_v_real(E, e->num, e->span);
            /* short decimals are exact ratios: 0.5*N may be a dim */
            for (int64_t q = 1; q <= 100000 && fabs(e->num) < 1e9; q *= 10) {
                double n = rint(e->num * (double)q), miss = n / (double)q - e->num;
                if (fpclassify(miss) != FP_ZERO)
                    continue;
                r->num.num = (int64_t)n;
                r->num.den = q;
                break;
            }
            return r;
        }
        return lg_v_int(E, lg_ast_int(e), e->span);
    }
    case LG_A_STR: return string(E, e);
    case LG_A_BOOL: return lg_v_bool(E, e->num != 0.0, e->span);
    case LG_A_NAME: return name(E, e);
    case LG_A_SELECTOR: {
        lg_value *v = lg_v_new(E, LG_V_SELECTOR, e->span);
        v->str = e->text;
        return v;
    }
    case LG_A_UNARY: return lg_unary(E, e->name, lg_expr(E, e->kid[0]), e->span);
    case LG_A_BINARY: return chain(E, e);
    case LG_A_COMPARE: return compare_chain(E, e);
    case LG_A_CALL: return call(E, e, NULL);
    case LG_A_INDEX: return lg_index_expr(E, e);
    case LG_A_FIELD: {
        if (e->flags & LG_AF_PRIME) {
            lg_err(E, "E0421", e->span, "a field cannot be primed: prime the whole");
            return lg_v_error(E, e->span);
        }
        return lg_field_of(E, lg_expr(E, e->kid[0]), e->name, e->span);
    }
    case LG_A_FIELDSEL: {
        lg_value *v = lg_expr(E, e->kid[0]);
        return v->kind == LG_V_ERROR ? v : lg_select_paths(E, v, e->kid[1]->text, e->kid[1]->span);
    }
    case LG_A_IF: return lg_if(E, e);
    case LG_A_RECORD: return record(E, e);
    case LG_A_LIST: return list(E, e);
    case LG_A_LAMBDA: {
        lg_value *v = lg_v_new(E, LG_V_FN, e->span);
        v->fn.decl = e;
        v->fn.env = E->frame;
        v->fn.place = lg_hash_mix(E->frame->path_hash, e->span.beg);
        v->fn.draw_lane = E->draw_lane;
        v->fn.lanes = E->lanes;
        return v;
    }
    case LG_A_SCAN: return lg_scan(E, e);
    case LG_A_FOR: return lg_for(E, e);
    case LG_A_RAND: return lg_rand(E, e);
    case LG_A_RUN:
        if (E->host_call && E->host)
            return E->host_call(E, "run", e, 0, NULL);
        lg_err(E, "E0440", e->span, "`run` is an effect: it stands in host code, not in graph code");
        return lg_v_error(E, e->span);
    case LG_A_HOLE:
        lg_err(E, "E0301", e->span, "`_` has no value");
        return lg_v_error(E, e->span);
    case LG_A_ERROR: return lg_v_error(E, e->span);
    default:
        lg_err(E, "E0219", e->span, "this has no value here");
        return lg_v_error(E, e->span);
    }
}

lg_value *lg_expr(lg_elab *E, const lg_ast *e) {
    return E->traced ? lg_traced_expr(E, e, plain_expr) : plain_expr(E, e);
}

lg_value *lg_expr_in(lg_elab *E, lg_frame *f, const lg_ast *e) {
    lg_frame *was = E->frame;
    E->frame = f;
    lg_value *v = lg_expr(E, e);
    E->frame = was;
    return v;
}
