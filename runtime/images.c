/* images.c: a directory of pictures of one size as one array, with the class folders as labels.
 * Not for decoding (png.c), nor for resizing: pictures of different sizes are an error. */
#include "runtime/io.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef LG_VEC(char *) names;

static int by_bytes(const void *a, const void *b) {
    char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static void free_names(names *v) {
    for (size_t i = 0; i < v->n; i++)
        lg_free(v->at[i]);
    lg_free(v->at);
    *v = (names){0};
}

static char *join(const char *dir, const char *name) {
    lg_buf b = {0};
    if (dir)
        lg_buf_printf(&b, "%s/", dir);
    lg_buf_printf(&b, "%s", name);
    return b.at;
}

static bool is_png(const char *name) {
    size_t n = strlen(name);
    return n > 4 && (strcmp(name + n - 4, ".png") == 0 || strcmp(name + n - 4, ".PNG") == 0);
}

/* Folders and pictures of a directory, sorted; hidden names and other files are passed over. */
static lg_status list(const lg_io *io, const char *dir, names *folders, names *pictures) {
    DIR *d = opendir(dir);
    if (!d) {
        lg_io_report(io, "E0601", dir, "cannot be opened: %s", strerror(errno));
        return LG_FAILED;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        char *path = join(dir, e->d_name);
        struct stat st;
        bool there = stat(path, &st) == 0;
        lg_free(path);
        if (there && S_ISDIR(st.st_mode))
            LG_PUSH(*folders, join(NULL, e->d_name));
        else if (there && S_ISREG(st.st_mode) && is_png(e->d_name))
            LG_PUSH(*pictures, join(NULL, e->d_name));
    }
    closedir(d);
    if (folders->n)
        qsort(folders->at, folders->n, sizeof *folders->at, by_bytes);
    if (pictures->n)
        qsort(pictures->at, pictures->n, sizeof *pictures->at, by_bytes);
    return LG_OK;
}

typedef struct {
    const lg_io *io;
    const char *dir;
    names folders;
    names files;           /* relative to dir */
    LG_VEC(int32_t) label; /* of every file: its folder, or -1 */
    lg_tensor *x, *y;
} loader;

static lg_status add_folder(loader *l, size_t number) {
    names inner = {0}, pictures = {0};
    char *path = join(l->dir, l->folders.at[number]);
    lg_status st = list(l->io, path, &inner, &pictures);
    for (size_t i = 0; i < pictures.n; i++) {
        LG_PUSH(l->files, join(l->folders.at[number], pictures.at[i]));
        LG_PUSH(l->label, (int32_t)number);
    }
    lg_free(path);
    free_names(&inner);
    free_names(&pictures);
    return st;
}

static lg_status find_files(loader *l) {
    names flat = {0};
    lg_status st = list(l->io, l->dir, &l->folders, &flat);
    for (size_t i = 0; st == LG_OK && i < l->folders.n; i++)
        st = add_folder(l, i);
    if (l->folders.n && flat.n && st == LG_OK) {
        lg_io_report(l->io, "E0613", l->dir, "holds both folders and pictures (`%s`)", flat.at[0]);
        st = LG_FAILED;
    }
    if (l->folders.n) {
        free_names(&flat);
    } else {
        l->files = flat;
    }
    if (st == LG_OK && l->files.n == 0) {
        lg_io_report(l->io, "E0613", l->dir, "holds no .png files");
        st = LG_FAILED;
    }
    return st;
}

/* The whole array is made when the first picture has told the size of all. */
static lg_status allocate(loader *l, const lg_tensor *first) {
    int64_t shape[4] = {(int64_t)l->files.n, first->shape[0], first->shape[1], first->shape[2]};
    size_t bytes;
    bool fits = lg_shape_bytes(4, shape, 1, &bytes) && bytes <= lg_io_limit(l->io);
    l->x = fits ? lg_tensor_try(LG_U8, 4, shape) : NULL;
    if (l->folders.n)
        l->y = lg_tensor_new(LG_I32, 1, shape);
    if (l->x && (l->y || !l->folders.n))
        return LG_OK;
    lg_io_report(l->io, "E0602", l->dir, "no memory for %zu pictures of %lld bytes", l->files.n,
                 (long long)first->n);
    return LG_FAILED;
}

static lg_status place(loader *l, size_t i, const lg_tensor *one) {
    if (i == 0 && allocate(l, one) != LG_OK)
        return LG_FAILED;
    const int64_t *want = l->x->shape + 1, *got = one->shape;
    if (memcmp(want, got, 3 * sizeof *want) != 0) {
        lg_diag *d = lg_io_report(
            l->io, "E0613", l->dir, "`%s` is %lld x %lld x %lld, and `%s` %lld x %lld x %lld",
            l->files.at[i], (long long)got[0], (long long)got[1], (long long)got[2], l->files.at[0],
            (long long)want[0], (long long)want[1], (long long)want[2]);
        lg_diag_note(d, "height x width x channels; all must agree");
        return LG_FAILED;
    }
    memcpy((uint8_t *)l->x->data + i * one->n, one->data, one->n);
    if (l->y)
        ((int32_t *)l->y->data)[i] = l->label.at[i];
    return LG_OK;
}

static lg_status read_files(loader *l) {
    for (size_t i = 0; i < l->files.n; i++) {
        char *path = join(l->dir, l->files.at[i]);
        lg_tensor *one = NULL;
        lg_status st = lg_png_load(l->io, path, &one);
        lg_free(path);
        if (st == LG_OK)
            st = place(l, i, one);
        lg_tensor_release(one);
        if (st != LG_OK)
            return st;
    }
    return LG_OK;
}

lg_status lg_images_load(const lg_io *io, const char *dir, lg_images *out) {
    loader l = {.io = io, .dir = dir};
    lg_status st = find_files(&l);
    if (st == LG_OK)
        st = read_files(&l);
    lg_free(l.label.at);
    lg_images got = {.x = l.x, .y = l.y};
    got.classes.at = l.folders.at;
    got.classes.n = l.folders.n;
    got.files.at = l.files.at;
    got.files.n = l.files.n;
    if (st == LG_OK)
        *out = got;
    else
        lg_images_fini(&got);
    return st;
}

void lg_images_fini(lg_images *x) {
    lg_tensor_release(x->x);
    lg_tensor_release(x->y);
    for (size_t i = 0; i < x->classes.n; i++)
        lg_free(x->classes.at[i]);
    for (size_t i = 0; i < x->files.n; i++)
        lg_free(x->files.at[i]);
    lg_free(x->classes.at);
    lg_free(x->files.at);
    *x = (lg_images){0};
}
