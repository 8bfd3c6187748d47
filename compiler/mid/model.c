/* model.c: construction of models: arguments, parameters, states, parts and lets in the order of
 * the text. What is made is static; the values of the leaves stand beside it in the model value.
 * Not for what a model does afterwards (model_use.c). */
#include "compiler/mid/model_impl.h"
#include <string.h>

const char *lg_joined_path(lg_elab *E, const char *a, const char *b) {
    return !*a ? b : !*b ? a : *b == '[' ? lg_txt(E, "%s%s", a, b) : lg_txt(E, "%s.%s", a, b);
}

const lg_member *lg_member_find(const lg_model *m, lg_sym name) {
    for (size_t i = 0; i < m->member.n; i++)
        if (m->member.at[i].name == name)
            return &m->member.at[i];
    return NULL;
}

static bool is_word(const lg_ast *s, const char *w) {
    return s->kind == LG_A_DECL && s->text && !strcmp(s->text, w);
}

/* ---- first values ---- */

bool lg_guarded_out(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    const lg_ast *c = decl->kid[LG_D_GUARD];
    bool on = true;
    if (!c)
        return false;
    lg_value *v = lg_expr_in(E, f, c);
    if (v->kind == LG_V_ERROR || lg_v_static_bool(E, v, &on) ||
        (v->kind == LG_V_NUM && v->num.is_bool))
        return !on;
    lg_err(E, "E0429", c->span, "what a model or rule consists of is static: this condition is %s",
           lg_v_type_text(E, v));
    return true;
}

bool lg_declares_one(lg_elab *E, const lg_ast *decl) {
    const lg_ast *index = decl->kid[LG_D_INDEX];
    if (!index || !(is_word(decl, "part") || is_word(decl, "param") || is_word(decl, "state")))
        return true;
    bool part = is_word(decl, "part");
    lg_diag *d = lg_err(E, "E0443", index->span, "`%s` declares one %s here", decl->text,
                        part ? "model" : "array");
    if (part)
        lg_diag_help(d, "several stand in a model: `model Net { part %s[...] = ... }`", decl->name);
    else
        lg_diag_help(d, "its sizes stand in its type: `%s %s: float[...]`", decl->text, decl->name);
    return false;
}

/* The declared type of a tensor as zeros; NULL for other types and after errors (*bad). */
static lg_value *declared_zeros(lg_elab *E, lg_frame *f, const lg_ast *type, bool *bad) {
    if (!type || type->kind != LG_A_TYPE)
        return NULL;
    lg_dtype t = lg_dtype_from_name(type->name);
    if (t == LG_NO_DTYPE && strcmp(type->name, "float"))
        return NULL;
    lg_dim *dim[LG_MAX_RANK];
    if (type->n > LG_MAX_RANK) {
        lg_err(E, "E0213", type->span, "more than %d dims at once", LG_MAX_RANK);
        *bad = true;
        return NULL;
    }
    for (uint32_t i = 0; i < type->n; i++)
        if (!(dim[i] = lg_dim_expr(E, f, type->kid[i]))) {
            *bad = true;
            return NULL;
        }
    return lg_fill(E, lg_type_dtype(E, f, type), (int)type->n, dim, 0, type->span);
}

/* Numbers become tensors; a scalar fills the declared array. */
static lg_value *first_leaf(lg_elab *E, lg_value *v, const lg_value *want, lg_span at) {
    bool odd = v->kind == LG_V_NUM && want && v->num.known &&
               (v->num.is_bool ? want->t.dtype != LG_BOOL
                               : !v->num.is_int && !lg_dtype_is_float(want->t.dtype));
    if (odd) {
        lg_err(E, "E0205", v->at.file ? v->at : at, "the first value is %s, the type %s",
               lg_v_type_text(E, v), lg_v_type_text(E, want));
        return lg_v_error(E, at);
    }
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, want ? want->t.dtype : LG_NO_DTYPE, at);
    if (v->kind != LG_V_TENSOR)
        return v;
    if (want && v->t.weak && v->t.dtype != want->t.dtype)
        v = lg_cast(E, v, want->t.dtype, at);
    lg_value *r = lg_v_copy(E, v);
    r->t.weak = false;
    if (!want || v->t.rank || !want->t.rank || v->t.dtype != want->t.dtype)
        return r;
    r = lg_v_open(E, v->t.dtype, v->t.n_open, v->t.open, want->t.rank, want->t.dim, NULL, at);
    r->t.node = lg_node_as(E, v, v->t.n_open, v->t.open, want->t.rank, want->t.dim, at);
    return r;
}

static lg_value *first_leafwise(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at) {
    (void)n;
    return first_leaf(E, leaf[0], ctx, at);
}

static bool has_codes(const lg_value *model) {
    for (size_t i = 0; model->kind == LG_V_MODEL && i < model->model.m->leaf.n; i++)
        if (lg_is_codes(model->model.leaf[i]))
            return true;
    return false;
}

/* Of a `param`: the first leaf that is no float; NULL: it can be trained. */
static const lg_value *untrainable(lg_elab *E, const lg_ast *decl, lg_value *v) {
    lg_leaf *leaf;
    if (strcmp(decl->text, "param") || (v->kind != LG_V_TENSOR && !lg_v_is_vector(v)))
        return NULL;
    int n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR && !lg_dtype_is_float(leaf[i].value->t.dtype))
            return leaf[i].value;
    return NULL;
}

static lg_value *initial(lg_elab *E, lg_frame *f, const lg_ast *decl, bool codes) {
    const lg_ast *type = decl->kid[LG_D_TYPE], *value = decl->kid[LG_D_VALUE];
    lg_span at = decl->name_span.file ? decl->name_span : decl->span;
    lg_frame *was = E->frame;
    lg_value *was_want = E->want;
    E->frame = f;
    bool bad = false;
    lg_value *want = declared_zeros(E, f, type, &bad), *v = NULL;
    if (bad) {
        E->frame = was;
        return lg_v_error(E, at);
    }
    if (!value) {
        lg_diag *d = lg_err(E, "E0428", at, "%s `%s` has no first value", decl->text, decl->name);
        lg_diag_help(d, "write `%s %s: ... = zeros()`", decl->text, decl->name);
        v = lg_v_error(E, at);
    } else {
        E->want = want;
        v = lg_arrayed(E, lg_expr(E, value), at);
        E->want = was_want;
    }
    if (codes && !type && has_codes(v)) {
        E->frame = was;
        return v;
    }
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(E, v);
    if (v->kind == LG_V_RECORD || (v->kind == LG_V_LIST && lg_v_is_vector(v)))
        v = lg_leafwise(E, first_leafwise, NULL, 1, &v, at);
    else
        v = first_leaf(E, v, want, at);
    if (type && v->kind != LG_V_ERROR) {
        v = lg_type_check(E, f, type, v, value->span, decl->name, false);
        v = v ? first_leaf(E, v, NULL, at) : lg_v_error(E, at);
    } else if (v->kind != LG_V_ERROR && v->kind != LG_V_TENSOR && !lg_v_is_vector(v)) {
        lg_err(E, "E0208", at, "%s `%s` must be an array or a record, got %s", decl->text,
               decl->name, lg_v_type_text(E, v));
        v = lg_v_error(E, at);
    }
    const lg_value *fixed = untrainable(E, decl, v);
    if (fixed) {
        lg_diag *d = lg_err(E, "E0336", type ? type->span : at,
                            "param `%s` is %s, and only floats "
                            "can be trained",
                            decl->name, lg_v_type_text(E, fixed));
        lg_diag_help(d, "write `state %s` for what is not trained", decl->name);
        v = lg_v_error(E, at);
    }
    E->frame = was;
    return v;
}

lg_value *lg_initial(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    return initial(E, f, decl, false);
}

lg_value *lg_initial_held(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    return initial(E, f, decl, true);
}

/* ---- leaves and members under construction ---- */

typedef struct {
    lg_elab *E;
    lg_model *m;
    uint64_t place;         /* of the construction, for the addresses of its draws */
    LG_VEC(lg_value *) now; /* values of the leaves */
} making;

/* Draws of a member depend on its path alone, not on what stands before it. */
static uint64_t address(const making *k, lg_sym name, int64_t number) {
    return lg_hash_mix(lg_hash_mix(k->place, lg_hash(name, strlen(name), 1)), (uint64_t)number);
}

static void add_leaf(making *k, lg_leaf_info info, lg_value *now) {
    info.alias = -1;
    if (!info.id)
        info.id = LG_NEW(k->E->arena, lg_leaf_id);
    if (info.id->in == k->m->number) {
        info.alias = info.id->number;
        now = k->now.at[info.alias];
    } else {
        *info.id = (lg_leaf_id){k->m->number, (int)k->m->leaf.n};
    }
    LG_PUSH(k->m->leaf, info);
    LG_PUSH(k->now, now);
}

static void add_values(making *k, lg_member_kind kind, lg_sym name, lg_value *v, lg_span at) {
    lg_leaf *leaf;
    lg_member b = {.kind = kind, .name = name, .at = at, .first = (int)k->m->leaf.n, .shape = v};
    int n = lg_v_leaves(k->E, v, &leaf);
    for (int i = 0; i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR)
            add_leaf(k,
                     (lg_leaf_info){.path = lg_joined_path(k->E, name, leaf[i].path),
                                    .is_state = kind != LG_M_PARAM,
                                    .at = at,
                                    .type = leaf[i].value},
                     leaf[i].value);
    LG_PUSH(k->m->member, b);
}

static void adopt(making *k, const char *path, const lg_value *part) {
    const lg_model *p = part->model.m;
    for (size_t i = 0; i < p->leaf.n; i++) {
        lg_leaf_info info = p->leaf.at[i];
        info.path = lg_joined_path(k->E, path, info.path);
        add_leaf(k, info, part->model.leaf[i]);
    }
}

static bool all_models(const lg_value *v) {
    for (int i = 0; i < v->list.n; i++)
        if (v->list.at[i]->kind != LG_V_MODEL)
            return false;
    return v->list.n > 0;
}

/* A model or a list of models becomes a part; false when v is neither. */
static bool add_part(making *k, lg_sym name, lg_value *v, lg_span at) {
    bool list = v->kind == LG_V_LIST && all_models(v);
    if (v->kind != LG_V_MODEL && !list)
        return false;
    lg_member b = {.kind = list ? LG_M_PARTS : LG_M_PART,
                   .name = name,
                   .at = at,
                   .first = (int)k->m->leaf.n,
                   .n = list ? v->list.n : 1};
    b.part = LG_NEW_N(k->E->arena, lg_model *, b.n);
    for (int i = 0; i < b.n; i++) {
        const lg_value *part = list ? v->list.at[i] : v;
        b.part[i] = part->model.m;
        adopt(k, list ? lg_txt(k->E, "%s[%d]", name, i) : name, part);
    }
    LG_PUSH(k->m->member, b);
    return true;
}

/* ---- statements of a model ---- */

static lg_value *one_part(making *k, lg_frame *f, const lg_ast *s, int64_t number) {
    lg_elab *E = k->E;
    f->path_hash = address(k, s->name, number);
    f->call_count = 0;
    lg_value *v = s->kid[LG_D_VALUE] ? lg_expr_in(E, f, s->kid[LG_D_VALUE]) : NULL;
    if (v && s->kid[LG_D_FROM] && v->kind == LG_V_MODEL)
        v = lg_model_from(E, v, lg_expr_in(E, f, s->kid[LG_D_FROM]), s->kid[LG_D_FROM]->span);
    return v ? v : lg_v_error(E, s->span);
}

/* How often `part a[L]` or `part a[i in lo..hi]` is made; -1: not known (or reported). */
static int64_t part_count(making *k, const lg_ast *index, lg_sym *name, int64_t *lo) {
    lg_elab *E = k->E;
    const lg_ast *e = index->kid[0];
    *name = NULL;
    *lo = 0;
    if (index->n != 1) {
        lg_err(E, "E0331", index->span, "parts are counted by one index");
        return -1;
    }
    if (e->kind == LG_A_BINARY && !strcmp(e->name, "in") && e->kid[0]->kind == LG_A_NAME) {
        *name = e->kid[0]->name;
        e = e->kid[1];
    }
    lg_value *v = lg_expr_in(E, k->m->frame, e);
    int64_t n = -1, hi;
    if (v->kind == LG_V_RANGE) {
        if (lg_v_static_int(E, v->range.lo, lo) && lg_v_static_int(E, v->range.hi, &hi))
            n = hi > *lo ? hi - *lo : 0;
    } else if (v->kind == LG_V_NUM || v->kind == LG_V_TENSOR) {
        if (!lg_v_static_int(E, v, &n) && (v->kind == LG_V_TENSOR || v->num.known))
            lg_err(E, "E0210", e->span, "the number of parts must be static, got %s",
                   lg_v_type_text(E, v));
    } else if (v->kind != LG_V_ERROR) {
        lg_err(E, "E0210", e->span, "the number of parts must be an integer, got %s",
               lg_v_type_text(E, v));
    }
    if (n > 1000000) {
        lg_err(E, "E0331", e->span, "%lld parts are more than can be", (long long)n);
        n = -1;
    }
    return n;
}

static lg_value *part_list(making *k, const lg_ast *s) {
    lg_elab *E = k->E;
    lg_sym name;
    int64_t lo, n = part_count(k, s->kid[LG_D_INDEX], &name, &lo);
    int64_t runs = n < 0 ? 1 : n; /* of an unknown number one is made, to check it */
    lg_value *list = lg_v_list(E, (int)runs, s->name_span);
    for (int64_t i = 0; i < runs; i++) {
        lg_frame *f = k->m->frame;
        if (name) {
            f = lg_frame_new(E, LG_F_BLOCK, k->m->frame);
            lg_bind(E, f, name,
                    n < 0 ? lg_v_unknown(E, true, false, s->span) : lg_v_int(E, lo + i, s->span),
                    s->span);
        }
        list->list.at[i] = one_part(k, f, s, i + 1);
        if (list->list.at[i]->kind == LG_V_ERROR)
            return list->list.at[i];
    }
    return n < 0 ? lg_v_error(E, s->span) : list;
}

static void declare_part(making *k, const lg_ast *s) {
    lg_elab *E = k->E;
    lg_span at = s->name_span.file ? s->name_span : s->span;
    lg_value *v = s->kid[LG_D_INDEX] ? part_list(k, s) : one_part(k, k->m->frame, s, 0);
    if (v->kind == LG_V_DECL || v->kind == LG_V_RECORD || v->kind == LG_V_TENSOR ||
        v->kind == LG_V_NUM) {
        lg_diag *d = lg_err(E, "E0331", at, "`part %s` wants a model, got %s", s->name,
                            lg_v_type_text(E, v));
        if (v->kind == LG_V_DECL)
            lg_diag_help(d, "give its arguments: `%s(...)`", v->decl.decl->name);
        else
            lg_diag_help(d, "a `param` holds numbers, a `let` what never changes");
        v = lg_v_error(E, at);
    }
    add_part(k, s->name, v, at);
    lg_bind(E, k->m->frame, s->name, v, at);
}

static void declare_values(making *k, const lg_ast *s, lg_member_kind kind) {
    lg_elab *E = k->E;
    lg_span at = s->name_span.file ? s->name_span : s->span;
    k->m->frame->path_hash = address(k, s->name, 0);
    k->m->frame->call_count = k->m->frame->rand_count = 0;
    lg_value *v = lg_initial(E, k->m->frame, s);
    if (v->kind != LG_V_ERROR)
        add_values(k, kind, s->name, v, at);
    lg_bind(E, k->m->frame, s->name, v, at);
}

static void fn_twice(lg_elab *E, const lg_ast *model, const lg_ast *fn) {
    const lg_ast *block = model->kid[LG_D_BLOCK];
    for (uint32_t i = 0; i < block->n && block->kid[i] != fn; i++)
        if (is_word(block->kid[i], "fn") && block->kid[i]->name == fn->name) {
            lg_diag *d = lg_err(E, "E0304", fn->name_span, "`%s` is declared twice", fn->name);
            lg_diag_label(d, block->kid[i]->name_span, "first here");
            return;
        }
}

static void declare(making *k, const lg_ast *s) {
    lg_elab *E = k->E;
    lg_frame *C = k->m->frame;
    bool value = is_word(s, "param") || is_word(s, "state"), part = is_word(s, "part");
    if ((value || part) && s->name) {
        if (lg_find_local(C, s->name, false)) {
            lg_diag *d = lg_err(E, "E0304", s->name_span, "`%s` is declared twice", s->name);
            lg_diag_label(d, lg_find_local(C, s->name, false)->at, "first here");
            return;
        }
        if (lg_guarded_out(E, C, s))
            return;
        if (part)
            declare_part(k, s);
        else if (!lg_declares_one(E, s))
            lg_bind(E, C, s->name, lg_v_error(E, s->name_span), s->name_span);
        else
            declare_values(k, s, s->text[0] == 'p' ? LG_M_PARAM : LG_M_STATE);
    } else if (is_word(s, "fn")) {
        fn_twice(E, k->m->decl, s);
        if (s->name && !strcmp(s->name, "call"))
            k->m->call = s;
    } else if (is_word(s, "dim") || s->kind == LG_A_LET || s->kind == LG_A_REQUIRE) {
        lg_statement(E, C, s);
    } else if (s->kind != LG_A_ERROR) {
        lg_err(E, "E0332", s->span, "this does not stand in a model");
    }
}

/* ---- what member functions use of the construction ---- */

static bool mentions(const lg_ast *t, lg_sym name) {
    if (!t)
        return false;
    if ((t->kind == LG_A_NAME || t->kind == LG_A_INDEXPAT) && t->name == name)
        return true;
    for (uint32_t i = 0; i < t->n; i++)
        if (mentions(t->kid[i], name))
            return true;
    return false;
}

static bool used_in_functions(const lg_ast *block, lg_sym name) {
    for (uint32_t i = 0; i < block->n; i++)
        if (is_word(block->kid[i], "fn") && mentions(block->kid[i], name))
            return true;
    return false;
}

static bool holds_tensors(lg_elab *E, const lg_value *v) {
    lg_leaf *leaf;
    if (v->kind == LG_V_TENSOR)
        return true;
    if (v->kind != LG_V_RECORD && v->kind != LG_V_LIST)
        return false;
    int n = lg_v_leaves(E, v, &leaf);
    for (int i = 0; i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR)
            return true;
    return false;
}

/* Lets run once: what functions use of them is kept like a state. Models given as arguments and
 * used without a `part` line are parts under the argument's name. */
static void keep_what_is_used(making *k, const lg_ast *block) {
    lg_elab *E = k->E;
    for (lg_binding *b = k->m->frame->names; b; b = b->next) {
        if (b->prime || !b->value || lg_member_find(k->m, b->name) ||
            !used_in_functions(block, b->name))
            continue;
        if (!add_part(k, b->name, b->value, b->at) && holds_tensors(E, b->value))
            add_values(k, LG_M_LET, b->name, b->value, b->at);
    }
}

/* Leaves are known outside, by path: their dims are those of whoever makes the model. */
static void show_leaves(making *k) {
    lg_frame *out = k->m->frame->caller;
    for (size_t i = 0; i < k->m->leaf.n; i++) {
        lg_value *now = k->now.at[i];
        k->m->leaf.at[i].type = lg_value_seen_from(k->E, out, k->m->leaf.at[i].type);
        if (now->kind == LG_V_TENSOR)
            k->now.at[i] = lg_value_seen_from(k->E, out, now);
    }
}

/* The growing arrays become arena memory: models live as long as the elaboration. */
static void settle(making *k) {
    lg_model *m = k->m;
    lg_member *member =
        lg_arena_dup(k->E->arena, m->member.n ? (const void *)m->member.at : (const void *)"",
                     sizeof *member * m->member.n);
    lg_leaf_info *leaf =
        lg_arena_dup(k->E->arena, m->leaf.n ? (const void *)m->leaf.at : (const void *)"",
                     sizeof *leaf * m->leaf.n);
    lg_free(m->member.at);
    lg_free(m->leaf.at);
    m->member.at = member;
    m->leaf.at = leaf;
}

static lg_value *construct(lg_elab *E, const lg_ast *decl, lg_frame *C, lg_span at) {
    lg_model *m = LG_NEW(E->arena, lg_model);
    static uint64_t models; /* made so far: an address may serve twice */
    *m = (lg_model){.decl = decl, .frame = C, .number = ++models};
    making k = {.E = E, .m = m, .place = C->path_hash};
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    lg_frame *was = E->frame;
    lg_value *was_want = E->want;
    E->frame = C;
    E->want = NULL;
    for (uint32_t i = 0; block && i < block->n && !C->result; i++)
        declare(&k, block->kid[i]);
    if (block && !C->result)
        keep_what_is_used(&k, block);
    E->frame = was;
    E->want = was_want;
    if (C->result) { /* a contract is broken: what else would be wrong follows from that */
        lg_free(m->member.at);
        lg_free(m->leaf.at);
        lg_free(k.now.at);
        return C->result;
    }
    show_leaves(&k);
    settle(&k);
    lg_value *v = lg_v_new(E, LG_V_MODEL, at);
    v->model.m = m;
    v->model.path = "";
    v->model.leaf = lg_arena_dup(E->arena, k.now.n ? (const void *)k.now.at : (const void *)"",
                                 sizeof *k.now.at * k.now.n);
    lg_free(k.now.at);
    return v;
}

static lg_frame *construction_frame(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_span at) {
    lg_frame *C = lg_frame_new(E, LG_F_MODEL, env);
    C->decl = decl;
    C->call_at = at;
    C->float_dtype = E->frame ? E->frame->float_dtype : E->float_dtype;
    C->self = NULL;
    if (E->frame)
        C->path_hash = lg_next_place(E->frame);
    return C;
}

/* In check mode a model is tried by itself before it is made with arguments: what is wrong in it is
 * said once, at its place, and what is wrong with an instance is the fault of the arguments. */
typedef struct lg_tried {
    const lg_ast *decl;
    bool sound;
    struct lg_tried *next;
} lg_tried;

static lg_tried *tried(const lg_elab *E, const lg_ast *decl) {
    lg_tried *t = E->tried;
    while (t && t->decl != decl)
        t = t->next;
    return t;
}

void lg_tried_note(lg_elab *E, const lg_ast *decl, bool sound) {
    lg_tried *t = tried(E, decl);
    if (!t) {
        t = LG_NEW(E->home, lg_tried);
        *t = (lg_tried){decl, true, E->tried};
        E->tried = t;
    }
    t->sound = t->sound && sound;
}

bool lg_tried_unsound(lg_elab *E, const lg_ast *decl) {
    const lg_tried *t = tried(E, decl);
    bool bad = t && !t->sound && LG_CHECKING(E);
    E->diags->unheard += bad;
    return bad;
}

static bool is_sound(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    if (!LG_CHECKING(E) || env->kind != LG_F_MODULE || env->module->library)
        return true;
    if (tried(E, decl))
        return !lg_tried_unsound(E, decl);
    lg_tried_note(E, decl, true);
    size_t trouble = lg_diags_trouble(E->diags);
    lg_frame *was = E->frame;
    E->frame = env;
    lg_model_generic(E, decl, env);
    E->frame = was;
    bool sound = lg_diags_trouble(E->diags) == trouble;
    lg_tried_note(E, decl, sound);
    return sound;
}

lg_value *lg_model_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                        lg_span at) {
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    if (!is_sound(E, decl, env))
        return lg_v_error(E, at);
    lg_frame *C = construction_frame(E, decl, env, at);
    for (const lg_frame *f = C->caller; f; f = f->caller)
        if (f->decl == decl && f->kind == LG_F_MODEL && f->self == NULL) {
            lg_err(E, "E0333", at, "model `%s` contains itself", decl->name);
            return lg_v_error(E, at);
        }
    if (!lg_bind_params(E, C, decl->kid[LG_D_PARAMS], n, arg, at, decl->name))
        return lg_v_error(E, at);
    return construct(E, decl, C, at);
}

void lg_bind_unknown(lg_elab *E, lg_frame *f, const lg_ast *params) {
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *p = params->kid[i];
        lg_bind(E, f, p->name, lg_param_any(E, f, p), p->name_span.file ? p->name_span : p->span);
        f->names->stmt = p;
    }
}

lg_value *lg_model_generic(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    lg_frame *C = construction_frame(E, decl, env, decl->span);
    lg_bind_unknown(E, C, decl->kid[LG_D_PARAMS]);
    return construct(E, decl, C, decl->span);
}

static void check_parameters(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    lg_frame *C = construction_frame(E, decl, env, decl->span), *was = E->frame;
    C->caller = NULL;
    lg_bind_unknown(E, C, decl->kid[LG_D_PARAMS]);
    E->frame = C;
    lg_check_defaults(E, C, decl->kid[LG_D_PARAMS]);
    E->frame = was;
}

void lg_model_check(lg_elab *E, const lg_ast *decl, lg_frame *env) {
    check_parameters(E, decl, env);
    lg_value *model = lg_model_generic(E, decl, env);
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n && model->kind == LG_V_MODEL; i++)
        if (is_word(block->kid[i], "fn")) {
            lg_frame *f = lg_model_instance(E, model, NULL);
            lg_fn_check(E, block->kid[i], f, f);
        }
}
