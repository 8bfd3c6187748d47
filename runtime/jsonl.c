/* jsonl.c: the training log: one JSON object a line, flushed line by line, so that it can be
 * followed while a run goes on and survives its end. Not for what is logged when. */
#include "runtime/io.h"
#include <errno.h>
#include <math.h>
#include <string.h>

struct lg_log {
    FILE *f;
    char *path;
    lg_buf line; /* the object so far, without its last brace */
    bool failed;
};

/* A line that a broken run left unfinished is ended, so that ours stay whole. */
static void end_last_line(const char *path, FILE *f) {
    FILE *old = fopen(path, "rb");
    int c = '\n';
    if (old && fseek(old, -1, SEEK_END) == 0)
        c = fgetc(old);
    if (old)
        fclose(old);
    if (c != '\n' && c != EOF)
        fputc('\n', f);
}

lg_status lg_log_open(const lg_io *io, const char *path, bool append, lg_log **out) {
    FILE *f = fopen(path, append ? "abe" : "wbe");
    if (!f) {
        lg_io_report(io, "E0610", path, "cannot be written: %s", strerror(errno));
        return LG_FAILED;
    }
    if (append)
        end_last_line(path, f);
    lg_log *l = lg_alloc(sizeof *l);
    lg_buf name = {0};
    lg_buf_put(&name, path, strlen(path));
    *l = (lg_log){.f = f, .path = name.at};
    *out = l;
    return LG_OK;
}

void lg_log_close(lg_log *l) {
    if (!l)
        return;
    fclose(l->f);
    lg_free(l->path);
    lg_buf_free(&l->line);
    lg_free(l);
}

void lg_json_string(lg_buf *b, const char *s) {
    size_t left = strlen(s), whole, bad;
    lg_buf_put(b, "\"", 1);
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

static lg_buf *key(lg_log *l, const char *name) {
    lg_buf_put(&l->line, l->line.n ? ", " : "{", l->line.n ? 2 : 1);
    lg_json_string(&l->line, name);
    lg_buf_put(&l->line, ": ", 2);
    return &l->line;
}

void lg_log_text(lg_log *l, const char *name, const char *text) {
    if (l)
        lg_json_string(key(l, name), text);
}

void lg_log_int(lg_log *l, const char *name, int64_t v) {
    if (l)
        lg_buf_printf(key(l, name), "%lld", (long long)v);
}

void lg_log_real(lg_log *l, const char *name, double v, bool single) {
    char text[40];
    if (l)
        lg_buf_printf(key(l, name), "%s", isfinite(v) ? lg_number_text(text, v, single) : "null");
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

lg_status lg_log_line(const lg_io *io, lg_log *l) {
    if (!l || l->failed)
        return LG_OK;
    if (!l->line.n)
        lg_buf_put(&l->line, "{", 1);
    lg_buf_put(&l->line, "}\n", 2);
    errno = 0;
    bool ok = fwrite(l->line.at, 1, l->line.n, l->f) == l->line.n && fflush(l->f) == 0;
    l->line.n = 0;
    if (ok)
        return LG_OK;
    l->failed = true;
    lg_io_report(io, "E0610", l->path, "cannot be written: %s", strerror(errno));
    return LG_FAILED;
}
