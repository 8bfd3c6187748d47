/* elab.h: the elaborator: walks the tree with abstract values. In check mode (no graph) it is the
 * type and dimension checker; with a graph it is the lowering, and the same code does both.
 * Files: value.c (values), frame.c (names, dims across calls), emit.c (nodes), align.c, arith.c,
 * expr.c, index.c (index notation), reduce.c, call.c, block.c (statements, primes), control.c
 * (if, when, scan), model.c, rule.c (optimizers), quant.c, derive.c (derivatives), builtin*.c. */
#ifndef LG_ELAB_H
#define LG_ELAB_H
#include "compiler/front/ast.h"
#include "compiler/mid/dim.h"
#include "ops/ops.h"
#include "runtime/diag.h"

typedef struct lg_value lg_value;
typedef struct lg_frame lg_frame;
typedef struct lg_elab lg_elab;
typedef struct lg_model lg_model;
typedef struct lg_module lg_module;

/* ---- values ---- */
typedef enum {
    LG_V_ERROR,    /* not known, or already reported: everything about it is silently accepted; in
                      `list` what it may be, as far as that is known */
    LG_V_NUM,      /* static number or bool, possibly only known in names (`dim`) or not at all */
    LG_V_STR,      /* static text */
    LG_V_TENSOR,   /* graph value; rank 0 is a run-time scalar */
    LG_V_RECORD,   /* fields in order */
    LG_V_LIST,     /* static list, items of any kind */
    LG_V_RANGE,    /* lo..hi */
    LG_V_FN,       /* closure over a fn, loss, schedule, lambda, quantizer or optimizer part */
    LG_V_BUILTIN,  /* builtin function */
    LG_V_MODEL,    /* a model (or part of one) at certain parameter values */
    LG_V_RULE,     /* an optimizer with its hyperparameters */
    LG_V_QUANT,    /* a quantizer with its hyperparameters */
    LG_V_DATA,     /* a data pipeline (host/data.h) */
    LG_V_SELECTOR, /* `a.*.b` */
    LG_V_DTYPE,    /* f32 used as a value or a cast */
    LG_V_DECL,     /* a model, optimizer, train, entry, data name that was not called yet */
    LG_V_MODULE,   /* import ... as m */
    LG_V_NONE,     /* no value: effects */
    LG_V_OPAQUE,   /* check mode: the unknown tensor or record that a capital letter stands for */
    LG_V_HOST      /* a thing that only the host knows: run results ... (`ptr`) */
} lg_vkind;

/* An index of index notation that is open: each run of it is one lane of the leading dims. */
typedef struct lg_index {
    lg_sym name;
    lg_dim *dim;
    lg_span at;
    int64_t lo;    /* first value (0 unless `i in lo..hi`) */
    bool lo_known;
    bool ranged;   /* its range was written (`i in lo..hi`): plain subscripts are checked as bounds */
    unsigned seq;  /* order of opening: open dims of a node are sorted by it */
    lg_span from;  /* the subscript that gave its dim; nowhere when the range was written */
} lg_index;

typedef struct {
    lg_sym name;
    lg_value *value;
    lg_span at;
} lg_field;

struct lg_value {
    lg_vkind kind;
    uint8_t trace; /* traced.h: 0 while nobody asks */
    lg_span at; /* where it came from, for messages */
    lg_value *weight; /* a loss's terms that carry weights: their weights (same dims), else NULL */
    lg_value *rounds; /* result of a scan: how many rounds were run, read as `.rounds`; else NULL */
    union {
        struct {
            bool known, is_bool, is_int; /* is_int: exact integer in i; else real in d */
            uint8_t as;                  /* 1 + the float type it is where nothing else says one, or 0 */
            int64_t i;
            double d;
            int64_t num, den; /* exact ratio when den > 0 */
            lg_dim *dim;      /* integer given by a dim polynomial, or NULL */
            uint64_t varies;  /* made from run-time parameters: names the expression (key.h); or 0 */
            lg_sym called;    /* the name it was just read by, or NULL: may be that of an axis */
        } num;
        const char *str;
        struct {
            lg_dtype dtype;
            bool weak; /* takes the dtype around it: step, scalar arguments, schedules, indices */
            bool host; /* in a check: a run has it as a constant, as host values are */
            int n_open, rank;
            lg_index **open; /* sorted by seq */
            lg_dim **dim;
            lg_dim *bound;   /* integer labels in 0..bound, or NULL */
            lg_node *node;   /* NULL in check mode; shape [open..., dims...] */
        } t;
        struct {
            int n;
            lg_field *f;
            struct lg_value *quant; /* the quantizer whose codes these are, or NULL */
        } rec;
        struct {
            int n;
            lg_value **at;
        } list;
        struct {
            lg_value *lo, *hi;
        } range;
        struct {
            const lg_ast *decl;  /* DECL or LAMBDA */
            lg_frame *env;       /* frame it was made in (members see their model frame) */
            lg_value *bound;     /* record of arguments already given (schedules built outside), or NULL */
            const lg_ast *type;  /* FNTYPE of the parameter it was passed for, or NULL; its names: */
            lg_frame *type_env;
            uint64_t place;      /* a lambda: where it was made, which derivatives of it draw at */
            lg_value *draw_lane;
            struct lg_lane *lanes;
        } fn;
        const struct lg_builtin *builtin;
        struct {
            lg_model *m;         /* the (sub)model */
            lg_value **leaf;     /* values of its leaves, by leaf number */
            lg_sym name;         /* of the root in its train, NULL: none; states stand under it */
            const char *path;    /* from the root, "" for the root itself */
            struct lg_held *held; /* of a part that a run gave back: how it is quantized */
        } model;
        struct {
            const lg_ast *decl;
            lg_frame *env;       /* frame holding hyperparameters */
            void *ident;         /* identity of this rule value, for its state (rule.c) */
        } rule;
        struct {
            const lg_ast *decl;
            lg_frame *env;
            void *ident;
        } quant;
        struct {
            const lg_ast *decl;
            lg_frame *env;
        } decl;
        struct {
            lg_sym name;
            lg_arena *arena;
            void *shape;         /* an opaque R: which letter; equal pointers are equal types */
            int rank;            /* R[S]: the leading dims of a stack; -1: it has some, unknown */
            lg_dim **dim;
        } opaque;
        lg_dtype dtype;
        lg_module *module;
        void *ptr;
    };
};

lg_value *lg_v_new(lg_elab *E, lg_vkind k, lg_span at);
lg_value *lg_v_error(lg_elab *E, lg_span at);
lg_value *lg_v_int(lg_elab *E, int64_t v, lg_span at);
lg_value *lg_v_real(lg_elab *E, double v, lg_span at);
lg_value *lg_v_bool(lg_elab *E, bool v, lg_span at);
lg_value *lg_v_unknown(lg_elab *E, bool is_int, bool is_bool, lg_span at);
lg_value *lg_v_dim(lg_elab *E, lg_dim *d, lg_span at); /* an integer given in names */
/* Numbers of which another run of the same plan may have other values (num.varies): a parameter
 * called `name`; r, which op makes of a and b, and is given back; v as it is in this run alone. */
lg_value *lg_num_varying(lg_elab *E, const lg_value *v, lg_sym name);
lg_value *lg_num_made(lg_value *r, const char *op, const lg_value *a, const lg_value *b);
lg_value *lg_num_fixed(lg_elab *E, lg_value *v);
lg_value *lg_v_str(lg_elab *E, const char *s, lg_span at);
lg_value *lg_v_tensor(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, lg_node *node, lg_span at);
lg_value *lg_v_open(lg_elab *E, lg_dtype t, int n_open, lg_index *const *open, int rank,
                    lg_dim *const *dim, lg_node *node, lg_span at); /* with open indices */
/* The two above report more than LG_MAX_RANK dims, open indices included, with this. */
lg_value *lg_too_many_dims(lg_elab *E, lg_span at); /* E0213 */
lg_value *lg_v_record(lg_elab *E, int n, lg_span at); /* fields to be filled */
lg_value *lg_v_list(lg_elab *E, int n, lg_span at);
lg_value *lg_v_copy(lg_elab *E, const lg_value *v);
lg_value *lg_v_field(const lg_value *rec, lg_sym name); /* NULL when there is none */
void lg_v_set_field(lg_elab *E, lg_value *rec, lg_sym name, lg_value *v); /* replaces or appends */
/* "f32[B, H]", "record {m, v}", "model MLP", ... for messages (arena text) */
const char *lg_v_type_text(lg_elab *E, const lg_value *v);
/* Static readings. False when not static (or not known in check mode). A host scalar counts. */
bool lg_v_static_int(lg_elab *E, const lg_value *v, int64_t *out);
bool lg_v_static_real(lg_elab *E, const lg_value *v, double *out);
bool lg_v_static_bool(lg_elab *E, const lg_value *v, bool *out);
/* As a dim: an integer value, known or in names; NULL after reporting. */
lg_dim *lg_v_to_dim(lg_elab *E, const lg_value *v, lg_span at);

/* Leaves of a record, model or list value, depth first; path "l1.w" (arena). A tensor or number is
 * its own only leaf with path "". */
typedef struct {
    const char *path;
    lg_value *value;
} lg_leaf;
int lg_v_leaves(lg_elab *E, const lg_value *v, lg_leaf **out);
/* The same structure with its leaves replaced, in the same order. */
lg_value *lg_v_rebuild(lg_elab *E, const lg_value *like, lg_value *const *leaf);
/* A stack of v, which is opaque: n dims in front of those it has; n < 0: not known. */
lg_value *lg_v_stacked(lg_elab *E, const lg_value *v, int n, lg_dim *const *dim, lg_span at);
bool lg_v_is_vector(const lg_value *v); /* record, or model used as its record, or opaque */
bool lg_list_is_array(const lg_value *v); /* a list of numbers, or of equal lists of numbers */
lg_value *lg_list_tensor(lg_elab *E, lg_value *list, lg_dtype t, lg_span at); /* such a list as a tensor */
lg_value *lg_arrayed(lg_elab *E, lg_value *v, lg_span at); /* a list of numbers as a tensor, else v */
lg_value *lg_arrays_within(lg_elab *E, lg_value *v, lg_span at); /* the same in records and lists too */

/* ---- frames ---- */
typedef enum { LG_B_VALUE, LG_B_PENDING, LG_B_RUNNING } lg_bstate;
typedef struct lg_binding {
    lg_sym name;
    lg_value *value;
    const lg_ast *stmt; /* PENDING: the statement that defines it */
    lg_bstate state;
    bool prime, used, is_let;
    lg_index *index; /* the name is an index (index.c); value: its number */
    lg_span at;
    struct lg_binding *next;
} lg_binding;

typedef struct {
    lg_sym name;
    lg_dim *dim;
} lg_named_dim;

typedef struct {
    lg_sym name; /* "S" of ...S */
    int n;
    lg_dim **dim;
} lg_pack;

typedef enum {
    LG_F_MODULE, LG_F_FN, LG_F_MODEL, LG_F_BLOCK, LG_F_TRAIN, LG_F_HOST, LG_F_RULE, LG_F_SCAN
} lg_fkind;

struct lg_frame {
    lg_fkind kind;
    lg_arena *arena;   /* it lives there, and with it what its names are bound to */
    lg_frame *up;      /* lexical parent */
    lg_frame *caller;  /* dynamic parent, for dims and "called from" */
    lg_frame *self;    /* model frame of a member function, or NULL */
    lg_frame *hyper;   /* body of a rule: the frame of its hyperparameters, whose dims it has too */
    const lg_ast *decl;
    lg_module *module;
    lg_span call_at;
    lg_binding *names;
    LG_VEC(lg_named_dim) dims;
    LG_VEC(lg_pack) packs;
    lg_dtype float_dtype;      /* what `float` means here */
    bool float_bound;          /* an argument said so (of a signature with `float`) */
    lg_value *result;          /* value of return, once met */
    const struct lg_block *block;
    lg_value *model;           /* LG_F_MODEL: the model value under construction or use */
    void *ext;                 /* scan, train, rule: their own structure */
    uint64_t path_hash;        /* address of random draws: place and chain of calls */
    unsigned rand_count;       /* draws met in this declaration so far */
    unsigned call_count;       /* calls and inner blocks met so far: their place in path_hash */
    /* Where pending names of this frame are run, whoever asks for them (lg_block_declare). */
    bool scoped;
    lg_graph *g;
    lg_value *guard, *draw_lane;
    struct lg_lane *lanes;
};
lg_frame *lg_frame_new(lg_elab *E, lg_fkind kind, lg_frame *up);
void lg_frame_add_dim(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *d);
/* The frame whose draws and calls are counted for f: blocks without an address of their own belong
 * to what they stand in. */
lg_frame *lg_counting_frame(lg_frame *f);
/* The address of the next call or inner block of f. */
uint64_t lg_next_place(lg_frame *f);
bool lg_in_library(const lg_frame *f);
void lg_bind(lg_elab *E, lg_frame *f, lg_sym name, lg_value *v, lg_span at);
lg_binding *lg_find_local(lg_frame *f, lg_sym name, bool prime); /* this frame only */
/* Looks a name up through frames, modules, the library and the builtins; forces pending ones.
 * NULL (silently) when there is none. */
lg_value *lg_lookup(lg_elab *E, lg_frame *f, lg_sym name, lg_span at);
lg_value *lg_force(lg_elab *E, lg_frame *f, lg_binding *b, lg_span at);
/* The same, but not in the library or the builtins: did the user's text (or the module we are in) define it? */
bool lg_lookup_user(lg_elab *E, lg_frame *f, lg_sym name);
void lg_library_names(lg_elab *E, const char ***at, size_t *n, size_t *cap);
lg_dim *lg_lookup_dim(lg_elab *E, lg_frame *f, lg_sym name);
/* The declaration of that name at the top of m or, failing that, of the library; NULL: none. */
const lg_ast *lg_decl_named(lg_elab *E, const lg_module *m, lg_sym name);
/* Dims of inner frames as the frame f sees them (see frame.c). */
lg_dim *lg_dim_seen_from(lg_elab *E, lg_frame *f, lg_dim *d);
lg_value *lg_value_seen_from(lg_elab *E, lg_frame *f, lg_value *v);
/* A fresh atom of frame f standing for `to` (a dim as its caller sees it), or for nothing. */
lg_dim *lg_dim_fresh(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *to, lg_span at);
/* The same for a parameter of f that is given as a number (or as the size `to`). */
lg_dim *lg_dim_size_param(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *to, lg_span at);
/* d with such parameters replaced by what they were given as. */
const lg_dim *lg_dim_in_numbers(const lg_dim *d);

/* ---- modules ---- */
struct lg_module {
    const char *name;   /* "digits.lg", "std.losses" */
    lg_ast *tree;
    lg_frame *frame;    /* top-level names, forced on demand */
    bool library;
    lg_module *next;
};

/* ---- addresses of state, and what a step knows ---- */
typedef struct lg_step {
    lg_value *step, *epoch, *steps, *run_step;  /* weak scalars, or NULL outside a train */
    lg_value *seed;                             /* i64 scalar node or static number */
    lg_value *first_item;                       /* position of the first item in the step's batch */
    lg_dim *batch;                              /* the dim B of the train, or NULL */
    bool training;
} lg_step;

/* Where hidden state lives: of optimizers (E->store; implemented by the train and by scan) and of
 * models, losses and quantizers (E->states; implemented by the train). Paths are whole: see
 * model.h. `get` gives what the latest call in the text order left there. */
typedef struct lg_store {
    /* current value of the state `path` (made with init on first use), and its next value */
    lg_value *(*get)(struct lg_store *s, lg_elab *E, const char *path, lg_value *init);
    void (*set)(struct lg_store *s, lg_elab *E, const char *path, lg_value *next);
    void *ctx;
    struct lg_place *places; /* rule.c numbers here what it met; NULL at the start of each graph */
    bool by_text;            /* a rule made again by the same text is the same one (unrolled loops) */
} lg_store;

/* An argument of a call. */
typedef struct {
    lg_sym name; /* NULL: positional */
    lg_value *value;
    const lg_ast *ast; /* its value; where a name was written, the NAMED of both; or NULL */
    lg_span at;        /* of the value */
} lg_arg;
lg_span lg_arg_at(const lg_arg *a); /* where its name stands, else its value: for messages */

/* An index of a map or reduction whose body is being evaluated, innermost first; index.c keeps the
 * list, rand.c reads it. */
typedef struct lg_lane {
    lg_index *index;
    struct lg_lane *up;
} lg_lane;

struct lg_late {
    lg_span at;
    const char *text;
    struct lg_late *next;
};

struct lg_elab {
    lg_arena *arena;     /* of what is under way: in a round of a host loop, that round's own */
    lg_arena *home;      /* of what stays as long as the elaboration */
    unsigned lasting;    /* goes up when something older than the round got a part in it */
    lg_diags *diags;
    lg_dims *dims;
    lg_graph *g;         /* NULL: check mode */
    lg_frame *frame;     /* where we are */
    lg_module *modules;  /* user files first, then the library */
    lg_step *step;
    lg_store *store;     /* optimizer state, NULL: applying a rule is an error */
    lg_store *states;    /* model and loss state, NULL: state is read-only here */
    lg_sym target;       /* name that the statement under evaluation feeds: net in net' = ..., or NULL */
    lg_dtype float_dtype;
    unsigned index_seq;
    int depth;           /* of calls */
    struct lg_asking *asking; /* names being evaluated because somebody asked (frame.c) */
    struct lg_tried *tried;   /* models that were checked by themselves (model.c) */
    lg_value *guard;     /* condition of the enclosing tensor `if` of this body, or NULL */
    lg_value *lazy;      /* where subscripts are read, when that is narrower than `guard`, or NULL */
    struct lg_nest *nest; /* captures of the graph under construction (control.c) */
    uint64_t draw_path;
    lg_value *draw_lane; /* extra address of the draws: scan index and the like, or NULL */
    struct lg_quantized *quantized; /* what a train quantizes: model.h */
    lg_value *want; /* zeros of the declared type while the first value of a param or state is
                       evaluated: what a parameter `like` that is not given gets; NULL in bodies */
    struct lg_lane *lanes; /* indices of the maps we are inside of: each run draws its own numbers */
    struct lg_applying *applying; /* the optimizer whose body is being evaluated (rule.c), or NULL */
    struct lg_probe_list *probe;  /* parts called meanwhile are noted: lg_probe_note; NULL: nobody asks */
    lg_node *const *frozen;       /* leaves that a train froze: their derivatives are zeros */
    int n_frozen;
    bool host;           /* evaluating host code: results become values at once */
    bool allow_foreign;  /* --allow-foreign */
    lg_module *(*load)(lg_elab *E, const char *path, lg_span at); /* import; set by the driver */
    void *load_ctx;
    lg_value *(*host_field)(lg_elab *E, lg_value *v, lg_sym field, lg_span at);
    /* what: "run" (at: RUN); "call" (at: DECL of a train, data or entry; args[0] the LG_V_DECL,
     * args[1] a record of its arguments by parameter name); "statement" (at: an effect, setting or
     * declaration that only the host knows, met by lg_statement in host code) */
    lg_value *(*host_call)(lg_elab *E, const char *what, const lg_ast *at, int n, lg_value **args);
    /* Statements and declarations that only the host knows (arg, data, part and loss of a train,
     * effects ...): lg_statement asks here first. False: not one of them. */
    bool (*host_statement)(lg_elab *E, lg_frame *f, const lg_ast *s);
    /* A call of a data, train or entry declaration (LG_V_DECL), of data, or of a host value. */
    lg_value *(*host_apply)(lg_elab *E, lg_value *callee, int n, const lg_arg *arg, lg_span at);
    /* Functions that only the host knows: readers, pipeline stages. NULL: no such name. */
    const struct lg_builtin *(*host_builtin)(lg_sym name);
    lg_value *(*host_text)(lg_elab *E, const lg_ast *str); /* a string in host code, formats applied */
    struct lg_statics *statics; /* static parameters (static.h), once somebody asked */
    struct lg_late *late; /* checks that only a run can make: lg_late */
    struct lg_traced *traced; /* a check looks for derivatives that are not there: traced.h; or NULL */
    bool contracts; /* a check tries calls of host code: only the contracts they break are told */
    struct lg_uncovered *uncovered; /* what a check notes for uncovered.h; NULL: nobody asks */
    void *host_ctx;
};
#define LG_CHECKING(E) ((E)->g == NULL)

/* Notes in check mode that what stands at `at` is tried only when it runs; `lg check` lists these.
 * Once a place; not inside the library. */
void lg_late(lg_elab *E, lg_span at, const char *fmt, ...) LG_PRINTF(3, 4);

lg_elab *lg_elab_new(lg_arena *a, lg_diags *ds);
/* Registers a file's declarations. The library is loaded lazily by name. */
lg_module *lg_elab_add_module(lg_elab *E, const char *name, lg_ast *tree, bool library);
/* A module of the library by its name ("losses"); NULL when there is none. */
lg_module *lg_library_module(lg_elab *E, const char *name);
/* Binds module m in `into` under the name that the statement t gives it. */
void lg_elab_import(lg_elab *E, lg_module *into, const lg_ast *t, lg_module *m);
/* Checks every declaration of a module generically (check mode). */
void lg_elab_check_module(lg_elab *E, lg_module *m);

/* ---- expressions, calls, statements ---- */
lg_value *lg_expr(lg_elab *E, const lg_ast *e);
lg_value *lg_expr_in(lg_elab *E, lg_frame *f, const lg_ast *e);
lg_value *lg_call_value(lg_elab *E, lg_value *callee, int n, const lg_arg *arg, lg_span at);
/* {term, weight} of a loss: the terms, which know their weights; any other v as it is. */
lg_value *lg_loss_terms(lg_elab *E, lg_value *v, lg_span at);
lg_value *lg_call_decl(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self, int n,
                       const lg_arg *arg, lg_span at);
/* Binds arguments to PARAMS into frame f: names, defaults, allowed sets, types, dims. */
bool lg_bind_params(lg_elab *E, lg_frame *f, const lg_ast *params, int n, const lg_arg *arg,
                    lg_span at, const char *what);
/* Statements of a body; the value of `return`, or of its single expression. */
lg_value *lg_block(lg_elab *E, lg_frame *f, const lg_ast *block);
void lg_require(lg_elab *E, lg_frame *f, const lg_ast *s);
const char *lg_require_text(lg_elab *E, const lg_ast *s); /* unknown values as formulas in braces */
void lg_statement(lg_elab *E, lg_frame *f, const lg_ast *s);
/* The numbers among the parameters of decl, bound in f, that are not static: from here on another
 * run of the plan may have others. */
void lg_params_vary(lg_elab *E, lg_frame *f, const lg_ast *decl);
/* Makes the names that a block defines pending in f and notes where they are to be run; lg_block
 * begins with it. Lets, primed names, local functions and dims. */
void lg_block_declare(lg_elab *E, lg_frame *f, const lg_ast *block);
/* Names that a place gives (p g t step epoch steps) are not redefined: true after reporting. */
bool lg_refuse_given(lg_elab *E, lg_frame *f, lg_sym name, lg_span at);
/* A frame for a block inside f's declaration, with an address of its own for random draws. */
lg_frame *lg_inner_frame(lg_elab *E, lg_fkind kind, lg_frame *f);
/* A loop as an expression: over records and selectors a record, else an array or a list. */
lg_value *lg_for(lg_elab *E, const lg_ast *e);
/* Items of a static loop: lists, ranges, records (paths), selectors, arrays with known length.
 * Each is the value of `for v in ...`; path[k] (NULL for none) is where its result stands. */
/* The values of n rounds as one: a record by path, an array, or a list where types differ. */
lg_value *lg_loop_collected(lg_elab *E, lg_value *over, int n, lg_value *const *v,
                            const char *const *path, lg_span at);
int lg_loop_items(lg_elab *E, lg_value *over, const lg_ast *pattern, lg_value ***item,
                  const char ***path, lg_span at);
/* `rev(xs)` as what a loop runs over: xs, which it goes through from its end, each value landing at
 * its own index. NULL: e is something else. */
const lg_ast *lg_rev_of(lg_elab *E, const lg_ast *e);
/* The two branches of a run-time scalar condition, built as one COND; see control.c. */
typedef lg_value *(*lg_branch_fn)(lg_elab *E, void *ctx);
lg_value *lg_cond(lg_elab *E, lg_value *c, lg_branch_fn then_, lg_branch_fn else_, void *ctx,
                  lg_span at);
/* A schedule that was built outside a train: its value at this step, or v itself. */
lg_value *lg_schedule_now(lg_elab *E, lg_value *v);
bool lg_is_schedule(const lg_value *v); /* such a schedule */
/* PARAM as a pending name of f: evaluates its default (lg_statement calls it). */
void lg_param_default(lg_elab *E, lg_frame *f, const lg_ast *param);
/* Check mode: binds every parameter to any value of its type; and checks the defaults. */
void lg_bind_any(lg_elab *E, lg_frame *f, const lg_ast *params);
void lg_check_defaults(lg_elab *E, lg_frame *f, const lg_ast *params);
/* Check mode: any value of a parameter. Untyped ones are numbers that may serve as sizes. */
lg_value *lg_param_any(lg_elab *E, lg_frame *f, const lg_ast *param);
/* Generic check of a fn, loss or schedule: its body once, parameters unknown, dims rigid. `self`: of
 * a member, else NULL. */
void lg_fn_check(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self);
lg_value *lg_schedule_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at);
bool lg_bind_pattern(lg_elab *E, lg_frame *f, const lg_ast *pattern, lg_value *v, bool prime);
/* One dim meets another: equal in names, or a number and a dim whose definition evaluates to it. */
bool lg_dims_match(const lg_dim *a, const lg_dim *b);
/* Types */
lg_value *lg_type_check(lg_elab *E, lg_frame *f, const lg_ast *type, lg_value *v, lg_span at,
                        const char *what, bool binding); /* v seen with the dims of the type; NULL after an error */
/* Before the arguments of a call are checked one by one: bare names, packs and `float` that v binds. */
void lg_type_prebind(lg_elab *E, lg_frame *f, const lg_ast *type, lg_value *v);
/* Packs of a function type that f does not know are each call's own: they enter f from the
 * arguments. How many f had before: what to set f->packs.n to after the call. */
size_t lg_type_own_packs(lg_elab *E, lg_frame *f, const lg_ast *type, int n,
                         const lg_arg *arg);
lg_value *lg_type_placeholder(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at); /* check mode: any value of it */
/* the same of a result, whose dims may be the file's or the model's */
lg_value *lg_type_result(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at);
lg_dim *lg_dim_expr(lg_elab *E, lg_frame *f, const lg_ast *e); /* NULL after reporting */
/* e of frame f, in the names and numbers of who called f: `floor(0.5*A)` of `floor(rho*N)`. */
const char *lg_outer_text(lg_elab *E, lg_frame *f, const lg_ast *e);
/* Unknown; equal to another when written alike in those names. */
lg_dim *lg_dim_written(lg_elab *E, lg_frame *f, const lg_ast *e);
lg_dtype lg_type_dtype(lg_elab *E, lg_frame *f, const lg_ast *type);

lg_value *lg_field_of(lg_elab *E, lg_value *v, lg_sym field, lg_span at);
lg_value *lg_merge(lg_elab *E, lg_value *a, lg_value *b); /* records by path, b wins */
/* The same for a list and what replaces some of its items: a list, or a record of "[3]" fields. */
lg_value *lg_merge_items(lg_elab *E, lg_value *list, lg_value *by);
lg_value *lg_stack(lg_elab *E, int n, lg_value *const *v, lg_span at);

/* ---- emission: all dims-aware; in check mode they only compute types ---- */
lg_node *lg_import(lg_elab *E, lg_node *x);    /* x seen from the current graph */
lg_node *lg_capture(lg_elab *E, lg_graph *g, lg_node *x); /* outer node as an input of nested g */
int64_t lg_dim_size(lg_elab *E, const lg_dim *d, lg_span at); /* run mode; reports when unknown */
lg_value *lg_elem(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at); /* aligns */
lg_value *lg_elem_named(lg_elab *E, const char *op, int n, lg_value *const *in, lg_span at);
lg_value *lg_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at); /* "+" ... */
/* Of integers: a divisor b must not be 0, an exponent not negative. */
void lg_right_side(lg_elab *E, const char *op, lg_value *b, lg_span at);
lg_value *lg_unary(lg_elab *E, const char *op, lg_value *a, lg_span at);
lg_value *lg_to_tensor(lg_elab *E, lg_value *v, lg_dtype t, lg_span at); /* number to scalar tensor */
lg_value *lg_cast(lg_elab *E, lg_value *v, lg_dtype t, lg_span at);
lg_value *lg_select(lg_elab *E, lg_value *c, lg_value *a, lg_value *b, lg_span at);
lg_value *lg_guarded(lg_elab *E, lg_value *v); /* v as seen inside the current guard */
/* v with exactly the open indices `open` and dims `dim` (broadcast and permuted as needed) */
lg_node *lg_node_as(lg_elab *E, lg_value *v, int n_open, lg_index *const *open, int rank,
                    lg_dim *const *dim, lg_span at);
lg_value *lg_fill(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, double v, lg_span at);
lg_value *lg_reshape(lg_elab *E, lg_value *v, int rank, lg_dim *const *dim, lg_span at);
lg_value *lg_permute(lg_elab *E, lg_value *v, const int *perm, lg_span at);
lg_value *lg_matmul(lg_elab *E, lg_value *a, lg_value *b, lg_span at);
lg_value *lg_concat(lg_elab *E, int n, lg_value *const *v, int axis, lg_span at);
/* leaf by leaf over records of equal paths; numbers and scalars meet every leaf */
typedef lg_value *(*lg_leaf_fn)(lg_elab *E, void *ctx, int n, lg_value *const *leaf, lg_span at);
lg_value *lg_leafwise(lg_elab *E, lg_leaf_fn fn, void *ctx, int n, lg_value *const *v, lg_span at);
/* union of open indices of n values, sorted */
int lg_open_union(lg_elab *E, int n, lg_value *const *v, lg_index ***out);

/* ---- builtins ---- */
typedef struct lg_builtin {
    const char *name;
    const char *sig;  /* as shown by help */
    const char *doc;
    lg_value *(*call)(lg_elab *E, const struct lg_builtin *b, int n, const lg_arg *arg, lg_span at);
    const lg_op *op;  /* elementwise ops exposed by name */
} lg_builtin;
const lg_builtin *lg_builtin_find(lg_sym name);
/* An elementwise op called by name: as lg_elem, but numbers and sizes stay static. */
lg_value *lg_elem_call(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at);
size_t lg_builtin_count(void);
const lg_builtin *lg_builtin_at(size_t i);
/* Argument reader for builtins: matches arguments to names ("x, axis?, k=1"), reports extra ones. */
bool lg_args(lg_elab *E, const char *fn, int n, const lg_arg *arg, lg_span at, int n_names,
             const char *const *names, int n_required, lg_value **out);

/* ---- reductions: index form and call form share this ---- */
bool lg_is_reduction(lg_sym name);
lg_value *lg_reduce_index(lg_elab *E, const lg_ast *call);  /* CALL(INDEX(NAME sum, ...), e) */
lg_value *lg_reduce_axis(lg_elab *E, lg_sym name, int n, const lg_arg *arg, lg_span at);
lg_value *lg_index_expr(lg_elab *E, const lg_ast *e);       /* INDEX */
lg_value *lg_index_define(lg_elab *E, const lg_ast *pattern, const lg_ast *e, const lg_ast *where);
int lg_axis(lg_elab *E, const lg_value *x, const lg_value *axis, lg_span at); /* 0.. or -1 */
lg_value *lg_index_value(lg_elab *E, lg_index *i); /* the integer value of an open index */
lg_index *lg_index_of(lg_elab *E, lg_frame *f, lg_sym name); /* the open index of that name, or NULL */

/* ---- control, derivatives, models, rules, quantizers ---- */
lg_value *lg_rand(lg_elab *E, const lg_ast *e); /* RAND */
/* The address of draws in round i of a loop that itself stands at `outer` (NULL: in none). */
lg_value *lg_draw_lane(lg_elab *E, lg_value *outer, lg_value *i, lg_span at);
/* A call of fn whose draws are those of the place where fn was made, whoever calls it. */
lg_value *lg_call_at_home(lg_elab *E, lg_value *fn, const lg_arg *arg, lg_span at);
lg_value *lg_rule_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg, lg_span at);
lg_value *lg_quant_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg, lg_span at);
lg_value *lg_quant_call(lg_elab *E, lg_value *q, int n, const lg_arg *arg, lg_span at);
lg_value *lg_quant_member(lg_elab *E, lg_value *q, lg_sym name, lg_span at);
/* A record of codes, in place of the array that they decode to. */
bool lg_is_codes(const lg_value *v);
lg_value *lg_quant_decoded(lg_elab *E, lg_value *codes, lg_span at);
/* The hyperparameters of a quantizer by name, for saves; gives how many. */
int lg_quant_args(lg_elab *E, const lg_value *q, lg_sym **name, lg_value ***value);
/* lg_v_leaves, but records of codes are leaves, and of a model its parameters as it holds them. */
int lg_v_places(lg_elab *E, lg_value *v, lg_leaf **out);
/* The record of a model, with codes where it has codes. */
lg_value *lg_model_held(lg_elab *E, lg_value *model);
lg_value *lg_rule_member(lg_elab *E, lg_value *rule, lg_sym name, lg_span at);
lg_value *lg_custom_call(lg_elab *E, lg_frame *f, const lg_ast *decl, lg_value *result); /* `with vjp` */
/* Is the rule `with` of decl linear in its cotangent, as far as its text says? Reports when not. */
bool lg_rule_reads_linear(lg_elab *E, const lg_ast *with, const lg_ast *decl);
lg_value *lg_if(lg_elab *E, const lg_ast *e);
lg_value *lg_scan(lg_elab *E, const lg_ast *e);
void lg_when(lg_elab *E, lg_frame *f, const lg_ast *s);
void lg_scan_yield(lg_elab *E, lg_frame *f, const lg_ast *s); /* YIELD in the body of a loop */
lg_value *lg_model_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg, lg_span at);
lg_value *lg_model_from(lg_elab *E, lg_value *model, lg_value *record, lg_span at);
bool lg_is_derivative(lg_sym name);
lg_value *lg_derivative(lg_elab *E, const lg_ast *call); /* grad value_and_grad jvp vjp hvp jacobian hessian */
lg_value *lg_probe(lg_elab *E, const lg_ast *call);
/* While E->probe is set, lg_model_call notes for each part called, by its path from the root: its
 * `input` (first argument), named lets and `output`, in this order. */
void lg_probe_note(lg_elab *E, const char *path, lg_sym name, lg_value *v);
typedef struct lg_probed {
    const char *path;
    lg_sym name;
    lg_value *value;
    lg_graph *g; /* where it has that value */
    struct lg_probed *next;
} lg_probed;
/* What is noted from here on: a loop stacks it. NULL: nobody asks. */
lg_probed **lg_probe_mark(const lg_elab *E);
void lg_probe_forget(lg_elab *E, lg_probed **mark); /* what was noted since */
/* Open indices become the first dims of what was noted since: they end here. */
void lg_probe_close(lg_elab *E, lg_probed **mark, int n, lg_index *const *at, lg_span span);
void lg_probe_lets(lg_elab *E, const lg_frame *f); /* after the body of a part's `call` */
lg_value *lg_stop_grad(lg_elab *E, lg_value *v); /* leaf by leaf */
/* What is evaluated between mark = lg_remat_begin() and lg_remat_end(mark, result) is computed
 * again in the backward pass instead of being kept. remat(e) itself is a form of lg_derivative. */
size_t lg_remat_begin(lg_elab *E);
lg_value *lg_remat_end(lg_elab *E, size_t mark, lg_value *v);
/* State in member functions of models, quantizers and losses: m' is bound (prime) in f->self, the
 * frame of the instance; lg_call_decl calls lg_model_commit(E, self) once its body is done, which
 * hands the primes on to E->states (or drops them) and forgets them. */
void lg_model_commit(lg_elab *E, lg_frame *self);
lg_value *lg_model_call(lg_elab *E, lg_value *model, int n, const lg_arg *arg, lg_span at);
lg_value *lg_model_record(lg_elab *E, lg_value *model);  /* its parameters as a record by path */
lg_value *lg_model_member(lg_elab *E, lg_value *model, lg_sym name, lg_span at);
lg_value *lg_select_paths(lg_elab *E, const lg_value *rec, const char *selector, lg_span at);
bool lg_path_matches(const char *selector, const char *path);
lg_value *lg_rule_apply(lg_elab *E, lg_value *rule, lg_value *p, lg_value *g, lg_span at);
/* The path of the parameter that an optimizer is being applied to, "" outside and for the whole. */
const char *lg_rule_leaf(const lg_elab *E);

/* ---- helpers ---- */
lg_diag *lg_err(lg_elab *E, const char *code, lg_span at, const char *fmt, ...) LG_PRINTF(4, 5);
const char *lg_txt(lg_elab *E, const char *fmt, ...) LG_PRINTF(2, 3); /* arena text */
#endif
