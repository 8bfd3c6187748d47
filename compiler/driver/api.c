/* api.c: the C interface of lossgraph.h over a session: text in, arrays out. The language behind it
 * is that of files, statement by statement. */
#include "compiler/driver/lossgraph.h"
#include "compiler/driver/compile.h"
#include "compiler/front/parse.h"
#include "compiler/host/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lossgraph {
    lg_session in;
    lg_module *module;
    char *error;
    int texts; /* given so far: their names in reports */
    bool started;
};

static void begin(lossgraph *s) {
    lg_diags_fini(&s->in.ds);
    lg_diags_init(&s->in.ds);
    free(s->error);
    s->error = NULL;
}

/* Keeps the reports as text; true when there is no error among them. */
static bool finish(lossgraph *s) {
    if (!s->in.ds.list.n)
        return true;
    size_t n;
    FILE *f = open_memstream(&s->error, &n);
    if (f) {
        lg_diags_print(&s->in.ds, f, false);
        fclose(f);
    }
    return s->in.ds.errors == 0;
}

lossgraph *lossgraph_new(void) {
    lossgraph *s = lg_alloc(sizeof *s);
    lg_session_init(&s->in);
    return s;
}

void lossgraph_free(lossgraph *s) {
    if (!s)
        return;
    lg_host_detach(s->in.E);
    lg_session_fini(&s->in);
    free(s->error);
    lg_free(s);
}

/* A session without a file has a module of its own. */
static lg_module *module_of(lossgraph *s) {
    if (!s->module) {
        lg_ast *none = lg_ast_new(s->in.arena, LG_A_BLOCK, (lg_span){0}, 0);
        s->module = lg_elab_add_module(s->in.E, "<session>", none, false);
    }
    if (!s->started) {
        s->started = true;
        lg_host_start(s->in.E, s->module, NULL);
    }
    return s->module;
}

bool lossgraph_load(lossgraph *s, const char *path) {
    begin(s);
    if (s->module) {
        lg_diag_add(&s->in.ds, "E0304", (lg_span){0},
                    "this session has a program already: %s goes into one of its own", path);
        return finish(s);
    }
    lg_module *m = lg_session_load(&s->in, path);
    if (m && lg_session_check(&s->in)) {
        s->module = m;
        module_of(s);
    }
    return finish(s);
}

static uint32_t source_of(lossgraph *s, const char *text) {
    char name[40];
    snprintf(name, sizeof name, "<text %d>", ++s->texts);
    return lg_source_add(name, text, strlen(text));
}

bool lossgraph_do(lossgraph *s, const char *text) {
    begin(s);
    lg_module *m = module_of(s);
    lg_ast *tree = lg_parse(s->in.arena, source_of(s, text), &s->in.ds);
    for (uint32_t i = 0; s->in.ds.errors == 0 && i < tree->n; i++)
        lg_host_statement(s->in.E, m, tree->kid[i], false);
    return finish(s);
}

bool lossgraph_set(lossgraph *s, const char *name, const char *dtype, int rank,
                   const int64_t *shape, const void *data) {
    begin(s);
    lg_module *m = module_of(s);
    lg_dtype t = lg_dtype_from_name(dtype);
    size_t bytes = 0;
    bool ok = t != LG_NO_DTYPE && rank >= 0 && rank <= LG_MAX_RANK;
    for (int i = 0; ok && i < rank; i++)
        ok = shape[i] >= 0;
    lg_tensor *x = ok ? lg_tensor_try(t, rank, shape) : NULL;
    if (!x) {
        lg_diag_add(&s->in.ds, "E0608", (lg_span){0}, "`%s` cannot be an array of %s with rank %d",
                    name, dtype, rank);
        return finish(s);
    }
    bytes = lg_tensor_bytes(x);
    if (bytes)
        memcpy(x->data, data, bytes);
    lg_host_bind(s->in.E, m, lg_intern(name), x);
    lg_tensor_release(x);
    return finish(s);
}

bool lossgraph_get(lossgraph *s, const char *expression, lossgraph_array *out) {
    begin(s);
    lg_module *m = module_of(s);
    lg_ast *e = lg_parse_expr(s->in.arena, source_of(s, expression), &s->in.ds);
    lg_tensor *x = e && s->in.ds.errors == 0 ? lg_host_array_of(s->in.E, m, e) : NULL;
    if (!finish(s) || !x)
        return false;
    *out = (lossgraph_array){.dtype = lg_dtype_name(x->dtype), .rank = x->rank,
                             .bytes = lg_tensor_bytes(x), .data = x->data, .owner = x};
    for (int i = 0; i < x->rank; i++)
        out->shape[i] = x->shape[i];
    return true;
}

void lossgraph_release(lossgraph_array *a) {
    lg_tensor_release(a->owner);
    *a = (lossgraph_array){0};
}

const char *lossgraph_error(const lossgraph *s) {
    return s->error ? s->error : "";
}
