#include "inbox.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <array>
#include <thread>

namespace offhook {
namespace {

bool readable(const Inbox& inbox) {
    pollfd fd{inbox.fd(), POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
}

TEST(InboxTest, KeepsTheOrderOfFramesAndEvents) {
    Inbox inbox;
    Backlog backlog;
    const std::array<std::int16_t, 3> pcm{1, 2, 3};
    inbox.put_frame(7, backlog, pcm.data(), 3);
    inbox.put_event(7, Kind::Mark, 42);
    inbox.put_dtmf(7, backlog, '#', 120);
    inbox.put_frame(8, backlog, pcm.data(), 2);
    Batch batch;
    inbox.take(batch);
    ASSERT_EQ(batch.records.size(), 4U);
    EXPECT_EQ(batch.records[0].kind, Kind::Frame);
    EXPECT_EQ(batch.records[1].begin, 42);
    EXPECT_EQ(batch.records[2].begin, '#');
    EXPECT_EQ(batch.records[2].end, 120);
    EXPECT_EQ(batch.records[3].slot, 8U);
    EXPECT_EQ(batch.records[3].begin, 3);
    EXPECT_EQ(batch.records[3].end, 5);
    EXPECT_EQ(batch.pcm, (std::vector<std::int16_t>{1, 2, 3, 1, 2}));
}

TEST(InboxTest, OverwritesTheBatchItIsGiven) {
    Inbox inbox;
    Batch batch;
    batch.pcm.assign(9, 9);
    batch.records.resize(9);
    inbox.take(batch);
    EXPECT_TRUE(batch.pcm.empty());
    EXPECT_TRUE(batch.records.empty());
}

TEST(InboxTest, LimitsWhatOneSlotLeavesUnreadAndNotTheOthers) {
    Inbox inbox;
    Backlog loud;
    Backlog quiet;
    const std::int16_t sample = 1;
    for (unsigned i = 0; i < Inbox::kBacklogLimit; ++i) ASSERT_TRUE(inbox.put_frame(1, loud, &sample, 1));
    EXPECT_FALSE(inbox.put_frame(1, loud, &sample, 1));
    EXPECT_FALSE(inbox.put_dtmf(1, loud, '1', 100));
    EXPECT_TRUE(inbox.put_frame(2, quiet, &sample, 1));
    inbox.put_event(1, Kind::Drained);
    Batch batch;
    inbox.take(batch);
    EXPECT_EQ(batch.records.size(), Inbox::kBacklogLimit + 2);
    EXPECT_TRUE(inbox.put_frame(1, loud, &sample, 1));
}

TEST(InboxTest, SignalsOnceForManyRecordsAndNotAtAllForNone) {
    Inbox inbox;
    inbox.signal();
    EXPECT_FALSE(readable(inbox));
    for (int i = 0; i < 10; ++i) inbox.put_event(1, Kind::Drained);
    EXPECT_FALSE(readable(inbox));
    inbox.signal();
    inbox.signal();
    EXPECT_TRUE(readable(inbox));
    Batch batch;
    inbox.take(batch);
    EXPECT_FALSE(readable(inbox));
    inbox.signal();
    EXPECT_FALSE(readable(inbox));
}

TEST(InboxTest, LosesNothingOfManyWritersUnderAReader) {
    constexpr unsigned kWriters = 4;
    constexpr std::int64_t kEach = 5000;
    Inbox inbox;
    std::vector<std::thread> writers;
    for (unsigned writer = 0; writer < kWriters; ++writer)
        writers.emplace_back([&inbox, writer] {
            for (std::int64_t i = 0; i < kEach; ++i) {
                inbox.put_event(writer, Kind::Mark, i);
                inbox.signal();
            }
        });
    std::array<std::int64_t, kWriters> next{};
    std::int64_t total = 0;
    Batch batch;
    while (total < kWriters * kEach) {
        pollfd fd{inbox.fd(), POLLIN, 0};
        ASSERT_EQ(::poll(&fd, 1, 5000), 1) << "a wake-up was lost after " << total;
        inbox.take(batch);
        for (const Record& record : batch.records) {
            ASSERT_EQ(record.begin, next[record.slot]++);
            ++total;
        }
    }
    for (std::thread& writer : writers) writer.join();
}

}  // namespace
}  // namespace offhook
