/* library.h: what the C file behind a library of `lg build --lib` calls: a program in memory, trained
 * and asked by the caller. The typed functions of the library's own header are thin over these.
 * Nothing here ends the process or prints; calls from several threads wait for each other. */
#ifndef LG_LIBRARY_H
#define LG_LIBRARY_H
#include <stddef.h>
#include <stdint.h>

typedef struct lg_library lg_library;
/* payload: of program/payload.h, kept by the caller. settings: "name=value" of arguments, ended by
 * NULL, or NULL. Never NULL: what failed is in lg_library_error, and every call fails then. */
lg_library *lg_library_new(const void *payload, size_t n, const char *const *settings);
void lg_library_free(lg_library *l); /* NULL is fine */
/* 0, or -1 after an error. field[k]: n items of field k, dense. */
int lg_library_train_step(lg_library *l, int64_t n, const void *const *field, double *loss);
/* The prediction for n items, `bytes` of it, to out. */
int lg_library_predict(lg_library *l, int64_t n, const void *const *field, void *out, size_t bytes);
int lg_library_save(lg_library *l, const char *dir);
int lg_library_load(lg_library *l, const char *dir);
const char *lg_library_error(const lg_library *l); /* of the last call; "" when it went well */
#endif
