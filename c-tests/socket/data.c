/* Socket.h: bytes in and out, one call at a time, and all of them. */
#include "../harness.h"
#include "../support/aborts.h"
#include "../support/family.h"
#include "socket/Socket.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static Socket_T a, b;

static void pair(void) { SocketPair_new(SOCK_STREAM, &a, &b); }

static void unpair(void) {
    Socket_free(&a);
    Socket_free(&b);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(a_call_that_would_block_says_so) {
    pair();
    Socket_setnonblocking(a);
    char buf[16];
    errno = 0;
    CHECK_INT(Socket_recv(a, buf, sizeof buf), 0);
    CHECK_INT(errno, EAGAIN);
    static char big[65536];
    ssize_t n, sent = 0;
    while ((n = Socket_send(a, big, sizeof big)) > 0) sent += n;
    CHECK_INT(n, 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_CMP(sent, >, 0);
    errno = 0;
    CHECK_INT(Socket_sendall(a, big, sizeof big), 0);
    CHECK_INT(errno, EAGAIN);
    // A success leaves errno alone.
    errno = 77;
    CHECK_CMP(Socket_recv(b, big, sizeof big), >, 0);
    CHECK_INT(errno, 77);
    unpair();
}

TEST(the_end_of_the_stream_is_an_exception) {
    pair();
    char buf[16];
    CHECK_INT(Socket_send(a, "last", 4), 4);
    Socket_free(&a);
    CHECK_INT(Socket_recv(b, buf, sizeof buf), 4);
    CHECK_RAISES_ERRNO(Socket_recv(b, buf, sizeof buf), Socket_Closed, 0, "Socket closed");
    CHECK_RAISES(Socket_recv(b, buf, sizeof buf), Socket_Closed);
    CHECK_RAISES_ERRNO(Socket_send(b, "x", 1), Socket_Closed, EPIPE, "Socket closed");
    CHECK_RAISES(Socket_sendall(b, "x", 1), Socket_Closed);
    unpair();
}

/* A TCP connection to ourselves. */
static void tcp_pair(void) {
    Socket_T server = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(server, "127.0.0.1", 0);
    Socket_listen(server, 1);
    a = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(a, "127.0.0.1", Socket_getlocalport(server));
    b = Socket_accept(server);
    Socket_free(&server);
}

TEST(a_reset_is_the_end_too) {
    tcp_pair();
    struct linger reset = {1, 0};
    setsockopt(Socket_fd(b), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    Socket_free(&b);
    char byte;
    CHECK_RAISES_ERRNO(Socket_recv(a, &byte, 1), Socket_Closed, ECONNRESET, "Socket closed");
    CHECK_RAISES_ERRNO(Socket_send(a, "x", 1), Socket_Closed, EPIPE, "Socket closed");
    unpair();
}

TEST(what_else_goes_wrong_names_the_peer) {
    a = Socket_new(AF_INET, SOCK_STREAM, 0);
    char byte;
    CHECK_RAISES_ERRNO(Socket_recv(a, &byte, 1), Socket_Failed, ENOTCONN, "receive from the peer: ");
    // The kernel says EPIPE of what was never connected.
    CHECK_RAISES(Socket_send(a, "x", 1), Socket_Closed);
    Socket_free(&a);
    a = Socket_new(AF_INET, SOCK_DGRAM, 0);
    CHECK_RAISES_ERRNO(Socket_send(a, "x", 1), Socket_Failed, EDESTADDRREQ, "send to the peer: ");
    Socket_connect(a, "127.0.0.1", 9);
    static char too_long[70000];
    CHECK_RAISES_ERRNO(Socket_send(a, too_long, sizeof too_long), Socket_Failed, EMSGSIZE, "send to 127.0.0.1:9: ");
    Socket_free(&a);
}

TEST(datagrams_keep_their_ends) {
    SocketPair_new(SOCK_DGRAM, &a, &b);
    char buf[16];
    CHECK_INT(Socket_send(a, "one", 3), 3);
    CHECK_INT(Socket_send(a, "three", 5), 5);
    CHECK_INT(send(Socket_fd(a), "", 0, 0), 0);
    CHECK_INT(Socket_recv(b, buf, sizeof buf), 3);
    CHECK_INT(Socket_recv(b, buf, sizeof buf), 5);
    errno = EAGAIN;
    CHECK_INT(Socket_recv(b, buf, sizeof buf), 0);
    CHECK_INT(errno, 0);
    unpair();
}

static void sends_nothing(void *arg) {
    (void)arg;
    pair();
    Socket_send(a, "", 0);
}
static void sends_null(void *arg) {
    (void)arg;
    pair();
    Socket_send(a, NULL, 3);
}
static void receives_nothing(void *arg) {
    pair();
    Socket_recv(a, arg, 0);
}
static void sends_no_entries(void *arg) {
    pair();
    Socket_sendv(a, arg, 0);
}
static void receives_too_many_entries(void *arg) {
    pair();
    Socket_recvv(a, arg, IOV_MAX + 1);
}

TEST(buffers_that_are_none_abort) {
    struct iovec iov[1] = {{0}};
    CHECK_ABORTS(sends_nothing, NULL, "Socket_send", "len");
    CHECK_ABORTS(sends_null, NULL, "Socket_send", "buf");
    CHECK_ABORTS(receives_nothing, iov, "Socket_recv", "len");
    CHECK_ABORTS(sends_no_entries, iov, "Socket_sendv", "iovcnt");
    CHECK_ABORTS(sends_no_entries, NULL, "Socket_sendv", "iov is NULL");
    CHECK_ABORTS(receives_too_many_entries, iov, "Socket_recvv", "iovcnt");
}

struct transfer {
    Socket_T socket;
    size_t size;
    uint64_t offset;
};

/* Sends a pattern, in pieces. */
static void *send_pattern(void *arg) {
    struct transfer *t = arg;
    char buf[10000];
    for (size_t done = 0; done < t->size;) {
        size_t piece = t->size - done < sizeof buf ? t->size - done : sizeof buf;
        fill_pattern(buf, piece, t->offset + done);
        done += (size_t)Socket_send(t->socket, buf, piece);
    }
    return NULL;
}

static void *receive_pattern(void *arg) {
    struct transfer *t = arg;
    char buf[7000];
    for (size_t done = 0; done < t->size;) {
        ssize_t n = Socket_recv(t->socket, buf, sizeof buf);
        CHECK_CMP(n, >, 0);
        CHECK_INT(find_pattern_error(buf, (size_t)n, t->offset + done), -1);
        done += (size_t)n;
    }
    return NULL;
}

static void both_directions(void) {
    size_t size = (size_t)load(8, 8, 1) << 20;
    struct transfer ab = {a, size, 0}, ba = {b, size, 5}, at_b = {b, size, 0}, at_a = {a, size, 5};
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, send_pattern, &ab);
    pthread_create(&threads[1], NULL, receive_pattern, &at_a);
    pthread_create(&threads[2], NULL, send_pattern, &ba);
    pthread_create(&threads[3], NULL, receive_pattern, &at_b);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    SocketStats_T stats;
    Socket_getstats(a, &stats);
    CHECK_INT(stats.bytes_sent, size);
    CHECK_INT(stats.bytes_received, size);
    CHECK_INT(stats.send_errors + stats.recv_errors, 0);
}

TEST(two_threads_send_and_receive_on_one_socket) {
    pair();
    both_directions();
    unpair();
}

TEST(two_threads_send_and_receive_on_one_tcp_socket) {
    tcp_pair();
    both_directions();
    unpair();
}

static void do_nothing(int signal) { (void)signal; }

struct interrupted {
    pthread_t thread;
    volatile int done;
};

/* Sends signals until the other thread has had one; the first may come before it waits. */
static void *interrupt(void *arg) {
    struct interrupted *it = arg;
    while (!it->done) {
        pthread_kill(it->thread, SIGUSR1);
        usleep(1000);
    }
    return NULL;
}

TEST(a_signal_ends_a_receive) {
    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGUSR1, &action, NULL);
    pair();
    struct interrupted it = {.thread = pthread_self()};
    pthread_t thread;
    pthread_create(&thread, NULL, interrupt, &it);
    char byte;
    CHECK_RAISES_ERRNO(Socket_recv(a, &byte, 1), Socket_Failed, EINTR, "Interrupted");
    it.done = 1;
    pthread_join(thread, NULL);
    unpair();
}

static void *receive_all(void *arg) {
    struct transfer *t = arg;
    char *buf = malloc(t->size);
    CHECK_INT(Socket_recvall(t->socket, buf, t->size), t->size);
    CHECK_INT(find_pattern_error(buf, t->size, 0), -1);
    free(buf);
    return NULL;
}

TEST(a_signal_does_not_end_what_goes_on_until_all_is_there) {
    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGUSR1, &action, NULL);
    pair();
    struct transfer t = {b, (size_t)load(4, 4, 1) << 20, 0};
    pthread_t receiver, signals;
    pthread_create(&receiver, NULL, receive_all, &t);
    struct interrupted it = {.thread = receiver};
    pthread_create(&signals, NULL, interrupt, &it);
    char *all = alloc(t.size);
    fill_pattern(all, t.size, 0);
    CHECK_INT(Socket_sendall(a, all, t.size), t.size);
    // The receiver must live while it is signalled.
    it.done = 1;
    pthread_join(signals, NULL);
    pthread_join(receiver, NULL);
    unpair();
}

TEST(the_kernels_time_out_reads_as_would_block) {
    pair();
    struct timeval soon = {0, 20000};
    setsockopt(Socket_fd(a), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    char buf[4];
    errno = 0;
    CHECK_INT(Socket_recv(a, buf, sizeof buf), 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(Socket_send(b, "hi", 2), 2);
    errno = 0;
    CHECK_INT(Socket_recvall(a, buf, sizeof buf), 2);
    CHECK_INT(errno, EAGAIN);
    unpair();
}

TEST(all_until_it_would_block) {
    pair();
    Socket_setnonblocking(a);
    Socket_setnonblocking(b);
    size_t size = 4 << 20;
    char *out = alloc(size), *in = alloc(size);
    fill_pattern(out, size, 0);
    size_t sent = 0, received = 0;
    int shorts = 0;
    while (received < size) {
        if (sent < size) {
            errno = 0;
            ssize_t n = Socket_sendall(a, out + sent, size - sent);
            sent += (size_t)n;
            if (sent < size) {
                CHECK_INT(errno, EAGAIN);
                shorts++;
            }
        }
        errno = 0;
        ssize_t n = Socket_recvall(b, in + received, size - received);
        received += (size_t)n;
        if (received < size) CHECK_INT(errno, EAGAIN);
    }
    CHECK_CMP(shorts, >, 0);
    CHECK_INT(find_pattern_error(in, size, 0), -1);
    unpair();
}

TEST(a_peer_that_ends_early_leaves_what_it_sent) {
    pair();
    Socket_send(a, "abc", 3);
    Socket_free(&a);
    char buf[8] = "";
    CHECK_RAISES(Socket_recvall(b, buf, sizeof buf), Socket_Closed);
    CHECK_STR(buf, "abc");
    unpair();
}

TEST(budgets_of_time) {
    pair();
    char buf[8] = "";
    errno = 0;
    CHECK_INT(Socket_recvall_timeout(a, buf, 4, 0), 0);
    CHECK_INT(errno, EAGAIN);
    Socket_send(b, "ab", 2);
    errno = 0;
    CHECK_INT(Socket_recvall_timeout(a, buf, 4, 10), 2);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(fcntl(Socket_fd(a), F_GETFL) & O_NONBLOCK, 0);
    Socket_send(b, "cdef", 4);
    CHECK_INT(Socket_recvall_timeout(a, buf, 4, -1), 4);
    CHECK_MEM(buf, "cdef", 4);
    size_t size = 4 << 20;
    char *big = alloc(size);
    errno = 0;
    ssize_t n = Socket_sendall_timeout(a, big, size, 10);
    CHECK_INT(errno, EAGAIN);
    CHECK(n > 0 && (size_t)n < size);
    CHECK_INT(Socket_sendall_timeout(a, big, size, 0), 0);
    struct iovec iov[2] = {{big, 100}, {big, 100}};
    CHECK_INT(Socket_sendv_timeout(a, iov, 2, 5), 0);
    CHECK_INT(Socket_sendv_timeout(b, iov, 2, 5000), 200);
    CHECK_INT(Socket_recvv_timeout(a, iov, 2, 5000), 200);
    CHECK_INT(Socket_recvv_timeout(a, iov, 2, 0), 0);
    unpair();
}

TEST(vectors_gather_and_scatter) {
    pair();
    char out[] = "one-two-three", in1[4] = "", in2[16] = "";
    struct iovec send[4] = {{out, 4}, {NULL, 0}, {out + 4, 4}, {out + 8, 5}}, copy[4];
    memcpy(copy, send, sizeof send);
    CHECK_INT(Socket_sendv(a, send, 4), 13);
    CHECK_MEM(send, copy, sizeof send);
    struct iovec receive[2] = {{in1, 3}, {in2, 15}};
    CHECK_INT(Socket_recvv(b, receive, 2), 13);
    CHECK_STR(in1, "one");
    CHECK_STR(in2, "-two-three");
    Socket_setnonblocking(b);
    errno = 0;
    CHECK_INT(Socket_recvv(b, receive, 2), 0);
    CHECK_INT(errno, EAGAIN);
    // Nothing to move is no end.
    struct iovec nothing[1] = {{out, 0}};
    CHECK_INT(Socket_sendv(a, nothing, 1), 0);
    CHECK_INT(Socket_recvv(b, nothing, 1), 0);
    Socket_free(&a);
    CHECK_RAISES(Socket_recvv(b, receive, 2), Socket_Closed);
    CHECK_RAISES_ERRNO(Socket_sendv(b, send, 4), Socket_Closed, EPIPE, "closed");
    unpair();
}

TEST(vectors_that_cannot_be_raise) {
    pair();
    char c;
    struct iovec overflow[2] = {{&c, SIZE_MAX / 2}, {&c, SIZE_MAX / 2 + 2}}, null[1] = {{NULL, 1}};
    CHECK_RAISES_ERRNO(Socket_sendv(a, overflow, 2), SocketCommon_Failed, EINVAL, "overflow");
    CHECK_RAISES_ERRNO(Socket_recvv(a, overflow, 2), SocketCommon_Failed, EINVAL, "overflow");
    CHECK_RAISES_ERRNO(Socket_sendvall(a, overflow, 2), SocketCommon_Failed, EINVAL, "overflow");
    CHECK_RAISES_ERRNO(Socket_sendv(a, null, 1), SocketCommon_Failed, EINVAL, "NULL");
    unpair();
}

struct vectors {
    Socket_T socket;
    struct iovec *iov;
    int count;
    size_t size;
};

static void *receive_vectors(void *arg) {
    struct vectors *v = arg;
    CHECK_INT(Socket_recvvall(v->socket, v->iov, v->count), v->size);
    return NULL;
}

TEST(whole_vectors_go_as_they_are) {
    pair();
    // Pieces of every size, IOV_MAX of them, so that calls end inside and between them.
    static struct iovec out[IOV_MAX], in[IOV_MAX], before_out[IOV_MAX], before_in[IOV_MAX];
    size_t size = 0;
    for (int i = 0; i < IOV_MAX; i++) size += (size_t)(i * 7 % 4001);
    char *from = alloc(size), *to = alloc(size);
    fill_pattern(from, size, 3);
    size_t at = 0;
    for (int i = 0; i < IOV_MAX; i++) {
        size_t len = (size_t)(i * 7 % 4001), back = (size_t)((IOV_MAX - 1 - i) * 7 % 4001);
        out[i] = (struct iovec){from + at, len};
        at += len;
        in[i].iov_len = back;
    }
    at = 0;
    for (int i = 0; i < IOV_MAX; i++) {
        in[i].iov_base = to + at;
        at += in[i].iov_len;
    }
    memcpy(before_out, out, sizeof out);
    memcpy(before_in, in, sizeof in);
    struct vectors v = {b, in, IOV_MAX, size};
    pthread_t thread;
    pthread_create(&thread, NULL, receive_vectors, &v);
    CHECK_INT(Socket_sendvall(a, out, IOV_MAX), size);
    pthread_join(thread, NULL);
    CHECK_MEM(out, before_out, sizeof out);
    CHECK_MEM(in, before_in, sizeof in);
    CHECK_INT(find_pattern_error(to, size, 3), -1);
    // And on a non-blocking one, as far as it goes.
    Socket_setnonblocking(a);
    CHECK_CMP(Socket_sendvall(a, out, IOV_MAX), <, size);
    CHECK_INT(errno, EAGAIN);
    CHECK_MEM(out, before_out, sizeof out);
    unpair();
}

TEST(no_signal_tells_of_a_peer_that_is_gone) {
    // SIGPIPE would kill the test.
    signal(SIGPIPE, SIG_DFL);
    pair();
    Socket_free(&a);
    struct iovec iov[1] = {{"x", 1}};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = 1};
    CHECK_RAISES(Socket_send(b, "x", 1), Socket_Closed);
    CHECK_RAISES(Socket_sendv(b, iov, 1), Socket_Closed);
    CHECK_RAISES(Socket_sendmsg(b, &message, 0), Socket_Closed);
    CHECK_RAISES(Socket_sendfd(b, 1), Socket_Closed);
    int file = open("/proc/self/exe", O_RDONLY);
    CHECK_RAISES(Socket_sendfile(b, file, NULL, 1000), Socket_Closed);
    close(file);
    Socket_T in, out;
    SocketPair_new(SOCK_STREAM, &in, &out);
    CHECK_INT(Socket_send(out, "x", 1), 1);
    CHECK_RAISES(Socket_splice(in, b, 1), Socket_Closed);
    Socket_free(&in);
    Socket_free(&out);
    unpair();
    CHECK_INT(Socket_ignore_sigpipe(), 0);
    raise(SIGPIPE);
}

TEST_MAIN
