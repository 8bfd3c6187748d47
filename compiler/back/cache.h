/* cache.h: compiled plans on disk: one file a plan, named by what it was made from, checked before
 * it is loaded. The directory is bounded in size. Used by jit.c and aot.c. */
#ifndef LG_CACHE_H
#define LG_CACHE_H
#include "runtime/base.h"

/* The file for a key; false when there is no place for a cache. */
bool lg_cache_path(const uint64_t key[2], char *out, size_t room);
/* It is there, ours and whole. Damaged files are removed. */
bool lg_cache_has(const char *path);
/* Bytes of what was stored, within a file of n bytes that lg_cache_has found whole. */
size_t lg_cache_size(size_t n);
/* Puts the file `from` there, under a check-sum, in one move; drops the oldest ones when the
 * directory has grown too large. False: it could not. */
bool lg_cache_store(const char *path, const char *from);
#endif
