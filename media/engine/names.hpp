// Who looks up the names of SIP peers.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace offhook {

// From now on nothing on the SIP thread waits for a name server: names are asked of `servers` (IPv4 address and port),
// with a deadline, and the answers come by the ioqueue. Those in `own`, of trunks, have a resolver of their own, which
// keeps answers; of all others, which strangers may choose, a bounded number are looked up at once, and no answer is
// kept. Without servers, and beyond that number, a look-up fails at once.
// SIP thread, after pjsua_init(); goes with the endpoint. Throws std::runtime_error when PJSIP refuses.
void look_names_up(const std::vector<std::pair<std::string, unsigned>>& servers, const std::vector<std::string>& own);

}  // namespace offhook
