#include "udp.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace loadgen {

SystemError::SystemError(const std::string& what) : std::runtime_error(what + ": " + std::strerror(errno)) {}

sockaddr_in make_address(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    throw std::invalid_argument("not a numeric IPv4 address: " + host);
  }
  return address;
}

sockaddr_in parse_address(const std::string& host_port) {
  const std::size_t colon = host_port.find(':');
  if (colon == std::string::npos) throw std::invalid_argument("no port in " + host_port);
  const int port = std::stoi(host_port.substr(colon + 1));
  if (port < 0 || port > UINT16_MAX) throw std::invalid_argument("not a port: " + host_port);
  return make_address(host_port.substr(0, colon), static_cast<std::uint16_t>(port));
}

std::string host_of(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN]{};
  inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return text;
}

UdpSocket::UdpSocket(const sockaddr_in& local, int receive_buffer_bytes)
    : descriptor_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  if (descriptor_ < 0) throw SystemError("socket");
  const int on = 1;
  sockaddr_in bound = local;
  socklen_t size = sizeof bound;
  if (setsockopt(descriptor_, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
      setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes) != 0 ||
      ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0 ||
      getsockname(descriptor_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    const SystemError error("UDP socket on " + host_of(local));
    ::close(descriptor_);
    throw error;
  }
  port_ = ntohs(bound.sin_port);
}

UdpSocket::~UdpSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), port_(other.port_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(port_, other.port_);
  return *this;
}

void UdpSocket::connect(const sockaddr_in& peer) {
  if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) throw SystemError("connect");
}

bool UdpSocket::send(const void* bytes, std::size_t size) {
  return ::send(descriptor_, bytes, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size);
}

bool UdpSocket::send_to(std::string_view message, const sockaddr_in& to) {
  return ::sendto(descriptor_, message.data(), message.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
                  sizeof to) == static_cast<ssize_t>(message.size());
}

struct ReceiveBatch::Buffers {
  std::array<std::array<std::uint8_t, kBytes>, kDatagrams> bytes;
  std::array<std::array<std::uint8_t, 64>, kDatagrams> control;
  std::array<sockaddr_in, kDatagrams> from;
  std::array<iovec, kDatagrams> vectors;
  std::array<mmsghdr, kDatagrams> headers;
};

ReceiveBatch::ReceiveBatch() : buffers_(new Buffers{}) {
  for (std::size_t i = 0; i < kDatagrams; ++i) {
    buffers_->vectors[i] = {buffers_->bytes[i].data(), kBytes};
    msghdr& header = buffers_->headers[i].msg_hdr;
    header.msg_iov = &buffers_->vectors[i];
    header.msg_iovlen = 1;
    header.msg_name = &buffers_->from[i];
    header.msg_control = buffers_->control[i].data();
  }
}

ReceiveBatch& ReceiveBatch::shared() {
  static ReceiveBatch batch;
  return batch;
}

std::size_t ReceiveBatch::receive(int descriptor, std::size_t limit) {
  for (std::size_t i = 0; i < limit; ++i) {
    msghdr& header = buffers_->headers[i].msg_hdr;
    header.msg_namelen = sizeof(sockaddr_in);
    header.msg_controllen = buffers_->control[i].size();
  }
  const int count = recvmmsg(descriptor, buffers_->headers.data(), static_cast<unsigned>(limit), MSG_DONTWAIT, nullptr);
  // Refused: the peer's port was closed for an earlier send; what it means is the signalling's affair.
  if (count < 0 && errno != EAGAIN && errno != ECONNREFUSED && errno != EINTR) throw SystemError("recvmmsg");
  return count < 0 ? 0 : static_cast<std::size_t>(count);
}

Datagram ReceiveBatch::at(std::size_t index) const {
  mmsghdr& received = buffers_->headers[index];
  Nanos arrived = 0;
  for (cmsghdr* item = CMSG_FIRSTHDR(&received.msg_hdr); item != nullptr;
       item = CMSG_NXTHDR(&received.msg_hdr, item)) {
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_TIMESTAMPNS) {
      timespec time{};
      std::memcpy(&time, CMSG_DATA(item), sizeof time);
      arrived = to_nanos(time);
    }
  }
  if (arrived == 0) throw std::runtime_error("the kernel gave no receive time");
  return {buffers_->bytes[index].data(), received.msg_len, buffers_->from[index], arrived};
}

}  // namespace loadgen
