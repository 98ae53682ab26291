// Builds the ASGI scope of a request or a WebSocket (asgiref www.rst 2.5).
// Thread: the Python thread. Owner: an application; one builder makes all its scopes.
#ifndef NODE_ASGI_ASGI_SCOPE_H_
#define NODE_ASGI_ASGI_SCOPE_H_

#include <string>
#include <string_view>
#include <vector>

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

  // A fresh dict; nothing in it that can be changed is shared with another request, but the values
  // inside `state`. Null with a Python error set.
  python::Owned Build(const python::GilHeld& gil, const bridge::RequestHead& head,
                      const bridge::ExchangeRequest& request);

 private:
  // The Python object that was made from a text the last time, for texts that come again and again.
  // A text takes the place of another with the same hash, so that a client cannot make it grow.
  class Cache {
   public:
    explicit Cache(size_t places) : places_(places) {}

    // What `make(text)` returns is kept until the next call at least. Null when it was null.
    template <class Make>
    PyObject* Get(std::string_view text, Make&& make);

   private:
    static constexpr size_t kLongestText = 64;
    struct Place {
      std::string text;
      python::Owned made;
    };
    std::vector<Place> places_;
    Place long_text_;
  };

  PyObject* CachedText(const python::GilHeld& gil, std::string_view text);
  PyObject* CachedHeaderName(const python::GilHeld& gil, std::string_view name);
  PyObject* CachedAddress(const python::GilHeld& gil, std::string_view host, std::string_view port);
  // A scope with all its keys, so that a copy of it never has to grow, and with what the latest
  // request had of its connection: most requests have the same, and a copy has it for nothing.
  // Measured together with python/object_type.h: 0.25 us of CPU a request.
  struct Template {
    python::Owned scope;
    // What the scope's values were made from.
    std::string method;
    std::string protocol;
    std::string client;
    std::string server;
  };
  Template MakeTemplate(const python::GilHeld& gil, bool websocket) const;
  bool Adapt(const python::GilHeld& gil, const bridge::RequestHead& head, bool websocket,
             Template* usual);
  python::Owned Extensions(const python::GilHeld& gil, const bridge::ExchangeRequest& request);
  python::Owned Headers(const python::GilHeld& gil, std::string_view headers);

  Cache texts_{64};
  Cache header_names_{256};
  Cache addresses_{16};  // the server's, and those of the busiest connections

  Template http_;
  Template websocket_;
  python::Owned asgi_;
  python::Owned state_;
  python::Owned json_loads_;
  PyObject* extension_names_[kExtensions];  // interned
  std::string tls_text_;  // what tls_ was made from: one client's requests have the same
  python::Owned tls_;
};

}  // namespace node_asgi::asgi

#endif  // NODE_ASGI_ASGI_SCOPE_H_
