/*
 * plain.c - socket/SocketReconnect.h without TLS: connecting, bytes, ends, what cannot be asked.
 */
#include "client.h"

TEST(what_makes_no_client_raises) {
    static char host[257];
    memset(host, 'a', sizeof host - 1);
    CHECK_RAISES(SocketReconnect_new(NULL, 1, NULL, NULL, NULL), SocketReconnect_Failed);
    CHECK_INT(errno, EINVAL);
    CHECK_RAISES(SocketReconnect_new(host, 1, NULL, NULL, NULL), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_new("a", 0, NULL, NULL, NULL), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_new("a", -1, NULL, NULL, NULL), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_new("a", 65536, NULL, NULL, NULL), SocketReconnect_Failed);
    CHECK_CONTAINS(Socket_GetLastError(), "65536");
    host[255] = '\0';
    SocketReconnect_T conn = SocketReconnect_new(host, 65535, NULL, NULL, NULL);
    SocketReconnect_free(&conn);
    CHECK_PTR_NULL(conn);
    SocketReconnect_free(&conn);
    SocketReconnect_free(NULL);
}

TEST(a_client_that_is_gone_does_nothing) {
    SocketReconnect_T gone = SocketReconnect_new("127.0.0.1", 1, NULL, NULL, NULL), conn = gone;
    SocketReconnect_free(&conn);
    SocketReconnect_T none[] = {NULL, gone};
    for (int i = 0; i < 2; i++) {
        SocketReconnect_connect(none[i]);
        SocketReconnect_process(none[i]);
        SocketReconnect_tick(none[i]);
        SocketReconnect_reset(none[i]);
        SocketReconnect_disconnect(none[i]);
        SocketReconnect_set_health_check(none[i], NULL);
        CHECK_PTR_NULL(SocketReconnect_socket(none[i]));
        CHECK_INT(SocketReconnect_state(none[i]), RECONNECT_DISCONNECTED);
        CHECK_INT(SocketReconnect_isconnected(none[i]), 0);
        CHECK_INT(SocketReconnect_attempts(none[i]), 0);
        CHECK_INT(SocketReconnect_failures(none[i]), 0);
        CHECK_INT(SocketReconnect_pollfd(none[i]), -1);
        CHECK_INT(SocketReconnect_next_timeout_ms(none[i]), -1);
        CHECK_ERRNO(SocketReconnect_send(none[i], "x", 1), ENOTCONN);
        CHECK_ERRNO(SocketReconnect_recv(none[i], (char[1]){0}, 1), ENOTCONN);
    }
}

TEST(defaults_and_names) {
    SocketReconnect_Policy_T policy;
    memset(&policy, 0xff, sizeof policy);
    SocketReconnect_policy_defaults(&policy);
    CHECK_INT(policy.initial_delay_ms, SOCKET_RECONNECT_DEFAULT_INITIAL_DELAY_MS);
    CHECK_INT(policy.max_delay_ms, SOCKET_RECONNECT_DEFAULT_MAX_DELAY_MS);
    CHECK(policy.multiplier == SOCKET_RECONNECT_DEFAULT_MULTIPLIER);
    CHECK(policy.jitter == SOCKET_RECONNECT_DEFAULT_JITTER);
    CHECK_INT(policy.max_attempts, SOCKET_RECONNECT_DEFAULT_MAX_ATTEMPTS);
    CHECK_INT(policy.circuit_failure_threshold, SOCKET_RECONNECT_DEFAULT_CIRCUIT_THRESHOLD);
    CHECK_INT(policy.circuit_reset_timeout_ms, SOCKET_RECONNECT_DEFAULT_CIRCUIT_RESET_MS);
    CHECK_INT(policy.health_check_interval_ms, SOCKET_RECONNECT_DEFAULT_HEALTH_INTERVAL_MS);
    CHECK_INT(policy.health_check_timeout_ms, SOCKET_RECONNECT_DEFAULT_HEALTH_TIMEOUT_MS);
    SocketReconnect_policy_defaults(NULL);
    CHECK_STR(SocketReconnect_state_name(RECONNECT_DISCONNECTED), "DISCONNECTED");
    CHECK_STR(SocketReconnect_state_name(RECONNECT_CONNECTING), "CONNECTING");
    CHECK_STR(SocketReconnect_state_name(RECONNECT_CONNECTED), "CONNECTED");
    CHECK_STR(SocketReconnect_state_name(RECONNECT_BACKOFF), "BACKOFF");
    CHECK_STR(SocketReconnect_state_name(RECONNECT_CIRCUIT_OPEN), "CIRCUIT_OPEN");
    CHECK_STR(SocketReconnect_state_name((SocketReconnect_State)5), "UNKNOWN");
    CHECK_STR(SocketReconnect_state_name((SocketReconnect_State)-1), "UNKNOWN");
}

TEST(a_connection_is_made_used_and_ended) {
    struct peer *peer = PEER(.serve = serve_echo);
    int before = fd_count(), sockets = Socket_debug_live_count();
    SocketReconnect_T conn = client(peer_port(peer), quick());
    CHECK_INT(SocketReconnect_pollfd(conn), -1);
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), -1);
    CHECK_ERRNO(SocketReconnect_send(conn, "x", 1), ENOTCONN);
    SocketReconnect_connect(conn);
    CHECK_CMP(SocketReconnect_attempts(conn), <=, 1);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    Socket_T socket = SocketReconnect_socket(conn);
    CHECK_PTR_NOT_NULL(socket);
    CHECK_INT(Socket_fd(socket), SocketReconnect_pollfd(conn));
    CHECK_STR(Socket_getpeeraddr(socket), "127.0.0.1");
    CHECK_INT(Socket_getpeerport(socket), peer_port_number(peer));
    CHECK_INT(Socket_isconnected(socket), 1);

    /* Nothing is there: that is no end. */
    char byte;
    CHECK_ERRNO(SocketReconnect_recv(conn, &byte, 1), EAGAIN);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    SocketReconnect_process(conn);
    SocketReconnect_tick(conn);
    SocketReconnect_connect(conn);
    echo(conn, "hello");
    CHECK_INT(SocketReconnect_send(conn, "", 0), 0);
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), -1);

    SocketReconnect_disconnect(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_DISCONNECTED);
    CHECK_PTR_NULL(SocketReconnect_socket(conn));
    CHECK_INT(SocketReconnect_pollfd(conn), -1);
    SocketReconnect_disconnect(conn);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    echo(conn, "again");
    SocketReconnect_free(&conn);
    CHECK_STR(life, "DISCONNECTED CONNECTING CONNECTED DISCONNECTED CONNECTING CONNECTED ");
    CHECK_INT(Socket_debug_live_count(), sockets);
    peer_stop(peer);
    CHECK_CMP(fd_count(), <=, before);
}

TEST(a_host_by_its_name) {
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    life[0] = '\0';
    SocketReconnect_T conn = SocketReconnect_new("localhost", peer_port_number(peer), &policy, tell, life);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    echo(conn, "by name");
    SocketReconnect_disconnect(conn);
    /* While the name is looked up: forgotten. */
    SocketReconnect_connect(conn);
    SocketReconnect_disconnect(conn);
    SocketReconnect_connect(conn);
    SocketReconnect_free(&conn);
    conn = SocketReconnect_new("no..name", 80, &policy, tell, life);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_BACKOFF);
    CHECK_INT(SocketReconnect_failures(conn), 1);
    SocketReconnect_free(&conn);
    conn = SocketReconnect_new("::1", 80, &policy, tell, life);
    SocketReconnect_connect(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    SocketReconnect_free(&conn);
}

TEST(the_descriptor_of_a_lookup_becomes_the_socket) {
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    life[0] = '\0';
    SocketReconnect_T conn = SocketReconnect_new("localhost", peer_port_number(peer), &policy, tell, life);
    SocketReconnect_connect(conn);
    /* A program that asks once, and waits for writability alone. */
    struct pollfd fd = {SocketReconnect_pollfd(conn), POLLOUT, 0};
    CHECK_CMP(fd.fd, >=, 0);
    while (!SocketReconnect_isconnected(conn)) {
        CHECK_INT(poll(&fd, 1, -1), 1);
        SocketReconnect_process(conn);
    }
    CHECK_INT(SocketReconnect_pollfd(conn), fd.fd);
    echo(conn, "the same");
    SocketReconnect_free(&conn);
}

static void greet_and_close(struct peer_conn *pc) {
    peer_write(pc, "bye", 3);
}

TEST(the_end_of_the_stream_is_followed_by_the_next_attempt) {
    struct peer *peer = PEER(.serve = greet_and_close);
    SocketReconnect_T conn = client(peer_port(peer), quick());
    SocketReconnect_connect(conn);
    for (int i = 0; i < 3; i++) {
        go_until(conn, RECONNECT_CONNECTED);
        char buf[8];
        CHECK_INT(receive(conn, buf, sizeof buf), 3);
        CHECK_INT(receive(conn, buf, sizeof buf), 0);
        CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
        CHECK_INT(SocketReconnect_failures(conn), 1);
        CHECK_ERRNO(SocketReconnect_recv(conn, buf, sizeof buf), ENOTCONN);
    }
    SocketReconnect_free(&conn);
}

static struct gate is_reset = GATE;

static void reset_and_tell(struct peer_conn *pc) {
    serve_reset(pc);
    gate_open(&is_reset);
}

TEST(a_broken_connection_is_found_by_sending) {
    struct peer *peer = PEER(.serve = reset_and_tell);
    SocketReconnect_T conn = client(peer_port(peer), quick());
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_INT(SocketReconnect_send(conn, "x", 1), 1);
    gate_wait(&is_reset);
    while (SocketReconnect_send(conn, "x", 1) >= 0) {}
    CHECK_INT(errno, ENOTCONN);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    SocketReconnect_free(&conn);
}

TEST(a_full_connection_takes_nothing_and_stays) {
    struct peer *peer = PEER(.serve = serve_stall, .receive_buffer = 4096);
    SocketReconnect_T conn = client(peer_port(peer), quick());
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    static char block[65536];
    ssize_t sent;
    while ((sent = SocketReconnect_send(conn, block, sizeof block)) > 0) {}
    CHECK_INT(sent, 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    SocketReconnect_free(&conn);
}

TEST_MAIN
