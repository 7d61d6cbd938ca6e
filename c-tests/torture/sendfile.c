/*
 * conn_try_sendfile with the system calls under it made to fail: another way is found, or the call says what is wrong; what
 * arrives is the file, byte for byte.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

enum call { NONE, SENDFILE, SPLICE, PREAD, READ };

/* The nth call of a kind fails, or is cut to a few bytes (error 0). */
static struct {
    enum call call;
    int error, nth, seen;
    int pipe; /* of reads: those of the peers' threads are none of ours */
} misfortune;

static bool fails(enum call call) {
    if (call != misfortune.call || ++misfortune.seen != misfortune.nth) return false;
    errno = misfortune.error;
    return true;
}

enum { FEW = 3 };

ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
    if (fails(SENDFILE)) {
        if (misfortune.error) return -1;
        count = count < FEW ? count : FEW;
    }
    return syscall(SYS_sendfile, out, in, offset, count);
}
ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t count, unsigned flags) {
    if (fails(SPLICE)) {
        if (misfortune.error) return -1;
        count = count < FEW ? count : FEW;
    }
    return syscall(SYS_splice, in, in_offset, out, out_offset, count, flags);
}
ssize_t pread(int fd, void *buf, size_t count, off_t offset) {
    if (fails(PREAD)) {
        if (misfortune.error) return -1;
        count = count < FEW ? count : FEW;
    }
    return syscall(SYS_pread64, fd, buf, count, offset);
}
ssize_t read(int fd, void *buf, size_t count) {
    if (fd == misfortune.pipe && fails(READ)) {
        if (misfortune.error) return -1;
        count = count < FEW ? count : FEW;
    }
    return syscall(SYS_read, fd, buf, count);
}

enum { SIZE = 200003 };

static void note_event(struct net_conn *c, void *flag) {
    (void)c;
    *(bool *)flag = true;
}

/* Sends the file, whatever stands in the way; how often the call failed with `error`, and the connection was READY still. */
static int send_all(struct client *client, int fd, off_t *offset, int error) {
    int failed = 0;
    for (size_t sent = 0; sent < SIZE;) {
        ssize_t n = conn_try_sendfile(client->c, fd, offset, SIZE);
        if (n > 0) {
            sent += (size_t)n;
            continue;
        }
        if (n == 0) FAIL("the end after %zu bytes", sent);
        if (errno == EAGAIN) {
            bool writable = false;
            conn_set_writable_callback(client->c, note_event, &writable);
            RUN_UNTIL(client->loop, writable);
            conn_set_writable_callback(client->c, NULL, NULL);
            continue;
        }
        CHECK_INT(errno, error);
        CHECK_INT(conn_get_state(client->c), CONN_READY);
        failed++;
    }
    return failed;
}

static const int errors[] = {0, EINTR, EAGAIN, EINVAL, ENOSYS, ENOMEM, EIO, EOVERFLOW, ENOBUFS, EPERM};

static bool shows(enum call call, int error) {
    return (call == PREAD || call == READ) && error != 0 && error != EINTR && error != EAGAIN;
}

static void misfortunes(int version, enum call call, bool by_position, bool from_pipe) {
    char path[300];
    snprintf(path, sizeof path, "%s/pattern", temp_dir());
    unsigned char *bytes = alloc(SIZE);
    fill_pattern(bytes, SIZE, 0);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK_INT(write(fd, bytes, SIZE), SIZE);
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        for (int nth = 1; nth <= 3; nth++) {
            struct peer *peer = peer_of(version, serve_check, NULL);
            struct client *client = ready_client(test_loop(), version, peer);
            CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
            int ends[2] = {-1, -1}, from = fd;
            if (from_pipe) {
                CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
                if (fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) < SIZE) SKIP("this user may not have a pipe of %d bytes", SIZE);
                CHECK_INT(write(ends[1], bytes, SIZE), SIZE);
                from = ends[0];
            }
            off_t offset = 0;
            misfortune.pipe = ends[0], misfortune.nth = nth, misfortune.seen = 0, misfortune.error = errors[i], misfortune.call = call;
            int shown = send_all(client, from, by_position ? NULL : &offset, from_pipe && !version ? EINVAL : errors[i]);
            misfortune.call = NONE;
            if (!from_pipe) {
                CHECK_INT(by_position ? lseek(fd, 0, SEEK_CUR) : offset, SIZE);
                CHECK_INT(shown <= shows(call, errors[i]), true);
            }
            char byte;
            CHECK_INT(conn_shutdown(client->c), 0);
            CHECK_INT(client_read_some(client, &byte, 1), 0);
            client_close(client);
            peer_join(peer);
            CHECK_INT(peer_bytes(peer), SIZE);
            if (from_pipe) close(ends[0]), close(ends[1]);
        }
    }
    close(fd);
}

TEST(sendfile_fails_at_an_offset) { misfortunes(0, SENDFILE, false, false); }
TEST(sendfile_fails_at_the_position) { misfortunes(0, SENDFILE, true, false); }
TEST(splice_fails) { misfortunes(0, SPLICE, true, true); }
BOTH_VERSIONS(pread_fails_at_an_offset) { misfortunes(version, PREAD, false, false); }
BOTH_VERSIONS(pread_fails_at_the_position) { misfortunes(version, PREAD, true, false); }
BOTH_VERSIONS(read_fails_from_a_pipe) { misfortunes(version, READ, true, true); }

/* What is the socket's ends the connection. */
TEST(sendfile_meets_the_socket_s_failure) {
    static const int fatal[] = {EPIPE, ECONNRESET, ETIMEDOUT, EHOSTUNREACH};
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        struct client *client = ready_client(test_loop(), 0, PEER(.serve = serve_sink));
        off_t offset = 0;
        misfortune.nth = 1, misfortune.seen = 0, misfortune.error = fatal[i], misfortune.call = SENDFILE;
        CHECK_ERRNO(conn_try_sendfile(client->c, fd, &offset, 100), fatal[i]);
        misfortune.call = NONE;
        CHECK_INT(offset, 0);
        CHECK_INT(conn_get_state(client->c), CONN_ERROR);
        RUN_UNTIL(client->loop, client->errors == 1);
        CHECK_FAILED_WITH(client, CONN_ERR_IO, fatal[i]);
        CHECK_ERRNO(conn_try_sendfile(client->c, fd, &offset, 100), fatal[i]);
        client_close(client);
    }
    close(fd);
}

TEST_MAIN
