/* foreign.c: the op that calls a function of a shared library. How values are passed is said in
 * runtime/ffi.h, who may call is decided before the node is made. Not for our own kernels. */
#include "ops/family.h"
#include "ops/ops.h"
#include "runtime/ffi.h"
#include <string.h>

/* attr.text: library, newline, symbol. p[0]: a bit for each input that is text; p[1]: the result is
 * a number. nb: leading dims of the result and of all inputs but texts; the function is called for
 * each of their elements, in order. Inputs without further dims are numbers. */
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
    size_t lanes = 1, step[LG_COUNT(type)]; /* step: bytes from one call to the next */
    for (int d = 0; d < n->attr.nb; d++)
        lanes *= (size_t)n->type[0].shape[d];
    for (int i = 0; i < n->n_in; i++) {
        const lg_type *t = &n->in[i]->type[0];
        bool is_text = i < 63 && (n->attr.p[0] >> i & 1);
        type[i] = (lg_foreign_type){is_text                ? LG_FOREIGN_TEXT
                                    : t->rank > n->attr.nb ? LG_FOREIGN_ARRAY
                                                           : LG_FOREIGN_NUMBER,
                                    t->dtype};
        step[i] = is_text || !lanes ? 0 : lg_type_count(t) / lanes * lg_dtype_size(t->dtype);
    }
    lg_foreign_type result = {n->attr.p[1] ? LG_FOREIGN_NUMBER : LG_FOREIGN_ARRAY,
                              n->type[0].dtype};
    size_t out = lanes ? lg_type_count(&n->type[0]) / lanes * lg_dtype_size(result.dtype) : 0;
    for (size_t k = 0; k < lanes; k++) {
        const void *in[LG_COUNT(type)];
        for (int i = 0; i < n->n_in; i++)
            in[i] = (const char *)c->in[i] + k * step[i];
        if (!lg_foreign_call(f, n->n_in, type, in, result, (char *)c->out[0] + k * out, c->fault))
            return false;
    }
    return true;
}

static const lg_op op_foreign = {.name = "foreign",
                                 .sig = "(values) -> T[...S]",
                                 .cls = LG_C_KERNEL,
                                 .arity = -1,
                                 .run = run_foreign,
                                 .doc = "A function of a shared library."};

const lg_op *const lg_ops_foreign[] = {&op_foreign, NULL};
