/* strip.h: softmax attention as it stands in a graph, between strip.c, which recognises it, and
 * attention.c, which puts kernels in its place. */
#ifndef LG_STRIP_H
#define LG_STRIP_H
#include "compiler/mid/fuse.h"
#include "compiler/mid/rewrite.h"

/* A value under the dims of the strip: x at the subscripts that m gives. x is no view. */
typedef struct {
    lg_node *x;
    lg_map m;
} lg_seen;

/* Dims of the strip that one dim of an operand consists of, the slowest first. */
typedef struct {
    int n, dim[LG_MAX_RANK];
} lg_dims;

/* An operand of a product: what each of its dims is, where `feature` is the one (or -1) that the
 * strip does not have. */
typedef struct {
    lg_node *x;
    int rank, feature;
    lg_dims at[LG_MAX_RANK];
} lg_side;

/* A product with a value of the strip, or that makes one. */
typedef struct {
    lg_node *dot;
    lg_side out;   /* its result */
    lg_side other; /* the operand that is no value of the strip */
    double by;     /* what the kernel's result is multiplied by */
} lg_strip_dot;

/* What leaves keys to queries. */
typedef struct {
    lg_seen at;
    bool denied; /* it is true of the keys that are left out */
} lg_strip_mask;

enum { LG_STRIP_BIASES = 4, LG_STRIP_MASKS = 3 };
typedef struct {
    const lg_known *op;
    lg_node *e, *sum;    /* exponentials and their sums */
    int j;               /* the dim they are summed over */
    lg_dims batch, rows; /* the others: of both operands, of queries alone */
    lg_node *dot;        /* the products that scores are made from */
    lg_side q, k;
    double scale;
    lg_seen bias[LG_STRIP_BIASES];
    double bias_by[LG_STRIP_BIASES];
    int n_bias;
    lg_strip_mask mask[LG_STRIP_MASKS]; /* all hold where there is a probability */
    int n_mask;
    const lg_strip_mask *whole; /* the one that must be read, as bounds do not say all; or NULL */
    bool bare; /* a query without keys gets no number: its maximum or sum is not replaced */
    bool has_up, has_low;
    int64_t up, low;
    int row;                    /* the dim that bounds go by, or -1 */
    lg_node *grad_dot;          /* products of dy and v, once met */
    lg_side dy, v;              /* their operands */
    lg_strip_dot y, dq, dk, dv; /* .dot: NULL where there is none */
} lg_strip;

/* The exponentials that an operand of a product is made from elementwise, or NULL. */
lg_node *lg_strip_exp(const lg_node *dot);
/* Does `sum` reduce exponentials of scores? Then *s says which, and which of the products
 * dot[0..n), those made from these exponentials, are what a kernel can compute. */
bool lg_strip_find(lg_strip *s, lg_node *sum, size_t n, lg_node *const *dot);
/* Are the operands the same elements in the same places? */
bool lg_side_same(const lg_strip *s, const lg_side *a, const lg_side *b);
#endif
