/* model_load.c: other values for the leaves of a model: all by number (trains), some by path
 * (`net.at(theta)`, `from`). Not for reading files: the host gives records. */
#include "compiler/mid/model_impl.h"
#include "compiler/mid/select.h"
#include <string.h>

int lg_model_leaves(lg_elab *E, const lg_value *model, lg_model_leaf **out) {
    const lg_model *m = model->model.m;
    lg_model_leaf *l = LG_NEW_N(E->arena, lg_model_leaf, m->leaf.n ? m->leaf.n : 1);
    for (size_t i = 0; i < m->leaf.n; i++) {
        const lg_leaf_info *k = &m->leaf.at[i];
        l[i] = (lg_model_leaf){k->path, k->is_state, k->alias, k->at, model->model.leaf[i]};
    }
    *out = l;
    return (int)m->leaf.n;
}

lg_value *lg_model_with(lg_elab *E, const lg_value *model, lg_value *const *leaf) {
    const lg_model *m = model->model.m;
    lg_value *v = lg_v_copy(E, model);
    v->model.leaf = LG_NEW_N(E->arena, lg_value *, m->leaf.n ? m->leaf.n : 1);
    for (size_t i = 0; i < m->leaf.n; i++)
        v->model.leaf[i] = m->leaf.at[i].alias >= 0 ? leaf[m->leaf.at[i].alias] : leaf[i];
    return v;
}

/* ---- places ---- */

typedef struct {
    lg_elab *E;
    LG_VEC(lg_leaf) v;
} places;

static void add_places(places *p, const char *path, lg_value *v) {
    if (v->kind == LG_V_MODEL) {
        const lg_model *m = v->model.m;
        for (size_t i = 0; i < m->leaf.n; i++)
            if (!m->leaf.at[i].is_state && m->leaf.at[i].alias < 0)
                LG_PUSH(p->v, ((lg_leaf){lg_joined_path(p->E, path, m->leaf.at[i].path),
                                         v->model.leaf[i]}));
    } else if (v->kind == LG_V_RECORD && !v->rec.quant) {
        for (int i = 0; i < v->rec.n; i++) {
            lg_sym name = v->rec.f[i].name;
            add_places(p,
                       *name == '[' ? lg_txt(p->E, "%s%s", path, name)
                                    : lg_joined_path(p->E, path, name),
                       v->rec.f[i].value);
        }
    } else if (v->kind == LG_V_LIST && !lg_list_is_array(v)) {
        for (int i = 0; i < v->list.n; i++)
            add_places(p, lg_txt(p->E, "%s[%d]", path, i), v->list.at[i]);
    } else {
        LG_PUSH(p->v, ((lg_leaf){path, v}));
    }
}

int lg_v_places(lg_elab *E, lg_value *v, lg_leaf **out) {
    places p = {.E = E};
    add_places(&p, "", v);
    int n = (int)p.v.n;
    *out = lg_arena_dup(E->arena, n ? (const void *)p.v.at : (const void *)"",
                        sizeof(lg_leaf) * p.v.n);
    lg_free(p.v.at);
    return n;
}

lg_value *lg_model_held(lg_elab *E, lg_value *model) {
    lg_leaf *leaf, *place;
    lg_value *r = lg_model_record(E, model);
    int n = lg_v_leaves(E, r, &leaf), m = lg_v_places(E, model, &place);
    lg_value **out = LG_NEW_N(E->arena, lg_value *, n ? n : 1);
    for (int i = 0; i < n; i++) {
        out[i] = leaf[i].value;
        for (int k = 0; k < m; k++)
            if (lg_is_codes(place[k].value) && !strcmp(place[k].path, leaf[i].path))
                out[i] = place[k].value;
    }
    return lg_v_rebuild(E, r, out);
}

/* ---- by path ---- */

typedef struct {
    lg_elab *E;
    const lg_model *m;
    lg_value **leaf;
    lg_span at;
    const char *what;  /* for messages: what the values are from */
    bool states, cast; /* may states be set; may floats change their dtype */
    size_t next;       /* most records come in the order of the model */
    lg_buf unknown;
    int n_unknown;
    bool *set; /* by leaf, or NULL: nobody asks */
} setting;

static int number_of(setting *s, const char *path) {
    size_t n = s->m->leaf.n;
    for (size_t i = 0; i < n; i++) {
        size_t k = (s->next + i) % n;
        if (strcmp(s->m->leaf.at[k].path, path) != 0)
            continue;
        s->next = k + 1;
        return (int)k;
    }
    return -1;
}

/* The value in the place of leaf k, or NULL after reporting. Codes stay what they are. */
static lg_value *fitted(setting *s, int k, lg_value *v) {
    lg_elab *E = s->E;
    const lg_leaf_info *info = &s->m->leaf.at[k];
    lg_value *want = lg_value_seen_from(E, E->frame, info->type), *codes = NULL;
    if (lg_is_codes(v)) {
        codes = v;
        v = lg_quant_decoded(E, codes, s->at);
        if (v->kind == LG_V_ERROR)
            return NULL;
    }
    if (v->kind == LG_V_NUM)
        v = lg_to_tensor(E, v, want->t.dtype, s->at);
    else if (lg_list_is_array(v))
        v = lg_list_tensor(E, v, want->t.dtype, s->at);
    if (v->kind == LG_V_TENSOR && v->t.dtype != want->t.dtype &&
        (v->t.weak ||
         (s->cast && lg_dtype_is_float(v->t.dtype) && lg_dtype_is_float(want->t.dtype))))
        v = lg_cast(E, v, want->t.dtype, s->at);
    bool fits = v->kind == LG_V_TENSOR && v->t.rank == want->t.rank && v->t.dtype == want->t.dtype;
    for (int d = 0; fits && d < v->t.rank; d++)
        fits = lg_dims_match(v->t.dim[d], want->t.dim[d]);
    if (fits)
        return codes ? codes : v;
    lg_diag *d = lg_err(E, "E0334", s->at, "`%s` is %s in the model and %s in %s", info->path,
                        lg_v_type_text(E, want), lg_v_type_text(E, v), s->what);
    lg_diag_label(d, info->at, "declared here");
    int64_t size;
    for (int i = 0; i < want->t.rank; i++)
        if (lg_dim_value(want->t.dim[i], &size) && !lg_dim_is_num(want->t.dim[i], &size))
            lg_diag_note(d, "%s = %lld in the model", lg_dim_text(E->arena, want->t.dim[i]),
                         (long long)size);
    return NULL;
}

static void unknown_path(setting *s, const char *path) {
    if (s->n_unknown++ < 8)
        lg_buf_printf(&s->unknown, "%s`%s`", s->n_unknown > 1 ? ", " : "", path);
}

static bool set_leaf(setting *s, const char *path, lg_value *v) {
    int k = number_of(s, path);
    if (k < 0 || (s->m->leaf.at[k].is_state && !s->states)) {
        unknown_path(s, path);
        return true;
    }
    v = fitted(s, k, v);
    if (!v)
        return false;
    s->leaf[k] = v;
    if (s->set)
        s->set[k] = true;
    for (size_t i = 0; i < s->m->leaf.n; i++)
        if (s->m->leaf.at[i].alias == k)
            s->leaf[i] = v;
    return true;
}

/* `n.w` where the model has `w`: the values are of a part with a name of its own. */
static void hint_part(const setting *s, lg_diag *d) {
    const char *first = s->unknown.at + 1, *dot = strchr(first, '.'), *end = strchr(first, '`');
    if (!dot || !end || dot > end)
        return;
    for (size_t i = 0; i < s->m->leaf.n; i++) {
        const char *path = s->m->leaf.at[i].path;
        if (strlen(path) == (size_t)(end - dot - 1) && !strncmp(path, dot + 1, strlen(path))) {
            lg_diag_help(d, "these are values of a part `%.*s`: give this part the same name",
                         (int)(dot - first), first);
            return;
        }
    }
}

static bool report_unknown(setting *s) {
    if (!s->n_unknown)
        return true;
    const char **names = LG_NEW_N(s->E->arena, const char *, s->m->leaf.n + 1);
    for (size_t i = 0; i < s->m->leaf.n; i++)
        names[i] = s->m->leaf.at[i].path;
    lg_diag *d = lg_err(s->E, "E0335", s->at, "%s has %s%s, which `%s` does not", s->what,
                        s->unknown.at, s->n_unknown > 8 ? ", ..." : "", s->m->decl->name);
    lg_buf have = {0};
    for (size_t i = 0; i < s->m->leaf.n && i < 12; i++)
        lg_buf_printf(&have, "%s%s", i ? ", " : "", names[i]);
    lg_diag_note(d, s->m->leaf.n ? "`%s` has %s%s" : "`%s` has no parameters%s%s", s->m->decl->name,
                 have.at ? have.at : "", s->m->leaf.n > 12 ? ", ..." : "");
    lg_buf_free(&have);
    hint_part(s, d);
    return false;
}

/* `from` that does not have all parameters: the others begin as the model says. */
static void report_missing(setting *s) {
    enum { SHOWN = 4 };
    int n = 0, all = 0;
    lg_buf names = {0};
    for (size_t i = 0; i < s->m->leaf.n; i++) {
        const lg_leaf_info *l = &s->m->leaf.at[i];
        if (l->is_state || l->alias >= 0)
            continue;
        all++;
        if (!s->set[i] && n++ < SHOWN)
            lg_buf_printf(&names, "%s`%s`", n > 1 ? ", " : "", l->path);
    }
    if (n) {
        lg_diag *d =
            lg_diag_add(s->E->diags, "W0605", s->at,
                        "%d of %d parameters of `%s` are not in %s and keep their first values", n,
                        all, s->m->decl->name, s->what);
        lg_diag_note(d, n > SHOWN ? "%s, ..." : "%s", names.at);
    }
    lg_buf_free(&names);
}

static lg_value *set_by_path(lg_elab *E, lg_value *model, lg_value *record, bool states,
                             const char *what, lg_span at) {
    setting s = {
        .E = E, .m = model->model.m, .at = at, .what = what, .states = states, .cast = states};
    s.leaf = lg_arena_dup(E->arena, model->model.leaf, sizeof *s.leaf * s.m->leaf.n);
    s.set = states ? LG_NEW_N(E->arena, bool, s.m->leaf.n + 1) : NULL;
    bool known = true; /* whether it has all that it has */
    bool ok = true;
    if (record->kind == LG_V_MODEL) {
        lg_model_leaf *leaf;
        int n = lg_model_leaves(E, record, &leaf);
        for (int i = 0; i < n; i++)
            if (leaf[i].alias < 0 && (states || !leaf[i].is_state)) {
                lg_value *type = record->model.m->leaf.at[i].type;
                lg_value *v = lg_retyped(E, type, leaf[i].init);
                ok = set_leaf(&s, leaf[i].path, lg_value_seen_from(E, E->frame, v)) && ok;
            }
    } else {
        lg_leaf *leaf;
        int n = lg_v_places(E, record, &leaf);
        for (int i = 0; i < n; i++)
            if (leaf[i].value->kind == LG_V_ERROR)
                known = false;
            else
                ok = set_leaf(&s, leaf[i].path, leaf[i].value) && ok;
    }
    ok = report_unknown(&s) && ok;
    if (ok && known && s.set)
        report_missing(&s);
    lg_buf_free(&s.unknown);
    if (!ok)
        return lg_v_error(E, at);
    lg_value *r = lg_v_copy(E, model);
    r->model.leaf = s.leaf;
    return r;
}

lg_value *lg_model_at(lg_elab *E, lg_value *model, lg_value *record, lg_span at) {
    if (record->kind == LG_V_OPAQUE)
        return model;
    if (record->kind == LG_V_RECORD || record->kind == LG_V_MODEL || record->kind == LG_V_LIST)
        return set_by_path(E, model, record, false, "the record", at);
    if (record->kind != LG_V_ERROR)
        lg_err(E, "E0208", at, "`at` wants a record of parameters, got %s",
               lg_v_type_text(E, record));
    return lg_v_error(E, at);
}

lg_value *lg_model_from(lg_elab *E, lg_value *model, lg_value *source, lg_span at) {
    if (source->kind == LG_V_ERROR || source->kind == LG_V_OPAQUE)
        return model;
    if (model->kind != LG_V_MODEL || source->kind == LG_V_ERROR) {
        bool said = model->kind == LG_V_ERROR || source->kind == LG_V_ERROR;
        if (!said)
            lg_err(E, "E0331", at, "`from` initialises a model, not %s", lg_v_type_text(E, model));
        return LG_CHECKING(E) && model->kind == LG_V_MODEL ? model : lg_v_error(E, at);
    }
    const char *what = source->kind == LG_V_STR && source->str ? lg_txt(E, "\"%s\"", source->str)
                       : source->kind == LG_V_MODEL            ? "the other model"
                                                               : "the record";
    bool record =
        source->kind == LG_V_RECORD || source->kind == LG_V_MODEL || source->kind == LG_V_LIST;
    if (!record && E->host_call) {
        source = E->host_call(E, "from", NULL, 1, &source);
        if (!source || source->kind == LG_V_ERROR || source->kind == LG_V_NONE)
            return LG_CHECKING(E) ? model : lg_v_error(E, at);
    } else if (!record) {
        lg_err(E, "E0208", at, "`from` wants a record, a run or a directory of saves, got %s",
               lg_v_type_text(E, source));
        return lg_v_error(E, at);
    }
    return set_by_path(E, model, source, true, what, at);
}
