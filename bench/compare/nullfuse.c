// The floor: a FUSE daemon that takes every write, keeps nothing and only replies.
// Flat files, direct_io, one thread, one descriptor, no library. What a mount costs beyond this is the mount's own doing.
//
//   cc -O2 -o nullfuse nullfuse.c
//   nullfuse DIR        in the foreground, as root, until SIGTERM or SIGINT; then unmounts

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PAGES 256
#define MAX_WRITE ((MAX_PAGES - 1) * 4096)
#define FILES 4096
#define DIRECT_IO_ALLOW_MMAP (1u << (36 - 32)) // newer than some headers

static struct { char name[256]; uint64_t size; } files[FILES]; // index + 2 = node id
static int fileCount;
static int fd;
static volatile sig_atomic_t stopped;

static struct {
    struct fuse_out_header head;
    char payload[65536];
} reply __attribute__((aligned(4096)));

static void stop(int sig) { (void)sig; stopped = 1; }

static void fail(const char *what) { perror(what); exit(1); }

static void send_reply(uint64_t unique, int error, size_t payload)
{
    reply.head.len = sizeof reply.head + payload;
    reply.head.error = error;
    reply.head.unique = unique;
    if (write(fd, &reply, reply.head.len) < 0 && errno != ENOENT)
        perror("reply");
}

static void fill_attr(struct fuse_attr *a, uint64_t node)
{
    memset(a, 0, sizeof *a);
    a->ino = node;
    a->nlink = 1;
    a->blksize = 4096;
    a->mode = node == FUSE_ROOT_ID ? S_IFDIR | 0777 : S_IFREG | 0666;
    if (node >= 2 && node < (uint64_t)fileCount + 2)
        a->size = files[node - 2].size;
}

static size_t fill_entry(uint64_t node)
{
    struct fuse_entry_out *e = (void *)reply.payload;
    memset(e, 0, sizeof *e);
    e->nodeid = node;
    e->entry_valid = e->attr_valid = 1;
    fill_attr(&e->attr, node);
    return sizeof *e;
}

static size_t fill_open(size_t at, uint32_t flags)
{
    struct fuse_open_out *o = (void *)(reply.payload + at);
    memset(o, 0, sizeof *o);
    o->open_flags = flags;
    return at + sizeof *o;
}

static uint64_t find(const char *name)
{
    for (int i = 0; i < fileCount; i++)
        if (!strcmp(files[i].name, name))
            return i + 2;
    return 0;
}

static uint64_t create(const char *name)
{
    uint64_t node = find(name);
    if (node || fileCount == FILES || strlen(name) >= sizeof files[0].name)
        return node;
    strcpy(files[fileCount].name, name);
    return fileCount++ + 2;
}

static size_t init(const struct fuse_init_in *in)
{
    struct fuse_init_out *out = (void *)reply.payload;
    memset(out, 0, sizeof *out);
    out->major = FUSE_KERNEL_VERSION;
    out->minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION;
    out->max_readahead = 128 * 1024;
    out->flags = in->flags & (FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC | FUSE_PARALLEL_DIROPS | FUSE_ASYNC_DIO
        | FUSE_ABORT_ERROR | FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT);
    out->flags2 = in->flags & FUSE_INIT_EXT ? in->flags2 & DIRECT_IO_ALLOW_MMAP : 0;
    out->max_background = 64;
    out->congestion_threshold = 48;
    out->max_write = MAX_WRITE;
    out->time_gran = 1;
    out->max_pages = MAX_PAGES;
    return sizeof *out;
}

static void serve(struct fuse_in_header *in)
{
    void *arg = in + 1;
    uint64_t node;
    switch (in->opcode) {
    case FUSE_INIT: send_reply(in->unique, 0, init(arg)); return;
    case FUSE_FORGET: case FUSE_BATCH_FORGET: case FUSE_INTERRUPT: return;
    case FUSE_LOOKUP:
        node = find(arg);
        send_reply(in->unique, node ? 0 : -ENOENT, node ? fill_entry(node) : 0);
        return;
    case FUSE_CREATE:
        node = create((char *)arg + sizeof(struct fuse_create_in));
        send_reply(in->unique, node ? 0 : -ENOSPC, node ? fill_open(fill_entry(node), FOPEN_DIRECT_IO) : 0);
        return;
    case FUSE_SETATTR:
        if (((struct fuse_setattr_in *)arg)->valid & FATTR_SIZE && in->nodeid >= 2)
            files[in->nodeid - 2].size = ((struct fuse_setattr_in *)arg)->size;
        // fall through
    case FUSE_GETATTR: {
        struct fuse_attr_out *a = (void *)reply.payload;
        memset(a, 0, sizeof *a);
        a->attr_valid = 1;
        fill_attr(&a->attr, in->nodeid);
        send_reply(in->unique, 0, sizeof *a);
        return;
    }
    case FUSE_OPEN:
        if (((struct fuse_open_in *)arg)->flags & O_TRUNC && in->nodeid >= 2)
            files[in->nodeid - 2].size = 0;
        send_reply(in->unique, 0, fill_open(0, FOPEN_DIRECT_IO));
        return;
    case FUSE_OPENDIR: send_reply(in->unique, 0, fill_open(0, 0)); return;
    case FUSE_UNLINK:
        if ((node = find(arg)))
            files[node - 2].name[0] = 0;
        send_reply(in->unique, node ? 0 : -ENOENT, 0);
        return;
    case FUSE_STATFS:
        memset(reply.payload, 0, sizeof(struct fuse_statfs_out));
        send_reply(in->unique, 0, sizeof(struct fuse_statfs_out));
        return;
    case FUSE_READ: case FUSE_READDIR: case FUSE_RELEASE: case FUSE_RELEASEDIR:
    case FUSE_FLUSH: case FUSE_FSYNC: case FUSE_DESTROY:
        send_reply(in->unique, 0, 0);
        return;
    default: send_reply(in->unique, -ENOSYS, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return fprintf(stderr, "usage: nullfuse DIR\n"), 2;
    const char *dir = argv[1];
    if ((fd = open("/dev/fuse", O_RDWR | O_CLOEXEC)) < 0)
        fail("/dev/fuse");
    size_t room = MAX_WRITE + 4096;
    char *buffer = mmap(0, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (buffer == MAP_FAILED)
        fail("mmap");
    (void)!mlock(buffer, room);

    struct sigaction action = { .sa_handler = stop }; // no SA_RESTART: read(2) is to return
    sigaction(SIGTERM, &action, 0);
    sigaction(SIGINT, &action, 0);

    char options[128];
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", fd);
    if (mount("nullfuse", dir, "fuse.nullfuse", MS_NOSUID | MS_NODEV, options) < 0)
        fail(dir);

    while (!stopped) {
        if (read(fd, buffer, room) < 0) {
            if (errno == EINTR || errno == ENOENT || errno == EAGAIN)
                continue;
            break; // ENODEV: unmounted
        }
        struct fuse_in_header *in = (void *)buffer;
        if (in->opcode == FUSE_WRITE) {
            struct fuse_write_in *arg = (void *)(in + 1);
            uint64_t end = arg->offset + arg->size;
            if (end > files[in->nodeid - 2].size)
                files[in->nodeid - 2].size = end;
            *(struct fuse_write_out *)reply.payload = (struct fuse_write_out){ .size = arg->size };
            send_reply(in->unique, 0, sizeof(struct fuse_write_out));
        } else {
            serve(in);
        }
    }
    if (umount2(dir, MNT_DETACH) < 0 && errno != EINVAL)
        fail("unmount");
    return 0;
}
