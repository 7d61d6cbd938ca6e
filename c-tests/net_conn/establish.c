/* From conn_new to READY: every way to name a peer, every state on the way, and exactly one outcome. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Names of peers -------------------------------------------------------------------------------------------------- */

static void reaches(const char *host, const char *port, enum conn_state at_first) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, host, port, &o);
    CHECK_INT(client->c->state, at_first);
    client_wait_ready(client);
    CHECK_STR(conn_get_host(client->c), host);
    if (port) CHECK_STR(conn_get_port(client->c), port);
    CHECK(!conn_get_use_tls(client->c));
    client_echo(client, "hello");
    run_rounds(loop);
    CHECK_INT(client->ready, 1);
    CHECK_INT(client->errors, 0);
}

TEST(an_ipv4_literal) { reaches("127.0.0.1", peer_port(PEER(0)), CONN_CONNECTING); }
TEST(an_ipv6_literal) { reaches("::1", peer_port(PEER(.family = AF_INET6)), CONN_CONNECTING); }
TEST(an_ipv6_literal_in_brackets) { reaches("[::1]", peer_port(PEER(.family = AF_INET6)), CONN_CONNECTING); }
TEST(a_name) { reaches("localhost", peer_port(PEER(0)), CONN_RESOLVING); }

TEST(a_name_again_from_the_cache) {
    struct peer *peer = PEER(0);
    reaches("localhost", peer_port(peer), CONN_RESOLVING);
    reaches("localhost", peer_port(peer), CONN_RESOLVING);
    CHECK_INT(peer_accepted(peer), 2);
}

TEST(a_unix_path) {
    char path[200], host[210];
    snprintf(path, sizeof path, "%s/socket", temp_dir());
    snprintf(host, sizeof host, "unix:%s", path);
    PEER(.family = AF_UNIX, .address = path);
    reaches(host, NULL, CONN_CONNECTING);
}

TEST(a_unix_abstract_name) {
    char name[100], host[110];
    snprintf(name, sizeof name, "@netconn-test-%d", (int)getpid());
    snprintf(host, sizeof host, "unix:%s", name);
    PEER(.family = AF_UNIX, .address = name);
    reaches(host, NULL, CONN_CONNECTING);
}

TEST(a_unix_path_with_tls) {
    char path[200], host[210];
    snprintf(path, sizeof path, "%s/socket", temp_dir());
    snprintf(host, sizeof host, "unix:%s", path);
    PEER(.family = AF_UNIX, .address = path, .cert = CERT_GOOD, .key = CERT_GOOD_KEY);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    CHECK_NULL_ERRNO(conn_new_with(loop, host, NULL, &o, NULL, NULL, NULL), EINVAL); /* no name to verify */
    o.server_name = "localhost";
    struct client *client = client_open(loop, host, NULL, &o);
    client_wait_ready(client);
    client_echo(client, "through a file, under TLS");
}

TEST(a_service_name_and_the_default_ports) {
    if (access("/etc/services", R_OK) != 0) SKIP("needs the Debian package netbase");
    enter_world();
    set_hosts("127.0.0.1 web.test\n");
    PEER(.port = 80);
    PEER(.port = 443, .cert = CERT_GOOD, .key = CERT_GOOD_KEY);
    reaches("127.0.0.1", "http", CONN_CONNECTING);
    reaches("web.test", "http", CONN_RESOLVING);
    reaches("127.0.0.1", NULL, CONN_CONNECTING);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "127.0.0.1", NULL, &o);
    client_wait_ready(client);
    client_echo(client, "port 443");
}

TEST(a_name_that_is_not_ascii) {
    enter_world();
    set_hosts("127.0.0.1 xn--bcher-kva.test\n");
    reaches("b\xc3\xbc" "cher.test", peer_port(PEER(0)), CONN_RESOLVING);
}

TEST(a_name_with_a_trailing_dot) {
    enter_world();
    set_hosts("127.0.0.1 one.test one.test.\n");
    reaches("one.test.", peer_port(PEER(0)), CONN_RESOLVING);
}

/* ---- Several addresses ----------------------------------------------------------------------------------------------- */

TEST(the_second_address_when_the_first_refuses) {
    enter_world();
    set_hosts("127.0.0.2 two.test\n127.0.0.1 two.test\n");
    struct peer *peer = PEER(.address = "127.0.0.1");
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "two.test", peer_port(peer), &o);
    client_wait_ready(client);
    client_echo(client, "the other one");
    CHECK_CMP(conn_get_timing(client->c)->attempts, <=, 2);
    CHECK_CMP(conn_get_timing(client->c)->attempts, >=, 1);
}

TEST(ipv4_when_nobody_listens_on_ipv6) {
    enter_world();
    set_hosts("::1 both.test\n127.0.0.1 both.test\n");
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "both.test", peer_port(peer), &o);
    client_wait_ready(client);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), 0);
    CHECK_INT(address.ss_family, AF_INET);
    CHECK_INT(conn_get_timing(client->c)->attempts, 2);
}

/* ---- What a connection knows ----------------------------------------------------------------------------------------- */

TEST(the_addresses_of_both_ends) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, peer);
    struct sockaddr_in mine, theirs, kernel;
    socklen_t len = sizeof mine;
    CHECK_INT(conn_local_addr(client->c, (struct sockaddr *)&mine, &len), 0);
    CHECK_INT(len, sizeof mine);
    len = sizeof kernel;
    CHECK_INT(getsockname(conn_get_fd(client->c), (struct sockaddr *)&kernel, &len), 0);
    CHECK_INT(mine.sin_port, kernel.sin_port);
    len = sizeof theirs;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&theirs, &len), 0);
    CHECK_INT(theirs.sin_family, AF_INET);
    CHECK_INT(ntohs(theirs.sin_port), peer_port_number(peer));
    /* A short buffer is filled as far as it goes, as by getpeername. */
    struct sockaddr_in cut;
    memset(&cut, 0xee, sizeof cut);
    len = 4;
    CHECK_INT(conn_peer_addr(client->c, (struct sockaddr *)&cut, &len), 0);
    CHECK_INT(ntohs(cut.sin_port), peer_port_number(peer));
    CHECK_INT(((unsigned char *)&cut)[4], 0xee);
    CHECK_INT(len, sizeof theirs);
}

TEST(the_timing_of_the_phases) {
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "localhost", peer_port(peer), &o);
    client_wait_ready(client);
    const struct conn_timing *timing = conn_get_timing(client->c);
    CHECK_PTR_NOT_NULL(timing);
    CHECK_CMP(timing->resolve, >, 0);
    CHECK_CMP(timing->connect, >, 0);
    CHECK_CMP(timing->tls, >, 0);
    CHECK_CMP(timing->total, >=, timing->resolve + timing->connect + timing->tls);
    CHECK_CMP(timing->attempts, >=, 1);
    CHECK_CMP(timing->attempts, <=, 2); /* ::1 and 127.0.0.1 */
}

TEST(the_programs_own_pointer) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    CHECK_PTR_NULL(conn_get_data(client->c));
    int mine;
    conn_set_data(client->c, &mine);
    CHECK_PTR(conn_get_data(client->c), &mine);
    conn_set_data(client->c, NULL);
    CHECK_PTR_NULL(conn_get_data(client->c));
}

TEST(strings_are_copied) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    char host[20] = "127.0.0.1", port[8];
    snprintf(port, sizeof port, "%s", peer_port(peer));
    struct conn_options o = options();
    struct client *client = client_open(loop, host, port, &o);
    memset(host, 'x', sizeof host - 1);
    memset(port, 'x', sizeof port - 1);
    memset(&o, 0xff, sizeof o);
    client_wait_ready(client);
    CHECK_STR(client->c->host, "127.0.0.1");
    CHECK_STR(client->c->port, peer_port(peer));
}

TEST(the_callbacks_are_members) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    CHECK(client->c->on_ready == client_on_ready);
    CHECK(client->c->on_error == client_on_error);
    CHECK_PTR(client->c->cb_arg, client);
    CHECK(client->c->readable_cb == NULL);
    CHECK(client->c->writable_cb == NULL);
    int one, two;
    conn_set_readable_callback(client->c, client_on_ready, &one);
    CHECK(client->c->readable_cb == client_on_ready);
    CHECK_PTR(client->c->rw_arg, &one);
    conn_set_writable_callback(client->c, client_on_error, &two);
    CHECK(client->c->writable_cb == client_on_error);
    CHECK_PTR(client->c->rw_arg, &two);
    conn_set_readable_callback(client->c, NULL, NULL);
    conn_set_writable_callback(client->c, NULL, NULL);
    CHECK(client->c->readable_cb == NULL);
    CHECK(client->c->writable_cb == NULL);
}

/* ---- The states on the way ------------------------------------------------------------------------------------------- */

/* Accepts TCP at once; the handshake waits for the gate. */
static void serve_behind_gate(struct peer_conn *pc) {
    gate_wait(pc->arg);
    if (SSL_accept(pc->ssl) == 1) serve_echo(pc);
    else pc->ended = true;
}

BOTH_VERSIONS(each_state_in_its_order) {
    struct gate gate = GATE;
    struct peer *peer = TLS_PEER(version, .serve = serve_behind_gate, .arg = &gate, .no_handshake = true);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "localhost", peer_port(peer), &o);
    enum conn_state seen = client->c->state;
    CHECK_INT(seen, CONN_RESOLVING);
    while (!client->ready && !client->errors) {
        CHECK(evloop_run_once(loop, -1) >= 0);
        check_members(client->c);
        CHECK_CMP(client->c->state, >=, seen); /* never back */
        seen = client->c->state;
        if (seen == CONN_CONNECTING) CHECK(client->c->connect_timer != NULL);
        if (seen == CONN_TLS_HANDSHAKE) {
            CHECK(client->c->ssl != NULL);
            CHECK(client->c->connect_timer != NULL);
            CHECK(client->c->io_watcher != NULL);
            CHECK_PTR_NULL(conn_get_cipher(client->c));
            CHECK_ERRNO(conn_try_write(client->c, "x", 1), ENOTCONN);
            gate_open(&gate);
        }
    }
    CHECK(gate.open); /* the handshake was seen */
    client_wait_ready(client);
    client_echo(client, "at last");
}

TEST(connecting_is_seen_while_nobody_answers) {
    enter_world(); /* where no other traffic empties the queue */
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", port, &o);
    run_rounds(loop);
    CHECK_INT(client->c->state, CONN_CONNECTING);
    check_members(client->c);
    CHECK(client->c->fd >= 0);
    CHECK(client->c->io_watcher != NULL);
    CHECK(client->c->connect_timer != NULL);
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_try_write(client->c, &byte, 1), ENOTCONN);
    CHECK_ERRNO(conn_shutdown(client->c), ENOTCONN);
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    CHECK_ERRNO(conn_peer_addr(client->c, (struct sockaddr *)&address, &len), ENOTCONN);
    /* Our own end is there as soon as there is a socket. */
    struct sockaddr_in mine, kernel;
    len = sizeof mine;
    CHECK_INT(conn_local_addr(client->c, (struct sockaddr *)&mine, &len), 0);
    CHECK_INT(len, sizeof mine);
    CHECK_INT(getsockname(client->c->fd, (struct sockaddr *)&kernel, &len), 0);
    CHECK_INT(mine.sin_port, kernel.sin_port);
}

TEST(no_timer_where_no_limit_was_asked_for) {
    enter_world();
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    o.connect_timeout = 0;
    struct client *client = client_open(loop, "127.0.0.1", port, &o);
    run_rounds(loop);
    CHECK_INT(client->c->state, CONN_CONNECTING);
    CHECK(client->c->connect_timer == NULL);
}

static void set(void *flag) { *(bool *)flag = true; }

BOTH_VERSIONS(waiting_for_a_handshake_does_not_spin) {
    struct peer *peer = TLS_PEER(version, .serve = serve_stall, .no_handshake = true);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    RUN_UNTIL(loop, client->c->state == CONN_TLS_HANDSHAKE);
    bool over = false;
    int rounds = 0;
    struct evloop_timer *timer = evloop_timer_start(loop, 0.1, 0, set, &over);
    for (; !over; rounds++) CHECK(evloop_run_once(loop, -1) >= 0);
    evloop_timer_free(timer);
    CHECK_CMP(rounds, <, 20);
}

/* ---- Callbacks may be missing, the loop may be the default one ------------------------------------------------------- */

TEST(without_callbacks) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    struct net_conn *c = conn_new(loop, "127.0.0.1", peer_port(peer), false, NULL, NULL, NULL);
    CHECK_PTR_NOT_NULL(c);
    RUN_UNTIL(loop, conn_get_state(c) == CONN_READY);
    CHECK_INT(conn_try_write(c, "x", 1), 1);
    conn_close(c);
    c = conn_new(loop, "127.0.0.1", refused_port(), false, NULL, NULL, NULL);
    CHECK_PTR_NOT_NULL(c);
    RUN_UNTIL(loop, conn_get_state(c) == CONN_ERROR);
    CHECK_INT(conn_get_errno(c), ECONNREFUSED);
    conn_close(c);
}

TEST(on_the_default_loop) {
    struct peer *peer = PEER(0);
    struct client *client = client_new(evloop_get_default());
    client->c = conn_new(NULL, "127.0.0.1", peer_port(peer), false, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    client_wait_ready(client);
    client_echo(client, "default");
}

/* ---- evloop_run and the life of a connection ------------------------------------------------------------------------- */

static void close_it(struct client *client) { client_close(client); }

ALL_TRANSPORTS(the_loop_runs_until_the_connection_is_closed) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options_of(version);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    client->then_ready = close_it;
    evloop_run(loop);
    CHECK_INT(client->ready, 1);
    CHECK_PTR_NULL(client->c);
}

TEST(the_loop_ends_when_establishing_failed) {
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    struct client *client = client_open(loop, "127.0.0.1", refused_port(), &o);
    evloop_run(loop);
    CHECK_INT(client->errors, 1);
    evloop_run(loop); /* a connection in the state ERROR keeps nothing running */
    CHECK_INT(client->errors, 1);
}

TEST(an_unrefd_connection_does_not_keep_the_loop) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    conn_unref(client->c);
    conn_unref(client->c); /* idempotent */
    evloop_run(loop);
    CHECK_INT(client->c->state, CONN_READY);
    conn_ref(client->c);
    client_echo(client, "still there");
}

TEST(an_unrefd_connection_does_not_keep_the_loop_in_its_phases) {
    enter_world();
    set_name_server("127.0.0.1");
    dead_name_server("127.0.0.1");
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct conn_options o = options();
    struct ev_loop *loop = test_loop();
    struct client *resolving = client_open(loop, "slow.example", "80", &o);
    struct client *connecting = client_open(loop, "127.0.0.1", port, &o);
    conn_unref(resolving->c);
    conn_unref(connecting->c);
    evloop_run(loop); /* returns: nothing that keeps it running is left */
    CHECK_INT(resolving->c->state, CONN_RESOLVING);
    CHECK_INT(connecting->c->state, CONN_CONNECTING);
    CHECK_INT(resolving->errors + connecting->errors, 0);
}

/* ---- Closed before the outcome --------------------------------------------------------------------------------------- */

static void close_in_state(enum conn_state state, const char *host, const char *port, const struct conn_options *o) {
    struct ev_loop *loop = test_loop();
    run_rounds(loop); /* what the loop opens with its first use is open now */
    int fds = fd_count();
    struct client *client = client_open(loop, host, port, o);
    RUN_UNTIL(loop, client->c->state == state);
    client_close(client);
    evloop_run(loop); /* nothing is left to run */
    CHECK_INT(client->ready, 0);
    CHECK_INT(client->errors, 0);
    /* A lookup that was given up may still have a file open, in its thread. */
    if (state != CONN_RESOLVING) CHECK_NO_NEW_FDS(fds);
}

TEST(closed_while_resolving) {
    struct conn_options o = options();
    close_in_state(CONN_RESOLVING, "localhost", "80", &o);
}

TEST(closed_while_connecting) {
    enter_world();
    char port[8];
    snprintf(port, sizeof port, "%d", full_queue(AF_INET, NULL, 0));
    struct conn_options o = options();
    close_in_state(CONN_CONNECTING, "127.0.0.1", port, &o);
}

BOTH_VERSIONS(closed_in_the_handshake) {
    struct peer *peer = TLS_PEER(version, .serve = serve_stall, .no_handshake = true);
    struct ev_loop *loop = test_loop();
    struct conn_options o = tls_options();
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    RUN_UNTIL(loop, client->c->state == CONN_TLS_HANDSHAKE);
    client_close(client);
    evloop_run(loop);
    CHECK_INT(client->ready + client->errors, 0);
    peer_join(peer); /* it saw the end */
}

TEST(closed_right_after_the_call) {
    struct peer *peer = PEER(0);
    struct ev_loop *loop = test_loop();
    struct conn_options o = options();
    for (int i = 0; i < 20; i++) {
        struct client *client = client_open(loop, i % 2 ? "localhost" : "127.0.0.1", peer_port(peer), &o);
        client_close(client);
        CHECK_INT(client->ready + client->errors, 0);
    }
    evloop_run(loop);
}

ALL_TRANSPORTS(aborted_when_ready) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, version, peer);
    client_echo(client, "before");
    conn_abort(client->c);
    client->c = NULL;
    evloop_run(loop);
    peer_join(peer);
}

TEST(the_loop_freed_in_each_state) {
    enter_world();
    char full[8];
    snprintf(full, sizeof full, "%d", full_queue(AF_INET, NULL, 0));
    struct peer *plain = PEER(0), *stalling = TLS_PEER(0, .serve = serve_stall, .no_handshake = true);
    struct conn_options o = options(), tls = tls_options();
    int fds = fd_count();
    /* RESOLVING comes last: its lookup, given up, may have a file open in its thread. */
    for (int state = CONN_READY; state >= CONN_RESOLVING; state--) {
        if (state == CONN_RESOLVING) {
            peer_stop(plain);
            peer_stop(stalling);
            CHECK_NO_NEW_FDS(fds);
        }
        struct ev_loop *loop = evloop_new();
        CHECK_PTR_NOT_NULL(loop);
        const char *port = state == CONN_CONNECTING ? full : peer_port(state == CONN_TLS_HANDSHAKE ? stalling : plain);
        struct net_conn *c = conn_new_with(loop, state == CONN_RESOLVING ? "localhost" : "127.0.0.1", port,
                                           state == CONN_TLS_HANDSHAKE ? &tls : &o, NULL, NULL, NULL);
        CHECK_PTR_NOT_NULL(c);
        RUN_UNTIL(loop, c->state == (enum conn_state)state);
        evloop_free(loop);
    }
}

/* ---- What every fd of ours is ---------------------------------------------------------------------------------------- */

TEST(fds_are_nonblocking_and_close_on_exec) {
    struct ev_loop *loop = test_loop();
    struct client *client = ready_client(loop, 0, PEER(0));
    int fd = conn_get_fd(client->c);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

TEST_MAIN
