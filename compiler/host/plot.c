/* plot.c: curves as text on a terminal and as SVG. Not for reading values: curves come as tensors
 * of rank 1 (against their index) with their names. */
#include "compiler/host/inside.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COLS = 64, ROWS = 12, SVG_W = 720, SVG_H = 400, MARGIN = 56 };

typedef struct {
    double lo, hi;
    size_t longest;
} extent;

static extent measure(int n, const lg_named *curve) {
    extent e = {INFINITY, -INFINITY, 0};
    for (int k = 0; k < n; k++) {
        const lg_tensor *x = curve[k].x;
        e.longest = x->n > e.longest ? x->n : e.longest;
        for (size_t i = 0; i < x->n; i++) {
            double v = lg_get_f64(x->dtype, x->data, i);
            if (isfinite(v)) {
                e.lo = v < e.lo ? v : e.lo;
                e.hi = v > e.hi ? v : e.hi;
            }
        }
    }
    if (e.lo > e.hi)
        e.lo = 0, e.hi = 1;
    if (!(e.hi > e.lo)) {
        double room = fabs(e.lo) > 0 ? fabs(e.lo) * 0.5 : 0.5;
        e.lo -= room;
        e.hi += room;
    }
    return e;
}

/* Each character holds 2 by 4 points of the braille block. */
void lg_plot_terminal(lg_buf *b, int n, const lg_named *curve) {
    static const unsigned char bit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    unsigned char cell[ROWS][COLS] = {{0}};
    extent e = measure(n, curve);
    for (int k = 0; k < n; k++) {
        const lg_tensor *x = curve[k].x;
        int last_y = -1;
        for (int px = 0; px < COLS * 2 && x->n; px++) {
            size_t i = e.longest > 1
                           ? (size_t)((double)px / (COLS * 2 - 1) * (double)(e.longest - 1) + 0.5)
                           : 0;
            if (i >= x->n)
                break;
            double v = lg_get_f64(x->dtype, x->data, i);
            if (!isfinite(v)) {
                last_y = -1;
                continue;
            }
            int y = (int)((e.hi - v) / (e.hi - e.lo) * (ROWS * 4 - 1) + 0.5);
            int from = last_y < 0 ? y : last_y, step = from <= y ? 1 : -1;
            for (int py = from;; py += step) {
                cell[py / 4][px / 2] |= bit[py % 4][px % 2];
                if (py == y)
                    break;
            }
            last_y = y;
        }
    }
    for (int r = 0; r < ROWS; r++) {
        char label[32] = "";
        if (r == 0 || r == ROWS - 1 || r == ROWS / 2)
            snprintf(label, sizeof label, "%.4g",
                     r == 0          ? e.hi
                     : r == ROWS - 1 ? e.lo
                                     : e.hi + (e.lo - e.hi) * r / (ROWS - 1));
        lg_buf_printf(b, "%10s |", label);
        for (int c = 0; c < COLS; c++) {
            unsigned code = 0x2800u + cell[r][c];
            char utf8[3] = {(char)(unsigned char)(0xE0 | code >> 12),
                            (char)(unsigned char)(0x80 | (code >> 6 & 63)),
                            (char)(unsigned char)(0x80 | (code & 63))};
            lg_buf_put(b, utf8, 3);
        }
        lg_buf_printf(b, "\n");
    }
    lg_buf_printf(b, "%10s +", "");
    for (int c = 0; c < COLS; c++)
        lg_buf_put(b, "-", 1);
    lg_buf_printf(b, "\n%12s0%*zu\n", "", COLS - 1, e.longest ? e.longest - 1 : 0);
    for (int k = 0; k < n; k++)
        if (curve[k].name && *curve[k].name)
            lg_buf_printf(b, "%12s%s: %zu points\n", "", curve[k].name, curve[k].x->n);
}

static void svg_text(lg_buf *b, double x, double y, const char *anchor, const char *text) {
    lg_buf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    for (; *text; text++) {
        if (*text == '<')
            lg_buf_printf(b, "&lt;");
        else if (*text == '&')
            lg_buf_printf(b, "&amp;");
        else
            lg_buf_put(b, text, 1);
    }
    lg_buf_printf(b, "</text>\n");
}

void lg_plot_svg(lg_buf *b, int n, const lg_named *curve) {
    static const char *const colour[] = {"#1f6fb2", "#c8452f", "#2d8a4e",
                                         "#8659b5", "#b07d12", "#3b8f99"};
    extent e = measure(n, curve);
    double w = SVG_W - 2 * MARGIN, h = SVG_H - 2 * MARGIN;
    lg_buf_printf(b,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                  "font-family=\"sans-serif\" "
                  "font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
                  SVG_W, SVG_H, SVG_W, SVG_H);
    for (int t = 0; t <= 4; t++) {
        double y = MARGIN + h * t / 4;
        char label[32];
        lg_buf_printf(b, "<path d=\"M%d %.1fh%.0f\" stroke=\"#ddd\"/>\n", MARGIN, y, w);
        snprintf(label, sizeof label, "%.4g", e.hi + (e.lo - e.hi) * t / 4);
        svg_text(b, MARGIN - 6, y + 4, "end", label);
        snprintf(label, sizeof label, "%.4g", (double)(e.longest ? e.longest - 1 : 0) * t / 4);
        svg_text(b, MARGIN + w * t / 4, SVG_H - MARGIN + 18, "middle", label);
    }
    for (int k = 0; k < n; k++) {
        const lg_tensor *x = curve[k].x;
        bool pen = false;
        lg_buf_printf(b, "<path fill=\"none\" stroke-width=\"1.6\" stroke=\"%s\" d=\"",
                      colour[(size_t)k % LG_COUNT(colour)]);
        for (size_t i = 0; i < x->n; i++) {
            double v = lg_get_f64(x->dtype, x->data, i);
            if (!isfinite(v)) {
                pen = false;
                continue;
            }
            lg_buf_printf(b, "%c%.2f %.2f", pen ? 'L' : 'M',
                          MARGIN + (e.longest > 1 ? w * (double)i / (double)(e.longest - 1) : 0),
                          MARGIN + h * (e.hi - v) / (e.hi - e.lo));
            pen = true;
        }
        lg_buf_printf(b, "\"/>\n");
        if (curve[k].name && *curve[k].name) {
            lg_buf_printf(b, "<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"3\" fill=\"%s\"/>\n",
                          MARGIN + 8, MARGIN - 30 + 14 * k, colour[(size_t)k % LG_COUNT(colour)]);
            svg_text(b, MARGIN + 26, MARGIN - 25 + 14 * k, "start", curve[k].name);
        }
    }
    lg_buf_printf(b, "</svg>\n");
}
