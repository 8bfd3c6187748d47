/* ast.c: nodes of the syntax tree, its binary form and its dump. Built programs read trees with
 * this file, so it knows nothing of the parser. */
#include "compiler/front/ast.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
#define A(kind, text) #kind,
#include "compiler/front/ast.def"
#undef A
};

const char *lg_ast_kind_name(lg_ast_kind k) {
    return k < LG_A_N_KINDS ? kind_names[k] : "?";
}

/* Room for kids follows from their number: the next power of two. */
static uint32_t room_for(uint32_t n) {
    uint32_t room = 1;
    while (room < n)
        room *= 2;
    return n ? room : 0;
}

lg_ast *lg_ast_new(lg_arena *a, lg_ast_kind kind, lg_span at, uint32_t n_kids) {
    lg_ast *t = LG_NEW(a, lg_ast);
    t->kind = (uint16_t)kind;
    t->span = at;
    t->n = n_kids;
    t->kid = n_kids ? LG_NEW_N(a, lg_ast *, room_for(n_kids)) : NULL;
    return t;
}

lg_ast *lg_ast_add(lg_arena *a, lg_ast *parent, lg_ast *kid) {
    if (parent->n == room_for(parent->n)) {
        lg_ast **more = LG_NEW_N(a, lg_ast *, room_for(parent->n + 1));
        for (uint32_t i = 0; i < parent->n; i++)
            more[i] = parent->kid[i];
        parent->kid = more;
    }
    parent->kid[parent->n++] = kid;
    return parent;
}

int64_t lg_ast_int(const lg_ast *t) {
    if (!t->text)
        return (int64_t)t->num;
    bool hex = t->text[0] == '0' && (t->text[1] == 'x' || t->text[1] == 'X');
    return strtoll(t->text, NULL, hex ? 16 : 10);
}

/* ---- binary form ----
 * magic, hash of all that follows, number of strings, strings (length, bytes), then the tree in
 * preorder. Numbers are base-128 varints. A node is: kind + 1 (0: no node), bits that say what
 * follows, flags, spans, string numbers, num, kids. */

static const char MAGIC[4] = {'L', 'G', 'T', '1'};
enum { HEADER = 12, DEPTH_MOST = 4096, STRING_MOST = 1 << 26 };
enum { HAS_NAME = 1, HAS_TEXT = 2, HAS_DOC = 4, HAS_NUM = 8, HAS_NAME_SPAN = 16, HAS_SPAN = 32 };

typedef struct {
    lg_buf *out;
    LG_VEC(const char *) strings;
    LG_VEC(uint32_t) slots; /* open-addressed: number of a string + 1 */
} writer;

static void put_varint(lg_buf *b, uint64_t v) {
    for (; v >= 128; v >>= 7) {
        char byte = (char)(unsigned char)(v | 128);
        lg_buf_put(b, &byte, 1);
    }
    char byte = (char)(unsigned char)v;
    lg_buf_put(b, &byte, 1);
}

static void put_u64(lg_buf *b, uint64_t v) {
    char byte[8];
    for (int i = 0; i < 8; i++)
        byte[i] = (char)(unsigned char)(v >> (8 * i));
    lg_buf_put(b, byte, 8);
}

static uint32_t *slot_of(writer *w, const char *s) {
    size_t i = (size_t)lg_hash(s, strlen(s), 0) & (w->slots.n - 1);
    while (w->slots.at[i] && strcmp(w->strings.at[w->slots.at[i] - 1], s) != 0)
        i = (i + 1) & (w->slots.n - 1);
    return &w->slots.at[i];
}

static void grow_slots(writer *w) {
    size_t n = w->slots.n ? w->slots.n * 2 : 64;
    lg_free(w->slots.at);
    w->slots.at = lg_alloc(n * sizeof *w->slots.at);
    w->slots.n = w->slots.cap = n;
    for (uint32_t i = 0; i < w->strings.n; i++)
        *slot_of(w, w->strings.at[i]) = i + 1;
}

static uint32_t string_number(writer *w, const char *s) {
    if (2 * (w->strings.n + 1) > w->slots.n)
        grow_slots(w);
    uint32_t *slot = slot_of(w, s);
    if (!*slot) {
        LG_PUSH(w->strings, s);
        *slot = (uint32_t)w->strings.n;
    }
    return *slot - 1;
}

static void put_span(lg_buf *b, lg_span at) {
    put_varint(b, at.beg);
    put_varint(b, at.end >= at.beg ? at.end - at.beg : 0);
}

static uint64_t bits_of(double num) {
    uint64_t bits;
    memcpy(&bits, &num, sizeof bits);
    return bits;
}

static void write_node(writer *w, const lg_ast *t) {
    lg_buf *b = w->out;
    put_varint(b, t ? t->kind + 1u : 0);
    if (!t)
        return;
    unsigned has = (t->name ? HAS_NAME : 0u) | (t->text ? HAS_TEXT : 0u) | (t->doc ? HAS_DOC : 0u) |
                   (bits_of(t->num) ? HAS_NUM : 0u) | (t->name_span.file ? HAS_NAME_SPAN : 0u) |
                   (t->span.file ? HAS_SPAN : 0u);
    put_varint(b, has);
    put_varint(b, t->flags);
    if (has & HAS_SPAN)
        put_span(b, t->span);
    if (has & HAS_NAME_SPAN)
        put_span(b, t->name_span);
    if (has & HAS_NAME)
        put_varint(b, string_number(w, t->name));
    if (has & HAS_TEXT)
        put_varint(b, string_number(w, t->text));
    if (has & HAS_DOC)
        put_varint(b, string_number(w, t->doc));
    if (has & HAS_NUM)
        put_u64(b, bits_of(t->num));
    put_varint(b, t->n);
    for (uint32_t i = 0; i < t->n; i++)
        write_node(w, t->kid[i]);
}

void lg_ast_write(const lg_ast *t, lg_buf *out) {
    lg_buf nodes = {0}, body = {0};
    writer w = {.out = &nodes};
    write_node(&w, t);
    put_varint(&body, w.strings.n);
    for (size_t i = 0; i < w.strings.n; i++) {
        put_varint(&body, strlen(w.strings.at[i]));
        lg_buf_put(&body, w.strings.at[i], strlen(w.strings.at[i]));
    }
    lg_buf_put(&body, nodes.at, nodes.n);
    lg_buf_put(out, MAGIC, sizeof MAGIC);
    put_u64(out, lg_hash(body.at, body.n, 0));
    lg_buf_put(out, body.at, body.n);
    lg_buf_free(&nodes);
    lg_buf_free(&body);
    lg_free(w.strings.at);
    lg_free(w.slots.at);
}

typedef struct {
    lg_arena *arena;
    const unsigned char *at, *end;
    uint32_t file;
    size_t n_strings;
    lg_sym *string;
    bool damaged;
} reader;

static uint64_t get_varint(reader *r) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64 && r->at < r->end; shift += 7) {
        unsigned char byte = *r->at++;
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return v;
    }
    r->damaged = true;
    return 0;
}

static uint64_t get_u64(reader *r) {
    uint64_t v = 0;
    if (r->end - r->at < 8) {
        r->damaged = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)*r->at++ << (8 * i);
    return v;
}

static lg_span get_span(reader *r) {
    uint32_t beg = (uint32_t)get_varint(r);
    return (lg_span){r->file, beg, beg + (uint32_t)get_varint(r)};
}

static lg_sym get_string(reader *r) {
    uint64_t i = get_varint(r);
    if (i < r->n_strings)
        return r->string[i];
    r->damaged = true;
    return NULL;
}

static lg_ast *read_node(reader *r, int depth) {
    uint64_t kind = get_varint(r);
    if (!kind || r->damaged)
        return NULL;
    unsigned has = (unsigned)get_varint(r);
    uint16_t flags = (uint16_t)get_varint(r);
    lg_span at = has & HAS_SPAN ? get_span(r) : (lg_span){0};
    lg_span name_at = has & HAS_NAME_SPAN ? get_span(r) : (lg_span){0};
    lg_sym name = has & HAS_NAME ? get_string(r) : NULL;
    lg_sym text = has & HAS_TEXT ? get_string(r) : NULL;
    lg_sym doc = has & HAS_DOC ? get_string(r) : NULL;
    uint64_t bits = has & HAS_NUM ? get_u64(r) : 0;
    uint64_t n = get_varint(r);
    r->damaged |= kind > LG_A_N_KINDS || n > (uint64_t)(r->end - r->at) || depth > DEPTH_MOST;
    if (r->damaged)
        return NULL;
    lg_ast *t = lg_ast_new(r->arena, (lg_ast_kind)(kind - 1), at, (uint32_t)n);
    t->flags = flags;
    t->name_span = name_at;
    t->name = name;
    t->text = text;
    t->doc = doc;
    memcpy(&t->num, &bits, sizeof bits);
    for (uint32_t i = 0; i < t->n && !r->damaged; i++)
        t->kid[i] = read_node(r, depth + 1);
    return t;
}

static void read_strings(reader *r) {
    r->n_strings = (size_t)get_varint(r);
    r->damaged |= r->n_strings > (size_t)(r->end - r->at);
    if (r->damaged)
        return;
    r->string = LG_NEW_N(r->arena, lg_sym, r->n_strings);
    for (size_t i = 0; i < r->n_strings && !r->damaged; i++) {
        uint64_t n = get_varint(r);
        r->damaged |= n > (uint64_t)(r->end - r->at) || n > STRING_MOST;
        if (r->damaged)
            return;
        r->string[i] = lg_intern_n((const char *)r->at, (size_t)n);
        r->at += n;
    }
}

lg_ast *lg_ast_read(lg_arena *a, const void *p, size_t n, uint32_t file) {
    if (n < HEADER || memcmp(p, MAGIC, sizeof MAGIC) != 0)
        return NULL;
    const unsigned char *bytes = p;
    reader r = {.arena = a, .at = bytes + sizeof MAGIC, .end = bytes + n, .file = file};
    if (get_u64(&r) != lg_hash(bytes + HEADER, n - HEADER, 0))
        return NULL;
    read_strings(&r);
    lg_ast *t = r.damaged ? NULL : read_node(&r, 0);
    return r.damaged || r.at != r.end ? NULL : t;
}

/* ---- dump ---- */

static void dump_flags(unsigned flags, FILE *out) {
    static const char *const names[] = {"int", "prime", "static", "square", "file", "paren"};
    for (unsigned i = 0; i < LG_COUNT(names); i++)
        if (flags >> i & 1)
            fprintf(out, " %s", names[i]);
}

static void dump_text(const char *label, const char *text, FILE *out) {
    fprintf(out, " %s\"", label);
    for (; *text; text++)
        if (*text == '\n')
            fputs("\\n", out);
        else
            fputc(*text, out);
    fputc('"', out);
}

static void dump(const lg_ast *t, int depth, FILE *out) {
    fprintf(out, "%*s", 2 * depth, "");
    if (!t) {
        fputs("-\n", out);
        return;
    }
    fputs(lg_ast_kind_name((lg_ast_kind)t->kind), out);
    if (t->name)
        fprintf(out, " %s", t->name);
    if (t->text)
        dump_text("", t->text, out);
    if (t->kind == LG_A_BOOL)
        fprintf(out, " %s", t->num != 0.0 ? "true" : "false");
    dump_flags(t->flags, out);
    if (t->doc)
        dump_text("doc=", t->doc, out);
    fprintf(out, "  @%u-%u\n", t->span.beg, t->span.end);
    for (uint32_t i = 0; i < t->n; i++)
        dump(t->kid[i], depth + 1, out);
}

void lg_ast_dump(const lg_ast *t, FILE *out) {
    dump(t, 0, out);
}
