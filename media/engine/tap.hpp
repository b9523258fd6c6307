// The port that PJSUA puts on its conference bridge in place of a stream that the engine drives.
#pragma once

#include <pjmedia.h>

namespace offhook {

// A port that takes nothing and gives nothing, in the bridge's own format, so that the bridge neither resamples
// nor buffers for it. It deletes itself when the bridge and PJSUA have let go of it (the bridge does so later,
// on its own clock).
pjmedia_port* make_tap_port(unsigned rate_hz);

}  // namespace offhook
