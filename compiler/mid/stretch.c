/* stretch.c: stretches of a plan: steps in a row that keep the rows of a batch, or the columns of a
 * matrix, apart (rows.h). Threads share out the rows, each does all steps of a stretch for some
 * rows and then for others, and they meet once: a product, what is added to it, the next product.
 * Steps between that neither need nor change any of this are left for later. Asks only what reads
 * and writes what, and where; docs/notes/stretches.md. Not for running them (runtime/exec.c). */
#include "compiler/mid/order.h"
#include "compiler/mid/planner.h"
#include "compiler/mid/rows.h"
#include "ops/gemm.h"
#include <stdlib.h>
#include <string.h>

/* Steps of a stretch; steps that are passed over; rows that kernels do at once; bytes of a block;
 * of what a core and what all of them keep in caches. Costs in ns of lg_step.cost, which are high:
 * of a meeting of threads; of turning or copying an element of an operand; of a byte of what was
 * packed, each time that it is read; of reading a byte again from the cache of all cores, and from
 * memory. */
enum {
    MOST_STEPS = 32,
    MOST_PASSED = 8,
    ROWS_TOGETHER = 32,
    LEAST_UNITS = 4,
    BLOCK_BYTES = 4 << 20,
    OWN_BYTES = 1 << 20,
    SHARED_BYTES = 8 << 20,
    MEETING_NS = 600
};
static const double TURN_NS = 0.2, COPY_NS = 0.1, PANEL_NS = 0.04, AGAIN_NS = 0.01, FAR_NS = 0.1,
                    LEAST_GAIN = 0.02; /* of the time of the steps */

/* What is done with a value, by the number of the attempt in which it was. */
typedef struct {
    int read, written, replaced;
    int passed_read, passed_written, passed_replaced; /* by steps that were passed over */
    int readers;
    int64_t inner; /* rows.h; of what is written */
    int over;      /* the input whose buffer it may be given; -1: none */
} mark;

typedef struct {
    planner *s;
    mark *of;   /* by value */
    int run;    /* number of the attempt */
    bool waits; /* a barrier stands between this step and another one */
    int n, passed, step[MOST_STEPS];
    int64_t rows, unit;
    bool gathers, replaces; /* some step may fail; some writes over an input */
    bool passed_fails;      /* some step that was passed over may fail */
    bool flows;             /* some step reads what another made */
    bool meets;             /* some step is for all threads anyway */
    bool shared, packed;    /* the last step is for all threads; a right operand is packed first */
    double bytes, cost, gain; /* of what is written; ns of the steps, and saved by them */
} stretch;

typedef LG_VEC(int64_t) numbers;

/* ---- what reads and writes what ---- */

typedef bool (*use_fn)(stretch *x, int v, bool write);

static bool each_use(stretch *x, int k, use_fn fn) {
    const planner *s = x->s;
    const lg_step *t = &s->step.at[k];
    const lg_kernel *l = &s->kernel.at[k];
    for (size_t j = 0; j < l->touch.n; j++)
        if (!fn(x, lg_value_of(s, l->touch.at[j].node), l->touch.at[j].write))
            return false;
    if (t->kind == LG_S_LOOP)
        return true;
    lg_dot d;
    lg_node *const *in = lg_inputs_of(t, &d);
    for (int j = 0; j < t->n_in; j++)
        if (!fn(x, lg_value_of(s, in[j]), false))
            return false;
    for (int j = 0; j < t->node->n_out; j++)
        if (!fn(x, s->first[t->node->id] + j, true))
            return false;
    return true;
}

/* Steps that were passed over neither make what this one reads nor need what it replaces. */
static bool goes_before(stretch *x, int v, bool write) {
    const mark *m = &x->of[v], *u = m->over >= 0 ? &x->of[m->over] : m;
    if (m->passed_written == x->run || (!write && m->passed_replaced == x->run))
        return false;
    return !write ||
           (m->passed_read != x->run && u->passed_read != x->run && u->passed_written != x->run);
}

/* What a step of the stretch reads whole, none of it writes over. */
static bool keeps_inputs(stretch *x, int v, bool write) {
    const mark *m = &x->of[v];
    if (!write)
        return m->replaced != x->run;
    return m->over < 0 || (x->of[m->over].read != x->run && x->of[m->over].written != x->run);
}

static bool note_passed(stretch *x, int v, bool write) {
    mark *m = &x->of[v];
    *(write ? &m->passed_written : &m->passed_read) = x->run;
    if (write && m->over >= 0)
        x->of[m->over].passed_replaced = x->run;
    return true;
}

static bool note_use(stretch *x, int v, bool write) {
    mark *m = &x->of[v];
    if (!write) {
        m->readers = m->read == x->run ? m->readers + 1 : 1;
        m->read = x->run;
        return true;
    }
    if (m->written != x->run)
        x->bytes += (double)x->s->val[v].bytes;
    m->written = x->run;
    if (m->over >= 0) {
        x->of[m->over].replaced = x->run;
        x->replaces = true;
    }
    return true;
}

static bool note_flow(stretch *x, int v, bool write) {
    x->flows = x->flows || (!write && x->of[v].written == x->run);
    return true;
}

static bool replaces_none(stretch *x, int v, bool write) {
    return !write || x->of[v].over < 0;
}

static bool may_fail(const lg_step *t) {
    if (t->kind != LG_S_LOOP && t->kind != LG_S_DOT)
        return true;
    for (int j = 0; t->loop && j < t->loop->n_instr; j++)
        if (t->loop->instr[j].kind == LG_I_GATHER)
            return true;
    return false;
}

static void note_barrier(void *ctx, lg_node *after) {
    stretch *x = ctx;
    const mark *m = &x->of[lg_value_of(x->s, after)];
    x->waits = x->waits || m->passed_written == x->run || m->written == x->run;
}

/* Does a barrier hold step t back until another is done, and what that needed may go? */
static bool is_held(stretch *x, const lg_step *t) {
    x->waits = false;
    if (!t->loop)
        lg_each_barrier(t->node, note_barrier, x);
    for (int j = 0; t->loop && j < t->loop->n_instr; j++)
        if (t->loop->instr[j].node)
            lg_each_barrier(t->loop->instr[j].node, note_barrier, x);
    return x->waits;
}

/* ---- what it is worth ---- */

/* Turning or copying B once. */
static double packing(const lg_step *t) {
    const lg_product *p = t->product;
    if (t->kind != LG_S_DOT || p->batch != 1)
        return 0;
    double n = (double)(p->n * p->k);
    return p->b_n != 1 ? TURN_NS * n : n * 4 > 1 << 18 ? COPY_NS * n : 0;
}

/* Is B packed before the blocks of rows, of which each would do it again? */
static bool packs(const lg_step *t, int64_t blocks) {
    return t->kind == LG_S_DOT && !t->coded && packing(t) * (double)(blocks - 1) / 2 > MEETING_NS &&
           lg_gemm_panels(t->product) > 0;
}

static int64_t block_of(const stretch *x) {
    double rows = BLOCK_BYTES / (x->bytes / (double)x->rows + 1);
    int64_t units = rows > (double)x->rows ? x->rows : (int64_t)rows / x->unit;
    int64_t block = (units > 1 ? units : 1) * x->unit;
    return block < x->rows ? block : x->rows;
}

/* Blocks that two threads do. */
static int64_t blocks_of(const stretch *x) {
    int64_t half = (x->rows + 1) / 2, block = block_of(x);
    return 2 * ((half + block - 1) / block);
}

/* ns that are saved because value v, if the stretch makes it, is read where it was just made. */
static double near(const stretch *x, int v) {
    double bytes = (double)x->s->val[v].bytes;
    if (x->of[v].written != x->run || bytes <= OWN_BYTES)
        return 0;
    return bytes * (bytes > SHARED_BYTES ? FAR_NS : AGAIN_NS);
}

static double all_near(const stretch *x, int k) {
    const lg_step *t = &x->s->step.at[k];
    const lg_kernel *l = &x->s->kernel.at[k];
    lg_dot d;
    lg_node *const *in = lg_inputs_of(t, &d);
    double ns = 0;
    for (size_t j = 0; j < l->touch.n; j++)
        ns += l->touch.at[j].write ? 0 : near(x, lg_value_of(x->s, l->touch.at[j].node));
    for (int j = 0; j < t->n_in && !t->loop; j++)
        ns += near(x, lg_value_of(x->s, in[j]));
    return ns;
}

/* What B costs more than in a product by itself. */
static double operand(stretch *x, const lg_step *t) {
    int64_t blocks = blocks_of(x);
    if (!packs(t, blocks))
        return packing(t) * (double)(blocks - 1) / 2;
    double bytes = (double)lg_gemm_panels(t->product);
    double ns = bytes > OWN_BYTES / 2 ? bytes * (double)(blocks + 1) / 2 * PANEL_NS : 0;
    return x->packed ? ns : ns + MEETING_NS;
}

/* ns that two threads save by having step k in the stretch: a meeting, half of what one of them
 * would do alone, ways to memory. */
static double worth(stretch *x, int k) {
    const lg_step *t = &x->s->step.at[k];
    double gain = t->serial ? t->cost / 2 : 0;
    gain += x->n && (!t->serial || x->shared) ? MEETING_NS : 0;
    return gain + all_near(x, k) - operand(x, t);
}

/* ---- one attempt ---- */

static int64_t inner_of(const lg_rowed *c, lg_node *node) {
    const stretch *x = c->ctx;
    const mark *m = &x->of[lg_value_of(x->s, node)];
    return m->written == x->run ? m->inner : LG_GIVEN;
}

/* Step k, if it keeps the rows apart and may go ahead of what was passed over. */
static bool take(stretch *x, int k) {
    const lg_step *t = &x->s->step.at[k];
    lg_rowed c = {.rows = x->rows, .inner = inner_of, .ctx = x, .unit = x->unit};
    c.most = ROWS_TOGETHER;
    while (c.most > 1 && x->rows / c.most < LEAST_UNITS)
        c.most /= 2;
    if ((t->kind != LG_S_LOOP && t->kind != LG_S_DOT) || is_held(x, t) ||
        !each_use(x, k, goes_before) || !each_use(x, k, keeps_inputs))
        return false;
    bool fails = may_fail(t), replaces = !each_use(x, k, replaces_none);
    if ((replaces && (x->passed_fails || x->gathers)) || (fails && x->replaces))
        return false;
    if (!lg_keeps_rows(&c, t, &x->s->kernel.at[k]) || x->rows < 2 * c.unit)
        return false;
    double gain = worth(x, k);
    if (x->n && gain < 0)
        return false;
    x->gain += gain;
    x->cost += t->cost;
    x->shared = !t->serial;
    x->meets = x->meets || !t->serial;
    x->packed = x->packed || packs(t, blocks_of(x));
    x->unit = c.unit;
    x->gathers = x->gathers || fails;
    for (int j = 0; j < c.n_made; j++)
        x->of[lg_value_of(x->s, c.made[j].node)].inner = c.made[j].inner;
    each_use(x, k, note_flow);
    each_use(x, k, note_use);
    x->step[x->n++] = k;
    return true;
}

static void attempt(stretch *x, int k, int64_t rows) {
    int n = (int)x->s->step.n;
    x->run++;
    x->rows = rows;
    x->unit = 1;
    x->n = x->passed = 0;
    x->gathers = x->replaces = x->flows = x->passed_fails = false;
    x->meets = x->shared = x->packed = false;
    x->bytes = x->cost = x->gain = 0;
    for (; k < n && x->n < MOST_STEPS && x->passed <= MOST_PASSED; k++) {
        if (take(x, k))
            continue;
        if (!x->n)
            break;
        each_use(x, k, note_passed);
        x->passed_fails = x->passed_fails || may_fail(&x->s->step.at[k]);
        x->passed++;
    }
    x->gain -= x->meets ? 0 : MEETING_NS; /* one thread would do all of it without any */
    x->gain = x->flows && x->gain > LEAST_GAIN * x->cost ? x->gain : 0;
}

/* ---- all of a plan ---- */

static void add_number(numbers *to, int64_t rows) {
    enum { LEAST_ROWS = 8 };
    for (size_t k = 0; k < to->n; k++)
        if (to->at[k] == rows)
            return;
    if (rows >= LEAST_ROWS)
        LG_PUSH(*to, rows);
}

/* Numbers of rows that step k may have. */
static void rows_of(const lg_step *t, numbers *to) {
    if (t->kind == LG_S_DOT)
        add_number(to, t->product->batch == 1 ? t->product->m : t->product->batch);
    if (t->kind != LG_S_LOOP)
        return;
    add_number(to, t->loop->split ? t->loop->n_i : 0);
    add_number(to, t->loop->row_o ? t->loop->n_o / t->loop->row_o : 0);
    add_number(to, t->loop->n_o);
}

static void mark_steps(stretch *x, int at) {
    planner *s = x->s;
    int64_t most = ROWS_TOGETHER, blocks = blocks_of(x);
    while (most > 1 && x->rows / most < LEAST_UNITS)
        most /= 2;
    s->step.at[at].stretch = x->n;
    for (int k = at; k < at + x->n; k++) {
        lg_step *t = &s->step.at[k];
        t->within = true;
        t->rows = x->rows;
        t->unit = x->unit;
        t->block = block_of(x);
        s->step.at[at].sums = s->step.at[at].sums || (t->loop && t->loop->split);
        if (packs(t, blocks)) {
            s->step.at[at].packs = true;
            lg_own(s, OWN_PANELS, k, lg_gemm_panels(t->product));
        }
        if (t->loop && !t->loop->split)
            t->loop->ob = lg_rows_tile(t->loop, t->loop->n_o / x->rows, most);
    }
}

/* The steps of the best attempt come first, those that it passed over after them. */
static void settle(stretch *x, int at) {
    planner *s = x->s;
    int n = (int)s->step.n, *order = lg_alloc(((size_t)n + 1) * sizeof *order), to = at;
    for (int k = 0; k < at; k++)
        order[k] = k;
    for (int k = 0; k < x->n; k++)
        order[to++] = x->step[k];
    for (int k = at, q = 0; k < n; k++)
        if (q < x->n && x->step[q] == k)
            q++;
        else
            order[to++] = k;
    lg_reorder(s, order);
    lg_free(order);
    for (int v = 0; v < s->n_val; v++)
        if (x->of[v].read == x->run && x->of[v].readers > 1 && x->of[v].written != x->run)
            s->val[v].shared = true;
    mark_steps(x, at);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x > y ? -1 : x < y;
}

/* The best stretch that begins with step k, by the rows of one of its first steps; the
 * finest of those as good. */
static bool find(stretch *x, int k) {
    enum { AHEAD = 3 };
    numbers rows = {0};
    int64_t best = 0;
    double gain = 0;
    for (int j = k; j < k + AHEAD && j < (int)x->s->step.n; j++)
        rows_of(&x->s->step.at[j], &rows);
    if (rows.n)
        qsort(rows.at, rows.n, sizeof *rows.at, by_size);
    for (size_t j = 0; j < rows.n; j++) {
        attempt(x, k, rows.at[j]);
        if (x->gain > gain) {
            gain = x->gain;
            best = rows.at[j];
        }
    }
    lg_free(rows.at);
    if (best)
        attempt(x, k, best);
    return best > 0;
}

void lg_stretches_find(planner *s) {
    stretch x = {.s = s};
    if (s->f.no_fuse) /* each step is looked at by itself */
        return;
    x.of = lg_alloc(((size_t)s->n_val + 1) * sizeof *x.of);
    for (int v = 0; v < s->n_val; v++)
        x.of[v] = (mark){.over = -1};
    for (size_t k = 0; k < s->g->output.n; k++) {
        const lg_output *o = &s->g->output.at[k];
        if (o->donates >= 0)
            x.of[lg_value_of(s, o->node)].over = s->first[s->g->input.at[o->donates]->id];
    }
    for (int k = s->n_begin; k < (int)s->step.n;)
        if (find(&x, k)) {
            settle(&x, k);
            k += x.n;
        } else {
            k++;
        }
    lg_free(x.of);
}
