/* print.c: an expression back to source text on one line, for messages. Parentheses appear where
 * they stood or where they are needed. Not for the layout of files: format.c. */
#include "compiler/front/print.h"
#include <string.h>

static void kids(const lg_ast *t, uint32_t from, lg_buf *out) {
    for (uint32_t i = from; i < t->n; i++) {
        bool where = t->kid[i] && t->kid[i]->kind == LG_A_WHERE;
        if (i > from)
            lg_buf_printf(out, where ? " " : ", ");
        lg_print_node(t->kid[i], LG_P_NONE, out);
    }
}

static void kid(const lg_ast *t, uint32_t i, lg_buf *out) {
    lg_print_node(i < t->n ? t->kid[i] : NULL, LG_P_NONE, out);
}

/* ---- precedence ---- */

static const struct {
    const char *op;
    int level;
} levels[] = {{"from", 1}, {"|>", 2}, {"or", 3}, {"and", 4}, {"==", 6}, {"!=", 6}, {"<", 6},
              {"<=", 6},   {">", 6},  {">=", 6}, {"in", 6},  {"..", 7}, {"+", 8},  {"-", 8},
              {"*", 9},    {"/", 9},  {"//", 9}, {"%", 9},   {"@", 9},  {"^", 11}};
enum { NOT_LEVEL = 5, COMPARE_LEVEL = 6, MINUS_LEVEL = 10, POWER_LEVEL = 11 };

int lg_print_level(const lg_ast *t) {
    switch ((lg_ast_kind)t->kind) {
    case LG_A_BINARY:
        for (size_t i = 0; i < LG_COUNT(levels); i++)
            if (!strcmp(levels[i].op, t->name))
                return levels[i].level;
        return LG_P_POSTFIX;
    case LG_A_COMPARE:
        return COMPARE_LEVEL;
    case LG_A_UNARY:
        return t->name[0] == '-' ? MINUS_LEVEL : NOT_LEVEL;
    case LG_A_LAMBDA:
        return t->kid[2]->kind == LG_A_BLOCK ? LG_P_POSTFIX : LG_P_LOWEST;
    case LG_A_IF:
        return LG_P_LOWEST;
    default:
        return LG_P_POSTFIX;
    }
}

/* Powers and ranges are tight, products too unless they were written with spaces, sums only if
 * they were written so. */
bool lg_print_tight(const lg_ast *t) {
    int level = lg_print_level(t);
    bool product = level == MINUS_LEVEL - 1 && t->name[0] != '@', sum = level == MINUS_LEVEL - 2;
    if (!product && !sum)
        return t->name[0] == '^' || t->name[0] == '.';
    if (!t->name_span.file)
        return product;
    size_t n;
    const char *text = lg_source_text(t->name_span.file, &n);
    uint32_t at = t->name_span.beg;
    return at && at <= n && !strchr(" \t\r\n", text[at - 1]);
}

int lg_print_right(const lg_ast *t, int least) {
    bool prefix = lg_print_level(t) == LG_P_LOWEST || t->kind == LG_A_UNARY;
    return prefix ? LG_P_NONE : least;
}

static void binary(const lg_ast *t, lg_buf *out) {
    int level = lg_print_level(t);
    bool right = level == POWER_LEVEL, tight = lg_print_tight(t);
    lg_print_node(t->kid[0], right ? level + 1 : level, out);
    lg_buf_printf(out, tight ? "%s" : " %s ", t->name);
    lg_print_node(t->kid[1], lg_print_right(t->kid[1], right ? level : level + 1), out);
}

/* ---- strings ---- */

void lg_print_escaped(const char *s, lg_buf *out) {
    for (; *s; s++) {
        const char *as = *s == '\n'   ? "\\n"
                         : *s == '\t' ? "\\t"
                         : *s == '"'  ? "\\\""
                         : *s == '\\' ? "\\\\"
                         : *s == '{'  ? "{{"
                         : *s == '}'  ? "}}"
                                      : NULL;
        if (as)
            lg_buf_printf(out, "%s", as);
        else
            lg_buf_put(out, s, 1);
    }
}

static void insert_space(lg_buf *b, size_t at) {
    lg_buf_put(b, " ", 1);
    memmove(b->at + at + 1, b->at + at, b->n - 1 - at);
    b->at[at] = ' ';
}

static void string(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "\"");
    for (uint32_t i = 0; i < t->n; i++) {
        const lg_ast *k = t->kid[i];
        if (k->kind == LG_A_TEXT) {
            lg_print_escaped(k->text, out);
            continue;
        }
        lg_buf_printf(out, "{");
        size_t from = out->n;
        kid(k, 0, out);
        bool braces = out->n > from && out->at[from] == '{'; /* two in a row are a brace of text */
        if (braces)
            insert_space(out, from);
        lg_buf_printf(out, braces && !k->text ? " }" : k->text ? ":%s}" : "}", k->text);
    }
    lg_buf_printf(out, "\"");
}

/* ---- the other nodes ---- */

static void bracketed(const char *open, const lg_ast *t, uint32_t from, const char *close,
                      lg_buf *out) {
    lg_buf_printf(out, "%s", open);
    kids(t, from, out);
    lg_buf_printf(out, "%s", close);
}

static void field_value(const lg_ast *t, lg_buf *out) {
    const lg_ast *v = t->n ? t->kid[0] : NULL;
    bool same = v && v->kind == LG_A_NAME && !v->flags && v->name == t->name &&
                v->span.beg == t->name_span.beg;
    lg_buf_printf(out, "%s", t->name);
    if (!v || same)
        return;
    lg_buf_printf(out, ": ");
    lg_print_node(v, LG_P_NONE, out);
}

static void param(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "%s", t->name);
    static const char *const before[] = {": ", " in ", " = "};
    for (uint32_t i = 0; i < t->n && i < 3; i++)
        if (t->kid[i]) {
            bool untyped = i == 2 && !t->kid[0];
            lg_buf_printf(out, "%s", untyped ? " = " : before[i]);
            lg_print_node(t->kid[i], LG_P_NONE, out);
        }
}

static void lambda(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "fn ");
    kid(t, 0, out);
    if (t->kid[1]) {
        lg_buf_printf(out, " -> ");
        kid(t, 1, out);
    }
    lg_buf_printf(out, t->kid[2] && t->kid[2]->kind == LG_A_BLOCK ? " " : " = ");
    kid(t, 2, out);
}

static void loop(const lg_ast *t, uint32_t pattern, lg_buf *out) {
    lg_buf_printf(out, t->flags & LG_AF_STATIC ? "static for " : "for ");
    kid(t, pattern, out);
    lg_buf_printf(out, " in ");
    kid(t, pattern + 1, out);
}

static void scan(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "scan ");
    const lg_ast *carries = t->kid[0];
    for (uint32_t i = 0; i < carries->n; i++) {
        lg_buf_printf(out, "%s%s = ", i ? ", " : "(", carries->kid[i]->name);
        kid(carries->kid[i], 0, out);
    }
    lg_buf_printf(out, carries->n ? ") " : "");
    loop(t, 1, out);
    if (t->kid[3]) {
        lg_buf_printf(out, " while ");
        kid(t, 3, out);
    }
    lg_buf_printf(out, " ");
    kid(t, 4, out);
}

static void slice(const lg_ast *t, lg_buf *out) {
    if (t->kid[0])
        kid(t, 0, out);
    lg_buf_printf(out, ":");
    if (t->kid[1])
        kid(t, 1, out);
    if (t->kid[2]) {
        lg_buf_printf(out, ":");
        kid(t, 2, out);
    }
}

static void type(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "%s", t->name);
    if (t->n || t->flags & LG_AF_SQUARE)
        bracketed("[", t, 0, "]", out);
}

static void statements(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, t->n ? "{ " : "{");
    for (uint32_t i = 0; i < t->n; i++) {
        if (i)
            lg_buf_printf(out, "; ");
        kid(t, i, out);
    }
    lg_buf_printf(out, t->n ? " }" : "}");
}

static void word_and_kids(const char *word, const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "%s ", word);
    kids(t, 0, out);
}

static void effect(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "%s ", t->name);
    for (uint32_t i = 0; i < t->n; i++) {
        bool every = t->kid[i]->kind == LG_A_EVERY;
        lg_buf_printf(out, !i ? "" : every ? " " : ", ");
        kid(t, i, out);
    }
}

static void when(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "when ");
    kid(t, 0, out);
    lg_buf_printf(out, " ");
    kid(t, 1, out);
    if (t->kid[2]) {
        lg_buf_printf(out, " else ");
        kid(t, 2, out);
    }
}

void lg_print_result(const lg_ast *t, bool arrow, lg_buf *out) {
    static const struct {
        int kid;
        const char *before;
    } parts[] = {{LG_D_IN, " in "}, {LG_D_FOR, " for "}, {LG_D_EVERY, " "}};
    if (t->kid[LG_D_INDEX])
        bracketed("[", t->kid[LG_D_INDEX], 0, "]", out);
    if (t->kid[LG_D_TYPE]) {
        lg_buf_printf(out, arrow ? " -> " : ": ");
        kid(t, LG_D_TYPE, out);
    }
    for (size_t i = 0; i < LG_COUNT(parts); i++)
        if (t->kid[parts[i].kid]) {
            lg_buf_printf(out, "%s", parts[i].before);
            kid(t, (uint32_t)parts[i].kid, out);
        }
}

void lg_print_head(const lg_ast *t, lg_buf *out) {
    bool function = !strcmp(t->text, "fn");
    lg_buf_printf(out, "%s", t->text);
    if (t->kid[LG_D_TARGET] || t->name)
        lg_buf_printf(out, " ");
    kid(t, LG_D_TARGET, out);
    if (t->name)
        lg_buf_printf(out, "%s", t->name);
    kid(t, LG_D_PARAMS, out);
    lg_print_result(t, function || t->kid[LG_D_PARAMS], out);
}

static void with_rule(const lg_ast *t, lg_buf *out) {
    lg_buf_printf(out, "with %s", t->name);
    kid(t, 0, out);
    lg_buf_printf(out, t->kid[1]->kind == LG_A_BLOCK ? " " : " = ");
    kid(t, 1, out);
}

static void declaration(const lg_ast *t, lg_buf *out) {
    static const struct {
        int kid;
        const char *before;
    } parts[] = {{LG_D_VALUE, " = "}, {LG_D_FROM, " from "}, {LG_D_BLOCK, " "}};
    lg_print_head(t, out);
    for (size_t i = 0; i < LG_COUNT(parts); i++)
        if (t->kid[parts[i].kid]) {
            lg_buf_printf(out, "%s", parts[i].before);
            kid(t, (uint32_t)parts[i].kid, out);
        }
    const lg_ast *with = t->kid[LG_D_WITH];
    for (uint32_t i = 0; with && i < with->n; i++) {
        lg_buf_printf(out, " ");
        kid(with, i, out);
    }
    if (t->kid[LG_D_GUARD]) {
        lg_buf_printf(out, " when ");
        kid(t, LG_D_GUARD, out);
    }
}

static void import(const lg_ast *t, lg_buf *out) {
    if (t->flags & LG_AF_FILE) {
        lg_buf_printf(out, "import \"");
        lg_print_escaped(t->text, out);
        lg_buf_printf(out, "\"");
    } else {
        lg_buf_printf(out, "import %s", t->text);
    }
    if (t->name)
        lg_buf_printf(out, " as %s", t->name);
}

static void pair(const lg_ast *t, const char *before, const char *between, lg_buf *out) {
    lg_buf_printf(out, "%s", before);
    kid(t, 0, out);
    if (t->n > 1 && t->kid[1]) {
        lg_buf_printf(out, "%s", between);
        kid(t, 1, out);
    }
}

static void node(const lg_ast *t, lg_buf *out) {
    const char *prime = t->flags & LG_AF_PRIME ? "'" : "";
    switch ((lg_ast_kind)t->kind) {
    case LG_A_NUM:
        if (t->text)
            lg_buf_printf(out, "%s", t->text);
        else
            lg_buf_printf(out, "%.17g", t->num);
        return;
    case LG_A_STR:
        string(t, out);
        return;
    case LG_A_TEXT:
        lg_print_escaped(t->text, out);
        return;
    case LG_A_INTERP:
        pair(t, "{", "", out);
        lg_buf_printf(out, "}");
        return;
    case LG_A_BOOL:
        lg_buf_printf(out, t->num != 0.0 ? "true" : "false");
        return;
    case LG_A_NAME:
        lg_buf_printf(out, "%s%s", t->name, prime);
        return;
    case LG_A_HOLE:
        lg_buf_printf(out, "_");
        return;
    case LG_A_SELECTOR:
        lg_buf_printf(out, "`%s`", t->text);
        return;
    case LG_A_UNARY:
        lg_buf_printf(out, t->name[0] == '-' ? "-" : "not ");
        lg_print_node(t->kid[0], lg_print_right(t->kid[0], lg_print_level(t)), out);
        return;
    case LG_A_BINARY:
        binary(t, out);
        return;
    case LG_A_COMPARE:
        for (uint32_t i = 0; i < t->n; i++)
            if (i % 2)
                lg_buf_printf(out, " %s ", t->kid[i]->name);
            else
                lg_print_node(t->kid[i], COMPARE_LEVEL + 1, out);
        return;
    case LG_A_CALL:
        lg_print_node(t->kid[0], LG_P_POSTFIX, out);
        bracketed("(", t, 1, ")", out);
        return;
    case LG_A_NAMED:
        lg_buf_printf(out, "%s=", t->name);
        kid(t, 0, out);
        return;
    case LG_A_SPREAD:
        pair(t, "...", "", out);
        return;
    case LG_A_INDEX:
        lg_print_node(t->kid[0], LG_P_POSTFIX, out);
        bracketed("[", t, 1, "]", out);
        return;
    case LG_A_SLICE:
        slice(t, out);
        return;
    case LG_A_ELLIPSIS:
        lg_buf_printf(out, "...");
        return;
    case LG_A_WHERE:
        pair(t, "where ", "", out);
        return;
    case LG_A_FIELD:
        lg_print_node(t->kid[0], LG_P_POSTFIX, out);
        lg_buf_printf(out, ".%s%s", t->name, prime);
        return;
    case LG_A_FIELDSEL:
        lg_print_node(t->kid[0], LG_P_POSTFIX, out);
        lg_buf_printf(out, ".");
        kid(t, 1, out);
        return;
    case LG_A_IF:
        pair(t, "if ", " then ", out);
        lg_buf_printf(out, " else ");
        kid(t, 2, out);
        return;
    case LG_A_RECORD:
    case LG_A_RECPAT:
    case LG_A_RECTYPE:
        bracketed("{", t, 0, "}", out);
        return;
    case LG_A_FIELDV:
        field_value(t, out);
        return;
    case LG_A_LIST:
        bracketed("[", t, 0, "]", out);
        return;
    case LG_A_LAMBDA:
        lambda(t, out);
        return;
    case LG_A_SCAN:
        scan(t, out);
        return;
    case LG_A_BINDINGS:
        bracketed("(", t, 0, ")", out);
        return;
    case LG_A_RAND:
        pair(t, "rand ", "", out);
        return;
    case LG_A_RUN:
        pair(t, "run ", "", out);
        return;
    case LG_A_INDEXPAT:
        lg_buf_printf(out, "%s%s", t->name, prime);
        bracketed("[", t, 0, "]", out);
        return;
    case LG_A_TYPE:
        type(t, out);
        return;
    case LG_A_PACK:
        lg_buf_printf(out, "...%s", t->name);
        return;
    case LG_A_FNTYPE:
        lg_buf_printf(out, "fn(");
        for (uint32_t i = 0; i + 1 < t->n; i++) {
            lg_buf_printf(out, i ? ", " : "");
            kid(t, i, out);
        }
        lg_buf_printf(out, ") -> ");
        kid(t, t->n - 1, out);
        return;
    case LG_A_PARAMS:
        bracketed("(", t, 0, ")", out);
        return;
    case LG_A_PARAM:
        param(t, out);
        return;
    case LG_A_BLOCK:
        statements(t, out);
        return;
    case LG_A_LET:
        pair(t, "let ", " = ", out);
        return;
    case LG_A_ASSIGN:
        pair(t, "", " = ", out);
        return;
    case LG_A_RETURN:
        pair(t, "return ", "", out);
        return;
    case LG_A_YIELD:
        pair(t, "yield ", "", out);
        return;
    case LG_A_WHEN:
        when(t, out);
        return;
    case LG_A_FOR:
        loop(t, 0, out);
        lg_buf_printf(out, " ");
        kid(t, 2, out);
        return;
    case LG_A_EXPR:
        kid(t, 0, out);
        return;
    case LG_A_REQUIRE:
        pair(t, "require ", ", ", out);
        return;
    case LG_A_EFFECT:
        effect(t, out);
        return;
    case LG_A_EVERY:
        pair(t, "every ", "", out);
        lg_buf_printf(out, " %s", t->name);
        return;
    case LG_A_STOP:
        pair(t, "stop when ", "", out);
        return;
    case LG_A_FREEZE:
        word_and_kids("freeze", t, out);
        return;
    case LG_A_QUANTIZE:
        pair(t, "quantize ", " with ", out);
        return;
    case LG_A_SETTING:
        lg_buf_printf(out, "%s = ", t->name);
        kid(t, 0, out);
        return;
    case LG_A_IMPORT:
        import(t, out);
        return;
    case LG_A_DECL:
        declaration(t, out);
        return;
    case LG_A_WITH:
        with_rule(t, out);
        return;
    case LG_A_ERROR:
        lg_buf_printf(out, "<error>");
        return;
    case LG_A_N_KINDS:
        return;
    }
}

void lg_print_node(const lg_ast *t, int least, lg_buf *out) {
    if (!t)
        return;
    bool paren = t->flags & LG_AF_PAREN || lg_print_level(t) < least;
    if (paren)
        lg_buf_printf(out, "(");
    node(t, out);
    if (paren)
        lg_buf_printf(out, ")");
}

char *lg_ast_text(lg_arena *a, const lg_ast *t) {
    lg_buf b = {0};
    lg_print_node(t, LG_P_NONE, &b);
    char *text = lg_arena_str(a, b.at ? b.at : "");
    lg_buf_free(&b);
    return text;
}
