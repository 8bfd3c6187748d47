/* repl_save.c: `:save FILE`: the definitions in view as a file that makes them again. What was
 * drawn, trained, or computed with a definition that is no longer there is written as a value:
 * short arrays in the file, long ones and models beside it. */
#include "compiler/driver/repl.h"
#include "compiler/mid/model.h"
#include "runtime/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_THE_FILE = 64 };

typedef struct {
    lg_repl *R;
    const char *path;
    lg_buf text;
    const char *failed; /* a name whose value cannot be written */
    bool ok;
} saving;

/* ---- values ---- */

static void put_elements(lg_buf *b, const lg_tensor *x, int axis, size_t at, size_t stride) {
    if (axis == x->rank) {
        char text[40];
        double v = lg_get_f64(x->dtype, x->data, at);
        if (x->dtype == LG_BOOL)
            lg_buf_printf(b, "%s", v != 0 ? "true" : "false");
        else if (lg_dtype_is_int(x->dtype))
            lg_buf_printf(b, "%lld", (long long)lg_get_i64(x->dtype, x->data, at));
        else
            lg_buf_printf(b, "%s", lg_number_text(text, v, x->dtype != LG_F64));
        return;
    }
    int64_t n = x->shape[axis];
    stride /= n ? (size_t)n : 1;
    lg_buf_put(b, "[", 1);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            lg_buf_put(b, ", ", 2);
        put_elements(b, x, axis + 1, at + (size_t)i * stride, stride);
    }
    lg_buf_put(b, "]", 1);
}

static bool all_finite(const lg_tensor *x) {
    bool ok = true;
    for (size_t i = 0; i < x->n; i++)
        ok = ok && lg_get_f64(x->dtype, x->data, i) - lg_get_f64(x->dtype, x->data, i) == 0;
    return ok;
}

static lg_io io_of(saving *s) {
    return (lg_io){.ds = &s->R->in.ds, .max_bytes = (size_t)1 << 40};
}

static bool put_array(saving *s, const char *name, const lg_value *v, lg_buf *out) {
    const lg_tensor *x = v->t.node->attr.tensor;
    if (x->n && x->n <= IN_THE_FILE && all_finite(x)) {
        lg_buf_printf(out, "%s(", lg_dtype_name(x->dtype));
        put_elements(out, x, 0, 0, x->n);
        lg_buf_printf(out, ")");
        return true;
    }
    if (!x->rank || !x->n)
        return false;
    char *file = lg_arena_printf(s->R->in.arena, "%s.%s.npy", s->path, name);
    lg_io io = io_of(s);
    if (lg_npy_write(&io, file, x) != LG_OK)
        return false;
    lg_buf_printf(&s->text, "data saved_%s from npy(\"%s\")\n", name, file);
    lg_buf_printf(out, "%s(rows_of(saved_%s).value)", lg_dtype_name(x->dtype), name);
    return true;
}

/* The value as an expression; what it needs before goes to s->text. */
static bool put_value(saving *s, const char *name, lg_value *v, lg_buf *out) {
    if (v->kind == LG_V_TENSOR && v->t.node && v->t.node->op == &lg_op_const)
        return put_array(s, name, v, out);
    if (v->kind == LG_V_NUM && v->num.known) {
        char text[40];
        lg_buf_printf(out, "%s",
                      v->num.is_bool  ? (v->num.i ? "true" : "false")
                      : v->num.is_int ? lg_arena_printf(s->R->in.arena, "%lld", (long long)v->num.i)
                                      : lg_number_text(text, v->num.d, false));
        return true;
    }
    if (v->kind != LG_V_RECORD)
        return false;
    lg_buf_put(out, "{", 1);
    for (int i = 0; i < v->rec.n; i++) {
        lg_buf_printf(out, "%s%s: ", i ? ", " : "", v->rec.f[i].name);
        char *inner = lg_arena_printf(s->R->in.arena, "%s_%s", name, v->rec.f[i].name);
        if (!put_value(s, inner, v->rec.f[i].value, out))
            return false;
    }
    lg_buf_put(out, "}", 1);
    return true;
}

static bool put_model(saving *s, const lg_ast *part, lg_value *v) {
    lg_leaf *leaf;
    lg_bundle b = {0};
    int n = lg_v_leaves(s->R->in.E, lg_model_record(s->R->in.E, v), &leaf);
    char *file = lg_arena_printf(s->R->in.arena, "%s.%s.safetensors", s->path, part->name);
    for (int i = 0; i < n; i++)
        if (leaf[i].value->kind == LG_V_TENSOR && leaf[i].value->t.node->op == &lg_op_const)
            lg_bundle_add(&b, lg_intern(leaf[i].path),
                          lg_tensor_retain(leaf[i].value->t.node->attr.tensor));
    lg_io io = io_of(s);
    bool ok = lg_safetensors_write(&io, file, &b) == LG_OK;
    lg_bundle_fini(&b);
    lg_buf_printf(&s->text, "part %s = %s from \"%s\"\n", part->name,
                  lg_ast_text(s->R->in.arena, part->kid[LG_D_VALUE]), file);
    return ok;
}

/* ---- statements ---- */

static bool has_kind(const lg_ast *t, lg_ast_kind k) {
    if (!t)
        return false;
    if (t->kind == k)
        return true;
    for (uint32_t i = 0; i < t->n; i++)
        if (has_kind(t->kid[i], k))
            return true;
    return false;
}

/* Functions are looked into when they are called: their text is what they are. */
static bool is_function(const saving *s, const lg_ast *let) {
    const lg_ast *p = let->kid[0];
    const lg_binding *b =
        p->kind == LG_A_NAME ? lg_find_local(s->R->module->frame, p->name, false) : NULL;
    return b && b->value && b->value->kind == LG_V_FN;
}

static void save_name(void *ctx, lg_sym name) {
    saving *s = ctx;
    lg_binding *b = lg_find_local(s->R->module->frame, name, false);
    lg_buf value = {0};
    bool ok = b && b->value && put_value(s, name, b->value, &value);
    if (ok)
        lg_buf_printf(&s->text, "let %s = %s\n", name, value.at);
    else
        s->failed = s->failed ? s->failed : name;
    lg_buf_free(&value);
}

/* The text of t up to `to`, from *at on. Paths of files that stand beside where t is from, not beside
 * the new file, become whole paths. */
static void put_text(saving *s, const lg_ast *t, const char *text, uint32_t *at) {
    for (uint32_t i = 0; i < t->n; i++)
        if (t->kid[i])
            put_text(s, t->kid[i], text, at);
    const char *path = t->kind == LG_A_STR && t->n == 1 ? t->kid[0]->text : NULL;
    if (!path || *path == '/' || !strpbrk(path, "./") || t->span.beg < *at)
        return;
    char *found = lg_io_find(path, lg_source_name(t->span.file)), *whole = NULL;
    bool elsewhere = strcmp(found, path) != 0 || strchr(s->path, '/');
    if (elsewhere && (whole = realpath(found, NULL))) {
        lg_buf_put(&s->text, text + *at, t->span.beg - *at);
        lg_buf_printf(&s->text, "\"%s\"", whole);
        *at = t->span.end;
    }
    free(whole);
    lg_free(found);
}

static void save_statement(saving *s, const lg_ast *t, bool outdated) {
    size_t n;
    const char *text = lg_source_text(t->span.file, &n);
    bool part = t->kind == LG_A_DECL && !strcmp(t->text, "part");
    lg_binding *b = part ? lg_find_local(s->R->module->frame, t->name, false) : NULL;
    if (b && b->value && b->value->kind == LG_V_MODEL) {
        s->ok = put_model(s, t, b->value) && s->ok;
    } else if (t->kind == LG_A_LET && !is_function(s, t) && (outdated || has_kind(t, LG_A_RAND))) {
        lg_repl_names_of(t, save_name, s);
    } else {
        if (t->doc)
            lg_buf_printf(&s->text, "## %s\n", t->doc);
        uint32_t at = t->span.beg;
        put_text(s, t, text, &at);
        lg_buf_put(&s->text, text + at, t->span.end - at);
        lg_buf_put(&s->text, "\n", 1);
    }
}

static void save_one(void *ctx, const lg_ast *t, bool outdated) {
    saving *s = ctx;
    save_statement(s, t, outdated);
}

bool lg_repl_save(lg_repl *R, const char *path) {
    saving s = {.R = R, .path = path, .ok = true};
    lg_buf_printf(&s.text, "# Made by :save of the prompt.\n");
    lg_repl_in_view(R, save_one, &s);
    if (s.failed) {
        lg_diag *d = lg_diag_add(&R->in.ds, "E0716", (lg_span){0},
                                 "the value of `%s` cannot be written to a file", s.failed);
        lg_diag_help(d, "it was drawn, or depends on a definition that was replaced");
    }
    lg_io io = io_of(&s);
    bool ok = !s.failed && s.ok && lg_file_write(&io, path, s.text.at, s.text.n) == LG_OK;
    lg_buf_free(&s.text);
    return ok;
}
