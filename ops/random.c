/* random.c: the draws that all others are made from. Not for seeds and addresses, which the
 * compiler computes, nor for what can be written in the language (exponential, bernoulli,
 * categorical, permutations: see the library). */
#include "ops/ops.h"
#include "runtime/plan.h"
#include "runtime/rng.h"
#include <math.h>

static void uniform_f32(size_t n, const void *const *in, void *out) {
    const lg_rng_at *at = in[0];
    lg_rng_uniform_f32(at->key, at->first, n, out);
}

static void uniform_f64(size_t n, const void *const *in, void *out) {
    const lg_rng_at *at = in[0];
    lg_rng_uniform_f64(at->key, at->first, n, out);
}

static void normal_f32(size_t n, const void *const *in, void *out) {
    const lg_rng_at *at = in[0];
    lg_rng_normal_f32(at->key, at->first, n, out);
}

static void normal_f64(size_t n, const void *const *in, void *out) {
    const lg_rng_at *at = in[0];
    lg_rng_normal_f64(at->key, at->first, n, out);
}

static void bits_i64(size_t n, const void *const *in, void *out) {
    const lg_rng_at *at = in[0];
    lg_rng_bits(at->key, at->first, n, out);
}

static const lg_op op_rand_uniform = {
    .name = "rand_uniform",
    .sig = "(addr: i64[...B], first: i64 = 0) -> float[...B, ...S]",
    .cls = LG_C_RAND,
    .traits = LG_T_NODIFF,
    .arity = -1,
    .elem = {[LG_F32] = uniform_f32, [LG_F64] = uniform_f64},
    .out_dtype = LG_NO_DTYPE,
    .doc = "Uniform numbers in [0, 1).",
};

static const lg_op op_rand_normal = {
    .name = "rand_normal",
    .sig = "(addr: i64[...B], first: i64 = 0) -> float[...B, ...S]",
    .cls = LG_C_RAND,
    .traits = LG_T_NODIFF,
    .arity = -1,
    .elem = {[LG_F32] = normal_f32, [LG_F64] = normal_f64},
    .out_dtype = LG_NO_DTYPE,
    .doc = "Normal numbers of mean 0 and variance 1.",
};

static const lg_op op_rand_bits = {
    .name = "rand_bits",
    .sig = "(addr: i64[...B], first: i64 = 0) -> i64[...B, ...S]",
    .cls = LG_C_RAND,
    .traits = LG_T_NODIFF,
    .arity = -1,
    .elem = {[LG_I64] = bits_i64},
    .out_dtype = LG_I64,
    .doc = "64 random bits each, as a signed integer.",
};

/* in: addr i64[b..], alpha[b.., dims..], optional first i64[]; out like alpha. */
static bool gamma_run(const lg_call *c) {
    const lg_type *addr = &c->node->in[0]->type[0], *t = &c->node->type[0];
    const int64_t *key = c->in[0];
    const int64_t first = c->node->n_in > 2 ? *(const int64_t *)c->in[2] : 0;
    const size_t lanes = lg_type_count(addr), n = lanes ? lg_type_count(t) / lanes : 0;
    for (size_t b = 0; b < lanes; b++)
        for (size_t e = 0; e < n; e++) {
            double alpha = lg_get_f64(t->dtype, c->in[1], b * n + e);
            double x = lg_rng_gamma((uint64_t)key[b], first + (int64_t)e, alpha);
            if (isnan(x))
                return lg_fault_set(c->fault, c->node, "R0113", t->rank ? (int64_t)b : -1,
                                    "gamma draw with shape %g, which must be positive and finite",
                                    alpha);
            lg_set_f64(t->dtype, c->out[0], b * n + e, x);
        }
    return true;
}

static const lg_op op_rand_gamma = {
    .name = "rand_gamma",
    .sig = "(addr: i64[...B], alpha: float[...B, ...S], first: i64 = 0) -> float[...B, ...S]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_NODIFF,
    .arity = -1,
    .out_dtype = LG_NO_DTYPE,
    .run = gamma_run,
    .doc = "Gamma numbers of shape alpha and scale 1; no gradient for alpha.",
};

const lg_op *const lg_ops_random[] = {&op_rand_uniform, &op_rand_normal, &op_rand_bits,
                                      &op_rand_gamma, NULL};
