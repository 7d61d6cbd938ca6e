/* socket/Socket.h: sockets in a child of fork, whose parent has threads that make and free sockets meanwhile. */
#include "../harness.h"
#include "core/SocketEvent.h"
#include "socket/Socket.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static int over;

static void ignore(void *arg, const SocketEventRecord *event) { (void)arg, (void)event; }

static void make_and_free(void) {
    Socket_T a, b;
    SocketPair_new(SOCK_STREAM, &a, &b);
    Socket_free(&a);
    Socket_free(&b);
}

static void *keep_at_it(void *arg) {
    while (!__atomic_load_n(&over, __ATOMIC_SEQ_CST)) {
        make_and_free();
        SocketEvent_register(ignore, arg);
        SocketEvent_unregister(ignore, arg);
    }
    return NULL;
}

/* It ends by a signal: what the threads had, which it does not have, is nobody's leak. */
TEST(a_child_waits_for_none_of_its_parents_threads) {
    pthread_t threads[2];
    int own[2];
    make_and_free();
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, keep_at_it, &own[i]), 0);
    for (int i = 0, rounds = load(500, 300, 10); i < rounds; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm((unsigned)slow(20));
            make_and_free();
            SocketEvent_register(ignore, NULL);
            raise(SIGKILL);
        }
        int status = -1;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status));
        CHECK_INT(WTERMSIG(status), SIGKILL);
    }
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST_MAIN
