/* data.c: declarations `data name(args) from ... { field x = e }`: instances, and rows by position.
 * Not for files (source.c), fields (rows.c) and stages such as shuffle (pipeline.c). */
#include "compiler/host/train.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const size_t KEEP_BYTES = (size_t)1 << 31; /* more than that is made batch by batch */

/* ---- rows of a source ---- */

/* Rows of one element each are most labels. */
#define PUT_ROWS(bits)                                                                       \
    static void put_rows_##bits(void *to, const void *from, const int64_t *row, int64_t n) { \
        const uint##bits##_t *x = from;                                                      \
        uint##bits##_t *y = to;                                                              \
        for (int64_t i = 0; i < n; i++)                                                      \
            y[i] = x[row[i]];                                                                \
    }
PUT_ROWS(32)
PUT_ROWS(64)
#undef PUT_ROWS

static void put_rows(lg_tensor *y, const lg_tensor *x, const int64_t *row, int64_t n) {
    size_t bytes = x->shape[0] ? lg_tensor_bytes(x) / (size_t)x->shape[0] : 0;
    if (bytes == 4 || bytes == 8) {
        (bytes == 4 ? put_rows_32 : put_rows_64)(y->data, x->data, row, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)y->data + (size_t)i * bytes, (const char *)x->data + (size_t)row[i] * bytes,
               bytes);
}

lg_tensor *lg_take_rows(lg_tensor *x, const int64_t *row, int64_t n) {
    int64_t shape[LG_MAX_RANK];
    memcpy(shape, x->shape, sizeof shape);
    shape[0] = n;
    lg_tensor *y = lg_tensor_new(x->dtype, x->rank, shape);
    put_rows(y, x, row, n);
    return y;
}

/* Neighbours in order, of which a view is enough. */
static bool in_a_row(const int64_t *row, int64_t n) {
    bool run = n > 0;
    for (int64_t i = 1; run && i < n; i++)
        run = row[i] == row[0] + i;
    return run;
}

/* May `was` become n other rows of x? */
static bool serves_again(const lg_tensor *was, const lg_tensor *x, int64_t n, bool view) {
    return was && was->refs == 1 && was->dtype == x->dtype && was->rank == x->rank &&
           was->shape[0] == n &&
           !memcmp(was->shape + 1, x->shape + 1, sizeof *x->shape * (size_t)(x->rank - 1)) &&
           was->owner == (!view      ? NULL
                          : x->owner ? x->owner
                                     : x);
}

/* Rows of x, by the tensor that had those of the batch before where nobody else holds that. */
static lg_tensor *rows_again(lg_tensor *was, lg_tensor *x, const int64_t *row, int64_t n,
                             bool view) {
    if (!serves_again(was, x, n, view)) {
        lg_tensor_release(was);
        return view ? lg_tensor_rows(x, row[0], row[0] + n) : lg_take_rows(x, row, n);
    }
    size_t bytes = n ? lg_tensor_bytes(was) / (size_t)n : 0;
    if (view)
        was->data = (char *)x->data + (size_t)row[0] * bytes;
    else
        put_rows(was, x, row, n);
    return was;
}

static lg_tensor *take_windows(const lg_source *s, const int64_t *row, int64_t n) {
    int64_t shape[LG_MAX_RANK] = {n, s->window};
    for (int i = 1; i < s->tokens->rank; i++)
        shape[i + 1] = s->tokens->shape[i];
    lg_tensor *y = lg_tensor_new(s->tokens->dtype, s->tokens->rank + 1, shape);
    size_t one = lg_tensor_bytes(s->tokens) / (size_t)s->tokens->shape[0],
           bytes = one * (size_t)s->window;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)y->data + (size_t)i * bytes,
               (const char *)s->tokens->data + (size_t)(row[i] * s->stride) * one, bytes);
    return y;
}

/* Windows of rows: the rows one after another, then a dim more. */
static bool fetch_windows(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, const bool *want,
                          lg_tensor **out) {
    int64_t *flat = lg_alloc(sizeof *flat * (size_t)(n * s->window + 1));
    for (int64_t i = 0; i < n * s->window; i++) {
        int64_t r = row[i / s->window] * s->stride + i % s->window;
        flat[i] = s->from->order ? s->from->order[r] : r;
    }
    bool ok = lg_source_fetch(E, s->from->src, flat, n * s->window, want, out);
    lg_free(flat);
    for (int k = 0; ok && k < s->n_cols; k++)
        if (out[k] && out[k]->rank < LG_MAX_RANK) {
            memmove(out[k]->shape + 1, out[k]->shape, sizeof *out[k]->shape * (size_t)out[k]->rank);
            out[k]->rank++;
            out[k]->shape[0] = n;
            out[k]->shape[1] = s->window;
        }
    return ok;
}

bool lg_source_fetch(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, const bool *want,
                     lg_tensor **out) {
    if (s->block || s->fn)
        return lg_source_mapped(E, s, row, n, out);
    if (s->from)
        return fetch_windows(E, s, row, n, want, out);
    for (int i = 0; i < s->n_cols; i++)
        out[i] = want && !want[i] ? NULL
                 : s->col[i].x    ? rows_again(NULL, s->col[i].x, row, n, in_a_row(row, n))
                                  : take_windows(s, row, n);
    return true;
}

/* ---- what the values must fulfil ---- */

static bool check_column(lg_elab *E, const lg_data *d, int k, const lg_tensor *x, lg_span at) {
    size_t row_size = x->shape[0] ? x->n / (size_t)x->shape[0] : 1;
    const lg_value *type = d->src->col[k].type;
    int64_t bound;
    if (lg_dtype_is_float(x->dtype) && !d->src->nonfinite) {
        for (size_t i = 0; i < x->n; i++)
            if (!isfinite(lg_get_f64(x->dtype, x->data, i))) {
                lg_diag *e = lg_err(E, "E0621", at, "`%s` of %s is not finite in row %zu",
                                    d->src->col[k].name, d->name, i / row_size);
                lg_diag_help(e, "leave such rows out with `filter`, or say `nonfinite=true` where "
                                "the file is read");
                return false;
            }
    } else if (type->t.bound && lg_dim_value(type->t.bound, &bound)) {
        for (size_t i = 0; i < x->n; i++) {
            int64_t v = lg_get_i64(x->dtype, x->data, i);
            if (v < 0 || v >= bound) {
                lg_err(E, "E0622", at, "`%s` of %s is %lld in row %zu, outside 0..%lld",
                       d->src->col[k].name, d->name, (long long)v, i / row_size, (long long)bound);
                return false;
            }
        }
    }
    return true;
}

size_t lg_data_kept_bytes(const lg_data *d) {
    size_t bytes = 0;
    for (int i = 0; i < d->src->n_cols; i++) {
        size_t one = lg_dtype_size(d->src->col[i].type->t.dtype);
        for (int k = 0; k < d->src->col[i].type->t.rank; k++) {
            int64_t n;
            one *= lg_dim_value(d->src->col[i].type->t.dim[k], &n) ? (size_t)n : 1;
        }
        bytes += one * (size_t)(d->n > 0 ? d->n : 0);
    }
    return bytes > KEEP_BYTES ? 0 : bytes;
}

static bool make_all(lg_elab *E, lg_data *d) {
    size_t bytes = lg_data_kept_bytes(d);
    if (!bytes && d->n)
        return true;
    int64_t *row = lg_alloc(sizeof *row * (size_t)(d->n ? d->n : 1));
    for (int64_t i = 0; i < d->n; i++)
        row[i] = d->order ? d->order[i] : i;
    lg_tensor **all = LG_NEW_N(E->arena, lg_tensor *, d->src->n_cols + 1);
    bool ok = lg_source_fetch(E, d->src, row, d->n, NULL, all);
    lg_free(row);
    for (int i = 0; ok && i < d->src->n_cols; i++)
        ok = check_column(E, d, i, all[i], d->at);
    if (ok) {
        d->all = all;
        LG_PUSH(lg_host_of(E)->rows, d);
        lg_host_of(E)->made_bytes += bytes;
    }
    return ok;
}

bool lg_data_rows_again(lg_elab *E, lg_data *d, const int64_t *pos, int64_t n, lg_tensor **out) {
    if (d->n >= 0 && !d->all && !make_all(E, d))
        return false;
    if (d->all) {
        bool run = in_a_row(pos, n);
        for (int i = 0; i < d->src->n_cols; i++)
            out[i] = rows_again(out[i], d->all[i], pos, n, run);
        return true;
    }
    for (int i = 0; i < d->src->n_cols; i++) {
        lg_tensor_release(out[i]);
        out[i] = NULL;
    }
    int64_t *row = lg_alloc(sizeof *row * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n; i++)
        row[i] = d->order ? d->order[pos[i]] : pos[i];
    bool ok = lg_source_fetch(E, d->src, row, n, NULL, out);
    lg_free(row);
    return ok;
}

bool lg_data_rows(lg_elab *E, lg_data *d, const int64_t *pos, int64_t n, lg_tensor **out) {
    for (int i = 0; i < d->src->n_cols; i++)
        out[i] = NULL;
    return lg_data_rows_again(E, d, pos, n, out);
}

/* ---- instances ---- */

lg_value *lg_data_value(lg_elab *E, lg_data *d, lg_span at) {
    lg_value *v = lg_v_new(E, LG_V_DATA, at);
    v->ptr = d;
    return v;
}

lg_data *lg_data_derive(lg_elab *E, const lg_data *d) {
    lg_data *r = lg_arena_dup(E->arena, d, sizeof *d);
    r->decl = NULL;
    r->all = NULL;
    r->rows = NULL;
    return r;
}

lg_data *lg_data_of(lg_elab *E, lg_value *v, lg_span at) {
    if (v->kind == LG_V_DATA)
        return v->ptr;
    if (v->kind == LG_V_DECL && !strcmp(v->decl.decl->text, "data"))
        return lg_data_call(E, v->decl.decl, v->decl.env, 0, NULL, at);
    if (v->kind != LG_V_ERROR)
        lg_err(E, "E0208", at, "data are wanted here, got %s", lg_v_type_text(E, v));
    return NULL;
}

static bool has_fields(const lg_ast *block) {
    for (uint32_t i = 0; block && i < block->n; i++)
        if (block->kid[i]->kind == LG_A_DECL && !strcmp(block->kid[i]->text, "field"))
            return true;
    return false;
}

/* Fields over the rows of `from` (NULL: random rows), declared in frame f. */
static lg_data *with_fields(lg_elab *E, lg_data *from, const lg_ast *decl, lg_frame *f) {
    const lg_ast *block = decl->kid[LG_D_BLOCK];
    lg_source *s = LG_NEW(E->arena, lg_source);
    s->name = decl->name ? decl->name : "data";
    s->classes = from ? from->src->classes : -1;
    s->class_names = from ? from->src->class_names : NULL;
    s->nonfinite = from ? from->src->nonfinite : true;
    s->vocab = from ? from->src->vocab : NULL;
    s->contiguous = from && (from->src->contiguous || from->src->window);
    s->block = block;
    s->frame = f;
    s->n = from ? from->n : -1;
    s->seed = lg_host_of(E)->o.seed;
    lg_data *d = LG_NEW(E->arena, lg_data);
    if (from) {
        *d = *from;
        lg_data *base = lg_data_derive(E, from);
        s->from = base;
        d->order = NULL;
        d->all = NULL;
        d->rows = NULL;
    }
    d->src = s;
    d->n = s->n;
    d->name = s->name;
    d->at = decl->name_span;
    if (from && from->src->unknown) {
        s->unknown = true; /* only the declared types are known */
        for (uint32_t i = 0; i < block->n; i++) {
            const lg_ast *k = block->kid[i];
            if (k->kind != LG_A_DECL || strcmp(k->text, "field") != 0 || !k->kid[LG_D_TYPE])
                continue;
            lg_frame *was = E->frame;
            E->frame = f;
            lg_value *v = lg_type_placeholder(E, f, k->kid[LG_D_TYPE], k->span);
            E->frame = was;
            if (v->kind != LG_V_TENSOR)
                continue;
            lg_col *c = LG_NEW_N(E->arena, lg_col, s->n_cols + 1);
            if (s->n_cols)
                memcpy(c, s->col, sizeof *c * (size_t)s->n_cols);
            s->col = c;
            c[s->n_cols++] = (lg_col){.name = k->name, .type = v};
        }
        return d;
    }
    return lg_source_type(E, s) ? d : NULL;
}

static lg_data *raw_data(lg_elab *E, lg_source *s, lg_span at) {
    lg_data *d = LG_NEW(E->arena, lg_data);
    d->src = s;
    d->n = s->n;
    d->name = s->name;
    d->at = at;
    if (!s->n && !s->unknown) {
        lg_err(E, "E0623", at, "%s has no rows", s->name);
        return NULL;
    }
    return d;
}

lg_data *lg_data_expr(lg_elab *E, lg_frame *f, const lg_ast *e, const lg_ast *decl) {
    if (e->kind == LG_A_BINARY && !strcmp(e->name, "|>")) {
        lg_data *d = lg_data_expr(E, f, e->kid[0], decl);
        if (!d)
            return NULL;
        const lg_ast *stage = e->kid[1], *name = stage->kind == LG_A_CALL ? stage->kid[0] : stage;
        lg_arg arg[16];
        int n = 0;
        if (name->kind != LG_A_NAME) {
            lg_err(E, "E0626", stage->span,
                   "a stage of data is one of shuffle, batch, split, take, filter, map ...");
            return NULL;
        }
        for (uint32_t i = 1; stage->kind == LG_A_CALL && i < stage->n && n < 16; i++) {
            const lg_ast *k = stage->kid[i], *x = k->kind == LG_A_NAMED ? k->kid[0] : k;
            arg[n++] =
                (lg_arg){k->kind == LG_A_NAMED ? k->name : NULL, lg_host_expr(E, f, x), k, x->span};
        }
        return lg_data_stage(E, d, name->name, n, arg, stage->span);
    }
    bool reader = e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME &&
                  lg_is_reader(e->kid[0]->name) && !lg_lookup_user(E, f, e->kid[0]->name);
    lg_data *d = NULL;
    if (reader) {
        lg_source *s = lg_source_read(E, f, e);
        d = s ? raw_data(E, s, e->span) : NULL;
    } else {
        d = lg_data_of(E, lg_host_expr(E, f, e), e->span);
    }
    return d && decl && has_fields(decl->kid[LG_D_BLOCK]) ? with_fields(E, d, decl, f) : d;
}

static bool is_known(const lg_value *v) {
    return v->kind == LG_V_STR ? v->str != NULL : v->kind == LG_V_NUM && v->num.known;
}

lg_data *lg_data_call(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                      lg_span at) {
    lg_host *H = lg_host_of(E);
    if (lg_host_within(E, decl)) {
        lg_err(E, "E0305", at, "the data `%s` depend on themselves", decl->name);
        return NULL;
    }
    lg_context c = lg_host_enter(E, H->keep, true);
    lg_frame *f = lg_frame_new(E, LG_F_HOST, env);
    f->decl = decl;
    f->call_at = at;
    size_t errors = E->diags->errors;
    lg_data *d = NULL;
    if (lg_bind_params(E, f, decl->kid[LG_D_PARAMS], n, arg, at,
                       lg_txt(E, "data `%s`", decl->name))) {
        lg_buf key = {0};
        lg_buf_put(&key, "", 0);
        const lg_ast *params = decl->kid[LG_D_PARAMS];
        bool known = true; /* in check mode arguments may be unknown: then calls are not the same */
        for (uint32_t i = 0; params && i < params->n; i++) {
            lg_binding *b = lg_find_local(f, params->kid[i]->name, false);
            if (b && b->value)
                lg_format_value(E, &key, b->value, NULL, at);
            known = known && (H->keep || (b && b->value && is_known(b->value)));
            lg_buf_put(&key, "\n", 1);
        }
        const char *k = lg_intern_n(key.at ? key.at : "", key.n);
        lg_buf_free(&key);
        for (size_t i = 0; known && i < H->data.n; i++)
            if (H->data.at[i]->decl == decl && H->data.at[i]->key == k)
                d = H->data.at[i];
        if (!d) {
            E->frame = f;
            const lg_ast *from =
                decl->kid[LG_D_FROM] ? decl->kid[LG_D_FROM] : decl->kid[LG_D_VALUE];
            if (from)
                d = lg_data_expr(E, f, from, decl);
            else if (has_fields(decl->kid[LG_D_BLOCK]))
                d = with_fields(E, NULL, decl, f);
            else
                lg_err(E, "E0625", decl->span, "`%s` has neither a source nor fields", decl->name);
            if (d && E->diags->errors == errors) {
                d = lg_arena_dup(E->arena, d, sizeof *d);
                d->decl = decl;
                d->key = k;
                d->name = decl->name;
                if (known)
                    LG_PUSH(H->data, d);
            }
        }
    }
    lg_host_leave(E, &c);
    return E->diags->errors == errors ? d : NULL;
}

/* ---- data as arrays ---- */

/* Of a source that is not there yet the fields are known that state their types: all of them? */
static bool all_declared(const lg_source *s) {
    int fields = 0;
    for (uint32_t i = 0; s->block && i < s->block->n; i++)
        fields += lg_is_word(s->block->kid[i], "field");
    return fields && fields == s->n_cols;
}

/* The columns that are known, whose number of rows need not be. */
static lg_value *columns(lg_elab *E, lg_data *d, lg_span at) {
    lg_value *r = lg_v_record(E, 0, at);
    if (!d->rows)
        d->rows = lg_dim_var(E->dims, lg_intern("N"), at);
    if (d->n >= 0 && !d->src->unknown)
        lg_dim_set(d->rows, d->n);
    for (int i = 0; i < d->src->n_cols; i++) {
        const lg_value *t = d->src->col[i].type;
        lg_dim *dim[LG_MAX_RANK] = {d->rows};
        for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++)
            dim[k + 1] = t->t.dim[k];
        lg_value *v = lg_v_tensor(E, t->t.dtype, t->t.rank + 1, dim, NULL, at);
        v->t.bound = t->t.bound;
        lg_v_set_field(E, r, d->src->col[i].name, v);
    }
    return r;
}

lg_value *lg_data_whole(lg_elab *E, lg_data *d, int64_t most, lg_span at) {
    if (!lg_host_of(E)->keep || d->src->unknown)
        return d->src->unknown && !all_declared(d->src) ? lg_v_error(E, at) : columns(E, d, at);
    lg_value *r = lg_v_record(E, 0, at);
    int64_t n = d->n < 0 ? most : d->n;
    if (n < 0) {
        lg_err(E, "E0627", at, "%s is endless: say how many rows with `take(n)`", d->name);
        return lg_v_error(E, at);
    }
    int64_t *pos = lg_data_epoch(d, 0);
    if (!pos) {
        pos = lg_alloc(sizeof *pos * (size_t)(n ? n : 1));
        for (int64_t i = 0; i < n; i++)
            pos[i] = i;
    }
    lg_tensor **x = LG_NEW_N(E->arena, lg_tensor *, d->src->n_cols + 1);
    bool ok = lg_data_rows(E, d, pos, n, x);
    lg_free(pos);
    if (!ok)
        return lg_v_error(E, at);
    if (!d->rows) {
        d->rows = lg_dim_var(E->dims, lg_intern("N"), at);
        lg_dim_set(d->rows, n);
    }
    lg_dim *rows = d->rows;
    for (int i = 0; i < d->src->n_cols; i++) {
        const lg_value *t = d->src->col[i].type;
        lg_dim *dim[LG_MAX_RANK] = {rows};
        for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++)
            dim[k + 1] = t->t.dim[k];
        lg_value *v =
            lg_host_const(E, lg_v_tensor(E, t->t.dtype, x[i]->rank, dim, NULL, at), x[i], at);
        v->t.bound = t->t.bound;
        lg_v_set_field(E, r, d->src->col[i].name, v);
        lg_tensor_release(x[i]);
    }
    return r;
}

lg_value *lg_data_field(lg_elab *E, lg_data *d, lg_sym field, lg_span at) {
    bool later = d->src->unknown || !lg_host_of(E)->keep; /* may show when it runs */
    if (!strcmp(field, "vocab"))
        return d->src->vocab ? lg_v_int(E, (int64_t)lg_vocab_size(d->src->vocab), at)
               : later       ? lg_v_unknown(E, true, false, at)
                       : (lg_err(E, "E0313", at, "%s is no text: it has no vocabulary", d->name),
                          lg_v_error(E, at));
    if (!strcmp(field, "classes"))
        return d->src->classes >= 0 ? lg_v_int(E, d->src->classes, at)
               : later              ? lg_v_unknown(E, true, false, at)
                       : (lg_err(E, "E0313", at, "%s has no labels of classes", d->name),
                          lg_v_error(E, at));
    if (!strcmp(field, "rows"))
        return d->n >= 0 ? lg_v_int(E, d->n, at) : lg_v_unknown(E, true, false, at);
    if (d->src->unknown) {
        lg_value *known = lg_v_field(columns(E, d, at), field);
        return known ? known : lg_v_error(E, at);
    }
    for (int i = 0; i < d->src->n_cols; i++)
        if (d->src->col[i].name == field) {
            lg_value *r = lg_data_whole(E, d, -1, at);
            return r->kind == LG_V_RECORD ? lg_v_field(r, field) : r;
        }
    lg_diag *x = lg_err(E, "E0313", at, "%s has no field `%s`", d->name, field);
    const char **names = LG_NEW_N(E->arena, const char *, d->src->n_cols + 3);
    int n = 0;
    for (; n < d->src->n_cols; n++)
        names[n] = d->src->col[n].name;
    names[n++] = "vocab";
    names[n++] = "classes";
    names[n++] = "rows";
    const char *near = lg_nearest(field, names, (size_t)n);
    if (near)
        lg_diag_help(x, "did you mean `%s`?", near);
    return lg_v_error(E, at);
}
