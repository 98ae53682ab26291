#include "python/interned.h"

namespace node_asgi::python {
namespace {
Interned names;
}  // namespace

bool InternNames(const GilHeld&) {
#define X(name) names.name = PyUnicode_InternFromString(#name);
  NODE_ASGI_NAMES(X)
#undef X
  names.throw_ = PyUnicode_InternFromString("throw");
  names.await_ = PyUnicode_InternFromString("__await__");
  names.empty_text = PyUnicode_InternFromString("");
  names.empty_bytes = PyBytes_FromStringAndSize("", 0);
  return PyErr_Occurred() == nullptr;
}

const Interned& Names() { return names; }

}  // namespace node_asgi::python
