// Streams and slots that are created and destroyed while packets arrive.
#include "rig.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <thread>

namespace offhook::test {
namespace {

// Runs `work` repeatedly on its own thread until it goes out of scope.
class Busy {
public:
    explicit Busy(std::function<void()> work)
        : thread_([this, work = std::move(work)] {
              pj_thread_desc descriptor{};
              pj_thread_t* self = nullptr;
              pj_thread_register("busy", descriptor, &self);
              while (!stop_) work();
          }) {}
    ~Busy() {
        stop_ = true;
        thread_.join();
    }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST(LifetimeTest, DetachReturnsWhenNobodyIsInside) {
    Engine engine({}, 1);
    Ear ear(engine.inbox());
    for (int round = 0; round < 30; ++round) {
        Call call;
        const auto slot = engine.open();
        engine.attach(slot, call.stream);
        Voice voice(call.peer);
        {
            Busy peer([&] {
                for (std::uint8_t label = 1; label < 20; ++label) voice.say(label);
                std::this_thread::yield();
            });
            sleep_ms(static_cast<unsigned>(round % 7));
            slot->detach();
            call.destroy();
        }
        ear.listen(1);
        ear.forget();
    }
}

TEST(LifetimeTest, DeliversNothingAfterDetach) {
    Engine engine({}, 1);
    Ear ear(engine.inbox());
    Call call;
    const auto slot = engine.open();
    engine.attach(slot, call.stream);
    Voice voice(call.peer);
    voice.say(1);
    ASSERT_TRUE(ear.frames(1));
    slot->detach();
    slot->detach();
    ear.listen(10);
    ear.forget();
    for (std::uint8_t label = 2; label < 9; ++label) voice.say(label);
    ear.listen(50);
    EXPECT_TRUE(ear.heard.empty());
    EXPECT_EQ(slot->counters().frames_in, 1U);
    EXPECT_EQ(slot->counters().packets_received, 1U);
}

TEST(LifetimeTest, AStreamOutlivesItsDestructionWhileItIsAttached) {
    Engine engine({}, 1);
    Ear ear(engine.inbox());
    auto call = std::make_unique<Call>();
    const auto slot = engine.open();
    engine.attach(slot, call->stream);
    Voice(call->peer).say(1);
    ASSERT_TRUE(ear.frames(1));
    call->destroy();
    sleep_ms(60);
    (void)slot->counters();
    slot->detach();
}

TEST(LifetimeTest, ASlotMayBeForgottenWhileItsStreamLives) {
    Engine engine({}, 1);
    Call call;
    Voice voice(call.peer);
    std::weak_ptr<Slot> forgotten;
    {
        const auto slot = engine.open();
        forgotten = slot;
        engine.attach(slot, call.stream);
        slot->detach();
    }
    for (std::uint8_t label = 1; label < 9; ++label) voice.say(label);
    sleep_ms(30);
    call.destroy();
    for (int i = 0; i < 100 && !forgotten.expired(); ++i) sleep_ms(10);
    EXPECT_TRUE(forgotten.expired());
}

TEST(LifetimeTest, AnEngineMayGoBeforeItsSlotsAndStreams) {
    auto engine = std::make_unique<Engine>(Tuning{}, 2);
    std::vector<std::unique_ptr<Call>> calls;
    std::vector<std::shared_ptr<Slot>> slots;
    for (int i = 0; i < 4; ++i) {
        calls.push_back(std::make_unique<Call>());
        slots.push_back(engine->open());
        engine->attach(slots.back(), calls.back()->stream);
    }
    Voice voice(calls[0]->peer);
    Voice other(calls[1]->peer);
    for (std::uint8_t label = 1; label < 5; ++label) voice.say(label);
    engine.reset();
    for (std::uint8_t label = 5; label < 15; ++label) {
        voice.say(label);
        other.say(label);
    }
    sleep_ms(30);
    slots[1].reset();
    for (const auto& slot : slots)
        if (slot) slot->detach();
    calls.clear();
}

TEST(LifetimeTest, ASlotTakesOneStreamAtATimeAndOfOneRate) {
    Engine engine({}, 1);
    Call first;
    Call second;
    Call wide(kG722);
    const auto slot = engine.open();
    engine.attach(slot, first.stream);
    EXPECT_THROW(engine.attach(slot, second.stream), std::invalid_argument);
    slot->detach();
    EXPECT_THROW(engine.attach(slot, wide.stream), std::invalid_argument);
    engine.attach(slot, second.stream);
    EXPECT_EQ(slot->rate_hz(), 8000U);
    slot->detach();
}

TEST(LifetimeTest, KeepsTheQueueAcrossStreams) {
    Engine engine({}, 1);
    const auto slot = engine.open();
    std::uint64_t heard = 0;
    for (int i = 0; i < 3; ++i) {
        Call call;
        engine.attach(slot, call.stream);
        if (i == 0) {
            ASSERT_TRUE(slot->play(Pcm(100 * 160, label_pcm(9)), std::nullopt));
        }
        sleep_ms(70);
        slot->detach();
        while (const auto packet = call.peer.receive(0))
            heard += static_cast<std::uint64_t>(std::count(packet->payload.begin(), packet->payload.end(), 0xFF - 9));
        EXPECT_EQ(slot->position().played_samples, heard);
    }
    EXPECT_EQ(slot->flush().dropped_samples, 100 * 160 - heard);
}

TEST(LifetimeTest, SurvivesEverythingAtOnce) {
    constexpr std::size_t kCalls = 50;
    Engine engine({}, 2);
    std::vector<std::unique_ptr<Call>> calls;
    std::vector<std::shared_ptr<Slot>> slots;
    std::vector<std::unique_ptr<Voice>> voices;
    for (std::size_t i = 0; i < kCalls; ++i) {
        calls.push_back(std::make_unique<Call>(i % 5 == 0 ? kG722 : kPcmu));
        slots.push_back(engine.open());
        voices.push_back(std::make_unique<Voice>(calls.back()->peer, i % 5 == 0 ? kG722 : kPcmu));
        engine.attach(slots.back(), calls.back()->stream);
    }
    std::uint64_t frames = 0;
    {
        Busy peers([&, random = std::mt19937(1)]() mutable {
            for (const auto& voice : voices) {
                if (random() % 10 == 0)
                    voice->lose();
                else
                    voice->say(static_cast<std::uint8_t>(1 + random() % 100));
                if (random() % 30 != 0) continue;
                Packet digit = voice->head;
                digit.payload_type = kEventPayloadType;
                digit.payload = {5, static_cast<std::uint8_t>(random() % 2 == 0 ? 0x8A : 0x0A), 1, 64};
                ++voice->head.sequence;
                calls[static_cast<std::size_t>(&voice - voices.data())]->peer.send(digit);
            }
            sleep_ms(10);
        });
        Busy sip([&, random = std::mt19937(2)]() mutable {
            const std::size_t i = random() % kCalls;
            slots[i]->detach();
            if (random() % 4 == 0) std::this_thread::yield();
            engine.attach(slots[i], calls[i]->stream);
        });
        Busy agent([&, random = std::mt19937(3)]() mutable {
            const auto& slot = slots[random() % kCalls];
            switch (random() % 6) {
                case 0:
                    slot->flush();
                    break;
                case 1:
                    slot->pause(random() % 2 == 0);
                    break;
                case 2:
                    (void)slot->counters();
                    break;
                case 3:
                    (void)slot->position();
                    break;
                default:
                    slot->play(Pcm(random() % 2000, 1000), static_cast<Mark>(random() % 100));
            }
        });
        Ear ear(engine.inbox());
        const std::int64_t end_ns = monotonic_ns() + 2'500'000'000;
        while (monotonic_ns() < end_ns) {
            ear.listen(20);
            frames += ear.count(Kind::Frame);
            ear.forget();
        }
    }
    EXPECT_GT(frames, 1000U);
    for (std::size_t i = 0; i < kCalls; ++i) {
        slots[i]->detach();
        calls[i].reset();
    }
}

}  // namespace
}  // namespace offhook::test
