#include "door.hpp"
#include "bucket.hpp"
#include "dialogs.hpp"
#include "monotonic.hpp"
#include "trusted.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace offhook {
namespace {

constexpr std::size_t kTold = 8;
constexpr std::size_t kLongest = 128;

constexpr double kStrangersPer_s = 200;

struct Door {
    Bucket strangers{kStrangersPer_s, kStrangersPer_s};
    bool closed = false;
    unsigned retry_after_s = 0;
    unsigned kept_for_trunks = 0;
    TurnedAway full{"full"}, strangers_places{"strangers"}, strangers_rate{"rate"};
};
Door door;

void remember(TurnedAway& turned_away, const pjsip_rx_data& received) {
    ++turned_away.count;
    if (turned_away.first.size() == kTold) return;
    const pj_str_t& id = received.msg_info.cid->id;
    const std::string_view call_id(id.ptr, static_cast<std::size_t>(id.slen));
    turned_away.first.push_back({std::string(call_id.substr(0, kLongest)),
                                 received.pkt_info.src_name + (":" + std::to_string(received.pkt_info.src_port))});
}

// Why an INVITE finds no place; null if it has one. More calls of strangers than 200 cannot be set up in a second
// anyway, and would make all others wait. Ended calls whose peers do not answer our BYE occupy places, too. Strangers
// must not occupy all of them.
TurnedAway* refusal(const pjsip_rx_data& received) {
    if (door.closed) return &door.full;
    const bool is_stranger = !is_trusted(received.pkt_info.src_addr.ipv4.sin_addr.s_addr);
    if (is_stranger && !door.strangers.take(monotonic_ns())) return &door.strangers_rate;
    const unsigned places = pjsua_call_get_max_count();
    if (pjsua_call_get_count() >= places) return &door.full;
    if (is_stranger && any_trusted() && strangers_calls() + door.kept_for_trunks >= places)
        return &door.strangers_places;
    return nullptr;
}

pj_bool_t on_request(pjsip_rx_data* received) {
    if (received->msg_info.msg->line.req.method.id != PJSIP_INVITE_METHOD) return PJ_FALSE;
    TurnedAway* turned_away = refusal(*received);
    if (turned_away == nullptr) return PJ_FALSE;
    pjsip_hdr headers;
    pj_list_init(&headers);
    pj_list_push_back(&headers,
                      pjsip_retry_after_hdr_create(received->tp_info.pool, static_cast<int>(door.retry_after_s)));
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), received, PJSIP_SC_SERVICE_UNAVAILABLE, nullptr, &headers,
                                  nullptr);
    remember(*turned_away, *received);
    return PJ_TRUE;
}

}  // namespace

void install_door(unsigned retry_after_s, unsigned kept_for_trunks) {
    static pjsip_module module;
    static char name[] = "door";
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_APPLICATION - 1;  // after transactions and dialogs, before PJSUA
    module.on_rx_request = &on_request;
    door = {};
    door.retry_after_s = retry_after_s;
    door.kept_for_trunks = kept_for_trunks;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (endpoint == nullptr || pjsip_endpt_register_module(endpoint, &module) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no module that refuses calls");
}

void close_door(bool closed) { door.closed = closed; }

std::vector<TurnedAway> take_turned_away() {
    std::vector<TurnedAway> taken;
    for (TurnedAway* one : {&door.full, &door.strangers_places, &door.strangers_rate})
        if (one->count > 0) taken.push_back(std::exchange(*one, TurnedAway{one->why}));
    return taken;
}

}  // namespace offhook
