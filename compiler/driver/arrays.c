/* arrays.c: reads the named arrays of a file by the reader that its first bytes ask for. The
 * formats themselves are in runtime/. */
#include "compiler/driver/arrays.h"
#include <stdio.h>
#include <string.h>

lg_file_kind lg_file_kind_of(const char *path) {
    static const struct {
        const char *magic;
        size_t n;
        lg_file_kind kind;
    } kinds[] = {{"\x93NUMPY", 6, LG_FILE_NPY},
                 {"PK\x03\x04", 4, LG_FILE_ZIP},
                 {"PK\x05\x06", 4, LG_FILE_ZIP},
                 {"\x7f"
                  "ELF",
                  4, LG_FILE_EXECUTABLE}};
    char head[8] = {0};
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof head, f) : 0;
    if (f)
        fclose(f);
    for (size_t i = 0; i < LG_COUNT(kinds); i++)
        if (n >= kinds[i].n && !memcmp(head, kinds[i].magic, kinds[i].n))
            return kinds[i].kind;
    return LG_FILE_OTHER;
}

static void name_file(lg_arrays *a, const char *path) {
    lg_buf name = {0};
    lg_buf_put(&name, path, strlen(path));
    a->c.file = name.at;
    a->c.step = -1;
}

bool lg_arrays_load(const lg_io *io, const char *path, lg_arrays *out) {
    lg_arrays a = {0};
    lg_tensor *x = NULL;
    lg_status st;
    switch (lg_file_kind_of(path)) {
    case LG_FILE_NPY:
        a.kind = "npy";
        st = lg_npy_load(io, path, &x);
        if (st == LG_OK)
            lg_bundle_add(&a.c.tensors, lg_intern("array"), x);
        break;
    case LG_FILE_ZIP:
        a.kind = "npz";
        st = lg_npz_load(io, path, &a.c.tensors);
        break;
    default:
        st = lg_checkpoint_load(io, path, &a.c);
        a.kind = a.c.step >= 0 ? "checkpoint" : "safetensors";
        break;
    }
    if (st != LG_OK)
        return false;
    if (!a.c.file)
        name_file(&a, path);
    *out = a;
    return true;
}

void lg_arrays_fini(lg_arrays *a) {
    lg_checkpoint_fini(&a->c);
}

void lg_shape_text(const lg_tensor *x, lg_buf *out) {
    lg_buf_put(out, "[", 1);
    for (int i = 0; i < x->rank; i++)
        lg_buf_printf(out, i ? ", %lld" : "%lld", (long long)x->shape[i]);
    lg_buf_put(out, "]", 1);
}

void lg_shown_text(const char *text, lg_buf *out) {
    lg_buf_put(out, "", 0);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        lg_buf_put(out, c < ' ' || c == 0x7f ? "?" : text, 1);
    }
}
