/* io.c: what all readers and writers share: reporting, bounded loading, inflating, element types of
 * files, named tensors, atomic output. Not for any one format. */
#include "runtime/io.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

size_t lg_io_limit(const lg_io *io) {
    return io->max_bytes ? io->max_bytes : LG_IO_MAX_BYTES;
}

lg_diag *lg_io_report(const lg_io *io, const char *code, const char *file, const char *fmt, ...) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s: ", file);
    va_list ap;
    va_start(ap, fmt);
    lg_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    size_t bad = 0;
    for (size_t i = 0; i < b.n; i++)
        if ((unsigned char)b.at[i] < ' ' || b.at[i] == 0x7f)
            b.at[i] = '?';
    while (!lg_utf8_ok(b.at, b.n, &bad))
        b.at[bad] = '?';
    lg_diag *d = lg_diag_add(io->ds, code, io->at, "%s", b.at);
    lg_buf_free(&b);
    return d;
}

char *lg_io_find(const char *path, const char *beside) {
    const char *slash = beside ? strrchr(beside, '/') : NULL;
    lg_buf b = {0};
    if (slash && path[0] != '/' && access(path, F_OK) != 0) {
        lg_buf_put(&b, beside, (size_t)(slash + 1 - beside));
        lg_buf_printf(&b, "%s", path);
        if (access(b.at, F_OK) == 0)
            return b.at;
        lg_buf_free(&b);
        b = (lg_buf){0};
    }
    lg_buf_printf(&b, "%s", path);
    return b.at;
}

/* ---- bytes ---- */

static lg_status no_memory(const lg_io *io, const char *file, size_t n) {
    lg_io_report(io, "E0602", file, "no memory for %zu bytes", n);
    return LG_FAILED;
}

/* Reads to the end or to n bytes, whichever is first; -1 and errno on failure. */
static ssize_t read_all(int fd, uint8_t *at, size_t n) {
    size_t got = 0;
    while (got < n) {
        size_t want = n - got < (1u << 30) ? n - got : (1u << 30);
        ssize_t k = read(fd, at + got, want);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        if (k == 0)
            break;
        got += (size_t)k;
    }
    return (ssize_t)got;
}

static lg_status load_fd(const lg_io *io, const char *path, int fd, lg_bytes *out) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        lg_io_report(io, "E0601", path, "%s",
                     S_ISDIR(st.st_mode) ? "is a directory, not a file" : "is not a regular file");
        return LG_FAILED;
    }
    if (st.st_size < 0 || (uint64_t)st.st_size > lg_io_limit(io)) {
        lg_io_report(io, "E0602", path, "has %lld bytes; at most %zu are read",
                     (long long)st.st_size, lg_io_limit(io));
        return LG_FAILED;
    }
    size_t n = (size_t)st.st_size;
    uint8_t *at = lg_alloc_aligned(n + 1, 64);
    if (!at)
        return no_memory(io, path, n);
    ssize_t got = read_all(fd, at, n);
    if (got < 0) {
        lg_io_report(io, "E0601", path, "cannot be read: %s", strerror(errno));
        lg_free_aligned(at);
        return LG_FAILED;
    }
    at[got] = 0;
    *out = (lg_bytes){at, (size_t)got, path};
    return LG_OK;
}

lg_status lg_bytes_load(const lg_io *io, const char *path, lg_bytes *out) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        lg_diag *d = lg_io_report(io, "E0601", path, "cannot be opened: %s", strerror(errno));
        if (errno == ENOENT && path[0] != '/')
            lg_diag_help(d, "paths are tried from the working directory, then beside the program");
        return LG_FAILED;
    }
    lg_status st = load_fd(io, path, fd, out);
    close(fd);
    return st;
}

void lg_bytes_free(lg_bytes *b) {
    union {
        const uint8_t *in;
        void *out;
    } p = {b->at};
    if (p.out)
        lg_free_aligned(p.out);
    *b = (lg_bytes){0};
}

uint64_t lg_le(const uint8_t *p, int n) {
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

uint64_t lg_be(const uint8_t *p, int n) {
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

bool lg_shape_bytes(int rank, const int64_t *shape, size_t size, size_t *bytes) {
    *bytes = size;
    for (int d = 0; d < rank; d++)
        if (shape[d] < 0 || !lg_mul_ok(*bytes, (size_t)shape[d], bytes))
            return false;
    return *bytes <= PTRDIFF_MAX;
}

/* ---- inflate ---- */

typedef struct {
    z_stream z;
    uint8_t *at;
    size_t n, cap, limit;
    const uint8_t *src, *end; /* what zlib has not been given yet */
} inflater;

/* Makes room for more output; false at the limit or without memory. */
static bool grow(inflater *f) {
    if (f->cap >= f->limit)
        return false;
    size_t cap = f->cap > f->limit / 2 ? f->limit : f->cap * 2;
    uint8_t *at = lg_alloc_aligned(cap + 1, 64);
    if (!at)
        return false;
    memcpy(at, f->at, f->n);
    lg_free_aligned(f->at);
    f->at = at;
    f->cap = cap;
    return true;
}

static void feed(inflater *f) {
    size_t left = (size_t)(f->end - f->src);
    f->z.avail_in = left < UINT_MAX / 2 ? (uInt)left : UINT_MAX / 2;
    f->z.next_in = (z_const Bytef *)(uintptr_t)f->src;
    f->src += f->z.avail_in;
}

/* One call of zlib with as much room as there is. */
static int inflate_some(inflater *f) {
    if (f->z.avail_in == 0)
        feed(f);
    size_t room = f->cap - f->n;
    uInt out = room < UINT_MAX / 2 ? (uInt)room : UINT_MAX / 2;
    f->z.next_out = f->at + f->n;
    f->z.avail_out = out;
    int rc = inflate(&f->z, Z_NO_FLUSH);
    f->n += out - f->z.avail_out;
    return rc;
}

/* NULL when all of the input was one or more whole streams, else what is wrong. */
static const char *inflate_all(inflater *f, bool gzip) {
    for (;;) {
        int rc = inflate_some(f);
        bool more_in = f->z.avail_in || f->src < f->end;
        if (rc == Z_STREAM_END && !more_in)
            return NULL;
        if (rc == Z_STREAM_END && gzip && inflateReset(&f->z) == Z_OK)
            continue;
        if (rc == Z_STREAM_END)
            return "has bytes after the compressed data";
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return "is not valid compressed data";
        if (f->n == f->cap && !grow(f))
            return "unpacks to more than it may";
        if (rc == Z_BUF_ERROR && !more_in && f->n < f->cap)
            return "ends within the compressed data";
    }
}

lg_status lg_inflate(const lg_io *io, const char *file, const uint8_t *src, size_t n,
                     int window_bits, size_t hint, size_t limit, lg_bytes *out) {
    /* deflate packs at most 1032 to 1, so a larger claim is a lie and is not allocated */
    size_t most = n > (SIZE_MAX - 64) / 1032 ? SIZE_MAX - 64 : n * 1032 + 64;
    inflater f = {.src = src, .end = src + n, .limit = limit < most ? limit : most};
    f.cap = hint < f.limit ? hint : f.limit;
    f.cap = f.cap ? f.cap : 1;
    f.at = lg_alloc_aligned(f.cap + 1, 64);
    if (!f.at)
        return no_memory(io, file, f.cap);
    if (inflateInit2(&f.z, window_bits) != Z_OK) {
        lg_free_aligned(f.at);
        return no_memory(io, file, 65536);
    }
    const char *wrong = inflate_all(&f, window_bits > MAX_WBITS);
    inflateEnd(&f.z);
    if (wrong) {
        lg_free_aligned(f.at);
        lg_io_report(io, "E0604", file, "%s (after %zu unpacked bytes)", wrong, f.n);
        return LG_FAILED;
    }
    f.at[f.n] = 0;
    *out = (lg_bytes){f.at, f.n, file};
    return LG_OK;
}

/* ---- element types ---- */

lg_wire lg_wire_of(char kind, uint64_t size) {
    static const lg_wire all[] = {{'f', 8, LG_F64}, {'f', 4, LG_F32}, {'f', 2, LG_F16},
                                  {'i', 8, LG_I64}, {'i', 4, LG_I32}, {'i', 2, LG_I32},
                                  {'i', 1, LG_I8},  {'u', 8, LG_I64}, {'u', 4, LG_I64},
                                  {'u', 2, LG_I32}, {'u', 1, LG_U8},  {'b', 1, LG_BOOL}};
    for (size_t i = 0; i < LG_COUNT(all); i++)
        if (all[i].kind == kind && all[i].size == size)
            return all[i];
    return (lg_wire){0};
}

static void copy_swapped(uint8_t *out, const uint8_t *src, size_t n, size_t size) {
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < size; b++)
            out[i * size + b] = src[i * size + size - 1 - b];
}

static uint64_t element(const uint8_t *p, int size, bool swap) {
    return swap ? lg_be(p, size) : lg_le(p, size);
}

static lg_status widen(const lg_io *io, const char *file, lg_wire w, bool swap, const uint8_t *src,
                       size_t n, void *out) {
    for (size_t i = 0; i < n; i++) {
        uint64_t v = element(src + i * w.size, w.size, swap);
        if (w.size == 8 && v > INT64_MAX) {
            lg_io_report(io, "E0607", file, "element %zu is %llu, above the largest i64", i,
                         (unsigned long long)v);
            return LG_FAILED;
        }
        lg_set_i64(w.as, out, i, w.kind == 'i' ? (int16_t)v : (int64_t)v);
    }
    return LG_OK;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are little endian in memory");

lg_status lg_wire_decode(const lg_io *io, const char *file, lg_wire w, bool swap,
                         const uint8_t *src, size_t n, void *out) {
    if (w.size != lg_dtype_size(w.as) || (w.kind == 'u' && w.size == 8))
        return widen(io, file, w, swap, src, n, out);
    if (w.kind == 'b')
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)out)[i] = src[i] != 0;
    else if (swap && w.size > 1)
        copy_swapped(out, src, n, w.size);
    else if (n)
        memcpy(out, src, n * w.size);
    return LG_OK;
}

/* ---- named tensors ---- */

void lg_bundle_fini(lg_bundle *b) {
    for (size_t i = 0; i < b->list.n; i++)
        lg_tensor_release(b->list.at[i].x);
    for (size_t i = 0; i < b->meta.n; i++) {
        lg_free(b->meta.at[i].key);
        lg_free(b->meta.at[i].value);
    }
    lg_free(b->list.at);
    lg_free(b->meta.at);
    *b = (lg_bundle){0};
}

void lg_bundle_add(lg_bundle *b, lg_sym name, lg_tensor *x) {
    LG_PUSH(b->list, ((lg_named){name, x}));
}

static char *copy_text(const char *s) {
    size_t n = strlen(s) + 1;
    return memcpy(lg_alloc(n), s, n);
}

void lg_bundle_put_meta(lg_bundle *b, const char *key, const char *value) {
    for (size_t i = 0; i < b->meta.n; i++)
        if (!strcmp(b->meta.at[i].key, key)) {
            lg_free(b->meta.at[i].value);
            b->meta.at[i].value = copy_text(value);
            return;
        }
    LG_PUSH(b->meta, ((lg_meta){copy_text(key), copy_text(value)}));
}

lg_tensor *lg_bundle_find(const lg_bundle *b, lg_sym name) {
    for (size_t i = 0; i < b->list.n; i++)
        if (b->list.at[i].name == name)
            return b->list.at[i].x;
    return NULL;
}

const char *lg_bundle_meta(const lg_bundle *b, const char *key) {
    for (size_t i = 0; i < b->meta.n; i++)
        if (strcmp(b->meta.at[i].key, key) == 0)
            return b->meta.at[i].value;
    return NULL;
}

/* ---- atomic output ---- */

/* A new file beside `path`; -1 and errno on failure. */
static int open_temp(const char *path, char **temp) {
    static int serial;
    for (int tries = 0; tries < 100; tries++) {
        lg_buf b = {0};
        lg_buf_printf(&b, "%s.%ld-%d.tmp", path, (long)getpid(),
                      __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
        int fd = open(b.at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) {
            *temp = b.at;
            return fd;
        }
        lg_buf_free(&b);
    }
    errno = EEXIST;
    return -1;
}

static lg_status write_failed(const lg_io *io, const char *name, int error) {
    lg_diag *d = lg_io_report(io, "E0610", name, "cannot be written: %s", strerror(error));
    if (error == ENOENT)
        lg_diag_help(d, "make the directory first");
    else if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        lg_diag_note(d, "what was there before is unchanged");
    return LG_FAILED;
}

lg_status lg_out_open(const lg_io *io, const char *path, lg_out *out) {
    char *real = realpath(path, NULL);
    *out = (lg_out){.io = io, .name = path, .path = copy_text(real ? real : path)};
    free(real);
    struct stat st;
    int fd;
    if (stat(out->path, &st) == 0 && !S_ISREG(st.st_mode))
        fd = open(out->path, O_WRONLY | O_CLOEXEC);
    else
        fd = open_temp(out->path, &out->temp);
    out->f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (out->f)
        return LG_OK;
    int error = errno;
    if (fd >= 0)
        close(fd);
    lg_free(out->path);
    lg_free(out->temp);
    return write_failed(io, path, error);
}

void lg_out_put(lg_out *out, const void *p, size_t n) {
    if (!out->error && n && fwrite(p, 1, n, out->f) != n)
        out->error = errno ? errno : EIO;
}

/* Makes a rename last: not every file system lets a directory be synced, and then it need not. */
static void sync_parent(const char *path) {
    const char *slash = strrchr(path, '/');
    lg_buf b = {0};
    if (slash)
        lg_buf_put(&b, path, slash == path ? 1 : (size_t)(slash - path));
    else
        lg_buf_put(&b, ".", 1);
    int fd = open(b.at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    lg_buf_free(&b);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static void finish(lg_out *out) {
    bool failed = fflush(out->f) != 0 || (out->temp && fsync(fileno(out->f)) != 0);
    if (failed && !out->error)
        out->error = errno;
}

lg_status lg_out_close(lg_out *out, bool keep) {
    if (keep && !out->error)
        finish(out);
    if (fclose(out->f) != 0 && !out->error)
        out->error = errno;
    bool whole = keep && !out->error;
    if (whole && out->temp && rename(out->temp, out->path) != 0) {
        out->error = errno;
        whole = false;
    }
    if (!whole && out->temp)
        unlink(out->temp);
    if (whole)
        sync_parent(out->path);
    lg_free(out->path);
    lg_free(out->temp);
    if (keep && out->error)
        return write_failed(out->io, out->name, out->error);
    return whole ? LG_OK : LG_FAILED;
}

lg_status lg_file_write(const lg_io *io, const char *path, const void *p, size_t n) {
    lg_out out;
    if (lg_out_open(io, path, &out) != LG_OK)
        return LG_FAILED;
    lg_out_put(&out, p, n);
    return lg_out_close(&out, true);
}
