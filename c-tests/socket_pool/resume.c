/*
 * resume.c - pool/SocketPool.h: what a TLS connection leaves in the pool, and who is offered it.
 */
#include "tls.h"

#include <time.h>

#if SOCKET_HAS_TLS

#define NAME "localhost"

FOR_BOTH_VERSIONS(the_next_connection_to_a_peer_resumes) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    for (int i = 0; i < 4; i++) CHECK_INT(visit(pool, server, context, NAME), i > 0);
    CHECK_INT(SSL_CTX_sess_hits(server->ssl_ctx), 3);
    CHECK_INT(SocketPool_count(pool), 0);
}

FOR_BOTH_VERSIONS(another_peer_gets_nothing) {
    SocketPool_T pool = new_pool(4);
    struct server *one = new_server(), *two = new_server();
    SocketTLSContext_T context = new_client(version);
    /* The other one could take the session: it has the same keys. */
    two->context = one->context;
    CHECK_INT(visit(pool, one, context, NAME), 0);
    CHECK_INT(visit(pool, two, context, NAME), 0);
    CHECK_INT(visit(pool, one, context, NAME), 1);
    CHECK_INT(visit(pool, two, context, NAME), 1);
}

FOR_BOTH_VERSIONS(another_context_gets_nothing) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T one = new_client(version), two = new_client(version);
    static const char *protocol = "h2";
    SocketTLSContext_set_alpn_protos(two, &protocol, 1);
    CHECK_INT(visit(pool, server, one, NAME), 0);
    CHECK_INT(visit(pool, server, two, NAME), 0);
    CHECK_INT(visit(pool, server, one, NAME), 1);
    CHECK_INT(visit(pool, server, two, NAME), 1);
}

FOR_BOTH_VERSIONS(another_name_gets_nothing) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    CHECK_INT(visit(pool, server, context, NAME), 0);
    CHECK_INT(visit(pool, server, context, "www.test.example"), 0);
    CHECK_INT(visit(pool, server, context, NAME), 1);
    CHECK_INT(visit(pool, server, context, "www.test.example"), 1);
}

FOR_BOTH_VERSIONS(another_pool_gets_nothing) {
    SocketPool_T one = new_pool(4), two = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    CHECK_INT(visit(one, server, context, NAME), 0);
    CHECK_INT(visit(two, server, context, NAME), 0);
}

FOR_BOTH_VERSIONS(changed_trust_ends_it) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    CHECK_INT(visit(pool, server, context, NAME), 0);
    SocketTLSContext_load_ca(context, cert(CERT_OTHER_CA));
    CHECK_INT(visit(pool, server, context, NAME), 0);
    CHECK_INT(visit(pool, server, context, NAME), 1);
}

FOR_BOTH_VERSIONS(the_name_may_come_after_the_adding) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    for (int i = 0; i < 3; i++) {
        struct pair pair = new_pair(server, context, "www.test.example");
        SocketPool_add(pool, pair.client);
        SocketTLS_set_hostname(pair.client, i == 1 ? "api.test.example" : "www.test.example");
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), i == 2 && version == TLS1_2_VERSION);
        SocketPool_remove(pool, pair.client);
        free_pair(&pair);
    }
}

FOR_BOTH_VERSIONS(a_server_is_offered_and_leaves_nothing) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    for (int i = 0; i < 2; i++) {
        struct pair pair = new_pair(server, context, NAME);
        CHECK_PTR_NOT_NULL(SocketPool_add(pool, pair.server));
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), 0);
        SocketPool_remove(pool, pair.server);
        free_pair(&pair);
    }
}

FOR_BOTH_VERSIONS(cleaning_up_keeps_sessions_too) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(version);
    for (int i = 0; i < 4; i++) {
        struct pair pair = new_pair(server, context, NAME);
        SocketPool_add(pool, pair.client);
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), i > 0);
        if (i == 1) {
            Socket_T other = new_socket(NULL);
            SocketPool_add(pool, other);
            SocketPool_get(pool, other);
            SocketPool_resize(pool, 1);
            SocketPool_remove(pool, other);
            Socket_free(&other);
        } else {
            SocketPool_cleanup(pool, 0);
        }
        Socket_free(&pair.server);
    }
}

TEST(what_is_expired_is_not_offered) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T contexts[2];
    /* A client of TLS 1.2 has a time of its own, one of TLS 1.3 its server's. */
    SSL_CTX_set_timeout(server->ssl_ctx, 1);
    for (int i = 0; i < 2; i++) {
        contexts[i] = new_client(versions[i]);
        SSL_CTX_set_timeout(SocketTLSContext_get_ssl_ctx(contexts[i]), 1);
        CHECK_INT(visit(pool, server, contexts[i], NAME), 0);
    }
    time_t made = time(NULL);
    while (time(NULL) < made + 2) usleep(20000);
    for (int i = 0; i < 2; i++) {
        struct pair pair = new_pair(server, contexts[i], NAME);
        SocketPool_add(pool, pair.client);
        SocketPool_get(pool, pair.client);
        acquaint(&pair);
        CHECK_INT(SocketTLS_is_session_reused(pair.client), 0);
        SocketPool_remove(pool, pair.client);
        free_pair(&pair);
    }
}

TEST(a_ticket_of_tls13_is_for_one_connection) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(TLS1_3_VERSION);
    visit(pool, server, context, NAME);
    struct pair one = new_pair(server, context, NAME), two = new_pair(server, context, NAME);
    SocketPool_add(pool, one.client);
    SocketPool_add(pool, two.client);
    acquaint(&one);
    acquaint(&two);
    CHECK_INT(SocketTLS_is_session_reused(one.client), 1);
    CHECK_INT(SocketTLS_is_session_reused(two.client), 0);
    SocketPool_cleanup(pool, 0);
    Socket_free(&one.server);
    Socket_free(&two.server);
}

TEST(sessions_of_tls12_serve_many) {
    SocketPool_T pool = new_pool(4);
    struct server *server = new_server();
    SocketTLSContext_T context = new_client(TLS1_2_VERSION);
    visit(pool, server, context, NAME);
    struct pair pairs[3];
    for (int i = 0; i < 3; i++) {
        pairs[i] = new_pair(server, context, NAME);
        SocketPool_add(pool, pairs[i].client);
    }
    for (int i = 0; i < 3; i++) {
        acquaint(&pairs[i]);
        CHECK_INT(SocketTLS_is_session_reused(pairs[i].client), 1);
    }
    SocketPool_drain_force(pool);
    for (int i = 0; i < 3; i++) Socket_free(&pairs[i].server);
}

TEST(peers_are_kept_apart_and_not_for_ever) {
    SocketPool_T pool = new_pool(4);
    struct server *servers[6];
    SocketTLSContext_T context = new_client(TLS1_2_VERSION);
    for (int i = 0; i < 6; i++) servers[i] = new_server();
    for (int round = 0; round < load(3, 2, 2); round++)
        for (int i = 0; i < 6; i++) CHECK_INT(visit(pool, servers[i], context, NAME), round > 0);
}

#else

TEST(without_tls) { NEEDS_TLS(); }

#endif

TEST_MAIN
