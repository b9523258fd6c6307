// Just enough JSON to print a result: an object built key by key, in order.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "histogram.hpp"

namespace loadgen {

class JsonObject {
 public:
  JsonObject& text(std::string_view key, std::string_view value) {
    std::string quoted = "\"";
    for (const char c : value) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return raw(key, quoted + '"');
  }

  JsonObject& integer(std::string_view key, std::int64_t value) { return raw(key, std::to_string(value)); }

  JsonObject& number(std::string_view key, double value, int decimals = 3) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
    return raw(key, buffer);
  }

  JsonObject& boolean(std::string_view key, bool value) { return raw(key, value ? "true" : "false"); }

  JsonObject& object(std::string_view key, const JsonObject& value) { return raw(key, value.str()); }

  std::string str() const { return '{' + body_ + '}'; }

 private:
  JsonObject& raw(std::string_view key, std::string_view value) {
    if (!body_.empty()) body_ += ", ";
    body_ += '"';
    body_ += key;
    body_ += "\": ";
    body_ += value;
    return *this;
  }

  std::string body_;
};

inline double to_ms(Nanos duration) { return static_cast<double>(duration) / kMillisecond; }

inline JsonObject percentiles_ms(const Histogram& histogram) {
  JsonObject object;
  object.number("p50", to_ms(histogram.percentile(50)))
      .number("p99", to_ms(histogram.percentile(99)))
      .number("p99_9", to_ms(histogram.percentile(99.9)))
      .number("max", to_ms(histogram.max()));
  if (histogram.capped()) object.number("capped_at", to_ms(Histogram::kBin * static_cast<Nanos>(Histogram::kBins)));
  return object;
}

// One line, at once: whoever reads the pipe acts on it.
inline void print_line(const JsonObject& object) {
  std::printf("%s\n", object.str().c_str());
  std::fflush(stdout);
}

}  // namespace loadgen
