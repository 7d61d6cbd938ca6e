/*
 * failures.c - socket/SocketReconnect.h: attempts that fail, the waits between them, the circuit, examinations.
 */
#include "client.h"

#include <netinet/in.h>
#include <sys/socket.h>

TEST(a_refused_port_is_never_connected) {
    SocketReconnect_Policy_T policy = quick();
    policy.max_attempts = 3;
    SocketReconnect_T conn = client(refused_port(), policy);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_DISCONNECTED);
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF CONNECTING BACKOFF CONNECTING DISCONNECTED ");
    CHECK_INT(SocketReconnect_attempts(conn), 3);
    CHECK_INT(SocketReconnect_failures(conn), 3);
    CHECK_CONTAINS(Socket_GetLastError(), "127.0.0.1 port");
    CHECK_CONTAINS(Socket_GetLastError(), "Connection refused");
    CHECK_INT(Socket_geterrno(), ECONNREFUSED);
    SocketReconnect_disconnect(conn);
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    CHECK_INT(SocketReconnect_failures(conn), 3);
    SocketReconnect_reset(conn);
    CHECK_INT(SocketReconnect_failures(conn), 0);
    SocketReconnect_free(&conn);
}

TEST(waits_grow_from_the_initial_one_times_the_multiplier) {
    SocketReconnect_Policy_T policy = quick();
    policy.initial_delay_ms = 100000;
    policy.max_delay_ms = 1000000;
    policy.multiplier = 3.0;
    policy.jitter = 0.0;
    SocketReconnect_T conn = client(refused_port(), policy);
    SocketReconnect_connect(conn);
    while (SocketReconnect_state(conn) == RECONNECT_CONNECTING) go_round(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    CHECK_CMP(SocketReconnect_next_timeout_ms(conn), >, 200000);
    CHECK_CMP(SocketReconnect_next_timeout_ms(conn), <=, 300000);
    CHECK_INT(SocketReconnect_pollfd(conn), -1);
    /* Nothing is due. */
    SocketReconnect_tick(conn);
    SocketReconnect_process(conn);
    SocketReconnect_connect(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    SocketReconnect_disconnect(conn);
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), -1);
    SocketReconnect_free(&conn);
}

/* A port that refuses until it listens. */
static int closed_port(int *port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    CHECK_INT(bind(fd, (struct sockaddr *)&address, length), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

TEST(the_circuit_opens_and_one_attempt_decides) {
    int port, fd = closed_port(&port);
    SocketReconnect_Policy_T policy = quick();
    policy.circuit_failure_threshold = 2;
    policy.circuit_reset_timeout_ms = 1000; /* the least */
    life[0] = '\0';
    SocketReconnect_T conn = SocketReconnect_new("127.0.0.1", port, &policy, tell, life);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CIRCUIT_OPEN);
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF CONNECTING CIRCUIT_OPEN ");
    CHECK_CMP(SocketReconnect_next_timeout_ms(conn), <=, 1000);
    /* The attempt that decides fails: open again. */
    life[0] = '\0';
    go_round(conn);
    go_until(conn, RECONNECT_CIRCUIT_OPEN);
    CHECK_STR(life, "CIRCUIT_OPEN CONNECTING CIRCUIT_OPEN ");
    CHECK_INT(SocketReconnect_failures(conn), 3);
    /* It succeeds: closed. */
    CHECK_INT(listen(fd, 5), 0);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_INT(SocketReconnect_failures(conn), 0);
    int accepted = accept(fd, NULL, NULL);
    close(accepted);
    char byte;
    CHECK_INT(receive(conn, &byte, 1), 0);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    SocketReconnect_free(&conn);
    close(fd);
}

TEST(a_reset_closes_the_circuit) {
    SocketReconnect_Policy_T policy = quick();
    policy.circuit_failure_threshold = 1;
    policy.circuit_reset_timeout_ms = 3600000;
    SocketReconnect_T conn = client(refused_port(), policy);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CIRCUIT_OPEN);
    CHECK_CMP(SocketReconnect_next_timeout_ms(conn), >, 0);
    SocketReconnect_tick(conn);
    SocketReconnect_connect(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_CIRCUIT_OPEN);
    SocketReconnect_reset(conn);
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_CIRCUIT_OPEN);
    CHECK_INT(SocketReconnect_failures(conn), 0);
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), 0);
    SocketReconnect_tick(conn);
    CHECK_INT(SocketReconnect_attempts(conn), 1);
    SocketReconnect_free(&conn);
}

TEST(an_attempt_nobody_answers_stays_one) {
    int port = full_queue(AF_INET, "127.0.0.1", 0);
    SocketReconnect_Policy_T policy = quick();
    life[0] = '\0';
    SocketReconnect_T conn = SocketReconnect_new("127.0.0.1", port, &policy, tell, life);
    SocketReconnect_connect(conn);
    for (int i = 0; i < 10; i++) {
        SocketReconnect_process(conn);
        SocketReconnect_tick(conn);
    }
    CHECK_STR(life, "DISCONNECTED CONNECTING ");
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), -1);
    CHECK_CMP(SocketReconnect_pollfd(conn), >=, 0);
    CHECK_PTR_NULL(SocketReconnect_socket(conn));
    SocketReconnect_free(&conn);
    CHECK_STR(life, "DISCONNECTED CONNECTING ");
}

/* ---- Examinations ------------------------------------------------------------------------------------------------ */

static void greet_and_stall(struct peer_conn *pc) {
    peer_write(pc, "hello", 5);
    serve_stall(pc);
}

TEST(an_examination_leaves_what_is_to_be_read) {
    struct peer *peer = PEER(.serve = greet_and_stall);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    SocketReconnect_T conn = client(peer_port(peer), policy);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    for (int i = 0; i < 20; i++) {
        struct pollfd fd = {SocketReconnect_pollfd(conn), POLLIN, 0};
        CHECK_INT(poll(&fd, 1, -1), 1);
        CHECK_CMP(SocketReconnect_next_timeout_ms(conn), <=, 1);
        SocketReconnect_tick(conn);
    }
    char buf[8];
    CHECK_INT(receive(conn, buf, sizeof buf), 5);
    CHECK_MEM(buf, "hello", 5);
    SocketReconnect_free(&conn);
}

TEST(an_examination_finds_the_end_of_the_stream) {
    struct peer *peer = PEER(.serve = serve_close);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    SocketReconnect_T conn = client(peer_port(peer), policy);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    go_until(conn, RECONNECT_BACKOFF);
    CHECK_INT(SocketReconnect_failures(conn), 1);
    CHECK_CONTAINS(Socket_GetLastError(), "found broken");
    SocketReconnect_free(&conn);
}

static int examined, well;

static int examine(SocketReconnect_T conn, Socket_T socket, int timeout_ms, void *data) {
    CHECK_PTR(data, life);
    CHECK_PTR(SocketReconnect_socket(conn), socket);
    CHECK_INT(timeout_ms, 1234);
    examined++;
    return well;
}

TEST(a_program_examines_by_itself) {
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    policy.health_check_timeout_ms = 1234;
    SocketReconnect_T conn = client(peer_port(peer), policy);
    SocketReconnect_set_health_check(conn, examine);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    well = 1;
    while (examined < 3) go_round(conn);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    well = 0;
    go_until(conn, RECONNECT_BACKOFF);
    SocketReconnect_set_health_check(conn, NULL);
    go_until(conn, RECONNECT_CONNECTED);
    int before = examined;
    for (int i = 0; i < 5; i++) go_round(conn);
    CHECK_INT(examined, before);
    echo(conn, "well");
    SocketReconnect_free(&conn);
}

TEST_MAIN
