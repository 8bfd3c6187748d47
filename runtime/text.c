/* text.c: UTF-8 text and the three ways of making ids of it: bytes, characters, words. Not for
 * learned tokenizers. */
#include "runtime/io.h"
#include <stdlib.h>
#include <string.h>

/* ---- UTF-8 ---- */

/* The code point at s and its length; 0 when there is none (overlong, surrogate, cut short). */
static int decode(const uint8_t *s, size_t left, uint32_t *cp) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || (size_t)n > left)
        return 0;
    *cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *cp = *cp << 6 | (s[i] & 0x3f);
    }
    bool valid = *cp >= least[n] && *cp <= 0x10ffff && (*cp < 0xd800 || *cp > 0xdfff);
    return valid ? n : 0;
}

static int encode(uint32_t cp, char out[4]) {
    int n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = n - 1; i > 0; i--, cp >>= 6)
        out[i] = (char)(0x80 | (cp & 0x3f));
    out[0] = (char)(lead[n] | cp);
    return n;
}

bool lg_utf8_ok(const char *text, size_t n, size_t *bad) {
    const uint8_t *s = (const uint8_t *)text;
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        int k = s[i] < 0x80 ? 1 : decode(s + i, n - i, &cp);
        if (k == 0) {
            *bad = i;
            return false;
        }
        i += (size_t)k;
    }
    return true;
}

lg_status lg_text_load(const lg_io *io, const char *path, lg_bytes *out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    size_t bad;
    if (!lg_utf8_ok((const char *)b.at, b.n, &bad)) {
        lg_io_report(io, "E0603", path, "byte %zu is not UTF-8", bad);
        lg_bytes_free(&b);
        return LG_FAILED;
    }
    if (b.n >= 3 && memcmp(b.at, "\xef\xbb\xbf", 3) == 0) {
        union {
            const uint8_t *in;
            char *out;
        } p = {b.at};
        b.n -= 3;
        memmove(p.out, p.out + 3, b.n + 1);
    }
    *out = b;
    return LG_OK;
}

/* ---- vocabularies ---- */

typedef struct {
    const char *at;
    size_t n;
    int64_t count;
} token;

typedef enum { BYTES, CHARS, WORDS } kind;

struct lg_vocab {
    kind kind;
    lg_arena *arena;
    LG_VEC(token) tokens;
    uint32_t *points; /* CHARS: the code point of every id, rising */
    uint32_t *slots;  /* WORDS: hash table of id + 1, 0 free */
    size_t mask;
};

static lg_vocab *new_vocab(kind k) {
    lg_vocab *v = lg_alloc(sizeof *v);
    v->kind = k;
    v->arena = lg_arena_new();
    return v;
}

void lg_vocab_free(lg_vocab *v) {
    if (!v)
        return;
    lg_arena_free(v->arena);
    lg_free(v->tokens.at);
    lg_free(v->slots);
    lg_free(v);
}

static void add_token(lg_vocab *v, const char *s, size_t n, int64_t count) {
    char *copy = lg_arena_alloc(v->arena, n + 1);
    memcpy(copy, s, n);
    LG_PUSH(v->tokens, ((token){copy, n, count}));
}

lg_vocab *lg_vocab_bytes(void) {
    lg_vocab *v = new_vocab(BYTES);
    for (int i = 0; i < 256; i++)
        add_token(v, (char[]){(char)(uint8_t)i}, 1, 0);
    return v;
}

lg_vocab *lg_vocab_chars(const char *text, size_t n) {
    enum { POINTS = 0x110000 };
    const uint8_t *s = (const uint8_t *)text;
    uint8_t *seen = lg_alloc(POINTS / 8);
    uint32_t cp;
    int k;
    for (size_t i = 0; i < n && (k = decode(s + i, n - i, &cp)) > 0; i += (size_t)k)
        seen[cp / 8] |= (uint8_t)(1 << cp % 8);
    lg_vocab *v = new_vocab(CHARS);
    LG_VEC(uint32_t) points = {0};
    for (cp = 0; cp < POINTS; cp++)
        if (seen[cp / 8] >> cp % 8 & 1) {
            char utf8[4];
            add_token(v, utf8, (size_t)encode(cp, utf8), 0);
            LG_PUSH(points, cp);
        }
    if (points.n)
        v->points = lg_arena_dup(v->arena, points.at, points.n * sizeof cp);
    lg_free(points.at);
    lg_free(seen);
    return v;
}

/* The id of a code point, or -1. */
static int32_t find_point(const lg_vocab *v, uint32_t cp) {
    size_t lo = 0, hi = v->tokens.n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (v->points[mid] < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < v->tokens.n && v->points[lo] == cp ? (int32_t)lo : -1;
}

/* ---- words ---- */

static bool word_byte(uint8_t c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') || c == '_' || c == '\'';
}

/* The next word at or after *at; false at the end. */
static bool next_word(const char *s, size_t n, size_t *at, size_t *len) {
    while (*at < n && (uint8_t)s[*at] <= ' ')
        ++*at;
    if (*at == n)
        return false;
    size_t i = *at;
    while (i < n && word_byte((uint8_t)s[i]))
        i++;
    *len = i > *at ? i - *at : 1;
    return true;
}

/* The slot of a word: its own, or the free one where it belongs. */
static size_t slot_of(const lg_vocab *v, const char *s, size_t n) {
    size_t i = (size_t)lg_hash(s, n, 0) & v->mask;
    for (; v->slots[i]; i = (i + 1) & v->mask) {
        const token *t = &v->tokens.at[v->slots[i] - 1];
        if (t->n == n && memcmp(t->at, s, n) == 0)
            break;
    }
    return i;
}

static void rehash(lg_vocab *v) {
    lg_free(v->slots);
    size_t cap = 64;
    while (cap < v->tokens.n * 4)
        cap *= 2;
    v->slots = lg_alloc(cap * sizeof *v->slots);
    v->mask = cap - 1;
    for (size_t i = 0; i < v->tokens.n; i++)
        v->slots[slot_of(v, v->tokens.at[i].at, v->tokens.at[i].n)] = (uint32_t)i + 1;
}

static void count_word(lg_vocab *v, const char *s, size_t n) {
    size_t i = slot_of(v, s, n);
    if (v->slots[i]) {
        v->tokens.at[v->slots[i] - 1].count++;
        return;
    }
    add_token(v, s, n, 1);
    v->slots[i] = (uint32_t)v->tokens.n;
    if (v->tokens.n * 2 > v->mask)
        rehash(v);
}

static int by_frequency(const void *a, const void *b) {
    const token *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    int c = memcmp(x->at, y->at, x->n < y->n ? x->n : y->n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

lg_vocab *lg_vocab_words(const char *text, size_t n, size_t most) {
    lg_vocab *v = new_vocab(WORDS);
    add_token(v, "<unk>", 5, INT64_MAX); /* first in any order; text never holds it as one word */
    rehash(v);
    for (size_t at = 0, len; next_word(text, n, &at, &len); at += len)
        count_word(v, text + at, len);
    qsort(v->tokens.at, v->tokens.n, sizeof *v->tokens.at, by_frequency);
    if (most && v->tokens.n > most)
        v->tokens.n = most;
    rehash(v);
    return v;
}

/* ---- ids ---- */

size_t lg_vocab_size(const lg_vocab *v) {
    return v->tokens.n;
}

const char *lg_vocab_token(const lg_vocab *v, size_t id, size_t *n) {
    assert(id < v->tokens.n);
    *n = v->tokens.at[id].n;
    return v->tokens.at[id].at;
}

typedef LG_VEC(int32_t) id_list;

/* False at a character outside the vocabulary, with its byte in *bad. */
static bool encode_chars(const lg_vocab *v, const char *text, size_t n, id_list *ids, size_t *bad) {
    const uint8_t *s = (const uint8_t *)text;
    int32_t ascii[128];
    for (uint32_t c = 0; c < 128; c++)
        ascii[c] = find_point(v, c);
    for (size_t i = 0; i < n;) {
        uint32_t cp = s[i];
        int k = cp < 128 ? 1 : decode(s + i, n - i, &cp);
        int32_t id = k == 0 ? -1 : cp < 128 ? ascii[cp] : find_point(v, cp);
        if (id < 0) {
            *bad = i;
            return false;
        }
        LG_PUSH(*ids, id);
        i += (size_t)k;
    }
    return true;
}

static void encode_words(const lg_vocab *v, const char *text, size_t n, id_list *ids) {
    for (size_t at = 0, len; next_word(text, n, &at, &len); at += len) {
        uint32_t slot = v->slots[slot_of(v, text + at, len)];
        LG_PUSH(*ids, slot ? (int32_t)slot - 1 : 0);
    }
}

lg_status lg_vocab_encode(const lg_io *io, const lg_vocab *v, const char *file, const char *text,
                          size_t n, lg_tensor **out) {
    id_list ids = {0};
    size_t bad = 0;
    bool ok = true;
    switch (v->kind) {
    case BYTES:
        for (size_t i = 0; i < n; i++)
            LG_PUSH(ids, (uint8_t)text[i]);
        break;
    case CHARS:
        ok = encode_chars(v, text, n, &ids, &bad);
        break;
    case WORDS:
        encode_words(v, text, n, &ids);
        break;
    }
    lg_tensor *x = ok ? lg_tensor_try(LG_I32, 1, (int64_t[]){(int64_t)ids.n}) : NULL;
    if (!ok)
        lg_io_report(io, "E0612", file, "byte %zu begins a character outside the vocabulary", bad);
    else if (!x)
        lg_io_report(io, "E0602", file, "no memory for %zu ids", ids.n);
    else if (ids.n)
        memcpy(x->data, ids.at, ids.n * sizeof *ids.at);
    lg_free(ids.at);
    if (!x)
        return LG_FAILED;
    *out = x;
    return LG_OK;
}

lg_status lg_vocab_decode(const lg_io *io, const lg_vocab *v, const int32_t *ids, size_t n,
                          lg_buf *out) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= v->tokens.n) {
            lg_io_report(io, "E0612", "ids", "%d is no id of a vocabulary of %zu", ids[i],
                         v->tokens.n);
            return LG_FAILED;
        }
        const token *t = &v->tokens.at[ids[i]];
        bool closing = t->n == 1 && strchr(".,;:!?)]}", t->at[0]) && t->at[0];
        if (v->kind == WORDS && i > 0 && !closing)
            lg_buf_put(out, " ", 1);
        lg_buf_put(out, t->at, t->n);
    }
    return LG_OK;
}
