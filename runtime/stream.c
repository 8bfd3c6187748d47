/* stream.c: stores that go past the caches, for large results that nobody reads soon: memory need
 * not be read before it is written, and what the caches hold stays there. Used by loop.c and,
 * through their environment, by compiled kernels. */
#include "runtime/exec.h"
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { LINE = 64 };

void lg_stream(void *to, const void *from, unsigned long bytes) {
#ifdef __SSE2__
    char *y = to;
    const char *x = from;
    size_t head = -(uintptr_t)y % LINE;
    head = head < bytes ? head : bytes;
    memcpy(y, x, head);
    size_t i = head;
    for (; i + LINE <= bytes; i += LINE)
        for (size_t j = 0; j < LINE; j += sizeof(__m128i))
            _mm_stream_si128((__m128i *)(void *)(y + i + j),
                             _mm_loadu_si128((const __m128i *)(const void *)(x + i + j)));
    memcpy(y + i, x + i, bytes - i);
#else
    memcpy(to, from, bytes);
#endif
}

void lg_stream_done(void) {
#ifdef __SSE2__
    _mm_sfence();
#endif
}
