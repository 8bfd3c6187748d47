/* build.h: short spellings for the derivative rules that are built in C from graph nodes: the
 * functions named vjp_fn under ops/. Not for the compiler, which has its own emission. */
#ifndef LG_BUILD_H
#define LG_BUILD_H
#include "ops/ops.h"

/* A rule under construction: nodes go into `g` and carry the place of the op they come from. */
typedef struct {
    lg_graph *g;
    lg_span at;
} lg_rule_ctx;
lg_rule_ctx lg_rule_begin(void *ctx, const lg_node *y);

/* Elementwise op by name over same-shape inputs. */
lg_node *lg_rule_op1(const lg_rule_ctx *r, const char *op, lg_node *a);
lg_node *lg_rule_op2(const lg_rule_ctx *r, const char *op, lg_node *a, lg_node *b);
lg_node *lg_rule_scale(const lg_rule_ctx *r, lg_node *x, double by);
lg_node *lg_rule_sum(const lg_rule_ctx *r, lg_node *a, lg_node *b); /* either may be NULL: zero */
lg_node *lg_rule_choose(const lg_rule_ctx *r, lg_node *cond, lg_node *x, double otherwise);

/* Matrices: the last two axes. */
lg_node *lg_rule_dot(const lg_rule_ctx *r, lg_node *a, lg_node *b);
lg_node *lg_rule_t(const lg_rule_ctx *r, lg_node *x);
/* v[..., K] as [..., n, K] (equal rows), and as [..., K, n] (equal columns) */
lg_node *lg_rule_rows(const lg_rule_ctx *r, lg_node *v, int64_t n);
lg_node *lg_rule_cols(const lg_rule_ctx *r, lg_node *v, int64_t n);
/* x where row `cmp` column holds ("ge": lower triangle, "gt": below it, "eq": diagonal), else 0 */
lg_node *lg_rule_part(const lg_rule_ctx *r, lg_node *x, const char *cmp);

/* A kernel with one result, of dtype and leading axes of `like` and the given last axes. */
lg_type lg_rule_type(const lg_node *like, int drop, int n_last, const int64_t *last);
lg_node *lg_rule_kernel(const lg_rule_ctx *r, const lg_op *op, int n, lg_node *const *in,
                        const lg_type *out, const int64_t *p, int n_p);
#endif
