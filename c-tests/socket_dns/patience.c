/*
 * patience.c - dns/SocketDNS.h: lookups that take their time: time-outs, cancellation, the end of a resolver, fork.
 */
#include "../harness.h"

#include "core/SocketError.h"
#include "core/SocketEvent.h"
#include "dns/SocketDNS.h"
#include "dns_cares.h"
#include "socket/SocketCommon.h"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A resolver that knows a name only when it is told to go on. */
static sem_t asked, go_on;

static int slow_lookup(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out, void *arg) {
    (void)host, (void)arg;
    sem_post(&asked);
    sem_wait(&go_on);
    return getaddrinfo("127.0.0.1", service, hints, out);
}

static void let_all_go(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) sem_post(&go_on);
}

static SocketDNS_T slow_resolver(void) {
    sem_init(&asked, 0, 0);
    sem_init(&go_on, 0, 0);
    dns_set_resolver(slow_lookup, freeaddrinfo, NULL);
    at_end(let_all_go, NULL);
    return SocketDNS_new();
}

static void wait_for(SocketDNS_T dns) {
    struct pollfd fd = {.fd = SocketDNS_pollfd(dns), .events = POLLIN};
    CHECK_INT(poll(&fd, 1, -1), 1);
}

static sem_t called, may_return;
static int calls, last_error;

static void hear(SocketDNS_Request_T *request, struct addrinfo *list, int error, void *data) {
    (void)request, (void)data;
    SocketCommon_free_addrinfo(list);
    last_error = error;
    calls++;
    sem_post(&called);
}

TEST(while_it_is_under_way_there_is_neither_result_nor_error) {
    SocketDNS_T dns = slow_resolver();
    Request_T request = SocketDNS_resolve(dns, "slow.example", 5, NULL, NULL);
    sem_wait(&asked);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    CHECK_INT(SocketDNS_geterror(dns, request), 0);
    CHECK_INT(SocketDNS_check(dns), 0);
    sem_post(&go_on);
    wait_for(dns);
    struct addrinfo *list = SocketDNS_getresult(dns, request);
    CHECK_PTR_NOT_NULL(list);
    SocketCommon_free_addrinfo(list);
    SocketDNS_free(&dns);
}

TEST(the_time_of_a_request_is_up) {
    sem_init(&called, 0, 0);
    SocketDNS_T dns = slow_resolver();
    SocketDNS_settimeout(dns, 20);
    Request_T request = SocketDNS_resolve(dns, "late.example", 5, NULL, NULL);
    SocketDNS_resolve(dns, "late.example", 5, hear, NULL);
    wait_for(dns);
    sem_wait(&called);
    CHECK_INT(last_error, EAI_AGAIN);
    while (SocketDNS_geterror(dns, request) == 0) wait_for(dns);
    CHECK_INT(SocketDNS_geterror(dns, request), EAI_AGAIN);

    SocketDNS_settimeout(dns, 0);
    request = SocketDNS_resolve(dns, "late.example", 5, NULL, NULL);
    SocketDNS_request_settimeout(dns, request, 1);
    while (SocketDNS_geterror(dns, request) == 0) CHECK_CMP(SocketDNS_check(dns), >=, 0);
    CHECK_INT(SocketDNS_geterror(dns, request), EAI_AGAIN);

    volatile int raised = 0;
    TRY SocketDNS_resolve_sync(dns, "late.example", 5, NULL, 20);
    EXCEPT(SocketDNS_Failed) {
        raised = errno;
        CHECK_CONTAINS(Socket_GetLastError(), "late.example");
    }
    END_TRY;
    CHECK_INT(raised, ETIMEDOUT);
    SocketDNS_free(&dns);
}

static sem_t told;
static char late_host[64];
static int late_port;

static void on_event(void *data, const SocketEventRecord *record) {
    (void)data;
    if (record->type != SOCKET_EVENT_DNS_TIMEOUT) return;
    strncpy(late_host, record->data.dns.host, sizeof late_host - 1);
    late_port = record->data.dns.port;
    CHECK_STR(record->component, "SocketDNS");
    sem_post(&told);
}

TEST(a_time_out_is_an_event) {
    sem_init(&told, 0, 0);
    CHECK_INT(SocketEvent_register(on_event, NULL), 0);
    SocketDNS_T dns = slow_resolver();
    SocketDNS_settimeout(dns, 5);
    SocketDNS_resolve(dns, "late.example", 55, NULL, NULL);
    sem_wait(&told);
    CHECK_STR(late_host, "late.example");
    CHECK_INT(late_port, 55);
    SocketDNS_free(&dns);
    CHECK_INT(SocketEvent_unregister(on_event, NULL), 0);
}

TEST(what_was_cancelled_is_silent) {
    SocketDNS_T dns = slow_resolver();
    Request_T silent = SocketDNS_resolve(dns, "slow.example", 5, hear, NULL);
    Request_T asked_for = SocketDNS_resolve(dns, "slow.example", 5, NULL, NULL);
    sem_wait(&asked);
    SocketDNS_cancel(dns, NULL);
    SocketDNS_cancel(dns, silent);
    SocketDNS_cancel(dns, silent);
    SocketDNS_cancel(dns, asked_for);
    CHECK_INT(SocketDNS_geterror(dns, asked_for), EAI_CANCELED);
    sem_post(&go_on);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, asked_for));
    SocketDNS_free(&dns);
    CHECK_INT(calls, 0);
}

TEST(the_end_of_a_resolver_ends_its_requests_alone) {
    sem_init(&called, 0, 0);
    SocketDNS_T dns = slow_resolver(), other = SocketDNS_new();
    for (int i = 0; i < 10; i++) SocketDNS_resolve(dns, "slow.example", i, hear, NULL);
    SocketDNS_resolve(other, "slow.example", 5, hear, NULL);
    sem_wait(&asked);
    SocketDNS_free(&dns);
    let_all_go(NULL);
    sem_wait(&called);
    SocketDNS_free(&other);
    CHECK_INT(calls, 1);
}

/* ---- A race ------------------------------------------------------------------------------------------------------ */

static void hold(SocketDNS_Request_T *request, struct addrinfo *list, int error, void *data) {
    (void)request, (void)error;
    SocketCommon_free_addrinfo(list);
    sem_post(&called);
    sem_wait(&may_return);
    *(volatile int *)data = 1;
}

static void *let_it_return(void *arg) {
    (void)arg;
    sem_post(&may_return);
    return NULL;
}

TEST(a_cancellation_waits_for_the_callback_that_is_running) {
    sem_init(&called, 0, 0);
    sem_init(&may_return, 0, 0);
    SocketDNS_T dns = SocketDNS_new();
    volatile int *returned = calloc(1, sizeof *returned);
    Request_T request = SocketDNS_resolve(dns, "127.0.0.1", 5, hold, (void *)returned);
    sem_wait(&called);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, let_it_return, NULL), 0);
    SocketDNS_cancel(dns, request);
    CHECK_INT(*returned, 1);
    free((void *)returned);
    pthread_join(thread, NULL);
    SocketDNS_free(&dns);
}

TEST(memory_of_a_callback_can_go_after_its_cancellation) {
    sem_init(&called, 0, 0);
    SocketDNS_T dns = SocketDNS_new();
    for (int i = 0; i < small(2000, 200); i++) {
        sem_t *data = malloc(sizeof *data);
        sem_init(data, 0, 0);
        Request_T request = SocketDNS_resolve(dns, "127.0.0.1", 5, hear, data);
        SocketDNS_cancel(dns, request);
        memset(data, 0xff, sizeof *data);
        free(data);
    }
    SocketDNS_free(&dns);
}

/* ---- Fork -------------------------------------------------------------------------------------------------------- */

TEST(a_child_has_a_resolver_of_its_own) {
    SocketDNS_T dns = slow_resolver();
    Request_T request = SocketDNS_resolve(dns, "slow.example", 5, NULL, NULL);
    Request_T silent = SocketDNS_resolve(dns, "slow.example", 5, hear, NULL);
    sem_wait(&asked);
    int answer[2];
    CHECK_INT(pipe(answer), 0);
    pid_t child = fork();
    if (child == 0) {
        int good = SocketDNS_geterror(dns, request) == EAI_CANCELED && SocketDNS_geterror(dns, silent) == EAI_CANCELED;
        Request_T own = SocketDNS_resolve(dns, "127.0.0.1", 5, NULL, NULL);
        struct addrinfo *list = SocketDNS_getresult(dns, own);
        good = good && list && SocketDNS_check(dns) == 1 && calls == 0;
        SocketCommon_free_addrinfo(list);
        SocketDNS_free(&dns);
        (void)!write(answer[1], good ? "y" : "n", 1);
        /* Without a word to a leak checker: what the parent's threads were working on is lost here, as in every fork. */
        kill(getpid(), SIGKILL);
    }
    close(answer[1]);
    char good = 0;
    CHECK_INT(read(answer[0], &good, 1), 1);
    CHECK_INT(good, 'y');
    close(answer[0]);
    CHECK_INT(waitpid(child, NULL, 0), child);
    CHECK_INT(SocketDNS_check(dns), 0);
    sem_init(&called, 0, 0);
    sem_post(&go_on);
    sem_wait(&called);
    CHECK_INT(last_error, 0);
    wait_for(dns);
    SocketDNS_free(&dns);
}

TEST_MAIN
