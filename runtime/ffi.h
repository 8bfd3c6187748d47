/* ffi.h: functions of shared libraries, called by the convention of the language: arrays as
 * pointers to dense row-major data, numbers by value in their dtype, text as char*; a number comes
 * back as the return value, an array is the last pointer, already allocated. Whether foreign code
 * may run at all is decided by the driver. */
#ifndef LG_FFI_H
#define LG_FFI_H
#include "runtime/plan.h"

typedef struct lg_foreign lg_foreign;

typedef enum { LG_FOREIGN_NUMBER, LG_FOREIGN_ARRAY, LG_FOREIGN_TEXT } lg_foreign_kind;
typedef struct {
    lg_foreign_kind kind;
    lg_dtype dtype; /* NUMBER: f64 f32 i64 i32 i8 u8 bool; ARRAY: any */
} lg_foreign_type;

/* Loads the library (a path with a slash, or a name looked up by the system) and finds the symbol;
 * NULL and R0601 when there is none. Found ones are kept for the whole process, so a call of the
 * same name is cheap and nothing is to be freed. Threads may share them. */
lg_foreign *lg_foreign_open(const char *path, const char *symbol, lg_fault *fault);
/* args[k]: ARRAY: its data; NUMBER: the number in its dtype; TEXT: the NUL-terminated text.
 * result: where the number goes, or the array's data. False and R0602 when a dtype cannot be
 * passed; what the foreign code itself does is its own business. */
bool lg_foreign_call(const lg_foreign *f, int n_args, const lg_foreign_type *types,
                     const void *const *args, lg_foreign_type result_type, void *result,
                     lg_fault *fault);
#endif
