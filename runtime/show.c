/* show.c: numbers and arrays as text, by a format like .4f or .2%; long dims are shortened. Not for
 * values that only the host knows (records, models): compiler/host/format.c. */
#include "runtime/show.h"
#include "runtime/io.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

bool lg_show_parse(const char *s, lg_show *f) {
    *f = (lg_show){.prec = -1};
    if (!s)
        return true;
    for (; *s == '<' || *s == '>'; s++)
        f->left = *s == '<';
    for (; *s == '+'; s++)
        f->plus = true;
    for (; *s == '0'; s++)
        f->zero = true;
    for (; *s >= '0' && *s <= '9' && f->width < 1000; s++)
        f->width = f->width * 10 + (*s - '0');
    for (; *s == ','; s++)
        f->comma = true;
    if (*s == '.') {
        f->prec = 0;
        for (s++; *s >= '0' && *s <= '9' && f->prec < 40; s++)
            f->prec = f->prec * 10 + (*s - '0');
    }
    if (*s && strchr("dfeg%xs", *s))
        f->type = *s++;
    return !*s;
}

/* Thousands in the integer part of a plain number. */
static void group(lg_buf *b, const char *digits) {
    size_t sign = digits[0] == '-' || digits[0] == '+';
    size_t n = strspn(digits + sign, "0123456789");
    lg_buf_put(b, digits, sign);
    for (size_t i = 0; i < n; i++) {
        lg_buf_put(b, digits + sign + i, 1);
        if ((n - 1 - i) % 3 == 0 && i + 1 < n)
            lg_buf_put(b, ",", 1);
    }
    lg_buf_printf(b, "%s", digits + sign + n);
}

void lg_show_text(lg_buf *b, const char *text, const lg_show *f, bool number) {
    size_t shown = 0;
    for (const char *p = text; *p; p++)
        shown += ((unsigned char)*p & 0xC0) != 0x80;
    size_t room = (size_t)f->width > shown ? (size_t)f->width - shown : 0;
    bool left = f->left || (!number && f->type == 0 && f->width);
    for (size_t i = 0; !left && i < room; i++)
        lg_buf_put(b, f->zero && number ? "0" : " ", 1);
    lg_buf_printf(b, "%s", text);
    for (size_t i = 0; left && i < room; i++)
        lg_buf_put(b, " ", 1);
}

void lg_show_real(lg_buf *b, double v, bool single, const lg_show *f) {
    char t[400], shortest[40];
    int prec = f->prec;
    if (!isfinite(v)) {
        lg_show_text(b, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf", f, false);
        return;
    }
    switch (f->type) {
    case 'f':
        snprintf(t, sizeof t, f->plus ? "%+.*f" : "%.*f", prec < 0 ? 6 : prec, v);
        break;
    case 'e':
        snprintf(t, sizeof t, f->plus ? "%+.*e" : "%.*e", prec < 0 ? 6 : prec, v);
        break;
    case '%':
        snprintf(t, sizeof t, f->plus ? "%+.*f%%" : "%.*f%%", prec < 0 ? 2 : prec, v * 100);
        break;
    case 'd':
        snprintf(t, sizeof t, f->plus ? "%+.0f" : "%.0f", v);
        break;
    case 'g':
    case 's':
    default:
        if (prec >= 0 || f->type == 'g')
            snprintf(t, sizeof t, f->plus ? "%+.*g" : "%.*g", prec < 0 ? 6 : prec, v);
        else {
            snprintf(t, sizeof t, f->plus ? "%+.6g" : "%.6g", v);
            /* a short exact spelling beats six digits */
            lg_number_text(shortest, v, single);
            if (!f->plus && strlen(shortest) < strlen(t))
                snprintf(t, sizeof t, "%s", shortest);
        }
    }
    if (f->comma) {
        lg_buf g = {0};
        group(&g, t);
        lg_show_text(b, g.at, f, true);
        lg_buf_free(&g);
    } else {
        lg_show_text(b, t, f, true);
    }
}

void lg_show_int(lg_buf *b, int64_t v, const lg_show *f) {
    char t[64];
    if (f->type == 'f' || f->type == 'e' || f->type == 'g' || f->type == '%') {
        lg_show_real(b, (double)v, false, f);
        return;
    }
    snprintf(t, sizeof t, f->type == 'x' ? "%llx" : f->plus ? "%+lld" : "%lld", (long long)v);
    lg_buf g = {0};
    if (f->comma)
        group(&g, t);
    lg_show_text(b, g.at ? g.at : t, f, true);
    lg_buf_free(&g);
}

static void put_element(lg_buf *b, const lg_tensor *x, size_t i, const lg_show *f) {
    if (x->dtype == LG_BOOL)
        lg_show_text(b, lg_get_i64(LG_BOOL, x->data, i) ? "true" : "false", f, false);
    else if (lg_dtype_is_int(x->dtype))
        lg_show_int(b, lg_get_i64(x->dtype, x->data, i), f);
    else
        lg_show_real(b, lg_get_f64(x->dtype, x->data, i), x->dtype != LG_F64, f);
}

enum { SHOWN = 12, ENDS = 4 }; /* longer dims show their two ends */

static int64_t most_shown(const lg_show *f) {
    return f->shown ? f->shown : SHOWN;
}

static int64_t shown_ends(const lg_show *f) {
    return f->ends ? f->ends : ENDS;
}

static void put_array(lg_buf *b, const lg_tensor *x, int axis, size_t at, size_t stride,
                      const lg_show *f, int indent) {
    if (axis == x->rank) {
        put_element(b, x, at, f);
        return;
    }
    int64_t n = x->shape[axis];
    stride = n ? stride / (size_t)n : 0;
    lg_buf_put(b, "[", 1);
    for (int64_t i = 0; i < n; i++) {
        if (n > most_shown(f) && i == shown_ends(f)) {
            if (indent >= 0 && axis + 1 < x->rank)
                lg_buf_printf(b, ",\n%*s...", indent + axis + 1, "");
            else
                lg_buf_printf(b, ", ...");
            i = n - shown_ends(f) - 1;
            continue;
        }
        if (i && indent >= 0 && axis + 1 < x->rank)
            lg_buf_printf(b, ",\n%*s", indent + axis + 1, "");
        else if (i)
            lg_buf_printf(b, ", ");
        put_array(b, x, axis + 1, at + (size_t)i * stride, stride, f, indent);
    }
    lg_buf_put(b, "]", 1);
}

void lg_show_array(lg_buf *b, const lg_tensor *x, const lg_show *f, int indent) {
    put_array(b, x, 0, 0, x->n, f, indent);
}

/* The widest of the elements that are shown. */
static int shown_width(const lg_tensor *x, int axis, size_t at, size_t stride, const lg_show *f) {
    int width = 0;
    if (axis == x->rank) {
        lg_buf one = {0};
        put_element(&one, x, at, f);
        width = (int)one.n;
        lg_buf_free(&one);
        return width;
    }
    int64_t n = x->shape[axis];
    stride = n ? stride / (size_t)n : 0;
    for (int64_t i = 0; i < n; i++) {
        if (n > most_shown(f) && i == shown_ends(f))
            i = n - shown_ends(f);
        int w = shown_width(x, axis + 1, at + (size_t)i * stride, stride, f);
        width = w > width ? w : width;
    }
    return width;
}

void lg_show_aligned(lg_buf *b, const lg_tensor *x, int indent) {
    lg_show f;
    lg_show_parse(NULL, &f);
    if (x->rank > 2) {
        f.shown = 6;
        f.ends = 2;
    }
    if (x->rank > 1)
        f.width = shown_width(x, 0, 0, x->n, &f);
    lg_show_array(b, x, &f, indent);
}

void lg_show_number(lg_buf *b, double v, bool single) {
    lg_show f;
    lg_show_parse(NULL, &f);
    lg_show_real(b, v, single, &f);
}
