/* machine.h: what this machine can do, measured: the roof that kernels are held against. */
#ifndef LG_MACHINE_H
#define LG_MACHINE_H
#include "runtime/profile.h"

/* By all threads of the pool, on the vector unit that kernels use. The first call takes some tens
 * of milliseconds; not while a plan runs. */
const lg_machine *lg_machine_here(void);
#endif
