/*
 * requests.c - dns/SocketDNS.h: requests that are asked for, requests with a callback, what cannot be asked.
 */
#include "../harness.h"
#include "../support/raises.h"

#include "dns/SocketDNS.h"
#include "dns_cares.h"
#include "socket/SocketCommon.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

static void wait_for(SocketDNS_T dns) {
    struct pollfd fd = {.fd = SocketDNS_pollfd(dns), .events = POLLIN};
    CHECK_INT(poll(&fd, 1, -1), 1);
}

static int port_of(const struct addrinfo *entry) {
    return ntohs(((const struct sockaddr_in *)(const void *)entry->ai_addr)->sin_port);
}

TEST(a_request_is_asked_for_its_result_once) {
    SocketDNS_T dns = SocketDNS_new();
    CHECK_PTR_NOT_NULL(dns);
    CHECK_INT(SocketDNS_check(dns), 0);
    Request_T request = SocketDNS_resolve(dns, "localhost", 4321, NULL, NULL);
    CHECK_PTR_NOT_NULL(request);
    wait_for(dns);
    CHECK_INT(SocketDNS_check(dns), 1);
    CHECK_INT(SocketDNS_check(dns), 0);
    CHECK_INT(SocketDNS_geterror(dns, request), 0);
    struct addrinfo *list = SocketDNS_getresult(dns, request);
    CHECK_PTR_NOT_NULL(list);
    CHECK_INT(port_of(list), 4321);
    CHECK_INT(list->ai_socktype, SOCK_STREAM);
    SocketCommon_free_addrinfo(list);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    CHECK_INT(SocketDNS_geterror(dns, request), 0);
    SocketDNS_cancel(dns, request);
    SocketDNS_free(&dns);
    CHECK_PTR_NULL(dns);
    SocketDNS_free(&dns);
    SocketDNS_free(NULL);
}

TEST(a_name_that_cannot_exist_fails) {
    SocketDNS_T dns = SocketDNS_new();
    Request_T request = SocketDNS_resolve(dns, "no..name", 1, NULL, NULL);
    wait_for(dns);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    CHECK_INT(SocketDNS_geterror(dns, request), EAI_NONAME);
    CHECK_INT(SocketDNS_geterror(dns, request), EAI_NONAME);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, NULL));
    CHECK_INT(SocketDNS_geterror(dns, NULL), 0);
    SocketDNS_free(&dns);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
}

TEST(addresses_to_bind_to_need_no_lookup) {
    SocketDNS_T dns = SocketDNS_new();
    Request_T request = SocketDNS_resolve(dns, NULL, 80, NULL, NULL);
    struct addrinfo *list = SocketDNS_getresult(dns, request);
    CHECK_PTR_NOT_NULL(list);
    CHECK_INT(list->ai_family, AF_INET);
    CHECK_PTR_NOT_NULL(list->ai_next);
    CHECK_INT(list->ai_next->ai_family, AF_INET6);
    CHECK_INT(port_of(list->ai_next), 80);
    SocketCommon_free_addrinfo(list);
    SocketDNS_free(&dns);
}

/* ---- Callbacks --------------------------------------------------------------------------------------------------- */

static struct heard {
    sem_t calls;
    SocketDNS_T dns;
    Request_T request;
    struct addrinfo *list;
    int error, count;
    pthread_t thread;
} heard;

static void hear(SocketDNS_Request_T *request, struct addrinfo *list, int error, void *data) {
    struct heard *heard = data;
    heard->request = request;
    heard->list = list;
    heard->error = error;
    heard->thread = pthread_self();
    heard->count++;
    sem_post(&heard->calls);
}

TEST(a_callback_is_called_on_a_thread_of_the_library) {
    sem_init(&heard.calls, 0, 0);
    SocketDNS_T dns = SocketDNS_new();
    Request_T request = SocketDNS_resolve(dns, "127.0.0.1", 99, hear, &heard);
    sem_wait(&heard.calls);
    CHECK_PTR(heard.request, request);
    CHECK_INT(heard.error, 0);
    CHECK_INT(port_of(heard.list), 99);
    CHECK(!pthread_equal(heard.thread, pthread_self()));
    SocketCommon_free_addrinfo(heard.list);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    wait_for(dns);
    CHECK_INT(SocketDNS_check(dns), 1);
    request = SocketDNS_resolve(dns, "no..name", 99, hear, &heard);
    sem_wait(&heard.calls);
    CHECK_INT(heard.error, EAI_NONAME);
    CHECK_PTR_NULL(heard.list);
    SocketDNS_free(&dns);
    CHECK_INT(heard.count, 2);
}

static void raise(SocketDNS_Request_T *request, struct addrinfo *list, int error, void *data) {
    SocketCommon_free_addrinfo(list);
    hear(request, NULL, error, data);
    RAISE(SocketDNS_Failed);
}

static void end_all(SocketDNS_Request_T *request, struct addrinfo *list, int error, void *data) {
    SocketCommon_free_addrinfo(list);
    SocketDNS_cancel(heard.dns, request);
    SocketDNS_free(&heard.dns);
    hear(request, NULL, error, data);
}

TEST(what_a_callback_raises_ends_there_and_it_may_end_its_resolver) {
    sem_init(&heard.calls, 0, 0);
    heard.dns = SocketDNS_new();
    for (int i = 0; i < 3; i++) {
        SocketDNS_resolve(heard.dns, "::1", 1, raise, &heard);
        sem_wait(&heard.calls);
    }
    SocketDNS_resolve(heard.dns, "::1", 1, end_all, &heard);
    sem_wait(&heard.calls);
    CHECK_PTR_NULL(heard.dns);
}

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

TEST(a_name_is_waited_for) {
    SocketDNS_T dns = SocketDNS_new();
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = SocketDNS_resolve_sync(dns, "localhost", 7, &hints, 0);
    CHECK_INT(list->ai_family, AF_INET);
    CHECK_INT(list->ai_socktype, SOCK_DGRAM);
    SocketCommon_free_addrinfo(list);
    list = SocketDNS_resolve_sync(dns, "::1", 7, NULL, 1);
    CHECK_INT(list->ai_family, AF_INET6);
    SocketCommon_free_addrinfo(list);
    SocketDNS_free(&dns);
}

TEST(what_cannot_be_asked_raises) {
    static char host[257];
    memset(host, 'a', sizeof host - 1);
    SocketDNS_T dns = SocketDNS_new();
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    CHECK_RAISES(SocketDNS_resolve(dns, "", 1, NULL, NULL), SocketDNS_Failed);
    CHECK_INT(errno, EINVAL);
    CHECK_RAISES(SocketDNS_resolve(dns, host, 1, NULL, NULL), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_resolve(dns, "localhost", -1, NULL, NULL), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_resolve(dns, "localhost", 65536, hear, NULL), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_resolve_sync(dns, "no..name", 1, NULL, 0), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_resolve_sync(dns, "localhost", 1, &numeric, 0), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_create_completed_request(dns, NULL, 1), SocketDNS_Failed);
    SocketDNS_T gone = dns;
    SocketDNS_free(&dns);
    CHECK_RAISES(SocketDNS_resolve(NULL, "localhost", 1, NULL, NULL), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_resolve(gone, "localhost", 1, NULL, NULL), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_pollfd(gone), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_check(gone), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_settimeout(gone, 1), SocketDNS_Failed);
    CHECK_RAISES(SocketDNS_request_settimeout(gone, NULL, 1), SocketDNS_Failed);
}

TEST(a_list_makes_a_request_that_is_over) {
    SocketDNS_T dns = SocketDNS_new();
    struct addrinfo *list = SocketDNS_resolve_sync(dns, "127.0.0.1", 1, NULL, 0);
    Request_T request = SocketDNS_create_completed_request(dns, list, 777);
    CHECK_INT(SocketDNS_geterror(dns, request), 0);
    CHECK_PTR(SocketDNS_getresult(dns, request), list);
    CHECK_INT(port_of(list), 777);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    request = SocketDNS_create_completed_request(dns, list, 0);
    SocketDNS_cancel(dns, request);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    list = SocketDNS_resolve_sync(dns, "127.0.0.1", 1, NULL, 0);
    SocketDNS_create_completed_request(dns, list, 0);
    /* Nobody has taken it: it goes with the resolver. */
    SocketDNS_free(&dns);
}

TEST_MAIN
