/* runlog.c: reads what a run left behind: its log line by line, or the history in its newest save.
 */
#include "compiler/driver/runlog.h"
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_LOG = 1 << 30 };

/* ---- columns ---- */

static lg_column_of *column(lg_run_of *r, const char *name) {
    for (size_t i = 0; i < r->columns.n; i++)
        if (!strcmp(r->columns.at[i].name, name))
            return &r->columns.at[i];
    lg_column_of c = {.name = lg_intern(name)};
    LG_PUSH(r->columns, c);
    return &r->columns.at[r->columns.n - 1];
}

const lg_column_of *lg_run_column(const lg_run_of *r, const char *name) {
    for (size_t i = 0; i < r->columns.n; i++)
        if (!strcmp(r->columns.at[i].name, name))
            return &r->columns.at[i];
    return NULL;
}

bool lg_column_chosen(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *at = list; at && *at;) {
        size_t len = strcspn(at, ",");
        if (len == n && !strncmp(at, name, n))
            return true;
        at += len + (at[len] == ',');
    }
    return !list;
}

size_t lg_runlog_columns(const lg_runlog *const *logs, size_t n_logs, const char *list,
                         const char ***out) {
    LG_VEC(const char *) names = {0};
    for (size_t l = 0; l < n_logs; l++)
        for (size_t r = 0; r < logs[l]->runs.n; r++)
            for (size_t c = 0; c < logs[l]->runs.at[r].columns.n; c++) {
                const char *name = logs[l]->runs.at[r].columns.at[c].name;
                bool known = !lg_column_chosen(list, name);
                for (size_t i = 0; i < names.n && !known; i++)
                    known = names.at[i] == name; /* both are interned */
                if (!known)
                    LG_PUSH(names, name);
            }
    *out = names.at;
    return names.n;
}

/* ---- lines ---- */

static lg_run_of *new_run(lg_runlog *r, const char *train, const json_t *about) {
    lg_run_of run = {.about = about, .train = lg_intern(train ? train : "")};
    LG_PUSH(r->runs, run);
    return &r->runs.at[r->runs.n - 1];
}

static bool is_place(const char *key) {
    static const char *const places[] = {"step", "epoch", "seconds"};
    for (size_t i = 0; i < LG_COUNT(places); i++)
        if (!strcmp(places[i], key))
            return true;
    return false;
}

/* Later phases are part of the run that began before them. */
static void begin_train(lg_runlog *r, const json_t *line) {
    const char *train = json_string_value(json_object_get(line, "train"));
    const lg_run_of *last = r->runs.n ? &r->runs.at[r->runs.n - 1] : NULL;
    const json_t *was = last && last->about ? json_object_get(last->about, "phase") : NULL;
    const json_t *is = json_object_get(line, "phase");
    if (was && is && last->train == lg_intern(train ? train : "") && !json_equal(was, is) &&
        json_equal(json_object_get(last->about, "args"), json_object_get(line, "args")) &&
        json_equal(json_object_get(last->about, "seed"), json_object_get(line, "seed")))
        return;
    new_run(r, train, line);
}

static void take_line(lg_runlog *r, const json_t *line) {
    const char *event = json_string_value(json_object_get(line, "event"));
    const char *train = json_string_value(json_object_get(line, "train"));
    if (event && !strcmp(event, "train"))
        begin_train(r, line);
    if (event)
        return;
    bool same = r->runs.n && (!train || r->runs.at[r->runs.n - 1].train == lg_intern(train));
    lg_run_of *run = same ? &r->runs.at[r->runs.n - 1] : new_run(r, train, NULL);
    const json_t *step = json_object_get(line, "step"), *value;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)line, key, value) {
        if (!json_is_number(value) || is_place(key))
            continue;
        lg_column_of *c = column(run, key);
        double x = json_is_number(step) ? json_number_value(step) : (double)c->x.n;
        LG_PUSH(c->x, x);
        LG_PUSH(c->y, json_number_value(value));
    }
}

static bool bad_line(const lg_io *io, const char *path, size_t number) {
    lg_diag *d = lg_io_report(io, "E0603", path, "line %zu is no JSON object", number);
    lg_diag_help(d, "a log is written by `lg run FILE --log LOG.jsonl`");
    return false;
}

static bool parse(const lg_io *io, const lg_bytes *b, lg_runlog *r) {
    const char *at = (const char *)b->at, *end = at + b->n;
    for (size_t number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = stop ? (size_t)(stop - at) : (size_t)(end - at);
        json_t *line = json_loadb(at, n, 0, NULL);
        bool blank = strspn(at, " \t\r") >= n;
        if (json_is_object(line)) { /* those of steps become points of columns */
            if (json_object_get(line, "event"))
                json_array_append(r->lines, line);
            take_line(r, line);
        }
        bool bad = !json_is_object(line) && !blank && stop;
        json_decref(line);
        if (bad)
            return bad_line(io, r->path, number);
        at += n + 1;
    }
    return true;
}

static bool load_log(const lg_io *io, const char *path, lg_runlog *r) {
    lg_bytes b;
    lg_io most = *io;
    most.max_bytes = MOST_LOG;
    if (lg_bytes_load(&most, path, &b) != LG_OK)
        return false;
    bool ok = parse(io, &b, r);
    lg_bytes_free(&b);
    return ok;
}

/* ---- directories ---- */

/* The history in a save has no steps: values are taken to be evenly spaced over the run. */
static void take_history(lg_runlog *r) {
    json_t *about = r->save.meta ? json_loads(r->save.meta, 0, NULL) : NULL;
    if (!json_is_object(about)) {
        json_decref(about);
        return;
    }
    json_array_append_new(r->lines, about);
    lg_run_of *run = new_run(r, json_string_value(json_object_get(about, "train")), about);
    const char *key;
    json_t *values;
    json_object_foreach(json_object_get(about, "history"), key, values) {
        lg_column_of *c = column(run, key);
        size_t n = json_array_size(values);
        for (size_t i = 0; i < n; i++) {
            double x = (double)r->save.step * (double)(i + 1) / (double)n;
            const json_t *v = json_array_get(values, i);
            LG_PUSH(c->x, x);
            LG_PUSH(c->y, json_is_number(v) ? json_number_value(v) : (double)NAN);
        }
    }
}

static bool load_directory(const lg_io *io, const char *path, lg_runlog *r) {
    struct stat st;
    lg_buf log = {0};
    lg_buf_printf(&log, "%s/log.jsonl", path);
    bool ok = lg_checkpoint_load(io, path, &r->save) == LG_OK;
    if (ok && stat(log.at, &st) == 0)
        ok = load_log(io, log.at, r);
    else if (ok)
        take_history(r);
    lg_buf_free(&log);
    return ok;
}

bool lg_runlog_load(const lg_io *io, const char *path, lg_runlog *out) {
    struct stat st;
    lg_runlog r = {.path = path, .lines = json_array()};
    bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    bool ok = dir ? load_directory(io, path, &r) : load_log(io, path, &r);
    if (ok)
        *out = r;
    else
        lg_runlog_fini(&r);
    return ok;
}

void lg_runlog_fini(lg_runlog *r) {
    for (size_t i = 0; i < r->runs.n; i++) {
        for (size_t c = 0; c < r->runs.at[i].columns.n; c++) {
            lg_free(r->runs.at[i].columns.at[c].x.at);
            lg_free(r->runs.at[i].columns.at[c].y.at);
        }
        lg_free(r->runs.at[i].columns.at);
    }
    lg_free(r->runs.at);
    json_decref(r->lines);
    lg_checkpoint_fini(&r->save);
    *r = (lg_runlog){0};
}
