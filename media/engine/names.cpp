#include "names.hpp"

#include <pjlib-util.h>
#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
extern "C" {
#include <pjsua-lib/pjsua_internal.h>
}
#include <cctype>
#include <set>
#include <stdexcept>

namespace offhook {
namespace {

constexpr unsigned kStrangersAtOnce = 64;
constexpr unsigned kOwnNames = 1024;
constexpr unsigned kAskAgainAfter_ms = 1000;
constexpr unsigned kTries = 3;
constexpr unsigned kBadServerRests_s = 5;

// A SIP resolver of PJSIP, and the DNS resolver that it uses.
struct Resolver {
    pjsip_resolver_t* sip = nullptr;
    pj_dns_resolver* dns = nullptr;
};

struct Names {
    Resolver own;
    Resolver others;
    std::set<std::string> own_names;
    unsigned others_waiting = 0;
};

Names names;  // global, because PJSIP's callback has no user data

struct Waiting {
    void* token;
    pjsip_resolver_callback* callback;
};

std::string lower_case(std::string name) {
    for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return name;
}

bool is_number(const pj_str_t& host) {
    pj_in_addr number;
    return host.slen > 0 && pj_inet_pton(pj_AF_INET(), &host, &number) == PJ_SUCCESS;
}

void on_resolved(pj_status_t status, void* token, const pjsip_server_addresses* found) {
    --names.others_waiting;
    const Waiting waiting = *static_cast<Waiting*>(token);
    waiting.callback(status, waiting.token, found);
}

void resolve(pjsip_resolver_t*, pj_pool_t* pool, const pjsip_host_info* target, void* token,
             pjsip_resolver_callback* callback) {
    if (names.own.sip == nullptr) return callback(PJ_ERESOLVE, token, nullptr);  // the endpoint is shutting down
    const pj_str_t& host = target->addr.host;
    if (is_number(host)) return pjsip_resolve(names.own.sip, pool, target, token, callback);
    if (names.own.dns == nullptr || host.slen <= 0) return callback(PJ_ERESOLVE, token, nullptr);
    const std::string name = lower_case(std::string(host.ptr, static_cast<std::size_t>(host.slen)));
    if (names.own_names.count(name) != 0) return pjsip_resolve(names.own.sip, pool, target, token, callback);
    if (names.others_waiting >= kStrangersAtOnce) return callback(PJ_ERESOLVE, token, nullptr);
    ++names.others_waiting;
    auto* waiting = static_cast<Waiting*>(pj_pool_alloc(pool, sizeof(Waiting)));
    *waiting = {token, callback};
    pjsip_resolve(names.others.sip, pool, target, waiting, &on_resolved);
}

// A response says in its Via from which address we sent the request (RFC 3581). PJSUA compares it with ours: if it is a
// name, the system would be asked for it. Then it counts as missing. What we write there ourselves is never a name, and
// a response to somebody else is to be discarded (RFC 3261 section 18.1.2).
pj_bool_t on_response(pjsip_rx_data* received) {
    pjsip_via_hdr* via = received->msg_info.via;
    pj_str_t host{};
    pj_uint16_t port = 0;
    const bool numeric = via->recvd_param.slen > 0 &&
                         pj_sockaddr_parse2(pj_AF_INET(), 0, &via->recvd_param, &host, &port, nullptr) == PJ_SUCCESS &&
                         is_number(host);  // some registrars add the port
    if (!numeric) via->recvd_param.slen = 0;
    return is_number(via->sent_by.host) ? PJ_FALSE : PJ_TRUE;
}

pj_status_t make(Resolver& resolver, const std::vector<std::pair<std::string, unsigned>>& servers, bool keeps) {
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    pj_status_t status = pjsip_resolver_create(pjsip_endpt_create_pool(endpoint, "names", 512, 512), &resolver.sip);
    if (status != PJ_SUCCESS || servers.empty()) return status;
    if ((status = pjsip_endpt_create_resolver(endpoint, &resolver.dns)) != PJ_SUCCESS) return status;
    std::vector<pj_str_t> addresses;
    std::vector<pj_uint16_t> ports;
    for (const auto& [address, port] : servers) {
        addresses.push_back({const_cast<char*>(address.data()), static_cast<pj_ssize_t>(address.size())});
        ports.push_back(static_cast<pj_uint16_t>(port));
    }
    status =
        pj_dns_resolver_set_ns(resolver.dns, static_cast<unsigned>(addresses.size()), addresses.data(), ports.data());
    pj_dns_settings settings;
    pj_dns_resolver_get_settings(resolver.dns, &settings);
    settings.qretr_delay = kAskAgainAfter_ms;
    settings.qretr_count = kTries;
    settings.bad_ns_ttl = kBadServerRests_s;
    if (!keeps) settings.cache_max_ttl = 0;
    pj_dns_resolver_set_settings(resolver.dns, &settings);
    pjsip_resolver_set_resolver(resolver.sip, resolver.dns);
    return status;
}

pj_status_t stop() {
    for (Resolver* resolver : {&names.own, &names.others}) {
        if (resolver->sip != nullptr) pjsip_resolver_destroy(resolver->sip);  // with its DNS resolver
        *resolver = {};
    }
    return PJ_SUCCESS;
}

}  // namespace

void trust_name(const std::string& name) {
    const pj_str_t host = {const_cast<char*>(name.data()), static_cast<pj_ssize_t>(name.size())};
    if (host.slen > 0 && !is_number(host) && names.own_names.size() < kOwnNames)
        names.own_names.insert(lower_case(name));
}

void look_names_up(const std::vector<std::pair<std::string, unsigned>>& servers, const std::vector<std::string>& own) {
    static pjsip_module module;
    static pjsip_module responses;
    static char name[] = "names";
    static char responses_name[] = "names in responses";
    static pjsip_ext_resolver asked = {&resolve};
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    module.stop = &stop;
    responses = {};
    responses.name = pj_str(responses_name);
    responses.id = -1;
    responses.priority = PJSIP_MOD_PRIORITY_TSX_LAYER - 1;
    responses.on_rx_response = &on_response;
    names = {};
    for (const std::string& one : own) names.own_names.insert(lower_case(one));
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (endpoint == nullptr || pjsip_endpt_register_module(endpoint, &module) != PJ_SUCCESS ||
        pjsip_endpt_register_module(endpoint, &responses) != PJ_SUCCESS ||
        make(names.own, servers, true) != PJ_SUCCESS || make(names.others, servers, false) != PJ_SUCCESS ||
        pjsip_endpt_set_ext_resolver(endpoint, &asked) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no resolver of names");
    // Else PJSUA asks the system for the name in a Contact that says TCP, while all calls wait. It needs to know
    // only whether there are name servers.
    pjsua_var.ua_cfg.nameserver_count = 1;
}

}  // namespace offhook
