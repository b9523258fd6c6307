#include "rig.hpp"

#include "sent_history.hpp"

namespace offhook::test {
namespace {

Pcm counting(std::int16_t first, std::int16_t last) {
    Pcm pcm;
    for (std::int16_t sample = first; sample <= last; ++sample) pcm.push_back(sample);
    return pcm;
}

void put(SentHistory& history, const Pcm& pcm) { history.put(pcm.data(), pcm.size()); }

TEST(SentHistoryTest, KeepsNothingUntilItIsAsked) {
    SentHistory history;
    put(history, counting(1, 5));
    EXPECT_EQ(history.last(3), Pcm(3, 0));
    put(history, counting(6, 7));
    EXPECT_EQ(history.last(3), (Pcm{0, 6, 7}));
}

TEST(SentHistoryTest, ReturnsTheNewestWhateverWasPutAtOnce) {
    SentHistory history;
    history.last(10);
    std::int16_t next = 1;
    for (const std::int16_t count : {3, 10, 1, 25, 4, 7}) {
        put(history, counting(next, static_cast<std::int16_t>(next + count - 1)));
        next = static_cast<std::int16_t>(next + count);
        EXPECT_EQ(history.last(3), counting(static_cast<std::int16_t>(next - 3), static_cast<std::int16_t>(next - 1)));
    }
    EXPECT_EQ(history.last(10), counting(static_cast<std::int16_t>(next - 10), static_cast<std::int16_t>(next - 1)));
}

TEST(SentHistoryTest, GrowsWithoutLosingWhatItHas) {
    SentHistory history;
    history.last(4);
    put(history, counting(1, 6));
    Pcm expected(3, 0);
    for (const std::int16_t sample : {3, 4, 5, 6}) expected.push_back(sample);
    EXPECT_EQ(history.last(7), expected);
    put(history, counting(7, 7));
    EXPECT_EQ(history.last(5), counting(3, 7));
    EXPECT_TRUE(history.last(0).empty());
}

}  // namespace
}  // namespace offhook::test
