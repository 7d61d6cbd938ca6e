/* SocketTLS_session_save and SocketTLS_session_restore: what is resumed, and what never goes round verification. */
#include "pair.h"

#include <stdio.h>

/* A connection with the contexts of `pair`; the client expects `name`, NULL: nobody. */
static void open_again(struct pair *pair, const char *name) {
    SocketPair_new(SOCK_STREAM, &pair->client, &pair->server);
    unblock(pair->client);
    unblock(pair->server);
    SocketTLS_enable(pair->client, pair->trusting);
    SocketTLS_enable(pair->server, pair->serving);
    if (name) SocketTLS_set_hostname(pair->client, name);
}

static void close_again(struct pair *pair) {
    Socket_free(&pair->client);
    Socket_free(&pair->server);
}

struct saved {
    unsigned char bytes[16384];
    size_t len;
};

static void greet(struct pair *pair) {
    CHECK_INT(SocketTLS_send(pair->server, "hi", 2), 2);
    expect(pair->client, "hi");
}

static void save(struct pair *pair, struct saved *saved) {
    greet(pair);
    saved->len = sizeof saved->bytes;
    CHECK_INT(SocketTLS_session_save(pair->client, saved->bytes, &saved->len), 1);
    CHECK_CMP(saved->len, >, 100);
}

/* A first connection to localhost, and its session. */
static struct pair first(int version, struct saved *saved) {
    struct pair pair = friends(version);
    save(&pair, saved);
    CHECK_INT(SocketTLS_is_session_reused(pair.client), 0);
    close_again(&pair);
    return pair;
}

/* Another connection, which is offered the session; whether it was resumed. */
static bool resumed(struct pair *pair, const char *name, const struct saved *saved) {
    open_again(pair, name);
    SocketTLS_session_restore(pair->client, saved->bytes, saved->len);
    acquaint(pair);
    greet(pair);
    int reused = SocketTLS_is_session_reused(pair->client);
    CHECK_INT(SocketTLS_is_session_reused(pair->server), reused);
    close_again(pair);
    return reused;
}

TEST(a_saved_session_is_resumed) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = first(version, &saved);
        open_again(&pair, "localhost");
        CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), 1);
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), 1);
        CHECK_INT(SocketTLS_is_session_reused(pair.server), 1);
        CHECK_INT(SocketTLS_get_verify_result(pair.client), X509_V_OK);
        SocketTLS_CertInfo info;
        CHECK_INT(SocketTLS_get_peer_cert_info(pair.client, &info), 1);
        CHECK_CONTAINS(info.issuer, "netconn test root");
        /* And saved again, for a third. */
        save(&pair, &saved);
        close_again(&pair);
        CHECK(resumed(&pair, "localhost", &saved));
        free_pair(&pair);
    }
}

TEST(a_session_outlives_its_context) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = first(version, &saved);
        SocketTLSContext_free(&pair.trusting);
        pair.trusting = SocketTLSContext_new_client(cert(CERT_CA));
        SocketTLSContext_set_max_protocol(pair.trusting, version);
        CHECK(resumed(&pair, "localhost", &saved));
        free_pair(&pair);
    }
}

TEST(the_length_that_is_needed_is_told) {
    struct pair pair = friends(TLS1_3_VERSION);
    unsigned char bytes[16384];
    size_t len = 0, needed;
    greet(&pair);
    CHECK_INT(SocketTLS_session_save(pair.client, NULL, &len), 0);
    needed = len;
    CHECK_CMP(needed, >, 0);
    len = needed - 1;
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), 0);
    CHECK_INT(len, needed);
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), 1);
    CHECK_INT(len, needed);
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, NULL), -1);
    free_pair(&pair);
}

TEST(where_there_is_nothing_to_save) {
    unsigned char bytes[100];
    size_t len = sizeof bytes;
    CHECK_INT(SocketTLS_session_save(NULL, bytes, &len), -1);
    struct pair pair = strangers(TLS1_3_VERSION);
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), -1);
    acquaint(&pair);
    /* TLS 1.3: tickets come with the first bytes. */
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), -1);
    greet(&pair);
    CHECK_INT(SocketTLS_session_save(pair.server, bytes, &len), -1);
    CHECK_INT(len, sizeof bytes);
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), 0);
    SocketTLS_disable(pair.client);
    CHECK_INT(SocketTLS_session_save(pair.client, bytes, &len), -1);
    free_pair(&pair);
}

TEST(a_session_is_restored_before_the_handshake_or_not_at_all) {
    struct saved saved;
    struct pair pair = first(TLS1_3_VERSION, &saved);
    CHECK_INT(SocketTLS_session_restore(NULL, saved.bytes, saved.len), -1);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), -1);
    close_again(&pair);
    open_again(&pair, "localhost");
    CHECK_INT(SocketTLS_session_restore(pair.server, saved.bytes, saved.len), 0);
    CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), -1);
    acquaint(&pair);
    CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), -1);
    CHECK_INT(SocketTLS_is_session_reused(pair.client), 0);
    free_pair(&pair);
}

TEST(what_is_no_session_is_refused) {
    struct saved saved;
    struct pair pair = first(TLS1_2_VERSION, &saved);
    static unsigned char large[1 << 20];
    open_again(&pair, "localhost");
    Socket_T client = pair.client;
    CHECK_INT(SocketTLS_session_restore(client, NULL, saved.len), 0);
    CHECK_INT(SocketTLS_session_restore(client, saved.bytes, 0), 0);
    CHECK_INT(SocketTLS_session_restore(client, saved.bytes, 1), 0);
    CHECK_INT(SocketTLS_session_restore(client, saved.bytes, saved.len - 1), 0);
    CHECK_INT(SocketTLS_session_restore(client, saved.bytes, saved.len + 1), 0);
    memcpy(large, saved.bytes, saved.len);
    CHECK_INT(SocketTLS_session_restore(client, large, sizeof large), 0);
    for (size_t i = 0; i < saved.len; i += 7) {
        large[i] ^= 0x20;
        CHECK_INT(SocketTLS_session_restore(client, large, saved.len), 0);
        large[i] ^= 0x20;
    }
    memset(large, 0x30, sizeof large);
    CHECK_INT(SocketTLS_session_restore(client, large, 1000), 0);
    acquaint(&pair);
    greet(&pair);
    CHECK_INT(SocketTLS_is_session_reused(client), 0);
    free_pair(&pair);
}

TEST(the_hostname_may_come_after_and_decides) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = first(version, &saved);
        open_again(&pair, NULL);
        CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), 1);
        SocketTLS_set_hostname(pair.client, "LOCALHOST");
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), 1);
        close_again(&pair);
        CHECK(!resumed(&pair, "a.test.example", &saved));
        free_pair(&pair);
    }
}

TEST(a_name_that_the_certificate_is_not_for_fails_all_the_same) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = first(version, &saved);
        open_again(&pair, "www.example.org");
        CHECK_INT(SocketTLS_session_restore(pair.client, saved.bytes, saved.len), 0);
        CHECK_INT(failed_handshake(&pair), EPROTO);
        CHECK_INT(SocketTLS_get_verify_result(pair.client), X509_V_ERR_HOSTNAME_MISMATCH);
        free_pair(&pair);
    }
}

static int accept_all(int ok, X509_STORE_CTX *store, SocketTLSContext_T context, Socket_T socket, void *arg) {
    (void)ok, (void)context, (void)socket, (void)arg;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

TEST(other_settings_begin_anew) {
    EACH_VERSION(version) {
        for (int change = 0; change < 5; change++) {
            struct saved saved;
            struct pair pair = first(version, &saved);
            const char *protos[] = {"h2"};
            switch (change) {
            case 0: SocketTLSContext_load_ca(pair.trusting, cert(CERT_OTHER_CA)); break;
            case 1: SocketTLSContext_set_verify_callback(pair.trusting, accept_all, NULL); break;
            case 2: SocketTLSContext_set_alpn_protos(pair.trusting, protos, 1); break;
            case 3: SocketTLSContext_load_certificate(pair.trusting, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)); break;
            case 4: SocketTLSContext_get_ssl_ctx(pair.trusting); break;
            }
            CHECK(!resumed(&pair, "localhost", &saved));
            free_pair(&pair);
        }
    }
}

TEST(what_was_not_verified_is_not_believed_under_a_name) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = {0};
        make_contexts(&pair, version);
        SocketTLSContext_set_verify_mode(pair.trusting, TLS_VERIFY_NONE);
        open_again(&pair, NULL);
        acquaint(&pair);
        save(&pair, &saved);
        close_again(&pair);
        CHECK(resumed(&pair, NULL, &saved));
        CHECK(!resumed(&pair, "localhost", &saved));
        free_pair(&pair);
    }
}

TEST(a_socket_that_is_freed_without_a_word_leaves_a_good_session) {
    EACH_VERSION(version) {
        struct saved saved;
        struct pair pair = first(version, &saved); /* freed so */
        CHECK(resumed(&pair, "localhost", &saved));
        /* A child's copy of the bytes, another one's: they are a program's to keep. */
        CHECK(resumed(&pair, "localhost", &saved));
        free_pair(&pair);
    }
}

/* ---- Where a session belongs --------------------------------------------------------------------------------------- */

static Socket_T listening(const char *host) {
    Socket_T listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(listener, host, 0);
    Socket_listen(listener, 8);
    return listener;
}

/* A client that goes to a listener's port, at `host`; TLS is enabled before it connects, and the session is offered then. */
static bool resumed_at(struct pair *pair, Socket_T listener, const char *host, const char *name, const struct saved *saved, int accepted) {
    pair->client = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketTLS_enable(pair->client, pair->trusting);
    if (name) SocketTLS_set_hostname(pair->client, name);
    if (saved) CHECK_INT(SocketTLS_session_restore(pair->client, saved->bytes, saved->len), accepted);
    Socket_connect(pair->client, host, Socket_getlocalport(listener));
    CHECK_INT(Socket_isconnected(pair->client), 1);
    pair->server = Socket_accept(listener);
    SocketTLS_enable(pair->server, pair->serving);
    unblock(pair->client);
    unblock(pair->server);
    acquaint(pair);
    greet(pair);
    return SocketTLS_is_session_reused(pair->client) == 1;
}

TEST(a_session_is_for_its_port_and_without_a_name_for_its_address) {
    EACH_VERSION(version) {
        struct pair pair = {0};
        struct saved named, nameless;
        make_contexts(&pair, version);
        Socket_T here = listening("0.0.0.0"), there = listening("0.0.0.0");
        CHECK(!resumed_at(&pair, here, "127.0.0.1", "localhost", NULL, 0));
        save(&pair, &named);
        close_again(&pair);
        CHECK(!resumed_at(&pair, there, "127.0.0.1", "localhost", &named, 1)); /* not known before it was connected */
        close_again(&pair);
        CHECK(resumed_at(&pair, here, "127.0.0.2", "localhost", &named, 1)); /* another address of that name */
        close_again(&pair);

        SocketTLSContext_set_verify_mode(pair.trusting, TLS_VERIFY_NONE);
        CHECK(!resumed_at(&pair, here, "127.0.0.1", NULL, NULL, 0));
        save(&pair, &nameless);
        close_again(&pair);
        CHECK(!resumed_at(&pair, here, "127.0.0.2", NULL, &nameless, 1));
        close_again(&pair);
        CHECK(resumed_at(&pair, here, "127.0.0.1", NULL, &nameless, 1));
        Socket_free(&here);
        Socket_free(&there);
        free_pair(&pair);
    }
}

TEST_MAIN
