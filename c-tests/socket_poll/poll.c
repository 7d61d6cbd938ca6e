/* poll/SocketPoll.h: registering, waiting, edges. */
#include "polls.h"

#include "core/SocketEvent.h"

#include <fcntl.h>
#include <stdlib.h>

TEST(a_set_tells_what_is_ready_and_gives_back_the_data) {
    int fds = fd_count();
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    int data = 0;
    CHECK_INT(fcntl(Socket_fd(pair.near), F_GETFL) & O_NONBLOCK, 0);
    SocketPoll_add(poll, pair.near, POLL_READ, &data);
    CHECK(fcntl(Socket_fd(pair.near), F_GETFL) & O_NONBLOCK);
    CHECK_INT(fcntl(Socket_fd(pair.far), F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
    CHECK_PTR_NOT_NULL(events);
    put(pair.far);
    events = NULL;
    CHECK_INT(SocketPoll_wait(poll, &events, -1), 1);
    CHECK_PTR(events[0].socket, pair.near);
    CHECK_PTR(events[0].data, &data);
    CHECK_INT(events[0].events, POLL_READ);
    CHECK_INT(SocketPoll_getregisteredcount(poll), 1);
    SocketPoll_free(&poll);
    CHECK_PTR_NULL(poll);
    SocketPoll_free(&poll);
    SocketPoll_free(NULL);
    CHECK_CMP(Socket_fd(pair.near), >=, 0);
    free_pair(&pair);
    CHECK_NO_NEW_FDS(fds);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(an_edge_is_told_once) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    SocketPoll_add(poll, pair.near, POLL_READ | POLL_WRITE, NULL);
    CHECK_INT(events_of(poll, pair.near), POLL_WRITE);
    CHECK_INT(events_of(poll, pair.near), 0);
    put(pair.far);
    CHECK(events_of(poll, pair.near) & POLL_READ);
    CHECK_INT(events_of(poll, pair.near), 0); /* unread, and told */
    put(pair.far);
    CHECK(events_of(poll, pair.near) & POLL_READ); /* more has come */
    CHECK_INT(drain(pair.near), 2);
    CHECK_INT(events_of(poll, pair.near), 0);
    free_pair(&pair);
    SocketPoll_free(&poll);
}

TEST(mod_arms_the_edge_again_also_when_nothing_changes) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    int first = 0, second = 0;
    SocketEvent_T *events = NULL;
    SocketPoll_add(poll, pair.near, POLL_READ, &first);
    put(pair.far);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(events_of(poll, pair.near), POLL_READ);
        CHECK_INT(events_of(poll, pair.near), 0);
        SocketPoll_mod(poll, pair.near, POLL_READ, &first);
    }
    SocketPoll_mod(poll, pair.near, POLL_WRITE, &second);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 1);
    CHECK_INT(events[0].events, POLL_WRITE);
    CHECK_PTR(events[0].data, &second);
    SocketPoll_mod(poll, pair.near, 0, NULL);
    CHECK_INT(events_of(poll, pair.near), 0);
    /* (present or added) without removed; the data stays */
    SocketPoll_mod(poll, pair.near, POLL_WRITE, &first);
    SocketPoll_modify_events(poll, pair.near, POLL_READ, POLL_WRITE);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 1);
    CHECK_INT(events[0].events, POLL_READ);
    CHECK_PTR(events[0].data, &first);
    SocketPoll_modify_events(poll, pair.near, POLL_WRITE, 0);
    CHECK_INT(events_of(poll, pair.near), POLL_READ | POLL_WRITE);
    free_pair(&pair);
    SocketPoll_free(&poll);
}

TEST(what_does_not_fit_is_refused_in_words) {
    SocketPoll_T poll = SocketPoll_new(1);
    struct pair pair = make_pair(), other = make_pair();
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    CHECK_RAISES_ERRNO(SocketPoll_add(poll, pair.near, POLL_READ, NULL), SocketPoll_Failed, EEXIST, "Socket already in poll set");
    CHECK_RAISES_ERRNO(SocketPoll_mod(poll, pair.far, POLL_READ, NULL), SocketPoll_Failed, ENOENT, "Socket not in poll set");
    CHECK_RAISES_ERRNO(SocketPoll_modify_events(poll, pair.far, 1, 2), SocketPoll_Failed, ENOENT, "Socket not in poll set");
    SocketPoll_del(poll, pair.far);
    SocketPoll_del(poll, NULL);
    SocketPoll_del(poll, pair.near);
    SocketPoll_del(poll, pair.near);
    CHECK_RAISES_ERRNO(SocketPoll_mod(poll, pair.near, POLL_READ, NULL), SocketPoll_Failed, ENOENT, "Socket not in poll set");
    /* The limit of registrations; that of events is another. */
    CHECK_INT(SocketPoll_getmaxregistered(poll), 0);
    SocketPoll_setmaxregistered(poll, 2);
    CHECK_INT(SocketPoll_getmaxregistered(poll), 2);
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    SocketPoll_add(poll, pair.far, POLL_READ, NULL);
    CHECK_RAISES_ERRNO(SocketPoll_add(poll, other.near, POLL_READ, NULL), SocketPoll_Failed, ENOSPC, "limit");
    CHECK_RAISES_ERRNO(SocketPoll_setmaxregistered(poll, 1), SocketPoll_Failed, EINVAL, "2 sockets");
    CHECK_INT(SocketPoll_getregisteredcount(poll), 2);
    SocketPoll_setmaxregistered(poll, 0);
    SocketPoll_add(poll, other.near, POLL_READ, NULL);
    Socket_T found[4] = {NULL};
    CHECK_INT(SocketPoll_get_registered_sockets(poll, found, 2), 2);
    CHECK_INT(SocketPoll_get_registered_sockets(poll, found, 4), 3);
    CHECK(found[0] != found[1] && found[1] != found[2] && found[2] != NULL && found[3] == NULL);
    CHECK_INT(SocketPoll_get_registered_sockets(poll, NULL, 4), 0);
    free_pair(&pair);
    free_pair(&other);
    CHECK_INT(SocketPoll_getregisteredcount(poll), 0);
    SocketPoll_free(&poll);
}

/* What does not fit into one wait comes with the next ones, everybody's in turn. */
TEST(a_wait_gives_no_more_than_it_was_made_for) {
    enum { N = 9 };
    SocketPoll_T poll = SocketPoll_new(2);
    struct pair pairs[N];
    int told[N] = {0};
    for (int i = 0; i < N; i++) {
        pairs[i] = make_pair();
        SocketPoll_add(poll, pairs[i].near, POLL_WRITE, &told[i]);
    }
    SocketEvent_T *events = NULL;
    for (int n, all = 0; all < N; all += n) {
        n = SocketPoll_wait(poll, &events, 0);
        CHECK_CMP(n, >=, 1);
        CHECK_CMP(n, <=, 2);
        for (int i = 0; i < n; i++) CHECK_INT(++*(int *)events[i].data, 1);
    }
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
    for (int i = 0; i < N; i++) free_pair(&pairs[i]);
    SocketPoll_free(&poll);
}

TEST(the_end_of_the_other_side_is_told_with_reading) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    SocketPoll_add(poll, pair.near, 0, NULL);
    CHECK_INT(events_of(poll, pair.near), 0);
    Socket_free(&pair.far);
    CHECK_INT(events_of(poll, pair.near) & (POLL_READ | POLL_HANGUP), POLL_READ | POLL_HANGUP);
    CHECK_INT(events_of(poll, pair.near), 0);
    Socket_free(&pair.near);
    /* A half that has ended is something to read. */
    pair = make_pair();
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    CHECK_INT(shutdown(Socket_fd(pair.far), SHUT_WR), 0);
    CHECK(events_of(poll, pair.near) & POLL_READ);
    free_pair(&pair);
    SocketPoll_free(&poll);
}

TEST(a_refused_connection_is_an_error) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    SocketPoll_T poll = SocketPoll_new(16);
    Socket_T socket = Socket_new(AF_INET, SOCK_STREAM, 0), bound = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(Socket_fd(bound), (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(Socket_fd(bound), (struct sockaddr *)&address, &len), 0);
    CHECK_INT(fcntl(Socket_fd(socket), F_SETFL, O_NONBLOCK), 0);
    connect(Socket_fd(socket), (struct sockaddr *)&address, len);
    SocketPoll_add(poll, socket, POLL_READ | POLL_WRITE, NULL);
    SocketEvent_T *events = NULL;
    CHECK_INT(SocketPoll_wait(poll, &events, -1), 1);
    CHECK_INT(events[0].events & (POLL_READ | POLL_ERROR | POLL_HANGUP), POLL_READ | POLL_ERROR | POLL_HANGUP);
    Socket_free(&socket);
    Socket_free(&bound);
    SocketPoll_free(&poll);
}

TEST(the_default_timeout_is_a_second_and_can_be_set) {
    SocketPoll_T poll = SocketPoll_new(10000);
    SocketEvent_T *events = NULL;
    CHECK_INT(SocketPoll_getdefaulttimeout(poll), 1000);
    SocketPoll_setdefaulttimeout(poll, 7);
    CHECK_INT(SocketPoll_getdefaulttimeout(poll), 7);
    double start = now();
    CHECK_INT(SocketPoll_wait(poll, &events, SOCKET_POLL_TIMEOUT_USE_DEFAULT), 0);
    CHECK(now() - start >= 0.007);
    SocketPoll_setdefaulttimeout(poll, -1);
    CHECK_INT(SocketPoll_getdefaulttimeout(poll), -1);
    SocketPoll_setdefaulttimeout(poll, -2);
    CHECK_INT(SocketPoll_getdefaulttimeout(poll), 0);
    CHECK_INT(SocketPoll_wait(poll, &events, SOCKET_POLL_TIMEOUT_USE_DEFAULT), 0);
    const char *forced = getenv("NETCONN_POLLER");
    CHECK_STR(SocketPoll_get_backend_name(poll), forced && strcmp(forced, "polling") == 0 ? "polling" : "epoll");
    SocketPoll_free(&poll);
}

/* ---- The event that tells of a wait that has events ---------------------------------------------------------------- */

static const Except_T Disliked = {&Disliked, "disliked"};
static int wakeups, dislikes;

static void on_event(void *arg, const SocketEventRecord *event) {
    if (event->type != SOCKET_EVENT_POLL_WAKEUP) return;
    wakeups++;
    CHECK_STR(event->component, "SocketPoll");
    CHECK_INT(event->data.poll.nfds, 1);
    CHECK_INT(event->data.poll.timeout_ms, *(int *)arg);
    if (dislikes-- > 0) RAISE(Disliked);
}

TEST(a_wait_with_events_is_told_to_who_listens) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    int timeout = 0;
    CHECK_INT(SocketEvent_register(on_event, &timeout), 0);
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
    CHECK_INT(wakeups, 0);
    put(pair.far);
    timeout = 1000;
    CHECK_INT(SocketPoll_wait(poll, &events, SOCKET_POLL_TIMEOUT_USE_DEFAULT), 1);
    CHECK_INT(wakeups, 1);
    /* What a listener raises leaves the wait, and the event is for the next one. */
    put(pair.far);
    dislikes = 1;
    CHECK_RAISES(SocketPoll_wait(poll, &events, 1000), Disliked);
    CHECK_INT(SocketPoll_wait(poll, &events, 1000), 1);
    CHECK_INT(wakeups, 3);
    CHECK_INT(SocketEvent_unregister(on_event, &timeout), 0);
    free_pair(&pair);
    SocketPoll_free(&poll);
}

static void no_events(void *arg) {
    (void)arg;
    SocketPoll_new(0);
}
static void too_many_events(void *arg) {
    (void)arg;
    SocketPoll_new(10001);
}
static void wait_null(void *arg) {
    (void)arg;
    SocketEvent_T *events;
    SocketPoll_wait(NULL, &events, 0);
}
static void wait_nowhere(void *arg) {
    (void)arg;
    SocketPoll_wait(SocketPoll_new(1), NULL, 0);
}
static void add_null(void *arg) {
    (void)arg;
    SocketPoll_add(SocketPoll_new(1), NULL, POLL_READ, NULL);
}
static void mod_null(void *arg) {
    (void)arg;
    SocketPoll_mod(SocketPoll_new(1), NULL, POLL_READ, NULL);
}

TEST(violated_preconditions_abort) {
    CHECK_ABORTS(no_events, NULL, "SocketPoll_new", "maxevents");
    CHECK_ABORTS(too_many_events, NULL, "SocketPoll_new", "maxevents");
    CHECK_ABORTS(wait_null, NULL, "SocketPoll_wait", "poll");
    CHECK_ABORTS(wait_nowhere, NULL, "SocketPoll_wait", "events");
    CHECK_ABORTS(add_null, NULL, "SocketPoll_add", "socket");
    CHECK_ABORTS(mod_null, NULL, "SocketPoll_mod", "socket");
}

TEST_MAIN
