/* Socket.h: Unix sockets by path and by abstract name, their peers, and descriptors that travel over them. */
#include "../harness.h"
#include "../support/aborts.h"
#include "../support/raises.h"
#include "socket/Socket.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char path[256];

static const char *in_temp(const char *name) {
    snprintf(path, sizeof path, "%s/%s", temp_dir(), name);
    return path;
}

static void talk(const char *name) {
    Socket_T server = Socket_new(AF_UNIX, SOCK_STREAM, 0), client = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    Socket_bind_unix(server, name);
    CHECK_STR(Socket_getlocaladdr(server), name);
    CHECK_INT(Socket_getlocalport(server), 0);
    CHECK_INT(Socket_isbound(server), 1);
    Socket_listen(server, 5);
    errno = 5;
    Socket_connect_unix(client, name);
    CHECK_INT(errno, 0);
    CHECK_INT(Socket_isconnected(client), 1);
    CHECK_STR(Socket_getpeeraddr(client), name);
    Socket_T accepted = Socket_accept(server);
    CHECK_STR(Socket_getlocaladdr(accepted), name);
    CHECK_STR(Socket_getpeeraddr(accepted), "(unknown)");
    CHECK_INT(Socket_getpeerpid(accepted), getpid());
    CHECK_INT(Socket_getpeeruid(accepted), getuid());
    CHECK_INT(Socket_getpeergid(accepted), getgid());
    CHECK_INT(Socket_getpeerpid(client), getpid());
    CHECK_INT(Socket_send(client, "hi", 2), 2);
    char buf[2];
    CHECK_INT(Socket_recv(accepted, buf, 2), 2);
    Socket_free(&accepted);
    Socket_free(&client);
    Socket_free(&server);
}

TEST(a_path_is_bound_and_connected_to) { talk(in_temp("socket")); }

TEST(an_abstract_name_leaves_no_file) {
    char name[64];
    snprintf(name, sizeof name, "@netconn-test-%d", getpid());
    talk(name);
    CHECK_ERRNO(access(name, F_OK), ENOENT);
}

TEST(the_file_of_a_socket_in_the_way_is_removed) {
    for (int i = 0; i < 2; i++) {
        Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
        Socket_bind_unix(s, in_temp("socket"));
        Socket_free(&s);
        CHECK_INT(access(path, F_OK), 0);
    }
}

TEST(any_other_file_in_the_way_is_not) {
    int file = open(in_temp("file"), O_CREAT | O_WRONLY, 0600);
    CHECK_INT(write(file, "precious", 8), 8);
    close(file);
    char link[300];
    snprintf(link, sizeof link, "%s.link", path);
    CHECK_INT(symlink(path, link), 0);
    Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, path), Socket_Failed, EADDRINUSE, "file");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, link), Socket_Failed, EADDRINUSE, "link");
    Socket_free(&s);
    struct stat stat_of;
    CHECK_INT(stat(path, &stat_of), 0);
    CHECK_INT(stat_of.st_size, 8);
    CHECK_INT(lstat(link, &stat_of), 0);
}

TEST(paths_that_cannot_be_raise) {
    Socket_T s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    char too_long[110];
    memset(too_long, 'x', sizeof too_long);
    too_long[108] = 0;
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, too_long), Socket_Failed, ENAMETOOLONG, "107");
    CHECK_RAISES_ERRNO(Socket_connect_unix(s, too_long), Socket_Failed, ENAMETOOLONG, "107");
    too_long[0] = '@';
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, too_long), Socket_Failed, ENAMETOOLONG, "107");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, "/tmp/../x"), Socket_Failed, EINVAL, "`..`");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, ".."), Socket_Failed, EINVAL, "`..`");
    CHECK_RAISES_ERRNO(Socket_connect_unix(s, "x/.."), Socket_Failed, EINVAL, "`..`");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, ""), Socket_Failed, EINVAL, "empty");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, "@"), Socket_Failed, EINVAL, "empty");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_connect_unix(s, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_bind_unix(s, in_temp("none/socket")), Socket_Failed, ENOENT, "none/socket");
    CHECK_RAISES_ERRNO(Socket_connect_unix(s, in_temp("none")), Socket_Failed, ENOENT, "connect to ");
    // Dots that lead nowhere.
    Socket_bind_unix(s, in_temp("..a..b"));
    Socket_free(&s);
    // The longest there is.
    s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    too_long[0] = '@';
    too_long[107] = 0;
    Socket_bind_unix(s, too_long);
    CHECK_STR(Socket_getlocaladdr(s), too_long);
    Socket_free(&s);
    s = Socket_new(AF_INET, SOCK_STREAM, 0);
    CHECK_RAISES(Socket_bind_unix(s, "@x"), Socket_Failed);
    CHECK_INT(Socket_getpeerpid(s), -1);
    CHECK_INT(Socket_getpeeruid(s), -1);
    CHECK_INT(Socket_getpeergid(s), -1);
    Socket_free(&s);
}

TEST(a_path_where_nobody_listens_is_refused) {
    Socket_T server = Socket_new(AF_UNIX, SOCK_STREAM, 0), s = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    Socket_bind_unix(server, in_temp("socket"));
    CHECK_RAISES_ERRNO(Socket_connect_unix(s, path), Socket_Failed, ECONNREFUSED, "refused");
    CHECK_INT(Socket_isconnected(s), 0);
    CHECK_INT(Socket_getpeerpid(s), -1);
    Socket_listen(server, 1);
    Socket_connect_unix(s, path);
    CHECK_INT(Socket_isconnected(s), 1);
    Socket_free(&s);
    Socket_free(&server);
}

TEST(a_full_queue_is_waited_for_in_time) {
    Socket_T server = Socket_listen_unix(in_temp("socket"), 1);
    CHECK_INT(Socket_islistening(server), 1);
    Socket_T s[16];
    volatile int count = 0, full = 0;
    while (count < 16 && !full) {
        s[count] = Socket_new(AF_UNIX, SOCK_STREAM, 0);
        Socket_setnonblocking(s[count]);
        TRY Socket_connect_unix(s[count], path);
        EXCEPT(Socket_Failed) full = errno;
        END_TRY;
        count++;
    }
    CHECK_INT(full, EAGAIN);
    CHECK_RAISES_ERRNO(Socket_connect_unix_timeout(s[count - 1], path, 20), Socket_Failed, ETIMEDOUT, "timed out");
    Socket_T accepted = Socket_accept(server);
    Socket_free(&accepted);
    Socket_connect_unix_timeout(s[count - 1], path, 10000);
    CHECK_INT(Socket_isconnected(s[count - 1]), 1);
    while (count > 0) {
        count--;
        Socket_free(&s[count]);
    }
    Socket_free(&server);
    CHECK_RAISES_ERRNO(Socket_listen_unix(in_temp("x/../y"), 1), Socket_Failed, EINVAL, "..");
    CHECK_RAISES_ERRNO(Socket_listen_unix(in_temp("other"), 0), Socket_Failed, EINVAL, "backlog");
    CHECK_INT(Socket_debug_live_count(), 0);
}

static const Except_T Mine = {&Mine, "mine"};

static void binds_no_base(void *arg) {
    (void)arg;
    SocketUnix_bind(NULL, "@x", Mine);
}

TEST(records_under_sockets_have_paths_too) {
    SocketBase_T server = SocketCommon_new_base(AF_UNIX, SOCK_STREAM, 0), client = SocketCommon_new_base(AF_UNIX, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(SocketUnix_bind(server, "/../x", Mine), Mine, EINVAL, "`..`");
    CHECK_RAISES_ERRNO(SocketUnix_bind(server, NULL, Mine), Mine, EINVAL, "NULL");
    SocketUnix_bind(server, in_temp("socket"), Mine);
    CHECK_RAISES_ERRNO(SocketUnix_connect(client, path, Mine), Mine, ECONNREFUSED, "refused");
    SocketCommon_free_base(&server);
    Socket_T listening = Socket_listen_unix(path, 1);
    SocketUnix_connect(client, path, Mine);
    Socket_T accepted = Socket_accept(listening);
    CHECK_PTR_NOT_NULL(accepted);
    Socket_free(&accepted);
    Socket_free(&listening);
    SocketCommon_free_base(&client);
    CHECK_ABORTS(binds_no_base, NULL, "SocketUnix_bind", "base");
    CHECK_INT(SocketUnix_validate_unix_path("/tmp/x", 6), 0);
    CHECK_INT(SocketUnix_validate_unix_path("@abstract", 9), 0);
    CHECK_ERRNO(SocketUnix_validate_unix_path("/tmp/..", 7), EINVAL);
    CHECK_ERRNO(SocketUnix_validate_unix_path("a\0b", 3), EINVAL);
    CHECK_ERRNO(SocketUnix_validate_unix_path("", 0), EINVAL);
    CHECK_ERRNO(SocketUnix_validate_unix_path(NULL, 3), EINVAL);
}

/* ---- Descriptors --------------------------------------------------------------------------------------------------- */

static Socket_T a, b;

TEST(a_descriptor_travels) {
    SocketPair_new(SOCK_STREAM, &a, &b);
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(Socket_sendfd(a, ends[1]), 1);
    close(ends[1]);
    int fd = 77;
    CHECK_INT(Socket_recvfd(b, &fd), 1);
    CHECK_CMP(fd, >=, 0);
    CHECK_INT(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_INT(write(fd, "x", 1), 1);
    char byte;
    CHECK_INT(read(ends[0], &byte, 1), 1);
    close(fd);
    close(ends[0]);
    Socket_setnonblocking(b);
    fd = 77;
    errno = 0;
    CHECK_INT(Socket_recvfd(b, &fd), 0);
    CHECK_INT(errno, EAGAIN);
    CHECK_INT(fd, -1);
    Socket_free(&a);
    fd = 77;
    CHECK_RAISES(Socket_recvfd(b, &fd), Socket_Closed);
    CHECK_INT(fd, -1);
    CHECK_RAISES_ERRNO(Socket_sendfd(b, 0), Socket_Closed, EPIPE, "closed");
    Socket_free(&b);
}

TEST(many_descriptors_travel_at_once) {
    SocketPair_new(SOCK_DGRAM, &a, &b);
    int before = fd_count();
    int out[SOCKET_MAX_FDS_PER_MSG], in[SOCKET_MAX_FDS_PER_MSG];
    for (int i = 0; i < SOCKET_MAX_FDS_PER_MSG; i++) out[i] = Socket_fd(a);
    CHECK_INT(Socket_sendfds(a, out, SOCKET_MAX_FDS_PER_MSG), 1);
    size_t n = 77;
    CHECK_INT(Socket_recvfds(b, in, SOCKET_MAX_FDS_PER_MSG, &n), 1);
    CHECK_INT(n, SOCKET_MAX_FDS_PER_MSG);
    for (int i = 0; i < SOCKET_MAX_FDS_PER_MSG; i++) CHECK_INT(close(in[i]), 0);
    // Fewer than there is room for.
    CHECK_INT(Socket_sendfds(a, out, 2), 1);
    CHECK_INT(Socket_recvfds(b, in, 4, &n), 1);
    CHECK_INT(n, 2);
    CHECK_INT(in[2], -1);
    CHECK_INT(in[3], -1);
    close(in[0]);
    close(in[1]);
    // More than that: none stays open.
    CHECK_INT(Socket_sendfds(a, out, 3), 1);
    in[0] = in[1] = 77;
    CHECK_RAISES_ERRNO(Socket_recvfds(b, in, 2, &n), Socket_Failed, EMSGSIZE, "room for 2");
    CHECK_INT(n, 0);
    CHECK_INT(in[0], -1);
    CHECK_INT(in[1], -1);
    CHECK_INT(Socket_sendfds(a, out, 2), 1);
    CHECK_RAISES(Socket_recvfd(b, in), Socket_Failed);
    CHECK_INT(in[0], -1);
    // A byte alone.
    CHECK_INT(Socket_send(a, "x", 1), 1);
    CHECK_RAISES_ERRNO(Socket_recvfd(b, in), Socket_Failed, ENOMSG, "without");
    CHECK_INT(Socket_send(a, "x", 1), 1);
    CHECK_INT(Socket_recvfds(b, in, 2, &n), 1);
    CHECK_INT(n, 0);
    CHECK_NO_NEW_FDS(before);
    Socket_free(&a);
    Socket_free(&b);
}

TEST(what_cannot_travel_raises) {
    SocketPair_new(SOCK_STREAM, &a, &b);
    int fds[SOCKET_MAX_FDS_PER_MSG + 1] = {0}, fd;
    size_t n;
    CHECK_RAISES_ERRNO(Socket_sendfd(a, -1), Socket_Failed, EBADF, "-1 is not open");
    CHECK_RAISES_ERRNO(Socket_sendfd(a, 9999), Socket_Failed, EBADF, "9999 is not open");
    CHECK_RAISES_ERRNO(Socket_sendfds(a, fds, 0), Socket_Failed, EINVAL, "1 to 253");
    CHECK_RAISES_ERRNO(Socket_sendfds(a, fds, SOCKET_MAX_FDS_PER_MSG + 1), Socket_Failed, EINVAL, "253");
    CHECK_RAISES_ERRNO(Socket_sendfds(a, NULL, 1), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_recvfd(a, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_recvfds(a, NULL, 1, &n), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_recvfds(a, fds, 1, NULL), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_recvfds(a, fds, 0, &n), Socket_Failed, EINVAL, "253");
    CHECK_RAISES_ERRNO(Socket_recvfds(a, fds, 254, &n), Socket_Failed, EINVAL, "253");
    Socket_T tcp = Socket_new(AF_INET, SOCK_STREAM, 0);
    fd = 77;
    CHECK_RAISES_ERRNO(Socket_sendfd(tcp, 0), Socket_Failed, EOPNOTSUPP, "Unix");
    CHECK_RAISES_ERRNO(Socket_recvfd(tcp, &fd), Socket_Failed, EOPNOTSUPP, "Unix");
    CHECK_INT(fd, -1);
    Socket_free(&tcp);
    Socket_T alone = Socket_new(AF_UNIX, SOCK_STREAM, 0);
    CHECK_RAISES(Socket_sendfd(alone, 0), Socket_Closed);
    Socket_free(&alone);
    // Full: would block.
    Socket_setnonblocking(a);
    int sent = 0;
    while (Socket_sendfd(a, 0) == 1) sent++;
    CHECK_INT(errno, EAGAIN);
    CHECK_CMP(sent, >, 0);
    Socket_free(&a);
    Socket_free(&b);
}

TEST_MAIN
