/* socket/SocketCommon.h: names, addresses, networks. */
#include "../support/aborts.h"
#include "../support/raises.h"
#include "../support/world.h"
#include "socket/Socket.h"

#include <arpa/inet.h>

static const Except_T Mine = {&Mine, "mine"};

/* The numeric text of an entry, in a static buffer. */
static const char *text_of(const struct addrinfo *entry) {
    static char text[64];
    CHECK_INT(getnameinfo(entry->ai_addr, entry->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST), 0);
    return text;
}

TEST(hints_are_filled_in) {
    struct addrinfo hints;
    memset(&hints, 0xff, sizeof hints);
    SocketCommon_setup_hints(&hints, SOCK_DGRAM, AI_PASSIVE);
    CHECK_INT(hints.ai_socktype, SOCK_DGRAM);
    CHECK_INT(hints.ai_flags, AI_PASSIVE);
    CHECK_INT(hints.ai_family, AF_UNSPEC);
    CHECK_INT(hints.ai_protocol, 0);
    CHECK(hints.ai_addr == NULL && hints.ai_next == NULL && hints.ai_canonname == NULL);
}

TEST(literals_need_no_lookup) {
    enter_world_without_routes();
    struct addrinfo hints, *list = NULL;
    SocketCommon_setup_hints(&hints, SOCK_STREAM, 0);
    CHECK_INT(SocketCommon_resolve_address("192.0.2.7", 443, &hints, &list, Mine, AF_UNSPEC, 1), 0);
    CHECK_STR(text_of(list), "192.0.2.7");
    CHECK_INT(list->ai_socktype, SOCK_STREAM);
    CHECK_INT(ntohs(((struct sockaddr_in *)list->ai_addr)->sin_port), 443);
    CHECK_PTR_NULL(list->ai_next);
    struct addrinfo *copy = SocketCommon_copy_addrinfo(list);
    SocketCommon_free_addrinfo(list);
    CHECK_STR(text_of(copy), "192.0.2.7");
    SocketCommon_free_addrinfo(copy);
    SocketCommon_free_addrinfo(NULL);
    CHECK_PTR_NULL(SocketCommon_copy_addrinfo(NULL));
    CHECK_INT(SocketCommon_resolve_address("2001:db8::7", 0, NULL, &list, Mine, AF_INET6, 1), 0);
    CHECK_STR(text_of(list), "2001:db8::7");
    SocketCommon_free_addrinfo(list);
}

TEST(no_host_is_this_machine) {
    struct addrinfo hints, *list = NULL;
    SocketCommon_setup_hints(&hints, SOCK_STREAM, AI_PASSIVE);
    hints.ai_family = AF_INET;
    CHECK_INT(SocketCommon_resolve_address(NULL, 80, &hints, &list, Mine, AF_INET, 1), 0);
    CHECK_STR(text_of(list), "0.0.0.0");
    CHECK_PTR_NULL(list->ai_next);
    SocketCommon_free_addrinfo(list);
    hints.ai_flags = 0;
    CHECK_INT(SocketCommon_resolve_address(NULL, 80, &hints, &list, Mine, AF_INET, 1), 0);
    CHECK_STR(text_of(list), "127.0.0.1");
    SocketCommon_free_addrinfo(list);
    hints.ai_family = AF_UNSPEC;
    CHECK_INT(SocketCommon_resolve_address(NULL, 80, &hints, &list, Mine, AF_UNSPEC, 1), 0);
    CHECK_PTR_NOT_NULL(list->ai_next);
    SocketCommon_free_addrinfo(list);
}

TEST(names_are_looked_up) {
    enter_world();
    set_hosts("192.0.2.1 one.test\n2001:db8::2 two.test\n");
    struct addrinfo *list = NULL, hints;
    CHECK_INT(SocketCommon_resolve_address("one.test", 1, NULL, &list, Mine, AF_INET, 0), 0);
    CHECK_STR(text_of(list), "192.0.2.1");
    SocketCommon_free_addrinfo(list);
    /* There is an address, of another family. */
    CHECK_ERRNO(SocketCommon_resolve_address("one.test", 1, NULL, &list, Mine, AF_INET6, 0), EAI_FAIL);
    CHECK_PTR_NULL(list);
    CHECK_CONTAINS(Socket_GetLastError(), "one.test");
    CHECK_RAISES_ERRNO(SocketCommon_resolve_address("one.test", 1, NULL, &list, Mine, AF_INET6, 1), Mine, EAI_FAIL, "one.test");
    CHECK_ERRNO(SocketCommon_resolve_address("none.test", 1, NULL, &list, Mine, AF_UNSPEC, 0), EAI_FAIL);
    SocketCommon_setup_hints(&hints, 0, AI_NUMERICHOST);
    CHECK_ERRNO(SocketCommon_resolve_address("one.test", 1, &hints, &list, Mine, AF_UNSPEC, 0), EAI_FAIL);
    CHECK_ERRNO(SocketCommon_resolve_address("one.test", 65536, NULL, &list, Mine, AF_UNSPEC, 0), EINVAL);
    CHECK_ERRNO(SocketCommon_resolve_address("one test", 1, NULL, &list, Mine, AF_UNSPEC, 0), EINVAL);
    CHECK_RAISES_ERRNO(SocketCommon_resolve_address("-x", 1, NULL, &list, Mine, AF_UNSPEC, 1), Mine, EINVAL, "-x");
}

TEST(what_is_no_host_or_port_raises_what_was_named) {
    SocketCommon_validate_port(0, Mine);
    SocketCommon_validate_port(65535, Mine);
    CHECK_RAISES_ERRNO(SocketCommon_validate_port(-1, Mine), Mine, EINVAL, "-1");
    CHECK_RAISES_ERRNO(SocketCommon_validate_port(65536, Socket_Failed), Socket_Failed, EINVAL, "65536");
    SocketCommon_validate_hostname("a-1.example", Mine);
    SocketCommon_validate_hostname("::1", Mine);
    CHECK_RAISES_ERRNO(SocketCommon_validate_hostname("", Mine), Mine, EINVAL, "no host name");
    CHECK_RAISES_ERRNO(SocketCommon_validate_hostname("a..b", Mine), Mine, EINVAL, "a..b");
    CHECK_RAISES_ERRNO(SocketCommon_validate_hostname(NULL, Mine), Mine, EINVAL, "NULL");
    SocketCommon_validate_host_not_null("", Mine);
    CHECK_RAISES_ERRNO(SocketCommon_validate_host_not_null(NULL, Mine), Mine, EINVAL, "NULL");
    const char *host = "127.0.0.1";
    CHECK_PTR(SocketCommon_normalize_wildcard_host(host), host);
    CHECK_PTR_NULL(SocketCommon_normalize_wildcard_host("0.0.0.0"));
    CHECK_PTR_NULL(SocketCommon_normalize_wildcard_host("::"));
    CHECK_PTR_NULL(SocketCommon_normalize_wildcard_host(NULL));
}

TEST(addresses_and_networks_are_read) {
    int family = -1;
    CHECK_INT(SocketCommon_parse_ip("127.0.0.1", &family), 1);
    CHECK_INT(family, AF_INET);
    CHECK_INT(SocketCommon_parse_ip("::", &family), 1);
    CHECK_INT(family, AF_INET6);
    CHECK_INT(SocketCommon_parse_ip("127.0.0", &family), 0);
    CHECK_INT(family, AF_UNSPEC);
    CHECK_INT(SocketCommon_parse_ip(NULL, NULL), 0);
    CHECK_INT(SocketCommon_parse_ip("::1", NULL), 1);
    CHECK_INT(SocketCommon_cidr_match("10.1.2.3", "10.0.0.0/8"), 1);
    CHECK_INT(SocketCommon_cidr_match("11.1.2.3", "10.0.0.0/8"), 0);
    CHECK_INT(SocketCommon_cidr_match("::1", "10.0.0.0/8"), 0);
    CHECK_INT(SocketCommon_cidr_match("2001:db8::1", "2001:db8::/32"), 1);
    CHECK_INT(SocketCommon_cidr_match("10.1.2.3", "10.0.0.0"), -1);
    CHECK_INT(SocketCommon_cidr_match("10.1.2.3", "10.0.0.0/33"), -1);
    CHECK_INT(SocketCommon_cidr_match("x", "10.0.0.0/8"), -1);
    CHECK_INT(SocketCommon_cidr_match(NULL, "10.0.0.0/8"), -1);
    CHECK_INT(SocketCommon_cidr_match("10.1.2.3", NULL), -1);
}

TEST(addresses_become_text) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct sockaddr *any = (const struct sockaddr *)&address;
    struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/x"};
    Arena_T arena = Arena_new();
    char *host = NULL, name[64] = "", service[16] = "";
    int port = 0;
    CHECK_INT(SocketCommon_cache_endpoint(arena, any, sizeof address, &host, &port), 0);
    CHECK_STR(host, "127.0.0.1");
    CHECK_INT(port, 8080);
    CHECK_ERRNO(SocketCommon_cache_endpoint(arena, (struct sockaddr *)&path, sizeof path, &host, &port), EAFNOSUPPORT);
    CHECK_ERRNO(SocketCommon_cache_endpoint(arena, NULL, 16, &host, &port), EINVAL);
    CHECK_ERRNO(SocketCommon_cache_endpoint(arena, any, 3, &host, &port), EINVAL);
    CHECK_ERRNO(SocketCommon_cache_endpoint(NULL, any, sizeof address, &host, &port), EINVAL);
    Arena_dispose(&arena);
    int flags = NI_NUMERICHOST | NI_NUMERICSERV;
    CHECK_INT(SocketCommon_reverse_lookup(any, sizeof address, name, sizeof name, service, sizeof service, flags, Mine), 0);
    CHECK_STR(name, "127.0.0.1");
    CHECK_STR(service, "8080");
    CHECK_INT(SocketCommon_reverse_lookup(any, sizeof address, name, sizeof name, NULL, 0, flags, Mine), 0);
    CHECK_RAISES_ERRNO(SocketCommon_reverse_lookup(NULL, 0, name, sizeof name, NULL, 0, flags, Mine), Mine, EINVAL, "no address");
    CHECK_RAISES_ERRNO(SocketCommon_reverse_lookup(any, sizeof address, name, 0, service, 0, flags, Mine), Mine, EINVAL, "no room");
    CHECK_RAISES(SocketCommon_reverse_lookup(any, sizeof address, name, 3, NULL, 0, flags, Mine), Mine);
    CHECK_RAISES(SocketCommon_reverse_lookup(any, 4, name, sizeof name, NULL, 0, flags, Mine), Mine);
}

TEST(the_process_has_a_resolver_and_time_outs) {
    SocketTimeouts_T timeouts, other = {-5, 77, 3};
    SocketCommon_timeouts_getdefaults(&timeouts);
    CHECK_INT(timeouts.connect_timeout_ms, 30000);
    CHECK_INT(timeouts.dns_timeout_ms, 5000);
    CHECK_INT(timeouts.operation_timeout_ms, 0);
    CHECK_INT(SocketCommon_get_dns_timeout(), 5000);
    SocketCommon_timeouts_setdefaults(&other);
    SocketCommon_timeouts_setdefaults(NULL);
    SocketCommon_timeouts_getdefaults(NULL);
    Socket_timeouts_getdefaults(&timeouts);
    CHECK_INT(timeouts.connect_timeout_ms, 0);
    CHECK_INT(timeouts.dns_timeout_ms, 77);
    CHECK_INT(SocketCommon_get_dns_timeout(), 77);
    SocketCommon_set_dns_timeout(10);
    CHECK_INT(SocketCommon_get_dns_timeout(), 10);
    SocketCommon_set_dns_timeout(-1);
    CHECK_INT(SocketCommon_get_dns_timeout(), 77);
    SocketDNS_T dns = SocketCommon_get_dns_resolver();
    CHECK_PTR_NOT_NULL(dns);
    CHECK_PTR(SocketCommon_get_dns_resolver(), dns);
    SocketCommon_set_dns_timeout(100);
    SocketCommon_shutdown_globals();
    SocketCommon_shutdown_globals();
    CHECK_PTR_NOT_NULL(SocketCommon_get_dns_resolver());
    SocketCommon_shutdown_globals();
}

static void hints_null(void *arg) { SocketCommon_setup_hints(arg, 0, 0); }

TEST(violated_preconditions_abort) { CHECK_ABORTS(hints_null, NULL, "SocketCommon_setup_hints", "hints"); }

TEST_MAIN
