/* select.c: selectors: which paths they name, sub-records with paths kept, values put by path. A
 * path is names with indices joined by points, "gpt.blk[3].att.w"; in a selector `*` stands for one
 * level (or part of a name), `**` for any number of levels, a name without index for every index,
 * and commas unite. */
#include "compiler/mid/select.h"
#include <string.h>

/* ---- matching ---- */

static size_t level_length(const char *p) {
    return strcspn(p, ".,");
}

/* One level against one pattern with `*` for any characters. */
static bool glob(const char *pat, size_t np, const char *s, size_t ns) {
    if (!np)
        return ns == 0;
    if (*pat == '*')
        return glob(pat + 1, np - 1, s, ns) || (ns && glob(pat, np, s + 1, ns - 1));
    return ns && *pat == *s && glob(pat + 1, np - 1, s + 1, ns - 1);
}

static bool level_matches(const char *pat, size_t np, const char *s, size_t ns) {
    if (glob(pat, np, s, ns))
        return true;
    const char *bracket = memchr(s, '[', ns);
    return bracket && !memchr(pat, '[', np) && glob(pat, np, s, (size_t)(bracket - s));
}

/* One alternative of a selector, of length np, against the rest of a path. */
static bool matches(const char *pat, size_t np, const char *path) {
    if (!np)
        return *path == 0;
    size_t lp = level_length(pat), ls = level_length(path);
    size_t rest = np - lp - (lp < np && pat[lp] == '.');
    const char *next = pat + np - rest, *after = path + ls + (path[ls] == '.');
    if (lp == 2 && !strncmp(pat, "**", 2))
        return matches(next, rest, path) || (*path && matches(pat, np, after));
    return *path && level_matches(pat, lp, path, ls) && matches(next, rest, after);
}

static const char *trim(const char *p, size_t *n) {
    while (*n && *p == ' ')
        p++, --*n;
    while (*n && p[*n - 1] == ' ')
        --*n;
    return p;
}

bool lg_path_matches(const char *selector, const char *path) {
    for (const char *p = selector;;) {
        size_t n = strcspn(p, ",");
        const char *next = p[n] ? p + n + 1 : NULL;
        p = trim(p, &n);
        if (n && matches(p, n, path))
            return true;
        if (!next)
            return false;
        p = next;
    }
}

/* ---- help for selectors that match nothing ---- */

static const char *last_level(lg_elab *E, const char *path) {
    const char *dot = strrchr(path, '.');
    dot = dot ? dot + 1 : path;
    return lg_txt(E, "%.*s", (int)strcspn(dot, "["), dot);
}

static int count_matches(const char *selector, int n, const char *const *path) {
    int k = 0;
    for (int i = 0; i < n; i++)
        k += lg_path_matches(selector, path[i]);
    return k;
}

/* The selector with its last level replaced by w. */
static const char *with_last(lg_elab *E, const char *selector, const char *w) {
    const char *dot = strrchr(selector, '.');
    return dot ? lg_txt(E, "%.*s.%s", (int)(dot - selector), selector, w) : w;
}

void lg_selector_help(lg_elab *E, lg_diag *d, const char *selector, int n,
                      const char *const *path) {
    const char **last = LG_NEW_N(E->arena, const char *, n ? n : 1);
    int k = 0;
    for (int i = 0; i < n; i++) {
        const char *w = last_level(E, path[i]);
        bool seen = false;
        for (int j = 0; j < k; j++)
            seen = seen || last[j] == w;
        if (!seen && k < 64)
            last[k++] = w;
    }
    const char *want = last_level(E, selector), *near = lg_nearest(want, last, (size_t)k);
    for (int i = 0; !near && i < k; i++) /* a long name for a short one: bias for b */
        if (last[i][0] == want[0] && count_matches(with_last(E, selector, last[i]), n, path))
            near = last[i];
    if (near) {
        const char *fixed = with_last(E, selector, near);
        int hits = count_matches(fixed, n, path);
        if (hits) {
            lg_diag_help(d, "did you mean `%s`? It matches %d", fixed, hits);
            return;
        }
    }
    lg_buf b = {0};
    for (int i = 0; i < n && i < 8; i++)
        lg_buf_printf(&b, "%s%s", i ? ", " : "", path[i]);
    lg_diag_note(d, n ? "there are: %s%s" : "there are none%s%s", b.at ? b.at : "",
                 n > 8 ? ", ..." : "");
    lg_buf_free(&b);
}

/* ---- sub-records ---- */

typedef struct {
    lg_elab *E;
    const char *selector;
    int hits;
    LG_VEC(const char *) seen;
} picking;

static lg_value *keep(picking *p, lg_value *v, const char *path);

static lg_value *keep_record(picking *p, lg_value *v, const char *path) {
    lg_value *r = lg_v_record(p->E, v->rec.n, v->at);
    r->rec.n = 0;
    for (int i = 0; i < v->rec.n; i++) {
        lg_sym name = v->rec.f[i].name;
        const char *sub = !*path ? name : lg_txt(p->E, *name == '[' ? "%s%s" : "%s.%s", path, name);
        lg_value *x = keep(p, v->rec.f[i].value, sub);
        if (x)
            r->rec.f[r->rec.n++] = (lg_field){name, x, v->rec.f[i].at};
    }
    return r->rec.n ? r : NULL;
}

/* A list stays one when every item is kept; else the kept items are fields "[3]", which make the
 * same paths. */
static lg_value *keep_list(picking *p, lg_value *v, const char *path) {
    lg_value *l = lg_v_list(p->E, v->list.n, v->at), *r = lg_v_record(p->E, v->list.n, v->at);
    r->rec.n = 0;
    for (int i = 0; i < v->list.n; i++) {
        l->list.at[i] = keep(p, v->list.at[i], lg_txt(p->E, "%s[%d]", path, i));
        if (l->list.at[i])
            r->rec.f[r->rec.n++] =
                (lg_field){lg_intern(lg_txt(p->E, "[%d]", i)), l->list.at[i], v->at};
    }
    return r->rec.n == v->list.n ? l : r->rec.n ? r : NULL;
}

static lg_value *keep(picking *p, lg_value *v, const char *path) {
    if (*path && lg_path_matches(p->selector, path)) {
        p->hits++;
        return v;
    }
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(p->E, v);
    if (v->kind == LG_V_RECORD)
        return keep_record(p, v, path);
    if (v->kind == LG_V_LIST)
        return keep_list(p, v, path);
    LG_PUSH(p->seen, path);
    return NULL;
}

lg_value *lg_select_paths(lg_elab *E, const lg_value *rec, const char *selector, lg_span at) {
    if (rec->kind == LG_V_ERROR || rec->kind == LG_V_OPAQUE)
        return lg_v_copy(E, rec);
    if (!lg_v_is_vector(rec)) {
        lg_err(E, "E0311", at, "a selector picks from a record or a model, not from %s",
               lg_v_type_text(E, rec));
        return lg_v_error(E, at);
    }
    picking p = {.E = E, .selector = selector};
    lg_value *r = keep(&p, lg_v_copy(E, rec), "");
    if (!r) {
        lg_diag *d = lg_err(E, "E0311", at, "selector `%s` matches nothing here", selector);
        lg_selector_help(E, d, selector, (int)p.seen.n, p.seen.at);
        r = lg_v_error(E, at);
    }
    lg_free(p.seen.at);
    return r;
}

/* ---- values by path ---- */

lg_value *lg_at_path(lg_elab *E, lg_value *r, const char *path) {
    while (*path) {
        if (r->kind == LG_V_MODEL)
            r = lg_model_record(E, r);
        size_t n = *path == '[' ? strcspn(path, "]") + 1 : strcspn(path, ".[");
        lg_value *x = NULL;
        if (r->kind == LG_V_RECORD) {
            x = lg_v_field(r, lg_intern_n(path, n));
        } else if (r->kind == LG_V_LIST && *path == '[') {
            int k = 0;
            for (const char *p = path + 1; *p >= '0' && *p <= '9' && k < (1 << 24); p++)
                k = 10 * k + (*p - '0');
            x = k < r->list.n ? r->list.at[k] : NULL;
        }
        if (!x)
            return NULL;
        r = x;
        path += n;
        path += *path == '.';
    }
    return r;
}

typedef struct {
    lg_elab *E;
    const char *selector;
    lg_value *value;
    lg_span at;
    int hits;
} putting;

/* What stands at a place afterwards: the value fitted to it. */
static lg_value *fitted(const putting *p, lg_value *was, const char *path) {
    lg_elab *E = p->E;
    lg_value *v = lg_arrayed(E, p->value, p->at);
    if (v->kind == LG_V_ERROR || was->kind == LG_V_ERROR)
        return lg_v_error(E, p->at);
    if (was->kind == LG_V_RECORD && v->kind == LG_V_RECORD)
        return lg_merge(E, was, v);
    if (was->kind != LG_V_TENSOR || lg_v_is_vector(v))
        return v;
    if (v->kind == LG_V_NUM || (v->kind == LG_V_TENSOR && !v->t.rank)) {
        lg_value *z = lg_fill(E, was->t.dtype, was->t.rank, was->t.dim, 0, p->at);
        return lg_binary(E, "+", z, v, p->at);
    }
    bool fits = v->kind == LG_V_TENSOR && v->t.rank == was->t.rank && v->t.dtype == was->t.dtype;
    for (int d = 0; fits && d < v->t.rank; d++)
        fits = lg_dims_match(v->t.dim[d], was->t.dim[d]);
    if (!fits)
        lg_err(E, "E0203", p->at, "`%s` is %s and cannot become %s", path, lg_v_type_text(E, was),
               lg_v_type_text(E, v));
    return fits ? v : lg_v_error(E, p->at);
}

static lg_value *put_in(putting *p, lg_value *v, const char *path) {
    if (*path && lg_path_matches(p->selector, path)) {
        p->hits++;
        return fitted(p, v->kind == LG_V_MODEL ? lg_model_record(p->E, v) : v, path);
    }
    if (v->kind == LG_V_MODEL)
        v = lg_model_record(p->E, v);
    if (v->kind == LG_V_RECORD) {
        lg_value *r = lg_v_record(p->E, v->rec.n, v->at);
        for (int i = 0; i < v->rec.n; i++) {
            lg_sym name = v->rec.f[i].name;
            r->rec.f[i] = v->rec.f[i];
            const char *sub =
                !*path ? name : lg_txt(p->E, *name == '[' ? "%s%s" : "%s.%s", path, name);
            r->rec.f[i].value = put_in(p, v->rec.f[i].value, sub);
        }
        return r;
    }
    if (v->kind == LG_V_LIST && !lg_list_is_array(v)) {
        lg_value *r = lg_v_list(p->E, v->list.n, v->at);
        for (int i = 0; i < v->list.n; i++)
            r->list.at[i] = put_in(p, v->list.at[i], lg_txt(p->E, "%s[%d]", path, i));
        return r;
    }
    return v;
}

lg_value *lg_put_path(lg_elab *E, lg_value *r, const char *selector, lg_value *v, lg_span at) {
    if (!selector || r->kind == LG_V_ERROR)
        return lg_v_error(E, at);
    putting p = {E, selector, v, at, 0};
    lg_value *out = put_in(&p, r, "");
    if (p.hits)
        return out;
    lg_diag *d = lg_err(E, "E0311", at, "selector `%s` matches nothing here", selector);
    lg_leaf *leaf;
    int n = lg_v_leaves(E, r, &leaf);
    const char **path = LG_NEW_N(E->arena, const char *, n ? n : 1);
    for (int i = 0; i < n; i++)
        path[i] = leaf[i].path;
    lg_selector_help(E, d, selector, n, path);
    return lg_v_error(E, at);
}

/* ---- merging ---- */

static lg_value *merged(lg_elab *E, lg_value *was, lg_value *now) {
    if (was->kind == LG_V_RECORD && now->kind == LG_V_RECORD)
        return lg_merge(E, was, now);
    return was->kind == LG_V_LIST ? lg_merge_items(E, was, now) : now;
}

static int item_number(const char *name, int n) {
    int k = 0;
    if (*name != '[')
        return -1;
    for (const char *p = name + 1; *p >= '0' && *p <= '9' && k < n; p++)
        k = 10 * k + (*p - '0');
    return k < n ? k : -1;
}

lg_value *lg_merge_items(lg_elab *E, lg_value *list, lg_value *by) {
    lg_value *r = lg_v_list(E, list->list.n, by->at);
    for (int i = 0; i < list->list.n; i++)
        r->list.at[i] = list->list.at[i];
    if (by->kind == LG_V_LIST && by->list.n == list->list.n && !lg_list_is_array(by)) {
        for (int i = 0; i < by->list.n; i++)
            r->list.at[i] = merged(E, list->list.at[i], by->list.at[i]);
        return r;
    }
    if (by->kind != LG_V_RECORD)
        return by;
    for (int i = 0; i < by->rec.n; i++) {
        int k = item_number(by->rec.f[i].name, list->list.n);
        if (k < 0)
            return by;
        r->list.at[k] = merged(E, list->list.at[k], by->rec.f[i].value);
    }
    return r;
}
