// The peer's voice, from the network to the inbox.
#include "rig.hpp"

#include <algorithm>
#include <cmath>

namespace offhook::test {
namespace {

using Labels = std::vector<int>;

class ReceiveTest : public OneCall {};

TEST_F(ReceiveTest, DeliversEachFrameAsItArrives) {
    start();
    std::vector<std::int64_t> latencies_ns;
    for (std::uint8_t label = 1; label <= 25; ++label) {
        const std::int64_t sent_ns = monotonic_ns();
        voice->say(label);
        ASSERT_TRUE(ear->frames(label));
        latencies_ns.push_back(ear->heard.back().at_ns - sent_ns);
        sleep_ms(18);
    }
    std::sort(latencies_ns.begin(), latencies_ns.end());
    EXPECT_LT(latencies_ns[latencies_ns.size() / 2], 10 * kMillisecond_ns);
    EXPECT_LT(latencies_ns.back(), 50 * kMillisecond_ns);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
    EXPECT_EQ(slot->counters().packets_received, 25U);
}

TEST_F(ReceiveTest, PutsReorderedPacketsInOrder) {
    start();
    settle();
    voice->say(1);
    const Packet second = voice->prepare(2);
    voice->say(3);
    sleep_ms(5);
    call->peer.send(second);
    voice->say(4);
    ASSERT_TRUE(ear->frames(4));
    EXPECT_EQ(ear->labels(), (Labels{1, 2, 3, 4}));
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
    EXPECT_EQ(slot->counters().packets_late, 0U);
}

TEST_F(ReceiveTest, ConcealsALostPacketOnceTheReorderWindowIsOver) {
    start();
    settle();
    voice->say(1);
    voice->say(2);
    voice->lose();
    const std::int64_t gap_ns = monotonic_ns();
    voice->say(4);
    ASSERT_TRUE(ear->frames(4));
    EXPECT_GE(ear->heard.back().at_ns - gap_ns, 40 * kMillisecond_ns);
    EXPECT_EQ(ear->labels(), (Labels{1, 2, -1, 4}));
    EXPECT_EQ(slot->counters().frames_concealed, 1U);
}

TEST_F(ReceiveTest, CountsEveryPacketOfALossBurst) {
    start();
    settle();
    voice->say(1);
    for (int i = 0; i < 3; ++i) voice->lose();
    voice->say(5);
    voice->say(6);
    ASSERT_TRUE(ear->frames(6));
    const Labels labels = ear->labels();
    EXPECT_EQ(labels[0], 1);
    EXPECT_EQ(labels[4], 5);
    EXPECT_EQ(labels[5], 6);
    EXPECT_EQ(slot->counters().frames_concealed, 3U);
    EXPECT_EQ(slot->counters().packets_lost, 3U);
}

TEST_F(ReceiveTest, FadesWhatStandsInWithoutAStep) {
    start();
    settle();
    voice->say(100);
    for (int i = 0; i < 4; ++i) voice->lose();
    voice->say(50);
    ASSERT_TRUE(ear->frames(6));
    const auto frames = ear->of(Kind::Frame);
    const int loudest = frames[0].pcm.back();
    int previous = loudest;
    for (int i = 1; i <= 4; ++i)
        for (const std::int16_t sample : frames[static_cast<std::size_t>(i)].pcm) {
            ASSERT_LE(std::abs(sample), std::abs(previous));
            ASSERT_LE(std::abs(previous - sample), std::abs(loudest) / 100 + 1);
            previous = sample;
        }
    EXPECT_EQ(label_of(frames[4].pcm), 0);
}

TEST_F(ReceiveTest, WaitsForEachGapAnew) {
    start();
    settle();
    voice->say(1);
    voice->lose();
    voice->say(3);
    const Packet fourth = voice->prepare(4);
    sleep_ms(30);
    voice->say(5);
    sleep_ms(20);  // now the wait for the first gap is over, but not for the second
    call->peer.send(fourth);
    ASSERT_TRUE(ear->frames(5));
    EXPECT_EQ(ear->labels(), (Labels{1, -1, 3, 4, 5}));
    EXPECT_EQ(slot->counters().frames_concealed, 1U);
}

TEST_F(ReceiveTest, DropsWhatComesTooLate) {
    start();
    settle();
    voice->say(1);
    const Packet late = voice->prepare(2);
    voice->say(3);
    ASSERT_TRUE(ear->frames(3));
    call->peer.send(late);
    voice->say(4);
    ASSERT_TRUE(ear->frames(4));
    EXPECT_EQ(ear->labels(), (Labels{1, -1, 3, 4}));
    EXPECT_EQ(slot->counters().packets_reordered, 1U);
    EXPECT_EQ(slot->counters().packets_late, 1U);
}

TEST_F(ReceiveTest, DropsDuplicates) {
    start();
    settle();
    for (std::uint8_t label = 1; label <= 4; ++label) {
        const Packet packet = voice->prepare(label);
        call->peer.send(packet);
        call->peer.send(packet);
    }
    ASSERT_TRUE(ear->frames(4));
    ear->listen(30);
    EXPECT_EQ(ear->labels(), (Labels{1, 2, 3, 4}));
    EXPECT_EQ(slot->counters().packets_discarded, 4U);
}

class ReceiveSilenceTest : public ReceiveTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(ReceiveSilenceTest, IsFilledAndKeepsTime) {
    start();
    settle();
    for (std::uint8_t label = 1; label <= 5; ++label) {
        voice->say(label);
        ear->listen(20);
    }
    const unsigned ms = GetParam();
    voice->rest(ms);
    ear->listen(ms);
    EXPECT_GE(slot->counters().frames_filled, ms / 20 - 5) << "no time passed for the listener";
    for (std::uint8_t label = 6; label <= 10; ++label) {
        voice->say(label);
        ear->listen(20);
    }
    ear->listen(60);
    const Labels labels = ear->labels();
    const auto resumed = std::find(labels.begin(), labels.end(), 6);
    ASSERT_NE(resumed, labels.end());
    EXPECT_EQ(resumed - labels.begin(), 5 + ms / 20) << "neither more nor fewer";
    EXPECT_EQ(slot->counters().frames_filled, ms / 20);
    EXPECT_TRUE(std::equal(resumed, resumed + 5, Labels{6, 7, 8, 9, 10}.begin()));
}

// Shorter and longer than the depth of the jitter buffer.
INSTANTIATE_TEST_SUITE_P(Ms, ReceiveSilenceTest, ::testing::Values(140, 300, 900));

TEST_F(ReceiveTest, DoesNotWaitForPacketsOfASilenceThatWasFilled) {
    start();
    settle();
    voice->say(1);
    voice->rest(200);
    ear->listen(200);
    const std::int64_t sent_ns = monotonic_ns();
    voice->say(2);
    ASSERT_TRUE(ear->label(2));
    EXPECT_LT(ear->heard.back().at_ns - sent_ns, 30 * kMillisecond_ns);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_F(ReceiveTest, DeliversAllOfABurstAfterAStall) {
    start();
    settle();
    voice->say(1);
    ear->listen(300);  // the network holds packets back
    const std::uint64_t filled = slot->counters().frames_filled;
    for (std::uint8_t label = 2; label <= 9; ++label) voice->say(label);
    ASSERT_TRUE(ear->label(9));
    Labels labels = ear->labels();
    labels.erase(std::remove_if(labels.begin() + 1, labels.end(), [](int label) { return label <= 0; }), labels.end());
    EXPECT_EQ(labels, (Labels{1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
    EXPECT_LE(slot->counters().frames_filled, filled + 1) << "what comes late was not silence";
}

TEST_F(ReceiveTest, KeepsHalfAFrameThatAStallCameAfter) {
    start();
    settle();
    for (std::uint8_t label = 1; label <= 5; ++label) voice->say(label, 10);
    ear->listen(300);  // the network holds packets back
    const std::uint64_t filled = slot->counters().frames_filled;
    for (std::uint8_t label = 6; label <= 15; ++label) voice->say(label, 10);
    ear->listen(30);
    EXPECT_LE(slot->counters().frames_filled, filled + 1) << "what comes late was not silence";
    for (std::uint8_t label = 1; label <= 14; ++label) {
        std::size_t samples = 0;
        for (const Heard& frame : ear->of(Kind::Frame))
            samples += std::count(frame.pcm.begin(), frame.pcm.end(), label_pcm(label));
        EXPECT_GE(samples, 80U) << "of packet " << int{label};
    }
}

class ReceivePtimeTest : public ReceiveTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(ReceivePtimeTest, TakesPacketsOfAnyLength) {
    start();
    const unsigned ms = GetParam();
    for (std::uint8_t label = 1; label <= 12; ++label) {
        voice->say(label, ms);
        ear->listen(ms / 2);
    }
    ASSERT_TRUE(ear->frames(12 * ms / 20));
    Pcm heard;
    for (const Heard& frame : ear->of(Kind::Frame)) heard.insert(heard.end(), frame.pcm.begin(), frame.pcm.end());
    ASSERT_EQ(heard.size(), 12 * ms * 8);
    for (std::size_t i = 0; i < heard.size(); ++i)
        ASSERT_EQ(heard[i], label_pcm(static_cast<std::uint8_t>(1 + i / (ms * 8)))) << "at sample " << i;
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_P(ReceivePtimeTest, KeepsTimeOverALossOfPacketsOfAnyLength) {
    start();
    const unsigned ms = GetParam();
    for (std::uint8_t label = 1; label <= 12; ++label) {
        if (label == 6)
            voice->lose(ms);
        else
            voice->say(label, ms);
        ear->listen(ms / 2);
    }
    ASSERT_TRUE(ear->frames(12 * ms / 20));
    ear->listen(30);
    EXPECT_EQ(ear->count(Kind::Frame), 12 * ms / 20);
}

TEST_P(ReceivePtimeTest, PutsNothingBetweenPacketsThatComeInTime) {
    start();
    const unsigned ms = GetParam();
    const unsigned late_ms = 25;
    for (std::uint8_t label = 1; label <= 10; ++label) {  // every second one is late, but none too late
        if (label % 2 == 0) ear->listen(late_ms);
        voice->say(label, ms);
        ear->listen(label % 2 == 0 ? std::max(ms, late_ms) - late_ms : ms);
    }
    ear->listen(20);
    EXPECT_EQ(slot->counters().frames_filled, 0U);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
    EXPECT_EQ(ear->count(Kind::Frame), 10 * ms / 20);
}

TEST_P(ReceivePtimeTest, MakesUpNoMoreThanWasLost) {
    start();
    settle();
    const unsigned ms = GetParam();
    // A substitute fades the frame before it. Packet 5 is the quietest, so that its fade has no other packet's level.
    const auto label = [](unsigned packet) { return static_cast<std::uint8_t>(packet == 5 ? 20 : 100 + packet); };
    for (unsigned packet = 1; packet <= 12; ++packet) {
        if (packet == 6)
            voice->lose(ms);
        else
            voice->say(label(packet), ms);
        ear->listen(ms / 2);
    }
    ear->frames(12 * ms / 20);
    ear->listen(30);
    for (unsigned packet = 1; packet <= 12; ++packet) {
        if (packet == 5 || packet == 6) continue;
        std::size_t samples = 0;
        for (const Heard& frame : ear->of(Kind::Frame))
            samples += std::count(frame.pcm.begin(), frame.pcm.end(), label_pcm(label(packet)));
        EXPECT_EQ(samples, ms * 8) << "of packet " << packet;
    }
}

INSTANTIATE_TEST_SUITE_P(Ms, ReceivePtimeTest, ::testing::Values(10, 20, 30, 40, 60));

TEST_F(ReceiveTest, PassesTheWrapOfSequenceAndTimestamp) {
    start();
    voice->head.sequence = 0xFFFD;
    voice->head.timestamp = 0xFFFFFFFFU - 3 * 160 + 41;
    Labels expected;
    for (std::uint8_t label = 1; label <= 8; ++label) {
        voice->say(label);
        expected.push_back(label);
    }
    ASSERT_TRUE(ear->frames(8));
    ear->listen(60);
    EXPECT_EQ(ear->labels(), expected);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_F(ReceiveTest, FollowsAPeerThatStartsAnew) {
    start();
    for (std::uint8_t label = 1; label <= 5; ++label) voice->say(label);
    voice->head = {0, 40'000, 0x7A5A5A5A, 0xDEC0DE, false, {}};
    for (std::uint8_t label = 6; label <= 15; ++label) {
        voice->say(label);
        ear->listen(10);
    }
    ear->listen(60);
    const Labels labels = ear->labels();
    EXPECT_TRUE(std::equal(labels.begin(), labels.begin() + 5, Labels{1, 2, 3, 4, 5}.begin()));
    EXPECT_GE(std::count_if(labels.begin(), labels.end(), [](int label) { return label >= 6; }), 9)
        << "two packets prove a new sequence (RFC 3550 A.1): the first is lost";
    EXPECT_EQ(labels.back(), 15);
}

TEST_F(ReceiveTest, TellsOfSilenceOnceForEach) {
    Tuning tuning;
    tuning.silent_after_ns = 150 * kMillisecond_ns;
    start(kPcmu, PJMEDIA_DIR_ENCODING_DECODING, tuning);
    ear->listen(400);
    EXPECT_EQ(ear->count(Kind::Silent), 1U) << "also when no packet came at all";
    voice->say(1);
    ear->listen(100);
    EXPECT_EQ(ear->count(Kind::Silent), 1U);
    ear->listen(300);
    ASSERT_EQ(ear->count(Kind::Silent), 2U);
    EXPECT_NEAR(static_cast<double>(ear->of(Kind::Silent)[1].begin), 150, 60);
}

TEST_F(ReceiveTest, ExpectsNothingOfAPeerThatOnlyListens) {
    Tuning tuning;
    tuning.silent_after_ns = 100 * kMillisecond_ns;
    start(kPcmu, PJMEDIA_DIR_ENCODING, tuning);
    ear->listen(250);
    EXPECT_EQ(ear->count(Kind::Silent), 0U);
}

TEST_F(ReceiveTest, CountsWhatAReaderThatStandsStillMisses) {
    start();
    for (int i = 0; i < 130; ++i) {
        voice->say(static_cast<std::uint8_t>(1 + i % 100));
        if (i % 10 == 9) sleep_ms(2);
    }
    for (int i = 0; i < 100 && slot->counters().packets_received < 130; ++i) sleep_ms(10);
    const Counters counters = slot->counters();
    EXPECT_EQ(counters.frames_in, Inbox::kBacklogLimit);
    EXPECT_EQ(counters.frames_overrun, counters.packets_received - Inbox::kBacklogLimit + counters.frames_filled);
    ASSERT_TRUE(ear->frames(Inbox::kBacklogLimit));
    voice->say(7);
    ASSERT_TRUE(ear->frames(Inbox::kBacklogLimit + 1)) << "it goes on once it reads again";
}

TEST_F(ReceiveTest, IgnoresWhatIsNoRtpOrNotItsCodec) {
    start();
    settle();
    voice->say(1);
    Packet foreign = voice->prepare(2);
    --voice->head.sequence;
    voice->head.timestamp -= 160;
    foreign.payload_type = 96;
    call->peer.send(foreign);
    Packet empty = foreign;
    empty.payload_type = 0;
    empty.payload.clear();
    empty.sequence -= 1;
    call->peer.send(empty);
    voice->say(2);
    voice->say(3);
    ASSERT_TRUE(ear->frames(3));
    EXPECT_EQ(ear->labels(), (Labels{1, 2, 3}));
}

}  // namespace
}  // namespace offhook::test
