/* schedule.c: from a graph to a plan: the order of its kernels, where every value stands, which
 * results overwrite what they are made from. Not for which nodes share a kernel (fuse.c), nor for
 * running (runtime/exec.c). */
#include "compiler/mid/order.h"
#include "compiler/mid/planner.h"
#include "compiler/mid/remat.h"
#include "compiler/mid/rows.h"
#include "ops/gemm.h"
#include "runtime/profile.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALONE_NS = 20000 };

static lg_plan *plan_graph(lg_graph *g, const lg_plan_opts *o, const lg_scan_attr *body,
                           const bool *elsewhere);

int lg_value_of(const planner *s, lg_node *x) {
    x = lg_storage_of(x);
    return x->op->cls == LG_C_ITEM ? s->first[x->in[0]->id] + x->attr.axis : s->first[x->id];
}

static void number_values(planner *s) {
    s->first = lg_alloc((s->g->node.n + 1) * sizeof *s->first);
    for (size_t k = 0; k < s->g->node.n; k++) {
        s->first[k] = s->n_val;
        s->n_val += s->g->node.at[k]->n_out;
    }
    s->val = lg_alloc(((size_t)s->n_val + 1) * sizeof *s->val);
    for (size_t k = 0; k < s->g->node.n; k++) {
        const lg_node *x = s->g->node.at[k];
        for (int j = 0; j < x->n_out; j++) {
            value *v = &s->val[s->first[k] + j];
            v->bytes = lg_type_count(&x->type[j]) * lg_dtype_size(x->type[j].dtype);
            v->def = v->last = -1;
            v->block = -1;
        }
        if (x->op->cls == LG_C_INPUT)
            s->val[s->first[k]].at = (lg_place){.base = LG_AT_IN, .slot = x->attr.slot};
        if (x->op->cls == LG_C_CONST)
            s->val[s->first[k]].at = (lg_place){.base = LG_AT_CONST, .ptr = x->attr.tensor->data};
    }
}

/* ---- steps ---- */

static lg_step *add_step(planner *s, lg_step_kind kind, const lg_node *node) {
    lg_step x = {.kind = kind, .node = node};
    lg_kernel none = {0};
    LG_PUSH(s->step, x);
    LG_PUSH(s->kernel, none);
    return &s->step.at[s->step.n - 1];
}

/* Workspace of a step alone. Returns the block's number. */
static int own_block(planner *s, size_t bytes, int step) {
    lg_block b = {.bytes = bytes, .from = step, .to = step};
    LG_PUSH(s->block, b);
    return (int)s->block.n - 1;
}

static void attach(planner *s, int what, int step, int block) {
    LG_PUSH(s->own, what);
    LG_PUSH(s->own, step);
    LG_PUSH(s->own, block);
}

void lg_own(planner *s, int what, int step, size_t bytes) {
    attach(s, what, step, own_block(s, bytes, step));
}

static void add_loop(planner *s, const lg_group *g) {
    lg_kernel k;
    lg_kernel_make(&k, &s->f, g, s->p->mem);
    if (k.loop->n_instr == 0) {
        lg_free(k.touch.at);
        lg_free(k.instr.at);
        lg_free(k.reg.at);
        return;
    }
    lg_step *x = add_step(s, LG_S_LOOP, g->node.at[0]);
    x->loop = k.loop;
    s->kernel.at[s->step.n - 1] = k;
    if (k.loop->split) {
        int n = 0, at = (int)s->step.n - 1;
        for (int j = 0; j < k.loop->n_instr; j++)
            n += k.loop->instr[j].kind == LG_I_REDUCE;
        size_t bytes = (size_t)(lg_loop_units(k.loop) * n * k.loop->ob) * 8;
        lg_own(s, OWN_PARTIAL, at, bytes);
    }
    x->cost = lg_kernel_cost(k.loop);
    x->serial = x->cost < SERIAL_NS || lg_loop_units(k.loop) < 2;
}

static void room_for_places(planner *s, lg_step *x, int n_in, int n_out) {
    x->n_in = n_in;
    x->n_out = n_out;
    x->in = LG_NEW_N(s->p->mem, lg_place, n_in + 1);
    x->out = LG_NEW_N(s->p->mem, lg_place, n_out + 1);
}

static void add_product(planner *s, lg_node *n) {
    lg_step *x = add_step(s, LG_S_DOT, n);
    lg_dot d = lg_dot_of(n);
    const lg_product *q = &d.p;
    room_for_places(s, x, d.n_in, 1);
    x->product = lg_arena_dup(s->p->mem, q, sizeof *q);
    if (d.is_coded) {
        x->coded = lg_arena_dup(s->p->mem, d.coded, sizeof d.coded);
        x->coded_fn = q->type == LG_I32 ? lg_gemm_bytes : lg_gemm_coded;
    } else {
        x->product_fn = lg_gemm;
    }
    x->product_scratch = x->coded_fn == lg_gemm_bytes   ? lg_gemm_bytes_scratch(q)
                         : x->coded_fn == lg_gemm_coded ? lg_gemm_coded_scratch(q)
                                                        : lg_gemm_scratch(q);
    x->rows_fn = lg_gemm_rows;
    x->pack_fn = lg_gemm_pack;
    x->packed_fn = lg_gemm_by_panels;
    x->cost = 30 + (double)(2 * q->batch * q->m * q->n) * (double)q->k / 100;
    x->serial = x->cost < SERIAL_NS;
}

lg_node *const *lg_inputs_of(const lg_step *x, lg_dot *d) {
    lg_strides at;
    for (int k = 0; x->at && k < x->n_in; k++)
        d->in[k] = lg_strides_of(x->node->in[k], &at);
    if (x->at)
        return d->in;
    if (x->kind != LG_S_DOT)
        return x->node->in;
    *d = lg_dot_of(x->node);
    return d->in;
}

static size_t row_bytes(const lg_type *t) {
    size_t n = lg_dtype_size(t->dtype);
    for (int d = 1; d < t->rank; d++)
        n *= (size_t)t->shape[d];
    return n;
}

/* Yields that are a carry as it was before the round, or is after it: then the carry stands in
 * their rows. By yield: `elsewhere`. */
static void join_carries(planner *s, const lg_scan_attr *a, lg_step *x, bool *elsewhere) {
    const lg_graph *b = a->body;
    x->was = LG_NEW_N(s->p->mem, int, a->n_carry + 1);
    x->now = LG_NEW_N(s->p->mem, int, a->n_carry + 1);
    for (int c = 0; c < a->n_carry && a->stop < 0; c++) {
        lg_node *in = b->input.at[c], *out = lg_storage_of(b->output.at[c].node);
        for (int k = a->n_carry; k < (int)b->output.n && !x->was[c]; k++)
            if (lg_storage_of(b->output.at[k].node) == in)
                x->was[c] = k;
        bool made = out->op->cls != LG_C_INPUT && out->op->cls != LG_C_CONST && !x->was[c];
        for (int j = 0; j < c; j++) /* two carries that are one value have it in one place */
            made = made && lg_storage_of(b->output.at[j].node) != out;
        for (int k = a->n_carry; k < (int)b->output.n && made && !x->now[c]; k++)
            if (lg_storage_of(b->output.at[k].node) == out)
                x->now[c] = k;
        if (x->was[c] || x->now[c])
            elsewhere[x->was[c] ? x->was[c] : x->now[c]] = true;
    }
}

/* Threads may take rows of the batch when the body keeps them apart. */
static void cut_rows(const planner *s, lg_step *x) {
    const lg_plan *body = x->sub[0];
    x->lone = x->serial;
    x->rows = body->rows;
    x->unit = body->unit;
    if (!x->rows || x->cost < 2 * SERIAL_NS || s->p->opts.check_nan) {
        x->rows = 0;
        return;
    }
    x->serial = false;
    for (int k = 0; k < body->n_step; k++) {
        const lg_product *q = body->step[k].product;
        body->step[k].serial = false;
        if (q && q->batch == 1)
            x->weights += (size_t)(q->n * q->k) * lg_dtype_size(q->type);
    }
}

static void add_scan(planner *s, lg_node *n) {
    const lg_scan_attr *a = n->attr.scan;
    bool *elsewhere = LG_NEW_N(s->p->mem, bool, a->body->output.n + 1);
    lg_step *x = add_step(s, LG_S_SCAN, n);
    int at = (int)s->step.n - 1;
    join_carries(s, a, x, elsewhere);
    for (int k = 0; k < a->n_carry; k++)
        a->body->output.at[k].donates = x->was[k] || x->now[k] ? -1 : k;
    lg_plan *body = plan_graph(a->body, &s->p->opts, a, elsewhere);
    room_for_places(s, x, n->n_in, n->n_out);
    x->sub[0] = body;
    x->swap = LG_NEW_N(s->p->mem, lg_place, a->n_carry + 1);
    x->stride = LG_NEW_N(s->p->mem, size_t, n->n_in + n->n_out + 1);
    for (int k = a->n_carry; k < a->n_carry + a->n_xs; k++)
        x->stride[k] = row_bytes(&n->in[k]->type[0]);
    for (int k = a->n_carry; k < n->n_out; k++)
        x->stride[n->n_in + k] = row_bytes(&n->type[k]);
    x->cost = 100 + (double)a->trip * (body->cost + 20);
    x->serial = true;
    for (int k = 0; k < body->n_step; k++)
        x->serial = x->serial && body->step[k].serial;
    cut_rows(s, x);
    for (int k = 0; k < a->n_carry; k++)
        if (body->swaps[k])
            lg_own(s, OWN_SWAP + k, at, s->val[s->first[n->id] + k].bytes);
    lg_own(s, OWN_SUB, at, body->workspace);
}

static void add_cond(planner *s, lg_node *n) {
    lg_plan *yes = plan_graph(n->attr.cond->then_, &s->p->opts, NULL, NULL);
    lg_plan *no = plan_graph(n->attr.cond->else_, &s->p->opts, NULL, NULL);
    lg_step *x = add_step(s, LG_S_COND, n);
    int at = (int)s->step.n - 1;
    room_for_places(s, x, n->n_in, n->n_out);
    x->sub[0] = yes;
    x->sub[1] = no;
    x->cost = 30 + (yes->cost > no->cost ? yes->cost : no->cost);
    x->serial = true;
    for (int b = 0; b < 2; b++)
        for (int k = 0; k < x->sub[b]->n_step; k++)
            x->serial = x->serial && x->sub[b]->step[k].serial;
    size_t bytes = yes->workspace > no->workspace ? yes->workspace : no->workspace;
    lg_own(s, OWN_SUB, at, bytes);
}

static void add_run(planner *s, lg_node *n) {
    assert(n->op->run);
    lg_step *x = add_step(s, LG_S_RUN, n);
    int at = (int)s->step.n - 1;
    room_for_places(s, x, n->n_in, n->n_out);
    x->serial = true;
    int64_t flops = n->op->flops ? n->op->flops(n) : 0;
    x->cost = 50 + (double)flops / 10;
    for (int k = 0; k < n->n_out; k++)
        x->cost += (double)s->val[s->first[n->id] + k].bytes / 8;
    if (n->op->traits & LG_T_STRIDED && !s->f.no_fuse) {
        lg_strides *of = LG_NEW_N(s->p->mem, lg_strides, n->n_in + 1);
        for (int k = 0; k < n->n_in; k++)
            lg_strides_of(n->in[k], &of[k]);
        x->at = of;
    }
    if (n->op->scratch)
        lg_own(s, OWN_SCRATCH, at, n->op->scratch(n));
}

static void add_group(planner *s, const lg_group *g) {
    lg_node *n = g->node.at[0];
    if (!g->opaque)
        add_loop(s, g);
    else if (s->f.joined[n->id])
        return; /* its parts are where they belong */
    else if (n->op->cls == LG_C_DOT && !s->f.no_fuse)
        add_product(s, n);
    else if (n->op->cls == LG_C_SCAN)
        add_scan(s, n);
    else if (n->op->cls == LG_C_COND)
        add_cond(s, n);
    else
        add_run(s, n);
}

static int by_seq(const void *a, const void *b) {
    const lg_group *x = *(lg_group *const *)a, *y = *(lg_group *const *)b;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static lg_step *add_copy(planner *s, const lg_node *node, size_t bytes) {
    lg_step *x = add_step(s, LG_S_COPY, node);
    room_for_places(s, x, 1, 1);
    x->bytes = bytes;
    x->serial = true;
    x->cost = 10 + (double)bytes / 10;
    return x;
}

void lg_reorder(planner *s, const int *order) {
    int n = (int)s->step.n, *now = lg_alloc(((size_t)n + 1) * sizeof *now);
    lg_step *step = lg_alloc(((size_t)n + 1) * sizeof *step);
    lg_kernel *kernel = lg_alloc(((size_t)n + 1) * sizeof *kernel);
    for (int k = 0; k < n; k++) {
        step[k] = s->step.at[order[k]];
        kernel[k] = s->kernel.at[order[k]];
        now[order[k]] = k;
    }
    for (int k = 0; k < n; k++) {
        s->step.at[k] = step[k];
        s->kernel.at[k] = kernel[k];
    }
    for (size_t k = 0; k < s->block.n; k++)
        s->block.at[k].from = s->block.at[k].to = now[s->block.at[k].from];
    for (size_t k = 1; k < s->own.n; k += 3)
        s->own.at[k] = now[s->own.at[k]];
    lg_free(now);
    lg_free(step);
    lg_free(kernel);
}

/* Steps as order.c wants them. */
static void order_steps(planner *s) {
    if (!s->step.n)
        return;
    int n = (int)s->step.n, *order = lg_alloc(((size_t)n + 1) * sizeof *order);
    lg_order_steps(s->g, n, s->step.at, s->kernel.at, s->n_begin, order);
    lg_reorder(s, order);
    lg_free(order);
}

/* ---- lifetimes ---- */

static void reads(planner *s, lg_node *x, int step) {
    value *v = &s->val[lg_value_of(s, x)];
    v->last = step > v->last ? step : v->last;
}

static void writes(planner *s, int v, int step) {
    if (s->val[v].def < 0)
        s->val[v].def = step;
    s->val[v].last = step > s->val[v].last ? step : s->val[v].last;
}

static void live(planner *s) {
    for (int k = 0; k < (int)s->step.n; k++) {
        const lg_step *x = &s->step.at[k];
        const lg_kernel *l = &s->kernel.at[k];
        if (x->kind == LG_S_COPY)
            continue;
        for (size_t j = 0; j < l->touch.n; j++)
            if (l->touch.at[j].write)
                writes(s, lg_value_of(s, l->touch.at[j].node), k);
            else
                reads(s, l->touch.at[j].node, k);
        if (x->kind == LG_S_LOOP)
            continue;
        lg_dot d;
        lg_node *const *in = lg_inputs_of(x, &d);
        for (int j = 0; j < x->n_in; j++)
            reads(s, in[j], k);
        for (int j = 0; j < x->node->n_out; j++)
            writes(s, s->first[x->node->id] + j, k);
    }
}

/* ---- in place ---- */

static bool same_walk(const lg_walk *a, const lg_walk *b) {
    return a->rank == b->rank && memcmp(a->n, b->n, (size_t)a->rank * sizeof *a->n) == 0 &&
           memcmp(a->stride, b->stride, (size_t)a->rank * sizeof *a->n) == 0;
}

static bool same_access(const lg_access *a, const lg_access *b) {
    return a->base == b->base && a->size == b->size && same_walk(&a->o, &b->o) &&
           same_walk(&a->i, &b->i);
}

static bool loop_in_place(const planner *s, int step, int u, int v) {
    const lg_kernel *k = &s->kernel.at[step];
    const lg_access *to = NULL;
    if (!k->loop->whole && k->loop->n_passes > 1)
        return false;
    for (size_t j = 0; j < k->touch.n; j++)
        if (k->touch.at[j].write && lg_value_of(s, k->touch.at[j].node) == v)
            to = k->touch.at[j].acc;
    for (size_t j = 0; j < k->touch.n; j++) {
        const lg_touch *t = &k->touch.at[j];
        if (!t->write && lg_value_of(s, t->node) == u &&
            (!t->acc || !to || !same_access(t->acc, to)))
            return false;
    }
    return to != NULL;
}

/* Step may write value v over value u, which it reads. */
static bool in_place(const planner *s, int step, int u, int v) {
    const lg_step *x = &s->step.at[step];
    if (x->kind == LG_S_LOOP)
        return loop_in_place(s, step, u, v);
    lg_node *n = (lg_node *)(uintptr_t)x->node;
    int mine = v - s->first[n->id];
    bool scan = x->kind == LG_S_SCAN && mine < n->attr.scan->n_carry;
    if (!scan && n->op->cls != LG_C_SCATTER)
        return false;
    if (mine >= n->n_in ||
        lg_value_of(s, n->in[mine]) != u) /* most fail here, before the long look */
        return false;
    for (int k = 0; k < n->n_in; k++)
        if ((lg_value_of(s, n->in[k]) == u) != (k == mine))
            return false;
    return true;
}

/* ---- outputs ---- */

/* Output k may be made where it belongs although that may be the buffer of input `slot`. */
static bool can_replace(const planner *s, int v, int slot) {
    int u = s->first[s->g->input.at[slot]->id], def = s->val[v].def;
    return s->val[u].last < def || (s->val[u].last == def && in_place(s, def, u, v));
}

static bool donated(const planner *s, int slot, size_t but) {
    for (size_t k = 0; k < s->g->output.n; k++)
        if (k != but && s->g->output.at[k].donates == slot)
            return true;
    return false;
}

/* An output that is an input itself, copied before anything is written. */
static bool pass_through(planner *s, size_t k, int v) {
    const lg_output *o = &s->g->output.at[k];
    int slot = s->val[v].at.slot;
    return s->val[v].at.base == LG_AT_IN && o->donates != slot && donated(s, slot, k);
}

static bool is_elsewhere(const planner *s, size_t k) {
    return s->elsewhere && s->elsewhere[k];
}

/* Copies at the start: what later steps may overwrite. Made before the steps are numbered. */
static void begin_copies(planner *s) {
    for (size_t k = 0; k < s->g->output.n; k++) {
        lg_output *o = &s->g->output.at[k];
        int v = lg_value_of(s, o->node);
        if (is_elsewhere(s, k) || !pass_through(s, k, v))
            continue;
        lg_step *x = add_copy(s, lg_storage_of(o->node), s->val[v].bytes);
        x->in[0] = s->val[v].at;
        x->out[0] = (lg_place){.base = LG_AT_OUT, .slot = (int)k};
        if (s->may_swap && o->donates >= 0)
            s->p->swaps[k] = true;
        else if (o->donates >= 0)
            x->out[0].base = LG_AT_NONE; /* to a buffer between */
        s->n_begin++;
    }
}

/* The buffer between of begin copy number `nth`. */
static void late_copy(planner *s, int nth, size_t k, size_t bytes) {
    lg_step *y = add_copy(s, s->g->output.at[k].node, bytes);
    y->out[0] = (lg_place){.base = LG_AT_OUT, .slot = (int)k};
    lg_block b = {.bytes = bytes, .from = 0, .to = INT32_MAX};
    LG_PUSH(s->block, b);
    attach(s, OWN_COPY_OUT, nth, (int)s->block.n - 1);
    attach(s, OWN_COPY_IN, (int)s->step.n - 1, (int)s->block.n - 1);
}

static void place_output(planner *s, size_t k, int *nth) {
    const lg_output *o = &s->g->output.at[k];
    int v = lg_value_of(s, o->node);
    value *w = &s->val[v];
    if (is_elsewhere(s, k))
        return;
    if (pass_through(s, k, v)) {
        int mine = (*nth)++;
        if (s->step.at[mine].out[0].base == LG_AT_NONE)
            late_copy(s, mine, k, w->bytes);
        return;
    }
    if (w->at.base == LG_AT_NONE) {
        bool ok = o->donates < 0 || can_replace(s, v, o->donates);
        if (!ok && s->may_swap)
            ok = s->p->swaps[k] = true;
        if (ok) {
            w->at = (lg_place){.base = LG_AT_OUT, .slot = (int)k};
            return;
        }
    }
    w->last = INT32_MAX;
    lg_step *x = add_copy(s, lg_storage_of(o->node), w->bytes);
    x->in[0].slot = v; /* filled in when values have places */
    x->out[0] = (lg_place){.base = LG_AT_OUT, .slot = (int)k};
}

/* ---- workspace ---- */

/* Values that die where v is made and may lend it their buffer. */
static bool take_over(planner *s, int v) {
    value *w = &s->val[v];
    const lg_step *x = &s->step.at[w->def];
    const lg_kernel *l = &s->kernel.at[w->def];
    size_t n = x->kind == LG_S_LOOP                          ? l->touch.n
               : x->kind == LG_S_RUN || x->kind == LG_S_SCAN ? (size_t)x->node->n_in
                                                             : 0;
    size_t j = 0;
    if (x->kind != LG_S_LOOP && n) { /* only what the value is the next one of */
        j = (size_t)(v - s->first[x->node->id]);
        n = j < n ? j + 1 : 0;
    }
    for (; j < n; j++) {
        if (x->kind == LG_S_LOOP && l->touch.at[j].write)
            continue;
        int u = lg_value_of(s, x->kind == LG_S_LOOP ? l->touch.at[j].node : x->node->in[j]);
        const value *from = &s->val[u];
        if (from->block < 0 || from->last != w->def || from->def == w->def || from->shared ||
            from->bytes != w->bytes || s->block.at[from->block].to != w->def ||
            !in_place(s, w->def, u, v))
            continue;
        w->block = from->block;
        s->block.at[w->block].to = w->last;
        return true;
    }
    return false;
}

static int by_def(const void *a, const void *b) {
    const value *x = *(value *const *)a, *y = *(value *const *)b;
    return x->def != y->def ? (x->def < y->def ? -1 : 1) : x < y ? -1 : x > y;
}

/* The step in which most of the workspace is in use. */
static int peak_of(const planner *s) {
    int n = (int)s->step.n, peak = 0;
    int64_t *more = lg_alloc(((size_t)n + 2) * sizeof *more), now = 0, most = 0;
    for (size_t k = 0; k < s->block.n; k++) {
        const lg_block *b = &s->block.at[k];
        more[b->from] += (int64_t)b->bytes;
        more[b->to < n ? b->to + 1 : n] -= (int64_t)b->bytes;
    }
    for (int k = 0; k < n; k++) {
        now += more[k];
        peak = now > most ? k : peak;
        most = now > most ? now : most;
    }
    lg_free(more);
    return peak;
}

static void place_values(planner *s) {
    value **order = lg_alloc(((size_t)s->n_val + 1) * sizeof *order);
    size_t n = 0;
    for (int v = 0; v < s->n_val; v++)
        if (s->val[v].at.base == LG_AT_NONE && s->val[v].def >= 0)
            order[n++] = &s->val[v];
    qsort(order, n, sizeof *order, by_def);
    for (size_t k = 0; k < n; k++) {
        value *w = order[k];
        if (take_over(s, (int)(w - s->val)))
            continue;
        lg_block b = {.bytes = w->bytes ? w->bytes : 1, .from = w->def, .to = w->last};
        w->block = (int)s->block.n;
        LG_PUSH(s->block, b);
    }
    lg_together_widen(s);
    s->p->workspace = lg_blocks_place(s->block.at, s->block.n);
    s->p->peak = peak_of(s);
    for (size_t k = 0; k < n; k++)
        order[k]->at = (lg_place){.base = LG_AT_ARENA, .off = s->block.at[order[k]->block].off};
    lg_free(order);
}

static void place_owned(planner *s) {
    for (size_t k = 0; k + 2 < s->own.n; k += 3) {
        int what = s->own.at[k];
        lg_step *x = &s->step.at[s->own.at[k + 1]];
        lg_place at = {.base = LG_AT_ARENA, .off = s->block.at[s->own.at[k + 2]].off};
        if (what == OWN_SCRATCH)
            x->scratch = at;
        else if (what == OWN_SUB)
            x->sub_arena = at;
        else if (what == OWN_PARTIAL)
            x->loop->partial = at;
        else if (what == OWN_COPY_OUT)
            x->out[0] = at;
        else if (what == OWN_COPY_IN)
            x->in[0] = at;
        else if (what == OWN_PANELS)
            x->panels = at;
        else
            x->swap[what - OWN_SWAP] = at;
    }
}

static lg_place place_of(const planner *s, lg_node *x) {
    return s->val[lg_value_of(s, x)].at;
}

static void fill_places(planner *s) {
    for (size_t k = 0; k < s->step.n; k++) {
        lg_step *x = &s->step.at[k];
        lg_kernel *l = &s->kernel.at[k];
        for (size_t j = 0; j < l->touch.n; j++)
            *l->touch.at[j].place = place_of(s, l->touch.at[j].node);
        lg_node *n = (lg_node *)(uintptr_t)x->node;
        if (x->kind == LG_S_COPY) {
            if (x->in[0].base == LG_AT_NONE)
                x->in[0] = s->val[x->in[0].slot].at;
            continue;
        }
        if (x->kind == LG_S_LOOP && s->f.no_fuse)
            room_for_places(s, x, n->n_in, 1);
        lg_dot d;
        lg_node *const *in = lg_inputs_of(x, &d);
        for (int j = 0; j < x->n_in; j++)
            x->in[j] = place_of(s, in[j]);
        for (int j = 0; j < x->n_out; j++)
            x->out[j] = s->val[s->first[n->id] + j].at;
    }
}

/* ---- the plan ---- */

typedef struct {
    const planner *s;
} alias_ctx;

static bool may_alias(void *ctx, const lg_place *a, const lg_place *b) {
    const planner *s = ((const alias_ctx *)ctx)->s;
    if (a->base == LG_AT_IN && b->base == LG_AT_OUT)
        return s->g->output.at[b->slot].donates == a->slot;
    if (a->base == LG_AT_OUT && b->base == LG_AT_IN)
        return may_alias(ctx, b, a);
    return a->base == b->base && a->base != LG_AT_CONST && a->slot == b->slot && a->off == b->off;
}

static int64_t touched_bytes(const planner *s, size_t k) {
    const lg_step *x = &s->step.at[k];
    const lg_kernel *l = &s->kernel.at[k];
    int64_t n = 0;
    for (size_t j = 0; j < l->touch.n; j++)
        n += (int64_t)s->val[lg_value_of(s, l->touch.at[j].node)].bytes;
    if (x->kind == LG_S_COPY)
        return 2 * (int64_t)x->bytes;
    lg_dot d;
    lg_node *const *in = lg_inputs_of(x, &d);
    for (int j = 0; j < x->n_in && x->kind != LG_S_LOOP; j++)
        n += (int64_t)s->val[lg_value_of(s, in[j])].bytes;
    for (int j = 0; j < x->n_out && x->kind != LG_S_LOOP; j++)
        n += (int64_t)s->val[s->first[x->node->id] + j].bytes;
    return n;
}

/* Results so large that caches would lose them before anybody reads them, and that stand where
 * nothing is read. */
static void mark_streams(const planner *s, int step) {
    enum { TRAFFIC = 48 << 20, LEAST = 8 << 20 };
    const lg_kernel *k = &s->kernel.at[step];
    alias_ctx ctx = {s};
    bool columns = k->loop->fast_o && k->loop->n_i > 1; /* those gain nothing by it */
    if (s->f.no_fuse || columns || touched_bytes(s, (size_t)step) < TRAFFIC)
        return;
    for (size_t j = 0; j < k->touch.n; j++) {
        const lg_touch *t = &k->touch.at[j];
        const value *v = &s->val[lg_value_of(s, t->node)];
        bool fits = t->write && t->acc && v->bytes >= LEAST && v->last <= step;
        for (size_t i = 0; i < k->touch.n && fits; i++)
            fits = k->touch.at[i].write || !may_alias(&ctx, k->touch.at[i].place, t->place);
        for (int i = 0; i < k->loop->n_instr && fits; i++)
            if (k->loop->instr[i].kind == LG_I_STORE && k->loop->instr[i].acc == t->acc)
                k->loop->instr[i].stream = true;
    }
}

static void finish_kernels(planner *s) {
    alias_ctx ctx = {s};
    for (size_t k = 0; k < s->step.n; k++)
        if (s->step.at[k].loop)
            mark_streams(s, (int)k);
    for (size_t k = 0; k < s->step.n; k++)
        if (s->step.at[k].loop)
            lg_kernel_finish(&s->kernel.at[k], s->p->mem, may_alias, &ctx);
}

static int pointers(const lg_step *x) {
    int n = x->n_in + x->n_out + 1, most = 0;
    for (int b = 0; b < 2; b++)
        if (x->sub[b] && x->sub[b]->n_pointer > most)
            most = x->sub[b]->n_pointer;
    if (x->kind == LG_S_SCAN)
        n += 2 * x->node->attr.scan->n_carry;
    return n + most;
}

static int64_t step_flops(const lg_step *x) {
    if (x->kind == LG_S_DOT)
        return 2 * x->product->batch * x->product->m * x->product->n * x->product->k;
    if (x->kind == LG_S_RUN)
        return x->node->op->flops ? x->node->op->flops(x->node) : 0;
    int64_t n = 0;
    for (int j = 0; x->loop && j < x->loop->n_instr; j++)
        if (x->loop->instr[j].kind == LG_I_ELEM || x->loop->instr[j].kind == LG_I_REDUCE)
            n += x->loop->n_o * (x->loop->instr[j].row ? 1 : x->loop->n_i);
    return n;
}

static void count(planner *s) {
    lg_plan *p = s->p;
    for (size_t k = 0; k < s->step.n; k++) {
        lg_step *x = &s->step.at[k];
        int64_t rounds = x->kind == LG_S_SCAN ? x->node->attr.scan->trip : 1;
        size_t mine = x->loop ? x->loop->scratch : x->product_scratch;
        p->cost += x->cost;
        p->stats.flops += step_flops(x);
        x->traffic = touched_bytes(s, k);
        p->stats.bytes += x->traffic;
        p->stats.n_kernels++;
        for (int b = 0; b < 2; b++)
            if (x->sub[b]) {
                p->stats.plan_bytes += x->sub[b]->stats.plan_bytes;
                p->stats.flops += rounds * x->sub[b]->stats.flops;
                p->stats.bytes += rounds * x->sub[b]->stats.bytes;
                p->stats.n_kernels += x->sub[b]->stats.n_kernels;
                p->stats.n_nodes += x->sub[b]->stats.n_nodes;
                size_t its = x->sub[b]->thread_bytes + (x->rows ? lg_plan_apart(x->sub[b]) : 0);
                mine = its > mine ? its : mine;
            }
        p->thread_bytes = mine > p->thread_bytes ? mine : p->thread_bytes;
        int n = pointers(x);
        p->n_pointer = n > p->n_pointer ? n : p->n_pointer;
    }
    p->stats.n_nodes += (int)s->g->node.n;
    p->stats.arena_bytes = p->workspace;
    for (size_t k = 0; k < s->g->node.n; k++) {
        const lg_node *x = s->g->node.at[k];
        if (x->op->cls == LG_C_INPUT || x->op->cls == LG_C_CONST)
            p->stats.io_bytes += s->val[s->first[k]].bytes;
    }
    for (size_t k = 0; k < s->g->output.n; k++)
        if (s->g->output.at[k].donates < 0)
            p->stats.io_bytes += s->val[lg_value_of(s, s->g->output.at[k].node)].bytes;
}

static void release(planner *s) {
    for (size_t k = 0; k < s->kernel.n; k++)
        lg_free(s->kernel.at[k].touch.at);
    lg_free(s->kernel.at);
    lg_free(s->step.at);
    lg_free(s->block.at);
    lg_free(s->own.at);
    lg_free(s->first);
    lg_free(s->val);
    lg_fuse_free(&s->f);
}

static lg_plan *plan_graph(lg_graph *g, const lg_plan_opts *o, const lg_scan_attr *body,
                           const bool *elsewhere) {
    lg_plan *p = lg_alloc(sizeof *p);
    p->mem = lg_arena_new();
    p->graph = g;
    p->opts = *o;
    p->n_in = (int)g->input.n;
    p->n_out = (int)g->output.n;
    p->swaps = LG_NEW_N(p->mem, bool, p->n_out + 1);
    planner s = {.g = g, .p = p, .may_swap = body != NULL, .elsewhere = elsewhere};
    lg_fuse(&s.f, g, o->no_fuse || o->check_nan);
    number_values(&s);
    begin_copies(&s);
    if (s.f.group.n)
        qsort(s.f.group.at, s.f.group.n, sizeof *s.f.group.at, by_seq);
    for (size_t k = 0; k < s.f.group.n; k++)
        if (s.f.group.at[k]->node.n)
            add_group(&s, s.f.group.at[k]);
    if (!s.f.no_fuse)
        order_steps(&s);
    lg_stretches_find(&s);
    live(&s);
    lg_together_find(&s);
    int nth = 0;
    for (size_t k = 0; k < g->output.n; k++)
        place_output(&s, k, &nth);
    place_values(&s);
    place_owned(&s);
    fill_places(&s);
    finish_kernels(&s);
    count(&s);
    p->n_step = (int)s.step.n;
    p->step = lg_arena_dup(p->mem, s.step.n ? (const void *)s.step.at : (const void *)p,
                           s.step.n * sizeof *p->step);
    p->stats.plan_bytes += lg_arena_used(p->mem);
    if (body && body->stop < 0 && !o->no_fuse)
        p->rows = lg_rows_of(g, p->step, s.kernel.at, s.step.n, body->n_carry, &p->unit);
    release(&s);
    return p;
}

static void dump(const lg_plan_opts *o, const char *phase, const lg_graph *g, const lg_plan *p) {
    if (!o->dump || strcmp(o->dump, phase) != 0)
        return;
    if (p)
        (strcmp(phase, "dot") ? lg_plan_print : lg_plan_dot)(p, stdout);
    else
        lg_graph_print(g, stdout);
}

/* Debug builds verify the graph after every pass, and name the pass that broke it. */
static void verify(const lg_graph *g, const char *pass) {
#ifndef NDEBUG
    char *bad = lg_graph_verify(g);
    if (bad) {
        fprintf(stderr, "lg: after %s: %s\n", pass, bad);
        abort();
    }
#else
    (void)g;
    (void)pass;
#endif
}

static lg_plan *plan_whole(lg_graph *g, const lg_plan_opts *o) {
    verify(g, "rematerialisation");
    return plan_graph(g, o, NULL, NULL);
}

lg_plan *lg_plan_new(lg_graph *g, const lg_plan_opts *opts) {
    static const struct {
        const char *name;
        void (*run)(lg_graph *g);
    } passes[] = {{"simplify", lg_pass_simplify},
                  {"contract", lg_pass_contract},
                  {"attention", lg_pass_attention},
                  {"loops", lg_pass_loops},
                  {"ends", lg_pass_ends},
                  {"bundle", lg_pass_bundle},
                  {"layout", lg_pass_layout}};
    lg_plan_opts o = opts ? *opts : (lg_plan_opts){0};
    dump(&o, "graph", g, NULL);
    verify(g, "the front end");
    for (size_t k = 0; k < LG_COUNT(passes) && !o.no_simplify; k++) {
        passes[k].run(g);
        verify(g, passes[k].name);
    }
    lg_pass_dead(g);
    verify(g, "dead code");
    dump(&o, "grad", g, NULL);
    lg_plan *p = plan_graph(g, &o, NULL, NULL);
    int most = lg_pool_threads();
    p->small = p->cost < ALONE_NS;
    p->threads = p->small ? 1 : o.threads > 0 && o.threads < most ? o.threads : most;
    if (o.most && lg_plan_room(p) > o.most)
        p = lg_remat(g, p, &o, plan_whole);
    dump(&o, "plan", g, p);
    if (!lg_profile_on())
        dump(&o, "dot", g, p);
    if (lg_plan_reserve(p))
        return p;
    if (!o.may_fail)
        lg_out_of_memory(p->base_bytes);
    if (o.needed)
        *o.needed = p->base_bytes;
    lg_plan_free(p);
    return NULL;
}

void lg_plan_free(lg_plan *p) {
    if (!p)
        return;
    if (p->room && lg_profile_on()) {
        dump(&p->opts, "dot", p->graph, p); /* now that times are known */
        lg_profile_add(p);
    }
    for (int k = 0; k < p->n_step; k++)
        for (int b = 0; b < 2; b++)
            lg_plan_free(p->step[k].sub[b]);
    lg_room_free(&p->own);
    lg_arena_free(p->mem);
    lg_free(p);
}

lg_plan_stats lg_plan_get_stats(const lg_plan *p) {
    return p->stats;
}

static bool is_oversized(const lg_type *t) {
    enum { MOST_BITS = 46 };
    const int64_t most = (int64_t)1 << MOST_BITS;
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++)
        if (!t->shape[d])
            return false;
    for (int d = 0; d < t->rank; d++) {
        if (n > most / t->shape[d])
            return true;
        n *= t->shape[d];
    }
    return false;
}

const lg_node *lg_plan_oversized(const lg_graph *g) {
    for (size_t i = 0; i < g->node.n; i++) {
        const lg_node *n = g->node.at[i], *inner = NULL;
        for (int k = 0; k < n->n_out; k++)
            if (is_oversized(&n->type[k]))
                return n;
        if (n->attr.scan)
            inner = lg_plan_oversized(n->attr.scan->body);
        if (n->attr.cond)
            inner = lg_plan_oversized(n->attr.cond->then_);
        if (n->attr.cond && !inner)
            inner = lg_plan_oversized(n->attr.cond->else_);
        if (inner)
            return inner;
    }
    return NULL;
}

double lg_type_room(const lg_type *t) {
    double bytes = (double)lg_dtype_size(t->dtype);
    for (int d = 0; d < t->rank; d++)
        bytes *= (double)t->shape[d];
    return bytes;
}

bool lg_plan_too_large(lg_fault *fault, const lg_node *n, double bytes) {
    char need[LG_SIZE_TEXT], there[LG_SIZE_TEXT];
    if (fault) {
        *fault = (lg_fault){.set = true, .code = "E0437", .row = -1};
        if (n)
            fault->at = n->span;
        if (n)
            bytes = lg_type_room(&n->type[0]);
        snprintf(fault->text, sizeof fault->text,
                 "these values do not fit into memory: they need %s, and %s are there",
                 lg_size_text(need, bytes), lg_size_text(there, lg_memory_there()));
    }
    return false;
}

bool lg_graph_eval(lg_graph *g, lg_tensor *const *in, lg_tensor **out, lg_fault *fault) {
    const lg_node *big = lg_plan_oversized(g);
    if (big)
        return lg_plan_too_large(fault, big, 0);
    size_t needed = 0;
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.may_fail = true, .needed = &needed});
    if (!p)
        return lg_plan_too_large(fault, NULL, (double)needed);
    const void **from = lg_alloc(((size_t)p->n_in + 1) * sizeof *from);
    void **to = lg_alloc(((size_t)p->n_out + 1) * sizeof *to);
    bool fits = true;
    double bytes = 0;
    for (int k = 0; k < p->n_in; k++)
        from[k] = in[k]->data;
    for (int k = 0; k < p->n_out; k++) {
        const lg_type *t = &g->output.at[k].node->type[0];
        out[k] = lg_tensor_try(t->dtype, t->rank, t->shape);
        fits = fits && out[k];
        bytes += lg_type_room(t);
        to[k] = out[k] ? out[k]->data : NULL;
    }
    bool ok = fits ? lg_plan_run(p, from, to, fault) : lg_plan_too_large(fault, NULL, bytes);
    for (int k = 0; k < p->n_out && !ok; k++) {
        lg_tensor_release(out[k]);
        out[k] = NULL;
    }
    lg_free(from);
    lg_free(to);
    lg_plan_free(p);
    return ok;
}
