/* frame.c: names and dims across calls, modules, and the error helper.
 *
 * Dims across calls: a call gives its body fresh atoms for the dims that its arguments bind; each
 * atom remembers the dim it stands for as its caller sees it. A value that leaves the call (a
 * result, or an argument of a function that was passed in) has the atoms of inner frames replaced
 * by what they stand for, until every atom belongs to the receiving frame or to one of its callers.
 */
#include "compiler/mid/elab.h"
#include "compiler/mid/embedded.h"
#include <stdio.h>
#include <string.h>

bool lg_in_library(const lg_frame *f) {
    return f && f->module && f->module->library;
}

/* An error inside the library is the caller's fault: the frame that the user's text called. */
static const lg_frame *library_call(const lg_elab *E) {
    if (!lg_in_library(E->frame))
        return NULL;
    for (const lg_frame *f = E->frame; f; f = f->caller)
        if (lg_in_library(f) && f->call_at.file && f->caller && f->caller->module &&
            !lg_in_library(f->caller))
            return f;
    return NULL;
}

/* Sizes, settings and requirements that a declaration, sound by itself, was given wrongly. */
static bool is_about_arguments(const char *code) {
    static const char *const codes[] = {"E0210", "E0211", "E0212", "E0231"};
    for (size_t i = 0; i < LG_COUNT(codes); i++)
        if (!strcmp(codes[i], code))
            return true;
    return false;
}

/* The outermost call that led here, up to where the text is checked for itself. */
static const lg_frame *outermost_call(const lg_elab *E) {
    const lg_frame *call = NULL;
    for (const lg_frame *f = E->frame; f; f = f->caller) {
        bool made = f->kind == LG_F_FN || f->kind == LG_F_RULE ||
                    (f->kind == LG_F_MODEL && f->self != f);
        bool named = f->decl && f->decl->kind == LG_A_DECL;
        if (made && named && f->call_at.file == f->decl->span.file &&
            f->call_at.beg == f->decl->span.beg)
            break; /* generic */
        if (made && named && f->call_at.file && f->caller && !lg_in_library(f->caller))
            call = f;
    }
    return call;
}

lg_diag *lg_err(lg_elab *E, const char *code, lg_span at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    lg_buf b = {0};
    lg_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    const lg_frame *call = is_about_arguments(code) ? outermost_call(E) : NULL;
    call = call ? call : library_call(E);
    lg_diag *d = lg_diag_add(E->diags, code, call ? call->call_at : at, "%s", b.at);
    if (call && call->decl && call->decl->name)
        lg_diag_label(d, at, "in `%s`", call->decl->name);
    lg_buf_free(&b);
    return d;
}

void lg_late(lg_elab *E, lg_span at, const char *fmt, ...) {
    if (!LG_CHECKING(E) || lg_in_library(E->frame) || !at.file)
        return;
    for (const struct lg_late *l = E->late; l; l = l->next)
        if (l->at.file == at.file && l->at.beg == at.beg)
            return;
    va_list ap;
    va_start(ap, fmt);
    lg_buf b = {0};
    lg_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    struct lg_late *l = LG_NEW(E->home, struct lg_late);
    *l = (struct lg_late){at, lg_intern_n(b.at ? b.at : "", b.n), E->late};
    E->late = l;
    lg_buf_free(&b);
}

const char *lg_txt(lg_elab *E, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    lg_buf b = {0};
    lg_buf_vprintf(&b, fmt, ap);
    va_end(ap);
    const char *s = lg_intern_n(b.at ? b.at : "", b.n);
    lg_buf_free(&b);
    (void)E;
    return s;
}

/* ---- names ---- */

lg_frame *lg_frame_new(lg_elab *E, lg_fkind kind, lg_frame *up) {
    lg_frame *f = LG_NEW(E->arena, lg_frame);
    f->arena = E->arena;
    f->kind = kind;
    f->up = up;
    f->caller = E->frame;
    f->float_dtype = up ? up->float_dtype : E->float_dtype;
    f->module = up ? up->module : NULL;
    f->self = up ? up->self : NULL;
    f->path_hash = E->frame ? E->frame->path_hash : 0;
    return f;
}

lg_frame *lg_counting_frame(lg_frame *f) {
    while (f->up && f->up->path_hash == f->path_hash &&
           (f->kind == LG_F_BLOCK || f->kind == LG_F_SCAN))
        f = f->up;
    return f;
}

uint64_t lg_next_place(lg_frame *f) {
    f = lg_counting_frame(f);
    return lg_hash_mix(f->path_hash, ++f->call_count);
}

lg_binding *lg_find_local(lg_frame *f, lg_sym name, bool prime) {
    for (lg_binding *b = f->names; b; b = b->next)
        if (b->name == name && b->prime == prime)
            return b;
    return NULL;
}

void lg_frame_add_dim(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *d) {
    LG_ARENA_PUSH(f->arena, f->dims, ((lg_named_dim){name, d}));
    E->lasting += f->arena != E->arena;
}

void lg_bind(lg_elab *E, lg_frame *f, lg_sym name, lg_value *v, lg_span at) {
    E->lasting += f->arena != E->arena;
    lg_binding *b = LG_NEW(f->arena, lg_binding);
    *b = (lg_binding){.name = name, .value = v, .at = at, .next = f->names};
    f->names = b;
}

/* Who asked for what, innermost first: the path of a cycle. */
enum { ASKING_MOST = 1000 };
typedef struct lg_asking {
    const lg_binding *b;
    lg_span at; /* where it was asked for */
    struct lg_asking *up;
    int deep;
} lg_asking;

static bool holds(const lg_frame *f, const lg_binding *b) {
    for (const lg_binding *k = f->names; k; k = k->next)
        if (k == b)
            return true;
    return false;
}

/* b of frame f. Who asked outside of f waits for all of it and is no part of the cycle. */
static lg_value *report_cycle(lg_elab *E, const lg_frame *f, lg_binding *b, lg_span at) {
    const char *mark = b->prime ? "'" : "";
    const lg_asking *by = E->asking && holds(f, E->asking->b) ? E->asking : NULL;
    const lg_binding *last = by ? by->b : b;
    lg_diag *d;
    if (last == b || !b->prime) {
        d = lg_err(E, b->prime ? "E0420" : "E0305", at, "`%s%s` depends on itself", b->name, mark);
        if (b->at.beg != at.beg || b->at.file != at.file)
            lg_diag_label(d, b->at, "defined here");
        if (!b->prime)
            lg_diag_help(d, "if another value of that name is meant, give this one a name of its own");
        return b->value = lg_v_error(E, at);
    }
    d = lg_err(E, "E0420", at, "%s' and %s%s depend on each other", b->name, last->name,
               last->prime ? "'" : "");
    lg_diag_label(d, at, "%s%s uses %s' here", last->name, last->prime ? "'" : "", b->name);
    for (; by && by->b != b && holds(f, by->b); by = by->up) {
        const lg_binding *user = by->up && holds(f, by->up->b) ? by->up->b : b;
        lg_diag_label(d, by->at, "%s%s uses %s%s here", user->name, user->prime ? "'" : "", by->b->name,
                      by->b->prime ? "'" : "");
    }
    return b->value = lg_v_error(E, at);
}

/* A pending name is defined by a statement that was not reached yet: run it now. */
lg_value *lg_force(lg_elab *E, lg_frame *f, lg_binding *b, lg_span at) {
    if (b->state == LG_B_RUNNING)
        return report_cycle(E, f, b, at);
    if (b->state == LG_B_PENDING) {
        lg_asking by = {b, at, E->asking, E->asking ? E->asking->deep + 1 : 1};
        if (by.deep > ASKING_MOST) {
            lg_diag *d = lg_err(E, "E0328", at, "definitions wait for each other more than %d deep",
                                ASKING_MOST);
            lg_diag_help(d, "define a name above what uses it");
            return lg_v_error(E, at);
        }
        b->state = LG_B_RUNNING;
        E->asking = &by;
        lg_frame *was = E->frame;
        /* whoever asks, it runs where its block runs: in that graph, outside of branches */
        lg_graph *g = E->g;
        lg_value *guard = E->guard, *lazy = E->lazy, *lane = E->draw_lane;
        struct lg_lane *lanes = E->lanes;
        if (f->scoped) {
            E->g = f->g;
            E->guard = f->guard;
            E->draw_lane = f->draw_lane;
            E->lanes = f->lanes;
            E->lazy = guard == f->guard ? lazy : NULL;
        }
        lg_arena *arena = E->arena;
        E->lasting += f->arena != arena;
        E->arena = f->arena;
        E->frame = f;
        lg_statement(E, f, b->stmt);
        E->frame = was;
        E->arena = arena;
        E->asking = by.up;
        E->g = g;
        E->guard = guard;
        E->lazy = lazy;
        E->draw_lane = lane;
        E->lanes = lanes;
        if (b->state == LG_B_RUNNING)
            b->state = LG_B_VALUE;
        if (!b->value)
            b->value = lg_v_error(E, at);
    }
    return b->value;
}

static lg_value *value_of_dim(lg_elab *E, lg_dim *d, lg_span at) {
    return lg_v_dim(E, d, at);
}

static lg_dim *own_dim(const lg_frame *f, lg_sym name) {
    for (size_t i = f->dims.n; i-- > 0;)
        if (f->dims.at[i].name == name)
            return f->dims.at[i].dim;
    return NULL;
}

lg_module *lg_library_module(lg_elab *E, const char *name) {
    for (lg_module *m = E->modules; m; m = m->next)
        if (m->library && !strcmp(m->name, name))
            return m;
    for (const lg_embedded *e = lg_stdlib; e->name; e++)
        if (!strcmp(e->name, name)) {
            uint32_t file = lg_source_add(lg_txt(E, "std/%s.lg", e->name), e->text, e->n_text);
            lg_arena *arena = E->arena;
            E->arena = E->home;
            lg_ast *tree = lg_ast_read(E->arena, e->tree, e->n_tree, file);
            lg_module *m = tree ? lg_elab_add_module(E, e->name, tree, true) : NULL;
            E->arena = arena;
            return m;
        }
    return NULL;
}

/* The library is searched by a table from each top-level name to its module, built once. */
typedef struct name_row {
    lg_sym name;
    const lg_embedded *module;
    struct name_row *next;
} name_row;
static name_row *library_names[1024];
static bool library_indexed;

static size_t name_slot(lg_sym s) {
    return (size_t)(lg_hash(s, strlen(s), 7) & 1023);
}

static void index_library(lg_elab *E) {
    if (library_indexed)
        return;
    memset(library_names, 0, sizeof library_names); /* of an attempt that memory ran out for */
    lg_arena *keep = lg_arena_new();
    (void)E;
    for (const lg_embedded *e = lg_stdlib; e->name; e++) {
        const char *p = e->names;
        while (p && *p) {
            size_t n = strcspn(p, " ");
            name_row *r = LG_NEW(keep, name_row);
            r->name = lg_intern_n(p, n);
            r->module = e;
            r->next = library_names[name_slot(r->name)];
            library_names[name_slot(r->name)] = r;
            p += n + (p[n] == ' ');
        }
    }
    library_indexed = true;
}

static lg_value *lookup_library(lg_elab *E, lg_sym name, lg_span at) {
    index_library(E);
    for (name_row *r = library_names[name_slot(name)]; r; r = r->next)
        if (r->name == name) {
            lg_module *m = lg_library_module(E, r->module->name);
            lg_binding *b = m ? lg_find_local(m->frame, name, false) : NULL;
            if (b)
                return lg_force(E, m->frame, b, at);
        }
    return NULL;
}

static const lg_ast *declared_in(const lg_ast *tree, lg_sym name) {
    for (uint32_t i = 0; tree && i < tree->n; i++)
        if (tree->kid[i]->kind == LG_A_DECL && tree->kid[i]->name == name)
            return tree->kid[i];
    return NULL;
}

const lg_ast *lg_decl_named(lg_elab *E, const lg_module *m, lg_sym name) {
    const lg_ast *d = declared_in(m->tree, name);
    index_library(E);
    for (name_row *r = library_names[name_slot(name)]; r && !d; r = r->next) {
        const lg_module *l = r->name == name ? lg_library_module(E, r->module->name) : NULL;
        d = l ? declared_in(l->tree, name) : NULL;
    }
    return d;
}

bool lg_lookup_user(lg_elab *E, lg_frame *f, lg_sym name) {
    (void)E;
    for (; f; f = f->up)
        if (lg_find_local(f, name, false))
            return true;
    return false;
}

void lg_library_names(lg_elab *E, const char ***at, size_t *n, size_t *cap) {
    index_library(E);
    for (size_t i = 0; i < LG_COUNT(library_names); i++)
        for (name_row *r = library_names[i]; r; r = r->next) {
            if (*n == *cap) {
                *at = lg_realloc(*at, (*cap ? *cap * 2 : 64) * sizeof **at);
                *cap = *cap ? *cap * 2 : 64;
            }
            (*at)[(*n)++] = r->name;
        }
}

lg_value *lg_lookup(lg_elab *E, lg_frame *f, lg_sym name, lg_span at) {
    for (; f; f = f->up) {
        lg_binding *b = lg_find_local(f, name, false);
        if (b) {
            b->used = true;
            return lg_force(E, f, b, at);
        }
        lg_dim *d = own_dim(f, name);
        if (d)
            return value_of_dim(E, d, at);
        for (size_t i = 0; i < f->packs.n; i++)
            if (f->packs.at[i].name == name) {
                lg_value *v = lg_v_list(E, f->packs.at[i].n, at);
                for (int k = 0; k < v->list.n; k++)
                    v->list.at[k] = lg_v_dim(E, f->packs.at[i].dim[k], at);
                return v;
            }
    }
    lg_value *v = lookup_library(E, name, at);
    if (v)
        return v;
    const lg_builtin *bi = lg_builtin_find(name);
    if (!bi && E->host_builtin)
        bi = E->host_builtin(name);
    if (bi) {
        v = lg_v_new(E, LG_V_BUILTIN, at);
        v->builtin = bi;
        return v;
    }
    return NULL;
}

lg_dim *lg_lookup_dim(lg_elab *E, lg_frame *f, lg_sym name) {
    for (; f; f = f->up) {
        lg_dim *d = own_dim(f, name);
        if (d)
            return d;
        lg_binding *b = lg_find_local(f, name, false);
        if (b) {
            lg_value *v = lg_force(E, f, b, b->at);
            if (v->kind == LG_V_NUM)
                return v->num.dim ? v->num.dim : v->num.known && v->num.i >= 0 && v->num.is_int ? lg_dim_num(E->dims, v->num.i) : NULL;
            return NULL;
        }
    }
    return NULL;
}

/* ---- dims across calls ---- */

typedef struct {
    lg_frame *owner;
    lg_dim *to;
    bool number; /* a parameter that was given as a number */
    lg_dims *dims;
} alias;

lg_dim *lg_dim_fresh(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *to, lg_span at) {
    lg_dim *d = lg_dim_var(E->dims, name, at);
    int64_t size;
    if (to && lg_dim_value(to, &size))
        lg_dim_set(d, size);
    alias *a = LG_NEW(f->arena, alias);
    *a = (alias){f, to, false, E->dims};
    lg_dim_set_user(d, a);
    return d;
}

lg_dim *lg_dim_size_param(lg_elab *E, lg_frame *f, lg_sym name, lg_dim *to, lg_span at) {
    lg_dim *d = lg_dim_fresh(E, f, name, to, at);
    if (lg_dim_later(to))
        lg_dim_set_later(d);
    ((alias *)lg_dim_user(d))->number = true;
    return d;
}

/* No arena or elaboration is asked for: the names know where they are interned. */
const lg_dim *lg_dim_in_numbers(const lg_dim *d) {
    for (int round = 0; round < 64; round++) {
        const lg_dim *var[32], *from[32], *to[32];
        size_t n = lg_dim_vars(d, var, LG_COUNT(var)), k = 0;
        lg_dims *dims = NULL;
        for (size_t i = 0; i < n; i++) {
            const alias *a = lg_dim_user(var[i]);
            if (!a || !a->number)
                continue;
            dims = a->dims;
            from[k] = var[i];
            to[k++] = a->to;
        }
        if (!k)
            break;
        d = lg_dim_subst(dims, d, k, from, to);
    }
    return d;
}

static bool in_view(const lg_frame *f, const lg_frame *owner) {
    for (const lg_frame *c = f; c; c = c->caller) {
        for (const lg_frame *u = c; u; u = u->up)
            if (u == owner || u->hyper == owner)
                return true;
        for (const lg_frame *s = c->self; s; s = s->up)
            if (s == owner)
                return true;
    }
    return false;
}

lg_dim *lg_dim_seen_from(lg_elab *E, lg_frame *f, lg_dim *d) {
    for (int round = 0; round < 64; round++) {
        const lg_dim *var[32], *from[32], *to[32];
        size_t n = lg_dim_vars(d, var, LG_COUNT(var)), k = 0;
        for (size_t i = 0; i < n; i++) {
            const alias *a = lg_dim_user(var[i]);
            if (a && a->to && !in_view(f, a->owner)) {
                from[k] = var[i];
                to[k++] = a->to;
            }
        }
        if (!k)
            break;
        d = lg_dim_subst(E->dims, d, k, from, to);
    }
    return d;
}

lg_value *lg_value_seen_from(lg_elab *E, lg_frame *f, lg_value *v) {
    switch (v->kind) {
    case LG_V_TENSOR: {
        bool same = true;
        lg_dim *dim[LG_MAX_RANK], *bound = v->t.bound;
        for (int i = 0; i < v->t.rank; i++) {
            dim[i] = lg_dim_seen_from(E, f, v->t.dim[i]);
            same = same && dim[i] == v->t.dim[i];
        }
        if (bound)
            bound = lg_dim_seen_from(E, f, bound);
        if (same && bound == v->t.bound)
            return v;
        lg_value *r = lg_v_copy(E, v);
        r->t.dim = lg_arena_dup(E->arena, dim, sizeof *dim * (size_t)(v->t.rank ? v->t.rank : 1));
        r->t.bound = bound;
        return r;
    }
    case LG_V_NUM: {
        if (!v->num.dim)
            return v;
        lg_value *r = lg_v_copy(E, v);
        r->num.dim = lg_dim_seen_from(E, f, v->num.dim);
        return r;
    }
    case LG_V_RECORD: {
        lg_value *r = lg_v_record(E, v->rec.n, v->at);
        r->rounds = v->rounds;
        r->rec.quant = v->rec.quant;
        for (int i = 0; i < v->rec.n; i++) {
            r->rec.f[i] = v->rec.f[i];
            r->rec.f[i].value = lg_value_seen_from(E, f, v->rec.f[i].value);
        }
        return r;
    }
    case LG_V_LIST: {
        lg_value *r = lg_v_list(E, v->list.n, v->at);
        for (int i = 0; i < v->list.n; i++)
            r->list.at[i] = lg_value_seen_from(E, f, v->list.at[i]);
        return r;
    }
    default: return v;
    }
}

/* ---- modules ---- */

lg_elab *lg_elab_new(lg_arena *a, lg_diags *ds) {
    lg_elab *E = LG_NEW(a, lg_elab);
    E->arena = E->home = a;
    E->diags = ds;
    E->dims = lg_dims_new(a);
    E->float_dtype = LG_F32;
    return E;
}

/* Every named declaration is pending until somebody asks for it. */
/* Optimizers for different shapes may share a name; so may an optimizer and a function. */
static bool may_share_name(const lg_ast *a, const lg_ast *b) {
    bool rule_a = !strcmp(a->text, "optimizer"), rule_b = !strcmp(b->text, "optimizer");
    return (rule_a && rule_b) || (rule_a && !strcmp(b->text, "fn")) || (rule_b && !strcmp(a->text, "fn"));
}

static void declare(lg_elab *E, lg_module *m, const lg_ast *s) {
    if (s->kind != LG_A_DECL || !s->name)
        return;
    lg_binding *was = lg_find_local(m->frame, s->name, false);
    bool overload = was && was->stmt && was->stmt->text && may_share_name(was->stmt, s);
    if (overload)
        return; /* the one that fits is looked for: rule.c, call.c */
    if (was) {
        lg_diag *d = lg_err(E, "E0304", s->name_span, "`%s` is declared twice", s->name);
        lg_diag_label(d, was->at, "first declared here");
        return;
    }
    lg_bind(E, m->frame, s->name, NULL, s->name_span.file ? s->name_span : s->span);
    m->frame->names->state = LG_B_PENDING;
    m->frame->names->stmt = s;
}

lg_module *lg_elab_add_module(lg_elab *E, const char *name, lg_ast *tree, bool library) {
    lg_module *m = LG_NEW(E->arena, lg_module);
    m->name = name;
    m->tree = tree;
    m->library = library;
    lg_frame *was = E->frame;
    E->frame = NULL;
    m->frame = lg_frame_new(E, LG_F_MODULE, NULL);
    E->frame = was;
    m->frame->module = m;
    m->frame->float_dtype = E->float_dtype;
    lg_module **end = &E->modules;
    while (*end)
        end = &(*end)->next;
    *end = m;
    for (uint32_t i = 0; i < tree->n; i++)
        declare(E, m, tree->kid[i]);
    return m;
}

/* "nn" of std.nn, "digits" of dir/digits.lg */
static lg_sym last_name(const lg_ast *import) {
    char cut = import->flags & LG_AF_FILE ? '/' : '.';
    const char *at = strrchr(import->text, cut);
    at = at ? at + 1 : import->text;
    const char *end = import->flags & LG_AF_FILE ? strchr(at, '.') : NULL;
    return lg_intern_n(at, end && end != at ? (size_t)(end - at) : strlen(at));
}

void lg_elab_import(lg_elab *E, lg_module *into, const lg_ast *t, lg_module *m) {
    lg_sym name = t->name ? t->name : last_name(t);
    lg_binding *was = lg_find_local(into->frame, name, false);
    if (was) {
        lg_diag *d = lg_err(E, "E0304", t->span, "`%s` is declared twice", name);
        lg_diag_label(d, was->at, "declared here too");
        lg_diag_help(d, "give the module another name: import ... as m");
        return;
    }
    lg_value *v = lg_v_new(E, LG_V_MODULE, t->span);
    v->module = m;
    lg_bind(E, into->frame, name, v, t->span);
}
