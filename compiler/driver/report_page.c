/* report_page.c: `lg report`: one HTML page of a run, which needs nothing beside it: curves,
 * arguments, claims, tables, matrices, pictures and sounds that the program wrote, plan and graph.
 * What a log holds is decided in host/logged.c. */
#include "compiler/driver/arrays.h"
#include "compiler/driver/command.h"
#include "compiler/driver/page.h"
#include "compiler/driver/panels.h"
#include "compiler/host/plot.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_FILE = 8 << 20, MOST_FILES = 200, MOST_CELLS = 64 * 64, MOST_LINES = 2000 };

typedef struct {
    lg_buf *b;
    const lg_runlog *log;
    const lg_io *io;
    lg_panels panels;
} page;

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static bool is_event(const json_t *line, const char *event) {
    return !strcmp(text_of(line, "event"), event);
}

/* The i-th line from `from` on that is of the event; the number of lines when there is none. */
static size_t next_event(const page *p, const char *event, size_t from) {
    size_t n = json_array_size(p->log->lines);
    while (from < n && !is_event(json_array_get(p->log->lines, from), event))
        from++;
    return from;
}

static bool has_event(const page *p, const char *event) {
    return next_event(p, event, 0) < json_array_size(p->log->lines);
}

static void cell(lg_buf *b, const char *tag, const char *text) {
    bool number = *text && strspn(text, "+-.0123456789eE%, ") == strlen(text);
    lg_buf_printf(b, "<%s%s>", tag, number ? "" : " class=\"l\"");
    lg_xml_text(b, text);
    lg_buf_printf(b, "</%.2s>", tag);
}

static void number_cell(lg_buf *b, double v) {
    char text[40];
    snprintf(text, sizeof text, "%.6g", v);
    cell(b, "td", text);
}

/* ---- what the run was ---- */

static void card(lg_buf *b, const char *name, const char *value) {
    if (!value || !*value)
        return;
    lg_buf_printf(b, "<div class=\"card\"><b>");
    lg_xml_text(b, value);
    lg_buf_printf(b, "</b><span>");
    lg_xml_text(b, name);
    lg_buf_printf(b, "</span></div>\n");
}

static void count_card(lg_buf *b, const char *name, const json_t *o, const char *key) {
    char text[32];
    if (!json_is_integer(json_object_get(o, key)))
        return;
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(json_object_get(o, key)));
    card(b, name, text);
}

static void last_values(page *p, const lg_run_of *r) {
    for (size_t c = 0; c < r->columns.n; c++) {
        const lg_column_of *x = &r->columns.at[c];
        char text[40], name[80];
        if (!x->y.n)
            continue;
        snprintf(text, sizeof text, "%.4g", x->y.at[x->y.n - 1]);
        snprintf(name, sizeof name, "last %.60s", x->name);
        card(p->b, name, text);
    }
}

static void cards(page *p) {
    const lg_run_of *r = p->log->runs.n ? &p->log->runs.at[p->log->runs.n - 1] : NULL;
    lg_buf_printf(p->b, "<div class=\"cards\">\n");
    if (r && p->log->runs.n == 1) {
        card(p->b, "train", r->train);
        card(p->b, "seed", text_of(r->about, "seed"));
        count_card(p->b, "steps", r->about, "steps");
        count_card(p->b, "parameters", r->about, "parameters");
        count_card(p->b, "FLOP a step", r->about, "flops");
        last_values(p, r);
    } else {
        char text[32];
        snprintf(text, sizeof text, "%zu", p->log->runs.n);
        card(p->b, "runs", text);
    }
    if (p->log->save.file) {
        char text[32];
        snprintf(text, sizeof text, "%lld", (long long)p->log->save.step);
        card(p->b, "saved at step", text);
    }
    lg_buf_printf(p->b, "</div>\n");
}

static void arguments(page *p, const json_t *about) {
    const json_t *args = json_object_get(about, "args"), *value;
    const char *key;
    if (!json_object_size(args))
        return;
    lg_page_section(p->b, "Arguments");
    lg_buf_printf(p->b, "<div class=\"wide\"><table>\n");
    json_object_foreach((json_t *)(uintptr_t)args, key, value) {
        lg_buf_printf(p->b, "<tr>");
        cell(p->b, "th class=\"l\"", key);
        cell(p->b, "td", json_is_string(value) ? json_string_value(value) : "");
        lg_buf_printf(p->b, "</tr>\n");
    }
    lg_buf_printf(p->b, "</table></div>\n");
    lg_page_section_end(p->b);
}

static void args_cell(lg_buf *b, const json_t *about) {
    const json_t *value;
    const char *key;
    lg_buf all = {0};
    lg_buf_put(&all, "", 0);
    json_object_foreach(json_object_get(about, "args"), key, value) {
        if (json_is_string(value))
            lg_buf_printf(&all, "%s%s=%s", all.n ? ", " : "", key, json_string_value(value));
    }
    cell(b, "td", all.at);
    lg_buf_free(&all);
}

static void runs_table(page *p) {
    const char **names;
    size_t n = lg_runlog_columns(p->panels.logs, 1, NULL, &names);
    lg_page_section(p->b, "Runs");
    lg_buf_printf(p->b, "<div class=\"wide\"><table>\n<tr><th class=\"l\">run</th>"
                        "<th class=\"l\">arguments</th><th>seed</th>");
    for (size_t i = 0; i < n; i++)
        cell(p->b, "th", names[i]);
    lg_buf_printf(p->b, "</tr>\n");
    for (size_t r = 0; r < p->log->runs.n; r++) {
        const lg_run_of *x = &p->log->runs.at[r];
        lg_buf label = {0};
        lg_run_label(&p->panels, 0, r, &label);
        lg_buf_printf(p->b, "<tr>");
        cell(p->b, "td", label.at);
        args_cell(p->b, x->about);
        cell(p->b, "td", text_of(x->about, "seed"));
        for (size_t i = 0; i < n; i++) {
            const lg_column_of *c = lg_run_column(x, names[i]);
            if (c && c->y.n)
                number_cell(p->b, c->y.at[c->y.n - 1]);
            else
                cell(p->b, "td", "");
        }
        lg_buf_printf(p->b, "</tr>\n");
        lg_buf_free(&label);
    }
    lg_buf_printf(p->b, "</table></div>\n");
    lg_page_section_end(p->b);
    lg_free(names);
}

/* Measurements come seldom: as a table, a row a step, what is measured together in one. */
enum { MOST_ROWS = 200 };

static bool is_seldom(const lg_column_of *c) {
    return c->y.n && c->y.n <= MOST_ROWS;
}

static bool same_steps(const lg_column_of *a, const lg_column_of *b) {
    return a->x.n == b->x.n && !memcmp(a->x.at, b->x.at, a->x.n * sizeof *a->x.at);
}

static void measured(page *p, const lg_run_of *r, const lg_column_of *first) {
    lg_buf_printf(p->b, "<div class=\"wide\"><table>\n<tr><th>step</th>");
    for (size_t c = 0; c < r->columns.n; c++)
        if (same_steps(&r->columns.at[c], first))
            cell(p->b, "th", r->columns.at[c].name);
    lg_buf_printf(p->b, "</tr>\n");
    for (size_t i = 0; i < first->x.n; i++) {
        lg_buf_printf(p->b, "<tr>");
        number_cell(p->b, first->x.at[i]);
        for (size_t c = 0; c < r->columns.n; c++)
            if (same_steps(&r->columns.at[c], first))
                number_cell(p->b, r->columns.at[c].y.at[i]);
        lg_buf_printf(p->b, "</tr>\n");
    }
    lg_buf_printf(p->b, "</table></div>\n");
}

static void measurements(page *p, const lg_run_of *r) {
    bool any = false;
    for (size_t c = 0; c < r->columns.n; c++) {
        const lg_column_of *x = &r->columns.at[c];
        bool again = !strcmp(x->name, "loss") || !is_seldom(x);
        for (size_t k = 0; k < c; k++)
            again = again || same_steps(&r->columns.at[k], x);
        if (again)
            continue;
        if (!any)
            lg_page_section(p->b, "Measurements");
        any = true;
        measured(p, r, x);
    }
    if (any)
        lg_page_section_end(p->b);
}

/* ---- what the program showed ---- */

static void claims(page *p) {
    size_t n = json_array_size(p->log->lines);
    if (!has_event(p, "accept"))
        return;
    lg_page_section(p->b, "Claims");
    lg_buf_printf(p->b, "<ul class=\"plain\">\n");
    for (size_t i = 0; (i = next_event(p, "accept", i)) < n; i++) {
        const json_t *line = json_array_get(p->log->lines, i);
        bool ok = json_is_true(json_object_get(line, "ok"));
        lg_buf_printf(p->b, "<li><span class=\"%s\">%s</span> ", ok ? "ok" : "no",
                      ok ? "&#10003; holds" : "&#10007; falls short");
        lg_xml_text(p->b, text_of(line, "text"));
        lg_buf_printf(p->b, "</li>\n");
    }
    lg_buf_printf(p->b, "</ul>\n");
    lg_page_section_end(p->b);
}

static void row(lg_buf *b, const char *tag, const json_t *texts) {
    size_t i;
    const json_t *x;
    lg_buf_printf(b, "<tr>");
    json_array_foreach(texts, i, x) cell(b, tag, json_is_string(x) ? json_string_value(x) : "");
    lg_buf_printf(b, "</tr>\n");
}

static void tables(page *p) {
    size_t n = json_array_size(p->log->lines);
    const json_t *above = NULL;
    if (!has_event(p, "table"))
        return;
    lg_page_section(p->b, "Tables");
    for (size_t i = 0; (i = next_event(p, "table", i)) < n; i++) {
        const json_t *line = json_array_get(p->log->lines, i);
        const json_t *columns = json_object_get(line, "columns");
        if (!above || !json_equal(above, columns)) {
            lg_buf_printf(p->b, "%s<div class=\"wide\"><table>\n",
                          above ? "</table></div><br>\n" : "");
            row(p->b, "th", columns);
        }
        row(p->b, "td", json_object_get(line, "cells"));
        above = columns;
    }
    lg_buf_printf(p->b, "</table></div>\n");
    lg_page_section_end(p->b);
}

static size_t curve_at(const json_t *line, lg_curve *out) {
    const json_t *values = json_object_get(line, "values"), *every = json_object_get(line, "every");
    size_t n = json_array_size(values);
    double *x = lg_alloc((2 * n + 1) * sizeof *x), *y = x + n;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(values, i);
        x[i] = (double)i * (json_is_integer(every) ? (double)json_integer_value(every) : 1);
        y[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    *out = (lg_curve){text_of(line, "name"), n, x, y};
    return n;
}

/* The curves of one `plot` follow each other, numbered from 0. */
static void plots(page *p) {
    size_t n = json_array_size(p->log->lines);
    if (!has_event(p, "plot"))
        return;
    lg_page_section(p->b, "Plots");
    lg_buf_printf(p->b, "<div class=\"grid\">\n");
    for (size_t i = next_event(p, "plot", 0); i < n; i = next_event(p, "plot", i)) {
        LG_VEC(lg_curve) curve = {0};
        do {
            lg_curve c;
            curve_at(json_array_get(p->log->lines, i++), &c);
            LG_PUSH(curve, c);
        } while (i < n && is_event(json_array_get(p->log->lines, i), "plot") &&
                 json_integer_value(json_object_get(json_array_get(p->log->lines, i), "curve")));
        lg_buf_printf(p->b, "<figure><svg class=\"p\" role=\"img\" viewBox=\"0 0 %d %d\">\n",
                      LG_PLOT_WIDTH, LG_PLOT_HEIGHT);
        lg_draw_panel(p->b, curve.n, curve.at, "", 0);
        lg_buf_printf(p->b, "</svg></figure>\n");
        for (size_t k = 0; k < curve.n; k++)
            lg_free((void *)(uintptr_t)curve.at[k].x);
        lg_free(curve.at);
    }
    lg_buf_printf(p->b, "</div>\n");
    lg_page_section_end(p->b);
}

/* ---- files that the program wrote ---- */

static bool ends(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* A matrix as a table, the larger a cell the stronger its shade: confusion matrices above all. */
static void matrix(page *p, const lg_tensor *x) {
    double most = 0;
    for (size_t i = 0; i < x->n; i++)
        most = fmax(most, fabs(lg_get_f64(x->dtype, x->data, i)));
    lg_buf_printf(p->b, "<table class=\"matrix\">\n<tr><th></th>");
    for (int64_t c = 0; c < x->shape[1]; c++)
        lg_buf_printf(p->b, "<th>%lld</th>", (long long)c);
    lg_buf_printf(p->b, "</tr>\n");
    for (int64_t r = 0; r < x->shape[0]; r++) {
        lg_buf_printf(p->b, "<tr><th>%lld</th>", (long long)r);
        for (int64_t c = 0; c < x->shape[1]; c++) {
            double v = lg_get_f64(x->dtype, x->data, (size_t)(r * x->shape[1] + c));
            lg_buf_printf(p->b, "<td style=\"background:rgba(var(--heat),%.2f)\">%.4g</td>",
                          most > 0 ? 0.6 * fabs(v) / most : 0.0, v);
        }
        lg_buf_printf(p->b, "</tr>\n");
    }
    lg_buf_printf(p->b, "</table>\n");
}

static bool put_matrix(page *p, const char *path) {
    lg_diags none;
    lg_diags_init(&none);
    lg_io quiet = {.ds = &none};
    lg_tensor *x = NULL;
    bool ok = lg_npy_load(&quiet, path, &x) == LG_OK && x->rank == 2 && x->n && x->n <= MOST_CELLS;
    if (ok)
        matrix(p, x);
    lg_tensor_release(x);
    lg_diags_fini(&none);
    return ok;
}

static bool put_file(page *p, const char *path) {
    static const struct {
        const char *end, *type, *before, *after;
    } kinds[] = {{".png", "image/png", "<img alt=\"\" src=\"", "\">"},
                 {".svg", "image/svg+xml", "<img alt=\"\" src=\"", "\">"},
                 {".wav", "audio/wav", "<audio controls src=\"", "\"></audio>"}};
    if (ends(path, ".npy"))
        return put_matrix(p, path);
    for (size_t i = 0; i < LG_COUNT(kinds); i++) {
        if (!ends(path, kinds[i].end))
            continue;
        lg_diags none;
        lg_diags_init(&none);
        lg_io quiet = {.ds = &none, .max_bytes = MOST_FILE};
        lg_bytes bytes;
        bool ok = lg_bytes_load(&quiet, path, &bytes) == LG_OK;
        lg_diags_fini(&none);
        if (!ok)
            return false;
        lg_buf_printf(p->b, "%s", kinds[i].before);
        lg_page_data(p->b, kinds[i].type, bytes.at, bytes.n);
        lg_buf_printf(p->b, "%s", kinds[i].after);
        lg_bytes_free(&bytes);
        return true;
    }
    return false;
}

static bool written_later(const page *p, size_t i) {
    size_t n = json_array_size(p->log->lines);
    const char *path = text_of(json_array_get(p->log->lines, i), "text");
    for (size_t k = i + 1; (k = next_event(p, "write", k)) < n; k++)
        if (!strcmp(text_of(json_array_get(p->log->lines, k), "text"), path))
            return true;
    return false;
}

static void files(page *p) {
    size_t n = json_array_size(p->log->lines), shown = 0;
    if (!has_event(p, "write"))
        return;
    lg_page_section(p->b, "Written");
    lg_buf_printf(p->b, "<div class=\"grid\">\n");
    for (size_t i = 0; (i = next_event(p, "write", i)) < n && shown < MOST_FILES; i++) {
        const char *path = text_of(json_array_get(p->log->lines, i), "text");
        if (written_later(p, i))
            continue;
        char *found = lg_io_find(path, p->log->path); /* beside the log, when not here */
        lg_buf_printf(p->b, "<figure>");
        if (!put_file(p, found))
            lg_buf_printf(p->b, "<span class=\"dim\">not shown here</span>");
        lg_buf_printf(p->b, "<figcaption>");
        lg_xml_text(p->b, path);
        lg_buf_printf(p->b, "</figcaption></figure>\n");
        lg_free(found);
        shown++;
    }
    lg_buf_printf(p->b, "</div>\n");
    lg_page_section_end(p->b);
}

/* ---- texts, arrays ---- */

static void output(page *p) {
    size_t n = json_array_size(p->log->lines), lines = 0;
    if (!has_event(p, "print"))
        return;
    lg_page_section(p->b, "Output");
    lg_buf_printf(p->b, "<pre>");
    for (size_t i = 0; (i = next_event(p, "print", i)) < n && lines++ < MOST_LINES; i++) {
        lg_xml_text(p->b, text_of(json_array_get(p->log->lines, i), "text"));
        lg_buf_printf(p->b, "\n");
    }
    lg_buf_printf(p->b, "%s</pre>\n", lines > MOST_LINES ? "...\n" : "");
    lg_page_section_end(p->b);
}

static void arrays(page *p) {
    const lg_bundle *b = &p->log->save.tensors;
    if (!p->log->save.file)
        return;
    lg_page_section(p->b, "Saved arrays");
    lg_buf_printf(p->b, "<p class=\"dim\">");
    lg_xml_text(p->b, p->log->save.file);
    lg_buf_printf(p->b, "</p>\n<div class=\"wide\"><table>\n<tr><th class=\"l\">name</th>"
                        "<th class=\"l\">type</th><th class=\"l\">shape</th><th>size</th></tr>\n");
    for (size_t i = 0; i < b->list.n; i++) {
        char size[LG_SIZE_TEXT];
        lg_buf shape = {0};
        lg_shape_text(b->list.at[i].x, &shape);
        lg_buf_printf(p->b, "<tr>");
        cell(p->b, "td", b->list.at[i].name);
        cell(p->b, "td", lg_dtype_name(b->list.at[i].x->dtype));
        cell(p->b, "td", shape.at);
        lg_size_text(size, (double)lg_tensor_bytes(b->list.at[i].x));
        lg_buf_printf(p->b, "<td>%s</td></tr>\n", size);
        lg_buf_free(&shape);
    }
    lg_buf_printf(p->b, "</table></div>\n");
    lg_page_section_end(p->b);
}

static void texts(page *p, const char *event, const char *title) {
    size_t n = json_array_size(p->log->lines);
    for (size_t i = 0; (i = next_event(p, event, i)) < n; i++) {
        const json_t *line = json_array_get(p->log->lines, i);
        char head[160];
        snprintf(head, sizeof head, "%s of %.60s %.60s", title, text_of(line, "train"),
                 text_of(line, "phase"));
        lg_page_pre(p->b, head, text_of(line, "text"));
    }
}

/* ---- the page ---- */

static void whole(page *p) {
    const lg_run_of *first = p->log->runs.n ? &p->log->runs.at[0] : NULL;
    const char *program = first ? text_of(first->about, "program") : "";
    const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
    lg_page_begin(p->b, *name ? name : p->log->path);
    lg_buf_printf(p->b, "<p class=\"dim\">");
    lg_xml_text(p->b, p->log->path);
    lg_buf_printf(p->b, "</p>\n");
    cards(p);
    if (lg_panels_count(&p->panels)) {
        lg_page_section(p->b, "Curves");
        lg_buf_printf(p->b, "<div class=\"grid\">\n");
        lg_panels_html(&p->panels, p->b);
        lg_buf_printf(p->b, "</div>\n");
        lg_page_section_end(p->b);
    }
    claims(p);
    if (p->log->runs.n == 1) {
        arguments(p, first->about);
        measurements(p, first);
    }
    if (p->log->runs.n > 1)
        runs_table(p);
    tables(p);
    plots(p);
    files(p);
    output(p);
    arrays(p);
    if (has_event(p, "plan") || has_event(p, "graph")) {
        lg_page_section(p->b, "Plan and graph of a step");
        texts(p, "plan", "Plan");
        texts(p, "graph", "Graph");
        lg_page_section_end(p->b);
    }
    lg_page_end(p->b);
}

typedef struct {
    const char *out;
} settings;

enum { N_ROWS = 1 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    out[0] = (lg_option_row){"o", "FILE", "the page to write (RUN with .html for its ending)", NULL,
                             &o->out};
}

size_t lg_rows_report(lg_option_row *out) {
    static settings none;
    rows_of(&none, out);
    return N_ROWS;
}

/* "runs/digits.html" of runs/digits/ and of runs/digits.jsonl. */
static char *default_name(const char *path) {
    size_t n = strlen(path);
    lg_buf b = {0};
    while (n > 1 && path[n - 1] == '/')
        n--;
    n -= n > 6 && !strncmp(path + n - 6, ".jsonl", 6) ? 6 : 0;
    lg_buf_printf(&b, "%.*s.html", (int)n, path);
    return b.at;
}

static int report(const settings *o, const char *path) {
    lg_diags ds;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds};
    lg_runlog log;
    bool ok = lg_runlog_load(&io, path, &log);
    if (ok) {
        const lg_runlog *logs[] = {&log};
        lg_buf b = {0};
        char *name = o->out ? NULL : default_name(path);
        page p = {&b, &log, &io, {logs, 1, NULL}};
        whole(&p);
        ok = lg_file_write(&io, o->out ? o->out : name, b.at, b.n) == LG_OK;
        if (ok)
            printf("%s\n", o->out ? o->out : name);
        lg_free(name);
        lg_buf_free(&b);
        lg_runlog_fini(&log);
    }
    lg_show(&ds);
    lg_diags_fini(&ds);
    return ok ? LG_EXIT_OK : LG_EXIT_FAILED;
}

int lg_cmd_report(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, rows);
    int status = lg_read_options("report", argc, argv, rows, N_ROWS, false, &w);
    if (!status && w.words.n != 1)
        status = lg_usage_fault("E0713", "`lg report` wants a log or a directory of saves",
                                "lg report RUN [-o PAGE.html]");
    if (!status)
        status = report(&o, w.words.at[0]);
    lg_words_fini(&w);
    return status;
}
