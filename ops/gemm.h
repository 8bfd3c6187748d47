/* gemm.h: matrix products by register tiles. Bits depend on the shapes alone: K is cut in fixed
 * blocks and never split among threads. Called by the op `dot` and, through the plan, by the
 * executor. */
#ifndef LG_GEMM_H
#define LG_GEMM_H
#include "runtime/exec.h"

void lg_gemm(const lg_product *p, const void *a, const void *b, void *y, void *scratch, int part,
             int parts);
size_t lg_gemm_scratch(const lg_product *p); /* bytes a thread */
#endif
