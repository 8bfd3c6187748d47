/* main.c: the executable that `lg build` fills: reads the program at its own end and runs it as
 * `lg run` runs the file. There is no parser in it. */
#include "compiler/program/options.h"
#include "compiler/program/payload.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

/* By this `lg build` knows the executable. */
__attribute__((used)) static const char seal[] = LG_PAYLOAD_SEAL " " LG_VERSION;
static const char *program_name = "program";

static void out_of_memory(size_t wanted) {
    fprintf(stderr, "%s: out of memory (%zu bytes wanted)\n", program_name, wanted);
    exit(LG_EXIT_FAILED);
}

/* The file of this process, links resolved: of the kernel, or else as it was called. */
static char *own_path(void) {
    char *path = realpath("/proc/self/exe", NULL);
    if (path)
        return path;
    uintptr_t called = getauxval(AT_EXECFN);
    return called ? realpath((const char *)called, NULL) : NULL;
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* Rows of the options of every program, below those of this one. */
static void more_help(const lg_option_row *rows) {
    puts("\noptions of every program:");
    lg_print_options(stdout, rows, LG_RUN_ROWS);
}

static int run(const lg_payload *p, const lg_io *io, lg_host_opts *h, lg_arena *a) {
    lg_elab *E = lg_elab_new(a, io->ds);
    if (h->float_dtype == LG_NO_DTYPE)
        h->float_dtype = lg_float_named(p->float_name);
    if (h->float_dtype != LG_NO_DTYPE)
        E->float_dtype = h->float_dtype;
    lg_host_attach(E, NULL);
    lg_aot_carry(p->carried.at, p->carried.n);
    lg_module *m = lg_payload_load(io, E, p, program_name);
    return m ? lg_host_run(E, m, h) : LG_EXIT_FAILED;
}

static int with_options(int argc, char **argv, const lg_payload *p, const lg_io *io, lg_arena *a,
                        const char *path) {
    lg_run_settings o = {0};
    lg_option_row rows[LG_RUN_ROWS];
    lg_host_opts h;
    lg_words w = {0};
    char help_option[] = "--help";
    lg_run_rows(&o, rows);
    bool help = lg_wants_help(argc, argv);
    int status = lg_read_options(program_name, help ? 0 : argc, argv, rows, LG_RUN_ROWS, true, &w);
    if (help && argc && argv[0][0] != '-')
        LG_PUSH(w.words, argv[0]);
    if (help)
        LG_PUSH(w.rest, help_option);
    if (!status)
        status = lg_run_options(&o, &h);
    if (!status && w.words.n > 1) {
        char message[160];
        snprintf(message, sizeof message, "`%.60s` is one argument too many", w.words.at[1]);
        status = lg_usage_fault("E0713", message, "options are written --name value");
    }
    if (!status) {
        h.entry = w.words.n ? w.words.at[0] : NULL;
        h.argc = (int)w.rest.n;
        h.argv = w.rest.at;
        h.program = program_name;
        h.beside = path;
        h.with = p->with.at;
        h.n_with = (int)p->with.n;
        status = run(p, io, &h, a);
        if (help && !status)
            more_help(rows);
    }
    lg_words_fini(&w);
    return status;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGXFSZ, SIG_IGN); /* a file at its largest is an error like a full disk */
    lg_out_of_memory = out_of_memory;
    lg_command_prefix = "";
    program_name = argc > 0 ? last_part(argv[0]) : program_name;
    lg_arena *a = lg_arena_new();
    lg_diags ds;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds};
    lg_payload p = {0};
    char *path = own_path();
    int status = LG_EXIT_FAILED;
    if (lg_payload_read(&io, a, path ? path : "/proc/self/exe", program_name, &p))
        status = with_options(argc > 0 ? argc - 1 : 0, argv + 1, &p, &io, a, path);
    lg_show(&ds);
    status = lg_finish(program_name, status);
    lg_payload_fini(&p);
    lg_diags_fini(&ds);
    lg_arena_free(a);
    free(path);
    return status;
}
