/* types.c: what a signature says and whether a value fits: dims (binding, solving, equality),
 * dtypes, records, functions, models, letters. A body sees its arguments with the dims of the
 * signature. Not for the matching of arguments to parameters (call.c). */
#include "compiler/mid/model.h"
#include "compiler/mid/sig.h"
#include <ctype.h>
#include <string.h>

lg_dtype lg_type_dtype(lg_elab *E, lg_frame *f, const lg_ast *type) {
    (void)E;
    if (type->kind != LG_A_TYPE)
        return LG_NO_DTYPE;
    return !strcmp(type->name, "float") ? f->float_dtype : lg_dtype_from_name(type->name);
}

/* ---- errors ---- */

static lg_value *refuse(lg_checking *c, const char *code, const lg_ast *type, const lg_value *v,
                        const char *note) {
    lg_diag *d = lg_err(c->E, code, c->at, "%s wants %s, got %s", c->what,
                        lg_ast_text(c->E->arena, type), lg_v_type_text(c->E, v));
    if (note)
        lg_diag_note(d, "%s", note);
    const lg_frame *self = c->f->kind == LG_F_FN ? c->f->self : NULL;
    const lg_frame *made =
        self && self->model && self->model->kind == LG_V_MODEL ? lg_model_frame(self->model) : NULL;
    bool called = made && c->f->caller && c->f->caller != self && *self->model->model.path;
    if (called && made->call_at.file && !lg_in_library(c->f->caller))
        lg_diag_label(d, made->call_at, "`%s` is made here", self->model->model.path);
    return NULL;
}

static lg_dim *outside(lg_checking *c, lg_dim *d) {
    return c->f->caller ? lg_dim_seen_from(c->E, c->f->caller, d) : d;
}

/* "H (128)"; a number alone as it is. */
static const char *sized(lg_elab *E, const char *name, int64_t n) {
    const char *number = lg_txt(E, "%lld", (long long)n);
    return strcmp(name, number) ? lg_txt(E, "%s (%s)", name, number) : number;
}

static const char *dim_note(lg_checking *c, const lg_ast *e, lg_dim *want, const lg_dim *got) {
    lg_elab *E = c->E;
    const char *name = lg_ast_text(E->arena, e), *is = lg_dim_text(E->arena, outside(c, want));
    const char *have = lg_dim_text(E->arena, got);
    int64_t x, y;
    if (lg_dim_value(want, &x) && lg_dim_value(got, &y) && x != y) {
        const char *said = strcmp(name, is) ? sized(E, is, x) : lg_txt(E, "%lld", (long long)x);
        if (!strcmp(name, said))
            return lg_txt(E, "%s is wanted, not %s", name, sized(E, have, y));
        return lg_txt(E, "%s is %s here, not %s", name, said, sized(E, have, y));
    }
    return strcmp(name, is) ? lg_txt(E, "%s is %s here, and %s is another dim", name, is, have)
                            : lg_txt(E, "%s and %s are different dims", name, have);
}

/* ---- dims of a value against dims of a type ---- */

static bool same_dim(lg_checking *c, lg_dim *want, lg_dim *got) {
    return lg_dims_match(want, got) || lg_dims_match(outside(c, want), outside(c, got));
}

static lg_dim *bind_dim(lg_checking *c, lg_sym name, lg_dim *to, lg_span at) {
    lg_dim *d = lg_dim_fresh(c->E, c->f, name, to, at);
    lg_sig_add(c->E, c->f, name, d);
    return d;
}

/* The one unknown of e from e = got. */
static bool solve_dim(lg_checking *c, const lg_ast *e, lg_sym unknown, lg_dim *got) {
    lg_dim *probe = lg_dim_var(c->E->dims, unknown, e->span);
    lg_sig_add(c->E, c->f, unknown, probe);
    lg_dim *pattern = lg_dim_expr(c->E, c->f, e);
    c->f->dims.n--;
    if (!pattern)
        return false;
    lg_dim *x = lg_dim_solve(c->E->dims, outside(c, pattern), probe, outside(c, got));
    int64_t n;
    if (!x || (lg_dim_value(x, &n) && n < 0)) {
        lg_err(c->E, "E0203", c->at, "%s: no size %s makes %s equal to %s", c->what, unknown,
               lg_ast_text(c->E->arena, e), lg_dim_text(c->E->arena, got));
        return false;
    }
    bind_dim(c, unknown, x, e->span);
    return true;
}

/* The dim of the type where the value has `got`; NULL after reporting. */
static lg_dim *meet_dim(lg_checking *c, const lg_ast *type, const lg_ast *e, const lg_value *v,
                        lg_dim *got) {
    if (e->kind == LG_A_HOLE)
        return got;
    if (c->binding) {
        lg_sym unknown[2];
        int n = lg_sig_unknown(c, e, unknown, 0, 2);
        if (n == 1 && e->kind == LG_A_NAME)
            return bind_dim(c, e->name, got, e->span);
        if (n == 2) {
            lg_err(c->E, "E0201", e->span, "%s and %s cannot both be found from one size",
                   unknown[0], unknown[1]);
            return NULL;
        }
        if (n == 1 && !solve_dim(c, e, unknown[0], got))
            return NULL;
    }
    lg_dim *want = lg_dim_expr(c->E, c->f, e);
    if (!want || same_dim(c, want, got))
        return want;
    refuse(c, "E0203", type, v, dim_note(c, e, want, got));
    return NULL;
}

static lg_pack *pack_named(lg_frame *f, lg_sym name) {
    for (lg_frame *u = f; u; u = u->up)
        for (size_t i = 0; i < u->packs.n; i++)
            if (u->packs.at[i].name == name)
                return &u->packs.at[i];
    return NULL;
}

/* Dims of a pack are as distinct in the body as names are. */
static lg_pack *bind_pack(lg_checking *c, lg_sym name, int n, lg_dim *const *got, lg_span at) {
    lg_pack p = {name, n, LG_NEW_N(c->E->arena, lg_dim *, n ? n : 1)};
    for (int i = 0; i < n; i++)
        p.dim[i] =
            lg_dim_fresh(c->E, c->f, lg_intern(lg_dim_text(c->E->arena, got[i])), got[i], at);
    LG_ARENA_PUSH(c->f->arena, c->f->packs, p);
    return &c->f->packs.at[c->f->packs.n - 1];
}

static bool is_pack(const lg_ast *e) {
    return e->kind == LG_A_PACK || e->kind == LG_A_ELLIPSIS;
}

/* The kid of a type that stands for any number of dims, or -1. */
static int pack_at(const lg_ast *type) {
    for (uint32_t i = 0; i < type->n; i++)
        if (is_pack(type->kid[i]))
            return (int)i;
    return -1;
}

/* Dims of v as the type names them, into out; false after reporting. */
static bool meet_dims(lg_checking *c, const lg_ast *type, const lg_value *v, lg_dim **out) {
    int n = (int)type->n, lead = 0, rank = v->t.rank, pack = pack_at(type);
    bool packed = pack >= 0;
    if (packed ? rank < n - 1 : rank != n) {
        const char *note =
            lg_txt(c->E, "it has %d dim%s, %s%d are wanted", rank, rank == 1 ? "" : "s",
                   packed ? "at least " : "", packed ? n - 1 : n);
        refuse(c, "E0203", type, v, note);
        return false;
    }
    if (packed) {
        lead = rank - (n - 1);
        const lg_ast *e = type->kid[pack];
        lg_pack *p = e->kind == LG_A_PACK ? pack_named(c->f, e->name) : NULL;
        if (e->kind == LG_A_PACK && !p && !c->binding) {
            lg_err(c->E, "E0302", e->span, "`...%s` is not among the dims of the arguments",
                   e->name);
            return false;
        }
        if (e->kind == LG_A_PACK && !p)
            p = bind_pack(c, e->name, lead, v->t.dim + pack, e->span);
        bool ok = !p || p->n == lead;
        for (int i = 0; i < lead; i++) {
            lg_dim *got = v->t.dim[pack + i];
            out[pack + i] = p && ok ? p->dim[i] : got;
            ok = ok && (!p || same_dim(c, p->dim[i], got));
        }
        if (!ok) {
            refuse(c, "E0203", type, v,
                   lg_txt(c->E, "`...%s` stands for other dims here", e->name));
            return false;
        }
    }
    for (int i = 0; i < rank; i++) {
        if (packed && i >= pack && i < pack + lead)
            continue;
        const lg_ast *e = type->kid[packed && i >= pack ? i - lead + 1 : i];
        out[i] = meet_dim(c, type, e, v, v->t.dim[i]);
        if (!out[i])
            return false;
    }
    return true;
}

/* ---- numbers and arrays ---- */

static lg_value *number(lg_checking *c, const lg_ast *type, lg_dtype want, lg_value *v) {
    lg_elab *E = c->E;
    bool flag = v->num.is_bool, is_float = lg_dtype_is_float(want);
    bool whole = v->num.is_int || !v->num.known;
    if ((want == LG_BOOL) != flag)
        return refuse(c, "E0205", type, v, NULL);
    if (type->n || (type->flags & LG_AF_SQUARE)) {
        if (!flag && !is_float && !whole)
            return refuse(c, "E0205", type, v, NULL);
        if (type->n > 1 || (type->n == 1 && !is_pack(type->kid[0])))
            return refuse(c, "E0203", type, v, "a number has no dims");
        lg_value *x = LG_CHECKING(E) || v->num.known ? lg_to_tensor(E, v, want, c->at) : v;
        lg_dim *none[1];
        return x->kind == LG_V_TENSOR && meet_dims(c, type, x, none) ? x
               : x->kind == LG_V_TENSOR                              ? NULL
                                                                     : x;
    }
    if (flag || (!is_float && v->num.is_int))
        return v;
    lg_value *r = lg_v_copy(E, v);
    if (is_float) {
        r->num.is_int = false;
        return r;
    }
    int64_t n;
    if (!v->num.known) {
        r->num.is_int = true;
        return r;
    }
    if (lg_v_static_int(E, v, &n))
        return lg_v_int(E, n, v->at);
    return refuse(c, "E0205", type, v, NULL);
}

static lg_value *dtype_met(lg_checking *c, const lg_ast *type, lg_value *v, lg_dtype *want) {
    lg_elab *E = c->E;
    bool is_float = !strcmp(type->name, "float");
    if (is_float && c->binding && !c->f->float_bound && lg_dtype_is_float(v->t.dtype) &&
        !v->t.weak) {
        c->f->float_dtype = v->t.dtype;
        c->f->float_bound = true;
    }
    *want = lg_type_dtype(E, c->f, type);
    if (v->t.dtype == *want)
        return v;
    bool from_float = lg_dtype_is_float(v->t.dtype), to_float = lg_dtype_is_float(*want);
    /* scalar arguments take the dtype that is asked for, reals as reals and integers as integers */
    bool scalar = c->binding && !type->n && !(type->flags & LG_AF_SQUARE) && !v->t.rank &&
                  from_float == to_float;
    if ((v->t.weak || scalar) && (v->t.dtype == LG_BOOL) == (*want == LG_BOOL) &&
        (to_float || !from_float)) {
        lg_span at = v->at;
        v = lg_v_copy(E, lg_cast(E, v, *want, at));
        v->t.weak = true;
        v->at = at;
        return v;
    }
    lg_diag *d = lg_err(E, "E0205", c->at, "%s wants %s, got %s", c->what,
                        lg_ast_text(E->arena, type), lg_v_type_text(E, v));
    if (is_float && from_float)
        lg_diag_note(d, "`float` is %s in this call", lg_dtype_name(*want));
    if (*want != LG_BOOL && v->t.dtype != LG_BOOL)
        lg_diag_help(d, "write the cast: `%s(...)`", is_float ? "float" : lg_dtype_name(*want));
    return NULL;
}

/* Is no number of the list known to have a fraction? */
static bool is_whole(lg_elab *E, lg_value *v) {
    int64_t n;
    if (v->kind == LG_V_NUM)
        return !v->num.known || v->num.is_bool || lg_v_static_int(E, v, &n);
    for (int i = 0; v->kind == LG_V_LIST && i < v->list.n; i++)
        if (!is_whole(E, v->list.at[i]))
            return false;
    return true;
}

static lg_value *tensor(lg_checking *c, const lg_ast *type, lg_value *v) {
    lg_elab *E = c->E;
    lg_dtype want = lg_type_dtype(E, c->f, type);
    if (lg_is_schedule(v) && !type->n)
        return v;
    if (v->kind == LG_V_LIST && lg_list_is_array(v)) {
        bool takes = lg_dtype_is_float(want) || (lg_dtype_is_int(want) && is_whole(E, v));
        v = lg_list_tensor(E, v, takes ? want : LG_NO_DTYPE, c->at);
        if (v->kind == LG_V_ERROR)
            return v;
    }
    if (v->kind == LG_V_NUM)
        return number(c, type, want, v);
    if (v->kind != LG_V_TENSOR)
        return refuse(c, "E0205", type, v, NULL);
    v = dtype_met(c, type, v, &want);
    lg_dim *dim[LG_MAX_RANK];
    if (!v || !meet_dims(c, type, v, dim))
        return NULL;
    bool same = true;
    for (int i = 0; i < v->t.rank; i++)
        same = same && dim[i] == v->t.dim[i];
    if (same)
        return v;
    lg_value *r = lg_v_copy(E, v);
    r->t.dim = lg_arena_dup(E->arena, dim, sizeof *dim * (size_t)v->t.rank);
    return r;
}

/* Names that stand for nothing yet become rigid dims of f. */
static lg_dim *rigid_dim(lg_checking *c, const lg_ast *e) {
    if (e->kind == LG_A_HOLE)
        return lg_dim_var(c->E->dims, lg_intern("_"), e->span);
    lg_sym unknown[8];
    int n = lg_sig_unknown(c, e, unknown, 0, 8);
    for (int i = 0; i < n; i++)
        bind_dim(c, unknown[i], NULL, e->span);
    lg_dim *d = lg_dim_expr(c->E, c->f, e);
    return d ? d : lg_dim_written(c->E, c->f, e); /* not known yet: one dim wherever it stands */
}

/* ---- letters: any tensor or record ---- */

static bool is_letter(lg_elab *E, lg_frame *f, const lg_ast *type) {
    if (type->kind != LG_A_TYPE || strlen(type->name) != 1 ||
        !isupper((unsigned char)type->name[0]))
        return false;
    return lg_sig_letter(E, f, type->name) || !lg_lookup_user(E, f, type->name);
}

/* v as values of tensors: its leaves without the leading dims of the stack. */
static lg_value *unstacked(lg_checking *c, const lg_ast *type, lg_value *v) {
    lg_leaf *leaf;
    int n = lg_v_leaves(c->E, v, &leaf), k = (int)type->n;
    lg_value **out = LG_NEW_N(c->E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        if (x->kind != LG_V_TENSOR || x->t.rank < k)
            return refuse(c, "E0203", type, v, NULL);
        for (int j = 0; j < k; j++)
            if (!meet_dim(c, type, type->kid[j], x, x->t.dim[j]))
                return NULL;
        out[i] = lg_v_open(c->E, x->t.dtype, x->t.n_open, x->t.open, x->t.rank - k, x->t.dim + k,
                           NULL, x->at);
    }
    return lg_v_rebuild(c->E, v, out);
}

static bool same_leaf(lg_checking *c, const lg_value *a, const lg_value *b) {
    if (a->kind != LG_V_TENSOR || b->kind != LG_V_TENSOR)
        return (a->kind == LG_V_TENSOR || a->kind == LG_V_NUM) &&
               (b->kind == LG_V_TENSOR || b->kind == LG_V_NUM) &&
               !(a->kind == LG_V_TENSOR && a->t.rank) && !(b->kind == LG_V_TENSOR && b->t.rank);
    bool ok = a->t.rank == b->t.rank && (a->t.dtype == b->t.dtype || a->t.weak || b->t.weak);
    for (int i = 0; ok && i < a->t.rank; i++)
        ok = same_dim(c, a->t.dim[i], b->t.dim[i]);
    return ok;
}

/* An unknown R, or a stack R[S] of it, where only the leading dims are known. */
static lg_value *opaque(lg_checking *c, const lg_ast *type, lg_value *is, lg_value *v) {
    int n = (int)type->n, rank = v->opaque.rank;
    bool packed = pack_at(type) >= 0, known = rank >= 0 && !packed;
    if (is && is->kind == LG_V_OPAQUE && is->opaque.shape != v->opaque.shape)
        return refuse(c, "E0205", type, v, NULL);
    if (known && (rank < n || (is && is->kind == LG_V_OPAQUE && is->opaque.rank >= 0 &&
                               rank - n != is->opaque.rank)))
        return refuse(c, "E0203", type, v, NULL);
    for (int i = 0; known && i < n; i++)
        if (!meet_dim(c, type, type->kid[i], v, v->opaque.dim[i]))
            return NULL;
    for (int i = 0; !known && c->binding && i < n; i++)
        if (!is_pack(type->kid[i]))
            rigid_dim(c, type->kid[i]);
    if (is || !c->binding)
        return v;
    lg_value *one = lg_v_copy(c->E, v);
    if (known) {
        one->opaque.rank = rank - n;
        one->opaque.dim = v->opaque.dim + n;
    }
    lg_bind(c->E, c->f, lg_sig_letter_key(c->E, type->name), one, v->at);
    return v;
}

static lg_value *letter(lg_checking *c, const lg_ast *type, lg_value *v) {
    lg_elab *E = c->E;
    v = lg_arrays_within(E, v, c->at);
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, v->num.is_int ? c->f->float_dtype : LG_NO_DTYPE, c->at);
    if (v->kind == LG_V_ERROR)
        return v;
    if (v->kind != LG_V_TENSOR && !lg_v_is_vector(v))
        return refuse(c, "E0205", type, v, NULL);
    lg_value *is = lg_sig_letter(E, c->f, type->name);
    if (v->kind == LG_V_OPAQUE)
        return opaque(c, type, is, v);
    if (is && is->kind == LG_V_OPAQUE)
        return v;
    lg_value *one = type->n ? unstacked(c, type, v) : v;
    if (!one)
        return NULL;
    if (!is) {
        lg_bind(E, c->f, lg_sig_letter_key(E, type->name), one, v->at);
        return v;
    }
    lg_leaf *a, *b;
    int n = lg_v_leaves(E, is, &a), m = lg_v_leaves(E, one, &b);
    for (int i = 0; i < n || i < m; i++)
        if (i >= n || i >= m || strcmp(a[i].path, b[i].path) ||
            !same_leaf(c, a[i].value, b[i].value))
            return refuse(c, "E0205", type, v,
                          lg_txt(E, "%s stands for %s here", type->name, lg_v_type_text(E, is)));
    return v;
}

/* ---- models ---- */

static const lg_ast *model_decl(lg_elab *E, lg_frame *f, const lg_ast *type, lg_frame **env) {
    lg_sym name = type->kind == LG_A_TYPE           ? type->name
                  : type->kid[0]->kind == LG_A_NAME ? type->kid[0]->name
                                                    : NULL;
    lg_value *v = name ? lg_lookup(E, f, name, type->span) : NULL;
    if (!v || v->kind != LG_V_DECL || strcmp(v->decl.decl->text, "model"))
        return NULL;
    *env = v->decl.env;
    return v->decl.decl;
}

/* May the name stand for whatever size the argument has there? Models and other static things of
 * the file may not. */
static bool binds_size(lg_elab *E, lg_frame *f, const lg_ast *name, bool binding) {
    lg_checking c = {E, f, name->span, "", binding};
    lg_sym one[1];
    return binding && lg_sig_unknown(&c, name, one, 0, 1) &&
           (!lg_lookup_user(E, f, name->name) || (f->up && lg_lookup_dim(E, f->up, name->name)));
}

/* A model of the type, values unknown. Names of sizes that stand for nothing yet become atoms that
 * are returned in made[]: in a check of a value the caller finds what they are. */
static lg_value *model_of_type(lg_elab *E, lg_frame *f, const lg_ast *type, const lg_ast *decl,
                               lg_frame *env, bool binding, lg_named_dim *made, int *n_made) {
    LG_VEC(lg_arg) arg = {0};
    *n_made = 0;
    for (uint32_t i = 1; type->kind == LG_A_CALL && i < type->n; i++) {
        const lg_ast *e = type->kid[i]->kind == LG_A_NAMED ? type->kid[i]->kid[0] : type->kid[i];
        lg_arg a = {.name = type->kid[i]->kind == LG_A_NAMED ? type->kid[i]->name : NULL,
                    .ast = type->kid[i],
                    .at = e->span};
        lg_dim *d = e->kind == LG_A_NAME ? lg_sig_dim(E, f, e->name, binding) : NULL;
        for (int k = 0; !d && e->kind == LG_A_NAME && k < *n_made; k++)
            d = made[k].name == e->name ? made[k].dim : NULL;
        if (!d && e->kind == LG_A_NAME && *n_made < 16 && binds_size(E, f, e, binding)) {
            d = lg_dim_var(E->dims, e->name, e->span);
            made[(*n_made)++] = (lg_named_dim){e->name, d};
        }
        a.value = d ? lg_v_dim(E, d, e->span) : lg_expr_in(E, f, e);
        LG_PUSH(arg, a);
    }
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; type->kind == LG_A_TYPE && params && i < params->n; i++)
        if (!params->kid[i]->kid[2]) {
            lg_value *any = params->kid[i]->kid[0]
                                ? lg_type_placeholder(E, f, params->kid[i]->kid[0], type->span)
                                : lg_v_dim(E, lg_dim_var(E->dims, params->kid[i]->name, type->span),
                                           type->span);
            LG_PUSH(arg, ((lg_arg){NULL, any, NULL, type->span}));
        }
    lg_graph *g = E->g;
    E->g = NULL;
    lg_value *m = lg_model_make(E, decl, env, (int)arg.n, arg.at, type->span);
    E->g = g;
    lg_free(arg.at);
    return m;
}

/* Sizes that no leaf has by themselves, as N in floor(rho*N): what the model was made with. */
static bool learn_sizes(lg_checking *c, const lg_ast *type, const lg_ast *decl, lg_value *v) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    bool any = false;
    for (uint32_t i = 1, at = 0; v->kind == LG_V_MODEL && type->kind == LG_A_CALL && i < type->n;
         i++) {
        const lg_ast *k = type->kid[i], *e = k->kind == LG_A_NAMED ? k->kid[0] : k;
        lg_sym name = k->kind == LG_A_NAMED      ? k->name
                      : params && at < params->n ? params->kid[at++]->name
                                                 : NULL;
        if (!name || e->kind != LG_A_NAME || lg_sig_own(c->E, c->f, e->name) ||
            !binds_size(c->E, c->f, e, c->binding))
            continue;
        lg_value *size = lg_model_member(c->E, v, name, c->at);
        lg_dim *d = size->kind == LG_V_NUM ? lg_v_to_dim(c->E, size, c->at) : NULL;
        if (d)
            lg_sig_add(c->E, c->f, e->name, d);
        any = any || d;
    }
    return any;
}

static lg_value *model(lg_checking *c, const lg_ast *type, const lg_ast *decl, lg_frame *env,
                       lg_value *v) {
    lg_elab *E = c->E;
    if (v->kind == LG_V_MODEL && lg_model_decl(v) != decl)
        return refuse(c, "E0205", type, v,
                      lg_txt(E, "it is made from `%s`", lg_model_decl(v)->name));
    if (v->kind != LG_V_MODEL && v->kind != LG_V_RECORD)
        return refuse(c, "E0205", type, v, NULL);
    if (v->kind == LG_V_MODEL && type->kind == LG_A_TYPE)
        return v;
    lg_named_dim made[16];
    int n_made;
    lg_value *like = model_of_type(E, c->f, type, decl, env, c->binding, made, &n_made);
    if (like->kind != LG_V_MODEL)
        return like->kind == LG_V_ERROR ? like : NULL;
    lg_leaf *a, *b;
    int n = lg_v_leaves(E, like, &a), m = lg_v_leaves(E, v, &b);
    for (int i = 0; i < n || i < m; i++) {
        if (i >= n || i >= m || strcmp(a[i].path, b[i].path))
            return refuse(
                c, "E0312", type, v,
                lg_txt(E, "`%s` stands in only one of them", i < n ? a[i].path : b[i].path));
        lg_value *want = a[i].value, *got = b[i].value;
        if (want->kind != LG_V_TENSOR || got->kind != LG_V_TENSOR)
            continue;
        bool ok = want->t.rank == got->t.rank;
        for (int k = 0; ok && k < want->t.rank; k++) {
            lg_dim *d = want->t.dim[k];
            for (int j = 0; j < n_made; j++)
                if (made[j].dim == d && !lg_sig_own(E, c->f, made[j].name))
                    lg_sig_add(c->E, c->f, made[j].name, got->t.dim[k]);
            for (int j = 0; j < n_made; j++) {
                const lg_dim *from = made[j].dim, *to = lg_sig_own(E, c->f, made[j].name);
                if (to)
                    d = lg_dim_subst(E->dims, d, 1, &from, &to);
            }
            ok = type->kind == LG_A_TYPE || same_dim(c, d, got->t.dim[k]);
        }
        if (!ok && learn_sizes(c, type, decl, v))
            return model(c, type, decl, env, v);
        if (!ok)
            return refuse(c, "E0203", type, v,
                          lg_txt(E, "`%s` is %s", b[i].path, lg_v_type_text(E, got)));
    }
    return v;
}

/* ---- functions and other static things ---- */

static bool kind_word(const char *word, const lg_value *v, bool *is_word) {
    static const struct {
        const char *word;
        lg_vkind kind, other;
    } rows[] = {{"str", LG_V_STR, LG_V_STR},
                {"model", LG_V_MODEL, LG_V_DECL},
                {"optimizer", LG_V_RULE, LG_V_DECL},
                {"quantizer", LG_V_QUANT, LG_V_DECL},
                {"data", LG_V_DATA, LG_V_DECL},
                {"schedule", LG_V_FN, LG_V_NUM},
                {"selector", LG_V_SELECTOR, LG_V_SELECTOR},
                {"loss", LG_V_FN, LG_V_FN},
                {"list", LG_V_LIST, LG_V_RANGE},
                {"record", LG_V_RECORD, LG_V_MODEL},
                {"dtype", LG_V_DTYPE, LG_V_DTYPE}};
    for (size_t i = 0; i < LG_COUNT(rows); i++)
        if (!strcmp(rows[i].word, word)) {
            *is_word = true;
            return v &&
                   (v->kind == rows[i].kind || v->kind == rows[i].other || v->kind == LG_V_HOST) &&
                   (v->kind != LG_V_DECL || !strcmp(v->decl.decl->text, word));
        }
    *is_word = false;
    return false;
}

/* Does an argument type name a letter that stands for nothing yet? The letter gets its meaning
 * later (of an optimizer: from what it is applied to), and so do the function's types. */
/* An optimizer by its name alone is the one with the defaults. */
static lg_value *made_rule(lg_checking *c, lg_value *v) {
    if (v->kind != LG_V_DECL || strcmp(v->decl.decl->text, "optimizer") != 0)
        return v;
    lg_value *r = lg_rule_make(c->E, v->decl.decl, v->decl.env, 0, NULL, c->at);
    return r->kind == LG_V_ERROR ? NULL : r;
}

static bool waits_for_letter(lg_checking *c, const lg_ast *type) {
    for (uint32_t i = 0; i + 1 < type->n; i++) {
        const lg_ast *t = type->kid[i];
        if (t->kind == LG_A_TYPE && is_letter(c->E, c->f, t) && !lg_sig_letter(c->E, c->f, t->name))
            return true;
    }
    return false;
}

/* In check mode a function that is passed is tried on values of the types it will be called with;
 * where its result gives a size its name, that also happens in a run. */
static lg_value *function(lg_checking *c, const lg_ast *type, lg_value *v) {
    lg_elab *E = c->E;
    bool callable = v->kind == LG_V_FN || v->kind == LG_V_BUILTIN || v->kind == LG_V_MODEL ||
                    v->kind == LG_V_DTYPE || v->kind == LG_V_QUANT;
    if (!callable)
        return refuse(c, "E0205", type, v, NULL);
    if (v->kind != LG_V_FN)
        return v;
    lg_value *r = lg_v_copy(E, v);
    r->fn.type = type;
    r->fn.type_env = c->f;
    lg_sym open[4];
    const lg_ast *result = type->kid[type->n - 1];
    bool sizes = false;
    for (uint32_t i = 0; result->kind == LG_A_TYPE && i < result->n && c->binding; i++)
        sizes =
            sizes || (!is_pack(result->kid[i]) && lg_sig_unknown(c, result->kid[i], open, 0, 4));
    if ((!LG_CHECKING(E) && !sizes) || waits_for_letter(c, type))
        return r;
    lg_graph *g = E->g;
    E->g = NULL;
    int n = (int)type->n - 1;
    lg_arg *arg = LG_NEW_N(E->arena, lg_arg, n ? n : 1);
    size_t known = c->f->packs.n;
    for (int i = 0; i < n; i++) {
        arg[i].value = lg_type_placeholder(E, c->f, type->kid[i], v->at);
        arg[i].at = v->at;
    }
    size_t own = c->f->packs.n - known; /* packs that only the function's arguments have */
    lg_value *bare = lg_v_copy(E, v);
    lg_frame *was = E->frame;
    E->frame = c->f->caller ? c->f : was;
    lg_value *y = lg_call_value(E, bare, n, arg, v->at);
    E->frame = was;
    if (y->kind != LG_V_ERROR) {
        lg_checking inner = *c;
        inner.at = v->at;
        inner.what = "the result of this function";
        if (!lg_type_check(E, c->f, result, y, v->at, inner.what, c->binding))
            r = NULL;
    }
    c->f->packs.n -= own;
    for (size_t i = known; i < c->f->packs.n; i++)
        c->f->packs.at[i] = c->f->packs.at[i + own];
    E->g = g;
    return r;
}

static lg_value *record(lg_checking *c, const lg_ast *type, lg_value *v) {
    lg_elab *E = c->E;
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    if (v->kind != LG_V_RECORD)
        return refuse(c, "E0205", type, v, NULL);
    lg_value *r = lg_v_record(E, 0, v->at);
    for (uint32_t i = 0; i < type->n; i++) {
        const lg_ast *k = type->kid[i];
        lg_value *x = lg_v_field(v, k->name);
        if (!x)
            return refuse(c, "E0313", type, v, lg_txt(E, "the field `%s` is missing", k->name));
        x = lg_type_check(E, c->f, k->kid[0], x, c->at, lg_txt(E, "`%s` of %s", k->name, c->what),
                          c->binding);
        if (!x)
            return NULL;
        lg_v_set_field(E, r, k->name, x);
    }
    for (int i = 0; i < v->rec.n; i++)
        if (!lg_v_field(r, v->rec.f[i].name))
            return refuse(c, "E0313", type, v,
                          lg_txt(E, "the type has no field `%s`", v->rec.f[i].name));
    return r;
}

/* ---- the two entries ---- */

static lg_value *unknown_type(lg_elab *E, const lg_ast *type) {
    const char *name = type->kind == LG_A_TYPE ? type->name : lg_ast_text(E->arena, type);
    lg_diag *d = lg_err(E, "E0303", type->span, "there is no type `%s`", name);
    static const char *const names[] = {"float", "f32",       "f64",   "bf16",    "f16",
                                        "i64",   "i32",       "i8",    "u8",      "bool",
                                        "str",   "optimizer", "model", "selector"};
    const char *near = lg_nearest(name, names, LG_COUNT(names));
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    return NULL;
}

lg_value *lg_type_check(lg_elab *E, lg_frame *f, const lg_ast *type, lg_value *v, lg_span at,
                        const char *what, bool binding) {
    lg_checking c = {E, f, at, what, binding};
    if (v->kind == LG_V_ERROR) {
        for (int i = 0; i < v->list.n; i++) /* one of several: each must fit */
            if (!lg_type_check(E, f, type, v->list.at[i], v->list.at[i]->at, what, binding))
                return NULL;
        return v;
    }
    if (type->kind == LG_A_FNTYPE)
        return function(&c, type, v);
    if (type->kind == LG_A_RECTYPE)
        return record(&c, type, v);
    if (type->kind == LG_A_ERROR)
        return lg_v_error(E, at);
    if (type->kind == LG_A_TYPE) {
        if (!strcmp(type->name, "float") || lg_dtype_from_name(type->name) != LG_NO_DTYPE)
            return tensor(&c, type, v);
        if (is_letter(E, f, type))
            return letter(&c, type, v);
        bool is_word;
        if (kind_word(type->name, v, &is_word))
            return made_rule(&c, v);
        if (is_word)
            return refuse(&c, "E0205", type, v, NULL);
    }
    lg_frame *env;
    const lg_ast *decl =
        type->kind == LG_A_TYPE || type->kind == LG_A_CALL ? model_decl(E, f, type, &env) : NULL;
    return decl ? model(&c, type, decl, env, v) : unknown_type(E, type);
}

size_t lg_type_own_packs(lg_elab *E, lg_frame *f, const lg_ast *type, int n, const lg_arg *arg) {
    (void)E;
    size_t before = f->packs.n;
    for (int i = 0; i < n && i < (int)type->n - 1; i++) {
        const lg_ast *t = type->kid[i];
        lg_value *v = arg[i].value;
        int pack = t->kind == LG_A_TYPE && v->kind == LG_V_TENSOR ? pack_at(t) : -1;
        if (pack < 0 || t->kid[pack]->kind != LG_A_PACK || v->t.rank < (int)t->n - 1 ||
            pack_named(f, t->kid[pack]->name))
            continue;
        lg_pack p = {t->kid[pack]->name, v->t.rank - ((int)t->n - 1), v->t.dim + pack};
        LG_ARENA_PUSH(f->arena, f->packs, p);
    }
    return before;
}

/* A list of numbers as the tensor it will be: for its dims. */
static lg_value *shape_of_list(lg_elab *E, const lg_value *v) {
    lg_dim *dim[LG_MAX_RANK];
    int rank = 0;
    for (const lg_value *x = v; x->kind == LG_V_LIST && rank < LG_MAX_RANK; x = x->list.at[0]) {
        dim[rank++] = lg_dim_num(E->dims, x->list.n);
        if (!x->list.n)
            break;
    }
    lg_value *r = lg_v_tensor(E, E->float_dtype, rank, dim, NULL, v->at);
    r->t.weak = true;
    return r;
}

/* What the argument says at first sight: bare names, packs, and the dtype that `float` is. */
void lg_type_prebind(lg_elab *E, lg_frame *f, const lg_ast *type, lg_value *v) {
    lg_checking c = {E, f, v->at, "", true};
    if (v->kind == LG_V_LIST && lg_list_is_array(v))
        v = shape_of_list(E, v);
    if (type->kind == LG_A_RECTYPE && v->kind == LG_V_RECORD)
        for (uint32_t i = 0; i < type->n; i++) {
            lg_value *x = lg_v_field(v, type->kid[i]->name);
            if (x)
                lg_type_prebind(E, f, type->kid[i]->kid[0], x);
        }
    if (type->kind != LG_A_TYPE || v->kind != LG_V_TENSOR)
        return;
    bool is_float = !strcmp(type->name, "float");
    if (!is_float && lg_dtype_from_name(type->name) == LG_NO_DTYPE)
        return;
    if (is_float && !f->float_bound && lg_dtype_is_float(v->t.dtype) && !v->t.weak) {
        f->float_dtype = v->t.dtype;
        f->float_bound = true;
    }
    int n = (int)type->n, rank = v->t.rank, pack = pack_at(type);
    bool packed = pack >= 0;
    if (packed ? rank < n - 1 : rank != n)
        return;
    int lead = packed ? rank - (n - 1) : 0;
    if (packed && type->kid[pack]->kind == LG_A_PACK && !pack_named(f, type->kid[pack]->name))
        bind_pack(&c, type->kid[pack]->name, lead, v->t.dim + pack, type->kid[pack]->span);
    for (int i = 0; i < rank; i++) {
        if (packed && i >= pack && i < pack + lead)
            continue;
        const lg_ast *e = type->kid[packed && i >= pack ? i - lead + 1 : i];
        if (e->kind == LG_A_NAME && !lg_sig_dim(E, f, e->name, true))
            bind_dim(&c, e->name, v->t.dim[i], e->span);
    }
}

static lg_value *any_tensor(lg_checking *c, const lg_ast *type) {
    lg_elab *E = c->E;
    lg_dtype t = lg_type_dtype(E, c->f, type);
    lg_dim *dim[LG_MAX_RANK];
    int rank = 0;
    for (uint32_t i = 0; i < type->n && rank < LG_MAX_RANK; i++) {
        const lg_ast *e = type->kid[i];
        if (!is_pack(e)) {
            dim[rank++] = rigid_dim(c, e);
            continue;
        }
        lg_pack *p = e->kind == LG_A_PACK ? pack_named(c->f, e->name) : NULL;
        if (!p) {
            lg_dim *one = lg_dim_var(
                E->dims, lg_txt(E, "...%s", e->kind == LG_A_PACK ? e->name : ""), e->span);
            lg_pack made = {e->name, 1, lg_arena_dup(E->arena, &one, sizeof one)};
            LG_ARENA_PUSH(c->f->arena, c->f->packs, made);
            p = &c->f->packs.at[c->f->packs.n - 1];
        }
        for (int k = 0; k < p->n && rank < LG_MAX_RANK; k++)
            dim[rank++] = p->dim[k];
    }
    lg_value *v = lg_v_tensor(E, t, rank, dim, NULL, c->at);
    return v;
}

/* R[S] when R is known. */
static lg_value *stack_of(lg_checking *c, const lg_ast *type, lg_value *is) {
    lg_elab *E = c->E;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, is, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        lg_value *x = leaf[i].value;
        lg_dim *dim[LG_MAX_RANK];
        int rank = 0;
        for (uint32_t k = 0; k < type->n && rank < LG_MAX_RANK; k++)
            dim[rank++] = rigid_dim(c, type->kid[k]);
        bool tensor = x->kind == LG_V_TENSOR;
        for (int k = 0; tensor && k < x->t.rank && rank < LG_MAX_RANK; k++)
            dim[rank++] = x->t.dim[k];
        out[i] = lg_v_tensor(E, tensor ? x->t.dtype : c->f->float_dtype, rank, dim, NULL, c->at);
    }
    return lg_v_rebuild(E, is, out);
}

/* R[S] when R is not. */
static lg_value *opaque_stack(lg_checking *c, const lg_ast *type, const lg_value *is) {
    lg_dim *dim[LG_MAX_RANK];
    int n = 0;
    for (uint32_t i = 0; i < type->n && n < LG_MAX_RANK; i++)
        if (!is_pack(type->kid[i]))
            dim[n++] = rigid_dim(c, type->kid[i]);
    return lg_v_stacked(c->E, is, pack_at(type) < 0 ? n : -1, dim, c->at);
}

static lg_value *placeholder(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at,
                             bool binding) {
    lg_checking c = {E, f, at, "", binding};
    if (type->kind == LG_A_FNTYPE) {
        lg_value *v = lg_v_new(E, LG_V_FN, at);
        v->fn.decl = type;
        v->fn.env = f;
        return v;
    }
    if (type->kind == LG_A_RECTYPE) {
        lg_value *v = lg_v_record(E, 0, at);
        for (uint32_t i = 0; i < type->n; i++)
            lg_v_set_field(E, v, type->kid[i]->name,
                           placeholder(E, f, type->kid[i]->kid[0], at, binding));
        return v;
    }
    if (type->kind == LG_A_TYPE) {
        if (!strcmp(type->name, "float") || lg_dtype_from_name(type->name) != LG_NO_DTYPE)
            return any_tensor(&c, type);
        if (is_letter(E, f, type)) {
            lg_value *is = lg_sig_letter(E, f, type->name);
            if (!is) {
                is = lg_v_new(E, LG_V_OPAQUE, at);
                is->opaque.name = type->name;
                is->opaque.arena = E->arena;
                is->opaque.shape = is;
                lg_bind(E, f, lg_sig_letter_key(E, type->name), is, at);
            }
            return is->kind == LG_V_OPAQUE ? opaque_stack(&c, type, is)
                   : type->n               ? stack_of(&c, type, is)
                                           : lg_v_copy(E, is);
        }
        bool is_word;
        kind_word(type->name, NULL, &is_word);
        if (is_word)
            return strcmp(type->name, "str") ? lg_v_error(E, at) : lg_v_str(E, NULL, at);
    }
    lg_frame *env;
    const lg_ast *decl =
        type->kind == LG_A_TYPE || type->kind == LG_A_CALL ? model_decl(E, f, type, &env) : NULL;
    if (!decl) {
        unknown_type(E, type);
        return lg_v_error(E, at);
    }
    lg_named_dim made[16];
    int n_made;
    if (type->kind ==
        LG_A_CALL) /* sizes named here are dims of f, so that other types may use them */
        for (uint32_t i = 1; i < type->n; i++)
            if (type->kid[i]->kind == LG_A_NAME)
                rigid_dim(&c, type->kid[i]);
    return model_of_type(E, f, type, decl, env, binding, made, &n_made);
}

lg_value *lg_type_placeholder(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at) {
    return placeholder(E, f, type, at, true);
}

lg_value *lg_type_result(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at) {
    return placeholder(E, f, type, at, false);
}
