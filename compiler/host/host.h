/* host.h: running a checked program: host statements, data, training runs, the command line of a
 * program. Not for compiling: what a graph means stands in mid/. Called by the driver and by built
 * programs. */
#ifndef LG_HOST_H
#define LG_HOST_H
#include "compiler/back/jit.h"
#include "compiler/mid/elab.h"
#include "runtime/plan.h"

typedef struct lg_host_opts {
    const char
        *entry; /* name of an entry or train; NULL: the top level, or the file's only train */
    int argc;   /* options of the program itself: --hidden 256 --help */
    char **argv;
    int n_with; /* "name=value": defaults of arguments, in place of the program's own */
    const char *const *with;
    const char *beside; /* data and saves that the working directory lacks are looked for beside
                           this file; NULL: beside the source */
    const char *program; /* as the user calls it, for --help: "lg run digits.lg" */
    const char *log;     /* JSON lines of training, or NULL */
    const char *resume;  /* directory of saves to go on from, or NULL */
    bool quiet;          /* no progress, no plan lines */
    bool allow_foreign;
    int threads; /* 0: all of the machine */
    int64_t seed;
    bool seed_given;           /* it goes before the `seed` of a train */
    lg_dtype float_dtype;      /* LG_NO_DTYPE: as the program says */
    int64_t memory;            /* most bytes a step may take; 0: no limit */
    bool no_fuse, no_simplify; /* for tests: plans as they were built */
    lg_jit_mode jit;           /* compile steps while they run */
    /* What lg_host_rehearse calls with each plan, which may be gone afterwards. runs: the steps of a
     * run, for the plan of a whole batch; 0 for a short one's and for evaluations. */
    void (*planned)(void *ctx, const lg_plan *p, int64_t runs, bool sized);
    void *planned_ctx;
    const char *dump; /* graph, grad, plan or c: print that of each train's step; NULL: nothing */
} lg_host_opts;

/* Runs the chosen part of module m. 0: well; 1: an error was reported in E->diags (the caller
 * prints them) or an `accept` fell short (already printed); 2: the command line was not understood.
 */
int lg_host_run(lg_elab *E, lg_module *m, const lg_host_opts *o);
/* Makes the plans that a run of m at its defaults makes, without running them: those of its top level
 * and of every train that needs no arguments. Host code runs, for what it says decides about plans,
 * but prints and writes nothing. What goes wrong is reported in E->diags. */
void lg_host_rehearse(lg_elab *E, lg_module *m, const lg_host_opts *o);
/* Checks host code, data, trains and entries of m with unknown values; part of every check. */
void lg_host_check_module(lg_elab *E, lg_module *m);
/* Makes the names of m's top-level `let`s known before anything is checked. */
void lg_host_foresee(lg_elab *E, lg_module *m);
/* The options of the program, o->argc and o->argv, where they are known before its check: what they
 * say is not unknown in it. Afterwards: does every one name an argument, and is its value allowed? */
bool lg_host_options(lg_elab *E, const lg_host_opts *o);
bool lg_host_check_options(lg_elab *E, lg_module *m);
/* The settings o->with: every one names an argument of the program, and its value is allowed. */
bool lg_host_check_with(lg_elab *E, lg_module *m, const lg_host_opts *o);
/* What `lg check` adds: state sizes, memory and work of each train at its defaults, to `out`; then
 * the `check` lines of the file. False when one of them fell short. */
bool lg_host_predict(lg_elab *E, lg_module *m, const lg_host_opts *o, FILE *out);
/* The hooks of E that library and user code need before anything is checked or run (arguments,
 * data, names that only the host knows). lg_host_run and lg_host_check_module call it themselves.
 */
void lg_host_attach(lg_elab *E, const lg_host_opts *o);
/* A program given piece by piece (session.c). lg_host_start makes the names of m known, after its
 * check; lg_host_detach frees what values of the session held. */
void lg_host_start(lg_elab *E, lg_module *m, const lg_host_opts *o);
void lg_host_detach(lg_elab *E);
void lg_host_bind(lg_elab *E, lg_module *m, lg_sym name, lg_tensor *x); /* retains x */
/* The array that an expression gives, retained; NULL after reporting. */
lg_tensor *lg_host_array_of(lg_elab *E, lg_module *m, const lg_ast *e);
/* Statements typed one by one (the REPL): runs the statement and shows the value of an expression.
 * False after an error. */
bool lg_host_statement(lg_elab *E, lg_module *m, const lg_ast *s, bool show);
/* A piece of text as the prompt gets it, one statement or many: checked as a file is, its names known
 * from the start, then run statement by statement. A name that is there already is replaced: what
 * calls it sees the new one from now on. What fails leaves the names as they were, but for those of
 * statements that ran before. Values of expressions go to `show`. False after an error. */
typedef void (*lg_host_show_fn)(void *ctx, lg_elab *E, lg_value *v, const lg_ast *e);
bool lg_host_piece(lg_elab *E, lg_module *m, const lg_ast *piece, lg_host_show_fn show, void *ctx);
bool lg_host_check_piece(lg_elab *E, lg_module *m, const lg_ast *piece); /* without running it */
lg_value *lg_host_look(lg_elab *E, lg_module *m, const lg_ast *e); /* NULL after reporting */
/* Its type, without computing it; NULL after reporting. */
const lg_value *lg_host_type_of(lg_elab *E, lg_module *m, const lg_ast *e);
/* The graph of an expression, in which the arrays in view are inputs: named, by slot. */
typedef struct {
    lg_graph *g;
    int n_in, n_out;
    const char **name;    /* "net.l1.w" */
    lg_tensor **x;        /* borrowed */
    const char *const **dim; /* names of the dims of each input; NULL: a number */
    const char **path;    /* of the outputs in the value; "" for an array */
} lg_host_picture;
/* False after reporting. The graph is the caller's to free. */
bool lg_host_picture_of(lg_elab *E, lg_module *m, const lg_ast *e, lg_host_picture *out);
/* A file that is imported while a session runs: checked, then ready. False after reporting. */
bool lg_host_admit(lg_elab *E, lg_module *m);
/* What names a session has, to come back to. */
typedef struct {
    struct lg_binding *names;
    size_t dims;
    lg_ast *tree;
} lg_host_point;
lg_host_point lg_host_here(const lg_module *m);
void lg_host_return(lg_module *m, lg_host_point p);
/* After memory ran out in the middle of a piece: back to where it began. */
void lg_host_recover(lg_elab *E, lg_module *m, lg_host_point p);
bool lg_host_fell_short(lg_elab *E); /* an `accept` or a `check` did not hold */
/* For signal handlers: what runs ends at its next step or round; 0: it need not. */
void lg_host_ask_to_stop(int sig);
bool lg_host_asked_to_stop(void);
/* A value as the prompt shows it: type with dims by name, then arrays aligned or, when they are
 * large, their ends and what is in between; models as tables; histories as curves (display.c).
 * `e`: the expression it is of, or NULL. */
void lg_host_display(lg_elab *E, lg_buf *b, lg_value *v, const lg_ast *e);
void lg_host_display_brief(lg_elab *E, lg_buf *b, lg_value *v); /* on one line */
/* Names and one-line help of what only the host knows: readers, pipeline stages. */
size_t lg_host_builtin_count(void);
const lg_builtin *lg_host_builtin_at(size_t i);
#endif
