#include "pjlog.hpp"

#include <pjlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <mutex>
#include <utility>

namespace offhook {
namespace {

constexpr std::size_t kLimit = 1000;

std::mutex mutex;
std::vector<LogLine> lines;
unsigned long dropped_lines = 0;

int wakeup_fd() {
    static const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd;
}

void write_line(int level, const char* data, int length) {
    {
        std::lock_guard lock(mutex);
        if (lines.size() == kLimit)
            ++dropped_lines;
        else
            lines.push_back({level, std::string(data, static_cast<std::size_t>(length))});
        if (lines.size() > 1) return;
    }
    const std::uint64_t one = 1;
    (void)!::write(wakeup_fd(), &one, sizeof one);
}

}  // namespace

void capture_pjlog() {
    wakeup_fd();
    pj_log_set_decor(PJ_LOG_HAS_SENDER | PJ_LOG_HAS_SPACE);
    pj_log_set_log_func(&write_line);
}

std::vector<LogLine> take_pjlog(unsigned long& dropped) {
    std::uint64_t wakeups;
    (void)!::read(wakeup_fd(), &wakeups, sizeof wakeups);
    std::lock_guard lock(mutex);
    dropped = dropped_lines;
    dropped_lines = 0;
    return std::exchange(lines, {});
}

int pjlog_fd() { return wakeup_fd(); }

}  // namespace offhook
