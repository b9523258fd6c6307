#include "trusted.hpp"

#include <pjlib.h>
#include <algorithm>
#include <stdexcept>

namespace offhook {
namespace {

struct Network {
    std::uint32_t address;  // host byte order, as the mask
    std::uint32_t mask;
};
std::vector<Network> trusted;

Network network(const std::string& address, unsigned prefix) {
    const pj_str_t text = {const_cast<char*>(address.data()), static_cast<pj_ssize_t>(address.size())};
    pj_in_addr read{};
    if (prefix > 32 || pj_inet_pton(pj_AF_INET(), &text, &read) != PJ_SUCCESS)
        throw std::invalid_argument("not an IPv4 network: " + address + "/" + std::to_string(prefix));
    const std::uint32_t mask = prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix);
    return {pj_ntohl(read.s_addr) & mask, mask};
}

}  // namespace

void trust_hosts(const std::vector<std::pair<std::string, unsigned>>& networks) {
    std::vector<Network> read;
    for (const auto& [address, prefix] : networks) read.push_back(network(address, prefix));
    trusted = std::move(read);
}

bool is_trusted(std::uint32_t address) {
    const std::uint32_t host = pj_ntohl(address);
    return std::any_of(trusted.begin(), trusted.end(),
                       [host](const Network& one) { return (host & one.mask) == one.address; });
}

bool any_trusted() { return !trusted.empty(); }

}  // namespace offhook
