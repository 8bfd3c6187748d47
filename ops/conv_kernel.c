/* conv_kernel.c: the inner loops of convolutions, compiled for each element type and vector unit.
 * Not for what goes where (conv_shape.c and the three convolutions). */
#include "ops/conv_kernel.h"
#include "ops/isa.h"
#include <stdint.h>
#include <string.h>

typedef float v4f __attribute__((vector_size(16)));
typedef double v2d __attribute__((vector_size(16)));

/* Keeps a vector in a register, where gcc would read it from memory at each use. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define HOLD(v) __asm__("" : "+v"(v))
#else
#define HOLD(v) (void)(v)
#endif

#define TILE(name) f32_plain_##name
#define REAL float
#define VEC v4f
#define LANES 4
#define NV 1
#define WIDE 4
#define DR 4
#define DT 3
#define PR 4
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((float)(s) - (v4f){0})
#include "ops/conv_tile.h"

#define TILE(name) f64_plain_##name
#define REAL double
#define VEC v2d
#define LANES 2
#define NV 1
#define WIDE 4
#define DR 4
#define DT 3
#define PR 4
#define FMA(a, b, c) ((a) * (b) + (c))
#define SPLAT(s) ((double)(s) - (v2d){0})
#include "ops/conv_tile.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#define HAVE_WIDE 1

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define TILE(name) f32_v3_##name
#define REAL float
#define VEC __m256
#define LANES 8
#define NV 1
#define WIDE 4
#define DR 4
#define DT 3
#define PR 4
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define SPLAT(s) _mm256_set1_ps(s)
#include "ops/conv_tile.h"

#define TILE(name) f64_v3_##name
#define REAL double
#define VEC __m256d
#define LANES 4
#define NV 1
#define WIDE 4
#define DR 4
#define DT 3
#define PR 4
#define FMA(a, b, c) _mm256_fmadd_pd(a, b, c)
#define SPLAT(s) _mm256_set1_pd(s)
#include "ops/conv_tile.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4")
#define TILE(name) f32_v4_##name
#define REAL float
#define VEC __m512
#define LANES 16
#define NV 3
#define WIDE 8
#define DR 4
#define DT 6
#define PR 8
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define SPLAT(s) _mm512_set1_ps(s)
#include "ops/conv_tile.h"

#define TILE(name) f64_v4_##name
#define REAL double
#define VEC __m512d
#define LANES 8
#define NV 3
#define WIDE 8
#define DR 4
#define DT 6
#define PR 8
#define FMA(a, b, c) _mm512_fmadd_pd(a, b, c)
#define SPLAT(s) _mm512_set1_pd(s)
#include "ops/conv_tile.h"
#pragma GCC pop_options
#else
#define HAVE_WIDE 0
#endif

const lg_conv_kernels *lg_conv_kernels_for(lg_dtype t) {
    bool f64 = t == LG_F64;
#if HAVE_WIDE
    if (lg_isa_of() == LG_ISA_AVX512)
        return f64 ? &f64_v4_kernels : &f32_v4_kernels;
    if (lg_isa_of() == LG_ISA_AVX2)
        return f64 ? &f64_v3_kernels : &f32_v3_kernels;
#endif
    return f64 ? &f64_plain_kernels : &f32_plain_kernels;
}
