/* Plain calls on a socket with TLS, beyond one send and receive: loops, budgets of time, rates, vectors; what TLS left. */
#include "pair.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/uio.h>

TEST(a_vector_is_one_packet_and_waits_for_nothing_more) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        block(pair.server);
        struct iovec out[2] = {{"first ", 6}, {"second", 6}};
        CHECK_INT(Socket_sendv(pair.client, out, 2), 12);
        char one[4], two[3], rest[100];
        struct iovec in[4] = {{one, 4}, {NULL, 0}, {two, 3}, {rest, 100}};
        // The record does not fill the last one, and nobody sends more.
        CHECK_INT(Socket_recvv(pair.server, in, 4), 12);
        CHECK_MEM(one, "firs", 4);
        CHECK_MEM(two, "t s", 3);
        CHECK_MEM(rest, "econd", 5);
        // Exactly full: what comes next is not waited for.
        CHECK_INT(Socket_sendv(pair.client, out, 2), 12);
        in[3].iov_len = 5;
        CHECK_INT(Socket_recvv(pair.server, in, 4), 12);
        CHECK_INT(Socket_sendv(pair.client, out, 2), 12);
        struct iovec halves[2] = {{one, 4}, {two, 2}};
        CHECK_INT(Socket_recvv(pair.server, halves, 2), 6);
        CHECK_INT(Socket_recvv(pair.server, halves, 2), 6);
        SocketStats_T stats;
        Socket_getstats(pair.server, &stats);
        CHECK_INT(stats.packets_received, 4);
        CHECK_INT(stats.bytes_received, 36);
        Socket_getstats(pair.client, &stats);
        CHECK_INT(stats.packets_sent, 3);
        CHECK_INT(stats.bytes_sent, 36);
        free_pair(&pair);
    }
}

struct whole {
    Socket_T socket;
    struct iovec *iov;
    size_t size;
};

static void *receive_whole(void *arg) {
    struct whole *w = arg;
    CHECK_INT(Socket_recvvall(w->socket, w->iov, 2), w->size);
    return NULL;
}

TEST(whole_vectors_and_files_on_blocking_sockets) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        block(pair.client);
        block(pair.server);
        size_t size = (size_t)small(1 << 20, 1 << 17);
        char *from = alloc(size), *to = alloc(size);
        fill_pattern(from, size, 0);
        struct iovec out[3] = {{from, 100}, {from + 100, size - 200}, {from + size - 100, 100}}, before[3];
        struct iovec in[2] = {{to, 5000}, {to + 5000, size - 5000}};
        memcpy(before, out, sizeof out);
        struct whole w = {pair.server, in, size};
        pthread_t thread;
        pthread_create(&thread, NULL, receive_whole, &w);
        CHECK_INT(Socket_sendvall(pair.client, out, 3), size);
        pthread_join(thread, NULL);
        CHECK_MEM(out, before, sizeof out);
        CHECK_INT(find_pattern_error(to, size, 0), -1);

        char path[300];
        snprintf(path, sizeof path, "%s/file", temp_dir());
        int file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
        CHECK_INT(write(file, from, size), size);
        memset(to, 0, size);
        pthread_create(&thread, NULL, receive_whole, &w);
        off_t offset = 0;
        CHECK_INT(Socket_sendfileall(pair.client, file, &offset, size + 1), size);
        CHECK_INT(errno, 0);
        CHECK_INT(offset, size);
        pthread_join(thread, NULL);
        CHECK_INT(find_pattern_error(to, size, 0), -1);
        close(file);
        // What is read from a pipe cannot be put back, and TLS may not take it.
        int ends[2];
        CHECK_INT(pipe(ends), 0);
        CHECK_RAISES_ERRNO(Socket_sendfile(pair.client, ends[0], NULL, 10), Socket_Failed, ESPIPE);
        close(ends[0]);
        close(ends[1]);
        free_pair(&pair);
    }
}

TEST(budgets_of_time_see_what_tls_holds) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        block(pair.client);
        block(pair.server);
        char buf[16];
        WOULD_BLOCK(Socket_recvall_timeout(pair.server, buf, 4, 0));
        WOULD_BLOCK(Socket_recvall_timeout(pair.server, buf, 4, 1));
        CHECK_INT(Socket_sendall_timeout(pair.client, "abcdefgh", 8, 1000), 8);
        CHECK_INT(Socket_recvall_timeout(pair.server, buf, 4, 10000), 4);
        // The rest of the record is decrypted, and the kernel knows nothing of it.
        CHECK_INT(Socket_is_readable(pair.server), 1);
        CHECK_INT(Socket_recvall_timeout(pair.server, buf + 4, 4, 10000), 4);
        CHECK_MEM(buf, "abcdefgh", 8);
        CHECK_INT(Socket_is_readable(pair.server), 0);
        CHECK_INT(fcntl(Socket_fd(pair.server), F_GETFL) & O_NONBLOCK, 0);
        size_t size = 4 << 20;
        char *big = alloc(size);
        errno = 0;
        ssize_t n = Socket_sendall_timeout(pair.client, big, size, 20);
        CHECK_INT(errno, EAGAIN);
        CHECK(n > 0 && (size_t)n < size);
        struct iovec iov = {buf, 16};
        CHECK_INT(Socket_recvv_timeout(pair.server, &iov, 1, 10000), 16);
        free_pair(&pair);
    }
}

TEST(a_rate_counts_the_programs_bytes) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[4096] = "";
    Socket_setbandwidth(pair.client, 1000);
    CHECK_INT(Socket_send_limited(pair.client, buf, sizeof buf), 1000);
    await(pair.server, POLLIN);
    Socket_setbandwidth(pair.server, 600);
    CHECK_INT(Socket_recv_limited(pair.server, buf, sizeof buf), 600);
    Socket_setbandwidth(pair.server, 0);
    CHECK_INT(Socket_recv_limited(pair.server, buf, sizeof buf), 400);
    free_pair(&pair);
}

TEST(nothing_goes_beside_tls) {
    struct pair pair = friends(TLS1_3_VERSION);
    Socket_T a, b;
    SocketPair_new(SOCK_STREAM, &a, &b);
    char buf[4];
    int fds[1];
    size_t n;
    CHECK_RAISES_ERRNO(Socket_peek(pair.client, buf, sizeof buf), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_splice(pair.client, a, 10), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_splice(a, pair.client, 10), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_sendfds(pair.client, (int[]){0}, 1), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_recvfds(pair.client, fds, 1, &n), Socket_Failed, EOPNOTSUPP);
    CHECK_INT(fds[0], -1);
    CHECK_INT(n, 0);
    // On a copy of the descriptor TLS is not carried.
    Socket_T copy = Socket_dup(pair.client);
    CHECK_INT(socket_is_tls_enabled(copy), 0);
    CHECK_INT(socket_is_tls_enabled(pair.client), 1);
    Socket_free(&copy);
    Socket_free(&a);
    Socket_free(&b);
    free_pair(&pair);
}

/* TLS ends on both sides, and the server has sent this in the clear behind it, which the client has read ahead. */
static struct pair left_with(const char *text) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[10];
    CHECK_INT(SocketTLS_send(pair.server, "tls", 3), 3);
    CHECK_INT(SocketTLS_shutdown_send(pair.server), 1);
    CHECK_INT(write(Socket_fd(pair.server), text, strlen(text)), strlen(text));
    expect(pair.client, "tls");
    CHECK_RAISES_ERRNO(Socket_recv(pair.client, buf, 10), Socket_Closed, ECONNRESET);
    CHECK_INT(SocketTLS_disable(pair.client), 1);
    CHECK_INT(socket_is_tls_enabled(pair.client), 0);
    return pair;
}

TEST(every_receiving_call_gives_first_what_tls_left) {
    char one[4], two[100];
    struct iovec in[2] = {{one, 4}, {two, 100}};
    struct msghdr message = {.msg_iov = in, .msg_iovlen = 2};
    struct pair pair = left_with("left over");
    CHECK_INT(Socket_is_readable(pair.client), 1);
    CHECK_RAISES_ERRNO(Socket_peek(pair.client, two, 4), Socket_Failed, EOPNOTSUPP);
    CHECK_INT(Socket_recvv(pair.client, in, 2), 9);
    CHECK_MEM(one, "left", 4);
    CHECK_MEM(two, " over", 5);
    WOULD_BLOCK(Socket_recvv(pair.client, in, 2));
    CHECK_INT(Socket_is_readable(pair.client), 0);
    free_pair(&pair);

    pair = left_with("left over");
    CHECK_INT(Socket_recvmsg(pair.client, &message, 0), 9);
    CHECK_MEM(two, " over", 5);
    WOULD_BLOCK(Socket_recvmsg(pair.client, &message, 0));
    free_pair(&pair);

    // And on with what the kernel has.
    pair = left_with("left over");
    CHECK_INT(write(Socket_fd(pair.server), " and more", 9), 9);
    CHECK_INT(Socket_recvall(pair.client, two, 18), 18);
    CHECK_MEM(two, "left over and more", 18);
    CHECK_INT(Socket_send(pair.client, "plain", 5), 5);
    CHECK_INT(read(Socket_fd(pair.server), two, 100) > 0, 1);
    SocketStats_T stats;
    Socket_getstats(pair.client, &stats);
    CHECK_INT(stats.bytes_received, 21);
    free_pair(&pair);
}

TEST(programs_may_call_openssl_themselves) {
    struct pair pair = strangers(TLS1_3_VERSION);
    char buf[16];
    CHECK_PTR_NOT_NULL(socket_get_ssl(pair.client));
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(pair.client), SocketTLS_HandshakeFailed, ENOTCONN);
    acquaint(&pair);
    SSL *client = socket_validate_tls_ready(pair.client), *server = socket_get_ssl(pair.server);
    CHECK_PTR(client, socket_get_ssl(pair.client));
    CHECK_STR(SSL_get_version(client), "TLSv1.3");
    CHECK_INT(SSL_write(client, "hello", 5), 5);
    CHECK_INT(Socket_recv(pair.server, buf, sizeof buf), 5);
    int ret = SSL_read(server, buf, sizeof buf);
    errno = 0;
    CHECK_INT(socket_handle_ssl_error(pair.server, server, ret), 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(Socket_send(pair.client, "more", 4), 4);
    ret = SSL_read(server, buf, sizeof buf);
    errno = 0;
    CHECK_INT(socket_handle_ssl_error(pair.server, server, ret), 0);
    CHECK_INT(errno, 0);
    CHECK_INT(SocketTLS_shutdown_send(pair.client), 1);
    ret = SSL_read(server, buf, sizeof buf);
    CHECK_ERRNO(socket_handle_ssl_error(pair.server, server, ret), ECONNRESET);
    CHECK_ERRNO(socket_handle_ssl_error(pair.server, NULL, ret), EINVAL);
    SocketTLS_disable(pair.client);
    CHECK_PTR_NULL(socket_get_ssl(pair.client));
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(pair.client), Socket_Failed, EINVAL);
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(NULL), Socket_Failed, EINVAL);
    CHECK_PTR_NULL(socket_get_ssl(NULL));
    free_pair(&pair);

    pair = friends(TLS1_3_VERSION);
    server = socket_get_ssl(pair.server);
    CHECK_INT(write(Socket_fd(pair.client), "this is no record", 17), 17);
    ret = SSL_read(server, buf, sizeof buf);
    CHECK_ERRNO(socket_handle_ssl_error(pair.server, server, ret), EPROTO);
    free_pair(&pair);
}

TEST_MAIN
