#include "call.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

namespace loadgen {
namespace {

constexpr Nanos kT1 = 500 * kMillisecond;
constexpr Nanos kT2 = 4 * kSecond;
constexpr Nanos kNever = INT64_MAX;
constexpr Nanos kProceedingLimit = 60 * kSecond;  // how long it may ring

std::string branch(const CallPlan& plan, std::string_view method, std::uint32_t cseq) {
  // CANCEL and the ACK of a refusal carry the branch of their INVITE (RFC 3261 sections 9.1 and 17.1.1.3).
  const std::string_view transaction = method == "CANCEL" ? "INVITE" : method;
  return "z9hG4bK-" + plan.run_id + '-' + std::to_string(plan.index) + '-' + std::to_string(cseq) +
         std::string(transaction);
}

bool is_over(Call::State state) { return state == Call::State::kEnding || state == Call::State::kEnded; }

}  // namespace

std::string make_reply(const SipMessage& request, std::string_view status_line, std::string_view to_tag,
                       std::string_view contact, std::string_view sdp) {
  std::string reply = "SIP/2.0 ";
  reply.append(status_line).append("\r\n");
  for (const std::string_view via : request.headers("Via")) reply.append("Via: ").append(via).append("\r\n");
  reply.append("From: ").append(request.header("From")).append("\r\nTo: ").append(request.header("To"));
  if (header_parameter(request.header("To"), "tag").empty()) reply.append(";tag=").append(to_tag);
  reply.append("\r\nCall-ID: ").append(request.header("Call-ID"));
  reply.append("\r\nCSeq: ").append(request.header("CSeq"));
  reply.append("\r\nContact: ").append(contact);
  if (!sdp.empty()) reply.append("\r\nContent-Type: application/sdp");
  reply.append("\r\nContent-Length: ").append(std::to_string(sdp.size())).append("\r\n\r\n").append(sdp);
  return reply;
}

Call::Call(CallPlan plan, Outbox& outbox, CallListener& listener)
    : plan_(std::move(plan)), outbox_(outbox), listener_(listener), next_hop_(plan_.target) {
  call_id_ = std::to_string(plan_.index) + '-' + plan_.run_id + '@' + plan_.local_host;
  local_tag_ = plan_.run_id + '.' + std::to_string(plan_.index);
  remote_target_ = "sip:" + plan_.user + '@' + plan_.target_host_port;
}

std::string Call::offer() const {
  const std::string host = plan_.local_host;
  return "v=0\r\no=- " + std::to_string(plan_.index + 1) + " 1 IN IP4 " + host + "\r\ns=-\r\nc=IN IP4 " + host +
         "\r\nt=0 0\r\nm=audio " + std::to_string(plan_.rtp_port) +
         " RTP/AVP 0 101\r\n"
         "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
         "a=ptime:20\r\na=rtcp:" +
         std::to_string(plan_.rtcp_port) + "\r\na=sendrecv\r\n";
}

std::string Call::request(std::string_view method, std::uint32_t cseq, std::string_view body) const {
  const std::string local = plan_.local_host + ':' + std::to_string(plan_.local_port);
  std::string text(method);
  text.append(" ").append(remote_target_).append(" SIP/2.0\r\nVia: SIP/2.0/UDP ").append(local);
  text.append(";rport;branch=").append(branch(plan_, method, cseq)).append("\r\nMax-Forwards: 70\r\n");
  for (const std::string& route : route_set_) text.append("Route: ").append(route).append("\r\n");
  text.append("From: <sip:loadgen@").append(local).append(">;tag=").append(local_tag_);
  text.append("\r\nTo: <sip:").append(plan_.user).append("@").append(plan_.target_host_port).append(">");
  if (!remote_tag_.empty() && method != "CANCEL") text.append(";tag=").append(remote_tag_);
  text.append("\r\nCall-ID: ").append(call_id_);
  text.append("\r\nCSeq: ").append(std::to_string(cseq)).append(" ").append(method);
  text.append("\r\nContact: <sip:loadgen@").append(local);
  text.append(">\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: offhook-loadgen\r\n");
  if (!body.empty()) text.append("Content-Type: application/sdp\r\n");
  text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n").append(body);
  return text;
}

void Call::transmit(std::string message, Nanos now) {
  pending_ = std::move(message);
  interval_ = kT1;
  retransmit_at_ = now + interval_;
  give_up_at_ = now + 64 * kT1;
  outbox_.send(pending_, next_hop_);
}

void Call::invite(Nanos now) {
  invited_at_ = now;
  transmit(request("INVITE", cseq_, offer()), now);
}

void Call::hang_up(Nanos now) {
  switch (state_) {
    case State::kUp:
      bye(now, "bye");
      break;
    case State::kProceeding:
      state_ = State::kCancelling;
      transmit(request("CANCEL", cseq_), now);
      break;
    case State::kCalling:  // a CANCEL must wait for a provisional response (section 9.1); on_provisional sends it
      state_ = State::kCancelling;
      break;
    case State::kCancelling:
    case State::kEnding:
    case State::kEnded:
      break;
  }
}

void Call::bye(Nanos now, std::string_view cause) {
  state_ = State::kEnding;
  bye_cause_ = cause;
  transmit(request("BYE", ++cseq_), now);
}

void Call::end(std::string_view cause) {
  state_ = State::kEnded;
  pending_.clear();
  listener_.on_ended(*this, cause);
}

void Call::on_response(const SipMessage& response, Nanos arrived) {
  if (response.method == "INVITE") {
    if (response.status < 200) {
      on_provisional();
    } else if (response.status < 300) {
      on_accepted(response, arrived);
    } else {
      on_refused(response);
    }
  } else if (response.method == "BYE" && response.status >= 200 && state_ == State::kEnding) {
    // 481 after crossing BYEs is as good an end as 200.
    end(response.status < 300 || response.status == 481 ? bye_cause_ : "bye_" + std::to_string(response.status));
  } else if (response.method == "CANCEL" && response.status >= 200 && state_ == State::kCancelling) {
    retransmit_at_ = kNever;  // the INVITE's own final response still comes
  }
}

void Call::on_provisional() {
  if (state_ == State::kCalling) {
    state_ = State::kProceeding;
    retransmit_at_ = kNever;
    give_up_at_ = invited_at_ + kProceedingLimit;
  } else if (state_ == State::kCancelling && pending_.compare(0, 6, "INVITE") == 0) {
    transmit(request("CANCEL", cseq_), monotonic_now());
  }
}

void Call::learn_dialog(const SipMessage& response) {
  remote_tag_ = header_parameter(response.header("To"), "tag");
  const std::string_view contact = uri_of(response.header("Contact"));
  if (!contact.empty()) remote_target_ = contact;
  route_set_.clear();
  for (const std::string_view field : response.headers("Record-Route")) {
    for (const std::string_view value : split_values(field)) route_set_.emplace_back(value);
  }
  std::reverse(route_set_.begin(), route_set_.end());
  const auto hop = endpoint_of(route_set_.empty() ? std::string_view(remote_target_) : uri_of(route_set_.front()));
  if (hop) {
    next_hop_.sin_port = htons(hop->port);
    inet_pton(AF_INET, hop->host.c_str(), &next_hop_.sin_addr);
  }
}

void Call::on_accepted(const SipMessage& response, Nanos arrived) {
  if (!ack_.empty()) {  // our ACK was lost, or came late
    outbox_.send(ack_, next_hop_);
    return;
  }
  learn_dialog(response);
  ack_ = request("ACK", cseq_);
  outbox_.send(ack_, next_hop_);
  if (state_ == State::kCancelling) {  // the answer crossed our CANCEL
    bye(arrived, "cancelled");
    return;
  }
  if (state_ == State::kEnded) {  // answered after we gave up: it must not stay up at the other end
    outbox_.send(request("BYE", ++cseq_), next_hop_);
    return;
  }
  const auto rtp = pcmu_endpoint(response.body);
  if (!rtp) {
    bye(arrived, "no_pcmu_in_answer");
    return;
  }
  remote_rtp_ = *rtp;
  state_ = State::kUp;
  retransmit_at_ = kNever;
  give_up_at_ = kNever;
  listener_.on_answered(*this, arrived);
}

void Call::on_refused(const SipMessage& response) {
  if (ack_.empty()) {
    remote_tag_ = header_parameter(response.header("To"), "tag");
    ack_ = request("ACK", cseq_);
    const std::size_t own = ack_.find("ACK\r\n", ack_.find("branch="));
    ack_.replace(own, 3, "INVITE");  // section 17.1.1.3: the transaction is the INVITE's
  }
  outbox_.send(ack_, next_hop_);
  if (is_over(state_) || state_ == State::kUp) return;
  const bool cancelled = state_ == State::kCancelling && response.status == 487;
  end(cancelled ? "cancelled" : std::to_string(response.status));
}

void Call::reply(const SipMessage& request, const sockaddr_in& to, std::string_view status_line,
                 std::string_view sdp) {
  const std::string contact =
      "<sip:loadgen@" + plan_.local_host + ':' + std::to_string(plan_.local_port) + '>';
  outbox_.send(make_reply(request, status_line, local_tag_, contact, sdp), to);
}

void Call::on_request(const SipMessage& request, const sockaddr_in& from) {
  if (request.method == "ACK") return;
  if (request.method == "BYE") {
    reply(request, from, "200 OK", {});
    if (state_ == State::kEnding) {
      end(bye_cause_);  // both hung up at once
    } else if (state_ != State::kEnded) {
      end("peer_bye");
    }
  } else if (is_over(state_)) {
    reply(request, from, "481 Call/Transaction Does Not Exist", {});
  } else if (request.method == "INVITE" || (request.method == "UPDATE" && !request.body.empty())) {
    reply(request, from, "200 OK", offer());  // as it was: nothing about our media ever changes
  } else if (request.method == "OPTIONS" || request.method == "INFO" || request.method == "UPDATE") {
    reply(request, from, "200 OK", {});
  } else {
    reply(request, from, "501 Not Implemented", {});
  }
}

void Call::on_time(Nanos now) {
  if (state_ == State::kEnded || pending_.empty()) return;
  if (now >= give_up_at_) {
    const bool inviting = state_ != State::kEnding;
    end(inviting ? "timeout" : "bye_timeout");
    return;
  }
  if (now < retransmit_at_) return;
  outbox_.send(pending_, next_hop_);
  const bool invite = pending_.compare(0, 6, "INVITE") == 0;  // timer A doubles without end, timer E up to T2
  interval_ = invite ? interval_ * 2 : std::min(interval_ * 2, kT2);
  retransmit_at_ = now + interval_;
}

}  // namespace loadgen
