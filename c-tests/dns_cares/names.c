/* names.c - names through the system's resolver, answered by dnsmasq. */
#include "lookup.h"
#include "name_server.h"

TEST(families_take_turns) {
    start_dnsmasq((const char *const[]){"--host-record=many.test,192.0.2.1,2001:db8::1", "--host-record=many.test,192.0.2.2,2001:db8::2",
                                        "--host-record=four.test,192.0.2.4", "--host-record=six.test,2001:db8::6", NULL});
    struct ev_loop *loop = new_loop();
    struct lookup *many = lookup_wait(lookup_start(loop, "many.test", "80"));
    CHECK_INT(many->status, 0);
    CHECK_INT(many->count, 4);
    /* Which family leads is the system's choice (RFC 6724); that they alternate is ours (RFC 8305). */
    bool six = many->text[0] == '[';
    char *next = many->text;
    for (int i = 0; i < 4; i++, six = !six) {
        CHECK_INT(*next == '[', six);
        next = strchr(next, ' ') ? strchr(next, ' ') + 1 : next;
    }
    CHECK_LOOKUP(loop, "four.test", "80", "192.0.2.4:80");
    CHECK_LOOKUP(loop, "six.test", "80", "[2001:db8::6]:80");
    CHECK_STR(looked_up(loop, "many.test", "80", AF_INET)[0] == '[' ? "six" : "four", "four");
}

TEST(names_that_do_not_exist) {
    start_dnsmasq((const char *const[]){"--host-record=four.test,192.0.2.4", NULL});
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "no-such-name.test", "80", "EAI_NONAME");
    CHECK_LOOKUP(loop, "no-such-name.test", NULL, "EAI_NONAME");
    CHECK_LOOKUP(loop, "four.test", "no-such-service", "EAI_SERVICE");
    /* It exists, but not so. */
    const char *status = looked_up(loop, "four.test", "80", AF_INET6);
    if (strcmp(status, "EAI_NODATA") != 0 && strcmp(status, "EAI_NONAME") != 0) CHECK_STR(status, "EAI_ADDRFAMILY");
}

TEST(case_and_a_trailing_dot_do_not_matter) {
    start_dnsmasq((const char *const[]){"--host-record=four.test,192.0.2.4", NULL});
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "FOUR.Test", "80", "192.0.2.4:80");
    CHECK_LOOKUP(loop, "four.test.", "80", "192.0.2.4:80");
}

TEST(names_that_are_not_ascii) {
    start_dnsmasq((const char *const[]){"--host-record=xn--bcher-kva.test,192.0.2.5", "--host-record=xn--fa-hia.test,192.0.2.6", NULL});
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "b\xc3\xbc" "cher.test", "80", "192.0.2.5:80");
    CHECK_LOOKUP(loop, "B\xc3\x9c" "CHER.TEST", "80", "192.0.2.5:80");
    CHECK_LOOKUP(loop, "xn--bcher-kva.test", "80", "192.0.2.5:80");
    /* Not transitional: the sharp s is a letter of its own. */
    CHECK_LOOKUP(loop, "fa\xc3\x9f.test", "80", "192.0.2.6:80");
}

TEST(names_of_the_hosts_file) {
    enter_world();
    set_hosts("127.0.0.1 localhost one\n::1 localhost\n192.0.2.9 nine.test\n");
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "one", "80", "127.0.0.1:80");
    CHECK_LOOKUP(loop, "nine.test", "80", "192.0.2.9:80");
    CHECK_LOOKUP(loop, "localhost", "80", "[::1]:80 127.0.0.1:80");
    CHECK_LOOKUP(loop, "eight.test", "80", "EAI_NONAME");
}

TEST(a_server_that_fails_is_no_missing_name) {
    struct name_server *ns = name_server_start();
    struct ev_loop *loop = new_loop();
    CHECK_LOOKUP(loop, "broken.test", "80", "EAI_AGAIN");
    /* And is not remembered. */
    int asked = name_server_count(ns, "broken.test");
    CHECK_LOOKUP(loop, "broken.test", "80", "EAI_AGAIN");
    CHECK_CMP(name_server_count(ns, "broken.test"), >, asked);
}

TEST_MAIN
