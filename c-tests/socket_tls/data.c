/* Bytes through TLS: SocketTLS_send, _recv and _sendfile, and the plain calls, which are led there. */
#include "pair.h"

#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/uio.h>

TEST(both_kinds_of_calls_reach_the_other_end) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        char buf[20];
        CHECK_INT(SocketTLS_send(pair.client, "one", 3), 3);
        CHECK_INT(Socket_recv(pair.server, buf, sizeof buf), 3);
        CHECK_MEM(buf, "one", 3);
        CHECK_INT(Socket_send(pair.server, "three", 5), 5);
        expect(pair.client, "three");
        WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
        WOULD_BLOCK(Socket_recv(pair.client, buf, sizeof buf));
        /* On the wire it is not what was sent. */
        CHECK_INT(SocketTLS_send(pair.client, "secret", 6), 6);
        char wire[200];
        CHECK_CMP(recv(Socket_fd(pair.server), wire, sizeof wire, 0), >, 6);
        CHECK_INT(wire[0], 23);
        CHECK_PTR_NULL(memmem(wire, sizeof wire, "secret", 6));
        free_pair(&pair);
    }
}

TEST(a_length_of_zero_does_nothing_at_all) {
    CHECK_INT(SocketTLS_send(NULL, NULL, 0), 0);
    CHECK_INT(SocketTLS_recv(NULL, NULL, 0), 0);
    CHECK_INT(SocketTLS_sendfile(NULL, -1, 0, 0), 0);
}

TEST(without_tls_or_a_handshake_nothing_moves) {
    char buf[4] = "abc";
    struct iovec piece = {buf, sizeof buf};
    struct pair pair = {0};
    SocketPair_new(SOCK_STREAM, &pair.client, &pair.server);
    CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, buf, 3), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, buf, 3), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_sendfile(pair.client, 0, 0, 3), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_send(NULL, buf, 3), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_recv(NULL, buf, 3), SocketTLS_Failed, EINVAL);
    free_pair(&pair);

    pair = strangers(TLS1_3_VERSION);
    for (volatile int step = 0; step < 2; step++) {
        CHECK_RAISES_ERRNO(Socket_send(pair.client, buf, 3), SocketTLS_HandshakeFailed, ENOTCONN);
        CHECK_RAISES_ERRNO(Socket_recv(pair.client, buf, 3), SocketTLS_HandshakeFailed, ENOTCONN);
        CHECK_RAISES_ERRNO(Socket_sendv(pair.client, &piece, 1), SocketTLS_HandshakeFailed, ENOTCONN);
        CHECK_RAISES_ERRNO(Socket_recvv(pair.client, &piece, 1), SocketTLS_HandshakeFailed, ENOTCONN);
        CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, buf, 3), SocketTLS_Failed, ENOTCONN);
        CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, buf, 3), SocketTLS_Failed, ENOTCONN);
        CHECK_RAISES_ERRNO(SocketTLS_sendfile(pair.client, 0, 0, 3), SocketTLS_Failed, ENOTCONN);
        if (step == 0) CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_WANT_READ);
    }
    acquaint(&pair);
    CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, NULL, 3), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(SocketTLS_recv(pair.client, NULL, 3), SocketTLS_Failed, EINVAL);
    free_pair(&pair);
}

TEST(more_than_int_max_is_too_long_for_plain_calls_and_clipped_for_others) {
    struct pair pair = friends(TLS1_3_VERSION);
    /* Never touched beyond its first page. */
    char *buf = malloc((size_t)INT_MAX + 2);
    if (!buf) SKIP("no room for 2 GiB of addresses");
    memset(buf, 'x', 20000);
    CHECK_RAISES_ERRNO(Socket_send(pair.client, buf, (size_t)INT_MAX + 1), SocketTLS_Failed, EINVAL);
    CHECK_RAISES_ERRNO(Socket_recv(pair.client, buf, (size_t)INT_MAX + 1), SocketTLS_Failed, EINVAL);
    CHECK_CMP(SocketTLS_send(pair.client, buf, (size_t)INT_MAX + 1), >, 0);
    await(pair.server, POLLIN);
    CHECK_CMP(SocketTLS_recv(pair.server, buf, (size_t)INT_MAX + 1), >, 0);
    free(buf);
    free_pair(&pair);
}

/* Sends and receives this many bytes in turns, in both directions at once. */
static void exchange(struct pair *pair, size_t size) {
    static char out[40000], in[50000];
    size_t sent[2] = {0}, got[2] = {0};
    Socket_T ends[2] = {pair->client, pair->server};
    int blocked = 0;
    while (got[0] < size || got[1] < size) {
        for (int i = 0; i < 2; i++) {
            size_t len = size - sent[i] < sizeof out ? size - sent[i] : sizeof out;
            if (len > 0) {
                /* What would block is offered again, from another place. */
                char *place = out + blocked % 2;
                if (len == sizeof out) len--;
                fill_pattern(place, len, sent[i]);
                ssize_t n = i ? Socket_send(ends[i], place, len) : SocketTLS_send(ends[i], place, len);
                if (n == 0) blocked++;
                sent[i] += (size_t)n;
            }
            ssize_t n = i ? Socket_recv(ends[i], in, sizeof in) : SocketTLS_recv(ends[i], in, sizeof in);
            CHECK_INT(find_pattern_error(in, (size_t)n, got[i]), -1);
            got[i] += (size_t)n;
        }
    }
    CHECK_INT(got[0] + got[1], 2 * size);
}

TEST(small_and_large_loads_in_both_directions) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        exchange(&pair, 1);
        exchange(&pair, 32 << 10);
        exchange(&pair, (size_t)small(1 << 20, 1 << 17));
        free_pair(&pair);
        pair = tcp_friends(version);
        exchange(&pair, (size_t)small(1 << 20, 1 << 17));
        free_pair(&pair);
    }
}

TEST(a_full_kernel_is_told_and_changes_nothing) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        static char buf[10000], in[20000];
        size_t sent = 0, got = 0;
        for (;;) {
            fill_pattern(buf, sizeof buf, sent);
            errno = 0;
            ssize_t n = SocketTLS_send(pair.client, buf, sizeof buf);
            if (n == 0) break;
            sent += (size_t)n;
        }
        CHECK_INT(errno, EAGAIN);
        CHECK_INT(SocketTLS_handshake(pair.client), TLS_HANDSHAKE_COMPLETE);
        WOULD_BLOCK(Socket_send(pair.client, buf, sizeof buf));
        CHECK_INT(socket_tls_want_write(pair.client), 0);
        ssize_t n;
        while ((n = SocketTLS_recv(pair.server, in, sizeof in)) > 0) {
            CHECK_INT(find_pattern_error(in, (size_t)n, got), -1);
            got += (size_t)n;
        }
        CHECK_INT(SocketTLS_send(pair.client, buf, sizeof buf), sizeof buf);
        sent += sizeof buf;
        while ((n = SocketTLS_recv(pair.server, in, sizeof in)) > 0) {
            CHECK_INT(find_pattern_error(in, (size_t)n, got), -1);
            got += (size_t)n;
        }
        CHECK_INT(got, sent);
        free_pair(&pair);
    }
}

TEST(vectors_share_records_and_are_filled_in_order) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        char a[3], b[5], c[100], d[100];
        struct iovec out[] = {{"ab", 2}, {NULL, 0}, {"cdef", 4}, {"g", 1}}, in[] = {{a, 3}, {b, 0}, {b, 2}, {c, 100}};
        CHECK_INT(Socket_sendv(pair.client, out, 4), 7);
        CHECK_INT(Socket_recvv(pair.server, in, 4), 7);
        CHECK_MEM(a, "abc", 3);
        CHECK_MEM(b, "de", 2);
        CHECK_MEM(c, "fg", 2);
        WOULD_BLOCK(Socket_recvv(pair.server, in, 4));
        /* What is there fills the entries, and what is not is not waited for. */
        block(pair.server);
        CHECK_INT(SocketTLS_send(pair.client, "123", 3), 3);
        CHECK_INT(SocketTLS_send(pair.client, "456", 3), 3);
        struct iovec more[] = {{a, 3}, {d, 2}, {c, 100}};
        ssize_t got = Socket_recvv(pair.server, more, 3);
        CHECK_CMP(got, >=, 3);
        CHECK_MEM(a, "123", 3);
        unblock(pair.server);
        if (got == 3) CHECK_INT(Socket_recv(pair.server, d, 3), 3);
        /* Large entries are taken in part. */
        static char large[50000];
        fill_pattern(large, sizeof large, 0);
        struct iovec much[] = {{large, 10}, {large + 10, sizeof large - 10}};
        ssize_t taken = Socket_sendv(pair.client, much, 2);
        CHECK_CMP(taken, >, 10);
        CHECK_CMP(taken, <, sizeof large);
        static char got_back[50000];
        size_t all = 0;
        for (ssize_t n; all < (size_t)taken; all += (size_t)n) n = SocketTLS_recv(pair.server, got_back + all, sizeof got_back - all);
        CHECK_INT(all, taken);
        CHECK_INT(find_pattern_error(got_back, all, 0), -1);
        free_pair(&pair);
    }
}

static int file_of(size_t size) {
    char path[200];
    snprintf(path, sizeof path, "%s/file", temp_dir());
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0);
    char *bytes = alloc(size);
    fill_pattern(bytes, size, 0);
    CHECK_INT(write(file, bytes, size), size);
    return file;
}

/* Reads what is there: it is the pattern from `from` on, and this much of it. */
static void expect_pattern(Socket_T socket, size_t from, size_t size) {
    static char in[20000];
    for (size_t got = 0; got < size;) {
        ssize_t n = SocketTLS_recv(socket, in, sizeof in);
        CHECK_CMP(n, >, 0);
        CHECK_INT(find_pattern_error(in, (size_t)n, from + got), -1);
        got += (size_t)n;
        CHECK_CMP(got, <=, size);
    }
}

TEST(a_file_is_sent_from_the_offset_not_from_its_position) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        int file = file_of(60000);
        CHECK_INT(lseek(file, 500, SEEK_SET), 500);
        CHECK_INT(SocketTLS_sendfile(pair.client, file, 0, 20000), 20000);
        expect_pattern(pair.server, 0, 20000);
        CHECK_INT(SocketTLS_sendfile(pair.client, file, 59000, 5000), 1000);
        expect_pattern(pair.server, 59000, 1000);
        CHECK_INT(SocketTLS_sendfile(pair.client, file, 60000, 5000), 0);
        CHECK_INT(lseek(file, 0, SEEK_CUR), 500);
        CHECK_ERRNO(SocketTLS_sendfile(pair.client, -1, 0, 10), EBADF);
        CHECK_ERRNO(SocketTLS_sendfile(pair.client, file, -1, 10), EINVAL);
        int closed = dup(file);
        close(closed);
        CHECK_ERRNO(SocketTLS_sendfile(pair.client, closed, 0, 10), EBADF);
        /* Until it would block, and on from there. */
        size_t sent = 0, got = 0;
        while (sent < 60000) {
            ssize_t n = SocketTLS_sendfile(pair.client, file, (off_t)sent, 60000 - sent);
            sent += (size_t)n;
            if (n == 0) CHECK_INT(errno, EAGAIN);
            expect_pattern(pair.server, got, sent - got);
            got = sent;
        }
        close(file);
        free_pair(&pair);
    }
}

TEST(plain_sendfile_goes_through_tls_too) {
    struct pair pair = friends(TLS1_3_VERSION);
    int file = file_of(30000);
    off_t offset = 100;
    ssize_t n = Socket_sendfile(pair.client, file, &offset, 5000);
    CHECK_CMP(n, >, 0);
    CHECK_INT(offset, 100 + n);
    expect_pattern(pair.server, 100, (size_t)n);
    CHECK_INT(lseek(file, 29990, SEEK_SET), 29990);
    CHECK_INT(Socket_sendfile(pair.client, file, NULL, 5000), 10);
    expect_pattern(pair.server, 29990, 10);
    offset = 0;
    CHECK_INT(Socket_sendfileall(pair.client, file, &offset, 30000), 30000);
    CHECK_INT(offset, 30000);
    expect_pattern(pair.server, 0, 30000);
    CHECK_RAISES_ERRNO(Socket_sendfile(pair.client, -1, &offset, 10), Socket_Failed, EBADF);
    close(file);
    free_pair(&pair);
}

TEST(calls_for_plain_sockets_alone_are_refused) {
    struct pair pair = friends(TLS1_3_VERSION);
    char byte = 'x';
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    CHECK_RAISES_ERRNO(Socket_sendmsg(pair.client, &message, 0), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_recvmsg(pair.client, &message, 0), Socket_Failed, EOPNOTSUPP);
    CHECK_RAISES_ERRNO(Socket_sendfd(pair.client, 0), Socket_Failed, EOPNOTSUPP);
    int fd;
    CHECK_RAISES_ERRNO(Socket_recvfd(pair.client, &fd), Socket_Failed, EOPNOTSUPP);
    free_pair(&pair);
}

TEST(want_read_tells_of_what_the_kernel_has_no_more) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[10];
    CHECK_INT(SocketTLS_send(pair.client, "first", 5), 5);
    CHECK_INT(SocketTLS_send(pair.client, "second", 6), 6);
    CHECK_INT(socket_tls_want_read(pair.server), 0);
    CHECK_INT(SocketTLS_recv(pair.server, buf, 2), 2);
    CHECK_INT(socket_tls_want_read(pair.server), 1);
    CHECK_INT(SocketTLS_recv(pair.server, buf, 10), 3);
    CHECK_INT(socket_tls_want_read(pair.server), 1);
    CHECK_INT(SocketTLS_recv(pair.server, buf, 10), 6);
    CHECK_INT(socket_tls_want_read(pair.server), 0);
    free_pair(&pair);
}

static void *echo(void *arg) {
    Socket_T socket = arg;
    static char buf[30000];
    for (;;) {
        volatile ssize_t n = 0;
        TRY { n = Socket_recv(socket, buf, sizeof buf); }
        EXCEPT(Socket_Closed) {}
        END_TRY;
        if (n == 0) return NULL;
        CHECK_INT(Socket_sendall(socket, buf, (size_t)n), n);
    }
}

TEST(blocking_sockets_send_and_receive_all) {
    EACH_VERSION(version) {
        struct pair pair = friends(version);
        block(pair.client);
        block(pair.server);
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, echo, pair.server), 0);
        /* No more than kernels keep: nobody reads while the client sends. */
        static char out[40000], in[40000];
        for (int round = 0; round < 3; round++) {
            fill_pattern(out, sizeof out, (uint64_t)round * 7);
            CHECK_INT(Socket_sendall(pair.client, out, sizeof out), sizeof out);
            CHECK_INT(Socket_recvall(pair.client, in, sizeof in), sizeof in);
            CHECK_INT(find_pattern_error(in, sizeof in, (uint64_t)round * 7), -1);
        }
        CHECK_INT(SocketTLS_shutdown_send(pair.client), 1);
        CHECK_INT(pthread_join(thread, NULL), 0);
        free_pair(&pair);
    }
}

TEST(the_programs_bytes_are_counted_not_those_of_records) {
    struct pair pair = friends(TLS1_3_VERSION);
    SocketStats_T stats;
    char buf[10];
    Socket_resetstats(pair.client);
    CHECK_INT(SocketTLS_send(pair.client, "12345", 5), 5);
    CHECK_INT(Socket_send(pair.client, "678", 3), 3);
    CHECK_INT(SocketTLS_send(pair.server, "abcd", 4), 4);
    expect(pair.client, "abcd");
    WOULD_BLOCK(Socket_recv(pair.client, buf, sizeof buf));
    Socket_getstats(pair.client, &stats);
    CHECK_INT(stats.bytes_sent, 8);
    CHECK_INT(stats.packets_sent, 2);
    CHECK_INT(stats.bytes_received, 4);
    CHECK_INT(stats.packets_received, 1);
    CHECK_INT(stats.send_errors + stats.recv_errors, 0);
    CHECK_CMP(stats.last_recv_time_ms, >, 0);
    CHECK_INT(SocketTLS_shutdown_send(pair.client), 1);
    CHECK_RAISES_ERRNO(SocketTLS_send(pair.client, buf, 1), Socket_Closed, EPIPE);
    Socket_getstats(pair.client, &stats);
    CHECK_INT(stats.send_errors, 1);
    free_pair(&pair);
}

TEST(calls_with_a_time_of_their_own_look_at_what_is_buffered_first) {
    struct pair pair = friends(TLS1_3_VERSION);
    char buf[10];
    CHECK_INT(SocketTLS_send(pair.server, "123456", 6), 6);
    CHECK_INT(SocketTLS_recv(pair.client, buf, 2), 2);
    CHECK_INT(Socket_recvall_timeout(pair.client, buf, 3, 0), 3);
    CHECK_MEM(buf, "345", 3);
    /* On a blocking socket, too, nothing is waited for that has no time. */
    block(pair.client);
    CHECK_INT(Socket_recvall_timeout(pair.client, buf, 3, 0), 1);
    CHECK_INT(Socket_recvall_timeout(pair.client, buf, 3, 10), 0);
    CHECK_INT(Socket_sendall_timeout(pair.client, "abc", 3, 1000), 3);
    expect(pair.server, "abc");
    Socket_setbandwidth(pair.client, 1000);
    CHECK_INT(Socket_send_limited(pair.client, "limited", 7), 7);
    expect(pair.server, "limited");
    free_pair(&pair);
}

static sem_t interrupted;
static void on_alarm(int signal) {
    (void)signal;
    sem_post(&interrupted);
}

static void *send_after_signals(void *arg) {
    for (int i = 0; i < 3; i++)
        while (sem_wait(&interrupted) != 0) CHECK_INT(errno, EINTR);
    CHECK_INT(SocketTLS_send(arg, "late", 4), 4);
    return NULL;
}

TEST(a_signal_does_not_end_a_wait) {
    struct pair pair = friends(TLS1_3_VERSION);
    block(pair.client);
    CHECK_INT(sem_init(&interrupted, 0, 0), 0);
    /* Without SA_RESTART, and only for this thread. */
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    sigset_t alarm_alone;
    sigemptyset(&alarm_alone);
    sigaddset(&alarm_alone, SIGALRM);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &alarm_alone, NULL), 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, send_after_signals, pair.server), 0);
    CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &alarm_alone, NULL), 0);
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    CHECK_INT(setitimer(ITIMER_REAL, &often, NULL), 0);
    char buf[10];
    CHECK_INT(SocketTLS_recv(pair.client, buf, sizeof buf), 4);
    CHECK_INT(setitimer(ITIMER_REAL, &never, NULL), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    free_pair(&pair);
}

TEST(the_descriptors_time_out_counts) {
    struct pair pair = friends(TLS1_3_VERSION);
    block(pair.client);
    struct timeval time = {.tv_usec = 20000};
    CHECK_INT(setsockopt(Socket_fd(pair.client), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time), 0);
    CHECK_INT(setsockopt(Socket_fd(pair.client), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time), 0);
    static char buf[16000];
    WOULD_BLOCK(SocketTLS_recv(pair.client, buf, sizeof buf));
    while (SocketTLS_send(pair.client, buf, sizeof buf) > 0) {}
    CHECK_INT(errno, EAGAIN);
    free_pair(&pair);
}

TEST_MAIN
