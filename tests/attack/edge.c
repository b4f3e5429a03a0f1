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
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FATAL = -1 }; /* instead of an error: SIGKILL */
enum { NOT_BELOW = -1, FAILS = -2 };
enum { MOST_CALLS = 1 << 14, MOST_WORDS = 512 };

static char folder[PATH_MAX];
static int armed_at = -1, action;
static struct {
    int made, met; /* calls, and which of them was the armed one (-1: none yet) */
    char call[MOST_CALLS][MOST_WORDS];
    char idle[MOST_CALLS]; /* whether the call itself has failed, as unlink() of what is not there */
} *seen; /* shared with the processes that are forked from this one */

/* A process that arms others than its parent does calls it again. */
__attribute__((constructor)) void edge_begin(void) {
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* From now on the call of this number, from 0, fails with `error`. The folder is absolute and ends with a slash. */
void edge_arm(const char *watched, int number, int error) {
    snprintf(folder, sizeof folder, "%s", watched);
    armed_at = number, action = error, seen->made = 0, seen->met = -1;
}

int edge_made(void) { return seen->made; }

int edge_met(void) { return seen->met; }

int edge_idle(int number) { return number >= 0 && number < MOST_CALLS && seen->idle[number]; }

/* A call's name, and its path from the folder. */
const char *edge_call(int number) { return number >= 0 && number < MOST_CALLS ? seen->call[number] : ""; }

/* What of an absolute path follows the folder; NULL if it is not below. */
static const char *below(const char *whole) {
    size_t length = strlen(folder);
    return length && strncmp(whole, folder, length) == 0 ? whole + length : NULL;
}

static int read_descriptor(int descriptor, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* The number of this call, which is counted: FAILS if it shall fail, and errno says how; NOT_BELOW if it is elsewhere. */
static int meet(const char *name, const char *path) {
    if (!path) return NOT_BELOW;
    int number = __atomic_fetch_add(&seen->made, 1, __ATOMIC_SEQ_CST);
    if (number < MOST_CALLS) {
        snprintf(seen->call[number], MOST_WORDS, "%s %s", name, path);
        seen->idle[number] = 0;
    }
    if (number != armed_at) return number;
    seen->met = number;
    if (action == FATAL) kill(getpid(), SIGKILL);
    errno = action;
    return FAILS;
}

static int meet_at(const char *name, int directory, const char *path) {
    char whole[2 * PATH_MAX], base[PATH_MAX];
    if (!folder[0] || !path) return NOT_BELOW;
    if (path[0] == '/') return meet(name, below(path));
    if (directory != AT_FDCWD ? !read_descriptor(directory, base) : !getcwd(base, sizeof base)) return NOT_BELOW;
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return meet(name, below(whole));
}

static int meet_on(const char *name, int descriptor) {
    char path[PATH_MAX];
    return folder[0] && read_descriptor(descriptor, path) ? meet(name, below(path)) : NOT_BELOW;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define CALL(type, met, arguments) \
    int number = met; \
    if (number == FAILS) return -1; \
    type result = real arguments; \
    if (result < 0 && number >= 0 && number < MOST_CALLS) seen->idle[number] = 1; \
    return result;

#define BY_PATH(name, parameters, arguments, at, path) \
    int name parameters { \
        REAL(name); \
        CALL(int, meet_at(#name, at, path), arguments) \
    }

#define BY_DESCRIPTOR(type, name, parameters, arguments) \
    type name parameters { \
        REAL(name); \
        CALL(type, meet_on(#name, fd), arguments) \
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
        CALL(int, (flags & O_ACCMODE) == O_RDONLY ? NOT_BELOW : meet_at(#name, at, path), arguments) \
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
BY_DESCRIPTOR(ssize_t, writev, (int fd, const struct iovec *parts, int of), (fd, parts, of))
BY_DESCRIPTOR(ssize_t, sendfile, (int fd, int from, off_t *at, size_t size), (fd, from, at, size))
BY_DESCRIPTOR(ssize_t, sendfile64, (int fd, int from, off64_t *at, size_t size), (fd, from, at, size))
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
