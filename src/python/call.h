// Calls into Python, version differences hidden: vectorcall where the library exports it.
// Thread: the Python thread. All return null with a Python error set when the call raised.
#ifndef NODE_ASGI_PYTHON_CALL_H_
#define NODE_ASGI_PYTHON_CALL_H_

#include <initializer_list>
#include <string>
#include <string_view>

#include "python/api.h"
#include "python/gil.h"
#include "python/object_type.h"
#include "python/ref.h"

namespace node_asgi::python {

inline PyObject* CallVector(Borrowed callable, PyObject* const* arguments, size_t count) {
  // Exported from 3.11; before, the same with a dict of keywords (3.9), or under its private name
  // (3.8).
  static auto* const call = PyObject_Vectorcall != nullptr       ? PyObject_Vectorcall
                            : PyObject_VectorcallDict != nullptr ? PyObject_VectorcallDict
                                                                 : _PyObject_FastCallDict;
  return call(callable.get(), arguments, count, nullptr);
}

inline Owned Call(const GilHeld&, Borrowed callable,
                  std::initializer_list<PyObject*> arguments = {}) {
  return Owned::Steal(CallVector(callable, arguments.begin(), arguments.size()));
}

inline Owned GetAttribute(const GilHeld&, Borrowed object, PyObject* name) {
  return Owned::Steal(PyObject_GetAttr(object.get(), name));
}

inline Owned GetAttribute(const GilHeld&, Borrowed object, const char* name) {
  return Owned::Steal(PyObject_GetAttrString(object.get(), name));
}

// object.name(*arguments)
template <class Name>
Owned CallMethod(const GilHeld& gil, Borrowed object, Name name,
                 std::initializer_list<PyObject*> arguments = {}) {
  const Owned method = GetAttribute(gil, object, name);
  return method ? Call(gil, method, arguments) : Owned();
}

// function(*arguments) of an importable module.
inline Owned CallFunction(const GilHeld& gil, const char* module, const char* function,
                          std::initializer_list<PyObject*> arguments = {}) {
  const Owned imported = Owned::Steal(PyImport_ImportModule(module));
  return imported ? CallMethod(gil, imported, function, arguments) : Owned();
}

inline Owned Text(const GilHeld&, std::string_view text) {
  return Owned::Steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

inline Owned BytesOf(const GilHeld&, std::string_view bytes) {
  return Owned::Steal(
      PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

// The UTF-8 text of a str; empty for anything else, never an error.
inline std::string TextOf(const GilHeld&, Borrowed text) {
  Py_ssize_t size = 0;
  const char* data = text ? PyUnicode_AsUTF8AndSize(text.get(), &size) : nullptr;
  if (data == nullptr) {
    PyErr_Clear();
    return {};
  }
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_CALL_H_
