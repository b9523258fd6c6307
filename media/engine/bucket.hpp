// How many requests may come in a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace offhook {

// A token bucket: `burst` at once, and `per_s` from then on.
class Bucket {
public:
    Bucket(double per_s, double burst) : per_ns_(per_s / 1e9), burst_(burst), tokens_(burst) {}

    // Whether one more may come now; times in ns of one clock, in order.
    bool take(std::int64_t now_ns) {
        tokens_ = std::min(burst_, tokens_ + static_cast<double>(now_ns - last_ns_) * per_ns_);
        last_ns_ = now_ns;
        if (tokens_ < 1) return false;
        tokens_ -= 1;
        return true;
    }

private:
    double per_ns_;
    double burst_;
    double tokens_;
    std::int64_t last_ns_ = 0;
};

}  // namespace offhook
