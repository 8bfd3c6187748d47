/* library.c: see library.h. */
#include "compiler/program/library.h"
#include "compiler/host/stepper.h"
#include "compiler/program/options.h"
#include "compiler/program/payload.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lg_library {
    lg_arena *arena;
    lg_diags ds;
    lg_payload p;
    lg_elab *E;
    lg_stepper *S;
    const lg_ast *print; /* what predict shows */
    LG_VEC(char *) option;
    char *error;
};

/* Names, sources and the pool of threads belong to the process. */
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void begin(lg_library *l) {
    pthread_mutex_lock(&one);
    lg_diags_fini(&l->ds);
    lg_diags_init(&l->ds);
    if (l->S) { /* else what kept the library from starting is the error of every call */
        free(l->error);
        l->error = NULL;
    }
    lg_aot_carry(l->p.carried.at, l->p.carried.n);
}

/* Keeps what was reported as text. */
static int finish(lg_library *l, bool ok) {
    size_t n;
    FILE *f = ok || l->error ? NULL : open_memstream(&l->error, &n);
    if (f) {
        lg_diags_print(&l->ds, f, false);
        fclose(f);
    }
    pthread_mutex_unlock(&one);
    return ok ? 0 : -1;
}

/* "name=value" as the options of a program are. */
static void read_settings(lg_library *l, const char *const *settings) {
    for (; settings && *settings; settings++) {
        size_t n = strlen(*settings) + 3;
        char *text = lg_arena_alloc(l->arena, n);
        snprintf(text, n, "--%s", *settings);
        LG_PUSH(l->option, text);
    }
}

static bool start(lg_library *l, const uint8_t *at, size_t n) {
    lg_io io = {.ds = &l->ds};
    if (!lg_payload_from(&io, l->arena, at, n, "the library", &l->p))
        return false;
    lg_aot_carry(l->p.carried.at, l->p.carried.n);
    lg_host_opts o = {
        .quiet = true, .jit = LG_JIT_AUTO, .float_dtype = lg_float_named(l->p.float_name)};
    if (o.float_dtype != LG_NO_DTYPE)
        l->E->float_dtype = o.float_dtype;
    o.argc = (int)l->option.n;
    o.argv = l->option.at;
    o.with = l->p.with.at;
    o.n_with = (int)l->p.with.n;
    lg_host_attach(l->E, NULL);
    lg_module *m = lg_payload_load(&io, l->E, &l->p, "the library");
    const lg_payload_file *last = &l->p.files.at[l->p.files.n - 1];
    uint32_t file = lg_source_add(last->name, last->text, last->n_text);
    l->print = lg_ast_read(l->arena, last->bytes, last->n_bytes, file);
    l->S = m && l->print ? lg_stepper_new(l->E, m, &o) : NULL;
    return l->S != NULL;
}

lg_library *lg_library_new(const void *payload, size_t n, const char *const *settings) {
    lg_library *l = lg_alloc(sizeof *l);
    *l = (lg_library){.arena = lg_arena_new()};
    lg_diags_init(&l->ds);
    begin(l);
    l->E = lg_elab_new(l->arena, &l->ds);
    read_settings(l, settings);
    finish(l, start(l, payload, n));
    return l;
}

void lg_library_free(lg_library *l) {
    if (!l)
        return;
    begin(l);
    lg_stepper_free(l->S);
    lg_host_detach(l->E);
    lg_payload_fini(&l->p);
    lg_aot_carry(NULL, 0);
    finish(l, true);
    free(l->error);
    lg_diags_fini(&l->ds);
    lg_arena_free(l->arena);
    lg_free(l->option.at);
    lg_free(l);
}

int lg_library_train_step(lg_library *l, int64_t n, const void *const *field, double *loss) {
    begin(l);
    return finish(l, l->S && lg_stepper_step(l->S, n, field, loss));
}

int lg_library_predict(lg_library *l, int64_t n, const void *const *field, void *out,
                       size_t bytes) {
    lg_type t;
    const void *data;
    begin(l);
    bool ok = l->S && lg_stepper_value(l->S, l->print, n, field, &t, &data);
    if (ok && lg_type_count(&t) * lg_dtype_size(t.dtype) != bytes) {
        lg_diag_add(&l->ds, "E0608", (lg_span){0},
                    "the prediction has other sizes than the header says: settings changed them");
        ok = false;
    }
    if (ok)
        memcpy(out, data, bytes);
    return finish(l, ok);
}

int lg_library_save(lg_library *l, const char *dir) {
    begin(l);
    return finish(l, l->S && lg_stepper_save(l->S, dir));
}

int lg_library_load(lg_library *l, const char *dir) {
    begin(l);
    return finish(l, l->S && lg_stepper_load(l->S, dir));
}

const char *lg_library_error(const lg_library *l) {
    return l->error ? l->error : "";
}
