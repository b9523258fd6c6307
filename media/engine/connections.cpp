#include "connections.hpp"
#include "monotonic.hpp"
#include "trusted.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <unordered_map>

namespace offhook {
namespace {

constexpr std::int64_t kSilent_ns = 30'000'000'000;
constexpr std::int64_t kIdle_ns = 600'000'000'000;
constexpr long kLookEvery_s = 5;

// So many connections beyond the limit are for sources that have no more than a few.
constexpr unsigned kForOthers = 512;
constexpr unsigned kFew = 4;
// PJSIP has places for 4,096 transports, among them those that we open.
constexpr std::size_t kInTotal = 3072;

struct Connection {
    std::uint32_t source;
    std::int64_t accepted_ns;
    bool closing;
};

struct Connections {
    unsigned all = 0;
    unsigned per_source = 0;
    std::unordered_map<pjsip_transport*, Connection> accepted;
    std::unordered_map<std::uint32_t, unsigned> by_source;
    pjsip_tp_state_callback next = nullptr;
    pj_timer_entry look{};
};

Connections connections;  // global, because PJSIP's callback has no user data

std::int64_t idle_ns(const pjsip_transport& transport, const Connection& connection) {
    const std::int64_t since_accept_ns = monotonic_ns() - connection.accepted_ns;
    if (transport.last_recv_ts.u64 == 0) return since_accept_ns;
    pj_timestamp now;
    pj_get_timestamp(&now);
    return std::min(since_accept_ns,
                    1'000'000 * static_cast<std::int64_t>(pj_elapsed_msec64(&transport.last_recv_ts, &now)));
}

bool is_used(const pjsip_transport& transport) { return pj_atomic_get(transport.ref_cnt) != 0; }

void close(pjsip_transport* transport, Connection& connection) {
    connection.closing = true;
    pjsip_transport_shutdown(transport);  // PJSIP destroys it later, by a timer
}

bool close_longest_idle() {
    std::pair<pjsip_transport* const, Connection>* longest = nullptr;
    std::int64_t longest_ns = -1;
    for (auto& one : connections.accepted) {
        if (is_trusted(one.second.source) || one.second.closing || is_used(*one.first)) continue;
        const std::int64_t ns = idle_ns(*one.first, one.second);
        if (ns > longest_ns) longest = &one, longest_ns = ns;
    }
    if (longest == nullptr) return false;
    close(longest->first, longest->second);
    return true;
}

// Whether a stranger's new connection may stay. One that carries a request that nobody acknowledges cannot be closed
// for 32 s, even if the peer has closed it: with these, a few sources must not keep all others out.
bool may_stay(std::uint32_t source) {
    if (is_trusted(source)) return connections.accepted.size() < kInTotal;
    const unsigned of_source = connections.by_source[source];
    if (of_source > connections.per_source) return false;
    const auto strangers =
        static_cast<unsigned>(std::count_if(connections.accepted.begin(), connections.accepted.end(),
                                            [](const auto& one) { return !is_trusted(one.second.source); }));
    if (strangers < connections.all || close_longest_idle()) return true;
    return of_source <= kFew && strangers < connections.all + kForOthers;
}

void on_accepted(pjsip_transport* transport) {
    const std::uint32_t source = transport->key.rem_addr.ipv4.sin_addr.s_addr;
    ++connections.by_source[source];
    const bool stays = may_stay(source);  // before it is one of those that may be closed
    Connection& connection = connections.accepted[transport] = {source, monotonic_ns(), false};
    if (!stays) close(transport, connection);
}

void on_destroyed(pjsip_transport* transport) {
    const auto found = connections.accepted.find(transport);
    if (found == connections.accepted.end()) return;
    const auto count = connections.by_source.find(found->second.source);
    if (--count->second == 0) connections.by_source.erase(count);
    connections.accepted.erase(found);
}

void on_state(pjsip_transport* transport, pjsip_transport_state state, const pjsip_transport_state_info* info) {
    if (transport->dir == PJSIP_TP_DIR_INCOMING && state == PJSIP_TP_STATE_CONNECTED) return on_accepted(transport);
    if (state == PJSIP_TP_STATE_DESTROY) on_destroyed(transport);
    if (connections.next != nullptr) connections.next(transport, state, info);
}

void look_again() {
    const pj_time_val delay = {kLookEvery_s, 0};
    pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &connections.look, &delay);
}

void on_look(pj_timer_heap_t*, pj_timer_entry*) {
    for (auto& [transport, connection] : connections.accepted) {
        if (connection.closing || is_used(*transport)) continue;
        const bool spoke = transport->last_recv_ts.u64 != 0;
        if (idle_ns(*transport, connection) > (spoke ? kIdle_ns : kSilent_ns)) close(transport, connection);
    }
    look_again();
}

pj_status_t stop() {
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    pjsip_tpmgr_set_state_cb(pjsip_endpt_get_tpmgr(endpoint), connections.next);
    pjsip_endpt_cancel_timer(endpoint, &connections.look);
    connections = {};
    return PJ_SUCCESS;
}

}  // namespace

void limit_connections(unsigned all, unsigned per_source) {
    static pjsip_module module;
    static char name[] = "connections";
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_APPLICATION;
    module.stop = &stop;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (endpoint == nullptr || pjsip_endpt_register_module(endpoint, &module) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no module that limits connections");
    pjsip_tpmgr* manager = pjsip_endpt_get_tpmgr(endpoint);
    connections = {};
    connections.all = all;
    connections.per_source = per_source;
    connections.next = pjsip_tpmgr_get_state_cb(manager);
    pj_timer_entry_init(&connections.look, 0, nullptr, &on_look);
    pjsip_tpmgr_set_state_cb(manager, &on_state);
    look_again();
}

}  // namespace offhook
