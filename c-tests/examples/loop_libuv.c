/* needs: libuv1-dev uv.h -luv */
#define main loop_libuv
#include "../../examples/loop_libuv.c"
#undef main
#define EXAMPLE loop_libuv
#include "loop.h"
