/* diag.c: source texts, the list of diagnostics, and their printer. What the codes mean stands in
 * diag.def; who reports what is up to the callers. */
#include "runtime/diag.h"
#include <stdlib.h>
#include <string.h>

/* ---- sources ---- */

typedef struct {
    char *name, *text;
    size_t n;
    LG_VEC(uint32_t) lines; /* offset of each line's first byte */
} source;
static LG_VEC(source) sources;

uint32_t lg_source_add(const char *name, const char *text, size_t n) {
    source s = {.n = n};
    s.name = lg_alloc(strlen(name) + 1);
    memcpy(s.name, name, strlen(name));
    s.text = lg_alloc(n + 1);
    if (n)
        memcpy(s.text, text, n);
    LG_PUSH(s.lines, 0);
    for (size_t i = 0; i < n && i < UINT32_MAX - 1; i++)
        if (text[i] == '\n')
            LG_PUSH(s.lines, (uint32_t)i + 1);
    LG_PUSH(sources, s);
    return (uint32_t)sources.n;
}

static const source *source_of(uint32_t file) {
    return file && file <= sources.n ? &sources.at[file - 1] : NULL;
}

const char *lg_source_name(uint32_t file) {
    const source *s = source_of(file);
    return s ? s->name : "";
}

const char *lg_source_text(uint32_t file, size_t *n) {
    const source *s = source_of(file);
    if (n)
        *n = s ? s->n : 0;
    return s ? s->text : "";
}

/* 0-based line of a byte offset. */
static size_t line_of(const source *s, uint32_t offset) {
    size_t lo = 0, hi = s->lines.n;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (s->lines.at[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

static size_t line_end(const source *s, size_t line) {
    size_t end = line + 1 < s->lines.n ? s->lines.at[line + 1] - 1 : s->n;
    if (end > s->lines.at[line] && s->text[end - 1] == '\r')
        end--;
    return end;
}

static bool starts_code_point(char c) {
    return ((unsigned char)c & 0xC0) != 0x80;
}

static uint32_t code_points(const char *text, size_t beg, size_t end) {
    uint32_t n = 0;
    for (size_t i = beg; i < end; i++)
        n += starts_code_point(text[i]);
    return n;
}

void lg_source_where(uint32_t file, uint32_t offset, uint32_t *line, uint32_t *col) {
    const source *s = source_of(file);
    *line = *col = 0;
    if (!s)
        return;
    if (offset > s->n)
        offset = (uint32_t)s->n;
    size_t l = line_of(s, offset);
    *line = (uint32_t)l + 1;
    *col = code_points(s->text, s->lines.at[l], offset) + 1;
}

/* ---- codes ---- */

typedef struct {
    const char *code, *title, *page;
} code_row;
static const code_row code_rows[] = {
#define D(code, title, page) {#code, title, page},
#include "runtime/diag.def"
#undef D
};
static const char *const code_names[] = {
#define D(code, title, page) #code,
#include "runtime/diag.def"
#undef D
};

static const code_row *find_code(const char *code) {
    for (size_t i = 0; i < LG_COUNT(code_rows); i++)
        if (!strcmp(code_rows[i].code, code))
            return &code_rows[i];
    return NULL;
}

const char *lg_diag_explain(const char *code) {
    const code_row *row = find_code(code);
    return row ? row->page : NULL;
}

const char *lg_diag_title(const char *code) {
    const code_row *row = find_code(code);
    return row ? row->title : NULL;
}

size_t lg_diag_codes(const char *const **codes) {
    *codes = code_names;
    return LG_COUNT(code_names);
}

/* ---- the list ---- */

void lg_diags_init(lg_diags *ds) {
    *ds = (lg_diags){.limit = 20};
}

static void clear(lg_diag *d) {
    for (size_t i = 0; i < d->labels.n; i++)
        lg_free(d->labels.at[i].text);
    for (size_t i = 0; i < d->notes.n; i++)
        lg_free(d->notes.at[i]);
    for (size_t i = 0; i < d->helps.n; i++)
        lg_free(d->helps.at[i]);
    lg_free(d->labels.at);
    lg_free(d->notes.at);
    lg_free(d->helps.at);
    lg_free(d->message);
    *d = (lg_diag){0};
}

void lg_diags_fini(lg_diags *ds) {
    for (size_t i = 0; i < ds->list.n; i++) {
        clear(ds->list.at[i]);
        lg_free(ds->list.at[i]);
    }
    lg_free(ds->list.at);
    clear(&ds->scratch);
    lg_diags_init(ds);
}

static char *format(const char *fmt, va_list ap) {
    lg_buf b = {0};
    lg_buf_vprintf(&b, fmt, ap);
    return b.at;
}

static bool is_warning(const lg_diag *d) {
    return d->code[0] == 'W';
}

static bool same_place(lg_span a, lg_span b) {
    return a.file == b.file && a.beg == b.beg;
}

static bool already_said(const lg_diags *ds, const char *code, lg_span at, const char *message) {
    for (size_t i = 0; i < ds->list.n; i++) {
        const lg_diag *d = ds->list.at[i];
        if (!strcmp(d->code, code) && same_place(d->at, at) &&
            (at.file || !strcmp(d->message, message)))
            return true;
    }
    return false;
}

lg_diag *lg_diag_add(lg_diags *ds, const char *code, lg_span at, const char *fmt, ...) {
    assert(find_code(code) && "the code has no row in diag.def");
    va_list ap;
    va_start(ap, fmt);
    lg_diag new = {.code = code, .at = at, .message = format(fmt, ap)};
    va_end(ap);
    bool muted = ds->muted && !is_warning(&new);
    bool heard = muted || already_said(ds, code, at, new.message);
    ds->unheard += heard && !is_warning(&new);
    bool full = !heard && !is_warning(&new) && ds->errors >= ds->limit;
    if (!heard && is_warning(&new))
        ds->warnings++;
    else if (!heard)
        ds->errors++;
    ds->dropped += full;
    if (heard || full) {
        clear(&ds->scratch);
        ds->scratch = new;
        return &ds->scratch;
    }
    lg_diag *d = lg_alloc(sizeof *d);
    *d = new;
    LG_PUSH(ds->list, d);
    return d;
}

size_t lg_diags_trouble(const lg_diags *ds) {
    return ds->errors + ds->unheard;
}

void lg_diag_label(lg_diag *d, lg_span at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    lg_label label = {at, format(fmt, ap)};
    va_end(ap);
    LG_PUSH(d->labels, label);
}

void lg_diag_note(lg_diag *d, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    LG_PUSH(d->notes, format(fmt, ap));
    va_end(ap);
}

void lg_diag_help(lg_diag *d, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    LG_PUSH(d->helps, format(fmt, ap));
    va_end(ap);
}

/* ---- the printer ---- */

/* A span as drawn under one source line: columns from 0 in code points, [beg, end). */
typedef struct {
    uint32_t beg, end;
    char mark;
    const char *text;
    bool drawn;
} underline;

typedef struct {
    const source *src;
    size_t line;
    uint32_t first, last; /* columns shown: [first, last) */
    underline *u;
    size_t n;
} picture;

enum { SHOWN_COLUMNS = 90, COLUMNS_BEFORE = 30 };

typedef struct {
    FILE *out;
    bool colour;
} printer;

static const char *const RED = "\033[1;31m", *const BLUE = "\033[1;34m", *const BOLD = "\033[1m",
                         *const CYAN = "\033[1;36m";

static void paint(const printer *p, const char *colour, const char *text) {
    if (p->colour)
        fprintf(p->out, "%s%s\033[0m", colour, text);
    else
        fputs(text, p->out);
}

static const char *mark_colour(char mark) {
    return mark == '^' ? RED : BLUE;
}

static void print_place(const printer *p, const char *arrow, lg_span at) {
    uint32_t line, col;
    lg_source_where(at.file, at.beg, &line, &col);
    paint(p, BLUE, arrow);
    fprintf(p->out, " %s:%u:%u\n", lg_source_name(at.file), line, col);
}

static uint32_t indent_of(const source *s, size_t line) {
    uint32_t n = 0;
    for (size_t i = s->lines.at[line]; i < line_end(s, line); i++, n++)
        if (s->text[i] != ' ' && s->text[i] != '\t')
            return n;
    return 0;
}

/* Chooses the columns to show: without the indent, and a window of a long line. */
static void choose_window(picture *pic) {
    size_t beg = pic->src->lines.at[pic->line], end = line_end(pic->src, pic->line);
    uint32_t columns = code_points(pic->src->text, beg, end);
    pic->first = indent_of(pic->src, pic->line);
    if (pic->u[0].beg < pic->first)
        pic->first = pic->u[0].beg;
    pic->last = columns;
    if (columns - pic->first <= SHOWN_COLUMNS)
        return;
    uint32_t focus = pic->u[0].beg;
    if (focus > pic->first + SHOWN_COLUMNS - COLUMNS_BEFORE)
        pic->first = focus - COLUMNS_BEFORE;
    if (columns - pic->first > SHOWN_COLUMNS)
        pic->last = pic->first + SHOWN_COLUMNS;
}

static void print_gutter(const printer *p) {
    paint(p, BLUE, "   |");
    fputs("  ", p->out);
}

static bool starts_in_line(const picture *pic) {
    return pic->first > indent_of(pic->src, pic->line);
}

static void print_source_line(const printer *p, const picture *pic) {
    const source *s = pic->src;
    size_t end = line_end(s, pic->line);
    uint32_t col = 0;
    print_gutter(p);
    if (starts_in_line(pic))
        fputs("...", p->out);
    for (size_t i = s->lines.at[pic->line]; i < end; col++) {
        size_t n = 1;
        while (i + n < end && !starts_code_point(s->text[i + n]))
            n++;
        if (col >= pic->first && col < pic->last) {
            unsigned char c = (unsigned char)s->text[i];
            if (c == '\t')
                fputc(' ', p->out);
            else if (c < 0x20 || c == 0x7f)
                fputc('?', p->out);
            else
                fwrite(s->text + i, 1, n, p->out);
        }
        i += n;
    }
    if (end > s->lines.at[pic->line] && col > pic->last)
        fputs("...", p->out);
    fputc('\n', p->out);
}

static void spaces(const printer *p, uint32_t n) {
    for (; n; n--)
        fputc(' ', p->out);
}

static int by_column(const void *a, const void *b) {
    const underline *const *x = a, *const *y = b;
    return (*x)->beg < (*y)->beg ? -1 : (*x)->beg > (*y)->beg ? 1 : 0;
}

/* Chooses, first come first served, underlines that fit side by side; sorted by column. */
static size_t choose_row(picture *pic, underline **row) {
    size_t n = 0;
    for (size_t i = 0; i < pic->n; i++) {
        underline *u = &pic->u[i];
        bool fits = !u->drawn;
        for (size_t k = 0; k < n; k++)
            fits = fits && (u->end <= row[k]->beg || u->beg >= row[k]->end);
        if (fits)
            row[n++] = u;
    }
    qsort(row, n, sizeof(underline *), by_column);
    return n;
}

static void print_text(const printer *p, const underline *u) {
    if (u->text && *u->text)
        paint(p, mark_colour(u->mark), u->text);
}

/* Draws a row of underlines on one text line. The text of the rightmost goes behind it, the others
 * follow below, each under its own. */
static void print_row(const printer *p, const picture *pic, underline *const *row, size_t n) {
    uint32_t lead = starts_in_line(pic) ? 3 : 0, at = pic->first;
    print_gutter(p);
    spaces(p, lead);
    for (size_t i = 0; i < n; i++) {
        char marks[2] = {row[i]->mark, 0};
        spaces(p, row[i]->beg - at);
        for (at = row[i]->beg; at < row[i]->end; at++)
            paint(p, mark_colour(row[i]->mark), marks);
        row[i]->drawn = true;
    }
    if (row[n - 1]->text && *row[n - 1]->text)
        fputc(' ', p->out);
    print_text(p, row[n - 1]);
    fputc('\n', p->out);
    for (size_t i = n - 1; i-- > 0;) {
        if (!row[i]->text || !*row[i]->text)
            continue;
        print_gutter(p);
        spaces(p, row[i]->beg - pic->first + lead);
        print_text(p, row[i]);
        fputc('\n', p->out);
    }
}

/* One source line with everything that is underlined in it. */
static void print_picture(const printer *p, picture *pic) {
    choose_window(pic);
    for (size_t i = 0; i < pic->n; i++) {
        underline *u = &pic->u[i];
        if (u->beg > pic->last)
            u->beg = pic->last;
        if (u->beg < pic->first)
            u->beg = pic->first;
        if (u->end > pic->last)
            u->end = pic->last;
        if (u->end <= u->beg)
            u->end = u->beg + 1;
    }
    print_source_line(p, pic);
    underline **row = lg_alloc(pic->n * sizeof *row);
    for (size_t n; (n = choose_row(pic, row)) > 0;)
        print_row(p, pic, row, n);
    lg_free(row);
}

static underline underline_of(const source *s, size_t line, lg_span at, char mark) {
    size_t beg = s->lines.at[line], end = line_end(s, line);
    size_t from = at.beg < end ? at.beg : end, to = at.end < end ? at.end : end;
    return (underline){.beg = code_points(s->text, beg, from),
                       .end = code_points(s->text, beg, to > from ? to : from),
                       .mark = mark};
}

static size_t line_of_span(lg_span at) {
    const source *s = source_of(at.file);
    return line_of(s, at.beg < s->n ? at.beg : (uint32_t)s->n);
}

/* Prints the line of `at` with the main span, if it lies there, and every label in it. */
static void print_line_of(const printer *p, const lg_diag *d, lg_span at, bool *done) {
    picture pic = {.src = source_of(at.file), .line = line_of_span(at)};
    pic.u = lg_alloc((d->labels.n + 1) * sizeof *pic.u);
    if (d->at.file == at.file && line_of_span(d->at) == pic.line)
        pic.u[pic.n++] = underline_of(pic.src, pic.line, d->at, '^');
    for (size_t i = 0; i < d->labels.n; i++) {
        lg_span l = d->labels.at[i].at;
        if (l.file != at.file || line_of_span(l) != pic.line)
            continue;
        done[i] = true;
        if (pic.n && pic.u[0].mark == '^' && same_place(l, d->at) && !pic.u[0].text) {
            pic.u[0].text = d->labels.at[i].text;
            continue;
        }
        pic.u[pic.n] = underline_of(pic.src, pic.line, l, '-');
        pic.u[pic.n++].text = d->labels.at[i].text;
    }
    print_picture(p, &pic);
    lg_free(pic.u);
}

static void print_places(const printer *p, const lg_diag *d) {
    bool *done = lg_alloc(d->labels.n + 1);
    if (source_of(d->at.file)) {
        print_place(p, "  -->", d->at);
        print_line_of(p, d, d->at, done);
    }
    for (size_t i = 0; i < d->labels.n; i++)
        if (!done[i] && source_of(d->labels.at[i].at.file)) {
            print_place(p, "  :::", d->labels.at[i].at);
            print_line_of(p, d, d->labels.at[i].at, done);
        }
    lg_free(done);
}

static void print_one(const printer *p, const lg_diag *d) {
    const char *kind = d->code[0] == 'R' ? "runtime" : is_warning(d) ? "warning" : "error";
    char head[64];
    snprintf(head, sizeof head, "%s[%s]", kind, d->code);
    paint(p, is_warning(d) ? CYAN : RED, head);
    fputs(": ", p->out);
    paint(p, BOLD, d->message);
    fputc('\n', p->out);
    print_places(p, d);
    for (size_t i = 0; i < d->notes.n; i++)
        fprintf(p->out, "   = %s\n", d->notes.at[i]);
    for (size_t i = 0; i < d->helps.n; i++)
        fprintf(p->out, "   = help: %s\n", d->helps.at[i]);
}

void lg_diags_print(const lg_diags *ds, FILE *out, bool colour) {
    printer p = {out, colour};
    for (size_t i = 0; i < ds->list.n; i++) {
        if (i)
            fputc('\n', out);
        print_one(&p, ds->list.at[i]);
    }
    if (ds->dropped)
        fprintf(out, "\n%zu more error%s not shown\n", ds->dropped, ds->dropped == 1 ? "" : "s");
}
