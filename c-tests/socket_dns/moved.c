/*
 * moved.c - names whose addresses cannot be connected any more: they leave the cache, whoever finds that out, and the next
 * attempt goes to where the name is now.
 */
#include "../socket_reconnect/client.h"
#include "core/Arena.h"
#include "dns_cares.h"
#include "pool/SocketPool.h"
#include "socket/Socket.h"

#include <arpa/inet.h>
#include <math.h>
#include <netdb.h>
#include <semaphore.h>

static int asked;

/* The first answer is a place where nobody listens; those after it are 127.0.0.1. */
static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)service, (void)arg;
    struct entry {
        struct addrinfo ai;
        struct sockaddr_in in;
    } *entry = calloc(1, sizeof *entry);
    int before = __atomic_fetch_add(&asked, 1, __ATOMIC_SEQ_CST);
    entry->in.sin_family = AF_INET;
    entry->in.sin_addr.s_addr = htonl(before == 0 ? INADDR_LOOPBACK + 1 : INADDR_LOOPBACK);
    entry->ai.ai_family = AF_INET;
    entry->ai.ai_socktype = hints->ai_socktype;
    entry->ai.ai_addr = (struct sockaddr *)&entry->in;
    entry->ai.ai_addrlen = sizeof entry->in;
    *out = &entry->ai;
    return 0;
}

static void release(struct addrinfo *list) { free(list); }

static Socket_T server;

static void end_server(void *arg) {
    (void)arg;
    Socket_free(&server);
}

/* The name is about to move, and what is known of it never expires; the port that 127.0.0.1 listens at. */
static int moving(void) {
    dns_set_cache_ttl(INFINITY);
    dns_set_resolver(resolve, release, NULL);
    server = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(server, "127.0.0.1", 0);
    Socket_listen(server, 5);
    at_end(end_server, NULL);
    return Socket_getlocalport(server);
}

TEST(a_socket_finds_where_the_name_is_now) {
    int port = moving();
    for (int round = 0; round < 3; round++) {
        Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
        Socket_connect(s, "moved.test", port);
        CHECK_INT(errno, round == 0 ? ECONNREFUSED : 0);
        Socket_free(&s);
    }
    /* What can be connected stays known. */
    CHECK_INT(asked, 2);
}

TEST(a_client_that_is_made_again_finds_where_the_name_is_now) {
    SocketReconnect_Policy_T policy = quick();
    policy.max_attempts = 3;
    SocketReconnect_T conn = SocketReconnect_new("moved.test", moving(), &policy, NULL, NULL);
    SocketReconnect_connect(conn);
    while (!SocketReconnect_isconnected(conn)) {
        CHECK_CMP(SocketReconnect_state(conn), !=, RECONNECT_DISCONNECTED);
        go_round(conn);
    }
    CHECK_INT(asked, 2);
    SocketReconnect_free(&conn);
}

static sem_t heard;
static int why;

static void hear(Connection_T connection, int error, void *arg) {
    (void)connection, (void)arg;
    why = error;
    sem_post(&heard);
}

TEST(a_pool_finds_where_the_name_is_now) {
    int port = moving();
    Arena_T arena = Arena_new();
    SocketPool_T pool = SocketPool_new(arena, 3, 512);
    for (int round = 0; round < 3; round++) {
        SocketPool_connect_async(pool, "moved.test", port, hear, NULL);
        sem_wait(&heard);
        CHECK_INT(why, round == 0 ? ECONNREFUSED : 0);
    }
    CHECK_INT(asked, 2);
    SocketPool_cleanup(pool, 0);
    SocketPool_free(&pool);
    Arena_dispose(&arena);
}

TEST_MAIN
