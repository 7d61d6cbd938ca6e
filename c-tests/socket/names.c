/* Socket.h: names that have several addresses, that nobody answers for, that take too long. */
#include "../harness.h"
#include "../support/raises.h"
#include "core/SocketEvent.h"
#include "dns_cares.h"
#include "socket/Socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What our resolver gives, and whether it waits before. */
static const char *addresses[4];
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

struct entry {
    struct addrinfo ai;
    struct sockaddr_storage addr;
};

static int resolve(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)service, (void)arg;
    pthread_mutex_lock(&held);
    pthread_mutex_unlock(&held);
    if (strcmp(host, "missing.test") == 0) return EAI_NONAME;
    struct entry *all = calloc(4, sizeof *all);
    struct addrinfo **end = out;
    *out = NULL;
    for (int i = 0; i < 4 && addresses[i]; i++) {
        struct sockaddr_in *in = (void *)&all[i].addr;
        in->sin_family = AF_INET;
        if (inet_pton(AF_INET, addresses[i], &in->sin_addr) != 1 || hints->ai_family == AF_INET6) continue;
        all[i].ai.ai_family = AF_INET;
        all[i].ai.ai_socktype = hints->ai_socktype;
        all[i].ai.ai_addr = (void *)in;
        all[i].ai.ai_addrlen = sizeof *in;
        *end = &all[i].ai;
        end = &all[i].ai.ai_next;
    }
    if (*out == NULL) free(all);
    return 0;
}

/* The first of the list is the block. */
static void release(struct addrinfo *list) { free(list); }

static void use_resolver(const char *first, const char *second) {
    addresses[0] = first;
    addresses[1] = second;
    dns_set_cache_ttl(0);
    dns_set_resolver(resolve, release, NULL);
}

static Socket_T listener(const char *host) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, host, 0);
    CHECK_INT(errno, 0);
    Socket_listen(s, 5);
    return s;
}

TEST(each_address_is_tried) {
    use_resolver("127.0.0.2", "127.0.0.1");
    Socket_T server = listener("127.0.0.1"), s;
    int port = Socket_getlocalport(server);
    for (int timeout = 0; timeout <= 10000; timeout += 10000) {
        s = Socket_new(AF_INET, SOCK_STREAM, 0);
        SocketTimeouts_T timeouts = {.connect_timeout_ms = timeout};
        Socket_timeouts_set(s, &timeouts);
        Socket_connect(s, "both.test", port);
        CHECK_INT(errno, 0);
        CHECK_STR(Socket_getpeeraddr(s), "127.0.0.1");
        CHECK_INT(Socket_isconnected(s), 1);
        Socket_free(&s);
    }
    Socket_free(&server);
    // Nobody at all: all of them are named.
    s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(s, "both.test", port);
    CHECK_INT(errno, ECONNREFUSED);
    char text[200];
    snprintf(text, sizeof text,
             "connect to both.test:%d failed: 127.0.0.2:%d Connection refused, 127.0.0.1:%d Connection refused", port, port, port);
    CHECK_STR(Socket_GetLastError(), text);
    Socket_free(&s);
}

TEST(each_address_is_tried_to_bind_to) {
    use_resolver("192.0.2.1", "127.0.0.3");
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind(s, "both.test", 0);
    CHECK_INT(errno, 0);
    CHECK_STR(Socket_getlocaladdr(s), "127.0.0.3");
    Socket_free(&s);
}

TEST(a_name_that_is_missing_or_of_another_family) {
    use_resolver("127.0.0.1", NULL);
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_connect(s, "missing.test", 80);
    CHECK_INT(errno, EAI_FAIL);
    CHECK_CONTAINS(Socket_GetLastError(), "connect to missing.test:80 failed: Name or service not known");
    Socket_bind(s, "missing.test", 80);
    CHECK_INT(errno, EAI_FAIL);
    Socket_free(&s);
    s = Socket_new(AF_INET6, SOCK_STREAM, 0);
    Socket_connect(s, "only-four.test", 80);
    CHECK_INT(errno, EAI_FAIL);
    Socket_free(&s);
}

static int seen;

static void see(void *userdata, const SocketEventRecord *event) {
    (void)userdata;
    if (event->type != SOCKET_EVENT_DNS_TIMEOUT) return;
    CHECK_STR(event->component, "SocketDNS");
    CHECK_STR(event->data.dns.host, "slow.test");
    CHECK_INT(event->data.dns.port, 80);
    seen++;
}

TEST(a_name_that_takes_too_long) {
    use_resolver("127.0.0.1", NULL);
    SocketEvent_register(see, NULL);
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    SocketTimeouts_T timeouts = {.connect_timeout_ms = 10000, .dns_timeout_ms = 30};
    Socket_timeouts_set(s, &timeouts);
    pthread_mutex_lock(&held);
    Socket_connect(s, "slow.test", 80);
    CHECK_INT(errno, EAI_FAIL);
    CHECK_CONTAINS(Socket_GetLastError(), "connect to slow.test:80 failed: the name was not resolved in time");
    CHECK_INT(Socket_isconnected(s), 0);
    CHECK_INT(seen, 1);
    // A literal asks nobody.
    Socket_bind(s, "127.0.0.1", 0);
    CHECK_INT(errno, 0);
    pthread_mutex_unlock(&held);
    SocketEvent_unregister(see, NULL);
    Socket_free(&s);
}

TEST_MAIN
