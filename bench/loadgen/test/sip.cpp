#include <string>
#include <vector>

#include "call.hpp"
#include "check.hpp"
#include "sip_message.hpp"
#include "udp.hpp"

namespace loadgen {
namespace {

// Collects what a call says, and answers it.
class Peer final : public Outbox, public CallListener {
 public:
  void send(std::string_view message, const sockaddr_in& to) override {
    sent.emplace_back(message);
    last_port = ntohs(to.sin_port);
  }
  void on_answered(Call&, Nanos) override { ++answered; }
  void on_ended(Call&, std::string_view cause) override { ended.emplace_back(cause); }

  SipMessage last() const { return *SipMessage::parse(sent.back()); }

  // A response to the first request of this method, with the peer's tag and these further headers and body.
  std::string response(std::string_view status, std::string_view method, const std::string& more = "") const {
    for (const std::string& text : sent) {
      const auto request = SipMessage::parse(text);
      if (request->method != method) continue;
      std::string reply = make_reply(*request, status, "peer-tag", "<sip:peer@127.0.0.1:7000>", {});
      reply.insert(reply.size() - 2, more);
      return reply;
    }
    return {};
  }

  std::vector<std::string> sent;
  std::vector<std::string> ended;
  int answered = 0;
  int last_port = 0;
};

const std::string kSdp =
    "\r\nv=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n";

CallPlan plan() {
  CallPlan made{};
  made.run_id = "run";
  made.local_host = "127.0.0.1";
  made.local_port = 6000;
  made.user = "1000";
  made.target = make_address("127.0.0.1", 5060);
  made.target_host_port = "127.0.0.1:5060";
  made.rtp_port = 3000;
  made.rtcp_port = 3001;
  return made;
}

// Feeds a response in; the text must outlive the call of the handler only.
void respond(Call& call, const std::string& text, Nanos at = 0) { call.on_response(*SipMessage::parse(text), at); }

std::string with_sdp(std::string reply) {
  const std::string zero = "Content-Length: 0";
  reply.erase(reply.find(zero), zero.size() + 2);
  return reply.substr(0, reply.size() - 2) + kSdp;
}

TEST(messages_are_read_with_compact_and_folded_headers) {
  const std::string text =
      "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=b1 , SIP/2.0/UDP c\r\nf: \"<x;tag=no>\" <sip:a@b>;tag=one\r\n"
      "t: <sip:c@d;x=y>\r\n ;Tag=two\r\ni: id\r\nCSeq:  7   INVITE\r\nl: 2\r\n\r\nabcd";
  const auto read = SipMessage::parse(text);
  CHECK(read.has_value());
  CHECK(read->status == 200 && read->method == "INVITE" && read->cseq == 7 && read->body == "ab");
  CHECK(header_parameter(read->header("From"), "tag") == "one");
  CHECK(header_parameter(read->header("To"), "tag") == "two");
  CHECK(header_parameter(read->header("Via"), "branch") == "b1");
}

TEST(what_is_not_sip_is_none) {
  const std::string good =
      "BYE sip:a@b SIP/2.0\r\nVia: v\r\nFrom: f\r\nTo: t\r\nCall-ID: i\r\nCSeq: 1 BYE\r\n\r\n";
  CHECK(SipMessage::parse(good).has_value());
  for (std::size_t cut = 0; cut < good.size(); ++cut) CHECK(!SipMessage::parse(good.substr(0, cut)).has_value());
  CHECK(!SipMessage::parse("SIP/2.0 99 No\r\n\r\n").has_value());
  CHECK(!SipMessage::parse("SIP/2.0 abc\r\n\r\n").has_value());
  CHECK(!SipMessage::parse(std::string(500, '\0')).has_value());
  std::string other_method = good;
  other_method.replace(other_method.find("1 BYE"), 5, "1 ACK");
  CHECK(!SipMessage::parse(other_method).has_value());
}

TEST(uris_and_answers_are_read) {
  CHECK(endpoint_of("sip:a@127.0.0.1:70;lr")->port == 70);
  CHECK(endpoint_of("sip:127.0.0.1")->port == 5060);
  CHECK(!endpoint_of("sip:host.example"));
  CHECK(!endpoint_of("sip:127.0.0.1:99999"));
  CHECK(split_values("<sip:a,b>, \"x,y\" <sip:c>").size() == 2);
  CHECK(pcmu_endpoint(kSdp.substr(2))->port == 4000);
  CHECK(pcmu_endpoint("c=IN IP4 1.1.1.1\r\nm=audio 4 RTP/AVP 0\r\nc=IN IP4 2.2.2.2\r\n")->host == "2.2.2.2");
  CHECK(!pcmu_endpoint("c=IN IP4 1.1.1.1\r\nm=audio 0 RTP/AVP 0\r\n"));
  CHECK(!pcmu_endpoint("c=IN IP4 1.1.1.1\r\nm=audio 4 RTP/AVP 8\r\n"));
  CHECK(!pcmu_endpoint(""));
}

TEST(an_invite_is_sent_again_at_t1_doubled_until_a_provisional_response_comes) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  std::vector<Nanos> again;
  for (Nanos now = 0; now < 8 * kSecond; now += 10 * kMillisecond) {
    const std::size_t before = peer.sent.size();
    call.on_time(now);
    if (peer.sent.size() > before) again.push_back(now / kMillisecond);
  }
  CHECK((again == std::vector<Nanos>{500, 1500, 3500, 7500}));
  CHECK(peer.sent.front() == peer.sent.back());
  respond(call, peer.response("180 Ringing", "INVITE"));
  const std::size_t before = peer.sent.size();
  call.on_time(20 * kSecond);
  CHECK(peer.sent.size() == before);
}

TEST(an_invite_without_any_response_times_out_after_64_t1) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  call.on_time(32 * kSecond);
  CHECK((peer.ended == std::vector<std::string>{"timeout"}));
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));  // too late: acknowledged and ended at once
  CHECK(peer.last().method == "BYE" && peer.sent[peer.sent.size() - 2].rfind("ACK", 0) == 0);
  CHECK(peer.ended.size() == 1 && peer.answered == 0);
}

TEST(an_answer_is_acknowledged_every_time_it_comes) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  const std::string ok = with_sdp(peer.response("200 OK", "INVITE"));
  respond(call, ok);
  CHECK(peer.answered == 1 && call.remote_rtp().port == 4000);
  const SipMessage ack = peer.last();
  CHECK(ack.method == "ACK" && ack.cseq == 1 && ack.request_uri == "sip:peer@127.0.0.1:7000");
  CHECK(header_parameter(ack.header("To"), "tag") == "peer-tag");
  CHECK(peer.last_port == 7000);
  const auto branch = [&](std::size_t i) {
    return std::string(header_parameter(SipMessage::parse(peer.sent[i])->header("Via"), "branch"));
  };
  CHECK(branch(0) != branch(1));  // an ACK of a 2xx is a transaction of its own
  respond(call, ok);
  CHECK(peer.sent.size() == 3 && peer.sent[2] == peer.sent[1] && peer.answered == 1);
}

TEST(a_refusal_is_acknowledged_in_the_invites_transaction) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, peer.response("486 Busy Here", "INVITE"));
  const auto invite = SipMessage::parse(peer.sent[0]);
  const SipMessage ack = peer.last();
  CHECK(ack.method == "ACK");
  CHECK(ack.header("Via") == invite->header("Via"));
  CHECK(header_parameter(ack.header("To"), "tag") == "peer-tag");
  CHECK((peer.ended == std::vector<std::string>{"486"}));
  respond(call, peer.response("486 Busy Here", "INVITE"));
  CHECK(peer.sent.size() == 3 && peer.ended.size() == 1);
}

TEST(a_call_is_hung_up_with_retransmissions_and_once) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  call.hang_up(kSecond);
  call.hang_up(kSecond);
  CHECK(peer.last().method == "BYE" && peer.last().cseq == 2 && peer.sent.size() == 3);
  call.on_time(kSecond + 500 * kMillisecond);
  CHECK(peer.sent.size() == 4 && peer.sent[3] == peer.sent[2]);
  respond(call, peer.response("200 OK", "BYE"));
  respond(call, peer.response("200 OK", "BYE"));
  CHECK((peer.ended == std::vector<std::string>{"bye"}));
  call.on_time(60 * kSecond);
  CHECK(peer.sent.size() == 4);
}

TEST(a_bye_that_nobody_answers_ends_after_64_t1) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  call.hang_up(0);
  for (Nanos now = 0; now <= 32 * kSecond; now += 20 * kMillisecond) call.on_time(now);
  CHECK((peer.ended == std::vector<std::string>{"bye_timeout"}));
  CHECK(peer.sent.size() == 2 + 1 + 10);  // timer E: 0.5, 1.5, 3.5, then every 4 s
}

TEST(the_peers_bye_is_answered_every_time) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  const std::string bye =
      "BYE sip:loadgen@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=1\r\nVia: SIP/2.0/UDP y;branch=2\r\n"
      "From: <sip:p>;tag=peer-tag\r\nTo: <sip:l>;tag=run.0\r\nCall-ID: 0-run@127.0.0.1\r\nCSeq: 9 BYE\r\n\r\n";
  const auto request = SipMessage::parse(bye);
  for (int i = 0; i < 2; ++i) {
    call.on_request(*request, make_address("127.0.0.1", 7000));
    CHECK(peer.last().status == 200 && peer.last().headers("Via").size() == 2);
    CHECK(header_parameter(peer.last().header("To"), "tag") == "run.0");
  }
  CHECK((peer.ended == std::vector<std::string>{"peer_bye"}));
}

TEST(byes_that_cross_end_the_call_once) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  call.hang_up(0);
  std::string bye = peer.sent.back();
  call.on_request(*SipMessage::parse(bye), make_address("127.0.0.1", 7000));
  respond(call, peer.response("481 Gone", "BYE"));
  CHECK((peer.ended == std::vector<std::string>{"bye"}));
}

TEST(a_call_that_rings_is_cancelled) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  call.hang_up(0);
  CHECK(peer.sent.size() == 1);  // not before a provisional response
  respond(call, peer.response("100 Trying", "INVITE"));
  const SipMessage cancel = peer.last();
  CHECK(cancel.method == "CANCEL" && cancel.cseq == 1);
  CHECK(cancel.header("Via") == SipMessage::parse(peer.sent[0])->header("Via"));
  respond(call, peer.response("200 OK", "CANCEL"));
  respond(call, peer.response("487 Request Terminated", "INVITE"));
  CHECK(peer.last().method == "ACK");
  CHECK((peer.ended == std::vector<std::string>{"cancelled"}));
}

TEST(an_answer_that_crosses_the_cancel_is_hung_up) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, peer.response("180 Ringing", "INVITE"));
  call.hang_up(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  CHECK(peer.last().method == "BYE" && peer.answered == 0);
  respond(call, peer.response("200 OK", "BYE"));
  CHECK((peer.ended == std::vector<std::string>{"cancelled"}));
}

TEST(requests_in_the_dialog_follow_the_recorded_route) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  const std::string routes = "Record-Route: <sip:127.0.0.1:8001;lr>, <sip:127.0.0.1:8002;lr>\r\n";
  respond(call, with_sdp(peer.response("200 OK", "INVITE", routes)));
  const SipMessage ack = peer.last();
  CHECK(ack.headers("Route").size() == 2 && uri_of(ack.header("Route")) == "sip:127.0.0.1:8002;lr");
  CHECK(peer.last_port == 8002);
}

TEST(an_answer_without_our_codec_is_hung_up) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, peer.response("200 OK", "INVITE"));
  CHECK(peer.last().method == "BYE" && peer.answered == 0);
  respond(call, peer.response("200 OK", "BYE"));
  CHECK((peer.ended == std::vector<std::string>{"no_pcmu_in_answer"}));
}

TEST(requests_within_the_call_are_answered) {
  Peer peer;
  Call call(plan(), peer, peer);
  call.invite(0);
  respond(call, with_sdp(peer.response("200 OK", "INVITE")));
  for (const auto& [method, status] : {std::pair{"OPTIONS", 200}, {"INVITE", 200}, {"REFER", 501}}) {
    const std::string text = std::string(method) +
                             " sip:l SIP/2.0\r\nVia: v\r\nFrom: f;tag=peer-tag\r\nTo: t;tag=run.0\r\n"
                             "Call-ID: 0-run@127.0.0.1\r\nCSeq: 5 " +
                             method + "\r\n\r\n";
    call.on_request(*SipMessage::parse(text), make_address("127.0.0.1", 7000));
    CHECK(peer.last().status == status);
    CHECK(peer.last().body.empty() == (method != std::string("INVITE")));
  }
}

}  // namespace
}  // namespace loadgen
