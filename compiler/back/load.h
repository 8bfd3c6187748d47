/* load.h: shared objects of compiled kernels. A static program has none: it is linked with its own
 * copy of load.c, under LG_STATIC. Used by jit.c alone. */
#ifndef LG_LOAD_H
#define LG_LOAD_H
#include "runtime/exec.h"

bool lg_can_load(void);
void *lg_load(const char *path, const char **why); /* NULL: *why says */
/* False, and *fn unchanged, when it has none of that name. */
bool lg_load_loop(void *library, const char *name, lg_code_fn *fn);
bool lg_load_product(void *library, const char *name, lg_product_fn *fn);
void lg_unload(void *library);
#endif
