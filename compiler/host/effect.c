/* effect.c: what host code and trains do to the world: print, table, plot, accept, write, save.
 * Arguments come through a callback, so that a step and host code share everything here. */
#include "compiler/host/codes.h"
#include "compiler/host/inside.h"
#include "runtime/io.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    lg_elab *E;
    const lg_ast *s;
    lg_value_of_fn value;
    void *ctx;
} effect;

static bool quiet_now(const effect *x) {
    lg_host *H = lg_host_of(x->E);
    return !H->keep || H->trial;
}

/* ---- print ---- */

static void put_line(lg_elab *E, const char *text) {
    lg_host_of(E)->shown = (lg_table_head){0}; /* a table goes on below its own rows only */
    lg_progress_hide();
    fputs(text, stdout);
    fputc('\n', stdout);
    fflush(stdout);
}

static void print(const effect *x) {
    lg_buf b = {0};
    lg_buf_put(&b, "", 0);
    for (uint32_t i = 0; i < x->s->n; i++) {
        const lg_ast *a = x->s->kid[i];
        if (i)
            lg_buf_put(&b, " ", 1);
        if (a->kind == LG_A_STR) {
            char *text = lg_format_text(x->E, a, x->value, x->ctx);
            lg_buf_printf(&b, "%s", text);
            lg_free(text);
            continue;
        }
        lg_value *v = x->value(x->ctx, x->E, a);
        if (v->kind == LG_V_NONE)
            lg_err(x->E, "E0219", a->span, "this has no value");
        else if (v->kind != LG_V_ERROR && !quiet_now(x))
            lg_format_array(x->E, &b, v);
    }
    if (!quiet_now(x) && lg_host_ok(x->E)) {
        lg_logged_text(x->E, "print", b.at ? b.at : "");
        put_line(x->E, b.at ? b.at : "");
    }
    lg_buf_free(&b);
}

/* ---- table ---- */

static size_t shown_width(const char *s) {
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static bool is_number(const char *s) {
    return *s && strspn(s, "+-.0123456789eE%,") == strlen(s);
}

static bool same_columns(const lg_table_row *a, const lg_table_row *b) {
    return a->n == b->n && !memcmp(a->name, b->name, sizeof *a->name * (size_t)a->n);
}

static void put_cell(lg_buf *b, const char *text, size_t width, bool right, bool last) {
    size_t room = width - shown_width(text);
    for (size_t i = 0; right && i < room; i++)
        lg_buf_put(b, " ", 1);
    lg_buf_printf(b, "%s", text);
    for (size_t i = 0; !right && !last && i < room; i++)
        lg_buf_put(b, " ", 1);
    if (!last)
        lg_buf_put(b, "  ", 2);
}

/* Room of each column: what these rows need, and the rows above them when the table goes on. */
static lg_table_head head_of(lg_elab *E, const lg_host *H, bool goes_on) {
    const lg_table_row *row = H->table.at;
    lg_table_head h = H->shown;
    if (!goes_on) {
        h = (lg_table_head){.row = row[0]};
        h.column = LG_NEW_N(E->home, lg_table_column, row[0].n + 1);
        for (int c = 0; c < row[0].n; c++)
            h.column[c] = (lg_table_column){shown_width(row[0].name[c]), true};
    }
    for (int c = 0; c < row[0].n; c++)
        for (size_t r = 0; r < H->table.n; r++) {
            size_t w = shown_width(row[r].cell[c]);
            h.column[c].width = w > h.column[c].width ? w : h.column[c].width;
            if (!goes_on)
                h.column[c].number = h.column[c].number && is_number(row[r].cell[c]);
        }
    return h;
}

static void put_row(lg_buf *b, const lg_table_head *h, int n, const char *const *cell) {
    if (b->n)
        lg_buf_put(b, "\n", 1);
    for (int c = 0; c < n; c++)
        put_cell(b, cell[c], h->column[c].width, h->column[c].number, c + 1 == n);
}

void lg_host_flush(lg_elab *E) {
    lg_host *H = lg_host_of(E);
    if (!H->table.n)
        return;
    int n = H->table.at[0].n;
    bool goes_on = H->shown.column && same_columns(&H->shown.row, &H->table.at[0]);
    lg_table_head h = head_of(E, H, goes_on);
    lg_buf b = {0};
    if (!goes_on)
        put_row(&b, &h, n, (const char *const *)H->table.at[0].name);
    for (size_t r = 0; r < H->table.n; r++) {
        put_row(&b, &h, n, (const char *const *)H->table.at[r].cell);
        lg_logged_row(E, &H->table.at[r]);
        for (int c = 0; c < n; c++)
            lg_free(H->table.at[r].cell[c]);
        lg_free(H->table.at[r].cell);
    }
    H->table.n = 0;
    put_line(E, b.at ? b.at : "");
    H->shown = h;
    lg_buf_free(&b);
}

static void table_row(const effect *x, lg_value *rec) {
    lg_host *H = lg_host_of(x->E);
    lg_table_row row = {.n = rec->rec.n};
    row.name = LG_NEW_N(x->E->arena, lg_sym, row.n ? row.n : 1);
    row.cell = lg_alloc(sizeof *row.cell * (size_t)(row.n ? row.n : 1));
    for (int i = 0; i < row.n; i++) {
        lg_buf b = {0};
        row.name[i] = rec->rec.f[i].name;
        lg_format_value(x->E, &b, rec->rec.f[i].value, NULL, x->s->span);
        row.cell[i] = b.at ? b.at : lg_alloc(1);
    }
    if (H->table.n && !same_columns(&H->table.at[0], &row))
        lg_host_flush(x->E);
    const lg_table_row *same = H->table.n ? &H->table.at[0] : &H->shown.row;
    if (H->table.n || (H->shown.column && same_columns(same, &row)))
        row.name = same->name;
    else /* they outlive the round */
        row.name = lg_arena_dup(x->E->home, row.name, sizeof *row.name * (size_t)row.n);
    LG_PUSH(H->table, row);
}

/* Row i of a record of arrays; NULL past its end. */
static lg_value *slice_row(lg_elab *E, lg_value *rec, int64_t i, lg_span at) {
    lg_value *r = lg_v_record(E, rec->rec.n, at);
    for (int k = 0; k < rec->rec.n; k++) {
        lg_value *v = rec->rec.f[k].value;
        r->rec.f[k] = rec->rec.f[k];
        if (v->kind == LG_V_LIST) {
            if (i >= v->list.n)
                return NULL;
            r->rec.f[k].value = v->list.at[i];
            continue;
        }
        lg_tensor *made, *x = lg_host_tensor(E, v, &made);
        if (!x || x->rank < 1 || i >= x->shape[0])
            return NULL;
        lg_tensor *row = lg_take_rows(x, &i, 1);
        row->rank--;
        memmove(row->shape, row->shape + 1, sizeof *row->shape * (size_t)row->rank);
        r->rec.f[k].value =
            lg_host_const(E, lg_v_tensor(E, x->dtype, row->rank, v->t.dim + 1, NULL, at), row, at);
        lg_tensor_release(row);
    }
    return r;
}

static bool all_arrays(lg_elab *E, const lg_value *rec) {
    for (int i = 0; i < rec->rec.n; i++) {
        lg_value *v = rec->rec.f[i].value;
        if (v->kind != LG_V_LIST && !(v->kind == LG_V_TENSOR && v->t.rank == 1))
            return false;
    }
    (void)E;
    return rec->rec.n > 0;
}

static void table(const effect *x) {
    for (uint32_t i = 0; i < x->s->n; i++) {
        lg_value *v = x->value(x->ctx, x->E, x->s->kid[i]);
        if (v->kind == LG_V_ERROR || (quiet_now(x) && v->kind != LG_V_RECORD))
            continue;
        if (v->kind == LG_V_LIST) {
            for (int k = 0; k < v->list.n; k++)
                if (v->list.at[k]->kind == LG_V_RECORD)
                    table_row(x, v->list.at[k]);
        } else if (v->kind != LG_V_RECORD) {
            lg_err(x->E, "E0208", x->s->kid[i]->span, "`table` wants a record, got %s",
                   lg_v_type_text(x->E, v));
        } else if (quiet_now(x)) {
            continue;
        } else if (all_arrays(x->E, v)) {
            lg_value *row;
            for (int64_t k = 0; (row = slice_row(x->E, v, k, x->s->span)) != NULL; k++)
                table_row(x, row);
        } else {
            table_row(x, v);
        }
    }
}

/* ---- files and plots ---- */

static bool ends(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* Curves of a value: a vector, each row of a matrix, each field of a record, named by its path. */
static void curves_at(const effect *x, lg_value *v, lg_sym name, bool inside, lg_bundle *out) {
    if (v->kind == LG_V_RECORD) {
        for (int i = 0; i < v->rec.n; i++) {
            lg_sym field = v->rec.f[i].name;
            lg_sym path = inside ? lg_intern(lg_txt(x->E, "%s.%s", name, field)) : field;
            curves_at(x, v->rec.f[i].value, path, true, out);
        }
        return;
    }
    lg_tensor *made, *t = lg_host_tensor(x->E, v, &made);
    if (!t || t->rank < 1 || t->rank > 2) {
        lg_err(x->E, "E0208", x->s->span,
               "a curve is an array of one dim (or rows of curves), got %s",
               lg_v_type_text(x->E, v));
        lg_tensor_release(made);
        return;
    }
    if (t->rank == 1) {
        lg_bundle_add(out, name ? name : lg_intern(""), lg_tensor_retain(t));
        return;
    }
    for (int64_t r = 0; r < t->shape[0]; r++) {
        lg_tensor *row = lg_tensor_new(t->dtype, 1, t->shape + 1);
        memcpy(row->data, (const char *)t->data + (size_t)r * lg_tensor_bytes(row),
               lg_tensor_bytes(row));
        lg_bundle_add(out, lg_intern(lg_txt(x->E, "%s[%lld]", name ? name : "", (long long)r)),
                      row);
    }
}
static void curves(const effect *x, lg_value *v, lg_sym name, lg_bundle *out) {
    curves_at(x, v, name, false, out);
}

/* Named tensors of a value, for files that hold several. */
static bool put_array(const effect *x, const char *path, lg_value *v, lg_bundle *out) {
    lg_tensor *made, *t = lg_host_tensor(x->E, v, &made);
    if (t)
        lg_bundle_add(out, lg_intern(*path ? path : "x"), made ? made : lg_tensor_retain(t));
    else
        lg_err(x->E, "E0208", x->s->span, "`%s` cannot be written: it is %s", path,
               lg_v_type_text(x->E, v));
    return t != NULL;
}

static bool bundle_of(const effect *x, lg_value *v, lg_sym name, lg_bundle *out) {
    lg_leaf *leaf, *part;
    lg_value *settled = v->kind == LG_V_LIST && lg_list_is_array(v)
                            ? lg_host_settle(x->E, lg_list_tensor(x->E, v, LG_NO_DTYPE, v->at))
                            : v;
    int n = lg_v_places(x->E, settled, &leaf);
    bool ok = true;
    for (int i = 0; ok && i < n; i++) {
        const char *path = !name           ? leaf[i].path
                           : *leaf[i].path ? lg_txt(x->E, "%s.%s", name, leaf[i].path)
                                           : name;
        bool codes = lg_is_codes(leaf[i].value);
        if (codes)
            ok = lg_codes_note(x->E, path, leaf[i].value, out, x->s->span);
        int k = codes ? lg_v_leaves(x->E, leaf[i].value, &part) : 0;
        for (int j = 0; ok && j < k; j++)
            ok = put_array(x, lg_txt(x->E, "%s.%s", path, part[j].path), part[j].value, out);
        if (!codes)
            ok = put_array(x, path, leaf[i].value, out);
    }
    return ok;
}

static void write_file(const effect *x, const char *path, lg_value *v) {
    lg_io io = lg_host_io(x->E, x->s->span);
    lg_bundle b = {0};
    lg_tensor *made = NULL, *t = NULL;
    if (ends(path, ".svg")) {
        lg_buf text = {0};
        curves(x, v, NULL, &b);
        lg_plot_svg(&text, (int)b.list.n, b.list.at);
        lg_file_write(&io, path, text.at, text.n);
        lg_buf_free(&text);
    } else if (ends(path, ".npy") || ends(path, ".png") || ends(path, ".wav")) {
        t = lg_host_tensor(x->E, v, &made);
        if (!t)
            lg_err(x->E, "E0208", x->s->span, "`%s` takes one array, got %s", path,
                   lg_v_type_text(x->E, v));
        else if (ends(path, ".npy"))
            lg_npy_write(&io, path, t);
        else if (ends(path, ".png"))
            lg_png_write(&io, path, t);
        else
            lg_wav_write(&io, path, t, 16000, false);
        lg_tensor_release(made);
    } else if (ends(path, ".csv")) {
        if (bundle_of(x, v, NULL, &b))
            lg_csv_write(&io, path, b.list.at, b.list.n);
    } else if (ends(path, ".safetensors")) {
        if (bundle_of(x, v, NULL, &b))
            lg_safetensors_write(&io, path, &b);
    } else {
        lg_buf text = {0};
        lg_format_value(x->E, &text, v, NULL, x->s->span);
        if (v->kind != LG_V_STR)
            lg_buf_printf(&text, "\n");
        lg_file_write(&io, path, text.at, text.n);
        lg_buf_free(&text);
    }
    lg_bundle_fini(&b);
}

static void plot(const effect *x) {
    const char *path = NULL;
    lg_bundle b = {0};
    for (uint32_t i = 0; i < x->s->n; i++) {
        const lg_ast *a = x->s->kid[i];
        lg_value *v = x->value(x->ctx, x->E, a);
        if (v->kind == LG_V_STR)
            path = v->str;
        else if (v->kind != LG_V_ERROR && !quiet_now(x))
            curves(x, v, a->kind == LG_A_NAME || a->kind == LG_A_FIELD ? a->name : NULL, &b);
    }
    if (!quiet_now(x) && lg_host_ok(x->E) && b.list.n) {
        lg_buf text = {0};
        lg_logged_curves(x->E, b.list.n, b.list.at);
        if (path)
            lg_plot_svg(&text, (int)b.list.n, b.list.at);
        else
            lg_plot_terminal(&text, (int)b.list.n, b.list.at);
        lg_io io = lg_host_io(x->E, x->s->span);
        if (path)
            lg_file_write(&io, path, text.at, text.n);
        else if (text.n)
            text.at[text.n - 1] = 0, put_line(x->E, text.at);
        lg_buf_free(&text);
    }
    lg_bundle_fini(&b);
}

/* write "file", value      save "dir", value      either order */
static void write_or_save(const effect *x, bool save) {
    const char *path = NULL;
    LG_VEC(lg_value *) v = {0};
    LG_VEC(lg_sym) name = {0};
    bool bad = false;
    for (uint32_t i = 0; i < x->s->n; i++) {
        const lg_ast *a = x->s->kid[i];
        if (a->kind == LG_A_EVERY)
            continue;
        lg_value *w = x->value(x->ctx, x->E, a);
        if (w->kind == LG_V_STR && !path) {
            path = w->str ? w->str : "";
        } else {
            bad = bad || w->kind == LG_V_ERROR;
            LG_PUSH(v, w);
            LG_PUSH(name, a->kind == LG_A_NAME ? a->name : NULL);
        }
    }
    if (!path || !v.n) {
        if (!bad)
            lg_err(x->E, "E0243", x->s->span, "`%s` wants a path and a value: `%s \"%s\", value`",
                   x->s->name, x->s->name, save ? "runs/net" : "out.npy");
    } else if (!bad && !quiet_now(x) && !save) {
        write_file(x, path, v.at[0]);
        lg_logged_text(x->E, "write", path);
    } else if (!bad && !quiet_now(x)) {
        lg_bundle b = {0};
        lg_io io = lg_host_io(x->E, x->s->span);
        bool ok = true;
        for (size_t i = 0; ok && i < v.n; i++)
            ok = bundle_of(x, v.at[i], name.at[i], &b);
        if (ok && ends(path, ".safetensors"))
            lg_safetensors_write(&io, path, &b);
        else if (ok)
            lg_checkpoint_save(&io, path, &b, &(lg_checkpoint_opts){.step = 0});
        lg_bundle_fini(&b);
    }
    lg_free(v.at);
    lg_free(name.at);
}

/* accept cond, "claim" */
static void accept(const effect *x) {
    lg_value *c = x->value(x->ctx, x->E, x->s->kid[0]);
    char *claim = NULL;
    if (x->s->n > 1 && x->s->kid[1]->kind == LG_A_STR) {
        claim = lg_format_text(x->E, x->s->kid[1], x->value, x->ctx);
    } else if (x->s->n > 1) {
        lg_value *v = x->value(x->ctx, x->E, x->s->kid[1]);
        lg_buf b = {0};
        lg_format_value(x->E, &b, v, NULL, x->s->span);
        claim = b.at;
    }
    if (!claim) {
        claim = lg_alloc(strlen(lg_ast_text(x->E->arena, x->s->kid[0])) + 1);
        strcpy(claim, lg_ast_text(x->E->arena, x->s->kid[0]));
    }
    bool yes = false, known = lg_v_static_bool(x->E, c, &yes);
    if (!known && c->kind != LG_V_ERROR && !(c->kind == LG_V_NUM && c->num.is_bool) &&
        !(c->kind == LG_V_TENSOR && c->t.dtype == LG_BOOL && !c->t.rank))
        lg_err(x->E, "E0206", x->s->kid[0]->span, "`accept` wants one bool, got %s",
               lg_v_type_text(x->E, c));
    if (known && !quiet_now(x) && lg_host_ok(x->E)) {
        lg_buf b = {0};
        lg_buf_printf(&b, "%-12s %s", yes ? "ok" : "FALLS SHORT", claim);
        lg_logged_claim(x->E, yes, claim);
        put_line(x->E, b.at);
        lg_buf_free(&b);
        if (!yes)
            lg_host_of(x->E)->status = 1;
    }
    lg_free(claim);
}

void lg_host_effect_with(lg_elab *E, const lg_ast *s, lg_value_of_fn value, void *ctx) {
    effect x = {E, s, value, ctx};
    if (!strcmp(s->name, "print"))
        print(&x);
    else if (!strcmp(s->name, "table"))
        table(&x);
    else if (!strcmp(s->name, "plot"))
        plot(&x);
    else if (!strcmp(s->name, "accept"))
        accept(&x);
    else if (!strcmp(s->name, "write") || !strcmp(s->name, "save"))
        write_or_save(&x, s->name[0] == 's');
    else if (strcmp(s->name, "check") != 0)
        lg_err(E, "E0443", s->span, "`%s` stands in a train", s->name);
}

static lg_value *host_value(void *ctx, lg_elab *E, const lg_ast *e) {
    return lg_host_expr(E, ctx, e);
}

void lg_host_effect(lg_elab *E, lg_frame *f, const lg_ast *s) {
    lg_host_effect_with(E, s, host_value, f);
}
