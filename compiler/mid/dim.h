/* dim.h: dimensions: polynomials with integer coefficients over named atoms, compared by name.
 * Values are what a run knows of the atoms; two atoms never become equal because their values are.
 * A dim is immutable and lives in its context's arena; equal dims are the same pointer. */
#ifndef LG_DIM_H
#define LG_DIM_H
#include "runtime/base.h"

typedef struct lg_dim lg_dim;
typedef struct lg_atom lg_atom;
typedef struct lg_dims lg_dims; /* interning tables; one per elaboration context */

lg_dims *lg_dims_new(lg_arena *a);
/* From enter to leave, atoms and what is made of them live in the arena a, which may go afterwards:
 * leave forgets them, or with `keep` leaves them to what is around it. What is made of older atoms
 * alone stays in any case. Nested. */
typedef struct lg_dims_level {
    uint32_t mark; /* atoms there were */
    lg_arena *arena, *was;
    LG_VEC(lg_dim *) made;
    struct lg_dims_level *up;
} lg_dims_level;
void lg_dims_enter(lg_dims *c, lg_dims_level *l, lg_arena *a);
void lg_dims_leave(lg_dims *c, lg_dims_level *l, bool keep);
void lg_dims_recover(lg_dims *c); /* after a fault: no level is open, all stays */
bool lg_dim_made_in(const lg_dim *d, const lg_dims_level *l); /* has it atoms made since? */
/* A fresh rigid atom each call, even for an equal name. `at`: where it was declared. */
lg_dim *lg_dim_var(lg_dims *c, lg_sym name, lg_span at);
lg_dim *lg_dim_num(lg_dims *c, int64_t v);
lg_dim *lg_dim_add(lg_dims *c, const lg_dim *a, const lg_dim *b);
lg_dim *lg_dim_sub(lg_dims *c, const lg_dim *a, const lg_dim *b);
lg_dim *lg_dim_mul(lg_dims *c, const lg_dim *a, const lg_dim *b);
/* Exact division: simplifies when b divides a as polynomials (also H*(D/H) = D, (3*D)/D = 3), else
 * an opaque atom "D/H" that multiplied by H gives D back. NULL when values (or numbers) are known
 * and do not divide, or b is 0. */
lg_dim *lg_dim_div(lg_dims *c, const lg_dim *a, const lg_dim *b);
/* Opaque functions: "//", "%", "min", "max", or any name the caller gives ("floor(rho*N)": name
 * with no arguments and a known or unknown value). Equal name and equal arguments: the same atom.
 * Folded when arguments are numbers. */
lg_dim *lg_dim_fn(lg_dims *c, lg_sym name, const lg_dim *a, const lg_dim *b);
lg_dim *lg_dim_opaque(lg_dims *c, lg_sym text, bool known, int64_t value);

/* Gives an atom made by lg_dim_var its size. */
void lg_dim_set(lg_dim *var, int64_t value);
/* Its size is not known while a program is checked, but will be when it runs (arguments, data). */
void lg_dim_set_later(lg_dim *var);
bool lg_dim_later(const lg_dim *d); /* d has such atoms, and all others are known */
/* A pointer that the owner of an atom may keep with it. */
void lg_dim_set_user(lg_dim *var, void *user);
void *lg_dim_user(const lg_dim *var); /* of one atom; NULL when none was set */
/* The size, when every atom in it has one. */
bool lg_dim_value(const lg_dim *d, int64_t *out);
bool lg_dim_equal(const lg_dim *a, const lg_dim *b); /* in names */
bool lg_dim_is_num(const lg_dim *d, int64_t *out);    /* a literal number, no atoms */
bool lg_dim_is_var(const lg_dim *d);                  /* one atom made by lg_dim_var, factor 1 */
lg_sym lg_dim_name(const lg_dim *d);                  /* of such an atom, else NULL */
lg_span lg_dim_where(const lg_dim *d);                /* declaration of its first atom */
bool lg_dim_mentions(const lg_dim *d, const lg_dim *var);
/* -1 provably a < b, 0 equal, 1 provably a > b; 2 unknown. Atoms are >= 0. Uses names, then values. */
int lg_dim_compare(const lg_dim *a, const lg_dim *b);
/* 1 provably a <= b, 0 provably not; 2 unknown. Uses names, then values. */
int lg_dim_at_most(const lg_dim *a, const lg_dim *b);

/* d with each var[i] replaced by to[i] (inside opaque atoms too; they are simplified again). */
lg_dim *lg_dim_subst(lg_dims *c, const lg_dim *d, size_t n, const lg_dim *const *var, const lg_dim *const *to);
/* Solves pattern = target for one unknown atom that stands in pattern with an integer factor
 * and/or an offset, or as D in D/H and H*K products with known others: 3*D = 3*E gives E; T+1 = N
 * gives N-1; H*K = X with H known in names gives X/H. NULL when it cannot. */
lg_dim *lg_dim_solve(lg_dims *c, const lg_dim *pattern, const lg_dim *unknown, const lg_dim *target);
/* The atoms made by lg_dim_var in d, each once; returns how many were written (at most max). */
size_t lg_dim_vars(const lg_dim *d, const lg_dim **out, size_t max);

/* "3*D", "T + 1", "D/H"; arena text. */
const char *lg_dim_text(lg_arena *a, const lg_dim *d);
#endif
