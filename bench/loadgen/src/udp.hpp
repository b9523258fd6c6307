// UDP sockets with kernel receive times: when a packet came does not depend on when it is read.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "clock.hpp"

namespace loadgen {

struct SystemError : std::runtime_error {
  explicit SystemError(const std::string& what);  // appends errno's text
};

struct Datagram {
  const std::uint8_t* bytes;
  std::size_t size;
  sockaddr_in from;
  Nanos arrived;  // CLOCK_REALTIME, by the kernel

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes), size}; }
};

// "127.0.0.1:5060"; throws std::invalid_argument.
sockaddr_in parse_address(const std::string& host_port);
sockaddr_in make_address(const std::string& host, std::uint16_t port);
std::string host_of(const sockaddr_in& address);

class UdpSocket {
 public:
  // Port 0 lets the kernel choose.
  UdpSocket(const sockaddr_in& local, int receive_buffer_bytes);
  ~UdpSocket();
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;

  std::uint16_t port() const { return port_; }
  // From here on only this peer's packets are received.
  void connect(const sockaddr_in& peer);
  bool send(const void* bytes, std::size_t size);  // to the connected peer; false if it was not taken
  bool send_to(std::string_view message, const sockaddr_in& to);

  // Hands over all that waits, up to limit datagrams; returns how many.
  template <typename Handler>
  std::size_t receive(std::size_t limit, Handler&& handle);

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

// One recvmmsg's worth of buffers; the process has one, for it has one thread.
class ReceiveBatch {
 public:
  static constexpr std::size_t kDatagrams = 32;
  static constexpr std::size_t kBytes = 4096;

  static ReceiveBatch& shared();
  std::size_t receive(int descriptor, std::size_t limit);
  Datagram at(std::size_t index) const;

 private:
  ReceiveBatch();

  struct Buffers;
  Buffers* buffers_;
};

template <typename Handler>
std::size_t UdpSocket::receive(std::size_t limit, Handler&& handle) {
  ReceiveBatch& batch = ReceiveBatch::shared();
  std::size_t total = 0;
  while (total < limit) {
    const std::size_t wanted = limit - total < ReceiveBatch::kDatagrams ? limit - total : ReceiveBatch::kDatagrams;
    const std::size_t count = batch.receive(descriptor_, wanted);
    for (std::size_t i = 0; i < count; ++i) handle(batch.at(i));
    total += count;
    if (count < wanted) break;
  }
  return total;
}

}  // namespace loadgen
