/* needs: libev-dev ev.h -lev */
#define main loop_libev
#include "../../examples/loop_libev.c"
#undef main
#define EXAMPLE loop_libev
#include "loop.h"
