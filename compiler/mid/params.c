/* params.c: arguments meet parameters: by position and name, defaults, allowed sets, bounds of
 * labels; and in check mode, values that stand for any argument. Types themselves are in types.c.
 */
#include "compiler/mid/sig.h"
#include "compiler/mid/static.h"
#include <string.h>

/* ---- parameters ---- */

typedef struct {
    lg_elab *E;
    lg_frame *f;
    const lg_ast *params;
    const lg_arg **given; /* by parameter, NULL: its default */
    lg_span at;
    const char *what;
} binding;

static const char *param_names(const lg_ast *params, lg_buf *b) {
    for (uint32_t i = 0; i < params->n; i++)
        lg_buf_printf(b, "%s%s", i ? ", " : "", params->kid[i]->name);
    return b->at ? b->at : "";
}

static bool unknown_param(binding *b, const lg_arg *a) {
    lg_diag *d =
        lg_err(b->E, "E0322", lg_arg_at(a), "`%s` has no parameter `%s`", b->what, a->name);
    uint32_t n = b->params ? b->params->n : 0;
    const char **names = LG_NEW_N(b->E->arena, const char *, n + 1);
    for (uint32_t i = 0; i < n; i++)
        names[i] = b->params->kid[i]->name;
    const char *near = lg_nearest(a->name, names, n);
    lg_buf text = {0};
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    else if (n)
        lg_diag_help(d, "its parameters: %s", param_names(b->params, &text));
    lg_buf_free(&text);
    return false;
}

static bool place_argument(binding *b, const lg_arg *a, uint32_t *next) {
    uint32_t n = b->params ? b->params->n : 0, i = 0;
    if (!a->name) {
        if (*next >= n) {
            lg_diag *d = lg_err(b->E, "E0321", a->at, "`%s` takes %u argument%s", b->what, n,
                                n == 1 ? "" : "s");
            (void)d;
            return false;
        }
        i = (*next)++;
    } else {
        while (i < n && b->params->kid[i]->name != a->name)
            i++;
        if (i == n)
            return unknown_param(b, a);
    }
    if (b->given[i]) {
        lg_diag *d =
            lg_err(b->E, "E0323", lg_arg_at(a), "`%s` is given twice", b->params->kid[i]->name);
        lg_diag_label(d, b->given[i]->at, "here already");
        return false;
    }
    b->given[i] = a;
    return true;
}

static const lg_arg *wanted(binding *b) {
    lg_arg *a = LG_NEW(b->E->arena, lg_arg);
    *a = (lg_arg){NULL, b->E->want, NULL, b->at};
    return a;
}

static bool place_arguments(binding *b, int n, const lg_arg *arg) {
    uint32_t next = 0, count = b->params ? b->params->n : 0;
    bool ok = true;
    for (int i = 0; i < n; i++)
        ok = place_argument(b, &arg[i], &next) && ok;
    for (uint32_t i = 0; ok && i < count; i++)
        if (!b->given[i] && !b->params->kid[i]->kid[2]) {
            if (b->E->want && !strcmp(b->params->kid[i]->name, "like")) {
                b->given[i] = wanted(b); /* the first value of a param or state: what it is for */
                continue;
            }
            const lg_ast *p = b->params->kid[i];
            lg_diag *d =
                lg_err(b->E, "E0324", b->at, "`%s` needs `%s`%s%s", b->what, p->name,
                       p->kid[0] ? ": " : "", p->kid[0] ? lg_ast_text(b->E->arena, p->kid[0]) : "");
            lg_diag_label(d, p->span, "declared here");
            ok = false;
        }
    return ok;
}

/* Is the untyped parameter used as something else than a number: indexed, asked for fields, looped
 * over, called? Then it is a list or a record, whatever it is given. So it is where that is its
 * default, though it may only be passed on. */
static bool used_as_thing(const lg_ast *e, lg_sym name) {
    bool inside = e->kind == LG_A_INDEX || e->kind == LG_A_FIELD || e->kind == LG_A_CALL;
    if (inside && e->kid[0]->kind == LG_A_NAME && e->kid[0]->name == name)
        return true;
    bool asks =
        e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME && !strcmp(e->kid[0]->name, "len");
    const lg_ast *over = e->kind == LG_A_FOR    ? e->kid[1]
                         : e->kind == LG_A_SCAN ? e->kid[2]
                         : asks && e->n > 1     ? e->kid[1]
                                                : NULL;
    if (over && over->kind == LG_A_NAME && over->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && used_as_thing(e->kid[i], name))
            return true;
    return false;
}

static bool is_number(const lg_frame *f, const lg_ast *p) {
    bool member = f->kind == LG_F_FN && f->self;
    bool listed = p->kid[2] && (p->kid[2]->kind == LG_A_LIST || p->kid[2]->kind == LG_A_RECORD);
    return !member && !listed && !(f->decl && used_as_thing(f->decl, p->name));
}

/* An untyped parameter is a number; a run-time one takes the dtype around it. In lambdas it is
 * whatever it is called with. */
static lg_value *plain_number(binding *b, const lg_ast *p, lg_value *v, lg_span at) {
    lg_elab *E = b->E;
    if (b->f->decl && b->f->decl->kind == LG_A_LAMBDA)
        return v;
    if (v->kind == LG_V_TENSOR && v->t.rank && !is_number(b->f, p))
        return v;
    if (v->kind == LG_V_TENSOR && !v->t.rank) {
        lg_value *r = lg_v_copy(E, v);
        r->t.weak = true;
        return r;
    }
    bool fits = v->kind == LG_V_NUM || v->kind == LG_V_ERROR || v->kind == LG_V_LIST ||
                v->kind == LG_V_RANGE || lg_is_schedule(v) || !is_number(b->f, p);
    if (fits)
        return v;
    lg_diag *d = lg_err(E, "E0205", at, "`%s` of `%s` is a number, got %s", p->name, b->what,
                        lg_v_type_text(E, v));
    lg_diag_help(d, "a parameter that is not a number states its type, as in `%s: %s`", p->name,
                 v->kind == LG_V_STR  ? "str"
                 : v->kind == LG_V_FN ? "fn(R) -> R"
                                      : "float[...S]");
    return NULL;
}

/* `x: T in S`: an integer type bounded by a dim, or a set or range of allowed values. */
static bool is_bound(const lg_ast *p) {
    const lg_ast *in = p->kid[1];
    return p->kid[0] && p->kid[0]->kind == LG_A_TYPE && in->kind != LG_A_LIST &&
           !(in->kind == LG_A_BINARY && !strcmp(in->name, ".."));
}

/* Integers of which nothing is known: they are labels from here on, and that is looked at once. */
static lg_value *made_labels(binding *b, const lg_ast *p, lg_value *v, lg_span at) {
    lg_elab *E = b->E;
    bool unknown = p->kid[1]->kind == LG_A_NAME && !lg_sig_dim(E, b->f, p->kid[1]->name, false);
    lg_dim *want = unknown ? NULL : lg_dim_expr(E, b->f, p->kid[1]);
    if (!want)
        return v;
    int64_t n;
    if (!LG_CHECKING(E) && lg_dim_value(want, &n)) {
        lg_value *lo = lg_binary(E, ">=", v, lg_v_int(E, 0, at), at);
        lg_value *ok = lg_binary(E, "and", lo, lg_binary(E, "<", v, lg_v_int(E, n, at), at), at);
        if (E->guard)
            ok = lg_binary(E, "or", lg_unary(E, "not", E->guard, at), ok, at);
        if (ok->kind == LG_V_TENSOR)
            lg_g_require(E->g, lg_import(E, ok->t.node),
                         lg_txt(E, "a label in `%s` of `%s` is outside 0 .. %lld", p->name, b->what,
                                (long long)n - 1),
                         at);
    }
    lg_value *r = lg_v_copy(E, v);
    r->t.bound = want;
    return r;
}

static lg_value *bounded(binding *b, const lg_ast *p, lg_value *v, lg_span at) {
    lg_elab *E = b->E;
    if (v->kind != LG_V_TENSOR)
        return v;
    if (!v->t.bound)
        return made_labels(b, p, v, at);
    lg_dim *want = NULL;
    if (p->kid[1]->kind == LG_A_NAME && !lg_sig_dim(E, b->f, p->kid[1]->name, true)) {
        want = lg_dim_fresh(E, b->f, p->kid[1]->name, v->t.bound, p->kid[1]->span);
        lg_frame_add_dim(E, b->f, p->kid[1]->name, want);
    } else {
        want = lg_dim_expr(E, b->f, p->kid[1]);
    }
    if (!want)
        return NULL;
    lg_dim *out = b->f->caller ? lg_dim_seen_from(E, b->f->caller, want) : want;
    if (!lg_dims_match(want, v->t.bound) && !lg_dims_match(out, v->t.bound)) {
        int64_t x, y;
        lg_diag *d = lg_err(E, "E0203", at, "`%s` of `%s` holds labels in %s, not in %s", p->name,
                            b->what, lg_dim_text(E->arena, v->t.bound), lg_dim_text(E->arena, out));
        if (lg_dim_value(v->t.bound, &x) && lg_dim_value(out, &y))
            lg_diag_note(d, "there are %lld classes in the labels and %lld here", (long long)x,
                         (long long)y);
        return NULL;
    }
    lg_value *r = lg_v_copy(E, v);
    r->t.bound = want;
    return r;
}

static const char *set_text(lg_elab *E, const lg_ast *e) {
    return lg_ast_text(E->arena, e);
}

static lg_value *allowed(binding *b, const lg_ast *p, lg_value *v, lg_span at) {
    lg_elab *E = b->E;
    if (v->kind == LG_V_ERROR || lg_is_schedule(v) || (v->kind == LG_V_STR && !v->str))
        return v;
    if (is_bound(p) && (v->kind == LG_V_TENSOR || v->kind == LG_V_NUM) &&
        p->kid[0]->kind == LG_A_TYPE && lg_dtype_is_int(lg_type_dtype(E, b->f, p->kid[0])))
        return bounded(b, p, v, at);
    lg_value *set = lg_expr_in(E, b->f, p->kid[1]);
    lg_value *in = set->kind == LG_V_ERROR ? set : lg_binary(E, "in", v, set, at);
    bool yes;
    if (in->kind == LG_V_ERROR)
        return v;
    if (lg_v_static_bool(E, in, &yes)) {
        if (yes)
            return v;
        lg_diag *d = lg_err(E, "E0325", at, "`%s` of `%s` must be in %s, got %s", p->name, b->what,
                            set_text(E, p->kid[1]), lg_v_type_text(E, v));
        if (v->kind == LG_V_STR && set->kind == LG_V_LIST) {
            const char **names = LG_NEW_N(E->arena, const char *, set->list.n + 1);
            size_t n = 0;
            for (int i = 0; i < set->list.n; i++)
                if (set->list.at[i]->kind == LG_V_STR && set->list.at[i]->str)
                    names[n++] = set->list.at[i]->str;
            const char *near = lg_nearest(v->str, names, n);
            if (near)
                lg_diag_help(d, "did you mean \"%s\"?", near);
        }
        return NULL;
    }
    if (in->kind == LG_V_TENSOR && !LG_CHECKING(E))
        lg_g_require(
            E->g, lg_import(E, in->t.node),
            lg_txt(E, "`%s` of `%s` must be in %s", p->name, b->what, set_text(E, p->kid[1])), at);
    return v;
}

/* Scalar arguments take the dtype around them. */
static bool is_scalar(const lg_ast *type) {
    return type && type->kind == LG_A_TYPE && !type->n && !(type->flags & LG_AF_SQUARE);
}

/* Does the declaration of f take p as a number that may be a size, as D of `model M(D)`? */
static bool may_be_size(const lg_frame *f, const lg_ast *p) {
    bool graph = f->decl && f->decl->kind == LG_A_DECL && strcmp(f->decl->text, "data") != 0;
    return graph && (!p->kid[0] || (is_scalar(p->kid[0]) &&
                                    lg_dtype_is_int(lg_dtype_from_name(p->kid[0]->name))));
}

/* A size has the name of its parameter in the body, whatever number it is in this call: the dims of
 * the run are those that the body was checked with. */
static lg_value *named_size(binding *b, const lg_ast *p, lg_value *v) {
    bool size = v->kind == LG_V_NUM && v->num.is_int && !v->num.varies &&
                (v->num.known ? v->num.i >= 0 : v->num.dim != NULL);
    if (!size || !may_be_size(b->f, p))
        return v;
    lg_dim *to = v->num.dim ? v->num.dim : lg_dim_num(b->E->dims, v->num.i);
    lg_span at = p->name_span.file ? p->name_span : p->span;
    v = lg_v_copy(b->E, v);
    v->num.dim = lg_dim_size_param(b->E, b->f, p->name, to, at);
    return v;
}

/* The value of parameter p as the body sees it; NULL after reporting. */
static lg_value *fitted(binding *b, const lg_ast *p, lg_value *v, lg_span at) {
    lg_elab *E = b->E;
    const char *what = lg_txt(E, "`%s` of `%s`", p->name, b->what);
    v = p->kid[0] ? lg_type_check(E, b->f, p->kid[0], v, at, what, true)
                  : plain_number(b, p, v, at);
    if (v && is_scalar(p->kid[0]) && v->kind == LG_V_NUM && !v->num.is_int && !v->num.is_bool) {
        lg_dtype t = lg_type_dtype(E, b->f, p->kid[0]);
        v = lg_v_copy(E, v);
        v->num.as = lg_dtype_is_float(t) ? (uint8_t)(t + 1) : 0;
    }
    if (v && is_scalar(p->kid[0]) && v->kind == LG_V_TENSOR && !v->t.rank && !v->t.weak) {
        v = lg_v_copy(E, v);
        v->t.weak = true;
    }
    return v && p->kid[1] ? allowed(b, p, v, at) : v;
}

/* PARAM as a pending name: its default, evaluated in the frame of the call. */
void lg_param_default(lg_elab *E, lg_frame *f, const lg_ast *p) {
    lg_binding *to = lg_find_local(f, p->name, false);
    binding b = {
        .E = E, .f = f, .at = p->span, .what = f->decl && f->decl->name ? f->decl->name : "fn"};
    lg_value *v = lg_expr_in(E, f, p->kid[2]);
    v = fitted(&b, p, v, p->kid[2]->span);
    to->value = v ? named_size(&b, p, v) : lg_v_error(E, p->span);
    to->state = LG_B_VALUE;
}

static void bind_pending(binding *b) {
    for (uint32_t i = 0; i < b->params->n; i++) {
        const lg_ast *p = b->params->kid[i];
        const lg_arg *a = b->given[i];
        lg_bind(b->E, b->f, p->name, a ? a->value : NULL,
                p->name_span.file ? p->name_span : p->span);
        b->f->names->stmt = p;
        b->f->names->state = a ? LG_B_VALUE : LG_B_PENDING;
    }
}

static bool fit(binding *b, uint32_t i) {
    lg_binding *to = lg_find_local(b->f, b->params->kid[i]->name, false);
    lg_value *v =
        fitted(b, b->params->kid[i], to->value, b->given[i]->at.file ? b->given[i]->at : b->at);
    to->value = v ? named_size(b, b->params->kid[i], v) : lg_v_error(b->E, b->given[i]->at);
    return v != NULL;
}

/* An argument of which nothing is known yet: the names of its dims stand for sizes that will be. */
static void bind_later(binding *b, uint32_t i) {
    const lg_ast *type = b->params->kid[i]->kid[0];
    const lg_value *v = lg_find_local(b->f, b->params->kid[i]->name, false)->value;
    size_t before = b->f->dims.n;
    if (!LG_CHECKING(b->E) || !type || type->kind != LG_A_TYPE || !type->n || v->kind != LG_V_ERROR)
        return;
    lg_type_placeholder(b->E, b->f, type, v->at);
    for (size_t k = before; k < b->f->dims.n; k++)
        lg_dim_set_later(b->f->dims.at[k].dim);
}

static bool mentions(const lg_ast *e, lg_sym name) {
    if ((e->kind == LG_A_NAME || e->kind == LG_A_TYPE) && e->name == name)
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && e->kid[i]->kind != LG_A_PARAMS && mentions(e->kid[i], name))
            return true;
    return false;
}

/* `y: i32[N] in C` of a call that gives plain integers, where nothing else says what C is. */
static bool classes_known(binding *b, uint32_t i) {
    lg_elab *E = b->E;
    const lg_ast *p = b->params->kid[i];
    if (!b->given[i] || !p->kid[1] || !is_bound(p) || p->kid[1]->kind != LG_A_NAME)
        return true;
    lg_sym name = p->kid[1]->name;
    const lg_value *v = lg_find_local(b->f, p->name, false)->value;
    if (v->kind != LG_V_TENSOR || v->t.bound || lg_sig_dim(E, b->f, name, false) || !b->f->decl ||
        !mentions(b->f->decl, name))
        return true;
    lg_diag *d = lg_err(E, "E0201", b->given[i]->at.file ? b->given[i]->at : b->at,
                        "nothing says what %s of `%s` is: `%s` is plain integers here", name,
                        b->what, p->name);
    lg_diag_label(d, p->kid[1]->span, "labels in %s", name);
    lg_diag_help(d,
                 "labels of data know their number; else let an argument have the dim %s, or take "
                 "it as a number: `%s: i64`",
                 name, name);
    return false;
}

/* float[count(R)]: R is what another argument is. */
static bool is_counted(const lg_ast *type) {
    for (uint32_t i = 0; type->kind == LG_A_TYPE && i < type->n; i++)
        if (type->kid[i] && type->kid[i]->kind == LG_A_CALL)
            return true;
    return false;
}

static bool has_names(const lg_ast *e) {
    bool found = e->kind == LG_A_NAME;
    for (uint32_t i = 0; !found && i < e->n; i++)
        found = e->kid[i] && has_names(e->kid[i]);
    return found;
}

/* `n: i64`: dims of the other parameters may be made of it. */
static bool is_plain_integer(const lg_ast *p) {
    return p->kid[0] && is_scalar(p->kid[0]) &&
           lg_dtype_is_int(lg_dtype_from_name(p->kid[0]->name)) &&
           (!p->kid[1] || !has_names(p->kid[1]));
}

/* Sizes of models first (their names are those of the caller), then bare names, then the types one
 * by one (computed sizes last), then functions, whose types use all of these; defaults last or when
 * asked for. */
bool lg_bind_params(lg_elab *E, lg_frame *f, const lg_ast *params, int n, const lg_arg *arg,
                    lg_span at, const char *what) {
    uint32_t count = params ? params->n : 0;
    binding b = {E,      f,
                 params, LG_NEW_N(E->arena, const lg_arg *, count + 1),
                 at,     what ? what : "this function"};
    if (!place_arguments(&b, n, arg))
        return false;
    if (!count)
        return true;
    bind_pending(&b);
    bool ok = true;
    for (int round = 0; round < 5; round++)
        for (uint32_t i = 0; i < count; i++) {
            const lg_ast *type = params->kid[i]->kid[0];
            bool first = !type || type->kind == LG_A_CALL || is_plain_integer(params->kid[i]);
            int when = first ? 0 : type->kind == LG_A_FNTYPE ? 4 : is_counted(type) ? 3 : 2;
            if (!b.given[i])
                continue;
            if (round == 1 && type)
                lg_type_prebind(E, f, type, b.given[i]->value);
            else if (round == when)
                ok = fit(&b, i) && ok;
        }
    for (uint32_t i = 0; ok && i < count; i++)
        if (b.given[i])
            bind_later(&b, i);
    for (uint32_t i = 0; ok && i < count; i++)
        ok = classes_known(&b, i);
    E->diags->muted += !ok; /* what defaults would say follows from what was said */
    for (uint32_t i = 0; i < count; i++)
        if (!b.given[i])
            lg_force(E, f, lg_find_local(f, params->kid[i]->name, false), at);
    E->diags->muted -= !ok;
    return ok;
}

/* ---- run-time scalars ---- */

static const lg_ast *declaration(void *ctx, lg_sym name) {
    lg_elab *E = ctx;
    return lg_decl_named(E, E->modules, name);
}

void lg_params_vary(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    if (LG_CHECKING(E) || !params || !E->modules)
        return;
    E->statics = E->statics ? E->statics : lg_statics_new(E->home, declaration, E);
    uint64_t fixed = lg_static_params(E->statics, decl);
    for (uint32_t i = 0; i < params->n && i < 64; i++) {
        lg_binding *b = lg_find_local(f, params->kid[i]->name, false);
        bool number = b && b->value && b->value->kind == LG_V_NUM && b->value->num.known;
        if (number && !(fixed >> i & 1)) {
            b->value = lg_num_varying(E, b->value, b->name);
            b->value->num.dim = NULL;
        }
    }
}

/* ---- any values, for checks of bodies ---- */

lg_value *lg_param_any(lg_elab *E, lg_frame *f, const lg_ast *p) {
    lg_span at = p->name_span.file ? p->name_span : p->span;
    const lg_ast *type = p->kid[0];
    if (!type && !is_number(f, p))
        return lg_v_error(E, at);
    if (!type) { /* a number; where a dim needs it, a size */
        lg_value *v = lg_v_dim(E, lg_dim_fresh(E, f, p->name, NULL, at), at);
        v->num.is_int = false;
        return v;
    }
    lg_dtype t = is_scalar(type) ? lg_type_dtype(E, f, type) : LG_NO_DTYPE;
    if (t == LG_BOOL)
        return lg_v_unknown(E, false, true, at);
    if (lg_dtype_is_int(t))
        return lg_v_dim(E, lg_dim_fresh(E, f, p->name, NULL, at), at);
    lg_value *v = lg_type_placeholder(E, f, type, at);
    if (is_scalar(type) && v->kind == LG_V_TENSOR)
        v->t.weak = true;
    return v;
}

static bool named_before(const lg_ast *params, uint32_t i) {
    for (uint32_t k = 0; k < i; k++)
        if (params->kid[k]->name == params->kid[i]->name)
            return true;
    return false;
}

void lg_bind_any(lg_elab *E, lg_frame *f, const lg_ast *params) {
    for (int round = 0; params && round < 3; round++)
        for (uint32_t i = 0; i < params->n; i++) {
            const lg_ast *p = params->kid[i];
            /* numbers first: dims of the others may be made of them, before or after */
            int when = !p->kid[0] || is_scalar(p->kid[0]) ? 0
                       : p->kid[0]->kind == LG_A_FNTYPE   ? 2
                                                          : 1;
            if (when != round || named_before(params, i) || lg_find_local(f, p->name, false))
                continue;
            lg_bind(E, f, p->name, lg_param_any(E, f, p),
                    p->name_span.file ? p->name_span : p->span);
            f->names->stmt = p;
        }
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        lg_value *v = lg_find_local(f, p->name, false)->value;
        if (p->kid[1] && v->kind == LG_V_TENSOR && is_bound(p)) {
            if (p->kid[1]->kind == LG_A_NAME && !lg_sig_dim(E, f, p->kid[1]->name, true))
                lg_frame_add_dim(
                    E, f, p->kid[1]->name,
                    lg_dim_fresh(E, f, p->kid[1]->name, NULL, p->kid[1]->span));
            v->t.bound = lg_dim_expr(E, f, p->kid[1]);
        }
    }
}

static void check_names(lg_elab *E, lg_frame *f, const lg_ast *params) {
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        lg_span at = p->name_span.file ? p->name_span : p->span;
        lg_refuse_given(E, f, p->name, at);
        for (uint32_t k = 0; k < i; k++)
            if (params->kid[k]->name == p->name) {
                lg_diag *d = lg_err(E, "E0304", at, "`%s` is a parameter twice", p->name);
                lg_diag_label(d, params->kid[k]->name_span, "first here");
                break;
            }
    }
}

/* Names are checked, and defaults against the types: with the names of f, whose dims are rigid. */
void lg_check_defaults(lg_elab *E, lg_frame *f, const lg_ast *params) {
    check_names(E, f, params);
    binding b = {.E = E, .f = f, .params = params, .what = f->decl->name ? f->decl->name : "fn"};
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        if (!p->kid[2])
            continue;
        b.at = p->span;
        lg_value *v = lg_expr_in(E, f, p->kid[2]);
        if (!p->kid[0] || p->kid[0]->kind != LG_A_FNTYPE)
            fitted(&b, p, v, p->kid[2]->span);
    }
}
