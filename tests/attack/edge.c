/* Faults at the edge of the file system, for whatever calls libc: Python, safetensors (Rust), FFmpeg, SQLite.
 *
 * Preloaded (LD_PRELOAD) it counts the calls that change something below one folder. Armed, it lets the call of one
 * number fail with an error, once, or kills the process before it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FATAL = -1 }; /* instead of an error: SIGKILL */

static char folder[PATH_MAX];
static int armed_at = -1, action;
static struct {
    int made;
    char place[PATH_MAX + 32];
} *seen; /* shared with the processes that are forked from this one */

__attribute__((constructor)) static void begin(void) {
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* From now on the call of this number, from 0, fails with `error`. The folder is absolute and ends with a slash. */
void edge_arm(const char *watched, int number, int error) {
    snprintf(folder, sizeof folder, "%s", watched);
    armed_at = number, action = error, seen->made = 0, seen->place[0] = 0;
}

int edge_made(void) { return seen->made; }

const char *edge_place(void) { return seen->place; }

static int is_below(int directory, const char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX];
    if (!folder[0] || !path) return 0;
    if (path[0] == '/') return strncmp(path, folder, strlen(folder)) == 0;
    if (directory == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return strncmp(whole, folder, strlen(folder)) == 0;
}

static int is_open_below(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

/* Whether this call, which is counted, shall fail; errno says how. */
static int fails(const char *name, const char *path) {
    int number = __atomic_fetch_add(&seen->made, 1, __ATOMIC_SEQ_CST);
    if (number != armed_at) return 0;
    snprintf(seen->place, sizeof seen->place, "%s %s", name, path ? path : "");
    if (action == FATAL) kill(getpid(), SIGKILL);
    errno = action;
    return 1;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define BY_PATH(name, parameters, arguments, at, path) \
    int name parameters { \
        REAL(name); \
        if (is_below(at, path) && fails(#name, path)) return -1; \
        return real arguments; \
    }

#define BY_DESCRIPTOR(type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        if (is_open_below(fd) && fails(#name, NULL)) return -1; \
        return real arguments; \
    }

#define OPENS(name, at, first, arguments) \
    int name(first const char *path, int flags, ...) { \
        REAL(name); \
        mode_t mode = 0; \
        if (flags & (O_CREAT | O_TMPFILE)) { \
            va_list rest; \
            va_start(rest, flags); \
            mode = va_arg(rest, mode_t); \
            va_end(rest); \
        } \
        if ((flags & O_ACCMODE) != O_RDONLY && is_below(at, path) && fails(#name, path)) return -1; \
        return real arguments; \
    }

#define NOTHING
#define DIRECTORY int directory,

OPENS(open, AT_FDCWD, NOTHING, (path, flags, mode))
OPENS(open64, AT_FDCWD, NOTHING, (path, flags, mode))
OPENS(openat, directory, DIRECTORY, (directory, path, flags, mode))
OPENS(openat64, directory, DIRECTORY, (directory, path, flags, mode))

BY_DESCRIPTOR(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
BY_DESCRIPTOR(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
BY_DESCRIPTOR(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
BY_DESCRIPTOR(ssize_t, writev, (int fd, const struct iovec *parts, int number), (fd, parts, number))
BY_DESCRIPTOR(int, ftruncate, (int fd, off_t size), (fd, size))
BY_DESCRIPTOR(int, ftruncate64, (int fd, off64_t size), (fd, size))
BY_DESCRIPTOR(int, fsync, (int fd), (fd))
BY_DESCRIPTOR(int, fdatasync, (int fd), (fd))

BY_PATH(rename, (const char *from, const char *to), (from, to), AT_FDCWD, to)
BY_PATH(renameat, (int d, const char *from, int e, const char *to), (d, from, e, to), e, to)
BY_PATH(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
BY_PATH(mkdirat, (int d, const char *path, mode_t mode), (d, path, mode), d, path)
BY_PATH(rmdir, (const char *path), (path), AT_FDCWD, path)
BY_PATH(unlink, (const char *path), (path), AT_FDCWD, path)
BY_PATH(unlinkat, (int d, const char *path, int flags), (d, path, flags), d, path)
