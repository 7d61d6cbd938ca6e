/**
 * netconn_tls.h - TLS contexts: whom to trust, what to show, which protocols.
 *
 * Every function here may be called from any thread. A context is made, configured, and then shared by any number of
 * connections and threads; a change applies to connections made after it.
 *
 * Each function returns 0, or -1 with errno; a constructor NULL with errno. netconn_tls_error() then says what was
 * wrong.
 */
#ifndef NETCONN_TLS_H
#define NETCONN_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "netconn_types.h"

/** What of the peer's certificate is verified. */
enum netconn_tls_verify {
    /** Clients: chain and name. The default. */
    NETCONN_TLS_VERIFY_FULL,
    /** Clients: the chain, whatever the name. */
    NETCONN_TLS_VERIFY_CHAIN,
    /** Clients: nothing, so the peer may be anybody. Servers: no certificate is asked for, their default. */
    NETCONN_TLS_VERIFY_NONE,
    /** Servers: a client must show a certificate of a trusted chain. */
    NETCONN_TLS_VERIFY_REQUIRE_CLIENT,
    /** Servers: a client may show none; one that it shows must be of a trusted chain. */
    NETCONN_TLS_VERIFY_OPTIONAL_CLIENT,
};

/**
 * The program's word on a certificate of the peer's chain: 1 accepts, 0 refuses it.
 *
 * Called for each certificate from the root to the leaf (depth 0) after OpenSSL's own check, and for each fault that it
 * found: `preverified` is then 0 and `x509_error` OpenSSL's code (X509_V_ERR_..., else 0). Returning `preverified`
 * changes nothing. `subject` is valid during the call. What is accepted against OpenSSL's judgement is not remembered:
 * later connections ask again.
 *
 * Runs inside the handshake, on the thread of the connection, without a lock; must not throw or longjmp.
 */
typedef int (*netconn_tls_verify_cb)(int preverified, int depth, const char *subject, long x509_error, void *arg);

/**
 * A server's choice among the `n` protocols that a client offers, in the client's order: one of them, or NULL to go on
 * without. Anything else counts as NULL. What is offered is valid during the call, and so has to be what is returned
 * until the library has copied it, right after the return.
 *
 * Runs inside the handshake, on the thread of the connection, without a lock; must not throw or longjmp.
 */
typedef const char *(*netconn_tls_alpn_cb)(const char *const *offered, size_t n, void *arg);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A client's context. Verifies chain and name of every server.
 *
 * `ca`: whom to trust, a PEM file or a hashed directory, and nobody else. NULL: the system's trust store; the
 * environment variables SSL_CERT_FILE and SSL_CERT_DIR replace its places.
 *
 * Returns the context, to be freed with netconn_tls_free; NULL with errno ENOENT (no such file, or no trust store was
 * found), EACCES, EINVAL (no certificate in it), ENOMEM.
 */
SocketTLSContext_T netconn_tls_client(const char *ca);

/**
 * A server's context.
 *
 * `cert_chain`: a PEM file with the certificate and, after it, the intermediate ones; `key`: a PEM file with its
 * private key. Both NULL: netconn_tls_load_certificate comes later. `client_ca`: a PEM file or a hashed directory;
 * clients must then show a certificate that it vouches for. NULL: clients are not asked for one.
 *
 * Returns the context, to be freed with netconn_tls_free; NULL with errno ENOENT, EACCES, EINVAL (not PEM, an encrypted
 * key, a key of another certificate, a weak one, one path without the other), ENOMEM.
 */
SocketTLSContext_T netconn_tls_server(const char *cert_chain, const char *key, const char *client_ca);

/**
 * Frees a context and sets the variable to NULL; NULL, and a variable that is NULL, are no-ops. Connections that use
 * the context go on; its callbacks are not called any more (one that another thread is in right now still returns), and
 * a handshake that would need one fails. A context that is also the default of the process lives on as that.
 */
void netconn_tls_free(SocketTLSContext_T *context);

/**
 * Adds certificates to those that are trusted: a PEM file or a hashed directory. Repeated calls accumulate.
 *
 * Returns 0; -1 with errno ENOENT, EACCES, EINVAL (no certificate in it), ENOMEM; then nothing was added.
 */
int netconn_tls_load_ca(SocketTLSContext_T context, const char *path);

/**
 * As netconn_tls_load_ca, from `len` bytes of PEM.
 *
 * Returns 0; -1 with errno EINVAL (no certificate in it), ENOMEM; then nothing was added.
 */
int netconn_tls_load_ca_pem(SocketTLSContext_T context, const void *pem, size_t len);

/**
 * Replaces the certificate that is shown to peers, by clients too (mutual TLS): PEM files with the certificate,
 * followed by the intermediate ones, and with its private key. The library's copy of the key file is wiped from memory.
 * A password is never asked for on the terminal.
 *
 * Returns 0; -1 with errno ENOENT, EACCES, EINVAL (not PEM, an encrypted key, a key of another certificate, a weak
 * one), ENOMEM; then the earlier pair stays.
 */
int netconn_tls_load_certificate(SocketTLSContext_T context, const char *cert_chain, const char *key);

/**
 * As netconn_tls_load_certificate, from PEM in memory, which stays the caller's.
 *
 * Returns 0; -1 with errno EINVAL (not PEM, an encrypted key, a key of another certificate, a weak one), ENOMEM; then
 * the earlier pair stays.
 */
int netconn_tls_load_certificate_pem(SocketTLSContext_T context, const void *chain, size_t chain_len, const void *key,
                                     size_t key_len);

/**
 * What of the peer's certificate is verified. NETCONN_TLS_VERIFY_NONE on a client is said once in the log.
 *
 * Returns 0; -1 with errno EINVAL for a value that is unknown or of the other side.
 */
int netconn_tls_set_verify(SocketTLSContext_T context, enum netconn_tls_verify mode);

/**
 * Asks the program about each certificate of a peer's chain; NULL: no more. May come before or after every other
 * setter.
 *
 * Returns 0; -1 with errno EINVAL.
 */
int netconn_tls_set_verify_callback(SocketTLSContext_T context, netconn_tls_verify_cb callback, void *arg);

/**
 * The lowest and the highest version: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3. 0: the default (1.2, and the highest there
 * is). Lower ones are refused unless the security level of the SSL_CTX was set to 0 before.
 *
 * Returns 0; -1 with errno EINVAL for an unknown version, or a lowest above the highest.
 */
int netconn_tls_set_versions(SocketTLSContext_T context, int min, int max);

/**
 * Application protocols (ALPN), `n` names of 1 to 255 bytes such as "h2". A client offers them in this order; one that
 * the server chooses none of goes on without. A server chooses the first of its own that the client offers; a client
 * that offers others only is refused. `n` 0: none any more.
 *
 * Returns 0; -1 with errno EINVAL for a name that is NULL, empty or too long; then the earlier list stays.
 */
int netconn_tls_set_alpn(SocketTLSContext_T context, const char *const *protocols, size_t n);

/**
 * Lets the program choose among the protocols that a client offers, in place of the list; NULL: no more.
 *
 * Returns 0; -1 with errno EINVAL for a client's context.
 */
int netconn_tls_set_alpn_callback(SocketTLSContext_T context, netconn_tls_alpn_cb callback, void *arg);

/**
 * Whether later connections resume the sessions of earlier ones, which saves a good part of the handshake. On by
 * default. A client keeps at most 1,000 in memory, and offers one only to the host, port and name that it came from,
 * while nothing of the context's verification, trust, ALPN and own certificate was changed. A server issues none when
 * this is off.
 *
 * Returns 0; -1 with errno EINVAL.
 */
int netconn_tls_set_session_reuse(SocketTLSContext_T context, bool on);

/**
 * The context's `SSL_CTX *`, for what has no function here; valid until the context and its connections are gone.
 * Sessions kept so far are dropped, since what is changed through it is not noticed: change it before the first
 * connection. Changes of the verification mode and callback are overridden by this context's own.
 *
 * Returns NULL with errno EINVAL for NULL.
 */
void *netconn_tls_ssl_ctx(SocketTLSContext_T context);

/**
 * Whether a connection to `name` would find that the first certificate of a PEM file is for it: its subjectAltName
 * alone counts. `name` is a host name or an IP address.
 *
 * Returns 1 or 0; -1 with errno ENOENT, EACCES, EINVAL (no certificate in it, an impossible name).
 */
int netconn_tls_verify_name(const char *pem_path, const char *name);

/**
 * What was wrong with the last call of this header that failed on this thread, one line; "" when none did. A call that
 * succeeds leaves it alone: look at it after a failure only. Valid until the next call that fails on this thread.
 */
const char *netconn_tls_error(void);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_TLS_H */
