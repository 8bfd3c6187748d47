/* run.c: `lg run` and `lg check`. */
#include "compiler/driver/command.h"
#include "compiler/host/host.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Options of both commands. */
typedef struct {
    const char *dump, *log, *resume, *seed, *threads, *dtype, *memory;
    bool quiet, foreign, no_fuse, no_simplify;
} settings;

enum { N_ROWS = 11 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    const lg_option_row rows[N_ROWS] = {
        {"seed", "N", "seed of the random draws (0)", NULL, &o->seed},
        {"threads", "N", "threads to use (all of the machine)", NULL, &o->threads},
        {"float", "f32|f64", "what `float` means", NULL, &o->dtype},
        {"log", "FILE", "write the training log as JSON lines", NULL, &o->log},
        {"resume", "DIR", "go on from the newest save in DIR", NULL, &o->resume},
        {"memory", "SIZE", "most memory a step may take, as in 512M", NULL, &o->memory},
        {"dump", "PHASE", "print tokens, ast, typed, graph, grad or plan instead", NULL, &o->dump},
        {"quiet", NULL, "no progress lines", &o->quiet, NULL},
        {"allow-foreign", NULL, "allow functions from shared libraries", &o->foreign, NULL},
        {"no-fuse", NULL, "run op by op", &o->no_fuse, NULL},
        {"no-simplify", NULL, "run the graphs as they were built", &o->no_simplify, NULL},
    };
    memcpy(out, rows, sizeof rows);
}

static int bad_value(const char *option, const char *text, const char *wanted) {
    char message[200];
    snprintf(message, sizeof message, "--%s wants %s, got `%.60s`", option, wanted, text);
    return lg_usage_fault("E0713", message, NULL);
}

static bool integer(const char *text, int64_t least, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return end != text && !*end && !errno && *out >= least;
}

static bool size(const char *text, int64_t *out) {
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    end += unit != NULL;
    if (end == text || *end || errno || *out < 1 || *out > INT64_MAX >> shift)
        return false;
    *out <<= shift;
    return true;
}

static int host_options(const settings *o, lg_host_opts *h) {
    int64_t n = 0;
    *h = (lg_host_opts){.log = o->log,
                        .resume = o->resume,
                        .quiet = o->quiet,
                        .allow_foreign = o->foreign,
                        .float_dtype = LG_NO_DTYPE,
                        .no_fuse = o->no_fuse,
                        .no_simplify = o->no_simplify};
    if (o->seed && !integer(o->seed, INT64_MIN, &h->seed))
        return bad_value("seed", o->seed, "an integer");
    if (o->threads && (!integer(o->threads, 1, &n) || n > 1024))
        return bad_value("threads", o->threads, "a number from 1 to 1024");
    h->threads = (int)n;
    if (o->memory && !size(o->memory, &h->memory))
        return bad_value("memory", o->memory, "a size like 512M");
    if (o->dtype && strcmp(o->dtype, "f32") != 0 && strcmp(o->dtype, "f64") != 0)
        return bad_value("float", o->dtype, "f32 or f64");
    if (o->dtype)
        h->float_dtype = lg_dtype_from_name(o->dtype);
    if (o->dump && !lg_is_dump(o->dump))
        return bad_value("dump", o->dump, "tokens, ast, typed, graph, grad or plan");
    return 0;
}

static int help(const char *use, const char *text, const lg_option_row *rows) {
    printf("%s\n\n%s\n\n", use, text);
    lg_print_options(stdout, rows, N_ROWS);
    return LG_EXIT_OK;
}

/* ---- lg run ---- */

static int run_file(const char *path, const char *dump, const lg_host_opts *h) {
    lg_session s;
    lg_session_init(&s);
    int status = LG_EXIT_FAILED;
    if (dump) {
        status = lg_dump(&s, path, dump);
    } else {
        if (h->float_dtype != LG_NO_DTYPE)
            s.E->float_dtype = h->float_dtype;
        lg_module *m = lg_session_load(&s, path);
        if (m && lg_session_check(&s))
            status = lg_host_run(s.E, m, h);
    }
    lg_show(&s.ds);
    lg_session_fini(&s);
    return status;
}

int lg_cmd_run(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_host_opts h;
    lg_words w = {0};
    rows_of(&o, rows);
    bool of_program = argc > 1 && argv[0][0] != '-';
    if (!of_program && lg_wants_help(argc, argv))
        return help(
            "lg run FILE [ENTRY] [--name value ...]",
            "Checks a program and runs its top level, its entry ENTRY, or its only train. Options\n"
            "that are not listed here are the program's own: `lg run FILE --help` lists them.",
            rows);
    int status = lg_read_options("run", argc, argv, rows, N_ROWS, true, &w);
    if (!status)
        status = host_options(&o, &h);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg run` wants a file",
                                "lg run FILE [ENTRY] [--name value ...]");
    if (!status && w.words.n > 2) {
        char message[160];
        snprintf(message, sizeof message, "`%.60s` is one argument too many", w.words.at[2]);
        status = lg_usage_fault("E0713", message, "options of a program are written --name value");
    }
    if (!status) {
        h.entry = w.words.n > 1 ? w.words.at[1] : NULL;
        h.argc = (int)w.rest.n;
        h.argv = w.rest.at;
        lg_buf program = {0};
        lg_buf_printf(&program, "lg run %s", w.words.at[0]);
        h.program = program.at;
        status = run_file(w.words.at[0], o.dump, &h);
        lg_buf_free(&program);
    }
    lg_words_fini(&w);
    return status;
}

/* ---- lg check ---- */

static int check_file(const char *path, const char *dump, const lg_host_opts *h) {
    lg_session s;
    lg_session_init(&s);
    int status = LG_EXIT_FAILED;
    if (dump) {
        status = lg_dump(&s, path, dump);
    } else {
        if (h->float_dtype != LG_NO_DTYPE)
            s.E->float_dtype = h->float_dtype;
        lg_module *m = lg_session_load(&s, path);
        if (m && lg_session_check(&s)) {
            bool good = h->quiet || lg_host_predict(s.E, m, h, stdout);
            status = good && !s.ds.errors ? LG_EXIT_OK : LG_EXIT_FAILED;
        }
    }
    lg_show(&s.ds);
    lg_session_fini(&s);
    return status;
}

int lg_cmd_check(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_host_opts h;
    lg_words w = {0};
    rows_of(&o, rows);
    if (lg_wants_help(argc, argv))
        return help(
            "lg check FILE ...",
            "Checks programs without running them, tells what their trains will take, and tries\n"
            "their `check` lines (not with --quiet).",
            rows);
    int status = lg_read_options("check", argc, argv, rows, N_ROWS, false, &w);
    if (!status)
        status = host_options(&o, &h);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg check` wants a file", "lg check FILE ...");
    for (size_t i = 0; i < w.words.n && status != LG_EXIT_USAGE; i++) {
        int one = check_file(w.words.at[i], o.dump, &h);
        status = one ? one : status;
    }
    lg_words_fini(&w);
    return status;
}
