/* kernel.c: a group of nodes as a loop kernel: instructions over O x I, tiles, chunks, registers.
 * Not for which nodes are in the group (fuse.c). Called by schedule.c. */
#include "compiler/mid/fuse.h"
#include <string.h>

enum {
    SHORT_ROW = 16,
    L1_BYTES = 20 << 10,
    ROW_BYTES = 1 << 17,
    SPLIT = 1 << 15,
    SPLIT_MIN = 1 << 17,
    MOST_BLOCKS = 16
};

/* A value that a register has: under a map, whose numbers begin at `map` in maker.number. */
typedef struct {
    const lg_node *node;
    int pass, reg, to;
    size_t map;
} memo;

typedef struct {
    lg_kernel *k;
    lg_loop *l;
    const lg_fusion *f;
    const lg_group *g;
    lg_arena *mem;
    int *avail; /* by register: the pass from which a row value is there, or in which a full one is
                 */
    size_t cap;
    LG_VEC(memo) memo;
    LG_VEC(int64_t) number;
    LG_VEC(int) spread; /* row reg, pass, full reg */
} maker;

/* ---- the space ---- */

static bool in_i(const maker *m, int d) {
    return m->g->mask >> d & 1;
}

static bool is_short(const lg_loop *l) {
    return l->n_i > 0 && l->n_i <= SHORT_ROW && l->n_o >= 4 * SHORT_ROW;
}

static void size_space(maker *m) {
    const lg_group *g = m->g;
    lg_loop *l = m->l;
    l->n_o = l->n_i = 1;
    for (int d = 0; d < g->rank; d++)
        *(in_i(m, d) ? &l->n_i : &l->n_o) *= g->n[d];
    bool last = g->rank > 0 && in_i(m, g->rank - 1);
    /* short rows are summed side by side */
    l->fast_o = !g->reduces || (!g->index && g->mask && (!last || is_short(l)));
    int64_t first = g->rank ? g->n[0] : 0;
    if (first > 0)
        *(in_i(m, 0) ? &l->row_i : &l->row_o) = (in_i(m, 0) ? l->n_i : l->n_o) / first;
}

static bool reads_rows(const maker *m) {
    for (size_t k = 0; k < m->g->node.n; k++)
        if (m->f->after_row[m->g->node.at[k]->id])
            return true;
    return false;
}

/* Tiles of equal size, so that threads have equal shares; of whole lines of memory. */
static int64_t even_tile(int64_t n) {
    enum { LINE = 16 };
    int64_t tiles = (n + LG_CHUNK - 1) / LG_CHUNK;
    if (tiles <= 1)
        return n > 0 ? n : 1;
    int64_t each = (n + tiles - 1) / tiles;
    return (each + LINE - 1) / LINE * LINE;
}

static void cut(maker *m) {
    lg_loop *l = m->l;
    if (l->fast_o && m->g->reduces && is_short(l)) {
        l->ib = l->n_i;
        l->ob = LG_CHUNK / l->n_i;
        l->ob = l->ob > l->n_o ? l->n_o : l->ob;
    } else if (l->fast_o) {
        l->ob = even_tile(l->n_o);
        l->ib = LG_CHUNK / l->ob;
    } else if (l->n_i <= LG_CHUNK) {
        l->ib = l->n_i;
        l->ob = LG_CHUNK / (l->n_i ? l->n_i : 1);
        l->ob = l->ob > l->n_o ? l->n_o : l->ob;
        l->ob = l->ob ? l->ob : 1;
    } else {
        l->ob = 1;
        l->ib = reads_rows(m) && l->n_i * 8 <= 2 * ROW_BYTES ? l->n_i : LG_CHUNK;
    }
    l->whole = l->ib >= l->n_i;
    l->ib = l->whole ? l->n_i : l->ib;
}

/* ---- accesses ---- */

static void push_walk(lg_walk *w, int64_t n, int64_t stride) {
    if (w->rank && w->stride[w->rank - 1] == n * stride) {
        w->n[w->rank - 1] *= n;
        w->stride[w->rank - 1] = stride;
        return;
    }
    w->n[w->rank] = n;
    w->stride[w->rank++] = stride;
}

static lg_access *access_of(maker *m, int64_t base, const int64_t *stride, unsigned size) {
    lg_access *a = LG_NEW(m->mem, lg_access);
    a->base = base;
    a->size = size;
    for (int d = 0; d < m->g->rank; d++)
        push_walk(in_i(m, d) ? &a->i : &a->o, m->g->n[d], stride[d]);
    if (m->l->n_o == 0) /* no element is ever touched, but it must not look like a single one */
        a->o = (lg_walk){1, {1}, {1}};
    if (m->l->n_i == 0)
        a->i = (lg_walk){1, {1}, {1}};
    return a;
}

static bool is_still(const lg_walk *w) {
    for (int d = 0; d < w->rank; d++)
        if (w->stride[d] != 0)
            return false;
    return true;
}

static lg_access *access_under(maker *m, const lg_map *map, const lg_type *t) {
    int64_t base, stride[2 * LG_MAX_RANK];
    lg_map_flat(map, t, &base, stride);
    return access_of(m, base, stride, (unsigned)lg_dtype_size(t->dtype));
}

/* acc: NULL when other elements than the loop's own are touched. */
static void touch(maker *m, lg_place *place, lg_node *node, lg_access *acc, bool write) {
    lg_touch t = {place, lg_storage_of(node), acc, write};
    LG_PUSH(m->k->touch, t);
}

/* ---- emission ---- */

static int new_reg(maker *m, lg_dtype t, bool row, int pass) {
    lg_reg r = {.row = row, .type = t};
    LG_PUSH(m->k->reg, r);
    if (m->k->reg.n > m->cap) {
        size_t cap = 2 * m->k->reg.n + 16;
        m->avail = lg_realloc(m->avail, cap * sizeof *m->avail);
        m->cap = cap;
    }
    m->avail[m->k->reg.n - 1] = pass;
    return (int)m->k->reg.n - 1;
}

static int emit(maker *m, lg_instr x, int n_in, const int *in) {
    x.n_in = n_in;
    x.in = LG_NEW_N(m->mem, int, n_in ? n_in : 1);
    for (int k = 0; k < n_in; k++)
        x.in[k] = in[k];
    LG_PUSH(m->k->instr, x);
    return x.out;
}

static bool is_row_reg(const maker *m, int reg) {
    return m->k->reg.at[reg].row;
}

static int find_memo(const maker *m, const lg_node *x, const lg_map *map, int pass) {
    for (size_t k = 0; k < m->memo.n; k++) {
        const memo *e = &m->memo.at[k];
        if (e->node != x || e->to != map->to)
            continue;
        if (!m->l->whole && !is_row_reg(m, e->reg) && e->pass != pass)
            continue;
        const int64_t *n = m->number.at + e->map;
        size_t rank = (size_t)m->g->rank;
        bool same = true;
        for (int a = 0; a < map->to && same; a++, n += rank + 1)
            same = n[0] == map->off[a] && memcmp(n + 1, map->c[a], rank * sizeof *n) == 0;
        if (same)
            return e->reg;
    }
    return -1;
}

static int keep(maker *m, const lg_node *x, const lg_map *map, int reg) {
    memo e = {x, m->avail[reg], reg, map->to, m->number.n};
    for (int a = 0; a < map->to; a++) {
        LG_PUSH(m->number, map->off[a]);
        for (int d = 0; d < m->g->rank; d++)
            LG_PUSH(m->number, map->c[a][d]);
    }
    LG_PUSH(m->memo, e);
    return reg;
}

static int load(maker *m, lg_node *x, const lg_map *map, const lg_type *t, int pass) {
    lg_access *a = access_under(m, map, t);
    bool row = is_still(&a->i);
    lg_instr in = {.kind = LG_I_LOAD,
                   .row = row,
                   .to = t->dtype,
                   .from = t->dtype,
                   .node = x,
                   .acc = a,
                   .uniform = row && is_still(&a->o),
                   .pass = row ? 0 : pass};
    in.out = new_reg(m, t->dtype, row, in.pass);
    touch(m, &a->at, x, a, false);
    return emit(m, in, 0, NULL);
}

/* A row value as a full one in this pass. */
static int as_full(maker *m, int reg, int pass) {
    if (!is_row_reg(m, reg))
        return reg;
    for (size_t k = 0; k + 3 <= m->spread.n; k += 3)
        if (m->spread.at[k] == reg && (m->l->whole || m->spread.at[k + 1] == pass))
            return m->spread.at[k + 2];
    lg_dtype t = m->k->reg.at[reg].type;
    lg_instr x = {.kind = LG_I_SPREAD, .to = t, .from = t, .pass = pass};
    for (size_t k = 0; k < m->k->instr.n; k++)
        if (m->k->instr.at[k].out == reg && m->k->instr.at[k].uniform) { /* another filled chunk */
            x = m->k->instr.at[k];
            x.row = false;
            x.pass = pass;
        }
    x.out = new_reg(m, t, false, pass);
    int out = emit(m, x, x.kind == LG_I_SPREAD ? 1 : 0, &reg);
    LG_PUSH(m->spread, reg);
    LG_PUSH(m->spread, pass);
    LG_PUSH(m->spread, out);
    return out;
}

static int value(maker *m, lg_node *x, const lg_map *map, int pass);

static bool depends_on_i(const maker *m, const lg_map *map) {
    for (int a = 0; a < map->to; a++)
        for (int d = 0; d < m->g->rank; d++)
            if (in_i(m, d) && map->c[a][d] != 0)
                return true;
    return false;
}

/* Values of all inputs in one pass, made full when one of them or `full` is. */
static int inputs(maker *m, const lg_node *x, int n, const int *which, const lg_map *map, int pass,
                  bool full, int *reg) {
    for (bool again = true; again;) {
        again = false;
        for (int k = 0; k < n && !again; k++) {
            reg[k] = value(m, x->in[which[k]], map, pass);
            if (m->avail[reg[k]] > pass) {
                pass = m->avail[reg[k]];
                again = true;
            }
            if (!is_row_reg(m, reg[k]) && !full) {
                full = true;
                again = true;
            }
        }
    }
    for (int k = 0; k < n && full; k++)
        reg[k] = as_full(m, reg[k], pass);
    return pass;
}

static int pointwise(maker *m, lg_node *x, const lg_map *map, int pass) {
    int which[8] = {0, 1, 2, 3, 4, 5, 6, 7}, reg[8];
    bool full = false;
    assert(x->n_in <= 8);
    /* a row value is made in the pass its inputs allow, whoever asks */
    pass = inputs(m, x, x->n_in, which, map, depends_on_i(m, map) ? pass : 0, false, reg);
    for (int k = 0; k < x->n_in; k++)
        full = full || !is_row_reg(m, reg[k]);
    lg_instr in = {.row = !full, .pass = pass, .to = x->type[0].dtype, .node = x};
    in.from = x->in[x->op->cls == LG_C_ELEM ? x->op->key : 0]->type[0].dtype;
    in.kind = x->op->cls == LG_C_CAST ? LG_I_CAST : LG_I_ELEM;
    if (in.kind == LG_I_ELEM)
        in.fn = x->op->elem[in.from];
    in.out = new_reg(m, in.to, in.row, pass);
    return emit(m, in, x->n_in, reg);
}

static int iota(maker *m, lg_node *x, const lg_map *map, int pass) {
    int axis = x->attr.axis;
    lg_access *a = access_of(m, map->off[axis], map->c[axis], 8);
    bool row = is_still(&a->i);
    lg_instr in = {.kind = LG_I_IOTA,
                   .row = row,
                   .pass = row ? 0 : pass,
                   .to = LG_I64,
                   .from = LG_I64,
                   .node = x,
                   .acc = a};
    in.out = new_reg(m, LG_I64, row, in.pass);
    return emit(m, in, 0, NULL);
}

static int draw(maker *m, lg_node *x, const lg_map *map, int pass) {
    lg_access *a = access_under(m, map, &x->type[0]);
    bool row = is_still(&a->i);
    lg_instr in = {.kind = LG_I_RAND,
                   .row = row,
                   .pass = row ? 0 : pass,
                   .to = x->type[0].dtype,
                   .from = x->type[0].dtype,
                   .node = x,
                   .acc = a};
    size_t lanes = lg_type_count(&x->in[0]->type[0]);
    in.lane = lanes ? (int64_t)(lg_type_count(&x->type[0]) / lanes) : 1;
    in.lane = in.lane ? in.lane : 1;
    in.addr = LG_NEW(m->mem, lg_place);
    touch(m, in.addr, x->in[0], NULL, false);
    if (x->n_in > 1) {
        in.first = LG_NEW(m->mem, lg_place);
        touch(m, in.first, x->in[1], NULL, false);
    }
    in.out = new_reg(m, in.to, row, in.pass);
    return emit(m, in, 0, NULL);
}

/* The subscripted array under the space's dims followed by one dim a subscript. */
static lg_map cell_map(const maker *m, const lg_node *x, const lg_map *map) {
    int nb = x->attr.nb, ni = x->attr.ni, rank = x->in[0]->type[0].rank, r = m->g->rank;
    int lead = x->in[1]->type[0].rank;
    lg_map c = {.from = r + ni, .to = rank};
    for (int a = 0; a < rank; a++) {
        if (a >= nb && a < nb + ni) {
            c.c[a][r + a - nb] = 1;
            continue;
        }
        int o = a < nb ? a : lead + a - nb - ni;
        c.off[a] = map->off[o];
        memcpy(c.c[a], map->c[o], (size_t)r * sizeof(int64_t));
    }
    return c;
}

static int gather(maker *m, lg_node *x, const lg_map *map, int pass) {
    int which[LG_MAX_RANK], reg[LG_MAX_RANK], ni = x->attr.ni, r = m->g->rank;
    int64_t base, stride[2 * LG_MAX_RANK];
    for (int k = 0; k < ni; k++)
        which[k] = 1 + k;
    lg_map lead = *map, cell = cell_map(m, x, map);
    lead.to = x->in[1]->type[0].rank;
    lg_map_flat(&cell, &x->in[0]->type[0], &base, stride);
    lg_access *a = access_of(m, base, stride, (unsigned)lg_dtype_size(x->type[0].dtype));
    bool full = !is_still(&a->i);
    pass = inputs(m, x, ni, which, &lead, depends_on_i(m, map) ? pass : 0, full, reg);
    for (int k = 0; k < ni; k++)
        full = full || !is_row_reg(m, reg[k]);
    lg_instr in = {.kind = LG_I_GATHER,
                   .row = !full,
                   .pass = pass,
                   .to = x->type[0].dtype,
                   .from = x->type[0].dtype,
                   .node = x,
                   .acc = a};
    in.unit = lg_arena_dup(m->mem, stride + r, sizeof *stride * (size_t)ni);
    in.size =
        lg_arena_dup(m->mem, x->in[0]->type[0].shape + x->attr.nb, sizeof *stride * (size_t)ni);
    touch(m, &a->at, x->in[0], NULL, false);
    in.out = new_reg(m, in.to, in.row, pass);
    return emit(m, in, ni, reg);
}

/* The dims of what is reduced: kept ones as in map, reduced ones along I. */
static lg_map unreduced(const maker *m, const lg_node *x, const lg_map *map) {
    const lg_type *t = &x->in[0]->type[0];
    lg_map r = {.from = m->g->rank, .to = t->rank};
    int kept = 0, next = 0;
    for (int a = 0; a < t->rank; a++) {
        if (!(x->attr.axes_mask >> a & 1)) {
            r.off[a] = map->off[kept];
            memcpy(r.c[a], map->c[kept++], sizeof r.c[a]);
        } else if (t->shape[a] != 1) {
            while (!in_i(m, next))
                next++;
            r.c[a][next++] = 1;
        }
    }
    return r;
}

static int reduce(maker *m, lg_node *x, const lg_map *map) {
    lg_map in_map = unreduced(m, x, map);
    int reg, zero = 0;
    int pass = inputs(m, x, 1, &zero, &in_map, 0, true, &reg);
    lg_dtype from = x->in[0]->type[0].dtype, to = x->type[0].dtype;
    lg_instr in = {.kind = LG_I_REDUCE,
                   .pass = pass,
                   .to = to,
                   .from = from,
                   .node = x,
                   .fn = x->op->elem[to],
                   .row_fn = x->op->row[from],
                   .aux = -1};
    in.out = new_reg(m, to, true, m->l->whole ? 0 : pass + 1);
    if (!in.fn)
        in.aux = new_reg(m, from, true, 0);
    else if (m->l->fast_o)
        in.aux = new_reg(m, from, false, pass);
    return emit(m, in, 1, &reg);
}

static bool is_loaded(const maker *m, const lg_node *x) {
    if (x->op->cls == LG_C_INPUT || x->op->cls == LG_C_CONST || x->op->cls == LG_C_ITEM)
        return true;
    const lg_group *h = m->f->of[x->id];
    return m->f->stored[x->id] && h && h != m->g && h->seq < m->g->seq;
}

static int compute(maker *m, lg_node *x, const lg_map *map, int pass) {
    switch ((int)x->op->cls) {
    case LG_C_ELEM:
    case LG_C_CAST:
        return pointwise(m, x, map, pass);
    case LG_C_IOTA:
        return iota(m, x, map, pass);
    case LG_C_RAND:
        return draw(m, x, map, pass);
    case LG_C_GATHER:
        return gather(m, x, map, pass);
    case LG_C_REDUCE:
        return reduce(m, x, map);
    default:
        assert(!"a node that no loop can compute");
        return 0;
    }
}

static int value(maker *m, lg_node *x, const lg_map *given, int pass) {
    lg_map map = *given;
    while (!is_loaded(m, x) && !is_loaded(m, lg_storage_of(x)) && lg_map_step(x, &map))
        x = x->in[0];
    int reg = find_memo(m, x, &map, pass);
    if (reg >= 0)
        return reg;
    if (is_loaded(m, lg_storage_of(x)))
        reg = load(m, lg_storage_of(x), &map, &x->type[0], pass);
    else
        reg = compute(m, x, &map, pass);
    return keep(m, x, &map, reg);
}

/* ---- results ---- */

/* The map of a member's own dims. */
static lg_map own_map(const maker *m, const lg_node *x) {
    const lg_type *t = &x->type[0];
    bool row = m->f->row[x->id];
    lg_map r = {.from = m->g->rank, .to = t->rank};
    int d = 0;
    for (int a = 0; a < t->rank; a++) {
        if (t->shape[a] == 1)
            continue;
        while (row && d < m->g->rank && in_i(m, d))
            d++;
        r.c[a][d++] = 1;
    }
    return r;
}

/* Register reg, which holds x, is stored as a part of `to` (or all of it) under the map. */
static void store(maker *m, lg_node *x, int reg, lg_node *to, const lg_map *map) {
    lg_access *a = access_under(m, map, &to->type[0]);
    lg_instr in = {.kind = LG_I_STORE,
                   .row = is_row_reg(m, reg),
                   .out = reg,
                   .node = x,
                   .acc = a,
                   .to = x->type[0].dtype,
                   .from = x->type[0].dtype,
                   .pass = m->avail[reg]};
    touch(m, &a->at, to, a, true);
    emit(m, in, 1, &reg);
}

static void result(maker *m, lg_node *x) {
    lg_map map = own_map(m, x);
    const lg_landing *join = &m->f->join[x->id];
    int reg = value(m, x, &map, 0);
    if (!m->f->row[x->id] && m->g->reduces && m->l->n_i != 1)
        reg = as_full(m, reg, m->avail[reg]);
    if (!join->only)
        store(m, x, reg, x, &map);
    for (int k = 0; k < join->n; k++) {
        lg_map part = map;
        part.off[join->whole[k]->attr.axis] += join->at[k];
        store(m, x, reg, join->whole[k], &part);
    }
}

/* Row stores come last; passes are put in order, each with its row values first. */
static void order(maker *m) {
    lg_loop *l = m->l;
    lg_kernel *k = m->k;
    l->n_passes = 1;
    for (size_t j = 0; j < k->instr.n; j++)
        if (!k->instr.at[j].row && k->instr.at[j].pass >= l->n_passes)
            l->n_passes = k->instr.at[j].pass + 1;
    for (size_t j = 0; j < k->instr.n && !l->whole; j++)
        if (k->instr.at[j].kind == LG_I_STORE && k->instr.at[j].row)
            k->instr.at[j].pass = l->n_passes;
    l->n_instr = (int)k->instr.n;
    l->instr = LG_NEW_N(m->mem, lg_instr, l->n_instr + 1);
    int n = 0;
    for (int key = 0; key <= 2 * l->n_passes + 1; key++)
        for (int late = 0; late < 2; late++) /* stores at the end of each part */
            for (size_t j = 0; j < k->instr.n; j++) {
                const lg_instr *x = &k->instr.at[j];
                int at = l->whole ? 0 : 2 * x->pass + !x->row;
                if (at == key && (x->kind == LG_I_STORE) == late)
                    l->instr[n++] = *x;
            }
    assert(n == l->n_instr);
}

static void split(maker *m) {
    lg_loop *l = m->l;
    int64_t tiles = (l->n_o + l->ob - 1) / l->ob;
    if (l->whole || l->n_passes > 1 || m->g->index || tiles >= 8 || l->ob * l->n_i < SPLIT_MIN)
        return;
    int64_t block = SPLIT / l->ob, least = (l->n_i + MOST_BLOCKS - 1) / MOST_BLOCKS;
    block = block > least ? block : least;
    for (int j = 0; j < l->n_instr; j++)
        if (l->instr[j].kind == LG_I_REDUCE)
            l->split = (block + l->ib - 1) / l->ib * l->ib;
}

void lg_kernel_make(lg_kernel *k, const lg_fusion *f, const lg_group *g, lg_arena *mem) {
    *k = (lg_kernel){.loop = LG_NEW(mem, lg_loop)};
    maker m = {.k = k, .l = k->loop, .f = f, .g = g, .mem = mem};
    size_space(&m);
    cut(&m);
    for (size_t j = 0; j < g->node.n; j++)
        if (f->stored[g->node.at[j]->id])
            result(&m, g->node.at[j]);
    order(&m);
    split(&m);
    lg_free(m.memo.at);
    lg_free(m.number.at);
    lg_free(m.spread.at);
    lg_free(m.avail);
}

/* ---- registers ---- */

static bool is_line(const lg_walk *w, int64_t n, int64_t stride) {
    return n <= 1 || (w->rank == 1 && w->stride[0] == stride);
}

/* The elements of any chunk stand one after the other, in its order. */
static bool is_dense(const lg_loop *l, const lg_access *a, bool row) {
    if (row)
        return is_line(&a->o, l->n_o, 1);
    if (!l->fast_o)
        return is_line(&a->i, l->n_i, 1) &&
               (l->ob == 1 || (l->whole && is_line(&a->o, l->n_o, l->n_i)));
    return is_line(&a->o, l->n_o, 1) &&
           (l->ib == 1 || (l->ob >= l->n_o && is_line(&a->i, l->n_i, l->n_o)));
}

static int last_use(const lg_loop *l, int reg) {
    int last = -1;
    for (int j = 0; j < l->n_instr; j++)
        for (int k = 0; k < l->instr[j].n_in; k++)
            if (l->instr[j].in[k] == reg)
                last = j;
    return last;
}

/* Instruction j may write to the place of store s: what it would overwrite has been used. */
static bool is_harmless(const lg_loop *l, int j, const lg_instr *s,
                        bool (*may_alias)(void *ctx, const lg_place *a, const lg_place *b),
                        void *ctx) {
    for (int i = 0; i < l->n_instr; i++) {
        const lg_instr *x = &l->instr[i];
        if (x == s || !x->acc || x->kind == LG_I_IOTA || x->kind == LG_I_RAND)
            continue;
        if (!may_alias(ctx, &x->acc->at, &s->acc->at))
            continue;
        if (x->kind != LG_I_LOAD || !l->whole || i > j || (x->direct && last_use(l, x->out) > j))
            return false;
        if (j >= 0 && l->instr[j].kind != LG_I_ELEM)
            return false;
    }
    return true;
}

static int maker_of(const lg_loop *l, int reg) {
    for (int j = 0; j < l->n_instr; j++)
        if (l->instr[j].out == reg && l->instr[j].kind != LG_I_STORE)
            return j;
    return -1;
}

static void make_direct(lg_loop *l,
                        bool (*may_alias)(void *ctx, const lg_place *a, const lg_place *b),
                        void *ctx) {
    for (int j = 0; j < l->n_instr; j++) {
        lg_instr *x = &l->instr[j];
        x->direct = x->kind == LG_I_LOAD && !x->uniform && is_dense(l, x->acc, x->row);
    }
    for (int j = 0; j < l->n_instr; j++) {
        lg_instr *x = &l->instr[j];
        x->stream = x->stream && is_dense(l, x->acc, x->row);
        l->streams = l->streams || x->stream;
    }
    int n = 0;
    bool *gone = lg_alloc((size_t)l->n_instr + 1);
    for (int j = 0; j < l->n_instr && !l->split; j++) {
        const lg_instr *s = &l->instr[j];
        if (s->kind != LG_I_STORE || s->stream || !is_dense(l, s->acc, s->row))
            continue;
        int p = maker_of(l, s->in[0]);
        lg_instr *x = &l->instr[p];
        bool row = x->row || x->kind == LG_I_REDUCE;
        if (x->acc || row != s->row || !is_harmless(l, p, s, may_alias, ctx))
            continue;
        x->acc = s->acc;
        x->direct = gone[j] = true;
    }
    for (int j = 0; j < l->n_instr; j++)
        if (!gone[j])
            l->instr[n++] = l->instr[j];
    l->n_instr = n;
    lg_free(gone);
}

static size_t reg_bytes(const lg_loop *l, const lg_reg *r) {
    size_t n = (size_t)(r->row ? l->ob : l->ob * (l->ib ? l->ib : 1)) * lg_dtype_size(r->type);
    return (n + 63) / 64 * 64;
}

/* Full registers share room when one is no longer needed. */
typedef struct {
    size_t off, bytes;
    int until;
} room;

static void place_registers(lg_loop *l) {
    LG_VEC(room) rooms = {0};
    bool *placed = lg_alloc((size_t)l->n_reg + 1);
    size_t top = ((size_t)l->n_reg * sizeof(char *) + 63) / 64 * 64;
    for (int j = 0; j < l->n_instr; j++) {
        const lg_instr *x = &l->instr[j];
        int made[2] = {x->kind == LG_I_STORE ? -1 : x->out, x->kind == LG_I_REDUCE ? x->aux : -1};
        for (int q = 0; q < 2; q++) {
            if (made[q] < 0 || placed[made[q]] || (q == 0 && x->direct && x->kind != LG_I_REDUCE))
                continue;
            lg_reg *r = &l->reg[made[q]];
            placed[made[q]] = true;
            size_t bytes = reg_bytes(l, r), k = 0;
            bool own = r->row ? !l->whole || q == 1 : false;
            own = own || x->uniform || l->n_passes > 1;
            int until = q == 1 ? j : last_use(l, made[q]);
            until = until < j ? j : until;
            for (; k < rooms.n && !own; k++)
                if (rooms.at[k].bytes >= bytes && rooms.at[k].until < j)
                    break;
            if (own || k == rooms.n) {
                room fresh = {top, bytes, own ? INT32_MAX : until};
                LG_PUSH(rooms, fresh);
                k = rooms.n - 1;
                top += bytes;
            }
            rooms.at[k].until = own ? INT32_MAX : until;
            r->off = rooms.at[k].off;
        }
    }
    l->scratch = top;
    lg_free(rooms.at);
    lg_free(placed);
}

void lg_kernel_finish(lg_kernel *k, lg_arena *mem,
                      bool (*may_alias)(void *ctx, const lg_place *a, const lg_place *b),
                      void *ctx) {
    lg_loop *l = k->loop;
    make_direct(l, may_alias, ctx);
    l->n_reg = (int)k->reg.n;
    l->reg = lg_arena_dup(mem, k->reg.n ? (const void *)k->reg.at : (const void *)l,
                          (size_t)l->n_reg * sizeof *l->reg);
    place_registers(l);
    /* elements on their own may be cut anywhere: so that all their registers stay in L1 */
    while (l->n_i == 1 && l->fast_o && l->scratch > L1_BYTES && l->ob >= 512) {
        l->ob /= 2;
        place_registers(l);
    }
    lg_free(k->reg.at);
    lg_free(k->instr.at);
}

/* Per element, from measurements on one core; good to a factor of two or three. */
static double instr_cost(const lg_instr *x) {
    switch (x->kind) {
    case LG_I_LOAD:
        return x->direct || x->uniform ? 0.03 : 0.15;
    case LG_I_ELEM:
        return x->node->op->traits & LG_T_CHEAP ? 0.04 : 0.15;
    case LG_I_RAND:
    case LG_I_GATHER:
        return 1.5;
    case LG_I_STORE:
    case LG_I_CAST:
    case LG_I_IOTA:
    case LG_I_REDUCE:
    case LG_I_SPREAD:
        return 0.06;
    }
    return 0;
}

double lg_kernel_cost(const lg_loop *l) {
    double n = 20 + 5 * l->n_instr;
    for (int j = 0; j < l->n_instr; j++)
        n += instr_cost(&l->instr[j]) * (double)l->n_o * (l->instr[j].row ? 1 : (double)l->n_i);
    return n;
}
