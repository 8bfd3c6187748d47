/* load.c: see load.h. */
#include "compiler/back/load.h"
#include <stddef.h>

#ifdef LG_STATIC
bool lg_can_load(void) {
    return false;
}

void *lg_load(const char *path, const char **why) {
    (void)path;
    *why = "a static program loads nothing";
    return NULL;
}

void *lg_load_find(void *library, const char *name) {
    (void)library;
    (void)name;
    return NULL;
}

void lg_unload(void *library) {
    (void)library;
}
#else
#include <dlfcn.h>

bool lg_can_load(void) {
    return true;
}

void *lg_load(const char *path, const char **why) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        *why = dlerror();
    return library;
}

void *lg_load_find(void *library, const char *name) {
    return dlsym(library, name);
}

void lg_unload(void *library) {
    if (library)
        dlclose(library);
}
#endif
