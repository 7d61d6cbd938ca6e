/* Socket.h: what a handle is: made, freed, freed again, and never taken for another. */
#include "../harness.h"
#include "../support/aborts.h"
#include "../support/raises.h"
#include "socket/Socket.h"

#include <pthread.h>
#include <unistd.h>

TEST(a_new_socket_blocks_and_is_closed_on_exec) {
    int before = fd_count();
    CHECK_INT(Socket_debug_live_count(), 0);
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(Socket_debug_live_count(), 1);
    CHECK_INT(fcntl(Socket_fd(s), F_GETFL) & O_NONBLOCK, 0);
    CHECK_INT(fcntl(Socket_fd(s), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_INT(Socket_isconnected(s), 0);
    CHECK_INT(Socket_isbound(s), 0);
    CHECK_INT(Socket_islistening(s), 0);
    CHECK_STR(Socket_getpeeraddr(s), "(unknown)");
    CHECK_STR(Socket_getlocaladdr(s), "(unknown)");
    CHECK_INT(Socket_getpeerport(s), 0);
    CHECK_INT(Socket_getlocalport(s), 0);
    Socket_free(&s);
    CHECK_PTR_NULL(s);
    CHECK_INT(Socket_debug_live_count(), 0);
    CHECK_NO_NEW_FDS(before);
}

TEST(what_no_socket_can_be_is_refused) {
    CHECK_RAISES_ERRNO(Socket_new(AF_PACKET, SOCK_STREAM, 0), Socket_Failed, EINVAL, "domain");
    CHECK_RAISES_ERRNO(Socket_new(AF_INET, SOCK_RAW, 0), Socket_Failed, EINVAL, "type");
    CHECK_RAISES_ERRNO(Socket_new(AF_INET, SOCK_STREAM, 77), Socket_Failed, EINVAL, "protocol");
    // The kernel's word, not ours.
    CHECK_RAISES(Socket_new(AF_INET, SOCK_STREAM, IPPROTO_UDP), Socket_Failed);
    Socket_T a = NULL, b = NULL;
    CHECK_RAISES_ERRNO(SocketPair_new(SOCK_SEQPACKET, &a, &b), Socket_Failed, EINVAL, "type");
    CHECK_RAISES_ERRNO(SocketPair_new(SOCK_STREAM, &a, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_INT(Socket_debug_live_count(), 0);
}

TEST(a_pair_is_connected_and_blocks) {
    int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (int i = 0; i < 2; i++) {
        Socket_T a = NULL, b = NULL;
        SocketPair_new(types[i], &a, &b);
        CHECK_INT(Socket_debug_live_count(), 2);
        CHECK_INT(Socket_isconnected(a), 1);
        CHECK_INT(Socket_isbound(b), 1);
        CHECK_INT(fcntl(Socket_fd(a), F_GETFL) & O_NONBLOCK, 0);
        CHECK_INT(fcntl(Socket_fd(b), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        CHECK_INT(Socket_send(a, "hey", 3), 3);
        char buf[8];
        CHECK_INT(Socket_recv(b, buf, sizeof buf), 3);
        CHECK_MEM(buf, "hey", 3);
        Socket_free(&a);
        Socket_free(&b);
    }
}

TEST(a_descriptor_is_taken_over_and_made_non_blocking) {
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    Socket_T s = Socket_new_from_fd(fds[0]);
    CHECK_INT(Socket_fd(s), fds[0]);
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_INT(Socket_isconnected(s), 1);
    Socket_free(&s);
    CHECK_ERRNO(fcntl(fds[0], F_GETFD), EBADF);
    close(fds[1]);
}

TEST(a_descriptor_that_is_no_socket_stays_the_callers) {
    int fds[2];
    CHECK_INT(pipe(fds), 0);
    CHECK_RAISES_ERRNO(Socket_new_from_fd(fds[0]), Socket_Failed, ENOTSOCK, "taken over");
    CHECK_INT(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
    close(fds[0]);
    CHECK_RAISES_ERRNO(Socket_new_from_fd(fds[0]), Socket_Failed, EBADF, "taken over");
    close(fds[1]);
}

TEST(freeing_twice_does_nothing) {
    Socket_free(NULL);
    Socket_T none = NULL;
    Socket_free(&none);
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0), again = s;
    Socket_free(&s);
    Socket_free(&s);
    int fd = open("/dev/null", O_RDONLY);
    Socket_free(&again);
    CHECK_PTR_NULL(again);
    // Its number may be somebody else's by now.
    CHECK_CMP(fcntl(fd, F_GETFD), >=, 0);
    CHECK_INT(Socket_debug_live_count(), 0);
    close(fd);
}

static Socket_T stale(void) {
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0), copy = s;
    Socket_free(&s);
    return copy;
}

static void asks_for_the_descriptor(void *arg) { Socket_fd(arg ? stale() : NULL); }
static void sends(void *arg) { Socket_send(arg ? stale() : NULL, "x", 1); }
static void receives(void *arg) {
    char byte;
    Socket_recv(arg ? stale() : NULL, &byte, 1);
}
static void connects(void *arg) { Socket_connect(arg ? stale() : NULL, "127.0.0.1", 1); }
static void takes_a_negative_descriptor(void *arg) {
    (void)arg;
    Socket_new_from_fd(-1);
}

TEST(a_handle_that_is_null_or_was_freed_aborts) {
    static int yes;
    CHECK_ABORTS(asks_for_the_descriptor, NULL, "Socket_fd", "socket is NULL");
    CHECK_ABORTS(asks_for_the_descriptor, &yes, "Socket_fd", "socket was freed");
    CHECK_ABORTS(sends, NULL, "Socket_send", "socket is NULL");
    CHECK_ABORTS(sends, &yes, "Socket_send", "socket was freed");
    CHECK_ABORTS(receives, &yes, "Socket_recv", "socket was freed");
    CHECK_ABORTS(connects, &yes, "Socket_connect", "socket was freed");
    CHECK_ABORTS(takes_a_negative_descriptor, NULL, "Socket_new_from_fd", "fd");
}

TEST(questions_about_a_stale_handle_are_answered_with_no) {
    Socket_T s = stale();
    CHECK_INT(Socket_isconnected(s), 0);
    CHECK_INT(Socket_isbound(s), 0);
    CHECK_INT(Socket_islistening(s), 0);
    CHECK_INT(Socket_isconnected(NULL), 0);
}

TEST(a_freed_handle_rests_long_and_growth_is_bounded) {
    // A handle is used again only after 65,536 others were freed.
    int many = load(70000, 70000, 2000);
    Socket_T first = stale();
    int reused = 0;
    for (int i = 0; i < many; i++) {
        Socket_T s = Socket_new(AF_UNIX, SOCK_DGRAM, 0);
        if (s == first) {
            reused++;
            CHECK_CMP(i, >=, 65000);
        }
        Socket_free(&s);
    }
    CHECK_INT(reused, many > 66000 ? 1 : 0);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static void *makes_and_frees(void *arg) {
    int many = *(int *)arg;
    Socket_T kept[8] = {NULL};
    for (int i = 0; i < many; i++) {
        Socket_T *place = &kept[i % 8];
        Socket_free(place);
        *place = Socket_new(AF_UNIX, SOCK_STREAM, 0);
        // Nobody else has this handle.
        int fd = Socket_fd(*place);
        CHECK_CMP(fd, >=, 0);
        CHECK_INT(Socket_isbound(*place), 1);
    }
    for (int i = 0; i < 8; i++) Socket_free(&kept[i]);
    return NULL;
}

TEST(threads_make_and_free_sockets) {
    int many = load(5000, 5000, 300);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, makes_and_frees, &many);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_INT(Socket_debug_live_count(), 0);
}

static Socket_T shared;
static pthread_barrier_t barrier;

static void *frees_the_shared(void *arg) {
    int rounds = *(int *)arg;
    for (int i = 0; i < rounds; i++) {
        pthread_barrier_wait(&barrier);
        Socket_T mine = shared;
        pthread_barrier_wait(&barrier);
        Socket_free(&mine);
        CHECK_PTR_NULL(mine);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

TEST(two_threads_free_one_socket_once) {
    int rounds = load(500, 500, 30);
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, frees_the_shared, &rounds);
    int fds = fd_count();
    for (int i = 0; i < rounds; i++) {
        shared = Socket_new(AF_INET, SOCK_DGRAM, 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        CHECK_INT(Socket_debug_live_count(), 0);
    }
    CHECK_NO_NEW_FDS(fds);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

TEST_MAIN
