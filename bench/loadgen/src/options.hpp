// The command line.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "udp.hpp"

namespace loadgen {

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Mode { kEcho, kSetup, kBargeIn, kStamp, kSpeech };

struct Options {
  Mode mode = Mode::kEcho;
  sockaddr_in local{};
  sockaddr_in target{};
  std::string to_user = "1000";
  unsigned calls = 100;
  double seconds = 30;
  double rate = 50;           // calls started per second
  double settle_seconds = 2;  // between the last answer and the measurement
  bool random_phases = true;
  unsigned seed = 1;
  bool realtime = false;       // SCHED_FIFO at the lowest priority, if the system permits
  unsigned live = 300;         // setup: calls up at a time
  unsigned min_speech_ms = 0;  // barge-in: what the gateway waits for by design
  unsigned rounds = 1;         // barge-in: interruptions per call
  double listen_seconds = 2;   // barge-in: the least that the agent speaks before; at most twice that
  // stamp: prints payloads for the tests of other readers
  unsigned flow = 0;
  unsigned sequence = 0;
  unsigned sent_us = 0;
};

std::string usage();
Options parse_options(int count, char** arguments);

}  // namespace loadgen
