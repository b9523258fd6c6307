// pjlib's log lines, taken from whatever thread wrote them and kept for asyncio.
#pragma once

#include <string>
#include <vector>

namespace offhook {

struct LogLine {
    int level;         // 1 error, 2 warning, 3 information, 4 and 5 trace
    std::string text;  // its first 2,000 bytes, whatever a stranger's packet brought into them
};

// Replaces pjlib's log writer for the rest of the process. A writer in Python would take the GIL on media threads.
void capture_pjlog();

// Everything written since the last call, oldest first; `dropped` counts lines beyond the limit of 1,000, and beyond a
// sender's budget: 50 at once, 10 a second.
std::vector<LogLine> take_pjlog(unsigned long& dropped);

// Becomes readable when a line is written.
int pjlog_fd();

}  // namespace offhook
