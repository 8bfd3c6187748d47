/* csv.c: tables of delimited text, typed by what they hold. Two passes over the text, the first to
 * count rows, check their length and infer types, the second to fill columns, so that no cell is
 * stored twice. Not for other table formats. */
#include "runtime/io.h"
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at;
    size_t n;
    bool quoted, last; /* last: of its row */
} cell;

typedef struct {
    bool text, real, numbers;
    size_t nonfinite_line;
} trait;

typedef struct {
    const lg_io *io;
    const char *file;
    lg_csv_opts opts;
    const char *beg, *p, *end;
    size_t line, row_line; /* from 1; row_line: where the row at hand begins */
    size_t row;            /* from 0, without the header */
    lg_buf quoted;         /* the cell at hand with "" undone */
    lg_table *t;
    trait *traits;
} reader;

/* ---- cells ---- */

static lg_status fail(reader *r, const char *code, const char *fmt, ...) LG_PRINTF(3, 4);
static lg_status fail(reader *r, const char *code, const char *fmt, ...) {
    lg_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    lg_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    lg_io_report(r->io, code, r->file, "line %zu: %s", r->row_line, b.at);
    lg_buf_free(&b);
    return LG_FAILED;
}

/* Steps over one line end, if there is one here. */
static bool eat_newline(reader *r) {
    if (r->p == r->end || (*r->p != '\n' && *r->p != '\r'))
        return false;
    r->p += *r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n' ? 2 : 1;
    r->line++;
    return true;
}

/* After a cell: its delimiter, a line end, the end of the text; false when something else stands.
 */
static bool end_cell(reader *r, cell *c) {
    c->last = true;
    if (r->p == r->end || eat_newline(r))
        return true;
    c->last = false;
    return *r->p++ == r->opts.delimiter;
}

static lg_status quoted_cell(reader *r, cell *c) {
    r->quoted.n = 0;
    lg_buf_put(&r->quoted, "", 0);
    for (r->p++; r->p < r->end;) {
        const char *q = memchr(r->p, '"', (size_t)(r->end - r->p));
        const char *stop = q ? q : r->end;
        for (const char *s = r->p; s < stop; s++)
            r->line += *s == '\n';
        lg_buf_put(&r->quoted, r->p, (size_t)(stop - r->p));
        if (!q)
            break;
        r->p = q + 1;
        if (r->p == r->end || *r->p != '"') {
            *c = (cell){.at = r->quoted.at, .n = r->quoted.n, .quoted = true};
            return end_cell(r, c) ? LG_OK : fail(r, "E0606", "text after a closing quote");
        }
        lg_buf_put(&r->quoted, "\"", 1);
        r->p++;
    }
    return fail(r, "E0606", "a quote is never closed");
}

static lg_status next_cell(reader *r, cell *c) {
    if (r->p < r->end && *r->p == '"')
        return quoted_cell(r, c);
    const char *beg = r->p;
    while (r->p < r->end && *r->p != r->opts.delimiter && *r->p != '\n' && *r->p != '\r')
        r->p++;
    *c = (cell){.at = beg, .n = (size_t)(r->p - beg)};
    end_cell(r, c);
    return LG_OK;
}

static cell trimmed(cell c) {
    while (c.n && (*c.at == ' ' || *c.at == '\t')) {
        c.at++;
        c.n--;
    }
    while (c.n && (c.at[c.n - 1] == ' ' || c.at[c.n - 1] == '\t'))
        c.n--;
    return c;
}

/* ---- numbers ---- */

typedef enum { NOT_A_NUMBER, WHOLE, REAL, NONFINITE } number_kind;

static bool spells(const char *s, size_t n, const char *word) {
    for (size_t i = 0; i < n; i++)
        if (!word[i] || (s[i] | 0x20) != word[i])
            return false;
    return word[n] == 0;
}

static number_kind nonfinite(const char *s, size_t n, bool negative, double *v) {
    if (spells(s, n, "nan"))
        *v = NAN;
    else if (spells(s, n, "inf") || spells(s, n, "infinity"))
        *v = negative ? -INFINITY : INFINITY;
    else
        return NOT_A_NUMBER;
    return NONFINITE;
}

static number_kind slow_real(const char *s, size_t n, double *v) {
    char small[64];
    char *copy = n < sizeof small ? small : lg_alloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = 0;
    *v = strtod(copy, NULL); /* in the C locale, see read_table */
    if (copy != small)
        lg_free(copy);
    return isfinite(*v) ? REAL : NONFINITE;
}

/* Most cells of most tables: a few digits and nothing else. Not where some may mean that nothing is
 * there. */
static bool plain_digits(const reader *r, const cell *c, int64_t *whole) {
    if (c->n == 0 || c->n > 15 || r->opts.n_na)
        return false;
    int64_t v = 0;
    for (size_t i = 0; i < c->n; i++) {
        unsigned digit = (unsigned)(unsigned char)c->at[i] - '0';
        if (digit > 9)
            return false;
        v = v * 10 + digit;
    }
    *whole = v;
    return true;
}

/* A decimal number, the whole of a trimmed cell. Up to 15 digits and a power of ten up to 22 are
 * exact in double, so one product or quotient rounds right (Clinger 1990); the rest is strtod's. */
static number_kind number(cell c, int64_t *whole, double *v) {
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    c = trimmed(c);
    const char *s = c.at, *end = c.at + c.n;
    bool negative = s < end && *s == '-';
    s += s < end && (*s == '-' || *s == '+');
    uint64_t digits = 0;
    int64_t n_digits = 0, scale = 0;
    bool point = false, seen = false;
    const char *first = s;
    for (; s < end && ((*s >= '0' && *s <= '9') || (*s == '.' && !point)); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        seen = true;
        scale -= point;
        n_digits += n_digits || *s != '0';
        if (n_digits <= 19)
            digits = digits * 10 + (uint64_t)(*s - '0');
    }
    if (!seen)
        return nonfinite(first, (size_t)(end - first), negative, v);
    if (s == end && !point && n_digits <= 19 && digits <= INT64_MAX) {
        *whole = negative ? -(int64_t)digits : (int64_t)digits;
        *v = (double)*whole;
        return WHOLE;
    }
    if (s < end) {
        if (*s != 'e' && *s != 'E')
            return NOT_A_NUMBER;
        s++;
        bool down = s < end && *s == '-';
        s += s < end && (*s == '-' || *s == '+');
        int e = 0;
        const char *exponent = s;
        for (; s < end && *s >= '0' && *s <= '9'; s++)
            e = e < 100000 ? e * 10 + (*s - '0') : e;
        if (s == exponent || s < end)
            return NOT_A_NUMBER;
        scale += down ? -e : e;
    }
    if (n_digits > 15 || scale > 22 || scale < -22)
        return slow_real(c.at, c.n, v);
    double m = (double)digits;
    m = scale < 0 ? m / ten[-scale] : m * ten[scale];
    *v = negative ? -m : m;
    return REAL;
}

/* ---- rows ---- */

typedef lg_status (*visit_fn)(reader *r, size_t col, cell c);

/* Walks one row; `n` cells are wanted. */
static lg_status each_cell(reader *r, size_t n, visit_fn visit) {
    r->row_line = r->line;
    cell c = {0};
    for (size_t col = 0; !c.last; col++) {
        if (next_cell(r, &c) != LG_OK)
            return LG_FAILED;
        if (col >= n || (c.last && col + 1 < n)) {
            for (; !c.last; col++)
                if (next_cell(r, &c) != LG_OK)
                    return LG_FAILED;
            return fail(r, "E0606", "%zu fields where there are %zu columns", col + 1, n);
        }
        if (visit(r, col, c) != LG_OK)
            return LG_FAILED;
    }
    return LG_OK;
}

/* Blank lines are no rows, except where they can only be an empty cell: in a single column. */
static bool skip_blank(reader *r) {
    if (r->t->n_cols <= 1)
        return false;
    return eat_newline(r);
}

static lg_status each_row(reader *r, const char *from, size_t line, visit_fn visit) {
    r->p = from;
    r->line = line;
    r->row = 0;
    while (r->p < r->end) {
        if (skip_blank(r))
            continue;
        if (each_cell(r, r->t->n_cols, visit) != LG_OK)
            return LG_FAILED;
        r->row++;
    }
    return LG_OK;
}

/* Is nothing there, or a text that says so? */
static bool is_missing(const reader *r, const cell *c) {
    cell t = trimmed(*c);
    bool missing = t.n == 0;
    for (int i = 0; i < r->opts.n_na && !missing; i++)
        missing = strlen(r->opts.na[i]) == t.n && !memcmp(r->opts.na[i], t.at, t.n);
    return missing && !c->quoted;
}

/* What stands for an empty cell, if it may be empty. */
static lg_status fill_missing(reader *r, size_t col, cell *c, bool *filled) {
    *filled = is_missing(r, c);
    if (!*filled)
        return LG_OK;
    if (r->opts.missing) {
        *c = (cell){.at = r->opts.missing, .n = strlen(r->opts.missing), .last = c->last};
        return LG_OK;
    }
    lg_diag *d = lg_io_report(r->io, "E0605", r->file, "line %zu: row %zu has no value for `%s`",
                              r->row_line, r->row, r->t->cols[col].name);
    lg_diag_help(d, "give what an empty cell stands for, as in `missing=\"0\"`");
    return LG_FAILED;
}

static lg_status infer(reader *r, size_t col, cell c) {
    bool filled;
    trait *t = &r->traits[col];
    int64_t i;
    double v;
    if (plain_digits(r, &c, &i)) {
        t->numbers = true;
        return LG_OK;
    }
    if (fill_missing(r, col, &c, &filled) != LG_OK)
        return LG_FAILED;
    number_kind k = t->text ? NOT_A_NUMBER : number(c, &i, &v);
    if (k == NOT_A_NUMBER) {
        if (!t->text) {
            r->t->cols[col].odd_row = r->row;
            r->t->cols[col].odd_line = r->row_line;
        }
        t->text = true;
        return LG_OK;
    }
    t->numbers = true;
    t->real |= k != WHOLE;
    if (k == NONFINITE && !filled && !t->nonfinite_line)
        t->nonfinite_line = r->row_line;
    return LG_OK;
}

static lg_status store(reader *r, size_t col, cell c) {
    bool filled;
    lg_column *to = &r->t->cols[col];
    int64_t i = 0;
    double v = 0;
    if (to->type != LG_COL_TEXT && plain_digits(r, &c, &i)) {
        if (to->type == LG_COL_I64)
            to->i64[r->row] = i;
        else
            to->f64[r->row] = (double)i;
        return LG_OK;
    }
    if (fill_missing(r, col, &c, &filled) != LG_OK)
        return LG_FAILED;
    if (to->type == LG_COL_TEXT) {
        to->text[r->row] = lg_arena_alloc(r->t->arena, c.n + 1);
        if (c.n)
            memcpy(to->text[r->row], c.at, c.n);
        return LG_OK;
    }
    number(c, &i, &v);
    if (to->type == LG_COL_I64)
        to->i64[r->row] = i;
    else
        to->f64[r->row] = v;
    return LG_OK;
}

/* ---- header and columns ---- */

/* Counts the fields of the first row. */
static lg_status count_columns(reader *r) {
    cell c = {0};
    r->row_line = r->line;
    for (size_t n = 1; !c.last; n++) {
        if (next_cell(r, &c) != LG_OK)
            return LG_FAILED;
        r->t->n_cols = n;
    }
    return LG_OK;
}

static lg_status name_column(reader *r, size_t col, cell c) {
    c = c.quoted ? c : trimmed(c);
    lg_column *to = &r->t->cols[col];
    int64_t i;
    double v;
    r->traits[col].numbers = number(c, &i, &v) != NOT_A_NUMBER;
    if (c.n && !r->opts.no_header)
        to->name = lg_intern_n(c.at, c.n);
    else
        to->name = lg_intern(lg_arena_printf(r->t->arena, "c%zu", col));
    return LG_OK;
}

static int by_pointer(const void *a, const void *b) {
    const lg_sym *x = a, *y = b;
    return (uintptr_t)*x < (uintptr_t)*y ? -1 : (uintptr_t)*x > (uintptr_t)*y;
}

static lg_status check_names(reader *r) {
    size_t n = r->t->n_cols, bytes;
    if (n < 2 || !lg_mul_ok(n, sizeof(lg_sym), &bytes))
        return LG_OK;
    lg_sym *names = lg_alloc(bytes), twice = NULL;
    for (size_t i = 0; i < n; i++)
        names[i] = r->t->cols[i].name;
    qsort(names, n, sizeof *names, by_pointer);
    for (size_t i = 1; i < n && !twice; i++)
        twice = names[i] == names[i - 1] ? names[i] : NULL;
    lg_free(names);
    return twice ? fail(r, "E0609", "two columns are called `%s`", twice) : LG_OK;
}

/* A header of nothing but numbers is most likely the first row of a file without one. */
static void check_header_is_text(reader *r) {
    for (size_t i = 0; i < r->t->n_cols; i++)
        if (!r->traits[i].numbers)
            return;
    lg_diag *d = lg_io_report(r->io, "W0602", r->file, "the header holds only numbers");
    lg_diag_help(d, "if the file has no header, say `header=false`");
}

static lg_status read_header(reader *r) {
    lg_table *t = r->t;
    while (r->p < r->end && eat_newline(r))
        continue;
    const char *beg = r->p;
    size_t line = r->line;
    if (beg == r->end) {
        lg_io_report(r->io, "E0603", r->file, "has no rows");
        return LG_FAILED;
    }
    if (count_columns(r) != LG_OK)
        return LG_FAILED;
    t->cols = LG_NEW_N(t->arena, lg_column, t->n_cols);
    r->traits = LG_NEW_N(t->arena, trait, t->n_cols);
    r->p = beg;
    r->line = line;
    if (each_cell(r, t->n_cols, name_column) != LG_OK || check_names(r) != LG_OK)
        return LG_FAILED;
    if (r->opts.no_header) {
        r->p = beg;
        r->line = line;
    } else {
        check_header_is_text(r);
    }
    memset(r->traits, 0, t->n_cols * sizeof *r->traits);
    return LG_OK;
}

/* Where numbers stand beside other words, one of them may be a slip. */
static void warn_mixed(reader *r, const lg_column *c) {
    lg_diag *d = lg_io_report(r->io, "W0603", r->file,
                              "line %zu: `%s` holds numbers, and here something else", c->odd_line,
                              c->name);
    lg_diag_note(d, "all of it is read as names, as classes are");
}

static lg_status choose_types(reader *r) {
    for (size_t i = 0; i < r->t->n_cols; i++) {
        lg_column *c = &r->t->cols[i];
        trait *t = &r->traits[i];
        c->type = t->text ? LG_COL_TEXT : t->real || !t->numbers ? LG_COL_F64 : LG_COL_I64;
        if (t->text && t->numbers)
            warn_mixed(r, c);
        if (c->type == LG_COL_F64 && t->nonfinite_line && !r->opts.allow_nonfinite) {
            lg_diag *d = lg_io_report(r->io, "E0605", r->file, "line %zu: `%s` is not finite",
                                      t->nonfinite_line, c->name);
            lg_diag_help(d, "allow such values with `nonfinite=true`");
            return LG_FAILED;
        }
        c->f64 = lg_arena_alloc(r->t->arena, r->t->n_rows * 8);
    }
    return LG_OK;
}

_Static_assert(sizeof(char *) <= 8 && sizeof(double) == 8, "a cell of any type takes 8 bytes");

/* Every cell but the last of the text takes a byte, so what is allocated is bounded by the text. */
static lg_status read_table(reader *r) {
    if (read_header(r) != LG_OK)
        return LG_FAILED;
    const char *rows = r->p;
    size_t line = r->line;
    if (each_row(r, rows, line, infer) != LG_OK)
        return LG_FAILED;
    r->t->n_rows = r->row;
    if (choose_types(r) != LG_OK)
        return LG_FAILED;
    return each_row(r, rows, line, store);
}

static lg_status check_text(const lg_io *io, lg_bytes b, const lg_csv_opts *opts) {
    const uint8_t *zero = b.n ? memchr(b.at, 0, b.n) : NULL;
    size_t bad;
    if (zero)
        lg_io_report(io, "E0603", b.file, "byte %zu is 0: this is no text", (size_t)(zero - b.at));
    else if (!lg_utf8_ok((const char *)b.at, b.n, &bad))
        lg_io_report(io, "E0603", b.file, "byte %zu is not UTF-8", bad);
    else if (strchr("\"\n\r", opts->delimiter))
        lg_io_report(io, "E0603", b.file, "a quote or line end cannot be the delimiter");
    else
        return LG_OK;
    return LG_FAILED;
}

lg_status lg_csv_parse(const lg_io *io, lg_bytes b, const lg_csv_opts *opts, lg_table **out) {
    reader r = {.io = io, .file = b.file, .opts = opts ? *opts : (lg_csv_opts){0}, .line = 1};
    r.opts.delimiter = r.opts.delimiter ? r.opts.delimiter : ',';
    if (check_text(io, b, &r.opts) != LG_OK)
        return LG_FAILED;
    r.p = (const char *)b.at;
    r.end = r.p + b.n;
    if (b.n >= 3 && memcmp(r.p, "\xef\xbb\xbf", 3) == 0)
        r.p += 3;
    lg_arena *arena = lg_arena_new();
    r.t = LG_NEW(arena, lg_table);
    r.t->arena = arena;
    r.t->file = lg_arena_str(arena, b.file);
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = uselocale(plain);
    lg_status st = read_table(&r);
    uselocale(before);
    freelocale(plain);
    lg_buf_free(&r.quoted);
    if (st == LG_OK)
        *out = r.t;
    else
        lg_arena_free(arena);
    return st;
}

lg_status lg_csv_load(const lg_io *io, const char *path, const lg_csv_opts *opts, lg_table **out) {
    lg_bytes b;
    if (lg_bytes_load(io, path, &b) != LG_OK)
        return LG_FAILED;
    lg_status st = lg_csv_parse(io, b, opts, out);
    lg_bytes_free(&b);
    return st;
}

void lg_table_free(lg_table *t) {
    if (t)
        lg_arena_free(t->arena);
}

int64_t lg_table_find(const lg_table *t, const char *name) {
    for (size_t i = 0; i < t->n_cols; i++)
        if (strcmp(t->cols[i].name, name) == 0)
            return (int64_t)i;
    return -1;
}

static lg_status numbers_only(const lg_io *io, const lg_table *t, const lg_column *c) {
    if (c->type != LG_COL_TEXT)
        return LG_OK;
    lg_io_report(io, "E0605", t->file, "line %zu: `%s` holds `%s`, which is not a number",
                 c->odd_line, c->name, c->text[c->odd_row]);
    return LG_FAILED;
}

lg_status lg_table_block(const lg_io *io, const lg_table *t, size_t beg, size_t end,
                         lg_tensor **out) {
    assert(beg <= end && end <= t->n_cols);
    for (size_t c = beg; c < end; c++)
        if (numbers_only(io, t, &t->cols[c]) != LG_OK)
            return LG_FAILED;
    size_t width = end - beg;
    lg_tensor *x = lg_tensor_try(LG_F64, 2, (int64_t[]){(int64_t)t->n_rows, (int64_t)width});
    if (!x) {
        lg_io_report(io, "E0602", t->file, "no memory for %zu x %zu numbers", t->n_rows, width);
        return LG_FAILED;
    }
    double *at = x->data;
    for (size_t c = 0; c < width; c++) {
        const lg_column *from = &t->cols[beg + c];
        for (size_t i = 0; i < t->n_rows; i++)
            at[i * width + c] = from->type == LG_COL_F64 ? from->f64[i] : (double)from->i64[i];
    }
    *out = x;
    return LG_OK;
}

/* ---- writing ---- */

static void put_name(lg_buf *b, const char *s) {
    if (!strpbrk(s, "\",\r\n")) {
        lg_buf_put(b, s, strlen(s));
        return;
    }
    lg_buf_put(b, "\"", 1);
    for (; *s; s++) {
        if (*s == '"')
            lg_buf_put(b, "\"", 1);
        lg_buf_put(b, s, 1);
    }
    lg_buf_put(b, "\"", 1);
}

static void put_number(lg_buf *b, const lg_tensor *x, size_t i) {
    char text[40];
    if (lg_dtype_is_float(x->dtype))
        lg_buf_printf(b, "%s",
                      lg_number_text(text, lg_get_f64(x->dtype, x->data, i), x->dtype != LG_F64));
    else
        lg_buf_printf(b, "%lld", (long long)lg_get_i64(x->dtype, x->data, i));
}

lg_status lg_csv_write(const lg_io *io, const char *path, const lg_named *cols, size_t n) {
    size_t rows = n ? cols[0].x->n : 0;
    for (size_t c = 0; c < n; c++)
        if (cols[c].x->rank != 1 || cols[c].x->n != rows) {
            lg_io_report(io, "E0608", path, "column `%s` is not a vector of %zu values",
                         cols[c].name, rows);
            return LG_FAILED;
        }
    lg_out out;
    if (lg_out_open(io, path, &out) != LG_OK)
        return LG_FAILED;
    lg_buf b = {0};
    for (size_t c = 0; c < n; c++) {
        put_name(&b, cols[c].name);
        lg_buf_put(&b, c + 1 < n ? "," : "\n", 1);
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < n; c++) {
            put_number(&b, cols[c].x, i);
            lg_buf_put(&b, c + 1 < n ? "," : "\n", 1);
        }
        lg_out_put(&out, b.at, b.n);
        b.n = 0;
    }
    if (rows == 0 && b.n)
        lg_out_put(&out, b.at, b.n);
    lg_buf_free(&b);
    return lg_out_close(&out, true);
}
