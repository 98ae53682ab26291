// Any text as the head of a request, as its headers, as a target and as an escaped path.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/request_head.h"
#include "fuzz/require.h"

namespace node_asgi::bridge {
namespace {

using fuzz::Require;

bool IsWithin(std::string_view part, std::string_view whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lowered;
}

void CheckHeaders(std::string_view headers) {
  std::string joined;
  size_t pairs = 0;
  size_t hosts = 0;
  std::string_view rest = headers;
  std::string_view name;
  std::string_view value;
  while (RequestHead::NextHeader(&rest, &name, &value)) {
    Require(IsWithin(name, headers) && IsWithin(value, headers), "a header lies in the text");
    Require(name.find('\n') == name.npos && value.find('\n') == value.npos, "a field is one line");
    if (pairs++ > 0) joined += '\n';
    joined.append(name).append(1, '\n').append(value);
    if (Lowered(name) == "host") ++hosts;
  }
  Require(headers.substr(0, joined.size()) == joined, "the headers joined are the text again");
  const size_t fields =
      headers.empty() ? 0
                      : static_cast<size_t>(std::count(headers.begin(), headers.end(), '\n')) + 1;
  // The empty field after a last separator can be no name.
  Require(pairs == fields / 2, "every pair was seen");

  RequestHead head;
  head.headers = headers;
  Require(!head.HasValidHost() || hosts <= 1, "two hosts are not valid");
  for (const std::string_view offered : RequestHead::Subprotocols(headers)) {
    Require(IsWithin(offered, headers), "a subprotocol lies in the text");
    Require(!offered.empty() && offered.find_first_of(",\n") == offered.npos,
            "a subprotocol is one entry of a list");
    const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
    Require(!is_blank(offered.front()) && !is_blank(offered.back()), "a subprotocol is trimmed");
  }
}

void CheckDecoding(std::string_view text) {
  const std::string decoded = PercentDecode(text);
  Require(decoded.size() <= text.size() && (text.size() - decoded.size()) % 2 == 0,
          "an escape is three characters for one");
  Require(text.find('%') != text.npos || decoded == text, "what has no escape stays as it is");
  constexpr char kUpper[] = "0123456789ABCDEF";
  constexpr char kLower[] = "0123456789abcdef";
  std::string escaped;
  for (const unsigned char c : text) {
    const char* const digits = c % 3 == 0 ? kUpper : kLower;
    escaped += {'%', digits[c >> 4], digits[c & 15]};
  }
  Require(PercentDecode(escaped) == text, "what was escaped is decoded again");
}

void CheckTarget(std::string_view target) {
  const RequestTarget split = RequestTarget::Split(target);
  Require(!split.raw_path.empty(), "there is always a path");
  Require(split.raw_path == "/" || IsWithin(split.raw_path, target), "the path lies in the text");
  Require(split.query.empty() || IsWithin(split.query, target), "the query lies in the text");
  Require(split.raw_path.find_first_of("?#") == target.npos,
          "a path ends before query and fragment");
  Require(split.query.find('#') == target.npos, "a query ends before the fragment");
  if (!target.empty() && target[0] == '/') {
    std::string joined(split.raw_path);
    if (target.substr(joined.size(), 1) == "?") joined.append(1, '?').append(split.query);
    Require(target.substr(0, joined.size()) == joined, "path and query joined are the target");
    Require(joined.size() == target.size() || target[joined.size()] == '#', "nothing is lost");
  }
  CheckDecoding(split.raw_path);
}

void CheckHead(std::string_view text) {
  RequestHead head;
  const auto separators = std::count(text.begin(), text.end(), '\n');
  const bool split = RequestHead::Split(text, &head);
  Require(split == (separators >= 8), "a head is whole when it has nine fields");
  if (!split) return;
  std::string joined;
  for (const std::string_view field :
       {head.method, head.target, head.http_version, head.scheme, head.client_host,
        head.client_port, head.server_host, head.server_port, head.root_path}) {
    Require(IsWithin(field, text), "a field lies in the text");
    Require(field.find('\n') == field.npos, "a field is one line");
    joined.append(field).append(1, '\n');
  }
  joined.append(head.headers);
  if (separators == 8) joined.pop_back();  // no headers, so no separator before them
  Require(joined == text, "the fields joined are the text again");
  CheckTarget(head.target);
  CheckTarget(head.root_path);
  CheckHeaders(head.headers);
}

}  // namespace
}  // namespace node_asgi::bridge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // A copy that ends where the text does: AddressSanitizer sees any look past it.
  const std::vector<char> bytes(data, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  node_asgi::bridge::CheckHead(text);
  node_asgi::bridge::CheckHeaders(text);
  node_asgi::bridge::CheckTarget(text);
  node_asgi::bridge::CheckDecoding(text);
  return 0;
}
