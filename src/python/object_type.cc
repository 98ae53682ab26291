#include "python/object_type.h"

#include "python/call.h"

namespace node_asgi::python {

size_t type_offset = sizeof(Py_ssize_t);

bool FindTypeOffset(const GilHeld& gil) {
  const Owned type = Owned::Steal(PyObject_Type(PyNone()));
  const Owned size =
      GetAttribute(gil, reinterpret_cast<PyObject*>(PyBaseObject_Type), "__basicsize__");
  if (!type || !size) return false;
  const long head = PyLong_AsLong(size.get());
  for (long at = 0; at + static_cast<long>(sizeof(PyObject*)) <= head; at += sizeof(PyObject*)) {
    type_offset = static_cast<size_t>(at);
    if (reinterpret_cast<PyObject*>(TypeOf(PyNone())) == type.get()) return true;
  }
  PyErr_SetString(*PyExc_RuntimeError, "objects of this Python do not begin as those of CPython");
  return false;
}

}  // namespace node_asgi::python
