// The load: writers that log as programs do, and a judge of what arrived. It knows nothing of what lies between the two.
//
//   cc -O2 -pthread -o load load.c
//   load            prints how to use it

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
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS_MAX 64
#define LETTERS_MAX 36 // writers of lines that are too short for two digits
#define NUMBER_MAX 99999999u // eight digits
#define LINE_MIN 10
#define LINE_MAX (1u << 20)
#define BIG_EVERY 256 // in mode big each 256th line has LINE_MAX bytes
#define SEVERAL_MAX 16
#define BLOCK (64u << 10)
#define RING 65521
#define FILES_MAX 4096
#define OPEN_MAX 65536u

static const char usage[] =
    "load write --dir DIR --writers N (--lines L | --seconds S) --bytes B [--files K] [--rate R] [--mode M] [--failures F] [--steps 1] [--out FILE]\n"
    "    N processes (1..64), each appending to DIR/wN.log: L lines each, or for S seconds, or until SIGTERM. A line has exactly\n"
    "    B bytes (10..1048576; with more than 36 writers from 16 on) with its newline and carries writer, number and a pattern\n"
    "    made from both.\n"
    "    --files K     each writer has K files open, DIR/wN-K.log, and takes the next one for each write (default 1; to 65536)\n"
    "    --rate R      lines per second and writer, in steps of 1 ms; 0, the default, is as fast as possible\n"
    "    --mode line   one write(2) per line (default)    half  a line in two or three writes\n"
    "           several  up to 16 lines per write         big   as line, each 256th line has 1 MiB\n"
    "           block  as many whole lines per write as 64 KiB hold\n"
    "    SIGHUP or SIGUSR1: every writer opens its files anew before its next line, as programs do after a rotation.\n"
    "    --failures F  a failed write is counted and tried again 1 ms later; a writer stops at its Fth (default 1)\n"
    "    --steps 1     prints a line when all files are open and waits for a byte on standard input; prints the result when all is\n"
    "                  written, and keeps the files open until standard input ends\n"
    "    Prints one JSON object, also to FILE: what was written, what failed and why, latency of write(2), CPU time from the first line\n"
    "    to the last.\n"
    "    Exit code 0 when no write failed, 1 otherwise.\n"
    "\n"
    "load check --file OUT [--file OUT2 ...] (--expect FILE | --writers N --lines L --bytes B [--files K] [--mode M])\n"
    "    Compares what arrived, plain lines in one or several files, with what was written (FILE is what write printed). The order of\n"
    "    lines is compared within each file they were written to. Lines of 'load latency' are passed over.\n"
    "    With the file - lines come on standard input: FILE may then be made while they come, and N, B, K and M are to be given.\n"
    "    Prints {lines, lost, twice, reordered, damaged, unacknowledged}: the last counts lines whose own write had failed\n"
    "    but that arrived nevertheless, which is no fault. Exit code 0 when the other four are 0, 1 otherwise.\n"
    "\n"
    "load latency --dir DIR --out OUTFILE [--count N] [--pause-ms P] [--look-us U]\n"
    "    Writes a line to DIR/latency.log, looks at OUTFILE each U us (default 0: without pause) until it is there, waits P ms (default\n"
    "    20), N times (default 200). Prints microseconds from before write(2) until visible. Exit code 1 after 60 s without a line.\n"
    "\n"
    "Exit code 2: wrong usage.\n";

enum mode { LINE, HALF, SEVERAL, BIG, BLOCKS };
#define MODES 5
static const char *const modes[MODES] = { "line", "half", "several", "big", "block" };

static void fail(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
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

static void wait_until(uint64_t ns)
{
    struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) { }
}

// ---- lines ----

static char ring[RING + LINE_MAX];

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185u;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44du;
    return x ^ (x >> 33);
}

static uint64_t line_hash(unsigned writer, unsigned number) { return mix(((uint64_t)writer + 1) << 32 | number); }

static void make_ring(void)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
    for (size_t i = 0; i < sizeof ring; i++) ring[i] = letters[mix(i % RING + 7) & 63];
}

static size_t line_length(enum mode mode, size_t bytes, unsigned number)
{
    return mode == BIG && number % BIG_EVERY == BIG_EVERY - 1 ? LINE_MAX : bytes;
}

// The head: "12 00000345 ", or where that is too long "c00000345" (one letter for the writer).
static size_t line_head(char *to, unsigned writer, unsigned number, size_t bytes)
{
    size_t at = 0;
    if (bytes >= 16) {
        if (writer >= 10) to[at++] = (char)('0' + writer / 10);
        to[at++] = (char)('0' + writer % 10);
        to[at++] = ' ';
    } else {
        to[at++] = "0123456789abcdefghijklmnopqrstuvwxyz"[writer];
    }
    for (int i = 7; i >= 0; i--, number /= 10) to[at + (size_t)i] = (char)('0' + number % 10);
    at += 8;
    if (bytes >= 16) to[at++] = ' ';
    return at;
}

static size_t make_line(char *to, unsigned writer, unsigned number, size_t length, size_t bytes)
{
    size_t head = line_head(to, writer, number, bytes);
    memcpy(to + head, ring + line_hash(writer, number) % RING, length - head - 1);
    to[length - 1] = '\n';
    return length;
}

// Which of its files a writer puts a line in: the next one for each write.
static size_t file_of(enum mode mode, size_t bytes, size_t files, unsigned number)
{
    size_t lines = mode == BLOCKS && bytes < BLOCK ? BLOCK / bytes : 1;
    return files == 1 ? 0 : number / lines % files;
}

// ---- options ----

struct options {
    const char *dir, *out, *expect;
    const char *files[FILES_MAX];
    int file_count;
    uint64_t writers, lines, bytes, open_files, rate, seconds, failures, steps, count, pause_ms, look_us;
    enum mode mode;
};

static uint64_t number_of(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value < min || value > max)
        fail(2, "%s %s: expected a number from %llu to %llu", name, text, (unsigned long long)min, (unsigned long long)max);
    return value;
}

static enum mode mode_of(const char *text)
{
    for (int i = 0; i < MODES; i++) if (!strcmp(text, modes[i])) return (enum mode)i;
    fail(2, "--mode %s: expected line, half, several, big or block", text);
    return LINE;
}

static struct options parse(int argc, char **argv)
{
    struct options o = { .open_files = 1, .failures = 1, .count = 200, .pause_ms = 20 };
    for (int i = 2; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value) fail(2, "%s: a value is missing; 'load' alone explains", name);
        else if (!strcmp(name, "--dir")) o.dir = value;
        else if (!strcmp(name, "--out")) o.out = value;
        else if (!strcmp(name, "--expect")) o.expect = value;
        else if (!strcmp(name, "--file") && o.file_count < FILES_MAX) o.files[o.file_count++] = value;
        else if (!strcmp(name, "--writers")) o.writers = number_of(name, value, 1, WRITERS_MAX);
        else if (!strcmp(name, "--lines")) o.lines = number_of(name, value, 1, NUMBER_MAX);
        else if (!strcmp(name, "--bytes")) o.bytes = number_of(name, value, LINE_MIN, LINE_MAX);
        else if (!strcmp(name, "--files")) o.open_files = number_of(name, value, 1, OPEN_MAX);
        else if (!strcmp(name, "--rate")) o.rate = number_of(name, value, 0, 100000000);
        else if (!strcmp(name, "--seconds")) o.seconds = number_of(name, value, 1, 1000000);
        else if (!strcmp(name, "--failures")) o.failures = number_of(name, value, 1, UINT32_MAX);
        else if (!strcmp(name, "--steps")) o.steps = number_of(name, value, 0, 1);
        else if (!strcmp(name, "--count")) o.count = number_of(name, value, 1, 1000000);
        else if (!strcmp(name, "--pause-ms")) o.pause_ms = number_of(name, value, 0, 100000);
        else if (!strcmp(name, "--look-us")) o.look_us = number_of(name, value, 0, 1000000);
        else if (!strcmp(name, "--mode")) o.mode = mode_of(value);
        else fail(2, "%s: no such option; 'load' alone explains", name);
    }
    if (o.bytes && o.bytes < 16 && o.writers > LETTERS_MAX) fail(2, "--writers: lines of less than 16 bytes have room for %d", LETTERS_MAX);
    if (o.mode == SEVERAL && o.open_files > 1) fail(2, "--mode several: with one file per writer only");
    return o;
}

// ---- latencies: 64 steps for each power of two, so a bucket is at most 1.6 % wide ----

#define STEPS 64
#define BUCKETS (STEPS * 59)

static unsigned bucket_of(uint64_t ns)
{
    if (ns < STEPS) return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    return (power - 5) * STEPS + (unsigned)(ns >> (power - 6)) - STEPS;
}

static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < STEPS) return bucket;
    unsigned power = bucket / STEPS + 5;
    return ((uint64_t)(bucket % STEPS + STEPS + 1) << (power - 6)) - 1;
}

// ---- write ----

struct errors { int number; uint64_t times; };

// Shared between a writer and the parent.
struct writer {
    uint64_t lines, bytes, writes, failed, short_writes, reopened, longest, started, ended, cpu;
    struct errors errors[8];
    uint32_t histogram[BUCKETS];
};

static struct { _Atomic bool go, stop; _Atomic unsigned ready, done, rotations; struct writer writers[WRITERS_MAX]; } *shared;

static void stop(int signal) { (void)signal; atomic_store(&shared->stop, true); }

static void rotated(int signal) { (void)signal; atomic_fetch_add(&shared->rotations, 1); }

static void count_error(struct writer *w, int number, uint64_t times)
{
    w->failed += times;
    for (int i = 0; i < 8; i++)
        if (w->errors[i].number == number || !w->errors[i].number) {
            w->errors[i].number = number;
            w->errors[i].times += times;
            return;
        }
}

// Writes all of it, measuring each write(2). False when the writer is to stop.
static bool put(struct writer *w, int file, const char *from, size_t length, uint64_t failures)
{
    while (length) {
        uint64_t before = now();
        ssize_t written = write(file, from, length);
        uint64_t took = now() - before;
        int error = errno;
        w->writes++;
        w->histogram[bucket_of(took)]++;
        if (took > w->longest) w->longest = took;
        if (written >= 0) {
            if ((size_t)written < length) w->short_writes++;
            from += written;
            length -= (size_t)written;
            w->bytes += (size_t)written;
            continue;
        }
        count_error(w, error, 1);
        if (w->failed >= failures || atomic_load(&shared->stop)) return false;
        wait_until(now() + 1000000);
    }
    return true;
}

static int open_file(struct writer *w, const struct options *o, unsigned k, size_t number)
{
    char path[4096];
    if (o->open_files == 1) snprintf(path, sizeof path, "%s/w%u.log", o->dir, k);
    else snprintf(path, sizeof path, "%s/w%u-%zu.log", o->dir, k, number);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (file < 0) {
        fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
        count_error(w, errno, 1);
    }
    return file;
}

static void close_file(struct writer *w, int file)
{
    // A close may fail as well, and the program that asked for it would want to know.
    if (file >= 0 && close(file)) count_error(w, errno, 1);
}

// Microseconds of this process.
static uint64_t cpu(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000u + (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static unsigned lines_of_a_write(const struct options *o, uint64_t hash)
{
    if (o->mode == SEVERAL) return 1 + (unsigned)(hash >> 20) % SEVERAL_MAX;
    return o->mode == BLOCKS && o->bytes < BLOCK ? (unsigned)(BLOCK / o->bytes) : 1;
}

// Files are closed when nobody has the other end of "leave" any more.
static void run_writer(unsigned k, const struct options *o, int leave)
{
    struct writer *w = &shared->writers[k];
    char *buffer = malloc(LINE_MAX + BLOCK + SEVERAL_MAX * o->bytes);
    int *files = calloc(o->open_files, sizeof *files);
    bool ok = buffer && files;
    unsigned rotations = atomic_load(&shared->rotations);
    for (size_t i = 0; ok && i < o->open_files; i++) ok = (files[i] = open_file(w, o, k, i)) >= 0;
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go)) usleep(200);
    w->started = now();
    w->cpu = cpu();
    uint64_t limit = o->lines ? o->lines : NUMBER_MAX, end = o->seconds ? w->started + o->seconds * 1000000000u : UINT64_MAX;
    uint64_t slept = 0;
    unsigned number = 0;
    while (ok && number < limit && !atomic_load(&shared->stop) && now() < end) {
        if (rotations != atomic_load(&shared->rotations)) {
            rotations = atomic_load(&shared->rotations);
            for (size_t i = 0; ok && i < o->open_files; i++) {
                // First the new file, then away with the old one: the order of nginx and Apache.
                int old = files[i];
                ok = (files[i] = open_file(w, o, k, i)) >= 0;
                close_file(w, old);
            }
            w->reopened++;
            if (!ok) break;
        }
        if (o->rate) {
            // In steps of a millisecond: a sleep for each line would cost more than the line.
            uint64_t due = (uint64_t)number * 1000000000u / o->rate;
            if (due / 1000000 != slept) wait_until(w->started + (slept = due / 1000000) * 1000000u);
        }
        int file = files[file_of(o->mode, o->bytes, o->open_files, number)];
        uint64_t hash = line_hash(k, number);
        unsigned lines = lines_of_a_write(o, hash);
        if (lines > limit - number) lines = (unsigned)(limit - number);
        size_t length = 0, at = 0;
        for (unsigned i = 0; i < lines; i++)
            length += make_line(buffer + length, k, number + i, line_length(o->mode, o->bytes, number + i), o->bytes);
        if (o->mode == HALF) {
            at = 1 + (hash >> 20) % (length - 2);
            ok = put(w, file, buffer, at, o->failures);
            if (ok && (hash >> 50) & 1 && length - at > 1) {
                size_t more = 1 + (hash >> 8) % (length - at - 1);
                ok = put(w, file, buffer + at, more, o->failures);
                at += more;
            }
        }
        uint64_t before = w->bytes;
        ok = ok && put(w, file, buffer + at, length - at, o->failures);
        if (ok) number += lines;
        else if (o->mode == SEVERAL || o->mode == BLOCKS) number += (unsigned)((w->bytes - before) / o->bytes);
        w->lines = number;
    }
    w->ended = now();
    w->cpu = cpu() - w->cpu;
    atomic_fetch_add(&shared->done, 1);
    while (read(leave, buffer, 1) < 0 && errno == EINTR) { }
    for (size_t i = 0; files && i < o->open_files; i++) if (files[i] > 0) close_file(w, files[i]);
    _exit(0);
}

static uint64_t quantile(const uint64_t *histogram, uint64_t total, double part)
{
    uint64_t rank = (uint64_t)((double)total * part), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        if ((seen += histogram[i]) > rank) return bucket_top(i);
    return 0;
}

static void print_writer(FILE *to, const struct writer *w, uint64_t wall)
{
    static uint64_t histogram[BUCKETS];
    uint64_t measured = 0;
    for (unsigned i = 0; i < BUCKETS; i++) measured += histogram[i] = w->histogram[i];
    double seconds = (double)wall / 1e9;
    fprintf(to, "\"lines\":%llu,\"failed\":%llu,\"bytes\":%llu,\"writes\":%llu,\"short\":%llu,\"reopened\":%llu,\"seconds\":%.6f,"
        "\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu,\"longest_ns\":%llu,\"lines_per_s\":%.0f,\"errors\":{",
        (unsigned long long)w->lines, (unsigned long long)w->failed, (unsigned long long)w->bytes, (unsigned long long)w->writes,
        (unsigned long long)w->short_writes, (unsigned long long)w->reopened, seconds,
        (unsigned long long)quantile(histogram, measured, 0.5), (unsigned long long)quantile(histogram, measured, 0.99),
        (unsigned long long)quantile(histogram, measured, 0.999), (unsigned long long)w->longest,
        seconds > 0 ? (double)w->lines / seconds : 0.0);
    for (int i = 0; i < 8 && w->errors[i].number; i++) {
        const char *name = strerrorname_np(w->errors[i].number);
        fprintf(to, "%s\"%s\":%llu", i ? "," : "", name ? name : "?", (unsigned long long)w->errors[i].times);
    }
    fputc('}', to);
}

static void print_result(FILE *to, const struct options *o, const struct writer *total, uint64_t wall)
{
    fprintf(to, "{\"mode\":\"%s\",\"line_bytes\":%llu,\"files\":%llu,\"started_ns\":%llu,\"cpu_us\":%llu,\"writers\":[", modes[o->mode],
        (unsigned long long)o->bytes, (unsigned long long)o->open_files, (unsigned long long)total->started, (unsigned long long)total->cpu);
    for (unsigned k = 0; k < o->writers; k++) {
        const struct writer *w = &shared->writers[k];
        fprintf(to, "%s{", k ? "," : "");
        print_writer(to, w, w->ended - w->started);
        fputc('}', to);
    }
    fputs("],\"total\":{", to);
    print_writer(to, total, wall);
    fputs("}}\n", to);
}

// Until all of them have come to a point, one has died, or it is over before it began.
static void await_writers(const struct options *o, const _Atomic unsigned *point)
{
    while (atomic_load(point) < o->writers && (point != &shared->ready || !atomic_load(&shared->stop))) {
        usleep(1000);
        siginfo_t ended = { 0 };
        if (!waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) && ended.si_pid && atomic_load(point) < o->writers) fail(1, "a writer died");
    }
}

// Only now are errors of closing known.
static void await_exits(const struct options *o, int leave)
{
    close(leave);
    for (unsigned k = 0; k < o->writers; k++) {
        int status;
        while (wait(&status) < 0 && errno == EINTR) { }
        if (!WIFEXITED(status) || WEXITSTATUS(status)) fail(1, "a writer died");
    }
}

static uint64_t report(const struct options *o)
{
    static struct writer total;
    memset(&total, 0, sizeof total);
    total.started = UINT64_MAX;
    for (unsigned k = 0; k < o->writers; k++) {
        const struct writer *w = &shared->writers[k];
        total.lines += w->lines;
        total.bytes += w->bytes;
        total.writes += w->writes;
        total.short_writes += w->short_writes;
        total.reopened += w->reopened;
        total.cpu += w->cpu;
        if (w->longest > total.longest) total.longest = w->longest;
        if (w->started < total.started) total.started = w->started;
        if (w->ended > total.ended) total.ended = w->ended;
        for (unsigned i = 0; i < BUCKETS; i++) total.histogram[i] += w->histogram[i];
        for (int i = 0; i < 8 && w->errors[i].number; i++)
            count_error(&total, w->errors[i].number, w->errors[i].times);
    }
    if (o->out) {
        FILE *to = fopen(o->out, "w");
        if (!to) fail(1, "%s: %s", o->out, strerror(errno));
        print_result(to, o, &total, total.ended - total.started);
        if (fclose(to)) fail(1, "%s: %s", o->out, strerror(errno));
    }
    print_result(stdout, o, &total, total.ended - total.started);
    fflush(stdout);
    return total.failed;
}

static int run_write(const struct options *o)
{
    if (!o->dir || !o->writers || !o->bytes || (!o->lines && !o->seconds))
        fail(2, "write needs --dir, --writers, --bytes, and --lines or --seconds");
    struct rlimit room;
    if (!getrlimit(RLIMIT_NOFILE, &room)) {
        room.rlim_cur = room.rlim_max;
        setrlimit(RLIMIT_NOFILE, &room);
    }
    int leave[2];
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || pipe(leave)) fail(1, "%s", strerror(errno));
    struct sigaction action = { .sa_handler = stop, .sa_flags = SA_RESTART };
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = rotated;
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (unsigned k = 0; k < o->writers; k++) {
        pid_t child = fork();
        if (child < 0) fail(1, "fork: %s", strerror(errno));
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(leave[1]);
            run_writer(k, o, leave[0]);
        }
    }
    await_writers(o, &shared->ready);
    usleep(20000);
    if (o->steps) {
        puts("open");
        fflush(stdout);
        (void)getchar();
    }
    atomic_store(&shared->go, true);
    await_writers(o, &shared->done);
    if (!o->steps) {
        await_exits(o, leave[1]);
        return report(o) ? 1 : 0;
    }
    uint64_t failed = report(o);
    while (getchar() != EOF) { }
    await_exits(o, leave[1]);
    return failed ? 1 : 0;
}

// ---- check ----

struct expected { uint64_t lines, failed, *last; uint8_t *seen; };

static struct {
    struct expected writers[WRITERS_MAX];
    unsigned writer_count;
    enum mode mode;
    size_t bytes, files;
    uint64_t lines, twice, reordered, damaged, unacknowledged;
} books;

static const char *after(const char *text, const char *key)
{
    const char *found = text ? strstr(text, key) : NULL;
    return found ? found + strlen(key) : NULL;
}

static void read_expected(const char *path)
{
    static char text[1 << 18];
    int file = open(path, O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length < 0) fail(2, "%s: %s", path, strerror(errno));
    close(file);
    const char *mode = after(text, "\"mode\":\""), *bytes = after(text, "\"line_bytes\":"), *files = after(text, "\"files\":"), *at = after(text, "\"writers\":[");
    const char *end = strstr(text, "\"total\":");
    if (!mode || !bytes || !files || !at || !end) fail(2, "%s: this is not what 'load write' prints", path);
    char name[16] = "";
    sscanf(mode, "%15[a-z]", name);
    books.mode = mode_of(name);
    books.bytes = strtoull(bytes, NULL, 10);
    books.files = strtoull(files, NULL, 10);
    books.writer_count = 0;
    while ((at = after(at, "{\"lines\":")) && at < end && books.writer_count < WRITERS_MAX) {
        struct expected *w = &books.writers[books.writer_count++];
        w->lines = strtoull(at, NULL, 10);
        const char *failed = after(at, "\"failed\":");
        w->failed = failed ? strtoull(failed, NULL, 10) : 0;
    }
}

static bool parse_head(const char *line, size_t length, unsigned *writer, unsigned *number)
{
    size_t at = 0;
    unsigned w = 0, n = 0;
    if (books.bytes >= 16) {
        while (at < length && at < 2 && line[at] >= '0' && line[at] <= '9') w = w * 10 + (unsigned)(line[at++] - '0');
        if (!at || at >= length || line[at++] != ' ') return false;
    } else if (length) {
        char c = line[at++];
        w = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 10 : WRITERS_MAX;
    }
    for (size_t digits = at + 8; at < digits; at++) {
        if (at >= length || line[at] < '0' || line[at] > '9') return false;
        n = n * 10 + (unsigned)(line[at] - '0');
    }
    *writer = w;
    *number = n;
    return w < books.writer_count;
}

// With a failed write the writer knows nothing about the lines of that write; whatever else is beyond the end was never written.
static void beyond_the_end(const struct expected *w, uint64_t number)
{
    unsigned of_one_write = books.mode == BLOCKS ? BLOCK / LINE_MIN : SEVERAL_MAX;
    if (w->failed && number < w->lines + of_one_write) books.unacknowledged++;
    else books.damaged++;
}

static void check_line(const char *line, size_t length)
{
    unsigned writer, number;
    if (length > 8 && !memcmp(line, "latency ", 8)) return;
    books.lines++;
    if (!parse_head(line, length, &writer, &number) || length != line_length(books.mode, books.bytes, number)) {
        books.damaged++;
        return;
    }
    char head[16];
    size_t skip = line_head(head, writer, number, books.bytes);
    struct expected *w = &books.writers[writer];
    if (memcmp(head, line, skip) || memcmp(line + skip, ring + line_hash(writer, number) % RING, length - skip - 1)) {
        books.damaged++;
        return;
    }
    if (number >= w->lines) {
        beyond_the_end(w, number);
        return;
    }
    if (w->seen[number / 8] & 1 << number % 8) {
        books.twice++;
        return;
    }
    w->seen[number / 8] |= (uint8_t)(1 << number % 8);
    uint64_t *last = &w->last[file_of(books.mode, books.bytes, books.files, number)];
    if (number + 1 < *last) books.reordered++;
    else *last = number + 1;
}

static void check_file(const char *path)
{
    enum { SIZE = 4 << 20 };
    static char buffer[SIZE];
    int file = strcmp(path, "-") ? open(path, O_RDONLY) : STDIN_FILENO;
    if (file < 0) fail(1, "%s: %s", path, strerror(errno));
    size_t filled = 0;
    for (;;) {
        ssize_t got = read(file, buffer + filled, SIZE - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(1, "%s: %s", path, strerror(errno));
        if (got == 0) break;
        filled += (size_t)got;
        size_t from = 0;
        for (char *end; (end = memchr(buffer + from, '\n', filled - from)); from = (size_t)(end - buffer) + 1)
            check_line(buffer + from, (size_t)(end - buffer) + 1 - from);
        if (from == 0 && filled == SIZE) { // no line is that long
            books.damaged++;
            from = SIZE;
        }
        memmove(buffer, buffer + from, filled -= from);
    }
    if (filled) books.damaged++; // a line without its end
    close(file);
}

static int run_check(const struct options *o)
{
    bool streaming = o->file_count == 1 && !strcmp(o->files[0], "-");
    if (!o->file_count || ((streaming || !o->expect) && (!o->writers || !o->bytes || (!o->lines && !o->expect))))
        fail(2, "check needs --file, and --expect or all of --writers, --lines, --bytes");
    if (o->expect && !streaming) {
        read_expected(o->expect);
    } else {
        books.mode = o->mode;
        books.bytes = o->bytes;
        books.files = o->open_files;
        books.writer_count = (unsigned)o->writers;
        for (unsigned k = 0; k < books.writer_count; k++) books.writers[k].lines = o->lines ? o->lines : NUMBER_MAX + 1;
    }
    uint64_t lost = 0, room[WRITERS_MAX];
    for (unsigned k = 0; k < books.writer_count; k++) {
        struct expected *w = &books.writers[k];
        room[k] = w->lines;
        w->seen = calloc(w->lines / 8 + 1, 1);
        w->last = calloc(books.files, sizeof *w->last);
        if (!w->seen || !w->last) fail(1, "no memory");
    }
    for (int i = 0; i < o->file_count; i++) check_file(o->files[i]);
    if (streaming && o->expect) read_expected(o->expect);
    for (unsigned k = 0; k < books.writer_count; k++) {
        const struct expected *w = &books.writers[k];
        for (uint64_t n = 0; n < w->lines; n++) lost += n >= room[k] || !(w->seen[n / 8] & 1 << n % 8);
        for (uint64_t n = w->lines; n < room[k]; n++) if (w->seen[n / 8] & 1 << n % 8) beyond_the_end(w, n);
    }
    printf("{\"lines\":%llu,\"lost\":%llu,\"twice\":%llu,\"reordered\":%llu,\"damaged\":%llu,\"unacknowledged\":%llu}\n",
        (unsigned long long)books.lines, (unsigned long long)lost, (unsigned long long)books.twice,
        (unsigned long long)books.reordered, (unsigned long long)books.damaged, (unsigned long long)books.unacknowledged);
    return lost || books.twice || books.reordered || books.damaged;
}

// ---- latency ----

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run_latency(const struct options *o)
{
    if (!o->dir || !o->out) fail(2, "latency needs --dir and --out");
    char path[4096], line[64], seen[65536];
    snprintf(path, sizeof path, "%s/latency.log", o->dir);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (file < 0) fail(1, "%s: %s", path, strerror(errno));
    double *taken = calloc(o->count, sizeof *taken), first = 0;
    uint64_t bytes = 0;
    prctl(PR_SET_TIMERSLACK, 1); // a look is to come when it is due
    if (!taken) fail(1, "no memory");
    struct stat status;
    off_t offset = stat(o->out, &status) ? 0 : status.st_size;
    int out = -1;
    // The first line finds cold code and perhaps a file that has yet to be made: it is reported apart.
    for (uint64_t n = 0; n <= o->count; n++) {
        int length = snprintf(line, sizeof line, "latency %d %08llu\n", getpid(), (unsigned long long)n);
        uint64_t before = now(), after = before;
        if (write(file, line, (size_t)length) != length) fail(1, "%s: %s", path, strerror(errno));
        bytes += (uint64_t)length;
        for (;;) {
            if (out < 0) out = open(o->out, O_RDONLY);
            ssize_t got = out < 0 ? 0 : pread(out, seen, sizeof seen - 1, offset);
            after = now();
            if (got < 0) fail(1, "%s: %s", o->out, strerror(errno));
            char *found = got ? memmem(seen, (size_t)got, line, (size_t)length) : NULL;
            if (found) {
                offset += found - seen + length;
                break;
            }
            // Other lines before ours: keep only what may be the start of ours.
            if (got >= length) offset += got - length + 1;
            if (o->look_us && (size_t)got < sizeof seen - 1) wait_until(now() + o->look_us * 1000u);
            if (after - before > 60000000000u) fail(1, "line %llu is not in %s after 60 s", (unsigned long long)n, o->out);
        }
        double us = (double)(after - before) / 1e3;
        if (n) taken[n - 1] = us;
        else first = us;
        wait_until(now() + o->pause_ms * 1000000u);
    }
    qsort(taken, o->count, sizeof *taken, compare);
    printf("{\"count\":%llu,\"bytes\":%llu,\"median_us\":%.1f,\"p99_us\":%.1f,\"min_us\":%.1f,\"max_us\":%.1f,\"first_us\":%.1f}\n",
        (unsigned long long)o->count, (unsigned long long)bytes, taken[o->count / 2], taken[o->count * 99 / 100], taken[0], taken[o->count - 1], first);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    struct options o = parse(argc, argv);
    make_ring();
    if (!strcmp(argv[1], "write")) return run_write(&o);
    if (!strcmp(argv[1], "check")) return run_check(&o);
    if (!strcmp(argv[1], "latency")) return run_latency(&o);
    fail(2, "%s: no such command; 'load' alone explains", argv[1]);
}
