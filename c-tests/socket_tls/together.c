/* All faces in one program, on one thread and one context: a net_conn on the loop, sockets with TLS, exceptions in both. */
#include "../support/client.h"
#include "../support/peers.h"
#include "pair.h"
#include "poll/SocketPoll.h"

static const Except_T Unwanted = {&Unwanted, "the answer is not wanted"};

struct program {
    struct client *client; /* the net_conn */
    SocketTLSContext_T context;
    const char *port;
    int closed, unwanted; /* handlers that ran */
    char text[20];
    size_t len;
};

/* Asks the peer on a socket of its own, with the context of the net_conn; the peer answers a line and goes. */
static void ask(struct program *program) {
    static Socket_T socket;
    static char text[20];
    volatile size_t got = 0;
    socket = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(socket, "127.0.0.1", atoi(program->port));
    CHECK_INT(Socket_isconnected(socket), 1);
    SocketTLS_enable(socket, program->context);
    SocketTLS_set_hostname(socket, "localhost");
    TRY
        SocketTLS_handshake(socket);
        for (;;) got += (size_t)SocketTLS_recv(socket, text + got, sizeof text - got);
    EXCEPT(Socket_Closed)
        program->closed++;
        CHECK_MEM(text, "hello\n", 6);
        Socket_free(&socket);
        RAISE(Unwanted); /* to the frame around the call */
    FINALLY
        FAIL("FINALLY does not run where a handler raises");
    END_TRY;
}

static void on_readable(struct net_conn *c, void *arg) {
    struct program *program = arg;
    ssize_t n = conn_try_read(c, program->text + program->len, sizeof program->text - program->len);
    if (n <= 0) return;
    program->len += (size_t)n;
    TRY
        ask(program);
    EXCEPT(Unwanted)
        program->unwanted++;
        CHECK_STR(Except_frame.exception->reason, "the answer is not wanted");
    END_TRY;
    /* No frame of this function's is left for the loop to jump into. */
    CHECK_PTR_NULL(Except_stack);
}

static void greet(struct peer_conn *pc) { peer_write(pc, "hello\n", 6); }

TEST(a_socket_is_used_inside_a_callback_and_raises_there) {
    EACH_VERSION(version) {
        struct program program = {0};
        struct peer *peer = TLS_PEER(version, .serve = greet);
        program.port = peer_port(peer);
        program.context = SocketTLSContext_new_client(cert(CERT_CA));
        struct conn_options o = tls_options();
        o.tls = program.context;
        program.client = client_open(test_loop(), "localhost", program.port, &o);
        conn_set_readable_callback(program.client->c, on_readable, &program);
        RUN_UNTIL(program.client->loop, program.len == 6);
        CHECK_MEM(program.text, "hello\n", 6);
        CHECK_INT(program.closed, 1);
        CHECK_INT(program.unwanted, 1);
        CHECK_INT(program.client->ready, 1);
        client_close(program.client);
        SocketTLSContext_free(&program.context);
        CHECK_PTR_NULL(program.context);
        CHECK_INT(Socket_debug_live_count(), 0);
    }
}

/* ---- A socket serves a net_conn --------------------------------------------------------------------------------------- */

/* Echoes until it would block; false when the client is gone. */
static bool serve(Socket_T socket) {
    volatile bool here = true;
    char buf[100];
    TRY
        ssize_t n = SocketTLS_handshake(socket) == TLS_HANDSHAKE_COMPLETE;
        while (n > 0) {
            n = SocketTLS_recv(socket, buf, sizeof buf);
            if (n > 0) CHECK_INT(SocketTLS_send(socket, buf, (size_t)n), n);
        }
    EXCEPT(Socket_Closed)
        here = false;
    END_TRY;
    return here;
}

static void collect(struct net_conn *c, void *arg) {
    struct program *program = arg;
    ssize_t n = conn_try_read(c, program->text + program->len, sizeof program->text - program->len);
    if (n > 0) program->len += (size_t)n;
}

TEST(a_poll_set_and_a_loop_serve_each_other) {
    EACH_VERSION(version) {
        struct program program = {0};
        struct pair contexts = {0};
        SocketEvent_T *events;
        make_contexts(&contexts, version);
        Socket_T listener = Socket_new(AF_INET, SOCK_STREAM, 0), accepted = NULL;
        Socket_bind(listener, "127.0.0.1", 0);
        Socket_listen(listener, 8);
        SocketPoll_T poll = SocketPoll_new(10);
        SocketPoll_add(poll, listener, POLL_READ, NULL);
        struct ev_loop *loop = test_loop();
        char port[8];
        snprintf(port, sizeof port, "%d", Socket_getlocalport(listener));
        struct conn_options o = tls_options();
        o.tls = contexts.trusting;
        program.client = client_open(loop, "localhost", port, &o);
        conn_set_readable_callback(program.client->c, collect, &program);
        bool here = true;
        for (int sent = 0; here;) {
            CHECK(evloop_run_once(loop, 0) >= 0);
            if (program.client->c != NULL && program.client->ready && !sent) {
                CHECK_INT(conn_try_write(program.client->c, "ping", 4), 4);
                sent = 1;
            }
            if (program.client->c != NULL && program.len == 4) client_close(program.client);
            int count = SocketPoll_wait(poll, &events, 1);
            for (int i = 0; i < count; i++) {
                if (events[i].socket == listener) {
                    accepted = Socket_accept(listener);
                    if (accepted == NULL) continue;
                    SocketTLS_enable(accepted, contexts.serving);
                    SocketPoll_add(poll, accepted, POLL_READ, NULL);
                } else if (!serve(events[i].socket)) {
                    SocketPoll_del(poll, accepted);
                    Socket_free(&accepted);
                    here = false;
                }
            }
        }
        CHECK_MEM(program.text, "ping", 4);
        Socket_free(&listener);
        SocketPoll_free(&poll);
        free_pair(&contexts);
    }
}

TEST_MAIN
