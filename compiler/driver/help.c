/* help.c: `lg help`, `lg explain`, `lg ops`, `lg version`: what the library, the builtins, the ops
 * and the words of the language are, from their own declarations. */
#include "compiler/driver/command.h"
#include "compiler/front/print.h"
#include "compiler/host/host.h"
#include "compiler/mid/also.h"
#include "compiler/mid/embedded.h"
#include "ops/ops.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* ---- words of the language ---- */

static const struct {
    const char *word, *form, *text;
} words[] = {
    {"accept", "accept cond, \"claim\"",
     "Prints ok or what falls short, and sets the exit status."},
    {"arg", "arg name: type in allowed = default   ## help", "An option of the program."},
    {"below", "rand below(n, shape)", "Integers from 0 to n - 1, all as likely."},
    {"bernoulli", "rand bernoulli(p, shape)", "True with probability p."},
    {"beta", "rand beta(a, b, shape)", "Numbers of the beta distribution, in 0 .. 1."},
    {"bf16", "bf16(x)    bf16[B, H]", "Brain float: the range of f32 with 8 bits of precision."},
    {"bool", "bool(x)    bool[B]", "true or false; of a number, whether it is not 0."},
    {"categorical", "rand categorical(logits=z)    rand categorical(p=w)",
     "The number of a class, drawn by its logit or its weight along the last dim."},
    {"check", "check gradcheck(f), order(f, 2)", "Tried by `lg check`."},
    {"choice", "rand choice(n, k)", "k different integers below n, in random order."},
    {"data", "data name(params) from source |> stage { field x: type = e }",
     "Rows, described one by one."},
    {"compute", "compute = bf16", "A train rounds the operands of products to bf16 and sums in f32."},
    {"dim", "dim N = 10, F = N/2 + 1", "Names of sizes; they are part of types."},
    {"entry", "entry name(params) { statements }", "Host code that `lg run FILE name` runs."},
    {"epoch", "epoch", "How many epochs of the train or phase are done, from 0."},
    {"epochs", "epochs = 10", "How often a train or phase goes over its data."},
    {"eval", "eval data every 1 epochs { name = e }", "Measures on another set while training."},
    {"every", "eval d every 1 epochs { }    save \"dir\" every 100 steps",
     "How often something happens in a train."},
    {"exponential", "rand exponential(shape, rate=1)", "Waiting times: mean 1/rate."},
    {"f16", "f16(x)    f16[B, H]", "Half precision float."},
    {"f32", "f32(x)    f32[B, H]", "Single precision float, what `float` means by default."},
    {"f64", "f64(x)    f64[B, H]", "Double precision float; `--float f64` makes it what `float` is."},
    {"field", "field name: type in allowed = e", "A value of each row of data."},
    {"float", "float(x)    float[B, H]",
     "The float type of the call: one of f64 f32 bf16 f16 in a signature."},
    {"fn", "fn name(params) -> type = e    fn name(params) { }    fn (x) = e",
     "A function; graph code is pure."},
    {"for", "for x in list { yield e }",
     "Runs in order over a list, range or record; `static for` unrolls."},
    {"freeze", "freeze `selector`", "These parameters are not trained."},
    {"from", "part net = M() from \"runs/dir\"    data d from csv(path) { }",
     "Where values come from: a save, a record or run, a file, a library."},
    {"gamma", "rand gamma(alpha, shape)", "Numbers of the gamma distribution with that shape; no derivative goes to alpha."},
    {"grad", "grad(f, at=x)    grad(loss, wrt=net)",
     "The derivative of a scalar function at x, or of a value in view by what it is computed from."},
    {"gumbel", "rand gumbel(shape)", "-log(-log(u)) of uniform u."},
    {"hessian", "hessian(f, at=x)", "All second derivatives of a scalar function."},
    {"hvp", "hvp(f, at=x, dir=v)", "The Hessian of f times v, without forming it."},
    {"i32", "i32(x)    i32[B] in C", "32-bit integer; floats are cut towards 0."},
    {"i64", "i64(x)    i64[B]", "64-bit integer; sizes and indices are these."},
    {"i8", "i8(x)    i8[B]", "8-bit integer."},
    {"if", "if c then a else b", "Chooses a value; every `if` has its else."},
    {"import", "import std.losses    import \"file.lg\" as m",
     "Names of another module, as m.name."},
    {"jacobian", "jacobian(f, at=x)", "All derivatives of a function: dims of its value, then of x."},
    {"jvp", "jvp(f, at=x, dir=v)", "The derivative of f along v."},
    {"laplace", "rand laplace(shape, mean=0, scale=1)", "Numbers with density e^-|x|/2."},
    {"let", "let x = e    let y[i, j] = e    let {a, b} = e", "Introduces a name."},
    {"loss", "loss name(params) -> float[B] { }    loss = e",
     "One term for each item; the runtime takes the mean."},
    {"max_steps", "max_steps = 1000", "How many steps a train or phase makes at most."},
    {"metric", "metric name = e", "A value that a train logs."},
    {"micro", "micro = 4", "A step takes its batch in that many parts, with the same result."},
    {"model", "model Name(params) { param ...; part ...; fn call(x) }",
     "Parameters, parts and what they compute."},
    {"nonfinite", "nonfinite = \"stop\"", "What a loss that is not finite does to a train."},
    {"optimizer", "optimizer name(params) { state m = e; m' = e; p' = e }",
     "A rule for one tensor p with gradient g."},
    {"param", "param w: type = initial", "A tensor that is trained."},
    {"part", "part net = Model(sizes) from record", "A model inside a model or a train."},
    {"permutation", "rand permutation(n)", "The integers 0 .. n - 1 in random order."},
    {"phase", "phase name { settings }", "A stretch of a train with settings of its own."},
    {"plot", "plot values", "Draws values over their index."},
    {"print", "print \"text {e:.3f}\"", "Prints a line."},
    {"probe", "probe(net(x))", "What each part of the call gets and gives, by its path."},
    {"quantize", "quantize `selector` with quantizer", "Replaces values by quantized ones."},
    {"quantizer", "quantizer name { fn observe; fn encode; fn decode }",
     "Codes for values, and back."},
    {"return", "return e", "The value of a function."},
    {"rademacher", "rand rademacher(shape)", "-1 or 1, equally likely."},
    {"rand", "rand normal(dims)", "A draw, addressed by seed, place and indices."},
    {"require", "require cond, \"text {x}\"", "A contract; what does not hold is an error."},
    {"run", "run train(params)", "Trains, and gives parts, states, metrics and history."},
    {"save", "save \"dir\" every 10 epochs", "Writes a checkpoint."},
    {"scan", "scan (h = h0) for x in xs while c { h' = e; yield y }",
     "A loop that carries values."},
    {"schedule", "schedule name(params) = e", "A number that depends on step, epoch and steps."},
    {"static", "static for p in list { }", "A loop of graph code that is unrolled."},
    {"state", "state m: type = initial", "A value with a next value: m' = e."},
    {"step", "step", "How many steps of the train or phase are done, from 0."},
    {"steps", "steps", "How many steps the train or phase has."},
    {"stop", "stop when cond", "Ends a training phase."},
    {"table", "table {name: e}", "Prints rows in columns."},
    {"t", "t", "In an optimizer: the number of its update, from 1; p is the parameter, g its gradient."},
    {"train", "train name(params) { part; data; loss; optimizer; settings }",
     "What is trained, on what, and how."},
    {"training", "training", "True in the statements of a train, else false."},
    {"u8", "u8(x)    u8[B]", "8-bit integer without sign."},
    {"value_and_grad", "value_and_grad(f, at=x)", "The value of f and its derivative, as a record."},
    {"vjp", "vjp(f, at=x, dy=v)", "The value's cotangent taken back to x."},
    {"when", "when cond { statements } else { }", "Statements that happen only sometimes."},
    {"where", "sum[i where cond](e)", "Which indices of a reduction count."},
    {"with", "fn f(x) = e with vjp(dy) = {x: dy}", "A derivative rule of one's own."},
    {"while", "scan (c = c0) for i in 0..n while cond { }",
     "Rounds are made as long as this holds, tested before each."},
    {"write", "write \"x.npy\", e",
     "Writes arrays (.npy, .csv, .safetensors), a text, a picture (.png, .svg) or a sound (.wav)."},
    {"yield", "yield e", "A value of each round of a `scan` or `for`."},
};

const char *lg_help_word_at(size_t i, const char **form, const char **text) {
    if (i >= LG_COUNT(words))
        return NULL;
    *form = words[i].form;
    *text = words[i].text;
    return words[i].word;
}

static bool help_word(const char *name) {
    for (size_t i = 0; i < LG_COUNT(words); i++)
        if (!strcmp(words[i].word, name)) {
            printf("%s\n\n%s\n", words[i].form, words[i].text);
            return true;
        }
    return false;
}

/* ---- declarations ---- */

static void print_doc(const char *doc) {
    if (doc && *doc)
        printf("\n%s\n", doc);
}

/* tree: of the file that d stands in. */
static void print_declaration(const lg_ast *tree, const lg_ast *d, uint32_t file) {
    size_t n;
    uint32_t line, col;
    const char *text = lg_source_text(file, &n);
    lg_buf head = {0};
    lg_print_head(d, &head);
    printf("%s\n", head.at ? head.at : d->text);
    lg_buf_free(&head);
    lg_help_marks(tree, d);
    print_doc(d->doc);
    lg_source_where(file, d->span.beg, &line, &col);
    printf("\n%s:%u\n", lg_source_name(file), line);
    const char *from = text + d->span.beg, *end = text + (d->span.end < n ? d->span.end : n);
    while (from < end) {
        const char *stop = memchr(from, '\n', (size_t)(end - from));
        stop = stop ? stop : end;
        printf("  %.*s\n", (int)(stop - from), from);
        from = stop + 1;
    }
}

static bool help_in_tree(const lg_ast *tree, const char *name, uint32_t file, bool found) {
    for (uint32_t i = 0; i < tree->n; i++) {
        const lg_ast *d = tree->kid[i];
        if (d->kind != LG_A_DECL || !d->name || strcmp(d->name, name) != 0)
            continue;
        if (found)
            printf("\n");
        print_declaration(tree, d, file);
        found = true;
    }
    return found;
}

static bool has_name(const lg_embedded *e, const char *name) {
    size_t n = strlen(name);
    for (const char *s = e->names; (s = strstr(s, name)); s += n)
        if ((s == e->names || s[-1] == ' ') && (!s[n] || s[n] == ' '))
            return true;
    return false;
}

static bool help_library(lg_arena *a, const char *name) {
    bool found = false;
    for (const lg_embedded *e = lg_stdlib; e->name; e++) {
        if (!has_name(e, name))
            continue;
        uint32_t file = lg_source_add(lg_arena_printf(a, "std/%s.lg", e->name), e->text, e->n_text);
        const lg_ast *tree = lg_ast_read(a, e->tree, e->n_tree, file);
        found = tree ? help_in_tree(tree, name, file, found) : found;
    }
    return found;
}

/* ---- builtins, ops ---- */

static bool help_builtin(const char *name) {
    const lg_builtin *b = lg_builtin_find(lg_intern(name));
    for (size_t i = 0; !b && i < lg_host_builtin_count(); i++)
        if (!strcmp(lg_host_builtin_at(i)->name, name))
            b = lg_host_builtin_at(i);
    if (!b)
        return false;
    bool named = b->sig && !strncmp(b->sig, b->name, strlen(b->name));
    printf("%s%s\n", named ? "" : b->name, b->sig ? b->sig : "");
    print_doc(b->doc);
    return true;
}

static bool help_op(const char *name) {
    const lg_op *op = lg_op_find(name);
    if (!op || !op->sig)
        return false;
    printf("op %s %s\n", op->name, op->sig);
    print_doc(op->doc);
    if (op->example && op->result)
        printf("\nexample: %s ~ %s\n", op->example, op->result);
    for (size_t k = 0; k < LG_COUNT(op->vjp); k++)
        if (op->vjp[k])
            printf("derivative %zu: %s\n", k, op->vjp[k]);
    return true;
}

/* ---- lists ---- */

static void print_names(const char *names) {
    int col = 2;
    printf("  ");
    while (*names) {
        int n = (int)strcspn(names, " ");
        if (*names == '_') { /* private to its file */
            names += n + (names[n] == ' ');
            continue;
        }
        if (col + n > 96) {
            printf("\n  ");
            col = 2;
        }
        printf("%.*s ", n, names);
        col += n + 1;
        names += n + (names[n] == ' ');
    }
    printf("\n");
}

static int overview(void) {
    printf("lg help NAME tells what a name of the library, an op, a builtin or a word is.\n"
           "Parameters marked `static` are part of a plan: another value of one needs another plan.\n");
    for (const lg_embedded *e = lg_stdlib; e->name; e++) {
        printf("\nstd.%s\n", e->name);
        print_names(e->names);
    }
    lg_buf b = {0};
    for (size_t i = 0; i < LG_COUNT(words); i++)
        lg_buf_printf(&b, "%s ", words[i].word);
    printf("\nwords\n");
    print_names(b.at);
    lg_buf_free(&b);
    for (size_t i = 0; i < lg_builtin_count(); i++)
        lg_buf_printf(&b, "%s ", lg_builtin_at(i)->name);
    printf("\nbuilt in\n");
    print_names(b.at);
    lg_buf_free(&b);
    for (size_t i = 0; i < lg_host_builtin_count(); i++)
        lg_buf_printf(&b, "%s ", lg_host_builtin_at(i)->name);
    printf("\nreaders, stages of data and other host functions\n");
    print_names(b.at);
    lg_buf_free(&b);
    return LG_EXIT_OK;
}

static void collect(const char *names, lg_arena *a, const char ***at, size_t *n) {
    while (*names) {
        size_t len = strcspn(names, " ");
        (*at)[(*n)++] = lg_arena_printf(a, "%.*s", (int)len, names);
        names += len + (names[len] == ' ');
    }
}

/* The name of another library: how the same is written here, then what is known about that. */
static bool help_also(lg_arena *a, const char *name) {
    const lg_also *x = lg_also_find(name);
    if (!x)
        return false;
    printf("`%s` is written `%s` here.\n\n", name, x->form);
    return help_library(a, x->here) || help_builtin(x->here) || help_word(x->here) ||
           help_op(x->here);
}

size_t lg_help_names(lg_arena *a, const char ***out) {
    size_t most = LG_COUNT(words) + lg_builtin_count() + lg_host_builtin_count() + lg_op_count(),
           n = 0;
    for (const lg_embedded *e = lg_stdlib; e->name; e++)
        most += strlen(e->names) / 2 + 1;
    const char **all = LG_NEW_N(a, const char *, most);
    for (const lg_embedded *e = lg_stdlib; e->name; e++)
        collect(e->names, a, &all, &n);
    for (size_t i = 0; i < LG_COUNT(words); i++)
        all[n++] = words[i].word;
    for (size_t i = 0; i < lg_builtin_count(); i++)
        all[n++] = lg_builtin_at(i)->name;
    for (size_t i = 0; i < lg_host_builtin_count(); i++)
        all[n++] = lg_host_builtin_at(i)->name;
    for (size_t i = 0; i < lg_op_count(); i++)
        all[n++] = lg_op_at(i)->name;
    *out = all;
    return n;
}

static int not_found(lg_arena *a, const char *name) {
    const char **all;
    size_t n = lg_help_names(a, &all);
    const char *near = lg_nearest(name, all, n);
    const char *message = lg_arena_printf(a, "nothing is called `%.60s`", name);
    const char *help =
        near ? lg_arena_printf(a, "did you mean `%s`?", near) : "`lg help` lists what there is";
    lg_usage_fault("E0714", message, help);
    return LG_EXIT_FAILED;
}

/* Names of a file of the user's, when one is given. */
static int help_in_file(const char *path, const char *name) {
    lg_session s;
    lg_session_init(&s);
    lg_module *m = lg_session_load(&s, path);
    bool found = m && help_in_tree(m->tree, name, m->tree->span.file, false);
    lg_show(&s.ds);
    int status = found ? LG_EXIT_OK : m ? not_found(s.arena, name) : LG_EXIT_FAILED;
    lg_session_fini(&s);
    return status;
}

static int explain(const char *code) {
    const char *page = lg_diag_explain(code);
    if (!page)
        return -1;
    printf("%s: %s\n\n", code, lg_diag_title(code));
    int col = 0;
    while (*page) {
        int n = (int)strcspn(page, " ");
        if (col && col + 1 + n > 80) {
            printf("\n");
            col = 0;
        }
        col += printf("%s%.*s", col ? " " : "", n, page);
        page += n + (page[n] == ' ');
    }
    printf("\n");
    return LG_EXIT_OK;
}

int lg_help_name(lg_arena *a, const char *name) {
    if (!strcmp(name, "std"))
        return overview();
    if (help_library(a, name) || help_builtin(name) || help_word(name) || help_op(name) ||
        help_also(a, name) || explain(name) == LG_EXIT_OK)
        return LG_EXIT_OK;
    return not_found(a, name);
}

void lg_help_declaration(const lg_ast *d) {
    print_declaration(NULL, d, d->span.file);
}

int lg_cmd_help(int argc, char **argv) {
    lg_words w = {0};
    int status = lg_read_options("help", argc, argv, NULL, 0, false, &w);
    if (!status && !w.words.n)
        status = overview();
    else if (!status && w.words.n > 2)
        status = lg_usage_fault("E0713", "`lg help` wants one name", "lg help [NAME [FILE]]");
    else if (!status && w.words.n == 2)
        status = help_in_file(w.words.at[1], w.words.at[0]);
    else if (!status) {
        lg_arena *a = lg_arena_new();
        status = lg_help_name(a, w.words.at[0]);
        lg_arena_free(a);
    }
    lg_words_fini(&w);
    return status;
}

/* ---- lg explain, lg ops, lg version ---- */

static int list_codes(void) {
    const char *const *codes;
    size_t n = lg_diag_codes(&codes);
    for (size_t i = 0; i < n; i++)
        printf("%s  %s\n", codes[i], lg_diag_title(codes[i]));
    return LG_EXIT_OK;
}

int lg_cmd_explain(int argc, char **argv) {
    if (!argc)
        return list_codes();
    if (argc > 1)
        return lg_usage_fault("E0713", "`lg explain` wants one code", "lg explain E0203");
    char code[16] = {0};
    for (size_t i = 0; argv[0][i] && i + 1 < sizeof code; i++)
        code[i] = (char)toupper((unsigned char)argv[0][i]);
    if (explain(code) == LG_EXIT_OK)
        return LG_EXIT_OK;
    char message[80];
    snprintf(message, sizeof message, "there is no code `%.40s`", argv[0]);
    lg_usage_fault("E0714", message, "`lg explain` lists all codes");
    return LG_EXIT_FAILED;
}

int lg_cmd_ops(int argc, char **argv) {
    (void)argv;
    if (argc)
        return lg_usage_fault("E0713", "`lg ops` takes no arguments", NULL);
    for (size_t i = 0; i < lg_op_count(); i++)
        printf("%-20s %s\n", lg_op_at(i)->name, lg_op_at(i)->sig ? lg_op_at(i)->sig : "");
    return LG_EXIT_OK;
}

int lg_cmd_version(int argc, char **argv) {
    (void)argv;
    if (argc)
        return lg_usage_fault("E0713", "`lg version` takes no arguments", NULL);
    printf("lg %s\n", LG_VERSION);
    return LG_EXIT_OK;
}
