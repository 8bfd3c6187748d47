/* inside.h: what the files of the host share: the running program, data, and a training run. */
#ifndef LG_HOST_INSIDE_H
#define LG_HOST_INSIDE_H
#include "compiler/host/host.h"
#include "compiler/mid/grad.h"
#include "compiler/mid/key.h"
#include "compiler/mid/model.h"
#include "runtime/io.h"
#include <signal.h>
#include <stdio.h>

typedef struct lg_data lg_data;

/* ---- the running program ---- */
typedef struct {
    lg_sym name;
    const char *text; /* as written after --name; NULL: a flag without a value */
    bool used;
    bool built_in; /* given when the program was built: another entry may not know it */
} lg_option;

typedef struct {
    int n;
    lg_sym *name;
    char **cell; /* heap texts */
} lg_table_row;
typedef struct {
    size_t width;
    bool number; /* on the right */
} lg_table_column;

typedef struct {
    lg_table_row row; /* names; its cells are gone */
    lg_table_column *column;
} lg_table_head;

typedef struct { /* what an elaboration on the side puts aside */
    lg_graph *g;
    lg_frame *frame;
    lg_step *step;
    lg_store *store, *states;
    lg_sym target;
    lg_value *guard;
    struct lg_nest *nest;
    int depth;
    uint64_t draw_path;
    lg_value *draw_lane;
    struct lg_quantized *quantized;
    lg_value *want, *lazy;
    struct lg_lane *lanes;
    struct lg_applying *applying;
    struct lg_probe_list *probe;
    lg_node *const *frozen;
    int n_frozen;
    bool host;
} lg_context;

/* sweep.c: where a loop began, and what there was when it last looked. */
typedef struct {
    size_t from, seen, bytes; /* nodes of the graph of constants; how many were made; their bytes */
    size_t rows;              /* data whose rows were made */
    size_t kept;              /* values and frames that the last look found */
} lg_loop_mark;

typedef struct lg_host {
    lg_host_opts o;
    lg_elab *E;
    lg_module *main;
    lg_graph *keep; /* home of the constants that host values are */
    lg_step step;   /* of entries and the top level */
    int status;
    LG_VEC(lg_option) option;
    LG_VEC(lg_table_row)
    table;                     /* rows not printed yet: they wait for the widths of those to come */
    lg_table_head shown;       /* of the table that the last printed line belongs to */
    LG_VEC(lg_data *) data;    /* every instance made so far */
    LG_VEC(lg_data *) rows;    /* data whose rows were made (`all`) */
    struct lg_file_rows *file; /* every file read so far */
    LG_VEC(const lg_ast *) told; /* trains and phases whose plan was told */
    LG_VEC(const lg_ast *) logged; /* and whose graph and plan stand in the log */
    LG_VEC(lg_span) checked_run; /* check mode: runs whose result got a type */
    lg_log *log;
    size_t made_bytes, made; /* of all constants so far, and how many */
    LG_VEC(lg_node *) spare; /* constants that nobody could reach: they serve again */
    lg_arena *spare_arena;   /* of a round that is over, empty; or NULL */
    struct lg_kept_plan *plans; /* reuse.c */
    size_t plans_n, plans_bytes;
    lg_graph_key plans_seen[64]; /* of expressions, lately; by their number */
    size_t plans_seen_n;
    lg_room room; /* of the plans of steps and evaluations */
    int64_t plans_made, plans_used; /* of steps and evaluations; told with --profile */
    bool in_run; /* the call under evaluation follows `run` */
    int trial;   /* > 0: predictions; nothing is printed or written */
    bool session; /* statements come one by one: signals end a statement, not the process */
    lg_context outside; /* where E stood when the piece of a session began */
    lg_loop_mark pieces; /* of a session: since its first piece */
} lg_host;

lg_host *lg_host_of(lg_elab *E);
/* The signal that asks what runs to stop at its next step or round; 0: none. */
extern volatile sig_atomic_t lg_host_signal;
lg_io lg_host_io(lg_elab *E, lg_span at);
/* The file that relative paths of the program at `at` may mean: see lg_io_find. On the heap. */
char *lg_host_path(lg_elab *E, const char *path, lg_span at);
/* Is the body of this data or entry being worked on? */
bool lg_host_within(const lg_elab *E, const lg_ast *decl);
bool lg_host_ok(lg_elab *E); /* no error so far */
/* Before anything of m runs: options and arguments are read. False after reporting. */
bool lg_host_ready(lg_elab *E, lg_module *m, const lg_host_opts *o);

bool lg_host_runs_at_top(const lg_ast *s);
/* `check e, ...`: tells of each whether it holds. False when one does not. */
bool lg_host_check_line(lg_elab *E, lg_module *m, const lg_ast *s, FILE *out);
/* What checking found out with unknown values is forgotten: names are pending again. */
void lg_host_afresh(lg_elab *E);
void lg_host_forget(lg_module *m); /* in one module */
/* A name that the top-level statement s is to define, or has defined. */
lg_binding *lg_host_defined_by(lg_frame *f, const lg_ast *s);

/* ---- what effects leave in the log (logged.c): nothing without one, or in predictions ---- */
void lg_logged_text(lg_elab *E, const char *event, const char *text);
void lg_logged_row(lg_elab *E, const lg_table_row *row);
void lg_logged_claim(lg_elab *E, bool holds, const char *claim);
void lg_logged_curves(lg_elab *E, size_t n, const lg_named *curve);

/* ---- values of host code (settle.c, interp.c) ---- */
lg_context lg_host_enter(lg_elab *E, lg_graph *g, bool host);
void lg_host_leave(lg_elab *E, const lg_context *c);
/* e in frame f as a host value: nothing of it depends on a graph. */
lg_value *lg_host_expr(lg_elab *E, lg_frame *f, const lg_ast *e);
/* Replaces what v has in the graph E->g by constants. The graph stays as it is. */
lg_value *lg_host_settle(lg_elab *E, lg_value *v);
/* The same; `last`: that graph itself is run, nothing else comes of it. *stays: somebody keeps it. */
lg_value *lg_host_settle_now(lg_elab *E, lg_value *v, bool last, bool *stays);
/* In a check: v as a run will have it, with constants for what it computed; else v. */
lg_value *lg_host_known(lg_elab *E, lg_value *v);
/* The tensor of a settled tensor value, borrowed; numbers become scalars (*made: to be released).
 */
lg_tensor *lg_host_tensor(lg_elab *E, lg_value *v, lg_tensor **made);
lg_value *lg_host_const(lg_elab *E, const lg_value *like, lg_tensor *x, lg_span at); /* retains x */
lg_value *lg_host_copy(lg_elab *E, const lg_value *like,
                       const lg_tensor *x); /* of what x holds now */
lg_value *lg_host_array(lg_elab *E, lg_tensor *x, const char *rows, lg_span at); /* new dims */
void lg_host_block(lg_elab *E, lg_frame *f, const lg_ast *block);
/* A round of a loop, or a piece of a session that defines nothing (round.c): what it makes is gone at
 * its end, but for the n values v, which live on outside, and for what became a part of something
 * older. Nothing in a check. */
typedef struct {
    lg_arena *outer, *own; /* own: NULL in a check */
    lg_dims_level dims;
    unsigned lasting;
    size_t data, rows;
    const struct lg_file_rows *file;
} lg_round;
void lg_round_begin(lg_elab *E, lg_round *r);
void lg_round_end(lg_elab *E, lg_round *r, size_t n, lg_value **v);
lg_loop_mark lg_host_mark(lg_elab *E);
/* A constant among the host values. */
lg_node *lg_host_keep(lg_host *H, lg_tensor *x, lg_span at); /* retains x */
/* Between two rounds of a loop in frame f: once it is worth it, frees constants made since *m that
 * neither names nor also[0..n) reach. */
void lg_host_sweep(lg_elab *E, const lg_frame *f, lg_loop_mark *m, lg_value *const *also,
                   size_t n);
/* One statement of host code. */
void lg_host_do(lg_elab *E, lg_frame *f, const lg_ast *s);
void lg_host_fault(lg_elab *E, const lg_fault *fault, lg_span at);
/* The record that `from v` means for a part called `name`: of a directory, a run, a record. */
lg_value *lg_host_record_from(lg_elab *E, lg_value *v, lg_sym name, lg_span at);
/* `part name = e from r` in frame f; constructed in E->g or, without one, checked. */
lg_value *lg_host_part(lg_elab *E, lg_frame *f, const lg_ast *s);
lg_step lg_host_step(lg_elab *E, int64_t seed);

/* ---- plans that serve again (reuse.c) ---- */
typedef struct lg_kept_plan lg_kept_plan;
typedef struct lg_plan_use lg_plan_use;
/* The plan of g, or one made earlier for a graph that computes the same from its inputs; numbers of
 * g that vary, and with `arrays` all arrays in it, go in by themselves. NULL where lg_plan_new gives NULL. *made: it is a new one. */
lg_plan_use *lg_plan_use_new(lg_host *H, lg_graph *g, const lg_plan_opts *o, bool arrays,
                             bool *made);
lg_plan *lg_plan_used(const lg_plan_use *u);
bool lg_plan_use_run(lg_plan_use *u, const void *const *in, void *const *out, lg_fault *fault);
/* True: the plan keeps the graph g, which was given for it; else g is still its owner's. */
bool lg_plan_use_free(lg_plan_use *u, const lg_graph *g);
void lg_plans_forget(lg_host *H); /* frees all that nobody uses */
/* lg_graph_eval without inputs: arrays in g go in as inputs, and a plan that is wanted a second time
 * is kept. *taken: with it g. */
bool lg_plan_eval(lg_host *H, lg_graph *g, lg_tensor **out, lg_fault *fault, bool *taken);

/* ---- effects (effect.c, format.c, plot.c) ---- */
void lg_host_effect(lg_elab *E, lg_frame *f, const lg_ast *s);
/* The same with its arguments already values (NULL where the argument is a text with formats). */
typedef lg_value *(*lg_value_of_fn)(void *ctx, lg_elab *E, const lg_ast *e);
void lg_host_effect_with(lg_elab *E, const lg_ast *s, lg_value_of_fn value, void *ctx);
void lg_host_flush(lg_elab *E); /* prints rows of a table that wait */
void lg_format_value(lg_elab *E, lg_buf *b, lg_value *v, const char *spec, lg_span at);
void lg_format_array(lg_elab *E, lg_buf *b, lg_value *v); /* of rank 2 and more: with its dims */
void lg_format_type(lg_elab *E, lg_buf *b, const lg_value *v, const lg_tensor *x); /* f32[N = 3] */
char *lg_format_text(lg_elab *E, const lg_ast *str, lg_value_of_fn value, void *ctx); /* heap */
void lg_plot_terminal(lg_buf *b, int n_curves, const lg_named *curve);
void lg_plot_svg(lg_buf *b, int n_curves, const lg_named *curve);

/* ---- arguments (args.c) ---- */
bool lg_options_read(lg_host *H);
/* The option called `name` as a value of the declared type; NULL when it was not given. */
lg_value *lg_option_value(lg_elab *E, lg_frame *f, lg_sym name, const lg_ast *type, lg_span at);
lg_value *lg_arg_value(lg_elab *E, lg_frame *f, const lg_ast *decl); /* arg n: T in S = e */
/* Parameters of an entry or train from options. */
int lg_param_options(lg_elab *E, lg_frame *f, const lg_ast *params, lg_arg **out);
/* Check mode: parameters bound in f that the command line gives a value have that. */
void lg_options_bind(lg_elab *E, lg_frame *f, const lg_ast *params);
bool lg_options_all_used(lg_host *H, const lg_ast *what); /* reports unknown ones */
/* Options of a build: each is an argument of some part of m, and its value is allowed. */
bool lg_options_check(lg_host *H, lg_module *m);
void lg_options_help(lg_host *H, const lg_ast *what);

/* ---- data (data.c, source.c, pipeline.c) ---- */
typedef struct {
    lg_sym name;
    lg_value *type; /* of one row: a tensor value without node */
    lg_tensor *x;   /* all rows [n, ...]; NULL: made on demand */
    const char *const *class_names;
} lg_col;
typedef struct lg_source lg_source;
struct lg_source {
    int64_t n; /* rows; -1: endless or, in check mode, unknown */
    int n_cols;
    lg_col *col;
    const char *name; /* file or declaration, for messages */
    /* windows over tokens: column 0 */
    lg_tensor *tokens;
    int64_t window, stride;
    lg_vocab *vocab;
    int64_t classes; /* of labels, or -1 */
    /* rows computed from another's */
    lg_data *from;       /* NULL: from random numbers */
    const lg_ast *block; /* fields */
    lg_value *fn;        /* or one function of a row */
    lg_frame *frame;
    struct lg_row_plan *plan;
    int64_t seed;
    bool unknown;                   /* check mode: its columns are not known */
    bool nonfinite;                 /* nan and inf are wanted */
    bool contiguous;                /* neighbouring rows overlap: split in place */
    const char *const *class_names; /* of labels, or NULL */
};
struct lg_data {
    const lg_ast *decl; /* NULL: made by a pipeline */
    const char *key;    /* its arguments as text */
    const char *name;
    lg_span at;
    lg_source *src;
    int64_t *order; /* rows of src, n of them; NULL: all, in order */
    int64_t n;      /* -1: endless or unknown */
    bool shuffle, drop_last, ahead;
    uint64_t seed;
    int64_t batch;   /* 0: not said */
    lg_tensor **all; /* the selected rows of every column, once they were made */
    lg_dim *rows;    /* their number as a dim, once somebody asked */
};
lg_value *lg_data_value(lg_elab *E, lg_data *d, lg_span at);
lg_data *lg_data_of(lg_elab *E, lg_value *v, lg_span at); /* reports and NULL when it is no data */
lg_data *lg_data_call(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                      lg_span at);
lg_value *lg_data_field(lg_elab *E, lg_data *d, lg_sym field, lg_span at);
size_t lg_source_bytes(const lg_host *H); /* of the columns of all files read so far */
lg_source *lg_source_read(lg_elab *E, lg_frame *f, const lg_ast *call); /* csv(...), text(...) */
bool lg_is_reader(lg_sym name);
/* n rows of every column; the results are owned. False after reporting. */
bool lg_source_fetch(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, const bool *want,
                     lg_tensor **out); /* want NULL: all; others stay NULL */
/* n rows of computed columns (rows.c); owned. */
bool lg_source_mapped(lg_elab *E, lg_source *s, const int64_t *row, int64_t n, lg_tensor **out);
/* Types of computed columns. */
bool lg_source_type(lg_elab *E, lg_source *s);
/* Of its rows when all are kept in memory, as they are while they are not too many; else 0. */
size_t lg_data_kept_bytes(const lg_data *d);
/* Rows at positions pos[0..n) of the data (epoch order); owned. */
bool lg_data_rows(lg_elab *E, lg_data *d, const int64_t *pos, int64_t n, lg_tensor **out);
/* The same where out[] has other rows (or NULL): tensors that nobody else holds serve again. */
bool lg_data_rows_again(lg_elab *E, lg_data *d, const int64_t *pos, int64_t n, lg_tensor **out);
lg_value *lg_data_whole(lg_elab *E, lg_data *d, int64_t most, lg_span at); /* record of arrays */
int64_t *lg_data_epoch(const lg_data *d,
                       int64_t epoch);   /* heap: positions in the order of this epoch */
int64_t lg_data_batch(const lg_data *d); /* rows of a full batch */
lg_tensor *lg_take_rows(lg_tensor *x, const int64_t *row, int64_t n);
const lg_builtin *lg_host_builtin_find(lg_sym name);
lg_data *lg_data_stage(lg_elab *E, lg_data *d, lg_sym name, int n, const lg_arg *arg, lg_span at);
/* csv(...) |> shuffle() ...; decl: a declaration whose fields stand over the source, or NULL. */
lg_data *lg_data_expr(lg_elab *E, lg_frame *f, const lg_ast *e, const lg_ast *decl);
void lg_data_drop_rows(lg_data *d); /* `all`: they are made again when somebody asks */
lg_data *lg_data_derive(lg_elab *E, const lg_data *d);

/* Do the derivatives of fn up to an order agree with differences? A bool; an error after reporting.
 */
lg_value *lg_gradcheck(lg_elab *E, lg_value *fn, int order, lg_span at);

/* ---- training (train.c, step.c, phase.c, report.c) ---- */
lg_value *lg_train_run(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                       lg_span at);
/* A statement of the body of a train; false: an ordinary one. */
bool lg_train_statement(lg_elab *E, lg_frame *f, const lg_ast *s);
void lg_train_check(lg_elab *E, const lg_ast *decl, lg_frame *env);
bool lg_train_predict(lg_elab *E, const lg_ast *decl, lg_frame *env, FILE *out);
#endif
