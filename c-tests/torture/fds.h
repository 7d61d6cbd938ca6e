/* fds.h - descriptors that are open a moment longer than what they were for. */
#ifndef TORTURE_FDS_H
#define TORTURE_FDS_H

#include "../harness.h"

#include <unistd.h>

/*
 * The peers' threads close their ends, and the resolver's come back from their files, a moment later; and a peer may accept
 * later still what its client has left long ago. What leaks never goes.
 */
static inline void wait_for_fds(int before) {
    for (double until = now() + slow(10); now() < until; usleep(200))
        if (fd_count() <= before) return;
    CHECK_NO_NEW_FDS(before);
}

#endif
