/* parse.y: tokens to tree, no checks. Which statement may stand where is left to the checker, so
 * that it can explain; the tree is described in ast.def. */
%define api.pure full
%define api.push-pull push
%define api.prefix {lg_gram_}
%define api.token.prefix {T_}
%define api.location.type {lg_span}
%define parse.lac full
%define parse.error custom
%locations
%expect 0
%parse-param {lg_parser *p}
%code requires {
#include "compiler/front/front.h"
}
%code {
#define YYMALLOC lg_alloc
#define YYFREE lg_free
#define YYSTACK_USE_ALLOCA 0
#define YYINITDEPTH 400
#define YYMAXDEPTH 20000
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
    ((cur) = (n) ? lg_span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n))                                \
                 : (lg_span){YYRHSLOC(rhs, 0).file, YYRHSLOC(rhs, 0).end, YYRHSLOC(rhs, 0).end})

static void lg_gram_error(lg_span *at, lg_parser *p, const char *text);

#define NODE(kind, at, ...) lg_build_node(p, LG_A_##kind, at, __VA_ARGS__)
#define LISTOF(kind, at) lg_ast_new(p->arena, LG_A_##kind, at, 0)
#define ADD(list, t) lg_build_append(p, list, t)
#define NAMEDNODE(kind, at, name, nat, kid) lg_build_named(p, LG_A_##kind, at, name, nat, kid)
}

%union {
    lg_ast *t;
    lg_sym s;
    lg_decl_parts d;
}

%token END 0
%token START_FILE START_EXPR
%token <s> NAME PRIMED NUM STRING SELECTOR
%token HOLE
%token IF THEN ELSE FOR IN SCAN WHILE YIELD RETURN LET FN AND OR NOT TRUE FALSE WITH WHEN
%token WHEN_ELSE
%token IMPORT DIM <s> DECLWORD EVAL FREEZE QUANTIZE STOP REQUIRE <s> EFFECTWORD
%token WHERE EVERY FROM AS RAND RUN STATIC
%token PAREN PAREN_END SQUARE SQUARE_END BLOCK BLOCK_END RECORD RECORD_END
%token COMMA SEMI COLON DOT RANGE DOTS ASSIGN ARROW PIPE
%token PLUS MINUS TIMES DIV FLOORDIV MOD MATMUL POW EQ NE LT LE GT GE
%token BAD

%precedence LOW
%left FROM
%left PIPE
%left OR
%left AND
%precedence NOT
%left EQ NE LT LE GT GE IN
%nonassoc RANGE
%left PLUS MINUS
%left TIMES DIV FLOORDIV MOD MATMUL
%precedence UMINUS
%right POW
%left PAREN SQUARE DOT

%type <t> block statements statement import_path dim_list dim_def declaration let_pattern
%type <t> pattern field_pattern field_patterns expr if_expr function scan loop args arg arg_list
%type <t> elements element fields field_list subs sub_list sub bound types type named_type
%type <t> type_dims type_dim_list type_dim type_fields params param_list param bindings
%type <t> binding_list carries else_part every exprs with_rules with_rule opt_guard called opt_type
%type <t> opt_while import_alias allowed opt_params opt_index opt_result opt_shape element_list
%type <t> type_list type_field_list pattern_list
%type <s> fn_or_word
%type <d> head body_part tail

%%

start:
    START_FILE statements               { p->result = $2; }
  | START_EXPR expr opt_semi            { p->result = $2; }
  ;
opt_semi: %empty | SEMI ;

block:
    BLOCK statements BLOCK_END          { $$ = $2; $$->span = @$; yyerrok; }
  ;
statements:
    statement                           { $$ = ADD(LISTOF(BLOCK, @$), $1); }
  | statements SEMI { yyerrok; } statement
                                        { $$ = ADD($1, $4); $$->span = @$; }
  ;

statement:
    %empty                              { $$ = NULL; }
  | error                               { $$ = LISTOF(ERROR, @$); }
  | IMPORT import_path import_alias     { $$ = $2; $$->span = @$;
                                          if ($3) { $$->name = $3->name; $$->name_span = @3; } }
  | DIM dim_list                        { lg_ast *t = $$ = $2;
                                          while (t->kind == LG_A_BLOCK)
                                              t = t->kid[0];
                                          t->span.beg = @1.beg; }
  | declaration
  | LET let_pattern ASSIGN expr         { $$ = NODE(LET, @$, 2, $2, $4); }
  | RETURN expr                         { $$ = NODE(RETURN, @$, 1, $2); }
  | YIELD expr                          { $$ = NODE(YIELD, @$, 1, $2); }
  | WHEN expr block else_part           { $$ = NODE(WHEN, @$, 3, $2, $3, $4); }
  | REQUIRE expr                        { $$ = NODE(REQUIRE, @$, 2, $2, NULL); }
  | REQUIRE expr COMMA expr             { $$ = NODE(REQUIRE, @$, 2, $2, $4); }
  | EFFECTWORD arg_list                 { $$ = lg_build_effect(p, $1, $2, NULL, @$); }
  | EFFECTWORD arg_list every           { $$ = lg_build_effect(p, $1, $2, $3, @$); }
  | STOP WHEN expr                      { $$ = NODE(STOP, @$, 1, $3); }
  | FREEZE exprs opt_guard              { $$ = lg_build_retag($2, LG_A_FREEZE, @$);
                                          if ($3)
                                              $$ = NODE(WHEN, @$, 3, $3, NODE(BLOCK, @$, 1, $$), NULL); }
  | QUANTIZE expr WITH expr             { $$ = NODE(QUANTIZE, @$, 2, $2, $4); }
  | EVAL expr block                     { lg_decl_parts d = {.block = $3};
                                          $$ = lg_build_declared(p, lg_intern("eval"), @$, NULL, @1, &d);
                                          $$->kid[LG_D_TARGET] = $2; }
  | EVAL expr every block               { lg_decl_parts d = {.block = $4};
                                          $$ = lg_build_declared(p, lg_intern("eval"), @$, NULL, @1, &d);
                                          $$->kid[LG_D_TARGET] = $2; $$->kid[LG_D_EVERY] = $3; }
  | DECLWORD SELECTOR ASSIGN expr       { lg_decl_parts d = {.value = $4};
                                          $$ = lg_build_declared(p, $1, @$, NULL, @1, &d);
                                          $$->kid[LG_D_TARGET] = lg_build_selector(p, @2); }
  | expr                                { $$ = lg_build_statement(p, $1, @$); }
  | expr ASSIGN expr                    { $$ = lg_build_assign(p, $1, $3, @$); }
  ;
else_part:
    %empty                              { $$ = NULL; }
  | WHEN_ELSE block                     { $$ = $2; }
  | WHEN_ELSE WHEN expr block else_part { $$ = NODE(WHEN, lg_span_join(@2, @5), 3, $3, $4, $5); }
  ;
every:
    EVERY expr NAME                     { $$ = NAMEDNODE(EVERY, @$, $3, @3, $2); }
  ;

import_path:
    STRING                              { $$ = LISTOF(IMPORT, @$); $$->flags = LG_AF_FILE;
                                          lg_ast *s = lg_build_string(p, @1);
                                          $$->text = s->n && s->kid[0]->text ? s->kid[0]->text : ""; }
  | NAME                                { $$ = LISTOF(IMPORT, @$); $$->text = $1; }
  | import_path DOT NAME                { $$ = $1;
                                          $$->text = lg_arena_printf(p->arena, "%s.%s", $1->text, $3); }
  ;
import_alias:
    %empty                              { $$ = NULL; }
  | AS NAME                             { $$ = lg_build_name(p, $2, @2, 0); }
  ;

dim_list:
    dim_def                             { $$ = $1; }
  | dim_list COMMA dim_def              { $$ = NODE(BLOCK, @$, 2, $1, $3);  }
  ;
dim_def:
    NAME                                { lg_decl_parts d = {0};
                                          $$ = lg_build_declared(p, lg_intern("dim"), @$, $1, @1, &d); }
  | NAME ASSIGN expr                    { lg_decl_parts d = {.value = $3};
                                          $$ = lg_build_declared(p, lg_intern("dim"), @$, $1, @1, &d); }
  ;

declaration:
    fn_or_word NAME head body_part tail {
        lg_decl_parts d = $3;
        d.value = $4.value; d.from = $4.from; d.block = $4.block;
        d.with = $5.with; d.guard = $5.guard;
        $$ = lg_build_declared(p, $1, @$, $2, @2, &d); }
  ;
fn_or_word:
    DECLWORD
  | FN                                  { $$ = lg_intern("fn"); }
  ;
head:
    opt_params opt_index opt_result opt_shape
                                        { $$ = (lg_decl_parts){.params = $1, .index = $2, .for_param = $4};
                                          if ($3) { $$.type = $3->kid[0]; $$.allowed = $3->kid[1]; }
                                          if ($1 && $3 && $3->flags & LG_AF_STATIC)
                                              lg_build_no_colon(p, @3); }
  ;
opt_params:
    %empty                              { $$ = NULL; }
  | PAREN params PAREN_END              { $$ = $2; $$->span = @$; }
  ;
opt_index:
    %empty                              { $$ = NULL; }
  | SQUARE subs SQUARE_END              { $$ = lg_build_retag($2, LG_A_INDEXPAT, @$); }
  ;
opt_result:
    opt_type                            { $$ = $1; if ($1) $$->flags |= LG_AF_STATIC; /* a colon */ }
  | ARROW type allowed                  { $$ = NODE(LIST, @$, 2, $2, $3); }
  ;
opt_shape:
    %empty                              { $$ = NULL; }
  | FOR NAME COLON type                 { $$ = NODE(PARAM, lg_span_join(@2, @4), 3, $4, NULL, NULL);
                                          $$->name = $2; $$->name_span = @2; }
  ;
allowed:
    %empty                              { $$ = NULL; }
  | IN expr                             { $$ = $2; }
  ;
body_part:
    %empty                              { $$ = (lg_decl_parts){0}; }
  | ASSIGN expr                         { $$ = (lg_decl_parts){.value = $2}; }
  | block                               { $$ = (lg_decl_parts){.block = $1}; }
  | FROM expr                           { $$ = (lg_decl_parts){.from = $2}; }
  | FROM expr block                     { $$ = (lg_decl_parts){.from = $2, .block = $3}; }
  ;
tail:
    with_rules opt_guard                { $$ = (lg_decl_parts){.with = $1, .guard = $2}; }
  ;
with_rules:
    %empty                              { $$ = NULL; }
  | with_rules with_rule                { $$ = ADD($1 ? $1 : LISTOF(BLOCK, @2), $2);
                                          $$->span = lg_span_join($$->span, @2); }
  ;
with_rule:
    WITH NAME PAREN params PAREN_END ASSIGN expr
                                        { $4->span = lg_span_join(@3, @5);
                                          lg_build_with(p, $2, @2);
                                          $$ = NODE(WITH, @$, 2, $4, $7); $$->name = $2; $$->name_span = @2; }
  | WITH NAME PAREN params PAREN_END block
                                        { $4->span = lg_span_join(@3, @5);
                                          lg_build_with(p, $2, @2);
                                          $$ = NODE(WITH, @$, 2, $4, $6); $$->name = $2; $$->name_span = @2; }
  ;
opt_guard:
    %empty                              { $$ = NULL; }
  | WHEN expr                           { $$ = $2; }
  ;

params:
    %empty                              { $$ = LISTOF(PARAMS, @$); }
  | param_list
  | param_list COMMA
  ;
param_list:
    param                               { $$ = ADD(LISTOF(PARAMS, @$), $1); }
  | param_list COMMA param              { $$ = ADD($1, $3); $$->span = @$; }
  ;
param:
    NAME opt_type                       { $$ = NODE(PARAM, @$, 3, $2 ? $2->kid[0] : NULL, $2 ? $2->kid[1] : NULL, NULL);
                                          $$->name = $1; $$->name_span = @1; }
  | NAME opt_type ASSIGN expr           { $$ = NODE(PARAM, @$, 3, $2 ? $2->kid[0] : NULL, $2 ? $2->kid[1] : NULL, $4);
                                          $$->name = $1; $$->name_span = @1; }
  ;
opt_type:
    %empty                              { $$ = NULL; }
  | COLON type allowed                  { $$ = NODE(LIST, @$, 2, $2, $3); }
  ;

let_pattern:
    NAME                                { $$ = lg_build_name(p, $1, @1, 0); }
  | HOLE                                { $$ = LISTOF(HOLE, @$); }
  | NAME SQUARE subs SQUARE_END         { $$ = lg_build_retag($3, LG_A_INDEXPAT, @$);
                                          $$->name = $1; $$->name_span = @1; }
  | RECORD field_patterns RECORD_END    { $$ = $2; $$->span = @$; }
  ;
pattern:
    NAME                                { $$ = lg_build_name(p, $1, @1, 0); }
  | HOLE                                { $$ = LISTOF(HOLE, @$); }
  | RECORD field_patterns RECORD_END    { $$ = $2; $$->span = @$; }
  ;
field_patterns:
    pattern_list
  | pattern_list COMMA
  ;
pattern_list:
    field_pattern                       { $$ = ADD(LISTOF(RECPAT, @$), $1); }
  | pattern_list COMMA field_pattern    { $$ = ADD($1, $3); }
  ;
field_pattern:
    NAME                                { $$ = NODE(FIELDV, @$, 1, NULL); $$->name = $1; $$->name_span = @1; }
  | NAME COLON NAME                     { $$ = NAMEDNODE(FIELDV, @$, $1, @1, lg_build_name(p, $3, @3, 0)); }
  ;

expr:
    NAME                                { $$ = lg_build_name(p, $1, @1, 0); }
  | PRIMED                              { $$ = lg_build_name(p, $1, @1, LG_AF_PRIME); }
  | HOLE                                { $$ = LISTOF(HOLE, @$); }
  | NUM                                 { $$ = lg_build_number(p, @1); }
  | STRING                              { $$ = lg_build_string(p, @1); }
  | SELECTOR                            { $$ = lg_build_selector(p, @1); }
  | TRUE                                { $$ = lg_build_bool(p, true, @1); }
  | FALSE                               { $$ = lg_build_bool(p, false, @1); }
  | PAREN expr PAREN_END                { $$ = $2; $$->flags |= LG_AF_PAREN; }
  | SQUARE elements SQUARE_END          { $$ = $2; $$->span = @$; }
  | RECORD fields RECORD_END            { $$ = $2; $$->span = @$; }
  | RAND called                         { $$ = NODE(RAND, @$, 1, $2); }
  | RUN called                          { $$ = NODE(RUN, @$, 1, $2); }
  | if_expr
  | function
  | scan
  | loop
  | expr PAREN args PAREN_END           { $$ = lg_build_prefixed(p, $1, $3);
                                          lg_build_retag($$, LG_A_CALL, @$); }
  | expr SQUARE subs SQUARE_END         { $$ = lg_build_prefixed(p, $1, $3);
                                          lg_build_retag($$, LG_A_INDEX, @$); }
  | expr DOT NAME                       { $$ = NAMEDNODE(FIELD, @$, $3, @3, $1); }
  | expr DOT PRIMED                     { $$ = NAMEDNODE(FIELD, @$, $3, @3, $1); $$->flags = LG_AF_PRIME; }
  | expr DOT SELECTOR                   { $$ = NODE(FIELDSEL, @$, 2, $1, lg_build_selector(p, @3)); }
  | MINUS expr %prec UMINUS             { $$ = NAMEDNODE(UNARY, @$, lg_intern("-"), @1, $2); }
  | NOT expr                            { $$ = NAMEDNODE(UNARY, @$, lg_intern("not"), @1, $2); }
  | expr FROM expr                      { $$ = lg_build_binary(p, $1, lg_intern("from"), @2, $3, @$); }
  | expr PIPE expr                      { $$ = lg_build_binary(p, $1, lg_intern("|>"), @2, $3, @$); }
  | expr OR expr                        { $$ = lg_build_binary(p, $1, lg_intern("or"), @2, $3, @$); }
  | expr AND expr                       { $$ = lg_build_binary(p, $1, lg_intern("and"), @2, $3, @$); }
  | expr IN expr                        { $$ = lg_build_binary(p, $1, lg_intern("in"), @2, $3, @$); }
  | expr RANGE expr                     { $$ = lg_build_binary(p, $1, lg_intern(".."), @2, $3, @$); }
  | expr PLUS expr                      { $$ = lg_build_binary(p, $1, lg_intern("+"), @2, $3, @$); }
  | expr MINUS expr                     { $$ = lg_build_binary(p, $1, lg_intern("-"), @2, $3, @$); }
  | expr TIMES expr                     { $$ = lg_build_binary(p, $1, lg_intern("*"), @2, $3, @$); }
  | expr DIV expr                       { $$ = lg_build_binary(p, $1, lg_intern("/"), @2, $3, @$); }
  | expr FLOORDIV expr                  { $$ = lg_build_binary(p, $1, lg_intern("//"), @2, $3, @$); }
  | expr MOD expr                       { $$ = lg_build_binary(p, $1, lg_intern("%"), @2, $3, @$); }
  | expr MATMUL expr                    { $$ = lg_build_binary(p, $1, lg_intern("@"), @2, $3, @$); }
  | expr POW expr                       { $$ = lg_build_binary(p, $1, lg_intern("^"), @2, $3, @$); }
  | expr EQ expr                        { $$ = lg_build_compare(p, $1, lg_intern("=="), @2, $3, @$); }
  | expr NE expr                        { $$ = lg_build_compare(p, $1, lg_intern("!="), @2, $3, @$); }
  | expr LT expr                        { $$ = lg_build_compare(p, $1, lg_intern("<"), @2, $3, @$); }
  | expr LE expr                        { $$ = lg_build_compare(p, $1, lg_intern("<="), @2, $3, @$); }
  | expr GT expr                        { $$ = lg_build_compare(p, $1, lg_intern(">"), @2, $3, @$); }
  | expr GE expr                        { $$ = lg_build_compare(p, $1, lg_intern(">="), @2, $3, @$); }
  ;
if_expr:
    IF expr THEN expr ELSE expr %prec LOW { $$ = NODE(IF, @$, 3, $2, $4, $6); }
  ;
function:
    FN PAREN params PAREN_END ASSIGN expr %prec LOW
                                        { $3->span = lg_span_join(@2, @4);
                                          $$ = NODE(LAMBDA, @$, 3, $3, NULL, $6); }
  | FN PAREN params PAREN_END ARROW type ASSIGN expr %prec LOW
                                        { $3->span = lg_span_join(@2, @4);
                                          $$ = NODE(LAMBDA, @$, 3, $3, $6, $8); }
  | FN PAREN params PAREN_END block     { $3->span = lg_span_join(@2, @4);
                                          $$ = NODE(LAMBDA, @$, 3, $3, NULL, $5); }
  | FN PAREN params PAREN_END ARROW type block
                                        { $3->span = lg_span_join(@2, @4);
                                          $$ = NODE(LAMBDA, @$, 3, $3, $6, $7); }
  ;
scan:
    SCAN carries FOR pattern IN expr opt_while block
                                        { $$ = NODE(SCAN, @$, 5, $2, $4, $6, $7, $8); }
  | SCAN carries STATIC FOR pattern IN expr opt_while block
                                        { $$ = NODE(SCAN, @$, 5, $2, $5, $7, $8, $9);
                                          $$->flags = LG_AF_STATIC; }
  ;
carries:
    %empty                              { $$ = LISTOF(BINDINGS, @$); }
  | PAREN bindings PAREN_END            { $$ = $2; $$->span = @$; }
  ;
opt_while:
    %empty                              { $$ = NULL; }
  | WHILE expr                          { $$ = $2; }
  ;
loop:
    FOR pattern IN expr block           { $$ = NODE(FOR, @$, 3, $2, $4, $5); }
  | STATIC FOR pattern IN expr block    { $$ = NODE(FOR, @$, 3, $3, $5, $6); $$->flags = LG_AF_STATIC; }
  ;
called:
    NAME PAREN args PAREN_END           { $$ = lg_build_prefixed(p, lg_build_name(p, $1, @1, 0), $3);
                                          lg_build_retag($$, LG_A_CALL, @$); }
  | NAME DOT NAME PAREN args PAREN_END  { lg_ast *f = NAMEDNODE(FIELD, lg_span_join(@1, @3), $3, @3,
                                                                lg_build_name(p, $1, @1, 0));
                                          $$ = lg_build_prefixed(p, f, $5);
                                          lg_build_retag($$, LG_A_CALL, @$); }
  ;
bindings:
    %empty                              { $$ = LISTOF(BINDINGS, @$); }
  | binding_list
  | binding_list COMMA
  ;
binding_list:
    NAME ASSIGN expr                    { $$ = ADD(LISTOF(BINDINGS, @$), NAMEDNODE(NAMED, @$, $1, @1, $3)); }
  | binding_list COMMA NAME ASSIGN expr { $$ = ADD($1, NAMEDNODE(NAMED, lg_span_join(@3, @5), $3, @3, $5)); }
  ;

args:
    %empty                              { $$ = LISTOF(LIST, @$); }
  | arg_list
  | arg_list COMMA
  ;
arg_list:
    arg                                 { $$ = ADD(LISTOF(LIST, @$), $1); }
  | arg_list COMMA arg                  { $$ = ADD($1, $3); }
  ;
arg:
    expr
  | NAME ASSIGN expr                    { $$ = NAMEDNODE(NAMED, @$, $1, @1, $3); }
  | DOTS expr                           { $$ = NODE(SPREAD, @$, 1, $2); }
  ;
exprs:
    expr                                { $$ = ADD(LISTOF(LIST, @$), $1); }
  | exprs COMMA expr                    { $$ = ADD($1, $3); }
  ;
elements:
    %empty                              { $$ = LISTOF(LIST, @$); }
  | element_list
  | element_list COMMA
  ;
element_list:
    element                             { $$ = ADD(LISTOF(LIST, @$), $1); }
  | element_list COMMA element          { $$ = ADD($1, $3); }
  ;
element:
    expr
  | DOTS expr                           { $$ = NODE(SPREAD, @$, 1, $2); }
  ;
fields:
    %empty                              { $$ = LISTOF(RECORD, @$); }
  | field_list
  | field_list COMMA
  ;
field_list:
    NAME                                { $$ = ADD(LISTOF(RECORD, @$),
                                                   NAMEDNODE(FIELDV, @1, $1, @1, lg_build_name(p, $1, @1, 0))); }
  | NAME COLON expr                     { $$ = ADD(LISTOF(RECORD, @$), NAMEDNODE(FIELDV, @$, $1, @1, $3)); }
  | DOTS expr                           { $$ = ADD(LISTOF(RECORD, @$), NODE(SPREAD, @$, 1, $2)); }
  | field_list COMMA NAME               { $$ = ADD($1, NAMEDNODE(FIELDV, @3, $3, @3, lg_build_name(p, $3, @3, 0))); }
  | field_list COMMA NAME COLON expr    { $$ = ADD($1, NAMEDNODE(FIELDV, lg_span_join(@3, @5), $3, @3, $5)); }
  | field_list COMMA DOTS expr          { $$ = ADD($1, NODE(SPREAD, lg_span_join(@3, @4), 1, $4)); }
  ;

subs:
    sub_list
  | sub_list COMMA
  | sub_list WHERE expr                 { $$ = ADD($1, NODE(WHERE, lg_span_join(@2, @3), 1, $3)); }
  ;
sub_list:
    sub                                 { $$ = ADD(LISTOF(LIST, @$), $1); }
  | sub_list COMMA sub                  { $$ = ADD($1, $3); }
  ;
sub:
    expr
  | DOTS                                { $$ = LISTOF(ELLIPSIS, @$); }
  | DOTS NAME                           { $$ = NAMEDNODE(PACK, @$, $2, @2, NULL); }
  | bound COLON bound                   { $$ = NODE(SLICE, @$, 3, $1, $3, NULL); }
  | bound COLON bound COLON bound       { $$ = NODE(SLICE, @$, 3, $1, $3, $5); }
  ;
bound:
    %empty                              { $$ = NULL; }
  | expr
  ;

type:
    named_type                          { $$ = $1->kind == LG_A_NAME ? lg_build_retag($1, LG_A_TYPE, @$) : $1; }
  | named_type SQUARE type_dims SQUARE_END
                                        { $$ = lg_build_retag($3, LG_A_TYPE, @$);
                                          $$->name = $1->name; $$->name_span = @1; $$->flags = LG_AF_SQUARE; }
  | named_type PAREN args PAREN_END     { $$ = lg_build_prefixed(p, $1, $3);
                                          lg_build_retag($$, LG_A_CALL, @$); }
  | FN PAREN types PAREN_END ARROW type { $$ = ADD(lg_build_retag($3, LG_A_FNTYPE, @$), $6); }
  | RECORD type_fields RECORD_END       { $$ = $2; $$->span = @$; }
  ;
named_type:
    NAME                                { $$ = lg_build_name(p, $1, @1, 0); }
  | named_type DOT NAME                 { $$ = NAMEDNODE(FIELD, @$, $3, @3, $1); }
  ;
types:
    %empty                              { $$ = LISTOF(LIST, @$); }
  | type_list
  ;
type_list:
    type                                { $$ = ADD(LISTOF(LIST, @$), $1); }
  | type_list COMMA type                { $$ = ADD($1, $3); }
  ;
type_fields:
    type_field_list
  | type_field_list COMMA
  ;
type_field_list:
    NAME COLON type                     { $$ = ADD(LISTOF(RECTYPE, @$), NAMEDNODE(FIELDV, @$, $1, @1, $3)); }
  | type_field_list COMMA NAME COLON type
                                        { $$ = ADD($1, NAMEDNODE(FIELDV, lg_span_join(@3, @5), $3, @3, $5)); }
  ;
type_dims:
    %empty                              { $$ = LISTOF(LIST, @$); }
  | type_dim_list
  | type_dim_list COMMA
  ;
type_dim_list:
    type_dim                            { $$ = ADD(LISTOF(LIST, @$), $1); }
  | type_dim_list COMMA type_dim        { $$ = ADD($1, $3); }
  ;
type_dim:
    expr
  | DOTS                                { $$ = LISTOF(ELLIPSIS, @$); }
  | DOTS NAME                           { $$ = NAMEDNODE(PACK, @$, $2, @2, NULL); }
  ;

%%

/* Only for a stack that is full: faults of syntax come through the report below. */
static void lg_gram_error(lg_span *at, lg_parser *p, const char *text) {
    (void)text;
    p->fault = true;
    lg_diag_add(p->ds, "E0106", *at, "this is nested too deeply");
}

/* The token type of a grammar symbol. */
static int type_of(yysymbol_kind_t kind) {
    int t = 0;
    while (t < YYMAXUTOK && YYTRANSLATE(t) != kind)
        t++;
    return t;
}

static int yyreport_syntax_error(const yypcontext_t *ctx, lg_parser *p) {
    yysymbol_kind_t kinds[YYNTOKENS];
    int types[YYNTOKENS], n_types = 0;
    int n = yypcontext_expected_tokens(ctx, kinds, YYNTOKENS);
    for (int i = 0; i < n; i++)
        types[n_types++] = type_of(kinds[i]);
    p->fault = true;
    lg_syntax_error(p, type_of(yypcontext_token(ctx)), *yypcontext_location(ctx), types, n_types);
    return 0;
}
