/* scratch.h: directories for files that live no longer than their use. They go when this process
 * ends, also by a signal; what processes leave that were killed outright goes at the next use. */
#ifndef LG_SCRATCH_H
#define LG_SCRATCH_H
#include "runtime/base.h"

enum { LG_SCRATCH_ROOM = 256 };

typedef struct {
    char path[LG_SCRATCH_ROOM]; /* "": there is none */
    int lock;                   /* held as long as its owner lives */
} lg_scratch;

/* A new directory in $TMPDIR or /tmp. False: errno says why. */
bool lg_scratch_make(lg_scratch *s);
/* With the files in it. */
void lg_scratch_remove(lg_scratch *s);
#endif
