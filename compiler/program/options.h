/* options.h: options of commands by tables, those of a run, and how their faults are told. Called
 * by every command of `lg` and by built programs. */
#ifndef LG_OPTIONS_H
#define LG_OPTIONS_H
#include "compiler/host/host.h"
#include "runtime/diag.h"

enum { LG_EXIT_OK = 0, LG_EXIT_FAILED = 1, LG_EXIT_USAGE = 2 };

/* One option of a command. Exactly one of flag and text is set; text options take a value. */
typedef struct {
    const char *name;  /* without -- */
    const char *value; /* what stands for its value in help, or NULL */
    const char *help;
    bool *flag;
    const char **text;
} lg_option_row;
typedef struct {
    LG_VEC(const char *) words; /* what is no option */
    LG_VEC(char *) rest; /* options nobody knows, with what follows them: the program's own */
    bool after_word; /* set before: such options stand behind a word, those before are the command's */
} lg_words;
/* Reads argv[0..argc). keep_unknown: options that are not in the table go to `rest`, as do all
 * arguments after `--`. LG_EXIT_USAGE after reporting. */
int lg_read_options(const char *command, int argc, char **argv, const lg_option_row *rows, size_t n,
                    bool keep_unknown, lg_words *out);
void lg_words_fini(lg_words *w);
bool lg_wants_help(int argc, char **argv); /* --help or -h before any -- */
void lg_print_options(FILE *out, const lg_option_row *rows, size_t n);
/* What stands before the name of a command in messages: "lg ", or "" in a built program. */
extern const char *lg_command_prefix;

/* Prints what was reported to the standard error. */
void lg_show(const lg_diags *ds);
int lg_usage_fault(const char *code, const char *message, const char *help); /* LG_EXIT_USAGE */
int lg_bad_value(const char *option, const char *text, const char *wanted);  /* the same */

/* ---- options of a run ---- */
typedef struct {
    const char *log, *resume, *seed, *threads, *dtype, *memory, *jit, *trace;
    bool quiet, foreign, profile, no_fuse, no_simplify;
    const char *dump; /* of commands that have the program as text */
} lg_run_settings;
enum { LG_RUN_ROWS = 13 };
void lg_run_rows(lg_run_settings *o, lg_option_row out[LG_RUN_ROWS]);
/* As the host takes them; LG_EXIT_USAGE after reporting. */
int lg_run_options(const lg_run_settings *o, lg_host_opts *h);
/* "f32" or "f64" as a dtype; LG_NO_DTYPE otherwise. */
lg_dtype lg_float_named(const char *text);
/* The end of main: a full disk is an error. */
int lg_finish(const char *name, int status);
#endif
