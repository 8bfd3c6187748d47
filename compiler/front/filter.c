/* filter.c: raw tokens to those of the grammar, with one token of look-ahead: where a statement
 * ends, which words are keywords, whether a brace opens a record or a block, and which bracket is
 * open. It knows nothing of the grammar beyond that. Called by parser.c. */
#include "compiler/front/front.h"
#include "parse.tab.h"
#include <string.h>

/* ---- words ---- */

typedef struct {
    const char *text;
    int type;
} word;

static const word reserved[] = {
    {"if", T_IF},         {"then", T_THEN}, {"else", T_ELSE},   {"for", T_FOR},
    {"in", T_IN},         {"scan", T_SCAN}, {"while", T_WHILE}, {"yield", T_YIELD},
    {"return", T_RETURN}, {"let", T_LET},   {"fn", T_FN},       {"and", T_AND},
    {"or", T_OR},         {"not", T_NOT},   {"true", T_TRUE},   {"false", T_FALSE},
    {"with", T_WITH},     {"when", T_WHEN},
};
/* First in a statement and before a name. */
static const word before_name[] = {
    {"import", T_IMPORT},     {"dim", T_DIM},
    {"arg", T_DECLWORD},      {"model", T_DECLWORD},
    {"param", T_DECLWORD},    {"part", T_DECLWORD},
    {"loss", T_DECLWORD},     {"optimizer", T_DECLWORD},
    {"state", T_DECLWORD},    {"quantizer", T_DECLWORD},
    {"schedule", T_DECLWORD}, {"data", T_DECLWORD},
    {"field", T_DECLWORD},    {"train", T_DECLWORD},
    {"phase", T_DECLWORD},    {"entry", T_DECLWORD},
    {"eval", T_EVAL},         {"freeze", T_FREEZE},
    {"quantize", T_QUANTIZE},
};
/* First in a statement and before a selector. */
static const word before_selector[] = {
    {"optimizer", T_DECLWORD}, {"freeze", T_FREEZE}, {"quantize", T_QUANTIZE}};
/* First in a statement and before an operand. */
static const word before_operand[] = {
    {"print", T_EFFECTWORD}, {"save", T_EFFECTWORD},   {"plot", T_EFFECTWORD},
    {"table", T_EFFECTWORD}, {"metric", T_EFFECTWORD}, {"accept", T_EFFECTWORD},
    {"check", T_EFFECTWORD}, {"write", T_EFFECTWORD},  {"require", T_REQUIRE},
};
static const word infix[] = {
    {"where", T_WHERE}, {"every", T_EVERY}, {"from", T_FROM}, {"as", T_AS}};

static int find_word(const word *w, size_t n, lg_sym text) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(w[i].text, text))
            return w[i].type;
    return 0;
}
#define FIND(table, text) find_word(table, LG_COUNT(table), text)

bool lg_is_reserved(lg_sym text) {
    return FIND(reserved, text) != 0;
}

static bool is_name(const lg_token *t) {
    return t->type == T_NAME && !lg_is_reserved(t->sym);
}

/* ---- where we are ---- */

static int innermost(const lg_filter *f) {
    return f->open.n ? f->open.at[f->open.n - 1].type : 0;
}

static unsigned *waiting_ifs(lg_filter *f) {
    return f->open.n ? &f->open.at[f->open.n - 1].ifs : &f->ifs;
}

size_t lg_filter_blocks(const lg_filter *f) {
    size_t n = f->open.n;
    while (n && f->open.at[n - 1].type != T_BLOCK)
        n--;
    return n;
}

bool lg_ends_operand(int type) {
    switch (type) {
    case T_NAME:
    case T_PRIMED:
    case T_NUM:
    case T_STRING:
    case T_SELECTOR:
    case T_HOLE:
    case T_TRUE:
    case T_FALSE:
    case T_PAREN_END:
    case T_SQUARE_END:
    case T_BLOCK_END:
    case T_RECORD_END:
    case T_BAD:
        return true;
    default:
        return false;
    }
}

static bool at_statement_start(const lg_filter *f) {
    int t = f->prev.type;
    return t == T_SEMI || t == T_BLOCK || t == T_START_FILE;
}

/* Is the token glued to what follows it? */
static bool glued(const lg_filter *f, const lg_token *t) {
    const char *text = f->sc.s.text;
    return t->at.end < f->sc.s.end && !strchr(" \t\r\n\f\v#", text[t->at.end]);
}

static bool begins_operand(const lg_filter *f, const lg_token *t) {
    switch (t->type) {
    case T_NAME: {
        int r = FIND(reserved, t->sym);
        return !r || r == T_IF || r == T_FN || r == T_SCAN || r == T_FOR || r == T_NOT ||
               r == T_TRUE || r == T_FALSE;
    }
    case T_PRIMED:
    case T_NUM:
    case T_STRING:
    case T_SELECTOR:
    case T_HOLE:
    case T_PAREN:
    case T_BLOCK:
        return true;
    case T_SQUARE:
        return t->space_before;
    case T_MINUS:
        return t->space_before && glued(f, t);
    default:
        return false;
    }
}

/* Does a line that begins with this token go on with the line above? */
bool lg_continues(const lg_token *t) {
    switch (t->type) {
    case T_NAME: {
        int r = FIND(reserved, t->sym);
        return r == T_THEN || r == T_ELSE || r == T_WITH || r == T_AND || r == T_OR || r == T_IN ||
               r == T_WHILE;
    }
    case T_PIPE:
    case T_ARROW:
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
    case T_RANGE:
    case T_ASSIGN:
    case T_AND:
    case T_OR:
        return true;
    default:
        return false;
    }
}

/* ---- reports ---- */

static lg_diag *report(lg_filter *f, const char *code, lg_span at, const char *text) {
    static lg_diag nobody;
    return f->ds ? lg_diag_add(f->ds, code, at, "%s", text) : &nobody;
}

static const char *bracket_text(int type) {
    return type == T_PAREN ? "(" : type == T_SQUARE ? "[" : "{";
}

static void unclosed(lg_filter *f, const lg_bracket *b, const lg_token *at, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "this `%s` is never closed", bracket_text(b->type));
    lg_diag *d = report(f, "E0102", b->at, text);
    if (f->ds && what)
        lg_diag_label(d, at->at, "%s", what);
}

static lg_token made(const lg_filter *f, int type, lg_span at) {
    (void)f;
    return (lg_token){.type = type, .at = at, .sym = "", .silent = true};
}

static void enqueue(lg_filter *f, lg_token t) {
    LG_PUSH(f->queue, t);
}

/* ---- brackets ---- */

static void open_bracket(lg_filter *f, lg_token *t) {
    if (t->type == T_BLOCK && !lg_ends_operand(f->prev.type) && f->prev.type != T_WHEN_ELSE)
        t->type = T_RECORD;
    lg_bracket b = {t->type, t->at, 0};
    if (f->open.n == LG_NEST_MOST && !f->too_deep)
        report(f, "E0106", t->at, "brackets are nested too deeply");
    f->too_deep |= f->open.n == LG_NEST_MOST;
    if (f->open.n >= LG_NEST_MOST)
        *t = made(f, T_BAD, t->at);
    LG_PUSH(f->open, b);
}

static bool closes(int closer, int opener) {
    if (closer == T_BLOCK_END)
        return opener == T_BLOCK || opener == T_RECORD;
    return closer == T_PAREN_END ? opener == T_PAREN : opener == T_SQUARE;
}

/* How many brackets are open up to the one that this closes; 0: none. A block keeps what is inside
 * it from closing what is outside. */
static size_t partner(const lg_filter *f, int closer) {
    for (size_t n = f->open.n; n; n--) {
        if (closes(closer, f->open.at[n - 1].type))
            return n;
        if (f->open.at[n - 1].type == T_BLOCK)
            return 0;
    }
    return 0;
}

/* A `)` or `]` where another kind is open is taken for a misspelling of its partner. */
static void stray(lg_filter *f, lg_token *t) {
    int in = innermost(f);
    char text[64];
    bool other = t->type != T_BLOCK_END && (in == T_PAREN || in == T_SQUARE);
    snprintf(text, sizeof text, other ? "this `%s` closes no `%s`" : "this `%s` closes nothing",
             t->sym, bracket_text(in));
    lg_diag *d = report(f, "E0103", t->at, text);
    if (f->ds && other)
        lg_diag_label(d, f->open.at[f->open.n - 1].at, "opened here");
    if (other)
        f->open.n--;
    *t = made(f, T_BAD, t->at);
}

/* May hand out a T_BAD instead and queue the closer behind it. */
static void close_bracket(lg_filter *f, lg_token *t) {
    size_t n = partner(f, t->type);
    if (!n) {
        stray(f, t);
        return;
    }
    bool fault = n < f->open.n;
    if (n > LG_NEST_MOST) {
        f->open.n = n - 1;
        *t = made(f, T_BAD, t->at);
        return;
    }
    if (fault)
        unclosed(f, &f->open.at[f->open.n - 1], t, "before this");
    if (t->type == T_BLOCK_END && f->open.at[n - 1].type == T_RECORD)
        t->type = T_RECORD_END;
    f->open.n = n - 1;
    if (fault) {
        enqueue(f, *t);
        *t = made(f, T_BAD, t->at);
    }
}

/* At the end of the text: the bracket opened last is reported, and all blocks are closed. */
static void close_all(lg_filter *f, lg_token *end) {
    if (!f->open.n)
        return;
    unclosed(f, &f->open.at[f->open.n - 1], end, NULL);
    for (size_t i = f->open.n; i; i--)
        if (f->open.at[i - 1].type == T_BLOCK)
            enqueue(f, made(f, T_BLOCK_END, end->at));
    f->open.n = 0;
    enqueue(f, *end);
    *end = made(f, T_BAD, end->at);
}

/* ---- statements ---- */

/* Does this word, at a line start, begin a statement whatever is open? */
static bool begins_statement(const lg_filter *f, const lg_token *t, const lg_token *next) {
    (void)f;
    if (t->type != T_NAME)
        return false;
    int r = FIND(reserved, t->sym);
    if (r == T_LET || r == T_RETURN || r == T_YIELD)
        return true;
    if (r == T_FN || FIND(before_name, t->sym))
        return is_name(next) && !FIND(infix, next->sym);
    return false;
}

/* `(` or `[`, or a record begun, is open and a statement begins: the bracket was forgotten. */
static bool forgotten_bracket(lg_filter *f, const lg_token *t) {
    int in = innermost(f);
    bool open = in == T_PAREN || in == T_SQUARE ||
                (in == T_RECORD && f->prev.type != T_RECORD && !f->skipping);
    if (!open || !t->line_before || f->prev.type == T_DOT || !begins_statement(f, t, &f->ahead))
        return false;
    unclosed(f, &f->open.at[f->open.n - 1], t, "a statement begins here");
    f->open.n = lg_filter_blocks(f);
    return true;
}

/* Does a statement end between the token before and this one? */
static bool statement_ends(lg_filter *f, const lg_token *t) {
    int in = innermost(f);
    if (!t->line_before || !lg_ends_operand(f->prev.type) || in == T_PAREN || in == T_SQUARE ||
        in == T_RECORD)
        return false;
    if (t->type == T_END || t->type == T_SEMI || t->type == T_BLOCK_END)
        return false;
    if (t->type == T_MINUS && glued(f, t)) {
        lg_diag *d = report(f, "E0104", t->at, "this minus sign could mean two things");
        if (f->ds)
            lg_diag_help(d,
                         "write `- x` to go on with the line above, `(-x)` to begin a statement");
    }
    return !lg_continues(t);
}

static int word_type(lg_filter *f, const lg_token *t) {
    const lg_token *next = &f->ahead;
    bool record_field = innermost(f) == T_RECORD && next->type == T_COLON &&
                        (f->prev.type == T_RECORD || f->prev.type == T_COMMA);
    if (f->prev.type == T_DOT || record_field)
        return T_NAME;
    int type = FIND(reserved, t->sym);
    if (type)
        return type;
    if (at_statement_start(f)) {
        if ((type = FIND(before_name, t->sym)) && is_name(next))
            return type;
        if (!strcmp(t->sym, "import") && next->type == T_STRING)
            return T_IMPORT;
        if (next->type == T_SELECTOR && (type = FIND(before_selector, t->sym)))
            return type;
        if (!strcmp(t->sym, "stop") && next->type == T_NAME && !strcmp(next->sym, "when"))
            return T_STOP;
        if ((type = FIND(before_operand, t->sym)) && begins_operand(f, next))
            return type;
        if (!strcmp(t->sym, "eval") && next->type == T_STRING)
            return T_EVAL;
    }
    if (!strcmp(t->sym, "static") && next->type == T_NAME && !strcmp(next->sym, "for"))
        return T_STATIC; /* after the carries of a scan too */
    if (lg_ends_operand(f->prev.type))
        return (type = FIND(infix, t->sym)) ? type : T_NAME;
    if ((!strcmp(t->sym, "rand") || !strcmp(t->sym, "run")) && is_name(next) &&
        !FIND(infix, next->sym))
        return t->sym[1] == 'a' ? T_RAND : T_RUN;
    return T_NAME;
}

static void classify(lg_filter *f, lg_token *t) {
    switch (t->type) {
    case T_NAME:
        t->type = word_type(f, t);
        break;
    case T_PRIMED:
        if (lg_is_reserved(t->sym) && f->prev.type != T_DOT) {
            char text[96];
            snprintf(text, sizeof text, "`%s` is a reserved word and cannot be a name", t->sym);
            report(f, "E0109", t->at, text);
        }
        break;
    case T_PAREN:
    case T_SQUARE:
    case T_BLOCK:
        open_bracket(f, t);
        return;
    case T_PAREN_END:
    case T_SQUARE_END:
    case T_BLOCK_END:
        close_bracket(f, t);
        return;
    case T_SEMI:
        *waiting_ifs(f) = 0;
        return;
    case T_END:
        close_all(f, t);
        return;
    default:
        return;
    }
    /* an `else` belongs to the nearest `if` that waits for it, otherwise to a `when` */
    unsigned *ifs = waiting_ifs(f);
    if (t->type == T_IF) {
        ++*ifs;
        f->if_at = t->at;
    } else if (t->type == T_ELSE && *ifs)
        --*ifs;
    else if (t->type == T_ELSE && f->prev.type == T_BLOCK_END)
        t->type = T_WHEN_ELSE;
}

/* ---- the stream ---- */

void lg_filter_init(lg_filter *f, uint32_t file, const char *text, uint32_t beg, uint32_t end,
                    lg_diags *ds) {
    memset(f, 0, sizeof *f);
    f->ds = ds;
    lg_scanner_init(&f->sc, file, text, beg, end, ds);
    f->prev.type = T_START_FILE;
    f->ahead = lg_scanner_next(&f->sc);
}

void lg_filter_fini(lg_filter *f) {
    lg_scanner_fini(&f->sc);
    lg_free(f->open.at);
    lg_free(f->queue.at);
}

static lg_token next(lg_filter *f) {
    if (f->queue_at < f->queue.n)
        return f->queue.at[f->queue_at++];
    f->queue.n = f->queue_at = 0;
    lg_token t = f->ahead;
    lg_span break_at = {t.at.file, f->prev.at.end, f->prev.at.end};
    if (statement_ends(f, &t)) {
        *waiting_ifs(f) = 0;
        return made(f, T_SEMI, break_at);
    }
    if (t.type != T_END)
        f->ahead = lg_scanner_next(&f->sc);
    if (forgotten_bracket(f, &t)) {
        enqueue(f, made(f, T_SEMI, break_at));
        f->prev.type = T_SEMI;
        classify(f, &t);
        enqueue(f, t);
        return made(f, T_BAD, t.at);
    }
    classify(f, &t);
    return t;
}

lg_token lg_filter_next(lg_filter *f) {
    lg_token t = next(f);
    f->prev = t;
    return t;
}
