/* save.c: what a training run keeps on disk, and how it goes on from there: every variable by path,
 * and as text where it stood. Models read the same files with `from`. */
#include "compiler/host/codes.h"
#include "compiler/host/train.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arguments of the run and of the program, so that going on with others is noticed. */
static json_t *arguments(lg_train *T) {
    json_t *o = json_object();
    for (lg_module *m = T->E->modules; m; m = m->next)
        for (uint32_t i = 0; !m->library && i < m->tree->n; i++) {
            const lg_ast *d = m->tree->kid[i];
            lg_binding *b =
                lg_is_word(d, "arg") && d->name ? lg_find_local(m->frame, d->name, false) : NULL;
            if (!b || b->state != LG_B_VALUE || !b->value)
                continue;
            lg_buf t = {0};
            lg_format_value(T->E, &t, b->value, NULL, d->span);
            json_object_set_new(o, d->name, json_string(t.at ? t.at : ""));
            lg_buf_free(&t);
        }
    const lg_ast *params = T->decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++) {
        lg_binding *b = lg_find_local(T->settings_frame, params->kid[i]->name, false);
        if (!b || !b->value)
            continue;
        lg_buf t = {0};
        lg_format_value(T->E, &t, b->value, NULL, params->kid[i]->span);
        json_object_set_new(o, params->kid[i]->name, json_string(t.at ? t.at : ""));
        lg_buf_free(&t);
    }
    return o;
}

char *lg_train_arguments(lg_train *T) {
    json_t *o = arguments(T);
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static char *position(lg_train *T) {
    json_t *o = json_object(), *feeds = json_array(), *series = json_object();
    const char *program = lg_source_name(T->decl->span.file), *slash = strrchr(program, '/');
    json_object_set_new(o, "program", json_string(slash ? slash + 1 : program));
    json_object_set_new(o, "train", json_string(T->decl->name ? T->decl->name : ""));
    json_object_set_new(o, "phase", json_integer(T->phase_no));
    json_object_set_new(o, "step", json_integer(T->step));
    json_object_set_new(o, "epoch", json_integer(T->epoch));
    json_object_set_new(o, "run_step", json_integer(T->run_step));
    json_object_set_new(o, "gradients", json_integer(T->gradients));
    char seed[32];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)T->seed);
    json_object_set_new(o, "seed", json_string(seed));
    for (size_t i = 0; i < T->feed.n; i++) {
        json_t *f = json_object();
        json_object_set_new(f, "name", json_string(T->feed.at[i].name ? T->feed.at[i].name : ""));
        json_object_set_new(f, "at", json_integer(T->feed.at[i].at));
        json_object_set_new(f, "epoch", json_integer(T->feed.at[i].epoch));
        json_array_append_new(feeds, f);
    }
    json_object_set_new(o, "data", feeds);
    for (size_t i = 0; i < T->series.n; i++) {
        json_t *v = json_array();
        for (size_t k = 0; k < T->series.at[i].values.n; k++) {
            double x = T->series.at[i].values.at[k];
            json_array_append_new(v, x - x == 0 ? json_real(x) : json_null());
        }
        json_object_set_new(series, T->series.at[i].name, v);
    }
    json_object_set_new(o, "history", series);
    json_object_set_new(o, "args", arguments(T));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

/* Which variables are codes, and whose. */
static bool note_codes(lg_train *T, lg_bundle *out) {
    const lg_step_plan *p = T->plans;
    while (p && p->eval)
        p = p->next;
    bool ok = true;
    for (size_t i = 0; p && i < p->b->cell.n; i++) {
        const lg_cell *c = &p->b->cell.at[i];
        lg_leaf *place;
        int n = c->decoded ? lg_v_places(T->E, c->now, &place) : 0;
        for (int k = 0; ok && k < n; k++) {
            const char *path =
                *place[k].path ? lg_txt(T->E, "%s.%s", c->path, place[k].path) : c->path;
            if (lg_is_codes(place[k].value))
                ok = lg_codes_note(T->E, path, place[k].value, out, T->at);
        }
    }
    return ok;
}

bool lg_train_save_begin(lg_train *T, const char *dir) {
    lg_io io = lg_host_io(T->E, T->at);
    if (T->locked_dir && strcmp(T->locked_dir, dir) == 0)
        return true;
    if (T->locked_dir)
        lg_checkpoint_unlock(T->lock);
    T->locked_dir = NULL;
    if (lg_checkpoint_lock(&io, dir, &T->lock) != LG_OK)
        return false;
    T->locked_dir = lg_intern(dir);
    int64_t last = lg_checkpoint_last_run(dir); /* going on is the same run */
    T->save_run = T->H->o.resume && last ? last : last + 1;
    return true;
}

bool lg_train_save(lg_train *T, const char *dir) {
    if (!lg_train_save_begin(T, dir))
        return false;
    lg_io io = lg_host_io(T->E, T->at);
    lg_bundle b = {0};
    for (size_t i = 0; i < T->var.n; i++)
        if (T->var.at[i].x)
            lg_bundle_add(&b, T->var.at[i].path, lg_tensor_retain(T->var.at[i].x));
    char *meta = position(T);
    lg_checkpoint_opts opts = {.step = T->run_step, .run = T->save_run, .meta = meta, .keep = 5};
    bool ok = note_codes(T, &b) && lg_checkpoint_save(&io, dir, &b, &opts) == LG_OK;
    free(meta);
    lg_bundle_fini(&b);
    return ok;
}

/* ---- going on ---- */

static bool same_arguments(lg_train *T, const json_t *saved, const char *file) {
    json_t *now = arguments(T);
    const char *key;
    json_t *was;
    bool ok = true;
    json_object_foreach(json_object_get(saved, "args"), key, was) {
        const json_t *is = json_object_get(now, key);
        if (is && json_is_string(was) &&
            strcmp(json_string_value(is), json_string_value(was)) != 0) {
            lg_err(T->E, "E0629", T->at, "`%s` is %s now, but was %s in %s", key,
                   json_string_value(is), json_string_value(was), file);
            ok = false;
        }
    }
    json_decref(now);
    return ok;
}

static int64_t number(const json_t *o, const char *key) {
    return json_integer_value(json_object_get(o, key));
}

static void restore_position(lg_train *T, const json_t *o) {
    T->phase_no = (int)number(o, "phase");
    T->step = number(o, "step");
    T->epoch = number(o, "epoch");
    T->run_step = number(o, "run_step");
    T->gradients = number(o, "gradients");
    const char *seed = json_string_value(json_object_get(o, "seed"));
    if (seed)
        T->seed = strtoull(seed, NULL, 10);
    const json_t *feeds = json_object_get(o, "data");
    for (size_t i = 0; i < T->feed.n && i < json_array_size(feeds); i++) {
        const json_t *f = json_array_get(feeds, i);
        lg_free(T->feed.at[i].order);
        T->feed.at[i].order = NULL;
        T->feed.at[i].at = number(f, "at");
        T->feed.at[i].epoch = number(f, "epoch");
        lg_data *d = T->feed.at[i].data;
        if (T->feed.at[i].at < 0 || (d->n >= 0 && T->feed.at[i].at > d->n))
            T->feed.at[i].at = 0;
    }
    const char *key;
    json_t *values;
    json_object_foreach(json_object_get(o, "history"), key, values) {
        int number_of = lg_train_series(T, lg_intern(key), strcmp(key, "loss") != 0);
        lg_series *s = &T->series.at[number_of];
        s->values.n = 0;
        for (size_t k = 0; k < json_array_size(values); k++)
            LG_PUSH(s->values, json_is_number(json_array_get(values, k))
                                   ? json_number_value(json_array_get(values, k))
                                   : s->last);
        if (s->values.n)
            s->last = s->values.at[s->values.n - 1];
    }
}

/* Is the piece at `at` of a path the word, or the word with a number behind it? */
static bool is_piece(const char *at, const char *word) {
    size_t n = strlen(word);
    if (strncmp(at, word, n) != 0)
        return false;
    return at[n + strspn(at + n, "0123456789")] == '.';
}

/* "net.w.optimizer.m", or "optimizer2.t": an optimizer keeps it, and a phase starts it afresh. */
static bool is_of_rule(const char *path) {
    bool found = is_piece(path, "optimizer");
    for (const char *dot = strchr(path, '.'); dot && !found; dot = strchr(dot + 1, '.'))
        found = is_piece(dot + 1, "optimizer");
    return found;
}

static const char *type_text(lg_elab *E, const lg_type *t) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s", lg_dtype_name(t->dtype));
    for (int i = 0; i < t->rank; i++)
        lg_buf_printf(&b, "%s%lld", i ? ", " : "[", (long long)t->shape[i]);
    const char *text = lg_txt(E, "%s%s", b.at, t->rank ? "]" : "");
    lg_buf_free(&b);
    return text;
}

static bool another(lg_train *T, const char *text) {
    lg_diag *d = lg_err(T->E, "E0629", T->at, "%s", text);
    lg_diag_help(d, "a run goes on with the parts and optimizers it was saved with; `part NAME = "
                    "Model() from \"DIR\"` starts another run from the parameters of a save");
    return false;
}

static bool another_type(lg_train *T, const char *path, const lg_type *is, const lg_type *was,
                         const char *file) {
    return another(T, lg_txt(T->E, "`%s` is %s now, but was %s in %s", path, type_text(T->E, is),
                             type_text(T->E, was), file));
}

/* A run under way takes only what has the types of what it holds. */
static bool fits_held(lg_train *T, const lg_checkpoint *c) {
    bool ok = true;
    for (size_t i = 0; ok && i < T->var.n; i++)
        for (size_t k = 0; ok && T->var.at[i].x && k < c->tensors.list.n; k++) {
            const lg_tensor *x = T->var.at[i].x, *y = c->tensors.list.at[k].x;
            if (T->var.at[i].path != c->tensors.list.at[k].name)
                continue;
            lg_type is = lg_type_make(x->dtype, x->rank, x->shape),
                    was = lg_type_make(y->dtype, y->rank, y->shape);
            ok = lg_type_equal(&is, &was) || another_type(T, T->var.at[i].path, &is, &was, c->file);
        }
    return ok;
}

bool lg_train_restore(lg_train *T, const char *dir) {
    lg_io io = lg_host_io(T->E, T->at);
    lg_checkpoint c = {0};
    if (lg_checkpoint_load(&io, dir, &c) != LG_OK)
        return false;
    json_error_t err;
    json_t *o = c.meta ? json_loads(c.meta, 0, &err) : NULL;
    const char *train = json_string_value(json_object_get(o, "train"));
    bool ok = o != NULL && train;
    if (!ok)
        lg_err(T->E, "E0629", T->at, "%s was not saved by a train: it cannot go on", c.file);
    else if (T->decl->name && strcmp(train, T->decl->name) != 0) {
        lg_err(T->E, "E0629", T->at, "%s was saved by the train `%s`", c.file, train);
        ok = false;
    }
    ok = ok && same_arguments(T, o, c.file);
    if (ok && number(o, "phase") >= (T->n_phases ? T->n_phases : 1)) {
        lg_err(T->E, "E0629", T->at, "%s was saved in a phase that the train does not have",
               c.file);
        ok = false;
    }
    ok = ok && fits_held(T, &c);
    for (size_t i = 0; ok && i < c.tensors.list.n; i++) {
        lg_sym path = c.tensors.list.at[i].name;
        int v = lg_train_var(T, path, is_of_rule(path) ? LG_VAR_RULE : LG_VAR_STATE);
        lg_tensor_release(T->var.at[v].x);
        T->var.at[v].x = lg_tensor_retain(c.tensors.list.at[i].x);
    }
    if (ok) {
        restore_position(T, o);
        T->restored = lg_intern(c.file);
        T->restored_step = T->run_step;
    }
    json_decref(o);
    lg_checkpoint_fini(&c);
    return ok;
}

/* ---- `from` ---- */

/* "net.l1.w" below "net" is "l1.w"; what optimizers and quantizers keep there is left out. */
static const char *below(const char *path, lg_sym part) {
    size_t n = strlen(part);
    if (strncmp(path, part, n) != 0 || path[n] != '.')
        return NULL;
    const char *rest = path + n + 1;
    for (const char *dot = path + n; dot; dot = strchr(dot + 1, '.'))
        if (is_piece(dot + 1, "optimizer") || is_piece(dot + 1, "quantizer"))
            return NULL;
    return rest;
}

/* ---- is the save one of this train? ---- */

/* Does a saved array belong to a part of the train that no longer has it? */
static bool left_over(lg_build *b, const lg_var *var, const bool *used) {
    const lg_ast *block = b->T->decl->kid[LG_D_BLOCK];
    if (!var->x || used[var - b->T->var.at])
        return false;
    for (uint32_t i = 0; block && i < block->n; i++)
        if (lg_is_word(block->kid[i], "part") && below(var->path, block->kid[i]->name))
            return true;
    return false;
}

/* What optimizers and quantizers of a phase keep is not in a save from the end of the one before. */
static bool begins_in_phase(const char *path) {
    bool found = is_of_rule(path);
    for (const char *dot = strchr(path, '.'); dot && !found; dot = strchr(dot + 1, '.'))
        found = is_piece(dot + 1, "quantizer");
    return found;
}

bool lg_train_fits_save(lg_build *b) {
    lg_train *T = b->T;
    lg_elab *E = b->E;
    bool first = !b->eval && T->run_step > 0 && T->run_step == T->restored_step;
    bool *used = lg_alloc(T->var.n + 1), ok = true;
    memset(used, 0, T->var.n + 1);
    for (size_t s = 0; ok && s < b->slot.n; s++) {
        if (b->slot.at[s].kind != LG_S_VAR)
            continue;
        const lg_var *var = &T->var.at[b->slot.at[s].index];
        used[b->slot.at[s].index] = true;
        if (!var->x) {
            if (first && !(T->step == 0 && begins_in_phase(var->path)))
                ok = another(T, lg_txt(E, "`%s` is not in %s", var->path, T->restored));
            continue;
        }
        lg_type was = lg_type_make(var->x->dtype, var->x->rank, var->x->shape);
        const lg_type *is = &b->slot.at[s].init->type[0];
        ok = lg_type_equal(&was, is) || another_type(T, var->path, is, &was, T->restored);
    }
    for (size_t i = 0; ok && first && i < T->var.n; i++)
        if (left_over(b, &T->var.at[i], used))
            ok = another(T, lg_txt(E, "`%s` is in %s, but not in the train now", T->var.at[i].path,
                                   T->restored));
    lg_free(used);
    return ok;
}

/* ---- records of saves ---- */

static lg_value *record_of_bundle(lg_elab *E, const lg_bundle *b, lg_sym part, lg_span at) {
    lg_value *r = lg_v_record(E, 0, at);
    bool prefixed = false;
    for (size_t i = 0; part && i < b->list.n; i++)
        prefixed = prefixed || below(b->list.at[i].name, part);
    lg_notes *notes = lg_notes_new(E, b, at);
    bool ok = true;
    for (size_t i = 0; ok && i < b->list.n; i++) {
        const char *name = b->list.at[i].name, *path = prefixed ? below(name, part) : name;
        if (path)
            ok = lg_notes_add(notes, r, name, path, lg_host_array(E, b->list.at[i].x, NULL, at));
    }
    lg_notes_free(notes);
    return ok ? r : lg_v_error(E, at);
}

lg_value *lg_host_record_from(lg_elab *E, lg_value *v, lg_sym part, lg_span at) {
    if (v->kind ==
        LG_V_RECORD) { /* a run has the part as a field; other records are by path already */
        lg_value *x = part ? lg_v_field(v, part) : NULL;
        return x && (x->kind == LG_V_MODEL || x->kind == LG_V_RECORD) ? x : v;
    }
    if (v->kind == LG_V_MODEL || v->kind == LG_V_ERROR)
        return v;
    if (v->kind != LG_V_STR) {
        lg_err(E, "E0208", at, "`from` wants a directory of saves, a run or a record, got %s",
               lg_v_type_text(E, v));
        return lg_v_error(E, at);
    }
    if (!lg_host_of(E)->keep || !v->str)
        return lg_v_error(E, at); /* known when it runs */
    lg_io io = lg_host_io(E, at);
    lg_checkpoint c = {0};
    char *path = lg_host_path(E, v->str, at);
    lg_status st = lg_checkpoint_load(&io, path, &c);
    lg_free(path);
    if (st != LG_OK)
        return lg_v_error(E, at);
    lg_value *r = record_of_bundle(E, &c.tensors, part, at);
    lg_checkpoint_fini(&c);
    return r;
}

lg_value *lg_host_part(lg_elab *E, lg_frame *f, const lg_ast *s) {
    const lg_ast *e = s->kid[LG_D_VALUE], *from = s->kid[LG_D_FROM];
    if (e && e->kind == LG_A_BINARY && !strcmp(e->name, "from")) {
        from = e->kid[1];
        e = e->kid[0];
    }
    if (!e) {
        lg_err(E, "E0331", s->span, "the part `%s` has no model: `part %s = Model(...)`", s->name,
               s->name);
        return lg_v_error(E, s->span);
    }
    lg_value *m = lg_expr_in(E, f, e);
    if (m->kind == LG_V_DECL && !strcmp(m->decl.decl->text, "model"))
        m = lg_call_value(E, m, 0, NULL, e->span);
    if (m->kind != LG_V_MODEL) {
        if (m->kind != LG_V_ERROR)
            lg_err(E, "E0331", e->span, "a part is a model, got %s", lg_v_type_text(E, m));
        return lg_v_error(E, e->span);
    }
    if (!from)
        return m;
    lg_value *r = lg_expr_in(E, f, from);
    if (r->kind == LG_V_RECORD || r->kind == LG_V_STR)
        r = lg_host_record_from(E, r, s->name, from->span);
    if (r->kind == LG_V_ERROR)
        return LG_CHECKING(E) ? m : r;
    return lg_model_from(E, m, r, s->span);
}
