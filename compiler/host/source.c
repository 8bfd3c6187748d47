/* source.c: rows as files hold them: csv, npy, npz, idx, text, wav, images, safetensors, and arrays
 * of the program. Each file is read once. Not for fields, orders and batches (data.c). */
#include "compiler/host/inside.h"
#include "runtime/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments of a reader ---- */

enum { MOST_ARGS = 32 };
typedef struct {
    lg_elab *E;
    lg_span at;
    const char *reader;
    int n;
    lg_sym name[MOST_ARGS]; /* NULL: positional */
    lg_value *value[MOST_ARGS];
    bool used[MOST_ARGS];
    bool unknown;       /* check mode: an argument is not known */
    int muted;          /* what the diagnostics were before the file was read */
    lg_dim *window_dim; /* of `window`, when it is given in names */
} arglist;

/* A wrong argument is wrong whatever the file holds: said even where a check keeps quiet about
 * files. */
static lg_diag *wrong_arg(arglist *a, const char *code, lg_span at, const char *text) {
    int muted = a->E->diags->muted;
    a->E->diags->muted = a->muted;
    lg_diag *d = lg_err(a->E, code, at, "%s", text);
    a->E->diags->muted = muted;
    return d;
}

static lg_value *take_arg(arglist *a, const char *name, int position) {
    lg_sym s = lg_intern(name);
    int seen = 0;
    for (int i = 0; i < a->n; i++) {
        if (a->name[i] ? a->name[i] == s : seen++ == position) {
            a->used[i] = true;
            return a->value[i];
        }
    }
    return NULL;
}

static const char *text_arg(arglist *a, const char *name, int position) {
    lg_value *v = take_arg(a, name, position);
    if (!v || v->kind == LG_V_ERROR)
        return NULL;
    if (v->kind != LG_V_STR) {
        wrong_arg(
            a, "E0208", v->at,
            lg_txt(a->E, "`%s` of %s is a text, got %s", name, a->reader, lg_v_type_text(a->E, v)));
        return NULL;
    }
    a->unknown = a->unknown || !v->str;
    return v->str;
}

/* One text or a list of them, `*n` in all. */
static const char *const *texts_arg(arglist *a, const char *name, int *n) {
    lg_value *v = take_arg(a, name, -1);
    int count = !v || v->kind == LG_V_ERROR ? 0 : v->kind == LG_V_LIST ? v->list.n : 1;
    const char **text = LG_NEW_N(a->E->arena, const char *, count + 1);
    *n = 0;
    for (int i = 0; i < count; i++) {
        const lg_value *one = v->kind == LG_V_LIST ? v->list.at[i] : v;
        if (one->kind != LG_V_STR) {
            wrong_arg(a, "E0208", v->at,
                      lg_txt(a->E, "`%s` of %s is a text or a list of texts, got %s", name,
                             a->reader, lg_v_type_text(a->E, v)));
            return text;
        }
        a->unknown = a->unknown || !one->str;
        if (one->str)
            text[(*n)++] = one->str;
    }
    return text;
}

static int64_t int_arg(arglist *a, const char *name, int64_t dflt) {
    lg_value *v = take_arg(a, name, -1);
    int64_t x = dflt;
    if (v && v->kind != LG_V_ERROR && !lg_v_static_int(a->E, v, &x)) {
        if (v->kind == LG_V_NUM && !v->num.known)
            a->unknown = true;
        else
            wrong_arg(a, "E0208", v->at,
                      lg_txt(a->E, "`%s` of %s is an integer, got %s", name, a->reader,
                             lg_v_type_text(a->E, v)));
    }
    return x;
}

static int64_t classes_arg(arglist *a) { /* -1: as many as the labels need */
    int64_t n = int_arg(a, "classes", -1);
    if (n < 1 && take_arg(a, "classes", -1) && !a->unknown)
        wrong_arg(a, "E0208", a->at, "`classes` is a positive number");
    return n;
}

static bool bool_arg(arglist *a, const char *name, bool dflt) {
    lg_value *v = take_arg(a, name, -1);
    bool x = dflt;
    if (v && v->kind != LG_V_ERROR && !lg_v_static_bool(a->E, v, &x))
        wrong_arg(a, "E0208", v->at,
                  lg_txt(a->E, "`%s` of %s is true or false, got %s", name, a->reader,
                         lg_v_type_text(a->E, v)));
    return x;
}

static void unused_args(arglist *a, const char *known) {
    for (int i = 0; i < a->n; i++)
        if (!a->used[i]) {
            const char *text = a->name[i]
                                   ? lg_txt(a->E, "%s has no argument `%s`", a->reader, a->name[i])
                                   : lg_txt(a->E, "%s has too many arguments", a->reader);
            lg_diag_help(wrong_arg(a, "E0220", a->value[i]->at, text), "it takes %s", known);
        }
}

/* ---- columns ---- */

static lg_col *add_col(lg_elab *E, lg_source *s, const char *name, lg_tensor *x, lg_span at) {
    lg_col *c = LG_NEW_N(E->arena, lg_col, s->n_cols + 1);
    if (s->n_cols)
        memcpy(c, s->col, sizeof *c * (size_t)s->n_cols);
    s->col = c;
    c += s->n_cols++;
    c->name = lg_intern(name);
    c->x = x;
    lg_dim *dim[LG_MAX_RANK];
    for (int i = 1; i < x->rank; i++)
        dim[i - 1] = lg_dim_num(E->dims, x->shape[i]);
    c->type = lg_v_tensor(E, x->dtype, x->rank - 1, dim, NULL, at);
    c->type->t.weak = x->rank == 1 && lg_dtype_is_int(x->dtype);
    return c;
}

static void label_col(lg_elab *E, lg_col *c, lg_source *s, int64_t classes) {
    if (classes < 0) {
        for (size_t i = 0; i < c->x->n; i++) {
            int64_t v = lg_get_i64(c->x->dtype, c->x->data, i);
            if (v < 0)
                return; /* no label of classes */
            classes = v + 1 > classes ? v + 1 : classes;
        }
    }
    s->classes = classes;
    if (classes > 0)
        c->type->t.bound = lg_dim_num(E->dims, classes);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A column of texts as numbers of its distinct texts, sorted. */
static lg_tensor *text_classes(lg_elab *E, const lg_column *c, size_t n, const char *const **names,
                               int64_t *classes) {
    char **sorted = lg_alloc(sizeof *sorted * (n ? n : 1));
    for (size_t i = 0; i < n; i++)
        sorted[i] = c->text[i];
    qsort(sorted, n, sizeof *sorted, by_text);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (!i || strcmp(sorted[i], sorted[k - 1]) != 0)
            sorted[k++] = sorted[i];
    lg_tensor *x = lg_tensor_new(LG_I32, 1, (int64_t[]){(int64_t)n});
    for (size_t i = 0; i < n; i++) {
        char **hit = bsearch(&c->text[i], sorted, k, sizeof *sorted, by_text);
        ((int32_t *)x->data)[i] = (int32_t)(hit - sorted);
    }
    const char **out = LG_NEW_N(E->arena, const char *, k ? k : 1);
    for (size_t i = 0; i < k; i++)
        out[i] = lg_intern(sorted[i]);
    lg_free(sorted);
    *names = out;
    *classes = (int64_t)k;
    return x;
}

static bool read_csv(arglist *a, lg_source *s, const char *path) {
    lg_elab *E = a->E;
    lg_io io = lg_host_io(E, a->at);
    const char *delimiter = text_arg(a, "delimiter", -1), *missing = text_arg(a, "missing", -1);
    lg_csv_opts o = {.delimiter = delimiter ? delimiter[0] : 0,
                     .no_header = !bool_arg(a, "header", true),
                     .missing = missing,
                     .allow_nonfinite = bool_arg(a, "nonfinite", false)};
    o.na = texts_arg(a, "na", &o.n_na);
    int64_t classes = classes_arg(a);
    s->nonfinite = o.allow_nonfinite;
    if (delimiter && (!delimiter[0] || delimiter[1] || strchr("\"\n\r", delimiter[0])))
        wrong_arg(a, "E0208", a->at, "`delimiter` of csv is one character, no quote or line end");
    unused_args(a, "a path, delimiter=, header=, na=, missing=, nonfinite=, classes=");
    lg_table *t;
    if (lg_csv_load(&io, path, &o, &t) != LG_OK)
        return false;
    s->n = (int64_t)t->n_rows;
    lg_tensor *all = lg_tensor_new(LG_F64, 2, (int64_t[]){s->n, (int64_t)t->n_cols});
    int label = (int)lg_table_find(t, "label");
    if (label < 0)
        label = (int)t->n_cols - 1;
    lg_tensor *label_x = NULL;
    const char *const *label_names = NULL;
    int64_t label_classes = classes;
    for (size_t c = 0; c < t->n_cols; c++) {
        const lg_column *in = &t->cols[c];
        const char *const *names = NULL;
        int64_t k = -1;
        lg_tensor *x;
        if (in->type == LG_COL_TEXT) {
            x = text_classes(E, in, t->n_rows, &names, &k);
        } else {
            x = lg_tensor_new(in->type == LG_COL_I64 ? LG_I64 : LG_F64, 1, &s->n);
            if (s->n)
                memcpy(x->data, in->type == LG_COL_I64 ? (void *)in->i64 : (void *)in->f64,
                       8 * (size_t)s->n);
        }
        for (size_t r = 0; r < t->n_rows; r++)
            ((double *)all->data)[r * t->n_cols + c] = lg_get_f64(x->dtype, x->data, r);
        lg_col *col = add_col(E, s, in->name, x, a->at);
        col->class_names = names;
        if (k >= 0)
            col->type->t.bound = lg_dim_num(E->dims, k);
        if ((int)c == label && lg_dtype_is_int(x->dtype)) {
            label_x = x;
            label_names = names;
            label_classes = classes >= 0 ? classes : k;
            label_col(E, col, s, label_classes);
        } else if ((int)c == label) {
            label_x = x;
        }
    }
    add_col(E, s, "columns", all, a->at);
    if (label_x && strcmp(t->cols[label].name, "label") != 0) {
        lg_col *col = add_col(E, s, "label", lg_tensor_retain(label_x), a->at);
        col->class_names = label_names;
        if (lg_dtype_is_int(label_x->dtype))
            label_col(E, col, s, label_classes);
    }
    s->class_names = label_names;
    lg_table_free(t);
    return true;
}

/* ---- tokens and windows ---- */

static bool windows(arglist *a, lg_source *s, lg_tensor *tokens) {
    lg_elab *E = a->E;
    s->window = int_arg(a, "window", 0);
    s->stride = int_arg(a, "stride", 1);
    int64_t n = tokens->shape[0];
    if (a->unknown)
        return true;
    if (s->window < (take_arg(a, "window", -1) ? 1 : 0) || s->stride < 1) {
        wrong_arg(a, "E0208", a->at,
                  lg_txt(E, "`window` and `stride` of %s are positive", a->reader));
        return false;
    }
    if (!s->window) {
        s->n = n;
        add_col(E, s, strcmp(a->reader, "text") ? "frame" : "token", tokens, a->at);
        if (s->vocab)
            s->col[0].type->t.bound = lg_dim_num(E->dims, (int64_t)lg_vocab_size(s->vocab));
        return true;
    }
    if (s->window > n) {
        lg_err(E, "E0623", a->at, "%s has %lld items, fewer than one window of %lld", s->name,
               (long long)n, (long long)s->window);
        return false;
    }
    s->tokens = tokens;
    s->n = (n - s->window) / s->stride + 1;
    int64_t shape[LG_MAX_RANK] = {1, s->window};
    for (int i = 1; i < tokens->rank; i++)
        shape[i + 1] = tokens->shape[i];
    lg_tensor *one = lg_tensor_new(tokens->dtype, tokens->rank + 1, shape);
    lg_col *c = add_col(E, s, "window", one, a->at);
    c->x = NULL;
    lg_tensor_release(one);
    if (a->window_dim)
        c->type->t.dim[0] = a->window_dim;
    if (s->vocab)
        c->type->t.bound = lg_dim_num(E->dims, (int64_t)lg_vocab_size(s->vocab));
    return true;
}

/* tokens = "chars", "bytes", "words", "words:5000" */
static bool read_text(arglist *a, lg_source *s, const char *path) {
    lg_elab *E = a->E;
    lg_io io = lg_host_io(E, a->at);
    const char *how = text_arg(a, "tokens", -1);
    if (!how)
        how = "chars";
    lg_bytes b;
    if (lg_text_load(&io, path, &b) != LG_OK)
        return false;
    if (!strncmp(how, "words", 5) && (!how[5] || how[5] == ':'))
        s->vocab = lg_vocab_words((const char *)b.at, b.n,
                                  how[5] == ':' ? (size_t)strtoull(how + 6, NULL, 10) : 0);
    else if (!strcmp(how, "bytes"))
        s->vocab = lg_vocab_bytes();
    else if (!strcmp(how, "chars"))
        s->vocab = lg_vocab_chars((const char *)b.at, b.n);
    else
        wrong_arg(a, "E0208", a->at,
                  lg_txt(E, "`tokens` is chars(), bytes() or words(), got `%s`", how));
    lg_tensor *tokens = NULL;
    bool ok =
        s->vocab && lg_vocab_encode(&io, s->vocab, path, (const char *)b.at, b.n, &tokens) == LG_OK;
    lg_bytes_free(&b);
    if (ok && !tokens->n) {
        lg_err(E, "E0623", a->at, "%s has no text", path);
        ok = false;
    }
    if (!ok)
        return false;
    ok = windows(a, s, tokens);
    unused_args(a, "a path, tokens=, window=, stride=");
    return ok;
}

static bool read_wav(arglist *a, lg_source *s, const char *path) {
    lg_io io = lg_host_io(a->E, a->at);
    lg_wav w;
    if (lg_wav_load(&io, path, &w) != LG_OK)
        return false;
    bool ok = windows(a, s, w.x);
    unused_args(a, "a path, window=, stride=");
    return ok;
}

/* ---- arrays ---- */

static bool same_rows(arglist *a, lg_source *s) {
    for (int i = 0; i < s->n_cols; i++) {
        if (s->col[i].x->rank < 1) {
            lg_err(a->E, "E0624", a->at, "`%s` of %s is a single number, not rows", s->col[i].name,
                   s->name);
            return false;
        }
        if (i && s->col[i].x->shape[0] != s->col[0].x->shape[0]) {
            lg_err(a->E, "E0624", a->at, "`%s` has %lld rows, `%s` has %lld", s->col[0].name,
                   (long long)s->col[0].x->shape[0], s->col[i].name,
                   (long long)s->col[i].x->shape[0]);
            return false;
        }
    }
    s->n = s->n_cols ? s->col[0].x->shape[0] : 0;
    return true;
}

static void integer_labels(arglist *a, lg_source *s, int64_t classes) {
    for (int i = 0; i < s->n_cols; i++)
        if (s->col[i].x->rank == 1 &&
            (!strcmp(s->col[i].name, "label") || !strcmp(s->col[i].name, "y")) &&
            lg_dtype_is_int(s->col[i].x->dtype))
            label_col(a->E, &s->col[i], s, classes);
}

static bool scalar_column(arglist *a, const char *name, lg_tensor *x) {
    if (x->rank)
        return false;
    lg_err(a->E, "E0624", a->at, "`%s` is a single number, not rows", name);
    return true;
}

static bool read_bundle(arglist *a, lg_source *s, const char *path, bool npz) {
    lg_io io = lg_host_io(a->E, a->at);
    lg_bundle b = {0};
    int64_t classes = classes_arg(a);
    s->nonfinite = bool_arg(a, "nonfinite", false);
    unused_args(a, "a path, classes=, nonfinite=");
    if ((npz ? lg_npz_load(&io, path, &b) : lg_safetensors_load(&io, path, &b)) != LG_OK)
        return false;
    for (size_t i = 0; i < b.list.n; i++) {
        if (scalar_column(a, b.list.at[i].name, b.list.at[i].x))
            return false;
        add_col(a->E, s, b.list.at[i].name, lg_tensor_retain(b.list.at[i].x), a->at);
    }
    lg_bundle_fini(&b);
    integer_labels(a, s, classes);
    return same_rows(a, s);
}

static bool read_npy(arglist *a, lg_source *s, const char *path) {
    lg_io io = lg_host_io(a->E, a->at);
    lg_tensor *x;
    s->nonfinite = bool_arg(a, "nonfinite", false);
    unused_args(a, "a path, nonfinite=");
    if (lg_npy_load(&io, path, &x) != LG_OK || scalar_column(a, path, x))
        return false;
    add_col(a->E, s, "value", x, a->at);
    return same_rows(a, s);
}

static bool read_idx(arglist *a, lg_source *s, const char *path) {
    lg_io io = lg_host_io(a->E, a->at);
    const char *labels = text_arg(a, "labels", 1);
    int64_t classes = classes_arg(a);
    lg_tensor *x;
    unused_args(a, "a path of pictures, a path of labels, classes=");
    if (lg_idx_load(&io, path, &x) != LG_OK || scalar_column(a, path, x))
        return false;
    add_col(a->E, s, labels ? "image" : "value", x, a->at);
    if (labels) {
        char *found = lg_host_path(a->E, labels, a->at);
        lg_status st = lg_idx_load(&io, found, &x);
        lg_free(found);
        if (st != LG_OK || scalar_column(a, labels, x))
            return false;
        add_col(a->E, s, "label", x, a->at);
        integer_labels(a, s, classes);
    }
    return same_rows(a, s);
}

static bool read_images(arglist *a, lg_source *s, const char *path) {
    lg_io io = lg_host_io(a->E, a->at);
    lg_images im = {0};
    unused_args(a, "a directory");
    if (lg_images_load(&io, path, &im) != LG_OK)
        return false;
    add_col(a->E, s, "image", lg_tensor_retain(im.x), a->at);
    if (im.y) {
        lg_col *c = add_col(a->E, s, "label", lg_tensor_retain(im.y), a->at);
        const char **names = LG_NEW_N(a->E->arena, const char *, im.classes.n + 1);
        for (size_t i = 0; i < im.classes.n; i++)
            names[i] = lg_intern(im.classes.at[i]);
        c->class_names = s->class_names = names;
        label_col(a->E, c, s, (int64_t)im.classes.n);
    }
    lg_images_fini(&im);
    return same_rows(a, s);
}

/* rows(x=X, y=Y): arrays of the program, their dims by name. */
static bool read_rows(arglist *a, lg_source *s) {
    lg_elab *E = a->E;
    for (int i = 0; i < a->n; i++) {
        lg_value *v = lg_host_settle(E, lg_arrayed(E, a->value[i], a->value[i]->at));
        if (!a->name[i]) {
            lg_err(E, "E0220", v->at, "rows takes named arrays: `rows(x=X, y=Y)`");
            return false;
        }
        if (v->kind == LG_V_TENSOR && !v->t.node && v->t.rank) { /* check mode */
            lg_col *c = LG_NEW_N(E->arena, lg_col, s->n_cols + 1);
            if (s->n_cols)
                memcpy(c, s->col, sizeof *c * (size_t)s->n_cols);
            s->col = c;
            c[s->n_cols].name = a->name[i];
            c[s->n_cols].type =
                lg_v_tensor(E, v->t.dtype, v->t.rank - 1, v->t.dim + 1, NULL, a->at);
            c[s->n_cols++].type->t.bound = v->t.bound;
            s->n = -1;
            continue;
        }
        if (v->kind == LG_V_ERROR) {
            a->unknown = true;
            continue;
        }
        lg_tensor *made, *x = lg_host_tensor(E, v, &made);
        if (!x || !x->rank) {
            lg_err(E, "E0208", v->at, "`%s` of rows is an array, got %s", a->name[i],
                   lg_v_type_text(E, v));
            return false;
        }
        lg_col *c = add_col(E, s, a->name[i], lg_tensor_retain(x), a->at);
        if (v->kind == LG_V_TENSOR && v->t.rank == x->rank) {
            memcpy(c->type->t.dim, v->t.dim + 1, sizeof *v->t.dim * (size_t)(v->t.rank - 1));
            c->type->t.bound = v->t.bound;
        }
        c->type->t.weak = false;
        if (!v->t.bound && x->rank == 1 && lg_dtype_is_int(x->dtype))
            label_col(E, c, s, -1);
    }
    s->nonfinite = true;
    return !a->unknown && (s->n < 0 || same_rows(a, s));
}

/* ---- the table of readers ---- */

static const char *const readers[] = {"csv", "npy",    "npz",         "idx", "text",
                                      "wav", "images", "safetensors", "rows"};

bool lg_is_reader(lg_sym name) {
    for (size_t i = 0; i < LG_COUNT(readers); i++)
        if (!strcmp(readers[i], name))
            return true;
    return false;
}

/* The word in tokens=chars() is not a name of the program: a data may be called `chars` too. */
static lg_value *tokens_value(lg_elab *E, lg_frame *f, const lg_ast *e) {
    static const char *const words[] = {"chars", "bytes", "words"};
    if (e->kind == LG_A_CALL && e->kid[0]->kind == LG_A_NAME)
        for (size_t i = 0; i < LG_COUNT(words); i++)
            if (!strcmp(e->kid[0]->name, words[i])) {
                int64_t most = 0;
                if (e->n > 1) {
                    const lg_ast *k = e->kid[1]->kind == LG_A_NAMED ? e->kid[1]->kid[0] : e->kid[1];
                    lg_value *v = lg_host_expr(E, f, k);
                    bool known = lg_v_static_int(E, v, &most);
                    if (known ? most < 1
                              : v->kind != LG_V_ERROR && (v->kind != LG_V_NUM || v->num.known))
                        lg_err(E, "E0208", k->span, "`%s(n)` keeps the n most frequent ones",
                               words[i]);
                }
                return lg_v_str(
                    E, most ? lg_txt(E, "%s:%lld", words[i], (long long)most) : words[i], e->span);
            }
    return lg_host_expr(E, f, e);
}

static void collect_args(lg_elab *E, lg_frame *f, const lg_ast *call, arglist *a) {
    for (uint32_t i = 1; i < call->n && a->n < MOST_ARGS; i++) {
        const lg_ast *k = call->kid[i];
        const lg_ast *e = k->kind == LG_A_NAMED ? k->kid[0] : k;
        a->name[a->n] = k->kind == LG_A_NAMED ? k->name : NULL;
        bool tokens = a->name[a->n] && !strcmp(a->name[a->n], "tokens");
        a->value[a->n] = tokens ? tokens_value(E, f, e) : lg_host_expr(E, f, e);
        if (a->name[a->n] && !strcmp(a->name[a->n], "window") && a->value[a->n]->kind == LG_V_NUM)
            a->window_dim = a->value[a->n]->num.dim;
        a->n++;
    }
}

typedef struct lg_file_rows {
    const char *key;
    lg_source *s;
    struct lg_file_rows *next;
} file_rows;

static const char *key_of(lg_elab *E, const arglist *a, const char *path) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s %s", a->reader, path);
    for (int i = 0; i < a->n; i++) {
        lg_buf_printf(&b, " %s=", a->name[i] ? a->name[i] : "");
        lg_format_value(E, &b, a->value[i], NULL, a->at);
    }
    lg_buf_printf(&b, " %p", (const void *)a->window_dim);
    const char *key = lg_intern(b.at);
    lg_buf_free(&b);
    return key;
}

static bool read_file(arglist *a, lg_source *s, const char *path) {
    const char *r = a->reader;
    return !strcmp(r, "csv")      ? read_csv(a, s, path)
           : !strcmp(r, "npy")    ? read_npy(a, s, path)
           : !strcmp(r, "npz")    ? read_bundle(a, s, path, true)
           : !strcmp(r, "idx")    ? read_idx(a, s, path)
           : !strcmp(r, "text")   ? read_text(a, s, path)
           : !strcmp(r, "wav")    ? read_wav(a, s, path)
           : !strcmp(r, "images") ? read_images(a, s, path)
                                  : read_bundle(a, s, path, false);
}

static lg_source *unknown_source(lg_elab *E, const char *name) {
    lg_source *s = LG_NEW(E->arena, lg_source);
    s->name = name;
    s->n = -1;
    s->classes = -1;
    s->unknown = true;
    return s;
}

size_t lg_source_bytes(const lg_host *H) {
    size_t n = 0;
    for (const file_rows *r = H->file; r; r = r->next) {
        n += r->s->tokens ? lg_tensor_bytes(r->s->tokens) : 0;
        for (int i = 0; i < r->s->n_cols; i++)
            n += r->s->col[i].x ? lg_tensor_bytes(r->s->col[i].x) : 0;
    }
    return n;
}

lg_source *lg_source_read(lg_elab *E, lg_frame *f, const lg_ast *call) {
    lg_host *H = lg_host_of(E);
    arglist a = {.E = E, .at = call->span, .reader = call->kid[0]->name, .muted = E->diags->muted};
    size_t errors = E->diags->errors;
    collect_args(E, f, call, &a);
    if (E->diags->errors != errors)
        return NULL;
    lg_source *s = LG_NEW(E->arena, lg_source);
    s->classes = -1;
    if (!strcmp(a.reader, "rows")) {
        s->name = "rows";
        bool ok = read_rows(&a, s);
        return ok ? s : a.unknown && E->diags->errors == errors ? unknown_source(E, "rows") : NULL;
    }
    const char *path = text_arg(&a, "path", 0);
    if (!path) {
        if (E->diags->errors != errors)
            return NULL;
        if (a.unknown)
            return unknown_source(E, a.reader);
        lg_err(E, "E0220", a.at, "%s wants a path first", a.reader);
        return NULL;
    }
    char *found = lg_host_path(E, path, call->span);
    s->name = lg_intern(found);
    lg_free(found);
    const char *key = key_of(E, &a, s->name);
    for (file_rows *r = H->file; r; r = r->next)
        if (r->key == key)
            return r->s;
    bool checking = H->keep == NULL; /* a file that is missing now may be there when it runs */
    E->diags->muted += checking;
    bool ok = read_file(&a, s, s->name);
    E->diags->muted -= checking;
    if (E->diags->errors != errors)
        return NULL;
    if (checking && (!ok || a.unknown))
        return unknown_source(E, s->name);
    if (!ok)
        return NULL;
    file_rows *r = LG_NEW(E->arena, file_rows);
    *r = (file_rows){key, s, H->file};
    H->file = r;
    return s;
}
