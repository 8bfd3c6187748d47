/* command.h: the commands of `lg`, one a file. */
#ifndef LG_COMMAND_H
#define LG_COMMAND_H
#include "compiler/driver/compile.h"
#include "compiler/program/options.h"
#include "runtime/io.h"

enum { LG_MOST_ROWS = 24 };
/* What the words of a command are, for completion. */
typedef enum {
    LG_WORD_NONE,
    LG_WORD_PROGRAM, /* a file of the language, then its entries */
    LG_WORD_FILE,    /* any file */
    LG_WORD_NAME,    /* a name that `lg help` knows */
    LG_WORD_CODE,    /* an error code */
    LG_WORD_SHELL,
} lg_word_kind;
typedef struct {
    const char *name;
    const char *use;   /* its words, as in "FILE ..." */
    const char *help;  /* one line */
    const char *about; /* sentences */
    lg_word_kind words;
    size_t (*rows)(lg_option_row *out); /* its options, at most LG_MOST_ROWS; NULL: none */
    int (*run)(int argc, char **argv);
} lg_command;

/* commands.c: the table of them all; help, completion and manual pages are written from it. */
size_t lg_command_count(void);
const lg_command *lg_command_at(size_t i);
const lg_command *lg_command_find(const char *name); /* or NULL */
size_t lg_command_rows(const lg_command *c, lg_option_row out[LG_MOST_ROWS]);
void lg_command_help(const lg_command *c); /* to the standard output */
void lg_commands_usage(FILE *out);

int lg_cmd_run(int argc, char **argv);
int lg_cmd_build(int argc, char **argv);
int lg_cmd_check(int argc, char **argv);
int lg_cmd_fmt(int argc, char **argv);
int lg_cmd_info(int argc, char **argv);
int lg_cmd_diff(int argc, char **argv);
int lg_cmd_plot(int argc, char **argv);
int lg_cmd_report(int argc, char **argv);
int lg_cmd_doc(int argc, char **argv);
int lg_cmd_completion(int argc, char **argv);
int lg_cmd_explain(int argc, char **argv);
int lg_cmd_help(int argc, char **argv);
int lg_cmd_ops(int argc, char **argv);
int lg_cmd_version(int argc, char **argv);
int lg_cmd_repl(int argc, char **argv);

/* help.c: what a name of the library, a builtin, an op or a word is, to the standard output.
 * LG_EXIT_FAILED after reporting. */
int lg_help_name(lg_arena *a, const char *name);
/* marks.c: which numbers among the parameters of d, which stands in `tree`, are static. */
void lg_help_marks(const lg_ast *tree, const lg_ast *d);
/* A declaration with its doc comment and its text. */
void lg_help_declaration(const lg_ast *d);
/* The i-th word of the language, its form and what it means; NULL past the last one. */
const char *lg_help_word_at(size_t i, const char **form, const char **text);
/* All names that help knows, in an array of the arena. */
size_t lg_help_names(lg_arena *a, const char ***out);

/* The options, with nothing to set: for help. */
size_t lg_rows_run(lg_option_row *out); /* of `lg run` and `lg check` */
size_t lg_rows_build(lg_option_row *out);
size_t lg_rows_repl(lg_option_row *out);
size_t lg_rows_fmt(lg_option_row *out);
size_t lg_rows_diff(lg_option_row *out);
size_t lg_rows_plot(lg_option_row *out);
size_t lg_rows_report(lg_option_row *out);
size_t lg_rows_doc(lg_option_row *out);

/* man.c: lg.1 and a page lg-CMD.1 for each command, to DIR/man1; false after reporting. */
bool lg_man_commands(const lg_io *io, const char *dir);

/* dump.c: --dump=tokens|ast|typed|graph|grad|plan|dot|c; false when there is no such phase. */
bool lg_is_dump(const char *what);
int lg_dump(lg_session *s, const char *path, const char *what, const lg_host_opts *h);
#endif
