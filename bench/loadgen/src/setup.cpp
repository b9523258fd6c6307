#include "setup.hpp"

#include <algorithm>
#include <deque>

#include "driver.hpp"
#include "stamp.hpp"

namespace loadgen {
namespace {

class Setup final : public Scenario {
 public:
  explicit Setup(const Options& options)
      : driver_(options, *this),
        period_(static_cast<Nanos>(kSecond / options.rate)),
        hold_(static_cast<Nanos>(options.live / options.rate * kSecond)),
        dialling_(static_cast<Nanos>(options.seconds * kSecond)) {}

  void run(const std::atomic<bool>& stop) {
    driver_.run(stop);
    report();
  }

  // The calls of the first hold time bring the load up; the following dialling_ nanoseconds are measured.
  bool on_tick(Nanos now) override {
    if (begin_ == 0) begin_ = dial_due_ = now;
    const Nanos measure_at = begin_ + hold_;
    const Nanos stop_at = measure_at + dialling_;
    if (!measuring_ && now >= measure_at) {
      measuring_ = true;
      live_min_ = driver_.up();
      driver_.begin_measuring(now);
    }
    while (now < stop_at && now >= dial_due_) {
      if (measuring_) ++dialled_;
      in_window_.push_back(measuring_);
      driver_.dial(now);
      dial_due_ += period_;
    }
    end_held(now);
    if (now < stop_at) {
      live_max_ = std::max(live_max_, driver_.up());
      if (measuring_) live_min_ = std::min(live_min_, driver_.up());
      return true;
    }
    if (!measured_) {
      measured_ = true;
      driver_.end_measuring(now);
    }
    const bool unanswered = driver_.answered() + driver_.failed() < driver_.dialled();
    return !held_.empty() || (unanswered && now < stop_at + kAnswerLimit);
  }

  void on_answered(Leg& leg) override {
    held_.push_back(leg.call->index());
    const Nanos setup = leg.answered_at - leg.call->invited_at();
    if (!in_window_[leg.call->index()]) return;
    setup_.record(setup);
    ++answered_;
  }

  void on_ended(Leg& leg) override {
    if (leg.answered && leg.packets_received == 0) driver_.count_failure("no_media");
  }

  void fill(Leg& leg, Nanos now, std::uint8_t* payload) override {
    write_stamp({leg.flow->id(), leg.flow->next_sequence(), wire_microseconds(now)}, payload);
  }

  void on_packet(Leg&, const RtpPacket&) override {}

 private:
  static constexpr Nanos kAnswerLimit = 35 * kSecond;

  void end_held(Nanos now) {
    while (!held_.empty() && now >= driver_.leg(held_.front()).answered_at + hold_) {
      driver_.hang_up(driver_.leg(held_.front()), now);
      held_.pop_front();
    }
  }

  void report() {
    const double seconds = static_cast<double>(dialling_) / kSecond;
    JsonObject result;
    result.text("event", "result")
        .text("mode", "setup")
        .number("cps", static_cast<double>(answered_) / seconds, 2)
        .integer("failed", static_cast<std::int64_t>(driver_.failed()))
        .object("failures", driver_.failures())
        .integer("live", static_cast<std::int64_t>(live_max_))
        .integer("live_min", static_cast<std::int64_t>(live_min_))
        .integer("calls", static_cast<std::int64_t>(driver_.dialled()))
        .integer("answered", static_cast<std::int64_t>(driver_.answered()))
        .integer("dialled_in_window", static_cast<std::int64_t>(dialled_))
        .integer("answered_in_window", static_cast<std::int64_t>(answered_))
        .object("setup_ms", percentiles_ms(setup_))
        .object("generator", driver_.health());
    print_line(result);
  }

  Driver driver_;
  Nanos period_;
  Nanos hold_;
  Nanos dialling_;
  Nanos begin_ = 0;
  Nanos dial_due_ = 0;
  bool measuring_ = false;
  bool measured_ = false;
  std::deque<std::uint32_t> held_;  // up, in the order of their answers
  std::deque<bool> in_window_;      // by call: dialled in the measured time
  std::size_t live_max_ = 0;
  std::size_t live_min_ = 0;
  std::uint64_t dialled_ = 0;
  std::uint64_t answered_ = 0;
  Histogram setup_;
};

}  // namespace

void run_setup(const Options& options, const std::atomic<bool>& stop) { Setup(options).run(stop); }

}  // namespace loadgen
