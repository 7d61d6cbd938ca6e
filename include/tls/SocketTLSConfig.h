/**
 * tls/SocketTLSConfig.h - limits of TLS, and what a context is made with.
 *
 * A program may define the limits before it includes this; the library keeps to its own.
 */

#ifndef NETCONN_TLS_SOCKETTLSCONFIG_H
#define NETCONN_TLS_SOCKETTLSCONFIG_H

#include "core/SocketFeatures.h"

#if SOCKET_HAS_TLS && !defined(NETCONN_OPENSSL_HIDDEN)
#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#endif

/** Whether OpenSSL knows Certificate Transparency. */
#if SOCKET_HAS_TLS && !defined(NETCONN_OPENSSL_HIDDEN) && !defined(OPENSSL_NO_CT)
#define SOCKET_HAS_CT_SUPPORT 1
#else
#define SOCKET_HAS_CT_SUPPORT 0
#endif

#ifndef SOCKET_TLS_MIN_VERSION
#define SOCKET_TLS_MIN_VERSION TLS1_2_VERSION
#endif
#ifndef SOCKET_TLS_MAX_VERSION
#define SOCKET_TLS_MAX_VERSION TLS1_3_VERSION
#endif
#ifndef SOCKET_TLS13_CIPHERSUITES
#define SOCKET_TLS13_CIPHERSUITES "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"
#endif
#ifndef SOCKET_TLS_DEFAULT_HANDSHAKE_TIMEOUT_MS
#define SOCKET_TLS_DEFAULT_HANDSHAKE_TIMEOUT_MS 30000
#endif
#ifndef SOCKET_TLS_DEFAULT_SHUTDOWN_TIMEOUT_MS
#define SOCKET_TLS_DEFAULT_SHUTDOWN_TIMEOUT_MS 5000
#endif
#ifndef SOCKET_TLS_POLL_INTERVAL_MS
#define SOCKET_TLS_POLL_INTERVAL_MS 100
#endif
#ifndef SOCKET_TLS_BUFFER_SIZE
#define SOCKET_TLS_BUFFER_SIZE 16384
#endif
#ifndef SOCKET_TLS_MAX_CERT_CHAIN_DEPTH
#define SOCKET_TLS_MAX_CERT_CHAIN_DEPTH 10
#endif
#ifndef SOCKET_TLS_MAX_CERT_FILE_SIZE
#define SOCKET_TLS_MAX_CERT_FILE_SIZE (1024 * 1024)
#endif
#ifndef SOCKET_TLS_MAX_PATH_LEN
#define SOCKET_TLS_MAX_PATH_LEN 4096
#endif
#ifndef SOCKET_TLS_ERROR_BUFSIZE
#define SOCKET_TLS_ERROR_BUFSIZE 512
#endif
#ifndef SOCKET_TLS_CRL_MIN_REFRESH_INTERVAL
#define SOCKET_TLS_CRL_MIN_REFRESH_INTERVAL 60
#endif
#ifndef SOCKET_TLS_CRL_MAX_REFRESH_INTERVAL
#define SOCKET_TLS_CRL_MAX_REFRESH_INTERVAL (365LL * 24 * 3600)
#endif
#ifndef SOCKET_TLS_MAX_CRL_SIZE
#define SOCKET_TLS_MAX_CRL_SIZE (10 * 1024 * 1024)
#endif
#ifndef SOCKET_TLS_MAX_CRL_FILES_IN_DIR
#define SOCKET_TLS_MAX_CRL_FILES_IN_DIR 1000
#endif
#ifndef SOCKET_TLS_CRL_MAX_PATH_LEN
#define SOCKET_TLS_CRL_MAX_PATH_LEN 4096
#endif
#ifndef SOCKET_TLS_KTLS_ENABLED
#define SOCKET_TLS_KTLS_ENABLED 1
#endif
#ifndef SOCKET_TLS_KTLS_SENDFILE_BUFSIZE
#define SOCKET_TLS_KTLS_SENDFILE_BUFSIZE 65536
#endif
#ifndef SOCKET_TLS_MAX_SNI_CERTS
#define SOCKET_TLS_MAX_SNI_CERTS 100
#endif
#ifndef SOCKET_TLS_MAX_SNI_LEN
#define SOCKET_TLS_MAX_SNI_LEN 255
#endif
#ifndef SOCKET_TLS_MAX_LABEL_LEN
#define SOCKET_TLS_MAX_LABEL_LEN 63
#endif
#ifndef SOCKET_TLS_MAX_ALPN_LEN
#define SOCKET_TLS_MAX_ALPN_LEN 255
#endif
#ifndef SOCKET_TLS_MAX_ALPN_PROTOCOLS
#define SOCKET_TLS_MAX_ALPN_PROTOCOLS 16
#endif
#ifndef SOCKET_TLS_MAX_ALPN_TOTAL_BYTES
#define SOCKET_TLS_MAX_ALPN_TOTAL_BYTES 1024
#endif
#ifndef SOCKET_TLS_SESSION_CACHE_SIZE
#define SOCKET_TLS_SESSION_CACHE_SIZE 1000
#endif
#ifndef SOCKET_TLS_SESSION_TIMEOUT_DEFAULT
#define SOCKET_TLS_SESSION_TIMEOUT_DEFAULT 300L
#endif
#ifndef SOCKET_TLS_SESSION_MAX_TIMEOUT
#define SOCKET_TLS_SESSION_MAX_TIMEOUT 2592000L
#endif
#ifndef SOCKET_TLS_TICKET_KEY_LEN
#define SOCKET_TLS_TICKET_KEY_LEN 80
#endif
#ifndef SOCKET_TLS_MAX_PINS
#define SOCKET_TLS_MAX_PINS 32
#endif
#ifndef SOCKET_TLS_PIN_HASH_LEN
#define SOCKET_TLS_PIN_HASH_LEN 32
#endif
#ifndef SOCKET_TLS_MAX_OCSP_RESPONSE_LEN
#define SOCKET_TLS_MAX_OCSP_RESPONSE_LEN 65536
#endif
#ifndef SOCKET_TLS_OCSP_MAX_AGE_SECONDS
#define SOCKET_TLS_OCSP_MAX_AGE_SECONDS 300
#endif
#ifndef SOCKET_TLS_DEFAULT_EARLY_DATA_SIZE
#define SOCKET_TLS_DEFAULT_EARLY_DATA_SIZE 16384
#endif
#ifndef SOCKET_TLS_MAX_RENEGOTIATIONS
#define SOCKET_TLS_MAX_RENEGOTIATIONS 3
#endif

/** What SocketTLSContext_new makes a context with. */
typedef struct SocketTLSConfig_T {
    /** The lowest version, as OpenSSL's constant; 0: TLS 1.2. */
    int min_version;
    /** The highest version, as OpenSSL's constant; 0: the highest there is. */
    int max_version;
    /**
     * Milliseconds that SocketTLS_handshake_auto waits on a socket whose operation time-out is 0; 30000 where it is not
     * above 0.
     */
    int handshake_timeout_ms;
    /**
     * Milliseconds that SocketTLS_shutdown waits on a socket whose operation time-out is 0; 5000 where it is not above
     * 0.
     */
    int shutdown_timeout_ms;
    /** Milliseconds between two looks at a handshake that waits; 100 where it is not above 0. */
    int poll_interval_ms;
} SocketTLSConfig_T;

#ifdef __cplusplus
extern "C" {
#endif

/** Fills a config with the defaults: TLS 1.2 to 1.3, 30000, 5000 and 100 milliseconds. NULL is a no-op. */
void SocketTLS_config_defaults(SocketTLSConfig_T *config);

#ifdef __cplusplus
}
#endif

#endif /* NETCONN_TLS_SOCKETTLSCONFIG_H */
