/* Socket.h: calls that move all of the bytes, and vectors of them. */
#include "sockets.h"

#include <limits.h>
#include <stdlib.h>

struct transfer {
    Socket_T socket;
    size_t size;
    uint64_t offset;
};

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

TEST_MAIN
