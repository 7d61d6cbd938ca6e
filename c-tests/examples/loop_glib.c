/* needs: libglib2.0-dev glib.h pkg-config:glib-2.0 */
#define main loop_glib
#include "../../examples/loop_glib.c"
#undef main
#define EXAMPLE loop_glib
#include "loop.h"
