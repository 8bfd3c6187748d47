/* scanning.h: a dynamic scan while it is built. Shared by scan.c, scan_start.c and scan_yield.c. */
#ifndef LG_SCANNING_H
#define LG_SCANNING_H
#include "compiler/mid/nest.h"
#include "compiler/mid/scan.h"

typedef struct {
    lg_sym name;
    lg_span at;
    lg_value *start; /* tensors, or records of them */
    int first, n;    /* its leaves */
} lg_carry;

/* A leaf of a carry, of hidden state, or of the loop's own. */
typedef struct {
    const char *path;
    lg_value *start; /* as written: number or tensor */
    int n_open;
    lg_index **open;        /* lanes that it has, start or not */
    lg_node *outer, *inner; /* value before the first round; input of the body */
    lg_node *next;
} lg_slot;

typedef struct {
    const char *path;
    lg_value *init, *now; /* in the body */
    int first, n;
} lg_hidden;

/* Lanes that a hidden state turned out to have, kept from one attempt to the next. */
typedef struct {
    const char *path;
    int leaf, n_open;
    lg_index **open;
} lg_hidden_lanes;

typedef struct {
    lg_elab *E;
    const lg_ast *e;
    lg_frame *outside, *body;
    lg_nest nest;
    LG_VEC(lg_carry) carry;
    LG_VEC(lg_slot) slot;     /* carries, then hidden ones */
    size_t n_user;            /* slots of carries */
    LG_VEC(lg_hidden) hidden; /* state of optimizers applied inside */
    LG_VEC(lg_hidden_lanes) lanes;
    lg_store store;
    /* what it runs over */
    lg_value *xs; /* record or tensor with the rounds first, or NULL: a range */
    lg_value *lo;
    lg_dim *trip;
    bool rev;
    int n_xs;
    lg_node **xs_outer, **xs_inner;
    lg_node *t;
    /* while */
    const lg_ast *test;
    bool test_inside; /* it looks at the round's x: tested within the round */
    lg_slot live, rounds;
    lg_value *live_in, *live_next;
    lg_yields yields;
    lg_probed **probed; /* what a probe had noted before */
    bool grown, failed;
} lg_scanning;

bool lg_scan_over(lg_scanning *s); /* what it runs over; false after reporting */
bool lg_scan_carry(lg_scanning *s, const lg_ast *named); /* one carry and its start */
static inline bool lg_scan_has_lanes(const lg_scanning *s) {
    return s->test && (s->live.n_open || s->test_inside);
}
lg_value *lg_scan_yields(lg_scanning *s); /* of a round; NULL: none, or failed */
/* All that a round gives: its yields (an empty record: none), then what a probe noted. */
lg_value *lg_scan_probed(lg_scanning *s, lg_value *yields);
void lg_scan_give_probed(lg_scanning *s, const lg_value *all); /* ... once it is stacked */
/* [trip, lanes, dims] of the node as [lanes, trip, dims] */
lg_value *lg_scan_stacked(lg_scanning *s, lg_value *y, lg_node *item);
#endif
