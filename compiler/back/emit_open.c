/* emit_open.c: kernels that serve plans of other sizes: each is named by its text, in which the
 * sizes of data and the places of values are numbers that it is given, so that one function is the
 * kernel of many steps and plans. Not for the texts of loops and products themselves (emit_loop.c,
 * emit_product.c) nor for who compiles them (aot.c). */
#include "compiler/back/emitting.h"
#include <stdio.h>
#include <string.h>

enum { KERNELS_A_FILE = 8 }; /* starting a compiler costs about as much as one of them */
#define COLD 0.002           /* of the time of a plan */

typedef struct {
    uint64_t at[2];
} text_key;

struct lg_kernels {
    const lg_kernels *those; /* have more texts, or NULL */
    lg_unit u;               /* of the file being written; products are in u.runs */
    LG_VEC(text_key) known;
    LG_VEC(lg_buf) file;
};

lg_kernels *lg_kernels_new(const lg_kernels *those) {
    lg_kernels *x = lg_alloc(sizeof *x);
    x->those = those;
    return x;
}

int lg_kernels_count(const lg_kernels *x) {
    return (int)x->known.n;
}

void lg_open_name(const uint64_t key[2], char out[LG_NAME_ROOM]) {
    snprintf(out, LG_NAME_ROOM, "lgo_%016llx%016llx", (unsigned long long)key[0],
             (unsigned long long)key[1]);
}

static void put_all(lg_buf *to, lg_buf *from) {
    if (from->n)
        lg_buf_put(to, from->at, from->n);
    lg_buf_free(from);
}

static void end_file(lg_kernels *x) {
    lg_buf all = {0};
    if (!x->u.in_file)
        return;
    lg_c_head(&all);
    put_all(&all, &x->u.ops);
    put_all(&all, &x->u.runs);
    put_all(&all, &x->u.body);
    LG_PUSH(x->file, all);
    x->u.known.n = 0;
    x->u.in_file = 0;
}

static bool knows(const lg_kernels *x, const uint64_t key[2]) {
    for (size_t k = 0; k < x->known.n; k++)
        if (x->known.at[k].at[0] == key[0] && x->known.at[k].at[1] == key[1])
            return true;
    return x->those && knows(x->those, key);
}

/* True: it was there. Otherwise it is noted now. */
static bool has(lg_kernels *x, const uint64_t key[2]) {
    if (knows(x, key))
        return true;
    LG_PUSH(x->known, ((text_key){{key[0], key[1]}}));
    return false;
}

static void make_key(const lg_buf *text, uint64_t key[2]) {
    for (uint64_t k = 0; k < 2; k++)
        key[k] = lg_hash(text->at, text->n, k + 1);
}

/* Room for one more in the file. */
static void begin_kernel(lg_kernels *x) {
    if (x->u.in_file == KERNELS_A_FILE)
        end_file(x);
    x->u.in_file++;
}

/* ---- one step ---- */

/* A plan on its way. */
typedef struct {
    const lg_plan *whole;
    lg_emit_how how;
    bool products;
    lg_kernels *all, *cold; /* where texts go; NULL: only names are wanted */
    lg_emitted *e;
} writer;

/* Steps of bodies run as often as these have rounds. */
static lg_kernels *place_of(const writer *w, const lg_step *s, double times) {
    return s->cost * times < COLD * w->whole->cost ? w->cold : w->all;
}

static void open_loop(const writer *w, const lg_plan *p, lg_step *s, lg_kernels *x) {
    lg_numbers num = {0};
    lg_buf body = {0};
    lg_opened o = {.step = s};
    lg_unit once = {.e = w->e, .how = w->how};
    bool ok = lg_c_loop_open(&once, p, s->loop, &num, &body);
    if (ok) {
        make_key(&body, o.key);
        o.num = num.at;
        LG_PUSH(w->e->open, o);
    } else {
        w->e->left_out++;
        lg_free(num.at);
    }
    if (ok && x && !has(x, o.key)) {
        char name[LG_NAME_ROOM];
        lg_numbers again = {0};
        begin_kernel(x);
        x->u.e = w->e;
        x->u.how = w->how;
        lg_open_name(o.key, name);
        lg_buf_printf(&x->u.body, "int64_t %s(const lg_code_env *e, int64_t beg, int64_t end) {\n",
                      name);
        lg_c_loop_open(&x->u, p, s->loop, &again, &x->u.body); /* once more, for the ops it calls */
        x->u.e = NULL;
        lg_free(again.at);
    }
    lg_buf_free(&body);
    lg_buf_free(&once.ops);
    lg_free(once.known.at);
}

/* Sizes of products are in their texts, as the order of summing depends on them. */
static void open_product(const writer *w, lg_step *s) {
    lg_kernels *x = w->all;
    lg_buf text = {0};
    lg_opened o = {.step = s};
    lg_buf_printf(&text, "\n");
    lg_c_product(&text, s, w->how.isa, 0);
    make_key(&text, o.key);
    LG_PUSH(w->e->open, o);
    if (x && !has(x, o.key)) {
        char name[LG_NAME_ROOM];
        begin_kernel(x);
        if (!x->u.runs.n) {
            lg_c_product_head(&x->u.runs, w->how.isa);
            lg_buf_printf(&x->u.runs, "#define LGD_0\n");
        }
        lg_open_name(o.key, name);
        lg_buf_printf(&x->u.runs, "#undef lgd_0\n#define lgd_0 %s", name);
        lg_buf_put(&x->u.runs, text.at, text.n);
    }
    lg_buf_free(&text);
}

static void open_steps(const writer *w, const lg_plan *p, double times) {
    for (int k = 0; k < p->n_step; k++) {
        lg_step *s = &p->step[k];
        double rounds = s->kind == LG_S_SCAN ? times * (double)s->node->attr.scan->trip : times;
        for (int b = 0; b < 2; b++)
            if (s->sub[b])
                open_steps(w, s->sub[b], rounds);
        if (s->kind == LG_S_LOOP)
            open_loop(w, p, s, place_of(w, s, times));
        else if (w->products && lg_c_has_product(s, w->how))
            open_product(w, s);
    }
}

/* ---- from outside ---- */

void lg_emit_open(const lg_plan *p, lg_emit_how how, bool products, lg_kernels *all,
                  lg_kernels *cold, lg_emitted *e) {
    writer w = {.whole = p, .how = how, .products = products, .all = all, .cold = cold, .e = e};
    *e = (lg_emitted){0};
    open_steps(&w, p, 1);
}

size_t lg_kernels_files(lg_kernels *x, const lg_buf **out) {
    end_file(x);
    *out = x->file.at;
    return x->file.n;
}

void lg_kernels_free(lg_kernels *x) {
    if (!x)
        return;
    for (size_t k = 0; k < x->file.n; k++)
        lg_buf_free(&x->file.at[k]);
    lg_free(x->file.at);
    lg_free(x->known.at);
    lg_free(x->u.known.at);
    lg_buf_free(&x->u.ops);
    lg_buf_free(&x->u.body);
    lg_buf_free(&x->u.runs);
    lg_free(x);
}
