// Looks up the host names of SIP peers.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace offhook {

// From now on the SIP thread never blocks for a name server: names are looked up at `servers` (IPv4 address and port),
// with a deadline, and the answers come through the ioqueue. The names in `own`, those of trunks, have a separate
// resolver, which caches answers. Other names may be chosen by strangers: only a limited number of them is looked up at
// the same time, and their answers are not cached. Without servers, and beyond this limit, a look-up fails at once.
// SIP thread, after pjsua_init(). Ends with the endpoint. Throws std::runtime_error when PJSIP refuses.
void look_names_up(const std::vector<std::pair<std::string, unsigned>>& servers, const std::vector<std::string>& own);

// Adds a name to `own`: the Contact or Record-Route of a trunk's call names it. The first thousand are kept. SIP
// thread.
void trust_name(const std::string& name);

}  // namespace offhook
