/* isa.h: which vector unit the prebuilt kernels use. The environment variable LG_ISA (baseline,
 * avx2 or avx512) holds them to less than the machine has, for tests and comparisons. */
#ifndef LG_ISA_H
#define LG_ISA_H
#include <stdbool.h>

typedef enum { LG_ISA_BASELINE, LG_ISA_AVX2, LG_ISA_AVX512 } lg_isa;
lg_isa lg_isa_of(void);
/* False when the machine has no such unit; nothing changes then. Not while plans run. */
bool lg_isa_set(lg_isa level);
/* Dot products of bytes (VNNI) that go with lg_isa_of(). */
bool lg_isa_has_bytes(void);
#endif
