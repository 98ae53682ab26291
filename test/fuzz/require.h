// What a target says of a broken promise: a line, then abort(), which libFuzzer keeps the input of.
#ifndef NODE_ASGI_TEST_FUZZ_REQUIRE_H_
#define NODE_ASGI_TEST_FUZZ_REQUIRE_H_

#include <cstdio>
#include <cstdlib>
#include <string>

namespace node_asgi::fuzz {

inline void Require(bool kept, const char* promise, const std::string& details = {}) {
  if (kept) return;
  std::fprintf(stderr, "BROKEN: %s\n%s\n", promise, details.c_str());
  std::abort();
}

}  // namespace node_asgi::fuzz

#endif  // NODE_ASGI_TEST_FUZZ_REQUIRE_H_
