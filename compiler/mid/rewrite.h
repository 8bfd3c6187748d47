/* rewrite.h: what passes rewrite a graph with: constructors that simplify as they build and give
 * an equal node that is there already rather than a second one. Only passes include this. Not for
 * lowering and autodiff, which build what they mean (graph.h). */
#ifndef LG_REWRITE_H
#define LG_REWRITE_H
#include "compiler/mid/passes.h"
#include "ops/ops.h"

/* The ops that rules speak of, found once. */
typedef struct {
    const lg_op *add, *sub, *mul, *div, *neg, *square, *pow, *sqrt, *rsqrt, *max, *min, *where,
        *guard, *and_, *or_, *not_, *sum, *rmax, *rmin, *any, *all, *eq, *lt, *le, *gt, *ge,
        *floordiv, *ne, *exp, *isfinite;
} lg_known;
const lg_known *lg_known_ops(void);

typedef struct lg_rewrite {
    lg_graph *g;
    lg_node **map; /* old id to new node */
    size_t n_old;
    uint32_t *uses; /* of the old nodes, by nodes, outputs and effects */
    lg_node **slot; /* hash table of the new nodes */
    size_t n_slot, used;
    const lg_known *op;
    void *ctx; /* of the pass */
} lg_rewrite;

/* Rewrites g in place: `make` gives the node that stands for the old node n, whose inputs are
 * in[] by now. */
typedef lg_node *(*lg_rewrite_fn)(lg_rewrite *R, lg_node *n, lg_node *const *in);
void lg_rewrite_graph(lg_graph *g, lg_rewrite_fn make, void (*pass)(lg_graph *body));
/* The same with something for `make`, and bodies left as they are. */
void lg_rewrite_with(lg_graph *g, lg_rewrite_fn make, void *ctx);
lg_node *lg_rewrite_copy(lg_rewrite *R, const lg_node *n, lg_node *const *in); /* as it is */
lg_node *lg_rewrite_default(lg_rewrite *R, lg_node *n, lg_node *const *in);    /* simplified */
/* An equal older node instead of x, which was built when the graph had `before` nodes. */
lg_node *lg_rewrite_intern(lg_rewrite *R, size_t before, lg_node *x);

/* Constructors. */
lg_node *lg_s_const(lg_rewrite *R, lg_dtype t, const void *value, int rank, const int64_t *shape,
                    lg_span at);
lg_node *lg_s_fill(lg_rewrite *R, const lg_type *t, const void *one, lg_span at);
lg_node *lg_s_number(lg_rewrite *R, const lg_type *t, double v, lg_span at);
lg_node *lg_s_elem(lg_rewrite *R, const lg_op *op, int n, lg_node *const *in, lg_span at);
lg_node *lg_s_elem2(lg_rewrite *R, const lg_op *op, lg_node *a, lg_node *b, lg_span at);
lg_node *lg_s_cast(lg_rewrite *R, lg_node *x, lg_dtype t, lg_span at);
lg_node *lg_s_iota(lg_rewrite *R, int rank, const int64_t *shape, int axis, lg_span at);
lg_node *lg_s_view(lg_rewrite *R, lg_node *x, const lg_affine *m, int rank, const int64_t *shape,
                   lg_span at);
lg_node *lg_s_reshape(lg_rewrite *R, lg_node *x, int rank, const int64_t *shape, lg_span at);
lg_node *lg_s_permute(lg_rewrite *R, lg_node *x, const int *perm, lg_span at);
lg_node *lg_s_broadcast(lg_rewrite *R, lg_node *x, int rank, const int64_t *shape, const int *from,
                        lg_span at);
/* x without the axes that are not in `used`, along which it is the same everywhere; and back, as a
 * view of type t's shape. */
lg_node *lg_s_narrow(lg_rewrite *R, lg_node *x, uint32_t used, lg_span at);
lg_node *lg_s_widen(lg_rewrite *R, lg_node *x, uint32_t used, const lg_type *t, lg_span at);
lg_node *lg_s_unview(lg_rewrite *R, lg_node *dy, const lg_affine *m, int rank,
                     const int64_t *shape, lg_span at);
/* a + b when each is zero where the other is not, as one concatenation; else NULL. */
lg_node *lg_s_joined(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at);
lg_node *lg_s_reduce(lg_rewrite *R, const lg_op *op, lg_node *x, uint32_t mask, lg_span at);
lg_node *lg_s_dot(lg_rewrite *R, lg_node *a, lg_node *b, lg_span at);
/* Elements of x at the subscripts idx[ni] of its axes nb.., taken before elementwise ops. */
lg_node *lg_s_gather(lg_rewrite *R, lg_node *x, int nb, int ni, lg_node *const *idx, lg_span at);
/* The sum over the axis in mask of x, which is zero but for one element a row that does not depend
 * on where it stands; NULL: x is not like that. */
lg_node *lg_s_sum_of_one(lg_rewrite *R, lg_node *x, uint32_t mask, lg_span at);
/* sparse.c: the scatter n over in[], or the sum n of x, as a product of a sparse matrix, or NULL. */
lg_node *lg_sparse_rows(lg_rewrite *R, lg_node *n, lg_node *const *in);
lg_node *lg_sparse_sum(lg_rewrite *R, const lg_node *n, lg_node *x);
/* prefix.c: how many terms the mask of a sum's one index leaves, when those are the first ones, so
 * many as the run says; else NULL. The product over the first n terms. */
lg_node *lg_prefix_of(lg_rewrite *R, lg_node *mask, lg_span at);
lg_node *lg_prefix_dot(lg_rewrite *R, lg_node *a, lg_node *b, lg_node *n, lg_span at);
/* outside.c: the product n of in[], a single row or column, with the scale of the other side's rows
 * behind it, or NULL. */
lg_node *lg_scale_outside(lg_rewrite *R, const lg_node *n, lg_node *const *in);
/* y stands for the old node n. When it is a view that turns a product around which nothing else
 * sees, the turned product; else y. */
lg_node *lg_s_turned(lg_rewrite *R, const lg_node *n, lg_node *y);

/* Questions. */
const void *lg_fill_of(const lg_node *x); /* the one value of every element, or NULL */
bool lg_is_fill(const lg_node *x, double v);
bool lg_fill_value(const lg_node *x, double *v);
/* Dense data of a constant of few elements, computed when it is a view; NULL otherwise. */
const void *lg_small_data(lg_rewrite *R, const lg_node *x);
/* Is x a view that permutes the axes of its input? Axis o of it is axis perm[o] there. */
bool lg_permutes(const lg_node *x, int *perm);
/* Bit o: elements of the view x differ along its axis o. All axes for other nodes. */
uint32_t lg_axes_used(const lg_node *x);
/* Does the view m walk all of `in` in row-major order? */
bool lg_keeps_order(const lg_affine *m, const lg_type *in, int rank, const int64_t *shape);

/* Affine maps in the graph's arena. */
lg_affine *lg_affine_new(lg_graph *g, int rank_in, int rank_out);
#define LG_COEF(m, a, o) ((m)->coef[(a) * (m)->rank_out + (o)])

enum { LG_SMALL = 256 }; /* elements of constants that are computed with beforehand */
#endif
