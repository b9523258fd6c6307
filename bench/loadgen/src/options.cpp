#include "options.hpp"

#include <functional>
#include <map>

namespace loadgen {
namespace {

using Setter = std::function<void(Options&, const std::string&)>;

constexpr double kMaxSeconds = 3600;
constexpr unsigned kMaxCalls = 8000;

unsigned to_unsigned(const std::string& text) { return static_cast<unsigned>(std::stoul(text)); }

const std::map<std::string, Mode>& modes() {
  static const std::map<std::string, Mode> table{{"echo", Mode::kEcho},
                                                 {"setup", Mode::kSetup},
                                                 {"bargein", Mode::kBargeIn},
                                                 {"stamp", Mode::kStamp},
                                                 {"speech", Mode::kSpeech}};
  return table;
}

const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> table{
      {"--target", [](Options& o, const std::string& v) { o.target = parse_address(v); }},
      {"--local", [](Options& o, const std::string& v) { o.local = parse_address(v); }},
      {"--to", [](Options& o, const std::string& v) { o.to_user = v; }},
      {"--calls", [](Options& o, const std::string& v) { o.calls = to_unsigned(v); }},
      {"--seconds", [](Options& o, const std::string& v) { o.seconds = std::stod(v); }},
      {"--rate", [](Options& o, const std::string& v) { o.rate = std::stod(v); }},
      {"--settle", [](Options& o, const std::string& v) { o.settle_seconds = std::stod(v); }},
      {"--phases", [](Options& o, const std::string& v) { o.random_phases = v != "uniform"; }},
      {"--seed", [](Options& o, const std::string& v) { o.seed = to_unsigned(v); }},
      {"--realtime", [](Options& o, const std::string& v) { o.realtime = v == "yes"; }},
      {"--live", [](Options& o, const std::string& v) { o.live = to_unsigned(v); }},
      {"--min-speech-ms", [](Options& o, const std::string& v) { o.min_speech_ms = to_unsigned(v); }},
      {"--rounds", [](Options& o, const std::string& v) { o.rounds = to_unsigned(v); }},
      {"--listen", [](Options& o, const std::string& v) { o.listen_seconds = std::stod(v); }},
      {"--flow", [](Options& o, const std::string& v) { o.flow = to_unsigned(v); }},
      {"--sequence", [](Options& o, const std::string& v) { o.sequence = to_unsigned(v); }},
      {"--sent-us", [](Options& o, const std::string& v) { o.sent_us = to_unsigned(v); }},
  };
  return table;
}

void check(const Options& options) {
  const bool calling = options.mode != Mode::kStamp && options.mode != Mode::kSpeech;
  if (calling && options.target.sin_port == 0) throw UsageError("--target HOST:PORT is needed");
  if (options.calls < 1 || options.calls > kMaxCalls) throw UsageError("--calls must be 1 to 8000");
  if (!(options.seconds > 0 && options.seconds <= kMaxSeconds)) throw UsageError("--seconds must be over 0, to 3600");
  if (!(options.rate > 0 && options.rate <= 10'000)) throw UsageError("--rate must be over 0, to 10000");
  if (!(options.settle_seconds >= 0 && options.settle_seconds <= 60)) throw UsageError("--settle must be 0 to 60");
  if (!(options.listen_seconds > 0 && options.listen_seconds <= 60)) throw UsageError("--listen must be over 0, to 60");
  if (options.live < 1 || options.live > kMaxCalls) throw UsageError("--live must be 1 to 8000");
  if (options.rounds < 1 || options.rounds > 100) throw UsageError("--rounds must be 1 to 100");
}

}  // namespace

std::string usage() {
  return "usage: loadgen echo|setup|bargein --target HOST:PORT [--to USER] [--local HOST:PORT]\n"
         "  echo     --calls N --seconds S [--rate CPS] [--settle S] [--phases random|uniform] [--seed N]\n"
         "  setup    --rate CPS --seconds S --live N\n"
         "  bargein  --calls N [--rate CPS] [--rounds N] [--listen S] [--min-speech-ms MS] [--seed N]\n"
         "  all      [--realtime yes|no]\n"
         "       loadgen stamp --flow N --sequence N --sent-us N     prints a stamped mu-law payload\n"
         "       loadgen speech --seconds S                          prints the barge-in's voice, mu-law\n"
         "Prints JSON lines; the last one is the result.\n";
}

Options parse_options(int count, char** arguments) {
  if (count < 2) throw UsageError("no mode given");
  Options options;
  options.local = make_address("127.0.0.1", 0);
  const auto mode = modes().find(arguments[1]);
  if (mode == modes().end()) throw UsageError(std::string("unknown mode ") + arguments[1]);
  options.mode = mode->second;
  for (int i = 2; i < count; i += 2) {
    const auto setter = setters().find(arguments[i]);
    if (setter == setters().end()) throw UsageError(std::string("unknown option ") + arguments[i]);
    if (i + 1 == count) throw UsageError(std::string("no value for ") + arguments[i]);
    try {
      setter->second(options, arguments[i + 1]);
    } catch (const std::logic_error&) {
      throw UsageError(std::string("bad value for ") + arguments[i] + ": " + arguments[i + 1]);
    }
  }
  check(options);
  return options;
}

}  // namespace loadgen
