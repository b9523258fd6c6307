#include "inbox.hpp"

#include "monotonic.hpp"

#include <sys/eventfd.h>
#include <unistd.h>
#include <cerrno>
#include <system_error>

namespace offhook {

Inbox::Inbox() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Inbox::~Inbox() { ::close(fd_); }

bool Inbox::put(const Record& record, Backlog* backlog, const std::int16_t* pcm) {
    {
        std::lock_guard lock(mutex_);
        if (backlog != nullptr) {
            if (backlog->take != takes_) *backlog = {takes_, 0};
            if (backlog->records == kBacklogLimit) return false;
            ++backlog->records;
        }
        filling_.records.push_back(record);
        if (pcm != nullptr) {
            Record& frame = filling_.records.back();
            frame.begin = static_cast<std::int64_t>(filling_.pcm.size());
            filling_.pcm.insert(filling_.pcm.end(), pcm, pcm + record.end);
            frame.end = static_cast<std::int64_t>(filling_.pcm.size());
        }
    }
    unsignalled_.store(true, std::memory_order_release);
    return true;
}

bool Inbox::put_frame(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples) {
    return put({slot, Kind::Frame, 0, static_cast<std::int64_t>(samples), monotonic_ns()}, &backlog, pcm);
}

bool Inbox::put_sent(SlotId slot, Backlog& backlog, const std::int16_t* pcm, std::size_t samples,
                     std::int64_t time_ns) {
    return put({slot, Kind::Sent, 0, static_cast<std::int64_t>(samples), time_ns}, &backlog, pcm);
}

bool Inbox::put_dtmf(SlotId slot, Backlog& backlog, char digit, unsigned duration_ms) {
    return put({slot, Kind::Dtmf, digit, duration_ms, monotonic_ns()}, &backlog, nullptr);
}

void Inbox::put_event(SlotId slot, Kind kind, std::int64_t value) {
    put({slot, kind, value, 0, monotonic_ns()}, nullptr, nullptr);
}

void Inbox::take(Batch& batch) {
    std::uint64_t wakeups;
    (void)!::read(fd_, &wakeups, sizeof wakeups);
    batch.records.clear();
    batch.pcm.clear();
    // Reserve as much as the last batch needed: the writers are media threads, and usually must not allocate.
    batch.records.reserve(last_records_);
    batch.pcm.reserve(last_samples_);
    {
        std::lock_guard lock(mutex_);
        std::swap(batch, filling_);
        ++takes_;
    }
    last_records_ = batch.records.size();
    last_samples_ = batch.pcm.size();
}

void Inbox::signal() {
    if (!unsignalled_.exchange(false, std::memory_order_acq_rel)) return;
    const std::uint64_t one = 1;
    (void)!::write(fd_, &one, sizeof one);
}

}  // namespace offhook
