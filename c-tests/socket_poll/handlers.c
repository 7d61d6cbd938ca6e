/* poll/SocketPoll.h: what a handler of SOCKET_EVENT_POLL_WAKEUP does to the set whose wait it is told of. */
#include "polls.h"

#include "core/SocketEvent.h"

enum { N = 100 }; /* more events than a set has room for at first */

static SocketPoll_T set;
static struct pair pairs[N];
static int told;

static const Except_T Disliked = {&Disliked, "disliked"};

static void fill(int sockets) {
    set = SocketPoll_new(N);
    for (int i = 0; i < sockets; i++) {
        pairs[i] = make_pair();
        SocketPoll_add(set, pairs[i].near, POLL_WRITE, &pairs[i]);
    }
}

static void empty(int sockets) {
    for (int i = 0; i < sockets; i++) free_pair(&pairs[i]);
    SocketPoll_free(&set);
    CHECK_INT(Socket_debug_live_count(), 0);
}

/* The handler is called once, for the wait that the test makes. */
static int wait_with(SocketEventCallback handler, SocketEvent_T **events) {
    told = 0;
    CHECK_INT(SocketEvent_register(handler, NULL), 0);
    volatile int n = -1;
    TRY n = SocketPoll_wait(set, events, 1000);
    FINALLY SocketEvent_unregister(handler, NULL);
    END_TRY;
    return n;
}

static int is_first(const SocketEventRecord *event) { return event->type == SOCKET_EVENT_POLL_WAKEUP && told++ == 0; }

static void end_the_set(void *arg, const SocketEventRecord *event) {
    (void)arg;
    if (is_first(event)) SocketPoll_free(&set);
}
static void end_the_set_and_raise(void *arg, const SocketEventRecord *event) {
    end_the_set(arg, event);
    RAISE(Disliked);
}

TEST(a_handler_ends_the_set) {
    SocketEvent_T *events = NULL;
    fill(N);
    CHECK_INT(wait_with(end_the_set, &events), 0);
    CHECK_PTR_NOT_NULL(events);
    CHECK_PTR(set, NULL);
    empty(N);
    fill(1);
    CHECK_RAISES(wait_with(end_the_set_and_raise, &events), Disliked);
    CHECK_PTR(set, NULL);
    empty(1);
}

static void wait_inside(void *arg, const SocketEventRecord *event) {
    (void)arg;
    SocketEvent_T *events = NULL;
    if (!is_first(event)) return;
    CHECK_INT(SocketPoll_wait(set, &events, 0), 0);
    for (int i = 1; i < N; i++) SocketPoll_mod(set, pairs[i].near, POLL_WRITE, &pairs[i]);
    CHECK_INT(SocketPoll_wait(set, &events, 0), N - 1);
}

/* What the outer wait was to give is given, whatever the inner one had. */
TEST(a_handler_waits) {
    SocketEvent_T *events = NULL;
    fill(1);
    for (int i = 1; i < N; i++) {
        pairs[i] = make_pair();
        SocketPoll_add(set, pairs[i].near, 0, &pairs[i]);
    }
    CHECK_INT(wait_with(wait_inside, &events), 1);
    CHECK_PTR(events[0].socket, pairs[0].near);
    CHECK_PTR(events[0].data, &pairs[0]);
    CHECK_INT(events[0].events, POLL_WRITE);
    empty(N);
}

static void free_one_take_one_out(void *arg, const SocketEventRecord *event) {
    (void)arg;
    if (!is_first(event)) return;
    free_pair(&pairs[0]);
    SocketPoll_del(set, pairs[1].near);
}
TEST(what_a_handler_takes_out_has_no_event_any_more) {
    SocketEvent_T *events = NULL;
    fill(3);
    CHECK_INT(wait_with(free_one_take_one_out, &events), 1);
    CHECK_PTR(events[0].socket, pairs[2].near);
    empty(3);
}

TEST_MAIN
