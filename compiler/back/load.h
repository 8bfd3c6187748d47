/* load.h: shared objects of compiled kernels. A static program has none: it is linked with its own
 * copy of load.c, under LG_STATIC. Used by jit.c alone. */
#ifndef LG_LOAD_H
#define LG_LOAD_H
#include <stdbool.h>

bool lg_can_load(void);
void *lg_load(const char *path, const char **why);   /* NULL: *why says */
void *lg_load_find(void *library, const char *name); /* NULL: it has none of that name */
void lg_unload(void *library);
#endif
