/* elem.h: loops of elementwise kernels: one expression over dense arrays, compiled for several
 * vector units. Included by unary.c and binary.c alone. Not for reductions. */
#ifndef LG_ELEM_H
#define LG_ELEM_H
#include "ops/family.h"
#include "ops/ops.h"
#include "ops/vmath.h"
#include <math.h>
#include <string.h>

/* The same bits come out of every version: vmath.h spells out each fused multiply. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__)
#define LG_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LG_CLONES
#endif

/* Inputs may be the output's own memory, element for element, and overlap it in no other way. */
#define LG_EACH(i, n) _Pragma("GCC ivdep") for (size_t i = 0; i < (n); i++)

/* `expr` over x (or a, b, c) of type C, read from arrays of T, stored as U. */
#define LG_LOOP1(versions, fn, T, C, U, expr)                                                      \
    versions static void fn(size_t n, const void *const *in, void *out) {                          \
        typedef C real __attribute__((unused));                                                    \
        const T *px = in[0];                                                                       \
        U *py = out;                                                                               \
        LG_EACH(i, n) {                                                                            \
            C x = (C)px[i];                                                                        \
            py[i] = (U)(expr);                                                                     \
        }                                                                                          \
    }
#define LG_LOOP2(versions, fn, T, C, U, expr)                                                      \
    versions static void fn(size_t n, const void *const *in, void *out) {                          \
        typedef C real __attribute__((unused));                                                    \
        const T *pa = in[0], *pb = in[1];                                                          \
        U *py = out;                                                                               \
        LG_EACH(i, n) {                                                                            \
            C a = (C)pa[i], b = (C)pb[i];                                                          \
            py[i] = (U)(expr);                                                                     \
        }                                                                                          \
    }
#define LG_LOOP3(versions, fn, T, C, U, expr)                                                      \
    versions static void fn(size_t n, const void *const *in, void *out) {                          \
        typedef C real __attribute__((unused));                                                    \
        const T *pa = in[0], *pb = in[1], *pc = in[2];                                             \
        U *py = out;                                                                               \
        LG_EACH(i, n) {                                                                            \
            C a = (C)pa[i], b = (C)pb[i], c = (C)pc[i];                                            \
            py[i] = (U)(expr);                                                                     \
        }                                                                                          \
    }

/* Runs an f32 kernel on bf16 or f16 arrays, a chunk at a time. flags: inputs that are bool;
 * `to_bool`: so is the result. */
void lg_elem_narrow(lg_elem_fn f, lg_dtype t, int n_in, unsigned flags, bool to_bool, size_t n,
                    const void *const *in, void *out);
#define LG_NARROW(fn, n_in, flags, to_bool)                                                        \
    static void fn##_bf16(size_t n, const void *const *in, void *out) {                            \
        lg_elem_narrow(fn##_f32, LG_BF16, n_in, flags, to_bool, n, in, out);                       \
    }                                                                                              \
    static void fn##_f16(size_t n, const void *const *in, void *out) {                             \
        lg_elem_narrow(fn##_f32, LG_F16, n_in, flags, to_bool, n, in, out);                        \
    }

/* Rows of an op's table of kernels. */
#define LG_FLOATS(fn)                                                                              \
    [LG_F64] = fn##_f64, [LG_F32] = fn##_f32, [LG_BF16] = fn##_bf16, [LG_F16] = fn##_f16
#define LG_INTS(fn) [LG_I64] = fn##_i64, [LG_I32] = fn##_i32, [LG_I8] = fn##_i8, [LG_U8] = fn##_u8
#endif
