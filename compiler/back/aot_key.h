/* aot_key.h: how a plan that travels with a program (aot.h) is found again: its text is written
 * once more, for this machine, and is the key. Used by jit.c. */
#ifndef LG_AOT_KEY_H
#define LG_AOT_KEY_H
#include "compiler/back/emit_c.h"
#include "compiler/back/image.h"

/* Does it travel as it is, its steps one function? Where a step is short that counts; kernels that
 * serve other sizes come besides. */
bool lg_aot_whole(const lg_plan *p);
/* What a text that travels is: the same whatever the number of cores. */
lg_emit_how lg_aot_how(const lg_plan *p, lg_isa isa);
void lg_aot_key(const lg_emitted *e, lg_isa isa, uint64_t key[2]);
lg_image *lg_aot_find(const uint64_t key[2]); /* NULL: it has none, or it cannot be loaded */
/* The kernel of that text (lg_emit_open), for as long as the process runs; NULL: there is none. */
void *lg_aot_kernel(const uint64_t key[2], lg_isa isa);
#endif
