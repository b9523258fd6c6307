#include "check.hpp"
#include "g711.hpp"
#include "histogram.hpp"
#include "json.hpp"
#include "rtp_flow.hpp"
#include "speech.hpp"
#include "stamp.hpp"

namespace loadgen {
namespace {

TEST(mu_law_survives_decoding_and_encoding_except_its_second_zero) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::uint8_t>(code);
    const std::uint8_t again = linear_to_ulaw(ulaw_to_linear(byte));
    CHECK(again == (byte == 0x7F ? 0xFF : byte));
  }
  CHECK(ulaw_to_linear(0x00) == -32124);
  CHECK(ulaw_to_linear(0x80) == 32124);
}

TEST(a_stamp_survives_decoding_and_encoding) {
  for (const Stamp stamp : {Stamp{0, 0, 0}, Stamp{999, 65535, 4294967295U}, Stamp{0x1234, 0x5678, 0x9ABCDEF0U}}) {
    Payload payload{};
    write_stamp(stamp, payload.data());
    for (std::uint8_t& code : payload) code = linear_to_ulaw(ulaw_to_linear(code));
    CHECK(read_stamp(payload.data()) == stamp);
  }
}

TEST(what_is_not_a_whole_stamped_frame_is_none) {
  Payload payload{};
  for (const int code : {0x00, 0x7F, 0x80, 0xFF, 0xF7}) {
    payload.fill(static_cast<std::uint8_t>(code));
    CHECK(!read_stamp(payload.data()));
  }
  Payload two[2]{};
  write_stamp({1, 2, 3}, two[0].data());
  write_stamp({1, 3, 20003}, two[1].data());
  CHECK(!read_stamp(two[0].data() + 80));
}

TEST(percentiles_are_nearest_ranks) {
  Histogram histogram;
  CHECK(histogram.percentile(50) == 0);
  for (int ms = 1; ms <= 100; ++ms) histogram.record(ms * kMillisecond);
  CHECK(histogram.percentile(50) == 50 * kMillisecond + Histogram::kBin / 2);
  CHECK(histogram.percentile(99) == 99 * kMillisecond + Histogram::kBin / 2);
  CHECK(histogram.percentile(100) == 100 * kMillisecond);
  histogram.record(5 * kSecond);
  CHECK(histogram.max() == 5 * kSecond);
  CHECK(histogram.count() == 101);
}

TEST(an_rtp_header_with_contributors_and_an_extension_is_skipped) {
  const std::uint8_t bytes[] = {0x91, 0x80, 0x12, 0x34, 0, 0,    0,    0, 0, 0, 0, 0,
                                9,    9,    9,    9,    0xBE, 0xDE, 0, 1, 1, 2, 3, 4, 42};
  const auto packet = RtpPacket::parse({bytes, sizeof bytes, {}, 0}, 7);
  CHECK(packet.has_value());
  CHECK(packet->sequence == 0x1234 && packet->payload_type == 0 && packet->size == 1 && packet->payload[0] == 42);
  CHECK(!RtpPacket::parse({bytes, 11, {}, 0}, 7));
  CHECK(!RtpPacket::parse({bytes, 18, {}, 0}, 7));
}

TEST(voices_are_as_loud_as_they_should_be) {
  const Speech speech;
  const LineNoise noise;
  for (std::size_t frame = 0; frame < 500; ++frame) {
    CHECK(peak(speech.frame(frame), kPayloadBytes) > 4000);
    CHECK(peak(noise.frame(frame), kPayloadBytes) <= 8);
  }
}

TEST(json_is_quoted) {
  const std::string text = JsonObject().text("a", "say \"no\"\n").integer("b", -1).number("c", 0.5, 1).str();
  CHECK(text == R"({"a": "say \"no\" ", "b": -1, "c": 0.5})");
}

}  // namespace
}  // namespace loadgen
