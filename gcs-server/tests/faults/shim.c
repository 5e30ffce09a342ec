/* System calls that fail or lie, by order. Loaded with LD_PRELOAD.
 *
 * The file that FAULT_ORDER names has one line: "id call error from count path". The calls of this name on
 * a file whose path contains `path`, or with a `$` ends with it, are numbered from 1, anew for each id. Those from `from` on, `count` of them,
 * fail with this errno; with errno 0 they do nothing and say that they succeeded. A byte is added to the file that
 * FAULT_HITS names for each. Without the file, or with an empty one, nothing happens.
 *
 * The file that FAULT_CLOCK names has a number of seconds, by which the clock is ahead; negative if it is behind. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int lock, last_id;
static long number;

static void hit(void) {
    const char *name = getenv("FAULT_HITS");
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd < 0) return;
    syscall(SYS_write, fd, "x", 1);
    syscall(SYS_close, fd);
}

/* Only what asks the C library is told this time: the time since the boot goes on as it does. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    char line[32];
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    const char *name = !failed && clock == CLOCK_REALTIME ? getenv("FAULT_CLOCK") : 0;
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY, 0) : -1;
    if (fd < 0) return failed;
    long length = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    line[length > 0 ? length : 0] = 0;
    now->tv_sec += strtol(line, 0, 10);
    return failed;
}

static int is_named(const char *path, const char *part) {
    size_t all = strlen(path), end = strlen(part);
    if (!end || part[end - 1] != '$') return strstr(path, part) != 0;
    return all >= --end && !strncmp(path + all - end, part, end);
}

/* -1: go on. 0: lie. Else: fail with this errno. */
static int ordered(const char *call, const char *path) {
    const char *name = getenv("FAULT_ORDER");
    char line[256], of[32], part[128];
    int id, error;
    long from, count;
    int fd = name ? (int)syscall(SYS_openat, AT_FDCWD, name, O_RDONLY, 0) : -1;
    if (fd < 0) return -1;
    long length = syscall(SYS_read, fd, line, sizeof line - 1);
    syscall(SYS_close, fd);
    if (length <= 0) return -1;
    line[length] = 0;
    if (sscanf(line, "%d %31s %d %ld %ld %127s", &id, of, &error, &from, &count, part) != 6) return -1;
    if (strcmp(of, call) || !is_named(path, part)) return -1;
    while (__sync_lock_test_and_set(&lock, 1)) {}
    if (id != last_id) { last_id = id; number = 0; }
    number++;
    int is_hit = number >= from && number < from + count;
    __sync_lock_release(&lock);
    if (!is_hit) return -1;
    hit();
    return error;
}

static int ordered_fd(const char *call, int of) {
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", of);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = 0;
    return ordered(call, path);
}

#define REAL(result, name, args) \
    static result(*real) args; \
    if (!real) real = (result(*) args)dlsym(RTLD_NEXT, #name)

#define ANSWER(done) \
    if (fault == 0) return done; \
    if (fault > 0) { errno = fault; return -1; }

#define ON_FD(result, name, call, args, pass, done) \
    result name args { \
        REAL(result, name, args); \
        int fault = ordered_fd(call, fd); \
        ANSWER(done) \
        return real pass; \
    }

ON_FD(int, fsync, "fsync", (int fd), (fd), 0)
ON_FD(int, fdatasync, "fsync", (int fd), (fd), 0)
ON_FD(ssize_t, write, "write", (int fd, const void *bytes, size_t n), (fd, bytes, n), (ssize_t)n)
ON_FD(ssize_t, pwrite, "write", (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at), (ssize_t)n)
ON_FD(ssize_t, pwrite64, "write", (int fd, const void *bytes, size_t n, off64_t at), (fd, bytes, n, at), (ssize_t)n)
ON_FD(ssize_t, read, "read", (int fd, void *bytes, size_t n), (fd, bytes, n), 0)
ON_FD(ssize_t, pread, "read", (int fd, void *bytes, size_t n, off_t at), (fd, bytes, n, at), 0)
ON_FD(ssize_t, pread64, "read", (int fd, void *bytes, size_t n, off64_t at), (fd, bytes, n, at), 0)
ON_FD(int, ftruncate, "truncate", (int fd, off_t n), (fd, n), 0)
ON_FD(int, ftruncate64, "truncate", (int fd, off64_t n), (fd, n), 0)

#define ON_PATHS(name, call, args, pass) \
    int name args { \
        REAL(int, name, args); \
        int fault = ordered(call, to); \
        ANSWER(0) \
        return real pass; \
    }

ON_PATHS(rename, "rename", (const char *from, const char *to), (from, to))
ON_PATHS(link, "rename", (const char *from, const char *to), (from, to))
ON_PATHS(renameat, "rename", (int f, const char *from, int t, const char *to), (f, from, t, to))
ON_PATHS(linkat, "rename", (int f, const char *from, int t, const char *to, int flags), (f, from, t, to, flags))
ON_PATHS(unlink, "unlink", (const char *to), (to))

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, (const char *, int, ...)); \
        MODE \
        int fault = ordered("open", path); \
        if (fault > 0) { errno = fault; return -1; } \
        return real(path, flags, mode); \
    }

#define OPEN_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, name, (int, const char *, int, ...)); \
        MODE \
        int fault = ordered("open", path); \
        if (fault > 0) { errno = fault; return -1; } \
        return real(folder, path, flags, mode); \
    }

OPEN(open)
OPEN(open64)
OPEN_AT(openat)
OPEN_AT(openat64)
