/* derive.h: a derivative that a program asks for, shared by derive.c (what is asked) and operator.c
 * (how it is answered). */
#ifndef LG_DERIVE_H
#define LG_DERIVE_H
#include "compiler/mid/grad.h"

/* What is differentiated: a value y computed from a point x, leaf by leaf. In check mode there are
 * no nodes and only types count. */
typedef struct {
    lg_elab *E;
    lg_sym op; /* grad, hvp, ... */
    lg_span at;
    lg_graph *g;    /* where x and y stand; NULL in check mode */
    lg_value *like; /* the point as it was given: the structure of results */
    int n_x;
    lg_leaf *x;     /* its leaves */
    lg_node **node; /* their nodes; NULL: no float, frozen, or not in what y is made of */
    lg_value *y;
} lg_problem;

bool lg_leaf_counts(const lg_value *v); /* a float tensor: something to differentiate by */
/* A value with these nodes for the float leaves of the point (NULL: zeros), others left out. */
lg_value *lg_problem_result(lg_problem *p, lg_node *const *d);
/* The nodes of a direction or cotangent of these leaves, one each. False after reporting. */
bool lg_problem_seeds(lg_problem *p, int n, const lg_leaf *of, lg_value *dir, const char *what,
                      lg_node **out);
bool lg_problem_scalar(lg_problem *p); /* y is one number; else reports */

/* Results; lg_v_error after reporting. */
lg_value *lg_problem_grad(lg_problem *p);
lg_value *lg_problem_hvp(lg_problem *p, lg_value *dir);
lg_value *lg_problem_vjp(lg_problem *p, lg_value *dy);
lg_value *lg_problem_jvp(lg_problem *p, lg_value *dir);
/* The last n open indices of the point's leaves number the entries of y (leaf < 0) or of a leaf of
 * the point; they become the first dims of the results. */
lg_value *lg_problem_jacobian(lg_problem *p, int n);
lg_value *lg_problem_hessian(lg_problem *p, int leaf, int n);
#endif
