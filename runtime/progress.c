/* progress.c: how far a run is: a bar on a terminal, now and then a plain line elsewhere, nothing
 * when quiet. Results and diagnostics are printed elsewhere; call lg_progress_hide before them. */
#include "runtime/io.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define REDRAW 0.1 /* seconds between two pictures on a terminal */
#define LINES 5.0  /* seconds between two plain lines */

enum { BAR = 24, TEXT = 160, MOST_LINES = 20 /* plain ones, of a run */ };

static struct {
    bool on, terminal, colour, drawn;
    FILE *out;
    int width;
    char label[40];
    void (*text)(const void *ctx, lg_buf *to);
    const void *ctx;
    int64_t total, done;
    double began, last;
    int64_t last_done; /* of the last plain line, -1: none yet */
} bar;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Columns of a terminal that can move its cursor, else 0. */
static int terminal_width(FILE *out) {
    const char *term = getenv("TERM");
    if (!isatty(fileno(out)) || !term || strcmp(term, "dumb") == 0)
        return 0;
    struct winsize w;
    return ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
}

static void copy(char *to, size_t cap, const char *from) {
    snprintf(to, cap, "%s", from ? from : "");
    size_t bad;
    if (!lg_utf8_ok(to, strlen(to), &bad))
        to[bad] = 0; /* a character cut in two, or worse */
    for (; *to; to++)
        if ((unsigned char)*to < ' ')
            *to = ' ';
}

void lg_progress_begin(const char *label, int64_t total, const lg_progress_opts *opts) {
    FILE *out = opts && opts->out ? opts->out : stderr;
    int width = opts && opts->width ? opts->width : terminal_width(out);
    const char *no_colour = getenv("NO_COLOR");
    memset(&bar, 0, sizeof bar);
    bar.on = !(opts && opts->quiet);
    bar.out = out;
    bar.terminal = width > 0;
    bar.width = width;
    bar.colour = bar.terminal && !(no_colour && *no_colour);
    bar.total = total > 0 ? total : 0;
    bar.last_done = -1;
    bar.text = opts ? opts->text : NULL;
    bar.ctx = opts ? opts->ctx : NULL;
    bar.began = now();
    bar.last = bar.terminal ? bar.began - REDRAW : bar.began; /* a short run is one line */
    copy(bar.label, sizeof bar.label, label);
}

/* "1:02:03" or "02:03". */
static void put_time(lg_buf *b, double seconds) {
    long long s = seconds < 3.6e8 ? (long long)(seconds + 0.5) : 359999999;
    if (s >= 3600)
        lg_buf_printf(b, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    else
        lg_buf_printf(b, "%02lld:%02lld", s / 60, s % 60);
}

static void put_text(lg_buf *b) {
    lg_buf text = {0};
    char shown[TEXT];
    if (bar.text)
        bar.text(bar.ctx, &text);
    copy(shown, sizeof shown, text.at);
    if (*shown)
        lg_buf_printf(b, "  %s", shown);
    lg_buf_free(&text);
}

static void put_numbers(lg_buf *b, double spent) {
    double rate = spent > 0 ? (double)bar.done / spent : 0;
    lg_buf_printf(b, "%lld", (long long)bar.done);
    if (bar.total)
        lg_buf_printf(b, "/%lld", (long long)bar.total);
    lg_buf_put(b, "  ", 2);
    put_time(b, spent);
    if (bar.total && rate > 0 && bar.done < bar.total) {
        lg_buf_put(b, " left ", 6);
        put_time(b, (double)(bar.total - bar.done) / rate);
    }
    lg_buf_printf(b, rate >= 100 ? "  %.0f/s" : "  %.3g/s", rate);
    put_text(b);
}

static void put_bar(lg_buf *b) {
    int full = bar.total ? (int)((double)bar.done / (double)bar.total * BAR) : 0;
    lg_buf_put(b, "[", 1);
    for (int i = 0; i < BAR; i++)
        lg_buf_put(b, i < full ? "=" : i == full && full < BAR ? ">" : " ", 1);
    lg_buf_put(b, "] ", 2);
}

/* Bytes of the first `columns` code points. */
static size_t fit(const char *s, size_t n, int columns) {
    size_t i = 0;
    for (; i < n && columns > 0; columns--)
        do
            i++;
        while (i < n && ((unsigned char)s[i] & 0xc0) == 0x80);
    return i;
}

static void draw(double t) {
    lg_buf b = {0};
    if (*bar.label)
        lg_buf_printf(&b, "%s ", bar.label);
    size_t label = b.n;
    if (bar.terminal && bar.total && bar.width >= 2 * BAR)
        put_bar(&b);
    put_numbers(&b, t - bar.began);
    if (!bar.terminal) {
        fprintf(bar.out, "%s\n", b.at);
    } else {
        size_t n = fit(b.at, b.n, bar.width - 1);
        label = label < n ? label : n;
        fprintf(bar.out, "\r%s%.*s%s%.*s\x1b[K", bar.colour ? "\x1b[1m" : "", (int)label, b.at,
                bar.colour ? "\x1b[0m" : "", (int)(n - label), b.at + label);
    }
    fflush(bar.out);
    lg_buf_free(&b);
    bar.drawn = true;
    bar.last = t;
    bar.last_done = bar.done;
}

/* The last step is left to lg_progress_end: evaluations of it are still to come. */
void lg_progress_step(int64_t done) {
    if (!bar.on)
        return;
    bar.done = done < 0 ? 0 : bar.total && done > bar.total ? bar.total : done;
    double t = now();
    bool due = bar.done != bar.total && t - bar.last >= (bar.terminal ? REDRAW : LINES);
    if (due && !bar.terminal && bar.last_done >= 0) /* the longer it takes, the rarer */
        due = bar.total ? (bar.done - bar.last_done) * MOST_LINES >= bar.total
                        : t - bar.last >= (t - bar.began) / 4;
    if (due && (bar.terminal || bar.done != bar.last_done))
        draw(t);
}

void lg_progress_hide(void) {
    if (!bar.on || !bar.terminal || !bar.drawn)
        return;
    fputs("\r\x1b[K", bar.out);
    fflush(bar.out);
    bar.drawn = false;
    bar.last = 0;
}

void lg_progress_end(void) {
    if (!bar.on)
        return;
    if (bar.done > 0 && (bar.terminal || bar.done != bar.last_done))
        draw(now());
    if (bar.terminal && bar.drawn)
        fputc('\n', bar.out);
    fflush(bar.out);
    bar.on = false;
}
