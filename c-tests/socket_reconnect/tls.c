/*
 * tls.c - socket/SocketReconnect.h over TLS: the handshake in steps, certificates that will not do, sessions.
 */
#include "../support/certs.h"
#include "client.h"

#if SOCKET_HAS_TLS
#include <signal.h>
#include <sys/wait.h>

#include "tls/SocketTLS.h"
#include "tls/SocketTLSContext.h"

static SocketTLSContext_T trusting(const char *ca) {
    SocketTLSContext_T ctx = SocketTLSContext_new_client(cert(ca));
    CHECK_PTR_NOT_NULL(ctx);
    return ctx;
}

static SocketReconnect_T tls_client(struct peer *peer, SocketReconnect_Policy_T policy, SocketTLSContext_T ctx, const char *name) {
    SocketReconnect_T conn = client(peer_port(peer), policy);
    SocketReconnect_set_tls(conn, ctx, name);
    return conn;
}

TEST(what_is_set_for_tls) {
    NEEDS_TLS();
    static char name[257];
    memset(name, 'a', sizeof name - 1);
    SocketTLSContext_T ctx = trusting(CERT_CA);
    SocketReconnect_T conn = SocketReconnect_new("127.0.0.1", 1, NULL, NULL, NULL);
    CHECK_INT(SocketReconnect_tls_enabled(conn), 0);
    CHECK_STR(SocketReconnect_get_tls_hostname(conn), NULL);
    CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_NOT_STARTED);
    CHECK_INT(SocketReconnect_is_session_reused(conn), -1);
    SocketReconnect_set_session_resumption(conn, 1);
    SocketReconnect_set_tls(conn, ctx, "one.test.example");
    CHECK_RAISES(SocketReconnect_set_tls(conn, ctx, NULL), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_set_tls(conn, ctx, ""), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_set_tls(conn, ctx, name), SocketReconnect_Failed);
    CHECK_RAISES(SocketReconnect_set_tls(conn, NULL, "two.test.example"), SocketReconnect_Failed);
    CHECK_INT(SocketReconnect_tls_enabled(conn), 1);
    CHECK_STR(SocketReconnect_get_tls_hostname(conn), "one.test.example");
    SocketReconnect_disconnect(conn);
    SocketReconnect_reset(conn);
    CHECK_INT(SocketReconnect_tls_enabled(conn), 1);
    SocketReconnect_disable_tls(conn);
    CHECK_INT(SocketReconnect_tls_enabled(conn), 0);
    CHECK_STR(SocketReconnect_get_tls_hostname(conn), NULL);
    CHECK_RAISES(SocketReconnect_set_tls(NULL, ctx, "a"), SocketReconnect_Failed);
    SocketReconnect_disable_tls(NULL);
    SocketReconnect_set_session_resumption(NULL, 1);
    CHECK_INT(SocketReconnect_tls_enabled(NULL), 0);
    CHECK_STR(SocketReconnect_get_tls_hostname(NULL), NULL);
    CHECK_INT(SocketReconnect_tls_handshake_state(NULL), TLS_HANDSHAKE_NOT_STARTED);
    CHECK_INT(SocketReconnect_is_session_reused(NULL), -1);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

static void connected_means_complete(SocketReconnect_T conn, SocketReconnect_State before, SocketReconnect_State after, void *data) {
    tell(conn, before, after, data);
    if (after == RECONNECT_CONNECTED) CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_COMPLETE);
}

static void shakes_hands(int version) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = TLS_PEER(version, .serve = serve_echo);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    SocketReconnect_T conn =
        SocketReconnect_new("127.0.0.1", peer_port_number(peer), &policy, connected_means_complete, life);
    SocketReconnect_set_tls(conn, ctx, "one.test.example");
    /* The client keeps it. */
    SocketTLSContext_free(&ctx);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_STR(life, "DISCONNECTED CONNECTING CONNECTED ");
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    CHECK_INT(SocketReconnect_is_session_reused(conn), 0);
    char byte;
    CHECK_ERRNO(SocketReconnect_recv(conn, &byte, 1), EAGAIN);
    echo(conn, "secret");
    for (int i = 0; i < 5; i++) SocketReconnect_tick(conn);
    CHECK_ERRNO(SocketReconnect_recv(conn, &byte, 1), EAGAIN);
    CHECK_INT(SocketReconnect_isconnected(conn), 1);
    SocketReconnect_disconnect(conn);
    CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_NOT_STARTED);
    CHECK_INT(SocketReconnect_is_session_reused(conn), -1);
    SocketReconnect_free(&conn);
}

TEST(connected_after_the_handshake_in_tls_1_2) { shakes_hands(TLS1_2_VERSION); }
TEST(connected_after_the_handshake_in_tls_1_3) { shakes_hands(TLS1_3_VERSION); }

static void is_refused(const char *ca, const char *name, const char *file, const char *key, const char *why) {
    SocketTLSContext_T ctx = trusting(ca);
    struct peer *peer = PEER(.serve = serve_echo, .cert = file, .key = key);
    SocketReconnect_Policy_T policy = quick();
    policy.max_attempts = 2;
    SocketReconnect_T conn = tls_client(peer, policy, ctx, name);
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_DISCONNECTED);
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF CONNECTING DISCONNECTED ");
    CHECK_INT(SocketReconnect_failures(conn), 2);
    CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_ERROR);
    CHECK_CONTAINS(Socket_GetLastError(), why);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

TEST(a_certificate_for_another_name_is_a_failure) {
    NEEDS_TLS();
    is_refused(CERT_CA, "elsewhere.example", CERT_GOOD, CERT_GOOD_KEY, "not for elsewhere.example");
}

TEST(a_certificate_of_an_unknown_ca_is_a_failure) {
    NEEDS_TLS();
    is_refused(CERT_OTHER_CA, "localhost", CERT_GOOD, CERT_GOOD_KEY, "not trusted");
}

TEST(an_expired_certificate_is_a_failure) {
    NEEDS_TLS();
    is_refused(CERT_CA, "localhost", "expired.pem", "expired.key", "expired");
}

TEST(a_name_that_is_none_is_a_failure) {
    NEEDS_TLS();
    is_refused(CERT_CA, "not a name", CERT_GOOD, CERT_GOOD_KEY, "hostname");
}

TEST(a_server_that_speaks_no_tls_is_a_failure) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = PEER(.serve = serve_echo);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_BACKOFF);
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF ");
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

TEST(a_server_that_says_nothing_is_waited_for) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = PEER(.serve = serve_stall);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    while (SocketReconnect_tls_handshake_state(conn) != TLS_HANDSHAKE_WANT_READ) go_round(conn);
    for (int i = 0; i < 10; i++) {
        SocketReconnect_process(conn);
        SocketReconnect_tick(conn);
    }
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_CONNECTING);
    CHECK_INT(SocketReconnect_next_timeout_ms(conn), -1);
    CHECK_PTR_NULL(SocketReconnect_socket(conn));
    SocketReconnect_disconnect(conn);
    CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_NOT_STARTED);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

TEST(a_handshake_that_takes_too_long_is_a_failure) {
    NEEDS_TLS();
    SocketTLSConfig_T config;
    SocketTLS_config_defaults(&config);
    config.handshake_timeout_ms = 20;
    SocketTLSContext_T ctx = SocketTLSContext_new(&config);
    struct peer *peer = PEER(.serve = serve_stall);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    while (SocketReconnect_state(conn) != RECONNECT_BACKOFF) {
        struct pollfd fd = {SocketReconnect_pollfd(conn), POLLIN, 0};
        CHECK_CMP(poll(&fd, 1, 1), >=, 0);
        SocketReconnect_process(conn);
    }
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF ");
    CHECK_INT(SocketReconnect_tls_handshake_state(conn), TLS_HANDSHAKE_ERROR);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

/* ---- Sessions ---------------------------------------------------------------------------------------------------- */

/* Connects, talks, and tells whether the session was resumed. */
static int reused_once_more(SocketReconnect_T conn) {
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    int reused = SocketReconnect_is_session_reused(conn);
    echo(conn, "ticket, please");
    SocketReconnect_disconnect(conn);
    return reused;
}

static void resumes(int version) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA), other = trusting(CERT_CA);
    struct peer *peer = TLS_PEER(version, .serve = serve_echo);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    CHECK_INT(reused_once_more(conn), 0);
    for (int i = 0; i < 3; i++) CHECK_INT(reused_once_more(conn), 1);
    /* What is set anew begins anew. */
    SocketReconnect_set_tls(conn, ctx, "one.test.example");
    CHECK_INT(reused_once_more(conn), 0);
    CHECK_INT(reused_once_more(conn), 1);
    SocketReconnect_set_session_resumption(conn, 0);
    CHECK_INT(reused_once_more(conn), 0);
    CHECK_INT(reused_once_more(conn), 0);
    SocketReconnect_set_session_resumption(conn, 1);
    CHECK_INT(reused_once_more(conn), 0);
    CHECK_INT(reused_once_more(conn), 1);
    SocketReconnect_set_tls(conn, other, "one.test.example");
    CHECK_INT(reused_once_more(conn), 0);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
    SocketTLSContext_free(&other);
}

TEST(sessions_are_resumed_in_tls_1_2) { resumes(TLS1_2_VERSION); }
TEST(sessions_are_resumed_in_tls_1_3) { resumes(TLS1_3_VERSION); }

/* Its tickets come after the last byte that the client reads. */
TEST(a_late_ticket_is_caught_before_the_end) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_echo);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    for (int i = 0; i < 2; i++) {
        SocketReconnect_connect(conn);
        go_until(conn, RECONNECT_CONNECTED);
        CHECK_INT(SocketReconnect_is_session_reused(conn), i);
        struct pollfd fd = {SocketReconnect_pollfd(conn), POLLIN, 0};
        CHECK_INT(poll(&fd, 1, -1), 1);
        SocketReconnect_disconnect(conn);
    }
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

static void answer_once(struct peer_conn *pc) {
    char word[4];
    if (peer_read_exactly(pc, word, 4)) peer_write(pc, word, 4);
}

TEST(a_session_survives_the_end_that_the_peer_makes) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = answer_once);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    for (int i = 0; i < 3; i++) {
        go_until(conn, RECONNECT_CONNECTED);
        CHECK_INT(SocketReconnect_is_session_reused(conn), i > 0);
        echo(conn, "word");
        char byte;
        CHECK_INT(receive(conn, &byte, 1), 0);
        CHECK_INT(SocketReconnect_state(conn), RECONNECT_BACKOFF);
    }
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

/* ---- Ends -------------------------------------------------------------------------------------------------------- */

TEST(the_end_of_a_client_is_clean) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_check, .no_tickets = true);
    for (int i = 0; i < 2; i++) {
        SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
        SocketReconnect_connect(conn);
        go_until(conn, RECONNECT_CONNECTED);
        char block[100];
        fill_pattern(block, sizeof block, 0);
        CHECK_INT(SocketReconnect_send(conn, block, sizeof block), sizeof block);
        if (i) SocketReconnect_disconnect(conn);
        SocketReconnect_free(&conn);
    }
    peer_join(peer);
    SocketTLSContext_free(&ctx);
}

TEST(a_child_says_no_good_bye_for_its_parent) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer_options echoing = {.serve = serve_echo, .cert = CERT_GOOD, .key = CERT_GOOD_KEY};
    const char *port = peer_process(&echoing);
    SocketReconnect_T conn = client(port, quick());
    SocketReconnect_set_tls(conn, ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    echo(conn, "before");
    pid_t child = fork();
    if (child == 0) {
        SocketReconnect_free(&conn);
        kill(getpid(), SIGKILL);
    }
    CHECK_INT(waitpid(child, NULL, 0), child);
    echo(conn, "after");
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

static void greet_and_go(struct peer_conn *pc) {
    peer_write(pc, "hello", 5);
}

TEST(an_examination_tells_data_from_a_good_bye) {
    NEEDS_TLS();
    SocketTLSContext_T ctx = trusting(CERT_CA);
    struct peer *silent = TLS_PEER(TLS1_2_VERSION, .serve = serve_close), *polite = TLS_PEER(TLS1_2_VERSION, .serve = greet_and_go);
    SocketReconnect_Policy_T policy = quick();
    policy.health_check_interval_ms = 1;
    SocketReconnect_T conn = tls_client(silent, policy, ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    go_until(conn, RECONNECT_BACKOFF);
    SocketReconnect_free(&conn);
    conn = tls_client(polite, policy, ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    struct pollfd fd = {SocketReconnect_pollfd(conn), POLLRDHUP, 0};
    CHECK_INT(poll(&fd, 1, -1), 1);
    while (SocketReconnect_next_timeout_ms(conn) > 0) {}
    SocketReconnect_tick(conn);
    char buf[8];
    CHECK_INT(receive(conn, buf, sizeof buf), 5);
    CHECK_INT(receive(conn, buf, sizeof buf), 0);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

/* ---- Certificates of clients ------------------------------------------------------------------------------------- */

TEST(a_success_is_one_when_the_server_has_seen_the_certificate) {
    NEEDS_TLS();
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_echo, .client_ca = CERT_CA);
    SocketReconnect_Policy_T policy = quick();
    policy.max_attempts = 2;
    SocketTLSContext_T without = trusting(CERT_CA), with = trusting(CERT_CA);
    SocketReconnect_T conn = tls_client(peer, policy, without, "localhost");
    SocketReconnect_connect(conn);
    for (int i = 1; i <= 2; i++) {
        go_until(conn, RECONNECT_CONNECTED);
        CHECK_INT(SocketReconnect_attempts(conn), i);
        char byte;
        CHECK_INT(receive(conn, &byte, 1), 0);
        CHECK_INT(SocketReconnect_failures(conn), i);
    }
    CHECK_INT(SocketReconnect_state(conn), RECONNECT_DISCONNECTED);
    SocketReconnect_free(&conn);

    SocketTLSContext_load_certificate(with, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
    conn = tls_client(peer, policy, with, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_INT(SocketReconnect_attempts(conn), 1);
    echo(conn, "who I am");
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    SocketReconnect_free(&conn);
    /* Whoever receives. */
    conn = tls_client(peer, policy, with, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    Socket_T socket = SocketReconnect_socket(conn);
    CHECK_INT(Socket_send(socket, "a", 1), 1);
    struct pollfd fd = {Socket_fd(socket), POLLIN, 0};
    char byte;
    while (Socket_recv(socket, &byte, 1) == 0) CHECK_INT(poll(&fd, 1, -1), 1);
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&without);
    SocketTLSContext_free(&with);
}

TEST(in_tls_1_2_the_handshake_tells) {
    NEEDS_TLS();
    struct peer *peer = TLS_PEER(TLS1_2_VERSION, .serve = serve_echo, .client_ca = CERT_CA);
    SocketTLSContext_T ctx = trusting(CERT_CA);
    SocketReconnect_T conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_BACKOFF);
    CHECK_STR(life, "DISCONNECTED CONNECTING BACKOFF ");
    SocketReconnect_free(&conn);
    SocketTLSContext_load_certificate(ctx, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
    conn = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(conn);
    go_until(conn, RECONNECT_CONNECTED);
    CHECK_INT(SocketReconnect_attempts(conn), 0);
    SocketReconnect_free(&conn);
    SocketTLSContext_free(&ctx);
}

/* ---- Callbacks of TLS -------------------------------------------------------------------------------------------- */

static SocketReconnect_T freed;

static int free_while_verifying(int preverify_ok, X509_STORE_CTX *x509, SocketTLSContext_T ctx, Socket_T socket, void *data) {
    (void)x509, (void)ctx, (void)socket, (void)data;
    SocketReconnect_free(&freed);
    return preverify_ok;
}

TEST(a_callback_of_the_handshake_frees_the_client) {
    NEEDS_TLS();
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = serve_echo);
    SocketTLSContext_T ctx = trusting(CERT_CA);
    SocketTLSContext_set_verify_callback(ctx, free_while_verifying, NULL);
    freed = tls_client(peer, quick(), ctx, "localhost");
    SocketReconnect_connect(freed);
    while (freed) go_round(freed);
    CHECK_STR(life, "DISCONNECTED CONNECTING ");
    CHECK_INT(Socket_debug_live_count(), 0);
    SocketTLSContext_free(&ctx);
}

#else
TEST(a_build_without_tls_has_none_of_this) { NEEDS_TLS(); }
#endif

TEST_MAIN
