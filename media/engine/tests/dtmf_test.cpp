// Digits as named telephone events, RFC 4733.
#include "rig.hpp"

namespace offhook::test {
namespace {

struct Press {
    char digit;
    std::int64_t duration_ms;
    bool operator==(const Press& other) const { return digit == other.digit && duration_ms == other.duration_ms; }
};

class DtmfTest : public OneCall {
protected:
    void SetUp() override {
        start();
        voice->head.timestamp = 0x8000'1000;
        voice->say(1);
    }

    void event(std::uint8_t code, unsigned duration_ms, bool end, bool marker = false) {
        Packet packet = voice->head;
        ++voice->head.sequence;
        packet.payload_type = kEventPayloadType;
        packet.marker = marker;
        const unsigned duration = duration_ms * 8;
        packet.payload = {code, static_cast<std::uint8_t>((end ? 0x80 : 0) | 10),
                          static_cast<std::uint8_t>(duration >> 8), static_cast<std::uint8_t>(duration)};
        call->peer.send(packet);
    }

    // A whole press, of which `ends` of the three end packets arrive.
    void press(std::uint8_t code, unsigned duration_ms, unsigned ends = 3, bool marker = true) {
        for (unsigned at_ms = 20; at_ms < duration_ms; at_ms += 20) event(code, at_ms, false, marker && at_ms == 20);
        for (unsigned i = 0; i < 3; ++i) {
            if (i < ends)
                event(code, duration_ms, true);
            else
                ++voice->head.sequence;
        }
        pass(duration_ms + 60);
    }

    void pass(unsigned ms) { voice->head.timestamp += ms * 8; }

    std::vector<Press> heard(std::size_t count) {
        ear->until([&] { return ear->count(Kind::Dtmf) >= count; }, 1000);
        ear->listen(200);  // long enough for a wrong extra digit to end
        std::vector<Press> presses;
        for (const Heard& digit : ear->of(Kind::Dtmf)) presses.push_back({static_cast<char>(digit.begin), digit.end});
        return presses;
    }
};

TEST_F(DtmfTest, TellsADigitOnceWithItsDuration) {
    press(5, 100);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 100}}));
}

TEST_F(DtmfTest, KnowsAllDigits) {
    for (std::uint8_t code = 0; code < 16; ++code) press(code, 60);
    std::string digits;
    for (const Press& press : heard(16)) digits += press.digit;
    EXPECT_EQ(digits, "0123456789*#ABCD");
}

TEST_F(DtmfTest, NeedsNoMarkerBit) {
    press(1, 80, 3, false);
    press(2, 80, 3, false);
    EXPECT_EQ(heard(2), (std::vector<Press>{{'1', 80}, {'2', 80}}));
}

TEST_F(DtmfTest, TellsADigitPressedTwiceTwice) {
    press(7, 100);
    press(7, 100);
    EXPECT_EQ(heard(2), (std::vector<Press>{{'7', 100}, {'7', 100}}));
}

TEST_F(DtmfTest, NeedsOneOfThreeEndPackets) {
    press(3, 100, 1);
    press(4, 100, 1);
    EXPECT_EQ(heard(2), (std::vector<Press>{{'3', 100}, {'4', 100}}));
}

TEST_F(DtmfTest, EndsADigitWhoseEndsWereLost) {
    press(9, 100, 0);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'9', 80}}));
}

TEST_F(DtmfTest, EndsADigitWhoseEndsWereLostWhenTheNextBegins) {
    press(9, 100, 0);
    press(9, 60);
    press(8, 60);
    EXPECT_EQ(heard(3), (std::vector<Press>{{'9', 80}, {'9', 60}, {'8', 60}}));
}

TEST_F(DtmfTest, TellsADigitOnceThatTheNetworkHeldUp) {
    event(6, 20, false, true);
    event(6, 40, false);
    ear->listen(250);
    event(6, 300, false);
    for (int i = 0; i < 3; ++i) event(6, 320, true);
    EXPECT_EQ(heard(1).size(), 1U);
}

TEST_F(DtmfTest, TellsADigitThatCameInOnePacket) {
    event(0, 40, true, true);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'0', 40}}));
}

TEST_F(DtmfTest, TellsADigitTwiceThatCameInOnePacketTwice) {
    for (int i = 0; i < 2; ++i) {
        event(0, 40, true, true);
        pass(100);
    }
    EXPECT_EQ(heard(2), (std::vector<Press>{{'0', 40}, {'0', 40}}));
}

TEST_F(DtmfTest, TellsALongPressOnce) {
    // A packet can report up to 8,191 ms; a longer press continues with a new timestamp, and no marker.
    event(2, 8000, false, true);
    event(2, 8180, false);
    voice->head.timestamp += 0xFFFF;
    event(2, 40, false);
    event(2, 60, true);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'2', 8240}}));
}

TEST_F(DtmfTest, TellsADigitOnceWhoseTimestampMoves) {
    // Some gateways do this on purpose, for carriers that require it.
    for (const unsigned ms : {20, 40, 60}) {
        event(3, ms, false);
        pass(20);
    }
    for (int i = 0; i < 3; ++i) event(3, 80, true);
    for (const unsigned ms : {20, 40, 60}) {
        event(4, ms, false);
        pass(20);
    }
    for (int i = 0; i < 3; ++i) {
        event(4, 80, true);
        pass(20);
    }
    EXPECT_EQ(heard(2), (std::vector<Press>{{'3', 80}, {'4', 80}}));
}

TEST_F(DtmfTest, TellsADigitOnceThatIsPressedWhileTheMediaChange) {
    event(4, 20, false, true);
    ear->listen(30);
    slot->detach();
    call->destroy();
    Call next;
    engine->attach(slot, next.stream);
    Packet packet = voice->head;
    packet.payload_type = kEventPayloadType;
    packet.payload = {4, 0x80 | 10, 0, 160};
    next.peer.send(packet);
    EXPECT_EQ(heard(1).size(), 1U);
    slot->detach();
}

TEST_F(DtmfTest, IgnoresEventsThatAreNoDigits) {
    press(32, 100);  // a fax tone
    EXPECT_TRUE(heard(0).empty());
}

TEST_F(DtmfTest, DropsAFlash) {
    press(16, 100);
    press(5, 100);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 100}}));
}

TEST_F(DtmfTest, EndsAKeyWhenAFlashFollows) {
    event(5, 20, false, true);
    pass(40);
    press(16, 100);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 20}}));
}

TEST_F(DtmfTest, TellsAKeyThatOnlySignallingTells) {
    slot->press('5', 250);
    slot->press('5', 250);
    EXPECT_EQ(heard(2), (std::vector<Press>{{'5', 250}, {'5', 250}}));
}

TEST_F(DtmfTest, TellsAKeyOnceThatSignallingTellsFirst) {
    slot->press('5', 250);
    press(5, 100);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 250}}));
}

TEST_F(DtmfTest, TellsAKeyOnceThatRtpTellsFirst) {
    press(5, 100);
    ear->until([&] { return ear->count(Kind::Dtmf) >= 1; }, 1000);
    slot->press('5', 250);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 100}}));
}

TEST_F(DtmfTest, TellsAKeyOnceThatSignallingTellsWhileItIsPressed) {
    event(5, 20, false, true);
    ear->listen(50);
    slot->press('5', 250);
    event(5, 40, true);
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 250}}));
}

TEST_F(DtmfTest, TellsADigitThatIsPressedWhenTheCallEnds) {
    event(5, 20, false, true);
    ear->listen(50);
    slot->detach();
    EXPECT_EQ(heard(1), (std::vector<Press>{{'5', 20}}));
}

TEST_F(DtmfTest, HearsTheVoiceThatGoesOnAfterADigit) {
    press(5, 60);
    voice->say(42);
    ASSERT_TRUE(ear->label(42));
}

}  // namespace
}  // namespace offhook::test
