/* npz.c: archives of npy arrays: zip files with stored or deflated members, read member by member
 * in memory. The central directory is what counts; a local header only says where data begin.
 * Not for other archives: split, encrypted or otherwise packed ones are errors. */
#include "runtime/io.h"
#include <string.h>
#include <zlib.h>

enum { END = 22, END64 = 56, LOCATOR = 20, CENTRAL = 46, LOCAL = 30 };

typedef struct {
    const lg_io *io;
    lg_bytes b;
} archive;

typedef struct {
    char name[256];
    unsigned flags, method;
    uint64_t crc, packed, size, at;
} member;

static lg_status bad(const archive *a, const char *why) {
    lg_io_report(a->io, "E0603", a->b.file, "not a readable npz file: %s", why);
    return LG_FAILED;
}

static bool inside(const archive *a, uint64_t at, uint64_t n) {
    return at <= a->b.n && n <= a->b.n - at;
}

static bool signature(const archive *a, uint64_t at, uint32_t want) {
    return inside(a, at, 4) && lg_le(a->b.at + at, 4) == want;
}

/* The end record: the last one whose comment reaches just to the end of the file. */
static bool find_end(const archive *a, size_t *at) {
    if (a->b.n < END)
        return false;
    size_t first = a->b.n > END + 65535 ? a->b.n - END - 65535 : 0;
    for (size_t i = a->b.n - END + 1; i-- > first;)
        if (signature(a, i, 0x06054b50) && lg_le(a->b.at + i + 20, 2) == a->b.n - i - END) {
            *at = i;
            return true;
        }
    return false;
}

typedef struct {
    uint64_t n, size, at;
} directory;

static lg_status find_directory(const archive *a, directory *d) {
    size_t end;
    if (!find_end(a, &end))
        return bad(a, "it has no zip directory (cut short?)");
    const uint8_t *p = a->b.at + end;
    if (lg_le(p + 4, 2) || lg_le(p + 6, 2) || lg_le(p + 8, 2) != lg_le(p + 10, 2))
        return bad(a, "it is one part of several");
    *d = (directory){lg_le(p + 10, 2), lg_le(p + 12, 4), lg_le(p + 16, 4)};
    bool wide = d->n == 0xffff || d->size == 0xffffffff || d->at == 0xffffffff;
    if (wide && end >= LOCATOR && signature(a, end - LOCATOR, 0x07064b50)) {
        uint64_t at = lg_le(p - LOCATOR + 8, 8);
        if (!inside(a, at, END64) || !signature(a, at, 0x06064b50))
            return bad(a, "its zip64 directory is damaged");
        const uint8_t *q = a->b.at + at;
        *d = (directory){lg_le(q + 32, 8), lg_le(q + 40, 8), lg_le(q + 48, 8)};
    }
    if (!inside(a, d->at, d->size) || d->at + d->size > end || d->n > d->size / CENTRAL)
        return bad(a, "its directory does not fit the file");
    return LG_OK;
}

/* Sizes and place that do not fit 32 bits stand in the extra field, in this order. */
static bool widen(member *m, const uint8_t *extra, size_t n) {
    uint64_t *fields[] = {&m->size, &m->packed, &m->at};
    for (size_t i = 0; n - i >= 4;) {
        size_t id = lg_le(extra + i, 2), len = lg_le(extra + i + 2, 2);
        i += 4;
        if (len > n - i)
            return false;
        size_t used = 0;
        for (size_t f = 0; id == 1 && f < LG_COUNT(fields); f++) {
            if (*fields[f] != 0xffffffff)
                continue;
            if (len - used < 8)
                return false;
            *fields[f] = lg_le(extra + i + used, 8);
            used += 8;
        }
        i += len;
    }
    return true;
}

/* The entry at *at of the directory; moves *at behind it. */
static lg_status next_member(const archive *a, const directory *d, uint64_t *at, member *m) {
    uint64_t left = d->at + d->size - *at;
    const uint8_t *p = a->b.at + *at;
    if (left < CENTRAL || !signature(a, *at, 0x02014b50))
        return bad(a, "its directory is damaged");
    size_t n = lg_le(p + 28, 2), extra = lg_le(p + 30, 2), comment = lg_le(p + 32, 2);
    if (n + extra + comment > left - CENTRAL)
        return bad(a, "an entry of its directory is cut short");
    if (n >= sizeof m->name || memchr(p + CENTRAL, 0, n) ||
        !lg_utf8_ok((const char *)p + CENTRAL, n, &(size_t){0}))
        return bad(a, "a member's name is too long or not UTF-8");
    *m = (member){.flags = (unsigned)lg_le(p + 8, 2),
                  .method = (unsigned)lg_le(p + 10, 2),
                  .crc = lg_le(p + 16, 4),
                  .packed = lg_le(p + 20, 4),
                  .size = lg_le(p + 24, 4),
                  .at = lg_le(p + 42, 4)};
    memcpy(m->name, p + CENTRAL, n);
    *at += CENTRAL + n + extra + comment;
    return widen(m, p + CENTRAL + n, extra) ? LG_OK : bad(a, "an extra field is cut short");
}

static lg_status member_failed(const archive *a, const member *m, const char *why) {
    lg_io_report(a->io, "E0604", a->b.file, "member `%s` %s", m->name, why);
    return LG_FAILED;
}

static lg_status unpack(const archive *a, const member *m, const char *label, lg_bytes *out) {
    if (!signature(a, m->at, 0x04034b50) || !inside(a, m->at, LOCAL))
        return member_failed(a, m, "does not begin where the directory says");
    const uint8_t *p = a->b.at + m->at;
    uint64_t at = m->at + LOCAL + lg_le(p + 26, 2) + lg_le(p + 28, 2);
    if (!inside(a, at, m->packed))
        return member_failed(a, m, "reaches beyond the file");
    if (m->flags & 1)
        return member_failed(a, m, "is encrypted");
    if (m->method == 0 && m->packed == m->size)
        *out = (lg_bytes){a->b.at + at, (size_t)m->size, label};
    else if (m->method != 8 || m->size > lg_io_limit(a->io))
        return member_failed(a, m, "is neither stored nor deflated, or too large");
    else if (lg_inflate(a->io, label, a->b.at + at, (size_t)m->packed, -MAX_WBITS, (size_t)m->size,
                        (size_t)m->size, out) != LG_OK)
        return LG_FAILED;
    if (out->n == m->size && crc32_z(crc32_z(0, NULL, 0), out->at, out->n) == m->crc)
        return LG_OK;
    if (m->method == 8)
        lg_bytes_free(out);
    return member_failed(a, m, "is damaged: size or checksum differ");
}

static lg_status read_member(const archive *a, const member *m, lg_bundle *out) {
    size_t n = strlen(m->name);
    if (n > 0 && m->name[n - 1] == '/')
        return LG_OK;
    if (n < 5 || strcmp(m->name + n - 4, ".npy") != 0)
        return member_failed(a, m, "is no .npy array");
    lg_sym name = lg_intern_n(m->name, n - 4);
    if (lg_bundle_find(out, name)) {
        lg_io_report(a->io, "E0609", a->b.file, "two members are called `%s`", name);
        return LG_FAILED;
    }
    lg_buf label = {0};
    lg_buf_printf(&label, "%s(%s)", a->b.file, m->name);
    lg_bytes content;
    lg_tensor *x = NULL;
    lg_status st = unpack(a, m, label.at, &content);
    if (st == LG_OK) {
        st = lg_npy_parse(a->io, content, &x);
        if (m->method == 8)
            lg_bytes_free(&content);
    }
    if (st == LG_OK)
        lg_bundle_add(out, name, x);
    lg_buf_free(&label);
    return st;
}

lg_status lg_npz_parse(const lg_io *io, lg_bytes b, lg_bundle *out) {
    archive a = {io, b};
    directory d = {0};
    if (find_directory(&a, &d) != LG_OK)
        return LG_FAILED;
    lg_bundle got = {0};
    uint64_t at = d.at;
    size_t total = 0;
    for (uint64_t i = 0; i < d.n; i++) {
        member m;
        lg_status st = next_member(&a, &d, &at, &m);
        if (st == LG_OK && (total += (size_t)m.packed) > b.n)
            st = bad(&a, "its members overlap");
        if (st != LG_OK || read_member(&a, &m, &got) != LG_OK) {
            lg_bundle_fini(&got);
            return LG_FAILED;
        }
    }
    *out = got;
    return LG_OK;
}

lg_status lg_npz_load(const lg_io *io, const char *path, lg_bundle *out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_npz_parse(io, b, out);
    lg_bytes_free(&b);
    return st;
}
