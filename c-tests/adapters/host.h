/*
 * host.h - what the tests of all adapters need of the other library's loop. Each program defines these, then includes
 * tests.h; the adapter is included after this file, so that its rounds are counted.
 *
 * HOST is the type of the loop; a new one is not attached. Memory of timers and watchers comes from alloc().
 */
#ifndef NETCONN_TESTS_ADAPTERS_HOST_H
#define NETCONN_TESTS_ADAPTERS_HOST_H

#include "../harness.h"
#include "../support/certs.h"
#include "../support/client.h"
#include "../support/peers.h"
#include "../support/transports.h"
#include "dns_cares.h"
#include "evloop.h"
#include "netconn.h"

/* How many rounds the adapters have run. */
static int rounds;
static inline int counted_run_once(struct ev_loop *loop, int timeout_ms) {
    rounds++;
    return evloop_run_once(loop, timeout_ms);
}
#define evloop_run_once counted_run_once

#endif
