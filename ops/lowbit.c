/* lowbit.c: small integers packed into bytes, least significant first. Not for choosing codes
 * (quantizers do, in the language) nor for the small floats, which are dtypes. */
#include "ops/build.h"
#include "runtime/plan.h"

/* Packs n values of `bits` bits, 8/bits to a byte. False with *bad set where one does not fit. */
static bool pack(int bits, const int8_t *in, size_t n, uint8_t *out, size_t *bad) {
    const int per = 8 / bits, low = -(1 << (bits - 1)), high = -low - 1, mask = (1 << bits) - 1;
    for (size_t i = 0; i < n / (size_t)per; i++) {
        int byte = 0;
        for (int k = 0; k < per; k++) {
            size_t at = i * (size_t)per + (size_t)k;
            if (in[at] < low || in[at] > high) {
                *bad = at;
                return false;
            }
            byte |= (in[at] & mask) << (k * bits);
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

static void unpack(int bits, const uint8_t *in, size_t n, int8_t *out) {
    const int per = 8 / bits, mask = (1 << bits) - 1, sign = 1 << (bits - 1);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < per; k++) {
            int v = in[i] >> (k * bits) & mask;
            out[i * (size_t)per + (size_t)k] = (int8_t)((v ^ sign) - sign);
        }
}

static bool pack_call(const lg_call *c, int bits) {
    const lg_type *t = &c->node->in[0]->type[0];
    const int8_t *x = c->in[0];
    size_t n = lg_type_count(t), bad;
    assert(t->rank > 0 && t->shape[t->rank - 1] % (8 / bits) == 0);
    if (pack(bits, x, n, c->out[0], &bad))
        return true;
    size_t row = t->shape[0] ? bad / (n / (size_t)t->shape[0]) : 0;
    return lg_fault_set(c->fault, c->node, "R0114", (int64_t)row, "%d does not fit in %d bits",
                        x[bad], bits);
}

static bool pack4_run(const lg_call *c) {
    return pack_call(c, 4);
}

static bool pack2_run(const lg_call *c) {
    return pack_call(c, 2);
}

static bool unpack4_run(const lg_call *c) {
    unpack(4, c->in[0], lg_type_count(&c->node->in[0]->type[0]), c->out[0]);
    return true;
}

static bool unpack2_run(const lg_call *c) {
    unpack(2, c->in[0], lg_type_count(&c->node->in[0]->type[0]), c->out[0]);
    return true;
}

static const lg_op op_pack4 = {
    .name = "pack4",
    .sig = "(x: i8[...S, N]) -> u8[...S, N/2]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_U8,
    .run = pack4_run,
    .doc = "Pairs of integers from -8 to 7 in one byte, the first in the low half.",
    .example = "pack4(i8([1, -1]))",
    .result = "[241]",
};

static const lg_op op_unpack4 = {
    .name = "unpack4",
    .sig = "(x: u8[...S, N]) -> i8[...S, 2*N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_I8,
    .run = unpack4_run,
    .unpacks = 4,
    .doc = "The integers that pack4 packed.",
    .example = "unpack4(u8([241]))",
    .result = "[1, -1]",
};

static const lg_op op_pack2 = {
    .name = "pack2",
    .sig = "(x: i8[...S, N]) -> u8[...S, N/4]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_U8,
    .run = pack2_run,
    .doc = "Four integers from -2 to 1 in one byte, the first in the low bits.",
    .example = "pack2(i8([1, -1, 0, -2]))",
    .result = "[141]",
};

static const lg_op op_unpack2 = {
    .name = "unpack2",
    .sig = "(x: u8[...S, N]) -> i8[...S, 4*N]",
    .cls = LG_C_KERNEL,
    .traits = LG_T_NODIFF,
    .arity = 1,
    .out_dtype = LG_I8,
    .run = unpack2_run,
    .unpacks = 2,
    .doc = "The integers that pack2 packed.",
    .example = "unpack2(u8([141]))",
    .result = "[1, -1, 0, -2]",
};

const lg_op *const lg_ops_lowbit[] = {&op_pack4, &op_unpack4, &op_pack2, &op_unpack2, NULL};
