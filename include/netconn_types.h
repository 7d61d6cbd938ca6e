/** netconn_types.h - types that several headers of netconn share. Include those, not this. */
#ifndef NETCONN_TYPES_H
#define NETCONN_TYPES_H

#include <stddef.h>
#include <stdint.h>

/** OpenSSL's connection object. Declared here so that no OpenSSL header is needed. */
#ifndef OPENSSL_TYPES_H
typedef struct ssl_st SSL;
#endif

/** A TLS context; see netconn_tls.h. */
#ifdef __cplusplus
/* In C++ a typedef may not have the name of a struct that it does not stand for. */
typedef struct SocketTLSContext *SocketTLSContext_T;
#else
typedef struct SocketTLSContext_T *SocketTLSContext_T;
#endif

/** What a peer's OCSP staple said of its certificate. */
enum netconn_tls_ocsp {
    /** There was none. */
    NETCONN_TLS_OCSP_NONE,
    /** Authentic, fresh, and good. */
    NETCONN_TLS_OCSP_GOOD,
    /** Authentic, fresh, and revoked. */
    NETCONN_TLS_OCSP_REVOKED,
    /** The authority does not know the certificate. */
    NETCONN_TLS_OCSP_UNKNOWN,
    /** Malformed, stale, or not signed by whom it should be. */
    NETCONN_TLS_OCSP_INVALID
};

/** A peer's certificate. Texts are UTF-8 and NUL-terminated; one that is too long ends with "...". */
struct conn_certificate {
    /** sizeof(struct conn_certificate), set by the caller. */
    size_t size;
    /** "CN=shop.example,O=Shop": the most specific part first, as in RFC 2253. */
    char subject[256];
    /** In the same form. */
    char issuer[256];
    /** subjectAltName: "shop.example, www.shop.example, 192.0.2.7"; empty when there is none. */
    char names[1024];
    /** Hexadecimal. */
    char serial[64];
    /** Seconds since 1970. */
    int64_t not_before;
    /** Seconds since 1970. */
    int64_t not_after;
    /** SHA-256 of the certificate. */
    unsigned char sha256[32];
    /** SHA-256 of its public key (SubjectPublicKeyInfo). */
    unsigned char key_sha256[32];
};

#endif  /* NETCONN_TYPES_H */
