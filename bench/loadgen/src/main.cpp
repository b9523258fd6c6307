// Telephone load for a SIP/RTP gateway; see options.cpp for the usage.

#include <sys/prctl.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>

#include "bargein.hpp"
#include "echo.hpp"
#include "options.hpp"
#include "setup.hpp"
#include "speech.hpp"
#include "stamp.hpp"

namespace loadgen {
namespace {

std::atomic<bool> stop_requested{false};

extern "C" void request_stop(int signal) {
  if (stop_requested.exchange(true)) std::signal(signal, SIG_DFL);  // the third one kills
}

void prepare_process() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    struct sigaction action {};
    action.sa_handler = request_stop;
    sigaction(signal, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // whoever started us is gone: so are our calls
  prctl(PR_SET_TIMERSLACK, 1);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

void print_stamp(const Options& options) {
  Payload payload{};
  write_stamp({static_cast<std::uint16_t>(options.flow), static_cast<std::uint16_t>(options.sequence),
               options.sent_us},
              payload.data());
  std::fwrite(payload.data(), 1, payload.size(), stdout);
}

void print_speech(const Options& options) {
  const Speech speech;
  for (std::size_t frame = 0; frame < static_cast<std::size_t>(options.seconds * 50); ++frame) {
    std::fwrite(speech.frame(frame), 1, kPayloadBytes, stdout);
  }
}

void run(const Options& options) {
  switch (options.mode) {
    case Mode::kEcho:
      return run_echo(options, stop_requested);
    case Mode::kSetup:
      return run_setup(options, stop_requested);
    case Mode::kBargeIn:
      return run_bargein(options, stop_requested);
    case Mode::kStamp:
      return print_stamp(options);
    case Mode::kSpeech:
      return print_speech(options);
  }
}

}  // namespace
}  // namespace loadgen

int main(int count, char** arguments) {
  try {
    const loadgen::Options options = loadgen::parse_options(count, arguments);
    loadgen::prepare_process();
    loadgen::run(options);
    return loadgen::stop_requested ? 130 : 0;
  } catch (const loadgen::UsageError& error) {
    std::fprintf(stderr, "loadgen: %s\n%s", error.what(), loadgen::usage().c_str());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "loadgen: %s\n", error.what());
    return 1;
  }
}
