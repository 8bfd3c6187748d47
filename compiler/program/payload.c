/* payload.c: writes and reads the payload of built programs. What is read is bounded and checked:
 * a damaged file is reported, never believed. */
#include "compiler/program/payload.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char MAGIC[9] = "LGPROG\r\n";
enum { HASH_SEED = 29, DEPTH_MOST = 1000 };

/* Numbers of node kinds are part of the format, so their names are part of the mark. */
static const char mark[] = "lossgraph program " LG_VERSION ":"
#define A(kind, text) " " #kind
#include "compiler/front/ast.def"
#undef A
    ;

const char *lg_payload_mark(void) {
    return mark;
}

static uint64_t fingerprint(void) {
    return lg_hash(mark, sizeof mark, HASH_SEED);
}

/* ---- writing ---- */

static void put_number(lg_buf *b, uint64_t v) {
    char byte[8];
    for (int i = 0; i < 8; i++)
        byte[i] = (char)(unsigned char)(v >> (8 * i));
    lg_buf_put(b, byte, sizeof byte);
}

static void put_bytes(lg_buf *b, const char *at, size_t n) {
    put_number(b, n);
    lg_buf_put(b, at, n);
}

static void put_file(lg_buf *b, const lg_payload_file *f) {
    lg_buf tree = {0};
    lg_ast_write(f->tree, &tree);
    put_bytes(b, f->name, strlen(f->name));
    put_bytes(b, f->text, f->n_text);
    put_bytes(b, tree.at, tree.n);
    put_number(b, f->imports.n);
    for (size_t i = 0; i < f->imports.n; i++)
        put_number(b, f->imports.at[i]);
    lg_buf_free(&tree);
}

void lg_payload_write(const lg_payload *p, lg_buf *out) {
    lg_buf b = {0};
    put_bytes(&b, p->version, strlen(p->version));
    put_bytes(&b, p->float_name, strlen(p->float_name));
    put_number(&b, p->with.n);
    for (size_t i = 0; i < p->with.n; i++)
        put_bytes(&b, p->with.at[i], strlen(p->with.at[i]));
    put_number(&b, p->files.n);
    for (size_t i = 0; i < p->files.n; i++)
        put_file(&b, &p->files.at[i]);
    put_number(&b, p->carried.n);
    for (size_t i = 0; i < p->carried.n; i++) {
        put_number(&b, p->carried.at[i].key[0]);
        put_number(&b, p->carried.at[i].key[1]);
        put_bytes(&b, (const char *)p->carried.at[i].bytes, p->carried.at[i].n);
    }
    lg_buf_put(out, b.at, b.n);
    lg_buf_put(out, MAGIC, 8);
    put_number(out, fingerprint());
    put_number(out, b.n);
    put_number(out, lg_hash(b.at, b.n, HASH_SEED));
    lg_buf_free(&b);
}

bool lg_payload_present(const uint8_t *exe, size_t n) {
    return n >= LG_PAYLOAD_TAIL && !memcmp(exe + n - LG_PAYLOAD_TAIL, MAGIC, 8);
}

/* ---- reading ---- */

typedef struct {
    lg_arena *arena;
    const uint8_t *at, *end;
    bool damaged;
} reader;

static uint64_t get_number(reader *r) {
    if (r->end - r->at < 8) {
        r->damaged = true;
        return 0;
    }
    r->at += 8;
    return lg_le(r->at - 8, 8);
}

/* A number of things that take at least 8 bytes each. */
static uint64_t get_count(reader *r) {
    uint64_t n = get_number(r);
    r->damaged |= n > (uint64_t)(r->end - r->at) / 8;
    return r->damaged ? 0 : n;
}

static const uint8_t *get_bytes(reader *r, size_t *n) {
    uint64_t size = get_number(r);
    r->damaged |= size > (uint64_t)(r->end - r->at);
    *n = r->damaged ? 0 : (size_t)size;
    r->at += *n;
    return r->at - *n;
}

static const char *get_text(reader *r) {
    size_t n;
    const uint8_t *at = get_bytes(r, &n);
    char *text = lg_arena_alloc(r->arena, n + 1);
    if (n)
        memcpy(text, at, n);
    return text;
}

static void get_file(reader *r, lg_payload_file *f) {
    f->name = get_text(r);
    f->text = (const char *)get_bytes(r, &f->n_text);
    f->bytes = get_bytes(r, &f->n_bytes);
    uint64_t n = get_count(r);
    for (uint64_t i = 0; i < n; i++)
        LG_PUSH(f->imports, get_number(r));
}

static bool parse(reader *r, lg_payload *out) {
    out->version = get_text(r);
    out->float_name = get_text(r);
    uint64_t n = get_count(r);
    for (uint64_t i = 0; i < n && !r->damaged; i++)
        LG_PUSH(out->with, get_text(r));
    n = get_count(r);
    for (uint64_t i = 0; i < n && !r->damaged; i++) {
        lg_payload_file f = {0};
        get_file(r, &f);
        LG_PUSH(out->files, f);
    }
    n = get_count(r);
    for (uint64_t i = 0; i < n && !r->damaged; i++) {
        lg_carried c = {.key = {get_number(r)}};
        c.key[1] = get_number(r);
        c.bytes = get_bytes(r, &c.n);
        LG_PUSH(out->carried, c);
    }
    return !r->damaged && r->at == r->end && out->files.n > 0;
}

static bool unreadable(const lg_io *io, const char *name) {
    lg_io_report(io, "E0721", name, "the program cannot read itself: %s", strerror(errno));
    return false;
}

static bool not_whole(const lg_io *io, const char *name, const char *why) {
    lg_diag *d = lg_io_report(io, "E0721", name, "%s", why);
    lg_diag_help(d, "build it again: lg build FILE.lg -o %s", name);
    return false;
}

static bool read_at(int fd, void *to, size_t n, uint64_t from) {
    char *p = to;
    while (n) {
        ssize_t got = pread(fd, p, n, (off_t)from);
        if (got <= 0)
            return false;
        p += got;
        from += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

/* The body, against what the tail says of it. */
static bool read_body(const lg_io *io, lg_arena *a, const uint8_t *body, size_t n,
                      const uint8_t *tail, const char *name, lg_payload *out) {
    if (lg_hash(body, n, HASH_SEED) != lg_le(tail + 24, 8))
        return not_whole(io, name, "the program that it carries is damaged");
    reader r = {.arena = a, .at = body, .end = body + n};
    return parse(&r, out) || not_whole(io, name, "the program that it carries is damaged");
}

bool lg_payload_from(const lg_io *io, lg_arena *a, const uint8_t *at, size_t n, const char *name,
                     lg_payload *out) {
    const uint8_t *tail = at + n - LG_PAYLOAD_TAIL;
    if (!lg_payload_present(at, n) || lg_le(tail + 8, 8) != fingerprint() ||
        lg_le(tail + 16, 8) != n - LG_PAYLOAD_TAIL)
        return not_whole(io, name, "its program was built by another version of lg");
    return read_body(io, a, at, n - LG_PAYLOAD_TAIL, tail, name, out);
}

static bool read_open(const lg_io *io, lg_arena *a, int fd, const char *name, lg_payload *out) {
    struct stat st;
    uint8_t tail[LG_PAYLOAD_TAIL];
    if (fstat(fd, &st) != 0)
        return unreadable(io, name);
    uint64_t size = (uint64_t)st.st_size;
    if (size < sizeof tail || !read_at(fd, tail, sizeof tail, size - sizeof tail))
        return unreadable(io, name);
    if (memcmp(tail, MAGIC, 8) != 0)
        return not_whole(io, name,
                         "the file carries no program, or its end was cut off or added to");
    if (lg_le(tail + 8, 8) != fingerprint())
        return not_whole(io, name, "its program was built by another version of lg");
    uint64_t n = lg_le(tail + 16, 8);
    if (n > size - sizeof tail || n > lg_io_limit(io))
        return not_whole(io, name, "the program that it carries was cut short");
    uint8_t *body = lg_arena_alloc(a, (size_t)n + 1);
    if (!read_at(fd, body, (size_t)n, size - sizeof tail - n))
        return unreadable(io, name);
    return read_body(io, a, body, (size_t)n, tail, name, out);
}

bool lg_payload_read(const lg_io *io, lg_arena *a, const char *path, const char *name,
                     lg_payload *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return unreadable(io, name);
    bool ok = read_open(io, a, fd, name, out);
    close(fd);
    return ok;
}

void lg_payload_fini(lg_payload *p) {
    for (size_t i = 0; i < p->files.n; i++)
        lg_free(p->files.at[i].imports.at);
    lg_free(p->files.at);
    lg_free(p->with.at);
    lg_free(p->carried.at);
    *p = (lg_payload){0};
}

/* ---- registering ---- */

typedef struct {
    const lg_io *io;
    lg_elab *E;
    const lg_payload *p;
    const char *name;
    lg_module **module; /* of each file; NULL: not yet */
} loader;

static lg_module *load(loader *l, uint64_t number, int depth);

static lg_module *imported(loader *l, const lg_ast *t, uint64_t file, int depth) {
    if (t->flags & LG_AF_FILE)
        return load(l, file, depth + 1);
    bool std = t->text && !strncmp(t->text, "std.", 4);
    return std ? lg_library_module(l->E, t->text + 4) : NULL;
}

static lg_module *load(loader *l, uint64_t number, int depth) {
    if (number >= l->p->files.n || depth > DEPTH_MOST)
        return NULL;
    if (l->module[number])
        return l->module[number];
    const lg_payload_file *f = &l->p->files.at[number];
    uint32_t file = lg_source_add(f->name, f->text, f->n_text);
    lg_ast *tree = lg_ast_read(l->E->arena, f->bytes, f->n_bytes, file);
    if (!tree || tree->kind != LG_A_BLOCK)
        return NULL;
    lg_module *m = l->module[number] = lg_elab_add_module(l->E, lg_source_name(file), tree, false);
    size_t k = 0;
    for (uint32_t i = 0; i < tree->n; i++) {
        const lg_ast *t = tree->kid[i];
        if (t->kind != LG_A_IMPORT)
            continue;
        uint64_t target = k < f->imports.n ? f->imports.at[k++] : LG_NO_FILE;
        lg_module *other = imported(l, t, target, depth);
        if (!other)
            return NULL;
        lg_elab_import(l->E, m, t, other);
    }
    return m;
}

lg_module *lg_payload_load(const lg_io *io, lg_elab *E, const lg_payload *p, const char *name) {
    loader l = {io, E, p, name, LG_NEW_N(E->arena, lg_module *, p->files.n)};
    lg_module *m = load(&l, 0, 0);
    if (!m)
        not_whole(io, name, "the program that it carries is damaged");
    return m;
}
