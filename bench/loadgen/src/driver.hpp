// Runs a scenario: signalling, media and time in one loop on one thread.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "histogram.hpp"
#include "json.hpp"
#include "options.hpp"
#include "rtp_flow.hpp"
#include "user_agent.hpp"

namespace loadgen {

// A call and its media.
struct Leg {
  Call* call = nullptr;
  std::unique_ptr<RtpFlow> flow;  // until the call has ended
  std::size_t slot = 0;
  bool answered = false;
  Nanos answered_at = 0;
  std::uint64_t packets_received = 0;
};

// What a kind of load does. Every method is called from the driver's loop.
class Scenario {
 public:
  virtual ~Scenario() = default;
  // About once a millisecond (every second slot); false ends the run: everybody is hung up.
  virtual bool on_tick(Nanos now) = 0;
  virtual void on_answered(Leg&) {}
  virtual void on_ended(Leg&) {}
  // The next 20 ms of what the caller says. now is the time of sending.
  virtual void fill(Leg& leg, Nanos now, std::uint8_t* payload) = 0;
  virtual void on_packet(Leg& leg, const RtpPacket& packet) = 0;
};

class Driver final : private CallListener {
 public:
  Driver(const Options& options, Scenario& scenario);

  // Until the scenario ends it, or stop is set; hangs everybody up on every way out.
  void run(const std::atomic<bool>& stop);

  std::size_t dial(Nanos now);  // returns the leg's index
  void hang_up(Leg& leg, Nanos now) { leg.call->hang_up(now); }
  Leg& leg(std::size_t index) { return *legs_[index]; }
  std::size_t dialled() const { return legs_.size(); }
  std::size_t answered() const { return answered_; }
  std::size_t failed() const { return failed_; }  // refused, timed out, or ended by the gateway
  std::size_t up() const { return up_; }
  void count_failure(const std::string& cause);

  // Marks the measured time, in the output as well, so that others measure the same.
  void begin_measuring(Nanos now);
  void end_measuring(Nanos now);
  // The generator's own account of itself.
  JsonObject health() const;
  JsonObject failures() const;

 private:
  static constexpr std::size_t kSlots = 40;
  static constexpr Nanos kSlot = 20 * kMillisecond / kSlots;

  void on_answered(Call& call, Nanos at) override;
  void on_ended(Call& call, std::string_view cause) override;
  void hang_up_all();
  void turn(Nanos now);
  void run_media(Nanos now);
  void run_slot(std::vector<Leg*>& slot, Nanos due);
  std::size_t choose_slot(std::size_t index);
  Nanos next_wake(Nanos now) const;

  Options options_;
  Scenario& scenario_;
  RealtimeOffset offset_;
  std::mt19937 random_;
  std::vector<std::unique_ptr<Leg>> legs_;
  UserAgent agent_;
  std::array<std::vector<Leg*>, kSlots> slots_;
  std::size_t slot_ = 0;
  Nanos slot_due_ = 0;
  Nanos tick_due_ = 0;  // together with a slot: a wake-up costs more than what is done in it

  std::size_t answered_ = 0;
  std::size_t failed_ = 0;
  std::size_t up_ = 0;
  std::map<std::string, std::size_t> failures_;

  std::unique_ptr<Histogram> late_ = std::make_unique<Histogram>();
  bool realtime_ = false;
  bool measuring_ = false;
  Nanos measured_from_ = 0;
  Nanos measured_ = 0;
  Nanos cpu_from_ = 0;
  Nanos cpu_ = 0;
  std::size_t measured_calls_ = 0;
  std::uint64_t send_errors_ = 0;
  std::uint64_t skipped_slots_ = 0;
};

}  // namespace loadgen
