/* registry.c: the list of op families, and lookup by name. A new family is one line here and one
 * in family.h; a new op is in its family's file alone. */
#include "ops/family.h"
#include "ops/ops.h"
#include <string.h>

static const lg_op *const *const families[] = {
    lg_ops_structure, lg_ops_foreign, lg_ops_cast, lg_ops_shape, lg_ops_index, lg_ops_unary,
    lg_ops_binary,    lg_ops_reduce, lg_ops_cum,
    lg_ops_dot,
#if __has_include("ops/linalg.c")
    lg_ops_linalg,
#endif
#if __has_include("ops/sort.c")
    lg_ops_sort,
#endif
#if __has_include("ops/conv.c")
    lg_ops_conv,
#endif
#if __has_include("ops/fft.c")
    lg_ops_fft,
#endif
#if __has_include("ops/random.c")
    lg_ops_random,
#endif
#if __has_include("ops/lowbit.c")
    lg_ops_lowbit,
#endif
    lg_ops_sparse,    lg_ops_attention, lg_ops_prefix,
};

size_t lg_op_count(void) {
    size_t n = 0;
    for (size_t f = 0; f < LG_COUNT(families); f++)
        for (const lg_op *const *op = families[f]; *op; op++)
            n++;
    return n;
}

const lg_op *lg_op_at(size_t i) {
    for (size_t f = 0; f < LG_COUNT(families); f++)
        for (const lg_op *const *op = families[f]; *op; op++)
            if (i-- == 0)
                return *op;
    assert(!"op number");
    return NULL;
}

const lg_op *lg_op_find(const char *name) {
    for (size_t f = 0; f < LG_COUNT(families); f++)
        for (const lg_op *const *op = families[f]; *op; op++)
            if (strcmp((*op)->name, name) == 0)
                return *op;
    return NULL;
}
