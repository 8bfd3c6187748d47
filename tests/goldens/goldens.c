/* goldens.c: compares functions of the library with golden files:
 *   goldens [--mode run|build] FILE.json ...
 * Each case becomes a small program of the language that binds the inputs, calls the function,
 * differentiates where the file has gradients and writes every named output to a file of its own. A
 * child process runs it as `lg run` does (or builds it with $LG and runs the executable), so that a
 * crash is one failed case. What a file's words mean in the language stands in the tables below.
 * GOLDENS_ONLY=name runs one function, GOLDENS_VERBOSE=1 shows the programs of failed cases. Not
 * for judging speed. Last line: N passed, N failed. */
#include "compiler/front/ast.h"
#include "compiler/mid/embedded.h"
#include "runtime/io.h"
#include "tests/program.h"
#include <jansson.h>
#include <math.h>

enum { ROUNDS = 300 /* of an optimizer that is to arrive at the minimum */ };

static const char *lg_path = "build/lg", *mode = "run";
static int passed, failed;
static lg_arena *arena;

/* ---- what the files' words mean ---- */

/* A hyperparameter of a golden file and the names its value, or the items of its list, have here.
 */
static const struct {
    const char *golden, *here[3];
} renamed[] = {
    {"betas", {"b1", "b2"}},
    {"weight_decay", {"wd"}},
    {"etas", {"eta_minus", "eta_plus"}},
    {"step_sizes", {"step_min", "step_max"}},
    {"coeffs", {"a", "b", "c"}},
};

/* How a loss's terms become the number of a `reduction`: text before and after the call; ROWS is
 * the first dim of the first input. `with` is an argument of the function that this reduction
 * gives, where it has it, and `is` its value. */
static const struct {
    const char *name, *before, *after, *with, *is;
} reductions[] = {
    {"mean", "mean(", ")", "by_length", "true"},
    {"mean_nonzero", "mean(", ")", "over", "\"nonzero\""},
    {"sum", "sum(", ")", NULL, NULL},
    {"none", "", "", NULL, NULL},
    {"batchmean", "sum(", ")/ROWS", NULL, NULL},
};

/* The function that cases with an `objective` minimise, over their inputs A and b and argument c.
 */
static const char objective[] =
    "  let objective_ = fn (q) = 0.5*sum[i, j](q[i]*A[i, j]*q[j]) - dot(b, q) + 0.25*c_*sum(q^4)\n"
    "  let closure_ = fn (q) = value_and_grad(objective_, at=q)\n";
/* What lets it go on to the last digit, where the `minimizer` is asked for. */
static const char tolerances[] = ", tolerance_grad=0.0, tolerance_change=0.0";

/* Cases with `sizes` are about a network with parameters theta, weights [in, out] row by row, then
 * biases, layer after layer, and `act` between layers. Functions of theta by the names that
 * parameters have for them, after and before the text of the network. */
static const struct {
    const char *name, *before, *after;
} of_network[] = {
    {"logits", "", ""},
    {"losses", "cross_entropy(", ", labels)"},
    {"loss", "mean(cross_entropy(", ", labels))"},
};

/* Results of what is built in, for those cases. */
static const struct {
    const char *name, *result, *text;
} built_in[] = {
    {"hessian", "value", "hessian(loss_, at=theta)"},
    {"hessian", "eigvals", "eigh(hessian(loss_, at=theta)).values"},
};

/* ---- the library's declarations ---- */

static bool has_param(const lg_ast *decl, const char *name) {
    const lg_ast *p = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; p && i < p->n; i++)
        if (!strcmp(p->kid[i]->name, name))
            return true;
    return false;
}

/* The declaration of that name; of several the one that takes the most of `inputs`. */
static const lg_ast *declaration(const char *name, json_t *inputs) {
    lg_sym want = lg_intern(name);
    const lg_ast *best = NULL;
    int most = -1;
    for (const lg_embedded *e = lg_stdlib; e->name; e++) {
        lg_ast *tree = lg_ast_read(arena, e->tree, e->n_tree, 1);
        for (uint32_t i = 0; tree && i < tree->n; i++) {
            const lg_ast *d = tree->kid[i];
            const char *input;
            json_t *v;
            int taken = 0;
            if (d->kind != LG_A_DECL || d->name != want)
                continue;
            json_object_foreach(inputs, input, v) taken += has_param(d, input);
            best = taken > most ? d : best;
            most = taken > most ? taken : most;
        }
    }
    return best;
}

static const lg_ast *result_field(const lg_ast *decl, const char *field) {
    const lg_ast *t = decl->kid[LG_D_TYPE];
    for (uint32_t i = 0; t && t->kind == LG_A_RECTYPE && i < t->n; i++)
        if (!strcmp(t->kid[i]->name, field))
            return t->kid[i];
    return NULL;
}

static bool returns_record(const lg_ast *decl) {
    const lg_ast *t = decl->kid[LG_D_TYPE];
    return t && t->kind == LG_A_RECTYPE;
}

/* R, which stands for a record of anything */
static bool is_letter(const lg_ast *type) {
    return type && type->kind == LG_A_TYPE && !type->n && !type->name[1] && type->name[0] >= 'A' &&
           type->name[0] <= 'Z';
}

static const char *letter_param(const lg_ast *decl) {
    const lg_ast *p = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; p && i < p->n; i++)
        if (is_letter(p->kid[i]->kid[0]))
            return p->kid[i]->name;
    return NULL;
}

/* The parameter of an optimizer that is a function to be minimised. */
static const char *closure_param(const lg_ast *decl) {
    const lg_ast *p = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; p && i < p->n; i++)
        if (p->kid[i]->kid[0] && p->kid[i]->kid[0]->kind == LG_A_FNTYPE)
            return p->kid[i]->name;
    return NULL;
}

/* ---- values as text of the language ---- */

static void put_number(lg_buf *b, json_t *v) {
    if (json_is_true(v) || json_is_false(v))
        lg_buf_printf(b, "%s", json_is_true(v) ? "true" : "false");
    else if (json_is_integer(v))
        lg_buf_printf(b, "%lld", (long long)json_integer_value(v));
    else if (json_is_real(v)) {
        char text[40];
        snprintf(text, sizeof text, "%.17g", json_real_value(v));
        lg_buf_printf(b, "%s%s", text, strpbrk(text, ".en") ? "" : ".0");
    } else
        lg_buf_printf(b, "%s", json_string_value(v)); /* nan, inf, -inf */
}

static void put_plain(lg_buf *b, json_t *v) {
    size_t i;
    json_t *item;
    if (json_is_array(v)) {
        lg_buf_printf(b, "[");
        json_array_foreach(v, i, item) {
            lg_buf_printf(b, i ? ", " : "");
            put_plain(b, item);
        }
        lg_buf_printf(b, "]");
    } else if (json_is_string(v))
        lg_buf_printf(b, "\"%s\"", json_string_value(v));
    else
        put_number(b, v);
}

static void put_nested(lg_buf *b, json_t *data, size_t *at, json_t *shape, size_t axis, bool real) {
    if (axis == json_array_size(shape)) {
        json_t *v = json_array_get(data, (*at)++);
        if (real && json_is_integer(v))
            lg_buf_printf(b, "%lld.0", (long long)json_integer_value(v));
        else
            put_number(b, v);
        return;
    }
    lg_buf_printf(b, "[");
    long long n = json_integer_value(json_array_get(shape, axis));
    for (long long i = 0; i < n; i++) {
        lg_buf_printf(b, i ? ", " : "");
        put_nested(b, data, at, shape, axis + 1, real);
    }
    lg_buf_printf(b, "]");
}

static bool is_tensor(json_t *v) {
    return json_is_object(v) && json_object_get(v, "data");
}

static void put_tensor(lg_buf *b, json_t *v) {
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    json_t *shape = json_object_get(v, "shape"), *data = json_object_get(v, "data");
    size_t at = 0, i;
    json_t *n;
    if (json_array_size(data) == 0) {
        lg_buf_printf(b, "zeros([");
        json_array_foreach(shape, i, n)
            lg_buf_printf(b, "%s%lld", i ? ", " : "", (long long)json_integer_value(n));
        lg_buf_printf(b, "])");
        return;
    }
    bool real = dtype[0] == 'f', truth = !strcmp(dtype, "bool");
    lg_buf_printf(b, truth ? "" : "%s(", real ? "float" : dtype);
    put_nested(b, data, &at, shape, 0, real);
    lg_buf_printf(b, truth ? "" : ")");
}

/* ---- one case as a program ---- */

typedef struct {
    const char *function, *signature;
    const lg_ast *decl;
    json_t *whole, *inputs, *args, *expected;
    const char *reduction;
    bool numbered; /* gradients stood as inputs of their own */
    lg_buf text;
    char error[200];
} golden;

static bool refuse(golden *c, const char *what, const char *name) {
    snprintf(c->error, sizeof c->error, "no %s `%s`", what, name);
    return false;
}

static bool is_kind(const golden *c, const char *word) {
    return c->decl && !strcmp(c->decl->text, word);
}

static void argument(lg_buf *b, bool *comma, const char *name) {
    lg_buf_printf(b, "%s%s=", *comma ? ", " : "", name);
    *comma = true;
}

/* The names that hyperparameter `golden_name` has here; NULL: the same. */
static const char *const *names_here(const golden *c, const char *golden_name) {
    for (size_t k = 0; k < LG_COUNT(renamed); k++)
        if (!strcmp(renamed[k].golden, golden_name) && !has_param(c->decl, golden_name))
            return renamed[k].here;
    return NULL;
}

/* Arguments that are not the function's own: how its result is reduced, the objective's, and the
 * rate of the plain descent under a wrapper. True when it is one of them. */
static bool put_special(golden *c, lg_buf *b, bool *comma, const char *name, json_t *v) {
    bool over_objective = is_kind(c, "optimizer") && closure_param(c->decl);
    if (!strcmp(name, "reduction") || json_is_null(v))
        return true;
    if (json_object_get(c->args, "sizes") && (!strcmp(name, "sizes") || !strcmp(name, "act")))
        return true;
    if (over_objective && !strcmp(name, "c"))
        return true;
    if (over_objective && !has_param(c->decl, name) && has_param(c->decl, "base")) {
        argument(b, comma, "base");
        lg_buf_printf(b, "sgd(%s=", name);
        put_plain(b, v);
        lg_buf_printf(b, ")");
        return true;
    }
    return false;
}

/* The hyperparameters as named arguments. False when the function has none of that name. */
static bool put_args(golden *c, lg_buf *b, bool *comma) {
    const char *name;
    json_t *v;
    json_object_foreach(c->args, name, v) {
        if (put_special(c, b, comma, name, v))
            continue;
        const char *const *names = names_here(c, name), *const same[3] = {name};
        bool list = names && names[1] && json_is_array(v);
        names = names ? names : same;
        for (size_t k = 0; k < (list ? json_array_size(v) : 1); k++) {
            if (k >= LG_COUNT(same) || !names[k] || !has_param(c->decl, names[k]))
                return refuse(c, "argument", name);
            argument(b, comma, names[k]);
            put_plain(b, list ? json_array_get(v, k) : v);
        }
    }
    return true;
}

/* real1, real2 ... of a parameter `real`: its length without the number; 0: no such parameter, or
 * a leaf that comes back under its own name. */
static size_t stem(const golden *c, const char *name) {
    char text[60];
    if (json_object_get(c->expected, name))
        return 0;
    size_t n = strlen(name), whole = n;
    while (n && name[n - 1] >= '0' && name[n - 1] <= '9')
        n--;
    snprintf(text, sizeof text, "%.*s", (int)n, name);
    return n < whole && n < sizeof text && has_param(c->decl, text) ? n : 0;
}

/* Numbered inputs are the fields of one record. */
static void put_numbered(golden *c, lg_buf *b, bool *comma, json_t *record) {
    const lg_ast *p = c->decl->kid[LG_D_PARAMS];
    const char *name;
    json_t *v;
    for (uint32_t i = 0; p && i < p->n; i++) {
        size_t n = strlen(p->kid[i]->name);
        bool open = false;
        json_object_foreach(c->inputs, name, v) {
            if (has_param(c->decl, name) || stem(c, name) != n || strncmp(name, p->kid[i]->name, n))
                continue;
            if (!open)
                argument(b, comma, p->kid[i]->name);
            bool moves = record && json_object_get(record, name);
            lg_buf_printf(b, "%sf%s: %s%s", open ? ", " : "{", name + n, moves ? "r." : "", name);
            open = true;
        }
        lg_buf_printf(b, open ? "}" : "");
    }
}

/* What the network reads is no argument of the function. */
static bool in_network(const golden *c, const char *name) {
    return json_object_get(c->args, "sizes") && (!strcmp(name, "x") || !strcmp(name, "labels"));
}

/* The logits of the network at q, with x read from r where `record` has it. */
static void put_network(golden *c, lg_buf *b, json_t *record) {
    json_t *sizes = json_object_get(c->args, "sizes");
    const char *act = json_string_value(json_object_get(c->args, "act"));
    size_t n = json_array_size(sizes);
    long long at = 0;
    for (size_t k = 0; k + 2 < n; k++)
        lg_buf_printf(b, "%s(", act);
    lg_buf_printf(b, record && json_object_get(record, "x") ? "r.x" : "x");
    for (size_t k = 0; k + 1 < n; k++) {
        long long in = json_integer_value(json_array_get(sizes, k)),
                  out = json_integer_value(json_array_get(sizes, k + 1)), bias = at + in * out;
        lg_buf_printf(b, " @ reshape(q[%lld:%lld], [%lld, %lld]) + q[%lld:%lld]%s", at, bias, in,
                      out, bias, bias + out, k + 2 < n ? ")" : "");
        at = bias + out;
    }
}

static void put_of_network(golden *c, lg_buf *b, size_t k, json_t *record) {
    lg_buf_printf(b, "fn (q) = %s", of_network[k].before);
    put_network(c, b, record);
    lg_buf_printf(b, "%s", of_network[k].after);
}

static void put_functions(golden *c, lg_buf *b, bool *comma, json_t *record) {
    for (size_t k = 0; k < LG_COUNT(of_network) && json_object_get(c->args, "sizes"); k++)
        if (has_param(c->decl, of_network[k].name)) {
            argument(b, comma, of_network[k].name);
            put_of_network(c, b, k, record);
        }
}

static bool is_built_in(const char *name) {
    for (size_t k = 0; k < LG_COUNT(built_in); k++)
        if (!strcmp(built_in[k].name, name))
            return true;
    return false;
}

/* Inputs that the function has no parameters for are the fields of its record parameter. */
static bool put_packed(golden *c, lg_buf *b, bool *comma) {
    const char *name, *packed = letter_param(c->decl);
    json_t *v;
    bool open = false;
    json_object_foreach(c->inputs, name, v) {
        if (has_param(c->decl, name) || stem(c, name) || in_network(c, name))
            continue;
        if (!packed)
            return refuse(c, "input", name);
        if (!open)
            argument(b, comma, packed);
        lg_buf_printf(b, open ? ", %s" : "{%s", name);
        open = true;
    }
    lg_buf_printf(b, open ? "}" : "");
    return true;
}

/* The call, with the inputs of `record` (may be NULL) read from r. */
static bool put_call(golden *c, lg_buf *b, json_t *record, const char *with, const char *is) {
    const char *name;
    json_t *v;
    bool comma = false;
    lg_buf_printf(b, "%s(", c->function);
    if (!put_packed(c, b, &comma))
        return false;
    put_numbered(c, b, &comma, record);
    put_functions(c, b, &comma, record);
    json_object_foreach(c->inputs, name, v) {
        if (!has_param(c->decl, name))
            continue;
        argument(b, &comma, name);
        lg_buf_printf(b, "%s%s", record && json_object_get(record, name) ? "r." : "", name);
    }
    if (!put_args(c, b, &comma))
        return false;
    if (with && has_param(c->decl, with)) {
        argument(b, &comma, with);
        lg_buf_printf(b, "%s", is);
    }
    lg_buf_printf(b, ")");
    return true;
}

static long long first_dim(const golden *c) {
    void *at = json_object_iter(c->inputs);
    json_t *shape = at ? json_object_get(json_object_iter_value(at), "shape") : NULL;
    return json_array_size(shape) ? json_integer_value(json_array_get(shape, 0)) : 1;
}

/* The call, reduced as a loss is. */
static bool put_value(golden *c, lg_buf *b, json_t *record) {
    if (!is_kind(c, "loss"))
        return put_call(c, b, record, NULL, NULL);
    size_t k = 0;
    while (k + 1 < LG_COUNT(reductions) && strcmp(reductions[k].name, c->reduction) != 0)
        k++;
    if (strcmp(reductions[k].name, c->reduction) != 0)
        return refuse(c, "reduction", c->reduction);
    lg_buf_printf(b, "%s", reductions[k].before);
    bool ok = put_call(c, b, record, reductions[k].with, reductions[k].is);
    const char *rows = strstr(reductions[k].after, "ROWS");
    if (rows)
        lg_buf_printf(b, "%.*s%lld", (int)(rows - reductions[k].after), reductions[k].after,
                      first_dim(c));
    else
        lg_buf_printf(b, "%s", reductions[k].after);
    return ok;
}

/* Where the result called `name` stands in the value of the call. */
static void put_result(const golden *c, lg_buf *b, const char *name) {
    if (!returns_record(c->decl) || is_kind(c, "loss")) /* terms and their weights: one value */
        return;
    if (!result_field(c->decl, name)) { /* in the field that is a record like an argument */
        const lg_ast *t = c->decl->kid[LG_D_TYPE];
        for (uint32_t i = 0; i < t->n; i++)
            if (is_letter(t->kid[i]->kid[0]))
                lg_buf_printf(b, ".%s", t->kid[i]->name);
    }
    lg_buf_printf(b, ".%s", name);
}

/* What gradients are taken of. */
static const char *main_result(const golden *c) {
    static const char *const names[] = {"value", "dequantized"};
    for (size_t k = 0; k < LG_COUNT(names); k++)
        if (result_field(c->decl, names[k]))
            return names[k];
    return "value";
}

static void put_write(golden *c, const char *name, const char *what) {
    lg_buf_printf(&c->text, "  write \"%s/%s.npy\", %s", scratch, name, what);
}

static bool put_gradient(golden *c, json_t *grads) {
    lg_buf *b = &c->text;
    const char *name;
    json_t *v, *cotangent = json_object_get(c->whole, "cotangent");
    bool comma = false;
    if (cotangent) {
        lg_buf_printf(b, "  let cotangent_ = ");
        put_tensor(b, cotangent);
        lg_buf_printf(b, "\n");
    }
    lg_buf_printf(b, "  let gradient_ = grad(fn (r) = sum(%s", cotangent ? "cotangent_*" : "");
    if (!put_value(c, b, grads))
        return false;
    put_result(c, b, main_result(c));
    lg_buf_printf(b, "), at={");
    json_object_foreach(grads, name, v) {
        lg_buf_printf(b, "%s%s: %s", comma ? ", " : "", name, name);
        comma = true;
    }
    lg_buf_printf(b, "})\n");
    json_object_foreach(grads, name, v) {
        char file[120];
        snprintf(file, sizeof file, "grad.%s", name);
        put_write(c, file, "gradient_.");
        lg_buf_printf(b, "%s\n", name);
    }
    return true;
}

static bool put_function(golden *c) {
    const char *name;
    json_t *v;
    lg_buf_printf(&c->text, "  let out_ = ");
    if (!put_value(c, &c->text, NULL))
        return false;
    lg_buf_printf(&c->text, "\n");
    json_object_foreach(c->expected, name, v) {
        if (!is_tensor(v))
            continue;
        put_write(c, name, "out_");
        put_result(c, &c->text, name);
        lg_buf_printf(&c->text, "\n");
    }
    json_t *grads = json_object_get(c->expected, "grad");
    grads = grads ? grads : json_object_get(c->expected, "vjp");
    return !grads || put_gradient(c, grads);
}

static bool to_the_end(const golden *c) {
    return json_object_get(c->expected, "minimizer") != NULL;
}

/* Updates number 1, 2 ... up to the last one that is looked at. */
static long long rounds(const golden *c, long long given) {
    const char *name;
    json_t *v;
    long long most = given;
    json_object_foreach(c->expected, name, v) {
        int k = 0;
        if (!given && sscanf(name, "%*[a-z]_after_%d", &k) == 1 && k > most)
            most = k;
    }
    return !given && to_the_end(c) ? ROUNDS : most;
}

/* What an optimizer moves: `x` of x_after_3, as a rule `w`. */
static const char *moved(const golden *c) {
    static char word[20];
    const char *name, *after;
    json_t *v;
    json_object_foreach(c->expected, name, v) {
        after = strstr(name, "_after_");
        if (after && (size_t)(after - name) < sizeof word) {
            snprintf(word, sizeof word, "%.*s", (int)(after - name), name);
            return word;
        }
    }
    return "w";
}

/* Gradients that stand as inputs of their own, grad_loss_1, grad_loss_2 ..., become one `grads`.
 * Says whether there were any: then no other input goes along with them. */
static bool join_numbered(golden *c) {
    json_t *data = json_array(), *first = NULL, *v;
    size_t n = 0, i;
    for (;;) {
        char name[30];
        snprintf(name, sizeof name, "grad_loss_%zu", n + 1);
        json_t *one = json_object_get(c->inputs, name), *number;
        if (!one)
            break;
        json_array_foreach(json_object_get(one, "data"), i, number) json_array_append(data, number);
        first = first ? first : json_deep_copy(json_object_get(one, "shape"));
        json_object_del(c->inputs, name);
        n++;
    }
    if (n) {
        json_array_insert_new(first, 0, json_integer((json_int_t)n));
        v = json_pack("{s:s,s:o,s:o}", "dtype", "f64", "shape", first, "data", data);
        json_object_set_new(c->inputs, "grads", v);
    } else
        json_decref(data);
    return n > 0;
}

/* How many dims the declaration gives a parameter; -1 where it says nothing or has a pack. */
static int declared_rank(const lg_ast *decl, const char *name) {
    const lg_ast *params = decl->kid[LG_D_PARAMS];
    for (uint32_t i = 0; params && i < params->n; i++) {
        const lg_ast *type = params->kid[i]->kid[0];
        if (strcmp(params->kid[i]->name, name) != 0 || !type || type->kind != LG_A_TYPE ||
            !(type->flags & LG_AF_SQUARE))
            continue;
        for (uint32_t d = 0; d < type->n; d++)
            if (type->kid[d]->kind == LG_A_PACK || type->kid[d]->kind == LG_A_ELLIPSIS)
                return -1;
        return (int)type->n;
    }
    return -1;
}

/* An optimizer over grads[t], or over the gradients of the objective: inputs with the same first
 * dim as grads go along with it, the others are arguments. */
static bool put_optimizer(golden *c) {
    lg_buf *b = &c->text;
    const char *name, *closure = closure_param(c->decl);
    json_t *v, *grads = json_object_get(c->inputs, "grads");
    bool comma = false;
    long long given = json_integer_value(json_array_get(json_object_get(grads, "shape"), 0));
    long long n = rounds(c, given);
    if (closure) {
        lg_buf_printf(b, "  let c_ = ");
        json_t *quartic = json_object_get(c->args, "c");
        if (quartic)
            put_plain(b, quartic);
        lg_buf_printf(b, "%s\n%s", quartic ? "" : "0.0", objective);
    }
    lg_buf_printf(b, "  let run_ = scan (p = %s) for at_ in 0..%lld {\n    p' = %s(", moved(c), n,
                  c->function);
    if (closure) {
        argument(b, &comma, closure);
        lg_buf_printf(b, "closure_%s", to_the_end(c) ? tolerances : "");
    }
    json_object_foreach(c->inputs, name, v) {
        bool own = !strcmp(name, moved(c)) || !strcmp(name, "grads") ||
                   (closure && !has_param(c->decl, name));
        if (own)
            continue;
        if (!has_param(c->decl, name))
            return refuse(c, "input", name);
        long long rows = json_integer_value(json_array_get(json_object_get(v, "shape"), 0));
        argument(b, &comma, name);
        bool each = given && rows == given && !c->numbered &&
                    declared_rank(c->decl, name) != (int)json_array_size(json_object_get(v, "shape"));
        lg_buf_printf(b, "%s%s", name, each ? "[at_]" : "");
    }
    if (!put_args(c, b, &comma))
        return false;
    lg_buf_printf(b, ")(p, %s)\n    yield {w: p'}\n  }\n",
                  grads ? "grads[at_]" : "closure_(p).grad");
    json_object_foreach(c->expected, name, v) {
        int k = 0;
        sscanf(name, "%*[a-z]_after_%d", &k);
        put_write(c, name, "run_.w");
        lg_buf_printf(b, "[%lld]\n", k ? k - 1 : n - 1);
    }
    return true;
}

static bool put_schedule(golden *c) {
    bool comma = false;
    lg_buf_printf(&c->text, "  let value_[i] = %s(", c->function);
    if (!put_args(c, &c->text, &comma))
        return false;
    lg_buf_printf(&c->text, "%sstep=step[i])\n", comma ? ", " : "");
    put_write(c, "value", "value_\n");
    return true;
}

static bool put_built_in(golden *c) {
    const char *name;
    json_t *v;
    for (size_t k = 0; k < LG_COUNT(of_network); k++) {
        if (*of_network[k].before && !json_object_get(c->inputs, "labels"))
            continue;
        lg_buf_printf(&c->text, "  let %s_ = ", of_network[k].name);
        put_of_network(c, &c->text, k, NULL);
        lg_buf_printf(&c->text, "\n");
    }
    json_object_foreach(c->expected, name, v) {
        size_t k = 0;
        while (k < LG_COUNT(built_in) &&
               (strcmp(built_in[k].name, c->function) || strcmp(built_in[k].result, name)))
            k++;
        if (k == LG_COUNT(built_in))
            return refuse(c, "result", name);
        put_write(c, name, built_in[k].text);
        lg_buf_printf(&c->text, "\n");
    }
    return true;
}

static bool put_program(golden *c) {
    const char *name;
    json_t *v, *cotangent = json_object_get(c->inputs, "cotangent");
    if (cotangent) { /* some files keep it among the inputs */
        json_object_set(c->whole, "cotangent", cotangent);
        json_object_del(c->inputs, "cotangent");
    }
    c->numbered = is_kind(c, "optimizer") && join_numbered(c);
    lg_buf_printf(&c->text, "entry main {\n");
    json_object_foreach(c->inputs, name, v) {
        lg_buf_printf(&c->text, "  let %s = ", name);
        if (is_tensor(v))
            put_tensor(&c->text, v);
        else
            put_plain(&c->text, v);
        lg_buf_printf(&c->text, "\n");
    }
    bool ok = !c->decl                  ? put_built_in(c)
              : is_kind(c, "optimizer") ? put_optimizer(c)
              : is_kind(c, "schedule")  ? put_schedule(c)
                                        : put_function(c);
    lg_buf_printf(&c->text, "}\n");
    return ok;
}

/* ---- comparing ---- */

static double wanted(json_t *v) {
    return json_is_true(v)     ? 1
           : json_is_string(v) ? strtod(json_string_value(v), NULL)
           : json_is_number(v) ? json_number_value(v)
                               : 0;
}

static bool same(double got, double want, bool exact, double rtol, double atol) {
    return isnan(want)   ? isnan(got)
           : isinf(want) ? isinf(got) && signbit(want) == signbit(got)
           : exact       ? !(got < want) && !(got > want)
                         : fabs(got - want) <= atol + rtol * fabs(want);
}

static bool same_shape(const lg_tensor *x, json_t *shape) {
    bool ok = (size_t)x->rank == json_array_size(shape);
    for (int d = 0; ok && d < x->rank; d++)
        ok = x->shape[d] == json_integer_value(json_array_get(shape, (size_t)d));
    return ok;
}

static bool same_values(const lg_tensor *x, json_t *want, const char *name, double rtol,
                        double atol, char *why, size_t n_why) {
    const char *dtype = json_string_value(json_object_get(want, "dtype"));
    bool exact = dtype && dtype[0] != 'f';
    size_t i;
    json_t *v;
    if (!same_shape(x, json_object_get(want, "shape"))) {
        snprintf(why, n_why, "%s: another shape", name);
        return false;
    }
    json_array_foreach(json_object_get(want, "data"), i, v) {
        double got = lg_get_f64(x->dtype, x->data, i), w = wanted(v);
        if (same(got, w, exact, rtol, atol))
            continue;
        snprintf(why, n_why, "%s[%zu]: got %.10g, wanted %.10g", name, i, got, w);
        return false;
    }
    return true;
}

static bool compare(const char *name, json_t *want, double rtol, double atol, char *why,
                    size_t n_why) {
    char path[200];
    lg_diags ds;
    lg_tensor *x = NULL;
    lg_diags_init(&ds);
    lg_io io = {.ds = &ds, .max_bytes = (size_t)1 << 30};
    snprintf(path, sizeof path, "%s/%s.npy", scratch, name);
    bool ok = lg_npy_load(&io, path, &x) == LG_OK;
    if (!ok)
        snprintf(why, n_why, "%s: nothing was written", name);
    ok = ok && same_values(x, want, name, rtol, atol, why, n_why);
    if (x)
        lg_tensor_release(x);
    lg_diags_fini(&ds);
    return ok;
}

static bool compare_all(const golden *c, char *why, size_t n_why) {
    double rtol = json_number_value(json_object_get(c->whole, "rtol")),
           atol = json_number_value(json_object_get(c->whole, "atol"));
    const char *field, *of;
    json_t *v, *inner;
    json_object_foreach(c->expected, field, v) {
        if (is_tensor(v)) {
            if (!compare(field, v, rtol, atol, why, n_why))
                return false;
            continue;
        }
        json_object_foreach(v, of, inner) {
            char path[100];
            snprintf(path, sizeof path, "grad.%s", of);
            if (!compare(path, inner, rtol, atol, why, n_why))
                return false;
        }
    }
    return true;
}

static void report(const char *function, const char *name, bool ok, const char *why) {
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("FAILED %s %s: %s\n", function, name, why);
}

/* "mean" of `reduction="mean"` in a signature */
static const char *default_reduction(const char *signature) {
    static char word[20];
    const char *at = strstr(signature, "reduction=\"");
    return at && sscanf(at + 11, "%19[a-z]", word) == 1 ? word : "mean";
}

static void one_case(const char *function, const lg_ast *decl, const char *signature,
                     json_t *whole) {
    golden c = {.function = function,
                .decl = decl,
                .whole = whole,
                .inputs = json_object_get(whole, "inputs"),
                .args = json_object_get(whole, "args"),
                .expected = json_object_get(whole, "expected")};
    const char *name = json_string_value(json_object_get(whole, "name"));
    const char *given = json_string_value(json_object_get(c.args, "reduction"));
    c.reduction = given ? given : default_reduction(signature);
    if (!put_program(&c)) {
        report(function, name, false, c.error);
        lg_buf_free(&c.text);
        return;
    }
    char why[300] = "";
    const char *builder = strcmp(mode, "build") ? NULL : lg_path;
    bool ok =
        program_run(&c.text, builder, "f64", why, sizeof why) && compare_all(&c, why, sizeof why);
    char *said = program_log(ok, why, sizeof why);
    if (!ok && getenv("GOLDENS_VERBOSE"))
        printf("%s\n%s\n", c.text.at, said);
    report(function, name, ok, why);
    scratch_sweep();
    lg_free(said);
    lg_buf_free(&c.text);
}

static void one_file(const char *path) {
    json_error_t e;
    json_t *root = json_load_file(path, 0, &e), *f, *c;
    size_t i, k;
    if (!root) {
        report(path, "", false, e.text);
        return;
    }
    const char *only = getenv("GOLDENS_ONLY");
    json_array_foreach(json_object_get(root, "functions"), i, f) {
        const char *name = json_string_value(json_object_get(f, "name"));
        if (only && strcmp(only, name) != 0)
            continue;
        const lg_ast *decl = declaration(
            name, json_object_get(json_array_get(json_object_get(f, "cases"), 0), "inputs"));
        json_array_foreach(json_object_get(f, "cases"), k, c) {
            if (decl || is_built_in(name))
                one_case(name, decl, json_string_value(json_object_get(f, "signature")), c);
            else
                report(name, json_string_value(json_object_get(c, "name")), false,
                       "the library has no function of this name");
        }
    }
    json_decref(root);
}

int main(int n, char **arg) {
    arena = lg_arena_new();
    if (getenv("LG"))
        lg_path = getenv("LG");
    if (!scratch_make())
        return 1;
    for (int i = 1; i < n; i++)
        if (!strcmp(arg[i], "--mode") && i + 1 < n)
            mode = arg[++i];
        else
            one_file(arg[i]);
    scratch_sweep();
    rmdir(scratch);
    lg_arena_free(arena);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
