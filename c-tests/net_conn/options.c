/* struct conn_options: sizes, defaults, and what each member does. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"

#include <arpa/inet.h>
#include <math.h>
#include <netconn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Size ------------------------------------------------------------------------------------------------------------ */

TEST(the_defaults) {
    struct conn_options o = options();
    CHECK_INT(o.size, sizeof o);
    CHECK(o.resolve_timeout == 10);
    CHECK(o.connect_timeout == 10);
    CHECK(o.tls_timeout == 10);
    CHECK(o.deadline == 0);
    CHECK(o.attempt_delay == 0.25);
    CHECK_INT(o.family, AF_UNSPEC);
    CHECK_PTR_NULL(o.local_addr);
    CHECK_INT(o.local_addr_len, 0);
    CHECK_INT(o.nodelay, true);
    CHECK(o.keepalive == 0);
    CHECK_INT(o.use_tls, false);
    CHECK_INT(o.server_side, false);
    CHECK_PTR_NULL(o.tls);
    CHECK_PTR_NULL(o.server_name);
    CHECK_INT(o.allow_truncation, false);
    CHECK(o.on_socket == NULL);
    CHECK_PTR_NULL(o.socket_arg);
    conn_options_init(NULL); /* harmless */
}

static void refused_options(const struct conn_options *o) {
    CHECK_NULL_ERRNO(conn_new_with(test_loop(), "127.0.0.1", "80", o, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(conn_set_default_options(o), EINVAL);
}

TEST(a_size_of_zero_or_of_the_future) {
    struct conn_options o = options();
    o.size = 0;
    refused_options(&o);
    o.size = sizeof o + 1;
    refused_options(&o);
    o.size = (size_t)-1;
    refused_options(&o);
}

TEST(a_smaller_size_takes_defaults_for_the_rest) {
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    /* A program of an older header: what it does not know is whatever lies there. */
    memset((char *)&o + offsetof(struct conn_options, family), 0xff, sizeof o - offsetof(struct conn_options, family));
    o.size = offsetof(struct conn_options, family);
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "old header");
    o.size = sizeof o.size; /* nothing but the size */
    client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    /* In the middle of a member: it counts as not given. */
    o = options();
    o.deadline = NAN;
    o.size = offsetof(struct conn_options, deadline) + 4;
    client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
}

TEST(not_a_number) {
    struct conn_options o;
    double *const members[] = {&o.resolve_timeout, &o.connect_timeout, &o.tls_timeout, &o.deadline, &o.attempt_delay, &o.keepalive};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        o = options();
        *members[i] = NAN;
        refused_options(&o);
    }
}

TEST(numbers_of_every_kind_are_time_outs) {
    struct peer *peer = TLS_PEER(0);
    static const double values[] = {0, -1, -1e300, -HUGE_VAL, HUGE_VAL, 1e300, 1e18, 9e9};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct conn_options o = tls_options();
        o.resolve_timeout = o.connect_timeout = o.tls_timeout = o.deadline = o.attempt_delay = values[i];
        struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
        client_wait_ready(client);
        client_echo(client, "in time");
    }
}

TEST(server_side_is_for_adopted_sockets) {
    struct conn_options o = options();
    o.server_side = true;
    CHECK_NULL_ERRNO(conn_new_with(test_loop(), "127.0.0.1", "80", &o, NULL, NULL, NULL), EINVAL);
}

static void keep_line(int level, const char *message, void *line) {
    if (level == NETCONN_LOG_ERROR) snprintf(line, 200, "%s", message);
}

TEST(the_log_says_why_it_is_einval) {
    struct conn_options o = options();
    char line[200] = "";
    netconn_set_log(keep_line, line);
    o.size = 0;
    CHECK_NULL_ERRNO(conn_new_with(test_loop(), "127.0.0.1", "80", &o, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(line, "conn_options_init");
    CHECK_NULL_ERRNO(conn_new(test_loop(), NULL, "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_CONTAINS(line, "the host is NULL");
    netconn_set_log(NULL, NULL);
}

/* ---- The process's default options ------------------------------------------------------------------------------------- */

static int note_socket(int fd, void *count) {
    CHECK(fd >= 0);
    ++*(int *)count;
    return 0;
}

TEST(default_options_are_what_conn_new_uses) {
    struct peer *plain = PEER(0), *secure = TLS_PEER(0);
    int count = 0;
    char name[] = "a.test.example";
    struct conn_options o = tls_options();
    o.on_socket = note_socket;
    o.socket_arg = &count;
    o.server_name = name;
    CHECK_INT(conn_set_default_options(&o), 0);
    memset(name, 'x', sizeof name - 1); /* it was copied */
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "127.0.0.1", peer_port(secure), true, client_on_ready, client_on_error, client);
    client_wait_ready(client);
    CHECK_INT(count, 1);
    /* conn_new's own argument wins. */
    struct client *second = client_new(client->loop);
    second->c = conn_new(client->loop, "127.0.0.1", peer_port(plain), false, client_on_ready, client_on_error, second);
    client_wait_ready(second);
    CHECK(!conn_get_use_tls(second->c));
    CHECK_INT(count, 2);
    /* Options of NULL mean them, too. */
    struct client *third = client_open(client->loop, "127.0.0.1", peer_port(secure), NULL);
    client_wait_ready(third);
    CHECK(conn_get_use_tls(third->c));
    CHECK_INT(count, 3);
    CHECK_INT(conn_set_default_options(NULL), 0);
    struct client *fourth = client_open(client->loop, "127.0.0.1", peer_port(plain), NULL);
    client_wait_ready(fourth);
    CHECK_INT(count, 3);
}

/* ---- The socket -------------------------------------------------------------------------------------------------------- */

static int int_option(struct client *client, int level, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    CHECK_INT(getsockopt(conn_get_fd(client->c), level, name, &value, &len), 0);
    return value;
}

TEST(nodelay_and_keepalive) {
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    CHECK(int_option(client, IPPROTO_TCP, TCP_NODELAY));
    CHECK(!int_option(client, SOL_SOCKET, SO_KEEPALIVE));
    o.nodelay = false;
    o.keepalive = 77;
    client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    CHECK(!int_option(client, IPPROTO_TCP, TCP_NODELAY));
    CHECK(int_option(client, SOL_SOCKET, SO_KEEPALIVE));
#ifdef TCP_KEEPIDLE
    CHECK_INT(int_option(client, IPPROTO_TCP, TCP_KEEPIDLE), 77);
#endif
    o.keepalive = 1e12; /* more than the kernel takes: no reason to fail */
    client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
}

TEST(a_unix_socket_knows_no_tcp_options) {
    char name[64], host[80];
    snprintf(name, sizeof name, "@netconn-options-%d", (int)getpid());
    snprintf(host, sizeof host, "unix:%s", name);
    PEER(.family = AF_UNIX, .address = name);
    struct conn_options o = options();
    o.keepalive = 10;
    struct client *client = client_open(test_loop(), host, NULL, &o);
    client_wait_ready(client);
}

TEST(the_family) {
    enter_world();
    set_hosts("127.0.0.1 both.test localhost\n::1 both.test localhost\n");
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    o.family = AF_INET;
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_ready(client);
    CHECK_INT(conn_get_timing(client->c)->attempts, 1);
    o.family = AF_INET6;
    peer = PEER(.family = AF_INET6);
    client = client_open(test_loop(), "both.test", peer_port(peer), &o);
    client_wait_ready(client);
    struct sockaddr_in6 address;
    socklen_t len = sizeof address;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), 0);
    CHECK_INT(address.sin6_family, AF_INET6);
}

static struct sockaddr_in ipv4(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    CHECK_INT(inet_pton(AF_INET, text, &address.sin_addr), 1);
    return address;
}

TEST(the_local_address) {
    struct peer *peer = PEER(0);
    struct sockaddr_in mine = ipv4("127.0.0.9"), got;
    struct conn_options o = options();
    o.local_addr = (struct sockaddr *)&mine;
    o.local_addr_len = sizeof mine;
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    memset(&mine, 0xff, sizeof mine); /* it was copied */
    client_wait_ready(client);
    socklen_t len = sizeof got;
    CHECK_INT(conn_local_addr(client->c, (struct sockaddr *)&got, &len), 0);
    CHECK_STR(inet_ntoa(got.sin_addr), "127.0.0.9");
}

TEST(a_local_address_of_another_family_is_left_alone) {
    struct sockaddr_in mine = ipv4("127.0.0.9");
    struct conn_options o = options();
    o.local_addr = (struct sockaddr *)&mine;
    o.local_addr_len = sizeof mine;
    struct client *client = client_open(test_loop(), "::1", peer_port(PEER(.family = AF_INET6)), &o);
    client_wait_ready(client);
}

TEST(a_local_address_that_is_not_ours) {
    struct peer *peer = PEER(0);
    struct sockaddr_in mine = ipv4("192.0.2.1");
    struct conn_options o = options();
    o.local_addr = (struct sockaddr *)&mine;
    o.local_addr_len = sizeof mine;
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CONNECT, EADDRNOTAVAIL);
}

TEST(a_local_address_that_is_none) {
    struct peer *peer = PEER(0);
    static const socklen_t lengths[] = {0, 1, 3, 100000, (socklen_t)-1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct sockaddr_in mine = ipv4("127.0.0.9");
        struct conn_options o = options();
        o.local_addr = (struct sockaddr *)&mine;
        o.local_addr_len = lengths[i];
        struct client *client = client_new(test_loop());
        errno = 0;
        client->c = conn_new_with(client->loop, "127.0.0.1", peer_port(peer), &o, client_on_ready, client_on_error, client);
        if (!client->c) {
            CHECK_INT(errno, EINVAL);
            continue;
        }
        client_wait_error(client);
        CHECK_INT(client->error, EINVAL);
    }
}

static int shrink_and_look(int fd, void *arg) {
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    int small_buffer = 4096;
    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&address, &len), ENOTCONN); /* before connect */
    CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small_buffer, sizeof small_buffer), 0);
    *(int *)arg = fd;
    return 0;
}

TEST(on_socket_sees_the_socket_before_it_connects) {
    struct peer *peer = PEER(0);
    int seen = -1;
    struct conn_options o = options();
    o.on_socket = shrink_and_look;
    o.socket_arg = &seen;
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    CHECK_INT(seen, conn_get_fd(client->c));
    CHECK_CMP(int_option(client, SOL_SOCKET, SO_RCVBUF), <=, 2 * 4096);
}

static int refuse_the_first(int fd, void *count) {
    (void)fd;
    return ++*(int *)count == 1 ? 13 : 0;
}

TEST(on_socket_refuses_one_address_and_the_others_go_on) {
    enter_world();
    set_hosts("127.0.0.1 two.test\n127.0.0.2 two.test\n");
    struct peer *one = PEER(.address = "127.0.0.1");
    PEER(.address = "127.0.0.2", .port = peer_port_number(one));
    int count = 0;
    struct conn_options o = options();
    o.on_socket = refuse_the_first;
    o.socket_arg = &count;
    struct client *client = client_open(test_loop(), "two.test", peer_port(one), &o);
    client_wait_ready(client);
    CHECK_INT(count, 2);
    client_echo(client, "by the other");
}

/* ---- Happy Eyeballs ------------------------------------------------------------------------------------------------------ */

TEST(the_next_address_after_the_attempt_delay) {
    enter_world();
    set_hosts("127.0.0.1 slow.test\n127.0.0.2 slow.test\n");
    int port = full_queue(AF_INET, "127.0.0.1", 0);
    struct peer *peer = PEER(.address = "127.0.0.2", .port = port);
    struct conn_options o = options();
    o.attempt_delay = 0.1;
    struct ev_loop *loop = test_loop();
    run_rounds(loop);
    struct client *client = client_open(loop, "slow.test", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "the second");
    if (conn_get_timing(client->c)->attempts == 2) /* the resolver gave the dead one first */
        CHECK_CMP(conn_get_timing(client->c)->connect, >=, 99 * 1000 * 1000);
    struct sockaddr_in got;
    socklen_t len = sizeof got;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&got, &len), 0);
    CHECK_STR(inet_ntoa(got.sin_addr), "127.0.0.2");
}

static int sockets_of_this_process(void) {
    int n = 0, type;
    for (int fd = 0; fd < 1024; fd++) {
        socklen_t len = sizeof type;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM) n++;
    }
    return n;
}

TEST(the_losers_of_the_race_are_closed) {
    enter_world();
    set_hosts("127.0.0.1 slow.test\n127.0.0.2 slow.test\n127.0.0.3 slow.test\n");
    int port = full_queue(AF_INET, "127.0.0.1", 0);
    full_queue(AF_INET, "127.0.0.2", port);
    struct peer *peer = PEER(.address = "127.0.0.3", .port = port);
    struct conn_options o = options();
    o.attempt_delay = 0.05;
    int before = sockets_of_this_process();
    struct client *client = client_open(test_loop(), "slow.test", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "x"); /* so that the peer has accepted */
    CHECK_INT(sockets_of_this_process(), before + 2); /* ours and the peer's */
    CHECK_CMP(conn_get_timing(client->c)->attempts, <=, 3);
}

TEST_MAIN
