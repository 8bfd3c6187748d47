/* model.h: what others may know of models, rules and quantizers. A model value is a static part
 * (lg_model, made once per construction) and the values of its leaves. */
#ifndef LG_MODEL_H
#define LG_MODEL_H
#include "compiler/mid/elab.h"

/* One parameter or state of a root model. */
typedef struct {
    const char *path; /* "l1.w" from the root */
    bool is_state;    /* else a parameter */
    int alias;        /* tied: number of the leaf it is, or -1 */
    lg_span at;
    lg_value *init;   /* its value at construction, in the graph it was constructed in */
} lg_model_leaf;

/* Initialisers: in `param w: T = f(...)` (and `state`), a call of a function that has a parameter
 * `like` which is not given gets like = zeros of T (`zeros()`, `normal(std=0.02)`,
 * `xavier_uniform(gain=2)` of stdlib/init.lg: fn normal(like: float[...S], mean = 0.0, std = 1.0)).
 * A scalar fills T. */

/* The leaves of the root model of `model`, in order of declaration. */
int lg_model_leaves(lg_elab *E, const lg_value *model, lg_model_leaf **out);
/* The same model with other values of all leaves (tied ones included, by number). */
lg_value *lg_model_with(lg_elab *E, const lg_value *model, lg_value *const *leaf);
/* The name that its states stand under in E->states: path "<name>.<leaf path>". */
void lg_model_set_name(lg_elab *E, lg_value *model, lg_sym name);
/* Paths of its parts at every depth, its own ("") first. */
int lg_model_parts(lg_elab *E, const lg_value *model, const char ***out);
/* The declaration that the (sub)model was made from, and the frame its members see. */
const lg_ast *lg_model_decl(const lg_value *model);
lg_frame *lg_model_frame(const lg_value *model);
/* net.at(theta): the model at the values of a record by path (missing paths keep theirs). */
lg_value *lg_model_at(lg_elab *E, lg_value *model, lg_value *record, lg_span at);

/* `from` with text, a run or another thing of the host: model.c asks E->host_call(E, "from", NULL, 1,
 * &source) for a record by path. */

/* A model or quantizer that was checked by itself: was it sound? One that was not is not complained of
 * again where it is used. */
void lg_tried_note(lg_elab *E, const lg_ast *decl, bool sound);
bool lg_tried_unsound(lg_elab *E, const lg_ast *decl);
/* Generic checks of declarations, in check mode: parameters unknown, dims rigid; then each member. */
lg_value *lg_model_generic(lg_elab *E, const lg_ast *decl, lg_frame *env); /* the model alone */
const char *lg_model_type_name(const lg_value *model); /* name of its declaration */
void lg_model_check(lg_elab *E, const lg_ast *decl, lg_frame *env);
void lg_rule_check(lg_elab *E, const lg_ast *decl, lg_frame *env);
void lg_quant_check(lg_elab *E, const lg_ast *decl, lg_frame *env);

/* What models and quantizers share: a frame in which the states of an instance are bound. */
typedef struct {
    lg_sym name;
    const char *path;  /* whole, as in E->states */
    lg_value *shape;   /* structure and types of the state */
} lg_instance_state;
typedef struct lg_instance {
    int n;
    lg_instance_state *state;
    bool sees_next; /* later functions of this use see a next value even where none is kept */
} lg_instance;
/* Binds the current values of inst's states in f (kind LG_F_MODEL, f->ext = inst, f->self = f). */
void lg_instance_bind(lg_elab *E, lg_frame *f, lg_instance *inst, lg_value *const *init);
/* A value of a leaf as member functions see it: node and open indices of `now`, type of `type`. */
lg_value *lg_retyped(lg_elab *E, const lg_value *type, lg_value *now);
/* Evaluates the first value of a param or state of the given type (NULL: untyped) in frame f. */
lg_value *lg_initial(lg_elab *E, lg_frame *f, const lg_ast *decl);
/* The same for one that keeps its first value: a model of which some parameters are codes stays a
 * model. */
lg_value *lg_initial_held(lg_elab *E, lg_frame *f, const lg_ast *decl);
/* Is the declaration's guard (`when c`) static false? */
bool lg_guarded_out(lg_elab *E, lg_frame *f, const lg_ast *decl);
/* Subscripts after a name mean several parts, in a model alone; elsewhere they are reported. */
bool lg_declares_one(lg_elab *E, const lg_ast *decl);
/* x by q: observed while training, encoded, decoded, with the straight-through gradient. `input`:
 * the first argument of the part, or NULL. `path` is the quantized place. */
lg_value *lg_quant_use(lg_elab *E, lg_value *q, const char *path, lg_value *x, lg_value *input,
                       lg_span at);
/* Unknown values for PARAMS (check mode). */
void lg_bind_unknown(lg_elab *E, lg_frame *f, const lg_ast *params);

/* Optimizers. Hidden state stands in E->store under "<target>.optimizer<k>.<state>.<leaf path>"
 * (k: "" for the first place that feeds the target, 2, 3, ... for later ones; a base rule under
 * "...optimizer.base.<state>..."; `t` likewise, i64). The declared name of the leaf path may be
 * empty for a single tensor. */

/* Memory for the rounds of a loop that is unrolled: starts empty, lasts for this graph. */
lg_store *lg_store_local(lg_elab *E);
/* What `from` was applied to, `to`, the same rule in another graph, may read there: its states, and
 * those of the rules that it holds. p: the current values of what it is applied to. */
void lg_rule_lend(lg_elab *E, lg_value *to, const lg_value *from, lg_value *p, lg_store *store);
/* The name that a rule feeds ("net"), or NULL while it has not been applied. */
lg_sym lg_rule_target(const lg_value *rule);
/* The rule without memory: starts from its initial state at each application and keeps none. */
lg_value *lg_rule_fresh(lg_elab *E, lg_value *rule);

/* Quantizers: what `quantize SELECTOR with q` put on paths, looked up by model.c when a part's
 * parameter or output is used. The train fills the list; NULL: none. */
typedef struct lg_quantized {
    const char *selector; /* over "<model name>.<leaf path>" and "<model name>.<part path>.output" */
    lg_value *quant;      /* LG_V_QUANT */
    struct lg_quantized *next;
} lg_quantized;

/* A part that a run gave back is quantized as it was there, with what the quantizers had learnt:
 * their states by whole path. */
typedef struct lg_held {
    const lg_quantized *all;
    lg_store states; /* ctx: this */
    size_t n;
    lg_leaf *state;
} lg_held;
lg_held *lg_held_new(lg_elab *E, const lg_quantized *all, size_t n, const lg_leaf *state);
#endif
