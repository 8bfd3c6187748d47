/* foreign.c: the op that calls a function of a shared library. How values are passed is said in
 * runtime/ffi.h, who may call is decided before the node is made. Not for our own kernels. */
#include "ops/family.h"
#include "ops/ops.h"
#include "runtime/ffi.h"
#include <string.h>

/* attr.text: library, newline, symbol. p[0]: a bit for each input that is text; p[1]: the result is
 * a number. Inputs without dims are numbers. */
static bool run_foreign(const lg_call *c) {
    const lg_node *n = c->node;
    const char *text = n->attr.text, *cut = strchr(text, '\n');
    char path[4096];
    size_t len = cut ? (size_t)(cut - text) : 0;
    if (!cut || len >= sizeof path)
        return lg_fault_set(c->fault, n, "R0601", -1, "the name of the library is too long");
    memcpy(path, text, len);
    path[len] = 0;
    lg_foreign *f = lg_foreign_open(path, cut + 1, c->fault);
    lg_foreign_type type[64];
    if (!f || n->n_in > (int)LG_COUNT(type))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        const lg_type *t = &n->in[i]->type[0];
        bool is_text = i < 63 && (n->attr.p[0] >> i & 1);
        type[i] = (lg_foreign_type){is_text   ? LG_FOREIGN_TEXT
                                    : t->rank ? LG_FOREIGN_ARRAY
                                              : LG_FOREIGN_NUMBER,
                                    t->dtype};
    }
    lg_foreign_type result = {n->attr.p[1] ? LG_FOREIGN_NUMBER : LG_FOREIGN_ARRAY,
                              n->type[0].dtype};
    return lg_foreign_call(f, n->n_in, type, c->in, result, c->out[0], c->fault);
}

static const lg_op op_foreign = {.name = "foreign",
                                 .sig = "(values) -> T[...S]",
                                 .cls = LG_C_KERNEL,
                                 .arity = -1,
                                 .run = run_foreign,
                                 .doc = "A function of a shared library."};

const lg_op *const lg_ops_foreign[] = {&op_foreign, NULL};
