// Letters of protocol text, whatever the locale. Thread: any.
#ifndef NODE_ASGI_BRIDGE_ASCII_H_
#define NODE_ASGI_BRIDGE_ASCII_H_

#include <algorithm>
#include <string>
#include <string_view>

namespace node_asgi::bridge {

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline std::string Lowered(std::string_view text) {
  std::string lowered(text);
  std::transform(lowered.begin(), lowered.end(), lowered.begin(), &Lower);
  return lowered;
}

// `lower` is in lower case already.
inline bool EqualsIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(),
                                                   [](char a, char b) { return Lower(a) == b; });
}

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_ASCII_H_
