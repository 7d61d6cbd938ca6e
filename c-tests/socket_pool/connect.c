/*
 * connect.c - pool/SocketPool.h: connections that a pool makes itself, or helps to make.
 */
#include "pool.h"

#include "dns_cares.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>

static const Except_T Own = {&Own, "a callback's own"};

static SocketPool_T pool;
static Socket_T listener;
static sem_t heard;
static Connection_T got;
static int why = -1, calls, raise_in;
static pthread_t caller;

static void end(void *socket) { Socket_free(socket); }

static int port_of(bool listening) {
    sem_init(&heard, 0, 0);
    listener = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(listener, "127.0.0.1", 0);
    if (listening) Socket_listen(listener, 256);
    at_end(end, &listener);
    return Socket_getlocalport(listener);
}

static void hear(Connection_T connection, int error, void *arg) {
    CHECK_PTR(arg, &calls);
    got = connection;
    why = error;
    calls++;
    caller = pthread_self();
    sem_post(&heard);
    if (raise_in) RAISE(Own);
}

TEST(a_connection_is_made_and_added) {
    int port = port_of(true);
    pool = new_pool(3);
    CHECK_PTR_NOT_NULL(SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls));
    sem_wait(&heard);
    CHECK_INT(why, 0);
    CHECK_PTR_NOT_NULL(got);
    CHECK(!pthread_equal(caller, pthread_self()));
    CHECK_INT(SocketPool_count(pool), 1);
    Socket_T socket = Connection_socket(got);
    CHECK_PTR(SocketPool_get(pool, socket), got);
    CHECK_INT(Socket_getpeerport(socket), port);
    CHECK(fcntl(Socket_fd(socket), F_GETFL) & O_NONBLOCK);
    Socket_T other = Socket_accept(listener);
    CHECK_INT(Socket_send(other, "x", 1), 1);
    Socket_free(&other);
    SocketPool_cleanup(pool, 0);
}

TEST(who_refuses_is_told_of) {
    int port = port_of(false);
    pool = SocketPool_new(new_arena(), 3, 512);
    SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls);
    sem_wait(&heard);
    CHECK_PTR_NULL(got);
    CHECK_INT(why, ECONNREFUSED);
    CHECK_INT(SocketPool_count(pool), 0);
    SocketPool_free(&pool);
    CHECK_INT(Socket_debug_live_count(), 1);
}

static int no_name(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)service, (void)hints, (void)out, (void)arg;
    return EAI_NONAME;
}

TEST(a_name_that_nobody_has_is_told_of) {
    port_of(false);
    dns_set_resolver(no_name, freeaddrinfo, NULL);
    pool = new_pool(3);
    SocketPool_connect_async(pool, "nobody.example", 80, hear, &calls);
    sem_wait(&heard);
    CHECK_PTR_NULL(got);
    CHECK_INT(why, EAI_NONAME);
}

TEST(a_full_pool_is_told_of) {
    int port = port_of(true);
    pool = SocketPool_new(new_arena(), 1, 512);
    Socket_T socket = new_socket(NULL);
    SocketPool_add(pool, socket);
    SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls);
    sem_wait(&heard);
    CHECK_PTR_NULL(got);
    CHECK_INT(why, ENOSPC);
    SocketPool_drain(pool, -1);
    SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls);
    sem_wait(&heard);
    CHECK_INT(why, ESHUTDOWN);
    CHECK_INT(SocketPool_count(pool), 1);
    SocketPool_free(&pool);
    CHECK_INT(Socket_debug_live_count(), 2);
    Socket_free(&socket);
}

TEST(a_callback_that_raises_does_no_harm) {
    int port = port_of(true);
    pool = new_pool(3);
    raise_in = 1;
    for (int i = 1; i <= 3; i++) {
        SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls);
        sem_wait(&heard);
        CHECK_INT(why, 0);
    }
    CHECK_INT(SocketPool_count(pool), 3);
    SocketPool_cleanup(pool, 0);
}

static sem_t asked, go_on;

static int slow_name(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)arg;
    sem_post(&asked);
    sem_wait(&go_on);
    return getaddrinfo("127.0.0.1", service, hints, out);
}

static void let_go(void *arg) {
    (void)arg;
    sem_post(&go_on);
}

TEST(what_is_on_its_way_when_the_pool_ends_is_cancelled) {
    int port = port_of(true);
    sem_init(&asked, 0, 0);
    sem_init(&go_on, 0, 0);
    dns_set_resolver(slow_name, freeaddrinfo, NULL);
    at_end(let_go, NULL);
    Arena_T arena = Arena_new();
    pool = SocketPool_new(arena, 3, 512);
    raise_in = 1;
    SocketPool_connect_async(pool, "slow.example", port, hear, &calls);
    sem_wait(&asked);
    SocketPool_free(&pool);
    Arena_dispose(&arena);
    CHECK_INT(calls, 1);
    CHECK_INT(why, ECANCELED);
    CHECK_PTR_NULL(got);
    CHECK(pthread_equal(caller, pthread_self()));
}

TEST(what_is_on_its_way_is_the_parents) {
    int port = port_of(true), pipes[2];
    sem_init(&asked, 0, 0);
    sem_init(&go_on, 0, 0);
    dns_set_resolver(slow_name, freeaddrinfo, NULL);
    pool = SocketPool_new(new_arena(), 3, 512);
    SocketPool_connect_async(pool, "slow.example", port, hear, &calls);
    sem_wait(&asked);
    CHECK_INT(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        SocketPool_free(&pool);
        char told = (char)('0' + calls);
        if (write(pipes[1], &told, 1) != 1) _exit(1);
        /* What the stacks of the parent's threads held is lost here, and no checker's business. */
        raise(SIGKILL);
    }
    char told = 0;
    CHECK_INT(read(pipes[0], &told, 1), 1);
    CHECK_INT(told, '0');
    CHECK_INT(waitpid(child, NULL, 0), child);
    close(pipes[0]);
    close(pipes[1]);
    sem_post(&go_on);
    sem_wait(&heard);
    CHECK_INT(why, 0);
    SocketPool_cleanup(pool, 0);
    SocketPool_free(&pool);
}

static void free_the_pool(Connection_T connection, int error, void *arg) {
    (void)arg;
    CHECK_INT(error, 0);
    Socket_T socket = Connection_socket(connection);
    SocketPool_free(&pool);
    CHECK_INT(Connection_isactive(connection), 0);
    Socket_free(&socket);
    calls++;
    sem_post(&heard);
}

TEST(the_callback_may_free_the_pool) {
    int port = port_of(true);
    pool = SocketPool_new(new_arena(), 3, 512);
    SocketPool_connect_async(pool, "127.0.0.1", port, free_the_pool, NULL);
    sem_wait(&heard);
    CHECK_INT(calls, 1);
    CHECK_PTR_NULL(pool);
    CHECK_INT(Socket_debug_live_count(), 1);
}

TEST(many_come) {
    int port = port_of(true), n = load(100, 40, 10);
    pool = new_pool(200);
    for (int i = 0; i < n; i++) SocketPool_connect_async(pool, "127.0.0.1", port, hear, &calls);
    for (int i = 0; i < n; i++) {
        Socket_T other = Socket_accept(listener);
        Socket_free(&other);
    }
    for (int i = 0; i < n; i++) sem_wait(&heard);
    CHECK_INT(SocketPool_count(pool), n);
    SocketPool_cleanup(pool, 0);
}

TEST(wrong_arguments_are_refused) {
    char host[300];
    memset(host, 'a', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    pool = new_pool(3);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(NULL, "127.0.0.1", 80, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, NULL, 80, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, host, 80, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, "", 80, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, "127.0.0.1", 0, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, "127.0.0.1", 65536, hear, NULL), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_connect_async(pool, "127.0.0.1", 80, NULL, NULL), SocketPool_Failed, EINVAL);
    CHECK_INT(calls, 0);
}

TEST(a_connection_is_prepared) {
    int port = port_of(true), live = Socket_debug_live_count();
    pool = new_pool(3);
    SocketDNS_T dns = SocketDNS_new();
    Socket_T socket = NULL;
    Request_T request = NULL;
    CHECK_INT(SocketPool_prepare_connection(pool, dns, "127.0.0.1", port, &socket, &request), 0);
    CHECK_PTR_NOT_NULL(request);
    CHECK(fcntl(Socket_fd(socket), F_GETFL) & O_NONBLOCK);
    struct pollfd polled = {.fd = SocketDNS_pollfd(dns), .events = POLLIN};
    CHECK_INT(poll(&polled, 1, -1), 1);
    struct addrinfo *list = SocketDNS_getresult(dns, request);
    CHECK_PTR_NOT_NULL(list);
    CHECK_INT(list->ai_family, AF_INET);
    CHECK_INT(ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port), port);
    SocketCommon_free_addrinfo(list);
    CHECK_PTR_NOT_NULL(SocketPool_add(pool, socket));
    SocketPool_cleanup(pool, 0);
    CHECK_INT(SocketPool_prepare_connection(pool, dns, "::1", port, &socket, &request), 0);
    int domain;
    socklen_t size = sizeof domain;
    CHECK_INT(getsockopt(Socket_fd(socket), SOL_SOCKET, SO_DOMAIN, &domain, &size), 0);
    CHECK_INT(domain, AF_INET6);
    Socket_free(&socket);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(NULL, dns, "h", 1, &socket, &request), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(pool, NULL, "h", 1, &socket, &request), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(pool, dns, NULL, 1, &socket, &request), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(pool, dns, "h", 0, &socket, &request), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(pool, dns, "h", 1, NULL, &request), SocketPool_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketPool_prepare_connection(pool, dns, "h", 1, &socket, NULL), SocketPool_Failed, EINVAL);
    SocketDNS_T stale = dns;
    SocketDNS_free(&dns);
    CHECK_RAISES(SocketPool_prepare_connection(pool, stale, "127.0.0.1", 1, &socket, &request), SocketDNS_Failed);
    CHECK_INT(Socket_debug_live_count(), live);
}

TEST_MAIN
