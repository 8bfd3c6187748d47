/* repl.h: what the files of the prompt share: repl.c (the loop), repl_line.c (typing),
 * repl_complete.c (TAB), repl_log.c (what was typed, undo, save), repl_command.c and repl_look.c
 * (commands). Private to the driver. */
#ifndef LG_REPL_H
#define LG_REPL_H
#include "compiler/driver/command.h"
#include "compiler/host/host.h"

/* A piece that was understood and run. */
typedef struct {
    char *text; /* heap */
    const lg_ast *tree;
    lg_host_point before, after;
} lg_repl_piece;

typedef struct lg_repl {
    lg_session in;
    lg_module *module;
    lg_host_opts o;
    bool terminal;   /* somebody types: prompt, editing, history */
    bool colour;     /* of reports */
    bool keep_going; /* go on after an error of a transcript */
    bool quit;
    int inputs; /* so far: their names in reports */
    LG_VEC(lg_repl_piece) log;
    size_t settled; /* of these: so many can no longer be taken back */
} lg_repl;

/* ---- repl.c ---- */
void lg_repl_open(lg_repl *R);
void lg_repl_close(lg_repl *R);
/* One input: a command, or statements. False after an error, which has been shown. */
bool lg_repl_input(lg_repl *R, const char *text, size_t n);
/* Statements under the name of a file or input. */
bool lg_repl_statements(lg_repl *R, const char *name, const char *text, size_t n);
/* Forgets the reports so far; shows those since: true when there is no error among them. */
void lg_repl_begin(lg_repl *R);
bool lg_repl_finish(lg_repl *R);
/* An expression of a command; NULL after reporting. */
const lg_ast *lg_repl_expression(lg_repl *R, const char *text);

/* ---- repl_command.c ---- */
bool lg_repl_command(lg_repl *R, const char *text);
size_t lg_repl_command_names(const char *const **out); /* with the colon */

/* ---- repl_look.c, repl_grad.c: commands about an expression ---- */
bool lg_repl_type(lg_repl *R, const char *text);
bool lg_repl_graph(lg_repl *R, const char *text);
bool lg_repl_plan(lg_repl *R, const char *text);
bool lg_repl_time(lg_repl *R, const char *text);
bool lg_repl_grad(lg_repl *R, const char *text);

/* ---- repl_log.c ---- */
/* Notes a piece; tells which values keep what an older definition gave them. */
void lg_repl_note(lg_repl *R, const char *text, const lg_ast *tree, lg_host_point before);
bool lg_repl_undo(lg_repl *R);
bool lg_repl_vars(lg_repl *R);
/* Statements whose names are in view, in order; outdated: computed with what is no longer there. */
typedef void (*lg_repl_statement_fn)(void *ctx, const lg_ast *s, bool outdated);
void lg_repl_in_view(lg_repl *R, lg_repl_statement_fn fn, void *ctx);
bool lg_repl_save(lg_repl *R, const char *path); /* repl_save.c */
/* The statements, still in view, through which e may depend on x, as text. */
void lg_repl_between(lg_repl *R, const char *x, const char *e, lg_buf *out);
void lg_repl_log_clear(lg_repl *R);
typedef void (*lg_repl_name_fn)(void *ctx, lg_sym name);
void lg_repl_names_of(const lg_ast *s, lg_repl_name_fn fn, void *ctx); /* that a statement gives */

/* ---- repl_line.c ---- */
typedef struct lg_line lg_line;
lg_line *lg_line_new(lg_repl *R);
void lg_line_free(lg_line *l);
typedef enum { LG_LINE_OK, LG_LINE_END, LG_LINE_BROKEN_OFF } lg_line_status;
/* The next line, or lines pasted at once, without the last newline. Owned by l. */
lg_line_status lg_line_read(lg_line *l, bool continued, const char **text, size_t *n);
/* Of a pipe: does the line to come go on with what was read? Somebody who types is not waited for.
 */
bool lg_line_continues(lg_line *l);
void lg_line_remember(lg_line *l, const char *text); /* in the history */

void lg_make_folders(char *path); /* those that a file of this path stands in */

/* ---- repl_complete.c ---- */
typedef struct {
    LG_VEC(char *) word; /* sorted, heap */
    size_t from;         /* where in the text the word begins that they complete */
} lg_words_found;
/* What could stand at the end of text[0..n). */
void lg_repl_complete(lg_repl *R, const char *text, size_t n, lg_words_found *out);
void lg_words_found_fini(lg_words_found *w);
#endif
