/* base.h: what every file may assume: sizes, symbols, arenas, growing arrays, status codes.
 * Not for anything that knows of tensors, graphs or syntax. */
#ifndef LG_BASE_H
#define LG_BASE_H
#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LG_API __attribute__((visibility("default")))
#define LG_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define LG_COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LG_MAX_RANK 12

typedef enum { LG_OK = 0, LG_FAILED = 1 } lg_status;

/* A symbol: an interned NUL-terminated string. Equal text means equal pointer. */
typedef const char *lg_sym;
lg_sym lg_intern(const char *text);
lg_sym lg_intern_n(const char *text, size_t n);

/* A place in a source text: file id (0: nowhere) and byte offsets [beg, end). */
typedef struct {
    uint32_t file, beg, end;
} lg_span;
lg_span lg_span_join(lg_span a, lg_span b); /* the smallest span over both; either may be nowhere */

/* Arena: memory that is freed all at once. Allocations are zeroed and 16-byte aligned. */
typedef struct lg_arena lg_arena;
lg_arena *lg_arena_new(void);
void lg_arena_free(lg_arena *a);
void *lg_arena_alloc(lg_arena *a, size_t size);
void *lg_arena_dup(lg_arena *a, const void *p, size_t size);
char *lg_arena_str(lg_arena *a, const char *text);
/* `size` bytes that begin with the `used` ones at p. */
void *lg_arena_more(lg_arena *a, const void *p, size_t used, size_t size);
char *lg_arena_printf(lg_arena *a, const char *fmt, ...) LG_PRINTF(2, 3);
size_t lg_arena_used(const lg_arena *a);
bool lg_arena_has(const lg_arena *a, const void *p); /* does p live there? */
/* Everything in a is gone, and its room serves again. */
void lg_arena_reset(lg_arena *a);
/* What lives in `from` lives as long as `to` from here on; frees `from`. */
void lg_arena_adopt(lg_arena *to, lg_arena *from);
#define LG_NEW(a, T) ((T *)lg_arena_alloc((a), sizeof(T)))
#define LG_NEW_N(a, T, n) ((T *)lg_arena_alloc((a), sizeof(T) * (size_t)(n)))

/* Heap memory. Every allocation of the project goes through these, so that a test can make the
 * n-th one fail. lg_alloc never returns NULL: it calls the out-of-memory handler, which must not
 * return (the driver prints and exits; a C caller may longjmp to its own frame). */
void *lg_alloc(size_t size); /* zeroed */
void *lg_realloc(void *p, size_t size);
void lg_free(void *p);
void *lg_alloc_aligned(size_t size, size_t align); /* NULL when there is no memory */
/* For arrays: aligned to 64 bytes; large ones lie on large pages where the system has them. */
void *lg_alloc_data(size_t size);
void lg_free_aligned(void *p); /* of either */
extern void (*lg_out_of_memory)(size_t wanted);
extern _Atomic int64_t lg_alloc_left; /* for tests: so many more succeed; negative: all do */
bool lg_mul_ok(size_t a, size_t b, size_t *out); /* false on overflow */

/* Growing array on the heap: LG_VEC(T) v = {0}; LG_PUSH(v, x); lg_free(v.at); */
#define LG_VEC(T)                                                                                  \
    struct {                                                                                       \
        T *at;                                                                                     \
        size_t n, cap;                                                                             \
    }
/* Grown first and told afterwards: memory that is not there leaves the vector as it is. */
#define LG_PUSH(v, x)                                                                              \
    do {                                                                                           \
        if ((v).n == (v).cap) {                                                                    \
            (v).at = lg_realloc((v).at, ((v).cap ? (v).cap * 2 : 8) * sizeof *(v).at);             \
            (v).cap = (v).cap ? (v).cap * 2 : 8;                                                   \
        }                                                                                          \
        (v).at[(v).n++] = (x);                                                                     \
    } while (0)

/* The same for what lives in the arena a; the room that it outgrows stays there. */
#define LG_ARENA_PUSH(a, v, x)                                                                     \
    do {                                                                                           \
        if ((v).n == (v).cap) {                                                                    \
            (v).at = lg_arena_more((a), (v).at, (v).n * sizeof *(v).at,                            \
                                   ((v).cap ? (v).cap * 2 : 4) * sizeof *(v).at);                  \
            (v).cap = (v).cap ? (v).cap * 2 : 4;                                                   \
        }                                                                                          \
        (v).at[(v).n++] = (x);                                                                     \
    } while (0)

/* Growing text on the heap, always NUL-terminated once written to. */
typedef struct {
    char *at;
    size_t n, cap;
} lg_buf;
/* Room for n bytes more and a 0, which the caller writes and counts. */
char *lg_buf_room(lg_buf *b, size_t n);
void lg_buf_put(lg_buf *b, const char *text, size_t n);
void lg_buf_printf(lg_buf *b, const char *fmt, ...) LG_PRINTF(2, 3);
void lg_buf_vprintf(lg_buf *b, const char *fmt, va_list ap);
void lg_buf_free(lg_buf *b);

uint64_t lg_hash(const void *p, size_t n, uint64_t seed); /* 64-bit, stable across machines */
uint64_t lg_hash_mix(uint64_t a, uint64_t b);

/* "1.8 MB" of bytes, to `out`, which it returns. */
enum { LG_SIZE_TEXT = 24 };
const char *lg_size_text(char out[LG_SIZE_TEXT], double bytes);
/* Bytes that this process may have: the machine's memory, or less where a limit is set. */
double lg_memory_there(void);
void lg_memory_back(void); /* to the system, what was freed; where that can be asked for */

/* The candidate nearest in spelling to `word`, or NULL when none is near. */
const char *lg_nearest(const char *word, const char *const *candidates, size_t n);
#endif
