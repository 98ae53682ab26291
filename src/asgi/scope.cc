#include "asgi/scope.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "bridge/ascii.h"
#include "python/call.h"
#include "python/interned.h"

namespace node_asgi::asgi {

using python::Borrowed;
using python::BytesOf;
using python::GilHeld;
using python::Names;
using python::Owned;
using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API

namespace {

bool Set(Borrowed dict, PyObject* key, const Owned& value) {
  return value && PyDict_SetItem(dict.get(), key, value.get()) == 0;
}

bool Set(Borrowed dict, PyObject* key, PyObject* value) {
  return value != nullptr && PyDict_SetItem(dict.get(), key, value) == 0;
}

std::string_view WebSocketScheme(const bridge::RequestHead& head) {
  return head.scheme == "https" ? "wss" : "ws";
}

// From one field of a head to a later one, with what is between them.
std::string_view Through(std::string_view first, std::string_view last) {
  return {first.data(), static_cast<size_t>(last.data() + last.size() - first.data())};
}

// What the client offers, in its order (W-29).
Owned Subprotocols(const GilHeld& gil, std::string_view headers) {
  Owned list = Owned::Steal(PyList_New(0));
  for (const std::string_view offered : bridge::RequestHead::Subprotocols(headers)) {
    const Owned text = Text(gil, offered);
    if (!list || !text || PyList_Append(list.get(), text.get()) != 0) return Owned();
  }
  return list;
}

// (host, port), or (path, None) for a unix socket.
Owned Address(const GilHeld& gil, std::string_view host, std::string_view port) {
  Owned address = Owned::Steal(PyTuple_New(2));
  Owned name = Text(gil, host);
  if (!address || !name) return Owned();
  PyTuple_SetItem(address.get(), 0, name.Release());
  int number = 0;
  const bool numeric =
      !port.empty() &&
      std::from_chars(port.data(), port.data() + port.size(), number).ec == std::errc();
  Owned second = numeric ? Owned::Steal(PyLong_FromLongLong(number)) : Owned::Borrow(PyNone());
  if (!second) return Owned();
  PyTuple_SetItem(address.get(), 1, second.Release());
  return address;
}

}  // namespace

bool ScopeBuilder::Prepare(const GilHeld& gil, const ScopeOptions& options, Owned state) {
  state_ = std::move(state);
  http_ = MakeTemplate(gil, false);
  websocket_ = MakeTemplate(gil, true);
  asgi_ = Owned::Steal(PyDict_New());
  const Owned json = Owned::Steal(PyImport_ImportModule("json"));
  if (!http_.scope || !websocket_.scope || !asgi_ || !json) return false;
  json_loads_ = GetAttribute(gil, json, "loads");
  for (int i = 0; i < kExtensions; ++i)
    extension_names_[i] = PyUnicode_InternFromString(extension_table[i].name);
  return json_loads_ && Set(asgi_, Names().version, Text(gil, "3.0")) &&
         Set(asgi_, Names().spec_version, Text(gil, options.spec_version));
}

ScopeBuilder::Template ScopeBuilder::MakeTemplate(const GilHeld&, bool websocket) const {
  const Interned& names = Names();
  Owned scope = Owned::Steal(PyDict_New());
  if (!scope || !Set(scope, names.type, websocket ? names.websocket : names.http)) return {};
  for (PyObject* key :
       {names.asgi, names.http_version, websocket ? names.subprotocols : names.method, names.scheme,
        names.path, names.raw_path, names.query_string, names.root_path, names.headers,
        names.client, names.server, names.extensions}) {
    if (!Set(scope, key, PyNone())) return {};
  }
  if (state_ && !Set(scope, names.state, PyNone())) return {};
  return {std::move(scope), std::string(1, '\n'), {}, {}, {}};  // no method is that
}

template <class Make>
PyObject* ScopeBuilder::Cache::Get(std::string_view text, Make&& make) {
  const size_t place = std::hash<std::string_view>{}(text) % places_.size();
  const bool fits = text.size() <= kLongestText;
  if (fits && places_[place].made && places_[place].text == text) return places_[place].made.get();
  Place made{fits ? std::string(text) : std::string(), make(text)};
  Place& kept = fits ? places_[place] : long_text_;
  kept = std::move(made);
  return kept.made.get();
}

PyObject* ScopeBuilder::CachedText(const GilHeld& gil, std::string_view text) {
  return texts_.Get(text, [&gil](std::string_view made_from) { return Text(gil, made_from); });
}

PyObject* ScopeBuilder::CachedHeaderName(const GilHeld& gil, std::string_view name) {
  return header_names_.Get(
      name, [&gil](std::string_view given) { return BytesOf(gil, bridge::Lowered(given)); });
}

PyObject* ScopeBuilder::CachedAddress(const GilHeld& gil, std::string_view host,
                                      std::string_view port) {
  if (host.empty()) return PyNone();
  return addresses_.Get(Through(host, port),
                        [&](std::string_view) { return Address(gil, host, port); });
}

Owned ScopeBuilder::Headers(const GilHeld& gil, std::string_view headers) {
  // Two fields a pair, so the separators tell how many pairs there are.
  const auto separators = std::count(headers.begin(), headers.end(), '\n');
  const Py_ssize_t pairs = headers.empty() ? 0 : (separators + 1) / 2;
  Owned list = Owned::Steal(PyList_New(pairs));
  if (!list) return list;
  std::string_view name;
  std::string_view value;
  for (Py_ssize_t i = 0; i < pairs; ++i) {
    bridge::RequestHead::NextHeader(&headers, &name, &value);
    Owned pair = Owned::Steal(PyTuple_New(2));
    Owned bytes = BytesOf(gil, value);
    PyObject* key = CachedHeaderName(gil, name);
    if (!pair || !bytes || key == nullptr) return Owned();
    PyTuple_SetItem(pair.get(), 0, Owned::Borrow(key).Release());
    PyTuple_SetItem(pair.get(), 1, bytes.Release());
    PyList_SetItem(list.get(), i, pair.Release());
  }
  return list;
}

bool ScopeBuilder::Adapt(const GilHeld& gil, const bridge::RequestHead& head, bool websocket,
                         Template* usual) {
  const Interned& names = Names();
  const Owned& scope = usual->scope;
  if (usual->method != head.method && !websocket) {
    if (!Set(scope, names.method, CachedText(gil, head.method))) return false;
    usual->method = head.method;
  }
  const std::string_view protocol = Through(head.http_version, head.scheme);
  if (usual->protocol != protocol) {
    usual->protocol.clear();
    if (!Set(scope, names.http_version, CachedText(gil, head.http_version)) ||
        !Set(scope, names.scheme, CachedText(gil, websocket ? WebSocketScheme(head) : head.scheme)))
      return false;
    usual->protocol = protocol;
  }
  const std::string_view client = Through(head.client_host, head.client_port);
  if (usual->client != client) {
    if (!Set(scope, names.client, CachedAddress(gil, head.client_host, head.client_port)))
      return false;
    usual->client = client;
  }
  const std::string_view server = Through(head.server_host, head.root_path);
  if (usual->server != server) {
    usual->server.clear();
    if (!Set(scope, names.server, CachedAddress(gil, head.server_host, head.server_port)) ||
        !Set(scope, names.root_path, Text(gil, bridge::PercentDecode(head.root_path))))
      return false;
    usual->server = server;
  }
  return true;
}

Owned ScopeBuilder::Build(const GilHeld& gil, const bridge::RequestHead& head,
                          const bridge::ExchangeRequest& request) {
  const Interned& names = Names();
  const bool websocket = (request.abilities & bridge::kWebSocket) != 0;
  Template& usual = websocket ? websocket_ : http_;
  if (!Adapt(gil, head, websocket, &usual)) return Owned();
  Owned scope = Owned::Steal(PyDict_Copy(usual.scope.get()));
  if (!scope) return Owned();
  const bridge::RequestTarget target = bridge::RequestTarget::Split(head.target);

  // Undecodable bytes become U+FFFD, as urllib.parse.unquote does (checklist S-10).
  const bool escaped = target.raw_path.find('%') != std::string_view::npos;
  const Owned path =
      escaped ? Text(gil, bridge::PercentDecode(target.raw_path)) : Text(gil, target.raw_path);
  const Owned query =
      target.query.empty() ? Owned::Borrow(names.empty_bytes) : BytesOf(gil, target.query);
  const Owned asgi = Owned::Steal(PyDict_Copy(asgi_.get()));

  const bool set =
      Set(scope, names.asgi, asgi) &&
      (!websocket || Set(scope, names.subprotocols, Subprotocols(gil, head.headers))) &&
      Set(scope, names.path, path) && Set(scope, names.raw_path, BytesOf(gil, target.raw_path)) &&
      Set(scope, names.query_string, query) &&
      Set(scope, names.headers, Headers(gil, head.headers)) &&
      Set(scope, names.extensions, Extensions(gil, request));
  if (!set) return Owned();
  if (state_ && !Set(scope, names.state, Owned::Steal(PyDict_Copy(state_.get())))) return Owned();
  return scope;
}

// Only what this request's host can do (S-28), each with a dict of its own.
Owned ScopeBuilder::Extensions(const GilHeld& gil, const bridge::ExchangeRequest& request) {
  Owned extensions = Owned::Steal(PyDict_New());
  if (!extensions) return extensions;
  for (int i = 0; i < kExtensions; ++i) {
    if ((request.abilities & extension_table[i].ability) == 0) continue;
    if (!Set(extensions, extension_names_[i], Owned::Steal(PyDict_New()))) return Owned();
  }
  if (!request.extras) return extensions;
  const auto& [node, tls] = *request.extras;
  const auto parse = [&](const std::string& json) {
    const Owned text = Text(gil, json);
    return text ? Call(gil, json_loads_, {text.get()}) : Owned();
  };
  if (!node.empty() && !Set(extensions, Names().node, parse(node))) return Owned();
  if (tls.empty()) return extensions;
  if (tls_text_ != tls) {
    tls_ = parse(tls);
    tls_text_ = tls_ ? tls : std::string();
  }
  if (!tls_ || !Set(extensions, Names().tls, Owned::Steal(PyDict_Copy(tls_.get())))) return Owned();
  return extensions;
}

}  // namespace node_asgi::asgi
