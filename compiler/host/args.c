/* args.c: the command line of a program: `arg` declarations of the file, and the parameters of the
 * entry or train that runs. Texts become typed values; nothing that is not understood is ignored.
 */
#include "compiler/host/inside.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lg_sym option_name(const char *s, size_t n) {
    char *t = lg_alloc(n + 1);
    for (size_t i = 0; i < n; i++)
        t[i] = s[i] == '-' ? '_' : s[i];
    lg_sym name = lg_intern_n(t, n);
    lg_free(t);
    return name;
}

static bool is_option(const char *s) {
    return s[0] == '-' && s[1] == '-' && s[2];
}

static lg_option *find_option(lg_host *H, lg_sym name) {
    for (size_t k = 0; k < H->option.n; k++)
        if (H->option.at[k].name == name)
            return &H->option.at[k];
    return NULL;
}

/* What was said when the program was built stands where the command line is silent. */
static void options_built_in(lg_host *H) {
    for (int i = 0; i < H->o.n_with; i++) {
        const char *s = H->o.with[i], *eq = strchr(s, '=');
        if (!eq)
            continue;
        lg_option o = {.name = option_name(s, (size_t)(eq - s)), .text = eq + 1, .built_in = true};
        char no[128];
        snprintf(no, sizeof no, "no_%.120s", o.name);
        if (!find_option(H, o.name) && !find_option(H, lg_intern(no)))
            LG_PUSH(H->option, o);
    }
}

bool lg_options_read(lg_host *H) {
    for (int i = 0; i < H->o.argc; i++) {
        const char *s = H->o.argv[i];
        if (!is_option(s)) {
            lg_diag *d =
                lg_err(H->E, "E0701", (lg_span){0}, "`%s` is not an option of the program", s);
            lg_diag_help(d, "options are written --name value");
            return false;
        }
        const char *eq = strchr(s, '=');
        lg_option o = {.name = option_name(s + 2, eq ? (size_t)(eq - s - 2) : strlen(s + 2))};
        if (eq)
            o.text = eq + 1;
        else if (i + 1 < H->o.argc && !is_option(H->o.argv[i + 1]))
            o.text = H->o.argv[++i];
        if (find_option(H, o.name)) {
            lg_err(H->E, "E0702", (lg_span){0}, "--%s is given twice", o.name);
            return false;
        }
        LG_PUSH(H->option, o);
    }
    options_built_in(H);
    return true;
}

/* ---- texts as values ---- */

static lg_value *bad(lg_elab *E, lg_sym name, const char *text, const char *wanted, lg_span at) {
    lg_diag *d = lg_err(E, "E0703", (lg_span){0}, "--%s wants %s, got `%s`", name, wanted,
                        text ? text : "nothing");
    lg_diag_label(d, at, "declared here");
    return lg_v_error(E, at);
}

static lg_value *boolean(lg_elab *E, lg_sym name, const char *t, lg_span at) {
    static const char *const yes[] = {"true", "yes", "on", "1"}, *const no[] = {"false", "no",
                                                                                "off", "0"};
    for (size_t i = 0; i < LG_COUNT(yes); i++) {
        if (!t || !strcmp(t, yes[i]))
            return lg_v_bool(E, true, at);
        if (!strcmp(t, no[i]))
            return lg_v_bool(E, false, at);
    }
    return bad(E, name, t, "true or false", at);
}

static lg_value *number(lg_elab *E, lg_sym name, const char *t, bool whole, lg_span at) {
    char *end = NULL;
    if (!t || !*t)
        return bad(E, name, t, whole ? "an integer" : "a number", at);
    errno = 0;
    long long i = strtoll(t, &end, 10);
    if (!*end && !errno)
        return lg_v_int(E, i, at);
    double d = strtod(t, &end);
    if (*end || !isfinite(d))
        return bad(E, name, t, whole ? "an integer" : "a number", at);
    if (whole && d >= -9e15 && d <= 9e15 && d == floor(d))
        return lg_v_int(E, (int64_t)d, at);
    return whole ? bad(E, name, t, "an integer", at) : lg_v_real(E, d, at);
}

static lg_value *value_of_text(lg_elab *E, lg_sym name, const char *text, const lg_ast *type,
                               lg_span at) {
    if (!type)
        return number(E, name, text, false, at);
    if (type->kind == LG_A_TYPE && !(type->flags & LG_AF_SQUARE)) {
        if (type->name == lg_intern("str"))
            return text ? lg_v_str(E, lg_intern(text), at) : bad(E, name, text, "a text", at);
        lg_dtype t = lg_dtype_from_name(type->name);
        if (t == LG_BOOL)
            return boolean(E, name, text, at);
        if (t != LG_NO_DTYPE || !strcmp(type->name, "float"))
            return number(E, name, text, t != LG_NO_DTYPE && lg_dtype_is_int(t), at);
    }
    lg_diag *d = lg_err(E, "E0704", (lg_span){0}, "--%s cannot be given on the command line", name);
    lg_diag_label(d, at, "only numbers, bools and texts can");
    return lg_v_error(E, at);
}

lg_value *lg_option_value(lg_elab *E, lg_frame *f, lg_sym name, const lg_ast *type, lg_span at) {
    lg_host *H = lg_host_of(E);
    (void)f;
    for (size_t i = 0; i < H->option.n; i++) {
        lg_option *o = &H->option.at[i];
        if (o->name == name) {
            o->used = true;
            return value_of_text(E, name, o->text, type, at);
        }
        if (!strncmp(o->name, "no_", 3) && !strcmp(o->name + 3, name) && !o->text && type &&
            type->name && lg_dtype_from_name(type->name) == LG_BOOL) {
            o->used = true;
            return lg_v_bool(E, false, at);
        }
    }
    return NULL;
}

static bool allowed(lg_elab *E, lg_value *v, lg_value *set, lg_sym name, const lg_ast *in,
                    lg_span at) {
    bool yes = true;
    if (v->kind == LG_V_ERROR || set->kind == LG_V_ERROR)
        return true;
    lg_value *c = lg_binary(E, "in", v, set, at);
    if (!lg_v_static_bool(E, c, &yes) || yes)
        return true;
    lg_buf b = {0};
    lg_format_value(E, &b, v, NULL, at);
    lg_diag *d =
        lg_err(E, "E0705", at, "`%s` is %s, allowed is %s", name, b.at, lg_ast_text(E->arena, in));
    const char *words[64];
    size_t n = 0;
    for (int i = 0; set->kind == LG_V_LIST && i < set->list.n && n < LG_COUNT(words); i++)
        if (set->list.at[i]->kind == LG_V_STR && set->list.at[i]->str)
            words[n++] = set->list.at[i]->str;
    const char *near = v->kind == LG_V_STR && v->str ? lg_nearest(v->str, words, n) : NULL;
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    lg_buf_free(&b);
    return false;
}

static lg_value *unknown_of_type(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at) {
    if (!type)
        return lg_v_unknown(E, false, false, at);
    if (type->kind == LG_A_TYPE && !(type->flags & LG_AF_SQUARE)) {
        lg_dtype t = lg_dtype_from_name(type->name);
        if (type->name == lg_intern("str"))
            return lg_v_str(E, NULL, at);
        if (t != LG_NO_DTYPE || !strcmp(type->name, "float"))
            return lg_v_unknown(E, t != LG_NO_DTYPE && lg_dtype_is_int(t), t == LG_BOOL, at);
    }
    return lg_type_placeholder(E, f, type, at);
}

lg_value *lg_arg_value(lg_elab *E, lg_frame *f, const lg_ast *d) {
    lg_host *H = lg_host_of(E);
    const lg_ast *type = d->kid[LG_D_TYPE], *in = d->kid[LG_D_IN], *e = d->kid[LG_D_VALUE];
    lg_span at = d->name_span;
    lg_value *dflt = e ? lg_host_expr(E, f, e) : NULL,
             *v = lg_option_value(E, f, d->name, type, at); /* in a check too, once it was read */
    if (!v && !H->keep) {
        v = unknown_of_type(E, f, type, at); /* an arg may be anything of its type */
    } else if (!v && dflt) {
        v = dflt;
    } else if (!v) {
        lg_diag *x =
            lg_err(E, "E0706", d->span, "--%s is not given, and it has no default", d->name);
        if (d->doc)
            lg_diag_note(x, "%s", d->doc);
        return lg_v_error(E, at);
    }
    bool number = dflt && (dflt->kind == LG_V_NUM || (dflt->kind == LG_V_TENSOR && !dflt->t.rank));
    bool scalar = type && type->kind == LG_A_TYPE && !(type->flags & LG_AF_SQUARE) && !type->n;
    if (dflt && type && dflt->kind != LG_V_ERROR && (scalar || dflt->kind != LG_V_TENSOR)) {
        bool str = type->kind == LG_A_TYPE && type->name == lg_intern("str");
        if (str != (dflt->kind == LG_V_STR) || (scalar && !str && !number) ||
            (dflt->kind == LG_V_NUM && dflt->num.known && !dflt->num.is_int && type->name &&
             lg_dtype_is_int(lg_dtype_from_name(type->name)))) {
            lg_err(E, "E0208", e->span, "the default of `%s` is %s, its type is %s", d->name,
                   lg_v_type_text(E, dflt), lg_ast_text(E->arena, type));
            return H->keep ? lg_v_error(E, at) : v;
        }
    }
    lg_value *set = in ? lg_host_expr(E, f, in) : NULL;
    if (set && !H->keep && dflt)
        allowed(E, dflt, set, d->name, in, e->span);
    else if (set && !allowed(E, v, set, d->name, in, v == dflt ? e->span : at))
        return lg_v_error(E, at);
    if (v->kind == LG_V_NUM && v->num.is_int && !v->num.known && !v->num.dim) {
        v->num.dim = lg_dim_var(E->dims, d->name, at); /* as a dim it keeps its name */
        lg_dim_set_later(v->num.dim);
    } else if (v->kind == LG_V_NUM && v->num.is_int && v->num.known && v->num.i >= 0 && !v->num.dim &&
             in == NULL) {
        v = lg_v_copy(E, v);
        lg_dim *dim = lg_dim_var(E->dims, d->name, at);
        lg_dim_set(dim, v->num.i);
        v->num.dim = dim;
    }
    return v;
}

void lg_options_bind(lg_elab *E, lg_frame *f, const lg_ast *params) {
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        lg_binding *b = lg_find_local(f, p->name, false);
        lg_value *v = b ? lg_option_value(E, f, p->name, p->kid[0], p->span) : NULL;
        if (!v)
            continue;
        if (v->kind == LG_V_NUM && v->num.is_int && v->num.i >= 0) { /* as a dim it keeps its name */
            lg_dim *dim = lg_dim_var(E->dims, p->name, p->span);
            lg_dim_set(dim, v->num.i);
            v->num.dim = dim;
        }
        b->value = v;
    }
}

/* Does e say what it is without the parameters? */
static bool stands_alone(const lg_ast *e, const lg_ast *params) {
    for (uint32_t i = 0; e->kind == LG_A_NAME && i < params->n; i++)
        if (params->kid[i]->name == e->name)
            return false;
    for (uint32_t i = 0; i < e->n; i++)
        if (e->kid[i] && !stands_alone(e->kid[i], params))
            return false;
    return true;
}

int lg_param_options(lg_elab *E, lg_frame *f, const lg_ast *params, lg_arg **out) {
    int n = params ? (int)params->n : 0, k = 0;
    *out = LG_NEW_N(E->arena, lg_arg, n + 1);
    for (int i = 0; i < n; i++) {
        const lg_ast *p = params->kid[i];
        lg_value *v = lg_option_value(E, f, p->name, p->kid[0], p->span);
        if (v && p->kid[1] && stands_alone(p->kid[1], params) &&
            !allowed(E, v, lg_host_expr(E, f, p->kid[1]), p->name, p->kid[1], p->span))
            continue;
        if (v)
            (*out)[k++] = (lg_arg){p->name, v, NULL, p->span};
        else if (!p->kid[2])
            lg_err(E, "E0706", p->span, "--%s is not given, and it has no default", p->name);
    }
    return k;
}

/* ---- unknown options and help ---- */

static void each_arg(lg_host *H, void (*fn)(void *ctx, const lg_ast *d), void *ctx) {
    for (lg_module *m = H->E->modules; m; m = m->next)
        for (uint32_t i = 0; !m->library && i < m->tree->n; i++) {
            const lg_ast *d = m->tree->kid[i];
            if (d->kind == LG_A_DECL && d->name && !strcmp(d->text, "arg"))
                fn(ctx, d);
        }
}

typedef struct {
    LG_VEC(const char *) v;
} names;

static void add_name(void *ctx, const lg_ast *d) {
    names *n = ctx;
    LG_PUSH(n->v, d->name);
}

/* Is it one of them, or no_ and one of them? */
static bool is_among(const names *all, lg_sym option) {
    for (size_t k = 0; k < all->v.n; k++)
        if (all->v.at[k] == option ||
            (!strncmp(option, "no_", 3) && !strcmp(option + 3, all->v.at[k])))
            return true;
    return false;
}

bool lg_options_all_used(lg_host *H, const lg_ast *what) {
    names all = {0};
    each_arg(H, add_name, &all);
    const lg_ast *params = what ? what->kid[LG_D_PARAMS] : NULL;
    for (uint32_t i = 0; params && i < params->n; i++)
        LG_PUSH(all.v, params->kid[i]->name);
    bool ok = true;
    for (size_t i = 0; i < H->option.n; i++) {
        lg_option *o = &H->option.at[i];
        if (o->built_in || is_among(&all, o->name))
            continue;
        lg_diag *d = lg_err(H->E, "E0701", (lg_span){0}, "there is no option --%s", o->name);
        const char *near = lg_nearest(o->name, all.v.at, all.v.n);
        if (near)
            lg_diag_help(d, "did you mean --%s?", near);
        else
            lg_diag_help(d, "--help lists the options");
        ok = false;
    }
    lg_free(all.v.at);
    return ok;
}

/* ---- settings of a build ---- */

/* Is d one of those that the options may be for? entry: the one that was named, or NULL. */
static bool has_options(const lg_ast *d, const char *entry) {
    return d->kind == LG_A_DECL && d->name &&
           (!strcmp(d->text, "train") || !strcmp(d->text, "entry")) &&
           (!entry || !strcmp(entry, d->name));
}

/* Values of the parameters of a train or entry, as far as they are given. */
static void check_params(lg_elab *E, lg_module *m, const lg_ast *d, names *known) {
    const lg_ast *params = d->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        LG_PUSH(known->v, p->name);
        lg_value *v = lg_option_value(E, m->frame, p->name, p->kid[0], p->span);
        if (v && p->kid[1])
            allowed(E, v, lg_host_expr(E, m->frame, p->kid[1]), p->name, p->kid[1], p->span);
    }
}

static void check_args(lg_elab *E, lg_module *m, names *known) {
    for (uint32_t i = 0; i < m->tree->n; i++) {
        const lg_ast *d = m->tree->kid[i];
        if (d->kind != LG_A_DECL || !d->name || strcmp(d->text, "arg") != 0)
            continue;
        LG_PUSH(known->v, d->name);
        if (find_option(lg_host_of(E), d->name))
            lg_arg_value(E, m->frame, d);
    }
}

bool lg_options_check(lg_host *H, lg_module *m) {
    lg_elab *E = H->E;
    names known = {0};
    for (lg_module *k = E->modules; k; k = k->next)
        if (!k->library)
            check_args(E, k, &known);
    for (uint32_t i = 0; i < m->tree->n; i++)
        if (has_options(m->tree->kid[i], H->o.entry))
            check_params(E, m, m->tree->kid[i], &known);
    for (size_t i = 0; i < H->option.n; i++) {
        const lg_option *o = &H->option.at[i];
        if (is_among(&known, o->name))
            continue;
        lg_diag *d = lg_err(E, "E0701", (lg_span){0}, "the program has no argument `%s`", o->name);
        const char *near = lg_nearest(o->name, known.v.at, known.v.n);
        if (near)
            lg_diag_help(d, "did you mean `%s`?", near);
    }
    lg_free(known.v.at);
    return lg_host_ok(E);
}

static void help_row(FILE *out, lg_arena *a, const char *name, const lg_ast *type, const lg_ast *in,
                     const lg_ast *dflt, const char *doc) {
    lg_buf b = {0};
    lg_buf_printf(&b, "  --%s %s", name, type ? lg_ast_text(a, type) : "number");
    if (in)
        lg_buf_printf(&b, " in %s", lg_ast_text(a, in));
    fprintf(out, "%-36s  %s", b.at, doc ? doc : "");
    if (dflt)
        fprintf(out, "%s(default %s)", doc ? " " : "", lg_ast_text(a, dflt));
    fputc('\n', out);
    lg_buf_free(&b);
}

static void help_arg(void *ctx, const lg_ast *d) {
    lg_host *H = ctx;
    help_row(stdout, H->E->arena, d->name, d->kid[LG_D_TYPE], d->kid[LG_D_IN], d->kid[LG_D_VALUE],
             d->doc);
}

void lg_options_help(lg_host *H, const lg_ast *what) {
    printf("usage: %s%s%s [options]\n", H->o.program ? H->o.program : "program",
           what && what->name ? " " : "", what && what->name ? what->name : "");
    if (what && what->doc)
        printf("%s\n", what->doc);
    printf("\noptions:\n");
    each_arg(H, help_arg, H);
    const lg_ast *params = what ? what->kid[LG_D_PARAMS] : NULL;
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        help_row(stdout, H->E->arena, p->name, p->kid[0], p->kid[1], p->kid[2], p->doc);
    }
    bool any = false;
    for (uint32_t i = 0; i < H->main->tree->n; i++) {
        const lg_ast *d = H->main->tree->kid[i];
        if (d->kind != LG_A_DECL || !d->name ||
            (strcmp(d->text, "entry") != 0 && strcmp(d->text, "train") != 0) || d == what)
            continue;
        if (!any)
            printf("\nother entries:\n");
        any = true;
        printf("  %-34s  %s\n", d->name, d->doc ? d->doc : d->text);
    }
}
