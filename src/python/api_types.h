// The part of CPython's C API that the headers of CPython would give: opaque types, and the few
// structs whose layout is part of the stable ABI. Declared here because the addon must build and
// load without Python.h. test/native/python/api_check.cc compares every line with an installed
// Python.h.
#ifndef NODE_ASGI_PYTHON_API_TYPES_H_
#define NODE_ASGI_PYTHON_API_TYPES_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

using Py_ssize_t = ssize_t;
struct _object;
using PyObject = _object;
struct _typeobject;
using PyTypeObject = _typeobject;
struct _ts;
struct _is;
using PyThreadState = _ts;
using PyInterpreterState = _is;

using PyCFunction = PyObject* (*)(PyObject*, PyObject*);
using PyCapsule_Destructor = void (*)(PyObject*);

struct PyMethodDef {
  const char* ml_name;
  PyCFunction ml_meth;
  int ml_flags;
  const char* ml_doc;
};

struct PyMemberDef {
  const char* name;
  int type;
  Py_ssize_t offset;
  int flags;
  const char* doc;
};

struct PyType_Slot {
  int slot;
  void* pfunc;
};

struct PyType_Spec {
  const char* name;
  int basicsize;
  int itemsize;
  unsigned int flags;
  PyType_Slot* slots;
};

struct Py_buffer {
  void* buf;
  PyObject* obj;
  Py_ssize_t len;
  Py_ssize_t itemsize;
  int readonly;
  int ndim;
  char* format;
  Py_ssize_t* shape;
  Py_ssize_t* strides;
  Py_ssize_t* suboffsets;
  void* internal;
};

// Same layout in 3.8 to 3.13 on POSIX; later versions are initialised through PyInitConfig.
struct PyPreConfig {
  int _config_init;
  int parse_argv;
  int isolated;
  int use_environment;
  int configure_locale;
  int coerce_c_locale;
  int coerce_c_locale_warn;
  int utf8_mode;
  int dev_mode;
  int allocator;
};

// Layout is private; this is larger than any version's.
struct PyStatus {
  int _type;
  const char* func;
  const char* err_msg;
  int exitcode;
};

struct PyInitConfig;
struct PyCompilerFlags;

#define METH_VARARGS 0x0001
#define METH_NOARGS 0x0004
#define METH_O 0x0008
#define Py_TPFLAGS_DEFAULT (1UL << 18)
#define Py_TPFLAGS_HAVE_VECTORCALL (1UL << 11)
#define PyBUF_SIMPLE 0
#define Py_file_input 257
#define Py_T_PYSSIZET 19
#define Py_READONLY 1

// Slot numbers of typeslots.h.
#define Py_tp_call 50
#define Py_tp_dealloc 52
#define Py_tp_getattro 58
#define Py_tp_iter 62
#define Py_tp_iternext 63
#define Py_tp_methods 64
#define Py_tp_members 72
#define Py_am_await 77
#define Py_am_send 81

enum PySendResult { PYGEN_RETURN = 0, PYGEN_ERROR = -1, PYGEN_NEXT = 1 };

#endif  // NODE_ASGI_PYTHON_API_TYPES_H_
