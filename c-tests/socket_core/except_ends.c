/* Exceptions where they end: nobody catches them, other threads, a forked child, callbacks of the loop and of the library. */
#include "../harness.h"
#include "../support/aborts.h"
#include "core/Except.h"
#include "core/SocketError.h"
#include "evloop.h"
#include "net_conn.h"
#include "netconn.h"
#include "socket/Socket.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static const Except_T Mine = {&Mine, "one of mine"};

/* ---- Nobody catches it --------------------------------------------------------------------------------------------- */

static void raises(void *arg) {
    (void)arg;
    Except_raise(&Mine, "place.c", 77);
}
static void raises_nothing(void *arg) {
    (void)arg;
    TRY
        Except_raise(NULL, "place.c", 78);
    ELSE
        /* There is nothing to catch. */
        _exit(1);
    END_TRY;
}
static void raises_in_a_handler(void *arg) {
    TRY raises(arg);
    EXCEPT (Mine) RAISE(Assert_Failed);
    END_TRY;
}
static void fails_in_the_library(void *arg) {
    (void)arg;
    Socket_new(-5, -5, -5);
}

TEST(uncaught_it_aborts_and_says_what_and_where) {
    CHECK_ABORTS(raises, NULL, "one of mine", "place.c:77");
    CHECK_ABORTS(raises_in_a_handler, NULL, Assert_Failed.reason, "except_ends.c");
    const char *said = what_aborts(__FILE__, __LINE__, fails_in_the_library, NULL);
    CHECK_CONTAINS(said, "Socket_new");
    CHECK_CONTAINS(said, "-5");
}

TEST(no_exception_at_all_aborts_inside_of_a_try_too) { CHECK_ABORTS(raises_nothing, NULL, "NULL", "place.c:78"); }

/* ---- Threads ------------------------------------------------------------------------------------------------------- */

static void *raises_often(void *arg) {
    const Except_T own = {&Mine, arg};
    volatile int caught = 0;
    const int count = small(20000, 500);
    CHECK_PTR_NULL(Except_stack);
    for (volatile int i = 0; i < count; i++) {
        TRY
            TRY RAISE(own);
            EXCEPT (Assert_Failed) FAIL("another thread's");
            END_TRY;
        EXCEPT (Mine)
            CHECK_STR(Except_frame.exception->reason, (const char *)arg);
            caught++;
        END_TRY;
    }
    CHECK_INT(caught, count);
    CHECK_PTR_NULL(Except_stack);
    return NULL;
}

TEST(each_thread_has_its_own) {
    pthread_t threads[4];
    char *names[4] = {"north", "east", "south", "west"};
    TRY
        Except_Frame *const mine = Except_stack;
        for (volatile int i = 0; i < 4; i++) CHECK_INT(pthread_create(&threads[i], NULL, raises_often, names[i]), 0);
        for (volatile int i = 0; i < 4; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
        CHECK_PTR(Except_stack, mine);
    END_TRY;
}

static void *fails_to_make_a_socket(void *arg) {
    CHECK_STR(Socket_GetLastError(), "");
    TRY Socket_new(-7, 0, 0);
    EXCEPT (Socket_Failed) CHECK_STR(Except_frame.exception->reason, Socket_GetLastError());
    END_TRY;
    CHECK_CONTAINS(Socket_GetLastError(), "-7");
    return arg;
}

TEST(messages_are_per_thread) {
    pthread_t thread;
    TRY Socket_new(-6, 0, 0); ELSE END_TRY;
    CHECK_CONTAINS(Socket_GetLastError(), "-6");
    CHECK_INT(pthread_create(&thread, NULL, fails_to_make_a_socket, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_CONTAINS(Socket_GetLastError(), "-6");
}

/* ---- A forked child ------------------------------------------------------------------------------------------------ */

static void raises_without_frames(void *arg) {
    (void)arg;
    Except_stack = NULL;
    RAISE(Mine);
}

TEST(a_child_inherits_the_stack_and_may_leave_it) {
    volatile int caught = 0;
    TRY
        pid_t pid = fork();
        CHECK_CMP(pid, >=, 0);
        if (pid == 0) RAISE(Mine);
        int status = 0;
        CHECK_INT(waitpid(pid, &status, 0), pid);
        CHECK_INT(status, 9 << 8);
    EXCEPT (Mine)
        _exit(9);
    END_TRY;
    TRY
        CHECK_ABORTS(raises_without_frames, NULL, "one of mine", "except_ends.c");
    EXCEPT (Mine)
        caught = -1;
    END_TRY;
    CHECK_INT(caught, 0);
}

/* ---- Callbacks of the loop ----------------------------------------------------------------------------------------- */

static void on_timer_raise(void *arg) {
    (void)arg;
    RAISE(Mine);
}
static void runs_a_loop(void *run_once) {
    struct ev_loop *loop = evloop_new();
    evloop_timer_start(loop, 0, 0, on_timer_raise, NULL);
    TRY
        if (run_once)
            evloop_run_once(loop, 0);
        else
            evloop_run(loop);
    EXCEPT (Mine)
        /* It must not have come through the loop. */
        _exit(1);
    END_TRY;
}

TEST(no_exception_passes_through_the_loop) {
    CHECK_ABORTS(runs_a_loop, NULL, "one of mine", "except_ends.c");
    CHECK_ABORTS(runs_a_loop, "once", "one of mine", "except_ends.c");
}

static void on_timer_catch(void *arg) {
    CHECK_PTR_NULL(Except_stack);
    TRY RAISE(Mine); EXCEPT (Mine) ++*(int *)arg; END_TRY;
}

TEST(callbacks_of_the_loop_may_catch_their_own) {
    struct ev_loop *loop = evloop_new();
    int caught = 0;
    evloop_timer_start(loop, 0, 0, on_timer_catch, &caught);
    TRY
        Except_Frame *const mine = Except_stack;
        evloop_run(loop);
        CHECK_PTR(Except_stack, mine);
        CHECK_INT(evloop_run_once(loop, 0), 0);
        CHECK_PTR(Except_stack, mine);
    END_TRY;
    CHECK_INT(caught, 1);
    evloop_free(loop);
}

/* ---- Callbacks inside of a call ------------------------------------------------------------------------------------ */

static int on_socket(int fd, void *arg) {
    (void)fd, (void)arg;
    RAISE(Mine);
    return 0;
}
static void connects(void *arg) {
    (void)arg;
    struct conn_options options;
    conn_options_init(&options);
    options.on_socket = on_socket;
    struct ev_loop *loop = evloop_new();
    TRY
        conn_new_with(loop, "127.0.0.1", "1", &options, NULL, NULL, NULL);
        evloop_run(loop);
    EXCEPT (Mine)
        _exit(1);
    END_TRY;
}
static void on_log(int level, const char *message, void *arg) {
    (void)level, (void)message, (void)arg;
    RAISE(Mine);
}
static void logs(void *arg) {
    (void)arg;
    netconn_set_log(on_log, NULL);
    TRY
        /* EINVAL, and the log says why. */
        conn_new(evloop_get_default(), NULL, "1", false, NULL, NULL, NULL);
    EXCEPT (Mine)
        _exit(1);
    END_TRY;
}
static void on_detach(void *attachment) {
    (void)attachment;
    RAISE(Mine);
}
static void frees_a_loop(void *arg) {
    struct ev_loop *loop = evloop_new();
    evloop_set_attachment(loop, &arg, on_detach);
    TRY
        evloop_free(loop);
    EXCEPT (Mine)
        _exit(1);
    END_TRY;
}

TEST(no_exception_passes_through_the_library) {
    CHECK_ABORTS(connects, NULL, "one of mine", "except_ends.c");
    CHECK_ABORTS(logs, NULL, "one of mine", "except_ends.c");
    CHECK_ABORTS(frees_a_loop, NULL, "one of mine", "except_ends.c");
}

TEST_MAIN
