/* Application protocols: lists, the server's callback, and what it raises. */
#include "ends.h"

#include "netconn_tls.h"

#include <sys/socket.h>

static void offer(SocketTLSContext_T context, const char *one, const char *two) {
    const char *names[] = {one, two};
    SocketTLSContext_set_alpn_protos(context, names, two == NULL ? 1 : 2);
}

/* What both ends say was chosen; NULL for nothing. */
static const char *chosen(SocketTLSContext_T client, SocketTLSContext_T server) {
    struct ends *ends = connected(client, server, "localhost");
    const char *theirs = SocketTLS_get_alpn_selected(ends->server.socket);
    CHECK_STR(SocketTLS_get_alpn_selected(ends->client.socket), theirs);
    return theirs;
}

/* ---- Lists --------------------------------------------------------------------------------------------------------- */

TEST(the_servers_order_decides) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client(), server = a_server();
        only(client, version);
        CHECK_STR(chosen(client, server), NULL);
        offer(client, "h2", "http/1.1");
        CHECK_STR(chosen(client, server), NULL);
        offer(server, "http/1.1", "h2");
        CHECK_STR(chosen(client, server), "http/1.1");
        offer(client, "x", NULL);
        /* Nothing in common: the connection goes on. */
        CHECK_STR(chosen(client, server), NULL);
        /* No names change nothing. */
        SocketTLSContext_set_alpn_protos(client, NULL, 0);
        offer(server, "x", NULL);
        CHECK_STR(chosen(client, server), "x");
    }
}

TEST(what_was_called_last_says_what_nothing_in_common_means) {
    SocketTLSContext_T client = a_client(), server = a_server();
    const char *names[] = {"y"};
    offer(client, "x", NULL);
    offer(server, "y", NULL);
    CHECK_STR(chosen(client, server), NULL);
    CHECK_INT(netconn_tls_set_alpn(server, names, 1), 0);
    CHECK_CONTAINS(refused(client, server, "localhost"), "no_application_protocol");
    offer(server, "y", NULL);
    CHECK_STR(chosen(client, server), NULL);
}

TEST(lists_have_a_form) {
    SocketTLSContext_T client = a_client(), server = a_server();
    const char *names[17];
    char longest[257];
    memset(longest, 'x', 256);
    longest[256] = 0;
    for (int i = 0; i < 17; i++) names[i] = longest + 1;
    SocketTLSContext_set_alpn_protos(client, names, 16);
    CHECK_RAISES_SAYING(SocketTLSContext_set_alpn_protos(client, names, 17), SocketTLS_Failed, "16");
    CHECK_RAISES_SAYING(SocketTLSContext_set_alpn_protos(client, names, 17), SocketTLS_Failed, "");
    const char *bad[] = {"", longest, "a b", "\x7f", "h\xc3\xbc", "a\n"};
    offer(client, "x", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_RAISES(offer(client, "h2", bad[i]), SocketTLS_Failed);
    /* The earlier list stays. */
    offer(server, "h2", "x");
    CHECK_STR(chosen(client, server), "x");
    offer(client, "!~", NULL);
    offer(server, "!~", NULL);
    CHECK_STR(chosen(client, server), "!~");
}

/* A client's list on the wire that no function of ours would make. */
static struct ends *with_wire(SocketTLSContext_T server, const unsigned char *wire, unsigned len) {
    SocketTLSContext_T client = a_client();
    CHECK_INT(SSL_CTX_set_alpn_protos(SocketTLSContext_get_ssl_ctx(client), wire, len), 0);
    return ends_of(client, server, "localhost");
}

TEST(the_client_may_offer_any_bytes) {
    SocketTLSContext_T server = a_server();
    offer(server, "h2", NULL);
    static const unsigned char nul[] = "\3a\0b\2h2";
    struct ends *ends = with_wire(server, nul, 7);
    CHECK(shake(ends));
    CHECK_STR(SocketTLS_get_alpn_selected(ends->server.socket), "h2");
}

/* A client's first flight reaches the server with one byte of its ALPN list changed. */
static struct ends *garbled(SocketTLSContext_T server, int at, char byte) {
    SocketTLSContext_T client = a_client();
    offer(client, "h2", "qq");
    struct ends *one = ends_of(client, server, "localhost"), *other = ends_of(client, server, "localhost");
    step(&one->client);
    char flight[4000], list[] = {0, 6, 2, 'h', '2', 2, 'q', 'q'};
    ssize_t len = recv(Socket_fd(one->server.socket), flight, sizeof flight, 0);
    CHECK_CMP(len, >, 100);
    char *found = memmem(flight, (size_t)len, list, sizeof list);
    CHECK_PTR_NOT_NULL(found);
    found[2 + at] = byte;
    CHECK_INT(send(Socket_fd(other->client.socket), flight, (size_t)len, 0), len);
    return other;
}

TEST(a_malformed_list_is_fatal) {
    static const struct {
        int at;
        char byte;
    } table[] = {{0, 3}, {0, 0}, {0, 9}, {3, 3}, {3, 0}, {3, (char)255}};
    SocketTLSContext_T server = a_server();
    for (int with_list = 0; with_list < 2; with_list++) {
        if (with_list) offer(server, "h2", NULL);
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            struct ends *ends = garbled(server, table[i].at, table[i].byte);
            step(&ends->server);
            CHECK_PTR(ends->server.raised, &SocketTLS_HandshakeFailed);
        }
    }
}

/* ---- The callback -------------------------------------------------------------------------------------------------- */

static const Except_T Mine = {&Mine, "of my own"};

static struct {
    int calls;
    char offered[200];
    const char *answer;
    bool raise, freed_storage;
} choice;

static const char *choose(const char **names, size_t count, void *arg) {
    CHECK_PTR(arg, &choice);
    choice.calls++;
    choice.offered[0] = 0;
    for (size_t i = 0; i < count; i++) {
        strcat(choice.offered, names[i]);
        strcat(choice.offered, " ");
    }
    if (choice.raise) RAISE(Mine);
    return choice.answer;
}

static const char *chosen_by_callback(SocketTLSContext_T client, SocketTLSContext_T server, const char *answer) {
    memset(&choice, 0, sizeof choice);
    choice.answer = answer;
    const char *result = chosen(client, server);
    CHECK_INT(choice.calls, 1);
    return result;
}

TEST(the_callback_decides_instead_of_the_list) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client(), server = a_server();
        only(client, version);
        offer(client, "h2", "http/1.1");
        SocketTLSContext_set_alpn_callback(server, choose, &choice);
        for (int with_list = 0; with_list < 2; with_list++) {
            if (with_list) offer(server, "h2", NULL);
            /* One of the client's, wherever its bytes lie. */
            char copy[] = "http/1.1";
            CHECK_STR(chosen_by_callback(client, server, copy), "http/1.1");
            CHECK_STR(choice.offered, "h2 http/1.1 ");
            /* None, and one that was not offered. */
            CHECK_STR(chosen_by_callback(client, server, NULL), NULL);
            CHECK_STR(chosen_by_callback(client, server, "foreign"), NULL);
            CHECK_STR(chosen_by_callback(client, server, ""), NULL);
        }
        SocketTLSContext_set_alpn_callback(server, NULL, NULL);
        CHECK_STR(chosen(client, server), "h2");
        CHECK_INT(choice.calls, 1);
    }
}

TEST(without_an_offer_the_callback_is_not_asked) {
    SocketTLSContext_T client = a_client(), server = a_server();
    SocketTLSContext_set_alpn_callback(server, choose, &choice);
    CHECK_STR(chosen(client, server), NULL);
    CHECK_INT(choice.calls, 0);
}

TEST(what_the_callback_raises_arrives_at_the_call) {
    EACH_VERSION(version) {
        SocketTLSContext_T client = a_client(), server = a_server();
        only(client, version);
        offer(client, "h2", NULL);
        SocketTLSContext_set_alpn_callback(server, choose, &choice);
        memset(&choice, 0, sizeof choice);
        choice.raise = true;
        struct ends *ends = ends_of(client, server, "localhost");
        CHECK(!shake(ends));
        CHECK_PTR(ends->server.raised, &Mine);
        CHECK_STR(ends->server.words, "of my own");
        CHECK_PTR(ends->client.raised, &SocketTLS_HandshakeFailed);
        /* It failed for good. */
        CHECK_RAISES(SocketTLS_handshake(ends->server.socket), SocketTLS_HandshakeFailed);
        CHECK_INT(choice.calls, 1);

        /* From inside a loop, too. */
        ends = ends_of(client, server, "localhost");
        step(&ends->client);
        CHECK_RAISES(SocketTLS_handshake_loop(ends->server.socket, 0), Mine);
        /* The context is as good as before. */
        choice.raise = false;
        choice.answer = "h2";
        CHECK_STR(chosen(client, server), "h2");
    }
}

TEST(the_callback_of_a_freed_context_is_not_asked) {
    SocketTLSContext_T client = a_client();
    offer(client, "h2", NULL);
    SocketTLSContext_T server = SocketTLSContext_new_server(cert("server.pem"), cert("server.key"), NULL);
    SocketTLSContext_set_alpn_callback(server, choose, &choice);
    struct ends *ends = ends_of(client, server, "localhost");
    SocketTLSContext_free(&server);
    CHECK(!shake(ends));
    CHECK_INT(choice.calls, 0);
}

TEST_MAIN
