// Load of short calls: how many a second the gateway sets up.
#pragma once

#include <atomic>

#include "options.hpp"

namespace loadgen {

// Starts calls at a constant rate, each held so long that `live` are up at a time; prints the result.
void run_setup(const Options& options, const std::atomic<bool>& stop);

}  // namespace loadgen
