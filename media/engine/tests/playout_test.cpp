#include "playout.hpp"

#include <gtest/gtest.h>
#include <numeric>

namespace offhook {
namespace {

std::vector<std::int16_t> ramp(std::size_t samples, std::int16_t first) {
    std::vector<std::int16_t> pcm(samples);
    std::iota(pcm.begin(), pcm.end(), first);
    return pcm;
}

class PlayoutQueueTest : public ::testing::Test {
protected:
    bool push(std::size_t samples, std::optional<Mark> mark = std::nullopt) {
        const auto pcm = ramp(samples, next_);
        if (!queue.push(pcm, mark)) return false;
        next_ = static_cast<std::int16_t>(next_ + samples);
        return true;
    }

    std::vector<std::int16_t> pop(std::size_t samples) {
        std::vector<std::int16_t> out(samples, -1);
        reached.clear();
        taken = queue.pop(out.data(), samples, reached);
        return out;
    }

    PlayoutQueue queue{1000};
    std::vector<Mark> reached;
    std::size_t taken = 0;

private:
    std::int16_t next_ = 1;
};

TEST_F(PlayoutQueueTest, GivesSilenceWhenEmpty) {
    EXPECT_EQ(pop(4), std::vector<std::int16_t>(4, 0));
    EXPECT_EQ(taken, 0U);
    EXPECT_EQ(queue.played_samples(), 0U);
    EXPECT_TRUE(queue.empty());
}

TEST_F(PlayoutQueueTest, JoinsChunksWithoutASeam) {
    push(3);
    push(4);
    push(5);
    EXPECT_EQ(pop(5), ramp(5, 1));
    EXPECT_EQ(pop(5), ramp(5, 6));
    EXPECT_EQ(pop(5), (std::vector<std::int16_t>{11, 12, 0, 0, 0}));
    EXPECT_EQ(taken, 2U);
    EXPECT_EQ(queue.played_samples(), 12U);
    EXPECT_EQ(queue.queued_samples(), 0U);
}

TEST_F(PlayoutQueueTest, ReachesAMarkWithItsLastSample) {
    push(4, 1);
    push(4, 2);
    pop(3);
    EXPECT_TRUE(reached.empty());
    pop(1);
    EXPECT_EQ(reached, std::vector<Mark>{1});
    pop(4);
    EXPECT_EQ(reached, std::vector<Mark>{2});
}

TEST_F(PlayoutQueueTest, ReachesManyMarksInOneFrameInOrder) {
    push(1, 1);
    push(0, 2);
    push(2, 3);
    pop(8);
    EXPECT_EQ(reached, (std::vector<Mark>{1, 2, 3}));
}

TEST_F(PlayoutQueueTest, ReachesAnEmptyMarkAfterWhatLiesBeforeIt) {
    push(4);
    push(0, 7);
    pop(3);
    EXPECT_TRUE(reached.empty());
    pop(1);
    EXPECT_EQ(reached, std::vector<Mark>{7});
    push(0, 8);
    EXPECT_FALSE(queue.empty());
    pop(1);
    EXPECT_EQ(reached, std::vector<Mark>{8});
    EXPECT_EQ(taken, 0U);
}

TEST_F(PlayoutQueueTest, RefusesWholeWhatExceedsTheLimit) {
    EXPECT_TRUE(push(900));
    EXPECT_FALSE(push(101, 1));
    EXPECT_EQ(queue.queued_samples(), 900U);
    EXPECT_TRUE(push(100));
    EXPECT_FALSE(push(1));
    EXPECT_TRUE(push(0, 2));
    pop(10);
    EXPECT_TRUE(push(10));
}

TEST_F(PlayoutQueueTest, RefusesMoreThanAnEmptyQueueTakes) {
    EXPECT_FALSE(push(1001));
    PlayoutQueue unlimited_by_nobody;
    EXPECT_FALSE(unlimited_by_nobody.push(ramp(1, 1), std::nullopt));
}

TEST_F(PlayoutQueueTest, KeepsNothingOfAnEmptyPiece) {
    EXPECT_TRUE(push(0));
    EXPECT_TRUE(queue.empty());
}

TEST_F(PlayoutQueueTest, FlushTellsWhatWasHeardAndWhatWasNot) {
    push(4, 1);
    push(4, 2);
    push(0, 3);
    pop(6);
    const Flushed flushed = queue.flush();
    EXPECT_EQ(flushed.played_samples, 6U);
    EXPECT_EQ(flushed.dropped_samples, 2U);
    EXPECT_EQ(flushed.dropped_marks, (std::vector<Mark>{2, 3}));
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(pop(4), std::vector<std::int16_t>(4, 0));
    EXPECT_EQ(queue.played_samples(), 6U);
}

TEST_F(PlayoutQueueTest, PlaysOnAfterAFlush) {
    push(10);
    pop(3);
    queue.flush();
    push(4);
    EXPECT_EQ(pop(4), ramp(4, 11));
    EXPECT_EQ(queue.played_samples(), 7U);
    EXPECT_EQ(queue.flush().dropped_samples, 0U);
}

TEST_F(PlayoutQueueTest, FreesTheLimitAsItPlays) {
    for (int i = 0; i < 500; ++i) {
        ASSERT_TRUE(push(200, i));
        pop(200);
        ASSERT_EQ(reached, std::vector<Mark>{i});
    }
    EXPECT_EQ(queue.played_samples(), 100'000U);
}

}  // namespace
}  // namespace offhook
