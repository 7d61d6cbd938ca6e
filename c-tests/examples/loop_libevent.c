/* needs: libevent-dev event2/event.h -levent_core */
#define main loop_libevent
#include "../../examples/loop_libevent.c"
#undef main
#define EXAMPLE loop_libevent
#include "loop.h"
