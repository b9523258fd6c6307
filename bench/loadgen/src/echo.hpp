// Load of stamped packets that the gateway echoes.
#pragma once

#include <atomic>

#include "options.hpp"

namespace loadgen {

// Calls up at a bounded rate, measures, prints the result, hangs up.
void run_echo(const Options& options, const std::atomic<bool>& stop);

}  // namespace loadgen
