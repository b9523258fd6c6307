#include "screen.hpp"
#include "bucket.hpp"
#include "monotonic.hpp"
#include "trusted.hpp"

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <atomic>
#include <new>
#include <stdexcept>
#include <string>

namespace offhook {
namespace {

constexpr double kRequestsPer_s = 20;
constexpr double kRequestsAtOnce = 60;

std::atomic<std::uint64_t> malformed{0};
std::atomic<std::uint64_t> excessive{0};
int module_id = -1;

bool is(const pj_str_t& word, const char* other) { return pj_stricmp2(&word, other) == 0; }

bool is_supported(const pjsip_hdr* supported, const pj_str_t& extension) {
    const auto* known = reinterpret_cast<const pjsip_generic_array_hdr*>(supported);
    for (unsigned i = 0; known != nullptr && i < known->count; ++i)
        if (pj_stricmp(&known->values[i], &extension) == 0) return true;
    return false;
}

// Refuses a request that requires unknown extensions, and lists these. Returns true if it did.
bool refuse_unknown_extensions(pjsip_endpoint* endpoint, pjsip_rx_data* received) {
    const pjsip_hdr* supported = pjsip_endpt_get_capability(endpoint, PJSIP_H_SUPPORTED, nullptr);
    pjsip_unsupported_hdr* unknown = pjsip_unsupported_hdr_create(received->tp_info.pool);
    void* at = nullptr;
    while (void* found = pjsip_msg_find_hdr(received->msg_info.msg, PJSIP_H_REQUIRE, at)) {
        const auto* require = static_cast<const pjsip_require_hdr*>(found);
        for (unsigned i = 0; i < require->count && unknown->count < PJSIP_GENERIC_ARRAY_MAX_COUNT; ++i)
            if (!is_supported(supported, require->values[i])) unknown->values[unknown->count++] = require->values[i];
        at = require->next;
        if (at == &received->msg_info.msg->hdr) break;
    }
    if (unknown->count == 0) return false;
    pjsip_hdr headers;
    pj_list_init(&headers);
    pj_list_push_back(&headers, unknown);
    pjsip_endpt_respond_stateless(endpoint, received, PJSIP_SC_BAD_EXTENSION, nullptr, &headers, nullptr);
    return true;
}

void refuse_message(pjsip_endpoint* endpoint, pjsip_rx_data* received) {
    pjsip_hdr headers;
    pj_list_init(&headers);
    if (const pjsip_hdr* allow = pjsip_endpt_get_capability(endpoint, PJSIP_H_ALLOW, nullptr))
        pj_list_push_back(&headers, pjsip_hdr_shallow_clone(received->tp_info.pool, allow));
    pjsip_endpt_respond_stateless(endpoint, received, PJSIP_SC_METHOD_NOT_ALLOWED, nullptr, &headers, nullptr);
}

// The Contact that PJSIP uses: the first with a SIP URI.
pjsip_contact_hdr* sip_contact(pjsip_msg* msg) {
    for (pjsip_hdr* hdr = msg->hdr.next; hdr != &msg->hdr; hdr = hdr->next) {
        if (hdr->type != PJSIP_H_CONTACT) continue;
        auto* contact = reinterpret_cast<pjsip_contact_hdr*>(hdr);
        if (contact->uri == nullptr) continue;
        if (PJSIP_URI_SCHEME_IS_SIP(contact->uri) || PJSIP_URI_SCHEME_IS_SIPS(contact->uri)) return contact;
    }
    return nullptr;
}

// We have no IPv6, TLS or WebSocket transport: requests to a Contact with one of these could not be sent.
bool is_reachable(const pjsip_sip_uri* uri) {
    if (PJSIP_URI_SCHEME_IS_SIPS(uri) || pj_strchr(&uri->host, ':') != nullptr) return false;
    return uri->transport_param.slen == 0 || is(uri->transport_param, "udp") || is(uri->transport_param, "tcp");
}

// Replaces a Contact that cannot be reached by the source of the request: the peer used this transport, so it can
// receive there (as RFC 5626 defines for flows). With Record-Route, requests go to the proxy, so the Contact is not
// changed.
void reach_by_source(pjsip_rx_data* received) {
    pjsip_contact_hdr* contact = sip_contact(received->msg_info.msg);
    if (contact == nullptr || received->msg_info.record_route != nullptr) return;
    const auto* uri = static_cast<pjsip_sip_uri*>(pjsip_uri_get_uri(contact->uri));
    if (is_reachable(uri)) return;
    if (pjsip_msg_find_hdr(received->msg_info.msg, PJSIP_H_VIA, received->msg_info.via->next) != nullptr &&
        received->msg_info.to->tag.slen != 0)
        return;
    pj_pool_t* pool = received->tp_info.pool;
    pjsip_sip_uri* source = pjsip_sip_uri_create(pool, PJ_FALSE);
    source->user = uri->user;
    pj_strdup2(pool, &source->host, received->pkt_info.src_name);
    source->port = received->pkt_info.src_port;
    if ((received->tp_info.transport->flag & PJSIP_TRANSPORT_RELIABLE) != 0)
        pj_strdup2(pool, &source->transport_param, "tcp");
    contact->uri = reinterpret_cast<pjsip_uri*>(source);
}

// Whether header fields declare their body as optional (RFC 3261 section 20.11). The default is that it is required.
bool is_optional(const pjsip_hdr* headers) {
    static const pj_str_t name = pj_str(const_cast<char*>("Content-Disposition"));
    for (const pjsip_hdr* hdr = headers->next; hdr != headers; hdr = hdr->next) {
        if (pj_stricmp(&hdr->name, &name) != 0) continue;
        const pj_str_t& value = reinterpret_cast<const pjsip_generic_string_hdr*>(hdr)->hvalue;
        std::string letters;  // in lower case, without spaces, which are allowed around "="
        for (const char letter : std::string(value.ptr, static_cast<std::size_t>(value.slen)))
            if (!pj_isspace(letter)) letters.push_back(static_cast<char>(pj_tolower(letter)));
        return letters.find(";handling=optional") != std::string::npos;
    }
    return false;
}

bool is_optional(const pjsip_msg* msg) {
    if (is_optional(&msg->hdr)) return true;
    if (!is(msg->body->content_type.type, "multipart")) return false;
    const pjsip_multipart_part* part = pjsip_multipart_get_first_part(msg->body);
    if (part == nullptr) return false;
    for (; part != nullptr; part = pjsip_multipart_get_next_part(msg->body, const_cast<pjsip_multipart_part*>(part)))
        if (!is_optional(&part->hdr)) return false;
    return true;
}

// Carriers add ISUP bodies. PJSIP would take one in an UPDATE for an offer, and answer 415 to an INVITE that has only
// such an optional body, and no offer.
void leave_out_optional_body(pjsip_rx_data* received) {
    pjsip_msg* msg = received->msg_info.msg;
    if (msg->body == nullptr || pjsip_rdata_get_sdp_info(received)->body.ptr != nullptr) return;
    if (is_optional(msg)) msg->body = nullptr;
}

// Whether a stranger's request within a dialog is one too many: each occupies 16 kB for half a minute.
bool is_excessive(const pjsip_rx_data& received) {
    if (is_trusted(received.pkt_info.src_addr.ipv4.sin_addr.s_addr)) return false;
    const auto& info = received.msg_info;
    pjsip_dialog* dialog = pjsip_ua_find_dialog(&info.cid->id, &info.to->tag, &info.from->tag, PJ_FALSE);
    if (dialog == nullptr) return false;  // it is refused without a transaction
    void*& bucket = dialog->mod_data[module_id];
    if (bucket == nullptr)
        bucket = new (pj_pool_alloc(dialog->pool, sizeof(Bucket))) Bucket(kRequestsPer_s, kRequestsAtOnce);
    return !static_cast<Bucket*>(bucket)->take(monotonic_ns());
}

void refuse_excessive(pjsip_endpoint* endpoint, pjsip_rx_data* received) {
    ++excessive;
    pjsip_hdr headers;
    pj_list_init(&headers);
    pj_list_push_back(&headers, pjsip_retry_after_hdr_create(received->tp_info.pool, 1));
    pjsip_endpt_respond_stateless(endpoint, received, PJSIP_SC_SERVICE_UNAVAILABLE, nullptr, &headers, nullptr);
}

pj_bool_t on_request(pjsip_rx_data* received) {
    const pjsip_method& method = received->msg_info.msg->line.req.method;
    const bool in_dialog = received->msg_info.to->tag.slen != 0;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (method.id == PJSIP_ACK_METHOD || method.id == PJSIP_CANCEL_METHOD || method.id == PJSIP_BYE_METHOD)
        return PJ_FALSE;
    if (in_dialog && is_excessive(*received)) {
        refuse_excessive(endpoint, received);
        return PJ_TRUE;
    }
    // PJSUA itself checks an INVITE that begins a call; all other requests outside of dialogs are refused anyway.
    if ((in_dialog || method.id == PJSIP_OPTIONS_METHOD) && refuse_unknown_extensions(endpoint, received))
        return PJ_TRUE;
    if (in_dialog && is(method.name, "MESSAGE")) {
        refuse_message(endpoint, received);
        return PJ_TRUE;
    }
    if (method.id == PJSIP_INVITE_METHOD || is(method.name, "UPDATE")) {
        leave_out_optional_body(received);
        reach_by_source(received);
    }
    return PJ_FALSE;
}

void on_dropped(pjsip_tp_dropped_data* dropped) {
    if (dropped->status != PJ_EIGNORED) ++malformed;  // PJ_EIGNORED is a keep-alive
}

}  // namespace

void screen_requests() {
    static pjsip_module module;
    static char name[] = "screen";
    module = {};
    module.name = pj_str(name);
    module.id = -1;
    module.priority = PJSIP_MOD_PRIORITY_UA_PROXY_LAYER - 1;  // after the transactions, before the dialogs
    module.on_rx_request = &on_request;
    pjsip_endpoint* endpoint = pjsua_get_pjsip_endpt();
    if (endpoint == nullptr || pjsip_endpt_register_module(endpoint, &module) != PJ_SUCCESS)
        throw std::runtime_error("PJSIP takes no module that looks at requests first");
    module_id = module.id;
    pjsip_tpmgr_set_drop_data_cb(pjsip_endpt_get_tpmgr(endpoint), &on_dropped);
}

std::uint64_t malformed_messages() { return malformed; }

std::uint64_t excessive_requests() { return excessive; }

}  // namespace offhook
