/* cast.c: the change of element type. The conversions themselves are in runtime/dtype.c. */
#include "ops/family.h"
#include "ops/ops.h"

static bool run_cast(const lg_call *c) {
    const lg_type *x = &c->node->in[0]->type[0], *y = &c->node->type[0];
    lg_convert(y->dtype, c->out[0], x->dtype, c->in[0], lg_type_count(x));
    return true;
}

const lg_op lg_op_cast = {
    .name = "cast", .sig = "(x: T[...S]) -> U[...S]", .cls = LG_C_CAST, .arity = 1,
    .traits = LG_T_CHEAP | LG_T_KEEPS_ZERO | LG_T_LINEAR, .run = run_cast,
    .doc = "The same values as another dtype: floats round half to even, float to integer truncates "
           "and saturates (NaN gives 0), anything to bool is != 0."};

const lg_op *const lg_ops_cast[] = {&lg_op_cast, NULL};
