/* require.c: contracts of a run. The text of one may name values: inputs after the condition, which
 * are written into it where it does not hold. How the text marks them stands at lg_g_require_of. */
#include "ops/ops.h"
#include "runtime/plan.h"
#include "runtime/show.h"
#include <stdio.h>
#include <string.h>

/* Where along `axis` of the condition its element `at` stands. */
static int64_t index_along(const lg_type *cond, size_t at, int axis) {
    for (int k = cond->rank - 1; k > axis; k--)
        at /= (size_t)cond->shape[k];
    return (int64_t)(at % (size_t)cond->shape[axis]);
}

/* Input k as it is for element `at` of the condition, whose axes `along` the first of it follow. */
static void put_value(lg_buf *b, const lg_call *c, int k, size_t at, const char *along,
                      size_t n_along, const char *format) {
    const lg_type *cond = &c->node->in[0]->type[0], *t = &c->node->in[k]->type[0];
    lg_tensor x = {.dtype = t->dtype, .rank = t->rank - (int)n_along, .n = 1};
    size_t first = 0;
    for (int i = 0; i < t->rank; i++) {
        if (i < (int)n_along) {
            first = first * (size_t)t->shape[i] + (size_t)index_along(cond, at, along[i] - 'a');
            continue;
        }
        x.shape[i - (int)n_along] = t->shape[i];
        x.n *= (size_t)t->shape[i];
    }
    char *data = (char *)(uintptr_t)c->in[k];
    x.data = data + first * x.n * lg_dtype_size(t->dtype);
    lg_show how;
    if (!lg_show_parse(*format ? format : NULL, &how))
        lg_show_parse(NULL, &how);
    lg_show_array(b, &x, &how, -1);
}

static char *text_of(const lg_call *c, size_t at) {
    const char *text = c->node->attr.text ? c->node->attr.text : "a requirement failed";
    lg_buf b = {0};
    lg_buf_put(&b, "", 0);
    for (int k = 1; *text; k++) {
        size_t n = k < c->node->n_in ? strcspn(text, "\1") : strlen(text);
        lg_buf_put(&b, text, n);
        text += n;
        if (!*text)
            break;
        size_t n_along = strcspn(++text, ":"), end = strcspn(text, "\2");
        char format[64];
        snprintf(format, sizeof format, "%.*s", (int)(end - n_along - 1), text + n_along + 1);
        put_value(&b, c, k, at, text, n_along, format);
        text += end + 1;
    }
    return b.at ? b.at : lg_alloc(1);
}

static bool run_require(const lg_call *c) {
    const lg_type *t = &c->node->in[0]->type[0];
    const uint8_t *ok = c->in[0];
    size_t n = lg_type_count(t), row = t->rank && t->shape[0] ? n / (size_t)t->shape[0] : 1, i = 0;
    while (i < n && ok[i])
        i++;
    *(uint8_t *)c->out[0] = i == n;
    if (i == n)
        return true;
    char *text = text_of(c, i);
    lg_fault_set(c->fault, c->node, "R0103", t->rank ? (int64_t)(i / row) : -1, "%s", text);
    lg_free(text);
    return false;
}

const lg_op lg_op_require = {.name = "require",
                             .sig = "(cond: bool[...S], values) -> bool",
                             .cls = LG_C_REQUIRE,
                             .arity = -1,
                             .traits = LG_T_NODIFF,
                             .run = run_require,
                             .doc = "Fails the run where cond is false."};
