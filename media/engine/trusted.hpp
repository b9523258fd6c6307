// The hosts of trunks, for which places are kept.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace offhook {

// From now on these are the hosts of trunks: IPv4 networks, as an address and the length of its prefix. SIP thread, as
// all functions here. Throws std::invalid_argument if an address cannot be read.
void trust_hosts(const std::vector<std::pair<std::string, unsigned>>& networks);

// Whether an IPv4 address (network byte order) is one of a trunk's hosts.
bool is_trusted(std::uint32_t address);

// Whether there are trunks at all.
bool any_trusted();

}  // namespace offhook
