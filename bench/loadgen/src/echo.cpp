#include "echo.hpp"

#include <algorithm>
#include <deque>

#include "driver.hpp"
#include "ramp.hpp"
#include "stamp.hpp"

namespace loadgen {
namespace {

constexpr Nanos kDrain = kSecond;  // after the window, for echoes still under way

// What a stamp keeps of a time: both ends of the window are judged on it, at sending and at return alike.
Nanos whole_microseconds(Nanos time) { return time / kMicrosecond * kMicrosecond; }

struct Track {
  std::array<bool, 256> awaited{};  // by sequence number: sent in the window, not yet back
  Nanos least_latency = INT64_MAX;
  Nanos last_arrival = 0;
  std::uint16_t last_wire_sequence = 0;
  bool heard = false;
};

class Echo final : public Scenario {
 public:
  explicit Echo(const Options& options)
      : driver_(options, *this),
        ramp_(driver_, options.calls, options.rate, options.settle_seconds),
        seconds_(options.seconds) {}

  void run(const std::atomic<bool>& stop) {
    driver_.run(stop);
    report();
  }

  bool on_tick(Nanos now) override {
    if (begin_ == 0) {
      if (!ramp_.on_tick(now)) return true;
      if (driver_.up() == 0) return false;
      begin_ = now;
      end_ = now + static_cast<Nanos>(seconds_ * kSecond);
      driver_.begin_measuring(now);
      return true;
    }
    if (now >= end_ && !measured_) {
      measured_ = true;
      driver_.end_measuring(now);
    }
    return now < end_ + kDrain;
  }

  void fill(Leg& leg, Nanos now, std::uint8_t* payload) override {
    const std::uint16_t sequence = leg.flow->next_sequence();
    write_stamp({leg.flow->id(), sequence, wire_microseconds(now)}, payload);
    Track& track = track_of(leg);
    bool& awaited = track.awaited[sequence % track.awaited.size()];
    awaited = in_window(whole_microseconds(now));
    if (awaited) ++sent_;
  }

  void on_packet(Leg& leg, const RtpPacket& packet) override {
    Track& track = track_of(leg);
    if (in_window(packet.arrived)) note_arrival(track, packet);
    track.last_arrival = packet.arrived;
    track.last_wire_sequence = packet.sequence;
    track.heard = true;
    const auto stamp = packet.is_pcmu_frame() ? read_stamp(packet.payload) : std::nullopt;
    if (!stamp) {
      if (in_window(packet.arrived)) ++unstamped_;
      return;
    }
    if (stamp->flow != leg.flow->id()) {
      ++strangers_;
      return;
    }
    note_echo(track, *stamp, packet.arrived);
  }

 private:
  Track& track_of(const Leg& leg) {
    while (tracks_.size() <= leg.call->index()) tracks_.emplace_back();
    return tracks_[leg.call->index()];
  }

  bool in_window(Nanos time) const { return begin_ != 0 && time >= begin_ && time < end_; }

  void note_arrival(const Track& track, const RtpPacket& packet) {
    if (!track.heard) return;
    gap_.record(packet.arrived - track.last_arrival);
    const auto step = static_cast<std::int16_t>(packet.sequence - track.last_wire_sequence);
    if (step > 1) wire_lost_ += static_cast<std::uint64_t>(step - 1);
    if (step < 1) ++wire_disordered_;
  }

  void note_echo(Track& track, const Stamp& stamp, Nanos arrived) {
    const auto latency_us = static_cast<std::int32_t>(wire_microseconds(arrived) - stamp.sent_us);
    const Nanos latency = latency_us * kMicrosecond;
    if (!in_window(whole_microseconds(arrived) - latency)) return;
    bool& awaited = track.awaited[stamp.sequence % track.awaited.size()];
    if (!awaited) {
      ++duplicates_;
      return;
    }
    awaited = false;
    ++returned_;
    echo_.record(latency);
    track.least_latency = std::min(track.least_latency, latency);
  }

  // What even the fastest packet of a call took: more than a frame of it is audio that stands in a queue for good.
  Histogram standing_latency() const {
    Histogram least;
    for (const Track& track : tracks_) {
      if (track.least_latency != INT64_MAX) least.record(track.least_latency);
    }
    return least;
  }

  void report() {
    const double lost = sent_ > 0 ? 100.0 * static_cast<double>(sent_ - returned_) / static_cast<double>(sent_) : 0.0;
    JsonObject result;
    result.text("event", "result")
        .text("mode", "echo")
        .integer("calls", static_cast<std::int64_t>(driver_.dialled()))
        .integer("answered", static_cast<std::int64_t>(driver_.answered()))
        .integer("failed", static_cast<std::int64_t>(driver_.failed()))
        .object("failures", driver_.failures())
        .integer("rtp_tx", static_cast<std::int64_t>(sent_))
        .integer("rtp_rx", static_cast<std::int64_t>(returned_))
        .number("loss_pct", lost, 4)
        .object("echo_ms", percentiles_ms(echo_))
        .object("echo_least_ms", percentiles_ms(standing_latency()))
        .object("gap_ms", percentiles_ms(gap_))
        .integer("rtp_duplicates", static_cast<std::int64_t>(duplicates_))
        .integer("rtp_unstamped", static_cast<std::int64_t>(unstamped_))
        .integer("rtp_of_other_calls", static_cast<std::int64_t>(strangers_))
        .integer("rtp_wire_lost", static_cast<std::int64_t>(wire_lost_))
        .integer("rtp_wire_disordered", static_cast<std::int64_t>(wire_disordered_))
        .object("generator", driver_.health());
    print_line(result);
  }

  Driver driver_;
  Ramp ramp_;
  double seconds_;
  Nanos begin_ = 0;
  Nanos end_ = 0;
  bool measured_ = false;
  std::deque<Track> tracks_;  // by call
  Histogram echo_;
  Histogram gap_;
  std::uint64_t sent_ = 0;
  std::uint64_t returned_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t unstamped_ = 0;
  std::uint64_t strangers_ = 0;
  std::uint64_t wire_lost_ = 0;
  std::uint64_t wire_disordered_ = 0;
};

}  // namespace

void run_echo(const Options& options, const std::atomic<bool>& stop) { Echo(options).run(stop); }

}  // namespace loadgen
