/* conn_try_sendfile: files and what looks like one, byte for byte, on plain TCP and on both TLS versions. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than any file here. */
#define ALL ((size_t)1 << 40)

static size_t file_size(void) { return (size_t)small(5 << 20, 300 << 10) + 13; }

/* A file of the pattern, open for reading. */
static int pattern_file(size_t size) {
    char path[300];
    snprintf(path, sizeof path, "%s/pattern", temp_dir());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    unsigned char buf[65536];
    for (size_t at = 0; at < size;) {
        size_t n = size - at < sizeof buf ? size - at : sizeof buf;
        fill_pattern(buf, n, at);
        CHECK_INT(write(fd, buf, n), n);
        at += n;
    }
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void note_event(struct net_conn *c, void *flag) {
    (void)c;
    *(bool *)flag = true;
}

static void wait_writable(struct client *client) {
    bool writable = false;
    conn_set_writable_callback(client->c, note_event, &writable);
    RUN_UNTIL(client->loop, writable);
    conn_set_writable_callback(client->c, NULL, NULL);
}

/* Sends until the end of the file, or so many bytes; each answer is compared with how far the file's place has moved. */
static size_t send_file(struct client *client, int fd, off_t *offset, size_t count, size_t most_a_call) {
    size_t sent = 0;
    for (;;) {
        size_t ask = count - sent < most_a_call ? count - sent : most_a_call;
        if (ask == 0) return sent;
        off_t before = offset ? *offset : lseek(fd, 0, SEEK_CUR), other = lseek(fd, 0, SEEK_CUR);
        ssize_t n = conn_try_sendfile(client->c, fd, offset, ask);
        off_t after = offset ? *offset : lseek(fd, 0, SEEK_CUR);
        if (n < 0 && errno == EAGAIN) {
            CHECK_INT(after, before);
            wait_writable(client);
            continue;
        }
        if (n < 0) FAIL("after %zu bytes: %s", sent, strerror(errno));
        CHECK_CMP(n, <=, ask);
        CHECK_INT(after, before + n);
        if (offset) CHECK_INT(lseek(fd, 0, SEEK_CUR), other);
        if (n == 0) return sent;
        sent += (size_t)n;
    }
}

static void finish(struct client *client, struct peer *peer, uint64_t bytes) {
    char byte;
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_INT(client_read_some(client, &byte, 1), 0); /* the peer has read all of it */
    client_close(client);
    peer_join(peer);
    CHECK_INT(peer_bytes(peer), bytes);
}

/* ---- Files ----------------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(a_whole_file_at_its_position) {
    size_t size = file_size();
    int fd = pattern_file(size);
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    CHECK_INT(send_file(client, fd, NULL, ALL, ALL), size);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), size);
    CHECK_INT(conn_try_sendfile(client->c, fd, NULL, 1), 0);
    close(fd);
    finish(client, peer, size);
}

ALL_TRANSPORTS(a_file_in_pieces_of_every_size) {
    size_t size = 200003, sent = 0;
    int fd = pattern_file(size);
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    static const size_t pieces[] = {1, 7, 4096, 16384, 16385, 65536, 65537, 1000};
    off_t offset = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t n = send_file(client, fd, &offset, pieces[i], pieces[i]);
        CHECK_INT(n, pieces[i]);
        sent += n;
    }
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0); /* the offset is the caller's */
    CHECK_INT(send_file(client, fd, &offset, ALL, 4999), size - sent);
    CHECK_INT(offset, size);
    CHECK_INT(conn_try_sendfile(client->c, fd, &offset, 100), 0); /* at the end */
    offset += 1000;
    CHECK_INT(conn_try_sendfile(client->c, fd, &offset, 100), 0); /* behind it */
    CHECK_INT(offset, size + 1000);
    close(fd);
    finish(client, peer, size);
}

/* What was written before and after keeps its place. */
ALL_TRANSPORTS(between_writes) {
    size_t size = 100000;
    int fd = pattern_file(size);
    unsigned char *bytes = alloc(size);
    fill_pattern(bytes, size, 0);
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    off_t offset = 1000;
    client_write(client, bytes, 1000);
    CHECK_INT(send_file(client, fd, &offset, 50000, ALL), 50000);
    client_write(client, bytes + 51000, 9000);
    CHECK_INT(send_file(client, fd, &offset, 0, ALL), 0);
    offset = 60000;
    CHECK_INT(send_file(client, fd, &offset, ALL, ALL), 40000);
    close(fd);
    finish(client, peer, size);
}

static void check_later(struct peer_conn *pc) {
    gate_wait(pc->arg);
    serve_check(pc);
}

/* Nobody reads: what was not taken is not lost, and EAGAIN moves nothing. */
ALL_TRANSPORTS(a_reader_that_waits) {
    struct gate gate = GATE;
    size_t size = file_size() * 2;
    int fd = pattern_file(size);
    struct peer *peer = version ? TLS_PEER(version, .serve = check_later, .arg = &gate, .receive_buffer = 4096)
                                : PEER(.serve = check_later, .arg = &gate, .receive_buffer = 4096);
    struct client *client = ready_client(test_loop(), version, peer);
    off_t offset = 0;
    ssize_t n;
    while ((n = conn_try_sendfile(client->c, fd, &offset, size)) > 0) {}
    if (n < 0) {
        CHECK_INT(errno, EAGAIN);
        off_t at = offset;
        CHECK_ERRNO(conn_try_sendfile(client->c, fd, &offset, size), EAGAIN);
        CHECK_INT(offset, at);
    }
    size_t first = (size_t)offset;
    gate_open(&gate);
    CHECK_INT(first + send_file(client, fd, &offset, ALL, ALL), size);
    close(fd);
    finish(client, peer, size);
}

ALL_TRANSPORTS(an_empty_file_and_a_count_of_nothing) {
    int fd = pattern_file(0);
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    off_t offset = 0;
    CHECK_INT(conn_try_sendfile(client->c, fd, NULL, 100), 0);
    CHECK_INT(conn_try_sendfile(client->c, fd, &offset, 100), 0);
    CHECK_INT(conn_try_sendfile(client->c, fd, NULL, 0), 0);
    close(fd);
    CHECK_INT(conn_try_sendfile(client->c, -1, NULL, 0), 0); /* as a write of nothing */
    client_echo(client, "still here");
}

/* ---- What the kernel does not map ---------------------------------------------------------------------------------------- */

/* procfs has places, and no size. */
ALL_TRANSPORTS(a_file_of_procfs) {
    char expected[4096], back[4096];
    int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);
    if (fd < 0) SKIP("this system has no procfs");
    ssize_t size = read(fd, expected, sizeof expected);
    CHECK_CMP(size, >, 0);
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    CHECK_INT(conn_try_sendfile(client->c, fd, NULL, 100), 0); /* it was read to its end */
    off_t offset = 3;
    CHECK_INT(send_file(client, fd, &offset, ALL, 10), size - 3);
    client_read(client, back, (size_t)size - 3);
    CHECK_MEM(back, expected + 3, (size_t)size - 3);
    CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
    CHECK_INT(send_file(client, fd, NULL, ALL, ALL), size);
    client_read(client, back, (size_t)size);
    CHECK_MEM(back, expected, (size_t)size);
    close(fd);
}

ALL_TRANSPORTS(a_pipe) {
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0); /* blocking: it must not be waited for */
    struct peer *peer = peer_of(version, serve_check, NULL);
    struct client *client = ready_client(test_loop(), version, peer);
    CHECK_ERRNO(conn_try_sendfile(client->c, ends[0], NULL, 100), EAGAIN);
    unsigned char buf[60000];
    size_t at = 0;
    for (int i = 0; i < 20; i++) {
        fill_pattern(buf, sizeof buf, at);
        CHECK_INT(write(ends[1], buf, sizeof buf), sizeof buf);
        for (size_t end = at + sizeof buf; at < end;) {
            ssize_t n = conn_try_sendfile(client->c, ends[0], NULL, i % 2 ? ALL : 7777);
            if (n < 0) {
                CHECK_INT(errno, EAGAIN);
                wait_writable(client);
                continue;
            }
            CHECK_CMP(n, >, 0);
            at += (size_t)n;
        }
    }
    CHECK_ERRNO(conn_try_sendfile(client->c, ends[0], NULL, 100), EAGAIN);
    off_t offset = 0;
    CHECK_ERRNO(conn_try_sendfile(client->c, ends[0], &offset, 100), ESPIPE);
    close(ends[1]);
    CHECK_INT(conn_try_sendfile(client->c, ends[0], NULL, 100), 0); /* the writer has gone: the end */
    close(ends[0]);
    finish(client, peer, at);
}

/* A pipe is not emptied into a connection that takes nothing. */
ALL_TRANSPORTS(a_pipe_and_a_reader_that_waits) {
    struct gate gate = GATE;
    int ends[2];
    CHECK_INT(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct peer *peer = version ? TLS_PEER(version, .serve = check_later, .arg = &gate, .receive_buffer = 4096)
                                : PEER(.serve = check_later, .arg = &gate, .receive_buffer = 4096);
    struct client *client = ready_client(test_loop(), version, peer);
    unsigned char buf[30000];
    size_t in = 0, out = 0, total = (size_t)small(12 << 20, 6 << 20) / sizeof buf * sizeof buf;
    while (out < total) {
        if (in - out < sizeof buf && in < total) {
            fill_pattern(buf, sizeof buf, in);
            ssize_t n = write(ends[1], buf, sizeof buf);
            if (n > 0) in += (size_t)n;
        }
        ssize_t n = conn_try_sendfile(client->c, ends[0], NULL, ALL);
        if (n > 0) {
            out += (size_t)n;
            continue;
        }
        CHECK_INT(n, -1);
        CHECK_INT(errno, EAGAIN);
        if (in == out) continue;
        gate_open(&gate);
        wait_writable(client);
    }
    gate_open(&gate);
    close(ends[0]);
    close(ends[1]);
    finish(client, peer, total);
}

/* ---- What cannot be --------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(what_is_wrong_with_the_file_does_no_harm) {
    struct client *client = ready_client(test_loop(), version, peer_of(version, NULL, NULL));
    int fd = pattern_file(100), closed = dup(fd), fds[2];
    close(closed);
    off_t offset = 0, negative = -1;
    CHECK_ERRNO(conn_try_sendfile(client->c, -1, NULL, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, -1, &offset, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, closed, NULL, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, closed, &offset, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, fd, &negative, 1), EINVAL);
    CHECK_INT(negative, -1);
    char path[300];
    snprintf(path, sizeof path, "%s/pattern", temp_dir());
    int out = open(path, O_WRONLY | O_CLOEXEC), dir = open(temp_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(out >= 0 && dir >= 0);
    CHECK_ERRNO(conn_try_sendfile(client->c, out, NULL, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, out, &offset, 1), EBADF);
    CHECK_ERRNO(conn_try_sendfile(client->c, dir, NULL, 1), EISDIR);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_ERRNO(conn_try_sendfile(client->c, fds[0], NULL, 1), EINVAL);
    CHECK_ERRNO(conn_try_sendfile(client->c, fds[0], &offset, 1), ESPIPE);
    CHECK_INT(offset, 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    CHECK_PTR_NULL(conn_get_error_msg(client->c));
    client_echo(client, "no harm done");
    errno = 77;
    CHECK_INT(conn_try_sendfile(client->c, fd, NULL, 100), 100);
    CHECK_INT(errno, 77); /* left alone by a success */
    close(fd), close(out), close(dir), close(fds[0]), close(fds[1]);
}

ALL_TRANSPORTS(at_the_wrong_time) {
    int fd = pattern_file(100);
    CHECK_ERRNO(conn_try_sendfile(NULL, fd, NULL, 1), EINVAL);
    struct conn_options o = options_of(version);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer_of(version, NULL, NULL)), &o);
    CHECK_ERRNO(conn_try_sendfile(client->c, fd, NULL, 1), ENOTCONN);
    client_wait_ready(client);
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_ERRNO(conn_try_sendfile(client->c, fd, NULL, 1), EPIPE);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0);
    client = client_open(client->loop, "127.0.0.1", refused_port(), &o);
    client_wait_error(client);
    CHECK_ERRNO(conn_try_sendfile(client->c, fd, NULL, 1), ENOTCONN);
    close(fd);
}

ALL_TRANSPORTS(a_peer_that_resets) {
    int fd = pattern_file(file_size());
    struct client *client = ready_client(test_loop(), version, peer_of(version, serve_reset, NULL));
    off_t offset = 0;
    for (;;) {
        if (offset >= (off_t)file_size()) offset = 0;
        ssize_t n = conn_try_sendfile(client->c, fd, &offset, ALL);
        if (n < 0 && errno != EAGAIN) break;
        CHECK(evloop_run_once(client->loop, 0) >= 0);
    }
    CHECK(errno == ECONNRESET || errno == EPIPE);
    int error = errno;
    CHECK_ERRNO(conn_try_sendfile(client->c, fd, &offset, 1), error);
    RUN_UNTIL(client->loop, client->errors == 1);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, error);
    close(fd);
}

/* ---- SIGPIPE, whatever the host does with it ------------------------------------------------------------------------------ */

static volatile sig_atomic_t signals;
static void count_signal(int number) {
    (void)number;
    signals++;
}

enum host { DEFAULT, HANDLED, IGNORED, BLOCKED, PENDING_IN_THREAD, PENDING_IN_PROCESS };

/* A Unix socket whose other end is closed answers with EPIPE at once, and with the signal. */
static void meet_a_closed_end(enum host host, bool from_pipe) {
    int fds[2], ends[2], fd = pattern_file(100);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(write(ends[1], "from a pipe", 11), 11);
    struct client *client = client_adopt(test_loop(), fds[0], NULL);
    client_wait_ready(client);
    close(fds[1]);

    struct sigaction action = {.sa_handler = host == IGNORED ? SIG_IGN : host == DEFAULT ? SIG_DFL : count_signal};
    CHECK_INT(sigaction(SIGPIPE, &action, NULL), 0);
    sigset_t only, before, after, pending;
    sigemptyset(&only);
    sigaddset(&only, SIGPIPE);
    CHECK_INT(pthread_sigmask(host >= BLOCKED ? SIG_BLOCK : SIG_UNBLOCK, &only, NULL), 0);
    signals = 0;
    if (host == PENDING_IN_THREAD) CHECK_INT(pthread_kill(pthread_self(), SIGPIPE), 0);
    if (host == PENDING_IN_PROCESS) CHECK_INT(kill(getpid(), SIGPIPE), 0);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);

    CHECK_ERRNO(conn_try_sendfile(client->c, from_pipe ? ends[0] : fd, NULL, 100), EPIPE);

    CHECK_INT(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int number = 1; number < 32; number++) CHECK_INT(sigismember(&after, number), sigismember(&before, number));
    CHECK_INT(sigpending(&pending), 0);
    CHECK_INT(sigismember(&pending, SIGPIPE), host >= PENDING_IN_THREAD);
    CHECK_INT(signals, 0);
    CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &only, NULL), 0);
    CHECK_INT(signals, host >= PENDING_IN_THREAD); /* the host's own, once */
    RUN_UNTIL(client->loop, client->errors == 1);
    CHECK_FAILED_WITH(client, CONN_ERR_IO, EPIPE);
    CHECK_INT(lseek(fd, 0, SEEK_CUR), 0);
    close(fd), close(ends[0]), close(ends[1]);
}

TEST(sigpipe_as_by_default) { meet_a_closed_end(DEFAULT, false); }
TEST(sigpipe_handled) { meet_a_closed_end(HANDLED, false); }
TEST(sigpipe_ignored) { meet_a_closed_end(IGNORED, false); }
TEST(sigpipe_blocked) { meet_a_closed_end(BLOCKED, false); }
TEST(sigpipe_pending_in_the_thread) { meet_a_closed_end(PENDING_IN_THREAD, false); }
TEST(sigpipe_pending_in_the_process) { meet_a_closed_end(PENDING_IN_PROCESS, false); }
TEST(sigpipe_of_splice) {
    for (enum host host = DEFAULT; host <= PENDING_IN_PROCESS; host++) meet_a_closed_end(host, true);
}

TEST_MAIN
