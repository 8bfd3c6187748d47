/* also.h: what names of other libraries are called here. For messages about unknown names and for
 * `lg help`. */
#ifndef LG_ALSO_H
#define LG_ALSO_H
#include <stddef.h>

typedef struct {
    const char *name; /* elsewhere */
    const char *here; /* what to read about */
    const char *form; /* how it is written */
} lg_also;
/* NULL when no other library's name is known as that. */
const lg_also *lg_also_find(const char *name);
size_t lg_also_count(void);
const lg_also *lg_also_at(size_t i);
#endif
