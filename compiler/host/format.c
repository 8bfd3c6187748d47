/* format.c: values as text: numbers by a format like .4f or .2%, arrays in brackets with long dims
 * shortened, records by field; strings with their {expr:format} pieces. Not for where text goes. */
#include "compiler/host/inside.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool plus, zero, comma, left;
    int width, prec; /* prec -1: not given */
    char type;       /* d f e g % x s, 0: by the value */
    int64_t shown, ends; /* longer dims than `shown` have so many at their two ends; 0: as printed */
} spec;

static const char FORMS[] =
    "a format is [<][+][0][width][,][.digits][type] with type one of d f e g % x s";

static bool parse_spec(const char *s, spec *f) {
    *f = (spec){.prec = -1};
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

static void pad(lg_buf *b, const char *text, const spec *f, bool number) {
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

static void put_real(lg_buf *b, double v, bool single, const spec *f) {
    char t[400], shortest[40];
    int prec = f->prec;
    if (!isfinite(v)) {
        pad(b, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf", f, false);
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
        pad(b, g.at, f, true);
        lg_buf_free(&g);
    } else {
        pad(b, t, f, true);
    }
}

static void put_int(lg_buf *b, int64_t v, const spec *f) {
    char t[64];
    if (f->type == 'f' || f->type == 'e' || f->type == 'g' || f->type == '%') {
        put_real(b, (double)v, false, f);
        return;
    }
    snprintf(t, sizeof t, f->type == 'x' ? "%llx" : f->plus ? "%+lld" : "%lld", (long long)v);
    lg_buf g = {0};
    if (f->comma)
        group(&g, t);
    pad(b, g.at ? g.at : t, f, true);
    lg_buf_free(&g);
}

static void put_element(lg_buf *b, const lg_tensor *x, size_t i, const spec *f) {
    if (x->dtype == LG_BOOL)
        pad(b, lg_get_i64(LG_BOOL, x->data, i) ? "true" : "false", f, false);
    else if (lg_dtype_is_int(x->dtype))
        put_int(b, lg_get_i64(x->dtype, x->data, i), f);
    else
        put_real(b, lg_get_f64(x->dtype, x->data, i), x->dtype != LG_F64, f);
}

enum { SHOWN = 12, ENDS = 4 }; /* longer dims show their two ends */

static int64_t most_shown(const spec *f) {
    return f->shown ? f->shown : SHOWN;
}

static int64_t shown_ends(const spec *f) {
    return f->ends ? f->ends : ENDS;
}

static void put_array(lg_buf *b, const lg_tensor *x, int axis, size_t at, size_t stride,
                      const spec *f, int indent) {
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

static void put_value(lg_elab *E, lg_buf *b, lg_value *v, const spec *f, int depth) {
    switch (v->kind) {
    case LG_V_NUM:
        if (!v->num.known)
            lg_buf_printf(b, "?");
        else if (v->num.is_bool)
            pad(b, v->num.i ? "true" : "false", f, false);
        else if (v->num.is_int)
            put_int(b, v->num.i, f);
        else
            put_real(b, v->num.d, false, f);
        break;
    case LG_V_STR:
        pad(b, v->str ? v->str : "?", f, false);
        break;
    case LG_V_TENSOR: {
        lg_tensor *made, *x = lg_host_tensor(E, v, &made);
        if (x)
            put_array(b, x, 0, 0, x->n, f, -1);
        else
            lg_buf_printf(b, "%s", lg_v_type_text(E, v));
        break;
    }
    case LG_V_MODEL:
        if (depth == 0) {
            put_value(E, b, lg_model_record(E, v), f, depth + 1);
            break;
        }
        lg_buf_printf(b, "%s", lg_v_type_text(E, v));
        break;
    case LG_V_RECORD:
        lg_buf_put(b, "{", 1);
        for (int i = 0; i < v->rec.n; i++) {
            lg_buf_printf(b, "%s%s: ", i ? ", " : "", v->rec.f[i].name);
            put_value(E, b, v->rec.f[i].value, f, depth + 1);
        }
        lg_buf_put(b, "}", 1);
        break;
    case LG_V_LIST:
        lg_buf_put(b, "[", 1);
        for (int i = 0; i < v->list.n; i++) {
            if (i)
                lg_buf_printf(b, ", ");
            put_value(E, b, v->list.at[i], f, depth + 1);
        }
        lg_buf_put(b, "]", 1);
        break;
    case LG_V_RANGE:
        put_value(E, b, v->range.lo, f, depth + 1);
        lg_buf_printf(b, "..");
        put_value(E, b, v->range.hi, f, depth + 1);
        break;
    default:
        lg_buf_printf(b, "%s", lg_v_type_text(E, v));
    }
}

void lg_format_value(lg_elab *E, lg_buf *b, lg_value *v, const char *text, lg_span at) {
    spec f;
    if (!parse_spec(text, &f)) {
        lg_diag *d = lg_err(E, "E0241", at, "`%s` is not a format", text);
        lg_diag_help(d, "%s", FORMS);
        return;
    }
    put_value(E, b, v, &f, 0);
}

static void put_type(lg_elab *E, lg_buf *b, const lg_value *v, const lg_tensor *x) {
    lg_buf_printf(b, "%s[", lg_dtype_name(x->dtype));
    for (int i = 0; i < x->rank; i++) {
        const char *name = lg_dim_text(E->arena, v->t.dim[i]);
        int64_t n;
        if (lg_dim_is_num(v->t.dim[i], &n))
            lg_buf_printf(b, "%s%lld", i ? ", " : "", (long long)x->shape[i]);
        else
            lg_buf_printf(b, "%s%s = %lld", i ? ", " : "", name, (long long)x->shape[i]);
    }
    lg_buf_printf(b, "]");
}

/* An array by itself: its type with the names of its dims, then its rows. */
void lg_format_array(lg_elab *E, lg_buf *b, lg_value *v) {
    lg_tensor *made, *x = lg_host_tensor(E, v, &made);
    spec f;
    parse_spec(NULL, &f);
    if (!x || v->kind != LG_V_TENSOR || x->rank < 2) {
        put_value(E, b, v, &f, 0);
        return;
    }
    put_type(E, b, v, x);
    lg_buf_printf(b, "\n");
    put_array(b, x, 0, 0, x->n, &f, 0);
}

void lg_format_type(lg_elab *E, lg_buf *b, const lg_value *v, const lg_tensor *x) {
    if (x->rank)
        put_type(E, b, v, x);
    else
        lg_buf_printf(b, "%s", lg_dtype_name(x->dtype));
}

/* The widest of the elements that are shown. */
static int shown_width(const lg_tensor *x, int axis, size_t at, size_t stride, const spec *f) {
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

void lg_format_aligned(lg_buf *b, const lg_tensor *x, int indent) {
    spec f;
    parse_spec(NULL, &f);
    if (x->rank > 2) {
        f.shown = 6;
        f.ends = 2;
    }
    if (x->rank > 1)
        f.width = shown_width(x, 0, 0, x->n, &f);
    put_array(b, x, 0, 0, x->n, &f, indent);
}

void lg_format_number(lg_buf *b, double v, bool single) {
    spec f;
    parse_spec(NULL, &f);
    put_real(b, v, single, &f);
}

char *lg_format_text(lg_elab *E, const lg_ast *str, lg_value_of_fn value, void *ctx) {
    lg_buf b = {0};
    lg_buf_put(&b, "", 0);
    for (uint32_t i = 0; i < str->n; i++) {
        const lg_ast *k = str->kid[i];
        if (k->kind == LG_A_TEXT) {
            lg_buf_printf(&b, "%s", k->text);
            continue;
        }
        lg_value *v = value(ctx, E, k->kid[0]);
        if (v->kind != LG_V_ERROR)
            lg_format_value(E, &b, v, k->text && *k->text ? k->text : NULL, k->span);
    }
    return b.at ? b.at : lg_alloc(1);
}
