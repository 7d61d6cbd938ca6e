/* certs.h - the files that `cargo run -p xtask -- certs DIR` makes, by the part they play. */
#ifndef NETCONN_TESTS_CERTS_H
#define NETCONN_TESTS_CERTS_H

#define CERT_CA "ca.pem"                 /* the root everything valid here ends at */
#define CERT_OTHER_CA "other-ca.pem"     /* a root that signed nothing of what follows */
#define CERT_GOOD "server.pem"           /* localhost, 127.0.0.1, ::1; with its intermediate */
#define CERT_GOOD_KEY "server.key"
#define CERT_LEAF_ONLY "server-leaf.pem" /* the same leaf, without the intermediate */
#define CERT_LEAF_ONLY_KEY "server.key"
#define CERT_WRONG_NAME "wrong-name.pem" /* other.example, old.example */
#define CERT_WRONG_NAME_KEY "wrong-name.key"
#define CERT_EXPIRED "expired.pem"
#define CERT_EXPIRED_KEY "expired.key"
#define CERT_NOT_YET "not-yet.pem"
#define CERT_NOT_YET_KEY "not-yet.key"
#define CERT_SELF_SIGNED "self-signed.pem" /* for localhost */
#define CERT_SELF_SIGNED_KEY "self-signed.key"
#define CERT_CLIENT "client.pem"
#define CERT_CLIENT_KEY "client.key"

#endif
