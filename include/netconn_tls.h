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
    NETCONN_TLS_VERIFY_OPTIONAL_CLIENT
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

/**
 * Keeps `len` bytes of a session (DER, at most 16 KiB) under `key`, in place of what was there; both are valid during
 * the call. Returns 0 when it did. What is kept holds secrets of connections: it needs the care that private keys need.
 */
typedef int (*netconn_tls_session_store_cb)(const char *key, const unsigned char *der, size_t len, void *arg);

/**
 * Writes the session under `key` to `der`, which has room for `size` bytes, and returns its length; 0: there is none. A
 * length that is negative or above `size` counts as none. Of two processes that ask at once one alone should get it.
 */
typedef ssize_t (*netconn_tls_session_load_cb)(const char *key, unsigned char *der, size_t size, void *arg);

/**
 * Forgets the session under `key`: it was used and may be used once only (TLS 1.3), or it is of no use. There may be
 * none.
 */
typedef void (*netconn_tls_session_remove_cb)(const char *key, void *arg);

/**
 * Writes the password of an encrypted key to `buf`, which has room for `size` bytes (a NUL at its end is not needed),
 * and returns its length; 0 or less: there is none. A length above `size` counts as none. The library wipes its copies.
 *
 * Runs inside the call that loads the key, without a lock, once for each key; must not throw or longjmp.
 */
typedef int (*netconn_tls_password_cb)(char *buf, int size, void *arg);

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
 * private key. Both NULL: netconn_tls_load_certificate comes later (after netconn_tls_set_password_callback, where the
 * key is encrypted). `client_ca`: a PEM file or a hashed directory; clients must then show a certificate that it
 * vouches for. NULL: clients are not asked for one.
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
 * The password of an encrypted key is asked of netconn_tls_set_password_callback's function, never on the terminal.
 *
 * Returns 0; -1 with errno ENOENT, EACCES, EINVAL (not PEM, an encrypted key without a password or with a wrong one, a
 * key of another certificate, a weak one), ENOMEM, ECANCELED (the password callback freed the context); then the
 * earlier pair stays.
 */
int netconn_tls_load_certificate(SocketTLSContext_T context, const char *cert_chain, const char *key);

/**
 * As netconn_tls_load_certificate, from PEM in memory, which stays the caller's.
 *
 * Returns 0; -1 with errno EINVAL, ENOMEM, ECANCELED as netconn_tls_load_certificate; then the earlier pair stays.
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
 * connection. A mode of SSL_CTX_set_verify counts where it asks for more than this context's, but not its callback:
 * that is netconn_tls_set_verify_callback's.
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

/**
 * Keeps sessions with the program, in place of this context's own memory: for processes that share their sessions, or
 * to resume after a restart. All three callbacks, or NULL for each: the context's memory again.
 *
 * On a client, `key` names the host, port and server name and the settings of the context that a session was verified
 * under, and ends with a digest of the rest of them (whom it trusts, the certificate that it shows): printable, without
 * a limit to its length, and the same in every process with the same settings. A session is offered under that key
 * alone; the server's certificate in it has to be in order. A context with a verify callback, or whose SSL_CTX was
 * handed out, cannot be compared: its keys differ in each process.
 *
 * On a server, `key` is the session's id in hexadecimal. Tickets then hold that id alone, under TLS 1.2 none are sent;
 * so every resumption asks the load callback. Early data is not accepted: it is safe only where a session leaves the
 * cache with its first use, which the library cannot promise for a cache that is not its own.
 *
 * The callbacks run inside the handshake, a read, a write or a close, on the thread of the connection, without a lock.
 * They may close the connection, whose call then fails with ECANCELED; they must not throw or longjmp. What they load
 * is checked: it is bounded and parsed, and refused (and removed) where it does not fit.
 *
 * Returns 0; -1 with errno EINVAL when one of the three is NULL and another is not.
 */
int netconn_tls_set_session_callbacks(SocketTLSContext_T context, netconn_tls_session_store_cb store,
                                      netconn_tls_session_load_cb load, netconn_tls_session_remove_cb remove,
                                      void *arg);

/**
 * Early data (0-RTT, RFC 8446 section 2.3), which saves a round trip on a resumed TLS 1.3 connection.
 *
 * On a server: up to `max` bytes a connection are accepted, 0 for 16384, at most 1048576; off by default. They are kept
 * until the handshake is complete: CONN_READY is reported then, as always, and they are the first bytes that are read;
 * conn_early_data_len tells how many. A flight that was recorded and is sent again has no effect: sessions are then
 * kept in the memory of this context and used once (20480 at most, see SSL_CTX_sess_set_cache_size), and the copy finds
 * none. That holds within one context of one process, so in a child of fork(2) early data is off until it is enabled
 * there. Clients that resume with another process fall back to a full handshake, and their early data comes after it.
 * Sessions from before this call are not resumed.
 *
 * On a client: conn_options.early_data is sent early where the session allows it and where it is not longer than `max`;
 * that is so without this call, too, with no limit but the session's.
 *
 * Returns 0; -1 with errno EINVAL.
 */
int netconn_tls_enable_early_data(SocketTLSContext_T context, uint32_t max);

/**
 * No early data on connections made from now on: a server skips what comes early, and its client sends it again after
 * the handshake; a client sends conn_options.early_data after the handshake.
 *
 * Returns 0; -1 with errno EINVAL.
 */
int netconn_tls_disable_early_data(SocketTLSContext_T context);

/**
 * Who knows the passwords of keys that are loaded from now on (PKCS#8 and traditional PEM); NULL: nobody, and an
 * encrypted key is refused. The password is never asked for on the terminal.
 *
 * Returns 0; -1 with errno EINVAL.
 */
int netconn_tls_set_password_callback(SocketTLSContext_T context, netconn_tls_password_cb callback, void *arg);

/**
 * Writes the secrets of connections made from now on to a file, in the format of NSS that Wireshark and others read:
 * for looking at recorded traffic while a program is being made. Whoever reads the file can read what the connections
 * carry. Off by default, and said in the log at the level warn.
 *
 * `path`: a file that is made with mode 0600, or appended to; several contexts and processes may share one, each line
 * is written whole. NULL: what the environment variable SSLKEYLOGFILE names; unset or empty is as "". "": no key log
 * any more.
 *
 * Returns 0; -1 with errno EINVAL, ENOENT (no such directory), EACCES or what else open(2) gives; then everything stays
 * as it was. What cannot be written later (a full disk) is said in the log, and the connection goes on.
 */
int netconn_tls_set_keylog(SocketTLSContext_T context, const char *path);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_TLS_H */
