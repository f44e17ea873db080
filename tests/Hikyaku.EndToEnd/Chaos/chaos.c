// Writers of every kind at once, and a judge of what arrived. It knows nothing of what lies between the two.
//
//   cc -O2 -o chaos chaos.c
//   chaos           prints how to use it

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS_MAX 64
#define LINE_MAX (1u << 20)
#define HEAD 37 // "12 00000345 0000120 0123456789abcdef "
#define BLOCK 4096
#define SEVERAL_MAX 40
#define ROTATE_EVERY 700

static const char usage[] =
    "chaos write --dir DIR --first K --writers N --seed S --out FILE\n"
    "    N processes, numbers from K on, each appending numbered lines to DIR/wNUMBER.log in its own way, until SIGTERM:\n"
    "    line     one write(2) for each line\n"
    "    block    blocks of 4 KiB that end anywhere in a line, as stdio does\n"
    "    several  up to 40 lines in one write\n"
    "    big      every 16th line has 1 MiB\n"
    "    brief    a process of its own for a few lines: open, append, close\n"
    "    rotate   the file is renamed and made anew every 700 lines\n"
    "    Lines come in bursts with pauses between. What fails with ENOSPC is tried again 1 ms later. Any other error ends the\n"
    "    writer. FILE says for each writer how many lines and bytes were accepted, and the longest write(2) in ns.\n"
    "\n"
    "chaos check --expect FILE [--expect FILE2 ...] --file OUT [--file OUT2 ...]\n"
    "    Compares what stands in the files with what was accepted. Prints what is wrong, and in the last line the sums.\n"
    "    Exit code 0 when each line is there once, whole and in the order of its writer, 1 otherwise.\n"
    "\n"
    "chaos fill FILE BYTES\n"
    "    Appends lines of 64 bytes to FILE, BYTES in each write(2), until one fails or is accepted in part. SIGUSR1 interrupts.\n"
    "    Prints the bytes accepted and the error.\n"
    "\n"
    "Exit code 2: wrong usage.\n";

enum kind { LINE, BLOCKS, SEVERAL, BIG, BRIEF, ROTATE, KINDS };
static const char *const kinds[] = { "line", "block", "several", "big", "brief", "rotate" };

static void fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("chaos: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(code);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185u;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44du;
    return x ^ (x >> 33);
}

// ---- lines: writer, number, length, checksum of the payload, payload ----

static uint64_t checksum(const char *from, size_t length)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) sum = (sum ^ (uint8_t)from[i]) * 0x100000001b3u;
    return sum;
}

static size_t make_line(char *to, unsigned writer, unsigned number, enum kind kind)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    uint64_t state = mix((uint64_t)writer << 32 | number);
    size_t length = kind == BIG && number % 16 == 15 ? LINE_MAX : HEAD + 2 + state % (kind == BLOCKS ? 900 : 250);
    for (size_t i = HEAD; i < length - 1; i++) {
        if ((i & 7) == 0) state = mix(state + i);
        to[i] = letters[state >> (i & 7) * 6 & 63];
    }
    to[length - 1] = '\n';
    char head[HEAD + 1];
    snprintf(head, sizeof head, "%02u %08u %07zu %016llx ", writer, number, length, (unsigned long long)checksum(to + HEAD, length - HEAD - 1));
    memcpy(to, head, HEAD);
    return length;
}

// ---- write ----

struct writer { uint64_t lines, bytes, refused, longest; int error, failed; };

static struct { _Atomic bool stop; struct writer writers[WRITERS_MAX]; } *shared;
static uint64_t dice;

static void stop(int signal) { (void)signal; atomic_store(&shared->stop, true); }

static unsigned draw(unsigned below) { return (unsigned)((dice = mix(dice + 0x9e3779b97f4a7c15u)) >> 20) % below; }

static void rest(unsigned us)
{
    struct timespec t = { us / 1000000, us % 1000000 * 1000 };
    nanosleep(&t, NULL);
}

// Bursts without a pause, steady work, and now and then nothing at all for a while.
static void breathe(unsigned us)
{
    static unsigned burst;
    if (burst) burst--;
    else if (!draw(400)) burst = draw(400);
    else if (!draw(200)) rest(draw(400000));
    else rest(us + draw(us));
}

static bool put(struct writer *w, int file, const char *from, size_t length)
{
    while (length) {
        uint64_t before = now();
        ssize_t written = write(file, from, length);
        uint64_t took = now() - before;
        if (took > w->longest) w->longest = took;
        if (written >= 0) {
            from += written;
            length -= (size_t)written;
            w->bytes += (size_t)written;
        } else if (errno == ENOSPC) {
            w->refused++;
            rest(1000);
        } else if (errno != EINTR) {
            w->error = errno;
            w->failed++;
            return false;
        }
    }
    return true;
}

static int reopen(struct writer *w, const char *path)
{
    int file;
    while ((file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0 && errno == EINTR) { }
    if (file < 0) {
        w->error = errno;
        w->failed++;
    }
    return file;
}

static void leave(struct writer *w, int file)
{
    if (file >= 0 && close(file)) {
        w->error = errno;
        w->failed++;
    }
}

// Some lines by a process of its own, which ends with them.
static bool put_briefly(struct writer *w, const char *path, const char *from, size_t length, size_t cut)
{
    pid_t child = fork();
    if (child == 0) {
        int file = reopen(w, path);
        bool ok = file >= 0 && put(w, file, from, cut) && put(w, file, from + cut, length - cut);
        leave(w, file);
        _exit(ok && !w->failed ? 0 : 1);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return child > 0 && status == 0;
}

static void run_writer(const char *dir, unsigned k)
{
    struct writer *w = &shared->writers[k];
    enum kind kind = (enum kind)(k % KINDS);
    char *buffer = malloc(LINE_MAX + BLOCK * 4);
    char path[4096], old[4200];
    snprintf(path, sizeof path, "%s/w%02u.log", dir, k);
    int file = kind == BRIEF ? -1 : reopen(w, path);
    unsigned number = 0, renamed = 0;
    size_t held = 0; // of kind block: what the program has said and not yet written
    bool ok = kind == BRIEF || file >= 0;
    while (ok && !atomic_load(&shared->stop)) {
        unsigned lines = kind == SEVERAL ? 1 + draw(SEVERAL_MAX) : kind == BRIEF ? 1 + draw(4) : 1;
        size_t length = held;
        for (unsigned i = 0; i < lines; i++) length += make_line(buffer + length, k, number + i, kind);
        switch (kind) {
        case BLOCKS:
            held = length % BLOCK;
            ok = put(w, file, buffer, length - held);
            memmove(buffer, buffer + length - held, held);
            breathe(2000);
            break;
        case BRIEF:
            ok = put_briefly(w, path, buffer, length, draw(3) ? length : draw((unsigned)length));
            breathe(20000);
            break;
        case ROTATE:
            ok = put(w, file, buffer, length);
            if (ok && number % ROTATE_EVERY == ROTATE_EVERY - 1) {
                snprintf(old, sizeof old, "%s.%04u", path, renamed++);
                if (rename(path, old)) {
                    w->error = errno;
                    w->failed++;
                    ok = false;
                }
            }
            // The program hears of it a little later.
            if (ok && renamed && number % ROTATE_EVERY == 5) {
                leave(w, file);
                ok = (file = reopen(w, path)) >= 0;
            }
            breathe(2000);
            break;
        default:
            ok = put(w, file, buffer, length);
            breathe(kind == BIG ? 40000 : kind == SEVERAL ? 15000 : 1500);
            break;
        }
        if (!ok) break;
        number += lines;
        if (!held) w->lines = number;
    }
    if (ok && held && put(w, file, buffer, held)) w->lines = number;
    leave(w, file);
    _exit(w->failed ? 1 : 0);
}

static int run_write(const char *dir, unsigned first, unsigned writers, uint64_t seed, const char *out)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) fail(1, "mmap: %s", strerror(errno));
    struct sigaction action = { .sa_handler = stop };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (unsigned k = first; k < first + writers; k++) {
        pid_t child = fork();
        if (child < 0) fail(1, "fork: %s", strerror(errno));
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dice = mix(seed * 1000 + k);
            run_writer(dir, k);
        }
    }
    bool bad = false;
    for (unsigned left = writers; left;) {
        int status;
        if (wait(&status) < 0) {
            // Only we are told to stop, but all of them look at the same word.
            if (errno != EINTR) fail(1, "wait: %s", strerror(errno));
            continue;
        }
        bad |= status != 0;
        left--;
    }
    FILE *to = fopen(out, "w");
    if (!to) fail(1, "%s: %s", out, strerror(errno));
    for (unsigned k = first; k < first + writers; k++) {
        const struct writer *w = &shared->writers[k];
        fprintf(to, "writer %u kind %s lines %llu bytes %llu refused %llu longest %llu error %s\n", k, kinds[k % KINDS],
            (unsigned long long)w->lines, (unsigned long long)w->bytes, (unsigned long long)w->refused, (unsigned long long)w->longest,
            w->failed ? strerrorname_np(w->error) : "none");
    }
    if (fclose(to)) fail(1, "%s: %s", out, strerror(errno));
    return bad;
}

// ---- check ----

static struct expected { uint64_t lines, next; uint8_t *seen; bool known; } books[WRITERS_MAX];
static uint64_t all, twice, reordered, damaged, foreign, told;

static void read_expected(const char *path)
{
    FILE *from = fopen(path, "r");
    if (!from) fail(2, "%s: %s", path, strerror(errno));
    unsigned k;
    unsigned long long lines;
    while (fscanf(from, "writer %u kind %*s lines %llu bytes %*u refused %*u longest %*u error %*s\n", &k, &lines) == 2) {
        if (k >= WRITERS_MAX) fail(2, "%s: writer %u", path, k);
        books[k].lines = lines;
        books[k].known = true;
        books[k].seen = calloc(lines / 8 + 1, 1);
    }
    fclose(from);
}

static void tell(const char *what, const char *path, uint64_t at, const char *line, size_t length)
{
    if (told++ < 20) printf("%s in %s at %llu: %.*s\n", what, path, (unsigned long long)at, (int)(length < 80 ? length : 80), line);
}

// Not by sscanf, which looks for the end of the whole buffer first.
static bool parse_number(const char *from, int digits, unsigned *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++) {
        if (from[i] < '0' || from[i] > '9') return false;
        *number = *number * 10 + (unsigned)(from[i] - '0');
    }
    return true;
}

static void check_line(const char *path, uint64_t at, const char *line, size_t length)
{
    static char made[LINE_MAX];
    unsigned k, number;
    all++;
    if (length < HEAD + 2 || !parse_number(line, 2, &k) || !parse_number(line + 3, 8, &number) || k >= WRITERS_MAX || !books[k].known
        || length > sizeof made || make_line(made, k, number, (enum kind)(k % KINDS)) != length || memcmp(made, line, length)) {
        damaged++;
        tell("damaged", path, at, line, length);
        return;
    }
    struct expected *w = &books[k];
    if (number >= w->lines) {
        foreign++;
        tell("never accepted", path, at, line, length);
        return;
    }
    uint8_t bit = (uint8_t)(1 << number % 8);
    if (w->seen[number / 8] & bit) {
        twice++;
        tell("twice", path, at, line, length);
        return;
    }
    w->seen[number / 8] |= bit;
    if (number < w->next) {
        reordered++;
        tell("reordered", path, at, line, length);
    } else {
        w->next = number + 1;
    }
}

static void check_file(const char *path)
{
    enum { SIZE = 4 << 20 };
    static char buffer[SIZE + 1];
    int file = open(path, O_RDONLY);
    if (file < 0) fail(1, "%s: %s", path, strerror(errno));
    size_t filled = 0;
    uint64_t at = 0;
    for (ssize_t got; (got = read(file, buffer + filled, SIZE - filled)) > 0;) {
        filled += (size_t)got;
        size_t from = 0;
        for (char *end; (end = memchr(buffer + from, '\n', filled - from)); from = (size_t)(end - buffer) + 1)
            check_line(path, at + from, buffer + from, (size_t)(end - buffer) + 1 - from);
        if (from == 0 && filled == SIZE) fail(1, "%s: a line of more than %d bytes at %llu", path, SIZE, (unsigned long long)at);
        memmove(buffer, buffer + from, filled -= from);
        at += from;
    }
    if (filled) {
        damaged++;
        tell("no end", path, at, buffer, filled);
    }
    close(file);
}

static int run_check(int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--expect")) read_expected(argv[i + 1]);
    for (int i = 2; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "--file")) check_file(argv[i + 1]);
    uint64_t lost = 0;
    for (unsigned k = 0; k < WRITERS_MAX; k++)
        for (uint64_t n = 0; n < books[k].lines; n++)
            if (!(books[k].seen[n / 8] & 1 << n % 8) && lost++ < 20) printf("lost: %02u %08llu\n", k, (unsigned long long)n);
    printf("{\"lines\":%llu,\"lost\":%llu,\"twice\":%llu,\"reordered\":%llu,\"damaged\":%llu,\"foreign\":%llu}\n",
        (unsigned long long)all, (unsigned long long)lost, (unsigned long long)twice, (unsigned long long)reordered,
        (unsigned long long)damaged, (unsigned long long)foreign);
    return lost || twice || reordered || damaged || foreign;
}

// ---- fill ----

static void interrupt(int signal) { (void)signal; }

static int run_fill(const char *path, size_t bytes)
{
    struct sigaction action = { .sa_handler = interrupt };
    sigaction(SIGUSR1, &action, NULL);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0) fail(1, "%s: %s", path, strerror(errno));
    char *buffer = malloc(bytes);
    uint64_t accepted = 0;
    ssize_t written;
    do
        for (size_t i = 0; i < bytes; i++) buffer[i] = (accepted + i) % 64 == 63 ? '\n' : (char)('a' + (accepted + i) % 26);
    while ((written = write(file, buffer, bytes)) == (ssize_t)bytes && (accepted += bytes));
    if (written > 0) accepted += (uint64_t)written;
    printf("%llu %s\n", (unsigned long long)accepted, written < 0 ? strerrorname_np(errno) : "SHORT");
    return 0;
}

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 2; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], name)) return argv[i + 1];
    fail(2, "%s is missing; 'chaos' alone explains", name);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "write")) {
        unsigned first = (unsigned)atoi(option(argc, argv, "--first")), writers = (unsigned)atoi(option(argc, argv, "--writers"));
        if (first + writers > WRITERS_MAX) fail(2, "at most %d writers", WRITERS_MAX);
        return run_write(option(argc, argv, "--dir"), first, writers, strtoull(option(argc, argv, "--seed"), NULL, 10), option(argc, argv, "--out"));
    }
    if (argc > 2 && !strcmp(argv[1], "check")) return run_check(argc, argv);
    if (argc == 4 && !strcmp(argv[1], "fill") && atoi(argv[3]) > 0) return run_fill(argv[2], (size_t)atoi(argv[3]));
    fputs(usage, stderr);
    return 2;
}
