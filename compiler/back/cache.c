/* cache.c: see cache.h. */
#include "compiler/back/cache.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t MOST_BYTES = (int64_t)64 << 20;

/* What stands behind the shared object, which does not mind. */
typedef struct {
    char magic[8];
    uint64_t size, hash;
} trailer;
static const char magic[8] = "lgcache1";

/* A directory of our own that nobody else writes to, made if need be. */
static bool own_directory(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) == 0)
        return true;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool directory(char *out, size_t room) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (base && base[0] == '/') {
        n = snprintf(out, room, "%s", base);
    } else if (home && home[0] == '/') {
        n = snprintf(out, room, "%s/.cache", home);
    } else {
        return false;
    }
    if (n < 0 || (size_t)n + sizeof "/lossgraph" > room)
        return false;
    mkdir(out, 0700); /* shared by programs: it need not be ours alone */
    strcat(out, "/lossgraph");
    return own_directory(out);
}

bool lg_cache_path(const uint64_t key[2], char *out, size_t room) {
    char dir[900];
    if (!directory(dir, sizeof dir))
        return false;
    int n = snprintf(out, room, "%s/%016llx%016llx.so", dir, (unsigned long long)key[0],
                     (unsigned long long)key[1]);
    return n > 0 && (size_t)n < room;
}

static bool whole(const char *p, size_t n) {
    trailer t;
    if (n < sizeof t)
        return false;
    memcpy(&t, p + n - sizeof t, sizeof t);
    return !memcmp(t.magic, magic, sizeof magic) && t.size == n - sizeof t &&
           t.hash == lg_hash(p, n - sizeof t, 0);
}

size_t lg_cache_size(size_t n) {
    return n < sizeof(trailer) ? 0 : n - sizeof(trailer);
}

bool lg_cache_has(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
              !(st.st_mode & (S_IWGRP | S_IWOTH)) && st.st_size > 0;
    void *p = ok ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    ok = p != MAP_FAILED && whole(p, (size_t)st.st_size);
    if (p != MAP_FAILED)
        munmap(p, (size_t)st.st_size);
    close(fd);
    if (ok)
        utimensat(AT_FDCWD, path, NULL, 0); /* when it was last of use */
    else
        unlink(path);
    return ok;
}

/* ---- storing ---- */

static bool write_all(int fd, const void *data, size_t n) {
    const char *p = data;
    while (n > 0) {
        ssize_t m = write(fd, p, n);
        if (m <= 0)
            return false;
        p += m;
        n -= (size_t)m;
    }
    return true;
}

static bool copy(int to, const char *from) {
    struct stat st;
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0;
    void *p = ok ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    ok = p != MAP_FAILED;
    if (ok) {
        trailer t = {.size = (uint64_t)st.st_size, .hash = lg_hash(p, (size_t)st.st_size, 0)};
        memcpy(t.magic, magic, sizeof magic);
        ok = write_all(to, p, (size_t)st.st_size) && write_all(to, &t, sizeof t);
        munmap(p, (size_t)st.st_size);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

typedef struct {
    char *path;
    int64_t bytes;
    struct timespec used;
} entry;

static int by_age(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

/* Removes the files that were not used for longest. */
static void bound(const char *path) {
    char dir[1024], file[2048];
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = 0;
    DIR *d = opendir(dir);
    LG_VEC(entry) all = {0};
    int64_t bytes = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        snprintf(file, sizeof file, "%s/%s", dir, e->d_name);
        if (lstat(file, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        entry x = {lg_alloc(strlen(file) + 1), st.st_size, st.st_mtim};
        strcpy(x.path, file);
        LG_PUSH(all, x);
        bytes += st.st_size;
    }
    if (d)
        closedir(d);
    if (bytes > MOST_BYTES)
        qsort(all.at, all.n, sizeof *all.at, by_age);
    for (size_t k = 0; k < all.n; k++) {
        if (bytes > MOST_BYTES && strcmp(all.at[k].path, path) != 0 && unlink(all.at[k].path) == 0)
            bytes -= all.at[k].bytes;
        lg_free(all.at[k].path);
    }
    lg_free(all.at);
}

bool lg_cache_store(const char *path, const char *from) {
    char fresh[1100];
    snprintf(fresh, sizeof fresh, "%s.%ld", path, (long)getpid());
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    bool ok = copy(fd, from);
    ok = close(fd) == 0 && ok && rename(fresh, path) == 0;
    if (!ok)
        unlink(fresh);
    else
        bound(path);
    return ok;
}
