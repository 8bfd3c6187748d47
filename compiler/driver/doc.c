/* doc.c: `lg doc`: the reference of the library, or of a file, as one page with a search; the
 * manual pages are written by man.c. The texts are those of `lg help`. */
#include "compiler/driver/doc.h"
#include "compiler/driver/page.h"
#include "compiler/host/plot.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    const char *out;
} settings;

enum { N_ROWS = 1 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    out[0] = (lg_option_row){"o", "DIR", "the folder to write to (doc)", NULL, &o->out};
}

size_t lg_rows_doc(lg_option_row *out) {
    static settings none;
    rows_of(&none, out);
    return N_ROWS;
}

static const char search[] =
    "<p><input id=\"q\" type=\"search\" placeholder=\"search: a name or a word\" autofocus "
    "aria-label=\"search\"> <span id=\"n\" class=\"dim\"></span></p>\n";
static const char script[] =
    "<script>\nconst "
    "q=document.getElementById('q'),all=[...document.querySelectorAll('article')],\n"
    "text=all.map(a=>a.textContent.toLowerCase());\n"
    "function look(){const w=q.value.toLowerCase().split(/\\s+/).filter(x=>x);let n=0;\n"
    "all.forEach((a,i)=>{const on=w.every(x=>text[i].includes(x));a.hidden=!on;n+=on});\n"
    "for(const s of document.querySelectorAll('section'))"
    "s.hidden=!s.querySelector('article:not([hidden])');\n"
    "document.getElementById('n').textContent=n+' of '+all.length}\n"
    "q.addEventListener('input',look);\n"
    "function from(){const h=decodeURIComponent(location.hash.slice(1));\n"
    "if(h.startsWith('q=')){q.value=h.slice(2);look()}}\n"
    "addEventListener('hashchange',from);look();from();\n</script>\n";
static const char more_style[] =
    "<style>article{border-bottom:1px solid var(--line);padding:.6rem 0}"
    "article h3{margin:0;font:600 1rem ui-monospace,monospace;overflow-wrap:anywhere}"
    "article p{margin:.3rem 0}#q{font:inherit;width:min(100%,28rem);padding:.4rem .6rem;"
    "border:1px solid var(--line);border-radius:8px;background:var(--box);color:var(--fg)}"
    "nav{columns:12rem}nav a{display:block}</style>\n";

/* Lines of a comment as paragraphs, its examples as code. */
static void paragraphs(lg_buf *b, const char *doc) {
    bool open = false;
    while (*doc) {
        size_t n = strcspn(doc, "\n");
        char *line = lg_alloc(n + 1);
        memcpy(line, doc, n);
        bool example = !strncmp(line, "example: ", 9);
        if (open && (example || !n))
            lg_buf_printf(b, "</p>\n");
        open = open && !example && n;
        if (example) {
            lg_buf_printf(b, "<p class=\"dim\">example: <code>");
            lg_xml_text(b, line + 9);
            lg_buf_printf(b, "</code></p>\n");
        } else if (n) {
            lg_buf_printf(b, open ? " " : "<p>");
            lg_xml_text(b, line);
            open = true;
        }
        lg_free(line);
        doc += n + (doc[n] == '\n');
    }
    lg_buf_printf(b, open ? "</p>\n" : "");
}

static void article(lg_buf *b, const lg_entry *e) {
    lg_buf_printf(b, "<article id=\"");
    lg_xml_text(b, e->name);
    lg_buf_printf(b, "\"><h3>");
    lg_xml_text(b, e->head);
    lg_buf_printf(b, "</h3>\n");
    paragraphs(b, e->doc);
    if (e->text)
        lg_page_pre(b, "source", e->text);
    lg_buf_printf(b, "</article>\n");
}

static void contents(lg_buf *b, const lg_entries *e) {
    lg_buf_printf(b, "<nav>");
    for (size_t i = 0; i < e->list.n; i++) {
        const char *group = e->list.at[i].group;
        if (i && !strcmp(group, e->list.at[i - 1].group))
            continue;
        lg_buf_printf(b, "<a href=\"#group-%zu\">", i);
        lg_xml_text(b, group);
        lg_buf_printf(b, "</a>");
    }
    lg_buf_printf(b, "</nav>\n");
}

static void whole(lg_buf *b, const lg_entries *e, const char *title) {
    lg_page_begin(b, title);
    lg_buf_printf(b, "%s%s", more_style, search);
    contents(b, e);
    for (size_t i = 0; i < e->list.n; i++) {
        bool begins = !i || strcmp(e->list.at[i].group, e->list.at[i - 1].group) != 0;
        if (begins && i)
            lg_page_section_end(b);
        if (begins) {
            lg_buf_printf(b, "<a id=\"group-%zu\"></a>", i);
            lg_page_section(b, e->list.at[i].group);
        }
        article(b, &e->list.at[i]);
    }
    if (e->list.n)
        lg_page_section_end(b);
    lg_buf_printf(b, "%s", script);
    lg_page_end(b);
}

bool lg_doc_dir(const lg_io *io, const char *dir) {
    struct stat st;
    if (mkdir(dir, 0777) == 0 || (stat(dir, &st) == 0 && S_ISDIR(st.st_mode)))
        return true;
    lg_io_report(io, "E0610", dir, "the folder cannot be made: %s", strerror(errno));
    return false;
}

/* Hundreds of small files: not synced one by one as results are. */
bool lg_doc_write(const lg_io *io, const char *dir, const char *name, const lg_buf *b) {
    lg_buf path = {0};
    lg_buf_printf(&path, "%s/%s", dir, name);
    FILE *f = fopen(path.at, "wb");
    bool ok = f && fwrite(b->at ? b->at : "", 1, b->n, f) == b->n;
    ok = f && fclose(f) == 0 && ok;
    if (!ok)
        lg_io_report(io, "E0610", path.at, "cannot be written: %s", strerror(errno));
    lg_buf_free(&path);
    return ok;
}

static bool page(const lg_io *io, const lg_entries *e, const char *dir, const char *title) {
    lg_buf b = {0};
    whole(&b, e, title);
    bool ok = lg_doc_dir(io, dir) && lg_doc_write(io, dir, "index.html", &b);
    lg_buf_free(&b);
    return ok;
}

static bool of_library(lg_session *s, const char *dir) {
    lg_io io = {.ds = &s->ds};
    lg_entries e = {.arena = s->arena};
    lg_entries_library(&e);
    bool ok = page(&io, &e, dir, "The LossGraph library") && lg_man_entries(&io, &e, dir) &&
              lg_man_commands(&io, dir);
    lg_entries_fini(&e);
    return ok;
}

static bool of_file(lg_session *s, const char *path, const char *dir) {
    lg_module *m = lg_session_load(s, path);
    lg_io io = {.ds = &s->ds};
    lg_entries e = {.arena = s->arena};
    if (!m)
        return false;
    lg_entries_tree(&e, m->tree, m->tree->span.file, path);
    if (!e.list.n)
        lg_io_report(&io, "E0714", path, "nothing is declared here");
    bool ok = e.list.n && page(&io, &e, dir, path);
    lg_entries_fini(&e);
    return ok;
}

int lg_cmd_doc(int argc, char **argv) {
    settings o = {.out = "doc"};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, rows);
    int status = lg_read_options("doc", argc, argv, rows, N_ROWS, false, &w);
    if (!status && w.words.n > 1)
        status = lg_usage_fault("E0713", "`lg doc` wants one file", "lg doc [FILE] [-o DIR]");
    if (!status) {
        lg_session s;
        lg_session_init(&s);
        bool ok = w.words.n ? of_file(&s, w.words.at[0], o.out) : of_library(&s, o.out);
        status = ok ? LG_EXIT_OK : LG_EXIT_FAILED;
        lg_show(&s.ds);
        lg_session_fini(&s);
    }
    lg_words_fini(&w);
    return status;
}
