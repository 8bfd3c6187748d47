/* fuse.h: what stands between the passes and the plan: which nodes share a kernel, which values get
 * a buffer, and the loop kernels made from groups. Used by fuse.c, kernel.c and schedule.c alone.
 */
#ifndef LG_FUSE_H
#define LG_FUSE_H
#include "compiler/mid/passes.h"
#include "runtime/exec.h"

/* An affine map from the dims of a space to the dims of a value. */
typedef struct {
    int from, to; /* number of dims */
    int64_t off[LG_MAX_RANK], c[LG_MAX_RANK][2 * LG_MAX_RANK];
} lg_map;
lg_map lg_map_identity(const lg_type *t);
/* The value that x reads under *m, past views, marks and reshapes that stay affine. */
lg_node *lg_map_source(lg_node *x, lg_map *m);
bool lg_map_step(const lg_node *x, lg_map *m); /* one of them; false: it is not affine */
/* As one offset and stride a dim in the dense row-major array of type t. */
void lg_map_flat(const lg_map *m, const lg_type *t, int64_t *off, int64_t *stride);
/* The node whose buffer x shares: past marks and reshapes. */
lg_node *lg_storage_of(lg_node *x);

/* One kernel: a loop over a space, or one node run on its own. */
typedef struct lg_group {
    int64_t seq;       /* position in the order */
    int64_t first_use; /* least position that reads one of its values */
    bool opaque, closed;
    int rank; /* the space, without dims of size 1 */
    int64_t n[LG_MAX_RANK];
    uint32_t mask; /* dims of the space that are reduced */
    bool reduces;
    bool index; /* has a reduction to an index */
    LG_VEC(lg_node *) node;
} lg_group;

/* The joined values that a kernel writes a result of its own into: from `at` on along their axes. */
enum { LG_LANDINGS = 2 };
typedef struct {
    int n;
    bool only; /* nobody reads it in a place of its own */
    lg_node *whole[LG_LANDINGS];
    int64_t at[LG_LANDINGS];
} lg_landing;

typedef struct {
    lg_graph *g;
    bool no_fuse;
    lg_landing *join; /* by node id */
    bool *joined;     /* by node id: all parts are written by who makes them, nothing is left to do */
    int64_t next; /* position */
    LG_VEC(lg_group *) group;
    lg_group **of;                  /* by node id; NULL: none */
    bool *row, *after_row, *stored; /* by node id */
} lg_fusion;
void lg_fuse(lg_fusion *f, lg_graph *g, bool no_fuse);
void lg_fuse_free(lg_fusion *f);
void lg_fuse_joins(lg_fusion *f); /* once all groups are known */

/* ---- computing again instead of storing ---- */

/* What a value is made from. Values of few elements beside it (one a row) cost nothing. */
typedef struct {
    int ops, thin, n_leaf, n_wide, costly;
    bool ok;
    int64_t n, most; /* elements of the value, of the largest leaf */
    lg_node *leaf[12];
    const lg_group *of; /* costly values of this group are leaves; NULL: none are */
} lg_cone;
/* !ok: not of elementwise ops alone, or of too many. */
lg_cone lg_cone_of(const lg_fusion *f, lg_node *x);
void lg_cone_add(lg_cone *c, lg_node *x);              /* a leaf */
bool lg_cone_thin(const lg_cone *c, const lg_node *x); /* of few elements */
/* All leaves are there before position seq. */
bool lg_cone_before(const lg_fusion *f, const lg_cone *c, int64_t seq);
/* Is u computed again by a reader at position seq? Then *c is what it is made from. */
bool lg_again(const lg_fusion *f, lg_node *u, int64_t seq, lg_cone *c);
/* Would a reader at position seq do better with the costly value that u is easily made from? Then
 * it is c's leaf: several values may be made from the one, and only that is stored. */
bool lg_again_from(const lg_fusion *f, lg_node *u, int64_t seq, lg_cone *c);

/* What an elementwise value is decoded from; scale, zero and book may be NULL. */
typedef struct {
    lg_coded c;
    lg_node *codes, *scale, *zero, *book;
} lg_decoded;
bool lg_decoded_of(lg_node *x, lg_decoded *d); /* false: from nothing of that kind */
/* What an i32 value is cast from, when that is i8 or u8; else NULL. */
lg_node *lg_bytes_of(lg_node *x, lg_coded *c);

/* A dot as a product of in[0] and in[1], which are read where they lie, through views, and as codes
 * where they are decoded from some: then scales and zeros follow. */
typedef struct {
    lg_product p;
    int n_in;
    lg_node *in[8];
    bool is_coded;
    lg_coded coded[2];
} lg_dot;
lg_dot lg_dot_of(const lg_node *n);
/* Where x is read from in place of x, and by which steps: its storage, or x itself, dense. */
lg_node *lg_strides_of(lg_node *x, lg_strides *s);
bool lg_small_gather(const lg_node *n);

/* ---- kernels ---- */

/* What a kernel reads and writes, by node: the accesses whose place is still to be filled in. */
typedef struct {
    lg_place *place;
    lg_node *node;
    lg_access *acc; /* NULL: any elements of it */
    bool write;
} lg_touch;
typedef struct {
    lg_loop *loop;
    LG_VEC(lg_touch) touch;
    LG_VEC(lg_instr) instr; /* while it is being made */
    LG_VEC(lg_reg) reg;
} lg_kernel;
void lg_kernel_make(lg_kernel *k, const lg_fusion *f, const lg_group *g, lg_arena *mem);
/* Once places are known: registers, direct operands, scratch. may_alias(ctx, a, b): the two
 * accesses may be the same memory. */
void lg_kernel_finish(lg_kernel *k, lg_arena *mem,
                      bool (*may_alias)(void *ctx, const lg_place *a, const lg_place *b),
                      void *ctx);
double lg_kernel_cost(const lg_loop *k); /* ns on one thread */
#endif
