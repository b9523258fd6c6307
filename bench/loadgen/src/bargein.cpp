#include "bargein.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>

#include "driver.hpp"
#include "ramp.hpp"
#include "speech.hpp"

namespace loadgen {
namespace {

constexpr int kVoicePeak = 300;                   // far above line noise, far below any agent's voice
constexpr Nanos kStopped = 500 * kMillisecond;    // silence that counts as the end of the agent's voice
constexpr Nanos kNeverStopped = 3 * kSecond;      // speaking against a voice that goes on
constexpr Nanos kAnswerLimit = 10 * kSecond;      // for the agent to begin to speak (again)

enum class Phase { kWaiting, kListening, kSpeaking, kDone };

struct Track {
  Phase phase = Phase::kWaiting;
  Nanos deadline = 0;
  Nanos speak_at = 0;
  Nanos first_speech = 0;
  Nanos last_voice = 0;
  std::size_t frame = 0;
  unsigned rounds_left = 0;
};

double percentile(std::vector<double>& values, double percent) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(1.0, rank)) - 1];
}

class BargeIn final : public Scenario {
 public:
  explicit BargeIn(const Options& options)
      : driver_(options, *this),
        ramp_(driver_, options.calls, options.rate, options.settle_seconds),
        random_(options.seed),
        listen_(static_cast<Nanos>(options.listen_seconds * kSecond)),
        rounds_(options.rounds),
        min_speech_ms_(options.min_speech_ms) {}

  void run(const std::atomic<bool>& stop) {
    driver_.run(stop);
    report();
  }

  // The callers wait for each other: all are up before the first one interrupts.
  bool on_tick(Nanos now) override {
    if (!begun_) {
      if (!ramp_.on_tick(now)) return true;
      if (driver_.up() == 0) return false;
      begun_ = true;
      driver_.begin_measuring(now);
      tracks_.resize(driver_.dialled());
      for (Track& track : tracks_) {
        track.phase = Phase::kWaiting;
        track.deadline = now + kAnswerLimit + 2 * listen_;
        track.rounds_left = rounds_;
      }
    }
    std::size_t busy = 0;
    for (std::size_t index = 0; index < tracks_.size(); ++index) {
      if (!driver_.leg(index).answered || driver_.leg(index).flow == nullptr) continue;
      check(tracks_[index], now);
      if (tracks_[index].phase != Phase::kDone) ++busy;
    }
    if (busy == 0) driver_.end_measuring(now);
    return busy > 0;
  }

  void fill(Leg& leg, Nanos now, std::uint8_t* payload) override {
    Track& track = track_of(leg);
    if (track.phase == Phase::kListening && now >= track.speak_at) {
      track.phase = Phase::kSpeaking;
      track.first_speech = now;
      track.deadline = now + kNeverStopped;
      track.frame = 0;
    }
    const bool speaks = track.phase == Phase::kSpeaking;
    std::memcpy(payload, speaks ? speech_.frame(track.frame) : noise_.frame(track.frame), kPayloadBytes);
    ++track.frame;
  }

  void on_packet(Leg& leg, const RtpPacket& packet) override {
    if (!packet.is_pcmu_frame() || peak(packet.payload, packet.size) < kVoicePeak) return;
    Track& track = track_of(leg);
    track.last_voice = packet.arrived;
    if (track.phase != Phase::kWaiting || !begun_) return;
    track.phase = Phase::kListening;
    track.speak_at = packet.arrived + listen_ + static_cast<Nanos>(random_() % static_cast<std::uint64_t>(listen_));
  }

 private:
  Track& track_of(const Leg& leg) {
    while (tracks_.size() <= leg.call->index()) tracks_.emplace_back();
    return tracks_[leg.call->index()];
  }

  void check(Track& track, Nanos now) {
    switch (track.phase) {
      case Phase::kSpeaking:
        if (now - std::max(track.last_voice, track.first_speech) >= kStopped) {
          note_stop(track);
          next_round(track, now);
        } else if (now >= track.deadline) {
          ++not_stopped_;
          next_round(track, now);
        }
        break;
      case Phase::kWaiting:
      case Phase::kListening:
        if (now < track.deadline) break;
        ++never_spoke_;
        track.phase = Phase::kDone;
        break;
      case Phase::kDone:
        break;
    }
  }

  void note_stop(const Track& track) {
    const Nanos voice_went_on = track.last_voice - track.first_speech;
    stop_ms_.push_back(to_ms(voice_went_on) - min_speech_ms_);
  }

  void next_round(Track& track, Nanos now) {
    track.frame = 0;
    track.phase = --track.rounds_left > 0 ? Phase::kWaiting : Phase::kDone;
    track.deadline = now + kAnswerLimit + 2 * listen_;
  }

  void report() {
    JsonObject stop;
    stop.number("p50", percentile(stop_ms_, 50)).number("p99", percentile(stop_ms_, 99));
    stop.number("max", percentile(stop_ms_, 100)).number("min", percentile(stop_ms_, 0));
    JsonObject result;
    result.text("event", "result")
        .text("mode", "bargein")
        .integer("calls", static_cast<std::int64_t>(driver_.dialled()))
        .integer("answered", static_cast<std::int64_t>(driver_.answered()))
        .integer("failed", static_cast<std::int64_t>(driver_.failed()))
        .object("failures", driver_.failures())
        .integer("interruptions", static_cast<std::int64_t>(stop_ms_.size()))
        .integer("not_stopped", static_cast<std::int64_t>(not_stopped_))
        .integer("agent_never_spoke", static_cast<std::int64_t>(never_spoke_))
        .integer("min_speech_ms", min_speech_ms_)
        .object("stop_ms", stop)
        .object("generator", driver_.health());
    print_line(result);
  }

  Driver driver_;
  Ramp ramp_;
  std::mt19937_64 random_;
  Nanos listen_;  // an agent that has spoken this long has its audio queued
  unsigned rounds_;
  unsigned min_speech_ms_;
  Speech speech_;
  LineNoise noise_;
  bool begun_ = false;
  std::deque<Track> tracks_;  // by call
  std::vector<double> stop_ms_;
  std::uint64_t not_stopped_ = 0;
  std::uint64_t never_spoke_ = 0;
};

}  // namespace

void run_bargein(const Options& options, const std::atomic<bool>& stop) { BargeIn(options).run(stop); }

}  // namespace loadgen
