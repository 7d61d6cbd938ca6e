/* socket/SocketCommon.h: descriptors and their records, binding, I/O vectors. */
#include "../support/aborts.h"
#include "../support/raises.h"
#include "socket/Socket.h"

#include <poll.h>
#include <stdlib.h>

static const Except_T Mine = {&Mine, "mine"};

TEST(a_record_has_a_descriptor_that_ends_with_it) {
    int fds = fd_count();
    SocketBase_T base = SocketCommon_new_base(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    CHECK_INT(fd_count(), fds + 1);
    CHECK_INT(SocketCommon_get_socket_family(base), AF_INET);
    CHECK_INT(SocketCommon_get_socket_family(NULL), AF_UNSPEC);
    SocketCommon_set_option_int(base, SOL_SOCKET, SO_KEEPALIVE, 1, Mine);
    CHECK_RAISES_ERRNO(SocketCommon_set_option_int(base, SOL_SOCKET, -1, 1, Mine), Mine, ENOPROTOOPT, "setsockopt");
    SocketCommon_set_ttl(base, AF_INET, 7, Mine);
    CHECK_RAISES_ERRNO(SocketCommon_set_ttl(base, AF_UNIX, 7, Mine), Mine, EAFNOSUPPORT, "family");
    CHECK_RAISES_ERRNO(SocketCommon_set_ttl(base, AF_INET, 256, Mine), Mine, EINVAL, "hops");
    SocketCommon_set_nonblock(base, true, Mine);
    SocketCommon_set_nonblock(base, false, Mine);
    SocketCommon_update_local_endpoint(base);
    SocketCommon_free_base(&base);
    CHECK_PTR_NULL(base);
    SocketCommon_free_base(&base);
    SocketCommon_free_base(NULL);
    CHECK_NO_NEW_FDS(fds);
    CHECK_RAISES_ERRNO(SocketCommon_new_base(AF_PACKET, SOCK_STREAM, 0), Socket_Failed, EINVAL, "domain");
    CHECK_RAISES_ERRNO(SocketCommon_new_base(AF_INET, SOCK_RAW, 0), Socket_Failed, EINVAL, "type");
    CHECK_RAISES_ERRNO(SocketCommon_new_base(AF_INET, SOCK_STREAM, 99), Socket_Failed, EINVAL, "protocol");
}

TEST(descriptors_are_asked_and_set) {
    int fds[2], value = -1;
    struct timeval time = {7, 7};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(SocketCommon_has_cloexec(fds[0]), 0);
    CHECK_INT(SocketCommon_setcloexec(fds[0], 1), 0);
    CHECK_INT(SocketCommon_has_cloexec(fds[0]), 1);
    SocketCommon_set_cloexec_fd(fds[0], false, Mine);
    CHECK_INT(SocketCommon_has_cloexec(fds[0]), 0);
    CHECK_ERRNO(SocketCommon_setcloexec(-1, 1), EBADF);
    CHECK_ERRNO(SocketCommon_has_cloexec(-1), EBADF);
    CHECK_RAISES_ERRNO(SocketCommon_set_cloexec_fd(-1, true, Mine), Mine, EBADF, "close-on-exec");
    CHECK_INT(SocketCommon_getoption_int(fds[0], SOL_SOCKET, SO_TYPE, &value, Mine), 0);
    CHECK_INT(value, SOCK_STREAM);
    CHECK_INT(SocketCommon_getoption_timeval(fds[0], SOL_SOCKET, SO_RCVTIMEO, &time, Mine), 0);
    CHECK_INT(time.tv_sec, 0);
    CHECK_RAISES_ERRNO(SocketCommon_getoption_int(-1, SOL_SOCKET, SO_TYPE, &value, Mine), Mine, EBADF, "getsockopt");
    CHECK_RAISES_ERRNO(SocketCommon_getoption_int(fds[0], SOL_SOCKET, SO_TYPE, NULL, Mine), Mine, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(SocketCommon_getoption_timeval(fds[0], SOL_SOCKET, SO_RCVTIMEO, NULL, Mine), Mine, EINVAL, "NULL");
    close(fds[0]);
    close(fds[1]);
}

TEST(one_descriptor_is_waited_for) {
    int fds[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(SocketCommon_wait_for_fd(fds[0], POLLOUT, -1), 1);
    CHECK_INT(SocketCommon_wait_for_fd(fds[0], POLLIN, 0), 1);
    double start = now();
    CHECK_INT(SocketCommon_wait_for_fd(fds[0], POLLIN, 10), 0);
    CHECK(now() - start >= 0.01);
    CHECK_INT(write(fds[1], "x", 1), 1);
    CHECK_INT(SocketCommon_wait_for_fd(fds[0], POLLIN, -2), 1);
    close(fds[1]);
    CHECK_ERRNO(SocketCommon_wait_for_fd(fds[0], POLLIN, 1000), EPIPE);
    close(fds[0]);
    CHECK_ERRNO(SocketCommon_wait_for_fd(fds[0], POLLIN, 1000), EBADF);
}

/* ---- Binding ------------------------------------------------------------------------------------------------------ */

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

TEST(an_address_that_is_taken_is_no_exception) {
    struct sockaddr_in address = loopback(0), foreign = loopback(0);
    socklen_t len = sizeof address;
    int taken = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(bind(taken, (struct sockaddr *)&address, len), 0);
    CHECK_INT(getsockname(taken, (struct sockaddr *)&address, &len), 0);
    foreign.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, nobody's */
    SocketBase_T base = SocketCommon_new_base(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(SocketCommon_try_bind_address(base, (struct sockaddr *)&address, len, Mine), EADDRINUSE);
    CHECK_ERRNO(SocketCommon_try_bind_address(base, (struct sockaddr *)&foreign, len, Mine), EADDRNOTAVAIL);
    CHECK_RAISES_ERRNO(SocketCommon_try_bind_address(base, (struct sockaddr *)&foreign, 3, Mine), Mine, EINVAL, "bind to");
    CHECK_RAISES_ERRNO(SocketCommon_try_bind_address(base, NULL, 3, Mine), Mine, EINVAL, "NULL");
    struct sockaddr_in free_one = loopback(0);
    CHECK_INT(SocketCommon_try_bind_address(base, (struct sockaddr *)&free_one, len, Mine), 0);
    SocketCommon_free_base(&base);
    close(taken);
    CHECK_ERRNO(SocketCommon_handle_bind_error(EADDRINUSE, "one", Mine), EADDRINUSE);
    CHECK_CONTAINS(Socket_GetLastError(), "one");
    CHECK_ERRNO(SocketCommon_handle_bind_error(EADDRNOTAVAIL, NULL, Mine), EADDRNOTAVAIL);
    CHECK_RAISES_ERRNO(SocketCommon_handle_bind_error(EACCES, "two", Mine), Mine, EACCES, "two");
    errno = EACCES;
    SocketCommon_format_bind_error(NULL, 80);
    CHECK_INT(errno, EACCES);
    CHECK_INT(Socket_geterrno(), EACCES);
    CHECK_CONTAINS(Socket_GetLastError(), "any");
    CHECK_CONTAINS(Socket_GetLastError(), "80");
}

TEST(the_first_address_that_can_be_had_wins) {
    struct addrinfo hints, *foreign = NULL, *own = NULL;
    SocketCommon_setup_hints(&hints, SOCK_STREAM, 0);
    SocketCommon_resolve_address("192.0.2.1", 0, &hints, &foreign, Mine, AF_UNSPEC, 1);
    SocketCommon_resolve_address("127.0.0.3", 0, &hints, &own, Mine, AF_UNSPEC, 1);
    CHECK_PTR_NULL(foreign->ai_next);
    SocketBase_T base = SocketCommon_new_base(AF_INET, SOCK_STREAM, 0);
    CHECK_RAISES_ERRNO(SocketCommon_try_bind_resolved_addresses(base, foreign, AF_INET, Mine), Mine, EADDRNOTAVAIL, "bind to");
    CHECK_RAISES_ERRNO(SocketCommon_try_bind_resolved_addresses(base, own, AF_INET6, Mine), Mine, EAFNOSUPPORT, "bind to");
    CHECK_RAISES_ERRNO(SocketCommon_try_bind_resolved_addresses(base, NULL, AF_INET, Mine), Mine, EAFNOSUPPORT, "bind to");
    foreign->ai_next = own;
    CHECK_INT(SocketCommon_try_bind_resolved_addresses(base, foreign, AF_INET, Mine), 0);
    SocketCommon_free_addrinfo(foreign);
    SocketCommon_free_base(&base);
}

TEST(groups_are_entered_and_left) {
    SocketBase_T base = SocketCommon_new_base(AF_INET, SOCK_DGRAM, 0);
    SocketCommon_join_multicast(base, "239.1.2.3", "127.0.0.1", Mine);
    CHECK_RAISES_ERRNO(SocketCommon_join_multicast(base, "239.1.2.3", "lo", Mine), Mine, EADDRINUSE, "239.1.2.3");
    SocketCommon_leave_multicast(base, "239.1.2.3", "lo", Mine);
    CHECK_RAISES_ERRNO(SocketCommon_leave_multicast(base, "239.1.2.3", "lo", Mine), Mine, EADDRNOTAVAIL, "239.1.2.3");
    CHECK_RAISES_ERRNO(SocketCommon_join_multicast(base, "nonsense", NULL, Mine), Mine, EINVAL, "nonsense");
    CHECK_RAISES_ERRNO(SocketCommon_join_multicast(base, "239.1.2.3", "no-such-one", Mine), Mine, ENODEV, "no-such-one");
    CHECK_RAISES_ERRNO(SocketCommon_join_multicast(base, NULL, NULL, Mine), Mine, EINVAL, "NULL");
    SocketCommon_free_base(&base);
}

/* ---- I/O vectors -------------------------------------------------------------------------------------------------- */

TEST(vectors_are_summed_and_used_up) {
    char bytes[10] = "";
    struct iovec iov[3] = {{bytes, 4}, {bytes + 4, 0}, {bytes + 4, 6}}, huge[2] = {{bytes, SIZE_MAX}, {bytes, 1}};
    int left = -1;
    CHECK_INT(SocketCommon_calculate_total_iov_len(iov, 3), 10);
    SocketCommon_validate_iov_bases(iov, 3);
    struct iovec *copy = SocketCommon_alloc_iov_copy(iov, 3, Mine);
    CHECK_PTR(SocketCommon_find_active_iov(copy, 3, &left), copy);
    CHECK_INT(left, 3);
    SocketCommon_advance_iov(copy, 3, 5);
    CHECK_PTR_NULL(copy[0].iov_base);
    CHECK_INT(copy[0].iov_len, 0);
    CHECK_PTR(copy[2].iov_base, bytes + 5);
    CHECK_INT(copy[2].iov_len, 5);
    CHECK_PTR(SocketCommon_find_active_iov(copy, 3, &left), copy + 2);
    CHECK_INT(left, 1);
    CHECK_INT(iov[0].iov_len, 4);
    SocketCommon_sync_iov_progress(iov, copy, 3);
    CHECK_INT(SocketCommon_calculate_total_iov_len(iov, 3), 5);
    CHECK_PTR(iov[2].iov_base, bytes + 5);
    CHECK_RAISES_ERRNO(SocketCommon_advance_iov(copy, 3, 6), SocketCommon_Failed, EINVAL, "6 bytes");
    SocketCommon_advance_iov(copy, 3, 5);
    CHECK_PTR_NULL(SocketCommon_find_active_iov(copy, 3, &left));
    CHECK_INT(left, 0);
    free(copy);
    CHECK_RAISES_ERRNO(SocketCommon_calculate_total_iov_len(NULL, 1), SocketCommon_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(SocketCommon_calculate_total_iov_len(iov, 0), SocketCommon_Failed, EINVAL, "0 entries");
    CHECK_RAISES_ERRNO(SocketCommon_calculate_total_iov_len(iov, IOV_MAX + 1), SocketCommon_Failed, EINVAL, "entries");
    CHECK_RAISES_ERRNO(SocketCommon_calculate_total_iov_len(huge, 2), SocketCommon_Failed, EINVAL, "overflow");
    CHECK_RAISES_ERRNO(SocketCommon_alloc_iov_copy(iov, -1, Mine), Mine, EINVAL, "-1");
    iov[0].iov_base = NULL;
    iov[0].iov_len = 1;
    CHECK_RAISES_ERRNO(SocketCommon_validate_iov_bases(iov, 3), SocketCommon_Failed, EINVAL, "entry 0");
}

static void family_null(void *arg) { SocketCommon_set_ttl(arg, AF_INET, 1, Mine); }
static void find_null(void *arg) {
    int n;
    SocketCommon_find_active_iov(arg, 1, &n);
}
static void sync_null(void *arg) {
    struct iovec iov = {NULL, 0};
    SocketCommon_sync_iov_progress(&iov, arg, 1);
}

TEST(violated_preconditions_abort) {
    CHECK_ABORTS(family_null, NULL, "SocketCommon_set_ttl", "base");
    CHECK_ABORTS(find_null, NULL, "SocketCommon_find_active_iov", "iov");
    CHECK_ABORTS(sync_null, NULL, "SocketCommon_sync_iov_progress", "copy");
}

TEST_MAIN
