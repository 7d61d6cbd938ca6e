/* SocketEvent.h: who is told of what, how many may be, what a handler may do. */
#include "../harness.h"
#include "core/Except.h"
#include "core/SocketEvent.h"

#include <stdio.h>

static const Except_T Mine = {&Mine, "one of mine"};
static char told[1000];

static void note(void *userdata, const SocketEventRecord *event) {
    size_t length = strlen(told);
    char *at = told + length;
    size_t room = sizeof told - length;
    switch (event->type) {
    case SOCKET_EVENT_ACCEPTED:
    case SOCKET_EVENT_CONNECTED:
        snprintf(at, room, "%s %d %s: %d %s %d %s %d\n", (char *)userdata, (int)event->type, event->component,
                 event->data.connection.fd, event->data.connection.peer_addr, event->data.connection.peer_port,
                 event->data.connection.local_addr, event->data.connection.local_port);
        break;
    case SOCKET_EVENT_DNS_TIMEOUT:
        snprintf(at, room, "%s %d %s: %s %d\n", (char *)userdata, (int)event->type, event->component, event->data.dns.host,
                 event->data.dns.port);
        break;
    case SOCKET_EVENT_POLL_WAKEUP:
        snprintf(at, room, "%s %d %s: %d %d\n", (char *)userdata, (int)event->type, event->component, event->data.poll.nfds,
                 event->data.poll.timeout_ms);
        break;
    }
}

TEST(numbers) {
    CHECK_INT(SOCKET_EVENT_ACCEPTED, 0);
    CHECK_INT(SOCKET_EVENT_CONNECTED, 1);
    CHECK_INT(SOCKET_EVENT_DNS_TIMEOUT, 2);
    CHECK_INT(SOCKET_EVENT_POLL_WAKEUP, 3);
}

TEST(each_handler_is_told_of_each_event) {
    CHECK_INT(SocketEvent_register(note, "a"), 0);
    CHECK_INT(SocketEvent_register(note, "b"), 0);
    SocketEvent_emit_accept(5, "192.0.2.1", 1000, "192.0.2.2", 443);
    SocketEvent_emit_connect(6, "2001:db8::1", 443, NULL, 0);
    CHECK_INT(SocketEvent_unregister(note, "a"), 0);
    SocketEvent_emit_dns_timeout("name.example", 80);
    SocketEvent_emit_poll_wakeup(3, -1);
    CHECK_INT(SocketEvent_unregister(note, "b"), 0);
    SocketEvent_emit_poll_wakeup(4, 0);
    CHECK_STR(told, "a 0 Socket: 5 192.0.2.1 1000 192.0.2.2 443\n"
                    "b 0 Socket: 5 192.0.2.1 1000 192.0.2.2 443\n"
                    "a 1 Socket: 6 2001:db8::1 443  0\n"
                    "b 1 Socket: 6 2001:db8::1 443  0\n"
                    "b 2 SocketDNS: name.example 80\n"
                    "b 3 SocketPoll: 3 -1\n");
}

TEST(the_table_has_eight_places_and_no_pair_twice) {
    char arguments[9];
    CHECK_INT(SocketEvent_register(NULL, NULL), -1);
    CHECK_INT(SocketEvent_unregister(NULL, NULL), -1);
    CHECK_INT(SocketEvent_unregister(note, NULL), -1);
    for (int i = 0; i < 8; i++) CHECK_INT(SocketEvent_register(note, &arguments[i]), 0);
    CHECK_INT(SocketEvent_register(note, &arguments[3]), -1);
    CHECK_INT(SocketEvent_register(note, &arguments[8]), -1);
    CHECK_INT(SocketEvent_unregister(note, &arguments[3]), 0);
    CHECK_INT(SocketEvent_unregister(note, &arguments[3]), -1);
    CHECK_INT(SocketEvent_register(note, &arguments[8]), 0);
    for (int i = 0; i < 9; i++) CHECK_INT(SocketEvent_unregister(note, &arguments[i]), i == 3 ? -1 : 0);
}

static void leave(void *userdata, const SocketEventRecord *event) {
    ++*(int *)userdata;
    CHECK_INT(SocketEvent_unregister(leave, userdata), 0);
    /* Another one, of another kind, from inside. */
    if (event->type == SOCKET_EVENT_ACCEPTED) SocketEvent_emit_poll_wakeup(1, 1);
}

TEST(a_handler_may_unregister_itself_and_cause_events) {
    int calls = 0;
    CHECK_INT(SocketEvent_register(leave, &calls), 0);
    CHECK_INT(SocketEvent_register(note, "x"), 0);
    SocketEvent_emit_accept(1, "a", 1, "b", 2);
    SocketEvent_emit_accept(1, "a", 1, "b", 2);
    CHECK_INT(calls, 1);
    CHECK_STR(told, "x 3 SocketPoll: 1 1\nx 0 Socket: 1 a 1 b 2\nx 0 Socket: 1 a 1 b 2\n");
    CHECK_INT(SocketEvent_unregister(note, "x"), 0);
}

static void raise_it(void *userdata, const SocketEventRecord *event) {
    (void)userdata, (void)event;
    RAISE(Mine);
}

TEST(what_a_handler_raises_leaves_the_call_after_all_were_told) {
    volatile int caught = 0;
    CHECK_INT(SocketEvent_register(raise_it, NULL), 0);
    CHECK_INT(SocketEvent_register(note, "y"), 0);
    for (volatile int i = 0; i < 2; i++) {
        TRY
            SocketEvent_emit_poll_wakeup(7, 8);
        EXCEPT (Mine)
            caught++;
            CHECK_STR(Except_frame.exception->reason, "one of mine");
            CHECK_STR(Except_frame.file, __FILE__);
        END_TRY;
    }
    CHECK_INT(caught, 2);
    CHECK_STR(told, "y 3 SocketPoll: 7 8\ny 3 SocketPoll: 7 8\n");
    CHECK_INT(SocketEvent_unregister(raise_it, NULL), 0);
    CHECK_INT(SocketEvent_unregister(note, "y"), 0);
}

TEST_MAIN
