/* scans.c: loops whose bodies keep the rows of a batch apart are run row by row, with the bits of
 * one thread; others are not. Carries that a yield keeps stand in its rows, and results that are
 * joined are written where they belong: a body has no step that copies. */
#include "runtime/exec.h"
#include "tests/engine/graphs.h"
#include <stdlib.h>
#include <string.h>

enum { TRIP = 9, BATCH = 48, WIDE = 64, GATES = 4 * WIDE };

static float *numbers(size_t n) {
    float *x = lg_alloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(rand() % 2001 - 1000) / 1000;
    return x;
}

static const lg_step *scan_of(const lg_plan *p) {
    for (int k = 0; k < p->n_step; k++)
        if (p->step[k].kind == LG_S_SCAN)
            return &p->step[k];
    return NULL;
}

static int count(const lg_plan *p, lg_step_kind kind) {
    int n = 0;
    for (int k = 0; k < p->n_step; k++)
        n += p->step[k].kind == kind;
    return n;
}

static lg_node *body_input(lg_graph *b, int rank, const int64_t *shape) {
    return lg_g_input(b, lg_type_make(LG_F32, rank, shape), at);
}

static lg_node *slice(lg_graph *b, lg_node *x, int k) {
    return lg_g_slice(b, x, 1, k * WIDE, WIDE, 1, at);
}

static lg_node *elem(lg_graph *b, const char *name, lg_node *x, lg_node *y) {
    return lg_g_elem(b, lg_op_find(name), y ? 2 : 1, (lg_node *[]){x, y}, at);
}

/* h, c -> gates of h @ w + x, joined again and yielded with both states before and h after the
 * round. `mixed`: h is moved by its mean over the batch, so rows are not apart. */
static void gated(bool rev, bool mixed) {
    g = lg_graph_new(NULL);
    lg_graph *b = lg_graph_new(g);
    lg_node *h0 = input(LG_F32, SHAPE(BATCH, WIDE)), *c0 = input(LG_F32, SHAPE(BATCH, WIDE));
    lg_node *xs = input(LG_F32, SHAPE(TRIP, BATCH, GATES)), *w = input(LG_F32, SHAPE(WIDE, GATES));
    lg_node *h = body_input(b, SHAPE(BATCH, WIDE)), *c = body_input(b, SHAPE(BATCH, WIDE));
    lg_node *x = body_input(b, SHAPE(BATCH, GATES));
    lg_g_input(b, lg_type_make(LG_I64, 0, NULL), at);
    lg_node *v = body_input(b, SHAPE(WIDE, GATES));
    lg_node *z = elem(b, "add", lg_g_dot(b, h, v, at), x), *part[4];
    for (int k = 0; k < 4; k++)
        part[k] = elem(b, k == 2 ? "tanh" : "sigmoid", slice(b, z, k), NULL);
    lg_node *c1 = elem(b, "add", elem(b, "mul", part[1], c), elem(b, "mul", part[0], part[2]));
    lg_node *h1 = elem(b, "mul", part[3], elem(b, "tanh", c1, NULL));
    if (mixed) {
        lg_node *all = lg_g_reduce(b, lg_op_find("sum"), h1, 1, at);
        h1 = elem(b, "add", h1, lg_g_broadcast(b, all, SHAPE(BATCH, WIDE), (int[]){-1, 0}, at));
    }
    for (int k = 0; k < 4; k++)
        part[k] = elem(b, "mul", part[k], part[k]);
    lg_node *out[] = {h1, c1, h, c, h1, lg_g_concat(b, 4, part, 1, at)};
    for (size_t k = 0; k < LG_COUNT(out); k++)
        lg_g_output(b, out[k], -1, NULL);
    lg_scan_attr s = {.trip = TRIP,
                      .rev = rev,
                      .stop = -1,
                      .n_carry = 2,
                      .n_xs = 1,
                      .n_const = 1,
                      .n_yield = 4,
                      .body = b};
    lg_node *y = lg_g_scan(g, &s, 4, (lg_node *[]){h0, c0, xs, w}, at);
    for (int k = 0; k < 6; k++)
        lg_g_output(g, lg_g_item(g, y, k), -1, NULL);
}

static const size_t size[] = {BATCH * WIDE,      BATCH *WIDE,       TRIP *BATCH *WIDE,
                              TRIP *BATCH *WIDE, TRIP *BATCH *WIDE, TRIP *BATCH *GATES};

static void test_rows(bool rev, bool mixed) {
    static const int threads[] = {1, 2, 3, 4};
    float *in[] = {numbers(size[0]), numbers(size[0]), numbers(size[5]), numbers(WIDE * GATES)};
    float *out[LG_COUNT(threads) + 1][6];
    bool ok = true, rows = true, still = true;
    for (size_t t = 0; t <= LG_COUNT(threads); t++) { /* the last one op by op */
        bool plain = t == LG_COUNT(threads);
        lg_fault f = {0};
        gated(rev, mixed);
        lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = plain ? 1 : threads[t],
                                                    .no_simplify = true,
                                                    .no_fuse = plain});
        for (int k = 0; k < 6; k++)
            out[t][k] = numbers(size[k]);
        for (int k = 0; k < 2; k++)
            ok = ok && lg_plan_run(p, (const void *const *)in, (void *const *)out[t], &f);
        const lg_step *s = scan_of(p);
        rows = rows && (plain || s->rows == (mixed ? 0 : BATCH));
        /* h is yielded twice: once more than it has places */
        still =
            still && (plain || (count(s->sub[0], LG_S_COPY) <= 1 && !count(s->sub[0], LG_S_RUN)));
        lg_plan_free(p);
        lg_graph_free(g);
    }
    check(ok && rows, mixed ? "rows that meet are not parted" : "rows that are apart are parted");
    check(still, "a body copies no carry and no part of a join");
    for (int k = 0; k < 6 && ok; k++)
        for (size_t t = 1; t <= LG_COUNT(threads); t++)
            ok = ok && !memcmp(out[0][k], out[t][k], size[k] * 4);
    check(ok, "a scan has the same bits for 1 to 4 threads and op by op");
    float *const *y = out[0]; /* what is yielded before a round is what was made in the last one */
    size_t row = size[0];
    for (int r = 0; r + 1 < TRIP && ok; r++) {
        int was = rev ? TRIP - 1 - r : r, now = rev ? was - 1 : was + 1;
        ok = !memcmp(y[4] + (size_t)was * row, y[2] + (size_t)now * row, row * 4);
    }
    int first = rev ? TRIP - 1 : 0, last = TRIP - 1 - first;
    ok = ok && !memcmp(y[2] + (size_t)first * row, in[0], row * 4) &&
         !memcmp(y[3] + (size_t)first * row, in[1], row * 4) &&
         !memcmp(y[4] + (size_t)last * row, y[0], row * 4);
    check(ok, rev ? "states of a reversed scan" : "states of a scan");
    for (size_t t = 0; t <= LG_COUNT(threads); t++)
        for (int k = 0; k < 6; k++)
            lg_free(out[t][k]);
    for (size_t k = 0; k < LG_COUNT(in); k++)
        lg_free(in[k]);
}

/* A running sum: states after each round alone are kept, and there may be no round. */
static void test_trips(int64_t trip) {
    g = lg_graph_new(NULL);
    lg_graph *b = lg_graph_new(g);
    lg_node *s0 = input(LG_F32, SHAPE(4, 3)), *xs = input(LG_F32, SHAPE(trip, 4, 3));
    lg_node *s = body_input(b, SHAPE(4, 3)), *x = body_input(b, SHAPE(4, 3));
    lg_g_input(b, lg_type_make(LG_I64, 0, NULL), at);
    lg_node *sum = elem(b, "add", s, x);
    lg_g_output(b, sum, -1, NULL);
    lg_g_output(b, sum, -1, NULL);
    lg_scan_attr a = {.trip = trip, .stop = -1, .n_carry = 1, .n_xs = 1, .n_yield = 1, .body = b};
    lg_node *y = lg_g_scan(g, &a, 2, (lg_node *[]){s0, xs}, at);
    lg_g_output(g, lg_g_item(g, y, 0), 0, NULL); /* replaces its start */
    lg_g_output(g, lg_g_item(g, y, 1), -1, NULL);
    lg_plan *p = lg_plan_new(g, &(lg_plan_opts){.threads = 1, .no_simplify = true});
    float *start = numbers(12), *add = numbers(12 * (size_t)trip),
          *all = numbers(12 * (size_t)trip);
    float want[12];
    memcpy(want, start, sizeof want);
    lg_fault f = {0};
    bool ok = lg_plan_run(p, (const void *[]){start, add}, (void *[]){start, all}, &f) &&
              count(scan_of(p)->sub[0], LG_S_COPY) == 0;
    for (int64_t r = 0; r < trip; r++)
        for (int k = 0; k < 12; k++) {
            want[k] += add[r * 12 + k];
            ok = ok && want[k] == all[r * 12 + k]; /* NOLINT: the same sum */
        }
    check(ok && !memcmp(want, start, sizeof want), "a running sum in place");
    lg_plan_free(p);
    lg_graph_free(g);
    lg_free(start);
    lg_free(add);
    lg_free(all);
}

int main(void) {
    lg_pool_init(4);
    for (int v = 0; v < 4; v++)
        test_rows(v & 1, v & 2);
    for (int64_t trip = 0; trip < 4; trip++)
        test_trips(trip);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
