// One call's RTP (RFC 3550): its own socket, as a telephone has.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "clock.hpp"
#include "stamp.hpp"
#include "udp.hpp"

namespace loadgen {

struct RtpPacket {
  std::uint16_t sequence;
  std::uint8_t payload_type;
  const std::uint8_t* payload;
  std::size_t size;
  Nanos arrived;  // CLOCK_MONOTONIC

  bool is_pcmu_frame() const { return payload_type == 0 && size == kPayloadBytes; }

  static std::optional<RtpPacket> parse(const Datagram& datagram, Nanos arrived);
};

class RtpFlow {
 public:
  RtpFlow(const sockaddr_in& local, std::uint16_t id, std::uint32_t ssrc);

  std::uint16_t id() const { return id_; }
  std::uint16_t port() const { return socket_.port(); }
  std::uint16_t next_sequence() const { return sequence_; }
  void connect(const sockaddr_in& peer) { socket_.connect(peer); }

  // Where the next packet's 160 bytes go, before send_frame.
  std::uint8_t* payload() { return &packet_[kHeaderBytes]; }
  bool send_frame();

  template <typename Handler>
  void receive(const RealtimeOffset& offset, Handler&& handle) {
    socket_.receive(kPerTurn, [&](const Datagram& datagram) {
      if (const auto packet = RtpPacket::parse(datagram, offset.to_monotonic(datagram.arrived))) handle(*packet);
    });
  }

 private:
  static constexpr std::size_t kHeaderBytes = 12;
  static constexpr std::size_t kPerTurn = 64;

  UdpSocket socket_;
  std::uint16_t id_;
  std::uint16_t sequence_ = 0;
  std::uint32_t timestamp_ = 0;
  bool started_ = false;
  std::array<std::uint8_t, kHeaderBytes + kPayloadBytes> packet_{};
};

}  // namespace loadgen
