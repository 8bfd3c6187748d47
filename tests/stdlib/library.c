/* library.c: what every declaration of the library promises, found by listing it: a doc comment, an
 * example that gives the value it says, optimizers that go downhill, quantizers that leave alone
 * what they made, schedules that stay finite. Not for numbers of other implementations
 * (tests/goldens). LIBRARY_ONLY=name looks at one declaration. */
#include "compiler/front/ast.h"
#include "compiler/mid/embedded.h"
#include "runtime/io.h"
#include "tests/program.h"
#include <math.h>

static int passed, failed;
static lg_arena *arena;

static void report(const char *name, const char *what, bool ok, const char *why) {
    passed += ok;
    failed += !ok;
    if (!ok)
        printf("FAILED %s, %s: %s\n", name, what, why);
}

/* ---- the declarations ---- */

typedef struct {
    const lg_ast *decl;
    const char *module;
} row;
static LG_VEC(row) library;

static void list_library(void) {
    const char *only = getenv("LIBRARY_ONLY");
    for (const lg_embedded *e = lg_stdlib; e->name; e++) {
        const lg_ast *tree = lg_ast_read(arena, e->tree, e->n_tree, 1);
        for (uint32_t i = 0; tree && i < tree->n; i++) {
            const lg_ast *d = tree->kid[i];
            bool open = d->kind == LG_A_DECL && d->name && d->name[0] != '_';
            if (open && (!only || !strcmp(only, d->name)))
                LG_PUSH(library, ((row){d, e->name}));
        }
    }
}

static bool is_kind(const row *r, const char *word) {
    return !strcmp(r->decl->text, word);
}

static bool is_of(const row *r, const char *module, const char *word) {
    return !strcmp(r->module, module) && is_kind(r, word);
}

/* Is it the first of its name? An optimizer may have several declarations, one a shape. */
static bool is_first(size_t k) {
    for (size_t i = 0; i < k; i++)
        if (library.at[i].decl->name == library.at[k].decl->name &&
            is_kind(&library.at[i], library.at[k].decl->text))
            return false;
    return true;
}

/* ---- results of programs ---- */

static lg_tensor *result(int number) {
    char path[120];
    lg_diags ds;
    lg_tensor *x = NULL;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds, .max_bytes = (size_t)1 << 28};
    snprintf(path, sizeof path, "%s/%d.npy", scratch, number);
    if (lg_npy_load(&io, path, &x) != LG_OK)
        x = NULL;
    lg_diags_fini(&ds);
    return x;
}

/* Runs `text` as the body of an entry. */
static bool run_body(const char *text, const char *dtype, char *why, size_t n_why) {
    lg_buf program = {0};
    lg_buf_printf(&program, "entry main {\n%s}\n", text);
    bool ok = program_run(&program, NULL, dtype, why, n_why);
    lg_free(program_log(ok, why, n_why));
    lg_buf_free(&program);
    return ok;
}

/* ---- examples: `## example: e ~ v` ---- */

typedef struct {
    const char *of;
    char *e, *v; /* arena */
} example;
static LG_VEC(example) examples;

static int examples_of(const lg_ast *decl) {
    static const char mark[] = "example:";
    int n = 0;
    for (const char *line = decl->doc; line && *line; line = strchr(line, '\n')) {
        line += strspn(line, "\n ");
        if (strncmp(line, mark, sizeof mark - 1) != 0)
            continue;
        line += sizeof mark - 1;
        size_t len = strcspn(line, "\n"), cut = len;
        while (cut > 1 && !(line[cut - 1] == '~' && line[cut - 2] == ' '))
            cut--;
        n++;
        if (cut <= 1) {
            report(decl->name, "example", false, "it has no `~`");
            continue;
        }
        LG_PUSH(examples,
                ((example){decl->name, lg_arena_printf(arena, "%.*s", (int)cut - 1, line),
                           lg_arena_printf(arena, "%.*s", (int)(len - cut), line + cut)}));
    }
    return n;
}

/* The next number of a text, and how far off its last digit may be. */
static bool next_number(const char **at, double *v, double *slack) {
    *at += strcspn(*at, "-0123456789tfin");
    if (!**at)
        return false;
    bool is_true = !strncmp(*at, "true", 4);
    if (is_true || !strncmp(*at, "false", 5)) {
        *v = is_true;
        *slack = 0;
        *at += is_true ? 4 : 5;
        return true;
    }
    char *end;
    *v = strtod(*at, &end);
    if (end == *at)
        return false;
    const char *point = memchr(*at, '.', (size_t)(end - *at)),
               *e = memchr(*at, 'e', (size_t)(end - *at));
    int digits = point ? (int)strspn(point + 1, "0123456789") : 0;
    *slack = 1e-6 * fabs(*v) + 1e-9;
    if (digits >= 4) /* written to so many digits */
        *slack += 0.51 * pow(10, (e ? atof(e + 1) : 0) - digits);
    *at = end;
    return true;
}

static bool as_written(const lg_tensor *x, const char *text, char *why, size_t n_why) {
    size_t n = 1, i = 0;
    for (int d = 0; d < x->rank; d++)
        n *= (size_t)x->shape[d];
    double want, slack;
    for (; next_number(&text, &want, &slack); i++) {
        double got = i < n ? lg_get_f64(x->dtype, x->data, i) : (double)NAN;
        bool same = isnan(want)   ? isnan(got)
                    : isinf(want) ? !(got < want) && !(got > want)
                                  : fabs(got - want) <= slack;
        if (same)
            continue;
        snprintf(why, n_why, "value %zu is %.8g, the example says %.8g", i, got, want);
        return false;
    }
    snprintf(why, n_why, "%zu values, the example has %zu", n, i);
    return n == i;
}

static void put_example(lg_buf *b, size_t k) {
    lg_buf_printf(b, "  write \"%s/%zu.npy\",%s\n", scratch, k, examples.at[k].e);
}

static void check_example(size_t k, bool ran, const char *said) {
    char why[300];
    lg_tensor *x = ran ? result((int)k) : NULL;
    snprintf(why, sizeof why, "%s", ran ? "nothing was written" : said);
    bool ok = x && as_written(x, examples.at[k].v, why, sizeof why);
    report(examples.at[k].of, examples.at[k].e, ok, why);
    if (x)
        lg_tensor_release(x);
}

/* Many in one program; where that fails, each by itself. */
static void run_examples(void) {
    enum { BATCH = 25 };
    char why[300] = "";
    for (size_t first = 0; first < examples.n; first += BATCH) {
        size_t end = first + BATCH < examples.n ? first + BATCH : examples.n;
        lg_buf all = {0};
        for (size_t k = first; k < end; k++)
            put_example(&all, k);
        bool ok = run_body(all.at, "f32", why, sizeof why);
        lg_buf_free(&all);
        for (size_t k = first; k < end; k++) {
            bool one = ok;
            if (!ok) {
                lg_buf b = {0};
                scratch_sweep();
                put_example(&b, k);
                one = run_body(b.at, "f32", why, sizeof why);
                lg_buf_free(&b);
            }
            check_example(k, one, why);
        }
        scratch_sweep();
    }
}

/* Examples are one line: what takes a function is shown by tests/lang and examples/. */
static bool takes_function(const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++)
        if (params->kid[i]->kid[0] && params->kid[i]->kid[0]->kind == LG_A_FNTYPE)
            return true;
    return false;
}

/* Why an entry has no example line; NULL: it must have one. */
static const char *no_example(const row *r) {
    if (is_kind(r, "model"))
        return "its parameters are drawn";
    if (is_kind(r, "optimizer"))
        return "it goes downhill on the bowl below";
    return is_kind(r, "data")        ? "its rows are drawn"
           : takes_function(r->decl) ? "it takes a function"
                                     : NULL;
}

/* Entries that are from somewhere or follow from a formula. */
static bool is_method(const row *r) {
    static const char *const kinds[] = {"loss", "optimizer", "schedule", "quantizer", "model"};
    bool is = is_of(r, "init", "fn") || (!strncmp(r->module, "metrics", 7) && is_kind(r, "fn"));
    for (size_t i = 0; i < LG_COUNT(kinds); i++)
        is = is || is_kind(r, kinds[i]);
    return is;
}

static bool has_year(const char *text) {
    for (; (text = strpbrk(text, "0123456789")); text += strspn(text, "0123456789"))
        if (strspn(text, "0123456789") == 4 && (*text == '1' || *text == '2'))
            return true;
    return false;
}

/* A sentence, with a formula in plain text or where it is from. */
static void check_text(const row *r) {
    static const char *const from[] = {"PyTorch", "torchvision",  "torchmetrics",
                                       "optax",   "scikit-learn", "GGUF",
                                       "max(",    "log(",         " - "};
    const char *doc = r->decl->doc ? r->decl->doc : "";
    char text[2000] = "";
    int words = 0;
    for (const char *line = doc; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (strncmp(line + strspn(line, " "), "example:", 8) != 0)
            strncat(text, line,
                    strcspn(line, "\n") + 1 < sizeof text - strlen(text) - 1
                        ? strcspn(line, "\n") + 1
                        : 0);
    for (const char *c = text; *(c += strspn(c, " \n")); c += strcspn(c, " \n"))
        words++;
    report(r->decl->name, "sentence", (words >= 3 || strpbrk(text, "*/")) && strpbrk(text, ".?"),
           text);
    bool known = has_year(text) || strpbrk(text, "=*/^|<>[");
    for (size_t i = 0; i < LG_COUNT(from); i++)
        known = known || strstr(text, from[i]);
    if (is_method(r))
        report(r->decl->name, "source or formula", known, text);
}

static void check_texts(void) {
    for (size_t k = 0; k < library.n; k++) {
        const lg_ast *d = library.at[k].decl;
        if (!is_first(k))
            continue;
        check_text(&library.at[k]);
        int n = examples_of(d);
        report(d->name, "example", n > 0 || no_example(&library.at[k]), "there is none");
    }
}

/* ---- optimizers: 300 updates on a bowl ---- */

static void put_argument(lg_buf *b, bool *comma, const char *name, const char *value) {
    lg_buf_printf(b, "%s%s=%s", *comma ? ", " : "", name, value);
    *comma = true;
}

/* What the bowl gives to a parameter by its type; NULL: its default. */
static const char *bowl_argument(const lg_ast *p) {
    const lg_ast *type = p->kid[0];
    if (type && type->kind == LG_A_FNTYPE)
        return "closure_";
    if (type && type->kind == LG_A_TYPE && !strcmp(type->name, "optimizer"))
        return "sgd(lr=0.05)";
    if (type && type->kind == LG_A_TYPE && !type->name[1]) /* R: like the parameters */
        return "ones(like=p)";
    if (type && !p->kid[1] && !p->kid[2] && type->n == 2) /* some columns, then others */
        return "[[0], [1]]";
    if (type && !p->kid[1] && !p->kid[2] && type->n == 3) /* a span of columns, then another */
        return "[[[1.0], [0.0], [0.0]], [[0.0], [0.6], [0.8]]]";
    if (!strcmp(p->name, "density")) /* the bowl is small: a quarter of it is nothing */
        return "0.5";
    bool slow =
        !strcmp(p->name, "lr") && p->kid[2] && p->kid[2]->kind == LG_A_NUM && p->kid[2]->num < 0.02;
    return slow ? "0.02" : NULL;
}

static void check_optimizer(const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    const lg_ast *of = decl->kid[LG_D_FOR] ? decl->kid[LG_D_FOR]->kid[0] : NULL;
    bool record = of && of->kind == LG_A_TYPE && !of->name[1]; /* for p: R */
    const char *open = record ? "{w: " : "", *close = record ? "}" : "", *q = record ? "q.w" : "q";
    bool comma = false;
    lg_buf b = {0};
    lg_buf_printf(&b,
                  "  let start = %sfloat([[2.0, -1.0, 0.5], [1.5, 3.0, -2.0]])%s\n"
                  "  let bowl_ = fn (q) = 0.5*sum((%s - 1)^2) + 0.25*sum((%s[0] + %s[1])^2)\n"
                  "  let closure_ = fn (q) = value_and_grad(bowl_, at=q)\n"
                  "  let end = scan (p = start) for i in 0..300 { p' = %s(",
                  open, close, q, q, q, decl->name);
    for (uint32_t i = 0; params && i < params->n; i++) {
        const char *value = bowl_argument(params->kid[i]);
        if (value)
            put_argument(&b, &comma, params->kid[i]->name, value);
    }
    lg_buf_printf(&b,
                  ")(p, grad(bowl_, at=p)) }\n  write \"%s/0.npy\", bowl_(start)\n"
                  "  write \"%s/1.npy\", bowl_(end)\n",
                  scratch, scratch);
    char why[300] = "nothing was written";
    bool ok = run_body(b.at, "f32", why, sizeof why);
    lg_tensor *was = ok ? result(0) : NULL, *is = ok ? result(1) : NULL;
    if (was && is) {
        double from = lg_get_f64(was->dtype, was->data, 0), to = lg_get_f64(is->dtype, is->data, 0);
        ok = to < 0.95 * from;
        snprintf(why, sizeof why, "the bowl goes from %.4g to %.4g", from, to);
    }
    report(decl->name, "descent", ok && was && is, why);
    if (was)
        lg_tensor_release(was);
    if (is)
        lg_tensor_release(is);
    scratch_sweep();
    lg_buf_free(&b);
}

/* ---- quantizers: what was quantized stays as it is ---- */

static void check_quantizer(const lg_ast *decl) {
    lg_buf b = {0};
    lg_buf_printf(
        &b,
        "  let x[i in 0..7, j in 0..32] = sin(float(i*32 + j)) + 0.3*cos(float(3*i - j))\n"
        "  let q = %s()\n  let once = q(x)\n"
        "  write \"%s/0.npy\", max(abs(q(once) - once))\n"
        "  write \"%s/1.npy\", max(abs(q.decode(q.encode(x)) - once))\n"
        "  write \"%s/2.npy\", max(abs(once - x))\n",
        decl->name, scratch, scratch, scratch);
    static const char *const claims[] = {"twice is once", "codes give the same values",
                                         "stays near"};
    static const double most[] = {1e-5, 1e-5, 0.5};
    char why[300] = "nothing was written";
    bool ran = run_body(b.at, "f32", why, sizeof why);
    for (int k = 0; k < 3; k++) {
        lg_tensor *x = ran ? result(k) : NULL;
        double off = x ? lg_get_f64(x->dtype, x->data, 0) : (double)INFINITY;
        if (x)
            snprintf(why, sizeof why, "off by %.3g", off);
        report(decl->name, claims[k], off <= most[k], why);
        if (x)
            lg_tensor_release(x);
    }
    scratch_sweep();
    lg_buf_free(&b);
}

/* ---- schedules: finite from the first step to the last ---- */

static void check_schedule(const lg_ast *decl) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    lg_buf b = {0};
    bool comma = false;
    lg_buf_printf(&b, "  let v[i in 0..60] = %s(", decl->name);
    for (uint32_t i = 0; params && i < params->n; i++)
        if (!params->kid[i]->kid[2])
            put_argument(&b, &comma, params->kid[i]->name, params->kid[i]->kid[0] ? "4" : "0.1");
    lg_buf_printf(&b,
                  "%sstep=i, epoch=i//10, steps=60)\n  write \"%s/0.npy\", all(isfinite(v))\n"
                  "  write \"%s/1.npy\", max(abs(v))\n",
                  comma ? ", " : "", scratch, scratch);
    char why[300] = "it is not finite everywhere";
    bool ran = run_body(b.at, "f32", why, sizeof why);
    lg_tensor *x = ran ? result(0) : NULL, *top = ran ? result(1) : NULL;
    report(decl->name, "finite", x && lg_get_i64(x->dtype, x->data, 0), why);
    report(decl->name, "not always 0", top && lg_get_f64(top->dtype, top->data, 0) > 0, "it is");
    if (x)
        lg_tensor_release(x);
    if (top)
        lg_tensor_release(top);
    scratch_sweep();
    lg_buf_free(&b);
}

/* ---- no name is found twice ---- */

static void check_names(void) {
    for (size_t i = 0; i < library.n; i++)
        for (size_t k = 0; k < i; k++)
            if (library.at[i].decl->name == library.at[k].decl->name &&
                strcmp(library.at[i].module, library.at[k].module) != 0)
                report(library.at[i].decl->name, "one module", false, library.at[k].module);
}

static int count(bool (*is)(const row *)) {
    int n = 0;
    for (size_t k = 0; k < library.n; k++)
        n += is_first(k) && is(&library.at[k]);
    return n;
}

static bool a_loss(const row *r) {
    return is_kind(r, "loss");
}
static bool an_optimizer(const row *r) {
    return is_kind(r, "optimizer");
}
static bool a_schedule(const row *r) {
    return !strcmp(r->module, "schedules");
}
static bool a_quantizer(const row *r) {
    return !strcmp(r->module, "quantizers");
}
static bool a_layer(const row *r) {
    return is_kind(r, "model");
}
static bool a_metric(const row *r) { /* of metrics.lg or metrics_*.lg */
    return !strncmp(r->module, "metrics", 7) && is_kind(r, "fn");
}
static bool an_initialiser(const row *r) { /* what stands behind `param w: ... =` */
    const lg_ast *params = r->decl->kid[LG_D_PARAMS];
    bool like = params && params->n && !strcmp(params->kid[0]->name, "like");
    return is_of(r, "init", "fn") && like && strncmp(r->decl->name, "fan_", 4) != 0;
}

int main(void) {
    arena = lg_arena_new();
    list_library();
    if (!library.n || !scratch_make())
        return 1;
    check_names();
    check_texts();
    run_examples();
    for (size_t k = 0; k < library.n; k++) {
        if (!is_first(k))
            continue;
        if (an_optimizer(&library.at[k]))
            check_optimizer(library.at[k].decl);
        else if (is_kind(&library.at[k], "quantizer"))
            check_quantizer(library.at[k].decl);
        else if (is_kind(&library.at[k], "schedule"))
            check_schedule(library.at[k].decl);
    }
    printf("%d losses, %d optimizers, %d schedules, %d quantizers, %d layers, %d metrics, "
           "%d initialisers\n",
           count(a_loss), count(an_optimizer), count(a_schedule), count(a_quantizer),
           count(a_layer), count(a_metric), count(an_initialiser));
    scratch_sweep();
    rmdir(scratch);
    lg_free(library.at);
    lg_free(examples.at);
    lg_arena_free(arena);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
