// Codecs with special packets: the RTP clock of G.722, the packet lengths of Opus.
#include "rig.hpp"

#include <opus/opus.h>

#include <algorithm>
#include <cmath>
#include <memory>

namespace offhook::test {
namespace {

constexpr double kPi = 3.14159265358979323846;

double rms(const Pcm& pcm) {
    double sum = 0;
    for (const std::int16_t sample : pcm) sum += static_cast<double>(sample) * sample;
    return pcm.empty() ? 0 : std::sqrt(sum / static_cast<double>(pcm.size()));
}

class G722Test : public OneCall {};

TEST_F(G722Test, IsDeliveredFrameByFrameThoughItsClockRunsAtHalfItsRate) {
    start(kG722);
    EXPECT_EQ(slot->rate_hz(), 16'000U);
    settle([] { return Bytes(160, 0xFA); });
    // The peer's packets come from our own encoder: the test sends them back, as if two calls talked to each other.
    Pcm tone(16'000);
    for (std::size_t i = 0; i < tone.size(); ++i)
        tone[i] = static_cast<std::int16_t>(8000 * std::sin(2 * kPi * 440 * static_cast<double>(i) / 16'000));
    slot->play(tone, std::nullopt);
    std::size_t sent = 0;
    while (sent < 40) {
        const auto packet = call->peer.receive();
        ASSERT_TRUE(packet);
        ASSERT_EQ(packet->payload.size(), 160U);
        voice->send(packet->payload, 20);
        ++sent;
        ASSERT_TRUE(ear->frames(sent, 200)) << "after packet " << sent;
    }
    ear->listen(20);
    EXPECT_EQ(ear->count(Kind::Frame), sent);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
    for (const Heard& frame : ear->of(Kind::Frame)) EXPECT_EQ(frame.pcm.size(), 320U);
    EXPECT_NEAR(rms(ear->of(Kind::Frame)[30].pcm), 8000 / std::sqrt(2), 800);
}

TEST_F(G722Test, ConcealsALoss) {
    start(kG722);
    const Bytes quiet(160, 0xFA);
    settle([&] { return quiet; });
    for (int i = 0; i < 6; ++i) voice->send(quiet, 20);
    voice->lose();
    for (int i = 0; i < 3; ++i) voice->send(quiet, 20);
    ASSERT_TRUE(ear->frames(10));
    ear->listen(50);
    EXPECT_EQ(ear->count(Kind::Frame), 10U);
    EXPECT_EQ(slot->counters().frames_concealed, 1U);
}

// Speech in packets of one Opus frame of the given length: with a narrow band the encoder uses SILK, whose frames may
// last 60 ms.
class OpusSpeaker {
public:
    explicit OpusSpeaker(unsigned ms) : ms_(ms) {
        int error = 0;
        encoder_.reset(opus_encoder_create(kRate_hz, 1, OPUS_APPLICATION_VOIP, &error));
        opus_encoder_ctl(encoder_.get(), OPUS_SET_BANDWIDTH(OPUS_BANDWIDTH_WIDEBAND));
        opus_encoder_ctl(encoder_.get(), OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
        opus_encoder_ctl(encoder_.get(), OPUS_SET_BITRATE(32'000));
        opus_encoder_ctl(encoder_.get(), OPUS_SET_INBAND_FEC(1));
        opus_encoder_ctl(encoder_.get(), OPUS_SET_PACKET_LOSS_PERC(20));
    }

    Bytes packet(double amplitude = 8000) {
        Pcm pcm(kRate_hz * ms_ / 1000);
        for (std::int16_t& sample : pcm)
            sample =
                static_cast<std::int16_t>(amplitude * std::sin(2 * kPi * 300 * static_cast<double>(at_++) / kRate_hz));
        Bytes packet(1000);
        const int size = opus_encode(encoder_.get(), pcm.data(), static_cast<int>(pcm.size()), packet.data(),
                                     static_cast<int>(packet.size()));
        packet.resize(static_cast<std::size_t>(std::max(size, 0)));
        return packet;
    }

private:
    static constexpr unsigned kRate_hz = 16'000;
    struct Free {
        void operator()(OpusEncoder* encoder) const { opus_encoder_destroy(encoder); }
    };
    const unsigned ms_;
    std::unique_ptr<OpusEncoder, Free> encoder_;
    std::uint64_t at_ = 0;
};

class OpusTest : public OneCall, public ::testing::WithParamInterface<unsigned> {
protected:
    void speak(unsigned packets) {
        for (unsigned i = 0; i < packets; ++i) {
            voice->send(speaker.packet(), GetParam());
            ear->listen(GetParam() / 2);
        }
    }

    OpusSpeaker speaker{GetParam()};
};

TEST_P(OpusTest, DeliversPacketsOfAnyLengthInWholeFrames) {
    start(kOpus);
    speak(12);
    const std::size_t expected = 12 * GetParam() / 20;
    ear->frames(expected);
    ear->listen(30);
    EXPECT_EQ(ear->count(Kind::Frame), expected);
    const auto frames = ear->of(Kind::Frame);
    // The level of SILK rises slowly.
    for (std::size_t i = 120 / 20; i < frames.size(); ++i)
        EXPECT_NEAR(rms(frames[i].pcm), 8000 / std::sqrt(2), 1500) << "frame " << i;
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_P(OpusTest, KeepsTimeOverLosses) {
    start(kOpus);
    settle([&] { return speaker.packet(); }, GetParam());
    speak(5);
    for (int round = 0; round < 3; ++round) {
        (void)speaker.packet();
        voice->lose(GetParam());
        speak(4);
        ear->listen(25);  // shorter than a silence that is filled
    }
    const std::size_t expected = (5 + 3 * 5) * GetParam() / 20;
    ear->frames(expected, 300);
    EXPECT_EQ(ear->count(Kind::Frame), expected);
    EXPECT_EQ(slot->counters().frames_concealed, std::max(3 * GetParam() / 20, 3U));
}

TEST_P(OpusTest, KeepsTimeOverASilence) {
    start(kOpus);
    speak(6);
    ear->frames(6 * GetParam() / 20);
    const std::size_t before = ear->count(Kind::Frame);
    const unsigned rest_ms = std::max(160U, 4 * GetParam());
    voice->rest(rest_ms);
    ear->listen(rest_ms);
    speak(6);
    ear->listen(20);
    // The clock checks once per period whether to fill, so its phase may cause one frame more or less.
    EXPECT_NEAR(static_cast<double>(ear->count(Kind::Frame) - before), (rest_ms + 6 * GetParam()) / 20, 1);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_P(OpusTest, DeliversAPacketWhenItComes) {
    start(kOpus);
    settle([&] { return speaker.packet(0); }, GetParam());
    const unsigned packets = GetParam() < 20 ? 2 : 1;  // per frame
    for (unsigned i = 0; i < packets; ++i) voice->send(speaker.packet(), GetParam());
    ASSERT_TRUE(ear->frames(packets * GetParam() / 20, 60));
    EXPECT_GT(rms(ear->of(Kind::Frame).back().pcm), 1000);
}

TEST_P(OpusTest, RestoresALossFromThePacketAfterIt) {
    start(kOpus);
    settle([&] { return speaker.packet(0); }, GetParam());
    (void)speaker.packet();
    voice->lose(GetParam());  // the voice begins in this packet
    for (int i = 0; i < 3; ++i) voice->send(speaker.packet(), GetParam());
    const unsigned concealed = std::max(GetParam() / 20, 1U);
    ASSERT_TRUE(ear->frames(concealed));
    EXPECT_GT(rms(ear->of(Kind::Frame)[concealed - 1].pcm), 1000);
    EXPECT_EQ(slot->counters().frames_concealed, concealed);
}

TEST_P(OpusTest, KnowsTheLengthOfPacketsThatBeganBeforeItListened) {
    engine.emplace(Tuning{}, 1);
    call.emplace(kOpus);
    voice.emplace(call->peer, kOpus);
    for (int i = 0; i < 2; ++i) voice->send(speaker.packet(), GetParam());
    sleep_ms(30);
    slot = engine->open();
    engine->attach(slot, call->stream);
    ear.emplace(engine->inbox());
    speak(12);
    ear->listen(30);
    EXPECT_EQ(ear->count(Kind::Frame), 12 * GetParam() / 20);
    EXPECT_EQ(slot->counters().frames_concealed, 0U);
}

TEST_P(OpusTest, MeasuresJitterByItsClock) {
    if (GetParam() != 20) return;  // one length is enough
    start(kOpus);
    for (int i = 0; i < 60; ++i) {  // pjmedia ignores the first 25
        voice->send(speaker.packet(), 20);
        ear->listen(20);
    }
    EXPECT_LT(slot->counters().jitter_ms, 15);
}

INSTANTIATE_TEST_SUITE_P(Ms, OpusTest, ::testing::Values(10, 20, 40, 60));

}  // namespace
}  // namespace offhook::test
