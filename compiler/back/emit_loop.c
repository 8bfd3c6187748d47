/* emit_loop.c: one loop kernel as a C function over a range of its units. What the interpreter does
 * instruction by instruction is done here element by element: between two reductions there is one
 * loop over the elements and one over the rows. Values that are needed past a reduction are kept
 * in arrays; cheap ones are made again. */
#include "compiler/back/emitting.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How the elements of a tile are walked. */
typedef enum {
    ELEMS,   /* row values alone                                            */
    COLUMNS, /* O is the fast index: chunks of I, then runs of O            */
    ROWS,    /* I is the fast index: one row of the tile at a time          */
    FLAT     /* short rows: all of the tile as one dense run                */
} shape;

enum { MOST_KEPT = 1 << 18, FLAT_BELOW = 64, MOST_FEW = 4, VECTOR = 8, MOST_VECTORS = 64 };

typedef struct {
    lg_unit *u;
    const lg_plan *p;
    const lg_loop *k;
    lg_buf *out;
    shape shape;
    int n_levels;
    int *maker;  /* by register: the instruction that makes it */
    int *level;  /* by instruction: when it is done */
    bool *kept;  /* by register: in an array m<reg> */
    bool *done;  /* by register: a variable v<reg> of the body being written */
    bool *lives; /* by register: a variable of the whole function or row */
    bool *room;  /* by instruction, REDUCE: has an array b<in> of its input */
    bool gathers;
    bool ahead; /* what comes next has been asked for in this function */
    bool table; /* operands stand where a table says */
    int few;    /* the loop being written goes h times over so many elements; 0: j */
    int nth;    /* which of them, when each is written out; else a loop over l does them */
    size_t kept_bytes;
    lg_numbers *open; /* NULL: sizes and places stand in the text; else they come in this order */
} writer;

static void indent(writer *w, int n) {
    lg_buf_printf(w->out, "%*s", 4 * n, "");
}

/* ---- numbers ---- */

/* A size or step that other sizes of the data would change. */
static void put_number(writer *w, int64_t n) {
    if (!w->open) {
        lg_buf_printf(w->out, "%" PRId64, n);
        return;
    }
    lg_buf_printf(w->out, "c%zu", w->open->n);
    LG_PUSH(*w->open, n);
}

/* As text between two others. */
static void put_with(writer *w, const char *before, int64_t n, const char *after) {
    lg_buf_printf(w->out, "%s", before);
    put_number(w, n);
    lg_buf_printf(w->out, "%s", after);
}

static void put_place(writer *w, const lg_place *at) {
    if (!w->open) {
        lg_c_place(w->u->e, w->out, at);
        return;
    }
    lg_buf_printf(w->out, "lg_at(e, e->num + %zu)", w->open->n);
    LG_PUSH(*w->open, (int64_t)at->base);
    LG_PUSH(*w->open, at->base == LG_AT_CONST ? lg_c_konst(w->u->e, at->ptr) : at->slot);
    LG_PUSH(*w->open, (int64_t)at->off);
}

/* The size of I may be another one in the next plan: where the first axis, of items, is in it, and
 * where it is long anyway. */
static bool is_n_open(const writer *w) {
    enum { SHORT = 16 };
    bool items = w->k->row_i != 0;
    return w->open && (w->shape == COLUMNS ? items || w->k->n_i > SHORT
                       : w->shape == ROWS  ? items || w->k->n_o == 1
                                           : w->shape == ELEMS);
}

/* ---- what there is ---- */

static bool is_store(const lg_instr *x) {
    return x->kind == LG_I_STORE || (x->direct && x->kind != LG_I_LOAD);
}

static bool makes(const lg_instr *x) {
    return x->kind != LG_I_STORE;
}

/* The result of a reduction is a row value; the reduction itself works on full ones. */
static bool is_row_value(const writer *w, int reg) {
    return w->k->reg[reg].row;
}

/* Made again wherever it is needed. */
static bool is_cheap(const writer *w, const lg_instr *x) {
    if (w->shape == FLAT && !x->row)
        return x->uniform;
    return x->kind == LG_I_LOAD || x->kind == LG_I_IOTA || x->kind == LG_I_SPREAD;
}

static bool may_alias(const writer *w, const lg_place *a, const lg_place *b) {
    if (a->base == LG_AT_IN && b->base == LG_AT_OUT)
        return w->p->graph->output.at[b->slot].donates == a->slot;
    return a->base == b->base && a->base != LG_AT_CONST && a->slot == b->slot && a->off == b->off;
}

/* ---- when it is done ---- */

static void first_levels(writer *w) {
    const lg_loop *k = w->k;
    for (int r = 0; r < k->n_reg; r++)
        w->maker[r] = -1;
    for (int j = 0; j < k->n_instr; j++)
        if (makes(&k->instr[j]))
            w->maker[k->instr[j].out] = j;
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        int at = 0;
        for (int q = 0; q < x->n_in; q++) {
            int m = w->maker[x->in[q]];
            int from = w->level[m] + (k->instr[m].kind == LG_I_REDUCE);
            at = from > at ? from : at;
        }
        if (x->kind == LG_I_RAND && !x->row && !k->whole)
            at = x->pass; /* each pass has its own, for a chunk at a time */
        w->level[j] = at;
        int after = at + (x->kind == LG_I_REDUCE);
        w->n_levels = after >= w->n_levels ? after + 1 : w->n_levels;
    }
}

/* A full value must not be stored where something stands that is read again later. */
static bool delay(writer *w) {
    const lg_loop *k = w->k;
    bool any = false;
    for (int s = 0; s < k->n_instr; s++) {
        const lg_instr *x = &k->instr[s];
        if (x->kind != LG_I_STORE || x->row)
            continue;
        for (int u = 0; u < k->n_instr; u++)
            for (int q = 0; q < k->instr[u].n_in; q++) {
                const lg_instr *y = &k->instr[w->maker[k->instr[u].in[q]]];
                if (y->kind == LG_I_LOAD && !y->row && w->level[u] > w->level[s] &&
                    may_alias(w, &y->acc->at, &x->acc->at)) {
                    w->level[s] = w->level[u];
                    any = true;
                }
            }
    }
    return any;
}

/* Full results that are made where they are stored must not wait: such a kernel is left alone. */
static bool direct_is_safe(const writer *w) {
    const lg_loop *k = w->k;
    for (int s = 0; s < k->n_instr; s++) {
        const lg_instr *x = &k->instr[s];
        if (!is_store(x) || x->kind == LG_I_STORE || x->row || x->kind == LG_I_REDUCE)
            continue;
        for (int u = 0; u < k->n_instr; u++)
            for (int q = 0; q < k->instr[u].n_in; q++) {
                const lg_instr *y = &k->instr[w->maker[k->instr[u].in[q]]];
                if (y->kind == LG_I_LOAD && !y->row && w->level[u] > w->level[s] &&
                    may_alias(w, &y->acc->at, &x->acc->at))
                    return false;
            }
    }
    return true;
}

/* The level at which a use of a value happens, and whether among the row values. */
static int use_level(const writer *w, int user, bool *row) {
    const lg_instr *x = &w->k->instr[user];
    *row = x->row && x->kind != LG_I_REDUCE;
    return *row && x->kind == LG_I_STORE ? w->n_levels - 1 : w->level[user];
}

static bool is_prefilled(const writer *w, const lg_instr *x) {
    return w->shape == FLAT && !x->row && !x->uniform &&
           (x->kind == LG_I_LOAD || x->kind == LG_I_IOTA || x->kind == LG_I_SPREAD);
}

/* Random numbers come in arrays; but a row's own is a variable when rows are done one by one. */
static bool is_drawn(const writer *w, const lg_instr *x) {
    return x->kind == LG_I_RAND && !(w->shape == ROWS && x->row);
}

/* ROWS: what is reduced stands one after the other where it was loaded from, and is not overwritten
 * meanwhile. */
static bool in_memory(const writer *w, int reg) {
    const lg_instr *y = &w->k->instr[w->maker[reg]];
    if (w->shape != ROWS || y->kind != LG_I_LOAD || y->row || y->uniform)
        return false;
    for (int j = 0; j < w->k->n_instr; j++)
        if (is_store(&w->k->instr[j]) && may_alias(w, &y->acc->at, &w->k->instr[j].acc->at))
            return false;
    return y->acc->i.rank == 1 && y->acc->i.stride[0] == 1;
}

/* Which values outlive the loop they are made in. */
static void keep_values(writer *w) {
    const lg_loop *k = w->k;
    for (int u = 0; u < k->n_instr; u++)
        for (int q = 0; q < k->instr[u].n_in; q++) {
            int r = k->instr[u].in[q], m = w->maker[r];
            const lg_instr *y = &k->instr[m];
            bool row = is_row_value(w, r), row_use;
            int level = use_level(w, u, &row_use);
            if (y->uniform || (w->shape == ROWS && row) || (!row && is_cheap(w, y)))
                continue;
            if (level != w->level[m] || row != row_use || y->kind == LG_I_REDUCE)
                w->kept[r] = true;
        }
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        bool late = x->row && x->direct && x->kind != LG_I_LOAD && w->level[j] + 1 < w->n_levels;
        if (w->shape != ROWS && (x->kind == LG_I_REDUCE || late))
            w->kept[x->out] = true;
        if (is_prefilled(w, x) || is_drawn(w, x))
            w->kept[x->out] = true;
    }
    for (int j = 0; j < k->n_instr; j++)
        if (k->instr[j].kind == LG_I_REDUCE)
            w->room[j] = !w->kept[k->instr[j].in[0]] && !in_memory(w, k->instr[j].in[0]);
}

/* ---- addresses ---- */

/* Elements before position `at` (an expression) of a walk. */
static void put_walk(writer *w, const lg_walk *walk, const char *at) {
    int64_t inner = 1;
    bool any = false;
    for (int d = walk->rank - 1; d >= 0; inner *= walk->n[d--]) {
        if (walk->stride[d] == 0)
            continue;
        lg_buf_printf(w->out, "%s%s", any ? " + " : "", at);
        any = true;
        if (inner != 1 || d != 0)
            lg_buf_printf(w->out, " / %" PRId64, inner);
        if (d != 0)
            lg_buf_printf(w->out, " %% %" PRId64, walk->n[d]);
        put_with(w, " * ", walk->stride[d], "");
    }
    if (!any)
        lg_buf_printf(w->out, "0");
}

static int64_t last_stride(const lg_walk *walk) {
    return walk->rank ? walk->stride[walk->rank - 1] : 0;
}

static const lg_walk *fast_walk(const writer *w, const lg_instr *x, bool row) {
    return row || w->k->fast_o ? &x->acc->o : &x->acc->i;
}

/* Elements from h to h + 1, when `few` elements go straight at a time. */
static int64_t step_of_few(const lg_walk *walk, int few) {
    bool turns = walk->rank > 1 && walk->n[walk->rank - 1] == few;
    return turns ? walk->stride[walk->rank - 2] : few * last_stride(walk);
}

/* Elements between the element in work and the one that p<number> points at. */
static void put_step(writer *w, const lg_walk *walk) {
    int64_t stride = last_stride(walk);
    if (w->few > MOST_FEW)
        lg_buf_printf(w->out, "h * %" PRId64 " + l * %" PRId64, step_of_few(walk, w->few), stride);
    else if (w->few)
        lg_buf_printf(w->out, "h * %" PRId64 " + %" PRId64, step_of_few(walk, w->few),
                      w->nth * stride);
    else
        lg_buf_printf(w->out, "j * %" PRId64, stride);
}

static bool has_address(const lg_instr *x) {
    return x->acc && (x->kind == LG_I_LOAD || x->kind == LG_I_GATHER || is_store(x));
}

/* The accesses of the loop being written, by instruction. */
typedef struct {
    int *at, n;
} list;

static void add(list *l, int j) {
    for (int q = 0; q < l->n; q++)
        if (l->at[q] == j)
            return;
    l->at[l->n++] = j;
}

static int64_t gcd(int64_t a, int64_t b) {
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Length of the pieces in which all fast walks go straight; 0: all of it. */
static int64_t straight(const writer *w, const list *l, bool row) {
    int64_t n = 0;
    for (int q = 0; q < l->n; q++) {
        const lg_instr *x = &w->k->instr[l->at[q]];
        const lg_walk *f = fast_walk(w, x, row);
        if (f->rank > 1)
            n = gcd(f->n[f->rank - 1], n);
    }
    return n;
}

static void point(writer *w, const list *l, bool row, const char *slow, const char *at, int depth) {
    for (int q = 0; q < l->n; q++) {
        const lg_instr *x = &w->k->instr[l->at[q]];
        const lg_walk *f = fast_walk(w, x, row), *s = w->k->fast_o ? &x->acc->i : &x->acc->o;
        indent(w, depth);
        if (x->kind == LG_I_IOTA) {
            lg_buf_printf(w->out, "int64_t p%d = ", l->at[q]);
            put_with(w, "", x->acc->base, " + ");
        } else {
            lg_buf_printf(w->out, "%s%s *p%d = a%d + ", is_store(x) ? "" : "const ",
                          lg_c_type(x->to), l->at[q], l->at[q]);
        }
        put_walk(w, f, at);
        if (!row) {
            lg_buf_printf(w->out, " + ");
            put_walk(w, s, slow);
        }
        lg_buf_printf(w->out, ";\n");
    }
}

/* ---- one element ---- */

typedef struct {
    bool row;
    int level;
    const char *kept; /* index into arrays of values that are kept */
    list touched;     /* accesses, when only collecting */
    bool collect;
} body;

static void var(writer *w, int reg, int depth) {
    indent(w, depth);
    lg_buf_printf(w->out, "%s v%d = ", lg_c_type(w->k->reg[reg].type), reg);
}

static void need(writer *w, body *b, int reg, int depth);

static void elem(writer *w, const lg_instr *x, int depth) {
    char name[64];
    if (x->kind == LG_I_CAST)
        lg_c_cast(w->u, x->to, x->from, name);
    else
        lg_c_elem(w->u, x->node->op, x->from, x->to, x->n_in, name);
    var(w, x->out, depth);
    lg_buf_printf(w->out, "%s(", name);
    for (int q = 0; q < x->n_in; q++)
        lg_buf_printf(w->out, "%sv%d", q ? ", " : "", x->in[q]);
    lg_buf_printf(w->out, ");\n");
}

static void gather(writer *w, const body *b, const lg_instr *x, int j, int depth) {
    indent(w, depth);
    lg_buf_printf(w->out, "int64_t g%d = ", j);
    put_step(w, fast_walk(w, x, b->row));
    lg_buf_printf(w->out, ";\n");
    for (int q = 0; q < x->n_in; q++) {
        indent(w, depth);
        lg_buf_printf(w->out, "int64_t g%d_%d = v%d; int o%d_%d = g%d_%d < 0 | g%d_%d >= ", j, q,
                      x->in[q], j, q, j, q, j, q);
        put_number(w, x->size[q]);
        lg_buf_printf(w->out, "; bad |= o%d_%d; g%d += o%d_%d ? 0 : g%d_%d * ", j, q, j, j, q, j,
                      q);
        put_number(w, x->unit[q]);
        lg_buf_printf(w->out, ";\n");
    }
    var(w, x->out, depth);
    lg_buf_printf(w->out, "p%d[g%d];\n", j, j);
}

static void draw(writer *w, const lg_instr *x, const char *where, const char *to, int depth) {
    lg_emitted *e = w->u->e;
    lg_code_draw d = {w->k, x};
    size_t k = 0;
    while (k < e->draw.n && e->draw.at[k].x != x)
        k++;
    if (k == e->draw.n)
        LG_PUSH(e->draw, d);
    indent(w, depth);
    put_with(w, "e->draw(e, ", (int64_t)k, "");
    lg_buf_printf(w->out, ", %s, %s%d);\n", where, to, x->out);
}

static void make_value(writer *w, body *b, const lg_instr *x, int j, int depth) {
    switch (x->kind) {
    case LG_I_LOAD:
        var(w, x->out, depth);
        lg_buf_printf(w->out, "p%d[", j);
        put_step(w, fast_walk(w, x, b->row));
        lg_buf_printf(w->out, "];\n");
        return;
    case LG_I_IOTA:
        var(w, x->out, depth);
        lg_buf_printf(w->out, "p%d + ", j);
        put_step(w, fast_walk(w, x, b->row));
        lg_buf_printf(w->out, ";\n");
        return;
    case LG_I_ELEM:
    case LG_I_CAST:
        elem(w, x, depth);
        return;
    case LG_I_GATHER:
        gather(w, b, x, j, depth);
        return;
    case LG_I_SPREAD:
        var(w, x->out, depth);
        if (w->lives[x->in[0]])
            lg_buf_printf(w->out, "v%d;\n", x->in[0]);
        else
            lg_buf_printf(w->out, "m%d[%s];\n", x->in[0],
                          w->shape == COLUMNS ? "q - o0 + j" : "o - o0");
        return;
    case LG_I_RAND:
        indent(w, depth);
        lg_buf_printf(w->out, "%s v%d;\n", lg_c_type(x->to), x->out);
        draw(w, x, "o, 1, 0, 1", "&v", depth);
        return;
    case LG_I_STORE:
    case LG_I_REDUCE:
        return;
    }
}

/* Random numbers that the loops of a level read. */
static void draw_arrays(writer *w, int level, bool row, const char *where, int depth) {
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (is_drawn(w, x) && x->row == row && w->level[j] == level)
            draw(w, x, where, "m", depth);
    }
}

/* Made in this very loop, rather than read from where it is kept. */
static bool made_here(const writer *w, const body *b, int reg) {
    int m = w->maker[reg];
    const lg_instr *x = &w->k->instr[m];
    if (!w->kept[reg])
        return true;
    return x->kind != LG_I_REDUCE && w->level[m] == b->level && is_row_value(w, reg) == b->row;
}

static void need(writer *w, body *b, int reg, int depth) {
    if (w->done[reg] || w->lives[reg])
        return;
    int m = w->maker[reg];
    const lg_instr *x = &w->k->instr[m];
    w->done[reg] = true;
    if (!made_here(w, b, reg) || is_prefilled(w, x) || is_drawn(w, x)) {
        if (b->collect)
            return;
        var(w, reg, depth);
        lg_buf_printf(w->out, "m%d[%s];\n", reg, b->kept);
        return;
    }
    if (x->kind != LG_I_SPREAD)
        for (int q = 0; q < x->n_in; q++)
            need(w, b, x->in[q], depth);
    if (b->collect) {
        if (x->kind == LG_I_LOAD || x->kind == LG_I_GATHER || x->kind == LG_I_IOTA)
            add(&b->touched, m);
        return;
    }
    make_value(w, b, x, m, depth);
    if (w->kept[reg]) {
        indent(w, depth);
        lg_buf_printf(w->out, "m%d[%s] = v%d;\n", reg, b->kept, reg);
    }
}

/* ---- the work of a level ---- */

/* What instruction j leaves behind in this loop: something stored, reduced or kept. */
static bool is_root(const writer *w, const body *b, int j) {
    const lg_instr *x = &w->k->instr[j];
    if (b->row) {
        bool row = x->row && x->kind != LG_I_REDUCE;
        if (is_store(x) && (row || x->kind == LG_I_REDUCE) && b->level == w->n_levels - 1)
            return true;
        return row && makes(x) && !x->uniform && !is_drawn(w, x) && w->level[j] == b->level &&
               (w->kept[x->out] || w->shape == ROWS);
    }
    if (x->row || w->level[j] != b->level)
        return false;
    if (x->kind == LG_I_REDUCE && in_memory(w, x->in[0]))
        return false;
    return is_store(x) || x->kind == LG_I_REDUCE ||
           (w->kept[x->out] && !is_prefilled(w, x) && !is_drawn(w, x) && makes(x));
}

static int root_reg(const lg_instr *x, bool row) {
    return x->kind == LG_I_STORE || (x->kind == LG_I_REDUCE && !row) ? x->in[0] : x->out;
}

static bool has_work(const writer *w, const body *b) {
    for (int j = 0; j < w->k->n_instr; j++)
        if (is_root(w, b, j))
            return true;
    return false;
}

static void forget(writer *w) {
    memset(w->done, 0, (size_t)w->k->n_reg);
}

static bool writes_here(const lg_instr *x, const body *b) {
    if (!is_store(x))
        return false;
    return b->row ? true : x->kind != LG_I_REDUCE;
}

/* The accesses of the roots and of all that they need. */
static void collect(writer *w, body *b) {
    b->collect = true;
    b->touched.n = 0;
    forget(w);
    for (int j = 0; j < w->k->n_instr; j++)
        if (is_root(w, b, j)) {
            need(w, b, root_reg(&w->k->instr[j], b->row), 0);
            if (writes_here(&w->k->instr[j], b))
                add(&b->touched, j);
        }
    forget(w);
    b->collect = false;
}

/* A result that goes past the caches is laid out before, in s<instruction>; short rows are not. */
static bool is_streamed(const writer *w, const lg_instr *x) {
    return x->stream && w->shape != FLAT && last_stride(fast_walk(w, x, x->row)) == 1;
}

/* All that is read comes before anything is stored: the two may be the same memory. */
static void elements(writer *w, body *b, const char *buffer, int depth) {
    const lg_loop *k = w->k;
    forget(w);
    for (int j = 0; j < k->n_instr; j++)
        if (is_root(w, b, j))
            need(w, b, root_reg(&k->instr[j], b->row), depth);
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        if (!is_root(w, b, j))
            continue;
        int r = root_reg(x, b->row);
        if (x->kind == LG_I_REDUCE && !b->row && w->room[j]) {
            indent(w, depth);
            lg_buf_printf(w->out, "b%d[%s] = v%d;\n", r, buffer, r);
        }
        if (writes_here(x, b) && is_streamed(w, x)) {
            indent(w, depth);
            lg_buf_printf(w->out, "s%d[j] = v%d;\n", j, r);
        } else if (writes_here(x, b)) {
            indent(w, depth);
            lg_buf_printf(w->out, "p%d[", j);
            put_step(w, fast_walk(w, x, b->row));
            lg_buf_printf(w->out, "] = v%d;\n", r);
        }
    }
}

/* So many elements are written out, or are whole vectors in a loop of their own. */
static bool is_few(int64_t n) {
    return (n >= 2 && n <= MOST_FEW) || (n % VECTOR == 0 && n > 0 && n <= MOST_VECTORS);
}

/* How many elements go straight when `few` of them are taken together, as windows side by side and
 * images in bundles have them; 0: all. False: no more than these few. */
static bool straight_by_few(const writer *w, const body *b, int64_t few, int64_t *n) {
    bool tile = b->row || w->k->fast_o;
    int64_t step = tile ? w->k->ob : LG_CHUNK, all = tile ? w->k->n_o : w->k->n_i;
    *n = 0;
    if (!is_few(few) || (step % few && step < all))
        return false;
    for (int q = 0; q < b->touched.n; q++) {
        const lg_instr *x = &w->k->instr[b->touched.at[q]];
        const lg_walk *f = fast_walk(w, x, b->row);
        bool turns = f->rank > 1 && f->n[f->rank - 1] == few;
        if (is_store(x) && is_streamed(w, x))
            return false;
        if (turns && f->rank > 2)
            *n = gcd(f->n[f->rank - 2] * few, *n);
        else if (!turns && f->rank > 1)
            *n = gcd(f->n[f->rank - 1], *n);
    }
    return *n == 0 || *n > few;
}

/* The loop over the n elements from q on. */
static void loop(writer *w, body *b, const char *buffer, int64_t few, int depth) {
    lg_buf_printf(w->out, "#pragma GCC ivdep\n");
    indent(w, depth);
    if (!few) {
        lg_buf_printf(w->out, "for (int64_t j = 0; j < n; j++) {\n");
        elements(w, b, buffer, depth + 1);
    } else {
        lg_buf_printf(w->out, "for (int64_t h = 0; h < n / %" PRId64 "; h++) {\n", few);
        w->few = (int)few;
        for (w->nth = 0; few > MOST_FEW && w->nth == 0; w->nth++) {
            lg_buf_printf(w->out, "#pragma GCC ivdep\n");
            indent(w, depth + 1);
            lg_buf_printf(w->out, "for (int64_t l = 0; l < %" PRId64 "; l++) {\n", few);
            indent(w, depth + 2);
            lg_buf_printf(w->out, "int64_t j = h * %" PRId64 " + l;\n", few);
            elements(w, b, buffer, depth + 2);
            indent(w, depth + 1);
            lg_buf_printf(w->out, "}\n");
        }
        for (w->nth = 0; few <= MOST_FEW && w->nth < few; w->nth++) {
            indent(w, depth + 1);
            lg_buf_printf(w->out, "{ int64_t j = h * %" PRId64 " + %d;\n", few, w->nth);
            elements(w, b, buffer, depth + 2);
            indent(w, depth + 1);
            lg_buf_printf(w->out, "}\n");
        }
        w->few = 0;
    }
    indent(w, depth);
    lg_buf_printf(w->out, "}\n");
}

/* A loop over [beg, end) of the fast index, in pieces that go straight. */
static void runs(writer *w, body *b, const char *slow, const char *beg, const char *end,
                 const char *buffer, int depth) {
    int64_t piece = straight(w, &b->touched, b->row), few = piece, longer;
    if (straight_by_few(w, b, piece, &longer))
        piece = longer;
    else
        few = 0;
    indent(w, depth);
    if (piece) {
        lg_buf_printf(w->out, "for (int64_t q = %s, n; q < %s; q += n) {\n", beg, end);
        indent(w, depth + 1);
        lg_buf_printf(w->out, "n = %" PRId64 " - q %% %" PRId64 "; n = n < %s - q ? n : %s - q;\n",
                      piece, piece, end, end);
    } else {
        lg_buf_printf(w->out, "{\n");
        indent(w, depth + 1);
        lg_buf_printf(w->out, "int64_t q = %s, n = %s - %s;\n", beg, end, beg);
    }
    point(w, &b->touched, b->row, slow, "q", depth + 1);
    loop(w, b, buffer, few, depth + 1);
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (!is_root(w, b, j) || !writes_here(x, b) || !is_streamed(w, x))
            continue;
        indent(w, depth + 1);
        lg_buf_printf(w->out, "e->stream(p%d, s%d, (unsigned long)n * %u);\n", j, j, x->acc->size);
    }
    indent(w, depth);
    lg_buf_printf(w->out, "}\n");
}

/* ---- asking ahead ---- */

enum { FAR = 1 << 22, LINE = 64 }; /* bytes of an operand that memory is slow to give; of a line */

/* ROWS: what the next row reads is brought into the cache while this one is worked on. A processor
 * begins by itself only when the row is there, and works then without reading. */
static void ask_ahead(writer *w, int depth) {
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind != LG_I_LOAD || x->row || x->uniform)
            continue;
        const lg_walk *o = &x->acc->o, *i = &x->acc->i;
        if (i->rank != 1 || i->stride[0] != 1 || o->rank != 1 || o->stride[0] <= 0 ||
            w->k->n_o * w->k->n_i * (int64_t)x->acc->size < FAR)
            continue;
        indent(w, depth);
        lg_buf_printf(w->out,
                      "for (int64_t f = 0; f < ni; f += %d) __builtin_prefetch(a%d + (o + 1) * ",
                      LINE / (int)x->acc->size, j);
        put_with(w, "", o->stride[0], " + s + f, 0, 2);\n");
    }
    w->ahead = true;
}

/* ---- reductions ---- */

static void reduce_call(writer *w, const lg_instr *x, const char *row, const char *n,
                        const char *to, bool join, int depth) {
    char name[64];
    indent(w, depth);
    if (!lg_c_row(w->u, x->node->op, x->from, name)) {
        put_with(w, "e->fn[", lg_c_fn(w->u->e, x->row_fn), "]");
        lg_buf_printf(w->out, "(%s, (const void *const[]){%s}, &%s);\n", n, row, to);
        return;
    }
    if (join)
        lg_buf_printf(w->out, "%s = s > i0 ? j_%s_%s(%s, %s(%s, %s)) : %s(%s, %s);\n", to,
                      x->node->op->name, lg_dtype_name(x->from), to, name, row, n, name, row, n);
    else
        lg_buf_printf(w->out, "%s = %s(%s, %s);\n", to, name, row, n);
}

/* What there is to reduce at this level, and from where. */
static void reduce_rows(writer *w, int level, int depth) {
    char row[64], to[64], n[32];
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind != LG_I_REDUCE || w->level[j] != level)
            continue;
        if (w->shape == FLAT) {
            snprintf(row, sizeof row, "%c%d + o * %" PRId64, w->room[j] ? 'b' : 'm', x->in[0],
                     w->k->n_i);
            snprintf(to, sizeof to, "m%d[o]", x->out);
            snprintf(n, sizeof n, "%" PRId64, w->k->n_i);
            indent(w, depth);
            lg_buf_printf(w->out, "for (int64_t o = 0; o < no; o++)\n");
            reduce_call(w, x, row, n, to, false, depth + 1);
            continue;
        }
        if (in_memory(w, x->in[0]))
            snprintf(row, sizeof row, "w%d + s", w->maker[x->in[0]]);
        else
            snprintf(row, sizeof row, w->room[j] ? "b%d" : "m%d + s - i0", x->in[0]);
        snprintf(to, sizeof to, "v%d", x->out);
        reduce_call(w, x, row, "ni", to, true, depth);
    }
}

static void reduce_columns(writer *w, int level, int depth) {
    char name[64];
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind != LG_I_REDUCE || w->level[j] != level)
            continue;
        lg_c_column(w->u, x->node->op, x->from, name);
        indent(w, depth);
        lg_buf_printf(w->out, "%s(%c%d, work%d, m%d, no, ni, c == i0);\n", name,
                      w->room[j] ? 'b' : 'm', x->in[0], x->aux, x->out);
    }
}

/* ---- a tile ---- */

static void row_values(writer *w, int level, int depth) {
    body b = {.row = true, .level = level, .kept = "q - o0 + j"};
    b.touched.at = lg_alloc(sizeof(int) * (size_t)(w->k->n_instr + 1));
    collect(w, &b);
    draw_arrays(w, level, true, "o0, no, 0, 1", depth);
    if (has_work(w, &b) && w->shape == ROWS) {
        /* one row: its values are variables, and stay */
        elements(w, &b, "", depth);
        for (int r = 0; r < w->k->n_reg; r++)
            w->lives[r] = w->lives[r] || (w->done[r] && is_row_value(w, r));
    } else if (has_work(w, &b)) {
        runs(w, &b, "0", "o0", "o1", "", depth);
    }
    lg_free(b.touched.at);
}

/* FLAT: whatever does not lie dense is laid out before. */
static void prefill(writer *w, int level, int depth) {
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (!is_prefilled(w, x) || w->level[j] != level)
            continue;
        indent(w, depth);
        lg_buf_printf(w->out, "for (int64_t o = o0; o < o1; o++) {\n");
        body b = {.level = level};
        b.touched.at = lg_alloc(sizeof(int) * 2);
        if (x->acc)
            add(&b.touched, j);
        int64_t piece = straight(w, &b.touched, false);
        indent(w, depth + 1);
        lg_buf_printf(w->out, "for (int64_t q = 0, n; q < %" PRId64 "; q += n) {\n", w->k->n_i);
        indent(w, depth + 2);
        lg_buf_printf(w->out, "n = %" PRId64 ";\n", piece ? piece : w->k->n_i);
        point(w, &b.touched, false, "o", "q", depth + 2);
        indent(w, depth + 2);
        lg_buf_printf(w->out, "for (int64_t j = 0; j < n; j++) {\n");
        make_value(w, &b, x, j, depth + 3);
        indent(w, depth + 3);
        lg_buf_printf(w->out, "m%d[(o - o0) * %" PRId64 " + q + j] = v%d;\n", x->out, w->k->n_i,
                      x->out);
        for (int close = 2; close >= 0; close--) {
            indent(w, depth + close);
            lg_buf_printf(w->out, "}\n");
        }
        lg_free(b.touched.at);
    }
}

/* FLAT: an access that is not dense is written or gathered row by row. */
static bool is_flat(const writer *w, const lg_instr *x) {
    const lg_loop *k = w->k;
    const lg_walk *o = &x->acc->o, *i = &x->acc->i;
    bool line_i = k->n_i == 1 || (i->rank == 1 && i->stride[0] == 1);
    bool line_o = k->n_o == 1 || (o->rank == 1 && o->stride[0] == k->n_i);
    return line_i && line_o;
}

static void full_flat(writer *w, body *b, int depth) {
    bool dense = true;
    prefill(w, b->level, depth);
    draw_arrays(w, b->level, false, "o0, no, 0, N", depth);
    for (int q = 0; q < b->touched.n; q++)
        dense = dense && is_flat(w, &w->k->instr[b->touched.at[q]]);
    if (!has_work(w, b))
        return;
    if (!dense) {
        b->kept = "(o - o0) * N + q + j";
        indent(w, depth);
        lg_buf_printf(w->out, "for (int64_t o = o0; o < o1; o++) {\n");
        runs(w, b, "o", "0", "N", b->kept, depth + 1);
        indent(w, depth);
        lg_buf_printf(w->out, "}\n");
    } else {
        b->kept = "j";
        indent(w, depth);
        lg_buf_printf(w->out, "{\n");
        for (int q = 0; q < b->touched.n; q++) {
            const lg_instr *x = &w->k->instr[b->touched.at[q]];
            indent(w, depth + 1);
            lg_buf_printf(w->out, "%s%s *p%d = a%d + o0 * N;\n", is_store(x) ? "" : "const ",
                          lg_c_type(x->to), b->touched.at[q], b->touched.at[q]);
        }
        lg_buf_printf(w->out, "#pragma GCC ivdep\n");
        indent(w, depth + 1);
        lg_buf_printf(w->out, "for (int64_t j = 0; j < no * N; j++) {\n");
        elements(w, b, "j", depth + 2);
        indent(w, depth + 1);
        lg_buf_printf(w->out, "}\n");
        indent(w, depth);
        lg_buf_printf(w->out, "}\n");
    }
    reduce_rows(w, b->level, depth);
}

/* w<load>: the row that the load reads; once, although several reductions may read it. */
static void row_base(writer *w, int load, int user, int depth) {
    const lg_instr *x = &w->k->instr[load];
    for (int j = 0; j < user; j++)
        if (w->k->instr[j].kind == LG_I_REDUCE && w->level[j] == w->level[user] &&
            w->maker[w->k->instr[j].in[0]] == load)
            return;
    indent(w, depth);
    lg_buf_printf(w->out, "const %s *w%d = a%d + ", lg_c_type(x->to), load, load);
    put_walk(w, &x->acc->o, "o");
    lg_buf_printf(w->out, ";\n");
}

static void full_rows(writer *w, body *b, int depth) {
    b->kept = "q + j - i0";
    draw_arrays(w, b->level, false, "o, 1, i0, i1 - i0", depth);
    indent(w, depth);
    lg_buf_printf(w->out, "for (int64_t s = i0; s < i1; s += %d) {\n", LG_CHUNK);
    indent(w, depth + 1);
    int64_t n = w->k->split ? w->k->split : w->k->n_i;
    bool equal = w->k->n_i < LG_CHUNK || (n % LG_CHUNK == 0 && w->k->n_i % LG_CHUNK == 0);
    if (equal && !is_n_open(w))
        lg_buf_printf(w->out, "enum { ni = %" PRId64 " };\n",
                      w->k->n_i < LG_CHUNK ? w->k->n_i : LG_CHUNK);
    else
        lg_buf_printf(w->out, "int64_t ni = i1 - s < %d ? i1 - s : %d;\n", LG_CHUNK, LG_CHUNK);
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind == LG_I_REDUCE && w->level[j] == b->level && in_memory(w, x->in[0]))
            row_base(w, w->maker[x->in[0]], j, depth + 1);
    }
    if (b->level > 0 && !w->ahead && !w->k->split)
        ask_ahead(w, depth + 1);
    if (has_work(w, b))
        runs(w, b, "o", "s", "(s + ni)", "q + j - s", depth + 1);
    reduce_rows(w, b->level, depth + 1);
    indent(w, depth);
    lg_buf_printf(w->out, "}\n");
}

/* Are all parts of n elements of the same size, which is known? Then compilers need not ask. */
static bool all_whole(const writer *w, int64_t n, int64_t part) {
    return !w->open && part > 0 && n % part == 0;
}

static void full_columns(writer *w, body *b, int depth) {
    bool whole = !w->k->split && all_whole(w, w->k->n_i, w->k->ib);
    b->kept = "(i - c) * no + q + j - o0";
    indent(w, depth);
    lg_buf_printf(w->out, "for (int64_t c = i0; c < i1; c += IB) {\n");
    indent(w, depth + 1);
    lg_buf_printf(w->out,
                  whole ? "const int64_t ni = IB;\n" : "int64_t ni = i1 - c < IB ? i1 - c : IB;\n");
    draw_arrays(w, b->level, false, "o0, no, c, ni", depth + 1);
    indent(w, depth + 1);
    lg_buf_printf(w->out, "for (int64_t i = c; i < c + ni; i++) {\n");
    runs(w, b, "i", "o0", "o1", b->kept, depth + 2);
    indent(w, depth + 1);
    lg_buf_printf(w->out, "}\n");
    reduce_columns(w, b->level, depth + 1);
    indent(w, depth);
    lg_buf_printf(w->out, "}\n");
}

static bool reduces(const writer *w, int level) {
    for (int j = 0; j < w->k->n_instr; j++)
        if (w->k->instr[j].kind == LG_I_REDUCE && w->level[j] == level)
            return true;
    return false;
}

static void full_values(writer *w, int level, int depth) {
    body b = {.level = level, .kept = "j"};
    b.touched.at = lg_alloc(sizeof(int) * (size_t)(w->k->n_instr + 1));
    collect(w, &b);
    if (w->shape == FLAT)
        full_flat(w, &b, depth);
    else if (w->shape == ROWS && (has_work(w, &b) || reduces(w, level)))
        full_rows(w, &b, depth);
    else if (has_work(w, &b))
        full_columns(w, &b, depth);
    lg_free(b.touched.at);
}

/* With `split`: the results of a block go to the table that is joined afterwards. */
static void partials(writer *w, int depth) {
    int of = 0, nth = 0;
    for (int j = 0; j < w->k->n_instr; j++)
        of += w->k->instr[j].kind == LG_I_REDUCE;
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind != LG_I_REDUCE)
            continue;
        const char *t = lg_c_type(x->to);
        indent(w, depth);
        lg_buf_printf(w->out, "{ %s *to = (%s *)(", t, t);
        put_place(w, &w->k->partial);
        lg_buf_printf(w->out, " + (u * %d + %d) * OB * 8); ", of, nth++);
        if (w->shape == ROWS)
            lg_buf_printf(w->out, "*to = v%d; }\n", x->out);
        else
            lg_buf_printf(w->out, "for (int64_t j = 0; j < no; j++) to[j] = m%d[j]; }\n", x->out);
    }
}

static void levels(writer *w, int depth) {
    int last = w->k->split ? 1 : w->n_levels;
    for (int l = 0; l < last; l++) {
        row_values(w, l, depth);
        if (w->shape != ELEMS)
            full_values(w, l, depth);
        for (int j = 0; w->shape == ROWS && j < w->k->n_instr; j++)
            if (w->k->instr[j].kind == LG_I_REDUCE && w->level[j] == l)
                w->lives[w->k->instr[j].out] = true;
    }
    if (w->k->split)
        partials(w, depth);
}

static void declare_row(writer *w, int depth) {
    indent(w, depth);
    lg_buf_printf(w->out, "const int64_t j = 0;\n");
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (x->kind == LG_I_REDUCE) {
            indent(w, depth);
            lg_buf_printf(w->out, "%s v%d;\n", lg_c_type(x->to), x->out);
        }
    }
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (!(x->row || x->kind == LG_I_REDUCE) || x->uniform ||
            !(has_address(x) || x->kind == LG_I_IOTA))
            continue;
        indent(w, depth);
        if (x->kind == LG_I_IOTA) {
            lg_buf_printf(w->out, "int64_t p%d = ", j);
            put_with(w, "", x->acc->base, " + ");
        } else {
            lg_buf_printf(w->out, "%s%s *p%d = a%d + ", is_store(x) ? "" : "const ",
                          lg_c_type(x->to), j, j);
        }
        put_walk(w, &x->acc->o, "o");
        lg_buf_printf(w->out, ";\n");
    }
}

static void tile(writer *w) {
    const lg_loop *k = w->k;
    lg_buf_printf(w->out, "        int64_t i0 = 0, i1 = N;\n");
    if (k->split) {
        put_with(w, "        const int64_t block = ", k->split, "");
        put_with(w, ", blocks = ", (k->n_i + k->split - 1) / k->split, ";\n");
        lg_buf_printf(w->out, "        int64_t t = u / blocks; i0 = u %% blocks * block; "
                              "i1 = i0 + block < N ? i0 + block : N;\n");
    } else {
        lg_buf_printf(w->out, "        int64_t t = u;\n");
    }
    if (all_whole(w, k->n_o, k->ob))
        lg_buf_printf(w->out, "        const int64_t o0 = t * OB, no = OB, o1 = o0 + no;\n");
    else
        lg_buf_printf(w->out, "        int64_t o0 = t * OB, o1 = o0 + OB < NO ? o0 + OB : NO, "
                              "no = o1 - o0;\n");
    if (w->shape == ROWS) {
        lg_buf_printf(w->out, "        for (int64_t o = o0; o < o1; o++) {\n");
        declare_row(w, 3);
        levels(w, 3);
        lg_buf_printf(w->out, "        }\n");
    } else {
        levels(w, 2);
    }
    if (w->gathers)
        lg_buf_printf(w->out, "        if (bad)\n            return u + 1;\n");
}

/* ---- the function ---- */

static void array(writer *w, const char *kind, int reg, int number, int64_t n) {
    const char *t = lg_c_type(w->k->reg[reg].type);
    w->kept_bytes += (size_t)n * lg_dtype_size(w->k->reg[reg].type) + 64;
    lg_buf_printf(w->out, "    %s %s%d[%" PRId64 "] __attribute__((aligned(64)));\n", t, kind,
                  number, n ? n : 1);
}

/* Room for rows of any size up to that of n. */
static int64_t most_of(int64_t n) {
    int64_t most = LG_CHUNK;
    while (most < n)
        most *= 2;
    return most;
}

static void arrays(writer *w) {
    const lg_loop *k = w->k;
    int64_t n = is_n_open(w) ? most_of(k->n_i) : k->n_i, tile = w->open ? LG_CHUNK : k->ob * k->ib;
    int64_t full = w->shape == ROWS ? n : tile;
    int64_t chunk = w->shape == ROWS ? (n < LG_CHUNK ? n : LG_CHUNK) : tile;
    int64_t ob = !w->open ? k->ob : w->shape == FLAT ? LG_CHUNK / k->n_i : LG_CHUNK;
    for (int r = 0; r < k->n_reg; r++)
        if (w->kept[r])
            array(w, "m", r, r, is_row_value(w, r) ? ob : full);
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        if (is_streamed(w, x))
            array(w, "s", x->in[0], j, w->shape == ROWS ? chunk : ob);
        if (x->kind != LG_I_REDUCE)
            continue;
        bool first = true;
        for (int i = 0; i < j; i++)
            first = first && !(k->instr[i].kind == LG_I_REDUCE && k->instr[i].in[0] == x->in[0]);
        if (w->room[j] && first)
            array(w, "b", x->in[0], x->in[0], chunk);
        if (w->shape == COLUMNS)
            array(w, "work", x->in[0], x->aux, chunk);
    }
}

static void bases(writer *w) {
    int nth = 0;
    for (int j = 0; j < w->k->n_instr; j++) {
        const lg_instr *x = &w->k->instr[j];
        if (!has_address(x))
            continue;
        const char *t = lg_c_type(x->to), *c = is_store(x) ? "" : "const ";
        lg_buf_printf(w->out, "    %s%s *a%d = (%s%s *)", c, t, j, c, t);
        if (w->table) {
            lg_buf_printf(w->out, "at[%d];\n", nth++);
        } else {
            put_place(w, &x->acc->at);
            put_with(w, " + ", x->acc->base, ";\n");
        }
        if (x->kind == LG_I_LOAD && x->uniform) {
            lg_buf_printf(w->out, "    %s v%d = *a%d;\n", t, x->out, j);
            w->lives[x->out] = true;
        }
    }
}

/* Every instruction has a text, and no more than the stack holds is kept. */
static bool can_write(writer *w) {
    char name[64];
    const lg_loop *k = w->k;
    if (k->n_o == 0 || k->n_i == 0)
        return false;
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        if (!lg_c_type(x->to) || !lg_c_type(x->from))
            return false;
        if (x->kind == LG_I_RAND && w->shape == ROWS && !x->row && !k->whole)
            return false;
        if (x->kind == LG_I_ELEM && !lg_c_elem(w->u, x->node->op, x->from, x->to, x->n_in, name))
            return false;
        if (x->kind == LG_I_CAST && !lg_c_cast(w->u, x->to, x->from, name))
            return false;
        for (int q = 0; x->kind == LG_I_GATHER && q < x->n_in; q++)
            if (x->size[q] <= 0)
                return false;
        w->gathers = w->gathers || x->kind == LG_I_GATHER;
        if (x->kind != LG_I_REDUCE)
            continue;
        if (k->fast_o ? !lg_c_column(w->u, x->node->op, x->from, name)
                      : !lg_c_row(w->u, x->node->op, x->from, name) && k->n_i > LG_CHUNK)
            return false;
    }
    return true;
}

static shape shape_of(const lg_loop *k) {
    bool all_row = true;
    for (int j = 0; j < k->n_instr; j++)
        all_row = all_row && k->instr[j].row;
    if (all_row)
        return ELEMS;
    if (k->fast_o)
        return COLUMNS;
    return k->whole && k->ob > 1 && k->n_i < FLAT_BELOW ? FLAT : ROWS;
}

/* NO, N: sizes of O and I; OB, IB: of a tile and of a chunk. */
static void sizes(writer *w) {
    const lg_loop *k = w->k;
    if (!w->open) {
        lg_buf_printf(w->out,
                      "    enum { N = %" PRId64 ", NO = %" PRId64 ", OB = %" PRId64
                      ", IB = %" PRId64 " };\n",
                      k->n_i, k->n_o, k->ob, k->ib);
        return;
    }
    if (!is_n_open(w))
        lg_buf_printf(w->out, "    enum { N = %" PRId64 " };\n", k->n_i);
    else
        put_with(w, "    const int64_t N = ", k->n_i, ";\n");
    put_with(w, "    const int64_t NO = ", k->n_o, "");
    put_with(w, ", OB = ", k->ob, "");
    put_with(w, ", IB = ", k->ib, ";\n");
}

static void function(writer *w) {
    sizes(w);
    if (w->gathers)
        lg_buf_printf(w->out, "    int bad = 0;\n");
    arrays(w);
    bases(w);
    lg_buf_printf(w->out, "    for (int64_t u = beg; u < end; u++) {\n");
    tile(w);
    lg_buf_printf(w->out, "    }\n    return 0;\n}\n\n");
}

/* ---- loops that share a function ---- */

enum { SHARED_LEAST = 256 };

/* Elements alone, one after the other: what such loops do depends neither on where their operands
 * stand nor on how many there are, so the many updates of a model are few functions. */
static bool can_share(const writer *w) {
    const lg_loop *k = w->k;
    if (w->open || w->p->small || w->shape != ELEMS || k->n_o < SHARED_LEAST || w->n_levels > 1)
        return false;
    for (int j = 0; j < k->n_instr; j++) {
        const lg_instr *x = &k->instr[j];
        if (x->kind == LG_I_RAND || x->kind == LG_I_IOTA || x->kind == LG_I_GATHER || x->stream ||
            w->kept[x->out])
            return false;
        if (has_address(x) && !x->uniform && (x->acc->o.rank != 1 || x->acc->o.stride[0] != 1))
            return false;
    }
    return true;
}

/* The number of the function of that text, which is written if it is new. */
static int shared_number(lg_unit *u, const lg_buf *text) {
    for (size_t k = 0; k < u->shared.n; k++) {
        const lg_shared_text *x = &u->shared.at[k];
        if (x->text.n == text->n && !memcmp(x->text.at, text->at, text->n))
            return x->number;
    }
    lg_shared_text x = {.number = (int)u->shared.n};
    lg_buf_put(&x.text, text->at, text->n);
    LG_PUSH(u->shared, x);
    lg_buf_printf(&u->body,
                  "static void lgt_%d(void *const *at, int64_t o0, int64_t o1) {\n"
                  "    enum { N = 1 };\n",
                  x.number);
    lg_buf_put(&u->body, text->at, text->n);
    lg_buf_printf(&u->body, "}\n\n");
    return x.number;
}

void lg_c_forget_shared(lg_unit *u) {
    for (size_t k = 0; k < u->shared.n; k++)
        lg_buf_free(&u->shared.at[k].text);
    u->shared.n = 0;
}

static void shared_function(writer *w) {
    const lg_loop *k = w->k;
    lg_buf *out = w->out, text = {0};
    w->out = &text;
    w->table = true;
    bases(w);
    levels(w, 1);
    w->out = out;
    int shared = shared_number(w->u, &text);
    lg_buf_free(&text);
    lg_buf_printf(out, "    void *const at[] = {\n");
    for (int j = 0; j < k->n_instr; j++) {
        if (!has_address(&k->instr[j]))
            continue;
        lg_buf_printf(out, "        (char *)");
        lg_c_place(w->u->e, out, &k->instr[j].acc->at);
        lg_buf_printf(out, " + %" PRId64 ",\n",
                      k->instr[j].acc->base * (int64_t)k->instr[j].acc->size);
    }
    lg_buf_printf(out,
                  "    };\n    int64_t o1 = end * %" PRId64 ";\n"
                  "    lgt_%d(at, beg * %" PRId64 ", o1 < %" PRId64 " ? o1 : %" PRId64
                  ");\n    return 0;\n}\n\n",
                  k->ob, shared, k->ob, k->n_o, k->n_o);
}

/* Rows in chunks of which a later one needs what an earlier one kept have no text. */
static bool keeps_little(const writer *w) {
    for (int r = 0; r < w->k->n_reg; r++)
        if (w->kept[r] && !is_row_value(w, r) && !w->k->whole &&
            w->k->instr[w->maker[r]].kind != LG_I_RAND)
            return false;
    return w->kept_bytes <= MOST_KEPT;
}

/* The body of the function. */
static bool loop_text(lg_unit *u, const lg_plan *p, const lg_loop *k, lg_numbers *open,
                      lg_buf *text) {
    size_t ni = (size_t)k->n_instr + 1, nr = (size_t)k->n_reg + 1;
    writer w = {
        .u = u, .p = p, .k = k, .out = text, .shape = shape_of(k), .n_levels = 1, .open = open};
    w.maker = lg_alloc(nr * sizeof(int));
    w.level = lg_alloc(ni * sizeof(int));
    w.kept = lg_alloc(nr);
    w.done = lg_alloc(nr);
    w.lives = lg_alloc(nr);
    w.room = lg_alloc(ni);
    bool ok = can_write(&w);
    if (ok) {
        first_levels(&w);
        while (delay(&w))
            continue;
        keep_values(&w);
        ok = direct_is_safe(&w);
    }
    if (ok && can_share(&w)) {
        shared_function(&w);
    } else if (ok) {
        function(&w);
        ok = keeps_little(&w);
    }
    lg_free(w.maker);
    lg_free(w.level);
    lg_free(w.kept);
    lg_free(w.done);
    lg_free(w.lives);
    lg_free(w.room);
    return ok;
}

static void put_function(lg_buf *out, const char *head, const lg_buf *text) {
    lg_buf_printf(out, "%s(const lg_code_env *e, int64_t beg, int64_t end) {\n", head);
    lg_buf_put(out, text->at, text->n);
}

bool lg_c_loop(lg_unit *u, const lg_plan *p, const lg_loop *k, int number) {
    lg_buf text = {0};
    char head[64];
    bool ok = loop_text(u, p, k, NULL, &text);
    snprintf(head, sizeof head, "LGK_%d int64_t lgk_%d", number, number);
    if (ok)
        put_function(&u->body, head, &text);
    lg_buf_free(&text);
    return ok;
}

/* Numbers come from e->num, at the start: what is stored in between might change them, for all that
 * a compiler knows. */
bool lg_c_loop_open(lg_unit *u, const lg_plan *p, const lg_loop *k, lg_numbers *num, lg_buf *out) {
    lg_buf text = {0};
    bool ok = loop_text(u, p, k, num, &text);
    for (size_t n = 0; n < num->n && ok; n++)
        lg_buf_printf(out, "    const int64_t c%zu = e->num[%zu];\n", n, n);
    if (ok)
        lg_buf_put(out, text.at, text.n);
    lg_buf_free(&text);
    return ok;
}
