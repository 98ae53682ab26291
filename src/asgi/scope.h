// Builds the ASGI scope of a request or a WebSocket (asgiref www.rst 2.5).
// Thread: the Python thread. Owner: an application; one builder makes all its scopes.
#ifndef NODE_ASGI_ASGI_SCOPE_H_
#define NODE_ASGI_ASGI_SCOPE_H_

#include <string>
#include <string_view>
#include <unordered_map>

#include "asgi/extensions.h"
#include "bridge/exchange.h"
#include "bridge/request_head.h"
#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::asgi {

struct ScopeOptions {
  std::string spec_version = "2.5";
};

class ScopeBuilder {
 public:
  // `state` is the lifespan state, or null when the app has no lifespan: then the key is absent.
  // False with a Python error set.
  bool Prepare(const python::GilHeld& gil, const ScopeOptions& options, python::Owned state);

  // A fresh dict; nothing in it is shared with another request but the values inside `state`.
  // Null with a Python error set.
  python::Owned Build(const python::GilHeld& gil, const bridge::RequestHead& head,
                      const bridge::ExchangeRequest& request);

 private:
  // A str or bytes that many requests share, from a bounded table.
  PyObject* CachedText(const python::GilHeld& gil, std::string_view text);
  PyObject* CachedHeaderName(const python::GilHeld& gil, std::string_view name);
  python::Owned Extensions(const python::GilHeld& gil, const bridge::ExchangeRequest& request);
  python::Owned Headers(const python::GilHeld& gil, std::string_view headers);

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using Cache = std::unordered_map<std::string, python::Owned, Hash, std::equal_to<>>;
  Cache texts_;
  Cache header_names_;
  python::Owned scratch_;  // keeps an uncached value alive until its next use

  python::Owned http_;  // templates of the scopes
  python::Owned websocket_;
  python::Owned asgi_;
  python::Owned state_;
  python::Owned json_loads_;
  PyObject* extension_names_[kExtensions];  // interned
  std::string tls_text_;  // what tls_ was made from: one client's requests have the same
  python::Owned tls_;
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_SCOPE_H_
