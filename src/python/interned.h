// Strings and small objects that every request uses, made once.
// Thread: the Python thread. Teardown: leaked on purpose, Python outlives them.
#ifndef NODE_ASGI_PYTHON_INTERNED_H_
#define NODE_ASGI_PYTHON_INTERNED_H_

#include "python/api.h"
#include "python/gil.h"

namespace node_asgi::python {

// The interned str of a C string literal; the table is keyed by the literal's text.
// clang-format off
#define NODE_ASGI_NAMES(X)                                                                         \
  X(type)                                                                                          \
  X(asgi)                                                                                          \
  X(version) X(spec_version) X(http_version) X(method) X(scheme) X(path) X(raw_path)               \
      X(query_string) X(root_path) X(headers) X(client) X(server) X(state) X(extensions) X(status) \
          X(body) X(more_body) X(trailers) X(send) X(close) X(cancel) X(done) X(set_result)        \
              X(create_future) X(call_soon) X(call_later) X(node) X(name) X(loop) X(eager_start)   \
                  X(get_task_factory) X(code) X(reason) X(http) X(links) X(file) X(offset) X(count)     \
                      X(info) X(more_trailers) X(tls) X(websocket) X(subprotocol) X(subprotocols) X(bytes) X(text)
// clang-format on

struct Interned {
#define X(name) PyObject* name;
  NODE_ASGI_NAMES(X)
#undef X
  PyObject* throw_;      // "throw"
  PyObject* await_;      // "__await__"
  PyObject* empty_text;  // ""
  PyObject* empty_bytes;
};

// Makes the table; once, right after the interpreter started. False with a Python error set.
bool InternNames(const GilHeld& gil);
const Interned& Names();

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_INTERNED_H_
