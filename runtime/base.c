/* base.c: memory, symbols, growing text, hashing and spelling distance. Called by everything; knows
 * nothing of tensors, graphs or syntax. */
#include "runtime/base.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- heap ---- */

_Atomic int64_t lg_alloc_left = -1;

static void report_out_of_memory(size_t wanted) {
    fprintf(stderr, "out of memory (%zu bytes wanted)\n", wanted);
    abort();
}
void (*lg_out_of_memory)(size_t wanted) = report_out_of_memory;

/* False when a test has asked this allocation to fail. */
static bool may_allocate(void) {
    if (lg_alloc_left < 0)
        return true;
    return lg_alloc_left > 0 && lg_alloc_left-- > 0;
}

static void let_symbols_go(void);

static _Noreturn void give_up(size_t wanted) {
    let_symbols_go(); /* the prompt goes on from here */
    lg_out_of_memory(wanted);
    abort(); /* the handler must not return */
}

void *lg_alloc(size_t size) {
    void *p = may_allocate() ? calloc(1, size ? size : 1) : NULL;
    if (!p)
        give_up(size);
    return p;
}

void *lg_realloc(void *old, size_t size) {
    void *p = may_allocate() ? realloc(old, size ? size : 1) : NULL;
    if (!p)
        give_up(size);
    return p;
}

void lg_free(void *p) {
    free(p);
}

void *lg_alloc_aligned(size_t size, size_t align) {
    if (!may_allocate() || size > SIZE_MAX - align)
        return NULL;
    size_t rounded = (size + align - 1) / align * align;
    return aligned_alloc(align, rounded ? rounded : align);
}

void *lg_alloc_data(size_t size) {
    enum { LINE = 64, PAGE = 1 << 21 };
    if (size < 2 * (size_t)PAGE)
        return lg_alloc_aligned(size ? size : 1, LINE);
    void *p = NULL;
    if (!may_allocate() || posix_memalign(&p, PAGE, size) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    madvise(p, size / PAGE * PAGE, MADV_HUGEPAGE);
#endif
    return p;
}

void lg_free_aligned(void *p) {
    free(p);
}

bool lg_mul_ok(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

/* ---- arenas ---- */

typedef struct chunk {
    struct chunk *next;
    size_t used, size; /* of the bytes after this header */
} chunk;
_Static_assert(sizeof(chunk) <= 32, "chunk header");

struct lg_arena {
    chunk *last;
    size_t used;
};
enum { CHUNK_HEADER = 32, CHUNK_FIRST = 16 << 10, CHUNK_MOST = 1 << 20 };

lg_arena *lg_arena_new(void) {
    return lg_alloc(sizeof(lg_arena));
}

void lg_arena_free(lg_arena *a) {
    if (!a)
        return;
    for (chunk *c = a->last, *next; c; c = next) {
        next = c->next;
        lg_free(c);
    }
    lg_free(a);
}

static chunk *add_chunk(lg_arena *a, size_t least) {
    size_t size = a->last ? a->last->size * 2 : CHUNK_FIRST;
    if (size > CHUNK_MOST)
        size = CHUNK_MOST;
    if (size < least)
        size = least;
    if (size > SIZE_MAX - CHUNK_HEADER)
        give_up(size);
    chunk *c = lg_alloc(CHUNK_HEADER + size);
    c->size = size;
    c->next = a->last;
    return a->last = c;
}

void *lg_arena_alloc(lg_arena *a, size_t size) {
    if (size > SIZE_MAX - 64)
        give_up(size);
    size_t need = (size + 15) & ~(size_t)15;
    chunk *c = a->last;
    if (!c || c->size - c->used < need)
        c = add_chunk(a, need);
    void *p = (char *)c + CHUNK_HEADER + c->used;
    c->used += need;
    a->used += need;
    return p;
}

void *lg_arena_dup(lg_arena *a, const void *p, size_t size) {
    void *q = lg_arena_alloc(a, size);
    if (size)
        memcpy(q, p, size);
    return q;
}

void *lg_arena_more(lg_arena *a, const void *p, size_t used, size_t size) {
    void *q = lg_arena_alloc(a, size);
    if (used)
        memcpy(q, p, used);
    return q;
}

char *lg_arena_str(lg_arena *a, const char *text) {
    return lg_arena_dup(a, text, strlen(text) + 1);
}

char *lg_arena_printf(lg_arena *a, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = lg_arena_alloc(a, (n > 0 ? (size_t)n : 0) + 1);
    if (n > 0)
        vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

bool lg_arena_has(const lg_arena *a, const void *p) {
    for (const chunk *c = a->last; c; c = c->next)
        if ((const char *)p >= (const char *)c && (const char *)p < (const char *)c + CHUNK_HEADER + c->size)
            return true;
    return false;
}

void lg_arena_reset(lg_arena *a) {
    for (chunk *c = a->last; c && c->next; c = a->last) { /* the first chunk stays */
        a->last = c->next;
        lg_free(c);
    }
    if (a->last)
        memset((char *)a->last + CHUNK_HEADER, 0, a->last->used);
    if (a->last)
        a->last->used = 0;
    a->used = 0;
}

void lg_arena_adopt(lg_arena *to, lg_arena *from) {
    chunk **end = &to->last;
    while (*end) /* behind the chunk that is being filled */
        end = &(*end)->next;
    *end = from->last;
    to->used += from->used;
    lg_free(from);
}

size_t lg_arena_used(const lg_arena *a) {
    return a->used;
}

/* ---- growing text ---- */

static void buf_reserve(lg_buf *b, size_t more) {
    if (more > SIZE_MAX / 2 - b->n)
        give_up(more);
    size_t need = b->n + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap * 2 : 64;
    cap = cap > need ? cap : need;
    b->at = lg_realloc(b->at, cap);
    b->cap = cap;
}

char *lg_buf_room(lg_buf *b, size_t n) {
    if (n >= b->cap - b->n)
        buf_reserve(b, n);
    return b->at + b->n;
}

void lg_buf_put(lg_buf *b, const char *text, size_t n) {
    lg_buf_room(b, n);
    if (n)
        memcpy(b->at + b->n, text, n);
    b->n += n;
    b->at[b->n] = 0;
}

void lg_buf_vprintf(lg_buf *b, const char *fmt, va_list ap) {
    enum { LIKELY = 128 };
    va_list again;
    va_copy(again, ap);
    char *at = lg_buf_room(b, LIKELY);
    size_t room = b->cap - b->n;
    int n = vsnprintf(at, room, fmt, ap);
    if (n > 0 && (size_t)n >= room)
        vsnprintf(lg_buf_room(b, (size_t)n), (size_t)n + 1, fmt, again);
    b->n += n > 0 ? (size_t)n : 0;
    b->at[b->n] = 0;
    va_end(again);
}

void lg_buf_printf(lg_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    lg_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void lg_buf_free(lg_buf *b) {
    lg_free(b->at);
    *b = (lg_buf){0};
}

/* ---- hashing ---- */

static uint64_t rotl(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

/* Every input bit reaches every output bit. */
static uint64_t scramble(uint64_t x) {
    x ^= x >> 31;
    x *= UINT64_C(0x9fb21c651e98df25);
    x ^= x >> 29;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

uint64_t lg_hash_mix(uint64_t a, uint64_t b) {
    return scramble(rotl(a, 23) * UINT64_C(0x9e3779b97f4a7c15) + b + UINT64_C(0x632be59bd9b4e019));
}

uint64_t lg_hash(const void *p, size_t n, uint64_t seed) {
    const unsigned char *at = p;
    uint64_t h = lg_hash_mix(seed, n), word = 0;
    for (; n >= 8; at += 8, n -= 8) /* one load, where the machine has this order */
        h = lg_hash_mix(h, (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
                               (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 |
                               (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
                               (uint64_t)at[7] << 56);
    if (!n)
        return h;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)at[i] << (8 * i);
    return lg_hash_mix(h, word);
}

/* ---- symbols: one open-addressed table for the process ---- */

static struct {
    pthread_mutex_t lock;
    char **slot;
    size_t n, cap; /* cap is a power of two */
    lg_arena *text;
} symbols = {.lock = PTHREAD_MUTEX_INITIALIZER};
static _Thread_local bool holds_symbols;

static void let_symbols_go(void) {
    if (holds_symbols)
        pthread_mutex_unlock(&symbols.lock);
    holds_symbols = false;
}

static char **find_slot(char **table, size_t cap, const char *text, size_t n) {
    size_t i = (size_t)lg_hash(text, n, 0) & (cap - 1);
    while (table[i] && (strncmp(table[i], text, n) != 0 || table[i][n]))
        i = (i + 1) & (cap - 1);
    return &table[i];
}

static void grow_symbols(void) {
    size_t cap = symbols.cap ? symbols.cap * 2 : 1024;
    char **table = lg_alloc(cap * sizeof *table);
    for (size_t i = 0; i < symbols.cap; i++)
        if (symbols.slot[i])
            *find_slot(table, cap, symbols.slot[i], strlen(symbols.slot[i])) = symbols.slot[i];
    lg_free(symbols.slot);
    symbols.slot = table;
    symbols.cap = cap;
}

lg_sym lg_intern_n(const char *text, size_t n) {
    const void *nul = n ? memchr(text, 0, n) : NULL;
    if (nul) /* symbols are C strings */
        n = (size_t)((const char *)nul - text);
    pthread_mutex_lock(&symbols.lock);
    holds_symbols = true;
    if (!symbols.text)
        symbols.text = lg_arena_new();
    if (symbols.n * 2 >= symbols.cap)
        grow_symbols();
    char **slot = find_slot(symbols.slot, symbols.cap, text, n);
    if (!*slot) {
        char *copy = lg_arena_alloc(symbols.text, n + 1);
        memcpy(copy, text, n);
        *slot = copy;
        symbols.n++;
    }
    lg_sym s = *slot;
    let_symbols_go();
    return s;
}

lg_sym lg_intern(const char *text) {
    return lg_intern_n(text, strlen(text));
}

/* ---- spans ---- */

lg_span lg_span_join(lg_span a, lg_span b) {
    if (!a.file)
        return b;
    if (!b.file || a.file != b.file)
        return a;
    return (lg_span){a.file, a.beg < b.beg ? a.beg : b.beg, a.end > b.end ? a.end : b.end};
}

/* ---- spelling ---- */

enum { WORD_MOST = 48 };

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Twice the Damerau-Levenshtein distance (adjacent letters may swap once); a letter in the other
 * case counts half. */
static int distance(const char *a, size_t na, const char *b, size_t nb) {
    int row[3][WORD_MOST + 1];
    for (size_t j = 0; j <= nb; j++)
        row[0][j] = 2 * (int)j;
    for (size_t i = 1; i <= na; i++) {
        int *now = row[i % 3];
        const int *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3]; /* i - 2 modulo 3 */
        now[0] = 2 * (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int swap = a[i - 1] == b[j - 1] ? 0 : lower(a[i - 1]) == lower(b[j - 1]) ? 1 : 2;
            int best = up[j - 1] + swap;
            best = up[j] + 2 < best ? up[j] + 2 : best;
            best = now[j - 1] + 2 < best ? now[j - 1] + 2 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = up2[j - 2] + 2 < best ? up2[j - 2] + 2 : best;
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *lg_nearest(const char *word, const char *const *candidates, size_t n) {
    size_t length = strlen(word);
    if (!length || length > WORD_MOST)
        return NULL;
    int limit = length <= 1 ? 1 : length <= 4 ? 2 : length <= 8 ? 4 : 6;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t m = strlen(candidates[i]);
        if (m > WORD_MOST || m + 3 < length || length + 3 < m)
            continue;
        int d = distance(word, length, candidates[i], m);
        if (d && d <= limit) {
            limit = d - 1; /* later ones must be nearer */
            best = candidates[i];
        }
    }
    return best;
}

/* ---- sizes ---- */

const char *lg_size_text(char out[LG_SIZE_TEXT], double bytes) {
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB"};
    size_t i = 0;
    for (; bytes >= 1000 && i + 1 < LG_COUNT(unit); i++)
        bytes /= 1000;
    snprintf(out, LG_SIZE_TEXT,
             i == 0        ? "%.0f %s"
             : bytes < 1e5 ? "%.1f %s"
                           : "%.2g %s",
             bytes, unit[i]);
    return out;
}

double lg_memory_there(void) {
    double there = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    struct rlimit most;
    if (!getrlimit(RLIMIT_AS, &most) && most.rlim_cur != RLIM_INFINITY &&
        (double)most.rlim_cur < there)
        there = (double)most.rlim_cur;
    return there;
}

void lg_memory_back(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
