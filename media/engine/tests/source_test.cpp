// Which RTP is from the peer: the rule, and its effect on a stream.
#include "source.hpp"
#include "rig.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace offhook::test {
namespace {

using Verdict = Source::Verdict;

constexpr Address kSignalled{0x0A000005, 4000};  // 10.0.0.5, behind a NAT
constexpr Address kOutside{0xC6336407, 61000};   // the NAT; its SIP comes from there too
constexpr Address kRebound{0xC6336407, 61002};
constexpr Address kStranger{0xCB007101, 5000};
constexpr Address kOther{0xCB007102, 5000};
constexpr std::uint32_t kSsrc = 11;
constexpr std::uint32_t kForeignSsrc = 22;
constexpr std::uint32_t kOtherSsrc = 33;

class SourceTest : public ::testing::Test {
protected:
    // A packet, `after_ms` after the last one.
    Verdict from(const Address& address, std::uint32_t ssrc = kSsrc, std::int64_t after_ms = 20) {
        now_ns_ += after_ms * kMillisecond_ns;
        return source.judge(address, ssrc, now_ns_);
    }

    Source source{kSignalled, kOutside.host, nullptr};

private:
    std::int64_t now_ns_ = 0;
};

TEST_F(SourceTest, TheSignalledAddressWinsAsSoonAsItComes) {
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Switch) << "for all that is known, it is behind a NAT";
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Take);
    EXPECT_EQ(from(kSignalled), Verdict::Switch);
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Drop);
    EXPECT_EQ(from(kSignalled), Verdict::Take);
    EXPECT_EQ(source.foreign(), 1U);
}

TEST_F(SourceTest, NobodyElseIsHeardHoweverMuchTheySend) {
    EXPECT_EQ(from(kSignalled), Verdict::Take);
    for (int i = 0; i < 600; ++i) {
        ASSERT_EQ(from(kStranger, kForeignSsrc, 1), Verdict::Drop);
        ASSERT_EQ(from(kOutside, kForeignSsrc, 1), Verdict::Drop);
    }
    EXPECT_EQ(source.foreign(), 1200U);
}

TEST_F(SourceTest, NobodyElseIsHeardHoweverLongThePeerIsSilent) {
    EXPECT_EQ(from(kSignalled), Verdict::Take);
    EXPECT_EQ(from(kStranger, kForeignSsrc, 60'000), Verdict::Drop);
    EXPECT_EQ(from(kOutside, kForeignSsrc), Verdict::Drop);
    EXPECT_EQ(from(kSignalled), Verdict::Take);
}

TEST_F(SourceTest, APeerBehindANatIsHeardWithItsFirstPacket) {
    EXPECT_FALSE(source.heard());
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kOutside), Verdict::Take);
    EXPECT_TRUE(source.heard());
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Drop);
}

TEST_F(SourceTest, TheHostThatSignalsComesBeforeAStrangerWhoWasFirst) {
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Switch);
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Drop);
}

TEST_F(SourceTest, OfTwoStrangersTheSecondIsNeverHeard) {
    EXPECT_EQ(from(kStranger), Verdict::Switch);
    EXPECT_EQ(from(kOther, kForeignSsrc, 60'000), Verdict::Drop);
}

TEST_F(SourceTest, WhatMovesIsKnownByItsSsrc) {
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kRebound), Verdict::Drop) << "a packet from where it was is 20 ms old";
    EXPECT_EQ(from(kRebound, kSsrc, 100), Verdict::Switch);
    EXPECT_EQ(from(kOther, kSsrc, 100), Verdict::Switch);
    EXPECT_EQ(from(kSignalled), Verdict::Switch);
}

TEST_F(SourceTest, WhatMovesKeepsItsStanding) {
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kOther, kSsrc, 100), Verdict::Switch);
    EXPECT_EQ(from(kRebound, kForeignSsrc), Verdict::Drop) << "another telephone behind the same NAT";
}

TEST_F(SourceTest, ASecondStreamToTheSameAddressBeginsWhereThePeerWas) {
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kOutside), Verdict::Take);
    EXPECT_TRUE(source.proved());
    source.resume();
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Drop);
    EXPECT_FALSE(source.proved()) << "the stream sends to the signalled address, which nothing has come from";
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_TRUE(source.proved());
    EXPECT_EQ(from(kOutside), Verdict::Take);
}

// A hold may be longer than the life of a NAT binding, and many telephones resume with a new RTP session.
TEST_F(SourceTest, AfterANewOfferThePeersHostMayBeginAnewFromAnotherPort) {
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kRebound, kForeignSsrc, 25'000), Verdict::Drop);
    source.resume();
    EXPECT_EQ(from(kStranger, kForeignSsrc), Verdict::Drop);
    EXPECT_EQ(from(kRebound, kForeignSsrc), Verdict::Switch);
    EXPECT_EQ(from(kRebound, kForeignSsrc), Verdict::Take);
    EXPECT_EQ(from(kOutside, kOtherSsrc, 25'000), Verdict::Drop) << "once for each offer";
}

TEST_F(SourceTest, AfterANewOfferAPeerThatSpeaksHasNotMoved) {
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    source.resume();
    EXPECT_EQ(from(kRebound, kForeignSsrc), Verdict::Drop) << "its last packet is 20 ms old";
    EXPECT_EQ(from(kOutside), Verdict::Switch);
    EXPECT_EQ(from(kRebound, kForeignSsrc, 25'000), Verdict::Drop);
}

TEST(OwnAddressesTest, AreThisMachinesOnly) {
    OwnAddresses own;
    own.add(0, 4000, 4009);
    for (const std::uint16_t port : {4000, 4009, 4010, 5060}) own.open(port);
    own.add(0xC0000201, 5060, 5060);
    EXPECT_TRUE(own.contain({0x7F000001, 4009}));
    EXPECT_TRUE(own.contain({0x7F000102, 4000})) << "all of 127.0.0.0/8";
    EXPECT_FALSE(own.contain({0x7F000001, 4010}));
    EXPECT_FALSE(own.contain({0xC0000201, 4000})) << "192.0.2.1 is nobody's";
    EXPECT_TRUE(own.contain({0xC0000201, 5060})) << "but we were told so";
    EXPECT_FALSE(own.contain({0x7F000001, 5060}));
}

// A telephone or a proxy on the same machine may use the rest of the range.
TEST(OwnAddressesTest, AreOfPortsThatAStreamReceivesAt) {
    OwnAddresses own;
    own.add(0, 4000, 4009);
    EXPECT_FALSE(own.contain({0x7F000001, 4002}));
    own.open(4002);
    EXPECT_TRUE(own.contain({0x7F000001, 4002}));
    EXPECT_TRUE(own.contain({0x7F000001, 4003})) << "RTCP";
    EXPECT_FALSE(own.contain({0x7F000001, 4004}));
    own.close(4002);
    EXPECT_FALSE(own.contain({0x7F000001, 4002}));
    EXPECT_FALSE(own.contain({0x7F000001, 4003}));
}

TEST(OwnAddressesTest, AreNobodysSource) {
    const auto own = std::make_shared<OwnAddresses>();
    own->add(kStranger.host, kStranger.port, kStranger.port);
    Source source(kSignalled, 0, own);
    EXPECT_EQ(source.judge(kStranger, kSsrc, 0), Verdict::Drop);
    EXPECT_FALSE(source.heard());
}

class SourcesTest : public OneCall {
protected:
    Tuning own(const Peer& peer) {
        const auto addresses = std::make_shared<OwnAddresses>();
        addresses->add(0, peer.port(), peer.port());
        Tuning tuning;
        tuning.own = addresses;
        return tuning;
    }

    unsigned packets_to(const Peer& peer, unsigned quiet_ms) {
        unsigned packets = 0;
        while (peer.receive(quiet_ms)) ++packets;
        return packets;
    }
};

TEST_F(SourcesTest, DropsStrangersPacketsBeforeAnythingIsMadeOfThem) {
    start();
    settle();
    Peer stranger("127.0.0.2");
    call->aim(stranger);
    Voice foreign(stranger);
    foreign.head.ssrc = kForeignSsrc;
    for (std::uint8_t label = 1; label <= 20; ++label) {
        for (int i = 0; i < 12; ++i) foreign.say(99);
        voice->say(label);
        ear->listen(10);
    }
    ASSERT_TRUE(ear->label(20));
    const auto labels = ear->labels();
    EXPECT_EQ(std::count(labels.begin(), labels.end(), 99), 0);
    EXPECT_EQ(slot->counters().packets_foreign, 240U);
    EXPECT_EQ(slot->counters().packets_received, 23U);
    EXPECT_FALSE(stranger.receive(0));
}

TEST_F(SourcesTest, TellsOfThePeersFirstPacketOnly) {
    start();
    Peer stranger("127.0.0.2");
    call->aim(stranger);
    voice->say(1);
    ASSERT_TRUE(ear->label(1));
    Voice foreign(stranger);
    foreign.head.ssrc = kForeignSsrc;
    foreign.say(99);
    voice->say(2);
    ASSERT_TRUE(ear->label(2));
    EXPECT_EQ(ear->count(Kind::Heard), 1U);
}

TEST_F(SourcesTest, AnswersWhereThePeerIs) {
    start();
    Peer nat("127.0.0.3");
    call->aim(nat);
    Voice outside(nat);
    outside.say(7);
    ASSERT_TRUE(ear->label(7));
    EXPECT_TRUE(nat.receive());
    voice->head.ssrc = kForeignSsrc;
    voice->say(8);
    ASSERT_TRUE(ear->frames(2)) << "the signalled address comes after all";
    call->peer.drain();
    EXPECT_TRUE(call->peer.receive());
    nat.drain();
    EXPECT_FALSE(nat.receive(100));
}

TEST_F(SourcesTest, SendsLittleToWhoHasNotShownThatItIsThere) {
    Tuning tuning;
    tuning.unproved_packets = 5;
    engine.emplace(tuning, 1);
    call.emplace(kPcmu);
    slot = engine->open();
    engine->attach(slot, call->stream);
    EXPECT_EQ(packets_to(call->peer, 500), 5U);
    ASSERT_TRUE(slot->play(Pcm(800, 1000), 1));
    ear.emplace(engine->inbox());
    EXPECT_TRUE(ear->until([&] { return ear->count(Kind::Mark) == 1; })) << "time passes all the same";
    EXPECT_EQ(slot->counters().packets_sent, 5U);
    slot->trust();
    EXPECT_TRUE(call->peer.receive()) << "it has acknowledged";
}

TEST_F(SourcesTest, SendsLittleToAnotherHostThanAcknowledged) {
    Tuning tuning;
    tuning.unproved_packets = 5;
    tuning.elsewhere_packets = 10;
    engine.emplace(tuning, 1);
    call.emplace(kPcmu);
    slot = engine->open();
    slot->expect_from("127.0.0.99");
    slot->confirm();
    engine->attach(slot, call->stream);
    EXPECT_EQ(packets_to(call->peer, 500), 10U);
    slot->detach();
    engine->attach(slot, call->stream);
    EXPECT_EQ(packets_to(call->peer, 200), 0U) << "nor does a new offer help";
    Voice(call->peer).say(1);
    EXPECT_TRUE(call->peer.receive()) << "it is there";
}

TEST_F(SourcesTest, SendsToTheHostThatAcknowledged) {
    Tuning tuning;
    tuning.unproved_packets = tuning.elsewhere_packets = 0;
    engine.emplace(tuning, 1);
    call.emplace(kPcmu);
    slot = engine->open();
    slot->expect_from("127.0.0.1");
    slot->confirm();
    engine->attach(slot, call->stream);
    EXPECT_TRUE(call->peer.receive());
}

TEST_F(SourcesTest, SendsToWhereRtpComesFrom) {
    Tuning tuning;
    tuning.unproved_packets = 0;
    engine.emplace(tuning, 1);
    call.emplace(kPcmu);
    slot = engine->open();
    engine->attach(slot, call->stream);
    EXPECT_FALSE(call->peer.receive(200));
    Voice(call->peer).say(1);
    EXPECT_TRUE(call->peer.receive());
}

TEST_F(SourcesTest, RefusesAStreamToItself) {
    call.emplace(kPcmu);
    engine.emplace(own(call->peer), 1);
    slot = engine->open();
    slot->trust();
    EXPECT_THROW(engine->attach(slot, call->stream), std::invalid_argument);
    EXPECT_FALSE(call->peer.receive(100));
}

TEST_F(SourcesTest, TakesNoRtcpOfStrangers) {
    start();
    const auto packet = call->peer.receive();
    ASSERT_TRUE(packet);
    // A receiver report (RFC 3550 section 6.4.2): 100 packets of ours were lost.
    Bytes report{0x81, 201, 0, 7, 0, 0, 0, 1};
    for (int shift = 24; shift >= 0; shift -= 8) report.push_back(static_cast<std::uint8_t>(packet->ssrc >> shift));
    report.insert(report.end(), {128, 0, 0, 100});
    report.resize(32);
    Peer stranger("127.0.0.2");
    call->aim(stranger);
    for (int i = 0; i < 5; ++i) stranger.send_rtcp(report);
    ear->listen(100);
    EXPECT_EQ(slot->counters().peer_loss_pct, 0);
    call->peer.send_rtcp(report);
    for (int i = 0; i < 100 && slot->counters().peer_loss_pct == 0; ++i) sleep_ms(10);
    EXPECT_GT(slot->counters().peer_loss_pct, 0);
}

}  // namespace
}  // namespace offhook::test
