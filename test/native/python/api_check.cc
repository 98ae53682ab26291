// Compares src/python/api_list.h and api_types.h with an installed Python.h, at compile time. A
// wrong signature cannot slip in: this file would not build.
#include <Python.h>
#include <structmember.h>

#include <cstddef>
#include <type_traits>

namespace ours {
// The addon's own declarations, in a namespace so that they do not collide with CPython's.
#undef METH_VARARGS
#undef METH_NOARGS
#undef METH_O
#undef Py_TPFLAGS_DEFAULT
#undef Py_TPFLAGS_HAVE_VECTORCALL
#undef PyBUF_SIMPLE
#undef Py_file_input
#undef Py_T_PYSSIZET
#undef Py_READONLY
constexpr int kCall = Py_tp_call, kDealloc = Py_tp_dealloc, kGetattro = Py_tp_getattro;
constexpr int kIter = Py_tp_iter, kIternext = Py_tp_iternext, kMethods = Py_tp_methods;
constexpr int kMembers = Py_tp_members, kAwait = Py_am_await;
#undef Py_tp_call
#undef Py_tp_dealloc
#undef Py_tp_getattro
#undef Py_tp_iter
#undef Py_tp_iternext
#undef Py_tp_methods
#undef Py_tp_members
#undef Py_am_await
#undef Py_am_send
#include "python/api_types.h"
}  // namespace ours

// Slot numbers.
static_assert(Py_tp_call == ours::kCall && Py_tp_dealloc == ours::kDealloc);
static_assert(Py_tp_getattro == ours::kGetattro && Py_tp_iter == ours::kIter);
static_assert(Py_tp_iternext == ours::kIternext && Py_tp_methods == ours::kMethods);
static_assert(Py_tp_members == ours::kMembers && Py_am_await == ours::kAwait);
static_assert(Py_T_PYSSIZET == T_PYSSIZET);

// Layouts.
#define SAME_SIZE(name) static_assert(sizeof(ours::name) == sizeof(::name), #name)
#define SAME_OFFSET(name, member) \
  static_assert(offsetof(ours::name, member) == offsetof(::name, member), #name "." #member)
SAME_SIZE(PyMethodDef);
SAME_OFFSET(PyMethodDef, ml_meth);
SAME_OFFSET(PyMethodDef, ml_flags);
SAME_SIZE(PyMemberDef);
SAME_OFFSET(PyMemberDef, offset);
SAME_OFFSET(PyMemberDef, flags);
SAME_SIZE(PyType_Slot);
SAME_OFFSET(PyType_Slot, pfunc);
SAME_SIZE(PyType_Spec);
SAME_OFFSET(PyType_Spec, flags);
SAME_OFFSET(PyType_Spec, slots);
SAME_SIZE(Py_buffer);
SAME_OFFSET(Py_buffer, len);
SAME_OFFSET(Py_buffer, internal);
SAME_SIZE(PyStatus);
SAME_OFFSET(PyStatus, err_msg);
#if PY_VERSION_HEX < 0x030E0000
SAME_SIZE(PyPreConfig);
SAME_OFFSET(PyPreConfig, parse_argv);
SAME_OFFSET(PyPreConfig, configure_locale);
SAME_OFFSET(PyPreConfig, coerce_c_locale);
SAME_OFFSET(PyPreConfig, utf8_mode);
#endif

// Functions. Parameter and return types as text, compared with CPython's own declarations of this
// version.
namespace check {
template <class Ours, class Theirs>
constexpr bool kSame = std::is_same_v<Ours, Theirs>;
}
#define R(name, result, parameters) \
  static_assert(check::kSame<result(*) parameters, decltype(&::name)>, #name);
#define O(name, result, parameters)
// True and False are PyLongObjects, whose address is that of their PyObject: only that the symbol
// is an object of that size or larger is checked.
#define D(name, type) static_assert(sizeof(::name) >= sizeof(::type), #name);
#define P(name) static_assert(std::is_same_v<PyObject*, decltype(::name)>, #name);
#include "python/api_list.h"
#undef R
#undef O
#undef D
#undef P

// Version-gated entries, where this version declares them. PyPreConfig and PyStatus are CPython's
// own here.
#define O_SAME(name, result, parameters) \
  static_assert(check::kSame<result(*) parameters, decltype(&::name)>, #name)
#if PY_VERSION_HEX < 0x030E0000
O_SAME(Py_PreInitialize, PyStatus, (const PyPreConfig*));
O_SAME(PyPreConfig_InitPythonConfig, void, (PyPreConfig*));
#endif
O_SAME(PyStatus_Exception, int, (PyStatus));
#if PY_VERSION_HEX >= 0x030A0000
O_SAME(PyIter_Send, PySendResult, (PyObject*, PyObject*, PyObject**));
#endif
#if PY_VERSION_HEX >= 0x030B0000
O_SAME(PyObject_Vectorcall, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*));
O_SAME(PyObject_VectorcallDict, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*));
#endif
