/* parser.c: drives the push parser: feeds it tokens of the filter, and after a fault skips to the
 * end of the statement, so that one run reports several. The interface of parse.h. */
#include "compiler/front/front.h"
#include "compiler/front/parse.h"
#include "parse.tab.h"
#include <string.h>

enum { INTERPOLATIONS_MOST = 8, SOURCE_MOST = 1 << 28 };

/* ---- feeding ---- */

static int push(lg_parser *p, lg_gram_pstate *ps, lg_token t) {
    LG_GRAM_STYPE value = {.s = t.sym};
    lg_span at = t.at;
    p->now = t;
    p->fault = false;
    int status = lg_gram_push_parse(ps, t.type, &value, &at, p);
    p->last = t;
    return status;
}

/* The next token after a fault at `t`: the end of the statement that holds it. */
static lg_token skip(lg_parser *p, lg_token t) {
    lg_filter *f = &p->filter;
    size_t base = lg_filter_blocks(f);
    if (t.type == T_BLOCK && base)
        for (base--; base && f->open.at[base - 1].type != T_BLOCK;)
            base--;
    f->skipping = true;
    bool over = false;
    while (!over) {
        t = lg_filter_next(f);
        over = t.type == T_END || (t.type == T_SEMI && f->open.n == base) ||
               (t.type == T_BLOCK_END && f->open.n < base);
    }
    f->skipping = false;
    return t;
}

/* A fault at a word that begins a statement on a line of its own lies in the statement before. */
static bool next_statement(const lg_parser *p, const lg_token *t) {
    bool word = t->type == T_LET || t->type == T_RETURN || t->type == T_YIELD;
    return word && t->line_before && p->filter.open.n == lg_filter_blocks(&p->filter);
}

/* Parses a part of the file; the tree is in p->result. */
static bool run(lg_parser *p, int start, uint32_t beg, uint32_t end) {
    lg_filter_init(&p->filter, p->file, p->text, beg, end, p->ds);
    lg_gram_pstate *ps = lg_gram_pstate_new();
    lg_token t = {.type = start, .at = {p->file, beg, beg}, .sym = ""};
    int status = push(p, ps, t);
    while (status == YYPUSH_MORE) {
        t = lg_filter_next(&p->filter);
        status = push(p, ps, t);
        bool lost = p->fault && t.type != T_SEMI && t.type != T_BLOCK_END && t.type != T_END;
        if (status == YYPUSH_MORE && lost && next_statement(p, &t)) {
            status = push(p, ps, (lg_token){.type = T_SEMI, .at = t.at, .sym = ";"});
            if (status == YYPUSH_MORE)
                status = push(p, ps, t);
        } else if (status == YYPUSH_MORE && lost) {
            status = push(p, ps, skip(p, t));
        }
    }
    lg_gram_pstate_delete(ps);
    return status == 0;
}

/* ---- text that can be read at all ---- */

static uint32_t code_point_length(const unsigned char *s, size_t n) {
    static const unsigned char least[] = {0, 0, 0xC2, 0xE0, 0xF0};
    uint32_t len = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (!s[0] || len > n || (len > 1 && s[0] < least[len]) || s[0] > 0xF4)
        return 0;
    for (uint32_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    bool outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return overlong || outside ? 0 : len;
}

static bool readable(lg_parser *p, size_t n) {
    if (n > SOURCE_MOST) {
        lg_diag_add(p->ds, "E0007", (lg_span){p->file, 0, 0},
                    "this text is too long for a program");
        return false;
    }
    for (size_t i = 0; i < n;) {
        uint32_t len = code_point_length((const unsigned char *)p->text + i, n - i);
        if (!len) {
            lg_span at = {p->file, (uint32_t)i, (uint32_t)i + 1};
            lg_diag_add(p->ds, "E0007", at,
                        p->text[i] ? "this byte is not UTF-8 text"
                                   : "a NUL character stands in the text");
            return false;
        }
        i += len;
    }
    return true;
}

static uint32_t beginning(const char *text, size_t n) {
    return n >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0; /* byte order mark */
}

/* ---- the interface ---- */

/* A bracket that is never closed is noticed late: before what the grammar found behind it. (A brace
 * may be missing anywhere, and what the scanner found comes first.) */
static void brackets_first(const lg_parser *p, lg_diags *ds, size_t from) {
    for (size_t i = from + 1; i < ds->list.n; i++) {
        lg_diag *d = ds->list.at[i];
        if (strcmp(d->code, "E0102") != 0 || p->text[d->at.beg] == '{')
            continue;
        size_t k = i;
        for (; k > from && ds->list.at[k - 1]->at.beg > d->at.beg &&
               !strncmp(ds->list.at[k - 1]->code, "E01", 3);
             k--)
            ds->list.at[k] = ds->list.at[k - 1];
        ds->list.at[k] = d;
    }
}

lg_ast *lg_parse(lg_arena *a, uint32_t file, lg_diags *ds) {
    size_t n, said = ds->list.n;
    lg_parser p = {.arena = a, .file = file, .text = lg_source_text(file, &n), .ds = ds};
    lg_span whole = {file, 0, (uint32_t)n};
    if (!readable(&p, n)) {
        lg_ast *file_tree = lg_ast_new(a, LG_A_BLOCK, (lg_span){file, 0, 0}, 0);
        return lg_ast_add(a, file_tree, lg_ast_new(a, LG_A_ERROR, (lg_span){file, 0, 0}, 0));
    }
    run(&p, T_START_FILE, beginning(p.text, n), (uint32_t)n);
    if (!p.result)
        p.result =
            lg_ast_add(a, lg_ast_new(a, LG_A_BLOCK, whole, 0), lg_ast_new(a, LG_A_ERROR, whole, 0));
    p.result->span = whole;
    lg_finish_tree(&p, p.result);
    lg_filter_fini(&p.filter);
    brackets_first(&p, ds, said);
    return p.result;
}

lg_ast *lg_parse_expr(lg_arena *a, uint32_t file, lg_diags *ds) {
    size_t n;
    lg_parser p = {.arena = a, .file = file, .text = lg_source_text(file, &n), .ds = ds};
    if (!readable(&p, n))
        return NULL;
    size_t errors = ds->errors;
    bool ok = run(&p, T_START_EXPR, beginning(p.text, n), (uint32_t)n);
    if (p.result)
        lg_finish_tree(&p, p.result);
    lg_filter_fini(&p.filter);
    return ok && ds->errors == errors ? p.result : NULL;
}

lg_ast *lg_parse_part(lg_parser *outer, uint32_t beg, uint32_t end) {
    lg_parser p = {.arena = outer->arena,
                   .file = outer->file,
                   .text = outer->text,
                   .ds = outer->ds,
                   .nesting = outer->nesting + 1};
    if (p.nesting > INTERPOLATIONS_MOST) {
        lg_diag_add(p.ds, "E0106", (lg_span){p.file, beg, end}, "strings are nested too deeply");
        return NULL;
    }
    bool ok = run(&p, T_START_EXPR, beg, end);
    lg_filter_fini(&p.filter);
    return ok ? p.result : NULL;
}

bool lg_parse_incomplete(const char *text, size_t n) {
    lg_scanner sc;
    lg_scanner_init(&sc, 0, text, 0, (uint32_t)n, NULL);
    size_t depth = 0;
    bool waits = false; /* for what follows its last token */
    for (lg_token t = lg_scanner_next(&sc); t.type != T_END; t = lg_scanner_next(&sc)) {
        bool word = t.type == T_NAME && lg_is_reserved(t.sym) && strcmp(t.sym, "true") != 0 &&
                    strcmp(t.sym, "false") != 0;
        waits = word || (t.type != T_SEMI && !lg_ends_operand(t.type));
        if (t.type == T_PAREN || t.type == T_SQUARE || t.type == T_BLOCK)
            depth++;
        else if (depth &&
                 (t.type == T_PAREN_END || t.type == T_SQUARE_END || t.type == T_BLOCK_END))
            depth--;
    }
    bool open = depth || sc.s.in_string || waits;
    lg_scanner_fini(&sc);
    return open;
}

bool lg_parse_continues(const char *text, size_t n) {
    lg_scanner sc;
    lg_scanner_init(&sc, 0, text, 0, (uint32_t)n, NULL);
    lg_token t = lg_scanner_next(&sc);
    bool on = t.type != T_END && t.type != T_MINUS && lg_continues(&t);
    lg_scanner_fini(&sc);
    return on;
}

void lg_tokens_dump(uint32_t file, FILE *out) {
    size_t n;
    const char *text = lg_source_text(file, &n);
    if (n > SOURCE_MOST)
        return;
    lg_filter f;
    lg_filter_init(&f, file, text, beginning(text, n), (uint32_t)n, NULL);
    for (lg_token t = lg_filter_next(&f);; t = lg_filter_next(&f)) {
        uint32_t line, col;
        lg_source_where(file, t.at.beg, &line, &col);
        const char *name = lg_token_name(t.type);
        fprintf(out, "%u:%u\t%s", line, col, name);
        if (name[0] != '`' && t.at.end > t.at.beg)
            fprintf(out, " %.*s", (int)(t.at.end - t.at.beg), text + t.at.beg);
        fputc('\n', out);
        if (t.type == T_END)
            break;
    }
    lg_filter_fini(&f);
}
