/* Socket.h: lookups for a socket that nobody waits for. */
#include "../harness.h"
#include "../support/raises.h"
#include "dns/SocketDNS.h"
#include "socket/Socket.h"

#include <netdb.h>
#include <unistd.h>

/* The list of a request, once it is there. */
static struct addrinfo *result(SocketDNS_T dns, Request_T request) {
    struct addrinfo *list;
    while ((list = SocketDNS_getresult(dns, request)) == NULL) {
        CHECK_INT(SocketDNS_geterror(dns, request), 0);
        usleep(1000);
    }
    return list;
}

TEST(a_socket_is_bound_and_another_connected_by_lookups) {
    SocketDNS_T dns = SocketDNS_new();
    Socket_T server = Socket_new(AF_INET, SOCK_STREAM, 0), client = Socket_new(AF_INET, SOCK_STREAM, 0);
    struct addrinfo *list = result(dns, Socket_bind_async(dns, server, "localhost", 0));
    for (struct addrinfo *entry = list; entry; entry = entry->ai_next) CHECK_INT(entry->ai_family, AF_INET);
    Socket_bind_with_addrinfo(server, list);
    SocketCommon_free_addrinfo(list);
    CHECK_STR(Socket_getlocaladdr(server), "127.0.0.1");
    Socket_listen(server, 1);
    list = result(dns, Socket_connect_async(dns, client, "localhost", Socket_getlocalport(server)));
    Socket_connect_with_addrinfo(client, list);
    SocketCommon_free_addrinfo(list);
    CHECK_INT(Socket_isconnected(client), 1);
    Socket_free(&client);
    Socket_free(&server);
    SocketDNS_free(&dns);
}

TEST(wildcards_are_there_at_once) {
    SocketDNS_T dns = SocketDNS_new();
    const char *hosts[] = {NULL, "0.0.0.0", "::"};
    for (int i = 0; i < 3; i++) {
        Socket_T s = Socket_new(AF_INET6, SOCK_STREAM, 0);
        Request_T request = Socket_bind_async(dns, s, hosts[i], 0);
        struct addrinfo *list = SocketDNS_getresult(dns, request);
        CHECK_PTR_NOT_NULL(list);
        CHECK_INT(list->ai_family, AF_INET6);
        CHECK_PTR_NULL(list->ai_next);
        Socket_bind_with_addrinfo(s, list);
        CHECK_STR(Socket_getlocaladdr(s), "::");
        SocketCommon_free_addrinfo(list);
        Socket_free(&s);
    }
    SocketDNS_free(&dns);
}

TEST(a_lookup_is_cancelled_or_cannot_be_made) {
    SocketDNS_T dns = SocketDNS_new();
    Socket_T s = Socket_new(AF_INET, SOCK_STREAM, 0);
    Socket_bind_async_cancel(dns, NULL);
    Socket_connect_async_cancel(dns, NULL);
    Request_T request = Socket_connect_async(dns, s, "localhost", 80);
    Socket_connect_async_cancel(dns, request);
    Socket_connect_async_cancel(dns, request);
    CHECK_PTR_NULL(SocketDNS_getresult(dns, request));
    request = Socket_bind_async(dns, s, NULL, 80);
    Socket_bind_async_cancel(dns, request);
    CHECK_RAISES_ERRNO(Socket_connect_async(dns, s, NULL, 80), Socket_Failed, EINVAL, "NULL");
    CHECK_RAISES_ERRNO(Socket_connect_async(dns, s, "localhost", 65536), Socket_Failed, EINVAL, "65536");
    CHECK_RAISES_ERRNO(Socket_bind_async(dns, s, "localhost", -1), Socket_Failed, EINVAL, "-1");
    CHECK_RAISES(Socket_connect_async(NULL, s, "localhost", 80), SocketDNS_Failed);
    CHECK_RAISES(Socket_connect_async(dns, s, "", 80), SocketDNS_Failed);
    Socket_free(&s);
    SocketDNS_free(&dns);
}

TEST_MAIN
