/*
 * OpenSSL's allocations made to fail in turn, in the life of two sockets with TLS: contexts, a session that is restored, the
 * handshake, bytes, what is asked, a session that is saved, the good-bye. An exception or none; no crash, no stall, nothing
 * left open.
 *
 * OpenSSL is this program's and the library's, one and the same: with the vendored one the test is skipped.
 */
#include "../support/openssl_memory.h"
#include "netconn.h"
#include "pair.h"

/* ---- The life --------------------------------------------------------------------------------------------------------- */

static struct pair pair;
static unsigned char session[16384];
static size_t session_len;

static void say(Socket_T from, Socket_T to) {
    char buf[10];
    size_t got = 0;
    CHECK_INT(SocketTLS_send(from, "hello", 5), 5);
    for (int tries = 0; got < 5; tries++) {
        CHECK_CMP(tries, <, 100);
        got += (size_t)SocketTLS_recv(to, buf + got, sizeof buf - got);
    }
    CHECK_INT(got, 5);
    CHECK_MEM(buf, "hello", 5);
}

static void ask(Socket_T socket) {
    char text[100];
    SocketTLS_CertInfo info;
    X509 **chain;
    int count;
    SocketTLS_get_cipher(socket);
    SocketTLS_get_alpn_selected(socket);
    SocketTLS_get_verify_error_string(socket, text, sizeof text);
    SocketTLS_get_peer_cert_info(socket, &info);
    SocketTLS_get_cert_subject(socket, text, sizeof text);
    SocketTLS_get_cert_expiry(socket);
    SocketTLS_get_peer_cert_chain(socket, &chain, &count);
}

static void begin(int version) {
    static const char *protos[] = {"h2", "http/1.1"};
    make_contexts(&pair, version);
    SocketTLSContext_set_alpn_protos(pair.trusting, protos, 2);
    SocketTLSContext_set_alpn_protos(pair.serving, protos, 2);
    SocketTLSContext_load_certificate(pair.trusting, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY));
    SocketTLSContext_load_ca(pair.serving, cert(CERT_CA));
    SocketTLSContext_set_verify_mode(pair.serving, TLS_VERIFY_FAIL_IF_NO_PEER_CERT);
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    unblock(pair.client);
    unblock(pair.server);
    enable_pair(&pair);
}

/* Whether all went well; otherwise something was raised. */
static bool live(int version) {
    volatile bool good = true;
    size_t len = sizeof session;
    TRY
        begin(version);
        if (session_len > 0) SocketTLS_session_restore(pair.client, session, session_len);
        acquaint(&pair);
        say(pair.server, pair.client);
        say(pair.client, pair.server);
        ask(pair.client);
        ask(pair.server);
        if (SocketTLS_session_save(pair.client, session, &len) == 1) session_len = len;
        SocketTLS_shutdown_send(pair.client);
        SocketTLS_disable(pair.server);
        SocketTLS_disable(pair.client);
    ELSE
        good = false;
        CHECK(Except_frame.exception->reason[0] != 0);
    END_TRY;
    free_pair(&pair);
    return good;
}

static void torture(int version, int runs, long fail_together) {
    TEST_LIMIT(120);
    take_openssl_memory();
    if (!netconn_openssl() || !strstr(netconn_openssl(), "system")) SKIP("the library has an OpenSSL of its own");
    CHECK(live(version)); /* what OpenSSL makes once in a process is made, and stays usable */
    CHECK(live(version));
    int fds = fd_count(), bad = 0;
    nth = seen = 0;
    armed = true;
    CHECK(live(version));
    armed = false;
    long allocations = seen, step = allocations / runs + 1;
    CHECK_CMP(allocations, >, 100);
    lasting = fail_together;
    for (long at = 1; at <= allocations; at += step) {
        nth = at;
        seen = 0;
        armed = true;
        if (!live(version)) bad++;
        armed = false;
        CHECK_NO_NEW_FDS(fds);
    }
    CHECK_CMP(bad, >, 0);
    CHECK(live(version)); /* and nothing of it stays */
}

TEST(each_allocation_fails_once_tls12) { torture(TLS1_2_VERSION, load(300, 80, 10), 1); }
TEST(each_allocation_fails_once_tls13) { torture(TLS1_3_VERSION, load(300, 80, 10), 1); }
TEST(memory_is_out_for_a_while_tls12) { torture(TLS1_2_VERSION, load(80, 30, 5), 20); }
TEST(memory_is_out_for_a_while_tls13) { torture(TLS1_3_VERSION, load(80, 30, 5), 20); }
TEST(memory_is_out_for_good_tls12) { torture(TLS1_2_VERSION, load(80, 30, 5), 1000000); }
TEST(memory_is_out_for_good_tls13) { torture(TLS1_3_VERSION, load(80, 30, 5), 1000000); }

TEST_MAIN
