/* rule.c: optimizers: the rule value, where its hidden state stands, and its application to a
 * tensor leaf by leaf or to a whole record. Not for which parameters a train gives to which rule.
 */
#include "compiler/mid/model.h"
#include <string.h>

/* What a rule value is. Declarations of one name are tried in order; each has its own frame of
 * hyperparameters. */
typedef struct {
    const lg_ast *decl;
    lg_frame *env;
} variant;

typedef struct {
    variant *all;
    int n;
    bool fresh;
    lg_span at; /* where it was made */
    /* the latest application, for members read afterwards */
    const char *prefix, *leaf;
    lg_value *like;
    const variant *used; /* of a whole record or the first leaf */
    lg_store *lent;      /* where members are read if nothing may be applied here */
} rule;

/* What an optimizer feeds: places of one target are numbered in the order of the text. */
typedef struct lg_place {
    lg_sym target;
    const rule *what;
    int number;
    struct lg_place *next;
} lg_place;

/* The application that is going on: what is applied inside stands under it. */
typedef struct lg_applying {
    const char *prefix, *leaf;
    lg_frame *frame;
    int depth;
} lg_applying;

enum { MOST_NESTED = 24 };

/* ---- making ---- */

static bool is_decl(const lg_ast *s, const char *w) {
    return s->kind == LG_A_DECL && s->text && !strcmp(s->text, w);
}

static lg_frame *hyper_frame(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_span at) {
    lg_frame *f = lg_frame_new(E, LG_F_RULE, env);
    f->decl = decl;
    f->call_at = at;
    return f;
}

lg_value *lg_rule_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                       lg_span at) {
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    const lg_ast *tree = env->module ? env->module->tree : NULL;
    rule *r = LG_NEW(E->arena, rule);
    r->at = at;
    r->all = LG_NEW_N(E->arena, variant, tree ? tree->n + 1 : 1);
    lg_frame *f = hyper_frame(E, decl, env, at);
    if (!lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at, decl->name))
        return lg_v_error(E, at);
    r->all[r->n++] = (variant){decl, f};
    for (uint32_t i = 0; tree && i < tree->n; i++) {
        const lg_ast *s = tree->kid[i];
        if (s == decl || !is_decl(s, "optimizer") || s->name != decl->name)
            continue;
        f = hyper_frame(E, s, env, at);
        if (!lg_bind_params(E, f, s->kid[LG_D_PARAMS], n, arg, at, s->name))
            return lg_v_error(E, at);
        r->all[r->n++] = (variant){s, f};
    }
    lg_value *v = lg_v_new(E, LG_V_RULE, at);
    v->rule.decl = decl;
    v->rule.env = r->all[0].env;
    v->rule.ident = r;
    return v;
}

lg_value *lg_rule_fresh(lg_elab *E, lg_value *v) {
    rule *r = lg_arena_dup(E->arena, v->rule.ident, sizeof *r);
    r->fresh = true;
    lg_value *f = lg_v_copy(E, v);
    f->rule.ident = r;
    return f;
}

/* ---- which declaration, and leaf by leaf or not ---- */

static const lg_ast *for_type(const variant *v) {
    const lg_ast *p = v->decl->kid[LG_D_FOR];
    return p ? p->kid[0] : NULL;
}

static bool is_letter(const lg_ast *type) {
    return type && type->kind == LG_A_TYPE && type->name[0] >= 'A' && type->name[0] <= 'Z' &&
           !type->name[1];
}

static bool holds_rule(const variant *v) {
    for (const lg_binding *b = v->env->names; b; b = b->next) {
        if (b->value && b->value->kind == LG_V_RULE)
            return true;
        const lg_ast *type = b->stmt && b->stmt->kind == LG_A_PARAM ? b->stmt->kid[0] : NULL;
        if (type && type->kind == LG_A_TYPE && !strcmp(type->name, "optimizer"))
            return true;
    }
    return false;
}

static bool takes_record(const variant *v) {
    const lg_ast *type = for_type(v);
    return type ? is_letter(type) : holds_rule(v);
}

/* A frame for one run of the body: hyperparameters at this step, then p. NULL: p does not fit. */
static lg_frame *body_frame(lg_elab *E, const variant *v, lg_value **p, bool loud, lg_span at) {
    lg_frame *f = lg_frame_new(E, LG_F_RULE, v->env->up);
    f->decl = v->decl;
    f->call_at = at;
    f->hyper = v->env;
    f->path_hash = lg_hash(v->decl->name, strlen(v->decl->name), f->path_hash);
    lg_leaf *leaf;
    if ((*p)->kind == LG_V_TENSOR)
        f->float_dtype = (*p)->t.dtype;
    else if ((*p)->kind != LG_V_OPAQUE && lg_v_leaves(E, *p, &leaf) &&
             leaf[0].value->kind == LG_V_TENSOR)
        f->float_dtype = leaf[0].value->t.dtype;
    v->env->float_dtype = f->float_dtype; /* what functions among the hyperparameters give */
    for (size_t i = 0; i < v->env->dims.n; i++)
        lg_frame_add_dim(E, f, v->env->dims.at[i].name, v->env->dims.at[i].dim);
    for (const lg_binding *b = v->env->names; b; b = b->next)
        lg_bind(E, f, b->name, b->value ? lg_schedule_now(E, b->value) : lg_v_error(E, b->at),
                b->at);
    const lg_ast *type = for_type(v);
    if (!type || is_letter(type))
        return f;
    if (!loud)
        E->diags->muted++;
    lg_value *seen = lg_type_check(E, f, type, *p, at, "p", true);
    if (!loud)
        E->diags->muted--;
    if (!seen)
        return NULL;
    *p = seen;
    return f;
}

static lg_value *does_not_fit(lg_elab *E, const rule *r, const lg_value *p, const char *path,
                              lg_span at) {
    lg_diag *d =
        lg_err(E, "E0452", at, "optimizer `%s` does not take %s%s%s%s", r->all[0].decl->name,
               *path ? "`" : "", path, *path ? "`, which is " : "", lg_v_type_text(E, p));
    for (int i = 0; i < r->n; i++)
        if (for_type(&r->all[i]))
            lg_diag_note(d, "it takes p: %s", lg_ast_text(E->arena, for_type(&r->all[i])));
    lg_diag_help(d, "give such parameters another rule: optimizer `...` = ...");
    return lg_v_error(E, at);
}

/* ---- hidden state ---- */

static const char *under(lg_elab *E, const char *prefix, const char *name, const char *leaf) {
    return *leaf ? *leaf == '[' ? lg_txt(E, "%s.%s%s", prefix, name, leaf)
                                : lg_txt(E, "%s.%s.%s", prefix, name, leaf)
                 : lg_txt(E, "%s.%s", prefix, name);
}

static const char *joined(lg_elab *E, const char *a, const char *b) {
    return !*a ? b : !*b ? a : *b == '[' ? lg_txt(E, "%s%s", a, b) : lg_txt(E, "%s.%s", a, b);
}

/* The name under which a rule is known where it is applied. */
static const char *known_as(const lg_frame *f, const rule *r) {
    for (const lg_binding *b = f->names; b; b = b->next)
        if (b->value && b->value->kind == LG_V_RULE && b->value->rule.ident == r)
            return b->name;
    return r->all[0].decl->name;
}

static bool same_text(const rule *a, const rule *b) {
    return a->all[0].decl == b->all[0].decl && a->at.file == b->at.file && a->at.beg == b->at.beg;
}

static const char *place_of(lg_elab *E, const rule *r) {
    if (E->applying)
        return lg_txt(E, "%s.%s", E->applying->prefix, known_as(E->applying->frame, r));
    lg_sym target = E->target ? E->target : lg_intern("update");
    int count = 0;
    lg_place *hit = NULL;
    for (lg_place *p = E->store ? E->store->places : NULL; p; p = p->next)
        if (p->target == target) {
            count++;
            if (p->what == r || (E->store->by_text && same_text(p->what, r)))
                hit = p;
        }
    if (!hit && E->store) {
        hit = LG_NEW(E->arena, lg_place);
        *hit = (lg_place){target, r, count + 1, E->store->places};
        E->store->places = hit;
    }
    int number = hit ? hit->number : 1;
    return number == 1 ? lg_txt(E, "%s.optimizer", target)
                       : lg_txt(E, "%s.optimizer%d", target, number);
}

typedef struct {
    const rule *r;
    const char *prefix, *leaf;
    lg_value *t;
    unsigned draws; /* tells the random draws of this application from others of the rule */
    lg_span at;
} run;

static lg_value *stored(lg_elab *E, const run *k, lg_sym name, lg_value *init) {
    if (k->r->fresh || !E->store)
        return init;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, init, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = leaf[i].value;
        if (out[i]->kind == LG_V_TENSOR)
            out[i] = lg_retyped(
                E, out[i],
                E->store->get(E->store, E,
                              under(E, k->prefix, name, joined(E, k->leaf, leaf[i].path)), out[i]));
    }
    return n == 1 && init->kind == LG_V_TENSOR ? out[0] : lg_v_rebuild(E, init, out);
}

/* The next value must be of the type of the old one: what is wrong is said about `name`. */
static bool same_type(lg_elab *E, const lg_value *was, lg_value **next, const char *name,
                      lg_span at) {
    lg_value *v = *next;
    if (v->kind == LG_V_NUM && was->kind == LG_V_TENSOR) {
        lg_value *z = lg_fill(E, was->t.dtype, was->t.rank, was->t.dim, 0, at);
        v = lg_binary(E, "+", z, v, at);
    }
    if (v->kind == LG_V_TENSOR && was->kind == LG_V_TENSOR && v->t.weak &&
        v->t.dtype != was->t.dtype && v->t.dtype != LG_BOOL)
        v = lg_cast(E, v, was->t.dtype, at);
    /* a setting or a number fills; a scalar that was computed is most likely a sum too many */
    if (v->kind == LG_V_TENSOR && was->kind == LG_V_TENSOR && !v->t.rank && was->t.rank &&
        v->t.dtype == was->t.dtype && v->t.weak) {
        lg_value *z = lg_fill(E, was->t.dtype, was->t.rank, was->t.dim, 0, at);
        v = lg_binary(E, "+", z, v, at);
    }
    *next = v;
    if (v->kind == LG_V_ERROR || was->kind != LG_V_TENSOR)
        return v->kind != LG_V_ERROR;
    bool fits = v->kind == LG_V_TENSOR && v->t.rank == was->t.rank && v->t.dtype == was->t.dtype;
    for (int d = 0; fits && d < was->t.rank; d++)
        fits = lg_dims_match(v->t.dim[d], was->t.dim[d]);
    if (!fits)
        lg_err(E, "E0427", at, "%s is %s and its next value %s", name, lg_v_type_text(E, was),
               lg_v_type_text(E, v));
    return fits;
}

static lg_value *checked_next(lg_elab *E, lg_value *was, lg_value *next, const char *name,
                              lg_span at) {
    if (next->kind == LG_V_ERROR || was->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    next = lg_arrayed(E, next, at);
    if (was->kind == LG_V_OPAQUE || next->kind == LG_V_OPAQUE)
        return was;
    lg_leaf *a, *b;
    int n = lg_v_leaves(E, was, &a), m = lg_v_leaves(E, next, &b);
    bool paths = n == m;
    for (int i = 0; paths && i < n; i++)
        paths = !strcmp(a[i].path, b[i].path);
    if (!paths) {
        lg_err(E, "E0427", at, "%s is %s and its next value %s", name, lg_v_type_text(E, was),
               lg_v_type_text(E, next));
        return lg_v_error(E, at);
    }
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = b[i].value;
        if (!same_type(E, a[i].value, &out[i], name, at))
            return lg_v_error(E, at);
    }
    return was->kind == LG_V_TENSOR ? out[0] : lg_v_rebuild(E, was, out);
}

static void keep(lg_elab *E, const run *k, lg_sym name, lg_value *next) {
    lg_leaf *leaf;
    if (k->r->fresh || !E->store || next->kind == LG_V_ERROR)
        return;
    int n = lg_v_leaves(E, next, &leaf);
    for (int i = 0; i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR)
            E->store->set(E->store, E, under(E, k->prefix, name, joined(E, k->leaf, leaf[i].path)),
                          leaf[i].value);
}

/* ---- one run of a body ---- */

/* The statements of a body without the states, which are bound beforehand. */
static const lg_ast *without_states(lg_elab *E, const lg_ast *block) {
    lg_ast *b = lg_ast_new(E->arena, LG_A_BLOCK, block->span, 0);
    for (uint32_t i = 0; i < block->n; i++)
        if (!is_decl(block->kid[i], "state"))
            lg_ast_add(E->arena, b, block->kid[i]);
    return b;
}

typedef struct {
    lg_sym name;
    lg_value *now;
} held;

static int bind_states(lg_elab *E, const run *k, lg_frame *f, const lg_ast *block, held *state) {
    int n = 0;
    for (uint32_t i = 0; i < block->n; i++) {
        const lg_ast *s = block->kid[i];
        if (!is_decl(s, "state") || !s->name || lg_guarded_out(E, f, s))
            continue;
        lg_refuse_given(E, f, s->name, s->name_span.file ? s->name_span : s->span);
        lg_value *init = lg_initial(E, f, s);
        lg_value *now = init->kind == LG_V_ERROR ? init : stored(E, k, s->name, init);
        lg_bind(E, f, s->name, now, s->name_span.file ? s->name_span : s->span);
        state[n++] = (held){s->name, now};
    }
    return n;
}

static void keep_states(lg_elab *E, const run *k, lg_frame *f, const held *state, int n) {
    for (int i = 0; i < n; i++) {
        lg_binding *b = lg_find_local(f, state[i].name, true);
        if (!b)
            continue;
        lg_value *next = lg_force(E, f, b, b->at);
        keep(E, k, state[i].name,
             checked_next(E, state[i].now, next, lg_txt(E, "state `%s`", state[i].name), b->at));
    }
}

/* Said before anything reads them. */
static void only_states_are_primed(lg_elab *E, const lg_frame *f, const variant *v) {
    const lg_ast *block = v->decl->kid[LG_D_BLOCK];
    const char **names = LG_NEW_N(E->arena, const char *, block->n + 1);
    size_t n = 0;
    for (uint32_t i = 0; i < block->n; i++)
        if (is_decl(block->kid[i], "state") && block->kid[i]->name)
            names[n++] = block->kid[i]->name;
    for (const lg_binding *b = f->names; b; b = b->next) {
        bool known = !b->prime || !strcmp(b->name, "p");
        for (size_t i = 0; !known && i < n; i++)
            known = names[i] == b->name;
        if (known)
            continue;
        lg_diag *d = lg_err(E, "E0422", b->at, "`%s` is not a state of optimizer `%s`", b->name,
                            v->decl->name);
        const char *near = lg_nearest(b->name, names, n);
        if (near)
            lg_diag_help(d, "did you mean `%s'`?", near);
        else
            lg_diag_help(d, "declare it, `state %s = zeros(like=p)`, or write `let`", b->name);
    }
}

static const lg_ast *returned(const lg_ast *block) {
    for (uint32_t i = 0; i < block->n; i++)
        if (block->kid[i]->kind == LG_A_RETURN)
            return block->kid[i];
    return NULL;
}

/* The next p, in the dims of the caller. */
static lg_value *run_body(lg_elab *E, run *k, const variant *v, lg_frame *f, lg_value *p,
                          lg_value *g) {
    const lg_ast *block = v->decl->kid[LG_D_BLOCK];
    lg_sym pn = lg_intern("p");
    if (!block) {
        lg_err(E, "E0450", v->decl->span, "optimizer `%s` has no body", v->decl->name);
        return lg_v_error(E, k->at);
    }
    lg_bind(E, f, pn, p, k->at);
    if (v->decl->kid[LG_D_FOR] && v->decl->kid[LG_D_FOR]->name != pn)
        lg_bind(E, f, v->decl->kid[LG_D_FOR]->name, p, k->at);
    lg_bind(E, f, lg_intern("g"), g, k->at);
    lg_bind(E, f, lg_intern("t"), k->t, k->at);
    lg_applying inner = {k->prefix, k->leaf, f, 1}, *was_applying = E->applying;
    if (was_applying)
        inner.depth = was_applying->depth + 1;
    lg_frame *was = E->frame;
    E->applying = &inner;
    E->frame = f;
    held *state = LG_NEW_N(E->arena, held, block->n ? block->n : 1);
    int n = bind_states(E, k, f, block, state);
    const lg_ast *body = without_states(E, block);
    lg_block_declare(E, f, body);
    only_states_are_primed(E, f, v);
    if (LG_CHECKING(E)) /* a next value of another type is the cause of what its uses say */
        keep_states(E, k, f, state, n);
    lg_block(E, f, body);
    if (f->result && f->result->kind == LG_V_ERROR) { /* it broke a contract */
        E->frame = was;
        E->applying = was_applying;
        return f->result;
    }
    keep_states(E, k, f, state, n);
    lg_binding *next = lg_find_local(f, pn, true);
    lg_value *r = next ? checked_next(E, p, lg_force(E, f, next, next->at), "p", next->at) : NULL;
    E->frame = was;
    E->applying = was_applying;
    if (!r) {
        const lg_ast *back = returned(block);
        lg_diag *d = lg_err(E, "E0450", back ? back->span : v->decl->name_span,
                            "optimizer `%s` does not say what p' is", v->decl->name);
        lg_diag_help(d, "write `p' = ...`");
        return lg_v_error(E, k->at);
    }
    return lg_value_seen_from(E, E->frame, r);
}

/* ---- application ---- */

static lg_value *apply_one(lg_elab *E, rule *r, run *k, const char *path, lg_value *p,
                           lg_value *g) {
    for (int i = 0; i < r->n; i++) {
        const variant *v = &r->all[i];
        if (lg_v_is_vector(p) && p->kind != LG_V_OPAQUE && !takes_record(v))
            continue;
        lg_value *seen = p;
        lg_frame *f = body_frame(E, v, &seen, false, k->at);
        if (!f)
            continue;
        f->path_hash = lg_hash(k->leaf, strlen(k->leaf), lg_hash_mix(f->path_hash, k->draws));
        if (!r->used)
            r->used = v;
        lg_value *gs = seen->kind == LG_V_TENSOR ? lg_retyped(E, seen, g) : g;
        lg_value *next = run_body(E, k, v, f, seen, gs);
        return next->kind == LG_V_TENSOR && p->kind == LG_V_TENSOR ? lg_retyped(E, p, next) : next;
    }
    if (p->kind == LG_V_OPAQUE) /* some R: whether it fits is seen where it is known */
        return p;
    return does_not_fit(E, r, p, path, k->at);
}

static bool same_paths(lg_elab *E, int n, const lg_leaf *p, const lg_value *g, lg_leaf **out,
                       lg_span at) {
    int m = lg_v_leaves(E, g, out);
    for (int i = 0; i < n || i < m; i++)
        if (i >= n || i >= m || strcmp(p[i].path, (*out)[i].path)) {
            lg_err(E, "E0312", at,
                   "parameters and gradient have different paths: `%s` stands in only one of them",
                   i < n ? p[i].path : (*out)[i].path);
            return false;
        }
    return true;
}

static lg_value *apply_leaves(lg_elab *E, rule *r, run *k, lg_value *p, lg_value *g) {
    lg_leaf *pl, *gl;
    int n = lg_v_leaves(E, p, &pl);
    if (g->kind == LG_V_OPAQUE || !same_paths(E, n, pl, g, &gl, k->at))
        return g->kind == LG_V_OPAQUE ? p : lg_v_error(E, k->at);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    const char *outer = k->leaf;
    for (int i = 0; i < n; i++) {
        k->leaf = joined(E, outer, pl[i].path);
        bool float_leaf =
            pl[i].value->kind == LG_V_TENSOR && lg_dtype_is_float(pl[i].value->t.dtype);
        out[i] =
            float_leaf ? apply_one(E, r, k, pl[i].path, pl[i].value, gl[i].value) : pl[i].value;
        if (out[i]->kind == LG_V_ERROR)
            return out[i];
    }
    k->leaf = outer;
    return lg_v_rebuild(E, p, out);
}

static bool gradient_fits(lg_elab *E, lg_value *p, lg_value *g, lg_span at) {
    bool ok = p->kind == LG_V_OPAQUE || g->kind == LG_V_OPAQUE || p->kind != LG_V_TENSOR ||
              (g->kind == LG_V_TENSOR && g->t.rank == p->t.rank && g->t.dtype == p->t.dtype);
    for (int d = 0; ok && p->kind == LG_V_TENSOR && g->kind == LG_V_TENSOR && d < p->t.rank; d++)
        ok = lg_dims_match(p->t.dim[d], g->t.dim[d]);
    if (!ok)
        lg_err(E, "E0452", at, "the gradient is %s and the parameter %s", lg_v_type_text(E, g),
               lg_v_type_text(E, p));
    return ok;
}

static lg_value *no_memory(lg_store *s, lg_elab *E, const char *path, lg_value *init);
static void forget(lg_store *s, lg_elab *E, const char *path, lg_value *next);

lg_value *lg_rule_apply(lg_elab *E, lg_value *value, lg_value *p, lg_value *g, lg_span at) {
    rule *r = value->rule.ident;
    if (p->kind == LG_V_ERROR || g->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    p = p->kind == LG_V_MODEL ? lg_model_record(E, p) : lg_arrayed(E, p, at);
    g = g->kind == LG_V_MODEL ? lg_model_record(E, g) : lg_arrayed(E, g, at);
    if (p->kind == LG_V_NUM)
        p = lg_to_tensor(E, p, LG_NO_DTYPE, at);
    if (g->kind == LG_V_NUM)
        g = lg_to_tensor(E, g, p->kind == LG_V_TENSOR ? p->t.dtype : LG_NO_DTYPE, at);
    if (!E->store && !r->fresh) {
        lg_diag *d = lg_err(E, "E0451", at, "optimizer `%s` has nowhere to keep its state here",
                            value->rule.decl->name);
        lg_diag_help(d,
                     "apply it in a `train`, an `optimizer` or a `scan`, or without memory: "
                     "`fresh(%s)(p, g)`",
                     value->rule.decl->name);
        return lg_v_error(E, at);
    }
    if (E->applying && E->applying->depth >= MOST_NESTED) {
        lg_err(E, "E0457", at, "optimizers are nested more than %d deep: does `%s` apply itself?",
               MOST_NESTED, value->rule.decl->name);
        return lg_v_error(E, at);
    }
    if (!gradient_fits(E, p, g, at))
        return lg_v_error(E, at);
    run k = {
        .r = r, .prefix = place_of(E, r), .leaf = E->applying ? E->applying->leaf : "", .at = at};
    k.draws = ++E->frame->call_count;
    lg_value *zero = lg_to_tensor(E, lg_v_int(E, 0, at), LG_I64, at);
    zero->t.weak = false;
    lg_value *now = stored(E, &k, lg_intern("t"), zero);
    lg_value *t = lg_binary(E, "+", now, lg_v_int(E, 1, at), at);
    keep(E, &k, lg_intern("t"), t);
    k.t = lg_v_copy(E, t);
    k.t->t.weak = true;
    r->prefix = k.prefix;
    r->leaf = k.leaf;
    r->like = p;
    r->used = NULL;
    bool record = lg_v_is_vector(p) && p->kind != LG_V_OPAQUE;
    bool whole = false;
    for (int i = 0; record && i < r->n; i++)
        whole = whole || takes_record(&r->all[i]);
    lg_store none = {.get = no_memory, .set = forget}, *was = E->store;
    if (r->fresh) /* nor do the rules keep anything that it applies */
        E->store = &none;
    lg_value *next =
        record && !whole ? apply_leaves(E, r, &k, p, g) : apply_one(E, r, &k, "", p, g);
    E->store = was;
    return next;
}

const char *lg_rule_leaf(const lg_elab *E) {
    return E->applying ? E->applying->leaf : "";
}

/* ---- members ---- */

static const lg_ast *state_decl(const rule *r, lg_sym name) {
    for (int i = 0; i < r->n; i++) {
        const lg_ast *block = r->all[i].decl->kid[LG_D_BLOCK];
        for (uint32_t j = 0; block && j < block->n; j++)
            if (is_decl(block->kid[j], "state") && block->kid[j]->name == name)
                return block->kid[j];
    }
    return NULL;
}

lg_sym lg_rule_target(const lg_value *value) {
    const rule *r = value->rule.ident;
    return r->prefix ? lg_intern_n(r->prefix, strcspn(r->prefix, ".")) : NULL;
}

void lg_rule_lend(lg_elab *E, lg_value *to, const lg_value *from, lg_value *p, lg_store *store) {
    rule *r = to->rule.ident;
    const rule *was = from->rule.ident;
    if (r == was || !was->prefix || r->n != was->n || r->all[0].decl != was->all[0].decl)
        return;
    r->prefix = was->prefix;
    r->leaf = was->leaf;
    r->like = p;
    r->used = was->used ? r->all + (was->used - was->all) : NULL;
    r->lent = store;
    for (lg_binding *b = to->rule.env->names; b; b = b->next) {
        const lg_binding *a = lg_find_local(from->rule.env, b->name, false);
        if (b->value && b->value->kind == LG_V_RULE && a && a->value && a->value->kind == LG_V_RULE)
            lg_rule_lend(E, b->value, a->value, p, store);
    }
}

/* A state as it was left, with the structure of what the rule was applied to. */
static lg_value *state_of(lg_elab *E, const rule *r, const lg_ast *decl, lg_span at) {
    if (!r->prefix || (!E->store && !r->lent)) {
        lg_diag *d =
            lg_err(E, "E0453", at, "`%s` has not been applied here yet", r->all[0].decl->name);
        lg_diag_help(d, "its state exists once it has been applied: %s' = rule(p, g)", "p");
        return lg_v_error(E, at);
    }
    lg_leaf *leaf;
    int n = r->like->kind == LG_V_OPAQUE ? 0 : lg_v_leaves(E, r->like, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        lg_value *p = leaf[i].value;
        lg_frame *f = body_frame(E, r->used ? r->used : &r->all[0], &p, false, at);
        if (!f)
            return lg_v_error(E, at);
        lg_bind(E, f, lg_intern("p"), p, at);
        lg_value *init = lg_initial(E, f, decl);
        run k = {.r = r, .prefix = r->prefix, .leaf = joined(E, r->leaf, leaf[i].path), .at = at};
        lg_store *own = E->store;
        E->store = r->lent ? r->lent : own;
        out[i] = init->kind == LG_V_ERROR
                     ? init
                     : lg_value_seen_from(E, E->frame, stored(E, &k, decl->name, init));
        E->store = own;
    }
    return r->like->kind == LG_V_TENSOR ? out[0] : lg_v_rebuild(E, r->like, out);
}

lg_value *lg_rule_member(lg_elab *E, lg_value *value, lg_sym name, lg_span at) {
    const rule *r = value->rule.ident;
    lg_binding *b = lg_find_local(value->rule.env, name, false);
    if (b && b->value)
        return b->value;
    const lg_ast *s = state_decl(r, name);
    if (s)
        return state_of(E, r, s, at);
    lg_diag *d = lg_err(E, "E0453", at, "optimizer `%s` has no `%s`", value->rule.decl->name, name);
    const lg_ast *block = value->rule.decl->kid[LG_D_BLOCK];
    const char **names = LG_NEW_N(E->arena, const char *, block ? block->n + 1 : 1);
    size_t n = 0;
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_decl(block->kid[i], "state"))
            names[n++] = block->kid[i]->name;
    const char *near = lg_nearest(name, names, n);
    if (near)
        lg_diag_help(d, "did you mean `%s`?", near);
    return lg_v_error(E, at);
}

/* ---- memory of a loop that is unrolled ---- */

typedef struct cell {
    const char *path;
    lg_value *now;
    struct cell *next;
} cell;

static cell *cell_of(const lg_store *s, const char *path) {
    cell *c = s->ctx;
    while (c && strcmp(c->path, path) != 0)
        c = c->next;
    return c;
}

static void local_set(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    cell *c = cell_of(s, path);
    if (!c) {
        c = LG_NEW(E->arena, cell);
        *c = (cell){path, next, s->ctx};
        s->ctx = c;
    }
    c->now = next;
}

static lg_value *local_get(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    cell *c = cell_of(s, path);
    if (!c && init)
        local_set(s, E, path, init);
    return c ? c->now : init;
}

lg_store *lg_store_local(lg_elab *E) {
    lg_store *s = LG_NEW(E->arena, lg_store);
    *s = (lg_store){.get = local_get, .set = local_set, .by_text = true};
    return s;
}

/* ---- generic check ---- */

static lg_value *no_memory(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    (void)s;
    (void)E;
    (void)path;
    return init;
}

static void forget(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    (void)s;
    (void)E;
    (void)path;
    (void)next;
}

/* p as the declaration speaks of it: float[...S] when it says nothing. */
static lg_value *any_p(lg_elab *E, const variant *v, lg_frame *f) {
    const lg_ast *type = for_type(v);
    if (type) /* a letter is the one of the parameters: f: fn(R) -> R */
        return lg_type_placeholder(E, is_letter(type) ? v->env : f, type, v->decl->span);
    lg_ast *t = lg_ast_new(E->arena, LG_A_TYPE, v->decl->span, 0);
    if (holds_rule(v)) {
        t->name = lg_intern("R");
    } else {
        t->name = lg_intern("float");
        lg_ast *pack = lg_ast_new(E->arena, LG_A_PACK, v->decl->span, 0);
        pack->name = lg_intern("S");
        lg_ast_add(E->arena, t, pack);
    }
    return lg_type_placeholder(E, f, t, v->decl->span);
}

void lg_rule_check(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    variant v = {decl, hyper_frame(E, decl, env, decl->span)};
    lg_bind_unknown(E, v.env, decl->kid[LG_D_PARAMS]);
    for (lg_binding *b = v.env->names; b; b = b->next)
        for (uint32_t i = 0; i < decl->kid[LG_D_PARAMS]->n; i++)
            if (decl->kid[LG_D_PARAMS]->kid[i]->name == b->name)
                b->stmt = decl->kid[LG_D_PARAMS]->kid[i];
    E->frame = v.env;
    lg_check_defaults(E, v.env, decl->kid[LG_D_PARAMS]);
    E->frame = env;
    rule r = {.all = &v, .n = 1};
    lg_frame *f = lg_frame_new(E, LG_F_RULE, env);
    f->decl = decl;
    f->hyper = v.env;
    for (size_t i = 0; i < v.env->dims.n; i++) /* a dim of a hyperparameter may be one of p's */
        lg_frame_add_dim(E, f, v.env->dims.at[i].name, v.env->dims.at[i].dim);
    for (const lg_binding *b = v.env->names; b; b = b->next)
        lg_bind(E, f, b->name, b->value, b->at);
    lg_value *p = any_p(E, &v, f);
    lg_store none = {.get = no_memory, .set = forget}, *was = E->store;
    E->store = &none;
    run k = {.r = &r, .prefix = "check", .leaf = "", .at = decl->span};
    k.t = lg_to_tensor(E, lg_v_int(E, 1, decl->span), LG_I64, decl->span);
    run_body(E, &k, &v, f, p, p);
    E->store = was;
}
