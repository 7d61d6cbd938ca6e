/**
 * tls/SocketTLSContext.h - TLS contexts: one role, and what it trusts, shows and speaks.
 *
 * A context may be shared by threads, and changed while it is. It may be freed before the sockets that use it.
 */

#ifndef NETCONN_TLS_SOCKETTLSCONTEXT_H
#define NETCONN_TLS_SOCKETTLSCONTEXT_H

#include "tls/SocketTLS.h"

#if SOCKET_HAS_TLS

#include "core/Arena.h"
#include "core/Except.h"
#include "tls/SocketTLSConfig.h"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

/**
 * The program's word on a certificate of the peer's chain: other than 0 accepts, 0 refuses it.
 *
 * Called for each certificate of the chain from the root to the leaf, and for each fault that OpenSSL found:
 * `preverify_ok` is then 0, and X509_STORE_CTX_get_error says which. To make SocketTLS_get_verify_result read X509_V_OK
 * for what it accepts, the callback sets the error to X509_V_OK (X509_STORE_CTX_set_error). `socket` is the socket
 * whose handshake runs; NULL on a `net_conn`. What it raises is absorbed and refuses, with
 * X509_V_ERR_APPLICATION_VERIFICATION.
 *
 * Runs inside the handshake, on the thread of the socket, without a lock.
 */
typedef int (*SocketTLSVerifyCallback)(int preverify_ok,
                                       X509_STORE_CTX *x509_ctx,
                                       SocketTLSContext_T ctx,
                                       Socket_T socket,
                                       void *user_data);

/**
 * A server's choice among the `client_count` protocols that a client offers, in the client's order: one of them, or
 * NULL to go on without. Anything else counts as NULL. The names are valid during the call; what is returned has to be
 * valid until the library has copied it, right after the return.
 *
 * What it raises fails the handshake and is raised again by the call that ran it; on a `net_conn` it is logged.
 *
 * Runs inside the handshake, on the thread of the socket, without a lock.
 */
typedef const char *(*SocketTLSAlpnCallback)(const char **client_protos, size_t client_count, void *user_data);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Makes a server's context. It asks clients for no certificate until SocketTLSContext_set_verify_mode says so.
 *
 * `cert`: a PEM file with the certificate and, after it, the intermediate ones; `key`: a PEM file with its private key;
 * `ca`: a PEM file or a hashed directory whose authorities vouch for clients, as for SocketTLSContext_load_ca, or NULL.
 * A path has 1 to 4096 bytes, no control character and no ".." in it, and is no symbolic link.
 *
 * Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed: such a path, a file that cannot
 * be read or is no PEM, a key of another certificate, one that is encrypted or weak.
 */
SocketTLSContext_T SocketTLSContext_new_server(const char *cert, const char *key, const char *ca);

/**
 * Makes a client's context, which verifies the chain and the hostname of servers (TLS_VERIFY_PEER).
 *
 * `ca`: whom to trust, a PEM file or a hashed directory. NULL, or a path where nothing can be loaded: the system's
 * trust store, with a warning in the log. (netconn_tls_client fails in that case.)
 *
 * Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed where `ca` was given, and
 * neither it nor the system's store can be loaded.
 */
SocketTLSContext_T SocketTLSContext_new_client(const char *ca);

/**
 * Makes a client's context that trusts nobody yet and whose sockets verify **nothing** (TLS_VERIFY_NONE) until a mode
 * or, on a socket, a hostname is set. Load authorities and set TLS_VERIFY_PEER, or use SocketTLSContext_new_client.
 *
 * `config`: versions and time-outs; NULL: SocketTLS_config_defaults.
 *
 * Returns the context, to be freed with SocketTLSContext_free. Raises SocketTLS_Failed for versions that are none, or a
 * lowest above the highest.
 */
SocketTLSContext_T SocketTLSContext_new(const SocketTLSConfig_T *config);

/**
 * Frees a context and stores NULL; nothing happens for NULL in the variable. Sockets that use the context go on; its
 * callbacks are not called any more (one that another thread is in right now still returns), and a handshake that would
 * need one to decide fails. A `ctx` that is NULL itself aborts.
 */
void SocketTLSContext_free(SocketTLSContext_T *ctx);

/**
 * Replaces the certificate that is shown to peers, by clients too (mutual TLS): PEM files with the certificate,
 * followed by the intermediate ones, which are sent as well, and with its private key. Paths as for
 * SocketTLSContext_new_server.
 *
 * Raises SocketTLS_Failed as SocketTLSContext_new_server; then the earlier pair stays. A NULL `ctx` aborts.
 */
void SocketTLSContext_load_certificate(SocketTLSContext_T ctx, const char *cert, const char *key);

/**
 * Adds a certificate that a server shows to clients that ask for `hostname` (SNI), in place of an earlier one for it;
 * at most 100 names. A name matches exactly, but for the case of ASCII letters; clients that ask for another one, or
 * for none, are shown the default pair. `hostname` NULL: this is the default pair.
 *
 * `cert` and `key`: as for SocketTLSContext_load_certificate, each of at most 1 MiB, with at most 10 certificates.
 *
 * Raises SocketTLS_Failed: a client's context, a name that is none (see SocketTLS_set_hostname), a certificate that is
 * not for it (by its subjectAltName, or its CN where there is no host's name in that), a key of another certificate, a
 * full table, a chain that is too long, a file that is too large or has no certificate in it, a path that is not taken.
 * Then the table is as before. A NULL `ctx` aborts.
 */
void SocketTLSContext_add_certificate(SocketTLSContext_T ctx, const char *hostname, const char *cert, const char *key);

/**
 * Adds to those who are trusted; repeated calls accumulate. A PEM file; a path that is no file that can be loaded is
 * taken as a hashed directory, where nothing may be yet: the log tells of it. Paths as for SocketTLSContext_new_server.
 *
 * Raises SocketTLS_Failed for a path that is not taken. A NULL `ctx` aborts.
 */
void SocketTLSContext_load_ca(SocketTLSContext_T ctx, const char *file_or_dir);

/**
 * The context's `SSL_CTX *`, for what has no function here; it stays the context's, valid until the context and its
 * sockets are gone. Change it before the first socket: sessions kept so far are dropped, since nobody can know what is
 * changed through it. A mode of SSL_CTX_set_verify counts where it asks for more than this context's, but not its
 * callback: that is SocketTLSContext_set_verify_callback's. A NULL `ctx` aborts.
 */
void *SocketTLSContext_get_ssl_ctx(SocketTLSContext_T ctx);

/** 1 for a server's context, 0 for a client's. A NULL `ctx` aborts. */
int SocketTLSContext_is_server(SocketTLSContext_T ctx);

/**
 * What of the peer's certificate is verified, by sockets that are enabled afterwards: TLSVerifyMode's values, or
 * several of them. A value with other bits in it counts as TLS_VERIFY_PEER, and the log tells of it. On a client every
 * value but TLS_VERIFY_NONE verifies the chain and the hostname, which SocketTLS_set_hostname has to set; with
 * TLS_VERIFY_NONE the chain is still looked at, and the verify callback asked, but nothing stops the handshake.
 *
 * A NULL `ctx` aborts.
 */
void SocketTLSContext_set_verify_mode(SocketTLSContext_T ctx, TLSVerifyMode mode);

/**
 * Asks the program about each certificate of a peer's chain; NULL: no more. May come before or after every other
 * setter. In place of netconn_tls_set_verify_callback's.
 *
 * A NULL `ctx` aborts.
 */
void SocketTLSContext_set_verify_callback(SocketTLSContext_T ctx, SocketTLSVerifyCallback callback, void *user_data);

/**
 * The lowest version, as OpenSSL's constant; 0: TLS 1.2. Below TLS 1.2 the log warns, and it is served only as far as
 * OpenSSL's security level allows.
 *
 * Raises SocketTLS_Failed for what is no version. A NULL `ctx` aborts.
 */
void SocketTLSContext_set_min_protocol(SocketTLSContext_T ctx, int version);

/**
 * The highest version, as OpenSSL's constant; 0: the highest there is.
 *
 * Raises SocketTLS_Failed for what is no version. A NULL `ctx` aborts.
 */
void SocketTLSContext_set_max_protocol(SocketTLSContext_T ctx, int version);

/**
 * The ciphers of TLS 1.2, as OpenSSL's list; NULL: the default, ECDHE with AES-GCM or ChaCha20.
 *
 * Raises SocketTLS_Failed where nothing matches; then the earlier list stays. A NULL `ctx` aborts.
 */
void SocketTLSContext_set_cipher_list(SocketTLSContext_T ctx, const char *ciphers);

/**
 * The ciphersuites of TLS 1.3, as OpenSSL's list; NULL: SOCKET_TLS13_CIPHERSUITES.
 *
 * Raises SocketTLS_Failed where nothing matches; then the earlier list stays. A NULL `ctx` aborts.
 */
void SocketTLSContext_set_ciphersuites(SocketTLSContext_T ctx, const char *ciphersuites);

/** Whether SocketTLSContext_set_cipher_list would take a list: 1 or 0; 0 for NULL and "". */
int SocketTLSContext_validate_cipher_list(const char *ciphers);

/** Whether SocketTLSContext_set_ciphersuites would take a list: 1 or 0; 0 for NULL and "". */
int SocketTLSContext_validate_ciphersuites(const char *ciphersuites);

/**
 * Application protocols (ALPN), `count` names such as "h2": at most 16, each of 1 to 255 bytes of visible ASCII. A
 * client offers them in this order. A server chooses the first of its own that the client offers; where there is none
 * the handshake goes on without (after netconn_tls_set_alpn it fails: what was called last decides). `count` 0: nothing
 * changes.
 *
 * Raises SocketTLS_Failed for more or other names; then the earlier list stays. A NULL `ctx`, and a NULL among the
 * names, aborts.
 */
void SocketTLSContext_set_alpn_protos(SocketTLSContext_T ctx, const char **protos, size_t count);

/**
 * Lets the program choose among the protocols that a client offers, in place of the list, and without one too; NULL: no
 * more. For servers: a client's context has no use for it.
 *
 * A NULL `ctx` aborts.
 */
void SocketTLSContext_set_alpn_callback(SocketTLSContext_T ctx, SocketTLSAlpnCallback callback, void *user_data);

#ifdef __cplusplus
}
#endif

#endif

#endif /* NETCONN_TLS_SOCKETTLSCONTEXT_H */
