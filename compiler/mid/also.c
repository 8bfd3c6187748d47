/* also.c: the table of also.def. */
#include "compiler/mid/also.h"
#include "runtime/base.h"
#include <stdlib.h>
#include <string.h>

static const lg_also all[] = {
#define ALSO(name, here, form) {name, here, form},
#include "compiler/mid/also.def"
#undef ALSO
};

static int by_name(const void *key, const void *row) {
    return strcmp(key, ((const lg_also *)row)->name);
}

const lg_also *lg_also_find(const char *name) {
    return bsearch(name, all, LG_COUNT(all), sizeof all[0], by_name);
}

size_t lg_also_count(void) {
    return LG_COUNT(all);
}

const lg_also *lg_also_at(size_t i) {
    return &all[i];
}
