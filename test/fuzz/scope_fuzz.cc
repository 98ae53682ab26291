// Any text as the head of a request and as the JSON that goes into its scope, on the real Python.
// An input is head, extra scope, TLS and abilities (a decimal number), split by lines of "--".

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "asgi/scope.h"
#include "bridge/exchange.h"
#include "bridge/request_head.h"
#include "fuzz/python_fuzz.h"
#include "python/interned.h"

namespace node_asgi::asgi {
namespace {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using fuzz::Require;

const fuzz::Helpers& Checks(const GilHeld& gil) {
  static const auto* const checks = new fuzz::Helpers(gil, "scope_fuzz.py");
  return *checks;
}

std::string_view TakePart(std::string_view* rest) {
  constexpr std::string_view kSeparator = "\n--\n";
  const size_t end = rest->find(kSeparator);
  const std::string_view part = rest->substr(0, end);
  rest->remove_prefix(end == rest->npos ? rest->size() : end + kSeparator.size());
  return part;
}

// As lib/request.js puts a target below the root path of its app. Empty when it does not.
std::string BelowRoot(const bridge::RequestHead& head) {
  std::string root(head.root_path);
  while (!root.empty() && root.back() == '/') root.pop_back();
  const std::string_view target = head.target;
  if (root.empty() || root[0] != '/' || root.find_first_of("?#") != root.npos) return {};
  if (target.empty() || target[0] != '/') return {};
  const bool is_below =
      target.substr(0, root.size()) == root &&
      (target.size() == root.size() || target[root.size()] == '/' || target[root.size()] == '?');
  std::string text;
  const std::string below = is_below ? std::string(target) : root + std::string(target);
  for (const std::string_view field :
       {head.method, std::string_view(below), head.http_version, head.scheme, head.client_host,
        head.client_port, head.server_host, head.server_port, std::string_view(root)}) {
    text.append(field).append(1, '\n');
  }
  return text.append(head.headers);
}

// Builds the scope of one head, and has all of it checked. Empty when the JSON is none.
Owned CheckedScope(const GilHeld& gil, ScopeBuilder* builder, std::string_view text,
                   const bridge::ExchangeRequest& request) {
  bridge::RequestHead head;
  if (!bridge::RequestHead::Split(text, &head)) return Owned();
  Owned scope = builder->Build(gil, head, request);
  const Owned error = TakeException(gil);
  Require(static_cast<bool>(scope) != static_cast<bool>(error), "a scope or an error, not both");
  const Owned head_bytes = BytesOf(gil, text);
  const Owned extra = BytesOf(gil, request.extras->node);
  const Owned tls = BytesOf(gil, request.extras->tls);
  const Owned abilities = Owned::Steal(PyLong_FromLongLong(request.abilities));
  if (error) {
    Checks(gil).Call(gil, "check_error", {error.get(), extra.get(), tls.get()});
    return Owned();
  }
  Checks(gil).Call(gil, "check_scope",
                   {scope.get(), head_bytes.get(), extra.get(), tls.get(), abilities.get()});
  return scope;
}

void CheckInput(const GilHeld& gil, std::string_view input) {
  const fuzz::SameReferences references;
  const std::string_view head = TakePart(&input);
  bridge::ExchangeRequest request;
  request.extras = std::make_unique<bridge::ScopeExtras>();
  request.extras->node = TakePart(&input);
  request.extras->tls = TakePart(&input);
  std::from_chars(input.data(), input.data() + input.size(), request.abilities);

  // The builder's own caches must not outlive it, so it is made anew.
  ScopeBuilder builder;
  Owned state = Checks(gil).Call(gil, "new_state", {});
  Require(builder.Prepare(gil, ScopeOptions(), std::move(state)), "the builder is prepared");
  const Owned first = CheckedScope(gil, &builder, head, request);
  if (!first) return;
  // Once more, out of the caches.
  const Owned second = CheckedScope(gil, &builder, head, request);
  Require(static_cast<bool>(second), "a head that made a scope makes another");
  Checks(gil).Call(gil, "check_apart", {first.get(), second.get()});

  bridge::RequestHead fields;
  bridge::RequestHead::Split(head, &fields);
  const std::string below = BelowRoot(fields);
  if (below.empty()) return;
  const Owned mounted = CheckedScope(gil, &builder, below, request);
  Require(static_cast<bool>(mounted), "a target below its root path makes a scope");
  Checks(gil).Call(gil, "check_below_root", {mounted.get()});
}

}  // namespace
}  // namespace node_asgi::asgi

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  node_asgi::fuzz::StartPython();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto gil = node_asgi::python::GilHeld::FromPython();
  node_asgi::asgi::Checks(gil);
  node_asgi::asgi::CheckInput(gil, {reinterpret_cast<const char*>(data), size});
  node_asgi::asgi::Checks(gil).Call(gil, "check_shared", {});
  return 0;
}
