/* graphs.h: what tests that build graphs by hand share: a graph, a count of checks, short names. */
#ifndef LG_TEST_GRAPHS_H
#define LG_TEST_GRAPHS_H
#include "ops/ops.h"
#include <stdio.h>

static int n_passed, n_failed;
static lg_graph *g;
static const lg_span at = {0, 0, 0};

static void check(bool ok, const char *what) {
    n_passed += ok;
    n_failed += !ok;
    if (!ok)
        printf("FAILED %s\n", what);
}

#define SHAPE(...)                                           \
    (int)LG_COUNT(((int64_t[]){__VA_ARGS__})), (int64_t[]) { \
        __VA_ARGS__                                          \
    }

static lg_node *input(lg_dtype t, int rank, const int64_t *shape) {
    return lg_g_input(g, lg_type_make(t, rank, shape), at);
}

static lg_node *op1(const char *name, lg_node *x) {
    return lg_g_elem(g, lg_op_find(name), 1, &x, at);
}

static lg_node *op2(const char *name, lg_node *a, lg_node *b) {
    return lg_g_elem(g, lg_op_find(name), 2, (lg_node *[]){a, b}, at);
}

#endif
