// CPython's C API as a table of function pointers, filled at run time by python/library.h.
// Each entry is a variable with CPython's own name, so code reads as ordinary C API. Everything
// lives in node_asgi::python; nothing here is linked against libpython. Thread: filled once before
// the Python thread starts; constant afterwards. Callers hold a GilHeld.
#ifndef NODE_ASGI_PYTHON_API_H_
#define NODE_ASGI_PYTHON_API_H_

#include "python/api_types.h"

namespace node_asgi::python {

#define R(name, result, parameters) extern result(*name) parameters;
#define O(name, result, parameters) extern result(*name) parameters;
#define D(name, type) extern type* name;
#define P(name) extern PyObject** name;
#include "python/api_list.h"
#undef R
#undef O
#undef D
#undef P

inline PyObject* PyNone() { return _Py_NoneStruct; }
inline PyObject* PyTrue() { return _Py_TrueStruct; }
inline PyObject* PyFalse() { return _Py_FalseStruct; }

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_API_H_
