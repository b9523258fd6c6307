// The SIP side of the generator: one UDP socket, all the calls.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "call.hpp"
#include "udp.hpp"

namespace loadgen {

class UserAgent final : private Outbox {
 public:
  // target: the gateway's SIP address; to_user: the number that is dialled.
  UserAgent(const sockaddr_in& local, const sockaddr_in& target, std::string to_user, CallListener& listener);

  // Starts a call whose media arrives at rtp_port. The call lives as long as the user agent.
  Call& invite(std::uint16_t rtp_port, Nanos now);

  // Reads what has arrived and runs the timers that are due.
  void poll(Nanos now, const RealtimeOffset& offset);

  std::size_t unended() const { return unended_; }
  std::uint64_t malformed() const { return malformed_; }
  std::uint64_t dropped_sends() const { return dropped_sends_; }
  const std::vector<std::unique_ptr<Call>>& calls() const { return calls_; }

 private:
  static constexpr Nanos kTimerPeriod = 20 * kMillisecond;

  void send(std::string_view message, const sockaddr_in& to) override;
  void dispatch(const Datagram& datagram);
  Call* find(const SipMessage& message) const;

  UdpSocket socket_;
  UdpSocket rtcp_sink_;  // all calls name it in a=rtcp: reports have a place to go and cost no port each
  sockaddr_in target_;
  CallPlan plan_;
  CallListener& listener_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::size_t unended_ = 0;
  Nanos timers_at_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t dropped_sends_ = 0;
};

}  // namespace loadgen
