/* command.h: the commands of `lg`, one a file, and what they share: options and their faults. */
#ifndef LG_COMMAND_H
#define LG_COMMAND_H
#include "compiler/driver/compile.h"

enum { LG_EXIT_OK = 0, LG_EXIT_FAILED = 1, LG_EXIT_USAGE = 2 };

/* One option of a command. Exactly one of flag and text is set; text options take a value. */
typedef struct {
    const char *name; /* without -- */
    const char *value; /* what stands for its value in help, or NULL */
    const char *help;
    bool *flag;
    const char **text;
} lg_option_row;
typedef struct {
    LG_VEC(const char *) words; /* what is no option */
    LG_VEC(char *) rest;        /* options nobody knows, with what follows them: the program's own */
} lg_words;
/* Reads argv[0..argc). keep_unknown: options that are not in the table go to `rest`, as do all
 * arguments after `--`. LG_EXIT_USAGE after reporting. */
int lg_read_options(const char *command, int argc, char **argv, const lg_option_row *rows, size_t n,
                    bool keep_unknown, lg_words *out);
void lg_words_fini(lg_words *w);
bool lg_wants_help(int argc, char **argv); /* --help or -h before any -- */
void lg_print_options(FILE *out, const lg_option_row *rows, size_t n);

/* Prints what was reported to the standard error. */
void lg_show(const lg_diags *ds);
int lg_usage_fault(const char *code, const char *message, const char *help); /* LG_EXIT_USAGE */

int lg_cmd_run(int argc, char **argv);
int lg_cmd_check(int argc, char **argv);
int lg_cmd_fmt(int argc, char **argv);
int lg_cmd_explain(int argc, char **argv);
int lg_cmd_help(int argc, char **argv);
int lg_cmd_ops(int argc, char **argv);
int lg_cmd_version(int argc, char **argv);

/* dump.c: --dump=tokens|ast|typed|graph|grad|plan; false when there is no such phase. */
bool lg_is_dump(const char *what);
int lg_dump(lg_session *s, const char *path, const char *what);
#endif
