/* fmt.c: `lg fmt`: lays files out tidily, or tells which are not. */
#include "compiler/driver/command.h"
#include "compiler/front/parse.h"
#include "runtime/io.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    LG_VEC(const char *) line;
    LG_VEC(size_t) length;
} lines;

static lines lines_of(const char *text, size_t n) {
    lines l = {0};
    for (size_t i = 0; i < n;) {
        const char *end = memchr(text + i, '\n', n - i);
        size_t len = end ? (size_t)(end - text) - i : n - i;
        LG_PUSH(l.line, text + i);
        LG_PUSH(l.length, len);
        i += len + 1;
    }
    return l;
}

static bool same(const lines *a, size_t i, const lines *b, size_t k) {
    return a->length.at[i] == b->length.at[k] &&
           !memcmp(a->line.at[i], b->line.at[k], a->length.at[i]);
}

/* Line by line: runs of equal lines are found again within a window. */
static void print_diff(const char *path, const lines *a, const lines *b) {
    enum { WINDOW = 200 };
    printf("--- %s\n+++ %s, tidy\n", path, path);
    size_t i = 0, k = 0;
    while (i < a->line.n || k < b->line.n) {
        size_t di = 0, dk = 0, best = SIZE_MAX;
        for (size_t x = 0; x <= WINDOW && i + x <= a->line.n; x++)
            for (size_t y = 0; y <= WINDOW && k + y <= b->line.n && x + y < best; y++) {
                bool ends = i + x == a->line.n && k + y == b->line.n;
                bool meet = i + x < a->line.n && k + y < b->line.n && same(a, i + x, b, k + y);
                if (ends || meet) {
                    best = x + y;
                    di = x;
                    dk = y;
                }
            }
        if (best == SIZE_MAX) {
            di = a->line.n - i;
            dk = b->line.n - k;
        }
        if (di + dk)
            printf("@@ line %zu @@\n", i + 1);
        for (; di; di--, i++)
            printf("-%.*s\n", (int)a->length.at[i], a->line.at[i]);
        for (; dk; dk--, k++)
            printf("+%.*s\n", (int)b->length.at[k], b->line.at[k]);
        while (i < a->line.n && k < b->line.n && same(a, i, b, k))
            i++, k++;
    }
}

static void diff(const char *path, const char *old, size_t n_old, const lg_buf *tidy) {
    lines a = lines_of(old, n_old), b = lines_of(tidy->at ? tidy->at : "", tidy->n);
    print_diff(path, &a, &b);
    lg_free(a.line.at);
    lg_free(a.length.at);
    lg_free(b.line.at);
    lg_free(b.length.at);
}

static int format_file(const char *path, bool check, bool show) {
    lg_session s;
    lg_session_init(&s);
    int status = LG_EXIT_FAILED;
    uint32_t file = lg_session_source(&s, path, (lg_span){0});
    lg_ast *tree = file ? lg_parse(s.arena, file, &s.ds) : NULL;
    if (tree && !s.ds.errors) {
        size_t n;
        const char *text = lg_source_text(file, &n);
        lg_buf tidy = {0};
        lg_print_tree(tree, &tidy);
        bool differs = tidy.n != n || (n && memcmp(tidy.at, text, n) != 0);
        status = differs && (check || show) ? LG_EXIT_FAILED : LG_EXIT_OK;
        lg_io io = {.ds = &s.ds};
        if (differs && show)
            diff(path, text, n, &tidy);
        else if (differs && check)
            printf("%s\n", path);
        else if (!strcmp(path, "-"))
            fwrite(tidy.at ? tidy.at : "", 1, tidy.n, stdout);
        else if (differs && lg_file_write(&io, path, tidy.at ? tidy.at : "", tidy.n) != LG_OK)
            status = LG_EXIT_FAILED;
        lg_buf_free(&tidy);
    }
    lg_show(&s.ds);
    lg_session_fini(&s);
    return status;
}

typedef struct {
    bool check, show;
} settings;

enum { N_ROWS = 2 };

static void rows_of(settings *o, lg_option_row out[N_ROWS]) {
    const lg_option_row rows[N_ROWS] = {
        {"check", NULL, "only name the files that are not tidy; the exit status is 1 then",
         &o->check, NULL},
        {"diff", NULL, "only show what would change; the exit status is 1 then", &o->show, NULL},
    };
    memcpy(out, rows, sizeof rows);
}

size_t lg_rows_fmt(lg_option_row *out) {
    static settings none;
    rows_of(&none, out);
    return N_ROWS;
}

int lg_cmd_fmt(int argc, char **argv) {
    settings o = {0};
    lg_option_row rows[N_ROWS];
    lg_words w = {0};
    rows_of(&o, rows);
    int status = lg_read_options("fmt", argc, argv, rows, N_ROWS, false, &w);
    if (!status && !w.words.n)
        status = lg_usage_fault("E0713", "`lg fmt` wants a file", "lg fmt FILE ...");
    for (size_t i = 0; i < w.words.n && status != LG_EXIT_USAGE; i++) {
        int one = format_file(w.words.at[i], o.check, o.show);
        status = one ? one : status;
    }
    lg_words_fini(&w);
    return status;
}
