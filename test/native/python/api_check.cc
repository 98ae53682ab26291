// Compares src/python/api_list.h and api_types.h with an installed Python.h, at compile time. A
// wrong signature cannot slip in: this file would not build.
#include <Python.h>
#include <structmember.h>

#include <cstddef>
#include <type_traits>

// The addon must use what newer versions deprecate for as long as it serves older ones.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace theirs {
// CPython's values, taken before their macros are replaced by the addon's own.
constexpr int kVarargs = METH_VARARGS, kNoargs = METH_NOARGS, kO = METH_O;
constexpr unsigned long kDefault = Py_TPFLAGS_DEFAULT;
constexpr unsigned long kVersionTag = Py_TPFLAGS_HAVE_VERSION_TAG;  // the default before 3.10
#if PY_VERSION_HEX >= 0x03090000
constexpr unsigned long kVectorcall = Py_TPFLAGS_HAVE_VECTORCALL;
#else
constexpr unsigned long kVectorcall = _Py_TPFLAGS_HAVE_VECTORCALL;
#endif
constexpr int kSimple = PyBUF_SIMPLE, kFileInput = Py_file_input;
constexpr int kPyssizet = T_PYSSIZET, kReadonly = READONLY;
constexpr int kCall = Py_tp_call, kDealloc = Py_tp_dealloc, kGetattro = Py_tp_getattro;
constexpr int kIter = Py_tp_iter, kIternext = Py_tp_iternext, kMethods = Py_tp_methods;
constexpr int kMembers = Py_tp_members, kAwait = Py_am_await;
#ifdef Py_am_send
constexpr int kSend = Py_am_send;  // 3.10
#else
constexpr int kSend = 81;
#endif
}  // namespace theirs

#undef METH_VARARGS
#undef METH_NOARGS
#undef METH_O
#undef Py_TPFLAGS_DEFAULT
#undef Py_TPFLAGS_HAVE_VECTORCALL
#undef PyBUF_SIMPLE
#undef Py_file_input
#undef Py_T_PYSSIZET
#undef Py_READONLY
#undef Py_tp_call
#undef Py_tp_dealloc
#undef Py_tp_getattro
#undef Py_tp_iter
#undef Py_tp_iternext
#undef Py_tp_methods
#undef Py_tp_members
#undef Py_am_await
#undef Py_am_send

namespace ours {
// In a namespace, so that the structs do not collide with CPython's.
#include "python/api_types.h"
}  // namespace ours

// Flags and numbers: the macros are the addon's from here on.
static_assert(METH_VARARGS == theirs::kVarargs && METH_NOARGS == theirs::kNoargs);
static_assert(METH_O == theirs::kO);
static_assert(Py_TPFLAGS_DEFAULT == (theirs::kDefault | theirs::kVersionTag));
static_assert(Py_TPFLAGS_HAVE_VECTORCALL == theirs::kVectorcall);
static_assert(PyBUF_SIMPLE == theirs::kSimple && Py_file_input == theirs::kFileInput);
static_assert(Py_T_PYSSIZET == theirs::kPyssizet && Py_READONLY == theirs::kReadonly);

// Slot numbers.
static_assert(Py_tp_call == theirs::kCall && Py_tp_dealloc == theirs::kDealloc);
static_assert(Py_tp_getattro == theirs::kGetattro && Py_tp_iter == theirs::kIter);
static_assert(Py_tp_iternext == theirs::kIternext && Py_tp_methods == theirs::kMethods);
static_assert(Py_tp_members == theirs::kMembers && Py_am_await == theirs::kAwait);
static_assert(Py_am_send == theirs::kSend);

// What a step of a coroutine answers; an enum of CPython's from 3.10.
#if PY_VERSION_HEX >= 0x030A0000
static_assert(static_cast<int>(ours::PYGEN_RETURN) == static_cast<int>(::PYGEN_RETURN));
static_assert(static_cast<int>(ours::PYGEN_ERROR) == static_cast<int>(::PYGEN_ERROR));
static_assert(static_cast<int>(ours::PYGEN_NEXT) == static_cast<int>(::PYGEN_NEXT));
static_assert(sizeof(ours::PySendResult) == sizeof(::PySendResult));
#endif

// Layouts.
#define SAME_SIZE(name) static_assert(sizeof(ours::name) == sizeof(::name), #name)
#define SAME_OFFSET(name, member) \
  static_assert(offsetof(ours::name, member) == offsetof(::name, member), #name "." #member)
SAME_SIZE(Py_ssize_t);
SAME_SIZE(PyMethodDef);
SAME_OFFSET(PyMethodDef, ml_name);
SAME_OFFSET(PyMethodDef, ml_meth);
SAME_OFFSET(PyMethodDef, ml_flags);
SAME_OFFSET(PyMethodDef, ml_doc);
SAME_SIZE(PyMemberDef);
SAME_OFFSET(PyMemberDef, name);
SAME_OFFSET(PyMemberDef, type);
SAME_OFFSET(PyMemberDef, offset);
SAME_OFFSET(PyMemberDef, flags);
SAME_OFFSET(PyMemberDef, doc);
SAME_SIZE(PyType_Slot);
SAME_OFFSET(PyType_Slot, slot);
SAME_OFFSET(PyType_Slot, pfunc);
SAME_SIZE(PyType_Spec);
SAME_OFFSET(PyType_Spec, name);
SAME_OFFSET(PyType_Spec, basicsize);
SAME_OFFSET(PyType_Spec, itemsize);
SAME_OFFSET(PyType_Spec, flags);
SAME_OFFSET(PyType_Spec, slots);
SAME_SIZE(Py_buffer);
SAME_OFFSET(Py_buffer, buf);
SAME_OFFSET(Py_buffer, obj);
SAME_OFFSET(Py_buffer, len);
SAME_OFFSET(Py_buffer, itemsize);
SAME_OFFSET(Py_buffer, readonly);
SAME_OFFSET(Py_buffer, ndim);
SAME_OFFSET(Py_buffer, format);
SAME_OFFSET(Py_buffer, shape);
SAME_OFFSET(Py_buffer, strides);
SAME_OFFSET(Py_buffer, suboffsets);
SAME_OFFSET(Py_buffer, internal);
SAME_SIZE(PyStatus);
SAME_OFFSET(PyStatus, _type);
SAME_OFFSET(PyStatus, func);
SAME_OFFSET(PyStatus, err_msg);
SAME_OFFSET(PyStatus, exitcode);
#if PY_VERSION_HEX < 0x030E0000  // 3.14 is started through PyInitConfig
SAME_SIZE(PyPreConfig);
SAME_OFFSET(PyPreConfig, _config_init);
SAME_OFFSET(PyPreConfig, parse_argv);
SAME_OFFSET(PyPreConfig, isolated);
SAME_OFFSET(PyPreConfig, use_environment);
SAME_OFFSET(PyPreConfig, configure_locale);
SAME_OFFSET(PyPreConfig, coerce_c_locale);
SAME_OFFSET(PyPreConfig, coerce_c_locale_warn);
SAME_OFFSET(PyPreConfig, utf8_mode);
SAME_OFFSET(PyPreConfig, dev_mode);
SAME_OFFSET(PyPreConfig, allocator);
#endif

// Functions that every version has, and data. The types in api_list.h are CPython's own here.
// True and False are ints, whose head is that of their PyObject: only their size is checked.
#define SAME(name, result, parameters) \
  static_assert(std::is_same_v<result(*) parameters, decltype(&::name)>, #name);
template <class Ours, class Theirs>
constexpr bool kSameData = std::is_same_v<Ours, Theirs> ||
                           (std::is_same_v<Ours, PyObject> &&
                            std::is_same_v<Theirs, struct _longobject> &&
                            sizeof(Theirs) >= sizeof(Ours));
#define R(name, result, parameters) SAME(name, result, parameters)
#define O(name, result, parameters)
#define D(name, type) static_assert(kSameData<type, decltype(::name)>, #name);
#define P(name) static_assert(std::is_same_v<PyObject*, decltype(::name)>, #name);
#include "python/api_list.h"
#undef R
#undef O
#undef D
#undef P

// Version-gated functions, where the headers of this version declare them.
SAME(PyStatus_Exception, int, (PyStatus))
SAME(Py_DecodeLocale, wchar_t*, (const char*, size_t*))
#if PY_VERSION_HEX < 0x030E0000
SAME(Py_PreInitialize, PyStatus, (const PyPreConfig*))
SAME(PyPreConfig_InitPythonConfig, void, (PyPreConfig*))
SAME(Py_SetProgramName, void, (const wchar_t*))
SAME(PySys_SetArgvEx, void, (int, wchar_t**, int))
#else
SAME(PyInitConfig_Create, PyInitConfig*, ())
SAME(PyInitConfig_Free, void, (PyInitConfig*))
SAME(PyInitConfig_SetInt, int, (PyInitConfig*, const char*, int64_t))
SAME(PyInitConfig_SetStr, int, (PyInitConfig*, const char*, const char*))
SAME(PyInitConfig_SetStrList, int, (PyInitConfig*, const char*, size_t, char* const*))
SAME(PyInitConfig_GetError, int, (PyInitConfig*, const char**))
SAME(Py_InitializeFromInitConfig, int, (PyInitConfig*))
#endif
#if PY_VERSION_HEX >= 0x03090000  // PyObject_Vectorcall: inline before 3.11, exported since
SAME(PyObject_Vectorcall, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*))
SAME(PyObject_VectorcallDict, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*))
#else  // public headers declare it no longer
SAME(_PyObject_FastCallDict, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*))
#endif
#if PY_VERSION_HEX >= 0x030A0000
SAME(PyIter_Send, PySendResult, (PyObject*, PyObject*, PyObject**))
#endif

// _Py_DumpTracebackThreads is exported by 3.11 and 3.12 and declared for CPython's own sources
// only: pycore_traceback.h has the same signature in both.

// A new O entry needs a line above.
#define R(name, result, parameters)
#define O(name, result, parameters) +1
#define D(name, type)
#define P(name)
constexpr int kOptional = 0
#include "python/api_list.h"
    ;
static_assert(kOptional == 18, "compare the new O entry with its declaration, then count it here");
