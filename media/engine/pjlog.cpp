#include "pjlog.hpp"

#include <pjlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <algorithm>
#include <cctype>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "monotonic.hpp"

namespace offhook {
namespace {

constexpr std::size_t kLimit = 1000;
constexpr std::size_t kTextBytes = 2000;

// A packet from a stranger may cause a line. Each log sender of pjlib has a budget, so that one cannot hide others.
constexpr double kBurst = 50, kPerSecond = 10;
constexpr std::size_t kSenders = 64;

struct Budget {
    double tokens = kBurst;
    std::int64_t filled_ns = 0;

    bool take(std::int64_t now_ns) {
        if (filled_ns != 0)
            tokens = std::min(kBurst, tokens + static_cast<double>(now_ns - filled_ns) * kPerSecond / 1e9);
        filled_ns = now_ns;
        if (tokens < 1) return false;
        tokens -= 1;
        return true;
    }
};

std::mutex mutex;
std::vector<LogLine> lines;
unsigned long dropped_lines = 0;
std::unordered_map<std::string, Budget> budgets;

int wakeup_fd() {
    static const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd;
}

// The first word, up to a digit: the names of objects contain their address.
std::string sender_of(const char* data, std::size_t length) {
    const char* end = data + length;
    const char* begin = std::find_if(data, end, [](unsigned char c) { return !std::isspace(c); });
    return {begin, std::find_if(begin, end, [](unsigned char c) { return std::isspace(c) || std::isdigit(c); })};
}

bool has_budget(const char* data, std::size_t length) {
    std::string sender = sender_of(data, length);
    if (budgets.size() >= kSenders && budgets.count(sender) == 0) sender.clear();
    return budgets[sender].take(monotonic_ns());
}

void write_line(int level, const char* data, int length) {
    const auto bytes = static_cast<std::size_t>(std::max(length, 0));
    {
        std::lock_guard lock(mutex);
        if (lines.size() == kLimit || !has_budget(data, bytes)) {
            ++dropped_lines;
            return;
        }
        lines.push_back({level, std::string(data, std::min(bytes, kTextBytes))});
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
