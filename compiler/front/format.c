/* format.c: a tree to tidy text, for `lg fmt`: canonical spaces and indentation; line breaks stay
 * where they were and are added where a line is too long; comments and single blank lines are
 * kept. A statement with comments between its tokens is only moved. Its own output is a fixed
 * point. */
#include "compiler/front/front.h"
#include "compiler/front/parse.h"
#include "compiler/front/print.h"
#include "parse.tab.h"
#include <string.h>

enum { WIDTH = 100, STEP = 2, FAR_RIGHT = 50 };

typedef struct {
    lg_buf *out;
    const char *text; /* the source; NULL when the tree has none */
    const lg_comment *comment;
    size_t n_comments, next; /* next: the first comment not printed yet */
} printer;

/* ---- text and places ---- */

static void put(printer *p, const char *s) {
    lg_buf_put(p->out, s, strlen(s));
}

static int column(const printer *p) {
    int n = 0;
    for (size_t i = p->out->n; i && p->out->at[i - 1] != '\n'; i--)
        n += ((unsigned char)p->out->at[i - 1] & 0xC0) != 0x80;
    return n;
}

/* Indentation of the line that is being printed. */
static int indent_now(const printer *p) {
    size_t beg = p->out->n, end;
    while (beg && p->out->at[beg - 1] != '\n')
        beg--;
    for (end = beg; end < p->out->n && p->out->at[end] == ' ';)
        end++;
    return (int)(end - beg);
}

static void new_line(printer *p, int indent) {
    while (p->out->n && p->out->at[p->out->n - 1] == ' ')
        p->out->at[--p->out->n] = 0;
    lg_buf_printf(p->out, "\n%*s", indent, "");
}

static int breaks_between(const printer *p, uint32_t beg, uint32_t end) {
    int n = 0;
    for (uint32_t i = beg; p->text && i < end; i++)
        n += p->text[i] == '\n';
    return n;
}

static bool broken(const printer *p, const lg_ast *t) {
    return t->span.file && breaks_between(p, t->span.beg, t->span.end) > 0;
}

/* Was there a line break between two neighbours? */
static bool apart(const printer *p, const lg_ast *a, const lg_ast *b) {
    return a->span.file && b->span.file && a->span.end <= b->span.beg &&
           breaks_between(p, a->span.end, b->span.beg) > 0;
}

static int width_of(const char *s) {
    int n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static int line_width(const lg_ast *t, int least) {
    lg_buf b = {0};
    lg_print_node(t, least, &b);
    int n = b.at ? width_of(b.at) : 0;
    lg_buf_free(&b);
    return n;
}

static bool holds_block(const lg_ast *t) {
    if (t->kind == LG_A_BLOCK)
        return true;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->kid[i] && holds_block(t->kid[i]))
            return true;
    return false;
}

static bool comment_in(const printer *p, uint32_t beg, uint32_t end) {
    for (size_t i = p->next; i < p->n_comments && p->comment[i].at.beg < end; i++)
        if (p->comment[i].at.beg >= beg)
            return true;
    return false;
}

/* ---- expressions ---- */

static void expression(printer *p, const lg_ast *t, int least, int indent);
static void block(printer *p, const lg_ast *t, int indent);

/* Items between brackets, on as many lines as they had or need: under the first one, or, when the
 * bracket stands far right or ends its line, one step in. */
static void items(printer *p, const char *open, const lg_ast *t, uint32_t from, const char *close,
                  int indent) {
    put(p, open);
    const lg_ast *first = t->n > from ? t->kid[from] : NULL;
    uint32_t opened = from ? t->kid[0]->span.end : t->span.beg;
    bool hangs = first && *close && first->span.file && t->span.file &&
                 breaks_between(p, opened, first->span.beg) > 0;
    indent = hangs ? indent_now(p) : indent;
    int inner = hangs || !*open || column(p) > FAR_RIGHT ? indent + STEP : column(p);
    for (uint32_t i = from; i < t->n; i++) {
        const lg_ast *k = t->kid[i];
        bool where = k->kind == LG_A_WHERE || k->kind == LG_A_EVERY;
        if (i > from && !where)
            put(p, ",");
        bool wide = column(p) + 2 + line_width(k, LG_P_NONE) > WIDTH && !holds_block(k);
        if (i == from ? hangs : apart(p, t->kid[i - 1], k) || wide)
            new_line(p, inner);
        else if (i > from)
            put(p, " ");
        expression(p, k, LG_P_NONE,
                   *close ? inner - STEP + STEP * (hangs || holds_block(k)) : indent + STEP);
    }
    if (hangs && t->n > from && breaks_between(p, t->kid[t->n - 1]->span.end, t->span.end) > 0)
        new_line(p, indent);
    put(p, close);
}

static void operators(printer *p, const lg_ast *t, int indent) {
    const lg_ast *a = t->kid[0], *b = t->kid[1];
    int level = lg_print_level(t);
    bool right = t->name[0] == '^', tight = lg_print_tight(t);
    expression(p, a, right ? level + 1 : level, indent);
    int more = column(p) + line_width(b, level + 1) + (int)strlen(t->name) + 2;
    if (apart(p, a, b) || (more > WIDTH && !tight && !holds_block(b))) {
        new_line(p, indent + STEP);
        lg_buf_printf(p->out, "%s ", t->name);
    } else {
        lg_buf_printf(p->out, tight ? "%s" : " %s ", t->name);
    }
    expression(p, b, lg_print_right(b, right ? level : level + 1), indent);
}

/* `then` and `else` on lines of their own stand under their `if`, a chain under its first one. */
static void choice(printer *p, const lg_ast *t, int under) {
    static const char *const word[] = {"if ", "then ", "else "};
    for (uint32_t i = 0; i < 3; i++) {
        const lg_ast *k = t->kid[i];
        bool chain = i == 2 && k->kind == LG_A_IF && !(k->flags & LG_AF_PAREN);
        int width = chain ? line_width(k->kid[0], LG_P_NONE) + 8 : line_width(k, LG_P_NONE);
        bool wide = i && column(p) + 6 + width > WIDTH;
        if (i && (apart(p, t->kid[i - 1], k) || wide))
            new_line(p, under);
        else if (i)
            put(p, " ");
        put(p, word[i]);
        if (chain)
            choice(p, k, under);
        else
            expression(p, k, LG_P_NONE, under + STEP);
    }
}

/* ` e`, on its own line when it was or must be. */
static void following(printer *p, const lg_ast *before, const lg_ast *e, int indent) {
    int width = line_width(e, LG_P_NONE);
    bool wide = column(p) + 1 + width > WIDTH && indent + STEP + width <= WIDTH && !broken(p, e) &&
                !holds_block(e);
    if ((before && apart(p, before, e)) || wide)
        new_line(p, indent + STEP);
    else
        put(p, " ");
    expression(p, e, LG_P_NONE, indent);
}

static void value(printer *p, const lg_ast *before, const lg_ast *e, int indent) {
    put(p, " =");
    following(p, before, e, indent);
}

static void function(printer *p, const lg_ast *t, int indent) {
    put(p, "fn ");
    items(p, "(", t->kid[0], 0, ")", indent);
    if (t->kid[1]) {
        put(p, " -> ");
        expression(p, t->kid[1], LG_P_NONE, indent);
    }
    if (t->kid[2]->kind == LG_A_BLOCK) {
        put(p, " ");
        block(p, t->kid[2], indent);
    } else {
        value(p, t->kid[1] ? t->kid[1] : t->kid[0], t->kid[2], indent);
    }
}

static void loop(printer *p, const lg_ast *t, uint32_t pattern, int indent) {
    put(p, t->flags & LG_AF_STATIC ? "static for " : "for ");
    expression(p, t->kid[pattern], LG_P_NONE, indent);
    put(p, " in ");
    expression(p, t->kid[pattern + 1], LG_P_NONE, indent);
}

static void scan(printer *p, const lg_ast *t, int indent) {
    put(p, "scan ");
    const lg_ast *carries = t->kid[0];
    for (uint32_t i = 0; i < carries->n; i++) {
        const lg_ast *k = carries->kid[i];
        put(p, i ? "," : "(");
        if (i && apart(p, carries->kid[i - 1], k))
            new_line(p, indent + 2 * STEP);
        else if (i)
            put(p, " ");
        lg_buf_printf(p->out, "%s = ", k->name);
        expression(p, k->kid[0], LG_P_NONE, indent + 2 * STEP);
    }
    put(p, carries->n ? ") " : "");
    loop(p, t, 1, indent);
    if (t->kid[3]) {
        put(p, " while ");
        expression(p, t->kid[3], LG_P_NONE, indent);
    }
    put(p, " ");
    block(p, t->kid[4], indent);
}

/* A node that does not go on one line. */
static void spread(printer *p, const lg_ast *t, int indent) {
    switch ((lg_ast_kind)t->kind) {
    case LG_A_BINARY:
        operators(p, t, indent);
        return;
    case LG_A_IF:
        choice(p, t, column(p) > FAR_RIGHT ? indent + STEP : column(p));
        return;
    case LG_A_CALL:
    case LG_A_INDEX:
        expression(p, t->kid[0], LG_P_POSTFIX, indent);
        items(p, t->kind == LG_A_CALL ? "(" : "[", t, 1, t->kind == LG_A_CALL ? ")" : "]", indent);
        return;
    case LG_A_LIST:
        items(p, "[", t, 0, "]", indent);
        return;
    case LG_A_RECORD:
    case LG_A_RECTYPE:
    case LG_A_RECPAT:
        items(p, "{", t, 0, "}", indent);
        return;
    case LG_A_PARAMS:
        items(p, "(", t, 0, ")", indent);
        return;
    case LG_A_TYPE:
    case LG_A_INDEXPAT:
        lg_buf_printf(p->out, "%s%s", t->name, t->flags & LG_AF_PRIME ? "'" : "");
        items(p, "[", t, 0, "]", indent);
        return;
    case LG_A_LAMBDA:
        function(p, t, indent);
        return;
    case LG_A_SCAN:
        scan(p, t, indent);
        return;
    case LG_A_FOR:
        loop(p, t, 0, indent);
        put(p, " ");
        block(p, t->kid[2], indent);
        return;
    case LG_A_NAMED:
        lg_buf_printf(p->out, "%s=", t->name);
        expression(p, t->kid[0], LG_P_NONE, indent);
        return;
    case LG_A_FIELDV:
        lg_buf_printf(p->out, "%s: ", t->name);
        expression(p, t->kid[0], LG_P_NONE, indent);
        return;
    case LG_A_WHERE:
        put(p, "where ");
        expression(p, t->kid[0], LG_P_NONE, indent);
        return;
    case LG_A_UNARY:
        put(p, t->name[0] == '-' ? "-" : "not ");
        expression(p, t->kid[0], lg_print_right(t->kid[0], lg_print_level(t)), indent);
        return;
    case LG_A_FIELD:
        expression(p, t->kid[0], LG_P_POSTFIX, indent);
        lg_buf_printf(p->out, ".%s%s", t->name, t->flags & LG_AF_PRIME ? "'" : "");
        return;
    case LG_A_RAND:
    case LG_A_RUN:
        put(p, t->kind == LG_A_RAND ? "rand " : "run ");
        expression(p, t->kid[0], LG_P_NONE, indent);
        return;
    case LG_A_BLOCK:
        block(p, t, indent);
        return;
    default:
        lg_print_node(t, LG_P_NONE, p->out);
        return;
    }
}

static void expression(printer *p, const lg_ast *t, int least, int indent) {
    bool one_line = !broken(p, t) && !holds_block(t) && column(p) + line_width(t, least) <= WIDTH;
    if (one_line || t->kind == LG_A_STR) {
        lg_print_node(t, least, p->out);
        return;
    }
    bool paren = t->flags & LG_AF_PAREN || lg_print_level(t) < least;
    if (!paren) {
        spread(p, t, indent);
        return;
    }
    lg_ast inner = *t;
    inner.flags &= (uint16_t)~LG_AF_PAREN;
    put(p, "(");
    spread(p, &inner, indent);
    put(p, ")");
}

/* ---- statements ---- */

static void head(printer *p, const lg_ast *t, int indent) {
    const lg_ast *params = t->kid[LG_D_PARAMS], *type = t->kid[LG_D_TYPE];
    lg_buf b = {0};
    lg_print_head(t, &b);
    bool wide = column(p) + width_of(b.at) + 2 > WIDTH;
    if (t->span.file && t->span.beg == t->name_span.beg && t->name) { /* a further dim of a list */
        put(p, t->name);
        lg_buf_free(&b);
        return;
    }
    if (!params || (!wide && !broken(p, params) && !(type && apart(p, params, type)))) {
        put(p, b.at);
        lg_buf_free(&b);
        return;
    }
    lg_buf_free(&b);
    lg_ast *kid[LG_D_N], rest = *t;
    memcpy(kid, t->kid, sizeof kid);
    rest.kid = kid;
    lg_buf_printf(p->out, "%s %s", t->text, t->name);
    items(p, "(", params, 0, ")", indent + STEP);
    if (type && !t->kid[LG_D_INDEX] && apart(p, params, type)) {
        new_line(p, indent + 2 * STEP);
        put(p, "-> ");
        expression(p, type, LG_P_NONE, indent + 2 * STEP);
        kid[LG_D_TYPE] = NULL;
    }
    lg_print_result(&rest, true, p->out);
}

static const lg_ast *last_of_head(const lg_ast *t) {
    static const int order[] = {LG_D_EVERY, LG_D_FOR, LG_D_IN, LG_D_TYPE, LG_D_INDEX, LG_D_PARAMS};
    for (size_t i = 0; i < LG_COUNT(order); i++)
        if (t->kid[order[i]])
            return t->kid[order[i]];
    return NULL;
}

static void declaration(printer *p, const lg_ast *t, int indent) {
    lg_ast name = {.span = t->name_span};
    const lg_ast *last = last_of_head(t), *with = t->kid[LG_D_WITH];
    head(p, t, indent);
    if (!last)
        last = &name;
    if (t->kid[LG_D_VALUE]) {
        value(p, last, t->kid[LG_D_VALUE], indent);
        last = t->kid[LG_D_VALUE];
    }
    if (t->kid[LG_D_FROM]) {
        put(p, " from");
        following(p, last, t->kid[LG_D_FROM], indent);
        last = t->kid[LG_D_FROM];
    }
    if (t->kid[LG_D_BLOCK]) {
        put(p, " ");
        block(p, last = t->kid[LG_D_BLOCK], indent);
    }
    for (uint32_t i = 0; with && i < with->n; i++) {
        const lg_ast *w = with->kid[i];
        bool goes_on = broken(p, w) && p->out->at[p->out->n - 1] == '}';
        if (apart(p, last, w) || (!goes_on && column(p) + 1 + line_width(w, LG_P_NONE) > WIDTH))
            new_line(p, indent + STEP);
        else
            put(p, " ");
        lg_buf_printf(p->out, "with %s", w->name);
        expression(p, w->kid[0], LG_P_NONE, indent);
        int under = goes_on ? indent : indent + STEP;
        if (w->kid[1]->kind == LG_A_BLOCK) {
            put(p, " ");
            block(p, w->kid[1], under);
        } else {
            value(p, w->kid[0], w->kid[1], under);
        }
        last = w;
    }
    if (t->kid[LG_D_GUARD]) {
        put(p, " when ");
        expression(p, t->kid[LG_D_GUARD], LG_P_NONE, indent);
    }
}

static void when(printer *p, const lg_ast *t, int indent) {
    const lg_ast *body = t->kid[1];
    bool guarded = body->n == 1 && body->kid[0]->kind == LG_A_FREEZE &&
                   body->span.beg == body->kid[0]->span.beg; /* freeze x when c */
    if (guarded)
        lg_print_node(body->kid[0], LG_P_NONE, p->out);
    put(p, guarded ? " when " : "when ");
    expression(p, t->kid[0], LG_P_NONE, indent);
    if (guarded)
        return;
    put(p, " ");
    block(p, body, indent);
    if (!t->kid[2])
        return;
    put(p, " else ");
    if (t->kid[2]->kind == LG_A_WHEN)
        when(p, t->kid[2], indent);
    else
        block(p, t->kid[2], indent);
}

static void word_and_value(printer *p, const char *word, const lg_ast *e, int indent) {
    put(p, word);
    expression(p, e, LG_P_NONE, indent);
}

static void tidy(printer *p, const lg_ast *t, int indent) {
    switch ((lg_ast_kind)t->kind) {
    case LG_A_DECL:
        declaration(p, t, indent);
        return;
    case LG_A_LET:
        put(p, "let ");
        expression(p, t->kid[0], LG_P_NONE, indent);
        value(p, t->kid[0], t->kid[1], indent);
        return;
    case LG_A_ASSIGN:
        expression(p, t->kid[0], LG_P_NONE, indent);
        value(p, t->kid[0], t->kid[1], indent);
        return;
    case LG_A_SETTING:
        put(p, t->name);
        value(p, NULL, t->kid[0], indent);
        return;
    case LG_A_RETURN:
        word_and_value(p, "return ", t->kid[0], indent);
        return;
    case LG_A_YIELD:
        word_and_value(p, "yield ", t->kid[0], indent);
        return;
    case LG_A_STOP:
        word_and_value(p, "stop when ", t->kid[0], indent);
        return;
    case LG_A_EXPR:
        expression(p, t->kid[0], LG_P_NONE, indent);
        return;
    case LG_A_WHEN:
        when(p, t, indent);
        return;
    case LG_A_EFFECT:
        lg_buf_printf(p->out, "%s ", t->name);
        items(p, "", t, 0, "", indent);
        return;
    case LG_A_REQUIRE: {
        lg_ast args = *t;
        args.n = t->kid[1] ? 2 : 1;
        put(p, "require ");
        items(p, "", &args, 0, "", indent);
        return;
    }
    default:
        expression(p, t, LG_P_NONE, indent);
        return;
    }
}

/* Is a comment between the tokens of the statement, outside of its blocks? */
static bool comment_between(const printer *p, const lg_ast *t) {
    for (size_t i = p->next; i < p->n_comments && p->comment[i].at.beg < t->span.end; i++) {
        uint32_t at = p->comment[i].at.beg;
        const lg_ast *in = t;
        while (in && in->kind != LG_A_BLOCK) {
            const lg_ast *deeper = NULL;
            for (uint32_t k = 0; k < in->n && !deeper; k++)
                if (in->kid[k] && in->kid[k]->span.beg <= at && at < in->kid[k]->span.end)
                    deeper = in->kid[k];
            in = deeper;
        }
        if (at >= t->span.beg && !in)
            return true;
    }
    return false;
}

/* Column at which the line of an offset begins, in spaces. */
static int line_indent(const printer *p, uint32_t at) {
    uint32_t beg = at, end;
    while (beg && p->text[beg - 1] != '\n')
        beg--;
    for (end = beg; end < at && p->text[end] == ' ';)
        end++;
    return (int)(end - beg);
}

/* The statement as it stands, its lines moved to the new indentation. */
static void verbatim(printer *p, const lg_ast *t, int indent) {
    int move = indent - line_indent(p, t->span.beg);
    for (uint32_t i = t->span.beg; i < t->span.end; i++) {
        lg_buf_put(p->out, &p->text[i], 1);
        if (p->text[i] != '\n')
            continue;
        int have = 0;
        while (i + 1 < t->span.end && p->text[i + 1] == ' ') {
            have++;
            i++;
        }
        if (p->text[i + 1] != '\n')
            lg_buf_printf(p->out, "%*s", have + move > 0 ? have + move : 0, "");
    }
    while (p->next < p->n_comments && p->comment[p->next].at.beg < t->span.end)
        p->next++;
}

static void statement(printer *p, const lg_ast *t, int indent) {
    if (p->text && t->span.file && (t->kind == LG_A_ERROR || comment_between(p, t)))
        verbatim(p, t, indent);
    else
        tidy(p, t, indent);
}

/* ---- comments, blank lines, blocks ---- */

static void comment_text(printer *p, const lg_comment *c) {
    uint32_t end = c->at.end;
    while (end > c->at.beg && strchr(" \t\r", p->text[end - 1]))
        end--;
    lg_buf_put(p->out, p->text + c->at.beg, end - c->at.beg);
}

static int source_column(const printer *p, uint32_t at) {
    int n = 0;
    for (; at && p->text[at - 1] != '\n'; at--)
        n += ((unsigned char)p->text[at - 1] & 0xC0) != 0x80;
    return n;
}

/* Begins a line, after an empty one if there was any. `from`: end of what stands before. */
static void begin_line(printer *p, uint32_t from, uint32_t to, int indent, bool first) {
    bool empty = !first && breaks_between(p, from, to) > 1;
    if (empty)
        new_line(p, 0);
    if (!first || indent || p->out->n)
        new_line(p, indent);
}

/* Comments before the offset `to`; `*from` moves behind them. */
static void comments(printer *p, uint32_t *from, uint32_t to, int indent, bool *first) {
    for (; p->next < p->n_comments && p->comment[p->next].at.beg < to; p->next++) {
        const lg_comment *c = &p->comment[p->next];
        if (c->trailing && p->out->n) {
            int pad = source_column(p, c->at.beg) - column(p);
            bool column_kept = pad > 2 && source_column(p, c->at.beg) < WIDTH;
            lg_buf_printf(p->out, "%*s", column_kept ? pad : 2, "");
        } else {
            begin_line(p, *from, c->at.beg, indent, *first);
            *first = false;
        }
        comment_text(p, c);
        *from = c->at.end;
    }
}

/* Does `b` go on with the list of `dim A = 1, B = 2` that `a` is in? */
static bool more_dims(const lg_ast *a, const lg_ast *b) {
    return a->kind == LG_A_DECL && b->kind == LG_A_DECL && !strcmp(b->text, "dim") &&
           b->span.file && b->span.beg == b->name_span.beg;
}

static void statements(printer *p, const lg_ast *t, uint32_t from, uint32_t to, int indent) {
    bool first = true, split = t->kind == LG_A_BLOCK && indent && !broken(p, t);
    for (uint32_t i = 0; i < t->n; i++) {
        const lg_ast *s = t->kid[i];
        comments(p, &from, s->span.beg, indent, &first);
        bool same_line = i && !split && s->span.file && !apart(p, t->kid[i - 1], s) &&
                         from <= s->span.beg && !breaks_between(p, from, s->span.beg) &&
                         !broken(p, s) && p->text &&
                         column(p) + 2 + line_width(s, LG_P_NONE) <= WIDTH;
        if (i && more_dims(t->kid[i - 1], s)) {
            put(p, same_line ? ", " : ",");
            if (!same_line)
                new_line(p, indent + 2 * STEP);
        } else if (same_line)
            put(p, "; ");
        else
            begin_line(p, from, s->span.beg, indent, first);
        first = false;
        statement(p, s, indent);
        from = s->span.end;
    }
    comments(p, &from, to, indent, &first);
}

static void block(printer *p, const lg_ast *t, int indent) {
    bool short_form = t->span.file ? !broken(p, t) && !comment_in(p, t->span.beg, t->span.end)
                                   : t->n < 2 && !(t->n && holds_block(t->kid[0]));
    if (!t->n && !comment_in(p, t->span.beg, t->span.end)) {
        put(p, "{}");
        return;
    }
    if (short_form && column(p) + line_width(t, LG_P_NONE) <= WIDTH) {
        lg_print_node(t, LG_P_NONE, p->out);
        return;
    }
    put(p, "{");
    statements(p, t, t->span.beg + 1, t->span.end ? t->span.end - 1 : 0, indent + STEP);
    new_line(p, indent);
    put(p, "}");
}

/* Comments of a file: those between what the scanner takes for tokens. */
static void read_comments(uint32_t file, const char *text, size_t n, lg_scanner *sc) {
    lg_scanner_init(sc, file, text, 0, (uint32_t)n, NULL);
    while (lg_scanner_next(sc).type != T_END)
        continue;
}

void lg_print_tree(const lg_ast *t, lg_buf *out) {
    size_t n = 0;
    printer p = {.out = out};
    lg_scanner sc;
    if (t->span.file) {
        p.text = lg_source_text(t->span.file, &n);
        read_comments(t->span.file, p.text, n, &sc);
        p.comment = sc.s.comments.at;
        p.n_comments = sc.s.comments.n;
    }
    statements(&p, t, 0, (uint32_t)n, 0);
    if (out->n)
        put(&p, "\n");
    if (t->span.file)
        lg_scanner_fini(&sc);
}
