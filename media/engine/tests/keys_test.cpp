// A press that is reported in two ways.
#include "keys.hpp"

#include <gtest/gtest.h>

namespace offhook::test {
namespace {

constexpr std::int64_t kSecond_ns = 1'000'000'000;
constexpr Keys::Way kRtp = Keys::Way::Rtp;
constexpr Keys::Way kInfo = Keys::Way::Info;

class KeysTest : public ::testing::Test {
protected:
    bool rtp(char digit, double now_s, double length_s = 0.1) {
        const auto now_ns = static_cast<std::int64_t>(now_s * kSecond_ns);
        return keys.is_new(kRtp, digit, now_ns - static_cast<std::int64_t>(length_s * kSecond_ns), now_ns);
    }
    bool info(char digit, double now_s) {
        const auto now_ns = static_cast<std::int64_t>(now_s * kSecond_ns);
        return keys.is_new(kInfo, digit, now_ns, now_ns);
    }
    Keys keys;
};

TEST_F(KeysTest, OneWayAloneTellsEveryPress) {
    for (int i = 0; i < 40; ++i) EXPECT_TRUE(rtp('1', 0.2 * i));
    for (int i = 100; i < 140; ++i) EXPECT_TRUE(info('1', 0.2 * i));
}

TEST_F(KeysTest, BothWaysTellOnePressInAnyOrder) {
    EXPECT_TRUE(rtp('1', 1));
    EXPECT_FALSE(info('1', 1.1));
    EXPECT_TRUE(info('1', 1.5));
    EXPECT_FALSE(rtp('1', 1.6));
}

TEST_F(KeysTest, AWayThatIsBehindTellsNothingNew) {
    for (double at_s : {1.0, 1.3, 1.6}) EXPECT_TRUE(rtp('1', at_s));
    for (double at_s : {1.7, 1.8, 1.9}) EXPECT_FALSE(info('1', at_s));
    EXPECT_TRUE(info('1', 2.0));
}

TEST_F(KeysTest, ALongPressIsOneWhenInfoCameAtItsBeginning) {
    EXPECT_TRUE(info('1', 1));
    EXPECT_FALSE(rtp('1', 9, 8));
}

TEST_F(KeysTest, AnotherKeyIsAnotherPress) {
    EXPECT_TRUE(info('1', 1));
    EXPECT_TRUE(rtp('2', 1.1));
    EXPECT_FALSE(rtp('1', 1.2));
    EXPECT_FALSE(info('2', 1.3));
}

TEST_F(KeysTest, WhatWasToldLongAgoIsForgotten) {
    EXPECT_TRUE(rtp('1', 1));
    EXPECT_TRUE(info('1', 4));
}

}  // namespace
}  // namespace offhook::test
