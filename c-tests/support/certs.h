/* certs.h - the files that `cargo run -p xtask -- certs DIR` makes (testcerts/src/lib.rs lists them), by their part. */
#ifndef NETCONN_TESTS_CERTS_H
#define NETCONN_TESTS_CERTS_H

#define CERT_CA "ca.pem"             /* CN=netconn test root: the one that tests trust */
#define CERT_OTHER_CA "other-ca.pem" /* CN=Corp Root: the one that nobody trusts */
#define CERT_GOOD "server.pem"       /* localhost, *.test.example, 127.0.0.1, ::1 */
#define CERT_GOOD_KEY "server.key"
#define CERT_CLIENT "client.pem" /* CN=test client */
#define CERT_CLIENT_KEY "client.key"

#endif
