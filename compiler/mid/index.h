/* index.h: what the files of index notation share: index.c (opening and closing indices),
 * subscript.c (reading subscripts), linear.c, take.c (their nodes), reduce.c (the two forms of a
 * reduction), fold.c (their arithmetic), scatter.c. */
#ifndef LG_INDEX_H
#define LG_INDEX_H
#include "compiler/mid/elab.h"

/* The indices that a pattern or a reduction opened, in the order of the text. Those of `...` stand
 * at its place: pack_at .. pack_at + pack_n. */
typedef struct {
    int n;
    lg_index *at[LG_MAX_RANK];
    bool reused[LG_MAX_RANK]; /* was open already: a reduction that keeps its index */
    int pack_at, pack_n;      /* pack_at < 0: no `...` */
    bool pack_known;
    const lg_ast *where;      /* condition of a last WHERE, or NULL */
    lg_frame *frame, *was_frame;
    lg_lane *was_lanes;
    lg_probed **probed; /* what a probe had noted before */
} lg_opened;

/* Opens what kids from.. of `list` name; ranges that are not written come from the subscripts in
 * scope[0..n). Afterwards E->frame is a frame in which the names are indices. False after
 * reporting (nothing is open then). */
bool lg_open(lg_elab *E, lg_opened *o, const lg_ast *list, uint32_t from, int n,
             const lg_ast *const *scope, bool reuse, const lg_value *old);
void lg_open_end(lg_elab *E, const lg_opened *o); /* back to the frame before */
/* v with n of its open indices turned into its first dims, in this order; leaf by leaf. `dims_at`:
 * before which of them the dims of v stand; n: behind all. */
lg_value *lg_close(lg_elab *E, lg_value *v, int n, lg_index *const *at, int dims_at, lg_span span);
lg_index *lg_index_new(lg_elab *E, lg_sym name, lg_dim *dim, lg_span at);

/* The type of an expression: evaluated without a graph, silently, without effects. */
lg_value *lg_trial(lg_elab *E, const lg_ast *e);
/* A number as a dim (negative ones too); what is not known gets an opaque name from its text. */
lg_dim *lg_num_dim(lg_elab *E, const lg_value *v, const lg_ast *text);
bool lg_has_open(const lg_value *v, const lg_index *i);
/* The condition under which subscripts are read here, or NULL. */
lg_value *lg_lazy(lg_elab *E);
/* The run fails with this text and the row where `ok` does not hold, under that condition. */
void lg_must_hold(lg_elab *E, lg_value *ok, const char *text, lg_span at);

/* A run-time integer of rank 0 as off + sum of coef[k]*at[k] (values of the runs, from 0). */
typedef struct {
    int64_t off;
    int n;
    lg_index *at[LG_MAX_RANK];
    int64_t coef[LG_MAX_RANK];
} lg_linear;
bool lg_linear_of(lg_elab *E, const lg_value *v, lg_linear *out);
void lg_linear_bounds(lg_elab *E, const lg_linear *l, int64_t *lo, int64_t *hi, bool *empty);
/* The first and last value of e where its text is a linear form of indices and known integers: what
 * a check can say of a subscript without a graph. */
bool lg_text_bounds(lg_elab *E, const lg_ast *e, lg_dim **lo, lg_dim **hi);

/* A subscript of one axis. */
typedef enum { LG_TO_KEEP, LG_TO_SLICE, LG_TO_LINEAR, LG_TO_PICK } lg_sub_kind;
typedef struct {
    lg_sub_kind kind;
    lg_dim *size;     /* KEEP, SLICE: of the result */
    int64_t off, step;
    lg_linear lin;    /* LINEAR */
    lg_value *v;      /* PICK; LINEAR when it is checked at run time */
    const lg_ast *ast;
} lg_axis_sub;
lg_value *lg_take(lg_elab *E, lg_value *x, int n, lg_axis_sub *sub, lg_span at); /* n: rank of x */

/* An equality `e == f` of a reduction's condition with f a free index: terms go to row e of f. */
typedef struct {
    lg_index *free;
    lg_value *target; /* e - first value of f, an i64 scalar with open indices */
} lg_scatter;

/* One reduction. */
typedef struct {
    lg_sym name;
    lg_span at;
    int n;
    lg_index *idx[LG_MAX_RANK];
    lg_value *cond;    /* bool tensor, or NULL: all */
    lg_value *empty;   /* value where nothing is left, or NULL */
    lg_value *ddof, *p;
    lg_scatter *scatter;
    bool masked;       /* the terms are zero already where cond does not hold */
} lg_fold;
typedef struct {
    const char *name;
    bool keeps;    /* keeps its indices */
    bool plain;    /* its terms need no derivative */
    lg_value *(*fn)(lg_elab *E, lg_fold *r, lg_value *v);
    bool wide; /* takes several steps: 16-bit floats go through f32 and are rounded once */
} lg_reduction;
const lg_reduction *lg_reduction_find(const char *name);
lg_value *lg_fold_value(lg_elab *E, lg_fold *r, lg_value *v);
lg_value *lg_scatter_sum(lg_elab *E, const lg_fold *r, lg_value *v);
lg_value *lg_widened(lg_elab *E, lg_value *v, lg_span at); /* integers and bools as i64 */
lg_value *lg_sum_over(lg_elab *E, const lg_fold *r, lg_value *v); /* by reduction or scatter */
lg_value *lg_root(lg_elab *E, lg_value *s, lg_span at); /* sqrt with derivative 0 at 0 */
/* Finds such an equality in a flattened condition and its substitution; see scatter.c. */
bool lg_scatter_find(lg_elab *E, lg_fold *r, int n, const lg_ast *const *part, int *which,
                     const lg_ast *term);
#endif
