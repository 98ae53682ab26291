// The type of an object without a call: Py_TYPE(), which is a macro in CPython's stable ABI.
// Thread: the Python thread.
#ifndef NODE_ASGI_PYTHON_OBJECT_TYPE_H_
#define NODE_ASGI_PYTHON_OBJECT_TYPE_H_

#include <cstddef>

#include "python/gil.h"
#include "python/ref.h"

namespace node_asgi::python {

// Where the type stands in an object's head: behind the count of references, which is longer in
// builds without a GIL.
extern size_t type_offset;

// Finds it; once, right after the interpreter started. False with a Python error set.
bool FindTypeOffset(const GilHeld& gil);

inline PyTypeObject* TypeOf(Borrowed object) {
  return *reinterpret_cast<PyTypeObject* const*>(reinterpret_cast<const char*>(object.get()) +
                                                 type_offset);
}

// By the real type, as the functions of the C API demand. isinstance() believes __class__, with
// which a lazy proxy says that it is of another class, and which may run any code.
inline bool IsInstance(Borrowed object, PyTypeObject* type) {
  PyTypeObject* const real = TypeOf(object);
  return real == type || PyType_IsSubtype(real, type) != 0;
}

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_OBJECT_TYPE_H_
