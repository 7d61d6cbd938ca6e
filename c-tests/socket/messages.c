/* Socket.h: files, messages, looks ahead, bytes from socket to socket. SocketIO.h without TLS. */
#include "sockets.h"

#include "../support/aborts.h"
#include "socket/SocketIO.h"

#include <stdio.h>
#include <stdlib.h>

/* An open file of so many bytes of the pattern. */
static int pattern_file(size_t size) {
    char path[300];
    snprintf(path, sizeof path, "%s/file", temp_dir());
    int file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    char *bytes = alloc(size);
    fill_pattern(bytes, size, 0);
    CHECK_INT(write(file, bytes, size), size);
    CHECK_INT(lseek(file, 0, SEEK_SET), 0);
    return file;
}

static void check_pattern(Socket_T s, size_t len, uint64_t offset) {
    char *buf = malloc(len);
    CHECK_INT(Socket_recvall(s, buf, len), len);
    CHECK_INT(find_pattern_error(buf, len, offset), -1);
    free(buf);
}

TEST(a_file_is_sent_from_an_offset_or_its_position) {
    pair();
    int file = pattern_file(10000);
    off_t offset = 1000;
    CHECK_INT(Socket_sendfile(a, file, &offset, 500), 500);
    CHECK_INT(offset, 1500);
    CHECK_INT(lseek(file, 0, SEEK_CUR), 0);
    check_pattern(b, 500, 1000);
    lseek(file, 20, SEEK_SET);
    CHECK_INT(Socket_sendfile(a, file, NULL, 80), 80);
    CHECK_INT(lseek(file, 0, SEEK_CUR), 100);
    check_pattern(b, 80, 20);
    // Shorter than asked for, and then at its end.
    offset = 9900;
    CHECK_INT(Socket_sendfile(a, file, &offset, 500), 100);
    CHECK_INT(offset, 10000);
    errno = EAGAIN;
    CHECK_INT(Socket_sendfile(a, file, &offset, 500), 0);
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_sendfile(a, file, &offset, 0), 0);
    SocketStats_T stats;
    Socket_getstats(a, &stats);
    CHECK_INT(stats.bytes_sent, 680);
    CHECK_INT(stats.packets_sent, 3);
    close(file);
    unpair();
}

TEST(what_is_no_file_to_send_raises) {
    pair();
    int file = pattern_file(100), ends[2];
    off_t offset = -1;
    CHECK_RAISES_ERRNO(Socket_sendfile(a, -1, NULL, 10), Socket_Failed, EBADF, "sendfile");
    CHECK_RAISES_ERRNO(Socket_sendfile(a, file, &offset, 10), Socket_Failed, EINVAL, "sendfile");
    CHECK_INT(offset, -1);
    CHECK_INT(pipe(ends), 0);
    offset = 0;
    CHECK_RAISES_ERRNO(Socket_sendfile(a, ends[0], &offset, 10), Socket_Failed, ESPIPE, "sendfile");
    // A pipe without an offset goes.
    CHECK_INT(write(ends[1], "piped", 5), 5);
    CHECK_INT(Socket_sendfile(a, ends[0], NULL, 100), 5);
    char buf[5];
    CHECK_INT(Socket_recvall(b, buf, 5), 5);
    CHECK_MEM(buf, "piped", 5);
    errno = 0;
    CHECK_INT(Socket_sendfile(a, ends[0], NULL, 100), 0);
    CHECK_INT(errno, EAGAIN);
    close(ends[0]);
    close(ends[1]);
    close(file);
    unpair();
}

struct receiver {
    Socket_T socket;
    size_t size;
};

static void *receive_file(void *arg) {
    struct receiver *r = arg;
    check_pattern(r->socket, r->size, 1);
    return NULL;
}

TEST(a_whole_file_goes_and_the_offset_moves_once) {
    pair();
    size_t size = (size_t)load(8, 8, 2) << 20;
    int file = pattern_file(size);
    struct receiver r = {b, size - 1};
    pthread_t thread;
    pthread_create(&thread, NULL, receive_file, &r);
    off_t offset = 1;
    errno = 5;
    CHECK_INT(Socket_sendfileall(a, file, &offset, size + 1000), size - 1);
    CHECK_INT(errno, 0);
    CHECK_INT(offset, size);
    pthread_join(thread, NULL);
    // A socket that does not block: as far as it goes, and on from there.
    Socket_setnonblocking(a);
    offset = 0;
    ssize_t n = Socket_sendfileall(a, file, &offset, size);
    CHECK_INT(errno, EAGAIN);
    CHECK(n > 0 && (size_t)n < size);
    CHECK_INT(offset, n);
    errno = 0;
    CHECK_INT(Socket_sendfile(a, file, &offset, size), 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(offset, n);
    close(file);
    unpair();
}

TEST(messages_carry_more_than_bytes) {
    a = Socket_new(AF_INET, SOCK_DGRAM, 0);
    b = Socket_new(AF_INET, SOCK_DGRAM, 0);
    Socket_bind(a, "127.0.0.1", 0);
    Socket_bind(b, "127.0.0.1", 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)Socket_getlocalport(b))}, from;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct iovec iov[2] = {{"to ", 3}, {"b", 1}};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = iov, .msg_iovlen = 2};
    CHECK_INT(Socket_sendmsg(a, &message, 0), 4);
    char buf[16];
    struct iovec room = {buf, sizeof buf};
    struct msghdr got = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &room, .msg_iovlen = 1};
    CHECK_INT(Socket_recvmsg(b, &got, 0), 4);
    CHECK_MEM(buf, "to b", 4);
    CHECK_INT(ntohs(from.sin_port), Socket_getlocalport(a));
    errno = 0;
    CHECK_INT(Socket_recvmsg(b, &got, MSG_DONTWAIT), 0);
    CHECK_INT(errno, EAGAIN);
    unpair();
    pair();
    message = (struct msghdr){.msg_iov = iov, .msg_iovlen = 2};
    CHECK_INT(Socket_sendmsg(a, &message, 0), 4);
    got = (struct msghdr){.msg_iov = &room, .msg_iovlen = 1};
    CHECK_INT(Socket_recvmsg(b, &got, 0), 4);
    Socket_free(&a);
    CHECK_RAISES(Socket_recvmsg(b, &got, 0), Socket_Closed);
    CHECK_RAISES_ERRNO(Socket_sendmsg(b, &message, 0), Socket_Closed, EPIPE, "closed");
    unpair();
}

static void sends_no_message(void *arg) {
    (void)arg;
    pair();
    Socket_sendmsg(a, NULL, 0);
}
static void receives_no_message(void *arg) {
    (void)arg;
    pair();
    Socket_recvmsg(a, NULL, 0);
}

TEST(a_message_that_is_null_aborts) {
    CHECK_ABORTS(sends_no_message, NULL, "Socket_sendmsg", "message");
    CHECK_ABORTS(receives_no_message, NULL, "Socket_recvmsg", "message");
}

TEST(a_look_ahead_takes_nothing_and_does_not_wait) {
    pair();
    char buf[8] = "";
    errno = 0;
    CHECK_INT(Socket_peek(a, buf, sizeof buf), 0);
    CHECK_INT(errno, EAGAIN);
    Socket_send(b, "seen", 4);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(Socket_peek(a, buf, sizeof buf), 4);
        CHECK_STR(buf, "seen");
    }
    CHECK_INT(Socket_recv(a, buf, sizeof buf), 4);
    Socket_free(&b);
    errno = EAGAIN;
    CHECK_INT(Socket_peek(a, buf, sizeof buf), 0);
    CHECK_INT(errno, 0);
    unpair();
}

TEST(bytes_go_from_socket_to_socket) {
    pair();
    Socket_T in, out;
    SocketPair_new(SOCK_STREAM, &in, &out);
    char *bytes = alloc(30000);
    fill_pattern(bytes, 30000, 0);
    CHECK_INT(Socket_sendall(a, bytes, 30000), 30000);
    size_t moved = 0;
    while (moved < 30000) moved += (size_t)Socket_splice(b, in, 30000 - moved);
    check_pattern(out, 30000, 0);
    Socket_setnonblocking(b);
    errno = 0;
    CHECK_INT(Socket_splice(b, in, 100), 0);
    CHECK_INT(errno, EAGAIN);
    Socket_send(a, "x", 1);
    Socket_free(&out);
    CHECK_RAISES_ERRNO(Socket_splice(b, in, 1), Socket_Closed, EPIPE, "closed");
    Socket_free(&a);
    CHECK_RAISES(Socket_splice(b, in, 1), Socket_Closed);
    Socket_free(&in);
    unpair();
}

TEST(the_routing_layer_takes_flags) {
    pair();
    char buf[8] = "";
    CHECK_INT(socket_is_tls_enabled(a), 0);
    CHECK_INT(socket_tls_want_read(a), 0);
    CHECK_INT(socket_tls_want_write(a), 0);
    CHECK_INT(socket_is_tls_enabled(NULL), 0);
    errno = 0;
    CHECK_INT(socket_recv_internal(a, buf, sizeof buf, MSG_DONTWAIT), 0);
    CHECK(socketio_is_wouldblock());
    CHECK_INT(socket_send_internal(b, "four", 4, MSG_DONTWAIT), 4);
    CHECK_INT(socket_recv_internal(a, buf, sizeof buf, MSG_PEEK), 4);
    CHECK_INT(socket_recv_internal(a, buf, sizeof buf, 0), 4);
    struct iovec out[2] = {{"a", 1}, {"b", 1}}, in[1] = {{buf, sizeof buf}};
    CHECK_INT(socket_sendv_internal(b, out, 2, 0), 2);
    CHECK_INT(socket_recvv_internal(a, in, 1, MSG_DONTWAIT), 2);
    CHECK_INT(socket_recvv_internal(a, in, 1, MSG_DONTWAIT), 0);
    SocketStats_T stats;
    Socket_getstats(b, &stats);
    CHECK_INT(stats.packets_sent, 2);
    CHECK_INT(stats.bytes_sent, 6);
    Socket_free(&a);
    CHECK_RAISES(socket_recv_internal(b, buf, sizeof buf, 0), Socket_Closed);
    CHECK_RAISES(socket_send_internal(b, "x", 1, 0), Socket_Closed);
    CHECK(!socketio_is_wouldblock());
    errno = EPIPE;
    CHECK(socketio_is_connection_closed_send() && !socketio_is_connection_closed_recv());
    errno = ECONNRESET;
    CHECK(socketio_is_connection_closed_send() && socketio_is_connection_closed_recv());
    unpair();
}

TEST_MAIN
