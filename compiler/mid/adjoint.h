/* adjoint.h: a reverse pass under way, shared by grad.c (the pass and the plain classes),
 * grad_scan.c (loops and branches) and grad_rule.c (rules given as text, by declarations, and
 * recomputation). Not for callers: they use grad.h. */
#ifndef LG_ADJOINT_H
#define LG_ADJOINT_H
#include "compiler/mid/grad.h"

typedef struct {
    lg_elab *E;
    lg_graph *g;
    lg_span at;
    int n_x;
    lg_node *const *x; /* what lies before these is not entered */
    size_t n;          /* nodes when the pass began: only these have cotangents */
    uint8_t *active;   /* by id: depends on an x in a way that can be differentiated */
    lg_node ***cot;    /* by id: one cotangent a result, NULL: zero; NULL when none came yet */
} lg_adjoint;

/* Adds d to the cotangent of result k of x; nothing when x does not count or d is NULL. */
void lg_adjoint_add(lg_adjoint *a, lg_node *x, int k, lg_node *d);
static inline bool lg_adjoint_wants(const lg_adjoint *a, const lg_node *x) {
    return x->id < a->n && a->active[x->id];
}
bool lg_adjoint_is_x(const lg_adjoint *a, const lg_node *n);
/* What of g depends on x[], by id, on the heap. */
uint8_t *lg_adjoint_activity(const lg_graph *g, int n_x, lg_node *const *x);

/* One node each; dy has one entry a result. False after reporting. */
bool lg_adjoint_text(lg_adjoint *a, lg_node *y, lg_node *dy); /* the op's rules in the language */
bool lg_adjoint_custom(lg_adjoint *a, lg_node *y);
bool lg_adjoint_remat(lg_adjoint *a, lg_node *y, lg_node *dy);
bool lg_adjoint_scan(lg_adjoint *a, lg_node *s, lg_node *const *dy);
bool lg_adjoint_cond(lg_adjoint *a, lg_node *c, lg_node *const *dy);

/* A body and the reverse pass that was added to it: what the pass needs of the body and is not made
 * again from its inputs. */
typedef LG_VEC(lg_node *) lg_node_vec;
typedef struct {
    lg_graph *w;
    size_t n_fwd;         /* nodes of w that are the body */
    int n_carry;          /* the first inputs, which change from round to round */
    bool cheap;           /* arithmetic is made again too */
    uint8_t *used;        /* by node of w: the pass needs it */
    size_t n_used;    /* nodes of w when that was found out; further ones are not used */
    lg_node_vec residual; /* nodes of the body that must be handed over */
} lg_kept;
void lg_kept_find(lg_kept *k, int n_in, lg_node *const *dx);
/* Copies what is used of w; map, by node of w: what stands for it in `to`, where it is known. */
void lg_kept_fill(const lg_kept *k, lg_graph *to, lg_node **map);
void lg_kept_fini(lg_kept *k); /* and frees w */

lg_node *lg_adjoint_zeros(lg_graph *g, const lg_type *t, lg_span at);
bool lg_adjoint_is_tuple(const lg_node *n);
#endif
