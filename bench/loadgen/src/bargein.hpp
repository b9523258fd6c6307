// Load of callers who speak over the agent.
#pragma once

#include <atomic>

#include "options.hpp"

namespace loadgen {

// Calls up, each interrupts the agent's voice at a random time; prints how soon the voice stopped.
void run_bargein(const Options& options, const std::atomic<bool>& stop);

}  // namespace loadgen
