/* message.c: syntax errors in words: what was found, what could stand there, and the spelling of
 * this language where another's was written. */
#include "compiler/front/front.h"
#include "parse.tab.h"
#include <string.h>

static const struct {
    int type;
    const char *name;
} names[] = {
    {T_END, "the end of the text"},
    {T_NAME, "a name"},
    {T_PRIMED, "a primed name"},
    {T_NUM, "a number"},
    {T_STRING, "a string"},
    {T_SELECTOR, "a selector"},
    {T_HOLE, "`_`"},
    {T_IF, "`if`"},
    {T_THEN, "`then`"},
    {T_ELSE, "`else`"},
    {T_FOR, "`for`"},
    {T_IN, "`in`"},
    {T_SCAN, "`scan`"},
    {T_WHILE, "`while`"},
    {T_YIELD, "`yield`"},
    {T_RETURN, "`return`"},
    {T_LET, "`let`"},
    {T_FN, "`fn`"},
    {T_AND, "`and`"},
    {T_OR, "`or`"},
    {T_NOT, "`not`"},
    {T_TRUE, "`true`"},
    {T_FALSE, "`false`"},
    {T_WITH, "`with`"},
    {T_WHEN, "`when`"},
    {T_WHEN_ELSE, "`else`"},
    {T_IMPORT, "`import`"},
    {T_DIM, "`dim`"},
    {T_DECLWORD, "a declaration"},
    {T_EVAL, "`eval`"},
    {T_FREEZE, "`freeze`"},
    {T_QUANTIZE, "`quantize`"},
    {T_STOP, "`stop`"},
    {T_REQUIRE, "`require`"},
    {T_EFFECTWORD, "an effect"},
    {T_WHERE, "`where`"},
    {T_EVERY, "`every`"},
    {T_FROM, "`from`"},
    {T_AS, "`as`"},
    {T_RAND, "`rand`"},
    {T_RUN, "`run`"},
    {T_STATIC, "`static`"},
    {T_PAREN, "`(`"},
    {T_PAREN_END, "`)`"},
    {T_SQUARE, "`[`"},
    {T_SQUARE_END, "`]`"},
    {T_BLOCK, "the `{` of a block"},
    {T_BLOCK_END, "`}`"},
    {T_RECORD, "the `{` of a record"},
    {T_RECORD_END, "`}`"},
    {T_COMMA, "`,`"},
    {T_SEMI, "the end of the statement"},
    {T_COLON, "`:`"},
    {T_DOT, "`.`"},
    {T_RANGE, "`..`"},
    {T_DOTS, "`...`"},
    {T_ASSIGN, "`=`"},
    {T_ARROW, "`->`"},
    {T_PIPE, "`|>`"},
    {T_PLUS, "`+`"},
    {T_MINUS, "`-`"},
    {T_TIMES, "`*`"},
    {T_DIV, "`/`"},
    {T_FLOORDIV, "`//`"},
    {T_MOD, "`%`"},
    {T_MATMUL, "`@`"},
    {T_POW, "`^`"},
    {T_EQ, "`==`"},
    {T_NE, "`!=`"},
    {T_LT, "`<`"},
    {T_LE, "`<=`"},
    {T_GT, "`>`"},
    {T_GE, "`>=`"},
    {T_BAD, "unreadable text"},
};

const char *lg_token_name(int type) {
    for (size_t i = 0; i < LG_COUNT(names); i++)
        if (names[i].type == type)
            return names[i].name;
    return "the beginning of the text";
}

/* Words of other languages, and how the thing is written here. */
static const struct {
    const char *word, *help;
} foreign[] = {
    {"def", "a function begins with `fn`: fn f(x) = e"},
    {"func", "a function begins with `fn`: fn f(x) = e"},
    {"function", "a function begins with `fn`: fn f(x) = e"},
    {"lambda", "a function in place is written `fn (x) = e`"},
    {"elif", "a chain of conditions is `if a then x else if b then y else z`"},
    {"elsif", "a chain of conditions is `if a then x else if b then y else z`"},
    {"elseif", "a chain of conditions is `if a then x else if b then y else z`"},
    {"var", "a name is introduced with `let x = e`"},
    {"const", "a name is introduced with `let x = e`"},
    {"auto", "a name is introduced with `let x = e`"},
    {"class", "a network is a `model`; a record is written {a: x, b: y}"},
    {"struct", "a model without `call` is a record type; a record is written {a: x, b: y}"},
    {"switch", "a chain of conditions is `if a then x else if b then y else z`"},
    {"match", "a chain of conditions is `if a then x else if b then y else z`"},
    {"using", "modules come in with `import`"},
    {"include", "modules come in with `import`"},
    {"assert", "a contract is stated with `require cond, \"text\"`"},
    {"raise", "a contract is stated with `require cond, \"text\"`"},
    {"unless", "write `when not c { }`"},
};

static const char *help_for_word(lg_sym word) {
    for (size_t i = 0; i < LG_COUNT(foreign); i++)
        if (!strcmp(foreign[i].word, word))
            return foreign[i].help;
    return NULL;
}

/* ---- what could stand here ---- */

typedef struct {
    lg_parser *p;
    int type;
    lg_span at;
    const int *expected;
    int n;
} fault;

static bool expects(const fault *f, int type) {
    for (int i = 0; i < f->n; i++)
        if (f->expected[i] == type)
            return true;
    return false;
}

static bool expects_value(const fault *f) {
    return expects(f, T_NUM) && expects(f, T_NAME) && expects(f, T_PAREN);
}

static bool is_operator(int type) {
    switch (type) {
    case T_FROM:
    case T_PIPE:
    case T_OR:
    case T_AND:
    case T_IN:
    case T_RANGE:
    case T_PLUS:
    case T_MINUS:
    case T_TIMES:
    case T_DIV:
    case T_FLOORDIV:
    case T_MOD:
    case T_MATMUL:
    case T_POW:
    case T_EQ:
    case T_NE:
    case T_LT:
    case T_LE:
    case T_GT:
    case T_GE:
    case T_DOT:
        return true;
    default:
        return false;
    }
}

static bool begins_value(int type) {
    switch (type) {
    case T_NAME:
    case T_PRIMED:
    case T_NUM:
    case T_STRING:
    case T_SELECTOR:
    case T_HOLE:
    case T_IF:
    case T_FN:
    case T_SCAN:
    case T_FOR:
    case T_STATIC:
    case T_RAND:
    case T_RUN:
    case T_TRUE:
    case T_FALSE:
    case T_NOT:
    case T_PAREN:
    case T_SQUARE:
    case T_RECORD:
    case T_MINUS:
        return true;
    default:
        return false;
    }
}

/* "a value, `,` or `)`", or "" when the list would not help. */
static void describe_expected(const fault *f, lg_buf *out) {
    const char *list[4];
    size_t n = 0;
    bool value = expects_value(f), operator_too = expects(f, T_PLUS);
    if (value)
        list[n++] = "a value";
    for (int i = 0; i < f->n; i++) {
        int t = f->expected[i];
        bool covered = (value && begins_value(t)) ||
                       (operator_too && (is_operator(t) || t == T_PAREN || t == T_SQUARE)) ||
                       t == T_DOTS || t == T_BAD;
        const char *name = lg_token_name(t);
        for (size_t k = 0; k < n && !covered; k++)
            covered = !strcmp(list[k], name);
        if (covered)
            continue;
        if (n == LG_COUNT(list))
            return;
        list[n++] = name;
    }
    for (size_t i = 0; i < n; i++)
        lg_buf_printf(out, "%s%s", !i ? "" : i + 1 == n ? " or " : ", ", list[i]);
}

/* ---- the particular faults ---- */

static const char *found(const fault *f) {
    lg_parser *p = f->p;
    if (f->type == T_END || f->type == T_SEMI || f->at.end <= f->at.beg)
        return lg_token_name(f->type);
    int n = (int)(f->at.end - f->at.beg);
    const char *dots = n > 30 ? "..." : "";
    return lg_arena_printf(p->arena, "`%.*s%s`", n > 30 ? 30 : n, p->text + f->at.beg, dots);
}

static bool reserved_as_name(const fault *f) {
    int before = f->p->last.type;
    bool name_wanted = expects(f, T_NAME) && !expects(f, T_NUM);
    bool after_let = before == T_LET || before == T_FOR || before == T_DECLWORD || before == T_DIM;
    if (f->type == T_NAME || !lg_is_reserved(f->p->now.sym) || !(name_wanted || after_let))
        return false;
    if (!after_let && before != T_COMMA && before != T_PAREN && before != T_FN &&
        before != T_RECORD)
        return false;
    lg_diag_add(f->p->ds, "E0109", f->at, "`%s` is a reserved word and cannot be a name",
                f->p->now.sym);
    return true;
}

static bool word_of_another(const fault *f) {
    const lg_token *t = f->type == T_NAME ? &f->p->now : &f->p->last;
    for (int i = 0; i < 2; i++, t = &f->p->last) {
        const char *help = t->type == T_NAME ? help_for_word(t->sym) : NULL;
        if (!help)
            continue;
        lg_diag_help(
            lg_diag_add(f->p->ds, "E0108", t->at, "`%s` is not a word of this language", t->sym),
            "%s", help);
        return true;
    }
    int before = f->p->last.type;
    bool starts = before == T_SEMI || before == T_BLOCK || before == T_START_FILE;
    if (f->type == T_WHILE && starts) {
        lg_diag_help(
            lg_diag_add(f->p->ds, "E0108", f->at, "`while` begins no statement"),
            "a loop that carries values is `scan (x = x0) for i in 0..n while c { x' = e }`");
        return true;
    }
    if (starts && (f->type == T_FLOORDIV || f->type == T_DIV)) {
        lg_diag_help(lg_diag_add(f->p->ds, "E0108", f->at, "%s begins no statement", found(f)),
                     "a comment begins with `#`");
        return true;
    }
    return false;
}

static bool missing_else(const fault *f) {
    bool over = f->type == T_SEMI || f->type == T_END || f->type == T_BLOCK_END ||
                f->type == T_PAREN_END || f->type == T_SQUARE_END || f->type == T_RECORD_END ||
                f->type == T_COMMA;
    if (!expects(f, T_ELSE) || !over)
        return false;
    lg_diag *d = lg_diag_add(f->p->ds, "E0105", f->p->filter.if_at, "this `if` has no else");
    lg_diag_help(d, "write `if c then a else b`; to do something only sometimes, `when c { }`");
    return true;
}

static bool missing_then(const fault *f) {
    if (!expects(f, T_THEN) || (f->type != T_BLOCK && f->type != T_COLON && f->type != T_SEMI))
        return false;
    lg_diag *d = lg_diag_add(f->p->ds, "E0101", f->at, "`then` is missing before %s", found(f));
    lg_diag_label(d, f->p->filter.if_at, "this `if`");
    lg_diag_help(d, "`if c then a else b` chooses a value; `when c { }` holds statements");
    return true;
}

static bool record_or_block(const fault *f) {
    const lg_filter *l = &f->p->filter;
    if (!l->open.n)
        return false;
    lg_bracket b = l->open.at[l->open.n - 1];
    bool statement = f->type == T_LET || f->type == T_RETURN || f->type == T_YIELD ||
                     f->type == T_ASSIGN || f->type == T_SEMI || f->type == T_WHEN ||
                     f->type == T_PRIMED;
    if (b.type == T_RECORD && statement) {
        lg_diag *d = lg_diag_add(f->p->ds, "E0113", f->at, "a record has no statements");
        lg_diag_label(d, b.at, "this opens a record, since a value is wanted here");
        lg_diag_help(d, "fields are written {a: x, b: y}; a block follows its head without `=`");
        return true;
    }
    if (b.type == T_BLOCK && f->type == T_COLON && f->p->last.type == T_NAME) {
        lg_diag *d = lg_diag_add(f->p->ds, "E0113", f->at, "a block has no fields");
        lg_diag_label(d, b.at, "this opens a block");
        return true;
    }
    return false;
}

/* `let x: f32 = e` and `let f(x) = e`, as other languages write them. */
static bool after_let_name(const fault *f) {
    bool name = f->p->last.type == T_NAME && expects(f, T_ASSIGN) && expects(f, T_SQUARE) &&
                !expects(f, T_COLON) && !expects(f, T_PAREN);
    if (!name || (f->type != T_COLON && f->type != T_PAREN))
        return false;
    bool type = f->type == T_COLON;
    lg_diag *d = lg_diag_add(f->p->ds, "E0101", f->at,
                             type ? "a `let` states no type" : "a `let` has no parameters");
    if (type)
        lg_diag_help(d, "it has that of its value; `f32(e)` casts to another dtype");
    else
        lg_diag_help(d, "a function is written `fn %s(x) = e`", f->p->last.sym);
    return true;
}

static bool two_statements(const fault *f) {
    int before = f->p->last.type;
    bool value = before == T_NAME || before == T_NUM || before == T_PAREN_END ||
                 before == T_STRING || before == T_SQUARE_END || before == T_BLOCK_END ||
                 before == T_RECORD_END;
    bool next = begins_value(f->type) || f->type == T_LET || f->type == T_RETURN;
    if (!value || !next || !expects(f, T_SEMI))
        return false;
    if (expects(f, T_COLON)) {
        lg_diag_help(lg_diag_add(f->p->ds, "E0101", f->at, "unexpected %s", found(f)),
                     "a type follows `:`, a value `=`");
        return true;
    }
    lg_diag *d =
        lg_diag_add(f->p->ds, "E0112", f->at, "the statement before %s is not ended", found(f));
    static const char *const words[] = {
        "import",    "dim",   "arg",       "model",    "param",    "part",  "loss",
        "optimizer", "state", "quantizer", "schedule", "data",     "field", "train",
        "phase",     "eval",  "entry",     "freeze",   "quantize", "print", "save",
        "plot",      "table", "metric",    "require",  "accept",   "check", "let",
        "return",    "yield", "when",      "rand",     "run"};
    const char *near = before == T_NAME ? lg_nearest(f->p->last.sym, words, LG_COUNT(words)) : NULL;
    if (near && strcmp(near, f->p->last.sym) != 0)
        lg_diag_help(d, "did you mean `%s`?", near);
    else
        lg_diag_help(d, "statements are separated by `;` or a line break, operands by an operator");
    return true;
}

static bool equality(const fault *f) {
    if (f->type != T_ASSIGN || !expects(f, T_EQ) || expects(f, T_ASSIGN))
        return false;
    lg_diag_help(lg_diag_add(f->p->ds, "E0101", f->at, "`=` does not compare"),
                 "equality is written `==`");
    return true;
}

static bool stray_else(const fault *f) {
    if (f->type != T_ELSE && f->type != T_WHEN_ELSE && f->type != T_THEN)
        return false;
    lg_diag_add(f->p->ds, "E0101", f->at, "this %s belongs to no `if`", lg_token_name(f->type));
    return true;
}

static void unexpected(const fault *f) {
    lg_buf could = {0};
    describe_expected(f, &could);
    bool over =
        f->type == T_SEMI || f->type == T_END || (f->p->now.line_before && expects_value(f));
    lg_span at = over && f->p->last.at.end > f->p->last.at.beg ? f->p->last.at : f->at;
    if (over && expects_value(f))
        lg_diag_add(f->p->ds, "E0101", at, "a value is missing after this");
    else if (could.n && over)
        lg_diag_add(f->p->ds, "E0101", at, "%s is missing after this", could.at);
    else if (could.n)
        lg_diag_add(f->p->ds, "E0101", at, "unexpected %s; %s could stand here", found(f),
                    could.at);
    else
        lg_diag_add(f->p->ds, "E0101", at, "unexpected %s", found(f));
    lg_buf_free(&could);
}

void lg_syntax_error(lg_parser *p, int type, lg_span at, const int *expected, int n) {
    fault f = {p, type, at, expected, n};
    if (p->now.silent && (type == T_BAD || p->last.silent))
        return;
    bool said = after_let_name(&f) || record_or_block(&f) || reserved_as_name(&f) ||
                word_of_another(&f) || missing_else(&f) || missing_then(&f) || stray_else(&f) ||
                equality(&f) || two_statements(&f);
    if (!said)
        unexpected(&f);
}
