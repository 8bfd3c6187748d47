/* repl.c: the prompt: `lg` without arguments. Reads pieces of text, one statement or several, and
 * hands them to the session; the language is that of files. With a pipe for input it is silent but
 * for results, and the first error ends it. */
#include "compiler/driver/repl.h"
#include "compiler/front/parse.h"
#include "runtime/plan.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reports ---- */

void lg_repl_begin(lg_repl *R) {
    lg_diags_fini(&R->in.ds);
    lg_diags_init(&R->in.ds);
}

bool lg_repl_finish(lg_repl *R) {
    bool ok = R->in.ds.errors == 0;
    fflush(stdout);
    lg_diags_print(&R->in.ds, stderr, R->colour);
    fflush(stderr);
    lg_repl_begin(R);
    return ok;
}

/* ---- memory that is not to be had ends a statement, not the session ---- */

static jmp_buf out_of_memory_at;
static pthread_t typing;
static bool can_jump;

static void out_of_memory(size_t wanted) {
    fflush(stdout);
    fprintf(stderr, "lg: out of memory (%zu bytes wanted)\n", wanted);
    if (can_jump && pthread_equal(typing, pthread_self()))
        longjmp(out_of_memory_at, 1);
    _exit(LG_EXIT_FAILED);
}

/* ---- one input ---- */

static void show(void *ctx, lg_elab *E, lg_value *v, const lg_ast *e) {
    (void)ctx;
    lg_buf b = {0};
    lg_host_display(E, &b, v, e);
    if (b.n)
        puts(b.at);
    fflush(stdout);
    lg_buf_free(&b);
}

static bool understood(lg_repl *R, const char *name, const char *text, size_t n) {
    uint32_t file = lg_source_add(name, text, n);
    lg_ast *tree = lg_parse(R->in.arena, file, &R->in.ds);
    lg_host_point before = lg_host_here(R->module);
    lg_ast *piece = lg_ast_new(R->in.arena, LG_A_BLOCK, tree->span, 0);
    if (R->in.ds.errors)
        return false;
    for (uint32_t i = 0; i < tree->n; i++)
        if (tree->kid[i]->kind != LG_A_IMPORT)
            lg_ast_add(R->in.arena, piece, tree->kid[i]);
        else if (!lg_session_import(&R->in, R->module, tree->kid[i])) {
            lg_host_return(R->module, before);
            return false;
        }
    bool ok = lg_host_piece(R->in.E, R->module, piece, show, R);
    if (R->module->frame->names != before.names)
        lg_repl_note(R, text, tree, before);
    return ok;
}

bool lg_repl_statements(lg_repl *R, const char *name, const char *text, size_t n) {
    lg_host_point before = lg_host_here(R->module);
    lg_repl_begin(R);
    lg_host_ask_to_stop(0);
    if (setjmp(out_of_memory_at)) {
        can_jump = false;
        lg_host_recover(R->in.E, R->module, before);
        lg_repl_finish(R);
        return false;
    }
    can_jump = true;
    bool ok = understood(R, name, text, n);
    can_jump = false;
    if (lg_host_asked_to_stop() && R->terminal)
        fprintf(stderr, "\n");
    return lg_repl_finish(R) && ok;
}

static bool is_blank(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", text[i]))
            return false;
    return true;
}

bool lg_repl_input(lg_repl *R, const char *text, size_t n) {
    char name[40];
    if (is_blank(text, n))
        return true;
    size_t skip = strspn(text, " \t");
    if (text[skip] == ':' || text[skip] == '?') {
        lg_repl_begin(R);
        return lg_repl_command(R, text + skip);
    }
    snprintf(name, sizeof name, "<input %d>", ++R->inputs);
    return lg_repl_statements(R, name, text, n);
}

const lg_ast *lg_repl_expression(lg_repl *R, const char *text) {
    char name[40];
    snprintf(name, sizeof name, "<input %d>", ++R->inputs);
    return lg_parse_expr(R->in.arena, lg_source_add(name, text, strlen(text)), &R->in.ds);
}

/* ---- the session ---- */

void lg_repl_open(lg_repl *R) {
    lg_session_init(&R->in);
    if (R->o.float_dtype != LG_NO_DTYPE)
        R->in.E->float_dtype = R->o.float_dtype;
    lg_ast *none = lg_ast_new(R->in.arena, LG_A_BLOCK, (lg_span){0}, 0);
    R->module = lg_elab_add_module(R->in.E, "<prompt>", none, false);
    lg_host_start(R->in.E, R->module, &R->o);
    R->in.E->allow_foreign = R->o.allow_foreign;
}

void lg_repl_close(lg_repl *R) {
    lg_repl_log_clear(R);
    lg_host_detach(R->in.E);
    lg_session_fini(&R->in);
}

/* ---- reading ---- */

/* Does the text go on? It does inside brackets, and after a comment that belongs to what follows.
 */
static bool incomplete(const lg_buf *b) {
    size_t skip = strspn(b->at, " \t\n");
    if (b->at[skip] == ':' || b->at[skip] == '?')
        return false;
    if (memchr(b->at, 0, b->n))
        return false;
    size_t end = b->n, beg;
    while (end && strchr(" \t\r\n", b->at[end - 1]))
        end--;
    for (beg = end; beg && b->at[beg - 1] != '\n'; beg--)
        ;
    beg += strspn(b->at + beg, " \t");
    return (beg + 1 < end && b->at[beg] == '#' && b->at[beg + 1] == '#') ||
           lg_parse_incomplete(b->at, b->n);
}

/* Reads on until a piece is whole. False at the end of the input. */
static bool read_piece(lg_line *l, lg_buf *b) {
    const char *text;
    size_t n;
    b->n = 0;
    for (;;) {
        lg_line_status s = lg_line_read(l, b->n != 0, &text, &n);
        if (s == LG_LINE_BROKEN_OFF) {
            b->n = 0;
            continue;
        }
        if (s == LG_LINE_END)
            return b->n != 0;
        if (b->n)
            lg_buf_put(b, "\n", 1);
        lg_buf_put(b, text, n);
        if (!b->n || (!incomplete(b) && !lg_line_continues(l)))
            return true;
    }
}

static void on_interrupt(int sig) {
    lg_host_ask_to_stop(sig);
}

static int loop(lg_repl *R) {
    lg_buf b = {0};
    bool good = true;
    lg_line *l = lg_line_new(R);
    struct sigaction now = {.sa_handler = on_interrupt}, was;
    sigemptyset(&now.sa_mask);
    if (R->terminal)
        sigaction(SIGINT, &now, &was);
    while (!R->quit && read_piece(l, &b)) {
        if (R->terminal && b.n && !is_blank(b.at, b.n))
            lg_line_remember(l, b.at);
        bool ok = !b.n || lg_repl_input(R, b.at, b.n);
        good = good && ok;
        if (!ok && !R->terminal && !R->keep_going)
            break;
    }
    lg_line_free(l);
    if (R->terminal)
        sigaction(SIGINT, &was, NULL);
    lg_buf_free(&b);
    good = good && !lg_host_fell_short(R->in.E);
    return good || R->terminal ? LG_EXIT_OK : LG_EXIT_FAILED;
}

/* ---- the command ---- */

enum { N_ROWS = LG_RUN_ROWS + 1 };

static void rows_of(lg_run_settings *o, bool *keep_going, lg_option_row out[N_ROWS]) {
    lg_run_rows(o, out);
    out[LG_RUN_ROWS] = (lg_option_row){"keep-going", NULL, "go on after an error of a transcript",
                                       keep_going, NULL};
}

size_t lg_rows_repl(lg_option_row *out) {
    static lg_run_settings none;
    static bool keep_going;
    rows_of(&none, &keep_going, out);
    return N_ROWS;
}

int lg_cmd_repl(int argc, char **argv) {
    lg_run_settings o = {0};
    lg_repl R = {0};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, &R.keep_going, rows);
    int status = lg_read_options("repl", argc, argv, rows, N_ROWS, false, &w);
    if (!status && w.words.n)
        status =
            lg_usage_fault("E0713", "the prompt takes no file", "`lg run FILE`, or `:load FILE`");
    if (!status)
        status = lg_run_options(&o, &R.o);
    lg_words_fini(&w);
    if (status)
        return status;
    R.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    R.colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
    typing = pthread_self();
    void (*was)(size_t) = lg_out_of_memory;
    lg_out_of_memory = out_of_memory;
    lg_pool_init(R.o.threads);
    lg_repl_open(&R);
    status = loop(&R);
    lg_repl_close(&R);
    lg_out_of_memory = was;
    return status;
}
