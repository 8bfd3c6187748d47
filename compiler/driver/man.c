/* man.c: manual pages: of the commands from the tables that their options are read by, and of the
 * library from the texts of `lg help`. */
#include "compiler/driver/doc.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Text for roff: backslashes, and a point or quote that begins a line. */
static void roff(lg_buf *b, const char *text) {
    for (const char *s = text; *s; s++) {
        bool first = b->n && b->at[b->n - 1] == '\n';
        if (first && (*s == '.' || *s == '\''))
            lg_buf_printf(b, "\\&");
        if (*s == '\\')
            lg_buf_printf(b, "\\e");
        else if (*s == '-')
            lg_buf_printf(b, "\\-");
        else if (*s == '^')
            lg_buf_printf(b, "\\(ha");
        else if (*s == '~')
            lg_buf_printf(b, "\\(ti");
        else if (*s == '`')
            lg_buf_printf(b, "\\(ga");
        else
            lg_buf_put(b, s, 1);
    }
}

static void title(lg_buf *b, const char *name, const char *section, const char *manual) {
    lg_buf_printf(b, ".TH \"%s\" %s \"\" \"lossgraph %s\" \"%s\"\n", name, section, LG_VERSION,
                  manual);
}

static void section(lg_buf *b, const char *name) {
    lg_buf_printf(b, ".SH %s\n", name);
}

/* ---- commands ---- */

static void put_options(lg_buf *b, const lg_command *c) {
    lg_option_row rows[LG_MOST_ROWS];
    size_t n = lg_command_rows(c, rows);
    section(b, "OPTIONS");
    for (size_t i = 0; i < n; i++) {
        lg_buf_printf(b, ".TP\n\\fB");
        roff(b, rows[i].name[1] ? "--" : "-");
        roff(b, rows[i].name);
        lg_buf_printf(b, "\\fR");
        if (rows[i].value) {
            lg_buf_printf(b, " \\fI");
            roff(b, rows[i].value);
            lg_buf_printf(b, "\\fR");
        }
        lg_buf_printf(b, "\n");
        roff(b, rows[i].help);
        lg_buf_printf(b, "\n");
    }
    lg_buf_printf(b, ".TP\n\\fB\\-\\-help\\fR\nwhat the command does, and its options\n");
}

static void command_page(lg_buf *b, const lg_command *c) {
    char name[64];
    snprintf(name, sizeof name, "lg-%s", c->name);
    title(b, name, "1", "LossGraph");
    section(b, "NAME");
    roff(b, name);
    lg_buf_printf(b, " \\- %s\n", c->help);
    section(b, "SYNOPSIS");
    lg_buf_printf(b, "\\fBlg %s\\fR ", c->name);
    roff(b, c->use);
    lg_buf_printf(b, "\n");
    section(b, "DESCRIPTION");
    roff(b, c->about);
    lg_buf_printf(b, "\n");
    put_options(b, c);
    section(b, "EXIT STATUS");
    lg_buf_printf(b,
                  "0 when all went well, 1 after an error, 2 when the command line was not "
                  "understood%s.\n",
                  c->run == lg_cmd_diff ? " or a file cannot be read" : "");
    section(b, "SEE ALSO");
    lg_buf_printf(b, "\\fBlg\\fR(1)\n");
}

static void main_page(lg_buf *b) {
    title(b, "lg", "1", "LossGraph");
    section(b, "NAME");
    lg_buf_printf(b, "lg \\- run, build and look at programs of the LossGraph language\n");
    section(b, "SYNOPSIS");
    lg_buf_printf(b, "\\fBlg\\fR \\fICOMMAND\\fR ...\n");
    section(b, "DESCRIPTION");
    lg_buf_printf(b, "LossGraph is a small language for models, losses, optimizers and their "
                     "training, and the program that runs it.\n");
    section(b, "COMMANDS");
    for (size_t i = 0; i < lg_command_count(); i++) {
        const lg_command *c = lg_command_at(i);
        lg_buf_printf(b, ".TP\n\\fBlg %s\\fR ", c->name);
        roff(b, c->use);
        lg_buf_printf(b, "\n");
        roff(b, c->help);
        lg_buf_printf(b, "; see \\fBlg\\-%s\\fR(1)\n", c->name);
    }
}

bool lg_man_commands(const lg_io *io, const char *dir) {
    lg_buf at = {0}, b = {0};
    lg_buf_printf(&at, "%s/man1", dir);
    bool ok = lg_doc_dir(io, at.at);
    main_page(&b);
    ok = ok && lg_doc_write(io, at.at, "lg.1", &b);
    for (size_t i = 0; ok && i < lg_command_count(); i++) {
        char name[64];
        b.n = 0;
        command_page(&b, lg_command_at(i));
        snprintf(name, sizeof name, "lg-%s.1", lg_command_at(i)->name);
        ok = lg_doc_write(io, at.at, name, &b);
    }
    lg_buf_free(&at);
    lg_buf_free(&b);
    return ok;
}

/* ---- the library ---- */

/* The first sentence, on one line. */
static void one_line(lg_buf *b, const lg_entry *e) {
    const char *end = e->doc;
    while (*end && !(*end == '.' && (!end[1] || isspace((unsigned char)end[1]))))
        end++;
    lg_buf text = {0};
    for (const char *s = e->doc; s < end; s++)
        lg_buf_put(&text, *s == '\n' ? " " : s, 1);
    roff(b, text.n ? text.at : e->kind);
    lg_buf_free(&text);
}

static void entry_page(lg_buf *b, const lg_entry *e) {
    title(b, e->name, "3lg", "LossGraph library");
    section(b, "NAME");
    roff(b, e->name);
    lg_buf_printf(b, " \\- ");
    one_line(b, e);
    lg_buf_printf(b, "\n");
}

static void entry_text(lg_buf *b, const lg_entry *e) {
    section(b, "SYNOPSIS");
    lg_buf_printf(b, ".nf\n");
    roff(b, e->head);
    lg_buf_printf(b, "\n.fi\n");
    section(b, "DESCRIPTION");
    lg_buf_printf(b, ".nf\n");
    roff(b, e->doc);
    lg_buf_printf(b, "\n.fi\n.PP\nOf ");
    roff(b, e->group);
    lg_buf_printf(b, ".\n");
    if (!e->text)
        return;
    section(b, "SOURCE");
    lg_buf_printf(b, ".nf\n");
    roff(b, e->text);
    lg_buf_printf(b, "\n.fi\n");
}

static bool written_before(const lg_entries *e, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (!strcmp(e->list.at[k].name, e->list.at[i].name))
            return true;
    return false;
}

bool lg_man_entries(const lg_io *io, const lg_entries *e, const char *dir) {
    lg_buf at = {0}, b = {0};
    lg_buf_printf(&at, "%s/man3", dir);
    bool ok = lg_doc_dir(io, at.at);
    for (size_t i = 0; ok && i < e->list.n; i++) {
        const char *name = e->list.at[i].name;
        if (written_before(e, i))
            continue;
        b.n = 0;
        entry_page(&b, &e->list.at[i]);
        for (size_t k = i; k < e->list.n; k++) /* several of one name share a page */
            if (!strcmp(e->list.at[k].name, name))
                entry_text(&b, &e->list.at[k]);
        char file[128];
        snprintf(file, sizeof file, "%.100s.3lg", name);
        ok = lg_doc_write(io, at.at, file, &b);
    }
    lg_buf_free(&at);
    lg_buf_free(&b);
    return ok;
}
