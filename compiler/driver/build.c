/* build.c: `lg build`: checks a program, and writes it behind a copy of the executable lg-program.
 * What the result does is said in compiler/program. */
#include "compiler/driver/building.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const char *out, *float_name, *emit, *predict;
    bool is_static, no_compile, lib;
    LG_VEC(const char *) with;
} settings;

enum { N_ROWS = 8, MODE_ALL = 0777 };

static void rows_of(settings *o, const char **with, lg_option_row out[N_ROWS]) {
    const lg_option_row rows[N_ROWS] = {
        {"o", "EXE", "the executable to write (FILE without .lg)", NULL, &o->out},
        {"with", "NAME=VALUE", "another default for an argument; may be repeated", NULL, with},
        {"float", "f32|f64", "what `float` means", NULL, &o->float_name},
        {"emit", "c", "write the C of its plans into the directory -o instead", NULL, &o->emit},
        {"lib", NULL, "make a shared library, -o libNAME.so, and its header NAME.h", &o->lib, NULL},
        {"predict", "EXPR", "what the library's predict gives, as in \"softmax(net(x))\"", NULL,
         &o->predict},
        {"no-compile", NULL, "leave out the compiled kernels", &o->no_compile, NULL},
        {"static", NULL, "an executable that needs no shared library", &o->is_static, NULL},
    };
    memcpy(out, rows, sizeof rows);
}

size_t lg_rows_build(lg_option_row *out) {
    static settings none;
    static const char *with;
    rows_of(&none, &with, out);
    return N_ROWS;
}

/* Takes the repeated --with out of argv; the number of arguments that are left. */
static int take_with(settings *o, int argc, char **argv, char **left) {
    int n = 0;
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--with") && i + 1 < argc)
            LG_PUSH(o->with, argv[++i]);
        else if (!strncmp(argv[i], "--with=", 7))
            LG_PUSH(o->with, argv[i] + 7);
        else
            left[n++] = argv[i];
    return n;
}

static int wrong_with(const settings *o) {
    for (size_t i = 0; i < o->with.n; i++)
        if (!strchr(o->with.at[i], '=') || o->with.at[i][0] == '=')
            return lg_bad_value("with", o->with.at[i], "NAME=VALUE");
    for (size_t i = 0; i < o->with.n; i++)
        for (size_t k = 0; k < i; k++) {
            size_t n = (size_t)(strchr(o->with.at[i], '=') - o->with.at[i]) + 1;
            if (!strncmp(o->with.at[i], o->with.at[k], n))
                return lg_usage_fault("E0713", "--with sets the same argument twice", NULL);
        }
    return 0;
}

/* ---- the executable that is filled ---- */

static const char *template_path(lg_arena *a, bool is_static) {
    const char *named = getenv("LG_PROGRAM"),
               *file = is_static ? "lg-program-static" : "lg-program";
    if (named && *named)
        return named;
    char *self = realpath("/proc/self/exe", NULL);
    char *slash = self ? strrchr(self, '/') : NULL;
    const char *path =
        lg_arena_printf(a, "%.*s/%s", slash ? (int)(slash - self) : 1, slash ? self : ".", file);
    free(self);
    return path;
}

static bool contains(const lg_bytes *b, const char *text) {
    size_t n = strlen(text);
    for (const uint8_t *p = b->at, *end = b->at + b->n; (size_t)(end - p) >= n; p++) {
        p = memchr(p, text[0], (size_t)(end - p) - n + 1);
        if (!p)
            return false;
        if (!memcmp(p, text, n))
            return true;
    }
    return false;
}

static bool unfit(lg_session *s, const char *path, const char *why) {
    lg_diag *d = lg_diag_add(&s->ds, "E0722", (lg_span){0}, "%s %s", path, why);
    lg_diag_help(d, "LG_PROGRAM names the executable lg-program that belongs to this lg");
    return false;
}

static bool load_template(lg_session *s, const char *path, bool is_static, lg_bytes *out) {
    if (access(path, R_OK) != 0)
        return unfit(s, path,
                     is_static ? "is not there: it is made where all libraries are "
                                 "installed as archives too"
                               : "is not there");
    lg_io io = {.ds = &s->ds};
    if (lg_bytes_load(&io, path, out) != LG_OK)
        return false;
    const char *seal = lg_arena_printf(s->arena, "%s %s", LG_PAYLOAD_SEAL, LG_VERSION);
    const char *why = !contains(out, seal)                ? "is not the lg-program of this version"
                      : !contains(out, lg_payload_mark()) ? "is not the lg-program of this version"
                      : lg_payload_present(out->at, out->n) ? "holds a program already"
                                                            : NULL;
    if (!why)
        return true;
    lg_bytes_free(out);
    return unfit(s, path, why);
}

/* ---- what it is filled with ---- */

static uint64_t number_of(const lg_session *s, const lg_module *m) {
    for (size_t i = 0; m && i < s->files.n; i++)
        if (s->files.at[i]->module == m)
            return i;
    return LG_NO_FILE;
}

static void describe(lg_session *s, const settings *o, lg_payload *p) {
    p->version = LG_VERSION;
    p->float_name = o->float_name ? o->float_name : "";
    for (size_t i = 0; i < o->with.n; i++)
        LG_PUSH(p->with, o->with.at[i]);
    for (size_t i = 0; i < s->files.n; i++) {
        const lg_loaded *l = s->files.at[i];
        lg_payload_file f = {.tree = l->module->tree};
        uint32_t file = l->source;
        f.name = lg_source_name(file);
        f.text = lg_source_text(file, &f.n_text);
        for (size_t k = 0; k < l->imports.n; k++)
            LG_PUSH(f.imports, number_of(s, l->imports.at[k]));
        LG_PUSH(p->files, f);
    }
}

static const lg_ast *first_foreign(const lg_session *s) {
    for (size_t i = 0; i < s->files.n; i++) {
        const lg_ast *t = s->files.at[i]->module->tree;
        for (uint32_t k = 0; k < t->n; k++) {
            const lg_ast *d = t->kid[k];
            if (d->kind == LG_A_DECL && d->text && !strcmp(d->text, "fn") && d->kid[LG_D_FROM])
                return d;
        }
    }
    return NULL;
}

static bool may_be_static(lg_session *s) {
    const lg_ast *d = first_foreign(s);
    if (!d)
        return true;
    lg_diag *x =
        lg_diag_add(&s->ds, "E0723", d->name_span,
                    "`%s` is in a shared library, which a static executable cannot load", d->name);
    lg_diag_help(x, "build without --static");
    return false;
}

/* ---- writing ---- */

static bool same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool write_program(lg_session *s, const char *path, const lg_bytes *exe,
                          const lg_payload *p) {
    lg_buf payload = {0};
    lg_io io = {.ds = &s->ds};
    lg_out out;
    lg_payload_write(p, &payload);
    bool ok = lg_out_open(&io, path, &out) == LG_OK;
    if (ok) {
        mode_t mask = umask(0);
        umask(mask);
        lg_out_put(&out, exe->at, exe->n);
        lg_out_put(&out, payload.at, payload.n);
        if (out.temp && fchmod(fileno(out.f), MODE_ALL & ~mask) != 0)
            out.error = out.error ? out.error : errno;
        ok = lg_out_close(&out, true) == LG_OK;
    }
    lg_buf_free(&payload);
    return ok;
}

/* Instead of an executable: what its kernels look like. */
static bool emit_text(lg_session *s, lg_module *m, const settings *o, const lg_host_opts *h) {
    lg_aot *a = lg_rehearsed(s, m, h);
    int n = lg_aot_write(a, o->out);
    if (n < 0) {
        lg_io io = {.ds = &s->ds};
        lg_io_report(&io, "E0610", o->out, "cannot be written: %s", strerror(errno));
    } else {
        fprintf(stderr, "%s: %d files of C\n", o->out, n);
    }
    lg_aot_free(a);
    return n >= 0;
}

static bool make_library(lg_session *s, lg_module *m, const settings *o, const lg_host_opts *h) {
    lg_payload p = {0};
    describe(s, o, &p);
    bool ok = lg_build_library(s, m, h, &p, o->out, o->predict);
    lg_payload_fini(&p);
    return ok;
}

static bool build_checked(lg_session *s, lg_module *m, const settings *o, const lg_host_opts *h) {
    lg_bytes exe;
    if (o->is_static && !may_be_static(s))
        return false;
    if (!load_template(s, template_path(s->arena, o->is_static), o->is_static, &exe))
        return false;
    lg_payload p = {0};
    describe(s, o, &p);
    lg_aot *a = o->no_compile ? NULL : lg_rehearsed(s, m, h);
    if (a)
        lg_compiled(a, &p);
    bool ok = write_program(s, o->out, &exe, &p);
    lg_payload_fini(&p);
    if (a)
        lg_aot_free(a);
    lg_bytes_free(&exe);
    return ok;
}

static int build(const char *path, const settings *o) {
    lg_session s;
    lg_session_init(&s);
    lg_host_opts h = {.float_dtype = LG_NO_DTYPE, .quiet = true};
    if (o->float_name)
        h.float_dtype = s.E->float_dtype = lg_float_named(o->float_name);
    h.with = o->with.at;
    h.n_with = (int)o->with.n;
    lg_module *m = lg_session_load(&s, path);
    bool ok = m && lg_session_check(&s);
    for (size_t i = 0; ok && i < s.files.n; i++)
        if (same_file(o->out, s.files.at[i]->path)) {
            lg_diag_add(&s.ds, "E0713", (lg_span){0}, "-o names a source of the program: %s",
                        o->out);
            ok = false;
        }
    ok = ok && (!o->with.n || lg_host_check_with(s.E, m, &h)) &&
         (o->emit  ? emit_text
          : o->lib ? make_library
                   : build_checked)(&s, m, o, &h);
    lg_show(&s.ds);
    lg_session_fini(&s);
    return ok ? LG_EXIT_OK : LG_EXIT_FAILED;
}

/* "digits" of dir/digits.lg: a file of the working directory. */
static const char *default_name(const char *path, char *out, size_t size) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    bool ends = n > 3 && !strcmp(name + n - 3, ".lg");
    snprintf(out, size, "%.*s", (int)(ends ? n - 3 : n), name);
    return ends ? out : NULL;
}

static int build_words(settings *o, const lg_words *w) {
    char name[300], message[160];
    int status = wrong_with(o);
    if (status)
        return status;
    if (!w->words.n)
        return lg_usage_fault("E0713", "`lg build` wants a file", "lg build FILE [-o EXE]");
    if (w->words.n > 1) {
        snprintf(message, sizeof message, "`%.60s` is one argument too many", w->words.at[1]);
        return lg_usage_fault("E0713", message, "arguments of the program: --with NAME=VALUE");
    }
    if (o->lib && (!o->out || o->is_static || o->emit))
        return lg_usage_fault("E0713", "--lib wants -o libNAME.so, and neither --static nor --emit",
                              NULL);
    if (o->predict && !o->lib)
        return lg_usage_fault("E0713", "--predict is of --lib", NULL);
    if (o->emit && strcmp(o->emit, "c") != 0)
        return lg_bad_value("emit", o->emit, "c");
    if (o->float_name && lg_float_named(o->float_name) == LG_NO_DTYPE)
        return lg_bad_value("float", o->float_name, "f32 or f64");
    if (!o->out)
        o->out = default_name(w->words.at[0], name, sizeof name - sizeof "-c");
    if (o->out == name && o->emit)
        o->out = strcat(name, "-c");
    if (!o->out)
        return lg_usage_fault("E0713", "`lg build` cannot tell what to call the executable",
                              "name it with -o EXE");
    return build(w->words.at[0], o);
}

int lg_cmd_build(int argc, char **argv) {
    settings o = {0};
    const char *last_with = NULL;
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, &last_with, rows);
    char **left = lg_alloc(((size_t)argc + 1) * sizeof *left);
    int n = take_with(&o, argc, argv, left);
    int status = lg_read_options("build", n, left, rows, N_ROWS, false, &w);
    if (!status)
        status = build_words(&o, &w);
    lg_words_fini(&w);
    lg_free(o.with.at);
    lg_free(left);
    return status;
}
