/* literals.c - addresses, loopback and services: answers that need no name server. */
#include "lookup.h"

/* A place without any name server or route: an answer that comes here asked nobody. */
#include "../support/world.h"

TEST(addresses_answer_without_a_lookup) {
    enter_world_without_routes();
    int threads = thread_count();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "127.0.0.1", "80", "127.0.0.1:80");
    CHECK_LOOKUP(loop, "192.0.2.255", NULL, "192.0.2.255:0");
    CHECK_LOOKUP(loop, "::1", "443", "[::1]:443");
    CHECK_LOOKUP(loop, "2001:DB8:0:0::7", "65535", "[2001:db8::7]:65535");
    CHECK_LOOKUP(loop, "::ffff:192.0.2.1", "1", "[::ffff:192.0.2.1]:1");
    CHECK_LOOKUP(loop, "[::1]", "443", "[::1]:443");
    CHECK_LOOKUP(loop, "[127.0.0.1]", "0080", "127.0.0.1:80");
    CHECK_INT(thread_count(), threads);
}

TEST(a_scope_is_an_interface_by_name_or_number) {
    struct ev_loop *loop = new_loop();
    char expected[64];
    snprintf(expected, sizeof expected, "[fe80::1%%%u]:80", if_nametoindex("lo"));
    CHECK_LOOKUP(loop, "fe80::1%lo", "80", expected);
    CHECK_LOOKUP(loop, "[fe80::1%lo]", "80", expected);
    CHECK_LOOKUP(loop, "fe80::1%7", "80", "[fe80::1%7]:80");
    CHECK_LOOKUP(loop, "fe80::1%", "80", "EAI_NONAME");
    CHECK_LOOKUP(loop, "fe80::1%no-such-if", "80", "EAI_NONAME");
    CHECK_LOOKUP(loop, "fe80::1%4294967296", "80", "EAI_NONAME");
    CHECK_LOOKUP(loop, "127.0.0.1%lo", "80", "EAI_NONAME");
}

TEST(only_the_forms_of_inet_pton_are_addresses) {
    enter_world_without_routes();
    struct ev_loop *loop = new_loop();
    static const char *const others[] = {
        "127.1",  "0177.0.0.1", "0x7f.0.0.1", "2130706433", "127.0.0.1.", "[::1", "::1]", "[]", "::1::", "::1/64", "",
        " ::1",   "::1 ",       ".",          "a..b",       "a b",        "a/b",  "a:80", "%lo",
        "a\nb",   "\xff\xfe",   "\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.1" /* full-width "127.1" */,
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) CHECK_LOOKUP(loop, others[i], "80", "EAI_NONAME");
    static char long_name[4096];
    memset(long_name, 'a', sizeof long_name - 1);
    CHECK_LOOKUP(loop, long_name, "80", "EAI_NONAME");
    for (size_t i = 63; i < sizeof long_name; i += 64) long_name[i] = '.';
    long_name[300] = 0;
    CHECK_LOOKUP(loop, long_name, "80", "EAI_NONAME");
}

TEST(an_address_of_another_family_is_told) {
    struct ev_loop *loop = new_loop();
    CHECK_STR(looked_up(loop, "127.0.0.1", "80", AF_INET), "127.0.0.1:80");
    CHECK_STR(looked_up(loop, "::1", "80", AF_INET6), "[::1]:80");
    CHECK_STR(looked_up(loop, "127.0.0.1", "80", AF_INET6), "EAI_ADDRFAMILY");
    CHECK_STR(looked_up(loop, "::1", "80", AF_INET), "EAI_ADDRFAMILY");
    CHECK_STR(looked_up(loop, "127.0.0.1", "80", 12345), "EAI_FAMILY");
}

TEST(no_host_is_loopback) {
    enter_world();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, NULL, "80", "[::1]:80 127.0.0.1:80");
    CHECK_LOOKUP(loop, NULL, NULL, "[::1]:0 127.0.0.1:0");
    CHECK_STR(looked_up(loop, NULL, "80", AF_INET), "127.0.0.1:80");
}

TEST(services_are_numbers_in_range) {
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "127.0.0.1", "0", "127.0.0.1:0");
    CHECK_LOOKUP(loop, "127.0.0.1", "65535", "127.0.0.1:65535");
    static const char *const wrong[] = {"65536", "70000", "4294967376", "18446744073709551696", "-1", "+80", " 80", "80 ", "", "\xff"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_LOOKUP(loop, "127.0.0.1", wrong[i], "EAI_SERVICE");
        /* The same with a name, which is not looked up for it. */
        CHECK_LOOKUP(loop, "name.invalid", wrong[i], "EAI_SERVICE");
    }
}

TEST(services_have_names) {
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "127.0.0.1", "abc", "EAI_SERVICE");
    if (access("/etc/services", R_OK) != 0) SKIP("needs /etc/services (Debian package netbase)");
    CHECK_LOOKUP(loop, "127.0.0.1", "https", "127.0.0.1:443");
    CHECK_LOOKUP(loop, "[::1]", "domain", "[::1]:53");
}

TEST(socket_types_are_as_asked) {
    struct ev_loop *loop = new_loop();
    struct lookup *stream = lookup_wait(lookup_start(loop, "127.0.0.1", "80"));
    CHECK_INT(stream->socktype, SOCK_STREAM);
    CHECK_INT(stream->protocol, IPPROTO_TCP);
    struct lookup *datagram = lookup_new(loop);
    lookup_begin(datagram, "127.0.0.1", "80", AF_UNSPEC, SOCK_DGRAM);
    lookup_wait(datagram);
    CHECK_INT(datagram->socktype, SOCK_DGRAM);
    CHECK_INT(datagram->protocol, IPPROTO_UDP);
    /* Any type: an entry for each. */
    struct lookup *any = lookup_new(loop);
    lookup_begin(any, "::1", "80", AF_UNSPEC, 0);
    lookup_wait(any);
    CHECK_STR(any->text, "[::1]:80 [::1]:80 [::1]:80");
    CHECK_INT(any->socktype, SOCK_STREAM);
    struct lookup *wrong = lookup_new(loop);
    lookup_begin(wrong, "::1", "80", AF_UNSPEC, 12345);
    lookup_wait(wrong);
    CHECK_STR(status_name(wrong->status), "EAI_SOCKTYPE");
}

TEST(an_answer_keeps_the_loop_running_until_it_came) {
    struct ev_loop *loop = new_loop();
    struct lookup *lookup = lookup_start(loop, "127.0.0.1", "80");
    evloop_run(loop);
    CHECK_INT(lookup->answers, 1);
    evloop_run(loop); /* returns: nothing is active any more */
    CHECK_INT(lookup->answers, 1);
}

TEST(answers_to_the_default_loop) {
    CHECK_INT(dns_init(NULL), 0);
    struct lookup *lookup = lookup_new(NULL);
    lookup_begin(lookup, "127.0.0.1", "80", AF_UNSPEC, SOCK_STREAM);
    evloop_run(evloop_get_default());
    CHECK_STR(lookup->text, "127.0.0.1:80");

    struct lookup *old_style = lookup_new(NULL);
    calling++;
    dns_resolve_async(NULL, "::1", "443", AF_UNSPEC, SOCK_STREAM, 0, lookup_done, old_style);
    calling--;
    evloop_run(evloop_get_default());
    CHECK_STR(old_style->text, "[::1]:443");
}


TEST(what_cannot_be_asked) {
    struct ev_loop *loop = new_loop();
    CHECK_NULL_ERRNO(dns_resolve_start(loop, "127.0.0.1", "80", 0, 0, 0, NULL, NULL), EINVAL);
    errno = 77;
    dns_resolve_async(loop, "127.0.0.1", "80", 0, 0, 0, NULL, NULL);
    dns_cancel(NULL);
    dns_set_cache_ttl(1.0);
    CHECK_PTR_NOT_NULL(dns_resolve_start(loop, "::1", "80", 0, SOCK_STREAM, 0, lookup_done, lookup_new(loop)));
    CHECK_INT(errno, 77);
    evloop_run(loop);
}

TEST(statuses_have_texts) {
    CHECK_STR(dns_strerror(EAI_NONAME), gai_strerror(EAI_NONAME));
    CHECK_STR(dns_strerror(EAI_SERVICE), gai_strerror(EAI_SERVICE));
    CHECK_STR(dns_strerror(0), "Success");
    CHECK_PTR_NOT_NULL(dns_strerror(-12345));
    CHECK_PTR_NOT_NULL(dns_strerror(12345));
}

TEST_MAIN
