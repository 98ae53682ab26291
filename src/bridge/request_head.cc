#include "bridge/request_head.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bridge/ascii.h"

namespace node_asgi::bridge {
namespace {

constexpr char kSeparator = '\n';

bool TakeField(std::string_view* rest, bool* at_end, std::string_view* field) {
  if (*at_end) return false;
  const size_t end = rest->find(kSeparator);
  *field = rest->substr(0, end);
  *at_end = end == std::string_view::npos;
  rest->remove_prefix(*at_end ? rest->size() : end + 1);
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// host[:port] of RFC 3986 sections 3.2.2 and 3.2.3: a name, or an address in brackets.
bool IsHost(std::string_view text) {
  constexpr std::string_view kNameMarks = "-._~%!$&'()*+,;=";
  constexpr std::string_view kAddressMarks = ":.";
  const auto all = [](std::string_view part, std::string_view marks) {
    return std::all_of(part.begin(), part.end(), [marks](unsigned char c) {
      const unsigned char letter = c | 0x20;
      return (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z') ||
             marks.find(static_cast<char>(c)) != std::string_view::npos;
    });
  };
  size_t end = text.find(':');
  if (!text.empty() && text.front() == '[') {
    end = text.find(']');
    if (end == std::string_view::npos || !all(text.substr(1, end - 1), kAddressMarks)) return false;
    ++end;
  } else if (!all(text.substr(0, end), kNameMarks)) {
    return false;
  }
  if (end >= text.size()) return true;
  const std::string_view port = text.substr(end + 1);
  return text[end] == ':' &&
         std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

bool RequestHead::Split(std::string_view text, RequestHead* head) {
  bool at_end = false;
  for (std::string_view* field :
       {&head->method, &head->target, &head->http_version, &head->scheme, &head->client_host,
        &head->client_port, &head->server_host, &head->server_port, &head->root_path}) {
    if (!TakeField(&text, &at_end, field)) return false;
  }
  head->headers = text;
  return true;
}

std::vector<std::string_view> RequestHead::Subprotocols(std::string_view headers) {
  std::vector<std::string_view> offered;
  std::string_view name;
  std::string_view value;
  while (NextHeader(&headers, &name, &value)) {
    if (!EqualsIgnoringCase(name, "sec-websocket-protocol")) continue;
    while (!value.empty()) {
      const size_t comma = value.find(',');
      std::string_view one = value.substr(0, comma);
      value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
      while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
      while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
      if (!one.empty()) offered.push_back(one);
    }
  }
  return offered;
}

bool RequestHead::HasValidHost() const {
  bool seen = false;
  std::string_view rest = headers;
  std::string_view name;
  std::string_view value;
  while (NextHeader(&rest, &name, &value)) {
    if (!EqualsIgnoringCase(name, "host")) continue;
    if (std::exchange(seen, true) || !IsHost(value)) return false;
  }
  return true;
}

std::string PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    decoded.push_back(text[i]);
  }
  return decoded;
}

RequestTarget RequestTarget::Split(std::string_view target) {
  if (!target.empty() && target[0] != '/') {
    // Absolute form: drop scheme and authority.
    const size_t colon = target.find("://");
    if (colon != std::string_view::npos && target.find_first_of("/?") > colon) {
      target.remove_prefix(colon + 3);
      const size_t path = target.find_first_of("/?#");
      target.remove_prefix(path == std::string_view::npos ? target.size() : path);
    }
  }
  RequestTarget split;
  target = target.substr(0, target.find('#'));
  const size_t question = target.find('?');
  split.raw_path = target.substr(0, question);
  if (question != std::string_view::npos) split.query = target.substr(question + 1);
  if (split.raw_path.empty()) split.raw_path = "/";
  return split;
}

}  // namespace node_asgi::bridge
