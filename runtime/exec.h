/* exec.h: the inside of a plan: its steps, loop kernels and places. Made by mid/schedule.c and
 * mid/kernel.c, run by exec.c and loop.c, read by the code generators. Not for users of plans. */
#ifndef LG_EXEC_H
#define LG_EXEC_H
#include "runtime/crew.h"
#include "runtime/plan.h"

/* Where a value stands. Offsets are in bytes. */
typedef enum {
    LG_AT_NONE,
    LG_AT_ARENA,
    LG_AT_IN,
    LG_AT_OUT,
    LG_AT_CONST
} lg_base; /* compiler/back/prelude.h knows the numbers */
typedef struct {
    lg_base base;
    int slot;        /* IN, OUT */
    size_t off;      /* ARENA: in the workspace of this plan; others: added to the pointer */
    const char *ptr; /* CONST */
} lg_place;

/* ---- loop kernels ----
 * A kernel runs over the space O x I. Values that depend on O alone are row values, the others are
 * full values; a reduction turns a full value into a row value by running over I. The work unit
 * is a tile: `ob` positions of O with all of I, which is cut in chunks of `ib`. Within a chunk
 * either I is the fast index (rows) or O is (columns, and plain elementwise kernels). When a chunk
 * holds all of I (`whole`) the instructions run once a tile, in order; otherwise pass by pass, each
 * pass over all chunks of I. Tiles and chunks depend on shapes alone, so the bits do too. */

/* A row-major flat range of loops, each step moving an address. */
typedef struct {
    int rank;
    int64_t n[LG_MAX_RANK], stride[LG_MAX_RANK];
} lg_walk;

/* Element (o, i) of a value stands at base + o.walk + i.walk, in elements of `size` bytes. */
typedef struct {
    lg_place at;
    int64_t base;
    lg_walk o, i;
    unsigned size;
} lg_access;

typedef enum {
    LG_I_LOAD,   /* access -> reg                                            */
    LG_I_STORE,  /* reg in[0] -> access                                      */
    LG_I_ELEM,   /* fn(in...) -> reg                                         */
    LG_I_CAST,   /* in[0] of dtype `from` -> reg of dtype `to`               */
    LG_I_IOTA,   /* the addresses of the access as i64 -> reg                */
    LG_I_RAND,   /* draws at the addresses of the access -> reg              */
    LG_I_GATHER, /* access + sum of in[k] * unit[k], 0 <= in[k] < size[k]    */
    LG_I_REDUCE, /* full in[0] -> row reg                                    */
    LG_I_SPREAD  /* row in[0] -> full reg                                    */
} lg_instr_kind;

typedef struct {
    lg_instr_kind kind;
    bool row;     /* works on row values */
    bool uniform; /* LOAD: the same element everywhere, filled once */
    bool stream;  /* STORE: past the caches */
    bool direct;  /* LOAD: used where it stands; others: the result is made where it is stored */
    int pass;
    int out, n_in, *in;
    lg_dtype to, from;
    const lg_node *node; /* for faults and printing */
    lg_access *acc;
    union {
        lg_elem_fn fn; /* ELEM; REDUCE: joins two results, NULL when it gives an index */
        struct {
            const int64_t *unit, *size; /* GATHER */
        };
        struct {
            lg_place *addr, *first; /* RAND; first may be NULL */
            int64_t lane;           /* elements a lane */
        };
    };
    lg_elem_fn row_fn; /* REDUCE: dense elements to one */
    int aux;           /* REDUCE: a register to work in: to an index: of the best value, a row;
                          others with O fast: a full one */
} lg_instr;

typedef struct {
    bool row; /* one element a row */
    lg_dtype type;
    size_t off; /* in the thread's scratch */
} lg_reg;

enum { LG_CHUNK = 1024 }; /* elements of a chunk, and of a row's partial results */

/* ---- compiled loops ----
 * What a compiled kernel is given; compiler/back/prelude.h has the same for generated C. */
typedef struct lg_code_env {
    char *arena;
    const void *const *in;
    void *const *out;
    const void *const *konst; /* addresses of constants, by number */
    const lg_elem_fn *fn;     /* prebuilt kernels that it calls, by number */
    /* Random numbers, by number of the instruction: those at O x I from (o, i) on, as the loop has
     * them in a chunk. */
    void (*draw)(const struct lg_code_env *e, int number, int64_t o, int64_t no, int64_t i,
                 int64_t ni, void *out);
    const struct lg_code_draw *draws;
    void (*stream)(void *to, const void *from, unsigned long bytes);
    const int64_t *num; /* of this kernel, where its text leaves sizes and places open */
} lg_code_env;
/* Does units [beg, end). 0, or 1 + the unit in which a subscript is out of range. */
typedef int64_t (*lg_code_fn)(const lg_code_env *e, int64_t beg, int64_t end);
/* Several steps as one function give the number of the step, shifted, with the unit. */
enum { LG_RUN_SHIFT = 40 };
typedef struct {
    const void *const *konst;
    const lg_elem_fn *fn;
    const struct lg_code_draw *draws;
} lg_code_data;

typedef struct {
    int64_t n_o, n_i; /* sizes of O and I */
    int64_t ob, ib;   /* tile, chunk */
    bool fast_o, whole;
    bool streams; /* some results go past the caches */
    int n_passes;
    int64_t row_o, row_i; /* positions of O (or I) for a step along the first axis; 0: not in it */
    int64_t split;        /* > 0: I is cut in blocks of so many, joined after all are done */
    lg_place partial;     /* their results: [block][reduce][ob * 8 bytes] */
    int n_instr, n_reg;
    lg_instr *instr; /* in order of execution */
    lg_reg *reg;
    size_t scratch;  /* bytes a thread */
    lg_code_fn code; /* the same compiled, or NULL; set between runs */
    const lg_code_data *data;
    const int64_t *num; /* what the code reads as e->num, or NULL */
} lg_loop;

typedef struct lg_code_draw {
    const lg_loop *k;
    const lg_instr *x;
} lg_code_draw;

/* ---- products ---- */

/* y[s, h, m, n] = sum over k of a[s, h, m, k] * b[s, h, k, n]; strides in elements, y is dense. */
typedef struct {
    lg_dtype type;
    int64_t batch, heads, m, n, k; /* batch: all of s and h; heads: h alone */
    int64_t a_batch, a_head, a_m, a_k, b_batch, b_head, b_k, b_n, a_off, b_off;
} lg_product;
/* Part `part` of `parts` of the product; bits do not depend on `parts`. */
typedef void (*lg_product_fn)(const lg_product *p, const void *a, const void *b, void *y,
                              void *scratch, int part, int parts);

/* An operand that stands in memory as codes. Element e of it is worth (code + zero)*scale, in f32;
 * e is in row e / width and there in group (e % width) / group, which say which scale and zero. */
typedef struct {
    lg_dtype code;    /* I8, U8, BF16, F16; LG_NO_DTYPE: no codes, the operand stands there itself */
    int bits;         /* 4 or 2: so many a code, the first lowest in its byte; else 0 */
    bool minus;       /* (code - zero)*scale */
    int scale, zero;  /* which input of the step; 0: none */
    int64_t code_off; /* of element 0, in elements */
    int64_t width, group;
    int64_t scale_row, scale_group, zero_row, zero_group; /* steps, in elements */
    int64_t scale_off, zero_off;
    bool by_table;   /* codes of few bits stand for numbers, not for themselves */
    float table[16]; /* what they stand for, by their bits; repeated for those of 2 */
    int book;        /* of 4 bits: which input holds these 16 numbers, by code + 8; 0: the table does */
    int64_t book_off;
} lg_coded;
/* The product of operands c[0] and c[1]; in: those, then scales and zeros. */
typedef void (*lg_coded_fn)(const lg_product *p, const lg_coded c[2], const void *const *in,
                            void *y, void *scratch, int part, int parts);

/* Rows [beg, end) of a product that is one matrix, else of its batch; in: as for codes. */
typedef void (*lg_rows_fn)(const lg_product *p, const lg_coded *coded, const void *const *in, void *y,
                           void *scratch, int64_t beg, int64_t end);

/* The right operand of a product packed once, part by part; then rows [beg, end) by what was packed. */
typedef void (*lg_pack_fn)(const lg_product *p, const void *b, void *panels, int part, int parts);
typedef void (*lg_packed_fn)(const lg_product *p, const void *a, const void *panels, void *y,
                             void *scratch, int64_t beg, int64_t end);

/* ---- steps ---- */

typedef enum { LG_S_LOOP, LG_S_DOT, LG_S_RUN, LG_S_COPY, LG_S_SCAN, LG_S_COND } lg_step_kind;

typedef struct lg_step {
    lg_step_kind kind;
    bool serial;         /* one thread does it all */
    int together;        /* LOOP: this and so many steps in all wait for none of each other; or 0 */
    int stretch; /* this and so many steps in all are done by rows, with one meeting; or 0 */
    bool within; /* a stretch */
    bool packs;  /* a stretch: some right operands are packed first */
    bool sums;   /* a stretch: some sums over the rows are joined last */
    const lg_node *node; /* for faults and printing; LOOP: the first of its nodes */
    int n_in, n_out;
    lg_place *in, *out;
    lg_place scratch; /* RUN */
    const lg_strides *at; /* RUN: of inputs that are read through views, or NULL */
    size_t bytes;     /* COPY */
    lg_loop *loop;
    lg_product *product;
    lg_product_fn product_fn; /* NULL where operands are coded */
    const lg_coded *coded;    /* of both operands, or NULL */
    lg_coded_fn coded_fn;
    lg_rows_fn rows_fn;
    size_t product_scratch; /* bytes a thread */
    lg_place panels;        /* within a stretch: where the right operand is packed, or NONE */
    lg_pack_fn pack_fn;
    lg_packed_fn packed_fn;
    lg_plan *sub[2];        /* SCAN: body; COND: then, else */
    lg_place sub_arena;     /* their workspace, within ours */
    lg_place *swap;         /* SCAN: the other buffer of each carry; NONE: in place */
    /* SCAN, by carry: the result whose rows are what the carry is (was: before each round; now: after
     * it), so that it stands there and nowhere else; 0: none. */
    int *was, *now;
    /* SCAN: the body can be cut in so many rows, `unit` of them together; 0. Within a stretch: its rows;
     * `block`: so many are done by all steps before others are. */
    int64_t rows, unit, block;
    bool lone;          /* SCAN: one thread would do every step of the body */
    size_t weights;     /* SCAN: bytes that products of the body read for every row */
    size_t *stride;         /* SCAN: bytes a round of xs and yields, carries 0; inputs first */
    double cost;            /* estimate, ns on one thread */
    int64_t traffic;        /* bytes of what it reads and writes */
    int64_t runs;           /* of a profile */
    double ns;
    lg_code_fn code; /* this and the next steps as one function for one thread, or NULL */
    const lg_code_data *data;
    int n_code; /* steps in it */
} lg_step;

struct lg_plan {
    lg_arena *mem; /* the plan's own tables */
    lg_graph *graph;
    lg_plan_opts opts;
    int n_step, n_in, n_out;
    lg_step *step;
    int64_t rows, unit;  /* body of a scan: see lg_step */
    bool *swaps;         /* body of a scan: carry output k must not share its input's buffer */
    size_t workspace;    /* bytes of ARENA places */
    int peak;            /* the step in which most of them are in use */
    size_t thread_bytes; /* scratch of each thread */
    int n_pointer;       /* pointers that nested plans need at once, a thread */
    double cost;
    int threads;        /* of a run */
    bool small;         /* one thread does best on any machine */
    lg_crew crew;       /* how many of them a run is given */
    lg_room own, *room; /* workspace, then scratch of the threads; NULL for nested plans */
    size_t base_bytes;
    lg_plan_stats stats;
    /* whoever compiles the plan while it runs (compiler/back/jit.c), or NULL */
    struct lg_jit *jit;
    void (*before)(lg_plan *p); /* each run */
    void (*gone)(lg_plan *p);   /* the plan is freed */
};

/* ---- running, between exec.c and loop.c ---- */

/* The buffers a (nested) plan runs on. */
typedef struct {
    char *arena;
    const void *const *in;
    void *const *out;
} lg_frame;

static inline char *lg_place_at(const lg_frame *f, const lg_place *p) {
    switch (p->base) {
    case LG_AT_ARENA:
        return f->arena + p->off;
    case LG_AT_IN:
        return (char *)(uintptr_t)f->in[p->slot] + p->off;
    case LG_AT_OUT:
        return (char *)f->out[p->slot] + p->off;
    case LG_AT_CONST:
        return (char *)(uintptr_t)p->ptr + p->off;
    case LG_AT_NONE:
        break;
    }
    return NULL;
}

/* Tiles [beg, end) of a kernel; with `split` units are blocks of I within tiles. False: a fault. */
bool lg_loop_run(const lg_loop *k, const lg_frame *f, char *scratch, int64_t beg, int64_t end,
                 lg_fault *fault);
int64_t lg_loop_units(const lg_loop *k);
/* What compiled code is given. */
lg_code_env lg_loop_env(const lg_code_data *d, const lg_frame *f);
/* Goes over the unit `bad - 1`, of which compiled code says that a subscript is wrong, to report
 * which one; always false. */
bool lg_loop_fault(const lg_loop *k, const lg_frame *f, char *scratch, int64_t bad,
                   lg_fault *fault);
/* With `split`: joins the blocks and does what comes after. */
bool lg_loop_finish(const lg_loop *k, const lg_frame *f, char *scratch, lg_fault *fault);

/* Copies past the caches; lg_stream_done before others may read it. */
void lg_stream(void *to, const void *from, unsigned long bytes);
void lg_stream_done(void);

/* Bytes of a workspace of the plan that one thread has for itself. */
static inline size_t lg_plan_apart(const lg_plan *p) {
    return (p->workspace + 63) / 64 * 64;
}

/* The tables that the body of a scan is given, round by round. */
typedef struct {
    const lg_step *s;
    const lg_frame *f;
    const void **in;
    void **out;
    char **even, **odd; /* by carry: where it stands before even and odd rounds */
    int64_t index;
} lg_rounds;
/* Takes its tables from *pointer on, which it moves. */
lg_rounds lg_rounds_of(const lg_step *s, const lg_frame *f, const void ***pointer);
/* Starts the carries, ends them, or gives the tables of a round. Of the carries only the part of rows
 * [beg, end) of `of` is copied. */
void lg_rounds_first(const lg_rounds *r, int64_t beg, int64_t end, int64_t of);
void lg_rounds_set(lg_rounds *r, int64_t round);
void lg_rounds_last(const lg_rounds *r, int64_t round, int64_t beg, int64_t end, int64_t of);
bool lg_rounds_stop(const lg_rounds *r, int64_t round); /* by its condition, before this round */
/* Yields of rounds that were not run. */
void lg_rounds_rest(const lg_rounds *r, int64_t round);
/* Copies a part of `bytes`. */
void lg_copy_part(void *to, const void *from, size_t bytes, int64_t beg, int64_t end, int64_t of);

/* Memory for a plan of its own, with big pages where it is large. False: no memory. */
bool lg_plan_reserve(lg_plan *p);
#endif
