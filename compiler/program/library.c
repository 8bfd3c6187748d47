/* library.c: see library.h. */
#include "compiler/program/library.h"
#include "compiler/host/stepper.h"
#include "compiler/program/options.h"
#include "compiler/program/payload.h"
#include <pthread.h>
#include <setjmp.h>
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
    bool broken; /* memory ran out in the middle of a call: nothing in it is to be trusted */
};

static char no_memory[] = "out of memory: what was being done is lost, and this handle with it\n";
static lg_library nothing = {.error = no_memory, .broken = true};

/* Names, sources and the pool of threads belong to the process. */
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

/* ---- memory that is not to be had ends a call, not the process ---- */

static jmp_buf out_of_memory_at;
static pthread_t caller; /* of the call that has the mutex */

/* In a thread that helps there is nowhere to go back to. */
static void out_of_memory(size_t wanted) {
    if (pthread_equal(caller, pthread_self()))
        longjmp(out_of_memory_at, 1);
    fprintf(stderr, "out of memory (%zu bytes wanted)\n", wanted);
    abort();
}

static void drop_error(lg_library *l) {
    if (l->error != no_memory)
        free(l->error);
    l->error = NULL;
}

static void begin(lg_library *l) {
    lg_diags_fini(&l->ds);
    lg_diags_init(&l->ds);
    if (l->S) /* else what kept the library from starting is the error of every call */
        drop_error(l);
    lg_aot_carry(l->p.carried.at, l->p.carried.n);
}

/* Keeps what was reported as text. */
static void finish(lg_library *l, bool ok) {
    size_t n;
    FILE *f = ok || l->error ? NULL : open_memstream(&l->error, &n);
    if (f) {
        lg_diags_print(&l->ds, f, false);
        fclose(f);
    }
}

static void break_down(lg_library *l) {
    drop_error(l);
    l->error = no_memory;
    l->broken = true;
}

typedef bool work(lg_library *l, const void *args);

/* One call: 0, or -1 with an error. */
static int call(lg_library *l, work *fn, const void *args) {
    volatile bool ok = false;
    pthread_mutex_lock(&one);
    void (*was)(size_t) = lg_out_of_memory;
    caller = pthread_self();
    lg_out_of_memory = out_of_memory;
    if (l->broken) {
        ok = false;
    } else if (!setjmp(out_of_memory_at)) {
        begin(l);
        ok = fn(l, args);
        finish(l, ok);
    } else {
        ok = false;
        break_down(l);
    }
    lg_out_of_memory = was;
    pthread_mutex_unlock(&one);
    return ok ? 0 : -1;
}

/* ---- starting ---- */

/* "name=value" as the options of a program are. */
static void read_settings(lg_library *l, const char *const *settings) {
    for (; settings && *settings; settings++) {
        size_t n = strlen(*settings) + 3;
        char *text = lg_arena_alloc(l->arena, n);
        snprintf(text, n, "--%s", *settings);
        LG_PUSH(l->option, text);
    }
}

typedef struct {
    const uint8_t *at;
    size_t n;
    const char *const *settings;
} starting;

static bool start(lg_library *l, const void *args) {
    const starting *x = args;
    l->arena = lg_arena_new();
    l->E = lg_elab_new(l->arena, &l->ds);
    read_settings(l, x->settings);
    lg_io io = {.ds = &l->ds};
    if (!lg_payload_from(&io, l->arena, x->at, x->n, "the library", &l->p))
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
    lg_library *l = calloc(1, sizeof *l);
    if (!l)
        return &nothing;
    call(l, start, &(starting){payload, n, settings});
    return l;
}

static bool end(lg_library *l, const void *args) {
    (void)args;
    lg_stepper_free(l->S);
    l->S = NULL;
    lg_host_detach(l->E);
    lg_payload_fini(&l->p);
    lg_aot_carry(NULL, 0);
    return true;
}

/* What a broken one held is lost to the process. */
void lg_library_free(lg_library *l) {
    if (!l || l == &nothing)
        return;
    if (call(l, end, NULL) == 0) {
        lg_diags_fini(&l->ds);
        lg_arena_free(l->arena);
        lg_free(l->option.at);
    }
    drop_error(l);
    free(l);
}

/* ---- calls ---- */

typedef struct {
    int64_t n;
    const void *const *field;
    double *loss;
    void *out;
    size_t bytes;
} batch;

static bool step(lg_library *l, const void *args) {
    const batch *b = args;
    return l->S && lg_stepper_step(l->S, b->n, b->field, b->loss);
}

int lg_library_train_step(lg_library *l, int64_t n, const void *const *field, double *loss) {
    return call(l, step, &(batch){.n = n, .field = field, .loss = loss});
}

static bool predict(lg_library *l, const void *args) {
    const batch *b = args;
    lg_type t;
    const void *data;
    if (!l->S || !lg_stepper_value(l->S, l->print, b->n, b->field, &t, &data))
        return false;
    if (lg_type_count(&t) * lg_dtype_size(t.dtype) != b->bytes) {
        lg_diag_add(&l->ds, "E0608", (lg_span){0},
                    "the prediction has other sizes than the header says: settings changed them");
        return false;
    }
    memcpy(b->out, data, b->bytes);
    return true;
}

int lg_library_predict(lg_library *l, int64_t n, const void *const *field, void *out,
                       size_t bytes) {
    return call(l, predict, &(batch){.n = n, .field = field, .out = out, .bytes = bytes});
}

static bool save(lg_library *l, const void *dir) {
    return l->S && lg_stepper_save(l->S, dir);
}

int lg_library_save(lg_library *l, const char *dir) {
    return call(l, save, dir);
}

static bool load(lg_library *l, const void *dir) {
    return l->S && lg_stepper_load(l->S, dir);
}

int lg_library_load(lg_library *l, const char *dir) {
    return call(l, load, dir);
}

const char *lg_library_error(const lg_library *l) {
    return l->error ? l->error : "";
}
