/* poll/SocketPoll.h: changes by other threads while one waits; a child of fork. */
#include "polls.h"

#include <pthread.h>

static SocketPoll_T set;
static struct pair pair;
static int calls;

static void count(void *arg) {
    (void)arg;
    calls++;
}

/* Runs the function in a thread while this one waits; the wait must end by what it does. */
static int wait_while(void *(*other)(void *), SocketEvent_T **events) {
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, other, NULL), 0);
    int n = SocketPoll_wait(set, events, -1);
    pthread_join(thread, NULL);
    return n;
}

static void *add_a_ready_one(void *arg) {
    SocketPoll_add(set, pair.near, POLL_WRITE, &pair);
    return arg;
}
static void *arm_it_again(void *arg) {
    SocketPoll_mod(set, pair.near, POLL_WRITE, &pair);
    return arg;
}
static void *add_a_timer(void *arg) {
    SocketTimer_add(set, 0, count, NULL);
    return arg;
}
static void *free_it_and_add_a_timer(void *arg) {
    put(pair.far);
    SocketPoll_del(set, pair.near);
    Socket_free(&pair.near);
    return add_a_timer(arg);
}

TEST(a_wait_learns_of_what_other_threads_change) {
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    pair = make_pair();
    CHECK_INT(wait_while(add_a_ready_one, &events), 1);
    CHECK_PTR(events[0].data, &pair);
    CHECK_INT(wait_while(arm_it_again, &events), 1);
    CHECK_PTR(events[0].data, &pair);
    CHECK_INT(wait_while(add_a_timer, &events), 0);
    CHECK_INT(calls, 1);
    SocketPoll_mod(set, pair.near, POLL_READ, &pair);
    int n = wait_while(free_it_and_add_a_timer, &events);
    if (n == 1) CHECK_INT(SocketPoll_wait(set, &events, -1), 0); /* the byte was seen before the end */
    CHECK_INT(calls, 2);
    Socket_free(&pair.far);
    SocketPoll_free(&set);
}

/* Each has sockets of its own in the one set; the waiter gets events of live registrations alone. */
static int done;
static void *churn(void *arg) {
    for (int i = 0, rounds = load(3000, 600, 100); i < rounds; i++) {
        struct pair own = make_pair();
        SocketPoll_add(set, own.near, POLL_READ | POLL_WRITE, arg);
        put(own.far);
        SocketPoll_mod(set, own.near, POLL_READ, arg);
        SocketTimer_T timer = SocketTimer_add(set, i % 3, count, NULL);
        if (i % 2) SocketTimer_cancel(set, timer);
        if (i % 4) SocketPoll_del(set, own.near);
        free_pair(&own);
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_SEQ_CST);
    SocketTimer_add(set, 0, count, NULL);
    return NULL;
}

TEST(many_threads_change_a_set_while_one_waits) {
    enum { N = 3 };
    int data[N];
    pthread_t threads[N];
    set = SocketPoll_new(8);
    for (int i = 0; i < N; i++) CHECK_INT(pthread_create(&threads[i], NULL, churn, &data[i]), 0);
    while (__atomic_load_n(&done, __ATOMIC_SEQ_CST) < N) {
        SocketEvent_T *events = NULL;
        int n = SocketPoll_wait(set, &events, -1);
        for (int i = 0; i < n; i++) CHECK((int *)events[i].data >= data && (int *)events[i].data < data + N);
    }
    for (int i = 0; i < N; i++) pthread_join(threads[i], NULL);
    CHECK_INT(SocketPoll_getregisteredcount(set), 0);
    SocketPoll_free(&set);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static void *wait_too(void *arg) {
    SocketEvent_T *events = NULL;
    volatile int busy = 0;
    TRY SocketPoll_wait(set, &events, -1);
    EXCEPT(SocketPoll_Failed) busy = errno == EBUSY;
    END_TRY;
    /* The other one sleeps, then: it is ended by this. */
    put(pair.far);
    *(int *)arg += busy;
    return NULL;
}

TEST(one_thread_waits_at_a_time) {
    int busy = 0;
    pthread_t threads[2];
    set = SocketPoll_new(4);
    pair = make_pair();
    SocketPoll_add(set, pair.near, POLL_READ, NULL);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, wait_too, &busy), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_INT(busy, 1);
    free_pair(&pair);
    SocketPoll_free(&set);
}

static void *end_it(void *arg) {
    SocketPoll_free(&set);
    return arg;
}

/* The wait outside keeps the set's memory: so it does not matter which of the two is first. */
static void wait_while_it_ends(void *arg) {
    SocketEvent_T *events = NULL;
    SocketPoll_T waited = set;
    CHECK_INT(pthread_create(arg, NULL, end_it, NULL), 0);
    CHECK_INT(SocketPoll_wait(waited, &events, -1), 0);
    CHECK_PTR_NOT_NULL(events);
}

TEST(a_wait_is_over_when_another_thread_ends_the_set) {
    for (int i = 0, rounds = load(300, 100, 20); i < rounds; i++) {
        SocketEvent_T *events = NULL;
        pthread_t thread;
        set = SocketPoll_new(4);
        pair = make_pair();
        SocketPoll_add(set, pair.near, POLL_READ, NULL);
        SocketTimer_add(set, 0, wait_while_it_ends, &thread);
        CHECK_INT(SocketPoll_wait(set, &events, -1), 0);
        pthread_join(thread, NULL);
        CHECK_PTR(set, NULL);
        free_pair(&pair);
    }
    CHECK_INT(Socket_debug_live_count(), 0);
}

/* The child's set has the same sockets and is another one: what it does there changes nothing here. */
TEST(a_child_has_a_set_of_its_own) {
    SocketEvent_T *events = NULL;
    set = SocketPoll_new(4);
    pair = make_pair();
    SocketPoll_add(set, pair.near, POLL_READ, &pair);
    put(pair.far);
    pid_t child = fork();
    if (child == 0) {
        CHECK_INT(SocketPoll_wait(set, &events, -1), 1);
        CHECK_PTR(events[0].data, &pair);
        SocketPoll_mod(set, pair.near, POLL_WRITE, NULL);
        SocketPoll_del(set, pair.near);
        free_pair(&pair);
        SocketPoll_free(&set);
        _exit(0);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 1);
    CHECK_INT(events[0].events, POLL_READ);
    put(pair.far);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 1);
    /* A child that only ends it leaves it as it is, too. */
    child = fork();
    if (child == 0) {
        free_pair(&pair);
        SocketPoll_free(&set);
        _exit(0);
    }
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    put(pair.far);
    CHECK_INT(SocketPoll_wait(set, &events, -1), 1);
    free_pair(&pair);
    SocketPoll_free(&set);
}

TEST_MAIN
