// What programs do with files, case by case: `cases DIR` does each in an empty directory of its own below DIR, and prints on one line
// what every call answered. It expects nothing; run on two directories, it shows where these differ.
//
//   cc -O2 -pthread -o cases cases.c

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// Calls with bad arguments are what some of the cases are about.
#pragma GCC diagnostic ignored "-Wstringop-overread"
#pragma GCC diagnostic ignored "-Wstringop-overflow"

#define CASES_MAX 256
#define SECONDS_MAX 60
#define ORDINARY 12345
#define OTHER 23456

static struct { const char *name; void (*run)(void); } cases[CASES_MAX];
static int count;
static char line[1 << 16];
static size_t used;

#define CASE(title)                                      \
    static void title(void);                             \
    __attribute__((constructor)) static void add_##title(void) \
    {                                                    \
        cases[count].name = #title;                      \
        cases[count++].run = title;                      \
    }                                                    \
    static void title(void)

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int more = vsnprintf(line + used, sizeof line - used, format, args);
    va_end(args);
    used += more;
    if (used > sizeof line - 1)
        used = sizeof line - 1;
}

// What a call answered: its value, or the name of the error.
static long told(const char *what, long value)
{
    if (value == -1)
        say(" %s=%s", what, strerrorname_np(errno));
    else
        say(" %s=%ld", what, value);
    return value;
}

// A descriptor's number is of no interest.
static int opened(const char *what, int fd)
{
    if (fd == -1)
        told(what, -1);
    else
        say(" %s=ok", what);
    return fd;
}

#define DO(call) told(#call, (long)(call))
#define OPEN(...) opened("open(" #__VA_ARGS__ ")", open(__VA_ARGS__))
#define IS(fact) say(" %s:%s", #fact, (fact) ? "yes" : "no")

static struct stat look(const char *path)
{
    struct stat s;
    memset(&s, 0, sizeof s);
    if (lstat(path, &s) == -1)
        s.st_ino = 0;
    return s;
}

static struct stat flook(int fd)
{
    struct stat s;
    memset(&s, 0, sizeof s);
    if (fstat(fd, &s) == -1)
        s.st_ino = 0;
    return s;
}

static void show(const char *path)
{
    struct stat s;
    if (lstat(path, &s) == -1)
        say(" [%s %s]", path, strerrorname_np(errno));
    else if (S_ISDIR(s.st_mode))
        say(" [%s %o %u:%u]", path, s.st_mode, s.st_uid, s.st_gid);
    else
        say(" [%s %o %u:%u %lu %ld]", path, s.st_mode, s.st_uid, s.st_gid, (unsigned long)s.st_nlink, (long)s.st_size);
}

static void show_fd(int fd)
{
    struct stat s;
    if (fstat(fd, &s) == -1)
        say(" [fd %s]", strerrorname_np(errno));
    else
        say(" [fd %o %lu %ld]", s.st_mode, (unsigned long)s.st_nlink, S_ISDIR(s.st_mode) ? 0 : (long)s.st_size);
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        say(" put(%s)=%s", path, strerrorname_np(errno));
    if (fd != -1)
        close(fd);
}

static void add(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        say(" add(%s)=%s", path, strerrorname_np(errno));
    if (fd != -1)
        close(fd);
}

static uint64_t hash(const unsigned char *bytes, size_t length, uint64_t h)
{
    for (size_t i = 0; i < length; i++)
        h = (h ^ bytes[i]) * 0x100000001b3;
    return h;
}

// Short content as it is, longer as a number.
static void content(const char *path)
{
    static unsigned char buffer[1 << 16];
    int fd = open(path, O_RDONLY);
    if (fd == -1) {
        say(" <%s %s>", path, strerrorname_np(errno));
        return;
    }
    uint64_t h = 0xcbf29ce484222325;
    long total = 0;
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0) {
        h = hash(buffer, n, h);
        total += n;
    }
    if (n == -1)
        say(" <%s %s>", path, strerrorname_np(errno));
    else if (total <= 64 && total == (long)pread(fd, buffer, 64, 0)) {
        say(" <");
        for (long i = 0; i < total; i++)
            say(buffer[i] >= ' ' && buffer[i] < 127 ? "%c" : "\\%02x", buffer[i]);
        say(">");
    } else
        say(" <%ld bytes %016lx>", total, (unsigned long)h);
    close(fd);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    char *names[512];
    int n = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        say(" {%s}", strerrorname_np(errno));
        return;
    }
    errno = 0;
    for (struct dirent *e; n < 512 && (e = readdir(dir));)
        names[n++] = strdup(e->d_name);
    int error = errno;
    closedir(dir);
    qsort(names, n, sizeof *names, by_name);
    say(" {");
    for (int i = 0; i < n; i++)
        say("%s%s", i ? " " : "", names[i]);
    if (error)
        say(" %s", strerrorname_np(error));
    say("}");
}

static long compare(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? (a.tv_sec < b.tv_sec ? -1 : 1) : a.tv_nsec != b.tv_nsec ? (a.tv_nsec < b.tv_nsec ? -1 : 1) : 0;
}

static void moment(void)
{
    usleep(20000);
}

static int as(uid_t uid, void (*run)(void))
{
    // What the child says is said in its place.
    int ends[2];
    if (pipe(ends))
        return -1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        if (uid && (setresgid(uid, uid, uid) || setresuid(uid, uid, uid)))
            say(" setuid=%s", strerrorname_np(errno));
        size_t before = used;
        say(" (%u:", uid);
        run();
        say(")");
        if (write(ends[1], line + before, used - before) == -1)
            _exit(1);
        _exit(0);
    }
    close(ends[1]);
    char buffer[4096];
    ssize_t n;
    while ((n = read(ends[0], buffer, sizeof buffer)) > 0)
        say("%.*s", (int)n, buffer);
    close(ends[0]);
    int status;
    return waitpid(child, &status, 0) == child ? status : -1;
}

// ---------------------------------------------------------------- opening

CASE(open_creates)
{
    DO(open("a", O_RDONLY));
    OPEN("a", O_RDWR | O_CREAT, 0640);
    show("a");
    OPEN("a", O_RDWR | O_CREAT, 0600);
    show("a");
    DO(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
    OPEN("b", O_RDONLY | O_CREAT | O_EXCL, 0400);
    show("b");
    DO(open("none/a", O_RDWR | O_CREAT, 0600));
    DO(open("a/b", O_RDWR | O_CREAT, 0600));
    DO(open("", O_RDONLY));
    DO(open("a/", O_RDONLY));
    DO(open("c/", O_RDWR | O_CREAT, 0600));
    list(".");
}

CASE(open_mode_and_umask)
{
    umask(027);
    close(OPEN("a", O_RDWR | O_CREAT, 0777));
    close(OPEN("b", O_RDWR | O_CREAT, 07777));
    umask(0);
    close(OPEN("c", O_RDWR | O_CREAT, 0666));
    close(OPEN("d", O_RDWR | O_CREAT, 0));
    umask(077);
    DO(mkdir("e", 0777));
    DO(mkfifo("f", 0666));
    umask(0);
    DO(mkdir("g", 07777));
    DO(mkdir("h", 0));
    const char *names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    for (int i = 0; i < 8; i++)
        show(names[i]);
}

CASE(open_truncates)
{
    put("a", "0123456789");
    int keeps = OPEN("a", O_RDWR);
    OPEN("a", O_WRONLY | O_TRUNC);
    show("a");
    show_fd(keeps);
    DO(pwrite(keeps, "xy", 2, 3));
    content("a");
    OPEN("a", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    show("a");
    put("a", "0123456789");
    close(OPEN("a", O_WRONLY | O_TRUNC | O_APPEND));
    add("a", "z");
    content("a");
    DO(open("a", O_WRONLY | O_CREAT | O_EXCL | O_TRUNC, 0600));
    content("a");
}

CASE(open_appends)
{
    put("a", "start ");
    int one = OPEN("a", O_WRONLY | O_APPEND), two = OPEN("a", O_RDWR | O_APPEND), plain = OPEN("a", O_RDWR);
    DO(write(one, "one ", 4));
    DO(write(two, "two ", 4));
    DO(write(one, "three ", 6));
    DO(lseek(one, 0, SEEK_CUR));
    DO(lseek(two, 0, SEEK_CUR));
    DO(pwrite(plain, "START", 5, 0));
    DO(lseek(one, 0, SEEK_SET));
    DO(write(one, "four ", 5));
    DO(pwrite(two, "five ", 5, 1));
    content("a");
    DO(fcntl(plain, F_SETFL, O_APPEND));
    DO(write(plain, "six ", 4));
    DO(fcntl(plain, F_SETFL, 0));
    DO(lseek(plain, 2, SEEK_SET));
    DO(write(plain, "##", 2));
    content("a");
    struct iovec v = { "seven ", 6 };
    DO(pwritev2(plain, &v, 1, 0, RWF_APPEND));
    content("a");
}

CASE(open_directories)
{
    DO(mkdir("d", 0755));
    put("a", "x");
    OPEN("d", O_RDONLY);
    OPEN("d", O_RDONLY | O_DIRECTORY);
    DO(open("d", O_WRONLY));
    DO(open("d", O_RDWR));
    DO(open("d", O_RDONLY | O_CREAT, 0600));
    DO(open("d", O_WRONLY | O_TRUNC));
    DO(open("a", O_RDONLY | O_DIRECTORY));
    DO(open("none", O_RDONLY | O_DIRECTORY));
    int dir = OPEN("d", O_RDONLY);
    char byte;
    DO(read(dir, &byte, 1));
    DO(write(dir, "x", 1));
    DO(ftruncate(dir, 0));
    DO(fsync(dir));
    DO(fdatasync(dir));
    DO(lseek(dir, 0, SEEK_SET));
    show_fd(dir);
}

CASE(open_nofollow)
{
    put("a", "x");
    DO(symlink("a", "l"));
    DO(symlink("none", "dangling"));
    DO(mkdir("d", 0755));
    DO(symlink("d", "dl"));
    OPEN("l", O_RDONLY);
    DO(open("l", O_RDONLY | O_NOFOLLOW));
    OPEN("l", O_PATH | O_NOFOLLOW);
    OPEN("a", O_RDONLY | O_NOFOLLOW);
    DO(open("dl", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    DO(open("dangling", O_RDONLY));
    DO(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600));
    DO(open("dangling", O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    OPEN("dangling", O_RDWR | O_CREAT, 0600);
    list(".");
    show("none");
}

CASE(open_mode_is_kept_by_the_handle)
{
    put("a", "0123");
    int r = OPEN("a", O_RDONLY), w = OPEN("a", O_WRONLY);
    char b[8];
    DO(write(r, "x", 1));
    DO(read(w, b, 1));
    DO(pread(w, b, 1, 0));
    DO(ftruncate(r, 0));
    DO(fallocate(r, 0, 0, 10));
    int p = OPEN("a", O_PATH);
    DO(read(p, b, 1));
    DO(fsync(p));
    DO(fchmod(p, 0600));
    show_fd(p);
    DO(unlink("a"));
    show_fd(p);
    close(p);
    DO(read(p, b, 1));
    DO(close(p));
    DO(read(r, b, 8));
    DO(write(w, "zz", 2));
    DO(pread(r, b, 8, 0));
}

CASE(open_for_writing_what_was_made_read_only)
{
    int w = OPEN("a", O_WRONLY | O_CREAT | O_EXCL, 0444);
    DO(write(w, "abc", 3));
    DO(fchmod(w, 0));
    DO(write(w, "def", 3));
    DO(ftruncate(w, 5));
    show("a");
    DO(fchmod(w, 0444));
    content("a");
}

CASE(open_many_at_once)
{
    int fds[600], n = 0;
    for (; n < 600; n++) {
        char name[16];
        sprintf(name, "f%d", n % 300);
        if ((fds[n] = open(name, O_RDWR | O_CREAT | O_APPEND, 0644)) == -1)
            break;
    }
    say(" opened=%d", n);
    for (int i = 0; i < n; i++)
        if (write(fds[i], "line\n", 5) != 5)
            say(" write %d %s", i, strerrorname_np(errno));
    for (int i = 0; i < n; i++)
        close(fds[i]);
    long bytes = 0;
    for (int i = 0; i < 300; i++) {
        char name[16];
        sprintf(name, "f%d", i);
        bytes += look(name).st_size;
    }
    say(" bytes=%ld", bytes);
}

CASE(open_without_a_name)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd == -1)
        say(" tmpfile=%s", strerrorname_np(errno));
    else
        say(" tmpfile=ok");
    list(".");
}

// ---------------------------------------------------------------- reading and writing

CASE(write_and_read_in_places)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    char b[32];
    DO(write(fd, "hello world\n", 12));
    DO(read(fd, b, sizeof b));
    DO(lseek(fd, 6, SEEK_SET));
    DO(write(fd, "WORLD", 5));
    DO(lseek(fd, -6, SEEK_END));
    DO(read(fd, b, 3));
    say(" %.3s", b);
    DO(pread(fd, b, 5, 0));
    DO(pread(fd, b, 5, 100));
    DO(pread(fd, b, 5, -1));
    DO(pwrite(fd, "x", 1, -1));
    DO(lseek(fd, -1, SEEK_SET));
    DO(lseek(fd, 0, 77));
    DO(lseek(fd, 1000, SEEK_SET));
    DO(read(fd, b, 5));
    DO(write(fd, "end", 3));
    DO(write(fd, "", 0));
    DO(lseek(fd, 0, SEEK_CUR));
    show("a");
    content("a");
}

CASE(write_vectors)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    struct iovec out[3] = { { "one ", 4 }, { "", 0 }, { "two ", 4 } };
    DO(writev(fd, out, 3));
    DO(pwritev(fd, out, 3, 20));
    DO(writev(fd, out, 0));
    char b[3][6];
    struct iovec in[3] = { { b[0], 3 }, { b[1], 3 }, { b[2], 3 } };
    DO(preadv(fd, in, 3, 0));
    DO(readv(fd, in, 3));
    DO(readv(fd, in, 3));
    content("a");
    DO(writev(fd, out, 1025));
    DO(writev(fd, out, -1));
}

CASE(write_through_bad_memory)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, (void *)8, 10));
    show("a");
    DO(write(fd, "abc", 3));
    DO(pread(fd, (void *)8, 3, 0));
    content("a");
}

CASE(write_many_sizes)
{
    static unsigned char bytes[3 << 20];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (i * 2654435761u) >> 13;
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    static const int sizes[] = { 1, 4095, 4096, 4097, 65535, 65536, 65537, 131072, 1044480, 1044481, 1 << 20, 3 << 20 };
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ssize_t n = write(fd, bytes + i % 7, sizes[i] - i % 7);
        say(" %zd", n);
    }
    show("a");
    content("a");
    memset(bytes, 0, sizeof bytes);
    DO(pread(fd, bytes, sizeof bytes, 12345));
    say(" %016lx", (unsigned long)hash(bytes, sizeof bytes, 1));
}

CASE(write_sparse)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(pwrite(fd, "far", 3, 1 << 20));
    DO(pwrite(fd, "near", 4, 0));
    show("a");
    content("a");
    DO(pwrite(fd, "x", 1, 3L << 30));
    show("a");
    DO(fsync(fd));
    char b[3];
    DO(pread(fd, b, 3, 2L << 30));
    IS(b[0] == 0 && b[2] == 0);
}

CASE(write_far_beyond)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, "x", 1));
    DO(pwrite(fd, "x", 1, LONG_MAX));
    DO(pwrite(fd, "x", 1, LONG_MAX - 1));
    DO(pwrite(fd, "x", 1, 1L << 62));
    DO(pwrite(fd, "x", 1, 1L << 50));
    DO(ftruncate(fd, LONG_MAX));
    DO(ftruncate(fd, 1L << 62));
    DO(lseek(fd, 0, SEEK_END));
    DO(lseek(fd, 1L << 40, SEEK_SET));
    DO(write(fd, "y", 1));
    show("a");
    DO(ftruncate(fd, 1));
    content("a");
}

CASE(write_limited)
{
    struct rlimit limit = { 10, 10 };
    signal(SIGXFSZ, SIG_IGN);
    DO(setrlimit(RLIMIT_FSIZE, &limit));
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, "0123456", 7));
    DO(write(fd, "789abc", 6));
    DO(write(fd, "d", 1));
    DO(ftruncate(fd, 11));
    show("a");
    content("a");
}

CASE(write_shares_the_position)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644), other = dup(fd);
    DO(write(fd, "one ", 4));
    DO(write(other, "two ", 4));
    pid_t child = fork();
    if (child == 0)
        _exit(write(fd, "child ", 6) != 6);
    int status;
    waitpid(child, &status, 0);
    DO(write(other, "parent ", 7));
    say(" status=%d", status);
    close(fd);
    DO(write(other, "still ", 6));
    content("a");
}

CASE(write_synchronously)
{
    int s = OPEN("a", O_WRONLY | O_CREAT | O_SYNC, 0644), d = OPEN("a", O_WRONLY | O_DSYNC | O_APPEND);
    DO(write(s, "sync ", 5));
    DO(write(d, "dsync ", 6));
    struct iovec v = { "rwf ", 4 };
    DO(pwritev2(d, &v, 1, -1, RWF_DSYNC));
    DO(fsync(s));
    DO(fdatasync(d));
    DO(sync_file_range(s, 0, 0, SYNC_FILE_RANGE_WRITE));
    DO(syncfs(s));
    content("a");
}

CASE(write_directly)
{
    static char block[8192] __attribute__((aligned(4096)));
    memset(block, 'b', sizeof block);
    int fd = OPEN("a", O_RDWR | O_CREAT | O_DIRECT, 0644);
    DO(write(fd, block, 8192));
    DO(pread(fd, block, 4096, 4096));
    content("a");
}

CASE(read_at_the_end)
{
    int w = OPEN("a", O_WRONLY | O_CREAT | O_APPEND, 0644), r = OPEN("a", O_RDONLY);
    char b[64];
    DO(read(r, b, 64));
    for (int i = 0; i < 20; i++) {
        if (dprintf(w, "line %d\n", i) < 0)
            say(" failed");
        ssize_t n = read(r, b, 64);
        say(" %.*s", n > 0 ? (int)n - 1 : 0, b);
    }
    DO(read(r, b, 64));
    DO(ftruncate(w, 3));
    DO(read(r, b, 64));
    DO(lseek(r, 0, SEEK_END));
    DO(write(w, "more", 4));
    DO(read(r, b, 64));
}

CASE(copy_within_the_kernel)
{
    static char bytes[200000];
    for (int i = 0; i < 200000; i++)
        bytes[i] = i % 251;
    int a = OPEN("a", O_RDWR | O_CREAT, 0644), b = OPEN("b", O_RDWR | O_CREAT, 0644);
    DO(write(a, bytes, sizeof bytes));
    off_t from = 10, to = 0;
    long total = 0;
    for (ssize_t n; total < 150000 && (n = copy_file_range(a, &from, b, &to, 150000 - total, 0)) > 0;)
        total += n;
    say(" copied=%ld", total);
    content("b");
    DO(lseek(b, 0, SEEK_SET));
    from = 0;
    total = 0;
    for (ssize_t n; (n = sendfile(b, a, &from, 100000)) > 0;)
        total += n;
    say(" sent=%ld", total);
    content("b");
    DO(pwrite(a, "changed", 7, 0));
    from = 0;
    DO(lseek(b, 0, SEEK_SET));
    DO(sendfile(b, a, &from, 4));
    int ends[2];
    DO(pipe(ends));
    loff_t at = 3;
    DO(splice(a, &at, ends[1], NULL, 4, 0));
    at = 100;
    DO(splice(ends[0], NULL, b, &at, 4, 0));
    char got[4];
    DO(pread(b, got, 4, 0));
    say(" %.4s", got);
    DO(pread(b, got, 4, 100));
    say(" %.4s", got);
    int c = OPEN("b", O_WRONLY | O_APPEND);
    DO(sendfile(c, a, &from, 4) == -1);
    DO(copy_file_range(a, NULL, c, NULL, 4, 0));
    DO(copy_file_range(a, NULL, a, NULL, 4, 99));
    show("b");
}

CASE(copy_after_changes)
{
    // What the kernel may have cached for splice must not outlive a change.
    int a = OPEN("a", O_RDWR | O_CREAT, 0644);
    char b[64];
    int ends[2];
    DO(pipe(ends));
    DO(write(a, "first", 5));
    for (int i = 0; i < 4; i++) {
        loff_t at = 0;
        ssize_t n = splice(a, &at, ends[1], NULL, 64, 0);
        n = n > 0 ? read(ends[0], b, 64) : n;
        say(" <%.*s>", n > 0 ? (int)n : 0, b);
        if (i == 0)
            DO(pwrite(a, "second", 6, 2));
        else if (i == 1)
            DO(ftruncate(a, 3));
        else
            add("a", "third");
    }
}

CASE(map_for_reading)
{
    static char bytes[10000];
    memset(bytes, 'm', sizeof bytes);
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, bytes, sizeof bytes));
    char *p = mmap(NULL, 12288, PROT_READ, MAP_PRIVATE, fd, 0), *s = mmap(NULL, 12288, PROT_READ, MAP_SHARED, fd, 0);
    IS(p != MAP_FAILED && s != MAP_FAILED);
    if (p == MAP_FAILED || s == MAP_FAILED)
        return;
    IS(p[0] == 'm' && p[9999] == 'm' && p[10000] == 0 && s[9999] == 'm');
    DO(pwrite(fd, "X", 1, 5));
    IS(s[5] == 'X');
    DO(pwrite(fd, "Y", 1, 11000));
    IS(s[11000] == 'Y' && s[10500] == 0);
    char *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    IS(w != MAP_FAILED);
    w[1] = 'p';
    char b[2];
    DO(pread(fd, b, 2, 0));
    IS(b[1] == 'm');
    DO(close(fd));
    IS(s[5] == 'X');
}

CASE(map_for_writing)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(ftruncate(fd, 8192));
    char *s = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    IS(s != MAP_FAILED);
    if (s == MAP_FAILED)
        return;
    strcpy(s + 4090, "over the edge");
    DO(msync(s, 8192, MS_SYNC));
    char b[16];
    DO(pread(fd, b, 14, 4090));
    say(" %s", b);
    strcpy(s, "unsynced");
    DO(pread(fd, b, 9, 0));
    say(" %s", b);
    DO(pwrite(fd, "UN", 2, 0));
    IS(s[0] == 'U' && s[2] == 's');
    s[100] = 'z';
    DO(munmap(s, 8192));
    DO(close(fd));
    content("a");
    int r = OPEN("a", O_RDONLY);
    IS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, r, 0) == MAP_FAILED);
}

CASE(run_a_program)
{
    char b[1 << 16];
    int from = open("/bin/true", O_RDONLY), to = OPEN("t", O_WRONLY | O_CREAT, 0755);
    for (ssize_t n; (n = read(from, b, sizeof b)) > 0;)
        if (write(to, b, n) != n)
            say(" write");
    DO(execl("t", "t", NULL));
    close(to);
    pid_t child = fork();
    if (child == 0) {
        execl("t", "t", NULL);
        _exit(99);
    }
    int status;
    waitpid(child, &status, 0);
    say(" status=%d", status);
    put("s", "#!/bin/sh\nexit 7\n");
    DO(execl("s", "s", NULL));
    DO(chmod("s", 0755));
    if ((child = fork()) == 0) {
        execl("s", "s", NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    say(" status=%d", WEXITSTATUS(status));
}

// ---------------------------------------------------------------- sizes

CASE(truncate_in_all_ways)
{
    put("a", "0123456789");
    DO(truncate("a", 4));
    content("a");
    DO(truncate("a", 8));
    content("a");
    DO(truncate("a", -1));
    DO(truncate("none", 0));
    DO(mkdir("d", 0755));
    DO(truncate("d", 0));
    DO(mkfifo("p", 0644));
    DO(truncate("p", 0));
    DO(truncate("a/b", 0));
    int fd = OPEN("a", O_RDWR);
    DO(ftruncate(fd, 2));
    DO(ftruncate(fd, -5));
    DO(write(fd, "abcdef", 6));
    DO(ftruncate(fd, 3));
    DO(write(fd, "g", 1));
    show("a");
    content("a");
    DO(ftruncate(fd, 1L << 33));
    show("a");
    DO(ftruncate(fd, 0));
    DO(pwrite(fd, "x", 1, 2));
    content("a");
    int r = OPEN("a", O_RDONLY);
    DO(ftruncate(r, 0));
    DO(ftruncate(999, 0));
}

CASE(truncate_between_appends)
{
    int a = OPEN("a", O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (int i = 0; i < 50; i++) {
        if (dprintf(a, "line %d of many\n", i) < 0)
            say(" failed");
        if (i % 10 == 5 && truncate("a", i % 20 == 5 ? 0 : 7))
            say(" truncate");
    }
    show("a");
    content("a");
    DO(truncate("a", 1000));
    DO(write(a, "end", 3));
    show("a");
    content("a");
}

CASE(allocate)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, "0123456789", 10));
    DO(fallocate(fd, 0, 0, 100));
    show("a");
    DO(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 100000));
    show("a");
    DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2, 3));
    content("a");
    DO(fallocate(fd, FALLOC_FL_ZERO_RANGE, 98, 4));
    show("a");
    DO(fallocate(fd, 0, 0, 0));
    DO(fallocate(fd, 0, -1, 10));
    DO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1));
    DO(posix_fallocate(fd, 50, 200));
    DO(write(fd, "tail", 4));
    content("a");
    int ap = OPEN("a", O_WRONLY | O_APPEND);
    DO(write(ap, "after", 5));
    show("a");
}

CASE(allocate_collapse)
{
    static char bytes[12288];
    memset(bytes, 'c', sizeof bytes);
    int fd = open("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, bytes, sizeof bytes) == sizeof bytes);
    say(" collapse=%s", fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) ? strerrorname_np(errno) : "ok");
    say(" insert=%s", fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 4096) ? strerrorname_np(errno) : "ok");
}

CASE(seek_holes)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(pwrite(fd, "x", 1, 1 << 20));
    DO(fsync(fd));
    DO(lseek(fd, 0, SEEK_DATA));
    DO(lseek(fd, 0, SEEK_HOLE));
    DO(lseek(fd, 1 << 20, SEEK_DATA));
    DO(lseek(fd, (1 << 20) + 1, SEEK_DATA));
    DO(lseek(fd, 1 << 30, SEEK_HOLE));
}

// ---------------------------------------------------------------- names

CASE(unlink_errors)
{
    DO(unlink("none"));
    DO(mkdir("d", 0755));
    DO(unlink("d"));
    DO(rmdir("none"));
    put("a", "x");
    DO(rmdir("a"));
    DO(unlink("a/b"));
    DO(unlink(""));
    DO(unlink("d/."));
    DO(rmdir("d/."));
    DO(rmdir("d/.."));
    put("d/x", "");
    DO(rmdir("d"));
    DO(unlink("d/x"));
    DO(rmdir("d"));
    DO(unlink("a/"));
    DO(remove("a"));
    list(".");
}

CASE(unlink_while_open)
{
    int fd = OPEN("a", O_RDWR | O_CREAT | O_APPEND, 0644);
    char b[32];
    DO(write(fd, "before ", 7));
    ino_t ino = flook(fd).st_ino;
    DO(unlink("a"));
    show_fd(fd);
    IS(flook(fd).st_ino == ino);
    list(".");
    DO(open("a", O_RDONLY));
    DO(write(fd, "after", 5));
    DO(pread(fd, b, 32, 0));
    DO(ftruncate(fd, 6));
    DO(fchmod(fd, 0600));
    DO(fsync(fd));
    show_fd(fd);
    put("a", "new");
    IS(look("a").st_ino != ino);
    show_fd(fd);
    content("a");
    char self[64];
    sprintf(self, "/proc/self/fd/%d", fd);
    DO(linkat(AT_FDCWD, self, AT_FDCWD, "back", AT_SYMLINK_FOLLOW));
    int again = opened("reopen", open(self, O_RDONLY));
    DO(pread(again, b, 32, 0));
    close(fd);
    DO(pread(again, b, 32, 0));
    close(again);
    list(".");
}

CASE(unlink_one_name_of_an_open_file)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(write(fd, "content", 7));
    DO(link("a", "b"));
    DO(unlink("b"));
    show_fd(fd);
    DO(rename("a", "c"));
    show_fd(fd);
    show("c");
    DO(link("c", "d"));
    DO(unlink("c"));
    show("d");
    show_fd(fd);
    close(fd);
    show("d");
    content("d");
    fd = OPEN("d", O_RDONLY);
    DO(link("d", "e"));
    DO(unlink("d"));
    DO(unlink("e"));
    show_fd(fd);
    list(".");
}

CASE(mkdir_errors)
{
    DO(mkdir("d", 0755));
    DO(mkdir("d", 0755));
    put("a", "");
    DO(mkdir("a", 0755));
    DO(mkdir("a/b", 0755));
    DO(mkdir("none/b", 0755));
    DO(mkdir("", 0755));
    DO(mkdir(".", 0755));
    DO(mkdir("d/..", 0755));
    DO(mkdir("e/", 0755));
    DO(symlink("d", "l"));
    DO(mkdir("l", 0755));
    DO(symlink("none", "m"));
    DO(mkdir("m", 0755));
    DO(mkdir("d/f", 0700));
    list("d");
    IS(look(".").st_nlink == 4 || look(".").st_nlink == 1);
    IS(look("d").st_nlink == 3 || look("d").st_nlink == 1);
}

CASE(names_long_and_odd)
{
    char name[300];
    memset(name, 'n', sizeof name);
    name[255] = 0;
    put(name, "long");
    content(name);
    DO(rename(name, "short"));
    DO(rename("short", name));
    DO(mkdir("d", 0755));
    name[255] = 'n';
    name[256] = 0;
    DO(open(name, O_RDWR | O_CREAT, 0644));
    DO(mkdir(name, 0755));
    DO(unlink(name));
    DO(rename("d", name));
    DO(symlink("x", name));
    DO(link("d", name));
    DO(lstat(name, &(struct stat){ 0 }));
    static const char *odd[] = { "\x01", "new\nline", "\xff\xfe", "\xc3\x28", " ", "-rf", "*", "\\", "...", "a\tb", "\xe9\xa3\x9b\xe8\x84\x9a" };
    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        put(odd[i], odd[i]);
        content(odd[i]);
        char other[64];
        snprintf(other, sizeof other, "%s2", odd[i]);
        if (rename(odd[i], other) || link(other, odd[i]))
            say(" %s", strerrorname_np(errno));
    }
    list(".");
}

CASE(path_long_and_deep)
{
    char path[5000] = "";
    int depth = 0;
    for (; depth < 400; depth++)
        if (mkdir("d", 0755) || chdir("d"))
            break;
    say(" depth=%d", depth);
    put("f", "deep");
    content("f");
    DO(rename("f", "g"));
    show("g");
    for (int i = 0; i < 100; i++)
        if (chdir(".."))
            say(" up");
    for (int i = 0; i < 100; i++)
        strcat(path, "d/");
    strcat(path, "g");
    content(path);
    memset(path, 'x', 4096);
    for (int i = 0; i < 4096; i += 2)
        path[i] = '/';
    path[4096] = 0;
    DO(open(path, O_RDONLY));
    path[4095] = 0;
    DO(open(path, O_RDONLY));
}

CASE(links_symbolic)
{
    put("a", "target");
    DO(symlink("a", "l"));
    char b[8];
    memset(b, '#', 8);
    DO(readlink("l", b, 8));
    say(" %.8s", b);
    DO(readlink("a", b, 8));
    DO(readlink("none", b, 8));
    DO(symlink("a", "l"));
    DO(symlink("", "e"));
    show("l");
    content("l");
    DO(symlink("one", "two"));
    DO(symlink("two", "one"));
    DO(open("one", O_RDONLY));
    DO(chmod("one", 0644));
    DO(symlink("/absolute/nowhere", "abs"));
    DO(readlink("abs", b, 8));
    static char target[4097];
    memset(target, 't', 4095);
    DO(symlink(target, "longest"));
    static char got[5000];
    DO(readlink("longest", got, 5000));
    target[4095] = 't';
    DO(symlink(target, "longer"));
    DO(lchown("l", 1, 1) == 0 || geteuid() != 0);
    struct timespec times[2] = { { 1000, 5 }, { 2000, 6 } };
    DO(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW));
    say(" %ld", (long)look("l").st_mtim.tv_sec);
    IS(look("a").st_mtim.tv_sec > 2000);
    DO(rename("l", "k"));
    DO(link("k", "h"));
    show("h");
    DO(unlink("k"));
    content("h");
    show("a");
}

CASE(links_hard)
{
    put("a", "x");
    ino_t ino = look("a").st_ino;
    DO(link("a", "b"));
    IS(look("b").st_ino == ino && look("a").st_ino == ino);
    show("a");
    DO(link("a", "b"));
    DO(link("none", "c"));
    DO(mkdir("d", 0755));
    DO(link("d", "e"));
    DO(link("a", "d/c"));
    DO(link("a", "none/c"));
    DO(link("a/b", "c"));
    show("a");
    add("d/c", "y");
    content("a");
    DO(unlink("a"));
    show("b");
    DO(rename("b", "d/b"));
    DO(unlink("d/c"));
    show("d/b");
    content("d/b");
    DO(chmod("d/b", 0600));
    DO(link("d/b", "z"));
    show("z");
}

CASE(link_over_a_border)
{
    put("a", "x");
    char name[64];
    snprintf(name, sizeof name, "/dev/shm/posix-%d", (int)getpid());
    DO(link("a", name));
    DO(rename("a", name));
    content("a");
}

CASE(rename_files)
{
    put("a", "a");
    put("b", "b");
    ino_t ino = look("a").st_ino;
    DO(rename("a", "a"));
    DO(rename("none", "a"));
    DO(rename("a", "none/a"));
    DO(rename("a", "b/c"));
    DO(rename("a", ""));
    DO(rename("a", "b"));
    IS(look("b").st_ino == ino);
    content("b");
    DO(link("b", "c"));
    DO(rename("b", "c"));
    list(".");
    DO(rename("b", "."));
    DO(rename("b", "d/"));
    DO(symlink("b", "l"));
    put("e", "e");
    DO(rename("e", "l"));
    list(".");
    content("l");
    show("b");
}

CASE(rename_over_an_open_file)
{
    put("a", "new");
    int old = OPEN("b", O_RDWR | O_CREAT | O_APPEND, 0644);
    DO(write(old, "old", 3));
    DO(rename("a", "b"));
    show_fd(old);
    DO(write(old, "er", 2));
    char b[8] = "";
    DO(pread(old, b, 8, 0));
    say(" %s", b);
    content("b");
    add("b", "est");
    content("b");
    show("b");
    show_fd(old);
    int moved = OPEN("b", O_RDWR | O_APPEND);
    DO(rename("b", "c"));
    DO(write(moved, "!", 1));
    content("c");
    list(".");
}

CASE(rename_directories)
{
    DO(mkdir("d", 0755));
    DO(mkdir("e", 0755));
    DO(mkdir("d/sub", 0755));
    put("d/f", "f");
    put("a", "a");
    DO(rename("a", "d"));
    DO(rename("d", "a"));
    DO(rename("d", "d/sub/x"));
    DO(rename("d/sub", "d"));
    DO(rename("e", "d"));
    DO(rename("d", "e"));
    list(".");
    list("e");
    content("e/f");
    DO(rename("e/.", "x"));
    DO(rename("e", "e/.."));
    int fd = OPEN("e/f", O_RDWR | O_APPEND);
    DO(rename("e", "g"));
    DO(write(fd, "more", 4));
    content("g/f");
    DO(rename("g/sub", "sub"));
    IS(look("g").st_nlink <= 2);
    DO(rename("sub", "g/sub"));
    DO(chdir("g/sub"));
    DO(rename("../../g", "../../h"));
    list("..");
    content("../f");
}

CASE(rename_with_flags)
{
    put("a", "a");
    put("b", "b");
    DO(mkdir("d", 0755));
    put("d/x", "x");
    DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    DO(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
    DO(renameat2(AT_FDCWD, "c", AT_FDCWD, "b", RENAME_EXCHANGE));
    content("b");
    content("c");
    DO(renameat2(AT_FDCWD, "c", AT_FDCWD, "d", RENAME_EXCHANGE));
    content("d");
    list("c");
    DO(renameat2(AT_FDCWD, "c", AT_FDCWD, "none", RENAME_EXCHANGE));
    DO(renameat2(AT_FDCWD, "none", AT_FDCWD, "c", RENAME_EXCHANGE));
    DO(renameat2(AT_FDCWD, "b", AT_FDCWD, "c/x", RENAME_EXCHANGE));
    DO(renameat2(AT_FDCWD, "c", AT_FDCWD, "c/x", RENAME_EXCHANGE));
    DO(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE | RENAME_NOREPLACE));
    DO(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", 1 << 20));
    int one = OPEN("b", O_RDWR | O_APPEND), two = OPEN("d", O_RDWR | O_APPEND);
    DO(renameat2(AT_FDCWD, "b", AT_FDCWD, "d", RENAME_EXCHANGE));
    DO(write(one, "1", 1));
    DO(write(two, "2", 1));
    content("b");
    content("d");
    list(".");
}

CASE(nodes_of_other_kinds)
{
    DO(mkfifo("p", 0644));
    DO(mkfifo("p", 0644));
    show("p");
    int r = OPEN("p", O_RDONLY | O_NONBLOCK), w = OPEN("p", O_WRONLY);
    DO(write(w, "through", 7));
    char b[8] = "";
    DO(read(r, b, 7));
    say(" %s", b);
    DO(rename("p", "q"));
    DO(unlink("q"));
    DO(mknod("r", S_IFREG | 0640, 0));
    show("r");
    DO(mknod("n", S_IFCHR | 0666, makedev(1, 3)));
    struct stat s = look("n");
    say(" %o %u,%u", s.st_mode, major(s.st_rdev), minor(s.st_rdev));
    DO(mknod("big", S_IFBLK | 0600, makedev(300, 70000)));
    s = look("big");
    say(" %o %u,%u", s.st_mode, major(s.st_rdev), minor(s.st_rdev));
    DO(mknod("x", S_IFDIR | 0755, 0));
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un at = { AF_UNIX, "s" };
    DO(bind(server, (struct sockaddr *)&at, sizeof at));
    DO(listen(server, 1));
    show("s");
    DO(connect(client, (struct sockaddr *)&at, sizeof at));
    DO(open("s", O_RDWR));
    DO(bind(client, (struct sockaddr *)&at, sizeof at));
    DO(unlink("s"));
    list(".");
}

CASE(nodes_of_devices)
{
    if (mknod("n", S_IFCHR | 0666, makedev(1, 3)) == 0)
        say(" open=%s", open("n", O_RDWR) == -1 ? strerrorname_np(errno) : "ok");
    else
        say(" mknod=%s", strerrorname_np(errno));
}

// ---------------------------------------------------------------- directories

CASE(readdir_many)
{
    char name[32];
    for (int i = 0; i < 3000; i++) {
        sprintf(name, "entry-%d", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        if (fd == -1)
            say(" %s", strerrorname_np(errno));
        close(fd);
    }
    static char seen[3000];
    DIR *dir = opendir(".");
    int n = 0, twice = 0, odd = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        int i;
        if (sscanf(e->d_name, "entry-%d", &i) == 1) {
            twice += seen[i]++;
            n++;
            odd += e->d_type != DT_REG || e->d_ino != look(e->d_name).st_ino;
        } else
            odd += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    }
    say(" n=%d twice=%d odd=%d", n, twice, odd);
    // Back to a place in the middle: the same rest again.
    rewinddir(dir);
    for (int i = 0; i < 1000; i++)
        readdir(dir);
    long place = telldir(dir);
    static char first[256], again[256];
    struct dirent *e = readdir(dir);
    strcpy(first, e->d_name);
    int rest = 1;
    while (readdir(dir))
        rest++;
    seekdir(dir, place);
    strcpy(again, (e = readdir(dir)) ? e->d_name : "");
    int once_more = e != NULL;
    while (readdir(dir))
        once_more++;
    IS(strcmp(first, again) == 0);
    IS(rest == once_more);
    closedir(dir);
}

CASE(readdir_while_it_changes)
{
    char name[32];
    for (int i = 0; i < 500; i++) {
        sprintf(name, "stays-%d", i);
        put(name, "");
        sprintf(name, "goes-%d", i);
        put(name, "");
    }
    DIR *dir = opendir(".");
    static char seen[500];
    int stays = 0, twice = 0, step = 0;
    for (struct dirent *e; (e = readdir(dir)); step++) {
        int i;
        if (sscanf(e->d_name, "stays-%d", &i) == 1) {
            stays++;
            twice += seen[i]++;
        }
        if (step < 500) {
            sprintf(name, "goes-%d", step);
            unlink(name);
            sprintf(name, "comes-%d", step);
            put(name, "");
        }
    }
    say(" stays=%d twice=%d", stays, twice);
    int n = 0;
    rewinddir(dir);
    while (readdir(dir))
        n++;
    say(" now=%d", n);
    // As rm -r does it: removing what is read.
    rewinddir(dir);
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.')
            unlink(e->d_name);
    closedir(dir);
    list(".");
}

CASE(readdir_kinds)
{
    put("f", "");
    DO(mkdir("d", 0755));
    DO(symlink("f", "l"));
    DO(mkfifo("p", 0644));
    DIR *dir = opendir(".");
    int kinds[256] = { 0 };
    for (struct dirent *e; (e = readdir(dir));)
        kinds[(unsigned char)e->d_name[0]] = e->d_type;
    say(" f=%d d=%d l=%d p=%d", kinds['f'], kinds['d'], kinds['l'], kinds['p']);
    closedir(dir);
    DO(opendir("f") == NULL);
    say(" %s", strerrorname_np(errno));
    DO(opendir("none") == NULL);
    say(" %s", strerrorname_np(errno));
}

CASE(directory_removed_under_foot)
{
    DO(mkdir("d", 0755));
    int fd = OPEN("d", O_RDONLY | O_DIRECTORY);
    DO(chdir("d"));
    DO(rmdir("../d"));
    DO(open("x", O_RDWR | O_CREAT, 0644));
    DO(mkdir("x", 0755));
    DO(lstat("x", &(struct stat){ 0 }));
    list(".");
    show_fd(fd);
    show(".");
    DO(openat(fd, "x", O_RDONLY));
    DO(fsync(fd));
    DO(fchmod(fd, 0700));
    char path[PATH_MAX];
    say(" %s", getcwd(path, sizeof path) ? "cwd" : strerrorname_np(errno));
    DO(chdir(".."));
    DO(mkdir("replaced", 0755));
    DO(mkdir("other", 0755));
    put("other/f", "");
    int old = OPEN("replaced", O_RDONLY | O_DIRECTORY);
    DO(rename("other", "replaced"));
    show_fd(old);
    DO(openat(old, "f", O_RDONLY));
    list("replaced");
}

CASE(relative_to_a_directory)
{
    DO(mkdir("d", 0755));
    int d = OPEN("d", O_RDONLY | O_DIRECTORY), p = OPEN("d", O_PATH);
    int fd = opened("openat", openat(d, "a", O_RDWR | O_CREAT, 0644));
    DO(write(fd, "x", 1));
    DO(mkdirat(p, "sub", 0755));
    DO(symlinkat("a", d, "l"));
    DO(linkat(d, "a", p, "h", 0));
    DO(linkat(d, "l", p, "hl", 0));
    DO(linkat(d, "l", p, "hf", AT_SYMLINK_FOLLOW));
    DO(renameat(d, "a", AT_FDCWD, "moved"));
    DO(rename("d", "e"));
    DO(faccessat(d, "h", F_OK, 0));
    DO(fchmodat(p, "h", 0600, 0));
    DO(fchownat(p, "h", getuid(), getgid(), 0));
    DO(unlinkat(d, "h", 0));
    DO(unlinkat(d, "sub", 0));
    DO(unlinkat(d, "sub", AT_REMOVEDIR));
    DO(fstatat(fd, "", &(struct stat){ 0 }, AT_EMPTY_PATH));
    DO(openat(fd, "x", O_RDONLY));
    list("e");
    show("moved");
    DO(fchdir(d));
    show("hl");
}

// ---------------------------------------------------------------- attributes

CASE(modes_and_owners)
{
    put("a", "x");
    DO(mkdir("d", 0755));
    DO(chmod("a", 0));
    DO(chmod("a", 07777));
    show("a");
    DO(chmod("d", 01777));
    DO(chmod("none", 0644));
    DO(chown("a", 12, 34) == 0 || errno == EPERM);
    show("a");
    DO(chown("a", -1, 35) == 0 || errno == EPERM);
    DO(chown("a", -1, -1));
    show("a");
    DO(lchown("none", 0, 0));
    DO(symlink("a", "l"));
    DO(fchmodat(AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
    DO(chmod("l", 0640));
    show("a");
    show("l");
    show("d");
}

static void use_suid(void)
{
    int fd = OPEN("suid", O_WRONLY | O_APPEND);
    DO(write(fd, "x", 1));
    show("suid");
    DO(truncate("suid2", 0));
    show("suid2");
    DO(close(OPEN("suid3", O_WRONLY | O_TRUNC)));
    show("suid3");
    fd = OPEN("suid4", O_WRONLY);
    DO(fallocate(fd, 0, 0, 10));
    show("suid4");
}

CASE(suid_is_cleared)
{
    const char *names[] = { "suid", "suid2", "suid3", "suid4" };
    for (int i = 0; i < 4; i++) {
        put(names[i], "program");
        DO(chmod(names[i], 06777));
    }
    as(geteuid() ? 0 : ORDINARY, use_suid);
    put("own", "x");
    DO(chmod("own", 06755));
    add("own", "y");
    show("own");
    DO(chmod("own", 06755));
    DO(chown("own", -1, getgid()));
    show("own");
    DO(chmod("own", 02644));
    add("own", "z");
    show("own");
    DO(chmod("own", 06755));
    DO(truncate("own", 1));
    show("own");
    DO(mkdir("d", 06755));
    DO(chown("d", -1, getgid()));
    show("d");
}

static void in_a_group_directory(void)
{
    put("g/file", "x");
    show("g/file");
    DO(mkdir("g/sub", 0755));
    show("g/sub");
    DO(symlink("file", "g/link"));
    show("g/link");
    int fd = OPEN("g/exec", O_WRONLY | O_CREAT, 02775);
    show("g/exec");
    close(fd);
    DO(mknod("g/pipe", S_IFIFO | 0644, 0));
    show("g/pipe");
}

CASE(group_is_inherited)
{
    DO(mkdir("g", 0755));
    DO(chown("g", -1, OTHER) == 0 || errno == EPERM);
    DO(chmod("g", 02777));
    show("g");
    in_a_group_directory();
    if (geteuid() == 0) {
        DO(mkdir("h", 0755));
        DO(rename("g", "g1"));
        DO(rename("h", "g"));
        DO(chown("g", -1, OTHER));
        DO(chmod("g", 02777));
        as(ORDINARY, in_a_group_directory);
    }
}

static void ordinary(void)
{
    char b[8];
    DO(open("secret", O_RDONLY));
    DO(open("readable", O_WRONLY));
    close(OPEN("readable", O_RDONLY));
    DO(open("closed/x", O_RDONLY));
    DO(opendir("closed") == NULL);
    DO(mkdir("new", 0755));
    DO(unlink("readable"));
    DO(rename("readable", "other"));
    DO(link("readable", "other"));
    DO(chmod("readable", 0777));
    DO(chown("readable", ORDINARY, -1));
    DO(truncate("readable", 0));
    DO(utimes("readable", NULL));
    DO(utimensat(AT_FDCWD, "writable", NULL, 0));
    struct timespec times[2] = { { 1, 1 }, { 2, 2 } };
    DO(utimensat(AT_FDCWD, "writable", times, 0));
    DO(access("secret", R_OK));
    DO(access("secret", F_OK));
    DO(access("readable", R_OK));
    DO(access("readable", W_OK));
    DO(access("readable", X_OK));
    DO(access("closed/x", F_OK));
    add("writable", "by another");
    content("writable");
    DO(unlink("sticky/root"));
    DO(rename("sticky/root", "sticky/mine"));
    put("sticky/mine", "mine");
    show("sticky/mine");
    DO(rename("sticky/mine", "sticky/still mine"));
    DO(rename("sticky/still mine", "sticky/root"));
    DO(chmod("sticky/still mine", 06711));
    show("sticky/still mine");
    DO(chown("sticky/still mine", 0, -1));
    DO(chown("sticky/still mine", -1, 0));
    DO(chown("sticky/still mine", ORDINARY, ORDINARY));
    show("sticky/still mine");
    DO(unlink("sticky/still mine"));
    DO(mknod("sticky/dev", S_IFCHR | 0666, makedev(1, 3)));
    DO(execl("readable", "readable", NULL));
    DO(readlink("link", b, 8));
    DO(open("listable/x", O_RDONLY));
    list("listable");
    OPEN("passable/x", O_RDONLY);
    list("passable");
}

CASE(permissions_of_an_ordinary_user)
{
    if (geteuid() != 0)
        return;
    put("secret", "s");
    chmod("secret", 0600);
    put("readable", "r");
    put("writable", "w");
    chmod("writable", 0666);
    mkdir("closed", 0700);
    put("closed/x", "");
    mkdir("sticky", 0755);
    chmod("sticky", 01777);
    put("sticky/root", "");
    mkdir("listable", 0755);
    put("listable/x", "");
    chmod("listable", 0744);
    mkdir("passable", 0755);
    put("passable/x", "");
    chmod("passable", 0711);
    if (symlink("secret", "link"))
        say(" symlink");
    as(ORDINARY, ordinary);
    list("sticky");
}

CASE(times_given)
{
    put("a", "x");
    struct timespec t[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
    DO(utimensat(AT_FDCWD, "a", t, 0));
    struct stat s = look("a");
    say(" %ld.%09ld %ld.%09ld", (long)s.st_atim.tv_sec, s.st_atim.tv_nsec, (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    t[0].tv_nsec = UTIME_OMIT;
    t[1] = (struct timespec){ 1200000000, 1 };
    DO(utimensat(AT_FDCWD, "a", t, 0));
    s = look("a");
    say(" %ld %ld.%09ld", (long)s.st_atim.tv_sec, (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    t[0] = (struct timespec){ 1300000000, 2 };
    t[1].tv_nsec = UTIME_OMIT;
    DO(utimensat(AT_FDCWD, "a", t, 0));
    s = look("a");
    say(" %ld %ld", (long)s.st_atim.tv_sec, (long)s.st_mtim.tv_sec);
    t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
    DO(utimensat(AT_FDCWD, "a", t, 0));
    DO(utimensat(AT_FDCWD, "none", NULL, 0));
    t[1].tv_nsec = 1000000000;
    DO(utimensat(AT_FDCWD, "a", t, 0));
    t[0] = (struct timespec){ -5, 0 };
    t[1] = (struct timespec){ 4000000000, 0 };
    DO(utimensat(AT_FDCWD, "a", t, 0));
    s = look("a");
    say(" %ld %ld", (long)s.st_atim.tv_sec, (long)s.st_mtim.tv_sec);
    int fd = OPEN("a", O_RDWR);
    DO(write(fd, "y", 1));
    t[0] = t[1] = (struct timespec){ 900000000, 7 };
    DO(futimens(fd, t));
    s = flook(fd);
    say(" %ld.%ld", (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    moment();
    DO(close(fd));
    s = look("a");
    say(" %ld.%ld", (long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    DO(mkdir("d", 0755));
    DO(utimensat(AT_FDCWD, "d", t, 0));
    say(" %ld", (long)look("d").st_mtim.tv_sec);
}

// Which of the times a call changes: a, m, c, or none.
static void changes(const char *what, struct stat before, struct stat after)
{
    say(" %s:%s%s%s", what, compare(before.st_atim, after.st_atim) ? "a" : "", compare(before.st_mtim, after.st_mtim) ? "m" : "",
        compare(before.st_ctim, after.st_ctim) ? "c" : "");
}

#define CHANGES(path, call)            \
    do {                               \
        struct stat before = look(path); \
        moment();                      \
        if ((call) == -1)              \
            say(" %s", strerrorname_np(errno)); \
        changes(#call " of " path, before, look(path)); \
    } while (0)

CASE(times_change_by_what_is_done)
{
    mkdir("d", 0755);
    put("a", "x");
    CHANGES("a", chmod("a", 0600));
    CHANGES("a", chown("a", getuid(), -1));
    CHANGES("a", link("a", "b"));
    CHANGES("a", unlink("b"));
    CHANGES("a", rename("a", "c"));
    CHANGES("c", truncate("c", 0));
    CHANGES("c", truncate("c", 10));
    CHANGES(".", mkdir("e", 0755));
    CHANGES(".", rmdir("e"));
    CHANGES(".", rename("c", "a"));
    CHANGES(".", rename("a", "d/a"));
    CHANGES("d", rename("d/a", "a"));
    CHANGES(".", chmod("a", 0644));
    CHANGES(".", symlink("x", "l"));
    CHANGES(".", unlink("l"));
    int fd = open("a", O_RDWR);
    CHANGES("a", write(fd, "x", 1));
    CHANGES("a", write(fd, "", 0));
    CHANGES("a", ftruncate(fd, 5));
    CHANGES("a", ftruncate(fd, 5));
    CHANGES("a", fallocate(fd, 0, 0, 100));
    CHANGES("a", fsync(fd));
    CHANGES("a", fchmod(fd, 0600));
    CHANGES("a", write(fd, "then a chmod", 12));
    CHANGES("a", fchmod(fd, 0640));
    CHANGES("a", futimens(fd, NULL));
    CHANGES("a", close(fd));
    CHANGES("a", open("a", O_RDONLY));
    CHANGES("a", open("a", O_WRONLY));
    CHANGES("a", open("a", O_RDWR | O_CREAT, 0644));
    CHANGES("a", open("a", O_WRONLY | O_TRUNC));
    CHANGES("d", open("d/n", O_WRONLY | O_CREAT, 0644));
    CHANGES("d", open("d/n", O_WRONLY | O_CREAT, 0644));
}

CASE(times_stay_while_nobody_does_anything)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    char b[8];
    struct stat before = flook(fd);
    moment();
    DO(write(fd, "x", 1));
    struct stat written = flook(fd);
    changes("write", before, written);
    IS(compare(written.st_mtim, written.st_ctim) == 0);
    for (int i = 0; i < 30; i++)
        moment();
    // Not from the kernel's cache of attributes.
    struct statx now;
    DO(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &now));
    IS(now.stx_mtime.tv_sec == written.st_mtim.tv_sec && now.stx_mtime.tv_nsec == (unsigned)written.st_mtim.tv_nsec);
    IS(now.stx_ctime.tv_sec == written.st_ctim.tv_sec && now.stx_ctime.tv_nsec == (unsigned)written.st_ctim.tv_nsec);
    DO(pwrite(fd, "y", 1, 0));
    written = flook(fd);
    DO(pread(fd, b, 8, 0));
    DO(fsync(fd));
    DO(statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &now));
    IS(now.stx_mtime.tv_sec == written.st_mtim.tv_sec && now.stx_mtime.tv_nsec == (unsigned)written.st_mtim.tv_nsec);
    IS(now.stx_ctime.tv_sec == written.st_ctim.tv_sec && now.stx_ctime.tv_nsec == (unsigned)written.st_ctim.tv_nsec);
}

CASE(times_follow_the_order_of_things)
{
    // Newer is never older: as make and find -newer rely on it.
    int wrong = 0;
    for (int i = 0; i < 100; i++) {
        put("a", "x");
        utimensat(AT_FDCWD, "b", NULL, 0);
        int fd = open("b", O_WRONLY | O_CREAT, 0644);
        futimens(fd, NULL);
        close(fd);
        wrong += compare(look("b").st_mtim, look("a").st_mtim) < 0;
        put("c", "y");
        wrong += compare(look("c").st_mtim, look("b").st_mtim) < 0;
        unlink("b");
    }
    say(" wrong=%d", wrong);
}

CASE(numbers_stay)
{
    put("a", "x");
    struct stat s = look("a"), d = look(".");
    IS(s.st_dev == d.st_dev);
    IS(s.st_blksize >= 512);
    DO(rename("a", "b"));
    add("b", "y");
    IS(look("b").st_ino == s.st_ino);
    int fd = OPEN("b", O_RDONLY);
    IS(flook(fd).st_ino == s.st_ino && flook(fd).st_dev == s.st_dev);
    DO(unlink("b"));
    IS(flook(fd).st_ino == s.st_ino);
    put("b", "z");
    IS(look("b").st_ino != s.st_ino);
    struct stat up = look("..");
    DO(chdir(".."));
    IS(look(".").st_ino == up.st_ino);
}

CASE(space)
{
    struct statvfs v;
    DO(statvfs(".", &v));
    say(" %lu %lu", v.f_namemax, v.f_bsize);
    IS(v.f_bavail > 0 && v.f_blocks > v.f_bavail && v.f_ffree > 0);
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(fstatvfs(fd, &v));
    static char bytes[1 << 20];
    memset(bytes, 1, sizeof bytes);
    DO(write(fd, bytes, sizeof bytes));
    DO(fsync(fd));
    IS(flook(fd).st_blocks >= 2048 && flook(fd).st_blocks < 2200);
    DO(pathconf(".", _PC_NAME_MAX));
    DO(pathconf(".", _PC_PATH_MAX));
}

CASE(space_before_it_is_kept)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    DO(pwrite(fd, "x", 1, 1 << 30));
    IS(flook(fd).st_blocks < 4096);
    DO(pwrite(fd, "x", 1, 0));
    IS(flook(fd).st_blocks > 0);
}

CASE(attributes_extended)
{
    put("a", "x");
    char b[64];
    say(" set=%s", setxattr("a", "user.x", "v", 1, 0) ? strerrorname_np(errno) : "ok");
    say(" get=%s", getxattr("a", "user.x", b, 64) < 0 ? strerrorname_np(errno) : "ok");
    say(" list=%s", listxattr("a", b, 64) < 0 ? strerrorname_np(errno) : "ok");
    say(" remove=%s", removexattr("a", "user.x") ? strerrorname_np(errno) : "ok");
}

CASE(control)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644), n = -1;
    DO(write(fd, "abc", 3));
    DO(lseek(fd, 1, SEEK_SET));
    DO(ioctl(fd, FIONREAD, &n));
    say(" %d", n);
    DO(ioctl(fd, FIOCLEX));
    DO(ioctl(fd, 0x5401 /* TCGETS */, &n) == -1 && errno == ENOTTY);
    DO(isatty(fd));
    struct pollfd p = { fd, POLLIN | POLLOUT, 0 };
    DO(poll(&p, 1, 0));
    say(" %d", p.revents);
    DO(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND));
    DO(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    DO(readahead(fd, 0, 10));
}

CASE(control_flags)
{
    int fd = OPEN("a", O_RDWR | O_CREAT, 0644);
    long flags = 0;
    say(" flags=%s", ioctl(fd, 0x80086601 /* FS_IOC_GETFLAGS */, &flags) ? strerrorname_np(errno) : "ok");
}

// ---------------------------------------------------------------- between processes

static int lock_file;

static void try_locks(void)
{
    int fd = open("a", O_RDWR);
    DO(flock(fd, LOCK_EX | LOCK_NB));
    DO(flock(fd, LOCK_SH | LOCK_NB));
    struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10 };
    DO(fcntl(fd, F_SETLK, &f));
    f.l_start = 50;
    DO(fcntl(fd, F_SETLK, &f));
    f = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
    DO(fcntl(fd, F_GETLK, &f));
    say(" %d %ld %ld", f.l_type, (long)f.l_start, (long)f.l_len);
    f = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 };
    DO(fcntl(fd, F_OFD_SETLK, &f));
}

CASE(locks)
{
    lock_file = OPEN("a", O_RDWR | O_CREAT, 0666);
    DO(flock(lock_file, LOCK_EX));
    struct flock f = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10 };
    DO(fcntl(lock_file, F_SETLK, &f));
    f.l_start = 100;
    int other = OPEN("a", O_RDWR);
    DO(fcntl(other, F_OFD_SETLK, &f));
    as(0, try_locks);
    DO(flock(lock_file, LOCK_SH));
    as(0, try_locks);
    DO(flock(lock_file, LOCK_UN));
    close(other);
    close(dup(lock_file));
    as(0, try_locks);
    DO(unlink("a"));
    DO(flock(lock_file, LOCK_EX | LOCK_NB));
    int ro = OPEN(".", O_RDONLY);
    DO(flock(ro, LOCK_EX | LOCK_NB));
    DO(lockf(lock_file, F_TLOCK, 0));
}

CASE(watching)
{
    int in = inotify_init1(IN_NONBLOCK);
    DO(inotify_add_watch(in, ".", IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE)) > 0);
    put("a", "x");
    add("a", "y");
    chmod("a", 0600);
    truncate("a", 0) ? say(" truncate") : (void)0;
    rename("a", "b");
    link("b", "c") ? say(" link") : (void)0;
    unlink("c");
    unlink("b");
    mkdir("d", 0755);
    rmdir("d");
    char b[8192];
    ssize_t n = read(in, b, sizeof b);
    for (char *p = b; p < b + n;) {
        struct inotify_event *e = (struct inotify_event *)p;
        say(" %x:%s", e->mask, e->len ? e->name : "");
        p += sizeof *e + e->len;
    }
}

static void append_lines(void)
{
    int fd = open("a", O_WRONLY | O_APPEND);
    for (int i = 0; i < 200; i++)
        if (write(fd, "0123456789abcdef\n", 17) != 17)
            say(" write");
}

CASE(many_append_at_once)
{
    put("a", "");
    pid_t children[4];
    for (int i = 0; i < 4; i++)
        if ((children[i] = fork()) == 0) {
            append_lines();
            _exit(0);
        }
    for (int i = 0; i < 4; i++) {
        int status;
        waitpid(children[i], &status, 0);
    }
    show("a");
    content("a");
}

CASE(many_create_at_once)
{
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            int made = 0;
            for (int n = 0; n < 100; n++) {
                char name[16];
                sprintf(name, "f%d", n);
                int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
                made += fd != -1;
                if (fd == -1 && errno != EEXIST)
                    _exit(200);
                if (fd != -1)
                    close(fd);
            }
            _exit(made);
        }
    int made = 0;
    for (int i = 0; i < 4; i++) {
        int status;
        wait(&status);
        made += WEXITSTATUS(status);
    }
    say(" made=%d", made);
}

CASE(many_rename_at_once)
{
    put("a", "x");
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            int odd = 0;
            for (int n = 0; n < 200; n++)
                odd += rename(n % 2 ? "a" : "b", n % 2 ? "b" : "a") && errno != ENOENT;
            _exit(odd);
        }
    int odd = 0;
    for (int i = 0; i < 4; i++) {
        int status;
        wait(&status);
        odd += WEXITSTATUS(status);
    }
    say(" odd=%d", odd);
    IS((access("a", F_OK) == 0) + (access("b", F_OK) == 0) == 1);
}

// ---------------------------------------------------------------- the run

static int run(int i, const char *dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, cases[i].name);
    int ends[2];
    if (mkdir(path, 0755) || pipe(ends)) {
        printf("%s: cannot begin: %s\n", cases[i].name, strerrorname_np(errno));
        return 1;
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        alarm(SECONDS_MAX);
        umask(022);
        if (chdir(path) == 0)
            cases[i].run();
        else
            say(" chdir=%s", strerrorname_np(errno));
        for (size_t done = 0; done < used;) {
            ssize_t n = write(ends[1], line + done, used - done);
            if (n == -1)
                _exit(1);
            done += n;
        }
        _exit(0);
    }
    close(ends[1]);
    printf("%s:", cases[i].name);
    char b[4096];
    ssize_t n;
    while ((n = read(ends[0], b, sizeof b)) > 0)
        for (ssize_t k = 0; k < n; k++)
            putchar(b[k] == '\n' ? '|' : b[k]);
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    if (status)
        printf(" ended by %s %d", WIFSIGNALED(status) ? "signal" : "code", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "cases DIR [USER [CASE]]\n    USER: the number of the user who does it all; 0 and none is the one who calls\n");
        return 2;
    }
    int user = argc > 2 ? atoi(argv[2]) : 0;
    if (user && (chown(argv[1], user, user) || setresgid(user, user, user) || setresuid(user, user, user))) {
        perror("cases");
        return 2;
    }
    // Group membership would depend on who calls.
    for (int i = 0; i < count; i++)
        if (argc < 4 || strcmp(argv[3], cases[i].name) == 0)
            if (run(i, argv[1]))
                return 1;
    return 0;
}
