/**
 * netconn_types.h - types that several headers of netconn share. Include those, not this.
 */
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

enum netconn_tls_ocsp {
    NETCONN_TLS_OCSP_NONE,
};

struct conn_certificate {
    size_t size;
};

#endif  /* NETCONN_TYPES_H */
