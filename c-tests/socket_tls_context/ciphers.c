/* Versions and ciphers; contexts that are changed while other threads shake hands. */
#include "../support/heap.h"
#include "ends.h"

#include <pthread.h>
#include <stdatomic.h>

static const char *cipher(SocketTLSContext_T client, SocketTLSContext_T server) {
    return SocketTLS_get_cipher(connected(client, server, "localhost")->client.socket);
}

TEST(versions_are_what_was_asked_for) {
    SocketTLSContext_T client = a_client(), server = a_server();
    EACH_VERSION(version) {
        only(client, version);
        struct ends *ends = connected(client, server, "localhost");
        CHECK_INT(SocketTLS_get_protocol_version(ends->client.socket), version);
    }
    SocketTLSContext_set_min_protocol(client, 0);
    SocketTLSContext_set_max_protocol(client, 0);
    CHECK_STR(SocketTLS_get_version(connected(client, server, "localhost")->client.socket), "TLSv1.3");
    SocketTLSContext_set_max_protocol(server, TLS1_2_VERSION);
    CHECK_STR(SocketTLS_get_version(connected(client, server, "localhost")->client.socket), "TLSv1.2");
    SocketTLSContext_set_min_protocol(client, TLS1_3_VERSION);
    CHECK(!shake(ends_of(client, server, "localhost")));
    CHECK_RAISES(SocketTLSContext_set_max_protocol(client, 0x7777), SocketTLS_Failed);
    CHECK_RAISES(SocketTLSContext_set_min_protocol(client, 0x7777), SocketTLS_Failed);
}

TEST(old_versions_are_allowed_and_not_served) {
    SocketTLSContext_T client = a_client(), server = a_server();
    SocketTLSContext_set_min_protocol(client, TLS1_VERSION);
    SocketTLSContext_set_max_protocol(client, TLS1_1_VERSION);
    SocketTLSContext_set_min_protocol(server, TLS1_VERSION);
    CHECK(!shake(ends_of(client, server, "localhost")));
}

TEST(ciphers_before_and_after_the_first_socket) {
    SocketTLSContext_T client = a_client(), server = a_server();
    SocketTLSContext_set_max_protocol(client, TLS1_2_VERSION);
    SocketTLSContext_set_cipher_list(client, "ECDHE-ECDSA-AES128-GCM-SHA256");
    CHECK_STR(cipher(client, server), "ECDHE-ECDSA-AES128-GCM-SHA256");
    SocketTLSContext_set_cipher_list(client, "ECDHE-ECDSA-CHACHA20-POLY1305");
    CHECK_STR(cipher(client, server), "ECDHE-ECDSA-CHACHA20-POLY1305");
    CHECK_RAISES_SAYING(SocketTLSContext_set_cipher_list(client, "NONSENSE"), SocketTLS_Failed, "NONSENSE");
    CHECK_RAISES(SocketTLSContext_set_cipher_list(client, ""), SocketTLS_Failed);
    CHECK_STR(cipher(client, server), "ECDHE-ECDSA-CHACHA20-POLY1305");
    SocketTLSContext_set_cipher_list(client, NULL);
    CHECK_CONTAINS(cipher(client, server), "ECDHE-ECDSA-AES");
    /* Nothing in common. */
    SocketTLSContext_set_cipher_list(client, "ECDHE-RSA-AES128-GCM-SHA256");
    CHECK(!shake(ends_of(client, server, "localhost")));
}

TEST(suites_of_tls_1_3) {
    SocketTLSContext_T client = a_client(), server = a_server();
    SocketTLSContext_set_ciphersuites(server, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    CHECK_STR(cipher(client, server), "TLS_AES_128_GCM_SHA256");
    SocketTLSContext_set_ciphersuites(client, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384");
    CHECK_STR(cipher(client, server), "TLS_AES_256_GCM_SHA384");
    CHECK_RAISES_SAYING(SocketTLSContext_set_ciphersuites(client, "TLS_NONSENSE"), SocketTLS_Failed, "TLS_NONSENSE");
    CHECK_RAISES(SocketTLSContext_set_ciphersuites(client, ""), SocketTLS_Failed);
    SocketTLSContext_set_ciphersuites(client, NULL);
    SocketTLSContext_set_ciphersuites(server, NULL);
    CHECK_STR(cipher(client, server), "TLS_AES_256_GCM_SHA384");
}

TEST(lists_are_validated) {
    CHECK_INT(SocketTLSContext_validate_cipher_list("ECDHE+AESGCM"), 1);
    CHECK_INT(SocketTLSContext_validate_cipher_list("NONSENSE"), 0);
    CHECK_INT(SocketTLSContext_validate_cipher_list("TLS_AES_128_GCM_SHA256"), 0);
    CHECK_INT(SocketTLSContext_validate_cipher_list(""), 0);
    CHECK_INT(SocketTLSContext_validate_cipher_list(NULL), 0);
    CHECK_INT(SocketTLSContext_validate_ciphersuites(SOCKET_TLS13_CIPHERSUITES), 1);
    CHECK_INT(SocketTLSContext_validate_ciphersuites("TLS_NONSENSE"), 0);
    CHECK_INT(SocketTLSContext_validate_ciphersuites(""), 0);
    CHECK_INT(SocketTLSContext_validate_ciphersuites(NULL), 0);
}

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

static int as_openssl(int preverify_ok, X509_STORE_CTX *x509, SocketTLSContext_T context, Socket_T socket, void *arg) {
    (void)x509, (void)context, (void)socket, (void)arg;
    return preverify_ok;
}

static const char *first(const char **names, size_t count, void *arg) {
    (void)arg;
    return count > 0 ? names[0] : NULL;
}

static struct {
    SocketTLSContext_T client, server;
    atomic_bool stop;
    atomic_int shaken;
} shared;

/* A handshake by this thread alone, from making the sockets to freeing them. */
static void one_handshake(void) {
    Socket_T client = NULL, server = NULL;
    SocketPair_new(SOCK_STREAM, &client, &server);
    Socket_setnonblocking(client);
    Socket_setnonblocking(server);
    SocketTLS_enable(client, shared.client);
    SocketTLS_enable(server, shared.server);
    SocketTLS_set_hostname(client, "n1.test.example");
    TLSHandshakeState mine = TLS_HANDSHAKE_NOT_STARTED, theirs = TLS_HANDSHAKE_NOT_STARTED;
    for (int i = 0; i < 10 && (mine != TLS_HANDSHAKE_COMPLETE || theirs != TLS_HANDSHAKE_COMPLETE); i++) {
        mine = SocketTLS_handshake(client);
        theirs = SocketTLS_handshake(server);
    }
    CHECK_INT(mine, TLS_HANDSHAKE_COMPLETE);
    CHECK_INT(theirs, TLS_HANDSHAKE_COMPLETE);
    Socket_free(&client);
    Socket_free(&server);
    atomic_fetch_add(&shared.shaken, 1);
}

static void *shake_hands(void *arg) {
    (void)arg;
    do one_handshake();
    while (!atomic_load(&shared.stop));
    return NULL;
}

/* The test certificates, looked up once: each look takes memory until the end of the test. */
static struct {
    const char *ca, *pem, *key, *client, *client_key, *garbage;
} files;

static void find_files(void) {
    files.ca = cert("ca.pem");
    files.pem = cert("server.pem");
    files.key = cert("server.key");
    files.client = cert("client.pem");
    files.client_key = cert("client.key");
    files.garbage = cert("garbage.pem");
}

/* Every setter once; a connection comes to be before and after each. */
static void change_all(int round) {
    const char *names[] = {round % 2 ? "h2" : "x", "y"};
    SocketTLSContext_T both[] = {shared.client, shared.server};
    for (int i = 0; i < 2; i++) {
        SocketTLSContext_set_verify_mode(both[i], round % 2 ? TLS_VERIFY_PEER : TLS_VERIFY_NONE);
        SocketTLSContext_set_verify_callback(both[i], round % 3 ? as_openssl : NULL, NULL);
        SocketTLSContext_load_ca(both[i], files.ca);
        SocketTLSContext_set_min_protocol(both[i], TLS1_2_VERSION);
        SocketTLSContext_set_max_protocol(both[i], 0);
        SocketTLSContext_set_cipher_list(both[i], round % 2 ? NULL : "ECDHE+AESGCM");
        SocketTLSContext_set_ciphersuites(both[i], round % 2 ? NULL : "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
        SocketTLSContext_set_alpn_protos(both[i], names, 2);
    }
    SocketTLSContext_set_alpn_callback(shared.server, round % 2 ? first : NULL, NULL);
    SocketTLSContext_load_certificate(shared.server, files.pem, files.key);
    SocketTLSContext_add_certificate(shared.server, round % 2 ? "n1.test.example" : "n2.test.example", files.pem,
                                     files.key);
    SocketTLSContext_load_certificate(shared.client, files.client, files.client_key);
}

TEST(contexts_are_changed_while_threads_shake_hands) {
    find_files();
    shared.client = a_client();
    shared.server = a_server();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_create(&threads[i], NULL, shake_hands, NULL), 0);
    for (int i = 0; i < load(40, 15, 5); i++) change_all(i);
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 3; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_CMP(atomic_load(&shared.shaken), >=, 3);
    CHECK_INT(Socket_debug_live_count(), 0);
}

/* ---- Leaks --------------------------------------------------------------------------------------------------------- */

static void a_life(void) {
    shared.client = SocketTLSContext_new_client(files.ca);
    shared.server = SocketTLSContext_new_server(files.pem, files.key, NULL);
    change_all(1);
    one_handshake();
    TRY { SocketTLSContext_new_server(files.pem, files.client_key, NULL); }
    EXCEPT(SocketTLS_Failed) {}
    END_TRY;
    TRY { SocketTLSContext_add_certificate(shared.server, "n3.test.example", files.garbage, files.key); }
    EXCEPT(SocketTLS_Failed) {}
    END_TRY;
    SocketTLSContext_free(&shared.client);
    SocketTLSContext_free(&shared.server);
}

TEST(nothing_of_a_context_stays) {
    find_files();
    for (int i = 0; i < 3; i++) a_life();
    long before = heap_in_use();
    for (int i = 0; i < load(20, 50, 2); i++) a_life();
    CHECK_HEAP(before, 2048);
}

HEAP_TEST_MAIN
