/* pipeline.c: stages that choose, order and group rows (shuffle, batch, split, take, skip, filter,
 * map, window, prefetch), and the functions over data that the host adds to the language. */
#include "compiler/host/inside.h"
#include "runtime/rng.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- orders ---- */

/* Fisher-Yates with draws addressed by seed and epoch. */
static int64_t *permutation(int64_t n, uint64_t seed, int64_t epoch) {
    int64_t *p = lg_alloc(sizeof *p * (size_t)(n ? n : 1));
    double *u = lg_alloc(sizeof *u * (size_t)(n ? n : 1));
    lg_rng_uniform_f64(lg_hash_mix(lg_hash_mix(0x6461746173687566u, seed), (uint64_t)epoch), 0,
                       (size_t)n, u);
    for (int64_t i = 0; i < n; i++)
        p[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)(u[i] * (double)(i + 1)), t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
    lg_free(u);
    return p;
}

int64_t *lg_data_epoch(const lg_data *d, int64_t epoch) {
    if (d->n < 0)
        return NULL;
    if (d->shuffle)
        return permutation(d->n, d->seed, epoch);
    int64_t *p = lg_alloc(sizeof *p * (size_t)(d->n ? d->n : 1));
    for (int64_t i = 0; i < d->n; i++)
        p[i] = i;
    return p;
}

int64_t lg_data_batch(const lg_data *d) {
    return d->batch ? d->batch : d->n;
}

/* The order as it stands becomes the order of the rows: what comes after a shuffle sees its first
 * epoch. */
static lg_data *settled(lg_elab *E, const lg_data *d) {
    lg_data *r = lg_data_derive(E, d);
    if (!d->shuffle || d->n < 0)
        return r;
    int64_t *p = permutation(d->n, d->seed, 0);
    r->order = LG_NEW_N(E->arena, int64_t, d->n ? d->n : 1);
    for (int64_t i = 0; i < d->n; i++)
        r->order[i] = d->order ? d->order[p[i]] : p[i];
    lg_free(p);
    r->shuffle = false;
    return r;
}

static lg_data *pick(lg_elab *E, const lg_data *d, const int64_t *pos, int64_t n) {
    lg_data *r = lg_data_derive(E, d);
    r->order = LG_NEW_N(E->arena, int64_t, n ? n : 1);
    for (int64_t i = 0; i < n; i++)
        r->order[i] = d->order ? d->order[pos[i]] : pos[i];
    r->n = n;
    return r;
}

static lg_data *pick_range(lg_elab *E, const lg_data *d, int64_t lo, int64_t hi) {
    int64_t n = hi - lo, *pos = lg_alloc(sizeof *pos * (size_t)(n ? n : 1));
    for (int64_t i = 0; i < n; i++)
        pos[i] = lo + i;
    lg_data *r = pick(E, d, pos, n);
    lg_free(pos);
    return r;
}

/* ---- arguments ---- */

typedef struct {
    lg_elab *E;
    const char *stage;
    int n;
    const lg_arg *arg;
    lg_span at;
    unsigned used;
    bool unknown; /* check mode: some argument is not known */
} stage;

/* Where an argument stands, else the stage. */
static lg_span arg_at(const stage *s, const char *name, int position) {
    int seen = 0;
    for (int i = 0; i < s->n; i++)
        if (s->arg[i].name ? !strcmp(s->arg[i].name, name) : seen++ == position)
            return s->arg[i].at;
    return s->at;
}

static lg_value *arg_of(stage *s, const char *name, int position) {
    int seen = 0;
    for (int i = 0; i < s->n; i++)
        if (s->arg[i].name ? !strcmp(s->arg[i].name, name) : seen++ == position) {
            s->used |= 1u << i;
            return s->arg[i].value;
        }
    return NULL;
}

static bool integer(stage *s, const char *name, int position, bool needed, int64_t *out) {
    lg_value *v = arg_of(s, name, position);
    if (!v) {
        for (int i = 0; needed && i < s->n; i++)
            if (!(s->used >> i & 1) && s->arg[i].name) { /* most likely meant as that one */
                lg_diag *d = lg_err(s->E, "E0220", lg_arg_at(&s->arg[i]),
                                    "`%s` has no argument `%s`", s->stage, s->arg[i].name);
                lg_diag_help(d, "did you mean `%s`?", name);
                return false;
            }
        if (needed)
            lg_err(s->E, "E0220", s->at, "`%s` wants %s", s->stage, name);
        return !needed;
    }
    if (lg_v_static_int(s->E, v, out))
        return true;
    if (v->kind == LG_V_ERROR || (v->kind == LG_V_NUM && !v->num.known) ||
        !lg_host_of(s->E)->keep) {
        s->unknown = true;
        return true;
    }
    lg_err(s->E, "E0208", v->at, "`%s` of `%s` is an integer, got %s", name, s->stage,
           lg_v_type_text(s->E, v));
    return false;
}

static bool no_more(stage *s, const char *takes) {
    for (int i = 0; i < s->n; i++)
        if (!(s->used >> i & 1)) {
            lg_diag *d =
                s->arg[i].name
                    ? lg_err(s->E, "E0220", lg_arg_at(&s->arg[i]), "`%s` has no argument `%s`",
                             s->stage, s->arg[i].name)
                    : lg_err(s->E, "E0220", s->arg[i].at, "`%s` has too many arguments", s->stage);
            lg_diag_help(d, "it is %s", takes);
            return false;
        }
    return true;
}

/* ---- stages ---- */

static lg_data *do_shuffle(stage *s, lg_data *d) {
    int64_t seed = lg_host_of(s->E)->o.seed;
    if (!integer(s, "seed", 0, false, &seed) || !no_more(s, "shuffle(seed=0)"))
        return NULL;
    lg_data *r = settled(s->E, d);
    r->shuffle = d->n >= 0;
    r->seed = (uint64_t)seed;
    return r;
}

static lg_data *do_batch(stage *s, lg_data *d) {
    int64_t n = 1;
    if (!integer(s, "n", 0, true, &n))
        return NULL;
    lg_value *drop = arg_of(s, "drop_last", -1);
    bool drop_last = false;
    if (drop)
        lg_v_static_bool(s->E, drop, &drop_last);
    if (!no_more(s, "batch(n, drop_last=false)"))
        return NULL;
    if (n < 1 && !s->unknown) {
        lg_err(s->E, "E0628", arg_at(s, "n", 0), "a batch has at least one row, got %lld",
               (long long)n);
        return NULL;
    }
    lg_data *r = lg_arena_dup(s->E->arena, d, sizeof *d); /* the same rows: what was made stays */
    r->decl = NULL;
    r->batch = n;
    r->drop_last = drop_last;
    if (drop_last && r->n >= 0 && r->n < n && !s->unknown) {
        lg_err(s->E, "E0628", s->at, "%s has %lld rows, no full batch of %lld", d->name,
               (long long)d->n, (long long)n);
        return NULL;
    }
    return r;
}

static lg_data *do_take(stage *s, lg_data *d, bool skip) {
    int64_t n = 0;
    if (!integer(s, "n", 0, true, &n) || !no_more(s, skip ? "skip(n)" : "take(n)"))
        return NULL;
    if (s->unknown || d->src->unknown)
        return lg_data_derive(s->E, d);
    if (d->n < 0 && skip && !lg_host_of(s->E)->keep)
        return lg_data_derive(s->E, d); /* how many rows there are shows when it runs */
    if (n < 0 || (skip && d->n < 0)) {
        lg_err(s->E, "E0628", s->at,
               skip && n >= 0 ? "%s is endless" : "`%s` wants a count, got a negative number",
               skip && n >= 0 ? d->name : s->stage);
        return NULL;
    }
    lg_data *r = settled(s->E, d);
    if (d->n < 0)
        return pick_range(s->E, r, 0, n);
    if (n > d->n)
        n = d->n;
    r = pick_range(s->E, r, skip ? n : 0, skip ? d->n : n);
    if (!r->n && !skip)
        return r;
    if (!r->n) {
        lg_err(s->E, "E0623", s->at, "nothing is left of %s", d->name);
        return NULL;
    }
    return r;
}

/* split(part, at=0.8, seed=1): part "train" is the first share, "test" the rest; at=[0.8, 0.1] makes
 * three, with "valid" between them. Windows over a text are split in place: they overlap. */
static lg_data *do_split(stage *s, lg_data *d) {
    lg_value *part = arg_of(s, "part", 0), *share = arg_of(s, "at", 1);
    int64_t seed = 0;
    if (!integer(s, "seed", 2, false, &seed) || !no_more(s, "split(part, at=0.8, seed=0)"))
        return NULL;
    if (!part || part->kind != LG_V_STR) {
        if (!part || part->kind != LG_V_ERROR)
            lg_err(s->E, "E0220", s->at,
                   "`split` wants the part to take: \"train\", \"valid\" or \"test\"");
        return NULL;
    }
    double cut[2] = {0.8, 1.0};
    int cuts = 1;
    if (share && share->kind == LG_V_LIST && share->list.n >= 1 && share->list.n <= 2) {
        cuts = share->list.n;
        for (int i = 0; i < cuts; i++)
            if (!lg_v_static_real(s->E, share->list.at[i], &cut[i]))
                s->unknown = true;
        cut[1] = cuts == 2 ? cut[0] + cut[1] : 1.0;
    } else if (share && !lg_v_static_real(s->E, share, &cut[0])) {
        s->unknown = true;
    }
    if (s->unknown)
        return lg_data_derive(s->E, d);
    if (!(cut[0] > 0 && cut[0] < 1 && cut[cuts - 1] < 1)) {
        lg_err(s->E, "E0628", arg_at(s, "at", 1),
               "`at` of `split` is a share between 0 and 1, got %g", cut[0]);
        return NULL;
    }
    if (!part->str || d->src->unknown)
        return lg_data_derive(s->E, d);
    static const char *const between[] = {"valid", "val", "eval", "dev", "validation"};
    int which = !strcmp(part->str, "train") ? 0 : !strcmp(part->str, "test") ? cuts : -1;
    for (size_t i = 0; which < 0 && i < LG_COUNT(between); i++)
        if (!strcmp(part->str, between[i]))
            which = 1;
    if (which == 1 && cuts == 1 && strcmp(part->str, "test") != 0) {
        lg_diag *x = lg_err(s->E, "E0628", part->at,
                            "one share makes the parts train and test, there is no `%s`", part->str);
        lg_diag_help(x, "two shares make three parts: `at=[0.8, 0.1]`");
        return NULL;
    }
    if (which < 0) {
        lg_err(s->E, "E0628", part->at, "`split` knows the parts train, valid and test, not `%s`",
               part->str);
        return NULL;
    }
    if (d->n < 0 && !lg_host_of(s->E)->keep)
        return lg_data_derive(s->E, d);
    if (d->n < 0) {
        lg_err(s->E, "E0628", s->at, "%s is endless and cannot be split", d->name);
        return NULL;
    }
    int64_t lo = which ? (int64_t)floor(cut[which - 1] * (double)d->n) : 0;
    int64_t hi = which < cuts ? (int64_t)floor(cut[which] * (double)d->n) : d->n;
    if (lo >= hi) {
        lg_err(s->E, "E0623", s->at, "the part `%s` of %lld rows is empty", part->str,
               (long long)d->n);
        return NULL;
    }
    lg_data *r = settled(s->E, d);
    bool in_place = d->src->window || d->src->contiguous;
    int64_t *p = permutation(d->n, (uint64_t)seed, 0);
    lg_data *out = in_place ? pick_range(s->E, r, lo, hi) : pick(s->E, r, p + lo, hi - lo);
    lg_free(p);
    return out;
}

static lg_data *mapped(stage *s, lg_data *d, lg_value *fn) {
    lg_source *src = LG_NEW(s->E->arena, lg_source);
    *src = (lg_source){.name = d->src->name,
                       .n = d->n,
                       .classes = d->src->classes,
                       .nonfinite = true,
                       .vocab = d->src->vocab,
                       .from = settled(s->E, d),
                       .fn = fn,
                       .frame = s->E->frame ? s->E->frame : lg_host_of(s->E)->main->frame,
                       .seed = lg_host_of(s->E)->o.seed};
    lg_data *r = lg_data_derive(s->E, d);
    r->src = src;
    r->order = NULL;
    r->shuffle = false;
    return lg_source_type(s->E, src) ? r : NULL;
}

static lg_data *do_map(stage *s, lg_data *d) {
    lg_value *fn = arg_of(s, "fn", 0);
    if (!no_more(s, "map(fn (row, index) = {x: ...})"))
        return NULL;
    if (!fn || fn->kind != LG_V_FN) {
        if (!fn || fn->kind != LG_V_ERROR)
            lg_err(s->E, "E0208", s->at, "`map` wants a function of a row");
        return NULL;
    }
    return d->src->unknown ? d : mapped(s, d, fn);
}

static lg_data *do_filter(stage *s, lg_data *d) {
    lg_value *fn = arg_of(s, "fn", 0);
    if (!no_more(s, "filter(fn (row, index) = condition)"))
        return NULL;
    if (!fn || fn->kind != LG_V_FN) {
        if (!fn || fn->kind != LG_V_ERROR)
            lg_err(s->E, "E0208", s->at,
                   "`filter` wants a function of a row that gives true or false");
        return NULL;
    }
    if (d->src->unknown)
        return d;
    lg_data *r = settled(s->E, d), *m = mapped(s, r, fn);
    if (!m)
        return NULL;
    if (m->src->n_cols != 1 || m->src->col[0].type->t.dtype != LG_BOOL ||
        m->src->col[0].type->t.rank) {
        lg_err(s->E, "E0208", s->at, "the function of `filter` gives one bool a row");
        return NULL;
    }
    if (!lg_host_of(s->E)->keep) {
        r->n = -1;
        return r;
    }
    if (d->n < 0) {
        lg_err(s->E, "E0628", s->at, "%s is endless: `take(n)` comes before `filter`", d->name);
        return NULL;
    }
    int64_t *pos = lg_data_epoch(m, 0), kept = 0;
    lg_tensor *yes = NULL;
    if (lg_data_rows(s->E, m, pos, m->n, &yes))
        for (int64_t i = 0; i < m->n; i++)
            if (lg_get_i64(LG_BOOL, yes->data, (size_t)i))
                pos[kept++] = i;
    lg_data *out = yes ? pick(s->E, r, pos, kept) : NULL;
    lg_tensor_release(yes);
    lg_free(pos);
    if (out && !kept) {
        lg_err(s->E, "E0623", s->at, "`filter` leaves no row of %s", d->name);
        return NULL;
    }
    return out;
}

/* window(n, stride=1): n rows in order become one, with a first dim of n. */
static lg_data *do_window(stage *s, lg_data *d) {
    int64_t w = 1, stride = 1;
    lg_value *wv = arg_of(s, "n", 0);
    if (!integer(s, "n", 0, true, &w) || !integer(s, "stride", 1, false, &stride) ||
        !no_more(s, "window(n, stride=1)"))
        return NULL;
    if (d->src->unknown || s->unknown)
        return d;
    if (w < 1 || stride < 1 || (d->n >= 0 && w > d->n)) {
        lg_err(s->E, "E0628", s->at, "a window of %lld rows, every %lld, does not fit %lld rows",
               (long long)w, (long long)stride, (long long)d->n);
        return NULL;
    }
    lg_source *src = LG_NEW(s->E->arena, lg_source);
    *src = (lg_source){.name = d->src->name,
                       .classes = d->src->classes,
                       .nonfinite = d->src->nonfinite,
                       .vocab = d->src->vocab,
                       .from = settled(s->E, d),
                       .window = w,
                       .stride = stride,
                       .n = d->n < 0 ? -1 : (d->n - w) / stride + 1,
                       .n_cols = d->src->n_cols,
                       .contiguous = true};
    src->col = LG_NEW_N(s->E->arena, lg_col, src->n_cols ? src->n_cols : 1);
    for (int i = 0; i < src->n_cols; i++) {
        const lg_value *t = d->src->col[i].type;
        lg_dim *dim[LG_MAX_RANK] = {
            wv && wv->kind == LG_V_NUM && wv->num.dim ? wv->num.dim : lg_dim_num(s->E->dims, w)};
        for (int k = 0; k < t->t.rank && k + 1 < LG_MAX_RANK; k++)
            dim[k + 1] = t->t.dim[k];
        src->col[i] =
            (lg_col){.name = d->src->col[i].name,
                     .type = lg_v_tensor(s->E, t->t.dtype, t->t.rank + 1, dim, NULL, s->at)};
        src->col[i].type->t.bound = t->t.bound;
    }
    lg_data *r = lg_data_derive(s->E, d);
    r->src = src;
    r->order = NULL;
    r->shuffle = false;
    r->n = src->n;
    return r;
}

static lg_data *do_prefetch(stage *s, lg_data *d) {
    int64_t n = 1;
    if (!integer(s, "n", 0, false, &n) || !no_more(s, "prefetch(n)"))
        return NULL;
    lg_data *r = lg_data_derive(s->E, d);
    r->ahead = true;
    return r;
}

static lg_data *do_first(stage *s, lg_data *d) {
    return do_take(s, d, false);
}

static lg_data *do_skip(stage *s, lg_data *d) {
    return do_take(s, d, true);
}

static const struct {
    const char *name;
    lg_data *(*run)(stage *s, lg_data *d);
} stages[] = {{"shuffle", do_shuffle}, {"batch", do_batch},   {"take", do_first},
              {"skip", do_skip},       {"split", do_split},   {"map", do_map},
              {"filter", do_filter},   {"window", do_window}, {"prefetch", do_prefetch}};

lg_data *lg_data_stage(lg_elab *E, lg_data *d, lg_sym name, int n, const lg_arg *arg, lg_span at) {
    stage s = {.E = E, .stage = name, .n = n, .arg = arg, .at = at};
    const char *all[LG_COUNT(stages)];
    for (size_t i = 0; i < LG_COUNT(stages); i++) {
        all[i] = stages[i].name;
        if (!strcmp(stages[i].name, name))
            return stages[i].run(&s, d);
    }
    lg_diag *x = lg_err(E, "E0626", at, "data have no stage `%s`", name);
    const char *near = lg_nearest(name, all, LG_COUNT(stages));
    if (near)
        lg_diag_help(x, "did you mean `%s`?", near);
    else
        lg_diag_help(x,
                     "there are shuffle, batch, take, skip, split, map, filter, window, prefetch");
    return NULL;
}

/* ---- as functions of the language ---- */

static lg_value *call_stage(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    if (!n) {
        lg_err(E, "E0220", at, "`%s` wants data first", b->name);
        return lg_v_error(E, at);
    }
    lg_data *d = lg_data_of(E, arg[0].value, arg[0].at);
    lg_arg *rest = LG_NEW_N(E->arena, lg_arg, n);
    for (int i = 1; i < n; i++) {
        rest[i - 1] = arg[i];
        rest[i - 1].value = lg_host_settle(E, arg[i].value);
    }
    d = d ? lg_data_stage(E, d, b->name, n - 1, rest, at) : NULL;
    return d ? lg_data_value(E, d, at) : lg_v_error(E, at);
}

static lg_value *call_reader(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                             lg_span at) {
    (void)n;
    (void)arg;
    lg_diag *d = lg_err(E, "E0626", at, "`%s` reads the rows of data", b->name);
    lg_diag_help(d, "declare them: `data name from %s(...)`", b->name);
    return lg_v_error(E, at);
}

static lg_value *call_rows_of(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                              lg_span at) {
    static const char *const names[] = {"data"};
    lg_value *v;
    if (!lg_args(E, b->name, n, arg, at, 1, names, 1, &v))
        return lg_v_error(E, at);
    lg_data *d = lg_data_of(E, v, at);
    return d ? lg_data_whole(E, d, -1, at) : lg_v_error(E, at);
}

static lg_vocab *vocab_of(lg_elab *E, lg_value *v, lg_span at, bool *unknown) {
    lg_data *d = lg_data_of(E, v, at);
    *unknown = !d || d->src->unknown;
    if (d && !d->src->vocab && !d->src->unknown)
        lg_err(E, "E0313", at, "%s is no text: it has no vocabulary", d->name);
    return d ? d->src->vocab : NULL;
}

static lg_value *call_encode(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                             lg_span at) {
    static const char *const names[] = {"data", "text"};
    lg_value *v[2];
    bool unknown;
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    lg_vocab *vocab = vocab_of(E, v[0], at, &unknown);
    if (!vocab || v[1]->kind != LG_V_STR || !v[1]->str) {
        if (v[1]->kind != LG_V_STR && v[1]->kind != LG_V_ERROR)
            lg_err(E, "E0208", at, "`encode` wants a text, got %s", lg_v_type_text(E, v[1]));
        lg_dim *any = lg_dim_var(E->dims, lg_intern("N"), at);
        return lg_host_of(E)->keep ? lg_v_error(E, at) : lg_v_tensor(E, LG_I32, 1, &any, NULL, at);
    }
    lg_io io = lg_host_io(E, at);
    lg_tensor *x;
    if (lg_vocab_encode(&io, vocab, "the text", v[1]->str, strlen(v[1]->str), &x) != LG_OK)
        return lg_v_error(E, at);
    lg_value *r =
        lg_host_of(E)->keep
            ? lg_host_array(E, x, "N", at)
            : lg_v_tensor(E, LG_I32, 1, (lg_dim *[]){lg_dim_num(E->dims, x->shape[0])}, NULL, at);
    r->t.bound = lg_dim_num(E->dims, (int64_t)lg_vocab_size(vocab));
    lg_tensor_release(x);
    return r;
}

static lg_value *call_decode(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                             lg_span at) {
    static const char *const names[] = {"data", "ids"};
    lg_value *v[2];
    bool unknown;
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    lg_vocab *vocab = vocab_of(E, v[0], at, &unknown);
    lg_tensor *made = NULL, *x = NULL;
    if (vocab && lg_host_of(E)->keep)
        x = lg_host_tensor(E, lg_host_settle(E, v[1]), &made);
    if (!x || !lg_dtype_is_int(x->dtype)) {
        if (x)
            lg_err(E, "E0208", at, "`decode` wants integers, got %s", lg_v_type_text(E, v[1]));
        lg_tensor_release(made);
        return x ? lg_v_error(E, at) : lg_v_str(E, NULL, at);
    }
    lg_io io = lg_host_io(E, at);
    lg_tensor *ids = lg_tensor_cast(x, LG_I32);
    lg_buf text = {0};
    bool ok = lg_vocab_decode(&io, vocab, ids->data, ids->n, &text) == LG_OK;
    lg_value *r =
        ok ? lg_v_str(E, lg_intern_n(text.at ? text.at : "", text.n), at) : lg_v_error(E, at);
    lg_buf_free(&text);
    lg_tensor_release(ids);
    lg_tensor_release(made);
    return r;
}

static lg_value *call_gradcheck(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg,
                                lg_span at) {
    static const char *const names[] = {"f"};
    lg_value *f;
    return lg_args(E, b->name, n, arg, at, 1, names, 1, &f) ? lg_gradcheck(E, f, 1, at)
                                                            : lg_v_error(E, at);
}

static lg_value *call_order(lg_elab *E, const lg_builtin *b, int n, const lg_arg *arg, lg_span at) {
    static const char *const names[] = {"f", "n"};
    lg_value *v[2];
    int64_t order;
    if (!lg_args(E, b->name, n, arg, at, 2, names, 2, v))
        return lg_v_error(E, at);
    if (!lg_v_static_int(E, v[1], &order) || order < 1 || order > 6) {
        if (v[1]->kind != LG_V_ERROR)
            lg_err(E, "E0220", at, "`n` of `order` is an integer from 1 to 6, got %s",
                   lg_v_type_text(E, v[1]));
        return lg_v_error(E, at);
    }
    return lg_gradcheck(E, v[0], (int)order, at);
}

static const lg_builtin builtins[] = {
    {"gradcheck", "gradcheck(f)",
     "Does the derivative of f agree with differences, at random inputs?", call_gradcheck, NULL},
    {"order", "order(f, n)", "The same for all derivatives up to order n.", call_order, NULL},
    {"shuffle", "shuffle(data, seed=0)", "Another order of the rows in every epoch.", call_stage,
     NULL},
    {"batch", "batch(data, n, drop_last=false)", "Groups of n rows; the last one may be short.",
     call_stage, NULL},
    {"take", "take(data, n)", "The first n rows.", call_stage, NULL},
    {"skip", "skip(data, n)", "All but the first n rows.", call_stage, NULL},
    {"split", "split(data, part, at=0.8, seed=0)",
     "A part of the rows, chosen by lot: \"train\" is the share `at`, \"test\" the rest; at=[0.8, 0.1] "
     "makes \"train\", \"valid\" and \"test\".",
     call_stage, NULL},
    {"map", "map(data, fn (row, index) = {x: ...})", "Other fields, computed row by row.",
     call_stage, NULL},
    {"filter", "filter(data, fn (row, index) = c)", "The rows for which c holds.", call_stage,
     NULL},
    {"window", "window(data, n, stride=1)", "n neighbouring rows as one.", call_stage, NULL},
    {"prefetch", "prefetch(data, n)", "Rows are made ahead; changes no value.", call_stage, NULL},
    {"rows_of", "rows_of(data)", "All rows as arrays, one for each field.", call_rows_of, NULL},
    {"encode", "encode(data, text)", "Ids of a text in the vocabulary of data.", call_encode, NULL},
    {"decode", "decode(data, ids)", "The text of ids.", call_decode, NULL},
    {"csv", "csv(path, delimiter=, header=, na=, missing=, nonfinite=, classes=)",
     "Rows of a table: `columns`, `label`, each column by name. `na=[\"NA\", \"?\"]` names texts that "
     "count as an empty cell; an empty cell is an error unless `missing=` says what it stands for, as in "
     "missing=\"0\" or missing=\"nan\".",
     call_reader, NULL},
    {"npy", "npy(path)", "Rows of an array: `value`.", call_reader, NULL},
    {"npz", "npz(path)", "Rows of several arrays, by name.", call_reader, NULL},
    {"idx", "idx(pictures, labels)", "Rows of idx files: `image`, `label`.", call_reader, NULL},
    {"text", "text(path, tokens=chars(), window=, stride=1)",
     "Tokens of a text, or windows over them: `token`, `window`.", call_reader, NULL},
    {"wav", "wav(path, window=, stride=1)",
     "Frames of sound, or windows over them: `frame`, `window`.", call_reader, NULL},
    {"images", "images(directory)", "Pictures in class folders: `image`, `label`.", call_reader,
     NULL},
    {"safetensors", "safetensors(path)", "Rows of several arrays, by name.", call_reader, NULL},
    {"rows", "rows(x=X, y=Y)", "Rows of arrays of the program.", call_reader, NULL},
};

size_t lg_host_builtin_count(void) {
    return LG_COUNT(builtins);
}

const lg_builtin *lg_host_builtin_at(size_t i) {
    return &builtins[i];
}

const lg_builtin *lg_host_builtin_find(lg_sym name) {
    for (size_t i = 0; i < LG_COUNT(builtins); i++)
        if (!strcmp(builtins[i].name, name))
            return &builtins[i];
    return NULL;
}
