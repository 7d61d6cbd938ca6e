/* Socket.h: binding, listening, accepting and connecting, and what errno and the two ends say afterwards. */
#include "sockets.h"

#include <netdb.h>
#include <stdio.h>

/* A port of 127.0.0.1 where nobody listens: taken, so that nobody else gets it. */
static Socket_T nobody(int *port) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, "127.0.0.1", 0);
    *port = Socket_getlocalport(s);
    return s;
}

TEST(a_bound_socket_knows_its_address) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    errno = 5;
    Socket_bind(s, "127.0.0.1", 0);
    CHECK_INT(errno, 0);
    CHECK_STR(Socket_getlocaladdr(s), "127.0.0.1");
    CHECK_CMP(Socket_getlocalport(s), >, 0);
    CHECK_INT(Socket_isbound(s), 1);
    CHECK_INT(Socket_islistening(s), 0);
    int on = 0;
    socklen_t len = sizeof on;
    getsockopt(Socket_fd(s), SOL_SOCKET, SO_REUSEADDR, &on, &len);
    CHECK_INT(on != 0, 1);
    Socket_free(&s);
}

TEST(wildcards_are_all_addresses) {
    const char *hosts[] = {NULL, "0.0.0.0", "::"};
    for (int i = 0; i < 3; i++) {
        Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_bind(s, hosts[i], 0);
        CHECK_INT(errno, 0);
        CHECK_STR(Socket_getlocaladdr(s), "0.0.0.0");
        Socket_free(&s);
        s = Socket_new(AF_INET6, SOCK_STREAM, 0);
        Socket_bind(s, hosts[i], 0);
        CHECK_INT(errno, 0);
        CHECK_STR(Socket_getlocaladdr(s), "::");
        Socket_free(&s);
    }
}

TEST(a_name_is_resolved_to_bind_to_it) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, "localhost", 0);
    CHECK_INT(errno, 0);
    CHECK_STR(Socket_getlocaladdr(s), "127.0.0.1");
    Socket_free(&s);
}

TEST(what_cannot_be_bound_to_returns_with_errno) {
    Socket_T first = listener();
    int port = Socket_getlocalport(first);
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, "127.0.0.1", port);
    CHECK_INT(errno, EADDRINUSE);
    CHECK_INT(Socket_isbound(s), 0);
    CHECK_CONTAINS(Socket_GetLastError(), "bind to 127.0.0.1:");
    CHECK_CONTAINS(Socket_GetLastError(), "Address already in use");
    CHECK_INT(Socket_geterrno(), EADDRINUSE);
    Socket_bind(s, "192.0.2.1", 0);
    CHECK_INT(errno, EADDRNOTAVAIL);
    Socket_bind(s, "::1", 0);
    CHECK_INT(errno, EAFNOSUPPORT);
    Socket_bind(s, "no name at all", 0);
    CHECK_INT(errno, EAI_FAIL);
    CHECK_CONTAINS(Socket_GetLastError(), "bind to no name at all:0 failed: ");
    // The kernel would choose a port by itself.
    CHECK_RAISES_ERRNO(Socket_listen(s, 5), Socket_Failed, EAI_FAIL, "not bound: bind to no name at all:0 failed");
    // And then it can be bound all the same.
    Socket_bind(s, "127.0.0.1", 0);
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isbound(s), 1);
    Socket_listen(s, 5);
    Socket_free(&s);
    s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    Socket_bind(s, NULL, 0);
    CHECK_INT(errno, EAFNOSUPPORT);
    Socket_free(&s);
    Socket_free(&first);
}

TEST(what_a_bind_or_listen_cannot_be_raises) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_bind(s, "127.0.0.1", 65536), Socket_Failed, EINVAL, "65536 is no port");
    CHECK_RAISES_ERRNO(Socket_bind(s, NULL, -1), Socket_Failed, EINVAL, "-1 is no port");
    Socket_bind(s, "127.0.0.1", 0);
    // A second time: the kernel's EINVAL.
    CHECK_RAISES_ERRNO(Socket_bind(s, "127.0.0.1", 0), Socket_Failed, EINVAL, "bind to 127.0.0.1:0");
    CHECK_RAISES_ERRNO(Socket_listen(s, 0), Socket_Failed, EINVAL, "backlog");
    CHECK_RAISES_ERRNO(Socket_listen(s, -5), Socket_Failed, EINVAL, "backlog");
    Socket_listen(s, 1000000);
    CHECK_INT(Socket_islistening(s), 1);
    Socket_free(&s);
    s = Socket_new(AF_INET, SOCK_DGRAM, 0);
    CHECK_RAISES_ERRNO(Socket_listen(s, 1), Socket_Failed, EOPNOTSUPP, "listen");
    CHECK_RAISES(Socket_accept(s), Socket_Failed);
    Socket_free(&s);
}

TEST(two_sockets_know_each_others_address) {
    Socket_T server = listener(), client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(client, "127.0.0.1", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isconnected(client), 1);
    CHECK_INT(fcntl(Socket_fd(client), F_GETFL) & O_NONBLOCK, 0);
    Socket_T accepted = Socket_accept(server);
    CHECK_PTR_NOT_NULL(accepted);
    CHECK_INT(fcntl(Socket_fd(accepted), F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(fcntl(Socket_fd(accepted), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_INT(Socket_isconnected(accepted), 1);
    CHECK_STR(Socket_getpeeraddr(client), "127.0.0.1");
    CHECK_STR(Socket_getlocaladdr(accepted), "127.0.0.1");
    CHECK_INT(Socket_getpeerport(client), Socket_getlocalport(server));
    CHECK_INT(Socket_getlocalport(accepted), Socket_getlocalport(server));
    CHECK_INT(Socket_getpeerport(accepted), Socket_getlocalport(client));
    CHECK_RAISES_ERRNO(Socket_connect(client, "127.0.0.1", 9), Socket_Failed, EISCONN, "already connected");
    CHECK_INT(Socket_debug_live_count(), 3);
    Socket_free(&accepted);
    Socket_free(&client);
    Socket_free(&server);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(six_has_its_own_addresses) {
    Socket_T server = Socket_new(AF_INET6, SOCK_STREAM, 0), client = Socket_new(AF_INET6, SOCK_STREAM, 0);
    Socket_bind(server, "::1", 0);
    if (errno == EADDRNOTAVAIL) SKIP("this host has no ::1");
    Socket_listen(server, 1);
    Socket_connect(client, "::1", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_STR(Socket_getpeeraddr(client), "::1");
    Socket_free(&client);
    Socket_free(&server);
}

TEST(a_refused_connect_returns_with_errno_and_can_be_repeated) {
    int port;
    Socket_T closed = nobody(&port), server = listener(), s = Socket_new(AF_INET, SOCK_STREAM, 0);
    for (int timeout = 0; timeout <= 30000; timeout += 30000) {
        SocketTimeouts_T timeouts = {.connect_timeout_ms = timeout};
        Socket_timeouts_set(s, &timeouts);
        Socket_connect(s, "127.0.0.1", port);
        CHECK_INT(errno, ECONNREFUSED);
        CHECK_INT(Socket_isconnected(s), 0);
        CHECK_CONTAINS(Socket_GetLastError(), "connect to 127.0.0.1:");
        CHECK_CONTAINS(Socket_GetLastError(), "Connection refused");
        CHECK_INT(fcntl(Socket_fd(s), F_GETFL) & O_NONBLOCK, 0);
    }
    Socket_connect(s, "127.0.0.1", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isconnected(s), 1);
    Socket_free(&s);
    Socket_free(&server);
    Socket_free(&closed);
}

TEST(a_connect_that_waits_leaves_the_mode) {
    int port;
    Socket_T closed = nobody(&port), server = listener(), s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_setnonblocking(s);
    Socket_connect(s, "127.0.0.1", port);
    CHECK_INT(errno, ECONNREFUSED);
    CHECK_INT(fcntl(Socket_fd(s), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    Socket_connect(s, "127.0.0.1", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isconnected(s), 1);
    CHECK_INT(fcntl(Socket_fd(s), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    Socket_free(&s);
    Socket_free(&server);
    Socket_free(&closed);
}

TEST(a_connect_that_does_not_wait_is_pending) {
    Socket_T server = listener(), s = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketTimeouts_T none = {0};
    Socket_timeouts_set(s, &none);
    Socket_setnonblocking(s);
    Socket_connect(s, "127.0.0.1", Socket_getlocalport(server));
    CHECK(errno == EINPROGRESS || errno == 0);
    CHECK_STR(Socket_getpeeraddr(s), "127.0.0.1");
    wait_writable(s);
    CHECK_INT(Socket_get_error(s), 0);
    CHECK_INT(Socket_isconnected(s), 1);
    CHECK_INT(Socket_getpeerport(s), Socket_getlocalport(server));
    Socket_free(&s);
    Socket_free(&server);
}

TEST(a_pending_connect_that_fails_can_be_repeated) {
    int port;
    Socket_T closed = nobody(&port), server = listener(), s = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketTimeouts_T none = {0}, some = {.connect_timeout_ms = 10000};
    Socket_timeouts_set(s, &none);
    Socket_setnonblocking(s);
    Socket_connect(s, "127.0.0.1", port);
    CHECK(errno == EINPROGRESS || errno == ECONNREFUSED);
    if (errno == EINPROGRESS) wait_writable(s);
    CHECK_INT(Socket_isconnected(s), 0);
    Socket_timeouts_set(s, &some);
    Socket_connect(s, "127.0.0.1", Socket_getlocalport(server));
    // The kernel may tell the old failure first.
    if (errno != 0) Socket_connect(s, "127.0.0.1", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isconnected(s), 1);
    Socket_free(&s);
    Socket_free(&server);
    Socket_free(&closed);
}

TEST(a_connect_that_nobody_answers_ends_in_time) {
    // A full queue: the kernel drops what comes, and the client waits.
    Socket_T server = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(server, "127.0.0.1", 0);
    Socket_listen(server, 1);
    SocketTimeouts_T timeouts = {.connect_timeout_ms = 50};
    Socket_T s[20];
    volatile int last = 0;
    int count = 0;
    while (count < 20 && last == 0) {
        s[count] = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_timeouts_set(s[count], &timeouts);
        Socket_connect(s[count], "127.0.0.1", Socket_getlocalport(server));
        last = errno;
        count++;
    }
    CHECK_INT(last, ETIMEDOUT);
    CHECK_INT(Socket_isconnected(s[count - 1]), 0);
    CHECK_CONTAINS(Socket_GetLastError(), "timed out");
    while (count > 0) Socket_free(&s[--count]);
    Socket_free(&server);
}

TEST(a_name_without_an_address_returns_with_errno) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(s, "no name at all", 80);
    CHECK_INT(errno, EAI_FAIL);
    CHECK_INT(Socket_isconnected(s), 0);
    CHECK_CONTAINS(Socket_GetLastError(), "connect to no name at all:80 failed: ");
    Socket_connect(s, "", 80);
    CHECK_INT(errno, EAI_FAIL);
    Socket_connect(s, "caf\xe9", 80);
    CHECK_INT(errno, EAI_FAIL);
    Socket_connect(s, "::1", 80);
    CHECK_INT(errno, EAI_FAIL);
    CHECK_RAISES_ERRNO(Socket_connect(s, NULL, 80), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_connect(s, "127.0.0.1", 70000), Socket_Failed, EINVAL, "70000 is no port");
    CHECK_RAISES_ERRNO(Socket_connect(s, "127.0.0.1", -1), Socket_Failed, EINVAL, "-1 is no port");
    Socket_free(&s);
    s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_connect(s, "127.0.0.1", 80), Socket_Failed, EAFNOSUPPORT, "family");
    Socket_free(&s);
}

TEST(a_name_is_connected_to) {
    Socket_T server = listener(), s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(s, "localhost", Socket_getlocalport(server));
    CHECK_INT(errno, 0);
    CHECK_STR(Socket_getpeeraddr(s), "127.0.0.1");
    Socket_free(&s);
    Socket_free(&server);
}

TEST(texts_live_as_long_as_the_socket) {
    Socket_T s = Socket_new(AF_INET, SOCK_DGRAM, 0);
    Socket_connect(s, "127.0.0.1", 9);
    CHECK_INT(errno, 0);
    const char *first = Socket_getpeeraddr(s);
    for (int i = 2; i < 10; i++) {
        char host[32];
        snprintf(host, sizeof host, "127.0.0.%d", i);
        Socket_connect(s, host, 9);
        CHECK_STR(Socket_getpeeraddr(s), host);
    }
    CHECK_STR(first, "127.0.0.1");
    Socket_connect(s, "127.0.0.1", 9);
    CHECK_PTR(Socket_getpeeraddr(s), first);
    Socket_free(&s);
}

TEST_MAIN
