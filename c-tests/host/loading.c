/* A host that loads the library with dlopen() and lets it go again; programs/loader.c is that host. */
#include "../harness.h"
#include "../support/runs.h"

#include <stdio.h>

static void scenario(const char *program, const char *name) {
    char times[16];
    snprintf(times, sizeof times, "%d", small(50, 5));
    CHECK_STATUS(run_built(program, name, times, NULL), 0);
}

TEST(loading_makes_no_fd_no_thread_and_no_openssl) { scenario("host/bin/loader", "idle"); }
TEST(loaded_and_let_go_again_and_again) { scenario("host/bin/loader", "cycles"); }
TEST(loaded_and_let_go_with_the_cleanup) { scenario("host/bin/loader", "cycles-with-cleanup"); }
TEST(let_go_with_lookups_stuck) { scenario("host/bin/loader", "stuck"); }
TEST(let_go_with_lookups_stuck_after_the_cleanup) { scenario("host/bin/loader", "stuck-with-cleanup"); }
TEST(a_child_after_it_was_let_go) { scenario("host/bin/loader", "fork"); }
TEST(loaded_by_several_threads) { scenario("host/bin/loader", "threads"); }
TEST(loaded_beside_the_static_library) { scenario("host/bin/loader-static", "both"); }

TEST_MAIN
