/* checkpoint.c: saves of a run: DIR/step-00000123.safetensors, each with a checksum of every tensor
 * and the caller's JSON in its metadata. What stands in a file (safetensors.c) and what is worth
 * saving (the host) are not decided here. */
#include "runtime/io.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define K_STEP "lossgraph.step"
#define K_RUN "lossgraph.run"
#define K_META "lossgraph.meta"
#define K_META_SUM "lossgraph.meta_checksum"
#define K_SUMS "lossgraph.checksums"

enum { SLACK = 1 << 20, MOST_HEADER = 100 << 20 };

static char *save_path(const char *dir, int64_t step) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s/step-%08lld.safetensors", dir, (long long)step);
    return b.at;
}

/* ---- checksums ---- */

static uint64_t tensor_sum(const lg_named *t) {
    uint64_t seed = lg_hash(t->name, strlen(t->name), (uint64_t)t->x->dtype);
    seed = lg_hash(t->x->shape, (size_t)t->x->rank * sizeof *t->x->shape, seed);
    return lg_hash(t->x->data, lg_tensor_bytes(t->x), seed);
}

static json_t *sum_text(uint64_t sum) {
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sum);
    return json_string(hex);
}

static bool sum_is(const json_t *v, uint64_t sum) {
    json_t *want = sum_text(sum);
    bool same = json_equal(v, want);
    json_decref(want);
    return same;
}

static void put_json(lg_bundle *b, const char *key, json_t *v) {
    char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (text)
        lg_bundle_put_meta(b, key, text);
    free(text);
    json_decref(v);
}

static uint64_t meta_sum(int64_t step, int64_t run, const char *meta) {
    return lg_hash(meta, strlen(meta), (uint64_t)step + ((uint64_t)run << 40));
}

/* The caller's tensors, borrowed, with our metadata; free with fini_marked. */
static lg_bundle marked(const lg_bundle *b, const lg_checkpoint_opts *o) {
    lg_bundle out = {0};
    out.list.at = b->list.at;
    out.list.n = b->list.n;
    char step[24], run[24];
    snprintf(step, sizeof step, "%lld", (long long)o->step);
    snprintf(run, sizeof run, "%lld", (long long)o->run);
    const char *meta = o->meta ? o->meta : "{}";
    json_t *sums = json_object();
    for (size_t i = 0; i < b->list.n; i++)
        json_object_set_new(sums, b->list.at[i].name, sum_text(tensor_sum(&b->list.at[i])));
    for (size_t i = 0; i < b->meta.n; i++)
        lg_bundle_put_meta(&out, b->meta.at[i].key, b->meta.at[i].value);
    lg_bundle_put_meta(&out, "format", "lossgraph");
    lg_bundle_put_meta(&out, K_STEP, step);
    lg_bundle_put_meta(&out, K_RUN, run);
    lg_bundle_put_meta(&out, K_META, meta);
    put_json(&out, K_META_SUM, sum_text(meta_sum(o->step, o->run, meta)));
    put_json(&out, K_SUMS, sums);
    return out;
}

static void fini_marked(lg_bundle *b) {
    b->list.at = NULL;
    b->list.n = 0;
    lg_bundle_fini(b);
}

/* ---- the directory ---- */

/* The step of a save's file name, or -1. */
static int64_t step_of(const char *name) {
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return -1;
    char *end;
    errno = 0;
    long long v = strtoll(name + 5, &end, 10);
    return errno == 0 && strcmp(end, ".safetensors") == 0 ? v : -1;
}

/* A whole number of our metadata: 0 when it is not there, -1 when it is none. */
static int64_t number_of(const char *text) {
    char *end;
    errno = 0;
    long long v = text ? strtoll(text, &end, 10) : 0;
    return !text || (errno == 0 && end != text && !*end && v >= 0) ? v : -1;
}

/* The JSON header of a safetensors file, or NULL: the tensors stay on disk. */
static json_t *header_of(const char *path) {
    FILE *f = fopen(path, "rb");
    unsigned char head[8];
    uint64_t n = 0;
    json_t *root = NULL;
    if (f && fread(head, 1, sizeof head, f) == sizeof head) {
        for (int i = 7; i >= 0; i--)
            n = n << 8 | head[i];
        char *text = n <= MOST_HEADER ? lg_alloc((size_t)n + 1) : NULL;
        if (text && fread(text, 1, (size_t)n, f) == n)
            root = json_loadb(text, (size_t)n, 0, NULL);
        lg_free(text);
    }
    if (f)
        fclose(f);
    return root;
}

typedef struct {
    int64_t run, step;
} saved;

typedef LG_VEC(saved) saves;

/* -1: the header cannot be read. */
static int64_t run_of(const char *dir, int64_t step) {
    char *path = save_path(dir, step);
    json_t *root = header_of(path);
    const json_t *meta = json_object_get(root, "__metadata__");
    int64_t run = root ? number_of(json_string_value(json_object_get(meta, K_RUN))) : -1;
    json_decref(root);
    lg_free(path);
    return run;
}

static int falling(const void *a, const void *b) {
    const saved *x = a, *y = b;
    int by_run = (x->run < y->run) - (x->run > y->run);
    return by_run ? by_run : (x->step < y->step) - (x->step > y->step);
}

/* The saves of a directory, newest first: those of a later run are newer whatever their step.
 * False when it cannot be read. */
static bool list_saves(const char *dir, saves *out) {
    DIR *d = opendir(dir);
    if (!d)
        return false;
    for (struct dirent *e; (e = readdir(d));) {
        int64_t step = step_of(e->d_name);
        if (step >= 0)
            LG_PUSH(*out, ((saved){run_of(dir, step), step}));
    }
    closedir(d);
    if (out->n)
        qsort(out->at, out->n, sizeof *out->at, falling);
    return true;
}

int64_t lg_checkpoint_last_run(const char *dir) {
    saves all = {0};
    int64_t run = list_saves(dir, &all) && all.n ? all.at[0].run : 0;
    lg_free(all.at);
    return run > 0 ? run : 0;
}

static bool make_dirs(const char *dir) {
    lg_buf b = {0};
    lg_buf_printf(&b, "%s", dir);
    bool ok = true;
    for (size_t i = 1; ok && i <= b.n; i++) {
        char c = b.at[i];
        if (c != '/' && c != 0)
            continue;
        b.at[i] = 0;
        ok = mkdir(b.at, 0777) == 0 || errno == EEXIST;
        b.at[i] = c;
    }
    lg_buf_free(&b);
    struct stat st;
    if (!ok)
        return false;
    errno = ENOTDIR;
    return stat(dir, &st) == 0 && S_ISDIR(st.st_mode);
}

static lg_status need_dir(const lg_io *io, const char *dir) {
    if (make_dirs(dir))
        return LG_OK;
    lg_io_report(io, "E0610", dir, "the directory cannot be made: %s", strerror(errno));
    return LG_FAILED;
}

static void remove_leftovers(const char *dir) {
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (strncmp(e->d_name, "step-", 5) == 0 && n > 4 && !strcmp(e->d_name + n - 4, ".tmp"))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

lg_status lg_checkpoint_lock(const lg_io *io, const char *dir, int *lock) {
    if (need_dir(io, dir) != LG_OK)
        return LG_FAILED;
    lg_buf b = {0};
    lg_buf_printf(&b, "%s/.lock", dir);
    int fd = open(b.at, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    bool held = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    int error = errno;
    lg_buf_free(&b);
    if (held) {
        remove_leftovers(dir);
        *lock = fd;
        return LG_OK;
    }
    if (fd >= 0)
        close(fd);
    if (error == EWOULDBLOCK)
        lg_io_report(io, "E0611", dir, "another run is saving here");
    else
        lg_io_report(io, "E0610", dir, "the directory cannot be locked: %s", strerror(error));
    return LG_FAILED;
}

void lg_checkpoint_unlock(int lock) {
    close(lock);
}

/* ---- saving ---- */

static lg_status check_space(const lg_io *io, const char *dir, const lg_bundle *b) {
    uint64_t want = SLACK;
    for (size_t i = 0; i < b->list.n; i++)
        want += lg_tensor_bytes(b->list.at[i].x);
    struct statvfs v;
    if (statvfs(dir, &v) != 0)
        return LG_OK; /* unknown: the write itself will tell */
    uint64_t left = (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
    if (want <= left)
        return LG_OK;
    lg_diag *d = lg_io_report(io, "E0610", dir, "a save needs %llu bytes and %llu are free",
                              (unsigned long long)want, (unsigned long long)left);
    lg_diag_note(d, "earlier saves are unchanged");
    return LG_FAILED;
}

static void prune(const char *dir, size_t keep) {
    saves all = {0};
    if (keep && list_saves(dir, &all))
        for (size_t i = keep; i < all.n; i++) {
            char *path = save_path(dir, all.at[i].step);
            unlink(path);
            lg_free(path);
        }
    lg_free(all.at);
}

lg_status lg_checkpoint_save(const lg_io *io, const char *dir, const lg_bundle *b,
                             const lg_checkpoint_opts *opts) {
    assert(opts->step >= 0);
    if (need_dir(io, dir) != LG_OK || check_space(io, dir, b) != LG_OK)
        return LG_FAILED;
    char *path = save_path(dir, opts->step);
    lg_bundle all = marked(b, opts);
    lg_status st = lg_safetensors_write(io, path, &all);
    fini_marked(&all);
    lg_free(path);
    if (st == LG_OK)
        prune(dir, opts->keep);
    return st;
}

/* ---- loading ---- */

static lg_status damaged(const lg_io *io, const char *path, const char *what) {
    lg_io_report(io, "E0611", path, "%s is damaged: its checksum differs", what);
    return LG_FAILED;
}

static lg_status check_sums(const lg_io *io, const char *path, const lg_bundle *b) {
    const char *text = lg_bundle_meta(b, K_SUMS);
    json_t *sums = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    lg_status st = LG_OK;
    if (json_object_size(sums) != b->list.n)
        st = damaged(io, path, "the list of checksums");
    for (size_t i = 0; st == LG_OK && i < b->list.n; i++) {
        const lg_named *t = &b->list.at[i];
        if (sum_is(json_object_get(sums, t->name), tensor_sum(t)))
            continue;
        lg_io_report(io, "E0611", path, "tensor `%s` is damaged: its checksum differs", t->name);
        st = LG_FAILED;
    }
    json_decref(sums);
    return st;
}

/* Checks what only our own saves have; a safetensors file from elsewhere passes as it is. */
static lg_status check_marks(const lg_io *io, lg_checkpoint *c) {
    const char *step = lg_bundle_meta(&c->tensors, K_STEP);
    const char *meta = lg_bundle_meta(&c->tensors, K_META);
    const char *sum = lg_bundle_meta(&c->tensors, K_META_SUM);
    c->step = -1;
    if (!step && !meta && !sum && !lg_bundle_meta(&c->tensors, K_SUMS))
        return LG_OK;
    int64_t run = number_of(lg_bundle_meta(&c->tensors, K_RUN));
    c->step = step ? number_of(step) : -1;
    if (c->step < 0 || run < 0 || !meta || !sum)
        return damaged(io, c->file, "the metadata");
    json_t *want = json_loads(sum, JSON_DECODE_ANY, NULL);
    bool same = sum_is(want, meta_sum(c->step, run, meta));
    json_decref(want);
    if (!same)
        return damaged(io, c->file, "the metadata");
    lg_buf copy = {0};
    lg_buf_put(&copy, meta, strlen(meta));
    c->meta = copy.at;
    return check_sums(io, c->file, &c->tensors);
}

static lg_status load_file(const lg_io *io, const char *path, lg_checkpoint *out) {
    lg_checkpoint c = {0};
    if (lg_safetensors_load(io, path, &c.tensors) != LG_OK)
        return LG_FAILED;
    lg_buf name = {0};
    lg_buf_put(&name, path, strlen(path));
    c.file = name.at;
    if (check_marks(io, &c) == LG_OK) {
        *out = c;
        return LG_OK;
    }
    lg_checkpoint_fini(&c);
    return LG_FAILED;
}

/* One of several: a failure becomes a warning with the reason, so that the next one can be tried.
 */
static lg_status try_file(const lg_io *io, const char *path, lg_checkpoint *out) {
    lg_diags own;
    lg_diags_init(&own);
    lg_io quiet = {&own, io->at, io->max_bytes};
    lg_status st = load_file(&quiet, path, out);
    if (st != LG_OK) {
        const char *why = own.list.n ? own.list.at[0]->message : path;
        lg_diag *d = lg_diag_add(io->ds, "W0601", io->at, "%s", why);
        lg_diag_note(d, "this save is passed over");
    }
    lg_diags_fini(&own);
    return st;
}

/* Saves cut short stand last in the list, as those of no run: those with a later step are told. */
static void tell_cut(const lg_io *io, const char *dir, const saves *all, int64_t step) {
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].run >= 0 || all->at[i].step <= step)
            continue;
        char *path = save_path(dir, all->at[i].step);
        lg_checkpoint other = {0};
        if (try_file(io, path, &other) == LG_OK)
            lg_checkpoint_fini(&other);
        lg_free(path);
    }
}

static lg_status load_newest(const lg_io *io, const char *dir, lg_checkpoint *out) {
    saves all = {0};
    if (!list_saves(dir, &all)) {
        lg_io_report(io, "E0601", dir, "cannot be opened: %s", strerror(errno));
        return LG_FAILED;
    }
    lg_status st = LG_FAILED;
    for (size_t i = 0; st != LG_OK && i < all.n; i++) {
        char *path = save_path(dir, all.at[i].step);
        st = try_file(io, path, out);
        lg_free(path);
    }
    if (st == LG_OK && all.at[0].run >= 0)
        tell_cut(io, dir, &all, out->step);
    if (st != LG_OK && all.n)
        lg_io_report(io, "E0611", dir, "none of its %zu saves is whole", all.n);
    else if (st != LG_OK)
        lg_io_report(io, "E0611", dir, "holds no saves");
    lg_free(all.at);
    return st;
}

lg_status lg_checkpoint_load(const lg_io *io, const char *path, lg_checkpoint *out) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return load_newest(io, path, out);
    return load_file(io, path, out);
}

void lg_checkpoint_fini(lg_checkpoint *c) {
    lg_bundle_fini(&c->tensors);
    lg_free(c->meta);
    lg_free(c->file);
    *c = (lg_checkpoint){0};
}
