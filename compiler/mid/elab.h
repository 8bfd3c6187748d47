/* elab.h: the elaborator: walks the tree with abstract values. In check mode (no graph) it is the
 * type and dimension checker; with a graph it is the lowering, and the same code does both.
 * Files: value.c (values), frame.c (names, dims across calls), emit.c (nodes, alignment),
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
    LG_V_ERROR,    /* not known, or already reported: everything about it is silently accepted */
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
    unsigned seq;  /* order of opening: open dims of a node are sorted by it */
} lg_index;

typedef struct {
    lg_sym name;
    lg_value *value;
    lg_span at;
} lg_field;

struct lg_value {
    lg_vkind kind;
    lg_span at; /* where it came from, for messages */
    union {
        struct {
            bool known, is_bool, is_int; /* is_int: exact integer in i; else real in d */
            int64_t i;
            double d;
            int64_t num, den; /* exact ratio when den > 0 */
            lg_dim *dim;      /* integer given by a dim polynomial, or NULL */
        } num;
        const char *str;
        struct {
            lg_dtype dtype;
            bool weak; /* takes the dtype around it: step, scalar arguments, schedules, indices */
            bool bounded_ok; /* `bound` is valid */
            int n_open, rank;
            lg_index **open; /* sorted by seq */
            lg_dim **dim;
            lg_dim *bound;   /* integer labels in 0..bound, or NULL */
            lg_node *node;   /* NULL in check mode; shape [open..., dims...] */
        } t;
        struct {
            int n;
            lg_field *f;
        } rec;
        struct {
            int n;
            lg_value **at;
        } list;
        struct {
            lg_value *lo, *hi;
            bool rev;
        } range;
        struct {
            const lg_ast *decl;  /* DECL or LAMBDA */
            lg_frame *env;       /* frame it was made in (members see their model frame) */
            lg_value *bound;     /* record of arguments already given (schedules built outside), or NULL */
        } fn;
        const struct lg_builtin *builtin;
        struct {
            lg_model *m;         /* the (sub)model */
            lg_value **leaf;     /* values of the root's leaves, by leaf number */
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
lg_value *lg_v_str(lg_elab *E, const char *s, lg_span at);
lg_value *lg_v_tensor(lg_elab *E, lg_dtype t, int rank, lg_dim *const *dim, lg_node *node, lg_span at);
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
bool lg_v_is_vector(const lg_value *v); /* record, or model used as its record, or opaque */

/* ---- frames ---- */
typedef enum { LG_B_VALUE, LG_B_PENDING, LG_B_RUNNING } lg_bstate;
typedef struct lg_binding {
    lg_sym name;
    lg_value *value;
    const lg_ast *stmt; /* PENDING: the statement that defines it */
    lg_bstate state;
    bool prime, used, is_let;
    lg_span at;
    struct lg_binding *next;
} lg_binding;

typedef struct {
    lg_sym name;
    lg_dim *dim;
} lg_dim_name;

typedef enum {
    LG_F_MODULE, LG_F_FN, LG_F_MODEL, LG_F_BLOCK, LG_F_TRAIN, LG_F_HOST, LG_F_RULE, LG_F_SCAN
} lg_fkind;

struct lg_frame {
    lg_fkind kind;
    lg_frame *up;      /* lexical parent */
    lg_frame *caller;  /* dynamic parent, for dims and "called from" */
    lg_frame *self;    /* model frame of a member function, or NULL */
    const lg_ast *decl;
    lg_module *module;
    lg_span call_at;
    lg_binding *names;
    LG_VEC(lg_dim_name) dims;
    lg_dtype float_dtype;      /* what `float` means here */
    lg_value *result;          /* value of return, once met */
    const struct lg_block *block;
    lg_value *model;           /* LG_F_MODEL: the model value under construction or use */
    void *ext;                 /* scan, train, rule: their own structure */
    uint64_t path_hash;        /* address of random draws: place and chain of calls */
    unsigned rand_count;       /* draws met in this declaration so far */
};
lg_frame *lg_frame_new(lg_elab *E, lg_fkind kind, lg_frame *up);
void lg_bind(lg_elab *E, lg_frame *f, lg_sym name, lg_value *v, lg_span at);
lg_binding *lg_find_local(lg_frame *f, lg_sym name, bool prime); /* this frame only */
/* Looks a name up through frames, modules, the library and the builtins; forces pending ones.
 * NULL (silently) when there is none. */
lg_value *lg_lookup(lg_elab *E, lg_frame *f, lg_sym name, lg_span at);
lg_dim *lg_lookup_dim(lg_elab *E, lg_frame *f, lg_sym name);
/* Dims of inner frames as the frame f sees them (see frame.c). */
lg_dim *lg_dim_seen_from(lg_elab *E, lg_frame *f, lg_dim *d);
lg_value *lg_value_seen_from(lg_elab *E, lg_frame *f, lg_value *v);
/* A fresh atom of frame f standing for `to` (a dim as its caller sees it), or for nothing. */
lg_dim *lg_dim_fresh(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *to, lg_span at);

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

/* Where an optimizer keeps its hidden state; implemented by the train (host) and by scan. */
typedef struct lg_store {
    /* current value of the state `path` (made with init on first use), and its next value */
    lg_value *(*get)(struct lg_store *s, lg_elab *E, const char *path, lg_value *init);
    void (*set)(struct lg_store *s, lg_elab *E, const char *path, lg_value *next);
    void *ctx;
} lg_store;

struct lg_elab {
    lg_arena *arena;
    lg_diags *diags;
    lg_dims *dims;
    lg_graph *g;         /* NULL: check mode */
    lg_frame *frame;     /* where we are */
    lg_module *modules;  /* user files first, then the library */
    lg_step *step;
    lg_store *store;     /* optimizer state, NULL: applying a rule is an error */
    lg_store *states;    /* model and loss state, NULL: state is read-only here */
    lg_dtype float_dtype;
    unsigned index_seq;
    int depth;           /* of calls */
    lg_value *guard;     /* conjunction of enclosing tensor conditions, or NULL */
    lg_index **guard_open;
    uint64_t draw_path;
    lg_value *draw_lane; /* extra address of the draws: scan index and the like, or NULL */
    bool host;           /* evaluating host code: results become values at once */
    lg_module *(*load)(lg_elab *E, const char *path, lg_span at); /* import; set by the driver */
    lg_value *(*host_call)(lg_elab *E, const char *what, const lg_ast *at, int n, lg_value **args);
    void *host_ctx;
};
#define LG_CHECKING(E) ((E)->g == NULL)

lg_elab *lg_elab_new(lg_arena *a, lg_diags *ds);
/* Registers a file's declarations. The library is loaded lazily by name. */
lg_module *lg_elab_add_module(lg_elab *E, const char *name, lg_ast *tree, bool library);
/* Checks every declaration of a module generically (check mode). */
void lg_elab_check_module(lg_elab *E, lg_module *m);

/* ---- expressions, calls, statements ---- */
lg_value *lg_expr(lg_elab *E, const lg_ast *e);
lg_value *lg_expr_in(lg_elab *E, lg_frame *f, const lg_ast *e);
typedef struct {
    lg_sym name; /* NULL: positional */
    lg_value *value;
    const lg_ast *ast;
    lg_span at;
} lg_arg;
lg_value *lg_call_value(lg_elab *E, lg_value *callee, int n, const lg_arg *arg, lg_span at);
lg_value *lg_call_decl(lg_elab *E, const lg_ast *decl, lg_frame *env, lg_frame *self, int n,
                       const lg_arg *arg, lg_span at);
/* Binds arguments to PARAMS into frame f: names, defaults, allowed sets, types, dims. */
bool lg_bind_params(lg_elab *E, lg_frame *f, const lg_ast *params, int n, const lg_arg *arg,
                    lg_span at, const char *what);
/* Statements of a body; the value of `return`, or of its single expression. */
lg_value *lg_block(lg_elab *E, lg_frame *f, const lg_ast *block);
void lg_statement(lg_elab *E, lg_frame *f, const lg_ast *s);
bool lg_bind_pattern(lg_elab *E, lg_frame *f, const lg_ast *pattern, lg_value *v, bool prime);
/* Types */
lg_value *lg_type_check(lg_elab *E, lg_frame *f, const lg_ast *type, lg_value *v, lg_span at,
                        const char *what, bool binding); /* v seen with the dims of the type; NULL after an error */
lg_value *lg_type_placeholder(lg_elab *E, lg_frame *f, const lg_ast *type, lg_span at); /* check mode: any value of it */
lg_dim *lg_dim_expr(lg_elab *E, lg_frame *f, const lg_ast *e); /* NULL after reporting */
lg_dtype lg_type_dtype(lg_elab *E, lg_frame *f, const lg_ast *type);

/* ---- emission: all dims-aware; in check mode they only compute types ---- */
lg_node *lg_import(lg_elab *E, lg_node *x);    /* x seen from the current graph */
int64_t lg_dim_size(lg_elab *E, const lg_dim *d, lg_span at); /* run mode; reports when unknown */
lg_value *lg_elem(lg_elab *E, const lg_op *op, int n, lg_value *const *in, lg_span at); /* aligns */
lg_value *lg_elem_named(lg_elab *E, const char *op, int n, lg_value *const *in, lg_span at);
lg_value *lg_binary(lg_elab *E, const char *op, lg_value *a, lg_value *b, lg_span at); /* "+" ... */
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

/* ---- control, derivatives, models, rules, quantizers ---- */
lg_value *lg_if(lg_elab *E, const lg_ast *e);
lg_value *lg_scan(lg_elab *E, const lg_ast *e);
void lg_when(lg_elab *E, lg_frame *f, const lg_ast *s);
lg_value *lg_model_make(lg_elab *E, const lg_ast *decl, lg_frame *env, int n, const lg_arg *arg, lg_span at);
lg_value *lg_model_call(lg_elab *E, lg_value *model, int n, const lg_arg *arg, lg_span at);
lg_value *lg_model_record(lg_elab *E, lg_value *model);  /* its parameters as a record by path */
lg_value *lg_model_member(lg_elab *E, lg_value *model, lg_sym name, lg_span at);
lg_value *lg_select_paths(lg_elab *E, const lg_value *rec, const char *selector, lg_span at);
bool lg_path_matches(const char *selector, const char *path);
lg_value *lg_rule_apply(lg_elab *E, lg_value *rule, lg_value *p, lg_value *g, lg_span at);

/* ---- helpers ---- */
lg_diag *lg_err(lg_elab *E, const char *code, lg_span at, const char *fmt, ...) LG_PRINTF(4, 5);
const char *lg_txt(lg_elab *E, const char *fmt, ...) LG_PRINTF(2, 3); /* arena text */
#endif
