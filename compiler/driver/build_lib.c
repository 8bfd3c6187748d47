/* build_lib.c: `lg build --lib`: a shared library of one program and its header, made by the C
 * compiler from a small C file and the archive of all layers. What the functions do is in
 * program/library.c. */
#include "compiler/back/cc.h"
#include "compiler/driver/building.h"
#include "compiler/front/parse.h"
#include "compiler/host/stepper.h"
#include "runtime/scratch.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    lg_session *s;
    const char *out, *name; /* libNAME.so */
    const lg_step_field *field;
    int n_field;
    const char *predict;
    lg_type result; /* of one item */
} library;

static bool refuse(lg_session *s, const char *code, const char *help, const char *text) {
    lg_diag *d = lg_diag_add(&s->ds, code, (lg_span){0}, "%s", text);
    if (help)
        lg_diag_help(d, "%s", help);
    return false;
}

/* "digits" of "dir/libdigits.so": it becomes part of C names. */
static const char *name_of(lg_session *s, const char *out) {
    const char *slash = strrchr(out, '/'), *file = slash ? slash + 1 : out;
    size_t n = strlen(file);
    bool ok = n > 6 && !strncmp(file, "lib", 3) && !strcmp(file + n - 3, ".so");
    char *name = lg_arena_printf(s->arena, "%.*s", ok ? (int)n - 6 : 0, file + (ok ? 3 : 0));
    ok = ok && !isdigit((unsigned char)name[0]);
    for (const char *c = name; ok && *c; c++)
        ok = isalnum((unsigned char)*c) || *c == '_';
    if (!ok)
        refuse(s, "E0723", "-o libNAME.so, where NAME is a name in C",
               "the functions of a library are called by its name");
    return ok ? name : NULL;
}

/* ---- texts ---- */

static const char *c_type(lg_dtype t) {
    static const char *const names[LG_N_DTYPES] = {
        [LG_F64] = "double",     [LG_F32] = "float",     [LG_BF16] = "uint16_t",
        [LG_F16] = "uint16_t",   [LG_I64] = "int64_t",   [LG_I32] = "int32_t",
        [LG_I8] = "int8_t",      [LG_U8] = "uint8_t",    [LG_BOOL] = "uint8_t",
        [LG_F8E4M3] = "uint8_t", [LG_F8E5M2] = "uint8_t"};
    return names[t];
}

static void put_sizes(lg_buf *b, const char *name, const lg_type *t) {
    lg_buf_printf(b, "%s[n", name);
    for (int k = 0; k < t->rank; k++)
        lg_buf_printf(b, ", %lld", (long long)t->shape[k]);
    lg_buf_printf(b, "] of %s", lg_dtype_name(t->dtype));
}

static void put_fields(lg_buf *b, const library *l) {
    for (int k = 0; k < l->n_field; k++)
        lg_buf_printf(b, ", const %s *%s", c_type(l->field[k].type.dtype), l->field[k].name);
}

static void put_train_step(lg_buf *b, const library *l) {
    lg_buf_printf(b, "int %s_train_step(%s *s, int64_t n", l->name, l->name);
    put_fields(b, l);
    lg_buf_printf(b, ", double *loss)");
}

static void put_predict(lg_buf *b, const library *l) {
    lg_buf_printf(b, "int %s_predict(%s *s, int64_t n", l->name, l->name);
    put_fields(b, l);
    lg_buf_printf(b, ", %s *out)", c_type(l->result.dtype));
}

static void header(lg_buf *b, const library *l) {
    const char *n = l->name;
    lg_buf_printf(b,
                  "/* %s.h: a program of LossGraph as a library. Arrays are dense, the last index "
                  "runs fastest;\n"
                  " * n is the number of items of a batch:",
                  n);
    for (int k = 0; k < l->n_field; k++) {
        lg_buf_printf(b, " ");
        put_sizes(b, l->field[k].name, &l->field[k].type);
        lg_buf_printf(b, "%s", k + 1 < l->n_field ? "," : ".");
    }
    lg_buf_printf(
        b,
        "\n * Functions give 0, or -1 after an error, which %s_error tells. Calls from several\n"
        " * threads wait for each other; what is trained belongs to its handle. A handle on which\n"
        " * memory ran out fails from then on; others and the process go on. */\n"
        "#ifndef LG_%s_H\n#define LG_%s_H\n#include <stdint.h>\n"
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "typedef struct %s %s;\n\n"
        "/* At its first values. settings: \"name=value\" of arguments of the program, ended by\n"
        " * NULL, or NULL for the defaults. Never NULL: when it could not start, every call fails\n"
        " * and %s_error says why. */\n"
        "%s *%s_new(const char *const *settings);\n"
        "void %s_free(%s *s); /* NULL is fine */\n"
        "/* One step of training on a batch. *loss: what it was before the step; loss may be\n"
        " * NULL. */\n",
        n, n, n, n, n, n, n, n, n, n);
    put_train_step(b, l);
    lg_buf_printf(b, ";\n/* %s for each item: ", l->predict);
    put_sizes(b, "out", &l->result);
    lg_buf_printf(b, ". What it does not read may be NULL. */\n");
    put_predict(b, l);
    lg_buf_printf(
        b,
        ";\n/* Parameters and states into the directory, and back from its newest save, also of\n"
        " * `lg run`. */\n"
        "int %s_save(%s *s, const char *dir);\nint %s_load(%s *s, const char *dir);\n"
        "/* What the last call reported; \"\" when it went well. Until the next call. */\n"
        "const char *%s_error(const %s *s);\n\n"
        "#ifdef __cplusplus\n}\n#endif\n#endif\n",
        n, n, n, n, n, n);
}

static void put_call(lg_buf *b, const library *l, const char *what) {
    lg_buf_printf(b, " {\n    const void *const field[] = {");
    for (int k = 0; k < l->n_field; k++)
        lg_buf_printf(b, "%s%s", k ? ", " : "", l->field[k].name);
    lg_buf_printf(b, "};\n    return lg_library_%s;\n}\n", what);
}

/* The functions of the header over those of program/library.h; the payload lies in a file beside.
 */
static void source(lg_buf *b, const library *l, const char *payload) {
    const char *n = l->name;
    header(b, l);
    lg_buf_printf(
        b,
        "#define EXPORT __attribute__((visibility(\"default\")))\n"
        "__asm__(\".section .rodata\\n.balign 64\\n.global lg_payload\\n.hidden lg_payload\\n\"\n"
        "        \"lg_payload:\\n.incbin \\\"%s\\\"\\n.global lg_payload_end\\n\"\n"
        "        \".hidden lg_payload_end\\nlg_payload_end:\\n.byte 0\\n.text\\n\");\n"
        "extern const char lg_payload[], lg_payload_end[];\n"
        "typedef struct lg_library lg_library;\n"
        "lg_library *lg_library_new(const void *, unsigned long, const char *const *);\n"
        "void lg_library_free(lg_library *);\n"
        "int lg_library_train_step(lg_library *, int64_t, const void *const *, double *);\n"
        "int lg_library_predict(lg_library *, int64_t, const void *const *, void *, unsigned "
        "long);\n"
        "int lg_library_save(lg_library *, const char *);\n"
        "int lg_library_load(lg_library *, const char *);\n"
        "const char *lg_library_error(const lg_library *);\n",
        payload);
    lg_buf_printf(b,
                  "EXPORT %s *%s_new(const char *const *settings) {\n"
                  "    return (%s *)lg_library_new(lg_payload, (unsigned long)(lg_payload_end - "
                  "lg_payload), settings);\n}\n"
                  "EXPORT void %s_free(%s *s) {\n    lg_library_free((lg_library *)s);\n}\n"
                  "EXPORT int %s_save(%s *s, const char *dir) {\n"
                  "    return lg_library_save((lg_library *)s, dir);\n}\n"
                  "EXPORT int %s_load(%s *s, const char *dir) {\n"
                  "    return lg_library_load((lg_library *)s, dir);\n}\n"
                  "EXPORT const char *%s_error(const %s *s) {\n"
                  "    return lg_library_error((const lg_library *)s);\n}\nEXPORT ",
                  n, n, n, n, n, n, n, n, n, n, n);
    put_train_step(b, l);
    put_call(b, l, "train_step((lg_library *)s, n, field, loss)");
    lg_buf_printf(b, "EXPORT ");
    put_predict(b, l);
    put_call(b, l,
             lg_arena_printf(l->s->arena,
                             "predict((lg_library *)s, n, field, out, "
                             "(unsigned long)n * %zu)",
                             lg_type_count(&l->result) * lg_dtype_size(l->result.dtype)));
}

/* ---- making it ---- */

static bool write_text(lg_session *s, const char *path, const lg_buf *b) {
    lg_io io = {.ds = &s->ds};
    lg_out out;
    if (lg_out_open(&io, path, &out) != LG_OK)
        return false;
    lg_out_put(&out, b->at, b->n);
    return lg_out_close(&out, true) == LG_OK;
}

/* Beside lg, where it was built, or in the directory of libraries, where it was installed. */
static const char *archive(lg_session *s) {
    static const char *const places[] = {"", "/../lib", "/../lib/x86_64-linux-gnu", "/../lib64"};
    const char *named = getenv("LG_ARCHIVE");
    if (named && *named)
        return named;
    char *self = realpath("/proc/self/exe", NULL), *slash = self ? strrchr(self, '/') : NULL;
    const char *path = NULL;
    for (size_t k = 0; slash && !path && k < LG_COUNT(places); k++) {
        path = lg_arena_printf(s->arena, "%.*s%s/liblossgraph.a", (int)(slash - self), self,
                               places[k]);
        path = access(path, R_OK) == 0 ? path : NULL;
    }
    free(self);
    if (!path)
        refuse(s, "E0722", "LG_ARCHIVE names it", "liblossgraph.a is not there");
    return path;
}

static bool link_library(const library *l, const char *c_file) {
    char compiler[512], why[256];
    const char *reason, *a = archive(l->s);
    if (!a)
        return false;
    if (!lg_cc_find(compiler, sizeof compiler, &reason))
        return refuse(l->s, "E0722", "a library is made by the C compiler", reason);
    const char *const words[] = {"-shared",
                                 "-fPIC",
                                 "-O2",
                                 "-w",
                                 "-fvisibility=hidden",
                                 "-s",
                                 "-o",
                                 l->out,
                                 c_file,
                                 a,
                                 "-Wl,--exclude-libs,ALL",
                                 "-Wl,-Bsymbolic",
                                 "-Wl,--gc-sections",
                                 "-Wl,--no-undefined",
                                 "-Wl,--build-id=none",
                                 "-lpng",
                                 "-lz",
                                 "-ljansson",
                                 "-lffi",
                                 "-lpthread",
                                 "-ldl",
                                 "-lm",
                                 NULL};
    return lg_cc_call(compiler, words, why, sizeof why) || refuse(l->s, "E0722", NULL, why);
}

static bool write_all(const library *l, const lg_payload *p) {
    lg_scratch dir;
    if (!lg_scratch_make(&dir))
        return refuse(l->s, "E0722", NULL, "there is no room for temporary files");
    char *payload = lg_arena_printf(l->s->arena, "%s/payload", dir.path);
    char *c_file = lg_arena_printf(l->s->arena, "%s/library.c", dir.path);
    const char *slash = strrchr(l->out, '/');
    char *h_file = lg_arena_printf(l->s->arena, "%.*s%s.h", slash ? (int)(slash - l->out) + 1 : 0,
                                   l->out, l->name);
    lg_buf body = {0}, c = {0}, h = {0};
    lg_payload_write(p, &body);
    source(&c, l, payload);
    header(&h, l);
    bool ok = write_text(l->s, payload, &body) && write_text(l->s, c_file, &c) &&
              link_library(l, c_file) && write_text(l->s, h_file, &h);
    lg_scratch_remove(&dir);
    lg_buf_free(&body);
    lg_buf_free(&c);
    lg_buf_free(&h);
    return ok;
}

/* ---- what it is of ---- */

/* The program as a training that is asked once, for the types. */
static const lg_ast *look_at(library *l, lg_stepper *S) {
    const void *none[64] = {NULL}, *data;
    lg_session *s = l->s;
    l->n_field = lg_stepper_fields(S, &l->field);
    if (!l->predict && lg_stepper_part(S) && l->n_field)
        l->predict = lg_arena_printf(s->arena, "%s(%s)", lg_stepper_part(S), l->field[0].name);
    if (!l->predict) {
        refuse(s, "E0723", "say what with --predict EXPRESSION", "there is nothing to predict");
        return NULL;
    }
    const char *text = lg_arena_printf(s->arena, "print %s\n", l->predict);
    lg_ast *print = lg_parse(s->arena, lg_source_add("<predict>", text, strlen(text)), &s->ds);
    lg_type t;
    if (s->ds.errors || !lg_stepper_value(S, print, 2, none, &t, &data))
        return NULL;
    if (t.rank < 1 || t.shape[0] != 2) {
        refuse(s, "E0723", "its first dim is the batch", "a prediction has a value for each item");
        return NULL;
    }
    l->result = (lg_type){.dtype = t.dtype, .rank = t.rank - 1};
    for (int k = 0; k + 1 < t.rank; k++)
        l->result.shape[k] = t.shape[k + 1];
    return print;
}

bool lg_build_library(lg_session *s, lg_module *m, const lg_host_opts *h, lg_payload *p,
                      const char *out, const char *predict) {
    library l = {.s = s, .out = out, .predict = predict, .name = name_of(s, out)};
    if (!l.name)
        return false;
    lg_aot *a = lg_rehearsed(s, m, h);
    lg_stepper *S = lg_stepper_new(s->E, m, h);
    const lg_ast *print = S ? look_at(&l, S) : NULL;
    if (print) {
        lg_payload_file f = {.tree = print, .name = "<predict>"};
        f.text = lg_source_text(print->span.file, &f.n_text);
        LG_PUSH(p->files, f);
        lg_compiled(a, p);
    }
    bool ok = print && write_all(&l, p);
    lg_stepper_free(S);
    lg_aot_free(a);
    return ok;
}
