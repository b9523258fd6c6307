#include "rtp_flow.hpp"

#include <arpa/inet.h>

#include <cstring>

namespace loadgen {
namespace {

// Two seconds of packets: a generator that is kept from its core must not lose what the gateway sent.
constexpr int kReceiveBufferBytes = 256 * 1024;

void put16(std::uint8_t* bytes, std::uint16_t value) {
  const std::uint16_t wire = htons(value);
  std::memcpy(bytes, &wire, sizeof wire);
}

void put32(std::uint8_t* bytes, std::uint32_t value) {
  const std::uint32_t wire = htonl(value);
  std::memcpy(bytes, &wire, sizeof wire);
}

}  // namespace

std::optional<RtpPacket> RtpPacket::parse(const Datagram& datagram, Nanos arrived) {
  const std::uint8_t* bytes = datagram.bytes;
  if (datagram.size < 12 || bytes[0] >> 6 != 2) return std::nullopt;
  std::size_t header = 12 + 4U * (bytes[0] & 0x0FU);
  if ((bytes[0] & 0x10) != 0) {
    if (datagram.size < header + 4) return std::nullopt;
    header += 4 + 4U * static_cast<unsigned>(bytes[header + 2] << 8 | bytes[header + 3]);
  }
  if (datagram.size < header) return std::nullopt;
  return RtpPacket{static_cast<std::uint16_t>(bytes[2] << 8 | bytes[3]), static_cast<std::uint8_t>(bytes[1] & 0x7F),
                   bytes + header, datagram.size - header, arrived};
}

RtpFlow::RtpFlow(const sockaddr_in& local, std::uint16_t id, std::uint32_t ssrc)
    : socket_(local, kReceiveBufferBytes), id_(id) {
  packet_[0] = 0x80;
  put32(&packet_[8], ssrc);
}

bool RtpFlow::send_frame() {
  packet_[1] = started_ ? 0 : 0x80;  // payload type 0; the marker begins the first talkspurt
  started_ = true;
  put16(&packet_[2], sequence_++);
  put32(&packet_[4], timestamp_);
  timestamp_ += kPayloadBytes;
  return socket_.send(packet_.data(), packet_.size());
}

}  // namespace loadgen
