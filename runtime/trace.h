/* trace.h: when each thread was at which kernel, as a file that trace viewers load (Perfetto,
 * chrome://tracing). Off unless asked for. */
#ifndef LG_TRACE_H
#define LG_TRACE_H
#include "runtime/base.h"

struct lg_step;
/* From now on the steps of plans are noted, thread by thread, until there is enough of them; the
 * file is written when the process ends. False: it cannot be written, and errno says why. */
bool lg_trace_start(const char *path);
bool lg_trace_on(void); /* and there is room for more */
/* Thread `id` was at s between two times, ns of one clock. */
void lg_trace_add(int id, const struct lg_step *s, double beg, double end);
#endif
