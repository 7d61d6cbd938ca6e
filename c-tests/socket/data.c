/* Socket.h: bytes in and out, one call at a time, and all of them. */
#include "sockets.h"

#include "../support/aborts.h"

#include <limits.h>
#include <stdlib.h>

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
