/* Socket.h: accepting, lists of addresses, helpers of one call, and what event handlers hear. */
#include "sockets.h"

#include "core/SocketEvent.h"

#include <netdb.h>
#include <stdio.h>

TEST(a_listener_that_does_not_block_has_nobody) {
    Socket_T server = listener();
    Socket_setnonblocking(server);
    CHECK_PTR_NULL(Socket_accept(server));
    CHECK_INT(errno, EAGAIN);
    errno = 0;
    CHECK_PTR_NULL(Socket_accept_timeout(server, -1));
    CHECK_INT(errno, EAGAIN);
    Socket_free(&server);
}

TEST(an_accept_waits_as_long_as_it_is_told) {
    Socket_T server = listener();
    errno = 0;
    CHECK_PTR_NULL(Socket_accept_timeout(server, 0));
    CHECK_INT(errno, EAGAIN);
    CHECK_PTR_NULL(Socket_accept_timeout(server, 1));
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(fcntl(Socket_fd(server), F_GETFL) & O_NONBLOCK, 0);
    Socket_T client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(client, "127.0.0.1", Socket_getlocalport(server));
    Socket_T accepted = Socket_accept_timeout(server, 10000);
    CHECK_PTR_NOT_NULL(accepted);
    CHECK_INT(fcntl(Socket_fd(accepted), F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(fcntl(Socket_fd(server), F_GETFL) & O_NONBLOCK, 0);
    Socket_free(&accepted);
    Socket_free(&client);
    Socket_free(&server);
}

TEST(lists_of_addresses_are_bound_and_connected_to) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *list = NULL;
    CHECK_INT(getaddrinfo("127.0.0.1", "0", &hints, &list), 0);
    Socket_T server = Socket_new(AF_INET, SOCK_STREAM, 0), client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind_with_addrinfo(server, list);
    CHECK_STR(Socket_getlocaladdr(server), "127.0.0.1");
    int port = Socket_getlocalport(server);
    ((struct sockaddr_in *)list->ai_addr)->sin_port = htons((uint16_t)port);
    // Nobody listens yet: this raises, unlike Socket_connect.
    CHECK_RAISES_ERRNO(Socket_connect_with_addrinfo(client, list), Socket_Failed, ECONNREFUSED, "refused");
    Socket_listen(server, 1);
    Socket_connect_with_addrinfo(client, list);
    CHECK_INT(Socket_isconnected(client), 1);
    CHECK_INT(Socket_getpeerport(client), port);
    Socket_T other = Socket_new(AF_INET, SOCK_STREAM, 0);
    // What another way of binding has done counts.
    Socket_bind(other, "127.0.0.1", port);
    CHECK_INT(errno, EADDRINUSE);
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct addrinfo one = {.ai_family = AF_INET, .ai_addr = (void *)&any, .ai_addrlen = sizeof any};
    Socket_bind_with_addrinfo(other, &one);
    Socket_listen(other, 1);
    Socket_free(&other);
    other = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_bind_with_addrinfo(other, list), Socket_Failed, EADDRINUSE, "in use");
    CHECK_RAISES_ERRNO(Socket_bind_with_addrinfo(other, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_connect_with_addrinfo(other, NULL), Socket_Failed, EINVAL, "NULL");
    Socket_free(&other);
    other = Socket_new(AF_INET6, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_connect_with_addrinfo(other, list), Socket_Failed, EAFNOSUPPORT, "family");
    Socket_free(&other);
    Socket_free(&client);
    Socket_free(&server);
    freeaddrinfo(list);
}

static const Except_T Handler_Failed = {&Handler_Failed, "the handler has failed"};

struct seen {
    int accepted, connected, fd, peer_port, local_port;
    int raises;
    char peer[64];
};

static void see(void *userdata, const SocketEventRecord *event) {
    struct seen *seen = userdata;
    CHECK_STR(event->component, "Socket");
    if (event->type == SOCKET_EVENT_ACCEPTED) seen->accepted++;
    if (event->type == SOCKET_EVENT_CONNECTED) seen->connected++;
    seen->fd = event->data.connection.fd;
    seen->peer_port = event->data.connection.peer_port;
    seen->local_port = event->data.connection.local_port;
    snprintf(seen->peer, sizeof seen->peer, "%s", event->data.connection.peer_addr);
    if (seen->raises) RAISE(Handler_Failed);
}

TEST(handlers_hear_of_connections) {
    struct seen seen = {0};
    CHECK_INT(SocketEvent_register(see, &seen), 0);
    Socket_T server = listener(), client = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(client, "127.0.0.1", Socket_getlocalport(server));
    CHECK_INT(seen.connected, 1);
    CHECK_INT(seen.fd, Socket_fd(client));
    CHECK_INT(seen.peer_port, Socket_getlocalport(server));
    CHECK_INT(seen.local_port, Socket_getlocalport(client));
    CHECK_STR(seen.peer, "127.0.0.1");
    Socket_T accepted = Socket_accept(server);
    CHECK_INT(seen.accepted, 1);
    CHECK_INT(seen.fd, Socket_fd(accepted));
    CHECK_INT(seen.peer_port, Socket_getlocalport(client));
    // What a handler raises goes to who accepts, and no socket is lost.
    Socket_T another = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(another, "127.0.0.1", Socket_getlocalport(server));
    seen.raises = 1;
    int before = Socket_debug_live_count(), fds = fd_count();
    CHECK_RAISES(Socket_accept(server), Handler_Failed);
    CHECK_INT(Socket_debug_live_count(), before);
    CHECK_NO_NEW_FDS(fds);
    CHECK_INT(SocketEvent_unregister(see, &seen), 0);
    Socket_free(&another);
    Socket_free(&accepted);
    Socket_free(&client);
    Socket_free(&server);
}

TEST(one_call_makes_a_listener_or_a_client) {
    Socket_T server = Socket_listen_tcp("127.0.0.1", 0, 5);
    CHECK_INT(Socket_islistening(server), 1);
    Socket_T client = Socket_connect_tcp("127.0.0.1", Socket_getlocalport(server), 10000);
    CHECK_INT(Socket_isconnected(client), 1);
    Socket_T other = Socket_new(AF_INET, SOCK_STREAM, 0);
    int state = Socket_connect_nonblocking(other, "127.0.0.1", Socket_getlocalport(server));
    CHECK(state == 0 || state == 1);
    wait_writable(other);
    CHECK_INT(Socket_isconnected(other), 1);
    CHECK_RAISES_ERRNO(Socket_connect_nonblocking(other, "localhost", 80), Socket_Failed, EINVAL, "localhost");
    CHECK_RAISES_ERRNO(Socket_listen_tcp("127.0.0.1", Socket_getlocalport(server), 5), Socket_Failed, EADDRINUSE, "in use");
    Socket_T copy = Socket_dup(client);
    CHECK_CMP(Socket_fd(copy), !=, Socket_fd(client));
    CHECK_INT(Socket_isconnected(copy), 1);
    Socket_free(&client);
    int spare = open("/dev/null", O_RDONLY);
    Socket_T placed = Socket_dup2(copy, spare);
    CHECK_INT(Socket_fd(placed), spare);
    CHECK_STR(Socket_getpeeraddr(placed), "127.0.0.1");
    CHECK_RAISES(Socket_dup2(copy, -1), Socket_Failed);
    Socket_free(&copy);
    Socket_T accepted = Socket_accept(server);
    CHECK_INT(Socket_send(placed, "on", 2), 2);
    char buf[2];
    CHECK_INT(Socket_recvall(accepted, buf, 2), 2);
    Socket_free(&placed);
    Socket_free(&accepted);
    Socket_free(&other);
    int port = Socket_getlocalport(server);
    Socket_free(&server);
    // Quietly, as Socket_connect: there is a socket, and it is not connected.
    client = Socket_connect_tcp("127.0.0.1", port, 10000);
    CHECK_INT(errno, ECONNREFUSED);
    CHECK_PTR_NOT_NULL(client);
    CHECK_INT(Socket_isconnected(client), 0);
    Socket_free(&client);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST_MAIN
