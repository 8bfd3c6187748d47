/* ffi.c: foreign calls through libffi and dlopen; libraries are loaded when they are first asked
 * for and never unloaded. Not for deciding whether foreign code may run. */
#include "runtime/ffi.h"
#ifndef LG_STATIC
#include <dlfcn.h>
#endif
#include <ffi.h>
#include <pthread.h>
#include <string.h>

enum { MAX_ARGS = 64 };

struct lg_foreign {
    lg_sym path, symbol;
    void (*code)(void);
    struct lg_foreign *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lg_foreign *known;

static lg_foreign *find(lg_sym path, lg_sym symbol) {
    lg_foreign *f = known;
    while (f && (f->path != path || f->symbol != symbol))
        f = f->next;
    return f;
}

#ifdef LG_STATIC

static lg_foreign *load(lg_sym path, lg_sym symbol, lg_fault *fault) {
    (void)symbol;
    lg_fault_set(fault, NULL, "R0601", -1, "library `%s`: a static executable loads none", path);
    return NULL;
}

#else

static void *no_library(const char *path, lg_fault *fault) {
    const char *why = dlerror();
    lg_fault_set(fault, NULL, "R0601", -1, "library `%s` cannot be loaded: %s", path,
                 why ? why : "unknown reason");
    return NULL;
}

static lg_foreign *load(lg_sym path, lg_sym symbol, lg_fault *fault) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return no_library(path, fault);
    union {
        void *object;
        void (*code)(void);
    } at = {dlsym(library, symbol)};
    if (!at.object) {
        dlclose(library);
        lg_fault_set(fault, NULL, "R0601", -1, "library `%s` has no function `%s`", path, symbol);
        return NULL;
    }
    lg_foreign *f = lg_alloc(sizeof *f);
    *f = (lg_foreign){path, symbol, at.code, known};
    known = f;
    return f;
}

#endif

lg_foreign *lg_foreign_open(const char *path, const char *symbol, lg_fault *fault) {
    pthread_mutex_lock(&lock);
    lg_sym p = lg_intern(path), s = lg_intern(symbol);
    lg_foreign *f = find(p, s);
    if (!f)
        f = load(p, s, fault);
    pthread_mutex_unlock(&lock);
    return f;
}

/* How libffi calls a dtype; NULL for those without a C type. */
static ffi_type *number_type(lg_dtype t) {
    switch (t) {
    case LG_F64:
        return &ffi_type_double;
    case LG_F32:
        return &ffi_type_float;
    case LG_I64:
        return &ffi_type_sint64;
    case LG_I32:
        return &ffi_type_sint32;
    case LG_I8:
        return &ffi_type_sint8;
    case LG_U8:
    case LG_BOOL:
        return &ffi_type_uint8;
    case LG_BF16:
    case LG_F16:
    case LG_F8E4M3:
    case LG_F8E5M2:
    case LG_N_DTYPES:
        break;
    }
    return NULL;
}

static bool unfit(const lg_foreign *f, lg_dtype t, lg_fault *fault) {
    return lg_fault_set(fault, NULL, "R0602", -1,
                        "`%s`: a number of dtype %s cannot be passed to or from C", f->symbol,
                        t < LG_N_DTYPES ? lg_dtype_name(t) : "?");
}

/* A result narrower than a register comes back widened to one. */
static void keep_result(lg_dtype t, const void *value, void *result) {
    ffi_sarg wide;
    memcpy(&wide, value, sizeof wide);
    if (t == LG_F64 || t == LG_F32 || lg_dtype_size(t) >= sizeof wide)
        memcpy(result, value, lg_dtype_size(t));
    else
        lg_set_i64(t, result, 0, t == LG_U8 || t == LG_BOOL ? (uint8_t)wide : (int64_t)wide);
}

bool lg_foreign_call(const lg_foreign *f, int n_args, const lg_foreign_type *types,
                     const void *const *args, lg_foreign_type result_type, void *result,
                     lg_fault *fault) {
    ffi_type *kinds[MAX_ARGS + 1];
    const void *pointers[MAX_ARGS + 1];
    void *values[MAX_ARGS + 1];
    if (n_args > MAX_ARGS)
        return lg_fault_set(fault, NULL, "R0602", -1, "`%s`: more than %d arguments", f->symbol,
                            MAX_ARGS);
    for (int k = 0; k < n_args; k++) {
        bool number = types[k].kind == LG_FOREIGN_NUMBER;
        kinds[k] = number ? number_type(types[k].dtype) : &ffi_type_pointer;
        if (!kinds[k])
            return unfit(f, types[k].dtype, fault);
        pointers[k] = args[k];
        memcpy(&values[k], number ? &args[k] : &(const void *){&pointers[k]}, sizeof values[k]);
    }
    bool number = result_type.kind == LG_FOREIGN_NUMBER;
    ffi_type *out = number ? number_type(result_type.dtype) : &ffi_type_void;
    if (!out)
        return unfit(f, result_type.dtype, fault);
    if (!number) {
        kinds[n_args] = &ffi_type_pointer;
        pointers[n_args] = result;
        values[n_args] = &pointers[n_args];
        n_args++;
    }
    ffi_cif cif;
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, (unsigned)n_args, out, kinds) != FFI_OK)
        return lg_fault_set(fault, NULL, "R0602", -1, "`%s` cannot be called", f->symbol);
    union {
        ffi_arg whole;
        double real;
        uint64_t bits;
    } value = {0};
    ffi_call(&cif, f->code, &value, values);
    if (number)
        keep_result(result_type.dtype, &value, result);
    return true;
}
