// Every CPython function and object that the addon uses, once: NAME, return type, parameters.
// R(...) must be there in every version from 3.8; O(...) is version-gated and may be null: the
// comment says since when. D(...) is a data symbol: NAME, type of the object it holds or points to.
// Included several times with different macros; no include guard on purpose.

// Version and start.
R(Py_GetVersion, const char*, ())
R(Py_IsInitialized, int, ())
R(Py_InitializeEx, void, (int))
R(PySys_AddAuditHook, int, (int (*)(const char*, PyObject*, void*), void*))
O(Py_PreInitialize, PyStatus, (const PyPreConfig*))
O(PyPreConfig_InitPythonConfig, void, (PyPreConfig*))
O(PyStatus_Exception, int, (PyStatus))
O(Py_SetProgramName, void, (const wchar_t*))
O(PySys_SetArgvEx, void, (int, wchar_t**, int))
O(_Py_DumpTracebackThreads, const char*, (int, PyInterpreterState*, PyThreadState*))
O(Py_DecodeLocale, wchar_t*, (const char*, size_t*))
O(PyInitConfig_Create, PyInitConfig*, ())                                            // 3.14
O(PyInitConfig_Free, void, (PyInitConfig*))                                          // 3.14
O(PyInitConfig_SetInt, int, (PyInitConfig*, const char*, int64_t))                   // 3.14
O(PyInitConfig_SetStr, int, (PyInitConfig*, const char*, const char*))               // 3.14
O(PyInitConfig_SetStrList, int, (PyInitConfig*, const char*, size_t, char* const*))  // 3.14
O(PyInitConfig_GetError, int, (PyInitConfig*, const char**))                         // 3.14
O(Py_InitializeFromInitConfig, int, (PyInitConfig*))                                 // 3.14

// Threads.
R(PyEval_SaveThread, PyThreadState*, ())
R(PyEval_RestoreThread, void, (PyThreadState*))
R(PyGILState_Check, int, ())

// References, objects, types.
R(Py_IncRef, void, (PyObject*))
R(Py_DecRef, void, (PyObject*))
R(PyObject_Type, PyObject*, (PyObject*))
R(PyObject_IsInstance, int, (PyObject*, PyObject*))
R(PyObject_IsTrue, int, (PyObject*))
R(PyObject_Str, PyObject*, (PyObject*))
R(PyObject_Repr, PyObject*, (PyObject*))
R(PyObject_GetAttr, PyObject*, (PyObject*, PyObject*))
R(PyObject_GenericGetAttr, PyObject*, (PyObject*, PyObject*))
R(PyObject_GetAttrString, PyObject*, (PyObject*, const char*))
R(PyObject_SetAttrString, int, (PyObject*, const char*, PyObject*))
R(PyObject_Call, PyObject*, (PyObject*, PyObject*, PyObject*))
R(PyObject_CallObject, PyObject*, (PyObject*, PyObject*))
R(PyObject_Init, PyObject*, (PyObject*, PyTypeObject*))
R(PyObject_Malloc, void*, (size_t))
R(PyObject_Free, void, (void*))
R(PyType_FromSpec, PyObject*, (PyType_Spec*))
R(PyType_IsSubtype, int, (PyTypeObject*, PyTypeObject*))
O(PyObject_Vectorcall, PyObject*,
  (PyObject*, PyObject* const*, size_t, PyObject*))  // 3.9 macro, 3.11 symbol
O(PyObject_VectorcallDict, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*))  // 3.9
O(_PyObject_FastCallDict, PyObject*, (PyObject*, PyObject* const*, size_t, PyObject*))   // 3.8
O(PyIter_Send, PySendResult, (PyObject*, PyObject*, PyObject**))                         // 3.10

// Numbers, text, bytes.
R(PyLong_FromLongLong, PyObject*, (long long))
R(PyLong_AsLong, long, (PyObject*))
R(PyBool_FromLong, PyObject*, (long))
R(PyFloat_FromDouble, PyObject*, (double))
R(PyUnicode_FromStringAndSize, PyObject*, (const char*, Py_ssize_t))
R(PyUnicode_DecodeUTF8, PyObject*, (const char*, Py_ssize_t, const char*))
R(PyUnicode_AsUTF8AndSize, const char*, (PyObject*, Py_ssize_t*))
R(PyUnicode_InternFromString, PyObject*, (const char*))
R(PyBytes_FromStringAndSize, PyObject*, (const char*, Py_ssize_t))
R(PyBytes_AsStringAndSize, int, (PyObject*, char**, Py_ssize_t*))
R(PyObject_GetBuffer, int, (PyObject*, Py_buffer*, int))
R(PyBuffer_Release, void, (Py_buffer*))

// Containers.
R(PyTuple_New, PyObject*, (Py_ssize_t))
R(PyTuple_SetItem, int, (PyObject*, Py_ssize_t, PyObject*))
R(PyTuple_GetItem, PyObject*, (PyObject*, Py_ssize_t))
R(PyTuple_Size, Py_ssize_t, (PyObject*))
R(PyList_New, PyObject*, (Py_ssize_t))
R(PyList_Append, int, (PyObject*, PyObject*))
R(PyList_SetItem, int, (PyObject*, Py_ssize_t, PyObject*))
R(PyList_GetItem, PyObject*, (PyObject*, Py_ssize_t))
R(PyList_Size, Py_ssize_t, (PyObject*))
R(PyDict_New, PyObject*, ())
R(PyDict_Copy, PyObject*, (PyObject*))
R(PyDict_GetItemWithError, PyObject*, (PyObject*, PyObject*))
R(PyDict_SetItem, int, (PyObject*, PyObject*, PyObject*))
R(PyObject_GetIter, PyObject*, (PyObject*))
R(PyIter_Next, PyObject*, (PyObject*))

// Modules, code, capsules, functions.
R(PyImport_ImportModule, PyObject*, (const char*))
R(PyImport_AddModule, PyObject*, (const char*))
R(PyModule_GetDict, PyObject*, (PyObject*))
R(PyRun_StringFlags, PyObject*, (const char*, int, PyObject*, PyObject*, PyCompilerFlags*))
R(PyCapsule_New, PyObject*, (void*, const char*, PyCapsule_Destructor))
R(PyCapsule_GetPointer, void*, (PyObject*, const char*))
R(PyCFunction_NewEx, PyObject*, (PyMethodDef*, PyObject*, PyObject*))

// Errors.
R(PyErr_Occurred, PyObject*, ())
R(PyErr_Clear, void, ())
R(PyErr_Fetch, void, (PyObject**, PyObject**, PyObject**))
R(PyErr_Restore, void, (PyObject*, PyObject*, PyObject*))
R(PyErr_NormalizeException, void, (PyObject**, PyObject**, PyObject**))
R(PyErr_SetString, void, (PyObject*, const char*))
R(PyErr_SetObject, void, (PyObject*, PyObject*))
R(PyErr_ExceptionMatches, int, (PyObject*))
R(PyErr_GivenExceptionMatches, int, (PyObject*, PyObject*))
R(PyErr_WriteUnraisable, void, (PyObject*))
R(PyException_SetTraceback, int, (PyObject*, PyObject*))

D(_Py_NoneStruct, PyObject)
D(_Py_TrueStruct, PyObject)
D(_Py_FalseStruct, PyObject)
D(PyType_Type, PyTypeObject)
D(PyBytes_Type, PyTypeObject)
D(PyTuple_Type, PyTypeObject)
D(PyList_Type, PyTypeObject)
D(PyDict_Type, PyTypeObject)
D(PyUnicode_Type, PyTypeObject)
D(PyLong_Type, PyTypeObject)
D(PyBool_Type, PyTypeObject)
D(PyBaseObject_Type, PyTypeObject)
P(PyExc_TypeError)
P(PyExc_ValueError)
P(PyExc_RuntimeError)
P(PyExc_StopIteration)
P(PyExc_GeneratorExit)
P(PyExc_OSError)
