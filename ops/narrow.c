/* narrow.c: elementwise kernels of the 16-bit floats: widened, computed in f32, rounded back. Not
 * for the conversions themselves (runtime/dtype.c). */
#include "ops/elem.h"

enum { CHUNK = 256, MOST = 3 };

void lg_elem_narrow(lg_elem_fn f, lg_dtype t, int n_in, unsigned flags, bool to_bool, size_t n,
                    const void *const *in, void *out) {
    float wide[MOST][CHUNK], result[CHUNK];
    size_t size = lg_dtype_size(t);
    assert(n_in <= MOST);
    for (size_t at = 0; at < n; at += CHUNK) {
        size_t m = n - at < CHUNK ? n - at : CHUNK;
        const void *part[MOST];
        for (int k = 0; k < n_in; k++) {
            part[k] = (const char *)in[k] + at;
            if (flags >> k & 1)
                continue;
            lg_convert(LG_F32, wide[k], t, (const char *)in[k] + at * size, m);
            part[k] = wide[k];
        }
        f(m, part, to_bool ? (void *)((char *)out + at) : (void *)result);
        if (!to_bool)
            lg_convert(t, (char *)out + at * size, LG_F32, result, m);
    }
}
