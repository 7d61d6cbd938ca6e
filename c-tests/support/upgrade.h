/* upgrade.h - a plain connection that goes to TLS under a second observer. */
#ifndef NETCONN_TESTS_UPGRADE_H
#define NETCONN_TESTS_UPGRADE_H

#include "../harness.h"
#include "certs.h"
#include "client.h"
#include "transports.h"

static inline void free_server_context(void *ctx) {
    SocketTLSContext_T context = ctx;
    netconn_tls_free(&context);
}

static inline struct conn_options server_options(int version) {
    struct conn_options o = options();
    o.server_side = true; /* use_tls is implied */
    o.tls = netconn_tls_server(cert(CERT_GOOD), cert(CERT_GOOD_KEY), NULL);
    if (!o.tls) FAIL("netconn_tls_server: %s", netconn_tls_error());
    at_end(free_server_context, o.tls);
    if (version) CHECK_INT(netconn_tls_set_versions(o.tls, version, version), 0);
    return o;
}

static inline const char *version_name(int version) { return version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"; }

/* The connection of `plain` under a second observer, for the second outcome. */
static inline struct client *start_tls(struct client *plain, const struct conn_options *o) {
    struct client *client = client_new(plain->loop);
    client->c = plain->c;
    plain->c = NULL;
    plain->calling = client->calling = true;
    if (conn_start_tls(client->c, o, client_on_ready, client_on_error, client) != 0) FAIL("conn_start_tls: %s", strerror(errno));
    plain->calling = client->calling = false;
    CHECK_INT(client->c->state, CONN_TLS_HANDSHAKE);
    CHECK(client->c->use_tls);
    CHECK(client->c->connect_timer != NULL || (o && o->tls_timeout <= 0));
    CHECK_PTR(client->c->cb_arg, client);
    check_members(client->c);
    CHECK_ERRNO(conn_try_write(client->c, "x", 1), ENOTCONN);
    char byte;
    CHECK_ERRNO(conn_try_read(client->c, &byte, 1), ENOTCONN);
    CHECK_PTR_NULL(conn_get_tls_version(client->c));
    return client;
}

#endif
