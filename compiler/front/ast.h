/* ast.h: the syntax tree: one shape of node for everything, builders, and a compact binary form
 * (built programs and the embedded library carry trees, not text). No checks and no types. */
#ifndef LG_AST_H
#define LG_AST_H
#include "runtime/base.h"

typedef enum {
#define A(kind, text) LG_A_##kind,
#include "compiler/front/ast.def"
#undef A
    LG_A_N_KINDS
} lg_ast_kind;

enum { LG_AF_INT = 1, LG_AF_PRIME = 2, LG_AF_STATIC = 4, LG_AF_SQUARE = 8, LG_AF_FILE = 16,
       LG_AF_PAREN = 32 /* the expression stood in parentheses */ };

/* kid layout of a DECL; every declaration has all of them, absent ones NULL */
enum {
    LG_D_PARAMS,   /* PARAMS */
    LG_D_TYPE,     /* result type, or the type of a param, state, arg, field */
    LG_D_VALUE,    /* = e   (dim, arg, param, state, part, loss, fn, schedule, ...) */
    LG_D_FROM,     /* from e */
    LG_D_BLOCK,    /* { }  */
    LG_D_WITH,     /* BLOCK of WITH rules */
    LG_D_GUARD,    /* when c, after the declaration */
    LG_D_INDEX,    /* subscripts after the name or the parameters, an INDEXPAT-like list: part blk[L], part a[i in 0..3], fn f(..)[i, j] */
    LG_D_FOR,      /* PARAM after `for` (optimizer ... for p: float[M, N]) */
    LG_D_TARGET,   /* SELECTOR of `optimizer `sel` = e`; the data expression of `eval E every 1 epochs { }` */
    LG_D_EVERY,    /* EVERY of eval */
    LG_D_IN,       /* what is allowed: arg n: i64 in 1..9 = 3, field y: i32 in C, fn f(..) -> i32[N] in C */
    LG_D_N
};
/* `dim T = 128, D = 256` yields one DECL each. `loss = e`, `data = e`, `optimizer = e` inside a
 * train are DECLs with text loss/data/optimizer and name NULL. */

typedef struct lg_ast lg_ast;
struct lg_ast {
    uint16_t kind, flags;
    uint32_t n;
    lg_span span;      /* the whole construct */
    lg_span name_span; /* the name in it, when it has one */
    lg_sym name;
    const char *text;
    const char *doc; /* the ## comment, lines joined by \n, without ## */
    double num;
    lg_ast **kid;
};

lg_ast *lg_ast_new(lg_arena *a, lg_ast_kind kind, lg_span at, uint32_t n_kids);
lg_ast *lg_ast_add(lg_arena *a, lg_ast *parent, lg_ast *kid); /* appends; returns parent */
const char *lg_ast_kind_name(lg_ast_kind k);
/* The value of an integer literal, which a double may not hold. */
int64_t lg_ast_int(const lg_ast *t);

/* Binary form. Symbols and texts are written once. lg_ast_read returns NULL when damaged. */
void lg_ast_write(const lg_ast *t, lg_buf *out);
lg_ast *lg_ast_read(lg_arena *a, const void *p, size_t n, uint32_t file);

/* The tree as one line per node, for --dump=ast. */
struct _IO_FILE;
void lg_ast_dump(const lg_ast *t, struct _IO_FILE *out);
/* An expression back to source text on one line, for messages (heap-free: arena). */
char *lg_ast_text(lg_arena *a, const lg_ast *t);
#endif
