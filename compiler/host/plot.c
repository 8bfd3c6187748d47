/* plot.c: curves as text on a terminal and as SVG. Not for reading values: curves come as numbers
 * with their names. */
#include "compiler/host/plot.h"
#include "compiler/host/inside.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    COLS = 64,
    ROWS = 12,
    LEFT = 64,
    RIGHT = 16,
    ABOVE = 34,
    BELOW = 30,
    MOST_TICKS = 12,
    N_COLOURS = 6
};

typedef struct {
    double x0, x1, lo, hi;
} extent;

static double x_of(const lg_curve *c, size_t i) {
    return c->x ? c->x[i] : (double)i;
}

static void widen(double *lo, double *hi, double v) {
    *lo = v < *lo ? v : *lo;
    *hi = v > *hi ? v : *hi;
}

static extent measure(size_t n, const lg_curve *curve) {
    double inf = (double)INFINITY;
    extent e = {inf, -inf, inf, -inf};
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < curve[k].n; i++) {
            if (isfinite(x_of(&curve[k], i)))
                widen(&e.x0, &e.x1, x_of(&curve[k], i));
            if (isfinite(curve[k].y[i]))
                widen(&e.lo, &e.hi, curve[k].y[i]);
        }
    if (e.lo > e.hi)
        e.lo = 0, e.hi = 1;
    if (!(e.hi > e.lo)) {
        double room = fabs(e.lo) > 0 ? fabs(e.lo) * 0.5 : 0.5;
        e.lo -= room;
        e.hi += room;
    }
    if (e.x0 > e.x1)
        e.x0 = e.x1 = 0;
    return e;
}

/* ---- on a terminal: each character holds 2 by 4 points of the braille block ---- */

typedef struct {
    unsigned char cell[ROWS][COLS];
    unsigned char owner[ROWS][COLS]; /* the curve drawn last, counted from 1 */
} canvas;

/* The point of the curve nearest to x, or n when the curve ends before it. */
static size_t nearest_point(const lg_curve *c, double x, double step, size_t from) {
    size_t i = from;
    while (i + 1 < c->n && fabs(x_of(c, i + 1) - x) <= fabs(x_of(c, i) - x))
        i++;
    bool outside = x < x_of(c, 0) - step / 2 || x > x_of(c, c->n - 1) + step / 2;
    return outside ? c->n : i;
}

/* The height at x near point i: on the line to a neighbour where the curve says its places. */
static double height(const lg_curve *c, size_t i, double x) {
    if (!c->x)
        return c->y[i];
    size_t k = c->x[i] <= x ? i + 1 : i - 1;
    if (c->x[i] == x || k >= c->n || !isfinite(c->y[k]) || c->x[k] == c->x[i])
        return c->y[i];
    return c->y[i] + (c->y[k] - c->y[i]) * (x - c->x[i]) / (c->x[k] - c->x[i]);
}

static void draw(canvas *to, const extent *e, const lg_curve *c, size_t number) {
    static const unsigned char bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    int last_y = -1;
    size_t at = 0;
    double step = (e->x1 - e->x0) / (COLS * 2 - 1);
    for (int px = 0; px < COLS * 2 && c->n; px++) {
        size_t i = nearest_point(c, e->x0 + step * px, step, at);
        if (i == c->n || (step <= 0 && px)) {
            last_y = -1;
            continue;
        }
        at = i;
        if (!isfinite(c->y[i])) {
            last_y = -1;
            continue;
        }
        double v = height(c, i, e->x0 + step * px);
        int y = (int)((e->hi - v) / (e->hi - e->lo) * (ROWS * 4 - 1) + 0.5);
        int from = last_y < 0 ? y : last_y, go = from <= y ? 1 : -1;
        for (int py = from;; py += go) {
            to->cell[py / 4][px / 2] |= bit[py % 4][px % 2];
            to->owner[py / 4][px / 2] = (unsigned char)(number % N_COLOURS + 1);
            if (py == y)
                break;
        }
        last_y = y;
    }
}

static void put_braille(lg_buf *b, unsigned char dots) {
    unsigned code = 0x2800u + dots;
    char utf8[3] = {(char)(unsigned char)(0xE0 | code >> 12),
                    (char)(unsigned char)(0x80 | (code >> 6 & 63)),
                    (char)(unsigned char)(0x80 | (code & 63))};
    lg_buf_put(b, utf8, 3);
}

/* Starts or, for owner 0, ends the colour of a curve. */
static void put_colour(lg_buf *b, unsigned owner) {
    static const int code[N_COLOURS + 1] = {0, 34, 31, 32, 35, 33, 36};
    lg_buf_printf(b, "\033[%dm", code[owner]);
}

static void put_row(lg_buf *b, const canvas *to, int r, bool colour) {
    unsigned now = 0;
    for (int c = 0; c < COLS; c++) {
        if (colour && to->owner[r][c] != now)
            put_colour(b, now = to->owner[r][c]);
        put_braille(b, to->cell[r][c]);
    }
    if (now)
        put_colour(b, 0);
}

static void terminal(lg_buf *b, size_t n, const lg_curve *curve, bool colour) {
    canvas to = {{{0}}, {{0}}};
    extent e = measure(n, curve);
    for (size_t k = 0; k < n; k++)
        draw(&to, &e, &curve[k], k);
    for (int r = 0; r < ROWS; r++) {
        char label[32] = "";
        if (r == 0 || r == ROWS - 1 || r == ROWS / 2)
            snprintf(label, sizeof label, "%.4g",
                     r == 0          ? e.hi
                     : r == ROWS - 1 ? e.lo
                                     : e.hi + (e.lo - e.hi) * r / (ROWS - 1));
        lg_buf_printf(b, "%10s |", label);
        put_row(b, &to, r, colour);
        lg_buf_printf(b, "\n");
    }
    lg_buf_printf(b, "%10s +", "");
    for (int c = 0; c < COLS; c++)
        lg_buf_put(b, "-", 1);
    char first[32];
    int used = snprintf(first, sizeof first, "%.10g", e.x0);
    lg_buf_printf(b, "\n%12s%s%*.10g\n", "", first, COLS - used, e.x1);
    for (size_t k = 0; k < n; k++) {
        if (!*curve[k].name)
            continue;
        lg_buf_printf(b, "%12s", "");
        if (colour)
            put_colour(b, (unsigned)(k % N_COLOURS) + 1);
        lg_buf_printf(b, "%s%s: %zu points\n", curve[k].name, colour ? "\033[0m" : "", curve[k].n);
    }
}

void lg_draw_terminal(lg_buf *b, size_t n, const lg_curve *curve) {
    terminal(b, n, curve, false);
}

void lg_draw_coloured(lg_buf *b, size_t n, const lg_curve *curve) {
    terminal(b, n, curve, true);
}

/* ---- as SVG ---- */

const char lg_draw_style[] =
    ".p text{font:12px system-ui,sans-serif;fill:#57606a}.p .t{font-weight:600;fill:#1f2328}"
    ".p .g{stroke:#d8dee4}.p .a{stroke:#8c959f}"
    ".p .c{fill:none;stroke-width:1.7;stroke-linejoin:round}"
    ".c0{stroke:#0969da}.c1{stroke:#cf222e}.c2{stroke:#1a7f37}.c3{stroke:#8250df}"
    ".c4{stroke:#9a6700}.c5{stroke:#1b7c83}"
    "@media(prefers-color-scheme:dark){.p text{fill:#9198a1}.p .t{fill:#f0f6fc}"
    ".p .g{stroke:#30363d}.p .a{stroke:#656c76}"
    ".c0{stroke:#58a6ff}.c1{stroke:#ff7b72}.c2{stroke:#56d364}.c3{stroke:#bc8cff}"
    ".c4{stroke:#e3b341}.c5{stroke:#39c5cf}}";

void lg_xml_text(lg_buf *b, const char *text) {
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        const char *as = c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : NULL;
        as = c == '"' ? "&quot;" : as;
        if (as)
            lg_buf_printf(b, "%s", as);
        else if (c < ' ' && c != '\n' && c != '\t')
            lg_buf_put(b, " ", 1); /* XML has no such characters */
        else
            lg_buf_put(b, text, 1);
    }
}

static void svg_text(lg_buf *b, double x, double y, const char *anchor, const char *text) {
    lg_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    lg_xml_text(b, text);
    lg_buf_printf(b, "</text>\n");
}

/* Round numbers from lo to hi: the distance of two, one of 1, 2, 5 times a power of ten. */
static double tick_step(double lo, double hi) {
    double rough = (hi - lo) / 5, p = pow(10, floor(log10(rough))), m = rough / p;
    return p * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

typedef struct {
    extent e;
    double left, top, w, h;
} frame;

static double px(const frame *f, double x) {
    return f->left + (f->e.x1 > f->e.x0 ? f->w * (x - f->e.x0) / (f->e.x1 - f->e.x0) : 0);
}

static double py(const frame *f, double y) {
    return f->top + f->h * (f->e.hi - y) / (f->e.hi - f->e.lo);
}

static void axes(lg_buf *b, const frame *f) {
    char label[32];
    double step = tick_step(f->e.lo, f->e.hi), first = ceil(f->e.lo / step);
    for (int i = 0; i < MOST_TICKS && (first + i) * step <= f->e.hi * (1 + 1e-12); i++) {
        double v = (first + i) * step;
        lg_buf_printf(b, "<path class=\"g\" d=\"M%.1f %.1fh%.1f\"/>\n", f->left, py(f, v), f->w);
        snprintf(label, sizeof label, "%.4g", fabs(v) < step * 1e-9 ? 0.0 : v);
        svg_text(b, f->left - 8, py(f, v) + 4, "end", label);
    }
    lg_buf_printf(b, "<path class=\"a\" d=\"M%.1f %.1fh%.1f\"/>\n", f->left, f->top + f->h, f->w);
    if (!(f->e.x1 > f->e.x0))
        return;
    step = tick_step(f->e.x0, f->e.x1);
    first = ceil(f->e.x0 / step);
    for (int i = 0; i < MOST_TICKS && (first + i) * step <= f->e.x1 * (1 + 1e-12); i++) {
        double v = (first + i) * step;
        snprintf(label, sizeof label, "%.6g", v);
        svg_text(b, px(f, v), f->top + f->h + 18, "middle", label);
    }
}

static void path_point(lg_buf *b, const frame *f, const lg_curve *c, size_t i, bool pen) {
    lg_buf_printf(b, "%c%.2f %.2f", pen ? 'L' : 'M', px(f, x_of(c, i)), py(f, c->y[i]));
}

static bool is_point(const lg_curve *c, size_t i) {
    return i < c->n && isfinite(c->y[i]) && isfinite(x_of(c, i));
}

/* Of a curve with more points than a picture can show: the least and the largest of each stretch,
 * in the order in which they come. */
static void path_thinned(lg_buf *b, const frame *f, const lg_curve *c) {
    size_t every = c->n / LG_PLOT_WIDTH + 1;
    bool pen = false;
    for (size_t from = 0; from < c->n; from += every) {
        size_t lo = c->n, hi = c->n;
        for (size_t i = from; i < from + every && i < c->n; i++) {
            if (!is_point(c, i))
                continue;
            lo = lo == c->n || c->y[i] < c->y[lo] ? i : lo;
            hi = hi == c->n || c->y[i] > c->y[hi] ? i : hi;
        }
        if (lo == c->n) {
            pen = false;
            continue;
        }
        path_point(b, f, c, lo < hi ? lo : hi, pen);
        if (lo != hi)
            path_point(b, f, c, lo < hi ? hi : lo, true);
        pen = true;
    }
}

/* One path; a point alone becomes a dash that can be seen. */
static void path_whole(lg_buf *b, const frame *f, const lg_curve *c) {
    bool pen = false;
    for (size_t i = 0; i < c->n; i++) {
        if (!is_point(c, i)) {
            pen = false;
            continue;
        }
        path_point(b, f, c, i, pen);
        if (!pen && !is_point(c, i + 1))
            lg_buf_printf(b, "h3");
        pen = true;
    }
}

static void svg_curve(lg_buf *b, const frame *f, const lg_curve *c, size_t number) {
    lg_buf_printf(b, "<path class=\"c c%zu\" d=\"", number % N_COLOURS);
    if (c->n > 4 * LG_PLOT_WIDTH)
        path_thinned(b, f, c);
    else
        path_whole(b, f, c);
    lg_buf_printf(b, "\"/>\n");
}

static void legend(lg_buf *b, size_t n, const lg_curve *curve, int top, double from) {
    double x = from;
    for (size_t k = 0; k < n; k++) {
        if (!*curve[k].name)
            continue;
        double room = 34 + 7.0 * (double)strlen(curve[k].name);
        if (x + room > LG_PLOT_WIDTH) {
            svg_text(b, x, top + 20, "start", "...");
            return;
        }
        lg_buf_printf(b, "<path class=\"c c%zu\" d=\"M%.1f %.1fh14\"/>\n", k % N_COLOURS, x,
                      top + 16.0);
        svg_text(b, x + 20, top + 20, "start", curve[k].name);
        x += room;
    }
}

void lg_draw_panel(lg_buf *b, size_t n, const lg_curve *curve, const char *title, int top) {
    frame f = {measure(n, curve), LEFT, top + ABOVE, LG_PLOT_WIDTH - LEFT - RIGHT,
               LG_PLOT_HEIGHT - ABOVE - BELOW};
    axes(b, &f);
    if (*title) {
        lg_buf_printf(b, "<text class=\"t\" x=\"%d\" y=\"%d\">", LEFT, top + 20);
        lg_xml_text(b, title);
        lg_buf_printf(b, "</text>\n");
    }
    for (size_t k = 0; k < n; k++)
        svg_curve(b, &f, &curve[k], k);
    legend(b, n, curve, top, LEFT + (*title ? 24 + 8.0 * (double)strlen(title) : 0));
}

void lg_draw_open(lg_buf *b, int height) {
    lg_buf_printf(b,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"p\" viewBox=\"0 0 %d %d\">\n"
                  "<style>%s</style>\n",
                  LG_PLOT_WIDTH, height, lg_draw_style);
    lg_buf_printf(b, "<style>.bg{fill:#fff}@media(prefers-color-scheme:dark){.bg{fill:#0d1117}}"
                     "</style>\n<rect class=\"bg\" width=\"100%%\" height=\"100%%\"/>\n");
}

void lg_draw_svg(lg_buf *b, size_t n, const lg_curve *curve) {
    lg_draw_open(b, LG_PLOT_HEIGHT);
    lg_draw_panel(b, n, curve, "", 0);
    lg_buf_printf(b, "</svg>\n");
}

/* ---- curves that are tensors of rank 1, against their index ---- */

static void drawn(lg_buf *b, int n, const lg_named *curve,
                  void (*how)(lg_buf *, size_t, const lg_curve *)) {
    lg_curve *c = lg_alloc(((size_t)n + 1) * sizeof *c);
    lg_tensor **y = lg_alloc(((size_t)n + 1) * sizeof *y);
    for (int k = 0; k < n; k++) {
        y[k] = lg_tensor_cast(curve[k].x, LG_F64);
        c[k] = (lg_curve){curve[k].name ? curve[k].name : "", y[k]->n, NULL, y[k]->data};
    }
    how(b, (size_t)n, c);
    for (int k = 0; k < n; k++)
        lg_tensor_release(y[k]);
    lg_free(c);
    lg_free(y);
}

void lg_plot_terminal(lg_buf *b, int n_curves, const lg_named *curve) {
    drawn(b, n_curves, curve, lg_draw_terminal);
}

void lg_plot_svg(lg_buf *b, int n_curves, const lg_named *curve) {
    drawn(b, n_curves, curve, lg_draw_svg);
}
