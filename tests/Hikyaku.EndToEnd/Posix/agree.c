// Random operations, each done in two directories: `agree A B SEED STEPS [WRITTEN]` compares every answer, every byte and every
// listing, and stops at the first difference. WRITTEN gets the offset, length and bytes of each write that succeeded in A, in order.
// Without a difference it ends with 0; the same seed does the same again.
//
//   cc -O2 -o agree agree.c

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES 6
#define FOLDERS 3
#define PATHS (NAMES * (FOLDERS + 1))
#define HANDLES 10
#define FILE_MAX 300000
#define STEP_MAX 70000
#define HISTORY 30

static const char *roots[2];
static int tops[2];
static uint64_t state;
static unsigned step;
static struct { int fds[2]; int flags; } handles[HANDLES];
static unsigned char out[STEP_MAX], in[2][FILE_MAX + STEP_MAX];
static char paths[PATHS][16], folders[FOLDERS][16];
static char history[HISTORY][200];
static FILE *written;

static uint32_t draw(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % below;
}

static void differ(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (unsigned i = step > HISTORY ? step - HISTORY + 1 : 1; i <= step; i++)
        printf("%u: %s\n", i, history[i % HISTORY]);
    printf("difference at step %u: ", step);
    vprintf(format, args);
    printf("\n");
    exit(1);
}

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(history[step % HISTORY], sizeof history[0], format, args);
    va_end(args);
}

static const char *text(long result, int error)
{
    static char texts[4][32];
    static int next;
    char *t = texts[next++ % 4];
    if (result == -1)
        return strerrorname_np(error);
    sprintf(t, "%ld", result);
    return t;
}

// Does the same twice and compares; `d` is 0, then 1, `top` its directory.
#define BOTH(call)                                                                           \
    ({                                                                                       \
        long results[2];                                                                     \
        int errors[2];                                                                       \
        for (int d = 0; d < 2; d++) {                                                        \
            int top = tops[d];                                                               \
            (void)top;                                                                       \
            errno = 0;                                                                       \
            results[d] = (call);                                                             \
            errors[d] = errno;                                                               \
        }                                                                                    \
        if (results[0] != results[1] || (results[0] == -1 && errors[0] != errors[1]))        \
            differ("%s: %s and %s", #call, text(results[0], errors[0]), text(results[1], errors[1])); \
        results[0];                                                                          \
    })

static void record(long offset, const unsigned char *bytes, long length)
{
    if (written && length > 0) {
        int64_t head[2] = { offset, length };
        fwrite(head, sizeof head, 1, written);
        fwrite(bytes, 1, length, written);
    }
}

static void compare_stat(const char *what, int (*get)(int, const char *, struct stat *), const int *fds, const char *path)
{
    struct stat s[2];
    memset(s, 0, sizeof s);
    int r[2], e[2];
    for (int d = 0; d < 2; d++) {
        errno = 0;
        r[d] = get(fds[d], path, &s[d]);
        e[d] = errno;
    }
    if (r[0] != r[1] || e[0] != e[1])
        differ("stat of %s: %s and %s", what, text(r[0], e[0]), text(r[1], e[1]));
    if (r[0] == 0 && (s[0].st_mode != s[1].st_mode || s[0].st_nlink != s[1].st_nlink || (!S_ISDIR(s[0].st_mode) && s[0].st_size != s[1].st_size)))
        differ("stat of %s: mode %o links %lu size %ld and mode %o links %lu size %ld", what, s[0].st_mode, (unsigned long)s[0].st_nlink,
            (long)s[0].st_size, s[1].st_mode, (unsigned long)s[1].st_nlink, (long)s[1].st_size);
}

static int by_path(int fd, const char *path, struct stat *s)
{
    return fstatat(fd, path, s, AT_SYMLINK_NOFOLLOW);
}

static int by_handle(int fd, const char *path, struct stat *s)
{
    (void)path;
    return fstat(fd, s);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void compare_lists(const char *path)
{
    static char names[2][64][64];
    int n[2] = { 0, 0 };
    for (int d = 0; d < 2; d++) {
        int fd = openat(tops[d], path, O_RDONLY | O_DIRECTORY);
        DIR *dir = fd == -1 ? NULL : fdopendir(fd);
        if (!dir)
            continue;
        for (struct dirent *e; n[d] < 64 && (e = readdir(dir));)
            snprintf(names[d][n[d]++], 64, "%d %.50s", e->d_type, e->d_name);
        closedir(dir);
        qsort(names[d], n[d], 64, by_text);
    }
    for (int i = 0; i < n[0] || i < n[1]; i++)
        if (i >= n[0] || i >= n[1] || strcmp(names[0][i], names[1][i]))
            differ("the list of %s at %d: %s and %s", path, i, i < n[0] ? names[0][i] : "its end", i < n[1] ? names[1][i] : "its end");
}

static void compare_bytes(const char *what, long length)
{
    for (long i = 0; i < length; i++)
        if (in[0][i] != in[1][i])
            differ("%s at byte %ld of %ld: %02x and %02x", what, i, length, in[0][i], in[1][i]);
}

static void compare_content(const int *fds, const char *what)
{
    long n = BOTH(pread(fds[d], in[d], sizeof in[d], 0));
    compare_bytes(what, n);
}

static void compare_all(void)
{
    note("look at everything");
    compare_lists(".");
    for (int i = 0; i < FOLDERS; i++)
        compare_lists(folders[i]);
    for (int i = 0; i < PATHS; i++) {
        compare_stat(paths[i], by_path, tops, paths[i]);
        int fds[2];
        for (int d = 0; d < 2; d++)
            fds[d] = openat(tops[d], paths[i], O_RDONLY);
        if ((fds[0] == -1) != (fds[1] == -1))
            differ("open of %s", paths[i]);
        if (fds[0] != -1) {
            compare_content(fds, paths[i]);
            close(fds[0]);
            close(fds[1]);
        }
    }
    for (int i = 0; i < HANDLES; i++)
        if (handles[i].fds[0] != -1) {
            char what[32];
            sprintf(what, "handle %d", i);
            compare_stat(what, by_handle, handles[i].fds, NULL);
            if ((handles[i].flags & O_ACCMODE) != O_WRONLY)
                compare_content(handles[i].fds, what);
        }
}

static long fill(void)
{
    // Lines mostly; sometimes many, sometimes half of one.
    long length = draw(10) ? 1 + draw(200) : draw(STEP_MAX);
    for (long i = 0; i < length; i++)
        out[i] = 'a' + (i + step) % 26;
    if (length && draw(4))
        out[length - 1] = '\n';
    return length;
}

static long map(int fd, int protection, long offset, long length, unsigned char *to, const unsigned char *from)
{
    long first = offset & ~4095L;
    unsigned char *p = mmap(NULL, length + offset - first, protection, MAP_SHARED, fd, first);
    if (p == MAP_FAILED)
        return -1;
    if (from)
        memcpy(p + offset - first, from, length);
    else
        memcpy(to, p + offset - first, length);
    if (from && draw(2))
        msync(p, length + offset - first, MS_SYNC);
    return munmap(p, length + offset - first);
}

static void with_handle(int h, int operation)
{
    int *fds = handles[h].fds, flags = handles[h].flags, canRead = (flags & O_ACCMODE) != O_WRONLY, canWrite = (flags & O_ACCMODE) != O_RDONLY;
    long size = lseek(fds[1], 0, SEEK_END), length, offset, n;
    switch (operation) {
    case 0: case 1: case 2: case 3: case 4: case 5: // append, at the end
        length = fill();
        if (size + length > FILE_MAX)
            return;
        note("append %ld bytes with handle %d (flags %o)", length, h, flags);
        BOTH(lseek(fds[d], 0, SEEK_END));
        n = BOTH(write(fds[d], out, length));
        record(size, out, n);
        break;
    case 6: // write somewhere
        length = fill();
        offset = draw(FILE_MAX - STEP_MAX);
        if (draw(3))
            offset = size ? draw(size) : 0;
        if (size + length > FILE_MAX || offset + length > FILE_MAX)
            return;
        note("write %ld bytes at %ld with handle %d (flags %o)", length, offset, h, flags);
        n = BOTH(pwrite(fds[d], out, length, offset));
        record(flags & O_APPEND ? size : offset, out, n);
        break;
    case 7: case 8: // read somewhere
        length = 1 + draw(STEP_MAX);
        offset = draw(size + 10);
        note("read %ld bytes at %ld with handle %d (flags %o)", length, offset, h, flags);
        n = BOTH(pread(fds[d], in[d], length, offset));
        compare_bytes("read", n);
        break;
    case 9:
        length = draw(3) ? draw(size + 1) : draw(FILE_MAX / 3);
        if (draw(4) == 0)
            length = 0;
        note("cut handle %d to %ld", h, length);
        BOTH(ftruncate(fds[d], length));
        break;
    case 10:
        note("sync handle %d", h);
        if (draw(2))
            BOTH(fsync(fds[d]));
        else
            BOTH(fdatasync(fds[d]));
        break;
    case 11:
        note("stat handle %d", h);
        compare_stat("a handle", by_handle, fds, NULL);
        break;
    case 12: // a shared mapping, read
        if (!canRead || size == 0)
            return;
        offset = draw(size);
        length = 1 + draw(size - offset);
        note("map %ld bytes at %ld of handle %d for reading", length, offset, h);
        BOTH(map(fds[d], PROT_READ, offset, length, in[d], NULL));
        compare_bytes("mapped", length);
        break;
    case 13: // and written
        if (!canRead || !canWrite || size == 0)
            return;
        offset = draw(size);
        length = 1 + draw(size - offset < 5000 ? size - offset : 5000);
        note("map %ld bytes at %ld of handle %d for writing", length, offset, h);
        memset(out, 'A' + step % 26, length);
        uint64_t before = state;
        BOTH((state = before, map(fds[d], PROT_READ | PROT_WRITE, offset, length, NULL, out)));
        break;
    case 14:
        offset = draw(FILE_MAX / 2);
        length = 1 + draw(FILE_MAX / 4);
        static const int modes[] = { 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE };
        int mode = modes[draw(4)];
        note("allocate %ld bytes at %ld of handle %d, mode %d", length, offset, h, mode);
        BOTH(fallocate(fds[d], mode, offset, length));
        break;
    case 15: { // from one handle to another, within the kernel
        int from = draw(HANDLES);
        if (handles[from].fds[0] == -1 || (handles[from].flags & O_ACCMODE) == O_WRONLY || !canWrite || flags & O_APPEND)
            return;
        long there = lseek(handles[from].fds[1], 0, SEEK_END);
        if (there <= 0 || size >= FILE_MAX - 65536)
            return;
        off_t start = draw(there);
        length = 1 + draw(there - start < 60000 ? there - start : 60000);
        note("send %ld bytes at %ld of handle %d to the end of handle %d", length, (long)start, from, h);
        BOTH(lseek(fds[d], 0, SEEK_END));
        if (pread(handles[from].fds[1], out, length, start) != length)
            differ("read of what is to be sent");
        off_t at;
        n = BOTH((at = start, sendfile(fds[d], handles[from].fds[d], &at, length)));
        record(size, out, n);
        break;
    }
    case 16:
        note("chmod handle %d", h);
        mode_t m = 0600 | draw(0200);
        BOTH(fchmod(fds[d], m));
        break;
    default:
        note("close handle %d", h);
        BOTH(close(fds[d]));
        fds[0] = fds[1] = -1;
        break;
    }
}

static void with_paths(int operation)
{
    const char *p = paths[draw(PATHS)], *q = paths[draw(PATHS)], *f = folders[draw(FOLDERS)], *g = folders[draw(FOLDERS)];
    switch (operation) {
    case 0: case 1: case 2: case 3: case 4: {
        int h = draw(HANDLES);
        if (handles[h].fds[0] != -1)
            return;
        int flags = draw(3) | (draw(4) ? O_CREAT : 0) | (draw(3) ? O_APPEND : 0) | (draw(6) ? 0 : O_TRUNC) | (draw(8) ? 0 : O_EXCL) | (draw(12) ? 0 : O_DSYNC);
        note("open %s (flags %o) as handle %d", p, flags, h);
        int is = BOTH((handles[h].fds[d] = openat(top, p, flags, 0640)) == -1 ? -1 : 0);
        handles[h].flags = flags;
        if (is == -1)
            handles[h].fds[0] = handles[h].fds[1] = -1;
        break;
    }
    case 5: case 6:
        note("rename %s to %s", p, q);
        BOTH(renameat(tops[d], p, tops[d], q));
        break;
    case 7: {
        static const int all[] = { RENAME_NOREPLACE, RENAME_EXCHANGE };
        int flags = all[draw(2)];
        note("rename %s to %s with flags %d", p, q, flags);
        BOTH(renameat2(top, p, top, q, flags));
        break;
    }
    case 8: case 9:
        note("unlink %s", p);
        BOTH(unlinkat(top, p, 0));
        break;
    case 10:
        note("link %s to %s", p, q);
        BOTH(linkat(top, p, top, q, 0));
        break;
    case 11:
        note("mkdir %s", f);
        BOTH(mkdirat(top, f, 0750));
        break;
    case 12:
        note("rmdir %s", f);
        BOTH(unlinkat(top, f, AT_REMOVEDIR));
        break;
    case 13:
        note("rename folder %s to %s", f, g);
        BOTH(renameat(top, f, top, g));
        break;
    case 14:
        note("stat %s", p);
        compare_stat(p, by_path, tops, p);
        break;
    case 15:
        note("list %s", f);
        compare_lists(draw(2) ? f : ".");
        break;
    default: {
        long length = draw(3) ? 0 : draw(FILE_MAX / 2);
        note("cut %s to %ld", p, length);
        char path[2][4096];
        for (int d = 0; d < 2; d++)
            snprintf(path[d], sizeof path[d], "%s/%s", roots[d], p);
        BOTH(truncate(path[d], length));
        break;
    }
    }
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "agree A B SEED STEPS [WRITTEN]\n");
        return 2;
    }
    unsigned steps = strtoul(argv[4], NULL, 10);
    state = strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15 + 0x1234567;
    if (argc > 5 && !(written = fopen(argv[5], "w"))) {
        perror(argv[5]);
        return 2;
    }
    for (int d = 0; d < 2; d++) {
        roots[d] = argv[1 + d];
        tops[d] = open(roots[d], O_PATH | O_DIRECTORY);
        if (tops[d] == -1) {
            perror(roots[d]);
            return 2;
        }
    }
    for (int i = 0; i < FOLDERS; i++)
        sprintf(folders[i], "d%d", i);
    for (int i = 0; i < PATHS; i++)
        sprintf(paths[i], i < NAMES ? "f%d" : "d%d/f%d", i < NAMES ? i : i / NAMES - 1, i % NAMES);
    for (int i = 0; i < HANDLES; i++)
        handles[i].fds[0] = handles[i].fds[1] = -1;
    umask(022);
    for (step = 1; step <= steps; step++) {
        int h = draw(HANDLES);
        note("-");
        if (handles[h].fds[0] != -1 && draw(3))
            with_handle(h, draw(18));
        else
            with_paths(draw(17));
        if (step % 100 == 0)
            compare_all();
    }
    step = steps;
    compare_all();
    if (written && fclose(written)) {
        perror(argv[5]);
        return 2;
    }
    printf("%u steps\n", steps);
    return 0;
}
