/* A program that leaks on purpose: a memory checker that lets it pass is not working. Run by run.sh, which wants it to fail. */
#include "../harness.h"
#include <stdlib.h>

TEST(leak) {
    /* Forgotten in another frame's volatile variable, so that neither optimiser nor a stale register hides it. */
    void *volatile lost = malloc(100);
    CHECK(lost != NULL);
    lost = NULL;
    CHECK(lost == NULL);
}

TEST_MAIN
