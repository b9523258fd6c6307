#include "keys.hpp"

namespace offhook {
namespace {

constexpr std::int64_t kApart_ns = 2'000'000'000;  // a lost INFO is sent again after 0.5 and 1.5 s (RFC 3261)

}  // namespace

bool Keys::is_new(Way way, char digit, std::int64_t begin_ns, std::int64_t now_ns) {
    for (unsigned i = 0; i < presses_.size(); ++i) {
        Press& press = presses_[(next_ + i) % presses_.size()];
        if (press.way == Way::None || press.way == way || press.digit != digit) continue;
        if (press.told_ns < begin_ns - kApart_ns) continue;
        press = {};
        return false;
    }
    presses_[next_] = {way, digit, now_ns};
    next_ = (next_ + 1) % presses_.size();
    return true;
}

}  // namespace offhook
