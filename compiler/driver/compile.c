/* compile.c: the phases a program goes through before it runs: read, parse, register what it
 * declares and imports, check. Parsing is in front/, checking in mid/ and host/. */
#include "compiler/driver/compile.h"
#include "compiler/front/parse.h"
#include "compiler/host/host.h"
#include "compiler/mid/embedded.h"
#include "runtime/io.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROGRAM_MOST = 1 << 28 };

/* ---- reading ---- */

static uint32_t read_standard_input(lg_session *s) {
    lg_buf b = {0};
    char chunk[1 << 16];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0 && b.n < PROGRAM_MOST)
        lg_buf_put(&b, chunk, n);
    (void)s;
    uint32_t file = lg_source_add("<standard input>", b.at ? b.at : "", b.n);
    lg_buf_free(&b);
    return file;
}

uint32_t lg_session_source(lg_session *s, const char *path, lg_span at) {
    if (!strcmp(path, "-"))
        return read_standard_input(s);
    lg_io io = {.ds = &s->ds, .at = at, .max_bytes = PROGRAM_MOST};
    lg_bytes b;
    if (lg_bytes_load(&io, path, &b) != LG_OK)
        return 0;
    uint32_t file = lg_source_add(path, (const char *)b.at, b.n);
    lg_bytes_free(&b);
    return file;
}

/* ---- imports ---- */

static lg_module *load_file(lg_session *s, const char *path, lg_span at);

/* A file beside the one that imports it. */
static const char *beside(lg_session *s, lg_span at, const char *path) {
    const char *from = lg_source_name(at.file), *slash = strrchr(from, '/');
    if (path[0] == '/' || !slash)
        return path;
    return lg_arena_printf(s->arena, "%.*s/%s", (int)(slash - from), from, path);
}

static lg_module *load_library(lg_session *s, const char *name, lg_span at) {
    const char *names[64];
    size_t n = 0;
    bool std = !strncmp(name, "std.", 4);
    lg_module *m = std ? lg_library_module(s->E, name + 4) : NULL;
    if (m)
        return m;
    for (const lg_embedded *e = lg_stdlib; e->name && n < LG_COUNT(names); e++)
        names[n++] = e->name;
    lg_diag *d = lg_diag_add(&s->ds, "E0307", at, "there is no module `%s`", name);
    const char *near = lg_nearest(std ? name + 4 : name, names, n);
    if (near)
        lg_diag_help(d, "did you mean `std.%s`?", near);
    else
        lg_diag_help(d, "files are imported by their name in quotes: import \"%s.lg\"", name);
    return NULL;
}

static void import(lg_session *s, lg_loaded *into, const lg_ast *t) {
    lg_module *m = t->flags & LG_AF_FILE ? load_file(s, beside(s, t->span, t->text), t->span)
                                         : load_library(s, t->text, t->span);
    LG_PUSH(into->imports, m);
    if (m)
        lg_elab_import(s->E, into->module, t, m);
}

static lg_loaded *find_loaded(lg_session *s, const char *real) {
    for (size_t i = 0; i < s->files.n; i++)
        if (!strcmp(s->files.at[i]->path, real))
            return s->files.at[i];
    return NULL;
}

static char *resolved(lg_session *s, const char *path) {
    char *real = strcmp(path, "-") ? realpath(path, NULL) : NULL;
    char *copy = lg_arena_str(s->arena, real ? real : path);
    free(real);
    return copy;
}

static lg_module *load_file(lg_session *s, const char *path, lg_span at) {
    char *real = resolved(s, path);
    lg_loaded *known = find_loaded(s, real);
    if (known && known->loading) {
        bool itself = !strcmp(path, lg_source_name(at.file));
        lg_diag *d = lg_diag_add(
            &s->ds, "E0306", at,
            itself ? "`%s` imports itself" : "`%s` is imported by what it imports", path);
        lg_diag_help(d, "move what both files need into a third one");
        return NULL;
    }
    if (known)
        return known->module;
    uint32_t file = lg_session_source(s, path, at);
    if (!file)
        return NULL;
    known = LG_NEW(s->arena, lg_loaded);
    *known = (lg_loaded){.path = real, .source = file, .loading = true};
    LG_PUSH(s->files, known);
    lg_ast *tree = lg_parse(s->arena, file, &s->ds);
    known->module = lg_elab_add_module(s->E, lg_source_name(file), tree, false);
    for (uint32_t i = 0; i < tree->n; i++)
        if (tree->kid[i]->kind == LG_A_IMPORT)
            import(s, known, tree->kid[i]);
    known->loading = false;
    return known->module;
}

bool lg_session_import(lg_session *s, lg_module *into, const lg_ast *t) {
    size_t known = s->files.n, errors = s->ds.errors;
    lg_module *m = t->flags & LG_AF_FILE ? load_file(s, beside(s, t->span, t->text), t->span)
                                         : load_library(s, t->text, t->span);
    for (size_t i = known; m && s->ds.errors == errors && i < s->files.n; i++)
        lg_host_admit(s->E, s->files.at[i]->module);
    if (!m || s->ds.errors != errors) {
        s->files.n = known; /* to be read again once it is mended */
        return false;
    }
    lg_binding *names = into->frame->names;
    into->frame->names = NULL; /* a name that is there already is replaced */
    lg_elab_import(s->E, into, t, m);
    into->frame->names->next = names;
    return true;
}

static lg_module *load_hook(lg_elab *E, const char *path, lg_span at) {
    lg_session *s = E->load_ctx;
    return load_file(s, beside(s, at, path), at);
}

/* ---- phases ---- */

void lg_session_init(lg_session *s) {
    *s = (lg_session){.arena = lg_arena_new()};
    lg_diags_init(&s->ds);
    s->E = lg_elab_new(s->arena, &s->ds);
    s->E->load = load_hook;
    s->E->load_ctx = s;
}

void lg_session_fini(lg_session *s) {
    for (size_t i = 0; i < s->files.n; i++)
        lg_free(s->files.at[i]->imports.at);
    lg_free(s->files.at);
    lg_diags_fini(&s->ds);
    lg_arena_free(s->arena);
}

lg_module *lg_session_load(lg_session *s, const char *path) {
    lg_module *m = load_file(s, path, (lg_span){0});
    return s->ds.errors ? NULL : m;
}

bool lg_session_check(lg_session *s) {
    lg_host_attach(s->E, NULL);
    for (size_t i = 0; i < s->files.n; i++)
        lg_host_foresee(s->E, s->files.at[i]->module);
    for (size_t i = 0; i < s->files.n; i++)
        lg_elab_check_module(s->E, s->files.at[i]->module);
    for (size_t i = 0; i < s->files.n; i++)
        lg_host_check_module(s->E, s->files.at[i]->module);
    return s->ds.errors == 0;
}
