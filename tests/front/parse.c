/* parse.c: the front end by itself: forms parse to the trees they should, print and parse again to
 * the same, recovery finds every fault, and no bytes whatever crash it. */
#include "compiler/front/parse.h"
#include <glob.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;

static void check(bool ok, const char *what, const char *text) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s: %.200s\n", what, text);
}

typedef struct {
    lg_arena *arena;
    lg_diags ds;
    lg_ast *tree;
} parsed;

static parsed parse(const char *text, size_t n) {
    parsed p = {.arena = lg_arena_new()};
    lg_diags_init(&p.ds);
    p.tree = lg_parse(p.arena, lg_source_add("test.lg", text, n), &p.ds);
    return p;
}

static void done(parsed *p) {
    lg_diags_fini(&p->ds);
    lg_arena_free(p->arena);
}

/* The tree without its spans. */
static bool same_tree(const lg_ast *a, const lg_ast *b) {
    if (!a || !b)
        return a == b;
    bool text = a->text && b->text ? !strcmp(a->text, b->text) : a->text == b->text;
    bool doc = a->doc && b->doc ? !strcmp(a->doc, b->doc) : a->doc == b->doc;
    if (a->kind != b->kind || a->flags != b->flags || a->name != b->name || a->n != b->n || !text ||
        !doc)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!same_tree(a->kid[i], b->kid[i]))
            return false;
    return true;
}

static void round_trip(const char *what, const char *text, size_t n) {
    parsed p = parse(text, n);
    check(p.ds.errors == 0, "does not parse", what);
    if (p.ds.errors)
        lg_diags_print(&p.ds, stdout, false);
    lg_buf once = {0}, twice = {0}, bytes = {0};
    lg_print_tree(p.tree, &once);
    parsed q = parse(once.at ? once.at : "", once.n);
    check(same_tree(p.tree, q.tree), "the tidy text parses to another tree", what);
    lg_print_tree(q.tree, &twice);
    check(once.n == twice.n && (!once.n || !memcmp(once.at, twice.at, once.n)),
          "tidying again changes", what);
    lg_ast_write(p.tree, &bytes);
    lg_ast *r = lg_ast_read(p.arena, bytes.at, bytes.n, p.tree->span.file);
    check(r && same_tree(p.tree, r), "the binary form reads back as another tree", what);
    lg_buf_free(&once);
    lg_buf_free(&twice);
    lg_buf_free(&bytes);
    done(&q);
    done(&p);
}

static char *load(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    char *text = lg_alloc(1 << 20);
    *n = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
    if (f)
        fclose(f);
    return text;
}

static void files(void (*fn)(const char *what, const char *text, size_t n)) {
    static const char *const patterns[] = {"stdlib/*.lg", "examples/*.lg", "tests/lang/*.lg"};
    for (size_t k = 0; k < LG_COUNT(patterns); k++) {
        glob_t g;
        if (glob(patterns[k], 0, NULL, &g) != 0)
            continue;
        for (size_t i = 0; i < g.gl_pathc; i++) {
            size_t n;
            char *text = load(g.gl_pathv[i], &n);
            fn(g.gl_pathv[i], text, n);
            lg_free(text);
        }
        globfree(&g);
    }
}

/* ---- forms ---- */

static const char *const forms[] = {
    "let a = -x^2 + 3*y // 4 % 5 @ z",
    "let a = not x in y and b or c |> f(1) |> g",
    "let a = 0 <= x < n == m",
    "let a = if c then x else if d then y else z",
    "let a = x + if c then 1 else 2",
    "let f = fn (a: float[N, 3*K], b = 2) -> float = a*b",
    "let f = fn (v) { let w = v; return w }",
    "let {a, b: c} = r; let _ = 3",
    "let y[i in 0..3, j, ...] = sum[k where k != i](x[i, k])*z[..., j]",
    "let s = x[1:, :-1, ::2, a:b:c]",
    "n'[k] = n[k] + 1",
    "r' = {a: 1, b, ...c, in: 2}.in",
    "let g = r.`*.w`.a.if",
    "let r = scan (a = 1, b = 2) for x in rev(0..9) while a < 3 { a' = b; yield {x} }",
    "let r = scan for i in 0..3 { yield i }",
    "let r = scan () static for i in l { yield i }",
    "let r = for {name, value, index} in q { yield value }",
    "static for i in 0..3 { print i }",
    "let z = rand normal([3], std=2)[0] + run fit(lr=1e-3).loss",
    "when a { x' = 1 } else when b { x' = 2 } else { x' = 3 }",
    "when a { x' = 1 }\nelse { x' = 3 }",
    "import std.losses; import \"a/b.lg\" as b",
    "dim A = 1, B, C = A + B",
    "arg n: i64 in 1..9 = 3 ## how many",
    "param b: float[H] = zeros() when bias",
    "part a[i in 0..3] = Conv(d=i) from r when c",
    "optimizer o(lr) for p: float[M, N] { p' = p - lr*g }",
    "optimizer `a.**, b.*` = sgd(0.1)",
    "fn m(z: float[N, C], y: i32[N] in C)[i, j] -> float[N, C] = z[i, y[i]] - z[i, j]",
    "fn h(x: float[...S]) -> {a: float[...S], b: i32} = x with vjp(dy) = {x: dy}",
    "fn f(g: fn(R, float) -> R, w: Factored(C, D), o: m.Policy, n: str in [\"a\", \"b\"] = \"a\") "
    "= g",
    "fn f(x: f64[N]) -> f64[N] from \"libx.so\"",
    "data d(a = 1) from csv(\"x\") |> split(a) { field x: f32[3] = c; field y: i32 in 10 = d }",
    "train t(lr = 0.1) { part net = M(); data = d; data src = e; loss = f; loss g = h; optimizer = "
    "o; clip = 1.0\n"
    "  phase q { epochs = 3; quantize `a.*` with int(4); freeze `b`, `c` when k }\n"
    "  eval d(\"t\") every 1 epochs { loss = 1; acc = 2 }\n"
    "  save \"r\" every 5 steps; stop when acc > 0.9; metric z = 3; metric w }",
    "print \"a {x:.3f} {{}} {f(\"in {y}\"):>8} \\n\\t\\\"\\\\\"",
    "table {m, a: b}; plot c; accept a > b, \"claim\"; check gradcheck(f), order(f, 2); require q",
    "let train = 3; let loss = train + data; f(data=x, state=y, from=2)",
    "let a = x\n  |> f\n  + 3\nlet b = [1,\n 2, ...c,]",
    "model M(H) { state m = ref; let {u, v} = svd(w); fn call(x) = x }",
};

static void test_forms(void) {
    for (size_t i = 0; i < LG_COUNT(forms); i++)
        round_trip(forms[i], forms[i], strlen(forms[i]));
}

/* ---- what a tree is ---- */

static void test_text(const char *source, const char *text) {
    lg_arena *a = lg_arena_new();
    lg_diags ds;
    lg_diags_init(&ds);
    lg_ast *t = lg_parse_expr(a, lg_source_add("expr", source, strlen(source)), &ds);
    const char *got = t ? lg_ast_text(a, t) : "(no tree)";
    check(!strcmp(got, text), "text of an expression",
          lg_arena_printf(a, "%s printed as %s", source, got));
    lg_diags_fini(&ds);
    lg_arena_free(a);
}

static void test_documents(void) {
    static const char text[] =
        "## One.\n## More.\nfn f(x) = x\n\narg a: i64 = 1   ## behind\n\n"
        "model M(  ## head\n  H,  ## of H\n  K) {\n  ## inner\n  param w: f32[H]\n}\n";
    parsed p = parse(text, strlen(text));
    lg_ast **k = p.tree->kid;
    check(k[0]->doc && !strcmp(k[0]->doc, "One.\nMore."), "doc before", text);
    check(k[1]->doc && !strcmp(k[1]->doc, "behind"), "doc behind", text);
    check(k[2]->kid[LG_D_BLOCK]->kid[0]->doc != NULL, "doc in a block", text);
    check(k[2]->kid[LG_D_PARAMS]->kid[0]->doc &&
              !strcmp(k[2]->kid[LG_D_PARAMS]->kid[0]->doc, "of H"),
          "doc of a parameter", text);
    done(&p);
}

static void test_spans(void) {
    static const char text[] = "let abc = f(x,\n  \"a {y + 1:.2f}\")";
    parsed p = parse(text, strlen(text));
    const lg_ast *call = p.tree->kid[0]->kid[1], *sum = call->kid[2]->kid[1]->kid[0];
    check(call->span.beg == 10 && call->span.end == strlen(text), "span of a call", text);
    check(sum->kind == LG_A_BINARY && !strncmp(text + sum->span.beg, "y + 1", 5) &&
              sum->span.end - sum->span.beg == 5,
          "span inside a string", text);
    check(call->kid[2]->kid[1]->text && !strcmp(call->kid[2]->kid[1]->text, ".2f"), "format", text);
    done(&p);
}

static void test_recovery(void) {
    static const char text[] =
        "fn a() { let x = ) ; let y = 1 }\nlet b = 3 3\nmodel M {\n  param w f\n"
        "  part p = (1, 2)\n  fn call(x) = x +\n}\nlet c = 4 *\nlet d = [1 2]\n";
    parsed p = parse(text, strlen(text));
    check(p.ds.errors == 7, "number of faults found", text);
    if (p.ds.errors != 7)
        lg_diags_print(&p.ds, stdout, false);
    done(&p);
    lg_buf many = {0};
    for (int i = 0; i < 100; i++)
        lg_buf_printf(&many, "let a%d = ) 1\n", i);
    p = parse(many.at, many.n);
    check(p.ds.list.n == 20 && p.ds.dropped == 80, "20 faults are kept", "many");
    done(&p);
    lg_buf_free(&many);
}

static void test_incomplete(void) {
    static const struct {
        const char *text;
        bool incomplete;
    } rows[] = {{"let a = 1", false},
                {"f(", true},
                {"f(1,\n2)", false},
                {"fn f() {", true},
                {"fn f() { return [1, 2] }", false},
                {"print \"a", true},
                {"print \"a {x\"", true},
                {"# (", false},
                {"freeze `a", false},
                {"let a =", true},
                {"1 +  # more", true},
                {"if a then", true},
                {"true", false},
                {"let a = 1;", false},
                {")", false},
                {"", false}};
    for (size_t i = 0; i < LG_COUNT(rows); i++)
        check(lg_parse_incomplete(rows[i].text, strlen(rows[i].text)) == rows[i].incomplete,
              "is it incomplete?", rows[i].text);
}

/* ---- bytes of all kinds ---- */

static uint64_t seed = 88172645463325252u;

static uint32_t draw(uint32_t below) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % below;
}

static void survive(const char *text, size_t n) {
    parsed p = parse(text, n);
    check(p.tree != NULL, "no tree", text);
    lg_buf out = {0};
    lg_print_tree(p.tree, &out);
    lg_buf_free(&out);
    lg_parse_incomplete(text, n);
    FILE *nowhere = fopen("/dev/null", "w");
    if (nowhere) {
        lg_tokens_dump(p.tree->span.file, nowhere);
        lg_diags_print(&p.ds, nowhere, false);
        fclose(nowhere);
    }
    done(&p);
}

static void noise(void) {
    char text[400];
    for (int i = 0; i < 1500; i++) {
        uint32_t n = draw(sizeof text);
        bool any = draw(4) == 0;
        for (uint32_t k = 0; k < n; k++)
            text[k] = any ? (char)draw(256) : "(){}[]\"`\\#\n ;:=,.xif+-'0"[draw(25)];
        survive(text, n);
    }
}

static void soup(void) {
    static const char *const words[] = {
        "if ",    "then ",   "else ",  "for ",   "in ",   "scan ",      "while ",
        "yield ", "return ", "let ",   "fn ",    "and ",  "not ",       "with ",
        "when ",  "model ",  "train ", "data ",  "loss ", "state ",     "x ",
        "y' ",    "f(",      ")",      "[",      "]",     "{",          "}",
        ",",      ";",       ":",      "...",    "..",    "=",          "->",
        "|>",     "-",       "*",      "1 ",     "2.5 ",  "\"a {x}\" ", "`a.*` ",
        "\n",     "from ",   "where ", "every ", "rand ", "static ",    "optimizer "};
    for (int i = 0; i < 1500; i++) {
        lg_buf b = {0};
        for (uint32_t n = draw(60); n; n--) {
            const char *w = words[draw(LG_COUNT(words))];
            lg_buf_put(&b, w, strlen(w));
        }
        survive(b.at ? b.at : "", b.n);
        lg_buf_free(&b);
    }
}

/* Programs with a few bytes changed, left out, or doubled. */
static void damage(const char *what, const char *text, size_t n) {
    (void)what;
    char *copy = lg_alloc(n + 64);
    for (int round = 0; n && round < 12; round++) {
        size_t m = n;
        memcpy(copy, text, n);
        for (uint32_t k = 1 + draw(4); k; k--) {
            uint32_t at = draw((uint32_t)m), len = 1 + draw(6);
            if (draw(2) && at + len < m) {
                memmove(copy + at, copy + at + len, m - at - len);
                m -= len;
            } else {
                copy[at] = (char)(32 + draw(96));
            }
        }
        survive(copy, m);
    }
    lg_free(copy);
}

static void deep(void) {
    static const struct {
        const char *open, *close;
    } rows[] = {{"(", ")"},   {"[", "]"},        {"{a: ", "}"}, {"-", ""},
                {"not ", ""}, {"1 + ", ""},      {"f(", ")"},   {"if a then b else ", ""},
                {"2^", ""},   {"fn (x) = ", ""}, {"", ".a"},    {"", "[0]"}};
    for (size_t i = 0; i < LG_COUNT(rows); i++) {
        lg_buf b = {0};
        lg_buf_printf(&b, "let a = ");
        for (int k = 0; k < 30000; k++)
            lg_buf_printf(&b, "%s", rows[i].open);
        lg_buf_printf(&b, "x");
        for (int k = 0; k < 30000; k++)
            lg_buf_printf(&b, "%s", rows[i].close);
        parsed p = parse(b.at, b.n);
        check(p.ds.errors > 0, "30000 levels are too many", rows[i].open);
        done(&p);
        lg_buf_free(&b);
    }
}

int main(void) {
    test_forms();
    files(round_trip);
    test_text("a+b * (c)", "a+b * (c)");
    test_text("f(x , k = 2)[ i,j where i!=j ].m", "f(x, k=2)[i, j where i != j].m");
    test_text("{ a , b : 2 }", "{a, b: 2}");
    test_text("x[ : , 1 :2]", "x[:, 1:2]");
    test_text("\"n {a :.2f}\\n\"", "\"n {a:.2f}\\n\"");
    test_documents();
    test_spans();
    test_recovery();
    test_incomplete();
    noise();
    soup();
    files(damage);
    deep();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
