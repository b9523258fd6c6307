// The port that PJSUA adds to its conference bridge instead of a stream that the engine uses.
#pragma once

#include <pjmedia.h>

namespace offhook {

// A port that ignores its input and gives no output, in the bridge's own format, so that the bridge does not resample
// or buffer for it. It deletes itself when the bridge and PJSUA have released it (the bridge does so later, on its own
// clock).
pjmedia_port* make_tap_port(unsigned rate_hz);

}  // namespace offhook
