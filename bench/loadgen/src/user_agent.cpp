#include "user_agent.hpp"

#include <charconv>
#include <utility>

namespace loadgen {
namespace {

constexpr int kReceiveBufferBytes = 4 * 1024 * 1024;
constexpr std::size_t kDatagramsPerPoll = 64;  // media must not wait for a storm of responses

std::string make_run_id() {
  char text[17];
  const auto end = std::to_chars(text, text + sizeof text, static_cast<std::uint64_t>(read_clock(CLOCK_REALTIME)), 16);
  return {text, end.ptr};
}

}  // namespace

UserAgent::UserAgent(const sockaddr_in& local, const sockaddr_in& target, std::string to_user, CallListener& listener)
    : socket_(local, kReceiveBufferBytes),
      rtcp_sink_(make_address(host_of(local), 0), kReceiveBufferBytes / 4),
      target_(target),
      listener_(listener) {
  plan_.run_id = make_run_id();
  plan_.local_host = host_of(local);
  plan_.local_port = socket_.port();
  plan_.user = std::move(to_user);
  plan_.target = target;
  plan_.target_host_port = host_of(target) + ':' + std::to_string(ntohs(target.sin_port));
  plan_.rtcp_port = rtcp_sink_.port();
}

Call& UserAgent::invite(std::uint16_t rtp_port, Nanos now) {
  plan_.index = static_cast<std::uint32_t>(calls_.size());
  plan_.rtp_port = rtp_port;
  calls_.push_back(std::make_unique<Call>(plan_, static_cast<Outbox&>(*this), listener_));
  ++unended_;
  calls_.back()->invite(now);
  return *calls_.back();
}

void UserAgent::send(std::string_view message, const sockaddr_in& to) {
  if (!socket_.send_to(message, to)) ++dropped_sends_;  // as if the network had lost it
}

void UserAgent::poll(Nanos now, const RealtimeOffset& offset) {
  socket_.receive(kDatagramsPerPoll, [&](Datagram datagram) {
    datagram.arrived = offset.to_monotonic(datagram.arrived);
    dispatch(datagram);
  });
  if (now < timers_at_) return;
  timers_at_ = now + kTimerPeriod;
  rtcp_sink_.receive(kDatagramsPerPoll, [](const Datagram&) {});
  unended_ = 0;
  for (const auto& call : calls_) {
    call->on_time(now);
    if (call->state() != Call::State::kEnded) ++unended_;
  }
}

Call* UserAgent::find(const SipMessage& message) const {
  const std::string_view call_id = message.header("Call-ID");
  std::uint32_t index = 0;
  const auto [end, error] = std::from_chars(call_id.data(), call_id.data() + call_id.size(), index);
  const std::string rest = '-' + plan_.run_id + '@' + plan_.local_host;
  if (error != std::errc{} || index >= calls_.size() || call_id.substr(end - call_id.data()) != rest) return nullptr;
  Call* call = calls_[index].get();
  const std::string_view ours = message.header(message.is_request() ? "To" : "From");
  return header_parameter(ours, "tag") == call->tag() ? call : nullptr;
}

void UserAgent::dispatch(const Datagram& datagram) {
  const auto message = SipMessage::parse(datagram.text());
  if (!message) {
    ++malformed_;
    return;
  }
  if (Call* call = find(*message)) {
    if (message->is_request()) {
      call->on_request(*message, datagram.from);
    } else {
      call->on_response(*message, datagram.arrived);
    }
    return;
  }
  if (!message->is_request() || message->method == "ACK") return;
  const bool options = message->method == "OPTIONS";
  const std::string contact = "<sip:loadgen@" + plan_.local_host + ':' + std::to_string(plan_.local_port) + '>';
  send(make_reply(*message, options ? "200 OK" : "481 Call/Transaction Does Not Exist", plan_.run_id, contact, {}),
       datagram.from);
}

}  // namespace loadgen
