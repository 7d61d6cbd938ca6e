/*
 * Early data (0-RTT) in both roles: what goes out early, what goes out after the handshake, each byte once; what a server
 * reads first; and that a first flight which is sent again has no effect.
 */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/programs.h"
#include "../support/transports.h"
#include "netconn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Both ends on one loop, over a listener of the test's own -------------------------------------------------------- */

struct both {
    struct ev_loop *loop;
    int listener;
    char port[8];
    struct conn_options o;  /* the client's */
    struct conn_options so; /* the server's */
    struct client *client, *server;
};

static void close_fd(void *fd) { close((int)(intptr_t)fd); }
static void free_context(void *options) { netconn_tls_free(&((struct conn_options *)options)->tls); }

static int listen_on_loopback(char port[8]) {
    struct sockaddr_in where = {.sin_family = AF_INET};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
    CHECK_INT(listen(fd, 16), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&where, &len), 0);
    snprintf(port, 8, "%d", ntohs(where.sin_port));
    at_end(close_fd, (void *)(intptr_t)fd);
    return fd;
}

static void set_server(struct both *both, SocketTLSContext_T context) {
    CHECK_PTR_NOT_NULL(context);
    both->so.tls = context;
}

/* A client and a server that takes early data up to `max`; -1: that was told nothing about it. */
static struct both *both_ends(long max) {
    struct both *both = alloc(sizeof *both);
    both->loop = test_loop();
    both->o = tls_options();
    both->so = options();
    both->so.use_tls = both->so.server_side = true;
    both->o.tls_timeout = both->so.tls_timeout = slow(10);
    set_server(both, netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL));
    at_end(free_context, &both->so);
    if (max >= 0) CHECK_INT(netconn_tls_enable_early_data(both->so.tls, (uint32_t)max), 0);
    both->listener = listen_on_loopback(both->port);
    return both;
}

static struct both *early(struct both *both, const void *bytes, size_t len) {
    both->o.early_data = bytes;
    both->o.early_data_len = len;
    return both;
}

static int accept_one(struct both *both) {
    int fd = accept4(both->listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    return fd;
}

static void start(struct both *both) {
    both->client = client_open(both->loop, "127.0.0.1", both->port, &both->o);
    both->server = client_adopt(both->loop, accept_one(both), &both->so);
}

static void meet(struct both *both) {
    start(both);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
}

/* Closes both ends; sessions stay resumable. */
static void part(struct both *both) {
    client_close(both->client);
    client_close(both->server);
    run_rounds(both->loop);
}

/* A connection without early data, after which the client has tickets. */
static void get_tickets(struct both *both) {
    struct conn_options with = both->o;
    early(both, NULL, 0);
    meet(both);
    char byte;
    client_write(both->server, "t", 1);
    client_read(both->client, &byte, 1);
    part(both);
    both->o = with;
}

/* The server reads exactly these bytes and nothing more, which the client ends. */
static void server_gets(struct both *both, const void *bytes, size_t len) {
    char *got = alloc(len + 1);
    if (len > 0) client_read(both->server, got, len);
    CHECK_MEM(got, bytes, len);
    CHECK_INT(conn_shutdown(both->client->c), 0);
    CHECK_INT(client_read_some(both->server, got, 1), 0);
}

static void taken_early(struct both *both, size_t len) {
    CHECK(conn_session_reused(both->client->c));
    CHECK(conn_early_data_accepted(both->client->c));
    CHECK(conn_early_data_accepted(both->server->c));
    CHECK_INT(conn_early_data_len(both->server->c), len);
    CHECK_INT(conn_early_data_len(both->client->c), 0);
}

static void sent_afterwards(struct both *both) {
    CHECK(!conn_early_data_accepted(both->client->c));
    CHECK(!conn_early_data_accepted(both->server->c));
    CHECK_INT(conn_early_data_len(both->server->c), 0);
}

/* ---- Where it goes ----------------------------------------------------------------------------------------------------- */

TEST(the_first_connection_sends_it_after_the_handshake) {
    struct both *both = early(both_ends(0), "hello early world", 17);
    meet(both);
    CHECK(!conn_session_reused(both->client->c));
    sent_afterwards(both);
    server_gets(both, "hello early world", 17);
}

TEST(a_resumed_one_sends_it_early) {
    struct both *both = early(both_ends(0), "hello early world", 17);
    get_tickets(both);
    start(both);
    CHECK(!conn_early_data_accepted(both->client->c)); /* nothing is known before READY */
    CHECK_INT(conn_early_data_len(both->server->c), 0);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    taken_early(both, 17);
    CHECK_INT(conn_pending(both->server->c), 17);
    server_gets(both, "hello early world", 17);
    CHECK_INT(conn_early_data_len(both->server->c), 17); /* read or not */
    CHECK_INT(conn_pending(both->server->c), 0);
}

TEST(many_connections_one_after_another) {
    struct both *both = early(both_ends(0), "again", 5);
    get_tickets(both);
    int fds = fd_count();
    for (int i = 0; i < small(100, 10); i++) {
        meet(both);
        taken_early(both, 5);
        server_gets(both, "again", 5);
        client_write(both->server, "t", 1);
        char byte;
        client_read(both->client, &byte, 1);
        part(both);
        CHECK_NO_NEW_FDS(fds);
    }
}

TEST(more_follows_in_order) {
    struct both *both = early(both_ends(0), "one ", 4);
    get_tickets(both);
    meet(both);
    client_write(both->client, "two ", 4);
    client_write(both->server, "answer", 6);
    char got[8];
    client_read(both->server, got, 8);
    CHECK_MEM(got, "one two ", 8);
    client_read(both->client, got, 6);
    CHECK_MEM(got, "answer", 6);
}

static char piece[3];
static char collected[64];
static size_t collected_len;
static int dispatches;
static void collect(struct net_conn *c, void *arg) {
    (void)arg;
    dispatches++;
    ssize_t n = conn_try_read(c, piece, sizeof piece); /* one small read a callback */
    if (n <= 0) return;
    CHECK_CMP(collected_len + (size_t)n, <=, sizeof collected);
    memcpy(collected + collected_len, piece, (size_t)n);
    collected_len += (size_t)n;
}

TEST(the_readable_callback_fires_for_early_bytes) {
    struct both *both = early(both_ends(0), "0123456789", 10);
    get_tickets(both);
    start(both);
    conn_set_readable_callback(both->server->c, collect, NULL);
    RUN_UNTIL(both->loop, collected_len == 10);
    CHECK_MEM(collected, "0123456789", 10);
    CHECK_CMP(dispatches, >=, 4);
    taken_early(both, 10);
    int before = dispatches;
    run_rounds(both->loop);
    CHECK_CMP(dispatches - before, <=, 1); /* and rests when there are no more */
    client_write(both->client, "ab", 2);
    RUN_UNTIL(both->loop, collected_len == 12);
}

TEST(the_callback_set_after_ready_hears_of_them_too) {
    struct both *both = early(both_ends(0), "0123456789", 10);
    get_tickets(both);
    meet(both);
    run_rounds(both->loop);
    conn_set_readable_callback(both->server->c, collect, NULL);
    RUN_UNTIL(both->loop, collected_len == 10);
}

TEST(early_bytes_are_read_before_a_failure) {
    struct both *both = early(both_ends(0), "0123456789", 10);
    get_tickets(both);
    meet(both);
    struct linger reset = {1, 0};
    CHECK_INT(setsockopt(both->client->c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    int fd = dup(both->client->c->fd);
    CHECK(fd >= 0);
    CHECK_INT(shutdown(fd, SHUT_RDWR), 0); /* FIN without close_notify */
    close(fd);
    run_rounds(both->loop);
    char got[10];
    client_read(both->server, got, 4);
    client_read(both->server, got + 4, 6);
    CHECK_MEM(got, "0123456789", 10);
    CHECK_INT(client_read_some(both->server, got, 1), -1);
    CHECK_INT(errno, ECONNRESET);
}

/* ---- How much ---------------------------------------------------------------------------------------------------------- */

static void sizes(long max, size_t len, bool fits) {
    unsigned char *bytes = alloc(len);
    fill_pattern(bytes, len, 7);
    struct both *both = early(both_ends(max), bytes, len);
    get_tickets(both);
    meet(both);
    CHECK(conn_session_reused(both->client->c));
    if (fits)
        taken_early(both, len);
    else
        sent_afterwards(both);
    server_gets(both, bytes, len);
}

TEST(as_much_as_usual) { sizes(0, 16384, true); }
TEST(a_byte_more_than_usual) { sizes(0, 16385, false); }
TEST(one_byte) { sizes(1, 1, true); }
TEST(two_bytes_where_one_is_allowed) { sizes(1, 2, false); }
TEST(several_records) { sizes(100000, 100000, true); }
TEST(several_records_and_a_byte_too_many) { sizes(100000, 100001, false); }
TEST(the_most) { sizes(1 << 20, 1 << 20, true); }
TEST(far_too_much) { sizes(1 << 20, 3 << 20, false); }

TEST(a_limit_has_a_limit) {
    struct conn_options o = tls_options();
    CHECK_ERRNO(netconn_tls_enable_early_data(o.tls, (1 << 20) + 1), EINVAL);
    CHECK_CONTAINS(netconn_tls_error(), "1048576 bytes");
    CHECK_ERRNO(netconn_tls_enable_early_data(o.tls, UINT32_MAX), EINVAL);
    CHECK_ERRNO(netconn_tls_enable_early_data(NULL, 0), EINVAL);
    CHECK_ERRNO(netconn_tls_disable_early_data(NULL), EINVAL);
    CHECK_INT(netconn_tls_enable_early_data(o.tls, 1 << 20), 0);
    CHECK_INT(netconn_tls_disable_early_data(o.tls), 0);
    CHECK(!conn_early_data_accepted(NULL));
    CHECK_INT(conn_early_data_len(NULL), 0);
}

TEST(the_clients_own_limit) {
    struct both *both = early(both_ends(0), "12345", 5);
    CHECK_INT(netconn_tls_enable_early_data(both->o.tls, 4), 0);
    get_tickets(both);
    meet(both);
    CHECK(conn_session_reused(both->client->c));
    sent_afterwards(both);
    server_gets(both, "12345", 5);
    part(both);
    CHECK_INT(netconn_tls_enable_early_data(both->o.tls, 5), 0);
    get_tickets(both);
    meet(both);
    taken_early(both, 5);
    part(both);
    CHECK_INT(netconn_tls_disable_early_data(both->o.tls), 0);
    get_tickets(both);
    meet(both);
    CHECK(conn_session_reused(both->client->c));
    sent_afterwards(both);
    server_gets(both, "12345", 5);
}

/* ---- Turned down ------------------------------------------------------------------------------------------------------- */

TEST(a_server_that_was_told_nothing) {
    struct both *both = early(both_ends(-1), "12345", 5);
    get_tickets(both);
    meet(both);
    CHECK(conn_session_reused(both->client->c));
    sent_afterwards(both);
    server_gets(both, "12345", 5);
}

static void turned_down(size_t len, void (*between)(struct both *both)) {
    unsigned char *bytes = alloc(len);
    fill_pattern(bytes, len, 3);
    struct both *both = early(both_ends(1 << 20), bytes, len);
    get_tickets(both);
    between(both);
    for (int i = 0; i < 2; i++) {
        meet(both);
        sent_afterwards(both);
        server_gets(both, bytes, len);
        part(both);
    }
}

static void switch_off(struct both *both) { CHECK_INT(netconn_tls_disable_early_data(both->so.tls), 0); }
TEST(a_server_that_no_longer_takes_it) { turned_down(5, switch_off); }
TEST(a_server_that_no_longer_takes_much_of_it) { turned_down(1 << 20, switch_off); }

static void lower(struct both *both) { CHECK_INT(netconn_tls_enable_early_data(both->so.tls, 4), 0); }
TEST(a_server_with_a_lower_limit_than_it_promised) { turned_down(5, lower); }

static void other_server(struct both *both) {
    netconn_tls_free(&both->so.tls);
    set_server(both, netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL));
}
TEST(a_server_that_does_not_know_the_ticket) { turned_down(5, other_server); }

static void other_group(struct both *both) {
    if (!strstr(netconn_openssl(), "(system)")) SKIP("netconn has an OpenSSL of its own, whose SSL_CTX is not for the program's libssl");
    CHECK_INT(SSL_CTX_set1_groups_list(netconn_tls_ssl_ctx(both->so.tls), "P-384"), 1);
}
TEST(a_hello_retry_request) { turned_down(5, other_group); }
TEST(a_hello_retry_request_after_much) { turned_down(50000, other_group); }

BOTH_VERSIONS(no_more_than_a_version_has) {
    struct both *both = early(both_ends(0), "12345", 5);
    CHECK_INT(netconn_tls_set_versions(both->o.tls, version, version), 0);
    get_tickets(both);
    meet(both);
    CHECK(conn_session_reused(both->client->c));
    if (version == TLS1_3_VERSION)
        taken_early(both, 5);
    else
        sent_afterwards(both);
    server_gets(both, "12345", 5);
}

/* It cannot know what to do with the early records (RFC 8446, D.3): the connection fails, the next one is without. */
TEST(a_server_that_went_back_to_tls_1_2) {
    struct both *both = early(both_ends(0), "12345", 5);
    get_tickets(both);
    CHECK_INT(netconn_tls_set_versions(both->so.tls, 0x0303, 0x0303), 0);
    start(both);
    client_wait_error(both->client);
    CHECK_FAILED_WITH(both->client, CONN_ERR_TLS, EPROTO);
    client_wait_error(both->server);
    part(both);
    meet(both);
    CHECK_STR(conn_get_tls_version(both->client->c), "TLSv1.2");
    sent_afterwards(both);
    server_gets(both, "12345", 5);
}

static const char *const one_protocol[] = {"one"}, *const two_protocols[] = {"two", "one"};
TEST(another_protocol_is_another_session) {
    struct both *both = early(both_ends(0), "12345", 5);
    CHECK_INT(netconn_tls_set_alpn(both->so.tls, two_protocols, 2), 0);
    CHECK_INT(netconn_tls_set_alpn(both->o.tls, one_protocol, 1), 0);
    get_tickets(both);
    meet(both);
    CHECK_STR(conn_get_alpn(both->client->c), "one");
    taken_early(both, 5);
    part(both);
    CHECK_INT(netconn_tls_set_alpn(both->o.tls, two_protocols, 2), 0);
    meet(both);
    CHECK(!conn_session_reused(both->client->c));
    CHECK_STR(conn_get_alpn(both->client->c), "two");
    sent_afterwards(both);
    server_gets(both, "12345", 5);
}

/* ---- Other ways to open ------------------------------------------------------------------------------------------------ */

TEST(on_a_socket_of_the_programs) {
    struct both *both = early(both_ends(0), "12345", 5);
    both->o.server_name = "localhost";
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(both->port))};
        where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0);
        CHECK_INT(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
        both->client = client_adopt(both->loop, fd, &both->o);
        both->server = client_adopt(both->loop, accept_one(both), &both->so);
        client_wait_ready(both->client);
        client_wait_ready(both->server);
        if (i == 0)
            sent_afterwards(both);
        else
            taken_early(both, 5);
        client_write(both->server, "t", 1);
        char byte;
        client_read(both->client, &byte, 1);
        server_gets(both, "12345", 5);
        part(both);
    }
}

/* A plain connection, then TLS on it at both ends. */
static void start_plain(struct both *both) {
    struct conn_options plain = options();
    both->client = client_open(both->loop, "127.0.0.1", both->port, &plain);
    both->server = client_adopt(both->loop, accept_one(both), &plain);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    both->client->ready = both->server->ready = 0;
}

TEST(after_starttls) {
    struct both *both = early(both_ends(0), "12345", 5);
    for (int i = 0; i < 2; i++) {
        start_plain(both);
        CHECK_INT(conn_start_tls(both->server->c, &both->so, client_on_ready, client_on_error, both->server), 0);
        CHECK_INT(conn_start_tls(both->client->c, &both->o, client_on_ready, client_on_error, both->client), 0);
        client_wait_ready(both->client);
        client_wait_ready(both->server);
        if (i == 0)
            sent_afterwards(both);
        else
            taken_early(both, 5);
        client_write(both->server, "t", 1);
        char byte;
        client_read(both->client, &byte, 1);
        server_gets(both, "12345", 5);
        part(both);
    }
}

TEST(starttls_as_a_server_with_early_data_of_its_own) {
    struct both *both = both_ends(0);
    start_plain(both);
    both->so.early_data = "12345";
    both->so.early_data_len = 5;
    CHECK_ERRNO(conn_start_tls(both->server->c, &both->so, NULL, NULL, NULL), EINVAL);
    CHECK_INT(conn_get_state(both->server->c), CONN_READY);
}

TEST(the_options_are_copied) {
    char text[] = "12345";
    struct both *both = early(both_ends(0), text, 5);
    get_tickets(both);
    start(both);
    memset(text, 'x', 5);
    client_wait_ready(both->server);
    server_gets(both, "12345", 5);
}

TEST(bad_options) {
    struct both *both = early(both_ends(0), NULL, 5);
    CHECK_NULL_ERRNO(conn_new_with(both->loop, "127.0.0.1", both->port, &both->o, NULL, NULL, NULL), EINVAL);
    CHECK_ERRNO(conn_set_default_options(&both->o), EINVAL);
    int fds[2];
    tcp_pair(fds);
    both->so.early_data = "12345";
    both->so.early_data_len = 5;
    CHECK_NULL_ERRNO(conn_from_fd(both->loop, fds[0], &both->so, NULL, NULL, NULL), EINVAL);
    both->so.use_tls = false;
    CHECK_NULL_ERRNO(conn_from_fd(both->loop, fds[0], &both->so, NULL, NULL, NULL), EINVAL);
    CHECK_CMP(fcntl(fds[0], F_GETFD), >=, 0); /* still the caller's */
    close(fds[0]);
    close(fds[1]);
}

/* A program that was compiled with an older header gives a shorter struct. */
TEST(an_older_programs_options) {
    struct both *both = early(both_ends(0), (const void *)(uintptr_t)1, SIZE_MAX);
    both->o.size = offsetof(struct conn_options, early_data);
    meet(both);
    server_gets(both, "", 0);
}

/* ---- Plain ------------------------------------------------------------------------------------------------------------- */

static struct both *plain_ends(const void *bytes, size_t len) {
    struct both *both = alloc(sizeof *both);
    both->loop = test_loop();
    both->o = options();
    both->so = options();
    both->listener = listen_on_loopback(both->port);
    return early(both, bytes, len);
}

TEST(a_plain_connection_sends_it_first) {
    struct both *both = plain_ends("first ", 6);
    meet(both);
    sent_afterwards(both);
    client_write(both->client, "second", 6);
    server_gets(both, "first second", 12);
}

TEST(a_plain_socket_of_the_programs_too) {
    struct both *both = plain_ends("first ", 6);
    int fds[2];
    tcp_pair(fds);
    both->client = client_adopt(both->loop, fds[0], &both->o);
    both->server = client_adopt(both->loop, fds[1], &both->so);
    client_wait_ready(both->client);
    client_write(both->client, "second", 6);
    client_wait_ready(both->server);
    server_gets(both, "first second", 12);
}

enum { MUCH = 9000001 };
static unsigned char *much(void) {
    unsigned char *bytes = alloc(MUCH);
    fill_pattern(bytes, MUCH, 0);
    return bytes;
}

static void check_all_arrives(struct both *both, size_t more) {
    unsigned char *got = alloc(MUCH + more + 1);
    client_read(both->server, got, MUCH + more);
    CHECK_INT(find_pattern_error(got, MUCH + more, 0), -1);
    CHECK_INT(client_read_some(both->server, got, 1), 0);
}

TEST(what_the_kernel_does_not_take_of_a_plain_one_goes_later) {
    struct both *both = plain_ends(much(), MUCH);
    meet(both);
    unsigned char next[100];
    fill_pattern(next, sizeof next, MUCH);
    CHECK_ERRNO(conn_try_write(both->client->c, next, sizeof next), EAGAIN); /* not before the others */
    struct iovec iov = {next, sizeof next};
    CHECK_ERRNO(conn_try_writev(both->client->c, &iov, 1), EAGAIN);
    size_t half = MUCH / 2;
    unsigned char *got = alloc(MUCH + 1);
    client_read(both->server, got, half);
    client_read(both->server, got + half, MUCH - half);
    CHECK_INT(find_pattern_error(got, MUCH, 0), -1);
    client_write(both->client, next, sizeof next);
    client_read(both->server, got, sizeof next);
    CHECK_INT(find_pattern_error(got, sizeof next, MUCH), -1);
    client_write(both->server, "back", 4);
    client_read(both->client, got, 4);
    CHECK_MEM(got, "back", 4);
}

TEST(starttls_and_detach_wait_for_the_first_bytes_of_a_plain_one) {
    struct both *both = plain_ends(much(), MUCH);
    meet(both);
    struct conn_options o = tls_options();
    o.server_name = "localhost";
    CHECK_ERRNO(conn_start_tls(both->client->c, &o, NULL, NULL, NULL), EBUSY);
    CHECK_ERRNO(conn_detach(both->client->c), EBUSY);
    CHECK_INT(conn_get_state(both->client->c), CONN_READY);
    unsigned char *got = alloc(MUCH);
    client_read(both->server, got, MUCH);
    CHECK_INT(find_pattern_error(got, MUCH, 0), -1);
    run_rounds(both->loop);
    int fd = conn_detach(both->client->c);
    CHECK(fd >= 0);
    both->client->c = NULL;
    close(fd);
}

TEST(half_closing_a_plain_one_meanwhile) {
    struct both *both = plain_ends(much(), MUCH);
    meet(both);
    CHECK_INT(conn_shutdown(both->client->c), 0);
    CHECK_ERRNO(conn_try_write(both->client->c, "x", 1), EPIPE);
    check_all_arrives(both, 0);
    CHECK_INT(conn_shutdown(both->server->c), 0);
    char byte;
    CHECK_INT(client_read_some(both->client, &byte, 1), 0);
    CHECK_INT(conn_get_state(both->client->c), CONN_CLOSED);
}

TEST(closing_a_plain_one_meanwhile) {
    struct both *both = plain_ends(much(), MUCH);
    meet(both);
    client_close(both->client);
    check_all_arrives(both, 0);
}

TEST(a_plain_peer_that_is_gone) {
    struct both *both = plain_ends(much(), MUCH);
    meet(both);
    struct linger reset = {1, 0};
    CHECK_INT(setsockopt(both->server->c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    client_close(both->server);
    RUN_UNTIL(both->loop, both->client->errors);
    CHECK_INT(conn_get_error(both->client->c), CONN_ERR_IO);
    CHECK_INT(conn_get_errno(both->client->c), ECONNRESET);
}

TEST(much_over_tls_that_the_kernel_does_not_take) {
    struct both *both = early(both_ends(0), much(), MUCH);
    meet(both);
    sent_afterwards(both);
    unsigned char next[100];
    fill_pattern(next, sizeof next, MUCH);
    CHECK_ERRNO(conn_try_write(both->client->c, next, sizeof next), EAGAIN);
    CHECK_INT(conn_shutdown(both->client->c), 0);
    check_all_arrives(both, 0);
}

TEST(much_over_tls_closed_at_once) {
    struct both *both = early(both_ends(0), much(), MUCH);
    meet(both);
    client_close(both->client);
    check_all_arrives(both, 0);
}

/* ---- A man in the middle ----------------------------------------------------------------------------------------------- */

/* Between the client and the server: keeps what the client sends, and passes it on in two parts. */
struct middle {
    struct both *both;
    int to_client, to_server;
    struct evloop_io *from_client, *from_server;
    unsigned char kept[1 << 16];
    size_t len;    /* kept */
    size_t passed; /* on to the server */
    size_t cut;    /* the rest waits from here on */
    size_t first;  /* what came in the first piece */
    bool answered; /* the server said something */
};

static void send_all(int fd, const void *bytes, size_t len) {
    for (const char *next = bytes; len > 0;) {
        ssize_t n = send(fd, next, len, MSG_NOSIGNAL);
        if (n < 0) {
            CHECK(errno == EPIPE || errno == ECONNRESET);
            return;
        }
        next += n;
        len -= (size_t)n;
    }
}

static void pass_on(struct middle *middle) {
    size_t until = middle->len < middle->cut ? middle->len : middle->cut;
    send_all(middle->to_server, middle->kept + middle->passed, until - middle->passed);
    middle->passed = until;
}

static void on_client_bytes(int fd, int events, void *arg) {
    struct middle *middle = arg;
    (void)events;
    ssize_t n = recv(fd, middle->kept + middle->len, sizeof middle->kept - middle->len, 0);
    if (n <= 0) {
        evloop_io_stop(middle->from_client);
        shutdown(middle->to_server, SHUT_WR);
        return;
    }
    if (middle->len == 0) middle->first = (size_t)n;
    middle->len += (size_t)n;
    pass_on(middle);
}

static void on_server_bytes(int fd, int events, void *arg) {
    struct middle *middle = arg;
    unsigned char buf[16384];
    (void)events;
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    if (n <= 0) {
        evloop_io_stop(middle->from_server);
        shutdown(middle->to_client, SHUT_WR);
        return;
    }
    middle->answered = true;
    send_all(middle->to_client, buf, (size_t)n);
}

static struct middle *start_through_a_middle(struct both *both, size_t cut) {
    struct middle *middle = alloc(sizeof *middle);
    memset(middle, 0, sizeof *middle);
    middle->both = both;
    middle->cut = cut;
    both->client = client_open(both->loop, "127.0.0.1", both->port, &both->o);
    middle->to_client = accept_one(both);
    int fds[2];
    tcp_pair(fds);
    middle->to_server = fds[0];
    both->server = client_adopt(both->loop, fds[1], &both->so);
    middle->from_client = evloop_io_start(both->loop, middle->to_client, EVLOOP_READ, on_client_bytes, middle);
    middle->from_server = evloop_io_start(both->loop, middle->to_server, EVLOOP_READ, on_server_bytes, middle);
    return middle;
}

static void end_middle(struct middle *middle) {
    evloop_io_free(middle->from_client);
    evloop_io_free(middle->from_server);
    close(middle->to_client);
    close(middle->to_server);
}

TEST(it_leaves_with_the_client_hello) {
    unsigned char bytes[3000];
    fill_pattern(bytes, sizeof bytes, 0);
    struct both *both = early(both_ends(0), bytes, sizeof bytes);
    get_tickets(both);
    struct middle *middle = start_through_a_middle(both, 0);
    RUN_UNTIL(both->loop, middle->len > 0);
    run_rounds(both->loop);
    CHECK(!middle->answered);
    CHECK_INT(middle->first, middle->len);                    /* in one send */
    CHECK_CMP(middle->first, >, sizeof bytes + 300);          /* hello and data */
    CHECK_INT(middle->kept[0], 22);                           /* handshake */
    CHECK_INT(conn_get_state(both->server->c), CONN_TLS_HANDSHAKE);
    middle->cut = sizeof middle->kept;
    pass_on(middle);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    taken_early(both, sizeof bytes);
    server_gets(both, bytes, sizeof bytes);
    end_middle(middle);
}

/* Where each byte of the client's is the last one that comes for a while: nothing is lost, doubled or given too early. */
static void cut_everywhere(void (*check)(struct both *both, size_t len), long max, bool disable, int step) {
    TEST_LIMIT(200);
    unsigned char bytes[40];
    fill_pattern(bytes, sizeof bytes, 0);
    struct both *both = early(both_ends(max), bytes, sizeof bytes);
    size_t total = 1;
    for (size_t cut = 1; cut <= total; cut += (size_t)step) {
        if (disable) CHECK_INT(netconn_tls_enable_early_data(both->so.tls, (uint32_t)max), 0);
        get_tickets(both);
        if (disable) CHECK_INT(netconn_tls_disable_early_data(both->so.tls), 0);
        struct middle *middle = start_through_a_middle(both, cut);
        RUN_UNTIL(both->loop, middle->len >= cut || both->server->ready);
        run_rounds(both->loop);
        if (!both->server->ready) CHECK_INT(conn_get_state(both->server->c), CONN_TLS_HANDSHAKE);
        middle->cut = sizeof middle->kept;
        pass_on(middle);
        client_wait_ready(both->client);
        client_wait_ready(both->server);
        check(both, sizeof bytes);
        server_gets(both, bytes, sizeof bytes);
        total = middle->len;
        end_middle(middle);
        part(both);
    }
    CHECK_CMP(total, >, 300);
}

static void check_after(struct both *both, size_t len) {
    (void)len;
    sent_afterwards(both);
}

TEST(each_byte_of_the_client_may_be_late) { cut_everywhere(taken_early, 0, false, small(1, 61)); }
TEST(each_byte_may_be_late_when_it_is_turned_down) { cut_everywhere(check_after, 64, true, small(5, 61)); }

/* Where each byte of the client's is the last one that ever comes: one outcome, and nothing is given to the program before
 * the handshake is complete. */
TEST(cut_off_after_each_byte) {
    TEST_LIMIT(200);
    unsigned char bytes[40];
    fill_pattern(bytes, sizeof bytes, 0);
    struct both *both = early(both_ends(0), bytes, sizeof bytes);
    int fds = fd_count();
    bool ready = false;
    for (size_t cut = 1; !ready; cut += (size_t)small(3, 67)) {
        CHECK_CMP(cut, <, 5000);
        get_tickets(both);
        struct middle *middle = start_through_a_middle(both, cut);
        RUN_UNTIL(both->loop, middle->len >= cut || both->server->ready);
        run_rounds(both->loop);
        end_middle(middle);
        RUN_UNTIL(both->loop, both->server->ready || both->server->errors);
        ready = both->server->ready;
        char got[sizeof bytes];
        if (ready) {
            client_read(both->server, got, sizeof got);
            CHECK_MEM(got, bytes, sizeof got);
        } else {
            CHECK_INT(both->server->errors, 1);
            CHECK_ERRNO(conn_try_read(both->server->c, got, sizeof got), ENOTCONN);
            CHECK_INT(conn_early_data_len(both->server->c), 0);
            CHECK_INT(conn_pending(both->server->c), 0);
        }
        part(both);
        CHECK_NO_NEW_FDS(fds);
    }
}

/* ---- Sent again -------------------------------------------------------------------------------------------------------- */

/* Sends a recorded flight to the server once more: how many of its early bytes the program gets to see. */
static void replay(struct both *both, const void *flight, size_t len) {
    int fds[2];
    tcp_pair(fds);
    struct client *victim = client_adopt(both->loop, fds[1], &both->so);
    conn_set_readable_callback(victim->c, collect, NULL);
    size_t before = collected_len;
    send_all(fds[0], flight, len);
    /* The server answers with a whole handshake of its own, for which the copyist has no keys. */
    struct pollfd answered = {fds[0], POLLIN, 0};
    while (poll(&answered, 1, 0) == 0) CHECK(evloop_run_once(both->loop, 10) >= 0);
    run_rounds(both->loop);
    char byte;
    CHECK_INT(victim->ready, 0);
    CHECK_INT(conn_get_state(victim->c), CONN_TLS_HANDSHAKE);
    CHECK_INT(conn_early_data_len(victim->c), 0);
    CHECK_INT(conn_pending(victim->c), 0);
    CHECK_ERRNO(conn_try_read(victim->c, &byte, 1), ENOTCONN);
    close(fds[0]);
    client_wait_error(victim);
    CHECK_INT(collected_len - before, 0);
    client_close(victim);
}

TEST(a_first_flight_that_is_sent_again_has_no_effect) {
    struct both *both = early(both_ends(0), "pay 100", 7);
    get_tickets(both);
    struct middle *middle = start_through_a_middle(both, 0);
    RUN_UNTIL(both->loop, middle->len > 0);
    run_rounds(both->loop);
    size_t flight = middle->len;
    middle->cut = sizeof middle->kept;
    pass_on(middle);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    taken_early(both, 7);
    server_gets(both, "pay 100", 7);
    for (int i = 0; i < 3; i++) replay(both, middle->kept, flight);
    replay(both, middle->kept, middle->len); /* with all that followed */
    part(both);
    replay(both, middle->kept, flight);
    end_middle(middle);
}

TEST(a_copy_that_overtakes_the_original_has_no_effect_either) {
    struct both *both = early(both_ends(0), "pay 100", 7);
    get_tickets(both);
    struct middle *middle = start_through_a_middle(both, 0);
    RUN_UNTIL(both->loop, middle->len > 0);
    run_rounds(both->loop);
    replay(both, middle->kept, middle->len); /* it uses the session up */
    middle->cut = sizeof middle->kept;
    pass_on(middle);
    client_wait_ready(both->client);
    client_wait_ready(both->server);
    sent_afterwards(both); /* and the client's own bytes come, once */
    server_gets(both, "pay 100", 7);
    end_middle(middle);
}

/* A child has a copy of the sessions, in which each is unused: what the parent takes, it must not take again. */
TEST(a_forked_child_takes_none_of_its_parents) {
    struct both *both = early(both_ends(0), "pay 100", 7);
    get_tickets(both);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        both->loop = evloop_new();
        meet(both);
        sent_afterwards(both);
        server_gets(both, "pay 100", 7);
        part(both);
        CHECK_INT(netconn_tls_enable_early_data(both->so.tls, 0), 0); /* its own from now on */
        meet(both);
        sent_afterwards(both);
        part(both);
        get_tickets(both);
        meet(both);
        taken_early(both, 7);
        part(both);
        evloop_free(both->loop);
        _exit(0);
    }
    int status;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK_INT(status, 0);
    meet(both); /* the parent's are as they were */
    taken_early(both, 7);
}

/* ---- Threads that share both contexts --------------------------------------------------------------------------------- */

struct sharing {
    const struct both *both;
    int listener;
    char port[8];
    int rounds, early;
    pthread_t thread;
};

static void run_to_ready(struct ev_loop *loop, struct net_conn *c) {
    while (conn_get_state(c) != CONN_READY) {
        if (conn_get_state(c) == CONN_ERROR) FAIL("%s", conn_get_error_msg(c));
        CHECK(evloop_run_once(loop, 10) >= 0);
    }
}

static void read_all(struct ev_loop *loop, struct net_conn *c, char *got, size_t len) {
    for (size_t n = 0; n < len;) {
        ssize_t more = conn_try_read(c, got + n, len - n);
        if (more > 0)
            n += (size_t)more;
        else {
            CHECK(more < 0 && errno == EAGAIN);
            CHECK(evloop_run_once(loop, 10) >= 0);
        }
    }
}

static void *share(void *arg) {
    struct sharing *sharing = arg;
    struct ev_loop *loop = evloop_new();
    CHECK(loop != NULL);
    for (int i = 0; i < sharing->rounds; i++) {
        struct net_conn *client = conn_new_with(loop, "127.0.0.1", sharing->port, &sharing->both->o, NULL, NULL, NULL);
        CHECK(client != NULL);
        struct net_conn *server = conn_from_fd(loop, accept4(sharing->listener, NULL, NULL, SOCK_CLOEXEC), &sharing->both->so, NULL, NULL, NULL);
        CHECK(server != NULL);
        run_to_ready(loop, client);
        run_to_ready(loop, server);
        CHECK_INT(conn_early_data_accepted(client), conn_early_data_len(server) == 5);
        sharing->early += conn_early_data_accepted(client);
        char got[5];
        read_all(loop, server, got, 5);
        CHECK_MEM(got, "12345", 5);
        CHECK_INT(conn_try_write(server, "t", 1), 1);
        read_all(loop, client, got, 1);
        conn_close(client);
        conn_close(server);
    }
    evloop_free(loop);
    return NULL;
}

TEST(threads_share_the_contexts) {
    enum { THREADS = 4 };
    struct both *both = early(both_ends(0), "12345", 5);
    struct sharing sharing[THREADS];
    for (int i = 0; i < THREADS; i++) {
        sharing[i] = (struct sharing){.both = both, .rounds = small(50, 5)};
        sharing[i].listener = listen_on_loopback(sharing[i].port);
    }
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&sharing[i].thread, NULL, share, &sharing[i]), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_join(sharing[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++) CHECK_INT(sharing[i].early, sharing[i].rounds - 1); /* all but the first */
}

/* ---- Callbacks that do something ------------------------------------------------------------------------------------- */

static void closes(struct client *client) { client_close(client); }

TEST(closing_in_on_ready) {
    struct both *both = early(both_ends(0), "12345", 5);
    get_tickets(both);
    start(both);
    both->client->then_ready = closes;
    client_wait_ready(both->server);
    char got[5];
    client_read(both->server, got, 5);
    CHECK_MEM(got, "12345", 5);
    CHECK_INT(client_read_some(both->server, got, 1), 0);
    CHECK_INT(both->client->ready, 1);
    part(both);
    get_tickets(both);
    start(both);
    both->server->then_ready = closes; /* with unread early bytes */
    RUN_UNTIL(both->loop, both->server->ready);
}

static struct client *to_end;
static bool abort_it;
static int called;
static void end_it(struct net_conn *c) {
    called++;
    if (abort_it)
        conn_abort(c);
    else
        conn_close(c);
}

static void end_readable(struct net_conn *c, void *arg) {
    (void)arg;
    char byte;
    CHECK_INT(conn_try_read(c, &byte, 1), 1);
    CHECK_INT(byte, '1');
    end_it(c);
}

static void ends_while_reading(bool abort) {
    struct both *both = early(both_ends(0), "12345", 5);
    get_tickets(both);
    abort_it = abort;
    int fds = fd_count();
    start(both);
    conn_set_readable_callback(both->server->c, end_readable, NULL);
    RUN_UNTIL(both->loop, called == 1);
    both->server->c = NULL;
    run_rounds(both->loop);
    CHECK_INT(called, 1);
    client_close(both->client);
    run_rounds(both->loop);
    CHECK_NO_NEW_FDS(fds);
}

TEST(closing_while_early_bytes_are_unread) { ends_while_reading(false); }
TEST(aborting_while_early_bytes_are_unread) { ends_while_reading(true); }

/* Runs inside the handshake, with early bytes behind it. */
static const char *end_in_alpn(const char *const *offered, size_t n, void *arg) {
    (void)n, (void)arg;
    if (to_end) {
        struct net_conn *c = to_end->c;
        to_end->c = NULL;
        end_it(c);
    }
    return offered[0];
}

static void ends_inside_the_handshake(bool abort) {
    struct both *both = early(both_ends(0), "12345", 5);
    CHECK_INT(netconn_tls_set_alpn(both->o.tls, one_protocol, 1), 0);
    CHECK_INT(netconn_tls_set_alpn_callback(both->so.tls, end_in_alpn, NULL), 0);
    get_tickets(both);
    abort_it = abort;
    int fds = fd_count();
    start(both);
    to_end = both->server;
    client_wait_error(both->client);
    CHECK_INT(called, 1);
    client_close(both->client);
    run_rounds(both->loop);
    CHECK_NO_NEW_FDS(fds);
    to_end = NULL;
    meet(both); /* the context goes on */
    server_gets(both, "12345", 5);
}

TEST(closing_inside_the_handshake) { ends_inside_the_handshake(false); }
TEST(aborting_inside_the_handshake) { ends_inside_the_handshake(true); }

TEST(freeing_the_loop_in_on_ready) {
    struct both *both = early(both_ends(0), "12345", 5);
    get_tickets(both);
    start(both);
    RUN_UNTIL(both->loop, both->server->ready); /* and the loop goes at the end, with all that is unread */
}

/* ---- Programs that no one here wrote -------------------------------------------------------------------------------- */

static char *read_file(const char *path) {
    char *text = alloc(65536);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(text, 1, 65535, file) : 0;
    if (file) fclose(file);
    text[n] = 0;
    return text;
}

static int occurrences(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

TEST(s_server_takes_it) {
    /* Quiet, it prints nothing but what it reads. */
    const char *port = start_s_server(CERT_GOOD, CERT_GOOD_KEY, "-tls1_3", "-early_data", "-quiet", NULL);
    char log[400];
    snprintf(log, sizeof log, "%s/s_server-%s.log", temp_dir(), port);
    struct conn_options o = tls_options();
    o.early_data = "[early bytes]";
    o.early_data_len = 13;
    for (int i = 0; i < 3; i++) {
        struct client *client = client_open(test_loop(), "127.0.0.1", port, &o);
        client_wait_ready(client);
        CHECK_INT(conn_session_reused(client->c), i > 0);
        CHECK_INT(conn_early_data_accepted(client->c), i > 0);
        client_write(client, "(later)", 7);
        CHECK_INT(conn_shutdown(client->c), 0);
        char byte;
        CHECK_INT(client_read_some(client, &byte, 1), 0);
        client_close(client);
    }
    const char *text = read_file(log);
    CHECK_INT(occurrences(text, "[early bytes](later)"), 3);
    CHECK_INT(occurrences(text, "early bytes"), 3);
}

/* Runs `openssl s_client` against the test's own server: its process, which ends when the server closes. */
static pid_t meet_s_client(struct both *both, const char *option, const char *file, const char *early_file) {
    static const char *const paths[] = {"/usr/bin/openssl", "/usr/local/bin/openssl", NULL};
    const char *program = NULL;
    for (int i = 0; paths[i] && !program; i++)
        if (access(paths[i], X_OK) == 0) program = paths[i];
    if (!program) SKIP("needs the Debian package openssl");
    char where[40];
    snprintf(where, sizeof where, "127.0.0.1:%s", both->port);
    const char *arguments[] = {program, "s_client", "-connect", where, "-tls1_3", "-quiet", option, file,
                               early_file ? "-early_data" : NULL, early_file, NULL};
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execv(program, (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    both->server = client_adopt(both->loop, accept_one(both), &both->so);
    client_wait_ready(both->server);
    return pid;
}

static void part_from(struct both *both, pid_t s_client) {
    client_close(both->server);
    run_rounds(both->loop);
    CHECK_INT(waitpid(s_client, NULL, 0), s_client);
}

TEST(s_client_sends_it) {
    struct both *both = both_ends(0);
    char session[300], bytes[300];
    snprintf(session, sizeof session, "%s/session.pem", temp_dir());
    snprintf(bytes, sizeof bytes, "%s/early", temp_dir());
    FILE *file = fopen(bytes, "w");
    CHECK(file != NULL);
    CHECK(fputs("early bytes of s_client", file) >= 0);
    CHECK_INT(fclose(file), 0);

    pid_t s_client = meet_s_client(both, "-sess_out", session, NULL);
    client_write(both->server, "t", 1);
    part_from(both, s_client);

    s_client = meet_s_client(both, "-sess_in", session, bytes);
    CHECK(conn_session_reused(both->server->c));
    CHECK(conn_early_data_accepted(both->server->c));
    CHECK_INT(conn_early_data_len(both->server->c), 23);
    char got[23];
    client_read(both->server, got, 23);
    CHECK_MEM(got, "early bytes of s_client", 23);
    part_from(both, s_client);

    /* The same session a second time: it was used. */
    s_client = meet_s_client(both, "-sess_in", session, bytes);
    CHECK(!conn_session_reused(both->server->c));
    CHECK_INT(conn_early_data_len(both->server->c), 0);
    part_from(both, s_client);
}

TEST_MAIN
