/* poll/SocketPoll.h: sockets that end while they are registered, numbers that are given out again. */
#include "polls.h"

TEST(a_freed_socket_leaves_the_set) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    Socket_T stale = pair.near;
    SocketEvent_T *events = NULL;
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    put(pair.far);
    Socket_free(&pair.near);
    CHECK_INT(SocketPoll_getregisteredcount(poll), 0);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
    SocketPoll_del(poll, stale);
    CHECK_RAISES_ERRNO(SocketPoll_mod(poll, stale, POLL_READ, NULL), SocketPoll_Failed, ENOENT, "Socket not in poll set");
    CHECK_RAISES_ERRNO(SocketPoll_add(poll, stale, POLL_READ, NULL), SocketPoll_Failed, EBADF, "freed");
    Socket_free(&pair.far);
    SocketPoll_free(&poll);
}

/* The event of the old one has been harvested when the new one gets its number. */
TEST(a_number_given_out_again_has_nothing_of_its_former_owner) {
    SocketPoll_T poll = SocketPoll_new(1);
    struct pair old = make_pair(), busy = make_pair();
    SocketEvent_T *events = NULL;
    SocketPoll_add(poll, busy.near, POLL_WRITE, &busy);
    CHECK_INT(events_of(poll, busy.near), POLL_WRITE);
    SocketPoll_mod(poll, busy.near, POLL_WRITE, &busy);
    SocketPoll_add(poll, old.near, POLL_READ, &old);
    put(old.far);
    /* Two are ready, and one is given: the other waits in the set. */
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 1);
    if (events[0].data != &busy) {
        SocketPoll_mod(poll, old.near, POLL_READ, &old);
    }
    int number = Socket_fd(old.near);
    Socket_free(&old.near);
    struct pair fresh = make_pair();
    Socket_T heir = Socket_fd(fresh.near) == number ? fresh.near : fresh.far;
    CHECK_INT(Socket_fd(heir), number);
    SocketPoll_add(poll, heir, POLL_READ, &fresh);
    for (int i = 0; i < 4; i++) CHECK_INT(events_of(poll, heir), 0);
    put(heir == fresh.near ? fresh.far : fresh.near);
    CHECK_INT(events_of(poll, heir), POLL_READ);
    free_pair(&old);
    free_pair(&busy);
    free_pair(&fresh);
    SocketPoll_free(&poll);
}

/* Another descriptor of the same socket keeps it alive in the kernel. */
TEST(a_duplicate_sends_no_events_after_the_socket_was_freed) {
    SocketPoll_T poll = SocketPoll_new(16);
    struct pair pair = make_pair();
    SocketEvent_T *events = NULL;
    int copy = dup(Socket_fd(pair.near));
    SocketPoll_add(poll, pair.near, POLL_READ, NULL);
    Socket_free(&pair.near);
    put(pair.far);
    CHECK_INT(SocketPoll_wait(poll, &events, 0), 0);
    close(copy);
    Socket_free(&pair.far);
    SocketPoll_free(&poll);
}

TEST(a_socket_in_several_sets_leaves_all_of_them) {
    SocketPoll_T polls[3];
    struct pair pair = make_pair();
    for (int i = 0; i < 3; i++) {
        polls[i] = SocketPoll_new(4);
        SocketPoll_add(polls[i], pair.near, POLL_READ, &polls[i]);
    }
    put(pair.far);
    for (int i = 0; i < 3; i++) CHECK_INT(events_of(polls[i], pair.near), POLL_READ);
    SocketPoll_del(polls[1], pair.near);
    SocketPoll_free(&polls[2]);
    put(pair.far);
    CHECK_INT(events_of(polls[0], pair.near), POLL_READ);
    CHECK_INT(events_of(polls[1], pair.near), 0);
    free_pair(&pair);
    CHECK_INT(SocketPoll_getregisteredcount(polls[0]), 0);
    SocketPoll_free(&polls[0]);
    SocketPoll_free(&polls[1]);
}

/* Adding and freeing, many times: no event is another socket's. */
TEST(churn_mixes_nobody_up) {
    enum { N = 32 };
    SocketPoll_T poll = SocketPoll_new(8);
    struct pair pairs[N];
    unsigned state = 1;
    for (int i = 0; i < N; i++) {
        pairs[i] = make_pair();
        SocketPoll_add(poll, pairs[i].near, POLL_READ, &pairs[i]);
    }
    for (int round = 0, rounds = load(20000, 4000, 500); round < rounds; round++) {
        state = state * 1103515245u + 12345u;
        struct pair *pair = &pairs[state >> 16 & (N - 1)];
        if (state >> 24 & 1) {
            put(pair->far);
        } else {
            free_pair(pair);
            *pair = make_pair();
            SocketPoll_add(poll, pair->near, POLL_READ, pair);
        }
        SocketEvent_T *events = NULL;
        int n = SocketPoll_wait(poll, &events, 0);
        for (int i = 0; i < n; i++) {
            pair = events[i].data;
            CHECK_PTR(events[i].socket, pair->near);
            CHECK_INT(events[i].events, POLL_READ);
            CHECK_CMP(drain(pair->near), >=, 1);
        }
    }
    for (int i = 0; i < N; i++) free_pair(&pairs[i]);
    CHECK_INT(SocketPoll_getregisteredcount(poll), 0);
    SocketPoll_free(&poll);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST_MAIN
