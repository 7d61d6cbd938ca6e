/* Establishing fails: each reason once, with its kind, its errno and one line that names what was tried. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"
#include "netconn.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct client *fails(const char *host, const char *port, const struct conn_options *o, enum conn_error kind, int error) {
    struct conn_options defaults = options();
    struct client *client = client_open(test_loop(), host, port, o ? o : &defaults);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, kind, error);
    /* Later calls say that there is no connection, for ever. */
    char byte;
    struct iovec piece = {&byte, 1};
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_writev(client->c, &piece, 1), ENOTCONN);
    CHECK_ERRNO(conn_shutdown(client->c), ENOTCONN);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_ERRNO(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), ENOTCONN);
    CHECK_INT(conn_pending(client->c), 0);
    run_rounds(client->loop);
    CHECK_INT(client->errors, 1);
    CHECK_INT(client->ready, 0);
    return client;
}

static const char *text(const char *format, const char *a, const char *b) {
    char *buf = alloc(1000);
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(buf, 1000, format, a, b);
    return buf;
}

/* ---- Nobody there ---------------------------------------------------------------------------------------------------- */

TEST(refused) {
    const char *port = refused_port();
    struct client *client = fails("127.0.0.1", port, NULL, CONN_ERR_CONNECT, ECONNREFUSED);
    CHECK_STR(client->message, text("connect to 127.0.0.1:%s failed: 127.0.0.1:%s Connection refused", port, port));
    CHECK_INT(conn_get_timing(client->c)->attempts, 1);
    CHECK_INT(client->verify, -1);
}

TEST(refused_on_ipv6) {
    enter_world();
    PEER(.family = AF_INET6); /* skips where there is no ::1 at all */
    struct client *client = fails("::1", "7", NULL, CONN_ERR_CONNECT, ECONNREFUSED);
    CHECK_STR(client->message, "connect to [::1]:7 failed: [::1]:7 Connection refused");
}

TEST(every_address_is_in_the_message) {
    enter_world();
    set_hosts("::1 many.test\n127.0.0.1 many.test\n127.0.0.2 many.test\n");
    struct client *client = fails("many.test", "7", NULL, CONN_ERR_CONNECT, ECONNREFUSED);
    CHECK_CONTAINS(client->message, "connect to many.test:7 failed: ");
    CHECK_CONTAINS(client->message, "[::1]:7 Connection refused");
    CHECK_CONTAINS(client->message, "127.0.0.1:7 Connection refused");
    CHECK_CONTAINS(client->message, "127.0.0.2:7 Connection refused");
    CHECK_CONTAINS(client->message, "; ");
    CHECK_INT(conn_get_timing(client->c)->attempts, 3);
}

TEST(unreachable) {
    enter_world_without_routes();
    struct client *client = fails("192.0.2.7", "80", NULL, CONN_ERR_CONNECT, ENETUNREACH);
    CHECK_STR(client->message, "connect to 192.0.2.7:80 failed: 192.0.2.7:80 Network is unreachable");
}

TEST(no_such_unix_socket) {
    const char *host = text("unix:%s/nobody%s", temp_dir(), "");
    struct client *client = fails(host, NULL, NULL, CONN_ERR_CONNECT, ENOENT);
    CHECK_CONTAINS(client->message, text("%s/nobody%s", temp_dir(), ""));
    CHECK_CONTAINS(client->message, "No such file or directory");
}

TEST(refused_by_a_unix_socket) {
    char path[200];
    snprintf(path, sizeof path, "%s/socket", temp_dir());
    struct peer *peer = PEER(.family = AF_UNIX, .address = path);
    peer_stop_listening(peer);
    fails(text("unix:%s%s", path, ""), NULL, NULL, CONN_ERR_CONNECT, ECONNREFUSED);
}

/* One free port in all, and a connection that has it. */
static struct client *take_the_only_port(struct peer *peer, struct ev_loop *loop) {
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "40001 40001", 11) != 11) SKIP("the range of local ports cannot be set");
    close(fd);
    struct conn_options o = options();
    struct client *first = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(first);
    return first;
}

TEST(out_of_ports) {
    enter_world();
    struct peer *peer = PEER(.port = 7);
    struct client *first = take_the_only_port(peer, test_loop());
    struct client *client = fails("127.0.0.1", "7", NULL, CONN_ERR_RESOURCE, EADDRNOTAVAIL);
    CHECK_CONTAINS(client->message, "127.0.0.1:7 Cannot assign requested address");
    client_echo(first, "unharmed");
}

/* ---- Names ----------------------------------------------------------------------------------------------------------- */

TEST(an_unknown_name) {
    enter_world();
    set_hosts("127.0.0.1 known.test\n");
    struct client *client = fails("unknown.test", "80", NULL, CONN_ERR_RESOLVE, EAI_NONAME);
    CHECK_CONTAINS(client->message, "unknown.test");
    CHECK_CONTAINS(client->message, gai_strerror(EAI_NONAME));
    CHECK_INT(conn_get_timing(client->c)->attempts, 0);
}

TEST(no_name_server) {
    enter_world(); /* in which no name server answers: port 53 of loopback is closed */
    set_name_server("127.0.0.1");
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "somewhere.example", "80", &o);
    client_wait_error(client);
    CHECK_INT(client->kind, CONN_ERR_RESOLVE);
    CHECK_INT(client->error, EAI_AGAIN);
    CHECK_CONTAINS(client->message, "somewhere.example");
}

TEST(names_that_cannot_be) {
    char label[80], name[400] = "";
    memset(label, 'a', 64);
    strcpy(label + 64, ".test");
    fails(label, "80", NULL, CONN_ERR_INVALID, EINVAL);
    for (int i = 0; i < 60; i++) strcat(name, "abcd.");
    strcat(name, "test");
    fails(name, "80", NULL, CONN_ERR_INVALID, EINVAL);
    fails("white space.test", "80", NULL, CONN_ERR_INVALID, EINVAL);
    fails("two..dots", "80", NULL, CONN_ERR_INVALID, EINVAL);
}

TEST(a_name_that_is_no_utf8) {
    struct conn_options o = options();
    struct client *client = client_new(test_loop());
    client->c = conn_new_with(client->loop, "not\xff\xfeutf8", "80", &o, client_on_ready, client_on_error, client);
    if (!client->c) { /* no string of this interface at all */
        CHECK_INT(errno, EINVAL);
        return;
    }
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_INVALID, EINVAL);
}

TEST(ports_that_cannot_be) {
    static const char *const ports[] = {"70000", "65536", "-1", "99999999999999999999", ""};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        struct client *client = fails("127.0.0.1", ports[i], NULL, CONN_ERR_INVALID, EINVAL);
        if (*ports[i]) CHECK_CONTAINS(client->message, ports[i]);
        fails("localhost", ports[i], NULL, CONN_ERR_INVALID, EINVAL);
    }
}

TEST(services_that_nobody_knows) {
    static const char *const ports[] = {"abc", "80x", " ", "no-such-service"};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        struct client *client = fails("127.0.0.1", ports[i], NULL, CONN_ERR_INVALID, EINVAL);
        CHECK_CONTAINS(client->message, ports[i]);
    }
}

TEST(a_unix_path_that_is_too_long) {
    char host[400] = "unix:/tmp/";
    while (strlen(host) < 300) strcat(host, "0123456789");
    fails(host, NULL, NULL, CONN_ERR_INVALID, ENAMETOOLONG);
    fails("unix:", NULL, NULL, CONN_ERR_INVALID, EINVAL);
}

/* Everything that the library has to say, one after the other. */
static void keep_heard(int level, const char *message, void *arg) {
    (void)level;
    strncat(arg, message, 4095 - strlen(arg));
}

/* ESC, CSI as one character of C1, a new line: what a terminal or a log file would obey. */
TEST(control_characters_reach_no_message) {
    char heard[4096] = "";
    netconn_set_log(keep_heard, heard);
    struct conn_options o = options();
    struct client *client = client_open(test_loop(), "evil\x1b[2J\xc2\x9b" "31m\n.test", "8\t0\r\n", &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_INVALID, EINVAL);
    const char *const texts[] = {conn_get_error_msg(client->c), heard};
    for (int i = 0; i < 2; i++) {
        CHECK_CONTAINS(texts[i], "evil");
        CHECK(strpbrk(texts[i], "\x1b\t\r\n") == NULL);
        CHECK(strstr(texts[i], "\xc2\x9b") == NULL);
    }
    client_close(client);
    netconn_set_log(NULL, NULL);
}

TEST(hosts_that_are_no_host_at_all) {
    CHECK_NULL_ERRNO(conn_new(NULL, NULL, "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_NULL_ERRNO(conn_new(NULL, "", "80", false, NULL, NULL, NULL), EINVAL);
    CHECK_NULL_ERRNO(conn_new(NULL, NULL, NULL, true, NULL, NULL, NULL), EINVAL);
}

TEST(an_address_of_the_wrong_family) {
    struct conn_options o = options();
    o.family = AF_INET6;
    struct client *client = client_open(test_loop(), "127.0.0.1", "80", &o);
    client_wait_error(client);
    CHECK(client->kind == CONN_ERR_INVALID || client->kind == CONN_ERR_RESOLVE);
}

/* ---- Too slow -------------------------------------------------------------------------------------------------------- */

static void takes_at_least(double start, double seconds) { CHECK(now() - start >= seconds); }

TEST(too_slow_to_resolve) {
    enter_world();
    set_name_server("127.0.0.1");
    dead_name_server("127.0.0.1");
    struct conn_options o = options();
    o.resolve_timeout = 0.2;
    double start = now();
    struct client *client = fails("slow.example", "80", &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    takes_at_least(start, 0.2);
    CHECK_CONTAINS(client->message, "slow.example");
}

TEST(the_deadline_covers_resolving) {
    enter_world();
    set_name_server("127.0.0.1");
    dead_name_server("127.0.0.1");
    struct conn_options o = options();
    o.deadline = 0.2;
    double start = now();
    fails("slow.example", "80", &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    takes_at_least(start, 0.2);
}

TEST(too_slow_to_connect) {
    enter_world();
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct conn_options o = options();
    o.connect_timeout = 0.2;
    double start = now();
    struct client *client = fails("127.0.0.1", port, &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    takes_at_least(start, 0.2);
    CHECK_CONTAINS(client->message, text("connect to 127.0.0.1:%s failed: 127.0.0.1:%s ", port, port));
}

TEST(too_slow_to_connect_to_any_of_several) {
    enter_world();
    set_hosts("127.0.0.1 slow.test\n127.0.0.2 slow.test\n127.0.0.3 slow.test\n");
    int port_number = full_queue(AF_INET, "127.0.0.1", 0);
    full_queue(AF_INET, "127.0.0.2", port_number); /* and 127.0.0.3 refuses */
    char port[8];
    snprintf(port, sizeof port, "%d", port_number);
    struct conn_options o = options();
    o.connect_timeout = 0.5;
    o.attempt_delay = 0.05;
    struct client *client = fails("slow.test", port, &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    CHECK_CONTAINS(client->message, text("connect to slow.test:%s failed: %s", port, ""));
    CHECK_CONTAINS(client->message, text("127.0.0.1:%s %s", port, ""));
    CHECK_CONTAINS(client->message, text("127.0.0.2:%s %s", port, ""));
    CHECK_CONTAINS(client->message, text("127.0.0.3:%s %s", port, "Connection refused"));
    CHECK_INT(conn_get_timing(client->c)->attempts, 3);
}

BOTH_VERSIONS(too_slow_in_the_handshake) {
    struct peer *peer = TLS_PEER(version, .serve = serve_stall, .no_handshake = true);
    struct conn_options o = tls_options();
    o.tls_timeout = 0.2;
    double start = now();
    struct client *client = fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    takes_at_least(start, 0.2);
    CHECK_CONTAINS(client->message, text("127.0.0.1:%s%s", peer_port(peer), ""));
    peer_join(peer); /* it saw the end */
}

TEST(the_deadline_covers_the_handshake) {
    struct peer *peer = TLS_PEER(0, .serve = serve_stall, .no_handshake = true);
    struct conn_options o = tls_options();
    o.deadline = 0.2;
    double start = now();
    fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TIMEOUT, ETIMEDOUT);
    takes_at_least(start, 0.2);
}

TEST(no_limit_fires_once_ready) {
    struct peer *peer = PEER(0);
    struct conn_options o = options();
    o.deadline = o.connect_timeout = o.resolve_timeout = slow(0.3);
    struct ev_loop *loop = test_loop();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    /* Well past each limit, by the loop's own clock. */
    double end = now() + slow(0.4);
    while (now() < end) CHECK(evloop_run_once(loop, 50) >= 0);
    CHECK_INT(client->errors, 0);
    client_echo(client, "still there");
}

/* ---- In the handshake ------------------------------------------------------------------------------------------------ */

static void reset_at_hello(struct peer_conn *pc) {
    char byte;
    if (recv(pc->fd, &byte, 1, 0) == 1) peer_reset(pc);
}

static void end_at_hello(struct peer_conn *pc) {
    char hello[4096];
    if (recv(pc->fd, hello, sizeof hello, 0) > 0) peer_truncate(pc);
}

TEST(a_reset_during_the_handshake) {
    struct conn_options o = tls_options();
    struct peer *peer = PEER(.serve = reset_at_hello);
    struct client *client = fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TLS, ECONNRESET);
    CHECK_CONTAINS(client->message, peer_port(peer));
}

TEST(an_end_during_the_handshake) {
    struct conn_options o = tls_options();
    struct peer *peer = PEER(.serve = end_at_hello);
    fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TLS, ECONNRESET);
}

static void speak_plain(struct peer_conn *pc) {
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    char hello[4096];
    if (recv(pc->fd, hello, sizeof hello, 0) > 0) peer_write(pc, answer, sizeof answer - 1);
}

TEST(a_server_without_tls) {
    struct conn_options o = tls_options();
    struct peer *peer = PEER(.serve = speak_plain);
    struct client *client = fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TLS, EPROTO);
    CHECK_CONTAINS(client->message, peer_port(peer));
}

TEST(a_server_of_tls_1_1_only) {
    struct conn_options o = tls_options();
    struct peer *peer = TLS_PEER(TLS1_1_VERSION, 0);
    fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_TLS, EPROTO);
}

/* ---- on_socket ------------------------------------------------------------------------------------------------------- */

static int refuse(int fd, void *count) {
    CHECK(fd >= 0);
    ++*(int *)count;
    return 42;
}

TEST(on_socket_refuses) {
    int count = 0;
    struct conn_options o = options();
    o.on_socket = refuse;
    o.socket_arg = &count;
    struct peer *peer = PEER(0);
    struct client *client = fails("127.0.0.1", peer_port(peer), &o, CONN_ERR_CONNECT, ECANCELED);
    CHECK_CONTAINS(client->message, "42");
    CHECK_INT(count, 1);
    CHECK_INT(peer_accepted(peer), 0);
}

/* ---- Nothing is left ------------------------------------------------------------------------------------------------- */

TEST(failures_leave_no_fd) {
    const char *port = refused_port();
    struct ev_loop *loop = test_loop();
    struct conn_options o = options(), tls = tls_options();
    struct peer *peer = PEER(.serve = reset_at_hello);
    run_rounds(loop);
    int fds = fd_count();
    for (int i = 0; i < small(50, 5); i++) {
        struct client *client = client_open(loop, "127.0.0.1", port, &o);
        client_wait_error(client);
        client_close(client);
        client = client_open(loop, "127.0.0.1", peer_port(peer), &tls);
        client_wait_error(client);
        client_close(client);
    }
    peer_join(peer);
    CHECK_NO_NEW_FDS(fds);
}

/* ---- What the getters say of no object ------------------------------------------------------------------------------- */

TEST(the_getters_before_an_error) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", refused_port(), &o);
    CHECK_PTR_NULL(conn_get_error_msg(client->c));
    CHECK_INT(conn_get_error(client->c), CONN_ERR_NONE);
    CHECK_INT(conn_get_errno(client->c), 0);
    CHECK_INT(conn_get_verify_result(client->c), -1);
    client_wait_error(client);
}

TEST_MAIN
