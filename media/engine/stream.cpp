#include "stream.hpp"

#include <stdexcept>
#include <string>

namespace offhook {

StreamFormat format_of(pjmedia_stream* stream) {
    pjmedia_port* port = nullptr;
    pjmedia_stream_info info;
    if (pjmedia_stream_get_port(stream, &port) != PJ_SUCCESS || pjmedia_stream_get_info(stream, &info) != PJ_SUCCESS)
        throw std::invalid_argument("the stream tells no format");
    if (PJMEDIA_PIA_CCNT(&port->info) != 1)
        throw std::invalid_argument("the stream has " + std::to_string(PJMEDIA_PIA_CCNT(&port->info)) +
                                    " channels; a call has one");
    StreamFormat format;
    format.rate_hz = PJMEDIA_PIA_SRATE(&port->info);
    format.frame_samples = PJMEDIA_PIA_SPF(&port->info);
    format.period_ms = format.frame_samples * 1000 / format.rate_hz;
    if (format.period_ms == 0 || format.period_ms > kMaxPeriod_ms ||
        format.period_ms * format.rate_hz != format.frame_samples * 1000)
        throw std::invalid_argument("the stream has " + std::to_string(format.frame_samples) + " samples a frame at " +
                                    std::to_string(format.rate_hz) + " Hz; that is no whole number of ms up to 120");
    const auto& codec = info.param->info;
    format.decoded_samples =
        codec.frm_ptime * format.rate_hz / 1000 / (codec.frm_ptime_denum ? codec.frm_ptime_denum : 1);
    format.opus = pj_stricmp2(&info.fmt.encoding_name, "opus") == 0;
    return format;
}

Address signalled_address(pjmedia_stream* stream) {
    pjmedia_stream_info info;
    if (pjmedia_stream_get_info(stream, &info) != PJ_SUCCESS || info.rem_addr.addr.sa_family != pj_AF_INET())
        throw std::invalid_argument("the stream leads to no IPv4 address");
    return address_of(info.rem_addr);
}

std::uint16_t local_port(const pjmedia_stream_common* stream) {
    pjmedia_transport_info info;
    pjmedia_transport_info_init(&info);
    pj_sockaddr address;
    int length = sizeof address;
    if (pjmedia_transport_get_info(stream->transport, &info) != PJ_SUCCESS ||
        info.sock_info.rtp_sock == PJ_INVALID_SOCKET ||
        pj_sock_getsockname(info.sock_info.rtp_sock, &address, &length) != PJ_SUCCESS)
        return 0;
    return pj_sockaddr_get_port(&address);
}

Address address_of(const pj_sockaddr& address) {
    return {pj_ntohl(address.ipv4.sin_addr.s_addr), pj_sockaddr_get_port(&address)};
}

}  // namespace offhook
