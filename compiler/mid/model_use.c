/* model_use.c: what is done with a model: calls of it and of its member functions, its parameters
 * as a record, its members, its states from call to call. */
#include "compiler/mid/builtin.h"
#include "compiler/mid/model_impl.h"
#include <string.h>

/* ---- values of members ---- */

lg_value *lg_retyped(lg_elab *E, const lg_value *type, lg_value *now) {
    if (type->kind != LG_V_TENSOR || now->kind != LG_V_TENSOR)
        return now;
    lg_value *r = lg_v_copy(E, type);
    r->t.n_open = now->t.n_open;
    r->t.open = now->t.open;
    r->t.node = now->t.node;
    r->t.dtype = now->t.dtype;
    return r;
}

lg_value *lg_submodel(lg_elab *E, const lg_value *model, const lg_member *b, int k) {
    lg_value *v = lg_v_new(E, LG_V_MODEL, b->at);
    int first = b->first;
    for (int i = 0; i < k; i++)
        first += (int)b->part[i]->leaf.n;
    v->model.m = b->part[k];
    v->model.leaf = model->model.leaf + first;
    v->model.name = model->model.name;
    v->model.held = model->model.held;
    const char *step = b->kind == LG_M_PARTS ? lg_txt(E, "%s[%d]", b->name, k) : b->name;
    v->model.path = lg_joined_path(E, model->model.path, step);
    return v;
}

/* All parts of an array, each once. */
static lg_value *submodels(lg_elab *E, const lg_value *model, const lg_member *b) {
    lg_value *list = lg_v_list(E, b->n, b->at);
    int first = b->first;
    for (int k = 0; k < b->n; k++) {
        lg_value *v = lg_v_new(E, LG_V_MODEL, b->at);
        v->model.m = b->part[k];
        v->model.leaf = model->model.leaf + first;
        v->model.name = model->model.name;
        v->model.held = model->model.held;
        v->model.path = lg_joined_path(E, model->model.path, lg_txt(E, "%s[%d]", b->name, k));
        first += (int)b->part[k]->leaf.n;
        list->list.at[k] = v;
    }
    return list;
}

lg_value *lg_member_value(lg_elab *E, const lg_value *model, const lg_member *b) {
    lg_leaf *leaf;
    int n = lg_v_leaves(E, b->shape, &leaf), k = b->first;
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = leaf[i].value;
        if (out[i]->kind == LG_V_TENSOR) {
            lg_value *now = model->model.leaf[k++];
            now = lg_is_codes(now) ? lg_quant_decoded(E, now, b->at) : now;
            out[i] = lg_retyped(E, out[i], now);
            out[i]->at = b->at;
        }
    }
    return lg_v_rebuild(E, b->shape, out);
}

/* Where a leaf or part of this model stands in its train: "net.l1.w"; NULL without a name. */
static const char *place(lg_elab *E, const lg_value *model, const char *path) {
    return model->model.name
               ? lg_joined_path(E, model->model.name, lg_joined_path(E, model->model.path, path))
               : NULL;
}

static const lg_quantized *quantized(const lg_elab *E, const lg_value *model) {
    if (!model->model.name)
        return NULL;
    return model->model.held ? model->model.held->all : E->quantized;
}

static lg_value *quantizer_of(const lg_quantized *q, const char *where) {
    for (; q && where; q = q->next)
        if (lg_path_matches(q->selector, where))
            return q->quant;
    return NULL;
}

static lg_value *held_state(lg_store *s, lg_elab *E, const char *path, lg_value *init) {
    const lg_held *h = s->ctx;
    (void)E;
    for (size_t i = 0; i < h->n; i++)
        if (!strcmp(h->state[i].path, path))
            return h->state[i].value;
    return init;
}

static void held_fast(lg_store *s, lg_elab *E, const char *path, lg_value *next) {
    (void)s;
    (void)E;
    (void)path;
    (void)next;
}

lg_held *lg_held_new(lg_elab *E, const lg_quantized *all, size_t n, const lg_leaf *state) {
    lg_held *h = LG_NEW(E->arena, lg_held);
    *h = (lg_held){.all = all, .n = n};
    h->state = lg_arena_dup(E->arena, n ? (const void *)state : (const void *)"", sizeof *state * n);
    h->states = (lg_store){.get = held_state, .set = held_fast, .ctx = h};
    return h;
}

/* x through its quantizer; a part that a run gave back learns nothing more. */
static lg_value *through(lg_elab *E, const lg_value *model, lg_value *q, const char *where,
                         lg_value *x, lg_value *input, lg_span at) {
    lg_held *h = model->model.held;
    if (!h)
        return lg_quant_use(E, q, where, x, input, at);
    lg_store *states = E->states;
    lg_step *was = E->step, still = was ? *was : (lg_step){0};
    still.training = false;
    E->states = &h->states;
    E->step = &still;
    lg_value *y = lg_quant_use(E, q, where, x, input, at);
    E->states = states;
    E->step = was;
    return y;
}

/* A parameter as it is used: through its quantizer, if it has one. */
static lg_value *used_param(lg_elab *E, const lg_value *model, const lg_member *b,
                            lg_value *input) {
    lg_value *v = lg_member_value(E, model, b);
    const lg_quantized *all = quantized(E, model);
    if (!all)
        return v;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, v, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        const char *where = place(E, model, lg_joined_path(E, b->name, leaf[i].path));
        lg_value *q = quantizer_of(all, where), *x = leaf[i].value;
        out[i] = q ? through(E, model, q, where, x, input, b->at) : x;
    }
    return lg_v_rebuild(E, v, out);
}

/* ---- states ---- */

static lg_value *read_state(lg_elab *E, const lg_instance_state *s, lg_value *init) {
    if (!E->states || !s->path)
        return init;
    lg_leaf *leaf;
    int n = lg_v_leaves(E, init, &leaf);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        lg_value *now =
            E->states->get(E->states, E, lg_joined_path(E, s->path, leaf[i].path), leaf[i].value);
        out[i] = lg_retyped(E, leaf[i].value, now);
    }
    return lg_v_rebuild(E, init, out);
}

void lg_instance_bind(lg_elab *E, lg_frame *f, lg_instance *inst, lg_value *const *init) {
    f->ext = inst;
    for (int i = 0; i < inst->n; i++)
        lg_bind(E, f, inst->state[i].name, read_state(E, &inst->state[i], init[i]), init[i]->at);
}

/* Is a state written here? Not outside training nor in maps; loops give no place to write. */
static bool states_written(const lg_elab *E) {
    return E->states && E->step && E->step->training && !E->lanes;
}

static lg_value *next_leaf(lg_elab *E, const lg_value *was, lg_value *next, const char *name,
                           lg_span at) {
    if (next->kind == LG_V_NUM && was->kind == LG_V_TENSOR)
        next = lg_to_tensor(E, next, was->t.dtype, at);
    if (next->kind == LG_V_TENSOR && next->t.weak && was->kind == LG_V_TENSOR &&
        next->t.dtype != was->t.dtype)
        next = lg_cast(E, next, was->t.dtype, at);
    if (next->kind == LG_V_ERROR || was->kind != LG_V_TENSOR)
        return next;
    bool fits =
        next->kind == LG_V_TENSOR && next->t.rank == was->t.rank && next->t.dtype == was->t.dtype;
    for (int d = 0; fits && d < was->t.rank; d++)
        fits = lg_dims_match(next->t.dim[d], was->t.dim[d]);
    if (fits)
        return next;
    lg_err(E, "E0427", at, "state `%s` is %s and its next value %s", name, lg_v_type_text(E, was),
           lg_v_type_text(E, next));
    return lg_v_error(E, at);
}

static void write_state(lg_elab *E, lg_frame *f, const lg_instance_state *s, lg_value *next,
                        lg_span at) {
    lg_leaf *was, *now;
    next = lg_arrayed(E, next, at);
    if (next->kind == LG_V_ERROR)
        return;
    int n = lg_v_leaves(E, s->shape, &was), k = lg_v_leaves(E, next, &now);
    bool same = n == k;
    for (int i = 0; same && i < n; i++)
        same = !strcmp(was[i].path, now[i].path);
    if (!same) {
        lg_err(E, "E0427", at, "state `%s` is %s and its next value %s", s->name,
               lg_v_type_text(E, s->shape), lg_v_type_text(E, next));
        return;
    }
    bool write = states_written(E) && s->path;
    for (int i = 0; i < n; i++) {
        lg_value *v = next_leaf(E, was[i].value, now[i].value, s->name, at);
        if (v->kind == LG_V_ERROR)
            return;
        if (write && v->kind == LG_V_TENSOR && !v->t.n_open)
            E->states->set(E->states, E, lg_joined_path(E, s->path, was[i].path), v);
    }
    lg_binding *b = lg_find_local(f, s->name, false);
    if ((write || ((const lg_instance *)f->ext)->sees_next) && b)
        b->value = next;
}

void lg_model_commit(lg_elab *E, lg_frame *self) {
    lg_instance *inst = self ? self->ext : NULL;
    if (!inst || self->kind != LG_F_MODEL)
        return;
    for (int i = 0; i < inst->n; i++) {
        lg_binding *b = lg_find_local(self, inst->state[i].name, true);
        if (!b)
            continue;
        lg_value *next = lg_force(E, self, b, b->at);
        b->name = NULL; /* forgotten: the next call primes anew */
        write_state(E, self, &inst->state[i], next, b->at);
    }
}

/* ---- the frame of a call ---- */

static lg_value *member_fn(lg_elab *E, lg_frame *f, const lg_ast *decl) {
    lg_value *v = lg_v_new(E, LG_V_FN, decl->span);
    v->fn.decl = decl;
    v->fn.env = f;
    return v;
}

static bool is_fn(const lg_ast *s) {
    return s->kind == LG_A_DECL && s->name && !strcmp(s->text, "fn");
}

lg_frame *lg_model_instance(lg_elab *E, const lg_value *model, lg_value *input) {
    lg_model *m = model->model.m;
    lg_frame *f = lg_frame_new(E, LG_F_MODEL, m->frame);
    f->self = f;
    f->decl = m->decl;
    f->model = lg_v_copy(E, model);
    f->path_hash = lg_hash(model->model.path, strlen(model->model.path), f->path_hash);
    lg_instance *inst = LG_NEW(E->arena, lg_instance);
    inst->state = LG_NEW_N(E->arena, lg_instance_state, m->member.n ? m->member.n : 1);
    lg_value **init = LG_NEW_N(E->arena, lg_value *, m->member.n ? m->member.n : 1);
    for (size_t i = 0; i < m->member.n; i++) {
        const lg_member *b = &m->member.at[i];
        switch (b->kind) {
        case LG_M_PARAM:
            lg_bind(E, f, b->name, used_param(E, model, b, input), b->at);
            break;
        case LG_M_LET:
            lg_bind(E, f, b->name, lg_member_value(E, model, b), b->at);
            break;
        case LG_M_STATE:
            init[inst->n] = lg_member_value(E, model, b);
            inst->state[inst->n++] =
                (lg_instance_state){b->name, place(E, model, b->name), b->shape};
            break;
        case LG_M_PART:
            lg_bind(E, f, b->name, lg_submodel(E, model, b, 0), b->at);
            break;
        case LG_M_PARTS:
            lg_bind(E, f, b->name, submodels(E, model, b), b->at);
            break;
        }
    }
    lg_instance_bind(E, f, inst, init);
    const lg_ast *block = m->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_fn(block->kid[i]))
            lg_bind(E, f, block->kid[i]->name, member_fn(E, f, block->kid[i]), block->kid[i]->span);
    return f;
}

lg_value *lg_model_call(lg_elab *E, lg_value *model, int n, const lg_arg *arg, lg_span at) {
    const lg_model *m = model->model.m;
    for (int i = 0; i < n; i++)
        if (arg[i].value->kind == LG_V_ERROR)
            return lg_v_error(E, at);
    if (!m->call) {
        lg_err(E, "E0330", at, "model `%s` cannot be called: it has no `fn call`", m->decl->name);
        return lg_v_error(E, at);
    }
    lg_value *input = n ? arg[0].value : NULL;
    if (E->probe && input)
        lg_probe_note(E, model->model.path, lg_intern("input"), input);
    lg_frame *f = lg_model_instance(E, model, input);
    lg_value *y = lg_call_decl(E, m->call, f, f, n, arg, at);
    y = lg_value_seen_from(E, E->frame, y);
    const lg_quantized *all = quantized(E, model);
    const char *where = all ? place(E, model, "output") : NULL;
    lg_value *q = quantizer_of(all, where);
    if (q && y->kind != LG_V_ERROR)
        y = through(E, model, q, where, y, input, at);
    if (E->probe)
        lg_probe_note(E, model->model.path, lg_intern("output"), y);
    return y;
}

/* ---- records ---- */

typedef struct {
    lg_elab *E;
    const lg_model *root;
    bool states;
} listing;

static lg_value *record_of(const listing *l, const lg_value *model, int base);

/* PARAM or STATE without its tied leaves; NULL when nothing is left. */
static lg_value *record_member(const listing *l, const lg_value *model, const lg_member *b,
                               int base) {
    lg_elab *E = l->E;
    bool wanted = l->states ? b->kind == LG_M_STATE : b->kind == LG_M_PARAM;
    if (!wanted || l->root->leaf.at[base + b->first].alias >= 0)
        return NULL;
    lg_value *v = lg_member_value(E, model, b);
    if (l->states && E->states && model->model.name) {
        lg_instance_state s = {b->name, place(E, model, b->name), b->shape};
        v = read_state(E, &s, v);
    }
    return lg_value_seen_from(E, E->frame, v);
}

static lg_value *record_parts(const listing *l, const lg_value *model, const lg_member *b,
                              int base) {
    lg_value *list = submodels(l->E, model, b);
    int first = base + b->first, kept = 0;
    for (int k = 0; k < b->n; k++) {
        lg_value *r = record_of(l, list->list.at[k], first);
        first += (int)b->part[k]->leaf.n;
        kept += r->rec.n > 0;
        list->list.at[k] = r;
    }
    return kept ? list : NULL;
}

static lg_value *record_of(const listing *l, const lg_value *model, int base) {
    lg_elab *E = l->E;
    const lg_model *m = model->model.m;
    lg_value *r = lg_v_record(E, (int)m->member.n, model->at);
    r->rec.n = 0;
    for (size_t i = 0; i < m->member.n; i++) {
        const lg_member *b = &m->member.at[i];
        lg_value *v = NULL;
        if (b->kind == LG_M_PART) {
            v = record_of(l, lg_submodel(E, model, b, 0), base + b->first);
            v = v->rec.n ? v : NULL;
        } else if (b->kind == LG_M_PARTS) {
            v = record_parts(l, model, b, base);
        } else if (lg_v_is_vector(b->shape) || b->shape->kind == LG_V_TENSOR) {
            v = record_member(l, model, b, base);
        }
        if (v)
            r->rec.f[r->rec.n++] = (lg_field){b->name, v, b->at};
    }
    return r;
}

lg_value *lg_model_record(lg_elab *E, lg_value *model) {
    listing l = {E, model->model.m, false};
    return record_of(&l, model, 0);
}

static lg_value *state_record(lg_elab *E, lg_value *model) {
    listing l = {E, model->model.m, true};
    return record_of(&l, model, 0);
}

/* ---- members ---- */

typedef struct {
    lg_builtin head;
    lg_value *model;
} bound_at;

static lg_value *call_at(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"theta"};
    lg_value *theta;
    if (!lg_args(E, "at", n, arg, at, 1, names, 1, &theta))
        return lg_v_error(E, at);
    return lg_model_at(E, ((const bound_at *)(const void *)b)->model, theta, at);
}

static lg_value *at_function(lg_elab *E, lg_value *model, lg_span at) {
    bound_at *b = LG_NEW(E->arena, bound_at);
    b->head = (lg_builtin){.name = "at",
                           .sig = "(theta) -> model",
                           .call = call_at,
                           .doc = "The model at other values of its parameters."};
    b->model = model;
    lg_value *v = lg_v_new(E, LG_V_BUILTIN, at);
    v->builtin = &b->head;
    return v;
}

static lg_value *no_member(lg_elab *E, const lg_model *m, lg_sym name, lg_span at) {
    const lg_ast *block = m->decl->kid[LG_D_BLOCK];
    size_t n = 0;
    const char **names = LG_NEW_N(E->arena, const char *, m->member.n + (block ? block->n : 0) + 2);
    for (size_t i = 0; i < m->member.n; i++)
        names[n++] = m->member.at[i].name;
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_fn(block->kid[i]))
            names[n++] = block->kid[i]->name;
    lg_diag *d = lg_err(E, "E0314", at, "model `%s` has no `%s`", m->decl->name, name);
    const char *near = lg_nearest(name, names, n);
    if (near) {
        lg_diag_help(d, "did you mean `%s`?", near);
        return lg_v_error(E, at);
    }
    lg_buf b = {0};
    for (size_t i = 0; i < n && i < 12; i++)
        lg_buf_printf(&b, "%s%s", i ? ", " : "", names[i]);
    if (n)
        lg_diag_note(d, "it has %s", b.at);
    lg_buf_free(&b);
    return lg_v_error(E, at);
}

/* A value that leaves the model: dims in the reader's names, the place of the reading. */
static lg_value *outside(lg_elab *E, lg_value *v, lg_span at) {
    lg_value *r = lg_v_copy(E, lg_value_seen_from(E, E->frame, v));
    r->at = at;
    return r;
}

/* Arguments, dims and lets of the construction. */
static lg_value *of_construction(lg_elab *E, const lg_model *m, lg_sym name, lg_span at) {
    lg_binding *b = lg_find_local(m->frame, name, false);
    if (b)
        return lg_force(E, m->frame, b, at);
    for (size_t i = m->frame->dims.n; i-- > 0;)
        if (m->frame->dims.at[i].name == name)
            return lg_v_dim(E, m->frame->dims.at[i].dim, at);
    return NULL;
}

lg_value *lg_model_member(lg_elab *E, lg_value *model, lg_sym name, lg_span at) {
    const lg_model *m = model->model.m;
    const lg_member *b = lg_member_find(m, name);
    if (b)
        switch (b->kind) {
        case LG_M_PARAM:
            return outside(E, used_param(E, model, b, NULL), at);
        case LG_M_LET:
            return outside(E, lg_member_value(E, model, b), at);
        case LG_M_STATE: {
            lg_instance_state s = {b->name, place(E, model, b->name), b->shape};
            return outside(E, read_state(E, &s, lg_member_value(E, model, b)), at);
        }
        case LG_M_PART:
            return lg_submodel(E, model, b, 0);
        case LG_M_PARTS:
            return submodels(E, model, b);
        }
    const lg_ast *block = m->decl->kid[LG_D_BLOCK];
    for (uint32_t i = 0; block && i < block->n; i++)
        if (is_fn(block->kid[i]) && block->kid[i]->name == name)
            return member_fn(E, lg_model_instance(E, model, NULL), block->kid[i]);
    if (!strcmp(name, "at"))
        return at_function(E, model, at);
    if (!strcmp(name, "state"))
        return state_record(E, model);
    lg_value *v = of_construction(E, m, name, at);
    return v ? outside(E, v, at) : no_member(E, m, name, at);
}

void lg_model_set_name(lg_elab *E, lg_value *model, lg_sym name) {
    (void)E;
    model->model.name = name;
}

const lg_ast *lg_model_decl(const lg_value *model) {
    return model->model.m->decl;
}

lg_frame *lg_model_frame(const lg_value *model) {
    return model->model.m->frame;
}

const char *lg_model_type_name(const lg_value *model) {
    return model->model.m->decl->name;
}

/* ---- parts by path ---- */

typedef struct {
    LG_VEC(const char *) v;
} path_list;

static void add_parts(lg_elab *E, const lg_model *m, const char *path, path_list *all) {
    LG_PUSH(all->v, path);
    for (size_t i = 0; i < m->member.n; i++) {
        const lg_member *b = &m->member.at[i];
        for (int k = 0; (b->kind == LG_M_PART || b->kind == LG_M_PARTS) && k < b->n; k++) {
            const char *name = b->kind == LG_M_PART ? b->name : lg_txt(E, "%s[%d]", b->name, k);
            add_parts(E, b->part[k], lg_joined_path(E, path, name), all);
        }
    }
}

int lg_model_parts(lg_elab *E, const lg_value *model, const char ***out) {
    path_list all = {0};
    add_parts(E, model->model.m, "", &all);
    int n = (int)all.v.n;
    *out = lg_arena_dup(E->arena, all.v.at, sizeof *all.v.at * all.v.n);
    lg_free(all.v.at);
    return n;
}
