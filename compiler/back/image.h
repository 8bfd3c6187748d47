/* image.h: a shared object of compiled kernels from memory, without the dynamic loader: it goes in
 * a static program too, and needs no file. Only for objects that cc.c made: position independent,
 * no libraries but a few functions of libc and libm. Used by aot.c. */
#ifndef LG_IMAGE_H
#define LG_IMAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lg_image lg_image;
/* NULL: *why says. The bytes need not stay. */
lg_image *lg_image_load(const uint8_t *bytes, size_t n, const char **why);
void *lg_image_find(const lg_image *x, const char *name); /* NULL: it has none of that name */
void lg_image_free(lg_image *x);                          /* NULL is fine */
#endif
