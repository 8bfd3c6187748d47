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
    const char *dump; /* graph, grad, plan or c: print that of each train's step; NULL: nothing */
} lg_host_opts;

/* Runs the chosen part of module m. 0: well; 1: an error was reported in E->diags (the caller
 * prints them) or an `accept` fell short (already printed); 2: the command line was not understood.
 */
int lg_host_run(lg_elab *E, lg_module *m, const lg_host_opts *o);
/* Checks host code, data, trains and entries of m with unknown values; part of every check. */
void lg_host_check_module(lg_elab *E, lg_module *m);
/* Makes the names of m's top-level `let`s known before anything is checked. */
void lg_host_foresee(lg_elab *E, lg_module *m);
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
/* Names and one-line help of what only the host knows: readers, pipeline stages. */
size_t lg_host_builtin_count(void);
const lg_builtin *lg_host_builtin_at(size_t i);
#endif
