/* scratch.c: see scratch.h. Each directory has a file `lock` that its owner holds locked, which no
 * process does any more once the owner has ended, however that was. */
#include "runtime/scratch.h"
#include "runtime/ending.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

enum { MOST = 64, MOST_TRIES = 100, SETTLED_S = 60, FORGOTTEN_S = 86400 };
static const char prefix[] = "lossgraph-", letters[] = "XXXXXX", lock_name[] = "lock";

static struct {
    pid_t owner;
    bool swept;
    lg_scratch *volatile live[MOST];
} scratch;

/* ---- removing ---- */

static bool is_dot(const char *name) {
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* The files in a directory, the lock last. Without memory of its own, as signal handlers want it.
 */
static void remove_files(int dir) {
#ifdef __linux__
    struct entry {
        unsigned long long inode, offset;
        unsigned short size;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char some[4096];
    long n, most = 10000;
    lseek(dir, 0, SEEK_SET);
    while ((n = syscall(SYS_getdents64, dir, some, sizeof some)) > 0 && most-- > 0)
        for (long at = 0; at < n;) {
            const struct entry *e = (const void *)(some + at);
            if (!is_dot(e->name) && strcmp(e->name, lock_name) != 0)
                unlinkat(dir, e->name, 0);
            at += e->size;
        }
#endif
    unlinkat(dir, lock_name, 0);
}

/* A compiler that was just killed may still be making a file: then once more. */
static void remove_directory(const char *path) {
    const struct timespec pause = {0, 1000000};
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    remove_files(dir);
    for (int k = 0; k < MOST_TRIES && rmdir(path) < 0 && errno == ENOTEMPTY; k++) {
        nanosleep(&pause, NULL);
        remove_files(dir);
    }
    close(dir);
}

static void remove_all(void) {
    if (scratch.owner != getpid())
        return;
    for (int k = 0; k < MOST; k++)
        if (scratch.live[k])
            remove_directory(scratch.live[k]->path);
}

/* ---- what others left ---- */

/* Nobody holds the lock; without a lock nobody has touched it for a day. */
static bool is_left(int dir, const struct stat *st) {
    time_t age = time(NULL) - st->st_mtime;
    int lock = openat(dir, lock_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool left = lock < 0 ? errno == ENOENT && age > FORGOTTEN_S
                         : age > SETTLED_S && flock(lock, LOCK_EX | LOCK_NB) == 0;
    if (lock >= 0)
        close(lock);
    return left;
}

static void look_at(int base, const char *name) {
    struct stat st;
    int dir = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    bool left = fstat(dir, &st) == 0 && st.st_uid == getuid() && is_left(dir, &st);
    if (left)
        remove_files(dir);
    close(dir);
    if (left)
        unlinkat(base, name, AT_REMOVEDIR);
}

/* Once a process. */
static void sweep(const char *base) {
    DIR *d = scratch.swept ? NULL : opendir(base);
    scratch.swept = true;
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (!strncmp(e->d_name, prefix, sizeof prefix - 1) &&
            strlen(e->d_name) == sizeof prefix + sizeof letters - 2)
            look_at(dirfd(d), e->d_name);
    if (d)
        closedir(d);
}

/* ---- making ---- */

static void note(lg_scratch *s) {
    scratch.owner = getpid();
    for (int k = 0; k < MOST; k++)
        if (!scratch.live[k]) {
            scratch.live[k] = s;
            break;
        }
    lg_at_end(remove_all);
}

bool lg_scratch_make(lg_scratch *s) {
    const char *base = getenv("TMPDIR");
    base = base && *base ? base : "/tmp";
    sweep(base);
    int n = snprintf(s->path, sizeof s->path, "%s/%s%s", base, prefix, letters);
    if (n < 0 || (size_t)n >= sizeof s->path || !mkdtemp(s->path)) {
        errno = n >= (int)sizeof s->path ? ENAMETOOLONG : errno;
        s->path[0] = 0;
        return false;
    }
    int dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->lock = dir < 0 ? -1 : openat(dir, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (dir >= 0)
        close(dir);
    if (s->lock >= 0)
        flock(s->lock, LOCK_EX | LOCK_NB);
    note(s);
    return true;
}

void lg_scratch_remove(lg_scratch *s) {
    bool more = false;
    if (!s->path[0])
        return;
    remove_directory(s->path);
    for (int k = 0; k < MOST; k++) {
        if (scratch.live[k] == s)
            scratch.live[k] = NULL;
        more = more || scratch.live[k];
    }
    if (s->lock >= 0)
        close(s->lock);
    s->path[0] = 0;
    if (!more)
        lg_not_at_end(remove_all);
}
