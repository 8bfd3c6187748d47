/* train.h: a training run, as its files share it: step.c elaborates one step into one graph, run.c
 * steps through data and phases, save.c keeps and restores, report.c tells. */
#ifndef LG_HOST_TRAIN_H
#define LG_HOST_TRAIN_H
#include "compiler/host/inside.h"
#include "compiler/mid/parts.h"

/* Something that lives from step to step: a parameter, a state, state of an optimizer. */
typedef enum { LG_VAR_PARAM, LG_VAR_STATE, LG_VAR_RULE } lg_var_kind;
typedef struct {
    lg_sym path; /* "net.l1.w", "base", "net.optimizer.m.l1.w" */
    lg_var_kind kind;
    lg_tensor *x;    /* now; NULL before it was made */
    lg_tensor *next; /* where a step writes when it does not write in place */
} lg_var;

/* A source of batches: `data = ...` or `data src = ...`. */
typedef struct {
    const lg_ast *decl;
    lg_sym name; /* NULL: its fields are names by themselves */
    lg_data *data;
    int64_t *order; /* this epoch's; heap */
    int64_t at, epoch;
    struct lg_ahead *ahead; /* NULL: nothing was made ahead */
} lg_feed;

/* Rows made ahead on a thread (ahead.c), for data with `prefetch`. */
typedef struct lg_ahead lg_ahead;
void lg_ahead_start(lg_feed *s, int64_t rows); /* the next `rows` of this epoch */
bool lg_ahead_take(lg_feed *s, int64_t rows, lg_tensor **out); /* false: none that fit */
void lg_ahead_stop(lg_feed *s);

typedef struct {
    lg_sym name;
    bool eval;   /* of an eval block: one value an evaluation; else one a step */
    double last; /* NaN before the first */
    LG_VEC(double) values;
} lg_series;

typedef struct {
    int64_t epochs, max_steps, micro; /* -1: not said */
    int64_t seed;
    bool has_seed, stop_nonfinite;
    lg_dtype compute; /* LG_NO_DTYPE: as the program says */
    lg_span micro_at;
} lg_settings;

typedef struct {
    const lg_ast *every; /* EVERY */
    int64_t n;
} lg_period;

typedef struct lg_train {
    lg_elab *E;
    lg_host *H;
    const lg_ast *decl;
    lg_frame *env;
    int n_arg;
    const lg_arg *arg;
    lg_span at;
    LG_VEC(lg_var) var;
    LG_VEC(lg_feed) feed;
    LG_VEC(lg_series) series;
    LG_VEC(lg_period) period;        /* what `every n` came to */
    LG_VEC(const lg_ast *) quantize; /* statements in force */
    const lg_ast *phase;             /* DECL, or NULL */
    int phase_no, n_phases;
    lg_settings set;
    int64_t step, steps, epoch, run_step, steps_before; /* of the phase; of all phases */
    bool warned_of_nothing; /* W0604 */
    bool asks_finite;       /* steps say of each gradient whether it is finite */
    int64_t gradients, gradients_a_step;
    int64_t first_item; /* of the part under way */
    uint64_t seed;
    double started;
    bool stopped, by_signal, seed_given, generic;
    const char *locked_dir; /* the directory that this run saves into */
    int64_t save_run;       /* its number among the runs that saved there */
    const char *restored;   /* the save that the run goes on from, or NULL */
    int64_t restored_step;  /* run.step there */
    int lock;
    lg_frame *step_frame;     /* of the latest step that was elaborated */
    lg_frame *settings_frame; /* parameters of the run, for host expressions */
    struct lg_step_plan *plans;
    size_t held_before, room_before, arena_before; /* memory.c: bytes in use when it began */
} lg_train;

/* ---- one step as a graph (step.c, update.c) ---- */
typedef enum {
    LG_S_STEP,
    LG_S_EPOCH,
    LG_S_STEPS,
    LG_S_RUN_STEP,
    LG_S_SEED,
    LG_S_FIRST, /* position of the first item of a part in its batch */
    LG_S_FIELD,
    LG_S_VAR,
    LG_S_SERIES
} lg_slot_kind;
typedef struct {
    lg_slot_kind kind;
    int feed, index; /* FIELD: feed and column; VAR: number in T->var; SERIES: number */
    lg_node *init;   /* VAR: its first value */
} lg_slot;

typedef enum {
    LG_R_VAR,
    LG_R_LOSS,
    LG_R_WEIGHT, /* what a loss line was divided by; index: into lg_build.loss */
    LG_R_SERIES,
    LG_R_STOP,
    LG_R_NORM,
    LG_R_FINITE, /* is a gradient finite? index: its parameter in T->var */
    LG_R_VALUE
} lg_result_kind;
typedef struct {
    lg_result_kind kind;
    int index;
    lg_node *node;
} lg_result;

typedef struct {
    lg_sym name;
    lg_span at;
    bool is_param;   /* a single param of the train; else a part */
    lg_value *model; /* with the inputs as leaves */
    int n;
    lg_model_leaf *leaf;
    lg_value **value; /* inputs, by leaf */
    int *var;         /* number in T->var, by leaf */
    lg_value **next;  /* new values, NULL: unchanged */
    bool *frozen;
    bool primed; /* some statement gives its next value */
} lg_group;

/* Current value of a state within the step. */
typedef struct {
    const char *path;
    lg_value *now; /* structure with current leaves */
    int n, *var;   /* its leaves */
    bool written;
    lg_var_kind kind;
    int64_t decoded; /* how many numbers its codes stand for */
} lg_cell;

/* A value that an effect in a `when` shows: nodes of the step become constants when it ran. */
typedef struct {
    const lg_ast *e;
    lg_value *v;
    int first; /* number of its first result */
} lg_shown;
typedef struct {
    const lg_ast *effect;
    lg_node *cond; /* NULL: always */
    int cond_result;
} lg_action;

#define LG_NOT_FINITE "the loss is not finite"
#define LG_IN_PLACE_BYTES ((size_t)16 << 20) /* more of variables are overwritten in place */

typedef struct lg_build {
    lg_train *T;
    lg_elab *E;
    lg_graph *g; /* NULL: check mode */
    lg_frame *f;
    lg_step step;
    lg_store store, states;
    const lg_ast *eval; /* elaborates this eval block instead of a step */
    bool effects;       /* with the values that effects show */
    bool in_parts;      /* to be cut: the position of the first item is an input */
    LG_VEC(lg_slot) slot;
    LG_VEC(lg_result) result;
    LG_VEC(lg_group) group;
    LG_VEC(lg_cell) cell;
    LG_VEC(const char *) decoded; /* paths of parameters that come as codes and are trained */
    LG_VEC(const lg_ast *) loss;
    LG_VEC(const lg_ast *) body; /* statements of the train, then of the phase */
    LG_VEC(lg_shown) shown;
    LG_VEC(lg_action) action;
    LG_VEC(lg_node *) frozen;
    const int64_t *rows; /* batch size of each feed */
    lg_data *eval_data;
    lg_value *total; /* loss */
    struct lg_quantized *quantized; /* what is quantized, and how */
    lg_node *tested; /* fails when the loss is not finite; NULL: tested after the step */
    size_t trouble;  /* errors before it was elaborated */
    lg_span at;
} lg_build;

lg_build *lg_build_new(lg_train *T, const lg_ast *eval, lg_data *eval_data, const int64_t *rows,
                       bool effects, bool in_parts);
int lg_train_lead(const lg_train *T); /* the feed whose batch dim is B; -1: there is none */
bool lg_build_run(lg_build *b); /* false after reporting */
void lg_build_free(lg_build *b);
bool lg_build_inits(lg_build *b); /* first values of variables that have none */
lg_node *lg_build_input(lg_build *b, lg_type t, lg_slot slot, lg_span at); /* NULL in check mode */
/* kept.c: a declaration of a part, param or state; where hidden state lives; a name gets its value. */
void lg_build_keep(lg_build *b, const lg_ast *s);
void lg_build_stores(lg_build *b);
void lg_step_name(lg_build *b, lg_sym name, lg_value *v, lg_span at);
lg_value *lg_build_leaf(lg_build *b, const char *path, lg_value *init, lg_var_kind kind, int *var);
bool lg_build_update(lg_build *b);
lg_value *lg_build_loss(lg_build *b, const lg_ast *s);
bool lg_only_effects(const lg_ast *when); /* a `when` that primes nothing */
/* Effects (shown.c): one under a condition (NULL: always), those of a `when`, all of the train. */
void lg_build_show(lg_build *b, const lg_ast *s, lg_value *cond);
void lg_build_when(lg_build *b, const lg_ast *s, lg_value *outer);
void lg_build_effects(lg_build *b);
int lg_build_result(lg_build *b, lg_result_kind kind, int index, lg_node *node);
lg_value *lg_scalar_of_terms(lg_elab *E, lg_value *v, lg_span at);
int lg_train_var(lg_train *T, lg_sym path, lg_var_kind kind);
int lg_train_series(lg_train *T, lg_sym name, bool eval);
void lg_round_products(lg_graph *g, lg_dtype t);
bool lg_is_word(const lg_ast *s, const char *word); /* a declaration that begins with it */

/* One pass of a step over a part of its batch. */
typedef struct lg_piece {
    int pass, n; /* sums that it adds to */
    int *which;
    int64_t rows;
    lg_graph *g;
    lg_plan_use *use;
    struct lg_piece *next;
} lg_piece;

/* A planned step, kept for its batch sizes. */
typedef struct lg_step_plan {
    lg_build *b;
    lg_plan_use *use;
    int64_t rows[16];
    const lg_ast *eval, *phase;
    bool effects, *in_place; /* by result: overwrites the variable */
    bool in_place_any;
    void **out;
    const void **in;
    lg_tensor **extra;    /* buffers of results that are no variables */
    int loss, norm, stop; /* numbers of these results; -1: there are none */
    int series;           /* that of the loss in T->series; -1: not known yet */
    int64_t now[4], seed; /* step, epoch, steps, run_step as the plan reads them */
    lg_graph *cond_g;     /* conditions of effects that depend on the step alone */
    lg_plan *cond;
    bool always; /* some condition depends on more */
    bool check_nan;
    /* run in parts (pieces.c); `use` is then of what comes after them */
    struct lg_parts *parts;
    lg_graph *rest;
    bool rest_taken; /* the plan keeps it */
    lg_piece *pieces;
    int64_t part; /* items a part */
    int lead;     /* the feed that is cut */
    lg_tensor **sum;
    lg_data *stream; /* an eval's rows, fetched part by part */
    struct lg_step_plan *next;
} lg_step_plan;
/* part > 0: an eval, in parts of so many items when that is possible. */
lg_step_plan *lg_step_plan_for(lg_train *T, const lg_ast *eval, lg_data *d, const int64_t *rows,
                               bool effects, int64_t part);
lg_plan_use *lg_step_planned(lg_train *T, lg_step_plan *p, lg_graph *g); /* options of the run */
lg_plan_stats lg_step_plan_stats(const lg_step_plan *p);
/* pieces.c: prepares p, whose step was built, to run in parts of `part` items; false after
 * reporting, or silently when `maybe` and it cannot be cut. */
bool lg_pieces_make(lg_train *T, lg_step_plan *p, lg_data *d, int64_t part, bool maybe);
bool lg_pieces_run(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields, lg_fault *fault);
void lg_pieces_free(lg_step_plan *p);
const void *lg_step_input(lg_train *T, const lg_slot *x, lg_tensor *const *const *fields);
/* Runs it on the given fields; false after reporting. fields[feed][column]. */
bool lg_step_plan_run(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields);
void lg_step_plan_commit(lg_train *T, lg_step_plan *p); /* new values take the place of the old */
bool lg_step_plan_shows(lg_train *T,
                        lg_step_plan *p); /* will an effect of this step need its values? */
void lg_step_plan_effects(lg_train *T, lg_step_plan *p);
void lg_step_plans_free(lg_train *T);

/* memory.c: bytes at the peak of a train, `with` a plan that is not among its plans yet (or NULL). */
typedef struct {
    size_t kept, next; /* variables, and where their next values go */
    size_t work;       /* of the plans, one after the other */
    size_t data, batch, results, graphs;
} lg_train_memory;
lg_train_memory lg_train_memory_of(const lg_train *T, const lg_step_plan *with);
size_t lg_train_memory_all(const lg_train_memory *m);
size_t lg_train_work_limit(const lg_train *T, const lg_step_plan *p); /* 0: none */
bool lg_train_fits(lg_train *T, const lg_step_plan *p); /* the limit; false after reporting */
void lg_train_no_room(lg_train *T, const lg_node *big, size_t needed);
size_t lg_host_held(const lg_host *H); /* arrays of the program and of files */
void lg_train_measure(const lg_train *T); /* tells, with a profile, what it took */

/* logged.c: a train that begins, and its graph and plan, in the log. */
void lg_logged_train(lg_train *T, const lg_step_plan *p);
void lg_logged_graph(lg_train *T, const lg_step_plan *p, const lg_graph *g);
void lg_logged_plan(lg_train *T, const lg_step_plan *p, const lg_plan *plan);
char *lg_train_arguments(lg_train *T); /* save.c: of the run and of the program, as JSON; free() */

/* ---- what stands where (placing.c), what selectors name (paths.c) ---- */
/* `wrong`: something is amiss already, so that a missing length is not mentioned. */
void lg_train_places(lg_train *T, bool wrong);
/* Does the selector name a parameter (or, with `outputs`, the output of a part)? Reported at `at`,
 * unless that is nowhere, when not. */
bool lg_build_names(lg_build *b, const char *selector, bool outputs, lg_span at);
/* The text of a selector, `net, net.**` for a name; NULL after reporting anything else. */
const char *lg_selector_text(lg_elab *E, const lg_ast *s, const char *word);

/* ---- settings and phases (settings.c) ---- */
void lg_train_settings(lg_train *T, const lg_ast *phase, lg_settings *out);
/* generic: check mode, whatever the arguments may be. */
lg_train *lg_train_new(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg,
                       lg_span at, bool generic);
void lg_train_free(lg_train *T);
bool lg_train_feeds(lg_train *T);
bool lg_train_has_length(lg_train *T); /* epochs or max_steps is said; else reports */

/* ---- run.c, for who brings the batches: a train without phases ---- */
bool lg_train_begin(lg_train *T); /* false after reporting */
bool lg_train_step_by_hand(lg_train *T, lg_tensor *const *const *fields, const int64_t *rows);

/* ---- save.c ---- */
bool lg_train_save_begin(lg_train *T, const char *dir); /* makes and locks it; false: reported */
bool lg_train_save(lg_train *T, const char *dir);
bool lg_train_restore(lg_train *T, const char *dir);
bool lg_train_fits_save(lg_build *b); /* false after reporting: another model or optimizer now */

/* ---- report.c ---- */
void lg_train_begin_report(lg_train *T, lg_step_plan *p);
void lg_train_log_step(lg_train *T, double loss, bool is_eval);
/* Adds the newest loss and measurements of a train to `text`, for its progress (lg_progress_opts). */
void lg_train_newest(const void *train, lg_buf *text);
void lg_train_nonfinite(lg_train *T, lg_step_plan *p, lg_tensor *const *const *fields, double loss);
void lg_train_end_report(lg_train *T);
/* result.c */
lg_value *lg_train_result(lg_train *T);
lg_value *lg_train_result_type(lg_train *T); /* check mode; an error value when it is not known */
double lg_now(void);
#endif
