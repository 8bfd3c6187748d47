/* jsonl.c: the training log: one JSON object a line. Lines are written at once, or held for at most
 * a moment when many follow each other, so that the log can be followed while a run goes on;
 * however the process ends, short of SIGKILL, all of them are in the file. Not for what is logged
 * when. */
#include "runtime/ending.h"
#include "runtime/io.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 16, MOMENT_MS = 100 };

struct lg_log {
    int file;
    pid_t owner;
    char *path;
    lg_buf line; /* the object so far, without its last brace */
    bool failed;
    int64_t written;         /* when, ms */
    volatile size_t done, n; /* of the lines held: written, all */
    char held[ROOM];
};

/* ---- ends of the process ---- */

static lg_log *volatile open_log;

/* Only what a signal handler may do. */
static void rescue(void) {
    lg_log *l = open_log;
    if (!l || l->owner != getpid())
        return;
    while (l->done < l->n) {
        ssize_t n = write(l->file, l->held + l->done, l->n - l->done);
        if (n <= 0)
            return;
        l->done += (size_t)n;
    }
}

/* ---- the file ---- */

static int64_t now_ms(void) {
    struct timespec t;
#ifdef CLOCK_MONOTONIC_COARSE
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool write_all(int file, const char *at, size_t n) {
    while (n > 0) {
        ssize_t m = write(file, at, n);
        if (m < 0 && errno != EINTR)
            return false;
        at += m > 0 ? m : 0;
        n -= m > 0 ? (size_t)m : 0;
    }
    return true;
}

/* A line that a broken run left unfinished is ended, so that ours stay whole. */
static void end_last_line(const char *path, int file) {
    FILE *old = fopen(path, "rbe");
    int c = '\n';
    if (old && fseek(old, -1, SEEK_END) == 0)
        c = fgetc(old);
    if (old)
        fclose(old);
    if (c != '\n' && c != EOF)
        write_all(file, "\n", 1);
}

lg_status lg_log_open(const lg_io *io, const char *path, bool append, lg_log **out) {
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);
    if (file < 0) {
        lg_io_report(io, "E0610", path, "cannot be written: %s", strerror(errno));
        return LG_FAILED;
    }
    if (append)
        end_last_line(path, file);
    lg_log *l = lg_alloc(sizeof *l);
    lg_buf name = {0};
    lg_buf_put(&name, path, strlen(path));
    l->file = file;
    l->owner = getpid();
    l->path = name.at;
    l->written = now_ms() - MOMENT_MS;
    *out = l;
    if (!open_log) {
        open_log = l;
        lg_at_end(rescue);
    }
    return LG_OK;
}

static bool write_held(lg_log *l) {
    bool ok = l->done == l->n || write_all(l->file, l->held + l->done, l->n - l->done);
    l->done = l->n; /* in an order in which nothing is ever written twice */
    l->n = 0;
    l->done = 0;
    l->written = now_ms();
    return ok;
}

static lg_status told(const lg_io *io, lg_log *l, bool ok) {
    if (ok)
        return LG_OK;
    l->failed = true;
    lg_io_report(io, "E0610", l->path, "cannot be written: %s", strerror(errno));
    return LG_FAILED;
}

lg_status lg_log_flush(const lg_io *io, lg_log *l) {
    return !l || l->failed || l->n == 0 ? LG_OK : told(io, l, write_held(l));
}

void lg_log_close(lg_log *l) {
    if (!l)
        return;
    if (!l->failed)
        write_held(l);
    if (open_log == l) {
        open_log = NULL;
        lg_not_at_end(rescue);
    }
    close(l->file);
    lg_free(l->path);
    lg_buf_free(&l->line);
    lg_free(l);
}

/* ---- a line ---- */

static size_t plain_bytes(const char *s) {
    size_t n = 0;
    while ((unsigned char)s[n] >= ' ' && (unsigned char)s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
        n++;
    return n;
}

void lg_json_string(lg_buf *b, const char *s) {
    size_t first = plain_bytes(s), left, whole, bad;
    lg_buf_put(b, "\"", 1);
    lg_buf_put(b, s, first);
    s += first;
    left = strlen(s);
    while (left) {
        whole = lg_utf8_ok(s, left, &bad) ? left : bad;
        for (size_t i = 0; i < whole; i++) {
            unsigned char c = (unsigned char)s[i];
            if (c == '"' || c == '\\')
                lg_buf_printf(b, "\\%c", c);
            else if (c < ' ')
                lg_buf_printf(b, "\\u%04x", c);
            else
                lg_buf_put(b, s + i, 1);
        }
        s += whole;
        left -= whole;
        if (left) {
            lg_buf_put(b, "\xef\xbf\xbd", 3);
            s++;
            left--;
        }
    }
    lg_buf_put(b, "\"", 1);
}

/* `, "name": ` */
static lg_buf *key(lg_log *l, const char *name) {
    lg_buf *b = &l->line;
    size_t n = plain_bytes(name);
    if (name[n]) {
        lg_buf_put(b, b->n ? ", " : "{", b->n ? 2 : 1);
        lg_json_string(b, name);
        lg_buf_put(b, ": ", 2);
        return b;
    }
    char *at = lg_buf_room(b, n + 6), *p = at;
    memcpy(p, b->n ? ", \"" : "{\"", 3);
    p += b->n ? 3 : 2;
    memcpy(p, name, n);
    memcpy(p + n, "\": ", 4);
    b->n += (size_t)(p - at) + n + 3;
    return b;
}

void lg_log_text(lg_log *l, const char *name, const char *text) {
    if (l)
        lg_json_string(key(l, name), text);
}

void lg_log_int(lg_log *l, const char *name, int64_t v) {
    char text[24], *at = text + sizeof text;
    if (!l)
        return;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--at = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--at = '-';
    lg_buf_put(key(l, name), at, (size_t)(text + sizeof text - at));
}

void lg_log_real(lg_log *l, const char *name, double v, bool single) {
    lg_buf *b = l ? key(l, name) : NULL;
    if (b && isfinite(v))
        b->n += lg_number_put(lg_buf_room(b, 40), v, single);
    else if (b)
        lg_buf_put(b, "null", 4);
}

void lg_log_bool(lg_log *l, const char *name, bool v) {
    if (l)
        lg_buf_printf(key(l, name), v ? "true" : "false");
}

void lg_log_texts(lg_log *l, const char *name, size_t n, const char *const *text) {
    lg_buf *b = l ? key(l, name) : NULL;
    for (size_t i = 0; b && i < n; i++) {
        lg_buf_printf(b, i ? ", " : "[");
        lg_json_string(b, text[i]);
    }
    if (b)
        lg_buf_printf(b, n ? "]" : "[]");
}

void lg_log_reals(lg_log *l, const char *name, size_t n, const double *v) {
    char text[40];
    lg_buf *b = l ? key(l, name) : NULL;
    for (size_t i = 0; b && i < n; i++)
        lg_buf_printf(b, "%s%s", i ? ", " : "[",
                      isfinite(v[i]) ? lg_number_text(text, v[i], true) : "null");
    if (b)
        lg_buf_printf(b, n ? "]" : "[]");
}

void lg_log_json(lg_log *l, const char *name, const char *json) {
    if (l)
        lg_buf_put(key(l, name), json, strlen(json));
}

static bool line_out(lg_log *l, bool now) {
    const char *at = l->line.at;
    size_t n = l->line.n;
    if (n > ROOM - l->n && !write_held(l))
        return false;
    if (n > ROOM)
        return write_all(l->file, at, n);
    memcpy(l->held + l->n, at, n);
    atomic_signal_fence(memory_order_seq_cst);
    l->n += n;
    return !now && now_ms() - l->written < MOMENT_MS ? true : write_held(l);
}

static lg_status end_line(const lg_io *io, lg_log *l, bool now) {
    if (!l || l->failed)
        return LG_OK;
    if (!l->line.n)
        lg_buf_put(&l->line, "{", 1);
    lg_buf_put(&l->line, "}\n", 2);
    errno = 0;
    bool ok = line_out(l, now);
    l->line.n = 0;
    return told(io, l, ok);
}

lg_status lg_log_line(const lg_io *io, lg_log *l) {
    return end_line(io, l, true);
}

lg_status lg_log_line_soon(const lg_io *io, lg_log *l) {
    return end_line(io, l, false);
}
