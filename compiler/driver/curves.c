/* curves.c: `lg plot`: the curves of training logs on the terminal, as SVG or as a page. */
#include "compiler/driver/command.h"
#include "compiler/driver/page.h"
#include "compiler/driver/panels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *out, *columns;
} settings;

enum { N_ROWS = 2 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    const lg_option_row rows[N_ROWS] = {
        {"o", "FILE", "the picture to write: x.svg or x.html (the terminal)", NULL, &o->out},
        {"columns", "NAMES", "what to draw, as in loss,acc (all that is logged)", NULL,
         &o->columns},
    };
    memcpy(out, rows, sizeof rows);
}

size_t lg_rows_plot(lg_option_row *out) {
    static settings none;
    rows_of(&none, out);
    return N_ROWS;
}

static bool ends(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

static bool write_to(const lg_io *io, const settings *o, const lg_panels *p) {
    lg_buf b = {0};
    bool ok = true;
    if (!o->out) {
        lg_panels_terminal(p, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"), &b);
        fwrite(b.at, 1, b.n, stdout);
    } else if (ends(o->out, ".svg")) {
        lg_panels_svg(p, &b);
        ok = lg_file_write(io, o->out, b.at, b.n) == LG_OK;
    } else {
        lg_page_begin(&b, "curves");
        lg_panels_html(p, &b);
        lg_page_end(&b);
        ok = lg_file_write(io, o->out, b.at, b.n) == LG_OK;
    }
    lg_buf_free(&b);
    return ok;
}

/* A name of --columns that no log has is an error that says what there is. */
static bool all_known(const lg_io *io, const settings *o, const lg_panels *p) {
    const char **names;
    size_t n = lg_runlog_columns(p->logs, p->n, NULL, &names);
    bool ok = n > 0;
    if (!n)
        lg_io_report(io, "E0623", p->logs[0]->path, "no step is logged here");
    for (const char *at = o->columns; ok && at && *at;) {
        size_t len = strcspn(at, ","), i = 0;
        while (i < n && (strlen(names[i]) != len || strncmp(names[i], at, len) != 0))
            i++;
        ok = i < n;
        if (!ok) {
            lg_buf all = {0};
            for (size_t k = 0; k < n; k++)
                lg_buf_printf(&all, "%s%s", k ? ", " : "", names[k]);
            lg_diag *d = lg_diag_add(io->ds, "E0714", (lg_span){0}, "no log has a column `%.*s`",
                                     (int)len, at);
            lg_diag_help(d, "there is %s", all.at);
            lg_buf_free(&all);
        }
        at += len + (at[len] == ',');
    }
    lg_free(names);
    return ok;
}

static int plot(const settings *o, const lg_words *w) {
    lg_diags ds;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds};
    size_t n = 0;
    lg_runlog *log = lg_alloc(w->words.n * sizeof *log);
    const lg_runlog **at = lg_alloc(w->words.n * sizeof *at);
    while (n < w->words.n && lg_runlog_load(&io, w->words.at[n], &log[n])) {
        at[n] = &log[n];
        n++;
    }
    lg_panels p = {at, n, o->columns};
    bool ok = n == w->words.n && all_known(&io, o, &p) && write_to(&io, o, &p);
    for (size_t i = 0; i < n; i++)
        lg_runlog_fini(&log[i]);
    lg_free(log);
    lg_free(at);
    lg_show(&ds);
    lg_diags_fini(&ds);
    return ok ? LG_EXIT_OK : LG_EXIT_FAILED;
}

int lg_cmd_plot(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, rows);
    int status = lg_read_options("plot", argc, argv, rows, N_ROWS, false, &w);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg plot` wants a log", "lg plot LOG.jsonl [-o x.svg]");
    if (!status && o.out && !ends(o.out, ".svg") && !ends(o.out, ".html"))
        status = lg_usage_fault("E0713", "-o wants a file .svg or .html", NULL);
    if (!status)
        status = plot(&o, &w);
    lg_words_fini(&w);
    return status;
}
