// Collects pjlib's log lines, from any thread, for asyncio.
#pragma once

#include <string>
#include <vector>

namespace offhook {

struct LogLine {
    int level;         // 1 error, 2 warning, 3 information, 4 and 5 trace
    std::string text;  // its first 2,000 bytes; may contain any bytes, from a received packet
};

// Replaces pjlib's log writer for the rest of the process. A writer in Python would take the GIL on media threads.
void capture_pjlog();

// All lines written since the last call, oldest first. `dropped` is the number of lines dropped because of the limit of
// 1,000 lines, or of the budget of each sender: 50 at once, 10 per second.
std::vector<LogLine> take_pjlog(unsigned long& dropped);

// Becomes readable when a line is written.
int pjlog_fd();

}  // namespace offhook
