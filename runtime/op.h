/* op.h: what every op must fulfil. An op is declared once, as a constant descriptor in its
 * family's file under ops/, and found by listing. Its identity is its address. Passes never ask
 * for an op by name: they ask its class (a closed set) and its traits. */
#ifndef LG_OP_H
#define LG_OP_H
#include "runtime/dtype.h"

struct lg_node;
struct lg_graph;

/* Classes. The comment gives inputs -> output and the fields of lg_attr that are used. */
typedef enum {
    LG_C_INPUT,   /* () -> x                 slot                                            */
    LG_C_CONST,   /* () -> x                 tensor                                          */
    LG_C_IOTA,    /* () -> i64[...]          axis: out[...] = index along axis               */
    LG_C_ELEM,    /* same-shape inputs -> that shape; micro kernel over dense chunks         */
    LG_C_CAST,    /* x -> x in node->dtype                                                   */
    LG_C_VIEW,    /* x -> affine view        affine: in index = off + coef * out index       */
    LG_C_UNVIEW,  /* dy -> dx, the adjoint of a view: zeros(shape), dx[off+coef*o] += dy[o]   */
    LG_C_RESHAPE, /* x -> same elements, row-major order, other shape                        */
    LG_C_REDUCE,  /* x -> x without the axes of axes_mask (argmax/argmin: one axis, i32)     */
    LG_C_CUM,     /* x -> same shape, running along `axis`, from the end when `rev`          */
    LG_C_DOT,     /* a[...S,M,K], b[...S,K,N] -> [...S,M,N]; leading dims equal              */
    LG_C_GATHER,  /* x[b.., i1..ik, t..], idx1..idxk[b.., o..] -> [b.., o.., t..]  nb, ni    */
    LG_C_SCATTER, /* base[b.., i1..ik, t..], idx1..k[b.., o..], upd[b.., o.., t..] -> base'
                     nb, ni; op says add or put (last wins)                                  */
    LG_C_CONCAT,  /* x1..xn -> joined along `axis`                                           */
    LG_C_RAND,    /* addr i64[b..] (, first i64[]) -> [b.., dims..]  nb; op says which draw    */
    LG_C_KERNEL,  /* opaque: op->shape and op->run; leading dims are batch                   */
    LG_C_SCAN,    /* see lg_scan_attr -> tuple                                               */
    LG_C_COND,    /* pred, captures -> tuple; see lg_cond_attr                               */
    LG_C_ITEM,    /* tuple -> its item number `axis`                                         */
    LG_C_MARK,    /* x (, others) -> x; no work. stop_grad, alias; custom: others are what its
                     rule uses; remat: what x is computed again from; barrier: what must be
                     computed before. Only those with LG_T_BARRIER outlive simplification.      */
    LG_C_REQUIRE  /* cond bool[...], values... -> bool[]; fails the run where cond is false  */
} lg_class;

enum { /* traits */
    LG_T_NODIFF = 1,      /* no derivative, and none is zero-by-accident: asking for it is silent 0
                             (integers, comparisons, argmax, floor ...) */
    LG_T_COMMUTES = 2,    /* binary: a op b = b op a */
    LG_T_CHEAP = 4,       /* worth recomputing rather than storing */
    LG_T_KEEPS_ZERO = 8,  /* f(0) = 0 */
    LG_T_PER_ROW = 16,    /* the last axis is one unit of work; leading dims independent */
    LG_T_BARRIER = 64,    /* MARK: never removed, merged with an equal node, or moved before in[1] */
    LG_T_LINEAR = 32,     /* linear in its first input when the others are held */
    LG_T_PRODUCT = 128,   /* KERNEL: sums of products of its float inputs (convolutions) */
    LG_T_WIDENS = 256,    /* REDUCE, CUM: integers and bools are joined as i64, so is the result */
    LG_T_STRIDED = 512    /* KERNEL: reads its inputs by lg_call.at, through views */
};

/* Elementwise micro kernel: n elements, dense inputs of in_dtype, dense output. in[k] may equal out. */
typedef void (*lg_elem_fn)(size_t n, const void *const *in, void *out);

/* Element o of a view stands at off + the sum of stride[d]*o[d], in elements; not negative. */
typedef struct {
    int64_t off, stride[LG_MAX_RANK];
} lg_strides;

/* Opaque kernel call. Shapes are those of the nodes; all buffers dense row-major, but for inputs of
 * LG_T_STRIDED ops. Returns false after lg_fault(); see plan.h. Tuple outputs fill out[0..n_out). */
struct lg_fault;
typedef struct {
    const struct lg_node *node;
    const void *const *in;
    void *const *out;
    void *scratch; /* op->scratch bytes, 64-byte aligned */
    struct lg_fault *fault;
    const lg_strides *at; /* LG_T_STRIDED: of every input; NULL: all are dense */
} lg_call;
typedef bool (*lg_run_fn)(const lg_call *c);

typedef struct lg_op {
    const char *name;
    const char *sig; /* in our own type syntax, for help and for checking calls by name */
    lg_class cls;
    unsigned traits;
    int arity; /* -1: any */
    /* ELEM: kernels by the dtype of the first input; result dtype: out_dtype, or LG_NO_DTYPE = same */
    lg_elem_fn elem[LG_N_DTYPES];
    lg_dtype out_dtype; /* ELEM, REDUCE */
    int key;            /* ELEM: the input whose dtype counts as the first's (where(c, a, b): 1) */
    unsigned flag_in;   /* ELEM: inputs that are bool whatever the others are, a bit each */
    const char *cexpr;  /* ELEM: C expression over the input names of sig, of type `real`; V(exp) is
                           the function of vmath.h for that dtype, B(floor) the builtin */
    const char *cexpr_int; /* the same over int64_t, for integers and bool */
    /* REDUCE: elem and cexpr join two partial results a and b; row reduces n dense elements of
     * in[0] to the one element out[0], in an order that depends on n alone. */
    lg_elem_fn row[LG_N_DTYPES];
    /* derivative: one .lg expression per input over dy, y and the input names; NULL: no gradient
     * for that input. vjp_fn instead, for ops whose rule must be built in C. */
    const char *vjp[4];
    bool (*vjp_fn)(void *ctx, struct lg_node *y, struct lg_node **dy, struct lg_node **dx);
    /* KERNEL (and others that are run as such): n_out results */
    int n_out; /* 0 means 1 */
    lg_run_fn run;
    size_t (*scratch)(const struct lg_node *n);
    int64_t (*flops)(const struct lg_node *n);
    int unpacks;     /* KERNEL: takes bytes apart into signed integers of so many bits, low first */
    double identity; /* REDUCE: value of the empty reduction */
    double lo, hi;   /* where tests sample the inputs */
    const char *doc, *example, *result;
} lg_op;
#endif
