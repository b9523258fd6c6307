// The agent's voice, from the playout queue to the network.
#include "rig.hpp"

#include <algorithm>

namespace offhook::test {
namespace {

constexpr std::size_t kFrame = 160;
constexpr std::uint8_t kSilence = 0xFF;

class TransmitTest : public OneCall {
protected:
    static Pcm tone(std::uint8_t label, std::size_t frames) { return Pcm(frames * kFrame, label_pcm(label)); }

    bool play(std::uint8_t label, std::size_t frames, std::optional<Mark> mark = std::nullopt) {
        return slot->play(tone(label, frames), mark);
    }

    // All samples received by the peer within `ms`, as labels, including silence.
    Bytes wire(unsigned ms) {
        Bytes labels;
        const std::int64_t end_ns = monotonic_ns() + std::int64_t{ms} * 1'000'000;
        while (monotonic_ns() < end_ns)
            if (const auto packet = call->peer.receive(5)) append(labels, *packet);
        return labels;
    }

    static void append(Bytes& labels, const Packet& packet) {
        for (const std::uint8_t sample : packet.payload) labels.push_back(static_cast<std::uint8_t>(0xFF - sample));
    }

    static Bytes voiced(Bytes labels) {
        labels.erase(std::remove(labels.begin(), labels.end(), 0), labels.end());
        return labels;
    }

    void wait_until_played(std::uint64_t samples) {
        for (int i = 0; i < 500 && slot->position().played_samples < samples; ++i) sleep_ms(2);
        ASSERT_GE(slot->position().played_samples, samples);
    }
};

TEST_F(TransmitTest, SendsAFrameEveryPeriodWithNothingToSay) {
    start();
    call->peer.receive();
    call->peer.drain();
    const Bytes sent = wire(400);
    EXPECT_NEAR(static_cast<double>(sent.size()) / kFrame, 20, 4);
    EXPECT_TRUE(voiced(sent).empty());
    EXPECT_EQ(slot->position().played_samples, 0U);
}

TEST_F(TransmitTest, GivesATapEveryFrameOfTheWireWithItsTimeAndNobodyElseAny) {
    start();
    play(1, 3);
    wait_until_played(3 * kFrame);
    EXPECT_EQ(ear->count(Kind::Sent), 0U);
    slot->tap_sent(true);
    play(2, 5);
    ASSERT_TRUE(ear->until([&] { return ear->count(Kind::Sent) >= 10; }, 2000));
    slot->tap_sent(false);
    std::size_t voiced_samples = 0;
    std::int64_t last_ns = 0;
    for (const Heard& one : ear->heard) {
        if (one.kind != Kind::Sent) continue;
        ASSERT_EQ(one.pcm.size(), kFrame);
        EXPECT_GT(one.time_ns, last_ns);
        EXPECT_LE(one.time_ns, one.at_ns);
        last_ns = one.time_ns;
        voiced_samples += static_cast<std::size_t>(std::count(one.pcm.begin(), one.pcm.end(), label_pcm(2)));
    }
    EXPECT_EQ(voiced_samples, 5 * kFrame);
}

TEST_F(TransmitTest, CountsWhatATapMissesThatReadsNothing) {
    start();
    slot->tap_sent(true);
    for (int i = 0; i < 1000 && slot->counters().taps_missed == 0; ++i) sleep_ms(10);
    EXPECT_GT(slot->counters().taps_missed, 0U);
    EXPECT_EQ(slot->counters().send_errors, 0U);
}

TEST_F(TransmitTest, StampsFramesWithoutGaps) {
    start();
    play(1, 4);
    auto previous = call->peer.receive();
    ASSERT_TRUE(previous);
    for (int i = 0; i < 10; ++i) {
        const auto packet = call->peer.receive();
        ASSERT_TRUE(packet);
        EXPECT_EQ(static_cast<std::uint16_t>(packet->sequence - previous->sequence), 1);
        EXPECT_EQ(packet->timestamp - previous->timestamp, kFrame);
        previous = packet;
    }
}

TEST_F(TransmitTest, PlaysExactlyWhatItWasGiven) {
    start();
    Bytes expected;
    for (std::uint8_t label = 1; label <= 7; ++label) {
        const std::size_t samples = 33 * label;
        ASSERT_TRUE(slot->play(Pcm(samples, label_pcm(label)), std::nullopt));
        expected.insert(expected.end(), samples, label);
    }
    EXPECT_EQ(voiced(wire(250)), expected);
    EXPECT_EQ(slot->position().played_samples, expected.size());
    EXPECT_EQ(slot->position().queued_samples, 0U);
}

TEST_F(TransmitTest, TellsMarksInOrderAndThenThatTheQueueRanEmpty) {
    start();
    play(1, 2, 11);
    play(2, 1, 12);
    slot->play({}, 13);
    ASSERT_TRUE(ear->until([&] { return ear->count(Kind::Drained) == 1; }));
    ear->listen(50);
    std::vector<std::int64_t> told;
    for (const Heard& one : ear->heard)
        if (one.kind != Kind::Frame) told.push_back(one.kind == Kind::Mark ? one.begin : -1);
    EXPECT_EQ(told, (std::vector<std::int64_t>{11, 12, 13, -1}));
}

TEST_F(TransmitTest, TellsAMarkOnlyAfterItsSamplesWereSent) {
    start();
    play(1, 5, 1);
    ASSERT_TRUE(ear->until([&] { return ear->count(Kind::Mark) == 1; }));
    Bytes sent;
    while (const auto packet = call->peer.receive(0)) append(sent, *packet);
    EXPECT_EQ(voiced(sent).size(), 5 * kFrame);
}

TEST_F(TransmitTest, TellsEachTimeThatTheQueueRanEmpty) {
    start();
    for (std::size_t times = 1; times <= 3; ++times) {
        play(1, 1);
        ASSERT_TRUE(ear->until([&] { return ear->count(Kind::Drained) == times; }));
    }
    slot->play({}, 5);
    ASSERT_TRUE(ear->until([&] { return ear->count(Kind::Mark) == 1; }));
    ear->listen(50);
    EXPECT_EQ(ear->count(Kind::Drained), 3U);
}

TEST_F(TransmitTest, SendsNothingAfterAFlushThatWasQueuedBefore) {
    start();
    for (unsigned round = 0; round < 15; ++round) {
        call->peer.drain();
        const std::uint64_t played_before = slot->position().played_samples;
        play(1, 100, 1);
        wait_until_played(played_before + kFrame);
        sleep_ms(round * 3 % 20);
        const Flushed flushed = slot->flush();
        Bytes before;
        while (const auto packet = call->peer.receive(0)) append(before, *packet);
        EXPECT_EQ(voiced(before).size(), flushed.played_samples - played_before) << "position and wire disagree";
        EXPECT_EQ(flushed.played_samples - played_before + flushed.dropped_samples, 100 * kFrame);
        EXPECT_EQ(flushed.dropped_marks, std::vector<Mark>{1});
        EXPECT_TRUE(voiced(wire(45)).empty());
    }
}

TEST_F(TransmitTest, PlaysAtOnceAfterAFlush) {
    start();
    play(1, 50);
    wait_until_played(kFrame);
    slot->flush();
    call->peer.drain();
    play(2, 2);
    EXPECT_EQ(voiced(wire(100)), Bytes(2 * kFrame, 2));
}

TEST_F(TransmitTest, GoesOnExactlyWhereItPaused) {
    start();
    Bytes expected;
    for (std::uint8_t label = 1; label <= 20; ++label) {
        ASSERT_TRUE(slot->play(Pcm(110, label_pcm(label)), label == 20 ? std::optional<Mark>(1) : std::nullopt));
        expected.insert(expected.end(), 110, label);
    }
    Bytes sent;
    while (voiced(sent).size() < 2 * kFrame) append(sent, *call->peer.receive());
    slot->pause(true);
    const std::uint64_t held_at = slot->position().played_samples;
    const Bytes held = wire(100);
    EXPECT_EQ(slot->position().played_samples, held_at);
    EXPECT_GE(held.size(), 3 * kFrame) << "silence goes out meanwhile";
    sent.insert(sent.end(), held.begin(), held.end());
    EXPECT_EQ(voiced(sent).size(), held_at);
    slot->pause(false);
    const Bytes rest = wire(400);
    sent.insert(sent.end(), rest.begin(), rest.end());
    EXPECT_EQ(voiced(sent), expected);
}

TEST_F(TransmitTest, KeepsWhatIsPausedFromReachingMarks) {
    start();
    slot->pause(true);
    slot->play({}, 4);
    play(1, 1, 5);
    ear->listen(80);
    EXPECT_EQ(ear->count(Kind::Mark) + ear->count(Kind::Drained), 0U);
    slot->pause(false);
    EXPECT_TRUE(ear->until([&] { return ear->count(Kind::Mark) == 2; }));
}

TEST_F(TransmitTest, RefusesWhatExceedsTheLimit) {
    Tuning tuning;
    tuning.playout_limit_ms = 200;
    start(kPcmu, PJMEDIA_DIR_ENCODING_DECODING, tuning);
    slot->pause(true);
    EXPECT_TRUE(play(1, 10));
    EXPECT_FALSE(play(1, 1));
    EXPECT_EQ(slot->position().queued_samples, 10 * kFrame);
}

TEST_F(TransmitTest, RefusesToPlayBeforeAFirstStream) {
    Engine engine({}, 1);
    const auto slot = engine.open();
    EXPECT_FALSE(slot->play(tone(1, 1), std::nullopt));
    EXPECT_EQ(slot->rate_hz(), 0U);
}

TEST_F(TransmitTest, WaitsForAnAgentThatIsAFewMsLate) {
    start();
    play(1, 2);
    Bytes sent;
    for (std::uint8_t label = 2; label <= 12; ++label) {
        sleep_ms(20);
        play(label, 1);
    }
    const Bytes all = wire(100);
    const auto first = std::find_if(all.begin(), all.end(), [](std::uint8_t label) { return label != 0; });
    const auto last = std::find(all.begin(), all.end(), 12);
    EXPECT_EQ(std::count(first, last, 0), 0) << "a hole in a voice that was late by less than half a frame";
}

TEST_F(TransmitTest, KnowsHowLongWhatItIsGivenWillWait) {
    start();
    play(1, 5);
    call->peer.receive();
    const double wait_ms = slot->position().wait_ms;
    const std::int64_t asked_ns = monotonic_ns();
    play(2, 1);
    std::optional<Packet> packet;
    do packet = call->peer.receive();
    while (packet && packet->payload[0] != 0xFF - 2);
    ASSERT_TRUE(packet);
    EXPECT_NEAR(static_cast<double>(monotonic_ns() - asked_ns) / 1e6, wait_ms, 8);
    EXPECT_GE(wait_ms, 80);
}

TEST_F(TransmitTest, KeepsTheQueueWhileThePeerIsOnHold) {
    start(kPcmu, PJMEDIA_DIR_DECODING);
    play(1, 3, 1);
    EXPECT_TRUE(wire(120).empty());
    EXPECT_EQ(slot->position().queued_samples, 3 * kFrame);
    EXPECT_EQ(ear->count(Kind::Mark), 0U);
    EXPECT_EQ(slot->counters().frames_out, 0U);

    slot->detach();
    Call resumed;
    engine->attach(slot, resumed.stream);
    Bytes sent;
    for (int i = 0; i < 6; ++i)
        if (const auto packet = resumed.peer.receive()) append(sent, *packet);
    EXPECT_EQ(voiced(sent), Bytes(3 * kFrame, 1));
    slot->detach();
}

TEST_F(TransmitTest, CountsWhatTheWireSaw) {
    start();
    sleep_ms(200);
    slot->detach();
    const Counters counters = slot->counters();
    unsigned received = 0;
    while (call->peer.receive(20)) ++received;
    EXPECT_EQ(counters.packets_sent, received);
    EXPECT_EQ(counters.frames_out, received);
    EXPECT_EQ(counters.send_errors, 0U);
}

}  // namespace
}  // namespace offhook::test
