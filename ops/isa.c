/* isa.c: the vector unit of this machine, asked once. Not for what kernels do with it. */
#include "ops/isa.h"
#include "runtime/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"baseline", "avx2", "avx512"};

static lg_isa machine(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return LG_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return LG_ISA_AVX2;
#endif
    return LG_ISA_BASELINE;
}

static int level = -1; /* the same whoever finds out first */

static lg_isa asked(void) {
    lg_isa most = machine();
    const char *s = getenv("LG_ISA");
    if (!s || !*s)
        return most;
    for (int k = 0; k < (int)LG_COUNT(names); k++)
        if (!strcmp(s, names[k]))
            return k < (int)most ? (lg_isa)k : most;
    fprintf(stderr, "lg: LG_ISA=%s is none of baseline, avx2, avx512: all of the machine is used\n",
            s);
    return most;
}

lg_isa lg_isa_of(void) {
    int have = __atomic_load_n(&level, __ATOMIC_RELAXED);
    if (have < 0) {
        have = (int)asked();
        __atomic_store_n(&level, have, __ATOMIC_RELAXED);
    }
    return (lg_isa)have;
}

bool lg_isa_set(lg_isa to) {
    if (to > machine())
        return false;
    __atomic_store_n(&level, (int)to, __ATOMIC_RELAXED);
    return true;
}

bool lg_isa_has_bytes(void) {
#if defined(__x86_64__)
    return lg_isa_of() == LG_ISA_AVX512 && __builtin_cpu_supports("avx512vnni");
#else
    return false;
#endif
}
