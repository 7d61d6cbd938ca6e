/* programs/exceptions.c, compiled in several ways (compiled.build): what it raises and the library raises is caught in each. */
#include "../harness.h"
#include "../support/runs.h"

static void runs(const char *name) {
    CHECK_STATUS(run_built(name, NULL), 0);
}

TEST(position_independent) { runs("socket_core/bin/exceptions-pie"); }
TEST(at_a_fixed_place) { runs("socket_core/bin/exceptions-no-pie"); }
TEST(at_a_fixed_place_and_optimised) { runs("socket_core/bin/exceptions-optimised"); }
TEST(without_tls_headers) { runs("socket_core/bin/exceptions-no-tls"); }
TEST(with_the_static_library) { runs("socket_core/bin/exceptions-static"); }
TEST(in_cxx_of_1998) { runs("socket_core/bin/exceptions-cxx-old"); }
TEST(in_cxx) { runs("socket_core/bin/exceptions-cxx"); }
TEST(in_cxx_at_a_fixed_place_and_optimised) { runs("socket_core/bin/exceptions-cxx-no-pie"); }

TEST_MAIN
