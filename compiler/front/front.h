/* front.h: what the parts of the front end share: tokens, the scanner, the filter, the builders
 * that the grammar calls. Private to compiler/front; everybody else uses parse.h. */
#ifndef LG_FRONT_H
#define LG_FRONT_H
#include "compiler/front/ast.h"
#include "runtime/diag.h"

enum { LG_NEST_MOST = 256, LG_TREE_DEPTH_MOST = 1000 };

/* A token. Types are those of the grammar (T_...). */
typedef struct {
    int type;
    lg_sym sym; /* text of names, operators and words */
    lg_span at;
    bool line_before;  /* a line break stands before it */
    bool space_before; /* any space does */
    bool silent;       /* T_BAD: the fault has been reported */
} lg_token;

/* A comment; doc: it begins with ##; trailing: something stands before it on its line. */
typedef struct {
    lg_span at;
    bool doc, trailing;
} lg_comment;

/* ---- lex.l: characters to raw tokens ---- */
typedef struct {
    uint32_t file, pos; /* pos: offset of the next byte in the file */
    uint32_t end;       /* where the scanned part ends */
    const char *text;   /* of the whole file */
    lg_diags *ds;       /* NULL: silent */
    bool line_before, space_before;
    bool in_string;  /* the part ended inside a string */
    uint32_t from;   /* beginning of the token under way */
    bool begun;      /* a token has been read */
    LG_VEC(lg_comment) comments;
    unsigned depth;  /* strings and interpolations open */
    uint32_t braces[16];
} lg_scan_state;
typedef struct {
    lg_scan_state s;
    void *flex;
} lg_scanner;
void lg_scanner_init(lg_scanner *sc, uint32_t file, const char *text, uint32_t beg, uint32_t end,
                     lg_diags *ds);
void lg_scanner_fini(lg_scanner *sc);
lg_token lg_scanner_next(lg_scanner *sc); /* T_END at the end, and again after it */

/* ---- filter.c: raw tokens to those of the grammar ---- */
typedef struct {
    int type; /* T_PAREN, T_SQUARE, T_BLOCK or T_RECORD */
    lg_span at;
    unsigned ifs; /* `if`s that wait for their else */
} lg_bracket;
typedef struct {
    lg_scanner sc;
    lg_diags *ds;
    lg_token ahead, prev; /* prev: the token handed out last */
    LG_VEC(lg_bracket) open;
    LG_VEC(lg_token) queue; /* tokens to hand out before reading on */
    size_t queue_at;
    unsigned ifs; /* as in lg_bracket, outside all brackets */
    lg_span if_at; /* the last `if` */
    bool too_deep; /* has been reported */
    bool skipping; /* after a fault: the parser does not see the tokens */
} lg_filter;
void lg_filter_init(lg_filter *f, uint32_t file, const char *text, uint32_t beg, uint32_t end,
                    lg_diags *ds);
void lg_filter_fini(lg_filter *f);
lg_token lg_filter_next(lg_filter *f);
size_t lg_filter_blocks(const lg_filter *f); /* open brackets up to the innermost block */
bool lg_is_reserved(lg_sym word);
bool lg_ends_operand(int type);         /* may a statement end with it? */
bool lg_continues(const lg_token *t);   /* does a line that begins with it go on with that above? */

/* ---- build.c: nodes for the grammar's actions ---- */
typedef struct lg_parser {
    lg_arena *arena;
    uint32_t file;
    const char *text;
    lg_diags *ds;
    lg_filter filter;
    lg_ast *result;
    bool fault;       /* the last token met a syntax error */
    lg_token last, now; /* the token pushed before, and the one that is being pushed */
    unsigned nesting; /* interpolations inside interpolations */
} lg_parser;

/* Parts of a declaration while its rule is read. */
typedef struct {
    lg_ast *params, *type, *allowed, *value, *from, *block, *with, *guard, *index, *for_param;
} lg_decl_parts;

lg_ast *lg_build_number(lg_parser *p, lg_span at);
lg_ast *lg_build_string(lg_parser *p, lg_span at);
lg_ast *lg_build_selector(lg_parser *p, lg_span at);
lg_ast *lg_build_name(lg_parser *p, lg_sym s, lg_span at, unsigned flags);
lg_ast *lg_build_node(lg_parser *p, lg_ast_kind k, lg_span at, uint32_t n, ...); /* n kids */
lg_ast *lg_build_named(lg_parser *p, lg_ast_kind k, lg_span at, lg_sym name, lg_span name_at,
                       lg_ast *kid); /* one kid, left out when NULL */
lg_ast *lg_build_binary(lg_parser *p, lg_ast *a, lg_sym op, lg_span op_at, lg_ast *b, lg_span at);
lg_ast *lg_build_compare(lg_parser *p, lg_ast *a, lg_sym op, lg_span op_at, lg_ast *b, lg_span at);
lg_ast *lg_build_bool(lg_parser *p, bool v, lg_span at);
lg_ast *lg_build_prefixed(lg_parser *p, lg_ast *head, lg_ast *list); /* head, then list's kids */
lg_ast *lg_build_retag(lg_ast *t, lg_ast_kind k, lg_span at);
lg_ast *lg_build_declared(lg_parser *p, lg_sym word, lg_span at, lg_sym name, lg_span name_at,
                          const lg_decl_parts *parts);
void lg_check_clauses(lg_parser *p, const lg_ast *decl); /* clauses.c */
lg_ast *lg_build_assign(lg_parser *p, lg_ast *left, lg_ast *right, lg_span at);
lg_ast *lg_build_statement(lg_parser *p, lg_ast *e, lg_span at);
void lg_build_no_colon(lg_parser *p, lg_span at);              /* `f(x): T` for `f(x) -> T` */
void lg_build_with(lg_parser *p, lg_sym name, lg_span at);     /* reports an unknown rule */
lg_ast *lg_build_effect(lg_parser *p, lg_sym word, lg_ast *args, lg_ast *every, lg_span at);
lg_ast *lg_build_append(lg_parser *p, lg_ast *list, lg_ast *t); /* t may be NULL; dim lists join */

/* ---- parser.c ---- */
/* The expression in [beg, end) of the file; NULL after reporting. */
lg_ast *lg_parse_part(lg_parser *outer, uint32_t beg, uint32_t end);

/* ---- message.c: syntax errors in words ---- */
/* `expected`: the types of token that could stand here, n of them. */
void lg_syntax_error(lg_parser *p, int type, lg_span at, const int *expected, int n);
const char *lg_token_name(int type); /* "`+`", "a name" */

/* ---- finish.c: what needs the whole tree ---- */
void lg_finish_tree(lg_parser *p, lg_ast *file); /* doc comments, places of settings, depth */
#endif
