#include "driver.hpp"

#include <sched.h>

#include <algorithm>
#include <ctime>

namespace loadgen {
namespace {

constexpr Nanos kGiveUpPacing = 200 * kMillisecond;  // a longer stall is not caught up packet by packet
constexpr Nanos kHangUpPeriod = kSecond / 500;       // a burst of BYEs would only fill the gateway's socket
constexpr Nanos kHangUpLimit = 8 * kSecond;

void sleep_until(Nanos deadline) {
  timespec time{};
  time.tv_sec = deadline / kSecond;
  time.tv_nsec = deadline % kSecond;
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);  // a signal only makes a turn come early
}

// The callers of a real gateway are on other machines: nothing there makes them wait. Here they must not be made to.
bool become_realtime() {
  sched_param parameters{};
  parameters.sched_priority = sched_get_priority_min(SCHED_FIFO);
  return sched_setscheduler(0, SCHED_FIFO, &parameters) == 0;
}

}  // namespace

Driver::Driver(const Options& options, Scenario& scenario)
    : options_(options),
      scenario_(scenario),
      random_(options.seed),
      agent_(options.local, options.target, options.to_user, *this) {}

void Driver::run(const std::atomic<bool>& stop) {
  realtime_ = options_.realtime && become_realtime();
  slot_due_ = tick_due_ = monotonic_now();
  try {
    while (!stop) {
      const Nanos now = monotonic_now();
      turn(now);
      if (now >= tick_due_) {
        tick_due_ = slot_due_ + kSlot;
        if (!scenario_.on_tick(monotonic_now())) break;
      }
      sleep_until(next_wake(monotonic_now()));
    }
  } catch (...) {
    hang_up_all();
    throw;
  }
  hang_up_all();
}

void Driver::turn(Nanos now) {
  run_media(now);
  if (now >= tick_due_) {
    offset_.refresh();
    agent_.poll(now, offset_);
  }
}

void Driver::hang_up_all() {
  const Nanos limit = monotonic_now() + kHangUpLimit;
  Nanos hang_up_due = 0;
  std::size_t index = 0;
  for (Nanos now = monotonic_now(); now < limit && (index < legs_.size() || agent_.unended() > 0);
       now = monotonic_now()) {
    while (index < legs_.size() && now >= hang_up_due) {
      Call* call = legs_[index++]->call;
      if (call == nullptr || call->state() == Call::State::kEnded) continue;
      call->hang_up(now);
      hang_up_due = now + kHangUpPeriod;
    }
    turn(now);
    if (now >= tick_due_) tick_due_ = slot_due_ + kSlot;
    sleep_until(next_wake(monotonic_now()));
  }
}

Nanos Driver::next_wake(Nanos now) const {
  Nanos wake = slot_due_;
  for (std::size_t ahead = 0; wake < tick_due_; ++ahead, wake += kSlot) {
    if (!slots_[(slot_ + ahead) % kSlots].empty()) return std::max(wake, now);
  }
  return tick_due_;
}

void Driver::run_media(Nanos now) {
  if (now - slot_due_ > kGiveUpPacing) {
    const Nanos skipped = (now - slot_due_) / kSlot;
    slot_ = (slot_ + static_cast<std::size_t>(skipped)) % kSlots;
    slot_due_ += skipped * kSlot;
    skipped_slots_ += static_cast<std::uint64_t>(skipped);
  }
  while (slot_due_ <= now) {
    run_slot(slots_[slot_], slot_due_);
    slot_ = (slot_ + 1) % kSlots;
    slot_due_ += kSlot;
  }
}

void Driver::run_slot(std::vector<Leg*>& slot, Nanos due) {
  for (Leg* leg : slot) {
    const Nanos now = monotonic_now();
    scenario_.fill(*leg, now, leg->flow->payload());
    if (!leg->flow->send_frame()) ++send_errors_;
    if (measuring_) late_->record(now - due);
  }
  for (Leg* leg : slot) {  // after the sending, which has a deadline: the kernel has noted when each of these came
    leg->flow->receive(offset_, [&](const RtpPacket& packet) {
      ++leg->packets_received;
      scenario_.on_packet(*leg, packet);
    });
  }
}

std::size_t Driver::choose_slot(std::size_t index) {
  if (options_.random_phases) return random_() % kSlots;
  return index * 31 % kSlots;  // 31 and 80 share no factor: every slot once, neighbours far apart
}

std::size_t Driver::dial(Nanos now) {
  const std::size_t index = legs_.size();
  auto leg = std::make_unique<Leg>();
  leg->flow = std::make_unique<RtpFlow>(make_address(host_of(options_.local), 0), static_cast<std::uint16_t>(index),
                                        static_cast<std::uint32_t>(random_()));
  leg->slot = choose_slot(index);
  legs_.push_back(std::move(leg));
  legs_.back()->call = &agent_.invite(legs_.back()->flow->port(), now);
  return index;
}

void Driver::on_answered(Call& call, Nanos at) {
  Leg& leg = *legs_[call.index()];
  leg.answered = true;
  leg.answered_at = at;
  ++answered_;
  ++up_;
  leg.flow->connect(make_address(call.remote_rtp().host, call.remote_rtp().port));
  slots_[leg.slot].push_back(&leg);
  scenario_.on_answered(leg);
}

void Driver::on_ended(Call& call, std::string_view cause) {
  Leg& leg = *legs_[call.index()];
  if (leg.answered) {
    --up_;
    auto& slot = slots_[leg.slot];
    slot.erase(std::remove(slot.begin(), slot.end(), &leg), slot.end());
  }
  if (cause != "bye" && cause != "cancelled") count_failure(std::string(cause));
  scenario_.on_ended(leg);
  leg.flow.reset();
}

void Driver::count_failure(const std::string& cause) {
  ++failed_;
  ++failures_[cause];
}

void Driver::begin_measuring(Nanos now) {
  measuring_ = true;
  measured_from_ = now;
  measured_calls_ = up_;
  cpu_from_ = read_clock(CLOCK_PROCESS_CPUTIME_ID);
  print_line(JsonObject().text("event", "measuring").integer("up", static_cast<std::int64_t>(up_)));
}

void Driver::end_measuring(Nanos now) {
  measuring_ = false;
  measured_ = now - measured_from_;
  cpu_ = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu_from_;
  print_line(JsonObject().text("event", "measured").integer("up", static_cast<std::int64_t>(up_)));
}

JsonObject Driver::failures() const {
  JsonObject object;
  for (const auto& [cause, count] : failures_) object.integer(cause, static_cast<std::int64_t>(count));
  return object;
}

JsonObject Driver::health() const {
  const double core_pct = measured_ > 0 ? 100.0 * static_cast<double>(cpu_) / static_cast<double>(measured_) : 0.0;
  const double calls = static_cast<double>(std::max<std::size_t>(measured_calls_, 1));
  JsonObject object;
  object.number("measured_s", static_cast<double>(measured_) / kSecond)
      .number("cpu_core_pct", core_pct, 2)
      .number("cpu_core_pct_per_call", core_pct / calls, 4)
      .boolean("realtime", realtime_)
      .object("late_ms", percentiles_ms(*late_))
      .integer("skipped_slots", static_cast<std::int64_t>(skipped_slots_))
      .integer("send_errors", static_cast<std::int64_t>(send_errors_))
      .integer("sip_malformed", static_cast<std::int64_t>(agent_.malformed()))
      .integer("sip_dropped_sends", static_cast<std::int64_t>(agent_.dropped_sends()));
  return object;
}

}  // namespace loadgen
