/* info.c: `lg info`: what stands in files of arrays, in saves of a run and in built programs. */
#include "compiler/driver/arrays.h"
#include "compiler/driver/command.h"
#include "compiler/program/payload.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void line(const char *key, const char *text) {
    if (text && *text)
        printf("  %-10s %s\n", key, text);
}

/* ---- what a save tells of itself ---- */

static void put_args(const json_t *args) {
    lg_buf b = {0};
    const char *key;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)args, key, value) {
        if (json_is_string(value))
            lg_buf_printf(&b, "%s%s=%s", b.n ? ", " : "", key, json_string_value(value));
    }
    line("arguments", b.at);
    lg_buf_free(&b);
}

static void put_save(const lg_checkpoint *c) {
    json_t *o = c->meta ? json_loads(c->meta, 0, NULL) : NULL;
    char text[80];
    line("program", json_string_value(json_object_get(o, "program")));
    line("train", json_string_value(json_object_get(o, "train")));
    put_args(json_object_get(o, "args"));
    line("seed", json_string_value(json_object_get(o, "seed")));
    snprintf(text, sizeof text, "%lld", (long long)c->step);
    line("step", text);
    if (json_is_integer(json_object_get(o, "epoch"))) {
        snprintf(text, sizeof text, "%lld",
                 (long long)json_integer_value(json_object_get(o, "epoch")));
        line("epoch", text);
    }
    line("checksums", "good");
    json_decref(o);
}

/* Metadata of a file from elsewhere. */
static void put_meta(const lg_bundle *b) {
    for (size_t i = 0; i < b->meta.n; i++) {
        lg_buf text = {0};
        lg_shown_text(b->meta.at[i].value, &text);
        line(b->meta.at[i].key, text.at);
        lg_buf_free(&text);
    }
}

/* ---- arrays ---- */

static int width_of_names(const lg_bundle *b) {
    int most = 4;
    for (size_t i = 0; i < b->list.n; i++) {
        int n = (int)strlen(b->list.at[i].name);
        most = n > most ? n : most;
    }
    return most < 60 ? most : 60;
}

static void put_arrays(const lg_bundle *b) {
    int wide = width_of_names(b);
    size_t values = 0, bytes = 0;
    char size[LG_SIZE_TEXT];
    if (b->list.n)
        printf("\n%-*s  %-7s  %-20s  %12s  %10s\n", wide, "name", "type", "shape", "values",
               "size");
    for (size_t i = 0; i < b->list.n; i++) {
        const lg_tensor *x = b->list.at[i].x;
        lg_buf shape = {0}, name = {0};
        lg_shape_text(x, &shape);
        lg_shown_text(b->list.at[i].name, &name);
        printf("%-*s  %-7s  %-20s  %12zu  %10s\n", wide, name.at ? name.at : "",
               lg_dtype_name(x->dtype), shape.at, x->n,
               lg_size_text(size, (double)lg_tensor_bytes(x)));
        values += x->n;
        bytes += lg_tensor_bytes(x);
        lg_buf_free(&shape);
        lg_buf_free(&name);
    }
    printf("%s%zu arrays, %zu values, %s\n", b->list.n ? "\n" : "", b->list.n, values,
           lg_size_text(size, (double)bytes));
}

static bool info_arrays(const lg_io *io, const char *path) {
    lg_arrays a;
    if (!lg_arrays_load(io, path, &a))
        return false;
    printf("%s: %s\n", a.c.file, a.kind);
    if (a.c.step >= 0)
        put_save(&a.c);
    else
        put_meta(&a.c.tensors);
    put_arrays(&a.c.tensors);
    lg_arrays_fini(&a);
    return true;
}

/* ---- built programs ---- */

static bool info_program(const lg_io *io, const char *path) {
    lg_arena *a = lg_arena_new();
    lg_payload p = {0};
    bool ok = lg_payload_read(io, a, path, path, &p);
    if (ok) {
        printf("%s: built program\n", path);
        line("version", p.version);
        line("float", p.float_name);
        for (size_t i = 0; i < p.with.n; i++)
            line("with", p.with.at[i]);
        for (size_t i = 0; i < p.files.n; i++)
            line(i ? "imports" : "program", p.files.at[i].name);
    }
    lg_payload_fini(&p);
    lg_arena_free(a);
    return ok;
}

int lg_cmd_info(int argc, char **argv) {
    lg_words w = {0};
    int status = lg_read_options("info", argc, argv, NULL, 0, false, &w);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg info` wants a file", "lg info FILE ...");
    for (size_t i = 0; i < w.words.n && status != LG_EXIT_USAGE; i++) {
        lg_diags ds;
        lg_diags_init(&ds);
        lg_io io = {.ds = &ds};
        if (i)
            printf("\n");
        bool ok = lg_file_kind_of(w.words.at[i]) == LG_FILE_EXECUTABLE
                      ? info_program(&io, w.words.at[i])
                      : info_arrays(&io, w.words.at[i]);
        status = ok ? status : LG_EXIT_FAILED;
        lg_show(&ds);
        lg_diags_fini(&ds);
    }
    lg_words_fini(&w);
    return status;
}
