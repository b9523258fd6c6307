// One outgoing call: INVITE client transaction, dialog and BYE (RFC 3261 sections 12, 13, 15 and 17), without I/O.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "clock.hpp"
#include "sip_message.hpp"

namespace loadgen {

class Call;

// Where a call's messages go.
class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual void send(std::string_view message, const sockaddr_in& to) = 0;
};

// What the calls tell the scenario. Each call ends exactly once.
class CallListener {
 public:
  virtual ~CallListener() = default;
  virtual void on_answered(Call& call, Nanos at) = 0;
  // cause: "bye" (ours, answered), "peer_bye", a status such as "503", or what went wrong, such as "timeout".
  virtual void on_ended(Call& call, std::string_view cause) = 0;
};

struct CallPlan {
  std::uint32_t index;  // into the user agent's list of calls
  std::string run_id;   // tells this run's calls from another's
  std::string local_host;
  std::uint16_t local_port;
  std::string user;
  sockaddr_in target;
  std::string target_host_port;
  std::uint16_t rtp_port;
  std::uint16_t rtcp_port;
};

class Call {
 public:
  enum class State { kCalling, kProceeding, kCancelling, kUp, kEnding, kEnded };

  Call(CallPlan plan, Outbox& outbox, CallListener& listener);

  void invite(Nanos now);
  // BYE or CANCEL, whichever fits; nothing if the call has ended.
  void hang_up(Nanos now);
  void on_response(const SipMessage& response, Nanos arrived);
  void on_request(const SipMessage& request, const sockaddr_in& from);
  // Retransmissions and timeouts; to be called every few tens of milliseconds.
  void on_time(Nanos now);

  std::uint32_t index() const { return plan_.index; }
  State state() const { return state_; }
  Nanos invited_at() const { return invited_at_; }
  const std::string& tag() const { return local_tag_; }
  const Endpoint& remote_rtp() const { return remote_rtp_; }  // once answered

 private:
  void on_provisional();
  void on_accepted(const SipMessage& response, Nanos arrived);
  void on_refused(const SipMessage& response);
  void learn_dialog(const SipMessage& response);
  void bye(Nanos now, std::string_view cause);
  void end(std::string_view cause);
  void transmit(std::string message, Nanos now);
  void reply(const SipMessage& request, const sockaddr_in& to, std::string_view status_line, std::string_view sdp);
  std::string request(std::string_view method, std::uint32_t cseq, std::string_view body = {}) const;
  std::string offer() const;

  CallPlan plan_;
  Outbox& outbox_;
  CallListener& listener_;
  State state_ = State::kCalling;
  std::string call_id_;
  std::string local_tag_;
  std::string remote_tag_;
  std::string remote_target_;
  std::vector<std::string> route_set_;
  sockaddr_in next_hop_;
  Endpoint remote_rtp_;
  Nanos invited_at_ = 0;

  std::string pending_;  // the request that is retransmitted, if any
  std::string ack_;      // for a final response that comes again
  std::string bye_cause_;
  Nanos retransmit_at_ = 0;
  Nanos interval_ = 0;
  Nanos give_up_at_ = 0;
  std::uint32_t cseq_ = 1;
};

// A reply to any request, dialog or not; the body is SDP if there is one.
std::string make_reply(const SipMessage& request, std::string_view status_line, std::string_view to_tag,
                       std::string_view contact, std::string_view sdp);

}  // namespace loadgen
