#include "rig.hpp"

#include <pjlib.h>
#include <pjmedia-codec.h>
#include <pjmedia/alaw_ulaw.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <stdexcept>
#include <thread>

namespace offhook::test {
namespace {

constexpr std::size_t kRtpHeader = 12;

void must(pj_status_t status, const char* what) {
    if (status == PJ_SUCCESS) return;
    std::array<char, PJ_ERR_MSG_SIZE> reason{};
    pj_strerror(status, reason.data(), reason.size());
    throw std::runtime_error(std::string(what) + ": " + reason.data());
}

// pjlib, one media endpoint with one receiving thread, and the codecs. Created once for the process and never
// destroyed, because threads of other tests may still use them.
class Pjmedia : public ::testing::Environment {
public:
    void SetUp() override {
        pj_log_set_level(1);
        must(pj_init(), "pj_init");
        pj_caching_pool_init(&pools, &pj_pool_factory_default_policy, 0);
        must(pjmedia_endpt_create(&pools.factory, nullptr, 1, &endpoint), "endpoint");
        pool = pj_pool_create(&pools.factory, "tests", 4000, 4000, nullptr);
        pjmedia_event_mgr* events = nullptr;
        must(pjmedia_event_mgr_create(pool, PJMEDIA_EVENT_MGR_NO_THREAD, &events), "event manager");
        must(pjmedia_codec_g711_init(endpoint), "G.711");
        must(pjmedia_codec_g722_init(endpoint), "G.722");
        must(pjmedia_codec_opus_init(endpoint), "Opus");
    }

    pj_caching_pool pools{};
    pj_pool_t* pool = nullptr;
    pjmedia_endpt* endpoint = nullptr;
};

auto* const pjmedia = static_cast<Pjmedia*>(::testing::AddGlobalTestEnvironment(new Pjmedia));

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    address.sin_port = ::htons(port);
    return address;
}

int bound_socket(std::uint16_t& port, const char* host = "127.0.0.1") {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    address.sin_addr.s_addr = ::inet_addr(host);
    socklen_t size = sizeof address;
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("no UDP socket on loopback");
    port = ::ntohs(address.sin_port);
    return fd;
}

void put16(Bytes& out, std::uint32_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}

void put32(Bytes& out, std::uint32_t value) {
    put16(out, value >> 16);
    put16(out, value & 0xFFFF);
}

std::uint32_t get(const std::uint8_t* in, unsigned bytes) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value = value << 8 | in[i];
    return value;
}

}  // namespace

void sleep_ms(unsigned ms) { std::this_thread::sleep_for(milliseconds(ms)); }

// ---- the peer ------------------------------------------------------------------------------------------

Peer::Peer(const char* host) : fd_(bound_socket(port_, host)), rtcp_fd_(bound_socket(rtcp_port_, host)) {}

Peer::~Peer() {
    ::close(fd_);
    ::close(rtcp_fd_);
}

void Peer::send(const Packet& packet) const {
    Bytes wire{0x80, static_cast<std::uint8_t>(packet.payload_type | (packet.marker ? 0x80 : 0))};
    put16(wire, packet.sequence);
    put32(wire, packet.timestamp);
    put32(wire, packet.ssrc);
    wire.insert(wire.end(), packet.payload.begin(), packet.payload.end());
    const sockaddr_in to = loopback(to_port_);
    (void)::sendto(fd_, wire.data(), wire.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

void Peer::send_rtcp(const Bytes& wire) const {
    const sockaddr_in to = loopback(to_rtcp_port_);
    (void)::sendto(rtcp_fd_, wire.data(), wire.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

std::optional<Packet> Peer::receive(unsigned timeout_ms) const {
    pollfd readable{fd_, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(timeout_ms)) != 1) return std::nullopt;
    std::array<std::uint8_t, 2048> wire{};
    const auto length = ::recv(fd_, wire.data(), wire.size(), 0);
    if (length < static_cast<ssize_t>(kRtpHeader)) return std::nullopt;
    return Packet{wire[1] & 0x7FU,       static_cast<std::uint16_t>(get(&wire[2], 2)),
                  get(&wire[4], 4),      get(&wire[8], 4),
                  (wire[1] & 0x80) != 0, Bytes(wire.begin() + kRtpHeader, wire.begin() + length)};
}

void Peer::drain() const {
    while (receive(0)) {
    }
}

// ---- what it says --------------------------------------------------------------------------------------

Bytes label_payload(std::uint8_t label, unsigned ms) { return Bytes(ms * 8, static_cast<std::uint8_t>(0xFF - label)); }

std::int16_t label_pcm(std::uint8_t label) {
    return static_cast<std::int16_t>(pjmedia_ulaw2linear(static_cast<std::uint8_t>(0xFF - label)));
}

int label_of(const Pcm& frame) {
    if (frame.empty() || std::adjacent_find(frame.begin(), frame.end(), std::not_equal_to<>()) != frame.end())
        return -1;
    for (unsigned label = 0; label < 128; ++label)
        if (label_pcm(static_cast<std::uint8_t>(label)) == frame.front()) return static_cast<int>(label);
    return -1;
}

Packet Voice::next(Bytes payload, unsigned ms) {
    Packet packet = head;
    packet.payload_type = format_.payload_type;
    packet.payload = std::move(payload);
    ++head.sequence;
    head.timestamp += ms * format_.rtp_clock_per_ms;
    return packet;
}

Packet Voice::prepare(std::uint8_t label, unsigned ms) { return next(label_payload(label, ms), ms); }
void Voice::say(std::uint8_t label, unsigned ms) { peer_.send(prepare(label, ms)); }
void Voice::send(Bytes payload, unsigned ms) { peer_.send(next(std::move(payload), ms)); }
void Voice::lose(unsigned ms) { (void)next({}, ms); }

void Voice::rest(unsigned ms) {
    (void)next({}, ms);
    --head.sequence;
}

// ---- the stream ----------------------------------------------------------------------------------------

Call::Call(const Format& format, pjmedia_dir dir) {
    pjmedia_sock_info sockets{};
    sockets.rtp_sock = bound_socket(rtp_port_);
    sockets.rtcp_sock = bound_socket(rtcp_port_);
    pj_str_t host = pj_str(const_cast<char*>("127.0.0.1"));
    pj_sockaddr_in_init(&sockets.rtp_addr_name.ipv4, &host, rtp_port_);
    pj_sockaddr_in_init(&sockets.rtcp_addr_name.ipv4, &host, rtcp_port_);
    must(pjmedia_transport_udp_attach(pjmedia->endpoint, nullptr, &sockets, 0, &transport_), "transport");
    aim(peer);

    auto* codecs = pjmedia_endpt_get_codec_mgr(pjmedia->endpoint);
    pj_str_t id = pj_str(const_cast<char*>(format.codec));
    const pjmedia_codec_info* codec = nullptr;
    unsigned found = 1;
    must(pjmedia_codec_mgr_find_codecs_by_id(codecs, &id, &found, &codec, nullptr), format.codec);
    pjmedia_codec_param param;
    must(pjmedia_codec_mgr_get_default_param(codecs, codec, &param), "codec parameters");
    param.setting.vad = 0;
    param.setting.plc = format.conceals ? 1 : 0;

    pjmedia_stream_info info{};
    info.type = PJMEDIA_TYPE_AUDIO;
    info.proto = PJMEDIA_TP_PROTO_RTP_AVP;
    info.dir = dir;
    pj_sockaddr_in_init(&info.rem_addr.ipv4, &host, peer.port());
    pj_sockaddr_in_init(&info.rem_rtcp.ipv4, &host, peer.rtcp_port());
    info.fmt = *codec;
    info.fmt.clock_rate = format.rate_hz;
    info.fmt.channel_cnt = 1;
    info.tx_pt = info.rx_pt = format.payload_type;
    info.tx_event_pt = info.rx_event_pt = kEventPayloadType;
    info.ssrc = pj_rand();
    info.jb_init = info.jb_min_pre = info.jb_max_pre = -1;
    info.jb_max = 200;  // ms, as in the gateway
    info.param = &param;
    must(pjmedia_stream_create(pjmedia->endpoint, nullptr, &info, transport_, nullptr, &stream), "stream");
    must(pjmedia_stream_start(stream), "start");
    pjmedia_transport_media_start(transport_, nullptr, nullptr, nullptr, 0);
}

void Call::destroy() {
    if (stream != nullptr) pjmedia_stream_destroy(stream);
    if (transport_ != nullptr) pjmedia_transport_close(transport_);
    stream = nullptr;
    transport_ = nullptr;
}

Call::~Call() { destroy(); }

// ---- asyncio's side ------------------------------------------------------------------------------------

bool Ear::until(const std::function<bool()>& enough, unsigned timeout_ms) {
    const std::int64_t deadline_ns = monotonic_ns() + std::int64_t{timeout_ms} * 1'000'000;
    Batch batch;
    while (!enough()) {
        const std::int64_t left_ms = (deadline_ns - monotonic_ns()) / 1'000'000;
        pollfd readable{inbox_.fd(), POLLIN, 0};
        if (left_ms <= 0 || ::poll(&readable, 1, static_cast<int>(left_ms)) != 1) return false;
        inbox_.take(batch);
        const std::int64_t at_ns = monotonic_ns();
        for (const Record& record : batch.records) {
            heard.push_back({record.slot, record.kind, record.begin, record.end, {}, at_ns, record.time_ns});
            if (record.kind == Kind::Frame || record.kind == Kind::Sent)
                heard.back().pcm.assign(batch.pcm.begin() + record.begin, batch.pcm.begin() + record.end);
        }
    }
    return true;
}

bool Ear::frames(std::size_t count, unsigned timeout_ms) {
    return until([&] { return this->count(Kind::Frame) >= count; }, timeout_ms);
}

bool Ear::label(int label, unsigned timeout_ms) {
    const auto came = [&] {
        const auto all = labels();
        return std::find(all.begin(), all.end(), label) != all.end();
    };
    return until(came, timeout_ms);
}

void Ear::listen(unsigned ms) {
    (void)until([] { return false; }, ms);
}

std::vector<Heard> Ear::of(Kind kind) const {
    std::vector<Heard> chosen;
    for (const Heard& one : heard)
        if (one.kind == kind) chosen.push_back(one);
    return chosen;
}

std::vector<int> Ear::labels() const {
    std::vector<int> labels;
    for (const Heard& frame : of(Kind::Frame)) labels.push_back(label_of(frame.pcm));
    return labels;
}

void OneCall::start(const Format& format, pjmedia_dir dir, Tuning tuning) {
    engine.emplace(tuning, 1);
    call.emplace(format, dir);
    slot = engine->open();
    slot->trust();
    engine->attach(slot, call->stream);
    ear.emplace(engine->inbox());
    voice.emplace(call->peer, format);
}

void OneCall::settle(const std::function<Bytes()>& payload, unsigned ms) {
    for (int i = 0; i < 3; ++i) {
        voice->send(payload(), ms);
        ear->listen(ms / 2);
    }
    ASSERT_TRUE(ear->frames(3 * ms / 20));
    ear->forget();
}

void OneCall::TearDown() {
    if (slot) slot->detach();
    call.reset();
    engine.reset();
}

}  // namespace offhook::test
