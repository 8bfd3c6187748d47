/* fuse.c: decides which nodes share a kernel and which values get a buffer. Not for how a kernel
 * is cut (kernel.c) nor where buffers lie (schedule.c).
 *
 * Nodes are taken in order. Each joins the group of one of its operands when they iterate over the
 * same space, or else begins a group. Groups run in the order of `seq`; a group whose values nobody
 * outside has read yet may still move to the end, and two such groups may become one. A value read
 * outside its group gets a buffer, unless computing it again is cheap, or its index space is so
 * much larger than what it is made from that storing it must not happen. */
#include "compiler/mid/fuse.h"
#include <string.h>

enum { MAX_NODES = 48, ROW_BYTES = 1 << 17, SMALL_TAIL = 16 };

/* ---- spaces ---- */

static int space_of(const lg_type *t, int64_t *n) {
    int r = 0;
    for (int d = 0; d < t->rank; d++)
        if (t->shape[d] != 1)
            n[r++] = t->shape[d];
    return r;
}

/* Dims of size 1 are dropped from an axes mask too. */
static uint32_t space_mask(const lg_type *t, uint32_t axes) {
    uint32_t m = 0;
    int r = 0;
    for (int d = 0; d < t->rank; d++)
        if (t->shape[d] != 1) {
            m |= (axes >> d & 1) << r;
            r++;
        }
    return m;
}

static bool is_full(const lg_group *g, const lg_type *t) {
    int64_t n[LG_MAX_RANK];
    int r = space_of(t, n);
    return r == g->rank && memcmp(n, g->n, (size_t)r * sizeof *n) == 0;
}

static bool is_row(const lg_group *g, const lg_type *t) {
    int64_t n[LG_MAX_RANK];
    int r = space_of(t, n), k = 0;
    if (!g->mask)
        return false;
    for (int d = 0; d < g->rank; d++) {
        if (g->mask >> d & 1)
            continue;
        if (k == r || n[k++] != g->n[d])
            return false;
    }
    return k == r;
}

/* Under m (from the dims of type `at`), dim number k of u (not counting 1s) is exactly dim number
 * k of the space, counting only those outside `skip`. */
static bool is_projection(const lg_map *m, const lg_type *at, const lg_type *u, uint32_t skip) {
    int s = -1, space = -1;
    for (int a = 0; a < u->rank; a++) {
        if (u->shape[a] == 1)
            continue;
        do { /* next dim of the space that counts */
            s++;
            while (s < at->rank && at->shape[s] == 1)
                s++;
            space++;
        } while (s < at->rank && (skip >> space & 1));
        if (s >= at->rank || m->off[a] != 0)
            return false;
        for (int d = 0; d < m->from; d++)
            if (at->shape[d] != 1 && m->c[a][d] != (d == s))
                return false;
    }
    for (s++; s < at->rank; s++) /* the rest must be skipped */
        if (at->shape[s] != 1 && !(skip >> ++space & 1))
            return false;
    return true;
}

static int64_t row_length(const lg_group *g) {
    int64_t n = 1;
    for (int d = 0; d < g->rank; d++)
        if (g->mask >> d & 1)
            n *= g->n[d];
    return n;
}

static int64_t volume(const lg_group *g) {
    int64_t n = 1;
    for (int d = 0; d < g->rank; d++)
        n *= g->n[d];
    return n;
}

/* ---- what kind of node ---- */

bool lg_small_gather(const lg_node *n) {
    int64_t tail = 1;
    const lg_type *x = &n->in[0]->type[0];
    for (int d = n->attr.nb + n->attr.ni; d < x->rank; d++)
        tail *= x->shape[d];
    return tail <= SMALL_TAIL;
}

/* Takes part in loops of its own space. */
static bool is_pointwise(const lg_fusion *f, const lg_node *n) {
    switch ((int)n->op->cls) {
    case LG_C_ELEM:
    case LG_C_RAND:
        return true;
    case LG_C_CAST:
        return !f->no_fuse;
    case LG_C_GATHER:
        return !f->no_fuse && lg_small_gather(n);
    default:
        return false;
    }
}

/* Has no group until somebody asks for its buffer. */
static bool is_free(const lg_node *n) {
    switch ((int)n->op->cls) {
    case LG_C_INPUT:
    case LG_C_CONST:
    case LG_C_IOTA:
    case LG_C_VIEW:
    case LG_C_RESHAPE:
    case LG_C_MARK:
    case LG_C_ITEM:
        return true;
    default:
        return false;
    }
}

/* ---- groups ---- */

static lg_group *new_group(lg_fusion *f, lg_node *n, bool opaque) {
    lg_group *g = lg_alloc(sizeof *g);
    g->seq = f->next++;
    g->first_use = INT64_MAX;
    g->opaque = opaque;
    g->closed = opaque || f->no_fuse;
    g->rank = space_of(&n->type[0], g->n);
    LG_PUSH(f->group, g);
    LG_PUSH(g->node, n);
    f->of[n->id] = g;
    return g;
}

static void used_at(lg_fusion *f, const lg_node *u, int64_t seq) {
    lg_group *h = f->of[u->id];
    if (h && h->first_use > seq)
        h->first_use = seq;
}

static void store(lg_fusion *f, lg_node *x);

/* x must stand in a buffer, for a reader that will take the next position. */
static void need(lg_fusion *f, lg_node *x) {
    x = lg_storage_of(x);
    store(f, x);
}

/* u, which stands in another group, is read at position seq. */
static void read_from(lg_fusion *f, lg_node *u, int64_t seq) {
    lg_cone c;
    u = lg_storage_of(u);
    if (u->op->cls == LG_C_IOTA && !f->stored[u->id])
        return;
    if (lg_again(f, u, seq, &c) || lg_again_from(f, u, seq, &c)) {
        for (int k = 0; k < c.n_leaf; k++) {
            store(f, c.leaf[k]);
            used_at(f, c.leaf[k], seq);
        }
        return;
    }
    store(f, u);
    used_at(f, u, seq);
}

/* What a reshape that is not affine hides must have its kernel before its reader has one. */
static void behind_reshape(lg_fusion *f, lg_node *u) {
    if (u->op->cls == LG_C_RESHAPE)
        store(f, u);
}

/* ---- what must wait ---- */

/* x is read through barriers: the last group among those that must have run before. NULL: none. */
static lg_group *held_by(const lg_fusion *f, lg_node *x) {
    lg_group *last = NULL;
    while (x->op->cls == LG_C_MARK || x->op->cls == LG_C_VIEW || x->op->cls == LG_C_RESHAPE) {
        if (x->op->cls == LG_C_MARK && x->op->traits & LG_T_BARRIER) {
            lg_map m = lg_map_identity(&x->in[1]->type[0]);
            lg_group *h = f->of[lg_storage_of(lg_map_source(x->in[1], &m))->id];
            last = h && (!last || h->seq > last->seq) ? h : last;
        }
        x = x->in[0];
    }
    return last;
}

/* The groups that n's operands wait for stay where they are, before position seq. */
static void hold(const lg_fusion *f, const lg_node *n, int64_t seq) {
    for (int k = 0; k < n->n_in; k++) {
        lg_group *h = held_by(f, n->in[k]);
        if (h && h->first_use > seq)
            h->first_use = seq;
    }
}

/* ---- joining ---- */

static lg_node *source_of(lg_node *x, lg_map *m) {
    *m = lg_map_identity(&x->type[0]);
    return lg_map_source(x, m);
}

/* Operand k of a pointwise node under the node's own dims. */
static lg_node *operand(const lg_node *n, int k, lg_map *m) {
    lg_node *x = n->in[k];
    *m = lg_map_identity(&x->type[0]);
    m->from = n->type[0].rank; /* GATHER: the leading dims are those of the subscripts */
    return lg_map_source(x, m);
}

/* Operands that are always read from a buffer. */
static bool from_buffer(const lg_node *n, int k) {
    return (n->op->cls == LG_C_GATHER && k == 0) || n->op->cls == LG_C_RAND;
}

static bool fits_row(const lg_fusion *f, const lg_group *g, const lg_node *n) {
    int64_t r = row_length(g);
    bool last = g->rank > 0 && (g->mask >> (g->rank - 1) & 1);
    if (!last && !g->index)
        return volume(g) <= 1024;
    (void)f;
    return r * (int64_t)lg_dtype_size(n->type[0].dtype) <= ROW_BYTES;
}

typedef enum { NO, YES, LATER } answer; /* LATER: when the group moves to the end */

/* May n, pointwise, become part of g? *row: as a row value. */
static answer may_join(const lg_fusion *f, const lg_group *g, const lg_node *n, bool *row) {
    if (g->closed || g->node.n >= MAX_NODES)
        return NO;
    const lg_type *t = &n->type[0];
    *row = !is_full(g, t);
    if (*row && !is_row(g, t))
        return NO;
    bool late = false, within = false;
    for (int k = 0; k < n->n_in; k++) {
        lg_map m;
        lg_node *u = from_buffer(n, k) ? lg_storage_of(n->in[k]) : operand(n, k, &m);
        lg_node *s = lg_storage_of(u);
        lg_group *h = f->of[s->id], *wait = held_by(f, n->in[k]);
        if (wait == g)
            return NO;
        late = late || (wait && wait->seq > g->seq);
        if (!h)
            continue;
        if (h != g) {
            lg_cone c;
            late = late || (h->seq >= g->seq && !lg_again(f, s, g->seq, &c));
            continue;
        }
        if (from_buffer(n, k) || s != u)
            return NO;
        if (*row && !f->row[u->id])
            return NO;
        if (!is_projection(&m, t, &u->type[0], f->row[u->id] && !*row ? g->mask : 0))
            return NO;
        if (!*row && (f->row[u->id] || f->after_row[u->id]) && !fits_row(f, g, n))
            return NO;
        within = true;
    }
    if (!within)
        return NO;
    return !late ? YES : g->first_use == INT64_MAX ? LATER : NO;
}

static void join(lg_fusion *f, lg_group *g, lg_node *n, bool row) {
    LG_PUSH(g->node, n);
    f->of[n->id] = g;
    f->row[n->id] = row;
    hold(f, n, g->seq);
    for (int k = 0; k < n->n_in; k++) {
        lg_map m;
        lg_node *u = from_buffer(n, k) ? lg_storage_of(n->in[k]) : operand(n, k, &m);
        if (f->of[u->id] == g)
            f->after_row[n->id] =
                f->after_row[n->id] || (!row && (f->row[u->id] || f->after_row[u->id]));
        else
            read_from(f, u, g->seq);
    }
}

/* Makes h part of g, which runs later; they do not read each other. */
static bool merge(lg_fusion *f, lg_group *g, lg_group *h) {
    if (h == g || h->closed || g->closed || h->seq > g->seq || h->first_use <= g->seq ||
        h->rank != g->rank || memcmp(h->n, g->n, (size_t)g->rank * sizeof *g->n) != 0 ||
        (h->mask && g->mask && h->mask != g->mask) || h->reduces != g->reduces ||
        h->node.n + g->node.n > MAX_NODES)
        return false;
    for (size_t k = 0; k < h->node.n; k++) {
        f->of[h->node.at[k]->id] = g;
        LG_PUSH(g->node, h->node.at[k]);
    }
    g->first_use = h->first_use < g->first_use ? h->first_use : g->first_use;
    h->node.n = 0;
    h->closed = true;
    h->seq = -1;
    return true;
}

/* Operand groups that could be one with g are made so. */
static void gather_groups(lg_fusion *f, lg_group *g, const lg_node *n) {
    for (int k = 0; k < n->n_in; k++) {
        lg_map m;
        if (from_buffer(n, k))
            continue;
        lg_node *u = operand(n, k, &m);
        lg_group *h = f->of[u->id];
        if (h && h != g && !f->stored[u->id] && is_projection(&m, &n->type[0], &u->type[0], 0))
            merge(f, g, h);
    }
}

/* Could x, of a group h of elements, be part of g, which runs at another time? */
static bool may_move(const lg_fusion *f, const lg_group *g, const lg_group *h, const lg_node *x,
                     bool row) {
    const lg_type *t = &x->type[0];
    for (int k = 0; k < x->n_in; k++) {
        lg_map m;
        lg_node *u = from_buffer(x, k) ? lg_storage_of(x->in[k]) : operand(x, k, &m);
        lg_node *s = lg_storage_of(u);
        lg_group *q = f->of[s->id], *wait = held_by(f, x->in[k]);
        if (wait && wait->seq >= g->seq)
            return false;
        if (!q || q == h)
            continue;
        if (q != g && q->seq >= g->seq)
            return false;
        if (q != g)
            continue;
        if (from_buffer(x, k) || s != u || (row && !f->row[u->id]) ||
            !is_projection(&m, t, &u->type[0], f->row[u->id] && !row ? g->mask : 0))
            return false;
        if (!row && (f->row[u->id] || f->after_row[u->id]) && !fits_row(f, g, x))
            return false;
    }
    return true;
}

/* Makes h, elements of g's space or of the size of its rows, part of g. */
static void absorb(lg_fusion *f, lg_group *g, lg_group *h) {
    const lg_type *t = &h->node.at[0]->type[0];
    bool row = !is_full(g, t);
    if (h == g || h->closed || h->reduces || g->node.n + h->node.n > MAX_NODES ||
        (h->seq < g->seq && h->first_use <= g->seq) || (row && !is_row(g, t)))
        return;
    for (size_t k = 0; k < h->node.n; k++)
        if (!may_move(f, g, h, h->node.at[k], row))
            return;
    size_t n = h->node.n;
    h->node.n = 0;
    h->closed = true;
    h->seq = -1;
    g->first_use = h->first_use < g->first_use ? h->first_use : g->first_use;
    for (size_t k = 0; k < n; k++)
        f->of[h->node.at[k]->id] = g;
    for (size_t k = 0; k < n; k++)
        join(f, g, h->node.at[k], row);
}

/* The reducing group that n, pointwise, reads a value of. */
static lg_group *reducing(const lg_fusion *f, const lg_node *n) {
    lg_group *g = NULL;
    for (int k = 0; k < n->n_in; k++) {
        lg_map m;
        lg_group *h = from_buffer(n, k) ? NULL : f->of[operand(n, k, &m)->id];
        if (h && h->reduces && !h->closed && (!g || h->seq > g->seq))
            g = h;
    }
    return g && (is_full(g, &n->type[0]) || is_row(g, &n->type[0])) ? g : NULL;
}

/* n reads a value of a reducing group: the elements that it reads as well become part of that. */
static void bring_together(lg_fusion *f, const lg_node *n) {
    lg_group *g = reducing(f, n);
    for (int k = 0; k < n->n_in && g; k++) {
        lg_map m;
        lg_group *h = from_buffer(n, k) ? NULL : f->of[operand(n, k, &m)->id];
        if (h && h != g && h->node.n && !h->opaque)
            absorb(f, g, h);
    }
}

static lg_group *best_group(const lg_fusion *f, const lg_node *n, bool *row, bool *late) {
    lg_group *best = NULL;
    for (int k = 0; k < n->n_in; k++) {
        lg_map m;
        if (from_buffer(n, k))
            continue;
        lg_group *h = f->of[operand(n, k, &m)->id];
        bool r;
        if (!h || (best && h->seq <= best->seq))
            continue;
        answer a = may_join(f, h, n, &r);
        if (a == NO)
            continue;
        best = h;
        *row = r;
        *late = a == LATER;
    }
    return best;
}

static void place_pointwise(lg_fusion *f, lg_node *n) {
    for (int k = 0; k < n->n_in; k++) { /* first, so that they come before */
        lg_map m;
        if (from_buffer(n, k) || f->no_fuse)
            need(f, n->in[k]);
        else
            behind_reshape(f, operand(n, k, &m));
    }
    bool row = false, late = false;
    if (!f->no_fuse)
        bring_together(f, n);
    lg_group *g = f->no_fuse ? NULL : best_group(f, n, &row, &late);
    if (!g) {
        g = new_group(f, n, false);
        g->node.n = 0;
        join(f, g, n, false);
        return;
    }
    if (late)
        g->seq = f->next++;
    if (!row)
        gather_groups(f, g, n);
    join(f, g, n, row);
}

/* ---- reductions ---- */

/* What a group reads from memory to make x, which is not one of its own. */
static lg_cone read_for(const lg_fusion *f, lg_node *x) {
    lg_cone c = lg_cone_of(f, x);
    if (!c.ok || f->stored[x->id]) {
        c = (lg_cone){.ok = true, .n = (int64_t)lg_type_count(&x->type[0])};
        lg_cone_add(&c, lg_storage_of(x));
    }
    return c;
}

/* Does g read a leaf of c, one of many elements? */
static bool reads_too(const lg_fusion *f, const lg_group *g, const lg_cone *c) {
    for (size_t k = 0; k < g->node.n; k++)
        for (int j = 0; j < g->node.at[k]->n_in; j++) {
            lg_map m;
            lg_node *u = from_buffer(g->node.at[k], j) ? lg_storage_of(g->node.at[k]->in[j])
                                                       : source_of(g->node.at[k]->in[j], &m);
            if (f->of[u->id] == g)
                continue;
            lg_cone d = read_for(f, u);
            for (int a = 0; a < d.n_leaf; a++)
                for (int b = 0; b < c->n_leaf; b++)
                    if (d.leaf[a] == c->leaf[b] && !lg_cone_thin(c, c->leaf[b]))
                        return true;
        }
    return false;
}

/* A group that reduces the same space in the same way and reads what u, which n reduces, is made
 * from: both in one pass over memory. */
static lg_group *sibling(const lg_fusion *f, const lg_node *n, lg_node *u, uint32_t mask) {
    enum { BACK = 12, LEAST = 1 << 14 };
    const lg_type *t = &n->in[0]->type[0];
    if (!mask || f->no_fuse || (int64_t)lg_type_count(t) < LEAST || u->op->cls == LG_C_RESHAPE)
        return NULL;
    lg_cone c = read_for(f, u);
    const lg_group *wait = held_by(f, n->in[0]);
    for (size_t k = f->group.n; k-- > 0 && k + BACK >= f->group.n;) {
        lg_group *g = f->group.at[k];
        if (g->closed || !g->reduces || g->index || g->mask != mask || !is_full(g, t) ||
            g->node.n >= MAX_NODES || (wait && wait->seq >= g->seq) ||
            !lg_cone_before(f, &c, g->seq) || !reads_too(f, g, &c))
            continue;
        lg_cone d;
        lg_group *h = f->of[u->id];
        if (!h || h->seq < g->seq || lg_again(f, u, g->seq, &d))
            return g;
    }
    return NULL;
}

static void place_reduce(lg_fusion *f, lg_node *n) {
    const lg_type *t = &n->in[0]->type[0];
    uint32_t mask = space_mask(t, n->attr.axes_mask);
    bool index = !n->op->elem[n->type[0].dtype];
    lg_map m;
    lg_node *u = source_of(n->in[0], &m);
    lg_group *g = f->of[u->id];
    behind_reshape(f, u);
    if (f->no_fuse)
        need(f, n->in[0]);
    lg_group *wait = held_by(f, n->in[0]);
    bool in = g && !g->closed && (!wait || wait->seq < g->seq) && mask && is_full(g, t) &&
              !f->row[u->id] && (!g->reduces || g->mask == mask) &&
              is_projection(&m, t, &u->type[0], 0) && g->node.n < MAX_NODES &&
              lg_type_count(t) > 0 && (!index || !g->reduces || g->index);
    if (!in && !index)
        in = (g = sibling(f, n, u, mask)) != NULL;
    if (!in) {
        g = new_group(f, n, false);
        g->node.n = 0;
        g->rank = space_of(t, g->n);
        g->closed = f->no_fuse || !mask || lg_type_count(t) == 0;
    }
    g->mask = mask;
    g->reduces = true;
    g->index = g->index || index;
    join(f, g, n, true);
}

/* ---- the rest ---- */

/* What n, run on its own, reads in place of its inputs. Gives how many. */
static int reads_of(const lg_fusion *f, const lg_node *n, lg_node *const **in, lg_dot *room) {
    *in = n->in;
    if (!f->no_fuse && n->op->traits & LG_T_STRIDED) {
        lg_strides at;
        assert(n->n_in <= (int)LG_COUNT(room->in));
        for (int k = 0; k < n->n_in; k++)
            room->in[k] = lg_strides_of(n->in[k], &at);
        *in = room->in;
        return n->n_in;
    }
    if (n->op->cls != LG_C_DOT || f->no_fuse)
        return n->n_in;
    *room = lg_dot_of(n);
    *in = room->in;
    return room->n_in;
}

static void place_opaque(lg_fusion *f, lg_node *n) {
    lg_dot room;
    lg_node *const *in;
    int n_in = reads_of(f, n, &in, &room);
    for (int k = 0; k < n_in; k++)
        need(f, in[k]);
    lg_group *g = new_group(f, n, true);
    for (int k = 0; k < n_in; k++)
        used_at(f, lg_storage_of(in[k]), g->seq);
    hold(f, n, g->seq);
    f->stored[n->id] = true;
}

/* Nodes that no kernel computes: products read the codes instead. By node id. */
static void mark_needed(const lg_fusion *f, bool *needed) {
    lg_dot room;
    for (size_t k = 0; k < f->g->output.n; k++)
        needed[f->g->output.at[k].node->id] = true;
    for (size_t k = 0; k < f->g->effect.n; k++)
        needed[f->g->effect.at[k]->id] = true;
    for (size_t k = f->g->node.n; k-- > 0;) {
        const lg_node *n = f->g->node.at[k];
        lg_node *const *in;
        int n_in = needed[k] ? reads_of(f, n, &in, &room) : 0;
        for (int j = 0; j < n_in; j++)
            needed[in[j]->id] = true;
    }
}

/* Gives x, which shares no other's storage, a buffer, and a kernel that fills it. */
static void store(lg_fusion *f, lg_node *x) {
    x = lg_storage_of(x);
    if (x->op->cls == LG_C_ITEM) {
        f->stored[x->id] = true;
        return;
    }
    if (f->stored[x->id])
        return;
    f->stored[x->id] = true;
    if (f->of[x->id] || !is_free(x) || x->op->cls == LG_C_INPUT || x->op->cls == LG_C_CONST)
        return;
    if (f->no_fuse && x->op->cls != LG_C_ITEM) {
        f->stored[x->id] = false;
        place_opaque(f, x);
        return;
    }
    lg_map m; /* a view or an iota */
    lg_node *u = source_of(x, &m);
    behind_reshape(f, u);
    if (u != x)
        read_from(f, u, f->next);
    new_group(f, x, false)->closed = true;
}

static void place(lg_fusion *f, lg_node *n) {
    if (is_free(n)) {
        if (f->no_fuse && (n->op->cls == LG_C_VIEW || n->op->cls == LG_C_IOTA))
            store(f, n);
        if (n->op->cls == LG_C_ITEM) {
            f->of[n->id] = f->of[n->in[0]->id];
            f->stored[n->id] = true;
        }
        return;
    }
    if (is_pointwise(f, n))
        place_pointwise(f, n);
    else if (n->op->cls == LG_C_REDUCE)
        place_reduce(f, n);
    else
        place_opaque(f, n);
    if (f->no_fuse)
        f->stored[n->id] = true;
}

/* Kernels that write over an input go last, after all that read it. */
static void writers_last(lg_fusion *f) {
    for (size_t k = 0; k < f->g->output.n; k++) {
        const lg_output *o = &f->g->output.at[k];
        lg_group *h = f->of[lg_storage_of(o->node)->id];
        if (o->donates >= 0 && h && h->first_use == INT64_MAX)
            h->seq = f->next++;
    }
}

/* Contracts run as late as they may, so that what they show does not keep kernels apart: before
 * what may fail for itself, or at the end. */
static bool may_fail(const lg_node *n) {
    lg_class c = n->op->cls;
    return c == LG_C_KERNEL || c == LG_C_GATHER || c == LG_C_SCATTER || c == LG_C_SCAN ||
           c == LG_C_COND;
}

static void test(lg_fusion *f, lg_node *n, const bool *needed) {
    if (needed[n->id] && n->op->cls == LG_C_REQUIRE)
        place(f, n);
}

void lg_fuse(lg_fusion *f, lg_graph *g, bool no_fuse) {
    size_t n = g->node.n + 1;
    *f = (lg_fusion){.g = g, .no_fuse = no_fuse};
    f->of = lg_alloc(n * sizeof *f->of);
    f->row = lg_alloc(n);
    f->after_row = lg_alloc(n);
    f->stored = lg_alloc(n);
    f->join = lg_alloc(n * sizeof *f->join);
    f->joined = lg_alloc(n);
    bool *needed = lg_alloc(n);
    mark_needed(f, needed);
    size_t tested = 0;
    for (size_t k = 0; k < g->node.n; k++) {
        if (!needed[k] || g->node.at[k]->op->cls == LG_C_REQUIRE)
            continue;
        if (may_fail(g->node.at[k]))
            for (; tested < k; tested++)
                test(f, g->node.at[tested], needed);
        place(f, g->node.at[k]);
    }
    for (; tested < g->node.n; tested++)
        test(f, g->node.at[tested], needed);
    lg_free(needed);
    for (size_t k = 0; k < g->output.n; k++)
        need(f, g->output.at[k].node);
    writers_last(f);
    if (!no_fuse)
        lg_fuse_joins(f);
}

void lg_fuse_free(lg_fusion *f) {
    for (size_t k = 0; k < f->group.n; k++) {
        lg_free(f->group.at[k]->node.at);
        lg_free(f->group.at[k]);
    }
    lg_free(f->group.at);
    lg_free(f->of);
    lg_free(f->row);
    lg_free(f->after_row);
    lg_free(f->stored);
    lg_free(f->join);
    lg_free(f->joined);
}
