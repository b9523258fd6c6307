#include "tap.hpp"

#include <new>

namespace offhook {
namespace {

constexpr unsigned kPeriod_ms = 20;
constexpr pj_uint32_t kSignature = PJMEDIA_SIG_CLASS_APP('O', 'T', 'P');

pj_status_t take(pjmedia_port*, pjmedia_frame*) { return PJ_SUCCESS; }

pj_status_t give(pjmedia_port*, pjmedia_frame* frame) {
    frame->type = PJMEDIA_FRAME_TYPE_NONE;
    return PJ_SUCCESS;
}

pj_status_t release(pjmedia_port* port) {
    delete port;
    return PJ_SUCCESS;
}

}  // namespace

pjmedia_port* make_tap_port(unsigned rate_hz) {
    auto* port = new pjmedia_port{};
    pj_str_t name = pj_str(const_cast<char*>("tap"));
    pjmedia_port_info_init(&port->info, &name, kSignature, rate_hz, 1, 16, rate_hz * kPeriod_ms / 1000);
    port->put_frame = &take;
    port->get_frame = &give;
    port->on_destroy = &release;
    return port;
}

}  // namespace offhook
