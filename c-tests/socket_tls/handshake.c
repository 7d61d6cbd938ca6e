/* SocketTLS_enable, set_hostname and the handshake: by steps, in loops, in threads, and all the ways it fails. */
#include "pair.h"

#include <pthread.h>

TEST(enable_wants_a_socket_and_a_context_and_does_it_once) {
    struct pair pair = {0};
    make_contexts(&pair, TLS1_3_VERSION);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    CHECK_INT(socket_is_tls_enabled(pair.client), 0);
    CHECK_STR(tls_error_buf, "");
    CHECK_RAISES_ERRNO(SocketTLS_enable(NULL, pair.trusting), SocketTLS_Failed, EINVAL);
    CHECK_STR(tls_error_buf, Socket_GetLastError());
    CHECK_RAISES_ERRNO(SocketTLS_enable(pair.client, NULL), SocketTLS_Failed, EINVAL);
    SocketTLS_enable(pair.client, pair.trusting);
    CHECK_INT(socket_is_tls_enabled(pair.client), 1);
    CHECK_RAISES_ERRNO(SocketTLS_enable(pair.client, pair.trusting), SocketTLS_Failed, EALREADY);
    CHECK_CONTAINS(Socket_GetLastError(), "already");
    CHECK_INT(fcntl(Socket_fd(pair.client), F_GETFL) & O_NONBLOCK, 0);

    Socket_T stale = pair.server;
    Socket_free(&pair.server);
    CHECK_RAISES_ERRNO(SocketTLS_enable(stale, pair.serving), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake(stale), SocketTLS_HandshakeFailed, EINVAL);

    Socket_T datagrams = Socket_new(AF_INET, SOCK_DGRAM, 0);
    CHECK_RAISES_ERRNO(SocketTLS_enable(datagrams, pair.trusting), SocketTLS_Failed, EOPNOTSUPP);
    Socket_free(&datagrams);
    free_pair(&pair);
}

TEST(a_hostname_has_labels_and_comes_in_time) {
    struct pair pair = strangers(TLS1_3_VERSION);
    static const char *const bad[] = {"", "under_score", "trailing.", "port:443", "-first", "last-", "two..dots", "with space"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, bad[i]), SocketTLS_Failed, EINVAL);
    char long_one[300];
    memset(long_one, 'a', sizeof long_one);
    long_one[64] = 0;
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, long_one), SocketTLS_Failed, EINVAL);
    long_one[64] = '.';
    for (int i = 60; i < 256; i += 60) long_one[i] = '.';
    long_one[256] = 0;
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, long_one), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, NULL), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(NULL, "localhost"), SocketTLS_Failed, EINVAL);
    SocketTLS_set_hostname(pair.client, "127.0.0.1");
    SocketTLS_set_hostname(pair.client, "a.test.example");
    acquaint(&pair);
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, "localhost"), SocketTLS_Failed, EINVAL);
    SocketTLS_disable(pair.client);
    CHECK_RAISES_ERRNO(SocketTLS_set_hostname(pair.client, "localhost"), SocketTLS_Failed, EINVAL);
    free_pair(&pair);
}

TEST(a_handshake_by_steps) {
    EACH_VERSION(version) {
        struct pair pair = strangers(version);
        CHECK_INT(socket_tls_want_read(pair.client) + socket_tls_want_write(pair.client), 0);
        errno = 0;
        CHECK_INT(SocketTLS_handshake(pair.server), TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(errno, EAGAIN);
        CHECK_INT(socket_tls_want_read(pair.server), 1);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(socket_tls_want_read(pair.client), 1);
        CHECK_INT(socket_tls_want_write(pair.client), 0);
        acquaint(&pair);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_COMPLETE);
        CHECK_INT(SocketTLS_handshake_loop(pair.client, 0), TLS_HANDSHAKE_COMPLETE);
        CHECK_INT(socket_tls_want_read(pair.client) + socket_tls_want_write(pair.client), 0);
        CHECK_INT(SocketTLS_send(pair.client, "hi", 2), 2);
        expect(pair.server, "hi");
        free_pair(&pair);
    }
}

TEST(programs_that_call_openssl_themselves_get_the_ssl) {
    CHECK_PTR_NULL(socket_get_ssl(NULL));
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(NULL), Socket_Failed, EINVAL);
    struct pair pair = strangers(TLS1_3_VERSION);
    SSL *ssl = socket_get_ssl(pair.client);
    CHECK_PTR_NOT_NULL(ssl);
    CHECK_INT(SSL_get_fd(ssl), Socket_fd(pair.client));
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(pair.client), SocketTLS_HandshakeFailed, ENOTCONN);
    acquaint(&pair);
    CHECK_PTR(socket_validate_tls_ready(pair.client), ssl);
    CHECK_INT(SSL_write(ssl, "direct", 6), 6);
    expect(pair.server, "direct");
    CHECK_INT(SocketTLS_send(pair.server, "answer", 6), 6);
    char buf[10];
    CHECK_INT(SSL_read(ssl, buf, sizeof buf), 6);
    CHECK_MEM(buf, "answer", 6);
    /* What the kernel does not take, OpenSSL is told of. */
    static char load[16384];
    int n;
    while ((n = SSL_write(ssl, load, sizeof load)) > 0) {}
    CHECK_INT(SSL_get_error(ssl, n), SSL_ERROR_WANT_WRITE);
    SocketTLS_disable(pair.server);
    CHECK_RAISES_ERRNO(socket_validate_tls_ready(pair.server), Socket_Failed, EINVAL);
    CHECK_PTR_NULL(socket_get_ssl(pair.server));
    free_pair(&pair);
}

TEST(a_full_kernel_makes_a_step_want_to_write) {
    struct pair pair = strangers(TLS1_3_VERSION);
    static char filler[1 << 16];
    while (send(Socket_fd(pair.client), filler, sizeof filler, MSG_NOSIGNAL) > 0) {}
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_WRITE);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(socket_tls_want_write(pair.client), 1);
    CHECK_INT(socket_tls_want_read(pair.client), 0);
    CHECK_INT(SocketTLS_handshake_loop(pair.client, 0), TLS_HANDSHAKE_WANT_WRITE);
    while (recv(Socket_fd(pair.server), filler, sizeof filler, 0) > 0) {}
    acquaint(&pair);
    free_pair(&pair);
}

static void *serve_in_loop(void *arg) {
    struct pair *pair = arg;
    CHECK_INT(SocketTLS_handshake_auto(pair->server), TLS_HANDSHAKE_COMPLETE);
    char buf[10];
    CHECK_INT(Socket_recv(pair->server, buf, sizeof buf), 4);
    CHECK_INT(Socket_send(pair->server, buf, 4), 4);
    return NULL;
}

TEST(blocking_sockets_in_two_threads) {
    EACH_VERSION(version) {
        for (int way = 0; way < 4; way++) {
            struct pair pair = strangers(version);
            block(pair.client);
            block(pair.server);
            pthread_t thread;
            CHECK_INT(pthread_create(&thread, NULL, serve_in_loop, &pair), 0);
            TLSHandshakeState state = way == 0   ? SocketTLS_handshake(pair.client)
                                      : way == 1 ? SocketTLS_handshake_loop(pair.client, -1)
                                      : way == 2 ? SocketTLS_handshake_loop_ex(pair.client, 20000, 5)
                                                 : SocketTLS_handshake_auto(pair.client);
            CHECK_INT(state, TLS_HANDSHAKE_COMPLETE);
            CHECK_INT(Socket_send(pair.client, "ping", 4), 4);
            char buf[10];
            CHECK_INT(Socket_recv(pair.client, buf, sizeof buf), 4);
            CHECK_MEM(buf, "ping", 4);
            CHECK_INT(pthread_join(thread, NULL), 0);
            free_pair(&pair);
        }
    }
}

TEST(a_loop_that_runs_out_of_time_may_go_on) {
    struct pair pair = strangers(TLS1_3_VERSION);
    double begun = now();
    CHECK_INT(SocketTLS_handshake_loop(pair.client, 50), TLS_HANDSHAKE_ERROR);
    CHECK_INT(errno, ETIMEDOUT);
    CHECK(now() - begun >= 0.05);
    CHECK_CONTAINS(Socket_GetLastError(), "50 ms");
    CHECK_INT(SocketTLS_handshake_loop_ex(pair.client, 1, 1), TLS_HANDSHAKE_ERROR);
    SocketTimeouts_T timeouts;
    Socket_timeouts_get(pair.client, &timeouts);
    timeouts.operation_timeout_ms = 1;
    Socket_timeouts_set(pair.client, &timeouts);
    CHECK_INT(SocketTLS_handshake_auto(pair.client), TLS_HANDSHAKE_ERROR);
    CHECK_INT(errno, ETIMEDOUT);
    acquaint(&pair);
    free_pair(&pair);
}

TEST(the_contexts_time_out_counts_where_the_socket_has_none) {
    SocketTLSConfig_T config;
    SocketTLS_config_defaults(&config);
    config.handshake_timeout_ms = 30;
    struct pair pair = {0};
    pair.trusting = SocketTLSContext_new(&config);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    SocketTLS_enable(pair.client, pair.trusting);
    CHECK_INT(SocketTLS_handshake_auto(pair.client), TLS_HANDSHAKE_ERROR);
    CHECK_CONTAINS(Socket_GetLastError(), "30 ms");
    free_pair(&pair);
}

TEST(without_tls_there_is_no_handshake) {
    struct pair pair = {0};
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake_loop(pair.client, 10), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake_loop_ex(pair.client, 10, 1), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake_auto(pair.client), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake(NULL), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_handshake_loop(NULL, 0), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_INT(socket_tls_want_read(pair.client), 0);
    CHECK_INT(socket_tls_want_write(pair.client), 0);
    free_pair(&pair);
}

TEST(a_client_that_verifies_needs_a_hostname) {
    struct pair pair = {0};
    make_contexts(&pair, TLS1_3_VERSION);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    unblock(pair.client);
    unblock(pair.server);
    SocketTLS_enable(pair.client, pair.trusting);
    SocketTLS_enable(pair.server, pair.serving);
    CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, EINVAL);
    CHECK_INT(SocketTLS_handshake_loop(pair.client, 10), TLS_HANDSHAKE_ERROR);
    CHECK_INT(errno, EINVAL);
    SocketTLS_set_hostname(pair.client, "localhost");
    acquaint(&pair);
    free_pair(&pair);
}

TEST(a_certificate_that_is_refused_ends_the_handshake_for_good) {
    EACH_VERSION(version) {
        struct pair pair = strangers(version);
        SocketTLS_set_hostname(pair.client, "elsewhere.example");
        CHECK_INT(failed_handshake(&pair), EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, EPROTO);
        CHECK_CONTAINS(Socket_GetLastError(), "elsewhere.example");
        CHECK_INT(SocketTLS_handshake_loop(pair.client, 10), TLS_HANDSHAKE_ERROR);
        CHECK_INT(errno, EPROTO);
        char byte = 'x';
        CHECK_RAISES_ERRNO(Socket_send(pair.client, &byte, 1), SocketTLS_HandshakeFailed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, &byte, 1), SocketTLS_Failed, EPROTO);
        /* The server hears why. */
        CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.server), SocketTLS_HandshakeFailed, EPROTO);
        CHECK_INT(socket_is_tls_enabled(pair.client), 1);
        SocketTLS_shutdown(pair.client);
        CHECK_INT(socket_is_tls_enabled(pair.client), 0);
        free_pair(&pair);
    }
}

TEST(a_missing_client_certificate_is_heard_of_at_the_first_receive_at_the_latest) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        make_contexts(&pair, version);
        SocketTLSContext_load_ca(pair.serving, cert(CERT_CA));
        SocketTLSContext_set_verify_mode(pair.serving, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        enable_pair(&pair);
        volatile TLSHandshakeState ours = TLS_HANDSHAKE_NOT_STARTED;
        volatile int refused = 0, failed = 0;
        for (volatile int round = 0; !refused; round++) {
            CHECK_CMP(round, <, 1000);
            ours = SocketTLS_handshake(pair.client);
            TRY { SocketTLS_handshake(pair.server); }
            EXCEPT(SocketTLS_HandshakeFailed) { refused = errno; }
            END_TRY;
        }
        CHECK_INT(refused, EPROTO);
        char byte;
        TRY {
            ours = SocketTLS_handshake(pair.client);
            CHECK_INT(ours, TLS_HANDSHAKE_COMPLETE);
            SocketTLS_recv(pair.client, &byte, 1);
        }
        EXCEPT(SocketTLS_HandshakeFailed) { failed = version == TLS1_2_VERSION ? errno : -1; }
        EXCEPT(SocketTLS_Failed) { failed = version == TLS1_3_VERSION ? errno : -1; }
        END_TRY;
        CHECK_INT(failed, EPROTO);
        CHECK_CONTAINS(Socket_GetLastError(), "certificate");
        free_pair(&pair);
    }
}

TEST(a_lost_connection_and_nonsense_fail_the_handshake) {
    for (volatile int nonsense = 0; nonsense < 2; nonsense++) {
        struct pair pair = strangers(TLS1_3_VERSION);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
        if (nonsense) CHECK_INT(write(Socket_fd(pair.server), "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
        Socket_free(&pair.server);
        if (nonsense)
            CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, EPROTO);
        else
            CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, ECONNRESET);
        CHECK_INT(SocketTLS_handshake_auto(pair.client), TLS_HANDSHAKE_ERROR);
        free_pair(&pair);
    }
}

/* ---- Callbacks --------------------------------------------------------------------------------------------------- */

static struct pair *acted_on;
static const Except_T Mine = {&Mine, "mine"};

static int free_both(int ok, X509_STORE_CTX *store, SocketTLSContext_T ctx, Socket_T socket, void *arg) {
    (void)ok, (void)store, (void)ctx, (void)arg;
    /* Asked about the rest of the chain, too. */
    if (!acted_on->client) return 1;
    CHECK_PTR(socket, acted_on->client);
    Socket_free(&acted_on->client);
    return 1;
}

TEST(a_callback_may_free_the_socket) {
    EACH_VERSION(version) {
        struct pair pair = strangers(version);
        Socket_T client = pair.client;
        acted_on = &pair;
        SocketTLS_disable(pair.client);
        SocketTLSContext_set_verify_callback(pair.trusting, free_both, NULL);
        SocketTLS_enable(pair.client, pair.trusting);
        SocketTLS_set_hostname(pair.client, "localhost");
        CHECK_INT(SocketTLS_handshake(client), TLS_HANDSHAKE_WANT_READ);
        CHECK_INT(SocketTLS_handshake(pair.server), TLS_HANDSHAKE_WANT_READ);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(client), SocketTLS_HandshakeFailed, ECANCELED);
        CHECK_PTR_NULL(pair.client);
        free_pair(&pair);
    }
}

static int disable_and_ask(int ok, X509_STORE_CTX *store, SocketTLSContext_T ctx, Socket_T socket, void *arg) {
    (void)ok, (void)store, (void)ctx;
    if (!socket_is_tls_enabled(socket)) return 1;
    char byte = 'x';
    CHECK_RAISES_ERRNO(SocketTLS_handshake(socket), SocketTLS_HandshakeFailed, EBUSY);
    CHECK_RAISES_ERRNO(SocketTLS_send(socket, &byte, 1), SocketTLS_Failed, ENOTCONN);
    if (arg) CHECK_INT(SocketTLS_disable(socket), 0);
    return 1;
}

TEST(a_callback_finds_the_socket_busy_and_may_take_tls_off) {
    for (volatile int off = 0; off < 2; off++) {
        struct pair pair = {0};
        make_contexts(&pair, TLS1_3_VERSION);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        SocketTLSContext_set_verify_callback(pair.trusting, disable_and_ask, off ? &pair : NULL);
        enable_pair(&pair);
        if (off) {
            CHECK_INT(failed_handshake(&pair), ECANCELED);
            CHECK_INT(socket_is_tls_enabled(pair.client), 0);
        } else {
            acquaint(&pair);
        }
        free_pair(&pair);
    }
}

static const char *raise_mine(const char **protocols, size_t count, void *arg) {
    (void)protocols, (void)count, (void)arg;
    RAISE(Mine);
    return NULL;
}

TEST(what_a_callback_raises_is_raised_again) {
    for (volatile int loop = 0; loop < 2; loop++) {
        struct pair pair = {0};
        make_contexts(&pair, TLS1_3_VERSION);
        const char *protocols[] = {"h2"};
        SocketTLSContext_set_alpn_protos(pair.trusting, protocols, 1);
        SocketTLSContext_set_alpn_callback(pair.serving, raise_mine, NULL);
        SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
        unblock(pair.client);
        unblock(pair.server);
        enable_pair(&pair);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
        volatile int caught = 0;
        TRY {
            if (loop)
                SocketTLS_handshake_loop(pair.server, -1);
            else
                SocketTLS_handshake(pair.server);
        }
        EXCEPT(Mine) {
            caught = 1;
            CHECK_STR(Except_frame.exception->reason, "mine");
        }
        END_TRY;
        CHECK_INT(caught, 1);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.server), SocketTLS_HandshakeFailed, EPROTO);
        CHECK_RAISES_ERRNO(SocketTLS_handshake(pair.client), SocketTLS_HandshakeFailed, EPROTO);
        free_pair(&pair);
    }
}

TEST(a_context_may_go_before_its_sockets) {
    struct pair pair = strangers(TLS1_3_VERSION);
    SocketTLSContext_free(&pair.trusting);
    SocketTLSContext_free(&pair.serving);
    acquaint(&pair);
    CHECK_INT(SocketTLS_send(pair.server, "still", 5), 5);
    expect(pair.client, "still");
    free_pair(&pair);
}

TEST_MAIN
