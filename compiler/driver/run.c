/* run.c: `lg run` and `lg check`. */
#include "compiler/driver/command.h"
#include "compiler/host/host.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Options of both commands: those of a run, and what only the text of a program has. */
enum { N_ROWS = LG_RUN_ROWS + 1 };

static void rows_of(lg_run_settings *o, lg_option_row out[N_ROWS]) {
    lg_run_rows(o, out);
    out[LG_RUN_ROWS] =
        (lg_option_row){"dump", "PHASE", "print tokens, ast, typed, graph, grad, plan, dot or c instead",
                        NULL, &o->dump};
}

static int host_options(const lg_run_settings *o, lg_host_opts *h) {
    int status = lg_run_options(o, h);
    if (!status && o->dump && !lg_is_dump(o->dump))
        status = lg_bad_value("dump", o->dump, "tokens, ast, typed, graph, grad, plan, dot or c");
    return status;
}

size_t lg_rows_run(lg_option_row *out) {
    static lg_run_settings none;
    rows_of(&none, out);
    return N_ROWS;
}

/* ---- lg run ---- */

/* What a command does with a program that is loaded and checked; gives the exit status. */
typedef int (*program_fn)(lg_session *s, lg_module *m, const lg_host_opts *h);

/* known: what the program's options say is known in its check. */
static int with_program(const char *path, const char *dump, const lg_host_opts *h, bool known,
                        program_fn fn) {
    lg_session s;
    lg_session_init(&s);
    int status = LG_EXIT_FAILED;
    if (dump) {
        status = lg_dump(&s, path, dump, h);
    } else {
        if (h->float_dtype != LG_NO_DTYPE)
            s.E->float_dtype = h->float_dtype;
        lg_module *m = lg_session_load(&s, path);
        if (m && (!known || lg_host_options(s.E, h)) && lg_session_check(&s))
            status = fn(&s, m, h);
    }
    lg_show(&s.ds);
    lg_session_fini(&s);
    return status;
}

static int run_program(lg_session *s, lg_module *m, const lg_host_opts *h) {
    return lg_host_run(s->E, m, h);
}

int lg_cmd_run(int argc, char **argv) {
    lg_run_settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_host_opts h;
    lg_words w = {0};
    rows_of(&o, rows);
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
        bool times = o.dump && o.profile && !strcmp(o.dump, "dot"); /* are known after a run */
        h.dump = times ? o.dump : NULL;
        status = with_program(w.words.at[0], times ? NULL : o.dump, &h, false, run_program);
        lg_buf_free(&program);
    }
    lg_words_fini(&w);
    return status;
}

/* ---- lg check ---- */

static bool has_options(const lg_host_opts *h) {
    return h->argc || h->entry;
}

static int check_program(lg_session *s, lg_module *m, const lg_host_opts *h) {
    bool good = (!has_options(h) || lg_host_check_options(s->E, m)) &&
                (h->quiet || lg_host_predict(s->E, m, h, stdout));
    return good && !s->ds.errors ? LG_EXIT_OK : LG_EXIT_FAILED;
}

/* Behind a file a bare name that is no file itself is its entry, as for `lg run`. */
static bool is_entry(const char *word) {
    return !strpbrk(word, "./") && access(word, F_OK) != 0;
}

int lg_cmd_check(int argc, char **argv) {
    lg_run_settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_host_opts h;
    lg_words w = {.after_word = true};
    rows_of(&o, rows);
    int status = lg_read_options("check", argc, argv, rows, N_ROWS, true, &w);
    if (!status)
        status = host_options(&o, &h);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg check` wants a file",
                                "lg check FILE [ENTRY] ... [--name value ...]");
    h.argc = status ? 0 : (int)w.rest.n;
    h.argv = w.rest.at;
    for (size_t i = 0; i < w.words.n && status != LG_EXIT_USAGE; i++) {
        const char *file = w.words.at[i];
        h.entry = i + 1 < w.words.n && is_entry(w.words.at[i + 1]) ? w.words.at[++i] : NULL;
        int one = with_program(file, o.dump, &h, has_options(&h), check_program);
        status = one ? one : status;
    }
    lg_words_fini(&w);
    return status;
}
