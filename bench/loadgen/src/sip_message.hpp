// Reading SIP datagrams (RFC 3261 section 7) and SDP answers (RFC 4566): no more of either than a caller needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loadgen {

// Views into the datagram, which must outlive it.
struct SipMessage {
  struct Header {
    std::string_view name;  // as written; compact forms are found under their long names
    std::string_view value;
  };

  // Nothing, if the datagram is not SIP/2.0 with the headers that every message must have.
  static std::optional<SipMessage> parse(std::string_view datagram);

  bool is_request() const { return status == 0; }
  std::string_view header(std::string_view long_name) const;  // the first; empty if there is none
  std::vector<std::string_view> headers(std::string_view long_name) const;

  std::string_view method;  // of the request, or, in a response, of its CSeq
  std::string_view request_uri;
  int status = 0;
  std::uint32_t cseq = 0;
  std::vector<Header> fields;
  std::string_view body;
};

std::string_view trim(std::string_view text);
bool equal_ignoring_case(std::string_view left, std::string_view right);

// The value of a parameter behind the `<...>` of a header: `tag` of From, To; `branch` of Via. Empty if absent.
std::string_view header_parameter(std::string_view value, std::string_view name);

// The URI of a Contact, Route or To value: what stands in `<...>`, or all up to the first `;`.
std::string_view uri_of(std::string_view value);

// Values of a comma-separated header, split outside of quotes and angle brackets.
std::vector<std::string_view> split_values(std::string_view value);

struct Endpoint {
  std::string host;  // a numeric IPv4 address
  std::uint16_t port = 0;
};

// Host and port of a SIP URI whose host is a numeric IPv4 address; port 5060 if it has none.
std::optional<Endpoint> endpoint_of(std::string_view uri);

// Where an SDP answer wants PCMU; nothing, if it refused the stream or chose something else.
std::optional<Endpoint> pcmu_endpoint(std::string_view sdp);

}  // namespace loadgen
