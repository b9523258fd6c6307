#include "sip_message.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace loadgen {
namespace {

// RFC 3261 section 7.3.3, for the headers that are looked at.
constexpr std::array<std::pair<char, std::string_view>, 7> kCompactForms{{{'v', "Via"},
                                                                         {'f', "From"},
                                                                         {'t', "To"},
                                                                         {'i', "Call-ID"},
                                                                         {'m', "Contact"},
                                                                         {'l', "Content-Length"},
                                                                         {'c', "Content-Type"}}};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

template <typename Integer>
std::optional<Integer> parse_integer(std::string_view text) {
  Integer value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_named(std::string_view name, std::string_view long_name) {
  if (equal_ignoring_case(name, long_name)) return true;
  if (name.size() != 1) return false;
  return std::any_of(kCompactForms.begin(), kCompactForms.end(), [&](const auto& form) {
    return form.first == lower(name[0]) && form.second == long_name;
  });
}

// Takes one line off the text, with the lines folded into it (section 7.3.1).
std::string_view take_line(std::string_view& text) {
  std::size_t end = text.find("\r\n");
  while (end != std::string_view::npos && end + 2 < text.size() && end != 0 &&
         (text[end + 2] == ' ' || text[end + 2] == '\t')) {
    end = text.find("\r\n", end + 2);
  }
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
  return line;
}

std::string_view take_word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

bool read_start_line(std::string_view line, SipMessage& message) {
  constexpr std::string_view kVersion = "SIP/2.0";
  const std::string_view first = take_word(line);
  const std::string_view second = take_word(line);
  if (first == kVersion) {
    const auto status = parse_integer<int>(second);
    if (!status || *status < 100 || *status > 699) return false;
    message.status = *status;
    return true;
  }
  message.method = first;
  message.request_uri = second;
  return line == kVersion && !first.empty() && !second.empty();
}

}  // namespace

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

std::optional<SipMessage> SipMessage::parse(std::string_view datagram) {
  SipMessage message;
  if (!read_start_line(take_line(datagram), message)) return std::nullopt;
  for (;;) {
    if (datagram.empty()) return std::nullopt;  // no empty line: cut off
    const std::string_view line = take_line(datagram);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    message.fields.push_back({trim(line.substr(0, colon)), trim(line.substr(colon + 1))});
  }
  message.body = datagram;
  if (const auto length = parse_integer<std::size_t>(message.header("Content-Length"))) {
    message.body = message.body.substr(0, *length);
  }
  std::string_view cseq = message.header("CSeq");
  const auto number = parse_integer<std::uint32_t>(take_word(cseq));
  const std::string_view method = trim(cseq);
  if (!number || method.empty() || (message.is_request() && method != message.method)) return std::nullopt;
  message.cseq = *number;
  message.method = method;
  for (const std::string_view required : {"Via", "From", "To", "Call-ID"}) {
    if (message.header(required).empty()) return std::nullopt;
  }
  return message;
}

std::string_view SipMessage::header(std::string_view long_name) const {
  for (const Header& field : fields) {
    if (is_named(field.name, long_name)) return field.value;
  }
  return {};
}

std::vector<std::string_view> SipMessage::headers(std::string_view long_name) const {
  std::vector<std::string_view> values;
  for (const Header& field : fields) {
    if (is_named(field.name, long_name)) values.push_back(field.value);
  }
  return values;
}

std::string_view header_parameter(std::string_view value, std::string_view name) {
  const std::size_t bracket = value.rfind('>');
  if (bracket != std::string_view::npos) value.remove_prefix(bracket + 1);
  for (std::size_t semicolon = value.find(';'); semicolon != std::string_view::npos; semicolon = value.find(';')) {
    value.remove_prefix(semicolon + 1);
    const std::string_view parameter = value.substr(0, std::min(value.find_first_of(";,"), value.size()));
    const std::size_t equals = parameter.find('=');
    if (equals != std::string_view::npos && equal_ignoring_case(trim(parameter.substr(0, equals)), name)) {
      return trim(parameter.substr(equals + 1));
    }
  }
  return {};
}

std::string_view uri_of(std::string_view value) {
  const std::size_t open = value.find('<');
  if (open == std::string_view::npos) return trim(value.substr(0, value.find(';')));
  const std::size_t close = value.find('>', open);
  if (close == std::string_view::npos) return {};
  return value.substr(open + 1, close - open - 1);
}

std::vector<std::string_view> split_values(std::string_view value) {
  std::vector<std::string_view> values;
  bool quoted = false;
  bool bracketed = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= value.size(); ++i) {
    if (i == value.size() || (value[i] == ',' && !quoted && !bracketed)) {
      values.push_back(trim(value.substr(begin, i - begin)));
      begin = i + 1;
    } else if (value[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (value[i] == '<' || value[i] == '>')) {
      bracketed = value[i] == '<';
    }
  }
  return values;
}

std::optional<Endpoint> endpoint_of(std::string_view uri) {
  if (!equal_ignoring_case(uri.substr(0, 4), "sip:")) return std::nullopt;
  uri.remove_prefix(4);
  uri = uri.substr(0, uri.find_first_of(";?"));
  const std::size_t at = uri.find('@');
  if (at != std::string_view::npos) uri.remove_prefix(at + 1);
  const std::size_t colon = uri.find(':');
  Endpoint endpoint{std::string(uri.substr(0, colon)), 5060};
  if (colon != std::string_view::npos) {
    const auto port = parse_integer<std::uint16_t>(uri.substr(colon + 1));
    if (!port) return std::nullopt;
    endpoint.port = *port;
  }
  in_addr address{};
  if (inet_pton(AF_INET, endpoint.host.c_str(), &address) != 1) return std::nullopt;
  return endpoint;
}

std::optional<Endpoint> pcmu_endpoint(std::string_view sdp) {
  constexpr std::string_view kConnection = "c=IN IP4 ";
  constexpr std::string_view kAudio = "m=audio ";
  Endpoint endpoint;
  bool in_audio = false;
  while (!sdp.empty()) {
    std::string_view line = sdp.substr(0, std::min(sdp.find('\n'), sdp.size()));
    sdp.remove_prefix(std::min(line.size() + 1, sdp.size()));
    line = trim(line);
    if (line.substr(0, 2) == "m=" && in_audio) break;
    if (line.substr(0, kConnection.size()) == kConnection) endpoint.host = trim(line.substr(kConnection.size()));
    if (line.substr(0, kAudio.size()) != kAudio) continue;
    line.remove_prefix(kAudio.size());
    const auto port = parse_integer<std::uint16_t>(take_word(line));
    if (!port || *port == 0 || take_word(line) != "RTP/AVP" || take_word(line) != "0") return std::nullopt;
    endpoint.port = *port;
    in_audio = true;
  }
  if (!in_audio || endpoint.host.empty()) return std::nullopt;
  return endpoint;
}

}  // namespace loadgen
