/* TLS as a client of net_conn.h sees it: what is verified, what a failure says, how a session ends and begins anew. */
#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "../support/world.h"
#include "netconn.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static const char *version_name(int version) { return version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"; }

/* A server of one version with this pair, `NAME.pem` and `NAME.key`. */
static struct peer *server(int version, const char *name) {
    char *pem = alloc(100), *key = alloc(100);
    snprintf(pem, 100, "%s.pem", name);
    snprintf(key, 100, "%s.key", name);
    return PEER(.cert = pem, .key = key, .min_version = version, .max_version = version);
}

static struct client *connects(struct ev_loop *loop, const char *host, struct peer *peer, const struct conn_options *o) {
    struct client *client = client_open(loop, host, peer_port(peer), o);
    client_wait_ready(client);
    client_echo(client, "under TLS");
    return client;
}

/* ---- What a connection shows ----------------------------------------------------------------------------------------- */

BOTH_VERSIONS(what_was_negotiated) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    struct conn_certificate shown = {.size = sizeof shown};
    CHECK_PTR_NULL(conn_get_tls_version(client->c));
    CHECK_PTR_NULL(conn_get_cipher(client->c));
    CHECK_PTR_NULL(conn_get_alpn(client->c));
    CHECK(!conn_session_reused(client->c));
    CHECK_INT(conn_get_verify_result(client->c), -1);
    CHECK_ERRNO(conn_get_peer_certificate(client->c, &shown), ENOENT);
    CHECK_INT(conn_get_ocsp_status(client->c), NETCONN_TLS_OCSP_NONE);
    CHECK(conn_get_use_tls(client->c));
    client_wait_ready(client);
    CHECK_STR(conn_get_tls_version(client->c), version_name(version));
    CHECK_PTR_NOT_NULL(conn_get_cipher(client->c));
    CHECK_PTR_NULL(conn_get_alpn(client->c));
    CHECK(!conn_session_reused(client->c));
    CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
    CHECK_INT(conn_get_ocsp_status(client->c), NETCONN_TLS_OCSP_NONE);
    CHECK_INT(conn_get_peer_certificate(client->c, &shown), 0);
    CHECK_CONTAINS(shown.subject, "localhost");
    CHECK_CONTAINS(shown.issuer, "netconn test root");
    CHECK_CONTAINS(shown.names, "localhost");
    CHECK_CONTAINS(shown.names, "*.test.example");
    CHECK_CONTAINS(shown.names, "127.0.0.1");
    CHECK(shown.serial[0] != 0);
    CHECK_CMP(shown.not_before, <, shown.not_after);
    unsigned char zero[32] = {0};
    CHECK(memcmp(shown.sha256, zero, 32) != 0);
    CHECK(memcmp(shown.key_sha256, zero, 32) != 0);
    client_echo(client, "hello");
}

BOTH_VERSIONS(the_ssl_has_the_fd) {
    if (!strstr(netconn_openssl(), "(system)")) SKIP("netconn has an OpenSSL of its own, whose SSL is not for the program's libssl");
    struct client *client = ready_client(test_loop(), version, TLS_PEER(version));
    CHECK_INT(SSL_get_fd(client->c->ssl), client->c->fd);
    CHECK_STR(SSL_get_version(client->c->ssl), version_name(version));
    CHECK_STR(SSL_get_cipher_name(client->c->ssl), conn_get_cipher(client->c));
}

/* ---- Verified by default --------------------------------------------------------------------------------------------- */

BOTH_VERSIONS(the_default_store_is_ssl_cert_file) {
    struct peer *peer = TLS_PEER(version);
    setenv("SSL_CERT_FILE", cert(CERT_CA), 1);
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    client_wait_ready(client);
    CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
    client_echo(client, "with the defaults");
}

BOTH_VERSIONS(the_default_store_is_ssl_cert_dir) {
    struct peer *peer = TLS_PEER(version);
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", cert("cadir"), 1);
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    client_wait_ready(client);
}

BOTH_VERSIONS(the_default_store_refuses_a_stranger) {
    struct peer *peer = TLS_PEER(version);
    setenv("SSL_CERT_FILE", cert(CERT_OTHER_CA), 1);
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    CHECK_PTR_NOT_NULL(client->c);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
}

static struct client *refuses(struct peer *peer, const char *host, const struct conn_options *o, long verify) {
    struct client *client = client_open(test_loop(), host, peer_port(peer), o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK_INT(client->verify, verify);
    CHECK_INT(conn_get_verify_result(client->c), verify);
    char where[100];
    snprintf(where, sizeof where, "%s:%s", host, peer_port(peer));
    CHECK_CONTAINS(client->message, where);
    /* The server is told: an alert, not a mere hang-up. */
    client_close(client);
    evloop_run(client->loop);
    peer_join(peer);
    CHECK_CMP(peer_failed_handshakes(peer), >=, 1);
    CHECK_CONTAINS(peer_handshake_error(peer), "alert");
    return client;
}

BOTH_VERSIONS(an_untrusted_root) {
    struct conn_options o = tls_options();
    struct client *client = refuses(server(version, "untrusted"), "localhost", &o, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
    CHECK_CONTAINS(client->message, "CN=Corp Root");
    CHECK_CONTAINS(client->message, "not trusted");
}

BOTH_VERSIONS(an_expired_certificate) {
    struct conn_options o = tls_options();
    struct client *client = refuses(server(version, "expired"), "localhost", &o, X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK_CONTAINS(client->message, "has expired on 2020-01-31 12:00:00 UTC");
    CHECK_CONTAINS(client->message, "CN=localhost");
}

BOTH_VERSIONS(a_certificate_of_the_future) {
    struct conn_options o = tls_options();
    struct client *client = refuses(server(version, "not-yet-valid"), "localhost", &o, X509_V_ERR_CERT_NOT_YET_VALID);
    CHECK_CONTAINS(client->message, "is not yet valid, valid from 2090-01-01 00:00:00 UTC");
}

BOTH_VERSIONS(another_name) {
    struct conn_options o = tls_options();
    struct peer *peer = server(version, "wrong-name");
    struct client *client = refuses(peer, "localhost", &o, X509_V_ERR_HOSTNAME_MISMATCH);
    CHECK_CONTAINS(client->message, "certificate of \"CN=old.example\" (depth 0) is for old.example, www.old.example; not for localhost");
}

BOTH_VERSIONS(another_address) {
    struct conn_options o = tls_options();
    struct peer *peer = PEER(.address = "127.0.0.2", .cert = CERT_GOOD, .key = CERT_GOOD_KEY, .min_version = version,
                             .max_version = version);
    struct client *client = refuses(peer, "127.0.0.2", &o, X509_V_ERR_IP_ADDRESS_MISMATCH);
    CHECK_CONTAINS(client->message, "not for 127.0.0.2");
}

BOTH_VERSIONS(a_common_name_is_no_name) {
    struct conn_options o = tls_options();
    refuses(server(version, "cn-only"), "localhost", &o, X509_V_ERR_HOSTNAME_MISMATCH);
}

BOTH_VERSIONS(an_address_is_not_a_name) {
    struct conn_options o = tls_options();
    refuses(server(version, "ip-only"), "localhost", &o, X509_V_ERR_HOSTNAME_MISMATCH);
    connects(test_loop(), "127.0.0.1", server(version, "ip-only"), &o);
}

BOTH_VERSIONS(a_self_signed_certificate) {
    struct conn_options o = tls_options();
    refuses(server(version, "self-signed"), "localhost", &o, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}

BOTH_VERSIONS(a_missing_intermediate) {
    struct conn_options o = tls_options();
    struct peer *peer = server(version, "missing-intermediate");
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK(client->verify == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || client->verify == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE);
    CHECK_CONTAINS(client->message, "netconn test intermediate");
    connects(test_loop(), "localhost", server(version, "chain"), &o); /* and with it */
}

/* ---- Names ----------------------------------------------------------------------------------------------------------- */

BOTH_VERSIONS(the_server_name_counts_in_place_of_the_host) {
    struct conn_options o = tls_options();
    o.server_name = "www.old.example";
    connects(test_loop(), "127.0.0.1", server(version, "wrong-name"), &o);
    o.server_name = "new.example";
    refuses(server(version, "wrong-name"), "127.0.0.1", &o, X509_V_ERR_HOSTNAME_MISMATCH);
}

BOTH_VERSIONS(wildcards_stand_for_one_label) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    o.server_name = "a.test.example";
    connects(test_loop(), "127.0.0.1", peer, &o);
    o.server_name = "A.Test.EXAMPLE";
    connects(test_loop(), "127.0.0.1", peer, &o);
    o.server_name = "a.b.test.example";
    refuses(TLS_PEER(version), "127.0.0.1", &o, X509_V_ERR_HOSTNAME_MISMATCH);
    o.server_name = "test.example";
    refuses(TLS_PEER(version), "127.0.0.1", &o, X509_V_ERR_HOSTNAME_MISMATCH);
}

static char sni[256];
static void note_sni(struct peer_conn *pc) {
    const char *name = SSL_get_servername(pc->ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(sni, sizeof sni, "%s", name ? name : "(none)");
    serve_echo(pc);
}

BOTH_VERSIONS(the_name_is_sent_and_an_address_is_not) {
    struct peer *peer = TLS_PEER(version, .serve = note_sni);
    struct conn_options o = tls_options();
    struct client *client = connects(test_loop(), "localhost", peer, &o);
    CHECK_STR(sni, "localhost");
    client_close(client);
    client = connects(test_loop(), "127.0.0.1", peer, &o);
    CHECK_STR(sni, "(none)");
    client_close(client);
    o.server_name = "localhost.";
    client = connects(test_loop(), "127.0.0.1", peer, &o);
    CHECK_STR(sni, "localhost");
}

TEST(a_server_name_that_cannot_be) {
    struct conn_options o = tls_options();
    o.server_name = "..";
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(TLS_PEER(0)), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_INVALID, EINVAL);
    CHECK_CONTAINS(client->message, "\"..\" is not a name");
}

TEST(no_trust_store_at_all) {
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    struct peer *peer = TLS_PEER(0);
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
    CHECK_CONTAINS(client->message, "SSL_CERT_FILE");
}

/* ---- Verification by choice ------------------------------------------------------------------------------------------ */

BOTH_VERSIONS(the_chain_alone) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_CHAIN), 0);
    connects(test_loop(), "localhost", server(version, "wrong-name"), &o);
    refuses(server(version, "untrusted"), "localhost", &o, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
}

BOTH_VERSIONS(nothing_verified) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_NONE), 0);
    struct client *client = connects(test_loop(), "localhost", server(version, "self-signed"), &o);
    CHECK_INT(conn_get_verify_result(client->c), -1); /* not what OpenSSL found without being asked */
    connects(test_loop(), "localhost", server(version, "expired"), &o);
    connects(test_loop(), "localhost", server(version, "wrong-name"), &o);
}

struct verdicts {
    int calls, deepest, answer;
    long last_error;
    bool leaf_seen;
};

static int judge(int preverified, int depth, const char *subject, long error, void *arg) {
    struct verdicts *verdicts = arg;
    if (!preverified) CHECK(error != X509_V_OK); /* an error that was accepted stays, as everywhere in OpenSSL */
    CHECK_PTR_NOT_NULL(subject);
    verdicts->calls++;
    if (depth > verdicts->deepest) verdicts->deepest = depth;
    if (error != X509_V_OK) verdicts->last_error = error;
    if (depth == 0 && strstr(subject, "CN=localhost")) verdicts->leaf_seen = true;
    return verdicts->answer < 0 ? preverified : verdicts->answer;
}

BOTH_VERSIONS(the_verify_callback_sees_each_certificate) {
    struct conn_options o = tls_options();
    struct verdicts verdicts = {.answer = -1};
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, judge, &verdicts), 0);
    connects(test_loop(), "localhost", server(version, "chain"), &o);
    CHECK_CMP(verdicts.calls, >=, 3); /* root, intermediate, leaf */
    CHECK_INT(verdicts.deepest, 2);
    CHECK(verdicts.leaf_seen);
    CHECK_INT(verdicts.last_error, X509_V_OK);
}

BOTH_VERSIONS(the_verify_callback_accepts) {
    struct conn_options o = tls_options();
    struct verdicts verdicts = {.answer = 1};
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, judge, &verdicts), 0);
    connects(test_loop(), "localhost", server(version, "self-signed"), &o);
    CHECK_INT(verdicts.last_error, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}

BOTH_VERSIONS(the_verify_callback_refuses) {
    struct conn_options o = tls_options();
    struct verdicts verdicts = {.answer = 0};
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, judge, &verdicts), 0);
    struct peer *peer = TLS_PEER(version);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
    CHECK_CMP(verdicts.calls, >=, 1);
}

/* ---- The process's default context ----------------------------------------------------------------------------------- */

BOTH_VERSIONS(the_default_context_can_be_replaced) {
    struct peer *peer = TLS_PEER(version);
    SocketTLSContext_T ctx = netconn_tls_client(cert(CERT_CA));
    CHECK_PTR_NOT_NULL(ctx);
    CHECK_INT(conn_set_default_tls(ctx), 0);
    netconn_tls_free(&ctx); /* the default holds a reference of its own */
    CHECK_PTR_NULL(ctx);
    struct conn_options o = options();
    o.use_tls = true;
    connects(test_loop(), "localhost", peer, &o);
    setenv("SSL_CERT_FILE", cert(CERT_OTHER_CA), 1);
    CHECK_INT(conn_set_default_tls(NULL), 0);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
}

BOTH_VERSIONS(the_default_options_hold_their_context) {
    struct peer *peer = TLS_PEER(version);
    struct verdicts verdicts = {.answer = -1};
    struct conn_options o = options();
    o.tls = netconn_tls_client(cert(CERT_CA));
    CHECK_PTR_NOT_NULL(o.tls);
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, judge, &verdicts), 0);
    CHECK_INT(conn_set_default_options(&o), 0);
    netconn_tls_free(&o.tls); /* its callbacks go on, as long as the process may connect with it */
    struct client *client = client_new(test_loop());
    client->c = conn_new(client->loop, "localhost", peer_port(peer), true, client_on_ready, client_on_error, client);
    client_wait_ready(client);
    CHECK_CMP(verdicts.calls, >=, 1);
    CHECK_INT(conn_set_default_options(NULL), 0);
}

BOTH_VERSIONS(a_context_freed_while_in_use) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = options();
    o.use_tls = true;
    o.tls = netconn_tls_client(cert(CERT_CA));
    CHECK_PTR_NOT_NULL(o.tls);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    netconn_tls_free(&o.tls);
    client_wait_ready(client);
    client_echo(client, "without its context");
}

TEST(a_servers_context_is_no_clients) {
    struct conn_options o = options();
    o.use_tls = true;
    o.tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL);
    CHECK_PTR_NOT_NULL(o.tls);
    errno = 0;
    struct net_conn *c = conn_new_with(test_loop(), "localhost", "443", &o, NULL, NULL, NULL);
    CHECK_PTR_NULL(c);
    CHECK_INT(errno, EINVAL);
    netconn_tls_free(&o.tls);
}

/* ---- Versions -------------------------------------------------------------------------------------------------------- */

TEST(versions_that_do_not_meet) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_versions(o.tls, 0, 0x0303), 0);
    struct peer *peer = TLS_PEER(TLS1_3_VERSION);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
    connects(test_loop(), "localhost", TLS_PEER(TLS1_2_VERSION), &o);
    CHECK_INT(netconn_tls_set_versions(o.tls, 0x0304, 0), 0);
    client = client_open(test_loop(), "localhost", peer_port(TLS_PEER(TLS1_2_VERSION)), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
}

/* ---- ALPN ------------------------------------------------------------------------------------------------------------ */

static const char *const offer[] = {"h2", "http/1.1"};

BOTH_VERSIONS(alpn_agreed) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    struct client *client = connects(test_loop(), "localhost", TLS_PEER(version, .alpn = "http/1.1"), &o);
    CHECK_STR(conn_get_alpn(client->c), "http/1.1");
}

BOTH_VERSIONS(alpn_ignored_by_the_server) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    struct client *client = connects(test_loop(), "localhost", TLS_PEER(version), &o);
    CHECK_PTR_NULL(conn_get_alpn(client->c));
}

BOTH_VERSIONS(alpn_without_a_common_protocol) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    struct peer *peer = TLS_PEER(version, .alpn = "smtp");
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
}

/* ---- Mutual TLS ------------------------------------------------------------------------------------------------------ */

BOTH_VERSIONS(with_a_client_certificate) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_load_certificate(o.tls, cert(CERT_CLIENT), cert(CERT_CLIENT_KEY)), 0);
    connects(test_loop(), "localhost", TLS_PEER(version, .client_ca = CERT_CA), &o);
}

/* With TLS 1.3 a client is ready before the server has judged its certificate: the refusal comes with the first read. */
static void is_turned_away(struct peer *peer, const struct conn_options *o) {
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), o);
    RUN_UNTIL(client->loop, client->ready || client->errors);
    if (!client->errors) {
        char byte;
        CHECK_INT(client_read_some(client, &byte, 1), -1);
        RUN_UNTIL(client->loop, client->errors);
    }
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
}

BOTH_VERSIONS(without_the_client_certificate_that_is_asked_for) {
    struct conn_options o = tls_options();
    is_turned_away(TLS_PEER(version, .client_ca = CERT_CA), &o);
}

BOTH_VERSIONS(with_a_client_certificate_that_is_not_trusted) {
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_load_certificate(o.tls, cert("untrusted-client.pem"), cert("untrusted-client.key")), 0);
    is_turned_away(TLS_PEER(version, .client_ca = CERT_CA), &o);
}

/* ---- Sessions -------------------------------------------------------------------------------------------------------- */

/* Whether a connection to this server resumed. It has echoed, so that with TLS 1.3 its tickets have come. */
static bool resumes(const char *host, struct peer *peer, const struct conn_options *o) {
    struct client *client = connects(test_loop(), host, peer, o);
    struct conn_certificate shown = {.size = sizeof shown};
    CHECK_INT(conn_get_peer_certificate(client->c, &shown), 0); /* resumed or not */
    bool reused = conn_session_reused(client->c);
    client_close(client);
    evloop_run(client->loop);
    return reused;
}

BOTH_VERSIONS(a_session_is_reused) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    CHECK_INT(resumes("localhost", peer, &o), false);
    for (int i = 0; i < 5; i++) CHECK_INT(resumes("localhost", peer, &o), true);
}

BOTH_VERSIONS(a_resumed_session_is_still_verified) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    CHECK_INT(resumes("localhost", peer, &o), false);
    struct client *client = connects(test_loop(), "localhost", peer, &o);
    CHECK(conn_session_reused(client->c));
    CHECK_INT(conn_get_verify_result(client->c), X509_V_OK);
}

BOTH_VERSIONS(sessions_are_kept_by_name_and_port_and_context) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options(), other = tls_options();
    CHECK_INT(resumes("localhost", peer, &o), false);
    CHECK_INT(resumes("127.0.0.1", peer, &o), false);   /* another host */
    CHECK_INT(resumes("localhost", peer, &other), false); /* another context */
    o.server_name = "a.test.example";
    CHECK_INT(resumes("localhost", peer, &o), false); /* another name */
    CHECK_INT(resumes("localhost", TLS_PEER(version), &o), false); /* another port */
    o.server_name = NULL;
    CHECK_INT(resumes("localhost", peer, &o), true);
}

BOTH_VERSIONS(reuse_can_be_turned_off) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_session_reuse(o.tls, false), 0);
    CHECK_INT(resumes("localhost", peer, &o), false);
    CHECK_INT(resumes("localhost", peer, &o), false);
}

BOTH_VERSIONS(resumption_never_goes_round_the_name_check) {
    struct peer *peer = server(version, "wrong-name");
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_CHAIN), 0);
    resumes("localhost", peer, &o);
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_FULL), 0);
    refuses(peer, "localhost", &o, X509_V_ERR_HOSTNAME_MISMATCH);
}

BOTH_VERSIONS(resumption_never_goes_round_the_chain_check) {
    struct peer *peer = server(version, "self-signed");
    struct conn_options o = tls_options();
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_NONE), 0);
    resumes("localhost", peer, &o);
    resumes("localhost", peer, &o);
    CHECK_INT(netconn_tls_set_verify(o.tls, NETCONN_TLS_VERIFY_FULL), 0);
    refuses(peer, "localhost", &o, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT);
}

BOTH_VERSIONS(resumption_never_goes_round_a_new_verify_callback) {
    struct peer *peer = TLS_PEER(version);
    struct conn_options o = tls_options();
    resumes("localhost", peer, &o);
    struct verdicts verdicts = {.answer = 0};
    CHECK_INT(netconn_tls_set_verify_callback(o.tls, judge, &verdicts), 0);
    struct client *client = client_open(test_loop(), "localhost", peer_port(peer), &o);
    client_wait_error(client);
    CHECK_FAILED_WITH(client, CONN_ERR_CERTIFICATE, EPROTO);
}

BOTH_VERSIONS(a_session_belongs_to_its_alpn) {
    struct peer *peer = TLS_PEER(version, .alpn = "http/1.1");
    struct conn_options o = tls_options();
    CHECK_INT(resumes("localhost", peer, &o), false);
    CHECK_INT(netconn_tls_set_alpn(o.tls, offer, 2), 0);
    CHECK_INT(resumes("localhost", peer, &o), false);
    CHECK_INT(resumes("localhost", peer, &o), true);
}

BOTH_VERSIONS(an_unknown_session_is_a_full_handshake) {
    struct conn_options o = tls_options();
    struct peer *peer = TLS_PEER(version);
    int port = peer_port_number(peer);
    CHECK_INT(resumes("localhost", peer, &o), false);
    peer_join(peer);
    peer_stop_listening(peer);
    peer = TLS_PEER(version, .port = port); /* restarted: its ticket keys are new */
    CHECK_INT(resumes("localhost", peer, &o), false);
    CHECK_INT(resumes("localhost", peer, &o), true);
}

/* ---- How a connection ends ------------------------------------------------------------------------------------------- */

static void hello_and_truncate(struct peer_conn *pc) {
    peer_write(pc, "hello", 5);
    peer_truncate(pc);
}

BOTH_VERSIONS(an_end_without_close_notify_is_truncation) {
    struct client *client = ready_client(test_loop(), version, TLS_PEER(version, .serve = hello_and_truncate));
    char buf[100];
    client_read(client, buf, 5);
    CHECK_MEM(buf, "hello", 5);
    CHECK_INT(client_read_some(client, buf, sizeof buf), -1);
    CHECK_INT(errno, ECONNRESET);
    CHECK_INT(conn_get_state(client->c), CONN_ERROR);
    RUN_UNTIL(client->loop, client->errors);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, ECONNRESET);
    CHECK_ERRNO(conn_try_read(client->c, buf, sizeof buf), ECONNRESET); /* and again */
    run_rounds(client->loop);
    CHECK_INT(client->errors, 1);
}

BOTH_VERSIONS(truncation_can_be_allowed) {
    struct peer *peer = TLS_PEER(version, .serve = hello_and_truncate);
    struct conn_options o = tls_options();
    o.allow_truncation = true;
    struct client *client = client_open(test_loop(), "127.0.0.1", peer_port(peer), &o);
    client_wait_ready(client);
    char buf[100];
    client_read(client, buf, 5);
    CHECK_INT(client_read_some(client, buf, sizeof buf), 0);
    CHECK_INT(conn_try_read(client->c, buf, sizeof buf), 0);
    run_rounds(client->loop);
    CHECK_INT(client->errors, 0);
}

static void half_record(struct peer_conn *pc) {
    /* The head of a record of 100 bytes, and five of them. */
    static const unsigned char start[] = {23, 3, 3, 0, 100, 1, 2, 3, 4, 5};
    send(pc->fd, start, sizeof start, MSG_NOSIGNAL);
    peer_truncate(pc);
}

BOTH_VERSIONS(truncation_inside_a_record) {
    struct peer *peer = TLS_PEER(version, .serve = half_record, .no_tickets = true);
    struct client *client = ready_client(test_loop(), version, peer);
    char buf[100];
    CHECK_INT(client_read_some(client, buf, sizeof buf), -1);
    CHECK_INT(errno, ECONNRESET);
}

static void garbage(struct peer_conn *pc) {
    static const char junk[] = "this is not a record at all, and long enough to look like one, or two, if you are short-sighted";
    send(pc->fd, junk, sizeof junk, MSG_NOSIGNAL);
    peer_drain(pc);
}

BOTH_VERSIONS(garbage_in_place_of_a_record) {
    struct client *client = ready_client(test_loop(), version, TLS_PEER(version, .serve = garbage));
    char buf[100];
    CHECK_INT(client_read_some(client, buf, sizeof buf), -1);
    CHECK_INT(errno, EPROTO);
    RUN_UNTIL(client->loop, client->errors);
    CHECK_FAILED_WITH(client, CONN_ERR_TLS, EPROTO);
}

static void end_then_listen(struct peer_conn *pc) {
    peer_write(pc, "hello", 5);
    peer_end_writing(pc);
    char buf[5];
    if (!peer_read_exactly(pc, buf, 5)) FAIL("the client's last words did not come");
    CHECK_MEM(buf, "after", 5);
    CHECK(peer_drain(pc)); /* the client's own close_notify */
}

BOTH_VERSIONS(writing_goes_on_after_the_peers_close_notify) {
    struct peer *peer = TLS_PEER(version, .serve = end_then_listen);
    struct client *client = ready_client(test_loop(), version, peer);
    char buf[100];
    client_read(client, buf, 5);
    CHECK_INT(client_read_some(client, buf, sizeof buf), 0);
    CHECK_INT(conn_get_state(client->c), CONN_READY);
    client_write(client, "after", 5);
    CHECK_INT(conn_shutdown(client->c), 0);
    RUN_UNTIL(client->loop, conn_get_state(client->c) == CONN_CLOSED);
    peer_join(peer);
    CHECK_INT(client->errors, 0);
}

/* ---- KeyUpdate ------------------------------------------------------------------------------------------------------- */

static void update_keys(struct peer_conn *pc) {
    char buf[5];
    for (int i = 0; i < 20; i++) {
        CHECK_INT(SSL_key_update(pc->ssl, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        CHECK_INT(SSL_do_handshake(pc->ssl), 1);
        CHECK(peer_write(pc, "tick!", 5));
        CHECK(peer_read_exactly(pc, buf, 5));
        CHECK_MEM(buf, "tock!", 5);
    }
}

TEST(the_peer_updates_its_keys) {
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = update_keys);
    struct client *client = ready_client(test_loop(), TLS1_3_VERSION, peer);
    char buf[5];
    for (int i = 0; i < 20; i++) {
        client_read(client, buf, 5);
        CHECK_MEM(buf, "tick!", 5);
        client_write(client, "tock!", 5);
    }
    CHECK_INT(client_read_some(client, buf, 5), 0);
}

static void update_once(struct peer_conn *pc) {
    peer_write(pc, "tick!", 5);
    SSL_key_update(pc->ssl, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(pc->ssl);
    serve_echo(pc);
}

TEST(a_key_update_alone_is_nothing_to_read) {
    /* The readable callback may be spurious; the read then gives EAGAIN, and the connection lives. */
    struct peer *peer = TLS_PEER(TLS1_3_VERSION, .serve = update_once);
    struct client *client = ready_client(test_loop(), TLS1_3_VERSION, peer);
    char buf[5];
    CHECK_INT(conn_try_read(client->c, buf, 0), 0);
    client_read(client, buf, 5);
    CHECK_ERRNO(conn_try_read(client->c, buf, 5), EAGAIN);
    client_echo(client, "with the new keys");
    CHECK_INT(client->errors, 0);
}

/* ---- Byte by byte ---------------------------------------------------------------------------------------------------- */

BOTH_VERSIONS(records_that_come_byte_by_byte) {
    struct peer *peer = TLS_PEER(version);
    char *port = alloc(8);
    snprintf(port, 8, "%s", peer_port(peer));
    struct peer *slow_line = PEER(.serve = serve_trickle, .arg = port);
    struct client *client = ready_client(test_loop(), version, slow_line);
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = 0;
    for (int i = 0; i < 3; i++) client_echo(client, text);
    CHECK_INT(conn_shutdown(client->c), 0);
    CHECK_INT(client_read_some(client, text, 10), 0);
}

TEST_MAIN
