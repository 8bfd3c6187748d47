/* build.c: nodes for the actions of the grammar: numbers, strings with their interpolations,
 * selectors, declarations, and the statements that are told apart by what they hold. */
#include "compiler/front/front.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static lg_diag *fault(lg_parser *p, const char *code, lg_span at, const char *text) {
    return lg_diag_add(p->ds, code, at, "%s", text);
}

/* ---- plain nodes ---- */

lg_ast *lg_build_node(lg_parser *p, lg_ast_kind k, lg_span at, uint32_t n, ...) {
    lg_ast *t = lg_ast_new(p->arena, k, at, n);
    va_list ap;
    va_start(ap, n);
    for (uint32_t i = 0; i < n; i++)
        t->kid[i] = va_arg(ap, lg_ast *);
    va_end(ap);
    return t;
}

lg_ast *lg_build_named(lg_parser *p, lg_ast_kind k, lg_span at, lg_sym name, lg_span name_at,
                       lg_ast *kid) {
    lg_ast *t = lg_ast_new(p->arena, k, at, kid ? 1 : 0);
    t->name = name;
    t->name_span = name_at;
    if (kid)
        t->kid[0] = kid;
    return t;
}

lg_ast *lg_build_name(lg_parser *p, lg_sym s, lg_span at, unsigned flags) {
    lg_ast *t = lg_build_named(p, LG_A_NAME, at, s, at, NULL);
    t->flags = (uint16_t)flags;
    return t;
}

lg_ast *lg_build_bool(lg_parser *p, bool v, lg_span at) {
    lg_ast *t = lg_ast_new(p->arena, LG_A_BOOL, at, 0);
    t->num = v;
    return t;
}

lg_ast *lg_build_prefixed(lg_parser *p, lg_ast *head, lg_ast *list) {
    lg_ast *t = lg_ast_new(p->arena, LG_A_LIST, head->span, list->n + 1);
    t->kid[0] = head;
    for (uint32_t i = 0; i < list->n; i++)
        t->kid[i + 1] = list->kid[i];
    return t;
}

lg_ast *lg_build_retag(lg_ast *t, lg_ast_kind k, lg_span at) {
    t->kind = (uint16_t)k;
    t->span = at;
    return t;
}

lg_ast *lg_build_append(lg_parser *p, lg_ast *list, lg_ast *t) {
    if (t && t->kind == LG_A_BLOCK && list->kind == LG_A_BLOCK) { /* dim A, B: one statement each */
        for (uint32_t i = 0; i < t->n; i++)
            lg_build_append(p, list, t->kid[i]);
        return list;
    }
    bool empty_statement = !t && list->kind == LG_A_BLOCK;
    return empty_statement ? list : lg_ast_add(p->arena, list, t);
}

/* ---- literals ---- */

lg_ast *lg_build_number(lg_parser *p, lg_span at) {
    lg_ast *t = lg_ast_new(p->arena, LG_A_NUM, at, 0);
    char *text = lg_arena_dup(p->arena, p->text + at.beg, at.end - at.beg + 1);
    text[at.end - at.beg] = 0;
    t->text = text;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    t->num = hex ? (double)strtoull(text, NULL, 16) : strtod(text, NULL);
    if (hex || !strpbrk(text, ".eE"))
        t->flags = LG_AF_INT;
    if (!isfinite(t->num)) {
        fault(p, "E0005", at, "this number is too large for any type");
        t->num = 0;
    } else if (t->flags & LG_AF_INT && (errno = 0, lg_ast_int(t), errno == ERANGE)) {
        fault(p, "E0005", at, "an integer is at most 9223372036854775807");
        t->text = NULL;
        t->num = 0;
    }
    return t;
}

typedef struct {
    lg_parser *p;
    lg_ast *string;
    lg_buf text;
    uint32_t beg; /* of the text collected */
} pieces;

static void end_text(pieces *s, uint32_t at) {
    if (!s->text.n)
        return;
    lg_ast *t = lg_ast_new(s->p->arena, LG_A_TEXT, (lg_span){s->p->file, s->beg, at}, 0);
    t->text = lg_arena_str(s->p->arena, s->text.at);
    lg_ast_add(s->p->arena, s->string, t);
    s->text.n = 0;
    s->text.at[0] = 0;
}

/* The end of a string that begins at `at` (its opening quote), one past the closing one. */
static uint32_t skip_string(const char *text, uint32_t at, uint32_t end) {
    uint32_t braces = 0;
    for (at++; at < end; at++) {
        char c = text[at];
        if (braces && c == '"')
            at = skip_string(text, at, end) - 1;
        else if (braces)
            braces += c == '{' ? 1u : c == '}' ? -1u : 0u;
        else if (c == '\\')
            at++;
        else if (c == '{' && at + 1 < end && text[at + 1] == '{')
            at++;
        else if (c == '{')
            braces = 1;
        else if (c == '"')
            return at + 1;
    }
    return end;
}

/* The `}` that ends the interpolation whose text begins at `at`, and the colon before its format
 * (equal to the `}` when there is none). */
static uint32_t interpolation_end(const char *text, uint32_t at, uint32_t end, uint32_t *colon) {
    int depth = 0;
    *colon = end;
    for (; at < end; at++) {
        char c = text[at];
        if (c == '"' && *colon == end)
            at = skip_string(text, at, end) - 1;
        else if (c == '(' || c == '[' || c == '{')
            depth++;
        else if (c == '}' && depth == 0)
            break;
        else if (c == ')' || c == ']' || c == '}')
            depth--;
        else if (c == ':' && depth == 0 && *colon == end)
            *colon = at;
    }
    if (*colon == end)
        *colon = at;
    return at;
}

static uint32_t interpolation(pieces *s, uint32_t at, uint32_t end) {
    lg_parser *p = s->p;
    uint32_t colon, close = interpolation_end(p->text, at + 1, end, &colon);
    lg_span all = {p->file, at, close < end ? close + 1 : end};
    if (close >= end) /* the scanner has reported it */
        return end;
    lg_ast *e = NULL;
    if (strspn(p->text + at + 1, " \t") >= colon - at - 1)
        lg_diag_help(fault(p, "E0006", all, "nothing stands between these braces"),
                     "write {{}} for braces themselves");
    else
        e = lg_parse_part(p, at + 1, colon);
    lg_ast *t =
        lg_build_node(p, LG_A_INTERP, all, 1, e ? e : lg_ast_new(p->arena, LG_A_ERROR, all, 0));
    if (colon < close) {
        char *format = lg_arena_dup(p->arena, p->text + colon + 1, close - colon);
        format[close - colon - 1] = 0;
        t->text = format;
    }
    lg_ast_add(p->arena, s->string, t);
    return close + 1;
}

static uint32_t escape(pieces *s, uint32_t at) {
    static const char letters[] = "nt\"\\", meant[] = "\n\t\"\\";
    const char *text = s->p->text, *which = strchr(letters, text[at + 1]);
    uint32_t n = 2;
    if (which) {
        lg_buf_put(&s->text, &meant[which - letters], 1);
        return at + n;
    }
    while ((text[at + n] & 0xC0) == 0x80)
        n++;
    lg_diag_help(
        fault(s->p, "E0003", (lg_span){s->p->file, at, at + n}, "unknown escape in a string"),
        "the escapes are \\n, \\t, \\\" and \\\\");
    return at + n;
}

lg_ast *lg_build_string(lg_parser *p, lg_span at) {
    pieces s = {.p = p, .string = lg_ast_new(p->arena, LG_A_STR, at, 0), .beg = at.beg + 1};
    uint32_t i = at.beg + 1, end = at.end;
    bool closed = end > i && p->text[end - 1] == '"';
    end -= closed;
    while (i < end) {
        char c = p->text[i];
        if (!s.text.n)
            s.beg = i;
        if (c == '\\' && i + 1 < end) {
            i = escape(&s, i);
        } else if ((c == '{' || c == '}') && i + 1 < end && p->text[i + 1] == c) {
            lg_buf_put(&s.text, &c, 1);
            i += 2;
        } else if (c == '{') {
            end_text(&s, i);
            i = interpolation(&s, i, end);
        } else {
            if (c == '}')
                lg_diag_help(fault(p, "E0006", (lg_span){p->file, i, i + 1},
                                   "this `}` in a string closes nothing"),
                             "write }} for a brace itself");
            lg_buf_put(&s.text, &c, 1);
            i++;
        }
    }
    end_text(&s, i);
    lg_buf_free(&s.text);
    return s.string;
}

/* ---- selectors ---- */

/* One path: names, *, **, [3] joined by points. */
static bool good_path(const char *s, size_t n) {
    static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789*";
    bool wanted = true; /* a name must come */
    for (size_t i = 0; i < n;) {
        size_t len = 0;
        while (i + len < n && strchr(name, s[i + len]))
            len++;
        if (wanted && len) {
            wanted = false;
            i += len;
        } else if (!wanted && s[i] == '.') {
            wanted = true;
            i++;
        } else if (!wanted && s[i] == '[') {
            size_t d = i + 1;
            while (d < n && (strchr("0123456789", s[d]) || s[d] == '*'))
                d++;
            if (d == i + 1 || d >= n || s[d] != ']')
                return false;
            i = d + 1;
        } else {
            return false;
        }
    }
    return !wanted;
}

lg_ast *lg_build_selector(lg_parser *p, lg_span at) {
    lg_ast *t = lg_ast_new(p->arena, LG_A_SELECTOR, at, 0);
    char *text = lg_arena_dup(p->arena, p->text + at.beg + 1, at.end - at.beg - 1);
    text[at.end - at.beg - 2] = 0;
    t->text = text;
    for (const char *s = text;; s++) {
        size_t n = strcspn(s, ",");
        const char *path = s + strspn(s, " \t");
        size_t len = path < s + n ? (size_t)(s + n - path) : 0;
        while (len && (path[len - 1] == ' ' || path[len - 1] == '\t'))
            len--;
        if (!good_path(path, len)) {
            uint32_t beg = at.beg + 1 + (uint32_t)(path - text);
            lg_span part = len ? (lg_span){p->file, beg, beg + (uint32_t)len} : at;
            lg_diag_help(
                fault(p, "E0008", part, len ? "this is not a path" : "a path is missing here"),
                "paths look like `net.*.w`, `gpt.**.b` or `blk[3].att`");
        }
        s += n;
        if (!*s)
            return t;
    }
}

/* ---- operators ---- */

lg_ast *lg_build_binary(lg_parser *p, lg_ast *a, lg_sym op, lg_span op_at, lg_ast *b, lg_span at) {
    lg_ast *t = lg_build_node(p, LG_A_BINARY, at, 2, a, b);
    t->name = op;
    t->name_span = op_at;
    return t;
}

/* -1 for < and <=, 1 for > and >=, 0 for the others. */
static int direction(lg_sym op) {
    return op[0] == '<' ? -1 : op[0] == '>' ? 1 : 0;
}

static bool is_comparison(const lg_ast *t) {
    static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
    if (t->flags & LG_AF_PAREN)
        return false;
    for (size_t i = 0; i < LG_COUNT(ops) && t->kind == LG_A_BINARY; i++)
        if (!strcmp(ops[i], t->name))
            return true;
    return t->kind == LG_A_COMPARE;
}

static lg_ast *op_node(lg_parser *p, lg_sym op, lg_span at) {
    return lg_build_name(p, op, at, 0);
}

lg_ast *lg_build_compare(lg_parser *p, lg_ast *a, lg_sym op, lg_span op_at, lg_ast *b, lg_span at) {
    if (!is_comparison(a))
        return lg_build_binary(p, a, op, op_at, b, at);
    lg_ast *t = a;
    if (a->kind == LG_A_BINARY)
        t = lg_build_node(p, LG_A_COMPARE, at, 3, a->kid[0], op_node(p, a->name, a->name_span),
                          a->kid[1]);
    lg_sym last = t->kid[t->n - 2]->name;
    bool mixed = direction(last) && direction(op) && direction(last) != direction(op);
    if (mixed || !strcmp(last, "!=") || !strcmp(op, "!=")) {
        lg_diag *d = fault(p, "E0110", op_at, "this comparison cannot go on the chain");
        lg_diag_label(d, t->kid[t->n - 2]->span, "after this one");
        lg_diag_help(d, "comparisons chain in one direction; join others with `and`");
    }
    lg_ast_add(p->arena, t, op_node(p, op, op_at));
    lg_ast_add(p->arena, t, b);
    t->span = at;
    return t;
}

/* ---- declarations and statements ---- */

lg_ast *lg_build_declared(lg_parser *p, lg_sym word, lg_span at, lg_sym name, lg_span name_at,
                          const lg_decl_parts *d) {
    lg_ast *t = lg_ast_new(p->arena, LG_A_DECL, at, LG_D_N);
    t->text = word;
    t->name = name;
    t->name_span = name_at;
    t->kid[LG_D_PARAMS] = d->params;
    t->kid[LG_D_TYPE] = d->type;
    t->kid[LG_D_VALUE] = d->value;
    t->kid[LG_D_FROM] = d->from;
    t->kid[LG_D_BLOCK] = d->block;
    t->kid[LG_D_WITH] = d->with;
    t->kid[LG_D_GUARD] = d->guard;
    t->kid[LG_D_INDEX] = d->index;
    t->kid[LG_D_FOR] = d->for_param;
    t->kid[LG_D_IN] = d->allowed;
    if (d->index) {
        d->index->name = name;
        d->index->name_span = name_at;
    }
    lg_check_clauses(p, t);
    return t;
}

void lg_build_no_colon(lg_parser *p, lg_span at) {
    lg_span colon = {at.file, at.beg, at.beg + 1};
    lg_diag *d = fault(p, "E0101", colon, "the type of a result does not follow `:`");
    lg_diag_help(d, "write `->` between the parameters and the type of the result");
}

void lg_build_with(lg_parser *p, lg_sym name, lg_span at) {
    if (!strcmp(name, "vjp"))
        return;
    lg_diag *d = lg_diag_add(p->ds, "E0101", at, "there is no rule `with %s`", name);
    lg_diag_help(d, "a derivative is stated as `with vjp(dy) = {x: ...}`");
}

static lg_ast *not_assignable(lg_parser *p, lg_ast *left, lg_span at) {
    lg_diag *d = fault(p, "E0111", left->span, "this cannot stand on the left of `=`");
    if (left->kind == LG_A_FIELD)
        lg_diag_help(d, "whole names are primed; give the record a new value: r' = {...r, %s: e}",
                     left->name);
    else if (left->kind == LG_A_BINARY)
        lg_diag_help(d, "equality is written `==`");
    return lg_ast_new(p->arena, LG_A_ERROR, at, 0);
}

lg_ast *lg_build_assign(lg_parser *p, lg_ast *left, lg_ast *right, lg_span at) {
    bool plain = !(left->flags & LG_AF_PAREN);
    if (plain && left->kind == LG_A_NAME && left->flags & LG_AF_PRIME)
        return lg_build_node(p, LG_A_ASSIGN, at, 2, left, right);
    if (plain && left->kind == LG_A_NAME)
        return lg_build_named(p, LG_A_SETTING, at, left->name, left->span, right);
    bool indexed = plain && left->kind == LG_A_INDEX && left->kid[0]->kind == LG_A_NAME &&
                   !(left->kid[0]->flags & LG_AF_PAREN);
    if (!indexed)
        return not_assignable(p, left, at);
    const lg_ast *name = left->kid[0];
    if (!(name->flags & LG_AF_PRIME)) {
        lg_diag *d = fault(p, "E0111", left->span,
                           "a definition with indices begins with `let`, or its name is primed");
        lg_diag_help(d, "write `let %s[...] = e`, or `%s'[...] = e` for a next value", name->name,
                     name->name);
        return lg_ast_new(p->arena, LG_A_ERROR, at, 0);
    }
    lg_ast *pattern = lg_ast_new(p->arena, LG_A_INDEXPAT, left->span, left->n - 1);
    pattern->name = name->name;
    pattern->name_span = name->span;
    pattern->flags = LG_AF_PRIME;
    for (uint32_t i = 1; i < left->n; i++)
        pattern->kid[i - 1] = left->kid[i];
    return lg_build_node(p, LG_A_ASSIGN, at, 2, pattern, right);
}

lg_ast *lg_build_statement(lg_parser *p, lg_ast *e, lg_span at) {
    return e->kind == LG_A_FOR ? e : lg_build_node(p, LG_A_EXPR, at, 1, e);
}

lg_ast *lg_build_effect(lg_parser *p, lg_sym word, lg_ast *args, lg_ast *every, lg_span at) {
    lg_ast *first = args->kid[0];
    if (!strcmp(word, "metric") && args->n == 1 && first->kind == LG_A_NAMED && !every) {
        lg_decl_parts d = {.value = first->kid[0]};
        return lg_build_declared(p, word, at, first->name, first->name_span, &d);
    }
    lg_ast *t = lg_build_retag(args, LG_A_EFFECT, at);
    t->name = word;
    return every ? lg_ast_add(p->arena, t, every) : t;
}
