/* structure.c: ops without arithmetic of their own: where values enter, loops, branches, tuples,
 * marks and contracts. Not for shape moves (shape.c). The executor runs scans and conds itself. */
#include "ops/ops.h"
#include "ops/family.h"
#include "runtime/plan.h"
#include <string.h>

const lg_op lg_op_input = {
    .name = "input", .sig = "() -> T[...S]", .cls = LG_C_INPUT,
    .doc = "A value given when the plan is run."};

const lg_op lg_op_const = {
    .name = "const", .sig = "() -> T[...S]", .cls = LG_C_CONST, .traits = LG_T_CHEAP,
    .doc = "A value known when the plan is made."};

const lg_op lg_op_scan = {
    .name = "scan", .sig = "(carries, xs: [T, ...], constants) -> {carries, yields: [T, ...]}",
    .cls = LG_C_SCAN, .arity = -1,
    .doc = "A loop over a body: carries go from round to round, yields are stacked."};

const lg_op lg_op_cond = {
    .name = "cond", .sig = "(pred: bool, captures) -> {results}", .cls = LG_C_COND, .arity = -1,
    .doc = "One of two branches."};

const lg_op lg_op_item = {
    .name = "item", .sig = "(tuple) -> T[...S]", .cls = LG_C_ITEM, .arity = 1,
    .traits = LG_T_LINEAR, .doc = "One result of an op that has several."};

static bool run_mark(const lg_call *c) {
    const lg_type *t = &c->node->type[0];
    size_t bytes = lg_type_count(t) * lg_dtype_size(t->dtype);
    if (c->out[0] != c->in[0] && bytes)
        memcpy(c->out[0], c->in[0], bytes);
    return true;
}

const lg_op lg_op_stop_grad = {
    .name = "stop_grad", .sig = "(x: T[...S]) -> T[...S]", .cls = LG_C_MARK, .arity = 1,
    .traits = LG_T_NODIFF | LG_T_CHEAP | LG_T_KEEPS_ZERO, .run = run_mark,
    .doc = "The value, as a constant for derivatives.",
    .example = "stop_grad(2.0)", .result = "2.0"};

const lg_op lg_op_custom = {
    .name = "custom", .sig = "(x: T[...S], inputs) -> T[...S]", .cls = LG_C_MARK, .arity = -1,
    .run = run_mark, .doc = "The value, with the derivative its declaration gives."};

const lg_op lg_op_alias = {
    .name = "alias", .sig = "(x: T[...S]) -> T[...S]", .cls = LG_C_MARK, .arity = 1,
    .traits = LG_T_LINEAR | LG_T_CHEAP | LG_T_KEEPS_ZERO, .run = run_mark,
    .doc = "The value, as a variable of its own for derivatives."};

const lg_op lg_op_barrier = {
    .name = "barrier", .sig = "(x: T[...S], after) -> T[...S]", .cls = LG_C_MARK, .arity = 2,
    .traits = LG_T_LINEAR | LG_T_BARRIER, .run = run_mark,
    .doc = "The value, not before something else was computed: what follows is computed again."};

const lg_op lg_op_remat = {
    .name = "remat", .sig = "(x: T[...S], inputs) -> T[...S]", .cls = LG_C_MARK, .arity = -1,
    .traits = LG_T_LINEAR | LG_T_KEEPS_ZERO, .run = run_mark,
    .doc = "The value, computed again in the backward pass rather than kept.",
    .example = "remat(2.0)", .result = "2.0"};

const lg_op *const lg_ops_structure[] = {
    &lg_op_input, &lg_op_const,     &lg_op_scan,   &lg_op_cond,  &lg_op_item,
    &lg_op_stop_grad, &lg_op_custom, &lg_op_remat, &lg_op_alias, &lg_op_barrier,
    &lg_op_require, NULL};
