/* parting.h: what parts.c finds out and parts_graph.c builds from. Nobody else includes this. */
#ifndef LG_PARTING_H
#define LG_PARTING_H
#include "compiler/mid/parts.h"
#include "ops/ops.h"

typedef enum {
    LG_CUT_ALL,   /* the same for every item, or complete */
    LG_CUT_ITEMS, /* one value an item, along `axis` */
    LG_CUT_SUM    /* of one part of the items; parts are joined by `join` */
} lg_cut_kind;
typedef struct {
    lg_cut_kind kind;
    int axis;     /* ITEMS: of the items, else -1 */
    int64_t f;    /* how many times there each item is */
    int64_t runs; /* that many times all items follow one another, f/runs neighbours of each */
    const lg_op *join;
} lg_cut;

/* Of one graph and, by node, of the bodies of its loops and branches. */
typedef struct lg_cut_info {
    const lg_graph *g;
    size_t *off; /* first result of a node in cut[] */
    lg_cut *cut;
    struct lg_cut_info *(*body)[2];
} lg_cut_info;

typedef struct {
    const lg_node *node;
    const lg_op *join;
    int level; /* how many sums before it it needs */
    int pass;
} lg_sum;

struct lg_parts {
    lg_arena *mem;
    const lg_graph *g;
    int64_t rows, probe_rows;
    int first_slot, n_want, n_pass;
    lg_node **want;
    lg_cut_info *info;
    bool *need, *counted; /* by id; counted: depends on the number of items */
    int *level,
        *sum_of; /* sums it depends on, one behind the other; number of the sum it is, or -1 */
    LG_VEC(lg_sum) sum;
    LG_VEC(lg_part_sum) shape;
    const char *why;
    lg_span at;
};

bool lg_cut_refuse(lg_parts *p, const lg_node *n, const char *why); /* false */
lg_cut_info *lg_cut_new(lg_parts *p, const lg_graph *g);
/* A body whose inputs are cut like input[]; NULL after refusing. */
lg_cut_info *lg_cut_body(lg_parts *p, const lg_graph *g, const lg_graph *probe,
                         const lg_cut *input);
bool lg_cut_alike(const lg_graph *a, const lg_graph *b); /* the same ops over the same values */
bool lg_cut_is_zero(const lg_node *x);
static inline const lg_cut *lg_cut_of(const lg_cut_info *info, const lg_node *n) {
    return &info->cut[info->off[n->id]];
}
#endif
